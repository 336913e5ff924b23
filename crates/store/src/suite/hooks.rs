//! What web hooks are told, and the backlog.

use super::*;

fn told(hook: &str, at: i64) -> Notice {
    let subject = NoticeSubject::Job(JobId::new("j"));
    let data = serde_json::json!({ "id": "j", "text": "ünï\u{0}" }).as_object().unwrap().clone();
    let event = HookEvent { hook: hook.into(), event: "fax.sent".into(), data };
    Notice::for_hook(NoticeKind::Sent, "a".into(), subject, event, t(at))
}

fn attempt(hook: &str, id: &str, at: i64, delivery: &NoticeId) -> HookAttempt {
    HookAttempt {
        id: id.into(),
        hook: hook.into(),
        delivery: delivery.clone(),
        event: "fax.sent".into(),
        at: t(at),
        attempt: 1,
        status: Some(500),
        error: Some("the server answered 500".into()),
        took_ms: 12,
        next: Some(t(at + 5)),
    }
}

pub async fn hook_notices_are_taken_by_one_and_come_back(s: S) {
    assert_eq!(s.next_hook_notice().await.unwrap(), None);
    let (a, b) = (told("h", 5), told("h", 3));
    let mail = Notice::new(
        NoticeKind::Sent,
        "a".into(),
        NoticeSubject::Job(JobId::new("j")),
        vec!["x@y".into()],
        t(1),
    );
    s.insert_notices(vec![a.clone(), mail.clone(), b.clone()]).await.unwrap();
    // Mails and hooks do not see each other.
    assert_eq!(s.notices_due(t(9), 9).await.unwrap(), std::slice::from_ref(&mail));
    assert_eq!(s.next_hook_notice().await.unwrap(), Some(t(3)));
    assert_eq!(s.take_hook_notices(t(2), t(60), 9).await.unwrap(), []);
    let taken = s.take_hook_notices(t(9), t(60), 1).await.unwrap();
    assert_eq!(taken, [Notice { tries: 1, not_before: t(60), ..b.clone() }]);
    let rest = s.take_hook_notices(t(9), t(60), 9).await.unwrap();
    assert_eq!(rest, [Notice { tries: 1, not_before: t(60), ..a.clone() }], "what is taken is nobody else's");
    assert_eq!(s.take_hook_notices(t(59), t(99), 9).await.unwrap(), []);
    // One was not called after all, which is no try; then it is done with. One whose node died comes back by itself.
    s.hook_called(&b.id, Some(t(20)), None).await.unwrap();
    assert_eq!(s.next_hook_notice().await.unwrap(), Some(t(20)));
    let again = s.take_hook_notices(t(20), t(70), 9).await.unwrap();
    assert_eq!(again, [Notice { tries: 1, not_before: t(70), ..b.clone() }]);
    s.hook_called(&b.id, None, None).await.unwrap();
    s.hook_called(&b.id, Some(t(1)), None).await.unwrap();
    assert_eq!(
        s.take_hook_notices(t(61), t(99), 9).await.unwrap(),
        [Notice { tries: 2, not_before: t(99), ..a }]
    );
    // Many at once: each is taken once.
    let many: Vec<Notice> = (0..40).map(|i| told("h", 200 + i)).collect();
    s.insert_notices(many.clone()).await.unwrap();
    let tasks: Vec<_> = (0..4)
        .map(|_| {
            let s = s.clone();
            tokio::spawn(async move {
                let mut mine = Vec::new();
                loop {
                    let some = s.take_hook_notices(t(500), t(900), 3).await.unwrap();
                    if some.is_empty() {
                        return mine;
                    }
                    mine.extend(some.into_iter().map(|n| n.id));
                }
            })
        })
        .collect();
    let mut all = Vec::new();
    for task in tasks {
        all.extend(task.await.unwrap());
    }
    let (taken, once) = (all.len(), all.iter().collect::<std::collections::HashSet<_>>().len());
    assert_eq!(taken, once, "nothing is taken twice");
    assert!(many.iter().all(|n| all.contains(&n.id)));
}

pub async fn attempts_of_hooks_are_kept_up_to_a_number(s: S) {
    let n = told("h", 1);
    s.insert_notices(vec![n.clone()]).await.unwrap();
    for i in 0..105 {
        let last = attempt("h", &format!("{i:03}"), i, &n.id);
        s.hook_called(&n.id, Some(t(i)), Some(last)).await.unwrap();
    }
    s.hook_called(&n.id, None, Some(attempt("other", "x", 1, &n.id))).await.unwrap();
    let kept = s.hook_attempts("h").await.unwrap();
    assert_eq!(kept.len(), crate::port::HOOK_ATTEMPTS);
    assert_eq!((kept[0].clone(), kept[99].id.as_str()), (attempt("h", "104", 104, &n.id), "005"));
    s.forget_hook("h").await.unwrap();
    assert_eq!(s.hook_attempts("h").await.unwrap(), []);
    assert_eq!(s.hook_attempts("other").await.unwrap().len(), 1);
}

pub async fn the_backlog_is_counted(s: S) {
    assert_eq!(s.backlog().await.unwrap(), crate::port::Backlog::default());
    for (id, state) in [
        ("p", JobState::Pending),
        ("q", JobState::Pending),
        ("r", JobState::Pending),
        ("c", JobState::Converting),
    ] {
        let source = Source::Url { request: WebRequest::get("http://x/"), kept: None };
        let mut job = Job::new("a".into(), format!("+4930{id}"), source, t(1));
        job.id = JobId::new(id);
        job.state = state;
        s.insert_job(job).await.unwrap();
    }
    let request = LeaseRequest {
        node: NodeId::new("n"),
        now: t(9),
        until: t(99),
        limit: 1,
        account_limits: HashMap::new(),
        default_account_limit: 9,
        serialise_numbers: true,
    };
    assert_eq!(s.lease_due(request).await.unwrap().len(), 1);
    let mail = Notice::new(
        NoticeKind::Sent,
        "a".into(),
        NoticeSubject::Job(JobId::new("j")),
        vec!["x@y".into()],
        t(1),
    );
    s.insert_notices(vec![mail, told("h", 1), told("h", 2)]).await.unwrap();
    let wanted = crate::port::Backlog { converting: 1, pending: 2, held: 1, notices: 1, hook_notices: 2 };
    assert_eq!(s.backlog().await.unwrap(), wanted);
    assert_eq!(s.lease_converting(&NodeId::new("n"), t(9), t(99), 9).await.unwrap().len(), 1);
    assert_eq!(s.backlog().await.unwrap(), wanted, "one that is being converted is still to be converted");
}
