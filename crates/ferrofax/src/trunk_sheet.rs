//! How a trunk is, in lines for people.

use crate::profiles::GREGORIAN_OFFSET;
use serde_json::Value;

/// The lines of a trunk's state; none where there is no state.
pub(crate) fn lines(state: &Value) -> Vec<String> {
    if !state.is_object() {
        return Vec::new();
    }
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let since = |v: &Value| time(v).map_or_else(String::new, |at| format!(" since {at}"));
    let mut lines = Vec::new();
    if state["up"] == true {
        lines.push(format!("up{}", since(&state["since"])));
    } else {
        let again = time(&state["tried_again"]).map_or_else(String::new, |at| format!(", tried again {at}"));
        lines.push(format!("down{}: {}{again}", since(&state["since"]), text(&state["why"])));
    }
    for registration in state["registrations"].as_array().into_iter().flatten() {
        let at = text(&registration["at"]);
        let mut words = match (time(&registration["since"]), time(&registration["until"])) {
            (Some(since), Some(until)) => format!("registered at {at} since {since}, until {until}"),
            (_, _) if at.is_empty() => "not registered".to_owned(),
            (_, _) => format!("not registered at {at}"),
        };
        if let Some(when) = time(&registration["last_failure"]["at"]) {
            words
                .push_str(&format!(", last failure {when}: {}", text(&registration["last_failure"]["text"])));
        }
        if let Some(again) = time(&registration["tried_again"]) {
            words.push_str(&format!(", tried again {again}"));
        }
        lines.push(words);
    }
    let calls = &state["calls"];
    let most = |key: &str| calls[key].as_u64().map_or_else(String::new, |most| format!(" of {most}"));
    let mut words =
        format!("calls now: {}{} out, {}{} in", calls["out"], most("max_out"), calls["in"], most("max_in"));
    if let Some(all) = calls["max"].as_u64() {
        words.push_str(&format!(", {all} together at most"));
    }
    if let Some(rate) = calls["per_second"].as_u64() {
        words.push_str(&format!(", {rate} a second"));
    }
    if calls["waiting"].as_u64().is_some_and(|n| n > 0) {
        words.push_str(&format!(", {} waiting", calls["waiting"]));
    }
    lines.push(words);
    for place in state["places"].as_array().into_iter().flatten() {
        let mut words =
            format!("at {} {}", text(&place["transport"]).to_uppercase(), text(&place["address"]));
        if let Some(took) = place["round_trip_ms"].as_u64() {
            words.push_str(&format!(", OPTIONS answered in {took} ms"));
        }
        if place["failed"] == true {
            words.push_str(", failed lately");
        }
        lines.push(words);
    }
    lines
}

/// A Gregorian time, in UTC.
fn time(seconds: &Value) -> Option<String> {
    let at = jiff::Timestamp::from_second(seconds.as_i64()? - GREGORIAN_OFFSET).ok()?;
    Some(at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_trunk_that_is_down_says_why_and_what_holds() {
        let state = json!({
            "up": false, "since": 63_961_000_000_i64, "why": "no answer to OPTIONS",
            "tried_again": 63_961_000_300_i64,
            "registrations": [
                { "at": "192.0.2.1:5060", "since": 63_961_000_000_i64, "until": 63_961_003_600_i64,
                  "last_failure": { "at": 63_960_000_000_i64, "text": "403 Forbidden" } },
                { "at": null, "since": null, "until": null, "last_failure": null },
            ],
            "places": [{ "address": "192.0.2.1:5060", "transport": "udp", "failed": true, "round_trip_ms": 12 }],
            "calls": { "out": 2, "in": 1, "waiting": 3, "max": 9, "max_out": 4, "max_in": null, "per_second": 1 },
        });
        let text = lines(&state).join("\n");
        for part in [
            "down since 2026-1",
            ": no answer to OPTIONS, tried again 2026-1",
            "registered at 192.0.2.1:5060 since 2026-1",
            "last failure 2026-",
            ": 403 Forbidden",
            "not registered\n",
            "calls now: 2 of 4 out, 1 in, 9 together at most, 1 a second, 3 waiting",
            "at UDP 192.0.2.1:5060, OPTIONS answered in 12 ms, failed lately",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(lines(&Value::Null).is_empty());
    }
}
