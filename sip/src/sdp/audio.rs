//! G.711 in SDP: static and mapped payload types, telephone-event (RFC 3551 §6, RFC 4733 §7.1.1).

use super::parse::{Attribute, Media};

/// The two laws of G.711.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Codec {
    /// µ-law, payload type 0.
    Pcmu,
    /// A-law, payload type 8.
    Pcma,
}

impl Codec {
    /// Its static payload type.
    #[must_use]
    pub const fn payload_type(self) -> u8 {
        match self {
            Codec::Pcmu => 0,
            Codec::Pcma => 8,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Codec::Pcmu => "PCMU/8000",
            Codec::Pcma => "PCMA/8000",
        }
    }
}

/// `rtpmap` of a payload type.
pub(super) fn rtpmap(payload_type: u8, name: &str) -> Attribute {
    Attribute::new("rtpmap", format!("{payload_type} {name}"))
}

/// The attributes of an audio line with these codecs.
pub(super) fn attributes(codecs: &[(Codec, u8)], telephone_event: Option<u8>) -> Vec<Attribute> {
    let mut list: Vec<Attribute> = codecs.iter().map(|(codec, pt)| rtpmap(*pt, codec.name())).collect();
    if let Some(pt) = telephone_event {
        list.push(rtpmap(pt, "telephone-event/8000"));
        list.push(Attribute::new("fmtp", format!("{pt} 0-15")));
    }
    list.push(Attribute::new("ptime", 20));
    list
}

/// The codecs of a media line we know, in its order, with their payload types; and telephone-event.
pub(super) fn known(media: &Media) -> (Vec<(Codec, u8)>, Option<u8>) {
    let (mut codecs, mut events) = (Vec::new(), None);
    for format in &media.formats {
        let Ok(pt) = format.parse::<u8>() else {
            continue;
        };
        let mapped = media.attributes.iter().filter(|a| a.is("rtpmap")).find_map(|a| {
            let (number, name) = a.value.as_deref()?.split_once(char::is_whitespace)?;
            (number.trim() == format).then(|| name.trim().to_ascii_uppercase())
        });
        match (mapped.as_deref(), pt) {
            (None, 0) => codecs.push((Codec::Pcmu, pt)),
            (None, 8) => codecs.push((Codec::Pcma, pt)),
            (Some(name), _) if name == "PCMU" || name.starts_with("PCMU/8000") => {
                codecs.push((Codec::Pcmu, pt))
            }
            (Some(name), _) if name == "PCMA" || name.starts_with("PCMA/8000") => {
                codecs.push((Codec::Pcma, pt))
            }
            (Some(name), _) if name.starts_with("TELEPHONE-EVENT/8000") => events = events.or(Some(pt)),
            (None | Some(_), _) => {}
        }
    }
    (codecs, events)
}
