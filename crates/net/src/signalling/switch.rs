//! Which carrier a fax has, audio or T.38, and when it changes: the rules, in one place (T.38 Annex D,
//! RFC 3261 §14, RFC 3264 §8).
//!
//! 1. T.30 begins in audio as soon as the call is up and waits for no offer: CNG, CED, DIS, DCS and pages
//!    go on in audio until T.38 is agreed, and go on when it is refused, in whatever way. The calls that
//!    begin with an image line alone begin with T.38.
//! 2. The carrier changes in T.30's phases A and B only. In phases C and D a page is under way that a
//!    change would tear, and a machine behind a gateway would not begin it again: we offer nothing, and
//!    what the far end offers is refused with 488, which leaves the session as it is. An answer to an
//!    offer that was out before holds whenever it comes, for the far end goes by it.
//! 3. The called side offers T.38 so long after the answer as the trunk says, or as soon as it hears CNG.
//!    The calling side leaves that to the called one: it offers when its own time has come and CED or the
//!    preamble of V.21 was heard [`THEIRS_FIRST`] ago; without either, three times as late.
//! 4. T.38 is offered once in a call, and not at all after the far end has left it for audio. Its own offer is
//!    still taken, also after a refusal.
//! 5. T.38 that is agreed and stays silent: audio is offered, and if it is taken the call keeps to it. If
//!    it is not, T.38 goes on until T.30's own timers end the call.

use crate::config::T38Policy;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_t30::{Phase, Role};

/// Gateways of the called side offer T.38 when they see the preamble of V.21; ours must not cross theirs.
const THEIRS_FIRST: Duration = Duration::from_millis(1_500);

/// What carries the fax.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Carrier {
    /// G.711.
    Audio,
    /// UDPTL.
    T38,
}

/// The state that the rules look at.
pub(super) struct Switch {
    policy: T38Policy,
    role: Role,
    carrier: Carrier,
    phase: Phase,
    /// When the call was up.
    up: Option<Instant>,
    /// When the far end was first heard to be a fax.
    fax_heard: Option<Instant>,
    /// Our T.38 was offered, or its time is over.
    offered: bool,
    /// T.38 was agreed and nothing has come by it.
    silent: bool,
}

impl Switch {
    pub(super) fn new(policy: T38Policy, role: Role) -> Self {
        Switch {
            policy,
            role,
            carrier: Carrier::Audio,
            phase: Phase::A,
            up: None,
            fax_heard: None,
            offered: false,
            silent: false,
        }
    }

    /// T.38 is neither offered nor taken from now on.
    pub(super) fn bar_t38(&mut self) {
        self.policy = T38Policy::NEVER;
    }

    pub(super) fn carrier(&self) -> Carrier {
        self.carrier
    }

    /// The carrier is agreed; true when it is another than before.
    pub(super) fn turn_to(&mut self, carrier: Carrier) -> bool {
        let changed = core::mem::replace(&mut self.carrier, carrier) != carrier;
        // T.38 was left for audio: it is not offered anew.
        self.offered |= changed && carrier == Carrier::Audio;
        changed
    }

    /// Both ends talk.
    pub(super) fn up(&mut self, now: Instant) {
        self.up = Some(now);
    }

    /// CED or CNG was heard.
    pub(super) fn fax_heard(&mut self, now: Instant) {
        self.fax_heard.get_or_insert(now);
    }

    /// T.30 enters a phase.
    pub(super) fn phase(&mut self, now: Instant, phase: Phase) {
        self.phase = phase;
        // The calling terminal enters phase B at the preamble of V.21.
        if phase == Phase::B && self.role == Role::Calling {
            self.fax_heard(now);
        }
        // A page has gone by audio: it will do for the others.
        self.offered |= !self.may_change();
    }

    /// Nothing has come by T.38, or something has after all.
    pub(super) fn set_silent(&mut self, silent: bool) {
        self.silent = silent;
    }

    /// Whether T.38 is in use and nothing has come by it.
    pub(super) fn is_silent(&self) -> bool {
        self.silent && self.carrier == Carrier::T38
    }

    /// When we are to offer T.38.
    pub(super) fn offer_due(&self) -> Option<Instant> {
        if self.offered || self.silent || self.carrier == Carrier::T38 || !self.may_change() {
            return None;
        }
        let up = self.up?;
        match self.role {
            Role::Called => {
                let due = up + self.policy.offer_as_called?;
                Some(self.fax_heard.map_or(due, |heard| due.min(heard.max(up))))
            }
            Role::Calling => {
                let after = self.policy.offer_as_caller?;
                Some(match self.fax_heard {
                    Some(heard) => (up + after).max(heard + THEIRS_FIRST),
                    None => up + after * 3,
                })
            }
        }
    }

    /// Our T.38 is offered now.
    pub(super) fn offers(&mut self) {
        self.offered = true;
    }

    /// Whether an offer of T.38 is taken. The same again (a refresh, another address) always is.
    pub(super) fn takes_t38(&self) -> bool {
        self.policy.accept && (self.carrier == Carrier::T38 || (self.may_change() && !self.silent))
    }

    /// Whether an offer of audio is taken.
    pub(super) fn takes_audio(&self) -> bool {
        self.carrier == Carrier::Audio || self.silent || self.may_change()
    }

    fn may_change(&self) -> bool {
        match self.phase {
            Phase::A | Phase::B => true,
            Phase::C | Phase::D | Phase::E => false,
        }
    }
}
