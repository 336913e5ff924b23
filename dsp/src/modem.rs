//! What all modems have in common: the modes, and what a receiver tells (V.27ter, V.29, V.17, V.21).
//!
//! A receiver is given samples in order, and gaps of known length where samples were lost:
//! `receive(&mut self, samples: &[i16], events: &mut Vec<Event>)` and
//! `receive_gap(&mut self, samples: usize, events: &mut Vec<Event>)`. Events and data are one ordered
//! list. A transmitter is asked for samples: `transmit(&mut self, bits: &mut dyn BitSource, out: &mut
//! [i16]) -> usize` fills `out` and says how many samples were made; fewer than asked for means that
//! the signal, its turn-off included, is over.

use fax_base::level::Dbm0;
use fax_base::line::Modulation;

/// A modulation and its rate, as the modem knows them.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Mode {
    /// V.27ter at 2400 bit/s, 1200 Bd.
    V27ter2400,
    /// V.27ter at 4800 bit/s, 1600 Bd.
    V27ter4800,
    /// V.29 at 4800 bit/s, 2400 Bd (never used by Group 3 fax).
    V29At4800,
    /// V.29 at 7200 bit/s, 2400 Bd.
    V29At7200,
    /// V.29 at 9600 bit/s, 2400 Bd.
    V29At9600,
    /// V.17 at 7200 bit/s, 2400 Bd.
    V17At7200,
    /// V.17 at 9600 bit/s, 2400 Bd.
    V17At9600,
    /// V.17 at 12 000 bit/s, 2400 Bd.
    V17At12000,
    /// V.17 at 14 400 bit/s, 2400 Bd.
    V17At14400,
}

impl Mode {
    /// All of them.
    pub const ALL: [Mode; 9] = [
        Mode::V27ter2400,
        Mode::V27ter4800,
        Mode::V29At4800,
        Mode::V29At7200,
        Mode::V29At9600,
        Mode::V17At7200,
        Mode::V17At9600,
        Mode::V17At12000,
        Mode::V17At14400,
    ];

    /// The rate, bit/s.
    #[must_use]
    pub const fn bit_rate(self) -> u32 {
        self.baud() * self.bits_per_symbol()
    }

    /// Symbols a second.
    #[must_use]
    pub const fn baud(self) -> u32 {
        match self {
            Mode::V27ter2400 => 1200,
            Mode::V27ter4800 => 1600,
            Mode::V29At4800
            | Mode::V29At7200
            | Mode::V29At9600
            | Mode::V17At7200
            | Mode::V17At9600
            | Mode::V17At12000
            | Mode::V17At14400 => 2400,
        }
    }

    /// Data bits a symbol.
    #[must_use]
    pub const fn bits_per_symbol(self) -> u32 {
        match self {
            Mode::V27ter2400 | Mode::V29At4800 => 2,
            Mode::V27ter4800 | Mode::V29At7200 | Mode::V17At7200 => 3,
            Mode::V29At9600 | Mode::V17At9600 => 4,
            Mode::V17At12000 => 5,
            Mode::V17At14400 => 6,
        }
    }

    /// The carrier, Hz.
    #[must_use]
    pub const fn carrier(self) -> u32 {
        match self {
            Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600 => 1700,
            Mode::V27ter2400
            | Mode::V27ter4800
            | Mode::V17At7200
            | Mode::V17At9600
            | Mode::V17At12000
            | Mode::V17At14400 => 1800,
        }
    }
}

impl From<Modulation> for Mode {
    fn from(modulation: Modulation) -> Self {
        match modulation {
            Modulation::V27ter2400 => Mode::V27ter2400,
            Modulation::V27ter4800 => Mode::V27ter4800,
            Modulation::V29At7200 => Mode::V29At7200,
            Modulation::V29At9600 => Mode::V29At9600,
            Modulation::V17At7200 => Mode::V17At7200,
            Modulation::V17At9600 => Mode::V17At9600,
            Modulation::V17At12000 => Mode::V17At12000,
            Modulation::V17At14400 => Mode::V17At14400,
        }
    }
}

/// What a receiver has to tell, in order.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Event {
    /// A signal with this modem's structure began: its training, or V.21's tones.
    CarrierUp,
    /// The training was followed; data come next. V.21, which has none, never says this.
    Trained(Quality),
    /// A signal came that could not be trained on. The receiver waits for the next.
    TrainingFailed,
    /// Data: the low `count` bits of `bits`, the first received of them highest.
    Bits {
        /// The bits.
        bits: u32,
        /// How many, 1 to 32.
        count: u8,
    },
    /// So many bits are missing here: their samples were lost.
    Erased {
        /// How many.
        bits: u32,
    },
    /// The signal is over.
    CarrierDown,
}

/// How well a signal is received.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Quality {
    /// Its level.
    pub level: Dbm0,
    /// Signal to noise at the decision, dB, noise in a band as wide as the symbol rate.
    pub snr_db: f32,
    /// The carrier's distance from nominal, Hz.
    pub offset_hz: f32,
    /// The symbol clock's distance from nominal, parts per million.
    pub clock_ppm: f32,
}
