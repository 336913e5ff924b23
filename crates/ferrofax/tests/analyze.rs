//! `ferrofax analyze`: calls of our own machines recorded as WAV, raw G.711 and captures, taken apart again and compared;
//! damaged and foreign files.

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

mod pipe;
mod recording;

use pipe::Desk;
use recording::{Capture, Recorded, T38Call, record, wav};
use serde_json::Value;
use spandsp_peer::tiff;
use std::path::Path;
use std::process::{Command, Output};

fn analyze(args: &[&str]) -> Output {
    Command::new(pipe::FERROFAX).arg("analyze").args(args).output().unwrap()
}

fn json(args: &[&str]) -> (Option<i32>, Value) {
    let ran = analyze(&[args, &["--json"]].concat());
    let text = String::from_utf8_lossy(&ran.stdout).into_owned();
    let value = serde_json::from_str(&text);
    (
        ran.status.code(),
        value.unwrap_or_else(|e| panic!("{e}: {text}{}", String::from_utf8_lossy(&ran.stderr))),
    )
}

fn refused(args: &[&str], words: &[&str]) {
    let ran = analyze(args);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert_eq!(ran.status.code(), Some(2), "{args:?}: {said}");
    words.iter().for_each(|w| assert!(said.contains(w), "{args:?}: {w:?} is not in {said:?}"));
}

fn frames(found: &Value) -> Vec<(String, String)> {
    let of = |l: &Value| Some((l["from"].as_str()?.to_owned(), l["frame"].as_str()?.to_owned()));
    found["ladder"].as_array().unwrap().iter().filter_map(of).collect()
}

fn same(sent: &Path, got: &Path) {
    let (sent, got) = (tiff::read(sent).unwrap(), tiff::read(got).unwrap());
    assert_eq!(sent.len(), got.len(), "pages");
    for (number, (sent, got)) in sent.iter().zip(&got).enumerate() {
        assert_eq!(sent.first_difference(got), None, "page {number}: {sent:?} became {got:?}");
    }
}

/// A call of two pages by V.17 with ECM, or by V.29 without.
fn recorded(desk: &Desk, ecm: bool) -> Recorded {
    let pages: Vec<tiff::Page> = (0..2).map(|i| spandsp_peer::pages::generated(60 + i, 300)).collect();
    tiff::write(&desk.path("sent.tif"), &pages).unwrap();
    let options: &[&str] = if ecm { &[] } else { &["--ecm", "off", "--modems", "v29"] };
    record(desk, &desk.arg("sent.tif"), options)
}

/// What the ladder of such a call must have, in order.
fn check(found: &Value, code: Option<i32>, ecm: bool) {
    let sentence = found["sentence"].as_str().unwrap();
    assert_eq!((code, &found["ok"]), (Some(0), &true.into()), "{sentence}\n{found:#}");
    assert!(sentence.starts_with("2 pages were sent and confirmed."), "{sentence}");
    let want: &[(&str, &str)] = if ecm {
        &[
            ("called", "CSI"),
            ("called", "DIS"),
            ("calling", "TSI"),
            ("calling", "DCS"),
            ("called", "CFR"),
            ("calling", "PPS-MPS"),
            ("called", "MCF"),
            ("calling", "PPS-EOP"),
            ("called", "MCF"),
            ("calling", "DCN"),
        ]
    } else {
        &[
            ("called", "CSI"),
            ("called", "DIS"),
            ("calling", "TSI"),
            ("calling", "DCS"),
            ("called", "CFR"),
            ("calling", "MPS"),
            ("called", "MCF"),
            ("calling", "EOP"),
            ("called", "MCF"),
            ("calling", "DCN"),
        ]
    };
    let mut found_frames = frames(found);
    // What is not standard may be said, too.
    found_frames.retain(|(_, frame)| frame != "NSF");
    let want: Vec<(String, String)> = want.iter().map(|(a, b)| ((*a).to_owned(), (*b).to_owned())).collect();
    assert_eq!(found_frames, want);
    assert_eq!((&found["calling_id"], &found["called_id"]), (&"+1 555 0100".into(), &"+1 555 0199".into()));
    let pages = found["pages"].as_array().unwrap();
    assert_eq!(pages.len(), 2);
    for page in pages {
        assert_eq!(
            (&page["rows"], &page["bad_rows"], &page["answer"]),
            (&300.into(), &0.into(), &"confirmed".into())
        );
        assert_eq!(page["ecm"], ecm);
    }
}

#[test]
fn a_recording_with_two_channels_has_frames_signals_and_pages() {
    for ecm in [true, false] {
        let desk = Desk::new();
        let call = recorded(&desk, ecm);
        wav(&desk.path("call.wav"), &[&call.calling, &call.called], 1);
        let (file, dir) = (desk.arg("call.wav"), desk.arg("out"));
        let picture = desk.arg("c.svg");
        let (code, found) = json(&[&file, "--pages", &dir, "--pdf", "--constellation", &picture]);
        check(&found, code, ecm);
        same(&desk.path("sent.tif"), &desk.path("out/fax-0001.tif"));
        assert!(std::fs::read(desk.path("out/fax-0001.pdf")).unwrap().starts_with(b"%PDF-"));
        assert!(desk.text("c.svg").matches("<circle").count() > 100);
        // The signals' figures are those of a clean line at the usual level.
        let ladder = found["ladder"].as_array().unwrap();
        let signals: Vec<&Value> = ladder.iter().filter(|l| l["signal"] == "over").collect();
        assert!(signals.len() >= 3, "{found:#}");
        for signal in signals {
            let figure = |key: &str| signal[key].as_f64().unwrap();
            assert_eq!(signal["from"], "calling");
            assert!((figure("level_dbm0") + 13.0).abs() < 2.0, "{signal}");
            assert!(figure("snr_db") > 28.0 && figure("offset_hz").abs() < 0.5, "{signal}");
            assert!(figure("clock_ppm").abs() < 50.0, "{signal}");
        }
        assert!(ladder.iter().any(|l| l["tone"] == "CNG" && l["from"] == "calling"));
        assert!(ladder.iter().any(|l| l["training_check"] == true));
        // And in words.
        let ran = analyze(&[&file]);
        let text = String::from_utf8_lossy(&ran.stdout).into_owned();
        assert!(text.contains("DCS ─▶") && text.contains("◀─ CFR") && text.contains("trained:"), "{text}");
        assert!(
            text.trim_end().lines().last().unwrap().starts_with("2 pages were sent and confirmed."),
            "{text}"
        );
    }
}

#[test]
fn one_channel_with_both_ends_and_other_rates_and_codings() {
    let desk = Desk::new();
    let call = recorded(&desk, true);
    let mixed: Vec<i16> = call.calling.iter().zip(&call.called).map(|(a, b)| a.saturating_add(*b)).collect();
    wav(&desk.path("mixed.wav"), &[&mixed], 1);
    wav(&desk.path("16k.wav"), &[&call.calling, &call.called], 2);
    let law = |samples: &[i16]| samples.iter().map(|s| fax_dsp::Law::A.encode(*s)).collect::<Vec<u8>>();
    std::fs::write(desk.path("mixed.al"), law(&mixed)).unwrap();
    let pcm: Vec<u8> = call
        .calling
        .iter()
        .zip(&call.called)
        .flat_map(|(a, b)| [a.to_le_bytes(), b.to_le_bytes()].concat())
        .collect();
    std::fs::write(desk.path("two.raw"), pcm).unwrap();
    let cases: [(&str, &[&str]); 4] = [
        ("mixed.wav", &[]),
        ("16k.wav", &[]),
        ("mixed.al", &["--raw", "alaw"]),
        ("two.raw", &["--raw", "pcm", "--channels", "2"]),
    ];
    for (name, options) in cases {
        let (file, dir) = (desk.arg(name), desk.arg(&format!("out-{name}")));
        let (code, found) = json(&[&[file.as_str(), "--pages", dir.as_str()], options].concat());
        check(&found, code, true);
        same(&desk.path("sent.tif"), &desk.path(&format!("out-{name}/fax-0001.tif")));
    }
}

#[test]
fn captures_of_rtp_with_disorder_duplicates_and_losses() {
    let desk = Desk::new();
    let call = recorded(&desk, true);
    for (format, lost) in [("pcap", 0), ("pcapng", 0), ("pcap", 40)] {
        let mut capture = Capture::new(format);
        // Something else goes on as well.
        capture.noise();
        capture.rtp(&call, lost);
        let name = format!("{format}-{lost}");
        std::fs::write(desk.path(&name), capture.finish()).unwrap();
        let (code, found) = json(&[&desk.arg(&name), "--pages", &desk.arg(&format!("out-{name}"))]);
        if lost == 0 {
            check(&found, code, true);
            same(&desk.path("sent.tif"), &desk.path(&format!("out-{name}/fax-0001.tif")));
            assert_eq!(found["audio_lost"][0], 0.0);
        } else {
            let part = found["audio_lost"][0].as_f64().unwrap();
            assert!((part - 1.0 / f64::from(lost)).abs() < 0.005, "{part}");
            assert!(found["sentence"].as_str().unwrap().contains("Lost on the way: 2."), "{found:#}");
        }
    }
}

#[test]
fn captures_of_t38_have_ifps_frames_and_pages() {
    let desk = Desk::new();
    let call = T38Call::new(&desk.path("sent.tif"));
    let mut capture = Capture::new("pcapng");
    capture.noise();
    capture.udptl(&call.datagrams);
    std::fs::write(desk.path("t38.pcapng"), capture.finish()).unwrap();
    let (code, found) = json(&[&desk.arg("t38.pcapng"), "--pages", &desk.arg("out")]);
    check(&found, code, true);
    same(&desk.path("sent.tif"), &desk.path("out/fax-0001.tif"));
    let ifps: Vec<&str> =
        found["ladder"].as_array().unwrap().iter().filter_map(|l| l["ifp"].as_str()).collect();
    assert!(ifps.iter().any(|i| i.contains("v21")) && ifps.iter().any(|i| i.contains("v17")), "{ifps:?}");
}

#[test]
fn what_went_wrong_is_said_in_a_sentence() {
    let desk = Desk::new();
    let call = recorded(&desk, true);
    let seconds = |from: usize, to: usize| {
        let cut = |samples: &[i16]| {
            samples[(from * 8000).min(samples.len())..(to * 8000).min(samples.len())].to_vec()
        };
        (cut(&call.calling), cut(&call.called))
    };
    let silence = vec![0i16; 40 * 8000];
    let sentence = |calling: &[i16], called: &[i16]| {
        wav(&desk.path("cut.wav"), &[calling, called], 1);
        let (code, found) = json(&[&desk.arg("cut.wav")]);
        assert_eq!((code, &found["ok"]), (Some(1), &false.into()), "{found:#}");
        found["sentence"].as_str().unwrap().to_owned()
    };
    assert!(sentence(&silence, &silence).starts_with("There is no fax here"));
    let (calling, called) = seconds(0, 3);
    assert!(sentence(&calling, &silence[..called.len()]).contains("no fax machine answered"));
    // A called end that nobody answers.
    let (_, called) = seconds(0, 8);
    assert!(sentence(&silence[..called.len()], &called).contains("the calling end never answered"));
    // The end of the call is missing.
    let total = call.calling.len() / 8000;
    let (calling, called) = seconds(0, total - 5);
    let told = sentence(&calling, &called);
    assert!(told.contains("in the middle of page") || told.contains("confirmation was not heard"), "{told}");
}

#[test]
fn damaged_and_foreign_files() {
    let desk = Desk::new();
    refused(&[&desk.arg("none.wav")], &["none.wav", "cannot be read"]);
    let write = |name: &str, octets: &[u8]| {
        std::fs::write(desk.path(name), octets).unwrap();
        desk.arg(name)
    };
    refused(&[&write("empty", b"")], &["neither WAV nor pcap", "--raw"]);
    refused(&[&write("text.txt", b"hello, world")], &["neither WAV nor pcap"]);
    refused(&[&write("short.wav", b"RIFF\x10\0\0\0WAVEfmt ")], &["short.wav"]);
    refused(&[&write("short.pcap", &[0xD4, 0xC3, 0xB2, 0xA1, 2, 0])], &["short.pcap"]);
    refused(&[&write("few", b"1234"), "--rate", "8000"], &["--raw"]);
    refused(&[&write("few", b"1234"), "--raw", "pcm", "--rate", "50"], &["50 Hz"]);
    refused(&[&write("few", b"1234"), "--raw", "pcm", "--channels", "5"], &["5 channels"]);

    let call = recorded(&desk, true);
    wav(&desk.path("call.wav"), &[&call.calling, &call.called], 1);
    let mut capture = Capture::new("pcap");
    capture.rtp(&call, 0);
    std::fs::write(desk.path("call.pcap"), capture.finish()).unwrap();
    let mut noise = Capture::new("pcap");
    noise.noise();
    refused(&[&write("noise.pcap", &noise.finish())], &["noise.pcap", "no fax media"]);
    for name in ["call.wav", "call.pcap"] {
        let whole = std::fs::read(desk.path(name)).unwrap();
        // Cut short: what is there is read.
        let (code, found) = json(&[&write("cut", &whole[..whole.len() * 2 / 3])]);
        assert_eq!(code, Some(1));
        assert!(frames(&found).iter().any(|(_, f)| f == "DCS"), "{name}: {found:#}");
        // Octets changed here and there: some end, and no panic.
        let mut state = 88_172_645_463_325_252u64;
        for _ in 0..6 {
            let mut damaged = whole[..whole.len() / 4].to_vec();
            for _ in 0..200 {
                state ^= state << 13;
                state ^= state >> 7;
                state ^= state << 17;
                let at = (state as usize >> 8) % damaged.len();
                damaged[at] = state as u8;
            }
            let ran = analyze(&[&write("damaged", &damaged)]);
            let code = ran.status.code();
            assert!(matches!(code, Some(0..=2)), "{code:?} {}", String::from_utf8_lossy(&ran.stderr));
            assert!(!String::from_utf8_lossy(&ran.stderr).contains("panicked"));
        }
    }
}
