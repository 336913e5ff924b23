//! What the tests against spandsp share: documents, our terminal's configuration, what must hold at the
//! end of a call.

#![allow(dead_code)] // each test file uses its part

pub mod audio;
pub mod t38;

use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_base::time::Instant;
use fax_t30 as t30;
use fax_terminal::{CodedPage, Config, Output, ReceivedPage, Terminal};
use spandsp_peer::tiff::{self, Page};
use spandsp_peer::{Options, Report, pages};
use std::path::PathBuf;
use std::sync::Arc;

pub const OUR_IDENT: &str = "+49 228 1";
pub const PEER_IDENT: &str = "+44 20 2";

/// A document and its name.
pub struct Document {
    pub name: String,
    pub pages: Vec<Page>,
}

/// The eight charts, a document each; where they are absent, pages of our own.
pub fn charts() -> Vec<Document> {
    let charts: Vec<Document> = (1..=8)
        .filter_map(|number| {
            let pages = tiff::read(&pages::chart(number)?).unwrap();
            Some(Document { name: format!("chart {number}"), pages })
        })
        .collect();
    if !charts.is_empty() {
        return charts;
    }
    println!("skipped: no charts");
    (1..=2)
        .map(|seed| Document { name: format!("generated {seed}"), pages: vec![pages::generated(seed, 1200)] })
        .collect()
}

/// Documents as one.
pub fn bound(documents: Vec<Document>) -> Document {
    Document {
        name: documents.iter().map(|d| d.name.as_str()).collect::<Vec<_>>().join(", "),
        pages: documents.into_iter().flat_map(|d| d.pages).collect(),
    }
}

/// A page as our terminal takes it, coded by libtiff.
pub fn coded(page: &Page) -> Arc<CodedPage> {
    let resolution = Resolution::from_per_inch(page.x_per_inch, page.y_per_inch).unwrap();
    Arc::new(CodedPage {
        shape: PageShape {
            width: Width::from_pels(page.width, resolution).unwrap(),
            resolution,
            rows: page.rows,
            tones: None,
        },
        t6: tiff::encode_t6(page).unwrap().into(),
        jpeg: None,
    })
}

/// A document as our terminal takes it.
pub fn offered(document: &Document) -> fax_terminal::Document {
    fax_terminal::Document::new(document.pages.iter().map(coded).collect())
}

/// Our end of a call.
pub fn ours(sending: Option<&Document>, capabilities: t30::Capabilities) -> Config {
    Config {
        role: if sending.is_some() { t30::Role::Calling } else { t30::Role::Called },
        ident: OUR_IDENT.to_owned(),
        capabilities,
        documents: sending.map_or(vec![], |d| vec![offered(d)]),
        ..Config::default()
    }
}

/// spandsp's end of a call, with a folder for its files.
pub struct Desk {
    pub folder: tempfile::TempDir,
    pub options: Options,
}

impl Desk {
    /// It sends `sending`, or receives.
    pub fn new(sending: Option<&Document>, options: Options) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut options = Options { ident: PEER_IDENT.to_owned(), ..options };
        match sending {
            Some(document) => {
                let path = folder.path().join("send.tif");
                tiff::write(&path, &document.pages).unwrap();
                options.send = Some(path);
            }
            None => options.receive = Some(folder.path().join("received.tif")),
        }
        Desk { folder, options }
    }

    pub fn received(&self) -> PathBuf {
        self.folder.path().join("received.tif")
    }
}

/// What our terminal did and said.
#[derive(Default)]
pub struct Seen {
    pub ladder: Vec<String>,
    pub pages: Vec<ReceivedPage>,
    pub outcome: Option<t30::Outcome>,
    pub ended_at: Option<Instant>,
    /// IFP packets that never came to us.
    pub lost: u64,
}

impl Seen {
    /// Keeps what `output` says; gives back what is to be sent.
    pub fn note(&mut self, now: Instant, output: Output) -> Option<Vec<u8>> {
        match output {
            Output::Datagram(datagram) => return Some(datagram.to_vec()),
            Output::FaxToneHeard(tone) => self.ladder.push(format!("{now} tone {tone:?}")),
            Output::Signal(signal) => self.ladder.push(format!("{now} {signal:?}")),
            Output::Page(page) => {
                self.ladder
                    .push(format!("{now} page {} rows {} bad {}", page.index, page.rows, page.bad_rows));
                self.pages.push(page);
            }
            Output::KeepPage(_) => {}
            Output::Event(event) => self.ladder.push(match &event {
                t30::Event::FrameSent { name, octets } => format!("{now} -> {name} {octets:02x?}"),
                t30::Event::FrameReceived { name, octets } => {
                    format!("{now} <- {name} {octets:02x?}")
                }
                event => format!("{now}    {event:?}"),
            }),
            Output::End(outcome) => {
                self.ladder.push(format!("{now} end {outcome:?}"));
                assert!(self.outcome.is_none(), "two ends");
                self.outcome = Some(*outcome);
                self.ended_at = Some(now);
            }
        }
        None
    }

    /// Drives `terminal` through all deadlines up to `now`, keeping what it says.
    pub fn run(&mut self, terminal: &mut Terminal, now: Instant, sent: &mut Vec<Vec<u8>>) {
        for turn in 0.. {
            assert!(turn < 10_000, "our terminal spins at {now}:\n{}", self.tail());
            while let Some(output) = terminal.poll() {
                sent.extend(self.note(now, output));
            }
            match terminal.deadline() {
                Some(deadline) if deadline <= now && self.outcome.is_none() => {
                    terminal.handle(deadline, fax_terminal::Input::Timeout);
                }
                _ => break,
            }
        }
    }

    /// The last lines of the ladder.
    pub fn tail(&self) -> String {
        let from = self.ladder.len().saturating_sub(60);
        self.ladder[from..].join("\n")
    }

    /// How our end ended, which it must have.
    pub fn ended(&self, what: &str) -> &t30::Outcome {
        let outcome = self.outcome.as_ref();
        outcome.unwrap_or_else(|| panic!("{what}: our end never ended\n{}", self.tail()))
    }

    /// Our end succeeded, and spandsp's.
    pub fn assert_success(&self, what: &str, report: &Report) -> &t30::Outcome {
        let outcome = self.ended(what);
        assert!(
            outcome.failure.is_none() && report.succeeded(),
            "{what}: {:?}; spandsp: {report:?}\n{}",
            outcome.failure,
            self.tail()
        );
        outcome
    }
}

/// spandsp has exactly the pages that were sent.
pub fn assert_sent(what: &str, document: &Document, desk: &Desk, seen: &Seen, report: &Report) {
    let outcome = seen.assert_success(what, report);
    assert_eq!(outcome.pages_confirmed, document.pages.len(), "{what}");
    assert_eq!(outcome.page_uncertain, None, "{what}");
    assert_eq!(outcome.remote_ident.as_deref(), Some(PEER_IDENT), "{what}");
    assert_eq!(report.pages_received as usize, document.pages.len(), "{what}");
    assert_eq!(report.remote_ident, OUR_IDENT, "{what}");
    let got = tiff::read(&desk.received()).unwrap();
    assert_eq!(got.len(), document.pages.len(), "{what}: pages");
    for (number, (sent, got)) in document.pages.iter().zip(&got).enumerate() {
        assert_eq!(sent.first_difference(got), None, "{what}: page {number}, {got:?}");
    }
}

/// We have exactly the pages that spandsp sent.
pub fn assert_received(what: &str, document: &Document, seen: &Seen, report: &Report) {
    for (number, (sent, got, page)) in received(what, document, seen, report).enumerate() {
        assert_eq!((got.rows, got.bad_rows), (sent.rows, 0), "{what}: page {number}");
        assert_eq!(sent.first_difference(&page), None, "{what}: page {number}, {page:?}");
    }
}

/// The call is a success to both ends, and all pages are here and confirmed: each as sent, as we have
/// it, and as libtiff reads ours.
pub fn received<'a>(
    what: &'a str,
    document: &'a Document,
    seen: &'a Seen,
    report: &Report,
) -> impl Iterator<Item = (&'a Page, &'a ReceivedPage, Page)> {
    let outcome = seen.assert_success(what, report);
    assert_eq!(outcome.pages_received, document.pages.len(), "{what}");
    assert_eq!(outcome.remote_ident.as_deref(), Some(PEER_IDENT), "{what}");
    assert_eq!(report.pages_sent as usize, document.pages.len(), "{what}");
    assert_eq!(report.remote_ident, OUR_IDENT, "{what}");
    assert_eq!(seen.pages.len(), document.pages.len(), "{what}: pages");
    let pages = document.pages.iter().zip(&seen.pages).enumerate();
    pages.map(move |(number, (sent, got))| {
        assert_eq!(got.index, number, "{what}");
        assert!(got.confirmed, "{what}: page {number} not confirmed");
        let shape = &coded(sent).shape;
        assert_eq!((got.format.resolution, got.format.width), (shape.resolution, shape.width));
        let page = tiff::decode_t6(got.format.pels(), got.rows, &got.t6).unwrap();
        (sent, got, page)
    })
}

/// The way a page is to go over the line.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Way {
    pub ecm: bool,
    pub coding: Coding,
}

impl Way {
    /// spandsp limited to this way.
    pub fn peer(self, options: Options) -> Options {
        Options { ecm: self.ecm, codings: vec![self.coding], ..options }
    }

    /// spandsp free to choose, this way among the others.
    pub fn known_to(self, mut options: Options) -> Options {
        if !options.codings.contains(&self.coding) {
            options.codings.push(self.coding);
        }
        options
    }

    /// Ours limited to this way.
    pub fn ours(self) -> t30::Capabilities {
        t30::Capabilities { ecm: self.ecm, codings: vec![self.coding], ..Default::default() }
    }

    /// spandsp's number for the coding.
    pub fn compression(self) -> u32 {
        match self.coding {
            Coding::Mh => 2,
            Coding::Mr => 4,
            Coding::Mmr => 8,
            Coding::T85 => 16,
            Coding::T81(_) => 256,
        }
    }

    /// Both ends went this way.
    pub fn assert_taken(self, what: &str, seen: &Seen, report: &Report) {
        assert_eq!((report.ecm, report.compression), (self.ecm, self.compression()), "{what}");
        let format = seen.outcome.as_ref().and_then(|o| o.format).unwrap();
        assert_eq!((format.ecm, format.coding), (self.ecm, self.coding), "{what}");
    }
}

pub const ECM_T85: Way = Way { ecm: true, coding: Coding::T85 };
pub const ECM_MMR: Way = Way { ecm: true, coding: Coding::Mmr };
pub const ECM_MR: Way = Way { ecm: true, coding: Coding::Mr };
pub const ECM_MH: Way = Way { ecm: true, coding: Coding::Mh };
pub const MR: Way = Way { ecm: false, coding: Coding::Mr };
pub const MH: Way = Way { ecm: false, coding: Coding::Mh };

/// Charts 1, 4 and 7: sparse, dense, densest.
pub fn three() -> Document {
    bound(charts().into_iter().step_by(3).collect())
}
