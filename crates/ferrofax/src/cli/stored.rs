//! The commands about what is stored: jobs and archives.

use super::ServerArgs;
use clap::{Args, Subcommand, ValueEnum};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct JobsArgs {
    #[command(subcommand)]
    pub(crate) command: JobsCommand,
    #[command(flatten)]
    pub(crate) server: ServerArgs,
    /// Look into the store that this configuration names instead of asking a server, and see the jobs of all accounts. A
    /// database is there whether servers run or not; the file of data_dir only while none does.
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Of this account only: its id, or with --config its name.
    #[arg(long, global = true, value_name = "ACCOUNT")]
    pub(crate) account: Option<String>,
}

#[derive(Subcommand, Debug)]
pub(crate) enum JobsCommand {
    /// The queue.
    List {
        /// Those in this state only.
        #[arg(long, value_enum)]
        state: Option<JobStateArg>,
        /// Those of this faxbox only, by its id.
        #[arg(long, value_name = "ID")]
        faxbox: Option<String>,
    },
    /// The faxes that were sent or given up.
    Sent,
    /// The faxes that were received.
    Received,
    /// How many jobs of each account are in which state.
    #[command(after_long_help = "Needs --config.")]
    Overview,
    /// Jobs that a node has taken and does not work on any more: its lease has run out.
    ///
    /// Another node takes them over by itself, and a node its own when it starts; what stays here shows that none runs.
    #[command(after_long_help = "Needs --config.")]
    Stuck,
    /// One job.
    Show {
        /// Its id.
        id: String,
    },
    /// Send a job that waits at once, and one that was given up, called off or is uncertain again.
    ///
    /// Pages that the far end has confirmed are not sent again. What was delivered cannot be restarted.
    #[command(visible_alias = "requeue")]
    Restart {
        /// Its id.
        id: String,
    },
    /// Call a job off.
    #[command(after_long_help = "With --config no web hook is told of a job that no server holds.")]
    Cancel {
        /// Its id.
        id: String,
    },
    /// Call off everything that an account has in the queue.
    #[command(after_long_help = "With --config no web hook is told of jobs that no server holds.")]
    Flush {
        /// Do it; without, only say how many there are.
        #[arg(long)]
        yes: bool,
    },
}

/// A state as REST names it.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
#[value(rename_all = "snake_case")]
pub(crate) enum JobStateArg {
    /// Its document is being fetched or converted.
    AttachingFiles,
    /// It waits for its time and a line.
    Pending,
    /// A node has taken it.
    Locked,
    /// A call is made.
    Processing,
}

#[derive(Args, Debug)]
pub(crate) struct StoreArgs {
    /// The configuration file that says where the store is.
    #[arg(long, short, value_name = "FILE", default_value = "ferrofax.toml", global = true)]
    pub(crate) config: PathBuf,
    #[command(subcommand)]
    pub(crate) command: StoreCommand,
}

#[derive(Subcommand, Debug)]
pub(crate) enum StoreCommand {
    /// Write everything into an archive: jobs, received faxes, accounts and what else is set up, profiles, mails that wait,
    /// the audit log, documents. Encrypted documents stay encrypted.
    Export {
        /// The archive, a tar file.
        #[arg(value_name = "FILE.tar")]
        file: PathBuf,
    },
    /// Bring everything of an archive into an empty store. The archive is verified to its end before anything is written.
    Import {
        /// The archive.
        #[arg(value_name = "FILE.tar")]
        file: PathBuf,
    },
    /// Read an archive to its end and say what is in it, and which documents were not there when it was written.
    ///
    /// What was changed or damaged since then is told by its name, with the fax whose it is, and the exit status is 2.
    Verify {
        /// The archive.
        #[arg(value_name = "FILE.tar")]
        file: PathBuf,
    },
    /// Destroy the encryption key of an account: its documents cannot be read any more, by nobody.
    ///
    /// Faxes that wait in its queue fail. What it sends and receives from then on is encrypted by a new key.
    DestroyKey {
        /// The account's name in the configuration, or its id.
        #[arg(value_name = "ACCOUNT")]
        account: String,
        /// Yes, really.
        #[arg(long)]
        yes: bool,
    },
}
