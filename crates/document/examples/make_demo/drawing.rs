//! The drawing of the demo document: the front of a house with measures, a star of lines, a chart.

use super::text;
use core::f32::consts::TAU;
use pdf_writer::{Buf, Content};

pub(crate) fn draw() -> Buf {
    let mut c = Content::new();
    text(&mut c, b"B", 20.0, 56.6, 760.0, "A drawing");
    text(&mut c, b"H", 10.0, 480.0, 760.0, "Page 2 of 3");
    house(&mut c);
    star(&mut c, 150.0, 330.0, 92.0);
    chart(&mut c);
    fan(&mut c);
    c.finish()
}

fn line(c: &mut Content, width: f32, points: &[(f32, f32)]) {
    c.set_line_width(width);
    for (i, &(x, y)) in points.iter().enumerate() {
        if i == 0 {
            c.move_to(x, y);
        } else {
            c.line_to(x, y);
        }
    }
    c.stroke();
}

fn frame(c: &mut Content, width: f32, x: f32, y: f32, w: f32, h: f32) {
    c.set_line_width(width);
    c.rect(x, y, w, h).stroke();
}

fn circle(c: &mut Content, x: f32, y: f32, r: f32) {
    let k = 0.552_28 * r;
    c.move_to(x + r, y);
    c.cubic_to(x + r, y + k, x + k, y + r, x, y + r);
    c.cubic_to(x - k, y + r, x - r, y + k, x - r, y);
    c.cubic_to(x - r, y - k, x - k, y - r, x, y - r);
    c.cubic_to(x + k, y - r, x + r, y - k, x + r, y);
}

/// A measure between two points on one height, with arrow heads.
fn measure(c: &mut Content, x0: f32, x1: f32, y: f32, label: &str) {
    line(c, 0.3, &[(x0, y), (x1, y)]);
    for (x, d) in [(x0, 6.0), (x1, -6.0)] {
        c.move_to(x, y);
        c.line_to(x + d, y + 1.8);
        c.line_to(x + d, y - 1.8);
        c.close_path().fill_nonzero();
        line(c, 0.3, &[(x, y - 8.0), (x, y + 14.0)]);
    }
    text(c, b"H", 8.0, (x0 + x1) / 2.0 - 9.0, y + 3.0, label);
}

fn house(c: &mut Content) {
    let (left, right, ground, eaves, ridge) = (110.0, 480.0, 492.0, 612.0, 700.0);
    line(c, 1.6, &[(70.0, ground), (530.0, ground)]);
    frame(c, 1.2, left, ground, right - left, eaves - ground);
    let middle = (left + right) / 2.0;
    line(c, 1.2, &[(left - 22.0, eaves - 8.0), (middle, ridge), (right + 22.0, eaves - 8.0)]);
    line(c, 0.5, &[(left, eaves), (right, eaves)]);
    // Roof boards: ever closer lines.
    let mut x = left + 6.0;
    let mut step = 14.0;
    while x < right - 6.0 {
        let height = (ridge - eaves) * (1.0 - (x - middle).abs() / (middle - left));
        line(c, 0.35, &[(x, eaves), (x, eaves + height * 0.97)]);
        x += step;
        step = (step * 0.965_f32).max(2.2);
    }
    for i in 0..4 {
        let x = left + 24.0 + 92.0 * i as f32;
        if i == 2 {
            frame(c, 0.9, x, ground, 44.0, 88.0);
            c.set_line_width(0.4);
            circle(c, x + 36.0, ground + 42.0, 2.5);
            c.fill_nonzero();
            continue;
        }
        frame(c, 0.9, x, ground + 36.0, 46.0, 52.0);
        line(c, 0.4, &[(x + 23.0, ground + 36.0), (x + 23.0, ground + 88.0)]);
        line(c, 0.4, &[(x, ground + 62.0), (x + 46.0, ground + 62.0)]);
        // Hatching.
        for k in 0..8 {
            let d = 5.0 * k as f32;
            line(c, 0.2, &[(x + d, ground + 36.0), (x + d + 6.0, ground + 62.0)]);
        }
    }
    measure(c, left, right, ground - 22.0, "12.40 m");
    measure(c, left + 24.0, left + 70.0, ground + 100.0, "1.52");
    text(c, b"I", 10.0, 60.0, 716.0, "Front, scale 1 : 100");
}

fn star(c: &mut Content, x: f32, y: f32, r: f32) {
    const RAYS: usize = 48;
    for i in 0..RAYS {
        let a = TAU * i as f32 / RAYS as f32;
        let b = a + TAU / (2 * RAYS) as f32;
        c.move_to(x, y);
        c.line_to(x + r * a.cos(), y + r * a.sin());
        c.line_to(x + r * b.cos(), y + r * b.sin());
        c.close_path();
    }
    c.fill_nonzero();
    c.set_line_width(0.8);
    circle(c, x, y, r + 5.0);
    c.stroke();
    text(c, b"H", 8.0, x - 40.0, y - r - 20.0, "48 rays: resolution");
}

fn chart(c: &mut Content) {
    let (x, y) = (300.0, 236.0);
    line(c, 0.8, &[(x, y + 190.0), (x, y), (x + 240.0, y)]);
    for i in 1..=6 {
        let h = y + 30.0 * i as f32;
        line(c, 0.15, &[(x, h), (x + 240.0, h)]);
        text(c, b"H", 7.0, x - 16.0, h - 2.5, &format!("{}", i * 10));
    }
    for (i, (value, shade, label)) in [
        (56.0, 0.0, "Mo"),
        (43.0, 0.25, "Tu"),
        (51.0, 0.4, "We"),
        (29.0, 0.55, "Th"),
        (38.0, 0.7, "Fr"),
        (12.0, 0.85, "Sa"),
    ]
    .into_iter()
    .enumerate()
    {
        let left = x + 10.0 + 38.0 * i as f32;
        c.set_fill_gray(shade);
        c.set_line_width(0.5);
        c.rect(left, y, 26.0, value * 3.0).fill_nonzero_and_stroke();
        c.set_fill_gray(0.0);
        text(c, b"H", 8.0, left + 6.0, y - 12.0, label);
        text(c, b"H", 7.0, left + 8.0, y + value * 3.0 + 3.0, &format!("{value}"));
    }
    text(c, b"I", 10.0, x, y + 200.0, "Faxes a day, thousands");
}

fn fan(c: &mut Content) {
    for (i, width) in [0.0, 0.1, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0].into_iter().enumerate() {
        let y = 190.0 - 13.0 * i as f32;
        line(c, width, &[(100.0, y), (300.0, y + 3.0)]);
        text(c, b"H", 7.0, 60.0, y - 2.0, &format!("{width} pt"));
    }
    for i in 0..24 {
        let a = TAU / 4.0 * i as f32 / 23.0;
        line(c, 0.3, &[(360.0, 80.0), (360.0 + 170.0 * a.cos(), 80.0 + 118.0 * a.sin())]);
    }
    line(c, 0.6, &[(56.6, 60.0), (538.6, 60.0)]);
    text(c, b"H", 8.0, 56.6, 48.0, "Lines of 0 to 3 points, and a fan of hairlines: none may vanish.");
}
