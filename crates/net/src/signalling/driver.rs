//! The task that owns the SIP socket: it carries datagrams, time and wishes to the machines, and what
//! the machines want to the network, the media workers and the owners.

use super::leg::{self, Leg};
use super::peers::Peer;
use super::session::Session;
use crate::call::{CallEnd, CallEvent, CallReport, IncomingCall, LegKey, Wish};
use crate::config::Config;
use crate::media::{
    Media, MediaCommand, MediaEvent, MediaHandle, MediaKey, MediaPorts, MediaSink, MediaSocket,
    Start,
};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::redact::Redacted;
use fax_base::time::Duration;
use fax_sip as sip;
use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{IpAddr, SocketAddr};
use tokio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

/// The largest SIP datagram.
const DATAGRAM: usize = 65_535;

/// A stop waits this long for the calls to be released.
const STOP: Duration = Duration::from_secs(5);

struct Entry {
    leg: Leg,
    call: sip::CallKey,
    events: Option<mpsc::UnboundedSender<CallEvent>>,
    socket: Option<MediaSocket>,
    media: Option<MediaHandle>,
    due: Option<Instant>,
}

/// The signalling task's state.
pub(crate) struct Driver {
    config: Config,
    socket: UdpSocket,
    local: SocketAddr,
    agent: sip::UserAgent,
    began: tokio::time::Instant,
    peers: Vec<Peer>,
    ports: MediaPorts,
    media: Media,
    media_events: mpsc::UnboundedReceiver<(MediaKey, MediaEvent)>,
    media_sender: mpsc::UnboundedSender<(MediaKey, MediaEvent)>,
    wishes: mpsc::UnboundedReceiver<Wish>,
    wish_sender: mpsc::UnboundedSender<Wish>,
    incoming: mpsc::Sender<IncomingCall>,
    legs: HashMap<LegKey, Entry>,
    by_call: HashMap<sip::CallKey, LegKey>,
    wheel: BTreeSet<(Instant, LegKey)>,
    next_incoming: u64,
    stopping: Option<(Instant, oneshot::Sender<()>)>,
    unreachable: Vec<SocketAddr>,
}

/// The ends of the driver that its owner keeps.
pub(crate) struct Ends {
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    pub(crate) incoming: mpsc::Receiver<IncomingCall>,
    pub(crate) local: SocketAddr,
}

impl Driver {
    /// Binds the socket and starts the media workers.
    pub(crate) async fn start(config: Config) -> io::Result<(Driver, Ends)> {
        let socket = UdpSocket::bind(config.sip).await?;
        let local = socket.local_addr()?;
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let media = Media::start(if config.workers == 0 {
            cores
        } else {
            config.workers
        })?;
        let (wish_sender, wishes) = mpsc::unbounded_channel();
        let (media_sender, media_events) = mpsc::unbounded_channel();
        let (incoming, incoming_calls) = mpsc::channel(64);
        let agent = sip::UserAgent::new(sip::Config {
            user_agent: config.user_agent.clone(),
            seed: rand::random(),
            max_calls: config.max_calls,
            ..sip::Config::default()
        });
        let ports = MediaPorts::new(
            config.media_ip.unwrap_or(local.ip()),
            config.media_ports.clone(),
        );
        let driver = Driver {
            peers: config.trunks.iter().cloned().map(Peer::new).collect(),
            config,
            socket,
            local,
            agent,
            began: tokio::time::Instant::now(),
            ports,
            media,
            media_events,
            media_sender,
            wishes,
            wish_sender: wish_sender.clone(),
            incoming,
            legs: HashMap::new(),
            by_call: HashMap::new(),
            wheel: BTreeSet::new(),
            next_incoming: 1 << 62,
            stopping: None,
            unreachable: Vec::new(),
        };
        Ok((
            driver,
            Ends {
                wishes: wish_sender,
                incoming: incoming_calls,
                local,
            },
        ))
    }

    fn now(&self) -> Instant {
        let micros = self.began.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut buffer = vec![0u8; DATAGRAM];
        for number in 0..self.peers.len() {
            self.register(number);
        }
        self.settle();
        loop {
            let wheel = self.wheel.first().map(|(at, _)| *at);
            let stop = self.stopping.as_ref().map(|(at, _)| *at);
            let deadline = [wheel, self.agent.deadline(), stop]
                .into_iter()
                .flatten()
                .min();
            let wait = deadline.map(|at| at.since(self.now()));
            tokio::select! {
                wish = self.wishes.recv() => match wish {
                    Some(wish) => self.obey(wish),
                    None => return,
                },
                event = self.media_events.recv() => {
                    if let Some((key, event)) = event {
                        self.input(LegKey(key.0), leg::Input::Media(event));
                    }
                }
                received = self.socket.recv_from(&mut buffer) => self.received(received, &buffer),
                () = sleep(wait) => {}
            }
            self.settle();
            if self.stopped() {
                return;
            }
        }
    }

    fn received(&mut self, received: io::Result<(usize, SocketAddr)>, buffer: &[u8]) {
        match received {
            Ok((length, remote)) => {
                let Some(octets) = buffer.get(..length) else {
                    return;
                };
                let (now, local) = (self.now(), self.contact(remote));
                let transport = sip::Transport::Udp;
                self.agent.handle(
                    now,
                    sip::Input::Datagram {
                        transport,
                        local,
                        remote,
                        octets,
                    },
                );
            }
            // An ICMP refusal of something sent before; which, the system does not say.
            Err(error) => tracing::debug!(%error, "SIP socket"),
        }
    }

    /// Our SIP address as `remote` is to see it.
    fn contact(&self, remote: SocketAddr) -> SocketAddr {
        SocketAddr::new(self.seen_as(remote, self.local.ip()), self.local.port())
    }

    fn seen_as(&self, remote: SocketAddr, bound: IpAddr) -> IpAddr {
        if let Some(ip) = self.config.advertise {
            return ip;
        }
        if !bound.is_unspecified() {
            return bound;
        }
        let probe = std::net::UdpSocket::bind(SocketAddr::new(bound, 0));
        let towards = probe.and_then(|s| s.connect(remote).and_then(|()| s.local_addr()));
        towards.map_or(bound, |a| a.ip())
    }

    // --- wishes ---

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Call {
                key,
                request,
                events,
            } => {
                if let Err((end, sentence)) = self.place(key, *request, events.clone()) {
                    let report = CallReport {
                        end,
                        outcome: None,
                        sip_status: None,
                        q850: None,
                        reason: sentence,
                        t38: false,
                        call_id: String::new(),
                        duration: Duration::ZERO,
                    };
                    let _ = events.send(CallEvent::Ended(Box::new(report)));
                }
            }
            Wish::Accept {
                key,
                terminal,
                events,
            } => {
                if let Some(entry) = self.legs.get_mut(&key) {
                    entry.events = Some(events);
                    self.input(key, leg::Input::Accept(terminal));
                }
            }
            Wish::Reject { key, code, reason } => {
                self.input(key, leg::Input::Reject { code, reason })
            }
            Wish::GiveUp { key } => self.input(key, leg::Input::GiveUp),
            Wish::Resolved { trunk, addresses } => self.resolved(&trunk, addresses),
            Wish::Stop { done } => self.stop(done),
        }
    }

    fn resolved(&mut self, trunk: &str, addresses: Vec<SocketAddr>) {
        let Some(number) = self.peers.iter().position(|p| p.trunk.name == trunk) else {
            return;
        };
        let Some(peer) = self.peers.get_mut(number) else {
            return;
        };
        let moved = peer.addresses.first() != addresses.first();
        peer.addresses = addresses;
        if moved {
            self.register(number);
        }
    }

    fn place(
        &mut self,
        key: LegKey,
        request: crate::call::CallRequest,
        events: mpsc::UnboundedSender<CallEvent>,
    ) -> Result<(), (CallEnd, String)> {
        let none = |s: String| (CallEnd::NoRoute, s);
        if self.stopping.is_some() {
            return Err(none("ferrofax is stopping".to_owned()));
        }
        if self.legs.len() >= self.config.max_calls {
            return Err(none(format!(
                "{} calls are running already",
                self.legs.len()
            )));
        }
        let peer = self
            .peers
            .iter()
            .find(|p| p.trunk.name == request.trunk)
            .ok_or_else(|| none(format!("there is no trunk {}", request.trunk)))?;
        let destination = peer
            .addresses
            .first()
            .copied()
            .ok_or_else(|| none(format!("the host {} is not known to DNS", peer.trunk.peer)))?;
        let socket = self
            .ports
            .bind()
            .map_err(|e| none(format!("no media port: {e}")))?;
        let contact = self.contact(destination);
        let media = SocketAddr::new(
            self.seen_as(destination, socket.local.ip()),
            socket.local.port(),
        );
        let call = sip::CallKey(key.0);
        let domain = peer.domain();
        let name: String = request
            .from_name
            .chars()
            .filter(|c| !c.is_control() && !"\"\\".contains(*c))
            .collect();
        let from_user = escape(&request.from);
        let invite = |offer: Bytes| sip::Invite {
            call,
            transport: sip::Transport::Udp,
            destination,
            contact,
            request_uri: format!("sip:{}@{domain}", escape(&request.to)),
            from: if name.is_empty() {
                format!("<sip:{from_user}@{domain}>")
            } else {
                format!("\"{name}\" <sip:{from_user}@{domain}>")
            },
            to: format!("<sip:{}@{domain}>", escape(&request.to)),
            headers: request.headers.clone(),
            credentials: credentials(peer),
            offer,
            ring_timeout: peer.trunk.ring_timeout,
        };
        let session = Session::new(media, rand::random());
        let mut leg = Leg::calling(
            self.now(),
            call,
            peer.trunk.t38,
            session,
            Box::new(request.terminal),
        );
        let invite = invite(leg.first_offer());
        tracing::info!(trunk = %peer.trunk.name, to = %Redacted(&request.to), "calling");
        self.by_call.insert(call, key);
        let entry = Entry {
            leg,
            call,
            events: Some(events),
            socket: Some(socket),
            media: None,
            due: None,
        };
        self.legs.insert(key, entry);
        self.command(sip::Command::Invite(Box::new(invite)));
        self.reschedule(key);
        Ok(())
    }

    fn register(&mut self, number: usize) {
        let Some(peer) = self.peers.get(number) else {
            return;
        };
        let (Some(expires), Some(registrar)) =
            (peer.trunk.register, peer.addresses.first().copied())
        else {
            return;
        };
        let user = match (&peer.trunk.register_user, &peer.trunk.credentials) {
            (user, _) if !user.is_empty() => user.clone(),
            (_, Some((user, _))) => user.clone(),
            (_, None) => return,
        };
        let domain = peer.domain();
        let register = sip::Register {
            registration: sip::RegKey(number as u64),
            transport: sip::Transport::Udp,
            registrar,
            request_uri: format!("sip:{domain}"),
            aor: format!("sip:{}@{domain}", escape(&user)),
            contact: self.contact(registrar),
            headers: Vec::new(),
            credentials: credentials(peer),
            expires,
        };
        self.command(sip::Command::Register(Box::new(register)));
    }

    fn command(&mut self, command: sip::Command) {
        let now = self.now();
        self.agent.handle(now, sip::Input::Command(command));
    }

    fn stop(&mut self, done: oneshot::Sender<()>) {
        self.stopping = Some((self.now() + STOP, done));
        for number in 0..self.peers.len() {
            if self
                .peers
                .get(number)
                .is_some_and(|p| p.trunk.register.is_some())
            {
                self.command(sip::Command::Unregister {
                    registration: sip::RegKey(number as u64),
                });
            }
        }
        let keys: Vec<LegKey> = self.legs.keys().copied().collect();
        for key in keys {
            self.input(key, leg::Input::GiveUp);
        }
    }

    fn stopped(&mut self) -> bool {
        let now = self.now();
        let over = self.stopping.as_ref().is_some_and(|(at, _)| {
            *at <= now || (self.legs.is_empty() && self.agent.deadline().is_none())
        });
        if over && let Some((_, done)) = self.stopping.take() {
            let _ = done.send(());
        }
        over
    }

    // --- the machines ---

    /// Lets everything happen that is due or wanted, until nothing is.
    fn settle(&mut self) {
        let now = self.now();
        if self.agent.deadline().is_some_and(|at| at <= now) {
            self.agent.handle(now, sip::Input::Timeout);
        }
        while let Some(&(at, key)) = self.wheel.first() {
            if at > now {
                break;
            }
            self.wheel.pop_first();
            if let Some(entry) = self.legs.get_mut(&key) {
                entry.due = None;
            }
            self.input(key, leg::Input::Timeout);
        }
        loop {
            if let Some(remote) = self.unreachable.pop() {
                let transport = sip::Transport::Udp;
                self.agent
                    .handle(self.now(), sip::Input::Unreachable { transport, remote });
            }
            let Some(output) = self.agent.poll() else {
                break;
            };
            match output {
                sip::Output::Send { remote, octets, .. } => self.send(remote, &octets),
                sip::Output::Event(event) => self.event(event),
            }
        }
    }

    fn send(&mut self, remote: SocketAddr, octets: &[u8]) {
        match self.socket.try_send_to(octets, remote) {
            Ok(_) => {}
            // A full socket buffer is a lost datagram: SIP repeats it.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => {
                tracing::warn!(%error, %remote, "SIP cannot be sent");
                self.unreachable.push(remote);
            }
        }
    }

    fn event(&mut self, event: sip::Event) {
        let call = match &event {
            sip::Event::Incoming(_) => None,
            sip::Event::Progress { call, .. }
            | sip::Event::Answered { call, .. }
            | sip::Event::Confirmed { call, .. }
            | sip::Event::ReinviteOffered { call, .. }
            | sip::Event::Refreshed { call }
            | sip::Event::ReinviteAnswered { call, .. }
            | sip::Event::ReinviteRefused { call, .. }
            | sip::Event::Ended { call, .. } => Some(*call),
            sip::Event::Registered {
                registration,
                expires,
            } => {
                tracing::info!(
                    trunk = self.trunk_name(registration.0),
                    ?expires,
                    "registered"
                );
                return;
            }
            sip::Event::RegistrationFailed {
                registration,
                code,
                reason,
                retry_after,
            } => {
                let trunk = self.trunk_name(registration.0);
                tracing::warn!(trunk, code, reason, ?retry_after, "not registered");
                return;
            }
            sip::Event::Unregistered { .. }
            | sip::Event::PeerAlive { .. }
            | sip::Event::PeerSilent { .. } => return,
        };
        match (call, event) {
            (Some(call), event) => {
                if let Some(&key) = self.by_call.get(&call) {
                    self.input(key, leg::Input::Sip(event));
                }
            }
            (None, sip::Event::Incoming(incoming)) => self.called(*incoming),
            (None, _) => {}
        }
    }

    fn trunk_name(&self, number: u64) -> &str {
        let peer = usize::try_from(number).ok().and_then(|n| self.peers.get(n));
        peer.map_or("?", |p| &p.trunk.name)
    }

    fn called(&mut self, incoming: sip::Incoming) {
        let call = incoming.call;
        let refuse = |driver: &mut Self, code: u16| {
            let (reason, headers) = (String::new(), Vec::new());
            driver.command(sip::Command::Reject {
                call,
                code,
                reason,
                headers,
            });
        };
        let Some(peer) = self.peers.iter().find(|p| p.owns(incoming.remote.ip())) else {
            tracing::warn!(remote = %incoming.remote, "a call from an address that is no trunk's");
            return refuse(self, 403);
        };
        if self.stopping.is_some() || self.legs.len() >= self.config.max_calls {
            return refuse(self, 503);
        }
        let (policy, trunk) = (peer.trunk.t38, peer.trunk.name.clone());
        let Ok(socket) = self.ports.bind() else {
            return refuse(self, 503);
        };
        let media = SocketAddr::new(
            self.seen_as(incoming.remote, socket.local.ip()),
            socket.local.port(),
        );
        let call_id = String::from_utf8_lossy(&incoming.request.call_id()).into_owned();
        let session = Session::new(media, rand::random());
        let mut leg = Leg::called(self.now(), call, policy, session, call_id.clone());
        if leg.offered(incoming.offer.as_ref()).is_none() {
            return refuse(self, 488);
        }
        let key = LegKey(self.next_incoming);
        self.next_incoming += 1;
        let asserted = incoming
            .request
            .value("P-Asserted-Identity")
            .and_then(sip::message::NameAddr::read);
        let caller = asserted.as_ref().unwrap_or(&incoming.from);
        let offer = IncomingCall {
            to: incoming.request_uri.user().unwrap_or_default(),
            to_header: incoming.to.uri().user().unwrap_or_default(),
            from: caller.uri().user().unwrap_or_default(),
            from_name: caller.display_name(),
            trunk,
            remote: incoming.remote,
            call_id,
            key,
            wishes: self.wish_sender.clone(),
            settled: false,
        };
        tracing::info!(trunk = %offer.trunk, to = %Redacted(&offer.to), from = %Redacted(&offer.from), "called");
        let entry = Entry {
            leg,
            call,
            events: None,
            socket: Some(socket),
            media: None,
            due: None,
        };
        self.legs.insert(key, entry);
        self.by_call.insert(call, key);
        if let Err(full) = self.incoming.try_send(offer) {
            drop(full); // refuses it
        }
        self.reschedule(key);
    }

    /// Gives a leg something and carries out what it wants.
    fn input(&mut self, key: LegKey, input: leg::Input) {
        let now = self.now();
        let Some(entry) = self.legs.get_mut(&key) else {
            return;
        };
        entry.leg.handle(now, input);
        while let Some(output) = self.legs.get_mut(&key).and_then(|e| e.leg.poll()) {
            self.carry_out(key, output);
        }
        self.reschedule(key);
    }

    fn carry_out(&mut self, key: LegKey, output: leg::Output) {
        let Some(entry) = self.legs.get_mut(&key) else {
            return;
        };
        match output {
            leg::Output::Sip(command) => self.command(command),
            leg::Output::Begin {
                terminal,
                remote,
                codec,
            } => {
                let Some(socket) = entry.socket.take() else {
                    return;
                };
                let media_key = MediaKey(key.0);
                let sink = MediaSink::new(media_key, self.media_sender.clone());
                let terminal = fax_terminal::Terminal::new(*terminal);
                let start = Start {
                    socket,
                    terminal,
                    remote,
                    codec,
                    sink,
                };
                entry.media = self.media.begin(media_key, start);
            }
            leg::Output::Media(command) => {
                if let Some(media) = &entry.media {
                    media.send(command);
                }
            }
            leg::Output::Tell(event) => {
                if let Some(events) = &entry.events {
                    let _ = events.send(event);
                }
            }
            leg::Output::Done => {
                let call = entry.call;
                if let (Some(media), true) = (entry.media.take(), true) {
                    media.send(MediaCommand::Stop);
                }
                if let Some(at) = entry.due.take() {
                    self.wheel.remove(&(at, key));
                }
                self.legs.remove(&key);
                self.by_call.remove(&call);
            }
        }
    }

    fn reschedule(&mut self, key: LegKey) {
        let Some(entry) = self.legs.get_mut(&key) else {
            return;
        };
        if let Some(at) = entry.due.take() {
            self.wheel.remove(&(at, key));
        }
        entry.due = entry.leg.deadline();
        if let Some(at) = entry.due {
            self.wheel.insert((at, key));
        }
    }
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}

fn credentials(peer: &Peer) -> Option<sip::Credentials> {
    let (username, password) = peer.trunk.credentials.clone()?;
    Some(sip::Credentials { username, password })
}

/// A user part of a SIP URI (RFC 3261 §25.1: unreserved and user-unreserved stay as they are).
fn escape(user: &str) -> String {
    let mut out = String::with_capacity(user.len());
    for byte in user.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.!~*'()&=+$,;?/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
