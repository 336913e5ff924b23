//! Pages of profile C: JPEG in CIELAB, one strip a page (RFC 3949 §6; TIFF technical note 2 for JPEG in TIFF).

use super::ifd::{Directory, File, damaged};
use super::{Error, Image, Left, TiffPage};
use bytes::Bytes;
use fax_base::page::{Resolution, Tones};

/// Compression: JPEG.
pub(super) const JPEG: u32 = 7;
/// PhotometricInterpretation: CIELAB as T.42 codes it.
pub(super) const ITULAB: u32 = 10;

/// Whether `dir` is such a page.
pub(super) fn is_page(dir: &Directory<'_>) -> bool {
    dir.number(259) == Some(JPEG) && dir.number(262) == Some(ITULAB)
}

/// The stream of such a page that stands below the page of pels in `dir` (SubIFDs). What is no such page, or more than
/// is `left`, is left alone.
pub(super) fn beside(file: &File<'_>, dir: &Directory<'_>, left: &mut Left) -> Option<Bytes> {
    let below = file.directory(dir.number(330)?).ok().filter(is_page)?;
    let (Some(&[at]), Some(&[length])) = (below.numbers(273).as_deref(), below.numbers(279).as_deref())
    else {
        return None;
    };
    let at = at as usize;
    let stream = file.octets.get(at..at.checked_add(length as usize)?)?;
    left.octets = left.octets.checked_sub(stream.len())?;
    Some(Bytes::copy_from_slice(stream))
}

/// A page as it came over the line though nobody can read it: as large as the file says.
fn unreadable(dir: &Directory<'_>, octets: Bytes) -> Option<TiffPage> {
    let (width, rows) = (dir.number(256)?, dir.number(257)?);
    let fits = |n: u32| (1..=u32::from(u16::MAX)).contains(&n);
    let tones = if dir.number(277) == Some(3) { Tones::Colour } else { Tones::Grey };
    let page = TiffPage::new(Image::T81 { octets, width, rows, tones }, Resolution::Fine);
    (fits(width) && fits(rows)).then_some(page)
}

/// The page whose data is `strips`; `left` is lowered.
pub(super) fn read(dir: &Directory<'_>, strips: &[&[u8]], left: &mut Left) -> Result<TiffPage, Error> {
    let [strip] = strips else {
        return Err(Error::Unsupported("JPEG in several strips".into()));
    };
    left.octets = left
        .octets
        .checked_sub(strip.len())
        .ok_or_else(|| Error::TooLarge("pages that share their octets".into()))?;
    // Tables that stand in a field of their own come first: without their EOI, and the strip without its SOI.
    let tables = dir.octets(347).unwrap_or_default();
    let stream = match (tables.strip_suffix(&[0xFF, 0xD9]), strip.strip_prefix(&[0xFF, 0xD8])) {
        (Some(tables), Some(strip)) => [tables, strip].concat(),
        _ => strip.to_vec(),
    };
    let stream = Bytes::from(stream);
    let page = match TiffPage::in_tones(stream.clone()) {
        Ok(page) => page,
        Err(e) => unreadable(dir, stream).ok_or_else(|| damaged(e.to_string()))?,
    };
    let pels = u64::from(page.image.width()) * u64::from(page.image.rows());
    left.pels =
        left.pels.checked_sub(pels).ok_or_else(|| Error::TooLarge("more pels than allowed".into()))?;
    Ok(page)
}
