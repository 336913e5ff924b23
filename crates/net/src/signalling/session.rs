//! Our side of a session description: what we offer, what was agreed.

use crate::media::Codec;
use bytes::Bytes;
use std::net::SocketAddr;

/// What both sides will do.
pub(super) enum Agreed {
    Audio { remote: SocketAddr, codec: Codec },
    T38 { remote: SocketAddr, config: fax_t38::Config },
}

pub(super) struct Session;

impl Session {
    pub(super) fn new(_local: SocketAddr, _id: u32) -> Self {
        Session
    }
    pub(super) fn audio_offer(&mut self) -> Bytes {
        Bytes::new()
    }
    pub(super) fn t38_offer(&mut self) -> Bytes {
        Bytes::new()
    }
    pub(super) fn offer_failed(&mut self) {}
    pub(super) fn read_answer(&mut self, _sdp: &Bytes) -> Option<Agreed> {
        None
    }
    pub(super) fn take_first_offer(&mut self, _offer: &Bytes, _t38: bool) -> Option<()> {
        None
    }
    pub(super) fn first_answer(&mut self) -> (Bytes, Option<Agreed>) {
        (Bytes::new(), None)
    }
    pub(super) fn answer_offer(&mut self, _offer: &Bytes, _t38: bool, _t38_only: bool) -> Option<(Bytes, Agreed)> {
        None
    }
}
