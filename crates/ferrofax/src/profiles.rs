//! `ferrofax destinations` and `ferrofax trunks`: what a running server has learnt, and what its operator makes of it.

use crate::cli::{ProfilesArgs, ProfilesCommand};
use crate::client::Client;
use anyhow::Result;
use serde_json::{Map, Value, json};
use std::process::ExitCode;

/// Seconds from the year 0, from which REST counts, to 1970.
pub(crate) const GREGORIAN_OFFSET: i64 = 62_167_219_200;

/// Runs the command on the resource `destinations` or `trunks`.
pub(crate) async fn run(resource: &str, args: ProfilesArgs, as_json: bool) -> Result<ExitCode> {
    let client = Client::open(&args.server).await?;
    let path = |name: &str| format!("{resource}/{}", escaped(name));
    let locked = |locked: Value, traits: Vec<(String, Option<String>)>| {
        let traits = traits.into_iter().map(|(name, setting)| {
            let fields = json!({ "setting": setting, "locked": locked });
            (name, fields)
        });
        json!({ "traits": traits.collect::<Map<String, Value>>() })
    };
    let profile = match args.command {
        ProfilesCommand::List => {
            let found = client.get(&format!("{resource}?paginate=false")).await?;
            let list = found.as_array().cloned().unwrap_or_default();
            if as_json {
                list.iter().for_each(|p| println!("{p}"));
            } else {
                table(&list);
            }
            return Ok(ExitCode::SUCCESS);
        }
        ProfilesCommand::Show { name } => client.get(&path(&name)).await?,
        ProfilesCommand::Set { name, traits } => {
            client.patch(&path(&name), &locked(Value::Null, traits)).await?
        }
        ProfilesCommand::Lock { name, traits } => {
            client.patch(&path(&name), &locked(true.into(), traits)).await?
        }
        ProfilesCommand::Unlock { name, traits } => {
            let traits = traits.into_iter().map(|name| (name, None)).collect();
            client.patch(&path(&name), &locked(false.into(), traits)).await?
        }
        ProfilesCommand::Forget { name } => {
            let profile = client.delete(&path(&name)).await?;
            if as_json {
                println!("{profile}");
            } else {
                println!("{name} is forgotten");
            }
            return Ok(ExitCode::SUCCESS);
        }
    };
    if as_json {
        println!("{profile}");
    } else {
        print!("{}", sheet(&profile));
    }
    Ok(ExitCode::SUCCESS)
}

/// A name as a path segment (RFC 3986 §2.3).
fn escaped(name: &str) -> String {
    let mut out = String::new();
    for octet in name.bytes() {
        if octet.is_ascii_alphanumeric() || b"-._~".contains(&octet) {
            out.push(char::from(octet));
        } else {
            out.push_str(&format!("%{octet:02X}"));
        }
    }
    out
}

/// What is not simply the best, in short.
fn left_out(profile: &Value) -> String {
    let traits = profile["traits"].as_object().into_iter().flatten();
    let words =
        traits.filter(|(_, t)| t["setting"] != t["settings"][0] || t["locked"] == true).map(|(name, t)| {
            let how = if t["locked"] == true {
                " (locked)"
            } else if t["on_probation"] == true {
                " (on probation)"
            } else {
                ""
            };
            format!("{name} {}{how}", t["setting"].as_str().unwrap_or(""))
        });
    words.collect::<Vec<_>>().join(", ")
}

fn table(list: &[Value]) {
    if list.is_empty() {
        println!("none");
        return;
    }
    println!("{:<20} {:>6} {:>9}  {:<10}  settings", "name", "calls", "delivered", "last");
    for p in list {
        println!(
            "{:<20} {:>6} {:>9}  {:<10}  {}",
            p["id"].as_str().unwrap_or(""),
            p["calls"],
            p["delivered"],
            day(&p["last_delivered"]),
            left_out(p)
        );
        for words in crate::trunk_sheet::lines(&p["state"]) {
            println!("{:<20} {words}", "");
        }
    }
}

/// A Gregorian time as a date.
fn day(seconds: &Value) -> String {
    let at = seconds.as_i64().and_then(|s| jiff::Timestamp::from_second(s - GREGORIAN_OFFSET).ok());
    at.map_or_else(|| "-".to_owned(), |at| at.strftime("%Y-%m-%d").to_string())
}

/// One profile for people.
fn sheet(p: &Value) -> String {
    let text = |v: &Value| v.as_str().unwrap_or("").to_owned();
    let mut out = format!(
        "{}: {} calls, {} delivered, the last on {}\n",
        text(&p["id"]),
        p["calls"],
        p["delivered"],
        day(&p["last_delivered"])
    );
    for words in crate::trunk_sheet::lines(&p["state"]) {
        out.push_str(&format!("  {words}\n"));
    }
    let mut line = |words: String| out.push_str(&format!("  {words}\n"));
    if p["last_failure"].is_object() {
        line(format!("last failure {}: {}", day(&p["last_failure"]["at"]), text(&p["last_failure"]["text"])));
    }
    if let Some(rate) = p["best_bit_rate"].as_u64() {
        line(format!("pages confirmed at {rate} bit/s at best, {} bit/s at last", p["last_bit_rate"]));
    }
    let far_end = &p["far_end"];
    if far_end.is_object() {
        let maker = far_end["maker"].as_str().map_or_else(String::new, |m| format!(", made by {m}"));
        line(format!("far end \"{}\"{maker}", text(&far_end["ident"])));
        let says: Vec<String> = far_end["says"].as_array().into_iter().flatten().map(text).collect();
        line(format!("its DIS: {}", says.join(", ")));
    }
    for (name, t) in p["traits"].as_object().into_iter().flatten() {
        let best = t["setting"] == t["settings"][0];
        let mut words = format!("{name}: {}", text(&t["setting"]));
        if t["locked"] == true {
            words.push_str(", locked");
        }
        if !best || t["locked"] == true {
            words.push_str(&format!(", {} {} {}", text(&t["origin"]), day(&t["since"]), text(&t["reason"])));
        }
        if t["on_probation"] == true {
            words.push_str("; on probation: the next call tries better");
        } else if !t["probation_from"].is_null() {
            words.push_str(&format!("; on probation from {}", day(&t["probation_from"])));
        }
        words.push_str(&format!(" ({} calls for it, {} against)", t["successes"], t["failures"]));
        line(words);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_become_path_segments() {
        assert_eq!(escaped("+1415"), "%2B1415");
        assert_eq!(escaped("a b/ä"), "a%20b%2F%C3%A4");
    }

    #[test]
    fn a_profile_reads_as_sentences() {
        let profile = json!({
            "id": "+1", "calls": 3, "delivered": 2, "last_delivered": 63_961_000_000_i64,
            "last_failure": { "at": 63_961_000_000_i64, "class": "d.ecmphd", "text": "Error correction broke down." },
            "best_bit_rate": 9600, "last_bit_rate": 9600,
            "far_end": { "ident": "+1 555", "maker": "Ricoh", "says": ["V.17"] },
            "traits": {
                "ecm": { "setting": "off", "settings": ["on", "off"], "locked": false, "origin": "learnt",
                         "reason": "after 2 failures: error correction broke down", "since": 63_961_000_000_i64,
                         "probation_from": 63_963_592_000_i64, "on_probation": false, "failures": 2, "successes": 0 },
                "v17": { "setting": "on", "settings": ["on", "off"], "locked": true, "origin": "operator",
                         "reason": "by the operator", "since": null, "probation_from": null, "on_probation": false,
                         "failures": 0, "successes": 1 },
            },
        });
        assert_eq!(left_out(&profile), "ecm off, v17 on (locked)");
        let text = sheet(&profile);
        assert!(text.contains("ecm: off, learnt 2026-11-0"), "{text}");
        assert!(
            text.contains("after 2 failures: error correction broke down; on probation from 2026-1"),
            "{text}"
        );
        assert!(text.contains("last failure 2026-11-0"), "{text}");
    }
}
