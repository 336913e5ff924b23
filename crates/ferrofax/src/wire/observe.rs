//! What a call shows of the far end, gathered for the switch to learn from: T.38, trainings, DIS, NSF, pages.

use fax_net::{CallEnd, CallEvent, CallReport};
use fax_switch::port::{Observed, T38Course};
use fax_t30::frames::{Fcf, Frame};
use fax_t30::{Event, Phase};

/// Watches one call.
#[derive(Debug, Default)]
pub(super) struct Watch {
    observed: Observed,
    /// A frame came since T.38 was agreed.
    heard: bool,
    /// The fax is over: what the carrier does now says nothing of it.
    over: bool,
}

impl Watch {
    /// Notes what an event shows.
    pub(super) fn see(&mut self, event: &CallEvent) {
        match event {
            CallEvent::T38 | CallEvent::T38Refused { .. } | CallEvent::Audio if self.over => {}
            CallEvent::T38 => {
                self.observed.t38 = T38Course::Agreed;
                self.heard = false;
            }
            CallEvent::T38Refused { code, .. } => self.observed.t38 = T38Course::Refused(*code),
            CallEvent::Audio if self.observed.t38 == T38Course::Agreed => {
                self.observed.t38 = if self.heard { T38Course::Left } else { T38Course::Silent };
            }
            CallEvent::Fax(event) => self.see_fax(event),
            CallEvent::Audio
            | CallEvent::Ringing
            | CallEvent::Answered
            | CallEvent::KeepPage(_)
            | CallEvent::Page(_)
            | CallEvent::Signal(_)
            | CallEvent::Ended(_) => {}
        }
    }

    fn see_fax(&mut self, event: &Event) {
        match event {
            Event::Training { modulation, passed } => self.observed.trained(*modulation, *passed),
            Event::FrameReceived { octets, .. } => {
                self.heard = true;
                let Some(frame) = Frame::parse(octets) else { return };
                if frame.fcf == Fcf::Dis {
                    self.observed.dis = Some(frame.fif);
                } else if frame.fcf == Fcf::Nsf {
                    self.observed.maker = fax_t30::nsf::maker(&frame.fif).map(str::to_owned);
                }
            }
            Event::Phase(Phase::E) => self.over = true,
            Event::FrameBad | Event::FrameRepaired { .. } => self.heard = true,
            Event::Phase(_)
            | Event::FrameSent { .. }
            | Event::Negotiated { .. }
            | Event::RemoteIdent(_)
            | Event::SubAddress(_)
            | Event::PageSending { .. }
            | Event::PageSent { .. }
            | Event::PageConfirmed { .. }
            | Event::Resend { .. }
            | Event::TimerExpired(_) => {}
        }
    }

    /// All that was seen, when the call is over.
    pub(super) fn end(mut self, report: &CallReport) -> Observed {
        if report.end == CallEnd::T38Silent {
            self.observed.t38 = T38Course::Silent;
        }
        if let Some(outcome) = &report.outcome {
            self.observed.pages.clone_from(&outcome.sent);
        }
        self.observed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;
    use fax_base::line::Modulation;

    fn course(events: Vec<CallEvent>) -> T38Course {
        let mut watch = Watch::default();
        events.iter().for_each(|e| watch.see(e));
        watch.observed.t38
    }

    fn frame(octets: &'static [u8]) -> CallEvent {
        CallEvent::Fax(Event::FrameReceived { name: "?", octets: Bytes::from_static(octets) })
    }

    const DIS: &[u8] = &[0xFF, 0xC8, 0x01, 0x00, 0x76, 0xF8];

    #[test]
    fn what_became_of_t38() {
        use CallEvent::{Audio, T38};
        let refused = || CallEvent::T38Refused { code: 488, reason: String::new() };
        let over = || CallEvent::Fax(Event::Phase(Phase::E));
        assert_eq!(course(vec![CallEvent::Answered, frame(DIS)]), T38Course::Unasked);
        assert_eq!(course(vec![frame(DIS), refused()]), T38Course::Refused(488));
        // It refuses ours and makes its own.
        assert_eq!(course(vec![refused(), T38, frame(DIS)]), T38Course::Agreed);
        assert_eq!(course(vec![frame(DIS), T38, Audio]), T38Course::Silent);
        assert_eq!(course(vec![T38, frame(DIS), Audio]), T38Course::Left);
        // Back to audio when all is done, as many gateways go.
        assert_eq!(course(vec![T38, frame(DIS), over(), Audio]), T38Course::Agreed);
    }

    #[test]
    fn far_end_and_trainings_are_noted() {
        let mut watch = Watch::default();
        let modulation = Modulation::V17At14400;
        for event in [
            frame(&[0xFF, 0xC0, 0x04, 0x00, 0x00, 0x25, 0x01]),
            frame(DIS),
            frame(&[0xFF]),
            CallEvent::Fax(Event::Training { modulation, passed: false }),
            CallEvent::Fax(Event::Training { modulation, passed: true }),
        ] {
            watch.see(&event);
        }
        let seen = watch.observed;
        assert_eq!(seen.maker.as_deref(), Some("Ricoh"));
        assert_eq!(seen.dis.as_deref(), Some([0x00, 0x76, 0xF8].as_slice()));
        assert_eq!((seen.trainings[0].passed, seen.trainings[0].failed, seen.trainings.len()), (1, 1, 1));
    }
}
