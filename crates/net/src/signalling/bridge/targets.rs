//! The places that are called, one step after the other, and what the caller is told when nobody takes the call.

use super::lines::{self, Content};
use super::{Branch, Bridge, Failure, Half, Output, Spot, State, reason_header};
use crate::local::OnwardT38;
use crate::onward::Side;
use fax_base::Instant;
use fax_sip as sip;

impl Bridge {
    /// Calls the places of the present step, or of the next that has any.
    pub(super) fn try_step(&mut self, now: Instant) {
        while let Some(step) = self.steps.get(self.step).cloned() {
            self.report.target = step.target;
            if !step.places.is_empty() {
                for place in 0..step.places.len() {
                    let image = step.policy != OnwardT38::Never;
                    self.place(self.step, place, image, false);
                }
                return;
            }
            self.step += 1;
        }
        self.all_failed(now);
    }

    /// Calls one place; `image`: with the caller's T.38, where that is all it offers; `plain`: without SRTP that it
    /// might do without.
    pub(super) fn place(&mut self, step: usize, place: usize, image: bool, plain: bool) {
        let Some((Spot { media, security }, policy)) =
            self.steps.get(step).and_then(|s| Some((s.places.get(place)?.clone(), s.policy)))
        else {
            return;
        };
        self.ids += 1;
        let mut half = Half::new(sip::CallKey(0), media, self.ids, policy).secured(&security);
        let image = image && half.policy != OnwardT38::Never;
        if plain {
            half.negotiation.without_srtp();
        }
        let port = half.port;
        let mut offered_image = false;
        let offer = match &self.offer {
            Some((_, Content::Audio { line, .. })) => {
                half.negotiation.offer_line(lines::with_port(line, port))
            }
            Some((_, Content::T38 { line, .. })) if image => {
                offered_image = true;
                half.negotiation.offer_line(lines::with_port(line, port))
            }
            Some((_, Content::T38 { .. })) | None => half.negotiation.offer(&lines::own_audio(port, None)),
        };
        half.offering = Some(offered_image);
        let number = self.branches.len();
        let call_id = String::new();
        let srtp_offered = security.may_do_without() && !plain && !offered_image;
        self.branches.push(Branch {
            half,
            step,
            place,
            call_id,
            failed: None,
            offered_image,
            plain,
            srtp_offered,
        });
        self.outputs.push_back(Output::Place { number, step, place, offer });
    }

    pub(super) fn branch_failed(&mut self, now: Instant, number: usize, failure: Failure) {
        let Some(branch) = self.branches.get_mut(number).filter(|b| b.failed.is_none()) else {
            return;
        };
        self.report.call_id_b.clone_from(&branch.call_id);
        let (step, place) = (branch.step, branch.place);
        let media = matches!(failure.code, 400 | 403 | 405 | 415 | 488 | 501 | 606) && !failure.ours;
        let unsecured = media && matches!(failure.code, 415 | 488 | 606) && branch.srtp_offered;
        let again = (branch.offered_image && media).then_some(branch.plain).or(unsecured.then_some(true));
        branch.failed = Some(failure);
        if self.state != State::Trying {
            return;
        }
        if let Some(plain) = again {
            return self.place(step, place, false, plain);
        }
        if self.branches.iter().any(|b| b.failed.is_none()) {
            return;
        }
        let always = self.steps.get(self.step).is_some_and(|s| s.always_on);
        let of_step = self.branches.iter().filter(|b| b.step == self.step);
        let declined = of_step.clone().any(|b| b.failed.as_ref().is_some_and(|f| f.code >= 600));
        let broken = of_step.clone().all(|b| b.failed.as_ref().is_some_and(Failure::goes_on));
        if (always && !declined) || broken {
            self.step += 1;
            return self.try_step(now);
        }
        self.all_failed(now);
    }

    /// Nobody took the call: the caller is told what says most (RFC 3261 §16.7 item 6).
    pub(super) fn all_failed(&mut self, now: Instant) {
        let failures = self.branches.iter().filter_map(|b| b.failed.as_ref());
        let best = failures.min_by_key(|f| (f.code < 600, f.ours, f.goes_on(), f.code / 100)).cloned();
        let Some(best) = best else {
            return self.refuse(now, 480, "nobody is registered there");
        };
        // §16.7: 503 would mean that we are overloaded; our credentials and redirections are not the caller's business.
        let code = match best.code {
            300..=399 | 487 => 480,
            401 | 407 => 502,
            503 => 500,
            400..=699 => best.code,
            _ => 500,
        };
        self.report.q850 = best.q850;
        self.report.ended_by = (!best.ours).then_some(Side::B);
        let headers: Vec<_> = best.q850.map(reason_header).into_iter().collect();
        let reason = if code == best.code && !best.ours { best.reason.clone() } else { String::new() };
        self.report.sip_status = Some(best.code);
        self.report.reason = best.reason;
        self.want(sip::Command::Reject { call: self.a.call, code, reason, headers });
        self.done(now);
    }

    pub(super) fn refuse(&mut self, now: Instant, code: u16, words: &str) {
        self.report.sip_status = Some(code);
        words.clone_into(&mut self.report.reason);
        let (reason, headers) = (String::new(), Vec::new());
        self.want(sip::Command::Reject { call: self.a.call, code, reason, headers });
        self.done(now);
    }
}
