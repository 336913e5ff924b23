//! What a peer is to do in a call, and how that is told to spandsp (T.30 Table 2).

use crate::session::c_path;
use fax_base::page::{Coding, Tones};
use spandsp_sys as c;
use std::ffi::CString;
use std::io;
use std::path::PathBuf;

/// A family of modems.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Recommendation {
    /// V.27ter, 2400 and 4800 bit/s.
    V27ter,
    /// V.29, 7200 and 9600 bit/s.
    V29,
    /// V.17, 7200 to 14 400 bit/s.
    V17,
}

/// How a T.38 peer sends its packets.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Streaming {
    /// At the pace of the modems that it stands for.
    #[default]
    Paced,
    /// Paced, and the present indicator again and again while there is nothing else.
    RepeatedIndicators,
    /// The same, for two seconds at most.
    RepeatedIndicators2s,
    /// As fast as it can, the FCS with the data, as over TCP.
    Unpaced,
    /// As fast as it can, without indicators.
    UnpacedWithoutIndicators,
}

impl Streaming {
    pub(crate) fn config(self) -> u32 {
        match self {
            Streaming::Paced => 0,
            Streaming::RepeatedIndicators => c::T38_TERMINAL_OPTION_REGULAR_INDICATORS,
            Streaming::RepeatedIndicators2s => c::T38_TERMINAL_OPTION_2S_REPEATING_INDICATORS,
            Streaming::Unpaced => c::T38_TERMINAL_OPTION_NO_PACING,
            Streaming::UnpacedWithoutIndicators => {
                c::T38_TERMINAL_OPTION_NO_PACING | c::T38_TERMINAL_OPTION_NO_INDICATORS
            }
        }
    }
}

/// What a peer can do and shall do.
#[derive(Clone, PartialEq, Debug)]
pub struct Options {
    /// Error correction mode.
    pub ecm: bool,
    /// Codings it takes and uses; MH is always there.
    pub codings: Vec<Coding>,
    /// Modems it takes and uses.
    pub modems: Vec<Recommendation>,
    /// The TIFF file to be sent, if any.
    pub send: Option<PathBuf>,
    /// Where to write what is received, if it may receive.
    pub receive: Option<PathBuf>,
    /// Its subscriber number (TSI, CSI), at most 20 characters.
    pub ident: String,
    /// T38FaxVersion of the session; 0 is the syntax of 1998.
    pub t38_version: u8,
    /// How it sends T.38 packets.
    pub streaming: Streaming,
    /// T.38: remove fill bits from pages without ECM before sending them.
    pub fill_bit_removal: bool,
    /// Send talker echo protection before V.29 and V.17; in T.38, leave time for it.
    pub talker_echo_protection: bool,
    /// The least time for a coded line that it demands as a receiver without ECM, ms: 0, 5, 10, 20
    /// or 40.
    pub min_row_time_ms: u8,
    /// It knows sub-addresses, selective polling and passwords, and says so in its DIS.
    pub addresses: bool,
    /// The sub-address it sends (SUB); this and the next three at most 20 characters.
    pub sub_address: String,
    /// The selective polling address it sends (SEP).
    pub selective_polling_address: String,
    /// The password it sends when it polls (PWD).
    pub password: String,
    /// The password it sends when it sends (SID).
    pub sender_ident: String,
    /// As a receiver with ECM: it says RNR so often.
    pub not_ready: u8,
    /// It says that it knows FNV (DIS, DTC bit 33).
    pub field_not_valid: bool,
    /// It asks with CRP for what it heard with errors.
    pub command_repeat: bool,
    /// It wants an operator: its post-message commands are PRI-MPS, PRI-EOM, PRI-EOP.
    pub asks_for_operator: bool,
    /// It heeds the far end's wish for an operator (PRI-MPS …, PIP, PIN); its T3 then ends the call.
    pub has_operator: bool,
    /// Write spandsp's log to standard error.
    pub log: bool,
}

impl Default for Options {
    /// ECM, every coding, every modem, nothing to send or receive, T.38 version 0.
    fn default() -> Self {
        Options {
            ecm: true,
            codings: vec![Coding::Mh, Coding::Mr, Coding::Mmr],
            modems: vec![Recommendation::V27ter, Recommendation::V29, Recommendation::V17],
            send: None,
            receive: None,
            ident: String::new(),
            t38_version: 0,
            streaming: Streaming::Paced,
            fill_bit_removal: false,
            talker_echo_protection: false,
            min_row_time_ms: 0,
            addresses: false,
            sub_address: String::new(),
            selective_polling_address: String::new(),
            password: String::new(),
            sender_ident: String::new(),
            not_ready: 0,
            field_not_valid: false,
            command_repeat: false,
            asks_for_operator: false,
            has_operator: false,
            log: false,
        }
    }
}

// From spandsp's t4_rx.h; these enumerations have no names that the bindings carry.
const WIDTHS: i32 = 0x01 | 0x02 | 0x04;
const LENGTHS: i32 = 0x1_0000 | 0x2_0000 | 0x4_0000 | 0x8_0000 | 0x10_0000;
const RESOLUTIONS_R8: i32 = 0x01 | 0x02 | 0x04;
const RESOLUTION_R16: i32 = 0x08;
const RESOLUTIONS_INCH: i32 = 0x20 | 0x40 | 0x80 | 0x100;
/// 200 × 200.
const RESOLUTIONS_COLOUR: u32 = 0x40;

impl Options {
    /// Applies everything that T.30 knows of.
    ///
    /// # Safety
    ///
    /// `t30` must point to a live T.30 state that nobody else uses meanwhile.
    pub(crate) unsafe fn apply(&self, t30: *mut c::t30_state_t, iaf: bool) -> io::Result<()> {
        let codings =
            self.codings.iter().fold(c::t4_image_compression_t_T4_COMPRESSION_T4_1D, |set, coding| {
                set | match coding {
                    Coding::Mh => c::t4_image_compression_t_T4_COMPRESSION_T4_1D,
                    Coding::Mr => c::t4_image_compression_t_T4_COMPRESSION_T4_2D,
                    Coding::Mmr => c::t4_image_compression_t_T4_COMPRESSION_T6,
                    Coding::T85 => c::t4_image_compression_t_T4_COMPRESSION_T85,
                    Coding::T81(Tones::Grey) => {
                        c::t4_image_compression_t_T4_COMPRESSION_T42_T81
                            | c::t4_image_compression_t_T4_COMPRESSION_GRAYSCALE
                    }
                    Coding::T81(Tones::Colour) => {
                        c::t4_image_compression_t_T4_COMPRESSION_T42_T81
                            | c::t4_image_compression_t_T4_COMPRESSION_GRAYSCALE
                            | c::t4_image_compression_t_T4_COMPRESSION_COLOUR
                    }
                }
            });
        let tones = codings & c::t4_image_compression_t_T4_COMPRESSION_T42_T81 != 0;
        // What is continuous-tone is written as it came; everything else as T.6.
        let output = c::t4_image_compression_t_T4_COMPRESSION_T6
            | if tones { c::t4_image_compression_t_T4_COMPRESSION_T42_T81 } else { 0 };
        // spandsp looks for colour among the resolutions when it makes DCS.
        let colour =
            if tones { RESOLUTIONS_COLOUR | c::t4_image_compression_t_T4_COMPRESSION_COLOUR } else { 0 };
        let modems = self.modems.iter().fold(0, |set, modem| {
            set | match modem {
                Recommendation::V27ter => c::T30_SUPPORT_V27TER,
                Recommendation::V29 => c::T30_SUPPORT_V29,
                Recommendation::V17 => c::T30_SUPPORT_V17,
            }
        });
        let modems = if iaf { modems | c::T30_SUPPORT_IAF } else { modems };
        let ident = CString::new(self.ident.as_str())?;
        let addresses =
            c::T30_SUPPORT_IDENTIFICATION | c::T30_SUPPORT_SELECTIVE_POLLING | c::T30_SUPPORT_SUB_ADDRESSING;
        let features = [
            (self.addresses, addresses),
            (self.field_not_valid, c::T30_SUPPORT_FIELD_NOT_VALID),
            (self.command_repeat, c::T30_SUPPORT_COMMAND_REPEAT),
        ];
        let features = features.into_iter().filter(|(has, _)| *has).fold(0, |set, (_, bit)| set | bit);
        let text = |s: &String| CString::new(s.as_str());
        let (sub, sep) = (text(&self.sub_address)?, text(&self.selective_polling_address)?);
        let (password, sender) = (text(&self.password)?, text(&self.sender_ident)?);
        let send = self.send.as_deref().map(c_path).transpose()?;
        let receive = self.receive.as_deref().map(c_path).transpose()?;
        // SAFETY: `t30` is live by this function's contract; spandsp copies the strings.
        unsafe {
            c::t30_set_ecm_capability(t30, self.ecm);
            c::t30_set_supported_compressions(t30, codings as i32);
            c::t30_set_supported_output_compressions(t30, output as i32);
            c::t30_set_supported_colour_resolutions(t30, colour as i32);
            c::t30_set_supported_modems(t30, modems as i32);
            c::t30_set_supported_image_sizes(t30, WIDTHS | LENGTHS);
            c::t30_set_supported_bilevel_resolutions(t30, RESOLUTIONS_R8 | RESOLUTION_R16 | RESOLUTIONS_INCH);
            c::t30_set_minimum_scan_line_time(t30, i32::from(self.min_row_time_ms));
            c::t30_set_tx_ident(t30, ident.as_ptr());
            c::t30_set_supported_t30_features(t30, features as i32);
            c::t30_set_tx_sub_address(t30, sub.as_ptr());
            c::t30_set_tx_selective_polling_address(t30, sep.as_ptr());
            c::t30_set_tx_password(t30, password.as_ptr());
            c::t30_set_tx_sender_ident(t30, sender.as_ptr());
            c::t30_set_receiver_not_ready(t30, i32::from(self.not_ready));
            c::t30_remote_interrupts_allowed(t30, i32::from(self.has_operator));
            c::t30_local_interrupt_request(t30, i32::from(self.asks_for_operator));
            if let Some(path) = &send {
                c::t30_set_tx_file(t30, path.as_ptr(), -1, -1);
            }
            if let Some(path) = &receive {
                c::t30_set_rx_file(t30, path.as_ptr(), -1);
            }
            if self.log {
                c::span_log_set_level(c::t30_get_logging_state(t30), LOG_LEVEL);
            }
        }
        Ok(())
    }
}

/// Flow, with protocol and sample time.
pub(crate) const LOG_LEVEL: i32 =
    (c::SPAN_LOG_FLOW | c::SPAN_LOG_SHOW_PROTOCOL | c::SPAN_LOG_SHOW_SAMPLE_TIME) as i32;
