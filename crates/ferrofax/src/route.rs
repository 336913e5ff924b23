//! `ferrofax route`: what would become of a call, without making one.

use crate::cli::RouteArgs;
use crate::config;
use anyhow::{Context, Result, bail};
use fax_switch::routing::{Onward, Source};
use fax_switch::{Decision, IncomingCall};
use serde_json::json;
use std::process::ExitCode;

/// Asks the rules of a configuration.
pub(crate) fn run(args: &RouteArgs, json: bool) -> Result<ExitCode> {
    let config = config::load(&args.config)?;
    let directory = &config.directory;
    let source = args.from.parse::<Source>().map_err(anyhow::Error::msg);
    let source = source.context("--from is trunk:NAME or terminal:USER")?;
    let known = match &source {
        Source::Trunk(name) => config.trunks.iter().any(|t| t.name == *name),
        Source::Terminal(user) => directory.terminal(user).is_some(),
    };
    if !known {
        bail!("{} has no {source}", args.config.display());
    }
    let headers = args.header.iter().map(|header| {
        let (name, value) = header.split_once(':').context("write --header as 'NAME: VALUE'")?;
        Ok((name.trim().to_owned(), value.trim().to_owned()))
    });
    let call = IncomingCall {
        to_number: args.to.clone(),
        from_number: args.caller.clone(),
        diverted_from: args.diverted_from.clone(),
        source: Some(source),
        headers: headers.collect::<Result<_>>()?,
        ..IncomingCall::default()
    };
    let routed = directory.route(&call, &config.plan, "");
    let refused = matches!(routed.decision, Decision::Reject { .. });
    if json {
        let what = match &routed.decision {
            Decision::Receive { account, faxbox, ident } => {
                json!({"receive": {"account": account.as_str(), "faxbox": faxbox.as_str(), "ident": ident}})
            }
            Decision::Onward { targets } => {
                let targets: Vec<_> = targets.iter().map(target_json).collect();
                json!({"onward": targets})
            }
            Decision::Reject { code, reason } => json!({"refuse": {"code": code, "reason": reason}}),
        };
        let caller = json!({"number": routed.from_number});
        println!("{}", json!({"rule": routed.rule, "why": routed.why, "caller": caller, "decision": what}));
    } else {
        println!("{}", routed.why);
        match &routed.decision {
            Decision::Receive { faxbox, ident, .. } => {
                let name = directory.faxbox(faxbox).map_or(faxbox.as_str(), |f| f.name.as_str());
                println!("received for faxbox {name}, answered as {ident}");
            }
            Decision::Onward { targets } => {
                for (number, target) in targets.iter().enumerate() {
                    println!("{}. {target}", number + 1);
                }
                if !routed.from_number.is_empty() {
                    println!("called from {}", routed.from_number);
                }
            }
            Decision::Reject { code, reason } => println!("refused: {code} {reason}"),
        }
    }
    Ok(if refused { ExitCode::from(1) } else { ExitCode::SUCCESS })
}

fn target_json(target: &Onward) -> serde_json::Value {
    match target {
        Onward::Trunk { name, number } => json!({"trunk": name, "number": number}),
        Onward::Terminal { user } => json!({"terminal": user}),
    }
}
