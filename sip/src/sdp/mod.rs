//! Session descriptions for fax: offers and answers of G.711, plain or by SRTP, and T.38 (RFC 8866, RFC 3264, RFC 4568, T.38 Annex D).

mod audio;
mod crypto;
mod negotiation;
mod parse;
mod t38;

pub use audio::Codec;
pub use crypto::{Crypto, CryptoFault, CryptoKey, Suite};
pub use negotiation::{
    Agreed, AudioLine, AudioSession, Capabilities, Direction, ImageLine, ImageSession, LocalMedia, MediaKeys,
    Negotiation, Srtp, Unacceptable,
};
pub use parse::{Attribute, Media, Origin, SdpError, SessionDescription};
pub use t38::{ErrorCorrection, RateManagement, T38Parameters};

use bytes::Bytes;

/// Whether `new` describes the same session as `old`: line by line the same but for the version in `o=`. Then a
/// re-INVITE only renews the session (RFC 4028 §7.4), whether or not the peer counts the version up.
#[must_use]
pub fn unchanged(old: &[u8], new: &[u8]) -> bool {
    fn lines(sdp: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
        sdp.split(|&b| b == b'\n').map(<[u8]>::trim_ascii_end).filter(|l| !l.is_empty()).map(|line| {
            let words = line.split(|&b| b == b' ');
            if line.starts_with(b"o=") {
                words.enumerate().filter(|(i, _)| *i != 2).map(|(_, w)| w).collect()
            } else {
                words.collect()
            }
        })
    }
    lines(old).eq(lines(new))
}

/// Whether a description holds who gets it: on some live line it does not both send and receive (RFC 3264 §8.4).
pub(crate) fn is_held(octets: &[u8]) -> bool {
    let sdp = SessionDescription::parse(octets);
    let held = |sdp: &SessionDescription, m: &Media| sdp.direction_of(m) != Direction::SendReceive;
    sdp.is_ok_and(|sdp| sdp.media.iter().any(|m| m.port != 0 && held(&sdp, m)))
}

/// A description of ours without the hold that it answers, and with the next version; `None`: it has none.
pub(crate) fn unheld(octets: &[u8]) -> Option<Bytes> {
    let mut sdp = SessionDescription::parse(octets).ok()?;
    let before = sdp.clone();
    let held = |a: &Attribute| ["sendonly", "recvonly", "inactive"].iter().any(|word| a.is(word));
    sdp.attributes.retain(|a| !held(a));
    sdp.media.iter_mut().filter(|m| m.port != 0).for_each(|m| m.attributes.retain(|a| !held(a)));
    if sdp == before {
        return None;
    }
    sdp.origin.version = sdp.origin.version.parse::<u64>().ok()?.wrapping_add(1).to_string();
    Some(sdp.to_bytes())
}
