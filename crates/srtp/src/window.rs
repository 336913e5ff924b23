//! Which packets of a source have been, and what the index of the next one is (§3.3.1, §3.3.2).

/// Indices remembered behind the highest.
const WIDTH: u64 = 128;

/// The indices of one source.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Window {
    /// The highest, and a bit for each below it, itself first; no bit at all: nothing has been.
    highest: u64,
    seen: u128,
}

impl Window {
    /// Whether nothing has been yet.
    pub(crate) fn is_new(&self) -> bool {
        self.seen == 0
    }

    /// Whether this index has not been, as far as is known.
    pub(crate) fn is_fresh(&self, index: u64) -> bool {
        match self.highest.checked_sub(index) {
            None => true,
            Some(_) if self.is_new() => true,
            Some(behind) => behind < WIDTH && self.seen >> behind & 1 == 0,
        }
    }

    /// It has been.
    pub(crate) fn note(&mut self, index: u64) {
        match self.highest.checked_sub(index).filter(|_| !self.is_new()) {
            Some(behind) if behind < WIDTH => self.seen |= 1 << behind,
            Some(_) => {}
            None => {
                let ahead = index.saturating_sub(self.highest);
                let seen = if ahead < WIDTH { self.seen << ahead } else { 0 };
                (self.highest, self.seen) = (index, seen | 1);
            }
        }
    }

    /// The index that this sequence number stands for: the nearest to the highest (§3.3.1, Appendix A). `None`: before
    /// the stream began.
    pub(crate) fn index_of(&self, sequence: u16) -> Option<u64> {
        if self.is_new() {
            return Some(u64::from(sequence));
        }
        let away = i64::from(sequence.wrapping_sub(self.highest as u16) as i16);
        self.highest.checked_add_signed(away)
    }
}
