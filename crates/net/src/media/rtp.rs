//! RTP for G.711 (RFC 3550, 3551): in order by time stamps, without a play-out clock.
//!
//! A fax receiver needs every sample in order on the sender's clock, not steady play-out. So packets
//! are put in order, a missing one is waited for up to [`PATIENCE`] behind the newest, and what stays
//! missing is told as a gap of known length. Time in which the sender had nothing to say (comfort
//! noise, events, a jump of the time stamp between two packets with nothing missing between them) is
//! no gap but silence. When nothing comes at all, time goes on by our clock.

use super::Codec;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_dsp::g711::Law;
use rtp_types::{RtpPacket, RtpPacketBuilder};

#[cfg(test)]
mod tests;

/// How far the newest packet may be ahead of a missing one, in samples: 200 ms.
const PATIENCE: i32 = 1_600;

/// Nothing else comes for so long: what is missing will not come either.
const LAST: Duration = Duration::from_millis(200);

/// Nothing comes for so long: the signal is not late, it is gone. Shorter halts of the network cost
/// nothing, as their packets come after all.
const GONE: Duration = Duration::from_secs(1);

/// A jump of time stamps beyond this, in samples, is a new stream and not a gap: 5 s.
const RESTART: i32 = 40_000;

/// Packets of the source before the present one are passed over while the present one speaks.
const OVERLAP: Duration = Duration::from_millis(200);

/// Packets kept in wait at the most: 200 ms of the shortest in use, 5 ms, and as much again.
const HELD: usize = 80;

/// The longest payload taken: 200 ms of G.711.
const PAYLOAD: usize = 1_600;

/// One step of the received stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step<'a> {
    /// G.711 octets, one a sample.
    Audio(Law, &'a [u8]),
    /// The sender had nothing to send for so many samples.
    Silence(usize),
    /// This many samples never came.
    Lost(usize),
}

/// What a datagram was.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Taken {
    /// Of the stream, even if it was late or doubled.
    Stream,
    /// RTP or RTCP, but not of the stream.
    Other,
    /// No RTP.
    No,
}

/// A packet's place in the stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Place {
    timestamp: u32,
    sequence: u16,
    /// `None`: no audio begins here, but a pause.
    law: Option<Law>,
}

struct Held {
    place: Place,
    payload: Vec<u8>,
}

/// The stream as far as it was handed on.
#[derive(Clone, Copy, Debug)]
struct Position {
    ssrc: u32,
    /// The time stamp of the next sample.
    next: u32,
    /// The sequence number of the last packet handed on.
    sequence: u16,
    /// The time stamp of the newest packet.
    newest: u32,
    /// When `next` was reached.
    since: Instant,
    /// A pause, not audio, was handed on last.
    pause: bool,
    /// Samples behind `next` that were told already because nothing came.
    told: usize,
    /// Samples before `next` that are lost and will be told with what follows, as one gap.
    lost: usize,
}

/// Puts one stream of G.711 packets in order.
pub(crate) struct Receiver {
    codec: Codec,
    position: Option<Position>,
    /// The source before the present one.
    previous: Option<u32>,
    /// When the last packet of the stream came.
    heard: Instant,
    held: Vec<Held>,
    spare: Vec<Vec<u8>>,
}

impl Receiver {
    /// For packets of `codec`. The static payload types of both laws are understood besides: a peer may
    /// use any codec of the description without a word (RFC 3264 §7).
    pub(crate) fn new(codec: Codec) -> Self {
        Receiver {
            codec,
            position: None,
            previous: None,
            heard: Instant::ZERO,
            held: Vec::with_capacity(HELD),
            spare: Vec::with_capacity(HELD),
        }
    }

    /// Another codec was agreed; the stream goes on.
    pub(crate) fn set_codec(&mut self, codec: Codec) {
        self.codec = codec;
    }

    /// Whether this is RTP of the source that was heard, as may still come after a switch to T.38.
    pub(crate) fn knows(&self, datagram: &[u8]) -> bool {
        let ssrc = RtpPacket::parse(datagram).ok().map(|p| p.ssrc());
        ssrc.is_some() && ssrc == self.position.map(|p| p.ssrc)
    }

    /// Takes a datagram and hands on what is in order now.
    pub(crate) fn receive(&mut self, now: Instant, datagram: &[u8], mut step: impl FnMut(Step<'_>)) -> Taken {
        let Ok(packet) = RtpPacket::parse(datagram) else {
            return Taken::No;
        };
        let law = match packet.payload_type() {
            agreed if agreed == self.codec.payload_type => Some(self.codec.law),
            0 => Some(Law::Mu),
            8 => Some(Law::A),
            // RTCP (RFC 5761 §4).
            64..=95 => return Taken::Other,
            // Comfort noise (13), telephone-event, another codec: the time counts, there is no sound in it.
            _ => None,
        };
        let payload = if law.is_some() { packet.payload() } else { &[] };
        if payload.len() > PAYLOAD || (law.is_some() && payload.is_empty()) {
            return Taken::Other;
        }
        let place = Place { timestamp: packet.timestamp(), sequence: packet.sequence_number(), law };
        let Some(mut position) = self.place(now, packet.ssrc(), place, &mut step) else {
            return Taken::Other;
        };
        self.heard = now;
        let end = place.timestamp.wrapping_add(payload.len() as u32);
        let old = match law {
            Some(_) => distance(end, position.next) <= 0,
            None => distance(end, position.next) < 0,
        };
        if old || self.held.iter().any(|h| h.place == place) {
            return Taken::Stream; // a duplicate, or too late
        }
        if distance(place.timestamp, position.newest) > 0 {
            position.newest = place.timestamp;
        }
        if self.held.is_empty() && position.reached_by(place) {
            position.take(now, place, payload, &mut step);
        } else {
            if self.held.len() >= HELD {
                self.release(now, &mut position, &mut step);
            }
            self.hold(place, payload);
            self.deliver(now, &mut position, &mut step);
            let given_up = position.newest.wrapping_sub(PATIENCE as u32);
            while distance(given_up, position.next) > 0 {
                match self.held.first() {
                    Some(first) if distance(given_up, first.place.timestamp) >= 0 => {
                        self.release(now, &mut position, &mut step);
                    }
                    Some(_) | None => position.lose(now, given_up),
                }
            }
        }
        self.position = Some(position);
        Taken::Stream
    }

    /// Nothing has come until now: hands on what waits in vain, and the time that goes by.
    pub(crate) fn idle(&mut self, now: Instant, mut step: impl FnMut(Step<'_>)) {
        let Some(mut position) = self.position else {
            return;
        };
        if !self.held.is_empty() {
            if now.since(self.heard) >= LAST {
                self.drain(now, &mut position, &mut step);
            }
        } else {
            let gone = now.since(position.since);
            if position.pause || gone >= GONE {
                let gone = usize::try_from(gone.as_micros() / 125).unwrap_or(usize::MAX);
                let more = gone.saturating_sub(position.told);
                if more > 0 {
                    position.told = gone;
                    step(if position.pause { Step::Silence(more) } else { Step::Lost(more) });
                }
            }
        }
        self.position = Some(position);
    }

    /// The stream's position before this packet: as it was, or anew where a stream begins. `None` when the
    /// packet is not of the stream.
    fn place(
        &mut self,
        now: Instant,
        ssrc: u32,
        place: Place,
        step: &mut impl FnMut(Step<'_>),
    ) -> Option<Position> {
        if let Some(mut position) = self.position {
            if position.ssrc != ssrc {
                if self.previous == Some(ssrc) && now.since(self.heard) < OVERLAP {
                    return None;
                }
                self.previous = Some(position.ssrc);
            } else {
                let jump = distance(place.timestamp, position.newest);
                // Backwards with a later number: the sender has set its clock.
                let set = sequence_distance(place.sequence, position.sequence) > 0
                    && distance(place.timestamp, position.next) < -PATIENCE;
                if goes_on(jump) && !set {
                    return Some(position);
                }
            }
            self.drain(now, &mut position, step);
        }
        Some(Position {
            ssrc,
            next: place.timestamp,
            sequence: place.sequence.wrapping_sub(1),
            newest: place.timestamp,
            since: now,
            pause: false,
            told: 0,
            lost: 0,
        })
    }

    fn hold(&mut self, place: Place, octets: &[u8]) {
        let mut payload = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(PAYLOAD));
        payload.clear();
        payload.extend_from_slice(octets);
        let before = |h: &Held| {
            let apart = distance(h.place.timestamp, place.timestamp);
            apart < 0 || (apart == 0 && sequence_distance(h.place.sequence, place.sequence) < 0)
        };
        let at = self.held.partition_point(before);
        self.held.insert(at, Held { place, payload });
    }

    /// Hands on what is in order.
    fn deliver(&mut self, now: Instant, position: &mut Position, step: &mut impl FnMut(Step<'_>)) {
        while self.held.first().is_some_and(|h| position.reached_by(h.place)) {
            let held = self.held.remove(0);
            position.take(now, held.place, &held.payload, step);
            self.spare.push(held.payload);
        }
    }

    /// Gives up waiting for what is missing before the first packet held.
    fn release(&mut self, now: Instant, position: &mut Position, step: &mut impl FnMut(Step<'_>)) {
        if let Some(first) = self.held.first() {
            position.lose(now, first.place.timestamp);
            position.sequence = first.place.sequence.wrapping_sub(1);
        }
        self.deliver(now, position, step);
    }

    fn drain(&mut self, now: Instant, position: &mut Position, step: &mut impl FnMut(Step<'_>)) {
        while !self.held.is_empty() {
            self.release(now, position, step);
        }
    }
}

impl Position {
    /// Whether nothing is missing before this packet.
    fn reached_by(&self, place: Place) -> bool {
        distance(place.timestamp, self.next) <= 0 || place.sequence == self.sequence.wrapping_add(1)
    }

    /// Goes on to a later time stamp; what was not told of the time between. What was told while nothing came is
    /// accounted for by that, and must not be told again.
    fn advance(&mut self, now: Instant, timestamp: u32) -> usize {
        let Ok(gap @ 1..) = usize::try_from(distance(timestamp, self.next)) else {
            return 0;
        };
        self.next = timestamp;
        let told = core::mem::take(&mut self.told);
        if told > 0 {
            self.since = now;
        }
        gap.saturating_sub(told)
    }

    /// What is missing before a time stamp will not come any more.
    fn lose(&mut self, now: Instant, timestamp: u32) {
        self.lost += self.advance(now, timestamp);
    }

    /// Hands on a packet that [`Position::reached_by`] says is next.
    fn take(&mut self, now: Instant, place: Place, payload: &[u8], step: &mut impl FnMut(Step<'_>)) {
        let before = self.next;
        if let lost @ 1.. = core::mem::take(&mut self.lost) {
            step(Step::Lost(lost));
        }
        if let silence @ 1.. = self.advance(now, place.timestamp) {
            step(Step::Silence(silence));
        }
        // Events say their last again and again, also when audio has gone on.
        if place.law.is_some() || sequence_distance(place.sequence, self.sequence) > 0 {
            self.sequence = place.sequence;
        }
        match place.law {
            Some(law) => {
                // Packets may overlap after a change of packet time; samples are never given twice.
                let seen = usize::try_from(distance(self.next, place.timestamp)).unwrap_or(0);
                if let Some(fresh) = payload.get(seen..).filter(|f| !f.is_empty()) {
                    step(Step::Audio(law, fresh));
                    self.next = self.next.wrapping_add(fresh.len() as u32);
                    (self.since, self.told, self.pause) = (now, 0, false);
                }
            }
            None => {
                if !self.pause || self.next != before {
                    (self.since, self.told, self.pause) = (now, 0, true);
                }
            }
        }
    }
}

/// How far `a` is ahead of `b` on the wrapping clock.
fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Whether a time stamp so far away is still of the same stream.
fn goes_on(jump: i32) -> bool {
    (-RESTART..=RESTART).contains(&jump)
}

/// How far `a` is ahead of `b` in the wrapping count.
fn sequence_distance(a: u16, b: u16) -> i16 {
    a.wrapping_sub(b) as i16
}

/// What is known of a packet without keeping its place.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Passing<'a> {
    pub(crate) ssrc: u32,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) marker: bool,
    pub(crate) payload_type: u8,
    pub(crate) payload: &'a [u8],
}

impl<'a> Passing<'a> {
    /// Reads a packet; `None` for what is no RTP, and for RTCP.
    pub(crate) fn parse(datagram: &'a [u8]) -> Option<Self> {
        let packet = RtpPacket::parse(datagram).ok()?;
        let payload_type = packet.payload_type();
        let end = datagram.len().checked_sub(packet.padding().map_or(0, usize::from))?;
        let payload = datagram.get(end.checked_sub(packet.payload().len())?..end)?;
        // RTCP (RFC 5761 §4).
        (!(64..=95).contains(&payload_type)).then_some(Passing {
            ssrc: packet.ssrc(),
            sequence: packet.sequence_number(),
            timestamp: packet.timestamp(),
            marker: packet.marker_bit(),
            payload_type,
            payload,
        })
    }
}

/// A stream of others that goes on in ours.
#[derive(Clone, Copy, Debug)]
struct Passed {
    ssrc: u32,
    /// What is added to its numbers and its time stamps.
    sequence: u16,
    timestamp: u32,
}

/// Writes one stream of G.711 packets, of our own or as others passed on.
pub(crate) struct Sender {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    first: bool,
    passed: Option<Passed>,
}

impl Sender {
    /// A stream that begins at these (random) values.
    pub(crate) fn new(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Sender { payload_type, ssrc, sequence, timestamp, first: true, passed: None }
    }

    /// Another codec from the next packet on.
    pub(crate) fn set_payload_type(&mut self, payload_type: u8) {
        self.payload_type = payload_type;
    }

    /// Writes the next packet into `out`; its length, or `None` when `out` is too small.
    pub(crate) fn packet(&mut self, payload: &[u8], out: &mut [u8]) -> Option<usize> {
        let builder: RtpPacketBuilder<&[u8], &[u8]> = RtpPacketBuilder::new()
            .payload_type(self.payload_type)
            .ssrc(self.ssrc)
            .sequence_number(self.sequence)
            .timestamp(self.timestamp)
            .marker_bit(self.first)
            .payload(payload);
        let length = builder.write_into(out).ok()?;
        self.passed = None;
        self.first = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(payload.len() as u32);
        Some(length)
    }

    /// Writes a packet of another stream, with its place in it kept: lost and late ones are so in ours. A stream that
    /// begins goes on where ours is.
    pub(crate) fn pass(
        &mut self,
        packet: Passing<'_>,
        payload_type: u8,
        payload: &[u8],
        out: &mut [u8],
    ) -> Option<usize> {
        let begins = self.passed.is_none_or(|passed| passed.ssrc != packet.ssrc);
        let jumps = self.passed.is_some_and(|passed| {
            !goes_on(distance(packet.timestamp.wrapping_add(passed.timestamp), self.timestamp))
        });
        if begins || jumps {
            self.passed = Some(Passed {
                ssrc: packet.ssrc,
                sequence: self.sequence.wrapping_sub(packet.sequence),
                timestamp: self.timestamp.wrapping_sub(packet.timestamp),
            });
        }
        let passed = self.passed?;
        let sequence = packet.sequence.wrapping_add(passed.sequence);
        let timestamp = packet.timestamp.wrapping_add(passed.timestamp);
        let builder: RtpPacketBuilder<&[u8], &[u8]> = RtpPacketBuilder::new()
            .payload_type(payload_type)
            .ssrc(self.ssrc)
            .sequence_number(sequence)
            .timestamp(timestamp)
            .marker_bit(packet.marker || begins || jumps)
            .payload(payload);
        let length = builder.write_into(out).ok()?;
        self.first = false;
        if sequence_distance(sequence.wrapping_add(1), self.sequence) > 0 {
            self.sequence = sequence.wrapping_add(1);
        }
        // Octets are samples where it is audio; in an event the time stands still.
        let samples = if payload_type == self.payload_type { payload.len() as u32 } else { 0 };
        let end = timestamp.wrapping_add(samples);
        if distance(end, self.timestamp) > 0 {
            self.timestamp = end;
        }
        Some(length)
    }
}
