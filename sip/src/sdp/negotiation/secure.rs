//! SRTP in offers and answers: whose key is for what, and when there is none (RFC 4568 §5, §7).
//!
//! Our key for a stream stays as long as the stream: whoever offers anew, the same key is said again, so that both go on
//! counting. A stream that begins, or begins again after T.38, has a key of its own.

use core::fmt;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha20Rng;

use super::super::crypto::{Crypto, CryptoFault, CryptoKey, Suite};
use super::super::parse::{Attribute, Media, SessionDescription};
use super::{Negotiation, Unacceptable};

/// Whether a side's audio goes by SRTP.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Srtp {
    /// Never: an offer that demands it is refused.
    #[default]
    Off,
    /// Where they offer it.
    Accepted,
    /// We offer it, and take plain RTP where they offer that.
    Offered,
    /// Always: plain RTP is refused.
    Required,
}

/// The keys of one stream, one for each direction.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MediaKeys {
    /// Of what we send.
    pub ours: CryptoKey,
    /// Of what they send.
    pub theirs: CryptoKey,
}

/// What a negotiation knows of SRTP.
#[derive(Clone, Default)]
pub(super) struct Security {
    srtp: Srtp,
    /// Where keys come from; there is one wherever SRTP is not off.
    draw: Option<ChaCha20Rng>,
    agreed: Option<MediaKeys>,
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Security").field("srtp", &self.srtp).finish_non_exhaustive()
    }
}

impl Security {
    fn draw(&mut self, suite: Suite) -> Option<CryptoKey> {
        let mut key_and_salt = vec![0; suite.key_octets()];
        self.draw.as_mut()?.fill_bytes(&mut key_and_salt);
        Some(CryptoKey { suite, key_and_salt, mki: Vec::new() })
    }
}

impl Negotiation {
    /// Lets audio go by SRTP; `seed`, from the system's randomness, is what keys are made of.
    #[must_use]
    pub fn with_srtp(mut self, srtp: Srtp, seed: [u8; 32]) -> Negotiation {
        let draw = Some(ChaCha20Rng::from_seed(seed)).filter(|_| srtp != Srtp::Off);
        self.security = Security { srtp, draw, agreed: None };
        self
    }

    /// The far end does not want SRTP: offers are plain from now on, where it is not required.
    pub fn without_srtp(&mut self) {
        if self.security.srtp == Srtp::Offered {
            self.security.srtp = Srtp::Accepted;
        }
    }

    /// The keys of the present stream; `None`: it is plain, or no audio.
    #[must_use]
    pub fn keys(&self) -> Option<&MediaKeys> {
        self.security.agreed.as_ref()
    }

    pub(super) fn agree(&mut self, keys: Option<MediaKeys>) {
        self.security.agreed = keys;
    }

    /// An audio line as it is offered: secured where that is wanted, or where the present stream is.
    pub(super) fn secure_offer(&mut self, line: &mut Media) {
        if !line.is_audio() {
            return;
        }
        line.attributes.retain(|a| !a.is("crypto"));
        let present = self.current.as_ref().and_then(live_audio);
        let keys: Vec<Attribute> = match present {
            Some(present) if present.is_secure() => {
                present.attributes.iter().filter(|a| a.is("crypto")).cloned().collect()
            }
            Some(_) if self.security.srtp != Srtp::Required => Vec::new(),
            Some(_) | None => match self.security.srtp {
                Srtp::Off | Srtp::Accepted => Vec::new(),
                Srtp::Offered | Srtp::Required => {
                    let drawn = Suite::ALL.into_iter().filter_map(|suite| self.security.draw(suite));
                    drawn.zip(1..).map(|(key, tag)| attribute(&Crypto { tag, key })).collect()
                }
            },
        };
        set_secure(line, !keys.is_empty());
        line.attributes.extend(keys);
    }

    /// Which of the keys of an offered line is taken; `None`: it is plain. An error: it is not for us.
    pub(super) fn choose(&self, theirs: &Media) -> Result<Option<Crypto>, Unacceptable> {
        match (theirs.is_secure(), self.security.srtp) {
            (false, Srtp::Required) => Err(Unacceptable::SrtpRequired),
            (false, Srtp::Off | Srtp::Accepted | Srtp::Offered) => Ok(None),
            (true, Srtp::Off) => Err(Unacceptable::SrtpOff),
            (true, Srtp::Accepted | Srtp::Offered | Srtp::Required) => {
                let mut fault = CryptoFault::Missing;
                for value in crypto_values(theirs) {
                    match Crypto::read(value) {
                        Ok(crypto) => return Ok(Some(crypto)),
                        Err(found) => fault = found,
                    }
                }
                Err(fault.into())
            }
        }
    }

    /// Our line of an answer, with our key where theirs was taken.
    pub(super) fn secure_answer(&mut self, line: &mut Media, taken: Option<Crypto>) {
        line.attributes.retain(|a| !a.is("crypto"));
        set_secure(line, taken.is_some());
        let Some(Crypto { tag, key: theirs }) = taken else { return self.agree(None) };
        let goes_on = self.current.as_ref().and_then(live_audio).is_some_and(Media::is_secure);
        let present = self.security.agreed.as_ref().filter(|a| goes_on && a.ours.suite == theirs.suite);
        let ours = match present {
            Some(agreed) => Some(agreed.ours.clone()),
            None => self.security.draw(theirs.suite),
        };
        // Nothing is taken where no keys can be drawn.
        if let Some(key) = ours {
            line.attributes.push(attribute(&Crypto { tag, key: key.clone() }));
            self.agree(Some(MediaKeys { ours: key, theirs }));
        }
    }

    /// The keys in an answer to the audio that we offered last; `None`: it is plain, as offered.
    pub fn keys_in(&self, answer: &SessionDescription) -> Result<Option<MediaKeys>, Unacceptable> {
        let offered = self.offered.as_ref().or(self.current.as_ref()).and_then(live_audio);
        match live_audio(answer) {
            Some(theirs) => self.match_keys(offered, theirs),
            None => Ok(None),
        }
    }

    /// The keys of a line that answers ours; `None` for ours: we offered no audio.
    pub(super) fn match_keys(
        &self,
        ours: Option<&Media>,
        theirs: &Media,
    ) -> Result<Option<MediaKeys>, Unacceptable> {
        match (ours.is_some_and(Media::is_secure), theirs.is_secure()) {
            (false, false) if ours.is_none() && self.security.srtp == Srtp::Required => {
                Err(Unacceptable::SrtpRequired)
            }
            (false, false) => Ok(None),
            (true, false) => Err(Unacceptable::SrtpRequired),
            (false, true) => Err(CryptoFault::Unoffered.into()),
            (true, true) => {
                let value = crypto_values(theirs).next().ok_or(CryptoFault::Missing)?;
                let taken = Crypto::read(value)?;
                let mut offered =
                    ours.into_iter().flat_map(crypto_values).filter_map(|v| Crypto::read(v).ok());
                let ours = offered.find(|o| o.tag == taken.tag && o.key.suite == taken.key.suite);
                let ours = ours.ok_or(CryptoFault::Unoffered)?;
                Ok(Some(MediaKeys { ours: ours.key, theirs: taken.key }))
            }
        }
    }
}

fn live_audio(sdp: &SessionDescription) -> Option<&Media> {
    sdp.media.iter().find(|m| m.port != 0 && m.is_audio())
}

fn crypto_values(media: &Media) -> impl Iterator<Item = &str> {
    media.attributes.iter().filter(|a| a.is("crypto")).filter_map(|a| a.value.as_deref())
}

fn attribute(crypto: &Crypto) -> Attribute {
    Attribute::new("crypto", crypto.value())
}

/// `RTP/AVP` or `RTP/SAVP`, with or without feedback.
fn set_secure(line: &mut Media, secure: bool) {
    let feedback = line.transport.to_ascii_uppercase().ends_with('F');
    let transport = match (secure, feedback) {
        (false, false) => "RTP/AVP",
        (false, true) => "RTP/AVPF",
        (true, false) => "RTP/SAVP",
        (true, true) => "RTP/SAVPF",
    };
    transport.clone_into(&mut line.transport);
}
