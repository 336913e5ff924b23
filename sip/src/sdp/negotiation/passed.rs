//! Offers and answers with lines that somebody else wrote: of calls that are passed on (RFC 3264 §5 to §8).

use bytes::Bytes;

use super::super::parse::{Media, SessionDescription};
use super::{
    AudioSession, ImageSession, Negotiation, Unacceptable, agreed_image, direction, off_line, packet_time,
};
use crate::sdp::audio::known;
use crate::sdp::t38::T38Parameters;

impl Negotiation {
    /// An offer with this line, placed as [`Negotiation::offer`] does.
    pub fn offer_line(&mut self, line: Media) -> Bytes {
        self.offer_in_place(line)
    }

    /// Whether a line of an offer is for us, as far as SRTP goes.
    pub fn admits(&self, theirs: &Media) -> Result<(), Unacceptable> {
        if theirs.is_audio() { self.choose(theirs).map(drop) } else { Ok(()) }
    }

    /// The answer to an offer: this line in the place of theirs, all others refused.
    pub fn answer_line(
        &mut self,
        theirs: &SessionDescription,
        place: usize,
        line: &Media,
    ) -> Result<Bytes, Unacceptable> {
        let mut line = line.clone();
        if line.is_audio() {
            let offered = theirs.media.get(place).ok_or(Unacceptable::NoCommonMedium)?;
            let taken = self.choose(offered)?;
            self.secure_answer(&mut line, taken);
        } else {
            self.agree(None);
        }
        let lines = theirs.media.iter().enumerate();
        let media = lines.map(|(i, m)| if i == place { line.clone() } else { off_line(m) }).collect();
        let sdp = self.describe(media);
        let octets = sdp.to_bytes();
        self.current = Some(sdp);
        (self.offered, self.withdrawn) = (None, None);
        Ok(octets)
    }

    /// Our offer was answered by something that its service reads itself, but for the keys.
    pub fn taken(&mut self, answer: &SessionDescription) -> Result<(), Unacceptable> {
        let keys = self.keys_in(answer)?;
        self.agree(keys);
        if let Some(ours) = self.offered.take() {
            self.current = Some(ours);
            self.withdrawn = None;
        }
        Ok(())
    }
}

impl SessionDescription {
    /// What the first live audio line means: its address, its G.711, if it has any, and who sends. The codec need not
    /// be one of ours; keys are [`Negotiation::keys`].
    #[must_use]
    pub fn audio(&self) -> Option<(usize, &Media, Option<AudioSession>)> {
        self.audio_where(|_| true)
    }

    /// The same of those lines that are for us; of several one that is secured.
    #[must_use]
    pub fn audio_where(
        &self,
        ours: impl Fn(&Media) -> bool,
    ) -> Option<(usize, &Media, Option<AudioSession>)> {
        let live = self.media.iter().enumerate().filter(|(_, m)| m.port != 0 && m.is_audio() && ours(m));
        let (place, media) = live.min_by_key(|(_, m)| !m.is_secure())?;
        let remote = self.address_of(media)?;
        let (codecs, telephone_event) = known(media);
        let session = codecs.first().map(|&(codec, payload_type)| AudioSession {
            remote,
            codec,
            payload_type,
            telephone_event,
            packet_time: packet_time(media),
            direction: direction(self, media),
            keys: None,
        });
        Some((place, media, session))
    }

    /// The first live T.38 line, and what holds for what is sent there by somebody with these parameters.
    #[must_use]
    pub fn image(&self, ours: &T38Parameters) -> Option<(usize, &Media, ImageSession)> {
        let (place, media) = self.media.iter().enumerate().find(|(_, m)| m.port != 0 && m.is_t38())?;
        let remote = self.address_of(media)?;
        Some((place, media, agreed_image(remote, ours, &T38Parameters::read(media))))
    }

    /// Who sends on a line, seen from us.
    #[must_use]
    pub fn direction_of(&self, media: &Media) -> super::Direction {
        direction(self, media)
    }
}
