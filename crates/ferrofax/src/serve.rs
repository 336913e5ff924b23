//! `ferrofax serve` and `ferrofax check`.

use crate::cli::{CheckArgs, ServeArgs};
use crate::config::{self, Config, ConfigError, LogFormat};
use crate::server::Server;
use anyhow::Result;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use std::path::Path;
use std::pin::pin;
use std::process::ExitCode;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Runs the server until it is told to stop.
pub(crate) async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = config::load(&args.config)?;
    log(&config);
    config.warnings().iter().for_each(|what| tracing::warn!("{what}"));
    open_files();
    let mut server = Server::start(config).await?;
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hang_up = signal(SignalKind::hangup())?;
    let mut queue_ended = pin!(server.queue_ended());
    let told = loop {
        let asked = tokio::select! {
            _ = terminate.recv() => break true,
            interrupted = tokio::signal::ctrl_c() => {
                interrupted?;
                break true;
            }
            () = &mut queue_ended => break false,
            _ = hang_up.recv() => None,
            asked = server.reload_asked() => asked,
        };
        let outcome = reload(&mut server, &args.config).await;
        if let Some(asked) = asked {
            // Who asked may be gone.
            let _ = asked.send(outcome);
        }
    };
    tokio::select! {
        () = server.stop() => {
            anyhow::ensure!(told, "the queue has ended; the log says why");
            Ok(ExitCode::SUCCESS)
        }
        () = told_again(&mut terminate) => {
            tracing::warn!(
                "told to stop a second time: stopping at once; calls are cut off, and their faxes go on with the next start"
            );
            // Nothing is waited for, neither tasks nor threads: what was promised is on disk, as after a crash.
            std::process::exit(1)
        }
    }
}

/// Comes back when somebody does not want to wait for calls.
async fn told_again(terminate: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}

/// Lets the server open as many files as it may: a call takes a socket and the page in work, and most systems begin
/// with 1,024.
fn open_files() {
    let limit = getrlimit(Resource::Nofile);
    let all = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, all) {
        tracing::warn!(%error, "the limit of open files stays at {:?}", limit.current);
    }
}

/// Reads the configuration again. A bad one is refused with its faults, and the old one stays.
async fn reload(server: &mut Server, path: &Path) -> Result<Vec<String>, String> {
    match config::load(path) {
        Ok(config) => {
            let kept = server.reload(config).await;
            tracing::info!(file = %path.display(), "the configuration was read again");
            kept.iter().for_each(|what| tracing::warn!("{what}"));
            Ok(kept)
        }
        Err(error) => {
            tracing::error!("the new configuration is refused and the old one stays: {error}");
            Err(error.to_string())
        }
    }
}

/// Says whether a configuration is in order.
pub(crate) fn check(args: &CheckArgs, as_json: bool) -> ExitCode {
    match config::load(&args.config) {
        Ok(config) => {
            let (accounts, faxboxes) =
                (config.directory.accounts().count(), config.directory.faxboxes().count());
            let warnings = config.warnings();
            if as_json {
                let told = json!({ "in_order": true, "trunks": config.trunks.len(), "accounts": accounts,
                    "faxboxes": faxboxes, "warnings": warnings });
                println!("{told}");
                return ExitCode::SUCCESS;
            }
            println!(
                "{}: in order: {} trunks, {accounts} accounts, {faxboxes} faxboxes",
                args.config.display(),
                config.trunks.len(),
            );
            warnings.iter().for_each(|what| println!("  take care: {what}"));
            ExitCode::SUCCESS
        }
        Err(ConfigError::Faulty(_, faults)) if as_json => {
            let each = faults.iter().map(|f| json!({ "line": f.line, "what": f.what, "remedy": f.remedy }));
            println!("{}", json!({ "in_order": false, "faults": each.collect::<Vec<_>>() }));
            ExitCode::from(2)
        }
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(2)
        }
    }
}

/// The log goes to standard error; `RUST_LOG` overrules the file.
fn log(config: &Config) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(&config.log_level));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second subscriber in one process is refused; the first goes on.
    let _ = match config.log_format {
        LogFormat::Json => builder.json().try_init(),
        LogFormat::Text => builder.try_init(),
    };
}
