//! The QM coder: binary arithmetic coding that learns (T.82 §6.8).

/// The states of the probability estimation: LSZ, the next state after the less probable symbol, whether
/// the more probable symbol changes then, and the next state after the more probable one (T.82 Table 24).
#[rustfmt::skip]
pub(super) const STATES: [(u16, u8, u8, u8); 113] = [
    (0x5A1D, 1, 1, 1), (0x2586, 14, 0, 2), (0x1114, 16, 0, 3), (0x080B, 18, 0, 4), (0x03D8, 20, 0, 5),
    (0x01DA, 23, 0, 6), (0x00E5, 25, 0, 7), (0x006F, 28, 0, 8), (0x0036, 30, 0, 9), (0x001A, 33, 0, 10),
    (0x000D, 35, 0, 11), (0x0006, 9, 0, 12), (0x0003, 10, 0, 13), (0x0001, 12, 0, 13),
    (0x5A7F, 15, 1, 15), (0x3F25, 36, 0, 16), (0x2CF2, 38, 0, 17), (0x207C, 39, 0, 18),
    (0x17B9, 40, 0, 19), (0x1182, 42, 0, 20), (0x0CEF, 43, 0, 21), (0x09A1, 45, 0, 22),
    (0x072F, 46, 0, 23), (0x055C, 48, 0, 24), (0x0406, 49, 0, 25), (0x0303, 51, 0, 26),
    (0x0240, 52, 0, 27), (0x01B1, 54, 0, 28), (0x0144, 56, 0, 29), (0x00F5, 57, 0, 30),
    (0x00B7, 59, 0, 31), (0x008A, 60, 0, 32), (0x0068, 62, 0, 33), (0x004E, 63, 0, 34),
    (0x003B, 32, 0, 35), (0x002C, 33, 0, 9), (0x5AE1, 37, 1, 37), (0x484C, 64, 0, 38),
    (0x3A0D, 65, 0, 39), (0x2EF1, 67, 0, 40), (0x261F, 68, 0, 41), (0x1F33, 69, 0, 42),
    (0x19A8, 70, 0, 43), (0x1518, 72, 0, 44), (0x1177, 73, 0, 45), (0x0E74, 74, 0, 46),
    (0x0BFB, 75, 0, 47), (0x09F8, 77, 0, 48), (0x0861, 78, 0, 49), (0x0706, 79, 0, 50),
    (0x05CD, 48, 0, 51), (0x04DE, 50, 0, 52), (0x040F, 50, 0, 53), (0x0363, 51, 0, 54),
    (0x02D4, 52, 0, 55), (0x025C, 53, 0, 56), (0x01F8, 54, 0, 57), (0x01A4, 55, 0, 58),
    (0x0160, 56, 0, 59), (0x0125, 57, 0, 60), (0x00F6, 58, 0, 61), (0x00CB, 59, 0, 62),
    (0x00AB, 61, 0, 63), (0x008F, 61, 0, 32), (0x5B12, 65, 1, 65), (0x4D04, 80, 0, 66),
    (0x412C, 81, 0, 67), (0x37D8, 82, 0, 68), (0x2FE8, 83, 0, 69), (0x293C, 84, 0, 70),
    (0x2379, 86, 0, 71), (0x1EDF, 87, 0, 72), (0x1AA9, 87, 0, 73), (0x174E, 72, 0, 74),
    (0x1424, 72, 0, 75), (0x119C, 74, 0, 76), (0x0F6B, 74, 0, 77), (0x0D51, 75, 0, 78),
    (0x0BB6, 77, 0, 79), (0x0A40, 77, 0, 48), (0x5832, 80, 1, 81), (0x4D1C, 88, 0, 82),
    (0x438E, 89, 0, 83), (0x3BDD, 90, 0, 84), (0x34EE, 91, 0, 85), (0x2EAE, 92, 0, 86),
    (0x299A, 93, 0, 87), (0x2516, 86, 0, 71), (0x5570, 88, 1, 89), (0x4CA9, 95, 0, 90),
    (0x44D9, 96, 0, 91), (0x3E22, 97, 0, 92), (0x3824, 99, 0, 93), (0x32B4, 99, 0, 94),
    (0x2E17, 93, 0, 86), (0x56A8, 95, 1, 96), (0x4F46, 101, 0, 97), (0x47E5, 102, 0, 98),
    (0x41CF, 103, 0, 99), (0x3C3D, 104, 0, 100), (0x375E, 99, 0, 93), (0x5231, 105, 0, 102),
    (0x4C0F, 106, 0, 103), (0x4639, 107, 0, 104), (0x415E, 103, 0, 99), (0x5627, 105, 1, 106),
    (0x50E7, 108, 0, 107), (0x4B85, 109, 0, 103), (0x5597, 110, 0, 109), (0x504F, 111, 0, 107),
    (0x5A10, 110, 1, 111), (0x5522, 112, 0, 109), (0x59EB, 112, 1, 111),
];

/// What is known of a context, in one word: from the high end sixteen bits LSZ, eight bits for what
/// follows the less probable symbol and eight for what follows the more probable one, both as twice the
/// state plus the more probable symbol then. So the lowest bit is the more probable symbol now.
pub(super) type Context = u32;

const CONTEXTS: [Context; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < STATES.len() {
        let (lsz, after_lps, switch, after_mps) = STATES[i];
        let mut mps = 0;
        while mps < 2 {
            let lps_id = (after_lps as u32) << 1 | mps ^ switch as u32;
            let mps_id = (after_mps as u32) << 1 | mps;
            table[i << 1 | mps as usize] = (lsz as u32) << 16 | lps_id << 8 | mps_id;
            mps += 1;
        }
        i += 1;
    }
    table
};

/// All contexts of a template.
pub(super) type Contexts = [Context; 1024];

/// State 0, white is more probable.
pub(super) const UNKNOWN: Context = CONTEXTS[0];

const fn after_mps(context: Context) -> Context {
    CONTEXTS[(context & 0xFF) as usize]
}

const fn after_lps(context: Context) -> Context {
    CONTEXTS[(context >> 8 & 0xFF) as usize]
}

/// LSZ up to which runs of the more probable symbol are taken in one step: with larger ones A must be
/// renormalised after a few symbols anyway.
const RUN_LSZ: u32 = 0x1000;

/// The encoder (T.82 §6.8.2). Its octets are those of one stripe, without byte stuffing: a carry can
/// still reach into them.
#[derive(Clone, Debug)]
pub(super) struct Encoder {
    /// The size of the interval, 0x8000 to 0x10000.
    a: u32,
    /// Its base: sixteen bits of fraction, three spacer bits, eight bits for the next octet, the carry.
    c: u32,
    /// Shifts until the next octet is complete.
    ct: u32,
    octets: Vec<u8>,
}

impl Encoder {
    pub(super) const fn new() -> Self {
        Encoder { a: 0x10000, c: 0, ct: 11, octets: Vec::new() }
    }

    /// Codes a pel, 1 for black.
    #[inline(always)]
    pub(super) fn code(&mut self, context: &mut Context, pel: u32) {
        let lsz = *context >> 16;
        self.a = self.a.wrapping_sub(lsz);
        if (*context ^ pel) & 1 == 0 {
            if self.a >= 0x8000 {
                return;
            }
            if self.a < lsz {
                self.c = self.c.wrapping_add(self.a);
                self.a = lsz;
            }
            *context = after_mps(*context);
        } else {
            if self.a >= lsz {
                self.c = self.c.wrapping_add(self.a);
                self.a = lsz;
            }
            *context = after_lps(*context);
        }
        self.renormalise();
    }

    /// Codes so many white pels in the same context.
    #[inline]
    pub(super) fn code_white(&mut self, context: &mut Context, mut count: u32) {
        while count > 0 {
            let lsz = *context >> 16;
            if *context & 1 == 0 && lsz < RUN_LSZ {
                let room = self.a.wrapping_sub(0x8000);
                let whole = count.wrapping_mul(lsz);
                if whole <= room {
                    self.a = self.a.wrapping_sub(whole);
                    return;
                }
                let some = room / lsz.max(1);
                self.a = self.a.wrapping_sub(some.wrapping_mul(lsz));
                count = count.wrapping_sub(some);
            }
            self.code(context, 0);
            count = count.wrapping_sub(1);
        }
    }

    #[inline(always)]
    fn renormalise(&mut self) {
        let mut shift = self.a.leading_zeros().wrapping_sub(16);
        self.a <<= shift & 31;
        while shift >= self.ct {
            self.c <<= self.ct & 31;
            shift = shift.wrapping_sub(self.ct);
            self.octet();
        }
        self.c <<= shift & 31;
        self.ct = self.ct.wrapping_sub(shift);
    }

    /// BYTEOUT: the carry goes into the octets before, which is why none is written out before the end
    /// of the stripe.
    fn octet(&mut self) {
        if self.c > 0x7FF_FFFF {
            self.carry();
        }
        self.octets.push((self.c >> 19 & 0xFF) as u8);
        self.c &= 0x7_FFFF;
        self.ct = 8;
    }

    fn carry(&mut self) {
        for octet in self.octets.iter_mut().rev() {
            *octet = octet.wrapping_add(1);
            if *octet != 0 {
                break;
            }
        }
    }

    /// FLUSH: the octets of the stripe, zeros that the last carry left at the end not among them; the
    /// coder begins anew.
    pub(super) fn flush(&mut self) -> Vec<u8> {
        let top = self.c.wrapping_add(self.a).wrapping_sub(1) & 0xFFFF_0000;
        self.c = if top < self.c { top.wrapping_add(0x8000) } else { top };
        self.c <<= self.ct & 31;
        let carry = self.c > 0x7FF_FFFF;
        if carry {
            self.carry();
        }
        let rest = [(self.c >> 19 & 0xFF) as u8, (self.c >> 11 & 0xFF) as u8];
        match rest {
            [0, 0] if carry => {
                let end = self.octets.iter().rposition(|&o| o != 0).map_or(0, |i| i + 1);
                self.octets.truncate(end);
            }
            [0, 0] => {}
            [first, 0] => self.octets.push(first),
            [first, second] => self.octets.extend([first, second]),
        }
        core::mem::replace(self, Encoder::new()).octets
    }
}

/// The decoder (T.82 §6.8.3).
#[derive(Clone, Debug)]
pub(super) struct Decoder {
    /// The size of the interval.
    a: u32,
    /// How far into it the code points: sixteen bits to compare with A, then bits to come.
    c: u64,
    /// Bits in it that were read.
    held: u32,
    /// Octets read.
    read: usize,
}

impl Decoder {
    /// At the beginning of a stripe.
    pub(super) const fn new() -> Self {
        Decoder { a: 0x10000, c: 0, held: 0, read: 0 }
    }

    /// Takes the first octets; nothing can be decoded before. Later nothing happens.
    pub(super) fn begin(&mut self, octets: &[u8]) {
        if self.held == 0 {
            self.refill(octets);
        }
    }

    /// Whether octets beyond those that there are were needed; zeros were taken for them.
    pub(super) fn overrun(&self, octets: &[u8]) -> bool {
        (self.read * 8 + 16).saturating_sub(self.held as usize) > octets.len() * 8
    }

    /// Octets that are not needed any more.
    pub(super) fn used(&self) -> usize {
        self.read
    }

    /// The first so many octets were taken away.
    pub(super) fn forget(&mut self, octets: usize) {
        self.read = self.read.saturating_sub(octets);
    }

    /// Decodes a pel, 1 for black. Behind the last octet there are zeros.
    #[inline(always)]
    pub(super) fn decode(&mut self, context: &mut Context, octets: &[u8]) -> u32 {
        let lsz = *context >> 16;
        let mps = *context & 1;
        self.a = self.a.wrapping_sub(lsz);
        let less_probable;
        if (self.c >> 48) < u64::from(self.a) {
            if self.a >= 0x8000 {
                return mps;
            }
            less_probable = self.a < lsz;
        } else {
            self.c = self.c.wrapping_sub(u64::from(self.a) << 48);
            less_probable = self.a >= lsz;
            self.a = lsz;
        }
        *context = if less_probable { after_lps(*context) } else { after_mps(*context) };
        let shift = self.a.leading_zeros().wrapping_sub(16);
        if self.held < shift.wrapping_add(16) {
            self.refill(octets);
        }
        self.a <<= shift & 31;
        self.c <<= shift & 63;
        self.held = self.held.wrapping_sub(shift);
        mps ^ u32::from(less_probable)
    }

    /// How many of the next `most` pels, all in the same context, are white for certain and are taken.
    /// The one after them must be decoded singly.
    #[inline]
    pub(super) fn white(&mut self, context: Context, most: u32) -> u32 {
        let lsz = context >> 16;
        if context & 1 == 1 || lsz >= RUN_LSZ {
            return 0;
        }
        // A stays at least 0x8000 and above the code.
        let least = ((self.c >> 48) as u32).wrapping_add(1).max(0x8000);
        let room = self.a.saturating_sub(least);
        let whole = most.wrapping_mul(lsz);
        let (count, size) = if whole <= room {
            (most, whole)
        } else {
            let some = room / lsz.max(1);
            (some, some.wrapping_mul(lsz))
        };
        self.a = self.a.wrapping_sub(size);
        count
    }

    /// Reads as many octets as there is room for.
    #[inline(never)]
    fn refill(&mut self, octets: &[u8]) {
        let whole = octets.get(self.read..).and_then(|rest| rest.first_chunk::<8>());
        let count = 64u32.wrapping_sub(self.held) / 8;
        let next = match whole {
            Some(eight) => u64::from_be_bytes(*eight),
            None => {
                let mut eight = [0; 8];
                for (to, from) in eight.iter_mut().zip(octets.get(self.read..).unwrap_or(&[])) {
                    *to = *from;
                }
                u64::from_be_bytes(eight)
            }
        };
        if count > 0 {
            let whole = next & u64::MAX << (64u32.wrapping_sub(count.wrapping_mul(8)) & 63);
            self.c |= whole >> (self.held & 63);
            self.held = self.held.wrapping_add(count.wrapping_mul(8));
            self.read = self.read.wrapping_add(count as usize);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// PIX and CX of T.82 §7.1, and the stripe they make.
    const PELS: [u16; 16] = [
        0x05e0, 0x0000, 0x8b00, 0x01c4, 0x1700, 0x0034, 0x7fff, 0x1a3f, 0x951b, 0x05d8, 0x1d17, 0xe770,
        0x0000, 0x0000, 0x0656, 0x0e6a,
    ];
    const CHOICE: [u16; 16] = [0x0fe0, 0x0000, 0x0f00, 0x00f0, 0xff00, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
    const STRIPE: [u8; 25] = [
        0x69, 0x89, 0x99, 0x5c, 0x32, 0xea, 0xfa, 0xa0, 0xd5, 0xff, 0x52, 0x7f, 0xff, 0xff, 0xff, 0xc0, 0x00,
        0x00, 0x00, 0x3f, 0xff, 0x2d, 0x20, 0x82, 0x91,
    ];

    fn bits(words: &[u16; 16]) -> impl Iterator<Item = u32> {
        words.iter().flat_map(|w| (0..16).rev().map(move |i| u32::from(w >> i & 1)))
    }

    #[test]
    fn the_test_sequence_of_clause_7_1() {
        let mut coder = Encoder::new();
        let mut contexts = [UNKNOWN; 2];
        for (pel, which) in bits(&PELS).zip(bits(&CHOICE)) {
            coder.code(&mut contexts[which as usize], pel);
        }
        assert_eq!(coder.flush(), STRIPE);
        let mut coder = Decoder::new();
        let mut contexts = [UNKNOWN; 2];
        coder.begin(&STRIPE);
        for (pel, which) in bits(&PELS).zip(bits(&CHOICE)) {
            assert_eq!(coder.decode(&mut contexts[which as usize], &STRIPE), pel);
        }
    }

    /// What Table 24 is made of: every state is reached, LSZ is below A, and SWTCH stands where the
    /// estimate is near one half.
    #[test]
    fn states_lead_to_states() {
        let mut reached = [false; 113];
        for (lsz, lps, switch, mps) in STATES {
            assert!(lsz > 0 && lsz < 0x8000 && switch < 2);
            reached[usize::from(lps)] = true;
            reached[usize::from(mps)] = true;
        }
        assert!(reached.iter().skip(1).all(|r| *r));
        let switches: Vec<usize> = (0..113).filter(|&i| STATES[i].2 == 1).collect();
        assert_eq!(switches, [0, 14, 36, 64, 80, 88, 95, 105, 110, 112]);
    }

    /// Runs are a short cut and nothing else.
    #[test]
    fn white_runs_are_as_pel_by_pel() {
        let mut seed = 1u32;
        let mut next = move || {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            seed >> 16
        };
        for _ in 0..50 {
            let runs: Vec<(u32, u32)> = (0..200).map(|_| (next() % 64 * (next() % 40), next() % 2)).collect();
            let (mut one, mut other) = (Encoder::new(), Encoder::new());
            let (mut a, mut b) = (UNKNOWN, UNKNOWN);
            for &(white, pel) in &runs {
                one.code_white(&mut a, white);
                one.code(&mut a, pel);
                (0..white).for_each(|_| other.code(&mut b, 0));
                other.code(&mut b, pel);
            }
            let octets = one.flush();
            assert_eq!(octets, other.flush());
            let mut coder = Decoder::new();
            coder.begin(&octets);
            let mut a = UNKNOWN;
            for &(white, pel) in &runs {
                let mut left = white;
                while left > 0 {
                    let taken = coder.white(a, left);
                    left -= taken;
                    if left > 0 {
                        assert_eq!(coder.decode(&mut a, &octets), 0);
                        left -= 1;
                    }
                }
                assert_eq!(coder.decode(&mut a, &octets), pel);
            }
        }
    }
}
