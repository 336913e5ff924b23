//! spandsp's T.38 terminal, IFP packets in and out (T.38 §7, §8).

use crate::options::{LOG_LEVEL, Options};
use crate::session::{Frame, Report, Session};
use spandsp_sys as c;
use std::collections::VecDeque;
use std::ffi::{c_int, c_void};
use std::io;

/// An IFP packet that the peer sends.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The IFP's octets.
    pub ifp: Vec<u8>,
    /// How many times the identical datagram (same sequence number) shall be sent, 1 or more.
    pub copies: u32,
}

/// spandsp's T.38 terminal.
///
/// It has no UDPTL: whoever drives it gives sequence numbers to what [`T38Peer::take`] returns and tells
/// [`T38Peer::feed`] the sequence numbers of what comes.
pub struct T38Peer {
    state: *mut c::t38_terminal_state_t,
    session: Session,
    outbox: *mut VecDeque<Packet>,
}

impl T38Peer {
    /// A terminal at the start of a call.
    ///
    /// # Errors
    ///
    /// A path or ident that C cannot take, or no memory.
    pub fn new(calling: bool, options: &Options) -> io::Result<Self> {
        let outbox = Box::into_raw(Box::new(VecDeque::new()));
        // SAFETY: a null state asks for a new one; the outbox lives until after the state is freed.
        let state =
            unsafe { c::t38_terminal_init(core::ptr::null_mut(), calling, Some(sent), outbox.cast()) };
        if state.is_null() {
            // SAFETY: made above, and nobody else knows of it.
            drop(unsafe { Box::from_raw(outbox) });
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: `state` is live and ours; its T.30 and T.38 parts live inside it.
        unsafe {
            let t30 = c::t38_terminal_get_t30_state(state);
            let peer = T38Peer { state, session: Session::attach(t30), outbox };
            c::t38_set_t38_version(
                c::t38_terminal_get_t38_core_state(state),
                c_int::from(options.t38_version),
            );
            c::t38_terminal_set_config(state, options.streaming.config() as c_int);
            c::t38_terminal_set_tep_mode(state, options.talker_echo_protection);
            c::t38_terminal_set_fill_bit_removal(state, options.fill_bit_removal);
            options.apply(t30, true)?;
            if options.log {
                c::span_log_set_level(c::t38_terminal_get_logging_state(state), LOG_LEVEL);
            }
            Ok(peer)
        }
    }

    /// Lets `samples` of 8 kHz pass (160 are 20 ms). True when the terminal is done.
    pub fn step(&mut self, samples: u32) -> bool {
        let samples = c_int::try_from(samples).unwrap_or(c_int::MAX);
        // SAFETY: the state is live and exclusively borrowed; no reference into the outbox exists.
        unsafe { c::t38_terminal_send_timeout(self.state, samples) != 0 }
    }

    /// An IFP packet comes from the network. False when spandsp could not make sense of it.
    pub fn feed(&mut self, ifp: &[u8], sequence: u16) -> bool {
        let Ok(len) = c_int::try_from(ifp.len()) else {
            return false;
        };
        // SAFETY: as in `step`; spandsp only reads `len` octets.
        unsafe {
            let core = c::t38_terminal_get_t38_core_state(self.state);
            c::t38_core_rx_ifp_packet(core, ifp.as_ptr(), len, sequence) == 0
        }
    }

    /// The next packet that the terminal wants sent.
    pub fn take(&mut self) -> Option<Packet> {
        // SAFETY: the outbox lives as long as `self`, and spandsp is not running.
        unsafe { (*self.outbox).pop_front() }
    }

    /// Gives up: the terminal sends DCN when that makes sense.
    pub fn terminate(&mut self) {
        self.session.terminate();
    }

    /// The completion code, once the call has ended; 0 is success.
    #[must_use]
    pub fn code(&self) -> Option<i32> {
        self.session.code()
    }

    /// How things stand.
    #[must_use]
    pub fn report(&self) -> Report {
        self.session.report()
    }

    /// The control frames so far.
    #[must_use]
    pub fn frames(&self) -> Vec<Frame> {
        self.session.frames()
    }
}

impl Drop for T38Peer {
    fn drop(&mut self) {
        // SAFETY: the state is live and freed once; freeing ends whatever is under way, which may still
        // call back, so the outbox is freed after it and the session (a field) after both.
        unsafe {
            c::t38_terminal_free(self.state);
            drop(Box::from_raw(self.outbox));
        }
    }
}

pub(crate) unsafe extern "C" fn sent(
    _: *mut c::t38_core_state_t,
    user: *mut c_void,
    octets: *const u8,
    len: c_int,
    count: c_int,
) -> c_int {
    let Ok(len) = usize::try_from(len) else {
        return -1;
    };
    if octets.is_null() {
        return -1;
    }
    // SAFETY: `user` is the outbox of `new`, no reference into it exists while spandsp runs, and `octets`
    // are `len` readable octets.
    unsafe {
        let ifp = core::slice::from_raw_parts(octets, len).to_vec();
        let copies = u32::try_from(count).unwrap_or(1);
        if copies > 0 {
            (*user.cast::<VecDeque<Packet>>()).push_back(Packet { ifp, copies });
        }
    }
    0
}
