//! Pages for tests: the eight ITU-T charts where they are at hand, and pages of our own making.

use crate::tiff::Page;
use std::path::PathBuf;

/// The path of ITU-T chart `number` (1 to 8), if the charts are at hand: in the folder that
/// `FERROFAX_DATA` names, else in `../shared/data` beside the repository.
#[must_use]
pub fn chart(number: u32) -> Option<PathBuf> {
    let data = std::env::var_os("FERROFAX_DATA").map_or_else(
        || PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/data")),
        PathBuf::from,
    );
    let path = data.join(format!("itu-t-charts/itu{number}.tif"));
    path.is_file().then_some(path)
}

/// An A4 page of 1728 pels and `rows` rows at 204 × 196 per inch with everything that a coder can
/// trip over: long white and black runs, lines that repeat, lines that differ in one pel, fine
/// patterns, full black rows, runs up to the edges. Two seeds make two pages.
#[must_use]
pub fn generated(seed: u64, rows: u32) -> Page {
    const OCTETS: usize = 216;
    let mut random = Xorshift::new(seed);
    let mut pels = Vec::with_capacity(OCTETS * rows as usize);
    let mut row = vec![0u8; OCTETS];
    for number in 0..rows {
        match number / 8 % 7 {
            // White, as most of a letter is.
            0 => row.fill(0),
            // Words: runs of some pels, kept for some rows.
            1 | 2 if number % 4 == 0 => {
                row.fill(0);
                let mut at = 100 + random.below(60);
                while at < 1600 {
                    let run = 1 + random.below(40);
                    black(&mut row, at, run);
                    at += run + 1 + random.below(60);
                }
            }
            // A ragged edge that moves by a pel or two.
            3 => {
                row.fill(0);
                black(&mut row, 0, 300 + random.below(5));
                black(&mut row, 1728 - 200 - random.below(4), 1728);
            }
            // Black from edge to edge, and a single pel at each edge.
            4 => {
                row.fill(if number % 8 < 4 { 0xFF } else { 0 });
                black(&mut row, 0, 1);
                black(&mut row, 1727, 1);
            }
            // A halftone patch.
            5 => {
                row.fill(0);
                for at in (400..700).step_by(4) {
                    black(&mut row, at + number as usize % 4, 2);
                }
            }
            _ => {}
        }
        pels.extend_from_slice(&row);
    }
    Page { width: 1728, rows, x_per_inch: 204.0, y_per_inch: 196.0, pels }
}

fn black(row: &mut [u8], from: usize, count: usize) {
    for at in from..(from + count).min(row.len() * 8) {
        row[at / 8] |= 0x80 >> (at % 8);
    }
}

/// A small generator of numbers, the same on every run: a linear feedback by shifts.
#[derive(Clone, Debug)]
pub struct Xorshift(u64);

impl Xorshift {
    /// One whose numbers depend on `seed` only.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Xorshift(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// The next number below `bound`; 0 when that is 0.
    pub fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        ((self.0 >> 16) as usize).checked_rem(bound).unwrap_or(0)
    }
}
