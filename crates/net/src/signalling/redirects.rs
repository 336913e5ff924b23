//! Calls that are sent elsewhere by a 3xx: followed a few times, to hosts that the trunk allows (RFC 3261 §8.1.3.4). A
//! redirected call keeps its owner and its line.

use super::driver::Driver;
use super::hops::first_hop;
use super::outgoing::Outgoing;
use super::peers::{Peer, literal};
use crate::call::{LegKey, Wish};
use crate::config::Network;
use crate::dns::Place;
use crate::dns::order::living_first;
use fax_sip as sip;
use sip::message::Uri;
use sip::sdp::{Media, SessionDescription};
use std::collections::VecDeque;
use std::net::IpAddr;

/// Places that a call is sent on to at most.
const MOST: usize = 5;

/// Contacts of one answer that are looked at.
const CONTACTS: usize = 8;

/// What an INVITE was, as long as it may be sent elsewhere.
#[derive(Debug)]
pub(super) struct Invitation {
    invite: sip::Invite,
    /// Where it was sent on to.
    visited: Vec<String>,
    /// Where else it may be sent on to.
    contacts: VecDeque<Uri>,
    /// The last redirection: it stands where nobody answers at the place it led to.
    cause: Option<sip::EndCause>,
}

impl Invitation {
    pub(super) fn new(invite: sip::Invite) -> Box<Self> {
        let visited = vec![invite.request_uri.clone()];
        Box::new(Invitation { invite, visited, contacts: VecDeque::new(), cause: None })
    }

    pub(super) fn was_redirected(&self) -> bool {
        self.visited.len() > 1
    }
}

/// Whether a trunk's calls may be sent to this host.
fn is_allowed(peer: &Peer, host: &str) -> bool {
    let host = host.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let ip = host.parse::<IpAddr>().ok();
    if ip.is_some_and(|ip| peer.owns(ip))
        || peer.hosts.iter().any(|(h, _)| h.host.eq_ignore_ascii_case(&host))
    {
        return true;
    }
    if first_hop(&format!("sip:{}", peer.domain())).is_some_and(|d| d.host.eq_ignore_ascii_case(&host)) {
        return true;
    }
    peer.trunk.redirects.iter().any(|allowed| match (ip, allowed.parse::<Network>()) {
        (Some(ip), Ok(network)) => network.contains(ip),
        (None, Err(_)) => {
            let allowed = allowed.to_ascii_lowercase();
            host == allowed.trim_start_matches('.') || (allowed.starts_with('.') && host.ends_with(&allowed))
        }
        (Some(_), Err(_)) | (None, Ok(_)) => false,
    })
}

/// Whether a description tells keys.
fn holds_keys(sdp: &[u8]) -> bool {
    SessionDescription::parse(sdp).is_ok_and(|sdp| sdp.media.iter().any(Media::is_secure))
}

impl Driver {
    /// A fax's call that was refused because it offers SRTP, which is not required here, is made once more in plain RTP.
    pub(super) fn called_plain(
        &mut self,
        before: sip::CallKey,
        mut outgoing: Outgoing,
        cause: &sip::EndCause,
    ) -> Result<(), Outgoing> {
        let refused = cause.by == sip::EndedBy::Remote && matches!(cause.code, Some(415 | 488 | 606));
        let owner = self.by_call.get(&before).copied().filter(|_| refused && self.stopping.is_none());
        let entry = owner.and_then(|owner| self.legs.get_mut(&owner));
        let Some(offer) = entry.and_then(|entry| entry.leg.plain_offer()) else { return Err(outgoing) };
        let (Some(owner), Some(mut invitation)) = (owner, outgoing.invitation.take()) else {
            return Err(outgoing);
        };
        tracing::info!(code = cause.code, "SRTP was refused: called again in plain RTP");
        invitation.invite.offer = offer;
        self.send_again(owner, before, outgoing.peer, invitation, Vec::new());
        Ok(())
    }

    /// Sends a call that failed on to where a redirection allows it; gives the cause back, and the line free, where there
    /// is no such place.
    pub(super) fn redirected(
        &mut self,
        call: sip::CallKey,
        mut outgoing: Outgoing,
        cause: sip::EndCause,
    ) -> Option<sip::EndCause> {
        let wanted = self.by_call.contains_key(&call);
        let Some(mut invitation) = outgoing.invitation.take().filter(|_| wanted) else {
            self.hung_up(&outgoing);
            return Some(cause);
        };
        let redirect = cause.by == sip::EndedBy::Remote && matches!(cause.code, Some(300..=399));
        let silent = match cause.by {
            sip::EndedBy::Unreachable => true,
            sip::EndedBy::Timeout => cause.code == Some(408),
            sip::EndedBy::Remote | sip::EndedBy::Local => false,
        };
        let troubled = silent
            || (cause.by == sip::EndedBy::Remote && matches!(cause.code, Some(404 | 410 | 480 | 500..=599)));
        if redirect {
            for contact in cause.contacts.iter().take(CONTACTS).rev() {
                if invitation.contacts.len() < CONTACTS {
                    invitation.contacts.push_front(contact.uri.clone());
                }
            }
            invitation.cause = Some(cause.clone());
        }
        let before = invitation.cause.clone().filter(|_| silent);
        if redirect || troubled {
            match self.follow(call, outgoing, invitation) {
                Ok(()) => return None,
                Err(back) => outgoing = back,
            }
        }
        self.hung_up(&outgoing);
        Some(before.unwrap_or(cause))
    }

    /// Goes to the next place that is allowed; gives the call back where there is none.
    fn follow(
        &mut self,
        call: sip::CallKey,
        mut outgoing: Outgoing,
        mut invitation: Box<Invitation>,
    ) -> Result<(), Outgoing> {
        if self.stopping.is_some() {
            return Err(outgoing);
        }
        while let Some(uri) = invitation.contacts.pop_front() {
            let text = uri.to_string();
            if invitation.visited.len() > MOST || invitation.visited.contains(&text) || uri.has_headers() {
                continue;
            }
            let Some(peer) = outgoing.peer.and_then(|id| self.peer(id)) else { return Err(outgoing) };
            let name = peer.trunk.name.clone();
            let Some(hop) = sip::Hop::of(&uri) else { continue };
            if !is_allowed(peer, &hop.host) {
                tracing::warn!(trunk = name, host = hop.host, "redirected to a host that is not allowed");
                continue;
            }
            tracing::info!(trunk = name, host = hop.host, "redirected");
            // The trunk's own host is where the trunk is.
            let own = peer.hosts.iter().find(|(h, places)| {
                h.host.eq_ignore_ascii_case(&hop.host)
                    && (hop.port.is_none() || h.port == hop.port)
                    && !places.is_empty()
            });
            let usual = invitation.invite.transport;
            let places = own.map(|(_, places)| places.clone()).or_else(|| Some(vec![literal(&hop, usual)?]));
            invitation.visited.push(text.clone());
            invitation.invite.request_uri = text;
            outgoing.invitation = Some(invitation);
            self.outgoing.insert(call, outgoing);
            match places {
                Some(places) => self.invite_again(call, places),
                None => {
                    let (locator, wishes) = (self.hops.locator.clone(), self.wish_sender.clone());
                    tokio::spawn(async move {
                        let places = locator.locate(&hop).await.places;
                        let _ = wishes.send(Wish::RedirectLocated { call, places });
                    });
                }
            }
            return Ok(());
        }
        Err(outgoing)
    }

    /// The place of a redirection is known: the INVITE goes there as a call of its own.
    pub(super) fn invite_again(&mut self, before: sip::CallKey, mut places: Vec<Place>) {
        let now = self.now();
        let Some(mut outgoing) = self.outgoing.remove(&before) else { return };
        let owner = self.by_call.get(&before).copied();
        let (Some(owner), Some(mut invitation)) = (owner, outgoing.invitation.take()) else {
            // Nobody wants it any more.
            return self.hung_up(&outgoing);
        };
        let ipv4 = outgoing.flow.1.is_ipv4();
        places.retain(|p| p.address.is_ipv4() == ipv4 && self.transports.can_reach((p.transport, p.address)));
        living_first(&mut places, |p| self.hops.dead.is_dead(now, &(p.transport, p.address)));
        let peer = outgoing.peer.and_then(|id| self.peer(id));
        let in_clear = peer.is_some_and(|p| p.trunk.srtp.in_clear);
        if !in_clear && holds_keys(&invitation.invite.offer) {
            places.retain(|p| p.transport == sip::Transport::Tls);
        }
        let mut targets = peer.map(|peer| self.targets(peer, &places)).unwrap_or_default();
        if targets.is_empty() {
            outgoing.invitation = Some(invitation);
            let words = "the place of a redirection is not known";
            let cause = sip::EndCause::new(sip::EndedBy::Unreachable, Some(503), words);
            if let Some(cause) = self.redirected(before, outgoing, cause) {
                self.tell_owner(before, sip::Event::Ended { call: before, cause });
            }
            return;
        }
        let first = targets.remove(0);
        let invite = &mut invitation.invite;
        (invite.transport, invite.destination, invite.contact) =
            (first.transport, first.remote, first.contact);
        // The route led to where the call was redirected.
        invite.headers.retain(|(name, _)| !name.eq_ignore_ascii_case("Route"));
        self.send_again(owner, before, outgoing.peer, invitation, targets);
    }

    /// Sends an INVITE once more, as a call of its own.
    fn send_again(
        &mut self,
        owner: LegKey,
        before: sip::CallKey,
        peer: Option<u64>,
        mut invitation: Box<Invitation>,
        targets: Vec<sip::Target>,
    ) {
        self.next_call += 1;
        let call = sip::CallKey(self.next_call);
        invitation.invite.call = call;
        let invite = invitation.invite.clone();
        self.by_call.remove(&before);
        self.invite_with(owner, peer, Some(invitation), invite, targets);
        if let Some(entry) = self.legs.get_mut(&owner) {
            entry.call = call;
            entry.leg.redirected(call);
        }
        self.passage_redirected(owner, before, call);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trunk::Trunk;

    #[test]
    fn redirections_lead_to_the_trunk_and_to_what_it_allows() {
        let mut trunk = Trunk::new("t", "192.0.2.1");
        trunk.domain = "trunk.example:5070".to_owned();
        trunk.peers.push("pop.example".to_owned());
        trunk.redirects =
            ["media.example", ".edge.example", "203.0.113.0/24", "2001:db8::7"].map(str::to_owned).to_vec();
        let peer = Peer::new(1, trunk);
        for host in [
            "192.0.2.1",
            "trunk.example",
            "POP.example",
            "media.example",
            "a.b.edge.example",
            "edge.example",
            "203.0.113.77",
            "[2001:db8::7]",
        ] {
            assert!(is_allowed(&peer, host), "{host}");
        }
        for host in [
            "192.0.2.2",
            "x.media.example",
            "sledge.example",
            "",
            "evil.example",
            "2001:db8::8",
            "203.0.114.1",
        ] {
            assert!(!is_allowed(&peer, host), "{host}");
        }
    }
}
