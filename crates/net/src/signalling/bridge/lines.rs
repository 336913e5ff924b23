//! The media lines of a call that is passed on: what is read from one side, and what is said to the other (RFC 3264, RFC 8866).

use crate::media::{Codec, SideCarrier};
use bytes::Bytes;
use fax_dsp::g711::Law;
use fax_sip::sdp::{
    self, Agreed, Attribute, AudioLine, AudioSession, Capabilities, Direction, ErrorCorrection, ImageLine,
    ImageSession, LocalMedia, Media, Negotiation, SessionDescription, T38Parameters,
};
use std::net::SocketAddr;

/// Octets of a UDPTL packet that we take.
const MAX_DATAGRAM: u16 = 1_400;

/// Attributes of an audio line that mean the same on the other side; addresses, keys and candidates do not.
const PASSED: [&str; 8] = ["rtpmap", "fmtp", "ptime", "maxptime", "silenceSupp", "ecan", "gpmd", "pmft"];

/// What a description offers or takes, as it is passed on.
#[derive(Clone, Debug)]
pub(super) enum Content {
    Audio {
        place: usize,
        line: Media,
        remote: SocketAddr,
        /// G.711 is what it prefers.
        g711: Option<Codec>,
        /// Neither side is on hold.
        flows: bool,
    },
    T38 {
        place: usize,
        line: Media,
        remote: SocketAddr,
        config: fax_t38::Config,
    },
}

/// What a side has agreed to.
#[derive(Clone, Debug)]
pub(super) enum Stream {
    Audio {
        remote: SocketAddr,
        g711: Option<Codec>,
        flows: bool,
    },
    /// `passed`: what the two sides said of themselves went from one to the other.
    T38 {
        remote: SocketAddr,
        config: fax_t38::Config,
        passed: bool,
    },
}

impl Stream {
    /// Neither side is on hold.
    pub(super) fn flows(&self) -> bool {
        match self {
            Stream::Audio { flows, .. } => *flows,
            Stream::T38 { .. } => true,
        }
    }
}

/// Reads a description; `prefer_image`: of audio and T.38 side by side T.38 is meant.
pub(super) fn read(octets: &Bytes, t38: bool, prefer_image: bool) -> Option<Content> {
    read_where(octets, t38, prefer_image, |_| true)
}

/// The same of an offer, of which only those lines count whose SRTP is as this side's negotiation wants it.
pub(super) fn read_offer(
    octets: &Bytes,
    t38: bool,
    prefer_image: bool,
    negotiation: &Negotiation,
) -> Option<Content> {
    read_where(octets, t38, prefer_image, |line| negotiation.admits(line).is_ok())
}

fn read_where(
    octets: &Bytes,
    t38: bool,
    prefer_image: bool,
    ours: impl Fn(&Media) -> bool,
) -> Option<Content> {
    let sdp = SessionDescription::parse(octets).ok()?;
    let image = || {
        let (place, media, image) = sdp.image(&own_parameters()).filter(|_| t38)?;
        let line = Media {
            kind: "image".to_owned(),
            port: 0,
            transport: "udptl".to_owned(),
            formats: vec!["t38".to_owned()],
            connection: None,
            attributes: T38Parameters::read(media).attributes(),
        };
        Some(Content::T38 { place, line, remote: image.remote, config: config_of(&image) })
    };
    let audio = || {
        let (place, media, session) = sdp.audio_where(&ours)?;
        let remote = sdp.address_of(media)?;
        let first = media.formats.first().and_then(|f| f.parse::<u8>().ok());
        let g711 = session.filter(|s| Some(s.payload_type) == first).map(|s| codec_of(&s));
        let direction = sdp.direction_of(media);
        let flows = direction == Direction::SendReceive;
        Some(Content::Audio { place, line: passed(media, direction), remote, g711, flows })
    };
    if prefer_image { image().or_else(audio) } else { audio().or_else(image) }
}

/// An audio line as the other side is to see it.
fn passed(media: &Media, direction: Direction) -> Media {
    let kept = media.attributes.iter().filter(|a| PASSED.iter().any(|name| a.is(name)));
    let mut attributes: Vec<Attribute> = kept.cloned().collect();
    // Seen from us: where we only receive they only send, and so do we towards the other side.
    match direction {
        Direction::SendReceive => {}
        Direction::ReceiveOnly => attributes.push(Attribute::flag("sendonly")),
        Direction::SendOnly => attributes.push(Attribute::flag("recvonly")),
        Direction::Inactive => attributes.push(Attribute::flag("inactive")),
    }
    Media {
        kind: "audio".to_owned(),
        port: 0,
        transport: media.transport.clone(),
        formats: media.formats.clone(),
        connection: None,
        attributes,
    }
}

/// A line with our port.
pub(super) fn with_port(line: &Media, port: u16) -> Media {
    Media { port, ..line.clone() }
}

/// Whether two lines are of the same codecs, in the same order.
pub(super) fn same_codecs(a: &Media, b: &Media) -> bool {
    let maps = |m: &Media| -> Vec<Option<String>> {
        m.attributes.iter().filter(|a| a.is("rtpmap")).map(|a| a.value.clone()).collect()
    };
    a.kind == b.kind && a.formats == b.formats && maps(a) == maps(b)
}

impl Content {
    pub(super) fn line(&self) -> &Media {
        match self {
            Content::Audio { line, .. } | Content::T38 { line, .. } => line,
        }
    }

    pub(super) fn place(&self) -> usize {
        match self {
            Content::Audio { place, .. } | Content::T38 { place, .. } => *place,
        }
    }

    pub(super) fn is_like(&self, other: &Content) -> bool {
        matches!(
            (self, other),
            (Content::Audio { .. }, Content::Audio { .. }) | (Content::T38 { .. }, Content::T38 { .. })
        )
    }

    pub(super) fn stream(&self) -> Stream {
        match self {
            Content::Audio { remote, g711, flows, .. } => {
                Stream::Audio { remote: *remote, g711: *g711, flows: *flows }
            }
            Content::T38 { remote, config, .. } => {
                Stream::T38 { remote: *remote, config: config.clone(), passed: false }
            }
        }
    }

    /// What an offer has become with this answer: the codec is the answer's.
    pub(super) fn stream_as(&self, answer: &Content) -> Stream {
        match (self.stream(), answer) {
            (Stream::Audio { remote, flows, .. }, Content::Audio { g711, flows: theirs, .. }) => {
                Stream::Audio { remote, g711: *g711, flows: flows && *theirs }
            }
            (Stream::T38 { remote, config, .. }, _) => Stream::T38 { remote, config, passed: true },
            (stream @ Stream::Audio { .. }, Content::T38 { .. }) => stream,
        }
    }
}

/// What the media do on a side: `here` is agreed with it, `there` with the other.
pub(super) fn carrier(here: &Stream, there: &Stream, listens: bool) -> SideCarrier {
    match (here, there) {
        (Stream::Audio { remote, .. } | Stream::T38 { remote, .. }, _)
            if remote.ip().is_unspecified() || remote.port() == 0 =>
        {
            SideCarrier::Off
        }
        (Stream::Audio { remote, g711: Some(codec), .. }, Stream::Audio { g711: Some(other), .. })
            if listens || codec.law != other.law =>
        {
            SideCarrier::Audio { remote: *remote, codec: *codec }
        }
        (Stream::Audio { remote, .. }, Stream::Audio { .. }) => SideCarrier::Relay { remote: *remote },
        (Stream::T38 { remote, passed, .. }, Stream::T38 { passed: other, .. }) if *passed || *other => {
            SideCarrier::Relay { remote: *remote }
        }
        (Stream::Audio { remote, g711: Some(codec), .. }, Stream::T38 { .. }) => {
            SideCarrier::Audio { remote: *remote, codec: *codec }
        }
        (Stream::T38 { remote, config, .. }, Stream::T38 { .. } | Stream::Audio { .. }) => {
            SideCarrier::T38 { remote: *remote, config: config.clone() }
        }
        // Such audio is never bound to T.38.
        (Stream::Audio { g711: None, .. }, Stream::T38 { .. }) => SideCarrier::Off,
    }
}

fn codecs(first: Option<Codec>) -> Vec<sdp::Codec> {
    match first.map(|c| c.law) {
        Some(Law::Mu) => vec![sdp::Codec::Pcmu, sdp::Codec::Pcma],
        Some(Law::A) | None => vec![sdp::Codec::Pcma, sdp::Codec::Pcmu],
    }
}

/// Audio of our own, `first` before the other law.
pub(super) fn own_audio(port: u16, first: Option<Codec>) -> LocalMedia {
    LocalMedia::Audio(AudioLine { port, codecs: codecs(first) })
}

pub(super) fn own_audio_capabilities(port: u16, first: Option<Codec>) -> Capabilities {
    let audio = AudioLine { port, codecs: codecs(first) };
    Capabilities { audio: Some(audio), image: None, prefer_image: false }
}

fn own_parameters() -> T38Parameters {
    T38Parameters {
        max_datagram: Some(MAX_DATAGRAM),
        error_correction: Some(ErrorCorrection::Redundancy),
        ..T38Parameters::default()
    }
}

/// T.38 of our own.
pub(super) fn own_image(port: u16) -> Capabilities {
    let image = ImageLine { port, parameters: own_parameters() };
    Capabilities { audio: None, image: Some(image), prefer_image: true }
}

pub(super) fn own_image_offer(port: u16) -> LocalMedia {
    LocalMedia::Image(ImageLine { port, parameters: own_parameters() })
}

/// What a negotiation of our own came to.
pub(super) fn stream_of(agreed: Agreed) -> Option<Stream> {
    Some(match agreed {
        Agreed::Audio(audio) => {
            let flows = audio.direction == Direction::SendReceive;
            Stream::Audio { remote: audio.remote, g711: Some(codec_of(&audio)), flows }
        }
        Agreed::Image(image) => {
            Stream::T38 { remote: image.remote, config: config_of(&image), passed: false }
        }
    })
}

fn codec_of(audio: &AudioSession) -> Codec {
    let law = match audio.codec {
        sdp::Codec::Pcmu => Law::Mu,
        sdp::Codec::Pcma => Law::A,
    };
    Codec { law, payload_type: audio.payload_type }
}

fn config_of(image: &ImageSession) -> fax_t38::Config {
    fax_t38::Config {
        version: image.parameters.version,
        far_max_datagram: image.far_max_datagram,
        error_correction: match image.error_correction {
            ErrorCorrection::None => fax_t38::ErrorCorrection::None,
            ErrorCorrection::Redundancy => fax_t38::ErrorCorrection::Redundancy,
            ErrorCorrection::Fec => fax_t38::ErrorCorrection::Fec,
        },
        ..fax_t38::Config::default()
    }
}
