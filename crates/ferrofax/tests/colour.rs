//! Pages in colour from server to server: in colour to whoever takes it, in black and white to whoever does not.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod world;

use fax_base::page::Tones;
use fax_document::{FaxDocument, Format, RenderOptions, render};
use fax_image::t42;
use std::process::Command;
use std::time::Duration;
use world::{Daemon, FERROFAX, Setup, http, papers};

const CLINIC: &str = "+14155550100";
const COURT: &str = "+14155550199";
/// A fax of a few pages takes half a minute; the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(240);

/// A short page with a red and a green field, and one with writing only.
fn leaflet() -> Vec<u8> {
    let fields = "0.8 0.1 0.1 rg 50 20 200 80 re f 0.1 0.6 0.2 rg 350 20 200 80 re f";
    let words = "BT /F1 24 Tf 72 60 Td (Nothing here is in colour) Tj ET";
    papers::pdf_of(&[(120, fields.to_owned()), (120, words.to_owned())])
}

fn drawn(file: &[u8]) -> FaxDocument {
    render(file, Format::Pdf, &RenderOptions { colour: true, ..RenderOptions::default() }).unwrap()
}

/// What everybody but the sender sees of a fax that was sent in colour is in black and white.
fn assert_shown_in_black_and_white(of: &Daemon, id: &str, sent: &FaxDocument) {
    let shown = FaxDocument::from_tiff(&of.tiff("outgoing", id)).unwrap();
    assert!(shown.pages.iter().all(|page| page.jpeg.is_none()));
    assert!(shown.pages.iter().zip(&sent.pages).all(|(a, b)| a.t6 == b.t6));
    let pdf = of.fetch(&format!("/outgoing/{id}/attachment"), "application/pdf").body;
    assert!(!pdf.windows(9).any(|w| w == b"DCTDecode"), "a picture in colour in the preview");
}

#[test]
fn a_document_in_colour_arrives_in_colour() {
    let court = Daemon::start(Setup::new("court", COURT));
    let clinic = Daemon::start(Setup::new("clinic", CLINIC).peer(court.sip));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("leaflet.pdf");
    std::fs::write(&file, leaflet()).unwrap();
    let ran = Command::new(FERROFAX)
        .args(["send", COURT, file.to_str().unwrap(), "--from", CLINIC, "--colour", "--json"])
        .args(["--api", &clinic.url(), "--key", &clinic.setup.key()])
        .env_remove("RUST_LOG")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&ran.stdout).into_owned();
    assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
    let job: serde_json::Value = serde_json::from_str(said.lines().last().unwrap()).unwrap();
    assert_eq!((&job["colour"], &job["total_pages"]), (&true.into(), &2.into()), "{job:#}");

    let sent = drawn(&leaflet());
    assert_eq!(sent.pages.iter().map(|p| p.shape.tones).collect::<Vec<_>>(), [Some(Tones::Colour), None]);
    let fax = &court.inbox(1, PATIENCE)[0];
    let received = FaxDocument::from_tiff(&court.tiff("inbox", fax["id"].as_str().unwrap())).unwrap();
    let [colour, plain] = received.pages.as_slice() else { panic!("{} pages", received.pages.len()) };
    assert_eq!((colour.shape.tones, plain.shape.tones), (Some(Tones::Colour), None));
    assert_eq!(colour.jpeg, sent.pages[0].jpeg, "the octets that were drawn");
    let picture = t42::decode(colour.jpeg.as_ref().unwrap()).unwrap().picture;
    let (rgb, row) = (picture.to_rgb(), picture.rows() as usize / 2);
    for (x, want) in [(450, [204u8, 26, 26]), (1280, [26, 153, 51])] {
        let pel = &rgb[(row * 1728 + x) * 3..][..3];
        assert!(pel.iter().zip(want).all(|(a, b)| a.abs_diff(b) <= 10), "{pel:?}, not {want:?}");
    }
    let writing = plain.to_bitmap();
    assert!(writing.data().ends_with(sent.pages[1].to_bitmap().data()), "the writing is crisp");
    assert_shown_in_black_and_white(&clinic, job["id"].as_str().unwrap(), &sent);
}

#[test]
fn it_arrives_in_black_and_white_where_colour_is_not_taken() {
    let court = Daemon::start(Setup::new("court", COURT).with("top", "receive_colour = false"));
    let clinic = Setup::new("clinic", CLINIC)
        .peer(court.sip)
        .with("faxbox", "colour = true")
        .with("trunk", "compressions = [\"t85\", \"mmr\"]");
    let clinic = Daemon::start(clinic);
    let (key, path) = (clinic.setup.key(), format!("/v2/accounts/{}/faxboxes", clinic.account));
    let boxes = http::ask(clinic.api, "GET", &path, &[("X-Auth-Token", key.as_str())], b"").unwrap().json();
    let id =
        clinic.submit_from(boxes["data"][0]["id"].as_str().unwrap(), COURT, "application/pdf", &leaflet());
    let job = clinic.job_ended(&id, PATIENCE);
    assert_eq!((&job["status"], &job["colour"]), (&"completed".into(), &true.into()), "{job:#}");
    assert_eq!(job["tx_result"]["encoding_name"], "T.85", "as its trunk prefers: {job:#}");
    let sent = drawn(&leaflet());
    let fax = &court.inbox(1, PATIENCE)[0];
    let received = FaxDocument::from_tiff(&court.tiff("inbox", fax["id"].as_str().unwrap())).unwrap();
    assert!(received.pages.iter().all(|page| page.jpeg.is_none()));
    for (a, b) in received.pages.iter().zip(&sent.pages) {
        assert!(a.to_bitmap().data().ends_with(b.to_bitmap().data()));
    }
    assert_shown_in_black_and_white(&clinic, &id, &sent);
}
