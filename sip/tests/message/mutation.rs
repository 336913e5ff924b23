//! Mutated messages: nothing panics, whatever parses gives back its octets, and a user agent survives all of it.

use std::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::message::stream::{Framer, Piece};
use fax_sip::message::{Challenge, Limits, NameAddr, Via};
use fax_sip::sdp::{Negotiation, SessionDescription};
use fax_sip::{Config, Input, Transport, UserAgent};

use super::corpus::{own, parse, torture};

pub struct Dice(pub u64);

impl Dice {
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 20).unwrap() % limit.max(1)
    }
}

const SPICE: &[&[u8]] = &[
    b"\r\n",
    b"\n",
    b"\0",
    b"\"",
    b"<",
    b">",
    b";",
    b",",
    b":",
    b"=",
    b"%",
    b"\xff",
    b" ",
    b"\r\n ",
    b"Via:",
    b"SIP/2.0",
    b"l: 9\r\n",
    b"99999999999999999999",
    b"z9hG4bK",
    b";tag=",
    b"Content-Length: -1\r\n",
    b"[",
    b"]",
    b"@",
    b"?",
    b"\\",
];

pub fn mutate(dice: &mut Dice, seeds: &[(String, Bytes)]) -> Vec<u8> {
    let mut m = seeds[dice.below(seeds.len())].1.to_vec();
    for _ in 0..=dice.below(6) {
        let at = dice.below(m.len() + 1);
        match dice.below(6) {
            0 if at < m.len() => m[at] = u8::try_from(dice.below(256)).unwrap(),
            1 => drop(m.splice(at..at, SPICE[dice.below(SPICE.len())].iter().copied())),
            2 => drop(m.drain(at..(at + dice.below(20)).min(m.len()))),
            3 => m.truncate(at),
            4 => {
                let end = (at + dice.below(60)).min(m.len());
                let piece = m[at..end].to_vec();
                let to = dice.below(m.len() + 1);
                drop(m.splice(to..to, piece));
            }
            _ => {
                let other = &seeds[dice.below(seeds.len())].1;
                let from = dice.below(other.len());
                let end = (from + dice.below(80)).min(other.len());
                drop(m.splice(at..at, other[from..end].iter().copied()));
            }
        }
    }
    m
}

/// 500 000 with `FERROFAX_MUTATIONS=500000`.
pub fn rounds() -> usize {
    std::env::var("FERROFAX_MUTATIONS").ok().and_then(|v| v.parse().ok()).unwrap_or(10_000)
}

#[test]
fn a_user_agent_survives_mutated_messages() {
    let seeds: Vec<(String, Bytes)> = own().into_iter().chain(torture()).collect();
    let mut dice = Dice(0x5eed);
    let mut agent = UserAgent::new(Config { max_calls: 50, max_transactions: 400, ..Config::default() });
    let (local, remote): (SocketAddr, SocketAddr) =
        ("192.0.2.99:5060".parse().unwrap(), "203.0.113.9:5060".parse().unwrap());
    let mut now = Instant::ZERO;
    for _ in 0..rounds() {
        let octets = Bytes::from(mutate(&mut dice, &seeds));
        if let Ok(message) = parse(&octets) {
            let written = message.to_bytes();
            assert_eq!(parse(&written).expect("what was written parses").to_bytes(), written);
            for header in message.headers() {
                let value = header.value();
                let _ = (NameAddr::read_list(value), Via::read_list(value), Challenge::read_list(value));
            }
            let _ = (
                message.q850(),
                message.warning(),
                message.session_expires(),
                message.sdp(),
                message.contact(),
            );
        }
        let _ = SessionDescription::parse(&octets);
        let _ = Negotiation::new(local.ip(), 1).answer(&octets, &Default::default());
        agent.handle(now, Input::Datagram { transport: Transport::Udp, local, remote, octets: &octets });
        while agent.poll().is_some() {}
        assert!(agent.transactions() <= 400 && agent.calls() <= 50);
        now += Duration::from_millis(u64::try_from(dice.below(200)).unwrap());
        if agent.deadline().is_some_and(|d| d <= now) {
            agent.handle(now, Input::Timeout);
            while agent.poll().is_some() {}
        }
    }
}

#[test]
fn a_stream_is_cut_the_same_however_it_arrives() {
    let messages: Vec<Bytes> = own().into_iter().map(|(_, o)| o).filter(|o| parse(o).is_ok()).collect();
    let mut dice = Dice(77);
    for _ in 0..200 {
        let chosen: Vec<Bytes> = (0..4).map(|_| messages[dice.below(messages.len())].clone()).collect();
        // A stream needs Content-Length; messages without one have no body there.
        let chosen: Vec<Bytes> = chosen
            .iter()
            .map(|o| parse(o).unwrap())
            .filter(|m| m.value("Content-Length").is_some())
            .map(|m| m.to_bytes())
            .collect();
        let whole = chosen.concat();
        let (mut framer, mut at, mut found) = (Framer::new(Limits::default()), 0, Vec::new());
        while at < whole.len() {
            let end = (at + 1 + dice.below(300)).min(whole.len());
            framer.push(&whole[at..end]);
            at = end;
            while let Some(piece) = framer.next_piece() {
                found.push(piece);
            }
        }
        assert_eq!(found, chosen.into_iter().map(Piece::Message).collect::<Vec<_>>());
    }
}
