//! Tables over frequency, and a bit of measuring for the tests.

/// Curves over frequency: one row a frequency, rising, one column a curve.
pub(crate) struct Table {
    rows: Vec<Vec<f32>>,
}

impl Table {
    /// Comma-separated values; lines that do not begin with a number are comments and headings.
    pub(crate) fn parse(text: &str) -> Self {
        let row = |line: &str| line.split(',').map(str::parse).collect::<Result<Vec<f32>, _>>().ok();
        Table { rows: text.lines().filter_map(row).collect() }
    }

    /// Column `column` (from 1) at a frequency: straight lines between the rows, the end values beyond them.
    pub(crate) fn at(&self, column: usize, hz: f32) -> f32 {
        let value =
            |row: &[f32]| (row.first().copied().unwrap_or(0.0), row.get(column).copied().unwrap_or(0.0));
        let above = self.rows.partition_point(|row| value(row).0 < hz);
        let low = self.rows.get(above.saturating_sub(1)).map(|r| value(r));
        let high = self.rows.get(above).map(|r| value(r));
        match (low, high) {
            (Some((from, a)), Some((to, b))) if to > from => a + (b - a) * (hz - from) / (to - from),
            (Some((_, a)), _) => a,
            (None, _) => 0.0,
        }
    }
}

#[cfg(test)]
pub(crate) use measuring::{sine, tone, tone_level};

#[cfg(test)]
mod measuring {
    use crate::RATE;
    use core::f64::consts::TAU;
    use fax_base::level::Dbm0;

    /// A sine.
    pub(crate) fn sine(level: Dbm0, hz: f32, samples: usize) -> Vec<i16> {
        let amplitude = f64::from(level.sine_amplitude());
        let step = TAU * f64::from(hz) / f64::from(RATE);
        (0..samples).map(|i| (amplitude * (step * i as f64).sin()).round() as i16).collect()
    }

    /// The part of `samples` at a frequency: amplitude and phase in turns, relative to a sine from the first
    /// sample on. Whole periods give it exactly.
    pub(crate) fn tone(samples: &[f32], hz: f32) -> (f64, f64) {
        let step = TAU * f64::from(hz) / f64::from(RATE);
        let (mut re, mut im) = (0.0, 0.0);
        for (i, &s) in samples.iter().enumerate() {
            re += f64::from(s) * (step * i as f64).sin();
            im += f64::from(s) * (step * i as f64).cos();
        }
        let scale = 2.0 / samples.len() as f64;
        ((re * re + im * im).sqrt() * scale, im.atan2(re) / TAU)
    }

    /// The level of that part, dBm0.
    pub(crate) fn tone_level(samples: &[i16], hz: f32) -> f32 {
        let samples: Vec<f32> = samples.iter().map(|&s| f32::from(s)).collect();
        let amplitude = tone(&samples, hz).0 as f32;
        Dbm0::from_mean_square(amplitude * amplitude / 2.0).0
    }
}
