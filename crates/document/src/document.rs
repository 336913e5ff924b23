//! A fax document: pages as Group 4 octets with their shape (T.6, RFC 2301).

use crate::{Format, RenderError};
use bytes::Bytes;
use fax_base::page::{Coding, PageShape, Resolution};
use fax_image::tiff::{self, Image, Quality, TiffPage, WriteOptions};
use fax_image::{Bitmap, EncodeOptions, encode};

/// A page that is ready to be sent, or was received.
#[derive(Clone, PartialEq, Debug)]
pub struct Page {
    /// Width, resolution and rows.
    pub shape: PageShape,
    /// The pels as T.6, first bit most significant.
    pub t6: Bytes,
    /// The same page in grey or colour, if it has that: JPEG in CIELAB (T.42), 200 × 200 per inch.
    pub jpeg: Option<Bytes>,
    /// What the receiver found out about a received page.
    pub quality: Option<Quality>,
    /// ImageDescription of a received page.
    pub description: Option<String>,
}

impl Page {
    /// A page of pels. `shape.rows` is taken from the bitmap; its width must be the shape's and is
    /// fitted if it is not.
    #[must_use]
    pub fn from_bitmap(bitmap: &Bitmap, shape: PageShape) -> Self {
        let pels = shape.width.pels(shape.resolution);
        let fitted;
        let bitmap = if bitmap.width() == pels {
            bitmap
        } else {
            fitted = fax_image::scale::fit(bitmap, shape.resolution, shape.resolution, shape.width);
            &fitted
        };
        Page {
            shape: PageShape { rows: bitmap.rows(), ..shape },
            t6: encode(bitmap, Coding::Mmr, &EncodeOptions::default()).into(),
            jpeg: None,
            quality: None,
            description: None,
        }
    }

    /// The pels.
    #[must_use]
    pub fn to_bitmap(&self) -> Bitmap {
        self.image().to_bitmap()
    }

    /// The page as a TIFF-F file has it.
    #[must_use]
    pub fn to_tiff_page(&self) -> TiffPage {
        TiffPage {
            quality: self.quality,
            description: self.description.clone(),
            ..TiffPage::new(self.image(), self.shape.resolution)
        }
    }

    fn image(&self) -> Image {
        Image::T6 {
            octets: self.t6.clone(),
            width: self.shape.width.pels(self.shape.resolution),
            rows: self.shape.rows,
        }
    }
}

/// Pages of one document, in order, and what was odd about it.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct FaxDocument {
    /// The pages. Each has its own shape: pages that were fax pages already keep theirs.
    pub pages: Vec<Page>,
    /// What a person may want to know: sentences, such as fonts that had to be replaced.
    pub remarks: Vec<String>,
}

impl FaxDocument {
    /// How many pages.
    #[must_use]
    pub fn page_count(&self) -> u32 {
        u32::try_from(self.pages.len()).unwrap_or(u32::MAX)
    }

    /// Shape and T.6 octets of page `i`, from 0.
    #[must_use]
    pub fn page(&self, i: usize) -> Option<(PageShape, Bytes)> {
        self.pages.get(i).map(|p| (p.shape, p.t6.clone()))
    }

    /// Group 4 TIFF-F, one strip a page.
    #[must_use]
    pub fn to_tiff(&self) -> Vec<u8> {
        self.to_tiff_with(&WriteOptions::default())
    }

    /// TIFF-F with options: coding, bit order, date.
    #[must_use]
    pub fn to_tiff_with(&self, options: &WriteOptions) -> Vec<u8> {
        let pages: Vec<TiffPage> = self.pages.iter().map(Page::to_tiff_page).collect();
        tiff::write(&pages, options)
    }

    /// Reads a TIFF of fax pages: a stored document of ours or one written by another fax system.
    /// Nothing is fitted or drawn; use [`crate::render`] for files from people.
    ///
    /// # Errors
    ///
    /// A damaged file, one without pages, or a page that is no fax page.
    pub fn from_tiff(octets: &[u8]) -> Result<Self, RenderError> {
        let file = tiff::read(octets, &tiff::Limits::default()).map_err(tiff_error)?;
        let mut document = FaxDocument {
            remarks: file.remarks.iter().map(|r| format!("Page {}: {}.", r.page + 1, r.kind)).collect(),
            ..FaxDocument::default()
        };
        for (i, page) in file.pages.into_iter().enumerate() {
            let Some(shape) = shape_of(&page) else {
                return Err(RenderError::broken(
                    Format::Tiff,
                    format!(
                        "page {} is {} pels wide at {} × {} per inch, which is no fax page",
                        i + 1,
                        page.image.width(),
                        page.x_per_inch,
                        page.y_per_inch
                    ),
                ));
            };
            document.pages.push(Page {
                shape,
                t6: page.image.to_t6(),
                jpeg: None,
                quality: page.quality,
                description: page.description,
            });
        }
        if document.pages.is_empty() {
            return Err(RenderError::Empty);
        }
        Ok(document)
    }
}

/// The shape of a page of a file, if it is a fax page as it stands.
pub(crate) fn shape_of(page: &TiffPage) -> Option<PageShape> {
    let resolution: Resolution = page.resolution()?;
    Some(PageShape { width: page.fax_width()?, resolution, rows: page.image.rows(), tones: None })
}

pub(crate) fn tiff_error(e: tiff::Error) -> RenderError {
    match e {
        tiff::Error::Unsupported(what) => RenderError::Unsupported { what: format!("TIFF with {what}") },
        tiff::Error::TooLarge(what) => RenderError::TooLarge { what },
        tiff::Error::Damaged(what) => RenderError::broken(Format::Tiff, what),
        other => RenderError::broken(Format::Tiff, other.to_string()),
    }
}
