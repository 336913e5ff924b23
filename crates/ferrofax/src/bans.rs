//! `ferrofax bans`: who is banned from the SIP side of a running server.

use crate::cli::{BansArgs, BansCommand};
use crate::client::Client;
use crate::profiles::GREGORIAN_OFFSET;
use anyhow::Result;
use serde_json::Value;
use std::process::ExitCode;

/// Lists the bans, or lifts one.
pub(crate) async fn run(args: BansArgs, as_json: bool) -> Result<ExitCode> {
    let client = Client::open(&args.server).await?;
    match args.command {
        BansCommand::List => {
            let state = client.get("bans").await?;
            if as_json {
                println!("{state}");
            } else {
                print!("{}", sheet(&state));
            }
        }
        BansCommand::Lift { address } => {
            let lifted = client.delete(&format!("bans/{}", address.replace('/', "%2F"))).await?;
            if as_json {
                println!("{lifted}");
            } else {
                println!("the ban of {address} is lifted");
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The bans and counts for people.
fn sheet(state: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or_default().to_owned();
    let mut out = String::new();
    for ban in state["bans"].as_array().into_iter().flatten() {
        out.push_str(&format!(
            "{:<24} until {}: {}; the {} time, {} dropped\n",
            text(&ban["source"]),
            time(&ban["until"]),
            text(&ban["why"]),
            ordinal(ban["times"].as_u64().unwrap_or(1)),
            ban["dropped"],
        ));
    }
    if out.is_empty() {
        out.push_str("nobody is banned\n");
    }
    for (name, count) in state["counters"].as_object().into_iter().flatten() {
        if count.as_u64().is_some_and(|n| n > 0) {
            out.push_str(&format!("  {}: {count}\n", name.replace('_', " ")));
        }
    }
    out
}

fn ordinal(n: u64) -> String {
    match n {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        n => format!("{n}th"),
    }
}

/// A Gregorian time, in UTC.
fn time(seconds: &Value) -> String {
    let at = seconds.as_i64().and_then(|s| jiff::Timestamp::from_second(s - GREGORIAN_OFFSET).ok());
    at.map_or_else(|| "?".to_owned(), |at| at.strftime("%Y-%m-%d %H:%M:%S UTC").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn bans_read_as_lines() {
        let ban = json!({
            "source": "192.0.2.1", "until": 63_961_000_300_i64, "why": "a scanner by its own name", "times": 2,
            "dropped": 17,
        });
        let text = sheet(&json!({ "bans": [ban], "counters": { "over_source": 3, "slowed": 0 } }));
        assert!(text.starts_with("192.0.2.1                until 2026-1"), "{text}");
        assert!(
            text.ends_with(": a scanner by its own name; the second time, 17 dropped\n  over source: 3\n"),
            "{text}"
        );
        assert_eq!(sheet(&json!({ "bans": [] })), "nobody is banned\n");
    }
}
