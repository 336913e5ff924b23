//! CIELAB under D50 and sRGB (CIE 15; IEC 61966-2-1, adapted from D65 to D50 by Bradford's matrix), in the samples of
//! T.42 §6.3. Another illuminant counts as D50: paper is white under both.

use super::Gamut;
use super::components;
use super::segment::Range;
use fax_base::page::Tones;

/// The samples of a* and b* of a grey pel.
pub(super) const NEUTRAL: [u8; 2] = [128, 96];

/// D50 (CIE 15), Y = 1.
const WHITE: [f32; 3] = [0.964_22, 1.0, 0.825_21];

/// From linear sRGB to X, Y, Z under D50.
const TO_XYZ: [[f32; 3]; 3] = [
    [0.436_074_7, 0.385_064_9, 0.143_080_4],
    [0.222_504_5, 0.716_878_6, 0.060_616_9],
    [0.013_932_2, 0.097_104_5, 0.714_173_3],
];

/// And back.
const FROM_XYZ: [[f32; 3]; 3] = [
    [3.133_856, -1.616_866_7, -0.490_614_6],
    [-0.978_768_4, 1.916_141_5, 0.033_454],
    [0.071_945_3, -0.228_991_4, 1.405_242_7],
];

/// CIE's (6/29)³ and (29/3)³.
const EPSILON: f32 = 216.0 / 24_389.0;
const KAPPA: f32 = 24_389.0 / 27.0;

/// Steps of the table from linear light to sRGB.
const STEPS: usize = 4096;

fn times(matrix: &[[f32; 3]; 3], v: [f32; 3]) -> [f32; 3] {
    matrix.map(|row| row[0] * v[0] + row[1] * v[1] + row[2] * v[2])
}

fn linear(sample: u8) -> f32 {
    let v = f32::from(sample) / 255.0;
    if v <= 0.040_45 { v / 12.92 } else { ((v + 0.055) / 1.055).powf(2.4) }
}

fn companded(v: f32) -> f32 {
    if v <= 0.003_130_8 { v * 12.92 } else { 1.055 * v.powf(1.0 / 2.4) - 0.055 }
}

fn f(t: f32) -> f32 {
    if t > EPSILON { t.cbrt() } else { (KAPPA * t + 16.0) / 116.0 }
}

fn f_inverse(v: f32) -> f32 {
    let cube = v * v * v;
    if cube > EPSILON { cube } else { (116.0 * v - 16.0) / KAPPA }
}

/// L*, a*, b* of linear sRGB.
fn lab(rgb: [f32; 3]) -> [f32; 3] {
    let xyz = times(&TO_XYZ, rgb);
    let [x, y, z] = [f(xyz[0] / WHITE[0]), f(xyz[1] / WHITE[1]), f(xyz[2] / WHITE[2])];
    [116.0 * y - 16.0, 500.0 * (x - y), 200.0 * (y - z)]
}

fn sample(range: &Range, value: f32) -> u8 {
    (value * 255.0 / f32::from(range.range) + f32::from(range.offset) + 0.5).clamp(0.0, 255.0) as u8
}

fn value(range: &Range, sample: u8) -> f32 {
    (f32::from(sample) - f32::from(range.offset)) * f32::from(range.range) / 255.0
}

/// Samples of sRGB pels.
pub(super) fn from_rgb(rgb: &[u8], tones: Tones) -> Vec<u8> {
    let light: [f32; 256] = core::array::from_fn(|i| linear(u8::try_from(i).unwrap_or(255)));
    let Gamut(ranges) = Gamut::default();
    let mut out = Vec::with_capacity(rgb.len() / 3 * components(tones));
    // Neighbours are often alike.
    let mut last = ([255; 3], super::WHITE);
    for pel in rgb.as_chunks::<3>().0 {
        if *pel != last.0 {
            let found = lab(pel.map(|s| light[usize::from(s)]));
            last = (*pel, core::array::from_fn(|i| sample(&ranges[i], found[i])));
        }
        out.extend_from_slice(last.1.get(..components(tones)).unwrap_or_default());
    }
    out
}

/// sRGB of samples.
pub(super) fn to_rgb(samples: &[u8], tones: Tones) -> Vec<u8> {
    let table: Vec<u8> =
        (0..=STEPS).map(|i| (companded(i as f32 / STEPS as f32) * 255.0 + 0.5) as u8).collect();
    // Near black a step of the table is more than one of sRGB.
    let coded = |v: f32| {
        if v < 0.05 {
            return (companded(v.max(0.0)) * 255.0 + 0.5) as u8;
        }
        let step = (v.min(1.0) * STEPS as f32 + 0.5) as usize;
        table.get(step).copied().unwrap_or(255)
    };
    let Gamut([l_range, a_range, b_range]) = Gamut::default();
    let mut out = Vec::with_capacity(samples.len() / components(tones) * 3);
    let mut last = (super::WHITE, [255; 3]);
    for pel in samples.chunks_exact(components(tones)) {
        let pel = match *pel {
            [l, a, b] => [l, a, b],
            _ => [pel.first().copied().unwrap_or(255), NEUTRAL[0], NEUTRAL[1]],
        };
        if pel != last.0 {
            let y = (value(&l_range, pel[0]) + 16.0) / 116.0;
            let x = y + value(&a_range, pel[1]) / 500.0;
            let z = y - value(&b_range, pel[2]) / 200.0;
            let xyz = [f_inverse(x) * WHITE[0], f_inverse(y), f_inverse(z) * WHITE[2]];
            last = (pel, times(&FROM_XYZ, xyz).map(coded));
        }
        out.extend_from_slice(&last.1);
    }
    out
}

/// Turns samples of another gamut into those of the usual one.
pub(super) fn to_usual_gamut(samples: &mut [u8], tones: Tones, gamut: &Gamut) {
    let usual = Gamut::default();
    let tables: [[u8; 256]; 3] = core::array::from_fn(|i| {
        core::array::from_fn(|s| sample(&usual.0[i], value(&gamut.0[i], u8::try_from(s).unwrap_or(255))))
    });
    for pel in samples.chunks_exact_mut(components(tones)) {
        for (sample, table) in pel.iter_mut().zip(&tables) {
            *sample = table[usize::from(*sample)];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// L*, a*, b* under D50 of the corners of sRGB, as published by Bruce Lindbloom's calculator.
    const KNOWN: [([u8; 3], [f32; 3]); 8] = [
        ([255, 255, 255], [100.0, 0.0, 0.0]),
        ([0, 0, 0], [0.0, 0.0, 0.0]),
        ([255, 0, 0], [54.29, 80.81, 69.89]),
        ([0, 255, 0], [87.82, -79.27, 80.99]),
        ([0, 0, 255], [29.57, 68.30, -112.03]),
        ([255, 255, 0], [97.61, -15.75, 93.39]),
        ([0, 255, 255], [90.67, -50.66, -14.96]),
        ([119, 119, 119], [50.03, 0.0, 0.0]),
    ];

    #[test]
    fn colours_are_those_that_are_known() {
        for (rgb, want) in KNOWN {
            let found = lab(rgb.map(linear));
            for (a, b) in found.iter().zip(want) {
                assert!((a - b).abs() < 0.05, "{rgb:?}: {found:?}, not {want:?}");
            }
        }
    }

    #[test]
    fn samples_are_those_of_t42() {
        assert_eq!(from_rgb(&[255, 255, 255, 0, 0, 0], Tones::Colour), [255, 128, 96, 0, 128, 96]);
        assert_eq!(from_rgb(&[255, 255, 255, 119, 119, 119, 0, 0, 0], Tones::Grey), [255, 128, 0]);
        // 80.81 × 255 / 170 + 128 = 249, 69.89 × 255 / 200 + 96 = 185.
        assert_eq!(from_rgb(&[255, 0, 0], Tones::Colour), [138, 249, 185]);
    }

    #[test]
    fn there_and_back_within_what_eight_bits_can_tell() {
        let mut worst = 0;
        for r in (0..=255u8).step_by(17) {
            for g in (0..=255u8).step_by(17) {
                for b in (0..=255u8).step_by(17) {
                    let found = lab([r, g, b].map(linear));
                    // Saturated blue is beyond the usual gamut.
                    if !(-85.0..=84.0).contains(&found[1]) || !(-75.0..=124.0).contains(&found[2]) {
                        continue;
                    }
                    let back = to_rgb(&from_rgb(&[r, g, b], Tones::Colour), Tones::Colour);
                    let off = |a: u8, b: u8| a.abs_diff(b);
                    // Near black a step of L* is many of a component that is nearly off.
                    if r.min(g).min(b) > 33 {
                        worst = worst.max(off(r, back[0])).max(off(g, back[1])).max(off(b, back[2]));
                    }
                }
            }
        }
        assert!(worst <= 6, "{worst}");
        for grey in 0..=255u8 {
            let back = to_rgb(&from_rgb(&[grey; 3], Tones::Grey), Tones::Grey);
            assert!(back.iter().all(|s| s.abs_diff(grey) <= 2), "{grey}: {back:?}");
        }
    }

    #[test]
    fn another_gamut_becomes_the_usual_one() {
        let symmetrical = Gamut([
            Range { offset: 0, range: 100 },
            Range { offset: 128, range: 255 },
            Range { offset: 128, range: 255 },
        ]);
        let mut samples = [255, 128, 128, 128, 68, 168];
        to_usual_gamut(&mut samples, Tones::Colour, &symmetrical);
        // −60 and 40: −60 × 1.5 + 128 and 40 × 1.275 + 96.
        assert_eq!(samples, [255, 128, 96, 128, 38, 147]);
    }
}
