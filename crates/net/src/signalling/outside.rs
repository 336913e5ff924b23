//! What a leg wants, carried out: the one way from a leg's outputs to signalling, media and the owner.

use super::leg::{Input, Leg, Output};
use crate::call::CallEvent;
use crate::media::{Codec, Keys, MediaCommand, MediaEvent};
use fax_base::Instant;
use fax_sip as sip;
use std::net::SocketAddr;

/// What a call's media begin with.
#[derive(Debug)]
pub(crate) struct Begin {
    pub(crate) terminal: Box<fax_terminal::Config>,
    pub(crate) remote: SocketAddr,
    pub(crate) codec: Codec,
    pub(crate) keys: Option<Keys>,
}

/// What carries out a leg's wishes.
pub(crate) trait Outside {
    fn sip(&mut self, command: sip::Command);

    /// Begins the media; false where they cannot begin.
    fn begin(&mut self, leg: &mut Leg, begin: Begin) -> bool;

    fn media(&mut self, command: MediaCommand);

    fn tell(&mut self, event: CallEvent);
}

/// Gives a leg something and lets `outside` carry out what it wants. False: the leg is done with.
pub(crate) fn drive(leg: &mut Leg, now: Instant, input: Input, outside: &mut impl Outside) -> bool {
    leg.handle(now, input);
    while let Some(output) = leg.poll() {
        match output {
            Output::Sip(command) => outside.sip(command),
            Output::Begin(begin) => {
                if !outside.begin(leg, begin) {
                    leg.handle(now, Input::Media(MediaEvent::Failed));
                }
            }
            Output::Media(command) => outside.media(command),
            Output::Tell(event) => outside.tell(event),
            Output::Done => {
                outside.media(MediaCommand::Stop);
                return false;
            }
        }
    }
    true
}

/// Which call an event is about; `None`: an incoming call, or none at all.
pub(crate) fn call_of(event: &sip::Event) -> Option<sip::CallKey> {
    match event {
        sip::Event::Progress { call, .. }
        | sip::Event::Answered { call, .. }
        | sip::Event::Confirmed { call, .. }
        | sip::Event::ReinviteOffered { call, .. }
        | sip::Event::Refreshed { call, .. }
        | sip::Event::ReinviteAnswered { call, .. }
        | sip::Event::ReinviteRefused { call, .. }
        | sip::Event::Ended { call, .. } => Some(*call),
        sip::Event::Incoming(_)
        | sip::Event::Registered { .. }
        | sip::Event::RegistrationFailed { .. }
        | sip::Event::Unregistered { .. }
        | sip::Event::Asked(_)
        | sip::Event::Authenticated { .. }
        | sip::Event::AuthenticationFailed { .. }
        | sip::Event::TargetFailed { .. }
        | sip::Event::PeerAlive { .. }
        | sip::Event::PeerSilent { .. } => None,
    }
}
