//! What others take of this machine's processors (`steal` of proc(5)): no program is punctual on a core that it does
//! not have.

use std::time::Duration;

/// The kernel counts in hundredths of a second.
const TICK: Duration = Duration::from_millis(10);

/// A second is the machine's own when no more than this was taken of each core.
const OWN: Duration = TICK;

/// Processor time that the hypervisor gave to others since this machine began; zero where there is none.
pub(crate) fn taken() -> Duration {
    let stat = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    // cpu user nice system idle iowait irq softirq steal …
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "));
    let ticks = line.and_then(|line| line.split_whitespace().nth(7)).and_then(|n| n.parse::<u32>().ok());
    TICK * ticks.unwrap_or(0)
}

/// Whether a second in which so much was taken was the machine's own.
pub(crate) fn is_own(taken: Duration) -> bool {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    taken <= OWN * u32::try_from(cores).unwrap_or(u32::MAX)
}
