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
