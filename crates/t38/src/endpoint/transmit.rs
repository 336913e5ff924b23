//! From what T.30 asks for to IFPs and the moments at which they leave (T.38 §7, §8).

use super::timing::{
    CADENCES, CONTROL_BIT_RATE, CONTROL_CADENCE, CONTROL_OCTETS, PREAMBLE, QUIET, RELEASE, STORED,
    TRAILING_ZEROS, line_bits, line_time, training,
};
use crate::ifp::{DataType, Field, FieldType, Ifp, Indicator, Syntax};
use crate::port::Outgoing;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Tone, Transmit};
use std::collections::VecDeque;

/// Behind its schedule by more than this, a burst is moved rather than hurried.
const LATEST: Duration = Duration::from_millis(250);
/// The most octets that are on top of a piece of data in its IFP.
const IFP_HEAD: usize = 7;

#[derive(Debug)]
enum Content {
    Frames { frames: VecDeque<Bytes>, offset: usize, ones: u8 },
    Bits { octets: Bytes, zeros: usize },
}

/// One signal.
#[derive(Debug)]
struct Burst {
    data_type: DataType,
    bit_rate: u32,
    content: Content,
    cadence: Duration,
    /// When the first octet leaves.
    begin: Instant,
    /// Bits of the far line that are accounted for.
    bits: u64,
    /// How far a gateway that waits for whole frames is behind at the end.
    behind: Duration,
}

#[derive(Debug)]
enum State {
    /// Nothing to send.
    Idle,
    /// Quiet was asked for.
    Silence,
    /// A tone; ends with `no-signal`.
    Tone,
    /// Waiting for the line to have been quiet long enough.
    Before(Indicator, Duration, Burst),
    /// The indicator was sent; the far modem trains.
    Training(Burst),
    /// Data.
    Data(Burst),
    /// The signal was ended; `no-signal` follows.
    Release,
}

/// The transmitting half.
#[derive(Debug)]
pub(super) struct Transmitter {
    syntax: Syntax,
    ifp_limit: usize,
    queue: VecDeque<Transmit>,
    state: State,
    due: Option<Instant>,
    quiet_since: Instant,
    indicator: Indicator,
    /// Something was asked for since the last `Sent`.
    owes_sent: bool,
}

impl Transmitter {
    pub(super) fn new(syntax: Syntax, ifp_limit: usize, now: Instant) -> Self {
        Transmitter {
            syntax,
            ifp_limit,
            queue: VecDeque::new(),
            state: State::Idle,
            due: None,
            quiet_since: now,
            indicator: Indicator::NoSignal,
            owes_sent: false,
        }
    }

    pub(super) fn push(&mut self, now: Instant, transmit: Transmit) {
        self.queue.push_back(transmit);
        self.owes_sent = true;
        if matches!(self.state, State::Idle) {
            self.due = Some(now);
        }
    }

    pub(super) fn stop(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        self.queue.clear();
        self.owes_sent = false;
        self.due = None;
        match core::mem::replace(&mut self.state, State::Idle) {
            State::Idle | State::Silence | State::Before(..) => {}
            State::Tone | State::Training(_) | State::Data(_) | State::Release => {
                self.go_quiet(now, out);
            }
        }
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.due
    }

    /// Whether the last signal that was asked for is sent, and only `no-signal` is still to follow.
    pub(super) fn is_releasing(&self) -> bool {
        matches!(self.state, State::Release) && self.queue.is_empty() && self.owes_sent
    }

    /// Sends that `no-signal` now: everything that was asked for has left.
    pub(super) fn release(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        self.state = State::Idle;
        self.due = None;
        self.owes_sent = false;
        self.go_quiet(now, out);
    }

    /// The indicator of the present state, for keep-alives; none while data flow.
    pub(super) fn indicator(&self) -> Option<Outgoing> {
        match self.state {
            State::Idle | State::Silence | State::Tone | State::Before(..) | State::Training(_) => {
                self.encode(&Ifp::Indicator(self.indicator), false, false)
            }
            State::Data(_) | State::Release => None,
        }
    }

    /// Does what is due; true when everything that was asked for has left.
    pub(super) fn step(&mut self, now: Instant, out: &mut Vec<Outgoing>) -> bool {
        while let Some(due) = self.due.filter(|due| *due <= now) {
            let due = if now.since(due) > LATEST { now } else { due };
            self.due = None;
            match core::mem::replace(&mut self.state, State::Idle) {
                State::Idle | State::Silence => self.begin(due, out),
                State::Tone | State::Release => {
                    self.go_quiet(due, out);
                    self.begin(due, out);
                }
                State::Before(indicator, wait, burst) => {
                    self.indicate(indicator, out);
                    self.enter(State::Training(burst), due + wait);
                }
                State::Training(mut burst) => {
                    burst.begin = due;
                    self.send_data(burst, due, out);
                }
                State::Data(burst) => self.send_data(burst, due, out),
            }
            if self.due.is_none() && self.owes_sent {
                self.owes_sent = false;
                return true;
            }
        }
        false
    }

    fn enter(&mut self, state: State, due: Instant) {
        self.state = state;
        self.due = Some(due);
    }

    fn encode(&self, ifp: &Ifp<'_>, image: bool, key: bool) -> Option<Outgoing> {
        let octets = ifp.to_octets(self.syntax).ok()?;
        Some(Outgoing { ifp: Bytes::from(octets), image, key })
    }

    fn indicate(&mut self, indicator: Indicator, out: &mut Vec<Outgoing>) {
        self.indicator = indicator;
        out.extend(self.encode(&Ifp::Indicator(indicator), false, true));
    }

    fn go_quiet(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        self.quiet_since = now;
        self.indicate(Indicator::NoSignal, out);
    }

    /// Begins the next thing in the queue.
    fn begin(&mut self, now: Instant, out: &mut Vec<Outgoing>) {
        let Some(next) = self.queue.pop_front() else {
            return;
        };
        match next {
            Transmit::Silence(time) => self.enter(State::Silence, now + time),
            Transmit::Tone(tone, time) => {
                let indicator = match tone {
                    Tone::Cng => Indicator::Cng,
                    Tone::Ced => Indicator::Ced,
                };
                self.indicate(indicator, out);
                self.enter(State::Tone, now + time);
            }
            Transmit::Control(frames) => {
                let content = Content::Frames { frames: frames.into(), offset: 0, ones: 0 };
                self.burst(now, Indicator::V21Preamble, PREAMBLE, DataType::V21, CONTROL_BIT_RATE, content);
            }
            Transmit::Bits { modulation, training: form, octets } => {
                let zeros = line_bits(TRAILING_ZEROS, modulation.bit_rate()).div_ceil(8);
                let zeros = usize::try_from(zeros).unwrap_or(0);
                self.burst(
                    now,
                    Indicator::of_training(modulation, form),
                    training(modulation, form, false),
                    DataType::of_modulation(modulation),
                    modulation.bit_rate(),
                    Content::Bits { octets, zeros },
                );
            }
            Transmit::Frames { modulation, training: form, frames } => {
                self.burst(
                    now,
                    Indicator::of_training(modulation, form),
                    training(modulation, form, true),
                    DataType::of_modulation(modulation),
                    modulation.bit_rate(),
                    Content::Frames { frames: frames.into(), offset: 0, ones: 0 },
                );
            }
        }
    }

    fn burst(
        &mut self,
        now: Instant,
        indicator: Indicator,
        wait: Duration,
        data_type: DataType,
        bit_rate: u32,
        mut content: Content,
    ) {
        if let Content::Frames { frames, .. } = &mut content {
            frames.retain(|f| !f.is_empty());
        }
        let fits = |cadence: &&Duration| {
            let octets = line_bits(**cadence, bit_rate).div_ceil(8);
            usize::try_from(octets).is_ok_and(|n| n + IFP_HEAD <= self.ifp_limit)
        };
        let cadence = match data_type {
            DataType::V21 => CONTROL_CADENCE,
            _ => CADENCES.iter().find(fits).copied().unwrap_or(CADENCES[2]),
        };
        let behind = match &content {
            Content::Frames { frames, .. } if data_type != DataType::V21 => {
                let longest = frames.iter().map(Bytes::len).max().unwrap_or(0);
                line_time(longest as u64 * 8, bit_rate).saturating_sub(STORED)
            }
            Content::Frames { .. } | Content::Bits { .. } => Duration::ZERO,
        };
        let burst = Burst { behind, data_type, bit_rate, content, cadence, begin: now, bits: 0 };
        let at = now.max(self.quiet_since + QUIET);
        self.enter(State::Before(indicator, wait, burst), at);
    }

    fn send_data(&mut self, mut burst: Burst, now: Instant, out: &mut Vec<Outgoing>) {
        // A driver that came late moves the signal; the far end's modem has waited too.
        let on_line = line_time(burst.bits, burst.bit_rate);
        if now.since(burst.begin + on_line) > LATEST {
            burst.begin = now - on_line;
        }
        let budget = line_bits(now.since(burst.begin) + burst.cadence, burst.bit_rate);
        let image = burst.data_type != DataType::V21;
        let most = self.ifp_limit.saturating_sub(IFP_HEAD).max(1);
        let most = if image { most } else { most.min(CONTROL_OCTETS) };
        let data_type = burst.data_type;
        while burst.bits < budget {
            let (octets, end) = match &mut burst.content {
                Content::Bits { octets, zeros } => {
                    if octets.is_empty() && *zeros > 0 {
                        *octets = Bytes::from(vec![0; core::mem::take(zeros)]);
                    }
                    let wanted = (budget - burst.bits).div_ceil(8);
                    let n = usize::try_from(wanted).unwrap_or(most).min(most).min(octets.len());
                    burst.bits += n as u64 * 8;
                    let end = (octets.is_empty()).then_some(FieldType::T4NonEcmSigEnd);
                    (octets.split_to(n), end)
                }
                Content::Frames { frames, offset, ones } => match frames.front() {
                    None => (Bytes::new(), Some(FieldType::HdlcSigEnd)),
                    Some(frame) => {
                        let from = *offset;
                        while *offset < frame.len() && *offset - from < most && burst.bits < budget {
                            let octet = frame.get(*offset).copied().unwrap_or_default();
                            burst.bits += 8 + stuffed_bits(octet, ones);
                            *offset += 1;
                        }
                        let piece = frame.slice(from..*offset);
                        let mut end = None;
                        if *offset == frame.len() {
                            // FCS, and two flags as gateways put them between frames.
                            burst.bits += 32;
                            *offset = 0;
                            *ones = 0;
                            frames.pop_front();
                            end = Some(match frames.is_empty() {
                                true => FieldType::HdlcFcsOkSigEnd,
                                false => FieldType::HdlcFcsOk,
                            });
                        }
                        (piece, end)
                    }
                },
            };
            let kind = match burst.content {
                Content::Bits { .. } => FieldType::T4NonEcmData,
                Content::Frames { .. } => FieldType::HdlcData,
            };
            let mut fields = Vec::with_capacity(2);
            if !octets.is_empty() {
                fields.push(Field::new(kind, &octets));
            }
            fields.extend(end.map(Field::bare));
            let over = end.is_some_and(FieldType::ends_signal);
            let ifp = Ifp::Data { data_type, fields };
            out.extend(self.encode(&ifp, image, over));
            if over {
                let last = burst.begin + line_time(burst.bits, burst.bit_rate);
                self.enter(State::Release, last.max(now) + burst.behind + RELEASE);
                return;
            }
        }
        let due = now + burst.cadence;
        self.enter(State::Data(burst), due);
    }
}

/// By the run of ones before it and by octet: zeros inserted, and the run of ones at its end.
static STUFFING: [[(u8, u8); 256]; 5] = {
    let mut table = [[(0, 0); 256]; 5];
    let mut before = 0;
    while before < 5 {
        let mut octet = 0;
        while octet < 256 {
            let (mut stuffed, mut ones, mut bit) = (0, before as u8, 8);
            while bit > 0 {
                bit -= 1;
                ones = if octet >> bit & 1 == 1 { ones + 1 } else { 0 };
                if ones == 5 {
                    stuffed += 1;
                    ones = 0;
                }
            }
            table[before][octet] = (stuffed, ones);
            octet += 1;
        }
        before += 1;
    }
    table
};

/// Zeros that HDLC inserts for one more octet behind a run of `ones` (printed order).
fn stuffed_bits(octet: u8, ones: &mut u8) -> u64 {
    let row = STUFFING.get(usize::from(*ones)).unwrap_or(&STUFFING[0]);
    let (stuffed, after) = row[usize::from(octet)];
    *ones = after;
    u64::from(stuffed)
}

#[cfg(test)]
mod tests {
    use super::stuffed_bits;

    #[test]
    fn zeros_are_inserted_after_five_ones() {
        let count = |octets: &[u8]| {
            let mut ones = 0;
            octets.iter().map(|o| stuffed_bits(*o, &mut ones)).sum::<u64>()
        };
        assert_eq!(count(&[0xFF]), 1);
        assert_eq!(count(&[0xFF, 0xFF]), 3);
        assert_eq!(count(&[0xFF; 5]), 8);
        assert_eq!(count(&[0xF8, 0x1F, 0x7C]), 3);
        assert_eq!(count(&[0xF7, 0xBD, 0xEF]), 0);
        assert_eq!(count(&[0x00, 0xAA, 0x55]), 0);
        assert_eq!(count(&[0x07, 0xC0]), 1);
    }
}
