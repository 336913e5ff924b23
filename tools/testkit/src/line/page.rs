//! Pages made up for the simulated line: octets that tell by themselves which page they are of.

use bytes::Bytes;

/// The octets of page `index`: a tag of 16 octets, counted, over and over.
#[must_use]
pub fn made_up(index: usize, octets: usize) -> Bytes {
    let mut page = Vec::with_capacity(octets + 16);
    let mut count = 0u32;
    while page.len() < octets {
        page.extend_from_slice(b"PAGE");
        page.extend_from_slice(&(index as u32).to_be_bytes());
        page.extend_from_slice(&count.to_be_bytes());
        page.extend_from_slice(&(count ^ 0xA5A5_5A5A).to_be_bytes());
        count += 1;
    }
    page.truncate(octets);
    page.into()
}

/// Which made-up page these octets are of, damaged as they may be: the one that most whole tags name.
#[must_use]
pub fn recognise(octets: &[u8]) -> Option<usize> {
    let mut votes = std::collections::HashMap::new();
    for tag in octets.windows(16) {
        let word = |i: usize| u32::from_be_bytes([tag[i], tag[i + 1], tag[i + 2], tag[i + 3]]);
        if &tag[..4] == b"PAGE" && word(8) ^ word(12) == 0xA5A5_5A5A {
            *votes.entry(word(4) as usize).or_insert(0u32) += 1;
        }
    }
    votes.into_iter().max_by_key(|(_, n)| *n).map(|(index, _)| index)
}
