//! `ferrofax jobs`: what a running server has to send, sent and received.

use crate::cli::{JobsArgs, JobsCommand};
use crate::client::Client;
use anyhow::Result;
use serde_json::Value;
use std::process::ExitCode;

/// Runs the command.
pub(crate) async fn run(args: JobsArgs, as_json: bool) -> Result<ExitCode> {
    let client = Client::open(&args.server).await?;
    let (path, other) = match &args.command {
        JobsCommand::List => ("faxes/outgoing?paginate=false".to_owned(), None),
        JobsCommand::Sent => ("faxes/outbox?paginate=false".to_owned(), None),
        JobsCommand::Received => ("faxes/inbox?paginate=false".to_owned(), None),
        JobsCommand::Show { id } => (format!("faxes/outgoing/{id}"), Some(format!("faxes/outbox/{id}"))),
        JobsCommand::Cancel { id } => {
            let job = client.delete(&format!("faxes/outgoing/{id}")).await?;
            println!("{}", if as_json { job.to_string() } else { format!("{id} is called off") });
            return Ok(ExitCode::SUCCESS);
        }
    };
    let found = match (client.get(&path).await, other) {
        (Err(_), Some(other)) => client.get(&other).await?,
        (found, _) => found?,
    };
    match (&found, as_json) {
        (Value::Array(list), true) => list.iter().for_each(|fax| println!("{fax}")),
        (Value::Array(list), false) => table(list),
        (one, true) => println!("{one}"),
        (one, false) => println!("{}", serde_json::to_string_pretty(one)?),
    }
    Ok(ExitCode::SUCCESS)
}

fn table(list: &[Value]) {
    if list.is_empty() {
        println!("none");
        return;
    }
    println!("{:<40} {:<16} {:<18} {:<18} result", "id", "state", "from", "to");
    for fax in list {
        let text = |keys: &[&str]| keys.iter().find_map(|k| fax[*k].as_str()).unwrap_or("").to_owned();
        println!(
            "{:<40} {:<16} {:<18} {:<18} {}",
            text(&["id"]),
            text(&["status"]),
            text(&["from", "from_number"]),
            text(&["to", "to_number"]),
            fax["tx_result"]["result_text"]
                .as_str()
                .or(fax["rx_result"]["result_text"].as_str())
                .unwrap_or("")
        );
    }
}
