//! What a leg's media go by: the first agreement, and from audio to T.38 and back.

use super::{Leg, Output};
use crate::call::CallEvent;
use crate::media::{Codec, MediaCommand};
use crate::onward::Side;
use crate::signalling::outside::Begin;
use crate::signalling::session::Agreed;
use crate::signalling::switch::Carrier;
use bytes::Bytes;
use fax_sip as sip;
use std::net::SocketAddr;

impl Leg {
    /// The first session is agreed: media begins.
    pub(super) fn up(&mut self, agreed: Agreed) {
        let Some(terminal) = self.terminal.take() else {
            return;
        };
        self.media_up = true;
        match agreed {
            Agreed::Audio { remote, codec, keys } => {
                self.bar_t38();
                self.keys.clone_from(&keys);
                self.outputs.push_back(Output::Begin(Begin { terminal, remote, codec, keys }));
            }
            Agreed::T38 { remote, config } => {
                self.outputs.push_back(Output::Begin(Begin {
                    terminal,
                    remote,
                    codec: Codec::PCMA,
                    keys: None,
                }));
                self.switch_to_t38(remote, config);
            }
        }
    }

    fn turn_to(&mut self, agreed: Agreed) {
        match agreed {
            Agreed::T38 { remote, config } => self.switch_to_t38(remote, config),
            Agreed::Audio { remote, codec, keys } => {
                self.bar_t38();
                if self.keys != keys {
                    self.keys.clone_from(&keys);
                    self.media_do(MediaCommand::Keys { side: Side::A, keys });
                }
                self.media_do(MediaCommand::Audio { remote, codec });
                if self.switch.turn_to(Carrier::Audio) {
                    self.report.t38 = false;
                    self.tell(CallEvent::Audio);
                }
            }
        }
    }

    /// T.38 goes in clear: what began by SRTP does not go on by it unless that is allowed.
    fn bar_t38(&mut self) {
        if self.session.bars_t38() {
            self.switch.bar_t38();
        }
    }

    fn switch_to_t38(&mut self, remote: SocketAddr, config: fax_t38::Config) {
        self.media_do(MediaCommand::T38 { remote, config });
        if self.switch.turn_to(Carrier::T38) {
            self.report.t38 = true;
            self.tell(CallEvent::T38);
        }
    }

    pub(super) fn offer(&mut self, carrier: Carrier) {
        self.offering = Some(carrier);
        let offer = match carrier {
            Carrier::Audio => self.session.audio_offer(),
            Carrier::T38 => self.session.t38_offer(),
        };
        self.want(sip::Command::Reinvite { call: self.call, offer });
    }

    pub(super) fn offer_came(&mut self, offer: &Bytes) {
        let (audio, t38) = (self.switch.takes_audio(), self.switch.takes_t38());
        match self.session.answer_offer(offer, audio, t38) {
            Some((answer, agreed)) => {
                self.want(sip::Command::AcceptReinvite { call: self.call, answer });
                self.turn_to(agreed);
            }
            None => self.want(sip::Command::RejectReinvite { call: self.call, code: 488 }),
        }
    }

    pub(super) fn offer_taken(&mut self, answer: &Bytes) {
        let offered = self.offering.take();
        let agreed = self.session.read_answer(answer);
        let refused = match (offered, &agreed) {
            (Some(Carrier::T38), Some(Agreed::Audio { .. })) => Some("audio only"),
            (Some(Carrier::T38), None) => Some("the answer refuses the image stream"),
            (_, _) => None,
        };
        if let Some(agreed) = agreed {
            self.turn_to(agreed);
        }
        if let Some(reason) = refused {
            self.t38_refused(200, reason.to_owned());
            // By the letter of that answer there is no stream any more, or one that was not offered.
            self.offer(Carrier::Audio);
        }
    }

    /// Our offer was not taken. The session stays as it was (RFC 3261 §14.1).
    pub(super) fn refused(&mut self, code: u16, reason: String) {
        let offered = self.offering.take();
        self.session.offer_failed();
        if offered == Some(Carrier::T38) {
            self.t38_refused(code, reason);
        }
    }

    fn t38_refused(&mut self, code: u16, reason: String) {
        // Unless it was given up for theirs, which came first.
        if self.switch.carrier() == Carrier::Audio {
            self.report.t38_refused = Some(code);
            self.tell(CallEvent::T38Refused { code, reason });
        }
    }
}
