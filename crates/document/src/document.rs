//! A fax document: pages as Group 4 octets with their shape (T.6, RFC 2301), and as JPEG in CIELAB where they have
//! grey or colour (T.42, RFC 3949).

use crate::{Format, RenderError, colour};
use bytes::Bytes;
use fax_base::page::{Coding, PageShape, Resolution, Tones};
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

    /// Its rendition in tones that is to be sent, if there is one.
    pub(crate) fn in_tones(&self) -> Option<(Tones, &Bytes)> {
        self.shape.tones.zip(self.jpeg.as_ref())
    }

    /// The page with these rows on top of it, such as its header line: they must be as wide as it is.
    #[must_use]
    pub fn with_rows_above(&self, above: &Bitmap) -> Page {
        let mut bitmap = above.clone();
        bitmap.append(&self.to_bitmap());
        let mut page = Page::from_bitmap(&bitmap, self.shape);
        // The rendition in tones has a line of its own resolution.
        page.jpeg = self.jpeg.as_ref().and_then(|jpeg| {
            let (from, to) = (self.shape.resolution, Resolution::Fine);
            colour::with_rows_above(jpeg, &fax_image::scale::fit(above, from, to, self.shape.width))
        });
        if page.jpeg.is_none() {
            page.shape.tones = None;
        }
        page
    }

    /// The pels.
    #[must_use]
    pub fn to_bitmap(&self) -> Bitmap {
        self.image().to_bitmap()
    }

    /// The page as a TIFF-F file has it, or, in grey or colour, one of profile C.
    #[must_use]
    pub fn to_tiff_page(&self) -> TiffPage {
        let page = self.jpeg.clone().and_then(|jpeg| TiffPage::in_tones(jpeg).ok());
        let page = page.or_else(|| self.as_it_came());
        let page = page.unwrap_or_else(|| TiffPage::new(self.image(), self.shape.resolution));
        TiffPage { quality: self.quality, description: self.description.clone(), ..page }
    }

    /// A page in tones of which nothing can be read: one row of nothing, with the octets behind it for those who can make
    /// something of them.
    fn as_it_came(&self) -> Option<TiffPage> {
        let (octets, tones) = (self.jpeg.clone()?, self.shape.tones?);
        if self.shape.rows > 0 {
            return None;
        }
        let width = self.shape.width.pels(Resolution::Fine);
        Some(TiffPage::new(Image::T81 { octets, width, rows: 1, tones }, Resolution::Fine))
    }

    /// Why its rendition in tones cannot be decoded, if it cannot.
    pub(crate) fn unreadable(&self) -> Option<String> {
        TiffPage::in_tones(self.jpeg.clone()?).err().map(|e| e.to_string())
    }

    /// The page as it is kept until it is sent: its pels, and below them what it has in grey or colour.
    fn to_stored_page(&self) -> TiffPage {
        TiffPage {
            quality: self.quality,
            description: self.description.clone(),
            tones: self.in_tones().map(|(_, jpeg)| jpeg.clone()),
            ..TiffPage::new(self.image(), self.shape.resolution)
        }
    }

    /// With its rendition in tones, if this is a good one: T.42, 200 per inch, as wide as the page.
    pub(crate) fn with_tones(mut self, jpeg: Option<Bytes>) -> Page {
        let found = jpeg.and_then(|jpeg| TiffPage::in_tones(jpeg).ok());
        if let Some(found) = found
            && shape_of(&found).is_some_and(|shape| shape.width == self.shape.width)
            && let Image::T81 { octets, tones, .. } = found.image
        {
            self.jpeg = Some(octets);
            self.shape.tones = Some(tones);
        }
        self
    }

    /// A page of a file that is a fax page as it stands.
    pub(crate) fn from_tiff_page(page: TiffPage) -> Option<Page> {
        let shape = shape_of(&page)?;
        let jpeg = match &page.image {
            Image::Bitmap(_) | Image::T6 { .. } => None,
            Image::T81 { octets, .. } => Some(octets.clone()),
        };
        Some(Page {
            shape,
            t6: page.image.to_t6(),
            jpeg,
            quality: page.quality,
            description: page.description,
        })
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

    /// Group 4 TIFF-F, one strip a page; pages in grey or colour as TIFF-FX profile C.
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

    /// The document as it is kept until it is sent: Group 4 TIFF-F, with each page's grey or colour below it, where only
    /// [`FaxDocument::from_stored_tiff`] finds it. For everybody else it is in black and white.
    #[must_use]
    pub fn to_stored_tiff(&self) -> Vec<u8> {
        let pages: Vec<TiffPage> = self.pages.iter().map(Page::to_stored_page).collect();
        tiff::write(&pages, &WriteOptions::default())
    }

    /// Reads what [`FaxDocument::to_stored_tiff`] or [`FaxDocument::to_tiff`] wrote, grey and colour included.
    ///
    /// # Errors
    ///
    /// Those of [`FaxDocument::from_tiff`].
    pub fn from_stored_tiff(octets: &[u8]) -> Result<Self, RenderError> {
        FaxDocument::read(octets, true)
    }

    /// Reads a TIFF of fax pages: a stored document of ours or one written by another fax system.
    /// Nothing is fitted or drawn; use [`crate::render`] for files from people.
    ///
    /// # Errors
    ///
    /// A damaged file, one without pages, or a page that is no fax page.
    pub fn from_tiff(octets: &[u8]) -> Result<Self, RenderError> {
        FaxDocument::read(octets, false)
    }

    fn read(octets: &[u8], colour: bool) -> Result<Self, RenderError> {
        let file = tiff::read(octets, &tiff::Limits::default()).map_err(tiff_error)?;
        let mut document = FaxDocument {
            remarks: file.remarks.iter().map(|r| format!("Page {}: {}.", r.page + 1, r.kind)).collect(),
            ..FaxDocument::default()
        };
        for (i, mut page) in file.pages.into_iter().enumerate() {
            let tones = page.tones.take().filter(|_| colour);
            let width = page.image.width();
            let (x, y) = (page.x_per_inch, page.y_per_inch);
            let Some(mut page) = Page::from_tiff_page(page) else {
                let what = format!(
                    "page {} is {width} pels wide at {x} × {y} per inch, which is no fax page",
                    i + 1
                );
                return Err(RenderError::broken(Format::Tiff, what));
            };
            if colour && page.unreadable().is_some() {
                (page.jpeg, page.shape.tones) = (None, None);
            }
            document.pages.push(page.with_tones(tones));
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
    let tones = match &page.image {
        Image::T81 { tones, .. } if resolution == Resolution::Fine => Some(*tones),
        Image::Bitmap(_) | Image::T6 { .. } | Image::T81 { .. } => None,
    };
    Some(PageShape { width: page.fax_width()?, resolution, rows: page.image.rows(), tones })
}

pub(crate) fn tiff_error(e: tiff::Error) -> RenderError {
    match e {
        tiff::Error::Unsupported(what) => RenderError::Unsupported { what: format!("TIFF with {what}") },
        tiff::Error::TooLarge(what) => RenderError::TooLarge { what },
        tiff::Error::Damaged(what) => RenderError::broken(Format::Tiff, what),
        other => RenderError::broken(Format::Tiff, other.to_string()),
    }
}
