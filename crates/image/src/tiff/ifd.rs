//! Headers, image file directories and field values (TIFF 6.0 §2).

use super::Error;

/// Entries of a directory; a fax page has about twenty.
const MAX_ENTRIES: u16 = 2048;
/// Characters of a text that are kept.
const MAX_TEXT: usize = 4096;

/// A file and its byte order.
#[derive(Clone, Copy, Debug)]
pub(super) struct File<'a> {
    pub(super) octets: &'a [u8],
    pub(super) big_endian: bool,
}

impl<'a> File<'a> {
    /// Reads the header: the file and the position of its first directory.
    pub(super) fn open(octets: &'a [u8]) -> Result<(Self, u32), Error> {
        let big_endian = match octets.get(..2) {
            Some(b"II") => false,
            Some(b"MM") => true,
            _ => return Err(Error::NotTiff),
        };
        let file = File { octets, big_endian };
        match file.u16(2) {
            Some(42) => {}
            Some(43) => return Err(Error::Unsupported("BigTIFF".into())),
            _ => return Err(Error::NotTiff),
        }
        let first = file.u32(4).ok_or_else(|| damaged("no first directory"))?;
        Ok((file, first))
    }

    fn take<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        self.octets.get(at..at.checked_add(N)?)?.try_into().ok()
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let b = self.take(at)?;
        Some(if self.big_endian { u16::from_be_bytes(b) } else { u16::from_le_bytes(b) })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let b = self.take(at)?;
        Some(if self.big_endian { u32::from_be_bytes(b) } else { u32::from_le_bytes(b) })
    }

    /// Reads the directory at `at`.
    pub(super) fn directory(&self, at: u32) -> Result<Directory<'a>, Error> {
        let at = at as usize;
        let count = self.u16(at).ok_or_else(|| damaged("a directory lies beyond the end"))?;
        if count == 0 || count > MAX_ENTRIES {
            return Err(damaged(format!("a directory of {count} entries")));
        }
        let entries_at = at + 2;
        let end = entries_at + usize::from(count) * 12;
        let next = self.u32(end).ok_or_else(|| damaged("a directory is cut off"))?;
        Ok(Directory { file: *self, entries_at, count: usize::from(count), next })
    }
}

/// A directory: one page.
#[derive(Clone, Copy, Debug)]
pub(super) struct Directory<'a> {
    file: File<'a>,
    entries_at: usize,
    count: usize,
    /// Position of the next one, 0 after the last.
    pub(super) next: u32,
}

/// Where a field's values are.
struct Field {
    kind: u16,
    count: usize,
    at: usize,
}

impl Directory<'_> {
    fn field(&self, tag: u16) -> Option<Field> {
        let f = &self.file;
        (0..self.count).find_map(|i| {
            let at = self.entries_at + i * 12;
            (f.u16(at)? == tag).then_some(())?;
            let (kind, count) = (f.u16(at + 2)?, f.u32(at + 4)? as usize);
            let size = match kind {
                1 | 2 | 6 | 7 => 1,
                3 | 8 => 2,
                4 | 9 | 11 | 13 => 4,
                5 | 10 | 12 => 8,
                _ => return None,
            };
            let at = if count.checked_mul(size)? <= 4 { at + 8 } else { f.u32(at + 8)? as usize };
            Some(Field { kind, count, at })
        })
    }

    /// Whether the field is there.
    pub(super) fn has(&self, tag: u16) -> bool {
        self.field(tag).is_some()
    }

    /// All values of a field of whole numbers; `None` when it is missing, not such a field, or cut off.
    pub(super) fn numbers(&self, tag: u16) -> Option<Vec<u32>> {
        let f = self.field(tag)?;
        let size = match f.kind {
            1 => 1,
            3 => 2,
            4 | 13 => 4,
            _ => return None,
        };
        let end = f.at.checked_add(f.count.checked_mul(size)?)?;
        self.file.octets.get(f.at..end)?;
        (0..f.count)
            .map(|i| {
                let at = f.at + i * size;
                match size {
                    1 => self.file.octets.get(at).map(|&o| u32::from(o)),
                    2 => self.file.u16(at).map(u32::from),
                    _ => self.file.u32(at),
                }
            })
            .collect()
    }

    /// The octets of a field of octets without a meaning of their own.
    pub(super) fn octets(&self, tag: u16) -> Option<&[u8]> {
        let f = self.field(tag)?;
        matches!(f.kind, 1 | 7).then_some(())?;
        self.file.octets.get(f.at..f.at.checked_add(f.count)?)
    }

    /// The first value of a field of whole numbers.
    pub(super) fn number(&self, tag: u16) -> Option<u32> {
        let f = self.field(tag)?;
        if f.count == 0 {
            return None;
        }
        match f.kind {
            1 => self.file.octets.get(f.at).map(|&o| u32::from(o)),
            3 => self.file.u16(f.at).map(u32::from),
            4 | 13 => self.file.u32(f.at),
            _ => None,
        }
    }

    /// The first value of a field of fractions, or of whole numbers as some write them.
    pub(super) fn fraction(&self, tag: u16) -> Option<f32> {
        let f = self.field(tag)?;
        if f.kind != 5 {
            return self.number(tag).map(|n| n as f32);
        }
        let (n, d) = (self.file.u32(f.at)?, self.file.u32(f.at + 4)?);
        (d != 0).then(|| (f64::from(n) / f64::from(d)) as f32)
    }

    /// A text up to its first NUL.
    pub(super) fn text(&self, tag: u16) -> Option<String> {
        let f = self.field(tag)?;
        if f.kind != 2 {
            return None;
        }
        let text = self.file.octets.get(f.at..f.at.checked_add(f.count.min(MAX_TEXT))?)?;
        let text = text.split(|&o| o == 0).next().unwrap_or(&[]);
        Some(String::from_utf8_lossy(text).into_owned())
    }
}

/// A [`Error::Damaged`].
pub(super) fn damaged(what: impl Into<String>) -> Error {
    Error::Damaged(what.into())
}
