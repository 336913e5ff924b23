//! Indicators, data types and field types with their indices (T.38 §7.3, §7.4, Annex A).

use core::fmt;
use fax_base::line::{Channel, Modulation, Training};

/// Declares an enumeration whose position is its index in the standard's.
macro_rules! words {
    ($(#[$meta:meta])* $name:ident { $($(#[$doc:meta])* $word:ident = $printed:literal),+ $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[repr(u8)]
        pub enum $name { $($(#[$doc])* $word),+ }

        impl $name {
            /// All of them in the order of the standard.
            pub const ALL: &[$name] = &[$($name::$word),+];

            /// Its place in the enumeration, extension values counted on.
            #[must_use]
            pub const fn index(self) -> u8 {
                self as u8
            }

            /// The one with this place.
            #[must_use]
            pub fn from_index(index: u8) -> Option<Self> {
                Self::ALL.get(usize::from(index)).copied()
            }
        }

        /// As printed in the standard.
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $($name::$word => $printed),+ })
            }
        }
    };
}

words! {
    /// `t30-indicator`. From `V8Ansam` on they are extension values (version 3).
    Indicator {
        /// Nothing is on the line.
        NoSignal = "no-signal",
        /// Calling tone.
        Cng = "cng",
        /// Called station identification tone.
        Ced = "ced",
        /// V.21 flags.
        V21Preamble = "v21-preamble",
        /// V.27ter 2400 training.
        V27At2400Training = "v27-2400-training",
        /// V.27ter 4800 training.
        V27At4800Training = "v27-4800-training",
        /// V.29 7200 training.
        V29At7200Training = "v29-7200-training",
        /// V.29 9600 training.
        V29At9600Training = "v29-9600-training",
        /// V.17 7200, short training.
        V17At7200Short = "v17-7200-short-training",
        /// V.17 7200, long training.
        V17At7200Long = "v17-7200-long-training",
        /// V.17 9600, short training.
        V17At9600Short = "v17-9600-short-training",
        /// V.17 9600, long training.
        V17At9600Long = "v17-9600-long-training",
        /// V.17 12 000, short training.
        V17At12000Short = "v17-12000-short-training",
        /// V.17 12 000, long training.
        V17At12000Long = "v17-12000-long-training",
        /// V.17 14 400, short training.
        V17At14400Short = "v17-14400-short-training",
        /// V.17 14 400, long training.
        V17At14400Long = "v17-14400-long-training",
        /// V.8 modified answer tone.
        V8Ansam = "v8-ansam",
        /// V.8 signal.
        V8Signal = "v8-signal",
        /// V.34 control channel, 1200 bit/s.
        V34ControlChannel1200 = "v34-cntl-channel-1200",
        /// V.34 primary channel.
        V34PrimaryChannel = "v34-pri-channel",
        /// V.34 control channel retrain.
        V34CcRetrain = "v34-CC-retrain",
        /// V.33 12 000 training.
        V33At12000Training = "v33-12000-training",
        /// V.33 14 400 training.
        V33At14400Training = "v33-14400-training",
    }
}

words! {
    /// The modulation of a `t30-data` message. From `V8` on they are extension values (version 3).
    DataType {
        /// V.21 channel 2.
        V21 = "v21",
        /// V.27ter 2400.
        V27At2400 = "v27-2400",
        /// V.27ter 4800.
        V27At4800 = "v27-4800",
        /// V.29 7200.
        V29At7200 = "v29-7200",
        /// V.29 9600.
        V29At9600 = "v29-9600",
        /// V.17 7200.
        V17At7200 = "v17-7200",
        /// V.17 9600.
        V17At9600 = "v17-9600",
        /// V.17 12 000.
        V17At12000 = "v17-12000",
        /// V.17 14 400.
        V17At14400 = "v17-14400",
        /// V.8.
        V8 = "v8",
        /// V.34 primary channel rate.
        V34PrimaryRate = "v34-pri-rate",
        /// V.34 control channel, 1200 bit/s.
        V34Cc1200 = "v34-CC-1200",
        /// V.34 primary channel.
        V34PrimaryChannel = "v34-pri-ch",
        /// V.33 12 000.
        V33At12000 = "v33-12000",
        /// V.33 14 400.
        V33At14400 = "v33-14400",
    }
}

words! {
    /// What a field is. From `CmMessage` on they are extension values, in the 2002 syntax only.
    FieldType {
        /// Octets of a frame.
        HdlcData = "hdlc-data",
        /// The carrier ended outside a frame.
        HdlcSigEnd = "hdlc-sig-end",
        /// The frame ended with a good FCS.
        HdlcFcsOk = "hdlc-fcs-OK",
        /// The frame ended with a bad FCS.
        HdlcFcsBad = "hdlc-fcs-BAD",
        /// The frame ended with a good FCS and the carrier with it.
        HdlcFcsOkSigEnd = "hdlc-fcs-OK-sig-end",
        /// The frame ended with a bad FCS and the carrier with it.
        HdlcFcsBadSigEnd = "hdlc-fcs-BAD-sig-end",
        /// Raw bits.
        T4NonEcmData = "t4-non-ecm-data",
        /// The carrier ended after raw bits.
        T4NonEcmSigEnd = "t4-non-ecm-sig-end",
        /// V.8 call menu.
        CmMessage = "cm-message",
        /// V.8 joint menu.
        JmMessage = "jm-message",
        /// V.8 call indicator.
        CiMessage = "ci-message",
        /// V.34 rate.
        V34Rate = "v34rate",
    }
}

impl Indicator {
    /// The indicator that announces `modulation` with this form of training.
    #[must_use]
    pub const fn of_training(modulation: Modulation, training: Training) -> Self {
        let long = matches!(training, Training::Long);
        match modulation {
            Modulation::V27ter2400 => Indicator::V27At2400Training,
            Modulation::V27ter4800 => Indicator::V27At4800Training,
            Modulation::V29At7200 => Indicator::V29At7200Training,
            Modulation::V29At9600 => Indicator::V29At9600Training,
            Modulation::V17At7200 if long => Indicator::V17At7200Long,
            Modulation::V17At7200 => Indicator::V17At7200Short,
            Modulation::V17At9600 if long => Indicator::V17At9600Long,
            Modulation::V17At9600 => Indicator::V17At9600Short,
            Modulation::V17At12000 if long => Indicator::V17At12000Long,
            Modulation::V17At12000 => Indicator::V17At12000Short,
            Modulation::V17At14400 if long => Indicator::V17At14400Long,
            Modulation::V17At14400 => Indicator::V17At14400Short,
        }
    }

    /// The form of training that it announces, where the modulation has two.
    #[must_use]
    pub const fn training(self) -> Option<Training> {
        match self {
            Indicator::V17At7200Short
            | Indicator::V17At9600Short
            | Indicator::V17At12000Short
            | Indicator::V17At14400Short => Some(Training::Short),
            Indicator::V17At7200Long
            | Indicator::V17At9600Long
            | Indicator::V17At12000Long
            | Indicator::V17At14400Long => Some(Training::Long),
            _ => None,
        }
    }

    /// The channel on which this signal announces a carrier, of those that Group 3 without V.34 has.
    #[must_use]
    pub const fn channel(self) -> Option<Channel> {
        Some(Channel::Image(match self {
            Indicator::V21Preamble => return Some(Channel::Control),
            Indicator::V27At2400Training => Modulation::V27ter2400,
            Indicator::V27At4800Training => Modulation::V27ter4800,
            Indicator::V29At7200Training => Modulation::V29At7200,
            Indicator::V29At9600Training => Modulation::V29At9600,
            Indicator::V17At7200Short | Indicator::V17At7200Long => Modulation::V17At7200,
            Indicator::V17At9600Short | Indicator::V17At9600Long => Modulation::V17At9600,
            Indicator::V17At12000Short | Indicator::V17At12000Long => Modulation::V17At12000,
            Indicator::V17At14400Short | Indicator::V17At14400Long => Modulation::V17At14400,
            Indicator::NoSignal
            | Indicator::Cng
            | Indicator::Ced
            | Indicator::V8Ansam
            | Indicator::V8Signal
            | Indicator::V34ControlChannel1200
            | Indicator::V34PrimaryChannel
            | Indicator::V34CcRetrain
            | Indicator::V33At12000Training
            | Indicator::V33At14400Training => return None,
        }))
    }
}

impl DataType {
    /// The data type of a modulation.
    #[must_use]
    pub const fn of_modulation(modulation: Modulation) -> Self {
        match modulation {
            Modulation::V27ter2400 => DataType::V27At2400,
            Modulation::V27ter4800 => DataType::V27At4800,
            Modulation::V29At7200 => DataType::V29At7200,
            Modulation::V29At9600 => DataType::V29At9600,
            Modulation::V17At7200 => DataType::V17At7200,
            Modulation::V17At9600 => DataType::V17At9600,
            Modulation::V17At12000 => DataType::V17At12000,
            Modulation::V17At14400 => DataType::V17At14400,
        }
    }

    /// The channel it belongs to, of those that Group 3 without V.34 has.
    #[must_use]
    pub const fn channel(self) -> Option<Channel> {
        Some(Channel::Image(match self {
            DataType::V21 => return Some(Channel::Control),
            DataType::V27At2400 => Modulation::V27ter2400,
            DataType::V27At4800 => Modulation::V27ter4800,
            DataType::V29At7200 => Modulation::V29At7200,
            DataType::V29At9600 => Modulation::V29At9600,
            DataType::V17At7200 => Modulation::V17At7200,
            DataType::V17At9600 => Modulation::V17At9600,
            DataType::V17At12000 => Modulation::V17At12000,
            DataType::V17At14400 => Modulation::V17At14400,
            DataType::V8
            | DataType::V34PrimaryRate
            | DataType::V34Cc1200
            | DataType::V34PrimaryChannel
            | DataType::V33At12000
            | DataType::V33At14400 => return None,
        }))
    }
}

impl FieldType {
    /// Whether the carrier drops with this field.
    #[must_use]
    pub const fn ends_signal(self) -> bool {
        matches!(
            self,
            FieldType::HdlcSigEnd
                | FieldType::HdlcFcsOkSigEnd
                | FieldType::HdlcFcsBadSigEnd
                | FieldType::T4NonEcmSigEnd
        )
    }
}
