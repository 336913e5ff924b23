//! A recording as a file: a head, and chunks with a length and a check each, so that what was written before a crash
//! can be read.
//!
//! ```text
//! octets 0…7   "faxtrace"
//! octet  8     version, 1
//! octet  9     state: 0 under way (or cut off by a crash), 1 the fax went well, 2 it failed
//! then chunks: kind (1 setup, 2 records), plain length, coded length, CRC-32 of the coded octets (three times 32 bits,
//!              little-endian), and the octets, deflated (RFC 1951)
//! ```

use super::Fault;
use miniz_oxide::deflate::compress_to_vec;
use miniz_oxide::inflate::decompress_to_vec_with_limit;

/// What a file begins with.
pub const MAGIC: &[u8; 8] = b"faxtrace";
/// The version of the format.
const VERSION: u8 = 1;
/// Where the state is: the one octet that is written again when the call is over.
pub const STATE_AT: u64 = 9;
/// Octets of the head.
const HEAD: usize = 10;
/// Octets before a chunk's own.
const CHUNK_HEAD: usize = 13;
/// The most that a chunk may hold, plain.
pub(super) const LARGEST_CHUNK: usize = 1 << 20;
/// The most that all chunks of a file may hold, plain.
const MOST: u64 = 1 << 30;
/// How hard it is tried to make chunks small, of 10.
const LEVEL: u8 = 3;

/// How the recorded call went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum State {
    /// It is under way, or the program ended in the middle of it.
    Open = 0,
    /// The fax went well.
    Good = 1,
    /// It failed.
    Failed = 2,
}

/// What a chunk holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    /// Part of the setup.
    Setup = 1,
    /// Whole records.
    Records = 2,
}

/// The head of a file.
#[must_use]
pub fn head(state: State) -> [u8; HEAD] {
    let mut head = [0; HEAD];
    for (to, from) in head.iter_mut().zip(MAGIC.iter().chain(&[VERSION, state as u8])) {
        *to = *from;
    }
    head
}

/// The state of a file that begins with these octets.
#[must_use]
pub fn state(octets: &[u8]) -> Option<State> {
    if !octets.starts_with(MAGIC) {
        return None;
    }
    Some(match octets.get(9)? {
        1 => State::Good,
        2 => State::Failed,
        _ => State::Open,
    })
}

/// Adds a chunk, or several where the setup is larger than one may be. Records are written in pieces that hold whole
/// records.
pub fn chunk(out: &mut Vec<u8>, kind: Kind, plain: &[u8]) {
    for part in plain.chunks(LARGEST_CHUNK) {
        let coded = compress_to_vec(part, LEVEL);
        out.push(kind as u8);
        for number in [part.len(), coded.len()] {
            out.extend_from_slice(&u32::try_from(number).unwrap_or(u32::MAX).to_le_bytes());
        }
        out.extend_from_slice(&crc32(&coded).to_le_bytes());
        out.extend_from_slice(&coded);
    }
}

/// The chunks of a file.
#[derive(Clone, Debug)]
pub(super) struct Chunks<'a> {
    rest: &'a [u8],
    plain: u64,
}

/// The end of the chunks.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum End {
    /// The file ends with a whole chunk.
    Whole,
    /// The last chunk is cut short: the program ended while it wrote.
    Cut,
}

impl<'a> Chunks<'a> {
    pub(super) fn open(octets: &'a [u8]) -> Result<Self, Fault> {
        if !octets.starts_with(MAGIC) {
            return Err(Fault::new("this is no recording of a call"));
        }
        let rest = octets.get(HEAD..).ok_or_else(|| Fault::new("the file is cut short in its head"))?;
        match octets.get(8) {
            Some(&VERSION) => Ok(Chunks { rest, plain: 0 }),
            other => Err(Fault::new(format!(
                "version {} of recordings is not known here; a newer ferrofax may read it",
                other.copied().unwrap_or(0)
            ))),
        }
    }

    /// The next chunk, or the end.
    pub(super) fn next(&mut self) -> Result<Result<(Kind, Vec<u8>), End>, Fault> {
        if self.rest.is_empty() {
            return Ok(Err(End::Whole));
        }
        let Some((head, body)) = self.rest.split_at_checked(CHUNK_HEAD) else {
            return Ok(Err(End::Cut));
        };
        let number = |at: usize| {
            let octets = head.get(at..at + 4).and_then(|o| <[u8; 4]>::try_from(o).ok());
            octets.map_or(0, u32::from_le_bytes)
        };
        let (plain, coded, check) = (number(1) as usize, number(5) as usize, number(9));
        let kind = match head.first() {
            Some(1) => Kind::Setup,
            Some(2) => Kind::Records,
            _ => return Err(Fault::new("the file is damaged: a chunk of no known kind")),
        };
        if plain > LARGEST_CHUNK {
            return Err(Fault::new("the file is damaged: a chunk is too large"));
        }
        self.plain += plain as u64;
        if self.plain > MOST {
            return Err(Fault::new("the recording is too large"));
        }
        let Some((body, rest)) = body.split_at_checked(coded) else {
            return Ok(Err(End::Cut));
        };
        if crc32(body) != check {
            return Err(Fault::new("the file is damaged: a chunk's check is wrong"));
        }
        self.rest = rest;
        let octets = decompress_to_vec_with_limit(body, plain)
            .map_err(|_| Fault::new("the file is damaged: a chunk cannot be unpacked"))?;
        if octets.len() != plain {
            return Err(Fault::new("the file is damaged: a chunk has another length"));
        }
        Ok(Ok((kind, octets)))
    }
}

/// CRC-32 as in IEEE 802.3, four bits at a time.
fn crc32(octets: &[u8]) -> u32 {
    const TABLE: [u32; 16] = {
        let mut table = [0; 16];
        let mut i = 0;
        while i < 16 {
            let mut value = i as u32;
            let mut bit = 0;
            while bit < 4 {
                value = if value & 1 == 1 { 0xEDB8_8320 ^ (value >> 1) } else { value >> 1 };
                bit += 1;
            }
            table[i] = value;
            i += 1;
        }
        table
    };
    let step = |crc: u32, n: u32| TABLE.get(((crc ^ n) & 15) as usize).copied().unwrap_or(0) ^ (crc >> 4);
    !octets.iter().fold(!0, |crc, o| step(step(crc, u32::from(*o)), u32::from(*o) >> 4))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_check_is_the_usual_one() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
    }

    #[test]
    fn a_file_is_read_up_to_where_it_was_written() {
        let mut file = head(State::Open).to_vec();
        chunk(&mut file, Kind::Setup, &vec![7; LARGEST_CHUNK + 1]);
        chunk(&mut file, Kind::Records, b"records");
        let mut chunks = Chunks::open(&file).unwrap();
        assert_eq!(chunks.next().unwrap().unwrap().1.len(), LARGEST_CHUNK);
        assert_eq!(chunks.next().unwrap().unwrap(), (Kind::Setup, vec![7]));
        assert_eq!(chunks.next().unwrap().unwrap(), (Kind::Records, b"records".to_vec()));
        assert_eq!(chunks.next().unwrap(), Err(End::Whole));
        let mut cut = Chunks::open(&file[..file.len() - 1]).unwrap();
        assert!(cut.next().unwrap().is_ok() && cut.next().unwrap().is_ok());
        assert_eq!(cut.next().unwrap(), Err(End::Cut));
        assert_eq!(state(&file), Some(State::Open));
        assert_eq!(state(b"RIFF"), None);
    }
}
