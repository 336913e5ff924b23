//! A constellation as a picture: SVG or PNG, by the file's name.

use anyhow::{Context, Result, bail};
use fax_base::line::Modulation;
use image::{ImageFormat, Rgb, RgbImage};
use std::fmt::Write;
use std::path::Path;

/// Pels of an edge.
const SIZE: u32 = 640;
/// Of half an edge this much is for the points.
const USED: f32 = 0.9;
const POINT: Rgb<u8> = Rgb([20, 60, 160]);
const AXIS: Rgb<u8> = Rgb([200, 200, 200]);

/// Writes the picture.
pub(super) fn write(path: &Path, modulation: Modulation, points: &[[f32; 2]]) -> Result<()> {
    let places = places(points);
    let unwritable = || format!("{} cannot be written", path.display());
    match path.extension().and_then(|e| e.to_str()).map(str::to_ascii_lowercase).as_deref() {
        Some("svg") => std::fs::write(path, svg(modulation, &places)).with_context(unwritable),
        Some("png") => png(&places).save_with_format(path, ImageFormat::Png).with_context(unwritable),
        _ => bail!("{}: a constellation is written as .svg or .png", path.display()),
    }
}

/// The points in pels from the upper left corner.
fn places(points: &[[f32; 2]]) -> Vec<(f32, f32)> {
    let finite = points.iter().filter(|[x, y]| x.is_finite() && y.is_finite());
    let furthest = finite.clone().flatten().fold(1e-6f32, |most, c| most.max(c.abs()));
    let half = SIZE as f32 / 2.0;
    let scale = half * USED / furthest;
    finite.map(|[x, y]| (half + x * scale, half - y * scale)).collect()
}

fn svg(modulation: Modulation, places: &[(f32, f32)]) -> String {
    let half = SIZE / 2;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {SIZE} {SIZE}\" width=\"{SIZE}\" height=\"{SIZE}\">\n\
         <title>{modulation}</title>\n<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n\
         <path d=\"M0 {half}H{SIZE}M{half} 0V{SIZE}\" stroke=\"#c8c8c8\"/>\n\
         <text x=\"12\" y=\"24\" font-family=\"sans-serif\" font-size=\"16\">{modulation}</text>\n<g fill=\"#143ca0\">\n"
    );
    for (x, y) in places {
        let _ = writeln!(text, "<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"2\"/>");
    }
    text + "</g>\n</svg>\n"
}

fn png(places: &[(f32, f32)]) -> RgbImage {
    let mut picture = RgbImage::from_pixel(SIZE, SIZE, Rgb([255; 3]));
    for i in 0..SIZE {
        picture.put_pixel(i, SIZE / 2, AXIS);
        picture.put_pixel(SIZE / 2, i, AXIS);
    }
    for (x, y) in places {
        // A dot of 3 × 3 pels.
        for (dx, dy) in (0..9).map(|i| (i % 3, i / 3)) {
            let (x, y) = (*x as u32 + dx, *y as u32 + dy);
            if let Some(pel) = picture.get_pixel_mut_checked(x, y) {
                *pel = POINT;
            }
        }
    }
    picture
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_stand_where_they_are_in_both_forms() {
        let folder = tempfile::tempdir().unwrap();
        let points = [[3.0, 3.0], [-3.0, 1.0], [0.0, -3.0], [f32::NAN, 1.0]];
        let path = |name: &str| folder.path().join(name);
        write(&path("c.svg"), Modulation::V29At9600, &points).unwrap();
        let svg = std::fs::read_to_string(path("c.svg")).unwrap();
        assert_eq!(svg.matches("<circle").count(), 3);
        assert!(svg.contains("cx=\"608.0\" cy=\"32.0\"") && svg.contains("V.29 9600"), "{svg}");
        write(&path("c.png"), Modulation::V29At9600, &points).unwrap();
        let png = image::open(path("c.png")).unwrap().to_rgb8();
        assert_eq!(*png.get_pixel(609, 33), POINT);
        assert_eq!(png.pixels().filter(|p| **p == POINT).count(), 27);
        assert!(
            write(&path("c.gif"), Modulation::V29At9600, &points)
                .unwrap_err()
                .to_string()
                .contains(".svg or .png")
        );
    }
}
