//! What the rules make the far end do, and what it does without them.

use super::{Doing, Peer};
use crate::message::{Message, parameter};
use crate::script::{Action, Method, Rule, Trigger};
use crate::sdp::Sdp;
use fax_base::Instant;
use fax_base::time::Duration;

impl Peer {
    pub(super) fn trigger(&mut self, now: Instant, trigger: Trigger, request: Option<Message>) {
        let same = |rule: &Rule| match (rule.trigger, trigger) {
            (Trigger::Request(Method::Reinvite(None)), Trigger::Request(Method::Reinvite(_))) => true,
            (a, b) => a == b,
        };
        let actions = match self.rules.iter().position(same) {
            Some(at) if self.rules[at].once => self.rules.remove(at).actions,
            Some(at) => self.rules[at].actions.clone(),
            None => usual(trigger),
        };
        self.doing.push(Doing { at: now, request, actions: actions.into() });
        self.go_on(now);
    }

    pub(super) fn go_on(&mut self, now: Instant) {
        while let Some(at) = self.doing.iter().position(|d| d.at <= now) {
            let mut doing = self.doing.remove(at);
            while let Some(action) = doing.actions.pop_front() {
                if let Action::Wait(time) = action {
                    doing.at = now + time;
                    self.doing.push(doing);
                    break;
                }
                self.act(now, action, doing.request.as_ref());
            }
        }
    }

    fn act(&mut self, now: Instant, action: Action, request: Option<&Message>) {
        match action {
            Action::Answer { code, sdp, reliable, headers } => {
                if let Some(request) = request {
                    self.answer(now, request, code, sdp.as_deref(), reliable, headers);
                }
            }
            Action::Ignore | Action::Wait(_) => {}
            Action::Reinvite(sdp) => {
                if self.over.is_none() {
                    self.reinvite(now, sdp);
                }
            }
            Action::Update(sdp) => {
                let body = self.describe(&sdp);
                self.ask(now, "UPDATE", |mut m| {
                    m.body = body;
                    m
                });
            }
            Action::Bye => self.bye(now),
            Action::Cancel => {
                if let Some(invite) = self.invite.clone() {
                    let mut cancel = self.request("CANCEL", invite.sequence(), &invite.branch());
                    cancel.headers.retain(|(name, _)| name != "To");
                    let octets = cancel.with("To", invite.get("To")).to_bytes();
                    self.send(octets);
                }
            }
            Action::Mute(muted) => self.media.muted = muted,
            Action::Carrier { t38: true } => {
                if let Some(line) = request.and_then(|r| Sdp::read(&r.body).image) {
                    self.media.image.remote = line.at;
                }
                self.media.switch_to_t38(now, fax_t38::Config::default());
            }
            Action::Carrier { t38: false } => self.media.switch_to_audio(now),
            Action::Port { image, port } => {
                let place = if image { &mut self.media.image } else { &mut self.media.audio };
                (place.port, place.source) = (port, port);
            }
            Action::Source { image, port } => {
                let place = if image { &mut self.media.image } else { &mut self.media.audio };
                place.source = port;
            }
            Action::Host(host) => {
                if let Ok(ip) = host.parse() {
                    self.media.ip = ip;
                }
            }
            Action::KeepRtp => self.media.keep_rtp = true,
            Action::Fork(sdp) => {
                if let Some(request) = request {
                    let body = self.describe(&sdp);
                    let mut ok = request.answer(200, "OK", "other-branch");
                    ok.headers.push(("Contact".to_owned(), format!("<sip:other@{}>", self.sip)));
                    ok.body = body;
                    self.send(ok.to_bytes());
                }
            }
        }
    }

    fn answer(
        &mut self,
        now: Instant,
        request: &Message,
        code: u16,
        sdp: Option<&str>,
        reliable: bool,
        headers: Vec<(String, String)>,
    ) {
        if self.over.is_some() {
            return;
        }
        let first = parameter(request.get("To"), "tag").is_empty();
        let mut message = request.answer(code, reason(code), &self.tag);
        message.headers.push(("Contact".to_owned(), format!("<sip:peer@{}>", self.sip)));
        message.headers.extend(headers);
        if reliable {
            message.headers.push(("Require".to_owned(), "100rel".to_owned()));
            message.headers.push(("RSeq".to_owned(), "1".to_owned()));
        }
        if let Some(name) = sdp {
            message.body = self.describe(name);
        }
        let body = message.body.clone();
        self.respond(now, request, message);
        if !(200..300).contains(&code) {
            if first && code >= 300 {
                self.end(now);
            }
            return;
        }
        let theirs = Sdp::read(&request.body);
        if request.body.is_empty() {
            self.awaiting = Some(body);
        } else if !body.is_empty() {
            self.media.agree(now, &Sdp::read(&body), &theirs);
        }
    }
}

/// What a good peer does.
fn usual(trigger: Trigger) -> Vec<Action> {
    let answer = |code, sdp: Option<&str>| Action::Answer {
        code,
        sdp: sdp.map(str::to_owned),
        reliable: false,
        headers: Vec::new(),
    };
    match trigger {
        Trigger::Request(Method::Invite) => {
            let wait = Action::Wait(Duration::from_millis(100));
            vec![answer(180, None), wait, answer(200, Some("audio"))]
        }
        Trigger::Request(Method::Reinvite(image)) => {
            let name = if image == Some(true) { "image" } else { "audio" };
            vec![answer(200, Some(name))]
        }
        _ => Vec::new(),
    }
}

fn reason(code: u16) -> &'static str {
    match code {
        180 => "Ringing",
        183 => "Session Progress",
        200 => "OK",
        488 => "Not Acceptable Here",
        491 => "Request Pending",
        _ => "Said So",
    }
}
