//! How long a transmission takes, and what of it is heard when: T.30's preamble and gaps, the
//! modems' training, and their bit rates.

use bytes::Bytes;
use core::time::Duration;
use fax_base::bits::{BitSource, OctetBits};
use fax_base::hdlc;
use fax_base::line::{Channel, Heard, Listen, Modulation, Training, Transmit};
use fax_t30::frames;

/// V.21's preamble.
const PREAMBLE: Duration = Duration::from_secs(1);
/// Flags are recognised so long after they begin.
const FLAGS_SEEN: Duration = Duration::from_millis(150);
/// A carrier's end is noticed so late.
const DROP_SEEN: Duration = Duration::from_millis(35);
/// Flags before the first frame of an ECM block.
const ECM_FLAGS: Duration = Duration::from_millis(200);
/// A tone is recognised so long after it begins.
const TONE_SEEN: Duration = Duration::from_millis(250);
/// Raw bits are told in portions of so much time.
const PORTION: Duration = Duration::from_millis(40);

/// One thing heard, so long after its transmission began.
#[derive(Clone, Debug)]
pub struct Sound {
    /// When it can be heard.
    pub at: Duration,
    /// What is heard.
    pub heard: Heard,
    /// What the listener must be armed for to hear it; `None` for what is always heard.
    pub armed: Option<Listen>,
}

/// How long the modem trains.
#[must_use]
pub fn training_time(modulation: Modulation, training: Training) -> Duration {
    Duration::from_micros(match (modulation, training) {
        (Modulation::V27ter2400, _) => 943_000,
        (Modulation::V27ter4800, _) => 708_000,
        (Modulation::V29At7200 | Modulation::V29At9600, _) => 253_000,
        (_, Training::Long) => 1_393_000,
        (_, Training::Short) => 142_500,
    })
}

/// The bits of a frame with its FCS, the zeros inserted, and one flag.
fn frame_bits(octets: &[u8]) -> u64 {
    let fcs = hdlc::fcs(octets);
    let all: Vec<u8> = octets.iter().copied().chain(fcs).collect();
    let mut source = OctetBits::new(&all);
    let (mut bits, mut ones) = (8u64, 0);
    while let Some(bit) = source.next_bit() {
        bits += 1;
        ones = if bit { ones + 1 } else { 0 };
        if ones == 5 {
            bits += 1;
            ones = 0;
        }
    }
    bits
}

fn time_of(bits: u64, rate: u32) -> Duration {
    Duration::from_micros(bits * 1_000_000 / u64::from(rate))
}

/// Takes a transmission apart: how long it takes, and what is heard of it.
#[must_use]
pub fn play(transmit: &Transmit) -> (Duration, Vec<Sound>) {
    let mut sounds = Vec::new();
    let mut hear = |at: Duration, heard: Heard, armed: Option<Listen>| {
        sounds.push(Sound { at, heard, armed });
    };
    let length = match transmit {
        Transmit::Silence(length) => *length,
        Transmit::Tone(tone, length) => {
            if *length > TONE_SEEN {
                hear(TONE_SEEN, Heard::Tone(*tone), None);
            }
            *length
        }
        Transmit::Control(list) => {
            let channel = Channel::Control;
            hear(FLAGS_SEEN, Heard::CarrierUp(channel), None);
            let mut at = PREAMBLE;
            for octets in list {
                at += time_of(frame_bits(octets), 300);
                let octets = octets.clone();
                hear(at, Heard::Frame { channel, octets, good: true }, None);
            }
            hear(at + DROP_SEEN, Heard::CarrierDown(channel), None);
            at
        }
        Transmit::Bits { modulation, training, octets } => {
            let (modulation, channel) = (*modulation, Channel::Image(*modulation));
            let framing = fax_base::line::Framing::Raw;
            let armed = Some(Listen::Image { modulation, training: *training, framing });
            let mut at = training_time(modulation, *training);
            hear(at, Heard::CarrierUp(channel), armed);
            let rate = modulation.bit_rate();
            let portion = (u128::from(rate) * PORTION.as_millis() / 8000) as usize;
            for from in (0..octets.len()).step_by(portion) {
                let octets = octets.slice(from..octets.len().min(from + portion));
                at += time_of(octets.len() as u64 * 8, rate);
                hear(at, Heard::Bits { modulation, octets }, armed);
            }
            hear(at + DROP_SEEN, Heard::CarrierDown(channel), armed);
            at
        }
        Transmit::Frames { modulation, training, frames } => {
            let (modulation, channel) = (*modulation, Channel::Image(*modulation));
            let framing = fax_base::line::Framing::Hdlc;
            let armed = Some(Listen::Image { modulation, training: *training, framing });
            let mut at = training_time(modulation, *training);
            hear(at, Heard::CarrierUp(channel), armed);
            at += ECM_FLAGS;
            for octets in frames {
                at += time_of(frame_bits(octets), modulation.bit_rate());
                let octets = octets.clone();
                hear(at, Heard::Frame { channel, octets, good: true }, armed);
            }
            at += Duration::from_millis(50);
            hear(at + DROP_SEEN, Heard::CarrierDown(channel), armed);
            at
        }
    };
    (length, sounds)
}

/// The names of all control frames of a transmission.
#[must_use]
pub fn names(transmit: &Transmit) -> Vec<&'static str> {
    match transmit {
        Transmit::Control(list) => list.iter().map(frames::name_of).collect(),
        Transmit::Silence(_) | Transmit::Tone(..) | Transmit::Bits { .. } | Transmit::Frames { .. } => {
            Vec::new()
        }
    }
}

/// A copy of `octets` with one bit wrong.
#[must_use]
pub fn damaged(octets: &Bytes, bit: usize) -> Bytes {
    let mut copy = octets.to_vec();
    if !copy.is_empty() {
        let i = bit / 8 % copy.len();
        copy[i] ^= 0x80 >> (bit % 8);
    }
    copy.into()
}
