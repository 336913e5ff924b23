//! `ferrofax send`: a document into a server's queue, followed to its end; or straight to a peer.

use crate::cli::SendArgs;
use crate::client::{Client, is_passing};
use crate::direct;
use anyhow::{Context, Result};
use fax_document::sniff;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::{Value, json};
use std::process::ExitCode;
use std::time::Duration;

/// How often a running job is looked at.
const LOOK: Duration = Duration::from_millis(700);
/// For so long a document is handed in again where no answer comes.
const HANDING_IN: Duration = Duration::from_secs(300);
/// For so long a server that has the job may be silent: a restart, an update, a broken network.
const SILENCE: Duration = Duration::from_secs(15 * 60);

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
    let mut client = Client::open(&args.server).await?;
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
    // The same job, however often its answer is lost.
    let once = uuid::Uuid::new_v4();
    let job = client
        .persist(HANDING_IN, async |c| c.submit(&fax, format.media_type(), &octets, once).await)
        .await
        .map_err(|error| match is_passing(&error) {
            true => error
                .context("the server may have taken it: see `ferrofax jobs list` before it is sent again"),
            false => error,
        })?;
    let id = job["id"].as_str().context("the server named no job")?.to_owned();
    if args.no_wait {
        println!("{}", if as_json { json!({ "id": id }).to_string() } else { id });
        return Ok(ExitCode::SUCCESS);
    }
    // At once: whatever becomes of this program, the job is known.
    eprintln!("job {id}");
    follow(&mut client, &id, as_json).await.with_context(|| {
        format!("job {id} is in the server's queue and goes on there: `ferrofax jobs show {id}` says how, do not send it again")
    })
}

/// Shows a job until it is done with.
async fn follow(client: &mut Client, id: &str, as_json: bool) -> Result<ExitCode> {
    let bar = if as_json { ProgressBar::hidden() } else { ProgressBar::new_spinner() };
    bar.set_style(ProgressStyle::with_template("{spinner} {elapsed} {msg}")?);
    bar.enable_steady_tick(Duration::from_millis(120));
    let mut said = String::new();
    loop {
        let path = format!("faxes/outgoing/{id}");
        let job = client.persist(SILENCE, async |c| c.get(&path).await).await?;
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
