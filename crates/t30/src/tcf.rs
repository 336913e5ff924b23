//! The training check: 1.5 s of zeros, sent and judged (T.30 §5.3.6.1.3).

use bytes::Bytes;
use fax_base::line::Modulation;

/// The octets of a training check at this rate: 1.5 s of zeros.
pub(crate) fn octets(modulation: Modulation) -> Bytes {
    let bits = u64::from(modulation.bit_rate()) * 3 / 2;
    Bytes::from(vec![0; usize::try_from(bits / 8).unwrap_or(0)])
}

/// After a loss the decoder and the descrambler need some bits until they are themselves again.
const RECOVERY_OCTETS: usize = 32;

/// Listens to a training check. It is good when one second of zeros comes in one run and, from where
/// that run began, ones stay rare; garbage before it is tolerated. What the network lost counts as
/// zeros, as its loss is not the modem's fault, and so do the first octets after it; but a check that is
/// mostly loss is not good.
#[derive(Clone, Debug)]
pub(crate) struct Check {
    needed: u64,
    run: u64,
    longest: u64,
    heard: u64,
    lost: u64,
    /// Octets after a loss that are not judged yet.
    recovering: usize,
}

impl Check {
    /// For a check at this rate.
    pub(crate) fn new(modulation: Modulation) -> Self {
        Check {
            needed: u64::from(modulation.bit_rate()),
            run: 0,
            longest: 0,
            heard: 0,
            lost: 0,
            recovering: 0,
        }
    }

    /// The next bits.
    pub(crate) fn take(&mut self, octets: &[u8]) {
        let recovering = self.recovering.min(octets.len());
        self.recovering -= recovering;
        self.neutral(recovering);
        for &octet in octets.get(recovering..).unwrap_or_default() {
            self.heard += 8;
            if octet == 0 {
                self.run += 8;
            } else {
                self.longest = self.longest.max(self.run + u64::from(octet.leading_zeros()));
                self.run = u64::from(octet.trailing_zeros());
            }
            self.longest = self.longest.max(self.run);
        }
    }

    /// Octets that were lost on the way.
    pub(crate) fn lose(&mut self, octets: usize) {
        self.neutral(octets);
        self.recovering = RECOVERY_OCTETS;
    }

    /// Octets that count as zeros but not as heard.
    fn neutral(&mut self, octets: usize) {
        // More than a few seconds' worth is no loss in a training check.
        let bits = u64::try_from(octets).unwrap_or(u64::MAX).saturating_mul(8);
        let bits = bits.min(self.needed.saturating_mul(2));
        self.lost = self.lost.saturating_add(bits);
        self.run = self.run.saturating_add(bits);
        self.longest = self.longest.max(self.run);
    }

    /// Whether anything was heard at all.
    pub(crate) fn anything(&self) -> bool {
        self.heard > 0
    }

    /// The judgement.
    pub(crate) fn good(&self) -> bool {
        self.longest >= self.needed && self.heard >= self.lost
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const M: Modulation = Modulation::V29At9600;

    fn judge(parts: &[Result<Vec<u8>, usize>]) -> bool {
        let mut check = Check::new(M);
        for part in parts {
            match part {
                Ok(octets) => check.take(octets),
                Err(lost) => check.lose(*lost),
            }
        }
        check.good()
    }

    #[test]
    fn length() {
        for m in Modulation::ALL {
            assert_eq!(octets(m).len() * 8, m.bit_rate() as usize * 3 / 2);
        }
    }

    #[test]
    fn good_and_bad_checks() {
        let zeros = |n: usize| Ok(vec![0u8; n]);
        assert!(judge(&[zeros(1800)]));
        assert!(judge(&[zeros(1200)]));
        assert!(!judge(&[zeros(1199)]));
        assert!(!judge(&[]));
        // 50 bits of 01010 first, or ones.
        assert!(judge(&[Ok(vec![0x55; 7]), zeros(1700)]));
        assert!(judge(&[Ok(vec![0xFF; 60]), zeros(1300)]));
        assert!(!judge(&[Ok(vec![0x55; 1800])]));
        // One bit wrong in the middle leaves two runs of 0.75 s.
        assert!(!judge(&[zeros(900), Ok(vec![0x10]), zeros(899)]));
        // A run may begin and end inside an octet.
        assert!(judge(&[Ok(vec![0x80]), zeros(1199), Ok(vec![0x01])]));
        // Loss counts as zeros, but not as the whole of it.
        assert!(judge(&[zeros(700), Err(100), zeros(700)]));
        assert!(!judge(&[zeros(10), Err(1700)]));
        assert!(!judge(&[zeros(10), Err(usize::MAX)]));
        // Garbage right behind a loss is the loss's, later it is not.
        assert!(judge(&[zeros(600), Err(24), Ok(vec![0x5A; 20]), zeros(1156)]));
        assert!(!judge(&[zeros(600), Err(24), zeros(40), Ok(vec![0x5A; 20]), zeros(1116)]));
    }
}
