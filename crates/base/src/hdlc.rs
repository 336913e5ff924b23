//! HDLC as T.30 uses it: the frame check sequence, frames into bits and bits into frames (T.30 §5.3;
//! T.4 Annex A; ISO/IEC 13239, 16 bits, X.25 form).
//!
//! All octets are in printed order. A [`Deframer`] is told of bits that were lost, and puts frames together
//! again where little enough is missing.

mod deframer;
mod framer;
mod pieces;
mod raw;
mod repair;
mod search;

pub use deframer::{Deframed, Deframer};
pub use framer::Framer;

use crate::bits::reverse;

/// The flag.
pub(crate) const FLAG: u8 = 0x7E;
/// Ones in a row behind which a zero is inserted.
pub(crate) const RUN: u32 = 5;
/// What the frame check register holds behind a good frame and its FCS.
pub(crate) const RESIDUE: u16 = 0xF0B8;

/// The frame check register after one more bit.
pub(crate) const fn check(register: u16, bit: bool) -> u16 {
    let register = register ^ bit as u16;
    if register & 1 == 1 { (register >> 1) ^ 0x8408 } else { register >> 1 }
}

/// What an octet does to the frame check register.
static CHECK: [u16; 256] = {
    let mut table = [0; 256];
    let mut octet = 0;
    while octet < 256 {
        let mut register = octet as u16;
        let mut bit = 0;
        while bit < 8 {
            register = check(register, false);
            bit += 1;
        }
        table[octet] = register;
        octet += 1;
    }
    table
};

/// The FCS of a frame whose octets are in printed order, as the two octets that follow it on the
/// line, in printed order too.
#[must_use]
pub fn fcs(octets: &[u8]) -> [u8; 2] {
    let register = octets.iter().fold(0xFFFF, |register: u16, octet| {
        (register >> 8) ^ CHECK[usize::from(register as u8 ^ reverse(*octet))]
    });
    (!register).to_le_bytes().map(reverse)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The worked values of T.30 frames in printed order.
    #[test]
    fn worked_frames() {
        let frames: [(&[u8], [u8; 2]); 6] = [
            (&[0xFF, 0xC8, 0x21], [0x57, 0xBE]),
            (&[0xFF, 0xC8, 0x31], [0x45, 0x8F]),
            (&[0xFF, 0xC8, 0x5F], [0xC8, 0xE7]),
            (&[0xFF, 0xC8, 0x41, 0x00, 0x44, 0x78], [0xB2, 0x7A]),
            (&[0xFF, 0xC8, 0x01, 0x00, 0x77, 0x1F, 0x23, 0x01, 0x89, 0x01, 0x01, 0x01, 0x18], [0x10, 0xFF]),
            (&[0xFF, 0xC8, 0x7D, 0x74, 0x00, 0x00, 0x2C], [0x49, 0xA4]),
        ];
        for (frame, want) in frames {
            assert_eq!(fcs(frame), want, "{frame:02x?}");
        }
    }
}
