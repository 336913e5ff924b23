//! Hostile datagrams on the SIP and media ports while a fax runs: the fax completes, strangers are not
//! listened to, memory stays bounded.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::random::{Random, resident, sip_messages};
use bench::{Side, page, pels, request, side_with, story, story_within, terminal};
use fax_net::CallEnd;
use fax_t30 as t30;
use std::net::{SocketAddr, UdpSocket};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Memory may grow by so much under attack: buffers, transactions, thread stacks.
const GROWTH: usize = 96 << 20;

/// A UDPTL packet with these primary octets and nothing behind it.
fn udptl(sequence: usize, primary: &[u8]) -> Vec<u8> {
    let mut packet = u16::try_from(sequence & 0xFFFF).unwrap().to_be_bytes().to_vec();
    packet.push(u8::try_from(primary.len()).unwrap());
    packet.extend_from_slice(primary);
    packet.extend_from_slice(&[0, 0]);
    packet
}

/// What may hit a media port: noise, RTP, and UDPTL, well-formed, damaged, cut.
fn media_datagram(random: &mut Random, seen: &[Vec<u8>]) -> Vec<u8> {
    let sequence = random.next();
    match random.below(7) {
        0 => random.octets(1_500),
        1 => {
            let mut rtp = vec![0x80, [8, 0, 13, 101, 72][random.below(5)]];
            rtp.extend((0..10).map(|_| random.octet()));
            rtp.extend((0..160).map(|_| random.octet()));
            rtp
        }
        // Indicators, and a whole DCN in one packet: who listened would end the fax.
        2 => {
            let indicator = u8::try_from(random.below(16)).unwrap();
            udptl(sequence, &[indicator << 1])
        }
        3 => udptl(sequence, &[0xC0, 0x02, 0x00, 0x00, 0x02, 0xFF, 0xC8, 0xFB, 0x40]),
        4 => {
            let primary = random.octets(200);
            let whole = udptl(sequence, &primary);
            let cut = random.below(whole.len());
            whole[..cut].to_vec()
        }
        5 => {
            let primary = random.octets(250);
            udptl(random.below(400), &primary)
        }
        _ => match seen.get(random.below(seen.len())) {
            Some(packet) => random.damaged(packet),
            None => Vec::new(),
        },
    }
}

/// Throws datagrams from one address until it is told to stop.
struct Attack {
    stop: Arc<AtomicBool>,
    sent: Arc<AtomicUsize>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Attack {
    fn start(
        from: SocketAddr,
        targets: Vec<SocketAddr>,
        seed: u64,
        mut next: impl FnMut(&mut Random) -> Vec<u8> + Send + 'static,
    ) -> Attack {
        let socket = UdpSocket::bind(from).unwrap();
        let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let attack = (stop.clone(), Arc::clone(&sent));
        let thread = std::thread::spawn(move || {
            let (stop, sent): (_, Arc<AtomicUsize>) = attack;
            let mut random = Random(seed);
            while !stop.load(Ordering::Relaxed) {
                for target in &targets {
                    let _ = socket.send_to(&next(&mut random), target);
                    sent.fetch_add(1, Ordering::Relaxed);
                }
                std::thread::sleep(Duration::from_millis(4));
            }
        });
        Attack { stop, sent, thread: Some(thread) }
    }

    fn stop(mut self) -> usize {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.take().unwrap().join().unwrap();
        self.sent.load(Ordering::Relaxed)
    }
}

fn at(net: u8, host: u8) -> SocketAddr {
    SocketAddr::new([127, 0, net, host].into(), 0)
}

fn free(net: u8, host: u8) -> SocketAddr {
    UdpSocket::bind(at(net, host)).unwrap().local_addr().unwrap()
}

/// Two endpoints whose one media port each is known.
async fn pair(net: u8) -> (Side, Side, [SocketAddr; 2], [SocketAddr; 2]) {
    let sip = [free(net, 1), free(net, 2)];
    let media = [SocketAddr::new(at(net, 1).ip(), 20_000), SocketAddr::new(at(net, 2).ip(), 20_002)];
    let ports = |config: &mut fax_net::Config, port: u16| {
        config.media_ports = Some(port..=port + 1);
        for trunk in &mut config.trunks {
            trunk.t38.offer_as_called = Some(Duration::from_millis(500));
        }
    };
    let a = side_with(sip[0], sip[1], |c| ports(c, 20_000)).await;
    let b = side_with(sip[1], sip[0], |c| ports(c, 20_002)).await;
    (a, b, sip, media)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_completes_under_attack() {
    let (calling, mut called, sip, media) = pair(84).await;
    let before = resident();
    // Strangers are at the media ports before the first packet.
    let first = Attack::start(at(84, 9), media.to_vec(), 1, |r| media_datagram(r, &[]));
    let (bitmap, coded) = page(150);
    let sending =
        calling.endpoint.call(request(terminal(t30::Role::Calling, vec![coded.clone(), coded], true)));
    let sending = tokio::spawn(story(sending));
    let incoming = called.incoming.recv().await.unwrap();
    let receiving = incoming.accept(terminal(t30::Role::Called, Vec::new(), true));
    // SIP from a stranger, and from another port of the trunk's own host.
    let messages = sip_messages();
    let seeds = messages.clone();
    let second = Attack::start(at(84, 9), sip.to_vec(), 2, move |r| match r.below(4) {
        0 => r.octets(1_500),
        1 => seeds[r.below(seeds.len())].clone(),
        _ => {
            let whole = &seeds[r.below(seeds.len())];
            r.damaged(whole)
        }
    });
    let third = Attack::start(at(84, 1), vec![sip[1]], 3, move |r| {
        let whole = &messages[r.below(messages.len())];
        r.damaged(whole)
    });
    let received = story(receiving).await;
    let sent = sending.await.unwrap();
    let thrown = first.stop() + second.stop() + third.stop();
    println!("{thrown} hostile datagrams");
    assert!(thrown > 2_000, "{thrown}");
    assert!(sent.t38 && received.t38);
    assert_eq!(sent.report.outcome.unwrap().failure, None);
    assert_eq!(received.report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 2);
    for page in &received.pages {
        assert!(pels(page) == bitmap, "the page differs");
    }
    let growth = resident().saturating_sub(before);
    println!("memory grew by {} kB", growth >> 10);
    assert!(growth < GROWTH, "{growth}");
}

/// A caller that speaks just enough SIP to be answered, with T.38 from the first.
struct Caller {
    sip: UdpSocket,
    media: UdpSocket,
    target: SocketAddr,
    tag: String,
}

impl Caller {
    fn message(&self, method: &str, cseq: u32, body: &str) -> String {
        let (own, target) = (self.sip.local_addr().unwrap(), self.target);
        format!(
            "{method} sip:+4930456@{target} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bK{method}{cseq}\r\n\
             From: <sip:+4930123@{own}>;tag=a\r\nTo: <sip:+4930456@{target}>{}\r\nCall-ID: hostile{}\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:h@{own}>\r\nMax-Forwards: 70\r\n\
             Content-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
            self.tag,
            own.port(),
            body.len()
        )
    }

    fn send(&self, message: &str) {
        self.sip.send_to(message.as_bytes(), self.target).unwrap();
    }

    /// INVITE to ACK; answers where the far end's media are.
    fn call(&mut self) -> SocketAddr {
        let media = self.media.local_addr().unwrap();
        let body = format!(
            "v=0\r\no=h 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=image {} udptl t38\r\n\
             a=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\na=T38FaxMaxDatagram:400\r\n",
            media.port(),
            ip = media.ip(),
        );
        self.send(&self.message("INVITE", 1, &body));
        let mut buffer = [0; 4_096];
        loop {
            let (length, _) = self.sip.recv_from(&mut buffer).unwrap();
            let answer = String::from_utf8_lossy(&buffer[..length]).into_owned();
            if !answer.starts_with("SIP/2.0 200") {
                continue;
            }
            let to = answer.lines().find(|l| l.starts_with("To:")).unwrap();
            self.tag = to[to.find(";tag=").unwrap()..].to_owned();
            self.send(&self.message("ACK", 1, ""));
            let line = answer.lines().find(|l| l.starts_with("m=image ")).unwrap();
            let port = line.split(' ').nth(1).unwrap().parse().unwrap();
            return SocketAddr::new(self.target.ip(), port);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nonsense_from_the_far_end_itself_ends_one_call_and_no_more() {
    let (calling, mut called, sip, _) = pair(85).await;
    let before = resident();
    for seed in 1..=3 {
        let socket = || {
            let socket = UdpSocket::bind(at(85, 1)).unwrap();
            socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
            socket
        };
        let mut caller = Caller { sip: socket(), media: socket(), target: sip[1], tag: String::new() };
        let attack = std::thread::spawn(move || {
            let target = caller.call();
            caller.media.set_read_timeout(Some(Duration::from_millis(1))).unwrap();
            let (mut random, mut seen) = (Random(seed), Vec::new());
            let mut buffer = [0; 4_096];
            let end = Instant::now() + Duration::from_secs(4);
            while Instant::now() < end {
                // What comes goes back, damaged: that is UDPTL to begin with.
                if let Ok((length, _)) = caller.media.recv_from(&mut buffer)
                    && seen.len() < 500
                {
                    seen.push(buffer[..length].to_vec());
                }
                let datagram = media_datagram(&mut random, &seen);
                let _ = caller.media.send_to(&datagram, target);
            }
            caller.send(&caller.message("BYE", 2, ""));
        });
        let incoming = called.incoming.recv().await.unwrap();
        let call = incoming.accept(terminal(t30::Role::Called, Vec::new(), true));
        let told = story_within(call, Duration::from_secs(20)).await;
        assert!(told.t38);
        assert_eq!(told.report.end, CallEnd::Fax, "{:?}", told.report);
        assert!(told.report.outcome.unwrap().failure.is_some());
        tokio::task::spawn_blocking(move || attack.join()).await.unwrap().unwrap();
        // The one media port is free again when the worker has let go of it.
        let end = Instant::now() + Duration::from_secs(30);
        while called.endpoint.holdings().await.media > 0 {
            assert!(Instant::now() < end, "the media do not end");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }
    let growth = resident().saturating_sub(before);
    println!("memory grew by {} kB", growth >> 10);
    assert!(growth < GROWTH, "{growth}");

    // The same endpoints go on as if nothing had been.
    let pages = vec![page(50).1];
    let sending = calling.endpoint.call(request(terminal(t30::Role::Calling, pages, true)));
    let sending = tokio::spawn(story(sending));
    let incoming = called.incoming.recv().await.unwrap();
    let received = story(incoming.accept(terminal(t30::Role::Called, Vec::new(), true))).await;
    assert_eq!(sending.await.unwrap().report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 1);
}
