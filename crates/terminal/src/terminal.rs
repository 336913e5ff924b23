//! The terminal: T.30's session, the line that carries its words, and the pages (T.30; T.38 §6).

use crate::api::{AudioOptions, Config, Input, Output};
use crate::audio::{AudioLine, Told};
use crate::inbox::Inbox;
use crate::outbox::Outbox;
use crate::recording::{Options, Tape};
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Heard, Tone, Transmit};
use fax_base::time::{SAMPLE, earliest};
use fax_t30 as t30;
use fax_t30::{Role, Session};
use fax_t38 as t38;
use std::collections::VecDeque;

/// UDPTL may overtake the signalling that agrees on it: packets are kept for this long.
const EARLY: Duration = Duration::from_secs(1);
/// And so many of them.
const EARLY_PACKETS: usize = 64;
/// Samples of a packet of 20 ms.
const BLOCK: usize = 160;

/// What carries the words of T.30.
#[derive(Debug)]
enum Line {
    Audio(Box<AudioLine>),
    T38(Box<t38::Endpoint>),
}

/// A fax terminal without I/O. See the crate's documentation.
#[derive(Debug)]
pub struct Terminal {
    role: Role,
    session: Session,
    audio: AudioOptions,
    told: Vec<Told>,
    line: Line,
    outbox: Outbox,
    inbox: Option<Inbox>,
    keeps_pages: bool,
    /// What the page that is being laid down turned out to be.
    keeping: Option<t30::Verdict>,
    early: VecDeque<(Instant, Bytes)>,
    outputs: VecDeque<Output>,
    ended: bool,
    /// For samples of G.711.
    samples: Vec<i16>,
    tape: Option<Box<Tape>>,
}

impl Terminal {
    /// A terminal that waits for [`Input::Start`].
    #[must_use]
    pub fn new(config: Config) -> Self {
        Self::with_audio(config, AudioOptions::default())
    }

    /// The same, with modems and tones that are sent like this.
    #[must_use]
    pub fn with_audio(config: Config, audio: AudioOptions) -> Self {
        let send = config.documents.iter().map(|document| t30::Document {
            pages: document.pages.iter().map(|p| p.shape).collect(),
            address: document.address.clone(),
        });
        let session = Session::new(t30::Config {
            role: config.role,
            ident: config.ident,
            capabilities: config.capabilities,
            send: send.collect(),
            receive: config.receive,
            poll: config.poll,
            sub_address: config.sub_address,
            password: config.password,
            sub_addresses: config.sub_addresses,
            rules: config.rules,
        });
        Terminal {
            role: config.role,
            session,
            audio,
            told: Vec::with_capacity(8),
            line: Line::Audio(Box::new(AudioLine::new(audio))),
            outbox: Outbox::new(config.documents.into_iter().flat_map(|d| d.pages).collect()),
            inbox: None,
            keeps_pages: config.keeps_pages,
            keeping: None,
            early: VecDeque::new(),
            outputs: VecDeque::new(),
            ended: false,
            samples: Vec::with_capacity(8 * BLOCK),
            tape: None,
        }
    }

    /// The same, recorded: what goes in and a digest of what comes out is written on [`Terminal::tape`]. A call with a
    /// password is not recorded.
    #[must_use]
    pub fn recorded(config: Config, audio: AudioOptions, options: &Options) -> Self {
        let tape = Tape::new(&config, audio, options).map(Box::new);
        Terminal { tape, ..Self::with_audio(config, audio) }
    }

    /// The tape, if the call is recorded.
    pub fn tape(&mut self) -> Option<&mut Tape> {
        self.tape.as_deref_mut()
    }

    /// Tells the terminal what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        if self.ended {
            return;
        }
        if let Some(tape) = &mut self.tape {
            tape.input(now, &input);
        }
        self.take(now, input);
    }

    fn take(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Start => self.session.handle(now, t30::Input::Start),
            Input::SwitchToT38(config) => self.switch_to_t38(now, config),
            Input::SwitchToAudio => {
                if matches!(self.line, Line::T38(_)) {
                    self.line = Line::Audio(Box::new(AudioLine::new(self.audio)));
                    self.early.clear();
                    self.session.limit_rate(u32::MAX);
                    self.session.handle(now, t30::Input::LineChanged);
                }
            }
            Input::Datagram(datagram) => self.datagram(now, datagram),
            Input::Audio(samples) => {
                if let Line::Audio(audio) = &mut self.line {
                    audio.receive(samples, &mut self.told);
                    self.hear(now);
                }
            }
            Input::G711(law, octets) => {
                if let Line::Audio(audio) = &mut self.line {
                    self.samples.clear();
                    self.samples.extend(octets.iter().map(|o| law.decode(*o)));
                    audio.receive(&self.samples, &mut self.told);
                    self.hear(now);
                }
            }
            Input::AudioLost(samples) => {
                if let Line::Audio(audio) = &mut self.line {
                    audio.lost(samples, &mut self.told);
                    self.hear(now);
                }
            }
            Input::PageKept(kept) => match self.keeping.take() {
                Some(verdict) if kept => self.session.handle(now, t30::Input::Verdict(verdict)),
                Some(_) => self.session.handle(now, t30::Input::PageNotKept),
                None => {}
            },
            Input::Timeout => self.timeout(now),
            Input::HungUp => self.session.handle(now, t30::Input::HungUp),
            Input::Cancel => self.session.handle(now, t30::Input::Cancel),
        }
        self.advance(now);
    }

    /// What is to be done next.
    pub fn poll(&mut self) -> Option<Output> {
        let output = self.outputs.pop_front()?;
        if let Some(tape) = &mut self.tape {
            tape.output(&output);
        }
        Some(output)
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        if self.ended {
            return None;
        }
        let line = match &self.line {
            // What it sends goes by the samples that are fetched.
            Line::Audio(_) => None,
            Line::T38(endpoint) => endpoint.deadline(),
        };
        earliest(self.session.deadline(), line)
    }

    /// The next samples for the far end, from `now` on; silence when the fax goes by T.38.
    pub fn transmit_audio(&mut self, now: Instant, out: &mut [i16]) {
        // After the end there is nothing but silence, and nothing to be recorded.
        let tape = self.tape.as_mut().filter(|_| !self.ended);
        let recorded = tape.map(|tape| tape.fetch(now, out.len())).is_some();
        self.make_audio(now, out);
        if let Some(tape) = self.tape.as_mut().filter(|_| recorded) {
            tape.fetched(out);
        }
    }

    fn make_audio(&mut self, now: Instant, out: &mut [i16]) {
        if self.deadline().is_some_and(|at| at <= now) {
            self.take(now, Input::Timeout);
        }
        let mut made = 0;
        while !self.ended
            && let Line::Audio(audio) = &mut self.line
            && audio.is_sending()
            && let Some(rest) = out.get_mut(made..).filter(|rest| !rest.is_empty())
        {
            made += audio.transmit(rest);
            if made < out.len() {
                // What is answered to this leaves right behind it.
                let at = now + SAMPLE * u32::try_from(made).unwrap_or(u32::MAX);
                self.session.handle(at, t30::Input::Sent);
                self.advance(at);
            }
        }
        if let Some(rest) = out.get_mut(made..) {
            rest.fill(0);
        }
    }

    /// Whether the fax goes by T.38 now.
    #[must_use]
    pub fn is_t38(&self) -> bool {
        matches!(self.line, Line::T38(_))
    }

    /// Valid UDPTL packets since the switch to T.38: while there are none, going back to audio is
    /// still worth while.
    #[must_use]
    pub fn t38_packets_received(&self) -> u64 {
        self.t38_statistics().map_or(0, |s| s.packets_received)
    }

    /// The counters of the present T.38 session.
    #[must_use]
    pub fn t38_statistics(&self) -> Option<t38::Statistics> {
        match &self.line {
            Line::Audio(_) => None,
            Line::T38(endpoint) => Some(endpoint.statistics()),
        }
    }

    fn switch_to_t38(&mut self, now: Instant, config: t38::Config) {
        // Agreed once more (a session refresh): nothing changes.
        if self.is_t38() {
            return;
        }
        self.session.limit_rate(config.far_max_bit_rate);
        self.line = Line::T38(Box::new(t38::Endpoint::new(config, now)));
        self.session.handle(now, t30::Input::LineChanged);
        self.advance(now);
        for (at, datagram) in core::mem::take(&mut self.early) {
            if now.since(at) <= EARLY {
                self.datagram(now, &datagram);
            }
        }
    }

    fn datagram(&mut self, now: Instant, datagram: &[u8]) {
        match &mut self.line {
            Line::T38(endpoint) => endpoint.handle(now, t38::Input::Datagram(datagram)),
            Line::Audio(_) => {
                if self.early.len() == EARLY_PACKETS {
                    self.early.pop_front();
                }
                self.early.push_back((now, Bytes::copy_from_slice(datagram)));
            }
        }
    }

    /// Tells the session what the audio line has heard.
    fn hear(&mut self, now: Instant) {
        // Our own tone comes back as an echo: each end listens for the other's.
        let awaited = match self.role {
            Role::Calling => Tone::Ced,
            Role::Called => Tone::Cng,
        };
        let mut told = core::mem::take(&mut self.told);
        for told in told.drain(..) {
            match told {
                Told::Heard(Heard::Tone(tone)) if tone != awaited => {}
                Told::Heard(heard) => {
                    if let Heard::Tone(tone) = heard {
                        self.outputs.push_back(Output::FaxToneHeard(tone));
                    }
                    self.session.handle(now, t30::Input::Heard(heard));
                    self.advance(now);
                }
                Told::Repaired { bits } => {
                    self.outputs.push_back(Output::Event(t30::Event::FrameRepaired { bits }));
                }
                Told::Signal(signal) => self.outputs.push_back(Output::Signal(signal)),
                // T.30 wants whole frames.
                Told::Piece { .. } => {}
            }
        }
        self.told = told;
    }

    fn timeout(&mut self, now: Instant) {
        if let Line::T38(endpoint) = &mut self.line
            && endpoint.deadline().is_some_and(|at| at <= now)
        {
            endpoint.handle(now, t38::Input::Timeout);
        }
        self.advance(now);
        if self.session.deadline().is_some_and(|at| at <= now) {
            self.session.handle(now, t30::Input::Timeout);
        }
    }

    /// Carries words between the session and the line until both are silent.
    fn advance(&mut self, now: Instant) {
        loop {
            if let Some(output) = self.session.poll() {
                self.obey(now, output);
                continue;
            }
            let Line::T38(endpoint) = &mut self.line else {
                return;
            };
            match endpoint.poll() {
                None => return,
                Some(t38::Output::Datagram(datagram)) => {
                    self.outputs.push_back(Output::Datagram(datagram));
                }
                Some(t38::Output::Heard(heard)) => {
                    self.session.handle(now, t30::Input::Heard(heard));
                }
                Some(t38::Output::Sent) => self.session.handle(now, t30::Input::Sent),
            }
        }
    }

    /// Does what the session wants.
    fn obey(&mut self, now: Instant, output: t30::Output) {
        match output {
            t30::Output::Transmit(transmit) => self.transmit(now, transmit),
            t30::Output::StopTransmit => match &mut self.line {
                Line::Audio(audio) => audio.stop(),
                Line::T38(endpoint) => endpoint.handle(now, t38::Input::StopTransmit),
            },
            t30::Output::Listen(listen) => match &mut self.line {
                Line::Audio(audio) => audio.listen(listen),
                // T.38 says by itself what comes.
                Line::T38(_) => {}
            },
            t30::Output::WantPage { index, format, bit_rate } => {
                let page = self.outbox.page(index, format, bit_rate);
                self.session.handle(now, t30::Input::Page(page));
            }
            t30::Output::PageStart { index, format } => {
                self.inbox = Some(Inbox::new(index, format));
            }
            t30::Output::PageData(octets) => {
                if let Some(inbox) = &mut self.inbox {
                    inbox.data(&octets);
                }
            }
            t30::Output::PageLost { octets } => {
                if let Some(inbox) = &mut self.inbox {
                    inbox.lost(octets);
                }
            }
            t30::Output::PageEnd => self.page_ends(now),
            t30::Output::PageDone { kept, confirmed, ends_document } => {
                self.keeping = None;
                if let Some(inbox) = self.inbox.take()
                    && kept
                {
                    self.outputs.push_back(Output::Page(inbox.settle(confirmed, ends_document)));
                }
            }
            t30::Output::Event(event) => self.outputs.push_back(Output::Event(event)),
            t30::Output::End(outcome) => {
                self.ended = true;
                self.outputs.push_back(Output::End(outcome));
            }
        }
    }

    /// The page is judged, now or when the driver has laid it down.
    fn page_ends(&mut self, now: Instant) {
        let Some(inbox) = self.inbox.take() else {
            return self.session.handle(now, t30::Input::Verdict(t30::Verdict::default()));
        };
        let (inbox, verdict, page) = inbox.end();
        self.inbox = Some(inbox);
        if self.keeps_pages {
            self.keeping = Some(verdict);
            self.outputs.push_back(Output::KeepPage(page));
        } else {
            self.session.handle(now, t30::Input::Verdict(verdict));
        }
    }

    fn transmit(&mut self, now: Instant, transmit: Transmit) {
        match &mut self.line {
            Line::Audio(audio) => audio.push(transmit),
            Line::T38(endpoint) => endpoint.handle(now, t38::Input::Transmit(transmit)),
        }
    }
}
