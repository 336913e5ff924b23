//! Frames towards a modem, sent while they come: flags where nothing is ready, and a frame begins only when it is
//! whole or far enough ahead (T.30 §5.3; T.4 Annex A).

use bytes::{Bytes, BytesMut};
use fax_base::bits::BitSource;
use fax_base::hdlc::fcs;
use std::collections::VecDeque;

const FLAG: u8 = 0x7E;
/// Ones in a row that make the receiver drop a frame.
const ABORT: u8 = 0xFF;
/// Octets that may wait in one signal: more than any page has.
const MOST_OCTETS: usize = 1 << 20;

#[derive(Debug, Default)]
struct Frame {
    octets: BytesMut,
    /// Once it has ended: whether it is good.
    end: Option<bool>,
}

/// The bits of one signal in HDLC.
#[derive(Debug)]
pub(super) struct Frames {
    waiting: VecDeque<Frame>,
    octets: usize,
    /// What is coming belongs to a frame that was aborted.
    dropping: bool,
    /// Nothing more comes.
    closed: bool,
    /// Octets ahead with which a frame may begin that is not whole.
    lead: usize,
    /// Flags at the beginning and at the end that are still to be sent.
    opening: u32,
    closing: u32,
    /// The next octet of the first frame, if that has begun; from its end on those of its FCS.
    at: Option<usize>,
    ones: u32,
    made: u64,
    held: u32,
    aborted: u64,
}

impl Frames {
    /// `opening` flags at least, `closing` ones at the end, and frames that begin `lead` octets ahead.
    pub(super) fn new(opening: u32, closing: u32, lead: usize) -> Self {
        Frames {
            waiting: VecDeque::new(),
            octets: 0,
            dropping: false,
            closed: false,
            lead,
            opening,
            closing,
            at: None,
            ones: 0,
            made: 0,
            held: 0,
            aborted: 0,
        }
    }

    /// The next octets of a frame.
    pub(super) fn octets(&mut self, octets: &Bytes) {
        if self.dropping || self.octets + octets.len() > MOST_OCTETS {
            return;
        }
        self.octets += octets.len();
        match self.waiting.back_mut().filter(|frame| frame.end.is_none()) {
            Some(frame) => frame.octets.extend_from_slice(octets),
            None => self.waiting.push_back(Frame { octets: octets.as_ref().into(), end: None }),
        }
    }

    /// The frame that was coming has ended.
    pub(super) fn frame_end(&mut self, good: bool) {
        if !core::mem::take(&mut self.dropping)
            && let Some(frame) = self.waiting.back_mut().filter(|frame| frame.end.is_none())
        {
            frame.end = Some(good);
        }
    }

    /// Nothing more comes.
    pub(super) fn close(&mut self) {
        self.frame_end(false);
        self.closed = true;
    }

    /// Whether no frame has come.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Frames that had to be aborted.
    pub(super) fn aborted(&self) -> u64 {
        self.aborted
    }

    /// Octets ahead that are needed from now on, unless a frame is whole.
    pub(super) fn lead(&self) -> usize {
        self.lead
    }

    fn raw(&mut self, octet: u8) {
        self.made = self.made << 8 | u64::from(octet);
        self.held += 8;
        self.ones = 0;
    }

    fn stuffed(&mut self, octet: u8) {
        for shift in (0..8).rev() {
            let bit = octet >> shift & 1;
            self.made = self.made << 1 | u64::from(bit);
            self.held += 1;
            self.ones = if bit == 1 { self.ones + 1 } else { 0 };
            if self.ones == 5 {
                self.made <<= 1;
                self.held += 1;
                self.ones = 0;
            }
        }
    }

    /// Makes the next octet or flag; false when there is no more.
    fn make(&mut self) -> bool {
        if self.opening > 0 {
            self.opening -= 1;
            self.raw(FLAG);
            return true;
        }
        let Some(at) = self.at else {
            return self.between();
        };
        let Some(frame) = self.waiting.front() else {
            self.at = None;
            return true;
        };
        let length = frame.octets.len();
        match (frame.octets.get(at).copied(), frame.end) {
            (Some(octet), _) => {
                self.at = Some(at + 1);
                self.stuffed(octet);
            }
            (None, Some(good)) if at < length + 2 => {
                let check = fcs(&frame.octets).map(|octet| if good { octet } else { !octet });
                self.at = Some(at + 1);
                self.stuffed(check.get(at - length).copied().unwrap_or_default());
            }
            (None, Some(_)) => {
                self.next_frame();
                self.raw(FLAG);
            }
            (None, None) => {
                // It ran dry: from now on frames wait until they are whole.
                self.lead = usize::MAX;
                self.aborted += 1;
                self.dropping = true;
                self.next_frame();
                self.raw(ABORT);
                self.raw(FLAG);
            }
        }
        true
    }

    fn next_frame(&mut self) {
        if let Some(frame) = self.waiting.pop_front() {
            self.octets -= frame.octets.len();
        }
        self.at = None;
    }

    /// Between two frames.
    fn between(&mut self) -> bool {
        match self.waiting.front() {
            Some(frame) if frame.end.is_some() || frame.octets.len() >= self.lead => self.at = Some(0),
            None if self.closed && self.closing == 0 => return false,
            None if self.closed => {
                self.closing -= 1;
                self.raw(FLAG);
            }
            Some(_) | None => self.raw(FLAG),
        }
        true
    }
}

impl BitSource for Frames {
    fn next_bit(&mut self) -> Option<bool> {
        let (bits, count) = self.next_bits(1);
        (count == 1).then_some(bits == 1)
    }

    fn next_bits(&mut self, count: u32) -> (u32, u32) {
        let count = count.min(32);
        while self.held < count && self.make() {}
        let count = count.min(self.held);
        self.held -= count;
        let bits = (self.made >> self.held & ((1 << count) - 1)) as u32;
        self.made &= (1 << self.held) - 1;
        (bits, count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_base::hdlc::{Deframed, Deframer};

    fn take(frames: &mut Frames, deframer: &mut Deframer, bits: u32) -> Vec<Deframed> {
        for _ in 0..bits {
            match frames.next_bit() {
                Some(bit) => deframer.put(u32::from(bit), 1),
                None => deframer.end(),
            }
        }
        core::iter::from_fn(|| deframer.poll()).collect()
    }

    fn whole(octets: &[u8]) -> Deframed {
        Deframed::Frame { octets: Bytes::copy_from_slice(octets), repaired: 0 }
    }

    #[test]
    fn a_frame_waits_until_it_is_ahead_and_runs_on_while_it_comes() {
        let (mut frames, mut deframer) = (Frames::new(4, 1, 6), Deframer::new(0));
        let frame: Vec<u8> = (0..20).map(|i| 0xFF ^ (i * 13)).collect();
        let octets = Bytes::from(frame.clone());
        frames.octets(&octets.slice(..5));
        assert_eq!(take(&mut frames, &mut deframer, 200), [Deframed::Flags]);
        frames.octets(&octets.slice(5..10));
        assert_eq!(take(&mut frames, &mut deframer, 60), []);
        frames.octets(&octets.slice(10..));
        frames.frame_end(true);
        assert_eq!(take(&mut frames, &mut deframer, 200), [whole(&frame), Deframed::Flags]);
        frames.close();
        assert_eq!(take(&mut frames, &mut deframer, 200), []);
        assert_eq!((frames.next_bits(8), frames.aborted()), ((0, 0), 0));
    }

    #[test]
    fn what_runs_dry_is_aborted_and_the_next_one_waits_to_be_whole() {
        let (mut frames, mut deframer) = (Frames::new(4, 1, 3), Deframer::new(0));
        deframer.in_pieces();
        frames.octets(&Bytes::from_static(&[0xFF, 0xC0, 0x02, 1, 2, 3, 4, 5]));
        let out = take(&mut frames, &mut deframer, 300);
        assert!(out.contains(&Deframed::Damaged), "{out:?}");
        assert!(!out.iter().any(|d| matches!(d, Deframed::Frame { .. })), "{out:?}");
        // Its rest comes too late.
        frames.octets(&Bytes::from_static(&[6, 7]));
        frames.frame_end(true);
        frames.octets(&Bytes::from_static(&[0xFF, 0xC8, 0x21, 0x00, 0x00]));
        assert!(!take(&mut frames, &mut deframer, 200).iter().any(|d| matches!(d, Deframed::Frame { .. })));
        frames.frame_end(true);
        assert!(take(&mut frames, &mut deframer, 200).contains(&whole(&[0xFF, 0xC8, 0x21, 0x00, 0x00])));
        assert_eq!(frames.aborted(), 1);
    }

    #[test]
    fn a_damaged_frame_stays_damaged() {
        let (mut frames, mut deframer) = (Frames::new(4, 1, 3), Deframer::new(0));
        frames.octets(&Bytes::from_static(&[0xFF, 0xC8, 0x21, 0x00]));
        frames.close();
        let out = take(&mut frames, &mut deframer, 200);
        assert_eq!(out, [Deframed::Flags, Deframed::Damaged]);
    }
}
