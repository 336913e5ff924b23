//! Grey and colour in black and white, for terminals and files that have nothing else (T.4 §2).

use super::{Picture, components};
use crate::Bitmap;

/// Lightness from which paper is white, and up to which ink is black: the noise of scanners is not drawn.
const PAPER: i32 = 232;
const INK: i32 = 56;

/// The lightness by dots, its error carried on to the neighbours to the right and below (Floyd and Steinberg), in
/// turns from the left and from the right.
pub(super) fn dithered(picture: &Picture) -> Bitmap {
    let width = picture.width() as usize;
    let mut bitmap = Bitmap::new(picture.width());
    let step = components(picture.tones());
    let mut packed = vec![0u8; width.div_ceil(8)];
    // What is carried into this row and the next, in sixteenths, with room at both ends.
    let (mut here, mut below) = (vec![0i32; width + 2], vec![0i32; width + 2]);
    for (y, row) in picture.samples().chunks_exact((width * step).max(1)).enumerate() {
        packed.fill(0);
        below.fill(0);
        let forward = y % 2 == 0;
        let mut carried = 0;
        for i in 0..width {
            let x = if forward { i } else { width - 1 - i };
            let light = i32::from(row.get(x * step).copied().unwrap_or(255));
            let stretched = ((light - INK) * 255 / (PAPER - INK)).clamp(0, 255);
            let wanted = stretched + (carried + here.get(x + 1).copied().unwrap_or(0)) / 16;
            let solid = stretched == 0 || stretched == 255;
            let white = if solid { stretched == 255 } else { wanted > 127 };
            if !white && let Some(octet) = packed.get_mut(x / 8) {
                *octet |= 0x80 >> (x % 8);
            }
            // Plain paper and plain ink take up the errors of what lies beside them.
            let error = if solid { 0 } else { wanted - if white { 255 } else { 0 } };
            carried = error * 7;
            let (behind, ahead) = if forward { (x, x + 2) } else { (x + 2, x) };
            for (place, share) in [(behind, 3), (x + 1, 5), (ahead, 1)] {
                if let Some(sum) = below.get_mut(place) {
                    *sum += error * share;
                }
            }
        }
        bitmap.push_row(&packed);
        core::mem::swap(&mut here, &mut below);
    }
    bitmap
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_base::page::Tones;

    #[test]
    fn paper_is_white_ink_is_black_and_grey_has_its_share() {
        for (light, black) in [(255, 0.0), (235, 0.0), (144, 0.5), (100, 0.75), (40, 1.0), (0, 1.0)] {
            let bitmap = dithered(&Picture::from_samples(200, Tones::Grey, vec![light; 200 * 100]));
            let share = bitmap.black_pels() as f64 / 20_000.0;
            assert!((share - black).abs() < 0.02, "{light}: {share}");
        }
    }
}
