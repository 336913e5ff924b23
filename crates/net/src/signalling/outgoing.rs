//! INVITEs of ours, whoever wants the call, a fax of our own or a call that is passed on: the line of the trunk that each
//! takes, what it shows of the trunk, and where it goes when it is redirected.

use super::driver::Driver;
use super::leg;
use super::limits::Way;
use super::redirects::Invitation;
use crate::call::LegKey;
use crate::transport::Peer;
use fax_sip as sip;

/// A call that we make, from its INVITE to its end.
pub(super) struct Outgoing {
    /// The trunk at which it has a line; `None`: it goes to a terminal.
    pub(super) peer: Option<u64>,
    /// How its peer is reached: a connection in use is not idle.
    pub(super) flow: Peer,
    /// What was sent, as long as it may be sent elsewhere.
    pub(super) invitation: Option<Box<Invitation>>,
}

impl Driver {
    /// Calls: at a terminal, or by a trunk at which a line was taken for it. The line is given back when the call is over,
    /// also if its owner is gone by then.
    pub(super) fn invite(
        &mut self,
        owner: LegKey,
        peer: Option<u64>,
        invite: sip::Invite,
        targets: Vec<sip::Target>,
    ) {
        let invitation = peer.map(|_| Invitation::new(invite.clone()));
        self.invite_with(owner, peer, invitation, invite, targets);
    }

    pub(super) fn invite_with(
        &mut self,
        owner: LegKey,
        peer: Option<u64>,
        invitation: Option<Box<Invitation>>,
        invite: sip::Invite,
        targets: Vec<sip::Target>,
    ) {
        let call = invite.call;
        let flow = (invite.transport, invite.destination);
        self.by_call.insert(call, owner);
        self.outgoing.insert(call, Outgoing { peer, flow, invitation });
        self.command(sip::Command::Invite(Box::new(invite)));
        self.command(sip::Command::Alternatives { of: sip::Attempt::Call(call), targets });
    }

    /// What a call shows of the place and the trunk it goes by. What its owner is to hear of it; nothing when it goes on
    /// elsewhere.
    pub(super) fn shown(&mut self, call: sip::CallKey, event: sip::Event) -> Option<sip::Event> {
        let Some(outgoing) = self.outgoing.get_mut(&call) else { return Some(event) };
        let peer = outgoing.peer;
        match event {
            sip::Event::Progress { .. } => {
                peer.into_iter().for_each(|peer| self.trunk_lives(peer));
                Some(event)
            }
            sip::Event::Answered { remote, .. } => {
                outgoing.invitation = None;
                outgoing.flow.1 = remote;
                self.hops.dead.answered(&outgoing.flow);
                peer.into_iter().for_each(|peer| self.trunk_lives(peer));
                Some(event)
            }
            sip::Event::Ended { call, cause } => {
                let outgoing = self.outgoing.remove(&call)?;
                let first = outgoing.invitation.as_ref().is_some_and(|i| !i.was_redirected());
                if let Some(peer) = peer.filter(|_| first) {
                    self.judge(peer, &cause);
                }
                let outgoing = match self.called_plain(call, outgoing, &cause) {
                    Ok(()) => return None,
                    Err(back) => back,
                };
                let cause = self.redirected(call, outgoing, cause)?;
                Some(sip::Event::Ended { call, cause })
            }
            _ => Some(event),
        }
    }

    /// Tells the owner of a call what happened, if there still is one.
    pub(super) fn tell_owner(&mut self, call: sip::CallKey, event: sip::Event) {
        match self.by_call.get(&call) {
            Some(&key) if self.passages.contains_key(&key) => self.passage_event(key, call, event),
            Some(&key) => self.input(key, leg::Input::Sip(event)),
            None => {}
        }
    }

    /// A call that we made is over.
    pub(super) fn hung_up(&mut self, outgoing: &Outgoing) {
        if let Some(peer) = outgoing.peer {
            self.release_line((peer, Way::Out));
        }
    }
}
