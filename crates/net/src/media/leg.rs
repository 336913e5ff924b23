//! One call's media: its socket, its terminal, and which of RTP and UDPTL it is.

use super::latch::Latch;
use super::rtp::{Receiver, Sender, Step, Taken};
use super::shield::Shield;
use super::worker::MediaSink;
use super::{Codec, MediaCommand, MediaEvent, Start};
use crate::traces::Recording;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_t30 as t30;
use fax_terminal::{Input, Output, Terminal};
use std::io;
use std::net::{SocketAddr, UdpSocket};

#[cfg(test)]
mod faxes;
#[cfg(test)]
mod secured;
#[cfg(test)]
mod tests;

/// One RTP packet: 20 ms.
pub(super) const PACKET: Duration = Duration::from_millis(20);
pub(super) const PACKET_SAMPLES: usize = 160;

/// The largest datagram of interest; longer ones are cut and then refused as malformed.
pub(super) const DATAGRAM: usize = 2_048;

/// T.38 that stays silent for so long after it was agreed will stay so.
pub(super) const T38_PATIENCE: Duration = Duration::from_secs(5);

/// Frames told to the ladder in one second at most: a hostile peer must not fill the queue.
pub(super) const EVENTS_PER_SECOND: u32 = 100;

enum Mode {
    Audio { codec: Codec, next_packet: Instant },
    T38 { since: Instant, heard: bool, told_silent: bool },
}

/// What is fed for time without sound.
pub(super) const QUIET: [i16; PACKET_SAMPLES] = [0; PACKET_SAMPLES];

/// What a call's datagrams go out by and come in by.
pub(crate) trait Wire {
    /// Sends one. A full or refused send is a lost packet, as on any network.
    fn send(&mut self, datagram: &[u8], to: SocketAddr);

    /// The next one that has come: its length, and from where; `WouldBlock` when there is none.
    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
}

impl Wire for UdpSocket {
    fn send(&mut self, datagram: &[u8], to: SocketAddr) {
        // Who is on hold in the old style is at 0.0.0.0, which the system takes for this host.
        if !to.ip().is_unspecified() {
            let _ = self.send_to(datagram, to);
        }
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.recv_from(buffer)
    }
}

/// One call's media.
pub(crate) struct Leg<W = UdpSocket> {
    pub(crate) socket: W,
    terminal: Terminal,
    sink: MediaSink,
    mode: Mode,
    latch: Latch,
    sender: Sender,
    receiver: Receiver,
    shield: Shield,
    recording: Option<Recording>,
    /// The furthest that a packet of ours left behind its time.
    latest: Duration,
    events_from: Instant,
    events: u32,
    ended: bool,
    /// The fax went well.
    good: bool,
}

impl<W: Wire> Leg<W> {
    /// Begins the call: its time starts now.
    pub(crate) fn start(start: Start<W>) -> Self {
        let sender = super::any_stream(start.codec.payload_type);
        Self::start_with(start, sender)
    }

    /// The same, with a stream of RTP that begins as it is told.
    pub(crate) fn start_with(start: Start<W>, sender: Sender) -> Self {
        let Start { socket, terminal, remote, signalling, codec, keys, sink, recording } = start;
        let mut shield = Shield::default();
        shield.turn_to(keys);
        let mut leg = Leg {
            socket,
            terminal,
            sink,
            mode: Mode::Audio { codec, next_packet: Instant::ZERO },
            latch: Latch::new(Instant::ZERO, remote, signalling),
            sender,
            receiver: Receiver::new(codec),
            shield,
            recording,
            latest: Duration::ZERO,
            events_from: Instant::ZERO,
            events: 0,
            ended: false,
            good: false,
        };
        leg.terminal.handle(Instant::ZERO, Input::Start);
        leg.flush(Instant::ZERO);
        leg
    }

    /// When this call wants its next turn, even if nothing comes.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let own = match &self.mode {
            Mode::Audio { next_packet, .. } => Some(*next_packet),
            Mode::T38 { since, heard, told_silent } => {
                (!heard && !told_silent).then(|| *since + T38_PATIENCE)
            }
        };
        fax_base::time::earliest(own, self.terminal.deadline())
    }

    /// Does what is due.
    pub(crate) fn turn(&mut self, now: Instant) {
        if self.terminal.deadline().is_some_and(|at| at <= now) {
            self.terminal.handle(now, Input::Timeout);
            self.flush(now);
        }
        match &mut self.mode {
            Mode::Audio { next_packet, .. } if *next_packet <= now => {
                self.latest = self.latest.max(now.since(*next_packet));
                *next_packet += PACKET;
                // After a stall (suspended host) the stream goes on from now, not in a burst.
                if now.since(*next_packet) > Duration::from_millis(200) {
                    *next_packet = now + PACKET;
                }
                let terminal = &mut self.terminal;
                self.receiver.idle(now, |step| hear(terminal, now, step));
                self.send_audio(now);
            }
            Mode::T38 { since, heard: false, told_silent: told @ false } if *since + T38_PATIENCE <= now => {
                *told = true;
                self.sink.send(MediaEvent::T38Silent);
            }
            Mode::Audio { .. } | Mode::T38 { .. } => {}
        }
    }

    /// Carries out what signalling wants. Answers false when the call is over.
    pub(crate) fn command(&mut self, now: Instant, command: MediaCommand) -> bool {
        match command {
            MediaCommand::Start(_) | MediaCommand::Bridge(_) | MediaCommand::Side { .. } => {}
            MediaCommand::Keys { keys, .. } => self.shield.turn_to(keys),
            MediaCommand::Audio { remote, codec } => {
                self.sender.set_payload_type(codec.payload_type);
                match &mut self.mode {
                    Mode::Audio { codec: present, .. } => {
                        *present = codec;
                        self.receiver.set_codec(codec);
                        self.latch.turn_to(now, remote, false);
                    }
                    Mode::T38 { .. } => {
                        self.latch.turn_to(now, remote, true);
                        self.mode = Mode::Audio { codec, next_packet: now };
                        self.receiver = Receiver::new(codec);
                        self.terminal.handle(now, Input::SwitchToAudio);
                    }
                }
            }
            MediaCommand::T38 { remote, config } => {
                let was_audio = matches!(self.mode, Mode::Audio { .. });
                self.latch.turn_to(now, remote, was_audio);
                if was_audio {
                    self.mode = Mode::T38 { since: now, heard: false, told_silent: false };
                    self.terminal.handle(now, Input::SwitchToT38(config));
                }
            }
            MediaCommand::PageKept(kept) => self.terminal.handle(now, Input::PageKept(kept)),
            MediaCommand::Cancel => self.terminal.handle(now, Input::Cancel),
            MediaCommand::HungUp => self.terminal.handle(now, Input::HungUp),
            MediaCommand::Stop => {
                tracing::debug!(latest_ms = self.latest.as_millis(), "media end");
                return false;
            }
        }
        self.flush(now);
        true
    }

    /// Reads a datagram; false when none was there.
    pub(crate) fn read(&mut self, now: Instant) -> bool {
        let mut buffer = [0u8; DATAGRAM];
        match self.socket.receive(&mut buffer) {
            Ok((length, from)) => {
                if let Some(datagram) = buffer.get_mut(..length)
                    && let Some(datagram) = self.open(now, from, datagram)
                {
                    self.receive(now, from, datagram);
                    self.flush(now);
                }
                true
            }
            // A refused earlier packet (ICMP) is reported here, too; it says nothing about the next.
            Err(error) => error.kind() != io::ErrorKind::WouldBlock,
        }
    }

    /// A datagram as plain RTP, or as UDPTL; `None`: nobody's.
    fn open<'a>(&mut self, now: Instant, from: SocketAddr, datagram: &'a mut [u8]) -> Option<&'a [u8]> {
        match self.mode {
            Mode::Audio { .. } if self.latch.heeds(now, from) => self.shield.open(datagram),
            Mode::Audio { .. } => None,
            Mode::T38 { .. } => Some(datagram),
        }
    }

    fn receive(&mut self, now: Instant, from: SocketAddr, datagram: &[u8]) {
        if !self.latch.heeds(now, from) {
            return;
        }
        let mut valid = false;
        match &mut self.mode {
            Mode::Audio { .. } => {
                let terminal = &mut self.terminal;
                let taken = self.receiver.receive(now, datagram, |step| hear(terminal, now, step));
                match taken {
                    Taken::Stream => valid = true,
                    Taken::Other => {}
                    // UDPTL may overtake the answer that agrees to it; the terminal keeps it for then.
                    Taken::No => self.terminal.handle(now, Input::Datagram(datagram)),
                }
            }
            // Audio that was under way at the switch.
            Mode::T38 { .. } if self.receiver.knows(datagram) => {}
            Mode::T38 { heard, told_silent, .. } => {
                let before = self.terminal.t38_packets_received();
                self.terminal.handle(now, Input::Datagram(datagram));
                valid = self.terminal.t38_packets_received() > before;
                if valid && *told_silent && !*heard {
                    self.sink.send(MediaEvent::T38Heard);
                }
                *heard |= valid;
            }
        }
        if valid {
            self.latch.valid(from);
        }
    }

    fn send_audio(&mut self, now: Instant) {
        let Mode::Audio { codec, .. } = self.mode else {
            return;
        };
        let mut samples = [0i16; PACKET_SAMPLES];
        self.terminal.transmit_audio(now, &mut samples);
        self.flush(now);
        let octets = samples.map(|s| codec.law.encode(s));
        let mut packet = [0u8; PACKET_SAMPLES + 12];
        let plain = self.sender.packet(&octets, &mut packet).and_then(|n| packet.get(..n));
        if let Some(datagram) = plain.and_then(|plain| self.shield.seal(plain)) {
            self.socket.send(datagram, self.latch.remote());
        }
    }

    fn flush(&mut self, now: Instant) {
        while let Some(output) = self.terminal.poll() {
            match output {
                Output::Datagram(datagram) => {
                    self.socket.send(&datagram, self.latch.remote());
                }
                Output::FaxToneHeard(tone) => self.sink.send(MediaEvent::Tone(tone)),
                Output::Signal(signal) => {
                    if self.chatter(now) {
                        self.sink.send(MediaEvent::Signal(signal));
                    }
                }
                Output::KeepPage(page) => self.sink.send(MediaEvent::KeepPage(page)),
                Output::Page(page) => self.sink.send(MediaEvent::Page(page)),
                Output::Event(event) => {
                    if self.tellable(now, &event) {
                        self.sink.send(MediaEvent::Event(event));
                    }
                }
                Output::End(outcome) => {
                    if !self.ended {
                        self.ended = true;
                        self.good = outcome.failure.is_none();
                        self.sink.send(MediaEvent::End(outcome));
                    }
                }
            }
        }
    }

    /// Hands over what was recorded in this turn.
    pub(super) fn keep(&mut self, now: Instant) {
        if let (Some(recording), Some(tape)) = (&mut self.recording, self.terminal.tape()) {
            recording.keep(now, tape);
        }
    }

    /// The call is over, and its recording with it.
    pub(super) fn close(mut self, now: Instant) {
        if let (Some(mut recording), Some(tape)) = (self.recording.take(), self.terminal.tape()) {
            recording.end(now, tape, self.good);
        }
    }

    /// Tells signalling that the terminal is broken, as a dropped call.
    pub(super) fn fail(&mut self) {
        if !self.ended {
            self.ended = true;
            self.sink.send(MediaEvent::Failed);
        }
    }

    /// What others rely on always gets through; chatter only so much a second.
    fn tellable(&mut self, now: Instant, event: &t30::Event) -> bool {
        if matches!(
            event,
            t30::Event::PageConfirmed { .. } | t30::Event::PageSent { .. } | t30::Event::Phase(_)
        ) {
            return true;
        }
        self.chatter(now)
    }

    fn chatter(&mut self, now: Instant) -> bool {
        if now.since(self.events_from) >= Duration::from_secs(1) {
            self.events_from = now;
            self.events = 0;
        }
        self.events = self.events.saturating_add(1);
        self.events <= EVENTS_PER_SECOND
    }
}

/// Gives the terminal a step of the received stream.
fn hear(terminal: &mut Terminal, now: Instant, step: Step<'_>) {
    match step {
        Step::Audio(law, octets) => terminal.handle(now, Input::G711(law, octets)),
        Step::Silence(mut count) => {
            while let Some(quiet) = QUIET.get(..count.min(PACKET_SAMPLES)).filter(|q| !q.is_empty()) {
                terminal.handle(now, Input::Audio(quiet));
                count -= quiet.len();
            }
        }
        Step::Lost(count) => terminal.handle(now, Input::AudioLost(count)),
    }
}
