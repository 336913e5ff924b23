//! Calls through the gateway on simulated time: a fax machine on audio, one on T.38, each ours or spandsp's.

#![allow(dead_code)] // each test file uses its part

#[path = "../../../../terminal/tests/all/spandsp/mod.rs"]
pub mod spandsp;

use bytes::Bytes;
use core::time::Duration;
use fax_base::line::Modulation;
use fax_base::time::Instant;
use fax_dsp::Law;
use fax_gateway::{Config, Event, Gateway, Input, Output, Statistics};
use fax_t30 as t30;
use fax_terminal::Terminal;
use spandsp::{Desk, Document, Seen, Way, ours};
use spandsp_peer::tiff::{self, Page};
use spandsp_peer::udptl::Protection;
use spandsp_peer::{AudioPeer, Options, Streaming, UdptlPeer};
use testkit::audio::{BLOCK, Block, Machine, Ours, Path, Wire};
use testkit::network::{Impairments, Network};

/// Whose machine is at an end.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Ours,
    Spandsp,
}

/// Where the sender is, who calls.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Sender {
    OnAudio,
    OnT38,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Plan {
    pub audio: Who,
    pub t38: Who,
    pub sender: Sender,
    pub way: Way,
    /// Of our machines, and of spandsp's as a receiver; all if there are none.
    pub modulations: Vec<Modulation>,
    pub gateway: Config,
    pub network: Impairments,
    pub line: Path,
    /// The called machine sends, and the calling one polls it; only between machines of ours.
    pub polled: bool,
    /// How spandsp sends packets.
    pub streaming: Streaming,
    /// How much faster the clock of our machine on T.38 is than the gateway's, parts in a million.
    pub skew_ppm: i64,
    pub seed: u64,
}

impl Plan {
    pub fn new(audio: Who, t38: Who, sender: Sender, way: Way) -> Self {
        Plan {
            audio,
            t38,
            sender,
            way,
            modulations: Vec::new(),
            gateway: Config::default(),
            network: Impairments::default(),
            line: Path::default(),
            polled: false,
            streaming: Streaming::Paced,
            skew_ppm: 0,
            seed: 1,
        }
    }

    /// What the clock on T.38 shows.
    fn there(&self, now: Instant) -> Instant {
        let micros = i64::try_from(now.since(Instant::ZERO).as_micros()).unwrap();
        Instant::from_micros(u64::try_from(micros + micros * self.skew_ppm / 1_000_000).unwrap())
    }

    fn capabilities(&self, sends: bool) -> t30::Capabilities {
        let all = if sends { t30::Capabilities::default() } else { self.way.ours() };
        match self.modulations.as_slice() {
            [] => all,
            some => t30::Capabilities { modulations: some.to_vec(), ..all },
        }
    }

    /// spandsp's options as the receiver or the sender. Its modems are the receiver's families.
    fn options(&self, sends: bool) -> Options {
        let mut options = Options {
            t38_version: self.gateway.t38.version,
            streaming: self.streaming,
            ..Options::default()
        };
        if !self.modulations.is_empty() && !sends {
            options.modems.retain(|r| {
                self.modulations.iter().any(|m| format!("{r:?}").eq_ignore_ascii_case(&family(*m)))
            });
        }
        if sends { self.way.known_to(options) } else { self.way.peer(options) }
    }
}

fn family(modulation: Modulation) -> String {
    modulation.recommendation().replace('.', "")
}

/// One end's machine, on whichever side.
enum End {
    OursAudio(Box<Ours>),
    SpandspAudio(Box<AudioPeer>, Box<Desk>),
    OursT38(Box<Terminal>, Box<Seen>),
    SpandspT38(Box<UdptlPeer>, Box<Desk>),
}

impl End {
    fn new(plan: &Plan, document: &Document, on_t38: bool) -> End {
        let sends = (plan.sender == Sender::OnT38) == on_t38;
        let document = sends.then_some(document);
        let who = if on_t38 { plan.t38 } else { plan.audio };
        match (who, on_t38) {
            (Who::Ours, _) => {
                let mut config = ours(document, plan.capabilities(sends));
                if plan.polled {
                    config.role = if sends { t30::Role::Called } else { t30::Role::Calling };
                    config.poll = if sends { Vec::new() } else { vec![t30::Poll::default()] };
                }
                let mut terminal = Terminal::new(config);
                if !on_t38 {
                    return End::OursAudio(Box::new(Ours::new(terminal)));
                }
                terminal.handle(Instant::ZERO, fax_terminal::Input::Start);
                let agreed = plan.gateway.t38.clone();
                terminal.handle(Instant::ZERO, fax_terminal::Input::SwitchToT38(agreed));
                End::OursT38(Box::new(terminal), Box::default())
            }
            (Who::Spandsp, _) => {
                let desk = Desk::new(document, plan.options(sends));
                if on_t38 {
                    let peer = UdptlPeer::new(sends, &desk.options, Protection::Redundancy(3)).unwrap();
                    End::SpandspT38(Box::new(peer), Box::new(desk))
                } else {
                    let peer = AudioPeer::new(sends, &desk.options).unwrap();
                    End::SpandspAudio(Box::new(peer), Box::new(desk))
                }
            }
        }
    }

    fn machine(&mut self) -> &mut dyn Machine {
        match self {
            End::OursAudio(ours) => ours.as_mut(),
            End::SpandspAudio(peer, _) => peer.as_mut(),
            End::OursT38(..) | End::SpandspT38(..) => unreachable!(),
        }
    }

    /// 5 ms of T.38.
    fn packets(
        &mut self,
        (now, there): (Instant, Instant),
        tick: u64,
        network: &mut Network,
        sent: &mut Vec<Vec<u8>>,
    ) {
        match self {
            End::OursT38(terminal, seen) => {
                if seen.outcome.is_some() {
                    return;
                }
                seen.run(terminal, there, sent);
                while let Some(datagram) = network.poll(now) {
                    terminal.handle(there, fax_terminal::Input::Datagram(&datagram));
                    seen.run(terminal, there, sent);
                }
            }
            End::SpandspT38(peer, _) => {
                if tick.is_multiple_of(2) {
                    peer.step(80);
                }
                while let Some(datagram) = network.poll(now) {
                    peer.feed(&datagram).unwrap();
                }
                sent.extend(core::iter::from_fn(|| peer.take()));
            }
            End::OursAudio(_) | End::SpandspAudio(..) => {}
        }
    }

    fn over(&self) -> bool {
        match self {
            End::OursAudio(ours) => ours.outcome.is_some(),
            End::SpandspAudio(peer, _) => peer.code().is_some(),
            End::OursT38(_, seen) => seen.outcome.is_some(),
            End::SpandspT38(peer, _) => peer.code().is_some(),
        }
    }

    /// Why it failed.
    fn failure(&self) -> Option<String> {
        let of = |outcome: Option<&t30::Outcome>| match outcome {
            None => Some("never ended".to_owned()),
            Some(outcome) => outcome.failure.as_ref().map(|f| format!("{f:?}")),
        };
        match self {
            End::OursAudio(ours) => of(ours.outcome.as_ref().map(|(_, outcome)| outcome)),
            End::OursT38(_, seen) => of(seen.outcome.as_ref()),
            End::SpandspAudio(peer, _) => {
                let report = peer.report();
                (!report.succeeded()).then(|| format!("{report:?}"))
            }
            End::SpandspT38(peer, _) => {
                let report = peer.report();
                (!report.succeeded()).then(|| format!("{report:?}"))
            }
        }
    }

    /// The modulation, pages or blocks sent again, and bad rows of what was received.
    fn figures(&self) -> Figures {
        let (outcome, pages) = match self {
            End::OursAudio(ours) => (ours.outcome.as_ref().map(|(_, o)| o), ours.pages.as_slice()),
            End::OursT38(_, seen) => (seen.outcome.as_ref(), seen.pages.as_slice()),
            End::SpandspAudio(..) | End::SpandspT38(..) => (None, [].as_slice()),
        };
        Figures {
            modulation: outcome.and_then(|o| o.modulation),
            resends: outcome.map(|o| u64::from(o.resends)),
            bad_rows: pages.iter().map(|p| p.bad_rows).sum(),
        }
    }

    fn pages(&self) -> Vec<Page> {
        let ours = |pages: &[fax_terminal::ReceivedPage]| {
            pages.iter().map(|p| tiff::decode_t6(p.format.pels(), p.rows, &p.t6).unwrap()).collect()
        };
        match self {
            End::OursAudio(end) => ours(&end.pages),
            End::OursT38(_, seen) => ours(&seen.pages),
            End::SpandspAudio(_, desk) | End::SpandspT38(_, desk) => {
                tiff::read(&desk.received()).unwrap_or_default()
            }
        }
    }

    fn ladder(&self) -> String {
        match self {
            End::OursAudio(ours) => ours.ladder(),
            End::OursT38(_, seen) => seen.ladder.join("\n"),
            End::SpandspAudio(peer, _) => format!("{:?}", peer.frames()),
            End::SpandspT38(peer, _) => format!("{:?}", peer.frames()),
        }
    }
}

/// What our end says of the call.
#[derive(Clone, Copy, Debug)]
pub struct Figures {
    pub modulation: Option<Modulation>,
    pub resends: Option<u64>,
    pub bad_rows: u32,
}

/// What came of a call.
pub struct Call {
    pub what: String,
    pub failures: Vec<String>,
    pub pages: Vec<Page>,
    pub sender: Figures,
    pub receiver: Figures,
    pub events: Vec<(Instant, Event)>,
    pub statistics: Statistics,
    /// What the gateway sent in audio.
    pub audio: Vec<i16>,
    pub ladders: [String; 2],
    pub took: Duration,
    /// How long the gateway's machines ran.
    pub gateway_cost: Duration,
}

impl Call {
    pub fn ladder(&self) -> String {
        let events: Vec<String> = self.events.iter().map(|(at, event)| format!("{at} {event:?}")).collect();
        let [sender, receiver] = &self.ladders;
        format!(
            "sender\n{sender}\n\ngateway\n{}\n{:?}\n\nreceiver\n{receiver}",
            events.join("\n"),
            self.statistics
        )
    }

    /// Both ends succeeded and every page is here, pel for pel.
    pub fn assert_delivered(&self, document: &Document) {
        assert!(self.failures.is_empty(), "{}: {:?}\n{}", self.what, self.failures, self.ladder());
        assert_eq!(self.pages.len(), document.pages.len(), "{}\n{}", self.what, self.ladder());
        for (number, (sent, got)) in document.pages.iter().zip(&self.pages).enumerate() {
            let what = format!("{}: page {number}", self.what);
            assert_eq!(sent.first_difference(got), None, "{what}\n{}", self.ladder());
        }
    }

    /// Nothing had to be sent twice, and the gateway never ran dry.
    pub fn assert_smooth(&self) {
        let resends = (self.sender.resends, self.receiver.resends);
        assert!(
            resends.0.unwrap_or(0) == 0 && resends.1.unwrap_or(0) == 0,
            "{}\n{}",
            self.what,
            self.ladder()
        );
        let dry = (self.statistics.frames_aborted, self.statistics.fill_bits);
        assert_eq!(dry, (0, 0), "{}\n{}", self.what, self.ladder());
        assert_eq!(self.receiver.bad_rows, 0, "{}", self.what);
    }
}

/// No call takes longer.
const LIMIT: u64 = 3_600 * 200;

/// A call to its end.
pub fn call(what: &str, document: &Document, plan: &Plan) -> Call {
    let mut gateway = Gateway::new(plan.gateway.clone(), Instant::ZERO);
    let (mut on_audio, mut on_t38) = (End::new(plan, document, false), End::new(plan, document, true));
    let mut to_t38 = Network::new(plan.network, plan.seed * 2);
    let mut from_t38 = Network::new(plan.network, plan.seed * 2 + 1);
    let mut there = Wire::new(plan.line, plan.seed * 2);
    let mut back = Wire::new(plan.line, plan.seed * 2 + 1);
    let (mut events, mut audio, mut sent) = (Vec::new(), Vec::new(), Vec::new());
    let mut one_over = None;
    let mut gateway_cost = Duration::ZERO;
    let mut took = Instant::ZERO;
    for tick in 0..LIMIT {
        let now = Instant::from_millis(tick * 5);
        took = now;
        on_t38.packets((now, plan.there(now)), tick, &mut to_t38, &mut sent);
        for datagram in sent.drain(..) {
            from_t38.send(now, Bytes::from(datagram));
        }
        while let Some(datagram) = from_t38.poll(now) {
            gateway.handle(now, Input::Datagram(&datagram));
        }
        while let Some(at) = gateway.deadline().filter(|at| *at <= now) {
            gateway.handle(at.max(now), Input::Timeout);
        }
        if tick.is_multiple_of(4) {
            let (mut from_machine, mut to_machine): (Block, Block) = ([0; BLOCK], [0; BLOCK]);
            on_audio.machine().transmit(now, &mut from_machine);
            let begun = std::time::Instant::now();
            gateway.transmit_audio(now, &mut to_machine);
            gateway_cost += begun.elapsed();
            audio.extend_from_slice(&to_machine);
            // What the hybrid at the machine throws back of the gateway's signal.
            for (sample, echo) in from_machine.iter_mut().zip(back.echo(&to_machine)) {
                *sample = sample.saturating_add(echo);
            }
            let carried = there.carry(&from_machine);
            let begun = std::time::Instant::now();
            match carried {
                Some(block) => {
                    let octets = block.map(|sample| Law::Mu.encode(sample));
                    gateway.handle(now, Input::G711(Law::Mu, &octets));
                }
                None => gateway.handle(now, Input::AudioLost(BLOCK)),
            }
            gateway_cost += begun.elapsed();
            match back.carry(&to_machine) {
                Some(block) => on_audio.machine().receive(now, &block),
                None => on_audio.machine().lost(now),
            }
        }
        while let Some(output) = gateway.poll() {
            match output {
                Output::Datagram(datagram) => to_t38.send(now, datagram),
                Output::Event(event) => events.push((now, event)),
            }
        }
        let over = [on_audio.over(), on_t38.over()];
        if over == [true, true] {
            break;
        }
        if over.contains(&true) && tick > *one_over.get_or_insert(tick) + 20 * 200 {
            break;
        }
    }
    let (sender, receiver) = match plan.sender {
        Sender::OnAudio => (&on_audio, &on_t38),
        Sender::OnT38 => (&on_t38, &on_audio),
    };
    Call {
        what: format!("{what}: {} {plan:?}", document.name),
        failures: [sender.failure(), receiver.failure()].into_iter().flatten().collect(),
        pages: receiver.pages(),
        sender: sender.figures(),
        receiver: receiver.figures(),
        events,
        statistics: gateway.statistics(),
        audio,
        ladders: [sender.ladder(), receiver.ladder()],
        took: took.since(Instant::ZERO),
        gateway_cost,
    }
}

/// Silences between two signals that are shorter than a second, in samples.
pub fn gaps(audio: &[i16]) -> Vec<usize> {
    let mut gaps = Vec::new();
    let mut quiet = usize::MAX;
    for sample in audio {
        if sample.unsigned_abs() <= 8 {
            quiet = quiet.saturating_add(1);
        } else {
            if (80..8_000).contains(&quiet) {
                gaps.push(quiet);
            }
            quiet = 0;
        }
    }
    gaps
}

/// How many flags every burst of V.21 in this audio begins with.
pub fn preambles(audio: &[i16]) -> Vec<usize> {
    let mut modem = fax_dsp::FskReceiver::v21_channel_2();
    let (mut bits, mut preambles) = (Vec::new(), Vec::new());
    let mut events = Vec::new();
    for block in audio.chunks(160) {
        modem.receive(block, &mut events);
        for event in events.drain(..) {
            match event {
                fax_dsp::modem::Event::Bits { bits: word, count } => {
                    bits.extend((0..count).rev().map(|shift| word >> shift & 1 == 1));
                }
                fax_dsp::modem::Event::CarrierDown => {
                    let flag = [false, true, true, true, true, true, true, false];
                    let first = bits.windows(8).position(|window| window == flag);
                    let rest = first.and_then(|first| bits.get(first..)).unwrap_or_default();
                    preambles.push(rest.chunks(8).take_while(|octet| *octet == flag).count());
                    bits.clear();
                }
                _ => {}
            }
        }
    }
    preambles
}
