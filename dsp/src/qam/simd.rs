//! Sums of products, four at a time.

use wide::f32x4;

/// Σ aᵢ·bᵢ and Σ aᵢ·cᵢ; the lengths are alike and multiples of eight.
#[inline(always)]
pub(super) fn two_dots(a: &[f32], b: &[f32], c: &[f32]) -> (f32, f32) {
    let (mut s0, mut s1, mut t0, mut t1) = (f32x4::ZERO, f32x4::ZERO, f32x4::ZERO, f32x4::ZERO);
    let (a, b, c) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0, c.as_chunks::<8>().0);
    for ((a, b), c) in a.iter().zip(b).zip(c) {
        let ((a0, a1), (b0, b1), (c0, c1)) = (halves(a), halves(b), halves(c));
        s0 += a0 * b0;
        s1 += a1 * b1;
        t0 += a0 * c0;
        t1 += a1 * c1;
    }
    ((s0 + s1).reduce_add(), (t0 + t1).reduce_add())
}

/// Σ (aᵢ + i·bᵢ)·(cᵢ + i·dᵢ); the lengths are alike and multiples of four.
#[inline(always)]
pub(super) fn complex_dot(a: &[f32], b: &[f32], c: &[f32], d: &[f32]) -> (f32, f32) {
    let (mut s0, mut s1, mut t0, mut t1) = (f32x4::ZERO, f32x4::ZERO, f32x4::ZERO, f32x4::ZERO);
    let (a, b) = (a.as_chunks::<4>().0, b.as_chunks::<4>().0);
    let (c, d) = (c.as_chunks::<4>().0, d.as_chunks::<4>().0);
    for ((a, b), (c, d)) in a.iter().zip(b).zip(c.iter().zip(d)) {
        let (a, b, c, d) = (f32x4::new(*a), f32x4::new(*b), f32x4::new(*c), f32x4::new(*d));
        s0 += a * c;
        s1 += b * d;
        t0 += a * d;
        t1 += b * c;
    }
    ((s0 - s1).reduce_add(), (t0 + t1).reduce_add())
}

/// (aᵢ + i·bᵢ) += (er + i·ei)·conj(cᵢ + i·dᵢ).
#[inline(always)]
pub(super) fn add_conjugate(a: &mut [f32], b: &mut [f32], c: &[f32], d: &[f32], er: f32, ei: f32) {
    let (er, ei) = (f32x4::splat(er), f32x4::splat(ei));
    let (a, b) = (a.as_chunks_mut::<4>().0, b.as_chunks_mut::<4>().0);
    let (c, d) = (c.as_chunks::<4>().0, d.as_chunks::<4>().0);
    for ((a, b), (c, d)) in a.iter_mut().zip(b).zip(c.iter().zip(d)) {
        let (c, d) = (f32x4::new(*c), f32x4::new(*d));
        *a = (f32x4::new(*a) + er * c + ei * d).to_array();
        *b = (f32x4::new(*b) + ei * c - er * d).to_array();
    }
}

#[inline(always)]
fn halves(a: &[f32; 8]) -> (f32x4, f32x4) {
    let [p, q, r, s, t, u, v, w] = *a;
    (f32x4::new([p, q, r, s]), f32x4::new([t, u, v, w]))
}
