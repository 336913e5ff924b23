//! Entries of the store as accounts, users, faxboxes, numbers and keys of the directory.
//!
//! What stands in the configuration comes first: an entry that wants the same realm, domain, number or id is passed over as
//! far as that goes, and the log says so.

use super::{Account, Directory, Domain, Faxbox, Key, Password, User};
use crate::policy::SendHours;
use crate::retention::OwnRetention;
use fax_store::model::{AccountId, Entry, EntryKind, FaxboxId, Timestamp};
use serde::Deserialize as _;
use serde_json::{Map, Value};
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Keys of [`Entry::hidden`].
pub mod hidden {
    /// The generated mail domain of a faxbox.
    pub const MAIL_DOMAIN: &str = "smtp_email_address";
    /// The strong hash of MD5 of `name:password`.
    pub const PASSWORD_MD5: &str = "password_md5";
    /// The strong hash of SHA-1 of the same.
    pub const PASSWORD_SHA1: &str = "password_sha1";
    /// SHA-256 of an API key, in hexadecimal.
    pub const DIGEST: &str = "digest";
    /// What a web hook's calls are signed with: `whsec_…`.
    pub const SECRET: &str = "secret";
    /// Since when a web hook has failed at every call, microseconds since 1970.
    pub const FAILING_SINCE: &str = "failing_since";
}

/// What of the directory comes from entries, beside what is in its common maps.
#[derive(Clone, Debug, Default)]
pub(super) struct Stored {
    /// The last change that is in here.
    change: u64,
    entries: HashMap<(EntryKind, String), Arc<Entry>>,
    listed: BTreeSet<(EntryKind, AccountId, String)>,
    users: HashMap<String, Arc<User>>,
    user_names: HashMap<(AccountId, String), String>,
    /// Where calls to an account's number go: a faxbox, or a user as one.
    targets: HashMap<(AccountId, String), FaxboxId>,
}

impl Stored {
    pub(super) fn target(&self, account: &AccountId, number: &str) -> Option<&FaxboxId> {
        self.targets.get(&(account.clone(), number.to_owned()))
    }
}

impl Directory {
    /// The number of the last change that this directory knows.
    #[must_use]
    pub fn change(&self) -> u64 {
        self.stored.change
    }

    /// An entry that is not removed.
    #[must_use]
    pub fn entry(&self, kind: EntryKind, id: &str) -> Option<&Arc<Entry>> {
        self.stored.entries.get(&(kind, id.to_owned()))
    }

    /// The entries of a kind of an account, by their ids; of accounts those right below it.
    pub fn entries_of<'a>(
        &'a self,
        kind: EntryKind,
        account: &'a AccountId,
    ) -> impl Iterator<Item = &'a Arc<Entry>> {
        let first = (kind, account.clone(), String::new());
        let own = self.stored.listed.range(first..).take_while(move |(k, a, _)| *k == kind && a == account);
        own.filter_map(|(kind, _, id)| self.entry(*kind, id))
    }

    /// A user of an account.
    #[must_use]
    pub fn user(&self, account: &AccountId, id: &str) -> Option<&User> {
        self.stored.users.get(id).map(Arc::as_ref).filter(|u| u.account == *account)
    }

    /// The user of an account with this user name, in any case.
    #[must_use]
    pub fn user_by_name(&self, account: &AccountId, name: &str) -> Option<&User> {
        let id = self.stored.user_names.get(&(account.clone(), name.to_lowercase()))?;
        self.user(account, id)
    }

    /// The users of an account, by their ids.
    pub fn users_of<'a>(&'a self, account: &'a AccountId) -> impl Iterator<Item = &'a User> {
        self.entries_of(EntryKind::User, account).filter_map(|e| self.user(account, &e.id))
    }

    /// All entries that are not removed, to be put into another directory.
    pub(crate) fn all_entries(&self) -> (u64, Vec<Arc<Entry>>) {
        (self.stored.change, self.stored.entries.values().cloned().collect())
    }

    /// Knows these changes from now on.
    pub(crate) fn apply(&mut self, change: u64, entries: impl IntoIterator<Item = Arc<Entry>>) {
        let entries: Vec<Arc<Entry>> = entries.into_iter().collect();
        // A name that one of them gave up may be another's, whose change was before the last of the first.
        entries.iter().for_each(|entry| self.leave(entry.kind, &entry.id));
        for entry in entries {
            self.stored.change = self.stored.change.max(entry.change);
            if !entry.deleted {
                self.enter(&entry);
                let (kind, id) = (entry.kind, entry.id.clone());
                self.stored.listed.insert((kind, entry.account.clone(), id.clone()));
                self.stored.entries.insert((kind, id), entry);
            }
        }
        self.stored.change = self.stored.change.max(change);
    }

    fn enter(&mut self, entry: &Entry) {
        let id = entry.id.as_str();
        let shadowed = match entry.kind {
            EntryKind::Account => {
                let account = account_of(entry);
                let own = Domain::Realm(account.id.clone());
                let realm = account.realm.to_lowercase();
                let free = self.accounts.get(&account.id).is_none_or(|a| !a.fixed);
                if free {
                    self.accounts.insert(account.id.clone(), Arc::new(account));
                }
                !(free && (realm.is_empty() || *self.domains.entry(realm).or_insert(own.clone()) == own))
            }
            EntryKind::Faxbox => !self.enter_faxbox(faxbox_of(entry)),
            EntryKind::User => {
                let user = user_of(entry);
                let named = (user.account.clone(), user.name.clone());
                if !user.name.is_empty() {
                    self.stored.user_names.insert(named, user.id.clone());
                }
                let receiving = Faxbox {
                    id: FaxboxId::new(id),
                    account: user.account.clone(),
                    name: user.full_name.clone(),
                    owner: Some(user.id.clone()),
                    implicit: true,
                    ..Faxbox::default()
                };
                self.stored.users.insert(user.id.clone(), Arc::new(user));
                !self.enter_faxbox(receiving)
            }
            EntryKind::Number => {
                let owner = self.owners.entry(entry.id.clone()).or_insert_with(|| entry.account.clone());
                *owner != entry.account
            }
            EntryKind::Callflow => {
                if let Some(target) = callflow_target(&entry.document) {
                    for number in callflow_numbers(&entry.document) {
                        self.stored.targets.insert((entry.account.clone(), number), target.clone());
                    }
                }
                false
            }
            EntryKind::Key => match key_of(entry) {
                Some(key) => {
                    let known = self.keys.entry(key.digest).or_insert_with(|| Arc::new(key));
                    known.id != entry.id
                }
                None => true,
            },
            // Of the store itself.
            EntryKind::Seal | EntryKind::Duty => false,
            // They are looked up as they are.
            EntryKind::Webhook => false,
        };
        if shadowed {
            tracing::warn!(kind = ?entry.kind, id, "the configuration has what this wants, too, and comes first");
        }
    }

    fn enter_faxbox(&mut self, faxbox: Faxbox) -> bool {
        let mut free = self.faxboxes.get(&faxbox.id).is_none_or(|f| !f.fixed);
        if free {
            let own = Domain::Mail(faxbox.id.clone());
            for domain in faxbox.mail_domains() {
                free &= *self.domains.entry(domain.to_lowercase()).or_insert_with(|| own.clone()) == own;
            }
            self.boxes_of.insert((faxbox.account.clone(), faxbox.id.clone()));
            self.faxboxes.insert(faxbox.id.clone(), Arc::new(faxbox));
        }
        free
    }

    /// Forgets what came of an entry.
    fn leave(&mut self, kind: EntryKind, id: &str) {
        let Some(old) = self.stored.entries.remove(&(kind, id.to_owned())) else { return };
        self.stored.listed.remove(&(kind, old.account.clone(), old.id.clone()));
        match kind {
            EntryKind::Account => {
                let id = AccountId::new(id);
                if self.accounts.get(&id).is_some_and(|a| !a.fixed) {
                    self.accounts.remove(&id);
                    let own = Domain::Realm(id);
                    let realm = account_of(&old).realm.to_lowercase();
                    if self.domains.get(&realm) == Some(&own) {
                        self.domains.remove(&realm);
                    }
                }
            }
            EntryKind::Faxbox => self.leave_faxbox(id),
            EntryKind::User => {
                if let Some(user) = self.stored.users.remove(id) {
                    self.stored.user_names.remove(&(user.account.clone(), user.name.clone()));
                }
                self.leave_faxbox(id);
            }
            EntryKind::Number => {
                if !self.is_fixed_number(id) {
                    self.owners.remove(id);
                }
            }
            EntryKind::Callflow => {
                for number in callflow_numbers(&old.document) {
                    self.stored.targets.remove(&(old.account.clone(), number));
                }
            }
            EntryKind::Webhook => {}
            EntryKind::Key => {
                if let Some(key) = key_of(&old)
                    && self.keys.get(&key.digest).is_some_and(|k| k.id == id)
                {
                    self.keys.remove(&key.digest);
                }
            }
            EntryKind::Seal | EntryKind::Duty => {}
        }
    }

    fn leave_faxbox(&mut self, id: &str) {
        let id = FaxboxId::new(id);
        if self.faxboxes.get(&id).is_none_or(|f| f.fixed) {
            return;
        }
        let Some(old) = self.faxboxes.remove(&id) else { return };
        self.boxes_of.remove(&(old.account.clone(), id.clone()));
        let own = Domain::Mail(id);
        for domain in old.mail_domains() {
            let domain = domain.to_lowercase();
            if self.domains.get(&domain) == Some(&own) {
                self.domains.remove(&domain);
            }
        }
    }
}

/// A dotted field.
fn field<'d>(document: &'d Map<String, Value>, dotted: &str) -> Option<&'d Value> {
    let mut keys = dotted.split('.');
    let first = document.get(keys.next()?)?;
    keys.try_fold(first, |value, key| value.get(key))
}

fn text(document: &Map<String, Value>, dotted: &str) -> String {
    field(document, dotted).and_then(Value::as_str).unwrap_or_default().trim().to_owned()
}

fn flag(document: &Map<String, Value>, dotted: &str) -> Option<bool> {
    field(document, dotted).and_then(Value::as_bool)
}

/// A list of texts; one text counts as a list of one.
fn texts(value: Option<&Value>) -> Vec<String> {
    let list: Vec<&str> = match value {
        Some(Value::String(one)) => vec![one],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    list.into_iter().map(str::trim).filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

fn zone(document: &Map<String, Value>, key: &str) -> String {
    Some(text(document, key)).filter(|z| z != "inherit").unwrap_or_default()
}

/// Hours in which faxes are sent. What cannot be read must not keep faxes for ever.
fn hours(id: &str, value: Option<&Value>) -> SendHours {
    let written = texts(value);
    SendHours::parse(written.iter().map(String::as_str)).unwrap_or_else(|why| {
        tracing::warn!(id, why, "its sending hours are left out");
        SendHours::default()
    })
}

/// What an account's document says of how long its faxes are kept.
///
/// # Errors
///
/// What is wrong, in a sentence.
pub fn retention(value: Option<&Value>) -> Result<OwnRetention, String> {
    let Some(value) = value.filter(|v| !v.is_null()) else { return Ok(OwnRetention::default()) };
    let own = OwnRetention::deserialize(value).map_err(|e| e.to_string())?;
    if own.store_original == Some(false) && own.store_fax_tiff == Some(false) {
        return Err("neither the original nor the fax pages are to be kept".into());
    }
    Ok(own)
}

fn account_of(entry: &Entry) -> Account {
    let d = &entry.document;
    let most = field(d, "fax.max_outbound").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    Account {
        id: AccountId::new(entry.id.as_str()),
        name: text(d, "name"),
        realm: text(d, "realm"),
        timezone: zone(d, "timezone"),
        max_outbound: most.map(|most| most.max(1)),
        send_hours: hours(&entry.id, field(d, "fax.send_hours")),
        retention: retention(field(d, "fax.retention")).unwrap_or_default(),
        parent: Some(entry.account.clone()).filter(|p| !p.as_str().is_empty()),
        own_caller_ids: flag(d, "fax.ensure_valid_caller_id").unwrap_or(true),
        disabled: flag(d, "enabled") == Some(false),
        ..Account::default()
    }
}

fn faxbox_of(entry: &Entry) -> Faxbox {
    let d = &entry.document;
    let mails = |dotted: &str| texts(field(d, dotted));
    let inbound = Some(mails("notifications.inbound.email.send_to")).filter(|m| !m.is_empty());
    let retries = field(d, "retries").and_then(Value::as_u64).and_then(|n| u32::try_from(n).ok());
    Faxbox {
        id: FaxboxId::new(entry.id.as_str()),
        account: entry.account.clone(),
        name: text(d, "name"),
        caller_name: text(d, "caller_name"),
        caller_id: text(d, "caller_id"),
        fax_header: text(d, "fax_header"),
        fax_identity: text(d, "fax_identity"),
        timezone: zone(d, "fax_timezone"),
        colour: flag(d, "colour").unwrap_or(false),
        audio_only: flag(d, "media.fax_option") == Some(false),
        retries: retries.unwrap_or(1),
        send_hours: hours(&entry.id, d.get("send_hours")),
        mail_domain: text(&entry.hidden, hidden::MAIL_DOMAIN),
        custom_mail_domain: Some(text(d, "custom_smtp_email_address")).filter(|c| !c.is_empty()),
        smtp_permission_list: texts(d.get("smtp_permission_list")),
        owner: Some(text(d, "owner_id")).filter(|o| !o.is_empty()),
        notify_inbound: inbound.unwrap_or_else(|| mails("notifications.email.send_to")),
        notify_outbound: mails("notifications.outbound.email.send_to"),
        callback_inbound: callback(d, "notifications.inbound.callback"),
        callback_outbound: callback(d, "notifications.outbound.callback"),
        ..Faxbox::default()
    }
}

fn callback(d: &Map<String, Value>, dotted: &str) -> Option<Map<String, Value>> {
    let callback = field(d, dotted)?.as_object()?;
    callback.get("url").and_then(Value::as_str).is_some_and(|u| !u.is_empty()).then(|| callback.clone())
}

fn user_of(entry: &Entry) -> User {
    let d = &entry.document;
    let (md5, sha1) = (text(&entry.hidden, hidden::PASSWORD_MD5), text(&entry.hidden, hidden::PASSWORD_SHA1));
    User {
        id: entry.id.clone(),
        account: entry.account.clone(),
        name: text(d, "username").to_lowercase(),
        full_name: format!("{} {}", text(d, "first_name"), text(d, "last_name")).trim().to_owned(),
        email: text(d, "email"),
        timezone: zone(d, "timezone"),
        admin: text(d, "priv_level") == "admin",
        disabled: flag(d, "enabled") == Some(false),
        password: (!md5.is_empty()).then_some(Password { md5, sha1 }),
    }
}

fn key_of(entry: &Entry) -> Option<Key> {
    let digest = text(&entry.hidden, hidden::DIGEST);
    let octets: Option<Vec<u8>> = (0..32)
        .map(|i| digest.get(2 * i..2 * i + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok()))
        .collect();
    let expires = field(&entry.document, "expires").and_then(Value::as_i64);
    Some(Key {
        id: entry.id.clone(),
        account: entry.account.clone(),
        digest: octets?.try_into().ok()?,
        scopes: texts(entry.document.get("scopes")),
        expires: expires.map(Timestamp::from_gregorian_seconds),
    })
}

/// The numbers of a call flow.
#[must_use]
pub fn callflow_numbers(document: &Map<String, Value>) -> Vec<String> {
    texts(document.get("numbers"))
}

/// Where a call flow leads: a faxbox, or a user whose address gets the fax (`receive_fax`).
#[must_use]
pub fn callflow_target(document: &Map<String, Value>) -> Option<FaxboxId> {
    let of = |keys: &[&str]| {
        let found = keys.iter().map(|key| text(document, &format!("flow.data.{key}")));
        found.into_iter().find(|id| !id.is_empty()).map(FaxboxId::new)
    };
    match text(document, "flow.module").as_str() {
        "faxbox" => of(&["id", "faxbox_id"]),
        "receive_fax" => of(&["owner_id"]),
        _ => None,
    }
}
