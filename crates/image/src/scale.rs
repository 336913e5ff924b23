//! Fitting a page to the resolution and width that the far end takes (T.4 §2; T.30 Table 2).
//!
//! Both directions are scaled by the same rule, rows first as columns of the transposed page. A black
//! run covers the pels of which it covers half or more, so 1:2 joins two rows into one that is black
//! where either was, and 2:1 doubles rows exactly. A run too thin to cover half of any pel is kept as
//! one pel if it is a stroke: at least half as thick as a new pel, or going on across its own
//! direction. Single pels of a halftone are not, so greys stay near what they were.

use crate::Bitmap;
use crate::MAX_WIDTH;
use crate::changes::{Changes, Painter};
use crate::turn::transpose;
use fax_base::page::{Resolution, Width};

/// Fits a page of resolution `from` to `width` at resolution `to`: a page that is wider is made
/// smaller as a whole, a narrower one is filled up with white at its right. Thin strokes are kept.
#[must_use]
pub fn fit(bitmap: &Bitmap, from: Resolution, to: Resolution, width: Width) -> Bitmap {
    let wanted = width.pels(to);
    // The widths of T.4 §2 stand in exact proportions, better than figures per inch.
    let (num, den) = (Width::A4.pels(to), Width::A4.pels(from));
    let natural = ratio(bitmap.width(), num, den);
    let (x, shrink) = if natural > wanted { (wanted, (wanted, natural)) } else { (natural, (1, 1)) };
    let (fine, coarse) = (lines_per_10_cm(to), lines_per_10_cm(from));
    let rows = u64::from(bitmap.rows()) * u64::from(fine) * u64::from(shrink.0);
    let per = u64::from(coarse) * u64::from(shrink.1);
    let rows = u32::try_from((rows + per / 2) / per).unwrap_or(u32::MAX);
    let rows = rows.max(u32::from(bitmap.rows() > 0));
    let scaled = resize(bitmap, x, rows);
    if scaled.width() == wanted {
        return scaled;
    }
    let mut filled = Bitmap::new(wanted);
    filled.append(&scaled);
    filled
}

/// Rows in 100 mm: 3.85, 7.7 and 15.4 lines/mm stand in exact proportions.
const fn lines_per_10_cm(resolution: Resolution) -> u32 {
    match resolution {
        Resolution::Standard => 385,
        Resolution::Fine => 770,
        Resolution::Superfine | Resolution::R16 => 1540,
        Resolution::Inch300 => 1181,
    }
}

fn ratio(n: u32, num: u32, den: u32) -> u32 {
    let scaled = (u64::from(n) * u64::from(num) + u64::from(den) / 2) / u64::from(den.max(1));
    u32::try_from(scaled).unwrap_or(u32::MAX)
}

/// Scales to exactly `width` × `rows` pels (at most [`MAX_WIDTH`] each). A pel becomes black when half
/// of its height and width or more is; strokes that would vanish are kept one pel thin.
#[must_use]
pub fn resize(bitmap: &Bitmap, width: u32, rows: u32) -> Bitmap {
    let (width, rows) = (width.min(MAX_WIDTH), rows.min(MAX_WIDTH));
    if bitmap.width() == 0 || bitmap.rows() == 0 || width == 0 || rows == 0 {
        return Bitmap::blank(width, rows);
    }
    if bitmap.rows() > MAX_WIDTH {
        let mut cut = bitmap.clone();
        cut.truncate(MAX_WIDTH);
        return resize(&cut, width, rows);
    }
    let narrow = |map: &Bitmap, to| {
        if map.width() == to { map.clone() } else { along_rows(map, to) }
    };
    // The direction that loses most goes first: less is left to do.
    let shrinks_rows =
        u64::from(rows) * u64::from(bitmap.width()) < u64::from(width) * u64::from(bitmap.rows());
    if bitmap.rows() == rows {
        return narrow(bitmap, width);
    }
    if shrinks_rows {
        let fewer = transpose(&narrow(&transpose(bitmap), rows));
        narrow(&fewer, width)
    } else {
        transpose(&narrow(&transpose(&narrow(bitmap, width)), rows))
    }
}

/// Scales each row to `width` pels.
fn along_rows(from: &Bitmap, width: u32) -> Bitmap {
    let mut to = Bitmap::new(width);
    let (old, new) = (u64::from(from.width()), u64::from(width));
    let (mut row, mut scaled) = (Changes::default(), Changes::default());
    let mut painter = Painter::default();
    for y in 0..from.rows() {
        row.find(from.row(y), from.width());
        scaled.at.clear();
        let black = row.at.get(..row.elements().len().next_multiple_of(2));
        for run in black.unwrap_or(&[]).chunks_exact(2) {
            let &[a, b] = run else { continue };
            let (start, end) = (u64::from(a) * new, u64::from(b) * new);
            // Pels of which half or more lies in the run, in units of 1 / old pel.
            let mut first = (2 * start).saturating_sub(old).div_ceil(2 * old);
            let mut behind = (2 * end + old) / (2 * old);
            if behind <= first {
                if !is_stroke(from, a, b, y, old, new) {
                    continue;
                }
                first = (start + end) / (2 * old);
                behind = first + 1;
            }
            put_run(&mut scaled.at, first as u32, behind.min(new) as u32);
        }
        scaled.seal(width);
        painter.paint(&scaled, to.grow_row());
    }
    to
}

/// Whether the run from `a` up to `b` in row `y`, which covers half of no new pel, is worth keeping.
fn is_stroke(map: &Bitmap, a: u32, b: u32, y: u32, old: u64, new: u64) -> bool {
    if 2 * u64::from(b - a) * new >= old {
        return true;
    }
    let middle = a + (b - a) / 2;
    // A stroke goes on in the rows on both sides, straight on or by one pel aside.
    let goes_on = |y: u32| (middle.saturating_sub(1)..=middle + 1).any(|x| map.get(x, y));
    (y == 0 || goes_on(y - 1)) && (y + 1 == map.rows() || goes_on(y + 1))
}

/// Appends a run, joined with the one before when they touch or overlap.
fn put_run(row: &mut Vec<u32>, first: u32, behind: u32) {
    match row.last_mut() {
        Some(last) if *last >= first => *last = behind.max(*last),
        _ => row.extend([first, behind]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(width: u32, rows: u32, sparse: u32) -> Bitmap {
        let mut map = Bitmap::blank(width, rows);
        let mut x = 7u32;
        for j in 0..rows {
            for i in 0..width {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                map.set(i, j, (x >> 16).is_multiple_of(sparse));
            }
        }
        map
    }

    #[test]
    fn one_to_two_joins_two_rows_and_two_to_one_doubles_them() {
        let fine = noise(1728, 101, 5);
        let standard = fit(&fine, Resolution::Fine, Resolution::Standard, Width::A4);
        assert_eq!((standard.width(), standard.rows()), (1728, 51));
        let even = noise(1728, 100, 5);
        let standard = fit(&even, Resolution::Fine, Resolution::Standard, Width::A4);
        assert_eq!(standard.rows(), 50);
        for y in 0..50 {
            for x in 0..1728 {
                assert_eq!(standard.get(x, y), even.get(x, 2 * y) || even.get(x, 2 * y + 1));
            }
        }
        let doubled = fit(&standard, Resolution::Standard, Resolution::Fine, Width::A4);
        assert_eq!(doubled.rows(), 100);
        for y in 0..100 {
            assert_eq!(doubled.row(y), standard.row(y / 2));
        }
    }

    #[test]
    fn hairlines_survive_and_greys_stay() {
        let mut map = Bitmap::blank(4864, 1540);
        for i in 0..20 {
            for x in 0..4864 {
                map.set(x, 31 + i * 67, true);
            }
            for y in 0..1540 {
                map.set(17 + i * 211, y, true);
            }
        }
        for (to, width) in [
            (Resolution::Standard, Width::A4),
            (Resolution::Fine, Width::B4),
            (Resolution::Inch300, Width::A4),
        ] {
            let small = fit(&map, Resolution::R16, to, width);
            assert_eq!(small.width(), width.pels(to));
            let row_is_black = |y: u32| (0..small.width()).all(|x| small.get(x, y));
            let column_is_black = |x: u32| (0..small.rows()).all(|y| small.get(x, y));
            assert_eq!((0..small.rows()).filter(|y| row_is_black(*y)).count(), 20, "{to}");
            assert_eq!((0..small.width()).filter(|x| column_is_black(*x)).count(), 20, "{to}");
        }
        // A tenth of the pels, scattered: any black in four rows would make it 0.34.
        let grey = noise(1728, 800, 10);
        let small = fit(&grey, Resolution::Superfine, Resolution::Standard, Width::A4);
        let share = small.black_pels() as f64 / f64::from(1728 * small.rows());
        assert!(share < 0.22, "{share}");
    }

    #[test]
    fn widths_shrink_with_their_aspect_or_are_filled_up() {
        let mut map = Bitmap::blank(2432, 1000);
        map.set(2431, 999, true);
        let a4 = fit(&map, Resolution::Fine, Resolution::Fine, Width::A4);
        assert_eq!((a4.width(), a4.rows()), (1728, 711));
        assert!(a4.get(1727, 710));
        let b4 = fit(&a4, Resolution::Fine, Resolution::Standard, Width::B4);
        assert_eq!((b4.width(), b4.rows()), (2048, 356));
        assert_eq!(fit(&a4, Resolution::Fine, Resolution::Fine, Width::A4), a4);
        assert_eq!(resize(&map, 0, 7), Bitmap::blank(0, 7));
        assert_eq!(resize(&Bitmap::new(9), 3, 2), Bitmap::blank(3, 2));
        let one = Bitmap::from_rows(1, &[0x80]);
        assert_eq!(resize(&one, 5, 3).black_pels(), 15);
    }
}
