//! `ferrofax jobs --config`: the same by looking into the store, for all accounts, whether a server runs or not as far as the
//! store allows that.

use crate::cli::{JobStateArg, JobsArgs, JobsCommand};
use crate::config::{self, Config};
use crate::jobs::{flushed, said, show};
use crate::server::open_store;
use anyhow::{Context, Result, bail};
use fax_api::present;
use fax_store::Store;
use fax_store::model::{AccountId, Folder, Job, JobId, JobState, Timestamp, unfiled_id};
use fax_store::port::{Guard, JobChange, JobQuery, Range, ReceivedQuery};
use fax_switch::service::{cancelling, restarting};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

/// Rows read in one request.
const BATCH: usize = 1_000;

/// Runs the command.
pub(crate) async fn run(args: &JobsArgs, file: &Path, as_json: bool) -> Result<ExitCode> {
    let config = config::load(file)?;
    let store = open_store(&config)
        .await
        .context("while a server runs on it, ask that: leave --config out and give --key")?;
    let account = args.account.as_deref().map(|said| account_of(&config, said));
    let list = async |folder, states: Vec<JobState>, faxbox: Option<&str>| {
        let query = JobQuery {
            account: account.clone(),
            folder: Some(folder),
            faxbox: faxbox.map(Into::into),
            states,
            range: Range::default(),
        };
        all(&store, query).await
    };
    match &args.command {
        JobsCommand::List { state, faxbox } => {
            let states = state.map(state_of).into_iter().collect();
            let jobs = list(Folder::Live, states, faxbox.as_deref()).await?;
            show(&shown(&jobs), as_json)?;
        }
        JobsCommand::Sent => show(&shown(&list(Folder::Filed, vec![], None).await?), as_json)?,
        JobsCommand::Received => {
            let range = Range { limit: BATCH, ..Range::default() };
            let faxes = store.received_list(ReceivedQuery { account, faxbox: None, range }).await?;
            show(&faxes.iter().map(|f| Value::Object(present::received(f))).collect(), as_json)?;
        }
        JobsCommand::Overview => {
            let mut counts = BTreeMap::<(String, &str), u64>::new();
            for job in list(Folder::Live, vec![], None).await? {
                let name = config.directory.account(&job.account).map(|a| a.name.clone());
                let name = name.unwrap_or_else(|| job.account.to_string());
                *counts.entry((name, present::status_word(job.state))).or_default() += 1;
            }
            for ((account, state), n) in counts {
                if as_json {
                    println!("{}", json!({ "account": account, "state": state, "jobs": n }));
                } else {
                    println!("{account:<40} {state:<16} {n:>8}");
                }
            }
        }
        JobsCommand::Stuck => {
            let mut jobs = store.stale(None, Timestamp::now()).await?;
            jobs.retain(|j| account.as_ref().is_none_or(|a| j.account == *a));
            show(&shown(&jobs), as_json)?;
        }
        JobsCommand::Show { id } => {
            let job = found(&store, account.as_ref(), id).await?;
            let mut document = document(&job);
            document["history"] = present::history(&job);
            show(&document, as_json)?;
        }
        JobsCommand::Restart { id } => {
            let job = found(&store, account.as_ref(), id).await?;
            let job = changed(&store, &job, restarting(Timestamp::now())).await?;
            return Ok(said(&document(&job), as_json, &format!("{id} is in the queue again")));
        }
        JobsCommand::Cancel { id } => {
            let job = found(&store, account.as_ref(), id).await?;
            let job = changed(&store, &job, cancelling(Timestamp::now())).await?;
            return Ok(said(&document(&job), as_json, &format!("{id} is called off")));
        }
        JobsCommand::Flush { yes } => {
            if account.is_none() {
                bail!("say whose queue: --account NAME");
            }
            let jobs = list(Folder::Live, vec![], None).await?;
            let mut gone = 0;
            for job in jobs.iter().filter(|_| *yes) {
                gone += u64::from(changed(&store, job, cancelling(Timestamp::now())).await.is_ok());
            }
            return Ok(flushed(jobs.len(), gone, *yes, as_json));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// An account by its name, or its id.
pub(crate) fn account_of(config: &Config, said: &str) -> AccountId {
    let named = config.directory.accounts().find(|a| a.name == said);
    named.map_or_else(|| AccountId::new(said), |a| a.id.clone())
}

const fn state_of(state: JobStateArg) -> JobState {
    match state {
        JobStateArg::AttachingFiles => JobState::Converting,
        JobStateArg::Pending => JobState::Pending,
        JobStateArg::Locked => JobState::Locked,
        JobStateArg::Processing => JobState::Processing,
    }
}

/// All that the query wants, the newest first.
async fn all(store: &Arc<dyn Store>, mut query: JobQuery) -> Result<Vec<Job>> {
    let mut jobs: Vec<Job> = Vec::new();
    query.range.limit = BATCH;
    loop {
        let part = store.jobs(query.clone()).await?;
        let last = part.len() < BATCH;
        query.range.after = part.last().map(|j| (j.created, j.id.to_string()));
        jobs.extend(part);
        if last {
            return Ok(jobs);
        }
    }
}

async fn found(store: &Arc<dyn Store>, account: Option<&AccountId>, id: &str) -> Result<Job> {
    let job = store.job(&JobId::new(unfiled_id(id))).await?;
    job.filter(|j| account.is_none_or(|a| j.account == *a)).with_context(|| format!("there is no job {id}"))
}

async fn changed(store: &Arc<dyn Store>, job: &Job, change: JobChange) -> Result<Job> {
    Ok(store.update_job(&job.id, Guard::Any, change, vec![]).await?)
}

fn shown(jobs: &[Job]) -> Value {
    jobs.iter().map(document).collect()
}

/// A job as REST shows it, with what only the store's owner sees.
fn document(job: &Job) -> Value {
    let mut document = present::filed(job);
    document.insert("account_id".into(), job.account.as_str().into());
    document.insert("not_before".into(), job.not_before.gregorian_seconds().into());
    if let Some(lease) = &job.lease {
        document.insert("held_by".into(), lease.node.as_str().into());
        document.insert("held_until".into(), lease.until.gregorian_seconds().into());
    }
    Value::Object(document)
}
