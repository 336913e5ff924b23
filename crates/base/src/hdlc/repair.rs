//! Frames with lost bits put together again: from frames that are known beforehand or came before, from
//! copies of the same frame with other bits lost, and from the FCS.

use super::raw::Raw;
use super::search::{MOST_LOST, search};
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

    /// The frame that this was, or the frames when flags are among what is lost; `closed` when a flag follows.
    pub(super) fn repair(&mut self, raw: &Raw, closed: bool) -> Vec<Bytes> {
        let mut found = Vec::new();
        for Span { part, closed } in spans(raw, closed) {
            found = match self.by_known(&part) {
                Some(frame) => vec![frame],
                None => search(&part, closed),
            };
            // Where the search knows of every way, flags lost included, parts tell nothing more.
            if !found.is_empty() || part.lost() == raw.lost() && raw.lost() <= MOST_LOST {
                break;
            }
        }
        if found.is_empty() {
            found.extend(self.by_copies(raw, closed));
        }
        for frame in &found {
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

    fn by_copies(&mut self, raw: &Raw, closed: bool) -> Option<Bytes> {
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
            let found = if copies > 0 { search(&union, closed) } else { Vec::new() };
            <[Bytes; 1]>::try_from(found).ok().map(|[frame]| frame)
        });
        if frame.is_some() {
            return frame;
        }
        if self.damaged.len() == self.most_damaged {
            self.damaged.pop_front();
        }
        self.damaged.push_back(union);
        None
    }
}

/// Bits since a flag, and whether another follows.
struct Span {
    part: Raw,
    closed: bool,
}

/// The whole of it first, then parts of it with a flag before or behind them that may have been lost.
fn spans(raw: &Raw, closed: bool) -> Vec<Span> {
    let mut spans = vec![Span { part: raw.clone(), closed }];
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
                spans.push(Span { part: raw.part(start, end), closed: closed || end < raw.len() });
            }
        }
    }
    spans
}
