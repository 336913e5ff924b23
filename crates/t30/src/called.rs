//! The called terminal until it is told what to receive: CED, then DIS every T4 until T1
//! (T.30 §3.1, §5.2 flow chart "RECEIVE").

use crate::api::{Event, Phase};
use crate::call::{Call, On};
use crate::cause::Cause;
use crate::frames::{self, Fcf};
use crate::negotiate;
use crate::polling;
use crate::receive;
use crate::release;
use crate::session::State;
use crate::timers::{self, Timer};
use bytes::Bytes;
use core::time::Duration;
use fax_base::line::{Listen, Tone, Transmit};

/// Silence after the answer: 0.2 s at least.
const ANSWER_SILENCE: Duration = Duration::from_millis(500);
/// CED: 2.6 s … 4.0 s, and none of it wasted.
const CED: Duration = Duration::from_millis(2_700);
/// After so many DIS without an answer every second one is short: some old machines choke on long
/// ones.
const LONG_DIS: u32 = 3;

/// Sending CED and the first DIS.
#[derive(Debug)]
pub(crate) struct Answering;

impl Answering {
    pub(crate) fn begin(call: &mut Call) -> State {
        call.event(Event::Phase(Phase::A));
        call.listen(Listen::Control);
        call.send(vec![Transmit::Silence(ANSWER_SILENCE), Transmit::Tone(Tone::Ced, CED)]);
        State::Answering(Answering)
    }

    pub(crate) fn on(self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent | On::LineChanged | On::Expired(Timer::Sending) => AwaitDcs::begin(call),
            On::Burst(burst) if burst.last.fcf == Fcf::Dcn => {
                call.stop();
                release::end(call, Some(Cause::CallerLeftBeforePage))
            }
            On::Burst(_)
            | On::Flags
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
                | Timer::T4
                | Timer::T5
                | Timer::Frame
                | Timer::Turnaround
                | Timer::Tcf
                | Timer::Image
                | Timer::Page
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::Answering(self),
        }
    }
}

/// In phase B: DIS is sent and sent again until a DCS comes.
#[derive(Debug)]
pub(crate) struct AwaitDcs {
    sent: u32,
    /// Whether anything of a fax was heard since phase B began.
    heard: bool,
}

impl AwaitDcs {
    /// Enters phase B and sends the first DIS.
    pub(crate) fn begin(call: &mut Call) -> State {
        call.enter(Phase::B);
        call.listen(Listen::Control);
        call.timers.set(Timer::T1, call.now + timers::T1);
        let mut state = AwaitDcs { sent: 0, heard: call.reception.any_dcs };
        state.identify(call);
        State::AwaitDcs(state)
    }

    /// Waits for a command first (after EOM or FTT), then sends DIS.
    pub(crate) fn after(call: &mut Call) -> State {
        call.enter(Phase::B);
        call.listen(Listen::Control);
        call.stop_search();
        if !call.sending() {
            call.search(Timer::T2, timers::T2_AFTER_EOM);
        }
        call.timers.set(Timer::T1, call.now + timers::T1 + timers::T2);
        State::AwaitDcs(AwaitDcs::heard())
    }

    /// Waits for what is said next, while the far end is speaking.
    pub(crate) fn heard() -> Self {
        AwaitDcs { sent: 0, heard: true }
    }

    fn identify(&mut self, call: &mut Call) {
        self.sent = self.sent.saturating_add(1);
        let mut dis = negotiate::dis(&call.config.capabilities);
        dis.put(10, call.config.receive);
        polling::offer(call, &mut dis);
        dis.put(50, call.config.password.is_some());
        if self.sent > LONG_DIS && self.sent.is_multiple_of(2) {
            dis.truncate(32);
        }
        let mut burst: Vec<Bytes> = call.identification(Fcf::Csi).into_iter().collect();
        burst.push(frames::build(Fcf::Dis, false, true, &dis.to_octets()));
        call.send_burst(burst);
    }

    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent => {
                if self.sent == 0 {
                    call.search(Timer::T2, timers::T2_AFTER_EOM);
                } else {
                    call.search(Timer::T4, timers::T4);
                }
                State::AwaitDcs(self)
            }
            On::Expired(Timer::T2 | Timer::T4 | Timer::Sending) => {
                self.identify(call);
                State::AwaitDcs(self)
            }
            On::Burst(burst) => {
                self.heard = true;
                match burst.last.fcf {
                    Fcf::Dcn => self.left(call),
                    Fcf::Crp => {
                        self.identify(call);
                        State::AwaitDcs(self)
                    }
                    Fcf::Dcs => receive::training::commanded(call, &burst, State::AwaitDcs(self)),
                    // DIS from a caller is taken as DTC.
                    Fcf::Dtc | Fcf::Dis => polling::polled(call, &burst, State::AwaitDcs(self)),
                    Fcf::Mps
                    | Fcf::Eom
                    | Fcf::Eop
                    | Fcf::Eos
                    | Fcf::PriMps
                    | Fcf::PriEom
                    | Fcf::PriEop
                    | Fcf::Pps
                    | Fcf::Eor
                    | Fcf::Rr => {
                        // Our confirmation was lost; it is given again.
                        if receive::commands::answer_repeat(call, &burst) {
                            self.sent = 0;
                        }
                        State::AwaitDcs(self)
                    }
                    _ => State::AwaitDcs(self),
                }
            }
            On::LineChanged => {
                call.timers.set(Timer::T1, call.now + timers::T1);
                self.sent = 0;
                self.identify(call);
                State::AwaitDcs(self)
            }
            On::Expired(Timer::T1) => {
                let cause = if self.heard { Cause::CommandLost } else { Cause::NoFax };
                release::disconnect(call, (!call.served()).then_some(cause))
            }
            On::BurstLost { frames } => {
                self.heard |= frames;
                State::AwaitDcs(self)
            }
            On::Flags
            | On::Tone(_)
            | On::Image(_)
            | On::Page(_)
            | On::Verdict(_)
            | On::Expired(
                Timer::T0
                | Timer::T1A
                | Timer::T5
                | Timer::Frame
                | Timer::Turnaround
                | Timer::Tcf
                | Timer::Image
                | Timer::Page
                | Timer::Assembly
                | Timer::Release
                | Timer::Busy
                | Timer::Call,
            ) => State::AwaitDcs(self),
        }
    }

    /// The caller said farewell.
    fn left(self, call: &mut Call) -> State {
        release::end(call, (!call.served()).then_some(Cause::CallerLeftBeforePage))
    }

    /// The call was cleared: after a whole document that is no failure.
    pub(crate) fn hung_up(self, call: &mut Call) -> State {
        release::end(call, (!call.served()).then_some(Cause::CallDropped))
    }
}
