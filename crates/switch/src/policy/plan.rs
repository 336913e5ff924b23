//! How a call is made: what the profiles of number and trunk say, and the job's own ladder on top of it.
//!
//! For each ability the first of these speaks that has something to say: a lock of the number's, a lock of the trunk's, what the
//! number taught, what the trunk taught; else the best is used. What the job's own failed attempts ask for ([`Degrade`]) comes
//! on top: it can only make a call poorer, but for the two cases in which its attempts were poor already and failed for that
//! (T.38 after audio, ECM after refused pages). A lock holds against it, too.

use super::learning::{LearningRules, is_on_probation, rules_of_trunk};
use super::testimony::{rate_of_step, step_of_rate};
use crate::port::Degrade;
use fax_store::model::{Ability, Origin, Profile, Timestamp, Trait};

/// Where a setting of a plan comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Source {
    /// Nothing speaks against the best.
    Default,
    /// The profile of the number.
    Number,
    /// The profile of the trunk.
    Trunk,
    /// The job's own failures.
    Job,
}

/// The setting of one ability in a call.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Planned {
    /// Which.
    pub ability: Ability,
    /// The step in [`Ability::settings`].
    pub step: usize,
    /// What the profiles alone would have had.
    pub profile_step: usize,
    /// Where it comes from.
    pub source: Source,
    /// A decision is put to the test with it.
    pub probation: bool,
    /// Why, where it is not simply the best: a sentence for the attempt's record.
    pub words: Option<String>,
}

/// How a call is made.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Plan {
    /// One for each ability.
    pub entries: Vec<Planned>,
}

impl Plan {
    /// The step of an ability; 0 is the best.
    #[must_use]
    pub fn step(&self, ability: Ability) -> usize {
        self.entry(ability).map_or(0, |p| p.step)
    }

    /// What is planned for an ability.
    #[must_use]
    pub fn entry(&self, ability: Ability) -> Option<&Planned> {
        self.entries.iter().find(|p| p.ability == ability)
    }

    /// The fastest rate that is allowed, bit/s.
    #[must_use]
    pub fn max_bit_rate(&self) -> Option<u32> {
        rate_of_step(self.step(Ability::Rate))
    }

    /// Whether V.17 may be used: not without its short training, which T.30 has no other way around.
    #[must_use]
    pub fn v17(&self) -> bool {
        self.step(Ability::V17) == 0 && self.step(Ability::ShortTraining) == 0
    }

    /// What is applied and why, a sentence each.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().filter_map(|p| p.words.as_deref())
    }
}

/// What is known when a call is ordered.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Known {
    /// The number's profile.
    pub number: Option<Profile>,
    /// The profiles of all trunks.
    pub trunks: Vec<Profile>,
    /// What the job's own failures ask for.
    pub degrade: Degrade,
    /// The time.
    pub now: Timestamp,
    /// How learning goes; `None`: what was learnt is not applied.
    pub rules: Option<LearningRules>,
}

/// A trait that decides, and whose it is.
struct Voice<'a> {
    what: &'a Trait,
    source: Source,
}

impl Known {
    /// How the call is made by this trunk.
    #[must_use]
    pub fn plan(&self, trunk: &str) -> Plan {
        Plan { entries: Ability::ALL.into_iter().map(|ability| self.planned(ability, trunk)).collect() }
    }

    fn planned(&self, ability: Ability, trunk: &str) -> Planned {
        let mut planned = Planned {
            ability,
            step: 0,
            profile_step: 0,
            source: Source::Default,
            probation: false,
            words: None,
        };
        let mut locked = false;
        if let (Some(rules), Some(voice)) = (&self.rules, self.voice(ability, trunk)) {
            let rules = match voice.source {
                Source::Trunk => rules_of_trunk(rules),
                Source::Default | Source::Number | Source::Job => *rules,
            };
            let decided = voice.what.step();
            locked = voice.what.locked;
            planned.probation = is_on_probation(voice.what, self.now, &rules);
            planned.step = if planned.probation { better(ability, decided) } else { decided };
            planned.profile_step = planned.step;
            if decided > 0 || locked {
                planned.source = voice.source;
                planned.words = Some(words(&voice, planned.probation));
            }
        }
        let asked = if locked { None } else { of_ladder(ability, &self.degrade) };
        // `Some(0)` lifts: the attempts before were poor in this and failed.
        if let Some(step) = asked
            && (step == 0 || step > planned.step)
            && step != planned.step
        {
            planned.step = step;
            planned.source = Source::Job;
            planned.probation = false;
            let setting = ability.setting(step);
            planned.words =
                Some(format!("{} {setting}: after this fax's own failed attempts", label(ability)));
        }
        planned
    }

    /// Who decides about an ability.
    fn voice(&self, ability: Ability, trunk: &str) -> Option<Voice<'_>> {
        let rules = self.rules.as_ref()?;
        let number = self.number.as_ref();
        let by_this = number.and_then(|p| p.about(ability, Some(trunk)));
        let by_all = number.and_then(|p| p.about(ability, None));
        let of_trunk =
            self.trunks.iter().find(|p| p.key.parts() == (1, "", trunk)).and_then(|p| p.about(ability, None));
        let voice = |source| move |what| Voice { what, source };
        let own = || [by_this, by_all].into_iter().flatten();
        let own_lock = own().find(|t| t.locked).map(voice(Source::Number));
        let trunk_lock = || of_trunk.filter(|t| t.locked).map(voice(Source::Trunk));
        // A number at which the best was seen to work is not judged by its trunk's others.
        let speaks = |t: &&Trait| {
            t.step() > 0
                || t.origin == Origin::Operator
                || t.last_success.is_some_and(|at| self.now.since(at) < rules.expiry)
        };
        let own_word = || own().find(speaks).map(voice(Source::Number));
        own_lock.or_else(trunk_lock).or_else(own_word).or_else(|| of_trunk.map(voice(Source::Trunk)))
    }
}

/// The setting that a probation tries.
pub(super) const fn better(ability: Ability, step: usize) -> usize {
    match ability {
        Ability::T38 | Ability::Ecm | Ability::V17 | Ability::ShortTraining => 0,
        Ability::Rate | Ability::Coding => step.saturating_sub(1),
    }
}

/// What the job's ladder asks for: at least this step, or the best; `None`: nothing.
fn of_ladder(ability: Ability, degrade: &Degrade) -> Option<usize> {
    match ability {
        Ability::T38 => degrade.t38.map(|on| if on { 0 } else { 2 }),
        Ability::Ecm => degrade.ecm.map(|on| usize::from(!on)),
        Ability::V17 => degrade.max_bit_rate.filter(|most| *most <= 9_600).map(|_| 1),
        Ability::ShortTraining => None,
        Ability::Rate => degrade.max_bit_rate.map(step_of_rate),
        Ability::Coding => degrade.mh_only.then_some(3),
    }
}

/// What people call it.
pub(super) const fn label(ability: Ability) -> &'static str {
    match ability {
        Ability::T38 => "T.38",
        Ability::Ecm => "ECM",
        Ability::V17 => "V.17",
        Ability::ShortTraining => "V.17's short training",
        Ability::Rate => "rate",
        Ability::Coding => "coding",
    }
}

fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn words(voice: &Voice<'_>, probation: bool) -> String {
    let Trait { ability, setting, since, until, reason, locked, origin, .. } = voice.what;
    let of = match voice.source {
        Source::Trunk => " on this trunk",
        Source::Default | Source::Number | Source::Job => "",
    };
    let whose = match origin {
        Origin::Operator => "set",
        Origin::Untouched | Origin::Learnt => "learnt",
    };
    let since = since.map_or_else(String::new, |at| format!(" {}", day(at)));
    let why = if reason.is_empty() { String::new() } else { format!(" {reason}") };
    let then = match until {
        _ if *locked => ", locked".to_owned(),
        Some(at) => format!(", on probation from {}", day(*at)),
        None => String::new(),
    };
    let label = label(*ability);
    if probation {
        format!("{label}{of} on probation: better than {setting} is tried again ({whose}{since}{why})")
    } else {
        format!("{label} {setting}{of}: {whose}{since}{why}{then}")
    }
}
