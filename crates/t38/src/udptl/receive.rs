//! Putting packets in order and making good what was lost (T.38 §9.1.4).

use super::{Packet, PacketError, Recovery, xor_into};
use crate::ifp::{DecodeError, Decoder};
use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use fax_base::Instant;
use std::collections::{BTreeMap, VecDeque};

/// How long a hole is kept open for a late packet: several packet intervals of network reordering.
const LATE_WAIT: Duration = Duration::from_millis(100);
/// The same with FEC, where packets yet to come may fill the hole.
const FEC_WAIT: Duration = Duration::from_millis(300);
/// A number farther away than this means that the peer began anew.
const RESTART: i32 = 2000;
/// So many packets in a row whose numbers were used for others mean the same.
const ASTRAY: u8 = 3;
/// IFPs that are remembered for parity.
const HISTORY: usize = 64;
/// And digests of IFPs, as far back as a number may lie without being a restart by itself.
const DIGESTS: usize = RESTART as usize;
/// Packets held behind a hole before it is given up.
const MOST_HELD: usize = 48;
/// Parities that wait for more packets.
const MOST_PARITIES: usize = 32;
/// Where counting begins, so that numbers can go back.
const ORIGIN: u64 = 1 << 20;

/// What comes out, in order.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Delivery {
    /// An IFP.
    Ifp {
        /// Its octets.
        octets: Bytes,
        /// It was recovered from parity: zeros may follow its end.
        padded: bool,
    },
    /// This many IFPs are lost for good.
    Missing(u32),
}

/// A datagram that was not used at all.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Invalid {
    /// It is not a UDPTL packet.
    Packet(PacketError),
    /// Its primary is not an IFP.
    Ifp(DecodeError),
    /// It could be one, but is damaged and its number is out of all order.
    Stray,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Invalid::Packet(e) => write!(f, "not a UDPTL packet: {e}"),
            Invalid::Ifp(e) => write!(f, "not an IFP: {e}"),
            Invalid::Stray => f.write_str("a damaged packet out of all order"),
        }
    }
}

impl core::error::Error for Invalid {}

/// Counters.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ReceiverCounters {
    /// Valid packets.
    pub packets: u64,
    /// Datagrams that were not used.
    pub invalid: u64,
    /// Packets that came again or too late.
    pub duplicate: u64,
    /// IFPs recovered by redundancy or FEC.
    pub recovered: u64,
    /// IFPs lost for good.
    pub lost: u64,
}

#[derive(Clone, Debug)]
struct Slot {
    octets: Bytes,
    padded: bool,
}

/// One item of parity: `count` packets from `first` on, every `step`th.
#[derive(Clone, Debug)]
struct Parity {
    first: u64,
    step: u64,
    count: u64,
    octets: Bytes,
}

/// The receiving half of a UDPTL session.
#[derive(Clone, Debug)]
pub struct Receiver {
    /// The next number to be delivered, counted without wrapping.
    expected: Option<u64>,
    /// Delivered IFPs in order, for parity.
    past: VecDeque<(u64, Slot)>,
    /// What was delivered under the numbers before `expected`, to know a duplicate from a peer that began anew; none
    /// where nothing was.
    digests: VecDeque<Option<u32>>,
    /// How many packets in a row were none of these, and the last one's number.
    astray: (u8, u64),
    /// Those that wait behind a hole.
    ahead: BTreeMap<u64, Slot>,
    parities: Vec<Parity>,
    /// When the present hole is given up.
    give_up: Option<Instant>,
    /// FEC is in use.
    fec: bool,
    ready: VecDeque<Delivery>,
    counters: ReceiverCounters,
    probe: Decoder,
}

impl Receiver {
    /// A session whose first number is not known; `version` is the agreed T38FaxVersion.
    #[must_use]
    pub fn new(version: u8) -> Self {
        Receiver {
            expected: None,
            past: VecDeque::with_capacity(HISTORY),
            digests: VecDeque::new(),
            astray: (0, 0),
            ahead: BTreeMap::new(),
            parities: Vec::new(),
            give_up: None,
            fec: false,
            ready: VecDeque::new(),
            counters: ReceiverCounters::default(),
            probe: Decoder::new(version),
        }
    }

    /// Takes a datagram.
    ///
    /// # Errors
    /// Why it was dropped; nothing else happens then.
    pub fn receive(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Invalid> {
        let result = self.accept(now, datagram);
        if result.is_err() {
            self.counters.invalid += 1;
        }
        result
    }

    /// The next thing delivered.
    pub fn poll(&mut self) -> Option<Delivery> {
        self.ready.pop_front()
    }

    /// When [`Receiver::timeout`] is due.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.give_up
    }

    /// Gives up a hole whose time has come.
    pub fn timeout(&mut self, now: Instant) {
        while self.give_up.is_some_and(|at| at <= now) {
            self.skip_hole();
            self.advance(now);
        }
    }

    /// The counters.
    #[must_use]
    pub fn counters(&self) -> ReceiverCounters {
        self.counters
    }

    fn accept(&mut self, now: Instant, datagram: &[u8]) -> Result<(), Invalid> {
        let packet = Packet::decode(datagram).map_err(Invalid::Packet)?;
        if !packet.sound {
            if packet.primary.is_empty() {
                return Err(Invalid::Stray);
            }
            // A damaged tail, or something else altogether (RTP on the same port): the primary
            // decides. The session's own decoder must see IFPs in order; this one only judges.
            self.probe.clone().decode(packet.primary, false).map_err(Invalid::Ifp)?;
        }
        let mut number = self.place(now, &packet)?;
        if self.is_anew(number, &packet) {
            number = self.begin_anew(now, &packet);
        }
        self.counters.packets += 1;
        if self.is_wanted(number) {
            self.put(number, packet.primary, false);
        } else {
            self.counters.duplicate += 1;
        }
        // What rides along on a late packet, or on one that is known already from the packets behind
        // it, may still be wanted.
        match &packet.recovery {
            Recovery::Secondaries(items) => self.put_secondaries(number, items),
            Recovery::Fec { span, items } => self.put_parities(number, *span, items),
        }
        self.recover();
        self.advance(now);
        Ok(())
    }

    /// The packet's number without wrapping; begins anew when it is out of all order.
    fn place(&mut self, now: Instant, packet: &Packet<'_>) -> Result<u64, Invalid> {
        let Some(expected) = self.expected else {
            if !packet.sound {
                return Err(Invalid::Stray);
            }
            let number = ORIGIN + u64::from(packet.sequence);
            self.expected = Some(number - riding_along(packet));
            return Ok(number);
        };
        let gap = packet.sequence.wrapping_sub(expected as u16) as i16;
        if i32::from(gap).abs() <= RESTART {
            return Ok(expected.saturating_add_signed(i64::from(gap)));
        }
        if !packet.sound {
            return Err(Invalid::Stray);
        }
        Ok(self.begin_anew(now, packet))
    }

    /// Whether the peer has begun anew at a number not far behind: what comes is not what came under it before.
    fn is_anew(&mut self, number: u64, packet: &Packet<'_>) -> bool {
        let back = self.expected.and_then(|expected| expected.checked_sub(number + 1));
        let at = back.and_then(|back| self.digests.len().checked_sub(usize::try_from(back).ok()? + 1));
        let before = at.and_then(|at| self.digests.get(at)).copied().flatten();
        if !packet.sound || before.is_none_or(|before| Some(before) == digest(packet.primary)) {
            self.astray = (0, 0);
            return false;
        }
        let (count, last) = self.astray;
        // Packets of weight are sent several times with one number.
        let count = if count == 0 || number < last { 1 } else { count + u8::from(number > last) };
        self.astray = (count, number);
        count >= ASTRAY
    }

    /// Delivers what is still held, then begins at this packet; its number.
    fn begin_anew(&mut self, now: Instant, packet: &Packet<'_>) -> u64 {
        while !self.ahead.is_empty() {
            self.skip_hole();
            self.advance(now);
            if self.give_up.is_none() {
                break;
            }
        }
        self.ready.push_back(Delivery::Missing(1));
        self.past.clear();
        self.digests.clear();
        self.astray = (0, 0);
        self.ahead.clear();
        self.parities.clear();
        self.give_up = None;
        let number = (self.expected.unwrap_or(ORIGIN) | 0xFFFF) + 1 + u64::from(packet.sequence);
        // What rides along is its own of before that was not understood.
        self.expected = Some(number - riding_along(packet).min(u64::from(packet.sequence)));
        number
    }

    /// Keeps an IFP that is wanted. The next one in order, which is the rule, is delivered at once.
    fn put(&mut self, number: u64, octets: &[u8], padded: bool) {
        if !self.is_wanted(number) {
            return;
        }
        let octets = Bytes::copy_from_slice(octets);
        let slot = Slot { octets, padded };
        if self.ahead.is_empty() && self.expected == Some(number) {
            self.give_out(number, slot);
        } else {
            self.ahead.insert(number, slot);
        }
    }

    fn give_out(&mut self, number: u64, slot: Slot) {
        self.expected = Some(number + 1);
        self.remember(digest(&slot.octets));
        if !slot.octets.is_empty() {
            let (octets, padded) = (slot.octets.clone(), slot.padded);
            self.ready.push_back(Delivery::Ifp { octets, padded });
        }
        if self.past.len() == HISTORY {
            self.past.pop_front();
        }
        self.past.push_back((number, slot));
    }

    fn remember(&mut self, digest: Option<u32>) {
        if self.digests.len() == DIGESTS {
            self.digests.pop_front();
        }
        self.digests.push_back(digest);
    }

    /// The IFP of this number, delivered or waiting.
    fn known(&self, number: u64) -> Option<&Slot> {
        self.ahead.get(&number).or_else(|| {
            let i = self.past.binary_search_by_key(&number, |(n, _)| *n).ok()?;
            self.past.get(i).map(|(_, slot)| slot)
        })
    }

    /// Whether this number is still wanted.
    fn is_wanted(&self, number: u64) -> bool {
        self.expected.is_some_and(|e| number >= e) && !self.ahead.contains_key(&number)
    }

    fn put_secondaries(&mut self, number: u64, items: &[&[u8]]) {
        // A peer that skips number 0 after FFFF: what it means by "one before" lies one farther back.
        let since_zero = usize::try_from(number & 0xFFFF).unwrap_or(usize::MAX);
        let zero = number & !0xFFFF;
        if since_zero >= 1 && since_zero <= items.len() && self.is_wanted(zero) {
            let same = |i: usize, back: u64| {
                let known = zero.checked_sub(back).and_then(|n| self.known(n));
                match (items.get(i), known) {
                    (Some(item), Some(slot)) => *item == slot.octets,
                    (None, _) => true,
                    (Some(_), None) => false,
                }
            };
            if same(since_zero - 1, 1) && same(since_zero, 2) {
                self.put(zero, &[], false);
            }
        }
        for (n, item) in (0..number).rev().zip(items) {
            if !item.is_empty() && self.is_wanted(n) {
                self.put(n, item, false);
                self.counters.recovered += 1;
            }
        }
    }

    fn put_parities(&mut self, number: u64, span: u16, items: &[&[u8]]) {
        self.fec = true;
        let (n, m) = (u64::from(span), items.len() as u64);
        if n == 0 || n * m > HISTORY as u64 {
            return;
        }
        for (j, item) in (0..m).zip(items) {
            let Some(first) = (number + j).checked_sub(n * m) else {
                continue;
            };
            if item.is_empty() {
                continue;
            }
            if self.parities.len() == MOST_PARITIES {
                self.parities.remove(0);
            }
            let octets = Bytes::copy_from_slice(item);
            self.parities.push(Parity { first, step: m, count: n, octets });
        }
    }

    /// Recovers by parity until nothing changes: one recovered packet may free another parity.
    fn recover(&mut self) {
        while let Some(expected) = self.expected {
            let mut found = None;
            let mut parities = core::mem::take(&mut self.parities);
            parities.retain(|p| {
                let mut unknown =
                    (0..p.count).map(|k| p.first + k * p.step).filter(|n| self.known(*n).is_none());
                match (unknown.next(), unknown.next()) {
                    (None, _) => false,
                    (Some(one), None) => {
                        if found.is_none() && one >= expected {
                            found = Some((one, p.clone()));
                        }
                        one >= expected
                    }
                    (Some(_), Some(_)) => true,
                }
            });
            self.parities = parities;
            let Some((number, p)) = found else { return };
            let mut octets = p.octets.to_vec();
            for n in (0..p.count).map(|k| p.first + k * p.step) {
                if let Some(slot) = self.known(n) {
                    xor_into(&mut octets, &slot.octets);
                }
            }
            self.put(number, &octets, true);
            self.counters.recovered += 1;
        }
    }

    /// Delivers what is in order, and watches the hole behind it.
    fn advance(&mut self, now: Instant) {
        let Some(before) = self.expected else { return };
        let mut expected = before;
        while let Some(slot) = self.ahead.remove(&expected) {
            self.give_out(expected, slot);
            expected += 1;
        }
        let held = self.ahead.len();
        if held == 0 {
            self.give_up = None;
        } else if held > MOST_HELD {
            self.give_up = Some(now);
            self.timeout(now);
        } else if self.give_up.is_none() || expected != before {
            let wait = if self.fec { FEC_WAIT } else { LATE_WAIT };
            self.give_up = Some(now + wait);
        }
    }

    /// Gives up what is missing before the next known packet.
    fn skip_hole(&mut self) {
        let Some(expected) = self.expected else {
            return;
        };
        let Some((&next, _)) = self.ahead.first_key_value() else {
            self.give_up = None;
            return;
        };
        let missing = next - expected;
        (0..missing.min(DIGESTS as u64)).for_each(|_| self.remember(None));
        self.expected = Some(next);
        self.give_up = None;
        // FFFF followed by 0001: a known fault of numbering, nothing is lost.
        if missing == 1 && expected & 0xFFFF == 0 && self.known(expected - 1).is_some() {
            return;
        }
        if missing > 0 {
            self.counters.lost += missing;
            self.ready.push_back(Delivery::Missing(u32::try_from(missing).unwrap_or(u32::MAX)));
        }
    }
}

/// How many packets before this one ride along on it.
fn riding_along(packet: &Packet<'_>) -> u64 {
    match &packet.recovery {
        Recovery::Secondaries(items) => items.iter().take_while(|i| !i.is_empty()).take(8).count() as u64,
        Recovery::Fec { .. } => 0,
    }
}

/// A digest of an IFP, zeros at its end left away: one that was recovered from parity may have more of them. `None`: there
/// is nothing.
fn digest(ifp: &[u8]) -> Option<u32> {
    let length = ifp.iter().rposition(|octet| *octet != 0)? + 1;
    // FNV-1a.
    let feed = |hash: u32, octet: &u8| (hash ^ u32::from(*octet)).wrapping_mul(0x0100_0193);
    Some(ifp.get(..length)?.iter().fold(0x811C_9DC5, feed))
}
