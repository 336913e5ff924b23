//! Whether a job's call may be made now: shut accounts, sending hours, and numbers that were found dead again and again.

use crate::attempt::outcome;
use crate::finish::Turn;
use crate::policy::is_success;
use crate::service::Service;
use core::time::Duration;
use fax_base::redact::Redacted;
use fax_store::model::{
    AccountId, Attempt, AttemptOutcome, Dead, FaxboxId, Job, Profile, ProfileKey, Timestamp,
};
use fax_store::port::ProfileChange;
use jiff::tz::TimeZone;

/// The faxes of a shut account are looked at again after this.
const SHUT_AGAIN: Duration = Duration::from_secs(900);

/// When a number that cannot be reached is not called any more.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DeadNumberRules {
    /// After so many calls, one after the other, that were refused for good; 0: never.
    pub after: u32,
    /// For so long.
    pub rest: Duration,
}

impl Default for DeadNumberRules {
    fn default() -> Self {
        DeadNumberRules { after: 3, rest: Duration::from_secs(86_400) }
    }
}

/// What a finished call says of the number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Sign {
    /// It is not in service, or will not have us.
    Dead,
    /// Something is there.
    Alive,
}

fn sign(outcome: &AttemptOutcome) -> Option<Sign> {
    match outcome.class.as_str() {
        "call.unallocated" => Some(Sign::Dead),
        // Declined by who was called (RFC 3261 §21.6.2, RFC 8197, Q.850 21). Otherwise it is the carrier that will not have
        // our caller's number, or more of our calls.
        "call.rejected" => {
            let declined = matches!(outcome.sip_status, Some(603 | 607)) || outcome.q850 == Some(21);
            declined.then_some(Sign::Dead)
        }
        "call.busy" | "call.noanswer" | "call.voice" | "call.nofax" => Some(Sign::Alive),
        // In a call.
        class if is_success(class) || class.starts_with("b.") || class.starts_with("d.") => Some(Sign::Alive),
        _ => None,
    }
}

impl Service {
    /// Why the call of this job is not made now, as the turn that it makes; `None`: it may be.
    pub(crate) async fn held_back(&self, job: &Job) -> Option<Turn> {
        let now = self.now();
        if self.directory().is_disabled(&job.account) {
            let why = "The account is disabled; its faxes wait.".into();
            return Some(Turn::Held(now.plus(SHUT_AGAIN), why));
        }
        if let Some(opens) = self.opens(&job.account, job.faxbox.as_ref(), now) {
            return Some(Turn::Held(opens, "The fax waits for the hours in which it may be sent.".into()));
        }
        let rules = self.config().dead_numbers;
        if rules.after == 0 {
            return None;
        }
        let key = ProfileKey::number(job.account.clone(), job.to_number.clone());
        // A store that fails now does not keep the call from being made.
        let dead = self.inner.ports.store.profile(&key).await.ok()??.dead?;
        let until = dead.until.filter(|until| *until > now)?;
        let to = Redacted(&job.to_number);
        tracing::warn!(job = %job.id, %to, calls = dead.calls, "the number is dead: no call is made");
        let text = format!(
            "The number was not in service or refused us in the last {} calls; it is not called before {}.",
            dead.calls,
            until.to_jiff().strftime("%Y-%m-%d %H:%M UTC")
        );
        let outcome = AttemptOutcome { text, ..outcome("call.dead") };
        Some(Turn::call(Attempt { started: now, ended: now, outcome, ..Attempt::default() }))
    }

    /// When faxes of this account and faxbox are sent again; `None`: they are sent at `at`.
    pub(crate) fn opens(
        &self,
        account: &AccountId,
        faxbox: Option<&FaxboxId>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let directory = self.directory();
        let faxbox = faxbox.and_then(|id| directory.faxbox(id));
        let own = faxbox.map(|f| &f.send_hours).filter(|h| !h.is_empty());
        let hours = own.or_else(|| directory.account(account).map(|a| &a.send_hours))?;
        if hours.is_empty() {
            return None;
        }
        let name = directory.timezone(account, faxbox);
        hours.opens(at, &TimeZone::get(name).unwrap_or(TimeZone::UTC))
    }

    /// Adds to the changes that come with a finished attempt what it says of the number.
    pub(crate) async fn count_dead(&self, job: &Job, attempt: &Attempt, changes: &mut Vec<ProfileChange>) {
        let rules = self.config().dead_numbers;
        let Some(sign) = sign(&attempt.outcome).filter(|_| rules.after > 0) else { return };
        let key = ProfileKey::number(job.account.clone(), job.to_number.clone());
        if sign == Sign::Alive {
            let known = self.inner.ports.store.profile(&key).await.ok().flatten();
            if known.is_none_or(|p| p.dead.is_none()) {
                return;
            }
        }
        let at = attempt.ended;
        let mark = move |p: &mut Profile| match sign {
            Sign::Alive => p.dead = None,
            Sign::Dead => {
                let calls = p.dead.as_ref().map_or(0, |d| d.calls).saturating_add(1);
                let until = (calls >= rules.after).then(|| at.plus(rules.rest));
                if p.created == Timestamp::default() {
                    p.created = at;
                }
                p.modified = p.modified.max(at);
                p.dead = Some(Dead { calls, last: at, until });
            }
        };
        // A profile is changed once in a commit.
        match changes.iter().position(|(k, _)| *k == key) {
            Some(i) => {
                let (key, first) = changes.remove(i);
                let both = move |p: &mut Profile| {
                    first(p);
                    mark(p);
                };
                changes.insert(i, (key, Box::new(both)));
            }
            None => changes.push((key, Box::new(mark))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_store::model::RetryPolicy;

    #[test]
    fn only_calls_that_were_answered_for_good_speak_against_a_number() {
        let of = |class: &str| sign(&outcome(class));
        assert_eq!(of("call.unallocated"), Some(Sign::Dead));
        let refused = |sip_status, q850| {
            sign(&AttemptOutcome { sip_status: Some(sip_status), q850, ..outcome("call.rejected") })
        };
        assert_eq!(refused(603, None), Some(Sign::Dead));
        assert_eq!(refused(607, None), Some(Sign::Dead));
        assert_eq!(refused(403, Some(21)), Some(Sign::Dead));
        for (status, q850) in [(403, None), (403, Some(57)), (433, None), (608, None)] {
            assert_eq!(refused(status, q850), None, "{status} {q850:?}");
        }
        assert_eq!(of("call.busy"), Some(Sign::Alive));
        assert_eq!(of("ok"), Some(Sign::Alive));
        for ours in ["l.node", "l.notrunk", "call.cancelled", "call.congestion", "call.dead", "l.barred"] {
            assert_eq!(of(ours), None, "{ours}");
        }
        assert_eq!(outcome("call.dead").retry, RetryPolicy::Never);
    }
}
