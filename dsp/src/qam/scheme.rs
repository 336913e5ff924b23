//! Each modulation as data: carrier, pulse, known training, points.

use super::front::Bank;
use crate::modem::Mode;
use crate::{v17, v27ter, v29};
use core::f32::consts::TAU;
use fax_base::line::Training;
use std::sync::OnceLock;

/// Symbols of the known sequence by which its beginning is found.
pub(super) const TEMPLATE: usize = 96;
/// They are correlated in pieces so short that no carrier offset matters.
pub(super) const PIECE: usize = 32;

/// A modulation.
pub(super) struct Scheme {
    pub(super) mode: Mode,
    pub(super) bank: Bank,
    /// Turns of the carrier in a symbol, whole ones left out.
    pub(super) turn: f32,
    /// Length of the equaliser, halves of symbols.
    pub(super) taps: usize,
    /// The two states of the alternation that begins the training.
    pub(super) alternation: [[f32; 2]; 2],
    /// Blocks of 16 symbols of alternation that are waited for before it is believed.
    pub(super) blocks: usize,
    /// The known symbols after the alternation, long training.
    pub(super) known: Vec<[f32; 2]>,
    /// The beginning of `known`, with the carrier's turning, conjugate.
    pub(super) template: Vec<[f32; 2]>,
    /// The template explains at least this much of the power where it lies right, and less of the
    /// alternation.
    pub(super) least_match: f32,
    /// How many of `known` the equaliser is solved from.
    pub(super) solve: usize,
    /// Symbols after `known` that are one of four states but not known (V.17 segment 3).
    pub(super) bridge: usize,
    /// Symbols of scrambled ones in the coding of data.
    pub(super) ones: usize,
    /// Known symbols in short training; 0 when there is none.
    pub(super) short: usize,
    /// Mean power of the data.
    pub(super) power: f32,
}

impl Scheme {
    /// The one for a mode, made once.
    pub(super) fn of(mode: Mode) -> &'static Scheme {
        static ALL: [OnceLock<Scheme>; 9] = [const { OnceLock::new() }; 9];
        let index = match mode {
            Mode::V27ter2400 => &ALL[0],
            Mode::V27ter4800 => &ALL[1],
            Mode::V29At4800 => &ALL[2],
            Mode::V29At7200 => &ALL[3],
            Mode::V29At9600 => &ALL[4],
            Mode::V17At7200 => &ALL[5],
            Mode::V17At9600 => &ALL[6],
            Mode::V17At12000 => &ALL[7],
            Mode::V17At14400 => &ALL[8],
        };
        index.get_or_init(|| Scheme::new(mode))
    }

    fn new(mode: Mode) -> Scheme {
        let (carrier, baud) = (mode.carrier(), mode.baud());
        let turn = (carrier as f32 / baud as f32).fract();
        let phase = |reversed: bool| if reversed { [-1.0, 0.0] } else { [1.0, 0.0] };
        let mut scheme = match mode {
            Mode::V27ter2400 | Mode::V27ter4800 => Scheme {
                mode,
                bank: Bank::new(carrier, baud, 0.5),
                turn,
                taps: 16,
                alternation: [phase(true), phase(false)],
                blocks: 2,
                known: v27ter::TrainingPhases::new(Training::Long)
                    .skip(v27ter::segment_3(Training::Long))
                    .map(phase)
                    .collect(),
                template: Vec::new(),
                least_match: 0.4,
                solve: 320,
                bridge: 0,
                ones: v27ter::SEGMENT_5,
                short: 0,
                power: 1.0,
            },
            Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => {
                let [a, b, c, d] = v29::states(mode);
                Scheme {
                    mode,
                    bank: Bank::new(carrier, baud, 0.25),
                    turn,
                    taps: 40,
                    alternation: [a, b],
                    blocks: 3,
                    known: v29::Segment3::new().take(v29::SEGMENT_3).map(|x| if x { d } else { c }).collect(),
                    template: Vec::new(),
                    // At 4800 bit/s half of the alternation's power is in what the template has too.
                    least_match: if mode == Mode::V29At4800 { 0.6 } else { 0.4 },
                    solve: v29::SEGMENT_3,
                    bridge: 0,
                    ones: v29::SEGMENT_4,
                    short: 0,
                    power: v29::power(mode),
                }
            }
            Mode::V17At7200 | Mode::V17At9600 | Mode::V17At12000 | Mode::V17At14400 => Scheme {
                mode,
                bank: Bank::new(carrier, baud, 0.25),
                turn,
                taps: 40,
                alternation: [v17::STATES[0], v17::STATES[1]],
                blocks: 4,
                known: v17::TrainingStates::new(Training::Long)
                    .skip(v17::SEGMENT_1)
                    .take(v17::SEGMENT_2_LONG)
                    .map(|s| v17::STATES[usize::from(s & 3)])
                    .collect(),
                template: Vec::new(),
                least_match: 0.4,
                solve: 384,
                bridge: v17::SEGMENT_3,
                ones: v17::SEGMENT_4,
                short: v17::SEGMENT_2_SHORT,
                power: 40.0,
            },
        };
        scheme.template = scheme
            .known
            .iter()
            .zip(0u16..)
            .take(TEMPLATE)
            .map(|(&[x, y], k)| {
                let (sin, cos) = (TAU * (turn * f32::from(k)).fract()).sin_cos();
                // conj(s·e^{jφ})
                [x * cos - y * sin, -(x * sin + y * cos)]
            })
            .collect();
        scheme
    }
}
