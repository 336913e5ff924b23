//! Conversion in a child process with limits: a document is hostile until shown otherwise.

use crate::{FaxDocument, Format, RenderError, RenderOptions};
use bytes::Bytes;
use std::ffi::OsString;
use std::path::PathBuf;

/// Which program is the child: it must call [`crate::worker_main`].
#[derive(Clone, Debug, Default)]
pub struct Converter {
    /// The program; `None` is this very program.
    pub program: Option<PathBuf>,
    /// Its arguments; empty with `program` `None` means `convert-worker`.
    pub args: Vec<OsString>,
}

impl Converter {
    /// Converts a document in a child process.
    ///
    /// # Errors
    ///
    /// Those of [`crate::render`], and those of a child that ran into its limits or could not be started.
    pub async fn convert(
        &self,
        _octets: Bytes,
        _format: Format,
        _options: &RenderOptions,
    ) -> Result<FaxDocument, RenderError> {
        Err(RenderError::Unavailable {
            what: "not built yet".into(),
        })
    }
}

/// Converts a document in a child process of this very program, `… convert-worker`.
///
/// # Errors
///
/// See [`Converter::convert`].
pub async fn convert(
    octets: Bytes,
    format: Format,
    options: &RenderOptions,
) -> Result<FaxDocument, RenderError> {
    Converter::default().convert(octets, format, options).await
}
