//! The timers of a call and their values (T.30 §5.4, Annex A; values widened towards networks).

use core::time::Duration;

/// What can run out.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Timer {
    /// Calling: how long to wait for a fax to answer.
    T0,
    /// Phase B: how long two terminals try to identify each other.
    T1,
    /// Receiving with ECM: carrier without a good frame.
    T1A,
    /// Receiving: how long to search for a command or a page.
    T2,
    /// How long the far end's operator is waited for after PRI-MPS …, PIP or PIN.
    T3,
    /// Sending: how long to search for a response; called: interval between DIS.
    T4,
    /// Sending with ECM: how long the far end may be not ready.
    T5,
    /// From the first flag to a whole frame (unnamed in T.30).
    Frame,
    /// The far end's carrier should drop before we answer.
    Turnaround,
    /// Receiving: the training check should begin, and end.
    Tcf,
    /// Receiving without ECM: carrier without data.
    Image,
    /// The longest page, repeats included.
    Page,
    /// What was asked to be sent should have left.
    Sending,
    /// An answer that we asked of our own assembly (page, verdict).
    Assembly,
    /// Receiving with ECM: our assembly has not judged the page yet, and the sender should hear so.
    Busy,
    /// After DCN has left: wait, then release.
    Release,
    /// The longest call.
    Call,
}

impl Timer {
    /// T.30's name, or ours where it has none.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Timer::T0 => "T0",
            Timer::T1 => "T1",
            Timer::T1A => "T1A",
            Timer::T2 => "T2",
            Timer::T3 => "T3",
            Timer::T4 => "T4",
            Timer::T5 => "T5",
            Timer::Frame => "frame",
            Timer::Turnaround => "turnaround",
            Timer::Tcf => "TCF",
            Timer::Image => "image",
            Timer::Page => "page",
            Timer::Sending => "sending",
            Timer::Assembly => "assembly",
            Timer::Busy => "busy",
            Timer::Release => "release",
            Timer::Call => "call",
        }
    }

    /// Whether it is worth telling that it ran out.
    pub(crate) const fn is_of_t30(self) -> bool {
        matches!(
            self,
            Timer::T0 | Timer::T1 | Timer::T1A | Timer::T2 | Timer::T3 | Timer::T4 | Timer::T5 | Timer::Page
        )
    }
}

/// 60 ± 5 s.
pub(crate) const T0: Duration = Duration::from_secs(60);
/// 35 ± 5 s.
pub(crate) const T1: Duration = Duration::from_secs(35);
/// 35 ± 5 s.
pub(crate) const T1A: Duration = Duration::from_secs(35);
/// 6 ± 1 s; the upper end, because networks delay.
pub(crate) const T2: Duration = Duration::from_secs(7);
/// After MCF to EOM the called terminal returns to phase B within 5 s … 7 s.
pub(crate) const T2_AFTER_EOM: Duration = Duration::from_secs(6);
/// 10 ± 5 s.
pub(crate) const T3: Duration = Duration::from_secs(10);
/// The far end's T3 at most, and the room of T2: after PIP and PIN the sender may be waiting for its operator.
pub(crate) const T3_FAR: Duration = Duration::from_secs(22);
/// 3 s ± 15 %; the upper end, because networks delay.
pub(crate) const T4: Duration = Duration::from_millis(3_450);
/// 60 ± 5 s.
pub(crate) const T5: Duration = Duration::from_secs(60);
/// 3 s ± 15 %.
pub(crate) const FRAME: Duration = Duration::from_millis(3_450);
/// A carrier that stays after the final frame is not waited for longer than this.
pub(crate) const TURNAROUND: Duration = Duration::from_millis(1_000);
/// A TCF may start 2.5 s late, and V.17 trains for 1.4 s; FTT must come before the sender's T4.
pub(crate) const TCF_BEGINS: Duration = Duration::from_millis(4_500);
/// 1.65 s of zeros at most, and room for a carrier-up that was told before the training.
pub(crate) const TCF_ENDS: Duration = Duration::from_millis(3_600);
/// Twice T.4's 5 s between two EOL: no octet at all.
pub(crate) const IMAGE: Duration = Duration::from_secs(10);
/// Room above the calculated duration of a transmission.
pub(crate) const SENDING: Duration = Duration::from_secs(30);
/// Our own assembly codes or decodes a page faster than this.
pub(crate) const ASSEMBLY: Duration = Duration::from_secs(10);
/// RNR is said so long after PPS, well within the sender's T4.
pub(crate) const BUSY: Duration = Duration::from_millis(1_500);
/// From DCN having left to the release.
pub(crate) const RELEASE: Duration = Duration::from_secs(1);
/// No call takes longer.
pub(crate) const CALL: Duration = Duration::from_secs(12 * 3_600);

/// The gap between two carriers: 75 ± 20 ms.
pub(crate) const GAP: Duration = Duration::from_millis(75);
/// Every command is sent so often.
pub(crate) const SENDS: u8 = 3;
/// A post-message command that begins so soon after our response has left, with no image between,
/// is the last one repeated: 4.5 s + 15 % of a manual terminal's T4, less the length of the response.
pub(crate) const REPEAT_WINDOW: Duration = Duration::from_millis(4_000);
