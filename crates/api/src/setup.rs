//! Accounts, users, faxboxes and call flows as documents: list, create, read, replace, merge, delete.
//!
//! What stands in the configuration file is shown among them and cannot be changed from here.

use axum::http::Method;
use fax_store::model::{AccountId, Entry, EntryKind, FaxboxId, Folder, Timestamp};
use fax_store::port::JobQuery;
use fax_switch::directory::entries::{callflow_target, hidden, retention};
use fax_switch::directory::{DEEPEST, permission};
use fax_switch::hooks::callback_id;
use fax_switch::policy::SendHours;
use fax_switch::{Account, Directory, Faxbox, Service, ServiceError};
use serde_json::{Map, Value, json};

use crate::auth::Caller;
use crate::envelope::{Fault, Success, Validation};
use crate::filter::{Listing, NO_DATE, page_of};
use crate::numbers;
use crate::password;
use crate::present::{Document, keep_public};
use crate::request::{Envelope, Query};
use crate::route::{Resource, Route};
use crate::schema::{self, Property, merge};
use crate::webhooks;

/// Most entries of a kind that an account has.
pub(crate) const MOST: usize = 10_000;

/// Keys that are shown beside what clients wrote, and therefore not taken from them.
const SHOWN: [&str; 12] = [
    "id",
    "secret",
    "failing_since",
    "disable_reason",
    "smtp_email_address",
    "custom_smtp_address",
    "cloud_state",
    "cloud_connector_claim_url",
    "cloud_printer_id",
    "parent_id",
    "created",
    "modified",
];

/// A kind of entries and what its documents look like.
struct Kind {
    entry: EntryKind,
    schema: &'static [Property],
    word: &'static str,
}

const ACCOUNT: Kind = Kind { entry: EntryKind::Account, schema: schema::ACCOUNT, word: "account" };
const USER: Kind = Kind { entry: EntryKind::User, schema: schema::USER, word: "user" };
const FAXBOX: Kind = Kind { entry: EntryKind::Faxbox, schema: schema::FAXBOX, word: "faxbox" };
const WEBHOOK: Kind = Kind { entry: EntryKind::Webhook, schema: schema::WEBHOOK, word: "web hook" };
const CALLFLOW: Kind = Kind { entry: EntryKind::Callflow, schema: schema::CALLFLOW, word: "call flow" };

/// A request about one of these.
///
/// # Errors
///
/// 400 with what is wrong, 403 for what stands in the configuration, 404, 409, 503.
pub async fn act(
    service: &Service,
    caller: &Caller,
    route: &Route,
    verb: &Method,
    envelope: Envelope,
    query: &Query,
) -> Result<Success, Fault> {
    let directory = service.directory();
    let account = route.account().map_or_else(|| caller.account.clone(), AccountId::new);
    if directory.account(&account).is_none() {
        return Err(Fault::bad_identifier(account.as_str()));
    }
    let (kind, one) = match route.resource {
        Resource::Children | Resource::Descendants => {
            return below(service, &account, route.resource == Resource::Descendants, query).await;
        }
        Resource::Accounts => (ACCOUNT, None),
        // PUT of an account makes one below it.
        Resource::Account if *verb == Method::PUT => (ACCOUNT, None),
        Resource::Account => (ACCOUNT, Some(account.as_str())),
        Resource::Users => (USER, None),
        Resource::User => (USER, Some(route.id.as_str())),
        Resource::Faxboxes => (FAXBOX, None),
        Resource::Faxbox => (FAXBOX, Some(route.id.as_str())),
        Resource::Callflows => (CALLFLOW, None),
        Resource::Webhooks => (WEBHOOK, None),
        Resource::Webhook => (WEBHOOK, Some(route.id.as_str())),
        _ => (CALLFLOW, Some(route.id.as_str())),
    };
    match (one, verb) {
        (None, &Method::PUT) => create(service, caller, &kind, &account, envelope).await,
        (None, _) => {
            let listing = Listing::of_query(query, false, service.now())?;
            let owner = route.scope.user.as_deref();
            let owned = |d: &Document| owner.is_none() || d.get("owner_id").and_then(Value::as_str) == owner;
            let show = |id: &str| shown(&directory, &kind, &account, id).filter(owned);
            page_of(&listing, ids(&directory, &kind, &account), show)
        }
        (Some(id), &Method::GET) => {
            let document = shown(&directory, &kind, &account, id).ok_or_else(|| Fault::bad_identifier(id))?;
            Ok(answer(&kind, document, false))
        }
        (Some(id), _) => {
            let found = directory.entry(kind.entry, id).filter(|e| {
                e.account == account || (kind.entry == EntryKind::Account && e.id == account.as_str())
            });
            let Some(old) = found else {
                return Err(match shown(&directory, &kind, &account, id) {
                    Some(_) => Fault::fixed(kind.word),
                    None => Fault::bad_identifier(id),
                });
            };
            if *verb == Method::DELETE {
                delete(service, caller, &kind, old).await
            } else {
                change(service, caller, &kind, old, *verb == Method::PATCH, envelope).await
            }
        }
    }
}

async fn create(
    service: &Service,
    caller: &Caller,
    kind: &Kind,
    account: &AccountId,
    envelope: Envelope,
) -> Result<Success, Fault> {
    let directory = service.directory();
    let most = if kind.entry == EntryKind::Webhook { webhooks::MOST } else { MOST };
    if directory.entries_of(kind.entry, account).nth(most - 1).is_some() {
        return Err(refused("data", "maxItems", &format!("an account has at most {most} of these")));
    }
    if kind.entry == EntryKind::Account && directory.line_of(account).nth(DEEPEST - 2).is_some() {
        return Err(refused("data", "maxItems", "accounts cannot lie so deep below others"));
    }
    let id = uuid::Uuid::new_v4().simple().to_string();
    let mut entry = Entry::new(kind.entry, id, account.clone(), service.now());
    entry.document = written(envelope)?;
    ready(service, caller, kind, &mut entry, None).await?;
    let secret = entry.hidden.get(hidden::SECRET).cloned();
    let mut document = store(service, kind, entry).await?;
    document.extend(secret.map(|secret| ("secret".to_owned(), secret)));
    Ok(answer(kind, document, true))
}

async fn change(
    service: &Service,
    caller: &Caller,
    kind: &Kind,
    old: &Entry,
    merged: bool,
    envelope: Envelope,
) -> Result<Success, Fault> {
    let given = written(envelope)?;
    let mut entry = Entry { modified: service.now(), ..old.clone() };
    if merged {
        merge(&mut entry.document, given);
    } else {
        entry.document = given;
        if kind.entry == EntryKind::Account && !entry.document.contains_key("realm") {
            entry.document.extend(old.document.get("realm").map(|realm| ("realm".to_owned(), realm.clone())));
        }
    }
    ready(service, caller, kind, &mut entry, Some(old)).await?;
    let secret = entry.hidden.get(hidden::SECRET).filter(|s| Some(*s) != old.hidden.get(hidden::SECRET));
    let secret = secret.cloned();
    let mut document = store(service, kind, entry).await?;
    document.extend(secret.map(|secret| ("secret".to_owned(), secret)));
    Ok(answer(kind, document, false))
}

async fn delete(service: &Service, caller: &Caller, kind: &Kind, old: &Entry) -> Result<Success, Fault> {
    let (directory, now) = (service.directory(), service.now());
    let mut document = of_entry(kind, old);
    let mut gone = vec![old.removed(now)];
    let mut told = match kind.entry {
        // Whether it has callbacks now or had them once.
        EntryKind::Faxbox => [true, false].map(|inbound| callback_id(&old.id, inbound)).into(),
        _ => webhooks::names_of(old),
    };
    if kind.entry == EntryKind::Account {
        let id = AccountId::new(old.id.as_str());
        if !caller.is_above(&directory, &id) {
            return Err(Fault::forbidden());
        }
        let conflict = |why: &str| Fault::of_service(&ServiceError::Conflict(why.to_owned()), id.as_str());
        if directory.children_of(&id).next().is_some() {
            return Err(conflict("there are accounts below it: delete those first"));
        }
        let mut waiting = JobQuery::of(id.clone(), Folder::Live);
        waiting.range.limit = 1;
        let waiting = service.jobs(waiting).await.map_err(|e| Fault::of_service(&e, id.as_str()))?;
        if !waiting.is_empty() {
            return Err(conflict("its queue is not empty: delete or await its faxes first"));
        }
        // With its key its documents cannot be read any more, wherever they are; they and its faxes go behind the answer.
        for kind in [
            EntryKind::User,
            EntryKind::Faxbox,
            EntryKind::Callflow,
            EntryKind::Key,
            EntryKind::Webhook,
            EntryKind::Seal,
        ] {
            for entry in directory.entries_of(kind, &id) {
                told.extend(webhooks::names_of(entry));
                gone.push(entry.removed(now));
            }
        }
        // Numbers go back to where they came from.
        let own = directory.entries_of(EntryKind::Number, &id);
        gone.extend(own.map(|e| numbers::given_to(e, &old.account, now)));
        gone.push(service.erasure_of(&id));
    }
    service.put_entries(gone).await.map_err(|e| fault(&e, kind, old))?;
    for hook in told {
        service.forget_hook(&hook).await.map_err(|e| fault(&e, kind, old))?;
    }
    if kind.entry == EntryKind::Account {
        let service = service.clone();
        tokio::spawn(async move { service.erase_accounts().await });
    }
    document.insert("_read_only".into(), json!({ "deleted": true }));
    Ok(Success::ok(Value::Object(document)))
}

/// `data` as a client wrote it, without what is not his to write.
fn written(envelope: Envelope) -> Result<Map<String, Value>, Fault> {
    let Value::Object(mut data) = envelope.data else {
        return Err(refused("data", "type", "Value did not match type(s): object"));
    };
    keep_public(&mut data);
    data.retain(|key, _| !SHOWN.contains(&key.as_str()));
    Ok(data)
}

pub(crate) fn refused(field: &str, rule: &str, message: &str) -> Fault {
    let mut v = Validation::default();
    v.add(field, rule, json!({ "message": message }));
    v.fault()
}

/// Checks a document and makes the entry of it ready to be stored.
async fn ready(
    service: &Service,
    caller: &Caller,
    kind: &Kind,
    entry: &mut Entry,
    old: Option<&Entry>,
) -> Result<(), Fault> {
    let directory = service.directory();
    let mut wrong = schema::check(kind.schema, &mut entry.document);
    match kind.entry {
        EntryKind::Faxbox => {
            send_hours("send_hours", entry, &mut wrong);
            let list = texts(entry.document.get("smtp_permission_list"));
            let own = permission::expressions(&list).count();
            let others = directory.faxboxes_of(&entry.account).filter(|f| f.id.as_str() != entry.id);
            let mut others = others.flat_map(|f| permission::expressions(&f.smtp_permission_list));
            if own > 0 && others.nth(permission::MOST_OF_ACCOUNT.saturating_sub(own)).is_some() {
                let most = permission::MOST_OF_ACCOUNT;
                let message = format!("The faxboxes of an account have at most {most} regular expressions");
                wrong.add("smtp_permission_list", "maxItems", json!({ "message": message, "target": most }));
            }
            // Expressions take their time to compile; what is refused anyway is not looked at.
            let fault = move || permission::fault(&list).map(|(value, why)| (value.to_owned(), why));
            if wrong.is_empty()
                && let Ok(Some((value, message))) = tokio::task::spawn_blocking(fault).await
            {
                let detail = json!({ "message": message, "value": value });
                wrong.add("smtp_permission_list", "pattern", detail);
            }
        }
        EntryKind::Callflow => {
            let plan = &service.config().numbers;
            let numbers = texts(entry.document.get("numbers"));
            let numbers: Vec<Value> = numbers.iter().map(|n| plan.normalise(n).into()).collect();
            if numbers.is_empty() && wrong.is_empty() {
                wrong.add("numbers", "minItems", json!({ "message": "name at least one number" }));
            }
            entry.document.insert("numbers".into(), Value::Array(numbers));
            let target = callflow_target(&entry.document);
            let there = target.as_ref().and_then(|id| directory.faxbox(id));
            if wrong.is_empty() && there.is_none_or(|f| f.account != entry.account) {
                let message = "there is no such faxbox or user in this account";
                wrong.add(
                    "flow.data.id",
                    "enum",
                    json!({ "message": message, "value": target.map(|t| t.to_string()) }),
                );
            }
        }
        EntryKind::User => {
            let password = entry.document.remove("password");
            let name = |e: &Entry| e.document.get("username").and_then(Value::as_str).map(str::to_lowercase);
            let own = name(entry);
            let renamed = old.is_some_and(|old| name(old) != own);
            let kept = entry.hidden.contains_key(hidden::PASSWORD_MD5);
            match (password.as_ref().and_then(Value::as_str), own) {
                (Some(password), Some(own)) if wrong.is_empty() => {
                    let kept = password::keep(&entry.account, &own, password).await?;
                    entry.hidden.insert(hidden::PASSWORD_MD5.into(), kept.md5.into());
                    entry.hidden.insert(hidden::PASSWORD_SHA1.into(), kept.sha1.into());
                }
                (None, Some(_)) if kept && renamed => {
                    // What is kept is of name and password together.
                    let message = "The password must be provided when the username changes";
                    wrong.add("password", "required", json!({ "message": message }));
                }
                (Some(_), None) => {
                    wrong.add("username", "required", json!({ "message": "Field is required but missing" }));
                }
                _ => {}
            }
        }
        EntryKind::Account => {
            send_hours("fax.send_hours", entry, &mut wrong);
            if let Err(why) = retention(schema::field(&entry.document, "fax.retention"))
                && wrong.is_empty()
            {
                wrong.add("fax.retention", "wrong_format", json!({ "message": why }));
            }
            // How much an account may do is said from above.
            let id = AccountId::new(entry.id.as_str());
            let above = old.is_none() || caller.is_above(&directory, &id);
            let differs = |key: &str| entry.document.get(key) != old.and_then(|o| o.document.get(key));
            if !above && ["fax", "enabled"].into_iter().any(differs) {
                return Err(Fault::forbidden());
            }
        }
        EntryKind::Webhook => webhooks::ready(entry, &mut wrong),
        EntryKind::Number | EntryKind::Key | EntryKind::Seal | EntryKind::Duty => {}
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong.fault()) }
}

/// Hours that cannot be read would let faxes go at night.
fn send_hours(path: &str, entry: &Entry, wrong: &mut Validation) {
    let written = texts(schema::field(&entry.document, path));
    if let Err(why) = SendHours::parse(written.iter().map(String::as_str)) {
        wrong.add(path, "wrong_format", json!({ "message": why, "value": written }));
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
        _ => Vec::new(),
    }
}

async fn store(service: &Service, kind: &Kind, entry: Entry) -> Result<Document, Fault> {
    let put = service.put_entries(vec![entry.clone()]).await.map_err(|e| fault(&e, kind, &entry))?;
    Ok(of_entry(kind, put.first().unwrap_or(&entry)))
}

/// A name that is taken is told by its field.
fn fault(error: &ServiceError, kind: &Kind, entry: &Entry) -> Fault {
    let ServiceError::Taken(name) = error else {
        return Fault::of_service(error, &entry.id);
    };
    let (field, message) = match (name.split(':').next().unwrap_or_default(), kind.entry) {
        ("domain", EntryKind::Faxbox) => ("custom_smtp_email_address", "email address must be unique"),
        ("domain", _) => ("realm", "Account realm already in use"),
        ("account", _) => ("name", "Account name already in use"),
        ("user", _) => ("username", "Username must be unique"),
        ("callflow", _) => ("numbers", "a number is in another call flow"),
        _ => return Fault::of_service(error, &entry.id),
    };
    let mut v = Validation::default();
    v.add(field, "unique", json!({ "message": message, "cause": entry.document.get(field) }));
    v.fault()
}

fn answer(kind: &Kind, document: Document, created: bool) -> Success {
    let mut extra = Map::new();
    if kind.entry == EntryKind::Faxbox {
        let domain = document.get("smtp_email_address").cloned().unwrap_or_default();
        extra.insert("metadata".into(), json!({ "custom_smtp_address": domain }));
    }
    let id = document.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let success = if created {
        Success::created(Value::Object(document), id)
    } else {
        Success::ok(Value::Object(document))
    };
    Success { extra, ..success }
}

/// One as it is shown, wherever it stands.
fn shown(directory: &Directory, kind: &Kind, account: &AccountId, id: &str) -> Option<Document> {
    let fixed = match kind.entry {
        EntryKind::Account => directory.account(&AccountId::new(id)).filter(|a| a.fixed).map(of_account),
        EntryKind::Faxbox => {
            let found = directory.faxbox(&FaxboxId::new(id));
            found.filter(|f| f.fixed && f.account == *account).map(of_faxbox)
        }
        EntryKind::User
        | EntryKind::Callflow
        | EntryKind::Number
        | EntryKind::Key
        | EntryKind::Webhook
        | EntryKind::Seal
        | EntryKind::Duty => None,
    };
    let stored = || {
        let found = directory.entry(kind.entry, id)?;
        let own = found.account == *account || kind.entry == EntryKind::Account;
        own.then(|| of_entry(kind, found))
    };
    fixed.or_else(stored)
}

/// All that an account has of a kind: when each was made, and its id.
fn ids(directory: &Directory, kind: &Kind, account: &AccountId) -> Vec<(Timestamp, String)> {
    let mut all: Vec<(Timestamp, String)> =
        directory.entries_of(kind.entry, account).map(|e| (e.created, e.id.clone())).collect();
    if kind.entry == EntryKind::Faxbox {
        let fixed = directory.faxboxes_of(account).filter(|f| f.fixed);
        all.extend(fixed.map(|f| (NO_DATE, f.id.to_string())));
    }
    all
}

/// `GET …/children` and `…/descendants`.
async fn below(service: &Service, account: &AccountId, all: bool, query: &Query) -> Result<Success, Fault> {
    let directory = service.directory();
    let listing = Listing::of_query(query, false, service.now())?;
    let entry = |id: &str| directory.entry(EntryKind::Account, id);
    let found = directory.accounts().filter(|a| {
        let right_below = a.parent.as_ref() == Some(account);
        right_below || (all && a.id != *account && directory.is_within(&a.id, account))
    });
    let show = |id: &str| {
        let a = directory.account(&AccountId::new(id))?;
        let tree: Vec<&str> = directory.line_of(&a.id).skip(1).map(|a| a.id.as_str()).collect();
        let tree: Vec<&str> = tree.into_iter().rev().collect();
        let item = json!({ "id": a.id.as_str(), "name": a.name, "realm": a.realm, "tree": tree });
        let mut item = item.as_object().cloned()?;
        if let Some(entry) = entry(id) {
            item.insert("created".into(), seconds(entry.created));
            item.insert("modified".into(), seconds(entry.modified));
        }
        Some(item)
    };
    let made = |id: &str| entry(id).map_or(NO_DATE, |entry| entry.created);
    page_of(&listing, found.map(|a| (made(a.id.as_str()), a.id.to_string())).collect(), show)
}

fn of_entry(kind: &Kind, entry: &Entry) -> Document {
    let mut d = entry.document.clone();
    keep_public(&mut d);
    d.insert("id".into(), entry.id.as_str().into());
    d.insert("created".into(), seconds(entry.created));
    d.insert("modified".into(), seconds(entry.modified));
    match kind.entry {
        EntryKind::Faxbox => {
            let domain = entry.hidden.get(hidden::MAIL_DOMAIN).cloned().unwrap_or_default();
            d.insert("smtp_email_address".into(), domain);
        }
        EntryKind::Webhook => {
            let since = entry.hidden.get(hidden::FAILING_SINCE).and_then(Value::as_i64);
            d.extend(since.map(|at| ("failing_since".to_owned(), seconds(Timestamp(at)))));
        }
        EntryKind::Account if !entry.account.as_str().is_empty() => {
            d.insert("parent_id".into(), entry.account.as_str().into());
        }
        _ => {}
    }
    d
}

fn seconds(at: Timestamp) -> Value {
    at.gregorian_seconds().into()
}

fn of_account(account: &Account) -> Document {
    let shown = json!({
        "id": account.id.as_str(),
        "name": account.name,
        "realm": account.realm,
        "timezone": account.timezone,
        "language": "en-US",
        "enabled": true,
    });
    shown.as_object().cloned().unwrap_or_default()
}

fn of_faxbox(faxbox: &Faxbox) -> Document {
    let shown = json!({
        "id": faxbox.id.as_str(),
        "name": faxbox.name,
        "caller_name": faxbox.caller_name,
        "caller_id": faxbox.caller_id,
        "fax_header": faxbox.fax_header,
        "fax_identity": faxbox.fax_identity,
        "fax_timezone": faxbox.timezone,
        "colour": faxbox.colour,
        "retries": faxbox.retries,
        "smtp_permission_list": faxbox.smtp_permission_list,
        "smtp_email_address": faxbox.mail_domain,
        "notifications": {
            "inbound": { "email": { "send_to": faxbox.notify_inbound } },
            "outbound": { "email": { "send_to": faxbox.notify_outbound } },
        },
    });
    let mut d = shown.as_object().cloned().unwrap_or_default();
    for (key, value) in
        [("owner_id", &faxbox.owner), ("custom_smtp_email_address", &faxbox.custom_mail_domain)]
    {
        if let Some(value) = value {
            d.insert(key.into(), value.as_str().into());
        }
    }
    for (way, inbound) in [("inbound", true), ("outbound", false)] {
        let told = d.get_mut("notifications").and_then(|n| n.get_mut(way)).and_then(Value::as_object_mut);
        if let (Some(told), Some(callback)) = (told, faxbox.callback(inbound)) {
            told.insert("callback".into(), Value::Object(callback.clone()));
        }
    }
    d
}
