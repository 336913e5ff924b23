//! Mail both ways over loopback: a plain TCP client and swaks send faxes in; notices go out to a sink made of our own
//! SMTP session.

#![allow(clippy::unwrap_used, clippy::panic)] // helpers of tests, which may

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use fax_document::FaxDocument;
use fax_mail::ingress::FaxIngress;
use fax_mail::listener::{Ingress, ListenerConfig, serve};
use fax_mail::mailer::{Mailer, MailerConfig};
use fax_mail::session::{Disposition, Envelope, Limits, Verdict};
use fax_store::StoreError;
use fax_store::folder::FolderDocuments;
use fax_store::model::{
    AccountId, DocumentKey, Entry, EntryKind, FaxId, FaxboxId, Folder, Job, JobState, NodeId, Notice,
    NoticeKind, NoticeSubject, Received, Source, Timestamp, WebRequest,
};
use fax_store::port::{Documents, Guard, JobChange, JobQuery, Range};
use fax_store::redb::RedbStore;
use fax_switch::number::NumberPlan;
use fax_switch::port::{
    CallEvent, CallOrder, CallResult, ConvertError, Converter, Dialler, Fetched, Fetcher, SystemClock,
};
use fax_switch::{Account, Directory, Faxbox, Ports, Service, ServiceConfig};
use mail_parser::{MessageParser, MimeHeaders};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
const DOMAIN: &str = "0a1b2c3d.fax.example";
const PDF: &str = "JVBERi0xLjQKJSVFT0YK";

/// Nothing is called, converted or fetched here.
struct Idle;

#[async_trait]
impl Dialler for Idle {
    async fn call(&self, _: CallOrder, _: mpsc::Sender<CallEvent>) -> CallResult {
        CallResult::default()
    }
}

#[async_trait]
impl Converter for Idle {
    async fn convert(
        &self,
        _: Bytes,
        _: &str,
        _: Option<&str>,
        _: bool,
    ) -> Result<FaxDocument, ConvertError> {
        Err(ConvertError::Later("not here".into()))
    }
}

#[async_trait]
impl Fetcher for Idle {
    async fn fetch(&self, _: WebRequest) -> Result<Fetched, ConvertError> {
        Err(ConvertError::Later("not here".into()))
    }
}

/// A store of documents that fills up.
struct Filling {
    folder: FolderDocuments,
    /// So many documents have room; `None`: all.
    room: Mutex<Option<u32>>,
}

#[async_trait]
impl Documents for Filling {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        if let Some(left) = self.room.lock().unwrap().as_mut() {
            *left = left.checked_sub(1).ok_or(StoreError::Unavailable("it is full".into()))?;
        }
        self.folder.put(octets).await
    }

    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        self.folder.put_as(key, octets).await
    }

    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError> {
        self.folder.get(key).await
    }

    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        self.folder.delete(key).await
    }

    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.folder.older_than(age, shelf).await
    }
}

struct Rig {
    service: Service,
    ports: Ports,
    documents: Arc<Filling>,
    _folder: tempfile::TempDir,
}

async fn rig() -> Rig {
    let folder = tempfile::tempdir().unwrap();
    let documents = Arc::new(Filling {
        folder: FolderDocuments::open(folder.path().join("documents")).unwrap(),
        room: Mutex::new(None),
    });
    let ports = Ports {
        store: Arc::new(RedbStore::open(folder.path().join("rows")).unwrap()),
        documents: documents.clone(),
        dialler: Arc::new(Idle),
        converter: Arc::new(Idle),
        fetcher: Arc::new(Idle),
        clock: Arc::new(SystemClock),
    };
    let account = Account { id: AccountId::new(A), realm: "a.example".into(), ..Account::default() };
    let faxbox = Faxbox {
        id: FaxboxId::new("f"),
        account: AccountId::new(A),
        caller_id: "+14155550100".into(),
        timezone: "Europe/Berlin".into(),
        retries: 2,
        mail_domain: DOMAIN.into(),
        custom_mail_domain: Some("fax.custom.example".into()),
        smtp_permission_list: vec!["Boss@b.example".into(), r"@c\.example$".into()],
        owner: Some("u1".into()),
        owner_email: Some("jo@a.example".into()),
        notify_outbound: vec!["desk@a.example".into()],
        ..Faxbox::default()
    };
    let closed = Faxbox {
        id: FaxboxId::new("g"),
        account: AccountId::new(A),
        mail_domain: "closed.example".into(),
        ..Faxbox::default()
    };
    let directory = Directory::new(vec![account], vec![faxbox, closed], &NumberPlan::default()).unwrap();
    let service = Service::new(directory, ServiceConfig::new(NodeId::new("n")), ports.clone());
    let mut user = Entry::new(EntryKind::User, "u1", AccountId::new(A), Timestamp::now());
    user.document.insert("email".into(), "jo@a.example".into());
    service.put_entries(vec![user]).await.unwrap();
    Rig { service, ports, documents, _folder: folder }
}

impl Rig {
    async fn jobs(&self) -> Vec<Job> {
        let mut query = JobQuery::of(AccountId::new(A), Folder::Live);
        query.range.ascending = true;
        self.service.jobs(query).await.unwrap()
    }
}

async fn listen(ingress: Arc<dyn Ingress>, config: ListenerConfig) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(serve(listener, config, ingress, std::future::pending()));
    address
}

async fn server(rig: &Rig) -> SocketAddr {
    let ingress = Arc::new(FaxIngress::new(rig.service.clone(), false));
    listen(ingress, ListenerConfig { host: "mx.example".into(), ..ListenerConfig::default() }).await
}

/// A client that says lines and hears replies.
struct Client {
    stream: BufReader<TcpStream>,
}

impl Client {
    async fn connect(to: SocketAddr) -> Self {
        let mut client = Client { stream: BufReader::new(TcpStream::connect(to).await.unwrap()) };
        assert!(client.hear().await.starts_with("220 mx.example "));
        client
    }

    async fn hear(&mut self) -> String {
        loop {
            let mut line = String::new();
            let heard = tokio::time::timeout(Duration::from_secs(20), self.stream.read_line(&mut line)).await;
            heard.expect("a reply in time").unwrap();
            if line.as_bytes().get(3) != Some(&b'-') {
                return line.trim_end().to_owned();
            }
        }
    }

    async fn say(&mut self, text: &str) -> String {
        self.stream.get_mut().write_all(text.as_bytes()).await.unwrap();
        self.stream.get_mut().write_all(b"\r\n").await.unwrap();
        self.hear().await
    }
}

fn mail_with(attachment: &str) -> String {
    format!(
        "From: Boss <boss@b.example>\r\nSubject: Lab results\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=XX\r\n\r\n\
         --XX\r\nContent-Type: text/plain\r\n\r\nplease fax\r\n--XX\r\n{attachment}\r\n--XX--\r\n."
    )
}

fn pdf_mail() -> String {
    mail_with(&format!(
        "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"a.pdf\"\r\n\r\n{PDF}\r\n"
    ))
}

#[tokio::test]
async fn every_recipient_is_a_job_on_disk_before_250() {
    let rig = rig().await;
    let mut client = Client::connect(server(&rig).await).await;
    assert!(client.say("EHLO pc").await.starts_with("250 SIZE "));
    assert_eq!(client.say("MAIL FROM:<BOSS@b.example>").await, "250 sender Ok");
    assert_eq!(client.say(&format!("RCPT TO:<4155551234@{DOMAIN}>")).await, "250 recipient Ok");
    assert_eq!(
        client.say("RCPT TO:<FAX=+1-202-765-3000/T33S=1387@FAX.custom.example>").await,
        "250 recipient Ok"
    );
    assert_eq!(client.say("RCPT TO:<12@fax.custom.example>").await, "554 Not Found");
    assert_eq!(client.say("RCPT TO:<4155551234@nowhere.example>").await, "554 Not Found");
    assert_eq!(client.say("RCPT TO:<4155551234@closed.example>").await, "554 not allowed");
    assert!(client.say("DATA").await.starts_with("354 "));
    let queued = client.say(&pdf_mail()).await;
    let ids: Vec<&str> = queued.strip_prefix("250 queued as ").expect(&queued).split(' ').collect();
    let jobs = rig.jobs().await;
    assert_eq!(jobs.iter().map(|j| j.id.as_str()).collect::<Vec<_>>(), ids);
    assert_eq!((jobs[0].to_number.as_str(), jobs[0].to_name.as_str()), ("+14155551234", "4155551234"));
    assert_eq!((jobs[1].to_number.as_str(), jobs[1].sub_address.as_deref()), ("+12027653000", Some("1387")));
    assert_eq!(
        (jobs[0].subject.as_deref(), jobs[0].retries, jobs[0].from_number.as_str()),
        (Some("Lab results"), 2, "+14155550100")
    );
    assert_eq!(jobs[0].notify, ["BOSS@b.example", "desk@a.example", "jo@a.example"]);
    let Source::Stored { original, content_type, file_name } = &jobs[0].source else { panic!("not stored") };
    assert_eq!((content_type.as_str(), file_name.as_deref()), ("application/pdf", Some("a.pdf")));
    assert_eq!(&rig.ports.documents.get(original).await.unwrap()[..], b"%PDF-1.4\n%%EOF\n");
    // A second mail of the session is a job of its own; one without a document is refused.
    client.say("MAIL FROM:<x@c.example>").await;
    client.say(&format!("RCPT TO:<4155551234@{DOMAIN}>")).await;
    client.say("DATA").await;
    assert_eq!(client.say("Subject: x\r\n\r\nonly text\r\n.").await, "554 no valid attachment");
    client.say("MAIL FROM:<x@c.example>").await;
    client.say(&format!("RCPT TO:<4155551234@{DOMAIN}>")).await;
    client.say("DATA").await;
    assert!(client.say(&pdf_mail()).await.starts_with("250 queued as "));
    assert_eq!(client.say("QUIT").await, "221 Bye");
    assert_eq!(rig.jobs().await.len(), 3);
}

#[tokio::test]
async fn every_document_of_a_mail_is_a_job() {
    let rig = rig().await;
    let mut client = Client::connect(server(&rig).await).await;
    client.say("HELO pc").await;
    client.say("MAIL FROM:<boss@b.example>").await;
    client.say(&format!("RCPT TO:<4155551234@{DOMAIN}>")).await;
    client.say(&format!("RCPT TO:<4155559999@{DOMAIN}>")).await;
    client.say("DATA").await;
    let part = |name: &str| {
        format!(
            "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{PDF}"
        )
    };
    let queued = client.say(&mail_with(&format!("{}\r\n--XX\r\n{}", part("one.pdf"), part("two.pdf")))).await;
    assert_eq!(queued.strip_prefix("250 queued as ").expect(&queued).split(' ').count(), 4);
    let jobs = rig.jobs().await;
    let named = jobs.iter().map(|job| {
        let Source::Stored { file_name, .. } = &job.source else { panic!("not stored") };
        (job.to_number.as_str(), file_name.as_deref().unwrap())
    });
    assert_eq!(
        named.collect::<Vec<_>>(),
        [
            ("+14155551234", "one.pdf"),
            ("+14155551234", "two.pdf"),
            ("+14155559999", "one.pdf"),
            ("+14155559999", "two.pdf")
        ]
    );
}

fn envelope(recipients: &[&str], head: &str, parts: &[(&str, &str)]) -> Envelope {
    let mut mail = format!("From: b\r\n{head}Content-Type: multipart/mixed; boundary=XX\r\n\r\n");
    for (name, text) in parts {
        mail += &format!("--XX\r\nContent-Type: application/pdf; name={name}\r\n\r\n%PDF-1.4 {text}\r\n");
    }
    Envelope {
        helo: "client".into(),
        sender: "boss@b.example".into(),
        recipients: recipients.iter().map(|r| format!("{r}@{DOMAIN}")).collect(),
        octets: (mail + "--XX--\r\n").into_bytes(),
    }
}

/// The 250 was lost, or we fell over behind it: the client sends the mail again.
#[tokio::test]
async fn a_mail_that_comes_again_is_the_same_faxes() {
    let rig = rig().await;
    let ingress = FaxIngress::new(rig.service.clone(), false);
    let to = ["4155551234", "4155559999"];
    // The same document twice in a mail is meant.
    let parts = [("a.pdf", "one"), ("b.pdf", "one"), ("c.pdf", "three")];
    let known = envelope(&to, "Message-ID: <1@b.example>\r\n", &parts);
    let first = ingress.mail(known.clone()).await;
    let Disposition::Queued(ids) = &first else { panic!("{first:?}") };
    assert_eq!((ids.len(), rig.jobs().await.len()), (6, 6));
    assert_eq!(ingress.mail(known.clone()).await, first);
    // By transactions of their own, as some clients do it, and in another order.
    for (nth, number) in to.iter().enumerate().rev() {
        let one = envelope(&[number], "Message-ID: <1@b.example>\r\n", &parts);
        assert_eq!(ingress.mail(one).await, Disposition::Queued(ids[nth * 3..nth * 3 + 3].to_vec()));
    }
    assert_eq!(rig.jobs().await.len(), 6);
    // What was called off stays so.
    rig.service.cancel(&AccountId::new(A), &ids[0].as_str().into()).await.unwrap();
    assert_eq!(ingress.mail(known).await, first);
    assert_eq!(rig.jobs().await.len(), 5);
    // Another sender, document, mail or sending, and mails that nobody can know again, are other faxes.
    let one = [("a.pdf", "one")];
    for (count, head, parts) in [
        (6, "Message-ID: <2@b.example>\r\n", &one),
        (7, "Message-ID: <1@b.example>\r\nResent-Message-ID: <3@b.example>\r\n", &one),
        (8, "Message-ID: <1@b.example>\r\n", &[("a.pdf", "another")]),
        (9, "", &one),
        (10, "", &one),
    ] {
        assert!(matches!(ingress.mail(envelope(&to[..1], head, parts)).await, Disposition::Queued(_)));
        assert_eq!(rig.jobs().await.len(), count, "{head}");
    }
}

/// The store fails between two faxes of a mail: 451, and the next try makes what is missing.
#[tokio::test]
async fn a_mail_that_was_half_queued_is_whole_after_the_next_try() {
    let rig = rig().await;
    let ingress = FaxIngress::new(rig.service.clone(), false);
    let parts = [("a.pdf", "one"), ("b.pdf", "two")];
    for (head, left) in [("Message-ID: <1@b.example>\r\n", 1), ("", 0)] {
        let before = rig.jobs().await.len();
        let mail = envelope(&["4155551234"], head, &parts);
        *rig.documents.room.lock().unwrap() = Some(1);
        assert_eq!(ingress.mail(mail.clone()).await, Disposition::TryLater, "{head}");
        assert_eq!(rig.jobs().await.len() - before, left, "{head}");
        *rig.documents.room.lock().unwrap() = None;
        let again = ingress.mail(mail).await;
        assert!(matches!(&again, Disposition::Queued(ids) if ids.len() == 2), "{again:?}");
        assert_eq!(rig.jobs().await.len() - before, 2, "{head}");
    }
}

/// What was taken back before a final refusal is no answer to a mail that is sent anew; what failed is one to a client that
/// missed the 250.
#[tokio::test]
async fn a_mail_that_was_refused_is_sent_anew_and_one_that_failed_is_not() {
    let rig = rig().await;
    let ingress = FaxIngress::new(rig.service.clone(), false);
    let head = "Message-ID: <1@b.example>\r\n";
    let parts = [("a.pdf", "one")];
    let both = envelope(&["4155551234", "15"], head, &parts);
    assert_eq!(ingress.mail(both).await, Disposition::Refused("Not Found".into()));
    assert!(rig.jobs().await.is_empty(), "what was queued is taken back");
    let one = envelope(&["4155551234"], head, &parts);
    let Disposition::Queued(ids) = ingress.mail(one.clone()).await else { panic!("not queued") };
    let job = rig.jobs().await;
    assert_eq!((job.len(), job[0].id.as_str()), (1, ids[0].as_str()));
    let failed: JobChange = Box::new(|j| {
        j.state = JobState::Failed;
        Ok(())
    });
    rig.ports.store.update_job(&job[0].id, Guard::Any, failed, vec![]).await.unwrap();
    assert_eq!(ingress.mail(one).await, Disposition::Queued(ids));
    assert!(rig.jobs().await.is_empty(), "it is not queued again");
}

/// A mail that was answered 250 comes once more and is refused as a whole: what was accepted goes out.
#[tokio::test]
async fn a_refused_mail_takes_back_no_fax_of_an_accepted_one() {
    let rig = rig().await;
    let ingress = FaxIngress::new(rig.service.clone(), false);
    let head = "Message-ID: <1@b.example>\r\n";
    let parts = [("a.pdf", "one")];
    let Disposition::Queued(ids) = ingress.mail(envelope(&["4155551234"], head, &parts)).await else {
        panic!("not queued")
    };
    let more = envelope(&["4155551234", "4155559999", "15"], head, &parts);
    assert_eq!(ingress.mail(more).await, Disposition::Refused("Not Found".into()));
    let left: Vec<String> = rig.jobs().await.into_iter().map(|job| job.id.to_string()).collect();
    assert_eq!(left, ids);
}

#[tokio::test]
async fn who_may_send_is_the_faxboxs_business() {
    let rig = rig().await;
    let ingress = FaxIngress::new(rig.service.clone(), false);
    let open = FaxIngress::new(rig.service.clone(), true);
    let to = format!("4155551234@{DOMAIN}");
    for (sender, verdict) in [
        ("boss@B.example", Verdict::Accept),
        ("any@c.example", Verdict::Accept),
        ("JO@a.example", Verdict::Accept),
        ("any@c.example.evil", Verdict::NotAllowed),
        ("stranger@x.example", Verdict::NotAllowed),
        ("", Verdict::NotAllowed),
    ] {
        assert_eq!(ingress.recipient(sender, &to).await, verdict, "{sender}");
    }
    assert_eq!(ingress.recipient("a@b", "4155551234@closed.example").await, Verdict::NotAllowed);
    assert_eq!(open.recipient("a@b", "4155551234@closed.example").await, Verdict::Accept);
    assert_eq!(open.recipient("", "4155551234@closed.example").await, Verdict::NotAllowed);
    // The account's realm: by the user's only faxbox, by a permission list, or not at all.
    assert_eq!(ingress.recipient("jo@a.example", "4155551234@a.example").await, Verdict::Accept);
    assert_eq!(ingress.recipient("boss@b.example", "4155551234@A.example").await, Verdict::Accept);
    assert_eq!(ingress.recipient("stranger@x.example", "4155551234@a.example").await, Verdict::NotFound);
    // The account can look up who was refused, and why; of domains that are nobody's nothing is kept.
    assert_eq!(ingress.recipient("stranger@x.example", "4155551234@nobody.example").await, Verdict::NotFound);
    let kept = rig.service.refused_mails(&AccountId::new(A), Range::default()).await.unwrap();
    let kept: Vec<_> = kept.into_iter().filter_map(|(_, _, mail)| mail).collect();
    assert_eq!(kept.len(), 6, "{kept:#?}");
    let last = &kept[0];
    assert_eq!((last.from.as_str(), last.to.as_str()), ("stranger@x.example", "4155551234@a.example"));
    assert_eq!((last.errors.as_slice(), &last.faxbox), (&["Not Found".to_owned()][..], &None));
    assert_eq!(last.number, "+14155551234");
    let second = kept.iter().find(|m| m.from == "stranger@x.example" && m.domain == DOMAIN).unwrap();
    assert_eq!(
        (second.errors[0].as_str(), second.owner_email.as_deref()),
        ("not allowed", Some("jo@a.example"))
    );
}

#[tokio::test]
async fn a_mail_without_a_document_is_logged_and_nonsense_does_not_fill_the_disk() {
    let rig = rig().await;
    let ingress = FaxIngress::new(rig.service.clone(), false);
    let to = format!("4155551234@{DOMAIN}");
    let empty = Envelope {
        helo: "client".into(),
        sender: "boss@b.example".into(),
        recipients: vec![to.clone()],
        octets: b"Subject: x\r\n\r\nno document".to_vec(),
    };
    assert_eq!(ingress.mail(empty).await, Disposition::Refused("no valid attachment".into()));
    for _ in 0..600 {
        ingress.recipient("stranger@x.example", &to).await;
    }
    let all = Range { limit: 1000, ascending: true, ..Range::default() };
    let kept = rig.service.refused_mails(&AccountId::new(A), all).await.unwrap();
    assert_eq!(kept.len(), 500);
    let first = kept[0].2.as_ref().unwrap();
    assert_eq!((first.errors[0].as_str(), first.helo.as_str()), ("no valid attachment", "client"));
}

#[tokio::test]
async fn sessions_and_sizes_are_bounded() {
    let rig = rig().await;
    let limits = Limits { message: 2000, idle: Duration::from_millis(300), ..Limits::default() };
    let config =
        ListenerConfig { host: "mx.example".into(), limits, sessions: 1, ..ListenerConfig::default() };
    let at = listen(Arc::new(FaxIngress::new(rig.service.clone(), false)), config).await;
    let mut first = Client::connect(at).await;
    let mut second = Client { stream: BufReader::new(TcpStream::connect(at).await.unwrap()) };
    assert_eq!(second.hear().await, "421 mx.example is too busy to accept mail right now");
    first.say("EHLO h").await;
    first.say("MAIL FROM:<boss@b.example>").await;
    first.say(&format!("RCPT TO:<4155551234@{DOMAIN}>")).await;
    first.say("DATA").await;
    assert_eq!(first.say(&format!("{}\r\n.", "x".repeat(3000))).await, "552 Message too large");
    assert_eq!(first.hear().await, "421 Error: timeout exceeded");
    // The place is free again.
    let mut again = String::new();
    for _ in 0..100 {
        let mut third = Client { stream: BufReader::new(TcpStream::connect(at).await.unwrap()) };
        again = third.hear().await;
        if again.starts_with("220") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(again.starts_with("220"), "{again}");
    assert!(rig.jobs().await.is_empty());
}

#[tokio::test]
async fn swaks_sends_a_fax() {
    let Ok(found) = tokio::process::Command::new("swaks").arg("--version").output().await else {
        println!("skipped: swaks is not installed (Debian package swaks)");
        return;
    };
    assert!(found.status.success());
    let rig = rig().await;
    let at = server(&rig).await;
    let pdf = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata/demo.pdf");
    let out = tokio::process::Command::new("swaks")
        .args(["--server", "127.0.0.1", "--port", &at.port().to_string(), "--from", "boss@b.example"])
        .args(["--to", &format!("4155551234@{DOMAIN}"), "--header", "Subject: from swaks", "--body", "hello"])
        .args([
            "--attach-type",
            "application/pdf",
            "--attach-name",
            "demo.pdf",
            "--attach",
            &format!("@{pdf}"),
        ])
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&out.stdout);
    assert!(out.status.success() && said.contains("250 queued as "), "{said}");
    let jobs = rig.jobs().await;
    assert_eq!((jobs.len(), jobs[0].subject.as_deref()), (1, Some("from swaks")));
    let Source::Stored { original, .. } = &jobs[0].source else { panic!("not stored") };
    assert_eq!(rig.ports.documents.get(original).await.unwrap(), std::fs::read(pdf).unwrap());
}

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

async fn mailer(rig: &Rig, sink: &Arc<Sink>) -> JoinHandle<()> {
    let limits = Limits { message: 50 << 20, ..Limits::default() };
    let at =
        listen(Arc::clone(sink) as Arc<dyn Ingress>, ListenerConfig { limits, ..ListenerConfig::default() })
            .await;
    let config = MailerConfig {
        waits: vec![Duration::from_millis(50)],
        hello: Some("fax.example".into()),
        ..MailerConfig::new("127.0.0.1", at.port(), "Fax <fax@fax.example>")
    };
    let mailer = Mailer::new(rig.service.clone(), config).unwrap();
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
    mailer(&rig, &sink).await;
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
    let first = mailer(&rig, &sink).await;
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
    mailer(&rig, &sink).await;
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
    mailer(&rig, &sink).await;
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
    mailer(&rig, &sink).await;
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
    mailer(&rig, &sink).await;
    let second = Rig {
        service: other,
        ports: rig.ports.clone(),
        documents: rig.documents.clone(),
        _folder: tempfile::tempdir().unwrap(),
    };
    mailer(&second, &sink).await;
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
