//! The colour of the paper: scans and tinted pages are brought to white before anything is decided.

use super::cells::{Measure, measure};
use crate::grey::Grey;

/// Paper is at least this light, or it is not taken for paper.
const DARKEST: f64 = 120.0;
/// How far paper strays from the fitted surface.
const STRAY: f64 = 16.0;

/// The paper's shade as a surface of second order over the page.
struct Surface([f64; 6]);

impl Surface {
    /// `x` and `y` from −1 to 1.
    fn at(&self, x: f64, y: f64) -> f64 {
        terms(x, y).iter().zip(&self.0).map(|(t, c)| t * c).sum()
    }
}

fn terms(x: f64, y: f64) -> [f64; 6] {
    [1.0, x, y, x * x, x * y, y * y]
}

/// A cell of the page with the place of its middle.
struct Sample {
    x: f64,
    y: f64,
    level: f64,
    plain: bool,
    edge: [bool; 4],
}

/// The page on white paper, if it is on paper that is not white. Shadows at the edges of a scan and the
/// grey or yellow of the sheet go; a page without paper, such as a photograph to its edges, stays.
pub(super) fn whitened(g: &Grey, cell_w: usize, cell_h: usize) -> Option<Grey> {
    let samples = look(g, cell_w, cell_h);
    if samples.iter().all(|s| !s.plain || s.level >= 248.0) {
        return None;
    }
    let paper = fit(&samples)?;
    let corners = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (0.0, 0.0)];
    if corners.iter().all(|&(x, y)| paper.at(x, y) >= 244.0) {
        return None;
    }
    // The same surface for a run of pels: a page is smooth over a few of them.
    let (w, rows) = (g.width as f64, g.rows as f64);
    let run = 16;
    let mut out = g.clone();
    for (y, row) in out.data.chunks_exact_mut(g.width).enumerate() {
        let v = (y as f64 + 0.5) / rows * 2.0 - 1.0;
        for (i, pels) in row.chunks_mut(run).enumerate() {
            let u = ((i * run) as f64 + run as f64 / 2.0) / w * 2.0 - 1.0;
            let level = paper.at(u, v).clamp(DARKEST * 0.8, 255.0);
            let gain = (255.0 * 1.05 / level * 256.0) as u32;
            for p in pels {
                *p = u8::try_from((u32::from(*p) * gain) >> 8).unwrap_or(255);
            }
        }
    }
    Some(out)
}

fn look(g: &Grey, cell_w: usize, cell_h: usize) -> Vec<Sample> {
    let (columns, rows) = (g.width / cell_w, g.rows / cell_h);
    let mut samples = Vec::with_capacity(columns * rows);
    for cy in 0..rows {
        for cx in 0..columns {
            let m: Measure = measure(g, cx * cell_w, cy * cell_h, cell_w, cell_h);
            let middle =
                |c: usize, size: usize, all: usize| (c as f64 + 0.5) * size as f64 / all as f64 * 2.0 - 1.0;
            samples.push(Sample {
                x: middle(cx, cell_w, g.width),
                y: middle(cy, cell_h, g.rows),
                level: f64::from(m.level),
                plain: m.plain && f64::from(m.level) >= DARKEST,
                // The rim of the page, without the outermost white that fitting may have added.
                edge: [
                    (2..6).contains(&cx),
                    (2..6).contains(&(columns - 1 - cx)),
                    (1..5).contains(&cy),
                    (1..5).contains(&(rows - 1 - cy)),
                ],
            });
        }
    }
    samples
}

/// Fits the lightest surface that much of the page lies on. `None`: there is no paper all around.
fn fit(samples: &[Sample]) -> Option<Surface> {
    let plain: Vec<&Sample> = samples.iter().filter(|s| s.plain).collect();
    // White added beside the sheet must not pass for the paper.
    let sheet: Vec<&&Sample> = plain.iter().filter(|s| s.level < 248.0).collect();
    let of = if sheet.len() * 2 > plain.len() { sheet } else { plain.iter().collect() };
    if of.len() * 5 < samples.len() {
        return None;
    }
    let mut surface = Surface([0.0; 6]);
    for round in 0..9 {
        surface = solve(&of, |s| {
            let off = s.level - surface.at(s.x, s.y);
            if round == 0 {
                // To begin with, light cells count for more.
                (s.level / 255.0).powi(8)
            } else if off > STRAY * 2.0 {
                4.0
            } else if off > -STRAY * if round < 5 { 2.5 } else { 1.0 } {
                1.0
            } else {
                0.0
            }
        })?;
    }
    let on_paper = |s: &&&Sample| (s.level - surface.at(s.x, s.y)).abs() <= STRAY || s.level >= 248.0;
    if of.iter().filter(|s| on_paper(s)).count() * 4 < samples.len() {
        return None;
    }
    let all_around = (0..4).all(|side| {
        let rim = || samples.iter().filter(|s| s.edge[side]);
        let paper = rim().filter(|s| s.plain && on_paper(&s)).count();
        paper * 100 >= rim().count() * 40
    });
    let light = [(-1.0, -1.0), (1.0, -1.0), (-1.0, 1.0), (1.0, 1.0), (0.0, 0.0)]
        .iter()
        .all(|&(x, y)| surface.at(x, y) >= DARKEST * 0.75);
    (all_around && light).then_some(surface)
}

/// Weighted least squares.
fn solve(samples: &[&&Sample], weight: impl Fn(&Sample) -> f64) -> Option<Surface> {
    let mut m = [[0.0f64; 7]; 6];
    for s in samples {
        let w = weight(s);
        let t = terms(s.x, s.y);
        for (row, ti) in m.iter_mut().zip(t) {
            for (cell, tj) in row.iter_mut().zip(t) {
                *cell += w * ti * tj;
            }
            row[6] += w * ti * s.level;
        }
    }
    // Gauss–Jordan with the largest pivot.
    for i in 0..6 {
        let best = (i..6).max_by(|&a, &b| m[a][i].abs().total_cmp(&m[b][i].abs()))?;
        m.swap(i, best);
        let pivot = m[i];
        if pivot[i].abs() < 1e-6 {
            return None;
        }
        for (j, row) in m.iter_mut().enumerate() {
            if j != i {
                let k = row[i] / pivot[i];
                for (cell, p) in row.iter_mut().zip(pivot) {
                    *cell -= k * p;
                }
            }
        }
    }
    Some(Surface(core::array::from_fn(|i| m[i][6] / m[i][i])))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(shade: impl Fn(f64, f64) -> f64) -> Grey {
        let (w, rows) = (860, 1140);
        let mut g = Grey::white(w, rows);
        for y in 0..rows {
            for x in 0..w {
                g.data[y * w + x] = shade(x as f64 / w as f64, y as f64 / rows as f64) as u8;
            }
        }
        g
    }

    #[test]
    fn shaded_paper_becomes_white_and_a_picture_on_it_stays() {
        let picture = |x: f64, y: f64| (0.2..0.8).contains(&x) && (0.3..0.6).contains(&y);
        let g = page(|x, y| {
            let paper = 225.0 - 60.0 * x * x - 25.0 * y;
            if picture(x, y) { paper * (0.2 + 0.5 * x) } else { paper }
        });
        let white = whitened(&g, 16, 16).unwrap();
        for (i, v) in white.data.iter().enumerate() {
            let (x, y) = ((i % 860) as f64 / 860.0, (i / 860) as f64 / 1140.0);
            assert_eq!(*v > 225, !picture(x, y), "{x} {y}: {v}");
        }
    }

    #[test]
    fn white_paper_and_pages_without_paper_stay() {
        assert!(whitened(&page(|_, _| 255.0), 16, 16).is_none());
        // A sky over land, to the edges.
        assert!(whitened(&page(|_, y| if y < 0.4 { 200.0 } else { 90.0 }), 16, 16).is_none());
        assert!(whitened(&page(|_, _| 60.0), 16, 16).is_none());
    }
}
