//! The discrete cosine transform of a block of 8 × 8, both ways (T.81 §A.3.3).

/// cos(k π / 16) for k = 1 to 7; the fourth is also what the constant term is weighted with.
const C: [f32; 8] =
    [1.0, 0.980_785_25, 0.923_879_5, 0.831_469_6, 0.707_106_77, 0.555_570_24, 0.382_683_43, 0.195_090_32];

/// From samples, 0 being in the middle of their range, to coefficients.
pub(super) fn forward(block: &mut [f32; 64]) {
    for row in block.as_chunks_mut::<8>().0 {
        *row = forward_8(*row);
    }
    transpose(block);
    for row in block.as_chunks_mut::<8>().0 {
        *row = forward_8(*row);
    }
    transpose(block);
}

/// From coefficients to samples.
pub(super) fn inverse(block: &mut [f32; 64]) {
    for row in block.as_chunks_mut::<8>().0 {
        if row[1..] != [0.0; 7] {
            *row = inverse_8(*row);
        } else {
            *row = [row[0] * 0.5 * C[4]; 8];
        }
    }
    transpose(block);
    for row in block.as_chunks_mut::<8>().0 {
        *row = inverse_8(*row);
    }
    transpose(block);
}

fn transpose(block: &mut [f32; 64]) {
    for y in 1..8 {
        for x in 0..y {
            block.swap(y * 8 + x, x * 8 + y);
        }
    }
}

fn forward_8(x: [f32; 8]) -> [f32; 8] {
    let sum = [x[0] + x[7], x[1] + x[6], x[2] + x[5], x[3] + x[4]];
    let d = [x[0] - x[7], x[1] - x[6], x[2] - x[5], x[3] - x[4]];
    let (outer, inner) = (sum[0] + sum[3], sum[1] + sum[2]);
    let (outer_d, inner_d) = (sum[0] - sum[3], sum[1] - sum[2]);
    [
        0.5 * C[4] * (outer + inner),
        0.5 * (d[0] * C[1] + d[1] * C[3] + d[2] * C[5] + d[3] * C[7]),
        0.5 * (outer_d * C[2] + inner_d * C[6]),
        0.5 * (d[0] * C[3] - d[1] * C[7] - d[2] * C[1] - d[3] * C[5]),
        0.5 * C[4] * (outer - inner),
        0.5 * (d[0] * C[5] - d[1] * C[1] + d[2] * C[7] + d[3] * C[3]),
        0.5 * (outer_d * C[6] - inner_d * C[2]),
        0.5 * (d[0] * C[7] - d[1] * C[5] + d[2] * C[3] - d[3] * C[1]),
    ]
}

fn inverse_8(x: [f32; 8]) -> [f32; 8] {
    let (a, b) = ((x[0] + x[4]) * C[4], (x[0] - x[4]) * C[4]);
    let (c, d) = (x[2] * C[2] + x[6] * C[6], x[2] * C[6] - x[6] * C[2]);
    let even = [a + c, b + d, b - d, a - c];
    let odd = [
        x[1] * C[1] + x[3] * C[3] + x[5] * C[5] + x[7] * C[7],
        x[1] * C[3] - x[3] * C[7] - x[5] * C[1] - x[7] * C[5],
        x[1] * C[5] - x[3] * C[1] + x[5] * C[7] + x[7] * C[3],
        x[1] * C[7] - x[3] * C[5] + x[5] * C[3] - x[7] * C[1],
    ];
    [
        0.5 * (even[0] + odd[0]),
        0.5 * (even[1] + odd[1]),
        0.5 * (even[2] + odd[2]),
        0.5 * (even[3] + odd[3]),
        0.5 * (even[3] - odd[3]),
        0.5 * (even[2] - odd[2]),
        0.5 * (even[1] - odd[1]),
        0.5 * (even[0] - odd[0]),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::f64::consts::PI;

    /// The definition of T.81 §A.3.3, term by term.
    fn by_definition(block: &[f32; 64]) -> [f32; 64] {
        core::array::from_fn(|i| {
            let (v, u) = (i / 8, i % 8);
            let weight = |k: usize| if k == 0 { core::f64::consts::FRAC_1_SQRT_2 } else { 1.0 };
            let term = |j: usize| {
                let (y, x) = (j / 8, j % 8);
                let cosine = |n: usize, k: usize| ((2 * n + 1) as f64 * k as f64 * PI / 16.0).cos();
                f64::from(block[j]) * cosine(x, u) * cosine(y, v)
            };
            (0.25 * weight(u) * weight(v) * (0..64).map(term).sum::<f64>()) as f32
        })
    }

    #[test]
    fn both_ways_are_the_definition() {
        let mut seed = 1u32;
        for _ in 0..200 {
            let block: [f32; 64] = core::array::from_fn(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as f32 - 128.0
            });
            let mut there = block;
            forward(&mut there);
            let want = by_definition(&block);
            assert!(there.iter().zip(&want).all(|(a, b)| (a - b).abs() < 0.01), "{there:?} {want:?}");
            inverse(&mut there);
            assert!(there.iter().zip(&block).all(|(a, b)| (a - b).abs() < 0.01));
        }
        let mut constant = [0.0; 64];
        constant[0] = 80.0;
        inverse(&mut constant);
        assert!(constant.iter().all(|s| (s - 10.0).abs() < 0.001));
    }
}
