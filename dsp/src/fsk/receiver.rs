//! V.21's receiver.
//!
//! A bit is judged together with the one before it and the one after it: of the eight signals of continuous
//! phase that three bits can be, the one that agrees best with what came. The share of the power that it
//! explains tells V.21 from everything else, so the carrier is known by structure and not by level alone.
//! The bit clock comes from the moments at which the frequency changes, its memory growing as it becomes
//! sure.

use super::front::{DECIMATION, Front, LONGEST, OUT, turned};
use super::{BIT_RATE, CHANNEL_1, CHANNEL_2, Complex, Tones};
use crate::modem::Event;
use fax_base::level::Dbm0;
use fax_base::time::SAMPLE_RATE;

mod detector;
mod window;

use detector::Detector;
use window::{Correlation, Window};

/// Samples of the front in a bit: 3⅓.
const BIT: f32 = SAMPLE_RATE as f32 / (DECIMATION as u32 * BIT_RATE) as f32;
/// Samples of the front that a bit can touch.
const TOUCHED: usize = 5;
/// The front's samples that are kept.
const KEPT: usize = 8;
/// By so many of its samples the front's output is behind the samples in it.
const BEHIND: u32 = 2;
/// Keeps what fades away in silence from numbers so small that they are slow to count with.
const NOT_NOTHING: f32 = 1e-12;
/// A loss of more samples ends the signal: 200 ms.
const LONGEST_GAP: usize = 1600;

/// A receiver of V.21's signals.
#[derive(Clone, Debug)]
pub struct FskReceiver {
    front: Front,
    /// The front's last samples, and where the newest is.
    kept: [Complex; KEPT],
    newest: usize,
    /// Whether the block of samples that is being filled has lost ones.
    block_lost: bool,
    /// Whether the last blocks had lost samples, the newest lowest.
    lost: u32,
    /// Samples lost in a row.
    gap: usize,
    clock: Clock,
    window: Window,
    detector: Detector,
    out: Out,
}

impl FskReceiver {
    /// Of channel 2, 1650 Hz and 1850 Hz, which T.30 uses in both directions.
    #[must_use]
    pub fn v21_channel_2() -> Self {
        Self::new(CHANNEL_2)
    }

    /// Of channel 1, 980 Hz and 1180 Hz.
    #[must_use]
    pub fn v21_channel_1() -> Self {
        Self::new(CHANNEL_1)
    }

    fn new(tones: Tones) -> Self {
        FskReceiver {
            front: Front::new((tones.mark + tones.space) / 2),
            kept: [[0.0; 2]; KEPT],
            newest: 0,
            block_lost: false,
            lost: 0,
            gap: 0,
            clock: Clock::new(),
            window: Window::new(),
            detector: Detector::new(),
            out: Out::default(),
        }
    }

    /// Takes the next samples; what they tell is appended to `events`.
    pub fn receive(&mut self, samples: &[i16], events: &mut Vec<Event>) {
        self.gap = 0;
        for chunk in samples.chunks(LONGEST) {
            self.advance(chunk, false, events);
        }
        self.out.flush(events);
    }

    /// So many samples were lost. The bit clock runs on: the bits that were lost with them, wholly or in
    /// part, are told as erased, in their place. The carrier stays for 200 ms.
    pub fn receive_gap(&mut self, samples: usize, events: &mut Vec<Event>) {
        let mut left = samples;
        while left > 0 {
            let count = left.min(LONGEST);
            self.advance([0; LONGEST].get(..count).unwrap_or_default(), true, events);
            left -= count;
            self.gap += count;
            if self.gap > LONGEST_GAP {
                self.carrier_down(events);
            }
        }
        self.out.flush(events);
    }

    /// Whether V.21 is being received.
    #[must_use]
    pub fn carrier(&self) -> bool {
        self.detector.up()
    }

    /// The level in V.21's band, over the last few bits.
    #[must_use]
    pub fn level(&self) -> Dbm0 {
        self.detector.level()
    }

    fn advance(&mut self, samples: &[i16], lost: bool, events: &mut Vec<Event>) {
        let mut made = [[0.0; 2]; OUT];
        let count = self.front.receive(samples, &mut made);
        for z in made.into_iter().take(count) {
            let lost = core::mem::take(&mut self.block_lost) || lost;
            self.lost = (self.lost << 1) | u32::from(lost);
            self.push(z, events);
        }
        self.block_lost |= lost && self.front.in_block();
    }

    /// Takes a sample of the front.
    #[inline]
    fn push(&mut self, z: Complex, events: &mut Vec<Event>) {
        self.newest = (self.newest + 1) % KEPT;
        if let Some(kept) = self.kept.get_mut(self.newest) {
            *kept = z;
        }
        // The changes of frequency are measured over three samples.
        let sure = (self.lost >> BEHIND) & 0b111 == 0;
        self.clock.listen(z, self.ago(1), sure);
        if self.clock.to_end <= 0.5 {
            let bit = self.correlate();
            self.clock.next_bit(self.detector.up(), bit.lost);
            self.end_bit(bit, events);
        }
    }

    /// The front's sample so many before the last one.
    #[inline]
    fn ago(&self, samples: usize) -> Complex {
        self.kept.get((self.newest + KEPT - samples) % KEPT).copied().unwrap_or_default()
    }

    /// The bit that ends now, with both tones.
    fn correlate(&self) -> Correlation {
        // A turn of 36° from sample to sample at either tone.
        const TURN: [Complex; TOUCHED] = [
            [1.0, 0.0],
            [0.809_017, 0.587_785_24],
            [0.309_017, 0.951_056_5],
            [-0.309_017, 0.951_056_5],
            [-0.809_017, 0.587_785_24],
        ];
        let end = self.clock.to_end;
        // All samples lie wholly in the bit but the newest and the oldest two.
        let newest = end + 0.5;
        let older = BIT - newest - 2.0;
        let weights = [newest, 1.0, 1.0, older.min(1.0), (older - 1.0).max(0.0)];
        let (mut a, mut b, mut energy) = ([0f32; 2], [0f32; 2], 0f32);
        let mut touched = 0;
        for (i, (weight, [cos, sin])) in weights.into_iter().zip(TURN).enumerate() {
            let [x, y] = self.ago(i);
            let (wx, wy) = (weight * x, weight * y);
            a = [a[0] + wx * cos, a[1] + wy * cos];
            b = [b[0] + wx * sin, b[1] + wy * sin];
            energy += wx * x + wy * y;
            touched |= u32::from(weight > 0.0) << i;
        }
        if (self.lost >> BEHIND) & touched != 0 {
            return Correlation { lost: true, ..Correlation::default() };
        }
        // Back from the newest sample to the beginning of the bit.
        let x = end * core::f32::consts::PI / 5.0;
        let (cos, sin) = (1.0 - x * x / 2.0 + x * x * x * x / 24.0, x - x * x * x / 6.0);
        let [p, q] = turned([cos, sin], window::BACK);
        Correlation {
            tones: [turned([a[0] - b[1], a[1] + b[0]], [p, q]), turned([a[0] + b[1], a[1] - b[0]], [p, -q])],
            energy,
            lost: false,
        }
    }

    fn end_bit(&mut self, bit: Correlation, events: &mut Vec<Event>) {
        let (energy, lost) = (bit.energy, bit.lost);
        let verdict = self.window.judge(bit, self.detector.up());
        if self.detector.up() {
            if verdict.lost {
                self.out.erase(events);
            } else {
                self.out.put(verdict.bit, events);
            }
        }
        if !lost && !verdict.lost {
            let before = self.detector.up();
            self.detector.learn(&verdict, energy);
            match (before, self.detector.up()) {
                (false, true) => events.push(Event::CarrierUp),
                (true, false) => {
                    self.out.flush(events);
                    events.push(Event::CarrierDown);
                    self.clock.forget();
                    self.window.forget();
                }
                (true, true) | (false, false) => {}
            }
        }
    }

    fn carrier_down(&mut self, events: &mut Vec<Event>) {
        if self.detector.up() {
            self.out.flush(events);
            events.push(Event::CarrierDown);
        }
        self.detector = Detector::new();
        self.clock.forget();
        self.window.forget();
    }
}

/// The bit clock.
#[derive(Clone, Debug)]
struct Clock {
    /// The last turn of the frequency.
    turn: f32,
    /// Where in [`REFERENCE`] the next sample is.
    next: usize,
    /// The line that the changes of frequency make at 300 Hz.
    line: Complex,
    /// How many samples of the front it is made of.
    memory: f32,
    /// Where in a turn of the reference the bits begin.
    begin: Complex,
    /// Samples of the front from the last one to the end of the present bit.
    to_end: f32,
}

/// 300 Hz: three turns in ten samples of the front.
const REFERENCE: [Complex; 10] = [
    [1.0, 0.0],
    [-0.309_017, 0.951_056_5],
    [-0.809_017, -0.587_785_24],
    [0.809_017, -0.587_785_24],
    [0.309_017, 0.951_056_5],
    [-1.0, 0.0],
    [0.309_017, -0.951_056_5],
    [0.809_017, 0.587_785_24],
    [-0.809_017, 0.587_785_24],
    [-0.309_017, -0.951_056_5],
];

impl Clock {
    /// The memory while there is no carrier, and at most.
    const SHORT: f32 = 16.0 * BIT;
    const LONG: f32 = 150.0 * BIT;

    fn new() -> Self {
        Clock {
            turn: 0.0,
            next: 0,
            line: [0.0; 2],
            memory: Self::SHORT,
            // The line is one sample late, and before the first sample the first bit is one old.
            begin: [1.0, 0.0],
            to_end: BIT,
        }
    }

    /// The signal is over; the next one may have other times.
    fn forget(&mut self) {
        self.memory = Self::SHORT;
    }

    /// Takes a sample and the one before it; a change counts only where no sample was lost.
    #[inline]
    fn listen(&mut self, [x, y]: Complex, [x1, y1]: Complex, sure: bool) {
        let turn = (y * x1 - x * y1) / (x * x + y * y + x1 * x1 + y1 * y1 + 1.0);
        let change = turn - self.turn;
        self.turn = turn;
        let [cos, sin] = REFERENCE.get(self.next).copied().unwrap_or_default();
        self.next = (self.next + 1) % REFERENCE.len();
        if sure {
            let weight = change * change + NOT_NOTHING;
            let keep = 1.0 - 1.0 / self.memory;
            self.line = [self.line[0] * keep + weight * cos, self.line[1] * keep + weight * sin];
        }
        self.to_end -= 1.0;
    }

    /// Sets the end of the bit that begins.
    fn next_bit(&mut self, up: bool, lost: bool) {
        self.to_end += BIT;
        if lost {
            return;
        }
        let [x, y] = turned(self.line, [self.begin[0], -self.begin[1]]);
        let length = (x * x + y * y).sqrt().max(1e-9);
        // In turns; a quarter when it is more.
        let late = if x > 0.0 { y / length / core::f32::consts::TAU } else { 0.25f32.copysign(y) };
        let step = if up { late / 4.0 } else { late };
        if up {
            self.memory = (self.memory + BIT).min(Self::LONG);
        }
        self.to_end += step * BIT;
        let (sin, cos) = (step * core::f32::consts::TAU).sin_cos();
        self.begin = turned(self.begin, [cos, sin]);
    }
}

/// What goes out: bits or erased ones, never both.
#[derive(Clone, Debug, Default)]
struct Out {
    bits: u32,
    count: u8,
    erased: u32,
}

impl Out {
    fn put(&mut self, bit: bool, events: &mut Vec<Event>) {
        if self.erased > 0 || self.count == 32 {
            self.flush(events);
        }
        self.bits = (self.bits << 1) | u32::from(bit);
        self.count += 1;
    }

    fn erase(&mut self, events: &mut Vec<Event>) {
        if self.count > 0 {
            self.flush(events);
        }
        self.erased += 1;
    }

    fn flush(&mut self, events: &mut Vec<Event>) {
        if self.count > 0 {
            events.push(Event::Bits { bits: self.bits, count: self.count });
        }
        if self.erased > 0 {
            events.push(Event::Erased { bits: self.erased });
        }
        *self = Out::default();
    }
}
