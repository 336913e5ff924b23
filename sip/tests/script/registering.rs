//! Registrations (RFC 3261 §10).

use fax_base::time::Duration;
use fax_sip::message::Method;
use fax_sip::{CallKey, Command, EndedBy, Event, Outbound, RegKey, Register};

use super::bench::{Bench, OURS, PEER, addr, registration};

fn register(seconds: u64) -> Command {
    Command::Register(Box::new(registration(seconds)))
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
    let Event::Registered { registration, expires, service_route, seen, outbound, .. } = b.event() else {
        panic!("not registered")
    };
    assert_eq!((registration, expires), (RegKey(1), Duration::from_secs(100)));
    assert!(service_route.is_empty() && !outbound);
    assert_eq!(seen, Some(OURS.parse().unwrap()));
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

#[test]
fn two_points_of_presence_are_registered_apart() {
    let mut b = Bench::new();
    let at = |key: u64, registrar: &str| {
        let instance = String::from("urn:uuid:00000000-0000-1000-8000-000A95A0E128");
        Command::Register(Box::new(Register {
            registration: RegKey(key),
            registrar: addr(registrar),
            outbound: Some(Outbound { instance, reg_id: u32::try_from(key).unwrap() }),
            ..registration(3600)
        }))
    };
    b.command(at(1, PEER));
    b.command(at(2, "198.51.100.8:5060"));
    let (first_to, first) = b.next_to();
    let (second_to, second) = b.next_to();
    assert_eq!((first_to, second_to), (addr(PEER), addr("198.51.100.8:5060")));
    assert_ne!(first.call_id(), second.call_id());
    for (n, message) in [(1, &first), (2, &second)] {
        let contact = message.text("Contact").unwrap();
        assert!(contact.ends_with(&format!(
            ";+sip.instance=\"<urn:uuid:00000000-0000-1000-8000-000A95A0E128>\";reg-id={n}"
        )));
        assert!(message.has_token("Supported", "outbound") && message.has_token("Supported", "path"));
    }
    // One grants, with the way calls are to go; the other is silent and does not disturb.
    let ok = b
        .response(&first, 200, "r")
        .header("Contact", format!("<sip:office@{OURS}>;expires=3600"))
        .header("Service-Route", "<sip:a.trunk.example;lr>, <sip:b.trunk.example;lr;x=1,2>")
        .header("Service-Route", "<sip:c.trunk.example;lr>");
    b.receive(&ok.finish());
    match b.event() {
        Event::Registered { registration, service_route, .. } => {
            assert_eq!(registration, RegKey(1));
            assert_eq!(
                service_route,
                ["<sip:a.trunk.example;lr>", "<sip:b.trunk.example;lr;x=1,2>", "<sip:c.trunk.example;lr>"]
            );
        }
        other => panic!("{other:?}"),
    }
    b.wait(32_100);
    assert!(matches!(
        b.event(),
        Event::RegistrationFailed { registration: RegKey(2), code: 408, retry_after: Some(_), .. }
    ));
}

#[test]
fn a_registrar_elsewhere_is_told() {
    let mut b = Bench::new();
    b.command(register(60));
    let first = b.request(&Method::Register);
    let moved = b.response(&first, 301, "r").header("Contact", "<sip:pop2.trunk.example:5070>;q=0.9");
    b.receive(&moved.finish());
    match b.event() {
        Event::RegistrationFailed { code: 301, contacts, .. } => {
            assert_eq!(contacts[0].uri.to_string(), "sip:pop2.trunk.example:5070");
            assert_eq!(contacts[0].preference, 900);
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn renewals_do_not_come_all_at_once() {
    let mut waits = std::collections::BTreeSet::new();
    // Each for itself: between 50 and 80 % of the time granted.
    for n in 0..30 {
        let mut b = Bench::with(fax_sip::Config { seed: [n; 32], ..fax_sip::Config::default() });
        b.command(register(1_000));
        let request = b.request(&Method::Register);
        b.receive(&b.response(&request, 200, "r").header("Expires", "1000").finish());
        b.event();
        b.wait(499_900);
        b.quiet();
        b.until_sent(300_200);
        b.request(&Method::Register);
        waits.insert(b.now.as_millis());
    }
    assert!(waits.len() > 10, "{waits:?}");
}

#[test]
fn what_we_cannot_prove_is_told_and_not_tried_again() {
    // Only auth-int, only an unknown algorithm, only Basic; and 403 to a good proof.
    for challenge in [
        "Digest realm=\"t\", nonce=\"1\", qop=\"auth-int\"",
        "Digest realm=\"t\", nonce=\"1\", algorithm=AKAv2-SHA-256",
        "Basic realm=\"t\"",
    ] {
        let mut b = Bench::new();
        let invite = b.call();
        b.receive(&b.response(&invite, 401, "x").header("WWW-Authenticate", challenge).finish());
        b.request(&Method::Ack);
        assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.code == Some(401)));
        b.quiet();
    }
    let mut b = Bench::new();
    let invite = b.call();
    let challenge = "Digest realm=\"t\", nonce=\"1\", qop=\"auth\"";
    b.receive(&b.response(&invite, 401, "x").header("WWW-Authenticate", challenge).finish());
    b.request(&Method::Ack);
    let again = b.request(&Method::Invite);
    b.receive(&b.response(&again, 403, "x").header("Reason", "Q.850;cause=21").finish());
    b.request(&Method::Ack);
    let Event::Ended { call: CallKey(1), cause } = b.event() else { panic!() };
    assert_eq!((cause.by, cause.code, cause.q850), (EndedBy::Remote, Some(403), Some(21)));
    b.wait(60_000);
    assert!(b.sent.is_empty());
}

#[test]
fn both_challenges_of_one_answer_are_met_and_stale_nonces_replaced() {
    let mut b = Bench::new();
    let invite = b.call();
    let challenged = b
        .response(&invite, 407, "x")
        .header("WWW-Authenticate", "Digest realm=\"u\", nonce=\"u1\", qop=\"auth\", algorithm=MD5")
        .header("WWW-Authenticate", "Digest realm=\"u\", nonce=\"u2\", qop=\"auth\", algorithm=SHA-512-256")
        .header(
            "Proxy-Authenticate",
            "Digest realm=\"p\", nonce=\"p1\", qop=\"auth,auth-int\", opaque=\"o\"",
        );
    b.receive(&challenged.finish());
    b.request(&Method::Ack);
    let second = b.request(&Method::Invite);
    let (own, proxy) = (second.text("Authorization").unwrap(), second.text("Proxy-Authorization").unwrap());
    assert!(own.contains("nonce=\"u2\"") && own.contains("SHA-512-256") && own.contains("nc=00000001"));
    assert!(proxy.contains("opaque=\"o\"") && proxy.contains("qop=auth,") && !proxy.contains("algorithm"));
    let stale = "Digest realm=\"p\", nonce=\"p2\", qop=\"auth\", stale=TRUE";
    b.receive(&b.response(&second, 407, "x").header("Proxy-Authenticate", stale).finish());
    b.request(&Method::Ack);
    let third = b.request(&Method::Invite);
    assert!(third.text("Proxy-Authorization").unwrap().contains("nonce=\"p2\""));
    assert!(third.text("Authorization").unwrap().contains("nc=00000002"));
}
