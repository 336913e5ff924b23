//! The octets of a recording: numbers of variable length, texts and fields, written and read with bounds.

/// Why a recording cannot be read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Fault(pub String);

impl Fault {
    pub(super) fn new(what: impl Into<String>) -> Self {
        Fault(what.into())
    }
}

impl core::fmt::Display for Fault {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl core::error::Error for Fault {}

/// Writes a number, seven bits an octet, the lowest first.
pub(super) fn number(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push(n as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

/// Writes a number that may be below zero.
pub(super) fn signed(out: &mut Vec<u8>, n: i64) {
    number(out, (n.cast_unsigned() << 1) ^ (n >> 63).cast_unsigned());
}

/// Writes octets with their count before them.
pub(super) fn octets(out: &mut Vec<u8>, octets: &[u8]) {
    number(out, octets.len() as u64);
    out.extend_from_slice(octets);
}

/// Writes a field: its number, its length, and what is written by `content`.
pub(super) fn field(out: &mut Vec<u8>, id: u64, content: impl FnOnce(&mut Vec<u8>)) {
    let mut inner = Vec::new();
    content(&mut inner);
    number(out, id);
    octets(out, &inner);
}

/// Reads what the functions above write.
#[derive(Clone, Debug)]
pub(super) struct Cursor<'a> {
    rest: &'a [u8],
}

impl<'a> Cursor<'a> {
    pub(super) fn new(octets: &'a [u8]) -> Self {
        Cursor { rest: octets }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Octets that are left.
    pub(super) fn len(&self) -> usize {
        self.rest.len()
    }

    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], Fault> {
        let (taken, rest) =
            self.rest.split_at_checked(count).ok_or_else(|| Fault::new("a record is cut short"))?;
        self.rest = rest;
        Ok(taken)
    }

    pub(super) fn octet(&mut self) -> Result<u8, Fault> {
        self.take(1)?.first().copied().ok_or_else(|| Fault::new("a record is cut short"))
    }

    pub(super) fn number(&mut self) -> Result<u64, Fault> {
        let mut n = 0u64;
        for shift in (0..64).step_by(7) {
            let octet = self.octet()?;
            n |= u64::from(octet & 0x7F) << shift;
            if octet & 0x80 == 0 {
                return Ok(n);
            }
        }
        Err(Fault::new("a number has no end"))
    }

    pub(super) fn signed(&mut self) -> Result<i64, Fault> {
        let n = self.number()?;
        Ok((n >> 1).cast_signed() ^ -(n & 1).cast_signed())
    }

    /// A number that is at most `most`.
    pub(super) fn bounded(&mut self, most: u64, what: &str) -> Result<u64, Fault> {
        let n = self.number()?;
        if n > most { Err(Fault::new(format!("{what}: {n} is more than {most}"))) } else { Ok(n) }
    }

    pub(super) fn octets(&mut self) -> Result<&'a [u8], Fault> {
        let count = self.number()?;
        self.take(usize::try_from(count).unwrap_or(usize::MAX))
    }

    pub(super) fn text(&mut self) -> Result<String, Fault> {
        let octets = self.octets()?.to_vec();
        String::from_utf8(octets).map_err(|_| Fault::new("a text is no UTF-8"))
    }
}

/// A hash of octets that are fed to it: FNV-1a, 64 bits. It finds differences; it does not keep forgers out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hash(u64);

impl Hash {
    pub(super) const fn new() -> Self {
        Hash(0xCBF2_9CE4_8422_2325)
    }

    pub(super) fn feed(mut self, octets: &[u8]) -> Self {
        for octet in octets {
            self.0 = (self.0 ^ u64::from(*octet)).wrapping_mul(0x0000_0100_0000_01B3);
        }
        self
    }

    pub(super) const fn whole(self) -> u64 {
        self.0
    }

    /// Folded to 16 bits.
    pub(super) const fn short(self) -> u16 {
        let folded = self.0 ^ (self.0 >> 32);
        (folded ^ (folded >> 16)) as u16
    }
}

/// What is written is hashed, without a copy of it.
impl core::fmt::Write for Hash {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        *self = self.feed(text.as_bytes());
        Ok(())
    }
}
