//! Pages in colour and grey with spandsp as the far end, in both roles (T.30 Annex E, T.42): the JPEG goes over the line
//! least significant bit first, as everything in T.30.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_base::page::{Coding, PageShape, Resolution, Tones, Width};
use fax_image::t42::{self, Picture};
use fax_image::tiff::{TiffPage, WriteOptions, write};
use fax_t30 as t30;
use fax_terminal::{CodedPage, Config, Document};
use spandsp::t38::{CLEAN, call};
use spandsp::{Desk, OUR_IDENT};
use spandsp_peer::Options;
use std::sync::Arc;
use testkit::pages;

/// A page with all kinds of colours, and its rendition in black and white.
fn page(tones: Tones, rows: u32) -> Arc<CodedPage> {
    let rgb = (0..rows).flat_map(|y| {
        (0..1728u32).flat_map(move |x| {
            let patch = x / 144 + y / 50 * 5;
            [(patch * 37 % 256) as u8, (patch * 101 % 256) as u8, (x * 255 / 1728) as u8]
        })
    });
    let picture = Picture::from_rgb(1728, tones, &rgb.collect::<Vec<u8>>());
    let jpeg = t42::encode(&picture, &t42::Options { subsampled: false, ..t42::Options::default() });
    let coded = pages::coded(&picture.to_bitmap(), Resolution::Fine, Width::A4);
    Arc::new(CodedPage {
        shape: PageShape { tones: Some(tones), ..coded.shape },
        jpeg: Some(jpeg.into()),
        ..coded
    })
}

fn options(tones: Tones) -> Options {
    Options { codings: vec![Coding::Mh, Coding::Mr, Coding::Mmr, Coding::T81(tones)], ..Options::default() }
}

fn ours(sending: Option<&Arc<CodedPage>>) -> Config {
    let role = if sending.is_some() { t30::Role::Calling } else { t30::Role::Called };
    let documents = sending.map_or(vec![], |page| vec![Document::new(vec![page.clone()])]);
    Config { role, ident: OUR_IDENT.to_owned(), documents, ..Config::default() }
}

#[test]
fn we_send() {
    for tones in [Tones::Colour, Tones::Grey] {
        let what = format!("sending {tones:?}");
        let page = page(tones, 300);
        let desk = Desk::new(None, options(tones));
        let (seen, report) = call(&what, ours(Some(&page)), &desk, CLEAN);
        let outcome = seen.assert_success(&what, &report);
        assert_eq!(outcome.format.map(|f| f.coding), Some(Coding::T81(tones)), "{what}");
        assert_eq!(report.pages_received, 1, "{what}");
        // spandsp writes the JPEG as it came.
        let jpeg = page.jpeg.as_ref().unwrap();
        let file = std::fs::read(desk.received()).unwrap();
        assert!(file.windows(jpeg.len()).any(|octets| octets == jpeg), "{what}: other octets came");
    }
}

#[test]
fn we_receive() {
    for tones in [Tones::Colour, Tones::Grey] {
        let what = format!("receiving {tones:?}");
        let jpeg = page(tones, 300).jpeg.clone().unwrap();
        let desk = Desk::new(None, options(tones));
        let path = desk.folder.path().join("send.tif");
        let file = write(&[TiffPage::in_tones(jpeg.clone()).unwrap()], &WriteOptions::default());
        std::fs::write(&path, file).unwrap();
        let desk = Desk { options: Options { send: Some(path), receive: None, ..desk.options }, ..desk };
        let (seen, report) = call(&what, ours(None), &desk, CLEAN);
        seen.assert_success(&what, &report);
        let [got] = seen.pages.as_slice() else { panic!("{what}: {} pages", seen.pages.len()) };
        // spandsp's DCS says colour of a grey page, too; the JPEG says what it is.
        assert!(got.format.coding.tones().is_some(), "{what}");
        assert_eq!((got.rows, got.bad_rows, got.confirmed), (300, 0, true), "{what}");
        let (sent, got) = (t42::decode(&jpeg).unwrap(), t42::decode(got.jpeg.as_ref().unwrap()).unwrap());
        assert!(got.is_good(), "{what}");
        let (sent, got) = (sent.picture, got.picture);
        assert_eq!(got.tones(), tones, "{what}");
        let off = sent.samples().iter().zip(got.samples()).map(|(a, b)| u64::from(a.abs_diff(*b)));
        let mean = off.sum::<u64>() as f64 / sent.samples().len() as f64;
        println!("{what}: {mean:.2} of 255 off on the average");
        assert!(mean < 4.0, "{what}: {mean}");
    }
}
