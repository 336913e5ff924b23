//! `ferrofax reload`: a running server reads its configuration again.

use crate::cli::ReloadArgs;
use crate::client::Client;
use anyhow::Result;
use std::process::ExitCode;

/// Asks for it and tells what came of it.
pub(crate) async fn run(args: ReloadArgs, as_json: bool) -> Result<ExitCode> {
    let client = Client::open(&args.server).await?;
    let done = client.put("reload").await?;
    if as_json {
        println!("{done}");
        return Ok(ExitCode::SUCCESS);
    }
    println!("the configuration was read again");
    for what in done["restart_needed"].as_array().into_iter().flatten() {
        println!("{}", what.as_str().unwrap_or_default());
    }
    Ok(ExitCode::SUCCESS)
}
