//! What was heard in audio becomes IFPs while it comes (T.38 §7.3, §7.4).

use crate::api::Config;
use crate::edit;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Modulation, Tone, Training};
use fax_t30::frames::Fcf;
use fax_t38::Port;
use fax_t38::ifp::{DataType, Field, FieldType, Ifp, Indicator, Syntax};
use fax_t38::port::Outgoing;

/// Octets of V.21 in a packet: 80 ms of them. Fewer packets to a frame means that what rides along reaches back farther.
const CONTROL_OCTETS: usize = 3;
/// Image data in a packet, ms at least; audio comes in packets of 20.
const IMAGE_MS: u32 = 30;
/// What is on top of the data in an IFP at most.
const IFP_HEAD: usize = 7;
/// How long a tone is told after it was recognised, unless something else comes: CNG is recognised when two thirds of
/// its half second are over, CED after 0.8 s of 2.6 at least.
const CNG_LEFT: Duration = Duration::from_millis(150);
const CED_LEFT: Duration = Duration::from_millis(2_200);
/// The most octets that a loss is filled with: 2 s at the fastest.
const MOST_FILL: usize = 3_600;

/// What passed in one signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Count {
    pub(crate) octets: u64,
    pub(crate) frames: u32,
    pub(crate) bad_frames: u32,
    pub(crate) lost: u64,
}

/// The signal that is coming.
#[derive(Debug)]
struct Coming {
    channel: Channel,
    data_type: DataType,
    /// Octets that make a packet.
    packet: usize,
    kind: Option<FieldType>,
    buffer: BytesMut,
    /// Octets of the present frame that were packed, and their control field.
    frame: usize,
    begun: Vec<u8>,
    sent: bool,
    count: Count,
}

/// The way from audio to T.38.
#[derive(Debug)]
pub(crate) struct Packing {
    syntax: Syntax,
    most: usize,
    indicator: Indicator,
    tone_until: Option<Instant>,
    coming: Option<Coming>,
}

impl Packing {
    pub(crate) fn new(config: &Config, port: &Port) -> Self {
        Packing {
            syntax: Syntax::of_version(config.t38.version),
            most: port.limits().ifp.saturating_sub(IFP_HEAD).max(1),
            indicator: Indicator::NoSignal,
            tone_until: None,
            coming: None,
        }
    }

    /// When [`Packing::timeout`] is due.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.tone_until
    }

    /// A tone is over.
    pub(crate) fn timeout(&mut self, now: Instant, port: &mut Port) {
        if self.tone_until.is_some_and(|at| at <= now) {
            self.indicate(now, Indicator::NoSignal, port);
        }
    }

    /// Tells the present state again, unless data do.
    pub(crate) fn tell_state(&self, now: Instant, key: bool, port: &mut Port) {
        if !self.coming.as_ref().is_some_and(|c| c.sent) {
            self.send(now, &Ifp::Indicator(self.indicator), false, key, port);
        }
    }

    pub(crate) fn tone(&mut self, now: Instant, tone: Tone, port: &mut Port) {
        if self.coming.is_some() {
            return;
        }
        let (indicator, left) = match tone {
            Tone::Cng => (Indicator::Cng, CNG_LEFT),
            Tone::Ced => (Indicator::Ced, CED_LEFT),
        };
        self.indicate(now, indicator, port);
        self.tone_until = Some(now + left);
    }

    pub(crate) fn carrier_up(&mut self, now: Instant, channel: Channel, training: Training, port: &mut Port) {
        // Nothing begins within another signal; were it so, that one is over.
        self.carrier_down(now, port);
        let (indicator, data_type, packet) = match channel {
            Channel::Control => (Indicator::V21Preamble, DataType::V21, CONTROL_OCTETS),
            Channel::Image(modulation) => (
                Indicator::of_training(modulation, training),
                DataType::of_modulation(modulation),
                octets_of(modulation),
            ),
        };
        self.indicate(now, indicator, port);
        self.coming = Some(Coming {
            channel,
            data_type,
            packet: packet.min(self.most),
            kind: None,
            buffer: BytesMut::new(),
            frame: 0,
            begun: Vec::with_capacity(3),
            sent: false,
            count: Count::default(),
        });
    }

    /// The next octets of a frame.
    pub(crate) fn piece(&mut self, now: Instant, octets: &[u8], config: &Config, port: &mut Port) {
        let Some(coming) = &mut self.coming else { return };
        coming.frame_octets(octets, config);
        self.pack(now, None, port);
    }

    /// A frame has ended: all of it, if it is good; whether it was changed.
    pub(crate) fn frame_end(
        &mut self,
        now: Instant,
        octets: &Bytes,
        good: bool,
        config: &Config,
        port: &mut Port,
    ) -> bool {
        let Some(coming) = &mut self.coming else { return false };
        let begun = coming.frame > 0;
        // What was told before must be its beginning; a frame put together of copies may be another one.
        let known = octets.get(..coming.begun.len()).is_some_and(|head| head == coming.begun);
        let rest = octets.get(coming.frame..).filter(|_| good && known);
        if let Some(rest) = rest {
            coming.frame_octets(rest, config);
            let fcf = coming.fcf();
            let edited = octets.iter().enumerate().any(|(at, o)| edit::edited(config, fcf, at, *o) != *o);
            coming.count.frames += 1;
            self.pack(now, Some(FieldType::HdlcFcsOk), port);
            return edited && self.is_control();
        }
        coming.count.bad_frames += 1;
        if begun {
            self.pack(now, Some(FieldType::HdlcFcsBad), port);
        }
        if good {
            self.coming.iter_mut().for_each(|c| c.count.bad_frames -= 1);
            return self.frame_end(now, octets, true, config, port);
        }
        false
    }

    /// Raw bits.
    pub(crate) fn bits(&mut self, now: Instant, octets: &[u8], port: &mut Port) {
        let Some(coming) = &mut self.coming else { return };
        coming.kind = Some(FieldType::T4NonEcmData);
        coming.count.octets += octets.len() as u64;
        coming.buffer.extend_from_slice(octets);
        self.pack(now, None, port);
    }

    /// Raw bits were lost: zeros stand for them, which are fill to the far end.
    pub(crate) fn lost(&mut self, now: Instant, octets: usize, port: &mut Port) {
        let Some(coming) = &mut self.coming else { return };
        coming.count.lost += octets as u64;
        let zeros = vec![0; octets.min(MOST_FILL)];
        self.bits(now, &zeros, port);
    }

    /// The signal is over; what passed in it.
    pub(crate) fn carrier_down(&mut self, now: Instant, port: &mut Port) -> Option<(Channel, Count)> {
        let coming = self.coming.as_ref()?;
        let end = match coming.kind {
            Some(FieldType::T4NonEcmData) => Some(FieldType::T4NonEcmSigEnd),
            Some(_) => Some(FieldType::HdlcSigEnd),
            None => None,
        };
        if coming.frame > 0 {
            self.pack(now, Some(FieldType::HdlcFcsBad), port);
        }
        self.pack(now, end, port);
        let coming = self.coming.take()?;
        self.indicate(now, Indicator::NoSignal, port);
        Some((coming.channel, coming.count))
    }

    fn is_control(&self) -> bool {
        self.coming.as_ref().is_some_and(|c| c.channel == Channel::Control)
    }

    fn indicate(&mut self, now: Instant, indicator: Indicator, port: &mut Port) {
        self.tone_until = None;
        self.indicator = indicator;
        self.send(now, &Ifp::Indicator(indicator), false, true, port);
    }

    /// Sends packets of what has come: full ones, or with an end all of it.
    fn pack(&mut self, now: Instant, end: Option<FieldType>, port: &mut Port) {
        let Some(mut coming) = self.coming.take() else { return };
        let kind = coming.kind.unwrap_or(FieldType::HdlcData);
        let image = coming.channel != Channel::Control;
        let data_type = coming.data_type;
        // What audio brought at once leaves in one packet, if it may.
        let most = if image { self.most } else { 2 * CONTROL_OCTETS };
        while coming.buffer.len() >= coming.packet || end.is_some() {
            let octets = coming.buffer.split_to(coming.buffer.len().min(most));
            let last = end.filter(|_| coming.buffer.is_empty());
            let mut fields = Vec::with_capacity(2);
            if !octets.is_empty() {
                fields.push(Field::new(kind, &octets));
            }
            fields.extend(last.map(Field::bare));
            let key = last.is_some_and(FieldType::ends_signal);
            coming.sent = true;
            self.send(now, &Ifp::Data { data_type, fields }, image, key, port);
            if last.is_some() {
                coming.frame = 0;
                coming.begun.clear();
                break;
            }
        }
        self.coming = Some(coming);
    }

    fn send(&self, now: Instant, ifp: &Ifp<'_>, image: bool, key: bool, port: &mut Port) {
        if let Ok(octets) = ifp.to_octets(self.syntax) {
            port.send(now, Outgoing { ifp: Bytes::from(octets), image, key });
        }
    }
}

impl Coming {
    fn frame_octets(&mut self, octets: &[u8], config: &Config) {
        self.kind = Some(FieldType::HdlcData);
        for octet in octets {
            if self.begun.len() < 3 {
                self.begun.push(*octet);
            }
            let octet = match self.channel {
                Channel::Control => edit::edited(config, self.fcf(), self.frame, *octet),
                Channel::Image(_) => *octet,
            };
            self.frame += 1;
            self.buffer.extend_from_slice(&[octet]);
        }
    }

    fn fcf(&self) -> Fcf {
        self.begun.get(2).map_or(Fcf::Unknown, |octet| Fcf::parse(*octet))
    }
}

/// Octets in [`IMAGE_MS`].
fn octets_of(modulation: Modulation) -> usize {
    (modulation.bit_rate() * IMAGE_MS / 8_000) as usize
}
