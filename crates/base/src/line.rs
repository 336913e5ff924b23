//! The half-duplex fax line: the words in which T.30 speaks and listens, whatever carries them.
//!
//! T.30 asks for [`Transmit`]s, says what it [`Listen`]s for, and is told what was [`Heard`]. A bank
//! of modems over G.711 answers these words with samples, T.38 with packets; T.30 cannot tell which.
//! All octets are in printed order (see [`crate::bits`]); frames are without flags, zero insertion
//! and FCS.

use bytes::Bytes;
use core::fmt;
use core::time::Duration;

/// A modulation and its rate.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Modulation {
    /// V.27ter at 2400 bit/s.
    V27ter2400,
    /// V.27ter at 4800 bit/s.
    V27ter4800,
    /// V.29 at 7200 bit/s.
    V29At7200,
    /// V.29 at 9600 bit/s.
    V29At9600,
    /// V.17 at 7200 bit/s.
    V17At7200,
    /// V.17 at 9600 bit/s.
    V17At9600,
    /// V.17 at 12 000 bit/s.
    V17At12000,
    /// V.17 at 14 400 bit/s.
    V17At14400,
}

impl Modulation {
    /// All of them, slowest first.
    pub const ALL: [Modulation; 8] = [
        Modulation::V27ter2400,
        Modulation::V27ter4800,
        Modulation::V29At7200,
        Modulation::V29At9600,
        Modulation::V17At7200,
        Modulation::V17At9600,
        Modulation::V17At12000,
        Modulation::V17At14400,
    ];

    /// The rate, bit/s.
    #[must_use]
    pub const fn bit_rate(self) -> u32 {
        match self {
            Modulation::V27ter2400 => 2400,
            Modulation::V27ter4800 => 4800,
            Modulation::V29At7200 | Modulation::V17At7200 => 7200,
            Modulation::V29At9600 | Modulation::V17At9600 => 9600,
            Modulation::V17At12000 => 12_000,
            Modulation::V17At14400 => 14_400,
        }
    }

    /// The Recommendation that defines it: `V.27ter`, `V.29` or `V.17`.
    #[must_use]
    pub const fn recommendation(self) -> &'static str {
        match self {
            Modulation::V27ter2400 | Modulation::V27ter4800 => "V.27ter",
            Modulation::V29At7200 | Modulation::V29At9600 => "V.29",
            Modulation::V17At7200
            | Modulation::V17At9600
            | Modulation::V17At12000
            | Modulation::V17At14400 => "V.17",
        }
    }
}

/// `V.17 14400`.
impl fmt::Display for Modulation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.recommendation(), self.bit_rate())
    }
}

/// The form of a modem's training. Only V.17 has a short one; for V.29 and V.27ter the two are alike.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Training {
    /// From nothing: before a TCF and after CTR.
    Long,
    /// From what was learnt in the last long one: before images (T.30 §5.3.6.1, V.17 §5).
    Short,
}

/// A tone of phase A.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Tone {
    /// 1100 Hz from the calling terminal, 0.5 s on and 3 s off.
    Cng,
    /// 2100 Hz from the called terminal, 2.6 s to 4.0 s.
    Ced,
}

/// The two channels of the line.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Channel {
    /// Binary coded signalling: V.21 channel 2, 300 bit/s, always HDLC.
    Control,
    /// Training check and pages, on the fast modem.
    Image(Modulation),
}

/// One thing to send. Transmissions are sent in the order they are asked for, each to its end.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Transmit {
    /// Nothing, for this long.
    Silence(Duration),
    /// A tone, for this long.
    Tone(Tone, Duration),
    /// V.21: one second of flags, the frames, carrier off.
    Control(Vec<Bytes>),
    /// The fast modem with these octets as raw bits: a training check or a page without ECM.
    Bits {
        /// Modulation and rate.
        modulation: Modulation,
        /// Form of the training.
        training: Training,
        /// The bits.
        octets: Bytes,
    },
    /// The fast modem with flags and these frames: (part of) a page with ECM.
    Frames {
        /// Modulation and rate.
        modulation: Modulation,
        /// Form of the training.
        training: Training,
        /// The frames, from the address octet on.
        frames: Vec<Bytes>,
    },
}

/// What the fast receiver is to expect.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Framing {
    /// Raw bits: a training check, or a page without ECM.
    Raw,
    /// HDLC frames: ECM.
    Hdlc,
}

/// What to listen for when not transmitting. V.21 is always listened for.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Listen {
    /// V.21 (and tones) only.
    Control,
    /// V.21 and, at the same time, the fast modem.
    Image {
        /// Modulation and rate.
        modulation: Modulation,
        /// Form of the training that comes first.
        training: Training,
        /// Raw bits or frames.
        framing: Framing,
    },
}

/// What came from the far end, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Heard {
    /// A tone was recognised.
    Tone(Tone),
    /// Something is being sent on this channel: V.21 flags were seen, or the fast modem's training
    /// was followed (T.38: its indicator or its first data came).
    CarrierUp(Channel),
    /// A frame ended.
    Frame {
        /// Where.
        channel: Channel,
        /// From the address octet on, without the FCS.
        octets: Bytes,
        /// Whether its FCS was right and nothing of it is missing.
        good: bool,
    },
    /// Raw bits of the fast modem: a training check or a page without ECM.
    Bits {
        /// The modulation they came by.
        modulation: Modulation,
        /// The bits; transmission bit order is kept but they may start anywhere in an octet.
        octets: Bytes,
    },
    /// About this many octets of the present signal were lost on the way.
    Lost {
        /// How many, as well as it can be known.
        octets: usize,
    },
    /// Nothing is being sent on this channel any more.
    CarrierDown(Channel),
}
