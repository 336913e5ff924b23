//! The table of run-length codes against `testdata/mh-codes.csv` (T.4 Tables 2/T.4, 3a/T.4 and 3b/T.4).

#![allow(clippy::unwrap_used, clippy::panic)] // This is all tests.

use fax_base::page::Coding;
use fax_image::{Bitmap, EncodeOptions, encode};
use std::fmt::Write as _;

const CSV: &str = include_str!("../../../../testdata/mh-codes.csv");
const RUST: &str = include_str!("../../src/codes.rs");

/// Run, white code, black code.
fn rows() -> Vec<(u32, &'static str, &'static str)> {
    let rows: Vec<_> = CSV
        .lines()
        .skip(1)
        .map(|l| {
            let f: Vec<&str> = l.split(',').collect();
            assert_eq!(f[2].len(), f[3].parse::<usize>().unwrap());
            assert_eq!(f[4].len(), f[5].parse::<usize>().unwrap());
            (f[0].parse().unwrap(), f[2], f[4])
        })
        .collect();
    assert_eq!(rows.len(), 104);
    rows
}

#[test]
fn codes_are_those_of_the_table() {
    let mut text = String::from(
        "//! The run-length codes of T.4 Tables 2/T.4, 3a/T.4 and 3b/T.4, generated from `testdata/mh-codes.csv` by the test\n\
         //! `codes_are_those_of_the_table`, which also checks them.\n\n\
         /// Code bits, right-aligned, and their number.\npub(crate) type Code = (u16, u8);\n",
    );
    for (name, colour) in [("WHITE", "White"), ("BLACK", "Black")] {
        write!(text, "\n/// {colour} runs: 0 to 63, then the make-up codes 64, 128 … 2560.\npub(crate) const {name}: [Code; 104] = [\n").unwrap();
        for (run, white, black) in rows() {
            let code = if name == "WHITE" { white } else { black };
            writeln!(text, "    (0b{code}, {}), // {run}", code.len()).unwrap();
        }
        text.push_str("];\n");
    }
    if std::env::var_os("FERROFAX_REGENERATE").is_some() {
        std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/src/codes.rs"), &text).unwrap();
    }
    // rustfmt lines the remarks up.
    let words = |t: &str| t.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert!(
        words(&text) == words(RUST),
        "run this test with FERROFAX_REGENERATE=1 and look at the difference"
    );
}

#[test]
fn each_run_is_sent_with_its_code() {
    for (run, white, black) in rows() {
        for (code, is_black) in [(white, false), (black, true)] {
            // A white run before a black one is 5 pels (1100), a white one is followed by one black (010).
            let mut map = Bitmap::blank(run + if is_black { 5 } else { 1 }, 1);
            let (from, to) = if is_black { (5, 5 + run) } else { (run, run + 1) };
            for x in from..to {
                map.set(x, 0, true);
            }
            let zero = |term| if run >= 64 { term } else { "" };
            let want = match (is_black, run) {
                (true, 0) => "1100".to_owned(),
                (true, _) => format!("1100{code}{}", zero("0000110111")),
                (false, _) => format!("{code}{}010", zero("00110101")),
            };
            let options = EncodeOptions { end_of_page: false, ..EncodeOptions::default() };
            let bits: String =
                encode(&map, Coding::Mh, &options).iter().map(|o| format!("{o:08b}")).collect();
            let want = format!("000000000001{want}");
            assert_eq!(bits.trim_end_matches('0'), want.trim_end_matches('0'), "{run} {is_black}");
            assert_eq!(bits.len(), want.len().next_multiple_of(8));
        }
    }
}

#[test]
fn runs_beyond_2623_repeat_the_largest_make_up_code() {
    let bits: String = encode(
        &Bitmap::blank(10_368, 1),
        Coding::Mh,
        &EncodeOptions { end_of_page: false, ..EncodeOptions::default() },
    )
    .iter()
    .map(|o| format!("{o:08b}"))
    .collect();
    // 10368 = 3 × 2560 + 2688 = 4 × 2560 + 128.
    let want = format!("000000000001{}1001000110101", "000000011111".repeat(4));
    assert_eq!(bits.trim_end_matches('0'), want);
}
