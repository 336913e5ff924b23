//! Offer and answer for one call: the media lines keep their count and order, the version counts changes (RFC 3264 §5 to §8).

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use super::audio::{Codec, attributes, known};
use super::crypto::{Crypto, CryptoFault};
use super::parse::{Attribute, Media, Origin, SdpError, SessionDescription};
use super::t38::{ErrorCorrection, RateManagement, T38Parameters, common_version};

mod passed;
mod secure;

use secure::Security;
pub use secure::{MediaKeys, Srtp};

/// Audio as we can do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioLine {
    /// Our RTP port.
    pub port: u16,
    /// In order of preference.
    pub codecs: Vec<Codec>,
}

/// T.38 as we can do it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageLine {
    /// Our UDPTL port.
    pub port: u16,
    /// What we say of ourselves.
    pub parameters: T38Parameters,
}

/// What we offer.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LocalMedia {
    /// G.711.
    Audio(AudioLine),
    /// T.38.
    Image(ImageLine),
}

/// What we may take of an offer.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Capabilities {
    /// `None`: no audio.
    pub audio: Option<AudioLine>,
    /// `None`: no T.38.
    pub image: Option<ImageLine>,
    /// Where both are offered at once, they are alternatives: take T.38.
    pub prefer_image: bool,
}

/// Who sends, seen from us (RFC 3264 §6.1).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Direction {
    /// Both.
    SendReceive,
    /// Only we.
    SendOnly,
    /// Only they: we are put on hold, or they are.
    ReceiveOnly,
    /// Nobody.
    Inactive,
}

impl Direction {
    /// Whether we may send.
    #[must_use]
    pub const fn sends(self) -> bool {
        matches!(self, Direction::SendReceive | Direction::SendOnly)
    }
}

/// Agreed: audio.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct AudioSession {
    /// Where RTP goes; an unspecified address while on hold (old style).
    pub remote: SocketAddr,
    /// What is sent.
    pub codec: Codec,
    /// Its payload type, as sent to them.
    pub payload_type: u8,
    /// The payload type of telephone-event.
    pub telephone_event: Option<u8>,
    /// Packet time they ask for, ms.
    pub packet_time: u16,
    /// Who sends.
    pub direction: Direction,
    /// It goes by SRTP with these keys; `None`: plain.
    pub keys: Option<MediaKeys>,
}

/// Agreed: T.38.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ImageSession {
    /// Where UDPTL goes.
    pub remote: SocketAddr,
    /// What holds for what we send: version in use, both flags' common part, the lower bit rate, `max_datagram` as the far
    /// end said (400 if it did not), `error_correction` as we shall send.
    pub parameters: T38Parameters,
    /// Octets the far end takes in a datagram.
    pub far_max_datagram: u16,
    /// What we send along.
    pub error_correction: ErrorCorrection,
}

/// What both sides want.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Agreed {
    /// G.711.
    Audio(AudioSession),
    /// T.38.
    Image(ImageSession),
}

/// Why there is no session: refuse with [`Unacceptable::code`], or stay with the old one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Unacceptable {
    /// Not SDP at all.
    #[error(transparent)]
    Sdp(#[from] SdpError),
    /// Nothing in it that we can and may do.
    #[error("no medium in common")]
    NoCommonMedium,
    /// Every stream is refused.
    #[error("every stream is refused")]
    Refused,
    /// Plain RTP where SRTP has to be.
    #[error("audio has to go by SRTP here (RTP/SAVP with a=crypto)")]
    SrtpRequired,
    /// SRTP where there is none.
    #[error("SRTP is not done here; offer RTP/AVP")]
    SrtpOff,
    /// Its keys cannot be used.
    #[error(transparent)]
    Crypto(#[from] CryptoFault),
}

impl Unacceptable {
    /// The status code for an offer like this.
    #[must_use]
    pub const fn code(&self) -> u16 {
        match self {
            Unacceptable::Sdp(_) => 400,
            Unacceptable::NoCommonMedium
            | Unacceptable::Refused
            | Unacceptable::SrtpRequired
            | Unacceptable::SrtpOff
            | Unacceptable::Crypto(_) => 488,
        }
    }
}

/// The SDP side of one call.
#[derive(Clone, Debug)]
pub struct Negotiation {
    address: IpAddr,
    session_id: u64,
    version: u64,
    /// Our side as it holds.
    current: Option<SessionDescription>,
    /// Our offer without an answer.
    offered: Option<SessionDescription>,
    /// Our last offer that was refused or given up; an answer may still come.
    withdrawn: Option<SessionDescription>,
    /// An offer of ours was answered and came to nothing: its version is used up (RFC 3264 §8).
    spent: bool,
    security: Security,
}

impl Negotiation {
    /// A call whose media are at `address`; the id should differ from call to call.
    #[must_use]
    pub fn new(address: IpAddr, session_id: u64) -> Negotiation {
        Negotiation {
            address,
            session_id,
            version: session_id,
            current: None,
            offered: None,
            withdrawn: None,
            spent: false,
            security: Security::default(),
        }
    }

    /// Our side as it holds.
    #[must_use]
    pub fn current(&self) -> Option<&SessionDescription> {
        self.current.as_ref()
    }

    /// An offer of one medium. Where the session has lines already, the line of that kind is used, else the line in
    /// use changes its kind; all others are off.
    pub fn offer(&mut self, local: &LocalMedia) -> Bytes {
        let line = match local {
            LocalMedia::Audio(audio) => {
                let codecs: Vec<(Codec, u8)> = audio.codecs.iter().map(|c| (*c, c.payload_type())).collect();
                audio_line(audio.port, &codecs, Some(101), "RTP/AVP", Direction::SendReceive)
            }
            LocalMedia::Image(image) => {
                image_line("image", "udptl", image.port, image.parameters.attributes())
            }
        };
        self.offer_in_place(line)
    }

    fn offer_in_place(&mut self, mut line: Media) -> Bytes {
        self.secure_offer(&mut line);
        let mut media = self.current.as_ref().map(|c| c.media.clone()).unwrap_or_default();
        let same = media.iter().position(|m| m.kind.eq_ignore_ascii_case(&line.kind));
        let place = same.or_else(|| media.iter().position(|m| m.port != 0)).unwrap_or(0);
        for other in &mut media {
            switch_off(other);
        }
        match media.get_mut(place) {
            Some(slot) => *slot = line,
            None => media.push(line),
        }
        let sdp = self.describe(media);
        let octets = sdp.to_bytes();
        self.offered = Some(sdp);
        octets
    }

    /// Our side was offered once more without the hold of the far end ([`crate::Event::Refreshed`]): an offer of ours, and its
    /// version is used up.
    pub fn unheld(&mut self, offer: &[u8]) {
        if let Ok(sdp) = SessionDescription::parse(offer) {
            self.version = sdp.origin.version.parse().unwrap_or(self.version);
            self.offered = Some(sdp);
        }
    }

    /// Our offer was refused or given up: what held before still holds.
    pub fn refused(&mut self) {
        self.withdrawn = self.offered.take();
    }

    /// Their answer to our offer; to the session as it is when there is no offer; or, late, to one that was given up.
    pub fn answered(&mut self, answer: &[u8]) -> Result<Agreed, Unacceptable> {
        let theirs = SessionDescription::parse(answer)?;
        let offered = self.offered.take();
        let candidates = match offered.clone() {
            Some(offered) => vec![offered],
            None => self.current.iter().chain(&self.withdrawn).cloned().collect(),
        };
        let mut failure = Unacceptable::NoCommonMedium;
        for ours in candidates {
            match self.match_answer(&ours, &theirs) {
                Ok(agreed) => {
                    self.agree(match &agreed {
                        Agreed::Audio(audio) => audio.keys.clone(),
                        Agreed::Image(_) => None,
                    });
                    self.current = Some(ours);
                    self.withdrawn = None;
                    return Ok(agreed);
                }
                Err(error) => failure = error,
            }
        }
        self.spent |= offered.is_some();
        Err(failure)
    }

    /// Answers an offer: the SDP to send and what it means.
    pub fn answer(&mut self, offer: &[u8], can: &Capabilities) -> Result<(Bytes, Agreed), Unacceptable> {
        let theirs = SessionDescription::parse(offer)?;
        let image = theirs.media.iter().enumerate().find_map(|(i, m)| {
            let ours = can.image.as_ref()?;
            take_image(&theirs, m, ours).map(|(line, agreed)| (i, line, Agreed::Image(agreed)))
        });
        let audio = self.choose_audio(&theirs, can);
        let chosen = match (image, audio) {
            (Some((place, line, agreed)), Ok(_) | Err(_)) if can.prefer_image => {
                self.agree(None);
                Ok((place, line, agreed))
            }
            (_, Ok((place, mut line, mut agreed, crypto))) => {
                self.secure_answer(&mut line, crypto);
                agreed.keys = self.keys().cloned();
                Ok((place, line, Agreed::Audio(agreed)))
            }
            (Some((place, line, agreed)), Err(_)) => {
                self.agree(None);
                Ok((place, line, agreed))
            }
            (None, Err(reason)) => Err(reason),
        };
        let all_off = theirs.media.iter().all(|m| m.port == 0);
        let (place, line, agreed) =
            chosen.map_err(|reason| if all_off { Unacceptable::Refused } else { reason })?;
        let media =
            theirs.media.iter().enumerate().map(|(i, m)| if i == place { line.clone() } else { off_line(m) });
        let sdp = self.describe(media.collect());
        let octets = sdp.to_bytes();
        self.current = Some(sdp);
        (self.offered, self.withdrawn) = (None, None);
        Ok((octets, agreed))
    }

    /// The audio line that is taken, with its keys: where there are several, one that is secured.
    #[allow(clippy::type_complexity)]
    fn choose_audio(
        &self,
        theirs: &SessionDescription,
        can: &Capabilities,
    ) -> Result<(usize, Media, AudioSession, Option<Crypto>), Unacceptable> {
        let mut failure = Unacceptable::NoCommonMedium;
        let lines = theirs.media.iter().enumerate();
        let (secure, plain): (Vec<_>, Vec<_>) = lines.partition(|(_, m)| m.is_secure());
        for (place, media) in secure.into_iter().chain(plain) {
            let taken = can.audio.as_ref().and_then(|ours| take_audio(theirs, media, ours));
            let Some((line, agreed)) = taken else { continue };
            match self.choose(media) {
                Ok(crypto) => return Ok((place, line, agreed, crypto)),
                Err(reason) => failure = reason,
            }
        }
        Err(failure)
    }

    /// The description around these media; the version counts up only when something changes.
    fn describe(&mut self, media: Vec<Media>) -> SessionDescription {
        let address = self.address.to_string();
        let same =
            !core::mem::take(&mut self.spent) && self.current.as_ref().is_some_and(|c| c.media == media);
        if !same && (self.current.is_some() || self.offered.is_some()) {
            self.version = self.version.wrapping_add(1);
        }
        let version = match &self.current {
            Some(current) if same => current.origin.version.clone(),
            _ => self.version.to_string(),
        };
        let (username, session_id) = (String::from("-"), self.session_id.to_string());
        let origin = Origin { username, session_id, version, address: address.clone() };
        SessionDescription { origin, connection: Some(address), attributes: Vec::new(), media }
    }
}

fn audio_line(
    port: u16,
    codecs: &[(Codec, u8)],
    events: Option<u8>,
    transport: &str,
    direction: Direction,
) -> Media {
    let mut list = attributes(codecs, events);
    match direction {
        Direction::SendReceive => {}
        Direction::SendOnly => list.push(Attribute::flag("sendonly")),
        Direction::ReceiveOnly => list.push(Attribute::flag("recvonly")),
        Direction::Inactive => list.push(Attribute::flag("inactive")),
    }
    let formats = codecs.iter().map(|(_, pt)| pt.to_string()).chain(events.map(|e| e.to_string())).collect();
    let (kind, transport) = (String::from("audio"), transport.to_owned());
    Media { kind, port, transport, formats, connection: None, attributes: list }
}

fn image_line(kind: &str, transport: &str, port: u16, attributes: Vec<Attribute>) -> Media {
    let (kind, transport) = (kind.to_owned(), transport.to_owned());
    Media { kind, port, transport, formats: vec![String::from("t38")], connection: None, attributes }
}

/// A line that is off keeps its kind, transport and formats, and nothing else.
fn switch_off(media: &mut Media) {
    media.port = 0;
    media.attributes.clear();
    media.connection = None;
}

fn off_line(theirs: &Media) -> Media {
    let mut line = theirs.clone();
    switch_off(&mut line);
    if line.formats.is_empty() {
        line.formats.push(String::from("0"));
    }
    line
}

/// Their direction, turned round to ours; old peers hold with the address 0.0.0.0.
fn direction(theirs: &SessionDescription, media: &Media) -> Direction {
    let word = |list: &[Attribute]| {
        list.iter().rev().find_map(|a| match a.name.to_ascii_lowercase().as_str() {
            "sendrecv" => Some(Direction::SendReceive),
            "sendonly" => Some(Direction::ReceiveOnly),
            "recvonly" => Some(Direction::SendOnly),
            "inactive" => Some(Direction::Inactive),
            _ => None,
        })
    };
    let said = word(&media.attributes).or_else(|| word(&theirs.attributes)).unwrap_or(Direction::SendReceive);
    let held = theirs.address_of(media).is_some_and(|a| a.ip().is_unspecified());
    match (said, held) {
        (Direction::SendReceive, true) => Direction::ReceiveOnly,
        (Direction::SendOnly, true) => Direction::Inactive,
        (said, _) => said,
    }
}

fn packet_time(media: &Media) -> u16 {
    let value = media.attribute("ptime").and_then(|a| a.value.as_deref());
    value.and_then(|v| v.parse().ok()).filter(|t| (10..=200).contains(t) && t % 10 == 0).unwrap_or(20)
}

fn take_audio(theirs: &SessionDescription, media: &Media, ours: &AudioLine) -> Option<(Media, AudioSession)> {
    if media.port == 0 || !media.is_audio() {
        return None;
    }
    let (codecs, telephone_event) = known(media);
    let (codec, payload_type) = codecs.into_iter().find(|(c, _)| ours.codecs.contains(c))?;
    let remote = theirs.address_of(media)?;
    let direction = direction(theirs, media);
    let line = audio_line(ours.port, &[(codec, payload_type)], telephone_event, &media.transport, direction);
    let packet_time = packet_time(media);
    let keys = None;
    Some((line, AudioSession { remote, codec, payload_type, telephone_event, packet_time, direction, keys }))
}

fn take_image(theirs: &SessionDescription, media: &Media, ours: &ImageLine) -> Option<(Media, ImageSession)> {
    if media.port == 0 || !media.is_t38() {
        return None;
    }
    let far = T38Parameters::read(media);
    // Over UDPTL the training check is sent through; an offer of the other cannot be answered with this one.
    if far.rate_management == RateManagement::LocalTcf {
        return None;
    }
    let remote = theirs.address_of(media)?;
    let answer = ours.parameters.answer(&far);
    let mut line = image_line(&media.kind, &media.transport, ours.port, answer.attributes());
    line.formats.clone_from(&media.formats);
    Some((line, agreed_image(remote, &answer, &far)))
}

/// What holds for what we send, from our words and theirs.
fn agreed_image(remote: SocketAddr, ours: &T38Parameters, far: &T38Parameters) -> ImageSession {
    let far_max_datagram = far.max_datagram.filter(|d| *d > 0).unwrap_or(400);
    // Redundancy harms nobody who did not ask for it; parity only helps those who did.
    let error_correction = match (far.error_correction, ours.error_correction) {
        (Some(ErrorCorrection::None), _) => ErrorCorrection::None,
        (Some(ErrorCorrection::Fec), Some(ErrorCorrection::Fec)) => ErrorCorrection::Fec,
        _ => ErrorCorrection::Redundancy,
    };
    let parameters = T38Parameters {
        version: common_version(ours.version, far.version),
        max_bit_rate: ours.max_bit_rate.min(far.max_bit_rate),
        fill_bit_removal: ours.fill_bit_removal && far.fill_bit_removal,
        transcoding_mmr: ours.transcoding_mmr && far.transcoding_mmr,
        transcoding_jbig: ours.transcoding_jbig && far.transcoding_jbig,
        rate_management: far.rate_management,
        max_buffer: far.max_buffer,
        max_datagram: Some(far_max_datagram),
        error_correction: Some(error_correction),
        valued_flags: far.valued_flags,
    };
    ImageSession { remote, parameters, far_max_datagram, error_correction }
}

impl Negotiation {
    /// Which of our lines they took. A peer that answers T.38 with an audio line means audio.
    fn match_answer(
        &self,
        ours: &SessionDescription,
        theirs: &SessionDescription,
    ) -> Result<Agreed, Unacceptable> {
        let live: Vec<&Media> = theirs.media.iter().filter(|m| m.port != 0).collect();
        if live.is_empty() {
            return Err(Unacceptable::Refused);
        }
        let offered_image = ours.media.iter().find(|m| m.port != 0 && m.is_t38());
        if let (Some(mine), Some(media)) = (offered_image, live.iter().find(|m| m.is_t38())) {
            let remote = theirs.address_of(media).ok_or(Unacceptable::NoCommonMedium)?;
            let (mine, far) = (T38Parameters::read(mine), T38Parameters::read(media));
            return Ok(Agreed::Image(agreed_image(remote, &mine, &far)));
        }
        let line = ours.media.iter().find(|m| m.port != 0 && m.is_audio());
        let offered = line.map(|m| known(m).0);
        let mut failure = Unacceptable::NoCommonMedium;
        for media in live.iter().filter(|m| m.is_audio()) {
            let (codecs, telephone_event) = known(media);
            let taken = codecs
                .into_iter()
                .find(|(c, _)| offered.as_ref().is_none_or(|o| o.iter().any(|(k, _)| k == c)));
            let Some((codec, payload_type)) = taken else {
                continue;
            };
            let remote = theirs.address_of(media).ok_or(Unacceptable::NoCommonMedium)?;
            let keys = match self.match_keys(line, media) {
                Ok(keys) => keys,
                Err(reason) => {
                    failure = reason;
                    continue;
                }
            };
            let (packet_time, direction) = (packet_time(media), direction(theirs, media));
            return Ok(Agreed::Audio(AudioSession {
                remote,
                codec,
                payload_type,
                telephone_event,
                packet_time,
                direction,
                keys,
            }));
        }
        Err(failure)
    }
}
