//! DCS and the training check, and their answer (T.30 §5.3.6.1.3, flow chart box "D" to "III").

use crate::api::{Event, Phase};
use crate::call::{Call, On};
use crate::called::AwaitDcs;
use crate::cause::Cause;
use crate::exchange::{Exchange, Reply};
use crate::frames::{self, Fcf};
use crate::negotiate::{self, Agreed};
use crate::release;
use crate::send;
use crate::session::State;
use crate::tcf;
use crate::timers::{self, Timer};
use bytes::Bytes;
use fax_base::line::{Listen, Training, Transmit};

/// DCS and TCF were sent, CFR or FTT is awaited.
#[derive(Debug)]
pub(crate) struct AwaitTrained {
    exchange: Exchange,
    /// The line changed below us since DCS: what was agreed need not hold for it.
    changed: bool,
}

/// Sends (TSI)(SUB)DCS and TCF for the page in hand at the present rate.
pub(crate) fn train(call: &mut Call) -> State {
    let Some(page) = call.transmission.plan.get(call.transmission.at) else {
        return release::disconnect(call, Some(Cause::Incompatible));
    };
    let (dis, format) = (call.transmission.dis, send::format(call, &page.shape));
    call.enter(Phase::B);
    let modulation = call.transmission.ladder.current();
    let small_frames = negotiate::small_frames(&call.config.capabilities, &dis, &format);
    let agreed = Agreed { format, modulation, small_frames };
    call.transmission.agreed = Some(agreed);
    call.tally.agreed = Some(agreed);
    call.event(Event::Negotiated { format, modulation });
    let mut burst: Vec<Bytes> = call.identification(Fcf::Tsi).into_iter().collect();
    let mut dcs = negotiate::dcs(&agreed, &dis, call.transmission.longest());
    if !call.transmission.polled {
        let password = call.config.password.as_deref().filter(|_| dis.bit(50));
        for (bit, fcf, text) in [(49, Fcf::Sub, send::sub_address(call)), (50, Fcf::Sid, password)] {
            if let Some(text) = text {
                dcs.put(bit, true);
                burst.push(frames::build(fcf, call.x, false, &frames::ident_to_fif(text)));
            }
        }
    }
    burst.push(frames::build(Fcf::Dcs, call.x, true, &dcs.to_octets()));
    let command = vec![
        Transmit::Silence(timers::GAP),
        Transmit::Control(burst),
        Transmit::Silence(timers::GAP),
        Transmit::Bits { modulation, training: Training::Long, octets: tcf::octets(modulation) },
    ];
    call.listen(Listen::Control);
    let exchange = Exchange::begin(call, Vec::new(), command);
    State::AwaitTrained(AwaitTrained { exchange, changed: false })
}

impl AwaitTrained {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        if matches!(on, On::LineChanged) && call.transmission.polled {
            return AwaitDcs::begin(call);
        }
        if matches!(on, On::LineChanged) {
            // The called terminal says again who it is.
            self.changed = true;
            self.exchange.listen(call);
            return State::AwaitTrained(self);
        }
        // It does not: what the new line carries may be less than what DCS said.
        if self.changed && matches!(on, On::Expired(Timer::T4)) {
            return send::begin(call);
        }
        let burst = match self.exchange.on(call, on) {
            Reply::Wait | Reply::Left => return State::AwaitTrained(self),
            Reply::Disconnected => {
                return release::end(call, Some(Cause::DisconnectedBeforePage));
            }
            Reply::Silence => {
                return release::disconnect(call, Some(Cause::NoResponseToTraining));
            }
            Reply::Frames(burst) => burst,
        };
        let modulation = call.transmission.ladder.current();
        match burst.last.fcf {
            Fcf::Cfr => {
                call.event(Event::Training { modulation, passed: true });
                send::want_page(call)
            }
            Fcf::Ftt => {
                call.event(Event::Training { modulation, passed: false });
                match call.transmission.ladder.fall_back() {
                    Some(_) => train(call),
                    None => release::disconnect(call, Some(Cause::CannotTrain)),
                }
            }
            // It may be able to do something else on this line.
            Fcf::Dis if self.changed => send::identified(call, &burst),
            // The far end did not hear us.
            Fcf::Dis | Fcf::Dtc => self.repeat(call, Cause::RemoteDoesNotHear),
            // The answer to the last page once more: it did not hear DCS either.
            Fcf::Mcf | Fcf::Rtn | Fcf::RetrainPositive | Fcf::Pip | Fcf::Pin
                if call.transmission.any_sent =>
            {
                self.repeat(call, Cause::NoResponseToTraining)
            }
            Fcf::Fnv => release::disconnect(call, Some(Cause::IdentRefused)),
            _ => release::disconnect(call, Some(Cause::InvalidResponseToTraining)),
        }
    }

    fn repeat(mut self, call: &mut Call, cause: Cause) -> State {
        if self.exchange.again(call) {
            State::AwaitTrained(self)
        } else {
            release::disconnect(call, Some(cause))
        }
    }
}
