//! The command line.

// The texts here are help for a terminal, where brackets are brackets.
#![allow(rustdoc::broken_intra_doc_links)]

use clap::{Args, Parser, Subcommand};
use std::net::SocketAddr;
use std::path::PathBuf;

/// A SIP softswitch for fax: documents in by REST, mail or command line, out over SIP by T.38, and
/// the same the other way round, with the truth about every page.
#[derive(Parser, Debug)]
#[command(version, max_term_width = 100)]
pub(crate) struct Cli {
    /// Write JSON instead of text, one object a line.
    #[arg(long, global = true)]
    pub(crate) json: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Start two servers on this machine, send a real PDF from one to the other, and compare.
    Demo(DemoArgs),
    /// Run the server.
    Serve(ServeArgs),
    /// Send a document: through a running server, or straight to a SIP peer.
    ///
    /// Exit status: 0 delivered, 1 not delivered, 2 wrong use or no connection, 3 uncertain.
    Send(SendArgs),
    /// Receive faxes into a folder, without a server.
    Receive(ReceiveArgs),
    /// See and cancel the jobs of a running server.
    Jobs(JobsArgs),
    /// Read a configuration and say everything that is wrong with it.
    Check(CheckArgs),
    /// The child process that converts one document (used by the server itself).
    #[command(hide = true)]
    ConvertWorker,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArgs {
    /// Keep both servers running after the fax, and print their addresses and a command to try.
    #[arg(long)]
    pub(crate) stay: bool,
    /// Send this document instead of the bundled one.
    #[arg(long, value_name = "FILE")]
    pub(crate) document: Option<PathBuf>,
}

#[derive(Args, Debug)]
pub(crate) struct ServeArgs {
    /// The configuration file.
    ///
    /// The least that is needed: data_dir; a [[trunk]] with name and peer; an [[account]] with name
    /// and api_key; a [[faxbox]] with name, account and numbers; [api] to be reached.
    #[arg(long, short, value_name = "FILE", default_value = "ferrofax.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// The configuration file.
    #[arg(value_name = "FILE", default_value = "ferrofax.toml")]
    pub(crate) config: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct ServerArgs {
    /// Address of the server's REST interface.
    #[arg(
        long,
        global = true,
        env = "FERROFAX_API",
        value_name = "URL",
        default_value = "http://127.0.0.1:8000"
    )]
    pub(crate) api: String,
    /// API key of the account.
    #[arg(long, global = true, env = "FERROFAX_KEY", value_name = "KEY", hide_env_values = true)]
    pub(crate) key: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SendArgs {
    /// The number to be called.
    pub(crate) number: String,
    /// The document: PDF, TIFF, PNG or JPEG.
    pub(crate) file: PathBuf,
    /// Call this SIP peer directly, HOST[:PORT], without a server and its queue.
    #[arg(long, value_name = "HOST")]
    pub(crate) peer: Option<String>,
    /// With --peer: our own SIP address.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:0")]
    pub(crate) listen: SocketAddr,
    /// Our number: the caller's number and the TSI.
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub(crate) from: String,
    /// Do not wait for the result; print the job's id.
    #[arg(long, conflicts_with = "peer")]
    pub(crate) no_wait: bool,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ReceiveArgs {
    /// Our SIP address.
    #[arg(long, value_name = "ADDRESS", default_value = "0.0.0.0:5060")]
    pub(crate) listen: SocketAddr,
    /// Whose calls are taken: an address or a network. May be given several times.
    #[arg(long, value_name = "NETWORK", default_value = "127.0.0.0/8")]
    pub(crate) from: Vec<String>,
    /// Where the faxes are written, as fax-0001.tif and fax-0001.pdf.
    #[arg(long, value_name = "FOLDER", default_value = ".")]
    pub(crate) dir: PathBuf,
    /// Our number (CSI).
    #[arg(long, value_name = "NUMBER", default_value = "")]
    pub(crate) ident: String,
    /// End after the first fax, with status 0 if it was received well.
    #[arg(long)]
    pub(crate) once: bool,
}

#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    pub(crate) command: JobsCommand,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
}

#[derive(Subcommand, Debug)]
pub(crate) enum JobsCommand {
    /// The queue.
    List,
    /// The faxes that were sent or given up.
    Sent,
    /// The faxes that were received.
    Received,
    /// One job.
    Show {
        /// Its id.
        id: String,
    },
    /// Call a job off.
    Cancel {
        /// Its id.
        id: String,
    },
}
