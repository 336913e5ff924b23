//! RFC 4475's torture messages and mutations of these and ours, sent to a live endpoint over UDP, TCP and TLS: each gets an
//! answer or none, no connection is closed for them, memory stays flat, and calls go through all the while.
//!
//! `FERROFAX_MUTATIONS` says how many there are, all transports together.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::streams;

use bench::random::{Random, resident, sip_messages};
use bench::{page, request, terminal};
use fax_net::{CallEnd, CallEvent, Config, Endpoint, Holdings, IncomingCall, Listen, Tls, Transport, Trunk};
use fax_sip::message::Limits;
use fax_sip::message::stream::{Framer, Piece};
use fax_t30::Role;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use streams::Authority;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};

/// Mutants of each transport, where nothing else is asked for.
const MUTANTS: usize = 1_000;

/// After so many mutants the endpoint is asked whether it lives.
const BATCH: usize = 25;

/// In the course of the mutants of one transport so many calls are made.
const CALLS: usize = 4;

const BOUND: Duration = Duration::from_secs(60);

/// Memory may grow so much: what is kept for 32 s behind each answer, and the allocator's reserve.
const GROWTH: usize = 256 << 20;

/// A mutated Content-Length may swallow what follows, up to as much as the endpoint believes.
const SWALLOWED: usize = 300 << 10;

/// RFC 4475's messages, where they are.
fn torture() -> Vec<(String, Vec<u8>)> {
    let usual = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data");
    let folder = std::env::var("FERROFAX_DATA").map_or(usual, PathBuf::from).join("rfc4475");
    let Ok(entries) = std::fs::read_dir(folder) else {
        println!("skipped: no RFC 4475 messages");
        return Vec::new();
    };
    let files = entries.map(|e| e.unwrap().path()).filter(|p| p.extension().is_some_and(|e| e == "dat"));
    let name = |p: &PathBuf| p.file_stem().unwrap().to_string_lossy().into_owned();
    let mut all: Vec<_> = files.map(|p| (name(&p), std::fs::read(&p).unwrap())).collect();
    all.sort();
    assert_eq!(all.len(), 49);
    all
}

/// The subject and somebody who calls it by the same transport.
struct Bench {
    subject: Endpoint,
    caller: Endpoint,
    authority: Authority,
    transport: Transport,
    at: SocketAddr,
}

impl Bench {
    async fn start(transport: Transport) -> Bench {
        let authority = Authority::new();
        let own: SocketAddr = "127.0.0.1:0".parse().unwrap();
        let config = || {
            let mut config = Config::new(own);
            config.workers = 1;
            let mut listen = Listen::new(transport, own);
            if transport == Transport::Tls {
                listen.identity = Some(authority.identity("fax.example"));
                config.tls = Tls { ca: vec![authority.file()], ..Tls::default() };
            }
            config.listen = vec![listen];
            config
        };
        let mut subject = config();
        let mut anyone = Trunk::new("anyone", "192.0.2.1");
        anyone.accept_from = vec!["127.0.0.0/8".parse().unwrap()];
        subject.trunks.push(anyone);
        let (subject, incoming) = Endpoint::start(subject).await.unwrap();
        tokio::spawn(answer(incoming));
        let at = subject.local_address();
        let mut caller = config();
        let mut trunk = Trunk::new("peer", &at.to_string());
        trunk.transport = Some(transport);
        trunk.server_name = "fax.example".to_owned();
        caller.trunks.push(trunk);
        let (caller, _) = Endpoint::start(caller).await.unwrap();
        Bench { subject, caller, authority, transport, at }
    }

    /// A call goes through.
    async fn call(&self) {
        let pages = vec![page(20).1];
        let mut call = self.caller.call(request(terminal(Role::Calling, pages, true)));
        let through = async {
            loop {
                match call.next().await.expect("no end is told") {
                    CallEvent::Answered => call.give_up(),
                    CallEvent::Ended(report) => {
                        assert_eq!(report.end, CallEnd::Fax, "{report:?}");
                        return;
                    }
                    _ => {}
                }
            }
        };
        timeout(BOUND, through).await.expect("the call does not go through");
    }

    async fn way(&self) -> Way {
        if self.transport == Transport::Udp {
            let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
            socket.connect(self.at).await.unwrap();
            return Way::Datagrams(socket);
        }
        let stream = TcpStream::connect(self.at).await.unwrap();
        let stream: Box<dyn Both> = if self.transport == Transport::Tls {
            Box::new(
                self.connector().connect(ServerName::try_from("fax.example").unwrap(), stream).await.unwrap(),
            )
        } else {
            Box::new(stream)
        };
        let (mut reader, writer) = tokio::io::split(stream);
        let (sender, answers) = mpsc::unbounded_channel();
        tokio::spawn(async move {
            let mut framer = Framer::new(Limits::default());
            let mut buffer = vec![0; 65_536];
            while let Ok(length @ 1..) = reader.read(&mut buffer).await {
                framer.push(&buffer[..length]);
                while let Some(piece) = framer.next_piece() {
                    if let Piece::Message(octets) = piece {
                        let _ = sender.send(octets.to_vec());
                    }
                }
            }
        });
        Way::Stream { writer: Box::new(writer), answers }
    }

    fn connector(&self) -> TlsConnector {
        let mut roots = tokio_rustls::rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_file(self.authority.file()).unwrap()).unwrap();
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let config = tokio_rustls::rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        TlsConnector::from(Arc::new(config))
    }
}

/// Takes calls; what a mutant asks for is refused, or taken and dropped.
async fn answer(mut incoming: mpsc::Receiver<IncomingCall>) {
    let mut number = 0;
    while let Some(call) = incoming.recv().await {
        number += 1;
        match (call.to == "+4930456" && call.from == "+4930123", number % 4) {
            (true, _) => {
                let mut call = call.accept(terminal(Role::Called, Vec::new(), true));
                tokio::spawn(async move { while call.next().await.is_some() {} });
            }
            (false, 0) => drop(call.accept(terminal(Role::Called, Vec::new(), true))),
            (false, _) => call.reject(486, ""),
        }
    }
}

trait Both: AsyncRead + AsyncWrite + Unpin + Send {}
impl<S: AsyncRead + AsyncWrite + Unpin + Send> Both for S {}

/// How messages get there and answers come back.
enum Way {
    Datagrams(UdpSocket),
    Stream { writer: Box<dyn AsyncWrite + Unpin + Send>, answers: mpsc::UnboundedReceiver<Vec<u8>> },
}

impl Way {
    async fn send(&mut self, octets: &[u8]) {
        match self {
            // The system may have something to say on an answer that went elsewhere.
            Way::Datagrams(socket) => drop(socket.send(octets).await),
            Way::Stream { writer, .. } => {
                writer.write_all(octets).await.expect("the connection was closed");
                writer.flush().await.expect("the connection was closed");
            }
        }
    }

    /// What comes next within a time.
    async fn answer(&mut self, wait: Duration) -> Option<Vec<u8>> {
        match self {
            Way::Datagrams(socket) => {
                let mut buffer = vec![0; 65_536];
                let end = Instant::now() + wait;
                loop {
                    let rest = end.saturating_duration_since(Instant::now());
                    if let Ok(length) = timeout(rest, socket.recv(&mut buffer)).await.ok()? {
                        return Some(buffer[..length].to_vec());
                    }
                }
            }
            Way::Stream { answers, .. } => match timeout(wait, answers.recv()).await {
                Ok(Some(answer)) => Some(answer),
                Ok(None) => panic!("the connection was closed"),
                Err(_) => None,
            },
        }
    }

    /// A sign of life is asked for.
    fn question(&self, id: &str) -> String {
        let via = if matches!(self, Way::Datagrams(_)) { "UDP" } else { "TCP" };
        // Line ends first: a line that a mutant left open is over.
        format!(
            "\r\n\r\nOPTIONS sip:fax@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/{via} 127.0.0.1:9;rport;branch=z9hG4bK{id}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@b>;tag={id}\r\nTo: <sip:fax@c>\r\nCall-ID: {id}\r\n\
             CSeq: 1 OPTIONS\r\nContent-Length: 0\r\n\r\n"
        )
    }

    /// Asks for a sign of life until it comes; what came before it.
    async fn settle(&mut self, number: usize) -> Vec<Vec<u8>> {
        let mut before = Vec::new();
        let (mut sent, mut asked) = (0, 0);
        let end = Instant::now() + BOUND;
        while sent < SWALLOWED && Instant::now() < end {
            // Where the first was swallowed many follow: only their octets count.
            for _ in 0..if asked == 0 { 1 } else { 32 } {
                asked += 1;
                let options = self.question(&format!("alive{number}x{asked}"));
                sent += options.len();
                self.send(options.as_bytes()).await;
            }
            while let Some(answer) = self.answer(Duration::from_millis(40)).await {
                if String::from_utf8_lossy(&answer).contains(&format!("alive{number}x")) {
                    return before;
                }
                // What came of an earlier question is none of a mutant's.
                if !String::from_utf8_lossy(&answer).contains("Call-ID: alive") {
                    before.push(answer);
                }
            }
        }
        // It may only be late.
        while let Some(answer) = self.answer(BOUND).await {
            if String::from_utf8_lossy(&answer).contains(&format!("alive{number}x")) {
                return before;
            }
        }
        panic!("no answer any more, after {asked} questions");
    }
}

/// Whether this is a whole message. A refusal repeats what it refuses, and is as odd in that.
fn well_formed(message: &[u8]) -> bool {
    let octets = bytes::Bytes::copy_from_slice(message);
    match fax_sip::message::Message::parse(&octets, &Limits::default()) {
        Ok(_) => true,
        Err(error) => error.partial.is_some_and(|m| m.code().is_some_and(|c| (400..600).contains(&c))),
    }
}

/// Its own branch, Call-ID and tag, so that it is nobody's repetition.
fn fresh(seed: &[u8], number: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(seed.len() + 32);
    let mut rest = seed;
    while let Some(at) = rest.windows(7).position(|w| w == b"z9hG4bK" || w == b"all-ID:" || w == b"all-Id:") {
        out.extend_from_slice(&rest[..at + 7]);
        out.extend_from_slice(format!("{number}n").as_bytes());
        rest = &rest[at + 7..];
    }
    out.extend_from_slice(rest);
    out
}

async fn torture_and_mutants(transport: Transport) {
    let all = std::env::var("FERROFAX_MUTATIONS").map(|n| n.parse::<usize>().unwrap() / 3);
    let mutants = all.unwrap_or(MUTANTS);
    let bench = Bench::start(transport).await;
    bench.call().await;
    let torture = torture();
    let mut way = bench.way().await;
    for (number, (name, message)) in torture.iter().enumerate() {
        way.send(message).await;
        let answers = way.settle(1_000_000 + number).await;
        for answer in answers {
            assert!(well_formed(&answer), "{name}: {}", String::from_utf8_lossy(&answer));
        }
    }
    bench.call().await;
    let mut seeds = sip_messages();
    seeds.extend(torture.into_iter().map(|(_, m)| m));
    let (before, begun) = (resident(), Instant::now());
    let mut random = Random(0x5eed + mutants as u64);
    let (mut answers, mut most) = (0, 0);
    for number in 0..mutants {
        let seed = fresh(&seeds[random.below(seeds.len())], number);
        let mutant = random.damaged(&seed);
        way.send(&mutant).await;
        if number % BATCH == 0 {
            for answer in way.settle(number).await {
                assert!(well_formed(&answer), "{}", String::from_utf8_lossy(&answer));
                answers += 1;
            }
            most = most.max(resident().saturating_sub(before));
        }
        if number % (mutants / CALLS).max(1) == 0 {
            bench.call().await;
        }
    }
    way.settle(mutants).await;
    bench.call().await;
    let took = begun.elapsed();
    println!(
        "{mutants} mutants over {transport:?} in {took:?}: {answers} answers, memory grew by {} kB at most",
        most >> 10
    );
    assert!(most < GROWTH, "memory grew by {} kB", most >> 10);
    drop(way);
    bench.caller.stop().await;
    // Nothing is left of them: answers are repeated for 32 s, calls of theirs wait for an ACK as long, and end with a BYE
    // that is repeated for another 32 s.
    let end = Instant::now() + Duration::from_secs(180);
    loop {
        let held = bench.subject.holdings().await;
        if (Holdings { connections: 0, ..held }) == Holdings::default() {
            break;
        }
        assert!(Instant::now() < end, "left behind: {held:?}");
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    bench.subject.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torture_and_mutants_over_udp() {
    torture_and_mutants(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torture_and_mutants_over_tcp() {
    torture_and_mutants(Transport::Tcp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn torture_and_mutants_over_tls() {
    torture_and_mutants(Transport::Tls).await;
}
