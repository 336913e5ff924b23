//! Losses that nobody tells of: many a gateway puts silence into a gap, or the packet before it once more.
//!
//! A line that carries a signal is never silent to the last bit, and no signal of a fax repeats a packet
//! exactly unless it has been periodic before (a tone, the alternation of a training, V.21's long runs). What is found out is told to the receivers as a loss.

/// Silence in a signal is held for so many samples (60 ms) to see whether the signal goes on.
const LONGEST_HELD: usize = 480;
/// The largest sample of silence: A-law has no zero.
const SILENCE: i16 = 8;
/// Packets are remembered up to this length, 60 ms in samples.
const LONGEST_PACKET: usize = 480;
/// Fewer samples say nothing.
const SHORTEST_PACKET: usize = 2 * PERIOD;
/// Tones and the alternations of trainings have periods of which this is a multiple, in samples.
const PERIOD: usize = 80;
/// More packets in a row are the same only because the signal is.
const REPEATS: u32 = 2;
/// Samples before a packet that tell whether the signal had the packet's length as its period already.
const BEFORE: usize = 3;

/// What to make of samples.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// They are the far end's; before them so many were lost.
    Audio { lost: usize },
    /// They may stand for lost ones: what comes next will show.
    Held,
    /// They stand for lost ones, and so many before them did.
    Lost { lost: usize },
    /// The signal is over: so many samples of silence were held.
    Over { silent: usize },
}

/// Looks for losses.
#[derive(Debug)]
pub(super) struct Gaps {
    last: Vec<i16>,
    /// The last samples before that packet.
    before: [i16; BEFORE],
    /// How often it has been repeated.
    repeats: u32,
    held: usize,
}

impl Gaps {
    pub(super) fn new() -> Self {
        Gaps { last: Vec::with_capacity(LONGEST_PACKET), before: [0; BEFORE], repeats: 0, held: 0 }
    }

    /// More is told to be lost: what was held is lost too.
    pub(super) fn lost(&mut self) -> usize {
        self.last.clear();
        core::mem::take(&mut self.held)
    }

    /// Judges a packet's samples; `in_signal` says whether a signal is being received that cannot end here.
    pub(super) fn judge(&mut self, samples: &[i16], in_signal: bool) -> Verdict {
        if in_signal && samples.iter().all(|sample| (-SILENCE..=SILENCE).contains(sample)) {
            self.held += samples.len();
            return if self.held <= LONGEST_HELD {
                Verdict::Held
            } else {
                Verdict::Over { silent: core::mem::take(&mut self.held) - samples.len() }
            };
        }
        let lost = core::mem::take(&mut self.held);
        if self.repeats < REPEATS && self.is_repeated(samples) {
            self.repeats += 1;
            return Verdict::Lost { lost };
        }
        self.repeats = 0;
        if let Some(before) = self.last.last_chunk() {
            self.before = *before;
        }
        self.last.clear();
        if samples.len() <= LONGEST_PACKET {
            self.last.extend_from_slice(samples);
        }
        Verdict::Audio { lost }
    }

    fn is_repeated(&self, samples: &[i16]) -> bool {
        let periodic = samples.iter().zip(samples.get(PERIOD..).unwrap_or_default()).all(|(a, b)| a == b);
        samples.len() >= SHORTEST_PACKET
            && samples == self.last
            && !periodic
            && samples.last_chunk().is_some_and(|end| *end != self.before)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u32) -> Vec<i16> {
        let mut x = seed;
        let next = || {
            x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (x >> 18) as i16
        };
        core::iter::repeat_with(next).take(160).collect()
    }

    #[test]
    fn silence_in_a_signal_is_a_loss_only_when_the_signal_goes_on() {
        let mut gaps = Gaps::new();
        let silence = [-8; 160];
        assert_eq!(gaps.judge(&noise(1), true), Verdict::Audio { lost: 0 });
        assert_eq!(gaps.judge(&silence, true), Verdict::Held);
        assert_eq!(gaps.judge(&silence, true), Verdict::Held);
        assert_eq!(gaps.judge(&noise(2), true), Verdict::Audio { lost: 320 });
        for _ in 0..3 {
            assert_eq!(gaps.judge(&silence, true), Verdict::Held);
        }
        assert_eq!(gaps.judge(&silence, true), Verdict::Over { silent: 480 });
        assert_eq!(gaps.judge(&silence, false), Verdict::Audio { lost: 0 });
    }

    #[test]
    fn a_packet_repeated_is_a_loss_but_a_tone_is_not() {
        let mut gaps = Gaps::new();
        for (packet, verdict) in [
            (noise(1), Verdict::Audio { lost: 0 }),
            (noise(1), Verdict::Lost { lost: 0 }),
            (noise(1), Verdict::Lost { lost: 0 }),
            (noise(2), Verdict::Audio { lost: 0 }),
        ] {
            assert_eq!(gaps.judge(&packet, true), verdict);
        }
        // V.21's space, the alternation of V.17 with its carrier, CNG.
        for hertz in [&[1850.0][..], &[600.0, 1800.0, 3000.0], &[1100.0]] {
            let tone = |at: i32| {
                let turns = hertz.iter().map(|hz| hz / 8000.0 * f64::from(at));
                (turns.map(|t| (t * core::f64::consts::TAU).sin()).sum::<f64>() * 3000.0).round() as i16
            };
            let tone: Vec<i16> = (0..160).map(tone).collect();
            // It begins a little before a packet does.
            let beginning: Vec<i16> = noise(9)[..150].iter().chain(&tone[150..]).copied().collect();
            for packet in [&beginning, &tone, &tone, &tone] {
                assert_eq!(gaps.judge(packet, true), Verdict::Audio { lost: 0 }, "{hertz:?}");
            }
            // Or with a packet: at worst two are taken for lost, and only where the period is a packet's.
            let lost = [&vec![0; 160], &tone, &tone, &tone, &tone, &tone, &tone]
                .iter()
                .filter(|packet| gaps.judge(packet, true) == Verdict::Lost { lost: 0 })
                .count();
            assert!(lost <= if hertz == [1850.0] { 2 } else { 0 }, "{hertz:?}: {lost}");
        }
    }
}
