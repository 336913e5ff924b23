//! The classes of failures, each with a sentence for the sender and a policy.

use core::time::Duration;
use fax_store::model::RetryPolicy;
use fax_t30::Cause;

/// A class of results.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Class {
    /// Its key.
    pub key: &'static str,
    /// What it means, for the sender.
    pub sentence: &'static str,
    /// What is done about it.
    pub policy: RetryPolicy,
    /// Wait this long, whatever the policy says; in seconds.
    pub delay: Option<u64>,
    /// Give up when it has happened so often to a job.
    pub give_up_after: Option<u32>,
}

const fn c(key: &'static str, sentence: &'static str, policy: RetryPolicy) -> Class {
    Class { key, sentence, policy, delay: None, give_up_after: None }
}

impl Class {
    const fn wait(self, seconds: u64) -> Self {
        Class { delay: Some(seconds), ..self }
    }

    const fn at_most(self, times: u32) -> Self {
        Class { give_up_after: Some(times), ..self }
    }

    /// The class's own delay.
    #[must_use]
    pub fn own_delay(&self) -> Option<Duration> {
        self.delay.map(Duration::from_secs)
    }
}

use RetryPolicy as P;

/// All classes.
const CLASSES: &[Class] = &[
    c("ok", "The fax was delivered and confirmed.", P::None),
    c("ok-late", "The fax was delivered; only the goodbye was lost.", P::None),
    // call set-up
    c("call.busy", "The line is engaged.", P::Busy),
    c("call.noanswer", "Nobody answered.", P::NoAnswer),
    c("call.nodialtone", "Our own line is dead.", P::Local),
    c("call.unallocated", "The number is not in service.", P::NeverNumber),
    c("call.rejected", "The call was refused.", P::Never),
    c(
        "call.dead",
        "The last calls to this number were all refused for good; it is not called for a time.",
        P::Never,
    ),
    c("call.congestion", "The network is overloaded.", P::Busy).wait(180),
    c("call.media", "The far end takes neither T.38 nor G.711.", P::Protocol),
    c("call.glare", "Both ends called at the same time.", P::Busy).wait(30),
    c("call.voice", "A person or an answering machine answered.", P::NoAnswer).at_most(2),
    c("call.nofax", "The call was answered, but not by a fax machine.", P::NoAnswer).at_most(3),
    c("call.dropped", "The call was cut off.", P::Line),
    c("call.cedlong", "The answering tone never ended.", P::NoAnswer),
    c("call.failed", "The call could not be made.", P::Protocol),
    c("call.timeout", "The call took longer than is allowed.", P::Line),
    c("call.cancelled", "The fax was called off.", P::Never),
    // phase B, we send
    c("b.rxincapable", "The other machine cannot receive now: no paper or no memory.", P::NoAnswer).wait(900),
    c("b.txincapable", "The polled machine has nothing to send.", P::Never),
    c("b.incompatible", "The machines have no way of sending in common.", P::Protocol).at_most(2),
    c("b.noaddress", "The other machine knows no sub-addresses, but the fax is for one.", P::User),
    c("b.noresolution", "The other machine cannot print this resolution.", P::User),
    c("b.nosize", "The other machine cannot print pages of this size.", P::User),
    c("b.train", "The line is too bad for every speed.", P::Line),
    c("b.noresp", "The other machine did not answer when transmission was agreed.", P::Line),
    c("b.badresp", "The other machine answered nonsense when transmission was agreed.", P::Protocol),
    c("b.dis3", "The other machine does not hear us.", P::Protocol),
    c("b.nodis", "The other end is no fax machine as the standard wants it.", P::Protocol),
    c("b.dcnwait", "The other machine hung up before the first page.", P::Busy).wait(300),
    c("b.refused.id", "The other machine refused our number, the sub-address or the password.", P::User),
    c("b.phbfail", "The line was too bad to agree on anything.", P::Line),
    // phases C and D, we send
    c("c.underflow", "Our side was too slow.", P::Local),
    c("c.general", "A page could not be sent.", P::Line),
    c("d.noresp", "A page was sent and not answered.", P::Line),
    c("d.badresp", "A page was sent and the answer made no sense.", P::Line),
    c("d.dcn", "The other machine hung up after a page.", P::Line),
    c("d.rtn", "The other machine found a page unreadable each time.", P::Line),
    c("d.ecmphd", "Error correction broke down.", P::Protocol),
    c("d.ecm.give-up", "A page did not get through however often it was repeated.", P::Line),
    c("d.t5", "The other machine was not ready for a minute.", P::Busy).wait(600),
    c("d.interrupt", "Someone at the other machine interrupted.", P::User),
    c("d.uncertain", "The last page was sent and not confirmed: it may have arrived.", P::ProbablyDelivered),
    // we receive
    c("r.nofax", "The call was answered, but no fax came.", P::Never),
    c("r.dcnearly", "The caller hung up before sending.", P::Never),
    c("r.dcndata", "The caller hung up in a page.", P::Never),
    c("r.noeol", "A page stopped in the middle.", P::Never),
    c("r.nocarrier", "The signal was lost in a page.", P::Never),
    c("r.t2", "The sender fell silent after a page.", P::Never),
    c("r.dcnrtn", "The caller hung up after a page that could not be read.", P::Never),
    c("r.dcnphd", "The caller hung up without ending properly.", P::Never),
    c("r.ecm", "The sender broke the rules of error correction.", P::Never),
    c("r.refused.id", "The caller did not know the password.", P::Never),
    c("r.invalid", "The sender broke the rules.", P::Never),
    // local
    c("l.document", "The document cannot be made into fax pages.", P::User),
    c("l.file", "The stored pages could not be read.", P::Local),
    c("l.disk", "A page came, but our side could not store it and did not confirm it.", P::Local),
    c("l.internal", "Our own software failed.", P::Local),
    c("l.notrunk", "No trunk is available for this number.", P::Local),
    c("l.barred", "Calls to this number are not allowed.", P::User),
    c("l.node", "Our system stopped during the call.", P::Local).wait(5),
];

/// The class with this key.
#[must_use]
pub fn class(key: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|c| c.key == key)
}

/// Whether this key means that all went well.
#[must_use]
pub fn is_success(key: &str) -> bool {
    class(key).is_some_and(|c| c.policy == P::None)
}

/// The class of a failed T.30 session.
#[must_use]
pub const fn class_of_cause(cause: Cause) -> &'static str {
    cause.meaning().class
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_unique_and_sentences_end() {
        for (i, a) in CLASSES.iter().enumerate() {
            assert!(CLASSES.iter().skip(i + 1).all(|b| b.key != a.key), "{}", a.key);
            assert!(a.sentence.ends_with('.'), "{}", a.key);
        }
    }

    #[test]
    fn every_cause_has_its_class() {
        for cause in Cause::ALL {
            assert!(class(class_of_cause(cause)).is_some(), "{cause:?}");
        }
    }
}
