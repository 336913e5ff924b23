//! Why a call failed: one cause for every end, with whose fault it is, what to do next, a sentence for people,
//! and the codes that other software has for it.

/// The layer at which it broke.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Layer {
    /// The call below the fax: the network, or somebody who hung up.
    Call,
    /// What the two terminals can do has too little in common, or something was refused.
    Negotiation,
    /// The modems' training.
    Training,
    /// T.30's commands and responses.
    Procedure,
    /// The pages themselves.
    Image,
    /// Our own terminal.
    Own,
}

/// Whose fault it is, as far as one end can tell.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Fault {
    /// Ours.
    Ours,
    /// Whoever ordered the fax: a wrong password, a document that the far end cannot take.
    Order,
    /// The far end's.
    FarEnd,
    /// The line's, or the network's.
    Line,
    /// Nobody's that can be named.
    Unknown,
}

/// What to do about it.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Next {
    /// Nothing: it would end the same way.
    Nothing,
    /// Try again in some minutes.
    Later,
    /// Try again soon, from the first page that is not confirmed, more carefully: slower, without V.17, by
    /// another route.
    Carefully,
    /// Try again once unchanged, then with fewer abilities: without ECM, without V.17, with MH.
    Simpler,
    /// Ask whoever ordered the fax.
    AskSender,
    /// Mend our own side first.
    MendOurs,
    /// The page may have arrived: let whoever ordered the fax decide whether twice is better than not at all.
    MayHaveArrived,
}

/// What a [`Cause`] means.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Meaning {
    /// The class of our failure table, `b.train`.
    pub class: &'static str,
    /// Where it broke.
    pub layer: Layer,
    /// Whose fault it is.
    pub fault: Fault,
    /// What to do about it.
    pub next: Next,
    /// spandsp's completion code, which KAZOO and others pass on as the fax result code.
    pub spandsp: u8,
    /// HylaFAX's status code, the number of `E…`.
    pub hylafax: u16,
    /// For a person who knows nothing of all this.
    pub sentence: &'static str,
}

/// The canonical classes of T.30 failures (one a row of our failure table).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// Answered, but never a fax signal (T0 or T1).
    NoFax,
    /// Something of a fax was heard, but never a DIS (T1).
    NoGreeting,
    /// The network or the far end cleared the call in the middle.
    CallDropped,
    /// We gave up ([`crate::Input::Cancel`]).
    Cancelled,
    /// Our own assembly did not code or decode a page in time.
    TooSlow,
    /// A page that was received could not be laid down safely ([`crate::Input::PageNotKept`]).
    NotKept,
    /// The far end says that it cannot receive now.
    RemoteCannotReceive,
    /// No common coding, modulation, width or resolution.
    Incompatible,
    /// A sub-address or selective polling address is wanted that the far end does not take.
    AddressUnsupported,
    /// Polling, or being polled: there is nothing that could be sent.
    NothingToPoll,
    /// Polling: the far end answered DTC with DCN or FNV (nothing there, or a wrong password).
    PollRefused,
    /// Polling: no answer to DTC.
    NoResponseToPoll,
    /// Called: the caller sends although our DIS said that we do not receive.
    NotReceiving,
    /// Called: the password that we demand was not given.
    WrongPassword,
    /// Called: the sub-address that the caller named is not here.
    UnknownAddress,
    /// The far end refused an address, a password or a number (FNV).
    IdentRefused,
    /// Training failed at every rate.
    CannotTrain,
    /// No answer to DCS and TCF.
    NoResponseToTraining,
    /// A senseless answer to DCS and TCF.
    InvalidResponseToTraining,
    /// The far end repeated DIS: it does not hear us.
    RemoteDoesNotHear,
    /// DCN in phase B.
    DisconnectedBeforePage,
    /// No answer to a post-message command.
    NoResponseAfterPage,
    /// A senseless answer to a post-message command.
    InvalidResponseAfterPage,
    /// A senseless answer in the dialogue of error correction.
    EcmBroken,
    /// DCN where a confirmation was due.
    DisconnectedAfterPage,
    /// The far end took a page and wants no more (PID).
    Interrupted,
    /// The far end refused the page (RTN) as often as we tried.
    PageRefused,
    /// ECM never got a block through.
    EcmGaveUp,
    /// A page took longer than [`crate::Rules::longest_page`].
    PageTooLong,
    /// The far end was not ready for longer than T5.
    RemoteBusy,
    /// Receiving: no command after the page, or no page after the command (T2).
    CommandLost,
    /// Receiving: the caller disconnected before a page.
    CallerLeftBeforePage,
    /// Receiving: the caller disconnected in a page.
    CallerLeftInPage,
    /// Receiving: the caller disconnected where another page was due.
    CallerLeftBetweenPages,
    /// Receiving: the caller disconnected after we refused a page.
    CallerLeftAfterRefusal,
    /// Receiving: the page's signal stopped or never became readable.
    PageSignalLost,
    /// Receiving: the sender broke the rules (illegal command, MMR without ECM …).
    ProtocolError,
    /// Receiving: the sender broke the rules of error correction.
    EcmProtocolError,
}

impl Cause {
    /// All of them.
    pub const ALL: [Cause; 38] = [
        Cause::NoFax,
        Cause::NoGreeting,
        Cause::CallDropped,
        Cause::Cancelled,
        Cause::TooSlow,
        Cause::NotKept,
        Cause::RemoteCannotReceive,
        Cause::Incompatible,
        Cause::AddressUnsupported,
        Cause::NothingToPoll,
        Cause::PollRefused,
        Cause::NoResponseToPoll,
        Cause::NotReceiving,
        Cause::WrongPassword,
        Cause::UnknownAddress,
        Cause::IdentRefused,
        Cause::CannotTrain,
        Cause::NoResponseToTraining,
        Cause::InvalidResponseToTraining,
        Cause::RemoteDoesNotHear,
        Cause::DisconnectedBeforePage,
        Cause::NoResponseAfterPage,
        Cause::InvalidResponseAfterPage,
        Cause::EcmBroken,
        Cause::DisconnectedAfterPage,
        Cause::Interrupted,
        Cause::PageRefused,
        Cause::EcmGaveUp,
        Cause::PageTooLong,
        Cause::RemoteBusy,
        Cause::CommandLost,
        Cause::CallerLeftBeforePage,
        Cause::CallerLeftInPage,
        Cause::CallerLeftBetweenPages,
        Cause::CallerLeftAfterRefusal,
        Cause::PageSignalLost,
        Cause::ProtocolError,
        Cause::EcmProtocolError,
    ];

    /// What it means.
    #[must_use]
    pub const fn meaning(self) -> Meaning {
        use Fault::{FarEnd, Line, Order, Ours, Unknown};
        use Layer::{Call, Image, Negotiation, Own, Procedure, Training};
        use Next::{AskSender, Carefully, Later, MendOurs, Nothing, Simpler};
        match self {
            Cause::NoFax => m(
                "call.nofax",
                Call,
                FarEnd,
                Later,
                (3, 102),
                "The call was answered, but not by a fax machine.",
            ),
            Cause::NoGreeting => m(
                "b.nodis",
                Procedure,
                FarEnd,
                Simpler,
                (19, 125),
                "The other end is no fax machine as the standard wants it.",
            ),
            Cause::CallDropped => {
                m("call.dropped", Call, Line, Carefully, (49, 128), "The call was cut off.")
            }
            Cause::Cancelled => {
                m("call.cancelled", Own, Order, Nothing, (49, 128), "The fax was called off.")
            }
            Cause::TooSlow => m("c.underflow", Own, Ours, MendOurs, (41, 231), "Our side was too slow."),
            Cause::NotKept => m(
                "l.disk",
                Own,
                Ours,
                MendOurs,
                (41, 904),
                "A page came, but our side could not store it and did not confirm it.",
            ),
            Cause::RemoteCannotReceive => m(
                "b.rxincapable",
                Negotiation,
                FarEnd,
                Later,
                (9, 122),
                "The other machine cannot receive now: no paper or no memory.",
            ),
            Cause::Incompatible => m(
                "b.incompatible",
                Negotiation,
                Unknown,
                Simpler,
                (8, 400),
                "The machines have no way of sending in common.",
            ),
            Cause::AddressUnsupported => m(
                "b.noaddress",
                Negotiation,
                Order,
                AskSender,
                (8, 400),
                "The other machine knows no sub-addresses, but the fax is for one.",
            ),
            Cause::NothingToPoll => m(
                "b.txincapable",
                Negotiation,
                FarEnd,
                Nothing,
                (50, 601),
                "The polled machine has nothing to send.",
            ),
            Cause::PollRefused => m(
                "b.refused.id",
                Negotiation,
                Order,
                AskSender,
                (56, 350),
                "The polled machine refused: nothing is there under this address, or the password is wrong.",
            ),
            Cause::NoResponseToPoll => m(
                "b.noresp",
                Procedure,
                Line,
                Carefully,
                (20, 126),
                "The other machine did not answer when it was polled.",
            ),
            Cause::NotReceiving => m(
                "r.invalid",
                Negotiation,
                FarEnd,
                Nothing,
                (13, 134),
                "The caller sent although we do not receive.",
            ),
            Cause::WrongPassword => m(
                "r.refused.id",
                Negotiation,
                FarEnd,
                Nothing,
                (56, 350),
                "The caller did not know the password.",
            ),
            Cause::UnknownAddress => m(
                "r.refused.id",
                Negotiation,
                FarEnd,
                Nothing,
                (53, 350),
                "The caller named a sub-address that is not here.",
            ),
            Cause::IdentRefused => m(
                "b.refused.id",
                Negotiation,
                Order,
                AskSender,
                (51, 350),
                "The other machine refused our number, the sub-address or the password.",
            ),
            Cause::CannotTrain => {
                m("b.train", Training, Line, Carefully, (6, 137), "The line is too bad for every speed.")
            }
            Cause::NoResponseToTraining => m(
                "b.noresp",
                Training,
                Line,
                Carefully,
                (20, 126),
                "The other machine did not answer when transmission was agreed.",
            ),
            Cause::InvalidResponseToTraining => m(
                "b.badresp",
                Training,
                FarEnd,
                Simpler,
                (14, 104),
                "The other machine answered nonsense when transmission was agreed.",
            ),
            Cause::RemoteDoesNotHear => {
                m("b.dis3", Procedure, Line, Simpler, (48, 136), "The other machine does not hear us.")
            }
            Cause::DisconnectedBeforePage => m(
                "b.dcnwait",
                Procedure,
                FarEnd,
                Later,
                (17, 103),
                "The other machine hung up before the first page.",
            ),
            Cause::NoResponseAfterPage => {
                m("d.noresp", Procedure, Line, Carefully, (21, 147), "A page was sent and not answered.")
            }
            Cause::InvalidResponseAfterPage => m(
                "d.badresp",
                Procedure,
                FarEnd,
                Carefully,
                (18, 146),
                "A page was sent and the answer made no sense.",
            ),
            Cause::EcmBroken => {
                m("d.ecmphd", Image, FarEnd, Simpler, (16, 143), "Error correction broke down.")
            }
            Cause::DisconnectedAfterPage => {
                m("d.dcn", Procedure, FarEnd, Carefully, (15, 103), "The other machine hung up after a page.")
            }
            Cause::Interrupted => m(
                "d.interrupt",
                Procedure,
                FarEnd,
                AskSender,
                (7, 129),
                "Someone at the other machine interrupted.",
            ),
            Cause::PageRefused => m(
                "d.rtn",
                Image,
                Line,
                Carefully,
                (40, 130),
                "The other machine found a page unreadable each time.",
            ),
            Cause::EcmGaveUp => m(
                "d.ecm.give-up",
                Image,
                Line,
                Carefully,
                (48, 143),
                "A page did not get through however often it was repeated.",
            ),
            Cause::PageTooLong => m("c.general", Image, Line, Carefully, (48, 148), "A page took too long."),
            Cause::RemoteBusy => m(
                "d.t5",
                Procedure,
                FarEnd,
                Later,
                (22, 109),
                "The other machine was not ready for a minute.",
            ),
            Cause::CommandLost => {
                m("r.t2", Procedure, Line, Nothing, (30, 118), "The sender fell silent after a page.")
            }
            Cause::CallerLeftBeforePage => {
                m("r.dcnearly", Procedure, FarEnd, Nothing, (35, 108), "The caller hung up before sending.")
            }
            Cause::CallerLeftInPage => {
                m("r.dcndata", Image, FarEnd, Nothing, (36, 108), "The caller hung up in a page.")
            }
            Cause::CallerLeftBetweenPages => m(
                "r.dcnphd",
                Procedure,
                FarEnd,
                Nothing,
                (38, 237),
                "The caller hung up without ending properly.",
            ),
            Cause::CallerLeftAfterRefusal => m(
                "r.dcnrtn",
                Image,
                FarEnd,
                Nothing,
                (40, 130),
                "The caller hung up after a page that could not be read.",
            ),
            Cause::PageSignalLost => {
                m("r.nocarrier", Image, Line, Nothing, (26, 112), "The signal was lost in a page.")
            }
            Cause::ProtocolError => {
                m("r.invalid", Procedure, FarEnd, Nothing, (25, 110), "The sender broke the rules.")
            }
            Cause::EcmProtocolError => m(
                "r.ecm",
                Image,
                FarEnd,
                Nothing,
                (23, 119),
                "The sender broke the rules of error correction.",
            ),
        }
    }

    /// The cause that spandsp's completion code, and so KAZOO's fax result code, comes nearest to. `None` for
    /// success and for faults in files.
    #[must_use]
    pub fn from_spandsp(code: u8) -> Option<Cause> {
        let exact = Cause::ALL.into_iter().find(|c| c.meaning().spandsp == code);
        exact.or(match code {
            1 | 2 | 28 | 31 => Some(Cause::NoFax),
            4 => Some(Cause::Interrupted),
            5 => Some(Cause::NoGreeting),
            10 => Some(Cause::NothingToPoll),
            11 | 12 => Some(Cause::Incompatible),
            24 => Some(Cause::ProtocolError),
            27 => Some(Cause::PageSignalLost),
            32..=34 => Some(Cause::CommandLost),
            37 => Some(Cause::CallerLeftInPage),
            39 => Some(Cause::CallerLeftBetweenPages),
            42..=47 => Some(Cause::TooSlow),
            52..=61 => Some(Cause::IdentRefused),
            _ => None,
        })
    }
}

/// A row of the table.
const fn m(
    class: &'static str,
    layer: Layer,
    fault: Fault,
    next: Next,
    (spandsp, hylafax): (u8, u16),
    sentence: &'static str,
) -> Meaning {
    Meaning { class, layer, fault, next, spandsp, hylafax, sentence }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cause_is_told() {
        for (i, cause) in Cause::ALL.into_iter().enumerate() {
            let meaning = cause.meaning();
            assert!(!Cause::ALL[..i].contains(&cause), "{cause:?}");
            assert!(meaning.sentence.ends_with('.') && meaning.class.contains('.'));
            assert!((1..=61).contains(&meaning.spandsp), "{cause:?}");
        }
    }

    #[test]
    fn spandsps_codes_come_back() {
        assert_eq!(Cause::from_spandsp(0), None);
        for code in 1..=61 {
            // 29: T2 ran out where DCN was due, which is success; 41 to 47 are faults of files.
            assert_eq!(Cause::from_spandsp(code).is_some(), code != 29, "{code}");
        }
        assert_eq!(Cause::from_spandsp(49), Some(Cause::CallDropped));
        assert_eq!(Cause::from_spandsp(62), None);
    }
}
