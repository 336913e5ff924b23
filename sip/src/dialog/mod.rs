//! A dialog: its identity, its route set and target, its numbering (RFC 3261 §12).

use core::net::{IpAddr, SocketAddr};

use bytes::Bytes;

use crate::api::Transport;
use crate::message::{Builder, Message, Method, NameAddr, Uri};

/// Call-ID, our tag, their tag.
pub(crate) type DialogId = (Bytes, Bytes, Bytes);

/// How the peer is reached when its addresses are only names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Flow {
    pub(crate) transport: Transport,
    /// Where we send from, if it matters.
    pub(crate) local: Option<SocketAddr>,
    /// Our address as the peer is to see it.
    pub(crate) contact: SocketAddr,
    /// Where the peer's messages come from.
    pub(crate) remote: SocketAddr,
}

/// One dialog, early or confirmed; before the first answer its remote half is open.
#[derive(Clone, Debug)]
pub(crate) struct Dialog {
    pub(crate) call_id: Bytes,
    pub(crate) local_tag: Bytes,
    pub(crate) remote_tag: Bytes,
    /// From as we write it, with our tag.
    local: Bytes,
    /// To as we write it, with their tag.
    remote: Bytes,
    pub(crate) target: Uri,
    routes: Vec<Bytes>,
    pub(crate) local_cseq: u32,
    pub(crate) remote_cseq: Option<u32>,
}

impl Dialog {
    /// The half-open dialog of a call we make. `from` and `to` are whole header values without tags.
    pub(crate) fn calling(
        call_id: Bytes,
        local_tag: Bytes,
        from: &str,
        to: &str,
        target: Uri,
        cseq: u32,
    ) -> Dialog {
        let local = [from.as_bytes(), b";tag=", &local_tag].concat();
        Dialog {
            call_id,
            local_tag,
            remote_tag: Bytes::new(),
            local: Bytes::from(local),
            remote: Bytes::copy_from_slice(to.as_bytes()),
            target,
            routes: Vec::new(),
            local_cseq: cseq,
            remote_cseq: None,
        }
    }

    /// The dialog a 2xx makes of it (§12.1.2).
    pub(crate) fn answered(&self, response: &Message) -> Dialog {
        let mut dialog = self.clone();
        dialog.remote_tag = response.to_tag().unwrap_or_default();
        dialog.remote = response.value("To").cloned().unwrap_or_else(|| self.remote.clone());
        dialog.routes = response.record_route().iter().rev().map(|r| r.as_bytes().clone()).collect();
        dialog.refresh_target(response);
        dialog
    }

    /// Takes over the numbers of the early dialog that a 2xx completes, and its target where the 2xx says none.
    pub(crate) fn goes_on_from(&mut self, early: &Dialog, response: &Message) {
        self.local_cseq = self.local_cseq.max(early.local_cseq);
        self.remote_cseq = self.remote_cseq.max(early.remote_cseq);
        if response.contact().is_none() {
            self.target = early.target.clone();
        }
    }

    /// The dialog of a call that came in (§12.1.1).
    pub(crate) fn called(request: &Message, local_tag: Bytes, cseq: u32) -> Option<Dialog> {
        let from = request.from()?;
        let to = request.value("To")?;
        Some(Dialog {
            call_id: request.call_id(),
            remote_tag: request.from_tag(),
            local: Bytes::from([&to[..], b";tag=", &local_tag].concat()),
            local_tag,
            remote: request.value("From")?.clone(),
            // RFC 2543 peers may leave Contact out.
            target: request.contact().unwrap_or_else(|| from.uri().clone()),
            routes: request.record_route().iter().map(|r| r.as_bytes().clone()).collect(),
            local_cseq: cseq,
            remote_cseq: request.cseq().map(|c| c.number),
        })
    }

    pub(crate) fn id(&self) -> DialogId {
        (self.call_id.clone(), self.local_tag.clone(), self.remote_tag.clone())
    }

    /// A target refresh request or its 2xx moves the far end's Contact (§12.2).
    pub(crate) fn refresh_target(&mut self, message: &Message) {
        if let Some(contact) = message.contact() {
            self.target = contact;
        }
    }

    /// From and To as our requests carry them.
    pub(crate) fn parties(&self, builder: Builder) -> Builder {
        builder.header("From", &self.local).header("To", &self.remote).header("Call-ID", &self.call_id)
    }

    /// The Request-URI and the Route values of a request within the dialog (§12.2.1.1), strict routers included.
    pub(crate) fn route(&self) -> (Uri, Vec<Bytes>) {
        let first = self.routes.first().and_then(NameAddr::read);
        match first {
            Some(first) if first.uri().parameter("lr").is_none() => {
                let mut routes: Vec<Bytes> = self.routes[1..].to_vec();
                routes.push(Bytes::from([b"<", &self.target.as_bytes()[..], b">"].concat()));
                (first.uri().clone(), routes)
            }
            _ => (self.target.clone(), self.routes.clone()),
        }
    }

    /// The next request: request line, parties and CSeq. Via, Max-Forwards and the rest are the caller's.
    pub(crate) fn request(&self, method: Method, via: &str, cseq: u32) -> Builder {
        let (uri, routes) = self.route();
        let number = format!("{cseq} {method}");
        let mut builder = Builder::request(method, uri).header("Via", via).header("Max-Forwards", "70");
        for route in routes {
            builder = builder.header("Route", route);
        }
        self.parties(builder).header("CSeq", number)
    }

    /// Where a request within the dialog goes: the first route or the target where that is an address the flow can
    /// reach, else where the peer's messages come from.
    pub(crate) fn next_hop(&self, flow: &Flow) -> SocketAddr {
        if flow.transport.reliable() {
            return flow.remote;
        }
        let hop = match self.routes.first().and_then(NameAddr::read) {
            Some(route) => route.uri().address(),
            None => self.target.address(),
        };
        match hop {
            Some(hop) if hop.port() != 0 && !hidden(hop.ip(), flow.remote.ip()) => hop,
            _ => flow.remote,
        }
    }
}

/// Whether `hop` is an inside address given by a peer that is seen further out: a peer behind NAT.
fn hidden(hop: IpAddr, seen: IpAddr) -> bool {
    hop.is_unspecified()
        || (hop.is_loopback() && !seen.is_loopback())
        || hop.is_ipv4() != seen.is_ipv4()
        || reach(hop) < reach(seen)
}

/// From how far away an address can be reached (RFC 6890): this host, this link, this site, behind a carrier's translator
/// (RFC 6598), everywhere.
fn reach(ip: IpAddr) -> u8 {
    match ip {
        IpAddr::V4(v4) if v4.is_loopback() || v4.is_unspecified() => 0,
        IpAddr::V4(v4) if v4.is_link_local() => 1,
        IpAddr::V4(v4) if v4.is_private() => 2,
        IpAddr::V4(v4) if matches!(v4.octets(), [100, 64..=127, ..]) => 3,
        IpAddr::V6(v6) if v6.is_loopback() || v6.is_unspecified() => 0,
        IpAddr::V6(v6) if v6.is_unicast_link_local() => 1,
        IpAddr::V6(v6) if v6.is_unique_local() => 2,
        IpAddr::V4(_) | IpAddr::V6(_) => 4,
    }
}

#[cfg(test)]
mod tests {
    use super::hidden;

    #[test]
    fn inside_addresses_are_hidden_from_further_out() {
        for (hop, seen, expected) in [
            ("203.0.113.9", "198.51.100.7", false),
            ("192.168.1.9", "198.51.100.7", true),
            ("192.168.1.9", "10.0.0.7", false),
            ("100.64.3.9", "198.51.100.7", true),
            ("100.127.255.9", "198.51.100.7", true),
            ("100.128.0.9", "198.51.100.7", false),
            ("192.168.1.9", "100.64.3.9", true),
            ("100.64.3.9", "100.64.3.1", false),
            ("100.64.3.9", "10.0.0.7", false),
            ("169.254.1.1", "10.0.0.7", true),
            ("127.0.0.1", "127.0.0.1", false),
            ("127.0.0.1", "10.0.0.7", true),
            ("10.0.0.7", "127.0.0.1", false),
            ("0.0.0.0", "127.0.0.1", true),
            ("fe80::1", "2001:db8::1", true),
            ("fd00::1", "2001:db8::1", true),
            ("fe80::1", "fe80::2", false),
            ("2001:db8::2", "fd00::1", false),
            ("2001:db8::2", "198.51.100.7", true),
        ] {
            assert_eq!(hidden(hop.parse().unwrap(), seen.parse().unwrap()), expected, "{hop} of {seen}");
        }
    }
}
