//! One end of a T.38 session over UDPTL: a fax terminal that talks to a gateway or to another terminal
//! (T.38 §7 to §9).

mod receive;
mod timing;
mod transmit;

use crate::api::{Config, ErrorCorrection, Input, Output, Statistics};
use crate::ifp::Syntax;
use crate::udptl::{Delivery, Receiver, Sender};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::line::Heard;
use fax_base::time::earliest;
use receive::Reception;
use std::collections::VecDeque;
use timing::{COPIES, KEEP_ALIVE, REPEAT};
use transmit::{Outgoing, Transmitter};

/// Copies of a datagram that are still to be sent.
#[derive(Debug)]
struct Repeat {
    datagram: Bytes,
    left: u8,
    at: Instant,
}

/// A T.38 terminal without I/O.
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
    sender: Sender,
    receiver: Receiver,
    transmitter: Transmitter,
    reception: Reception,
    repeat: Option<Repeat>,
    last_sent: Instant,
    outgoing: Vec<Outgoing>,
    heard: VecDeque<Heard>,
    outputs: VecDeque<Output>,
    packets_sent: u64,
}

impl Endpoint {
    /// A session that begins now, with a `no-signal` that opens the way through NATs.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let sender = Sender::new(config.far_max_datagram, config.error_correction);
        let syntax = Syntax::of_version(config.version);
        let transmitter = Transmitter::new(syntax, sender.limits().ifp, now);
        let mut endpoint = Endpoint {
            receiver: Receiver::new(config.version),
            reception: Reception::new(config.version, now),
            sender,
            transmitter,
            config,
            repeat: None,
            last_sent: now,
            outgoing: Vec::new(),
            heard: VecDeque::new(),
            outputs: VecDeque::new(),
            packets_sent: 0,
        };
        endpoint.keep_alive(now, true);
        endpoint
    }

    /// Tells the endpoint what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram(datagram) => {
                if self.receiver.receive(now, datagram).is_ok() {
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
        let repeat = self.repeat.as_ref().map(|r| r.at);
        let keep_alive = Some(self.last_sent + KEEP_ALIVE);
        [repeat, keep_alive, self.receiver.deadline(), self.reception.deadline()]
            .into_iter()
            .fold(self.transmitter.deadline(), earliest)
    }

    /// The counters of this session.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let received = self.receiver.counters();
        Statistics {
            packets_sent: self.packets_sent,
            packets_received: received.packets,
            packets_invalid: received.invalid,
            packets_duplicate: received.duplicate,
            recovered: received.recovered,
            lost: received.lost,
        }
    }

    fn advance(&mut self, now: Instant) {
        self.receiver.timeout(now);
        self.deliver(now);
        self.reception.timeout(now, &mut self.heard);
        self.tell(now);
        let mut outgoing = core::mem::take(&mut self.outgoing);
        let sent = self.transmitter.step(now, &mut outgoing);
        self.send(now, &mut outgoing);
        self.outgoing = outgoing;
        if sent {
            self.outputs.push_back(Output::Sent);
        }
        self.send_repeats(now);
        if self.last_sent + KEEP_ALIVE <= now {
            self.keep_alive(now, false);
        }
    }

    fn deliver(&mut self, now: Instant) {
        while let Some(delivery) = self.receiver.poll() {
            match delivery {
                Delivery::Ifp { octets, padded } => {
                    self.reception.ifp(now, &octets, padded, &mut self.heard);
                }
                Delivery::Missing(count) => self.reception.missing(count, &mut self.heard),
            }
        }
        self.tell(now);
    }

    fn tell(&mut self, now: Instant) {
        // A far end without a modem may answer before our signal is over on its imagined line.
        let answered = |h: &Heard| matches!(h, Heard::CarrierUp(_) | Heard::Frame { .. });
        if self.transmitter.is_releasing() && self.heard.iter().any(answered) {
            let mut outgoing = core::mem::take(&mut self.outgoing);
            self.transmitter.release(now, &mut outgoing);
            self.send(now, &mut outgoing);
            self.outgoing = outgoing;
            self.outputs.push_back(Output::Sent);
        }
        self.outputs.extend(self.heard.drain(..).map(Output::Heard));
    }

    fn send(&mut self, now: Instant, outgoing: &mut Vec<Outgoing>) {
        for Outgoing { ifp, image, key } in outgoing.drain(..) {
            let depth = match (self.config.error_correction, image) {
                (ErrorCorrection::None, _) => 0,
                (_, true) => self.config.image_redundancy,
                (_, false) => self.config.control_redundancy,
            };
            let datagram = self.sender.packet(now, ifp, depth);
            if datagram.is_empty() {
                continue;
            }
            self.packets_sent += 1;
            self.last_sent = now;
            // A newer packet carries the older one: its copies would only come late.
            self.repeat =
                key.then(|| Repeat { datagram: datagram.clone(), left: COPIES - 1, at: now + REPEAT });
            self.outputs.push_back(Output::Datagram(datagram));
        }
    }

    fn send_repeats(&mut self, now: Instant) {
        while let Some(repeat) = self.repeat.as_mut().filter(|r| r.at <= now) {
            self.outputs.push_back(Output::Datagram(repeat.datagram.clone()));
            repeat.left -= 1;
            repeat.at += REPEAT;
            if repeat.left == 0 {
                self.repeat = None;
            }
        }
    }

    /// Tells the present state again.
    fn keep_alive(&mut self, now: Instant, key: bool) {
        self.last_sent = now;
        if let Some(state) = self.transmitter.indicator() {
            self.send(now, &mut vec![Outgoing { key, ..state }]);
        }
    }
}

#[cfg(test)]
mod tests;
