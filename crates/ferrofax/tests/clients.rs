//! KAZOO's client libraries as they are in the public registries, unmodified, with a server that runs: PyKazoo 0.0a8 and
//! crossbar-nodejs 1.0.0. Each test installs its library into a folder of its own.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::json;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use world::{Daemon, Setup, http, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
const REGISTRY: &str = "+14155550198";
const PATIENCE: Duration = Duration::from_secs(240);

/// What it wrote; it must end well.
fn run(command: &mut Command) -> String {
    let ran =
        command.output().unwrap_or_else(|e| panic!("{command:?}: {e}; tools/test installs what is missing"));
    let (out, err) = (String::from_utf8_lossy(&ran.stdout), String::from_utf8_lossy(&ran.stderr));
    assert!(ran.status.success(), "{command:?}: {}\n{out}\n{err}", ran.status);
    out.into_owned()
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/clients").join(name)
}

fn put(to: &Daemon, path: &str, data: &serde_json::Value) -> http::Answer {
    let key = to.setup.key();
    let fields = [("X-Auth-Token", key.as_str()), ("Content-Type", "application/json")];
    let body = json!({ "data": data }).to_string();
    http::ask(to.api, "PUT", &format!("/v2/accounts/{}/{path}", to.account), &fields, body.as_bytes())
        .unwrap()
}

#[test]
fn pykazoo_logs_in_and_does_its_fax_calls() {
    let library = tempfile::tempdir().unwrap();
    let install =
        ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"];
    run(Command::new("python3").args(install).arg("--target").arg(library.path()).arg("PyKazoo==0.0a8"));

    let document = http::serve("application/pdf", papers::pdf(1));
    let clinic = Setup::new("clinic", CLINIC).with("api", "allow_private_urls = true\nuser_auth = true");
    let clinic = Daemon::start(clinic);
    let said = run(Command::new("python3")
        .env("PYTHONPATH", library.path())
        .arg(script("with_pykazoo.py"))
        .args([&format!("{}/v2", clinic.url()), &clinic.setup.key()])
        .args([&format!("http://{document}/letter.pdf"), CLINIC]));
    assert_eq!(said.trim(), "ok");
    // The fax that it called off is filed as such.
    let filed = clinic.get("/outbox");
    assert_eq!((&filed[0]["cancelled"], &filed[1]), (&json!(true), &json!(null)), "{filed:#}");
}

#[test]
fn crossbar_nodejs_sends_a_fax_lists_it_and_fetches_it() {
    let library = tempfile::tempdir().unwrap();
    let install = ["install", "--no-audit", "--no-fund", "--loglevel=error", "crossbar-nodejs@1.0.0"];
    run(Command::new("npm").arg("--prefix").arg(library.path()).args(install));

    let court = Daemon::start(Setup::new("court", COURT).with("api", "user_auth = true"));
    let clinic = Setup::new("clinic", CLINIC).peer(court.sip);
    let clinic = Daemon::start(clinic.with("api", "allow_private_urls = true\nuser_auth = true"));
    let document = http::serve("application/pdf", papers::pdf(1));
    let node = |of: &Daemon, rest: &[&str]| {
        let [user, password] = ["clerk", "s3cret-of-the-clerk"];
        if rest[0] == "send" || of.setup.name == "court" {
            let made = put(
                of,
                "users",
                &json!({
                    "username": user, "password": password, "first_name": "C", "last_name": "K", "priv_level": "admin",
                }),
            );
            assert_eq!(made.status, 201, "{}", made.text());
        }
        run(Command::new("node")
            .env("NODE_PATH", library.path().join("node_modules"))
            .arg(script("with_crossbar.js"))
            .args([&of.api.port().to_string(), of.setup.name, user, password])
            .args(rest))
    };
    // The court receives on a faxbox made over REST, which takes no T.38.
    let registry = put(&court, "faxboxes", &json!({ "name": "Registry", "media": { "fax_option": false } }));
    assert_eq!(registry.status, 201, "{}", registry.text());
    let registry = registry.json()["data"]["id"].clone();
    let number = put(&court, &format!("phone_numbers/{REGISTRY}"), &json!({}));
    assert_eq!(number.status, 201, "{}", number.text());
    let flow = json!({ "numbers": [REGISTRY], "flow": { "module": "faxbox", "data": { "id": registry } } });
    let flow = put(&court, "callflows", &flow);
    assert_eq!(flow.status, 201, "{}", flow.text());

    let sent = node(&clinic, &["send", &format!("http://{document}/letter.pdf"), CLINIC, REGISTRY]);
    let mut seen = Vec::new();
    let job = clinic.job_when(sent.trim(), PATIENCE, |job| {
        // While it comes in the court sees it, by the id that the fax will have.
        let incoming = court.get("/incoming");
        if let Some(fax) = incoming.as_array().unwrap().first() {
            seen.push((fax["id"].clone(), fax["faxbox_id"].clone(), fax["to"].clone()));
        }
        world::ended(job)
    });
    assert_eq!(job["status"], "completed", "{job:#}");
    let received = court.inbox(1, Duration::from_secs(30)).remove(0);
    assert_eq!(seen.first(), Some(&(received["id"].clone(), registry, json!(REGISTRY))), "{seen:?}");
    assert_eq!(received["rx_result"]["t38_used"], json!(false), "{received:#}");
    assert_eq!(court.get("/incoming"), json!([]));
    let fetched = court.folder.join("fetched.pdf");
    node(&court, &["read", fetched.to_str().unwrap()]);
    assert!(std::fs::read(fetched).unwrap().starts_with(b"%PDF-"));
}
