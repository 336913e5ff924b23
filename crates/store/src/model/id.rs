//! Ids: 32 lower-case hexadecimal characters, and at the REST face `YYYYMM-` before them once filed.

use super::Timestamp;
use core::fmt;
use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// This text as an id.
            #[must_use]
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// A new id. Ids made later sort after it (UUID version 7, RFC 9562 §5.7).
            #[must_use]
            pub fn generate() -> Self {
                Self(uuid::Uuid::now_v7().simple().to_string())
            }

            /// As text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl From<&str> for $name {
            fn from(text: &str) -> Self {
                Self(text.to_owned())
            }
        }

        impl From<String> for $name {
            fn from(text: String) -> Self {
                Self(text)
            }
        }
    )+};
}

ids! {
    /// An account: one customer.
    AccountId,
    /// A faxbox: one fax "machine" of an account.
    FaxboxId,
    /// A job: one document to be sent to one number.
    JobId,
    /// A received fax.
    FaxId,
    /// A notice in the mail outbox.
    NoticeId,
    /// A stored document.
    DocumentKey,
    /// A running ferrofax: it holds leases.
    NodeId,
}

/// The id of a filed fax as the REST face shows it: `YYYYMM-<id>`, the UTC month of its creation.
#[must_use]
pub fn filed_id(created: Timestamp, id: &str) -> String {
    let (year, month) = created.year_month();
    format!("{year:04}{month:02}-{id}")
}

/// The id without the month, if `text` has one; `text` as it is otherwise.
#[must_use]
pub fn unfiled_id(text: &str) -> &str {
    match text.split_once('-') {
        Some((month, id)) if month.len() == 6 && month.bytes().all(|b| b.is_ascii_digit()) => id,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_32_lower_case_hexadecimal_characters_and_sort_by_time() {
        let (a, b) = (JobId::generate(), JobId::generate());
        assert_eq!(a.as_str().len(), 32);
        assert!(a.as_str().bytes().all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f')));
        assert!(a < b);
    }

    #[test]
    fn a_filed_id_carries_its_utc_month() {
        let at = Timestamp::from_unix_seconds(1_767_225_599); // 2025-12-31T23:59:59Z
        assert_eq!(filed_id(at, "ab"), "202512-ab");
        assert_eq!(unfiled_id("202512-ab"), "ab");
        assert_eq!(unfiled_id("ab"), "ab");
        assert_eq!(unfiled_id("20251-ab"), "20251-ab");
    }
}
