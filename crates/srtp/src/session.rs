//! Session keys of one master key: encryption, authentication and salt, for SRTP and for SRTCP (§4.3).

use crate::key::{MasterKey, SALT};
use crate::keystream::{Cipher, salted};
use hmac::{Hmac, KeyInit as _, Mac as _};
use sha1::Sha1;

/// Octets of an authentication key (§5.2).
const AUTHENTICATION: usize = 20;

/// The longest tag.
pub(crate) const TAG: usize = 20;

/// What one kind of packets is protected by.
#[derive(Clone)]
pub(crate) struct SessionKeys {
    cipher: Cipher,
    salt: u128,
    authentication: Hmac<Sha1>,
}

impl SessionKeys {
    /// Derives those for SRTP (`first` is 0) or SRTCP (3): the first of three labels in a row (§4.3.1, §4.3.2). The key
    /// derivation rate is zero.
    pub(crate) fn derive(master: &MasterKey, first: u8) -> Option<SessionKeys> {
        let source = Cipher::new(master.key())?;
        let derive = |label: u8, out: &mut [u8]| {
            source.apply(salted(&master.salt) ^ (u128::from(first + label) << 64), out);
        };
        let mut key = [0; 32];
        let key = key.get_mut(..master.profile.key_octets())?;
        let (mut authentication, mut salt) = ([0; AUTHENTICATION], [0; SALT]);
        derive(0, key);
        derive(1, &mut authentication);
        derive(2, &mut salt);
        Some(SessionKeys {
            cipher: Cipher::new(key)?,
            salt: salted(&salt),
            authentication: Hmac::new_from_slice(&authentication).ok()?,
        })
    }

    /// Encrypts or decrypts what a packet of this source and index carries (§4.1.1).
    pub(crate) fn apply(&self, ssrc: u32, index: u64, data: &mut [u8]) {
        let counter = self.salt ^ (u128::from(ssrc) << 64) ^ (u128::from(index) << 16);
        self.cipher.apply(counter, data);
    }

    /// The whole tag of what is authenticated, of which packets carry the beginning (§4.2.1).
    pub(crate) fn tag(&self, packet: &[u8], after: &[u8]) -> [u8; TAG] {
        let mut mac = self.authentication.clone();
        mac.update(packet);
        mac.update(after);
        mac.finalize().into_bytes().into()
    }

    /// Whether `tag` is what a packet should carry, in constant time.
    pub(crate) fn is_authentic(&self, packet: &[u8], after: &[u8], tag: &[u8]) -> bool {
        use subtle::ConstantTimeEq as _;
        let right = self.tag(packet, after);
        right.get(..tag.len()).is_some_and(|right| bool::from(right.ct_eq(tag)))
    }
}
