//! `ferrofax serve` and `ferrofax check`.

use crate::cli::{CheckArgs, ServeArgs};
use crate::config::{self, Config, LogFormat};
use crate::server::Server;
use anyhow::Result;
use std::process::ExitCode;
use tracing_subscriber::EnvFilter;

/// Runs the server until it is told to stop.
pub(crate) async fn run(args: ServeArgs) -> Result<ExitCode> {
    let config = config::load(&args.config)?;
    log(&config);
    let server = Server::start(config).await?;
    stop_signal().await?;
    server.stop().await;
    Ok(ExitCode::SUCCESS)
}

/// Says whether a configuration is in order.
pub(crate) fn check(args: &CheckArgs) -> ExitCode {
    match config::load(&args.config) {
        Ok(config) => {
            println!(
                "{}: in order: {} trunks, {} accounts, {} faxboxes",
                args.config.display(),
                config.trunks.len(),
                config.directory.accounts().len(),
                config.directory.faxboxes().len()
            );
            ExitCode::SUCCESS
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

async fn stop_signal() -> Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        _ = terminate.recv() => {}
        interrupted = tokio::signal::ctrl_c() => interrupted?,
    }
    Ok(())
}
