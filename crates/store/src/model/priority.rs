//! How urgent a job is to its sender.

use serde::{Deserialize, Serialize};
use std::fmt;

/// How urgent a job is among those of its account that are due. It counts for nothing among accounts: nobody overtakes
/// another by calling all faxes urgent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Before all others.
    High,
    /// What says nothing.
    #[default]
    Normal,
    /// When nothing else is due.
    Low,
}

impl Priority {
    /// All of them, the most urgent first.
    pub const ALL: [Priority; 3] = [Priority::High, Priority::Normal, Priority::Low];
    /// Their words, in the same order.
    pub const WORDS: [&'static str; 3] = ["high", "normal", "low"];

    /// Its word.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Priority::High => "high",
            Priority::Normal => "normal",
            Priority::Low => "low",
        }
    }

    /// The priority that a word stands for.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Priority> {
        Priority::ALL.into_iter().find(|p| p.as_str() == word)
    }

    /// Its number in keys: what goes first sorts first.
    pub(crate) const fn lane(self) -> u8 {
        match self {
            Priority::High => 0,
            Priority::Normal => 1,
            Priority::Low => 2,
        }
    }

    /// Whether it is [`Priority::Normal`].
    #[must_use]
    pub const fn is_normal(&self) -> bool {
        matches!(self, Priority::Normal)
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_rows_and_lanes_agree() {
        for (priority, word) in Priority::ALL.into_iter().zip(Priority::WORDS) {
            assert_eq!(priority.to_string(), word);
            assert_eq!(Priority::of_word(word), Some(priority));
            assert_eq!(serde_json::to_string(&priority).unwrap(), format!("{word:?}"));
        }
        assert!(Priority::ALL.is_sorted_by_key(|p| p.lane()) && Priority::ALL.is_sorted());
        assert_eq!((Priority::of_word("urgent"), Priority::of_word("High")), (None, None));
    }
}
