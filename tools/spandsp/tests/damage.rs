//! Pages of MH and MR that were damaged on the way: never more rows wrong than with spandsp, whose decoder gets the
//! same octets (T.4 §4; what a receiver makes of damage is its own affair).

#![allow(clippy::unwrap_used)] // This is all tests.

use fax_base::page::Coding;
use fax_image::{Bitmap, EncodeOptions, Limits, decode, encode};
use spandsp_peer::codec as spandsp;
use spandsp_peer::pages::{Xorshift, generated};

/// Rows that are not as they were sent, those missing or too many included. A row that was moved counts once: each
/// row is compared with the one at its place and with those up to two places off.
fn wrong(sent: &Bitmap, got: &[u8]) -> usize {
    let stride = sent.stride();
    let rows = got.len() / stride;
    let at = |i: i64| usize::try_from(i).ok().and_then(|i| got.get(i * stride..(i + 1) * stride));
    let same = (0..i64::from(sent.rows()))
        .filter(|&y| (-2..=2).any(|off| at(y + off) == Some(sent.row(u32::try_from(y).unwrap()))))
        .count();
    sent.rows() as usize - same + rows.abs_diff(sent.rows() as usize)
}

#[test]
fn damage_costs_no_more_rows_than_with_spandsp() {
    let page = generated(3, 800);
    let map = Bitmap::from_rows(page.width, &page.pels);
    for (coding, theirs) in [(Coding::Mh, spandsp::Coding::Mh), (Coding::Mr, spandsp::Coding::Mr(4))] {
        for per_page in [1, 5, 20, 60] {
            let (mut ours, mut spandsps) = (0, 0);
            for seed in 0..40 {
                let mut random = Xorshift::new(seed * 7 + 1);
                let mut octets =
                    encode(&map, coding, &EncodeOptions { min_row_bits: 48, ..EncodeOptions::default() });
                let last = octets.len() - 300;
                for _ in 0..per_page {
                    // A burst of up to three octets, as noise on a line makes.
                    let at = 20 + random.below(last);
                    for octet in octets.iter_mut().skip(at).take(1 + random.below(3)) {
                        *octet ^= u8::try_from(1 + random.below(255)).unwrap();
                    }
                }
                let decoded = decode(&octets, coding, page.width, Limits::default());
                ours += wrong(&map, decoded.bitmap.data());
                let reversed: Vec<u8> = octets.iter().map(|o| o.reverse_bits()).collect();
                spandsps += wrong(&map, &spandsp::decode(&reversed, page.width, theirs));
            }
            println!("{coding}, {per_page} bursts a page: {ours} rows wrong of 32000, spandsp {spandsps}");
            assert!(ours <= spandsps, "{coding}, {per_page} bursts: {ours} rows wrong, spandsp {spandsps}");
        }
    }
}
