//! Terminals of our own: they register, and everybody who has to proves who it is before a call is looked at
//! (RFC 3261 §10.3, §22; RFC 3327; RFC 5626).

use super::driver::Driver;
use super::keep_alive::KeepAlive;
use super::peers::Peer;
use crate::local::{AuthenticationFailed, LocalTerminal, Registrar as Settings};
use fax_base::Instant;
use fax_base::redact::Redacted;
use fax_base::time::Duration;
use fax_sip as sip;
use sip::registrar::{Flow, Registrar, RegistrarConfig};
use std::collections::HashMap;
use std::net::SocketAddr;

/// A proof that was asked for is judged at once; what is left after this was challenged.
const JUDGED: Duration = Duration::from_secs(10);

/// Requests that are being judged at a time.
const JUDGING: usize = 4_096;

/// Who calls, by where it comes from and what it says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Caller {
    /// A trunk, by its id, shown by its address or its proof.
    Trunk(u64),
    /// A terminal, by its user name, shown by its proof.
    Terminal(String),
}

/// A request whose sender has to prove who it is.
pub(super) enum Judged {
    Register(Box<sip::Asked>),
    Call(Box<sip::Incoming>, Caller),
}

impl Judged {
    /// Where it came from.
    pub(super) fn remote(&self) -> SocketAddr {
        match self {
            Judged::Register(asked) => asked.remote,
            Judged::Call(incoming, _) => incoming.remote,
        }
    }

    /// As whom.
    pub(super) fn claims(&self) -> &str {
        let claim = match self {
            Judged::Register(asked) => asked.claim.as_ref(),
            Judged::Call(incoming, _) => incoming.claim.as_ref(),
        };
        claim.map_or("", |c| &c.username)
    }
}

/// What is known of terminals.
pub(super) struct Terminals {
    known: HashMap<String, LocalTerminal>,
    pub(super) realm: String,
    pub(super) registrar: Registrar,
    settings: Settings,
    /// Terminals behind NAT.
    pub(super) alive: KeepAlive,
    /// By which of our sockets each place of a terminal is reached: translators let nothing else through.
    locals: HashMap<SocketAddr, SocketAddr>,
    judged: HashMap<sip::Asker, (Judged, Instant)>,
}

impl Terminals {
    pub(super) fn new(terminals: &[LocalTerminal], settings: &Settings) -> Terminals {
        Terminals {
            known: by_user(terminals),
            realm: settings.realm.clone(),
            registrar: Registrar::new(granting(settings)),
            settings: settings.clone(),
            alive: KeepAlive::default(),
            locals: HashMap::new(),
            judged: HashMap::new(),
        }
    }

    /// Other terminals and settings from now on. Who is registered stays, unless the terminal is gone or has another
    /// password, or may not come by that transport any more.
    pub(super) fn reload(&mut self, terminals: &[LocalTerminal], settings: &Settings) {
        let before = std::mem::replace(&mut self.known, by_user(terminals));
        for (user, old) in before {
            let now = self.known.get(&user).filter(|now| now.password == old.password);
            let stays = |b: &sip::registrar::Binding| {
                now.is_some_and(|t| t.transports.is_empty() || t.transports.contains(&b.flow.transport))
            };
            for (user, binding) in self.registrar.remove(&user, |b| !stays(b)) {
                tracing::info!(user, at = %binding.flow.remote, "no longer registered: the terminal was changed");
            }
        }
        self.realm.clone_from(&settings.realm);
        self.registrar.reconfigure(granting(settings));
        let denials = settings.denials.clone().or(self.settings.denials.take());
        self.settings = Settings { denials, ..settings.clone() };
    }

    pub(super) fn keep_alive(&self) -> Option<Duration> {
        self.settings.keep_alive
    }

    pub(super) fn keep_alive_misses(&self) -> u32 {
        self.settings.keep_alive_misses.max(1)
    }

    /// Our socket that a terminal at this address registered at.
    pub(super) fn local_for(&self, remote: SocketAddr) -> Option<SocketAddr> {
        self.locals.get(&remote).copied()
    }

    pub(super) fn get(&self, user: &str) -> Option<&LocalTerminal> {
        self.known.get(user)
    }

    /// Forgets what was challenged, and registrations that have run out.
    pub(super) fn sweep(&mut self, now: Instant) {
        self.judged.retain(|_, (_, since)| now.since(*since) < JUDGED);
        for (user, binding) in self.registrar.expire(now) {
            tracing::info!(user, at = %binding.flow.remote, "a registration has run out");
        }
        let flows = self.registrar.flows().filter(|f| !f.transport.reliable());
        self.locals = flows.map(|f| (f.remote, f.local)).collect();
    }

    /// Who a request says it is from, in our realm: what is judged, and nothing else that it may carry.
    fn claim(&self, request: &sip::message::Message) -> Option<sip::Claim> {
        sip::Claim::of(request, &self.realm, false)
    }

    /// What proves that this user comes by this transport.
    fn secret(&self, user: &str, transport: sip::Transport) -> Option<sip::Secret> {
        let terminal = self.known.get(user)?;
        let allowed = terminal.transports.is_empty() || terminal.transports.contains(&transport);
        allowed.then(|| sip::Secret::Password(terminal.password.clone()))
    }
}

fn by_user(terminals: &[LocalTerminal]) -> HashMap<String, LocalTerminal> {
    terminals.iter().map(|t| (t.user.clone(), t.clone())).collect()
}

fn granting(settings: &Settings) -> RegistrarConfig {
    RegistrarConfig {
        min_expires: settings.min_expires,
        max_expires: settings.max_expires,
        default_expires: settings.max_expires,
        ..RegistrarConfig::default()
    }
}

impl Driver {
    /// Somebody asks something outside of calls: to register.
    pub(super) fn asked(&mut self, mut asked: sip::Asked) {
        asked.claim = self.terminals.claim(&asked.message);
        let remote = asked.remote;
        let claim = asked.claim.as_ref();
        let secret = claim.and_then(|c| self.terminals.secret(&c.username, asked.transport));
        let asker = sip::Asker::Request(asked.request);
        let judged = asked.claim.is_some().then(|| Judged::Register(Box::new(asked)));
        self.demand(asker, remote, judged, secret);
    }

    /// Asks for a proof; what claims nothing is challenged and forgotten.
    fn demand(
        &mut self,
        asker: sip::Asker,
        remote: SocketAddr,
        judged: Option<Judged>,
        secret: Option<sip::Secret>,
    ) {
        if let Some((judged, secret)) = self.in_turn(asker, remote, judged, secret) {
            self.judge_proof(asker, judged, secret);
        }
    }

    pub(super) fn judge_proof(
        &mut self,
        asker: sip::Asker,
        judged: Option<Judged>,
        secret: Option<sip::Secret>,
    ) {
        let now = self.now();
        if let Some(judged) = judged.filter(|_| self.terminals.judged.len() < JUDGING) {
            self.terminals.judged.insert(asker, (judged, now));
        }
        let realm = self.terminals.realm.clone();
        self.command(sip::Command::Authenticate { asker, realm, proxy: false, secret });
    }

    /// A proof was right.
    pub(super) fn authenticated(&mut self, asker: sip::Asker, username: &str) {
        let judged = self.terminals.judged.remove(&asker);
        if let Some((judged, _)) = &judged {
            self.transports.gate.proves(judged.remote().ip());
        }
        match judged {
            Some((Judged::Register(asked), _)) => self.register_terminal(&asked, username),
            Some((Judged::Call(incoming, caller), _)) => {
                // The proof is of the one whose secret was asked for.
                let expected = match &caller {
                    Caller::Terminal(user) => user == username,
                    Caller::Trunk(id) => {
                        let peer = self.peer(*id);
                        peer.and_then(|p| p.trunk.challenge.as_ref()).is_some_and(|(n, _)| n == username)
                    }
                };
                if expected {
                    self.called_by(*incoming, caller);
                } else {
                    self.refuse_call(incoming.call, 403);
                }
            }
            None => match asker {
                sip::Asker::Call(call) => self.refuse_call(call, 503),
                sip::Asker::Request(request) => self.respond(request, 503, ""),
            },
        }
    }

    /// A proof was wrong.
    pub(super) fn denied(&mut self, asker: sip::Asker, username: String, why: sip::Denial) {
        let Some((judged, _)) = self.terminals.judged.remove(&asker) else {
            return;
        };
        let (remote, transport, register) = match judged {
            Judged::Register(asked) => (asked.remote, asked.transport, true),
            Judged::Call(incoming, _) => (incoming.remote, incoming.transport, false),
        };
        let to = if register { "register" } else { "call" };
        let gate = &self.transports.gate;
        if let Some(unsaid) = gate.may_say() {
            tracing::warn!(%remote, transport = transport.via(), user = username, ?why, to, unsaid, "Authentication failed");
        }
        gate.wrong_proof(remote.ip(), &username);
        self.denials.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        if let Some(told) = &self.terminals.settings.denials {
            let failed = AuthenticationFailed { remote, transport, username, register, why };
            // Who does not listen misses some; the count goes on.
            let _ = told.try_send(failed);
        }
    }

    fn register_terminal(&mut self, asked: &sip::Asked, username: &str) {
        let now = self.now();
        let registered = asked.message.to().and_then(|to| to.uri().user()).unwrap_or_default();
        let Some(terminal) = self.terminals.get(username).filter(|_| registered == username) else {
            tracing::warn!(remote = %asked.remote, user = username, "registers as somebody else");
            return self.respond(asked.request, 403, "Not Your Address");
        };
        let most = terminal.max_contacts;
        let flow = Flow { transport: asked.transport, local: asked.local, remote: asked.remote };
        let registrar = &mut self.terminals.registrar;
        let before = registrar.places(now, username).len();
        let answer = registrar.register_up_to(now, username, &asked.message, flow, most);
        if answer.code == 200 && !flow.transport.reliable() {
            self.terminals.locals.insert(flow.remote, flow.local);
        }
        let registrar = &self.terminals.registrar;
        let after = registrar.places(now, username).len();
        if answer.code == 200 && after > 0 {
            self.transports.gate.registered(asked.remote.ip(), username, self.terminals.settings.max_expires);
        }
        if answer.code != 200 {
            tracing::warn!(user = username, remote = %asked.remote, code = answer.code, reason = answer.reason, "not registered here");
        } else if after != before {
            tracing::info!(user = username, remote = %asked.remote, places = after, "registered here");
        }
        let (code, reason, headers) = (answer.code, answer.reason.to_owned(), answer.headers);
        self.command(sip::Command::Respond { request: asked.request, code, reason, headers });
        self.keep_reachable(username);
    }

    fn respond(&mut self, request: sip::RequestKey, code: u16, reason: &str) {
        let (reason, headers) = (reason.to_owned(), Vec::new());
        self.command(sip::Command::Respond { request, code, reason, headers });
    }

    /// Refuses a call and says why (RFC 3261 §20.43).
    pub(super) fn refuse_media(&mut self, call: sip::CallKey, why: &str) {
        tracing::info!(why, "a call is refused with 488");
        let headers = vec![("Warning".to_owned(), format!("399 ferrofax \"{why}\""))];
        self.command(sip::Command::Reject { call, code: 488, reason: String::new(), headers });
    }

    pub(super) fn refuse_call(&mut self, call: sip::CallKey, code: u16) {
        let (reason, headers) = (String::new(), Vec::new());
        self.command(sip::Command::Reject { call, code, reason, headers });
    }

    /// A stream was closed: nobody is registered over it any more.
    pub(super) fn flow_lost(&mut self, transport: sip::Transport, remote: SocketAddr) {
        let flows: Vec<Flow> = self
            .terminals
            .registrar
            .flows()
            .filter(|f| f.transport == transport && f.remote == remote)
            .collect();
        for flow in flows {
            for (user, _) in self.terminals.registrar.flow_lost(&flow) {
                tracing::info!(user, %remote, "a registration went with its connection");
            }
        }
    }

    /// The trunk that a call came by, as its source says: the one at just this address and port before one at the same host.
    /// Of several accounts at one carrier it is the one that was called: a registrar puts the Contact that was registered
    /// into the Request-URI (RFC 3261 §16.5).
    fn trunk_at(&self, incoming: &sip::Incoming) -> Option<u64> {
        let (remote, called) = (incoming.remote, incoming.request_uri.user());
        let exact = |p: &&Peer| p.places.iter().any(|place| place.address == remote);
        let is_called = |p: &&Peer| called.is_some() && p.trunk.user() == called.as_deref();
        let at = |owns: &dyn Fn(&&Peer) -> bool| {
            let mut owners = self.peers.iter().filter(owns);
            owners.clone().find(is_called).or_else(|| owners.next())
        };
        at(&exact).or_else(|| at(&|p: &&Peer| p.owns(remote.ip()))).map(|p| p.id)
    }

    /// Somebody calls: whoever has to proves who it is first.
    pub(super) fn called(&mut self, mut incoming: sip::Incoming) {
        incoming.claim = self.terminals.claim(&incoming.request);
        let claimed = incoming.claim.as_ref().map(|c| c.username.clone());
        let at = self.trunk_at(&incoming);
        let challenge = at.and_then(|id| self.peer(id)).and_then(|p| p.trunk.challenge.clone());
        if let (Some(trunk), Some((name, password))) = (at, &challenge)
            && claimed.as_ref() == Some(name)
        {
            return self.prove(incoming, Caller::Trunk(trunk), Some(sip::Secret::Password(password.clone())));
        }
        if let Some(user) = claimed.filter(|user| self.terminals.get(user).is_some() || at.is_none()) {
            let secret = self.terminals.secret(&user, incoming.transport);
            return self.prove(incoming, Caller::Terminal(user), secret);
        }
        let now = self.now();
        let (transport, local, remote) = (incoming.transport, incoming.local, incoming.remote);
        let registered = self.terminals.registrar.owner(now, &Flow { transport, local, remote });
        let says = registered.map(str::to_owned).or_else(|| self.says_it_is(&incoming));
        match (says, at) {
            (Some(user), _) => self.prove(incoming, Caller::Terminal(user), None),
            (None, Some(trunk)) if challenge.is_some() => self.prove(incoming, Caller::Trunk(trunk), None),
            (None, Some(trunk)) => self.called_by(incoming, Caller::Trunk(trunk)),
            // Whether there is such a user is nobody's business: everybody is asked.
            (None, None) if !self.terminals.known.is_empty() => {
                self.prove(incoming, Caller::Terminal(String::new()), None);
            }
            (None, None) => {
                let from = incoming.from.uri().user().unwrap_or_default();
                let gate = &self.transports.gate;
                if let Some(unsaid) = gate.may_say() {
                    tracing::warn!(%remote, from = %Redacted(&from), unsaid, "a call from an address that is no trunk's");
                }
                gate.offends(remote.ip(), crate::guard::Offence::Forbidden);
                self.command(sip::Command::Dismiss { call: incoming.call, code: 403 });
            }
        }
    }

    /// The terminal of ours that From names, at our own address, unless it comes from the very place of a trunk: both may
    /// be on one host.
    fn says_it_is(&self, incoming: &sip::Incoming) -> Option<String> {
        let trunk = self.peers.iter().any(|p| p.places.iter().any(|place| place.address == incoming.remote));
        let uri = incoming.from.uri();
        let host = String::from_utf8_lossy(uri.host()).into_owned();
        let here = host == self.terminals.realm
            || uri
                .address()
                .is_some_and(|a| a.ip() == incoming.local.ip() && a.port() == incoming.local.port());
        uri.user().filter(|user| !trunk && here && self.terminals.get(user).is_some())
    }

    fn prove(&mut self, incoming: sip::Incoming, caller: Caller, secret: Option<sip::Secret>) {
        let asker = sip::Asker::Call(incoming.call);
        let (remote, claims) = (incoming.remote, incoming.claim.is_some());
        self.demand(asker, remote, claims.then(|| Judged::Call(Box::new(incoming), caller)), secret);
    }
}
