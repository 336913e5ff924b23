//! One T.30 session against a script: what the far end says and when, and what is expected.

use super::air;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Heard, Listen, Modulation, Training, Transmit};
use fax_t30::{Config, Event, Input, Outcome, Output, Session, Verdict};
use fax_t38 as t38;
use fax_terminal::AudioOptions;
use fax_terminal::audio::{AudioLine, Told};
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
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Carrier {
    /// Nothing but the modems' times.
    Times,
    /// The modems themselves.
    Audio,
    /// T.38, packets and all.
    T38,
}

#[derive(Debug)]
enum Line {
    Times,
    Wire(Box<Wire>),
}

/// Two ends of a line without a network.
#[derive(Debug)]
struct Wire {
    ends: Ends,
    /// What our session sends, and when it began.
    sending: VecDeque<(Instant, Transmit)>,
    /// When what is being sent should be over.
    over: Instant,
    /// The far end is sending.
    far_sends: bool,
}

#[derive(Debug)]
enum Ends {
    T38 { ours: Box<t38::Endpoint>, far: Box<t38::Endpoint> },
    Audio { ours: Box<AudioLine>, far: Box<AudioLine>, next: Instant },
}

/// Samples of a block of audio: 20 ms.
const BLOCK: usize = 160;

impl Wire {
    fn new(audio: bool, now: Instant) -> Self {
        let ends = if audio {
            let line = || Box::new(AudioLine::new(AudioOptions::default()));
            Ends::Audio { ours: line(), far: line(), next: now }
        } else {
            let end = || Box::new(t38::Endpoint::new(t38::Config::default(), now));
            Ends::T38 { ours: end(), far: end() }
        };
        Wire { ends, sending: VecDeque::new(), over: now, far_sends: false }
    }

    fn is_audio(&self) -> bool {
        matches!(self.ends, Ends::Audio { .. })
    }

    /// Our session sends.
    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        let (length, _) = air::play(&transmit);
        let began = if self.sending.is_empty() { now } else { self.over };
        self.over = began + length;
        self.sending.push_back((began, transmit.clone()));
        match &mut self.ends {
            Ends::T38 { ours, .. } => ours.handle(now, t38::Input::Transmit(transmit)),
            Ends::Audio { ours, .. } => ours.push(transmit),
        }
    }

    fn stop(&mut self, now: Instant) {
        self.sending.clear();
        match &mut self.ends {
            Ends::T38 { ours, .. } => ours.handle(now, t38::Input::StopTransmit),
            Ends::Audio { ours, .. } => ours.stop(),
        }
    }

    fn listen(&mut self, listen: Listen) {
        match &mut self.ends {
            // T.38 says by itself what comes.
            Ends::T38 { .. } => {}
            Ends::Audio { ours, .. } => ours.listen(listen),
        }
    }

    /// The script sends.
    fn far_transmits(&mut self, now: Instant, transmit: Transmit) {
        self.far_sends = true;
        match &mut self.ends {
            Ends::T38 { far, .. } => far.handle(now, t38::Input::Transmit(transmit)),
            Ends::Audio { far, .. } => far.push(transmit),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        match &self.ends {
            Ends::T38 { ours, far } => fax_base::time::earliest(ours.deadline(), far.deadline()),
            Ends::Audio { next, .. } => Some(*next),
        }
    }

    /// Does what is due; what our end hears, and whether all it sends has left.
    fn step(&mut self, now: Instant) -> (Vec<Heard>, bool) {
        let (mut heard, mut sent) = (Vec::new(), false);
        match &mut self.ends {
            Ends::T38 { ours, far } => {
                for end in [&mut **ours, &mut **far] {
                    if end.deadline().is_some_and(|at| at <= now) {
                        end.handle(now, t38::Input::Timeout);
                    }
                }
                loop {
                    match (ours.poll(), far.poll()) {
                        (None, None) => break,
                        (from_ours, from_far) => {
                            match from_ours {
                                Some(t38::Output::Datagram(d)) => far.handle(now, t38::Input::Datagram(&d)),
                                Some(t38::Output::Heard(one)) => heard.push(one),
                                Some(t38::Output::Sent) => sent = true,
                                None => {}
                            }
                            match from_far {
                                Some(t38::Output::Datagram(d)) => ours.handle(now, t38::Input::Datagram(&d)),
                                Some(t38::Output::Sent) => self.far_sends = false,
                                Some(t38::Output::Heard(_)) | None => {}
                            }
                        }
                    }
                }
            }
            Ends::Audio { ours, far, next } => {
                while *next <= now {
                    *next += Duration::from_millis(20);
                    // What our end sends is known; nobody needs to hear it.
                    let mut block = [0; BLOCK];
                    let sends = ours.is_sending();
                    sent |= sends && ours.transmit(&mut block) < BLOCK;
                    let mut block = [0; BLOCK];
                    self.far_sends &= far.transmit(&mut block) == BLOCK;
                    let mut told = Vec::new();
                    ours.receive(&block, &mut told);
                    heard.extend(told.into_iter().filter_map(|t| match t {
                        Told::Heard(one) => Some(one),
                        Told::Repaired { .. } | Told::Signal(_) | Told::Piece { .. } => None,
                    }));
                }
            }
        }
        (heard, sent)
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
    /// The last burst of control frames that it sent.
    pub last_burst: Vec<Bytes>,
    /// How and when it ended.
    pub outcome: Option<(Instant, Outcome)>,
}

impl Bench {
    /// Starts a session with the modems' times.
    #[must_use]
    pub fn start(config: Config) -> Self {
        Self::start_over(config, Carrier::Times)
    }

    /// Starts a session over this.
    #[must_use]
    pub fn start_over(config: Config, carrier: Carrier) -> Self {
        let wire = |audio| Line::Wire(Box::new(Wire::new(audio, Instant::ZERO)));
        let line = match carrier {
            Carrier::Times => Line::Times,
            Carrier::Audio => wire(true),
            Carrier::T38 => wire(false),
        };
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
            verdict: Verdict { rows: 1000, bad_rows: 0, longest_bad_run: 0, cut: false },
            silent_assembly: false,
            page: super::page::made_up(0, 20_000),
            wanted: Vec::new(),
            last_burst: Vec::new(),
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
            if let Line::Wire(wire) = &mut self.line {
                **wire = Wire::new(wire.is_audio(), self.now);
            }
        }
        self.session.handle(self.now, input);
        while let Some(output) = self.session.poll() {
            match output {
                Output::Transmit(transmit) => {
                    if let Transmit::Control(frames) = &transmit {
                        self.last_burst.clone_from(frames);
                    }
                    match &mut self.line {
                        Line::Times => {
                            self.queue.push_back(transmit);
                            self.next_on_air();
                        }
                        Line::Wire(wire) => wire.transmit(self.now, transmit),
                    }
                }
                Output::StopTransmit => match &mut self.line {
                    Line::Times => {
                        self.queue.clear();
                        self.on_air = None;
                    }
                    Line::Wire(wire) => wire.stop(self.now),
                },
                Output::Listen(listen) => {
                    self.listen = listen;
                    if let Line::Wire(wire) = &mut self.line {
                        wire.listen(listen);
                    }
                }
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
            Line::Times => self.on_air.is_none() && self.queue.is_empty(),
            Line::Wire(wire) => wire.sending.is_empty(),
        }
    }

    /// What is due now is done.
    fn step_wire(&mut self) {
        let Line::Wire(wire) = &mut self.line else { return };
        let (heard, sent) = wire.step(self.now);
        if sent {
            let ended = self.now;
            self.left.extend(wire.sending.drain(..).map(|(began, what)| Left { began, ended, what }));
            self.input(Input::Sent);
        }
        for one in heard {
            self.input(Input::Heard(one));
        }
    }

    /// Lets time pass until `until`, or until `stop` says so.
    fn advance(&mut self, until: Instant, mut stop: impl FnMut(&Bench) -> bool) {
        self.step_wire();
        while !stop(self) {
            if let Line::Wire(wire) = &self.line {
                let next = fax_base::time::earliest(wire.deadline(), self.session.deadline());
                let Some(at) = next.filter(|at| *at <= until) else {
                    self.now = self.now.max(until);
                    return;
                };
                self.now = self.now.max(at);
                if self.session.deadline().is_some_and(|at| at <= self.now) {
                    self.input(Input::Timeout);
                }
                self.step_wire();
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
        if let Line::Wire(wire) = &mut self.line {
            wire.far_transmits(began, transmit.clone());
            let limit = began + length * 2 + Duration::from_secs(10);
            self.advance(limit, |b| !matches!(&b.line, Line::Wire(wire) if wire.far_sends));
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
