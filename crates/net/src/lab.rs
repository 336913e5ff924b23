//! The driver of one call on simulated time: the same user agent, leg, switch, session and media as in
//! [`crate::Endpoint`], and the same code that carries out what a leg wants, but with datagrams in and datagrams out
//! instead of sockets, threads and a clock. For tools that simulate a network; the product is built without it.

use crate::call::CallEvent;
use crate::config::T38Policy;
use crate::media::{self, MediaCommand, MediaEvent, MediaKey, MediaSink, Sender, Start, Wire};
use crate::signalling::{self, Begin, Leg, Outside, Session, call_of, drive};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::{Duration, earliest};
use fax_sip as sip;
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// One call of ours.
#[derive(Clone, Debug)]
pub struct Setup {
    /// Our SIP address.
    pub sip: SocketAddr,
    /// Our media address.
    pub media: SocketAddr,
    /// The trunk's SIP address.
    pub peer: SocketAddr,
    /// Who offers T.38.
    pub t38: T38Policy,
    /// The fax terminal; its role says who calls.
    pub terminal: fax_terminal::Config,
    /// Called: the owner thinks for so long before the call is accepted.
    pub thinks: Duration,
    /// Calling: CANCEL after so long without an answer.
    pub ring_timeout: Duration,
    /// For tags, branches, Call-IDs, the session's id and RTP.
    pub seed: u64,
}

/// What happened.
#[derive(Debug)]
pub enum Input<'a> {
    /// A SIP datagram came.
    Sip {
        /// From where.
        from: SocketAddr,
        /// The message.
        octets: &'a [u8],
    },
    /// RTP or UDPTL, or something else, came to the media port.
    Media {
        /// From where.
        from: SocketAddr,
        /// The datagram.
        octets: &'a [u8],
    },
    /// The owner gives the call up.
    GiveUp,
    /// [`Driver::deadline`] has come.
    Timeout,
}

/// What is to be done.
#[derive(Debug)]
pub enum Output {
    /// Send this from the SIP address.
    Sip {
        /// Where to.
        to: SocketAddr,
        /// The message.
        octets: Bytes,
    },
    /// Send this from the media address.
    Media {
        /// Where to.
        to: SocketAddr,
        /// The datagram.
        octets: Bytes,
    },
    /// The owner is told.
    Call(CallEvent),
}

/// Datagrams in and out, as a socket has them.
#[derive(Default)]
struct Air {
    came: VecDeque<(SocketAddr, Bytes)>,
    sent: VecDeque<(SocketAddr, Bytes)>,
}

impl Wire for Air {
    fn send(&mut self, datagram: &[u8], to: SocketAddr) {
        self.sent.push_back((to, Bytes::copy_from_slice(datagram)));
    }

    fn receive(&mut self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        let (from, datagram) = self.came.pop_front().ok_or(io::ErrorKind::WouldBlock)?;
        let length = datagram.len().min(buffer.len());
        if let (Some(to), Some(octets)) = (buffer.get_mut(..length), datagram.get(..length)) {
            to.copy_from_slice(octets);
        }
        Ok((length, from))
    }
}

/// A call's media and when they began: their time starts there.
struct Media {
    began: Instant,
    leg: media::Leg<Air>,
}

impl Media {
    fn time(&self, now: Instant) -> Instant {
        Instant::ZERO + now.since(self.began)
    }
}

/// One call.
pub struct Driver {
    setup: Setup,
    agent: sip::UserAgent,
    leg: Option<(sip::CallKey, Leg)>,
    accept_at: Option<Instant>,
    /// Until the media begin, what comes waits in the socket.
    air: Option<Air>,
    media: Option<Media>,
    told: UnboundedSender<(MediaKey, MediaEvent)>,
    media_events: UnboundedReceiver<(MediaKey, MediaEvent)>,
    outputs: VecDeque<Output>,
}

/// What a leg reaches.
struct Reach<'a> {
    now: Instant,
    seed: u64,
    agent: &'a mut sip::UserAgent,
    air: &'a mut Option<Air>,
    media: &'a mut Option<Media>,
    told: &'a UnboundedSender<(MediaKey, MediaEvent)>,
    outputs: &'a mut VecDeque<Output>,
}

impl Outside for Reach<'_> {
    fn sip(&mut self, command: sip::Command) {
        self.agent.handle(self.now, sip::Input::Command(command));
    }

    fn begin(&mut self, _: &mut Leg, begin: Begin) -> bool {
        let Some(socket) = self.air.take() else {
            return false;
        };
        let Begin { terminal, remote, codec, keys } = begin;
        let terminal = fax_terminal::Terminal::new(*terminal);
        let sink = MediaSink::new(MediaKey(1), self.told.clone());
        let [a, b, c, d, e, f, g, h] = self.seed.wrapping_mul(0x9E37_79B9_7F4A_7C15).to_le_bytes();
        let (ssrc, sequence) = (u32::from_le_bytes([a, b, c, d]), u16::from_le_bytes([e, f]));
        let sender = Sender::new(codec.payload_type, ssrc, sequence, u32::from_le_bytes([g, h, a, b]));
        let signalling = Vec::new();
        let start = Start { socket, terminal, remote, signalling, codec, keys, sink, recording: None };
        *self.media = Some(Media { began: self.now, leg: media::Leg::start_with(start, sender) });
        true
    }

    fn media(&mut self, command: MediaCommand) {
        if let Some(media) = self.media {
            let now = media.time(self.now);
            if !media.leg.command(now, command) {
                self.outputs.extend(media.leg.socket.sent.drain(..).map(to_media));
                *self.media = None;
            }
        }
    }

    fn tell(&mut self, event: CallEvent) {
        self.outputs.push_back(Output::Call(event));
    }
}

fn to_media((to, octets): (SocketAddr, Bytes)) -> Output {
    Output::Media { to, octets }
}

impl Driver {
    /// A call of ours; called terminals wait for one.
    #[must_use]
    pub fn new(setup: Setup) -> Self {
        let mut seed = [0; 32];
        seed[..8].copy_from_slice(&setup.seed.to_le_bytes());
        let agent = sip::UserAgent::new(sip::Config { seed, large_by_tcp: true, ..sip::Config::default() });
        let (told, media_events) = unbounded_channel();
        let mut driver = Driver {
            setup,
            agent,
            leg: None,
            accept_at: None,
            air: Some(Air::default()),
            media: None,
            told,
            media_events,
            outputs: VecDeque::new(),
        };
        match driver.setup.terminal.role {
            fax_t30::Role::Calling => driver.place(),
            fax_t30::Role::Called => {}
        }
        driver.settle(Instant::ZERO);
        driver
    }

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let media = self.media.as_ref().and_then(|m| Some(m.began + m.leg.deadline()?.since(Instant::ZERO)));
        let leg = self.leg.as_ref().and_then(|(_, leg)| leg.deadline());
        [self.agent.deadline(), leg, media, self.accept_at].into_iter().fold(None, earliest)
    }

    /// Takes what happened.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Sip { from, octets } => {
                let (transport, local) = (sip::Transport::Udp, self.setup.sip);
                self.agent.handle(now, sip::Input::Datagram { transport, local, remote: from, octets });
            }
            Input::Media { from, octets } => {
                let datagram = (from, Bytes::copy_from_slice(octets));
                if let Some(media) = &mut self.media {
                    media.leg.socket.came.push_back(datagram);
                    let time = media.time(now);
                    while media.leg.read(time) {}
                } else if let Some(air) = &mut self.air {
                    air.came.push_back(datagram);
                }
            }
            Input::GiveUp => self.give(now, signalling::Input::GiveUp),
            Input::Timeout => {}
        }
        self.settle(now);
    }

    fn place(&mut self) {
        let call = sip::CallKey(1);
        let Setup { sip: contact, media, peer, .. } = self.setup;
        let session = Session::new(media, self.setup.seed as u32);
        let terminal = Box::new(self.setup.terminal.clone());
        let mut leg = Leg::calling(Instant::ZERO, call, self.setup.t38, session, terminal);
        let invite = sip::Invite {
            call,
            transport: sip::Transport::Udp,
            destination: peer,
            contact,
            request_uri: format!("sip:+4930456@{peer}"),
            from: format!("<sip:+4930123@{peer}>"),
            to: format!("<sip:+4930456@{peer}>"),
            headers: Vec::new(),
            credentials: None,
            offer: leg.first_offer(),
            ring_timeout: self.setup.ring_timeout,
            reply_within: Duration::from_secs(32),
        };
        self.leg = Some((call, leg));
        self.agent.handle(Instant::ZERO, sip::Input::Command(sip::Command::Invite(Box::new(invite))));
    }

    fn called(&mut self, now: Instant, incoming: &sip::Incoming) {
        let call = incoming.call;
        let call_id = String::from_utf8_lossy(&incoming.request.call_id()).into_owned();
        let session = Session::new(self.setup.media, self.setup.seed as u32);
        let mut leg = Leg::called(now, call, self.setup.t38, session, call_id);
        let busy = self.leg.is_some() || self.air.is_none();
        if busy || leg.offered(incoming.offer.as_ref()).is_err() {
            let code = if busy { 486 } else { 488 };
            let reject = sip::Command::Reject { call, code, reason: String::new(), headers: Vec::new() };
            return self.agent.handle(now, sip::Input::Command(reject));
        }
        self.leg = Some((call, leg));
        self.accept_at = Some(now + self.setup.thinks);
    }

    fn give(&mut self, now: Instant, input: signalling::Input) {
        let Some((_, leg)) = &mut self.leg else {
            return;
        };
        let mut reach = Reach {
            now,
            seed: self.setup.seed,
            agent: &mut self.agent,
            air: &mut self.air,
            media: &mut self.media,
            told: &self.told,
            outputs: &mut self.outputs,
        };
        if !drive(leg, now, input, &mut reach) {
            self.leg = None;
            self.accept_at = None;
        }
    }

    /// Lets everything happen that is due or wanted, until nothing is.
    fn settle(&mut self, now: Instant) {
        loop {
            let mut quiet = true;
            if self.agent.deadline().is_some_and(|at| at <= now) {
                self.agent.handle(now, sip::Input::Timeout);
            }
            if self.accept_at.take_if(|at| *at <= now).is_some() {
                quiet = false;
                self.give(now, signalling::Input::Accept(Box::new(self.setup.terminal.clone())));
            }
            if self.leg.as_ref().and_then(|(_, leg)| leg.deadline()).is_some_and(|at| at <= now) {
                quiet = false;
                self.give(now, signalling::Input::Timeout);
            }
            while let Some(output) = self.agent.poll() {
                quiet = false;
                match output {
                    sip::Output::Send { remote, octets, .. } => {
                        self.outputs.push_back(Output::Sip { to: remote, octets });
                    }
                    // Whatever is said by TCP arrives here at once.
                    sip::Output::StopConnecting { .. } => {}
                    sip::Output::Event(sip::Event::Incoming(incoming)) => self.called(now, &incoming),
                    sip::Output::Event(event) => {
                        let ours = self.leg.as_ref().map(|(call, _)| *call);
                        if call_of(&event).is_some_and(|call| Some(call) == ours) {
                            self.give(now, signalling::Input::Sip(event));
                        }
                    }
                }
            }
            if let Some(media) = &mut self.media {
                let time = media.time(now);
                while !media.leg.socket.came.is_empty() {
                    while media.leg.read(time) {}
                }
                if media.leg.deadline().is_some_and(|at| at <= time) {
                    media.leg.turn(time);
                }
                self.outputs.extend(media.leg.socket.sent.drain(..).map(to_media));
            }
            while let Ok((_, event)) = self.media_events.try_recv() {
                quiet = false;
                self.give(now, signalling::Input::Media(event));
            }
            if quiet {
                return;
            }
        }
    }
}
