//! Numbers of accounts, API keys, and the audit log.

use axum::http::Method;
use fax_store::model::{AccountId, Entry, EntryKind, Timestamp};
use fax_store::port::{AuditQuery, Range};
use fax_switch::directory::entries::hidden;
use fax_switch::{Directory, REFUSED_MAIL, Service};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use crate::auth::Caller;
use crate::envelope::{Fault, Success};
use crate::filter::{Listing, NO_DATE, PAGE_OCTETS, octets_of, page, page_of, too_many};
use crate::present::{Document, keep_public};
use crate::request::{Envelope, Query};
use crate::route::Right;
use crate::{schema, setup};

/// `GET …/phone_numbers`, and `GET`, `PUT`, `DELETE …/phone_numbers/{number}`; an empty `number` means the list.
///
/// A number is given to an account by the operator, or by an account above it that has the number itself.
///
/// # Errors
///
/// 400 for what is no number, 403, 404, 409 for a number of the configuration, 503.
pub async fn numbers(
    service: &Service,
    caller: &Caller,
    account: &str,
    number: &str,
    verb: &Method,
    envelope: &Envelope,
) -> Result<Success, Fault> {
    let (directory, config) = (service.directory(), service.config());
    let id = AccountId::new(account);
    if directory.account(&id).is_none() {
        return Err(Fault::bad_identifier(account));
    }
    let state = |directory: &Directory, number: &str| {
        let entry = directory.entry(EntryKind::Number, number);
        let mut d = entry.map(|e| e.document.clone()).unwrap_or_default();
        keep_public(&mut d);
        let used_by = directory.faxbox_by_number(number).map_or(Value::Null, |_| "faxbox".into());
        d.insert("id".into(), number.into());
        d.insert("state".into(), "in_service".into());
        d.insert("assigned_to".into(), account.into());
        d.insert("used_by".into(), used_by);
        if let Some(entry) = entry {
            d.insert("created".into(), entry.created.gregorian_seconds().into());
            d.insert("updated".into(), entry.modified.gregorian_seconds().into());
        }
        d
    };
    if number.is_empty() {
        let (mut numbers, mut octets) = (Map::new(), 0);
        for n in directory.numbers_of(&id) {
            let shown = Value::Object(state(&directory, n));
            octets += octets_of(&shown);
            if octets > PAGE_OCTETS {
                return Err(too_many());
            }
            numbers.insert(n.to_owned(), shown);
        }
        return Ok(Success::ok(json!({ "numbers": numbers })));
    }
    let normal = config.numbers.normalise(number);
    let owner = directory.owner_of_number(&normal);
    let own = owner == Some(&id);
    let fault = |e| Fault::of_service(&e, number);
    let now = service.now();
    match *verb {
        Method::PUT => {
            let Some(normal) = config.numbers.accept(number) else {
                let mut v = crate::envelope::Validation::default();
                v.add("phone_number", "pattern", json!({ "message": "this is no number", "value": number }));
                return Err(v.fault());
            };
            let above = owner.is_some_and(|o| o == &caller.account && directory.is_within(&id, o));
            if !(above || own || caller.operates(&directory)) {
                return Err(Fault::forbidden());
            }
            let old = directory.entry(EntryKind::Number, &normal);
            let mut entry = old.map_or_else(
                || Entry::new(EntryKind::Number, normal.as_str(), id.clone(), now),
                |old| given_to(old, &id, now),
            );
            let mut given = envelope.data.as_object().cloned().unwrap_or_default();
            keep_public(&mut given);
            entry.document.extend(given);
            let wrong = schema::check(&[], &mut entry.document);
            if !wrong.is_empty() {
                return Err(wrong.fault());
            }
            service.put_entries(vec![entry]).await.map_err(fault)?;
            Ok(Success::created(Value::Object(state(&service.directory(), &normal)), normal))
        }
        _ if !own => Err(Fault::bad_identifier(number)),
        Method::DELETE => {
            let Some(old) = directory.entry(EntryKind::Number, &normal) else {
                return Err(Fault::fixed("number"));
            };
            let mut d = state(&directory, &normal);
            // From an account below another it goes back to that one; the operator's is gone.
            let parent = directory.account(&id).and_then(|a| a.parent.clone());
            let entry = match parent.filter(|_| !caller.operates(&directory)) {
                Some(parent) => given_to(old, &parent, now),
                None => old.removed(now),
            };
            service.put_entries(vec![entry]).await.map_err(fault)?;
            d.insert("_read_only".into(), json!({ "deleted": true }));
            Ok(Success::ok(Value::Object(d)))
        }
        _ => Ok(Success::ok(Value::Object(state(&directory, &normal)))),
    }
}

/// A number as another account has it: what was written about it is the old one's.
pub(crate) fn given_to(number: &Entry, account: &AccountId, now: Timestamp) -> Entry {
    let same = number.account == *account;
    let document = if same { number.document.clone() } else { Map::new() };
    Entry { account: account.clone(), modified: now, document, ..number.clone() }
}

/// `GET`, `PUT …/api_keys`, and `GET`, `DELETE …/api_keys/{id}`; an empty `id` means the list. A key is shown once, in the
/// answer that it is made in; only its digest is kept.
///
/// # Errors
///
/// 400, 403, 404, 503.
pub async fn keys(
    service: &Service,
    account: &str,
    id: &str,
    verb: &Method,
    envelope: &Envelope,
    query: &Query,
) -> Result<Success, Fault> {
    let directory = service.directory();
    let of = AccountId::new(account);
    let Some(found) = directory.account(&of) else {
        return Err(Fault::bad_identifier(account));
    };
    if *verb == Method::PUT {
        if directory.entries_of(EntryKind::Key, &of).nth(setup::MOST - 1).is_some() {
            let message = format!("an account has at most {} of these", setup::MOST);
            return Err(setup::refused("data", "maxItems", &message));
        }
        let mut document = envelope.data.as_object().cloned().unwrap_or_default();
        keep_public(&mut document);
        let mut wrong = schema::check(schema::KEY, &mut document);
        let scopes = document.get("scopes").and_then(Value::as_array).cloned().unwrap_or_default();
        for scope in scopes.iter().filter(|s| s.as_str().is_none_or(|s| !Right::SCOPES.contains(&s))) {
            let message = "Value not found in enumerated list of values";
            wrong.add(
                "scopes",
                "enum",
                json!({ "message": message, "target": Right::SCOPES, "value": scope }),
            );
        }
        if document.get("scopes").is_some_and(Value::is_string) {
            wrong.add("scopes", "type", json!({ "message": "Value did not match type(s): array" }));
        }
        if !wrong.is_empty() {
            return Err(wrong.fault());
        }
        let mut drawn = Sha256::new();
        (0..3).for_each(|_| drawn.update(uuid::Uuid::new_v4().as_bytes()));
        let secret = hex::encode(drawn.finalize());
        let id = uuid::Uuid::new_v4().simple().to_string();
        let mut entry = Entry::new(EntryKind::Key, id, of.clone(), service.now());
        entry.document = document;
        entry.hidden.insert(hidden::DIGEST.into(), hex::encode(Sha256::digest(secret.as_bytes())).into());
        let put = service.put_entries(vec![entry]).await.map_err(|e| Fault::of_service(&e, account))?;
        let mut d = put.first().map(key).unwrap_or_default();
        d.insert("api_key".into(), secret.into());
        let id = d.get("id").and_then(Value::as_str).unwrap_or_default().to_owned();
        return Ok(Success::created(Value::Object(d), id));
    }
    if id.is_empty() {
        let listing = Listing::of_query(query, false, service.now())?;
        let mut ids: Vec<(Timestamp, String)> =
            directory.entries_of(EntryKind::Key, &of).map(|e| (e.created, e.id.clone())).collect();
        let fixed = directory.keys_of(&of).filter(|k| found.api_keys_sha256.contains(&k.digest));
        let fixed: Vec<&str> = fixed.map(|k| k.id.as_str()).collect();
        ids.extend(fixed.iter().map(|id| (NO_DATE, (*id).to_owned())));
        let show = |id: &str| {
            if fixed.contains(&id) {
                let d = json!({ "id": id, "name": "in the configuration file", "scopes": [] });
                return d.as_object().cloned();
            }
            directory.entry(EntryKind::Key, id).map(|e| key(e))
        };
        return page_of(&listing, ids, show);
    }
    let Some(entry) = directory.entry(EntryKind::Key, id).filter(|e| e.account == of) else {
        let fixed = directory.keys_of(&of).any(|k| k.id == id);
        return Err(if fixed { Fault::fixed("key") } else { Fault::bad_identifier(id) });
    };
    let mut d = key(entry);
    if *verb == Method::DELETE {
        let gone = vec![entry.removed(service.now())];
        service.put_entries(gone).await.map_err(|e| Fault::of_service(&e, id))?;
        d.insert("_read_only".into(), json!({ "deleted": true }));
    }
    Ok(Success::ok(Value::Object(d)))
}

fn key(entry: &Entry) -> Document {
    let mut d = entry.document.clone();
    d.insert("id".into(), entry.id.as_str().into());
    d.insert("created".into(), entry.created.gregorian_seconds().into());
    d
}

/// `GET …/audit`: who looked at what and changed what, by range of time.
///
/// # Errors
///
/// 400 for a query that cannot be, 503.
pub async fn audit(service: &Service, account: &str, query: &Query) -> Result<Success, Fault> {
    let listing = Listing::of_query(query, true, service.now())?;
    let fetch = |range: Range| async move {
        let query = AuditQuery { account: AccountId::new(account), range };
        let records = service.audit(query).await.map_err(|e| Fault::of_service(&e, account))?;
        let item = |r: &fax_store::model::Audit| {
            let d = json!({
                "id": r.id, "created": r.at.gregorian_seconds(), "who": r.who, "account_id": r.of.as_str(),
                "remote": r.remote, "action": r.action, "subject": r.subject, "request_id": r.request,
                "http_status": r.status,
            });
            (r.at, r.id.clone(), d.as_object().cloned().unwrap_or_default())
        };
        Ok(records.iter().map(item).collect())
    };
    // Refused mails lie beside; they are shown by `smtplog`.
    page(&listing, fetch, |d| d.get("action").is_none_or(|a| a != REFUSED_MAIL)).await
}
