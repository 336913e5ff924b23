//! Internet Facsimile Packets: the words, and their encoding in aligned PER (T.38 §7, Annex A; X.691).
//!
//! The first octet is `D T E iiii 0`: data field present, indicator or data, extension value, index.
//! Two syntaxes differ in the header of a field only: that of 1998 (`T38FaxVersion` 0 and 1) has no
//! extension marker in it, that of 2002 (from version 2 on) has.

mod decode;
mod words;

pub use decode::{DecodeError, Decoder, Packing, decode_as};
pub use words::{DataType, FieldType, Indicator};

/// Which of the two notations is in use.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Syntax {
    /// T.38 (06/1998): versions 0 and 1.
    V1998,
    /// T.38 (03/2002) and later: versions from 2 on.
    V2002,
}

impl Syntax {
    /// The syntax that goes with a `T38FaxVersion`.
    #[must_use]
    pub const fn of_version(version: u8) -> Self {
        if version < 2 { Syntax::V1998 } else { Syntax::V2002 }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Syntax::V1998 => Syntax::V2002,
            Syntax::V2002 => Syntax::V1998,
        }
    }
}

/// One field of a data packet. Octets are in printed order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Field<'a> {
    /// What it is.
    pub kind: FieldType,
    /// Its octets; empty when it has no data part (a data part of no octets does not exist).
    pub data: &'a [u8],
}

impl<'a> Field<'a> {
    /// A field with octets.
    #[must_use]
    pub const fn new(kind: FieldType, data: &'a [u8]) -> Self {
        Field { kind, data }
    }

    /// A field without octets.
    #[must_use]
    pub const fn bare(kind: FieldType) -> Self {
        Field { kind, data: &[] }
    }
}

/// One IFP.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub enum Ifp<'a> {
    /// A `t30-indicator`.
    Indicator(Indicator),
    /// A `t30-data` message: all of its fields belong to one modulation.
    Data {
        /// The modulation.
        data_type: DataType,
        /// Its fields in order; none at all when the optional data field is absent.
        fields: Vec<Field<'a>>,
    },
}

/// Why an IFP cannot be written.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum EncodeError {
    /// A field has more than 65 535 octets.
    FieldTooLong,
    /// More than 16 383 fields.
    TooManyFields,
    /// The 1998 syntax has no such field.
    NotIn1998(FieldType),
}

impl core::fmt::Display for EncodeError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            EncodeError::FieldTooLong => f.write_str("a field of more than 65535 octets"),
            EncodeError::TooManyFields => f.write_str("more than 16383 fields"),
            EncodeError::NotIn1998(kind) => {
                write!(f, "{kind} does not exist in the syntax of 1998")
            }
        }
    }
}

impl core::error::Error for EncodeError {}

/// Bits into octets, with PER's alignment.
struct PerWriter<'o> {
    out: &'o mut Vec<u8>,
    /// Bits used in the last octet, 0 when aligned.
    used: u32,
}

impl PerWriter<'_> {
    fn bits(&mut self, value: u8, count: u32) {
        for i in (0..count).rev() {
            if self.used == 0 {
                self.out.push(0);
            }
            if value >> i & 1 == 1
                && let Some(last) = self.out.last_mut()
            {
                *last |= 0x80 >> self.used;
            }
            self.used = (self.used + 1) % 8;
        }
    }

    fn octets(&mut self, octets: &[u8]) {
        self.used = 0;
        self.out.extend_from_slice(octets);
    }
}

/// A PER length of fewer than 16 384: one octet below 128, else two with the high bit set.
pub(crate) fn put_length(out: &mut Vec<u8>, length: usize) -> Option<()> {
    match u16::try_from(length).ok()? {
        n @ 0..=127 => out.push(n as u8),
        n @ 128..=16_383 => out.extend_from_slice(&(0x8000 | n).to_be_bytes()),
        _ => return None,
    }
    Some(())
}

/// A PER length at the start of `octets`, and how many octets it took. Fragmented ones (16 384 and
/// more) do not occur in UDPTL and are refused.
pub(crate) fn get_length(octets: &[u8]) -> Option<(usize, usize)> {
    match *octets {
        [n @ 0..=127, ..] => Some((usize::from(n), 1)),
        [hi @ 0x80..=0xBF, lo, ..] => Some((usize::from(hi & 0x3F) << 8 | usize::from(lo), 2)),
        _ => None,
    }
}

impl Ifp<'_> {
    /// Appends the packet to `out`. A field without octets that is not the last one leaves the next
    /// header unaligned, as PER wants it; few peers read that, so do not build such packets.
    ///
    /// # Errors
    /// What cannot be expressed; `out` then has a part of the packet at its end.
    pub fn encode(&self, syntax: Syntax, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let mut per = PerWriter { out, used: 0 };
        match self {
            Ifp::Indicator(indicator) => {
                let i = indicator.index();
                per.bits(0b00, 2);
                match i.checked_sub(16) {
                    None => per.bits(i, 5),
                    Some(extension) => per.bits_extension(extension),
                }
            }
            Ifp::Data { data_type, fields } => {
                per.bits(if fields.is_empty() { 0b01 } else { 0b11 }, 2);
                let i = data_type.index();
                match i.checked_sub(9) {
                    None => per.bits(i, 5),
                    Some(extension) => per.bits_extension(extension),
                }
                if fields.is_empty() {
                    return Ok(());
                }
                per.used = 0;
                put_length(per.out, fields.len()).ok_or(EncodeError::TooManyFields)?;
                for field in fields {
                    per.field(*field, syntax)?;
                }
            }
        }
        Ok(())
    }

    /// The packet's octets.
    ///
    /// # Errors
    /// As [`Ifp::encode`].
    pub fn to_octets(&self, syntax: Syntax) -> Result<Vec<u8>, EncodeError> {
        let mut out = Vec::new();
        self.encode(syntax, &mut out)?;
        Ok(out)
    }
}

impl PerWriter<'_> {
    /// An extension value: the marker, a zero, six bits.
    fn bits_extension(&mut self, index: u8) {
        self.bits(0b10, 2);
        self.bits(index, 6);
    }

    fn field(&mut self, field: Field<'_>, syntax: Syntax) -> Result<(), EncodeError> {
        self.bits(u8::from(!field.data.is_empty()), 1);
        let i = field.kind.index();
        match (syntax, i.checked_sub(8)) {
            (Syntax::V1998, None) => self.bits(i, 3),
            (Syntax::V2002, None) => self.bits(i, 4),
            (Syntax::V2002, Some(extension)) => self.bits_extension(extension),
            (Syntax::V1998, Some(_)) => return Err(EncodeError::NotIn1998(field.kind)),
        }
        if !field.data.is_empty() {
            let length = u16::try_from(field.data.len() - 1).ok().filter(|n| *n < u16::MAX);
            let length = length.ok_or(EncodeError::FieldTooLong)?;
            self.octets(&length.to_be_bytes());
            self.octets(field.data);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
