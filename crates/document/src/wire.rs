//! What parent and child of the sandbox say to each other: one line of JSON, then octets.
//!
//! Request: [`Request`], newline, the document to the end of the stream. Answer: [`Answer`], newline,
//! the T.6 octets of all pages one after the other, behind those of a page its JPEG. Both sides take nothing on trust.

use crate::{FaxDocument, Format, Ink, Page, RenderError, RenderOptions};
use bytes::Bytes;
use core::time::Duration;
use fax_base::page::{PageShape, Resolution, Tones, Width};
use serde::{Deserialize, Serialize};

/// Longest first line of either side. A page's entry takes well under 80 octets.
pub(crate) const MAX_LINE: usize = 1 << 20;

/// The tones by their numbers.
const TONES: [Tones; 2] = [Tones::Grey, Tones::Colour];

#[derive(Serialize, Deserialize)]
pub(crate) struct Request {
    pub(crate) format: Format,
    resolution: usize,
    width: usize,
    ink: Ink,
    colour: bool,
    max_pages: u32,
    max_octets: u64,
    max_page_pels: u64,
    max_picture_pels: u64,
    pub(crate) time_limit_ms: u64,
    pub(crate) memory_limit: u64,
}

impl Request {
    pub(crate) fn new(format: Format, o: &RenderOptions) -> Self {
        let index = |found: Option<usize>| found.unwrap_or(0);
        Request {
            format,
            resolution: index(Resolution::ALL.iter().position(|r| *r == o.resolution)),
            width: index(Width::ALL.iter().position(|w| *w == o.width)),
            ink: o.ink,
            colour: o.colour,
            max_pages: o.max_pages,
            max_octets: o.max_octets,
            max_page_pels: o.max_page_pels,
            max_picture_pels: o.max_picture_pels,
            time_limit_ms: u64::try_from(o.time_limit.as_millis()).unwrap_or(u64::MAX),
            memory_limit: o.memory_limit,
        }
    }

    pub(crate) fn options(&self) -> Option<RenderOptions> {
        Some(RenderOptions {
            resolution: *Resolution::ALL.get(self.resolution)?,
            width: *Width::ALL.get(self.width)?,
            ink: self.ink,
            colour: self.colour,
            max_pages: self.max_pages,
            max_octets: self.max_octets,
            max_page_pels: self.max_page_pels,
            max_picture_pels: self.max_picture_pels,
            time_limit: Duration::from_millis(self.time_limit_ms),
            memory_limit: self.memory_limit,
        })
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Answer {
    Pages { pages: Vec<PageEntry>, remarks: Vec<String> },
    Refused(RenderError),
}

/// Resolution and width by their place in `ALL`, rows, octets of T.6; tones by their number, octets of JPEG.
#[derive(Serialize, Deserialize)]
pub(crate) struct PageEntry(usize, usize, u32, usize, Option<(u8, usize)>);

impl Answer {
    /// The first line for a document, newline included.
    pub(crate) fn of(result: &Result<FaxDocument, RenderError>) -> Vec<u8> {
        let answer = match result {
            Ok(d) => Answer::Pages { pages: d.pages.iter().map(entry).collect(), remarks: d.remarks.clone() },
            Err(e) => Answer::Refused(e.clone()),
        };
        let mut line = serde_json::to_vec(&answer).unwrap_or_default();
        line.push(b'\n');
        line
    }

    /// Reads a whole answer. `None`: it is not one.
    pub(crate) fn parse(octets: &Bytes) -> Option<Result<FaxDocument, RenderError>> {
        let end = octets.iter().take(MAX_LINE).position(|o| *o == b'\n')?;
        let answer: Answer = serde_json::from_slice(octets.get(..end)?).ok()?;
        let (entries, remarks) = match answer {
            Answer::Refused(e) => return Some(Err(e)),
            Answer::Pages { pages, remarks } => (pages, remarks),
        };
        let mut at = end + 1;
        let mut document = FaxDocument { pages: Vec::new(), remarks };
        for PageEntry(resolution, width, rows, length, in_tones) in entries {
            let until = at.checked_add(length).filter(|u| *u <= octets.len())?;
            let (tones, jpeg) = match in_tones {
                None => (None, None),
                Some((tones, length)) => {
                    let jpeg_until = until.checked_add(length).filter(|u| *u <= octets.len())?;
                    (Some(*TONES.get(usize::from(tones))?), Some(octets.slice(until..jpeg_until)))
                }
            };
            let end = until + jpeg.as_ref().map_or(0, Bytes::len);
            document.pages.push(Page {
                shape: PageShape {
                    width: *Width::ALL.get(width)?,
                    resolution: *Resolution::ALL.get(resolution)?,
                    rows,
                    tones,
                },
                t6: octets.slice(at..until),
                jpeg,
                quality: None,
                description: None,
            });
            at = end;
        }
        (at == octets.len() && !document.pages.is_empty()).then_some(Ok(document))
    }
}

fn entry(page: &Page) -> PageEntry {
    let find = |i: Option<usize>| i.unwrap_or(usize::MAX);
    PageEntry(
        find(Resolution::ALL.iter().position(|r| *r == page.shape.resolution)),
        find(Width::ALL.iter().position(|w| *w == page.shape.width)),
        page.shape.rows,
        page.t6.len(),
        page.in_tones().map(|(tones, jpeg)| {
            let number = TONES.iter().position(|t| *t == tones);
            (number.and_then(|n| u8::try_from(n).ok()).unwrap_or(u8::MAX), jpeg.len())
        }),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document() -> FaxDocument {
        FaxDocument {
            pages: [Resolution::Fine, Resolution::R16]
                .into_iter()
                .map(|resolution| Page {
                    shape: PageShape {
                        width: Width::B4,
                        resolution,
                        rows: 7,
                        tones: (resolution == Resolution::Fine).then_some(Tones::Colour),
                    },
                    t6: Bytes::from_static(b"\n{octets}"),
                    jpeg: (resolution == Resolution::Fine).then(|| Bytes::from_static(b"JPEG")),
                    quality: None,
                    description: None,
                })
                .collect(),
            remarks: vec!["one\ntwo".into()],
        }
    }

    #[test]
    fn answers_come_through_and_false_ones_do_not() {
        let ok = Ok(document());
        let mut octets = Answer::of(&ok);
        for p in &document().pages {
            octets.extend_from_slice(&p.t6);
            octets.extend_from_slice(p.jpeg.as_deref().unwrap_or_default());
        }
        assert_eq!(Answer::parse(&octets.clone().into()), Some(ok));
        for cut in 0..octets.len() {
            assert_eq!(Answer::parse(&octets[..cut].to_vec().into()), None);
        }
        octets.push(0);
        assert_eq!(Answer::parse(&octets.into()), None);

        let refused = Err(RenderError::TooManyPages { pages: 9, max: 5 });
        assert_eq!(Answer::parse(&Answer::of(&refused).into()), Some(refused));
    }

    #[test]
    fn requests_keep_every_option() {
        let options = RenderOptions {
            resolution: Resolution::Superfine,
            width: Width::A3,
            ink: Ink::Halftone,
            colour: true,
            max_pages: 3,
            max_octets: 4,
            max_page_pels: 5,
            max_picture_pels: 6,
            time_limit: Duration::from_millis(7),
            memory_limit: 8,
        };
        let line = serde_json::to_vec(&Request::new(Format::Png, &options)).unwrap();
        let back: Request = serde_json::from_slice(&line).unwrap();
        assert_eq!(back.options(), Some(options));
        assert_eq!(back.format, Format::Png);
    }
}
