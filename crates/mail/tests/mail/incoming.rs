//! Mails that become faxes: a plain TCP client and swaks send them.

use crate::rig::{A, DOMAIN, PDF, listen, rig, server};
use fax_mail::ingress::FaxIngress;
use fax_mail::listener::{Ingress, ListenerConfig};
use fax_mail::session::{Disposition, Envelope, Limits, Verdict};
use fax_store::model::{AccountId, JobState, Source};
use fax_store::port::{Guard, JobChange, Range};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

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
