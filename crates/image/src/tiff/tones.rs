//! Pages of profile C: JPEG in CIELAB, one strip a page (RFC 3949 §6; TIFF technical note 2 for JPEG in TIFF).

use super::ifd::{Directory, damaged};
use super::{Error, TiffPage};
use crate::t42;

/// Compression: JPEG.
pub(super) const JPEG: u32 = 7;
/// PhotometricInterpretation: CIELAB as T.42 codes it.
pub(super) const ITULAB: u32 = 10;

/// Whether `dir` is such a page.
pub(super) fn is_page(dir: &Directory<'_>) -> bool {
    dir.number(259) == Some(JPEG) && dir.number(262) == Some(ITULAB)
}

/// The page whose data is `strips`; `pels_left` is what the limits still allow and is lowered.
pub(super) fn read(dir: &Directory<'_>, strips: &[&[u8]], pels_left: &mut u64) -> Result<TiffPage, Error> {
    let [strip] = strips else {
        return Err(Error::Unsupported("JPEG in several strips".into()));
    };
    // Tables that stand in a field of their own come first: without their EOI, and the strip without its SOI.
    let tables = dir.octets(347).unwrap_or_default();
    let stream = match (tables.strip_suffix(&[0xFF, 0xD9]), strip.strip_prefix(&[0xFF, 0xD8])) {
        (Some(tables), Some(strip)) => [tables, strip].concat(),
        _ => strip.to_vec(),
    };
    let page = TiffPage::in_tones(stream.into()).map_err(|e| match e {
        t42::Error::TooLarge { .. } => Error::TooLarge(e.to_string()),
        t42::Error::Unsupported(what) => Error::Unsupported(format!("JPEG with {what}")),
        e => damaged(e.to_string()),
    })?;
    let pels = u64::from(page.image.width()) * u64::from(page.image.rows());
    *pels_left =
        pels_left.checked_sub(pels).ok_or_else(|| Error::TooLarge("more pels than allowed".into()))?;
    Ok(page)
}
