//! A recorded call made once more, and compared with what was recorded.

use super::file::{Chunks, End, Kind, State, state};
use super::octets::{Cursor, Fault};
use super::setup::{self, Setup};
use super::tape::{BLOCK, KINDS, digest, digest_of_samples, kind, tag};
use crate::Terminal;
use crate::api::{CodedPage, Input, Output};
use fax_base::Instant;
use fax_dsp::g711::Law;
use fax_t30::Event;
use std::collections::VecDeque;
use std::sync::Arc;

/// Octets of a setup at most.
const LARGEST_SETUP: usize = 256 << 20;
/// Samples in one record at most: 4 s.
const LARGEST_BLOCK: u64 = 32_000;
/// Octets of a datagram at most.
const LARGEST_DATAGRAM: usize = 65_535;
/// Outputs that the recording has not got, at most, before the comparison is given up.
const MOST_AHEAD: usize = 10_000;

/// What carries the call from here on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// T.38.
    T38(fax_t38::Config),
    /// Audio.
    Audio,
}

/// What happens next in the call.
#[derive(Clone, PartialEq, Debug)]
pub enum Step {
    /// The carrier changes.
    Carrier(Carrier),
    /// So many samples of the far end were lost.
    Lost(usize),
    /// The far end or the network cleared the call.
    HungUp,
    /// Our end was told to give up.
    Cancelled,
    /// The terminal says this.
    Output(Output),
}

/// The first thing that is not as it was.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Difference {
    /// When.
    pub at: Instant,
    /// The how manieth output, from 1.
    pub number: u64,
    /// What was recorded.
    pub recorded: String,
    /// What came this time.
    pub replayed: String,
}

/// What a replay came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    /// Inputs that were gone through.
    pub inputs: u64,
    /// Outputs that were compared.
    pub compared: u64,
    /// The first that differs.
    pub difference: Option<Difference>,
    /// When the last input was.
    pub end: Instant,
    /// Why the recording does not reach to the end of the call, if so.
    pub cut: Option<&'static str>,
}

/// An output that waits to be compared.
#[derive(Debug)]
struct Made {
    at: Instant,
    kind: u8,
    digest: u16,
    words: String,
}

/// A replay. See the module.
#[derive(Debug)]
pub struct Replay<'a> {
    chunks: Chunks<'a>,
    records: Vec<u8>,
    read: usize,
    setup: Setup,
    state: State,
    terminal: Terminal,
    now: Instant,
    made: VecDeque<Made>,
    /// What was fetched last: its digest if it was not silence.
    fetched: Option<Option<u16>>,
    steps: VecDeque<(Instant, Step)>,
    report: Report,
    ended: bool,
    over: bool,
}

impl<'a> Replay<'a> {
    /// Opens a recording. `pages` are the pages that the call sent, in order, where the recording has only their
    /// hashes.
    ///
    /// # Errors
    ///
    /// What is wrong with the file, in a sentence.
    pub fn open(octets: &'a [u8], pages: &[Arc<CodedPage>]) -> Result<Self, Fault> {
        let mut chunks = Chunks::open(octets)?;
        let (mut head, mut records) = (Vec::new(), Vec::new());
        let mut over = false;
        loop {
            match chunks.next()? {
                Ok((Kind::Setup, part)) if head.len() + part.len() <= LARGEST_SETUP => head.extend(part),
                Ok((Kind::Setup, _)) => return Err(Fault::new("the setup is too large")),
                Ok((Kind::Records, part)) => {
                    records = part;
                    break;
                }
                Err(_) => {
                    over = true;
                    break;
                }
            }
        }
        if head.is_empty() {
            return Err(Fault::new("the recording is cut short before its setup"));
        }
        let mut setup = setup::decode(&head)?;
        if !setup.pages {
            fill_in(&mut setup, pages)?;
        }
        let terminal = Terminal::with_audio(setup.config.clone(), setup.audio);
        let report = Report { inputs: 0, compared: 0, difference: None, end: Instant::ZERO, cut: None };
        Ok(Replay {
            chunks,
            records,
            read: 0,
            setup,
            state: state(octets).unwrap_or(State::Open),
            terminal,
            now: Instant::ZERO,
            made: VecDeque::new(),
            fetched: None,
            steps: VecDeque::new(),
            report,
            ended: false,
            over,
        })
    }

    /// What the call was set up with.
    #[must_use]
    pub fn setup(&self) -> &Setup {
        &self.setup
    }

    /// How the call went, as noted when it was over.
    #[must_use]
    pub fn state(&self) -> State {
        self.state
    }

    /// What came of the comparison so far.
    #[must_use]
    pub fn report(&self) -> &Report {
        &self.report
    }

    /// The terminal as it is at this moment of the call.
    #[must_use]
    pub fn terminal(&self) -> &Terminal {
        &self.terminal
    }

    /// What happens next; `None` at the end.
    ///
    /// # Errors
    ///
    /// Where the file is damaged; nothing follows.
    pub fn step(&mut self) -> Result<Option<(Instant, Step)>, Fault> {
        loop {
            if let Some(step) = self.steps.pop_front() {
                return Ok(Some(step));
            }
            if self.over {
                self.close();
                return Ok(None);
            }
            if self.read >= self.records.len() {
                self.turn_over()?;
                continue;
            }
            let read = self.record().inspect_err(|_| self.over = true)?;
            self.read = read;
        }
    }

    /// The next chunk.
    fn turn_over(&mut self) -> Result<(), Fault> {
        let next = self.chunks.next().inspect_err(|_| self.over = true)?;
        match next {
            Ok((Kind::Records, records)) => (self.records, self.read) = (records, 0),
            Ok((Kind::Setup, _)) => {
                self.over = true;
                return Err(Fault::new("the file is damaged: a second setup"));
            }
            Err(end) => {
                self.over = true;
                if self.report.cut.is_none() && !self.ended {
                    self.report.cut = match (end, self.state) {
                        (End::Cut, _) => Some("the file is cut short"),
                        (End::Whole, State::Open) => Some("ferrofax ended in the middle of the call"),
                        (End::Whole, State::Good | State::Failed) => None,
                    };
                }
            }
        }
        Ok(())
    }

    /// Goes through one record; where the next begins.
    fn record(&mut self) -> Result<usize, Fault> {
        // The records are lent to the cursor while the terminal works.
        let records = core::mem::take(&mut self.records);
        let mut cursor = Cursor::new(records.get(self.read..).unwrap_or_default());
        let done = self.obey(&mut cursor);
        let read = records.len() - cursor.len();
        self.records = records;
        done.map(|()| read)
    }

    fn obey(&mut self, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let first = cursor.octet()?;
        match first {
            tag::CUT => {
                self.over = true;
                self.report.cut =
                    Some("the recording was cut: its limit was reached, or the disk was too slow");
                return Ok(());
            }
            tag::SILENCE | tag::SAMPLES => {
                let digest = if first == tag::SAMPLES { Some(short(cursor)?) } else { None };
                let made = self.fetched.take();
                self.compare(made == Some(digest), || {
                    let said = |d: Option<u16>| if d.is_some() { "signal" } else { "silence" };
                    let made = made.map_or("nothing".to_owned(), |d| format!("other audio ({})", said(d)));
                    (format!("audio ({})", said(digest)), made)
                });
                return Ok(());
            }
            tag::OUTPUT..tag::CUT => {
                let digest = short(cursor)?;
                self.compare_output(first - tag::OUTPUT, digest);
                return Ok(());
            }
            _ => {}
        }
        let later = cursor.signed()?;
        let at = self.now.as_micros().cast_signed().checked_add(later).filter(|at| *at >= 0);
        let at = at.ok_or_else(|| Fault::new("the file is damaged: a time before the call"))?;
        self.now = Instant::from_micros(at.cast_unsigned());
        self.report.end = self.report.end.max(self.now);
        self.report.inputs += 1;
        self.input(first, cursor)?;
        while let Some(output) = self.terminal.poll() {
            self.made(&output);
            self.steps.push_back((self.now, Step::Output(output)));
        }
        Ok(())
    }

    fn input(&mut self, first: u8, cursor: &mut Cursor<'_>) -> Result<(), Fault> {
        let now = self.now;
        match first {
            tag::START => self.terminal.handle(now, Input::Start),
            tag::T38 | tag::T38_LIMITED => {
                let limit = if first == tag::T38 { u32::MAX.into() } else { cursor.number()? };
                let mut config = setup::t38(cursor)?;
                config.far_max_bit_rate = u32::try_from(limit).unwrap_or(u32::MAX);
                self.steps.push_back((now, Step::Carrier(Carrier::T38(config.clone()))));
                self.terminal.handle(now, Input::SwitchToT38(config));
            }
            tag::AUDIO => {
                self.steps.push_back((now, Step::Carrier(Carrier::Audio)));
                self.terminal.handle(now, Input::SwitchToAudio);
            }
            tag::DATAGRAM => {
                let datagram = cursor.octets()?;
                if datagram.len() > LARGEST_DATAGRAM {
                    return Err(Fault::new("the file is damaged: a datagram is too long"));
                }
                self.terminal.handle(now, Input::Datagram(datagram));
            }
            tag::A_LAW | tag::MU_LAW => {
                let law = if first == tag::A_LAW { Law::A } else { Law::Mu };
                let octets = cursor.octets()?;
                if octets.len() as u64 > LARGEST_BLOCK {
                    return Err(Fault::new("the file is damaged: a block of audio is too long"));
                }
                self.terminal.handle(now, Input::G711(law, octets));
            }
            tag::LINEAR => {
                let count = cursor.bounded(LARGEST_BLOCK, "a block of audio")?;
                let octets = cursor.take(2 * usize::try_from(count).unwrap_or(0))?;
                let pairs = octets.as_chunks::<2>().0.iter();
                let samples: Vec<i16> = pairs.map(|pair| i16::from_le_bytes(*pair)).collect();
                self.terminal.handle(now, Input::Audio(&samples));
            }
            tag::LOST => {
                let samples = usize::try_from(cursor.number()?).unwrap_or(usize::MAX);
                self.steps.push_back((now, Step::Lost(samples)));
                self.terminal.handle(now, Input::AudioLost(samples));
            }
            tag::KEPT => self.terminal.handle(now, Input::PageKept(true)),
            tag::NOT_KEPT => self.terminal.handle(now, Input::PageKept(false)),
            tag::TIMEOUT => self.terminal.handle(now, Input::Timeout),
            tag::HUNG_UP => {
                self.steps.push_back((now, Step::HungUp));
                self.terminal.handle(now, Input::HungUp);
            }
            tag::CANCEL => {
                self.steps.push_back((now, Step::Cancelled));
                self.terminal.handle(now, Input::Cancel);
            }
            tag::FETCH | tag::FETCH_BLOCK => {
                let count = match first {
                    tag::FETCH => cursor.bounded(LARGEST_BLOCK, "a block of audio")?,
                    _ => BLOCK as u64,
                };
                let mut samples = vec![0; usize::try_from(count).unwrap_or(0)];
                self.terminal.transmit_audio(now, &mut samples);
                self.fetched = Some(digest_of_samples(&samples, !self.setup.numbers));
            }
            other => {
                return Err(Fault::new(format!("the file is damaged: a record of no known kind ({other})")));
            }
        }
        Ok(())
    }

    fn made(&mut self, output: &Output) {
        self.ended |= matches!(output, Output::End(_));
        if self.made.len() >= MOST_AHEAD {
            return;
        }
        let words = match output {
            Output::Event(Event::FrameSent { name, .. }) => format!("{name} sent"),
            Output::Event(Event::FrameReceived { name, .. }) => format!("{name} received"),
            Output::Event(event) => format!("{event:?}"),
            Output::Signal(_)
            | Output::Datagram(_)
            | Output::FaxToneHeard(_)
            | Output::Page(_)
            | Output::KeepPage(_)
            | Output::End(_) => String::new(),
        };
        let digest = digest(output, !self.setup.numbers);
        self.made.push_back(Made { at: self.now, kind: kind(output), digest, words });
    }

    fn compare_output(&mut self, recorded: u8, digest: u16) {
        let name = |kind: u8| KINDS.get(usize::from(kind)).copied().unwrap_or("something unknown");
        let made = self.made.pop_front();
        let same = made.as_ref().is_some_and(|m| m.kind == recorded && m.digest == digest);
        self.compare(same, || {
            let replayed = match &made {
                None => "nothing".to_owned(),
                Some(m) if m.words.is_empty() => format!("another: {} at {}", name(m.kind), m.at),
                Some(m) => format!("another: {} at {}: {}", name(m.kind), m.at, m.words),
            };
            (name(recorded).to_owned(), replayed)
        });
    }

    fn compare(&mut self, same: bool, words: impl FnOnce() -> (String, String)) {
        self.report.compared += 1;
        if !same && self.report.difference.is_none() {
            let (recorded, replayed) = words();
            let (at, number) = (self.now, self.report.compared);
            self.report.difference = Some(Difference { at, number, recorded, replayed });
        }
    }

    /// What the replay said and the recording did not.
    fn close(&mut self) {
        if let Some(left) = self.made.pop_front()
            && self.report.cut.is_none()
            && self.report.difference.is_none()
        {
            let kind = KINDS.get(usize::from(left.kind)).copied().unwrap_or("something");
            self.report.difference = Some(Difference {
                at: left.at,
                number: self.report.compared + 1,
                recorded: "nothing more".to_owned(),
                replayed: format!("{kind} {}", left.words),
            });
        }
        self.made.clear();
    }
}

fn short(cursor: &mut Cursor<'_>) -> Result<u16, Fault> {
    let octets = cursor.take(2)?;
    Ok(<[u8; 2]>::try_from(octets).map_or(0, u16::from_le_bytes))
}

/// Puts pages into a setup that has only their hashes.
fn fill_in(setup: &mut Setup, pages: &[Arc<CodedPage>]) -> Result<(), Fault> {
    if setup.hashes.is_empty() {
        return Ok(());
    }
    let expected = setup.hashes.len();
    if pages.len() != expected {
        return Err(Fault::new(match pages.len() {
            0 => format!(
                "the recording has only the hashes of its {expected} pages; give the pages themselves"
            ),
            n => format!("the recording is of {expected} pages, and {n} were given"),
        }));
    }
    let mut given = pages.iter().zip(&setup.hashes).enumerate();
    if let Some((i, _)) = given.find(|(_, (page, hash))| setup::hash(page) != **hash) {
        return Err(Fault::new(format!("page {} is not the one that was sent in the recorded call", i + 1)));
    }
    let mut given = pages.iter();
    for slot in setup.config.documents.iter_mut().flat_map(|d| &mut d.pages) {
        if let Some(page) = given.next() {
            *slot = page.clone();
        }
    }
    Ok(())
}
