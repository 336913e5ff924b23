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
/// The last bit of each DIS in a row: some old machines choke on long ones, and the oldest know three octets only.
const DIS_BITS: [u32; 6] = [128, 128, 32, 128, 24, 128];

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
        let number = usize::try_from(self.sent - 1).unwrap_or(0) % DIS_BITS.len();
        // Who is to name a password or a sub-address must be told that it can.
        if call.config.password.is_none() && call.config.sub_addresses.is_empty() {
            dis.truncate(DIS_BITS.get(number).copied().unwrap_or(128));
        }
        let mut burst: Vec<Bytes> = call.identification(Fcf::Csi).into_iter().collect();
        burst.push(frames::build(Fcf::Dis, false, true, &dis.to_octets()));
        call.send_burst(burst);
    }

    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        match on {
            On::Sent => {
                if self.sent == 0 {
                    let patience = receive::patience(call, timers::T2_AFTER_EOM);
                    call.search(Timer::T2, patience);
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
                    // What was said last: DIS, or FTT or FNV before it.
                    Fcf::Crp => {
                        if !call.say_again() {
                            self.identify(call);
                        }
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
                let lost = if self.heard { Cause::CommandLost } else { Cause::NoFax };
                let cause = Self::undone(call, lost);
                release::disconnect(call, cause)
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
            ) => State::AwaitDcs(self),
        }
    }

    /// The caller said farewell.
    fn left(self, call: &mut Call) -> State {
        let cause = Self::undone(call, Cause::CallerLeftBeforePage);
        release::end(call, cause)
    }

    /// The call was cleared: after a whole document that is no failure.
    pub(crate) fn hung_up(self, call: &mut Call) -> State {
        let cause = Self::undone(call, Cause::CallDropped);
        release::end(call, cause)
    }

    /// Why it is a failure to part now, if it is one: what we refused, or `else_cause` when nothing was done.
    fn undone(call: &Call, else_cause: Cause) -> Option<Cause> {
        call.reception.refused.or((!call.served()).then_some(else_cause))
    }
}
