//! Where a call is passed on to, place by place, and what it says there of who calls and who diverted it.

use super::super::calls::fax_preference;
use super::super::driver::Driver;
use super::super::peers::Peer;
use super::super::registrations::credentials;
use super::super::security::{self, IN_CLEAR, Security};
use super::super::terminals::Caller;
use super::Held;
use crate::local::{OnwardT38, Ringing};
use crate::onward::{Onward, OnwardCaller, OnwardTarget};
use crate::trunk::SrtpPolicy;
use bytes::Bytes;
use fax_base::time::Duration;
use fax_sip as sip;

/// The hops that a request without Max-Forwards has left (RFC 3261 §8.1.1.6).
pub(super) const HOPS: u32 = 70;

/// How a call went out: trunk, number, caller, hops.
pub(super) type Sent = (String, String, String, u32);

/// One place that a call is passed on to.
pub(in crate::signalling) struct Way {
    pub(super) target: sip::Target,
    pub(super) others: Vec<sip::Target>,
    request_uri: String,
    from: String,
    to: String,
    headers: Vec<(String, String)>,
    credentials: Option<sip::Credentials>,
    ring_timeout: Duration,
    reply_within: Duration,
    /// The trunk; `None`: it is a terminal.
    pub(in crate::signalling) peer: Option<u64>,
    pub(super) security: Security,
}

impl Way {
    /// The INVITE that goes there.
    pub(super) fn invite(&self, call: sip::CallKey, offer: Bytes) -> sip::Invite {
        sip::Invite {
            call,
            transport: self.target.transport,
            destination: self.target.remote,
            contact: self.target.contact,
            request_uri: self.request_uri.clone(),
            from: self.from.clone(),
            to: self.to.clone(),
            headers: self.headers.clone(),
            credentials: self.credentials.clone(),
            offer,
            ring_timeout: self.ring_timeout,
            reply_within: self.reply_within,
        }
    }
}

impl Driver {
    /// The places of a target, in groups that are called one after the other.
    #[allow(clippy::type_complexity)]
    pub(super) fn ways_to(
        &self,
        target: &OnwardTarget,
        onward: &Onward,
        held: &Held,
        sent: &mut Vec<Sent>,
    ) -> (Vec<Vec<(Way, Option<crate::trunk::Trunk>)>>, OnwardT38, bool) {
        match target {
            OnwardTarget::Trunk { name, number, caller } => {
                let Some(peer) = self.peers.iter().find(|p| p.trunk.name == *name) else {
                    return (Vec::new(), OnwardT38::Pass, true);
                };
                let policy = peer.trunk.t38_onward;
                let hops = hops_left(&held.incoming);
                let shown = caller.as_ref().map_or(&onward.from, |c| &c.number);
                sent.push((name.clone(), number.clone(), shown.clone(), hops));
                let way = self.way_by_trunk(peer, number, onward, caller.as_ref(), held);
                let groups = way.map(|way| vec![vec![(way, Some(peer.trunk.clone()))]]);
                (groups.unwrap_or_default(), policy, false)
            }
            OnwardTarget::Terminal { user } => {
                let now = self.now();
                let terminal = self.terminals.get(user);
                let usual = (Duration::from_secs(60), Duration::from_secs(5));
                let times = terminal.map_or(usual, |t| (t.ring_timeout, t.reply_within));
                let mut places = self.terminals.registrar.places(now, user);
                let dead = |f: &sip::registrar::Flow| self.hops.dead.is_dead(now, &(f.transport, f.remote));
                places.sort_by_key(|b| dead(&b.flow));
                let srtp = terminal.map(|t| t.srtp).unwrap_or_default();
                let way = |b: &&_| Some((self.way_to_terminal(user, b, onward, held, times, srtp)?, None));
                let ways = places.iter().filter_map(way);
                let in_order = terminal.is_some_and(|t| t.ringing == Ringing::InOrder);
                let groups: Vec<Vec<_>> = match in_order {
                    true => ways.map(|way| vec![way]).collect(),
                    false => vec![ways.collect::<Vec<_>>()].into_iter().filter(|g| !g.is_empty()).collect(),
                };
                (groups, terminal.map(|t| t.t38_onward).unwrap_or_default(), in_order)
            }
        }
    }

    fn way_by_trunk(
        &self,
        peer: &Peer,
        number: &str,
        onward: &Onward,
        caller: Option<&OnwardCaller>,
        held: &Held,
    ) -> Option<Way> {
        let (route, mut targets) = self.route_of(peer);
        if targets.is_empty() {
            return None;
        }
        let security = security::choose(peer.trunk.srtp, &mut targets)
            .inspect_err(|why| tracing::warn!(trunk = peer.trunk.name, why = why.reason, "not called"))
            .ok()?;
        let target = targets.remove(0);
        let (domain, trunk) = (peer.domain(), &peer.trunk);
        let address = trunk.numbers.uri(number, &domain, true);
        let hidden = held.incoming.identity.privacy.hides_caller() || caller.is_some_and(|c| c.anonymous);
        let shown = caller.map_or(&onward.from, |c| &c.number);
        let rules = &trunk.identity;
        let said = rules.of(&trunk.numbers, shown, &onward.from_name, &domain, hidden);
        let mut headers: Vec<(String, String)> =
            route.into_iter().map(|value| ("Route".to_owned(), value)).collect();
        headers.extend(said.headers());
        headers.extend(fax_preference(trunk.fax_preference));
        // Nor does the number that this trunk may not be shown reach it by another header.
        let asserts = *shown != onward.from || headers.iter().any(|(name, _)| name == "P-Asserted-Identity");
        headers.extend(passed_on(held, true, asserts));
        let from = said.from_header();
        headers.push(("Max-Forwards".to_owned(), hops_left(&held.incoming).to_string()));
        Some(Way {
            target,
            others: targets,
            to: format!("<{address}>"),
            request_uri: address,
            from,
            headers,
            credentials: credentials(&trunk.credentials),
            ring_timeout: trunk.ring_timeout,
            reply_within: trunk.reply_within,
            peer: Some(peer.id),
            security,
        })
    }

    fn way_to_terminal(
        &self,
        user: &str,
        binding: &sip::registrar::Binding,
        onward: &Onward,
        held: &Held,
        (ring_timeout, reply_within): (Duration, Duration),
        srtp: SrtpPolicy,
    ) -> Option<Way> {
        let flow = binding.flow;
        let security = Security::over(srtp, flow.transport);
        if security.is_none() {
            tracing::warn!(user, remote = %flow.remote, why = IN_CLEAR, "not called");
        }
        let security = security?;
        let contact = self.contact_for(None, flow.transport, flow.remote);
        let (from, mut headers) = identity(onward, held, &contact.to_string());
        headers.push(("Max-Forwards".to_owned(), hops_left(&held.incoming).to_string()));
        headers.extend(binding.path.iter().map(|p| ("Route".to_owned(), p.clone())));
        Some(Way {
            target: sip::Target { transport: flow.transport, remote: flow.remote, contact },
            others: Vec::new(),
            request_uri: binding.uri.to_string(),
            from,
            to: format!("<sip:{user}@{contact}>"),
            headers,
            credentials: None,
            ring_timeout,
            reply_within,
            peer: None,
            security,
        })
    }
}

pub(super) fn lossy(octets: &Bytes) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

fn hops_left(incoming: &sip::Incoming) -> u32 {
    incoming.request.seconds("Max-Forwards").unwrap_or(HOPS).min(HOPS).saturating_sub(1)
}

/// From towards a terminal, and who diverted: the caller's number as it may be shown (RFC 3323, RFC 3325 §9.3).
fn identity(onward: &Onward, held: &Held, host: &str) -> (String, Vec<(String, String)>) {
    let numbers = crate::trunk::NumberFormat::default();
    let outgoing = sip::OutgoingIdentity {
        display: onward.from_name.clone(),
        address: numbers.uri(&onward.from, host, false),
        anonymous_from: held.incoming.identity.privacy.hides_caller(),
        ..sip::OutgoingIdentity::default()
    };
    (outgoing.from_header(), passed_on(held, false, false))
}

/// What a trunk said of who calls and who diverted the call, for the other side; a terminal is not believed (RFC 3325 §5,
/// RFC 5806, RFC 7044). `asserts`: we have said ourselves who calls.
fn passed_on(held: &Held, to_trunk: bool, asserts: bool) -> Vec<(String, String)> {
    let privacy = held.incoming.identity.privacy;
    let mut names = Vec::new();
    if !asserts && (to_trunk || !privacy.hides_caller()) {
        names.push("P-Asserted-Identity");
    }
    if to_trunk || !privacy.history {
        names.extend(["Diversion", "History-Info"]);
    }
    let believed = matches!(held.caller, Caller::Trunk(_));
    let names = names.into_iter().filter(|_| believed);
    let values = |name: &'static str| {
        let values = held.incoming.request.all(name).take(32);
        values.map(|h| (name.to_owned(), lossy(h.value()))).collect::<Vec<_>>()
    };
    names.flat_map(values).collect()
}
