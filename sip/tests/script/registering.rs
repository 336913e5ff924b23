//! Registrations (RFC 3261 §10).

use fax_base::time::Duration;
use fax_sip::message::Method;
use fax_sip::{Command, Event, RegKey, Register, Transport};

use super::bench::{Bench, OURS, PEER, addr};

fn register(seconds: u64) -> Command {
    Command::Register(Box::new(Register {
        registration: RegKey(1),
        transport: Transport::Udp,
        registrar: addr(PEER),
        request_uri: "sip:trunk.example".into(),
        aor: "sip:office@trunk.example".into(),
        contact: addr(OURS),
        headers: vec![],
        credentials: Bench::credentials(),
        expires: Duration::from_secs(seconds),
        outbound: None,
    }))
}

#[test]
fn a_registration_is_challenged_granted_renewed_and_taken_back() {
    let mut b = Bench::new();
    b.command(register(3600));
    let first = b.request(&Method::Register);
    assert_eq!(first.uri().unwrap().to_string(), "sip:trunk.example");
    assert_eq!(first.contact().unwrap().to_string(), format!("sip:office@{OURS}"));
    b.receive(
        &b.response(&first, 401, "r")
            .header("WWW-Authenticate", "Digest realm=\"t\", nonce=\"1\", qop=\"auth\"")
            .finish(),
    );
    let second = b.request(&Method::Register);
    assert_eq!(second.call_id(), first.call_id());
    assert_eq!(second.cseq().unwrap().number, first.cseq().unwrap().number + 1);
    let ok = b
        .response(&second, 200, "r")
        .header("Contact", format!("<sip:other@192.0.2.77>;expires=30, <sip:office@{OURS}>;expires=100"))
        .header("Expires", "3600");
    b.receive(&ok.finish());
    let (registration, expires) = (RegKey(1), Duration::from_secs(100));
    assert_eq!(b.event(), Event::Registered { registration, expires, service_route: vec![] });
    b.wait(49_900);
    b.quiet();
    b.until_sent(30_200);
    let third = b.request(&Method::Register);
    assert!(third.text("Authorization").unwrap().contains("nc=00000002"));
    b.receive(
        &b.response(&third, 401, "r")
            .header("WWW-Authenticate", "Digest realm=\"t\", nonce=\"2\", qop=\"auth\"")
            .finish(),
    );
    let fourth = b.request(&Method::Register);
    b.receive(
        &b.response(&fourth, 200, "r").header("Contact", format!("<sip:office@{OURS}>;expires=100")).finish(),
    );
    assert!(matches!(b.event(), Event::Registered { .. }));
    b.command(Command::Unregister { registration: RegKey(1) });
    let last = b.request(&Method::Register);
    assert_eq!(last.text("Expires").unwrap(), "0");
    b.receive(&b.response(&last, 200, "r").finish());
    assert_eq!(b.event(), Event::Unregistered { registration: RegKey(1) });
    b.wait(600_000);
    b.quiet();
    assert_eq!((b.agent.transactions(), b.agent.deadline()), (0, None));
}

#[test]
fn too_brief_is_prolonged() {
    let mut b = Bench::new();
    b.command(register(60));
    let first = b.request(&Method::Register);
    b.receive(&b.response(&first, 423, "r").header("Min-Expires", "600").finish());
    let second = b.request(&Method::Register);
    assert_eq!(second.text("Expires").unwrap(), "600");
    b.receive(&b.response(&second, 423, "r").header("Min-Expires", "600").finish());
    assert!(matches!(b.event(), Event::RegistrationFailed { code: 423, .. }));
}

#[test]
fn failures_are_tried_again_more_and_more_slowly() {
    let mut b = Bench::new();
    b.command(register(60));
    let mut waits = Vec::new();
    for _ in 0..6 {
        b.wait(32_000);
        let Event::RegistrationFailed { code: 408, retry_after: Some(wait), .. } = b.event() else {
            panic!()
        };
        waits.push(wait.as_secs());
        b.sent.clear();
        b.wait(u64::try_from(wait.as_millis()).unwrap());
        b.request(&Method::Register);
    }
    for (n, wait) in waits.iter().enumerate() {
        let top = (30u64 << n).min(1_800);
        assert!((top / 2..=top).contains(wait), "{waits:?}");
    }
}

#[test]
fn a_refusal_is_not_hammered_and_retry_after_is_kept() {
    let mut b = Bench::new();
    b.command(register(60));
    let first = b.request(&Method::Register);
    b.receive(&b.response(&first, 403, "r").finish());
    let Event::RegistrationFailed { code: 403, retry_after: Some(wait), .. } = b.event() else { panic!() };
    assert!(wait.as_secs() >= 150);
    b.until_sent(u64::try_from(wait.as_millis()).unwrap() + 1);
    let second = b.request(&Method::Register);
    b.receive(&b.response(&second, 503, "r").header("Retry-After", "4000").finish());
    assert!(
        matches!(b.event(), Event::RegistrationFailed { retry_after: Some(w), .. } if w.as_secs() == 4_000)
    );
    // A wrong password.
    b.until_sent(4_001_000);
    let third = b.request(&Method::Register);
    let challenge = "Digest realm=\"t\", nonce=\"1\"";
    b.receive(&b.response(&third, 401, "r").header("WWW-Authenticate", challenge).finish());
    let fourth = b.request(&Method::Register);
    b.receive(&b.response(&fourth, 401, "r").header("WWW-Authenticate", challenge).finish());
    assert!(matches!(b.event(), Event::RegistrationFailed { code: 401, .. }));
    b.quiet();
}
