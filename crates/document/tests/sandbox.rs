//! The sandbox: the same pages as in this process, and hostile documents end as plain refusals.
#![allow(clippy::unwrap_used, clippy::panic)]

mod made;

use bytes::Bytes;
use core::time::Duration;
use fax_document::sandbox::Converter;
use fax_document::{Format, RenderError, RenderOptions, render};
use made::{framed_page, pdf, testdata};
use std::time::Instant;

fn converter() -> Converter {
    Converter { program: Some(env!("CARGO_BIN_EXE_fax-convert-worker").into()), args: Vec::new() }
}

/// A form that draws a form twenty times that draws a form …: 20¹² squares, each filled (`f`) or left away (`n`).
fn endless(square: &str) -> Vec<u8> {
    let mut file = b"%PDF-1.5\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\n\
        2 0 obj\n<< /Type /Pages /Kids [3 0 R] /Count 1 >>\nendobj\n\
        3 0 obj\n<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R /Resources << /XObject << /X 10 0 R >> >> >>\nendobj\n\
        4 0 obj\n<< /Length 5 >>\nstream\n/X Do\nendstream\nendobj\n"
        .to_vec();
    for level in 10..22 {
        let draw =
            if level == 21 { format!("1 1 500 500 re {square} ").repeat(20) } else { "/X Do ".repeat(20) };
        file.extend_from_slice(
            format!(
                "{level} 0 obj\n<< /Type /XObject /Subtype /Form /BBox [0 0 595 842] /Length {} /Resources << /XObject << /X {} 0 R >> >> >>\nstream\n{draw}\nendstream\nendobj\n",
                draw.len(),
                level + 1
            )
            .as_bytes(),
        );
    }
    file.extend_from_slice(b"trailer\n<< /Root 1 0 R >>\n%%EOF\n");
    file
}

#[tokio::test]
async fn the_pages_are_those_of_this_process() {
    let options = RenderOptions::default();
    let octets = testdata("demo.pdf");
    let here = render(&octets, Format::Pdf, &options).unwrap();
    let there = converter().convert(octets.into(), Format::Pdf, &options).await.unwrap();
    assert_eq!(here, there);
}

#[tokio::test]
async fn refusals_come_through() {
    let options = RenderOptions::default();
    let convert = |octets: Vec<u8>, format| {
        let options = options.clone();
        async move { converter().convert(octets.into(), format, &options).await }
    };
    assert_eq!(convert(testdata("locked.pdf"), Format::Pdf).await, Err(RenderError::PasswordProtected));
    assert_eq!(convert(pdf(&[], None), Format::Pdf).await, Err(RenderError::Empty));
    assert!(matches!(convert(b"II*\0".to_vec(), Format::Tiff).await, Err(RenderError::Broken { .. })));
    assert!(matches!(convert(framed_page(10.0, 1e6), Format::Pdf).await, Err(RenderError::TooLarge { .. })));
}

#[tokio::test]
async fn an_endless_document_ends_with_its_time() {
    let options = RenderOptions { time_limit: Duration::from_secs(2), ..RenderOptions::default() };
    let start = Instant::now();
    let e = converter().convert(endless("n").into(), Format::Pdf, &options).await.unwrap_err();
    assert_eq!(e, RenderError::TimedOut { seconds: 2 });
    assert!(start.elapsed() < Duration::from_secs(6), "{:?}", start.elapsed());
    // What is drawn takes memory, too: which of both is used up first is for the machine to say.
    let options = RenderOptions { memory_limit: 256 << 20, ..options };
    let e = converter().convert(endless("f").into(), Format::Pdf, &options).await.unwrap_err();
    let spent = [RenderError::TimedOut { seconds: 2 }, RenderError::OutOfMemory { mebibytes: 256 }];
    assert!(spent.contains(&e), "{e}");
}

#[tokio::test]
async fn memory_has_an_end() {
    let options = RenderOptions { memory_limit: 96 << 20, ..RenderOptions::default() };
    // A page of 64 M pels at the finest resolution does not fit in 96 MiB.
    let big = RenderOptions {
        resolution: fax_base::page::Resolution::R16,
        width: fax_base::page::Width::A3,
        ..options
    };
    let e = converter().convert(framed_page(842.0, 1190.0).into(), Format::Pdf, &big).await.unwrap_err();
    assert_eq!(e, RenderError::OutOfMemory { mebibytes: 96 });
}

#[tokio::test]
async fn a_child_that_falls_over_is_told_from_one_that_is_not_there() {
    let options = RenderOptions::default();
    let one = |program: &str, args: &[&str]| {
        let converter =
            Converter { program: Some(program.into()), args: args.iter().map(Into::into).collect() };
        let options = options.clone();
        async move { converter.convert(Bytes::from_static(b"%PDF-"), Format::Pdf, &options).await.unwrap_err() }
    };
    let absent = one("/nonexistent/converter", &[]).await;
    assert!(matches!(absent, RenderError::Unavailable { .. }), "{absent}");
    assert!(absent.is_temporary());
    for (script, sign) in [
        ("kill -SEGV $$", "signal 11"),
        ("exit 3", "exit status 3"),
        ("echo nonsense", "no sense"),
        ("echo \"thread 'main' panicked at x\" >&2; exit 101", "an error in the converter"),
    ] {
        let e = one("/bin/sh", &["-c", script]).await;
        assert!(matches!(e, RenderError::Crashed { .. }), "{script}: {e}");
        assert!(e.to_string().contains(sign), "{script}: {e}");
        assert!(!e.is_temporary());
    }
}

/// A service manager tells every process of a service to stop, a terminal every one of a group.
#[tokio::test]
async fn a_child_that_is_ended_from_outside_says_nothing_about_the_document() {
    let options = RenderOptions::default();
    let one = |script: &str| {
        let converter = Converter { program: Some("/bin/sh".into()), args: vec!["-c".into(), script.into()] };
        let options = options.clone();
        async move { converter.convert(Bytes::from_static(b"%PDF-"), Format::Pdf, &options).await.unwrap_err() }
    };
    for signal in ["HUP", "INT", "TERM"] {
        let e = one(&format!("kill -{signal} $$; sleep 5")).await;
        assert!(e.is_temporary(), "{signal}: {e}");
    }
    // It leads a group of its own: field 5 of its stat.
    let e = one("set -- $(cat /proc/$$/stat); [ $5 = $$ ] && exit 3; exit 4").await;
    assert!(e.to_string().contains("exit status 3"), "{e}");
}

/// An upgrade replaces the program's file while it runs. A copy of this program plays that: it runs this same test.
#[tokio::test]
async fn an_upgrade_does_not_end_conversions() {
    let own = std::env::current_exe().unwrap();
    if own.file_name().is_some_and(|name| name == "replaced") {
        std::fs::remove_file(own).unwrap();
        // The child is this program again, whose answer is not that of a converter: but it was there.
        let converter = Converter { program: None, args: vec!["--list".into()] };
        let options = RenderOptions::default();
        let e = converter.convert(Bytes::from_static(b"%PDF-"), Format::Pdf, &options).await.unwrap_err();
        assert!(e.to_string().contains("no sense"), "{e}");
        return;
    }
    let folder = made::Folder::new("upgrade");
    let copy = folder.path("replaced");
    std::fs::copy(own, &copy).unwrap();
    let told = std::process::Command::new(&copy)
        .args(["--exact", "an_upgrade_does_not_end_conversions"])
        .output()
        .unwrap();
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stdout));
    assert!(String::from_utf8_lossy(&told.stdout).contains("1 passed"));
}

#[tokio::test]
async fn a_chatty_child_is_cut_off() {
    let converter = Converter {
        program: Some("/bin/sh".into()),
        args: vec!["-c".into(), "yes | head -c 300000000".into()],
    };
    let e = converter
        .convert(Bytes::from_static(b"%PDF-"), Format::Pdf, &RenderOptions::default())
        .await
        .unwrap_err();
    assert!(matches!(e, RenderError::TooLarge { .. }), "{e}");
}

#[tokio::test]
async fn dropping_the_future_ends_the_child() {
    let folder = made::Folder::new("drop");
    let pid = folder.path("pid");
    let converter = Converter {
        program: Some("/bin/sh".into()),
        args: vec!["-c".into(), format!("echo $$ > {pid}; exec sleep 60").into()],
    };
    let options = RenderOptions::default();
    let convert = converter.convert(Bytes::from_static(b"x"), Format::Pdf, &options);
    assert!(tokio::time::timeout(Duration::from_millis(500), convert).await.is_err());
    let pid = String::from_utf8(folder.get("pid")).unwrap();
    let stat = format!("/proc/{}/stat", pid.trim());
    for _ in 0..50 {
        match std::fs::read_to_string(&stat) {
            // Gone, or ended and not yet collected.
            Err(_) => return,
            Ok(s) if s.contains(") Z ") => return,
            Ok(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    panic!("{stat} is still there");
}
