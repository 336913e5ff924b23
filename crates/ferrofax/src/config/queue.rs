//! `[queue]`, `[[reschedule]]` and sending hours: when jobs are sent, when they are tried again, when numbers are given a rest.

use super::sections::{required, seconds, size};
use super::valid::Queue;
use super::written::Section;
use fax_switch::DeadNumberRules;
use fax_switch::policy::{RESCHEDULE_FIELDS, RescheduleRule, SendHours};
use std::collections::BTreeSet;
use std::time::Duration;

/// `[queue]`, with `[[reschedule]]`.
pub(super) fn queue(root: &Section<'_, '_>) -> Queue {
    let s = root.section("queue");
    let retry_after = s.number("retry_after_s", 1, 86_400).map(|n| Duration::from_secs(n.value));
    let small = |key, least, default: u32, most| {
        s.number(key, least, most).map_or(default, |n| u32::try_from(n.value).unwrap_or(default))
    };
    let usual = DeadNumberRules::default();
    let queue = Queue {
        max_calls: size(&s, "max_calls", 100, 10_000),
        max_pages: small("max_pages", 1, 500, 10_000),
        retry_after,
        conversion_timeout: seconds(&s, "conversion_timeout_s", 120, 3_600),
        stop_timeout: seconds(&s, "stop_timeout_s", 30, 3_600),
        lease: Duration::from_secs(s.number("lease_s", 5, 3_600).map_or(60, |n| n.value)),
        serialise_numbers: s.flag("one_call_per_number").is_none_or(|f| f.value),
        jobs_per_call: size(&s, "jobs_per_call", 1, 100),
        max_outbound: small("max_outbound", 1, 10, 10_000),
        dead_numbers: DeadNumberRules {
            after: small("dead_after", 0, usual.after, 1_000),
            rest: s
                .number("dead_for_h", 1, 24 * 365)
                .map_or(usual.rest, |n| Duration::from_secs(n.value * 3_600)),
        },
        reschedule: reschedule(root, retry_after),
    };
    s.finish();
    queue
}

/// `[[reschedule]]`, in its order.
fn reschedule(root: &Section<'_, '_>, usual: Option<Duration>) -> Vec<RescheduleRule> {
    let mut names = BTreeSet::new();
    let mut rules = Vec::new();
    for s in root.sections("reschedule") {
        let name = required(&s, "name", "name = \"busy\"").map(|n| n.value).unwrap_or_default();
        if !names.insert(name.clone()) {
            s.fault(s.line, format!("the rule {name} is there twice"), "give each its own name");
        }
        let field = s.text("field").map_or_else(
            || "result_cause".to_owned(),
            |f| {
                if !RESCHEDULE_FIELDS.contains(&f.value.as_str()) {
                    s.fault(
                        f.line,
                        format!("reschedule.field is {:?}", f.value),
                        format!("write one of {}", RESCHEDULE_FIELDS.join(", ")),
                    );
                }
                f.value
            },
        );
        let values: Vec<String> = s.texts("values").into_iter().map(|v| v.value).collect();
        if values.is_empty() {
            s.fault(
                s.line,
                format!("the rule {name} is for no value"),
                "say of which results, as values = [\"USER_BUSY\"]",
            );
        }
        let number = |key, most| s.number(key, 1, most).map(|n| n.value);
        let attempt = number("attempt", 1_000).and_then(|n| u32::try_from(n).ok());
        let retries = number("retries", 1_000).and_then(|n| u32::try_from(n).ok());
        let retry_after = number("retry_after_s", 30 * 86_400).map(Duration::from_secs);
        s.finish();
        rules.push(RescheduleRule {
            name,
            attempt,
            field,
            values,
            retry_after: retry_after.or(usual).unwrap_or(Duration::from_secs(300)),
            retries: retries.unwrap_or(3),
        });
    }
    rules
}

/// `send_hours` of an account or a faxbox.
pub(super) fn send_hours(s: &Section<'_, '_>) -> SendHours {
    let written = s.texts("send_hours");
    for said in &written {
        if let Err(what) = SendHours::parse([said.value.as_str()]) {
            s.fault(
                said.line,
                what,
                "write days and hours, as send_hours = [\"mon-fri 08:00-18:00\", \"sat 9:00-12:00\"]",
            );
        }
    }
    SendHours::parse(written.iter().map(|w| w.value.as_str())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use crate::config::{Config, Fault, parse};
    use std::path::Path;
    use std::time::Duration;

    fn read(account: &str, rest: &str) -> Result<Config, Vec<Fault>> {
        let text = format!(
            "data_dir = \"data\"\n[[trunk]]\nname = \"carrier\"\npeer = \"192.0.2.9\"\n[[account]]\nname = \"Clinic\"\n\
             api_key = \"0123456789abcdef\"\n{account}\n{rest}\n"
        );
        parse(&text, Path::new("/base"))
    }

    #[test]
    fn rules_of_the_queue_have_defaults_and_can_be_set() {
        let usual = read("", "").unwrap().queue;
        assert_eq!(
            (usual.lease, usual.serialise_numbers, usual.jobs_per_call, usual.max_outbound),
            (Duration::from_secs(60), true, 1, 10)
        );
        assert_eq!((usual.dead_numbers.after, usual.dead_numbers.rest), (3, Duration::from_secs(86_400)));
        let config = read(
            "",
            "[queue]\nlease_s = 20\none_call_per_number = false\njobs_per_call = 5\nmax_outbound = 4\ndead_after = 0\ndead_for_h = 2\n\
             [[reschedule]]\nname = \"busy\"\nvalues = [\"USER_BUSY\"]\nretry_after_s = 120\nretries = 5\n\
             [[reschedule]]\nname = \"gone\"\nattempt = 1\nfield = \"result_code\"\nvalues = \"404\"",
        )
        .unwrap();
        let queue = &config.queue;
        assert!(!queue.serialise_numbers && queue.jobs_per_call == 5 && queue.dead_numbers.after == 0);
        let account = config.directory.account_by_key("0123456789abcdef").unwrap();
        assert_eq!((queue.max_outbound, account.max_outbound), (4, None), "where the account says nothing");
        let [busy, gone] = queue.reschedule.as_slice() else { panic!("two rules") };
        assert_eq!((busy.retries, busy.retry_after, busy.attempt), (5, Duration::from_secs(120), None));
        assert_eq!((gone.retries, gone.retry_after, gone.attempt), (3, Duration::from_secs(300), Some(1)));
    }

    #[test]
    fn what_is_wrong_with_a_rule_is_said_with_its_line() {
        let what = |account: &str, rest: &str| {
            let fault = read(account, rest).unwrap_err().remove(0);
            (fault.line, fault.what)
        };
        let (line, said) = what("", "[[reschedule]]\nname = \"a\"\nfield = \"colour\"\nvalues = \"x\"");
        assert!(line == 11 && said.contains("colour"), "{line} {said}");
        assert!(what("", "[[reschedule]]\nname = \"a\"").1.contains("no value"));
        assert!(what("", "[queue]\nlease_s = 1").1.contains("lease_s"));
        let (line, said) = what("send_hours = [\"mon-fri 8-18\"]", "");
        assert!(line == 8 && said.contains("mon-fri 8-18"), "{line} {said}");
        assert!(read("send_hours = \"daily 20:00-06:00\"", "").is_ok());
    }
}
