//! spandsp's T.38 gateway with its fax machine behind it, on 8 kHz audio: what most calls meet, and what
//! shows whether packets keep the time of the modems that they become (T.38 §7, §8).

use crate::audio::{AudioPeer, BLOCK};
use crate::options::{LOG_LEVEL, Options};
use crate::session::{Frame, Report};
use crate::t38::{Packet, sent};
use crate::udptl::{Malformed, Protection, Receiver, Sender};
use spandsp_sys as c;
use std::collections::VecDeque;
use std::ffi::c_int;
use std::io;

/// A gateway and a fax machine.
pub struct GatewayPeer {
    state: *mut c::t38_gateway_state_t,
    outbox: *mut VecDeque<Packet>,
    machine: AudioPeer,
    sender: Sender,
    receiver: Receiver,
    datagrams: VecDeque<Vec<u8>>,
    /// Octets of the longest datagram received.
    pub longest: usize,
}

impl GatewayPeer {
    /// A fax machine at the start of a call, which it makes or answers through a gateway.
    ///
    /// # Errors
    ///
    /// As [`AudioPeer::new`], or no memory.
    pub fn new(calling: bool, options: &Options, protection: Protection) -> io::Result<Self> {
        let machine = AudioPeer::new(calling, options)?;
        let outbox = Box::into_raw(Box::new(VecDeque::new()));
        // SAFETY: a null state asks for a new one; the outbox lives until after the state is freed.
        let state = unsafe { c::t38_gateway_init(core::ptr::null_mut(), Some(sent), outbox.cast()) };
        if state.is_null() {
            // SAFETY: made above, and nobody else knows of it.
            drop(unsafe { Box::from_raw(outbox) });
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        let peer = GatewayPeer {
            state,
            outbox,
            machine,
            sender: Sender::new(protection),
            receiver: Receiver::new(),
            datagrams: VecDeque::new(),
            longest: 0,
        };
        // SAFETY: the state is live and ours.
        unsafe {
            c::t38_set_t38_version(
                c::t38_gateway_get_t38_core_state(peer.state),
                c_int::from(options.t38_version),
            );
            c::t38_gateway_set_transmit_on_idle(peer.state, true);
            c::t38_gateway_set_ecm_capability(peer.state, true);
            c::t38_gateway_set_tep_mode(peer.state, options.talker_echo_protection);
            if options.log {
                c::span_log_set_level(c::t38_gateway_get_logging_state(peer.state), LOG_LEVEL);
            }
        }
        Ok(peer)
    }

    /// Lets 20 ms pass between the machine and the gateway.
    pub fn step(&mut self) {
        let mut block = [0i16; BLOCK];
        self.machine.transmit(&mut block);
        let mut from_gateway = [0i16; BLOCK];
        // SAFETY: the state is live and exclusively borrowed, no reference into the outbox exists, and
        // both blocks are writable for their length.
        unsafe {
            c::t38_gateway_rx(self.state, block.as_mut_ptr(), BLOCK as c_int);
            let made = c::t38_gateway_tx(self.state, from_gateway.as_mut_ptr(), BLOCK as c_int);
            let made = usize::try_from(made).unwrap_or(0).min(BLOCK);
            from_gateway[made..].fill(0);
        }
        self.machine.receive(&from_gateway);
        // SAFETY: the outbox lives as long as `self`, and spandsp is not running.
        while let Some(packet) = unsafe { (*self.outbox).pop_front() } {
            let datagram = self.sender.wrap(&packet.ifp);
            for _ in 0..packet.copies {
                self.datagrams.push_back(datagram.clone());
            }
        }
    }

    /// A datagram comes from the network.
    ///
    /// # Errors
    ///
    /// It is not UDPTL to the letter.
    pub fn feed(&mut self, datagram: &[u8]) -> Result<(), Malformed> {
        self.longest = self.longest.max(datagram.len());
        for (sequence, ifp) in self.receiver.unwrap(datagram)? {
            let Ok(len) = c_int::try_from(ifp.len()) else {
                continue;
            };
            // SAFETY: as in `step`; spandsp only reads `len` octets.
            unsafe {
                let core = c::t38_gateway_get_t38_core_state(self.state);
                c::t38_core_rx_ifp_packet(core, ifp.as_ptr(), len, sequence);
            }
        }
        Ok(())
    }

    /// The next datagram to be sent.
    pub fn take(&mut self) -> Option<Vec<u8>> {
        self.datagrams.pop_front()
    }

    /// The machine's completion code, once the call has ended; 0 is success.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.machine.code()
    }

    /// How things stand.
    #[must_use]
    pub fn report(&self) -> Report {
        self.machine.report()
    }

    /// The machine's control frames so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.machine.frames()
    }
}

impl Drop for GatewayPeer {
    fn drop(&mut self) {
        // SAFETY: the state is live and freed once; freeing may still call back, so the outbox is freed
        // after it.
        unsafe {
            c::t38_gateway_free(self.state);
            drop(Box::from_raw(self.outbox));
        }
    }
}
