//! TIFF-F: fax pages in files (RFC 2301, RFC 2306; TIFF 6.0).
//!
//! Pages in grey and colour are those of TIFF-FX profile C (RFC 3949 §6).
//!
//! [`read`] takes what is found in the field and says what was odd about it; [`write()`] writes the
//! strict form: little-endian, first IFD at octet 8, one strip a page.

mod ifd;
mod page;
mod profile;
mod remark;
mod sink;
mod strip;
mod tones;
mod write;

use crate::{Bitmap, t42};
use bytes::Bytes;
use fax_base::page::{Coding, Resolution, Tones, Width};
pub use profile::Profile;
pub use remark::{Remark, RemarkKind};
use std::collections::HashSet;
pub use write::{Addition, Appender, write};

/// Bounds on what is read from a file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limits {
    /// Pages; a file with more is refused.
    pub max_pages: usize,
    /// Rows of a page.
    pub max_rows: u32,
    /// Pels of all pages together.
    pub max_pels: u64,
}

impl Default for Limits {
    /// 2000 pages, 65535 rows a page, 16 G pels in all.
    fn default() -> Self {
        Limits { max_pages: 2000, max_rows: 65_535, max_pels: 1 << 34 }
    }
}

/// What is still allowed.
struct Left {
    /// Pels of all pages together.
    pels: u64,
    /// Octets of streams that are kept as they are: no two pages have the same ones.
    octets: usize,
}

/// The pels of a page of a file.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Image {
    /// As pels.
    Bitmap(Bitmap),
    /// Coded as T.6, with or without EOFB.
    T6 {
        /// The octets, first bit most significant.
        octets: Bytes,
        /// Pels on a row.
        width: u32,
        /// Rows.
        rows: u32,
    },
    /// Grey or colour: JPEG in CIELAB (T.42), in a file of profile C.
    T81 {
        /// The stream, with the header of T.42 or without.
        octets: Bytes,
        /// Pels on a row.
        width: u32,
        /// Rows.
        rows: u32,
        /// Whether there is colour.
        tones: Tones,
    },
}

impl Image {
    /// Pels on a row.
    #[must_use]
    pub fn width(&self) -> u32 {
        match self {
            Image::Bitmap(b) => b.width(),
            Image::T6 { width, .. } | Image::T81 { width, .. } => *width,
        }
    }

    /// Rows.
    #[must_use]
    pub fn rows(&self) -> u32 {
        match self {
            Image::Bitmap(b) => b.rows(),
            Image::T6 { rows, .. } | Image::T81 { rows, .. } => *rows,
        }
    }

    /// As pels; grey and colour as dots.
    #[must_use]
    pub fn to_bitmap(&self) -> Bitmap {
        match self {
            Image::Bitmap(b) => b.clone(),
            Image::T6 { octets, width, rows } => {
                crate::decode(octets, Coding::Mmr, *width, crate::Limits { max_rows: *rows }).bitmap
            }
            Image::T81 { octets, width, rows, .. } => {
                let found = t42::decode(octets).map(|d| d.picture.to_bitmap());
                let mut bitmap = Bitmap::new(*width);
                bitmap.append(&found.unwrap_or_else(|_| Bitmap::blank(*width, *rows)));
                bitmap
            }
        }
    }

    /// Whether colour has one sample for 2 × 2 pels.
    fn is_subsampled(&self) -> bool {
        match self {
            Image::Bitmap(_) | Image::T6 { .. } => false,
            Image::T81 { octets, .. } => t42::decode(octets).is_ok_and(|d| d.subsampled),
        }
    }

    /// As T.6: as it is, or, if it comes from something else, with EOFB.
    #[must_use]
    pub fn to_t6(&self) -> Bytes {
        match self {
            Image::T6 { octets, .. } => octets.clone(),
            Image::Bitmap(_) | Image::T81 { .. } => {
                crate::encode(&self.to_bitmap(), Coding::Mmr, &crate::EncodeOptions::default()).into()
            }
        }
    }
}

/// What a receiver found out about a page (RFC 2301 §4.2.4; tags 326 to 328).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Quality {
    /// Rows that could not be decoded (BadFaxLines).
    pub bad_rows: u32,
    /// The longest run of them (ConsecutiveBadFaxLines).
    pub longest_bad_run: u32,
    /// Bad rows are still in the image as received; otherwise they were replaced (CleanFaxData 2).
    pub left_in: bool,
}

/// A page of a file.
#[derive(Clone, PartialEq, Debug)]
pub struct TiffPage {
    /// The pels, upright.
    pub image: Image,
    /// Pels per inch along a row.
    pub x_per_inch: f32,
    /// Rows per inch.
    pub y_per_inch: f32,
    /// What the receiver said about it, if it said so.
    pub quality: Option<Quality>,
    /// ImageDescription.
    pub description: Option<String>,
    /// Beside a page of pels the same page in grey or colour, JPEG as T.42 has it: in a file a page of profile C below
    /// this one (SubIFDs), which readers that know nothing of it leave alone. Read as it stands, not looked at.
    pub tones: Option<Bytes>,
}

impl TiffPage {
    /// A page of a resolution.
    #[must_use]
    pub fn new(image: Image, resolution: Resolution) -> Self {
        TiffPage {
            image,
            x_per_inch: resolution.x_per_inch() as f32,
            y_per_inch: resolution.y_per_inch() as f32,
            quality: None,
            description: None,
            tones: None,
        }
    }

    /// A page of profile C: JPEG in CIELAB, of the size and the resolution that it states itself.
    ///
    /// # Errors
    ///
    /// It cannot be decoded.
    pub fn in_tones(octets: Bytes) -> Result<Self, t42::Error> {
        let found = t42::decode(&octets)?;
        let (width, rows) = (found.picture.width(), found.picture.rows());
        let image = Image::T81 { octets, width, rows, tones: found.picture.tones() };
        let per_inch = f32::from(found.header.per_inch);
        Ok(TiffPage { x_per_inch: per_inch, y_per_inch: per_inch, ..TiffPage::new(image, Resolution::Fine) })
    }

    /// The fax resolution that the figures mean, if they are within 3 % of one.
    #[must_use]
    pub fn resolution(&self) -> Option<Resolution> {
        Resolution::from_per_inch(self.x_per_inch, self.y_per_inch)
    }

    /// The fax width, if the rows have exactly the pels of one at this resolution. `None`: the page
    /// must be fitted before it can be sent.
    #[must_use]
    pub fn fax_width(&self) -> Option<Width> {
        Width::from_pels(self.image.width(), self.resolution()?)
    }
}

/// A file that was read.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Document {
    /// Its pages, thumbnails left out.
    pub pages: Vec<TiffPage>,
    /// What was odd and accepted.
    pub remarks: Vec<Remark>,
}

/// Why a file was refused.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// It does not begin as a TIFF file does.
    #[error("not a TIFF file")]
    NotTiff,
    /// It is a TIFF file that this reader does not do: what it is.
    #[error("{0} is not a fax coding")]
    Unsupported(String),
    /// It contradicts itself or ends too early: what is wrong.
    #[error("damaged TIFF file: {0}")]
    Damaged(String),
    /// It goes beyond the limits: which.
    #[error("TIFF file too large: {0}")]
    TooLarge(String),
}

/// How a file is written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WriteOptions {
    /// Compression of pages in black and white: MMR (Group 4) unless the reader of the file can do no more than MH or
    /// MR. For MH and MR pages in grey and colour become black and white; otherwise they are JPEG.
    pub coding: Coding,
    /// FillOrder 2: the first bit of the line is the least significant one (profile S demands it).
    pub lsb_first: bool,
    /// Software.
    pub software: String,
    /// DateTime, `YYYY:MM:DD HH:MM:SS`.
    pub date_time: Option<String>,
}

impl Default for WriteOptions {
    fn default() -> Self {
        WriteOptions { coding: Coding::Mmr, lsb_first: false, software: "ferrofax".into(), date_time: None }
    }
}

/// Reads a file.
///
/// # Errors
///
/// See [`Error`]. [`Error::Unsupported`] names the compression or layout, so that another reader
/// can be asked.
pub fn read(file: &[u8], limits: &Limits) -> Result<Document, Error> {
    let (file, mut at) = ifd::File::open(file)?;
    let mut document = Document::default();
    if file.big_endian {
        document.remarks.push(Remark { page: 0, kind: RemarkKind::BigEndian });
    }
    let mut seen = HashSet::new();
    let mut left = Left { pels: limits.max_pels, octets: file.octets.len() };
    while at != 0 {
        if !seen.insert(at) {
            return Err(Error::Damaged("the directories form a loop".into()));
        }
        if seen.len() > limits.max_pages {
            return Err(Error::TooLarge(format!("more than {} pages", limits.max_pages)));
        }
        let dir = file.directory(at)?;
        let number = seen.len() - 1;
        let remarks = &mut document.remarks;
        let mut remark = |kind| remarks.push(Remark { page: number, kind });
        let page = page::read(&file, &dir, limits, &mut left, &mut remark)?;
        document.pages.extend(page);
        at = dir.next;
    }
    if document.pages.is_empty() {
        return Err(Error::Damaged("no pages".into()));
    }
    Ok(document)
}
