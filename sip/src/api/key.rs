//! What calls, registrations and requests are named by.

/// One call: one INVITE and the dialog it makes. The caller of [`crate::Command::Invite`] chooses keys below
/// [`CallKey::INCOMING`]; incoming calls are numbered from there by the user agent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct CallKey(pub u64);

impl CallKey {
    /// The first key of incoming calls.
    pub const INCOMING: CallKey = CallKey(1 << 63);

    /// Whether the far end made this call.
    #[must_use]
    pub const fn is_incoming(self) -> bool {
        self.0 >= Self::INCOMING.0
    }
}

/// One registration.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RegKey(pub u64);

/// One OPTIONS ping.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PingKey(pub u64);

/// One request outside dialogs that the service answers itself ([`crate::Event::Asked`]).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RequestKey(pub u64);

/// Whose proof of identity is meant.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Asker {
    /// The caller of an incoming call.
    Call(CallKey),
    /// The sender of another request.
    Request(RequestKey),
}

/// A Q.850 cause, as carried in `Reason: Q.850;cause=N` (RFC 3326).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Q850(pub u16);
