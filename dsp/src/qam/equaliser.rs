//! The equaliser: two taps a symbol, solved for at once from known symbols, then kept up to date.

use super::simd::{add_conjugate, complex_dot};

/// Taps at most.
pub(super) const MOST_TAPS: usize = 48;

/// A filter over halves of symbols.
#[derive(Clone)]
pub(super) struct Equaliser {
    re: [f32; MOST_TAPS],
    im: [f32; MOST_TAPS],
    taps: usize,
}

impl Equaliser {
    /// One of `taps` taps (a multiple of eight) that lets nothing through yet.
    pub(super) fn new(taps: usize) -> Self {
        Equaliser { re: [0.0; MOST_TAPS], im: [0.0; MOST_TAPS], taps: taps.min(MOST_TAPS) }
    }

    /// The output over a window of halves of its length.
    #[inline]
    pub(super) fn output(&self, re: &[f32], im: &[f32]) -> (f32, f32) {
        let taps = self.taps;
        complex_dot(&self.re[..taps], &self.im[..taps], re, im)
    }

    /// Moves the taps by `step` towards what would have made the error (er, ei) smaller.
    #[inline]
    pub(super) fn adapt(&mut self, re: &[f32], im: &[f32], er: f32, ei: f32) {
        let taps = self.taps;
        add_conjugate(&mut self.re[..taps], &mut self.im[..taps], re, im, er, ei);
    }

    /// Multiplies the taps by a complex gain.
    pub(super) fn scale(&mut self, gr: f32, gi: f32) {
        for (re, im) in self.re.iter_mut().zip(&mut self.im) {
            (*re, *im) = (*re * gr - *im * gi, *re * gi + *im * gr);
        }
    }
}

/// The normal equations of least squares: how well a filter of `taps` taps makes the known symbols.
pub(super) struct Equations {
    taps: usize,
    /// Lower triangle of Xᴴ·X by rows, and Xᴴ·d.
    matrix: Vec<(f64, f64)>,
    right: Vec<(f64, f64)>,
    wanted: f64,
    rows: u32,
}

impl Equations {
    pub(super) fn new(taps: usize) -> Self {
        Equations {
            taps,
            matrix: vec![(0.0, 0.0); taps * taps],
            right: vec![(0.0, 0.0); taps],
            wanted: 0.0,
            rows: 0,
        }
    }

    /// How many symbols went in.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// The window `(re, im)` should give `(dr, di)`.
    pub(super) fn add(&mut self, re: &[f32], im: &[f32], dr: f32, di: f32) {
        let window = || re.iter().zip(im).map(|(&re, &im)| (f64::from(re), f64::from(im)));
        let (dr, di) = (f64::from(dr), f64::from(di));
        let rows = self.matrix.chunks_exact_mut(self.taps).zip(&mut self.right);
        for (i, ((ar, ai), (row, right))) in window().zip(rows).enumerate() {
            // conj(a)·b
            for ((br, bi), sum) in window().zip(row).take(i + 1) {
                sum.0 += ar * br + ai * bi;
                sum.1 += ar * bi - ai * br;
            }
            right.0 += ar * dr + ai * di;
            right.1 += ar * di - ai * dr;
        }
        self.wanted += dr * dr + di * di;
        self.rows += 1;
    }

    /// The best taps and the mean square error they leave, relative to the symbols' power. `noise` is
    /// the noise that is expected, relative to the power of the halves.
    pub(super) fn solve(mut self, noise: f64) -> Option<(Equaliser, f64)> {
        let taps = self.taps;
        let at = |i: usize, j: usize| i * taps + j;
        let power: f64 = (0..taps).filter_map(|i| self.matrix.get(at(i, i))).map(|d| d.0).sum();
        let ridge = noise * power / taps as f64 + 1e-9;
        let right = self.right.clone();
        // Cholesky: the lower triangle becomes L.
        for i in 0..taps {
            for j in 0..=i {
                let mut sum = *self.matrix.get(at(i, j))?;
                if i == j {
                    sum.0 += ridge;
                }
                for k in 0..j {
                    let (ar, ai) = *self.matrix.get(at(i, k))?;
                    let (br, bi) = *self.matrix.get(at(j, k))?;
                    sum.0 -= ar * br + ai * bi;
                    sum.1 -= ai * br - ar * bi;
                }
                let value = if i == j {
                    if sum.0 <= 0.0 {
                        return None;
                    }
                    (sum.0.sqrt(), 0.0)
                } else {
                    let d = self.matrix.get(at(j, j))?.0;
                    (sum.0 / d, sum.1 / d)
                };
                *self.matrix.get_mut(at(i, j))? = value;
            }
        }
        let mut x = self.right;
        for i in 0..taps {
            let mut sum = *x.get(i)?;
            for k in 0..i {
                let (ar, ai) = *self.matrix.get(at(i, k))?;
                let (br, bi) = *x.get(k)?;
                sum.0 -= ar * br - ai * bi;
                sum.1 -= ar * bi + ai * br;
            }
            let d = self.matrix.get(at(i, i))?.0;
            *x.get_mut(i)? = (sum.0 / d, sum.1 / d);
        }
        for i in (0..taps).rev() {
            let mut sum = *x.get(i)?;
            for k in i + 1..taps {
                // conj(L[k][i])
                let (ar, ai) = *self.matrix.get(at(k, i))?;
                let (br, bi) = *x.get(k)?;
                sum.0 -= ar * br + ai * bi;
                sum.1 -= ar * bi - ai * br;
            }
            let d = self.matrix.get(at(i, i))?.0;
            *x.get_mut(i)? = (sum.0 / d, sum.1 / d);
        }
        // |d|² − Re(wᴴ·Xᴴd), the ridge's part of it left out: close enough to judge by.
        let explained: f64 = x.iter().zip(&right).map(|(w, r)| w.0 * r.0 + w.1 * r.1).sum();
        let error = ((self.wanted - explained) / self.wanted.max(1e-30)).max(1e-6);
        let mut equaliser = Equaliser::new(taps);
        for ((re, im), (wr, wi)) in equaliser.re.iter_mut().zip(&mut equaliser.im).zip(x) {
            (*re, *im) = (wr as f32, wi as f32);
        }
        Some((equaliser, error))
    }
}
