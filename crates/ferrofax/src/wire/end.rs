//! How a call ended, in the switch's classes and in a sentence for people.

use fax_net::{CallEnd, CallReport};
use fax_switch::policy;

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
        CallEnd::NotAnswered => match report.sip_status {
            Some(status) => policy::class_of_sip(status, report.q850),
            None => "call.failed",
        },
        CallEnd::NoCommonMedia | CallEnd::T38Silent => "call.media",
        CallEnd::NoRoute | CallEnd::Internal => "call.failed",
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
