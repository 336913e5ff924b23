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
///
/// From one symbol to the next the window moves by two halves; so Xᴴ·X is the same two rows and two columns on, but
/// for what the first window and the last add. Two columns are summed up, the rest follows.
pub(super) struct Equations {
    taps: usize,
    /// The first two columns of Xᴴ·X, and Xᴴ·d.
    columns: [Vec<(f64, f64)>; 2],
    right: Vec<(f64, f64)>,
    /// The first and the last window of every run of symbols without a loss, and the number of its last symbol.
    runs: Vec<(Window, Window, usize)>,
    wanted: f64,
    rows: u32,
}

/// A window of halves.
type Window = [(f32, f32); MOST_TAPS];

/// conj(a)·b.
#[inline]
fn product((ar, ai): (f32, f32), (br, bi): (f32, f32)) -> (f64, f64) {
    let (ar, ai, br, bi) = (f64::from(ar), f64::from(ai), f64::from(br), f64::from(bi));
    (ar * br + ai * bi, ar * bi - ai * br)
}

impl Equations {
    pub(super) fn new(taps: usize) -> Self {
        let zeros = || vec![(0.0, 0.0); taps];
        let (columns, right) = ([zeros(), zeros()], zeros());
        Equations { taps, columns, right, runs: Vec::new(), wanted: 0.0, rows: 0 }
    }

    /// How many symbols went in.
    pub(super) fn rows(&self) -> u32 {
        self.rows
    }

    /// The window `(re, im)` of symbol `number` should give `wanted`. The numbers rise; where they jump there was a
    /// loss.
    pub(super) fn add(&mut self, number: usize, re: &[f32], im: &[f32], wanted: (f32, f32)) {
        let mut window = [(0.0, 0.0); MOST_TAPS];
        for (into, (&re, &im)) in window.iter_mut().zip(re.iter().zip(im)) {
            *into = (re, im);
        }
        let [first, second] = &mut self.columns;
        for (&x, ((first, second), right)) in
            window.iter().zip(first.iter_mut().zip(second).zip(&mut self.right))
        {
            for (sum, by) in [(first, window[0]), (second, window[1]), (right, wanted)] {
                let (re, im) = product(x, by);
                *sum = (sum.0 + re, sum.1 + im);
            }
        }
        match self.runs.last_mut() {
            Some((_, last, at)) if *at + 1 == number => (*last, *at) = (window, number),
            Some(_) | None => self.runs.push((window, window, number)),
        }
        self.wanted += product(wanted, wanted).0;
        self.rows += 1;
    }

    /// The lower triangle of Xᴴ·X by rows.
    fn matrix(&self) -> Vec<(f64, f64)> {
        let taps = self.taps;
        let mut matrix = vec![(0.0, 0.0); taps * taps];
        for i in 0..taps {
            for j in 0..=i {
                let value = match self.columns.get(j) {
                    Some(column) => column.get(i).copied().unwrap_or_default(),
                    None => {
                        let mut sum = matrix.get((i - 2) * taps + j - 2).copied().unwrap_or_default();
                        for (first, last, _) in &self.runs {
                            let (gone, come) =
                                (product(first[i - 2], first[j - 2]), product(last[i], last[j]));
                            sum = (sum.0 + come.0 - gone.0, sum.1 + come.1 - gone.1);
                        }
                        sum
                    }
                };
                if let Some(into) = matrix.get_mut(i * taps + j) {
                    *into = value;
                }
            }
        }
        matrix
    }

    /// The best taps and the mean square error they leave, relative to the symbols' power. `noise` is
    /// the noise that is expected, relative to the power of the halves.
    pub(super) fn solve(self, noise: f64) -> Option<(Equaliser, f64)> {
        let taps = self.taps;
        let mut matrix = self.matrix();
        let at = |i: usize, j: usize| i * taps + j;
        let power: f64 = (0..taps).filter_map(|i| matrix.get(at(i, i))).map(|d| d.0).sum();
        let ridge = noise * power / taps as f64 + 1e-9;
        let right = self.right.clone();
        // Cholesky: the lower triangle becomes L.
        for i in 0..taps {
            for j in 0..=i {
                let mut sum = *matrix.get(at(i, j))?;
                if i == j {
                    sum.0 += ridge;
                }
                for k in 0..j {
                    let (ar, ai) = *matrix.get(at(i, k))?;
                    let (br, bi) = *matrix.get(at(j, k))?;
                    sum.0 -= ar * br + ai * bi;
                    sum.1 -= ai * br - ar * bi;
                }
                let value = if i == j {
                    if sum.0 <= 0.0 {
                        return None;
                    }
                    (sum.0.sqrt(), 0.0)
                } else {
                    let d = matrix.get(at(j, j))?.0;
                    (sum.0 / d, sum.1 / d)
                };
                *matrix.get_mut(at(i, j))? = value;
            }
        }
        let mut x = self.right;
        for i in 0..taps {
            let mut sum = *x.get(i)?;
            for k in 0..i {
                let (ar, ai) = *matrix.get(at(i, k))?;
                let (br, bi) = *x.get(k)?;
                sum.0 -= ar * br - ai * bi;
                sum.1 -= ar * bi + ai * br;
            }
            let d = matrix.get(at(i, i))?.0;
            *x.get_mut(i)? = (sum.0 / d, sum.1 / d);
        }
        for i in (0..taps).rev() {
            let mut sum = *x.get(i)?;
            for k in i + 1..taps {
                // conj(L[k][i])
                let (ar, ai) = *matrix.get(at(k, i))?;
                let (br, bi) = *x.get(k)?;
                sum.0 -= ar * br + ai * bi;
                sum.1 -= ar * bi - ai * br;
            }
            let d = matrix.get(at(i, i))?.0;
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
