//! What is odd about a file and is accepted nevertheless (RFC 2301 §3 and §4 say what is not odd).

/// Something odd in a file that was accepted.
#[derive(Clone, PartialEq, Debug)]
pub struct Remark {
    /// The page, from 0, thumbnails counted.
    pub page: usize,
    /// What.
    pub kind: RemarkKind,
}

/// What can be odd about a file and is accepted.
#[derive(Clone, PartialEq, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RemarkKind {
    /// Byte order MM.
    #[error("the file is big-endian")]
    BigEndian,
    /// A thumbnail was skipped.
    #[error("a reduced copy of another page was skipped")]
    ThumbnailSkipped,
    /// The compression is none of a fax: its name.
    #[error("the compression is {0}")]
    CompressionNotFax(&'static str),
    /// The data is not coded as the fields say, but as this.
    #[error("the data is {0}, other than the file says")]
    Mislabelled(&'static str),
    /// T.4 data without EOLs.
    #[error("there are no EOLs in the T.4 data")]
    NoEols,
    /// More than one strip.
    #[error("the page is cut into {0} strips")]
    Strips(usize),
    /// StripByteCounts is missing or zero.
    #[error("the length of the data is not stated")]
    ByteCountsMissing,
    /// PhotometricInterpretation is missing: white is taken for zero.
    #[error("it is not stated which colour is which")]
    PhotometricMissing,
    /// The page was turned: its Orientation.
    #[error("the page was turned (orientation {0})")]
    Turned(u32),
    /// Orientation is none of the eight.
    #[error("the orientation {0} does not exist")]
    OrientationUnknown(u32),
    /// The resolution is stated per centimetre.
    #[error("the resolution is stated per centimetre")]
    PerCentimetre,
    /// The resolution is missing; this was taken.
    #[error("the resolution is missing; {0} × {1} per inch was taken")]
    ResolutionGuessed(f32, f32),
    /// The resolution is none of a fax.
    #[error("{0} × {1} per inch is not a fax resolution")]
    ResolutionNotFax(f32, f32),
    /// The width is none of a fax at this resolution.
    #[error("{0} pels is not a fax width at this resolution")]
    WidthNotFax(u32),
    /// ImageLength is missing or zero.
    #[error("the number of rows is not stated; there are {0}")]
    LengthMissing(u32),
    /// ImageLength is wrong.
    #[error("there are {found} rows, not {stated} as stated")]
    LengthWrong {
        /// ImageLength.
        stated: u32,
        /// Rows that are there.
        found: u32,
    },
    /// Rows could not be decoded and were concealed.
    #[error("{0} rows are damaged")]
    BadRows(u32),
}

impl RemarkKind {
    /// Whether something of the page is missing or damaged, and not just written otherwise than usual.
    #[must_use]
    pub const fn is_loss(&self) -> bool {
        matches!(self, RemarkKind::BadRows(_) | RemarkKind::LengthWrong { .. })
    }
}
