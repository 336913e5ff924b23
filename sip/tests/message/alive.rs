//! After every mutated message, alone or within a call, over datagrams or a stream: a right answer or none, and the
//! next call goes through (RFC 4475; RFC 3261 §18.3).

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::message::stream::{Framer, Piece};
use fax_sip::message::{Limits, Message, Method};
use fax_sip::{CallKey, Command, Config, Event, Input, Invite, Output, Transport, UserAgent};

use super::corpus::{own, parse, torture};
use super::mutation::{Dice, mutate, rounds};

const ADDRESS: [&str; 2] = ["192.0.2.99:5060", "203.0.113.9:5060"];

fn address(who: usize) -> SocketAddr {
    ADDRESS[who].parse().unwrap()
}

fn sdp(kind: &str, version: u32) -> Bytes {
    let media = if kind == "image" { "image 4000 udptl t38" } else { "audio 4000 RTP/AVP 8" };
    Bytes::from(format!(
        "v=0\r\no=- 1 {version} IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm={media}\r\n"
    ))
}

/// Two user agents and a wire; both are pelted, both must go on.
struct Pair {
    now: Instant,
    agents: [UserAgent; 2],
    wire: VecDeque<(usize, Bytes)>,
    /// Whether the service takes what comes.
    open: bool,
    last: u64,
    up: [u32; 2],
    ended: [u32; 2],
    live: [Vec<CallKey>; 2],
}

impl Pair {
    fn new() -> Pair {
        let config = |n| Config { seed: [n; 32], max_calls: 50, max_transactions: 400, ..Config::default() };
        Pair {
            now: Instant::ZERO,
            agents: [UserAgent::new(config(1)), UserAgent::new(config(2))],
            wire: VecDeque::new(),
            open: true,
            last: 0,
            up: [0; 2],
            ended: [0; 2],
            live: Default::default(),
        }
    }

    fn input(&mut self, who: usize, input: Input<'_>) -> Vec<Bytes> {
        self.agents[who].handle(self.now, input);
        let mut sent = Vec::new();
        while let Some(output) = self.agents[who].poll() {
            match output {
                Output::Send { remote, octets, .. } => {
                    if remote == address(1 - who) {
                        self.wire.push_back((1 - who, octets.clone()));
                    }
                    sent.push(octets);
                }
                Output::Event(event) => self.event(who, event),
                Output::StopConnecting { .. } => {}
            }
        }
        sent
    }

    fn event(&mut self, who: usize, event: Event) {
        let command = match event {
            Event::Incoming(incoming) if self.open => {
                let call = incoming.call;
                self.live[who].push(call);
                self.agents[who]
                    .handle(self.now, Input::Command(Command::Ring { call, code: 180, sdp: None }));
                Command::Answer { call, sdp: sdp("audio", 1) }
            }
            Event::Incoming(incoming) => {
                let (reason, headers) = (String::new(), vec![]);
                Command::Reject { call: incoming.call, code: 480, reason, headers }
            }
            Event::ReinviteOffered { call, .. } => Command::AcceptReinvite { call, answer: sdp("image", 2) },
            Event::Answered { .. } | Event::Confirmed { .. } => return self.up[who] += 1,
            Event::Ended { call, .. } => {
                self.live[who].retain(|c| *c != call);
                return self.ended[who] += 1;
            }
            _ => return,
        };
        self.agents[who].handle(self.now, Input::Command(command));
    }

    fn command(&mut self, who: usize, command: Command) {
        self.input(who, Input::Command(command));
    }

    fn datagram(&mut self, to: usize, octets: &[u8], transport: Transport) -> Vec<Bytes> {
        let (local, remote) = (address(to), address(1 - to));
        self.input(to, Input::Datagram { transport, local, remote, octets })
    }

    fn invite(&mut self, who: usize) -> CallKey {
        self.last += 1;
        let call = CallKey(self.last);
        self.live[who].push(call);
        self.command(
            who,
            Command::Invite(Box::new(Invite {
                call,
                transport: Transport::Udp,
                destination: address(1 - who),
                contact: address(who),
                request_uri: format!("sip:+4930123@{}", ADDRESS[1 - who]),
                from: format!("\"Office\" <sip:+4930456@{}>", ADDRESS[who]),
                to: format!("<sip:+4930123@{}>", ADDRESS[1 - who]),
                headers: vec![],
                credentials: None,
                offer: sdp("audio", 1),
                ring_timeout: Duration::from_secs(60),
                reply_within: Duration::from_secs(32),
            })),
        );
        call
    }

    /// Delivers what is on the wire; before every `nth` message a mutant of it.
    fn deliver(&mut self, dice: &mut Dice, nth: usize) {
        for count in 1..400 {
            let Some((to, octets)) = self.wire.pop_front() else {
                return;
            };
            if count % nth == 0 {
                let mutant = mutate(dice, &[(String::new(), octets.clone())]);
                self.pelt(to, &mutant, Transport::Udp);
            }
            self.datagram(to, &octets, Transport::Udp);
        }
        self.wire.clear();
    }

    fn wait(&mut self, seconds: u64) {
        let end = self.now + Duration::from_secs(seconds);
        for who in 0..2 {
            while let Some(at) = self.agents[who].deadline().filter(|d| *d <= end) {
                self.now = self.now.max(at);
                self.input(who, Input::Timeout);
                // What is said again while nobody listens is lost.
                self.wire.clear();
            }
        }
        self.now = end;
    }

    /// A mutant arrives: a right answer or none.
    fn pelt(&mut self, to: usize, octets: &[u8], transport: Transport) -> Vec<Bytes> {
        let parsed = parse(&Bytes::copy_from_slice(octets));
        let sent = self.datagram(to, octets, transport);
        let answers: Vec<u16> = sent.iter().filter_map(code_of).collect();
        match &parsed {
            Err(error) => match &error.partial {
                Some(partial) if !matches!(partial.method(), None | Some(Method::Ack)) => {
                    assert_eq!(answers, [error.code]);
                    assert!(matches!(error.code, 400 | 505 | 513), "{}", error.code);
                }
                Some(_) | None => assert!(sent.is_empty(), "{answers:?} to what is no SIP"),
            },
            Ok(message) if message.code().is_some() => {
                assert!(answers.is_empty(), "{answers:?} to an answer")
            }
            Ok(message) if message.method() == Some(&Method::Ack) => assert!(answers.is_empty()),
            Ok(_) => {
                assert!(answers.len() <= 3, "{answers:?}");
                for code in &answers {
                    assert!(is_expected(*code), "{code}");
                }
            }
        }
        sent
    }

    /// The proof of life: a call from `who` to the other and back to rest.
    fn call_goes_through(&mut self, who: usize, dice: &mut Dice) {
        let (up, ended) = (self.up, self.ended);
        let call = self.invite(who);
        self.deliver(dice, usize::MAX);
        assert_eq!([self.up[0] - up[0], self.up[1] - up[1]], [1, 1], "both ends are up");
        self.command(who, Command::Hangup { call, reason: None });
        self.deliver(dice, usize::MAX);
        assert_eq!([self.ended[0] - ended[0], self.ended[1] - ended[1]], [1, 1], "both ends are over");
    }

    fn hang_up_all(&mut self, dice: &mut Dice) {
        for who in 0..2 {
            for call in self.live[who].clone() {
                self.command(who, Command::Hangup { call, reason: None });
            }
        }
        self.deliver(dice, usize::MAX);
    }

    fn is_at_rest(&mut self) {
        self.wait(700);
        self.wait(700);
        for agent in &self.agents {
            assert_eq!((agent.calls(), agent.transactions(), agent.deadline()), (0, 0, None));
        }
    }
}

fn code_of(octets: &Bytes) -> Option<u16> {
    // An answer to a request that lacks what every message must have lacks it too.
    let message =
        match Message::parse(octets, &Limits { octets: 1 << 20, headers: 2_000, header_octets: 1 << 17 }) {
            Ok(message) => message,
            Err(error) => *error.partial?,
        };
    message.code()
}

/// The answers a user agent that takes calls may give to a request.
fn is_expected(code: u16) -> bool {
    matches!(
        code,
        100 | 180
            | 200
            | 400
            | 405
            | 406
            | 415
            | 416
            | 420
            | 422
            | 469
            | 480
            | 481
            | 482
            | 483
            | 487
            | 488
            | 491
            | 500
            | 501
            | 503
    )
}

#[test]
fn a_call_goes_through_after_every_mutant_of_a_lone_message() {
    let seeds: Vec<(String, Bytes)> = own().into_iter().chain(torture()).collect();
    let (mut dice, mut pair) = (Dice(0xa11fe), Pair::new());
    for round in 0..rounds() / 2 {
        let mutant = mutate(&mut dice, &seeds);
        pair.open = dice.below(2) == 0;
        pair.pelt(0, &mutant, Transport::Udp);
        pair.wire.clear();
        pair.hang_up_all(&mut dice);
        pair.wait(40);
        pair.open = true;
        pair.call_goes_through(round % 2, &mut dice);
        pair.wait(40);
        if round % 500 == 0 {
            pair.is_at_rest();
        }
    }
    pair.is_at_rest();
}

#[test]
fn a_call_goes_through_after_every_call_that_mutants_came_into() {
    let (mut dice, mut pair) = (Dice(0xca11), Pair::new());
    for round in 0..rounds() / 10 {
        let who = round % 2;
        let nth = 1 + dice.below(4);
        let call = pair.invite(who);
        pair.deliver(&mut dice, nth);
        for _ in 0..1 + dice.below(2) {
            pair.command(who, Command::Reinvite { call, offer: sdp("image", 2) });
            pair.deliver(&mut dice, nth);
        }
        if dice.below(3) == 0 {
            pair.wait(1 + dice.below(40) as u64);
        }
        pair.command(who, Command::Hangup { call, reason: None });
        pair.deliver(&mut dice, nth);
        pair.hang_up_all(&mut dice);
        pair.wait(40);
        pair.hang_up_all(&mut dice);
        pair.call_goes_through(1 - who, &mut dice);
        pair.wait(40);
        if round % 100 == 0 {
            pair.is_at_rest();
        }
    }
    pair.is_at_rest();
}

#[test]
fn a_stream_lives_on_after_every_mutant() {
    let seeds: Vec<(String, Bytes)> = own().into_iter().chain(torture()).collect();
    let mut dice = Dice(0x57aea);
    let (mut pair, mut framer) = (Pair::new(), Framer::new(Limits::default()));
    pair.open = false;
    let (mut lost, mut worst) = (0u64, 0);
    for round in 0..rounds() / 2 {
        framer.push(&mutate(&mut dice, &seeds));
        // A mutant may claim the beginning of what follows; then that is lost, and no more.
        let mut octets = 0;
        loop {
            let options = format!(
                "OPTIONS sip:x@y SIP/2.0\r\nVia: SIP/2.0/TCP h;branch=z9hG4bKalive{round}x{octets}\r\nFrom: <sip:a@b>;tag=1\r\n\
                 To: <sip:c@d>\r\nCall-ID: alive{round}x{octets}\r\nCSeq: 1 OPTIONS\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
            );
            octets += options.len();
            framer.push(options.as_bytes());
            let mut alive = false;
            while let Some(piece) = framer.next_piece() {
                match piece {
                    Piece::Message(message) if message == options.as_bytes() => {
                        let sent = pair.datagram(0, &message, Transport::Tcp);
                        alive = sent.iter().filter_map(code_of).eq([200]);
                    }
                    Piece::Message(message) => drop(pair.pelt(0, &message, Transport::Tcp)),
                    Piece::Ping => {}
                    Piece::Lost => panic!("given up after {octets}"),
                }
            }
            if alive {
                break;
            }
            lost += 1;
            assert!(octets < 400_000, "the stream is dead");
        }
        worst = worst.max(octets);
        pair.wire.clear();
        pair.wait(10);
        if round % 500 == 0 {
            pair.is_at_rest();
        }
    }
    pair.is_at_rest();
    println!("{} mutants; {lost} good messages lost to them, at worst {worst} octets in a row", rounds() / 2);
}
