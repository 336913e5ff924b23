//! The guard over real sockets: floods, scanners, guessers and connections of strangers cost themselves, and nobody who is
//! known (RFC 3261 §26.1.5, §26.3.2.4).
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::streams;

use bench::{page, pels, request, side_with, story, terminal};
use fax_net::{
    Config, Endpoint, IncomingCall, Listen, LocalTerminal, Protection, StreamLimits, Transport, Trunk,
};
use fax_t30::Role;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc::Receiver;

const BOUND: Duration = Duration::from_secs(40);

const PASSWORD: &str = "sesame-street";

/// Nothing that is to come takes longer on a machine that has other things to do, and nothing comes after that.
const SILENCE: Duration = Duration::from_millis(700);

fn ip(net: u8, host: u8) -> IpAddr {
    IpAddr::from([127, 0, net, host])
}

fn socket(net: u8, host: u8) -> UdpSocket {
    let socket = UdpSocket::bind((ip(net, host), 0)).unwrap();
    socket.set_read_timeout(Some(SILENCE)).unwrap();
    socket
}

fn free(net: u8, host: u8) -> SocketAddr {
    socket(net, host).local_addr().unwrap()
}

fn head(method: &str, to: SocketAddr, from: SocketAddr, number: usize) -> String {
    format!(
        "{method} sip:+4930456@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {from};branch=z9hG4bK{number};rport\r\n\
         Max-Forwards: 70\r\nFrom: <sip:ata@{to}>;tag=f{number}\r\nTo: <sip:ata@{to}>\r\n\
         Call-ID: c{number}@{from}\r\nCSeq: 1 {method}\r\nContact: <sip:ata@{from}>\r\n"
    )
}

fn invite(to: SocketAddr, from: SocketAddr, number: usize) -> Vec<u8> {
    let sdp = format!(
        "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n",
        ip = from.ip()
    );
    let head = head("INVITE", to, from, number);
    format!("{head}Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}", sdp.len()).into()
}

/// A message with this line before its contact.
fn with(message: &[u8], line: &str) -> Vec<u8> {
    String::from_utf8_lossy(message).replacen("Contact:", &format!("{line}\r\nContact:"), 1).into_bytes()
}

fn options(to: SocketAddr, from: SocketAddr, number: usize, agent: &str) -> Vec<u8> {
    let head = head("OPTIONS", to, from, number);
    format!("{head}User-Agent: {agent}\r\nContent-Length: 0\r\n\r\n").into()
}

/// A REGISTER with a proof that is made up.
fn guess(to: SocketAddr, from: SocketAddr, number: usize) -> Vec<u8> {
    let head = head("REGISTER", to, from, number);
    with(format!("{head}Content-Length: 0\r\n\r\n").as_bytes(), &made_up(number))
}

fn made_up(number: usize) -> String {
    format!(
        "Authorization: Digest username=\"ata\", realm=\"ferrofax\", nonce=\"00\", uri=\"sip:x\", \
         algorithm=MD5, response=\"{number:032x}\""
    )
}

/// The status of the next response, if one comes.
fn answer(socket: &UdpSocket) -> Option<u16> {
    let mut buffer = [0; 4_096];
    let (length, _) = socket.recv_from(&mut buffer).ok()?;
    let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
    text.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
}

/// The answer to a guess, if there is one.
fn guessed(socket: &UdpSocket, to: SocketAddr, number: usize) -> Option<u16> {
    socket.send_to(&guess(to, socket.local_addr().unwrap(), number), to).unwrap();
    answer(socket)
}

/// An endpoint with a terminal `ata`.
async fn registrar(at: SocketAddr, change: impl FnOnce(&mut Config)) -> (Endpoint, Receiver<IncomingCall>) {
    let mut config = Config::new(at);
    config.workers = 1;
    config.terminals.push(LocalTerminal::new("ata", PASSWORD));
    config.registrar.min_expires = Duration::from_secs(2);
    change(&mut config);
    Endpoint::start(config).await.unwrap()
}

/// An endpoint that is registered as `ata`.
async fn registered(own: SocketAddr, at: SocketAddr, seconds: u64) -> bench::Side {
    let side = side_with(own, at, |config| {
        let trunk = &mut config.trunks[0];
        trunk.credentials = Some(("ata".to_owned(), PASSWORD.to_owned()));
        trunk.register = Some(Duration::from_secs(seconds));
    })
    .await;
    until("it is registered", async || {
        side.endpoint.trunks().await[0].registrations.iter().any(|r| r.since.is_some())
    })
    .await;
    side
}

async fn until(what: &str, mut is: impl AsyncFnMut() -> bool) {
    let end = Instant::now() + BOUND;
    while !is().await {
        assert!(Instant::now() < end, "never: {what}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// 20,000 datagrams a second, from one address and from two hundred, until it is told to stop.
struct Flood {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Flood {
    fn start(to: SocketAddr, net: u8) -> Flood {
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
        let (stopped, count) = (Arc::clone(&stop), Arc::clone(&sent));
        let one = socket(net, 9);
        let many: Vec<UdpSocket> = (20..220).map(|host| socket(net, host)).collect();
        let thread = std::thread::spawn(move || {
            let mut number = 0;
            while !stopped.load(Ordering::Relaxed) {
                // A hundred each 5 ms: as many as a busy machine gets out, and no more than 20,000 a second.
                for _ in 0..100 {
                    number += 1;
                    let from = if number % 2 == 0 { &one } else { &many[number % many.len()] };
                    let at = from.local_addr().unwrap();
                    let octets = match number % 4 {
                        0 | 1 => invite(to, at, number),
                        2 => (0..400).map(|n| (n * number % 251).to_le_bytes()[0]).collect(),
                        _ => options(to, at, number, "telephone"),
                    };
                    let _ = from.send_to(&octets, to);
                }
                count.fetch_add(100, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(5));
            }
        });
        Flood { stop, sent, thread: Some(thread) }
    }

    fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_strangers_takes_nothing_from_a_trunk() {
    let (own, carrier) = (free(91, 1), free(91, 2));
    let (trunk, mut calls) = registrar(carrier, |_| {}).await;
    let ours = registered(own, carrier, 5).await;
    let since = ours.endpoint.trunks().await[0].registrations[0].since;
    let flood = Flood::start(own, 92);
    // The registration is renewed under the flood.
    let first = ours.endpoint.trunks().await[0].registrations[0].until;
    until("it is renewed", async || ours.endpoint.trunks().await[0].registrations[0].until > first).await;
    let (bitmap, coded) = page(100);
    let sending = ours.endpoint.call(request(terminal(Role::Calling, vec![coded], true)));
    let sending = tokio::spawn(story(sending));
    let incoming = tokio::time::timeout(BOUND, calls.recv()).await.expect("no call comes").unwrap();
    let received = story(incoming.accept(terminal(Role::Called, Vec::new(), true))).await;
    let sent = sending.await.unwrap();
    let thrown = flood.stop();
    let state = ours.endpoint.protection();
    println!("{thrown} thrown; {:?}; {} bans, {} sources", state.counters, state.bans.len(), state.sources);
    assert_eq!(sent.report.outcome.unwrap().failure, None);
    assert!(received.pages.len() == 1 && pels(&received.pages[0]) == bitmap);
    let now = &ours.endpoint.trunks().await[0];
    // Without a break: what is told in times of the day is not told to the microsecond.
    let (before, after) = (since.unwrap(), now.registrations[0].since.unwrap());
    let moved = after.duration_since(before).unwrap_or_else(|early| early.duration());
    assert!(now.up && moved < Duration::from_millis(500), "{now:?}");
    assert_eq!(now.registrations[0].last_failure, None);
    assert!(thrown > 5_000, "{thrown}");
    assert!(state.counters.over_source + state.counters.banned + state.counters.over_strangers > 1_000);
    // Who called and called is banned, and the carrier is not.
    assert!(state.bans.iter().any(|ban| ban.source == ip(92, 9).to_string()), "{:?}", state.bans);
    assert!(state.bans.iter().all(|ban| ban.source.starts_with("127.0.92.")), "{:?}", state.bans);
    assert_eq!(state.counters.over_known, 0);
    ours.endpoint.stop().await;
    trunk.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scanner_hears_nothing_and_others_are_answered() {
    let at = free(93, 1);
    let (endpoint, _calls) = registrar(at, |config| {
        config.listen = vec![Listen::new(Transport::Udp, at), Listen::new(Transport::Tcp, at)];
    })
    .await;
    let (scanner, telephone) = (socket(93, 9), socket(93, 8));
    let from = |socket: &UdpSocket| socket.local_addr().unwrap();
    for number in 0..10 {
        scanner.send_to(&options(at, from(&scanner), number, "friendly-scanner"), at).unwrap();
    }
    telephone.send_to(&options(at, from(&telephone), 1, "telephone"), at).unwrap();
    assert_eq!(answer(&telephone), Some(200));
    assert_eq!(answer(&scanner), None);
    // Banned: nothing helps it now.
    scanner.send_to(&options(at, from(&scanner), 20, "telephone"), at).unwrap();
    assert_eq!(answer(&scanner), None);
    assert_eq!(endpoint.protection().bans.len(), 1);
    // By TCP, too.
    let mut stream = TcpStream::connect(at).await.unwrap();
    stream.write_all(&options(at, from(&telephone), 30, "sipcli/v1.8")).await.unwrap();
    let read = tokio::time::timeout(BOUND, stream.read(&mut [0; 512])).await.expect("it is still open");
    assert!(matches!(read, Ok(0) | Err(_)), "{read:?}");
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_guesses_passwords_is_banned_and_a_terminal_elsewhere_registers() {
    let at = free(94, 1);
    let rules = Protection { ban: Duration::from_secs(2), account_failures: 0, ..Protection::default() };
    let (endpoint, _calls) = registrar(at, |config| config.protection = rules).await;
    let guesser = socket(94, 9);
    let answers: Vec<_> = (0..10).map(|number| guessed(&guesser, at, number)).collect();
    assert_eq!(answers, [Some(401); 10]);
    assert_eq!(guessed(&guesser, at, 11), None);
    let state = endpoint.protection();
    assert_eq!((state.bans.len(), state.bans[0].source.as_str()), (1, "127.0.94.9"));
    assert!(state.bans[0].dropped >= 1 && state.bans[0].until > state.bans[0].since);
    let terminal = registered(free(94, 2), at, 60).await;
    terminal.endpoint.stop().await;
    // The ban ends by itself; the next one by hand.
    until("it is over", async || guessed(&guesser, at, 12).is_some()).await;
    let mut number = 100;
    until("banned again", async || {
        number += 1;
        guessed(&guesser, at, number).is_none()
    })
    .await;
    assert_eq!(endpoint.protection().bans[0].times, 2);
    assert!(endpoint.lift_ban(ip(94, 9)) && !endpoint.lift_ban(ip(94, 9)));
    assert_eq!(guessed(&guesser, at, 200), Some(401));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_many_addresses_guess_is_judged_slowly_and_at_home_at_once() {
    let at = free(95, 1);
    let rules = Protection { account_failures: 10, ..Protection::default() };
    let (endpoint, _calls) = registrar(at, |config| config.protection = rules).await;
    let home = registered(free(95, 2), at, 4).await;
    // One guess from each of thirty addresses: the first are judged at once, the next wait, the last are to come later.
    let guessers: Vec<UdpSocket> = (100..130).map(|host| socket(95, host)).collect();
    let answers: Vec<_> =
        guessers.iter().enumerate().map(|(number, from)| guessed(from, at, number)).collect();
    assert!(answers.iter().take(10).all(|a| *a == Some(401)), "{answers:?}");
    assert!(answers.contains(&Some(503)), "{answers:?}");
    assert!(endpoint.protection().counters.delayed > 10, "{answers:?}");
    // What waited is judged after all.
    let judged = endpoint.failed_authentications();
    until("those that wait are judged", async || endpoint.failed_authentications() > judged).await;
    // The owner renews as ever.
    let first = home.endpoint.trunks().await[0].registrations[0].until;
    until("it is renewed", async || home.endpoint.trunks().await[0].registrations[0].until > first).await;
    assert_eq!(home.endpoint.trunks().await[0].registrations[0].last_failure, None);
    home.endpoint.stop().await;
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn only_what_is_judged_is_a_proof_and_all_else_is_none() {
    let at = free(89, 1);
    let rules = Protection { account_failures: 0, ..Protection::default() };
    let (endpoint, _calls) = registrar(at, |config| config.protection = rules).await;
    // A proof for somebody else on the way does not hide the one for us.
    let telephone = socket(89, 8);
    let guess = guess(at, telephone.local_addr().unwrap(), 1);
    let other =
        "Authorization: Digest username=\"x\", realm=\"other\", nonce=\"1\", uri=\"sip:x\", response=\"1\"";
    let both =
        String::from_utf8_lossy(&guess).replacen("Authorization:", &format!("{other}\r\nAuthorization:"), 1);
    telephone.send_to(both.as_bytes(), at).unwrap();
    assert_eq!(answer(&telephone), Some(401));
    assert_eq!(endpoint.failed_authentications(), 1);
    // Proofs for a proxy show us nothing: whoever goes on like that is banned, as without any.
    let stranger = socket(89, 9);
    let mut asked = |number: usize| {
        let made_up = made_up(number).replacen("Authorization", "Proxy-Authorization", 1);
        let head = head("REGISTER", at, stranger.local_addr().unwrap(), number);
        let octets = with(format!("{head}Content-Length: 0\r\n\r\n").as_bytes(), &made_up);
        stranger.send_to(&octets, at).unwrap();
        answer(&stranger)
    };
    let answers: Vec<_> = (2..50).map_while(&mut asked).collect();
    assert_eq!(answers, [401; 40]);
    assert_eq!((endpoint.protection().bans.len(), endpoint.failed_authentications()), (1, 1));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn proofs_that_wait_take_no_call_from_a_trunk() {
    let (at, carrier, guesser) = (free(98, 1), socket(98, 2), socket(98, 9));
    let (endpoint, mut calls) = registrar(at, |config| {
        config.max_calls = 4;
        config.protection = Protection { account_failures: 1, ban_after: 0, ..Protection::default() };
        config.trunks.push(Trunk::new("carrier", &carrier.local_addr().unwrap().to_string()));
    })
    .await;
    assert_eq!(guessed(&guesser, at, 1), Some(401));
    // As many calls as there may be, of somebody who is judged slowly, and at once behind them one of the trunk.
    for number in 2..6 {
        let octets = with(&invite(at, guesser.local_addr().unwrap(), number), &made_up(number));
        guesser.send_to(&octets, at).unwrap();
    }
    carrier.send_to(&invite(at, carrier.local_addr().unwrap(), 10), at).unwrap();
    let call = tokio::time::timeout(BOUND, calls.recv()).await.expect("no call comes").unwrap();
    assert_eq!(call.trunk, "carrier");
    assert_eq!(endpoint.protection().counters.delayed, 4);
    drop(call);
    endpoint.stop().await;
}

async fn connect(to: SocketAddr, from: IpAddr) -> Option<TcpStream> {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(from, 0)).unwrap();
    tokio::time::timeout(BOUND, socket.connect(to)).await.unwrap().ok()
}

/// How many of these are still open.
async fn open(streams: &mut [TcpStream]) -> usize {
    tokio::time::sleep(SILENCE).await;
    let mut count = 0;
    for stream in streams {
        let read = tokio::time::timeout(Duration::from_millis(2), stream.read(&mut [0; 64])).await;
        count += usize::from(read.is_err());
    }
    count
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_of_connections_is_bounded_and_leaves_room_for_trunks() {
    let at = free(96, 1);
    let (endpoint, _calls) = registrar(at, |config| {
        config.listen = vec![Listen::new(Transport::Tcp, at)];
        config.streams = StreamLimits { connections: 40, per_source: 20, ..StreamLimits::default() };
        config.protection.allow = vec!["127.0.96.2".parse().unwrap()];
        // Here it is the number that counts, not the speed.
        config.protection.per_source = 10_000;
        config.protection.strangers = 100_000;
    })
    .await;
    let mut streams = Vec::new();
    for number in 0..400_u32 {
        let host = 10 + u8::try_from(number % 10).unwrap();
        streams.extend(connect(at, ip(96, host)).await);
    }
    let open = open(&mut streams).await;
    assert_eq!(open, 30, "three quarters are for strangers");
    let mut trunk = connect(at, ip(96, 2)).await.unwrap();
    let from = trunk.local_addr().unwrap();
    trunk.write_all(&options(at, from, 1, "telephone")).await.unwrap();
    let mut buffer = [0; 512];
    let length = tokio::time::timeout(BOUND, trunk.read(&mut buffer)).await.unwrap().unwrap();
    assert!(buffer[..length].starts_with(b"SIP/2.0 200"));
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_source_makes_few_connections_a_second_and_handshakes_that_never_end_are_bounded() {
    let authority = streams::Authority::new();
    let (tcp, tls) = (free(97, 1), free(97, 1));
    let (endpoint, _calls) = registrar(tcp, |config| {
        let mut secure = Listen::new(Transport::Tls, tls);
        secure.identity = Some(authority.identity("fax.example"));
        config.listen = vec![Listen::new(Transport::Tcp, tcp), secure];
        config.protection.per_source = 20;
        config.protection.strangers = 100_000;
        config.protection.handshakes = 20;
    })
    .await;
    let began = Instant::now();
    let mut fast = Vec::new();
    for _ in 0..60 {
        fast.extend(connect(tcp, ip(97, 9)).await);
    }
    let took = began.elapsed().as_secs_f64() + 1.0;
    let most = 9.0 + took * 4.0;
    let taken = open(&mut fast).await;
    assert!(taken >= 4 && (taken as f64) < most, "{taken} in {took} s");
    // Nobody says anything: the handshakes stay half open.
    let mut half = Vec::new();
    for number in 0..60_u8 {
        half.extend(connect(tls, ip(97, 100 + number)).await);
    }
    assert_eq!(open(&mut half).await, 20);
    assert!(endpoint.protection().counters.connections >= 40);
    endpoint.stop().await;
}
