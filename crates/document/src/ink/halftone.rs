//! Shades as dots: error diffusion for photographs, an ordered pattern for tints.

use crate::grey::Grey;

/// Ordered dither of 4 × 4 (Bayer): thresholds 0 to 15.
const ORDERED: [[u8; 4]; 4] = [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]];

/// Whether a pel of a tint is ink. Steps of 1/16 make an even pattern that also codes short.
pub(super) fn ordered(x: usize, y: usize, level: u8) -> bool {
    let threshold = ORDERED.get(y % 4).and_then(|r| r.get(x % 4)).copied().unwrap_or(7);
    level < threshold * 16 + 8
}

/// Dots grow on paper: middle shades are lifted a little, so that they look as they should.
fn tone() -> [i32; 256] {
    core::array::from_fn(|i| {
        let v = i as f64 / 255.0;
        // A soft lift with its middle at 0.5 → 0.57, ends fixed; near-white and near-black are clean.
        let lifted = v.powf(0.82);
        let stretched = ((lifted - 0.03) / 0.94).clamp(0.0, 1.0);
        (stretched * 255.0 * 16.0).round() as i32
    })
}

/// Floyd–Steinberg in serpentine order, with the edges of the picture sharpened first. Calls `put`
/// with every ink pel for which `is_photo` holds; error does not flow out of the photograph.
pub(super) fn diffuse(g: &Grey, is_photo: impl Fn(usize, usize) -> bool, mut put: impl FnMut(usize, usize)) {
    let tone = tone();
    let w = g.width;
    let mut ahead = vec![0i32; w + 2];
    let mut next = vec![0i32; w + 2];
    let mut values = vec![0i32; w];
    for y in 0..g.rows {
        sharpen(g, y, &tone, &mut values);
        next.fill(0);
        let forward = y % 2 == 0;
        for step in 0..w {
            let x = if forward { step } else { w - 1 - step };
            if !is_photo(x, y) {
                continue;
            }
            let want = values.get(x).copied().unwrap_or(0) + ahead.get(x + 1).copied().unwrap_or(0) / 16;
            let ink = want < 128 * 16;
            if ink {
                put(x, y);
            }
            let error = (want - if ink { 0 } else { 255 * 16 }).clamp(-255 * 16, 255 * 16);
            let (front, back) = if forward { (x + 2, x) } else { (x, x + 2) };
            if let Some(e) = ahead.get_mut(front) {
                *e += error * 7;
            }
            for (at, weight) in [(back, 3), (x + 1, 5), (front, 1)] {
                if let Some(e) = next.get_mut(at) {
                    *e += error * weight;
                }
            }
        }
        core::mem::swap(&mut ahead, &mut next);
    }
}

/// Row `y` with tone applied and its contrast to the four neighbours raised.
fn sharpen(g: &Grey, y: usize, tone: &[i32; 256], out: &mut [i32]) {
    let of = |v: u8| tone.get(usize::from(v)).copied().unwrap_or(0);
    let row = g.row(y);
    let up = g.row(y.saturating_sub(1));
    let down = g.row((y + 1).min(g.rows - 1));
    for (x, o) in out.iter_mut().enumerate() {
        let at = |r: &[u8], x: usize| r.get(x).copied().map_or(0, of);
        let v = at(row, x);
        let around = at(row, x.saturating_sub(1))
            + at(row, (x + 1).min(row.len().saturating_sub(1)))
            + at(up, x)
            + at(down, x);
        *o = (v + (4 * v - around) / 5).clamp(0, 255 * 16);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_keep_the_shade() {
        for level in [20u8, 64, 128, 192, 235] {
            let g = Grey { width: 128, rows: 128, data: vec![level; 128 * 128] };
            let mut ink = 0;
            diffuse(&g, |_, _| true, |_, _| ink += 1);
            let want = 1.0 - f64::from(tone()[usize::from(level)]) / (255.0 * 16.0);
            let got = f64::from(ink) / (128.0 * 128.0);
            assert!((got - want).abs() < 0.02, "{level}: {got} for {want}");

            let dots = (0..64).filter(|i| ordered(i % 8, i / 8, level)).count();
            let want = 1.0 - f64::from(level) / 255.0;
            assert!((dots as f64 / 64.0 - want).abs() < 0.04, "{level}: {dots}");
        }
    }
}
