//! Between T.30's octets and pages: coding what is sent, decoding what is received (T.4, T.6).

use crate::api::{CodedPage, ReceivedPage};
use bytes::Bytes;
use fax_base::page::{Coding, PageFormat};
use fax_image::{Bitmap, Decoded, Decoder, EncodeOptions, Limits, encode, recode, scale};
use fax_t30::Verdict;
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
        let octets = match self.pages.get(index) {
            None => encode(&Bitmap::new(format.pels()), format.coding, &options),
            Some(page) => coded(page, &format, &options),
        };
        let octets = Bytes::from(octets);
        self.last = Some((key, octets.clone()));
        octets
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

/// The page that is being received.
#[derive(Debug)]
pub(crate) struct Inbox {
    index: usize,
    format: PageFormat,
    state: State,
}

#[derive(Debug)]
enum State {
    Arriving(Box<Decoder>),
    Complete(Decoded),
}

impl Inbox {
    pub(crate) fn new(index: usize, format: PageFormat) -> Self {
        let decoder = Decoder::new(format.coding, format.pels(), Limits::default());
        Inbox { index, format, state: State::Arriving(Box::new(decoder)) }
    }

    pub(crate) fn data(&mut self, octets: &[u8]) {
        match &mut self.state {
            State::Arriving(decoder) => decoder.push(octets),
            State::Complete(_) => {}
        }
    }

    pub(crate) fn lost(&mut self, octets: usize) {
        match &mut self.state {
            State::Arriving(decoder) => decoder.lost(octets),
            State::Complete(_) => {}
        }
    }

    /// There is no more of it: how good it is.
    pub(crate) fn end(self) -> (Self, Verdict) {
        let decoded = match self.state {
            State::Arriving(decoder) => decoder.finish(),
            State::Complete(decoded) => decoded,
        };
        // What was cut off by damage is at least one bad row.
        let least = u32::from(decoded.truncated);
        let verdict = Verdict {
            rows: decoded.rows,
            bad_rows: decoded.bad_rows.max(least),
            longest_bad_run: decoded.longest_bad_run.max(least),
        };
        (Inbox { state: State::Complete(decoded), ..self }, verdict)
    }

    /// The page as it is kept.
    pub(crate) fn settle(self, confirmed: bool, ends_document: bool) -> ReceivedPage {
        let (inbox, verdict) = self.end();
        let t6 = match &inbox.state {
            State::Arriving(_) => Vec::new(),
            State::Complete(decoded) => {
                let options = EncodeOptions { end_of_page: false, ..EncodeOptions::default() };
                encode(&decoded.bitmap, Coding::Mmr, &options)
            }
        };
        ReceivedPage {
            index: inbox.index,
            format: inbox.format,
            t6: Bytes::from(t6),
            jpeg: None,
            rows: verdict.rows,
            bad_rows: verdict.bad_rows,
            longest_bad_run: verdict.longest_bad_run,
            confirmed,
            ends_document,
        }
    }
}
