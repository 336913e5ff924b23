//! Calls set up and torn down as fast as can be: one endpoint in this process, SIPp as the caller beside it.

use crate::{Args, cost};
use anyhow::{Context, Result, bail, ensure};
use fax_net::{CallEnd, CallEvent, Config, Endpoint, IncomingCall, Listen, Transport, Trunk};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};
use tokio::process::Command;
use tokio::sync::mpsc;

const SCENARIO: &str = include_str!("uac.xml");

/// What one run came to.
pub(crate) struct Run {
    rate: usize,
    /// Calls a second, from SIPp's first INVITE to its last answer.
    achieved: f64,
    succeeded: u64,
    failed: u64,
    repeated: u64,
    /// Processor time of the endpoint for a call, µs.
    cost: f64,
    /// Processor time of the endpoint over wall time.
    cores: f64,
    memory_mb: u64,
    /// Calls that this side answered and saw ended by BYE.
    seen: u64,
}

impl Run {
    pub(crate) const HEAD: &str =
        "  rate  calls/s  succeeded   failed  repeated  CPU µs/call  cores used       MB";

    pub(crate) fn good(&self) -> bool {
        self.failed == 0 && self.seen == self.succeeded && self.achieved >= self.rate as f64 * 0.98
    }

    pub(crate) fn row(&self) -> String {
        format!(
            "{:>6} {:>8.0} {:>10} {:>8} {:>9} {:>12.0} {:>11.2} {:>8}",
            self.rate,
            self.achieved,
            self.succeeded,
            self.failed,
            self.repeated,
            self.cost,
            self.cores,
            self.memory_mb
        )
    }

    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "rate": self.rate, "calls_per_second": self.achieved, "succeeded": self.succeeded, "failed": self.failed,
            "repeated": self.repeated, "cpu_us_per_call": self.cost, "cores": self.cores,
            "memory_mb": self.memory_mb, "good": self.good(),
        })
    }
}

/// An address at which neither UDP nor TCP is bound.
fn free() -> Result<SocketAddr> {
    for _ in 0..100 {
        let at = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?;
        if TcpListener::bind(at).is_ok() {
            return Ok(at);
        }
    }
    bail!("no free port")
}

/// Makes calls at this rate.
pub(crate) async fn run(args: &Args, rate: usize) -> Result<Run> {
    ensure!(rate > 0 && args.seconds > 0, "a rate and a time above 0 are needed");
    let (own, peer) = (free()?, free()?);
    let transport = if args.tcp { Transport::Tcp } else { Transport::Udp };
    let mut config = Config::new(own);
    config.listen = vec![Listen::new(transport, own)];
    config.workers = args.workers;
    config.max_calls = 20_000;
    config.trunks.push(Trunk::new("peer", &peer.to_string()));
    let (endpoint, incoming) = Endpoint::start(config).await.context("the endpoint cannot be started")?;
    let answering = tokio::spawn(answer(incoming));

    let folder = std::env::temp_dir().join(format!("load-{}", std::process::id()));
    std::fs::create_dir_all(&folder)?;
    let (scenario, statistics) = (folder.join("uac.xml"), folder.join(format!("{rate}.csv")));
    std::fs::write(&scenario, SCENARIO)?;
    let calls = rate * usize::try_from(args.seconds)?;
    // On the other core, where there is one: what is measured is ours.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let mut sipp = Command::new("taskset");
    sipp.args(["-c", &(cores - 1).to_string(), "sipp", "-sf"]).arg(&scenario);
    sipp.args(["-i", "127.0.0.1", "-p", &peer.port().to_string()]);
    sipp.args(["-r", &rate.to_string(), "-m", &calls.to_string(), "-l", "20000", "-s", "+4930456"]);
    sipp.args(["-t", if args.tcp { "t1" } else { "u1" }, "-nostdin", "-buff_size", "4000000"]);
    sipp.args(["-trace_stat", "-fd", "1", "-stf"]).arg(&statistics);
    sipp.args(["-recv_timeout", "40000", "-timeout", &(args.seconds + 60).to_string(), &own.to_string()]);
    sipp.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let (cpu, begin) = (cost::processor_time(), Instant::now());
    let mut sipp = sipp.spawn().context("SIPp cannot be started: install sip-tester and util-linux")?;
    sipp.wait().await?;
    let wall = begin.elapsed();
    let used = cost::processor_time() - cpu;
    let memory_mb = cost::memory_mb();
    tokio::time::sleep(Duration::from_millis(200)).await;
    endpoint.stop().await;
    let seen = answering.await.context("the answering task failed")?;
    let told = told(&statistics)?;
    let _ = std::fs::remove_dir_all(&folder);
    let (succeeded, failed) = (told.succeeded, told.failed);
    let achieved = succeeded as f64 / told.seconds;
    let cost = used.as_secs_f64() * 1e6 / succeeded.max(1) as f64;
    let cores = used.as_secs_f64() / wall.as_secs_f64();
    Ok(Run { rate, achieved, succeeded, failed, repeated: told.repeated, cost, cores, memory_mb, seen })
}

/// Answers every call at once; how many were answered and ended by the caller.
async fn answer(mut incoming: mpsc::Receiver<IncomingCall>) -> u64 {
    let (ended, mut ends) = mpsc::unbounded_channel();
    let counting = tokio::spawn(async move {
        let mut seen = 0;
        while ends.recv().await.is_some() {
            seen += 1;
        }
        seen
    });
    while let Some(call) = incoming.recv().await {
        let config = fax_terminal::Config { role: fax_t30::Role::Called, ..fax_terminal::Config::default() };
        let mut call = call.accept(config);
        let ended = ended.clone();
        tokio::spawn(async move {
            while let Some(event) = call.next().await {
                if let CallEvent::Ended(report) = event
                    && report.end == CallEnd::Fax
                {
                    let _ = ended.send(());
                }
            }
        });
    }
    drop(ended);
    counting.await.unwrap_or(0)
}

/// What SIPp counted.
struct Told {
    succeeded: u64,
    failed: u64,
    repeated: u64,
    seconds: f64,
}

fn told(file: &Path) -> Result<Told> {
    let text = std::fs::read_to_string(file).context("SIPp wrote no statistics")?;
    let mut lines = text.lines();
    let head: Vec<&str> = lines.next().unwrap_or_default().split(';').collect();
    let last: Vec<&str> = lines.last().unwrap_or_default().split(';').collect();
    let value = |name: &str| -> Result<&str> {
        let at =
            head.iter().position(|h| *h == name).with_context(|| format!("SIPp does not tell {name}"))?;
        last.get(at).copied().with_context(|| format!("SIPp does not tell {name}"))
    };
    let count = |name: &str| -> Result<u64> { Ok(value(name)?.parse()?) };
    // hours:minutes:seconds, and microseconds behind a dot or colon.
    let seconds = value("ElapsedTime(C)")?
        .split(':')
        .take(3)
        .try_fold(0.0, |sum, part| Ok::<_, std::num::ParseFloatError>(sum * 60.0 + part.parse::<f64>()?))?;
    Ok(Told {
        succeeded: count("SuccessfulCall(C)")?,
        failed: count("FailedCall(C)")?,
        repeated: count("Retransmissions(C)")?,
        seconds: if seconds > 0.0 { seconds } else { 1.0 },
    })
}
