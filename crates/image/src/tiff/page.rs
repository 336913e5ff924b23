//! One page of a file: its fields, its strips, its figures (TIFF 6.0, RFC 2301 §4).

use super::ifd::{Directory, File, damaged};
use super::remark::RemarkKind;
use super::sink::Sink;
use super::strip::{self, Found, Scheme, msb_first};
use super::tones;
use super::{Error, Left, Limits, Quality, TiffPage};
use crate::MAX_WIDTH;
use fax_base::page::{Resolution, Width};

/// Octets of the first strip that are looked at to find out how it is coded really.
const PROBE_OCTETS: usize = 32_768;

/// Pels of one page: A3 at 1200 per inch has 290 M.
const MAX_PAGE_PELS: u64 = 1 << 29;

/// Reads the page of `dir`; `left` is lowered. `None` for a thumbnail.
pub(super) fn read(
    file: &File<'_>,
    dir: &Directory<'_>,
    limits: &Limits,
    left: &mut Left,
    remark: &mut dyn FnMut(RemarkKind),
) -> Result<Option<TiffPage>, Error> {
    if dir.number(254).is_some_and(|t| t & 1 == 1) || dir.number(255) == Some(2) {
        remark(RemarkKind::ThumbnailSkipped);
        return Ok(None);
    }
    if tones::is_page(dir) {
        let strips = strips(file, dir, u32::MAX, None, remark)?;
        let page = tones::read(dir, &strips, left)?;
        let (x, y) = resolution(dir, &page.image, false, remark);
        let description = dir.text(270).filter(|t| !t.is_empty());
        let quality = quality(dir, Quality::default());
        return Ok(Some(TiffPage { x_per_inch: x, y_per_inch: y, quality, description, ..page }));
    }
    let layout = Layout::read(dir, limits, remark)?;
    let strips = strips(file, dir, layout.rows_per_strip, layout.length, remark)?;
    let first = strips.first().copied().unwrap_or(&[]);
    let (scheme, lsb_first) = really(first, &layout, remark);

    let pels = MAX_PAGE_PELS.min(left.pels);
    let rows_by_limit = u32::try_from(pels / u64::from(layout.width)).unwrap_or(u32::MAX);
    let most = limits.max_rows.min(rows_by_limit);
    if layout.length.is_some_and(|n| n > most) {
        return Err(Error::TooLarge("more pels than allowed".into()));
    }
    let mut sink = Sink::new(layout.width, layout.inverted, layout.orientation != 1);
    let mut bad = Quality::default();
    for (i, octets) in strips.iter().enumerate() {
        let octets = msb_first(octets, lsb_first);
        let stated = layout.length.map(|n| n.saturating_sub(sink.rows).min(layout.rows_per_strip));
        let room = most - sink.rows;
        let mut want = stated.unwrap_or(room).min(room);
        let fax = matches!(scheme, Scheme::Mh | Scheme::Mr | Scheme::Mmr);
        if fax && i + 1 == strips.len() && stated.is_some() {
            // ImageLength may be too small. More rows count only when the data ends as it should.
            let all = strip::decode(&octets, scheme, layout.width, room, None);
            if all.rows > want && all.clean_end && all.bad_rows == 0 {
                want = all.rows;
            }
        }
        let Found { rows, bad_rows, longest_bad_run, .. } =
            strip::decode(&octets, scheme, layout.width, want, Some(&mut sink));
        bad.bad_rows += bad_rows;
        bad.longest_bad_run = bad.longest_bad_run.max(longest_bad_run);
        if rows < want && stated.is_some() && i + 1 < strips.len() {
            // The strips after this one stay where they belong.
            for _ in rows..want {
                sink.repeat();
            }
            bad.bad_rows += want - rows;
            bad.longest_bad_run = bad.longest_bad_run.max(want - rows);
        }
    }
    let rows = sink.rows;
    left.pels = left.pels.saturating_sub(u64::from(rows) * u64::from(layout.width));
    if rows == 0 {
        return Err(damaged("a page without a readable row"));
    }
    match layout.length {
        None => remark(RemarkKind::LengthMissing(rows)),
        Some(stated) if stated != rows => {
            remark(RemarkKind::LengthWrong { stated, found: rows });
        }
        Some(_) => {}
    }
    if bad.bad_rows > 0 {
        remark(RemarkKind::BadRows(bad.bad_rows));
    }
    let turned = layout.orientation >= 5;
    if turned && rows > MAX_WIDTH {
        return Err(Error::TooLarge(format!("a page {rows} pels wide")));
    }
    let image = sink.finish(layout.orientation);
    let (x, y) = resolution(dir, &image, turned, remark);
    judge_shape(x, y, image.width(), remark);
    Ok(Some(TiffPage {
        image,
        x_per_inch: x,
        y_per_inch: y,
        quality: quality(dir, bad),
        description: dir.text(270).filter(|t| !t.is_empty()),
        tones: tones::beside(file, dir, left),
    }))
}

/// What the fields say about the data.
struct Layout {
    scheme: Scheme,
    width: u32,
    length: Option<u32>,
    rows_per_strip: u32,
    inverted: bool,
    lsb_first: bool,
    orientation: u32,
}

impl Layout {
    fn read(dir: &Directory<'_>, limits: &Limits, remark: &mut dyn FnMut(RemarkKind)) -> Result<Self, Error> {
        if dir.has(322) || dir.has(324) {
            return Err(Error::Unsupported("a tiled image".into()));
        }
        let scheme = scheme(dir, remark)?;
        let (bits, samples) = (dir.number(258).unwrap_or(1), dir.number(277).unwrap_or(1));
        if bits != 1 || samples != 1 {
            return Err(Error::Unsupported(format!("an image of {samples} × {bits} bits a pel")));
        }
        let inverted = match dir.number(262) {
            Some(0) => false,
            Some(1) => true,
            Some(n) => {
                return Err(Error::Unsupported(format!("photometric interpretation {n}")));
            }
            None => {
                remark(RemarkKind::PhotometricMissing);
                false
            }
        };
        let width = match dir.number(256) {
            None | Some(0) => return Err(damaged("no width")),
            Some(w) if w > MAX_WIDTH => return Err(Error::TooLarge(format!("{w} pels wide"))),
            Some(w) => w,
        };
        let length = dir.number(257).filter(|&n| n != 0);
        if let Some(n) = length.filter(|&n| n > limits.max_rows) {
            return Err(Error::TooLarge(format!("{n} rows")));
        }
        let orientation = match dir.number(274) {
            None | Some(1) => 1,
            Some(n @ 2..=8) => {
                remark(RemarkKind::Turned(n));
                n
            }
            Some(n) => {
                remark(RemarkKind::OrientationUnknown(n));
                1
            }
        };
        Ok(Layout {
            scheme,
            width,
            length,
            rows_per_strip: dir.number(278).filter(|&n| n != 0).unwrap_or(u32::MAX),
            inverted,
            lsb_first: dir.number(266) == Some(2),
            orientation,
        })
    }
}

fn scheme(dir: &Directory<'_>, remark: &mut dyn FnMut(RemarkKind)) -> Result<Scheme, Error> {
    let other = match dir.number(259).unwrap_or(1) {
        1 => {
            remark(RemarkKind::CompressionNotFax("none"));
            return Ok(Scheme::Packed);
        }
        2 => {
            remark(RemarkKind::CompressionNotFax("MH without EOLs"));
            return Ok(Scheme::Plain(8));
        }
        3 if dir.number(292).unwrap_or(0) & 1 == 1 => return Ok(Scheme::Mr),
        3 => return Ok(Scheme::Mh),
        4 => return Ok(Scheme::Mmr),
        9 => return Ok(Scheme::T85),
        34_661 => {
            remark(RemarkKind::CompressionNotFax("JBIG by its old number"));
            return Ok(Scheme::T85);
        }
        32_771 => {
            remark(RemarkKind::CompressionNotFax("MH without EOLs, in words"));
            return Ok(Scheme::Plain(16));
        }
        32_773 => {
            remark(RemarkKind::CompressionNotFax("PackBits"));
            return Ok(Scheme::PackBits);
        }
        5 => "LZW",
        6 | 7 => "JPEG",
        8 | 32_946 => "Deflate",
        10 => "JBIG (T.43)",
        32_766 => "NeXT",
        32_809 => "ThunderScan",
        34_712 => "JPEG 2000",
        34_925 => "LZMA",
        50_000 => "Zstandard",
        50_001 => "WebP",
        n => return Err(Error::Unsupported(format!("compression {n}"))),
    };
    Err(Error::Unsupported(other.into()))
}

/// The octets of each strip.
fn strips<'a>(
    file: &File<'a>,
    dir: &Directory<'_>,
    rows_per_strip: u32,
    length: Option<u32>,
    remark: &mut dyn FnMut(RemarkKind),
) -> Result<Vec<&'a [u8]>, Error> {
    let offsets = dir.numbers(273).filter(|o| !o.is_empty()).ok_or_else(|| damaged("no strips"))?;
    let counts = dir.numbers(279).filter(|c| c.iter().any(|&n| n != 0));
    let counts = match counts {
        Some(c) if c.len() >= offsets.len() => c,
        Some(_) => return Err(damaged("strips without a length")),
        None if offsets.len() == 1 => {
            remark(RemarkKind::ByteCountsMissing);
            let rest = file.octets.len().saturating_sub(offsets[0] as usize);
            vec![u32::try_from(rest).unwrap_or(u32::MAX)]
        }
        None => return Err(damaged("strips without a length")),
    };
    if offsets.len() > 1 {
        remark(RemarkKind::Strips(offsets.len()));
        let needed = length.map_or(1, |n| n.div_ceil(rows_per_strip)) as usize;
        if offsets.len() > needed.max(1) && length.is_some() {
            return Err(damaged(format!("{} strips where {needed} would do", offsets.len())));
        }
    }
    let mut ranges: Vec<(usize, usize)> = Vec::with_capacity(offsets.len());
    for (&at, &count) in offsets.iter().zip(&counts) {
        let at = at as usize;
        ranges.push((at, at.saturating_add(count as usize)));
    }
    let strips = ranges
        .iter()
        .map(|&(from, to)| file.octets.get(from..to))
        .collect::<Option<Vec<_>>>()
        .ok_or_else(|| damaged("a strip lies beyond the end of the file"))?;
    ranges.retain(|(from, to)| from != to);
    ranges.sort_unstable();
    if ranges.windows(2).any(|w| w[1].0 < w[0].1) {
        return Err(damaged("strips overlap"));
    }
    Ok(strips)
}

/// How the data is coded really: fields about dimension and bit order are often wrong.
fn really(strip: &[u8], layout: &Layout, remark: &mut dyn FnMut(RemarkKind)) -> (Scheme, bool) {
    let said = (layout.scheme, layout.lsb_first);
    if !matches!(said.0, Scheme::Mh | Scheme::Mr | Scheme::Mmr) {
        return said;
    }
    let cut = strip.len() > PROBE_OCTETS;
    let probe = strip.get(..PROBE_OCTETS).unwrap_or(strip);
    let want = layout.length.unwrap_or(u32::MAX).min(layout.rows_per_strip).min(20_000);
    let good = |scheme: Scheme, lsb_first: bool| {
        let octets = msb_first(probe, lsb_first);
        let found = strip::decode(&octets, scheme, layout.width, want, None);
        // Of a strip that was cut for this, anything that goes well for some rows is good.
        let whole = found.rows >= want || found.clean_end || cut && found.rows > 15;
        (found.rows - found.bad_rows, whole && found.bad_rows == 0)
    };
    let (rows, whole) = good(said.0, said.1);
    if whole && rows > 0 || rows > want / 2 {
        return said;
    }
    let (scheme, order) = said;
    let others = [
        (scheme, !order, "in the other bit order"),
        (Scheme::Mh, order, "MH"),
        (Scheme::Mr, order, "MR"),
        (Scheme::Mmr, order, "MMR"),
        (Scheme::Plain(1), order, ""),
        (Scheme::Plain(8), order, ""),
    ];
    for (other, lsb_first, name) in others {
        let is_t4 = |s| matches!(s, Scheme::Mh | Scheme::Mr);
        let plain = matches!(other, Scheme::Plain(_));
        if (other, lsb_first) == said || plain && !is_t4(scheme) {
            continue;
        }
        let (n, whole) = good(other, lsb_first);
        if whole && n > rows && (n >= want || n > 15) {
            remark(if plain { RemarkKind::NoEols } else { RemarkKind::Mislabelled(name) });
            return (other, lsb_first);
        }
    }
    said
}

/// Pels and rows per inch of the upright page.
fn resolution(
    dir: &Directory<'_>,
    image: &super::Image,
    turned: bool,
    remark: &mut dyn FnMut(RemarkKind),
) -> (f32, f32) {
    let unit = dir.number(296).unwrap_or(2);
    let figure = |tag| dir.fraction(tag).filter(|f| f.is_finite() && *f >= 1.0 && *f <= 100_000.0);
    if let (Some(x), Some(y)) = (figure(282), figure(283))
        && unit != 1
    {
        let factor = if unit == 3 {
            remark(RemarkKind::PerCentimetre);
            2.54
        } else {
            1.0
        };
        let (x, y) = if turned { (y, x) } else { (x, y) };
        return (x * factor, y * factor);
    }
    let (x, y) = guess(image.width(), image.rows());
    remark(RemarkKind::ResolutionGuessed(x, y));
    (x, y)
}

/// The resolution that a page of this shape most likely has.
fn guess(width: u32, rows: u32) -> (f32, f32) {
    let of = |r: Resolution| (r.x_per_inch() as f32, r.y_per_inch() as f32);
    let is = |r| Width::from_pels(width, r).is_some();
    if is(Resolution::Standard) {
        // An A4 page has 1143 rows at standard resolution and 2286 at fine.
        return of(match rows {
            0..=1500 => Resolution::Standard,
            1501..=3600 => Resolution::Fine,
            _ => Resolution::Superfine,
        });
    }
    if is(Resolution::Inch300) {
        return of(Resolution::Inch300);
    }
    if is(Resolution::R16) {
        return of(Resolution::R16);
    }
    // Square pels on a line of 215 mm.
    let x = (width as f32 * 25.4 / 215.0).max(1.0);
    (x, x)
}

fn judge_shape(x: f32, y: f32, width: u32, remark: &mut dyn FnMut(RemarkKind)) {
    match Resolution::from_per_inch(x, y) {
        None => remark(RemarkKind::ResolutionNotFax(x, y)),
        Some(r) if Width::from_pels(width, r).is_none() => remark(RemarkKind::WidthNotFax(width)),
        Some(_) => {}
    }
}

/// What the fields say, and what was found beyond that.
fn quality(dir: &Directory<'_>, found: Quality) -> Option<Quality> {
    let (bad, clean, run) = (dir.number(326), dir.number(327), dir.number(328));
    if bad.is_none() && clean.is_none() && found.bad_rows == 0 {
        return None;
    }
    let bad_rows = bad.unwrap_or(0).max(found.bad_rows);
    Some(Quality {
        bad_rows,
        longest_bad_run: run.unwrap_or(0).max(found.longest_bad_run).min(bad_rows),
        left_in: clean == Some(2),
    })
}
