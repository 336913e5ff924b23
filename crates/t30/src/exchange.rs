//! A command and the search for its response: T4, three sends, CRP obeyed (T.30 §5.4 and its flow
//! charts' "response received?").

use crate::call::{Burst, Call, On};
use crate::frames::Fcf;
use crate::timers::{self, Timer};
use fax_base::line::Transmit;

/// One command that wants a response.
#[derive(Debug)]
pub(crate) struct Exchange {
    /// What goes before the first sending: the page or block. Kept until it has left.
    before: Vec<Transmit>,
    /// The command's burst, and a training check behind it.
    command: Vec<Transmit>,
    sends: u8,
    /// A response with errors is asked for again with CRP.
    asks: bool,
    repeated: bool,
}

/// What came of it so far.
pub(crate) enum Reply {
    /// Nothing yet.
    Wait,
    /// The command has left.
    Left,
    /// A burst that is neither echo, CRP, DCN nor unknown.
    Frames(Burst),
    /// DCN.
    Disconnected,
    /// No response to the last of the sends.
    Silence,
}

impl Exchange {
    /// Sends `before` and the command.
    pub(crate) fn begin(call: &mut Call, before: Vec<Transmit>, command: Vec<Transmit>) -> Self {
        let all = before.iter().chain(&command).cloned().collect();
        call.send(all);
        Exchange { before, command, sends: 1, asks: true, repeated: false }
    }

    /// Sends nothing yet: the far end has the word. The command follows if it stays silent.
    pub(crate) fn waiting(command: Vec<Transmit>) -> Self {
        Exchange { before: Vec::new(), command, sends: 0, asks: true, repeated: false }
    }

    /// The response may have a training check behind it, which CRP would run into.
    pub(crate) fn without_asking(self) -> Self {
        Exchange { asks: false, ..self }
    }

    /// Whether what goes before the command has not left yet.
    pub(crate) const fn sends_image(&self) -> bool {
        !self.before.is_empty()
    }

    /// Whether the command was sent more than once: an answer may have been lost.
    pub(crate) const fn repeated(&self) -> bool {
        self.repeated
    }

    /// Sends the command again, if it was not sent too often.
    pub(crate) fn again(&mut self, call: &mut Call) -> bool {
        if self.sends >= timers::SENDS {
            return false;
        }
        self.sends += 1;
        self.repeated = self.sends > 1;
        call.send(self.command.clone());
        true
    }

    /// The far end begins anew: wait what it says, and count from the start.
    pub(crate) fn listen(&mut self, call: &mut Call) {
        self.sends = 0;
        call.search(Timer::T4, timers::T4);
    }

    /// What `on` means for this command.
    pub(crate) fn on(&mut self, call: &mut Call, on: On) -> Reply {
        match on {
            On::Sent => {
                self.before.clear();
                call.search(Timer::T4, timers::T4);
                Reply::Left
            }
            On::Burst(burst) => match burst.last.fcf {
                Fcf::Dcn => Reply::Disconnected,
                Fcf::Crp if self.again(call) => Reply::Wait,
                Fcf::Crp => Reply::Silence,
                // What nobody knows is no response: the command is sent again.
                Fcf::Unknown => Reply::Wait,
                _ if call.sending() => Reply::Wait,
                _ => Reply::Frames(burst),
            },
            On::Expired(Timer::T4) => {
                if self.again(call) {
                    Reply::Wait
                } else {
                    Reply::Silence
                }
            }
            On::Expired(Timer::Sending) => Reply::Silence,
            On::LineChanged => {
                // What had not left is sent again whole, else the command only.
                self.repeated |= self.before.is_empty();
                let all = self.before.iter().chain(&self.command).cloned().collect();
                call.send(all);
                Reply::Wait
            }
            On::BurstLost { frames: true } if self.asks => {
                call.ask_again();
                Reply::Wait
            }
            On::Flags
            | On::BurstLost { .. }
            | On::Tone(_)
            | On::Image(_)
            | On::Page(_)
            | On::Verdict(_)
            | On::Expired(
                Timer::T0
                | Timer::T1
                | Timer::T1A
                | Timer::T2
                | Timer::T5
                | Timer::T3
                | Timer::Frame
                | Timer::Turnaround
                | Timer::Tcf
                | Timer::Image
                | Timer::Page
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => Reply::Wait,
        }
    }
}
