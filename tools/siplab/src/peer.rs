//! The far end: a user agent that does what the rules say, and behaves well where they say nothing.

use crate::Datagram;
use crate::media::{Carrier, Media, Told};
use crate::message::{Message, parameter, uri};
use crate::script::{Action, Case, Method, Rule, Trigger};
use crate::sdp::{self, Sdp};
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::{Duration, earliest};
use fax_t30::Role;
use std::collections::VecDeque;
use std::net::SocketAddr;

mod doing;

/// T1 and T2 of RFC 3261 §17.
const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

/// A well-behaved called fax offers T.38 so long after the call was up.
const OFFERS: Duration = Duration::from_millis(1_500);

/// The fax is over on our side; the product is to clear the call, or we do.
const LINGER: Duration = Duration::from_millis(1_500);

/// What we send until it is answered (requests) or acknowledged (2xx of INVITE).
struct Repeated {
    key: String,
    octets: Bytes,
    next: Instant,
    wait: Duration,
    tries: u32,
}

/// Actions under way, with the request they answer.
struct Doing {
    at: Instant,
    request: Option<Message>,
    actions: VecDeque<Action>,
}

/// The far end of a call.
pub(crate) struct Peer {
    case: Case,
    pub(crate) sip: SocketAddr,
    product: SocketAddr,
    pub(crate) media: Media,
    pub(crate) sent: VecDeque<Datagram>,
    rules: Vec<Rule>,
    doing: Vec<Doing>,
    repeated: Vec<Repeated>,
    /// Requests answered or being answered: branch and method, and the last answer.
    answered: Vec<(String, Option<Bytes>)>,
    call_id: String,
    tag: String,
    remote_tag: String,
    target: String,
    sequence: u32,
    branch: u32,
    /// The first INVITE of the dialog, either way.
    invite: Option<Message>,
    /// Our INVITE under way: its number and the name of the description offered.
    offering: Option<(u32, Option<String>)>,
    /// Our description in a 2xx whose ACK brings the answer.
    awaiting: Option<String>,
    version: u32,
    last: String,
    pub(crate) up: Option<Instant>,
    pub(crate) over: Option<Instant>,
    pub(crate) byes: u32,
    /// Everything that the product has said.
    pub(crate) heard: Vec<Message>,
}

impl Peer {
    pub(crate) fn new(case: &Case, sip: SocketAddr, product: SocketAddr, media: Media) -> Peer {
        Peer {
            case: case.clone(),
            sip,
            product,
            media,
            sent: VecDeque::new(),
            rules: case.rules.clone(),
            doing: Vec::new(),
            repeated: Vec::new(),
            answered: Vec::new(),
            call_id: format!("siplab-{}", case.seed),
            tag: "peer".to_owned(),
            remote_tag: String::new(),
            target: format!("sip:fax@{product}"),
            sequence: 100,
            branch: 0,
            invite: None,
            offering: None,
            awaiting: None,
            version: 1,
            last: String::new(),
            up: None,
            over: None,
            byes: 0,
            heard: Vec::new(),
        }
    }

    fn calls(&self) -> bool {
        self.case.role == Role::Called
    }

    /// The peer makes its call, if it is the one who calls.
    pub(crate) fn start(&mut self, now: Instant) {
        if self.calls() {
            let offer = self.case.invite.clone();
            self.reinvite(now, offer);
            self.trigger(now, Trigger::Begin, None);
        }
    }

    // --- descriptions ---

    fn describe(&mut self, name: &str) -> String {
        let none = Vec::new();
        let lines = self.case.descriptions.get(name).unwrap_or(&none).clone();
        let media = &self.media;
        let write = |version| sdp::write(&lines, media.ip, media.audio.port, media.image.port, version);
        // The same again keeps its version: a refresh (RFC 3264 §8).
        let mut text = write(self.version);
        if text != self.last && !self.last.is_empty() {
            self.version += 1;
            text = write(self.version);
        }
        text.clone_into(&mut self.last);
        text
    }

    // --- sending ---

    fn send(&mut self, octets: Bytes) {
        self.sent.push_back(Datagram { from: self.sip, to: self.product, octets });
    }

    fn request(&mut self, method: &str, sequence: u32, branch: &str) -> Message {
        let user = |number: &str| format!("<sip:{number}@{}>", self.sip);
        let invite = self.invite.as_ref();
        // In a dialog that the product began, its From is our To.
        let (from, to) = match (self.calls(), invite) {
            (false, Some(invite)) => {
                (format!("{};tag={}", invite.get("To"), self.tag), invite.get("From").to_owned())
            }
            (true, _) | (false, None) => {
                let to = user("+4930456");
                let to =
                    if self.remote_tag.is_empty() { to } else { format!("{to};tag={}", self.remote_tag) };
                (format!("{};tag={}", user("+4930123"), self.tag), to)
            }
        };
        Message::new(format!("{method} {} SIP/2.0", self.target))
            .with("Via", format!("SIP/2.0/UDP {};branch={branch};rport", self.sip))
            .with("Max-Forwards", 70)
            .with("From", from)
            .with("To", to)
            .with("Call-ID", &self.call_id)
            .with("CSeq", format!("{sequence} {method}"))
            .with("Contact", format!("<sip:peer@{}>", self.sip))
    }

    /// A new request, repeated until it is answered.
    fn ask(&mut self, now: Instant, method: &str, change: impl FnOnce(Message) -> Message) -> u32 {
        self.sequence += 1;
        self.branch += 1;
        let branch = format!("z9hG4bKpeer{}", self.branch);
        let message = change(self.request(method, self.sequence, &branch));
        let octets = message.to_bytes();
        self.send(octets.clone());
        self.repeated.push(Repeated { key: branch, octets, next: now + T1, wait: T1, tries: 0 });
        if method == "INVITE" && self.invite.is_none() {
            self.invite = Some(message);
        }
        self.sequence
    }

    fn reinvite(&mut self, now: Instant, sdp: Option<String>) {
        let body = sdp.as_deref().map(|name| self.describe(name)).unwrap_or_default();
        let headers = if self.invite.is_none() { self.case.headers.clone() } else { Vec::new() };
        let sequence = self.ask(now, "INVITE", |mut message| {
            message.headers.extend(headers);
            message.body = body;
            message.with("Allow", "INVITE, ACK, BYE, CANCEL, OPTIONS, UPDATE, PRACK")
        });
        self.offering = Some((sequence, sdp));
    }

    fn bye(&mut self, now: Instant) {
        if self.over.is_none() && self.up.is_some() {
            self.ask(now, "BYE", |m| m);
            self.media.hung_up(now);
            self.end(now);
        }
    }

    fn end(&mut self, now: Instant) {
        self.over.get_or_insert(now);
        self.media.stop();
        self.doing.clear();
    }

    fn respond(&mut self, now: Instant, request: &Message, message: Message) {
        let octets = message.to_bytes();
        let key = transaction(request);
        if let Some((_, last)) = self.answered.iter_mut().find(|(k, _)| *k == key) {
            *last = Some(octets.clone());
        }
        let success = message.code().is_some_and(|c| (200..300).contains(&c));
        if success && request.method() == "INVITE" {
            let key = format!("ACK {}", request.sequence());
            self.repeated.push(Repeated { key, octets: octets.clone(), next: now + T1, wait: T1, tries: 0 });
        }
        self.send(octets);
    }

    // --- receiving ---

    pub(crate) fn receive(&mut self, now: Instant, datagram: &Datagram) {
        if datagram.to.port() != self.sip.port() {
            return self.media.receive(now, datagram);
        }
        let Some(message) = Message::parse(&datagram.octets) else {
            return;
        };
        self.product = datagram.from;
        self.heard.push(message.clone());
        match message.code() {
            Some(code) => self.response(now, code, &message),
            None => self.requested(now, message),
        }
    }

    fn requested(&mut self, now: Instant, message: Message) {
        let key = transaction(&message);
        if let Some((_, last)) = self.answered.iter().find(|(k, _)| *k == key) {
            if let Some(last) = last.clone() {
                self.send(last);
            }
            return;
        }
        let method = message.method().to_owned();
        if method == "ACK" {
            return self.acknowledged(now, &message);
        }
        self.answered.push((key, None));
        let tag = parameter(message.get("To"), "tag");
        if !tag.is_empty() && tag != self.tag {
            // Of the other branch of a fork.
            self.byes += u32::from(method == "BYE");
            let ok = message.answer(200, "OK", &tag);
            return self.respond(now, &message, ok);
        }
        let has_image = Sdp::read(&message.body).image.is_some();
        match method.as_str() {
            "INVITE" if tag.is_empty() => {
                self.call_id = message.get("Call-ID").to_owned();
                self.remote_tag = parameter(message.get("From"), "tag");
                self.target = uri(message.get("Contact"));
                self.invite = Some(message.clone());
                self.trigger(now, Trigger::Request(Method::Invite), Some(message));
            }
            "INVITE" | "UPDATE" => {
                let trigger = Trigger::Request(Method::Reinvite(Some(has_image)));
                self.trigger(now, trigger, Some(message));
            }
            "BYE" => {
                self.byes += 1;
                let ok = message.answer(200, "OK", &self.tag);
                self.respond(now, &message, ok);
                self.trigger(now, Trigger::Request(Method::Bye), None);
                self.media.hung_up(now);
                self.end(now);
            }
            "CANCEL" => {
                let ok = message.answer(200, "OK", &self.tag);
                self.respond(now, &message, ok);
                self.trigger(now, Trigger::Request(Method::Cancel), None);
                if let Some(invite) = self.invite.clone().filter(|_| self.up.is_none()) {
                    let gone = invite.answer(487, "Request Terminated", &self.tag);
                    self.respond(now, &invite, gone);
                    self.end(now);
                }
            }
            _ => {
                let ok = message.answer(200, "OK", &self.tag);
                self.respond(now, &message, ok);
            }
        }
    }

    fn acknowledged(&mut self, now: Instant, ack: &Message) {
        let key = format!("ACK {}", ack.sequence());
        if parameter(ack.get("To"), "tag") != self.tag {
            return;
        }
        let count = self.repeated.len();
        self.repeated.retain(|r| r.key != key);
        if count == self.repeated.len() {
            return; // of a refusal, or once more
        }
        if let Some(ours) = self.awaiting.take().filter(|_| !ack.body.is_empty()) {
            self.media.agree(now, &Sdp::read(&ours), &Sdp::read(&ack.body));
        }
        self.established(now);
        self.trigger(now, Trigger::Request(Method::Ack), None);
    }

    fn established(&mut self, now: Instant) {
        if self.up.is_none() {
            self.up = Some(now);
            self.media.begin(now);
        }
    }

    fn response(&mut self, now: Instant, code: u16, message: &Message) {
        let branch = message.branch();
        let method = message.method().to_owned();
        if code >= 200 || method == "INVITE" {
            self.repeated.retain(|r| r.key != branch);
        }
        if method == "UPDATE" && (200..300).contains(&code) {
            let ours = Sdp::read(&self.last.clone());
            self.media.agree(now, &ours, &Sdp::read(&message.body));
        }
        if method != "INVITE" {
            return;
        }
        if code < 200 {
            if message.get("Require").contains("100rel") {
                let rack = format!("{} {}", message.get("RSeq"), message.get("CSeq"));
                self.remote_tag = parameter(message.get("To"), "tag");
                self.ask(now, "PRACK", |m| m.with("RAck", rack));
            }
            return;
        }
        let sequence = message.sequence();
        let success = code < 300;
        if success {
            self.remote_tag = parameter(message.get("To"), "tag");
            self.target = uri(message.get("Contact"));
        }
        let ours = self.offering.take_if(|(number, _)| *number == sequence);
        let late = success && matches!(ours, Some((_, None)));
        let theirs = Sdp::read(&message.body);
        let mut answer = String::new();
        if late {
            let name = if theirs.image.is_some() { "image" } else { "audio" };
            answer = self.describe(name);
            self.media.agree(now, &Sdp::read(&answer), &theirs);
        }
        self.branch += u32::from(success);
        let branch = if success { format!("z9hG4bKpeer{}", self.branch) } else { branch };
        let mut ack = self.request("ACK", sequence, &branch);
        if let (true, Some(line)) = (!success, ack.headers.iter_mut().find(|(n, _)| n == "To")) {
            message.get("To").clone_into(&mut line.1);
        }
        ack.body = answer;
        let octets = ack.to_bytes();
        self.send(octets);
        let Some((_, name)) = ours else {
            return; // once more
        };
        if success && !late {
            self.media.agree(now, &Sdp::read(&self.last.clone()), &theirs);
        }
        if self.up.is_none() {
            if !success {
                return self.end(now);
            }
            return self.established(now);
        }
        if code == 491 {
            // RFC 3261 §14.1: who made the Call-ID waits longer.
            let wait = Duration::from_millis(if self.calls() { 2_500 } else { 1_000 });
            let again = Action::Reinvite(name);
            self.doing.push(Doing { at: now + wait, request: None, actions: VecDeque::from([again]) });
        }
        self.trigger(now, Trigger::Answered(success), None);
    }

    // --- time ---

    pub(crate) fn deadline(&self) -> Option<Instant> {
        let doing = self.doing.iter().map(|d| d.at).min();
        let repeated = self.repeated.iter().map(|r| r.next).min();
        let rules = self.next_rule();
        let offer = self.offer_at();
        let linger = self.linger();
        [doing, repeated, rules, offer, linger, self.media.deadline()].into_iter().fold(None, earliest)
    }

    fn next_rule(&self) -> Option<Instant> {
        let up = self.up.filter(|_| self.over.is_none())?;
        let times = self.rules.iter().filter_map(|r| match r.trigger {
            Trigger::At(time) => Some(up + time),
            _ => None,
        });
        times.min()
    }

    fn offer_at(&self) -> Option<Instant> {
        let waits = !self.case.passive && !self.calls() && self.over.is_none();
        let idle = self.media.carrier == Carrier::Audio && self.offering.is_none();
        self.up.filter(|_| waits && idle).map(|up| up + OFFERS)
    }

    fn linger(&self) -> Option<Instant> {
        let (at, _) = self.media.outcome.as_ref().filter(|_| self.over.is_none() && self.up.is_some())?;
        Some(*at + LINGER)
    }

    pub(crate) fn turn(&mut self, now: Instant) {
        self.media.turn(now);
        while let Some(told) = self.media.told.pop_front() {
            let trigger = match told {
                Told::Heard(tone) => Trigger::Heard(tone),
                Told::Phase(phase) => Trigger::Phase(phase),
            };
            self.trigger(now, trigger, None);
        }
        if let Some(up) = self.up.filter(|_| self.over.is_none()) {
            let due = |r: &Rule| matches!(r.trigger, Trigger::At(time) if up + time <= now);
            while let Some(at) = self.rules.iter().position(due) {
                let actions = self.rules.remove(at).actions.into();
                self.doing.push(Doing { at: now, request: None, actions });
            }
        }
        self.go_on(now);
        if self.offer_at().is_some_and(|at| at <= now) {
            self.case.passive = true;
            self.reinvite(now, Some("image".to_owned()));
        }
        if self.linger().is_some_and(|at| at <= now) {
            self.bye(now);
        }
        let mut again = Vec::new();
        self.repeated.retain_mut(|r| {
            if r.next <= now {
                again.push(r.octets.clone());
                r.wait = (r.wait * 2).min(T2);
                r.next = now + r.wait;
                r.tries += 1;
            }
            r.tries < 8
        });
        for octets in again {
            self.send(octets);
        }
        self.sent.extend(self.media.sent.drain(..));
    }
}

fn transaction(request: &Message) -> String {
    format!("{} {}", request.branch(), request.method())
}
