//! What kind of thing lies where on a page: writing, flat tints, photographs. Decided on cells of
//! some two millimetres, then for connected groups of cells.

use crate::grey::Grey;

/// Paper is at least this light, full ink at most this dark.
const LIGHT: u8 = 215;
const DARK: u8 = 64;

/// How the pels of a cell become black and white.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Kind {
    /// Writing and lines on paper, or nothing.
    Line,
    /// Dark writing on a tint: the tint becomes paper.
    CleanLight,
    /// Light writing on a tint: the tint becomes ink.
    CleanDark,
    /// A tint without writing, which tells something by its shade.
    Tint,
    /// Continuous tone.
    Photo,
}

/// A part of the page in pels: `x0..x1`, `y0..y1`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Area {
    pub(crate) x0: usize,
    pub(crate) y0: usize,
    pub(crate) x1: usize,
    pub(crate) y1: usize,
}

/// The cells of a page.
pub(super) struct Cells {
    pub(super) cell_w: usize,
    pub(super) cell_h: usize,
    columns: usize,
    rows: usize,
    kinds: Vec<Kind>,
}

/// What was measured in a cell.
#[derive(Clone, Copy, Default)]
pub(super) struct Measure {
    /// The prevailing shade.
    pub(super) level: u8,
    /// One shade prevails.
    pub(super) plain: bool,
    /// No shade prevails, and much is neither black nor white.
    busy: bool,
    /// A shade between paper and ink prevails.
    tint: bool,
    /// Pels much darker and much lighter than the prevailing shade, in 1/256 of the cell.
    darker: u32,
    lighter: u32,
}

impl Cells {
    /// Looks at a page. `pictures`: where continuous tone can be at all, if that is known.
    pub(super) fn survey(
        g: &Grey,
        cell_w: usize,
        cell_h: usize,
        pictures: Option<&[Area]>,
        halftones: bool,
    ) -> Self {
        let columns = g.width.div_ceil(cell_w);
        let rows = g.rows.div_ceil(cell_h);
        let measures: Vec<Measure> = (0..rows)
            .flat_map(|cy| (0..columns).map(move |cx| (cx, cy)))
            .map(|(cx, cy)| measure(g, cx * cell_w, cy * cell_h, cell_w, cell_h))
            .collect();
        let mut cells = Cells { cell_w, cell_h, columns, rows, kinds: vec![Kind::Line; columns * rows] };
        if !measures.iter().any(|m| m.busy || m.tint) {
            return cells;
        }
        if halftones {
            cells.find_photos(&measures, pictures);
        }
        cells.sort_tints(&measures, halftones);
        cells
    }

    /// Whether any cell is of `kind`.
    pub(super) fn any(&self, kind: Kind) -> bool {
        self.kinds.contains(&kind)
    }

    /// The kinds along a row of cells.
    pub(super) fn row(&self, cy: usize) -> &[Kind] {
        self.kinds.get(cy * self.columns..(cy + 1) * self.columns).unwrap_or(&[])
    }

    /// The kind that prevails around a cell of kind `Line`, where a tint reaches into it.
    pub(super) fn near(&self, cx: usize, cy: usize) -> Kind {
        let at = cy * self.columns + cx;
        neighbours(at, self.columns, self.rows, true)
            .filter_map(|n| self.kinds.get(n).copied())
            .find(|k| matches!(k, Kind::CleanLight | Kind::CleanDark | Kind::Tint))
            .unwrap_or(Kind::Line)
    }

    fn find_photos(&mut self, measures: &[Measure], pictures: Option<&[Area]>) {
        let (columns, rows) = (self.columns, self.rows);
        let (cell_w, cell_h) = (self.cell_w, self.cell_h);
        let allowed = |at: usize| {
            let Some(areas) = pictures else { return true };
            let (cx, cy) = (at % columns, at / columns);
            areas.iter().any(|a| {
                cx * cell_w < a.x1
                    && (cx + 1) * cell_w > a.x0
                    && cy * cell_h < a.y1
                    && (cy + 1) * cell_h > a.y0
            })
        };
        // Busy cells make photographs; a gap of one cell does not part them.
        let busy = |at: usize| measures.get(at).is_some_and(|m| m.busy) && allowed(at);
        let shade = |at: usize| measures.get(at).is_some_and(|m| m.busy || m.tint) && allowed(at);
        let mut seen = vec![false; measures.len()];
        for start in 0..measures.len() {
            if seen.get(start).copied().unwrap_or(true) || !busy(start) {
                continue;
            }
            let group = flood(start, columns, rows, &mut seen, true, |_, n| shade(n));
            let busy_count = group.iter().filter(|&&c| busy(c)).count();
            let (x0, x1, y0, y1) = bounds(&group, columns);
            let large = (x1 - x0 + 1) >= 5 && (y1 - y0 + 1) >= 4;
            if !large || busy_count < 12 || busy_count * 12 < group.len() {
                continue;
            }
            self.fill_hull(&group, (x0, x1, y0, y1), &allowed);
        }
        if self.any(Kind::Photo) {
            self.fill_pictures(pictures);
            self.fill_tints(measures, &allowed);
        }
    }

    /// A picture of which a good part is continuous tone is a photograph as a whole.
    fn fill_pictures(&mut self, pictures: Option<&[Area]>) {
        let (columns, rows) = (self.columns, self.rows);
        let whole = [Area { x0: 0, y0: 0, x1: columns * self.cell_w, y1: rows * self.cell_h }];
        for a in pictures.unwrap_or(&whole) {
            let across = a.x0 / self.cell_w..a.x1.div_ceil(self.cell_w).min(columns);
            let down = a.y0 / self.cell_h..a.y1.div_ceil(self.cell_h).min(rows);
            let all: Vec<usize> =
                down.flat_map(|cy| across.clone().map(move |cx| cy * columns + cx)).collect();
            let photo = all.iter().filter(|&&c| self.kinds.get(c) == Some(&Kind::Photo)).count();
            if photo * 100 >= all.len() * 60 {
                for c in all {
                    if let Some(k) = self.kinds.get_mut(c) {
                        *k = Kind::Photo;
                    }
                }
            }
        }
    }

    /// Tints without writing that touch a photograph are a part of it, such as its sky.
    fn fill_tints(&mut self, measures: &[Measure], allowed: &impl Fn(usize) -> bool) {
        let plain = |at: usize| {
            allowed(at) && measures.get(at).is_some_and(|m| m.tint && m.darker < 8 && m.lighter < 8)
        };
        let mut open: Vec<usize> =
            (0..self.kinds.len()).filter(|&c| self.kinds.get(c) == Some(&Kind::Photo)).collect();
        while let Some(c) = open.pop() {
            for n in neighbours(c, self.columns, self.rows, false) {
                if let Some(k) = self.kinds.get_mut(n)
                    && *k != Kind::Photo
                    && plain(n)
                {
                    *k = Kind::Photo;
                    open.push(n);
                }
            }
        }
    }

    /// A photograph also has white and black places: everything between its cells, in rows and in
    /// columns, belongs to it, and a rim of one cell.
    fn fill_hull(
        &mut self,
        group: &[usize],
        (x0, x1, y0, y1): (usize, usize, usize, usize),
        allowed: &impl Fn(usize) -> bool,
    ) {
        let (columns, rows) = (self.columns, self.rows);
        let mut across = vec![(usize::MAX, 0usize); y1 - y0 + 1];
        let mut down = vec![(usize::MAX, 0usize); x1 - x0 + 1];
        for &c in group {
            let (cx, cy) = (c % columns, c / columns);
            if let Some((lo, hi)) = across.get_mut(cy - y0) {
                (*lo, *hi) = ((*lo).min(cx), (*hi).max(cx));
            }
            if let Some((lo, hi)) = down.get_mut(cx - x0) {
                (*lo, *hi) = ((*lo).min(cy), (*hi).max(cy));
            }
        }
        let mut hull = Vec::new();
        for (cy, &(left, right)) in (y0..=y1).zip(&across) {
            for (cx, &(top, bottom)) in (x0..=x1).zip(&down) {
                if (left..=right).contains(&cx) && (top..=bottom).contains(&cy) {
                    hull.push(cy * columns + cx);
                }
            }
        }
        for at in hull {
            let rim: Vec<usize> = neighbours(at, columns, rows, true).collect();
            for n in rim.into_iter().chain([at]) {
                if allowed(n)
                    && let Some(k) = self.kinds.get_mut(n)
                {
                    *k = Kind::Photo;
                }
            }
        }
    }

    /// Tints: with writing on them they are cleaned, without they keep their shade.
    fn sort_tints(&mut self, measures: &[Measure], halftones: bool) {
        let (columns, rows) = (self.columns, self.rows);
        let level = |at: usize| measures.get(at).map_or(255, |m| m.level);
        let mut seen: Vec<bool> = self.kinds.iter().map(|k| *k == Kind::Photo).collect();
        for start in 0..measures.len() {
            let is_tint = |at: usize| measures.get(at).is_some_and(|m| m.tint);
            if seen.get(start).copied().unwrap_or(true) || !is_tint(start) {
                continue;
            }
            let group = flood(start, columns, rows, &mut seen, false, |from, n| {
                is_tint(n) && level(from).abs_diff(level(n)) <= 12
            });
            let (mut darker, mut lighter, mut sum) = (0, 0, 0u64);
            for m in group.iter().filter_map(|&c| measures.get(c)) {
                darker += m.darker;
                lighter += m.lighter;
                sum += u64::from(m.level);
            }
            // Cells at the edge see what lies beside the tint; writing shows inside as well.
            let inside: Vec<usize> = group
                .iter()
                .copied()
                .filter(|&c| {
                    neighbours(c, columns, rows, false).filter(|n| group.binary_search(n).is_ok()).count()
                        == 4
                })
                .collect();
            let has_inside = inside.len() * 4 >= group.len();
            if has_inside {
                (darker, lighter) = (0, 0);
                for m in inside.iter().filter_map(|&c| measures.get(c)) {
                    darker += m.darker;
                    lighter += m.lighter;
                }
            }
            let cells = if has_inside { inside.len() } else { group.len() };
            let mean = sum / (group.len() as u64).max(1);
            let written = |n: u32| u64::from(n) > 2 * cells as u64;
            // A thin strip is all edge: what looks like writing may be the paper beside it.
            let thin_and_light = !has_inside && mean >= 150;
            let kind = if thin_and_light || written(darker) && (darker >= lighter || mean > 170) {
                Kind::CleanLight
            } else if written(lighter) {
                Kind::CleanDark
            } else if halftones {
                Kind::Tint
            } else if mean >= 128 {
                Kind::CleanLight
            } else {
                Kind::CleanDark
            };
            for c in group {
                if let Some(k) = self.kinds.get_mut(c) {
                    *k = kind;
                }
            }
        }
    }
}

/// Shades are counted in classes of eight.
pub(super) fn measure(g: &Grey, x0: usize, y0: usize, w: usize, h: usize) -> Measure {
    let mut classes = [0u32; 32];
    let mut count = 0u32;
    for y in y0..(y0 + h).min(g.rows) {
        let row = g.row(y);
        for &v in row.get(x0..(x0 + w).min(g.width)).unwrap_or(&[]) {
            if let Some(c) = classes.get_mut(usize::from(v >> 3)) {
                *c += 1;
            }
            count += 1;
        }
    }
    if count == 0 {
        return Measure { level: 255, ..Measure::default() };
    }
    let at = |i: usize| classes.get(i).copied().unwrap_or(0);
    let around = |i: usize| at(i) + at(i + 1) + if i > 0 { at(i - 1) } else { 0 };
    let mode = (0..32).max_by_key(|&i| (around(i), at(i), i)).unwrap_or(31);
    let prevailing = around(mode);
    let level = u8::try_from(mode * 8 + 4).unwrap_or(255);
    let middle: u32 = (6..26).map(at).sum();
    let darker: u32 = (0..mode.saturating_sub(6)).map(at).sum();
    let lighter: u32 = (mode + 7..32).map(at).sum();
    let prevails = prevailing * 100 >= count * 45;
    Measure {
        level,
        plain: prevails,
        busy: !prevails && middle * 100 >= count * 40,
        tint: prevails && (DARK..LIGHT).contains(&level),
        darker: darker * 256 / count,
        lighter: lighter * 256 / count,
    }
}

fn bounds(group: &[usize], columns: usize) -> (usize, usize, usize, usize) {
    group.iter().fold((usize::MAX, 0, usize::MAX, 0), |(x0, x1, y0, y1), &c| {
        let (x, y) = (c % columns, c / columns);
        (x0.min(x), x1.max(x), y0.min(y), y1.max(y))
    })
}

/// The cells connected with `start`, sorted; marks them as seen.
fn flood(
    start: usize,
    columns: usize,
    rows: usize,
    seen: &mut [bool],
    diagonal: bool,
    joins: impl Fn(usize, usize) -> bool,
) -> Vec<usize> {
    let mut group = Vec::new();
    let mut open = vec![start];
    if let Some(s) = seen.get_mut(start) {
        *s = true;
    }
    while let Some(c) = open.pop() {
        group.push(c);
        for n in neighbours(c, columns, rows, diagonal) {
            if let Some(s) = seen.get_mut(n)
                && !*s
                && joins(c, n)
            {
                *s = true;
                open.push(n);
            }
        }
    }
    group.sort_unstable();
    group
}

fn neighbours(at: usize, columns: usize, rows: usize, diagonal: bool) -> impl Iterator<Item = usize> {
    const AROUND: [(isize, isize); 8] =
        [(-1, 0), (1, 0), (0, -1), (0, 1), (-1, -1), (1, -1), (-1, 1), (1, 1)];
    let (x, y) = (at % columns, at / columns);
    AROUND.into_iter().take(if diagonal { 8 } else { 4 }).filter_map(move |(dx, dy)| {
        let nx = x.checked_add_signed(dx).filter(|&v| v < columns)?;
        let ny = y.checked_add_signed(dy).filter(|&v| v < rows)?;
        Some(ny * columns + nx)
    })
}
