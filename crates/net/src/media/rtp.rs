//! RTP for G.711 (RFC 3550, 3551): in order by time stamp, without a play-out clock.
//!
//! A fax receiver needs every sample in order on the sender's clock, not steady play-out. So packets
//! are put in order, a missing one is waited for up to [`PATIENCE`] behind the newest, and what stays
//! missing is told as a gap of known length.

use rtp_types::{RtpPacket, RtpPacketBuilder};

/// How far the newest packet may be ahead of a missing one, in samples: 200 ms.
const PATIENCE: i32 = 1_600;

/// A jump of time stamps beyond this, in samples, is a new stream and not a gap: 5 s.
const RESTART: i32 = 40_000;

/// Packets kept in wait at the most.
const HELD: usize = 64;

/// The longest payload taken: 200 ms of G.711.
const PAYLOAD: usize = 1_600;

/// One step of the received stream.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Step<'a> {
    /// G.711 octets, one a sample.
    Audio(&'a [u8]),
    /// This many samples never came.
    Lost(usize),
}

struct Held {
    timestamp: u32,
    payload: Vec<u8>,
}

/// Puts one stream of G.711 packets in order.
pub(crate) struct Receiver {
    payload_type: u8,
    ssrc: Option<u32>,
    next: u32,
    newest: u32,
    held: Vec<Held>,
    spare: Vec<Vec<u8>>,
}

impl Receiver {
    /// For packets of `payload_type`; others (comfort noise, telephone-event) are passed over.
    pub(crate) fn new(payload_type: u8) -> Self {
        Receiver {
            payload_type,
            ssrc: None,
            next: 0,
            newest: 0,
            held: Vec::with_capacity(HELD),
            spare: Vec::with_capacity(HELD),
        }
    }

    /// Takes a datagram and hands on what is in order now. Answers whether it was RTP of this stream.
    pub(crate) fn receive(&mut self, datagram: &[u8], mut step: impl FnMut(Step<'_>)) -> bool {
        let Ok(packet) = RtpPacket::parse(datagram) else {
            return false;
        };
        if packet.payload_type() != self.payload_type {
            return (64..96).contains(&packet.payload_type()) || packet.version() == 2;
        }
        let payload = packet.payload();
        if payload.is_empty() || payload.len() > PAYLOAD {
            return true;
        }
        let timestamp = packet.timestamp();
        let jump = distance(timestamp, self.newest);
        if self.ssrc != Some(packet.ssrc()) || jump.abs() > RESTART {
            self.drain(&mut step);
            self.ssrc = Some(packet.ssrc());
            self.next = timestamp;
            self.newest = timestamp;
        }
        if distance(timestamp, self.next) < 0 || self.held.iter().any(|h| h.timestamp == timestamp) {
            return true; // a duplicate, or too late
        }
        if self.held.len() >= HELD {
            self.deliver_through_gap(&mut step);
        }
        let mut store = self.spare.pop().unwrap_or_else(|| Vec::with_capacity(PAYLOAD));
        store.clear();
        store.extend_from_slice(payload);
        let at = self.held.partition_point(|h| distance(h.timestamp, timestamp) < 0);
        self.held.insert(at, Held { timestamp, payload: store });
        if distance(timestamp, self.newest) > 0 {
            self.newest = timestamp;
        }
        self.deliver(&mut step);
        while !self.held.is_empty() && distance(self.newest, self.next) > PATIENCE {
            self.deliver_through_gap(&mut step);
        }
        true
    }

    fn deliver(&mut self, step: &mut impl FnMut(Step<'_>)) {
        while self.held.first().is_some_and(|h| distance(h.timestamp, self.next) <= 0) {
            let held = self.held.remove(0);
            // Packets may overlap after a change of packet time; samples are never given twice.
            let seen = usize::try_from(distance(self.next, held.timestamp)).unwrap_or(0);
            if let Some(fresh) = held.payload.get(seen..).filter(|f| !f.is_empty()) {
                step(Step::Audio(fresh));
                self.next = self.next.wrapping_add(fresh.len() as u32);
            }
            self.spare.push(held.payload);
        }
    }

    fn deliver_through_gap(&mut self, step: &mut impl FnMut(Step<'_>)) {
        if let Some(first) = self.held.first() {
            if let Ok(gap @ 1..) = usize::try_from(distance(first.timestamp, self.next)) {
                step(Step::Lost(gap));
            }
            self.next = first.timestamp;
        }
        self.deliver(step);
    }

    fn drain(&mut self, step: &mut impl FnMut(Step<'_>)) {
        while !self.held.is_empty() {
            self.deliver_through_gap(step);
        }
    }
}

/// How far `a` is ahead of `b` on the wrapping clock.
fn distance(a: u32, b: u32) -> i32 {
    a.wrapping_sub(b) as i32
}

/// Writes one stream of G.711 packets.
pub(crate) struct Sender {
    payload_type: u8,
    ssrc: u32,
    sequence: u16,
    timestamp: u32,
    first: bool,
}

impl Sender {
    /// A stream that begins at these (random) values.
    pub(crate) fn new(payload_type: u8, ssrc: u32, sequence: u16, timestamp: u32) -> Self {
        Sender { payload_type, ssrc, sequence, timestamp, first: true }
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
        self.first = false;
        self.sequence = self.sequence.wrapping_add(1);
        self.timestamp = self.timestamp.wrapping_add(payload.len() as u32);
        Some(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn packets(count: usize, ssrc: u32, start: u32) -> Vec<Vec<u8>> {
        let mut sender = Sender::new(0, ssrc, 65_530, start);
        (0..count)
            .map(|i| {
                let mut out = vec![0; 200];
                let n = sender.packet(&[i as u8; 160], &mut out).unwrap();
                out.truncate(n);
                out
            })
            .collect()
    }

    fn received(packets: &[&[u8]]) -> Vec<(u8, usize)> {
        let mut receiver = Receiver::new(0);
        let mut steps = Vec::new();
        for packet in packets {
            assert!(receiver.receive(packet, |s| match s {
                Step::Audio(a) => steps.push((a[0], a.len())),
                Step::Lost(n) => steps.push((255, n)),
            }));
        }
        steps
    }

    #[test]
    fn reordered_and_repeated_packets_come_once_and_in_order() {
        let p = packets(5, 7, u32::MAX - 300);
        let order: [&[u8]; 7] = [&p[0], &p[2], &p[1], &p[1], &p[4], &p[3], &p[0]];
        assert_eq!(received(&order), [(0, 160), (1, 160), (2, 160), (3, 160), (4, 160)]);
    }

    #[test]
    fn a_missing_packet_is_waited_for_and_then_told() {
        let p = packets(20, 7, 0);
        let mut sent: Vec<&[u8]> = p.iter().map(Vec::as_slice).collect();
        sent.remove(3);
        let steps = received(&sent);
        assert_eq!(steps[3], (255, 160));
        assert_eq!(steps[4], (4, 160));
        assert_eq!(steps.len(), 20);
    }

    #[test]
    fn a_new_source_starts_afresh() {
        let (a, b) = (packets(2, 7, 1_000), packets(2, 8, 900_000_000));
        let order: [&[u8]; 4] = [&a[0], &a[1], &b[0], &b[1]];
        assert_eq!(received(&order), [(0, 160), (1, 160), (0, 160), (1, 160)]);
    }

    #[test]
    fn other_payload_types_and_junk_do_no_harm() {
        let mut receiver = Receiver::new(0);
        let mut other = Sender::new(101, 7, 0, 0);
        let mut out = [0; 64];
        let n = other.packet(&[1, 2, 3, 4], &mut out).unwrap();
        assert!(receiver.receive(&out[..n], |_| panic!("an event is no audio")));
        for junk in [&[][..], &[0x80], &[0; 12], &[0xFF; 40]] {
            receiver.receive(junk, |_| panic!("junk is no audio"));
        }
    }

    #[test]
    fn held_packets_are_bounded() {
        let mut receiver = Receiver::new(0);
        let mut sender = Sender::new(0, 1, 0, 0);
        let mut out = [0; 64];
        for i in 0..10_000u32 {
            sender.timestamp = i.wrapping_mul(7);
            let n = sender.packet(&[1], &mut out).unwrap();
            receiver.receive(&out[..n], |_| {});
            assert!(receiver.held.len() <= HELD);
        }
    }
}
