//! How what calls say becomes decisions, and how decisions end: evidence, expiry, probation, locks.

use super::plan::{Plan, Source, label};
use super::testimony::{Says, Testimony};
use core::time::Duration;
use fax_store::model::{Ability, AccountId, FarEnd, Origin, Profile, ProfileKey, Timestamp, Trait, Witness};
use fax_store::port::ProfileChange;
use sha2::{Digest, Sha256};
use std::sync::{Arc, Mutex};

/// Points at which a decision is made.
const DECIDE: u32 = 2;
/// A probation that fails doubles the time to the next one, but never beyond this many times.
const MOST_DOUBLINGS: u32 = 6;
/// Failures longer ago than this have nothing to do with a success in another way.
const TOGETHER: Duration = Duration::from_secs(86_400);
/// Numbers that are remembered of a trunk for each ability.
const WINDOW: usize = 20;
/// A trunk carries that many times the faxes of a number.
const TRUNK_DELIVERIES: u32 = 10;
/// What is learnt of trunks: the others are the far machine's own.
const OF_TRUNKS: [Ability; 4] = [Ability::T38, Ability::Ecm, Ability::V17, Ability::ShortTraining];

/// How learning goes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct LearningRules {
    /// A decision goes on probation after this time; after half of it when the evidence was weak.
    pub expiry: Duration,
    /// The longest time that failed probations can stretch it to.
    pub longest_expiry: Duration,
    /// A decision goes on probation after so many faxes that were delivered with it, too; each failed probation doubles it.
    pub probation_after: u32,
    /// A trunk's setting is changed when so many numbers had to, and three of four of its last numbers.
    pub trunk_numbers: usize,
    /// Profiles of numbers that were not called for this long are removed.
    pub keep: Duration,
    /// No more profiles than this are kept.
    pub max_profiles: usize,
}

impl Default for LearningRules {
    fn default() -> Self {
        let days = |n: u64| Duration::from_secs(n * 86_400);
        LearningRules {
            expiry: days(30),
            longest_expiry: days(180),
            probation_after: 25,
            trunk_numbers: 4,
            keep: days(400),
            max_profiles: 100_000,
        }
    }
}

/// Whether the decision is put to the test by the next call.
#[must_use]
pub fn is_on_probation(t: &Trait, now: Timestamp, rules: &LearningRules) -> bool {
    let often = rules.probation_after.saturating_mul(1 << t.relapses.min(MOST_DOUBLINGS));
    t.step() > 0 && !t.locked && (t.until.is_some_and(|until| until <= now) || t.delivered >= often.max(1))
}

/// Until when a decision holds.
fn until(now: Timestamp, rules: &LearningRules, weak: bool, relapses: u32) -> Timestamp {
    let base = if weak { rules.expiry / 2 } else { rules.expiry };
    now.plus(base.saturating_mul(1 << relapses.min(MOST_DOUBLINGS)).min(rules.longest_expiry))
}

/// A decision from calls.
fn decide(t: &mut Trait, step: usize, weak: bool, why: &str, now: Timestamp, rules: &LearningRules) {
    let n = t.recent.max(1);
    let failures = if n == 1 { "1 failure".to_owned() } else { format!("{n} failures") };
    t.setting = t.ability.setting(step).to_owned();
    t.origin = Origin::Learnt;
    t.reason = format!("after {failures}: {why}");
    t.since = Some(now);
    t.until = Some(until(now, rules, weak, t.relapses));
    t.points = 0;
    t.towards = String::new();
    t.delivered = 0;
}

/// What a call that was made with `used` says to a trait.
pub(super) fn learn(
    t: &mut Trait,
    testimony: &Testimony,
    used: usize,
    class: &str,
    now: Timestamp,
    rules: &LearningRules,
) {
    let decided = t.step();
    let together = t.last_failure.as_ref().is_some_and(|(at, _)| now.since(*at) <= TOGETHER);
    if t.last_failure.as_ref().is_none_or(|(at, _)| now.since(*at) > rules.expiry) {
        // Evidence expires as decisions do.
        t.points = 0;
    }
    match testimony.says {
        Says::Works(step) => {
            t.successes = t.successes.saturating_add(1);
            t.last_success = Some(now);
            if t.locked {
                return;
            }
            if step < decided {
                t.setting = t.ability.setting(step).to_owned();
                t.reason = format!("{} worked again", label(t.ability));
                (t.since, t.delivered, t.relapses, t.points, t.recent) = (Some(now), 0, 0, 0, 0);
                t.until = (step > 0).then(|| until(now, rules, true, 0));
                t.origin = if step > 0 { Origin::Learnt } else { Origin::Untouched };
            } else if step == decided {
                t.points = t.points.saturating_sub(DECIDE);
                t.recent = if t.points == 0 && decided == 0 { 0 } else { t.recent };
            }
        }
        Says::Fails { points, towards } => {
            t.failures = t.failures.saturating_add(1);
            t.recent = t.recent.saturating_add(1);
            t.last_failure = Some((now, class.to_owned()));
            if t.locked {
                return;
            }
            if used < decided {
                // It was on probation, or the job's own ladder tried it: the decision stands, and for longer.
                t.relapses = t.relapses.saturating_add(1);
                decide(t, decided, false, testimony.why, now, rules);
            } else if towards > decided {
                t.points = t.points.saturating_add(points);
                t.towards = t.ability.setting(towards).to_owned();
                if t.points >= DECIDE {
                    decide(t, towards, points < DECIDE, testimony.why, now, rules);
                }
            }
        }
        Says::Without(step) => {
            let towards = t.ability.step(&t.towards);
            let fits = towards.is_some_and(|towards| towards > decided && step >= towards);
            if t.locked || !fits || !together || t.points == 0 {
                return;
            }
            // With it a fax of these hours failed, without it this one was delivered.
            t.points = t.points.saturating_add(1);
            if t.points >= DECIDE {
                let why = format!("with it faxes failed ({}), without it one was delivered", last_class(t));
                decide(t, towards.unwrap_or(step), false, &why, now, rules);
            }
        }
    }
}

fn last_class(t: &Trait) -> String {
    t.last_failure.as_ref().map(|(_, class)| class.clone()).unwrap_or_default()
}

/// Somebody sets a trait to a step of [`Ability::settings`], or locks it, or both. What is not locked is put to the test like
/// what was learnt.
pub fn set_by_operator(
    t: &mut Trait,
    step: Option<usize>,
    locked: Option<bool>,
    now: Timestamp,
    rules: &LearningRules,
) {
    if let Some(step) = step {
        t.setting = t.ability.setting(step).to_owned();
        t.reason = "by the operator".to_owned();
        t.since = Some(now);
        (t.points, t.recent, t.delivered, t.relapses) = (0, 0, 0, 0);
        t.towards = String::new();
    }
    t.locked = locked.unwrap_or(t.locked);
    t.origin = match (t.locked, step) {
        (true, _) => Origin::Operator,
        (false, Some(_)) if t.step() > 0 => Origin::Operator,
        // Unlocked: what was known goes on; the best needs no owner.
        (false, _) if t.step() > 0 => t.origin,
        (false, _) => Origin::Untouched,
    };
    let holds = t.locked || t.step() == 0;
    t.until = (!holds).then(|| until(now, rules, false, t.relapses));
}

/// What a call taught, to be written when its attempt ends.
#[derive(Clone, PartialEq, Debug)]
pub struct Lesson {
    /// Whose call it was.
    pub account: AccountId,
    /// The number called.
    pub number: String,
    /// By which trunk.
    pub trunk: String,
    /// How it was made.
    pub plan: Plan,
    /// What it says.
    pub said: Vec<Testimony>,
    /// Whether the fax was delivered.
    pub delivered: bool,
    /// Its class.
    pub class: String,
    /// The rate of the last page that was confirmed, bit/s.
    pub bit_rate: Option<u32>,
    /// What the far end said of itself.
    pub far_end: Option<FarEnd>,
    /// When it ended.
    pub at: Timestamp,
}

impl Lesson {
    /// The changes that it makes to the profiles.
    #[must_use]
    pub fn changes(&self, rules: &LearningRules) -> Vec<ProfileChange> {
        let rules = *rules;
        // What the number's profile makes of it is told to the trunk's, which is changed after it.
        let verdicts: Arc<Mutex<Vec<(Ability, String)>>> = Arc::default();
        let number: ProfileChange = {
            let (lesson, verdicts) = (self.clone(), verdicts.clone());
            let key = ProfileKey::number(self.account.clone(), self.number.clone());
            let change =
                move |p: &mut Profile| *crate::service::lock(&verdicts) = lesson.to_number(p, &rules);
            (key, Box::new(change))
        };
        let trunk: ProfileChange = {
            let lesson = self.clone();
            let change = move |p: &mut Profile| {
                let verdicts = crate::service::lock(&verdicts).clone();
                lesson.to_trunk(p, &verdicts, &rules);
            };
            (ProfileKey::trunk(self.trunk.clone()), Box::new(change))
        };
        vec![number, trunk]
    }

    fn count(&self, p: &mut Profile) {
        if p.calls == 0 && p.created == Timestamp::default() {
            p.created = self.at;
        }
        p.modified = p.modified.max(self.at);
        p.calls = p.calls.saturating_add(1);
        if self.delivered {
            p.delivered = p.delivered.saturating_add(1);
            p.last_delivered = Some(self.at);
        } else {
            p.last_failure = Some((self.at, self.class.clone()));
        }
        p.best_bit_rate = p.best_bit_rate.max(self.bit_rate);
        p.last_bit_rate = self.bit_rate.or(p.last_bit_rate);
    }

    /// Changes a number's profile. Answers what it now says about each ability of which the call said something.
    pub(super) fn to_number(&self, p: &mut Profile, rules: &LearningRules) -> Vec<(Ability, String)> {
        self.count(p);
        if let Some(far_end) = &self.far_end {
            p.far_end = Some(far_end.clone());
        }
        let mut verdicts = Vec::new();
        for planned in &self.plan.entries {
            let ability = planned.ability;
            let by = (ability == Ability::T38).then_some(self.trunk.as_str());
            // A decision for all trunks, which only people make, is the one that is tested.
            let by = by.filter(|_| p.about(ability, None).is_none_or(|t| t.step() == 0 && !t.locked));
            let said = self.said.iter().find(|t| t.ability == ability);
            if said.is_none() && p.about(ability, by).is_none() {
                continue;
            }
            let verdict = p.change(ability, by, |t| {
                if self.delivered && t.step() > 0 && planned.step >= t.step() {
                    t.delivered = t.delivered.saturating_add(1);
                }
                let said = said?;
                learn(t, said, planned.step, &self.class, self.at, rules);
                let decided_now = t.step() > 0 && t.since == Some(self.at);
                (decided_now || said.says == Says::Works(0)).then(|| t.setting.clone())
            });
            verdicts.extend(verdict.map(|setting| (ability, setting)));
        }
        verdicts
    }

    /// Changes a trunk's profile: `verdicts` is what the number's profile now says.
    pub(super) fn to_trunk(&self, p: &mut Profile, verdicts: &[(Ability, String)], rules: &LearningRules) {
        self.count(p);
        let digest: String = Sha256::digest(format!("{}/{}", self.account, self.number))
            .iter()
            .take(8)
            .map(|o| format!("{o:02x}"))
            .collect();
        for ability in OF_TRUNKS {
            let Some(planned) = self.plan.entry(ability) else { continue };
            let decided = p.about(ability, None).map_or(0, Trait::step);
            let said = self.said.iter().find(|t| t.ability == ability);
            if decided > 0 {
                p.change(ability, None, |t| {
                    if self.delivered && planned.step >= decided {
                        t.delivered = t.delivered.saturating_add(1);
                    }
                    // Only its own probation judges a trunk's decision: a number that is known to be different does not.
                    if let Some(said) = said.filter(|_| planned.source == Source::Trunk && planned.probation)
                    {
                        learn(t, said, planned.step, &self.class, self.at, rules);
                    }
                });
                if p.about(ability, None).is_some_and(|t| t.step() == 0) {
                    p.witnesses.retain(|w| w.ability != ability);
                }
                continue;
            }
            let Some((_, setting)) = verdicts.iter().find(|(a, _)| *a == ability) else { continue };
            let old = |w: &Witness| self.at.since(w.at) > rules.expiry;
            let replaced = |w: &Witness| w.ability == ability && w.number == digest;
            p.witnesses.retain(|w| !(old(w) || replaced(w)));
            p.witnesses.push(Witness {
                ability,
                number: digest.clone(),
                setting: setting.clone(),
                at: self.at,
            });
            let of_this = |w: &&Witness| w.ability == ability;
            if p.witnesses.iter().filter(of_this).count() > WINDOW
                && let Some(first) = p.witnesses.iter().position(|w| w.ability == ability)
            {
                p.witnesses.remove(first);
            }
            self.judge_trunk(p, ability, rules);
        }
    }

    fn judge_trunk(&self, p: &mut Profile, ability: Ability, rules: &LearningRules) {
        let of_this = || p.witnesses.iter().filter(|w| w.ability == ability);
        let steps: Vec<usize> = of_this().filter_map(|w| ability.step(&w.setting)).collect();
        let failing: Vec<usize> = steps.iter().copied().filter(|s| *s > 0).collect();
        let enough = failing.len() >= rules.trunk_numbers.max(1) && failing.len() * 4 >= steps.len() * 3;
        // The mildest that all of them can live with.
        let Some(step) = failing.iter().copied().min().filter(|_| enough) else { return };
        let numbers = failing.len();
        p.change(ability, None, |t| {
            if !t.locked {
                decide(t, step, false, "", self.at, rules);
                t.reason = format!("after it failed at {numbers} of its last {} numbers", steps.len());
            }
        });
    }
}

/// How many faxes are delivered by a trunk with a decision before it is put to the test.
#[must_use]
pub(super) const fn rules_of_trunk(rules: &LearningRules) -> LearningRules {
    LearningRules { probation_after: rules.probation_after.saturating_mul(TRUNK_DELIVERIES), ..*rules }
}
