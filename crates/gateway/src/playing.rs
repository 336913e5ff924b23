//! What came by T.38 goes out in audio, with the times of T.30 §5 and enough delay to ride out the network.
//!
//! The far end says when a signal begins some time before its first data: the second of V.21's flags, or a fast
//! modem's training. Between the two signals of one sender there are 75 ms on the line, so a burst of V.21 that was begun
//! late delays the training behind it, and that the data: [`CONTROL_DELAY`] is chosen so that 200 ms of data
//! are there when that training ends, though the far end reckoned with a talker echo protection tone that we do not
//! send. What begins after a pause may be delayed freely ([`IMAGE_DELAY`]).

mod frames;
mod raw;

use crate::api::Config;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::level::Dbm0;
use fax_base::line::{Channel, Framing, Modulation, Tone, Training};
use fax_base::time::{SAMPLE, SAMPLE_RATE};
use fax_dsp::modem::Mode;
use fax_dsp::{FskTransmitter, QamTransmitter, ToneGenerator};
use frames::Frames;
use raw::Raw;
use std::collections::VecDeque;

/// From the far end's preamble to ours, after a pause.
const CONTROL_DELAY: Duration = Duration::from_millis(550);
/// From the far end's training to ours, after a pause.
const IMAGE_DELAY: Duration = Duration::from_millis(600);
/// Between two signals: 75 ± 20 ms (T.30 §5.3).
const QUIET: Duration = Duration::from_millis(75);
/// What comes within this time behind a signal of ours belongs to it, and is not delayed.
const FOLLOWS: Duration = Duration::from_secs(1);
/// Flags before the first frame of V.21 at least: 0.96 s (T.30 §5.3.1: 1 s ± 15 %).
const PREAMBLE_FLAGS: u32 = 36;
/// Flags behind the last frame of V.21 and its own: its end is not lost with the carrier.
const CLOSING_FLAGS: u32 = 1;
/// V.21, bit/s.
const CONTROL_RATE: u32 = 300;
/// Flags at the beginning of a signal with ECM: 200 ms at least (T.4 Annex A.3.1), and at its end less than 50 ms.
const ECM_FLAGS_MS: u32 = 200;
const ECM_CLOSING_MS: u32 = 20;
/// A frame begins when so much of it is there, or all: 250 ms.
const LEAD_MS: u32 = 250;
/// How long tones last: CNG half a second, CED at least 2.6 s and at most 4 s (T.30 §4).
const CNG: Duration = Duration::from_millis(500);
const SHORTEST_CED: Duration = Duration::from_millis(2_600);
const LONGEST_CED: Duration = Duration::from_secs(4);
/// Signals that may wait.
const MOST_SIGNALS: usize = 16;

/// What a signal is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    Tone(Tone),
    Control,
    Image(Modulation, Training),
}

#[derive(Debug)]
enum Content {
    Nothing,
    Frames(Frames),
    Raw(Raw),
}

/// A signal that waits or is being sent.
#[derive(Debug)]
struct Signal {
    kind: Kind,
    came: Instant,
    content: Content,
    /// More of it may come.
    open: bool,
    /// It was to begin while the other end spoke: none of it is sent.
    talked_over: bool,
}

/// What makes its samples.
#[derive(Debug)]
enum Modem {
    Tone { generator: ToneGenerator, samples: u64 },
    Control(Box<FskTransmitter>),
    Image(Box<QamTransmitter>),
}

/// The way from T.38 to audio.
#[derive(Debug)]
pub(crate) struct Playing {
    level: Dbm0,
    talker_echo_protection: bool,
    signals: VecDeque<Signal>,
    /// Sends the first of them.
    modem: Option<Modem>,
    /// When the last signal of a modem was over.
    ended: Option<Instant>,
    /// No frame may begin before it is whole: one has run dry.
    wait_for_whole: bool,
    aborted: u64,
    fill: u64,
}

impl Playing {
    pub(crate) fn new(config: &Config) -> Self {
        Playing {
            level: config.level,
            talker_echo_protection: config.talker_echo_protection,
            signals: VecDeque::new(),
            modem: None,
            ended: None,
            wait_for_whole: false,
            aborted: 0,
            fill: 0,
        }
    }

    /// A signal begins; `framing` is what a fast modem is expected to carry.
    pub(crate) fn begin(&mut self, now: Instant, kind: Kind, framing: Framing) {
        self.close();
        if self.signals.len() >= MOST_SIGNALS {
            return;
        }
        let content = match (kind, framing) {
            (Kind::Tone(_), _) => Content::Nothing,
            (Kind::Control, _) => Content::Frames(self.control_frames()),
            (Kind::Image(modulation, _), Framing::Hdlc) => Content::Frames(self.image_frames(modulation)),
            (Kind::Image(modulation, _), Framing::Raw) => Content::Raw(Raw::new(modulation.bit_rate())),
        };
        self.signals.push_back(Signal { kind, came: now, content, open: true, talked_over: false });
    }

    /// The next octets of a frame.
    pub(crate) fn octets(&mut self, octets: &Bytes) {
        if let Some(Kind::Image(modulation, _)) = self.kind()
            && matches!(self.content(), Some(Content::Raw(raw)) if raw.is_empty())
        {
            let frames = self.image_frames(modulation);
            if let Some(content) = self.content() {
                *content = Content::Frames(frames);
            }
        }
        if let Some(Content::Frames(frames)) = self.content() {
            frames.octets(octets);
        }
    }

    /// A frame has ended.
    pub(crate) fn frame_end(&mut self, good: bool) {
        if let Some(Content::Frames(frames)) = self.content() {
            frames.frame_end(good);
        }
    }

    /// Raw bits.
    pub(crate) fn bits(&mut self, octets: &[u8]) {
        if let Some(Kind::Image(modulation, _)) = self.kind()
            && let Some(content) = self.content()
        {
            if matches!(content, Content::Frames(frames) if frames.is_empty()) {
                *content = Content::Raw(Raw::new(modulation.bit_rate()));
            }
            if let Content::Raw(raw) = content {
                raw.push(octets);
            }
        }
    }

    /// Nothing more of the present signal comes.
    pub(crate) fn close(&mut self) {
        if let Some(signal) = self.signals.back_mut().filter(|signal| signal.open) {
            signal.open = false;
            match &mut signal.content {
                Content::Nothing => {}
                Content::Frames(frames) => frames.close(),
                Content::Raw(raw) => raw.close(),
            }
        }
    }

    /// Whether a modem of ours is on the line, or was, and more follows it.
    pub(crate) fn is_modem(&self) -> bool {
        match (&self.modem, self.signals.front()) {
            (Some(modem), _) => !matches!(modem, Modem::Tone { .. }),
            (None, Some(signal)) => {
                !signal.talked_over && self.ended.is_some_and(|ended| signal.came < ended + FOLLOWS)
            }
            (None, None) => false,
        }
    }

    /// Whether a tone of ours is on the line.
    pub(crate) fn is_tone(&self) -> bool {
        matches!(self.modem, Some(Modem::Tone { .. }))
    }

    /// Frames aborted and bits of fill.
    pub(crate) fn counts(&self) -> (u64, u64) {
        (self.aborted, self.fill)
    }

    /// The next samples, from `now` on; `talking` says whether the far end speaks. A command that would begin then is
    /// not sent: on half a line both would be lost, and its sender will hear the other and know.
    pub(crate) fn transmit(&mut self, now: Instant, talking: bool, out: &mut [i16]) {
        out.fill(0);
        let mut made = 0;
        while let Some(rest) = out.get_mut(made..).filter(|rest| !rest.is_empty()) {
            let at = now + SAMPLE * u32::try_from(made).unwrap_or(u32::MAX);
            let Some(signal) = self.signals.front_mut() else { return };
            let Some(modem) = &mut self.modem else {
                if signal.is_void() {
                    self.signals.pop_front();
                    continue;
                }
                if signal.talked_over {
                    if signal.open {
                        return;
                    }
                    self.signals.pop_front();
                    continue;
                }
                let begin = begin_of(signal, self.ended);
                if begin <= at && talking && signal.kind == Kind::Control {
                    signal.talked_over = true;
                    signal.content = Content::Nothing;
                } else if begin <= at {
                    self.modem = Some(modem_for(signal.kind, self.level, self.talker_echo_protection));
                } else {
                    made += usize::try_from(begin.since(at).as_micros().div_ceil(125)).unwrap_or(rest.len());
                }
                continue;
            };
            let room = rest.len();
            let count = modem.transmit(signal, rest);
            made += count;
            if count < room {
                let at = now + SAMPLE * u32::try_from(made).unwrap_or(u32::MAX);
                self.end(at);
            }
        }
    }

    /// The first signal is over.
    fn end(&mut self, at: Instant) {
        self.modem = None;
        let Some(signal) = self.signals.pop_front() else { return };
        match signal.content {
            Content::Nothing => {}
            Content::Frames(frames) => {
                self.aborted += frames.aborted();
                self.wait_for_whole |= frames.lead() == usize::MAX;
            }
            Content::Raw(raw) => self.fill += raw.fill(),
        }
        self.ended = Some(at);
    }

    fn kind(&self) -> Option<Kind> {
        self.signals.back().filter(|signal| signal.open).map(|signal| signal.kind)
    }

    fn content(&mut self) -> Option<&mut Content> {
        self.signals.back_mut().filter(|signal| signal.open).map(|signal| &mut signal.content)
    }

    fn lead(&self, bit_rate: u32) -> usize {
        if self.wait_for_whole { usize::MAX } else { (bit_rate * LEAD_MS / 8_000) as usize + 1 }
    }

    fn control_frames(&self) -> Frames {
        Frames::new(PREAMBLE_FLAGS, CLOSING_FLAGS, self.lead(CONTROL_RATE))
    }

    fn image_frames(&self, modulation: Modulation) -> Frames {
        let rate = modulation.bit_rate();
        let flags = |ms: u32| (rate * ms).div_ceil(8_000);
        Frames::new(flags(ECM_FLAGS_MS), flags(ECM_CLOSING_MS), self.lead(rate))
    }
}

impl Signal {
    /// It was over before it had begun, and nothing came in it: nobody misses it.
    fn is_void(&self) -> bool {
        !self.open && matches!(&self.content, Content::Frames(frames) if frames.is_empty())
    }
}

impl Modem {
    /// Fills `out`; fewer samples mean that the signal is over.
    fn transmit(&mut self, signal: &mut Signal, out: &mut [i16]) -> usize {
        match (self, &mut signal.content) {
            (Modem::Tone { generator, samples }, _) => {
                let last = match (signal.kind, signal.open) {
                    (Kind::Tone(Tone::Ced), true) => LONGEST_CED,
                    (Kind::Tone(Tone::Ced), false) => SHORTEST_CED,
                    _ => CNG,
                };
                let last = last.as_micros() as u64 * u64::from(SAMPLE_RATE) / 1_000_000;
                let left = usize::try_from(last.saturating_sub(*samples)).unwrap_or(usize::MAX);
                let count = out.len().min(left);
                let (part, _) = out.split_at_mut(count);
                generator.transmit(part);
                *samples += count as u64;
                count
            }
            (Modem::Control(modem), Content::Frames(frames)) => modem.transmit(frames, out),
            (Modem::Image(modem), Content::Frames(frames)) => modem.transmit(frames, out),
            (Modem::Image(modem), Content::Raw(raw)) => modem.transmit(raw, out),
            (Modem::Control(_) | Modem::Image(_), _) => 0,
        }
    }
}

/// When a signal may begin.
fn begin_of(signal: &Signal, ended: Option<Instant>) -> Instant {
    if let Some(ended) = ended.filter(|ended| signal.came < *ended + FOLLOWS) {
        return signal.came.max(ended + QUIET);
    }
    signal.came
        + match signal.kind {
            Kind::Tone(_) => Duration::ZERO,
            Kind::Control => CONTROL_DELAY,
            Kind::Image(..) => IMAGE_DELAY,
        }
}

fn modem_for(kind: Kind, level: Dbm0, talker_echo_protection: bool) -> Modem {
    match kind {
        Kind::Tone(tone) => Modem::Tone {
            generator: match tone {
                Tone::Cng => ToneGenerator::cng(level),
                // The reversals keep echo cancellers out of the way of the modems to come.
                Tone::Ced => ToneGenerator::ced(level, true),
            },
            samples: 0,
        },
        Kind::Control => Modem::Control(Box::new(FskTransmitter::v21_channel_2(level))),
        Kind::Image(modulation, training) => {
            let mode = Mode::from(modulation);
            Modem::Image(Box::new(QamTransmitter::new(mode, training, talker_echo_protection, level)))
        }
    }
}

impl From<(Channel, Training)> for Kind {
    fn from((channel, training): (Channel, Training)) -> Self {
        match channel {
            Channel::Control => Kind::Control,
            Channel::Image(modulation) => Kind::Image(modulation, training),
        }
    }
}
