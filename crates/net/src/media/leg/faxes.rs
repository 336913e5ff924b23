//! Whole faxes over RTP on a simulated clock: two legs send by their sockets, and a network between them cuts
//! the stream into other packets, loses some and mixes their order.

use super::super::{Keys, MediaKey, MediaPorts};
use super::*;
use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_dsp::g711::Law;
use fax_image::{Bitmap, Decoder, EncodeOptions, Limits, encode};
use fax_terminal::{CodedPage, Document};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

/// No fax of these takes longer.
pub(super) const LONGEST: u64 = 180_000;

/// What the network does to one direction.
#[derive(Clone, Copy, Debug)]
struct Network {
    /// Samples a packet.
    size: usize,
    /// Lost packets in a thousand.
    lost: usize,
    /// A packet is late by less than this, ms; below 200 nothing of it is lost.
    jitter: usize,
    /// The sender's clock begins here, so that it wraps.
    clock: u32,
}

const CLEAN: Network = Network { size: 160, lost: 0, jitter: 1, clock: u32::MAX - 100_000 };

/// One direction: what one leg sent, on its way to the other.
struct Path {
    network: Network,
    socket: UdpSocket,
    payload_type: u8,
    buffer: Vec<u8>,
    sequence: u16,
    clock: u32,
    random: u64,
    under_way: VecDeque<(u64, Vec<u8>)>,
}

impl Path {
    fn new(network: Network, payload_type: u8, seed: u64) -> Path {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_nonblocking(true).unwrap();
        let (buffer, under_way) = (Vec::new(), VecDeque::new());
        let random = seed | 1;
        Path {
            network,
            socket,
            payload_type,
            buffer,
            sequence: 65_000,
            clock: network.clock,
            random,
            under_way,
        }
    }

    fn below(&mut self, bound: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        usize::try_from(self.random >> 33).unwrap() % bound.max(1)
    }

    /// Takes what was sent, cuts it anew and says when each piece arrives.
    fn carry(&mut self, ms: u64) {
        let mut datagram = [0; 2_048];
        while let Ok((length, _)) = self.socket.recv_from(&mut datagram) {
            self.buffer.extend_from_slice(&datagram[12..length]);
        }
        while self.buffer.len() >= self.network.size {
            let payload: Vec<u8> = self.buffer.drain(..self.network.size).collect();
            let mut packet = vec![0; 12 + payload.len()];
            let mut sender = Sender::new(self.payload_type, 77, self.sequence, self.clock);
            sender.packet(&payload, &mut packet).unwrap();
            self.sequence = self.sequence.wrapping_add(1);
            self.clock = self.clock.wrapping_add(payload.len() as u32);
            let (lost, late) = (self.below(1_000), self.below(self.network.jitter));
            if lost >= self.network.lost {
                self.under_way.push_back((ms + late as u64, packet));
            }
        }
    }

    /// What arrives now, in any order.
    fn arrived(&mut self, ms: u64) -> Vec<Vec<u8>> {
        let (now, later) = std::mem::take(&mut self.under_way).into_iter().partition(|(at, _)| *at <= ms);
        self.under_way = later;
        let now: VecDeque<(u64, Vec<u8>)> = now;
        now.into_iter().map(|(_, packet)| packet).collect()
    }
}

pub(super) struct End {
    pub(super) leg: Leg,
    events: UnboundedReceiver<(MediaKey, MediaEvent)>,
    pub(super) pages: Vec<fax_terminal::ReceivedPage>,
    pub(super) outcome: Option<Box<t30::Outcome>>,
}

pub(super) fn end(
    role: t30::Role,
    pages: Vec<Arc<CodedPage>>,
    remote: SocketAddr,
    codec: Codec,
    keys: Option<Keys>,
) -> End {
    let terminal = fax_terminal::Terminal::new(fax_terminal::Config {
        role,
        documents: vec![Document::new(pages)],
        ..fax_terminal::Config::default()
    });
    let (sender, events) = unbounded_channel();
    let ip = "127.0.0.1".parse().unwrap();
    let socket = MediaPorts::new(vec![ip], None).bind(ip).unwrap().socket;
    let leg = Leg::start(Start {
        socket,
        terminal,
        remote,
        signalling: Vec::new(),
        codec,
        keys,
        sink: MediaSink::new(MediaKey(1), sender),
        recording: None,
    });
    End { leg, events, pages: Vec::new(), outcome: None }
}

impl End {
    fn turn(&mut self, ms: u64, from: SocketAddr, packets: Vec<Vec<u8>>) {
        let now = Instant::from_millis(ms);
        for packet in packets {
            self.leg.receive(now, from, &packet);
        }
        self.time(now);
    }

    /// Time goes on, and what happened is heard of.
    pub(super) fn time(&mut self, now: Instant) {
        self.leg.flush(now);
        self.leg.turn(now);
        while let Ok((_, event)) = self.events.try_recv() {
            match event {
                MediaEvent::Page(page) => self.pages.push(page),
                MediaEvent::End(outcome) => self.outcome = Some(outcome),
                MediaEvent::Event(_) | MediaEvent::Signal(_) | MediaEvent::Tone(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

/// A page of a pattern.
pub(super) fn sheet() -> (Bitmap, Arc<CodedPage>) {
    let mut bitmap = Bitmap::new(1728);
    for y in 0..150u32 {
        let row: Vec<u8> = (0..216u32).map(|x| if (x / 9 + y / 7) % 5 == 0 { 0xF3 } else { 0 }).collect();
        bitmap.push_row(&row);
    }
    let t6 = encode(&bitmap, Coding::Mmr, &EncodeOptions::default()).into();
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 150, tones: None };
    (bitmap, Arc::new(CodedPage { shape, t6, jpeg: None }))
}

/// A fax of one page from end to end: whether it was delivered with the same pels, and in what time.
fn fax(network: Network, law: Law, seed: u64) -> Result<u64, String> {
    let (bitmap, page) = sheet();
    let payload_type = if law == Law::A { 8 } else { 0 };
    let codec = Codec { law, payload_type };
    let mut paths = [Path::new(network, payload_type, seed), Path::new(network, payload_type, seed + 99)];
    let to = |path: &Path| path.socket.local_addr().unwrap();
    let mut caller = end(t30::Role::Calling, vec![page], to(&paths[0]), codec, None);
    let mut called = end(t30::Role::Called, Vec::new(), to(&paths[1]), codec, None);
    for ms in 0..LONGEST {
        let [there, back] = &mut paths;
        there.carry(ms);
        back.carry(ms);
        let (from_caller, from_called) = (to(there), to(back));
        caller.turn(ms, from_caller, back.arrived(ms));
        called.turn(ms, from_called, there.arrived(ms));
        if let (Some(a), Some(b)) = (&caller.outcome, &called.outcome) {
            if a.failure.is_some() || b.failure.is_some() {
                return Err(format!("{:?} {:?}", a.failure, b.failure));
            }
            let [received] = called.pages.as_slice() else {
                return Err(format!("{} pages", called.pages.len()));
            };
            let mut decoder = Decoder::new(Coding::Mmr, 1728, Limits::default());
            decoder.push(&received.t6);
            return if decoder.finish().bitmap == bitmap {
                Ok(ms)
            } else {
                Err("the page differs".to_owned())
            };
        }
    }
    Err("it does not end".to_owned())
}

#[test]
fn both_laws_and_every_packet_time_deliver() {
    for law in [Law::A, Law::Mu] {
        for size in [80, 160, 240, 480, 77, 333] {
            let took = fax(Network { size, ..CLEAN }, law, 1).unwrap();
            assert!(took < 60_000, "{law:?} {size}: {took} ms");
        }
    }
}

#[test]
fn packets_in_any_order_within_200_ms_cost_nothing() {
    for seed in 1..=5 {
        fax(Network { jitter: 150, ..CLEAN }, Law::A, seed).unwrap();
    }
}

#[test]
fn lost_packets_are_told_and_the_fax_survives_them() {
    let runs = 20;
    let delivered = (1..=runs)
        .filter(|seed| match fax(Network { lost: 10, jitter: 60, ..CLEAN }, Law::Mu, *seed) {
            Ok(_) => true,
            Err(why) => {
                println!("seed {seed}: {why}");
                false
            }
        })
        .count();
    println!("1 % of the packets lost: {delivered} of {runs} delivered");
    assert!(delivered >= 19, "{delivered} of {runs}");
}
