//! Many faxes at once between two endpoints on this machine: what a call costs, and how punctual the media stay.

mod calls;
mod cost;
mod page;
mod queue;
mod signalling;
mod steal;

use anyhow::{Context, Result, bail};
use clap::{Parser, ValueEnum};
use fax_net::{Config, Endpoint, IncomingCall, Punctuality, Trunk};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A turn that comes later than this is not on time, in milliseconds: half a packet.
const ON_TIME_MS: usize = 10;

/// The share of turns that has to be on time.
const SHARE: f64 = 0.999;

/// Makes N fax calls at a time between two endpoints on loopback, both ends in this process, and prints for each N the
/// CPU a call takes, how late the media came, and whether every fax arrived as it was sent; on a virtual machine also
/// what its host took away ("stolen"), and how punctual the seconds were in which it took next to nothing ("own time",
/// "own s"). With --sip: how many calls
/// a second can be set up and torn down, and what one costs. With --queue: what taking and dispatching jobs costs.
#[derive(Parser)]
struct Args {
    /// Calls at a time, one run each.
    #[arg(long, value_delimiter = ',', default_value = "50,100,200,400")]
    calls: Vec<usize>,
    /// What carries the faxes.
    #[arg(long, value_enum, default_value = "audio")]
    carrier: Carrier,
    /// The measurement lasts so many seconds; it begins when all calls run.
    #[arg(long, default_value_t = 30)]
    seconds: u64,
    /// Pages a call.
    #[arg(long, default_value_t = 1)]
    pages: usize,
    /// Media workers of each end; 0: one a core, shared out between both ends.
    #[arg(long, default_value_t = 0)]
    workers: usize,
    /// Without error correction.
    #[arg(long)]
    no_ecm: bool,
    /// Signalling alone: SIPp makes calls that end as soon as they are up.
    #[arg(long)]
    sip: bool,
    /// With --sip: calls a second, one run each.
    #[arg(long, value_delimiter = ',', default_value = "500,1000,1500")]
    rate: Vec<usize>,
    /// With --sip: over one TCP connection instead of UDP.
    #[arg(long)]
    tcp: bool,
    /// The queue alone: jobs taken in a second with 1 and 16 writers, and what one dispatch costs with so many jobs
    /// waiting, in both stores.
    #[arg(long)]
    queue: bool,
    /// With --queue: jobs waiting.
    #[arg(long, value_delimiter = ',', default_value = "1000,1000000")]
    jobs: Vec<usize>,
    /// With --queue: keeps the filled stores of the embedded kind here, and takes them up again.
    #[arg(long)]
    folder: Option<std::path::PathBuf>,
    /// One object a run instead of a table.
    #[arg(long)]
    json: bool,
}

/// What carries the faxes.
#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Carrier {
    /// V.17 over G.711.
    Audio,
    /// T.38 over UDPTL.
    T38,
}

#[tokio::main]
async fn main() -> Result<ExitCode> {
    let args = Args::parse();
    cost::allow_files()?;
    if args.queue {
        let (jobs, folder) = (args.jobs.as_slice(), args.folder.as_deref());
        let plan = queue::Plan { jobs, seconds: args.seconds.min(10), folder, json: args.json };
        return Ok(if queue::run(&plan).await? { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    let mut good = true;
    if args.sip {
        if !args.json {
            println!("{}", signalling::Run::HEAD);
        }
        for &rate in &args.rate {
            let run = signalling::run(&args, rate).await?;
            good &= run.good();
            println!("{}", if args.json { run.json().to_string() } else { run.row() });
        }
        return Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !args.json {
        println!(
            "{:>6} {:>7} {:>7} {:>9} {:>11} {:>12} {:>9} {:>9} {:>8} {:>8} {:>9} {:>7} {:>8}",
            "calls",
            "made",
            "failed",
            "call s",
            "cores used",
            "CPU ms/min",
            "on time",
            "99.9 %",
            "latest",
            "stolen",
            "own time",
            "own s",
            "MB"
        );
    }
    for &calls in &args.calls {
        let run = run(&args, calls).await?;
        good &= run.good();
        if args.json {
            println!("{}", run.json(calls));
        } else {
            println!("{}", run.row(calls));
            run.failures.iter().take(5).for_each(|f| println!("       {f}"));
        }
    }
    Ok(if good { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What one run came to.
struct Run {
    made: usize,
    failures: Vec<String>,
    /// A call's mean length, s.
    call: f64,
    /// Processor time over wall time.
    cores: f64,
    /// Processor time of a call (both ends), ms for a minute of it.
    cost: f64,
    times: Punctuality,
    /// Of these, the turns in seconds in which the hypervisor left this machine its processors.
    own: Punctuality,
    /// So many seconds these were.
    own_seconds: u32,
    /// Processor time that the hypervisor gave to others, over that of this machine.
    stolen: f64,
    memory_mb: u64,
}

impl Run {
    /// Every fax arrived, and while the machine had its processors the turns came on time.
    fn good(&self) -> bool {
        self.failures.is_empty() && self.own_seconds > 0 && on_time(&self.own) >= SHARE
    }

    fn row(&self, calls: usize) -> String {
        format!(
            "{calls:>6} {:>7} {:>7} {:>9.1} {:>11.2} {:>12.1} {:>8.3}% {:>6} ms {:>5} ms {:>7.2}% {:>8.3}% {:>7} {:>8}",
            self.made,
            self.failures.len(),
            self.call,
            self.cores,
            self.cost,
            on_time(&self.times) * 100.0,
            self.times.quantile(SHARE),
            self.times.quantile(1.0),
            self.stolen * 100.0,
            on_time(&self.own) * 100.0,
            self.own_seconds,
            self.memory_mb,
        )
    }

    fn json(&self, calls: usize) -> serde_json::Value {
        serde_json::json!({
            "calls": calls, "made": self.made, "failed": self.failures.len(), "call_s": self.call, "cores": self.cores,
            "cpu_ms_per_call_minute": self.cost, "on_time": on_time(&self.times), "late_999_ms": self.times.quantile(SHARE),
            "latest_ms": self.times.quantile(1.0), "stolen": self.stolen, "own_on_time": on_time(&self.own), "own_seconds": self.own_seconds, "memory_mb": self.memory_mb, "good": self.good(),
            "failures": self.failures,
        })
    }
}

/// The share of turns on time.
fn on_time(times: &Punctuality) -> f64 {
    times.within(ON_TIME_MS) as f64 / times.turns().max(1) as f64
}

async fn run(args: &Args, calls: usize) -> Result<Run> {
    let audio = args.carrier == Carrier::Audio;
    let ((a, _), (b, incoming)) = pair(args, calls).await?;
    let page = Arc::new(page::text());
    let answering = tokio::spawn(calls::answer(incoming, page.clone(), !args.no_ecm));
    let first = calls::make(&a, &page, args.pages, !args.no_ecm, audio).await;
    if let Err(what) = first.arrived {
        bail!("not even a single call arrives: {what}");
    }
    let length = first.length;
    let plan = calls::Plan {
        pages: args.pages,
        ecm: !args.no_ecm,
        audio,
        page,
        calls,
        ramp: length,
        until: tokio::time::Instant::now() + length + Duration::from_secs(args.seconds),
    };
    let ramp = plan.ramp;
    let making = tokio::spawn(calls::keep_up(a.clone(), plan));
    tokio::time::sleep(ramp).await;
    let both = || a.punctuality().and(&b.punctuality());
    let (mut times, mut own, mut own_seconds) = (Punctuality::default(), Punctuality::default(), 0);
    let (cpu, stolen, begin) = (cost::processor_time(), steal::taken(), std::time::Instant::now());
    for _ in 0..args.seconds {
        let (before, taken) = (both(), steal::taken());
        tokio::time::sleep(Duration::from_secs(1)).await;
        let second = both().since(&before);
        times = times.and(&second);
        if steal::is_own(steal::taken().saturating_sub(taken)) {
            own = own.and(&second);
            own_seconds += 1;
        }
    }
    let wall = begin.elapsed().as_secs_f64();
    let cores = (cost::processor_time() - cpu).as_secs_f64() / wall;
    let machine = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let stolen = (steal::taken() - stolen).as_secs_f64() / wall / machine;
    let memory_mb = cost::memory_mb();
    let made = making.await.context("a call's task failed")?;
    a.stop().await;
    b.stop().await;
    let received = answering.await.context("the answering task failed")?;
    let mut failures: Vec<String> = made.iter().filter_map(|m| m.arrived.clone().err()).collect();
    failures.extend(received);
    let length = made.iter().map(|m| m.length.as_secs_f64()).sum::<f64>() / made.len().max(1) as f64;
    let cost = cores / calls as f64 * 60_000.0;
    Ok(Run {
        made: made.len(),
        failures,
        call: length,
        cores,
        cost,
        times,
        own,
        own_seconds,
        stolen,
        memory_mb,
    })
}

type End = (Endpoint, mpsc::Receiver<IncomingCall>);

/// Two endpoints that are each other's trunk.
async fn pair(args: &Args, calls: usize) -> Result<(End, End)> {
    let free =
        || -> Result<SocketAddr> { Ok(std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?) };
    let (at_a, at_b) = (free()?, free()?);
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let workers = if args.workers == 0 { cores.div_ceil(2) } else { args.workers };
    let start = async |own: SocketAddr, other: SocketAddr| {
        let mut config = Config::new(own);
        config.workers = workers;
        config.max_calls = calls * 2 + 10;
        config.trunks.push(Trunk::new("peer", &other.to_string()));
        Endpoint::start(config).await.context("an endpoint cannot be started")
    };
    Ok((start(at_a, at_b).await?, start(at_b, at_a).await?))
}
