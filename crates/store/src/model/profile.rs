//! What is known of a number or a trunk from the calls that were made: far end, abilities, evidence and decisions (the
//! failures that T.30 clause 5 and ITU-T TSB-85 describe, remembered per destination).

use super::{AccountId, Timestamp};
use serde::{Deserialize, Serialize};

/// Whose profile it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProfileKey {
    /// A number, as calls of one account found it: accounts do not see each other's.
    Number {
        /// The account.
        account: AccountId,
        /// The number, normalised.
        number: String,
    },
    /// A trunk, for all accounts.
    Trunk {
        /// Its name.
        trunk: String,
    },
    /// Nobody's: what a row that cannot be told apart becomes.
    #[default]
    None,
}

impl ProfileKey {
    /// A number's.
    #[must_use]
    pub fn number(account: AccountId, number: impl Into<String>) -> Self {
        ProfileKey::Number { account, number: number.into() }
    }

    /// A trunk's.
    #[must_use]
    pub fn trunk(name: impl Into<String>) -> Self {
        ProfileKey::Trunk { trunk: name.into() }
    }

    /// Kind, owner and name: how rows are ordered.
    #[must_use]
    pub fn parts(&self) -> (u8, &str, &str) {
        match self {
            ProfileKey::Number { account, number } => (0, account.as_str(), number),
            ProfileKey::Trunk { trunk } => (1, "", trunk),
            ProfileKey::None => (2, "", ""),
        }
    }
}

/// Something that a far end or a route can do, or cannot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ability {
    /// T.38 instead of audio: a matter of number and trunk together.
    T38,
    /// Error correction (T.30 Annex A).
    Ecm,
    /// The modem of V.17.
    V17,
    /// V.17's short training before an image (T.30 clause 5.3.6.1.3 allows no other there): without it there is no V.17.
    ShortTraining,
    /// The highest rate, bit/s.
    Rate,
    /// The densest coding.
    Coding,
}

impl Ability {
    /// All of them.
    pub const ALL: [Ability; 6] =
        [Ability::T38, Ability::Ecm, Ability::V17, Ability::ShortTraining, Ability::Rate, Ability::Coding];

    /// Its name in rows, REST and the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Ability::T38 => "t38",
            Ability::Ecm => "ecm",
            Ability::V17 => "v17",
            Ability::ShortTraining => "short_training",
            Ability::Rate => "rate",
            Ability::Coding => "coding",
        }
    }

    /// The ability with this name.
    #[must_use]
    pub fn of_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|a| a.name() == name)
    }

    /// What it can be set to, the best first: a step is an index into this.
    #[must_use]
    pub const fn settings(self) -> &'static [&'static str] {
        match self {
            // `accept-only`: we do not offer it, and take it when it is offered.
            Ability::T38 => &["on", "accept-only", "off"],
            Ability::Ecm | Ability::V17 | Ability::ShortTraining => &["on", "off"],
            Ability::Rate => &["any", "12000", "9600", "7200", "4800", "2400"],
            Ability::Coding => &["any", "mmr", "mr", "mh"],
        }
    }

    /// The step that a setting is.
    #[must_use]
    pub fn step(self, setting: &str) -> Option<usize> {
        self.settings().iter().position(|s| *s == setting)
    }

    /// The setting of a step; beyond the last it is the last.
    #[must_use]
    pub fn setting(self, step: usize) -> &'static str {
        let all = self.settings();
        all.get(step).or(all.last()).copied().unwrap_or("on")
    }
}

/// Where a setting comes from.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Nothing is known that speaks against the best.
    #[default]
    Untouched,
    /// From calls.
    Learnt,
    /// Somebody set it.
    Operator,
}

/// What is known of one ability, and what was decided.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Trait {
    /// Which.
    pub ability: Ability,
    /// By which trunk, where that matters; `None`: by all.
    pub trunk: Option<String>,
    /// One of [`Ability::settings`].
    pub setting: String,
    /// Calls do not change it.
    pub locked: bool,
    /// Whose decision it is.
    pub origin: Origin,
    /// Why, in a plain sentence.
    pub reason: String,
    /// When it was decided.
    pub since: Option<Timestamp>,
    /// When it goes on probation: from then on a call tries the next better setting.
    pub until: Option<Timestamp>,
    /// Weight of what speaks against the present setting.
    pub points: u32,
    /// The setting for which those points speak.
    pub towards: String,
    /// Calls that spoke against it, in all.
    pub failures: u32,
    /// Those among them since it worked last.
    pub recent: u32,
    /// Calls that spoke for it, in all.
    pub successes: u32,
    /// The last call that spoke against it, and its class.
    pub last_failure: Option<(Timestamp, String)>,
    /// The last call that spoke for the best setting that was tried.
    pub last_success: Option<Timestamp>,
    /// Faxes delivered with the decided setting.
    pub delivered: u32,
    /// Probations that failed, one after the other.
    pub relapses: u32,
}

impl Default for Trait {
    fn default() -> Self {
        Trait::new(Ability::T38, None)
    }
}

impl Trait {
    /// Nothing known.
    #[must_use]
    pub fn new(ability: Ability, trunk: Option<String>) -> Self {
        Trait {
            ability,
            trunk,
            setting: ability.setting(0).to_owned(),
            locked: false,
            origin: Origin::Untouched,
            reason: String::new(),
            since: None,
            until: None,
            points: 0,
            towards: String::new(),
            failures: 0,
            recent: 0,
            successes: 0,
            last_failure: None,
            last_success: None,
            delivered: 0,
            relapses: 0,
        }
    }

    /// The step that is decided; 0, the best, for a setting that is not known (any more).
    #[must_use]
    pub fn step(&self) -> usize {
        self.ability.step(&self.setting).unwrap_or(0)
    }
}

/// What the far end said of itself when it was last heard.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct FarEnd {
    /// When.
    pub at: Timestamp,
    /// Its subscriber number (CSI).
    pub ident: Option<String>,
    /// Who made it, by its NSF.
    pub maker: Option<String>,
    /// The information field of its DIS, in hexadecimal.
    pub dis: String,
    /// The same in words.
    pub says: Vec<String>,
}

/// What a number told about a trunk.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Witness {
    /// About what.
    pub ability: Ability,
    /// Which number: a digest, as only being another one matters.
    pub number: String,
    /// The setting that was found right there: the best one, or what was decided for it.
    pub setting: String,
    /// When it said so last.
    pub at: Timestamp,
}

/// What is known of a number or a trunk.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Profile {
    /// Whose.
    pub key: ProfileKey,
    /// When it began.
    pub created: Timestamp,
    /// When a call or somebody changed it last.
    pub modified: Timestamp,
    /// Calls that were answered by a fax machine.
    pub calls: u32,
    /// Those among them that delivered.
    pub delivered: u32,
    /// The last that did.
    pub last_delivered: Option<Timestamp>,
    /// The last that did not, and its class.
    pub last_failure: Option<(Timestamp, String)>,
    /// What the far end said of itself.
    pub far_end: Option<FarEnd>,
    /// The fastest rate at which a page was confirmed, bit/s.
    pub best_bit_rate: Option<u32>,
    /// The last such rate, bit/s.
    pub last_bit_rate: Option<u32>,
    /// The abilities of which anything is known.
    pub traits: Vec<Trait>,
    /// Of a trunk: what its last numbers told.
    pub witnesses: Vec<Witness>,
    /// Of a number: its last calls were refused for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead: Option<Dead>,
}

/// A number whose last calls were all refused for good.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Dead {
    /// How many, one after the other.
    pub calls: u32,
    /// The last of them.
    pub last: Timestamp,
    /// It is not called before this time; `None`: it still is.
    pub until: Option<Timestamp>,
}

impl Profile {
    /// An empty profile.
    #[must_use]
    pub fn new(key: ProfileKey, now: Timestamp) -> Self {
        Profile { key, created: now, modified: now, ..Profile::default() }
    }

    /// What is known of an ability, by exactly this trunk or by all.
    #[must_use]
    pub fn about(&self, ability: Ability, trunk: Option<&str>) -> Option<&Trait> {
        self.traits.iter().find(|t| t.ability == ability && t.trunk.as_deref() == trunk)
    }

    /// Changes what is known of an ability, by exactly this trunk or by all; it is begun if need be.
    pub fn change<R>(
        &mut self,
        ability: Ability,
        trunk: Option<&str>,
        change: impl FnOnce(&mut Trait) -> R,
    ) -> R {
        let same = |t: &&mut Trait| t.ability == ability && t.trunk.as_deref() == trunk;
        if let Some(known) = self.traits.iter_mut().find(same) {
            return change(known);
        }
        let mut new = Trait::new(ability, trunk.map(str::to_owned));
        let changed = change(&mut new);
        self.traits.push(new);
        changed
    }

    /// Whether somebody locked any of it: such a profile is not removed for its age.
    #[must_use]
    pub fn is_locked(&self) -> bool {
        self.traits.iter().any(|t| t.locked)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_and_steps_go_both_ways_and_names_are_unique() {
        for ability in Ability::ALL {
            assert_eq!(Ability::of_name(ability.name()), Some(ability));
            for (step, setting) in ability.settings().iter().enumerate() {
                assert_eq!((ability.step(setting), ability.setting(step)), (Some(step), *setting));
            }
            assert_eq!(ability.step("nonsense"), None);
        }
    }

    #[test]
    fn rows_of_another_version_are_read_as_far_as_they_go() {
        let row =
            r#"{"key":{"trunk":{"trunk":"c"}},"traits":[{"ability":"rate","setting":"33600","new":1}]}"#;
        let profile: Profile = serde_json::from_str(row).unwrap();
        assert_eq!(profile.key, ProfileKey::trunk("c"));
        assert_eq!(profile.traits[0].step(), 0);
    }
}
