//! Where a sheet lands on a fax page: true size where it fits, whole always (T.4 §2, ISO 216).

use crate::RenderError;
use fax_base::page::{PageShape, Resolution, Width};

/// Pels per millimetre along a row and rows per millimetre (T.4 §2, T.30 Table 2).
pub(crate) const fn per_mm(resolution: Resolution) -> (f64, f64) {
    match resolution {
        Resolution::Standard => (8.04, 3.85),
        Resolution::Fine => (8.04, 7.7),
        Resolution::Superfine => (8.04, 15.4),
        Resolution::R16 => (16.08, 15.4),
        Resolution::Inch300 => (300.0 / 25.4, 300.0 / 25.4),
    }
}

/// The same for pages in grey and colour, 200 per inch in both directions (T.30 Table 2, bit 44; T.42).
pub(crate) const SQUARE: (f64, f64) = (200.0 / 25.4, 200.0 / 25.4);

/// The ISO length that goes with a line length, in millimetres.
const fn sheet_mm(width: Width) -> f64 {
    match width {
        Width::A4 => 297.0,
        Width::B4 => 364.0,
        Width::A3 => 420.0,
    }
}

/// A sheet this much narrower than the line still counts as meant for it and keeps its size.
const NEARLY_FULL: f64 = 0.93;
/// A sheet longer than this for its width is a long one (Legal is 1.65, ISO 216 is 1.414).
const LONG: f64 = 1.45;
/// Longest page in rows: what sixteen bits hold, as files and renderers count.
const MAX_ROWS: f64 = 65_500.0;

/// How a sheet is put on a fax page.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Placement {
    /// The page.
    pub(crate) shape: PageShape,
    /// Turn the sheet clockwise by a quarter first.
    pub(crate) turned: bool,
    /// First pel column of the sheet on the page; as many are left at the right.
    pub(crate) x: u32,
    /// Pel columns that the sheet covers.
    pub(crate) columns: u32,
}

/// Puts a sheet of `w` × `h` millimetres on a page. `most` bounds how much it may be enlarged.
///
/// A sheet wider than the line is turned if that makes it narrower, then made smaller as a whole;
/// a small one is enlarged; one of about the width of the line keeps its true size. The page is
/// as long as the sheet then is: short sheets give short pages, long ones long pages.
pub(crate) fn place(
    sheet: (f64, f64),
    resolution: Resolution,
    width: Width,
    most: f64,
    max_pels: u64,
) -> Result<Placement, RenderError> {
    place_at(sheet, per_mm(resolution), resolution, width, most, max_pels)
}

/// The same on a page in grey or colour, which counts as fine.
pub(crate) fn place_in_tones(
    sheet: (f64, f64),
    width: Width,
    most: f64,
    max_pels: u64,
) -> Result<Placement, RenderError> {
    place_at(sheet, SQUARE, Resolution::Fine, width, most, max_pels)
}

fn place_at(
    (w, h): (f64, f64),
    (per_x, per_y): (f64, f64),
    resolution: Resolution,
    width: Width,
    most: f64,
    max_pels: u64,
) -> Result<Placement, RenderError> {
    let sane = |v: f64| v.is_finite() && v > 0.0;
    if !sane(w) || !sane(h) {
        return Err(RenderError::too_large("a page has no usable size"));
    }
    let pels = width.pels(resolution);
    let line = f64::from(pels) / per_x;
    let sheet = sheet_mm(width);

    let turned = w > h && w > line * 1.01;
    let (w, h) = if turned { (h, w) } else { (w, h) };
    let by_width = line / w;
    let by_length = sheet / h;
    let whole = if h / w <= LONG { by_width.min(by_length) } else { by_width };
    let scale = if by_width < 1.0 || w >= NEARLY_FULL * line {
        whole.min(1.0)
    } else {
        by_width.min(by_length).min(most).max(1.0)
    };

    // Rounding must not lose a row that the standard's own count has, nor add one beyond it.
    let rows = (h * scale * per_y + 0.01).floor().max(1.0);
    if rows > MAX_ROWS || rows * f64::from(pels) > max_pels as f64 {
        return Err(RenderError::too_large(format!("a page would be {:.1} m long", h * scale / 1000.0)));
    }
    let columns = ((w * scale * per_x).round() as u32).clamp(1, pels);
    Ok(Placement {
        shape: PageShape { width, resolution, rows: rows as u32, tones: None },
        turned,
        x: (pels - columns) / 2,
        columns,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(w: f64, h: f64, r: Resolution) -> Placement {
        place((w, h), r, Width::A4, f64::INFINITY, 1 << 30).unwrap()
    }

    #[test]
    fn a4_has_the_rows_of_the_standard_and_its_true_width() {
        for (r, rows, columns) in [
            (Resolution::Standard, 1143, 1688),
            (Resolution::Fine, 2286, 1688),
            (Resolution::Superfine, 4573, 1688),
            (Resolution::R16, 4573, 3377),
            (Resolution::Inch300, 3507, 2480),
        ] {
            for (w, h, turned) in [(210.0, 297.0, false), (297.0, 210.0, true)] {
                let p = at(w, h, r);
                assert_eq!((p.shape.rows, p.columns, p.turned), (rows, columns, turned));
            }
        }
    }

    #[test]
    fn letter_and_legal_fill_the_line_and_lose_nothing() {
        let letter = at(215.9, 279.4, Resolution::Fine);
        assert_eq!((letter.columns, letter.shape.rows), (1728, 2141));
        let legal = at(215.9, 355.6, Resolution::Fine);
        assert_eq!((legal.columns, legal.shape.rows), (1728, 2725));
        let sideways = at(355.6, 215.9, Resolution::Fine);
        assert!(sideways.turned);
        assert_eq!(sideways.shape.rows, 2725);
    }

    #[test]
    fn larger_iso_sheets_become_a_whole_a4_and_smaller_ones_too() {
        for (w, h) in [(297.0, 420.0), (841.0, 1189.0), (148.0, 210.0), (105.0, 148.0)] {
            let p = at(w, h, Resolution::Fine);
            assert!((2270..=2286).contains(&p.shape.rows), "{w} × {h}: {p:?}");
            assert!((1680..=1695).contains(&p.columns), "{w} × {h}: {p:?}");
        }
    }

    #[test]
    fn half_a_sheet_is_a_short_page_and_not_turned() {
        let p = at(210.0, 148.5, Resolution::Fine);
        assert!(!p.turned);
        assert_eq!(p.shape.rows, 1143);
    }

    #[test]
    fn a_receipt_keeps_its_length() {
        let p = at(80.0, 400.0, Resolution::Standard);
        assert_eq!((p.shape.rows, p.columns), (1540, 643));
        assert_eq!(p.x, (1728 - 643) / 2);
    }

    #[test]
    fn absurd_sheets_are_refused() {
        for (w, h) in [(1.0, 1e9), (1e9, 1.0), (f64::NAN, 1.0), (1.0, f64::INFINITY), (0.0, 1.0)] {
            assert!(
                place((w, h), Resolution::Fine, Width::A4, f64::INFINITY, 64 << 20).is_err(),
                "{w} × {h}"
            );
        }
        assert!(at(1e9, 1e9, Resolution::Fine).shape.rows > 1000);
    }
}
