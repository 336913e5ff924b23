//! `ferrofax send`: a document into a server's queue, followed to its end; or straight to a peer.

use crate::cli::SendArgs;
use crate::client::Client;
use crate::direct;
use anyhow::{Context, Result};
use fax_document::sniff;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// How often a running job is looked at.
const LOOK: Duration = Duration::from_millis(700);

/// Runs the command.
pub(crate) async fn run(args: SendArgs, as_json: bool) -> Result<ExitCode> {
    if let Some(peer) = &args.peer {
        return direct::send(&args, peer, as_json).await;
    }
    let octets = tokio::fs::read(&args.file)
        .await
        .with_context(|| format!("{} cannot be read", args.file.display()))?;
    let name = args.file.file_name().map(|n| n.to_string_lossy().into_owned());
    let format = sniff(&octets, None, name.as_deref())
        .with_context(|| format!("{} is no PDF, TIFF, PNG or JPEG", args.file.display()))?;
    let client = Client::open(&args.server).await?;
    let mut fax = json!({ "to_number": args.number, "from_number": args.from, "retries": 3 });
    if let Some(header) = args.header.as_deref().or(args.no_header.then_some(fax_switch::NO_HEADER)) {
        fax["fax_identity_name"] = header.into();
    }
    if args.colour {
        fax["colour"] = true.into();
    }
    if let Some(priority) = args.priority {
        fax["priority"] = priority.into();
    }
    let job = client.submit(&fax, format.media_type(), &octets).await?;
    let id = job["id"].as_str().context("the server named no job")?.to_owned();
    if args.no_wait {
        println!("{}", if as_json { json!({ "id": id }).to_string() } else { id });
        return Ok(ExitCode::SUCCESS);
    }
    follow(&client, &id, as_json).await
}

/// Shows a job until it is done with.
async fn follow(client: &Client, id: &str, as_json: bool) -> Result<ExitCode> {
    let bar = if as_json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut said = String::new();
    loop {
        let job = client.get(&format!("faxes/outgoing/{id}")).await?;
        let status = job["status"].as_str().unwrap_or("waiting").to_owned();
        if matches!(status.as_str(), "completed" | "failed") {
            bar.finish_and_clear();
            return Ok(tell(&job, as_json));
        }
        if as_json && status != said {
            println!("{}", json!({ "id": id, "status": status }));
        }
        bar.set_message(status.clone());
        said = status;
        tokio::time::sleep(LOOK).await;
    }
}

fn tell(fax: &Value, as_json: bool) -> ExitCode {
    let result = &fax["tx_result"];
    let delivered = result["success"].as_bool() == Some(true);
    let uncertain = fax["uncertain"].as_bool() == Some(true);
    let text = result["result_text"].as_str().or_else(|| result["error_message"].as_str()).unwrap_or("");
    if as_json {
        println!("{fax}");
    } else if delivered {
        println!("delivered: {} pages", result["total_pages"]);
    } else if uncertain {
        println!("uncertain: {text}");
    } else {
        println!("not delivered: {text}");
    }
    match (delivered, uncertain) {
        (true, _) => ExitCode::SUCCESS,
        (false, true) => ExitCode::from(3),
        (false, false) => ExitCode::FAILURE,
    }
}
