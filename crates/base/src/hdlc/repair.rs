//! Frames with lost bits put together again: from frames that are known beforehand or came before, from
//! copies of the same frame with other bits lost, and from the FCS.

use super::raw::Raw;
use bytes::Bytes;
use std::collections::VecDeque;

/// Frames that came whole and are remembered.
const RECENT: usize = 8;
/// They are remembered up to this length, bits.
const RECENT_BITS: usize = 640;
/// Copies of a frame have at least so many known bits in common, the address and control octets aside.
const COMMON: usize = 28;
/// At the end of a frame that is taken for a known one, so many of the last [`END`] bits must be there.
const END_KNOWN: usize = 12;
/// See [`END_KNOWN`].
const END: usize = 20;
/// Lost bits that the FCS alone may fill in: so few that a wrong frame fits by chance once in 64 times at most,
/// should a bit that is there be wrong.
const BY_FCS: usize = 10;
/// The same when copies have shown which frame it is.
const BY_FCS_OF_COPIES: usize = 14;
/// Steps that a search may take.
const STEPS: usize = 4_000_000;

/// What is remembered to repair with.
#[derive(Clone, Debug)]
pub(super) struct Repair {
    known: Vec<Raw>,
    recent: VecDeque<Raw>,
    damaged: VecDeque<Raw>,
    most_damaged: usize,
}

impl Repair {
    pub(super) fn new(most_damaged: usize) -> Self {
        Repair { known: Vec::new(), recent: VecDeque::new(), damaged: VecDeque::new(), most_damaged }
    }

    /// A frame that may come.
    pub(super) fn know(&mut self, octets: &[u8]) {
        self.known.push(Raw::of_frame(octets));
    }

    /// A frame that came.
    pub(super) fn came(&mut self, raw: &Raw) {
        if raw.len() > RECENT_BITS || raw.lost() > 0 || self.recent.contains(raw) {
            return;
        }
        if self.recent.len() == RECENT {
            self.recent.pop_front();
        }
        self.recent.push_back(raw.clone());
    }

    /// The frame that this was, and how many bits of it had been lost. Its flags may be among what is lost.
    pub(super) fn repair(&mut self, raw: &Raw) -> Option<(Bytes, u32)> {
        let spans = spans(raw);
        for part in &spans {
            let found =
                self.by_known(part).or_else(|| (part.lost() <= BY_FCS).then(|| part.solve(STEPS)).flatten());
            if let Some(frame) = found {
                self.came(&Raw::of_frame(&frame));
                return Some((frame, part.lost() as u32));
            }
        }
        let found = self.by_copies(raw);
        if let Some((frame, _)) = &found {
            self.came(&Raw::of_frame(frame));
        }
        found
    }

    fn by_known(&self, part: &Raw) -> Option<Bytes> {
        let end = part.len().saturating_sub(END)..part.len();
        if end.filter(|i| part.get(*i).is_some()).count() < END_KNOWN {
            return None;
        }
        let mut fitting = self
            .known
            .iter()
            .chain(&self.recent)
            .filter(|known| part.agrees(known).is_some_and(|common| common >= COMMON));
        let first = fitting.next()?;
        // The same frame may be known beforehand and have come.
        fitting.all(|other| other == first).then(|| first.frame()).flatten()
    }

    fn by_copies(&mut self, raw: &Raw) -> Option<(Bytes, u32)> {
        if self.most_damaged == 0 {
            return None;
        }
        let mut union = raw.clone();
        let mut copies = 0;
        self.damaged.retain(|copy| {
            let same = union.agrees(copy).is_some_and(|common| common >= COMMON);
            if same {
                union.merge(copy);
                copies += 1;
            }
            !same
        });
        let frame = union.frame().or_else(|| {
            (copies > 0 && union.lost() <= BY_FCS_OF_COPIES).then(|| union.solve(STEPS)).flatten()
        });
        if let Some(frame) = frame {
            return Some((frame, raw.lost() as u32));
        }
        if self.damaged.len() == self.most_damaged {
            self.damaged.pop_front();
        }
        self.damaged.push_back(union);
        None
    }
}

/// The whole of it first, then parts of it with a flag before or behind them that may have been lost.
fn spans(raw: &Raw) -> Vec<Raw> {
    let mut spans = vec![raw.clone()];
    // A lost flag has at least one lost bit.
    let flag_at = |at: usize| raw.may_be_flag(at) && (at..at + 8).any(|i| raw.get(i).is_none());
    let starts = (0..raw.len() / 8).map(|n| 8 * n).take_while(|at| raw.may_be_flag(*at));
    let starts: Vec<usize> = starts.filter(|at| flag_at(*at)).map(|at| at + 8).collect();
    let mut ends = Vec::new();
    let mut at = raw.len();
    while let Some(before) = at.checked_sub(8).filter(|before| raw.may_be_flag(*before)) {
        at = before;
        if flag_at(at) {
            ends.push(at);
        }
    }
    for start in starts.iter().copied().chain([0]).take(6) {
        for end in ends.iter().copied().take(6).chain([raw.len()]) {
            if end >= start + 32 && (start, end) != (0, raw.len()) {
                spans.push(raw.part(start, end));
            }
        }
    }
    spans
}
