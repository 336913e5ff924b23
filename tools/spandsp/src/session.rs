//! What the T.30 part of a peer reports: frames, pages, completion (T.30 phases D and E).

use spandsp_sys as c;
use std::ffi::{CStr, CString, c_int, c_void};
use std::io;
use std::path::Path;

/// Which way a frame went.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Direction {
    /// The peer sent it.
    Sent,
    /// The peer received it.
    Received,
}

/// A control frame as the peer saw it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Frame {
    /// Which way it went.
    pub direction: Direction,
    /// Its octets, from the address octet on, as spandsp holds them (first bit lowest).
    pub octets: Vec<u8>,
}

/// What the peer knew at the end of a page, when a post-message command or its answer had passed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PageReport {
    /// The command or answer, spandsp's number for it.
    pub facsimile_control: i32,
    /// Rows of the page that could not be decoded.
    pub bad_rows: u32,
    /// The longest run of them.
    pub longest_bad_run: u32,
    /// Rows.
    pub rows: u32,
}

/// How things stand, or ended.
#[derive(Clone, PartialEq, Debug)]
pub struct Report {
    /// spandsp's completion code; 0 is success, `None` while the call lasts.
    pub code: Option<i32>,
    /// The code in words.
    pub text: String,
    /// Pages sent.
    pub pages_sent: u32,
    /// Pages received.
    pub pages_received: u32,
    /// Rate of the images, bit/s.
    pub bit_rate: u32,
    /// Whether ECM was used.
    pub ecm: bool,
    /// Coding on the line, spandsp's number: 2 MH, 4 MR, 8 MMR.
    pub compression: u32,
    /// Rows of the last page.
    pub rows: u32,
    /// Rows of the last page that could not be decoded.
    pub bad_rows: u32,
    /// ECM: frames or blocks that were asked for again.
    pub ecm_retries: u32,
    /// RTN answers in the call.
    pub rtn_events: u32,
    /// The far end's subscriber number.
    pub remote_ident: String,
    /// The sub-address it was given (SUB).
    pub sub_address: String,
    /// The password it was given when it was polled (PWD).
    pub password: String,
    /// The password it was given when it was sent something (SID).
    pub sender_ident: String,
    /// Every page end that the peer reported.
    pub pages: Vec<PageReport>,
}

impl Report {
    /// Whether the call ended well.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.code == Some(0)
    }
}

/// What callbacks write to. Lives in its own allocation, reached through a raw pointer only.
#[derive(Default)]
pub(crate) struct Ledger {
    pub(crate) code: Option<i32>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) pages: Vec<PageReport>,
    t30: Option<*mut c::t30_state_t>,
}

/// A T.30 state of spandsp with the ledger its callbacks write to.
pub(crate) struct Session {
    t30: *mut c::t30_state_t,
    ledger: *mut Ledger,
}

impl Session {
    /// Installs the callbacks.
    ///
    /// # Safety
    ///
    /// `t30` must be live and stay so until this session was dropped or [`Session::detach`]ed; the
    /// session must be kept alive for as long as `t30` is used.
    pub(crate) unsafe fn attach(t30: *mut c::t30_state_t) -> Self {
        let ledger = Box::into_raw(Box::new(Ledger { t30: Some(t30), ..Ledger::default() }));
        let user = ledger.cast::<c_void>();
        // SAFETY: `t30` is live by contract; `user` outlives its use because the owner frees `t30` first.
        unsafe {
            c::t30_set_phase_e_handler(t30, Some(phase_e), user);
            c::t30_set_phase_d_handler(t30, Some(phase_d), user);
            c::t30_set_real_time_frame_handler(t30, Some(frame), user);
        }
        Session { t30, ledger }
    }

    pub(crate) fn frames(&self) -> Vec<Frame> {
        // SAFETY: the ledger lives as long as `self`; no callback runs while this reference exists.
        unsafe { &*self.ledger }.frames.clone()
    }

    pub(crate) fn code(&self) -> Option<i32> {
        // SAFETY: as in `frames`.
        unsafe { &*self.ledger }.code
    }

    /// Tells T.30 to give up.
    pub(crate) fn terminate(&mut self) {
        // SAFETY: `t30` is live as long as `self`, and the exclusive borrow means nobody else uses it.
        unsafe { c::t30_terminate(self.t30) }
    }

    pub(crate) fn report(&self) -> Report {
        // SAFETY: `t30` is live; the call only reads it.
        let stats = unsafe {
            let mut stats: c::t30_stats_t = core::mem::zeroed();
            c::t30_get_transfer_statistics(self.t30, &mut stats);
            stats
        };
        let text_of = |get: unsafe extern "C" fn(*mut c::t30_state_t) -> *const core::ffi::c_char| {
            // SAFETY: `t30` is live; the call only reads it. The string is copied at once.
            unsafe {
                let text = get(self.t30);
                if text.is_null() {
                    String::new()
                } else {
                    CStr::from_ptr(text).to_string_lossy().into_owned()
                }
            }
        };
        let code = self.code();
        let text = match code {
            None => "in progress".to_owned(),
            // SAFETY: spandsp answers with a static string for every number.
            Some(code) => unsafe {
                CStr::from_ptr(c::t30_completion_code_to_str(code)).to_string_lossy().into_owned()
            },
        };
        // SAFETY: as in `frames`.
        let pages = unsafe { &*self.ledger }.pages.clone();
        Report {
            code,
            text,
            pages_sent: natural(stats.pages_tx),
            pages_received: natural(stats.pages_rx),
            bit_rate: natural(stats.bit_rate),
            ecm: stats.error_correcting_mode != 0,
            compression: natural(stats.compression),
            rows: natural(stats.length),
            bad_rows: natural(stats.bad_rows),
            ecm_retries: natural(stats.error_correcting_mode_retries),
            rtn_events: natural(stats.rtn_events),
            remote_ident: text_of(c::t30_get_rx_ident),
            sub_address: text_of(c::t30_get_rx_sub_address),
            password: text_of(c::t30_get_rx_password),
            sender_ident: text_of(c::t30_get_rx_sender_ident),
            pages,
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        // SAFETY: made by `Box::into_raw` in `attach` and freed only here; the owner has freed the T.30
        // state before, so no callback can come any more.
        drop(unsafe { Box::from_raw(self.ledger) });
    }
}

fn natural(n: c_int) -> u32 {
    u32::try_from(n).unwrap_or(0)
}

/// A path as C takes it.
pub(crate) fn c_path(path: &Path) -> io::Result<CString> {
    // spandsp keeps paths in arrays of 256.
    let text = path.to_str().ok_or(io::ErrorKind::InvalidInput)?;
    if text.len() > 255 {
        return Err(io::ErrorKind::InvalidInput.into());
    }
    Ok(CString::new(text)?)
}

unsafe extern "C" fn phase_e(user: *mut c_void, code: c_int) {
    // SAFETY: `user` is the ledger of `attach`; no reference into it exists while spandsp runs.
    unsafe { (*user.cast::<Ledger>()).code = Some(code) };
}

unsafe extern "C" fn phase_d(user: *mut c_void, facsimile_control: c_int) -> c_int {
    // SAFETY: as in `phase_e`; the T.30 state is the one that is calling, and is only read.
    unsafe {
        let ledger = &mut *user.cast::<Ledger>();
        if let Some(t30) = ledger.t30 {
            let mut stats: c::t30_stats_t = core::mem::zeroed();
            c::t30_get_transfer_statistics(t30, &mut stats);
            ledger.pages.push(PageReport {
                facsimile_control,
                bad_rows: natural(stats.bad_rows),
                longest_bad_run: natural(stats.longest_bad_row_run),
                rows: natural(stats.length),
            });
        }
    }
    0
}

unsafe extern "C" fn frame(user: *mut c_void, incoming: bool, octets: *const u8, len: c_int) {
    let Ok(len) = usize::try_from(len) else {
        return;
    };
    if octets.is_null() || len == 0 {
        return;
    }
    let direction = if incoming { Direction::Received } else { Direction::Sent };
    // SAFETY: as in `phase_e`; spandsp hands over `len` readable octets.
    unsafe {
        let octets = core::slice::from_raw_parts(octets, len).to_vec();
        (*user.cast::<Ledger>()).frames.push(Frame { direction, octets });
    }
}
