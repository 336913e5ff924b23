//! Who may use the switch: accounts and faxboxes as the configuration gives them.

use crate::number::NumberPlan;
use crate::routing::Routing;
use fax_store::model::{AccountId, FaxboxId};
use sha2::{Digest, Sha256};
use std::collections::HashMap;

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
    /// People who can log in.
    pub users: Vec<User>,
    /// IANA time zone; empty: UTC.
    pub timezone: String,
    /// How many calls it may have going out at a time.
    pub max_outbound: u32,
    /// Its numbers, normalised.
    pub numbers: Vec<String>,
    /// It is the operator's: it may see and change what concerns all accounts, as what was learnt of trunks.
    pub operator: bool,
}

/// A person of an account.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct User {
    /// Id.
    pub id: String,
    /// User name, lower-case.
    pub name: String,
    /// E-mail address.
    pub email: String,
    /// MD5 of `name:password` in hexadecimal, as KAZOO's clients send it.
    pub credentials_md5: Option<String>,
    /// SHA-1 of the same.
    pub credentials_sha1: Option<String>,
    /// May administer the account.
    pub admin: bool,
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
    /// Fields of the client that are kept and given back.
    pub client: serde_json::Map<String, serde_json::Value>,
}

/// All accounts and faxboxes, with look-ups. Never changed, only replaced: see
/// [`crate::Service::reload`].
#[derive(Clone, Debug, Default)]
pub struct Directory {
    accounts: Vec<Account>,
    faxboxes: Vec<Faxbox>,
    account_ids: HashMap<AccountId, usize>,
    keys: HashMap<[u8; 32], usize>,
    realms: HashMap<String, usize>,
    faxbox_ids: HashMap<FaxboxId, usize>,
    numbers: HashMap<String, usize>,
    domains: HashMap<String, usize>,
    pub(crate) routing: Routing,
    pub(crate) terminal_users: HashMap<String, usize>,
    pub(crate) terminal_numbers: HashMap<String, usize>,
}

impl Directory {
    /// A directory. Numbers are normalised by `plan`.
    ///
    /// # Errors
    ///
    /// In a sentence: an id, key, realm, number or mail domain that is there twice, or a faxbox without account.
    pub fn new(accounts: Vec<Account>, mut faxboxes: Vec<Faxbox>, plan: &NumberPlan) -> Result<Self, String> {
        let mut d = Directory::default();
        for (i, a) in accounts.iter().enumerate() {
            if d.account_ids.insert(a.id.clone(), i).is_some() {
                return Err(format!("account {} is there twice", a.id));
            }
            for key in &a.api_keys_sha256 {
                if d.keys.insert(*key, i).is_some() {
                    return Err(format!("an API key of account {} is used twice", a.id));
                }
            }
            if !a.realm.is_empty() && d.realms.insert(a.realm.to_lowercase(), i).is_some() {
                return Err(format!("realm {} is used twice", a.realm));
            }
        }
        for (i, f) in faxboxes.iter_mut().enumerate() {
            if !d.account_ids.contains_key(&f.account) {
                return Err(format!("faxbox {} has no account {}", f.id, f.account));
            }
            if d.faxbox_ids.insert(f.id.clone(), i).is_some() {
                return Err(format!("faxbox {} is there twice", f.id));
            }
            for n in &mut f.numbers {
                *n = plan.normalise(n);
                if d.numbers.insert(n.clone(), i).is_some() {
                    return Err(format!("number {n} is used by two faxboxes"));
                }
            }
            for domain in [Some(&f.mail_domain), f.custom_mail_domain.as_ref()]
                .into_iter()
                .flatten()
                .filter(|d| !d.is_empty())
            {
                let old = d.domains.insert(domain.to_lowercase(), i);
                if old.is_some_and(|old| old != i) {
                    return Err(format!("mail domain {domain} is used by two faxboxes"));
                }
            }
        }
        let mut accounts = accounts;
        for a in &mut accounts {
            for n in &mut a.numbers {
                *n = plan.normalise(n);
            }
        }
        d.accounts = accounts;
        d.faxboxes = faxboxes;
        Ok(d)
    }

    /// All accounts.
    #[must_use]
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// All faxboxes.
    #[must_use]
    pub fn faxboxes(&self) -> &[Faxbox] {
        &self.faxboxes
    }

    /// The faxboxes of an account.
    pub fn faxboxes_of<'a>(&'a self, account: &'a AccountId) -> impl Iterator<Item = &'a Faxbox> {
        self.faxboxes.iter().filter(move |f| f.account == *account)
    }

    /// An account by its id.
    #[must_use]
    pub fn account(&self, id: &AccountId) -> Option<&Account> {
        self.account_ids.get(id).and_then(|i| self.accounts.get(*i))
    }

    /// The account with this API key. Only digests are compared.
    #[must_use]
    pub fn account_by_key(&self, api_key: &str) -> Option<&Account> {
        let digest: [u8; 32] = Sha256::digest(api_key.as_bytes()).into();
        self.keys.get(&digest).and_then(|i| self.accounts.get(*i))
    }

    /// The account with this realm, in any case.
    #[must_use]
    pub fn account_by_realm(&self, realm: &str) -> Option<&Account> {
        let i = self.realms.get(&realm.to_lowercase())?;
        self.accounts.get(*i)
    }

    /// A faxbox by its id.
    #[must_use]
    pub fn faxbox(&self, id: &FaxboxId) -> Option<&Faxbox> {
        self.faxbox_ids.get(id).and_then(|i| self.faxboxes.get(*i))
    }

    /// The faxbox that receives on this number, which is normalised already.
    #[must_use]
    pub fn faxbox_by_number(&self, number: &str) -> Option<&Faxbox> {
        self.numbers.get(number).and_then(|i| self.faxboxes.get(*i))
    }

    /// The faxbox with this mail domain, generated or custom, in any case.
    #[must_use]
    pub fn faxbox_by_mail_domain(&self, domain: &str) -> Option<&Faxbox> {
        let i = self.domains.get(&domain.to_lowercase())?;
        self.faxboxes.get(*i)
    }
}

impl Faxbox {
    /// Whether `address` is on the permission list: the same in any case, or found by an entry that
    /// is a regular expression. An empty list permits nobody.
    #[must_use]
    pub fn permits(&self, address: &str) -> bool {
        self.smtp_permission_list.iter().any(|entry| {
            entry.eq_ignore_ascii_case(address)
                || regex::RegexBuilder::new(entry)
                    .case_insensitive(true)
                    .size_limit(1 << 20)
                    .build()
                    .is_ok_and(|r| r.is_match(address))
        })
    }
}
