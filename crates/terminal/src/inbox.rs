//! A page on its way in: decoded as it arrives, or, in grey and colour, when it is there (T.4, T.6, T.85, T.42).

use crate::api::ReceivedPage;
use bytes::Bytes;
use fax_base::bits::reverse;
use fax_base::page::{Coding, PageFormat};
use fax_image::{Bitmap, Decoder, EncodeOptions, Limits, encode, t42};
use fax_t30::Verdict;
use std::borrow::Cow;

/// Octets of a page in grey or colour that are kept; at 14 400 bit/s they would take ten hours.
const MAX_JPEG: usize = 64 << 20;

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
    /// A page in grey or colour, and whether something of it was lost.
    ArrivingInTones {
        octets: Vec<u8>,
        holes: bool,
    },
    Complete(Complete),
}

/// A page that is there, as good as it is.
#[derive(Debug)]
struct Complete {
    t6: Bytes,
    jpeg: Option<Bytes>,
    verdict: Verdict,
}

impl Complete {
    fn new(bitmap: &Bitmap, jpeg: Option<Bytes>, verdict: Verdict) -> Self {
        let options = EncodeOptions { end_of_page: false, ..EncodeOptions::default() };
        Complete { t6: encode(bitmap, Coding::Mmr, &options).into(), jpeg, verdict }
    }

    fn page(&self, index: usize, format: PageFormat, confirmed: bool, ends_document: bool) -> ReceivedPage {
        let verdict = self.verdict;
        ReceivedPage {
            index,
            format,
            t6: self.t6.clone(),
            jpeg: self.jpeg.clone(),
            rows: verdict.rows,
            bad_rows: verdict.bad_rows,
            longest_bad_run: verdict.longest_bad_run,
            confirmed,
            ends_document,
        }
    }
}

impl Inbox {
    pub(crate) fn new(index: usize, format: PageFormat) -> Self {
        let state = match format.coding {
            Coding::Mh | Coding::Mr | Coding::Mmr | Coding::T85 => {
                State::Arriving(Box::new(Decoder::new(format.coding, format.pels(), Limits::of(&format))))
            }
            Coding::T81(_) => State::ArrivingInTones { octets: Vec::new(), holes: false },
        };
        Inbox { index, format, state }
    }

    pub(crate) fn data(&mut self, new: &[u8]) {
        let new = if self.format.coding.is_lsb_first() {
            Cow::Owned(new.iter().map(|o| reverse(*o)).collect())
        } else {
            Cow::Borrowed(new)
        };
        let new = new.as_ref();
        match &mut self.state {
            State::Arriving(decoder) => decoder.push(new),
            State::ArrivingInTones { octets, holes } => {
                let room = MAX_JPEG.saturating_sub(octets.len());
                *holes |= new.len() > room;
                octets.extend_from_slice(new.get(..room).unwrap_or(new));
            }
            State::Complete(_) => {}
        }
    }

    pub(crate) fn lost(&mut self, count: usize) {
        match &mut self.state {
            State::Arriving(decoder) => decoder.lost(count),
            State::ArrivingInTones { holes, .. } => *holes |= count > 0,
            State::Complete(_) => {}
        }
    }

    /// There is no more of it: how good it is, and the page as it would be kept, not answered yet.
    pub(crate) fn end(self) -> (Self, Verdict, ReceivedPage) {
        let (index, format) = (self.index, self.format);
        let complete = self.state.complete(format.pels());
        let (verdict, page) = (complete.verdict, complete.page(index, format, false, false));
        (Inbox { index, format, state: State::Complete(complete) }, verdict, page)
    }

    /// The page as it is kept.
    pub(crate) fn settle(self, confirmed: bool, ends_document: bool) -> ReceivedPage {
        let complete = self.state.complete(self.format.pels());
        complete.page(self.index, self.format, confirmed, ends_document)
    }
}

impl State {
    fn complete(self, pels: u32) -> Complete {
        // What was cut off by damage is at least one bad row.
        let verdict = |rows: u32, bad: u32, run: u32, cut: bool| {
            let least = u32::from(cut);
            Verdict { rows, bad_rows: bad.max(least), longest_bad_run: run.max(least), cut: false }
        };
        match self {
            State::Arriving(decoder) => {
                let cut = decoder.given_up();
                let found = decoder.finish();
                let (bad, run) = (found.bad_rows, found.longest_bad_run);
                let verdict = Verdict { cut, ..verdict(found.rows, bad, run, found.truncated) };
                Complete::new(&found.bitmap, None, verdict)
            }
            State::ArrivingInTones { octets, holes } => {
                let octets = Bytes::from(octets);
                let Ok(found) = t42::decode(&octets) else {
                    // Kept as it came: others may make something of it.
                    let jpeg = (!octets.is_empty()).then_some(octets);
                    return Complete::new(&Bitmap::new(pels), jpeg, verdict(0, 0, 0, true));
                };
                // A page that is not as wide as was agreed is cut or gets a white margin.
                let mut bitmap = Bitmap::new(pels);
                bitmap.append(&found.picture.to_bitmap());
                let damaged = holes || !found.ended;
                let verdict = verdict(bitmap.rows(), found.bad_rows, found.longest_bad_run, damaged);
                Complete::new(&bitmap, Some(octets.slice(..found.length.min(octets.len()))), verdict)
            }
            State::Complete(complete) => complete,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::time::Duration;
    use fax_base::page::{Resolution, Width};

    fn verdict(octets: &[u8]) -> Verdict {
        let format = PageFormat {
            coding: Coding::Mmr,
            resolution: Resolution::Standard,
            width: Width::A4,
            ecm: true,
            min_row_time: Duration::ZERO,
        };
        let mut inbox = Inbox::new(0, format);
        inbox.data(octets);
        let (_, verdict, _) = inbox.end();
        verdict
    }

    /// White rows are a bit each in MMR.
    #[test]
    fn a_page_that_the_decoder_gave_up_is_told() {
        let whole = verdict(&[0xFF, 0xFF, 0xFF, 0xFF, 0x00, 0x10, 0x01]);
        assert_eq!((whole.rows, whole.bad_rows, whole.cut), (32, 0, false));
        // An extension that nobody has, in the ninth row, and hundreds more behind it.
        let illegal = verdict(&[&[0xFF, 0x03][..], &[0xFF; 80], &[0x00, 0x10, 0x01]].concat());
        assert_eq!((illegal.rows, illegal.bad_rows, illegal.cut), (8, 1, true));
        // The same in the last row, with the fill of the last frame: the page is there, but for that row.
        let illegal = verdict(&[&[0xFF, 0x03, 0xFF, 0x00, 0x10, 0x01][..], &[0; 250]].concat());
        assert_eq!((illegal.rows, illegal.bad_rows, illegal.cut), (8, 1, false));
        // The last row was cut short before EOFB: black begins three pels before its end, and nothing follows.
        let short = verdict(&[0xFF, 0x04, 0x00, 0x20, 0x02, 0x00]);
        assert_eq!((short.rows, short.bad_rows, short.cut), (8, 1, false));
        // Nothing was thrown away.
        let unended = verdict(&[0xFF, 0xFF, 0xFF, 0xFF]);
        assert_eq!((unended.rows, unended.cut), (32, false));
    }
}
