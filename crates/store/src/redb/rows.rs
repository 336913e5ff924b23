//! Writing received faxes, notices and the count of rows that name a document.

use super::tables::{LAST, Tables};
use super::writer::Fault;
use crate::model::{FaxId, Lease, NodeId, Notice, NoticeId, Received, Timestamp};
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
        if notice.hook.is_some() {
            t.hook_notices.insert(id, row.as_slice())?;
            t.hook_notices_due.insert((notice.not_before.0, id), ())?;
            continue;
        }
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

pub(super) fn notice_retry(
    t: &mut Tables<'_>,
    id: &NoticeId,
    not_before: Timestamp,
    served: Vec<String>,
) -> Result<(), Fault> {
    let mut n = notice(t, id)?;
    n.served = served;
    n.tries = n.tries.saturating_add(1);
    due_again(t, n, not_before, None)
}

/// Makes a notice due at another time, and held by another node or nobody.
fn due_again(t: &mut Tables<'_>, mut n: Notice, at: Timestamp, lease: Option<Lease>) -> Result<(), Fault> {
    let was = core::mem::replace(&mut n.not_before, at);
    n.lease = lease;
    let row = encode(&n)?;
    t.notices_due.remove((was.0, n.id.as_str()))?;
    put_notices(t, &[n], &[row])
}

pub(super) fn take_notices(
    t: &mut Tables<'_>,
    lease: &Lease,
    now: Timestamp,
    limit: usize,
) -> Result<Vec<Notice>, Fault> {
    let (mut due, mut aside) = (Vec::new(), Vec::new());
    for row in t.notices_due.range(..=(now.0, LAST))? {
        if due.len() >= limit {
            break;
        }
        let (key, _) = row?;
        let (at, id) = (key.value().0, NoticeId::new(key.value().1));
        match notice(t, &id) {
            Ok(notice) => due.push(Notice { not_before: Timestamp(at), ..notice }),
            Err(Fault::Refused(e)) => {
                tracing::error!(notice = %id, error = %e, "a notice cannot be read");
                aside.push((at, id));
            }
            Err(file) => return Err(file),
        }
    }
    // Else it would be looked at again without end.
    for (at, id) in aside {
        t.notices_due.remove((at, id.as_str()))?;
        t.notices_due.insert((lease.until.0, id.as_str()), ())?;
    }
    for notice in &mut due {
        due_again(t, notice.clone(), lease.until, Some(lease.clone()))?;
        notice.lease = Some(lease.clone());
        notice.not_before = lease.until;
    }
    Ok(due)
}

pub(super) fn keep_notice(t: &mut Tables<'_>, id: &NoticeId, lease: Lease) -> Result<(), Fault> {
    let n = notice(t, id)?;
    if n.lease.as_ref().is_none_or(|l| l.node != lease.node) {
        return Err(StoreError::LeaseLost.into());
    }
    due_again(t, n, lease.until, Some(lease))
}

pub(super) fn release_notices(t: &mut Tables<'_>, node: &NodeId, now: Timestamp) -> Result<(), Fault> {
    let mut held = Vec::new();
    for row in t.notices.iter()? {
        // One that cannot be read is nobody's.
        if let Ok(n) = serde_json::from_slice::<Notice>(row?.1.value())
            && n.lease.as_ref().is_some_and(|l| l.node == *node)
        {
            held.push(n);
        }
    }
    held.into_iter().try_for_each(|n| due_again(t, n, now, None))
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
