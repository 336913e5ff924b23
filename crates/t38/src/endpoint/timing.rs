//! When packets leave: as if a gateway with a real modem were at the far end (T.38 §7.5, §8; T.30 §5).

use core::time::Duration;
use fax_base::line::{Modulation, Training};

/// From the V.21 indicator to the first octet: T.30's second of flags. Peers exist that want all of it.
pub(crate) const PREAMBLE: Duration = Duration::from_millis(1050);
/// Flags between the training and the first frame of an ECM page.
const ECM_FLAGS: Duration = Duration::from_millis(200);
/// A far modem may send a talker echo protection tone before its training.
const ECHO_PROTECTION: Duration = Duration::from_millis(215);
/// Quiet between two signals (T.30: 75 ± 20 ms).
pub(crate) const QUIET: Duration = Duration::from_millis(75);
/// From the end of a signal on the far line to `no-signal`: dropped too early, the last octets die.
pub(crate) const RELEASE: Duration = Duration::from_millis(60);
/// Gateways send on a frame of ECM only when they have all of it; so much of that is borne by the quiet and
/// the flags that follow. At low rates a frame lasts longer, and the next signal has to wait.
pub(crate) const STORED: Duration = Duration::from_millis(150);
/// Zeros behind the last octet of raw bits: peers cut the carrier as soon as `sig-end` comes.
pub(crate) const TRAILING_ZEROS: Duration = Duration::from_millis(90);
/// Between the copies of an indicator or of the end of a signal.
pub(crate) const REPEAT: Duration = Duration::from_millis(10);
/// Copies in all.
pub(crate) const COPIES: u8 = 3;
/// Without anything sent for this long, the present state is told again: NAT bindings stay open.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_millis(2000);
/// A signal in which nothing came for this long is over.
pub(crate) const MID_SIGNAL: Duration = Duration::from_secs(15);
/// V.21.
pub(crate) const CONTROL_BIT_RATE: u32 = 300;
/// From one packet of V.21 to the next: three or four octets. Fewer packets to a frame means fewer to be
/// lost, and what rides along reaches back farther.
pub(crate) const CONTROL_CADENCE: Duration = Duration::from_millis(90);
/// Octets of V.21 in a packet at most (T.38 §7.5).
pub(crate) const CONTROL_OCTETS: usize = 7;
/// From one packet of image data to the next, the longest that the limits allow is taken.
pub(crate) const CADENCES: [Duration; 3] =
    [Duration::from_millis(30), Duration::from_millis(20), Duration::from_millis(10)];

/// From the training indicator to the first octet.
pub(crate) fn training(modulation: Modulation, training: Training, frames: bool) -> Duration {
    let sequence = match (modulation, training) {
        (Modulation::V27ter2400, _) => 943,
        (Modulation::V27ter4800, _) => 708,
        (Modulation::V29At7200 | Modulation::V29At9600, _) => 253,
        (_, Training::Long) => 1393,
        (_, Training::Short) => 142,
    };
    let flags = if frames { ECM_FLAGS } else { Duration::ZERO };
    Duration::from_millis(sequence) + ECHO_PROTECTION + flags
}

/// How long `bits` take.
pub(crate) fn line_time(bits: u64, bit_rate: u32) -> Duration {
    Duration::from_micros(bits.saturating_mul(1_000_000) / u64::from(bit_rate.max(1)))
}

/// How many bits go in this time.
pub(crate) fn line_bits(time: Duration, bit_rate: u32) -> u64 {
    let micros = u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    micros.saturating_mul(u64::from(bit_rate)) / 1_000_000
}
