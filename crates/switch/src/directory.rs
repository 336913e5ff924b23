//! Who may use the switch: accounts, users, faxboxes, numbers and keys, as the configuration gives them (they are *fixed*)
//! and as they are set up while it runs ([`entries`]).

pub mod entries;
pub mod permission;

use crate::number::NumberPlan;
use crate::policy::SendHours;
use crate::retention::OwnRetention;
use crate::routing::Routing;
use entries::Stored;
use fax_store::model::{AccountId, FaxboxId, Timestamp};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

/// A customer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its name.
    pub name: String,
    /// Its SIP realm, which is a mail domain too.
    pub realm: String,
    /// SHA-256 of its API keys.
    pub api_keys_sha256: Vec<[u8; 32]>,
    /// IANA time zone; empty: UTC.
    pub timezone: String,
    /// How many calls it may have going out at a time; `None`: see [`Directory::max_outbound`].
    pub max_outbound: Option<u32>,
    /// Its numbers, normalised.
    pub numbers: Vec<String>,
    /// When its faxes are sent.
    pub send_hours: SendHours,
    /// How long its faxes are kept, where the configuration does not say it.
    pub retention: OwnRetention,
    /// It is the operator's: it may see and change what concerns all accounts, as what was learnt of trunks.
    pub operator: bool,
    /// The account above it.
    pub parent: Option<AccountId>,
    /// Its faxes may show only numbers of its own.
    pub own_caller_ids: bool,
    /// It is shut: nobody gets in, nothing is sent.
    pub disabled: bool,
    /// It stands in the configuration.
    pub fixed: bool,
}

/// A person of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct User {
    /// Id.
    pub id: String,
    /// Whose person.
    pub account: AccountId,
    /// User name, lower-case; empty: cannot log in.
    pub name: String,
    /// First and last name.
    pub full_name: String,
    /// E-mail address.
    pub email: String,
    /// IANA time zone; empty: the account's.
    pub timezone: String,
    /// May administer the account.
    pub admin: bool,
    /// Cannot log in now.
    pub disabled: bool,
    /// What is kept of the password.
    pub password: Option<Password>,
}

/// What is kept of a password: strong hashes of the two digests that clients send instead of it.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Password {
    /// Of the hexadecimal MD5 of `name:password`, in PHC's format.
    pub md5: String,
    /// Of the SHA-1.
    pub sha1: String,
}

impl core::fmt::Debug for Password {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Password(…)")
    }
}

/// An API key, known by its digest.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Key {
    /// Its id.
    pub id: String,
    /// Whose it is.
    pub account: AccountId,
    /// SHA-256 of the key.
    pub digest: [u8; 32],
    /// What it may be used for; empty: everything.
    pub scopes: Vec<String>,
    /// Until when.
    pub expires: Option<Timestamp>,
}

/// A fax "machine" of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Faxbox {
    /// Its id.
    pub id: FaxboxId,
    /// Whose it is.
    pub account: AccountId,
    /// Its label.
    pub name: String,
    /// Caller's name of calls.
    pub caller_name: String,
    /// Caller's number of calls.
    pub caller_id: String,
    /// The name in the line at the top of each page; empty: the caller's or the account's; `-`: no such line.
    pub fax_header: String,
    /// Subscriber number: TSI when sending, CSI when receiving.
    pub fax_identity: String,
    /// IANA time zone; empty: the account's.
    pub timezone: String,
    /// What is sent from it goes in grey and colour to whoever takes that, unless the job says otherwise.
    pub colour: bool,
    /// Attempts in all.
    pub retries: u32,
    /// When its faxes are sent; empty: as the account says.
    pub send_hours: SendHours,
    /// Numbers on which it receives.
    pub numbers: Vec<String>,
    /// Its generated mail domain.
    pub mail_domain: String,
    /// A mail domain of the customer's own.
    pub custom_mail_domain: Option<String>,
    /// Who may send by mail: addresses (any case) or regular expressions that are looked for in the
    /// address.
    pub smtp_permission_list: Vec<String>,
    /// The user who owns it.
    pub owner: Option<String>,
    /// That user's e-mail address.
    pub owner_email: Option<String>,
    /// Who is told about received faxes.
    pub notify_inbound: Vec<String>,
    /// Who is told about sent faxes.
    pub notify_outbound: Vec<String>,
    /// The URL that is told about received faxes: `url`, `method` (`post`, `put`), `type` (`json`, `www-url-form-encoded`).
    pub callback_inbound: Option<Map<String, Value>>,
    /// The one that is told about sent faxes.
    pub callback_outbound: Option<Map<String, Value>>,
    /// It receives by audio alone (`media.fax_option` is false).
    pub audio_only: bool,
    /// It stands in the configuration.
    pub fixed: bool,
    /// It is no faxbox that anybody made, but what a user receives into whose calls go to `receive_fax`.
    pub implicit: bool,
}

/// All accounts and faxboxes, with look-ups. Never changed, only replaced: see
/// [`crate::Service::reload`].
#[derive(Clone, Debug, Default)]
pub struct Directory {
    accounts: BTreeMap<AccountId, Arc<Account>>,
    faxboxes: BTreeMap<FaxboxId, Arc<Faxbox>>,
    boxes_of: BTreeSet<(AccountId, FaxboxId)>,
    keys: HashMap<[u8; 32], Arc<Key>>,
    /// Realms and mail domains, lower-case: no two have the same.
    domains: HashMap<String, Domain>,
    /// Faxboxes by numbers that stand in the configuration.
    numbers: HashMap<String, FaxboxId>,
    /// Whose a number is.
    owners: HashMap<String, AccountId>,
    stored: Stored,
    pub(crate) routing: Routing,
    pub(crate) terminal_users: HashMap<String, usize>,
    pub(crate) terminal_numbers: HashMap<String, usize>,
}

/// Whose a domain is.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Domain {
    Realm(AccountId),
    Mail(FaxboxId),
}

impl Directory {
    /// A directory of what stands in the configuration. Numbers are normalised by `plan`.
    ///
    /// # Errors
    ///
    /// In a sentence: an id, key, realm, number or mail domain that is there twice, or a faxbox without account.
    pub fn new(accounts: Vec<Account>, faxboxes: Vec<Faxbox>, plan: &NumberPlan) -> Result<Self, String> {
        let mut d = Directory::default();
        for mut a in accounts {
            for n in &mut a.numbers {
                *n = plan.normalise(n);
                d.owners.entry(n.clone()).or_insert_with(|| a.id.clone());
            }
            for digest in &a.api_keys_sha256 {
                let id = hex::encode(&digest[..8]);
                let key = Key { id, account: a.id.clone(), digest: *digest, ..Key::default() };
                if d.keys.insert(*digest, Arc::new(key)).is_some() {
                    return Err(format!("an API key of account {} is used twice", a.id));
                }
            }
            let realm = a.realm.to_lowercase();
            if !realm.is_empty() && d.domains.insert(realm, Domain::Realm(a.id.clone())).is_some() {
                return Err(format!("realm {} is used twice", a.realm));
            }
            let id = a.id.clone();
            if d.accounts.insert(id.clone(), Arc::new(Account { fixed: true, ..a })).is_some() {
                return Err(format!("account {id} is there twice"));
            }
        }
        for mut f in faxboxes {
            if !d.accounts.contains_key(&f.account) {
                return Err(format!("faxbox {} has no account {}", f.id, f.account));
            }
            for n in &mut f.numbers {
                *n = plan.normalise(n);
                if d.numbers.insert(n.clone(), f.id.clone()).is_some() {
                    return Err(format!("number {n} is used by two faxboxes"));
                }
                d.owners.insert(n.clone(), f.account.clone());
            }
            let own = Domain::Mail(f.id.clone());
            for domain in f.mail_domains() {
                let old = d.domains.insert(domain.to_lowercase(), own.clone());
                // A realm may be the domain of one of its faxboxes, too.
                if old.is_some_and(|old| old != own && old != Domain::Realm(f.account.clone())) {
                    return Err(format!("mail domain {domain} is used twice"));
                }
            }
            d.boxes_of.insert((f.account.clone(), f.id.clone()));
            let id = f.id.clone();
            if d.faxboxes.insert(id.clone(), Arc::new(Faxbox { fixed: true, ..f })).is_some() {
                return Err(format!("faxbox {id} is there twice"));
            }
        }
        Ok(d)
    }

    /// All accounts, by their ids.
    pub fn accounts(&self) -> impl Iterator<Item = &Account> {
        self.accounts.values().map(Arc::as_ref)
    }

    /// All faxboxes, by their ids.
    pub fn faxboxes(&self) -> impl Iterator<Item = &Faxbox> {
        self.faxboxes.values().map(Arc::as_ref).filter(|f| !f.implicit)
    }

    /// The faxboxes of an account.
    pub fn faxboxes_of<'a>(&'a self, account: &'a AccountId) -> impl Iterator<Item = &'a Faxbox> {
        let first = (account.clone(), FaxboxId::default());
        let ids = self.boxes_of.range(first..).take_while(move |(a, _)| a == account);
        ids.filter_map(|(_, id)| self.faxbox(id)).filter(|f| !f.implicit)
    }

    /// An account by its id.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.accounts.get(id).map(Arc::as_ref)
    }

    /// An API key. Only digests are compared.
    #[must_use]
    pub fn key(&self, api_key: &str) -> Option<&Key> {
        let digest: [u8; 32] = Sha256::digest(api_key.as_bytes()).into();
        self.keys.get(&digest).map(Arc::as_ref)
    }

    /// The API keys of an account.
    pub fn keys_of<'a>(&'a self, account: &'a AccountId) -> impl Iterator<Item = &'a Key> {
        self.keys.values().map(Arc::as_ref).filter(move |k| k.account == *account)
    }

    /// The account with this API key.
    #[must_use]
    pub fn account_by_key(&self, api_key: &str) -> Option<&Account> {
        self.account(&self.key(api_key)?.account)
    }

    /// The account with this realm, in any case.
    #[must_use]
    pub fn account_by_realm(&self, realm: &str) -> Option<&Account> {
        match self.domains.get(&realm.to_lowercase())? {
            Domain::Realm(id) => self.account(id),
            // A realm may be the domain of one of its faxboxes, too.
            Domain::Mail(id) => {
                let account = self.account(&self.faxbox(id)?.account)?;
                account.realm.eq_ignore_ascii_case(realm).then_some(account)
            }
        }
    }

    /// The account with this name, in any case and however it is spaced, if there is only one.
    #[must_use]
    pub fn account_by_name(&self, name: &str) -> Option<&Account> {
        let wanted = plain_name(name);
        let mut found = self.accounts().filter(|a| plain_name(&a.name) == wanted);
        match (found.next(), found.next()) {
            (Some(only), None) => Some(only),
            _ => None,
        }
    }

    /// Whether `account` is `above` or lies somewhere below it.
    #[must_use]
    pub fn is_within(&self, account: &AccountId, above: &AccountId) -> bool {
        self.line_of(account).any(|a| a.id == *above)
    }

    /// An account and those above it, from below.
    pub fn line_of<'a>(&'a self, account: &AccountId) -> impl Iterator<Item = &'a Account> {
        let up = |a: &&'a Account| a.parent.as_ref().and_then(|p| self.account(p));
        // A ring cannot be made, but it would have to end.
        std::iter::successors(self.account(account), up).take(DEEPEST)
    }

    /// Whether an account is shut, or one above it.
    #[must_use]
    pub fn is_disabled(&self, account: &AccountId) -> bool {
        self.line_of(account).any(|a| a.disabled)
    }

    /// How many calls an account may have going out at a time: what it says itself, or else the next account above it
    /// that says something. It is for each of them, not for all together. `None`: none says anything.
    #[must_use]
    pub fn max_outbound(&self, account: &AccountId) -> Option<u32> {
        self.line_of(account).find_map(|a| a.max_outbound)
    }

    /// The accounts right below one.
    pub fn children_of<'a>(&'a self, account: &'a AccountId) -> impl Iterator<Item = &'a Account> {
        self.accounts().filter(move |a| a.parent.as_ref() == Some(account))
    }

    /// A faxbox by its id.
    #[must_use]
    pub fn faxbox(&self, id: &FaxboxId) -> Option<&Faxbox> {
        self.faxboxes.get(id).map(Arc::as_ref)
    }

    /// The faxbox that receives on this number, which is normalised already.
    #[must_use]
    pub fn faxbox_by_number(&self, number: &str) -> Option<&Faxbox> {
        if let Some(id) = self.numbers.get(number) {
            return self.faxbox(id);
        }
        let owner = self.owners.get(number)?;
        self.faxbox(self.stored.target(owner, number)?).filter(|f| f.account == *owner)
    }

    /// Whose this number is, which is normalised already.
    #[must_use]
    pub fn owner_of_number(&self, number: &str) -> Option<&AccountId> {
        self.owners.get(number)
    }

    /// The numbers of an account, sorted.
    #[must_use]
    pub fn numbers_of(&self, account: &AccountId) -> Vec<&str> {
        let own = self.owners.iter().filter(|(_, owner)| *owner == account);
        let mut numbers: Vec<&str> = own.map(|(number, _)| number.as_str()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// The faxbox with this mail domain, generated or custom, in any case.
    #[must_use]
    pub fn faxbox_by_mail_domain(&self, domain: &str) -> Option<&Faxbox> {
        match self.domains.get(&domain.to_lowercase())? {
            Domain::Mail(id) => self.faxbox(id),
            Domain::Realm(_) => None,
        }
    }

    /// Whether a domain stands in the configuration.
    pub(crate) fn is_fixed_domain(&self, domain: &str) -> bool {
        self.domains.get(domain).is_some_and(|of| match of {
            Domain::Realm(id) => self.account(id).is_some_and(|a| a.fixed),
            Domain::Mail(id) => self.faxbox(id).is_some_and(|f| f.fixed),
        })
    }

    /// Whether a number stands in the configuration.
    pub(crate) fn is_fixed_number(&self, number: &str) -> bool {
        self.numbers.contains_key(number)
            || self.terminal_numbers.contains_key(number)
            || self.accounts().any(|a| a.fixed && a.numbers.iter().any(|n| n == number))
    }

    /// A number of the configuration that is this account's.
    pub(crate) fn fix_number(&mut self, number: &str, account: &AccountId) {
        self.owners.insert(number.to_owned(), account.clone());
    }

    /// The e-mail address of a faxbox's owner.
    #[must_use]
    pub fn owner_email<'a>(&'a self, faxbox: &'a Faxbox) -> Option<&'a str> {
        let owner = || self.user(&faxbox.account, faxbox.owner.as_deref()?).map(|u| u.email.as_str());
        faxbox.owner_email.as_deref().or_else(owner).filter(|e| !e.is_empty())
    }

    /// The time zone of a faxbox: its own, its owner's, its account's; empty: UTC.
    #[must_use]
    pub fn timezone<'a>(&'a self, account: &AccountId, faxbox: Option<&'a Faxbox>) -> &'a str {
        let owner = faxbox.and_then(|f| self.user(account, f.owner.as_deref()?));
        let zones = [
            faxbox.map(|f| f.timezone.as_str()),
            owner.map(|u| u.timezone.as_str()),
            self.account(account).map(|a| a.timezone.as_str()),
        ];
        zones.into_iter().flatten().find(|z| !z.is_empty()).unwrap_or_default()
    }
}

/// No account lies deeper below others.
pub const DEEPEST: usize = 32;

/// A name as names are compared: letters and digits in lower case.
#[must_use]
pub fn plain_name(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

impl Faxbox {
    /// The URL that is told about faxes of one way.
    #[must_use]
    pub fn callback(&self, inbound: bool) -> Option<&Map<String, Value>> {
        if inbound { self.callback_inbound.as_ref() } else { self.callback_outbound.as_ref() }
    }

    /// Its mail domains.
    pub fn mail_domains(&self) -> impl Iterator<Item = &str> {
        let all = [Some(&self.mail_domain), self.custom_mail_domain.as_ref()];
        all.into_iter().flatten().map(String::as_str).filter(|d| !d.is_empty())
    }

    /// Whether `address` is on the permission list, in any case: as an address, by its domain (`@clinic.example`), or found
    /// by an entry that is a regular expression. An empty list permits nobody.
    #[must_use]
    pub fn permits(&self, address: &str) -> bool {
        let list = &self.smtp_permission_list;
        // What the operator has written is not bounded.
        let most = if self.fixed { usize::MAX } else { permission::MOST };
        list.iter().any(|entry| permission::names(entry, address))
            || permission::expressions(list).take(most).any(|e| permission::finds(e, address))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_of_the_permission_list_is_that_address_and_no_expression() {
        let permits = |entry: &str, address: &str| {
            let list = vec![entry.to_owned()];
            Faxbox { smtp_permission_list: list, ..Faxbox::default() }.permits(address)
        };
        for (entry, yes, no) in [
            (
                "nurse@clinic.example",
                "Nurse@Clinic.Example",
                &["nurse@clinic.example.attacker.org", "xnurse@clinic.example", "nurse@clinic-example", ""][..],
            ),
            (
                "jo.doe+fax_1%x@a-b.example",
                "jo.doe+fax_1%x@a-b.example",
                &["jo.doee+fax_1%x@a-b.example", "joxdoe+fax_1%x@a-b.example"],
            ),
            (
                "@clinic.example",
                "anybody@CLINIC.example",
                &["a@clinic.example.attacker.org", "a@xclinic.example", "a@clinic-example", "clinic.example"],
            ),
            // Expressions are found anywhere, as KAZOO has it.
            (
                r"@clinic\.example$",
                "nurse@clinic.example",
                &["nurse@clinic.example.org", "nurse@clinic-example"],
            ),
            (".+@clinic.example", "nurse@clinic.example", &["@clinic.example"]),
            (".*", "whoever@where.ever", &[]),
            ("^nurse", "nurse@anywhere.example", &["xnurse@anywhere.example"]),
            ("clinic.example", "nurse@clinic.example", &["nurse@hospital.example"]),
        ] {
            assert!(permits(entry, yes), "{entry} should take {yes}");
            for address in no {
                assert!(!permits(entry, address), "{entry} should not take {address:?}");
            }
        }
        assert!(!Faxbox::default().permits("nurse@clinic.example"), "an empty list permits nobody");
    }
}
