//! What leaves for the far end: silence, tones, V.21 and the fast modems, one after the other, on the
//! clock of the samples that are asked for (T.30 §4, §5.3; T.4 Annex A for the flags of ECM).

use crate::api::AudioOptions;
use bytes::Bytes;
use core::time::Duration;
use fax_base::bits::BitSource;
use fax_base::hdlc::Framer;
use fax_base::line::{Modulation, Tone, Training, Transmit};
use fax_base::time::SAMPLE_RATE;
use fax_dsp::modem::Mode;
use fax_dsp::{FskTransmitter, QamTransmitter, ToneGenerator};
use std::collections::VecDeque;

/// Flags before the frames of a V.21 burst, at 300 bit/s: 1 s ± 15 % (T.30 §5.3.1).
const PREAMBLE_FLAGS: u32 = 33;
/// Flags behind the last frame of a V.21 burst and its own: its end is not lost with the carrier.
const CLOSING_FLAGS: u32 = 1;
/// Flags at the beginning of a burst with ECM: 200 ms (T.4 Annex A.3.1).
const ECM_FLAGS_MS: u32 = 200;
/// Flags after the last RCP: below 50 ms (T.4 Annex A.3.1).
const ECM_CLOSING_MS: u32 = 20;

/// What is on the line now.
#[derive(Debug)]
enum Signal {
    Quiet { left: usize },
    Tone { generator: ToneGenerator, left: usize },
    Control { modem: Box<FskTransmitter>, bits: Framer },
    Bits { modem: Box<QamTransmitter>, bits: RawBits },
    Frames { modem: Box<QamTransmitter>, bits: Framer },
}

/// The sender: what is on the line and what waits for it.
#[derive(Debug)]
pub(super) struct Sending {
    options: AudioOptions,
    now: Option<Signal>,
    queue: VecDeque<Transmit>,
    /// A modem of ours is on the line, or was, and more is waiting.
    modem: bool,
}

impl Sending {
    pub(super) fn new(options: AudioOptions) -> Self {
        Sending { options, now: None, queue: VecDeque::new(), modem: false }
    }

    /// Sends this after everything that was given before.
    pub(super) fn push(&mut self, transmit: Transmit) {
        self.queue.push_back(transmit);
    }

    /// Stops at once and forgets what waits.
    pub(super) fn stop(&mut self) {
        self.queue.clear();
        self.now = None;
        self.modem = false;
    }

    /// Whether anything is being sent or waits.
    pub(super) fn is_busy(&self) -> bool {
        self.now.is_some() || !self.queue.is_empty()
    }

    /// Whether a modem of ours is on the line, or was, and more is waiting.
    pub(super) fn is_modem(&self) -> bool {
        self.modem
    }

    /// Fills `out`; fewer samples mean that everything has left.
    pub(super) fn transmit(&mut self, out: &mut [i16]) -> usize {
        let mut made = 0;
        while let Some(rest) = out.get_mut(made..).filter(|rest| !rest.is_empty()) {
            let signal = match self.now.take() {
                Some(signal) => signal,
                None => match self.queue.pop_front() {
                    Some(transmit) => self.begin(transmit),
                    None => break,
                },
            };
            let room = rest.len();
            let (signal, count) = signal.transmit(rest);
            made += count;
            if count == room {
                self.now = Some(signal);
            }
        }
        self.modem &= self.is_busy();
        made
    }

    fn begin(&mut self, transmit: Transmit) -> Signal {
        self.modem |= match transmit {
            Transmit::Silence(_) | Transmit::Tone(..) => false,
            Transmit::Control(_) | Transmit::Bits { .. } | Transmit::Frames { .. } => true,
        };
        let AudioOptions { level, talker_echo_protection } = self.options;
        let fast = |modulation: Modulation, training: Training| {
            Box::new(QamTransmitter::new(Mode::from(modulation), training, talker_echo_protection, level))
        };
        match transmit {
            Transmit::Silence(length) => Signal::Quiet { left: samples(length) },
            Transmit::Tone(tone, length) => Signal::Tone {
                generator: match tone {
                    Tone::Cng => ToneGenerator::cng(level),
                    // The reversals keep echo cancellers out of the way of the modems to come.
                    Tone::Ced => ToneGenerator::ced(level, true),
                },
                left: samples(length),
            },
            Transmit::Control(frames) => Signal::Control {
                modem: Box::new(FskTransmitter::v21_channel_2(level)),
                bits: Framer::new(PREAMBLE_FLAGS, frames, CLOSING_FLAGS),
            },
            Transmit::Bits { modulation, training, octets } => {
                Signal::Bits { modem: fast(modulation, training), bits: RawBits { octets, next: 0 } }
            }
            Transmit::Frames { modulation, training, frames } => {
                let flags = |ms: u32| (modulation.bit_rate() * ms).div_ceil(8_000);
                Signal::Frames {
                    modem: fast(modulation, training),
                    bits: Framer::new(flags(ECM_FLAGS_MS), frames, flags(ECM_CLOSING_MS)),
                }
            }
        }
    }
}

impl Signal {
    /// Fills `out`; fewer samples mean that this signal is over.
    fn transmit(mut self, out: &mut [i16]) -> (Self, usize) {
        let count = match &mut self {
            Signal::Quiet { left } => {
                let part = part(out, *left);
                part.fill(0);
                *left -= part.len();
                part.len()
            }
            Signal::Tone { generator, left } => {
                let part = part(out, *left);
                generator.transmit(part);
                *left -= part.len();
                part.len()
            }
            Signal::Control { modem, bits } => modem.transmit(bits, out),
            Signal::Bits { modem, bits } => modem.transmit(bits, out),
            Signal::Frames { modem, bits } => modem.transmit(bits, out),
        };
        (self, count)
    }
}

fn part(out: &mut [i16], most: usize) -> &mut [i16] {
    let length = out.len().min(most);
    out.split_at_mut(length).0
}

fn samples(length: Duration) -> usize {
    let samples = length.as_micros().saturating_mul(u128::from(SAMPLE_RATE)) / 1_000_000;
    usize::try_from(samples).unwrap_or(usize::MAX)
}

/// The bits of a page or a training check.
#[derive(Debug)]
struct RawBits {
    octets: Bytes,
    /// The next bit.
    next: usize,
}

impl BitSource for RawBits {
    fn next_bit(&mut self) -> Option<bool> {
        let (bits, count) = self.next_bits(1);
        (count == 1).then_some(bits == 1)
    }

    fn next_bits(&mut self, count: u32) -> (u32, u32) {
        let (octet, bit) = (self.next / 8, (self.next % 8) as u32);
        // 32 bits lie in at most five octets.
        let window = (octet..octet + 5)
            .fold(0u64, |window, i| window << 8 | u64::from(self.octets.get(i).copied().unwrap_or(0)));
        let left = self.octets.len() * 8 - self.next;
        let count = count.min(32).min(u32::try_from(left).unwrap_or(u32::MAX));
        self.next += count as usize;
        let mask = (1u64 << count) - 1;
        ((window >> (40 - bit - count) & mask) as u32, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_in_printed_order_however_many_are_asked_for() {
        let octets = Bytes::from_iter((0..50u8).map(|i| i.wrapping_mul(37)));
        let want: Vec<bool> = {
            let mut bits = RawBits { octets: octets.clone(), next: 0 };
            core::iter::from_fn(|| bits.next_bit()).collect()
        };
        let printed: Vec<bool> =
            octets.iter().flat_map(|octet| (0..8).map(move |i| octet << i & 0x80 != 0)).collect();
        assert_eq!(want, printed);
        for size in [2, 3, 5, 6, 7, 31, 32] {
            let mut bits = RawBits { octets: octets.clone(), next: 0 };
            let mut got = Vec::new();
            loop {
                let (word, count) = bits.next_bits(size);
                got.extend((0..count).rev().map(|i| word >> i & 1 == 1));
                if count < size {
                    break;
                }
            }
            assert_eq!(got, want, "{size}");
            assert_eq!(bits.next_bits(size), (0, 0));
        }
    }

    #[test]
    fn silence_and_tones_are_as_long_as_they_were_asked_to_be() {
        let mut sending = Sending::new(AudioOptions::default());
        assert!(!sending.is_busy());
        sending.push(Transmit::Silence(Duration::from_millis(75)));
        sending.push(Transmit::Tone(Tone::Cng, Duration::from_millis(500)));
        let mut block = [1; 160];
        let mut all = Vec::new();
        loop {
            let made = sending.transmit(&mut block);
            all.extend_from_slice(&block[..made]);
            if made < block.len() {
                break;
            }
        }
        assert!(!sending.is_busy());
        assert_eq!(all.len(), 600 + 4000);
        assert!(all[..600].iter().all(|s| *s == 0));
        assert!(all[601..].windows(20).all(|w| w.iter().any(|s| *s != 0)));
    }
}
