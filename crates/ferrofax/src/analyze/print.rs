//! Findings on paper: a ladder for people, JSON for programs.

use super::findings::{Findings, FoundPage, Line, What};
use fax_base::line::Modulation;
use fax_dsp::modem::Quality;
use fax_t30::Role;
use fax_t30::observer::Answer;
use fax_terminal::Signal;
use fax_terminal::ladder::{lines, note, signal_words, tone_name};
use serde_json::{Value, json};

/// The ladder: the calling end on the left, the called one on the right.
pub(super) fn ladder(found: &Findings) -> String {
    found.lines.iter().flat_map(in_words).map(|line| line + "\n").collect()
}

fn in_words(line: &Line) -> Vec<String> {
    let arrow = |name: &str, text: &str| lines(Some(line.at), line.sender, name, text);
    let beside = |text: String| note(line.at, &text);
    match &line.what {
        What::Tone(tone) => arrow(tone_name(*tone), ""),
        What::Frame { name, words, .. } => arrow(name, words),
        What::Damaged => arrow("?", "a frame that cannot be read"),
        What::Signal(signal) => beside(signal_words(signal)),
        What::TrainingCheck { modulation, good } => {
            beside(format!("{modulation} training check {}", if *good { "good" } else { "bad" }))
        }
        What::PageStart { index, modulation } => beside(format!("page {} begins, {modulation}", index + 1)),
        What::Page { index, rows, bad_rows, answer } => {
            let bad = if *bad_rows == 0 { String::new() } else { format!(", {bad_rows} of them damaged") };
            beside(format!("page {}: {rows} rows{bad}; {}", index + 1, answer_words(*answer)))
        }
        What::Ifps { kind, count, octets } => {
            let times = if *count == 1 { String::new() } else { format!(" × {count}") };
            let data = if *octets == 0 { String::new() } else { format!(", {octets} octets") };
            arrow("IFP", &format!("{kind}{times}{data}"))
        }
    }
}

const fn answer_words(answer: Answer) -> &'static str {
    match answer {
        Answer::Confirmed => "confirmed",
        Answer::Poor => "confirmed as poor (RTP)",
        Answer::Refused => "refused (RTN)",
        Answer::Missing => "no confirmation heard",
    }
}

/// Everything as one JSON object.
pub(super) fn json(found: &Findings, ok: bool, sentence: &str, notes: &[String]) -> Value {
    json!({
        "ok": ok,
        "sentence": sentence,
        "calling_id": found.calling_ident,
        "called_id": found.called_ident,
        "duration_s": found.end.as_millis() as f64 / 1000.0,
        "pages": found.pages.iter().map(page).collect::<Vec<_>>(),
        "ladder": found.lines.iter().map(line).collect::<Vec<_>>(),
        "audio_lost": found.samples.iter().zip(found.lost).map(|(passed, lost)| {
            let all = passed + lost;
            if all == 0 { Value::Null } else { json!(lost as f64 / all as f64) }
        }).collect::<Vec<_>>(),
        "notes": notes,
    })
}

fn page(found: &FoundPage) -> Value {
    let format = &found.page.format;
    json!({
        "page": found.page.index + 1,
        "rows": found.page.rows,
        "bad_rows": found.page.bad_rows,
        "width": format.pels(),
        "resolution": [format.resolution.x_per_inch(), format.resolution.y_per_inch()],
        "coding": format.coding.to_string(),
        "ecm": format.ecm,
        "modem": found.modulation.map(Modulation::recommendation),
        "bit_rate": found.modulation.map(Modulation::bit_rate),
        "answer": match found.answer {
            Answer::Confirmed => "confirmed",
            Answer::Poor => "poor",
            Answer::Refused => "refused",
            Answer::Missing => "missing",
        },
    })
}

fn line(line: &Line) -> Value {
    let mut told = match &line.what {
        What::Tone(tone) => json!({ "tone": tone_name(*tone) }),
        What::Frame { name, text, .. } => json!({ "frame": name, "text": text }),
        What::Damaged => json!({ "frame": Value::Null }),
        What::Signal(signal) => signal_json(signal),
        What::TrainingCheck { modulation: m, good } => {
            json!({ "training_check": good, "modem": m.recommendation(), "bit_rate": m.bit_rate() })
        }
        What::PageStart { index, modulation: m } => {
            json!({ "page_start": index + 1, "modem": m.recommendation(), "bit_rate": m.bit_rate() })
        }
        What::Page { index, rows, bad_rows, .. } => {
            json!({ "page": index + 1, "rows": rows, "bad_rows": bad_rows })
        }
        What::Ifps { kind, count, octets } => json!({ "ifp": kind, "count": count, "octets": octets }),
    };
    told["t"] = json!(line.at.as_millis() as f64 / 1000.0);
    told["from"] = match line.sender {
        Some(Role::Calling) => json!("calling"),
        Some(Role::Called) => json!("called"),
        None => Value::Null,
    };
    told
}

fn signal_json(signal: &Signal) -> Value {
    let (state, modulation, quality) = match signal {
        Signal::Trained { modulation, quality } => ("trained", modulation, Some(quality)),
        Signal::NotTrained { modulation } => ("not_trained", modulation, None),
        Signal::Over { modulation, quality } => ("over", modulation, Some(quality)),
    };
    let figure = |of: fn(&Quality) -> f32| quality.map(|q| (f64::from(of(q)) * 10.0).round() / 10.0);
    json!({
        "signal": state, "modem": modulation.recommendation(), "bit_rate": modulation.bit_rate(),
        "level_dbm0": figure(|q| q.level.0), "snr_db": figure(|q| q.snr_db),
        "offset_hz": figure(|q| q.offset_hz), "clock_ppm": figure(|q| q.clock_ppm),
    })
}
