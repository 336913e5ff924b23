//! Sums of products in a form that the compiler turns into vector instructions.

/// Independent sums: what one 128 bit register holds, twice.
const LANES: usize = 8;

/// Σ aᵢ·bᵢ; the lengths are alike and multiples of eight.
#[inline]
pub(super) fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut sums = [0.0f32; LANES];
    for (a, b) in a.chunks_exact(LANES).zip(b.chunks_exact(LANES)) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    total(sums)
}

/// Σ (aᵢ + i·bᵢ)·(cᵢ + i·dᵢ); the lengths are alike and multiples of eight.
#[inline]
pub(super) fn complex_dot(a: &[f32], b: &[f32], c: &[f32], d: &[f32]) -> (f32, f32) {
    let (mut re, mut im) = ([0.0f32; LANES], [0.0f32; LANES]);
    let first = a.chunks_exact(LANES).zip(b.chunks_exact(LANES));
    for ((a, b), (c, d)) in first.zip(c.chunks_exact(LANES).zip(d.chunks_exact(LANES))) {
        for (((re, im), (a, b)), (c, d)) in
            re.iter_mut().zip(&mut im).zip(a.iter().zip(b)).zip(c.iter().zip(d))
        {
            *re += a * c - b * d;
            *im += a * d + b * c;
        }
    }
    (total(re), total(im))
}

/// (aᵢ + i·bᵢ) += (er + i·ei)·conj(cᵢ + i·dᵢ).
#[inline]
pub(super) fn add_conjugate(a: &mut [f32], b: &mut [f32], c: &[f32], d: &[f32], er: f32, ei: f32) {
    for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.iter().zip(d)) {
        *a += er * c + ei * d;
        *b += ei * c - er * d;
    }
}

#[inline]
fn total(s: [f32; LANES]) -> f32 {
    let [a, b, c, d, e, f, g, h] = s;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
