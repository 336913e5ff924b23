//! AES in counter mode: the keystream of packets, and of the derivation of keys (§4.1.1, §4.3.3; RFC 6188 §2, §3).

use aes::cipher::{Block, BlockCipherEncrypt as _, KeyInit as _};
use aes::{Aes128, Aes256};

/// A cipher with its key.
#[derive(Clone)]
pub(crate) enum Cipher {
    Short(Box<Aes128>),
    Long(Box<Aes256>),
}

impl Cipher {
    /// Of a key of 16 or 32 octets.
    pub(crate) fn new(key: &[u8]) -> Option<Cipher> {
        match key.len() {
            16 => Aes128::new_from_slice(key).ok().map(|c| Cipher::Short(Box::new(c))),
            _ => Aes256::new_from_slice(key).ok().map(|c| Cipher::Long(Box::new(c))),
        }
    }

    /// Combines `data` with the keystream that begins at this counter, whose lower 16 bits are zero.
    pub(crate) fn apply(&self, counter: u128, data: &mut [u8]) {
        for (piece, counter) in data.chunks_mut(16).zip(counter..) {
            let mut block = Block::<Aes128>::from(counter.to_be_bytes());
            match self {
                Cipher::Short(aes) => aes.encrypt_block(&mut block),
                Cipher::Long(aes) => aes.encrypt_block(&mut block),
            }
            piece.iter_mut().zip(block).for_each(|(octet, key)| *octet ^= key);
        }
    }
}

/// A salt as the counter has it: above its lower 16 bits.
pub(crate) fn salted(salt: &[u8; 14]) -> u128 {
    salt.iter().fold(0, |all, octet| (all << 8) | u128::from(*octet)) << 16
}
