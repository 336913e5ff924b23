//! Encoding a page as T.85, line by line (T.82 §6.8.2, §6.2).

use super::header::Header;
use super::qm::{Contexts, Encoder, UNKNOWN};
use super::template::{Lines, encode_line, typical_context};
use super::{ESC, NEWLEN, Parameters, SDNORM, STUFF};
use crate::Bitmap;

/// The page as one BIE. A page without rows gets a white one, since T.82 has no empty pictures.
#[must_use]
pub fn encode(bitmap: &Bitmap, parameters: &Parameters) -> Vec<u8> {
    let mut to = LineEncoder::new(bitmap.width(), *parameters);
    for i in 0..bitmap.rows() {
        to.line(bitmap.row(i));
    }
    to.finish()
}

/// Encodes line after line.
#[derive(Clone, Debug)]
pub(crate) struct LineEncoder {
    parameters: Parameters,
    lines: Lines,
    contexts: Box<Contexts>,
    coder: Encoder,
    /// The header, its number of rows yet to be set, and whole stripes.
    octets: Vec<u8>,
    rows: u32,
    /// Rows of the stripe that is being coded.
    in_stripe: u32,
    /// LTP of the line before.
    typical: bool,
}

impl LineEncoder {
    pub(crate) fn new(width: u32, parameters: Parameters) -> Self {
        let parameters = Parameters { stripe_rows: parameters.stripe_rows.max(1), ..parameters };
        LineEncoder {
            lines: Lines::new(width),
            contexts: Box::new([UNKNOWN; 1024]),
            coder: Encoder::new(),
            octets: Header::new(width, 0, &parameters).to_octets().to_vec(),
            rows: 0,
            in_stripe: 0,
            typical: false,
            parameters,
        }
    }

    /// Encodes a line of packed pels whose pad bits are zero.
    pub(crate) fn line(&mut self, row: &[u8]) {
        let mut chunks = row.chunks(8);
        for word in &mut self.lines.current {
            *word = match chunks.next() {
                Some(chunk) => match chunk.first_chunk::<8>() {
                    Some(eight) => u64::from_be_bytes(*eight),
                    None => chunk.iter().rev().fold(0, |w, o| w >> 8 | u64::from(*o) << 56),
                },
                None => 0,
            };
        }
        let same = self.lines.current == self.lines.above;
        if !(self.say_typical(same) && same) {
            encode_line(&mut self.coder, &mut self.contexts, &self.lines, self.parameters.template);
        }
        self.lines.advance();
        self.count();
    }

    /// Encodes the line before once more; white at the beginning.
    pub(crate) fn same_line(&mut self) {
        if self.say_typical(true) {
            self.lines.advance_same();
        } else {
            self.lines.current.clone_from(&self.lines.above);
            encode_line(&mut self.coder, &mut self.contexts, &self.lines, self.parameters.template);
            self.lines.advance();
        }
        self.count();
    }

    /// Codes SLNTP, where there is such a thing: whether this line is as typical as the one before.
    fn say_typical(&mut self, same: bool) -> bool {
        if !self.parameters.typical {
            return false;
        }
        let pseudo_pel = u32::from(same == self.typical);
        if let Some(context) = self.contexts.get_mut(typical_context(self.parameters.template)) {
            self.coder.code(context, pseudo_pel);
        }
        self.typical = same;
        true
    }

    fn count(&mut self) {
        self.rows = self.rows.saturating_add(1);
        self.in_stripe += 1;
        if self.in_stripe == self.parameters.stripe_rows {
            self.end_stripe();
        }
    }

    fn end_stripe(&mut self) {
        for octet in self.coder.flush() {
            self.octets.push(octet);
            if octet == ESC {
                self.octets.push(STUFF);
            }
        }
        self.octets.extend([ESC, SDNORM]);
        self.in_stripe = 0;
    }

    /// Ends the page and gives its octets.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        if self.rows == 0 {
            self.same_line();
        }
        if self.in_stripe > 0 {
            self.end_stripe();
        }
        let rows = self.rows.to_be_bytes();
        let announced = self.parameters.announced_rows.filter(|&n| n > self.rows);
        if announced.is_some() {
            self.octets.extend([ESC, NEWLEN]);
            self.octets.extend(rows);
            // It may not be the last thing: a stripe without lines follows.
            self.octets.extend([ESC, SDNORM]);
        }
        let announced = announced.map_or(rows, u32::to_be_bytes);
        if let Some(to) = self.octets.get_mut(8..12) {
            to.copy_from_slice(&announced);
        }
        self.octets
    }
}
