//! Self-synchronising scramblers: of V.17 and V.29 (V.17 §4, V.29 §7), and of V.27ter (§6).
//!
//! Registers hold the bits on the line, the newest lowest. Words of bits have the first bit highest.

/// The low `count` bits.
const fn mask(count: u32) -> u32 {
    (1 << count) - 1
}

/// Scrambler of V.17 and V.29: 1 + x⁻¹⁸ + x⁻²³.
#[derive(Clone, Copy, Debug)]
pub struct Scrambler {
    register: u32,
}

impl Scrambler {
    /// A scrambler whose last 23 bits on the line were these.
    #[must_use]
    pub const fn new(register: u32) -> Self {
        Scrambler { register }
    }

    /// Scrambles `count` bits (at most 9).
    #[inline]
    pub fn scramble(&mut self, bits: u32, count: u32) -> u32 {
        let line = (bits ^ (self.register >> (18 - count)) ^ (self.register >> (23 - count))) & mask(count);
        self.register = (self.register << count) | line;
        line
    }
}

/// Descrambler of V.17 and V.29; right again 23 bits after a wrong one.
#[derive(Clone, Copy, Default, Debug)]
pub struct Descrambler {
    register: u32,
}

impl Descrambler {
    /// A descrambler that has seen zeros.
    #[must_use]
    pub const fn new() -> Self {
        Descrambler { register: 0 }
    }

    /// Descrambles `count` bits (at most 9).
    #[inline]
    pub fn descramble(&mut self, line: u32, count: u32) -> u32 {
        let bits = (line ^ (self.register >> (18 - count)) ^ (self.register >> (23 - count))) & mask(count);
        self.register = (self.register << count) | (line & mask(count));
        bits
    }
}

/// After so many bits on the line that equal the one 8, 9 or 12 before them, the next is inverted.
const GUARD: u32 = 33;

/// V.27ter's register, 1 + x⁻⁶ + x⁻⁷, with its guard against repeating patterns of 1, 2, 3, 4, 6, 8, 9 and 12 bits.
#[derive(Clone, Copy, Default, Debug)]
struct Guarded {
    register: u32,
    repeats: u32,
}

impl Guarded {
    /// What the next bit is combined with: both taps, and the guard's inversion.
    #[inline]
    fn pad(&self) -> u32 {
        ((self.register >> 5) ^ (self.register >> 6) ^ u32::from(self.repeats == GUARD)) & 1
    }

    /// Takes the bit that went over the line.
    #[inline]
    fn push(&mut self, line: u32) {
        let r = self.register;
        // One where the earlier bit differs.
        let differ = ((r >> 7) ^ line) & ((r >> 8) ^ line) & ((r >> 11) ^ line) & 1;
        // The inverted bit itself is not examined.
        self.repeats = if self.repeats == GUARD || differ == 1 { 0 } else { self.repeats + 1 };
        self.register = (r << 1) | line;
    }
}

/// Scrambler of V.27ter.
#[derive(Clone, Copy, Debug)]
pub struct GuardedScrambler(Guarded);

impl GuardedScrambler {
    /// A scrambler whose last bits on the line were these.
    #[must_use]
    pub const fn new(register: u32) -> Self {
        GuardedScrambler(Guarded { register, repeats: 0 })
    }

    /// Scrambles `count` bits.
    #[inline]
    pub fn scramble(&mut self, bits: u32, count: u32) -> u32 {
        let mut out = 0;
        for i in (0..count).rev() {
            let line = ((bits >> i) & 1) ^ self.0.pad();
            self.0.push(line);
            out = (out << 1) | line;
        }
        out
    }
}

/// Descrambler of V.27ter; right again 7 bits after a wrong one, its guard at the next bit that repeats none.
#[derive(Clone, Copy, Default, Debug)]
pub struct GuardedDescrambler(Guarded);

impl GuardedDescrambler {
    /// A descrambler that has seen zeros.
    #[must_use]
    pub const fn new() -> Self {
        GuardedDescrambler(Guarded { register: 0, repeats: 0 })
    }

    /// A descrambler whose last bits on the line were these.
    #[must_use]
    pub const fn after(register: u32) -> Self {
        GuardedDescrambler(Guarded { register, repeats: 0 })
    }

    /// A descrambler for what this scrambler goes on with, its guard's count included.
    #[must_use]
    pub const fn following(scrambler: GuardedScrambler) -> Self {
        GuardedDescrambler(scrambler.0)
    }

    /// Descrambles `count` bits (at most 8).
    #[inline]
    pub fn descramble(&mut self, line: u32, count: u32) -> u32 {
        let Guarded { register, repeats } = self.0;
        if repeats + count <= GUARD {
            // The guard cannot strike among these, so they go all at once.
            let line = line & mask(count);
            let all = (register << count) | line;
            let differ = (line ^ (all >> 8)) & (line ^ (all >> 9)) & (line ^ (all >> 12)) & mask(count);
            let repeats = if differ == 0 { repeats + count } else { differ.trailing_zeros() };
            self.0 = Guarded { register: all, repeats };
            return (line ^ (all >> 6) ^ (all >> 7)) & mask(count);
        }
        let mut out = 0;
        for i in (0..count).rev() {
            let bit = (line >> i) & 1;
            out = (out << 1) | (bit ^ self.0.pad());
            self.0.push(bit);
        }
        out
    }
}
