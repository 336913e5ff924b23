//! Jobs and received faxes as public documents: the field names clients know, both families of result names.

use fax_store::model::{Attempt, Job, JobState, Received, Source, WebRequest, filed_id};
use fax_switch::Reception;
use fax_switch::policy::switch_cause;
use serde_json::{Map, Value, json};

/// A document shown to a client.
pub type Document = Map<String, Value>;

/// The word for a job's state.
#[must_use]
pub const fn status_word(state: JobState) -> &'static str {
    match state {
        JobState::Converting => "attaching_files",
        JobState::Pending => "pending",
        JobState::Locked => "locked",
        JobState::Processing => "processing",
        JobState::Completed => "completed",
        JobState::Failed | JobState::Uncertain | JobState::Cancelled => "failed",
    }
}

/// The id of a job as it is shown: with its month once it is filed.
#[must_use]
pub fn job_id(job: &Job) -> String {
    if job.state.is_final() { filed_id(job.created, job.id.as_str()) } else { job.id.to_string() }
}

/// Removes what is private: keys that begin with `_` or `pvt_`.
pub fn keep_public(document: &mut Document) {
    document.retain(|key, _| !key.starts_with('_') && !key.starts_with("pvt_"));
}

fn document_of(value: Value) -> Document {
    match value {
        Value::Object(object) => object,
        _ => Document::new(),
    }
}

/// The whole public document of a job.
#[must_use]
pub fn job(job: &Job) -> Document {
    let mut d = job.client.clone();
    keep_public(&mut d);
    d.extend(document_of(json!({
        "id": job_id(job),
        "from_number": job.from_number,
        "from_name": job.from_name,
        "to_number": job.to_number,
        "to_name": if job.to_name.is_empty() { &job.to_number } else { &job.to_name },
        "fax_identity_number": job.ident,
        "fax_identity_name": job.header,
        "fax_timezone": job.timezone,
        "colour": job.colour,
        "retries": job.retries,
        "attempts": job.attempts.len(),
        "priority": job.priority.as_str(),
        "notifications": { "email": { "send_to": job.notify } },
        "tx_result": tx_result(job),
        "created": job.created.gregorian_seconds(),
        "modified": job.modified.gregorian_seconds(),
        "status": status_word(job.state),
        "folder": "outbox",
        "uncertain": job.state == JobState::Uncertain,
        "total_pages": job.pages,
        "pages_confirmed": job.pages_confirmed(),
    })));
    for (key, value) in [
        ("subject", &job.subject),
        ("sub_address", &job.sub_address),
        ("reason", &job.reason),
        ("reschedule_rule", &job.reschedule_rule),
    ] {
        if let Some(value) = value {
            d.insert(key.into(), value.as_str().into());
        }
    }
    if !job.remarks.is_empty() {
        d.insert("remarks".into(), json!(job.remarks));
    }
    if let Some(faxbox) = &job.faxbox {
        d.insert("faxbox_id".into(), faxbox.as_str().into());
    }
    if job.state == JobState::Cancelled || job.cancel {
        d.insert("cancelled".into(), true.into());
    }
    if let Source::Url { request, .. } = &job.source {
        let WebRequest { url, method, host, referer, content, content_type } = request;
        let mut source = document_of(json!({ "url": url, "method": method }));
        for (key, value) in
            [("host", host), ("referer", referer), ("content", content), ("content_type", content_type)]
        {
            if let Some(value) = value {
                source.insert(key.into(), value.as_str().into());
            }
        }
        d.insert("document".into(), Value::Object(source));
    }
    if job.state == JobState::Completed {
        d.insert("delivered".into(), job.modified.gregorian_seconds().into());
    }
    d
}

/// The attempts of a job in their order, each with its ladder: for whoever looks at this one job, too much for lists.
#[must_use]
pub fn history(job: &Job) -> Value {
    job.attempts.iter().map(attempt).collect()
}

fn attempt(of: &Attempt) -> Document {
    let mut d = document_of(json!({
        "began": of.started.gregorian_seconds(),
        "ended": of.ended.gregorian_seconds(),
        "cause": of.outcome.class,
        "text": of.outcome.text,
        "sip_status": of.outcome.sip_status,
        "q850": of.outcome.q850,
        "pages_confirmed": of.pages_confirmed,
        "trunk": of.trunk,
        "call_id": of.call_id,
        "modem": of.modem,
        "bit_rate": of.bit_rate,
        "t38": of.t38,
        "ecm": of.ecm,
        "recording": of.recording,
        "ladder": of.trace,
    }));
    // What is not known of it is left out.
    d.retain(|_, value| match value {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(lines) => !lines.is_empty(),
        _ => true,
    });
    d
}

/// The result of the last attempt, or the zeros that a fresh job has.
fn tx_result(job: &Job) -> Value {
    let last = job.attempts.last();
    let success = job.state == JobState::Completed;
    let said = match job.state {
        JobState::Uncertain => format!(
            "uncertain: {}",
            job.reason.as_deref().unwrap_or("the last page was sent, its confirmation did not come")
        ),
        JobState::Cancelled => job.reason.clone().unwrap_or_else(|| "cancelled".into()),
        JobState::Failed => {
            job.reason.clone().or_else(|| last.map(|a| a.outcome.text.clone())).unwrap_or_default()
        }
        _ => last.map(|a| a.outcome.text.clone()).unwrap_or_default(),
    };
    let fine = success || last.is_some_and(|a| a.outcome.class == "ok");
    // A SIP status of the call if it was refused, 487 for a fax that failed in a call, 0 where no call was made.
    let code = match last {
        _ if success => 200,
        Some(a) => a.outcome.sip_status.unwrap_or(487),
        None => 0,
    };
    let class = last.map(|a| a.outcome.class.as_str()).unwrap_or_default();
    // KAZOO's word, where it has one for it.
    let cause = last.and_then(|a| switch_cause(&a.outcome.class, a.outcome.q850)).unwrap_or(class);
    let error = if fine { "" } else { said.as_str() };
    let ident = last.and_then(|a| a.remote_ident.as_deref()).unwrap_or_default();
    let rate = last.and_then(|a| a.bit_rate).unwrap_or(0);
    let confirmed = job.pages_confirmed();
    let ended = last.map_or(job.modified, |a| a.ended);
    json!({
        "success": success,
        "uncertain": job.state == JobState::Uncertain,
        "recording": last.and_then(|a| a.recording.as_deref()).unwrap_or_default(),
        "result_text": said,
        "result_code": code,
        "result_cause": cause,
        "result_class": class,
        "error_message": error,
        "total_pages": job.pages,
        "transferred_pages": confirmed,
        "pages_sent": confirmed,
        "transfer_rate": rate,
        "fax_speed": rate,
        "remote_station_id": ident,
        "fax_receiver_id": ident,
        "local_station_id": job.ident,
        "ecm_used": last.is_some_and(|a| a.ecm),
        "fax_error_correction": last.is_some_and(|a| a.ecm),
        "t38_used": last.is_some_and(|a| a.t38),
        "encoding_name": last.and_then(|a| a.coding.as_deref()).unwrap_or_default(),
        "modem": last.and_then(|a| a.modem.as_deref()).unwrap_or_default(),
        "image_resolution": last.and_then(|a| a.resolution.as_deref()).unwrap_or_default(),
        "image_size": job.size,
        "bad_rows": 0,
        "fax_bad_rows": 0,
        "learnt": last.map(|a| a.applied.as_slice()).unwrap_or_default(),
        "time_elapsed": if last.is_some() { ended.since(job.created).as_secs() } else { 0 },
    })
}

/// A job in the list of the queue.
#[must_use]
pub fn queued(job: &Job) -> Document {
    let mut d = document_of(json!({
        "id": job.id.as_str(),
        "status": status_word(job.state),
        "to": job.to_number,
        "from": job.from_number,
        "attempts": job.attempts.len(),
        "priority": job.priority.as_str(),
        "created": job.created.gregorian_seconds(),
        "modified": job.modified.gregorian_seconds(),
    }));
    if let Some(faxbox) = &job.faxbox {
        d.insert("faxbox_id".into(), faxbox.as_str().into());
    }
    d
}

/// A filed job in a list.
#[must_use]
pub fn filed(of: &Job) -> Document {
    let mut d = job(of);
    d.extend(document_of(json!({ "to": of.to_number, "from": of.from_number })));
    d
}

/// The whole public document of a received fax.
#[must_use]
pub fn received(fax: &Received) -> Document {
    let mut d = fax.client.clone();
    keep_public(&mut d);
    let created = fax.created.to_jiff().to_zoned(jiff::tz::TimeZone::UTC);
    let name = format!(
        "fax message received at {}-{}-{} {}:{}:{} UTC",
        created.year(),
        created.month(),
        created.day(),
        created.hour(),
        created.minute(),
        created.second()
    );
    let (year, month) = fax.created.year_month();
    let ident = fax.remote_ident.as_deref().unwrap_or_default();
    d.extend(document_of(json!({
        "id": filed_id(fax.created, fax.id.as_str()),
        "name": name,
        "description": "fax document received",
        "source_type": "incoming_fax",
        "media_type": "tiff",
        "folder": "inbox",
        "timestamp": fax.created.gregorian_seconds(),
        "created": fax.created.gregorian_seconds(),
        "to_number": fax.to_number,
        "from_number": fax.from_number,
        "from_name": fax.from_name,
        "diverted_from": fax.diverted_from,
        "call_id": fax.call_id,
        "cdr_doc_id": format!("{year:04}{month:02}-{}", fax.call_id),
        "notifications": { "email": { "send_to": fax.notify } },
        "rx_result": {
            "success": fax.success,
            "result_text": fax.result_text,
            "result_code": if fax.success { 0 } else { 1 },
            "result_cause": fax.class,
            "total_pages": fax.pages,
            "transferred_pages": fax.pages,
            "transfer_rate": fax.bit_rate.unwrap_or(0),
            "fax_speed": fax.bit_rate.unwrap_or(0),
            "remote_station_id": ident,
            "ecm_used": fax.ecm,
            "fax_error_correction": fax.ecm,
            "t38_used": fax.t38,
            "encoding_name": fax.coding.as_deref().unwrap_or_default(),
            "modem": fax.modem.as_deref().unwrap_or_default(),
            "image_resolution": fax.resolution.as_deref().unwrap_or_default(),
            "image_size": fax.size,
            "bad_rows": fax.bad_rows,
            "fax_bad_rows": fax.bad_rows,
            "longest_bad_row_run": fax.longest_bad_run,
            "time_elapsed": fax.duration_ms / 1000,
        },
    })));
    if let Some(faxbox) = &fax.faxbox {
        d.insert("faxbox_id".into(), faxbox.as_str().into());
    }
    d
}

/// A fax that is being received.
#[must_use]
pub fn receiving(reception: &Reception) -> Document {
    document_of(json!({
        "id": filed_id(reception.began, reception.id.as_str()),
        "status": if reception.text.is_empty() { "receiving" } else { &reception.text },
        "state": reception.stage.as_str(),
        "folder": "incoming",
        "from": reception.from_number,
        "to": reception.to_number,
        "from_number": reception.from_number,
        "from_name": reception.from_name,
        "to_number": reception.to_number,
        "faxbox_id": reception.faxbox.as_str(),
        "call_id": reception.call_id,
        "created": reception.began.gregorian_seconds(),
        "pages": reception.pages,
    }))
}

/// A received fax in a list.
#[must_use]
pub fn received_item(fax: &Received) -> Document {
    let mut d = received(fax);
    d.extend(document_of(json!({ "to": fax.to_number, "from": fax.from_number })));
    d
}
