//! `compressions`, for all calls or for those of one trunk: the codings in which pages in black and white go, the best
//! first (T.30 Table 2).

use super::written::Section;
use fax_base::page::Coding;

/// Which codings, and which of the two dense ones is taken where the far end has both.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Compressions {
    /// MH is always one of them.
    pub(crate) codings: Vec<Coding>,
    pub(crate) prefer_t85: bool,
}

const WORDS: [(&str, Coding); 4] =
    [("t85", Coding::T85), ("mmr", Coding::Mmr), ("mr", Coding::Mr), ("mh", Coding::Mh)];

/// The list of a section, if it has one.
pub(super) fn compressions(s: &Section<'_, '_>) -> Option<Compressions> {
    const KEY: &str = "compressions";
    const REMEDY: &str =
        "write some of \"t85\", \"mmr\", \"mr\", \"mh\" in this order, or \"mmr\" before \"t85\"";
    if !s.has(KEY) {
        return None;
    }
    let said = s.texts(KEY);
    if said.is_empty() {
        s.fault(s.line, format!("{} is empty", s.path(KEY)), REMEDY);
    }
    let mut codings: Vec<Coding> = Vec::new();
    for word in said {
        match WORDS.iter().find(|(name, _)| *name == word.value) {
            Some((_, coding)) if follows(*coding, &codings) => codings.push(*coding),
            Some(_) => {
                s.fault(word.line, format!("{} has {} in a wrong place", s.path(KEY), word.value), REMEDY);
            }
            None => s.fault(word.line, format!("{} has {:?}", s.path(KEY), word.value), REMEDY),
        }
    }
    let place = |coding| codings.iter().position(|c| *c == coding);
    let prefer_t85 = place(Coding::T85).is_some_and(|t85| place(Coding::Mmr).is_none_or(|mmr| t85 < mmr));
    if !codings.contains(&Coding::Mh) {
        codings.push(Coding::Mh);
    }
    Some(Compressions { codings, prefer_t85 })
}

/// Whether a coding may stand behind these: a denser one stands before the others, T.85 on either side of MMR.
fn follows(coding: Coding, before: &[Coding]) -> bool {
    let may_precede: &[Coding] = match coding {
        Coding::T85 => &[Coding::Mmr],
        Coding::Mmr => &[Coding::T85],
        Coding::Mr => &[Coding::T85, Coding::Mmr],
        Coding::Mh => &[Coding::T85, Coding::Mmr, Coding::Mr],
        Coding::T81(_) => &[],
    };
    before.iter().all(|c| may_precede.contains(c))
}
