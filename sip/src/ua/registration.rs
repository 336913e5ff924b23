//! Registrations kept up: challenges, renewal, back-off (RFC 3261 §10.2, RFC 5626 §4.5).

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::UserAgent;
use super::client::redirections;
use super::requests::contact_value;
use super::schedule::{Due, TxId};
use super::transactions::Owner;
use crate::api::{Attempt, Event, Redirection, RegKey, Register, Target};
use crate::dialog::Flow;
use crate::digest::Authentication;
use crate::message::{Builder, Message, Method, NameAddr, Uri, number, text};

/// Back-off after the first failure, doubled with each.
const BACK_OFF: Duration = Duration::from_secs(30);
/// … up to this.
const BACK_OFF_MAX: Duration = Duration::from_secs(1_800);

/// One registration.
pub(crate) struct Registration {
    register: Register,
    authentication: Authentication,
    call_id: String,
    tag: String,
    cseq: u32,
    /// What is asked for, raised by 423.
    seconds: u32,
    /// The transaction whose answer counts.
    tx: TxId,
    failures: u32,
    /// It shall end.
    ending: bool,
}

impl UserAgent {
    pub(crate) fn register(&mut self, now: Instant, register: Register) {
        let key = register.registration;
        let seconds = u32::try_from(register.expires.as_secs()).unwrap_or(u32::MAX).max(1);
        let good = Uri::read(Bytes::from(register.request_uri.clone())).is_some()
            && Uri::read(Bytes::from(register.aor.clone())).is_some();
        if !good {
            let reason = String::from("no URI");
            return self.event(Event::RegistrationFailed {
                registration: key,
                code: 400,
                reason,
                retry_after: None,
                contacts: Vec::new(),
            });
        }
        let (call_id, tag) = match self.registrations.get(&key) {
            // The same binding goes on with the same Call-ID (§10.2).
            Some(old) => (old.call_id.clone(), old.tag.clone()),
            None => (self.random_token(16), self.random_token(8)),
        };
        let cseq = self.registrations.get(&key).map_or(0, |r| r.cseq);
        let authentication = Authentication::new(register.credentials.clone());
        let entry = Registration {
            register,
            authentication,
            call_id,
            tag,
            cseq,
            seconds,
            tx: 0,
            failures: 0,
            ending: false,
        };
        self.registrations.insert(key, entry);
        self.send_register(now, key);
    }

    pub(crate) fn unregister(&mut self, now: Instant, key: RegKey) {
        self.schedule.clear(Due::Registration(key));
        match self.registrations.get_mut(&key) {
            Some(entry) => {
                entry.ending = true;
                self.send_register(now, key);
            }
            None => self.event(Event::Unregistered { registration: key }),
        }
    }

    pub(crate) fn registration_due(&mut self, now: Instant, key: RegKey) {
        if let Some(entry) = self.registrations.get_mut(&key) {
            entry.authentication.succeeded();
            self.send_register(now, key);
        }
    }

    fn send_register(&mut self, now: Instant, key: RegKey) {
        let cnonce = self.random_token(8);
        let Some(entry) = self.registrations.get(&key) else {
            return;
        };
        let (transport, contact) = (entry.register.transport, entry.register.contact);
        let via = self.new_via(transport, contact);
        let Some(entry) = self.registrations.get_mut(&key) else {
            return;
        };
        let register = &entry.register;
        let (Some(uri), Some(aor)) = (
            Uri::read(Bytes::from(register.request_uri.clone())),
            Uri::read(Bytes::from(register.aor.clone())),
        ) else {
            return;
        };
        entry.cseq = entry.cseq.saturating_add(1);
        let seconds = if entry.ending { 0 } else { entry.seconds };
        let credentials = entry.authentication.authorize("REGISTER", &register.request_uri, &cnonce);
        let mut builder = Builder::request(Method::Register, uri)
            .header("Via", via)
            .header("Max-Forwards", "70")
            .header("From", format!("<{}>;tag={}", register.aor, entry.tag))
            .header("To", format!("<{}>", register.aor))
            .header("Call-ID", &entry.call_id)
            .header("CSeq", format!("{} REGISTER", entry.cseq))
            .header("Contact", binding(register, aor.raw_user()))
            .header("Expires", seconds.to_string())
            .header("Allow", super::ALLOW)
            .header("Supported", if register.outbound.is_some() { "path, outbound" } else { "path" })
            .headers(&register.headers);
        for (name, value) in credentials {
            builder = builder.header(name, value);
        }
        let flow = Flow { transport, local: None, contact, remote: register.registrar };
        let request = self.sign(builder, "User-Agent").finish();
        if !self.has_room() {
            return self.registration_failed(now, key, 503, "too many transactions", None, Vec::new());
        }
        let id = self.start_client(now, request, &flow, flow.remote, Owner::Register(key));
        if let Some(entry) = self.registrations.get_mut(&key) {
            entry.tx = id;
        }
        self.watch(now, Attempt::Registration(key), id);
    }

    pub(crate) fn register_response(
        &mut self,
        now: Instant,
        id: TxId,
        key: RegKey,
        code: u16,
        response: &Message,
    ) {
        let fraction = 50 + self.random_below(31);
        let Some(entry) = self.registrations.get_mut(&key).filter(|e| e.tx == id) else {
            return;
        };
        match code {
            0..=199 => {}
            200..=299 if entry.ending => {
                self.registrations.remove(&key);
                self.event(Event::Unregistered { registration: key });
            }
            200..=299 => {
                entry.authentication.succeeded();
                entry.failures = 0;
                let seconds = granted(response, entry).unwrap_or(entry.seconds).max(1);
                let expires = Duration::from_secs(u64::from(seconds));
                // Between 50 and 80 % of the interval, not at the same moment as everybody else.
                let wait = Duration::from_millis(u64::from(seconds).saturating_mul(10 * fraction));
                self.schedule.set(Due::Registration(key), now + wait);
                let routes = response.addresses("Service-Route");
                let service_route = routes.iter().map(|r| text(r.as_bytes())).collect();
                let (transport, remote) = (entry.register.transport, entry.register.registrar);
                self.arrived(Attempt::Registration(key));
                self.event(Event::Registered {
                    registration: key,
                    expires,
                    service_route,
                    transport,
                    remote,
                    seen: response.top_via().and_then(|via| via.seen_as()),
                    outbound: response.has_token("Require", "outbound"),
                });
            }
            401 | 407 => {
                if entry.authentication.challenged(response) {
                    self.send_register(now, key);
                } else {
                    self.registration_failed(now, key, code, &response.reason(), None, Vec::new());
                }
            }
            423 => match response.seconds("Min-Expires").filter(|m| *m > entry.seconds && *m < 1 << 24) {
                Some(min) => {
                    entry.seconds = min;
                    self.send_register(now, key);
                }
                None => self.registration_failed(now, key, code, &response.reason(), None, Vec::new()),
            },
            _ => {
                let contacts = if code < 400 { redirections(response) } else { Vec::new() };
                let (reason, retry_after) = (response.reason(), response.retry_after());
                self.registration_failed(now, key, code, &reason, retry_after, contacts);
            }
        }
    }

    /// The transaction whose answer counts.
    pub(crate) fn registration_tx(&self, key: RegKey) -> Option<TxId> {
        self.registrations.get(&key).map(|r| r.tx)
    }

    /// Where a registration is tried now.
    pub(crate) fn registration_target(&self, key: RegKey) -> Option<Target> {
        let register = &self.registrations.get(&key).filter(|r| !r.ending)?.register;
        let (transport, remote, contact) = (register.transport, register.registrar, register.contact);
        Some(Target { transport, remote, contact })
    }

    /// Tries a registration elsewhere.
    pub(crate) fn register_at(&mut self, now: Instant, key: RegKey, target: Target) {
        if let Some(entry) = self.registrations.get_mut(&key) {
            entry.register.transport = target.transport;
            entry.register.registrar = target.remote;
            entry.register.contact = target.contact;
            // Whoever is there asks anew.
            entry.authentication.succeeded();
            self.send_register(now, key);
        }
    }

    /// It did not work: again after a while, longer each time; refusals of who we are wait longest.
    pub(crate) fn registration_failed(
        &mut self,
        now: Instant,
        key: RegKey,
        code: u16,
        reason: &str,
        retry_after: Option<Duration>,
        contacts: Vec<Redirection>,
    ) {
        let percent = u32::try_from(50 + self.random_below(51)).unwrap_or(100);
        let Some(entry) = self.registrations.get_mut(&key) else {
            return;
        };
        if entry.ending {
            self.registrations.remove(&key);
            return self.event(Event::Unregistered { registration: key });
        }
        if matches!(code, 408 | 503) && self.register_elsewhere(now, key, code, retry_after) {
            return;
        }
        let Some(entry) = self.registrations.get_mut(&key) else {
            return;
        };
        entry.failures = entry.failures.saturating_add(1);
        let refused = matches!(code, 401 | 403 | 404 | 407);
        let base = if refused { Duration::from_secs(300) } else { BACK_OFF };
        let wait = base.saturating_mul(1 << (entry.failures - 1).min(6)).min(BACK_OFF_MAX) * percent / 100;
        let wait = wait.max(retry_after.unwrap_or_default().min(Duration::from_secs(86_400)));
        self.schedule.set(Due::Registration(key), now + wait);
        let reason = reason.to_owned();
        let retry_after = Some(wait);
        self.event(Event::RegistrationFailed { registration: key, code, reason, retry_after, contacts });
    }
}

/// The Contact that is registered.
fn binding(register: &Register, user: Option<Bytes>) -> String {
    let mut value = contact_value(user, register.contact, register.transport);
    if let Some(outbound) = &register.outbound {
        let instance: String =
            outbound.instance.chars().filter(|c| !c.is_control() && !"\"<>\\".contains(*c)).collect();
        value.push_str(&format!(";+sip.instance=\"<{instance}>\";reg-id={}", outbound.reg_id));
    }
    value
}

/// What the registrar grants our Contact: its `expires`, else Expires (§10.2.4).
fn granted(response: &Message, entry: &Registration) -> Option<u32> {
    let ours = entry.register.contact;
    let contacts: Vec<NameAddr> =
        response.all("Contact").filter_map(|h| NameAddr::read_list(h.value())).flatten().collect();
    let mine = contacts.iter().find(|c| c.uri().address() == Some(ours));
    let single = (contacts.len() == 1).then(|| contacts.first()).flatten();
    let named = mine.or(single).and_then(|c| c.params().get("expires")).and_then(|e| number(&e));
    named.and_then(|n| u32::try_from(n).ok()).or_else(|| response.seconds("Expires"))
}
