//! What was found in a recording: the ladder, the signals and their quality, the pages.

use fax_base::Instant;
use fax_base::line::{Modulation, Tone};
use fax_t30::Role;
use fax_t30::frames::{Frame, ident_from_fif};
use fax_t30::observer::{Answer, Side};
use fax_terminal::tap::Overheard;
use fax_terminal::{ReceivedPage, Signal};

/// Lines of a ladder at most: an hour has some thousands.
const MAX_LINES: usize = 100_000;

/// One line of the ladder.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Line {
    pub(super) at: Instant,
    /// Who sent it, where that is known.
    pub(super) sender: Option<Role>,
    pub(super) what: What,
}

/// What a line tells.
#[derive(Clone, PartialEq, Debug)]
pub(super) enum What {
    Tone(Tone),
    Frame {
        name: &'static str,
        /// Its fields, with the numbers of their bits.
        text: String,
        /// What it means.
        words: String,
    },
    Damaged,
    Signal(Signal),
    TrainingCheck {
        modulation: Modulation,
        good: bool,
    },
    PageStart {
        index: usize,
        modulation: Modulation,
    },
    Page {
        index: usize,
        rows: u32,
        bad_rows: u32,
        answer: Answer,
    },
    /// T.38: so many IFPs of one kind in a row.
    Ifps {
        kind: String,
        count: u32,
        octets: usize,
    },
}

/// A page with what came of it.
#[derive(Clone, Debug)]
pub(super) struct FoundPage {
    pub(super) page: ReceivedPage,
    pub(super) modulation: Option<Modulation>,
    pub(super) answer: Answer,
}

/// Everything that was found.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) lines: Vec<Line>,
    pub(super) pages: Vec<FoundPage>,
    pub(super) calling_ident: Option<String>,
    pub(super) called_ident: Option<String>,
    /// The points of the last signal that was received, and its modulation.
    pub(super) constellation: Option<(Modulation, Vec<[f32; 2]>)>,
    /// Samples that passed and that are missing, of each wire.
    pub(super) samples: [u64; 2],
    pub(super) lost: [u64; 2],
    /// When the recording ends.
    pub(super) end: Instant,
    roles: [Option<Role>; 2],
    modulation: Option<Modulation>,
}

impl Findings {
    /// Takes in what the tap says.
    pub(super) fn take(&mut self, at: Instant, overheard: Overheard) {
        match overheard {
            Overheard::Tone(side, tone) => {
                let role = match tone {
                    Tone::Cng => Role::Calling,
                    Tone::Ced => Role::Called,
                };
                self.learn(side, role);
                self.line(at, Some(role), What::Tone(tone));
            }
            Overheard::Frame { side, sender, name, octets } => {
                self.learn(side, sender);
                if let Some(frame) = Frame::parse(&octets) {
                    self.idents(name, &frame);
                }
                self.line(
                    at,
                    Some(sender),
                    What::Frame { name, text: fax_t30::describe(&octets), words: fax_t30::explain(&octets) },
                );
            }
            Overheard::FrameBad(side) => self.line(at, self.role(side), What::Damaged),
            Overheard::Signal { side, signal, points } => {
                self.line(at, self.role(side), What::Signal(signal));
                if let Signal::Over { modulation, .. } = signal
                    && !points.is_empty()
                {
                    self.constellation = Some((modulation, points));
                }
            }
            Overheard::TrainingCheck { modulation, good } => {
                self.line(at, None, What::TrainingCheck { modulation, good });
            }
            Overheard::PageStart { index, modulation, .. } => {
                self.modulation = Some(modulation);
                self.line(at, None, What::PageStart { index, modulation });
            }
            Overheard::Page { page, answer } => {
                let (index, rows, bad_rows) = (page.index, page.rows, page.bad_rows);
                self.line(at, None, What::Page { index, rows, bad_rows, answer });
                // A page that was refused came again, if anything came after it.
                if let Some(last) = self.pages.last()
                    && last.answer == Answer::Refused
                {
                    self.pages.pop();
                }
                self.pages.push(FoundPage { page, modulation: self.modulation, answer });
            }
            Overheard::Ifp { side, kind, octets } => self.ifp(at, side, kind, octets),
        }
    }

    /// IFPs of one kind from one end are told in one line.
    fn ifp(&mut self, at: Instant, side: Side, kind: String, more: usize) {
        let sender = self.role(side);
        let same_end =
            self.lines.iter().rposition(|l| matches!(l.what, What::Ifps { .. }) && l.sender == sender);
        if let Some(Line { what: What::Ifps { kind: last, count, octets }, .. }) =
            same_end.and_then(|i| self.lines.get_mut(i))
            && *last == kind
        {
            *count = count.saturating_add(1);
            *octets = octets.saturating_add(more);
            return;
        }
        self.line(at, sender, What::Ifps { kind, count: 1, octets: more });
    }

    fn line(&mut self, at: Instant, sender: Option<Role>, what: What) {
        if self.lines.len() < MAX_LINES {
            self.lines.push(Line { at, sender, what });
        }
    }

    fn learn(&mut self, side: Side, role: Role) {
        let other = match role {
            Role::Calling => Role::Called,
            Role::Called => Role::Calling,
        };
        let roles = match side {
            Side::First => [role, other],
            Side::Second => [other, role],
        };
        for (known, new) in self.roles.iter_mut().zip(roles) {
            known.get_or_insert(new);
        }
    }

    /// Who is on this wire.
    pub(super) fn role(&self, side: Side) -> Option<Role> {
        let [first, second] = self.roles;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }

    fn idents(&mut self, name: &str, frame: &Frame) {
        let ident = || ident_from_fif(&frame.fif).filter(|i| !i.is_empty());
        match name {
            "CSI" => self.called_ident = ident().or(self.called_ident.take()),
            "TSI" | "CIG" => self.calling_ident = ident().or(self.calling_ident.take()),
            _ => {}
        }
    }

    /// The frames of the ladder in order: who and what.
    pub(super) fn frames(&self) -> impl DoubleEndedIterator<Item = (Option<Role>, &'static str)> + '_ {
        self.lines.iter().filter_map(|line| match &line.what {
            What::Frame { name, .. } => Some((line.sender, *name)),
            _ => None,
        })
    }
}
