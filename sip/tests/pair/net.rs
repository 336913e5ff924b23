//! Two user agents, a network that delays, loses, repeats and reorders, and one simulated clock.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::message::{Limits, Message};
use fax_sip::{CallKey, Command, Config, Event, Input, Invite, Output, Transport, UserAgent};

/// A small generator for the network's moods.
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Dice {
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % limit.max(1)
    }
}

/// One message on its way, as seen on the wire.
#[derive(Clone, Debug)]
pub struct Seen {
    pub at: Instant,
    pub from: usize,
    pub message: Message,
}

/// The network and both ends. 0 calls, 1 is called.
pub struct Pair {
    pub now: Instant,
    pub agents: [UserAgent; 2],
    pub events: [VecDeque<(Instant, Event)>; 2],
    pub wire: Vec<Seen>,
    flight: BTreeMap<(Instant, u64), (usize, Bytes)>,
    count: u64,
    pub dice: Dice,
    /// Per mille.
    pub loss: u64,
    pub jitter_ms: u64,
    pub duplicate: u64,
    /// Says of a message by `from` whether it is lost; beside `loss`.
    pub drop_if: Box<dyn FnMut(usize, &Message) -> bool>,
}

pub const ADDRESS: [&str; 2] = ["192.0.2.1:5060", "192.0.2.2:5060"];

pub fn address(who: usize) -> SocketAddr {
    ADDRESS[who].parse().unwrap()
}

pub fn sdp(port: u16, version: u32) -> Bytes {
    Bytes::from(format!(
        "v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
    ))
}

pub fn image(port: u16, version: u32) -> Bytes {
    Bytes::from(format!(
        "v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=image {port} udptl t38\r\n"
    ))
}

impl Pair {
    pub fn new(seed: u64) -> Pair {
        Pair::with(seed, Config::default())
    }

    pub fn with(seed: u64, config: Config) -> Pair {
        let agent =
            |n: u8| UserAgent::new(Config { seed: [seed.to_le_bytes()[0] ^ n; 32], ..config.clone() });
        Pair {
            now: Instant::ZERO,
            agents: [agent(1), agent(2)],
            events: Default::default(),
            wire: Vec::new(),
            flight: BTreeMap::new(),
            count: 0,
            dice: Dice::new(seed + 1),
            loss: 0,
            jitter_ms: 0,
            duplicate: 0,
            drop_if: Box::new(|_, _| false),
        }
    }

    pub fn input(&mut self, who: usize, input: Input<'_>) {
        self.agents[who].handle(self.now, input);
        self.drain(who);
    }

    pub fn command(&mut self, who: usize, command: Command) {
        self.input(who, Input::Command(command));
    }

    fn drain(&mut self, who: usize) {
        while let Some(output) = self.agents[who].poll() {
            match output {
                Output::Event(event) => self.events[who].push_back((self.now, event)),
                Output::StopConnecting { .. } => {}
                Output::Send { octets, remote, .. } => {
                    let message =
                        Message::parse(&octets, &Limits::default()).expect("we send what we would take");
                    assert_eq!(message.to_bytes(), octets);
                    let lost = (self.drop_if)(who, &message) || self.dice.below(1000) < self.loss;
                    let seen = Seen { at: self.now, from: who, message };
                    self.wire.push(seen);
                    let to = (0..2).find(|n| address(*n) == remote);
                    let copies =
                        if lost { 0 } else { 1 + usize::from(self.dice.below(1000) < self.duplicate) };
                    for _ in 0..copies {
                        let delay = Duration::from_millis(10 + self.dice.below(self.jitter_ms + 1));
                        self.count += 1;
                        if let Some(to) = to {
                            self.flight.insert((self.now + delay, self.count), (to, octets.clone()));
                        }
                    }
                }
            }
        }
    }

    /// Runs until nothing is left to happen, or `until`.
    pub fn run(&mut self, until: Duration) {
        let end = Instant::ZERO + until;
        self.run_while(end, |_| true);
    }

    /// Runs until somebody has an event, or `seconds` more have gone by.
    pub fn run_to_event(&mut self, who: usize, seconds: u64) -> Option<Event> {
        let end = self.now + Duration::from_secs(seconds);
        self.run_while(end, |pair| pair.events[who].is_empty());
        self.events[who].pop_front().map(|(_, e)| e)
    }

    pub fn run_for(&mut self, wait: Duration) {
        let end = self.now + wait;
        self.run_while(end, |_| true);
    }

    fn run_while(&mut self, end: Instant, mut go_on: impl FnMut(&Pair) -> bool) {
        while go_on(self) {
            let arrival = self.flight.keys().next().map(|k| k.0);
            let timer = [0, 1].into_iter().filter_map(|n| self.agents[n].deadline()).min();
            let next = fax_base::time::earliest(arrival, timer);
            match next {
                Some(at) if at <= end => self.now = self.now.max(at),
                _ => {
                    self.now = self.now.max(end);
                    return;
                }
            }
            if arrival.is_some_and(|a| a <= self.now) {
                if let Some((_, (to, octets))) = self.flight.pop_first() {
                    let (local, remote) = (address(to), address(1 - to));
                    self.input(
                        to,
                        Input::Datagram { transport: Transport::Udp, local, remote, octets: &octets },
                    );
                }
                continue;
            }
            for who in 0..2 {
                if self.agents[who].deadline().is_some_and(|d| d <= self.now) {
                    self.input(who, Input::Timeout);
                }
            }
        }
    }

    /// An INVITE of agent 0 to agent 1.
    pub fn invite(&mut self, call: u64) -> CallKey {
        let call = CallKey(call);
        self.command(0, Command::Invite(Box::new(self.invitation(call))));
        call
    }

    pub fn invitation(&self, call: CallKey) -> Invite {
        Invite {
            call,
            transport: Transport::Udp,
            destination: address(1),
            contact: address(0),
            request_uri: "sip:+4930123@192.0.2.2".into(),
            from: "\"Office\" <sip:+4930456@192.0.2.1>".into(),
            to: "<sip:+4930123@192.0.2.2>".into(),
            headers: vec![],
            credentials: None,
            offer: sdp(4000, 1),
            ring_timeout: Duration::from_secs(60),
            reply_within: Duration::from_secs(32),
        }
    }

    /// A call that is up: the keys at both ends.
    pub fn established(&mut self) -> (CallKey, CallKey) {
        let out = self.invite(1);
        let inc = self.incoming();
        self.command(1, Command::Answer { call: inc, sdp: sdp(5000, 1) });
        loop {
            match self.run_to_event(0, 40).expect("answered") {
                Event::Answered { .. } => break,
                Event::Progress { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        match self.run_to_event(1, 40) {
            Some(Event::Confirmed { .. }) => {}
            other => panic!("{other:?}"),
        }
        (out, inc)
    }

    pub fn incoming(&mut self) -> CallKey {
        match self.run_to_event(1, 40) {
            Some(Event::Incoming(incoming)) => incoming.call,
            other => panic!("{other:?}"),
        }
    }

    /// What went over the wire, as short words: `0>INVITE`, `1<200 INVITE`…
    pub fn words(&self) -> Vec<String> {
        self.wire
            .iter()
            .map(|s| match (s.message.method(), s.message.code()) {
                (Some(method), _) => format!("{}>{method}", s.from),
                (_, code) => {
                    format!("{}<{} {}", s.from, code.unwrap_or(0), s.message.cseq().unwrap().method)
                }
            })
            .collect()
    }

    /// Times at which this went over the wire, ms.
    pub fn times(&self, word: &str) -> Vec<u64> {
        let words = self.words();
        let times = self.wire.iter().map(|s| s.at.as_millis());
        words.iter().zip(times).filter(|(w, _)| *w == word).map(|(_, t)| t).collect()
    }

    pub fn ended(&self, who: usize) -> Option<&fax_sip::EndCause> {
        self.events[who].iter().find_map(|(_, e)| match e {
            Event::Ended { cause, .. } => Some(cause),
            _ => None,
        })
    }
}
