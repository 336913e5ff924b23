//! Accounts and faxboxes as documents. They come from the configuration, so they can only be read here.

use fax_store::model::{AccountId, FaxboxId};
use fax_switch::{Faxbox, Service};
use serde_json::{Map, Value, json};

use crate::envelope::{Fault, Success};
use crate::route::Scope;

/// `GET /accounts/{A}`.
///
/// # Errors
///
/// 404.
pub fn account(service: &Service, id: &str) -> Result<Success, Fault> {
    let directory = service.directory();
    let account = directory.account(&AccountId::new(id)).ok_or_else(|| Fault::bad_identifier(id))?;
    Ok(Success::ok(json!({
        "id": account.id.as_str(), "name": account.name, "realm": account.realm, "timezone": account.timezone, "language": "en-US",
    })))
}

/// `GET …/faxboxes`.
#[must_use]
pub fn list(service: &Service, scope: &Scope) -> Success {
    let directory = service.directory();
    let account = AccountId::new(scope.account.as_str());
    let boxes = directory
        .faxboxes_of(&account)
        .filter(|f| scope.user.is_none() || f.owner == scope.user)
        .map(document);
    Success::ok(Value::Array(boxes.collect()))
}

/// `GET …/faxboxes/{F}`.
///
/// # Errors
///
/// 404.
pub fn one(service: &Service, scope: &Scope, id: &str) -> Result<Success, Fault> {
    let directory = service.directory();
    let found = directory.faxbox(&FaxboxId::new(id)).filter(|f| f.account.as_str() == scope.account);
    let faxbox = found.ok_or_else(|| Fault::bad_identifier(id))?;
    let mut extra = Map::new();
    extra.insert("metadata".into(), json!({ "custom_smtp_address": faxbox.mail_domain }));
    Ok(Success { extra, ..Success::ok(document(faxbox)) })
}

fn document(faxbox: &Faxbox) -> Value {
    let mut d = faxbox.client.clone();
    crate::present::keep_public(&mut d);
    let own = json!({
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
    if let Value::Object(own) = own {
        d.extend(own);
    }
    for (key, value) in
        [("owner_id", &faxbox.owner), ("custom_smtp_email_address", &faxbox.custom_mail_domain)]
    {
        if let Some(value) = value {
            d.insert(key.into(), value.as_str().into());
        }
    }
    Value::Object(d)
}
