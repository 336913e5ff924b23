//! What goes into a [`crate::Gateway`] and what comes out of it.

use bytes::Bytes;
use fax_base::level::Dbm0;
use fax_base::line::{Modulation, Tone, Training};
use fax_dsp::g711::Law;
pub use fax_dsp::listening::Signal;
use fax_dsp::tone::USUAL_LEVEL;
use fax_t30::Role;

/// What becomes of NSF, NSC and NSS: with them two machines of one maker may agree on signals that no gateway knows.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Nonstandard {
    /// They pass.
    Pass,
    /// Country and maker are overwritten with zeros, so that nobody knows them.
    Overwrite,
}

/// How a gateway behaves.
#[derive(Clone, PartialEq, Debug)]
pub struct Config {
    /// What was agreed by SDP for the T.38 side.
    pub t38: fax_t38::Config,
    /// The fastest rate that either end is told of, bit/s (the lower T38MaxBitRate).
    pub max_rate: u32,
    /// Whether the ends may correct errors (ECM, T.30 Annex A).
    pub ecm: bool,
    /// What becomes of non-standard facilities.
    pub nonstandard: Nonstandard,
    /// The level of everything that is sent in audio.
    pub level: Dbm0,
    /// Some 200 ms of plain carrier before fast modems' trainings.
    pub talker_echo_protection: bool,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            t38: fax_t38::Config::default(),
            max_rate: 14_400,
            ecm: true,
            nonstandard: Nonstandard::Overwrite,
            level: USUAL_LEVEL,
            talker_echo_protection: false,
        }
    }
}

/// What happened.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Input<'a> {
    /// 20 ms (or any number of samples) of linear 8 kHz audio came, in order.
    Audio(&'a [i16]),
    /// The same as it came over RTP: octets of G.711.
    G711(Law, &'a [u8]),
    /// This many samples of audio were lost here.
    AudioLost(usize),
    /// A UDPTL packet came.
    Datagram(&'a [u8]),
    /// [`crate::Gateway::deadline`] has come.
    Timeout,
}

/// What the gateway wants done. Audio to be sent is fetched with `transmit_audio`.
#[derive(Clone, PartialEq, Debug)]
pub enum Output {
    /// Send this UDPTL packet.
    Datagram(Bytes),
    /// Something worth telling.
    Event(Event),
}

/// The two sides of a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Side {
    /// Modems over G.711.
    Audio,
    /// UDPTL.
    T38,
}

/// What passes through a gateway.
#[derive(Clone, PartialEq, Debug)]
pub enum Event {
    /// A tone came.
    Tone {
        /// From where.
        side: Side,
        /// Which.
        tone: Tone,
    },
    /// A control frame came.
    Frame {
        /// From where.
        side: Side,
        /// Who sent it, by its own words.
        sender: Role,
        /// Its name as printed in T.30.
        name: &'static str,
        /// Its octets as they came, from the address on.
        octets: Bytes,
        /// It was passed on with other bits.
        edited: bool,
    },
    /// A control frame came that could not be read.
    FrameBad(Side),
    /// A fast modem's signal began.
    Began {
        /// From where.
        side: Side,
        /// Modulation and rate.
        modulation: Modulation,
        /// The form of its training.
        training: Training,
    },
    /// A fast modem's signal was passed on.
    Passed {
        /// From where.
        side: Side,
        /// Modulation and rate.
        modulation: Modulation,
        /// Octets of raw bits.
        octets: u64,
        /// Frames with a good FCS.
        frames: u32,
        /// Frames that came damaged.
        bad_frames: u32,
        /// Octets that were lost on the way here and filled in.
        lost: u64,
    },
    /// A training check came, and this is how it looks here.
    TrainingCheck {
        /// Modulation and rate.
        modulation: Modulation,
        /// Whether it is good.
        good: bool,
    },
    /// How well a fast modem's signal is received in audio.
    Signal(Signal),
}

/// Counters of a gateway.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Statistics {
    /// Those of the T.38 side.
    pub t38: fax_t38::Statistics,
    /// Frames towards audio that were cut off because their end did not come in time.
    pub frames_aborted: u64,
    /// Bits of fill put into pages because data came late.
    pub fill_bits: u64,
}
