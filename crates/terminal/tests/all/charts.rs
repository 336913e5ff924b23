//! The eight ITU-T test charts over T.38, with the seconds that they take on the line.

#![allow(clippy::unwrap_used)] // functions beside the tests

use fax_base::page::Coding;
use fax_image::{Bitmap, Decoder, Limits, tiff};
use fax_t30::{Capabilities, Role};
use fax_terminal::{CodedPage, Config, Document, Terminal};
use std::path::Path;
use std::sync::Arc;
use testkit::pages;
use testkit::pair::{Plan, call};

fn charts() -> Option<Vec<(Bitmap, Arc<CodedPage>)>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let data = std::env::var_os("FERROFAX_DATA").map_or_else(|| root.join("../shared/data"), Into::into);
    (1..=8)
        .map(|n| {
            let file = std::fs::read(data.join(format!("itu-t-charts/itu{n}.tif"))).ok()?;
            let document = tiff::read(&file, &tiff::Limits::default()).unwrap();
            let page = document.pages.first().unwrap();
            let bitmap = page.image.to_bitmap();
            let coded = pages::coded(&bitmap, page.resolution().unwrap(), page.fax_width().unwrap());
            Some((bitmap, Arc::new(coded)))
        })
        .collect()
}

#[test]
fn eight_charts() {
    let Some(charts) = charts() else {
        println!("skipped: no charts");
        return;
    };
    for (ecm, coding, most) in [
        (true, Coding::T85, 165.0),
        (true, Coding::Mmr, 205.0),
        (true, Coding::Mr, 260.0),
        (false, Coding::Mr, 240.0),
        (false, Coding::Mh, 340.0),
    ] {
        let terminal = |role, pages| {
            Terminal::new(Config {
                role,
                ident: "1".into(),
                capabilities: Capabilities {
                    ecm,
                    codings: vec![Coding::Mh, coding],
                    ..Capabilities::default()
                },
                documents: vec![Document::new(pages)],
                ..Config::default()
            })
        };
        let sent = charts.iter().map(|(_, coded)| coded.clone()).collect();
        let calling = terminal(Role::Calling, sent);
        let called = terminal(Role::Called, vec![]);
        let started = std::time::Instant::now();
        let (calling, called) = call(calling, called, &Plan::default());
        let cpu = started.elapsed();
        assert_eq!(calling.cause(), None);
        assert_eq!(called.pages.len(), 8);
        for (page, (bitmap, _)) in called.pages.iter().zip(&charts) {
            let mut d = Decoder::new(Coding::Mmr, page.format.pels(), Limits::default());
            d.push(&page.t6);
            assert!(d.finish().bitmap == *bitmap);
        }
        let (at, _) = calling.outcome.unwrap();
        let seconds = at.as_millis() as f64 / 1000.0;
        println!("ECM {ecm} {coding}: {seconds:.1} s on the line, {cpu:?} of CPU at both ends");
        assert!(seconds < most, "{seconds}");
    }
}
