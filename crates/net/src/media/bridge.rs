//! The media of a call that is passed on: two sockets, and what comes in by one goes out by the other.
//!
//! | side | other side | what happens |
//! | --- | --- | --- |
//! | relay | anything | datagrams pass untouched |
//! | audio | audio | RTP packet by packet in a stream of ours; the other law is converted |
//! | T.38 | T.38 | UDPTL passes untouched where both agreed on the same, else it is made anew of its IFPs |
//! | audio | T.38 | the gateway |
//!
//! Either side may change at any time; what a machine has begun goes on while its two carriers stay.

mod half;
mod ladder;
mod remade;

#[cfg(test)]
mod tests;

use super::leg::{DATAGRAM, EVENTS_PER_SECOND, PACKET, PACKET_SAMPLES, QUIET};
use super::rtp::{Passing, Step, Taken};
use super::worker::MediaSink;
use super::{BridgeStart, Codec, MediaCommand, MediaEvent, SideCarrier, SideHeard};
use crate::onward::Side;
use fax_base::Instant;
use fax_base::time::{Duration, earliest};
use fax_dsp::g711::Law;
use fax_gateway::{Gateway, Input, Output};
use half::Half;
use remade::Remade;
use std::io;
use std::net::{SocketAddr, UdpSocket};

/// How the two sides are joined.
enum Link {
    /// One of them has nothing.
    Nothing,
    /// Datagrams pass as they come.
    Untouched,
    /// RTP passes packet by packet.
    Audio,
    /// UDPTL is made anew.
    Remade(Box<Remade>),
    /// One side is audio, the other T.38.
    Gateway { audio: Side, config: fax_t38::Config, gateway: Box<Gateway>, next_packet: Instant },
}

/// One call that is passed on.
pub(super) struct Bridge {
    sides: [Half; 2],
    link: Link,
    sink: MediaSink,
    events_from: Instant,
    events: u32,
    failed: bool,
}

impl Bridge {
    /// Begins the call: its time starts now.
    pub(super) fn start(start: BridgeStart) -> Self {
        let BridgeStart { sides: [a, b], signalling: [from_a, from_b], sink } = start;
        Bridge {
            sides: [Half::new(a.socket, from_a), Half::new(b.socket, from_b)],
            link: Link::Nothing,
            sink,
            events_from: Instant::ZERO,
            events: 0,
            failed: false,
        }
    }

    pub(super) fn sockets(&self) -> [&UdpSocket; 2] {
        self.sides.each_ref().map(|half| &half.socket)
    }

    /// When this call wants its next turn, even if nothing comes.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let link = match &self.link {
            Link::Nothing | Link::Untouched | Link::Audio => None,
            Link::Remade(remade) => remade.deadline(),
            Link::Gateway { gateway, next_packet, .. } => earliest(gateway.deadline(), Some(*next_packet)),
        };
        self.sides.iter().map(Half::deadline).fold(link, earliest)
    }

    /// Does what is due.
    pub(super) fn turn(&mut self, now: Instant) {
        for side in [Side::A, Side::B] {
            while let Some(heard) = self.half(side).overdue(now) {
                self.sink.send(MediaEvent::Side { side, heard });
            }
        }
        match &mut self.link {
            Link::Nothing | Link::Untouched | Link::Audio => {}
            Link::Remade(remade) => remade.timeout(now),
            Link::Gateway { audio, gateway, next_packet, .. } => {
                if gateway.deadline().is_some_and(|at| at <= now) {
                    gateway.handle(now, Input::Timeout);
                }
                if *next_packet <= now {
                    *next_packet += PACKET;
                    // After a stall (suspended host) the stream goes on from now, not in a burst.
                    if now.since(*next_packet) > Duration::from_millis(200) {
                        *next_packet = now + PACKET;
                    }
                    let [a, b] = &mut self.sides;
                    let half = if *audio == Side::A { a } else { b };
                    half.receiver.idle(now, |step| hear(gateway, now, step));
                    let mut samples = [0; PACKET_SAMPLES];
                    gateway.transmit_audio(now, &mut samples);
                    half.send_audio(&samples);
                }
            }
        }
        self.flush(now);
    }

    /// Carries out what signalling wants. Answers false when the call is over.
    pub(super) fn command(&mut self, now: Instant, command: MediaCommand) -> bool {
        match command {
            MediaCommand::Keys { side, keys } => {
                self.half(side).shield.turn_to(keys);
                true
            }
            MediaCommand::Side { side, carrier } => {
                let early = self.half(side).turn_to(now, carrier);
                self.join(now);
                for (from, datagram) in early {
                    self.receive(now, side, from, &datagram);
                }
                self.flush(now);
                true
            }
            MediaCommand::Stop => false,
            MediaCommand::Start(_)
            | MediaCommand::Bridge(_)
            | MediaCommand::Audio { .. }
            | MediaCommand::T38 { .. }
            | MediaCommand::PageKept(_)
            | MediaCommand::Cancel
            | MediaCommand::HungUp => true,
        }
    }

    /// Joins the sides by what they have now; a machine that does that already goes on.
    fn join(&mut self, now: Instant) {
        let before = core::mem::discriminant(&self.link);
        let [a, b] = &self.sides;
        self.link = match (&a.carrier, &b.carrier, core::mem::replace(&mut self.link, Link::Nothing)) {
            (SideCarrier::Off, _, _) | (_, SideCarrier::Off, _) => Link::Nothing,
            (SideCarrier::Relay { .. }, _, _) | (_, SideCarrier::Relay { .. }, _) => Link::Untouched,
            (SideCarrier::Audio { .. }, SideCarrier::Audio { .. }, _) => Link::Audio,
            (SideCarrier::T38 { config: a, .. }, SideCarrier::T38 { config: b, .. }, before) => {
                match before {
                    Link::Remade(remade) if remade.configs() == [a, b] => Link::Remade(remade),
                    _ if (a.version, a.error_correction) == (b.version, b.error_correction) => {
                        Link::Untouched
                    }
                    _ => Link::Remade(Box::new(Remade::new([a, b], now))),
                }
            }
            (SideCarrier::Audio { .. }, SideCarrier::T38 { config, .. }, before) => {
                gateway(now, Side::A, config, before)
            }
            (SideCarrier::T38 { config, .. }, SideCarrier::Audio { .. }, before) => {
                gateway(now, Side::B, config, before)
            }
        };
        if core::mem::discriminant(&self.link) != before {
            self.sides.iter_mut().for_each(Half::renumber);
            if let Link::Gateway { audio, .. } = self.link {
                self.half(audio).begin_stream();
            }
        }
    }

    /// Reads a datagram at a side; false when none was there.
    pub(super) fn read(&mut self, now: Instant, side: Side) -> bool {
        let mut buffer = [0u8; DATAGRAM];
        let half = self.half(side);
        match half.socket.recv_from(&mut buffer) {
            Ok((length, from)) => {
                if let Some(datagram) = buffer.get_mut(..length)
                    && half.heeds(now, from)
                    && let Some(datagram) = half.shield.open(datagram)
                {
                    self.receive(now, side, from, datagram);
                    self.flush(now);
                }
                true
            }
            // A refused earlier packet (ICMP) is reported here, too; it says nothing about the next.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    fn receive(&mut self, now: Instant, side: Side, from: SocketAddr, datagram: &[u8]) {
        let [a, b] = &mut self.sides;
        let (here, there) = match side {
            Side::A => (a, b),
            Side::B => (b, a),
        };
        if !here.heeds(now, from) {
            return;
        }
        let valid = match (&mut self.link, here.carrier.clone()) {
            (_, SideCarrier::Off) => false,
            (Link::Gateway { audio, gateway, .. }, SideCarrier::Audio { .. }) if *audio == side => {
                match here.receiver.receive(now, datagram, |step| hear(gateway, now, step)) {
                    Taken::Stream => true,
                    Taken::Other => false,
                    Taken::No => here.keep_early(now, from, datagram),
                }
            }
            (Link::Gateway { gateway, .. }, _) => {
                let before = gateway.statistics().t38.packets_received;
                gateway.handle(now, Input::Datagram(datagram));
                gateway.statistics().t38.packets_received > before
            }
            (Link::Remade(remade), _) => remade.receive(now, side, datagram),
            (_, SideCarrier::Relay { .. }) => {
                there.send(datagram);
                // Whatever it carries, it is RTP or UDPTL: nothing else says that the far end is there.
                is_rtp(datagram) || is_udptl(datagram)
            }
            (link, SideCarrier::T38 { .. }) => {
                let valid = is_udptl(datagram);
                if valid && matches!(link, Link::Untouched) {
                    there.send_udptl(datagram);
                }
                valid
            }
            (link, SideCarrier::Audio { codec, .. }) => {
                let Some(packet) = Passing::parse(datagram) else {
                    here.keep_early(now, from, datagram);
                    return;
                };
                match link {
                    Link::Audio => pass_audio(there, packet, codec),
                    Link::Untouched => there.send(datagram),
                    Link::Nothing | Link::Remade(_) | Link::Gateway { .. } => {}
                }
                for heard in here.listen(now, datagram) {
                    self.sink.send(MediaEvent::Side { side, heard });
                }
                true
            }
        };
        if valid && here.valid(now, from) {
            self.sink.send(MediaEvent::Side { side, heard: SideHeard::T38Heard });
        }
    }

    /// Sends what the machines have made.
    fn flush(&mut self, now: Instant) {
        match &mut self.link {
            Link::Nothing | Link::Untouched | Link::Audio => {}
            Link::Remade(remade) => {
                while let Some((side, datagram)) = remade.poll() {
                    let [a, b] = &mut self.sides;
                    if side == Side::A { a } else { b }.send_udptl(&datagram);
                }
            }
            Link::Gateway { audio, gateway, .. } => {
                let [a, b] = &mut self.sides;
                let t38 = if *audio == Side::A { b } else { a };
                while let Some(output) = gateway.poll() {
                    match output {
                        Output::Datagram(datagram) => t38.send_udptl(&datagram),
                        Output::Event(event) => {
                            if now.since(self.events_from) >= Duration::from_secs(1) {
                                (self.events_from, self.events) = (now, 0);
                            }
                            for line in ladder::lines(now, &event) {
                                self.events = self.events.saturating_add(1);
                                if self.events <= EVENTS_PER_SECOND {
                                    self.sink.send(MediaEvent::Ladder(line));
                                }
                            }
                        }
                    }
                }
            }
        }
    }

    /// Tells signalling that the call's machines are broken.
    pub(super) fn fail(&mut self) {
        if !core::mem::replace(&mut self.failed, true) {
            self.sink.send(MediaEvent::Failed);
        }
    }

    fn half(&mut self, side: Side) -> &mut Half {
        let [a, b] = &mut self.sides;
        match side {
            Side::A => a,
            Side::B => b,
        }
    }
}

/// The gateway for these carriers, or the one that is at work.
fn gateway(now: Instant, audio: Side, config: &fax_t38::Config, before: Link) -> Link {
    match before {
        Link::Gateway { audio: present, config: agreed, gateway, next_packet }
            if present == audio && agreed == *config =>
        {
            Link::Gateway { audio, config: agreed, gateway, next_packet }
        }
        _ => {
            let settings = fax_gateway::Config { t38: config.clone(), ..fax_gateway::Config::default() };
            let gateway = Box::new(Gateway::new(settings, now));
            Link::Gateway { audio, config: config.clone(), gateway, next_packet: now }
        }
    }
}

/// Gives the gateway a step of the received stream.
fn hear(gateway: &mut Gateway, now: Instant, step: Step<'_>) {
    match step {
        Step::Audio(law, octets) => gateway.handle(now, Input::G711(law, octets)),
        Step::Silence(mut count) => {
            while let Some(quiet) = QUIET.get(..count.min(PACKET_SAMPLES)).filter(|q| !q.is_empty()) {
                gateway.handle(now, Input::Audio(quiet));
                count -= quiet.len();
            }
        }
        Step::Lost(count) => gateway.handle(now, Input::AudioLost(count)),
    }
}

/// Passes a packet of a stream in `codec` on; what is no G.711 (telephone-event, comfort noise) keeps its type.
fn pass_audio(there: &mut Half, packet: Passing<'_>, codec: Codec) {
    let SideCarrier::Audio { codec: wanted, .. } = there.carrier else {
        return;
    };
    let law = match packet.payload_type {
        agreed if agreed == codec.payload_type => Some(codec.law),
        0 => Some(Law::Mu),
        8 => Some(Law::A),
        _ => None,
    };
    let mut converted = [0; DATAGRAM];
    let (payload_type, payload) = match law {
        None => (packet.payload_type, packet.payload),
        Some(law) if law == wanted.law => (wanted.payload_type, packet.payload),
        Some(law) => {
            for (to, from) in converted.iter_mut().zip(packet.payload) {
                *to = wanted.law.encode(law.decode(*from));
            }
            (wanted.payload_type, converted.get(..packet.payload.len()).unwrap_or_default())
        }
    };
    let mut out = [0; DATAGRAM];
    if let Some(length) = there.sender.pass(packet, payload_type, payload, &mut out) {
        there.send(out.get(..length).unwrap_or_default());
    }
}

/// Whether this can be a packet of RTP or SRTP: version 2 and a whole header (RFC 3550 §5.1).
fn is_rtp(datagram: &[u8]) -> bool {
    datagram.len() >= 12 && datagram.first().is_some_and(|first| first >> 6 == 2)
}

/// Whether this is a packet of UDPTL, whole.
fn is_udptl(datagram: &[u8]) -> bool {
    fax_t38::udptl::Packet::decode(datagram).is_ok_and(|packet| packet.sound)
}
