//! Damaged and unusual page data: what T.4 §4 and T.6 §2 leave to the receiver. Streams are written as
//! bits by hand.

#![allow(clippy::unwrap_used)] // This is all tests.

use fax_base::page::Coding;
use fax_image::{Bitmap, Decoded, Decoder, EncodeOptions, Limits, decode, encode};

const EOL: &str = "000000000001";
/// 1728 white pels: make-up 1728 and 0.
const WHITE: &str = "010011011 00110101";
/// 864 white (832 + 32), 864 black (832 + 32).
const HALF: &str = "011010010 00011011 0000001001101 000001101010";
/// 100 black pels at the left: white 0, black 64 + 36, white 1628 (1600 + 28).
const LEFT: &str = "00110101 0000001111 000011010100 010011010 0011000";

fn octets(bits: &[&str]) -> Vec<u8> {
    let bits: Vec<u8> = bits.concat().bytes().filter(|b| *b != b' ').collect();
    bits.chunks(8).map(|c| c.iter().enumerate().fold(0, |o, (i, b)| o | (b - b'0') << (7 - i))).collect()
}

fn mh(bits: &[&str]) -> Decoded {
    decode(&octets(bits), Coding::Mh, 1728, Limits::default())
}

fn black(d: &Decoded) -> Vec<u32> {
    (0..d.rows).map(|y| d.bitmap.row(y).iter().map(|o| o.count_ones()).sum()).collect()
}

#[test]
fn a_plain_page() {
    let d = mh(&[EOL, WHITE, EOL, HALF, EOL, LEFT, EOL, EOL, EOL, EOL, EOL, EOL]);
    assert_eq!(black(&d), [0, 864, 100]);
    assert!(d.is_good() && d.ended);
    assert!(d.bitmap.get(864, 1) && !d.bitmap.get(863, 1) && d.bitmap.get(99, 2) && !d.bitmap.get(100, 2));
}

#[test]
fn rubbish_before_the_first_eol_is_ignored() {
    for junk in ["1111111111111111111", "00000000000000000000000", "0110101010110111", "0111111001111110"] {
        let d = mh(&[junk, EOL, HALF, EOL, WHITE, EOL, EOL, EOL, EOL, EOL, EOL]);
        assert_eq!(black(&d), [864, 0], "{junk}");
        assert!(d.is_good() && d.ended);
    }
    let d = mh(&["1010101010101010101010101"]);
    assert_eq!((d.rows, d.is_good(), d.ended), (0, false, false));
}

#[test]
fn a_missing_first_eol_costs_no_row() {
    let d = mh(&[HALF, EOL, LEFT, EOL, EOL, EOL, EOL, EOL, EOL]);
    assert_eq!(black(&d), [864, 100]);
    assert!(d.is_good());
}

#[test]
fn fill_may_stand_before_any_eol() {
    let fill = "0".repeat(1000);
    let d = mh(&[&fill, EOL, HALF, &fill, EOL, LEFT, "000", EOL, &fill, EOL, EOL, EOL, EOL, EOL, &fill]);
    assert_eq!(black(&d), [864, 100]);
    assert!(d.is_good() && d.ended);
}

#[test]
fn a_short_rtc_and_rubbish_behind_an_rtc_are_accepted() {
    for eols in 3..9 {
        let rtc = EOL.repeat(eols);
        let d = mh(&[EOL, HALF, &rtc, "1101010111", HALF, EOL, HALF, EOL]);
        assert_eq!((d.rows, d.bad_rows, d.ended), (1, 0, true), "{eols}");
    }
    // Two at the very end are taken for one, one is not.
    assert!(mh(&[EOL, HALF, EOL, EOL, "0000000"]).ended);
    let d = mh(&[EOL, HALF, EOL, "0000000"]);
    assert_eq!((d.rows, d.ended, d.is_good()), (1, false, true));
    // One pair of EOLs in the middle of a page is not the end and not a row.
    let d = mh(&[EOL, HALF, EOL, EOL, LEFT, EOL, WHITE, EOL, EOL, EOL]);
    assert_eq!((black(&d), d.ended), (vec![864, 100, 0], true));
    // Only an RTC: ended, but not a good page.
    let d = mh(&[EOL, EOL, EOL, EOL, EOL, EOL]);
    assert_eq!((d.rows, d.ended, d.is_good()), (0, true, false));
}

#[test]
fn bad_lines_are_replaced_by_the_good_one_before() {
    // A code that does not exist; a line too short; a line far too long.
    for bad in ["00110101 000000001 1111", "00110101 0000001111 0000110111", &format!("{WHITE} 010 {HALF}")] {
        let d = mh(&[EOL, LEFT, EOL, bad, EOL, HALF, EOL, EOL, EOL]);
        assert_eq!((black(&d)[0], *black(&d).last().unwrap()), (100, 864));
        assert!(d.bad_rows >= 1 && d.rows == d.bad_rows + 2 && d.longest_bad_run == d.bad_rows, "{bad}");
        assert!(!d.is_good());
    }
    let d =
        mh(&[EOL, "0000000011", EOL, LEFT, EOL, "0000000011", EOL, "0000000011", EOL, HALF, EOL, EOL, EOL]);
    assert_eq!(black(&d), [0, 100, 100, 100, 864]);
    assert_eq!((d.bad_rows, d.longest_bad_run), (3, 2));
}

#[test]
fn lines_a_little_too_long_are_cut() {
    // 1730 pels: 1728 + 2.
    let d = mh(&[
        EOL,
        "010011011 0111",
        EOL,
        "011010010 00011011 0000001001101 000001101010 0111",
        EOL,
        EOL,
        EOL,
    ]);
    assert_eq!((black(&d), d.is_good()), (vec![0, 864], true));
    // A sender whose every line has 1792 pels is understood from its second line on.
    let long = "011010010 00011011 0000001110010 000001101010";
    let d = mh(&[EOL, long, EOL, long, EOL, long, EOL, EOL, EOL]);
    assert_eq!((d.rows, d.bad_rows), (3, 1));
    assert_eq!(black(&d)[1..], [864, 864]);
}

#[test]
fn after_a_bad_line_mr_waits_for_a_one_dimensional_one() {
    let bits = |lines: &[&str]| octets(&[&lines.concat(), &[EOL, "1"].concat().repeat(6)]);
    let v0 = "111";
    let one = |l: &str| format!("{EOL}1{l}");
    let two = |l: &str| format!("{EOL}0{l}");
    // HALF has one changing element; V0 V0 repeats it.
    let good = bits(&[&one(HALF), &two("11"), &two("011 1"), &one(LEFT), &two(v0)]);
    let d = decode(&good, Coding::Mr, 1728, Limits::default());
    assert_eq!((black(&d), d.is_good(), d.ended), (vec![864, 864, 863, 100, 100], true, true));
    let damaged = bits(&[&one(HALF), &two("0000001"), &two("011 1"), &two("11"), &one(LEFT), &two(v0)]);
    let d = decode(&damaged, Coding::Mr, 1728, Limits::default());
    assert_eq!(black(&d), [864, 864, 864, 864, 100, 100]);
    assert_eq!((d.bad_rows, d.longest_bad_run, d.ended), (3, 3, true));
}

#[test]
fn a_long_line_behind_short_ones_counts_as_one_row_on_each_side_of_a_hole() {
    let mut map = Bitmap::new(1728);
    let (white, dense) = ([0; 216], [0x66; 216]);
    for i in 0..48 {
        map.push_row(if i < 32 { &white } else { &dense });
    }
    let whole = encode(&map, Coding::Mh, &EncodeOptions::default());
    // 33 EOLs of 12 bits and 32 white rows of 9 bits; then lines of 432 runs of two pels.
    let hole = (33 * 12 + 32 * 9) / 8 + 100;
    let mut d = Decoder::new(Coding::Mh, 1728, Limits::default());
    d.push(&whole[..hole]);
    d.lost(4);
    d.push(&whole[hole + 4..]);
    let d = d.finish();
    assert!(d.ended);
    assert_eq!(d.rows - d.bad_rows, 47);
    // The hole is as long as one and a half of the rows before it, and has a piece of a row on either side.
    assert!((1..=4).contains(&d.bad_rows), "{} bad", d.bad_rows);
}

#[test]
fn mmr_ends_at_the_first_error_and_says_so() {
    let mut map = Bitmap::new(1728);
    for i in 0..50u32 {
        map.push_row(&vec![(i * 5) as u8; 216]);
    }
    let whole = encode(&map, Coding::Mmr, &EncodeOptions::default());
    let cut = &whole[..whole.len() / 2];
    let d = decode(cut, Coding::Mmr, 1728, Limits::default());
    assert!(d.truncated && !d.ended && d.rows > 10 && d.rows < 50);
    for y in 0..d.rows {
        assert_eq!(d.bitmap.row(y), map.row(y));
    }
    let mut lost = Decoder::new(Coding::Mmr, 1728, Limits::default());
    lost.push(cut);
    lost.lost(10);
    lost.push(&whole[whole.len() / 2 + 10..]);
    let lost = lost.finish();
    assert_eq!((lost.rows, lost.truncated), (d.rows, true));
    // Without EOFB, with pad bits and zero octets, and with half of an EOFB it is whole.
    let bare = encode(&map, Coding::Mmr, &EncodeOptions { end_of_page: false, ..EncodeOptions::default() });
    for end in [&[][..], &[0, 0, 0, 0]] {
        let d = decode(&[&bare, end].concat(), Coding::Mmr, 1728, Limits::default());
        assert_eq!((d.rows, d.truncated, d.ended), (50, false, false));
    }
    let d = decode(&octets(&["1 1 1", EOL, "000"]), Coding::Mmr, 1728, Limits::default());
    assert_eq!((d.rows, d.truncated, d.ended), (3, false, true));
    let d = decode(&octets(&["1 1 1 0000001111", EOL]), Coding::Mmr, 1728, Limits::default());
    assert_eq!((d.rows, d.truncated, d.ended), (3, true, false));
}

#[test]
fn a_gap_costs_about_the_rows_that_were_in_it() {
    let map = Bitmap::from_rows(1728, &[0x0F; 216 * 200]);
    for coding in [Coding::Mh, Coding::Mr] {
        let page = encode(&map, coding, &EncodeOptions { k: 2, ..EncodeOptions::default() });
        let per_row = page.len() / 200;
        for hole in [10, 100, per_row * 10] {
            let mut d = Decoder::new(coding, 1728, Limits::default());
            let at = page.len() / 2;
            d.push(&page[..at]);
            d.lost(hole);
            d.push(&page[at + hole..]);
            let d = d.finish();
            assert!(d.rows.abs_diff(200) <= 2, "{coding} {hole}: {} rows", d.rows);
            assert!(d.bad_rows >= 1 && d.bad_rows as usize <= hole / per_row + 4, "{coding} {hole}");
            assert!(d.ended && d.bitmap == Bitmap::from_rows(1728, &vec![0x0F; 216 * d.rows as usize]));
        }
    }
}

#[test]
fn limits_hold() {
    for coding in [Coding::Mh, Coding::Mr, Coding::Mmr] {
        let page = encode(&Bitmap::blank(64, 500), coding, &EncodeOptions::default());
        let d = decode(&page, coding, 64, Limits { max_rows: 100 });
        assert_eq!((d.rows, d.truncated, d.ended), (100, true, false));
        let d = decode(&page, coding, 64, Limits { max_rows: 500 });
        assert_eq!((d.rows, d.truncated, d.ended), (500, false, true));
        // A gap as large as can be does not cost more rows than allowed.
        let mut d = Decoder::new(coding, 64, Limits { max_rows: 600 });
        d.push(&page[..page.len() / 2]);
        d.lost(usize::MAX);
        d.push(&page[page.len() / 2..]);
        assert!(d.finish().rows <= 600);
    }
    // All zeros, all ones, for a long time.
    for (octet, coding) in [(0, Coding::Mh), (0xFF, Coding::Mr), (0, Coding::Mmr)] {
        let mut d = Decoder::new(coding, 1728, Limits::default());
        for _ in 0..3000 {
            d.push(&[octet; 1000]);
        }
        assert_eq!(d.finish().rows, 0, "{coding}");
    }
}

#[test]
fn each_line_takes_its_minimum_time() {
    let map = Bitmap::blank(1728, 20);
    for (coding, eol) in [(Coding::Mh, 12usize), (Coding::Mr, 13)] {
        for min in [0u32, 12, 48, 96, 576] {
            let options = EncodeOptions { k: 2, min_row_bits: min, end_of_page: true, flush_octets: 10 };
            let page = encode(&map, coding, &options);
            let bits: String = page.iter().map(|o| format!("{o:08b}")).collect();
            // The distances from the end of one EOL to the end of the next.
            let mut ends: Vec<usize> = bits
                .match_indices("00000000000")
                .filter_map(|(i, _)| {
                    let one = i + 11 + bits[i + 11..].find('1')?;
                    Some(one)
                })
                .collect();
            ends.dedup();
            let lines: Vec<usize> = ends.windows(2).map(|w| w[1] - w[0]).collect();
            assert_eq!(lines.len(), 20 + 5, "{coding} {min}");
            assert!(lines[..20].iter().all(|l| *l >= min as usize));
            assert!(lines[20..].iter().all(|l| *l == eol));
            assert!(page.ends_with(&[0; 10]));
        }
    }
}
