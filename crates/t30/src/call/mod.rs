//! What all states of a call share: the line as V.21 bursts and image signals, the timers, the
//! outputs, and the tally that becomes the outcome.

mod hearing;
mod ledger;

use crate::api::{Config, Event, Failure, Outcome, Output, PageStatus, Phase, Role};
use crate::cause::Cause;
use crate::frames::{self, Fcf, Frame};
use crate::negotiate::Agreed;
use crate::receive::Reception;
use crate::send::Transmission;
use crate::timers::{self, Timer};
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Listen, Modulation, Tone, Training, Transmit};
use fax_base::timer::Timers;
use hearing::Signalling;
use ledger::Ledger;
use std::collections::VecDeque;

/// The good frames of one V.21 transmission; the last of them ended it.
#[derive(Clone, Debug)]
pub(crate) struct Burst {
    /// In order; never empty.
    pub(crate) frames: Vec<Frame>,
    /// What the last frame says.
    pub(crate) last: Frame,
    /// When its first flags were seen.
    pub(crate) began: Instant,
}

/// What a state is told.
#[derive(Clone, Debug)]
pub(crate) enum On {
    /// V.21 flags were seen.
    Flags,
    /// A whole burst came.
    Burst(Burst),
    /// V.21 was heard, but no good final frame. Says whether there was any frame at all.
    BurstLost { frames: bool },
    /// A tone.
    Tone(Tone),
    /// The image channel.
    Image(ImageSignal),
    /// All that was to be sent has left.
    Sent,
    /// The coded page that was asked for.
    Page(Bytes),
    /// The decoded page's quality.
    Verdict(crate::api::Verdict),
    /// Audio to T.38 or back.
    LineChanged,
    /// A timer ran out.
    Expired(Timer),
}

/// What the image channel tells.
#[derive(Clone, Debug)]
pub(crate) enum ImageSignal {
    Up,
    Bits(Bytes),
    Frame(Frame),
    BadFrame,
    Lost(usize),
    Down,
}

/// What becomes the outcome.
#[derive(Clone, Debug, Default)]
pub(crate) struct Tally {
    pub(crate) pages_confirmed: usize,
    pub(crate) page_uncertain: Option<usize>,
    pub(crate) pages_received: usize,
    pub(crate) remote_ident: Option<String>,
    pub(crate) agreed: Option<Agreed>,
    pub(crate) resends: u32,
    pub(crate) ledger: Ledger,
    pub(crate) last_sent: Option<&'static str>,
    pub(crate) last_received: Option<&'static str>,
    last_timer: Option<&'static str>,
}

/// The call.
#[derive(Debug)]
pub(crate) struct Call {
    pub(crate) now: Instant,
    pub(crate) config: Config,
    /// The line carries no image of ours faster than this, bit/s.
    pub(crate) line_rate: u32,
    pub(crate) timers: Timers<Timer>,
    outputs: VecDeque<Output>,
    phase: Phase,
    /// The state that was told something last, by name.
    pub(crate) state: &'static str,
    /// The X bit of our frames: one when we received a DIS (T.30 §5.3.6.1).
    pub(crate) x: bool,
    /// Something was given out to be sent and has not left yet.
    transmitting: bool,
    /// What is listened for.
    listening: Listen,
    /// What is being sent is CNG: the far end is listened to all the same.
    calling_tone: bool,
    /// What waits for the far end's carrier to drop.
    gated: Vec<Transmit>,
    /// Frames behind an image that is being sent: told when they have left, a page later.
    unsaid: Vec<Bytes>,
    /// When the command that ends a page begins to leave, if one waits behind its image.
    command_at: Option<Instant>,
    /// [`Event::PageSent`] was told for the image that is being sent, or was sent last.
    pub(crate) told_sent: bool,
    signalling: Signalling,
    /// The command or response search that runs when nothing is being sent.
    search: Option<(Timer, Duration)>,
    /// T3 ran out: nobody comes to the telephone.
    pub(crate) operator_missed: bool,
    /// How often we asked with CRP since a good burst came.
    asked: u8,
    /// Our last burst, to know its echo.
    last_burst: Vec<Bytes>,
    pub(crate) tally: Tally,
    pub(crate) transmission: Transmission,
    pub(crate) reception: Reception,
}

impl Call {
    pub(crate) fn new(config: Config) -> Self {
        let transmission = Transmission::new(&config);
        Call {
            now: Instant::ZERO,
            config,
            line_rate: u32::MAX,
            timers: Timers::new(),
            outputs: VecDeque::new(),
            phase: Phase::A,
            state: "",
            x: false,
            transmitting: false,
            listening: Listen::Control,
            calling_tone: false,
            gated: Vec::new(),
            unsaid: Vec::new(),
            command_at: None,
            told_sent: false,
            signalling: Signalling::default(),
            search: None,
            operator_missed: false,
            asked: 0,
            last_burst: Vec::new(),
            tally: Tally::default(),
            transmission,
            reception: Reception::default(),
        }
    }

    /// Whether we made the call.
    pub(crate) fn is_calling(&self) -> bool {
        self.config.role == Role::Calling
    }

    /// Our own identification as a frame of this kind, if we have one.
    pub(crate) fn identification(&self, fcf: Fcf) -> Option<Bytes> {
        let ident = self.config.ident.trim();
        (!ident.is_empty()).then(|| frames::build(fcf, self.x, false, &frames::ident_to_fif(ident)))
    }

    /// Whether the document that was received is whole, or everything that was polled from us has gone.
    pub(crate) fn served(&self) -> bool {
        if self.transmission.polled { self.transmission.is_over() } else { self.reception.document_done }
    }

    // Outputs.

    pub(crate) fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.output(Output::Event(event));
    }

    pub(crate) fn enter(&mut self, phase: Phase) {
        if self.phase != phase {
            self.phase = phase;
            self.event(Event::Phase(phase));
        }
    }

    pub(crate) fn listen(&mut self, listen: Listen) {
        self.listening = listen;
        self.output(Output::Listen(listen));
    }

    // Sending.

    /// Sends these one after the other, when the far end's V.21 carrier has dropped. What was still
    /// waiting for that is forgotten.
    pub(crate) fn send(&mut self, what: Vec<Transmit>) {
        self.search = None;
        self.timers.clear(Timer::T2);
        self.timers.clear(Timer::T4);
        self.gated = what;
        if self.signalling.up {
            self.timers.set(Timer::Turnaround, self.now + timers::TURNAROUND);
        } else {
            self.flush();
        }
    }

    /// Sends `frames` as one burst after the usual gap.
    pub(crate) fn send_burst(&mut self, frames: Vec<Bytes>) {
        self.send(burst(frames));
    }

    /// Sends one frame of ours, with our X bit.
    pub(crate) fn send_frame(&mut self, fcf: Fcf, fif: &[u8]) {
        let frame = self.frame(fcf, fif);
        self.send_burst(vec![frame]);
    }

    /// A final frame of ours.
    pub(crate) fn frame(&self, fcf: Fcf, fif: &[u8]) -> Bytes {
        frames::build(fcf, self.x, true, fif)
    }

    /// Whether the last that we said was CRP.
    pub(crate) fn asks_again(&self) -> bool {
        let crp = |octets: &Bytes| Frame::parse(octets).is_some_and(|frame| frame.fcf == Fcf::Crp);
        self.last_burst.iter().any(crp)
    }

    /// Sends the last burst once more, for CRP. False when there is none, or when it was CRP itself.
    pub(crate) fn say_again(&mut self) -> bool {
        let burst = self.last_burst.clone();
        let says = !burst.is_empty() && !self.asks_again();
        if says {
            self.send_burst(burst);
        }
        says
    }

    /// Asks with CRP for what was heard with errors, if that is allowed and was not in vain before.
    pub(crate) fn ask_again(&mut self) -> bool {
        let asks = self.config.rules.command_repeat && self.asked < timers::SENDS - 1 && !self.sending();
        if asks {
            self.asked += 1;
            self.send_frame(Fcf::Crp, &[]);
        }
        asks
    }

    fn flush(&mut self) {
        self.timers.clear(Timer::Turnaround);
        let what = core::mem::take(&mut self.gated);
        if what.is_empty() {
            return;
        }
        let mut length = Duration::ZERO;
        let mut least = Duration::ZERO;
        let mut after_image = false;
        self.unsaid.clear();
        self.command_at = None;
        self.calling_tone = what.iter().any(|t| matches!(t, Transmit::Tone(Tone::Cng, _)));
        for transmit in what {
            length += duration(&transmit);
            let before = least;
            least += least_duration(&transmit);
            match &transmit {
                Transmit::Control(frames) => {
                    self.last_burst.clone_from(frames);
                    if after_image {
                        if frames.iter().all(|f| frames::name_of(f) != PPS_NULL) {
                            self.command_at = Some(self.now + before);
                        }
                        self.unsaid.extend(frames.iter().cloned());
                    } else {
                        self.say_sent(frames.clone());
                    }
                }
                Transmit::Bits { .. } | Transmit::Frames { .. } => {
                    after_image = true;
                    self.told_sent = false;
                }
                Transmit::Silence(_) | Transmit::Tone(..) => {}
            }
            self.output(Output::Transmit(transmit));
        }
        self.transmitting = true;
        self.signalling = Signalling::default();
        self.timers.clear(Timer::Frame);
        self.timers.set(Timer::Sending, self.now + length * 2 + timers::SENDING);
    }

    /// Tells that frames are sent.
    fn say_sent(&mut self, frames: Vec<Bytes>) {
        for octets in frames {
            let name = frames::name_of(&octets);
            self.tally.last_sent = Some(name);
            self.event(Event::FrameSent { name, octets });
        }
    }

    /// Stops what is being sent.
    pub(crate) fn stop(&mut self) {
        self.gated.clear();
        self.unsaid.clear();
        self.command_at = None;
        self.timers.clear(Timer::Turnaround);
        self.timers.clear(Timer::Sending);
        if self.transmitting {
            self.transmitting = false;
            self.output(Output::StopTransmit);
        }
    }

    /// When [`Call::tell_sent`] is due.
    pub(crate) fn command_at(&self) -> Option<Instant> {
        self.command_at
    }

    /// Tells [`Event::PageSent`] if the page's command begins to leave by now.
    pub(crate) fn tell_sent(&mut self) {
        if self.command_at.is_some_and(|at| at <= self.now) {
            self.command_at = None;
            self.told_sent = true;
            let index = self.transmission.index();
            self.event(Event::PageSent { index });
        }
    }

    /// Whether something is being sent or waits to be.
    pub(crate) fn sending(&self) -> bool {
        self.transmitting || !self.gated.is_empty()
    }

    // Searching.

    /// Starts the search for a command ([`Timer::T2`]) or a response ([`Timer::T4`]). Flags hold its
    /// timer; when no good final frame comes of them it starts anew.
    pub(crate) fn search(&mut self, timer: Timer, length: Duration) {
        self.timers.clear(Timer::T2);
        self.timers.clear(Timer::T4);
        self.search = Some((timer, length));
        if !self.signalling.up {
            self.timers.set(timer, self.now + length);
        }
    }

    /// Ends the search, if one is on.
    pub(crate) fn stop_search(&mut self) {
        self.search = None;
        self.timers.clear(Timer::T2);
        self.timers.clear(Timer::T4);
    }

    fn hold_search(&mut self) {
        self.timers.clear(Timer::T2);
        self.timers.clear(Timer::T4);
    }

    fn resume_search(&mut self) {
        if let Some((timer, length)) = self.search {
            self.timers.set(timer, self.now + length);
        }
    }

    // Time.

    /// Takes the timers of the line layer; others are for the state.
    pub(crate) fn expired(&mut self, timer: Timer) -> Option<On> {
        match timer {
            Timer::Frame => self.signalling_ends(),
            Timer::Turnaround => {
                self.flush();
                None
            }
            Timer::T0
            | Timer::T1
            | Timer::T1A
            | Timer::T2
            | Timer::T3
            | Timer::T4
            | Timer::T5
            | Timer::Tcf
            | Timer::Image
            | Timer::Page
            | Timer::Sending
            | Timer::Assembly
            | Timer::Release
            | Timer::Busy
            | Timer::Call => {
                if matches!(timer, Timer::T2 | Timer::T4) {
                    self.search = None;
                }
                if timer.is_of_t30() {
                    self.tally.last_timer = Some(timer.name());
                    self.event(Event::TimerExpired(timer.name()));
                }
                Some(On::Expired(timer))
            }
        }
    }

    /// What we asked to be sent has left. False when we did not ask.
    pub(crate) fn sent(&mut self) -> bool {
        self.timers.clear(Timer::Sending);
        let was = core::mem::take(&mut self.transmitting);
        let unsaid = core::mem::take(&mut self.unsaid);
        self.say_sent(unsaid);
        if was && !self.signalling.up {
            // A search that began before it had left.
            self.resume_search();
        }
        was
    }

    /// The carrier below us changed: what was being sent and heard is gone.
    pub(crate) fn line_changed(&mut self) {
        self.transmitting = false;
        self.gated.clear();
        self.unsaid.clear();
        self.command_at = None;
        self.signalling = Signalling::default();
        for timer in [Timer::Sending, Timer::Turnaround, Timer::Frame] {
            self.timers.clear(timer);
        }
        // What carries us now does not know it yet.
        self.output(Output::Listen(self.listening));
    }

    /// Ends the call with this outcome.
    pub(crate) fn conclude(&mut self, failure: Option<Failure>) {
        self.timers.clear_all();
        self.command_at = None;
        self.stop_search();
        if let Some(index) = self.tally.page_uncertain
            && self.tally.ledger.sent.last().is_some_and(|r| r.index == index)
        {
            self.page_ends(PageStatus::Uncertain);
        }
        let tally = core::mem::take(&mut self.tally);
        self.output(Output::End(Box::new(Outcome {
            failure,
            pages_confirmed: tally.pages_confirmed,
            page_uncertain: tally.page_uncertain,
            pages_received: tally.pages_received,
            sent: tally.ledger.sent,
            received: tally.ledger.received,
            remote_ident: tally.remote_ident,
            modulation: tally.agreed.map(|a| a.modulation),
            format: tally.agreed.map(|a| a.format),
            resends: tally.resends,
        })));
    }

    /// What to say of a failure that happens now.
    pub(crate) fn failure(&self, cause: Cause) -> Failure {
        Failure {
            cause,
            phase: self.phase,
            state: self.state,
            timer: self.tally.last_timer,
            last_sent: self.tally.last_sent,
            last_received: self.tally.last_received,
        }
    }
}

/// A burst after the gap between carriers.
pub(crate) fn burst(frames: Vec<Bytes>) -> Vec<Transmit> {
    vec![Transmit::Silence(timers::GAP), Transmit::Control(frames)]
}

/// The training before an image: V.17 has a short one, the others only one.
pub(crate) const fn image_training(modulation: Modulation) -> Training {
    match modulation {
        Modulation::V17At7200 | Modulation::V17At9600 | Modulation::V17At12000 | Modulation::V17At14400 => {
            Training::Short
        }
        Modulation::V27ter2400 | Modulation::V27ter4800 | Modulation::V29At7200 | Modulation::V29At9600 => {
            Training::Long
        }
    }
}

/// About how long this takes to send.
fn duration(transmit: &Transmit) -> Duration {
    let bits = |octets: usize, rate: u32| {
        let bits = u64::try_from(octets).unwrap_or(u64::MAX).saturating_mul(8_500_000);
        Duration::from_micros(bits / u64::from(rate.max(1)))
    };
    match transmit {
        Transmit::Silence(length) | Transmit::Tone(_, length) => *length,
        Transmit::Control(frames) => {
            Duration::from_secs(1) + bits(frames.iter().map(|f| f.len() + 3).sum(), 300)
        }
        Transmit::Bits { modulation, octets, .. } => {
            Duration::from_secs(2) + bits(octets.len(), modulation.bit_rate())
        }
        Transmit::Frames { modulation, frames, .. } => {
            let octets = frames.iter().map(|f| f.len() + 4).sum();
            Duration::from_secs(2) + bits(octets, modulation.bit_rate())
        }
    }
}

/// The command between two blocks of a page.
const PPS_NULL: &str = "PPS-NULL";

/// No modem sends it faster: the shortest training, no fill, and just the stuffed bits that there are.
fn least_duration(transmit: &Transmit) -> Duration {
    let bits = |bits: usize, rate: u32| {
        let bits = u64::try_from(bits).unwrap_or(u64::MAX);
        Duration::from_micros(bits.saturating_mul(1_000_000) / u64::from(rate.max(1)))
    };
    match transmit {
        Transmit::Silence(length) | Transmit::Tone(_, length) => *length,
        Transmit::Control(frames) => bits(frames.iter().map(|f| 8 * f.len()).sum(), 300),
        Transmit::Bits { modulation, octets, .. } => bits(8 * octets.len(), modulation.bit_rate()),
        Transmit::Frames { modulation, frames, .. } => {
            bits(frames.iter().map(|f| 8 * (f.len() + 3) + stuffed(f)).sum(), modulation.bit_rate())
        }
    }
}

/// Zeros that HDLC puts behind five ones (T.30 §5.3).
fn stuffed(frame: &[u8]) -> usize {
    let (mut run, mut zeros) = (0, 0);
    for octet in frame {
        for bit in (0..8).rev() {
            run = if octet >> bit & 1 == 1 { run + 1 } else { 0 };
            if run == 5 {
                (run, zeros) = (0, zeros + 1);
            }
        }
    }
    zeros
}
