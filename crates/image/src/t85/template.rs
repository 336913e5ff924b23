//! The pels of a line in their contexts (T.82 §6.7.1 and Figures 13 and 14).
//!
//! Contexts are numbered with the upper left pel highest. From one pel to the next a context is shifted by
//! one, and the pels that come into sight on the right of each line are put in.

use super::Template;
use super::qm::{Contexts, Decoder, Encoder};

/// White runs shorter than this are quicker pel by pel.
const SHORT_RUN: u32 = 4;

/// The lines that a context looks at, 64 pels a word, the first one highest; one more word at the end is
/// white, and so are the pels behind the last one.
#[derive(Clone, Debug)]
pub(super) struct Lines {
    pub(super) current: Vec<u64>,
    pub(super) above: Vec<u64>,
    pub(super) above_2: Vec<u64>,
    pub(super) width: u32,
}

impl Lines {
    /// White ones.
    pub(super) fn new(width: u32) -> Self {
        let white = vec![0; width.div_ceil(64) as usize + 1];
        Lines { current: white.clone(), above: white.clone(), above_2: white, width }
    }

    /// The current line is done.
    pub(super) fn advance(&mut self) {
        core::mem::swap(&mut self.above_2, &mut self.above);
        core::mem::swap(&mut self.above, &mut self.current);
    }

    /// The current line was like the one above it.
    pub(super) fn advance_same(&mut self) {
        self.above_2.clone_from(&self.above);
    }

    /// Everything above is white again.
    pub(super) fn clear(&mut self) {
        self.above.fill(0);
        self.above_2.fill(0);
    }

    /// Words that hold pels.
    pub(super) fn words(&self) -> usize {
        self.current.len() - 1
    }

    /// Pels in word `index`.
    fn pels_in(&self, index: usize) -> u32 {
        self.width.saturating_sub(index as u32 * 64).min(64)
    }

    /// Word `index` of a line from its second pel (`by` 1) or third pel (`by` 2) on.
    #[inline]
    fn ahead(line: &[u64], index: usize, by: u32) -> u64 {
        match line.get(index..) {
            Some([word, next, ..]) => word << by | next >> (64 - by),
            Some(_) | None => 0,
        }
    }
}

/// The context of the pseudo-pel SLNTP that says whether a line is typical (T.82 Figures 15 and 16).
pub(super) const fn typical_context(template: Template) -> usize {
    match template {
        Template::ThreeLine => 0x0E5,
        Template::TwoLine => 0x195,
    }
}

/// How contexts of one kind are put together.
struct Shape {
    /// What stays of a context when it is shifted by one.
    stays: u32,
    /// Where the new pel of the line above comes in.
    above: u32,
    /// How far ahead of the current pel it is.
    above_ahead: u32,
    /// Where the moved adaptive pel comes in.
    adaptive: u32,
}

/// `TWO`: the two-line template. `MOVED`: the adaptive pel is on the current line, else it is the third
/// pel to the right on the line above, which belongs to the others there.
const fn shape(two: bool, moved: bool) -> Shape {
    match (two, moved) {
        (false, false) => Shape { stays: 0x37A, above: 2, above_ahead: 2, adaptive: 0 },
        (false, true) => Shape { stays: 0x372, above: 3, above_ahead: 1, adaptive: 2 },
        (true, false) => Shape { stays: 0x3EE, above: 4, above_ahead: 2, adaptive: 0 },
        (true, true) => Shape { stays: 0x3CE, above: 5, above_ahead: 1, adaptive: 4 },
    }
}

/// A context that moves along a line.
#[derive(Clone, Copy, Debug)]
pub(super) struct Window {
    context: u32,
    /// The pels before the current one, the last one lowest.
    before: u128,
}

impl Window {
    /// Before the first pel of a line.
    pub(super) fn new(lines: &Lines, template: Template, moved: bool) -> Self {
        let two = template == Template::TwoLine;
        let shape = shape(two, moved);
        let pel = |line: &[u64], i: u32| line.first().map_or(0, |w| (w >> (63 - i) & 1) as u32);
        let mut context = 0;
        for i in 0..shape.above_ahead {
            context |= pel(&lines.above, i) << (shape.above + shape.above_ahead - 1 - i);
        }
        if !two {
            context |= pel(&lines.above_2, 0) << 7;
        }
        Window { context, before: 0 }
    }
}

/// Encodes the current line; `at` is the distance of a moved adaptive pel, else 0.
pub(super) fn encode_line(coder: &mut Encoder, contexts: &mut Contexts, lines: &Lines, template: Template) {
    match template {
        Template::ThreeLine => encode_words::<false>(coder, contexts, lines),
        Template::TwoLine => encode_words::<true>(coder, contexts, lines),
    }
}

fn encode_words<const TWO: bool>(coder: &mut Encoder, contexts: &mut Contexts, lines: &Lines) {
    let shape = const { shape(TWO, false) };
    let template = if TWO { Template::TwoLine } else { Template::ThreeLine };
    let mut context = Window::new(lines, template, false).context;
    let mut pel = 0;
    for index in 0..lines.words() {
        let mut current = lines.current.get(index).copied().unwrap_or(0);
        let mut above = Lines::ahead(&lines.above, index, shape.above_ahead);
        let mut above_2 = if TWO { 0 } else { Lines::ahead(&lines.above_2, index, 1) };
        let mut left = lines.pels_in(index);
        while left > 0 {
            context = (context << 1 & shape.stays) | ((above >> 63) as u32) << shape.above | pel;
            if !TWO {
                context |= ((above_2 >> 63) as u32) << 7;
            }
            let Some(state) = contexts.get_mut(context as usize & 1023) else { return };
            if context == 0 {
                let white = (current | above | above_2).leading_zeros().min(left);
                if white >= SHORT_RUN {
                    coder.code_white(state, white);
                    left -= white;
                    // 64 zeros need no shift.
                    (current, above, above_2) =
                        (current << (white & 63), above << (white & 63), above_2 << (white & 63));
                    pel = 0;
                    continue;
                }
            }
            pel = (current >> 63) as u32;
            coder.code(state, pel);
            (current, above, above_2) = (current << 1, above << 1, above_2 << 1);
            left -= 1;
        }
    }
}

/// Decodes word `index` of the current line; `at` is the distance of a moved adaptive pel, else 0.
pub(super) fn decode_word(
    coder: &mut Decoder,
    octets: &[u8],
    contexts: &mut Contexts,
    lines: &mut Lines,
    index: usize,
    window: &mut Window,
    (template, at): (Template, u8),
) {
    let word = match (template, at) {
        (Template::ThreeLine, 0) => word::<false, false>(coder, octets, contexts, lines, index, window, 0),
        (Template::TwoLine, 0) => word::<true, false>(coder, octets, contexts, lines, index, window, 0),
        (Template::ThreeLine, _) => word::<false, true>(coder, octets, contexts, lines, index, window, at),
        (Template::TwoLine, _) => word::<true, true>(coder, octets, contexts, lines, index, window, at),
    };
    if let Some(to) = lines.current.get_mut(index) {
        *to = word;
    }
}

fn word<const TWO: bool, const MOVED: bool>(
    coder: &mut Decoder,
    octets: &[u8],
    contexts: &mut Contexts,
    lines: &Lines,
    index: usize,
    window: &mut Window,
    at: u8,
) -> u64 {
    let shape = const { shape(TWO, MOVED) };
    let mut above = Lines::ahead(&lines.above, index, shape.above_ahead);
    let mut above_2 = if TWO { 0 } else { Lines::ahead(&lines.above_2, index, 1) };
    let pels = lines.pels_in(index);
    let mut left = pels;
    let mut word = 0u64;
    let (mut context, mut before) = (window.context, window.before);
    let mut pel = before as u32 & 1;
    while left > 0 {
        context = (context << 1 & shape.stays) | ((above >> 63) as u32) << shape.above | pel;
        if !TWO {
            context |= ((above_2 >> 63) as u32) << 7;
        }
        if MOVED {
            context |= ((before >> (at.wrapping_sub(1) & 127)) as u32 & 1) << shape.adaptive;
        }
        let Some(state) = contexts.get_mut(context as usize & 1023) else { break };
        if context == 0 && (!MOVED || before == 0) {
            let most = (above | above_2).leading_zeros().min(left);
            if most >= SHORT_RUN {
                let white = coder.white(*state, most);
                if white > 0 {
                    left -= white;
                    if white == 64 {
                        (word, above, above_2) = (0, 0, 0);
                    } else {
                        (word, above, above_2) = (word << white, above << white, above_2 << white);
                    }
                    pel = 0;
                    continue;
                }
            }
        }
        pel = coder.decode(state, octets);
        word = word << 1 | u64::from(pel);
        if MOVED {
            before = before << 1 | u128::from(pel);
        }
        (above, above_2) = (above << 1, above_2 << 1);
        left -= 1;
    }
    if !MOVED {
        before = u128::from(pel);
    }
    *window = Window { context, before };
    word << ((64 - pels) & 63)
}
