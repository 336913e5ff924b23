//! One T.30 session against a script: what the far end says and when, and what is expected.

use super::air;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Heard, Listen, Modulation, Training, Transmit};
use fax_t30::{Config, Event, Input, Outcome, Output, Session, Verdict};
use std::collections::VecDeque;

/// One transmission of the session, as it left.
#[derive(Clone, Debug)]
pub struct Left {
    /// When it began.
    pub began: Instant,
    /// When it was over.
    pub ended: Instant,
    /// What it was.
    pub what: Transmit,
}

/// The session, its clock, and what it did.
#[derive(Debug)]
pub struct Bench {
    /// The session under test.
    pub session: Session,
    /// The present.
    pub now: Instant,
    queue: VecDeque<Transmit>,
    on_air: Option<(Instant, Instant, Transmit)>,
    /// What has left since it was last asked for.
    pub left: VecDeque<Left>,
    /// All events.
    pub events: Vec<(Instant, Event)>,
    /// All outputs about received pages.
    pub pages: Vec<Output>,
    /// What it listens for.
    pub listen: Listen,
    /// The verdict given on every page.
    pub verdict: Verdict,
    /// No verdict is given, and no page.
    pub silent_assembly: bool,
    /// Octets of every page that it wants to send.
    pub page: Bytes,
    /// The pages that it wanted, and how.
    pub wanted: Vec<(usize, fax_base::page::PageFormat, u32)>,
    /// How and when it ended.
    pub outcome: Option<(Instant, Outcome)>,
}

impl Bench {
    /// Starts a session.
    #[must_use]
    pub fn start(config: Config) -> Self {
        let mut bench = Bench {
            session: Session::new(config),
            now: Instant::ZERO,
            queue: VecDeque::new(),
            on_air: None,
            left: VecDeque::new(),
            events: Vec::new(),
            pages: Vec::new(),
            listen: Listen::Control,
            verdict: Verdict { rows: 1000, bad_rows: 0, longest_bad_run: 0 },
            silent_assembly: false,
            page: super::page::made_up(0, 20_000),
            wanted: Vec::new(),
            outcome: None,
        };
        bench.input(Input::Start);
        bench
    }

    /// Gives an input and takes all outputs.
    pub fn input(&mut self, input: Input) {
        if input == Input::LineChanged {
            // What carried it is gone.
            self.queue.clear();
            self.on_air = None;
        }
        self.session.handle(self.now, input);
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit(transmit) => {
                    self.queue.push_back(transmit);
                    self.next_on_air();
                }
                Output::StopTransmit => {
                    self.queue.clear();
                    self.on_air = None;
                }
                Output::Listen(listen) => self.listen = listen,
                Output::WantPage { index, format, bit_rate } => {
                    self.wanted.push((index, format, bit_rate));
                    if !self.silent_assembly {
                        self.session.handle(self.now, Input::Page(self.page.clone()));
                    }
                }
                Output::PageEnd => {
                    self.pages.push(Output::PageEnd);
                    if !self.silent_assembly {
                        self.session.handle(self.now, Input::Verdict(self.verdict));
                    }
                }
                page @ (Output::PageStart { .. }
                | Output::PageData(_)
                | Output::PageLost { .. }
                | Output::PageDone { .. }) => self.pages.push(page),
                Output::Event(event) => self.events.push((self.now, event)),
                Output::End(outcome) => self.outcome = Some((self.now, *outcome)),
            }
        }
    }

    fn next_on_air(&mut self) {
        if self.on_air.is_none()
            && let Some(transmit) = self.queue.pop_front()
        {
            let (length, _) = air::play(&transmit);
            self.on_air = Some((self.now, self.now + length, transmit));
        }
    }

    /// Lets time pass until `until`, or until `stop` says so.
    fn advance(&mut self, until: Instant, mut stop: impl FnMut(&Bench) -> bool) {
        while !stop(self) {
            let over = self.on_air.as_ref().map(|(_, end, _)| *end);
            let next = fax_base::time::earliest(over, self.session.deadline());
            let Some(at) = next.filter(|at| *at <= until) else {
                self.now = self.now.max(until);
                return;
            };
            self.now = self.now.max(at);
            if over == Some(at) || over.is_some_and(|o| o <= self.now) {
                if let Some((began, ended, what)) = self.on_air.take() {
                    self.left.push_back(Left { began, ended, what });
                }
                self.next_on_air();
                if self.on_air.is_none() {
                    self.input(Input::Sent);
                }
            } else {
                self.input(Input::Timeout);
            }
        }
    }

    /// Lets so much time pass.
    pub fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        self.advance(until, |_| false);
    }

    /// Waits until the session has sent something and is silent again, at most `limit`; the control
    /// frames and images of it by name: an image is `V.17 14400 long bits`.
    pub fn sent(&mut self, limit: Duration) -> Vec<String> {
        let until = self.now + limit;
        self.advance(until, |b| {
            b.on_air.is_none() && b.queue.is_empty() && b.left.iter().any(|l| is_signal(&l.what))
        });
        self.left.drain(..).flat_map(|l| describe(&l.what)).collect()
    }

    /// What was sent with its times, like [`Bench::sent`].
    pub fn sent_timed(&mut self, limit: Duration) -> Vec<Left> {
        let until = self.now + limit;
        self.advance(until, |b| {
            b.on_air.is_none() && b.queue.is_empty() && b.left.iter().any(|l| is_signal(&l.what))
        });
        self.left.drain(..).collect()
    }

    /// Waits until the session has ended, at most `limit`.
    pub fn end(&mut self, limit: Duration) -> Option<&Outcome> {
        let until = self.now + limit;
        self.advance(until, |b| b.outcome.is_some());
        self.outcome.as_ref().map(|(_, o)| o)
    }

    /// The far end sends this, whole.
    pub fn hear(&mut self, transmit: &Transmit) {
        let began = self.now;
        let (_, sounds) = air::play(transmit);
        for sound in sounds {
            self.advance(began + sound.at, |_| false);
            if sound.armed.is_none_or(|armed| armed == self.listen) {
                self.input(Input::Heard(sound.heard));
            }
        }
    }

    /// The far end sends a burst of these frames after the usual gap.
    pub fn burst(&mut self, frames: &[Bytes]) {
        self.wait(Duration::from_millis(75));
        self.hear(&Transmit::Control(frames.to_vec()));
    }

    /// The far end sends one burst whose last frame has a wrong FCS.
    pub fn bad_burst(&mut self, frame: &Bytes) {
        self.wait(Duration::from_millis(75));
        let (_, sounds) = air::play(&Transmit::Control(vec![frame.clone()]));
        let began = self.now;
        for sound in sounds {
            self.advance(began + sound.at, |_| false);
            let heard = match sound.heard {
                Heard::Frame { channel, octets, .. } => {
                    Heard::Frame { channel, octets: air::damaged(&octets, 20), good: false }
                }
                other => other,
            };
            self.input(Input::Heard(heard));
        }
    }

    /// The far end sends raw bits.
    pub fn bits(&mut self, modulation: Modulation, training: Training, octets: Bytes) {
        self.wait(Duration::from_millis(75));
        self.hear(&Transmit::Bits { modulation, training, octets });
    }

    /// The far end sends frames of the image channel.
    pub fn frames(&mut self, modulation: Modulation, training: Training, frames: Vec<Bytes>) {
        self.wait(Duration::from_millis(75));
        self.hear(&Transmit::Frames { modulation, training, frames });
    }

    /// A training check of zeros.
    pub fn tcf(&mut self, modulation: Modulation) {
        let octets = modulation.bit_rate() as usize * 3 / 16;
        self.bits(modulation, Training::Long, Bytes::from(vec![0; octets]));
    }

    /// A carrier without content on the control channel.
    pub fn flags_only(&mut self, length: Duration) {
        self.input(Input::Heard(Heard::CarrierUp(Channel::Control)));
        self.wait(length);
        self.input(Input::Heard(Heard::CarrierDown(Channel::Control)));
    }
}

fn is_signal(transmit: &Transmit) -> bool {
    !matches!(transmit, Transmit::Silence(_) | Transmit::Tone(..))
}

fn describe(transmit: &Transmit) -> Vec<String> {
    let image = |modulation: &Modulation, training: &Training, what: &str| {
        let training = match training {
            Training::Long => "long",
            Training::Short => "short",
        };
        vec![format!("{modulation} {training} {what}")]
    };
    match transmit {
        Transmit::Silence(_) | Transmit::Tone(..) => Vec::new(),
        Transmit::Control(_) => air::names(transmit).into_iter().map(str::to_owned).collect(),
        Transmit::Bits { modulation, training, .. } => image(modulation, training, "bits"),
        Transmit::Frames { modulation, training, frames } => {
            image(modulation, training, &format!("{} frames", frames.len()))
        }
    }
}
