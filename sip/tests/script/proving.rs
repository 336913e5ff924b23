//! Peers that must prove who they are, and requests the service answers itself (RFC 3261 §22; RFC 7616; RFC 8760).

use fax_sip::message::{Challenge, Message, Method};
use fax_sip::{Asker, CallKey, Command, Config, Denial, EndedBy, Event, RequestKey, Secret};

use super::bench::{Bench, sdp};

fn demand(asker: Asker, secret: Option<&str>) -> Command {
    Command::Authenticate {
        asker,
        realm: "fax.example".into(),
        proxy: matches!(asker, Asker::Call(_)),
        secret: secret.map(|s| Secret::Password(s.into())),
    }
}

/// What a client without our code says to the first challenge of `refusal`.
fn proof(refusal: &Message, header: &str, method: &str, count: u32, password: &str) -> String {
    use md5::{Digest as _, Md5};
    let hex = |o: &[u8]| o.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let hash = |text: String| hex(&Md5::digest(text.as_bytes()));
    let challenges: Vec<Challenge> =
        refusal.all(header).flat_map(|h| Challenge::read_list(h.value())).collect();
    let challenge = challenges.iter().find(|c| c.get("algorithm") == Some("MD5")).unwrap();
    assert_eq!(challenge.get("qop"), Some("auth"));
    let (realm, nonce) = (challenge.get("realm").unwrap(), challenge.get("nonce").unwrap());
    let ha1 = hash(format!("ata:{realm}:{password}"));
    let ha2 = hash(format!("{method}:sip:x"));
    let response = hash(format!("{ha1}:{nonce}:{count:08x}:cn:auth:{ha2}"));
    format!(
        "Digest username=\"ata\", realm=\"{realm}\", nonce=\"{nonce}\", uri=\"sip:x\", algorithm=MD5, \
         qop=auth, nc={count:08x}, cnonce=\"cn\", response=\"{response}\""
    )
}

fn called(b: &mut Bench, authorization: Option<&str>) -> CallKey {
    let invite = b.outside(Method::Invite);
    let invite = authorization.into_iter().fold(invite, |i, a| i.header("Proxy-Authorization", a));
    b.receive(&invite.finish_with_sdp(sdp(1)));
    b.code(100);
    match b.event() {
        Event::Incoming(incoming) => {
            assert_eq!(incoming.claim.map(|c| c.username).as_deref(), authorization.map(|_| "ata"));
            incoming.call
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_caller_is_challenged_and_proves_itself_and_a_replay_does_not() {
    let mut b = Bench::new();
    let call = called(&mut b, None);
    b.command(demand(Asker::Call(call), None));
    let refusal = b.code(407);
    let offered: Vec<Option<String>> = refusal
        .all("Proxy-Authenticate")
        .flat_map(|h| Challenge::read_list(h.value()))
        .map(|c| c.get("algorithm").map(str::to_owned))
        .collect();
    assert_eq!(offered, [Some("SHA-256".to_owned()), Some("MD5".to_owned())]);
    assert!(
        matches!(b.event(), Event::Ended { cause, .. } if (cause.by, cause.code) == (EndedBy::Local, Some(407)))
    );

    let right = proof(&refusal, "Proxy-Authenticate", "INVITE", 1, "secret");
    let call = called(&mut b, Some(&right));
    b.command(demand(Asker::Call(call), Some("secret")));
    assert_eq!(b.event(), Event::Authenticated { asker: Asker::Call(call), username: "ata".into() });
    b.command(Command::Answer { call, sdp: sdp(5) });
    let ok = b.code(200);
    b.ack(&ok, None);
    assert!(matches!(b.event(), Event::Confirmed { .. }));

    // Overheard and sent again.
    let call = called(&mut b, Some(&right));
    b.command(demand(Asker::Call(call), Some("secret")));
    let why = Denial::Replayed;
    assert_eq!(
        b.event(),
        Event::AuthenticationFailed { asker: Asker::Call(call), username: "ata".into(), why }
    );
    assert!(b.code(407).text("Proxy-Authenticate").unwrap().contains("stale=true"));
    assert!(matches!(b.event(), Event::Ended { .. }));
    // The next count is good.
    let next = proof(&refusal, "Proxy-Authenticate", "INVITE", 2, "secret");
    let call = called(&mut b, Some(&next));
    b.command(demand(Asker::Call(call), Some("secret")));
    assert!(matches!(b.event(), Event::Authenticated { .. }));
    // A nonce grows old.
    b.wait(301_000);
    b.sent.clear();
    b.events.clear();
    let late = proof(&refusal, "Proxy-Authenticate", "INVITE", 3, "secret");
    let call = called(&mut b, Some(&late));
    b.command(demand(Asker::Call(call), Some("secret")));
    assert!(b.code(407).text("Proxy-Authenticate").unwrap().contains("stale=true"));
}

#[test]
fn wrong_passwords_and_unknown_users_look_the_same_outside() {
    let mut b = Bench::new();
    let call = called(&mut b, None);
    b.command(demand(Asker::Call(call), None));
    let refusal = b.code(407);
    b.event();
    for (secret, why) in [(Some("secret"), Denial::WrongPassword), (None, Denial::UnknownUser)] {
        let guess = proof(&refusal, "Proxy-Authenticate", "INVITE", 1, "guess");
        let call = called(&mut b, Some(&guess));
        b.command(demand(Asker::Call(call), secret));
        assert_eq!(
            b.event(),
            Event::AuthenticationFailed { asker: Asker::Call(call), username: "ata".into(), why }
        );
        let answer = b.code(407);
        assert!(!answer.text("Proxy-Authenticate").unwrap().contains("stale"));
        assert!(matches!(b.event(), Event::Ended { .. }));
        b.sent.clear();
    }
}

fn asked(b: &mut Bench, request: &Message) -> RequestKey {
    b.receive(request);
    match b.event() {
        Event::Asked(asked) => asked.request,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_service_answers_what_is_passed_to_it() {
    let mut b = Bench::with(Config { passed: vec![Method::Register], ..Config::default() });
    let register = b.outside(Method::Register).finish();
    let request = asked(&mut b, &register);
    b.command(demand(Asker::Request(request), None));
    let refusal = b.code(401);
    let right = proof(&refusal, "WWW-Authenticate", "REGISTER", 1, "secret");
    let register = b.outside(Method::Register).header("Authorization", &right).finish();
    let request = asked(&mut b, &register);
    b.command(demand(Asker::Request(request), Some("secret")));
    assert!(matches!(b.event(), Event::Authenticated { .. }));
    b.receive(&register);
    b.quiet();
    let headers = vec![("Contact".to_owned(), "<sip:x@y>;expires=60".to_owned())];
    b.command(Command::Respond { request, code: 200, reason: String::new(), headers: headers.clone() });
    assert_eq!(b.code(200).text("Contact").unwrap(), "<sip:x@y>;expires=60");
    b.receive(&register);
    b.code(200);
    // A second answer changes nothing; what is not passed is refused as ever; silence is answered in the end.
    b.command(Command::Respond { request, code: 403, reason: String::new(), headers });
    b.quiet();
    let message = b.outside(Method::Message).finish();
    b.receive(&message);
    let refused = b.code(405);
    assert!(refused.has_token("Allow", "REGISTER") && refused.has_token("Allow", "PRACK"));
    let register = b.outside(Method::Register).finish();
    asked(&mut b, &register);
    b.until_sent(31_000);
    b.code(500);
    b.wait(40_000);
    assert_eq!((b.agent.transactions(), b.agent.deadline()), (0, None));
}

#[test]
fn a_redirection_tells_its_contacts_by_preference() {
    let mut b = Bench::new();
    let invite = b.call();
    let moved = b
        .response(&invite, 302, "x")
        .header("Contact", "<sip:third@c.example>;q=0.05, \"B\" <sip:second@b.example;user=phone>;q=0.7")
        .header("Contact", "<sip:first@a.example>")
        .finish();
    b.receive(&moved);
    b.request(&Method::Ack);
    let Event::Ended { cause, .. } = b.event() else { panic!() };
    let found: Vec<(String, u16)> =
        cause.contacts.iter().map(|r| (r.uri.to_string(), r.preference)).collect();
    assert_eq!(
        found,
        [
            ("sip:first@a.example".to_owned(), 1000),
            ("sip:second@b.example;user=phone".to_owned(), 700),
            ("sip:third@c.example".to_owned(), 50)
        ]
    );
    assert_eq!((cause.by, cause.code), (EndedBy::Remote, Some(302)));
}

#[test]
fn strangers_get_one_answer_and_nothing_is_remembered_of_them() {
    let mut b = Bench::new();
    let call = called(&mut b, None);
    b.command(demand(Asker::Call(call), None));
    b.code(407);
    assert!(matches!(b.event(), Event::Ended { .. }));
    assert_eq!(b.agent.transactions(), 0);
    let call = called(&mut b, None);
    b.command(Command::Dismiss { call, code: 403 });
    b.code(403);
    assert!(matches!(b.event(), Event::Ended { cause, .. } if cause.code == Some(403)));
    assert_eq!(b.agent.transactions(), 0);
    // Without any ACK nothing is repeated.
    b.wait(40_000);
    assert!(b.sent.is_empty());
    // Who has tried a proof is answered as ever: a repeated request is no second guess.
    let refusal = {
        let call = called(&mut b, None);
        b.command(demand(Asker::Call(call), None));
        b.code(407)
    };
    b.events.clear();
    let guess = proof(&refusal, "Proxy-Authenticate", "INVITE", 1, "guess");
    let call = called(&mut b, Some(&guess));
    b.command(demand(Asker::Call(call), Some("secret")));
    assert_eq!(b.agent.transactions(), 1);
}
