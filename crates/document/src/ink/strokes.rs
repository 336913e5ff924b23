//! Lines thinner than a pel: none vanishes, none is drawn twice as thick as its neighbour.

use super::Pels;
use super::cells::{Cells, Kind};
use crate::grey::Grey;

/// A thin line is kept if it stands out by this many shades.
const THIN: u8 = 40;

/// A line of less than one pel that lies across two rows or columns covers each in part, and would be
/// drawn in both: the fainter one is taken back.
pub(super) fn thin_pairs(depth: &Grey, pels: &mut Pels) {
    const WHOLE: u16 = 275;
    let faint = |v: u8, of: u8| u16::from(v) * 4 < u16::from(of);
    for y in 0..depth.rows {
        let row = |dy: isize| y.checked_add_signed(dy).map_or(&[][..], |yy| depth.row(yy));
        let (above, this, next, below) = (row(-1), row(0), row(1), row(2));
        for (x, &d) in this.iter().enumerate() {
            if !(24..=200).contains(&d) {
                continue;
            }
            let at = |r: &[u8], x: usize| r.get(x).copied().unwrap_or(0);
            let n = at(next, x);
            if u16::from(d) + u16::from(n) < WHOLE
                && faint(at(above, x), d.max(n))
                && faint(at(below, x), d.max(n))
                && pels.get(x, y)
                && pels.get(x, y + 1)
            {
                pels.clear(x, if d >= n { y + 1 } else { y });
            }
            let n = at(this, x + 1);
            if u16::from(d) + u16::from(n) < WHOLE
                && faint(x.checked_sub(1).map_or(0, |b| at(this, b)), d.max(n))
                && faint(at(this, x + 2), d.max(n))
                && pels.get(x, y)
                && pels.get(x + 1, y)
            {
                pels.clear(if d >= n { x + 1 } else { x }, y);
            }
        }
    }
}

/// Lines thinner than a pel lie between two rows or beside darker strokes and would fall through:
/// the crest of every such line is kept, one pel wide.
pub(super) fn keep_thin_lines(depth: &Grey, cells: &Cells, pels: &mut Pels) {
    let mut found = Vec::new();
    for y in 0..depth.rows {
        let rows: [&[u8]; 5] =
            core::array::from_fn(|i| (y + i).checked_sub(2).map_or(&[][..], |yy| depth.row(yy)));
        let row = depth.row(y);
        for (x, &d) in row.iter().enumerate() {
            if d < THIN || pels.get(x, y) {
                continue;
            }
            let kind = cells.row(y / cells.cell_h).get(x / cells.cell_w);
            if matches!(kind, Some(Kind::Photo | Kind::CleanDark)) {
                continue;
            }
            let v = |i: usize| rows.get(i).and_then(|r| r.get(x)).copied().unwrap_or(0);
            let h = |i: usize| (x + i).checked_sub(2).and_then(|xx| row.get(xx)).copied().unwrap_or(0);
            let free = |dx: isize, dy: isize| {
                let (nx, ny) = (x.checked_add_signed(dx), y.checked_add_signed(dy));
                !matches!((nx, ny), (Some(nx), Some(ny)) if pels.get(nx, ny))
            };
            let vertical = crest(d, v(0), v(1), v(3), v(4)) && free(0, -1) && free(0, 1);
            let horizontal = crest(d, h(0), h(1), h(3), h(4)) && free(-1, 0) && free(1, 0);
            if vertical || horizontal {
                found.push((x, y));
            }
        }
    }
    for (x, y) in found {
        pels.set(x, y);
    }
}

/// `d` is a crest between the two pels before and the two after it.
fn crest(d: u8, before2: u8, before: u8, after: u8, after2: u8) -> bool {
    d > before && d >= after && d - before2.min(before) >= THIN && d.saturating_sub(after2.min(after)) >= THIN
}
