//! The ladder of a call, to be read like a book: when, who said it, which frame, and what it means; what the modems
//! and the network did; and at the end what came of every page, why, and what to do next (T.30 §5.3.6, Annex A).
//!
//! The calling end stands on the left and the called one on the right, so that the ladders of both ends of a call read
//! alike. A line has [`WIDTH`] columns at most.

use crate::api::{Output, ReceivedPage, Signal};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::line::Tone;
use fax_base::page::PageFormat;
use fax_dsp::modem::Quality;
use fax_t30::cause::{Fault, Next};
use fax_t30::frames::{Fcf, Frame};
use fax_t30::{Event, Outcome, PageRecord, PageStatus, Phase, Role};

/// Columns of a line.
pub const WIDTH: usize = 120;
/// Columns of the time and of the calling end.
const TIME: usize = 9;
const LEFT: usize = 12;
/// Where the words of what is no frame begin.
const BESIDE: usize = TIME + 2 + LEFT + 4;

/// The lines for something at this time. `sender`: who sent it; `None` with a name: one of them; without a name: what
/// happens beside the frames. Without a time the column stays empty.
#[must_use]
pub fn lines(at: Option<Instant>, sender: Option<Role>, name: &str, words: &str) -> Vec<String> {
    let time = at.map(|at| at.to_string()).unwrap_or_default();
    let head = match (sender, name) {
        (_, "") => format!("{time:>TIME$}  {:LEFT$}    ", ""),
        (Some(Role::Calling), name) => format!("{time:>TIME$}  {name:>LEFT$} ─▶  "),
        (Some(Role::Called), name) => format!("{time:>TIME$}  {:LEFT$} ◀─ {name}  ", ""),
        (None, name) => format!("{time:>TIME$}  {name:>LEFT$} ──  "),
    };
    let mut lines = Vec::new();
    let mut line = head.clone();
    let mut columns = head.chars().count();
    for word in words.split_whitespace() {
        let wide = word.chars().count();
        if columns + wide > WIDTH && columns > BESIDE + 2 {
            lines.push(line.trim_end().to_owned());
            line = " ".repeat(BESIDE + 2);
            columns = BESIDE + 2;
        }
        // Nobody's word may be wider than the page.
        line.extend(word.chars().take(WIDTH.saturating_sub(columns)));
        line.push(' ');
        columns += wide + 1;
    }
    lines.push(line.trim_end().to_owned());
    lines
}

/// Frames of the largest block (T.30 Annex A).
const BLOCK: usize = 256;

/// The frames that a partial page signal says were sent.
fn block_of(octets: &Bytes) -> Option<usize> {
    let frame = Frame::parse(octets).filter(|frame| frame.fcf == Fcf::Pps)?;
    frame.fif.get(3).map(|count| usize::from(count.reverse_bits()) + 1)
}

/// Whether what is said belongs to the block that is being corrected.
fn sent_again(name: &str) -> bool {
    name.starts_with("PPS") || matches!(name, "PPR" | "RR" | "RNR" | "CTC" | "CTR" | "CRP")
}

/// The other end.
const fn other(role: Role) -> Role {
    match role {
        Role::Calling => Role::Called,
        Role::Called => Role::Calling,
    }
}

/// The ladder of one end's call, as it goes.
#[derive(Debug)]
pub struct Ladder {
    role: Role,
    first_page: usize,
    /// The last frames of ours and of theirs since the other spoke, and how often each was said.
    ours: Vec<(Bytes, u32)>,
    theirs: Vec<(Bytes, u32)>,
    /// Frames of the last block.
    block: usize,
    /// Training checks that failed in a row.
    failed_checks: u32,
    /// How often something of the present page was wanted again.
    resends: u32,
}

impl Ladder {
    /// An empty ladder of the end with this role.
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self::numbered_from(role, 0)
    }

    /// The same, with pages that are numbered in a document of which `first_page` were sent before, from 0.
    #[must_use]
    pub fn numbered_from(role: Role, first_page: usize) -> Self {
        let (ours, theirs) = (Vec::new(), Vec::new());
        Ladder { role, first_page, ours, theirs, block: BLOCK, failed_checks: 0, resends: 0 }
    }

    /// The lines for what a terminal says.
    pub fn output(&mut self, at: Instant, output: &Output) -> Vec<String> {
        match output {
            Output::Datagram(_) | Output::KeepPage(_) => Vec::new(),
            Output::FaxToneHeard(tone) => self.tone(at, *tone),
            Output::Page(page) => self.page(at, page),
            Output::Event(event) => self.event(at, event),
            Output::Signal(signal) => note(at, &signal_words(signal)),
            Output::End(outcome) => self.end(at, outcome),
        }
    }

    /// The lines for a tone of the far end.
    #[must_use]
    pub fn tone(&self, at: Instant, tone: Tone) -> Vec<String> {
        let words = match tone {
            Tone::Cng => "a fax calls (1100 Hz)",
            Tone::Ced => "a fax answers (2100 Hz)",
        };
        lines(Some(at), Some(other(self.role)), tone_name(tone), words)
    }

    /// The lines for a received page.
    #[must_use]
    pub fn page(&self, at: Instant, page: &ReceivedPage) -> Vec<String> {
        let confirmed = if page.confirmed { "confirmed" } else { "kept, not confirmed" };
        let bad = match page.bad_rows {
            0 => String::new(),
            n => format!(", {n} of them damaged (at most {} in a row)", page.longest_bad_run),
        };
        let (number, format) = (page.index + 1, format_words(&page.format));
        note(at, &format!("page {number} received: {} rows{bad}; {format}; {confirmed}", page.rows))
    }

    /// The lines for an event.
    pub fn event(&mut self, at: Instant, event: &Event) -> Vec<String> {
        let words = match event {
            Event::Phase(phase) => return section(at, &format!("phase {phase:?}: {}", phase_words(*phase))),
            Event::FrameSent { name, octets } => return self.frame(at, true, name, octets),
            Event::FrameReceived { name, octets } => return self.frame(at, false, name, octets),
            Event::FrameBad => {
                return lines(Some(at), Some(other(self.role)), "?", "a frame that cannot be read");
            }
            Event::FrameRepaired { bits } => format!("{bits} lost bits of the next frame were found again"),
            Event::Training { modulation, passed: true } => {
                let again = self.failed_checks;
                self.failed_checks = 0;
                let after = if again == 0 { String::new() } else { format!(" after {again} that were not") };
                format!("the training check in {modulation} is good{after}")
            }
            Event::Training { modulation, passed: false } => {
                self.failed_checks += 1;
                format!("the training check in {modulation} is bad (number {})", self.failed_checks)
            }
            Event::Negotiated { format, modulation } => {
                format!("agreed: {modulation}, {}", format_words(format))
            }
            Event::PageSending { index, octets } => {
                self.resends = 0;
                format!("page {} is sent: {octets} octets", self.number(*index))
            }
            Event::Resend { index, frames } => {
                self.resends += 1;
                let what = if *frames == 0 { "all of it".to_owned() } else { format!("{frames} frames") };
                format!("page {}: {what} again, repeat {}", self.number(*index), self.resends)
            }
            Event::PageConfirmed { index, poor } => {
                let how = if *poor { "confirmed, readable but not good" } else { "confirmed" };
                format!("page {} is {how}", self.number(*index))
            }
            Event::TimerExpired(name) => format!("{name} expired: {}", timer_words(name)),
            // Their frames say it.
            Event::RemoteIdent(_) | Event::SubAddress(_) | Event::PageSent { .. } => return Vec::new(),
        };
        note(at, &words)
    }

    /// The lines at the end: every page, why it ended, and what to do next.
    #[must_use]
    pub fn end(&self, at: Instant, outcome: &Outcome) -> Vec<String> {
        let mut all = section(at, "the end");
        for page in &outcome.sent {
            all.extend(note_of(None, &format!("page {} sent: {}", self.number(page.index), record(page))));
        }
        for page in &outcome.received {
            all.extend(note_of(None, &format!("page {} received: {}", page.index + 1, record(page))));
        }
        all.extend(note_of(None, &ending(outcome)));
        all
    }

    fn number(&self, index: usize) -> usize {
        self.first_page.saturating_add(index).saturating_add(1)
    }

    fn frame(&mut self, at: Instant, sent: bool, name: &str, octets: &Bytes) -> Vec<String> {
        let (said, answered) =
            if sent { (&mut self.ours, &mut self.theirs) } else { (&mut self.theirs, &mut self.ours) };
        answered.clear();
        let times = match said.iter_mut().find(|(known, _)| known == octets) {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                said.push((octets.clone(), 1));
                1
            }
        };
        // The count of a partial page signal is that of what was sent with it; the first is the whole block.
        if let Some(frames) = block_of(octets).filter(|n| self.block == BLOCK || *n > self.block) {
            self.block = frames;
        } else if !sent_again(name) {
            self.block = BLOCK;
        }
        let again = if times > 1 { format!("(time {times}) ") } else { String::new() };
        let sender = if sent { self.role } else { other(self.role) };
        lines(
            Some(at),
            Some(sender),
            name,
            &format!("{again}{}", fax_t30::explain_within(octets, self.block)),
        )
    }
}

/// The lines for what happens beside the frames.
#[must_use]
pub fn note(at: Instant, words: &str) -> Vec<String> {
    note_of(Some(at), words)
}

fn note_of(at: Option<Instant>, words: &str) -> Vec<String> {
    lines(at, None, "", words)
}

fn section(at: Instant, words: &str) -> Vec<String> {
    vec![format!("{:>TIME$}  ── {words} ──", at.to_string())]
}

/// The name of a tone.
#[must_use]
pub const fn tone_name(tone: Tone) -> &'static str {
    match tone {
        Tone::Cng => "CNG",
        Tone::Ced => "CED",
    }
}

/// A signal of a fast modem in words.
#[must_use]
pub fn signal_words(signal: &Signal) -> String {
    let figures = |quality: &Quality| {
        format!(
            "{:.1} dBm0, {:.1} dB signal to noise, carrier {:+.1} Hz, clock {:+.0} ppm",
            quality.level.0, quality.snr_db, quality.offset_hz, quality.clock_ppm
        )
    };
    match signal {
        Signal::Trained { modulation, quality } => format!("{modulation} trained: {}", figures(quality)),
        Signal::NotTrained { modulation } => format!("{modulation}: the training could not be followed"),
        Signal::Over { modulation, quality } => format!("{modulation} over: {}", figures(quality)),
    }
}

const fn phase_words(phase: Phase) -> &'static str {
    match phase {
        Phase::A => "is there a fax at the other end?",
        Phase::B => "who are you, what can you do, and how good is the line?",
        Phase::C => "the page",
        Phase::D => "did it arrive?",
        Phase::E => "the end of the call",
    }
}

fn timer_words(name: &str) -> &'static str {
    match name {
        "T0" => "nothing of a fax was heard since the call was answered",
        "T1" => "the ends did not get to know each other in time",
        "T1A" => "no frame that could be read since the first signal",
        "T2" => "the command that was due did not come",
        "T4" => "no answer to the command; it is said again while that makes sense",
        "T5" => "the receiver was not ready for too long",
        _ => "it took too long",
    }
}

fn format_words(format: &PageFormat) -> String {
    let ecm = if format.ecm { ", ECM" } else { "" };
    format!("{}, {} pels at {} per inch{ecm}", format.coding, format.pels(), format.resolution)
}

/// A row of the page ledger.
fn record(page: &PageRecord) -> String {
    let status = match page.status {
        PageStatus::Confirmed => "confirmed",
        PageStatus::Poor => "confirmed as poor",
        PageStatus::Uncertain => "UNCERTAIN, it may have arrived",
        PageStatus::Failed => "FAILED",
    };
    let mut words = format!(
        "{status}; {}, {}, {} octets in {:.1} s",
        page.modulation,
        format_words(&page.format),
        page.octets,
        page.duration.as_secs_f64()
    );
    if page.repeats > 0 {
        words.push_str(&format!(", {} times from the beginning again", page.repeats));
    }
    if page.frames_again > 0 {
        words.push_str(&format!(", {} frames again", page.frames_again));
    }
    if let Some(quality) = page.quality.filter(|q| q.bad_rows > 0) {
        words.push_str(&format!(", {} of {} rows damaged", quality.bad_rows, quality.rows));
    }
    words
}

/// Why it ended, in a paragraph.
fn ending(outcome: &Outcome) -> String {
    let Some(failure) = &outcome.failure else {
        return "The fax went well.".to_owned();
    };
    let meaning = failure.cause.meaning();
    let fault = match meaning.fault {
        Fault::Ours => "The fault is ours.",
        Fault::Order => "The fault is in the order.",
        Fault::FarEnd => "The fault is the far end's.",
        Fault::Line => "The fault is the line's or the network's.",
        Fault::Unknown => "Whose fault it is cannot be told.",
    };
    let next = match meaning.next {
        Next::Nothing => "Trying again would end the same way.",
        Next::Later => "Try again in some minutes.",
        Next::Carefully => {
            "Try again soon from the first page that is not confirmed: slower, or by another route."
        }
        Next::Simpler => "Try again, then with fewer abilities: without ECM, without V.17, with MH.",
        Next::AskSender => "Ask whoever ordered the fax.",
        Next::MendOurs => "Mend our own side first.",
        Next::MayHaveArrived => {
            "The last page may have arrived: let whoever ordered the fax decide whether twice is better than not at all."
        }
    };
    format!("{failure} {fault} {next}")
}
