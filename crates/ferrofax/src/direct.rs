//! A fax straight to a SIP peer, without a server: one call, watched on the terminal.

use crate::cli::SendArgs;
use crate::heading::{Heading, headed};
use crate::pages;
use crate::wire::end;
use crate::wire::ladder::LiveLadder;
use anyhow::{Context, Result};
use fax_net::{CallEvent, CallRequest, Config, Endpoint, T38Policy, TraceConfig, Trunk};
use fax_t30 as t30;
use fax_terminal::recording::file::{self, State};
use serde_json::json;
use std::process::ExitCode;

/// Sends and comes back with the exit status.
pub(crate) async fn send(args: &SendArgs, peer: &str, as_json: bool) -> Result<ExitCode> {
    let document = pages::load(&args.file, args.colour).await?;
    let coded = pages::coded(&document);
    let coded = if args.no_header {
        coded
    } else {
        let name = args.header.as_deref().unwrap_or_default();
        headed(&coded, &Heading::new(name, &args.from, ""), 0, coded.len())
    };
    let mut config = Config::new(args.listen);
    config.traces =
        args.record.as_ref().map(|folder| TraceConfig { numbers: true, ..TraceConfig::new(folder) });
    config.trunks = vec![Trunk::new("peer", peer)];
    let (endpoint, _incoming) =
        Endpoint::start(config).await.with_context(|| format!("{} cannot be bound", args.listen))?;
    if peer.parse::<std::net::SocketAddr>().is_err() {
        // A host name is looked up in the background: say so early when it is unknown.
        let _ = tokio::net::lookup_host(if peer.contains(':') {
            peer.to_owned()
        } else {
            format!("{peer}:5060")
        })
        .await
        .with_context(|| format!("the host {peer} is not known"))?;
        tokio::time::sleep(std::time::Duration::from_millis(300)).await;
    }
    let from = if args.from.is_empty() { "ferrofax" } else { &args.from };
    let terminal = fax_terminal::Config {
        role: t30::Role::Calling,
        ident: args.from.clone(),
        capabilities: t30::Capabilities::default(),
        documents: vec![fax_terminal::Document::new(coded)],
        ..fax_terminal::Config::default()
    };
    let mut call = endpoint.call(CallRequest {
        t38: args.audio.then_some(T38Policy::NEVER),
        ..CallRequest::new("peer", &args.number, from, terminal)
    });
    let total = document.pages.len();
    let mut ladder = LiveLadder::new(t30::Role::Calling, 0);
    let mut interrupted = false;
    let report = loop {
        let event = tokio::select! {
            event = call.next() => event,
            _ = tokio::signal::ctrl_c(), if !interrupted => {
                interrupted = true;
                call.give_up();
                continue;
            }
        };
        let event = event.context("the driver stopped in mid-call")?;
        let lines = ladder.lines(&event);
        if as_json {
            print_json(&event, &lines);
        } else {
            print_text(&event, &lines);
        }
        if let CallEvent::Ended(report) = event {
            break report;
        }
    };
    endpoint.stop().await;
    if let (Some(folder), Some(name)) = (&args.record, &report.trace) {
        written(&folder.join(name)).await;
    }
    let outcome = report.outcome.as_ref();
    let confirmed = outcome.map_or(0, |o| o.pages_confirmed);
    let uncertain = outcome.and_then(|o| o.page_uncertain);
    let failure = outcome.map(|o| o.failure.as_ref().map(|f| format!("{:?}", f.cause)));
    let delivered = failure == Some(None) && confirmed == total;
    if as_json {
        println!(
            "{}",
            json!({ "event": "ended", "delivered": delivered, "end": format!("{:?}", report.end),
                "cause": failure.flatten(),
                "class": end::class(&report), "text": end::sentence(&report), "sip_status": report.sip_status, "t38_refused": report.t38_refused, "reason": report.reason,
                "pages": total, "pages_confirmed": confirmed, "page_uncertain": uncertain.map(|p| p + 1),
                "t38": report.t38, "duration_s": report.duration.as_secs_f64(), "recording": report.trace })
        );
    } else if delivered {
        println!("delivered: {total} pages in {:.1} s", report.duration.as_secs_f64());
    } else {
        let word = if uncertain.is_some() { "uncertain" } else { "not delivered" };
        println!("{word}: {confirmed} of {total} pages confirmed. {}", end::sentence(&report));
    }
    Ok(match (delivered, uncertain) {
        (true, _) => ExitCode::SUCCESS,
        (false, Some(_)) => ExitCode::from(3),
        (false, None) => ExitCode::FAILURE,
    })
}

/// Waits until a recording has its end, or no longer than that takes.
async fn written(path: &std::path::Path) {
    for _ in 0..200 {
        let octets = tokio::fs::read(path).await.unwrap_or_default();
        if !matches!(file::state(&octets), Some(State::Open)) {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

fn print_text(event: &CallEvent, lines: &[String]) {
    match event {
        CallEvent::Ringing => println!("ringing"),
        CallEvent::Answered => println!("answered"),
        CallEvent::T38
        | CallEvent::T38Refused { .. }
        | CallEvent::Audio
        | CallEvent::Fax(_)
        | CallEvent::Signal(_)
        | CallEvent::KeepPage(_)
        | CallEvent::Page(_)
        | CallEvent::Ended(_) => lines.iter().for_each(|line| println!("{line}")),
    }
}

fn print_json(event: &CallEvent, lines: &[String]) {
    let told = match event {
        CallEvent::Ringing => json!({ "event": "ringing" }),
        CallEvent::Answered => json!({ "event": "answered" }),
        CallEvent::T38 => json!({ "event": "t38" }),
        CallEvent::T38Refused { code, reason } => {
            json!({ "event": "t38_refused", "sip_status": code, "reason": reason })
        }
        CallEvent::Audio => json!({ "event": "audio" }),
        CallEvent::Fax(t30::Event::PageConfirmed { index, poor }) => {
            json!({ "event": "page_confirmed", "page": index + 1, "poor": poor })
        }
        CallEvent::Fax(_) | CallEvent::Signal(_) if !lines.is_empty() => {
            json!({ "event": "ladder", "line": lines.join("\n") })
        }
        CallEvent::Fax(_)
        | CallEvent::Signal(_)
        | CallEvent::KeepPage(_)
        | CallEvent::Page(_)
        | CallEvent::Ended(_) => return,
    };
    println!("{told}");
}
