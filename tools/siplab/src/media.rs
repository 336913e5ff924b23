//! The far end's media: a fax terminal, RTP of its own making, and UDPTL.

use crate::Datagram;
use crate::sdp::Sdp;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::line::Tone;
use fax_base::time::{Duration, earliest};
use fax_dsp::g711::Law;
use fax_t30::{Event, Outcome, Phase};
use fax_t38::{Config, ErrorCorrection};
use fax_terminal::{Input, Output, ReceivedPage, Terminal};
use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

/// How long a missing packet of RTP is waited for.
const PATIENCE: Duration = Duration::from_millis(160);

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Carrier {
    Nothing,
    Audio,
    T38,
}

/// What happened to the terminal that rules may be about.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Told {
    Heard(Tone),
    Phase(Phase),
}

/// One medium's addresses.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// As it is announced.
    pub(crate) port: u16,
    /// Where it is sent from.
    pub(crate) source: u16,
    pub(crate) remote: Option<SocketAddr>,
}

pub(crate) struct Media {
    pub(crate) ip: IpAddr,
    pub(crate) audio: Place,
    pub(crate) image: Place,
    pub(crate) carrier: Carrier,
    pub(crate) muted: bool,
    pub(crate) keep_rtp: bool,
    /// Follow the true source, as a session border controller does.
    pub(crate) latches: bool,
    terminal: Terminal,
    began: Option<Instant>,
    samples: usize,
    next_packet: Instant,
    sends: (u8, Law),
    takes: Vec<(u8, Law)>,
    sequence: u16,
    timestamp: u32,
    /// Packets that wait for their turn, by number.
    held: BTreeMap<u16, Bytes>,
    next: Option<u16>,
    heard_at: Instant,
    pub(crate) pages: Vec<ReceivedPage>,
    pub(crate) outcome: Option<(Instant, Outcome)>,
    pub(crate) told: VecDeque<Told>,
    pub(crate) sent: VecDeque<Datagram>,
    /// Bit rates of training checks that were asked for.
    pub(crate) rates: Vec<u32>,
    pub(crate) largest: usize,
    /// What the product must not have done.
    pub(crate) faults: Vec<String>,
}

impl Media {
    pub(crate) fn new(ip: IpAddr, terminal: Terminal, packet_time: usize) -> Media {
        let place = |port| Place { port, source: port, remote: None };
        Media {
            ip,
            audio: place(6000),
            image: place(6002),
            carrier: Carrier::Nothing,
            muted: false,
            keep_rtp: false,
            latches: false,
            terminal,
            began: None,
            samples: packet_time * 8,
            next_packet: Instant::ZERO,
            sends: (8, Law::A),
            takes: Vec::new(),
            sequence: 65_500,
            timestamp: u32::MAX - 100_000,
            held: BTreeMap::new(),
            next: None,
            heard_at: Instant::ZERO,
            pages: Vec::new(),
            outcome: None,
            told: VecDeque::new(),
            sent: VecDeque::new(),
            rates: Vec::new(),
            largest: 0,
            faults: Vec::new(),
        }
    }

    fn time(&self, now: Instant) -> Instant {
        self.began.map_or(Instant::ZERO, |began| Instant::ZERO + now.since(began))
    }

    /// The call is up.
    pub(crate) fn begin(&mut self, now: Instant) {
        if self.began.is_none() {
            self.began = Some(now);
            self.next_packet = now;
            self.terminal.handle(Instant::ZERO, Input::Start);
            self.drain(now);
        }
    }

    /// What was agreed: ours and the product's description.
    pub(crate) fn agree(&mut self, now: Instant, ours: &Sdp, theirs: &Sdp) {
        if let (Some(mine), Some(far)) = (&ours.image, &theirs.image) {
            self.image.remote = far.at;
            let number = |line: &crate::sdp::Line, name| line.value(name).and_then(|v| v.parse::<u16>().ok());
            let version =
                number(mine, "T38FaxVersion").unwrap_or(0).min(number(far, "T38FaxVersion").unwrap_or(0));
            let correction = match (mine.value("T38FaxUdpEC"), far.value("T38FaxUdpEC")) {
                (Some("t38UDPFEC"), Some("t38UDPFEC")) => ErrorCorrection::Fec,
                (Some("t38UDPNoEC"), _) => ErrorCorrection::None,
                _ => ErrorCorrection::Redundancy,
            };
            let config = Config {
                version: u8::try_from(version).unwrap_or(0),
                far_max_datagram: number(far, "T38FaxMaxDatagram").unwrap_or(400),
                error_correction: correction,
                ..Config::default()
            };
            self.switch_to_t38(now, config);
        } else if let (Some(mine), Some(far)) = (&ours.audio, &theirs.audio) {
            self.audio.remote = far.at;
            self.takes = mine.codecs();
            let common = |(_, law): &&(u8, Law)| self.takes.iter().any(|(_, l)| l == law);
            if let Some(codec) = far.codecs().iter().find(common) {
                self.sends = *codec;
            }
            self.switch_to_audio(now);
        }
    }

    pub(crate) fn switch_to_t38(&mut self, now: Instant, config: Config) {
        if self.carrier != Carrier::T38 {
            self.carrier = Carrier::T38;
            self.terminal.handle(self.time(now), Input::SwitchToT38(config));
            self.drain(now);
        }
    }

    pub(crate) fn switch_to_audio(&mut self, now: Instant) {
        let before = std::mem::replace(&mut self.carrier, Carrier::Audio);
        if before != Carrier::Audio {
            (self.held, self.next, self.next_packet) = (BTreeMap::new(), None, now);
        }
        if before == Carrier::T38 {
            self.terminal.handle(self.time(now), Input::SwitchToAudio);
            self.drain(now);
        }
    }

    pub(crate) fn hung_up(&mut self, now: Instant) {
        self.terminal.handle(self.time(now), Input::HungUp);
        self.drain(now);
    }

    /// The call is over: silence.
    pub(crate) fn stop(&mut self) {
        self.carrier = Carrier::Nothing;
        self.keep_rtp = false;
        self.muted = true;
    }

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let began = self.began?;
        let terminal = self.terminal.deadline().map(|at| began + at.since(Instant::ZERO));
        let ticks = self.carrier == Carrier::Audio || self.keep_rtp;
        earliest(terminal, ticks.then_some(self.next_packet))
    }

    pub(crate) fn turn(&mut self, now: Instant) {
        let Some(began) = self.began else {
            return;
        };
        let time = self.time(now);
        if self.terminal.deadline().is_some_and(|at| began + at.since(Instant::ZERO) <= now) {
            self.terminal.handle(time, Input::Timeout);
            self.drain(now);
        }
        if (self.carrier == Carrier::Audio || self.keep_rtp) && self.next_packet <= now {
            self.next_packet += Duration::from_micros(self.samples as u64 * 125);
            self.send_audio(now);
            if now.since(self.heard_at) > PATIENCE {
                self.deliver(now, true);
            }
        }
    }

    fn send_audio(&mut self, now: Instant) {
        let mut samples = vec![0i16; self.samples];
        if self.carrier == Carrier::Audio {
            let time = self.time(now);
            self.terminal.transmit_audio(time, &mut samples);
            self.drain(now);
        }
        let (payload_type, law) = self.sends;
        let mut packet = vec![0x80, payload_type];
        packet.extend(self.sequence.to_be_bytes());
        packet.extend(self.timestamp.to_be_bytes());
        packet.extend(0x5EED_u32.to_be_bytes());
        packet.extend(samples.iter().map(|s| law.encode(*s)));
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(samples.len() as u32);
        self.send(self.audio, packet.into());
    }

    fn send(&mut self, place: Place, octets: Bytes) {
        if let (Some(to), false) = (place.remote, self.muted) {
            self.sent.push_back(Datagram { from: SocketAddr::new(self.ip, place.source), to, octets });
        }
    }

    /// A datagram came to one of our media ports.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &Datagram) {
        let port = datagram.to.port();
        let is = |place: &Place| port == place.port || port == place.source;
        let (audio, image) = (is(&self.audio), is(&self.image));
        let place = if audio { &mut self.audio } else { &mut self.image };
        if self.latches && place.remote.is_some() {
            place.remote = Some(datagram.from);
        }
        let octets = &datagram.octets;
        let rtp = octets.first().is_some_and(|b| b >> 6 == 2) && octets.len() > 12;
        match self.carrier {
            Carrier::Audio if rtp && audio => {
                let (kind, sequence) = (octets[1] & 0x7F, u16::from_be_bytes([octets[2], octets[3]]));
                if !self.takes.iter().any(|(pt, _)| *pt == kind) && self.faults.len() < 5 {
                    self.faults.push(format!("payload type {kind} was not agreed"));
                }
                let late = self.next.is_some_and(|next| sequence.wrapping_sub(next) > 0x8000);
                if !late {
                    self.held.insert(sequence, octets.clone());
                    self.heard_at = now;
                    self.deliver(now, false);
                }
            }
            Carrier::T38 if image => {
                self.largest = self.largest.max(octets.len());
                let time = self.time(now);
                self.terminal.handle(time, Input::Datagram(octets));
                self.drain(now);
            }
            Carrier::Audio | Carrier::T38 | Carrier::Nothing => {}
        }
    }

    /// Gives the terminal what is in order; `all`: also what is behind a gap.
    fn deliver(&mut self, now: Instant, all: bool) {
        loop {
            let next = match self.next {
                Some(next) => next,
                None => match self.held.keys().next() {
                    Some(first) => *first,
                    None => return,
                },
            };
            // The nearest in the wrapping count.
            let Some(nearest) = self.held.keys().copied().min_by_key(|k| k.wrapping_sub(next)) else {
                return;
            };
            let missing = usize::from(nearest.wrapping_sub(next));
            if missing > 0 && !all && self.held.len() < 9 {
                return;
            }
            let Some(packet) = self.held.remove(&nearest) else {
                return;
            };
            let time = self.time(now);
            let payload = &packet[12..];
            if missing > 0 {
                self.terminal.handle(time, Input::AudioLost(missing * payload.len()));
            }
            let kind = packet[1] & 0x7F;
            let law = self.takes.iter().find(|(pt, _)| *pt == kind).map(|(_, law)| *law);
            match law {
                Some(law) => self.terminal.handle(time, Input::G711(law, payload)),
                None => self.terminal.handle(time, Input::AudioLost(payload.len())),
            }
            self.next = Some(nearest.wrapping_add(1));
            self.drain(now);
        }
    }

    fn drain(&mut self, now: Instant) {
        while let Some(output) = self.terminal.poll() {
            match output {
                Output::Datagram(octets) => self.send(self.image, octets),
                Output::FaxToneHeard(tone) => self.told.push_back(Told::Heard(tone)),
                Output::Signal(_) => {}
                Output::KeepPage(_) => self.terminal.handle(now, Input::PageKept(true)),
                Output::Page(page) => self.pages.push(page),
                Output::Event(Event::Phase(phase)) => self.told.push_back(Told::Phase(phase)),
                Output::Event(Event::Training { modulation, .. }) => self.rates.push(modulation.bit_rate()),
                Output::Event(_) => {}
                Output::End(outcome) => {
                    if self.outcome.is_none() {
                        self.outcome = Some((now, *outcome));
                    }
                }
            }
        }
    }
}
