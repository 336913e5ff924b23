//! Whole faxes through `ferrofax line`: two of it, and spandsp's fax machine at either end of the pipe; losses, far ends
//! that go away, disks that are full.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

#[path = "world/papers.rs"]
#[allow(dead_code)]
mod papers;
mod pipe;

use fax_base::page::Tones;
use fax_image::t42::{self, Picture};
use fax_image::tiff::{Image, Limits, TiffPage, WriteOptions};
use pipe::{BLOCK, Block, Clean, Come, Desk, Line, Machine, TEN_MINUTES, call, command};
use spandsp_peer::tiff;
use spandsp_peer::{AudioPeer, Options};
use std::path::Path;

/// A document with everything that a coder can trip over.
fn document(desk: &Desk, name: &str, seed: u64, pages: u64) -> String {
    let pages: Vec<tiff::Page> = (0..pages).map(|i| spandsp_peer::pages::generated(seed + i, 300)).collect();
    tiff::write(&desk.path(name), &pages).unwrap();
    desk.arg(name)
}

fn same(sent: &Path, got: &Path) {
    let (sent, got) = (tiff::read(sent).unwrap(), tiff::read(got).unwrap());
    assert_eq!(sent.len(), got.len(), "pages");
    for (number, (sent, got)) in sent.iter().zip(&got).enumerate() {
        assert_eq!(sent.first_difference(got), None, "page {number}: {sent:?} became {got:?}");
    }
}

/// A call between two machines with these options besides the usual ones.
fn two(desk: &Desk, calling: &[&str], called: &[&str], line: &mut dyn Line) {
    let (a, b, ta, tb) = (desk.arg("a.json"), desk.arg("b.json"), desk.arg("a.txt"), desk.arg("b.txt"));
    let common = ["--call", "--id", "+1 555 0100", "--report", &a, "--trace", &ta];
    let calling = Machine::start(common.iter().chain(calling));
    let common = ["--answer", "--id", "+1 555 0199", "--report", &b, "--trace", &tb];
    let called = Machine::start(common.iter().chain(called));
    let (a, b, _) = call(calling, called, line);
    let told = || format!("{a:?}\n{}\n{b:?}\n{}", desk.text("a.txt"), desk.text("b.txt"));
    assert_eq!((a.code, b.code), (Some(0), Some(0)), "{}", told());
}

#[test]
fn two_documents_in_one_call_arrive_pel_for_pel() {
    let desk = Desk::new();
    let (first, second) = (document(&desk, "1.tif", 1, 2), document(&desk, "2.tif", 7, 1));
    let dir = desk.arg("in");
    two(&desk, &["--send", &first, "--send", &second], &["--receive", &dir], &mut Clean);
    same(Path::new(&first), &desk.path("in/fax-0001.tif"));
    same(Path::new(&second), &desk.path("in/fax-0002.tif"));
    assert!(!desk.path("in/fax-0003.tif").exists());
    let (a, b) = (desk.report("a.json"), desk.report("b.json"));
    for (report, sent, received, remote) in [(&a, 3, 0, "+1 555 0199"), (&b, 0, 3, "+1 555 0100")] {
        assert_eq!(report["status"], "ok");
        assert!(report["error"].is_null());
        assert_eq!((&report["pages_sent"], &report["pages_received"]), (&sent.into(), &received.into()));
        assert_eq!((&report["modem"], &report["bit_rate"]), (&"V.17".into(), &14_400.into()));
        assert_eq!((&report["ecm"], &report["compression"]), (&true.into(), &"T.6".into()));
        assert_eq!((&report["remote_id"], &report["bad_rows"]), (&remote.into(), &0.into()));
        assert!(report["duration_s"].as_f64().unwrap() > 10.0);
    }
    let trace = desk.text("b.txt");
    for word in [
        "V.17 14400 trained",
        "dB signal to noise",
        "DCS ─▶  chooses: receive, V.17 14400",
        "◀─ CFR  the training check was good",
        "page 1 received: 300 rows; MMR, 1728 pels at 204 × 196 per inch, ECM; confirmed",
        "The fax went well.",
    ] {
        assert!(trace.contains(word), "{word:?} is not in\n{trace}");
    }
}

#[test]
fn every_modem_and_coding_that_is_asked_for_is_used() {
    let cases = [
        (["--modems", "v27ter", "--max-rate", "4800"], "on", "mh", ("V.27ter", 4800, true, "T.4 1-D")),
        (["--modems", "v29", "--max-rate", "9600"], "off", "mr", ("V.29", 9600, false, "T.4 2-D")),
        (["--modems", "v29,v17", "--max-rate", "12000"], "off", "mmr", ("V.17", 12_000, false, "T.4 1-D")),
    ];
    for (modems, ecm, compression, (modem, rate, with_ecm, coding)) in cases {
        let desk = Desk::new();
        let (file, dir) = (document(&desk, "1.tif", 3, 1), desk.arg("in"));
        let mut calling = vec!["--send", &file, "--ecm", ecm, "--compression", compression];
        calling.extend(modems);
        two(&desk, &calling, &["--receive", &dir], &mut Clean);
        same(Path::new(&file), &desk.path("in/fax-0001.tif"));
        let report = desk.report("b.json");
        assert_eq!((&report["modem"], &report["bit_rate"]), (&modem.into(), &rate.into()));
        assert_eq!((&report["ecm"], &report["compression"]), (&with_ecm.into(), &coding.into()));
    }
}

#[test]
fn polling_fetches_what_is_offered_and_the_password_counts() {
    let desk = Desk::new();
    let (file, dir) = (document(&desk, "1.tif", 5, 2), desk.arg("in"));
    two(
        &desk,
        &["--poll", "--receive", &dir, "--pwd", "4711"],
        &["--send", &file, "--pwd", "4711"],
        &mut Clean,
    );
    same(Path::new(&file), &desk.path("in/fax-0001.tif"));
    assert_eq!(desk.report("a.json")["pages_received"], 2);
    assert_eq!(desk.report("b.json")["pages_sent"], 2);
    // Without the password there is nothing.
    let (dir, report) = (desk.arg("none"), desk.arg("r.json"));
    let calling = Machine::start(["--call", "--poll", "--receive", &dir, "--report", &report]);
    let called = Machine::start(["--answer", "--send", &file, "--pwd", "4711"]);
    let (a, b, _) = call(calling, called, &mut Clean);
    assert_eq!((a.code, b.code), (Some(1), Some(1)), "{a:?} {b:?}");
    assert_eq!(desk.report("r.json")["pages_received"], 0);
    assert!(!desk.path("none/fax-0001.tif").exists());
}

#[test]
fn the_header_is_on_top_of_the_page_and_nowhere_else() {
    let desk = Desk::new();
    let (file, dir) = (document(&desk, "1.tif", 5, 1), desk.arg("in"));
    two(&desk, &["--send", &file, "--header", "Clinic +1 555 0100"], &["--receive", &dir], &mut Clean);
    let (sent, got) =
        (tiff::read(Path::new(&file)).unwrap(), tiff::read(&desk.path("in/fax-0001.tif")).unwrap());
    let head = got[0].rows - sent[0].rows;
    assert!((30..60).contains(&head), "{head}");
    assert!((0..head).any(|y| got[0].row(y).iter().any(|o| *o != 0)));
    (0..sent[0].rows).for_each(|y| assert_eq!(got[0].row(head + y), sent[0].row(y), "{y}"));
}

/// Loses blocks in both directions by a fixed pattern of pseudo-random numbers.
struct Lossy {
    state: u64,
    /// In 1000.
    part: u64,
}

impl Line for Lossy {
    fn carry(&mut self, _: bool, block: Block) -> Come {
        self.state ^= self.state << 13;
        self.state ^= self.state >> 7;
        self.state ^= self.state << 17;
        if self.state % 1000 < self.part { Come::Lost } else { Come::Arrived(block) }
    }
}

#[test]
fn flagged_losses_cost_time_and_no_pels() {
    let desk = Desk::new();
    let (file, dir) = (document(&desk, "1.tif", 11, 1), desk.arg("in"));
    let mut line = Lossy { state: 0x9E37_79B9_7F4A_7C15, part: 10 };
    let flagged = ["--frames", "flagged"];
    let calling: Vec<&str> = ["--send", &file].into_iter().chain(flagged).collect();
    let called: Vec<&str> = ["--receive", &dir].into_iter().chain(flagged).collect();
    two(&desk, &calling, &called, &mut line);
    same(Path::new(&file), &desk.path("in/fax-0001.tif"));
}

/// spandsp on the other end of the pipe.
fn with_spandsp(mut machine: Machine, mut peer: AudioPeer) -> (pipe::Ended, spandsp_peer::Report) {
    let mut to_us = [0; BLOCK];
    for _ in 0..TEN_MINUTES {
        let Some(from_us) = machine.step(&Come::Arrived(to_us)) else { break };
        peer.transmit(&mut to_us);
        peer.receive(&from_us);
    }
    let report = peer.report();
    (machine.hang_up(), report)
}

#[test]
fn spandsp_receives_and_sends_through_the_pipe() {
    for ecm in [true, false] {
        let desk = Desk::new();
        let file = document(&desk, "1.tif", 21, 1);
        let switch = if ecm { "on" } else { "off" };
        let options = Options { ecm, ident: "spandsp".into(), ..Options::default() };
        let (report, trace) = (desk.arg("r.json"), desk.arg("t.txt"));
        let ours = ["--ecm", switch, "--report", &report, "--trace", &trace];
        // We call, it receives.
        let machine = Machine::start(["--call", "--send", &file].iter().chain(&ours));
        let receive = Some(desk.path("spandsp.tif"));
        let peer = AudioPeer::new(false, &Options { receive, ..options.clone() }).unwrap();
        let (ended, theirs) = with_spandsp(machine, peer);
        assert_eq!(ended.code, Some(0), "{ended:?} {theirs:?}\n{}", desk.text("t.txt"));
        same(Path::new(&file), &desk.path("spandsp.tif"));
        // It calls, we receive.
        let dir = desk.arg("in");
        let machine = Machine::start(["--answer", "--receive", &dir].iter().chain(&ours));
        let send = Some(desk.path("1.tif"));
        let peer = AudioPeer::new(true, &Options { send, ..options }).unwrap();
        let (ended, theirs) = with_spandsp(machine, peer);
        assert_eq!(ended.code, Some(0), "{ended:?} {theirs:?}\n{}", desk.text("t.txt"));
        same(Path::new(&file), &desk.path("in/fax-0001.tif"));
        let report = desk.report("r.json");
        assert_eq!((&report["remote_id"], &report["ecm"]), (&"spandsp".into(), &ecm.into()));
    }
}

#[test]
fn a_far_end_that_hangs_up_leaves_whole_pages() {
    let desk = Desk::new();
    let (file, dir, report) = (document(&desk, "1.tif", 31, 3), desk.arg("in"), desk.arg("r.json"));
    let mut calling = Machine::start(["--call", "--send", &file]);
    let mut called = Machine::start(["--answer", "--receive", &dir, "--report", &report]);
    let (mut from_calling, mut from_called) = ([0; BLOCK], [0; BLOCK]);
    // Until two pages are in the file.
    let pages = || tiff::read(&desk.path("in/fax-0001.tif")).map_or(0, |pages| pages.len());
    let mut blocks = 0;
    while pages() < 2 {
        let a = calling.step(&Come::Arrived(from_called)).unwrap();
        let b = called.step(&Come::Arrived(from_calling)).unwrap();
        (from_calling, from_called) = (a, b);
        blocks += 1;
        assert!(blocks < TEN_MINUTES);
    }
    (0..50).for_each(|_| assert!(called.step(&Come::Arrived([0; BLOCK])).is_some()));
    let ended = called.hang_up();
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert_eq!(calling.hang_up().code, Some(1));
    let (sent, got) =
        (tiff::read(Path::new(&file)).unwrap(), tiff::read(&desk.path("in/fax-0001.tif")).unwrap());
    assert_eq!(got.len(), 2);
    got.iter().zip(&sent).for_each(|(got, sent)| assert_eq!(sent.first_difference(got), None));
    let report = desk.report("r.json");
    assert_eq!((&report["status"], &report["pages_received"]), (&"failed".into(), &2.into()));
}

#[test]
fn a_full_disk_is_told_and_the_page_not_confirmed() {
    let desk = Desk::new();
    let (file, dir, report) = (document(&desk, "1.tif", 41, 1), desk.arg("in"), desk.arg("a.json"));
    let calling = Machine::start(["--call", "--send", &file, "--report", &report]);
    // No file of this process may grow beyond 512 octets; writing more fails as on a full disk.
    let program = command(["--answer", "--receive", &dir]);
    let mut limited = std::process::Command::new("sh");
    limited
        .args(["-c", "trap '' XFSZ; ulimit -f 1; exec \"$0\" \"$@\""])
        .arg(program.get_program())
        .args(program.get_args());
    let (a, b, _) = call(calling, Machine::spawn(limited), &mut Clean);
    assert_eq!((a.code, b.code), (Some(1), Some(2)), "{a:?} {b:?}");
    assert!(b.stderr.contains("fax-0001.tif") && b.stderr.contains("cannot be written"), "{}", b.stderr);
    assert_eq!(desk.report("a.json")["pages_sent"], 0);
}

/// A file of profile C with two pages in colour, and their streams.
fn colour(desk: &Desk, name: &str) -> Vec<Vec<u8>> {
    let streams: Vec<Vec<u8>> = (1..3u32)
        .map(|seed| {
            let rgb = (0..200u32)
                .flat_map(|y| (0..1728u32).flat_map(move |x| [x / 7, y, x * seed / 16].map(|v| v as u8)));
            let picture = Picture::from_rgb(1728, Tones::Colour, &rgb.collect::<Vec<u8>>());
            t42::encode(&picture, &t42::Options::default())
        })
        .collect();
    let page = |s: &Vec<u8>| TiffPage::in_tones(s.clone().into()).unwrap();
    let pages: Vec<TiffPage> = streams.iter().map(page).collect();
    std::fs::write(desk.path(name), fax_image::tiff::write(&pages, &WriteOptions::default())).unwrap();
    streams
}

#[test]
fn colour_arrives_as_it_was_sent() {
    let desk = Desk::new();
    let sent = colour(&desk, "colour.tif");
    let (file, dir) = (desk.arg("colour.tif"), desk.arg("in"));
    two(&desk, &["--send", &file], &["--receive", &dir], &mut Clean);
    for name in ["a.json", "b.json"] {
        assert_eq!(desk.report(name)["compression"], "T.81");
    }
    let got = std::fs::read(desk.path("in/fax-0001.tif")).unwrap();
    let got = fax_image::tiff::read(&got, &Limits::default()).unwrap();
    let streams: Vec<&[u8]> = got
        .pages
        .iter()
        .map(|page| match &page.image {
            Image::T81 { octets, tones: Tones::Colour, .. } => &octets[..],
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(streams, sent);
    assert!(!desk.path("in/fax-0002.tif").exists());
}

#[test]
fn colour_to_a_far_end_that_takes_none_of_it() {
    let desk = Desk::new();
    let sent = colour(&desk, "colour.tif");
    let (file, dir) = (desk.arg("colour.tif"), desk.arg("in"));
    let called = ["--receive", &dir, "--compression", "mh,mmr"];
    two(&desk, &["--send", &file, "--header", "Clinic"], &called, &mut Clean);
    assert_eq!(desk.report("a.json")["compression"], "T.6");
    let got = std::fs::read(desk.path("in/fax-0001.tif")).unwrap();
    let got = fax_image::tiff::read(&got, &Limits::default()).unwrap();
    for (stream, page) in sent.iter().zip(&got.pages) {
        let dots = t42::decode(stream).unwrap().picture.to_bitmap();
        let page = page.image.to_bitmap();
        let above = page.rows() - dots.rows();
        assert!((8..80).contains(&above), "a header line of {above} rows");
        assert!((0..dots.rows()).all(|y| page.row(above + y) == dots.row(y)));
    }
}
