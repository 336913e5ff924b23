//! A server used over REST as the clients of KAZOO use it, with curl: every request here is one that such a client makes.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::{Value, json};
use std::net::UdpSocket;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use world::{Daemon, Setup, http, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";

/// A fax of a few pages takes half a minute; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// What curl got.
struct Got {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|e| panic!("{e}: {}", String::from_utf8_lossy(&self.body)))
    }

    fn field(&self, name: &str) -> Option<&str> {
        let mut fields = self.head.lines().filter_map(|l| l.split_once(": "));
        fields.find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    }
}

fn curl(args: &[&str]) -> Got {
    let folder = tempfile::tempdir().unwrap();
    let (head, body) = (folder.path().join("head"), folder.path().join("body"));
    let ran = Command::new("curl")
        .args(["-sS", "--max-time", "60", "-w", "%{http_code}", "-D"])
        .arg(&head)
        .arg("-o")
        .arg(&body)
        .args(args)
        .output()
        .expect("curl is installed");
    assert!(ran.status.success(), "curl {args:?}: {}", String::from_utf8_lossy(&ran.stderr));
    Got {
        status: String::from_utf8_lossy(&ran.stdout).parse().unwrap(),
        head: std::fs::read_to_string(head).unwrap(),
        body: std::fs::read(body).unwrap_or_default(),
    }
}

fn clinic(setup: Setup) -> Daemon {
    Daemon::start(setup)
}

fn token(of: &Daemon) -> String {
    format!("X-Auth-Token: {}", of.setup.key())
}

/// `PUT …/faxes` with `data` and a document as two parts of a form.
fn put(to: &Daemon, data: &Value, document: &Path, media_type: &str) -> Got {
    curl(&[
        "-X",
        "PUT",
        &format!("{}{}", to.url(), to.faxes("")),
        "-H",
        &token(to),
        "-F",
        &format!("json={};type=application/json", json!({ "data": data })),
        "-F",
        &format!("file=@{};type={media_type}", document.display()),
    ])
}

fn put_json(to: &Daemon, data: &Value) -> Got {
    let body = json!({ "data": data }).to_string();
    let url = format!("{}{}", to.url(), to.faxes("/outgoing"));
    curl(&["-X", "PUT", &url, "-H", &token(to), "-H", "Content-Type: application/json", "-d", &body])
}

fn fetch(from: &Daemon, rest: &str, more: &[&str]) -> Got {
    let (url, token) = (format!("{}{}", from.url(), from.faxes(rest)), token(from));
    let mut args = vec![url.as_str(), "-H", &token];
    args.extend(more);
    curl(&args)
}

/// A sentence for a person: no debug output, no module paths.
fn assert_plain(sentence: &str) {
    let plain = !sentence.is_empty() && !sentence.contains("::") && !sentence.contains(['{', '}']);
    assert!(plain && sentence.contains(' '), "not a plain sentence: {sentence:?}");
}

#[test]
fn a_pdf_by_put_arrives_pel_for_pel() {
    let court = Daemon::start(Setup::new("court", COURT));
    let clinic = clinic(Setup::new("clinic", CLINIC).peer(court.sip));
    let document = clinic.folder.join("two.pdf");
    std::fs::write(&document, papers::pdf(2)).unwrap();

    let data = json!({ "to_number": "(415) 555-0199", "from_number": CLINIC, "from_name": "Clinic", "retries": 3,
        "my_own_field": { "case": 7 } });
    let made = put(&clinic, &data, &document, "application/pdf");
    let body = made.json();
    assert_eq!(made.status, 201, "{body:#}");
    let id = body["data"]["id"].as_str().unwrap().to_owned();
    assert_eq!(made.field("location"), Some(id.as_str()));
    assert_eq!(body["status"], "success");
    assert!(
        body["request_id"].is_string() && body["auth_token"].is_string() && body["timestamp"].is_string()
    );
    assert_eq!(made.field("x-request-id"), body["request_id"].as_str());
    assert_eq!(body["data"]["to_number"], COURT);
    assert_eq!(body["data"]["my_own_field"], json!({ "case": 7 }));

    let waiting = fetch(&clinic, "/outgoing", &[]).json();
    assert_eq!(waiting["data"][0]["id"], id.as_str(), "{waiting:#}");

    let mut said = Vec::<String>::new();
    let job = clinic.job_when(&id, PATIENCE, |job| {
        let status = job["status"].as_str().unwrap().to_owned();
        if said.last() != Some(&status) {
            said.push(status);
        }
        world::ended(job)
    });
    assert_eq!(job["status"], "completed", "{job:#}");
    assert!(said.iter().any(|s| s.starts_with("Sending Page")), "live states: {said:?}");
    let result = &job["tx_result"];
    assert_eq!(
        (&result["success"], &result["total_pages"], &result["transferred_pages"]),
        (&json!(true), &json!(2), &json!(2))
    );
    assert_eq!((&result["t38_used"], &result["ecm_used"]), (&json!(true), &json!(true)), "{result:#}");
    // The call was recorded, and nothing of it says our number.
    let recording = clinic.folder.join("data/traces").join(result["recording"].as_str().unwrap());
    assert!(recording.extension().is_some_and(|e| e == "faxtrace") && recording.exists(), "{recording:?}");

    // Filed: out of the queue, into the outbox, under its month.
    assert_eq!(fetch(&clinic, "/outgoing", &[]).json()["data"], json!([]));
    let outbox = fetch(&clinic, "/outbox", &[]).json();
    let filed = outbox["data"][0]["id"].as_str().unwrap();
    assert!(filed.ends_with(&format!("-{id}")), "{filed}");
    let one = fetch(&clinic, &format!("/outbox/{filed}"), &[]).json();
    assert_eq!(one["data"]["_read_only"]["status"], "completed", "{one:#}");
    assert_eq!(one["data"]["my_own_field"], json!({ "case": 7 }));

    let attachment = format!("/outbox/{filed}/attachment");
    let pdf = fetch(&clinic, &attachment, &[]);
    assert_eq!((pdf.status, pdf.field("content-type")), (200, Some("application/pdf")));
    assert_pdf(&pdf.body, 2);
    let sent = fetch(&clinic, &attachment, &["-H", "Accept: image/tiff"]);
    assert_eq!((sent.status, sent.field("content-type")), (200, Some("image/tiff")));

    // The other side: one fax in the inbox, the same pels.
    let inbox = court.inbox(1, Duration::from_secs(30));
    assert_eq!(inbox.len(), 1);
    assert_eq!(inbox[0]["from_number"], CLINIC, "{:#}", inbox[0]);
    assert_eq!(inbox[0]["rx_result"]["success"], true, "{:#}", inbox[0]);
    assert_eq!(inbox[0]["rx_result"]["total_pages"], 2);
    let attachment = format!("/inbox/{}/attachment", inbox[0]["id"].as_str().unwrap());
    let received = fetch(&court, &attachment, &["-H", "Accept: image/tiff"]);
    papers::assert_same_pels(&sent.body, &received.body);
    assert_pdf(&fetch(&court, &attachment, &[]).body, 2);
}

/// Fails unless mutool reads it as a PDF of so many pages.
fn assert_pdf(octets: &[u8], pages: usize) {
    assert!(octets.starts_with(b"%PDF-"), "no PDF");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("fax.pdf");
    std::fs::write(&file, octets).unwrap();
    let ran = Command::new("mutool").arg("info").arg(&file).output().expect("mutool is installed");
    let said = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success() && said.contains(&format!("Pages: {pages}\n")), "{said}");
    assert!(ran.stderr.is_empty(), "mutool warns: {}", String::from_utf8_lossy(&ran.stderr));
}

#[test]
fn keys_open_their_own_account_only() {
    let other = "[[account]]\nname = \"other\"\napi_key = \"test-key-of-the-other\"\n";
    let clinic = clinic(Setup::new("clinic", CLINIC).with("", other));
    let list = format!("{}{}", clinic.url(), clinic.faxes("/outgoing"));
    let with = |key: &str| curl(&[&list, "-H", &format!("X-Auth-Token: {key}")]);

    assert_eq!(with(&clinic.setup.key()).status, 200);
    let wrong = with("test-key-of-nobody-at-all");
    assert_eq!((wrong.status, &wrong.json()["message"]), (401, &json!("invalid_credentials")));
    assert_eq!(wrong.json()["status"], "error");
    assert_eq!(curl(&[&list]).status, 401);
    let foreign = with("test-key-of-the-other");
    assert_eq!((foreign.status, &foreign.json()["message"]), (403, &json!("forbidden")));

    // The same for what changes something, and by a token of api_auth.
    let login = curl(&[
        "-X",
        "PUT",
        &format!("{}/v2/api_auth", clinic.url()),
        "-H",
        "Content-Type: application/json",
        "-d",
        r#"{"data":{"api_key":"test-key-of-the-other"}}"#,
    ]);
    assert_eq!(login.status, 201);
    let token = login.json()["auth_token"].as_str().unwrap().to_owned();
    let fax = r#"{"data":{"to_number":"+14155550199","from_number":"+14155550100","document":{"url":"http://127.0.0.1/x"}}}"#;
    let url = format!("{}{}", clinic.url(), clinic.faxes(""));
    let foreign = curl(&[
        "-X",
        "PUT",
        &url,
        "-H",
        &format!("X-Auth-Token: {token}"),
        "-H",
        "Content-Type: application/json",
        "-d",
        fax,
    ]);
    assert_eq!(foreign.status, 403);
    assert_eq!(clinic.get("/outgoing"), json!([]), "nothing was queued");
    assert_eq!(fetch(&clinic, "/outgoing/00000000000000000000000000000000", &[]).status, 404);
}

#[test]
fn what_cannot_be_faxed_fails_with_a_plain_reason() {
    let clinic = clinic(Setup::new("clinic", CLINIC));
    let data = json!({ "to_number": COURT, "from_number": CLINIC });
    let mut cut = papers::pdf(1);
    cut.truncate(60);
    let broken: [(&str, &str, &[u8]); 3] = [
        ("broken.pdf", "application/pdf", b"%PDF-1.7\nthis is where a document was\n%%EOF\n"),
        ("cut.pdf", "application/pdf", &cut),
        ("words.bin", "application/octet-stream", b"neither this nor that"),
    ];
    let ids = broken.map(|(name, media_type, octets)| {
        let file = clinic.folder.join(name);
        std::fs::write(&file, octets).unwrap();
        let made = put(&clinic, &data, &file, media_type);
        assert_eq!(made.status, 201, "{name}: {:#}", made.json());
        (name, made.json()["data"]["id"].as_str().unwrap().to_owned())
    });
    for (name, id) in ids {
        let job = clinic.job_ended(&id, Duration::from_secs(90));
        assert_eq!(job["status"], "failed", "{name}: {job:#}");
        assert_eq!((&job["attempts"], &job["tx_result"]["success"]), (&json!(0), &json!(false)));
        let why = job["tx_result"]["error_message"].as_str().unwrap();
        println!("{name}: {why}");
        assert_plain(why);
        assert!(!job["reason"].as_str().unwrap_or_default().is_empty());
    }

    // What is wrong with a request is told at once, field by field.
    let file = clinic.folder.join("good.pdf");
    std::fs::write(&file, papers::pdf(1)).unwrap();
    let wrong = put(&clinic, &json!({ "from_number": CLINIC }), &file, "application/pdf");
    assert_eq!(wrong.status, 400);
    assert!(wrong.json()["data"]["to_number"]["required"].is_object(), "{:#}", wrong.json());
}

#[test]
fn a_document_is_fetched_by_url() {
    let court = Daemon::start(Setup::new("court", COURT));
    let clinic =
        clinic(Setup::new("clinic", CLINIC).peer(court.sip).with("api", "allow_private_urls = true"));
    let shelf = http::serve("application/pdf", papers::pdf(1));
    let url = format!("http://{shelf}/letter.pdf");
    let made = put_json(
        &clinic,
        &json!({ "to_number": COURT, "from_number": CLINIC, "document": { "url": url, "method": "get" } }),
    );
    assert_eq!(made.status, 201, "{:#}", made.json());
    let id = made.json()["data"]["id"].as_str().unwrap().to_owned();
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!((&job["status"], &job["total_pages"]), (&json!("completed"), &json!(1)), "{job:#}");
    let received = court.inbox(1, Duration::from_secs(30));
    let sent = clinic.tiff("outgoing", &id);
    papers::assert_same_pels(&sent, &court.tiff("inbox", received[0]["id"].as_str().unwrap()));
}

#[test]
fn a_private_url_is_refused_with_a_plain_reason() {
    let clinic = clinic(Setup::new("clinic", CLINIC));
    let shelf = http::serve("application/pdf", papers::pdf(1));
    let urls = [
        format!("http://{shelf}/x.pdf"),
        "http://169.254.169.254/latest/meta-data".to_owned(),
        "file:///etc/passwd".to_owned(),
    ];
    for url in urls {
        let made = put_json(
            &clinic,
            &json!({ "to_number": COURT, "from_number": CLINIC, "document": { "url": url } }),
        );
        if made.status == 400 {
            continue; // refused at once, which is as good
        }
        assert_eq!(made.status, 201, "{:#}", made.json());
        let id = made.json()["data"]["id"].as_str().unwrap().to_owned();
        let job = clinic.job_ended(&id, Duration::from_secs(90));
        assert_eq!(job["status"], "failed", "{job:#}");
        let why = job["tx_result"]["error_message"].as_str().unwrap();
        println!("{url}: {why}");
        assert_plain(why);
    }
}

#[test]
fn delete_calls_a_job_off() {
    // A peer that takes the INVITE and never answers.
    let silent = UdpSocket::bind("127.0.0.1:0").unwrap();
    let clinic = clinic(Setup::new("clinic", CLINIC).peer(silent.local_addr().unwrap()));
    let document = clinic.folder.join("one.pdf");
    std::fs::write(&document, papers::pdf(1)).unwrap();
    let far = 80_000_000_000u64; // a year after 4000, in Gregorian seconds
    let later = put(
        &clinic,
        &json!({ "to_number": COURT, "from_number": CLINIC, "send_at": far }),
        &document,
        "application/pdf",
    );
    let now = put(
        &clinic,
        &json!({ "to_number": "+14155550177", "from_number": CLINIC }),
        &document,
        "application/pdf",
    );
    let ids = [later, now].map(|made| {
        assert_eq!(made.status, 201, "{:#}", made.json());
        made.json()["data"]["id"].as_str().unwrap().to_owned()
    });
    let mut invite = [0; 2000];
    silent.set_read_timeout(Some(PATIENCE)).unwrap();
    let (n, _) = silent.recv_from(&mut invite).unwrap();
    assert!(invite[..n].starts_with(b"INVITE "));
    for id in &ids {
        let url = format!("{}{}", clinic.url(), clinic.faxes(&format!("/outgoing/{id}")));
        let gone = curl(&["-X", "DELETE", &url, "-H", &token(&clinic)]);
        assert_eq!(gone.status, 200, "{:#}", gone.json());
        assert_eq!(gone.json()["data"]["_read_only"]["deleted"], true);
    }
    for id in &ids {
        let job = clinic.job_ended(id, Duration::from_secs(60));
        assert_eq!((&job["status"], &job["cancelled"]), (&json!("failed"), &json!(true)), "{job:#}");
        assert_plain(job["tx_result"]["error_message"].as_str().unwrap());
    }
    assert_eq!(clinic.get("/outgoing"), json!([]));
    // What is over cannot be called off.
    let url = format!("{}{}", clinic.url(), clinic.faxes(&format!("/outgoing/{}", ids[0])));
    let again = curl(&["-X", "DELETE", &url, "-H", &token(&clinic)]);
    assert!((400..500).contains(&again.status), "{}: {:#}", again.status, again.json());
}

#[test]
fn faxes_that_waited_for_the_same_number_go_out_in_one_call() {
    let court = Daemon::start(Setup::new("court", COURT));
    let clinic =
        Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip).with("queue", "jobs_per_call = 3"));
    let submit = |(owner, pages)| clinic.submit(COURT, "image/tiff", &papers::marked_tiff(owner, pages));
    let mut jobs = vec![submit((1, 1))];
    clinic.job_when(&jobs[0], PATIENCE, |job| {
        job["status"].as_str().is_some_and(|s| s.contains("originate fax"))
    });
    // While the first is being sent the others wait for its number.
    jobs.extend([(2, 1), (3, 2), (4, 1)].map(submit));
    let ended: Vec<Value> = jobs.iter().map(|id| clinic.job_ended(id, PATIENCE)).collect();
    for (job, pages) in ended.iter().zip([1, 1, 2, 1]) {
        assert_eq!(
            (&job["status"], &job["tx_result"]["pages_sent"]),
            (&json!("completed"), &json!(pages)),
            "{job}"
        );
    }
    let got = court.inbox(2, PATIENCE);
    let mut marks: Vec<Vec<u8>> = got
        .iter()
        .map(|fax| papers::marks(&court.tiff("inbox", fax["id"].as_str().unwrap())))
        .map(|marks| marks.iter().map(|(owner, _)| *owner).collect())
        .collect();
    marks.sort();
    assert_eq!(marks, [vec![1], vec![2, 3, 3, 4]]);
}
