//! A server that learns from its calls: a far end that refuses T.38 is not offered it again, until that is forgotten; seen,
//! locked and forgotten by the command line.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use serde_json::Value;
use std::process::{Command, Output};
use std::time::Duration;
use world::{Daemon, FERROFAX, Setup, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
/// A fax takes a quarter of a minute; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

fn ferrofax(of: &Daemon, args: &[&str]) -> Output {
    let mut command = Command::new(FERROFAX);
    command.args(args).args(["--api", &of.url(), "--key", &of.setup.key()]).env_remove("RUST_LOG");
    command.output().unwrap()
}

fn out(of: &Output) -> String {
    let err = String::from_utf8_lossy(&of.stderr);
    assert!(of.status.success(), "{err}");
    String::from_utf8_lossy(&of.stdout).into_owned()
}

fn profile(of: &Daemon) -> Value {
    serde_json::from_str(&out(&ferrofax(of, &["destinations", "show", COURT, "--json"]))).unwrap()
}

#[test]
fn a_number_that_refuses_t38_is_not_offered_it_again_until_that_is_forgotten() {
    let court = Daemon::start(Setup::new("court", COURT).with("trunk", "t38 = \"never\""));
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip));
    let letter = papers::marked_tiff(1, 1);
    let send = || {
        let id = clinic.submit(COURT, "image/tiff", &letter);
        let job = clinic.job_ended(&id, PATIENCE);
        assert_eq!(job["status"], "completed", "{job:#}");
        assert_eq!(job["tx_result"]["t38_used"], false, "{job:#}");
        job["tx_result"]["learnt"].clone()
    };
    assert_eq!(send(), serde_json::json!([]), "the first call knows nothing");
    let known = profile(&clinic);
    let t38 = &known["traits"]["t38@other-side"];
    assert_eq!((&t38["setting"], &t38["origin"]), (&"accept-only".into(), &"learnt".into()), "{known:#}");
    assert_eq!(known["traits"]["v17"]["successes"], 1, "{known:#}");
    assert_eq!((&known["best_bit_rate"], &known["far_end"]["ident"]), (&14_400.into(), &COURT.into()));
    let table = out(&ferrofax(&clinic, &["destinations", "list"]));
    assert!(table.contains(COURT) && table.contains("t38@other-side accept-only"), "{table}");

    let learnt = send();
    let words = learnt[0].as_str().unwrap();
    assert!(words.starts_with("T.38 accept-only: learnt ") && words.contains("was refused"), "{words}");
    let known = profile(&clinic);
    let t38 = &known["traits"]["t38@other-side"];
    // Had it been offered, it would have been refused again.
    assert_eq!((&t38["failures"], &t38["delivered_since"]), (&1.into(), &1.into()), "{known:#}");

    let locked = out(&ferrofax(&clinic, &["destinations", "lock", COURT, "ecm=off", "rate=9600"]));
    assert!(locked.contains("ecm: off, locked"), "{locked}");
    let wrong = ferrofax(&clinic, &["destinations", "set", COURT, "ecm=perhaps"]);
    assert_eq!(wrong.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&wrong.stderr).contains("one of on, off"), "{wrong:?}");
    out(&ferrofax(&clinic, &["destinations", "forget", COURT]));
    assert_eq!(ferrofax(&clinic, &["destinations", "show", COURT]).status.code(), Some(2));

    // With nothing known it is offered, and refused, again. Only the full run waits for that.
    if std::env::var_os("FERROFAX_FULL").is_some() {
        assert_eq!(send(), serde_json::json!([]));
        assert_eq!(profile(&clinic)["traits"]["t38@other-side"]["failures"], 1);
    }
}
