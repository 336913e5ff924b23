//! Time a second of audio, and whether anything is allocated.

use crate::bursts::{Bits, Condition, burst};
use crate::ends::{Modem, Who, receiver, transmitter};
use crate::{ALLOCATOR, bursts::LEVEL};
use fax_base::line::Training;
use fax_dsp::Law;
use fax_line::{BLOCK, Gaussian};
use stats_alloc::Region;
use std::time::Instant;

/// Seconds of data in each burst, and how often it is gone through.
const SECONDS: usize = 10;
const TIMES: usize = 15;

/// What one of them costs.
struct Cost {
    /// µs a second of audio.
    us: f64,
    /// The dearest block of 20 ms, µs.
    block: f64,
    /// Allocations in steady state.
    allocations: usize,
}

/// Tells how many samples were done so far.
type Watch<'a> = &'a mut dyn FnMut(usize);

/// Every block's least time of all runs: so neither waiting nor what else the machine does is counted. Both in turn.
/// `run` works block by block and tells its watch after each how many samples were done.
fn best(run: impl Fn(Who, Watch<'_>)) -> [Cost; 2] {
    let mut least: [Vec<f64>; 2] = [Vec::new(), Vec::new()];
    for _ in 0..TIMES {
        for (who, least) in Who::BOTH.into_iter().zip(&mut least) {
            let mut block = 0;
            let mut last = Instant::now();
            run(who, &mut |_| {
                let took = last.elapsed().as_secs_f64() * 1e6;
                match least.get_mut(block) {
                    Some(least) => *least = took.min(*least),
                    None => least.push(took),
                }
                block += 1;
                last = Instant::now();
            });
        }
    }
    let mut costs = least.map(|blocks| Cost {
        us: blocks.iter().sum::<f64>() * 50.0 / blocks.len() as f64,
        block: blocks.iter().copied().fold(0.0, f64::max),
        allocations: 0,
    });
    for (who, cost) in Who::BOTH.into_iter().zip(&mut costs) {
        // Behind the training and the first second of data.
        let mut region = None;
        run(who, &mut |samples| {
            if samples > 3 * 8000 {
                cost.allocations = region.get_or_insert_with(|| Region::new(ALLOCATOR)).change().allocations;
            }
        });
    }
    costs
}

fn sending(modem: Modem) -> [Cost; 2] {
    let mut random = Gaussian::new(1);
    let count = modem.bit_rate() as usize * SECONDS;
    let bits: Vec<bool> = (0..count).map(|_| random.uniform() < 0.5).collect();
    best(|who, watch| {
        let mut tx = transmitter(who, modem, Training::Long, LEVEL);
        let mut source = Bits(&bits, 0);
        let mut block = [0; BLOCK];
        let mut samples = 0;
        loop {
            let made = tx.transmit(&mut source, &mut block);
            samples += made;
            watch(samples);
            if made < BLOCK {
                return;
            }
        }
    })
}

fn receiving(modem: Modem) -> [Cost; 2] {
    let burst = burst(Who::Spandsp, modem, Training::Long, modem.bit_rate() as usize * SECONDS, 1);
    let samples = Condition { law: Some(Law::Mu), ..Condition::flat(35.0) }.apply(&burst, 2);
    best(|who, watch| {
        let mut rx = receiver(who, modem);
        for (i, block) in samples.chunks(BLOCK).enumerate() {
            rx.receive(block);
            watch(i * BLOCK);
        }
    })
}

pub fn print(modems: &[(Modem, f32, f32)]) {
    println!("\nCost: µs of CPU a second of audio, best of {TIMES}; bar: at most half of spandsp's");
    println!(
        "(blocks of 20 ms, {SECONDS} s of data behind a long training, thread time; allocations in steady state)"
    );
    println!(
        "{:<14} {:>9} {:>9} {:>6} {:>6}  {:>9} {:>9} {:>6} {:>6} {:>14}",
        "", "TX ours", "spandsp", "ratio", "alloc", "RX ours", "spandsp", "ratio", "alloc", "dearest block"
    );
    for &(modem, ..) in modems {
        let ([tx, tx_spandsp], [rx, rx_spandsp]) = (sending(modem), receiving(modem));
        println!(
            "{modem:<14} {:>9.1} {:>9.1} {:>6.2} {:>6}  {:>9.1} {:>9.1} {:>6.2} {:>6} {:>7.0} {:>6.0}",
            tx.us,
            tx_spandsp.us,
            tx.us / tx_spandsp.us,
            tx.allocations,
            rx.us,
            rx_spandsp.us,
            rx.us / rx_spandsp.us,
            rx.allocations,
            rx.block,
            rx_spandsp.block
        );
    }
}
