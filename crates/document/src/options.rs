//! How a document is to be drawn, and how much it may cost.

use core::time::Duration;
use fax_base::page::{Resolution, Width};

/// How grey and colour become black and white.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ink {
    /// Text and drawings crisp, photographs as halftones, decided for each region of the page.
    #[default]
    Auto,
    /// Everything crisp: shortest on the line, photographs become blots.
    Threshold,
    /// Everything as halftones, after T.4 has been left with two levels.
    Halftone,
}

/// How to draw a document, with limits.
#[derive(Clone, PartialEq, Debug)]
pub struct RenderOptions {
    /// Resolution of the pages.
    pub resolution: Resolution,
    /// Line length of the pages; the document is fitted to it.
    pub width: Width,
    /// How grey becomes black and white.
    pub ink: Ink,
    /// Draw pages that have grey or colour in that, too, beside their pels.
    pub colour: bool,
    /// Most pages.
    pub max_pages: u32,
    /// Most octets of the document.
    pub max_octets: u64,
    /// Most pels of one fax page.
    pub max_page_pels: u64,
    /// Most pels of one picture in the document, before it is fitted.
    pub max_picture_pels: u64,
    /// Wall clock for the whole document. In this process it is looked at between pages; the
    /// sandbox enforces it.
    pub time_limit: Duration,
    /// Address space in octets; only the sandbox enforces it.
    pub memory_limit: u64,
}

impl Default for RenderOptions {
    /// Fine, A4, automatic, black and white; 500 pages, 64 MiB, 64 M pels a page, 128 M pels a picture, two minutes, 1 GiB.
    fn default() -> Self {
        RenderOptions {
            resolution: Resolution::Fine,
            width: Width::A4,
            ink: Ink::Auto,
            colour: false,
            max_pages: 500,
            max_octets: 64 << 20,
            max_page_pels: 64 << 20,
            max_picture_pels: 128 << 20,
            time_limit: Duration::from_secs(120),
            memory_limit: 1 << 30,
        }
    }
}
