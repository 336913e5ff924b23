//! Profiles of numbers and trunks: rows by name, and an index by age of those that may be removed.

use super::tables::{LAST, PROFILES, Tables};
use super::writer::Fault;
use crate::model::{Profile, ProfileKey, Timestamp};
use crate::port::{ProfileChange, ProfileQuery, StoreError};
use ::redb::{ReadTransaction, ReadableTable, ReadableTableMetadata};
use std::panic::{AssertUnwindSafe, catch_unwind};

/// A profile as it was and as it will be.
type Changed = (Option<Profile>, Profile);

fn decode(row: &[u8], key: (u8, &str, &str)) -> Result<Profile, Fault> {
    let read = serde_json::from_slice(row);
    read.map_err(|e| StoreError::Damaged(format!("profile {} {}: {e}", key.1, key.2)).into())
}

fn load(
    table: &impl ReadableTable<(u8, &'static str, &'static str), &'static [u8]>,
    key: &ProfileKey,
) -> Result<Option<Profile>, Fault> {
    let parts = key.parts();
    table.get(parts)?.map(|row| decode(row.value(), parts)).transpose()
}

/// What these changes make of the profiles; nothing is written. A row that cannot be read begins anew: what calls
/// taught can be learnt again, and must not keep a fax from being ended.
pub(super) fn changed(t: &Tables<'_>, changes: Vec<ProfileChange>) -> Result<Vec<Changed>, Fault> {
    let mut rows: Vec<Changed> = Vec::new();
    for (key, change) in changes {
        let known = rows.iter().position(|(_, new)| new.key == key);
        let (old, before) = match known.map(|at| rows.swap_remove(at)) {
            Some((old, new)) => (old, Some(new)),
            None => {
                let old = match load(&t.profiles, &key) {
                    Ok(old) => old,
                    Err(Fault::Refused(e)) => {
                        tracing::error!(error = %e, "a profile begins anew");
                        None
                    }
                    Err(file) => return Err(file),
                };
                (old.clone(), old)
            }
        };
        let before = before.unwrap_or_else(|| Profile { key: key.clone(), ..Profile::default() });
        let mut new = before.clone();
        // The change is the caller's code: its panic must not take the writer down.
        if catch_unwind(AssertUnwindSafe(|| change(&mut new))).is_err() {
            tracing::error!("a change to a profile panicked; it stays as it is");
            new = before;
        }
        new.key = key;
        rows.push((old, new));
    }
    Ok(rows)
}

/// Where a profile stands in the index by age, if it does.
fn aged(profile: &Profile) -> Option<(i64, &str, &str)> {
    match &profile.key {
        ProfileKey::Number { account, number } if !profile.is_locked() => {
            Some((profile.modified.0, account.as_str(), number))
        }
        ProfileKey::Number { .. } | ProfileKey::Trunk { .. } | ProfileKey::None => None,
    }
}

pub(super) fn put(t: &mut Tables<'_>, old: Option<&Profile>, new: &Profile) -> Result<(), Fault> {
    let row = serde_json::to_vec(new).map_err(|e| StoreError::Refused(e.to_string()))?;
    if let Some(key) = old.and_then(aged) {
        t.profiles_aged.remove(key)?;
    }
    if let Some(key) = aged(new) {
        t.profiles_aged.insert(key, ())?;
    }
    t.profiles.insert(new.key.parts(), row.as_slice())?;
    Ok(())
}

pub(super) fn change(t: &mut Tables<'_>, change: ProfileChange) -> Result<Profile, Fault> {
    let mut rows = changed(t, vec![change])?;
    let Some((old, new)) = rows.pop() else {
        return Err(StoreError::NotFound.into());
    };
    put(t, old.as_ref(), &new)?;
    Ok(new)
}

pub(super) fn forget(t: &mut Tables<'_>, key: &ProfileKey) -> Result<(), Fault> {
    // One that cannot be read has no index of its own any more; the purge passes over what it leaves there.
    let old = match load(&t.profiles, key) {
        Ok(old) => Some(old.ok_or(StoreError::NotFound)?),
        Err(Fault::Refused(_)) => None,
        Err(file) => return Err(file),
    };
    if let Some(aged) = old.as_ref().and_then(aged) {
        t.profiles_aged.remove(aged)?;
    }
    t.profiles.remove(key.parts())?;
    Ok(())
}

pub(super) fn purge(
    t: &mut Tables<'_>,
    before: Timestamp,
    keep: usize,
    limit: usize,
) -> Result<usize, Fault> {
    let mut removed = 0;
    while removed < limit {
        let Some((at, account, number)) = t.profiles_aged.first()?.map(|(key, _)| {
            let (at, account, number) = key.value();
            (at, account.to_owned(), number.to_owned())
        }) else {
            break;
        };
        let too_many = t.profiles.len()? > u64::try_from(keep).unwrap_or(u64::MAX);
        if at >= before.0 && !too_many {
            break;
        }
        t.profiles_aged.remove((at, account.as_str(), number.as_str()))?;
        t.profiles.remove((0, account.as_str(), number.as_str()))?;
        removed += 1;
    }
    Ok(removed)
}

pub(super) fn read(r: &ReadTransaction, key: &ProfileKey) -> Result<Option<Profile>, Fault> {
    load(&r.open_table(PROFILES)?, key)
}

pub(super) fn list(r: &ReadTransaction, query: &ProfileQuery) -> Result<Vec<Profile>, Fault> {
    let table = r.open_table(PROFILES)?;
    let (low, high, after, limit) = match query {
        ProfileQuery::Numbers { account, after, limit } => {
            let a = account.as_str();
            ((0, a, after.as_deref().unwrap_or("")), (0, a, LAST), after.as_deref(), *limit)
        }
        ProfileQuery::Trunks => ((1, "", ""), (1, "", LAST), None, usize::MAX),
    };
    let mut found = Vec::new();
    for row in table.range(low..=high)? {
        let (key, value) = row?;
        let parts = key.value();
        if after == Some(parts.2) {
            continue;
        }
        if found.len() >= limit {
            break;
        }
        match decode(value.value(), parts) {
            Ok(profile) => found.push(profile),
            Err(Fault::Refused(e)) => tracing::error!(error = %e, "a profile is left out"),
            Err(file) => return Err(file),
        }
    }
    Ok(found)
}
