//! Sums of products, four at a time.

use wide::f32x4;

/// Σ aᵢ·bᵢ and Σ aᵢ·cᵢ.
#[inline(always)]
pub(super) fn two_dots(a: &[f32; 32], b: &[f32; 32], c: &[f32; 32]) -> (f32, f32) {
    let mut s = [f32x4::ZERO; 2];
    let mut t = [f32x4::ZERO; 2];
    let fours = a.as_chunks::<4>().0.iter().zip(b.as_chunks::<4>().0).zip(c.as_chunks::<4>().0);
    for (i, ((a, b), c)) in fours.enumerate() {
        let a = f32x4::new(*a);
        s[i % 2] += a * f32x4::new(*b);
        t[i % 2] += a * f32x4::new(*c);
    }
    ((s[0] + s[1]).reduce_add(), (t[0] + t[1]).reduce_add())
}

/// Σ (aᵢ + i·bᵢ)·(cᵢ + i·dᵢ); the lengths are alike and multiples of eight.
#[inline(always)]
pub(super) fn complex_dot(a: &[f32], b: &[f32], c: &[f32], d: &[f32]) -> (f32, f32) {
    let mut s = [f32x4::ZERO; 2];
    let mut t = [f32x4::ZERO; 2];
    let (a, b) = (a.as_chunks::<8>().0, b.as_chunks::<8>().0);
    let (c, d) = (c.as_chunks::<8>().0, d.as_chunks::<8>().0);
    for ((a, b), (c, d)) in a.iter().zip(b).zip(c.iter().zip(d)) {
        let ((a, b), (c, d)) = ((pair(a), pair(b)), (pair(c), pair(d)));
        for i in 0..2 {
            s[0] += a[i] * c[i];
            s[1] += b[i] * d[i];
            t[0] += a[i] * d[i];
            t[1] += b[i] * c[i];
        }
    }
    ((s[0] - s[1]).reduce_add(), (t[0] + t[1]).reduce_add())
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
fn pair(a: &[f32; 8]) -> [f32x4; 2] {
    let [p, q, r, s, t, u, v, w] = *a;
    [f32x4::new([p, q, r, s]), f32x4::new([t, u, v, w])]
}
