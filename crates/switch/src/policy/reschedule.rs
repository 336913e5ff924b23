//! The operator's own rules for what follows a failed attempt, by the fields of its result as REST shows it: KAZOO's
//! `reschedule`. They come before the retry table.

use core::time::Duration;
use fax_store::model::{Job, RetryPolicy};

/// One rule. Of several the first that fits decides.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RescheduleRule {
    /// Its name, which the job remembers.
    pub name: String,
    /// It is for the attempt with this number, from 1; `None`: for any.
    pub attempt: Option<u32>,
    /// Which field of the result is looked at.
    pub field: String,
    /// It is for these values. Whether a value is written as a text or a number does not matter.
    pub values: Vec<String>,
    /// The wait before the next attempt.
    pub retry_after: Duration,
    /// The attempts that the job may have in all from now on.
    pub retries: u32,
}

/// The rule for the last attempt of `job`, which failed and is in its list already. Faults of our own are not the
/// operator's to rule.
#[must_use]
pub fn reschedule<'r>(job: &Job, rules: &'r [RescheduleRule]) -> Option<&'r RescheduleRule> {
    let last = job.attempts.last().filter(|a| a.outcome.retry != RetryPolicy::Local)?;
    let number = u32::try_from(job.attempts_since_begun().count()).unwrap_or(u32::MAX);
    let outcome = &last.outcome;
    let of = |field: &str| -> Vec<String> {
        match field {
            // What we call it, and what KAZOO does.
            "result_cause" => [Some(outcome.class.as_str()), switch_cause(&outcome.class, outcome.q850)]
                .into_iter()
                .flatten()
                .map(str::to_owned)
                .collect(),
            "result_class" => vec![outcome.class.clone()],
            "result_code" => vec![outcome.sip_status.unwrap_or(487).to_string()],
            "result_text" | "error_message" => vec![outcome.text.clone()],
            "q850" => outcome.q850.map(|n| n.to_string()).into_iter().collect(),
            "remote_station_id" | "fax_receiver_id" => last.remote_ident.clone().into_iter().collect(),
            "total_pages" => vec![job.pages.to_string()],
            "transferred_pages" | "pages_sent" => vec![job.pages_confirmed().to_string()],
            "t38_used" => vec![last.t38.to_string()],
            "ecm_used" | "fax_error_correction" => vec![last.ecm.to_string()],
            "success" => vec!["false".to_owned()],
            _ => Vec::new(),
        }
    };
    rules.iter().find(|rule| {
        let found = of(&rule.field);
        rule.attempt.is_none_or(|n| n == number) && rule.values.iter().any(|value| found.contains(value))
    })
}

/// The fields that a rule may look at.
pub const RESCHEDULE_FIELDS: [&str; 15] = [
    "result_cause",
    "result_class",
    "result_code",
    "result_text",
    "error_message",
    "q850",
    "remote_station_id",
    "fax_receiver_id",
    "total_pages",
    "transferred_pages",
    "pages_sent",
    "t38_used",
    "ecm_used",
    "fax_error_correction",
    "success",
];

/// The hang-up cause as KAZOO's switch names it (Q.850 table 1), by the cause that came or else by the class.
#[must_use]
pub fn switch_cause(class: &str, q850: Option<u16>) -> Option<&'static str> {
    let by_number = |n| match n {
        1 => Some("UNALLOCATED_NUMBER"),
        3 => Some("NO_ROUTE_DESTINATION"),
        16 => Some("NORMAL_CLEARING"),
        17 => Some("USER_BUSY"),
        18 => Some("NO_USER_RESPONSE"),
        19 => Some("NO_ANSWER"),
        21 => Some("CALL_REJECTED"),
        22 => Some("NUMBER_CHANGED"),
        27 => Some("DESTINATION_OUT_OF_ORDER"),
        28 => Some("INVALID_NUMBER_FORMAT"),
        31 => Some("NORMAL_UNSPECIFIED"),
        34 => Some("NORMAL_CIRCUIT_CONGESTION"),
        38 => Some("NETWORK_OUT_OF_ORDER"),
        41 => Some("NORMAL_TEMPORARY_FAILURE"),
        42 => Some("SWITCH_CONGESTION"),
        88 => Some("INCOMPATIBLE_DESTINATION"),
        102 => Some("RECOVERY_ON_TIMER_EXPIRE"),
        _ => None,
    };
    let by_class = match class {
        "call.unallocated" => Some("UNALLOCATED_NUMBER"),
        "call.busy" => Some("USER_BUSY"),
        "call.noanswer" => Some("NO_ANSWER"),
        "call.rejected" => Some("CALL_REJECTED"),
        "call.congestion" => Some("NORMAL_CIRCUIT_CONGESTION"),
        "call.media" => Some("INCOMPATIBLE_DESTINATION"),
        _ => None,
    };
    q850.and_then(by_number).or(by_class)
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_store::model::{Attempt, AttemptOutcome, Source, Timestamp, WebRequest};

    fn failed(class: &str, sip: u16, times: usize) -> Job {
        let source = Source::Url { request: WebRequest::get(""), kept: None };
        let outcome = AttemptOutcome {
            class: class.into(),
            sip_status: Some(sip),
            retry: super::super::class(class).unwrap().policy,
            ..AttemptOutcome::default()
        };
        let mut job = Job::new("a".into(), "+1", source, Timestamp(0));
        job.attempts = vec![Attempt { outcome, ..Attempt::default() }; times];
        job
    }

    fn rule(name: &str, attempt: Option<u32>, field: &str, values: &[&str]) -> RescheduleRule {
        RescheduleRule {
            name: name.into(),
            attempt,
            field: field.into(),
            values: values.iter().map(|v| (*v).to_owned()).collect(),
            retry_after: Duration::from_secs(120),
            retries: 5,
        }
    }

    #[test]
    fn the_first_rule_that_fits_decides() {
        let rules = [
            rule("second", Some(2), "result_cause", &["USER_BUSY"]),
            rule("busy", None, "result_cause", &["NO_ANSWER", "USER_BUSY"]),
            rule("code", None, "result_code", &["404"]),
            rule("never", None, "result_cause", &[]),
        ];
        let named = |job: &Job| reschedule(job, &rules).map(|r| r.name.as_str());
        assert_eq!(named(&failed("call.busy", 486, 1)), Some("busy"));
        assert_eq!(named(&failed("call.busy", 486, 2)), Some("second"));
        assert_eq!(named(&failed("call.busy", 486, 3)), Some("busy"));
        assert_eq!(named(&failed("call.unallocated", 404, 1)), Some("code"));
        assert_eq!(named(&failed("call.rejected", 603, 1)), None);
        assert_eq!(named(&failed("l.node", 404, 1)), None, "our own faults are not theirs");
        let own = [rule("own", None, "result_cause", &["call.busy"])];
        assert!(reschedule(&failed("call.busy", 600, 1), &own).is_some());
    }
}
