//! ferrofax: a SIP softswitch for fax in one program.

mod analyze;
mod bans;
mod budgets;
mod cli;
mod client;
mod config;
mod demo;
mod direct;
mod dns;
mod documents;
mod heading;
mod jobs;
mod jobs_store;
mod line;
mod pages;
mod profiles;
mod receive;
mod reload;
mod replay;
mod route;
mod send;
mod serve;
mod server;
mod store;
mod trunk_sheet;
mod wire;

use clap::Parser;
use cli::{Cli, Command};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.command {
        // The child of a conversion: no runtime, no log, limits first.
        Command::ConvertWorker => fax_document::worker_main(),
        Command::Check(args) => serve::check(&args, cli.json),
        Command::Openapi => {
            println!("{:#}", fax_api::openapi::document());
            ExitCode::SUCCESS
        }
        Command::Demo(args) => run(demo::run(args, cli.json)),
        Command::Serve(args) => run(serve::run(args)),
        Command::Send(args) => run(send::run(args, cli.json)),
        Command::Receive(args) => run(receive::run(args, cli.json)),
        Command::Route(args) => told(route::run(&args, cli.json)),
        Command::Dns(args) => run(dns::run(args, cli.json)),
        Command::Analyze(args) => told(analyze::run(&args, cli.json)),
        Command::Replay(args) => told(replay::run(&args, cli.json)),
        Command::Line(args) => run(line::run(args, cli.json)),
        Command::Jobs(args) => run(jobs::run(args, cli.json)),
        Command::Destinations(args) => run(profiles::run("destinations", args, cli.json)),
        Command::Bans(args) => run(bans::run(args, cli.json)),
        Command::Store(args) => run(store::run(args, cli.json)),
        Command::Reload(args) => run(reload::run(args, cli.json)),
        Command::Trunks(args) => run(profiles::run("trunks", args, cli.json)),
    }
}

/// Runs a command on a fresh runtime; an error is told in a sentence and ends with status 2.
fn run(command: impl Future<Output = anyhow::Result<ExitCode>>) -> ExitCode {
    // One provider of cryptography for the whole process; a second installation is no error.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = match tokio::runtime::Builder::new_multi_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            eprintln!("error: no threads can be started: {error}");
            return ExitCode::from(2);
        }
    };
    told(runtime.block_on(command))
}

/// The exit status; an error is told in a sentence.
fn told(result: anyhow::Result<ExitCode>) -> ExitCode {
    result.unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
