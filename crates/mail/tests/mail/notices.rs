//! Notices that go out, to a sink made of our own SMTP session.

use crate::rig::{A, Rig, listen, rig};
use async_trait::async_trait;
use fax_mail::listener::{Ingress, ListenerConfig};
use fax_mail::mailer::{Mailer, MailerConfig};
use fax_mail::session::{Disposition, Envelope, Limits, Verdict};
use fax_store::model::{
    AccountId, FaxId, Job, NodeId, Notice, NoticeKind, NoticeSubject, Received, Source, Timestamp, WebRequest,
};
use fax_switch::{Service, ServiceConfig};
use mail_parser::{MessageParser, MimeHeaders};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A smarthost: keeps what it is given, refuses `gone@…` for good and everything while it is busy.
#[derive(Default)]
struct Sink {
    mails: Mutex<Vec<Envelope>>,
    busy: Mutex<u32>,
    /// So many mails take their time.
    slow: Mutex<u32>,
    /// Refuses mails with a PDF as too large.
    small: Mutex<bool>,
    /// Refuses the next mails so.
    refusals: Mutex<Vec<String>>,
    /// Has no time for `late@…`.
    late: Mutex<bool>,
}

#[async_trait]
impl Ingress for Sink {
    async fn recipient(&self, _: &str, recipient: &str) -> Verdict {
        let mut busy = self.busy.lock().unwrap();
        if *busy > 0 {
            *busy -= 1;
            return Verdict::TryLater;
        }
        if recipient.starts_with("late@") && *self.late.lock().unwrap() {
            return Verdict::TryLater;
        }
        if recipient.starts_with("gone@") { Verdict::NotFound } else { Verdict::Accept }
    }

    async fn mail(&self, mail: Envelope) -> Disposition {
        if let Some(why) = self.refusals.lock().unwrap().pop() {
            return Disposition::Refused(why);
        }
        if mail.octets.windows(15).any(|w| w == b"application/pdf") && *self.small.lock().unwrap() {
            return Disposition::Refused("5.3.4 message size exceeds fixed limit".into());
        }
        let slow = {
            let mut left = self.slow.lock().unwrap();
            let slow = *left > 0;
            *left = left.saturating_sub(1);
            slow
        };
        if slow {
            tokio::time::sleep(Duration::from_millis(1_300)).await;
        }
        let mut mails = self.mails.lock().unwrap();
        mails.push(mail);
        Disposition::Queued(vec![format!("m{}", mails.len())])
    }
}

async fn mailer(service: &Service, sink: &Arc<Sink>) -> JoinHandle<()> {
    let limits = Limits { message: 50 << 20, ..Limits::default() };
    let at =
        listen(Arc::clone(sink) as Arc<dyn Ingress>, ListenerConfig { limits, ..ListenerConfig::default() })
            .await;
    let config = MailerConfig {
        waits: vec![Duration::from_millis(50)],
        hello: Some("fax.example".into()),
        ..MailerConfig::new("127.0.0.1", at.port(), "Fax <fax@fax.example>")
    };
    let mailer = Mailer::new(service.clone(), config).unwrap();
    tokio::spawn(async move { mailer.run(std::future::pending()).await })
}

async fn mails(sink: &Sink, wanted: usize) -> Vec<Envelope> {
    for _ in 0..400 {
        let mails = sink.mails.lock().unwrap().clone();
        if mails.len() >= wanted {
            return mails;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("only {} of {wanted} mails came", sink.mails.lock().unwrap().len());
}

async fn no_notice_left(rig: &Rig) {
    for _ in 0..200 {
        if rig.ports.store.next_notice().await.unwrap().is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    panic!("a notice is left");
}

async fn received(rig: &Rig) -> Received {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/pages/text-fine.tif");
    let document = rig.ports.documents.put(std::fs::read(path).unwrap().into()).await.unwrap();
    serde_json::from_value(serde_json::json!({
        "id": FaxId::generate(), "account": A, "faxbox": "f", "created": Timestamp::from_unix_seconds(1_767_225_599), "from_number": "+14155550199",
        "from_name": "Läb\r\nBcc: evil@x.example <b>", "to_number": "+14155550100", "document": document, "pages": 1, "success": true, "result_text": "OK",
    }))
    .unwrap()
}

fn notice(kind: NoticeKind, subject: NoticeSubject, to: &[&str]) -> Notice {
    let to = to.iter().map(|t| (*t).to_owned()).collect();
    Notice::new(kind, AccountId::new(A), subject, to, Timestamp::now())
}

#[tokio::test]
async fn a_received_fax_is_mailed_with_picture_and_pdf_and_retried_until_it_is_taken() {
    let rig = rig().await;
    let sink = Arc::new(Sink { busy: Mutex::new(2), ..Sink::default() });
    let fax = received(&rig).await;
    let told = notice(
        NoticeKind::Received,
        NoticeSubject::Fax(fax.id.clone()),
        &["one@x.example", "gone@x.example", "two@x.example"],
    );
    let id = told.id.clone();
    rig.ports.store.insert_received(fax, vec![told]).await.unwrap();
    mailer(&rig.service, &sink).await;
    let mails = mails(&sink, 2).await;
    no_notice_left(&rig).await;
    let mut to: Vec<String> = mails.iter().flat_map(|m| m.recipients.clone()).collect();
    to.sort();
    assert_eq!(
        to,
        ["one@x.example", "two@x.example"],
        "each once, the one that is gone keeps it from nobody"
    );
    for mail in &mails {
        let parsed = MessageParser::new().parse(&mail.octets).unwrap();
        let to: Vec<_> = parsed.to().unwrap().iter().filter_map(|a| a.address()).collect();
        assert_eq!(to, mail.recipients, "nobody sees who else was told");
    }
    let mail = MessageParser::new().parse(&mails[0].octets).unwrap();
    assert_eq!(mail.subject(), Some("New fax from Läb Bcc: evil@x.example <b> (+14155550199)"));
    assert_eq!(mail.header_raw("Auto-Submitted").map(str::trim), Some("auto-generated"));
    assert!(mail.header("Bcc").is_none() && mail.date().is_some());
    assert_eq!(mail.message_id(), Some(format!("{id}@fax.example").as_str()));
    let text = mail.body_text(0).unwrap();
    assert!(text.contains("Received: Thu, 01 Jan 2026 00:59:59 CET"), "in the faxbox's time zone: {text}");
    let html = mail.body_html(0).unwrap();
    assert!(html.contains("cid:first-page@ferrofax") && html.contains("&lt;b&gt;"), "{html}");
    let kinds: Vec<(String, Vec<u8>)> = mail
        .parts
        .iter()
        .filter_map(|p| {
            p.content_type().map(|t| {
                (format!("{}/{}", t.ctype(), t.subtype().unwrap_or_default()), p.contents().to_vec())
            })
        })
        .collect();
    let part =
        |kind: &str| kinds.iter().find(|(k, _)| k == kind).map(|(_, o)| o.as_slice()).unwrap_or_default();
    assert!(
        part("image/png").starts_with(b"\x89PNG"),
        "{:?}",
        kinds.iter().map(|(k, _)| k).collect::<Vec<_>>()
    );
    assert!(part("application/pdf").starts_with(b"%PDF-"));
}

/// One of two can have the mail only later: a restart in between is no second mail for the other.
#[tokio::test]
async fn who_has_a_mail_gets_it_no_second_time_after_a_restart() {
    let rig = rig().await;
    let sink = Arc::new(Sink { late: Mutex::new(true), ..Sink::default() });
    let fax = received(&rig).await;
    let to = ["one@x.example", "gone@x.example", "late@x.example"];
    let told = notice(NoticeKind::Received, NoticeSubject::Fax(fax.id.clone()), &to);
    rig.ports.store.insert_received(fax, vec![told]).await.unwrap();
    let first = mailer(&rig.service, &sink).await;
    mails(&sink, 1).await;
    let far = Timestamp::now().plus(Duration::from_secs(3_600));
    let written = async {
        while rig.ports.store.notices_due(far, 1).await.unwrap()[0].tries == 0 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), written).await.unwrap();
    first.abort();
    let _ = first.await;
    let kept = rig.ports.store.notices_due(far, 1).await.unwrap().remove(0);
    assert_eq!(kept.served, ["gone@x.example", "one@x.example"]);
    *sink.late.lock().unwrap() = false;
    mailer(&rig.service, &sink).await;
    mails(&sink, 2).await;
    no_notice_left(&rig).await;
    let to: Vec<String> = sink.mails.lock().unwrap().iter().flat_map(|m| m.recipients.clone()).collect();
    assert_eq!(to, ["one@x.example", "late@x.example"]);
}

#[tokio::test]
async fn results_of_jobs_are_worded_and_what_nobody_takes_is_kept() {
    let rig = rig().await;
    let sink = Arc::new(Sink::default());
    let source = Source::Url { request: WebRequest::get("http://x"), kept: None };
    let mut job = Job::new(AccountId::new(A), "+14155551234", source, Timestamp::now());
    job.to_name = "Dr. Who".into();
    job.reason = Some("The number is engaged.".into());
    rig.ports.store.insert_job(job.clone()).await.unwrap();
    let about = || NoticeSubject::Job(job.id.clone());
    let notices = vec![
        notice(NoticeKind::Failed, about(), &["a@x.example"]),
        notice(NoticeKind::Uncertain, about(), &["b@x.example"]),
        notice(NoticeKind::Sent, about(), &["c@x.example"]),
        notice(
            NoticeKind::Sent,
            NoticeSubject::Job("00000000000000000000000000000000".into()),
            &["d@x.example"],
        ),
        notice(NoticeKind::Sent, about(), &["gone@x.example"]),
        notice(NoticeKind::Sent, about(), &["no address"]),
    ];
    rig.ports.store.insert_notices(notices).await.unwrap();
    mailer(&rig.service, &sink).await;
    let mails = mails(&sink, 3).await;
    let subject = |to: &str| {
        let mail = mails.iter().find(|m| m.recipients == [to]).unwrap();
        let mail = MessageParser::new().parse(&mail.octets).unwrap();
        (mail.subject().unwrap().to_owned(), mail.body_text(0).unwrap().into_owned())
    };
    let (failed, text) = subject("a@x.example");
    assert_eq!(failed, "Error sending Fax to Dr. Who (+14155551234)");
    assert!(text.contains("Reason: The number is engaged."), "{text}");
    assert_eq!(subject("b@x.example").0, "Fax to Dr. Who (+14155551234) may not have arrived");
    assert_eq!(subject("c@x.example").0, "Fax has been sent to Dr. Who (+14155551234)");
    // The two that nobody takes are set aside, not lost and not tried for ever; the one about a job that is gone is done.
    let far = Timestamp::now().plus(Duration::from_secs(20 * 365 * 86_400));
    let mut kept = Vec::new();
    for _ in 0..400 {
        kept = rig.ports.store.notices_due(far, 10).await.unwrap();
        if kept.len() == 2 && kept.iter().all(|n| n.tries == 1 && n.lease.is_none()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
    assert_eq!(kept.len(), 2, "{kept:?}");
    assert!(kept.iter().all(|n| n.tries == 1 && n.not_before > Timestamp::now()), "{kept:?}");
    assert_eq!(sink.mails.lock().unwrap().len(), 3);
}

/// A smarthost with a limit of its own, and one that does not know us yet: nobody misses the news.
#[tokio::test]
async fn a_mail_that_is_too_large_goes_without_the_fax_and_faults_of_settings_are_waited_for() {
    let rig = rig().await;
    let refusals = vec!["5.7.1 Relay access denied".to_owned(), "5.7.1 sender rejected".to_owned()];
    let sink = Arc::new(Sink { small: Mutex::new(true), refusals: Mutex::new(refusals), ..Sink::default() });
    let fax = received(&rig).await;
    let told = notice(NoticeKind::Received, NoticeSubject::Fax(fax.id.clone()), &["one@x.example"]);
    rig.ports.store.insert_received(fax.clone(), vec![told]).await.unwrap();
    mailer(&rig.service, &sink).await;
    let mails = mails(&sink, 1).await;
    no_notice_left(&rig).await;
    assert_eq!((mails.len(), sink.refusals.lock().unwrap().len()), (1, 0));
    let mail = MessageParser::new().parse(&mails[0].octets).unwrap();
    let text = mail.body_text(0).unwrap();
    assert!(
        text.contains("too large to be attached") && text.contains(&format!("Fax: {}", fax.id)),
        "{text}"
    );
    assert!(mail.body_html(0).unwrap().contains("cid:first-page@ferrofax"));
    let far = Timestamp::now().plus(Duration::from_secs(20 * 365 * 86_400));
    assert!(rig.ports.store.notices_due(far, 10).await.unwrap().is_empty(), "nothing is set aside");
}

/// Two nodes on one database: each mail goes out once, also while one node takes longer over it than a lease.
#[tokio::test]
async fn two_mailers_on_one_store_mail_each_notice_once() {
    const MAILS: usize = 40;
    let rig = rig().await;
    // The first mail of each node takes twice as long as the shorter lease.
    let sink = Arc::new(Sink { slow: Mutex::new(2), ..Sink::default() });
    let other = {
        let config =
            ServiceConfig { lease: Duration::from_millis(600), ..ServiceConfig::new(NodeId::new("m")) };
        let (directory, ports) = (rig.service.directory(), rig.ports.clone());
        Service::new((*directory).clone(), config, ports)
    };
    let fax = received(&rig).await;
    let about = || NoticeSubject::Fax(fax.id.clone());
    rig.ports.store.insert_received(fax.clone(), vec![]).await.unwrap();
    let notices: Vec<Notice> =
        (0..MAILS).map(|i| notice(NoticeKind::Received, about(), &[&format!("u{i}@x.example")])).collect();
    rig.ports.store.insert_notices(notices).await.unwrap();
    mailer(&rig.service, &sink).await;
    mailer(&other, &sink).await;
    mails(&sink, MAILS).await;
    no_notice_left(&rig).await;
    let mut to: Vec<String> = sink.mails.lock().unwrap().iter().flat_map(|m| m.recipients.clone()).collect();
    to.sort();
    let sent = to.len();
    to.dedup();
    assert_eq!((sent, to.len()), (MAILS, MAILS), "a mail went out twice");
}

/// Everything that is logged by this thread.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A smarthost that wants to know who it is and takes one mail: the proof and the mail as they came.
async fn proven_smarthost(listener: TcpListener) -> (String, String) {
    let (stream, _) = listener.accept().await.unwrap();
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 host.example\r\n").await.unwrap();
    let (mut proof, mut mail, mut in_mail) = (String::new(), String::new(), false);
    loop {
        let mut line = String::new();
        assert_ne!(stream.read_line(&mut line).await.unwrap(), 0, "hung up");
        let answer = match line.trim_end() {
            "." if in_mail => {
                stream.write_all(b"250 taken\r\n").await.unwrap();
                return (proof, mail);
            }
            _ if in_mail => {
                mail.push_str(&line);
                continue;
            }
            "DATA" => {
                in_mail = true;
                "354 go on"
            }
            ehlo if ehlo.starts_with("EHLO") => "250-host.example\r\n250 AUTH PLAIN",
            auth if auth.starts_with("AUTH PLAIN ") => {
                proof = auth["AUTH PLAIN ".len()..].to_owned();
                "235 welcome"
            }
            _ => "250 fine",
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn neither_the_password_nor_a_document_is_logged_at_the_lowest_level() {
    const PASSWORD: &str = "open-sesame-4711";
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    let _logged = tracing::subscriber::set_default(subscriber);
    let rig = rig().await;
    let fax = received(&rig).await;
    let told = notice(NoticeKind::Received, NoticeSubject::Fax(fax.id.clone()), &["one@x.example"]);
    rig.ports.store.insert_received(fax, vec![told]).await.unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let config = MailerConfig {
        credentials: Some(("fax".into(), PASSWORD.into())),
        hello: Some("fax.example".into()),
        ..MailerConfig::new("127.0.0.1", listener.local_addr().unwrap().port(), "Fax <fax@fax.example>")
    };
    assert!(!format!("{config:?}").contains(PASSWORD), "the settings show it");
    let mailer = Mailer::new(rig.service.clone(), config).unwrap();
    tokio::spawn(async move { mailer.run(std::future::pending()).await });
    let (proof, mail) =
        tokio::time::timeout(Duration::from_secs(60), proven_smarthost(listener)).await.unwrap();
    no_notice_left(&rig).await;

    use base64::Engine as _;
    let proven = base64::engine::general_purpose::STANDARD.decode(&proof).unwrap();
    assert!(String::from_utf8(proven).unwrap().ends_with(PASSWORD), "it was proven");
    let document = mail.lines().find(|l| l.starts_with("JVBERi0")).expect("a PDF in the mail").trim_end();
    tracing::info!("the end of the test");
    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("the end of the test"), "{text}");
    for secret in [PASSWORD, &proof, document, "Content-Transfer-Encoding", "AUTH PLAIN"] {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
}
