//! The fast modem heard: its events become T.30's words (V.27ter, V.29, V.17; T.4 Annex A for frames).

use super::Told;
use crate::QamReceiver;
use crate::modem::{Event, Mode, Quality};
use bytes::{Bytes, BytesMut};
use fax_base::hdlc::{Deframed, Deframer};
use fax_base::line::{Channel, Framing, Heard, Modulation, Training};
use fax_base::time::SAMPLE_RATE;

/// What is known of the far end's signal.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Signal {
    /// There is none.
    None,
    /// It is being trained on.
    Training,
    /// Its data are being read.
    Read,
    /// It is there, but its training failed or was missed.
    Unreadable,
}

/// The receiver of one modulation.
pub(super) struct Image {
    modulation: Modulation,
    training: Training,
    framing: Framing,
    modem: QamReceiver,
    events: Vec<Event>,
    deframer: Deframer,
    bits: RawBits,
    signal: Signal,
    presence: Presence,
    /// How well the signal was received, the last blocks' figures, oldest first: at its very end the receiver
    /// still follows what is no signal any more.
    quality: [Option<Quality>; 16],
}

impl core::fmt::Debug for Image {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        let Image { modulation, training, framing, signal, .. } = self;
        write!(f, "Image({modulation}, {training:?}, {framing:?}, {signal:?})")
    }
}

impl Image {
    pub(super) fn new(modulation: Modulation, training: Training, framing: Framing, pieces: bool) -> Self {
        let mut deframer = Deframer::new(COPIES);
        if pieces {
            deframer.in_pieces();
        }
        Image {
            modulation,
            training,
            framing,
            modem: QamReceiver::new(Mode::from(modulation), training),
            events: Vec::with_capacity(64),
            deframer,
            bits: RawBits::default(),
            signal: Signal::None,
            presence: Presence::default(),
            quality: [None; 16],
        }
    }

    pub(super) fn modulation(&self) -> Modulation {
        self.modulation
    }

    /// Another signal is expected: with short training what was learnt is kept.
    pub(super) fn expect(&mut self, training: Training, framing: Framing) {
        self.training = training;
        self.framing = framing;
        self.begin();
    }

    /// Waits for the expected signal from its beginning.
    pub(super) fn begin(&mut self) {
        self.modem.expect(self.training);
        self.deframer.end();
        self.bits = RawBits::default();
        self.signal = Signal::None;
        self.presence.forget();
        self.quality = [None; 16];
    }

    /// The last points of the signal.
    pub(super) fn constellation(&self) -> &[[f32; 2]] {
        self.modem.constellation()
    }

    /// Whether a signal is being trained on or read.
    pub(super) fn is_followed(&self) -> bool {
        matches!(self.signal, Signal::Training | Signal::Read)
    }

    /// Whether data are being read.
    pub(super) fn is_reading(&self) -> bool {
        self.signal == Signal::Read
    }

    /// Whether data are being read so well that the signal can be nothing else: to the densest
    /// constellation everything is nearer than 21 dB.
    pub(super) fn is_beyond_doubt(&self) -> bool {
        self.is_reading() && self.modem.quality().snr_db > BEYOND_DOUBT_DB
    }

    /// The far end's next samples; `control` says whether V.21 flags are being heard.
    pub(super) fn receive(&mut self, samples: &[i16], control: bool, told: &mut Vec<Told>) {
        self.modem.receive(samples, &mut self.events);
        self.tell(control, told);
        if self.signal == Signal::Unreadable && self.framing == Framing::Raw {
            // So much of a page went by.
            let bits = samples.len() as u64 * u64::from(self.modulation.bit_rate()) / u64::from(SAMPLE_RATE);
            self.bits.lose(u32::try_from(bits).unwrap_or(u32::MAX), self.modulation, told);
        }
        if self.is_reading() {
            self.quality.rotate_left(1);
            if let Some(last) = self.quality.last_mut() {
                *last = Some(self.modem.quality());
            }
        }
        match self.presence.take(samples, self.is_followed()) {
            Change::Began if self.signal == Signal::None && !control => self.know(Signal::Unreadable, told),
            Change::Ended if self.signal == Signal::Unreadable => self.end(told),
            Change::None | Change::Began | Change::Ended => {}
        }
    }

    pub(super) fn lost(&mut self, samples: usize, control: bool, told: &mut Vec<Told>) {
        self.modem.receive_gap(samples, &mut self.events);
        self.tell(control, told);
    }

    /// The signal is over, or something else is on the line.
    pub(super) fn end(&mut self, told: &mut Vec<Told>) {
        if self.is_reading() {
            let quality = self.quality.iter().flatten().next().copied();
            let (modulation, quality) = (self.modulation, quality.unwrap_or(self.modem.quality()));
            self.quality = [None; 16];
            told.push(Told::Signal(super::Signal::Over { modulation, quality }));
        }
        self.presence.forget();
        self.know(Signal::None, told);
    }

    /// Says what is known from now on, and tells when that begins or ends a carrier.
    fn know(&mut self, signal: Signal, told: &mut Vec<Told>) {
        let before = core::mem::replace(&mut self.signal, signal);
        let channel = Channel::Image(self.modulation);
        match (before, signal) {
            (Signal::None, Signal::None) => {}
            (Signal::None, _) => told.push(Told::Heard(Heard::CarrierUp(channel))),
            (_, Signal::None) => told.push(Told::Heard(Heard::CarrierDown(channel))),
            (_, Signal::Training | Signal::Read | Signal::Unreadable) => {}
        }
    }

    fn frames(&mut self, told: &mut Vec<Told>) {
        let channel = Channel::Image(self.modulation);
        while let Some(deframed) = self.deframer.poll() {
            told.push(Told::Heard(match deframed {
                Deframed::Flags => continue,
                Deframed::Piece(octets) => {
                    told.push(Told::Piece { channel, octets });
                    continue;
                }
                Deframed::Frame { octets, repaired: _ } => Heard::Frame { channel, octets, good: true },
                Deframed::Damaged => Heard::Frame { channel, octets: Bytes::new(), good: false },
            }));
        }
    }

    fn tell(&mut self, control: bool, told: &mut Vec<Told>) {
        let mut events = core::mem::take(&mut self.events);
        for event in events.drain(..) {
            match event {
                // V.21 may look like the beginning of a training.
                Event::CarrierUp if control => {}
                Event::CarrierUp => self.know(Signal::Training, told),
                Event::Trained(quality) => {
                    told.push(Told::Signal(super::Signal::Trained { modulation: self.modulation, quality }));
                    self.know(Signal::Read, told);
                }
                // The signal is there all the same, and T.30 waits for its end.
                Event::TrainingFailed => {
                    told.push(Told::Signal(super::Signal::NotTrained { modulation: self.modulation }));
                    if self.signal != Signal::None {
                        self.know(Signal::Unreadable, told);
                    }
                }
                Event::Bits { bits, count } => match self.framing {
                    Framing::Raw => self.bits.put(bits, count),
                    Framing::Hdlc => self.deframer.put(bits, count.into()),
                },
                Event::Erased { bits } => match self.framing {
                    Framing::Raw => self.bits.lose(bits, self.modulation, told),
                    Framing::Hdlc => self.deframer.lose(bits),
                },
                Event::CarrierDown if self.signal == Signal::Unreadable => {}
                Event::CarrierDown => {
                    self.deframer.end();
                    self.frames(told);
                    self.bits.flush(self.modulation, told);
                    self.end(told);
                }
            }
        }
        self.frames(told);
        self.events = events;
        self.bits.flush(self.modulation, told);
    }
}

/// Damaged frames that are remembered, to be put together with their copies: all of a block.
const COPIES: usize = 256;

/// See [`Image::is_beyond_doubt`].
const BEYOND_DOUBT_DB: f32 = 26.0;

/// What [`Presence`] noticed.
enum Change {
    None,
    Began,
    Ended,
}

/// Whether a signal as loud as the last one that could be read is there: then T.30 waits for its end,
/// though nothing of it can be read because its training was missed or failed.
#[derive(Debug, Default)]
struct Presence {
    /// Mean square of the last signal that was read, or that failed.
    reference: f32,
    /// Samples in a row above and below.
    loud: usize,
    quiet: usize,
}

/// A signal that lasts so long is no training in search of its data, nor V.21 without its flags: 0.5 s.
const CERTAIN: usize = 4_000;
/// A silence of 60 ms ends a signal.
const GONE: usize = 480;
/// −6 dB.
const AS_LOUD: f32 = 0.25;
/// No signal that could be one is fainter: −53 dBm0, 10 dB below the faintest that must be received.
const FAINTEST: f32 = 1_300.0;

impl Presence {
    fn take(&mut self, samples: &[i16], read: bool) -> Change {
        if samples.is_empty() {
            return Change::None;
        }
        let sum: f32 = samples.iter().map(|s| f32::from(*s) * f32::from(*s)).sum();
        let mean = sum / samples.len() as f32;
        if read {
            // The end of the signal lies in quiet blocks: they count little.
            self.reference = if mean > self.reference { mean } else { self.reference * 0.98 + mean * 0.02 };
            (self.loud, self.quiet) = (0, 0);
            return Change::None;
        }
        if mean > FAINTEST.max(self.reference * AS_LOUD) {
            self.loud += samples.len();
            self.quiet = 0;
            let certain = self.reference > 0.0 && self.loud >= CERTAIN;
            return if certain { Change::Began } else { Change::None };
        }
        self.loud = 0;
        self.quiet += samples.len();
        if self.quiet >= GONE { Change::Ended } else { Change::None }
    }

    fn forget(&mut self) {
        (self.loud, self.quiet) = (0, 0);
    }
}

/// Bits on their way to become octets.
#[derive(Debug, Default)]
struct RawBits {
    octets: BytesMut,
    word: u64,
    held: u32,
    /// Lost bits that do not make an octet yet.
    lost: u32,
}

impl RawBits {
    fn put(&mut self, bits: u32, count: u8) {
        let count = u32::from(count).min(32);
        let mask = (1u64 << count) - 1;
        self.word = self.word << count | u64::from(bits) & mask;
        self.held += count;
        while self.held >= 8 {
            self.held -= 8;
            self.octets.extend_from_slice(&[(self.word >> self.held) as u8]);
        }
    }

    fn lose(&mut self, bits: u32, modulation: Modulation, told: &mut Vec<Told>) {
        self.flush(modulation, told);
        // The octet that was begun is lost with them.
        let lost = self.lost.saturating_add(bits).saturating_add(core::mem::take(&mut self.held));
        self.lost = lost % 8;
        if lost >= 8 {
            told.push(Told::Heard(Heard::Lost { octets: (lost / 8) as usize }));
        }
    }

    fn flush(&mut self, modulation: Modulation, told: &mut Vec<Told>) {
        if !self.octets.is_empty() {
            let octets = self.octets.split().freeze();
            told.push(Told::Heard(Heard::Bits { modulation, octets }));
        }
    }
}
