//! The information field of DIS, DTC and DCS: 128 bits, their groups, and their print (T.30 Table 2).

use crate::dis_table::BITS;
use bytes::Bytes;

/// The bits of a DIS, DTC or DCS. Bits are numbered from 1 as in Table 2; those that were not sent
/// are zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Fif {
    /// Bit 1 is the highest.
    bits: u128,
}

/// Which of the two readings of Table 2.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Reading {
    /// DIS and DTC: what can be done.
    Capabilities,
    /// DCS: what is to be done.
    Command,
}

impl Fif {
    /// All zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Reads the field. Octets after one without its extension bit are ignored, as are those after
    /// the sixteenth; missing ones are zero.
    #[must_use]
    pub fn parse(octets: &[u8]) -> Self {
        let mut fif = Fif::default();
        for (i, &octet) in octets.iter().take(16).enumerate() {
            if i >= 3 && !fif.extended(i) {
                break;
            }
            fif.bits |= u128::from(octet) << (120 - 8 * i);
        }
        fif
    }

    /// Whether octet number `octets` (counted from 1) says that another follows.
    fn extended(&self, octets: usize) -> bool {
        u32::try_from(octets).is_ok_and(|o| self.bit(o * 8))
    }

    /// The field as sent: extension bits set as needed, zero octets at the end left away.
    #[must_use]
    pub fn to_octets(&self) -> Bytes {
        let mut wanted = 3;
        for octet in 4..=16u32 {
            let content = (1..8).any(|b| self.bit((octet - 1) * 8 + b));
            if content {
                wanted = octet;
            }
        }
        let mut fif = *self;
        for octet in 3..=16u32 {
            fif.put(octet * 8, octet < wanted);
        }
        let all = fif.bits.to_be_bytes();
        let len = usize::try_from(wanted).unwrap_or(16).min(16);
        Bytes::copy_from_slice(all.get(..len).unwrap_or(&all))
    }

    /// Bit `n`, from 1; beyond 128 always false.
    #[must_use]
    pub fn bit(&self, n: u32) -> bool {
        (1..=128).contains(&n) && self.bits >> (128 - n) & 1 == 1
    }

    /// Sets bit `n`, from 1; beyond 128 nothing happens.
    pub fn put(&mut self, n: u32, value: bool) {
        if (1..=128).contains(&n) {
            let mask = 1u128 << (128 - n);
            self.bits = if value { self.bits | mask } else { self.bits & !mask };
        }
    }

    /// Clears all bits after `n`.
    pub fn truncate(&mut self, n: u32) {
        for bit in n.saturating_add(1)..=128 {
            self.put(bit, false);
        }
    }

    /// The `count` bits from `first` on as a number, the first one highest.
    #[must_use]
    pub fn group(&self, first: u32, count: u32) -> u8 {
        (first..first + count).fold(0, |acc, n| acc << 1 | u8::from(self.bit(n)))
    }

    /// Sets the `count` bits from `first` on, the first one highest.
    pub fn put_group(&mut self, first: u32, count: u32, value: u8) {
        for i in 0..count {
            self.put(first + i, value >> (count - 1 - i) & 1 == 1);
        }
    }

    /// All ones and groups in words, one a line of the ladder.
    #[must_use]
    pub fn describe(&self, reading: Reading) -> Vec<String> {
        let mut lines = Vec::new();
        for n in 1..=128u32 {
            if n == 11 {
                lines.push(self.describe_rate(reading));
            } else if n == 17 {
                lines.push(self.describe_size(reading));
            } else if n == 21 {
                lines.push(self.describe_row_time(reading));
            } else if n == 92 && self.group(92, 3) != 0 {
                let weights = u32::from(self.bit(92)) + 2 * u32::from(self.bit(93));
                let mode = weights + 4 * u32::from(self.bit(94));
                lines.push(format!("T.44 mixed raster content mode {mode} (92–94)"));
            } else if n == 117 && self.group(117, 2) != 0 {
                let size = ["none", "1 MB", "2 MB", "unlimited"];
                let size = size.get(usize::from(self.group(117, 2))).copied().unwrap_or("none");
                lines.push(format!("shared data memory {size} (117–118)"));
            } else if n == 124 && self.group(124, 3) != 0 {
                lines.push(format!("T.88 profile {} (124–126)", self.group(124, 3)));
            }
            let Some((can, does)) = usize::try_from(n - 1).ok().and_then(|i| BITS.get(i)) else {
                continue;
            };
            let name = match reading {
                Reading::Capabilities => *can,
                Reading::Command => *does,
            };
            if self.bit(n) && !name.is_empty() && name != "extension" {
                lines.push(format!("{name} ({n})"));
            }
        }
        lines
    }

    fn describe_rate(&self, reading: Reading) -> String {
        let code = self.group(11, 4);
        let what = match reading {
            Reading::Capabilities => match code {
                0b0000 => "V.27ter 2400",
                0b0100 => "V.27ter",
                0b1000 => "V.29",
                0b1100 => "V.27ter and V.29",
                0b1101 => "V.27ter, V.29 and V.17",
                0b1110 => "V.27ter, V.29 and V.33",
                _ => "reserved modulations",
            },
            Reading::Command => match code {
                0b0000 => "V.27ter 2400",
                0b0100 => "V.27ter 4800",
                0b1000 => "V.29 9600",
                0b1100 => "V.29 7200",
                0b0001 => "V.17 14400",
                0b0101 => "V.17 12000",
                0b1001 => "V.17 9600",
                0b1101 => "V.17 7200",
                0b0010 => "V.33 14400",
                0b0110 => "V.33 12000",
                _ => "reserved modulation",
            },
        };
        format!("{what} (11–14)")
    }

    fn describe_size(&self, reading: Reading) -> String {
        let width = match (reading, self.group(17, 2)) {
            (_, 0b00) => "215 mm",
            (Reading::Capabilities, 0b10) => "up to 255 mm",
            (Reading::Capabilities, _) => "up to 303 mm",
            (Reading::Command, 0b10) => "255 mm",
            (Reading::Command, _) => "303 mm",
        };
        let length = match self.group(19, 2) {
            0b00 => "297 mm",
            0b10 => "364 mm",
            _ => "unlimited",
        };
        format!("width {width}, length {length} (17–20)")
    }

    fn describe_row_time(&self, reading: Reading) -> String {
        let ms = match (reading, self.group(21, 3)) {
            (_, 0b000) => "20 ms",
            (_, 0b100) => "5 ms",
            (_, 0b010) => "10 ms",
            (_, 0b001) => "40 ms",
            (_, 0b111) => "0 ms",
            (Reading::Capabilities, 0b110) => "20 ms, 10 ms when fine",
            (Reading::Capabilities, 0b101) => "40 ms, 20 ms when fine",
            (Reading::Capabilities, _) => "10 ms, 5 ms when fine",
            (Reading::Command, _) => "reserved, taken as 20 ms",
        };
        format!("row time {ms} (21–23)")
    }
}

impl core::fmt::Debug for Fif {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Fif({:02x?})", self.to_octets().as_ref())
    }
}
