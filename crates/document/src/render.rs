//! From a document to fax pages, in this process (T.4 §2).

use crate::{FaxDocument, Format, RenderError, RenderOptions};

/// Turns a document into fax pages, in this process: for documents of our own making. What comes
/// from outside goes through [`crate::sandbox::convert`].
///
/// # Errors
///
/// See [`RenderError`].
pub fn render(octets: &[u8], format: Format, options: &RenderOptions) -> Result<FaxDocument, RenderError> {
    let size = u64::try_from(octets.len()).unwrap_or(u64::MAX);
    if size > options.max_octets {
        return Err(RenderError::too_large(format!(
            "{size} octets, at most {} are taken",
            options.max_octets
        )));
    }
    if octets.is_empty() {
        return Err(RenderError::Empty);
    }
    match format {
        Format::Pdf => crate::pdf::render(octets, options),
        Format::Tiff => crate::tiff_file::render(octets, options),
        Format::Png | Format::Jpeg => crate::raster::render(octets, format, options),
        Format::Text => crate::text::render(octets, options),
    }
}
