//! The rows of one strip in each compression that is read (TIFF 6.0 §9 to §11, RFC 2301 §3 and §4).

use super::sink::Sink;
use crate::decode::{PlainRows, T4Lines, T4Next, T6Next, T6Rows};
use fax_base::bits::reverse;
use fax_base::page::Coding;
use std::borrow::Cow;

/// How a strip is coded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Scheme {
    /// Compression 1: packed pels.
    Packed,
    /// Compression 32773: packed pels in PackBits.
    PackBits,
    /// Compression 2, 32771 and T.4 without EOLs: MH whose rows begin at multiples of so many bits.
    Plain(usize),
    /// Compression 3 without T4Options bit 0.
    Mh,
    /// Compression 3 with it.
    Mr,
    /// Compression 4.
    Mmr,
    /// Compression 9, and 34661 of old: one BIE a strip.
    T85,
}

/// What was found in a strip.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(super) struct Found {
    pub(super) rows: u32,
    pub(super) bad_rows: u32,
    pub(super) longest_bad_run: u32,
    /// The data ended with RTC or EOFB, or exactly with a row.
    pub(super) clean_end: bool,
}

/// The octets with the first bit most significant.
pub(super) fn msb_first(octets: &[u8], lsb_first: bool) -> Cow<'_, [u8]> {
    if lsb_first { octets.iter().map(|&o| reverse(o)).collect() } else { octets.into() }
}

/// Decodes at most `most` rows of `octets` into `sink`; without a sink they are only counted.
pub(super) fn decode(octets: &[u8], scheme: Scheme, width: u32, most: u32, sink: Option<&mut Sink>) -> Found {
    match scheme {
        Scheme::Packed => packed(octets, width, most, sink),
        Scheme::PackBits => pack_bits(octets, width, most, sink),
        Scheme::Plain(align) => plain(octets, align, width, most, sink),
        Scheme::Mh => t4(octets, false, width, most, sink),
        Scheme::Mr => t4(octets, true, width, most, sink),
        Scheme::Mmr => t6(octets, width, most, sink),
        Scheme::T85 => t85(octets, width, most, sink),
    }
}

fn packed(octets: &[u8], width: u32, most: u32, mut sink: Option<&mut Sink>) -> Found {
    let stride = (width as usize).div_ceil(8);
    let mut found = Found { clean_end: true, ..Found::default() };
    for row in octets.chunks_exact(stride).take(most as usize) {
        if let Some(sink) = sink.as_deref_mut() {
            sink.pels(row);
        }
        found.rows += 1;
    }
    found
}

/// PackBits (TIFF 6.0 §9). Runs should end with their row, but need not.
fn pack_bits(octets: &[u8], width: u32, most: u32, mut sink: Option<&mut Sink>) -> Found {
    let stride = (width as usize).div_ceil(8);
    let mut row = Vec::with_capacity(stride + 128);
    let mut found = Found::default();
    let mut rest = octets;
    while let Some((&n, after)) = rest.split_first() {
        rest = match n {
            0..=127 => {
                let n = (usize::from(n) + 1).min(after.len());
                let (literal, after) = after.split_at(n);
                row.extend_from_slice(literal);
                after
            }
            128 => after,
            129..=255 => {
                let Some((&octet, after)) = after.split_first() else {
                    break;
                };
                row.resize(row.len() + 257 - usize::from(n), octet);
                after
            }
        };
        let mut done = 0;
        while let Some(pels) = row.get(done..done + stride) {
            if found.rows >= most {
                return found;
            }
            if let Some(sink) = sink.as_deref_mut() {
                sink.pels(pels);
            }
            found.rows += 1;
            done += stride;
        }
        row.drain(..done);
    }
    found
}

fn plain(octets: &[u8], align: usize, width: u32, most: u32, mut sink: Option<&mut Sink>) -> Found {
    let mut rows = PlainRows::new(octets, align, width);
    let mut found = Found::default();
    while found.rows < most {
        let Some(row) = rows.next() else { break };
        if let Some(sink) = sink.as_deref_mut() {
            sink.row(row);
        }
        found.rows += 1;
    }
    found
}

fn t4(octets: &[u8], two_d: bool, width: u32, most: u32, mut sink: Option<&mut Sink>) -> Found {
    let mut lines = T4Lines::new(two_d, width);
    let mut found = Found::default();
    let mut bad_run = 0;
    lines.push(octets);
    loop {
        let (next, last) = match lines.next() {
            T4Next::More => (lines.finish(), true),
            next => (Some(next), false),
        };
        let count = match next {
            Some(T4Next::Concealed(n)) => n,
            Some(T4Next::Row | T4Next::BadRow) => 1,
            Some(T4Next::More | T4Next::End) | None => {
                found.clean_end = lines.ended() || last && lines.at_end();
                return found;
            }
        };
        for _ in 0..count {
            if found.rows >= most {
                return found;
            }
            found.rows += 1;
            if let Some(sink) = sink.as_deref_mut() {
                match next {
                    Some(T4Next::Concealed(_)) => sink.repeat(),
                    _ => sink.row(lines.row()),
                }
            }
            if next == Some(T4Next::Row) {
                bad_run = 0;
            } else {
                bad_run += 1;
                found.bad_rows += 1;
                found.longest_bad_run = found.longest_bad_run.max(bad_run);
            }
        }
        if last {
            found.clean_end = true;
            return found;
        }
    }
}

fn t85(octets: &[u8], width: u32, most: u32, sink: Option<&mut Sink>) -> Found {
    // P, the number of planes, is 1: it shows whether FillOrder was meant for these octets or not.
    let octets = msb_first(octets, octets.get(2) == Some(&0x80));
    let page = crate::decode(&octets, Coding::T85, width, crate::Limits { max_rows: most });
    if let Some(sink) = sink {
        (0..page.rows).for_each(|i| sink.pels(page.bitmap.row(i)));
    }
    Found {
        rows: page.rows,
        bad_rows: page.bad_rows,
        longest_bad_run: page.longest_bad_run,
        clean_end: page.ended,
    }
}

fn t6(octets: &[u8], width: u32, most: u32, mut sink: Option<&mut Sink>) -> Found {
    let mut rows = T6Rows::new(width);
    let mut found = Found::default();
    rows.push(octets);
    while found.rows < most {
        match rows.next() {
            T6Next::Row => {
                found.rows += 1;
                if let Some(sink) = sink.as_deref_mut() {
                    sink.row(rows.row());
                }
            }
            T6Next::Same => {
                found.rows += 1;
                match sink.as_deref_mut() {
                    // Each strip begins with a white row before it.
                    Some(sink) if found.rows == 1 => sink.row(rows.row()),
                    Some(sink) => sink.repeat(),
                    None => {}
                }
            }
            T6Next::More => {
                found.clean_end = rows.half_ended();
                return found;
            }
            T6Next::End => {
                found.clean_end = true;
                return found;
            }
            T6Next::Damaged => return found,
        }
    }
    found
}
