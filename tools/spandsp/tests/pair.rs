//! spandsp against itself on simulated time: the oracle works before anything is measured with it.

#![allow(clippy::unwrap_used)] // the lint's exemption for tests does not reach the functions beside them

use fax_base::page::Coding;
use spandsp_peer::tiff::{self, Page};
use spandsp_peer::{AudioPeer, BLOCK, Options, Recommendation, Report, T38Peer, pages};
use std::path::{Path, PathBuf};

/// A folder with a document to be sent and a place for what comes.
struct Desk {
    folder: tempfile::TempDir,
    sent: Vec<Page>,
}

impl Desk {
    /// Chart 1 where it is, and a generated page.
    fn new() -> Self {
        let mut sent = vec![pages::generated(1, 600)];
        match pages::chart(1) {
            Some(path) => sent.extend(tiff::read(&path).unwrap()),
            None => println!("skipped: no charts"),
        }
        let folder = tempfile::tempdir().unwrap();
        tiff::write(&folder.path().join("send.tif"), &sent).unwrap();
        Desk { folder, sent }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn calling(&self, base: &Options) -> Options {
        Options { send: Some(self.path("send.tif")), ident: "+1 555 0100".into(), ..base.clone() }
    }

    fn called(&self, base: &Options) -> Options {
        Options { receive: Some(self.path("got.tif")), ident: "+1 555 0199".into(), ..base.clone() }
    }

    fn check(&self, calling: &Report, called: &Report) {
        assert!(calling.succeeded(), "calling: {calling:?}");
        assert!(called.succeeded(), "called: {called:?}");
        assert_eq!(calling.pages_sent as usize, self.sent.len());
        assert_eq!(called.pages_received as usize, self.sent.len());
        assert_eq!(called.remote_ident, "+1 555 0100");
        same(&self.sent, &self.path("got.tif"));
    }
}

fn same(sent: &[Page], got: &Path) {
    let got = tiff::read(got).unwrap();
    assert_eq!(got.len(), sent.len(), "pages");
    for (number, (sent, got)) in sent.iter().zip(&got).enumerate() {
        assert_eq!(sent.first_difference(got), None, "page {number}: {sent:?} became {got:?}");
    }
}

fn t38_call(base: &Options) -> (Report, Report) {
    let desk = Desk::new();
    let mut a = T38Peer::new(true, &desk.calling(base)).unwrap();
    let mut b = T38Peer::new(false, &desk.called(base)).unwrap();
    let (mut from_a, mut from_b) = (0u16, 0u16);
    for _ in 0..50 * 600 {
        let done = a.step(160) & b.step(160);
        while let Some(packet) = a.take() {
            (0..packet.copies).for_each(|_| assert!(b.feed(&packet.ifp, from_a)));
            from_a = from_a.wrapping_add(1);
        }
        while let Some(packet) = b.take() {
            (0..packet.copies).for_each(|_| assert!(a.feed(&packet.ifp, from_b)));
            from_b = from_b.wrapping_add(1);
        }
        if done {
            break;
        }
    }
    let reports = (a.report(), b.report());
    assert!(a.frames().len() > 5 && b.frames().len() > 5);
    drop((a, b));
    desk.check(&reports.0, &reports.1);
    reports
}

fn audio_call(base: &Options) -> (Report, Report) {
    let desk = Desk::new();
    let mut a = AudioPeer::new(true, &desk.calling(base)).unwrap();
    let mut b = AudioPeer::new(false, &desk.called(base)).unwrap();
    let (mut from_a, mut from_b) = ([0; BLOCK], [0; BLOCK]);
    for _ in 0..50 * 600 {
        a.transmit(&mut from_a);
        b.transmit(&mut from_b);
        a.receive(&from_b);
        b.receive(&from_a);
        if a.code().is_some() && b.code().is_some() {
            break;
        }
    }
    let reports = (a.report(), b.report());
    drop((a, b));
    desk.check(&reports.0, &reports.1);
    reports
}

#[test]
fn t38_ecm_mmr() {
    let (a, b) = t38_call(&Options::default());
    assert!(a.ecm && b.ecm);
    assert_eq!((a.compression, a.bit_rate), (8, 14_400));
    assert_eq!(a.remote_ident, "+1 555 0199");
}

#[test]
fn t38_version_3_without_ecm_in_mh() {
    let (a, _) = t38_call(&Options { ecm: false, codings: vec![], t38_version: 3, ..Options::default() });
    assert!(!a.ecm);
    assert_eq!(a.compression, 2);
}

#[test]
fn audio_v17_ecm_mmr() {
    let (a, _) = audio_call(&Options::default());
    assert!(a.ecm);
    assert_eq!((a.compression, a.bit_rate), (8, 14_400));
}

#[test]
fn audio_v29_without_ecm_in_mr() {
    let (a, _) = audio_call(&Options {
        ecm: false,
        codings: vec![Coding::Mr],
        modems: vec![Recommendation::V27ter, Recommendation::V29],
        ..Options::default()
    });
    assert!(!a.ecm);
    assert_eq!((a.compression, a.bit_rate), (4, 9600));
}

#[test]
fn t6_octets_go_out_and_in() {
    let page = pages::generated(7, 500);
    let t6 = tiff::encode_t6(&page).unwrap();
    let tail = t6.last_chunk::<4>().map(|tail| u32::from_be_bytes(*tail)).unwrap();
    assert_eq!((tail >> tail.trailing_zeros()) & 0xFF_FFFF, 0x00_1001, "EOFB");
    assert_eq!(page.first_difference(&tiff::decode_t6(1728, 500, &t6).unwrap()), None);
}

#[test]
fn a_file_that_is_no_tiff_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("x.tif");
    std::fs::write(&path, b"not a TIFF file").unwrap();
    assert!(tiff::read(&path).is_err());
    assert!(tiff::read(&folder.path().join("absent.tif")).is_err());
}

#[test]
fn a_dropped_call_frees_what_it_holds() {
    let desk = Desk::new();
    for calling in [true, false] {
        let mut t38 = T38Peer::new(calling, &desk.calling(&Options::default())).unwrap();
        let mut audio = AudioPeer::new(calling, &desk.calling(&Options::default())).unwrap();
        let mut block = [0; BLOCK];
        for _ in 0..100 {
            t38.step(160);
            audio.transmit(&mut block);
        }
        assert!(t38.code().is_none() && audio.code().is_none());
        t38.terminate();
        audio.terminate();
    }
}
