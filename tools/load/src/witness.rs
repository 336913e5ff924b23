//! Threads that do nothing but wake: how punctual this machine lets anybody be. What they miss is taken by other
//! machines on the same processor or by the kernel, not by the calls.

use rustix::thread::{CpuSet, sched_setaffinity};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often they wake, as the media workers do.
const BEAT: Duration = Duration::from_millis(5);

/// Before all others, as far as the system allows it.
const NICE: i32 = -20;

/// One thread for each core.
pub(crate) struct Witness {
    counts: Arc<Counts>,
    threads: Vec<JoinHandle<()>>,
}

#[derive(Default)]
struct Counts {
    stop: AtomicBool,
    wakes: AtomicU64,
    on_time: AtomicU64,
}

impl Witness {
    pub(crate) fn start(on_time: Duration) -> Self {
        let counts = Arc::new(Counts::default());
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let watch = |core| {
            let counts = counts.clone();
            std::thread::spawn(move || watch(&counts, on_time, core))
        };
        Witness { threads: (0..cores).map(watch).collect(), counts }
    }

    /// The share of wakes that were on time.
    pub(crate) fn stop(self) -> f64 {
        self.counts.stop.store(true, Ordering::Relaxed);
        for thread in self.threads {
            let _ = thread.join();
        }
        let wakes = self.counts.wakes.load(Ordering::Relaxed).max(1);
        self.counts.on_time.load(Ordering::Relaxed) as f64 / wakes as f64
    }
}

fn watch(counts: &Counts, on_time: Duration, core: usize) {
    // Each stays at its core: it is to miss what a call that runs there misses when the core is taken away.
    let mut own = CpuSet::new();
    own.set(core);
    let _ = sched_setaffinity(None, &own);
    // Without the right to it they are a little less sure, no more.
    let _ = rustix::process::setpriority_process(None, NICE);
    let mut due = Instant::now() + BEAT;
    while !counts.stop.load(Ordering::Relaxed) {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // Each beat that was slept through counts, as each turn of a call does.
        while due <= Instant::now() {
            counts.wakes.fetch_add(1, Ordering::Relaxed);
            counts.on_time.fetch_add(u64::from(due.elapsed() < on_time), Ordering::Relaxed);
            due += BEAT;
        }
    }
}
