//! One side of a call that is passed on: its socket, whom it listens to, and what is heard there.

use super::super::latch::Latch;
use super::super::leg::{PACKET_SAMPLES, T38_PATIENCE};
use super::super::rtp::{Receiver, Sender, Step};
use super::super::shield::Shield;
use super::super::{Codec, SideCarrier, SideHeard};
use fax_base::Instant;
use fax_base::line::{Channel, Heard};
use fax_base::time::{Duration, earliest};
use fax_dsp::Listening;
use fax_dsp::listening::Told;
use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr, UdpSocket};

/// Nothing at all comes for so long: the far end is gone.
const GONE: Duration = Duration::from_secs(60);
/// UDPTL may overtake the signalling that agrees on it: packets are kept for this long, and so many of them.
const EARLY: Duration = Duration::from_secs(1);
const EARLY_PACKETS: usize = 64;
/// The longest of them.
const EARLY_OCTETS: usize = 1_500;

/// A packet that came before what it belongs to.
type Early = (Instant, SocketAddr, Vec<u8>);

/// Listens for a fax in audio that passes.
struct Ear {
    listening: Listening,
    told: Vec<Told>,
    samples: Vec<i16>,
    tone_told: bool,
}

/// What is known of T.38 on this side.
#[derive(Clone, Copy)]
struct Watch {
    since: Instant,
    heard: bool,
    told_silent: bool,
}

/// One side.
pub(super) struct Half {
    pub(super) socket: UdpSocket,
    pub(super) carrier: SideCarrier,
    pub(super) sender: Sender,
    /// Puts its RTP in order, for whoever listens.
    pub(super) receiver: Receiver,
    /// Its RTP goes through this.
    pub(super) shield: Shield,
    latch: Option<Latch>,
    /// Where its signalling comes from.
    signalling: Vec<IpAddr>,
    ear: Option<Box<Ear>>,
    early: VecDeque<Early>,
    /// When something came last.
    heard: Instant,
    told_gone: bool,
    watch: Option<Watch>,
    /// UDPTL's number after the last one sent here, and what is added to those of who sends now.
    next_number: Option<u16>,
    offset: Option<u16>,
}

impl Half {
    pub(super) fn new(socket: UdpSocket, signalling: Vec<IpAddr>) -> Self {
        let payload_type = Codec::PCMA.payload_type;
        Half {
            socket,
            carrier: SideCarrier::Off,
            sender: super::super::any_stream(payload_type),
            receiver: Receiver::new(Codec::PCMA),
            shield: Shield::default(),
            latch: None,
            signalling,
            ear: None,
            early: VecDeque::new(),
            heard: Instant::ZERO,
            told_gone: false,
            watch: None,
            next_number: None,
            offset: None,
        }
    }

    /// Goes by `carrier` from now on; what came too early for it.
    pub(super) fn turn_to(&mut self, now: Instant, carrier: SideCarrier) -> Vec<(SocketAddr, Vec<u8>)> {
        let afresh = core::mem::discriminant(&carrier) != core::mem::discriminant(&self.carrier);
        match (carrier.remote(), &mut self.latch) {
            (None, _) => {}
            (Some(remote), Some(latch)) => latch.turn_to(now, remote, afresh),
            (Some(remote), latch) => *latch = Some(Latch::new(now, remote, self.signalling.clone())),
        }
        let mut early = Vec::new();
        match &carrier {
            SideCarrier::Audio { codec, .. } => {
                self.sender.set_payload_type(codec.payload_type);
                if afresh {
                    self.receiver = Receiver::new(*codec);
                    self.ear = Some(Box::new(Ear::new()));
                } else {
                    self.receiver.set_codec(*codec);
                }
            }
            SideCarrier::T38 { .. } if afresh => {
                let kept = core::mem::take(&mut self.early).into_iter();
                early =
                    kept.filter(|(at, ..)| now.since(*at) <= EARLY).map(|(_, from, d)| (from, d)).collect();
            }
            SideCarrier::T38 { .. } | SideCarrier::Off | SideCarrier::Relay { .. } => {}
        }
        if afresh {
            let is_t38 = matches!(carrier, SideCarrier::T38 { .. });
            self.watch = is_t38.then_some(Watch { since: now, heard: false, told_silent: false });
            (self.heard, self.told_gone) = (now, false);
        }
        self.carrier = carrier;
        early
    }

    /// Its audio is listened to anew: where nobody did, the receiver is far behind.
    pub(super) fn begin_stream(&mut self) {
        if let SideCarrier::Audio { codec, .. } = self.carrier {
            self.receiver = Receiver::new(codec);
        }
    }

    /// Whether a packet from there may be the far end's.
    pub(super) fn heeds(&self, now: Instant, from: SocketAddr) -> bool {
        self.latch.as_ref().is_some_and(|latch| latch.heeds(now, from))
    }

    /// A packet from there is what was agreed on; whether T.38 was believed to be silent.
    pub(super) fn valid(&mut self, now: Instant, from: SocketAddr) -> bool {
        if let Some(latch) = &mut self.latch {
            latch.valid(from);
        }
        (self.heard, self.told_gone) = (now, false);
        let Some(watch) = &mut self.watch else { return false };
        !core::mem::replace(&mut watch.heard, true) && watch.told_silent
    }

    /// Keeps what may be UDPTL until that is agreed on. It is nothing that was agreed on now.
    pub(super) fn keep_early(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) -> bool {
        if self.early.len() == EARLY_PACKETS {
            self.early.pop_front();
        }
        if datagram.len() <= EARLY_OCTETS {
            self.early.push_back((now, from, datagram.to_vec()));
        }
        false
    }

    /// Sends a datagram. A full or refused send is a lost packet, as on any network.
    pub(super) fn send(&mut self, datagram: &[u8]) {
        let latch = self.latch.as_ref().filter(|_| self.carrier != SideCarrier::Off);
        if let (Some(latch), Some(datagram)) = (latch, self.shield.seal(datagram)) {
            let _ = self.socket.send_to(datagram, latch.remote());
        }
    }

    /// Someone else sends UDPTL here from now on: it goes on with the numbers of who did before, as the far end takes
    /// lower ones for late.
    pub(super) fn renumber(&mut self) {
        self.offset = None;
    }

    /// Sends a datagram of UDPTL.
    pub(super) fn send_udptl(&mut self, datagram: &[u8]) {
        let Some((number, rest)) = datagram.split_first_chunk::<2>() else { return };
        let number = u16::from_be_bytes(*number);
        let next = self.next_number;
        let offset = *self.offset.get_or_insert_with(|| next.map_or(0, |next| next.wrapping_sub(number)));
        let number = number.wrapping_add(offset);
        if next.is_none_or(|next| (number.wrapping_sub(next) as i16) >= 0) {
            self.next_number = Some(number.wrapping_add(1));
        }
        if offset == 0 {
            self.send(datagram);
        } else {
            self.send(&[&number.to_be_bytes(), rest].concat());
        }
    }

    /// Sends a packet of our own audio.
    pub(super) fn send_audio(&mut self, samples: &[i16; PACKET_SAMPLES]) {
        let SideCarrier::Audio { codec, .. } = self.carrier else { return };
        let octets = samples.map(|sample| codec.law.encode(sample));
        let mut packet = [0; PACKET_SAMPLES + 12];
        if let Some(length) = self.sender.packet(&octets, &mut packet) {
            self.send(packet.get(..length).unwrap_or_default());
        }
    }

    /// Listens for a fax in a packet of audio that passes.
    pub(super) fn listen(&mut self, now: Instant, datagram: &[u8]) -> Vec<SideHeard> {
        let Some(ear) = &mut self.ear else { return Vec::new() };
        self.receiver.receive(now, datagram, |step| ear.hear(step));
        let (mut heard, mut sure) = (Vec::new(), false);
        for told in ear.told.drain(..) {
            match told {
                Told::Heard(Heard::Tone(_)) if !ear.tone_told => {
                    ear.tone_told = true;
                    heard.push(SideHeard::Fax);
                }
                Told::Heard(Heard::CarrierUp(Channel::Control)) => {
                    heard.push(SideHeard::Fax);
                    sure = true;
                }
                Told::Heard(_) | Told::Repaired { .. } | Told::Signal(_) | Told::Piece { .. } => {}
            }
        }
        // There is nothing surer than V.21: it is not listened for again.
        self.ear.take_if(|_| sure);
        heard
    }

    /// When [`Half::overdue`] has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let waits = self.carrier != SideCarrier::Off && !self.told_gone;
        let gone = waits.then(|| self.heard + GONE);
        let silent = self.watch.filter(|w| !w.heard && !w.told_silent).map(|w| w.since + T38_PATIENCE);
        earliest(gone, silent)
    }

    /// What has not come in its time, each thing once.
    pub(super) fn overdue(&mut self, now: Instant) -> Option<SideHeard> {
        if let Some(watch) = self.watch.as_mut().filter(|w| !w.heard && !w.told_silent)
            && watch.since + T38_PATIENCE <= now
        {
            watch.told_silent = true;
            return Some(SideHeard::T38Silent);
        }
        if self.carrier != SideCarrier::Off && !self.told_gone && self.heard + GONE <= now {
            self.told_gone = true;
            return Some(SideHeard::Timeout);
        }
        None
    }
}

impl Ear {
    fn new() -> Self {
        Ear {
            listening: Listening::new(fax_t30::frames::without_field()),
            told: Vec::new(),
            samples: Vec::with_capacity(480),
            tone_told: false,
        }
    }

    fn hear(&mut self, step: Step<'_>) {
        match step {
            Step::Audio(law, octets) => {
                self.samples.clear();
                self.samples.extend(octets.iter().map(|octet| law.decode(*octet)));
                self.listening.receive(&self.samples, &mut self.told);
            }
            Step::Silence(count) | Step::Lost(count) => self.listening.lost(count, &mut self.told),
        }
    }
}

impl SideCarrier {
    fn remote(&self) -> Option<SocketAddr> {
        match self {
            SideCarrier::Off => None,
            SideCarrier::Audio { remote, .. }
            | SideCarrier::Relay { remote }
            | SideCarrier::T38 { remote, .. } => Some(*remote),
        }
    }
}
