//! One binding: a place where an address of record can be reached (RFC 3261 §10.2.1, §10.3; RFC 5626 §6).

use core::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;

use super::RegistrarConfig;
use crate::api::Transport;
use crate::message::{Message, NameAddr, Uri, number, qvalue, text};

/// The way a REGISTER came: for terminals behind NAT, and on streams, the way back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Flow {
    /// How.
    pub transport: Transport,
    /// Our address.
    pub local: SocketAddr,
    /// Theirs, as it is seen here.
    pub remote: SocketAddr,
}

/// One binding.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Binding {
    /// The Contact: the Request-URI of calls to it.
    pub uri: Uri,
    /// Path: goes into Route of calls to it, in order (RFC 3327).
    pub path: Vec<String>,
    /// The way the REGISTER came: calls without Path go there.
    pub flow: Flow,
    /// When it runs out.
    pub until: Instant,
    /// When it was last confirmed.
    pub since: Instant,
    /// How much this place is wanted, 0 to 1000 (`q`).
    pub preference: u16,
    /// `+sip.instance`, with its angle brackets.
    pub instance: Option<String>,
    /// `reg-id`, where an instance is named and the terminal can do outbound.
    pub reg_id: Option<u32>,
    /// User-Agent of the terminal.
    pub user_agent: String,
    pub(super) call_id: Bytes,
    pub(super) cseq: u32,
}

impl Binding {
    /// Whether this is the same place: the same flow of an instance, or an equal URI (§10.3, RFC 5626 §6).
    pub(super) fn is_same_place(&self, other: &Binding) -> bool {
        match (self.reg_id, other.reg_id) {
            (Some(a), Some(b)) => a == b && self.instance == other.instance,
            (None, None) => self.uri.is_same_as(&other.uri),
            (Some(_), None) | (None, Some(_)) => false,
        }
    }
}

/// What a REGISTER wants.
pub(super) enum Wanted {
    /// To see the bindings.
    Nothing,
    /// To remove them all: Call-ID and CSeq.
    RemoveAll(Bytes, u32),
    /// To set these; those whose time is up already are to be removed.
    Bindings(Vec<Binding>),
    /// Less time than is granted.
    TooBrief,
    /// It contradicts itself.
    Malformed(&'static str),
}

pub(super) fn wanted(now: Instant, request: &Message, flow: Flow, config: &RegistrarConfig) -> Wanted {
    let Some(cseq) = request.cseq().map(|c| c.number) else {
        return Wanted::Malformed("Bad CSeq");
    };
    let call_id = request.call_id();
    let values: Vec<Bytes> = request.all("Contact").map(|h| h.value().clone()).collect();
    let everything = request.seconds("Expires").map(u64::from);
    if values.iter().any(|v| &v[..] == b"*") {
        return match (values.len(), everything) {
            (1, Some(0)) => Wanted::RemoveAll(call_id, cseq),
            (_, _) => Wanted::Malformed("Contact * Without Expires 0"),
        };
    }
    let contacts: Vec<NameAddr> = values.iter().filter_map(NameAddr::read_list).flatten().take(64).collect();
    if contacts.is_empty() {
        return Wanted::Nothing;
    }
    let path: Vec<String> = request.addresses("Path").iter().map(|p| text(p.as_bytes())).collect();
    let user_agent = request.text("User-Agent").unwrap_or_default();
    let outbound = request.has_token("Supported", "outbound") || request.has_token("Require", "outbound");
    let mut list = Vec::new();
    for contact in contacts {
        if !contact.uri().is_sip() {
            return Wanted::Malformed("Contact Is No SIP URI");
        }
        let params = contact.params();
        // §10.3: what is no number counts as not said.
        let own = params.get("expires").and_then(|e| number(&e));
        let asked = own.or(everything).map_or(config.default_expires, Duration::from_secs);
        let asked = asked.min(config.max_expires);
        if asked > Duration::ZERO && asked < config.min_expires && asked < Duration::from_secs(3_600) {
            return Wanted::TooBrief;
        }
        let instance = params.get("+sip.instance").map(|i| text(&i)).filter(|_| outbound);
        let reg_id = params.get("reg-id").and_then(|r| number(&r)).and_then(|r| u32::try_from(r).ok());
        list.push(Binding {
            uri: contact.uri().clone(),
            path: path.clone(),
            flow,
            until: now + asked,
            since: now,
            preference: qvalue(params.get("q")),
            reg_id: reg_id.filter(|_| instance.is_some()),
            instance,
            user_agent: user_agent.clone(),
            call_id: call_id.clone(),
            cseq,
        });
    }
    Wanted::Bindings(list)
}
