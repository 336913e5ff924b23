//! spandsp's T.38 terminal behind UDPTL: datagrams in and out (T.38 §9.1).

use crate::options::Options;
use crate::session::{Frame, Report};
use crate::t38::T38Peer;
use crate::udptl::{Malformed, Protection, Receiver, Sender};
use std::collections::VecDeque;
use std::io;

/// What becomes of the copies that spandsp asks for of its key packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Copies {
    /// The identical datagram again, as T.38 wants it.
    #[default]
    Identical,
    /// The same IFP in datagrams of their own, which some stacks do.
    Renumbered,
    /// Sent once, as other stacks do.
    Ignored,
}

/// What becomes of an IFP packet on its way.
pub type Mangle = Box<dyn FnMut(&[u8]) -> Vec<u8>>;

/// A [`T38Peer`] that speaks UDPTL.
pub struct UdptlPeer {
    terminal: T38Peer,
    sender: Sender,
    receiver: Receiver,
    outbox: VecDeque<Vec<u8>>,
    /// What becomes of copies.
    pub copies: Copies,
    /// What becomes of the packets that the terminal sends, before they are put into datagrams.
    pub mangle_sent: Option<Mangle>,
    /// What becomes of the packets that the terminal receives, out of their datagrams.
    pub mangle_received: Option<Mangle>,
    /// IFP packets of the far end that came whole and in which spandsp found a fault.
    pub refused: Vec<Vec<u8>>,
    /// Octets of the longest datagram received.
    pub longest: usize,
}

impl UdptlPeer {
    /// A terminal at the start of a call.
    ///
    /// # Errors
    ///
    /// As [`T38Peer::new`].
    pub fn new(calling: bool, options: &Options, protection: Protection) -> io::Result<Self> {
        Ok(UdptlPeer {
            terminal: T38Peer::new(calling, options)?,
            sender: Sender::new(protection),
            receiver: Receiver::new(),
            outbox: VecDeque::new(),
            copies: Copies::Identical,
            mangle_sent: None,
            mangle_received: None,
            refused: Vec::new(),
            longest: 0,
        })
    }

    /// Lets `samples` of 8 kHz pass. True when the terminal is done.
    pub fn step(&mut self, samples: u32) -> bool {
        let done = self.terminal.step(samples);
        while let Some(packet) = self.terminal.take() {
            let ifp = match &mut self.mangle_sent {
                Some(mangle) => mangle(&packet.ifp),
                None => packet.ifp,
            };
            let datagram = self.sender.wrap(&ifp);
            self.outbox.push_back(datagram.clone());
            for _ in 1..packet.copies {
                match self.copies {
                    Copies::Identical => self.outbox.push_back(datagram.clone()),
                    Copies::Renumbered => self.outbox.push_back(self.sender.wrap(&ifp)),
                    Copies::Ignored => {}
                }
            }
        }
        done
    }

    /// A datagram comes from the network.
    ///
    /// # Errors
    ///
    /// It is not UDPTL to the letter.
    pub fn feed(&mut self, datagram: &[u8]) -> Result<(), Malformed> {
        self.longest = self.longest.max(datagram.len());
        let before = self.receiver.recovered;
        for (sequence, ifp) in self.receiver.unwrap(datagram)? {
            let ifp = match &mut self.mangle_received {
                Some(mangle) => mangle(&ifp),
                None => ifp,
            };
            // What parity recovers may have zeros behind its end, which spandsp notes as a fault.
            if !self.terminal.feed(&ifp, sequence) && before == self.receiver.recovered {
                self.refused.push(ifp);
            }
        }
        Ok(())
    }

    /// The next datagram to be sent.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.outbox.pop_front()
    }

    /// Gives up.
    pub fn terminate(&mut self) {
        self.terminal.terminate();
    }

    /// The completion code, once the call has ended; 0 is success.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.terminal.code()
    }

    /// How things stand.
    #[must_use]
    pub fn report(&self) -> Report {
        self.terminal.report()
    }

    /// The control frames so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.terminal.frames()
    }

    /// What came by UDPTL.
    #[must_use]
    pub fn received(&self) -> &Receiver {
        &self.receiver
    }
}
