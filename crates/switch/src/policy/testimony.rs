//! What one call says about the far end's and the route's abilities. Only causes that speak for an ability count: an engaged
//! line, nobody there, a refused number or a fault of ours say nothing (T.30 clause 5, TSB-85).

use super::classes::is_success;
use super::plan::Plan;
use crate::port::{CallResult, Observed, T38Course};
use fax_base::line::Modulation;
use fax_store::model::Ability;
use fax_t30::PageStatus;

/// What a call says about one ability.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Says {
    /// The fax was delivered with it, at this step.
    Works(usize),
    /// It failed.
    Fails {
        /// 1: it is one of those that may have been to blame. 2: the call itself shows that it was.
        points: u32,
        /// The step that would have been right.
        towards: usize,
    },
    /// The fax was delivered, and at this step because the job's own failures had asked for less than the profile.
    Without(usize),
}

/// One statement of a call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Testimony {
    /// About what.
    pub ability: Ability,
    /// What.
    pub says: Says,
    /// In words, where it is against it.
    pub why: &'static str,
}

fn against(ability: Ability, points: u32, towards: usize, why: &'static str) -> Testimony {
    Testimony { ability, says: Says::Fails { points, towards }, why }
}

fn is_v17(modulation: Modulation) -> bool {
    modulation.recommendation() == "V.17"
}

/// Whether these classes are about what happened between the two machines, or on the line between them. All others
/// (engaged, nobody there, refused, called off, our own fault …) say nothing about abilities.
fn is_about_the_fax(class: &str) -> bool {
    matches!(
        class,
        "b.train"
            | "b.noresp"
            | "b.badresp"
            | "b.dis3"
            | "b.nodis"
            | "b.phbfail"
            | "c.general"
            | "d.noresp"
            | "d.badresp"
            | "d.dcn"
            | "d.rtn"
            | "d.ecmphd"
            | "d.ecm.give-up"
            | "call.dropped"
            | "call.nofax"
    )
}

/// All that a call says: at most one statement an ability. `plan` is how the call was made.
#[must_use]
pub fn testify(plan: &Plan, result: &CallResult) -> Vec<Testimony> {
    let mut said = Vec::new();
    let seen = &result.observed;
    let delivered = is_success(&result.class);
    if !delivered && !is_about_the_fax(&result.class) && result.class != "call.media" {
        return said;
    }
    if plan.step(Ability::T38) < 2 {
        said.extend(of_t38(plan, result, delivered));
    }
    // By T.38 the modems are the gateway's: what they do says as much of the far end all the same.
    if plan.step(Ability::V17) == 0 && plan.step(Ability::ShortTraining) == 0 {
        said.extend(of_v17(seen));
        said.extend(of_short_training(result, delivered));
    }
    said.extend(of_rate(plan, result, delivered));
    if plan.step(Ability::Ecm) == 0 {
        said.extend(of_ecm(result, delivered));
    }
    said.extend(of_coding(plan, result, delivered));
    if delivered {
        for planned in &plan.entries {
            let spoken = said.iter().any(|t| t.ability == planned.ability);
            if !spoken && planned.step > planned.profile_step {
                let says = Says::Without(planned.step);
                said.push(Testimony { ability: planned.ability, says, why: "" });
            }
        }
    }
    said
}

fn of_t38(plan: &Plan, result: &CallResult, delivered: bool) -> Option<Testimony> {
    let t38 = Ability::T38;
    let accept_only = 1;
    Some(match result.observed.t38 {
        T38Course::Unasked => return None,
        T38Course::Refused(status) => {
            // No answer, a crossing request or an overloaded server may be otherwise the next time.
            let passing = matches!(status, 408 | 491 | 429 | 500..=599);
            against(t38, if passing { 1 } else { 2 }, accept_only, "our offer of T.38 was refused")
        }
        T38Course::Silent => against(t38, 2, 2, "T.38 was agreed and nothing came by it"),
        T38Course::Left => against(t38, 1, 2, "the call went back from T.38 to audio"),
        T38Course::Agreed if delivered => {
            Testimony { ability: t38, says: Says::Works(plan.step(t38)), why: "" }
        }
        T38Course::Agreed => match result.class.as_str() {
            // These have culprits of their own.
            "d.rtn" | "d.ecmphd" | "d.dcn" => return None,
            _ => against(t38, 1, 2, "a fax by T.38 failed"),
        },
    })
}

/// V.17 was refused at two rates or more and another modem was taken in the same call: that it is V.17, and not the line,
/// shows in the call itself. A V.17 whose training was confirmed works as far as that goes.
fn of_v17(seen: &Observed) -> Option<Testimony> {
    let count = |v17: bool| seen.trainings.iter().filter(move |t| is_v17(t.modulation) == v17);
    let refused: u32 = count(true).map(|t| t.failed).sum();
    if count(true).any(|t| t.passed > 0) {
        return confirmed(seen, true).then_some(Testimony {
            ability: Ability::V17,
            says: Says::Works(0),
            why: "",
        });
    }
    let other = count(false).any(|t| t.passed > 0);
    (refused >= 2 && other)
        .then(|| against(Ability::V17, 2, 1, "V.17 was never trained and another modem was"))
}

/// Whether a page was confirmed that went by V.17, or by another modem.
fn confirmed(seen: &Observed, v17: bool) -> bool {
    let good = |s: PageStatus| matches!(s, PageStatus::Confirmed | PageStatus::Poor);
    seen.pages.iter().any(|p| good(p.status) && is_v17(p.modulation) == v17)
}

/// V.17 was trained (by its long training), but no image that began with the short one got through.
fn of_short_training(result: &CallResult, delivered: bool) -> Option<Testimony> {
    let seen = &result.observed;
    let trained = seen.trainings.iter().any(|t| is_v17(t.modulation) && t.passed > 0);
    if !trained {
        return None;
    }
    if confirmed(seen, true) {
        let says = Says::Works(0);
        return delivered.then_some(Testimony { ability: Ability::ShortTraining, says, why: "" });
    }
    let repeated = |p: &fax_t30::PageRecord| p.repeats > 0 || p.frames_again > 0;
    let by_another = confirmed(seen, false) && seen.pages.first().is_some_and(repeated);
    let images = seen.pages.iter().any(|p| is_v17(p.modulation));
    let about_images = matches!(
        result.class.as_str(),
        "d.noresp" | "d.badresp" | "d.rtn" | "d.ecm.give-up" | "call.dropped"
    );
    let why = "V.17 was trained, but no page got through by it";
    match (by_another, images && about_images) {
        (true, _) => Some(against(Ability::ShortTraining, 2, 1, why)),
        (false, true) => Some(against(Ability::ShortTraining, 1, 1, why)),
        (false, false) => None,
    }
}

/// The step of [`Ability::Rate`] that allows this rate and nothing faster.
pub(super) fn step_of_rate(bit_rate: u32) -> usize {
    match bit_rate {
        12_001.. => 0,
        9_601..=12_000 => 1,
        7_201..=9_600 => 2,
        4_801..=7_200 => 3,
        2_401..=4_800 => 4,
        0..=2_400 => 5,
    }
}

/// The fastest rate that this step allows, bit/s.
pub(super) const fn rate_of_step(step: usize) -> Option<u32> {
    match step {
        0 => None,
        1 => Some(12_000),
        2 => Some(9_600),
        3 => Some(7_200),
        4 => Some(4_800),
        _ => Some(2_400),
    }
}

fn of_rate(plan: &Plan, result: &CallResult, delivered: bool) -> Option<Testimony> {
    let rate = result.bit_rate?;
    let (planned, used) = (plan.step(Ability::Rate), step_of_rate(rate));
    let seen = &result.observed;
    // Refusals of V.17 where another modem was trained in the end are V.17's: see above.
    let v17_to_blame = of_v17(seen).is_some_and(|t| matches!(t.says, Says::Fails { .. }));
    let refused = seen.trainings.iter().any(|t| t.failed > 0 && !(v17_to_blame && is_v17(t.modulation)));
    if delivered && !refused && !v17_to_blame {
        return Some(Testimony { ability: Ability::Rate, says: Says::Works(planned), why: "" });
    }
    if delivered && refused && used > planned {
        // A step of one is soon made in every call; falling far costs more than it is worth to try.
        let tried = seen.trainings.iter().map(|t| step_of_rate(t.modulation.bit_rate())).min().unwrap_or(0);
        let points = if used.saturating_sub(tried) > 1 { 2 } else { 1 };
        return Some(against(Ability::Rate, points, used, "faster rates failed in training"));
    }
    let too_fast = matches!(result.class.as_str(), "d.rtn" | "d.ecm.give-up");
    let slower = step_of_rate(rate.saturating_sub(1));
    (too_fast && slower > planned)
        .then(|| against(Ability::Rate, 1, slower, "pages did not get through at this rate"))
}

fn of_ecm(result: &CallResult, delivered: bool) -> Option<Testimony> {
    let ecm = Ability::Ecm;
    match result.class.as_str() {
        "d.ecmphd" => Some(against(ecm, 1, 1, "error correction broke down")),
        "d.ecm.give-up" => Some(against(ecm, 1, 1, "error correction gave a page up")),
        _ => (delivered && result.ecm).then_some(Testimony { ability: ecm, says: Says::Works(0), why: "" }),
    }
}

/// The step of [`Ability::Coding`] that this coding is.
fn step_of_coding(coding: &str) -> usize {
    match coding {
        "MH" => 3,
        "MR" => 2,
        "MMR" => 1,
        _ => 0,
    }
}

fn of_coding(plan: &Plan, result: &CallResult, delivered: bool) -> Option<Testimony> {
    let (planned, used) = (plan.step(Ability::Coding), step_of_coding(result.coding.as_deref()?));
    if delivered {
        let dense = used < 3 || planned == 3;
        let says = Says::Works(planned);
        return dense.then_some(Testimony { ability: Ability::Coding, says, why: "" });
    }
    // Refused again and again, and slower each time: then it may be the decoder.
    let refused = result.class == "d.rtn" && used < 3;
    refused.then(|| {
        against(Ability::Coding, 1, used + 1, "pages in this coding were found unreadable each time")
    })
}
