//! SRTP between a socket and whatever speaks RTP: what comes is checked and decrypted, what goes is encrypted. Without
//! keys everything passes as it is.

use super::leg::DATAGRAM;
use fax_srtp::{Inbound, MasterKey, OVERHEAD, Outbound};

/// The keys of one stream, one for each direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Keys {
    /// Of what we send.
    pub(crate) ours: MasterKey,
    /// Of what they send.
    pub(crate) theirs: MasterKey,
}

/// One far end's keys and how far each direction has come with them.
#[derive(Default)]
pub(super) struct Shield(Option<Box<Worn>>);

struct Worn {
    keys: Keys,
    outbound: Outbound,
    inbound: Inbound,
    buffer: [u8; DATAGRAM + OVERHEAD],
}

impl Shield {
    /// These keys hold from now on. A direction whose key stays goes on counting.
    pub(super) fn turn_to(&mut self, keys: Option<Keys>) {
        self.0 = match (keys, self.0.take()) {
            (Some(keys), Some(worn)) if worn.keys == keys => Some(worn),
            (Some(keys), worn) => Self::wear(keys, worn.map(|w| *w)),
            (None, _) => None,
        };
    }

    fn wear(keys: Keys, worn: Option<Worn>) -> Option<Box<Worn>> {
        let (mut outbound, mut inbound) = (None, None);
        if let Some(worn) = worn {
            outbound = Some(worn.outbound).filter(|_| worn.keys.ours == keys.ours);
            inbound = Some(worn.inbound).filter(|_| worn.keys.theirs == keys.theirs);
        }
        let outbound = outbound.or_else(|| Outbound::new(&keys.ours))?;
        let inbound = inbound.or_else(|| Inbound::new(&keys.theirs))?;
        Some(Box::new(Worn { keys, outbound, inbound, buffer: [0; DATAGRAM + OVERHEAD] }))
    }

    /// A datagram that came, as plain RTP; `None`: it is not the far end's, and nothing has happened.
    pub(super) fn open<'a>(&mut self, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        let Some(worn) = &mut self.0 else { return Some(datagram) };
        let length = worn.inbound.unprotect(datagram)?;
        datagram.get(..length)
    }

    /// A packet of RTP as it may be sent; `None`: not at all.
    pub(super) fn seal<'a>(&'a mut self, packet: &'a [u8]) -> Option<&'a [u8]> {
        let Some(worn) = &mut self.0 else { return Some(packet) };
        worn.buffer.get_mut(..packet.len())?.copy_from_slice(packet);
        let length = worn.outbound.protect(&mut worn.buffer, packet.len())?;
        worn.buffer.get(..length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_srtp::Profile;

    fn key(fill: u8) -> MasterKey {
        MasterKey::new(Profile::Aes128Tag80, &[fill; 30]).unwrap()
    }

    fn shield(ours: u8, theirs: u8) -> Shield {
        let mut shield = Shield::default();
        shield.turn_to(Some(Keys { ours: key(ours), theirs: key(theirs) }));
        shield
    }

    fn rtp(sequence: u8) -> Vec<u8> {
        [&[0x80, 8, 0, sequence, 0, 0, 0, 0, 0, 0, 0, 9][..], &[0xD5; 160]].concat()
    }

    #[test]
    fn a_key_that_stays_goes_on_and_a_new_one_begins() {
        let (mut a, mut b) = (shield(1, 2), shield(2, 1));
        let first = a.seal(&rtp(1)).unwrap().to_vec();
        assert_eq!(b.open(&mut first.clone()), Some(&rtp(1)[..]));
        // The far end's other key changes: what was said with this one is still known.
        b.turn_to(Some(Keys { ours: key(3), theirs: key(1) }));
        assert_eq!(b.open(&mut first.clone()), None);
        assert_eq!(a.seal(&rtp(1)), None);
        a.turn_to(Some(Keys { ours: key(4), theirs: key(3) }));
        b.turn_to(Some(Keys { ours: key(3), theirs: key(4) }));
        let again = a.seal(&rtp(1)).unwrap().to_vec();
        assert_eq!(b.open(&mut again.clone()), Some(&rtp(1)[..]));
        assert_ne!(first, again);
        a.turn_to(None);
        assert_eq!(a.seal(&rtp(1)), Some(&rtp(1)[..]));
    }
}
