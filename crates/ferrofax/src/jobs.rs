//! `ferrofax jobs`: what there is to send, what was sent and received; sending again and calling off. By a running server, or
//! ([`crate::jobs_store`]) in the store itself.

use crate::cli::{JobStateArg, JobsArgs, JobsCommand};
use crate::client::Client;
use anyhow::{Result, bail};
use fax_store::model::{Priority, Timestamp};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Runs the command.
pub(crate) async fn run(args: JobsArgs, as_json: bool) -> Result<ExitCode> {
    if let Some(config) = &args.config {
        return crate::jobs_store::run(&args, config, as_json).await;
    }
    let mut client = Client::open(&args.server).await?;
    if let Some(account) = &args.account {
        client.account.clone_from(account);
    }
    let (path, other) = match &args.command {
        JobsCommand::List { state, faxbox } => {
            let mut path = "faxes/outgoing?paginate=false".to_owned();
            if let Some(state) = state {
                path += &format!("&filter_status={}", word(*state));
            }
            if let Some(faxbox) = faxbox {
                path += &format!("&filter_faxbox_id={faxbox}");
            }
            (path, None)
        }
        JobsCommand::Sent => ("faxes/outbox?paginate=false".to_owned(), None),
        JobsCommand::Received => ("faxes/inbox?paginate=false".to_owned(), None),
        JobsCommand::Show { id } => (format!("faxes/outgoing/{id}"), Some(format!("faxes/outbox/{id}"))),
        JobsCommand::Restart { id } => {
            let job = client.act(&format!("faxes/outgoing/{id}"), "restart").await?;
            return Ok(said(&job, as_json, &format!("{id} is in the queue again")));
        }
        JobsCommand::Cancel { id } => {
            let job = client.delete(&format!("faxes/outgoing/{id}")).await?;
            return Ok(said(&job, as_json, &format!("{id} is called off")));
        }
        JobsCommand::Flush { yes } => {
            let found = client.get("faxes/outgoing?paginate=false").await?;
            let list = found.as_array().cloned().unwrap_or_default();
            let mut gone = 0;
            for id in list.iter().filter_map(|job| job["id"].as_str()).filter(|_| *yes) {
                // One that has just ended is no fault.
                gone += u64::from(client.delete(&format!("faxes/outgoing/{id}")).await.is_ok());
            }
            return Ok(flushed(list.len(), gone, *yes, as_json));
        }
        JobsCommand::Stuck | JobsCommand::Overview => {
            bail!("this looks into the store: give --config with the server's configuration")
        }
    };
    let found = match (client.get(&path).await, other) {
        (Err(_), Some(other)) => client.get(&other).await?,
        (found, _) => found?,
    };
    show(&found, as_json)?;
    Ok(ExitCode::SUCCESS)
}

/// The word of REST.
pub(crate) const fn word(state: JobStateArg) -> &'static str {
    match state {
        JobStateArg::AttachingFiles => "attaching_files",
        JobStateArg::Pending => "pending",
        JobStateArg::Locked => "locked",
        JobStateArg::Processing => "processing",
    }
}

/// Prints what was done to a job.
pub(crate) fn said(job: &Value, as_json: bool, sentence: &str) -> ExitCode {
    println!("{}", if as_json { job.to_string() } else { sentence.to_owned() });
    ExitCode::SUCCESS
}

/// Prints what became of a queue.
pub(crate) fn flushed(waiting: usize, gone: u64, yes: bool, as_json: bool) -> ExitCode {
    if as_json {
        println!("{}", json!({ "waiting": waiting, "called_off": gone }));
    } else if yes {
        println!("{gone} of {waiting} jobs are called off");
    } else {
        println!("{waiting} jobs are in the queue; give --yes to call them off");
    }
    ExitCode::SUCCESS
}

/// Prints a list as a table, one job whole.
pub(crate) fn show(found: &Value, as_json: bool) -> Result<()> {
    match (found, as_json) {
        (Value::Array(list), true) => list.iter().for_each(|fax| println!("{fax}")),
        (Value::Array(list), false) => table(list),
        (one, true) => println!("{one}"),
        (one, false) => println!("{}", serde_json::to_string_pretty(one)?),
    }
    Ok(())
}

fn table(list: &[Value]) {
    if list.is_empty() {
        println!("none");
        return;
    }
    println!(
        "{:<40} {:<16} {:<16} {:<18} {:<18} {:<6} result",
        "id", "created (UTC)", "state", "from", "to", "tries"
    );
    for fax in list {
        let text = |keys: &[&str]| keys.iter().find_map(|k| fax[*k].as_str()).unwrap_or("").to_owned();
        let created = fax["created"]
            .as_i64()
            .map(|at| Timestamp::from_gregorian_seconds(at).to_jiff().strftime("%Y-%m-%d %H:%M").to_string());
        let tries = fax["attempts"].as_u64().map(|made| match fax["retries"].as_u64() {
            Some(allowed) => format!("{made}/{allowed}"),
            None => made.to_string(),
        });
        // The usual priority is not worth a word.
        let priority = fax["priority"].as_str().filter(|p| *p != Priority::Normal.as_str());
        let results = [&fax["tx_result"]["result_text"], &fax["rx_result"]["result_text"], &fax["held_by"]];
        let result = results.iter().filter_map(|said| said.as_str()).find(|said| !said.is_empty());
        let told = [priority.map(|p| format!("{p} priority")), result.map(str::to_owned)];
        println!(
            "{:<40} {:<16} {:<16} {:<18} {:<18} {:<6} {}",
            text(&["id"]),
            created.unwrap_or_default(),
            text(&["status"]),
            text(&["from", "from_number"]),
            text(&["to", "to_number"]),
            tries.unwrap_or_default(),
            told.into_iter().flatten().collect::<Vec<_>>().join(", ")
        );
    }
}
