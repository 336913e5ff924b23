//! T.85 as the clauses have it: samples, every legal form of markers, headers that lie, and damage (T.82 §6,
//! T.85 Table 2).

#![allow(clippy::unwrap_used)] // This is all tests.

use core::time::Duration;
use fax_base::page::{Coding, PageFormat, Resolution, Width};
use fax_image::t85::{self, Parameters, Template};
use fax_image::{Bitmap, Decoded, Decoder, EncodeOptions, Limits, decode, encode, recode};
use proptest::prelude::*;

fn ours(octets: &[u8], width: u32) -> Decoded {
    decode(octets, Coding::T85, width, Limits::default())
}

fn plain(map: &Bitmap) -> Vec<u8> {
    t85::encode(map, &Parameters::default())
}

/// Vertical bars, four pels each.
fn bars(width: u32, rows: u32) -> Bitmap {
    let mut map = Bitmap::blank(width, rows);
    (0..rows).for_each(|y| (0..width).for_each(|x| map.set(x, y, x >> 2 & 1 == 1)));
    map
}

/// Something in every row.
fn dots(width: u32, rows: u32) -> Bitmap {
    let mut map = Bitmap::blank(width, rows);
    (0..rows).for_each(|y| (0..width).for_each(|x| map.set(x, y, (x * 7 + y * y * 3) % 11 < 4)));
    map
}

fn header(width: u32, rows: u32, stripe_rows: u32, options: u8) -> Vec<u8> {
    let mut octets = vec![0, 0, 1, 0];
    for n in [width, rows, stripe_rows] {
        octets.extend(n.to_be_bytes());
    }
    octets.extend([0, 0, 0, options]);
    octets
}

/// The stripes of a page without header, each without its end.
fn stripes(map: &Bitmap, parameters: &Parameters) -> Vec<Vec<u8>> {
    let octets = t85::encode(map, parameters);
    let mut list = vec![Vec::new()];
    let mut rest = octets[20..].iter();
    while let Some(&octet) = rest.next() {
        let last = list.last_mut().unwrap();
        last.push(octet);
        if octet == 0xFF {
            match rest.next().unwrap() {
                0 => last.push(0),
                _ => {
                    last.pop();
                    list.push(Vec::new());
                }
            }
        }
    }
    list.pop();
    list
}

#[test]
fn samples() {
    let white = [header(16, 4, 128, 8), vec![0xFF, 0x02]].concat();
    assert_eq!(plain(&Bitmap::blank(16, 4)), white);
    let coded = [header(16, 4, 128, 8), vec![0xBC, 0x8A, 0x60, 0xFF, 0x02]].concat();
    assert_eq!(plain(&bars(16, 4)), coded);
    let all = Parameters { typical: false, ..Parameters::default() };
    let coded = [header(16, 4, 128, 0), vec![0x7D, 0x59, 0x84, 0x6D, 0x1B, 0x80, 0xFF, 0x02]].concat();
    assert_eq!(t85::encode(&bars(16, 4), &all), coded);
    let page = plain(&Bitmap::blank(1728, 2287));
    assert_eq!(page.len(), 20 + 18 * 2);
    assert!(ours(&page, 1728).is_good());
    // There is no picture without lines.
    assert_eq!(plain(&Bitmap::new(16)), [header(16, 1, 128, 8), vec![0xFF, 0x02]].concat());
}

#[test]
fn what_follows_the_last_stripe_is_ignored() {
    let map = dots(300, 256);
    for after in [vec![0; 255], vec![0xFF; 9], vec![0xFF, 0x04], vec![0xFF], (0..=255).collect()] {
        let back = ours(&[plain(&map), after].concat(), 300);
        assert!(back.is_good() && back.ended && back.bitmap == map);
    }
}

#[test]
fn comments_may_stand_before_every_stripe() {
    let map = dots(100, 300);
    let mut octets = header(100, 300, 128, 8);
    for (i, stripe) in stripes(&map, &Parameters::default()).iter().enumerate() {
        for text in [&b""[..], b"abc", &[0xFF, 0x02, 0xFF], &vec![0; i * 5000]] {
            octets.extend([0xFF, 0x07]);
            octets.extend(u32::try_from(text.len()).unwrap().to_be_bytes());
            octets.extend(text);
        }
        octets.extend(stripe);
        octets.extend([0xFF, 0x02]);
    }
    let back = ours(&octets, 100);
    assert!(back.is_good() && back.ended && back.bitmap == map);
}

#[test]
fn sdrst_begins_anew() {
    // Each stripe as a page of its own is what it is after SDRST.
    let map = dots(333, 256);
    let mut octets = header(333, 256, 128, 8);
    for first in [0, 128] {
        let mut part = Bitmap::new(333);
        (first..first + 128).for_each(|y| part.push_row(map.row(y)));
        octets.extend(&stripes(&part, &Parameters::default())[0]);
        octets.extend([0xFF, 0x03]);
    }
    let back = ours(&octets, 333);
    assert!(back.is_good() && back.ended && back.bitmap == map);
}

#[test]
fn newlen_in_all_its_places() {
    let map = dots(200, 300);
    let parts = stripes(&map, &Parameters::default());
    let newlen = |n: u32| [vec![0xFF, 0x05], n.to_be_bytes().to_vec()].concat();
    let end = vec![0xFF, 0x02];
    let comment = vec![0xFF, 0x07, 0, 0, 0, 1, b'x'];
    let begin = |rows: u32| {
        let first = [header(200, rows, 128, 0x28), parts[0].clone(), end.clone()].concat();
        [first, parts[1].clone(), end.clone()].concat()
    };
    let last = [parts[2].clone(), end.clone()].concat();
    let mut forms = Vec::new();
    for rows in [301, 384, 1000, u32::MAX] {
        forms.push([begin(rows), newlen(300), last.clone()].concat());
        forms.push([begin(rows), last.clone(), newlen(300)].concat());
        forms.push([begin(rows), last.clone(), newlen(300), end.clone()].concat());
        forms.push([begin(rows), last.clone(), comment.clone(), newlen(300), end.clone()].concat());
        forms.push([begin(rows), newlen(rows - 1), last.clone(), newlen(300), vec![0; 99]].concat());
    }
    for octets in forms {
        let back = ours(&octets, 200);
        assert!(back.is_good() && back.ended && back.bitmap == map, "{back:?}");
    }
    // A multiple of L0, told with an empty stripe of its own.
    let octets = [begin(4000), end.clone(), newlen(256), end.clone()].concat();
    let back = ours(&octets, 200);
    assert!(back.is_good() && back.rows == 256);
    // It cannot take back rows of stripes before, nor add any.
    assert!(ours(&[begin(1000), newlen(100)].concat(), 200).truncated);
    let more = ours(&[begin(256), newlen(300)].concat(), 200);
    assert!(more.is_good() && more.rows == 256);
    // It never comes.
    assert!(ours(&[begin(1000), last].concat(), 200).truncated);
}

#[test]
fn a_page_that_is_cut_off_keeps_its_rows() {
    let map = dots(1000, 500);
    let octets = plain(&map);
    for cut in [0, 10, 20, 21, 500, octets.len() / 2, octets.len() - 40] {
        let back = ours(&octets[..cut], 1000);
        assert!(!back.is_good() && !back.ended, "{cut}: {back:?}");
        let mut same = map.clone();
        same.truncate(back.rows);
        assert!(back.bitmap == same, "{cut}: {} rows", back.rows);
    }
    assert!(ours(&octets[..octets.len() / 2], 1000).rows > 100);
    // Only the mark at the very end is missing.
    let back = ours(&octets[..octets.len() - 2], 1000);
    assert!(back.rows >= 498 && !back.ended);
    let mut lost = Decoder::new(Coding::T85, 1000, Limits::default());
    lost.push(&octets[..octets.len() / 2]);
    lost.lost(100);
    lost.push(&octets[octets.len() / 2 + 100..]);
    let lost = lost.finish();
    assert!(lost.truncated && lost.rows > 100);
}

#[test]
fn markers_that_make_no_sense_end_the_page() {
    let map = dots(200, 300);
    let parts = stripes(&map, &Parameters::default());
    for marker in [
        vec![0xFF, 0x04],
        vec![0xFF, 0x01],
        vec![0xFF, 0x08],
        vec![0xFF, 0xFF],
        // Up, far away, at a line that is done, twice.
        vec![0xFF, 0x06, 0, 0, 0, 0, 5, 1],
        vec![0xFF, 0x06, 0, 0, 0, 0, 128, 0],
        vec![0xFF, 0x06, 0, 0, 0, 9, 5, 0, 0xFF, 0x06, 0, 0, 0, 10, 5, 0],
    ] {
        let octets = [header(200, 300, 128, 8), parts[0].clone(), vec![0xFF, 0x02], marker.clone()].concat();
        let back = ours(&[octets, parts[1].clone(), vec![0xFF, 0x02]].concat(), 200);
        assert!(back.truncated && !back.ended && back.rows == 128, "{marker:02x?}");
    }
}

#[test]
fn headers_that_lie() {
    let map = bars(200, 40);
    let octets = plain(&map);
    // Narrower than the page: white beside it. Wider: cut, and black pels that go with it are told.
    let back = ours(&octets, 300);
    assert!(back.is_good() && back.bitmap.width() == 300);
    assert!((0..300).all(|x| back.bitmap.get(x, 39) == (x < 200 && map.get(x, 39))));
    for (width, bad) in [(196, 40), (190, 40), (180, 40)] {
        let back = ours(&octets, width);
        assert_eq!((back.rows, back.bad_rows, back.longest_bad_run), (40, bad, bad), "{width}");
        assert!((0..width).all(|x| back.bitmap.get(x, 7) == map.get(x, 7)));
    }
    let mut margin = Bitmap::blank(210, 9);
    margin.set(199, 3, true);
    assert!(ours(&plain(&margin), 200).is_good());
    margin.set(200, 5, true);
    assert_eq!(ours(&plain(&margin), 200).bad_rows, 1);
    // Nothing but white pels, so that nothing has to be read: still not more than is allowed.
    for (width, rows) in [(u32::MAX, 4), (226, 4), (0, 4), (200, 0)] {
        let back = ours(&[header(width, rows, 128, 8), vec![0xFF, 0x02]].concat(), 200);
        assert!(back.truncated && back.rows == 0, "{width} × {rows}");
    }
    let limits = Limits { max_rows: 70_000 };
    for stripe_rows in [128, 1, u32::MAX] {
        let mut endless = header(200, u32::MAX, stripe_rows, 8);
        endless.extend([0xFF, 0x02].repeat(70_001));
        let back = decode(&endless, Coding::T85, 200, limits);
        assert!(back.truncated && back.rows == 70_000, "{stripe_rows}: {back:?}");
    }
    // Layers, planes, no stripes.
    for (at, value) in [(0, 1), (1, 1), (2, 2), (15, 0)] {
        let mut wrong = octets.clone();
        wrong[at] = value;
        let back = ours(&wrong, 200);
        assert!(back.truncated && back.rows == 0, "octet {at}");
    }
    // What means nothing to one layer and one plane: the order, prediction from layers below, its table.
    let mut odd = octets.clone();
    odd[18] = 0x0F;
    odd[19] |= 0x14;
    assert!(ours(&odd, 200).bitmap == map);
    odd[19] |= 0x02;
    odd.splice(20..20, vec![0xAA; 1728]);
    assert!(ours(&odd, 200).bitmap == map);
}

/// Twenty octets and a mark are a page of any length.
#[test]
fn a_page_from_the_line_is_at_most_two_metres_long() {
    let format = PageFormat {
        coding: Coding::T85,
        resolution: Resolution::Fine,
        width: Width::A4,
        ecm: true,
        min_row_time: Duration::ZERO,
    };
    let octets = [header(1728, 60_000, 60_000, 0), vec![0xFF, 0x02]].concat();
    let back = decode(&octets, Coding::T85, format.pels(), Limits::of(&format));
    assert!(back.truncated && back.rows <= 200 * 80, "{} rows", back.rows);
    assert_eq!(Limits::of(&PageFormat { coding: Coding::Mmr, ..format }), Limits::default());
}

/// SDRST: the first row of the next stripe is like white paper above it, not like the last row before.
#[test]
fn a_stripe_that_begins_anew_begins_below_white_paper() {
    let mut black = Bitmap::blank(200, 128);
    (0..128).for_each(|y| (0..200).for_each(|x| black.set(x, y, true)));
    let data = |map: &Bitmap| stripes(map, &Parameters::default()).concat();
    let white = data(&Bitmap::blank(200, 128));
    for (mark, follows) in [(0x03, false), (0x02, true)] {
        // Behind SDNORM the same octets say that the rows are like the black one.
        let header = header(200, 256, 128, 8);
        let octets = [header, data(&black), vec![0xFF, mark], white.clone(), vec![0xFF, 0x02]].concat();
        let back = ours(&octets, 200);
        assert!(back.is_good());
        assert!((0..256).all(|y| back.bitmap.get(7, y) == (y < 128 || follows)), "{mark}");
    }
}

fn bitmap() -> impl Strategy<Value = Bitmap> {
    let width = prop_oneof![1u32..200, Just(1728), Just(2432), 2000u32..9_000];
    (width, prop::collection::vec((0u32..5, any::<u32>()), 1..24)).prop_map(|(width, rows)| {
        let mut map = Bitmap::new(width);
        for (kind, seed) in rows {
            let mut row = vec![0u8; width.div_ceil(8) as usize];
            let above = map.row(map.rows().wrapping_sub(1)).to_vec();
            let mut x = seed;
            for (i, octet) in row.iter_mut().enumerate() {
                x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let up = above.get(i).copied().unwrap_or(0);
                *octet = match kind {
                    0 => 0,
                    1 => up,
                    2 => (x >> 24) as u8,
                    3 => up ^ if x >> 29 == 0 { 1 << (x >> 20 & 7) } else { 0 },
                    _ => {
                        if x >> 31 == 0 {
                            0xFF
                        } else {
                            0
                        }
                    }
                };
            }
            map.push_row(&row);
        }
        map
    })
}

fn parameters() -> impl Strategy<Value = Parameters> {
    (any::<bool>(), any::<bool>(), prop_oneof![Just(128u32), 1u32..40], prop::option::of(0u32..2000))
        .prop_map(|(two, typical, stripe_rows, announced_rows)| Parameters {
            template: if two { Template::TwoLine } else { Template::ThreeLine },
            typical,
            stripe_rows,
            announced_rows,
        })
}

proptest! {
    #[test]
    fn pels_survive(map in bitmap(), parameters in parameters(), cuts in prop::collection::vec(1usize..60, 1..20)) {
        let octets = t85::encode(&map, &parameters);
        let whole = ours(&octets, map.width());
        prop_assert!(whole.is_good() && whole.ended);
        prop_assert_eq!(&whole.bitmap, &map);
        let mut d = Decoder::new(Coding::T85, map.width(), Limits::default());
        let (mut at, mut cut) = (0, cuts.iter().cycle());
        while at < octets.len() {
            let n = (*cut.next().unwrap()).min(octets.len() - at);
            d.push(&octets[at..at + n]);
            at += n;
        }
        prop_assert!(d.is_ended() || parameters.announced_rows.is_some());
        prop_assert_eq!(&d.finish(), &whole);

        let options = EncodeOptions::default();
        let t6 = encode(&map, Coding::Mmr, &options);
        let again = recode(&t6, map.width(), Coding::T85, &options, Limits::default());
        prop_assert_eq!(again.octets, encode(&map, Coding::T85, &options));
    }

    #[test]
    fn damage_is_survived_and_the_same_in_any_pieces(
        map in bitmap(), parameters in parameters(), max_rows in 0u32..2000, width in prop::option::of(1u32..4000),
        hits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        piece in 1usize..40, anything in prop::collection::vec(prop_oneof![Just(0xFFu8), 0u8..9, any::<u8>()], 0..200),
    ) {
        let mut octets = t85::encode(&map, &parameters);
        octets.extend(anything);
        for (at, value) in hits {
            let at = at.index(octets.len());
            octets[at] = value;
        }
        let width = width.unwrap_or(map.width());
        let limits = Limits { max_rows };
        let whole = decode(&octets, Coding::T85, width, limits);
        prop_assert!(whole.rows <= max_rows && whole.bitmap.rows() == whole.rows && whole.bad_rows <= whole.rows);
        let mut d = Decoder::new(Coding::T85, width, limits);
        octets.chunks(piece).for_each(|part| d.push(part));
        prop_assert_eq!(d.finish(), whole);
    }

    #[test]
    fn anything_behind_a_header_is_survived(
        octets in prop::collection::vec(prop_oneof![Just(0xFFu8), 0u8..9, any::<u8>()], 0..600),
        options in any::<u8>(), rows in prop_oneof![1u32..300, any::<u32>()], stripe in prop_oneof![1u32..200, any::<u32>()],
        piece in 1usize..40,
    ) {
        let octets = [header(1000, rows, stripe, options), octets].concat();
        let limits = Limits { max_rows: 3000 };
        let whole = decode(&octets, Coding::T85, 1000, limits);
        prop_assert!(whole.rows <= 3000);
        let mut d = Decoder::new(Coding::T85, 1000, limits);
        octets.chunks(piece).for_each(|part| d.push(part));
        prop_assert_eq!(d.finish(), whole);
    }
}
