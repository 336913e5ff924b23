//! What is counted, and how it stands, as OpenMetrics text for Prometheus.
//!
//! Counters count what this node did since it started; gauges are read when somebody asks. Names begin with `ferrofax_`.
//! No label carries a number, a name of a person or an account.

use crate::finish::Turn;
use crate::policy::is_success;
use crate::service::Service;
use fax_store::model::{Job, JobState, Received};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::Registry;
use serde_json::Value;
use std::time::Instant;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ResultLabel {
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabel {
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DirectionLabel {
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CallLabels {
    direction: &'static str,
    carrier: &'static str,
    trunk: String,
    result: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OperationLabel {
    operation: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrunkLabels {
    trunk: String,
    direction: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TrunkLabel {
    trunk: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LateLabel {
    over_ms: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: String,
}

/// Bounds of the store's times, seconds.
const STORE_TIMES: [f64; 10] = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.25, 1.0, 5.0];
/// Bounds of the times of calls, seconds.
const CALL_TIMES: [f64; 9] = [10.0, 20.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1200.0, 3600.0];

/// What is counted.
pub(crate) struct Metrics {
    registry: Registry,
    submitted: Counter,
    jobs: Family<ResultLabel, Counter>,
    attempts: Family<ResultLabel, Counter>,
    pages: Family<DirectionLabel, Counter>,
    received: Family<ResultLabel, Counter>,
    calls: Family<CallLabels, Counter>,
    call_seconds: Family<DirectionLabel, Histogram>,
    store: Family<OperationLabel, Histogram>,
    hooks: Family<ResultLabel, Counter>,
    queue: Family<StateLabel, Gauge>,
    running: Gauge,
    trunk_up: Family<TrunkLabel, Gauge>,
    trunk_calls: Family<TrunkLabels, Gauge>,
    bans: Gauge,
    turned_away: Family<KindLabel, Counter>,
    turns: Counter,
    late: Family<LateLabel, Counter>,
    store_up: Gauge,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut m = Metrics {
            registry: Registry::with_prefix("ferrofax"),
            submitted: Counter::default(),
            jobs: Family::default(),
            attempts: Family::default(),
            pages: Family::default(),
            received: Family::default(),
            calls: Family::default(),
            call_seconds: Family::new_with_constructor(|| Histogram::new(CALL_TIMES)),
            store: Family::new_with_constructor(|| Histogram::new(STORE_TIMES)),
            hooks: Family::default(),
            queue: Family::default(),
            running: Gauge::default(),
            trunk_up: Family::default(),
            trunk_calls: Family::default(),
            bans: Gauge::default(),
            turned_away: Family::default(),
            turns: Counter::default(),
            late: Family::default(),
            store_up: Gauge::default(),
        };
        let r = &mut m.registry;
        r.register("jobs_submitted", "Faxes taken for sending", m.submitted.clone());
        r.register(
            "jobs_finished",
            "Jobs that ended, by their end and, of those that failed, its class",
            m.jobs.clone(),
        );
        r.register("attempts", "Attempts to send, by the class of their result", m.attempts.clone());
        r.register("pages", "Pages that were confirmed (out) or came in (in)", m.pages.clone());
        r.register("faxes_received", "Faxes that came in, by the class of their result", m.received.clone());
        r.register(
            "calls",
            "Fax calls that ended, by direction, carrier (t38, audio), trunk and result",
            m.calls.clone(),
        );
        r.register("call_seconds", "How long fax calls took", m.call_seconds.clone());
        r.register("store_seconds", "How long the store took", m.store.clone());
        r.register(
            "webhook_calls",
            "Calls of web hooks: delivered, failed and tried again, or given up",
            m.hooks.clone(),
        );
        r.register("queue", "Rows that wait, over all nodes", m.queue.clone());
        r.register("calls_running", "Fax calls going out on this node", m.running.clone());
        r.register("trunk_up", "Whether a trunk can be used", m.trunk_up.clone());
        r.register("trunk_calls", "Calls of a trunk now", m.trunk_calls.clone());
        r.register("sip_bans", "Addresses banned from the SIP side now", m.bans.clone());
        r.register("sip_turned_away", "What the guard of the SIP side did", m.turned_away.clone());
        r.register("media_turns", "Turns of the media of calls", m.turns.clone());
        r.register("media_late_turns", "Those that came later than so many milliseconds", m.late.clone());
        r.register("store_up", "Whether the store answered", m.store_up.clone());
        m
    }
}

impl Metrics {
    pub(crate) fn submitted(&self) {
        self.submitted.inc();
    }

    /// A request to the store came back.
    pub(crate) fn stored(&self, operation: &'static str, since: Instant) {
        self.store.get_or_create(&OperationLabel { operation }).observe(since.elapsed().as_secs_f64());
    }

    /// A job's turn has ended.
    pub(crate) fn ended(&self, job: &Job, turn: &Turn) {
        if let Turn::Call(attempt, _) = turn {
            let result = attempt.outcome.class.clone();
            self.attempts.get_or_create(&ResultLabel { result }).inc();
            self.pages
                .get_or_create(&DirectionLabel { direction: "out" })
                .inc_by(attempt.pages_confirmed.into());
        }
        let result = match job.state {
            JobState::Completed => "completed".to_owned(),
            JobState::Uncertain => "uncertain".to_owned(),
            JobState::Cancelled => "cancelled".to_owned(),
            JobState::Failed => {
                let class = job.attempts.last().map_or("document", |a| a.outcome.class.as_str());
                format!("failed:{class}")
            }
            JobState::Converting | JobState::Pending | JobState::Locked | JobState::Processing => return,
        };
        self.jobs.get_or_create(&ResultLabel { result }).inc();
    }

    /// A call has ended, and made these turns of its jobs: the last that it got to has its result. Without a trunk none was
    /// made.
    pub(crate) fn called(&self, turns: &[Turn]) {
        let mut attempts = turns.iter().filter_map(|turn| match turn {
            Turn::Call(attempt, _) => Some(attempt),
            Turn::Back(_)
            | Turn::Held(..)
            | Turn::Complete
            | Turn::CalledOff
            | Turn::Hopeless(_)
            | Turn::Uncertain => None,
        });
        let Some(first) = attempts.next() else { return };
        let last = attempts.next_back().unwrap_or(first);
        let (result, trunk) = (last.outcome.class.clone(), last.trunk.clone());
        if trunk.is_some() || is_success(&result) {
            let seconds = last.ended.since(first.started).as_secs_f64();
            self.call("out", last.t38, trunk.unwrap_or_default(), result, seconds);
        }
    }

    fn call(&self, direction: &'static str, t38: bool, trunk: String, result: String, seconds: f64) {
        let carrier = if t38 { "t38" } else { "audio" };
        self.calls.get_or_create(&CallLabels { direction, carrier, trunk, result }).inc();
        self.call_seconds.get_or_create(&DirectionLabel { direction }).observe(seconds);
    }

    /// A fax came in.
    pub(crate) fn came(&self, fax: &Received, trunk: String) {
        let result = fax.class.clone();
        self.received.get_or_create(&ResultLabel { result: result.clone() }).inc();
        self.pages.get_or_create(&DirectionLabel { direction: "in" }).inc_by(fax.pages.into());
        self.call(
            "in",
            fax.t38,
            trunk,
            result,
            std::time::Duration::from_millis(fax.duration_ms).as_secs_f64(),
        );
    }

    /// A web hook was called.
    pub(crate) fn hook_called(&self, delivered: bool, again: bool) {
        let result = match (delivered, again) {
            (true, _) => "delivered",
            (false, true) => "failed",
            (false, false) => "given_up",
        };
        self.hooks.get_or_create(&ResultLabel { result: result.to_owned() }).inc();
    }
}

/// Whether the switch can do its work.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Readiness {
    /// The store answers.
    pub store: bool,
    /// Calls can come in.
    pub listening: bool,
    /// A trunk can be used.
    pub trunk: bool,
}

impl Readiness {
    /// All of it.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.store && self.listening && self.trunk
    }
}

/// The store has so long to show that it is there.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(3);

impl Service {
    /// Whether the switch can do its work now.
    pub async fn readiness(&self) -> Readiness {
        let ports = &self.inner.ports;
        let looked = tokio::time::timeout(PATIENCE, ports.store.next_due()).await;
        let trunks = tokio::time::timeout(PATIENCE, ports.dialler.trunks()).await.unwrap_or_default();
        let up = trunks.iter().any(|t| t.fields.get("up").and_then(Value::as_bool) == Some(true));
        Readiness { store: matches!(looked, Ok(Ok(_))), listening: ports.dialler.is_listening(), trunk: up }
    }

    /// Everything that is counted, as OpenMetrics 1.0 text.
    pub async fn metrics(&self) -> String {
        let (ports, m) = (&self.inner.ports, &self.inner.metrics);
        let began = Instant::now();
        let backlog = tokio::time::timeout(PATIENCE, ports.store.backlog()).await;
        m.store_up.set(i64::from(matches!(backlog, Ok(Ok(_)))));
        let whole = |n: u64| i64::try_from(n).unwrap_or(i64::MAX);
        if let Ok(Ok(backlog)) = backlog {
            m.stored("count", began);
            for (state, count) in [
                ("converting", backlog.converting),
                ("pending", backlog.pending),
                ("calling", backlog.held),
                ("mails", backlog.notices),
                ("webhooks", backlog.hook_notices),
            ] {
                m.queue.get_or_create(&StateLabel { state }).set(whole(count));
            }
        }
        let running = self.inner.running.count(crate::running::Work::Call);
        m.running.set(i64::try_from(running).unwrap_or(i64::MAX));
        let trunks = tokio::time::timeout(PATIENCE, ports.dialler.trunks()).await.unwrap_or_default();
        // Trunks that were taken out of the configuration are not told of any more.
        m.trunk_up.clear();
        m.trunk_calls.clear();
        for trunk in trunks {
            let up = trunk.fields.get("up").and_then(Value::as_bool) == Some(true);
            m.trunk_up.get_or_create(&TrunkLabel { trunk: trunk.name.clone() }).set(i64::from(up));
            for direction in ["in", "out"] {
                let calls = trunk.fields.get("calls").and_then(|c| c.get(direction)).and_then(Value::as_u64);
                let labels = TrunkLabels { trunk: trunk.name.clone(), direction };
                m.trunk_calls.get_or_create(&labels).set(whole(calls.unwrap_or(0)));
            }
        }
        let protection = ports.dialler.protection();
        let bans = protection.get("bans").and_then(Value::as_array).map_or(0, Vec::len);
        m.bans.set(i64::try_from(bans).unwrap_or(i64::MAX));
        for (kind, count) in protection.get("counters").and_then(Value::as_object).into_iter().flatten() {
            let labels = KindLabel { kind: kind.clone() };
            let count = count.as_u64().unwrap_or(0);
            m.turned_away.get_or_create(&labels).inner().store(count, std::sync::atomic::Ordering::Relaxed);
        }
        let times = ports.dialler.media_times();
        m.turns.inner().store(times.turns, std::sync::atomic::Ordering::Relaxed);
        for (over_ms, count) in times.late {
            let late = m.late.get_or_create(&LateLabel { over_ms });
            late.inner().store(count, std::sync::atomic::Ordering::Relaxed);
        }
        let mut text = String::new();
        if let Err(error) = encode(&mut text, &m.registry) {
            tracing::error!(%error, "what is counted cannot be written");
        }
        text
    }
}
