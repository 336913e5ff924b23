//! UDPTL both ways, with what makes it sure: copies of key packets, and packets when there is nothing to say.

use crate::api::{Config, ErrorCorrection, Statistics};
use crate::endpoint::timing::{COPIES, KEEP_ALIVE, REPEAT};
use crate::udptl::{Delivery, Limits, Receiver, Sender};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::earliest;
use std::collections::VecDeque;

/// An IFP that leaves now.
#[derive(Clone, Debug)]
pub struct Outgoing {
    /// Its octets.
    pub ifp: Bytes,
    /// Image data rather than V.21 or an indicator.
    pub image: bool,
    /// Send it more than once.
    pub key: bool,
}

/// Copies of a datagram that are still to be sent.
#[derive(Debug)]
struct Repeat {
    datagram: Bytes,
    left: u8,
    at: Instant,
}

/// One end of a UDPTL session.
#[derive(Debug)]
pub struct Port {
    config: Config,
    sender: Sender,
    receiver: Receiver,
    repeat: Option<Repeat>,
    last_sent: Instant,
    datagrams: VecDeque<Bytes>,
    packets_sent: u64,
}

impl Port {
    /// A session that begins now.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        Port {
            sender: Sender::new(config.far_max_datagram, config.error_correction),
            receiver: Receiver::new(config.version),
            config,
            repeat: None,
            last_sent: now,
            datagrams: VecDeque::new(),
            packets_sent: 0,
        }
    }

    /// How long a packet and an IFP may be.
    #[must_use]
    pub fn limits(&self) -> Limits {
        self.sender.limits()
    }

    /// A datagram came; false when it is not UDPTL.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> bool {
        self.receiver.receive(now, datagram).is_ok()
    }

    /// What came, in order.
    pub fn delivery(&mut self) -> Option<Delivery> {
        self.receiver.poll()
    }

    /// Sends an IFP.
    pub fn send(&mut self, now: Instant, outgoing: Outgoing) {
        let Outgoing { ifp, image, key } = outgoing;
        let depth = match (self.config.error_correction, image) {
            (ErrorCorrection::None, _) => 0,
            (_, true) => self.config.image_redundancy,
            (_, false) => self.config.control_redundancy,
        };
        let datagram = self.sender.packet(now, ifp, depth);
        if datagram.is_empty() {
            return;
        }
        self.packets_sent += 1;
        self.last_sent = now;
        // A newer packet carries the older one: its copies would only come late.
        self.repeat = key.then(|| Repeat { datagram: datagram.clone(), left: COPIES - 1, at: now + REPEAT });
        self.datagrams.push_back(datagram);
    }

    /// Does what is due, but for [`Port::is_silent`].
    pub fn timeout(&mut self, now: Instant) {
        self.receiver.timeout(now);
        while let Some(repeat) = self.repeat.as_mut().filter(|r| r.at <= now) {
            self.datagrams.push_back(repeat.datagram.clone());
            repeat.left -= 1;
            repeat.at += REPEAT;
            if repeat.left == 0 {
                self.repeat = None;
            }
        }
    }

    /// Whether nothing was sent for so long that the present state is to be told again: bindings of address
    /// translators stay open. Asked once; the next time is as much later.
    pub fn is_silent(&mut self, now: Instant) -> bool {
        let silent = self.last_sent + KEEP_ALIVE <= now;
        if silent {
            self.last_sent = now;
        }
        silent
    }

    /// When [`Port::timeout`] or a packet against silence is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let repeat = self.repeat.as_ref().map(|r| r.at);
        let keep_alive = Some(self.last_sent + KEEP_ALIVE);
        earliest(earliest(repeat, keep_alive), self.receiver.deadline())
    }

    /// The next datagram to be sent.
    pub fn poll(&mut self) -> Option<Bytes> {
        self.datagrams.pop_front()
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
}
