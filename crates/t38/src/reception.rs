//! From IFPs to what is on the far end's line, whatever way it cuts them (T.38 §7.3, §7.4).

use crate::endpoint::timing::{MID_SIGNAL, line_bits};
use crate::ifp::{DataType, Decoder, Field, FieldType, Ifp, Indicator};
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Modulation, Tone, Training};
use std::collections::VecDeque;

/// Octets of a frame beyond which it is no frame.
const LONGEST_FRAME: usize = 2048;
/// An IFP that ended a signal is a repeat when it comes again within this time: no new signal can
/// have got to its data by then.
const REPEATED_END: Duration = Duration::from_millis(500);
/// The usual spacing of packets of raw bits, for the size of holes.
const USUAL_CADENCE: Duration = Duration::from_millis(30);

/// What the far end says of its line, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Came {
    /// Nothing is on the line: `no-signal`.
    Quiet,
    /// A tone began; it lasts until something else comes.
    Tone(Tone),
    /// A signal began.
    CarrierUp {
        /// What kind.
        channel: Channel,
        /// The form of its training, where the indicator said so.
        training: Option<Training>,
    },
    /// The next octets of a frame, from the address on and without FCS.
    Octets(Bytes),
    /// The frame has ended.
    FrameEnd {
        /// Its FCS was right and nothing of it is missing.
        good: bool,
    },
    /// Raw bits of the fast modem.
    Bits(Bytes),
    /// About so many octets of raw bits are missing here.
    Lost {
        /// How many.
        octets: usize,
    },
    /// The signal is over.
    CarrierDown(Channel),
}

/// Reads IFPs.
#[derive(Debug)]
pub struct Reception {
    decoder: Decoder,
    /// The far end's present signal.
    up: Option<Channel>,
    indicator: Option<Indicator>,
    /// Data came in the present signal.
    data_seen: bool,
    /// Octets of the present frame.
    frame: usize,
    overlong: bool,
    /// Something may be missing from the present frame.
    hole: bool,
    /// Octets in the last piece of raw bits.
    raw_piece: Option<usize>,
    /// Packets lost before the first raw bits of this signal.
    lost_before: u32,
    last_heard: Instant,
    last_end: Option<(Instant, Bytes)>,
}

impl Reception {
    /// A session in which nothing came yet; `version` is the agreed T38FaxVersion.
    #[must_use]
    pub fn new(version: u8, now: Instant) -> Self {
        Reception {
            decoder: Decoder::new(version),
            up: None,
            indicator: None,
            data_seen: false,
            frame: 0,
            overlong: false,
            hole: false,
            raw_piece: None,
            lost_before: 0,
            last_heard: now,
            last_end: None,
        }
    }

    /// When [`Reception::timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.up.map(|_| self.last_heard + MID_SIGNAL)
    }

    /// Ends a signal in which nothing came for too long.
    pub fn timeout(&mut self, now: Instant, out: &mut VecDeque<Came>) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.carrier_down(out);
        }
    }

    /// This many IFPs will never come.
    pub fn missing(&mut self, count: u32, out: &mut VecDeque<Came>) {
        self.hole = true;
        match (self.up, self.raw_piece) {
            (Some(_), Some(piece)) => {
                out.push_back(Came::Lost { octets: piece.saturating_mul(count as usize) });
            }
            (Some(Channel::Image(_)), None) if self.frame == 0 => {
                self.lost_before = self.lost_before.saturating_add(count);
            }
            (_, None) | (None, Some(_)) => {}
        }
    }

    /// The next IFP in order.
    pub fn ifp(&mut self, now: Instant, octets: &Bytes, padded: bool, out: &mut VecDeque<Came>) {
        match self.decoder.decode(octets, padded) {
            // Unknown or broken: the call goes on, but nothing with a hole in it is trusted.
            Err(_) => self.hole |= self.up.is_some(),
            Ok(Ifp::Indicator(indicator)) => {
                self.last_heard = now;
                self.indicator(indicator, out);
            }
            Ok(Ifp::Data { data_type, fields }) => {
                self.last_heard = now;
                let repeat = self.up.is_none()
                    && self
                        .last_end
                        .as_ref()
                        .is_some_and(|(at, ended)| now.since(*at) <= REPEATED_END && ended == octets);
                if !repeat {
                    self.data(data_type, &fields, out);
                    if fields.last().is_some_and(|f| f.kind.ends_signal()) {
                        self.last_end = Some((now, octets.clone()));
                    }
                }
            }
        }
    }

    fn indicator(&mut self, indicator: Indicator, out: &mut VecDeque<Came>) {
        let before = self.indicator.replace(indicator);
        let channel = indicator.channel();
        match channel {
            Some(_) => {
                // A repeat, unless data came since: then it is the next signal, and the end of the
                // one before was lost.
                if self.up == channel && !self.data_seen {
                    self.hole = false;
                    return;
                }
                self.carrier_down(out);
                self.carrier_up(channel, indicator.training(), out);
                self.hole = false;
                self.lost_before = 0;
            }
            None => {
                self.carrier_down(out);
                self.hole = false;
                let tone = match indicator {
                    Indicator::Cng => Some(Tone::Cng),
                    // To a terminal without V.8 its answer tone is an answer tone.
                    Indicator::Ced | Indicator::V8Ansam => Some(Tone::Ced),
                    _ => None,
                };
                if before != Some(indicator) {
                    out.extend(tone.map(Came::Tone));
                }
                if tone.is_none() {
                    out.push_back(Came::Quiet);
                }
            }
        }
    }

    fn carrier_up(&mut self, channel: Option<Channel>, training: Option<Training>, out: &mut VecDeque<Came>) {
        self.up = channel;
        self.data_seen = false;
        self.raw_piece = None;
        out.extend(channel.map(|channel| Came::CarrierUp { channel, training }));
    }

    fn carrier_down(&mut self, out: &mut VecDeque<Came>) {
        let Some(channel) = self.up else { return };
        self.end_frame(false, out);
        self.up = None;
        self.data_seen = false;
        self.raw_piece = None;
        out.push_back(Came::CarrierDown(channel));
    }

    fn data(&mut self, data_type: DataType, fields: &[Field<'_>], out: &mut VecDeque<Came>) {
        let Some(channel) = data_type.channel() else {
            return;
        };
        for field in fields {
            let carries = !field.data.is_empty();
            if carries && self.up != Some(channel) {
                // The indicator was lost or never sent: the data say what the signal is.
                let hole = self.hole;
                self.carrier_down(out);
                self.carrier_up(Some(channel), None, out);
                self.hole = hole;
            }
            if self.up != Some(channel) {
                // The end of a signal that has ended already.
                continue;
            }
            self.data_seen |= carries;
            match field.kind {
                FieldType::HdlcData => self.append(field.data, out),
                FieldType::HdlcFcsOk | FieldType::HdlcFcsOkSigEnd => {
                    self.append(field.data, out);
                    self.end_frame(true, out);
                }
                FieldType::HdlcFcsBad | FieldType::HdlcFcsBadSigEnd => {
                    self.append(field.data, out);
                    self.end_frame(false, out);
                }
                FieldType::T4NonEcmData | FieldType::T4NonEcmSigEnd => {
                    if let Channel::Image(modulation) = channel {
                        self.raw_bits(modulation, field.data, out);
                    }
                }
                FieldType::HdlcSigEnd
                | FieldType::CmMessage
                | FieldType::JmMessage
                | FieldType::CiMessage
                | FieldType::V34Rate => {}
            }
            if field.kind.ends_signal() {
                self.carrier_down(out);
            }
        }
    }

    fn append(&mut self, octets: &[u8], out: &mut VecDeque<Came>) {
        if self.frame + octets.len() > LONGEST_FRAME {
            self.overlong = true;
        } else if !octets.is_empty() {
            self.frame += octets.len();
            out.push_back(Came::Octets(Bytes::copy_from_slice(octets)));
        }
    }

    /// An FCS without a frame before it is a repeat or noise.
    fn end_frame(&mut self, good: bool, out: &mut VecDeque<Came>) {
        if self.frame == 0 && !self.overlong {
            return;
        }
        let good = good && !self.hole && !self.overlong;
        self.frame = 0;
        self.overlong = false;
        self.hole = false;
        out.push_back(Came::FrameEnd { good });
    }

    fn raw_bits(&mut self, modulation: Modulation, octets: &[u8], out: &mut VecDeque<Came>) {
        if octets.is_empty() {
            return;
        }
        if self.raw_piece.is_none() && self.lost_before > 0 {
            let usual = line_bits(USUAL_CADENCE, modulation.bit_rate()) / 8;
            let lost = usual.saturating_mul(u64::from(self.lost_before));
            out.push_back(Came::Lost { octets: usize::try_from(lost).unwrap_or(usize::MAX) });
        }
        self.lost_before = 0;
        self.raw_piece = Some(octets.len());
        out.push_back(Came::Bits(Bytes::copy_from_slice(octets)));
    }
}
