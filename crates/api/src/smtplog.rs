//! `GET …/faxes/smtplog[/{id}]`: mails that were to become faxes of an account and did not, with the reasons.

use fax_switch::{RefusedMail, Service};
use serde_json::{Value, json};

use crate::envelope::{Fault, Success};
use crate::filter::{Listing, page};
use crate::present::Document;
use crate::request::Query;
use crate::route::Scope;
use fax_store::model::AccountId;
use fax_store::port::Range;

/// The list, by range of time.
///
/// # Errors
///
/// 400 for a query that cannot be, 503.
pub async fn list(service: &Service, scope: &Scope, query: &Query) -> Result<Success, Fault> {
    let listing = Listing::of_query(query, true, service.now())?;
    let account = AccountId::new(scope.account.as_str());
    let of = &account;
    let fetch = |range: Range| async move {
        let found = service.refused_mails(of, range).await;
        let found = found.map_err(|e| Fault::of_service(&e, &scope.account))?;
        // What is not of this log is passed over, and counts for where to go on.
        Ok(found
            .into_iter()
            .map(|(at, id, mail)| (at, id, mail.map_or_else(Document::new, |m| item(&m))))
            .collect())
    };
    page(&listing, fetch, |document| !document.is_empty() && in_scope(service, scope, document)).await
}

/// One of them.
///
/// # Errors
///
/// 404, 503.
pub async fn one(service: &Service, scope: &Scope, id: &str) -> Result<Success, Fault> {
    let account = AccountId::new(scope.account.as_str());
    let found = service.refused_mail(&account, id).await.map_err(|e| Fault::of_service(&e, id))?;
    let document = whole(&found);
    if !in_scope(service, scope, &document) {
        return Err(Fault::bad_identifier(id));
    }
    Ok(Success::ok(Value::Object(document)))
}

fn in_scope(service: &Service, scope: &Scope, document: &Document) -> bool {
    let faxbox = document.get("faxbox_id").and_then(Value::as_str);
    let owner = |id: &str| {
        service.directory().faxbox(&fax_store::model::FaxboxId::new(id)).and_then(|f| f.owner.clone())
    };
    scope.faxbox.as_deref().is_none_or(|wanted| faxbox == Some(wanted))
        && scope.user.as_deref().is_none_or(|user| faxbox.and_then(owner).as_deref() == Some(user))
}

fn item(mail: &RefusedMail) -> Document {
    let d = json!({
        "id": mail.filed_id(),
        "from": mail.from,
        "to": mail.to,
        "error": mail.errors.first(),
        "faxbox_id": mail.faxbox.as_ref().map(|f| f.as_str()),
        "created": mail.at.gregorian_seconds(),
    });
    d.as_object().cloned().unwrap_or_default()
}

fn whole(mail: &RefusedMail) -> Document {
    let mut d = item(mail);
    let more = json!({
        "errors": mail.errors,
        "original_number": mail.original_number,
        "translated_number": mail.number,
        "faxbox_domain": mail.domain,
        "faxbox_owner_id": mail.owner,
        "faxbox_owner_email": mail.owner_email,
        "content_type": mail.content_type,
        "filename": mail.file_name,
        "account_id": mail.account.as_str(),
        "client": mail.helo,
    });
    d.extend(more.as_object().cloned().unwrap_or_default());
    d.remove("error");
    d
}
