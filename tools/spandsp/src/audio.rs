//! spandsp's fax machine on 8 kHz linear audio (T.30 over V.21, V.27ter, V.29, V.17).

use crate::options::{LOG_LEVEL, Options};
use crate::session::{Frame, Report, Session};
use spandsp_sys as c;
use std::ffi::c_int;
use std::io;

/// Samples of 20 ms.
pub const BLOCK: usize = 160;

/// spandsp's fax machine. Its clock is the audio it receives; give and take the same number of
/// samples.
pub struct AudioPeer {
    state: *mut c::fax_state_t,
    session: Session,
}

impl AudioPeer {
    /// A fax machine at the start of a call.
    ///
    /// # Errors
    ///
    /// A path or ident that C cannot take, or no memory.
    pub fn new(calling: bool, options: &Options) -> io::Result<Self> {
        // SAFETY: a null state asks for a new one.
        let state = unsafe { c::fax_init(core::ptr::null_mut(), calling) };
        if state.is_null() {
            return Err(io::ErrorKind::OutOfMemory.into());
        }
        // SAFETY: `state` is live and ours; its T.30 part lives inside it.
        unsafe {
            let t30 = c::fax_get_t30_state(state);
            let peer = AudioPeer { state, session: Session::attach(t30) };
            c::fax_set_transmit_on_idle(state, 1);
            c::fax_set_tep_mode(state, c_int::from(options.talker_echo_protection));
            options.apply(t30, false)?;
            if options.log {
                c::span_log_set_level(c::fax_get_logging_state(state), LOG_LEVEL);
            }
            Ok(peer)
        }
    }

    /// Audio comes from the line.
    pub fn receive(&mut self, samples: &[i16]) {
        // spandsp takes out the direct current in place: it gets a copy.
        let mut block = [0; BLOCK];
        for chunk in samples.chunks(BLOCK) {
            let block = &mut block[..chunk.len()];
            block.copy_from_slice(chunk);
            // SAFETY: the state is live and exclusively borrowed; `block` is writable for its length,
            // which is at most `BLOCK`.
            unsafe { c::fax_rx(self.state, block.as_mut_ptr(), block.len() as c_int) };
        }
    }

    /// So many samples were lost on the way.
    pub fn receive_lost(&mut self, samples: usize) {
        let samples = c_int::try_from(samples).unwrap_or(c_int::MAX);
        // SAFETY: as in `receive`.
        unsafe { c::fax_rx_fillin(self.state, samples) };
    }

    /// The next audio for the line: fills `samples`, with silence when there is nothing to be sent.
    pub fn transmit(&mut self, samples: &mut [i16]) {
        for chunk in samples.chunks_mut(BLOCK) {
            // SAFETY: as in `receive`.
            let made = unsafe { c::fax_tx(self.state, chunk.as_mut_ptr(), chunk.len() as c_int) };
            let made = usize::try_from(made).unwrap_or(0).min(chunk.len());
            chunk[made..].fill(0);
        }
    }

    /// Gives up: the machine sends DCN when that makes sense.
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

impl Drop for AudioPeer {
    fn drop(&mut self) {
        // SAFETY: the state is live and freed once; the session, a field, goes after it.
        unsafe { c::fax_free(self.state) };
    }
}
