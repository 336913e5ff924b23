//! The user agent: it ties messages, transactions and dialogs together (RFC 3261 §8, §13, §14, §15).

mod asked;
mod call;
mod client;
mod commands;
mod content;
mod early;
mod failover;
mod hangup;
mod in_dialog;
mod offers;
mod registration;
mod requests;
mod schedule;
mod session;
mod transactions;

use core::net::SocketAddr;
use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use fax_base::Instant;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::api::{Attempt, CallKey, Config, Event, Holdings, Input, Output, RegKey, Transport};
use crate::dialog::DialogId;
use crate::digest::Challenger;
use crate::message::{Message, Method, Via, response_to};
use crate::transaction::{MergeKey, ServerKey};
use call::Call;
use failover::Ways;
use registration::Registration;
use schedule::{CallTimer, Due, Schedule, TxId};
use transactions::{ClientEntry, ServerEntry, answer_to};

/// What we understand, in Allow.
pub(crate) const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, UPDATE, PRACK";

/// All calls, registrations and pings of a set of sockets.
pub struct UserAgent {
    config: Config,
    random: ChaCha12Rng,
    outputs: VecDeque<Output>,
    schedule: Schedule,
    last_id: TxId,
    last_call: u64,
    clients: BTreeMap<TxId, ClientEntry>,
    client_keys: BTreeMap<(Bytes, String), TxId>,
    servers: BTreeMap<TxId, ServerEntry>,
    server_keys: BTreeMap<ServerKey, TxId>,
    merged: BTreeMap<MergeKey, TxId>,
    calls: BTreeMap<CallKey, Call>,
    live_calls: usize,
    dialogs: BTreeMap<DialogId, CallKey>,
    /// Calls of ours without a final answer, by Call-ID and our tag.
    early: BTreeMap<(Bytes, Bytes), CallKey>,
    registrations: BTreeMap<RegKey, Registration>,
    /// Where else calls and registrations can be tried.
    ways: BTreeMap<Attempt, Ways>,
    /// Places that took no TCP when a request was too large for a datagram, and until when that is believed.
    without_tcp: BTreeMap<SocketAddr, Instant>,
    /// Requests that went by TCP for their size, and whose connection is not known to stand.
    connecting: BTreeSet<TxId>,
    challenger: Challenger,
}

impl UserAgent {
    /// A user agent with nothing going on.
    #[must_use]
    pub fn new(config: Config) -> UserAgent {
        let mut random = ChaCha12Rng::from_seed(config.seed);
        let mut key = [0; 32];
        random.fill_bytes(&mut key);
        UserAgent {
            challenger: Challenger::new(key, &config.algorithms),
            random,
            config,
            outputs: VecDeque::new(),
            schedule: Schedule::default(),
            last_id: 0,
            last_call: CallKey::INCOMING.0,
            clients: BTreeMap::new(),
            client_keys: BTreeMap::new(),
            servers: BTreeMap::new(),
            server_keys: BTreeMap::new(),
            merged: BTreeMap::new(),
            calls: BTreeMap::new(),
            live_calls: 0,
            dialogs: BTreeMap::new(),
            early: BTreeMap::new(),
            registrations: BTreeMap::new(),
            ways: BTreeMap::new(),
            without_tcp: BTreeMap::new(),
            connecting: BTreeSet::new(),
        }
    }

    /// Takes in what happened at `now`; then [`UserAgent::poll`] until it is empty.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Datagram { transport, local, remote, octets } => {
                self.receive(now, transport, local, remote, octets);
            }
            Input::Unreachable { transport, remote } => self.unreachable(now, transport, remote),
            Input::Disconnected { transport, remote } => self.disconnected(now, transport, remote),
            Input::Connected { transport, remote } => self.connected(transport, remote),
            Input::Command(command) => self.command(now, command),
            Input::Timeout => {}
        }
        while let Some(due) = self.schedule.expired(now) {
            match due {
                Due::Client(id, timer) => self.client_expired(now, id, timer),
                Due::Elsewhere(id) => self.silent(now, id),
                Due::Server(id, timer) => self.server_expired(now, id, timer),
                Due::Abandoned(id) => {
                    if self.clients.get(&id).is_some_and(|e| e.machine.is_open()) {
                        self.forget_client(id);
                    }
                }
                Due::Unanswered(id) => self.unanswered(now, id),
                Due::Call(call, timer) => self.call_expired(now, call, timer),
                Due::Registration(registration) => self.registration_due(now, registration),
            }
        }
    }

    /// The next thing to be done.
    pub fn poll(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.schedule.deadline()
    }

    /// How many calls there are that have not ended.
    #[must_use]
    pub fn calls(&self) -> usize {
        self.live_calls
    }

    /// Takes so many calls at a time from now on, both ways; those that there are go on.
    pub fn limit_calls(&mut self, most: usize) {
        self.config.max_calls = most;
    }

    /// Challenges with these algorithms from now on ([`Config::algorithms`]).
    pub fn challenge_by(&mut self, algorithms: &[crate::digest::Algorithm]) {
        self.challenger.offer(algorithms);
    }

    /// Passes these methods to the service from now on ([`Config::passed`]).
    pub fn pass(&mut self, methods: Vec<crate::message::Method>) {
        self.config.passed = methods;
    }

    /// The Call-ID of a call that has not ended.
    #[must_use]
    pub fn call_id(&self, call: CallKey) -> Option<String> {
        self.calls.get(&call).map(|c| crate::message::text(&c.dialog.call_id))
    }

    /// How many transactions are remembered; for limits and figures.
    #[must_use]
    pub fn transactions(&self) -> usize {
        self.clients.len() + self.servers.len()
    }

    /// What is held at the moment.
    #[must_use]
    pub fn holdings(&self) -> Holdings {
        Holdings {
            calls: self.live_calls,
            dialogs: self.calls.len(),
            client_transactions: self.clients.len(),
            server_transactions: self.servers.len(),
            keys: self.client_keys.len()
                + self.server_keys.len()
                + self.merged.len()
                + self.dialogs.len()
                + self.early.len()
                + self.ways.len()
                + self.connecting.len(),
            registrations: self.registrations.len(),
            timers: self.schedule.len(),
        }
    }

    fn receive(
        &mut self,
        now: Instant,
        transport: Transport,
        local: SocketAddr,
        source: SocketAddr,
        octets: &[u8],
    ) {
        if transport == Transport::Tcp {
            self.without_tcp.remove(&source);
        }
        match Message::parse(&Bytes::copy_from_slice(octets), &self.config.limits) {
            Ok(message) if message.code().is_some() => {
                self.receive_response(now, &message, transport, source);
            }
            Ok(message) => self.receive_request(now, transport, local, source, message),
            Err(error) => {
                let Some(request) = error.partial else { return };
                if matches!(request.method(), Some(method) if *method != Method::Ack) {
                    self.refuse(transport, local, source, &request, error.code, error.phrase);
                }
            }
        }
    }

    /// Answers without keeping state: for what is no proper request, or too much.
    fn refuse(
        &mut self,
        transport: Transport,
        local: SocketAddr,
        source: SocketAddr,
        request: &Message,
        code: u16,
        phrase: &str,
    ) {
        let tag = self.random_token(8);
        let builder = response_to(request, source, code, phrase, Some(&tag));
        let builder = if code == 503 { builder.header("Retry-After", "5") } else { builder };
        let octets = self.sign(builder, "Server").finish().to_bytes();
        let to = answer_to(request, transport, source);
        self.send(transport, Some(local), to, octets);
    }

    /// The extensions we know, in Supported.
    pub(crate) const fn supported(&self) -> &'static str {
        if self.config.reliable_provisional { "timer, 100rel" } else { "timer" }
    }

    fn event(&mut self, event: Event) {
        self.outputs.push_back(Output::Event(event));
    }

    fn next_id(&mut self) -> TxId {
        self.last_id = self.last_id.wrapping_add(1);
        self.last_id
    }

    /// `octets` random octets, at most 16, in hexadecimal: a token.
    fn random_token(&mut self, octets: usize) -> String {
        const DIGITS: [u8; 16] = *b"0123456789abcdef";
        let mut drawn = [0; 16];
        let drawn = drawn.get_mut(..octets.min(16)).unwrap_or_default();
        self.random.fill_bytes(drawn);
        let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().map_or('0', char::from);
        drawn.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]).collect()
    }

    /// A number below `limit`.
    fn random_below(&mut self, limit: u64) -> u64 {
        self.random.next_u64() % limit.max(1)
    }

    /// A fresh Via of ours. What is asked of us may come back by the same connection (RFC 5923 §5).
    fn new_via(&mut self, transport: Transport, contact: SocketAddr) -> String {
        let branch = self.random_token(10);
        let alias = match transport {
            Transport::Udp => "",
            Transport::Tcp | Transport::Tls => ";alias",
        };
        format!("SIP/2.0/{} {contact};rport;branch={}-{branch}{alias}", transport.via(), Via::COOKIE)
    }

    fn call_expired(&mut self, now: Instant, call: CallKey, timer: CallTimer) {
        match timer {
            CallTimer::Ring => self.ring_timed_out(now, call),
            CallTimer::Cancelled => self.cancel_timed_out(call),
            CallTimer::Repeat2xx => self.repeat_2xx(now, call),
            CallTimer::NoAck => self.no_ack(now, call),
            CallTimer::Glare => self.try_offer(now, call),
            CallTimer::Reinvite => self.reinvite_timed_out(now, call),
            CallTimer::Session => self.session_due(now, call),
            CallTimer::SessionEnd => self.session_ended(now, call),
            CallTimer::Repeat1xx => self.repeat_1xx(now, call),
            CallTimer::NoPrack => self.no_prack(now, call),
            CallTimer::StillRinging => self.still_ringing(now, call),
            CallTimer::Linger => self.forget_call(call),
        }
    }
}
