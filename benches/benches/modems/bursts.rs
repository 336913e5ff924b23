//! Bursts of random data, the line that they go over, and what became of them.

use crate::ends::{Modem, Receiver, Told, Who, transmitter};
use fax_base::bits::BitSource;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::Law;
use fax_line::{BLOCK, Filter, Gaussian, Line, root_mean_square};

/// The level at which signals are received when nothing else is said.
pub const LEVEL: Dbm0 = Dbm0(-15.0);

/// A list of bits.
pub struct Bits<'a>(pub &'a [bool], pub usize);

impl BitSource for Bits<'_> {
    fn next_bit(&mut self) -> Option<bool> {
        let bit = *self.0.get(self.1)?;
        self.1 += 1;
        Some(bit)
    }
}

/// A signal and the data in it.
pub struct Burst {
    /// The bits; of V.21 flags come first.
    pub bits: Vec<bool>,
    /// How many of them are flags.
    pub flags: usize,
    pub samples: Vec<f32>,
    /// Samples that the data take.
    pub data: usize,
}

/// One burst with so many random bits.
pub fn burst(who: Who, modem: Modem, training: Training, count: usize, seed: u64) -> Burst {
    let mut random = Gaussian::new(seed);
    // Half a second of flags.
    let flags = if modem == Modem::V21 { 152 } else { 0 };
    let flag = |i: usize| !matches!(i % 8, 0 | 7);
    let bits: Vec<bool> = (0..flags).map(flag).chain((0..count).map(|_| random.uniform() < 0.5)).collect();
    let mut tx = transmitter(who, modem, training, LEVEL);
    let mut source = Bits(&bits, 0);
    let mut samples = Vec::new();
    let mut block = [0; BLOCK];
    loop {
        let made = tx.transmit(&mut source, &mut block);
        samples.extend(block[..made].iter().map(|&s| f32::from(s)));
        if made < BLOCK {
            break;
        }
    }
    // Silence at its beginning, as spandsp's V.27ter has it, is no part of the signal that noise comes with.
    let silent = samples.iter().take_while(|s| s.abs() < 50.0).count();
    samples.drain(..silent);
    Burst { data: count * 8000 / modem.bit_rate() as usize, bits, flags, samples }
}

/// What happens to a burst on the way.
#[derive(Clone)]
pub struct Condition {
    pub level: Dbm0,
    pub snr: f32,
    /// Noise is on the line before the signal and behind it too, not only with it.
    pub idle_noise: bool,
    pub filter: Option<Filter>,
    pub law: Option<Law>,
    pub offset: f32,
    pub ppm: f32,
}

impl Condition {
    pub fn flat(snr: f32) -> Self {
        Condition { level: LEVEL, snr, idle_noise: false, filter: None, law: None, offset: 0.0, ppm: 0.0 }
    }

    /// What is received: about 0.3 s of nothing, the burst with its symbol clock at a random phase, 0.1 s.
    pub fn apply(&self, burst: &Burst, seed: u64) -> Vec<i16> {
        let mut random = Gaussian::new(seed);
        let lead = 2400 + (random.uniform() * 160.0) as usize;
        let mut line = Line::new(seed).clock_and_phase(self.ppm, random.uniform());
        if self.offset != 0.0 {
            line = line.offset(self.offset);
        }
        if let Some(filter) = &self.filter {
            line = line.with(filter.clone());
        }
        let mut samples = burst.samples.clone();
        // The line's own delay comes out too.
        let delay =
            24 + if self.offset == 0.0 { 0 } else { 128 } + if self.filter.is_some() { 128 } else { 0 };
        samples.resize(samples.len() + delay + 200, 0.0);
        line.pass_f32(&mut samples);
        samples.drain(..delay);
        // The level is that of the data, without their ends.
        let end = burst.samples.len().saturating_sub(600);
        let begin = (burst.samples.len() - burst.data).min(end.saturating_sub(800));
        let data = &samples[begin..end];
        let power = data.iter().map(|s| f64::from(s * s)).sum::<f64>() / data.len() as f64;
        let gain = root_mean_square(self.level) / power.sqrt() as f32;
        samples.iter_mut().for_each(|s| *s *= gain);
        let noise = Dbm0(self.level.0 - self.snr);
        let mut noise = Line::new(random.uniform().to_bits().into()).noise(noise);
        let mut all = vec![0.0; lead];
        if self.idle_noise {
            all.extend(samples);
            all.resize(all.len() + 800, 0.0);
            noise.pass_f32(&mut all);
        } else {
            noise.pass_f32(&mut samples);
            all.extend(samples);
            all.resize(all.len() + 800, 0.0);
        }
        let mut end = Line::new(0);
        if let Some(law) = self.law {
            end = end.law(law);
        }
        end.pass_f32(&mut all);
        all.into_iter().map(|s| s.round() as i16).collect()
    }
}

/// What a receiver made of a burst.
#[derive(Clone, Copy, Default, Debug)]
pub struct Score {
    /// It trained, and the data came (at least 98 % of them, at most one in ten wrong).
    pub received: bool,
    /// Data bits, and those that were wrong or did not come. Nothing when not received.
    pub bits: usize,
    pub wrong: usize,
}

/// Gives a burst to a receiver in blocks of 20 ms.
pub fn score(receiver: &mut dyn Receiver, samples: &[i16], burst: &Burst) -> Score {
    for block in samples.chunks(BLOCK) {
        receiver.receive(block);
    }
    compare(&receiver.take(), burst)
}

/// The data that were told, from the last training on; `None` is a bit known to be missing.
pub fn data(told: &[Told]) -> Vec<Option<bool>> {
    let begin = told.iter().rposition(|t| *t == Told::Trained).unwrap_or(0);
    told[begin..]
        .iter()
        .filter_map(|t| match t {
            Told::Bit(bit) => Some(Some(*bit)),
            Told::Erased => Some(None),
            Told::Up | Told::Trained | Told::Failed | Told::Down => None,
        })
        .collect()
}

/// Where `part` of what was sent, which begins at `at` there, lies in what came: the place that fits best, and how
/// much is wrong there.
pub fn find(part: &[bool], at: usize, came: &[Option<bool>], reach: usize) -> Option<(usize, usize)> {
    let wrong = |begin: usize| -> Option<usize> {
        let there = came.get(begin..begin + part.len())?;
        Some(there.iter().zip(part).filter(|(c, p)| **c != Some(**p)).count())
    };
    // Straight ahead is nearly always right.
    let mut best: Option<(usize, usize)> = None;
    for distance in 0..=reach {
        for begin in [at.checked_add(distance), at.checked_sub(distance)].into_iter().flatten() {
            if let Some(wrong) = wrong(begin) {
                if best.is_none_or(|(_, least)| wrong < least) {
                    best = Some((begin, wrong));
                }
                if wrong * 8 < part.len() {
                    return best;
                }
            }
        }
    }
    best
}

pub fn compare(told: &[Told], burst: &Burst) -> Score {
    let came = data(told);
    let count = burst.bits.len() - burst.flags;
    let middle = burst.flags + count / 4;
    let part = &burst.bits[middle..(middle + 600).min(burst.bits.len())];
    let Some((there, wrong)) = find(part, middle, &came, 500) else {
        return Score::default();
    };
    if wrong * 4 > part.len() {
        return Score::default();
    }
    let shift = there as isize - middle as isize;
    let (mut missing, mut wrong) = (0, 0);
    for (i, bit) in burst.bits.iter().enumerate().skip(burst.flags) {
        match usize::try_from(i as isize + shift).ok().and_then(|i| came.get(i)) {
            Some(Some(c)) => wrong += usize::from(c != bit),
            Some(None) | None => missing += 1,
        }
    }
    let received = missing * 50 <= count && wrong * 10 <= count;
    if received { Score { received, bits: count, wrong: wrong + missing } } else { Score::default() }
}

/// Many scores.
#[derive(Clone, Copy, Default, Debug)]
pub struct Tally {
    pub bursts: usize,
    pub received: usize,
    pub bits: usize,
    pub wrong: usize,
}

impl Tally {
    pub fn add(&mut self, score: Score) {
        self.bursts += 1;
        self.received += usize::from(score.received);
        self.bits += score.bits;
        self.wrong += score.wrong;
    }

    pub fn join(&mut self, other: Tally) {
        self.bursts += other.bursts;
        self.received += other.received;
        self.bits += other.bits;
        self.wrong += other.wrong;
    }

    /// BER of what was received.
    pub fn ber(&self) -> f64 {
        self.wrong as f64 / self.bits.max(1) as f64
    }

    /// The part that was received.
    pub fn trained(&self) -> f64 {
        self.received as f64 / self.bursts.max(1) as f64
    }
}
