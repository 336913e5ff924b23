//! Pages on their way out: coded as the far end takes them (T.4, T.6, T.85, T.42).

use crate::api::CodedPage;
use bytes::Bytes;
use fax_base::bits::reverse;
use fax_base::page::{Coding, PageFormat, Tones};
use fax_image::{Bitmap, Decoder, EncodeOptions, Limits, encode, recode, scale, t42};
use std::sync::Arc;

/// What the octets of a page depend on.
type Key = (usize, PageFormat, u32);

/// The pages to be sent.
#[derive(Debug)]
pub(crate) struct Outbox {
    pages: Vec<Arc<CodedPage>>,
    /// The last one coded: it is asked for again when it has to be sent again.
    last: Option<(Key, Bytes)>,
}

impl Outbox {
    pub(crate) fn new(pages: Vec<Arc<CodedPage>>) -> Self {
        Outbox { pages, last: None }
    }

    /// The page as the far end takes it. One that does not exist is an empty page.
    pub(crate) fn page(&mut self, index: usize, format: PageFormat, bit_rate: u32) -> Bytes {
        let key = (index, format, bit_rate);
        if let Some((last, octets)) = &self.last
            && *last == key
        {
            return octets.clone();
        }
        let options = EncodeOptions::for_format(&format, bit_rate);
        let octets: Bytes = match (self.pages.get(index), format.coding.tones()) {
            (None, _) => encode(&Bitmap::new(format.pels()), format.coding, &options).into(),
            (Some(page), Some(tones)) if page.jpeg.is_some() => in_tones(page, tones, &format, &options),
            (Some(page), _) => coded(page, &format, &options).into(),
        };
        let octets = in_line_order(format.coding, octets);
        self.last = Some((key, octets.clone()));
        octets
    }
}

/// The octets with the first bit on the line highest.
fn in_line_order(coding: Coding, octets: Bytes) -> Bytes {
    if coding.is_lsb_first() { octets.iter().map(|o| reverse(*o)).collect() } else { octets }
}

/// The page's continuous-tone rendition: as it is, or without its colour where the far end takes grey only.
fn in_tones(page: &CodedPage, tones: Tones, format: &PageFormat, options: &EncodeOptions) -> Bytes {
    let jpeg = page.jpeg.clone().unwrap_or_default();
    if page.shape.tones == Some(tones) {
        return jpeg;
    }
    match t42::decode(&jpeg) {
        Ok(found) => t42::encode(&found.picture.to_grey(), &t42::Options::default()).into(),
        Err(_) => coded(page, format, options).into(),
    }
}

fn coded(page: &CodedPage, format: &PageFormat, options: &EncodeOptions) -> Vec<u8> {
    let shape = page.shape;
    let limits = Limits::default();
    let pels = shape.width.pels(shape.resolution);
    if (shape.width, shape.resolution) == (format.width, format.resolution) {
        return recode(&page.t6, pels, format.coding, options, limits).octets;
    }
    let mut decoder = Decoder::new(Coding::Mmr, pels, limits);
    decoder.push(&page.t6);
    let bitmap = decoder.finish().bitmap;
    let fitted = scale::fit(&bitmap, shape.resolution, format.resolution, format.width);
    encode(&fitted, format.coding, options)
}
