//! Master keys and the transforms they are for (RFC 3711 §8.2, RFC 4568 §6.2, RFC 6188 §2).

use core::fmt;

/// A transform: cipher, authentication and how much of its tag is sent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Profile {
    /// AES with 128 bits, a tag of 80 bits.
    Aes128Tag80,
    /// AES with 128 bits, a tag of 32 bits; SRTCP still has 80.
    Aes128Tag32,
    /// AES with 256 bits, a tag of 80 bits.
    Aes256Tag80,
    /// AES with 256 bits, a tag of 32 bits; SRTCP still has 80.
    Aes256Tag32,
}

/// Octets of a master salt, and of a session salt.
pub(crate) const SALT: usize = 14;

impl Profile {
    /// Octets of the master key without its salt.
    #[must_use]
    pub const fn key_octets(self) -> usize {
        match self {
            Profile::Aes128Tag80 | Profile::Aes128Tag32 => 16,
            Profile::Aes256Tag80 | Profile::Aes256Tag32 => 32,
        }
    }

    /// Octets of the tag of an SRTP packet.
    pub(crate) const fn tag_octets(self) -> usize {
        match self {
            Profile::Aes128Tag80 | Profile::Aes256Tag80 => 10,
            Profile::Aes128Tag32 | Profile::Aes256Tag32 => 4,
        }
    }
}

/// A master key with its salt, and the identifier that its packets carry, if they do. Never printed.
#[derive(Clone)]
pub struct MasterKey {
    pub(crate) profile: Profile,
    /// As many as the profile says; the others are zero.
    key: [u8; 32],
    pub(crate) salt: [u8; SALT],
    pub(crate) mki: Vec<u8>,
}

impl MasterKey {
    /// Of a key and the salt that follows it, as a `crypto` attribute has them; `None` where their length is not the
    /// profile's.
    #[must_use]
    pub fn new(profile: Profile, key_and_salt: &[u8]) -> Option<MasterKey> {
        let (key, salt) = key_and_salt.split_at_checked(profile.key_octets())?;
        let mut whole = [0; 32];
        whole.get_mut(..key.len())?.copy_from_slice(key);
        Some(MasterKey { profile, key: whole, salt: salt.try_into().ok()?, mki: Vec::new() })
    }

    /// Packets carry this identifier before their tag (§3.1).
    #[must_use]
    pub fn with_identifier(self, mki: &[u8]) -> MasterKey {
        MasterKey { mki: mki.to_vec(), ..self }
    }

    pub(crate) fn key(&self) -> &[u8] {
        self.key.get(..self.profile.key_octets()).unwrap_or_default()
    }
}

impl PartialEq for MasterKey {
    fn eq(&self, other: &MasterKey) -> bool {
        use subtle::ConstantTimeEq as _;
        let same = self.key.ct_eq(&other.key) & self.salt.ct_eq(&other.salt);
        bool::from(same) && (self.profile, &self.mki) == (other.profile, &other.mki)
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("profile", &self.profile).finish_non_exhaustive()
    }
}
