//! The transmitter of V.27ter, V.29 and V.17: turn-on, data, turn-off (V.27ter §4, V.29 §8, V.17 §5).
//!
//! Each modulation is data: its symbols come from [`crate::v27ter`], [`crate::v29`] and [`crate::v17`], its
//! shape from a table, and the rest is shared.

use crate::modem::Mode;
use crate::pulse::{BLOCK, Pulse, REACH};
use crate::scrambler::{GuardedScrambler, Scrambler};
use crate::{v17, v27ter, v29};
use fax_base::bits::BitSource;
use fax_base::level::Dbm0;
use fax_base::line::Training;

/// Talker echo protection: milliseconds of carrier (185 to 200) and of silence (20 to 25) before the training.
const ECHO_CARRIER_MS: u32 = 192;
const ECHO_SILENCE_MS: u32 = 22;

/// A transmitter of one burst.
#[derive(Clone, Debug)]
pub struct QamTransmitter {
    bits_per_symbol: u32,
    coder: Coder,
    /// By label.
    points: &'static [[f32; 2]],
    /// The amplitude of the plain carrier, in the units of the points.
    carrier: f32,
    stage: Stage,
    /// Symbols that the stage still has.
    left: u32,
    turn_off: u32,
    pulse: &'static Pulse,
    /// The carrier's phase at a symbol, with the gain.
    turns: [[f32; 2]; 24],
    turn: usize,
    /// The symbols in reach, oldest first.
    symbols: [[f32; 2]; REACH],
    block: [i16; BLOCK],
    /// The next of `block` to go out; BLOCK when there is none.
    next: usize,
}

/// What is being sent.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Stage {
    EchoCarrier,
    EchoSilence,
    /// The training up to the scrambled ones.
    Training,
    /// Scrambled ones in the coding of data, which end the training.
    Ones,
    Data,
    TurnOff,
    /// The last symbols' pulses die away.
    Tail,
    Over,
}

/// Where the symbols come from.
#[derive(Clone, Debug)]
enum Coder {
    V17 {
        states: v17::TrainingStates,
        scrambler: Scrambler,
        encoder: v17::Encoder,
    },
    V29 {
        states: [[f32; 2]; 4],
        symbol: usize,
        segment_3: v29::Segment3,
        scrambler: Scrambler,
        encoder: v29::Encoder,
    },
    V27ter {
        mode: Mode,
        phases: v27ter::TrainingPhases,
        scrambler: GuardedScrambler,
        encoder: v27ter::Encoder,
    },
}

impl QamTransmitter {
    /// A transmitter that will send its training, then data until there are no more.
    ///
    /// `level` is the mean power of the signal: of V.27ter's and V.29's data, and of V.17's training and
    /// its data at 7200 and 9600 bit/s; V.17's figures put 12 000 bit/s 0.21 dB and 14 400 bit/s 0.11 dB above
    /// that. Only V.17 has a short training that fax uses: the others are sent as they always are.
    /// Talker echo protection is 192 ms of carrier and 22 ms of silence before the training. The silences at
    /// the ends, V.29's segment 1 and that of the turn-off, are part of the pauses that T.30 keeps around
    /// every signal.
    #[must_use]
    pub fn new(mode: Mode, training: Training, talker_echo_protection: bool, level: Dbm0) -> Self {
        let pulse = Pulse::of(mode);
        let (coder, points, power, turn_off) = match mode {
            Mode::V17At7200 | Mode::V17At9600 | Mode::V17At12000 | Mode::V17At14400 => {
                let states = v17::TrainingStates::new(training);
                let (scrambler, encoder) = (states.scrambler(), v17::Encoder::new(mode, training));
                let coder = Coder::V17 { states, scrambler, encoder };
                (coder, v17::constellation(mode), v17::TRAINING_POWER, 32)
            }
            Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => {
                let coder = Coder::V29 {
                    states: v29::states(mode),
                    symbol: 0,
                    segment_3: v29::Segment3::new(),
                    scrambler: Scrambler::new(0),
                    encoder: v29::Encoder::new(mode),
                };
                (coder, v29::constellation(mode), v29::power(mode), 24)
            }
            Mode::V27ter2400 | Mode::V27ter4800 => {
                let phases = v27ter::TrainingPhases::new(Training::Long);
                let (scrambler, encoder) = (phases.scrambler(), phases.encoder(mode));
                let coder = Coder::V27ter { mode, phases, scrambler, encoder };
                // 7.5 ms of the 5 to 10 that are allowed.
                (coder, v27ter::constellation(mode), 1.0, mode.baud() * 3 / 400)
            }
        };
        // Mean square wanted, over that of unit gain.
        let gain = level.sine_amplitude() / (2.0 * power * pulse.power()).sqrt();
        let turns = core::array::from_fn(|i| {
            let (sin, cos) = (i as f32 / 24.0 * core::f32::consts::TAU).sin_cos();
            [gain * cos, gain * sin]
        });
        let (stage, left) = if talker_echo_protection {
            (Stage::EchoCarrier, mode.baud() * ECHO_CARRIER_MS / 1000)
        } else {
            (Stage::Training, 0)
        };
        QamTransmitter {
            bits_per_symbol: mode.bits_per_symbol(),
            coder,
            points,
            carrier: power.sqrt(),
            stage,
            left,
            turn_off,
            pulse,
            turns,
            turn: 0,
            symbols: [[0.0; 2]; REACH],
            block: [0; BLOCK],
            next: BLOCK,
        }
    }

    /// Makes the next samples, asking for data as they are needed; the last symbol is filled with ones.
    /// Fewer than `out` holds mean that the signal is over.
    pub fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize {
        let mut made = 0;
        while made < out.len() {
            let ready = self.block.get(self.next..).unwrap_or_default();
            if ready.is_empty() {
                if self.stage == Stage::Over {
                    break;
                }
                self.make_block(bits);
                continue;
            }
            let room = out.get_mut(made..).unwrap_or_default();
            let count = ready.len().min(room.len());
            for (to, from) in room.iter_mut().zip(ready) {
                *to = *from;
            }
            made += count;
            self.next += count;
        }
        made
    }

    fn make_block(&mut self, bits: &mut dyn BitSource) {
        let rows = self.pulse.rows.as_slice();
        let begin = self.pulse.symbols;
        self.symbols.copy_within(begin..rows.len(), 0);
        for i in rows.len() - begin..rows.len() {
            let [x, y] = self.next_symbol(bits);
            let [cos, sin] = self.turns.get(self.turn).copied().unwrap_or_default();
            self.turn = (self.turn + self.pulse.turn) % 24;
            if let Some(symbol) = self.symbols.get_mut(i) {
                *symbol = [x * cos - y * sin, x * sin + y * cos];
            }
        }
        let mut sum = [0f32; BLOCK];
        for ([re, im], [by_re, by_im]) in self.symbols.iter().zip(rows) {
            for t in 0..BLOCK {
                sum[t] += re * by_re[t] + im * by_im[t];
            }
        }
        for (sample, value) in self.block.iter_mut().zip(sum) {
            *sample = to_sample(value);
        }
        self.next = 0;
    }

    fn next_symbol(&mut self, bits: &mut dyn BitSource) -> [f32; 2] {
        loop {
            match self.stage {
                Stage::Data => {
                    let wanted = self.bits_per_symbol;
                    let (word, got) = bits.next_bits(wanted);
                    if got == wanted {
                        return self.coded(word);
                    }
                    (self.stage, self.left) = (Stage::TurnOff, self.turn_off);
                    if got > 0 {
                        let missing = wanted - got;
                        return self.coded((word << missing) | ((1 << missing) - 1));
                    }
                }
                Stage::Training => match self.training_symbol() {
                    Some(symbol) => return symbol,
                    None => (self.stage, self.left) = (Stage::Ones, self.end_training()),
                },
                Stage::Over => return [0.0; 2],
                counted => match self.left.checked_sub(1) {
                    Some(left) => {
                        self.left = left;
                        return match counted {
                            Stage::EchoCarrier => [self.carrier, 0.0],
                            Stage::Ones | Stage::TurnOff => self.coded((1 << self.bits_per_symbol) - 1),
                            Stage::EchoSilence
                            | Stage::Tail
                            | Stage::Training
                            | Stage::Data
                            | Stage::Over => [0.0; 2],
                        };
                    }
                    None => self.end_stage(),
                },
            }
        }
    }

    /// From a stage of so many symbols to the one after it.
    fn end_stage(&mut self) {
        (self.stage, self.left) = match self.stage {
            Stage::EchoCarrier => (Stage::EchoSilence, self.pulse.baud() * ECHO_SILENCE_MS / 1000),
            Stage::EchoSilence => (Stage::Training, 0),
            Stage::Training => (Stage::Ones, 0),
            Stage::Ones => (Stage::Data, 0),
            Stage::Data => (Stage::TurnOff, self.turn_off),
            Stage::TurnOff => (Stage::Tail, self.pulse.span as u32),
            Stage::Tail | Stage::Over => (Stage::Over, 0),
        };
    }

    /// The next symbol of the training before its scrambled ones.
    fn training_symbol(&mut self) -> Option<[f32; 2]> {
        match &mut self.coder {
            Coder::V17 { states, .. } => {
                states.next().and_then(|state| v17::STATES.get(usize::from(state)).copied())
            }
            Coder::V29 { states: [a, b, c, d], symbol, segment_3, .. } => {
                let n = *symbol;
                *symbol += 1;
                if n < v29::SEGMENT_2 {
                    Some(if n & 1 == 0 { *a } else { *b })
                } else if n < v29::SEGMENT_2 + v29::SEGMENT_3 {
                    segment_3.next().map(|one| if one { *d } else { *c })
                } else {
                    None
                }
            }
            Coder::V27ter { phases, .. } => {
                phases.next().map(|turned| [if turned { -1.0 } else { 1.0 }, 0.0])
            }
        }
    }

    /// The coding of data begins where the training left it. Tells how many symbols of ones come first.
    fn end_training(&mut self) -> u32 {
        match &mut self.coder {
            Coder::V17 { states, scrambler, .. } => {
                *scrambler = states.scrambler();
                v17::SEGMENT_4 as u32
            }
            Coder::V29 { .. } => v29::SEGMENT_4 as u32,
            Coder::V27ter { mode, phases, scrambler, encoder } => {
                *scrambler = phases.scrambler();
                *encoder = phases.encoder(*mode);
                v27ter::SEGMENT_5 as u32
            }
        }
    }

    /// The symbol of these bits.
    #[inline]
    fn coded(&mut self, bits: u32) -> [f32; 2] {
        let count = self.bits_per_symbol;
        let label = match &mut self.coder {
            Coder::V17 { scrambler, encoder, .. } => encoder.encode(scrambler.scramble(bits, count)),
            Coder::V29 { scrambler, encoder, .. } => encoder.encode(scrambler.scramble(bits, count)),
            Coder::V27ter { scrambler, encoder, .. } => encoder.encode(scrambler.scramble(bits, count)),
        };
        self.points.get(label).copied().unwrap_or_default()
    }
}

/// The nearest sample: adding 1.5 · 2²³ leaves it in the low bits.
#[inline]
fn to_sample(value: f32) -> i16 {
    (value.clamp(-32_768.0, 32_767.0) + 12_582_912.0).to_bits() as i16
}
