//! Decoding IFPs: strictly, octet-aligned as some peers write them, and in the other syntax when a
//! peer's version lied (T.38 Annex A; X.691 aligned PER).

use super::{DataType, Field, FieldType, Ifp, Indicator, Syntax, get_length};
use core::fmt;

/// How field headers are laid out behind a field without octets that is not the last one.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Packing {
    /// The next header begins in the very next bit, as X.691 has it.
    Strict,
    /// The next header begins in the next octet, as widespread implementations write it.
    Aligned,
}

/// Why octets are not an IFP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum DecodeError {
    /// There are no octets.
    Empty,
    /// They end too early.
    Truncated,
    /// Bits that only fill are not zero.
    FillBits,
    /// An indicator, data type or field type that is not known.
    UnknownValue,
    /// An indicator with a data field.
    IndicatorWithData,
    /// A length that the syntax does not allow.
    BadLength,
    /// Octets are left behind the end.
    Trailing,
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            DecodeError::Empty => "no octets",
            DecodeError::Truncated => "truncated",
            DecodeError::FillBits => "fill bits are not zero",
            DecodeError::UnknownValue => "unknown indicator, data type or field type",
            DecodeError::IndicatorWithData => "indicator with a data field",
            DecodeError::BadLength => "length not allowed",
            DecodeError::Trailing => "octets behind the end",
        })
    }
}

impl core::error::Error for DecodeError {}

struct PerReader<'a> {
    octets: &'a [u8],
    /// Position in bits.
    at: usize,
}

impl<'a> PerReader<'a> {
    fn bits(&mut self, count: usize) -> Result<u8, DecodeError> {
        let mut value = 0;
        for _ in 0..count {
            let octet = self.octets.get(self.at / 8).ok_or(DecodeError::Truncated)?;
            value = value << 1 | (octet >> (7 - self.at % 8) & 1);
            self.at += 1;
        }
        Ok(value)
    }

    fn align(&mut self) -> Result<(), DecodeError> {
        while !self.at.is_multiple_of(8) {
            if self.bits(1)? != 0 {
                return Err(DecodeError::FillBits);
            }
        }
        Ok(())
    }

    fn rest(&self) -> &'a [u8] {
        self.octets.get(self.at.div_ceil(8)..).unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let taken = self.rest().get(..count).ok_or(DecodeError::Truncated)?;
        self.at += count * 8;
        Ok(taken)
    }

    /// The six-bit index of an extension value, its marker being read.
    fn extension(&mut self) -> Result<u8, DecodeError> {
        match self.bits(1)? {
            0 => self.bits(6),
            _ => Err(DecodeError::UnknownValue),
        }
    }

    /// An extensible enumeration with `root` values that take `bits` bits.
    fn enumerated(&mut self, root: u8, bits: usize) -> Result<u8, DecodeError> {
        match self.bits(1)? {
            0 => self.bits(bits).and_then(|i| (i < root).then_some(i).ok_or(DecodeError::UnknownValue)),
            _ => self.extension().map(|i| i + root),
        }
    }

    fn field(&mut self, syntax: Syntax, packing: Packing) -> Result<Field<'a>, DecodeError> {
        let present = self.bits(1)? == 1;
        let index = match syntax {
            Syntax::V1998 => self.bits(3)?,
            Syntax::V2002 if self.bits(1)? == 0 => self.bits(3)?,
            Syntax::V2002 => {
                let index = self.extension()?;
                // A widespread implementation puts the index one bit too far to the right: its low
                // bit then stands where only fill may be.
                let astray = present && self.at % 8 == 1 && self.peek_bit();
                if astray {
                    self.at += 1;
                }
                8 + if astray { index * 2 + 1 } else { index }
            }
        };
        let kind = FieldType::from_index(index).ok_or(DecodeError::UnknownValue)?;
        let data = if present {
            self.align()?;
            let length: [u8; 2] = self.take(2)?.try_into().map_err(|_| DecodeError::Truncated)?;
            match u16::from_be_bytes(length) {
                u16::MAX => return Err(DecodeError::BadLength),
                n => self.take(usize::from(n) + 1)?,
            }
        } else {
            if packing == Packing::Aligned {
                self.align()?;
            }
            &[]
        };
        Ok(Field { kind, data })
    }

    fn peek_bit(&self) -> bool {
        self.octets.get(self.at / 8).is_some_and(|o| o >> (7 - self.at % 8) & 1 == 1)
    }
}

/// Decodes one IFP in exactly this notation; the number is how many octets it took.
///
/// # Errors
/// What is wrong with it.
pub fn decode_as(octets: &[u8], syntax: Syntax, packing: Packing) -> Result<(Ifp<'_>, usize), DecodeError> {
    if octets.is_empty() {
        return Err(DecodeError::Empty);
    }
    let mut per = PerReader { octets, at: 0 };
    let has_fields = per.bits(1)? == 1;
    if per.bits(1)? == 0 {
        if has_fields {
            return Err(DecodeError::IndicatorWithData);
        }
        let index = per.enumerated(16, 4)?;
        let indicator = Indicator::from_index(index).ok_or(DecodeError::UnknownValue)?;
        per.align()?;
        return Ok((Ifp::Indicator(indicator), per.at / 8));
    }
    let data_type = DataType::from_index(per.enumerated(9, 4)?).ok_or(DecodeError::UnknownValue)?;
    per.align()?;
    let mut fields = Vec::new();
    if has_fields {
        let (count, took) = get_length(per.rest()).ok_or(DecodeError::BadLength)?;
        per.at += took * 8;
        // Two fields to an octet is the densest there is.
        if count > per.rest().len().saturating_mul(2) {
            return Err(DecodeError::Truncated);
        }
        fields.reserve_exact(count);
        for _ in 0..count {
            fields.push(per.field(syntax, packing)?);
        }
        per.align()?;
    }
    Ok((Ifp::Data { data_type, fields }, per.at / 8))
}

/// Decodes the IFPs of one session and finds out which syntax the peer really writes.
#[derive(Clone, Debug)]
pub struct Decoder {
    syntax: Syntax,
    /// Frames were seen since the last indicator.
    frames: bool,
    /// (1998) `hdlc-sig-end` came in the middle of a frame: 2002's `hdlc-fcs-OK` looks like that.
    cut: bool,
    in_frame: bool,
}

impl Decoder {
    /// Expects what was negotiated.
    #[must_use]
    pub fn new(version: u8) -> Self {
        Decoder { syntax: Syntax::of_version(version), frames: false, cut: false, in_frame: false }
    }

    /// The syntax that the peer writes, as far as is known.
    #[must_use]
    pub fn syntax(&self) -> Syntax {
        self.syntax
    }

    /// Decodes one IFP. `padded` allows zeros behind its end: one that was recovered by FEC has them.
    ///
    /// # Errors
    /// When no reading makes sense; the error is that of the strict reading in the present syntax.
    pub fn decode<'a>(&mut self, octets: &'a [u8], padded: bool) -> Result<Ifp<'a>, DecodeError> {
        let mine = Self::decode_either_packing(octets, self.syntax, padded);
        let doubtful = match &mine {
            Ok(ifp) => self.is_doubtful(ifp),
            Err(_) => true,
        };
        if doubtful
            && let Ok(other) = Self::decode_either_packing(octets, self.syntax.other(), padded)
            && matches!(other, Ifp::Data { .. })
            && !Self::is_senseless(&other)
        {
            self.syntax = self.syntax.other();
            self.cut = false;
            self.note(&other);
            return Ok(other);
        }
        if let Ok(ifp) = &mine {
            self.note(ifp);
        }
        mine
    }

    fn decode_either_packing(octets: &[u8], syntax: Syntax, padded: bool) -> Result<Ifp<'_>, DecodeError> {
        let whole = |packing| {
            let (ifp, took) = decode_as(octets, syntax, packing)?;
            let mut tail = octets.get(took..).unwrap_or_default().iter();
            if tail.len() == 0 || padded && tail.all(|o| *o == 0) {
                Ok(ifp)
            } else {
                Err(DecodeError::Trailing)
            }
        };
        whole(Packing::Strict).or_else(|e| whole(Packing::Aligned).map_err(|_| e))
    }

    /// V.8 fields in a message that is not about V.8 or V.34.
    fn is_senseless(ifp: &Ifp<'_>) -> bool {
        match ifp {
            Ifp::Indicator(_) => false,
            Ifp::Data { data_type, fields } => {
                data_type.channel().is_some()
                    && fields.iter().any(|f| f.kind.index() >= FieldType::CmMessage.index())
            }
        }
    }

    /// A reading that is legal but is what the other syntax looks like in this one.
    fn is_doubtful(&self, ifp: &Ifp<'_>) -> bool {
        let Ifp::Data { data_type, fields } = ifp else {
            return false;
        };
        let Some(first) = fields.first() else {
            return false;
        };
        match self.syntax {
            Syntax::V2002 => Self::is_senseless(ifp),
            Syntax::V1998 => {
                // The first image data of a call are the zeros of a training check; no frame, however
                // bad, is all zeros.
                let raw_bits = *data_type != DataType::V21
                    && first.kind == FieldType::HdlcFcsBad
                    && !first.data.is_empty()
                    && first.data.iter().all(|o| *o == 0)
                    && !self.frames;
                let cut_frames = self.cut && fields.iter().any(|f| f.kind == FieldType::HdlcData);
                raw_bits || cut_frames
            }
        }
    }

    fn note(&mut self, ifp: &Ifp<'_>) {
        match ifp {
            Ifp::Indicator(_) => {
                self.frames = false;
                self.cut = false;
                self.in_frame = false;
            }
            Ifp::Data { fields, .. } => {
                for f in fields {
                    match f.kind {
                        FieldType::HdlcData => {
                            self.frames = true;
                            self.in_frame = true;
                        }
                        FieldType::HdlcSigEnd => {
                            self.cut |= self.in_frame && self.syntax == Syntax::V1998;
                            self.in_frame = false;
                        }
                        FieldType::HdlcFcsOk
                        | FieldType::HdlcFcsBad
                        | FieldType::HdlcFcsOkSigEnd
                        | FieldType::HdlcFcsBadSigEnd
                        | FieldType::T4NonEcmSigEnd => self.in_frame = false,
                        FieldType::T4NonEcmData
                        | FieldType::CmMessage
                        | FieldType::JmMessage
                        | FieldType::CiMessage
                        | FieldType::V34Rate => {}
                    }
                }
            }
        }
    }
}
