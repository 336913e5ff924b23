//! Received faxes, notices that wait, documents that rows name.

use super::*;

fn fax(account: &str, at: i64) -> Received {
    Received {
        id: FaxId::generate(),
        account: account.into(),
        faxbox: Some(FaxboxId::new("f")),
        created: t(at),
        from_number: "+2".into(),
        from_name: String::new(),
        to_number: "+1".into(),
        diverted_from: String::new(),
        remote_ident: Some("12".into()),
        document: Some(DocumentKey::generate()),
        pages: 1,
        success: true,
        class: "ok".into(),
        result_text: "OK".into(),
        bit_rate: Some(14400),
        modem: Some("V.17".into()),
        ecm: true,
        coding: Some("MMR".into()),
        resolution: None,
        t38: false,
        bad_rows: 0,
        longest_bad_run: 0,
        call_id: "c".into(),
        duration_ms: 1,
        notify: vec![],
        size: 9,
        client: serde_json::Map::new(),
        trace: vec![],
    }
}

pub async fn received_faxes_are_listed(s: S) {
    let (a, b, c) = (fax("a", 1), fax("a", 2), fax("b", 3));
    for f in [&a, &b, &c] {
        s.insert_received(f.clone(), vec![]).await.unwrap();
    }
    assert_eq!(s.insert_received(a.clone(), vec![]).await, Err(StoreError::Exists));
    assert_eq!(s.received(&a.id).await.unwrap().as_ref(), Some(&a));
    let q = |account: Option<&str>| ReceivedQuery {
        account: account.map(AccountId::from),
        faxbox: None,
        range: Range::default(),
    };
    let of_a = s.received_list(q(Some("a"))).await.unwrap();
    assert_eq!(of_a, [b.clone(), a.clone()]);
    assert_eq!(s.received_list(q(None)).await.unwrap().len(), 3);
    let other_box = ReceivedQuery { faxbox: Some("g".into()), ..q(Some("a")) };
    assert!(s.received_list(other_box).await.unwrap().is_empty());
    s.delete_received(&b.id).await.unwrap();
    assert_eq!(s.received_list(q(Some("a"))).await.unwrap(), [a]);
    assert_eq!(s.delete_received(&b.id).await, Err(StoreError::NotFound));
}

pub async fn notices_wait_and_are_ticked_off(s: S) {
    let about = NoticeSubject::Fax(FaxId::new("f"));
    let make = |at| Notice::new(NoticeKind::Received, "a".into(), about.clone(), vec![], t(at));
    let (a, b) = (make(5), make(3));
    assert_eq!(s.next_notice().await.unwrap(), None);
    s.insert_notices(vec![a.clone(), b.clone()]).await.unwrap();
    assert_eq!(s.next_notice().await.unwrap(), Some(t(3)));
    assert!(s.notices_due(t(2), 9).await.unwrap().is_empty());
    assert_eq!(s.notices_due(t(9), 9).await.unwrap(), [b.clone(), a.clone()]);
    assert_eq!(s.notices_due(t(9), 1).await.unwrap(), std::slice::from_ref(&b));
    s.notice_retry(&b.id, t(8), vec!["x@y".into()]).await.unwrap();
    let due = s.notices_due(t(9), 9).await.unwrap();
    assert_eq!((&due[0].id, due[1].tries, &due[1].served[..]), (&a.id, 1, &["x@y".to_owned()][..]));
    s.notice_done(&a.id).await.unwrap();
    assert_eq!(s.notice_done(&a.id).await, Err(StoreError::NotFound));
    assert_eq!(s.next_notice().await.unwrap(), Some(t(8)));
}

pub async fn a_notice_is_taken_by_one_node(s: S) {
    let about = NoticeSubject::Fax(FaxId::new("f"));
    let make = |at| Notice::new(NoticeKind::Received, "a".into(), about.clone(), vec![], t(at));
    let (a, b, c) = (make(1), make(2), make(9));
    s.insert_notices(vec![a.clone(), b.clone(), c]).await.unwrap();
    let take = async |name: &str, now: i64, limit| -> Vec<NoticeId> {
        let taken = s.take_notices(&node(name), t(now), t(now + 60), limit).await.unwrap();
        taken.into_iter().map(|n| n.id).collect()
    };
    assert_eq!(take("n1", 5, 1).await, std::slice::from_ref(&a.id));
    assert_eq!(take("n2", 5, 9).await, std::slice::from_ref(&b.id));
    assert!(take("n1", 5, 9).await.is_empty(), "both are held");
    // Whoever is still sending keeps it; whoever fell silent loses it.
    s.keep_notice(&a.id, &node("n1"), t(200)).await.unwrap();
    assert_eq!(s.keep_notice(&a.id, &node("n2"), t(200)).await, Err(StoreError::LeaseLost));
    s.insert_notices(vec![]).await.unwrap();
    let later = take("n3", 70, 9).await;
    assert!(later.contains(&b.id) && !later.contains(&a.id), "{later:?}");
    assert_eq!(s.keep_notice(&b.id, &node("n2"), t(200)).await, Err(StoreError::LeaseLost));
    // A node that was restarted begins again with what it had taken, and nothing counts as a try.
    s.release_notices(&node("n1"), t(71)).await.unwrap();
    let again = s.take_notices(&node("n1"), t(71), t(99), 9).await.unwrap();
    assert_eq!((again.len(), &again[0].id, again[0].tries), (1, &a.id, 0));
    // A failed try lets it go.
    s.notice_retry(&a.id, t(72), vec![]).await.unwrap();
    assert_eq!(take("n2", 72, 9).await, [a.id]);
}

pub async fn documents_are_named_by_rows(s: S) {
    let (x, y) = (DocumentKey::generate(), DocumentKey::generate());
    let mut job = pending("a", "+1", 1);
    job.source = Source::Stored { original: x.clone(), content_type: String::new(), file_name: None };
    job.document = Some(y.clone());
    let again = Job { id: JobId::generate(), ..job.clone() };
    let (first, second) = (put(&s, job).await, put(&s, again).await);
    for id in [first, second] {
        assert!(s.is_named(&x).await.unwrap() && s.is_named(&y).await.unwrap());
        set(&s, &id, JobState::Failed).await;
        s.delete_job(&id).await.unwrap();
    }
    assert!(!s.is_named(&x).await.unwrap() && !s.is_named(&y).await.unwrap());
    // What was fetched is named by the job from the moment that it is kept.
    let url = serde_json::json!({ "kind": "url", "url": "http://x/", "method": "get" });
    let source: Source = serde_json::from_value(url).unwrap();
    assert_eq!(source, Source::Url { request: WebRequest::get("http://x/"), kept: None });
    assert_eq!(serde_json::to_value(&source).unwrap()["url"], "http://x/");
    let job = put(&s, Job::new("a".into(), "+1", source.clone(), t(1))).await;
    let kept =
        Kept { original: x.clone(), content_type: "text/plain".into(), file_name: Some("ü\0".into()) };
    let change = |kept: Option<Kept>| -> JobChange {
        Box::new(move |j| {
            let Source::Url { kept: here, .. } = &mut j.source else { panic!() };
            *here = kept;
            Ok(())
        })
    };
    let with = s.update_job(&job, Guard::Any, change(Some(kept.clone())), vec![]).await.unwrap();
    assert_eq!(s.job(&job).await.unwrap().unwrap().source, with.source);
    assert_eq!(with.source.stored(), Some((&x, "text/plain", Some("ü\0"))));
    assert!(with.source != source && with.source.asks_for_the_same(&source));
    assert!(s.is_named(&x).await.unwrap());
    let without = s.update_job(&job, Guard::Any, change(None), vec![]).await.unwrap();
    assert_eq!(without.source, source);
    assert!(!s.is_named(&x).await.unwrap());
    s.update_job(&job, Guard::Any, change(Some(kept)), vec![]).await.unwrap();
    set(&s, &job, JobState::Failed).await;
    s.delete_job(&job).await.unwrap();
    assert!(!s.is_named(&x).await.unwrap());
    let f = fax("a", 1);
    let key = f.document.clone().unwrap();
    s.insert_received(f.clone(), vec![]).await.unwrap();
    assert!(s.is_named(&key).await.unwrap());
    s.delete_received(&f.id).await.unwrap();
    assert!(!s.is_named(&key).await.unwrap());
    // Without its document the record stays.
    let f = fax("a", 2);
    let key = f.document.clone().unwrap();
    s.insert_received(f.clone(), vec![]).await.unwrap();
    assert_eq!(s.strip_received(&f.id).await.unwrap(), f);
    assert!(!s.is_named(&key).await.unwrap());
    let bare = Received { document: None, ..f.clone() };
    assert_eq!(s.received(&f.id).await.unwrap(), Some(bare.clone()));
    assert_eq!(s.strip_received(&f.id).await.unwrap(), bare);
    assert_eq!(s.strip_received(&FaxId::new("x")).await, Err(StoreError::NotFound));
}
