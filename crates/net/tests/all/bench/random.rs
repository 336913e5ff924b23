//! Damage by a seeded generator: the same in every run.

use std::path::PathBuf;

/// Marsaglia's xorshift: the same numbers in every run.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap()
    }

    pub fn below(&mut self, bound: usize) -> usize {
        self.next() % bound.max(1)
    }

    pub fn octet(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    pub fn octets(&mut self, most: usize) -> Vec<u8> {
        (0..self.below(most)).map(|_| self.octet()).collect()
    }

    /// A damaged copy: octets changed, cut, doubled.
    pub fn damaged(&mut self, whole: &[u8]) -> Vec<u8> {
        let mut copy = whole.to_vec();
        for _ in 0..=self.below(4) {
            let at = self.below(copy.len());
            match self.below(5) {
                0 => copy.truncate(at),
                1 => copy.extend_from_within(at..),
                2 => copy.insert(at.min(copy.len()), self.octet()),
                3 if at < copy.len() => drop(copy.drain(at..(at + 5).min(copy.len()))),
                _ => {
                    let octet = self.octet();
                    if let Some(place) = copy.get_mut(at) {
                        *place = octet;
                    }
                }
            }
            copy.truncate(4_000);
        }
        copy
    }
}

/// Resident memory in octets.
pub fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
    let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes << 10
}

/// Well-formed and odd SIP messages to begin with.
pub fn sip_messages() -> Vec<Vec<u8>> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sip");
    let mut messages: Vec<_> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|e| e == "sip"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    messages.sort();
    assert!(messages.len() > 20);
    messages
}
