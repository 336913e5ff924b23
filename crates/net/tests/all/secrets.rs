//! Nothing that proves who somebody is stands in the log, at whatever level (RFC 7616 §5.10, RFC 3261 §26.1.3).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::carrier;

use bench::{free, page, request, story_within, terminal};
use carrier::{BOUND, Carrier};
use fax_net::{Config, Endpoint, LocalTerminal, Trunk};
use fax_t30::Role;
use std::io::Write;
use std::net::UdpSocket;
use std::sync::{Arc, Mutex};
use std::time::Duration;

const PASSWORD: &str = "open-sesame-4711";

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The quoted values of a challenge or proof that are nobody's business.
fn secrets(header: &str) -> Vec<String> {
    let fields = ["nonce=\"", "cnonce=\"", "response=\"", "opaque=\""];
    let values = fields.iter().filter_map(|field| {
        let (_, rest) = header.split_once(field)?;
        Some(rest.split('"').next().unwrap_or_default().to_owned())
    });
    values.filter(|value| value.len() > 4).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_secret_is_logged_over_registrations_and_challenged_calls() {
    let log = Log::default();
    let writer = log.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .init();
    let mut hidden = vec![PASSWORD.to_owned()];

    // We register at a carrier and call by it; both are challenged.
    let carrier = Carrier::start().await;
    let mut config = Config::new(free());
    config.workers = 1;
    let mut trunk = Trunk::new("peer", &carrier.at.to_string());
    trunk.credentials = Some(("fax".to_owned(), PASSWORD.to_owned()));
    trunk.register = Some(Duration::from_secs(60));
    config.trunks.push(trunk);
    config.terminals.push(LocalTerminal::new("ata", PASSWORD));
    let at = config.sip;
    let (ours, _calls) = Endpoint::start(config.clone()).await.unwrap();
    let challenge = "WWW-Authenticate: Digest realm=\"carrier\", nonce=\"n0nce-of-the-carrier\", \
                     opaque=\"0paque-of-the-carrier\", qop=\"auth\", algorithm=SHA-256";
    hidden.extend(secrets(challenge));
    let first = carrier.expect("REGISTER").await;
    carrier.answer(&first, "401 Unauthorized", &[challenge]).await;
    let proven = carrier.expect("REGISTER").await;
    hidden.extend(secrets(proven.header("Authorization")));
    carrier.grant(&proven, &[]).await;
    let call = ours.call(request(terminal(Role::Calling, vec![page(10).1], true)));
    let told = tokio::spawn(story_within(call, BOUND));
    let first = carrier.expect("INVITE").await;
    carrier.answer(&first, "401 Unauthorized", &[challenge]).await;
    let proven = carrier.expect("INVITE").await;
    hidden.extend(secrets(proven.header("Authorization")));
    carrier.answer(&proven, "486 Busy Here", &[]).await;
    assert_eq!(told.await.unwrap().report.sip_status, Some(486));

    // A terminal registers with us, wrongly and rightly, and calls.
    let socket = UdpSocket::bind("127.0.77.9:0").unwrap();
    socket.set_read_timeout(Some(BOUND)).unwrap();
    let from = socket.local_addr().unwrap();
    let mut ask = |method: &str, cseq: u32, more: &str| {
        let text = format!(
            "{method} sip:{at} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{method}{cseq};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:ata@{at}>;tag=f\r\nTo: <sip:ata@{at}>\r\nCall-ID: {method}{cseq}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:ata@{from}>\r\n{more}Content-Length: 0\r\n\r\n"
        );
        socket.send_to(text.as_bytes(), at).unwrap();
        let mut buffer = [0; 4_096];
        loop {
            let (length, _) = socket.recv_from(&mut buffer).unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if text.contains(&format!("CSeq: {cseq} {method}")) && !text.starts_with("SIP/2.0 100") {
                hidden.extend(secrets(&text));
                return text;
            }
        }
    };
    for (cseq, method) in [(1, "REGISTER"), (2, "INVITE")] {
        let challenged = ask(method, cseq, "");
        assert!(challenged.starts_with("SIP/2.0 401"), "{challenged}");
        let nonce = secrets(&challenged).remove(0);
        let wrong = format!(
            "Authorization: Digest username=\"ata\", realm=\"ferrofax\", nonce=\"{nonce}\", uri=\"sip:{at}\", \
             algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"cn0nce-of-a-guesser\", \
             response=\"deadbeefdeadbeef\"\r\n"
        );
        assert!(ask(method, cseq + 10, &wrong).starts_with("SIP/2.0 401"));
    }
    hidden.extend(["deadbeefdeadbeef".to_owned(), "cn0nce-of-a-guesser".to_owned()]);
    let mut terminal_config = Config::new(free());
    terminal_config.workers = 1;
    let mut trunk = Trunk::new("peer", &at.to_string());
    trunk.credentials = Some(("ata".to_owned(), PASSWORD.to_owned()));
    trunk.register = Some(Duration::from_secs(60));
    terminal_config.trunks.push(trunk);
    let (theirs, _) = Endpoint::start(terminal_config).await.unwrap();
    let call = theirs.call(request(terminal(Role::Calling, vec![page(10).1], true)));
    drop(tokio::time::timeout(Duration::from_secs(3), story_within(call, BOUND)).await);
    theirs.stop().await;
    ours.stop().await;

    let text = String::from_utf8_lossy(&log.0.lock().unwrap()).into_owned();
    assert!(text.contains("Authentication failed") && text.contains("calling"), "{text}");
    assert!(hidden.len() >= 12, "{hidden:?}");
    for secret in &hidden {
        assert!(!text.contains(secret), "{secret} is in the log");
    }
    for header in ["Authorization: ", "WWW-Authenticate", "Digest "] {
        assert!(!text.contains(header), "{header} is in the log");
    }
    let shown = format!("{config:?}");
    assert!(!shown.contains(PASSWORD), "the configuration shows it");
}
