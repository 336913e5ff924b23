//! Accounts, faxboxes and the like, and the audit.

use super::*;

fn entry(kind: EntryKind, id: &str, claims: &[&str]) -> Entry {
    let mut entry = Entry::new(kind, id, "a".into(), t(5));
    entry.claims = claims.iter().map(|c| (*c).to_owned()).collect();
    entry.document.insert("name".into(), "Fröhlich \u{10FFFF}\0".into());
    entry
}

async fn put_one(s: &S, entry: Entry) -> Result<Entry, StoreError> {
    s.put_entries(vec![entry]).await.map(|mut put| put.remove(0))
}

pub async fn entries_are_told_in_the_order_of_their_changes(s: S) {
    assert_eq!(s.entries(0, 10).await.unwrap(), []);
    let first = put_one(&s, entry(EntryKind::Faxbox, "x", &[])).await.unwrap();
    // The same id in another kind is another entry.
    let second = put_one(&s, entry(EntryKind::User, "x", &[])).await.unwrap();
    assert!(first.change > 0 && second.change > first.change);
    assert_eq!(s.entries(0, 10).await.unwrap(), [first.clone(), second.clone()]);
    assert_eq!(s.entries(0, 1).await.unwrap(), std::slice::from_ref(&first));
    let mut changed = first.clone();
    changed.document.insert("more".into(), serde_json::json!([1, { "a": null }]));
    changed.hidden.insert("digest".into(), "d".into());
    let changed = put_one(&s, changed).await.unwrap();
    assert_eq!(s.entries(second.change, 10).await.unwrap(), std::slice::from_ref(&changed));
    let gone = put_one(&s, second.removed(t(9))).await.unwrap();
    assert!(gone.deleted && gone.document.is_empty());
    assert_eq!(
        s.entries(0, 10).await.unwrap(),
        [changed, gone.clone()],
        "one row of each, the last change last"
    );
    assert_eq!(s.entries(gone.change, 10).await.unwrap(), []);
}

pub async fn entries_have_names_of_their_own(s: S) {
    let taken = |claim: &str| Err(StoreError::Taken(claim.into()));
    let a = put_one(&s, entry(EntryKind::Faxbox, "a", &["domain:x", "domain:y"])).await.unwrap();
    assert_eq!(
        put_one(&s, entry(EntryKind::Account, "b", &["domain:z", "domain:y"])).await,
        taken("domain:y")
    );
    assert_eq!(s.entries(a.change, 10).await.unwrap(), [], "nothing of it was stored");
    let b = put_one(&s, entry(EntryKind::Faxbox, "b", &["domain:z"])).await.unwrap();
    // Names that are given up are free at once, in one change with who takes them too.
    let a = put_one(&s, Entry { claims: vec!["domain:x".into()], ..a }).await.unwrap();
    let both = vec![
        Entry { claims: vec!["domain:x".into()], ..b.clone() },
        Entry { claims: vec!["domain:z".into(), "domain:y".into()], ..a.clone() },
    ];
    let swapped = s.put_entries(both).await.unwrap();
    let twice = vec![
        Entry { claims: vec!["domain:w".into()], ..swapped[0].clone() },
        Entry { claims: vec!["domain:w".into()], ..swapped[1].clone() },
    ];
    assert_eq!(s.put_entries(twice).await, Err(StoreError::Taken("domain:w".into())));
    put_one(&s, swapped[1].removed(t(9))).await.unwrap();
    assert_eq!(put_one(&s, entry(EntryKind::Faxbox, "c", &["domain:x"])).await, taken("domain:x"));
    put_one(&s, entry(EntryKind::Faxbox, "c", &["domain:y"])).await.unwrap();
}

pub async fn an_entry_is_changed_from_its_last_version_only(s: S) {
    let refused = |r: Result<Entry, StoreError>| matches!(r, Err(StoreError::Refused(_)));
    let first = put_one(&s, entry(EntryKind::Number, "+1", &[])).await.unwrap();
    assert!(refused(put_one(&s, entry(EntryKind::Number, "+1", &[])).await), "there is one already");
    let second = put_one(&s, first.clone()).await.unwrap();
    assert!(refused(put_one(&s, first.clone()).await), "it was changed since");
    assert!(refused(put_one(&s, first.removed(t(9))).await));
    assert!(refused(s.put_entries(vec![second.clone(), second.clone()]).await.map(|mut v| v.remove(0))));
    let gone = put_one(&s, second.removed(t(9))).await.unwrap();
    assert!(refused(put_one(&s, second).await), "it is gone");
    // What was removed can be made anew.
    let again = put_one(&s, entry(EntryKind::Number, "+1", &[])).await.unwrap();
    assert!(again.change > gone.change && !again.deleted);
}

pub async fn entries_change_together_or_not_at_all(s: S) {
    let a = put_one(&s, entry(EntryKind::User, "a", &["user:a"])).await.unwrap();
    let stale = Entry { change: a.change + 7, ..a.clone() };
    let batch = vec![entry(EntryKind::User, "b", &["user:b"]), stale];
    assert!(matches!(s.put_entries(batch).await, Err(StoreError::Refused(_))));
    assert_eq!(s.entries(0, 10).await.unwrap(), [a]);
    put_one(&s, entry(EntryKind::User, "c", &["user:b"])).await.unwrap();
}

pub async fn many_change_entries_at_once(s: S) {
    let mut tasks = tokio::task::JoinSet::new();
    for n in 0..20 {
        let s = s.clone();
        tasks.spawn(
            async move { put_one(&s, entry(EntryKind::Faxbox, &format!("f{n}"), &["domain:one"])).await },
        );
    }
    let mut won = Vec::new();
    while let Some(done) = tasks.join_next().await {
        match done.unwrap() {
            Ok(entry) => won.push(entry),
            Err(e) => assert_eq!(e, StoreError::Taken("domain:one".into())),
        }
    }
    assert_eq!(won.len(), 1);
    assert_eq!(s.entries(0, 100).await.unwrap(), won);
}

pub async fn audit_records_are_listed_and_purged(s: S) {
    let record = |id: &str, account: &str, at: i64| Audit {
        id: id.into(),
        account: account.into(),
        at: t(at),
        who: "key:1".into(),
        of: "a".into(),
        remote: "192.0.2.1".into(),
        action: "download".into(),
        subject: "faxes/inbox/1\0".into(),
        request: "r".into(),
        status: Some(200),
    };
    let records = vec![record("1", "a", 1), record("2", "a", 2), record("3", "a", 2), record("4", "b", 3)];
    s.insert_audit(records.clone()).await.unwrap();
    s.insert_audit(Vec::new()).await.unwrap();
    let list = async |range: Range| {
        let found = s.audit(AuditQuery { account: "a".into(), range }).await.unwrap();
        found.into_iter().map(|r| r.id).collect::<Vec<_>>()
    };
    assert_eq!(list(Range::default()).await, ["3", "2", "1"]);
    assert_eq!(list(Range { ascending: true, limit: 2, ..Range::default() }).await, ["1", "2"]);
    assert_eq!(list(Range { after: Some((t(2), "2".into())), ..Range::default() }).await, ["1"]);
    assert_eq!(list(Range { from: t(2), ..Range::default() }).await, ["3", "2"]);
    let whole = s.audit(AuditQuery { account: "b".into(), range: Range::default() }).await.unwrap();
    assert_eq!(whole, [records[3].clone()]);
    assert_eq!(s.purge_audit(t(3), 2).await.unwrap(), 2);
    assert_eq!(s.purge_audit(t(3), 2).await.unwrap(), 1);
    assert_eq!(s.purge_audit(t(3), 2).await.unwrap(), 0);
    assert_eq!(list(Range::default()).await, [""; 0]);
}
