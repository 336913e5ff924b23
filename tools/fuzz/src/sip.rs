//! SIP: messages and their headers, streams, session descriptions, the user agent.

use crate::input::Choices;
use bytes::Bytes;
use fax_base::Instant;
use fax_sip::message::stream::{Framer, Piece};
use fax_sip::message::{Limits, Message, NameAddr, Uri, Via};
use fax_sip::sdp::{
    AudioLine, Capabilities, Codec, ImageLine, LocalMedia, Negotiation, SessionDescription, T38Parameters,
};
use fax_sip::{Config, Input, Output, Transport, UserAgent};
use std::net::SocketAddr;

/// A message, everything that can be asked of it, and the same once more from what it is written as.
pub fn message(octets: &[u8]) {
    let octets = Bytes::copy_from_slice(octets);
    let _ = (Uri::read(octets.clone()), NameAddr::read_list(&octets), Via::read_list(&octets));
    let Ok(message) = Message::parse(&octets, &Limits::default()) else {
        return;
    };
    ask(&message);
    let written = message.to_bytes();
    let again = Message::parse(&written, &Limits::default()).expect("what is written can be read");
    assert_eq!((again.method(), again.code()), (message.method(), message.code()));
    assert_eq!((again.cseq(), again.call_id()), (message.cseq(), message.call_id()));
    assert_eq!(again.to_bytes(), written);
}

fn ask(m: &Message) {
    let _ = (
        m.uri().map(|u| (u.user(), u.host().len(), u.port(), u.address())),
        m.reason(),
        m.cseq(),
        m.call_id(),
    );
    let _ = (
        m.from(),
        m.to(),
        m.from_tag(),
        m.to_tag(),
        m.top_via(),
        m.via_count(),
        m.contact(),
        m.record_route(),
    );
    let _ = (m.tokens("Supported"), m.has_token("Require", "timer"), m.seconds("Expires"), m.retry_after());
    let _ = (m.session_expires(), m.q850(), m.sip_cause(), m.contacts_by_preference(), m.reason_text());
    let _ = (m.warning(), m.content_type(), m.sdp(), m.addresses("Diversion"));
    for via in m.all("Via").filter_map(|h| Via::read(h.value())) {
        let _ = (via.branch(), via.unique_branch(), via.port(), via.transport().len());
    }
}

/// A stream cut into pieces: the messages do not depend on where it is cut, and no more is held than may be.
pub fn stream(octets: &[u8]) {
    let mut c = Choices::new(octets);
    let size = usize::from(c.octet()) + 1;
    let octets = c.all();
    let whole = pieces(core::iter::once(octets));
    assert_eq!(pieces(octets.chunks(size)), whole);
    for piece in &whole {
        if let Piece::Message(octets) = piece {
            let _ = Message::parse(octets, &Limits::default());
        }
    }
}

fn pieces<'a>(chunks: impl Iterator<Item = &'a [u8]>) -> Vec<Piece> {
    let mut framer = Framer::new(Limits::default());
    let mut all = Vec::new();
    for chunk in chunks {
        framer.push(chunk);
        while let Some(piece) = framer.next_piece() {
            all.push(piece);
        }
    }
    all
}

fn can() -> Capabilities {
    Capabilities {
        audio: Some(AudioLine { port: 10_000, codecs: vec![Codec::Pcma, Codec::Pcmu] }),
        image: Some(ImageLine { port: 10_000, parameters: T38Parameters::default() }),
        prefer_image: true,
    }
}

/// A session description: read, written, read; as an offer and as an answer to ours.
pub fn sdp(octets: &[u8]) {
    if let Ok(sdp) = SessionDescription::parse(octets) {
        let written = sdp.to_bytes();
        let again = SessionDescription::parse(&written).expect("what is written can be read");
        assert_eq!(again.media.len(), sdp.media.len());
        for media in &sdp.media {
            let _ = (sdp.address_of(media), T38Parameters::read(media), media.is_audio(), media.is_t38());
        }
    }
    let ours = "192.0.2.1".parse().expect("an address");
    let can = can();
    let mut negotiation = Negotiation::new(ours, 1);
    if let Ok((answer, _)) = negotiation.answer(octets, &can) {
        SessionDescription::parse(&answer).expect("our answer can be read");
    }
    for media in [can.audio.map(LocalMedia::Audio), can.image.map(LocalMedia::Image)].into_iter().flatten() {
        let mut negotiation = Negotiation::new(ours, 1);
        let offer = negotiation.offer(&media);
        SessionDescription::parse(&offer).expect("our offer can be read");
        let _ = negotiation.answered(octets);
    }
}

/// Datagrams into a user agent; what stays of them is bounded and goes away with time.
pub fn agent(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut agent = UserAgent::new(Config { max_calls: 20, max_transactions: 50, ..Config::default() });
    let (local, remote): (SocketAddr, SocketAddr) =
        ("192.0.2.1:5060".parse().expect("an address"), "192.0.2.2:5060".parse().expect("an address"));
    let mut now = Instant::ZERO;
    let drain = |agent: &mut UserAgent| {
        for _ in 0..10_000 {
            match agent.poll() {
                Some(Output::Send { octets, .. }) => {
                    // What a request lacked, its refusal lacks, too.
                    let read = Message::parse(&octets, &Limits::default());
                    assert!(read.map_or_else(|e| e.partial.is_some(), |_| true), "what we send can be read");
                }
                Some(_) => {}
                None => return,
            }
        }
        panic!("outputs without end");
    };
    while !c.is_empty() {
        now += c.wait();
        while let Some(due) = agent.deadline().filter(|d| *d <= now) {
            agent.handle(due, Input::Timeout);
            drain(&mut agent);
        }
        let n = usize::from(c.short());
        let octets = c.octets(n);
        agent.handle(now, Input::Datagram { transport: Transport::Udp, local, remote, octets });
        drain(&mut agent);
        assert!(agent.calls() <= 20 && agent.transactions() <= 60);
    }
}
