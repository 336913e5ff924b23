//! Error correction mode: pages cut into blocks and frames, and blocks put together again
//! (T.30 Annex A, T.4 Annex A).

use crate::frames::{ADDRESS, CONTROL_MORE, Fcf, Frame};
use bytes::{BufMut, Bytes, BytesMut};

/// Octets of coded data in a frame.
pub(crate) const FRAME_OCTETS: usize = 256;
/// The same in small frames (DIS bit 7, DCS bit 28).
pub(crate) const SMALL_FRAME_OCTETS: usize = 64;
/// Frames of a block at most.
pub(crate) const BLOCK_FRAMES: usize = 256;
/// Octets of a partial page request's map.
pub(crate) const MAP_OCTETS: usize = 32;

/// The frames of one block of a page, of `size` octets each; at least one. The last one is filled with
/// zeros.
pub(crate) fn cut(block: &[u8], size: usize) -> Vec<Bytes> {
    let mut numbers = 0u8..=u8::MAX;
    let chunks = block.chunks(size.max(1)).zip(&mut numbers);
    let mut frames: Vec<Bytes> = chunks.map(|(data, number)| data_frame(number, data, size)).collect();
    if frames.is_empty() {
        frames.push(data_frame(0, &[], size));
    }
    frames
}

fn data_frame(number: u8, data: &[u8], size: usize) -> Bytes {
    let mut octets = BytesMut::with_capacity(4 + size);
    octets.put_u8(ADDRESS);
    octets.put_u8(CONTROL_MORE);
    octets.put_u8(Fcf::Fcd.octet(false));
    octets.put_u8(number.reverse_bits());
    octets.put_slice(data);
    octets.resize(4 + size, 0);
    octets.freeze()
}

/// The three frames that close a block.
pub(crate) fn closing() -> [Bytes; 3] {
    let rcp = Bytes::from_static(&[ADDRESS, CONTROL_MORE, 0x61]);
    [rcp.clone(), rcp.clone(), rcp]
}

/// The numbers of frames below `count` that a partial page request asks for; bits beyond are ignored.
pub(crate) fn requested(map: &[u8], count: usize) -> Vec<usize> {
    (0..count.min(BLOCK_FRAMES))
        .filter(|i| map.get(i / 8).is_some_and(|octet| octet & (0x80 >> (i % 8)) != 0))
        .collect()
}

/// A block as it is received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Block {
    frames: Vec<Option<Bytes>>,
    /// From the first PPS of the block.
    stated: Option<usize>,
    /// The length of all frames but the last.
    size: Option<usize>,
}

impl Block {
    /// Takes a good frame of the image channel in. False when it is not a data frame of any use.
    pub(crate) fn take(&mut self, frame: &Frame) -> bool {
        if !matches!(frame.fcf, Fcf::Fcd | Fcf::Ccd) || frame.fif.len() < 2 {
            return false;
        }
        let Some(number) = frame.fif.first().map(|n| usize::from(n.reverse_bits())) else {
            return false;
        };
        let data = frame.fif.slice(1..);
        if data.len() > FRAME_OCTETS {
            return false;
        }
        if self.frames.len() <= number {
            self.frames.resize(number + 1, None);
        }
        if let Some(slot) = self.frames.get_mut(number) {
            *slot = Some(data);
        }
        true
    }

    /// Whether nothing has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// A PPS states how many frames were sent. Only the first of a block says how many there are;
    /// what was seen says it too.
    pub(crate) fn state_count(&mut self, count: usize) {
        if self.stated.is_none() {
            self.stated = Some(count.clamp(1, BLOCK_FRAMES));
        }
        self.vet();
    }

    fn count(&self) -> usize {
        self.stated.unwrap_or(0).max(self.frames.len()).min(BLOCK_FRAMES)
    }

    /// Frames but the last must all be as long as the first of them; others are asked for again.
    fn vet(&mut self) {
        let count = self.count();
        let inner = self.frames.iter().take(count.saturating_sub(1)).flatten();
        let (long, short) = inner.fold((0usize, 0usize), |(l, s), f| match f.len() {
            FRAME_OCTETS => (l + 1, s),
            SMALL_FRAME_OCTETS => (l, s + 1),
            _ => (l, s),
        });
        let size = if short > long { SMALL_FRAME_OCTETS } else { FRAME_OCTETS };
        self.size = Some(size);
        for (i, slot) in self.frames.iter_mut().enumerate() {
            let fits = |f: &Bytes| f.len() == size || (i + 1 == count && f.len() < size);
            if slot.as_ref().is_some_and(|f| !fits(f)) {
                *slot = None;
            }
        }
    }

    /// The map of what is missing, `None` when nothing is. Bits beyond the block are ones.
    pub(crate) fn missing(&self) -> Option<[u8; MAP_OCTETS]> {
        let count = self.count();
        let mut map = [0u8; MAP_OCTETS];
        let mut whole = count > 0;
        for i in 0..BLOCK_FRAMES {
            let has = self.frames.get(i).is_some_and(Option::is_some);
            if i < count && !has {
                whole = false;
            }
            if (i >= count || !has)
                && let Some(octet) = map.get_mut(i / 8)
            {
                *octet |= 0x80 >> (i % 8);
            }
        }
        (!whole).then_some(map)
    }

    /// How many frames are missing.
    pub(crate) fn wanted(&self) -> usize {
        self.count().saturating_sub(self.frames.iter().flatten().count())
    }

    /// What is there, in order: data, or the number of octets of a hole. Holes at the end are left
    /// away.
    pub(crate) fn content(&self) -> Vec<Result<Bytes, usize>> {
        let size = self.size.unwrap_or(FRAME_OCTETS);
        let mut out: Vec<Result<Bytes, usize>> = Vec::with_capacity(self.frames.len());
        for slot in &self.frames {
            match (slot, out.last_mut()) {
                (Some(data), _) => out.push(Ok(data.clone())),
                (None, Some(Err(hole))) => *hole += size,
                (None, _) => out.push(Err(size)),
            }
        }
        if let Some(Err(_)) = out.last() {
            out.pop();
        }
        out
    }

    /// Whether every frame that is here is also there, the same.
    pub(crate) fn repeats(&self, earlier: &Block) -> bool {
        self.frames
            .iter()
            .enumerate()
            .all(|(i, f)| f.is_none() || f.as_ref() == earlier.frames.get(i).and_then(Option::as_ref))
    }

    /// Octets of data that are here.
    pub(crate) fn octets(&self) -> usize {
        self.frames.iter().flatten().map(Bytes::len).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(frames: &[Bytes]) -> Block {
        let mut block = Block::default();
        for octets in frames {
            assert!(block.take(&Frame::parse(octets).expect("a frame")));
        }
        block
    }

    #[test]
    fn cut_and_put_together() {
        let data: Vec<u8> = (0..1000u32).map(|i| (i % 251) as u8).collect();
        let frames = cut(&data, 256);
        assert_eq!(frames.len(), 4);
        assert!(frames.iter().all(|f| f.len() == 260));
        assert_eq!(frames[1].slice(..4).as_ref(), [0xFF, 0xC0, 0x60, 0x80]);
        let mut shuffled = frames.clone();
        shuffled.reverse();
        shuffled.push(frames[2].clone());
        let mut block = received(&shuffled);
        block.state_count(4);
        assert_eq!(block.missing(), None);
        let octets: Vec<u8> =
            block.content().into_iter().flat_map(|part| part.expect("no hole").to_vec()).collect();
        assert_eq!(octets[..1000], data);
        assert!(octets[1000..].iter().all(|o| *o == 0));
    }

    /// The live trace: 45 frames, number 17 lost.
    #[test]
    fn the_map_of_a_block_with_one_frame_lost() {
        let mut frames = cut(&vec![7; 45 * 256], 256);
        frames.remove(17);
        let mut block = received(&frames);
        block.state_count(45);
        let map = block.missing().expect("one is missing");
        let mut want = [0xFF; 32];
        want[..6].copy_from_slice(&[0x00, 0x00, 0x40, 0x00, 0x00, 0x07]);
        assert_eq!(map, want);
        assert_eq!(requested(&map, 45), [17]);
        assert_eq!(requested(&[0xFF; 5], 45), (0..40).collect::<Vec<_>>());
        assert!(requested(&[0; 32], 256).is_empty());
    }

    #[test]
    fn the_first_count_stands_unless_more_was_seen() {
        let frames = cut(&vec![7; 10 * 256], 256);
        let mut block = received(&frames[..9]);
        block.state_count(10);
        assert!(block.missing().is_some());
        block.state_count(1);
        assert!(block.missing().is_some());
        assert!(block.take(&Frame::parse(&frames[9]).expect("a frame")));
        block.state_count(1);
        assert_eq!(block.missing(), None);
        let mut seen = received(&frames);
        seen.state_count(3);
        assert_eq!(seen.missing(), None);
        assert_eq!(seen.content().len(), 10);
    }

    #[test]
    fn frames_of_a_wrong_length_are_asked_for_again() {
        let mut frames = cut(&vec![7; 5 * 256], 256);
        frames[2] = frames[2].slice(..100);
        let mut block = received(&frames);
        block.state_count(5);
        assert_eq!(requested(&block.missing().expect("one"), 5), [2]);
        // 64 octets throughout, and a last frame that is short.
        let mut block = received(&cut(&vec![7; 5 * 64], 64));
        block.state_count(5);
        assert_eq!(block.missing(), None);
        let mut frames = cut(&vec![7; 5 * 256], 256);
        frames[4] = frames[4].slice(..30);
        let mut block = received(&frames);
        block.state_count(5);
        assert_eq!(block.missing(), None);
    }

    #[test]
    fn nonsense_is_no_data() {
        let mut block = Block::default();
        for octets in [&[0xFF, 0xC0, 0x60][..], &[0xFF, 0xC0, 0x60, 0x00], &[0xFF, 0xC0, 0x61]] {
            let frame = Frame::parse(&Bytes::copy_from_slice(octets)).expect("a frame");
            assert!(!block.take(&frame));
        }
        let mut long = vec![0xFF, 0xC0, 0x60, 0x00];
        long.resize(4 + 257, 0);
        assert!(!block.take(&Frame::parse(&long.into()).expect("a frame")));
        assert!(block.is_empty());
        block.state_count(0);
        assert!(block.missing().is_some());
    }
}
