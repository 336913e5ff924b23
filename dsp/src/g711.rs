//! A-law and µ-law (ITU-T G.711).
//!
//! Linear samples are 16 bit, left-justified: 13 bits count in A-law, 14 in µ-law. Octets are as they go
//! over RTP: A-law with its even bits inverted, µ-law with all bits inverted.

/// One of the two encodings.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Law {
    /// A-law: RTP payload type 8.
    A,
    /// µ-law: RTP payload type 0.
    Mu,
}

/// µ-law's bias on the 14 bit scale.
const MU_BIAS: u16 = 33;
/// µ-law's largest biased magnitude.
const MU_MOST: u16 = 0x1FFF;

static FROM_A: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = a_value(i as u8);
        i += 1;
    }
    table
};

static FROM_MU: [i16; 256] = {
    let mut table = [0; 256];
    let mut i = 0;
    while i < 256 {
        table[i] = mu_value(i as u8);
        i += 1;
    }
    table
};

/// By the upper 12 bits of the sample: sign and 11 bits of magnitude.
static TO_A: [u8; 4096] = {
    let mut table = [0; 4096];
    let mut i = 0;
    while i < 4096 {
        table[i] = a_code(((i as u16) << 4) as i16);
        i += 1;
    }
    table
};

/// By the upper 14 bits of the sample.
static TO_MU: [u8; 16_384] = {
    let mut table = [0; 16_384];
    let mut i = 0;
    while i < 16_384 {
        table[i] = mu_code(((i as u16) << 2) as i16);
        i += 1;
    }
    table
};

/// G.711 Table 1: segment and step, the value in the middle of its interval.
const fn a_value(octet: u8) -> i16 {
    let bits = octet ^ 0x55;
    let segment = (bits >> 4) & 7;
    let step = (bits & 0x0F) as i16;
    // Segments 0 and 1 have the same step; from there on it doubles.
    let magnitude = match segment {
        0 => (step << 4) + 8,
        s => ((step << 4) + 0x108) << (s - 1),
    };
    if bits & 0x80 != 0 { magnitude } else { -magnitude }
}

const fn a_code(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 4) as u16;
    let bits = if magnitude < 32 {
        magnitude as u8
    } else {
        // The leading one of 11 bits says the segment.
        let shift = 11 - (magnitude << 5).leading_zeros() as u16 - 5;
        (((shift + 1) << 4) | ((magnitude >> shift) & 0x0F)) as u8
    };
    let sign = if sample < 0 { 0 } else { 0x80 };
    (bits | sign) ^ 0x55
}

/// G.711 Table 2.
const fn mu_value(octet: u8) -> i16 {
    let bits = !octet;
    let segment = (bits >> 4) & 7;
    let step = (bits & 0x0F) as i16;
    let magnitude = ((((step << 1) + MU_BIAS as i16) << segment) - MU_BIAS as i16) << 2;
    if bits & 0x80 != 0 { -magnitude } else { magnitude }
}

const fn mu_code(sample: i16) -> u8 {
    let magnitude = (if sample < 0 { !sample } else { sample } >> 2) as u16 + MU_BIAS;
    let magnitude = if magnitude > MU_MOST { MU_MOST } else { magnitude };
    // With the bias the leading one is at least 2⁵.
    let segment = 15 - magnitude.leading_zeros() as u16 - 5;
    let bits = (segment << 4) | ((magnitude >> (segment + 1)) & 0x0F);
    let sign = if sample < 0 { 0x80 } else { 0 };
    !(bits as u8 | sign)
}

impl Law {
    /// The octet of a sample.
    #[must_use]
    pub fn encode(self, sample: i16) -> u8 {
        match self {
            Law::A => TO_A[usize::from(sample as u16 >> 4)],
            Law::Mu => TO_MU[usize::from(sample as u16 >> 2)],
        }
    }

    /// The sample of an octet.
    #[must_use]
    pub fn decode(self, octet: u8) -> i16 {
        match self {
            Law::A => FROM_A[usize::from(octet)],
            Law::Mu => FROM_MU[usize::from(octet)],
        }
    }

    /// Encodes as many samples as there is room for; how many that were.
    pub fn encode_into(self, samples: &[i16], octets: &mut [u8]) -> usize {
        samples.iter().zip(octets).map(|(s, o)| *o = self.encode(*s)).count()
    }

    /// Decodes as many octets as there is room for; how many that were.
    pub fn decode_into(self, octets: &[u8], samples: &mut [i16]) -> usize {
        octets.iter().zip(samples).map(|(o, s)| *s = self.decode(*o)).count()
    }

    /// The octet of silence.
    #[must_use]
    pub fn silence(self) -> u8 {
        self.encode(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// G.711 Tables 1 and 2 by their construction: the end points of the segments and the number of
    /// steps in them; values lie in the middle of intervals.
    fn levels(law: Law) -> Vec<i32> {
        match law {
            Law::A => {
                let mut edges = vec![0i32];
                for segment in 0..8 {
                    let step = 2 << (segment - 1i32).max(0);
                    for _ in 0..16 {
                        edges.push(edges.last().unwrap() + step);
                    }
                }
                assert_eq!(*edges.last().unwrap(), 4096);
                // 13 bit scale (magnitude 4096) to 16 bit.
                edges.windows(2).map(|e| (e[0] + e[1]) / 2 * 8).collect()
            }
            Law::Mu => {
                // The first interval is half as wide and its value is 0.
                let mut edges = vec![-1i32];
                for segment in 0..8 {
                    for _ in 0..16 {
                        edges.push(edges.last().unwrap() + (2 << segment));
                    }
                }
                assert_eq!(*edges.last().unwrap(), 8159);
                edges.windows(2).map(|e| (e[0] + e[1]) / 2 * 4).collect()
            }
        }
    }

    #[test]
    fn values_are_those_of_the_tables() {
        for law in [Law::A, Law::Mu] {
            for (i, level) in levels(law).into_iter().enumerate() {
                let (plus, minus) = match law {
                    Law::A => ((i as u8 | 0x80) ^ 0x55, i as u8 ^ 0x55),
                    Law::Mu => (!(i as u8), !(i as u8 | 0x80)),
                };
                assert_eq!(i32::from(law.decode(plus)), level, "{law:?} {i}");
                assert_eq!(i32::from(law.decode(minus)), -level, "{law:?} {i}");
            }
        }
    }

    #[test]
    fn every_sample_lies_in_the_interval_of_its_code() {
        for law in [Law::A, Law::Mu] {
            for sample in i16::MIN..=i16::MAX {
                let s = i32::from(sample).clamp(-32_635, 32_635);
                let octet = law.encode(sample);
                let (segment, half) = match law {
                    Law::A => ((octet ^ 0x55) >> 4 & 7, 8),
                    Law::Mu => (!octet >> 4 & 7, 4),
                };
                let half = half << if law == Law::A { segment.saturating_sub(1) } else { segment };
                // The 16 bit scale is finer than the law's own: one unit of that for rounding.
                let unit = if law == Law::A { 8 } else { 4 };
                let error = (i32::from(law.decode(octet)) - s).abs();
                assert!(error <= half + unit, "{law:?} {sample}: {error} {half}");
            }
        }
    }

    #[test]
    fn codes_round_trip_and_known_octets() {
        for octet in 0..=255u8 {
            assert_eq!(Law::A.encode(Law::A.decode(octet)), octet);
            // µ-law has two zeros.
            if octet != 0x7F {
                assert_eq!(Law::Mu.encode(Law::Mu.decode(octet)), octet);
            }
        }
        assert_eq!((Law::A.silence(), Law::Mu.silence()), (0xD5, 0xFF));
        assert_eq!((Law::A.decode(0xAA), Law::A.decode(0x2A)), (32_256, -32_256));
        assert_eq!((Law::Mu.decode(0x80), Law::Mu.decode(0x00)), (32_124, -32_124));
        assert_eq!((Law::A.encode(i16::MAX), Law::A.encode(i16::MIN)), (0xAA, 0x2A));
        assert_eq!((Law::Mu.encode(i16::MAX), Law::Mu.encode(i16::MIN)), (0x80, 0x00));
        let mut octets = [0; 3];
        assert_eq!(Law::Mu.encode_into(&[0, 0, 0, 0], &mut octets), 3);
        let mut samples = [1; 4];
        assert_eq!(Law::Mu.decode_into(&octets, &mut samples), 3);
        assert_eq!(samples, [0, 0, 0, 1]);
    }
}
