//! Our terminal against spandsp's T.38 terminal: modems, sizes, resolutions, row times, long and short
//! documents (T.30 Table 2).

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use crate::spandsp;

use fax_base::line::Modulation;
use fax_t30 as t30;
use spandsp::t38::{CLEAN, Path, call, receive, send};
use spandsp::{Desk, Document, ECM_MH, ECM_MMR, MH, MR, assert_received, assert_sent, ours, three};
use spandsp_peer::tiff::Page;
use spandsp_peer::{Options, Recommendation, pages};

fn one_page(name: &str, page: Page) -> Document {
    Document { name: name.to_owned(), pages: vec![page] }
}

fn text(rows: u32) -> Page {
    pages::generated(11, rows)
}

/// A page like the generated ones, of another width.
fn wide(width: u32, x_per_inch: f32, y_per_inch: f32) -> Page {
    let narrow = text(900);
    let octets = (width / 8) as usize;
    let pels = (0..narrow.rows)
        .flat_map(|row| narrow.row(row).iter().copied().cycle().take(octets).collect::<Vec<u8>>())
        .collect();
    Page { width, rows: narrow.rows, x_per_inch, y_per_inch, pels }
}

#[test]
fn peers_with_older_modems() {
    use Recommendation::{V27ter, V29};
    let document = one_page("text", text(700));
    for (modems, best) in [(vec![V27ter], Modulation::V27ter4800), (vec![V27ter, V29], Modulation::V29At9600)]
    {
        for way in [ECM_MMR, MR] {
            let what = format!("sending to {modems:?}");
            let desk = Desk::new(None, way.peer(Options { modems: modems.clone(), ..Options::default() }));
            let config = ours(Some(&document), t30::Capabilities::default());
            let (seen, report) = call(&what, config, &desk, CLEAN);
            assert_sent(&what, &document, &desk, &seen, &report);
            assert_eq!(report.bit_rate, best.bit_rate(), "{what}");
            assert_eq!(seen.outcome.unwrap().modulation, Some(best), "{what}");

            let what = format!("receiving from {modems:?}");
            let desk = Desk::new(Some(&document), Options { modems: modems.clone(), ..Options::default() });
            let (seen, report) = call(&what, ours(None, way.ours()), &desk, CLEAN);
            assert_received(&what, &document, &seen, &report);
            assert_eq!(seen.outcome.unwrap().modulation, Some(best), "{what}");
        }
    }
}

#[test]
fn our_own_limits_of_rate_are_kept() {
    use Modulation::{V17At9600, V27ter2400, V27ter4800, V29At7200, V29At9600};
    let document = one_page("text", text(300));
    for modulations in [
        vec![V27ter2400],
        vec![V27ter2400, V27ter4800],
        vec![V27ter2400, V27ter4800, V29At7200],
        vec![V27ter2400, V27ter4800, V29At7200, V29At9600, V17At9600],
    ] {
        let what = format!("sending with {modulations:?}");
        let capabilities = t30::Capabilities { modulations: modulations.clone(), ..Default::default() };
        let desk = Desk::new(None, Options::default());
        let (seen, report) = call(&what, ours(Some(&document), capabilities), &desk, CLEAN);
        assert_sent(&what, &document, &desk, &seen, &report);
        let used = seen.outcome.unwrap().modulation.unwrap();
        assert!(modulations.contains(&used), "{what}: {used}");
        let best = modulations.iter().map(|m| m.bit_rate()).max();
        assert_eq!(Some(used.bit_rate()), best, "{what}");
        assert_eq!(used.bit_rate(), report.bit_rate, "{what}");
    }
}

#[test]
fn every_width_and_resolution() {
    for (width, x, y) in [
        (1728, 204.0, 98.0),
        (1728, 204.0, 196.0),
        (1728, 204.0, 391.0),
        (2048, 204.0, 196.0),
        (2432, 204.0, 196.0),
        (2432, 204.0, 391.0),
        (2592, 300.0, 300.0),
        (3456, 408.0, 391.0),
    ] {
        let document = one_page(&format!("{width} pels at {x} × {y}"), wide(width, x, y));
        // Receivers announce R16 and 300 per inch only when told to.
        let capabilities =
            t30::Capabilities { resolutions: fax_base::page::Resolution::ALL.to_vec(), ..Default::default() };
        let what = format!("sending {}", document.name);
        let desk = Desk::new(None, Options::default());
        let (seen, report) = call(&what, ours(Some(&document), capabilities.clone()), &desk, CLEAN);
        assert_sent(&what, &document, &desk, &seen, &report);

        let what = format!("receiving {}", document.name);
        let desk = Desk::new(Some(&document), Options::default());
        let (seen, report) = call(&what, ours(None, capabilities), &desk, CLEAN);
        assert_received(&what, &document, &seen, &report);
    }
}

#[test]
fn pages_of_different_sizes_in_one_document() {
    let document = Document {
        name: "fine, standard, B4, fine".to_owned(),
        pages: vec![text(500), wide(1728, 204.0, 98.0), wide(2048, 204.0, 196.0), pages::generated(12, 600)],
    };
    for way in [ECM_MMR, MH] {
        send(&document, way, CLEAN);
        receive(&document, way, CLEAN);
    }
}

#[test]
fn one_row_no_ink_and_very_long() {
    let blank = Page { pels: vec![0; 216 * 1100], ..text(1100) };
    for document in
        [one_page("one row", text(1)), one_page("a blank page", blank), one_page("10 000 rows", text(10_000))]
    {
        for way in [ECM_MMR, ECM_MH, MH, MR] {
            send(&document, way, CLEAN);
            receive(&document, way, CLEAN);
        }
    }
}

#[test]
fn thirty_pages() {
    let document = Document {
        name: "30 pages".to_owned(),
        pages: (0..30).map(|seed| pages::generated(seed, 150)).collect(),
    };
    for way in [ECM_MMR, MR] {
        send(&document, way, CLEAN);
        receive(&document, way, CLEAN);
    }
}

#[test]
fn minimum_row_times() {
    let document = three();
    for min_row_time_ms in [5, 10, 20, 40] {
        for way in [MH, MR] {
            let what = format!("sending at {min_row_time_ms} ms a row {way:?}");
            let desk = Desk::new(None, way.peer(Options { min_row_time_ms, ..Options::default() }));
            let config = ours(Some(&document), t30::Capabilities::default());
            let (seen, report) = call(&what, config, &desk, CLEAN);
            assert_sent(&what, &document, &desk, &seen, &report);
            let agreed = seen.outcome.unwrap().format.unwrap().min_row_time;
            assert!(agreed.as_millis() > 0, "{what}: {agreed:?}");

            let what = format!("receiving at {min_row_time_ms} ms a row {way:?}");
            let desk = Desk::new(Some(&document), Options::default());
            let capabilities = t30::Capabilities {
                min_row_time: core::time::Duration::from_millis(min_row_time_ms.into()),
                ..way.ours()
            };
            let (seen, report) = call(&what, ours(None, capabilities), &desk, CLEAN);
            assert_received(&what, &document, &seen, &report);
        }
    }
}

#[test]
fn fill_bits_removed_by_the_sender() {
    let document = three();
    for version in [0, 3] {
        let what = "receiving without fill bits";
        let desk = Desk::new(Some(&document), Options { fill_bit_removal: true, ..Options::default() });
        let capabilities =
            t30::Capabilities { min_row_time: core::time::Duration::from_millis(20), ..MH.ours() };
        let path = Path { version, ..CLEAN };
        let (seen, report) = call(what, ours(None, capabilities), &desk, path);
        assert_received(what, &document, &seen, &report);
    }
}
