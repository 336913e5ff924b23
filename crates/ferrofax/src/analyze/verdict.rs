//! One plain sentence on how the call went, from what was found.

use super::findings::{Findings, What};
use fax_base::line::Tone;
use fax_t30::Role;
use fax_t30::observer::Answer;
use fax_terminal::Signal;

/// Part of the audio of one end that must be missing to be worth telling, in a hundred.
const WORTH_TELLING: u64 = 1;

/// Whether the fax went well, and a sentence for people.
pub(super) fn verdict(found: &Findings) -> (bool, String) {
    let (well, mut sentence) = course(found);
    if let Some(lost) = losses(found) {
        sentence.push(' ');
        sentence.push_str(&lost);
    }
    (well, sentence)
}

fn course(found: &Findings) -> (bool, String) {
    let count = |name: &str| found.frames().filter(|(_, n)| *n == name).count();
    let tone = |tone: Tone| found.lines.iter().any(|l| l.what == What::Tone(tone));
    let times = |n: usize| if n == 1 { "once".to_owned() } else { format!("{n} times") };
    let failed = |sentence: String| (false, sentence);
    if !found.pages.is_empty() {
        return pages(found);
    }
    if count("DIS") == 0 && count("DCS") == 0 {
        return failed(match (tone(Tone::Cng), tone(Tone::Ced)) {
            _ if found.frames().next().is_some() => {
                "The beginning of the call is missing: there is neither DIS nor DCS.".to_owned()
            }
            (_, true) => {
                "The called end sent the answering tone (CED), but no DIS that could be read.".to_owned()
            }
            (true, false) => "The calling end sent CNG, and no fax machine answered.".to_owned(),
            (false, false) => "There is no fax here: neither tones nor frames of T.30 were found.".to_owned(),
        });
    }
    if count("DCS") == 0 {
        return failed(if count("DTC") > 0 {
            "The calling end wanted to poll (DTC), and the called end sent nothing.".to_owned()
        } else if let Some(who) = disconnected(found) {
            format!("After DIS {who} hung up (DCN) without sending anything.")
        } else {
            format!(
                "The called end introduced itself (DIS, {}), and the calling end never answered it.",
                times(count("DIS"))
            )
        });
    }
    if count("CFR") == 0 {
        return failed(if count("FTT") > 0 {
            format!(
                "The line did not carry any speed: the receiver refused the training check {}.{}",
                times(count("FTT")),
                worst(found)
            )
        } else if let Some(who) = disconnected(found) {
            format!("After DCS and the training check {who} hung up (DCN).")
        } else {
            format!(
                "DCS and the training check were sent {}, and nobody answered them.{}",
                times(count("DCS")),
                worst(found)
            )
        });
    }
    failed(match disconnected(found) {
        Some(who) => format!("Training succeeded, and then {who} hung up (DCN) before any page."),
        None => format!("Training succeeded, but no page could be received.{}", worst(found)),
    })
}

fn pages(found: &Findings) -> (bool, String) {
    let bad: u32 = found.pages.iter().map(|p| p.page.bad_rows).sum();
    let flaws = match bad {
        0 => String::new(),
        1 => " One row of them is damaged.".to_owned(),
        n => format!(" {n} rows of them are damaged."),
    };
    let repeats = found.frames().filter(|(_, n)| *n == "PPR").count();
    let requests = match repeats {
        0 => String::new(),
        1 => " Frames had to be repeated once.".to_owned(),
        n => format!(" Frames had to be repeated {n} times."),
    };
    let total = found.pages.len();
    let plural = if total == 1 { "page was" } else { "pages were" };
    let Some((at, wrong)) =
        found.pages.iter().enumerate().find(|(_, p)| matches!(p.answer, Answer::Refused | Answer::Missing))
    else {
        return (true, format!("{total} {plural} sent and confirmed.{flaws}{requests}"));
    };
    let page = at + 1;
    let last_command =
        found.frames().rev().find(|(_, n)| !matches!(*n, "DCN" | "RNR" | "RR" | "CTC" | "CTR"));
    let sentence = match wrong.answer {
        Answer::Refused => format!("Page {page} was refused as unreadable (RTN)."),
        Answer::Confirmed | Answer::Poor | Answer::Missing => match last_command {
            Some((_, "PPR")) => format!("Error correction never got page {page} through."),
            Some((_, name)) if name.starts_with("PPS") || matches!(name, "EOP" | "MPS" | "EOM" | "EOS") => {
                format!("Page {page} was sent, and its confirmation was not heard: it may have arrived.")
            }
            Some((_, name)) if name.starts_with("EOR") || name == "ERR" => {
                format!("The sender gave page {page} up after too many repeats.")
            }
            Some(_) | None => format!("The call ended in the middle of page {page}."),
        },
    };
    (false, format!("{sentence}{flaws}{requests}{}", worst(found)))
}

/// Who sent DCN, if anybody did.
fn disconnected(found: &Findings) -> Option<&'static str> {
    found.frames().rev().find(|(_, n)| *n == "DCN").map(|(who, _)| match who {
        Some(Role::Calling) => "the calling end",
        Some(Role::Called) => "the called end",
        None => "one end",
    })
}

/// The poorest of the signals.
fn worst(found: &Findings) -> String {
    let signal = |what: &What| match what {
        What::Signal(Signal::Trained { modulation, quality } | Signal::Over { modulation, quality }) => {
            Some((*modulation, quality.snr_db))
        }
        _ => None,
    };
    let poorest = found.lines.iter().filter_map(|l| signal(&l.what)).min_by(|a, b| a.1.total_cmp(&b.1));
    poorest.map_or_else(String::new, |(modulation, snr)| {
        format!(" The poorest signal was {modulation} with {snr:.0} dB signal to noise.")
    })
}

/// What is missing of the audio.
fn losses(found: &Findings) -> Option<String> {
    let sides = [fax_t30::observer::Side::First, fax_t30::observer::Side::Second];
    let told: Vec<String> = found
        .lost
        .iter()
        .zip(found.samples)
        .zip(sides)
        .filter(|((lost, passed), _)| **lost * 100 >= (**lost + passed) * WORTH_TELLING && **lost > 0)
        .map(|((lost, passed), side)| {
            let part = *lost as f64 * 100.0 / (*lost + passed) as f64;
            let who = match found.role(side) {
                Some(Role::Calling) => "the calling end",
                Some(Role::Called) => "the called end",
                None => "one end",
            };
            format!("{part:.1} % of the audio of {who}")
        })
        .collect();
    (!told.is_empty()).then(|| format!("Lost on the way: {}.", told.join(", ")))
}
