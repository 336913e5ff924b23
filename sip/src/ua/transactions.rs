//! Transactions and their users: starting, matching, repeating, forgetting (RFC 3261 §17, §18).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;

use super::UserAgent;
use super::failover::{hop_of, response_hop};
use super::schedule::{Due, TxId};
use crate::api::{CallKey, Hop, Output, PingKey, RegKey, Transport};
use crate::dialog::{Dialog, Flow};
use crate::message::{Builder, Message, Method, response_to};
use crate::transaction::{Client, MergeKey, Server, ServerKey, Step, TRANSACTION_LIFE, Timer};

/// Who is told about the responses of a client transaction.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Owner {
    /// The INVITE that makes a call.
    Invite(CallKey),
    /// An INVITE within it.
    Reinvite(CallKey),
    /// An UPDATE that renews the session.
    Update(CallKey),
    /// The BYE that ends it.
    Bye(CallKey),
    /// The PRACK of a provisional answer.
    Prack(CallKey),
    /// A registration.
    Register(RegKey),
    /// A ping.
    Ping(PingKey),
    /// Nobody: CANCEL, and the BYE of a fork.
    Nobody,
}

/// A client transaction and what it sent.
pub(crate) struct ClientEntry {
    pub(crate) machine: Client,
    pub(crate) request: Message,
    pub(crate) octets: Bytes,
    pub(crate) transport: Transport,
    pub(crate) local: Option<SocketAddr>,
    pub(crate) remote: SocketAddr,
    /// The next hop as the request names it, within dialogs.
    pub(crate) hop: Option<Hop>,
    /// It went by TCP for its size alone (RFC 3261 §18.1.1).
    pub(crate) large: bool,
    /// It went back to datagrams, and nothing has come of it yet.
    pub(crate) fell_back: bool,
    /// Its connection went before any answer, and it was sent by a new one.
    pub(crate) sent_anew: bool,
    pub(crate) owner: Owner,
    pub(crate) key: (Bytes, String),
    pub(crate) started: Instant,
    /// For INVITE: the dialog without its far half, to be completed by each 2xx.
    pub(crate) half: Option<Box<(Dialog, Flow)>>,
    /// The ACKs sent for 2xx, by the far tag: repeated when the 2xx is.
    pub(crate) acks: Vec<(Bytes, Bytes, SocketAddr)>,
    /// Its call has gone elsewhere, and it was cancelled for that.
    pub(crate) left: bool,
}

/// A server transaction and what it last answered.
pub(crate) struct ServerEntry {
    pub(crate) machine: Server,
    pub(crate) key: ServerKey,
    pub(crate) merge: Option<MergeKey>,
    /// Empty once it has its final answer: of most transactions all that is left is what repeats are answered with.
    pub(crate) request: Message,
    /// Where answers go, and by which hop where the connection is gone (§18.2.2).
    pub(crate) answer_to: SocketAddr,
    pub(crate) hop: Option<Hop>,
    pub(crate) transport: Transport,
    pub(crate) local: SocketAddr,
    pub(crate) source: SocketAddr,
    pub(crate) last: Option<Bytes>,
    pub(crate) tag: String,
    pub(crate) call: Option<CallKey>,
}

/// Where an answer goes (§18.2.2).
pub(crate) fn answer_to(request: &Message, transport: Transport, source: SocketAddr) -> SocketAddr {
    match request.top_via() {
        Some(via) if !transport.reliable() => via.answer_to(source),
        _ => source,
    }
}

impl UserAgent {
    pub(crate) fn send(
        &mut self,
        transport: Transport,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        octets: Bytes,
    ) {
        self.send_by(transport, local, remote, None, octets);
    }

    /// Sends to the next hop, named by the message.
    pub(crate) fn send_by(
        &mut self,
        transport: Transport,
        local: Option<SocketAddr>,
        remote: SocketAddr,
        hop: Option<Hop>,
        octets: Bytes,
    ) {
        self.outputs.push_back(Output::Send { transport, local, remote, hop, octets });
    }

    /// Whether there is room for another transaction.
    pub(crate) fn has_room(&self) -> bool {
        self.clients.len() + self.servers.len() < self.config.max_transactions
    }

    /// Sends a request as a new client transaction.
    pub(crate) fn start_client(
        &mut self,
        now: Instant,
        request: Message,
        flow: &Flow,
        remote: SocketAddr,
        owner: Owner,
    ) -> TxId {
        let id = self.next_id();
        let (request, octets, transport, large) = self.by_size(now, request, flow, remote);
        let invite = request.method() == Some(&Method::Invite);
        let branch = request.top_via().and_then(|v| v.branch()).unwrap_or_default();
        let key = (branch, request.method().map_or("", Method::as_str).to_owned());
        let mut machine = Client::new(invite, transport.reliable());
        let steps = machine.start();
        let entry = ClientEntry {
            machine,
            octets,
            hop: hop_of(&request, transport),
            request,
            transport,
            local: flow.local,
            remote,
            large,
            fell_back: false,
            sent_anew: false,
            owner,
            key: key.clone(),
            started: now,
            half: None,
            acks: Vec::new(),
            left: false,
        };
        self.client_keys.insert(key, id);
        self.clients.insert(id, entry);
        if large {
            self.connecting.insert(id);
            self.watch_size(now, id);
        }
        self.run_client(now, id, &steps, None);
        id
    }

    /// A response came: to its transaction, or nowhere.
    pub(crate) fn receive_response(
        &mut self,
        now: Instant,
        response: &Message,
        transport: Transport,
        source: SocketAddr,
    ) {
        let (Some(via), Some(cseq), Some(code)) = (response.top_via(), response.cseq(), response.code())
        else {
            return;
        };
        // §8.1.3.3: more than one Via means that it was not meant for us.
        if response.via_count() != 1 {
            return;
        }
        let key = (via.branch().unwrap_or_default(), cseq.method.as_str().to_owned());
        let Some(&id) = self.client_keys.get(&key) else {
            return;
        };
        let Some(entry) = self.clients.get_mut(&id) else {
            return;
        };
        if entry.request.cseq().map(|c| c.number) != Some(cseq.number) {
            return;
        }
        let steps = entry.machine.response(code);
        if transport == Transport::Udp && core::mem::take(&mut entry.fell_back) {
            let remote = entry.remote;
            self.takes_datagrams(now, remote);
        }
        self.run_client(now, id, &steps, Some((response, source)));
    }

    pub(crate) fn client_expired(&mut self, now: Instant, id: TxId, timer: Timer) {
        let Some(entry) = self.clients.get_mut(&id) else {
            return;
        };
        let steps = entry.machine.expired(timer);
        self.run_client(now, id, &steps, None);
    }

    pub(crate) fn run_client(
        &mut self,
        now: Instant,
        id: TxId,
        steps: &[Step],
        response: Option<(&Message, SocketAddr)>,
    ) {
        for step in steps {
            let Some(entry) = self.clients.get(&id) else {
                return;
            };
            let (transport, local, remote) = (entry.transport, entry.local, entry.remote);
            match *step {
                Step::Repeat => {
                    let (octets, hop) = (entry.octets.clone(), entry.hop.clone());
                    self.send_by(transport, local, remote, hop, octets);
                }
                Step::Acknowledge => {
                    if let Some((response, _)) = response {
                        let ack = Builder::ack_of_failure(&entry.request, response).to_bytes();
                        self.send(transport, local, remote, ack);
                    }
                }
                Step::Set(timer, wait) => self.schedule.set(Due::Client(id, timer), now + wait),
                Step::Clear(timer) => self.schedule.clear(Due::Client(id, timer)),
                Step::Deliver => {
                    if let Some((response, source)) = response {
                        self.deliver_response(now, id, response, source);
                    }
                }
                Step::TimedOut => {
                    self.silent_by_udp(id);
                    self.client_failed(now, id, 408);
                }
                Step::Terminated => self.forget_client(id),
            }
        }
    }

    /// Nobody waits for this INVITE any more: it is kept long enough for what may still come. In Proceeding it has no
    /// timer of its own.
    pub(crate) fn abandon_client(&mut self, now: Instant, id: TxId) {
        if self.clients.get(&id).is_some_and(|e| e.machine.is_open()) {
            self.schedule.set(Due::Abandoned(id), now + TRANSACTION_LIFE);
        }
    }

    pub(crate) fn forget_client(&mut self, id: TxId) {
        if let Some(entry) = self.clients.remove(&id) {
            self.client_keys.remove(&entry.key);
        }
        self.connecting.remove(&id);
        self.schedule.clear_transaction(id);
    }

    /// The requests under way there.
    fn under_way(&self, transport: Transport, remote: SocketAddr) -> Vec<TxId> {
        self.clients
            .iter()
            .filter(|(_, e)| e.transport == transport && e.remote == remote && e.machine.is_open())
            .map(|(id, _)| *id)
            .collect()
    }

    /// Nothing can be sent there: the requests under way fail (§8.1.3.1, §17.1.4).
    pub(crate) fn unreachable(&mut self, now: Instant, transport: Transport, remote: SocketAddr) {
        for id in self.under_way(transport, remote) {
            self.fail_unsent(now, id);
        }
    }

    fn fail_unsent(&mut self, now: Instant, id: TxId) {
        if !self.back_to_udp(now, id) {
            self.client_failed(now, id, 503);
            self.forget_client(id);
        }
    }

    /// A connection is gone by which requests went. Peers, and what is between, end connections that are quiet for long,
    /// and say so only when something is sent: that does not mean that nobody is there. A request that has no answer yet
    /// goes once more; its branch keeps it from being two for a peer that had it already (§17.2.3).
    pub(crate) fn disconnected(&mut self, now: Instant, transport: Transport, remote: SocketAddr) {
        for id in self.under_way(transport, remote) {
            let wanted = self.is_wanted(id);
            let entry = self.clients.get_mut(&id);
            let Some(entry) = entry.filter(|e| wanted && !e.large && !e.sent_anew && e.machine.is_unheard())
            else {
                self.fail_unsent(now, id);
                continue;
            };
            entry.sent_anew = true;
            let (local, hop, octets) = (entry.local, entry.hop.clone(), entry.octets.clone());
            self.send_by(transport, local, remote, hop, octets);
        }
    }

    /// Takes a request for a new server transaction.
    pub(crate) fn start_server(
        &mut self,
        key: ServerKey,
        request: Message,
        transport: Transport,
        local: SocketAddr,
        source: SocketAddr,
    ) -> TxId {
        let id = self.next_id();
        let invite = request.method() == Some(&Method::Invite);
        let tag = self.random_token(8);
        let merge = request.to_tag().is_none().then(|| MergeKey::of(&request)).flatten();
        if let Some(merge) = &merge {
            self.merged.insert(merge.clone(), id);
        }
        self.server_keys.insert(key.clone(), id);
        let machine = Server::new(invite, transport.reliable());
        let entry = ServerEntry {
            machine,
            key,
            merge,
            answer_to: answer_to(&request, transport, source),
            hop: response_hop(&request, transport, source),
            request,
            transport,
            local,
            source,
            last: None,
            tag,
            call: None,
        };
        self.servers.insert(id, entry);
        id
    }

    /// A response to the request of a server transaction, to be filled in.
    pub(crate) fn draft(&self, id: TxId, code: u16, phrase: &str) -> Option<Builder> {
        let entry = self.servers.get(&id)?;
        let tag = (code > 100).then_some(entry.tag.as_str());
        let builder = response_to(&entry.request, entry.source, code, phrase, tag);
        Some(self.sign(builder, "Server"))
    }

    /// Adds our name, where we have one.
    pub(crate) fn sign(&self, builder: Builder, header: &str) -> Builder {
        let name = &self.config.user_agent;
        if name.is_empty() { builder } else { builder.header(header, name) }
    }

    /// Sends a response through its server transaction.
    pub(crate) fn reply(&mut self, now: Instant, id: TxId, response: &Message) {
        let Some(entry) = self.servers.get_mut(&id) else {
            return;
        };
        let Some(code) = response.code() else { return };
        if !entry.machine.is_open() {
            return;
        }
        entry.last = Some(response.to_bytes());
        let steps = entry.machine.respond(code);
        if code >= 200 {
            entry.request = Message::empty();
            self.schedule.clear(Due::Unanswered(id));
        }
        self.run_server(now, id, &steps);
    }

    /// Sends a response without body and further headers.
    pub(crate) fn reply_plain(&mut self, now: Instant, id: TxId, code: u16, phrase: &str) {
        if let Some(draft) = self.draft(id, code, phrase) {
            self.reply(now, id, &draft.finish());
        }
    }

    pub(crate) fn server_repeated(&mut self, now: Instant, id: TxId) {
        let Some(entry) = self.servers.get(&id) else {
            return;
        };
        let steps = entry.machine.request();
        self.run_server(now, id, &steps);
    }

    pub(crate) fn server_expired(&mut self, now: Instant, id: TxId, timer: Timer) {
        let Some(entry) = self.servers.get_mut(&id) else {
            return;
        };
        let steps = entry.machine.expired(timer);
        self.run_server(now, id, &steps);
    }

    /// An ACK matched this INVITE; says whether it belongs to a 2xx.
    pub(crate) fn server_acknowledged(&mut self, now: Instant, id: TxId) -> bool {
        let Some(entry) = self.servers.get_mut(&id) else {
            return true;
        };
        let steps = entry.machine.acknowledged();
        self.run_server(now, id, &steps);
        steps.contains(&Step::Deliver)
    }

    fn run_server(&mut self, now: Instant, id: TxId, steps: &[Step]) {
        for step in steps {
            let Some(entry) = self.servers.get(&id) else {
                return;
            };
            match *step {
                Step::Repeat => {
                    if let Some(octets) = entry.last.clone() {
                        let (transport, local, to) = (entry.transport, entry.local, entry.answer_to);
                        let hop = entry.hop.clone();
                        self.send_by(transport, Some(local), to, hop, octets);
                    }
                }
                Step::Set(timer, wait) => self.schedule.set(Due::Server(id, timer), now + wait),
                Step::Clear(timer) => self.schedule.clear(Due::Server(id, timer)),
                Step::Terminated => self.forget_server(id),
                // The ACK of a 2xx goes to its dialog by the caller.
                Step::Deliver | Step::TimedOut | Step::Acknowledge => {}
            }
        }
    }

    /// Nothing is known of this transaction any more: what comes again is new.
    pub(crate) fn forget_server(&mut self, id: TxId) {
        let Some(entry) = self.servers.remove(&id) else {
            return;
        };
        if self.server_keys.get(&entry.key) == Some(&id) {
            self.server_keys.remove(&entry.key);
        }
        if let Some(merge) = entry.merge.filter(|m| self.merged.get(m) == Some(&id)) {
            self.merged.remove(&merge);
        }
        self.schedule.clear_transaction(id);
    }
}
