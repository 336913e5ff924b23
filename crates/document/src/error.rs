//! Why a document did not become fax pages: one sentence each that a person can act on.

use crate::Format;

/// Why a document was refused. The text is meant for the person who sent it.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RenderError {
    /// The format, or something it uses, cannot be drawn.
    #[error("{what} cannot be faxed; send the document as PDF or TIFF.")]
    Unsupported {
        /// What it is, with a capital.
        what: String,
    },
    /// The file contradicts itself or ends too early.
    #[error("The {} is damaged: {what}.", format.name())]
    Broken {
        /// What it was taken for.
        format: Format,
        /// What is wrong.
        what: String,
    },
    /// A password is needed to open it.
    #[error("The document is protected by a password; send a copy without one.")]
    PasswordProtected,
    /// There is no page in it.
    #[error("The document has no pages.")]
    Empty,
    /// More pages than the limit.
    #[error("The document has {pages} pages; at most {max} can be sent at once.")]
    TooManyPages {
        /// Pages found, or found so far.
        pages: u32,
        /// The limit.
        max: u32,
    },
    /// A file, page or picture goes beyond the limits.
    #[error("The document is too large: {what}.")]
    TooLarge {
        /// Which limit, and by how much where that is known.
        what: String,
    },
    /// Conversion took too long and was ended.
    #[error(
        "The document could not be converted within {seconds} seconds; it is too complicated or damaged."
    )]
    TimedOut {
        /// The limit.
        seconds: u64,
    },
    /// Conversion wanted more memory than allowed and was ended.
    #[error(
        "The document could not be converted within {mebibytes} MiB of memory; it is too complicated or damaged."
    )]
    OutOfMemory {
        /// The limit.
        mebibytes: u64,
    },
    /// The converter fell over this document.
    #[error("The converter failed on this document ({what}); nothing else was affected.")]
    Crashed {
        /// How it ended.
        what: String,
    },
    /// The converter could not be started, or was ended from outside: our fault, not the document's. Worth a retry.
    #[error("The converter is not at hand: {what}.")]
    Unavailable {
        /// Why.
        what: String,
    },
}

impl RenderError {
    /// Whether the same document may pass later (the fault is not in the document).
    #[must_use]
    pub const fn is_temporary(&self) -> bool {
        matches!(self, RenderError::Unavailable { .. })
    }

    pub(crate) fn broken(format: Format, what: impl Into<String>) -> Self {
        let what: String = what.into();
        RenderError::Broken { format, what: what.trim_end_matches('.').to_owned() }
    }

    pub(crate) fn too_large(what: impl Into<String>) -> Self {
        RenderError::TooLarge { what: what.into() }
    }
}
