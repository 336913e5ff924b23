//! RTP. The file is compiled here because the crate that it belongs to is heavy with sockets.

use crate::input::Choices;
use fax_base::Instant;
use fax_dsp::g711::Law;
use receive::{Receiver, Step};

/// As in fax-net.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Codec {
    pub(crate) law: Law,
    pub(crate) payload_type: u8,
}

#[allow(dead_code, missing_docs)]
#[path = "../../../crates/net/src/media/rtp.rs"]
mod receive;

/// Datagrams of one source and of others: what comes out is in order and never more than time allows.
pub fn stream(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut receiver = Receiver::new(Codec { law: Law::A, payload_type: 8 });
    let mut now = Instant::ZERO;
    let mut samples = 0u64;
    let mut datagrams = 0u64;
    let mut count = |step: Step<'_>| {
        samples += match step {
            Step::Audio(_, octets) => octets.len() as u64,
            Step::Silence(n) | Step::Lost(n) => n as u64,
        };
    };
    while !c.is_empty() {
        now += c.wait();
        datagrams += 1;
        match c.below(8) {
            0 => receiver.idle(now, &mut count),
            1 => {
                let _ = receiver.receive(now, c.piece(), &mut count);
            }
            _ => {
                let mut packet = vec![0x80, c.octet() & 0x8F];
                packet.extend_from_slice(&c.short().to_be_bytes());
                packet.extend_from_slice(&[0, 0]);
                packet.extend_from_slice(&c.short().to_be_bytes());
                packet.extend_from_slice(&[0, 0, 0, c.octet() & 1]);
                packet.resize(packet.len() + usize::from(c.octet()), 0x55);
                let _ = receiver.receive(now, &packet, &mut count);
            }
        }
    }
    // Per datagram a jump of at most five seconds, and the time that passed.
    let time = now.since(Instant::ZERO).as_micros() as u64 / 125;
    assert!(samples <= time + datagrams * 50_000 + 50_000, "{samples} samples in {time}");
}

/// What is no RTP is never audio, whatever was before.
pub fn no_audio(octets: &[u8]) {
    let mut receiver = Receiver::new(Codec { law: Law::A, payload_type: 8 });
    let taken = receiver.receive(Instant::ZERO, octets, |step| panic!("{step:?}"));
    assert!(!matches!(taken, receive::Taken::Stream));
}
