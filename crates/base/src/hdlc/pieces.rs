//! The octets of a frame while it comes: zeros removed, and as much held back as may be its FCS and flag.

use super::RUN;
use bytes::{Bytes, BytesMut};

/// Octets held back: the FCS, and one of which the closing flag's first bits may have been a part.
const HELD: usize = 3;

/// Takes the bits of a frame, from behind its opening flag on.
#[derive(Clone, Debug, Default)]
pub(super) struct Pieces {
    octets: BytesMut,
    octet: u8,
    bits: u32,
    ones: u32,
    /// Between a flag and the first loss.
    open: bool,
    /// Some of the present frame has been told.
    begun: bool,
}

impl Pieces {
    /// A flag was seen: a frame may begin.
    pub(super) fn begin(&mut self) {
        *self = Pieces { open: true, ..Pieces::default() };
    }

    /// What follows is not told.
    pub(super) fn lose(&mut self) {
        self.open = false;
    }

    /// The frame is over; whether any of it was told.
    pub(super) fn end(&mut self) -> bool {
        self.open = false;
        self.octets.clear();
        core::mem::take(&mut self.begun)
    }

    pub(super) fn bit(&mut self, bit: bool) {
        if !self.open {
            return;
        }
        let inserted = self.ones == RUN && !bit;
        self.ones = if bit { self.ones + 1 } else { 0 };
        if inserted {
            return;
        }
        self.octet = self.octet << 1 | u8::from(bit);
        self.bits += 1;
        if self.bits == 8 {
            self.octets.extend_from_slice(&[self.octet]);
            (self.octet, self.bits) = (0, 0);
        }
    }

    /// The octets that certainly belong to the frame and were not taken yet.
    pub(super) fn take(&mut self) -> Option<Bytes> {
        let sure = self.octets.len().checked_sub(HELD).filter(|n| *n > 0)?;
        self.begun = true;
        Some(self.octets.split_to(sure).freeze())
    }
}
