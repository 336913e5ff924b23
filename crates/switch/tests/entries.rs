//! What is set up while the switch runs: accounts, faxboxes, numbers, call flows, keys; and the configuration before it.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{Bench, Script, TextConverter, next};
use fax_store::model::{Entry, EntryKind, FaxboxId, JobState, Timestamp};
use fax_switch::{
    Decision, IncomingCall, NewDocument, NewJob, Ports, Service, ServiceConfig, ServiceError, SubmitError,
};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::Arc;
use tokio::sync::Semaphore;

fn entry(kind: EntryKind, id: &str, account: &str, document: Value) -> Entry {
    let mut entry = Entry::new(kind, id, account.into(), Timestamp(1));
    entry.document = document.as_object().unwrap().clone();
    entry
}

async fn put(s: &Service, entry: Entry) -> Result<Entry, ServiceError> {
    s.put_entries(vec![entry]).await.map(|mut put| put.remove(0))
}

fn called(s: &Service, number: &str) -> Decision {
    s.incoming(&IncomingCall { to_number: number.into(), ..IncomingCall::default() })
}

fn receives(decision: &Decision) -> Option<&str> {
    match decision {
        Decision::Receive { faxbox, .. } => Some(faxbox.as_str()),
        Decision::Onward { .. } | Decision::Reject { .. } => None,
    }
}

#[tokio::test]
async fn a_number_leads_to_a_faxbox_by_its_owners_call_flow_only() {
    let mut b = Bench::new();
    let s = b.service.clone();
    put(&s, entry(EntryKind::Account, "c", "a", json!({ "name": "Sub", "realm": "sub.example.org" })))
        .await
        .unwrap();
    put(&s, entry(EntryKind::Faxbox, "fc", "c", json!({ "name": "Box" }))).await.unwrap();
    let flow = |target: &str| json!({ "numbers": ["+14155550177"], "flow": { "module": "faxbox", "data": { "id": target } } });
    let own = put(&s, entry(EntryKind::Callflow, "w1", "c", flow("fc"))).await.unwrap();
    put(&s, entry(EntryKind::Callflow, "w2", "b", flow("fc"))).await.unwrap();
    assert_eq!(receives(&called(&s, "4155550177")), None, "nobody has the number");
    let number = put(&s, entry(EntryKind::Number, "+14155550177", "c", json!({}))).await.unwrap();
    assert_eq!(receives(&called(&s, "4155550177")), Some("fc"));
    // It goes to another account: that one's flow counts, and it cannot lead into a faxbox of the first.
    let moved = put(&s, Entry { account: "b".into(), ..number }).await.unwrap();
    assert_eq!(receives(&called(&s, "4155550177")), None);
    put(&s, Entry { account: "c".into(), ..moved }).await.unwrap();
    // receive_fax: to the address of one user.
    let user = json!({ "first_name": "Jo", "last_name": "Doe", "email": "jo@sub.example.org" });
    put(&s, entry(EntryKind::User, "u", "c", user)).await.unwrap();
    let to_user = json!({ "numbers": ["+14155550177"], "flow": { "module": "receive_fax", "data": { "owner_id": "u" } } });
    put(&s, Entry { document: to_user.as_object().unwrap().clone(), ..own }).await.unwrap();
    assert_eq!(receives(&called(&s, "4155550177")), Some("u"));
    let directory = s.directory();
    let implicit = directory.faxbox(&FaxboxId::new("u")).unwrap();
    assert!(implicit.implicit && directory.owner_email(implicit) == Some("jo@sub.example.org"));
    assert_eq!(directory.faxboxes_of(&"c".into()).count(), 1, "it is no faxbox to be seen");
    // All of it is there after a crash.
    b.crash().await;
    assert_eq!(receives(&called(&b.service, "4155550177")), None);
    b.service.refresh().await.unwrap();
    assert_eq!(receives(&called(&b.service, "4155550177")), Some("u"));
    assert_eq!(b.service.directory().account(&"c".into()).unwrap().name, "Sub");
}

#[tokio::test]
async fn mail_domains_are_generated_and_nobody_has_anothers() {
    let b = Bench::new();
    let s = &b.service;
    let made = put(
        s,
        entry(
            EntryKind::Faxbox,
            "x",
            "a",
            json!({ "name": "X", "custom_smtp_email_address": "Fax.Own.example" }),
        ),
    )
    .await
    .unwrap();
    let generated = made.hidden["smtp_email_address"].as_str().unwrap().to_owned();
    assert!(
        generated.ends_with(".fax.localhost") && generated.len() == "01234567.fax.localhost".len(),
        "{generated}"
    );
    for domain in [generated.to_uppercase().as_str(), "fax.own.EXAMPLE"] {
        assert_eq!(s.directory().faxbox_by_mail_domain(domain).unwrap().id.as_str(), "x", "{domain}");
    }
    let taken = |name: &str| Err(ServiceError::Taken(name.into()));
    let wants = |domain: &str| {
        entry(EntryKind::Faxbox, "y", "b", json!({ "name": "Y", "custom_smtp_email_address": domain }))
    };
    assert_eq!(put(s, wants("FAX.own.example")).await, taken("domain:fax.own.example"));
    assert_eq!(
        put(s, wants("A.example.org")).await,
        taken("domain:a.example.org"),
        "the realm of the configuration"
    );
    // Changed, it keeps what was generated and gives the other name back.
    let mut changed = made.clone();
    changed.document.remove("custom_smtp_email_address");
    let changed = put(s, changed).await.unwrap();
    assert_eq!(changed.hidden, made.hidden);
    assert!(s.directory().faxbox_by_mail_domain("fax.own.example").is_none());
    put(s, wants("fax.own.example")).await.unwrap();
    assert!(matches!(put(s, made).await, Err(ServiceError::Conflict(_))), "somebody else has changed it");
    put(s, changed.removed(Timestamp(9))).await.unwrap();
    assert!(s.directory().faxbox_by_mail_domain(&generated).is_none());
    assert!(s.directory().faxbox(&FaxboxId::new("x")).is_none());
    // A number of the configuration is not to be had.
    let number = entry(EntryKind::Number, "+14155550100", "b", json!({}));
    assert_eq!(put(s, number).await, taken("number:+14155550100"));
}

/// Another node reads several changes at once.
#[tokio::test]
async fn a_name_that_one_gave_up_and_another_took_is_the_others() {
    let b = Bench::new();
    let s = &b.service;
    let boxed = |id: &str, domain: Option<&str>| {
        let document = match domain {
            Some(domain) => json!({ "name": id, "custom_smtp_email_address": domain }),
            None => json!({ "name": id }),
        };
        entry(EntryKind::Faxbox, id, "a", document)
    };
    let first = put(s, boxed("x", Some("fax.own.example"))).await.unwrap();
    let ports = Ports {
        store: b.store.clone(),
        documents: b.documents.clone(),
        dialler: b.dialler.clone(),
        converter: Arc::new(TextConverter),
        fetcher: b.fetcher.clone(),
        clock: b.clock.clone(),
    };
    let other = Service::new(bench::directory(), b.config.clone(), ports);
    other.refresh().await.unwrap();
    let given_up = put(s, Entry { document: boxed("x", None).document, ..first }).await.unwrap();
    put(s, boxed("y", Some("fax.own.example"))).await.unwrap();
    put(s, given_up).await.unwrap();
    other.refresh().await.unwrap();
    for service in [s, &other] {
        let directory = service.directory();
        let owner = directory.faxbox_by_mail_domain("fax.own.example").map(|f| f.id.as_str());
        assert_eq!(owner, Some("y"));
    }
}

#[tokio::test]
async fn what_is_set_up_outlives_a_new_configuration_which_comes_first() {
    let b = Bench::new();
    let s = &b.service;
    put(s, entry(EntryKind::Account, "c", "a", json!({ "name": "Sub", "realm": "new.example.org" })))
        .await
        .unwrap();
    put(s, entry(EntryKind::Number, "+14155550177", "c", json!({}))).await.unwrap();
    let mut accounts: Vec<_> = bench::directory().accounts().cloned().collect();
    accounts[1].realm = "new.example.org".into();
    accounts[1].numbers = vec!["4155550177".into()];
    let plan = fax_switch::number::NumberPlan::default();
    s.reload(fax_switch::Directory::new(accounts, Vec::new(), &plan).unwrap());
    let directory = s.directory();
    assert_eq!(directory.account(&"c".into()).unwrap().name, "Sub");
    assert_eq!(directory.account_by_realm("new.example.org").unwrap().id.as_str(), "b");
    assert_eq!(directory.owner_of_number("+14155550177").unwrap().as_str(), "b");
    s.reload(bench::directory());
    assert_eq!(s.directory().account_by_realm("NEW.example.org").unwrap().id.as_str(), "c");
    assert_eq!(s.directory().owner_of_number("+14155550177").unwrap().as_str(), "c");
}

#[tokio::test]
async fn accounts_lie_below_others_and_show_their_own_numbers_only() {
    let b = Bench::new();
    let s = &b.service;
    for (id, above) in [("c", "a"), ("d", "c")] {
        put(s, entry(EntryKind::Account, id, above, json!({ "name": id }))).await.unwrap();
    }
    let directory = s.directory();
    for (below, above, is) in
        [("d", "a", true), ("d", "c", true), ("d", "d", true), ("a", "d", false), ("d", "b", false)]
    {
        assert_eq!(directory.is_within(&below.into(), &above.into()), is, "{below} below {above}");
    }
    assert!(directory.account(&"d".into()).unwrap().realm.ends_with(".fax.localhost"));
    let submit = async |from: &str| {
        let document = NewDocument::Octets {
            octets: bytes::Bytes::from_static(b"page"),
            content_type: "text/plain".into(),
            file_name: None,
        };
        let new =
            NewJob { from_number: Some(from.into()), ..NewJob::new("d".into(), "4155551234", document) };
        s.submit(new).await.map(|job| job.from_number)
    };
    assert_eq!(submit("4155550188").await, Err(SubmitError::CallerId("4155550188".into())));
    put(s, entry(EntryKind::Number, "+14155550188", "d", json!({}))).await.unwrap();
    assert_eq!(submit("4155550188").await, Ok("4155550188".into()));
    let mut shut = s.directory().entry(EntryKind::Account, "d").unwrap().as_ref().clone();
    shut.document.insert("enabled".into(), false.into());
    put(s, shut).await.unwrap();
    assert_eq!(submit("4155550188").await, Err(SubmitError::Disabled));
}

#[tokio::test]
async fn an_account_that_says_nothing_has_as_many_calls_as_the_one_above_it_says() {
    let mut b = Bench::with(|config| config.default_max_outbound = 2);
    let s = b.service.clone();
    let made = |name: &str, fax: Value| json!({ "name": name, "fax": fax });
    let free = || json!({ "ensure_valid_caller_id": false });
    let own = |most: u32| json!({ "ensure_valid_caller_id": false, "max_outbound": most });
    for (id, above, fax) in
        [("p", "", own(3)), ("c", "p", free()), ("g", "c", free()), ("o", "c", own(1)), ("s", "", free())]
    {
        put(&s, entry(EntryKind::Account, id, above, made(id, fax))).await.unwrap();
    }
    let gate = Arc::new(Semaphore::new(0));
    let mut begun = b.calls_begin();
    b.start();
    let mut waiting = Vec::new();
    for (n, account) in ["p", "c", "g", "o", "s"].into_iter().enumerate() {
        for i in 0..5 {
            b.dialler.then(Script::Hold(gate.clone()));
            let mut new = Bench::new_job("pages:1", &format!("+1415555{n}10{i}"));
            new.account = account.into();
            let id = s.submit(new).await.unwrap().id;
            b.until(&id, |j| j.state != JobState::Converting).await;
            waiting.push(id);
        }
    }
    let mut running = HashMap::<String, usize>::new();
    let mut count = async |calls: usize| {
        for _ in 0..calls {
            let id = next(&mut begun).await;
            let account = b.store.job(&id).await.unwrap().unwrap().account;
            *running.entry(account.to_string()).or_default() += 1;
        }
        let more = tokio::time::timeout(core::time::Duration::from_millis(200), begun.recv()).await;
        assert!(more.is_err(), "{running:?} and {more:?}");
        ["p", "c", "g", "o", "s"].map(|account| running.get(account).copied().unwrap_or(0))
    };
    assert_eq!(count(12).await, [3, 3, 3, 1, 2]);
    // What is raised holds at once, while the calls go on.
    let mut raised = s.directory().entry(EntryKind::Account, "o").unwrap().as_ref().clone();
    raised.document.insert("fax".into(), own(2));
    put(&s, raised).await.unwrap();
    assert_eq!(count(1).await, [3, 3, 3, 2, 2]);
    s.reconfigure(ServiceConfig { default_max_outbound: 4, ..ServiceConfig::clone(&s.config()) });
    assert_eq!(count(2).await, [3, 3, 3, 2, 4]);
    gate.add_permits(waiting.len());
    for id in &waiting {
        b.until_state(id, JobState::Completed).await;
    }
}

#[tokio::test]
async fn a_shut_account_sends_nothing_and_those_below_it_neither() {
    let mut b = Bench::running();
    let s = b.service.clone();
    put(&s, entry(EntryKind::Account, "c", "", json!({ "name": "c" }))).await.unwrap();
    let open = json!({ "name": "d", "fax": { "ensure_valid_caller_id": false } });
    put(&s, entry(EntryKind::Account, "d", "c", open)).await.unwrap();
    let mut new = Bench::new_job("pages:1", "4155551234");
    new.account = "d".into();
    new.not_before = Some(s.now().plus(core::time::Duration::from_secs(60)));
    let queued = s.submit(new.clone()).await.unwrap().id;
    let enabled = async |on: bool| {
        let mut above = s.directory().entry(EntryKind::Account, "c").unwrap().as_ref().clone();
        above.document.insert("enabled".into(), on.into());
        put(&s, above).await.unwrap();
    };
    enabled(false).await;
    assert_eq!(s.submit(new).await.map(|job| job.id), Err(SubmitError::Disabled));
    b.clock.advance(60);
    let held = b.until(&queued, |j| j.reason.is_some()).await;
    assert_eq!(held.reason.as_deref(), Some("The account is disabled; its faxes wait."));
    assert_eq!((held.state, held.not_before.since(s.now()).as_secs()), (JobState::Pending, 900));
    enabled(true).await;
    b.clock.advance(900);
    b.until_state(&queued, JobState::Completed).await;
}

/// Another node's changes are seen by whoever runs, without being asked.
#[tokio::test]
async fn a_running_switch_looks_at_what_others_set_up() {
    let mut b = Bench::new();
    b.start();
    let mut other = Entry::new(EntryKind::Faxbox, "x", "a".into(), Timestamp(1));
    other.claims = vec!["domain:told.example".into()];
    b.store.put_entries(vec![other]).await.unwrap();
    let patience = tokio::time::Instant::now() + core::time::Duration::from_secs(20);
    while b.service.directory().faxbox(&FaxboxId::new("x")).is_none() {
        assert!(tokio::time::Instant::now() < patience, "it was never looked at");
        b.clock.advance(30);
        tokio::time::sleep(core::time::Duration::from_millis(20)).await;
    }
}
