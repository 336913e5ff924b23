//! SRTP on a leg: whether, by what keys, and where those may go (RFC 4568 §8.3: a description with keys goes only where
//! nobody else reads it).

use super::waiting::Refusal;
use crate::media::Keys;
use crate::trunk::SrtpPolicy;
use fax_sip as sip;
use fax_srtp::{MasterKey, Profile};
use sip::Transport;
use sip::sdp::{CryptoKey, MediaKeys, Negotiation, Srtp, Suite};

/// What a peer is told whose description would bring keys in clear, and what stands in the log.
pub(super) const IN_CLEAR: &str = "SRTP is required here, and its keys may only be told over TLS";

/// SRTP on one leg.
#[derive(Clone)]
pub(crate) struct Security {
    srtp: Srtp,
    /// T.38 may come after it, in clear.
    pub(super) t38: bool,
    /// What keys are made of.
    seed: [u8; 32],
}

impl std::fmt::Debug for Security {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Security").field("srtp", &self.srtp).field("t38", &self.t38).finish_non_exhaustive()
    }
}

impl Security {
    /// None at all.
    #[cfg(test)]
    pub(crate) const OFF: Security = Security { srtp: Srtp::Off, t38: true, seed: [0; 32] };

    /// As a peer's policy says, where signalling goes over this transport; `None`: SRTP is required, and its keys would go
    /// in clear. Keys come from the system's randomness.
    pub(super) fn over(policy: SrtpPolicy, transport: Transport) -> Option<Security> {
        let private = transport == Transport::Tls || policy.in_clear;
        let srtp = match policy.srtp {
            Srtp::Required if !private => return None,
            Srtp::Accepted | Srtp::Offered if !private => Srtp::Off,
            srtp => srtp,
        };
        Some(Security { srtp, t38: policy.t38, seed: rand::random() })
    }

    pub(super) fn apply(&self, negotiation: Negotiation) -> Negotiation {
        negotiation.with_srtp(self.srtp, self.seed)
    }

    /// Whether T.38 is out of the question from the start.
    pub(super) fn bars_t38(&self) -> bool {
        self.srtp == Srtp::Required && !self.t38
    }

    /// We offer SRTP, and would do without.
    pub(super) fn may_do_without(&self) -> bool {
        self.srtp == Srtp::Offered
    }

    /// Our first offer has keys in it.
    fn offers(&self) -> bool {
        matches!(self.srtp, Srtp::Offered | Srtp::Required)
    }
}

/// Leaves only those places of a peer where its keys may be told; the first of them says what may be offered.
pub(super) fn choose(policy: SrtpPolicy, targets: &mut Vec<sip::Target>) -> Result<Security, Refusal> {
    if policy.srtp == Srtp::Required && !policy.in_clear {
        targets.retain(|t| t.transport == Transport::Tls);
    }
    let first = targets.first().map(|t| t.transport);
    let security = first.and_then(|transport| Security::over(policy, transport));
    let security = security.ok_or_else(|| {
        Refusal::no_route(
            "SRTP is required, and its keys may only be told over TLS: nothing else leads there",
        )
    })?;
    if security.offers() && !policy.in_clear {
        targets.retain(|t| t.transport == Transport::Tls);
    }
    Ok(security)
}

/// Keys as the media take them.
pub(super) fn media_keys(keys: &MediaKeys) -> Option<Keys> {
    Some(Keys { ours: master_key(&keys.ours)?, theirs: master_key(&keys.theirs)? })
}

fn master_key(key: &CryptoKey) -> Option<MasterKey> {
    let profile = match key.suite {
        Suite::Aes128Tag80 => Profile::Aes128Tag80,
        Suite::Aes128Tag32 => Profile::Aes128Tag32,
        Suite::Aes256Tag80 => Profile::Aes256Tag80,
        Suite::Aes256Tag32 => Profile::Aes256Tag32,
    };
    Some(MasterKey::new(profile, &key.key_and_salt)?.with_identifier(&key.mki))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_told_only_where_they_may_be() {
        let policy = |srtp, in_clear| SrtpPolicy { srtp, in_clear, t38: false };
        for (srtp, in_clear, transport, what) in [
            (Srtp::Required, false, Transport::Tls, Some(Srtp::Required)),
            (Srtp::Required, false, Transport::Udp, None),
            (Srtp::Required, true, Transport::Udp, Some(Srtp::Required)),
            (Srtp::Offered, false, Transport::Tcp, Some(Srtp::Off)),
            (Srtp::Accepted, false, Transport::Udp, Some(Srtp::Off)),
            (Srtp::Accepted, false, Transport::Tls, Some(Srtp::Accepted)),
            (Srtp::Off, true, Transport::Tls, Some(Srtp::Off)),
        ] {
            assert_eq!(Security::over(policy(srtp, in_clear), transport).map(|s| s.srtp), what);
        }
        let target = |transport| {
            let address = "192.0.2.1:5061".parse().unwrap();
            sip::Target { transport, remote: address, contact: address }
        };
        let (udp, tls) = (target(Transport::Udp), target(Transport::Tls));
        for (srtp, in_clear, what, left) in [
            (Srtp::Required, false, Some(Srtp::Required), 1),
            (Srtp::Required, true, Some(Srtp::Required), 2),
            (Srtp::Offered, false, Some(Srtp::Off), 2),
            (Srtp::Accepted, true, Some(Srtp::Accepted), 2),
        ] {
            let mut targets = vec![udp, tls];
            let chosen = choose(policy(srtp, in_clear), &mut targets).ok().map(|s| s.srtp);
            assert_eq!((chosen, targets.len()), (what, left));
        }
        let mut targets = vec![tls, udp];
        assert!(choose(policy(Srtp::Offered, false), &mut targets).is_ok_and(|s| s.offers()));
        assert_eq!(targets.len(), 1, "what offers keys goes nowhere else");
        assert!(choose(policy(Srtp::Required, false), &mut vec![udp]).is_err());
    }
}
