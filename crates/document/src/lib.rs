//! Documents: hostile files in, exact one-bit fax pages out; received pages out as TIFF-F and PDF
//! (T.4 §2 for the pages, RFC 2301 for TIFF-F, ISO 32000 for PDF).
//!
//! [`sniff`] says what a file is, [`render`] turns it into a [`FaxDocument`] in this process,
//! [`sandbox::convert`] does the same in a child process with limits, which is how anything from
//! outside is to be converted. [`to_pdf`] and [`FaxDocument::to_tiff`] write pages for people,
//! [`first_page_png`] draws the preview for receipts.

mod colour;
mod document;
mod error;
mod format;
mod geometry;
mod grey;
mod ink;
mod options;
mod pdf;
mod pdf_file;
mod preview;
mod raster;
mod render;
pub mod sandbox;
mod text;
mod tiff_file;
mod wire;
mod worker;

pub use document::{FaxDocument, Page};
pub use error::RenderError;
pub use format::{Format, sniff};
pub use options::{Ink, RenderOptions};
pub use pdf_file::{PdfInfo, to_pdf};
pub use preview::{first_page_png, page_png};
pub use render::render;
pub use worker::worker_main;
