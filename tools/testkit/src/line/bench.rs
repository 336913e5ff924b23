//! One T.30 session against a script: what the far end says and when, and what is expected.

use super::air;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Heard, Listen, Modulation, Training, Transmit};
use fax_t30::{Config, Event, Input, Outcome, Output, Session, Verdict};
use fax_t38 as t38;
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

/// What carries the words between the session and the script.
#[derive(Debug)]
enum Line {
    /// Modems, as far as their times go.
    Air,
    /// T.38, packets and all.
    T38(Box<T38>),
}

/// A T.38 session without a network.
#[derive(Debug)]
struct T38 {
    ours: t38::Endpoint,
    far: t38::Endpoint,
    /// What our session sends, and when it began.
    sending: VecDeque<(Instant, Transmit)>,
    /// When what is being sent should be over, by the modems' times.
    over: Instant,
    /// The far end is sending.
    far_sends: bool,
}

impl T38 {
    fn new(now: Instant) -> Self {
        let end = || t38::Endpoint::new(t38::Config::default(), now);
        T38 { ours: end(), far: end(), sending: VecDeque::new(), over: now, far_sends: false }
    }

    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        let (length, _) = air::play(&transmit);
        let began = if self.sending.is_empty() { now } else { self.over };
        self.over = began + length;
        self.sending.push_back((began, transmit.clone()));
        self.ours.handle(now, t38::Input::Transmit(transmit));
    }

    fn deadline(&self) -> Option<Instant> {
        fax_base::time::earliest(self.ours.deadline(), self.far.deadline())
    }

    /// Does what is due; what our end hears, and whether all it sends has left.
    fn step(&mut self, now: Instant) -> (Vec<Heard>, bool) {
        for end in [&mut self.ours, &mut self.far] {
            if end.deadline().is_some_and(|at| at <= now) {
                end.handle(now, t38::Input::Timeout);
            }
        }
        let (mut heard, mut sent) = (Vec::new(), false);
        loop {
            match self.ours.poll() {
                Some(t38::Output::Datagram(datagram)) => {
                    self.far.handle(now, t38::Input::Datagram(&datagram));
                    continue;
                }
                Some(t38::Output::Heard(one)) => {
                    heard.push(one);
                    continue;
                }
                Some(t38::Output::Sent) => {
                    sent = true;
                    continue;
                }
                None => {}
            }
            match self.far.poll() {
                Some(t38::Output::Datagram(datagram)) => {
                    self.ours.handle(now, t38::Input::Datagram(&datagram));
                }
                Some(t38::Output::Heard(_)) => {}
                Some(t38::Output::Sent) => self.far_sends = false,
                None => return (heard, sent),
            }
        }
    }
}

/// The session, its clock, and what it did.
#[derive(Debug)]
pub struct Bench {
    /// The session under test.
    pub session: Session,
    /// The present.
    pub now: Instant,
    line: Line,
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
    /// Starts a session over modems.
    #[must_use]
    pub fn start(config: Config) -> Self {
        Self::start_on(config, Line::Air)
    }

    /// Starts a session over T.38.
    #[must_use]
    pub fn start_over_t38(config: Config) -> Self {
        Self::start_on(config, Line::T38(Box::new(T38::new(Instant::ZERO))))
    }

    fn start_on(config: Config, line: Line) -> Self {
        let mut bench = Bench {
            session: Session::new(config),
            now: Instant::ZERO,
            line,
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
            if let Line::T38(t38) = &mut self.line {
                **t38 = T38::new(self.now);
            }
        }
        self.session.handle(self.now, input);
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit(transmit) => match &mut self.line {
                    Line::Air => {
                        self.queue.push_back(transmit);
                        self.next_on_air();
                    }
                    Line::T38(t38) => t38.transmit(self.now, transmit),
                },
                Output::StopTransmit => match &mut self.line {
                    Line::Air => {
                        self.queue.clear();
                        self.on_air = None;
                    }
                    Line::T38(t38) => {
                        t38.sending.clear();
                        t38.ours.handle(self.now, t38::Input::StopTransmit);
                    }
                },
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

    /// Whether our end is silent.
    fn is_silent(&self) -> bool {
        match &self.line {
            Line::Air => self.on_air.is_none() && self.queue.is_empty(),
            Line::T38(t38) => t38.sending.is_empty(),
        }
    }

    /// T.38: what is due now is done.
    fn step_t38(&mut self) {
        let Line::T38(t38) = &mut self.line else { return };
        let (heard, sent) = t38.step(self.now);
        if sent {
            let ended = self.now;
            self.left.extend(t38.sending.drain(..).map(|(began, what)| Left { began, ended, what }));
            self.input(Input::Sent);
        }
        for one in heard {
            self.input(Input::Heard(one));
        }
    }

    /// Lets time pass until `until`, or until `stop` says so.
    fn advance(&mut self, until: Instant, mut stop: impl FnMut(&Bench) -> bool) {
        self.step_t38();
        while !stop(self) {
            if let Line::T38(t38) = &self.line {
                let next = fax_base::time::earliest(t38.deadline(), self.session.deadline());
                let Some(at) = next.filter(|at| *at <= until) else {
                    self.now = self.now.max(until);
                    return;
                };
                self.now = self.now.max(at);
                if self.session.deadline().is_some_and(|at| at <= self.now) {
                    self.input(Input::Timeout);
                }
                self.step_t38();
                continue;
            }
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
        self.advance(until, |b| b.is_silent() && b.left.iter().any(|l| is_signal(&l.what)));
        self.left.drain(..).flat_map(|l| describe(&l.what)).collect()
    }

    /// What was sent with its times, like [`Bench::sent`].
    pub fn sent_timed(&mut self, limit: Duration) -> Vec<Left> {
        let until = self.now + limit;
        self.advance(until, |b| b.is_silent() && b.left.iter().any(|l| is_signal(&l.what)));
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
        let (length, sounds) = air::play(transmit);
        if let Line::T38(t38) = &mut self.line {
            t38.far_sends = true;
            t38.far.handle(began, t38::Input::Transmit(transmit.clone()));
            let limit = began + length * 2 + Duration::from_secs(10);
            self.advance(limit, |b| !matches!(&b.line, Line::T38(t38) if t38.far_sends));
            return;
        }
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
