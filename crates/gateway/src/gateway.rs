//! The gateway: what is heard on each side, read, and passed to the other (T.38 §7, §8).

use crate::api::{Config, Event, Input, Output, Side, Statistics};
use crate::edit;
use crate::packing::{Count, Packing};
use crate::playing::{Kind, Playing};
use bytes::{Bytes, BytesMut};
use fax_base::Instant;
use fax_base::line::{Channel, Framing, Heard, Listen, Modulation, Training};
use fax_base::time::earliest;
use fax_dsp::Listening;
use fax_dsp::listening::Told;
use fax_t30::frames::{Fcf, without_field};
use fax_t30::observer::{self, Observation, Observer};
use fax_t38::Port;
use fax_t38::reception::{Came, Reception};
use fax_t38::udptl::Delivery;
use std::collections::VecDeque;

/// Octets of a control frame that are kept for reading.
const LONGEST_FRAME: usize = 2_048;
/// Events that wait to be fetched; more are forgotten.
const MOST_EVENTS: usize = 4_096;
/// The most octets that a loss of raw bits is filled with: 2 s at the fastest.
const MOST_FILL: usize = 3_600;

/// The fast modem's signal that a side is expected to send.
#[derive(Clone, Copy, Debug)]
struct Expected {
    modulation: Modulation,
    training: Training,
    framing: Framing,
}

/// A signal that comes by T.38.
#[derive(Debug)]
struct Coming {
    channel: Channel,
    frame: BytesMut,
    /// Octets of the present frame.
    at: usize,
    count: Count,
}

/// A T.38 gateway. See the crate's documentation.
#[derive(Debug)]
pub struct Gateway {
    config: Config,
    port: Port,
    reception: Reception,
    came: VecDeque<Came>,
    coming: Option<Coming>,
    playing: Playing,
    listening: Listening,
    told: Vec<Told>,
    packing: Packing,
    observer: Observer,
    from_audio: Option<Expected>,
    from_t38: Option<Expected>,
    outputs: VecDeque<Output>,
    /// For samples of G.711.
    samples: Vec<i16>,
}

impl Gateway {
    /// A gateway that begins now, with a `no-signal` that opens the way through address translators.
    #[must_use]
    pub fn new(config: Config, now: Instant) -> Self {
        let mut port = Port::new(config.t38.clone(), now);
        let packing = Packing::new(&config, &port);
        packing.tell_state(now, true, &mut port);
        let mut gateway = Gateway {
            reception: Reception::new(config.t38.version, now),
            came: VecDeque::new(),
            coming: None,
            playing: Playing::new(&config),
            listening: Listening::in_pieces(without_field()),
            told: Vec::with_capacity(16),
            packing,
            port,
            observer: Observer::new(false),
            from_audio: None,
            from_t38: None,
            outputs: VecDeque::new(),
            samples: Vec::with_capacity(480),
            config,
        };
        gateway.flush();
        gateway
    }

    /// Tells the gateway what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Audio(samples) => {
                self.listening.receive(samples, &mut self.told);
                self.hear(now);
            }
            Input::G711(law, octets) => {
                self.samples.clear();
                self.samples.extend(octets.iter().map(|octet| law.decode(*octet)));
                self.listening.receive(&self.samples, &mut self.told);
                self.hear(now);
            }
            Input::AudioLost(samples) => {
                self.listening.lost(samples, &mut self.told);
                self.hear(now);
            }
            Input::Datagram(datagram) => {
                if self.port.receive(now, datagram) {
                    self.deliver(now);
                }
            }
            Input::Timeout => {}
        }
        self.advance(now);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let own = earliest(self.packing.deadline(), self.reception.deadline());
        earliest(self.port.deadline(), own)
    }

    /// The next samples for the audio side, from `now` on.
    pub fn transmit_audio(&mut self, now: Instant, out: &mut [i16]) {
        self.playing.transmit(now, self.listening.is_receiving(), out);
        // The line is half duplex: what comes back while a modem of ours sends is its echo.
        self.listening.set_deaf(self.playing.is_modem());
    }

    /// The counters.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let (frames_aborted, fill_bits) = self.playing.counts();
        Statistics { t38: self.port.statistics(), frames_aborted, fill_bits }
    }

    fn advance(&mut self, now: Instant) {
        self.port.timeout(now);
        self.deliver(now);
        self.reception.timeout(now, &mut self.came);
        self.pass_to_audio(now);
        self.packing.timeout(now, &mut self.port);
        if self.port.is_silent(now) {
            self.packing.tell_state(now, false, &mut self.port);
        }
        self.flush();
    }

    fn flush(&mut self) {
        while let Some(datagram) = self.port.poll() {
            self.outputs.push_back(Output::Datagram(datagram));
        }
    }

    fn tell(&mut self, event: Event) {
        if self.outputs.len() < MOST_EVENTS {
            self.outputs.push_back(Output::Event(event));
        }
    }

    /// Passes on what was heard in audio.
    fn hear(&mut self, now: Instant) {
        let mut told = core::mem::take(&mut self.told);
        for told in told.drain(..) {
            match told {
                Told::Repaired { .. } => {}
                Told::Signal(signal) => self.tell(Event::Signal(signal)),
                Told::Piece { channel: _, octets } => {
                    self.packing.piece(now, &octets, &self.config, &mut self.port);
                }
                Told::Heard(heard) => self.pass_to_t38(now, heard),
            }
        }
        self.told = told;
    }

    fn pass_to_t38(&mut self, now: Instant, heard: Heard) {
        match &heard {
            // Our own tone comes back as an echo.
            Heard::Tone(_) if self.playing.is_tone() => return,
            Heard::Tone(tone) => self.packing.tone(now, *tone, &mut self.port),
            Heard::CarrierUp(channel) => {
                let training = self.from_audio.map_or(Training::Long, |expected| expected.training);
                self.packing.carrier_up(now, *channel, training, &mut self.port);
                if let Channel::Image(modulation) = *channel {
                    self.tell(Event::Began { side: Side::Audio, modulation, training });
                }
            }
            Heard::Frame { channel, octets, good } => {
                let edited = self.packing.frame_end(now, octets, *good, &self.config, &mut self.port);
                if *channel == Channel::Control {
                    self.observe(observer::Side::First, heard, edited);
                }
                return;
            }
            Heard::Bits { octets, .. } => self.packing.bits(now, octets, &mut self.port),
            Heard::Lost { octets } => self.packing.lost(now, *octets, &mut self.port),
            Heard::CarrierDown(_) => {
                if let Some((Channel::Image(modulation), count)) =
                    self.packing.carrier_down(now, &mut self.port)
                {
                    self.passed(Side::Audio, modulation, count);
                }
            }
        }
        self.observe(observer::Side::First, heard, false);
    }

    fn passed(&mut self, side: Side, modulation: Modulation, count: Count) {
        let Count { octets, frames, bad_frames, lost } = count;
        self.tell(Event::Passed { side, modulation, octets, frames, bad_frames, lost });
    }

    fn deliver(&mut self, now: Instant) {
        while let Some(delivery) = self.port.delivery() {
            match delivery {
                Delivery::Ifp { octets, padded } => {
                    self.reception.ifp(now, &octets, padded, &mut self.came);
                }
                Delivery::Missing(count) => self.reception.missing(count, &mut self.came),
            }
        }
        self.pass_to_audio(now);
    }

    /// Passes on what came by T.38.
    fn pass_to_audio(&mut self, now: Instant) {
        while let Some(came) = self.came.pop_front() {
            match came {
                Came::Quiet => self.playing.close(),
                Came::Tone(tone) => {
                    self.playing.begin(now, Kind::Tone(tone), Framing::Raw);
                    self.observe(observer::Side::Second, Heard::Tone(tone), false);
                }
                Came::CarrierUp { channel, training } => self.t38_carrier_up(now, channel, training),
                Came::Octets(octets) => self.t38_octets(octets),
                Came::FrameEnd { good } => self.t38_frame_end(good),
                Came::Bits(octets) => {
                    self.playing.bits(&octets);
                    if let Some(Coming { channel: Channel::Image(modulation), count, .. }) = &mut self.coming
                    {
                        count.octets += octets.len() as u64;
                        let modulation = *modulation;
                        self.observe(observer::Side::Second, Heard::Bits { modulation, octets }, false);
                    }
                }
                Came::Lost { octets } => {
                    // Zeros are fill where rows are, and what a training check is made of.
                    self.playing.bits(&vec![0; octets.min(MOST_FILL)]);
                    if let Some(coming) = &mut self.coming {
                        coming.count.lost += octets as u64;
                    }
                    self.observe(observer::Side::Second, Heard::Lost { octets }, false);
                }
                Came::CarrierDown(channel) => {
                    self.playing.close();
                    if let (Some(coming), Channel::Image(modulation)) = (self.coming.take(), channel) {
                        self.passed(Side::T38, modulation, coming.count);
                    }
                    self.observe(observer::Side::Second, Heard::CarrierDown(channel), false);
                }
            }
        }
    }

    fn t38_carrier_up(&mut self, now: Instant, channel: Channel, training: Option<Training>) {
        let expected = self.from_t38.filter(|e| channel == Channel::Image(e.modulation));
        let training = match (expected.map(|e| e.training), training) {
            // After DCS and CTC nothing but a long training can be followed, whatever the far end says.
            (Some(Training::Long), _) | (None, None) => Training::Long,
            (_, Some(training)) | (Some(training), None) => training,
        };
        let framing = expected.map_or(Framing::Raw, |e| e.framing);
        self.coming = Some(Coming { channel, frame: BytesMut::new(), at: 0, count: Count::default() });
        self.playing.begin(now, Kind::from((channel, training)), framing);
        if let Channel::Image(modulation) = channel {
            self.tell(Event::Began { side: Side::T38, modulation, training });
        }
    }

    fn t38_octets(&mut self, octets: Bytes) {
        let Some(coming) = &mut self.coming else { return };
        if coming.channel != Channel::Control {
            coming.at += octets.len();
            self.playing.octets(&octets);
            return;
        }
        let mut passed = BytesMut::with_capacity(octets.len());
        for octet in octets {
            if coming.frame.len() < LONGEST_FRAME {
                coming.frame.extend_from_slice(&[octet]);
            }
            passed.extend_from_slice(&[edit::edited(&self.config, fcf_of(&coming.frame), coming.at, octet)]);
            coming.at += 1;
        }
        self.playing.octets(&passed.freeze());
    }

    fn t38_frame_end(&mut self, good: bool) {
        self.playing.frame_end(good);
        let Some(coming) = &mut self.coming else { return };
        coming.at = 0;
        let octets = coming.frame.split().freeze();
        if coming.channel != Channel::Control {
            coming.count.frames += u32::from(good);
            coming.count.bad_frames += u32::from(!good);
            return;
        }
        let fcf = fcf_of(&octets);
        let mut numbered = octets.iter().enumerate();
        let edited = numbered.any(|(at, octet)| edit::edited(&self.config, fcf, at, *octet) != *octet);
        let heard = Heard::Frame { channel: Channel::Control, octets, good };
        self.observe(observer::Side::Second, heard, edited);
    }

    /// Reads what passes, to know what comes next, and tells of it.
    fn observe(&mut self, side: observer::Side, heard: Heard, edited: bool) {
        self.observer.hear(side, heard);
        while let Some(observation) = self.observer.poll() {
            match observation {
                Observation::Listen(side, listen) => self.expect(side, listen),
                Observation::Tone(side, tone) => self.tell(Event::Tone { side: side.into(), tone }),
                Observation::Frame { side, sender, name, octets } => {
                    self.tell(Event::Frame { side: side.into(), sender, name, octets, edited });
                }
                Observation::FrameBad(side) => self.tell(Event::FrameBad(side.into())),
                Observation::TrainingCheck { modulation, good } => {
                    self.tell(Event::TrainingCheck { modulation, good });
                }
                Observation::PageStart { .. }
                | Observation::PageData(_)
                | Observation::PageLost { .. }
                | Observation::PageDone(_) => {}
            }
        }
    }

    fn expect(&mut self, side: observer::Side, listen: Listen) {
        let expected = match listen {
            Listen::Control => None,
            Listen::Image { modulation, training, framing } => {
                Some(Expected { modulation, training, framing })
            }
        };
        match side {
            observer::Side::First => {
                self.from_audio = expected;
                self.listening.expect(listen);
            }
            observer::Side::Second => {
                self.from_t38 = expected;
                self.from_audio = None;
                self.listening.expect(Listen::Control);
            }
        }
    }
}

fn fcf_of(frame: &[u8]) -> Fcf {
    frame.get(2).map_or(Fcf::Unknown, |octet| Fcf::parse(*octet))
}

impl From<observer::Side> for Side {
    fn from(side: observer::Side) -> Self {
        match side {
            observer::Side::First => Side::Audio,
            observer::Side::Second => Side::T38,
        }
    }
}
