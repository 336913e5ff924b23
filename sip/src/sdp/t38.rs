//! The T.38 attributes in all their spellings (T.38 Annex D.2.1; RFC 3362, RFC 6466).

use super::parse::{Attribute, Media};

/// `T38FaxUdpEC`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ErrorCorrection {
    /// `t38UDPNoEC`.
    None,
    /// `t38UDPRedundancy`.
    Redundancy,
    /// `t38UDPFEC`.
    Fec,
}

/// `T38FaxRateManagement`.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum RateManagement {
    /// The training check is sent through: the only one for UDPTL.
    TransferredTcf,
    /// Each gateway makes its own.
    LocalTcf,
}

/// What one side says of itself.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct T38Parameters {
    /// T38FaxVersion; 0 when not said.
    pub version: u8,
    /// T38MaxBitRate, bit/s: what this side can receive. 14400 when not said.
    pub max_bit_rate: u32,
    /// T38FaxFillBitRemoval.
    pub fill_bit_removal: bool,
    /// T38FaxTranscodingMMR.
    pub transcoding_mmr: bool,
    /// T38FaxTranscodingJBIG.
    pub transcoding_jbig: bool,
    /// T38FaxRateManagement; transferredTCF when not said.
    pub rate_management: RateManagement,
    /// T38FaxMaxBuffer, octets.
    pub max_buffer: Option<u32>,
    /// T38FaxMaxDatagram, octets of a UDPTL packet this side takes.
    pub max_datagram: Option<u16>,
    /// T38FaxUdpEC; `None` when not said.
    pub error_correction: Option<ErrorCorrection>,
    /// The flags are written `:0` and `:1`; an answer mirrors that.
    pub valued_flags: bool,
}

impl Default for T38Parameters {
    /// What we offer: version 0, 14400 bit/s, redundancy.
    fn default() -> Self {
        T38Parameters {
            version: 0,
            max_bit_rate: 14_400,
            fill_bit_removal: false,
            transcoding_mmr: false,
            transcoding_jbig: false,
            rate_management: RateManagement::TransferredTcf,
            max_buffer: Some(2_000),
            max_datagram: Some(400),
            error_correction: Some(ErrorCorrection::Redundancy),
            valued_flags: false,
        }
    }
}

/// The names each attribute goes by; the first is the standard's.
const VERSION: &[&str] = &["T38FaxVersion", "T38Version"];
const BIT_RATE: &[&str] = &["T38MaxBitRate", "T38FaxMaxRate", "T38MaxRate", "T38FaxMaxBitRate"];
const FILL: &[&str] = &["T38FaxFillBitRemoval", "T38FillBitRemoval"];
const MMR: &[&str] = &["T38FaxTranscodingMMR", "T38TranscodingMMR"];
const JBIG: &[&str] = &["T38FaxTranscodingJBIG", "T38TranscodingJBIG"];
const RATE: &[&str] = &["T38FaxRateManagement", "T38RateManagement"];
const BUFFER: &[&str] = &["T38FaxMaxBuffer", "T38MaxBuffer"];
const DATAGRAM: &[&str] = &["T38FaxMaxDatagram", "T38MaxDatagram"];
const CORRECTION: &[&str] = &["T38FaxUdpEC", "T38UdpEC"];

/// The rates T38MaxBitRate can mean, bit/s.
const RATES: [u32; 7] = [2_400, 4_800, 7_200, 9_600, 12_000, 14_400, 33_600];

impl T38Parameters {
    /// Reads the attributes of a media line.
    #[must_use]
    pub fn read(media: &Media) -> T38Parameters {
        let find = |names: &[&str]| media.attributes.iter().rev().find(|a| names.iter().any(|n| a.is(n)));
        let number = |names: &[&str]| find(names).and_then(|a| leading_number(a.value.as_deref()?));
        let flag = |names: &[&str]| {
            find(names).is_some_and(|a| match a.value.as_deref().map(str::to_ascii_lowercase).as_deref() {
                Some("0" | "false" | "no") => false,
                None | Some(_) => true,
            })
        };
        let valued = [FILL, MMR, JBIG].iter().any(|names| find(names).is_some_and(|a| a.value.is_some()));
        let rate = number(BIT_RATE).unwrap_or(14_400);
        let version = number(VERSION).and_then(|v| u8::try_from(v).ok()).unwrap_or(0);
        let word = |names: &[&str]| find(names).and_then(|a| a.value.as_deref()).map(str::to_ascii_lowercase);
        T38Parameters {
            version,
            max_bit_rate: known_rate(rate, version),
            fill_bit_removal: flag(FILL),
            transcoding_mmr: flag(MMR),
            transcoding_jbig: flag(JBIG),
            // `localTCF` alone is told apart: the other has spellings like transferedTCF.
            rate_management: match word(RATE).as_deref() {
                Some("localtcf") => RateManagement::LocalTcf,
                _ => RateManagement::TransferredTcf,
            },
            max_buffer: number(BUFFER),
            max_datagram: number(DATAGRAM).map(|n| u16::try_from(n).unwrap_or(u16::MAX)),
            error_correction: word(CORRECTION).as_deref().map(|w| match w {
                "t38udpnoec" | "none" => ErrorCorrection::None,
                "t38udpfec" => ErrorCorrection::Fec,
                _ => ErrorCorrection::Redundancy,
            }),
            valued_flags: valued,
        }
    }

    /// The attributes as they are written.
    #[must_use]
    pub fn attributes(&self) -> Vec<Attribute> {
        let mut list =
            vec![Attribute::new(VERSION[0], self.version), Attribute::new(BIT_RATE[0], self.max_bit_rate)];
        for (on, names) in
            [(self.fill_bit_removal, FILL), (self.transcoding_mmr, MMR), (self.transcoding_jbig, JBIG)]
        {
            match (self.valued_flags, on) {
                (true, _) => list.push(Attribute::new(names[0], u8::from(on))),
                (false, true) => list.push(Attribute::flag(names[0])),
                (false, false) => {}
            }
        }
        list.push(Attribute::new(
            RATE[0],
            match self.rate_management {
                RateManagement::TransferredTcf => "transferredTCF",
                RateManagement::LocalTcf => "localTCF",
            },
        ));
        if let Some(buffer) = self.max_buffer {
            list.push(Attribute::new(BUFFER[0], buffer));
        }
        if let Some(datagram) = self.max_datagram {
            list.push(Attribute::new(DATAGRAM[0], datagram));
        }
        if let Some(correction) = self.error_correction {
            list.push(Attribute::new(
                CORRECTION[0],
                match correction {
                    ErrorCorrection::None => "t38UDPNoEC",
                    ErrorCorrection::Redundancy => "t38UDPRedundancy",
                    ErrorCorrection::Fec => "t38UDPFEC",
                },
            ));
        }
        list
    }

    /// What we answer to `offer`, being ourselves `self` (Annex D.2.3): the lower version, the offered rate management,
    /// no flag that was not offered; rate, buffer and datagram are our own.
    #[must_use]
    pub fn answer(&self, offer: &T38Parameters) -> T38Parameters {
        T38Parameters {
            version: common_version(self.version, offer.version),
            max_bit_rate: self.max_bit_rate,
            fill_bit_removal: self.fill_bit_removal && offer.fill_bit_removal,
            transcoding_mmr: self.transcoding_mmr && offer.transcoding_mmr,
            transcoding_jbig: self.transcoding_jbig && offer.transcoding_jbig,
            rate_management: offer.rate_management,
            max_buffer: self.max_buffer,
            max_datagram: self.max_datagram,
            error_correction: Some(match (offer.error_correction, self.error_correction) {
                (Some(ErrorCorrection::None), _) => ErrorCorrection::None,
                (Some(ErrorCorrection::Fec), Some(ErrorCorrection::Fec)) => ErrorCorrection::Fec,
                _ => ErrorCorrection::Redundancy,
            }),
            valued_flags: offer.valued_flags,
        }
    }
}

/// The version both use: the lower; never 1, which nobody has.
pub(super) fn common_version(a: u8, b: u8) -> u8 {
    match a.min(b) {
        1 => 0,
        version => version,
    }
}

/// Rounds down to a rate that exists; above 14400 only where V.34 is possible (version 3).
fn known_rate(rate: u32, version: u8) -> u32 {
    let top = if version >= 3 { 33_600 } else { 14_400 };
    RATES.iter().copied().filter(|r| *r <= rate.min(top)).max().unwrap_or(2_400)
}

/// The digits at the beginning; too large is the largest.
fn leading_number(value: &str) -> Option<u32> {
    let digits: &str = &value[..value.find(|c: char| !c.is_ascii_digit()).unwrap_or(value.len())];
    (!digits.is_empty()).then(|| digits.parse().unwrap_or(u32::MAX))
}
