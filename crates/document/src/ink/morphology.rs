//! Grey morphology: the largest and smallest value around every pel, fast enough for whole pages.

use crate::grey::Grey;

/// The largest value in a window of `2 rx + 1` × `2 ry + 1` pels around each pel.
pub(super) fn largest(g: &Grey, rx: usize, ry: usize) -> Grey {
    extreme(g, rx, ry, u8::max, 0)
}

/// The smallest value in a window of `2 rx + 1` × `2 ry + 1` pels around each pel.
pub(super) fn smallest(g: &Grey, rx: usize, ry: usize) -> Grey {
    extreme(g, rx, ry, u8::min, 255)
}

/// The paper under strokes narrower than the window: dark structures filled up.
pub(super) fn closing(g: &Grey, rx: usize, ry: usize) -> Grey {
    smallest(&largest(g, rx, ry), rx, ry)
}

/// The ground around light strokes narrower than the window: light structures taken away.
pub(super) fn opening(g: &Grey, rx: usize, ry: usize) -> Grey {
    largest(&smallest(g, rx, ry), rx, ry)
}

/// A window of any length is covered by two of the next smaller power of two, and those come from
/// doubling: so each pass costs a handful of whole-row operations.
fn extreme(g: &Grey, rx: usize, ry: usize, pick: impl Fn(u8, u8) -> u8 + Copy, neutral: u8) -> Grey {
    let (w, rows) = (g.width, g.rows);
    let mut out = Grey::white(w, rows);

    // Along the rows, with `rx` neutral pels on both sides.
    let mut line = vec![neutral; w + 2 * rx];
    for (src, dst) in g.data.chunks_exact(w.max(1)).zip(out.data.chunks_exact_mut(w.max(1))) {
        line.fill(neutral);
        if let Some(middle) = line.get_mut(rx..rx + w) {
            middle.copy_from_slice(src);
        }
        let mut span = 1;
        while span * 2 <= 2 * rx + 1 {
            combine_ahead(&mut line, span, pick);
            span *= 2;
        }
        let shift = 2 * rx + 1 - span;
        for ((d, a), b) in dst.iter_mut().zip(&line).zip(line.get(shift..).unwrap_or(&[])) {
            *d = pick(*a, *b);
        }
    }

    // Down the columns: the same with whole rows.
    let padded = rows + 2 * ry;
    let mut plane = vec![neutral; w * padded];
    if let Some(middle) = plane.get_mut(ry * w..(ry + rows) * w) {
        middle.copy_from_slice(&out.data);
    }
    let mut span = 1;
    while span * 2 <= 2 * ry + 1 {
        combine_ahead(&mut plane, span * w, pick);
        span *= 2;
    }
    let shift = (2 * ry + 1 - span) * w;
    for ((d, a), b) in out.data.iter_mut().zip(&plane).zip(plane.get(shift..).unwrap_or(&[])) {
        *d = pick(*a, *b);
    }
    out
}

/// Each element is combined with the one `distance` further on.
fn combine_ahead(line: &mut [u8], distance: usize, pick: impl Fn(u8, u8) -> u8) {
    // By way of a small buffer, so that the compiler sees disjoint slices and vectorises.
    let mut ahead = [0u8; 1024];
    let count = line.len().saturating_sub(distance);
    let mut at = 0;
    while at < count {
        let n = ahead.len().min(count - at);
        let (Some(buffer), Some(source)) = (ahead.get_mut(..n), line.get(at + distance..at + distance + n))
        else {
            return;
        };
        buffer.copy_from_slice(source);
        for (a, b) in line.iter_mut().skip(at).zip(buffer.iter()) {
            *a = pick(*a, *b);
        }
        at += n;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn windows_match_a_plain_search() {
        let (w, rows) = (37, 23);
        let mut seed = 1u32;
        let data: Vec<u8> = (0..w * rows)
            .map(|_| {
                seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (seed >> 24) as u8
            })
            .collect();
        let g = Grey { width: w, rows, data };
        for (rx, ry) in [(0, 0), (1, 2), (3, 1), (8, 8), (5, 30), (40, 3)] {
            let (hi, lo) = (largest(&g, rx, ry), smallest(&g, rx, ry));
            for y in 0..rows {
                for x in 0..w {
                    let mut near = Vec::new();
                    for yy in y.saturating_sub(ry)..(y + ry + 1).min(rows) {
                        for xx in x.saturating_sub(rx)..(x + rx + 1).min(w) {
                            near.push(g.row(yy)[xx]);
                        }
                    }
                    assert_eq!(Some(&hi.row(y)[x]), near.iter().max(), "{x} {y} {rx} {ry}");
                    assert_eq!(Some(&lo.row(y)[x]), near.iter().min(), "{x} {y} {rx} {ry}");
                }
            }
        }
    }
}
