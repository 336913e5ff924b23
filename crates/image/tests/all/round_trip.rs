//! What is encoded is decoded to the same pels, however it is cut into pieces (T.4 §4, T.6 §2).

use fax_base::page::Coding;
use fax_image::{Bitmap, Decoder, EncodeOptions, Limits, decode, encode, recode};
use proptest::prelude::*;

const CODINGS: [Coding; 3] = [Coding::Mh, Coding::Mr, Coding::Mmr];

/// Rows of runs: each row either fresh or the one before with some edges moved, so that all modes
/// occur.
fn bitmap() -> impl Strategy<Value = Bitmap> {
    let width = prop_oneof![1u32..200, Just(1728), Just(2432), Just(2623), Just(10368), 2000u32..16_000];
    let row = (any::<bool>(), prop::collection::vec((0u32..40, -4i32..5), 0..40), 0u32..4);
    (width, prop::collection::vec(row, 0..24)).prop_map(|(width, rows)| {
        let mut map = Bitmap::new(width);
        let mut edges: Vec<u32> = Vec::new();
        for (fresh, runs, scale) in rows {
            if fresh || edges.is_empty() {
                let mut x = 0;
                edges = runs
                    .iter()
                    .map(|(n, _)| {
                        x += n << (scale * 3);
                        x
                    })
                    .collect();
            } else {
                for (e, (_, shift)) in edges.iter_mut().zip(&runs) {
                    *e = e.saturating_add_signed(*shift);
                }
            }
            let mut packed = vec![0u8; (width as usize).div_ceil(8)];
            for &e in edges.iter().filter(|e| **e < width) {
                for x in e..width {
                    packed[x as usize / 8] ^= 0x80 >> (x % 8);
                }
            }
            map.push_row(&packed);
        }
        map
    })
}

proptest! {
    #[test]
    fn pels_survive(map in bitmap(), k in 0u32..6, min in prop_oneof![Just(0u32), 0u32..800],
                    cuts in prop::collection::vec(1usize..50, 1..20)) {
        for coding in CODINGS {
            let options = EncodeOptions { k, min_row_bits: min, flush_octets: 9, ..EncodeOptions::default() };
            let octets = encode(&map, coding, &options);
            let whole = decode(&octets, coding, map.width(), Limits::default());
            prop_assert_eq!(&whole.bitmap, &map, "{}", coding);
            prop_assert!(whole.ended && !whole.truncated && whole.bad_rows == 0);
            prop_assert_eq!(whole.is_good(), map.rows() > 0);

            let mut d = Decoder::new(coding, map.width(), Limits::default());
            let (mut at, mut cut) = (0, cuts.iter().cycle());
            while at < octets.len() {
                let n = (*cut.next().unwrap()).min(octets.len() - at);
                d.push(&octets[at..at + n]);
                at += n;
            }
            prop_assert!(d.is_ended());
            prop_assert_eq!(&d.finish(), &whole);

            let bare = encode(&map, coding, &EncodeOptions { end_of_page: false, ..options });
            let bare = decode(&bare, coding, map.width(), Limits::default());
            prop_assert_eq!(&bare.bitmap, &map, "{} without end", coding);
            prop_assert!(!bare.truncated);

            let t6 = encode(&map, Coding::Mmr, &EncodeOptions { end_of_page: k % 2 == 0, ..EncodeOptions::default() });
            let again = recode(&t6, map.width(), coding, &options, Limits::default());
            prop_assert_eq!(again.octets, octets);
            prop_assert_eq!((again.rows, again.truncated), (map.rows(), false));
        }
    }

    #[test]
    fn anything_is_decoded_the_same_in_any_pieces(
        octets in prop::collection::vec(prop_oneof![Just(0u8), Just(1), Just(0x10), any::<u8>()], 0..400),
        coding in prop::sample::select(&CODINGS[..]), width in 0u32..3000, lost in prop::option::of((0usize..400, 1usize..1000)),
        cuts in prop::collection::vec(1usize..9, 1..20), max_rows in 0u32..40,
    ) {
        let lost = lost.filter(|(at, _)| *at < octets.len());
        let parts = |cuts: &[usize]| {
            let mut d = Decoder::new(coding, width, Limits { max_rows });
            let (mut at, mut cut) = (0, cuts.iter().cycle());
            while at < octets.len() {
                if let Some((hole, n)) = lost && hole == at {
                    d.lost(n);
                }
                let mut n = (*cut.next().unwrap()).min(octets.len() - at);
                if let Some((hole, _)) = lost && hole > at {
                    n = n.min(hole - at);
                }
                d.push(&octets[at..at + n]);
                at += n;
            }
            d.finish()
        };
        let whole = parts(&[1000]);
        prop_assert_eq!(&whole, &parts(&cuts));
        prop_assert_eq!(&whole, &parts(&[1]));
        prop_assert!(whole.rows <= max_rows && whole.bad_rows <= whole.rows && whole.longest_bad_run <= whole.bad_rows);
        prop_assert_eq!(whole.rows, whole.bitmap.rows());
    }
}
