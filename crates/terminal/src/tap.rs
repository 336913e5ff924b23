//! A tap on a call: both ends overheard, in audio or T.38, without taking part (T.30 over V.21, V.27ter, V.29,
//! V.17 and T.38).
//!
//! [`Tap`] is fed with what passed on each wire, in order of time, and tells frames, signals with their quality,
//! and pages. What to listen for it learns from the frames themselves ([`fax_t30::observer`]).

use crate::api::{AudioOptions, ReceivedPage, Signal};
use crate::audio::{AudioLine, Told};
use crate::inbox::Inbox;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::line::{Modulation, Tone};
use fax_base::page::PageFormat;
use fax_t30::Role;
use fax_t30::observer::{Answer, Observation, Observer, Side};
use fax_t38 as t38;
use fax_t38::ifp::{Decoder, Ifp};
use fax_t38::udptl::{Delivery, Receiver};
use std::collections::VecDeque;

/// What was overheard.
#[derive(Clone, PartialEq, Debug)]
pub enum Overheard {
    /// A tone of phase A.
    Tone(Side, Tone),
    /// A good control frame.
    Frame {
        /// Where.
        side: Side,
        /// Who sent it.
        sender: Role,
        /// Its name as printed in T.30.
        name: &'static str,
        /// Its octets, from the address on.
        octets: Bytes,
    },
    /// A control frame that could not be read.
    FrameBad(Side),
    /// A signal of a fast modem came or went.
    Signal {
        /// Where.
        side: Side,
        /// What.
        signal: Signal,
        /// When it is over: its last points as decided on, in the modulation's own units.
        points: Vec<[f32; 2]>,
    },
    /// A training check passed.
    TrainingCheck {
        /// Modulation and rate.
        modulation: Modulation,
        /// As judged here.
        good: bool,
    },
    /// A page begins.
    PageStart {
        /// From 0, refused ones counted.
        index: usize,
        /// How it is coded.
        format: PageFormat,
        /// How it goes over the line.
        modulation: Modulation,
    },
    /// A page is over.
    Page {
        /// As received here.
        page: ReceivedPage,
        /// What the far end said to it.
        answer: Answer,
    },
    /// An IFP of T.38, in words: its indicator, or its data type and fields.
    Ifp {
        /// Where.
        side: Side,
        /// What it is.
        kind: String,
        /// Octets of data in it.
        octets: usize,
    },
}

/// One wire.
#[derive(Debug)]
struct Ear {
    /// It never sends.
    audio: AudioLine,
    t38: Option<Box<Packets>>,
}

/// T.38 on one wire.
#[derive(Debug)]
struct Packets {
    endpoint: t38::Endpoint,
    /// The same packets once more, for the IFPs themselves.
    receiver: Receiver,
    decoder: Decoder,
}

/// A tap. See the module.
#[derive(Debug)]
pub struct Tap {
    now: Instant,
    ears: [Ear; 2],
    observer: Observer,
    inbox: Option<Inbox>,
    told: Vec<Told>,
    out: VecDeque<(Instant, Overheard)>,
}

impl Tap {
    /// A tap on two wires, or, `mixed`, on one that carries both directions: it is the first then.
    #[must_use]
    pub fn new(mixed: bool) -> Self {
        let ears = Side::ALL.map(|_| Ear { audio: AudioLine::new(AudioOptions::default()), t38: None });
        Tap {
            now: Instant::ZERO,
            ears,
            observer: Observer::new(mixed),
            inbox: None,
            told: Vec::with_capacity(16),
            out: VecDeque::new(),
        }
    }

    /// What was overheard next, and when.
    pub fn poll(&mut self) -> Option<(Instant, Overheard)> {
        self.out.pop_front()
    }

    /// These samples passed, the last of them at `now`.
    pub fn audio(&mut self, now: Instant, side: Side, samples: &[i16]) {
        self.pass_time(now);
        let mut told = core::mem::take(&mut self.told);
        self.ear(side).audio.receive(samples, &mut told);
        self.hear_audio(side, told);
    }

    /// So many samples are missing here.
    pub fn audio_lost(&mut self, now: Instant, side: Side, samples: usize) {
        self.pass_time(now);
        let mut told = core::mem::take(&mut self.told);
        self.ear(side).audio.lost(samples, &mut told);
        self.hear_audio(side, told);
    }

    /// This UDPTL packet passed.
    pub fn datagram(&mut self, now: Instant, side: Side, datagram: &[u8]) {
        self.pass_time(now);
        let ear = self.ear(side);
        let packets = ear.t38.get_or_insert_with(|| {
            let config = t38::Config::default();
            Box::new(Packets {
                receiver: Receiver::new(config.version),
                decoder: Decoder::new(config.version),
                endpoint: t38::Endpoint::new(config, now),
            })
        });
        packets.endpoint.handle(now, t38::Input::Datagram(datagram));
        // What is no UDPTL is told by nobody.
        let _ = packets.receiver.receive(now, datagram);
        self.hear_packets(side);
    }

    /// The recording is over.
    pub fn finish(&mut self, now: Instant) {
        self.pass_time(now);
        self.observer.finish();
        self.observe();
    }

    fn ear(&mut self, side: Side) -> &mut Ear {
        let [first, second] = &mut self.ears;
        match side {
            Side::First => first,
            Side::Second => second,
        }
    }

    /// T.38's receivers wait for packets that may come late.
    fn pass_time(&mut self, now: Instant) {
        self.now = self.now.max(now);
        for side in Side::ALL {
            loop {
                let now = self.now;
                let Some(packets) = self.ear(side).t38.as_mut() else {
                    break;
                };
                let endpoint = packets.endpoint.deadline().filter(|at| *at <= now);
                let receiver = packets.receiver.deadline().filter(|at| *at <= now);
                if let Some(at) = endpoint {
                    packets.endpoint.handle(at, t38::Input::Timeout);
                }
                if let Some(at) = receiver {
                    packets.receiver.timeout(at);
                }
                if endpoint.is_none() && receiver.is_none() {
                    break;
                }
                self.hear_packets(side);
            }
        }
    }

    fn hear_audio(&mut self, side: Side, mut told: Vec<Told>) {
        for told in told.drain(..) {
            match told {
                Told::Heard(heard) => {
                    self.observer.hear(side, heard);
                    self.observe();
                }
                // The frame says it all.
                Told::Repaired { .. } | Told::Piece { .. } => {}
                Told::Signal(signal) => {
                    let points = match signal {
                        Signal::Over { .. } => self.ear(side).audio.constellation().to_vec(),
                        Signal::Trained { .. } | Signal::NotTrained { .. } => Vec::new(),
                    };
                    self.tell(Overheard::Signal { side, signal, points });
                }
            }
        }
        self.told = told;
    }

    fn hear_packets(&mut self, side: Side) {
        while let Some(packets) = self.ear(side).t38.as_mut() {
            if let Some(delivery) = packets.receiver.poll() {
                if let Delivery::Ifp { octets, padded } = delivery
                    && let Ok(ifp) = packets.decoder.decode(&octets, padded)
                {
                    let (kind, octets) = describe(&ifp);
                    self.tell(Overheard::Ifp { side, kind, octets });
                }
                continue;
            }
            match packets.endpoint.poll() {
                None => break,
                Some(t38::Output::Heard(heard)) => {
                    self.observer.hear(side, heard);
                    self.observe();
                }
                // A tap sends nothing.
                Some(t38::Output::Datagram(_) | t38::Output::Sent) => {}
            }
        }
    }

    /// Does what the observer wants and tells what it says.
    fn observe(&mut self) {
        while let Some(observation) = self.observer.poll() {
            match observation {
                Observation::Listen(side, listen) => self.ear(side).audio.listen(listen),
                Observation::Tone(side, tone) => self.tell(Overheard::Tone(side, tone)),
                Observation::Frame { side, sender, name, octets } => {
                    self.tell(Overheard::Frame { side, sender, name, octets });
                }
                Observation::FrameBad(side) => self.tell(Overheard::FrameBad(side)),
                Observation::TrainingCheck { modulation, good } => {
                    self.tell(Overheard::TrainingCheck { modulation, good });
                }
                Observation::PageStart { index, format, modulation } => {
                    self.inbox = Some(Inbox::new(index, format));
                    self.tell(Overheard::PageStart { index, format, modulation });
                }
                Observation::PageData(octets) => {
                    if let Some(inbox) = &mut self.inbox {
                        inbox.data(&octets);
                    }
                }
                Observation::PageLost { octets } => {
                    if let Some(inbox) = &mut self.inbox {
                        inbox.lost(octets);
                    }
                }
                Observation::PageDone(answer) => {
                    if let Some(inbox) = self.inbox.take() {
                        let confirmed = matches!(answer, Answer::Confirmed | Answer::Poor);
                        self.tell(Overheard::Page { page: inbox.settle(confirmed, false), answer });
                    }
                }
            }
        }
    }

    fn tell(&mut self, overheard: Overheard) {
        self.out.push_back((self.now, overheard));
    }
}

/// An IFP in words, and how many octets of data it has.
fn describe(ifp: &Ifp<'_>) -> (String, usize) {
    match ifp {
        Ifp::Indicator(indicator) => (indicator.to_string(), 0),
        Ifp::Data { data_type, fields } => {
            let octets = fields.iter().map(|f| f.data.len()).sum();
            let kind = fields.first().map_or_else(String::new, |f| format!(" {}", f.kind));
            (format!("{data_type}{kind}"), octets)
        }
    }
}
