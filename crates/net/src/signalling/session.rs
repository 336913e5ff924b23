//! A call's session description: what this driver offers and takes, in the words of its media.

use super::security::{Security, media_keys};
use crate::media::{Codec, Keys};
use bytes::Bytes;
use fax_dsp::g711::Law;
use fax_sip::sdp::{
    self, AudioLine, Capabilities, ErrorCorrection, ImageLine, LocalMedia, Negotiation, T38Parameters,
    Unacceptable,
};
use std::net::SocketAddr;

/// Octets of a UDPTL packet that we take.
const MAX_DATAGRAM: u16 = 1_400;

/// The fastest that G3 fax goes without V.34, bit/s: no limit at all.
const FASTEST: u32 = 14_400;

/// What both sides will do.
pub(crate) enum Agreed {
    Audio { remote: SocketAddr, codec: Codec, keys: Option<Keys> },
    T38 { remote: SocketAddr, config: fax_t38::Config },
}

/// One call's offers and answers.
pub(crate) struct Session {
    port: u16,
    negotiation: Negotiation,
    /// The answer to the first offer, ready before the owner has decided.
    first: Option<(Bytes, Agreed)>,
    /// T.38 may come after SRTP.
    t38_beside: bool,
    /// We offer SRTP, and would do without.
    srtp_offered: bool,
}

impl Session {
    /// A call whose media are at `local`.
    pub(crate) fn new(local: SocketAddr, id: u32) -> Self {
        let negotiation = Negotiation::new(local.ip(), u64::from(id));
        Session { port: local.port(), negotiation, first: None, t38_beside: true, srtp_offered: false }
    }

    /// The same with SRTP.
    pub(super) fn secured(self, security: &Security) -> Self {
        let negotiation = security.apply(self.negotiation);
        Session { negotiation, t38_beside: security.t38, srtp_offered: security.may_do_without(), ..self }
    }

    /// Audio goes by SRTP, and T.38, which goes in clear, must not come after it.
    pub(super) fn bars_t38(&self) -> bool {
        !self.t38_beside && self.negotiation.keys().is_some()
    }

    /// The far end refused our first offer, which was of SRTP: the same in plain RTP, where that is allowed.
    /// `None`: it is not, or was offered already.
    pub(super) fn plain_offer(&mut self) -> Option<Bytes> {
        if !std::mem::take(&mut self.srtp_offered) {
            return None;
        }
        self.negotiation.refused();
        self.negotiation.without_srtp();
        Some(self.audio_offer())
    }

    fn audio(&self) -> AudioLine {
        AudioLine { port: self.port, codecs: vec![sdp::Codec::Pcma, sdp::Codec::Pcmu] }
    }

    fn image(&self) -> ImageLine {
        let parameters = T38Parameters {
            version: 0,
            max_bit_rate: FASTEST,
            max_datagram: Some(MAX_DATAGRAM),
            error_correction: Some(ErrorCorrection::Redundancy),
            ..T38Parameters::default()
        };
        ImageLine { port: self.port, parameters }
    }

    /// An offer of G.711.
    pub(super) fn audio_offer(&mut self) -> Bytes {
        let audio = LocalMedia::Audio(self.audio());
        self.negotiation.offer(&audio)
    }

    /// An offer of T.38.
    pub(super) fn t38_offer(&mut self) -> Bytes {
        let image = LocalMedia::Image(self.image());
        self.negotiation.offer(&image)
    }

    /// Our side was offered again without the far end's hold.
    pub(super) fn unheld(&mut self, offer: &Bytes) {
        self.negotiation.unheld(offer);
    }

    /// Our offer was refused.
    pub(super) fn offer_failed(&mut self) {
        self.negotiation.refused();
    }

    /// The answer to our offer.
    pub(super) fn read_answer(&mut self, answer: &Bytes) -> Option<Agreed> {
        match self.negotiation.answered(answer) {
            Ok(agreed) => Some(translate(agreed)),
            Err(reason) => {
                tracing::debug!(%reason, "the answer serves nothing");
                None
            }
        }
    }

    /// Reads the offer of an incoming INVITE, audio before T.38.
    pub(super) fn take_first_offer(&mut self, offer: &Bytes, t38: bool) -> Result<(), Unacceptable> {
        self.first = Some(self.answer(offer, true, t38, false)?);
        Ok(())
    }

    /// What goes into the 200: the answer, or our own offer when the INVITE had none.
    pub(super) fn first_answer(&mut self) -> (Bytes, Option<Agreed>) {
        match self.first.take() {
            Some((answer, agreed)) => (answer, Some(agreed)),
            None => (self.audio_offer(), None),
        }
    }

    /// The answer to an offer within the call; `None`: refuse it, what held before still holds.
    pub(super) fn answer_offer(&mut self, offer: &Bytes, audio: bool, t38: bool) -> Option<(Bytes, Agreed)> {
        // Audio and image side by side are alternatives (RFC 3264 §5.1): in mid-call a fax means the image.
        self.answer(offer, audio, t38, true).ok()
    }

    fn answer(
        &mut self,
        offer: &Bytes,
        audio: bool,
        t38: bool,
        prefer_image: bool,
    ) -> Result<(Bytes, Agreed), Unacceptable> {
        let can = Capabilities {
            audio: audio.then(|| self.audio()),
            image: t38.then(|| self.image()),
            prefer_image,
        };
        match self.negotiation.answer(offer, &can) {
            Ok((answer, agreed)) => Ok((answer, translate(agreed))),
            Err(reason) => {
                tracing::debug!(%reason, "the offer serves nothing");
                Err(reason)
            }
        }
    }
}

fn translate(agreed: sdp::Agreed) -> Agreed {
    match agreed {
        sdp::Agreed::Audio(audio) => {
            let law = match audio.codec {
                sdp::Codec::Pcmu => Law::Mu,
                sdp::Codec::Pcma => Law::A,
            };
            let codec = Codec { law, payload_type: audio.payload_type };
            let keys = audio.keys.as_ref().and_then(media_keys);
            Agreed::Audio { remote: audio.remote, codec, keys }
        }
        sdp::Agreed::Image(image) => {
            let config = fax_t38::Config {
                version: image.parameters.version,
                far_max_datagram: image.far_max_datagram,
                error_correction: match image.error_correction {
                    ErrorCorrection::None => fax_t38::ErrorCorrection::None,
                    ErrorCorrection::Redundancy => fax_t38::ErrorCorrection::Redundancy,
                    ErrorCorrection::Fec => fax_t38::ErrorCorrection::Fec,
                },
                far_max_bit_rate: match image.parameters.max_bit_rate {
                    FASTEST.. => u32::MAX,
                    limit => limit,
                },
                ..fax_t38::Config::default()
            };
            Agreed::T38 { remote: image.remote, config }
        }
    }
}
