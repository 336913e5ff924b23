//! What a service is made of: its settings and its ports.

use crate::guard::DeadNumberRules;
use crate::number::NumberPlan;
use crate::policy::{LearningRules, RetryTable, TollRules};
use crate::port::{Clock, Converter, Dialler, Fetcher};
use crate::retention::RetentionRules;
use core::time::Duration;
use fax_store::model::NodeId;
use fax_store::{Documents, Store};
use std::sync::Arc;

/// Settings.
#[derive(Clone, Debug)]
pub struct ServiceConfig {
    /// The name of this node; the same after a restart.
    pub node: NodeId,
    /// Calls going out at a time, all accounts together.
    pub max_calls: usize,
    /// Conversions at a time.
    pub max_conversions: usize,
    /// Calls going out at a time of an account that says nothing, nor any above it.
    pub default_max_outbound: u32,
    /// Only one call to a number at a time.
    pub serialise_numbers: bool,
    /// So many faxes of a sender that wait for the same number go out in one call.
    pub jobs_per_call: usize,
    /// How long a lease lasts without being renewed.
    pub lease: Duration,
    /// The names of the trunks.
    pub trunks: Vec<String>,
    /// When failed jobs are tried again.
    pub retry: RetryTable,
    /// How calls teach about numbers and trunks; `None`: nothing is learnt, and nothing that was is applied.
    pub learning: Option<LearningRules>,
    /// When numbers are not called any more.
    pub dead_numbers: DeadNumberRules,
    /// What may be called and spent.
    pub toll: Arc<TollRules>,
    /// Attempts in all of jobs that say nothing.
    pub default_retries: u32,
    /// Most attempts in all that a job may ask for.
    pub max_retries: u32,
    /// No call lasts longer.
    pub longest_call: Duration,
    /// How long running calls may go on after the shutdown was asked for.
    pub drain: Duration,
    /// Mails of notices are sent, here or by another node on the store. Else no such notices are stored: nobody would ever take
    /// them.
    pub mails: bool,
    /// Largest document taken, octets.
    pub max_document: usize,
    /// Documents without a row are removed when they are so old.
    pub sweep_after: Duration,
    /// How numbers are brought to E.164.
    pub numbers: NumberPlan,
    /// Subscriber number for CSI where the faxbox has none.
    pub default_ident: String,
    /// What generated mail domains and realms end in.
    pub mail_domain: String,
    /// Audit records are removed when they are so old.
    pub audit_keep: Duration,
    /// A web hook that has failed at every call for so long is switched off.
    pub hook_patience: Duration,
    /// How long after each failed call of a web hook it is called again; after the last it is given up.
    pub hook_again: Vec<Duration>,
    /// How long faxes and their documents are kept.
    pub retention: RetentionRules,
}

impl ServiceConfig {
    /// The defaults of a node.
    #[must_use]
    pub fn new(node: NodeId) -> Self {
        ServiceConfig {
            node,
            max_calls: 100,
            max_conversions: 2,
            default_max_outbound: 10,
            serialise_numbers: true,
            jobs_per_call: 1,
            lease: Duration::from_secs(60),
            trunks: Vec::new(),
            retry: RetryTable::default(),
            learning: Some(LearningRules::default()),
            dead_numbers: DeadNumberRules::default(),
            toll: Arc::default(),
            default_retries: 3,
            max_retries: 20,
            longest_call: Duration::from_secs(3600),
            drain: Duration::from_secs(30),
            mails: true,
            max_document: 64 << 20,
            sweep_after: Duration::from_secs(86_400),
            numbers: NumberPlan::default(),
            default_ident: String::new(),
            mail_domain: "fax.localhost".into(),
            audit_keep: Duration::from_secs(400 * 86_400),
            hook_patience: Duration::from_secs(3 * 86_400),
            hook_again: [5, 25, 120, 600, 3_120, 14_400, 79_200].map(Duration::from_secs).to_vec(),
            retention: RetentionRules::default(),
        }
    }
}

/// What the service works with.
#[derive(Clone)]
pub struct Ports {
    /// Rows.
    pub store: Arc<dyn Store>,
    /// Documents.
    pub documents: Arc<dyn Documents>,
    /// Calls.
    pub dialler: Arc<dyn Dialler>,
    /// Conversion.
    pub converter: Arc<dyn Converter>,
    /// Documents by URL.
    pub fetcher: Arc<dyn Fetcher>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}
