//! `ferrofax store`: the whole store into an archive and back, and the end of an account's key.

use crate::cli::{StoreArgs, StoreCommand};
use crate::jobs_store::account_of;
use crate::{config, documents, server};
use anyhow::{Result, bail};
use fax_store::archive::{self, Contents};
use fax_store::sealed::Seals;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;
use std::path::Path;
use std::process::ExitCode;

/// Runs the command.
pub(crate) async fn run(args: StoreArgs, as_json: bool) -> Result<ExitCode> {
    if let StoreCommand::Verify { file } = &args.command {
        told("verified", file, &archive::verify(file)?, as_json);
        return Ok(ExitCode::SUCCESS);
    }
    let config = config::load(&args.config)?;
    fax_store::private::folder(&config.data_dir)?;
    let store = server::open_store(&config).await?;
    let place = documents::place(&config.documents).await?;
    match &args.command {
        StoreCommand::Export { file } => {
            let bar = bar(None);
            let done = archive::export(&*store, &*place, file, &mut |n| bar.set_position(n)).await;
            bar.finish_and_clear();
            told("exported", file, &done?, as_json);
        }
        StoreCommand::Import { file } => {
            // Verified twice, so that the bar knows its length.
            let bar = bar(Some(archive::verify(file)?.count()));
            let done = archive::import(&*store, &*place, file, &mut |n| bar.set_position(n)).await;
            bar.finish_and_clear();
            told("imported", file, &done?, as_json);
        }
        StoreCommand::DestroyKey { account, yes } => {
            if !yes {
                bail!(
                    "this cannot be undone: every encrypted document of account {account} is lost. Say --yes if it shall be"
                );
            }
            let named = account_of(&config, account);
            let seals = Seals::new(store, config.documents.masters.clone());
            let keys = seals.destroy(&named).await?;
            if keys == 0 {
                bail!(
                    "account {account} has no key: give the name or the id of an account whose documents are encrypted"
                );
            }
            if as_json {
                println!("{}", json!({ "account": named.as_str(), "keys": keys }));
            } else {
                println!(
                    "the key of account {account} is destroyed, and its documents cannot be read any more; backups of the \
                     store still have the key, wrapped by the master key"
                );
            }
        }
        StoreCommand::Verify { .. } => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// Rows and documents as they go by; nothing where no terminal is.
fn bar(count: Option<u64>) -> ProgressBar {
    let (bar, form) = match count {
        Some(count) => (ProgressBar::new(count), "{bar:40} {pos} of {len} rows and documents, {eta} left"),
        None => (ProgressBar::new_spinner(), "{spinner} {pos} rows and documents, {per_sec}"),
    };
    match ProgressStyle::with_template(form) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

fn told(what: &str, file: &Path, contents: &Contents, as_json: bool) {
    if as_json {
        let mut told = json!(contents);
        told["file"] = json!(file);
        return println!("{told}");
    }
    println!("{what} {}:", file.display());
    contents.rows.iter().for_each(|(kind, n)| println!("  {n:>9} {kind}"));
    println!("  {:>9} documents", contents.documents);
    if contents.missing > 0 {
        println!("  {:>9} documents that rows name were not there:", contents.missing);
        contents.lost.iter().for_each(|lost| println!("    {lost}"));
        let told = u64::try_from(contents.lost.len()).unwrap_or(u64::MAX);
        if contents.missing > told {
            println!("    and {} more", contents.missing - told);
        }
    }
}
