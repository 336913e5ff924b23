//! What signalling costs: calls set up, switched to T.38 and torn down between two user agents, without a network.
//!
//! `cargo bench -p fax-sip`: calls per second of one core with both ends on it, and microseconds a message; where the
//! system tells it, of the core's own time, so that others on the machine do not count.

#![allow(missing_docs, clippy::unwrap_used, clippy::panic)] // A bench may stop at the first thing that is wrong.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::LazyLock;
use std::time::Instant as Clock;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::{CallKey, Command, Config, Event, Input, Invite, Output, Transport, UserAgent};

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 4000 RTP/AVP 8 0 101\r\n\
    a=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\n";
const IMAGE: &[u8] =
    b"v=0\r\no=- 1 2 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=image 4000 udptl t38\r\n\
    a=T38FaxVersion:0\r\na=T38MaxBitRate:14400\r\na=T38FaxRateManagement:transferredTCF\r\n";

struct Pair {
    agents: [UserAgent; 2],
    wire: VecDeque<(usize, Bytes)>,
    now: Instant,
    messages: u64,
    ended: u64,
}

fn address(who: usize) -> SocketAddr {
    ["192.0.2.1:5060", "192.0.2.2:5060"][who].parse().unwrap()
}

impl Pair {
    fn input(&mut self, who: usize, input: Input<'_>) {
        self.agents[who].handle(self.now, input);
        while let Some(output) = self.agents[who].poll() {
            let command = match output {
                Output::Send { octets, .. } => {
                    self.wire.push_back((1 - who, octets));
                    continue;
                }
                Output::Event(Event::Incoming(incoming)) => {
                    Command::Answer { call: incoming.call, sdp: Bytes::from_static(SDP) }
                }
                Output::Event(Event::Answered { call, .. }) => {
                    Command::Reinvite { call, offer: Bytes::from_static(IMAGE) }
                }
                Output::Event(Event::ReinviteOffered { call, .. }) => {
                    Command::AcceptReinvite { call, answer: Bytes::from_static(IMAGE) }
                }
                Output::Event(Event::ReinviteAnswered { call, .. }) => Command::Hangup { call, reason: None },
                Output::Event(Event::Ended { .. }) => {
                    self.ended += 1;
                    continue;
                }
                Output::Event(_) | Output::StopConnecting { .. } => continue,
            };
            self.agents[who].handle(self.now, Input::Command(command));
        }
    }

    fn call(&mut self, n: u64) {
        let (destination, contact) = (address(1), address(0));
        self.input(
            0,
            Input::Command(Command::Invite(Box::new(Invite {
                call: CallKey(n),
                transport: Transport::Udp,
                destination,
                contact,
                request_uri: "sip:+4930123@192.0.2.2".into(),
                from: "\"Office\" <sip:+4930456@192.0.2.1>".into(),
                to: "<sip:+4930123@192.0.2.2>".into(),
                headers: vec![],
                credentials: None,
                offer: Bytes::from_static(SDP),
                ring_timeout: Duration::from_secs(60),
                reply_within: Duration::from_secs(32),
            }))),
        );
        while let Some((to, octets)) = self.wire.pop_front() {
            self.messages += 1;
            let (local, remote) = (address(to), address(1 - to));
            self.input(to, Input::Datagram { transport: Transport::Udp, local, remote, octets: &octets });
        }
        // A thousand calls a second: the transactions of 32 s are all remembered.
        self.now += Duration::from_millis(1);
        for who in 0..2 {
            if self.agents[who].deadline().is_some_and(|d| d <= self.now) {
                self.input(who, Input::Timeout);
            }
        }
        self.wire.clear();
    }
}

/// Seconds this thread has had a core; else those gone by.
fn seconds() -> f64 {
    static BEGAN: LazyLock<Clock> = LazyLock::new(Clock::now);
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let nanoseconds = told.split(' ').next().and_then(|n| n.parse::<f64>().ok());
    nanoseconds.map_or_else(|| BEGAN.elapsed().as_secs_f64(), |n| n / 1e9)
}

fn main() {
    let config =
        |n| Config { seed: [n; 32], max_calls: 1_000_000, max_transactions: 10_000_000, ..Config::default() };
    let mut pair = Pair {
        agents: [UserAgent::new(config(1)), UserAgent::new(config(2))],
        wire: VecDeque::new(),
        now: Instant::ZERO,
        messages: 0,
        ended: 0,
    };
    let calls = 60_000;
    (0..calls / 2).for_each(|n| pair.call(n));
    let (began, messages) = (seconds(), pair.messages);
    (calls / 2..calls).for_each(|n| pair.call(n));
    let seconds = seconds() - began;
    assert_eq!(pair.ended, 2 * calls);
    let per_message = seconds * 1e6 / (pair.messages - messages) as f64;
    println!(
        "{:.0} calls a second, both ends on one core; {:.1} µs a message sent and received; {} transactions remembered",
        (calls / 2) as f64 / seconds,
        per_message,
        pair.agents[0].transactions() + pair.agents[1].transactions(),
    );
}
