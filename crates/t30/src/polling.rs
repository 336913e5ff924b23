//! Polling: the calling terminal asks with DTC to be sent what the called one offers (T.30 §5.3.6.1.2, §5.2
//! flow charts "DTC").

use crate::api::{Document, Phase, Poll, Role};
use crate::call::{Burst, Call, On, burst};
use crate::called::AwaitDcs;
use crate::calling::AwaitDis;
use crate::cause::Cause;
use crate::dis::Fif;
use crate::exchange::{Exchange, Reply};
use crate::frames::{self, Fcf, ident_from_fif};
use crate::negotiate;
use crate::receive;
use crate::refusal::{self, Refusal};
use crate::release;
use crate::send;
use crate::session::State;
use crate::timers::Timer;
use bytes::Bytes;
use fax_base::line::{Listen, Transmit};

/// Bursts whose promised frame got lost are left without an answer so often: they come again.
const PROMISES: u32 = 2;

// The calling side.

/// DTC was sent, or is due when the far end stays silent; DCS is awaited.
#[derive(Debug)]
pub(crate) struct AwaitPolled {
    exchange: Exchange,
}

/// Everything is sent: polls the terminal with this DIS, or takes leave when nothing is left to poll.
pub(crate) fn request(call: &mut Call) -> State {
    let dis = call.transmission.dis;
    let Some(poll) = call.config.poll.get(call.reception.polls).cloned() else {
        let nothing_done = !call.transmission.any_sent && !call.reception.document_done;
        return release::disconnect(call, nothing_done.then_some(Cause::Incompatible));
    };
    if !dis.bit(9) {
        return release::disconnect(call, Some(Cause::NothingToPoll));
    }
    if (poll.sep.is_some() && !dis.bit(47)) || (poll.psa.is_some() && !dis.bit(35)) {
        return release::disconnect(call, Some(Cause::AddressUnsupported));
    }
    call.enter(Phase::B);
    call.listen(Listen::Control);
    let command = command(call, &dis, &poll);
    let exchange = Exchange::begin(call, Vec::new(), command).without_asking();
    State::AwaitPolled(AwaitPolled { exchange })
}

/// (CIG)(PWD)(SEP)(PSA)DTC.
fn command(call: &Call, dis: &Fif, poll: &Poll) -> Vec<Transmit> {
    let mut dtc = negotiate::dis(&call.config.capabilities);
    dtc.put(34, call.config.poll.len() > 1);
    dtc.put(49, false);
    let mut all: Vec<Bytes> = call.identification(Fcf::Cig).into_iter().collect();
    let password = call.config.password.as_ref().filter(|_| dis.bit(50));
    for (bit, fcf, text) in
        [(50, Fcf::Pwd, password), (47, Fcf::Sep, poll.sep.as_ref()), (35, Fcf::Psa, poll.psa.as_ref())]
    {
        if let Some(text) = text {
            dtc.put(bit, true);
            all.push(frames::build(fcf, false, false, &frames::ident_to_fif(text)));
        }
    }
    all.push(frames::build(Fcf::Dtc, false, true, &dtc.to_octets()));
    burst(all)
}

/// Training was refused, or the line changed: the far end sends DCS again, or wants to hear DTC again.
pub(crate) fn again(call: &mut Call) -> State {
    call.listen(Listen::Control);
    let poll = call.config.poll.get(call.reception.polls).cloned().unwrap_or_default();
    let command = command(call, &call.transmission.dis, &poll);
    State::AwaitPolled(AwaitPolled { exchange: Exchange::waiting(command).without_asking() })
}

/// Why it is a failure to part now, if it is one: something was still to be sent or polled.
pub(crate) fn left_undone(call: &Call) -> Option<Cause> {
    let more = not_done(call).is_some() || !call.transmission.is_over();
    more.then_some(Cause::DisconnectedBeforePage)
}

/// Why it is a failure to end a call in which everything went well, if it is one: we were to poll more than the
/// far end has.
pub(crate) fn not_done(call: &Call) -> Option<Cause> {
    (call.reception.polls < call.config.poll.len()).then_some(Cause::NothingToPoll)
}

impl AwaitPolled {
    pub(crate) fn on(mut self, call: &mut Call, on: On) -> State {
        if matches!(on, On::LineChanged) {
            // The called terminal says again who it is.
            self.exchange.listen(call);
            return State::AwaitPolled(self);
        }
        let burst = match self.exchange.on(call, on) {
            Reply::Wait | Reply::Left => return State::AwaitPolled(self),
            Reply::Disconnected => return release::end(call, Some(Cause::PollRefused)),
            Reply::Silence => return release::disconnect(call, Some(Cause::NoResponseToPoll)),
            Reply::Frames(burst) => burst,
        };
        match burst.last.fcf {
            Fcf::Dcs => receive::training::commanded(call, &burst, State::AwaitPolled(self)),
            // It did not hear DTC.
            Fcf::Dis => {
                if self.exchange.again(call) {
                    State::AwaitPolled(self)
                } else {
                    release::disconnect(call, Some(Cause::RemoteDoesNotHear))
                }
            }
            Fcf::Fnv => release::disconnect(call, Some(Cause::PollRefused)),
            _ => release::disconnect(call, Some(Cause::ProtocolError)),
        }
    }
}

// The called side.

/// Says in a DIS what can be polled from us.
pub(crate) fn offer(call: &Call, dis: &mut Fif) {
    let offered: Vec<&Document> = call.transmission.undelivered(&call.config.send).collect();
    let selective = offered.iter().any(|d| d.address.is_some());
    dis.put(9, !offered.is_empty());
    dis.put(34, selective);
    dis.put(35, selective);
    dis.put(47, selective);
}

/// DTC came: send what it asks for. `stay` is where to be if it is to be ignored.
pub(crate) fn polled(call: &mut Call, burst: &Burst, stay: State) -> State {
    let dtc = Fif::parse(&burst.last.fif);
    // What a DIS says are abilities: nothing of it needs to come before it.
    let said = |bit| burst.last.fcf == Fcf::Dtc && dtc.bit(bit);
    if is_damaged(call, burst, &[(said(50), Fcf::Pwd), (said(47), Fcf::Sep), (said(35), Fcf::Psa)]) {
        return stay;
    }
    send::identify(call, burst, Fcf::Cig);
    if !refusal::password_fits(call, burst) {
        return Refusal::of(Cause::WrongPassword, Fcf::Pwd, burst).tell(call);
    }
    let text = |fcf| burst.frames.iter().find(|f| f.fcf == fcf).and_then(|f| ident_from_fif(&f.fif));
    let named = Poll { sep: text(Fcf::Sep), psa: text(Fcf::Psa) };
    let field = match (&named.sep, &named.psa) {
        (Some(_), _) => Some(Fcf::Sep),
        (None, Some(_)) => Some(Fcf::Psa),
        (None, None) => None,
    };
    call.timers.clear(Timer::T1);
    call.stop_search();
    call.transmission.dis = dtc;
    call.transmission.select(&call.config.send, named);
    if call.transmission.is_over() {
        let nothing = Cause::NothingToPoll;
        let refusal = field.map_or(Refusal::plain(nothing), |f| Refusal::of(nothing, f, burst));
        return refusal.tell(call);
    }
    call.reception.refused = None;
    send::begin(call)
}

/// Whether a frame is missing that the burst's DCS or DTC says was sent. After a few times it is taken as it
/// is.
pub(crate) fn is_damaged(call: &mut Call, burst: &Burst, promised: &[(bool, Fcf)]) -> bool {
    let has = |fcf: Fcf| burst.frames.iter().any(|f| f.fcf == fcf);
    let missing = promised.iter().any(|(said, fcf)| *said && !has(*fcf));
    if !missing || call.reception.broken_promises >= PROMISES {
        return false;
    }
    call.reception.broken_promises += 1;
    true
}

// Both.

/// After EOM or EOS: back to phase B, where the called terminal speaks first.
pub(crate) fn next_message(call: &mut Call) -> State {
    match call.config.role {
        Role::Calling => AwaitDis::begin(call),
        Role::Called => AwaitDcs::after(call),
    }
}

/// As a receiver, after FTT: the sender speaks first.
pub(crate) fn next_training(call: &mut Call) -> State {
    match call.config.role {
        Role::Calling => again(call),
        Role::Called => AwaitDcs::after(call),
    }
}
