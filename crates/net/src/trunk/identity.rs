//! How a trunk is told who calls: From, P-Asserted-Identity, P-Preferred-Identity, Privacy (RFC 3323, RFC 3325).

use super::numbers::{NumberFormat, escape};
use fax_sip::{OutgoingIdentity, Privacy};

/// Which header names the caller beside From.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Assertion {
    /// None.
    #[default]
    None,
    /// P-Asserted-Identity: to trunks that trust us.
    Asserted,
    /// P-Preferred-Identity: to trunks that assert it themselves.
    Preferred,
}

/// How the caller is told.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct IdentityRules {
    /// The user in From; empty: the caller's number. Trunks that know their customers by From want the account here,
    /// and the number elsewhere.
    pub from_user: String,
    /// The domain in From; empty: the trunk's.
    pub from_domain: String,
    /// The caller's name is told.
    pub display: bool,
    /// Where the caller's number stands beside From.
    pub assertion: Assertion,
}

impl Default for IdentityRules {
    fn default() -> Self {
        IdentityRules {
            from_user: String::new(),
            from_domain: String::new(),
            display: true,
            assertion: Assertion::None,
        }
    }
}

impl IdentityRules {
    /// Who calls, in the words of SIP. An anonymous caller is told to the trunk only, where it asks for that
    /// (RFC 3325 §7), and to nobody else.
    #[must_use]
    pub fn of(
        &self,
        numbers: &NumberFormat,
        number: &str,
        name: &str,
        domain: &str,
        anonymous: bool,
    ) -> OutgoingIdentity {
        let from_domain = if self.from_domain.is_empty() { domain } else { &self.from_domain };
        let caller = numbers.uri(number, from_domain, false);
        let (mut asserted, mut preferred) = (Vec::new(), None);
        match self.assertion {
            Assertion::None => {}
            Assertion::Asserted => asserted.push(caller.clone()),
            Assertion::Preferred => preferred = Some(caller.clone()),
        }
        // Quotes and what escapes them are more than some peers can read.
        let name: String = name.chars().filter(|c| !c.is_control() && !"\"\\".contains(*c)).collect();
        let known = !asserted.is_empty() || preferred.is_some();
        OutgoingIdentity {
            display: if self.display { name } else { String::new() },
            address: if self.from_user.is_empty() {
                caller
            } else {
                format!("sip:{}@{from_domain}", escape(&self.from_user))
            },
            asserted,
            preferred,
            privacy: Privacy { id: anonymous && known, user: anonymous && !known, ..Privacy::default() },
            // Where From is how the trunk knows us, the trunk hides it for us.
            anonymous_from: anonymous && self.from_user.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::NumberStyle;

    fn told(rules: &IdentityRules, name: &str, anonymous: bool) -> Vec<String> {
        let numbers = NumberFormat { style: NumberStyle::Digits, ..NumberFormat::default() };
        let identity = rules.of(&numbers, "+4930456", name, "trunk.example", anonymous);
        let from = format!("From: {}", identity.from_header());
        let others = identity.headers().into_iter().map(|(n, v)| format!("{n}: {v}"));
        std::iter::once(from).chain(others).collect()
    }

    #[test]
    fn the_caller_is_told_as_the_trunk_wants() {
        let usual = IdentityRules::default();
        assert_eq!(told(&usual, "Clinic", false), ["From: \"Clinic\" <sip:4930456@trunk.example>"]);
        assert_eq!(told(&usual, "", false), ["From: <sip:4930456@trunk.example>"]);
        let asserted = IdentityRules { assertion: Assertion::Asserted, display: false, ..usual.clone() };
        assert_eq!(
            told(&asserted, "Clinic", false),
            ["From: <sip:4930456@trunk.example>", "P-Asserted-Identity: <sip:4930456@trunk.example>"]
        );
        let by_account = IdentityRules {
            from_user: "acct 7".to_owned(),
            from_domain: "pbx.example".to_owned(),
            assertion: Assertion::Preferred,
            ..usual
        };
        assert_eq!(
            told(&by_account, "A \"B\"\r\nX: y", false),
            [
                "From: \"A BX: y\" <sip:acct%207@pbx.example>",
                "P-Preferred-Identity: \"A BX: y\" <sip:4930456@pbx.example>"
            ]
        );
    }

    #[test]
    fn an_anonymous_caller_is_known_to_the_trunk_alone() {
        let usual = IdentityRules::default();
        assert_eq!(
            told(&usual, "Clinic", true),
            ["From: \"Anonymous\" <sip:anonymous@anonymous.invalid>", "Privacy: user"]
        );
        let asserted = IdentityRules { assertion: Assertion::Asserted, display: false, ..usual };
        assert_eq!(
            told(&asserted, "Clinic", true),
            [
                "From: \"Anonymous\" <sip:anonymous@anonymous.invalid>",
                "P-Asserted-Identity: <sip:4930456@trunk.example>",
                "Privacy: id"
            ]
        );
    }
}
