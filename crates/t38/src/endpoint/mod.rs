//! One end of a T.38 session over UDPTL: a fax terminal that talks to a gateway or to another terminal
//! (T.38 §7 to §9).

pub(crate) mod timing;
mod transmit;

use crate::api::{Config, Input, Output, Statistics};
use crate::ifp::Syntax;
use crate::port::{Outgoing, Port};
use crate::reception::{Came, Reception};
use crate::udptl::Delivery;
use bytes::BytesMut;
use fax_base::Instant;
use fax_base::line::{Channel, Heard};
use fax_base::time::earliest;
use std::collections::VecDeque;
use transmit::Transmitter;

/// A T.38 terminal without I/O.
#[derive(Debug)]
pub struct Endpoint {
    port: Port,
    transmitter: Transmitter,
    reception: Reception,
    outgoing: Vec<Outgoing>,
    came: VecDeque<Came>,
    /// The far end's present signal, and the frame that is coming in it.
    channel: Channel,
    frame: BytesMut,
    outputs: VecDeque<Output>,
}

impl Endpoint {
    /// A session that begins now, with a `no-signal` that opens the way through NATs.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let syntax = Syntax::of_version(config.version);
        let reception = Reception::new(config.version, now);
        let port = Port::new(config, now);
        let transmitter = Transmitter::new(syntax, port.limits().ifp, now);
        let mut endpoint = Endpoint {
            port,
            transmitter,
            reception,
            outgoing: Vec::new(),
            came: VecDeque::new(),
            channel: Channel::Control,
            frame: BytesMut::new(),
            outputs: VecDeque::new(),
        };
        endpoint.tell_state(now, true);
        endpoint
    }

    /// Tells the endpoint what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => {
                if self.port.receive(now, datagram) {
                    self.deliver(now);
                }
            }
            Input::Transmit(transmit) => {
                self.transmitter.push(now, transmit);
                self.advance(now);
            }
            Input::StopTransmit => {
                let mut outgoing = core::mem::take(&mut self.outgoing);
                self.transmitter.stop(now, &mut outgoing);
                self.send(now, &mut outgoing);
                self.outgoing = outgoing;
            }
            Input::Timeout => self.advance(now),
        }
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let receiving = earliest(self.port.deadline(), self.reception.deadline());
        earliest(self.transmitter.deadline(), receiving)
    }

    /// The counters of this session.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        self.port.statistics()
    }

    fn advance(&mut self, now: Instant) {
        self.port.timeout(now);
        self.deliver(now);
        self.reception.timeout(now, &mut self.came);
        self.tell(now);
        let mut outgoing = core::mem::take(&mut self.outgoing);
        let sent = self.transmitter.step(now, &mut outgoing);
        self.send(now, &mut outgoing);
        self.outgoing = outgoing;
        if sent {
            self.outputs.push_back(Output::Sent);
        }
        if self.port.is_silent(now) {
            self.tell_state(now, false);
        }
    }

    fn deliver(&mut self, now: Instant) {
        while let Some(delivery) = self.port.delivery() {
            match delivery {
                Delivery::Ifp { octets, padded } => {
                    self.reception.ifp(now, &octets, padded, &mut self.came);
                }
                Delivery::Missing(count) => self.reception.missing(count, &mut self.came),
            }
        }
        self.tell(now);
    }

    fn tell(&mut self, now: Instant) {
        // A far end without a modem may answer before our signal is over on its imagined line.
        let answered = |c: &Came| matches!(c, Came::CarrierUp { .. } | Came::FrameEnd { .. });
        if self.transmitter.is_releasing() && self.came.iter().any(answered) {
            let mut outgoing = core::mem::take(&mut self.outgoing);
            self.transmitter.release(now, &mut outgoing);
            self.send(now, &mut outgoing);
            self.outgoing = outgoing;
            self.outputs.push_back(Output::Sent);
        }
        while let Some(came) = self.came.pop_front() {
            let heard = self.heard(came);
            self.outputs.extend(heard.map(Output::Heard));
        }
    }

    /// What it means to T.30, which wants frames whole.
    fn heard(&mut self, came: Came) -> Option<Heard> {
        Some(match came {
            Came::Quiet => return None,
            Came::Tone(tone) => Heard::Tone(tone),
            Came::CarrierUp { channel, training: _ } => {
                self.channel = channel;
                Heard::CarrierUp(channel)
            }
            Came::Octets(octets) => {
                self.frame.extend_from_slice(&octets);
                return None;
            }
            Came::FrameEnd { good } => {
                let octets = self.frame.split().freeze();
                Heard::Frame { channel: self.channel, octets, good }
            }
            Came::Bits(octets) => match self.channel {
                Channel::Image(modulation) => Heard::Bits { modulation, octets },
                Channel::Control => return None,
            },
            Came::Lost { octets } => Heard::Lost { octets },
            Came::CarrierDown(channel) => Heard::CarrierDown(channel),
        })
    }

    fn send(&mut self, now: Instant, outgoing: &mut Vec<Outgoing>) {
        for outgoing in outgoing.drain(..) {
            self.port.send(now, outgoing);
        }
        self.datagrams();
    }

    fn datagrams(&mut self) {
        while let Some(datagram) = self.port.poll() {
            self.outputs.push_back(Output::Datagram(datagram));
        }
    }

    /// Tells the present state again.
    fn tell_state(&mut self, now: Instant, key: bool) {
        if let Some(state) = self.transmitter.indicator() {
            self.send(now, &mut vec![Outgoing { key, ..state }]);
        }
    }
}

#[cfg(test)]
mod tests;
