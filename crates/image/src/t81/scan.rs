//! A scan: units of blocks, restart markers, and what is done about damage (T.81 §A.2, §E.2, §F.2).

use super::Error;
use super::dct;
use super::huffman::{Bits, Table};
use super::markers::{Frame, Tables};
use super::tables::ZIGZAG;

/// The samples of a component.
#[derive(Clone, Debug)]
pub(super) struct Plane {
    /// Samples on a row, padded to whole units.
    pub(super) stride: usize,
    pub(super) samples: Vec<u8>,
}

impl Plane {
    /// Makes room for so many rows of blocks.
    fn grow(&mut self, block_rows: usize) {
        let wanted = block_rows * 8 * self.stride;
        if self.samples.len() < wanted {
            self.samples.resize(wanted, 128);
        }
    }

    /// Lays a block down.
    fn put(&mut self, column: usize, row: usize, block: &[f32; 64]) {
        let at = row * 8 * self.stride + column * 8;
        let rows = self.samples.get_mut(at..).unwrap_or_default().chunks_mut(self.stride.max(1));
        for (to, from) in rows.zip(block.as_chunks::<8>().0) {
            for (to, from) in to.iter_mut().zip(from) {
                *to = (from + 128.5).clamp(0.0, 255.0) as u8;
            }
        }
    }
}

/// A component in a scan.
struct Part<'a> {
    place: usize,
    dc: &'a Table,
    ac: &'a Table,
    quantization: [f32; 64],
    /// Blocks in a unit.
    across: usize,
    down: usize,
    last: i32,
}

/// Pels that may be missing between intervals, beyond as many as were read: half an A4 page at 200 per inch. A stream
/// with more has no octets for them, and each costs time.
const MOST_MISSING: usize = 1 << 21;

/// Reads the scan whose bits begin at `at`. `bad` gets an entry for every row of pels that was reached: whether
/// something of it is missing. Gives the place of the marker behind the scan.
pub(super) fn read(
    octets: &[u8],
    at: usize,
    (frame, tables): (&Frame, &Tables),
    chosen: &[(usize, usize, usize)],
    planes: &mut [Plane],
    bad: &mut Vec<bool>,
    max_rows: usize,
) -> Result<usize, Error> {
    let missing = Error::Damaged("a scan without its tables");
    let alone = chosen.len() == 1;
    let mut parts = Vec::new();
    for &(place, dc, ac) in chosen {
        let component = frame.components.get(place).ok_or_else(|| missing.clone())?;
        let table = tables.quantization.get(component.table).copied().flatten();
        let table = table.ok_or_else(|| missing.clone())?;
        parts.push(Part {
            place,
            dc: tables.dc.get(dc).and_then(Option::as_ref).ok_or_else(|| missing.clone())?,
            ac: tables.ac.get(ac).and_then(Option::as_ref).ok_or_else(|| missing.clone())?,
            quantization: table.map(f32::from),
            across: if alone { 1 } else { component.across },
            down: if alone { 1 } else { component.down },
            last: 0,
        });
    }
    // Units on a row, and pels that a unit is wide and high. A component alone goes by its own blocks.
    let first = frame.components.get(chosen.first().map_or(0, |c| c.0)).ok_or(missing)?;
    let (unit_width, unit_height) = if alone {
        (8 * frame.most.0 / first.across, 8 * frame.most.1 / first.down)
    } else {
        (8 * frame.most.0, 8 * frame.most.1)
    };
    let units = frame.width.div_ceil(unit_width.max(1));
    let rows = if frame.rows == 0 { max_rows } else { frame.rows };
    let unit_rows = rows.div_ceil(unit_height.max(1));

    let mut bits = Bits::new(octets, at);
    let (mut unit, mut restarts, mut read) = (0usize, 0usize, 0usize);
    let total = units * unit_rows;
    let mut end = at;
    while unit < total {
        let until = match tables.restart_interval {
            0 => total,
            interval => ((restarts + 1) * interval).min(total),
        };
        let mut whole = true;
        while unit < until {
            if frame.rows == 0 && unit % units == 0 && bits.is_used_up() {
                break;
            }
            let (column, row) = (unit % units, unit / units);
            for part in &parts {
                if let Some(plane) = planes.get_mut(part.place) {
                    plane.grow((row + 1) * part.down);
                }
            }
            mark(bad, row * unit_height, ((row + 1) * unit_height).min(rows), false);
            if !read_unit(&mut parts, planes, &mut bits, column, row) {
                whole = false;
                break;
            }
            unit += 1;
            read += 1;
        }
        // The next marker, whatever lies before it.
        end = next_marker(octets, bits.position());
        if whole && unit >= total {
            break;
        }
        let restart = octets.get(end + 1).filter(|m| (0xD0..=0xD7).contains(*m));
        // How many intervals it is behind the one that was awaited: so many are missing.
        let resumed = restart.filter(|_| tables.restart_interval > 0).map(|restart| {
            let behind = (usize::from(restart & 7) + 8 - restarts % 8) % 8;
            (behind, ((restarts + 1 + behind) * tables.restart_interval).min(total))
        });
        let most = 2 * read + MOST_MISSING / (unit_width * unit_height).max(1);
        let Some((behind, resumed)) = resumed.filter(|&(_, resumed)| resumed <= most) else {
            // The scan is over, too early or because nobody knew its length.
            let reached = bad.len();
            mark(bad, unit / units * unit_height, reached, true);
            break;
        };
        if !whole || behind > 0 {
            mark(bad, unit / units * unit_height, (resumed.div_ceil(units) * unit_height).min(rows), true);
        }
        restarts += 1 + behind;
        unit = resumed;
        bits = Bits::new(octets, end + 2);
        for part in &mut parts {
            part.last = 0;
        }
    }
    // Restart markers without need.
    while octets.get(end + 1).is_some_and(|m| (0xD0..=0xD7).contains(m)) {
        end = next_marker(octets, end + 2);
    }
    Ok(end)
}

/// Marks rows; a row once bad stays so.
fn mark(bad: &mut Vec<bool>, from: usize, to: usize, value: bool) {
    if bad.len() < to {
        bad.resize(to, false);
    }
    if value && let Some(rows) = bad.get_mut(from..to.max(from)) {
        rows.fill(true);
    }
}

/// The place of the next marker from `at` on; the end when there is none.
pub(super) fn next_marker(octets: &[u8], at: usize) -> usize {
    let mut at = at;
    while let Some(found) = octets.get(at..).and_then(|rest| rest.iter().position(|&o| o == 0xFF)) {
        at += found;
        match octets.get(at + 1) {
            Some(0 | 0xFF) => at += 1,
            Some(_) => return at,
            None => break,
        }
    }
    octets.len()
}

/// The blocks of one unit; false when they could not be read.
fn read_unit(
    parts: &mut [Part<'_>],
    planes: &mut [Plane],
    bits: &mut Bits<'_>,
    column: usize,
    row: usize,
) -> bool {
    for part in parts {
        for i in 0..part.across * part.down {
            let Some(block) = read_block(part, bits) else {
                return false;
            };
            let (x, y) = (column * part.across + i % part.across, row * part.down + i / part.across);
            if let Some(plane) = planes.get_mut(part.place) {
                plane.put(x, y, &block);
            }
        }
    }
    true
}

fn read_block(part: &mut Part<'_>, bits: &mut Bits<'_>) -> Option<[f32; 64]> {
    let size = bits.symbol(part.dc)?;
    if size > 11 {
        return None;
    }
    part.last = (part.last + bits.number(u32::from(size))).clamp(-32_768, 32_767);
    let mut block = [0.0; 64];
    block[0] = part.last as f32 * part.quantization[0];
    let mut k = 1usize;
    while k < 64 {
        let symbol = bits.symbol(part.ac)?;
        let (zeros, size) = (usize::from(symbol >> 4), u32::from(symbol & 15));
        if size == 0 {
            if zeros < 15 {
                break;
            }
            k += 16;
            continue;
        }
        k += zeros;
        let place = usize::from(*ZIGZAG.get(k)? & 63);
        block[place] = bits.number(size) as f32 * part.quantization[place];
        k += 1;
    }
    if bits.is_overdrawn() {
        return None;
    }
    dct::inverse(&mut block);
    Some(block)
}
