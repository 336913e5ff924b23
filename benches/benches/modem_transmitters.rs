//! What the modems' transmitters cost beside spandsp's (V.17, V.29, V.27ter): CPU of the thread, the best of 15
//! runs of 20 s of audio. Run with `cargo bench -p benches --bench modem_transmitters`.

use fax_base::bits::BitSource;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::QamTransmitter;
use fax_dsp::modem::Mode;
use rustix::time::{ClockId, clock_gettime};
use spandsp_peer::modem::{Modem, Tx};
use std::hint::black_box;

const BLOCKS: usize = 1000;

/// Bits without end, cheaply.
struct Endless(u32);

impl BitSource for Endless {
    fn next_bit(&mut self) -> Option<bool> {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        Some(self.0 >> 31 == 1)
    }

    fn next_bits(&mut self, count: u32) -> (u32, u32) {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> (32 - count), count)
    }
}

fn cpu_micros() -> f64 {
    let t = clock_gettime(ClockId::ThreadCPUTime);
    t.tv_sec as f64 * 1e6 + t.tv_nsec as f64 / 1e3
}

/// Microseconds of CPU a second of audio that `block` takes to make it, 20 ms at a time.
fn cost<T>(make: impl Fn() -> T, block: impl Fn(&mut T, &mut [i16])) -> f64 {
    let mut best = f64::MAX;
    for _ in 0..15 {
        let mut transmitter = make();
        let mut out = [0; 160];
        let start = cpu_micros();
        for _ in 0..BLOCKS {
            block(&mut transmitter, black_box(&mut out));
        }
        best = best.min((cpu_micros() - start) / (BLOCKS as f64 * 0.02));
    }
    best
}

fn row(name: &str, ours: f64, theirs: f64) {
    println!("{name:<16} {ours:8.1} {theirs:8.1} {:8.2}", ours / theirs);
}

fn main() {
    println!("µs CPU per second of audio\n{:<16} {:>8} {:>8} {:>8}", "", "ours", "spandsp", "ratio");
    for (mode, modem) in Mode::ALL.into_iter().zip([
        Modem::V27ter2400,
        Modem::V27ter4800,
        Modem::V29At4800,
        Modem::V29At7200,
        Modem::V29At9600,
        Modem::V17At7200,
        Modem::V17At9600,
        Modem::V17At12000,
        Modem::V17At14400,
    ]) {
        let ours = cost(
            || QamTransmitter::new(mode, Training::Long, false, Dbm0(-13.0)),
            |tx, out| {
                tx.transmit(&mut Endless(1), out);
            },
        );
        let theirs = cost(
            || Tx::new(modem, false, false),
            |tx, out| {
                tx.transmit(&mut Endless(1), out);
            },
        );
        row(&format!("{mode:?}"), ours, theirs);
    }
}
