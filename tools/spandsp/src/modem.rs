//! spandsp's modems by themselves: V.21, V.27ter, V.29 and V.17, receivers and transmitters.
//!
//! Samples are 16 bit linear PCM at 8 kHz. The transmitters' QAM signals are about 2.9 dB louder than
//! asked for (measured); whoever needs an exact level measures it.

use fax_base::bits::BitSource;
use spandsp_sys as c;
use std::ffi::{c_int, c_void};
use std::ptr;

/// A modem and its rate.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Modem {
    /// V.21, 980 Hz and 1180 Hz, 300 bit/s.
    V21Channel1,
    /// V.21, 1650 Hz and 1850 Hz, 300 bit/s.
    V21Channel2,
    /// V.27ter at 2400 bit/s.
    V27ter2400,
    /// V.27ter at 4800 bit/s.
    V27ter4800,
    /// V.29 at 4800 bit/s.
    V29At4800,
    /// V.29 at 7200 bit/s.
    V29At7200,
    /// V.29 at 9600 bit/s.
    V29At9600,
    /// V.17 at 7200 bit/s.
    V17At7200,
    /// V.17 at 9600 bit/s.
    V17At9600,
    /// V.17 at 12 000 bit/s.
    V17At12000,
    /// V.17 at 14 400 bit/s.
    V17At14400,
}

impl Modem {
    /// All of them.
    pub const ALL: [Modem; 11] = [
        Modem::V21Channel1,
        Modem::V21Channel2,
        Modem::V27ter2400,
        Modem::V27ter4800,
        Modem::V29At4800,
        Modem::V29At7200,
        Modem::V29At9600,
        Modem::V17At7200,
        Modem::V17At9600,
        Modem::V17At12000,
        Modem::V17At14400,
    ];

    /// The rate, bit/s.
    #[must_use]
    pub const fn bit_rate(self) -> u32 {
        match self {
            Modem::V21Channel1 | Modem::V21Channel2 => 300,
            Modem::V27ter2400 => 2400,
            Modem::V27ter4800 | Modem::V29At4800 => 4800,
            Modem::V29At7200 | Modem::V17At7200 => 7200,
            Modem::V29At9600 | Modem::V17At9600 => 9600,
            Modem::V17At12000 => 12_000,
            Modem::V17At14400 => 14_400,
        }
    }

    const fn rate(self) -> c_int {
        self.bit_rate() as c_int
    }

    const fn family(self) -> Family {
        match self {
            Modem::V21Channel1 => Family::V21(1180, 980),
            Modem::V21Channel2 => Family::V21(1850, 1650),
            Modem::V27ter2400 | Modem::V27ter4800 => Family::V27ter,
            Modem::V29At4800 | Modem::V29At7200 | Modem::V29At9600 => Family::V29,
            Modem::V17At7200 | Modem::V17At9600 | Modem::V17At12000 | Modem::V17At14400 => Family::V17,
        }
    }
}

enum Family {
    /// The frequencies of 0 and 1, Hz.
    V21(c_int, c_int),
    V27ter,
    V29,
    V17,
}

/// V.21 as spandsp's own table has it: −14 dBm0 sent, −30 dBm0 received.
const fn v21(zero: c_int, one: c_int) -> c::fsk_spec_t {
    c::fsk_spec_t {
        name: ptr::null(),
        freq_zero: zero,
        freq_one: one,
        tx_level: -14,
        min_level: -30,
        baud_rate: 300 * 100,
    }
}

/// What a receiver tells, in order.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Event {
    /// A bit of data.
    Bit(bool),
    /// Something is on the line.
    CarrierUp,
    /// It begins like a training.
    TrainingInProgress,
    /// The training was followed.
    TrainingSucceeded,
    /// It could not be followed.
    TrainingFailed,
    /// The signal is over.
    CarrierDown,
    /// Another of spandsp's status numbers (async.h).
    Other(i32),
}

/// The data among `events`.
#[must_use]
pub fn bits(events: &[Event]) -> Vec<bool> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Bit(bit) => Some(*bit),
            Event::CarrierUp
            | Event::TrainingInProgress
            | Event::TrainingSucceeded
            | Event::TrainingFailed
            | Event::CarrierDown
            | Event::Other(_) => None,
        })
        .collect()
}

// SIG_STATUS_… of async.h.
const CARRIER_DOWN: c_int = -1;
const CARRIER_UP: c_int = -2;
const TRAINING_IN_PROGRESS: c_int = -3;
const TRAINING_SUCCEEDED: c_int = -4;
const TRAINING_FAILED: c_int = -5;
const END_OF_DATA: c_int = -7;

/// A bit or a status of a receiver; `user` is null or a `Vec<Event>`.
unsafe extern "C" fn put_bit(user: *mut c_void, bit: c_int) {
    // SAFETY: `Rx::receive` sets `user` to the list that it was lent, and back to null before it returns.
    if let Some(events) = unsafe { user.cast::<Vec<Event>>().as_mut() } {
        events.push(match bit {
            0 => Event::Bit(false),
            1 => Event::Bit(true),
            CARRIER_DOWN => Event::CarrierDown,
            CARRIER_UP => Event::CarrierUp,
            TRAINING_IN_PROGRESS => Event::TrainingInProgress,
            TRAINING_SUCCEEDED => Event::TrainingSucceeded,
            TRAINING_FAILED => Event::TrainingFailed,
            other => Event::Other(other),
        });
    }
}

/// A bit for a transmitter; `user` is null or a `&mut dyn BitSource`.
unsafe extern "C" fn get_bit(user: *mut c_void) -> c_int {
    // SAFETY: `Tx::transmit` sets `user` to a place that holds the source it was lent, and back to null
    // before it returns. A source that panics ends the process here, for it cannot unwind into C.
    match unsafe { user.cast::<&mut dyn BitSource>().as_mut() } {
        Some(source) => source.next_bit().map_or(END_OF_DATA, c_int::from),
        None => 1,
    }
}

enum RxState {
    V21(*mut c::fsk_rx_state_t),
    V27ter(*mut c::v27ter_rx_state_t),
    V29(*mut c::v29_rx_state_t),
    V17(*mut c::v17_rx_state_t),
}

/// One of spandsp's receivers.
pub struct Rx {
    modem: Modem,
    state: RxState,
}

impl Rx {
    /// A receiver that waits for a signal with long training.
    ///
    /// # Panics
    ///
    /// No memory.
    #[must_use]
    pub fn new(modem: Modem) -> Self {
        let none = ptr::null_mut();
        let rate = modem.rate();
        // SAFETY: null states ask for new ones; the callback takes its null `user`; the description of the
        // tones is only read during the call.
        let (state, missing) = unsafe {
            match modem.family() {
                Family::V21(zero, one) => {
                    let synchronous = 1; // FSK_FRAME_MODE_SYNC
                    let s =
                        c::fsk_rx_init(ptr::null_mut(), &v21(zero, one), synchronous, Some(put_bit), none);
                    (RxState::V21(s), s.is_null())
                }
                Family::V27ter => {
                    let s = c::v27ter_rx_init(ptr::null_mut(), rate, Some(put_bit), none);
                    (RxState::V27ter(s), s.is_null())
                }
                Family::V29 => {
                    let s = c::v29_rx_init(ptr::null_mut(), rate, Some(put_bit), none);
                    (RxState::V29(s), s.is_null())
                }
                Family::V17 => {
                    let s = c::v17_rx_init(ptr::null_mut(), rate, Some(put_bit), none);
                    (RxState::V17(s), s.is_null())
                }
            }
        };
        assert!(!missing, "spandsp has no memory");
        Rx { modem, state }
    }

    /// Waits for a new signal; with `short` for V.17's short training (V.29 and V.27ter: the same training,
    /// with what was learnt in the last one). V.21 starts afresh.
    pub fn restart(&mut self, short: bool) {
        let rate = self.modem.rate();
        // SAFETY: the state is live and exclusively borrowed.
        unsafe {
            match self.state {
                RxState::V21(_) => *self = Rx::new(self.modem),
                RxState::V27ter(s) => drop_code(c::v27ter_rx_restart(s, rate, short)),
                RxState::V29(s) => drop_code(c::v29_rx_restart(s, rate, short)),
                RxState::V17(s) => drop_code(c::v17_rx_restart(s, rate, c_int::from(short))),
            }
        }
    }

    /// The level below which nothing is taken for a signal, dBm0. A new QAM receiver has −45.5, V.21's
    /// −30; spandsp's fax machine sets V.21's to −39.09.
    pub fn set_signal_cutoff(&mut self, level: f32) {
        // SAFETY: the state is live and exclusively borrowed.
        unsafe {
            match self.state {
                RxState::V21(s) => c::fsk_rx_set_signal_cutoff(s, level),
                RxState::V27ter(s) => c::v27ter_rx_set_signal_cutoff(s, level),
                RxState::V29(s) => c::v29_rx_set_signal_cutoff(s, level),
                RxState::V17(s) => c::v17_rx_set_signal_cutoff(s, level),
            }
        }
    }

    /// Audio comes from the line; what it tells is appended to `events`.
    pub fn receive(&mut self, samples: &[i16], events: &mut Vec<Event>) {
        self.report_to(ptr::from_mut(events).cast());
        for chunk in samples.chunks(8000) {
            let (amp, len) = (chunk.as_ptr(), chunk.len() as c_int);
            // SAFETY: the state is live and exclusively borrowed; `amp` is readable for `len` samples;
            // `events` is borrowed for longer than the callback can reach it.
            unsafe {
                drop_code(match self.state {
                    RxState::V21(s) => c::fsk_rx(s, amp, len),
                    RxState::V27ter(s) => c::v27ter_rx(s, amp, len),
                    RxState::V29(s) => c::v29_rx(s, amp, len),
                    RxState::V17(s) => c::v17_rx(s, amp, len),
                });
            }
        }
        self.report_to(ptr::null_mut());
    }

    /// So many samples were lost on the way: spandsp's `…_rx_fillin`.
    pub fn receive_lost(&mut self, samples: usize, events: &mut Vec<Event>) {
        self.report_to(ptr::from_mut(events).cast());
        let len = c_int::try_from(samples).unwrap_or(c_int::MAX);
        // SAFETY: as in `receive`.
        unsafe {
            drop_code(match self.state {
                RxState::V21(s) => c::fsk_rx_fillin(s, len),
                RxState::V27ter(s) => c::v27ter_rx_fillin(s, len),
                RxState::V29(s) => c::v29_rx_fillin(s, len),
                RxState::V17(s) => c::v17_rx_fillin(s, len),
            });
        }
        self.report_to(ptr::null_mut());
    }

    /// The level of what is received, dBm0, as spandsp sees it.
    #[must_use]
    pub fn signal_power(&self) -> f32 {
        // SAFETY: the state is live; nothing else uses it during the call.
        unsafe {
            match self.state {
                RxState::V21(s) => c::fsk_rx_signal_power(s),
                RxState::V27ter(s) => c::v27ter_rx_signal_power(s),
                RxState::V29(s) => c::v29_rx_signal_power(s),
                RxState::V17(s) => c::v17_rx_signal_power(s),
            }
        }
    }

    fn report_to(&mut self, user: *mut c_void) {
        // SAFETY: the state is live and exclusively borrowed.
        unsafe {
            match self.state {
                RxState::V21(s) => c::fsk_rx_set_put_bit(s, Some(put_bit), user),
                RxState::V27ter(s) => c::v27ter_rx_set_put_bit(s, Some(put_bit), user),
                RxState::V29(s) => c::v29_rx_set_put_bit(s, Some(put_bit), user),
                RxState::V17(s) => c::v17_rx_set_put_bit(s, Some(put_bit), user),
            }
        }
    }
}

impl Drop for Rx {
    fn drop(&mut self) {
        // SAFETY: the state is live and freed once.
        unsafe {
            drop_code(match self.state {
                RxState::V21(s) => c::fsk_rx_free(s),
                RxState::V27ter(s) => c::v27ter_rx_free(s),
                RxState::V29(s) => c::v29_rx_free(s),
                RxState::V17(s) => c::v17_rx_free(s),
            });
        }
    }
}

/// spandsp's return codes here say nothing that could be acted on.
fn drop_code(_: c_int) {}

enum TxState {
    V21(*mut c::fsk_tx_state_t),
    V27ter(*mut c::v27ter_tx_state_t),
    V29(*mut c::v29_tx_state_t),
    V17(*mut c::v17_tx_state_t),
}

/// One of spandsp's transmitters.
pub struct Tx {
    state: TxState,
    finished: bool,
}

impl Tx {
    /// A transmitter at the start of its signal. `talker_echo_protection` puts the tone before it that
    /// does so; `short` is V.17's short training. Neither means anything to V.21.
    ///
    /// # Panics
    ///
    /// No memory.
    #[must_use]
    pub fn new(modem: Modem, talker_echo_protection: bool, short: bool) -> Self {
        let none = ptr::null_mut();
        let (rate, tep) = (modem.rate(), talker_echo_protection);
        // SAFETY: as in `Rx::new`; the state that is restarted has just been made.
        let (state, missing) = unsafe {
            match modem.family() {
                Family::V21(zero, one) => {
                    let s = c::fsk_tx_init(ptr::null_mut(), &v21(zero, one), Some(get_bit), none);
                    (TxState::V21(s), s.is_null())
                }
                Family::V27ter => {
                    let s = c::v27ter_tx_init(ptr::null_mut(), rate, tep, Some(get_bit), none);
                    (TxState::V27ter(s), s.is_null())
                }
                Family::V29 => {
                    let s = c::v29_tx_init(ptr::null_mut(), rate, tep, Some(get_bit), none);
                    (TxState::V29(s), s.is_null())
                }
                Family::V17 => {
                    let s = c::v17_tx_init(ptr::null_mut(), rate, tep, Some(get_bit), none);
                    if !s.is_null() && short {
                        drop_code(c::v17_tx_restart(s, rate, tep, true));
                    }
                    (TxState::V17(s), s.is_null())
                }
            }
        };
        assert!(!missing, "spandsp has no memory");
        Tx { state, finished: false }
    }

    /// The level of the signal, dBm0 as spandsp means it; −14 in a new one.
    pub fn set_power(&mut self, level: f32) {
        // SAFETY: the state is live and exclusively borrowed.
        unsafe {
            match self.state {
                TxState::V21(s) => c::fsk_tx_power(s, level),
                TxState::V27ter(s) => c::v27ter_tx_power(s, level),
                TxState::V29(s) => c::v29_tx_power(s, level),
                TxState::V17(s) => c::v17_tx_power(s, level),
            }
        }
    }

    /// Fills `out` and says how many samples were made. When `bits` has no more, the turn-off follows;
    /// fewer samples than `out` takes mean that the signal is over.
    pub fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize {
        let mut source = bits;
        self.ask((&raw mut source).cast());
        let mut made = 0;
        for chunk in out.chunks_mut(8000) {
            let (amp, len) = (chunk.as_mut_ptr(), chunk.len() as c_int);
            // SAFETY: the state is live and exclusively borrowed; `amp` is writable for `len` samples;
            // `source` lives for longer than the callback can reach it, and only the callback uses it.
            let got = unsafe {
                match self.state {
                    TxState::V21(s) => c::fsk_tx(s, amp, len),
                    TxState::V27ter(s) => c::v27ter_tx(s, amp, len),
                    TxState::V29(s) => c::v29_tx(s, amp, len),
                    TxState::V17(s) => c::v17_tx(s, amp, len),
                }
            };
            let got = usize::try_from(got).unwrap_or(0).min(chunk.len());
            made += got;
            if got < chunk.len() {
                self.finished = true;
                break;
            }
        }
        self.ask(ptr::null_mut());
        made
    }

    /// Whether the signal is over.
    #[must_use]
    pub fn finished(&self) -> bool {
        self.finished
    }

    fn ask(&mut self, user: *mut c_void) {
        // SAFETY: the state is live and exclusively borrowed.
        unsafe {
            match self.state {
                TxState::V21(s) => c::fsk_tx_set_get_bit(s, Some(get_bit), user),
                TxState::V27ter(s) => c::v27ter_tx_set_get_bit(s, Some(get_bit), user),
                TxState::V29(s) => c::v29_tx_set_get_bit(s, Some(get_bit), user),
                TxState::V17(s) => c::v17_tx_set_get_bit(s, Some(get_bit), user),
            }
        }
    }
}

impl Drop for Tx {
    fn drop(&mut self) {
        // SAFETY: the state is live and freed once.
        unsafe {
            drop_code(match self.state {
                TxState::V21(s) => c::fsk_tx_free(s),
                TxState::V27ter(s) => c::v27ter_tx_free(s),
                TxState::V29(s) => c::v29_tx_free(s),
                TxState::V17(s) => c::v17_tx_free(s),
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_base::bits::OctetBits;

    /// Octets in which every bit is used and nothing repeats soon.
    fn octets(count: usize) -> Vec<u8> {
        let mut state = 0x1234_5678u32;
        (0..count)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            })
            .collect()
    }

    fn signal(modem: Modem, tep: bool, short: bool, octets: &[u8]) -> Vec<i16> {
        let mut tx = Tx::new(modem, tep, short);
        let mut source = OctetBits::new(octets);
        let mut samples = vec![0; 800];
        while !tx.finished() {
            let at = samples.len();
            samples.resize(at + 160, 0);
            let made = tx.transmit(&mut source, &mut samples[at..]);
            samples.truncate(at + made);
        }
        samples.resize(samples.len() + 1600, 0);
        samples
    }

    fn found(events: &[Event], octets: &[u8]) -> bool {
        let mut source = OctetBits::new(octets);
        let sent: Vec<bool> = std::iter::from_fn(|| source.next_bit()).collect();
        bits(events).windows(sent.len()).any(|window| window == sent)
    }

    #[test]
    fn every_modem_hears_itself() {
        for modem in Modem::ALL {
            for tep in [false, true] {
                let octets = octets(modem.bit_rate() as usize / 8);
                let mut rx = Rx::new(modem);
                let mut events = Vec::new();
                rx.receive(&signal(modem, tep, false, &octets), &mut events);
                assert!(found(&events, &octets), "{modem:?}");
                let mut rest = events.iter().filter(|e| !matches!(e, Event::Bit(_)));
                assert_eq!(rest.next(), Some(&Event::CarrierUp), "{modem:?}");
                assert_eq!(rest.next_back(), Some(&Event::CarrierDown), "{modem:?}");
                let trained = !matches!(modem, Modem::V21Channel1 | Modem::V21Channel2);
                assert_eq!(events.contains(&Event::TrainingSucceeded), trained, "{modem:?}");
            }
        }
    }

    #[test]
    fn v17_trains_shortly_after_long() {
        let octets = octets(900);
        let mut rx = Rx::new(Modem::V17At14400);
        rx.receive(&signal(Modem::V17At14400, false, false, &octets), &mut Vec::new());
        rx.restart(true);
        let mut events = Vec::new();
        rx.receive(&signal(Modem::V17At14400, false, true, &octets), &mut events);
        assert!(found(&events, &octets));
    }
}
