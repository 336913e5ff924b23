//! Calls with pages in grey and colour, over T.38 and over audio (T.30 Annex E, T.42).

#![allow(clippy::unwrap_used)] // functions beside the tests

use core::time::Duration;
use fax_base::page::{Coding, PageShape, Resolution, Tones, Width};
use fax_image::t42::{self, Picture};
use fax_image::{Bitmap, Decoder, Limits};
use fax_t30::{Capabilities, Cause, Role};
use fax_t38::ErrorCorrection;
use fax_terminal::{CodedPage, Config, Document, ReceivedPage, Terminal};
use std::sync::Arc;
use testkit::audio::{self, Ours, Path};
use testkit::network::Impairments;
use testkit::pages;
use testkit::pair::{self, End, Plan};

const GREY: Coding = Coding::T81(Tones::Grey);
const COLOUR: Coding = Coding::T81(Tones::Colour);

/// A page with all kinds of colours, its JPEG, and text as its rendition in black and white.
fn page(tones: Option<Tones>, rows: u32, seed: u64) -> Arc<CodedPage> {
    let coded = pages::coded(&pages::text(1728, rows, seed), Resolution::Fine, Width::A4);
    let jpeg = tones.map(|tones| {
        let rgb = (0..rows).flat_map(|y| {
            (0..1728u32).flat_map(move |x| {
                let patch = x / 144 + y / 50 * 5 + seed as u32;
                [(patch * 37 % 256) as u8, (patch * 101 % 256) as u8, (x * 255 / 1728) as u8]
            })
        });
        let picture = Picture::from_rgb(1728, tones, &rgb.collect::<Vec<u8>>());
        t42::encode(&picture, &t42::Options::default()).into()
    });
    Arc::new(CodedPage { shape: PageShape { tones, ..coded.shape }, jpeg, ..coded })
}

fn capabilities(best: Coding) -> Capabilities {
    let codings = vec![Coding::Mh, Coding::Mr, Coding::Mmr, best];
    Capabilities { codings, ..Capabilities::default() }
}

fn terminal(role: Role, capabilities: Capabilities, pages: &[Arc<CodedPage>]) -> Terminal {
    let documents = if pages.is_empty() { Vec::new() } else { vec![Document::new(pages.to_vec())] };
    Terminal::new(Config { role, capabilities, documents, ..Config::default() })
}

fn over_t38(pages: &[Arc<CodedPage>], far: Coding, plan: &Plan) -> (End, End) {
    let calling = terminal(Role::Calling, Capabilities::default(), pages);
    let (calling, called) = pair::call(calling, terminal(Role::Called, capabilities(far), &[]), plan);
    assert_eq!((calling.cause(), called.cause()), (None, None), "{:?}", calling.events.last());
    assert_eq!(called.pages.len(), pages.len());
    (calling, called)
}

fn pels(page: &ReceivedPage) -> Bitmap {
    let mut decoder = Decoder::new(Coding::Mmr, page.format.pels(), Limits::default());
    decoder.push(&page.t6);
    decoder.finish().bitmap
}

/// Bit for bit the page that was sent, with a rendition in black and white of the same size.
fn assert_same(sent: &CodedPage, got: &ReceivedPage) {
    assert_eq!(got.jpeg, sent.jpeg);
    assert_eq!((got.rows, got.bad_rows, got.confirmed), (sent.shape.rows, 0, true));
    let bitmap = pels(got);
    assert_eq!(bitmap.rows(), sent.shape.rows);
    assert_eq!(bitmap, t42::decode(sent.jpeg.as_ref().unwrap()).unwrap().picture.to_bitmap());
}

#[test]
fn colour_and_grey_arrive_as_they_were_sent() {
    for tones in [Tones::Colour, Tones::Grey] {
        let sent = [page(Some(tones), 300, 1), page(Some(tones), 200, 2)];
        let (calling, called) = over_t38(&sent, COLOUR, &Plan::default());
        for (sent, got) in sent.iter().zip(&called.pages) {
            assert_eq!(got.format.coding, Coding::T81(tones));
            assert_eq!((got.format.resolution, got.format.ecm), (Resolution::Fine, true));
            assert_same(sent, got);
        }
        let (_, outcome) = calling.outcome.unwrap();
        assert_eq!(outcome.format.map(|f| f.coding), Some(Coding::T81(tones)));
    }
}

#[test]
fn whoever_takes_grey_only_gets_the_lightness() {
    let sent = page(Some(Tones::Colour), 300, 3);
    let (_, called) = over_t38(core::slice::from_ref(&sent), GREY, &Plan::default());
    let [got] = called.pages.as_slice() else { unreachable!("one page") };
    assert_eq!(got.format.coding, GREY);
    let got = t42::decode(got.jpeg.as_ref().unwrap()).unwrap();
    assert!(got.is_good());
    let want = t42::decode(sent.jpeg.as_ref().unwrap()).unwrap().picture.to_grey();
    assert_eq!((got.picture.tones(), got.picture.rows()), (Tones::Grey, 300));
    let off = got.picture.samples().iter().zip(want.samples()).map(|(a, b)| u64::from(a.abs_diff(*b)));
    assert!(off.sum::<u64>() < want.samples().len() as u64, "less than one step of 255 on the average");
}

#[test]
fn whoever_takes_neither_gets_black_and_white() {
    let sent = page(Some(Tones::Colour), 300, 4);
    let (_, called) = over_t38(&[sent], Coding::Mmr, &Plan::default());
    let [got] = called.pages.as_slice() else { unreachable!("one page") };
    assert_eq!((got.format.coding, &got.jpeg), (Coding::Mmr, &None));
    assert_eq!(pels(got), pages::text(1728, 300, 4));
}

#[test]
fn each_page_goes_its_own_way() {
    let tones = [None, Some(Tones::Colour), Some(Tones::Grey), None];
    let sent: Vec<Arc<CodedPage>> = (0..).zip(tones).map(|(seed, t)| page(t, 150, seed)).collect();
    let (_, called) = over_t38(&sent, COLOUR, &Plan::default());
    for ((seed, tones), (sent, got)) in (0..).zip(tones).zip(sent.iter().zip(&called.pages)) {
        assert_eq!(got.format.coding.tones(), tones);
        match tones {
            None => assert_eq!(pels(got), pages::text(1728, 150, seed)),
            Some(_) => assert_same(sent, got),
        }
    }
}

#[test]
fn frames_that_are_lost_come_again() {
    let sent = page(Some(Tones::Colour), 400, 5);
    let bad = Impairments { loss: 0.05, ..Impairments::default() };
    let bare = fax_t38::Config { error_correction: ErrorCorrection::None, ..fax_t38::Config::default() };
    let plan = Plan { calling: bare.clone(), called: bare, there: bad, seed: 11, ..Plan::default() };
    let (calling, called) = over_t38(core::slice::from_ref(&sent), COLOUR, &plan);
    assert_same(&sent, &called.pages[0]);
    assert!(calling.outcome.unwrap().1.resends > 0, "frames were lost and asked for again");
}

#[test]
fn colour_over_the_modems() {
    let sent = [page(Some(Tones::Colour), 250, 6)];
    let mut a = Ours::new(terminal(Role::Calling, Capabilities::default(), &sent));
    let mut b = Ours::new(terminal(Role::Called, Capabilities::default(), &[]));
    audio::call(&mut a, &mut b, Path::default(), Path::default(), 7, Duration::from_secs(900));
    assert_eq!((a.cause(), b.cause()), (None, None), "{}\n\n{}", a.ladder(), b.ladder());
    assert_eq!(b.pages[0].format.coding, COLOUR);
    assert_same(&sent[0], &b.pages[0]);
}

#[test]
fn without_ecm_there_is_no_colour() {
    let sent = [page(Some(Tones::Colour), 100, 8)];
    let no_ecm = Capabilities { ecm: false, ..Capabilities::default() };
    let calling = terminal(Role::Calling, Capabilities::default(), &sent);
    let (calling, called) = pair::call(calling, terminal(Role::Called, no_ecm, &[]), &Plan::default());
    assert_eq!((calling.cause(), called.cause()), (None, None));
    assert_eq!((called.pages[0].format.coding, &called.pages[0].jpeg), (Coding::Mr, &None));
    assert_eq!(pels(&called.pages[0]), pages::text(1728, 100, 8));
}

/// Every octet arrives and they are no JPEG: the sender is told, the receiver's owner is, and what came is kept.
#[test]
fn a_page_that_nobody_can_read_is_neither_confirmed_nor_lost() {
    let octets: Vec<u8> =
        [0xFF, 0xD8, 0xFF, 0xC0].into_iter().chain((0..900u16).map(|i| (i % 251) as u8)).collect();
    let sent =
        CodedPage { jpeg: Some(octets.clone().into()), ..(*page(Some(Tones::Colour), 100, 9)).clone() };
    let calling = terminal(Role::Calling, Capabilities::default(), &[Arc::new(sent)]);
    let called = terminal(Role::Called, Capabilities::default(), &[]);
    let (calling, called) = pair::call(calling, called, &Plan::default());
    assert_eq!(calling.cause(), Some(Cause::PageRefused));
    assert_eq!(calling.outcome.unwrap().1.pages_confirmed, 0);
    assert_eq!(called.cause(), Some(Cause::CallerLeftAfterRefusal));
    let got = called.pages.last().unwrap();
    assert_eq!((got.rows, got.confirmed), (0, false));
    assert!(got.jpeg.as_ref().unwrap().starts_with(&octets));
}
