//! What the tests of calls share: endpoints, pages, terminals, and a call's story from end to end.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

pub mod baresip;
pub mod meddler;
pub mod random;
pub mod sipp;

use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_image::{Bitmap, EncodeOptions, encode};
use fax_net::{Call, CallEvent, CallReport, CallRequest, Config, Endpoint, IncomingCall, Trunk};
use fax_t30 as t30;
use fax_terminal::{CodedPage, ReceivedPage};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

pub struct Side {
    pub endpoint: Endpoint,
    pub incoming: Receiver<IncomingCall>,
}

pub fn free() -> SocketAddr {
    std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// An endpoint at `own` whose trunk `peer` is at `other`.
pub async fn side(own: SocketAddr, other: SocketAddr, change: impl FnOnce(&mut Trunk)) -> Side {
    side_with(own, other, |config| change(config.trunks.first_mut().unwrap())).await
}

/// An endpoint at `own` whose trunk `peer` is at `other`.
pub async fn side_with(own: SocketAddr, other: SocketAddr, change: impl FnOnce(&mut Config)) -> Side {
    let mut config = Config::new(own);
    config.workers = 1;
    config.trunks.push(Trunk::new("peer", &other.to_string()));
    change(&mut config);
    let (endpoint, incoming) = Endpoint::start(config).await.unwrap();
    Side { endpoint, incoming }
}

/// A page of a pattern with this many rows.
pub fn page(rows: u32) -> (Bitmap, Arc<CodedPage>) {
    let mut bitmap = Bitmap::new(1728);
    for y in 0..rows {
        let row: Vec<u8> = (0..216u32).map(|x| if (x / 9 + y / 7) % 5 == 0 { 0xF3 } else { 0 }).collect();
        bitmap.push_row(&row);
    }
    let t6 = encode(&bitmap, Coding::Mmr, &EncodeOptions::default()).into();
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows, tones: None };
    (bitmap, Arc::new(CodedPage { shape, t6, jpeg: None }))
}

/// The pels of a received page.
pub fn pels(page: &ReceivedPage) -> Bitmap {
    let mut decoder = fax_image::Decoder::new(Coding::Mmr, 1728, fax_image::Limits::default());
    decoder.push(&page.t6);
    decoder.finish().bitmap
}

pub fn terminal(role: t30::Role, pages: Vec<Arc<CodedPage>>, ecm: bool) -> fax_terminal::Config {
    let capabilities = t30::Capabilities { ecm, ..t30::Capabilities::default() };
    fax_terminal::Config {
        role,
        ident: "+4930123".to_owned(),
        capabilities,
        documents: vec![fax_terminal::Document::new(pages)],
        ..fax_terminal::Config::default()
    }
}

pub fn request(terminal: fax_terminal::Config) -> CallRequest {
    CallRequest::new("peer", "+4930456", "+4930123", terminal)
}

/// Everything that a call told.
pub struct Story {
    pub report: Box<CallReport>,
    pub pages: Vec<ReceivedPage>,
    pub confirmed: Vec<usize>,
    pub rang: bool,
    pub answered: bool,
    /// T.38 was agreed.
    pub t38: bool,
    /// T.38 was left for audio.
    pub audio: bool,
    /// Our T.38 was refused.
    pub refused: Option<u16>,
}

/// Follows a call to its end, which must come within `bound`.
pub async fn story_within(mut call: Call, bound: Duration) -> Story {
    let mut story = Story {
        report: Box::new(CallReport::new(fax_net::CallEnd::Internal, "")),
        pages: Vec::new(),
        confirmed: Vec::new(),
        rang: false,
        answered: false,
        t38: false,
        audio: false,
        refused: None,
    };
    let told = tokio::time::timeout(bound, async {
        loop {
            match call.next().await.expect("the driver is gone") {
                CallEvent::KeepPage(_) => call.page_kept(true),
                CallEvent::Page(page) => story.pages.push(page),
                CallEvent::Fax(t30::Event::PageConfirmed { index, .. }) => story.confirmed.push(index),
                CallEvent::T38 => story.t38 = true,
                CallEvent::Audio => story.audio = true,
                CallEvent::T38Refused { code, .. } => story.refused = Some(code),
                CallEvent::Ringing => story.rang = true,
                CallEvent::Answered => story.answered = true,
                CallEvent::Ended(report) => {
                    story.report = report;
                    return;
                }
                CallEvent::Fax(_) | CallEvent::Signal(_) => {}
            }
        }
    });
    told.await.unwrap_or_else(|_| panic!("the call has not ended within {bound:?}"));
    story
}

pub async fn story(call: Call) -> Story {
    story_within(call, Duration::from_secs(120)).await
}
