//! Terminals behind NAT, terminals on connections, and another configuration of listeners and terminals while calls run,
//! over real sockets (RFC 3261 §10, §18; RFC 5626; RFC 5806).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::carrier;
use crate::streams;

use bench::{Side, free, page, pels, request, side_with, story_within, terminal};
use carrier::Carrier;
use fax_net::{
    Call, CallEnd, Config, Endpoint, IncomingCall, Listen, LocalTerminal, Onward, OnwardReport, OnwardTarget,
    Tls, Transport, Trunk,
};
use fax_t30::Role;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use streams::Authority;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(50);

/// A ferrofax that takes calls from everybody on this machine, and its configuration.
struct House {
    endpoint: Endpoint,
    incoming: Receiver<IncomingCall>,
    config: Config,
}

async fn house(change: impl FnOnce(&mut Config)) -> House {
    let mut config = Config::new(free());
    config.workers = 1;
    config.listen = vec![Listen::new(Transport::Udp, config.sip)];
    let mut anyone = Trunk::new("anyone", "192.0.2.1");
    anyone.accept_from = vec!["127.0.0.0/8".parse().unwrap()];
    config.trunks.push(anyone);
    change(&mut config);
    let (endpoint, incoming) = Endpoint::start(config.clone()).await.unwrap();
    House { endpoint, incoming, config }
}

impl House {
    fn at(&self) -> SocketAddr {
        self.endpoint.local_address()
    }

    async fn called(&mut self) -> IncomingCall {
        tokio::time::timeout(BOUND, self.incoming.recv()).await.expect("nobody calls").unwrap()
    }

    /// A call comes in and is passed on to the terminal `fax`.
    async fn ring(&mut self) -> tokio::task::JoinHandle<Option<OnwardReport>> {
        let at = self.at();
        let caller = Carrier::bind("127.0.0.9:0".parse().unwrap()).await;
        static CALLS: AtomicU32 = AtomicU32::new(1);
        tokio::spawn(async move { caller.invite(at, CALLS.fetch_add(1, Ordering::Relaxed)).await });
        let incoming = self.called().await;
        let targets = vec![OnwardTarget::Terminal { user: "fax".to_owned() }];
        let passed = incoming.connect(Onward { targets, from: "+4930".into(), from_name: String::new() });
        tokio::spawn(passed.ended())
    }

    /// Rings until the terminal has the call; what it does with it is to refuse it.
    async fn rings_at(&mut self, terminal: &mut Side) {
        let end = Instant::now() + BOUND;
        loop {
            let mut ringing = self.ring().await;
            tokio::select! {
                incoming = terminal.incoming.recv() => {
                    incoming.unwrap().reject(486, "");
                    assert_eq!(ringing.await.unwrap().unwrap().sip_status, Some(486));
                    return;
                }
                report = &mut ringing => assert_eq!(report.unwrap().unwrap().sip_status, Some(480)),
            }
            assert!(Instant::now() < end, "it does not register");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    /// Rings until nobody is registered.
    async fn rings_nowhere(&mut self) {
        let end = Instant::now() + BOUND;
        loop {
            let report = self.ring().await.await.unwrap().unwrap();
            if report.call_id_b.is_empty() {
                return assert_eq!(report.sip_status, Some(480));
            }
            assert!(Instant::now() < end, "it is still registered: {report:?}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

fn local(password: &str) -> LocalTerminal {
    let mut terminal = LocalTerminal::new("fax", password);
    terminal.reply_within = Duration::from_secs(2);
    terminal
}

/// A machine that registers as `fax` at `server`.
async fn machine(server: SocketAddr, transport: Transport) -> Side {
    side_with(free(), server, |config| {
        let trunk = &mut config.trunks[0];
        trunk.transport = Some(transport);
        trunk.credentials = Some(("fax".to_owned(), "sesame-street".to_owned()));
        trunk.register = Some(Duration::from_secs(120));
    })
    .await
}

/// A translator of addresses: what comes to `inside` goes out by another port, and answers go back.
struct Nat {
    inside: SocketAddr,
    /// Nothing comes in any more.
    shut: Arc<AtomicBool>,
    /// OPTIONS that came in.
    asked: Arc<AtomicU32>,
}

impl Nat {
    async fn start(server: SocketAddr) -> Nat {
        let inner = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let outer = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let inside = inner.local_addr().unwrap();
        let (shut, asked) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU32::new(0)));
        let (closed, count) = (shut.clone(), asked.clone());
        tokio::spawn(async move {
            let (mut out, mut back) = (vec![0; 65_535], vec![0; 65_535]);
            let mut client = None;
            loop {
                tokio::select! {
                    Ok((length, from)) = inner.recv_from(&mut out) => {
                        client = Some(from);
                        let _ = outer.send_to(&out[..length], server).await;
                    }
                    Ok((length, from)) = outer.recv_from(&mut back) => {
                        // A translator lets in what comes from where something went, and nothing else.
                        if from != server || closed.load(Ordering::Relaxed) {
                            continue;
                        }
                        count.fetch_add(u32::from(back.starts_with(b"OPTIONS ")), Ordering::Relaxed);
                        if let Some(client) = client {
                            let _ = inner.send_to(&back[..length], client).await;
                        }
                    }
                }
            }
        });
        Nat { inside, shut, asked }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_behind_nat_is_kept_reachable_and_forgotten_when_it_is_gone() {
    // The terminal registers at the second listener: only from there it can be reached.
    let second = free();
    let mut house = house(|config| {
        config.listen.push(Listen::new(Transport::Udp, second));
        config.terminals.push(local("sesame-street"));
        config.registrar.keep_alive = Some(Duration::from_millis(600));
    })
    .await;
    let nat = Nat::start(second).await;
    let mut fax = machine(nat.inside, Transport::Udp).await;
    house.rings_at(&mut fax).await;
    let end = Instant::now() + BOUND;
    while nat.asked.load(Ordering::Relaxed) < 6 {
        assert!(Instant::now() < end, "asked {} times", nat.asked.load(Ordering::Relaxed));
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    house.rings_at(&mut fax).await;
    nat.shut.store(true, Ordering::Relaxed);
    house.rings_nowhere().await;
    fax.endpoint.stop().await;
    house.endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_terminal_is_called_over_the_connection_that_it_registered_over() {
    let mut house = house(|config| {
        config.listen.push(Listen::new(Transport::Tcp, config.sip));
        config.terminals.push(local("sesame-street"));
    })
    .await;
    // It listens by UDP alone: nothing of its Contact leads to it. Between the two is something that can be cut.
    let between = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (at, server) = (between.local_addr().unwrap(), house.at());
    let cable = tokio::spawn(async move {
        let (mut inner, _) = between.accept().await.unwrap();
        let mut outer = TcpStream::connect(server).await.unwrap();
        let _ = tokio::io::copy_bidirectional(&mut inner, &mut outer).await;
    });
    let mut fax = machine(at, Transport::Tcp).await;
    house.rings_at(&mut fax).await;
    cable.abort();
    house.rings_nowhere().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn terminals_come_go_and_change_while_ferrofax_runs() {
    let mut house = house(|_| {}).await;
    let mut config = house.config.clone();
    config.terminals.push(local("sesame-street"));
    config.registrar.realm = "another".to_owned();
    assert!(house.endpoint.reload(config.clone()).await.is_empty());
    let mut fax = machine(house.at(), Transport::Udp).await;
    house.rings_at(&mut fax).await;
    // With another password it has to prove itself anew, and cannot.
    config.terminals[0] = local("open-barley");
    assert!(house.endpoint.reload(config.clone()).await.is_empty());
    house.rings_nowhere().await;
    config.terminals.clear();
    assert!(house.endpoint.reload(config).await.is_empty());
    house.rings_nowhere().await;
}

/// Somebody who calls by this transport.
async fn caller(peer: SocketAddr, transport: Transport, change: impl FnOnce(&mut Config)) -> Endpoint {
    let side = side_with(free(), peer, |config| {
        config.trunks[0].transport = Some(transport);
        config.trunks[0].server_name = "fax.example".to_owned();
        config.trunks[0].reply_within = Duration::from_secs(2);
        change(config);
    });
    side.await.endpoint
}

fn dial(endpoint: &Endpoint) -> Call {
    endpoint.call(request(terminal(Role::Calling, vec![page(60).1], true)))
}

#[tokio::test(flavor = "multi_thread")]
async fn listeners_move_and_a_fax_under_way_is_not_disturbed() {
    let mut house = house(|config| config.listen.push(Listen::new(Transport::Tcp, config.sip))).await;
    let (old, new) = (house.at(), free());
    let (bitmap, coded) = page(60);
    let (by_udp, by_tcp) =
        (caller(old, Transport::Udp, |_| {}).await, caller(old, Transport::Tcp, |_| {}).await);
    let mut faxes = Vec::new();
    for endpoint in [&by_udp, &by_tcp] {
        let call = endpoint.call(request(terminal(Role::Calling, vec![coded.clone()], true)));
        let sending = tokio::spawn(story_within(call, BOUND));
        let accepted = house.called().await.accept(terminal(Role::Called, Vec::new(), true));
        faxes.push((sending, tokio::spawn(story_within(accepted, BOUND))));
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    // Both listeners go, two others come.
    let mut config = house.config.clone();
    config.listen = vec![Listen::new(Transport::Udp, new), Listen::new(Transport::Tcp, new)];
    assert!(house.endpoint.reload(config.clone()).await.is_empty());
    assert_eq!(house.endpoint.local_addresses(), [(Transport::Udp, new), (Transport::Tcp, new)]);
    // Nothing new is taken at the old ones, even while the faxes go on.
    for transport in [Transport::Udp, Transport::Tcp] {
        let late = caller(old, transport, |_| {}).await;
        let report = story_within(dial(&late), BOUND).await.report;
        assert_eq!((report.end, report.reached), (CallEnd::NotAnswered, false), "{transport:?} {report:?}");
        let moved = caller(new, transport, |_| {}).await;
        let call = dial(&moved);
        house.called().await.reject(486, "");
        assert_eq!(story_within(call, BOUND).await.report.sip_status, Some(486));
    }
    for (sending, receiving) in faxes {
        let (sent, received) = (sending.await.unwrap(), receiving.await.unwrap());
        assert_eq!(sent.report.outcome.as_ref().unwrap().failure, None, "{:?}", sent.report);
        assert!(sent.t38 && received.pages.len() == 1 && pels(&received.pages[0]) == bitmap);
    }
    // Then the old socket is closed.
    let end = Instant::now() + BOUND;
    while std::net::UdpSocket::bind(old).is_err() {
        assert!(Instant::now() < end, "{old} is never closed");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // A listener that cannot be bound changes nothing.
    let taken = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    config.listen = vec![Listen::new(Transport::Udp, taken.local_addr().unwrap())];
    let kept = house.endpoint.reload(config).await;
    assert!(
        kept.len() == 1 && kept[0].contains("stay as they were") && kept[0].contains("UDP 127"),
        "{kept:?}"
    );
    assert_eq!(house.at(), new);
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_changed_while_ferrofax_runs() {
    let (first, second) = (Authority::new(), Authority::new());
    let mut house = house(|_| {}).await;
    let at = free();
    let mut config = house.config.clone();
    for authority in [&first, &second] {
        let identity = Some(authority.identity("fax.example"));
        let tls = Listen { identity, ..Listen::new(Transport::Tls, at) };
        config.listen = vec![house.config.listen[0].clone(), tls];
        assert!(house.endpoint.reload(config.clone()).await.is_empty());
        let believes = |config: &mut Config| {
            config.tls = Tls { ca: vec![authority.file()], ..Tls::default() };
        };
        let calling = caller(at, Transport::Tls, believes).await;
        let call = dial(&calling);
        house.called().await.reject(486, "");
        assert_eq!(story_within(call, BOUND).await.report.sip_status, Some(486));
    }
    let old = caller(at, Transport::Tls, |config| config.tls.ca = vec![first.file()]).await;
    assert!(!story_within(dial(&old), BOUND).await.report.reached);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_number_that_was_called_first_is_told_unless_it_is_hidden() {
    let mut house = house(|_| {}).await;
    let caller = Carrier::start().await;
    for (number, header, want) in [
        (
            101,
            "Diversion: <sip:+4930777@a>;reason=user-busy, <sip:+4930888@a>;reason=unconditional",
            "+4930888",
        ),
        (102, "Diversion: <sip:+4930888@a>;privacy=full", ""),
        (
            103,
            "History-Info: <sip:+4930999@a>;index=1, <sip:+4930456@a;cause=302>;index=1.1;mp=1",
            "+4930999",
        ),
        (104, "History-Info: <sip:+4930999@a?Privacy=history>;index=1, <sip:+4930456@a>;index=1.1", ""),
        (105, "X-Nothing: 1", ""),
    ] {
        let (heard, ()) =
            tokio::join!(caller.invite_with(house.endpoint.local_address(), number, header), async {
                let incoming = house.called().await;
                assert_eq!(incoming.diverted_from, want, "{header}");
                incoming.reject(603, "");
            });
        assert_eq!(heard, 603);
    }
}
