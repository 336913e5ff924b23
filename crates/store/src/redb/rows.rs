//! Writing received faxes, notices and the count of rows that name a document.

use super::tables::Tables;
use super::writer::Fault;
use crate::model::{FaxId, Notice, NoticeId, Received, Timestamp};
use crate::port::StoreError;
use ::redb::ReadableTable;
use serde::Serialize;

fn encode(row: &impl Serialize) -> Result<Vec<u8>, Fault> {
    serde_json::to_vec(row).map_err(|e| StoreError::Refused(e.to_string()).into())
}

pub(super) fn encode_notices(notices: &[Notice]) -> Result<Vec<Vec<u8>>, Fault> {
    notices.iter().map(encode).collect()
}

pub(super) fn put_notices(t: &mut Tables<'_>, notices: &[Notice], rows: &[Vec<u8>]) -> Result<(), Fault> {
    for (notice, row) in notices.iter().zip(rows) {
        let id = notice.id.as_str();
        t.notices.insert(id, row.as_slice())?;
        t.notices_due.insert((notice.not_before.0, id), ())?;
    }
    Ok(())
}

pub(super) fn insert_notices(t: &mut Tables<'_>, notices: &[Notice]) -> Result<(), Fault> {
    let rows = encode_notices(notices)?;
    put_notices(t, notices, &rows)
}

fn notice(t: &Tables<'_>, id: &NoticeId) -> Result<Notice, Fault> {
    let row = t.notices.get(id.as_str())?.ok_or(StoreError::NotFound)?;
    serde_json::from_slice(row.value()).map_err(|e| StoreError::Damaged(format!("notice {id}: {e}")).into())
}

pub(super) fn notice_done(t: &mut Tables<'_>, id: &NoticeId) -> Result<(), Fault> {
    let old = notice(t, id)?;
    t.notices.remove(id.as_str())?;
    t.notices_due.remove((old.not_before.0, id.as_str()))?;
    Ok(())
}

pub(super) fn notice_retry(t: &mut Tables<'_>, id: &NoticeId, not_before: Timestamp) -> Result<(), Fault> {
    let mut n = notice(t, id)?;
    let was = n.not_before;
    n.tries = n.tries.saturating_add(1);
    n.not_before = not_before;
    let row = encode(&n)?;
    t.notices_due.remove((was.0, id.as_str()))?;
    put_notices(t, &[n], &[row])
}

pub(super) fn insert_received(t: &mut Tables<'_>, fax: &Received, notices: &[Notice]) -> Result<(), Fault> {
    let id = fax.id.as_str();
    if t.received.get(id)?.is_some() {
        return Err(StoreError::Exists.into());
    }
    let row = encode(fax)?;
    let notice_rows = encode_notices(notices)?;
    t.received.insert(id, row.as_slice())?;
    let at = fax.created.0;
    t.received_listed.insert((fax.account.as_str(), at, id), ())?;
    t.received_all.insert((at, id), ())?;
    if let Some(key) = &fax.document {
        name_document(t, key.as_str())?;
    }
    put_notices(t, notices, &notice_rows)
}

fn received(t: &Tables<'_>, id: &FaxId) -> Result<Received, Fault> {
    let row = t.received.get(id.as_str())?.ok_or(StoreError::NotFound)?;
    serde_json::from_slice(row.value()).map_err(|e| StoreError::Damaged(format!("fax {id}: {e}")).into())
}

pub(super) fn strip_received(t: &mut Tables<'_>, id: &FaxId) -> Result<Received, Fault> {
    let fax = received(t, id)?;
    if let Some(key) = &fax.document {
        let row = encode(&Received { document: None, ..fax.clone() })?;
        t.received.insert(id.as_str(), row.as_slice())?;
        unname_document(t, key.as_str())?;
    }
    Ok(fax)
}

pub(super) fn delete_received(t: &mut Tables<'_>, id: &FaxId) -> Result<(), Fault> {
    let fax = received(t, id)?;
    t.received.remove(id.as_str())?;
    let at = fax.created.0;
    t.received_listed.remove((fax.account.as_str(), at, id.as_str()))?;
    t.received_all.remove((at, id.as_str()))?;
    if let Some(key) = &fax.document {
        unname_document(t, key.as_str())?;
    }
    Ok(())
}

/// One row more names the document.
pub(super) fn name_document(t: &mut Tables<'_>, key: &str) -> Result<(), Fault> {
    let n = t.documents.get(key)?.map_or(0, |v| v.value());
    t.documents.insert(key, n.saturating_add(1))?;
    Ok(())
}

/// One row less names the document.
pub(super) fn unname_document(t: &mut Tables<'_>, key: &str) -> Result<(), Fault> {
    let n = t.documents.get(key)?.map_or(0, |v| v.value());
    if n > 1 {
        t.documents.insert(key, n - 1)?;
    } else {
        t.documents.remove(key)?;
    }
    Ok(())
}
