//! Pages over T.38: several of them, of every resolution, width and coding, and made to fit.

#![allow(clippy::unwrap_used, clippy::panic)] // functions beside the tests

use super::t38_calls::{assert_identical, coded, ladder, ms, non_ecm, pels, rough, send, small, terminal};
use core::time::Duration;
use fax_base::page::{Coding, Resolution, Width};
use fax_image::Bitmap;
use fax_t30::{Capabilities, Cause, Event, Role};
use fax_terminal::{Config, Terminal};
use std::sync::Arc;
use testkit::pages;
use testkit::pair::{Plan, call};

#[test]
fn many_pages() {
    let bitmaps = small(5, 150);
    for capabilities in [Capabilities::default(), non_ecm()] {
        let there = rough(0.02, 1.5, 3);
        let plan = Plan { there, back: there, seed: 3, ..Plan::default() };
        let (calling, called) = send(&bitmaps, &capabilities, &plan);
        assert_identical("five pages", &bitmaps, &calling, &called);
    }
}

/// Pages of different shapes: EOM between them, and phase B again.
#[test]
fn a_change_of_format_on_the_way() {
    let shapes = [
        (Resolution::Fine, Width::A4),
        (Resolution::Standard, Width::A4),
        (Resolution::Superfine, Width::B4),
        (Resolution::Superfine, Width::B4),
        (Resolution::Fine, Width::A3),
    ];
    let bitmaps: Vec<Bitmap> =
        shapes.iter().enumerate().map(|(i, (r, w))| pages::text(w.pels(*r), 100, i as u64 + 40)).collect();
    for capabilities in [Capabilities::default(), non_ecm()] {
        let coded =
            shapes.iter().zip(&bitmaps).map(|((r, w), b)| Arc::new(pages::coded(b, *r, *w))).collect();
        let calling = terminal(Role::Calling, &capabilities, coded);
        let called = terminal(Role::Called, &Capabilities::default(), vec![]);
        let (calling, called) = call(calling, called, &Plan::default());
        assert_identical("formats", &bitmaps, &calling, &called);
        for (page, (r, w)) in called.pages.iter().zip(shapes) {
            assert_eq!((page.format.resolution, page.format.width), (r, w));
        }
    }
}

/// Each resolution at each width, sent as it is, by every coding.
#[test]
fn every_resolution_and_width() {
    let all = Capabilities { resolutions: Resolution::ALL.to_vec(), ..Capabilities::default() };
    for resolution in Resolution::ALL {
        let bitmaps: Vec<Bitmap> =
            (1..).zip(Width::ALL).map(|(i, w)| pages::text(w.pels(resolution), 60, i)).collect();
        let coded: Vec<_> = Width::ALL
            .into_iter()
            .zip(&bitmaps)
            .map(|(w, b)| Arc::new(pages::coded(b, resolution, w)))
            .collect();
        for (ecm, coding) in
            [(true, Coding::Mmr), (true, Coding::T85), (false, Coding::Mr), (false, Coding::Mh)]
        {
            let one = Capabilities { ecm, codings: vec![coding], ..all.clone() };
            let calling = terminal(Role::Calling, &one, coded.clone());
            let called = terminal(Role::Called, &all, vec![]);
            let (calling, called) = call(calling, called, &Plan::default());
            let what = format!("{resolution} {coding}");
            assert_identical(&what, &bitmaps, &calling, &called);
            for (page, width) in called.pages.iter().zip(Width::ALL) {
                assert_eq!((page.format.resolution, page.format.width), (resolution, width), "{what}");
                assert_eq!(page.format.coding, coding, "{what}");
            }
        }
    }
}

/// A call that is cut off claims no page that did not get through.
#[test]
fn the_pages_are_told_as_they_are() {
    let bitmaps = small(2, 400);
    let (calling, called) =
        send(&bitmaps, &Capabilities::default(), &Plan { limit: Duration::from_secs(30), ..Plan::default() });
    // Cut by the limit: at most one page is through, and nothing claims more.
    assert!(called.pages.len() <= 1);
    let confirmed = calling.events.iter().filter(|(_, e)| matches!(e, Event::PageConfirmed { .. })).count();
    assert!(confirmed <= called.pages.len());
}

/// The called end takes less than the page is: it is made to fit.
#[test]
fn a_page_is_made_to_fit() {
    let page = pages::text(Width::A3.pels(Resolution::Superfine), 200, 9);
    let coded = pages::coded(&page, Resolution::Superfine, Width::A3);
    let poor = Capabilities {
        resolutions: vec![Resolution::Standard],
        max_width: Width::A4,
        codings: vec![Coding::Mh],
        ecm: false,
        min_row_time: ms(20),
        ..Capabilities::default()
    };
    let calling = terminal(Role::Calling, &Capabilities::default(), vec![Arc::new(coded)]);
    let called = terminal(Role::Called, &poor, vec![]);
    let (calling, called) = call(calling, called, &Plan::default());
    assert_eq!(calling.cause(), None, "{}", ladder(&calling));
    assert_eq!(called.pages.len(), 1);
    let got = &called.pages[0];
    assert_eq!(
        (got.format.resolution, got.format.width, got.format.coding),
        (Resolution::Standard, Width::A4, Coding::Mh)
    );
    assert_eq!(got.bad_rows, 0);
    // A quarter of the lines, and narrower by 1728 to 2432.
    assert!((33..=52).contains(&got.rows), "{}", got.rows);
    let black = pels(got).black_pels();
    assert!(black > 0);
}

/// The sender is told that a page is there when it is on disk, and not before.
#[test]
fn a_page_that_cannot_be_kept_is_not_confirmed() {
    let bitmaps = small(3, 150);
    for (capabilities, room) in
        [(Capabilities::default(), 3), (Capabilities::default(), 1), (non_ecm(), 1), (non_ecm(), 0)]
    {
        let calling = terminal(Role::Calling, &capabilities, coded(&bitmaps));
        let config = Config { role: Role::Called, keeps_pages: true, ..Config::default() };
        let plan = Plan { room, ..Plan::default() };
        let (calling, called) = call(calling, Terminal::new(config), &plan);
        let (_, sent) = calling.outcome.as_ref().unwrap();
        let confirmed: Vec<bool> = called.pages.iter().map(|page| page.confirmed).collect();
        let want = [true, true, true, false];
        if room == 3 {
            assert_eq!((calling.cause(), called.cause()), (None, None));
            assert_eq!(confirmed, want[..3]);
        } else {
            assert_eq!(called.cause(), Some(Cause::NotKept), "{}", ladder(&called));
            assert!(calling.cause().is_some());
            // What came is there all the same.
            assert_eq!(confirmed, want[3 - room..]);
        }
        assert_eq!(sent.pages_confirmed, room, "{}", ladder(&calling));
    }
}
