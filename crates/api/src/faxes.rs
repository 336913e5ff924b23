//! Lists of faxes, single faxes, deleting and sending again (Crossbar's `faxes`).

use std::collections::BTreeMap;

use axum::http::Method;
use fax_store::model::{
    AccountId, FaxId, FaxboxId, Folder as Jobs, Job, JobId, JobState, Received, Source, unfiled_id,
};
use fax_store::port::{JobQuery, Range, ReceivedQuery};
use fax_switch::{Format, NO_HEADER, NewDocument, Reception, Service, ServiceError, Which};
use serde_json::{Map, Value, json};

use crate::document::Upload;
use crate::envelope::{Fault, Success, Validation};
use crate::filter::{Listing, page, page_of};
use crate::present::{self, Document};
use crate::request::{Envelope, Query};
use crate::route::{Folder, Scope};
use crate::schema::merge;
use crate::submit;

/// The list of a folder.
///
/// # Errors
///
/// 400 for a query that cannot be, 404 for a faxbox that is not the account's, 503.
pub async fn list(service: &Service, scope: &Scope, folder: Folder, query: &Query) -> Result<Success, Fault> {
    let listing =
        Listing::of_query(query, !matches!(folder, Folder::Outgoing | Folder::Incoming), service.now())?;
    let directory = service.directory();
    let account = AccountId::new(scope.account.as_str());
    if let Some(id) = &scope.faxbox {
        let found = directory.faxbox(&FaxboxId::new(id.as_str())).filter(|f| f.account == account);
        found.ok_or_else(|| Fault::bad_identifier(id))?;
    }
    let faxbox = scope.faxbox.as_deref().map(FaxboxId::new);
    // Faxes of a user are those of the faxboxes that the user owns.
    let owned: Option<Vec<&str>> = scope.user.as_deref().map(|user| {
        let of_user = directory.faxboxes_of(&account).filter(|f| f.owner.as_deref() == Some(user));
        // A user of `receive_fax` receives under his own id.
        of_user.map(|f| f.id.as_str()).chain([user]).collect()
    });
    let wanted = |document: &Document| {
        owned.as_ref().is_none_or(|boxes| {
            document.get("faxbox_id").and_then(Value::as_str).is_some_and(|id| boxes.contains(&id))
        })
    };

    if folder == Folder::Incoming {
        let own = service.receptions(&account).into_iter();
        let own = own.filter(|r| faxbox.as_ref().is_none_or(|f| *f == r.faxbox));
        let own: BTreeMap<String, Reception> = own.map(|r| (r.id.to_string(), r)).collect();
        let show = |id: &str| own.get(id).map(present::receiving).filter(wanted);
        return page_of(&listing, own.iter().map(|(id, r)| (r.began, id.clone())).collect(), show);
    }
    let (of, in_box) = (&account, &faxbox);
    let fetch = |range: Range| async move {
        let fault = |e| Fault::of_service(&e, &scope.account);
        let (account, faxbox) = (Some(of.clone()), in_box.clone());
        Ok(match folder {
            Folder::Outgoing | Folder::Outbox => {
                let live = folder == Folder::Outgoing;
                let of = Some(if live { Jobs::Live } else { Jobs::Filed });
                let query = JobQuery { account, folder: of, faxbox, states: Vec::new(), range };
                let jobs = service.jobs(query).await.map_err(fault)?;
                let show = if live { present::queued } else { present::filed };
                jobs.iter().map(|j| (j.created, j.id.to_string(), show(j))).collect()
            }
            Folder::Incoming => Vec::new(),
            Folder::Inbox => {
                let faxes = service.faxes(ReceivedQuery { account, faxbox, range }).await.map_err(fault)?;
                faxes.iter().map(|f| (f.created, f.id.to_string(), present::received_item(f))).collect()
            }
        })
    };
    page(&listing, fetch, wanted).await
}

/// A fax of either kind.
#[derive(Clone, Debug)]
pub enum Found {
    /// A job.
    Job(Box<Job>),
    /// A received fax.
    Fax(Box<Received>),
}

impl Found {
    /// Which attachment is its.
    #[must_use]
    pub fn which(&self) -> Which {
        match self {
            Found::Job(job) => Which::Job(job.id.clone()),
            Found::Fax(fax) => Which::Fax(fax.id.clone()),
        }
    }
}

/// The fax `id` of a folder. A fax that is in the other folder is told as Crossbar tells it.
///
/// # Errors
///
/// 404, 500 `document is not in folder …`, 503.
pub async fn find(service: &Service, scope: &Scope, folder: Folder, id: &str) -> Result<Found, Fault> {
    let account = AccountId::new(scope.account.as_str());
    let plain = unfiled_id(id);
    let directory = service.directory();
    let of_user = |user: &str, faxbox: &FaxboxId| {
        faxbox.as_str() == user || directory.faxbox(faxbox).is_some_and(|f| f.owner.as_deref() == Some(user))
    };
    let in_box = |faxbox: &Option<FaxboxId>| {
        let in_it = scope
            .faxbox
            .as_deref()
            .is_none_or(|wanted| faxbox.as_ref().is_some_and(|f| f.as_str() == wanted));
        let his = scope.user.as_deref().is_none_or(|user| faxbox.as_ref().is_some_and(|f| of_user(user, f)));
        in_it && his
    };
    let job = async || match service.job(&account, &JobId::new(plain)).await {
        Ok(job) => Ok(Some(job).filter(|j| in_box(&j.faxbox))),
        Err(ServiceError::NotFound) => Ok(None),
        Err(e) => Err(Fault::of_service(&e, id)),
    };
    let fax = async || match service.fax(&account, &FaxId::new(plain)).await {
        Ok(fax) => Ok(Some(fax).filter(|f| in_box(&f.faxbox))),
        Err(ServiceError::NotFound) => Ok(None),
        Err(e) => Err(Fault::of_service(&e, id)),
    };
    let misplaced = || Fault::named(&format!("document is not in folder {}", folder.as_str()));
    match folder {
        // A job stays visible here after it is filed, so that a client that polls sees its end.
        Folder::Outgoing => {
            job().await?.map(|j| Found::Job(Box::new(j))).ok_or_else(|| Fault::bad_identifier(id))
        }
        Folder::Outbox => match job().await? {
            Some(job) if job.state.is_final() => Ok(Found::Job(Box::new(job))),
            Some(_) => Err(Fault::bad_identifier(id)),
            None if fax().await?.is_some() => Err(misplaced()),
            None => Err(Fault::bad_identifier(id)),
        },
        Folder::Inbox | Folder::Incoming => match fax().await? {
            Some(fax) => Ok(Found::Fax(Box::new(fax))),
            None if job().await?.is_some_and(|j| j.state.is_final()) => Err(misplaced()),
            None => Err(Fault::bad_identifier(id)),
        },
    }
}

fn shown(service: &Service, folder: Folder, found: &Found) -> Document {
    let (mut document, created, status) = match found {
        Found::Fax(fax) => (present::received(fax), fax.created, None),
        Found::Job(job) => {
            let mut document = present::job(job);
            let mut status = present::status_word(job.state).to_owned();
            if folder == Folder::Outgoing {
                if !job.state.is_final() {
                    document.insert("id".into(), job.id.as_str().into());
                }
                // While it is in work the status is the live text.
                if job.state == JobState::Processing {
                    let live = service.latest(&job.id);
                    // What happens in another node's call is told there.
                    let here = job.lease.as_ref().is_none_or(|l| l.node == service.config().node);
                    if live.is_some() || here {
                        status = live.as_ref().map_or_else(|| "not available".to_owned(), |e| e.text.clone());
                    }
                    if let Some(event) = live {
                        let progress = json!({
                            "stage": event.stage.as_str(), "text": event.text, "page": event.page, "pages": event.pages,
                        });
                        document.insert("progress".into(), progress);
                    }
                }
                document.insert("status".into(), status.as_str().into());
            }
            (document, job.created, Some(status))
        }
    };
    if folder != Folder::Outgoing {
        let mut read_only = Map::new();
        read_only.insert("created".into(), created.gregorian_seconds().into());
        if let Some(status) = status {
            read_only.insert("status".into(), status.into());
        }
        document.insert("_read_only".into(), Value::Object(read_only));
    }
    document
}

/// Reading, deleting, or sending again of one fax.
///
/// # Errors
///
/// 404, 409 for a state in which it cannot be, 500 as Crossbar names it, 503; of sending again those of a new fax.
pub async fn one(
    service: &Service,
    scope: &Scope,
    folder: Folder,
    id: &str,
    verb: &Method,
    envelope: Envelope,
) -> Result<Success, Fault> {
    if folder == Folder::Incoming
        && let Some(reception) = running(service, scope, id)
    {
        return Ok(Success::ok(Value::Object(present::receiving(&reception))));
    }
    let found = find(service, scope, folder, id).await?;
    match *verb {
        Method::POST | Method::PATCH => change(service, scope, envelope, &found).await,
        Method::DELETE => delete(service, scope, folder, id, &found).await,
        Method::PUT if folder == Folder::Outgoing => restart(service, scope, &envelope, id, &found).await,
        Method::PUT => again(service, scope, folder, id, envelope, &found).await,
        _ => {
            let mut document = shown(service, folder, &found);
            if let Found::Job(job) = &found {
                document.insert("history".into(), present::history(job));
            }
            Ok(Success::ok(Value::Object(document)))
        }
    }
}

/// A fax that is being received.
fn running(service: &Service, scope: &Scope, id: &str) -> Option<Reception> {
    let directory = service.directory();
    let plain = unfiled_id(id);
    let mut own = service.receptions(&AccountId::new(scope.account.as_str())).into_iter();
    own.find(|r| {
        let in_it = scope.faxbox.as_deref().is_none_or(|f| f == r.faxbox.as_str());
        let owner = || directory.faxbox(&r.faxbox).and_then(|f| f.owner.clone());
        let his =
            scope.user.as_deref().is_none_or(|u| u == r.faxbox.as_str() || owner().as_deref() == Some(u));
        r.id.as_str() == plain && in_it && his
    })
}

/// `POST` and `PATCH …/outgoing/{ID}`: what the client sends counts over what was, and the fax begins anew.
async fn change(
    service: &Service,
    scope: &Scope,
    envelope: Envelope,
    found: &Found,
) -> Result<Success, Fault> {
    let Found::Job(job) = found else {
        return Err(Fault::not_found());
    };
    let Value::Object(mut changes) = envelope.data else {
        return Err(submit::not_an_object(&envelope.data));
    };
    let account = AccountId::new(scope.account.as_str());
    let mut data = present::job(job);
    for key in [
        "document",
        "tx_result",
        "reason",
        "cancelled",
        "uncertain",
        "progress",
        "folder",
        "delivered",
        "total_pages",
        "pages_confirmed",
        "remarks",
    ] {
        data.remove(key);
    }
    if job.header.is_empty() {
        data.insert("fax_identity_name".into(), NO_HEADER.into());
    }
    // A client that sends the whole document back does not mean another one.
    if changes.get("document") == present::job(job).get("document")
        || job.source.original().is_some() && changes.get("document").is_some_and(Value::is_null)
    {
        changes.remove("document");
    }
    // A fax does not leave the faxbox, or the user's faxboxes, that the path names.
    if scope.faxbox.is_some() || scope.user.is_some() && changes.get("faxbox_id").is_some_and(Value::is_null)
    {
        changes.remove("faxbox_id");
    }
    if changes.contains_key("to_number") && !changes.contains_key("to_name") && job.to_name.is_empty() {
        data.remove("to_name");
    }
    let was = data.clone();
    merge(&mut data, changes);
    let faxbox = data.get("faxbox_id").and_then(Value::as_str).map(str::to_owned);
    submit::in_scope(service, scope, faxbox.as_deref())?;
    let own = NewDocument::Copy(Which::Job(job.id.clone()));
    let new = submit::new_job(service, account, faxbox.as_deref(), data, Some(own), &was)?;
    let changed = service.change_job(&job.id, new).await;
    let changed = changed.map_err(|e| Fault::of_submit(&e, job.id.as_str(), faxbox.as_deref()))?;
    Ok(Success::ok(Value::Object(present::job(&changed))))
}

/// `DELETE …/attachment`: the documents go, the record stays.
///
/// # Errors
///
/// 404, also where there is no document; 409 for a fax in the queue; 503.
pub async fn delete_documents(
    service: &Service,
    scope: &Scope,
    folder: Folder,
    id: &str,
) -> Result<Success, Fault> {
    let found = find(service, scope, folder, id).await?;
    let account = AccountId::new(scope.account.as_str());
    let done = service.delete_documents(&account, &found.which()).await;
    done.map_err(|e| Fault::of_service(&e, id))?;
    Ok(Success::ok(Value::Object(shown(service, folder, &found))))
}

/// `PUT …/outgoing/{ID}` with `action: restart`: back into the queue, due now.
async fn restart(
    service: &Service,
    scope: &Scope,
    envelope: &Envelope,
    id: &str,
    found: &Found,
) -> Result<Success, Fault> {
    // This path is not KAZOO's, nor are its errors.
    let mut wrong = Validation::default();
    match (envelope.text("action"), found) {
        (Some("restart"), Found::Job(job)) => {
            let account = AccountId::new(scope.account.as_str());
            let job = service.restart(&account, &job.id).await.map_err(|e| Fault::of_service(&e, id))?;
            let mut document = present::job(&job);
            document.insert("id".into(), job.id.as_str().into());
            return Ok(Success::ok(Value::Object(document)));
        }
        (None, _) => {
            wrong.add("action", "required", json!({ "message": "Field is required but missing" }));
        }
        (Some(action), _) => {
            let message = "Value not found in enumerated list of values";
            let detail = json!({ "message": message, "target": ["restart"], "value": action });
            wrong.add("action", "enum", detail);
        }
    }
    Err(wrong.fault())
}

async fn delete(
    service: &Service,
    scope: &Scope,
    folder: Folder,
    id: &str,
    found: &Found,
) -> Result<Success, Fault> {
    let account = AccountId::new(scope.account.as_str());
    let fault = |e: ServiceError| Fault::of_service(&e, id);
    let mut document = shown(service, folder, found);
    match (found, folder) {
        (Found::Job(job), Folder::Outgoing) => {
            let cancelled = service.cancel(&account, &job.id).await.map_err(fault)?;
            document = present::job(&cancelled);
            document.insert("id".into(), job.id.as_str().into());
        }
        (Found::Job(job), _) => service.delete_job(&account, &job.id).await.map_err(fault)?,
        (Found::Fax(fax), _) => service.delete_fax(&account, &fax.id).await.map_err(fault)?,
    }
    let read_only = document.entry("_read_only").or_insert_with(|| json!({}));
    if let Value::Object(read_only) = read_only {
        read_only.insert("deleted".into(), true.into());
    }
    Ok(Success::ok(Value::Object(document)))
}

/// `PUT …/outbox/{ID}` with `action: resubmit`, `PUT …/inbox/{ID}` with `action: forward`: a new job with the same pages.
async fn again(
    service: &Service,
    scope: &Scope,
    folder: Folder,
    id: &str,
    envelope: Envelope,
    found: &Found,
) -> Result<Success, Fault> {
    let (wanted, failed) = match folder {
        Folder::Outbox => ("resubmit", "error when resubmitting fax"),
        _ => ("forward", "error when forwarding fax"),
    };
    match envelope.text("action") {
        None => return Err(Fault::named("action required")),
        Some(action) if action != wanted => return Err(Fault::named("invalid action")),
        Some(_) => {}
    }
    let account = AccountId::new(scope.account.as_str());
    // What was made for this key is there, whatever has become of the fax whose pages it has.
    if let Some(once) = &envelope.once {
        let made = service.made_before(&account, once).await;
        if let Some(job) = made.map_err(|e| Fault::of_submit(&e, &scope.account, None))? {
            return Ok(Success::created(Value::Object(present::job(&job)), job.id.as_str()));
        }
    }
    let Value::Object(changes) = envelope.data else {
        return Err(Fault::named(failed));
    };
    let (mut data, faxbox, retries) = match found {
        Found::Job(job) => (present::job(job), job.faxbox.clone(), Some(job.retries)),
        Found::Fax(fax) => (present::received(fax), fax.faxbox.clone(), None),
    };
    // The old result and folder stay behind; what the client sends counts over what was.
    for key in [
        "document",
        "tx_result",
        "rx_result",
        "reason",
        "remarks",
        "retries",
        "cancelled",
        "uncertain",
        "progress",
        "folder",
        "delivered",
        "call_id",
    ] {
        data.remove(key);
    }
    data.insert("retries".into(), retries.unwrap_or(3).into());
    let was = if retries.is_some() { data.clone() } else { Map::new() };
    if changes.contains_key("to_number") {
        data.remove("to_name");
    }
    data.extend(changes);
    // Another document that the client names counts, whether there is one of its own or not.
    let named = data.get("document").and_then(|d| d.get("url")).is_some_and(|url| !url.is_null());
    let document = if named {
        None
    } else {
        match document_again(service, &account, found).await {
            Ok(document) => Some(document),
            Err(error @ (ServiceError::Unavailable(_) | ServiceError::KeyDestroyed)) => {
                return Err(Fault::of_service(&error, id));
            }
            Err(_) => return Err(Fault::named(failed)),
        }
    };
    let faxbox = faxbox
        .as_ref()
        .map(FaxboxId::as_str)
        .filter(|id| service.directory().faxbox(&FaxboxId::new(*id)).is_some());
    let mut new = submit::new_job(service, account, faxbox, data, document, &was)?;
    new.once = envelope.once;
    let job = service.submit(new).await.map_err(|e| Fault::of_submit(&e, &scope.account, faxbox))?;
    Ok(Success::created(Value::Object(present::job(&job)), job.id.as_str()))
}

/// The document of a fax for a new one: as it was handed in, else its pages, else where it was to be fetched.
async fn document_again(
    service: &Service,
    account: &AccountId,
    found: &Found,
) -> Result<NewDocument, ServiceError> {
    let which = found.which();
    let attachment = match found {
        // No page was ever made of what came from there: perhaps there is a document now.
        Found::Job(job) if job.pages == 0 && matches!(job.source, Source::Url { .. }) => {
            Err(ServiceError::NoDocument)
        }
        Found::Job(_) => match service.attachment(account, &which, Format::Original).await {
            Err(ServiceError::NoDocument) => service.attachment(account, &which, Format::Tiff).await,
            other => other,
        },
        Found::Fax(_) => service.attachment(account, &which, Format::Tiff).await,
    };
    match (attachment, found) {
        (Ok(attachment), _) => Ok(submit::octets(Upload {
            octets: attachment.octets,
            content_type: attachment.content_type,
            file_name: Some(attachment.file_name),
        })),
        // It could never be fetched or converted, or nothing of it was to be kept.
        (Err(ServiceError::NoDocument), Found::Job(job)) if job.document.is_none() => match &job.source {
            Source::Url { request, .. } => Ok(NewDocument::Url(request.clone())),
            Source::Stored { .. } | Source::Removed => Err(ServiceError::NoDocument),
        },
        (Err(error), _) => Err(error),
    }
}
