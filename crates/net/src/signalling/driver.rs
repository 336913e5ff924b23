//! The task that owns the SIP sockets: it carries messages, time and wishes to the machines, and what
//! the machines want to the network, the media workers and the owners.

use super::hops::Hops;
use super::leg::{self, Leg};
use super::limits::Way;
use super::outside::{Begin, Outside, call_of, drive};
use super::peers::Peer;
use crate::call::{CallEvent, IncomingCall, LegKey, Wish};
use crate::config::Config;
use crate::dns::{Locator, Place};
use crate::media::{
    Media, MediaCommand, MediaEvent, MediaHandle, MediaKey, MediaPorts, MediaSink, MediaSocket, Start,
};
use crate::traces::{Recording, Traces};
use crate::transport::Transports;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip as sip;
use std::collections::{BTreeSet, HashMap, HashSet};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, RwLock};
use tokio::sync::{mpsc, oneshot};

/// Keys of calls that were redirected come after those of the owners' calls and before those that come in.
const REDIRECTED: u64 = 1 << 61;

/// The largest SIP datagram.
const DATAGRAM: usize = 65_535;

pub(super) struct Entry {
    pub(super) leg: Leg,
    pub(super) call: sip::CallKey,
    pub(super) events: Option<mpsc::UnboundedSender<CallEvent>>,
    pub(super) socket: Option<MediaSocket>,
    pub(super) media: Option<MediaHandle>,
    pub(super) due: Option<Instant>,
    /// How its peer is reached: a connection in use is not idle.
    pub(super) flow: crate::transport::Peer,
    /// The line of a trunk that a call that came in takes.
    pub(super) line: Option<(u64, Way)>,
}

/// The signalling task's state.
pub(crate) struct Driver {
    pub(super) config: Config,
    pub(super) transports: Transports,
    /// Where SIP is listened for, for those who look.
    pub(super) bound: crate::Bound,
    /// Sockets that are closed when the calls that there were at the time have ended.
    pub(super) draining: Vec<(SocketAddr, HashSet<LegKey>)>,
    pub(super) local: SocketAddr,
    /// Our address towards a remote one, as the system routes; asked again now and then.
    pub(super) sources: std::cell::RefCell<HashMap<IpAddr, IpAddr>>,
    /// Names and failed places.
    pub(super) hops: Hops,
    /// When idle connections are looked for.
    pub(super) sweep_at: Instant,
    pub(super) agent: sip::UserAgent,
    pub(super) began: tokio::time::Instant,
    pub(super) peers: Vec<Peer>,
    pub(super) ports: MediaPorts,
    pub(super) media: Media,
    pub(super) media_events: mpsc::UnboundedReceiver<(MediaKey, MediaEvent)>,
    pub(super) media_sender: mpsc::UnboundedSender<(MediaKey, MediaEvent)>,
    pub(super) wishes: mpsc::UnboundedReceiver<Wish>,
    pub(super) wish_sender: mpsc::UnboundedSender<Wish>,
    pub(super) incoming: mpsc::Sender<IncomingCall>,
    pub(super) legs: HashMap<LegKey, Entry>,
    /// INVITEs that their owners have not decided about.
    pub(super) held: HashMap<LegKey, super::onward::Held>,
    /// Calls that are passed on.
    pub(super) passages: HashMap<LegKey, super::onward::Passage>,
    pub(super) terminals: super::terminals::Terminals,
    /// Proofs that are judged later.
    pub(super) deferred: super::guarded::Deferred,
    /// Proofs of identity that were wrong.
    pub(super) denials: Arc<std::sync::atomic::AtomicU64>,
    pub(super) by_call: HashMap<sip::CallKey, LegKey>,
    /// Calls that we make.
    pub(super) outgoing: HashMap<sip::CallKey, super::outgoing::Outgoing>,
    pub(super) wheel: BTreeSet<(Instant, LegKey)>,
    pub(super) next_incoming: u64,
    pub(super) stopping: Option<(Instant, oneshot::Sender<()>)>,
    pub(super) unreachable: Vec<crate::transport::Peer>,
    /// Connections that stood and are gone, of which the user agent is to be told.
    pub(super) disconnected: Vec<crate::transport::Peer>,
    /// Connections that stand, of which the user agent is to be told.
    pub(super) connected: Vec<crate::transport::Peer>,
    /// Where calls are recorded, if they are.
    pub(super) traces: Option<Traces>,
    /// The number of the youngest trunk.
    pub(super) next_peer: u64,
    /// The key of the youngest call that was redirected.
    pub(super) next_call: u64,
    pub(super) next_ping: u64,
    /// Pings without an answer: of which trunk, to which place.
    pub(super) pings: HashMap<sip::PingKey, (u64, Place)>,
    /// Our addresses, as STUN servers see them.
    pub(super) mapped: super::mapped::Mapped,
}

/// The ends of the driver that its owner keeps.
pub(crate) struct Ends {
    pub(crate) wishes: mpsc::UnboundedSender<Wish>,
    pub(crate) incoming: mpsc::Receiver<IncomingCall>,
    pub(crate) bound: crate::Bound,
    pub(crate) times: Arc<[Arc<crate::media::Times>]>,
    pub(crate) denials: Arc<std::sync::atomic::AtomicU64>,
    pub(crate) gate: crate::guard::gate::Gate,
}

impl Driver {
    /// Binds the sockets and starts the media workers.
    pub(crate) fn start(config: Config, locator: Locator) -> io::Result<(Driver, Ends)> {
        let transports = Transports::start(&config)?;
        let gate = transports.gate.clone();
        let bound: Vec<_> = transports.bound.iter().map(|b| (b.transport, b.local)).collect();
        let has = |ipv4| bound.iter().any(|(_, local)| local.is_ipv4() == ipv4);
        let hops = Hops::new(locator.with_families(has(true), has(false)));
        let local = bound.first().map_or(config.sip, |(_, local)| *local);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let media = Media::start(if config.workers == 0 { cores } else { config.workers })?;
        let times = media.times().into();
        let (wish_sender, wishes) = mpsc::unbounded_channel();
        let (media_sender, media_events) = mpsc::unbounded_channel();
        let (incoming, incoming_calls) = mpsc::channel(64);
        let agent = sip::UserAgent::new(sip::Config {
            user_agent: config.user_agent.clone(),
            seed: rand::random(),
            max_calls: super::guarded::legs_of(config.max_calls),
            large_by_tcp: true,
            algorithms: config.registrar.algorithms.clone(),
            passed: config.terminals.first().map(|_| sip::message::Method::Register).into_iter().collect(),
            ..sip::Config::default()
        });
        let traces = config.traces.clone().map(Traces::start).transpose()?;
        let terminals = super::terminals::Terminals::new(&config.terminals, &config.registrar);
        let denials = Arc::new(std::sync::atomic::AtomicU64::new(0));
        let media_ips =
            config.media_ip.into_iter().chain(bound.iter().map(|(_, local)| local.ip())).collect();
        let ports = MediaPorts::new(media_ips, config.media_ports.clone());
        let mapped = super::mapped::Mapped::new(&config.stun, &bound, &ports);
        let bound = Arc::new(RwLock::new(bound));
        let driver = Driver {
            next_peer: config.trunks.len() as u64,
            next_call: REDIRECTED,
            next_ping: 0,
            pings: HashMap::new(),
            peers: (1..).zip(config.trunks.iter().cloned()).map(|(id, t)| Peer::new(id, t)).collect(),
            config,
            transports,
            bound: bound.clone(),
            draining: Vec::new(),
            local,
            hops,
            sources: std::cell::RefCell::default(),
            sweep_at: Instant::ZERO,
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
            held: HashMap::new(),
            passages: HashMap::new(),
            terminals,
            deferred: super::guarded::Deferred::default(),
            denials: denials.clone(),
            by_call: HashMap::new(),
            outgoing: HashMap::new(),
            wheel: BTreeSet::new(),
            next_incoming: 1 << 62,
            stopping: None,
            unreachable: Vec::new(),
            disconnected: Vec::new(),
            connected: Vec::new(),
            traces,
            mapped,
        };
        let incoming = incoming_calls;
        Ok((driver, Ends { wishes: wish_sender, incoming, bound, times, denials, gate }))
    }

    pub(super) fn now(&self) -> Instant {
        let micros = self.began.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Runs until it is told to stop.
    pub(crate) async fn run(mut self) {
        let mut buffer = vec![0u8; DATAGRAM];
        let trunks: Vec<u64> = self.peers.iter().map(|p| p.id).collect();
        for id in trunks {
            self.settle_trunk(id);
        }
        self.settle_guard();
        self.settle();
        loop {
            let wheel = self.wheel.first().map(|(at, _)| *at);
            let stop = self.stopping.as_ref().map(|(at, _)| *at);
            let alive = self.terminals.alive.deadline();
            let own = [self.waiting_due(), self.next_ping_due(), self.deferred_due()];
            let trunks = own.into_iter().chain([self.mapped.due(), alive]);
            let deadline = [wheel, self.agent.deadline(), stop, Some(self.sweep_at)];
            let deadline = deadline.into_iter().chain(trunks).flatten().min();
            let wait = deadline.map(|at| at.since(self.now()));
            tokio::select! {
                wish = self.wishes.recv() => match wish {
                    Some(wish) => self.obey(wish),
                    None => return,
                },
                event = self.media_events.recv() => {
                    if let Some((key, event)) = event {
                        let key = LegKey(key.0);
                        match self.passages.contains_key(&key) {
                            true => self.passage_media(key, event),
                            false => self.input(key, leg::Input::Media(event)),
                        }
                    }
                }
                received = self.transports.next(&mut buffer) => self.received(received, &buffer),
                () = sleep(wait) => {}
            }
            self.settle();
            if self.stopped() {
                return;
            }
        }
    }

    // --- the machines ---

    /// Lets everything happen that is due or wanted, until nothing is.
    fn settle(&mut self) {
        let now = self.now();
        self.sweep(now);
        self.ping_due(now);
        self.ask_stun(now);
        self.keep_alive_due(now);
        self.serve_waiting(now);
        self.judge_deferred(now);
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
            if let Some(passage) = self.passages.get_mut(&key) {
                passage.due = None;
                self.passage_input(key, super::bridge::Input::Timeout);
            }
            self.input(key, leg::Input::Timeout);
        }
        loop {
            while let Some(peer) = self.unreachable.pop() {
                self.tell_unreachable(peer);
            }
            while let Some(peer) = self.disconnected.pop() {
                self.tell_disconnected(peer);
            }
            while let Some(peer) = self.connected.pop() {
                self.tell_connected(peer);
            }
            let Some(output) = self.agent.poll() else {
                break;
            };
            match output {
                sip::Output::Send { transport, local, remote, hop, octets } => {
                    self.forward((transport, remote), local, hop, octets);
                }
                sip::Output::StopConnecting { transport, remote } => {
                    self.stop_connecting((transport, remote))
                }
                sip::Output::Event(event) => self.event(event),
            }
        }
    }

    fn event(&mut self, event: sip::Event) {
        if let Some(call) = call_of(&event) {
            if let Some(event) = self.shown(call, event) {
                self.tell_owner(call, event);
            }
            return;
        }
        match event {
            sip::Event::Incoming(incoming) => self.called(*incoming),
            sip::Event::Asked(asked) => self.asked(*asked),
            sip::Event::Authenticated { asker, username } => self.authenticated(asker, &username),
            sip::Event::AuthenticationFailed { asker, username, why } => self.denied(asker, username, why),
            sip::Event::Registered { .. } | sip::Event::RegistrationFailed { .. } => {
                self.registration_event(event);
            }
            sip::Event::PeerAlive { ping, code, round_trip } => {
                self.pinged(ping, Some((code, round_trip)));
            }
            sip::Event::PeerSilent { ping } => self.pinged(ping, None),
            sip::Event::TargetFailed { transport, remote, code, retry_after } => {
                tracing::warn!(transport = transport.via(), %remote, code, "a place failed; others come first");
                let now = self.now();
                self.hops.dead.failed(now, (transport, remote), retry_after);
            }
            sip::Event::Progress { .. }
            | sip::Event::Answered { .. }
            | sip::Event::Confirmed { .. }
            | sip::Event::ReinviteOffered { .. }
            | sip::Event::Refreshed { .. }
            | sip::Event::ReinviteAnswered { .. }
            | sip::Event::ReinviteRefused { .. }
            | sip::Event::Ended { .. }
            | sip::Event::Unregistered { .. } => {}
        }
    }

    pub(super) fn peer(&self, id: u64) -> Option<&Peer> {
        self.peers.iter().find(|p| p.id == id)
    }

    pub(super) fn peer_mut(&mut self, id: u64) -> Option<&mut Peer> {
        self.peers.iter_mut().find(|p| p.id == id)
    }

    pub(super) fn trunk_name(&self, id: u64) -> &str {
        self.peer(id).map_or("?", |p| &p.trunk.name)
    }

    /// Gives a leg something and carries out what it wants.
    pub(super) fn input(&mut self, key: LegKey, input: leg::Input) {
        let now = self.now();
        let Some(entry) = self.legs.get_mut(&key) else {
            return;
        };
        let Entry { leg, call, events, socket, media, flow, .. } = entry;
        let call = *call;
        let flow = self.outgoing.get(&call).map_or(*flow, |outgoing| outgoing.flow);
        let mut reach = Reach {
            now,
            key: MediaKey(key.0),
            signalling: flow.1.ip().to_canonical(),
            agent: &mut self.agent,
            workers: &self.media,
            told: &self.media_sender,
            traces: self.traces.as_ref(),
            events: events.as_ref(),
            socket,
            media,
        };
        if drive(leg, now, input, &mut reach) {
            self.reschedule(key);
        } else {
            if let Some(at) = entry.due.take() {
                self.wheel.remove(&(at, key));
            }
            let line = self.legs.remove(&key).and_then(|entry| entry.line);
            self.held.remove(&key);
            self.by_call.remove(&call);
            if let Some(line) = line {
                self.release_line(line);
            }
        }
    }

    pub(super) fn reschedule(&mut self, key: LegKey) {
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

/// The network, the workers and the owner, as one leg reaches them.
struct Reach<'a> {
    now: Instant,
    key: MediaKey,
    /// Where the far end's signalling comes from.
    signalling: IpAddr,
    agent: &'a mut sip::UserAgent,
    workers: &'a Media,
    told: &'a mpsc::UnboundedSender<(MediaKey, MediaEvent)>,
    traces: Option<&'a Traces>,
    events: Option<&'a mpsc::UnboundedSender<CallEvent>>,
    socket: &'a mut Option<MediaSocket>,
    media: &'a mut Option<MediaHandle>,
}

impl Outside for Reach<'_> {
    fn sip(&mut self, command: sip::Command) {
        self.agent.handle(self.now, sip::Input::Command(command));
    }

    fn begin(&mut self, leg: &mut Leg, begin: Begin) -> bool {
        let Some(socket) = self.socket.take() else {
            return false;
        };
        let Begin { terminal, remote, codec, keys } = begin;
        let sink = MediaSink::new(self.key, self.told.clone());
        let (terminal, recording) = match self.traces {
            None => (fax_terminal::Terminal::new(*terminal), None),
            Some(traces) => record(traces, leg, *terminal),
        };
        let (socket, signalling) = (socket.socket, vec![self.signalling]);
        let start = Start { socket, terminal, remote, signalling, codec, keys, sink, recording };
        *self.media = self.workers.begin(self.key, start);
        self.media.is_some()
    }

    fn media(&mut self, command: MediaCommand) {
        if let Some(media) = &self.media {
            media.send(command);
        }
    }

    fn tell(&mut self, event: CallEvent) {
        if let Some(events) = self.events {
            let _ = events.send(event);
        }
    }
}

/// A terminal whose call is recorded, unless it has a password.
fn record(
    traces: &Traces,
    leg: &mut Leg,
    config: fax_terminal::Config,
) -> (fax_terminal::Terminal, Option<Recording>) {
    let options = traces.options(leg.labels());
    let mut terminal =
        fax_terminal::Terminal::recorded(config, fax_terminal::AudioOptions::default(), &options);
    let recording = terminal.tape().map(|tape| {
        let (name, recording) = traces.begin(tape);
        leg.recorded(name, traces.keeps_good());
        recording
    });
    (terminal, recording)
}

async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
