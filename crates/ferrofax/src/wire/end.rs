//! How a call ended, in the switch's classes and in a sentence for people.

use fax_net::{CallEnd, CallReport};
use fax_switch::policy::{self, Course};

/// What came of the call, and in brackets what an engineer wants to know.
pub(crate) fn sentence(report: &CallReport) -> String {
    let sentence = policy::class(class(report)).map_or("The call failed.", |c| c.sentence);
    let words = detail(report);
    if words.is_empty() {
        return sentence.to_owned();
    }
    format!("{} ({words}).", sentence.trim_end_matches('.'))
}

/// The key of the class in [`policy`].
pub(crate) fn class(report: &CallReport) -> &'static str {
    match report.end {
        CallEnd::Fax => match &report.outcome {
            Some(outcome) => outcome.failure.as_ref().map_or("ok", |f| policy::class_of_cause(f.cause)),
            None => "call.dropped",
        },
        // Nothing that we ended ourselves says anything of the trunk.
        CallEnd::NotAnswered if report.sip_status.is_none() => "call.failed",
        CallEnd::NotAnswered => policy::call_cause(report.sip_status, report.q850, report.reached).class,
        CallEnd::NoCommonMedia | CallEnd::T38Silent => "call.media",
        CallEnd::NoRoute | CallEnd::Internal => "call.failed",
        CallEnd::TrunkFull | CallEnd::TrunkDown => "l.notrunk",
    }
}

/// Whether another trunk may do better within this attempt. A call that was answered is over with its end.
pub(crate) fn course(report: &CallReport) -> Course {
    match report.end {
        CallEnd::NotAnswered if report.sip_status.is_some() => {
            policy::call_cause(report.sip_status, report.q850, report.reached).course
        }
        CallEnd::NoRoute | CallEnd::TrunkFull | CallEnd::TrunkDown => Course::NextTrunk,
        CallEnd::NotAnswered
        | CallEnd::Fax
        | CallEnd::NoCommonMedia
        | CallEnd::T38Silent
        | CallEnd::Internal => Course::GiveUp,
    }
}

/// What an engineer wants to know beyond the class.
fn detail(report: &CallReport) -> String {
    let mut words = Vec::new();
    if let Some(failure) = report.outcome.as_ref().and_then(|o| o.failure.as_ref()) {
        words.push(format!("phase {:?}", failure.phase));
        words.extend(failure.last_sent.map(|f| format!("sent {f}")));
        words.extend(failure.last_received.map(|f| format!("received {f}")));
    }
    if let Some(status) = report.t38_refused {
        words.push(format!("T.38 refused with {status}"));
    }
    if let Some(status) = report.sip_status {
        words.push(format!("SIP {status}"));
    }
    if let Some(cause) = report.q850 {
        words.push(format!("Q.850 {cause}"));
    }
    if !report.reason.is_empty() {
        words.push(report.reason.clone());
    }
    words.join(", ")
}
