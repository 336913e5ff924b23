//! What a decoder threw away after it had given a page up.

/// So many octets may be an end of page, or the rest of a row that was cut short before one.
const LITTLE: usize = 64;

/// Counts octets that came and were not looked at, fill at their end aside.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Thrown {
    octets: usize,
    /// Up to the last of them that was not zero.
    told: usize,
}

impl Thrown {
    /// These were thrown away.
    pub(crate) fn more(&mut self, octets: &[u8]) {
        if let Some(last) = octets.iter().rposition(|o| *o != 0) {
            self.told = self.octets.saturating_add(last).saturating_add(1);
        }
        self.octets = self.octets.saturating_add(octets.len());
    }

    /// So many never came, and say as much as any.
    pub(crate) fn lost(&mut self, octets: usize) {
        self.octets = self.octets.saturating_add(octets);
        self.told = self.octets;
    }

    /// Whether that may have been rows that somebody would miss.
    pub(crate) fn matters(&self) -> bool {
        self.told > LITTLE
    }
}
