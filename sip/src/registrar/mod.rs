//! A registrar for terminals of one's own: who is where, for how long, by what way (RFC 3261 §10.3; RFC 3327 for Path; RFC 5626 §6 for several flows).
//!
//! A machine of its own: the user agent passes REGISTER to the service ([`crate::Event::Asked`]), the service has the
//! sender prove who it is, gives the request to [`Registrar::register`] under the address of record it may use, and
//! answers with what comes back.

mod binding;

pub use binding::{Binding, Flow};

use std::collections::{BTreeMap, BTreeSet};

use fax_base::Instant;
use fax_base::time::Duration;

use crate::message::{Message, NameAddr, text};
use binding::{Wanted, wanted};

/// What a registrar grants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct RegistrarConfig {
    /// The shortest time granted; less is refused with 423. At most an hour (§10.3).
    pub min_expires: Duration,
    /// The longest time granted; more becomes this.
    pub max_expires: Duration,
    /// Where a terminal asks for no time.
    pub default_expires: Duration,
    /// Bindings of one address of record; 403 beyond.
    pub max_contacts: usize,
    /// Bindings in all; 503 beyond.
    pub max_bindings: usize,
}

impl Default for RegistrarConfig {
    fn default() -> Self {
        RegistrarConfig {
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(7_200),
            default_expires: Duration::from_secs(3_600),
            max_contacts: 10,
            max_bindings: 100_000,
        }
    }
}

/// What to answer a REGISTER with ([`crate::Command::Respond`]).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct RegisterAnswer {
    /// The status code.
    pub code: u16,
    /// The reason phrase; empty: the standard's.
    pub reason: &'static str,
    /// The headers that go with it.
    pub headers: Vec<(String, String)>,
}

impl RegisterAnswer {
    fn refusal(code: u16, reason: &'static str) -> RegisterAnswer {
        RegisterAnswer { code, reason, headers: Vec::new() }
    }
}

/// All bindings of a set of addresses of record.
#[derive(Debug, Default)]
pub struct Registrar {
    config: RegistrarConfig,
    bindings: BTreeMap<String, Vec<Binding>>,
    /// When bindings run out, and whose.
    ends: BTreeSet<(Instant, String)>,
    count: usize,
}

impl Registrar {
    /// A registrar without bindings.
    #[must_use]
    pub fn new(config: RegistrarConfig) -> Registrar {
        Registrar { config, ..Registrar::default() }
    }

    /// Takes in a REGISTER for the address of record `aor`, which its sender has been shown to own (§10.3, items 6 to 8).
    /// All of it is done, or nothing.
    pub fn register(&mut self, now: Instant, aor: &str, request: &Message, flow: Flow) -> RegisterAnswer {
        self.register_up_to(now, aor, request, flow, self.config.max_contacts)
    }

    /// The same for an address of record with a limit of contacts of its own.
    pub fn register_up_to(
        &mut self,
        now: Instant,
        aor: &str,
        request: &Message,
        flow: Flow,
        max_contacts: usize,
    ) -> RegisterAnswer {
        self.expire(now);
        let known = |t: &String| ["path", "outbound"].iter().any(|k| t.eq_ignore_ascii_case(k));
        let unknown: Vec<String> = request.tokens("Require").into_iter().filter(|t| !known(t)).collect();
        if !unknown.is_empty() {
            let headers = vec![(String::from("Unsupported"), unknown.join(", "))];
            return RegisterAnswer { code: 420, reason: "", headers };
        }
        let mut list = self.bindings.get(aor).cloned().unwrap_or_default();
        let before = list.len();
        let changed = match wanted(now, request, flow, &self.config) {
            Wanted::Nothing => Ok(()),
            Wanted::RemoveAll(call_id, cseq) => {
                let old = list.iter().any(|b| b.call_id == call_id && b.cseq >= cseq);
                list.clear();
                if old { Err(RegisterAnswer::refusal(500, "CSeq Out Of Order")) } else { Ok(()) }
            }
            Wanted::TooBrief => Err(RegisterAnswer {
                code: 423,
                reason: "",
                headers: vec![(String::from("Min-Expires"), self.config.min_expires.as_secs().to_string())],
            }),
            Wanted::Malformed(reason) => Err(RegisterAnswer::refusal(400, reason)),
            Wanted::Bindings(new) => new.into_iter().try_for_each(|binding| enter(now, &mut list, binding)),
        };
        if let Err(refusal) = changed {
            return refusal;
        }
        if list.len() > max_contacts {
            return RegisterAnswer::refusal(403, "Too Many Contacts");
        }
        let count = self.count - before + list.len();
        if count > self.config.max_bindings && list.len() > before {
            return RegisterAnswer::refusal(503, "");
        }
        self.count = count;
        let answer = granted(now, request, &list);
        for binding in self.bindings.get(aor).into_iter().flatten() {
            self.ends.remove(&(binding.until, aor.to_owned()));
        }
        self.ends.extend(list.iter().map(|b| (b.until, aor.to_owned())));
        if list.is_empty() {
            self.bindings.remove(aor);
        } else {
            self.bindings.insert(aor.to_owned(), list);
        }
        answer
    }

    /// Where `aor` is, the most wanted place first, the newest before older ones.
    #[must_use]
    pub fn places(&self, now: Instant, aor: &str) -> Vec<&Binding> {
        let list = self.bindings.get(aor).map_or(&[][..], Vec::as_slice);
        let mut places: Vec<&Binding> = list.iter().filter(|b| b.until > now).collect();
        places.sort_by_key(|b| (core::cmp::Reverse(b.preference), core::cmp::Reverse(b.since)));
        places
    }

    /// The address of record that registered over this flow: whose calls come over it.
    #[must_use]
    pub fn owner(&self, now: Instant, flow: &Flow) -> Option<&str> {
        let mut all = self.bindings.iter();
        all.find(|(_, list)| list.iter().any(|b| b.flow == *flow && b.until > now))
            .map(|(aor, _)| aor.as_str())
    }

    /// Forgets what has run out; says whose.
    pub fn expire(&mut self, now: Instant) -> Vec<(String, Binding)> {
        let mut out = Vec::new();
        while self.deadline().is_some_and(|until| until <= now) {
            let Some((_, aor)) = self.ends.pop_first() else {
                break;
            };
            self.take_out(&aor, |b| b.until <= now, &mut out);
        }
        out
    }

    /// Grants by another configuration from now on; what is granted stays.
    pub fn reconfigure(&mut self, config: RegistrarConfig) {
        self.config = config;
    }

    /// A stream has been closed: nobody can be reached over it any more (RFC 5626 §5.3).
    pub fn flow_lost(&mut self, flow: &Flow) -> Vec<(String, Binding)> {
        let mut out = Vec::new();
        while let Some(aor) = self.owner(Instant::ZERO, flow).filter(|_| flow.transport.reliable()) {
            let aor = aor.to_owned();
            out.extend(self.remove(&aor, |b| b.flow == *flow));
        }
        out
    }

    /// Takes out bindings of an address of record: nobody answers there, or it may not be there any more.
    pub fn remove(&mut self, aor: &str, gone: impl Fn(&Binding) -> bool) -> Vec<(String, Binding)> {
        let mut out = Vec::new();
        self.take_out(aor, gone, &mut out);
        for (aor, binding) in &out {
            let shared = self.bindings.get(aor).is_some_and(|l| l.iter().any(|b| b.until == binding.until));
            if !shared {
                self.ends.remove(&(binding.until, aor.clone()));
            }
        }
        out
    }

    /// When [`Registrar::expire`] has something to do.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.ends.first().map(|(until, _)| *until)
    }

    /// Every flow that somebody registered over.
    pub fn flows(&self) -> impl Iterator<Item = Flow> + '_ {
        self.bindings.values().flatten().map(|b| b.flow)
    }

    /// How many bindings there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.count
    }

    /// Whether nobody is registered.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    fn take_out(&mut self, aor: &str, gone: impl Fn(&Binding) -> bool, out: &mut Vec<(String, Binding)>) {
        let Some(list) = self.bindings.get_mut(aor) else {
            return;
        };
        let (left, kept): (Vec<Binding>, Vec<Binding>) = list.drain(..).partition(gone);
        *list = kept;
        if list.is_empty() {
            self.bindings.remove(aor);
        }
        self.count -= left.len();
        out.extend(left.into_iter().map(|b| (aor.to_owned(), b)));
    }
}

/// Puts one binding in the place of its older self, or takes that away (§10.3 item 7).
fn enter(now: Instant, list: &mut Vec<Binding>, binding: Binding) -> Result<(), RegisterAnswer> {
    let place = list.iter().position(|b| b.is_same_place(&binding));
    let old = place.and_then(|i| list.get(i));
    if old.is_some_and(|old| old.call_id == binding.call_id && old.cseq >= binding.cseq) {
        return Err(RegisterAnswer::refusal(500, "CSeq Out Of Order"));
    }
    if let Some(place) = place {
        list.remove(place);
    }
    if binding.until > now {
        list.push(binding);
    }
    Ok(())
}

/// 200 with all bindings and the time that is left to each (§10.3 item 8).
fn granted(now: Instant, request: &Message, list: &[Binding]) -> RegisterAnswer {
    let mut headers: Vec<(String, String)> = list
        .iter()
        .map(|b| {
            let seconds = b.until.since(now).as_micros().div_ceil(1_000_000);
            let mut value = format!("<{}>;expires={seconds}", b.uri);
            if b.preference < 1_000 {
                value.push_str(&format!(";q=0.{:03}", b.preference));
            }
            if let (Some(instance), Some(reg_id)) = (&b.instance, b.reg_id) {
                value.push_str(&format!(";+sip.instance=\"{instance}\";reg-id={reg_id}"));
            }
            (String::from("Contact"), value)
        })
        .collect();
    // RFC 3327 §5.3: the terminal learns the way it is reached by.
    let path: Vec<NameAddr> = request.addresses("Path");
    headers.extend(path.iter().map(|p| (String::from("Path"), text(p.as_bytes()))));
    if list.iter().any(|b| b.reg_id.is_some() && b.call_id == request.call_id()) {
        headers.push((String::from("Require"), String::from("outbound")));
    }
    RegisterAnswer { code: 200, reason: "", headers }
}
