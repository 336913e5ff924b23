//! Modulations in DIS and DCS, and the order in which a sender falls back (T.30 Table 2 bits 11–14).

use crate::api::Capabilities;
use crate::dis::Fif;
use fax_base::line::Modulation;

/// DCS bits 11–14 of each modulation.
const CODES: [(Modulation, u8); 8] = [
    (Modulation::V27ter2400, 0b0000),
    (Modulation::V27ter4800, 0b0100),
    (Modulation::V29At9600, 0b1000),
    (Modulation::V29At7200, 0b1100),
    (Modulation::V17At14400, 0b0001),
    (Modulation::V17At12000, 0b0101),
    (Modulation::V17At9600, 0b1001),
    (Modulation::V17At7200, 0b1101),
];

/// The order in which modulations are tried.
const FALL_BACK: [Modulation; 8] = [
    Modulation::V17At14400,
    Modulation::V17At12000,
    Modulation::V17At9600,
    Modulation::V29At9600,
    Modulation::V17At7200,
    Modulation::V29At7200,
    Modulation::V27ter4800,
    Modulation::V27ter2400,
];

const fn is_v17(modulation: Modulation) -> bool {
    match modulation {
        Modulation::V17At7200 | Modulation::V17At9600 | Modulation::V17At12000 | Modulation::V17At14400 => {
            true
        }
        Modulation::V27ter2400 | Modulation::V27ter4800 | Modulation::V29At7200 | Modulation::V29At9600 => {
            false
        }
    }
}

/// DCS bits 11–14 for `modulation`.
pub(crate) fn to_dcs(modulation: Modulation) -> u8 {
    CODES.iter().find(|(m, _)| *m == modulation).map_or(0, |(_, code)| *code)
}

/// The modulation that DCS or CTC bits 11–14 name; `None` for reserved codes and V.33.
pub(crate) fn from_dcs(fif: &Fif) -> Option<Modulation> {
    let code = fif.group(11, 4);
    CODES.iter().find(|(_, c)| *c == code).map(|(m, _)| *m)
}

/// What `capabilities` allow, best first. V.27ter 2400 is always among it, unless it is too slow.
pub(crate) fn allowed(capabilities: &Capabilities) -> Vec<Modulation> {
    let in_range = |m: &Modulation| (capabilities.min_rate..=capabilities.max_rate).contains(&m.bit_rate());
    FALL_BACK
        .into_iter()
        .filter(|m| capabilities.modulations.contains(m) || *m == Modulation::V27ter2400)
        .filter(in_range)
        .collect()
}

/// DIS bits 11–14 for a set of modulations. There is no code for V.17 without V.29 and V.27ter, nor
/// for V.29 without V.27ter 2400 as the last resort; the wider set is announced then. V.17 is left out where
/// V.29 goes as fast.
pub(crate) fn to_dis(modulations: &[Modulation]) -> u8 {
    let fastest = |family: fn(Modulation) -> bool| {
        modulations.iter().filter(|m| family(**m)).map(|m| m.bit_rate()).max().unwrap_or(0)
    };
    let v29 = fastest(|m| matches!(m, Modulation::V29At7200 | Modulation::V29At9600));
    let v17 = fastest(is_v17) > v29;
    let v29 = v29 > 0;
    let v27 = modulations.contains(&Modulation::V27ter4800);
    match (v17, v29, v27) {
        (true, _, _) => 0b1101,
        (false, true, _) => 0b1100,
        (false, false, true) => 0b0100,
        (false, false, false) => 0b0000,
    }
}

/// Whether a terminal with this DIS takes `modulation`. Reserved codes are read by their bits: 12 for
/// V.27ter, 11 for V.29, 14 with both for V.17; V.33's code means V.29 and V.27ter.
pub(crate) fn dis_takes(dis: &Fif, modulation: Modulation) -> bool {
    let (b11, b12, b14) = (dis.bit(11), dis.bit(12), dis.bit(14));
    let none = !b11 && !b12 && (dis.bit(13) || b14);
    match modulation {
        Modulation::V27ter2400 => true,
        Modulation::V27ter4800 => b12 || none,
        Modulation::V29At7200 | Modulation::V29At9600 => b11,
        Modulation::V17At7200 | Modulation::V17At9600 | Modulation::V17At12000 | Modulation::V17At14400 => {
            b11 && b12 && b14
        }
    }
}

/// The rates of one call: what both ends can do, where we are, and what has failed. It lasts over
/// EOM, so that a rate that failed is not tried again.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ladder {
    common: Vec<Modulation>,
    current: Option<Modulation>,
    failed: Vec<Modulation>,
}

impl Ladder {
    /// Takes the far end's DIS in: the fastest common modulation that has not failed yet, and the slowest
    /// when all have. `None` when there is nothing in common.
    pub(crate) fn meet(&mut self, dis: &Fif, ours: &Capabilities) -> Option<Modulation> {
        self.common = allowed(ours).into_iter().filter(|m| dis_takes(dis, *m)).collect();
        let best = self.common.iter().copied().find(|m| !self.failed.contains(m));
        self.current = best.or(self.common.last().copied());
        self.current
    }

    /// Where we are.
    pub(crate) fn current(&self) -> Modulation {
        self.current.unwrap_or(Modulation::V27ter2400)
    }

    /// The line carries no more than so many bits per second from now on: the fastest of those left, if there is one.
    pub(crate) fn at_most(&mut self, bit_rate: u32) -> Option<Modulation> {
        let fits = |m: &Modulation| !self.failed.contains(m) && m.bit_rate() <= bit_rate;
        let next = self.common.iter().copied().find(fits)?;
        self.current = Some(next);
        Some(next)
    }

    /// The present one failed: the next one down, or `None` when there is none. After two failures of
    /// V.17 another modulation is tried if there is one, as V.17 itself is then in doubt.
    pub(crate) fn fall_back(&mut self) -> Option<Modulation> {
        let current = self.current();
        if !self.failed.contains(&current) {
            self.failed.push(current);
        }
        let v17_failures = self.failed.iter().filter(|m| is_v17(**m)).count();
        if v17_failures >= 2 && self.common.iter().any(|m| !is_v17(*m) && m.bit_rate() >= 7200) {
            for m in self.common.iter().copied().filter(|m| is_v17(*m)) {
                if !self.failed.contains(&m) {
                    self.failed.push(m);
                }
            }
        }
        let next = self.common.iter().copied().find(|m| !self.failed.contains(m))?;
        self.current = Some(next);
        Some(next)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dis_with(code: u8) -> Fif {
        let mut dis = Fif::new();
        dis.put_group(11, 4, code);
        dis
    }

    fn only(modulations: &[Modulation]) -> Capabilities {
        Capabilities { modulations: modulations.to_vec(), ..Capabilities::default() }
    }

    fn descent(dis: u8, ours: &[Modulation]) -> Vec<String> {
        let mut ladder = Ladder::default();
        let mut all = vec![ladder.meet(&dis_with(dis), &only(ours)).expect("in common").to_string()];
        while let Some(next) = ladder.fall_back() {
            all.push(next.to_string());
        }
        all
    }

    #[test]
    fn falling_back() {
        let all = Modulation::ALL;
        assert_eq!(
            descent(0b1101, &all),
            ["V.17 14400", "V.17 12000", "V.29 9600", "V.29 7200", "V.27ter 4800", "V.27ter 2400"]
        );
        assert_eq!(descent(0b1100, &all), ["V.29 9600", "V.29 7200", "V.27ter 4800", "V.27ter 2400"]);
        assert_eq!(descent(0b0100, &all), ["V.27ter 4800", "V.27ter 2400"]);
        assert_eq!(descent(0b0000, &all), ["V.27ter 2400"]);
        // Reserved: V.27ter.
        assert_eq!(descent(0b0011, &all), ["V.27ter 4800", "V.27ter 2400"]);
        // V.17 without V.29 on our side keeps to V.17.
        let no_v29: Vec<Modulation> = all.into_iter().filter(|m| m.recommendation() != "V.29").collect();
        assert_eq!(
            descent(0b1101, &no_v29),
            ["V.17 14400", "V.17 12000", "V.17 9600", "V.17 7200", "V.27ter 4800", "V.27ter 2400"]
        );
    }

    #[test]
    fn what_failed_is_remembered_over_eom() {
        let mut ladder = Ladder::default();
        let ours = Capabilities::default();
        assert_eq!(ladder.meet(&dis_with(0b1101), &ours), Some(Modulation::V17At14400));
        ladder.fall_back();
        assert_eq!(ladder.meet(&dis_with(0b1101), &ours), Some(Modulation::V17At12000));
    }

    #[test]
    fn limits_of_rate() {
        let limited = |min_rate, max_rate| Capabilities { min_rate, max_rate, ..Capabilities::default() };
        let mut ladder = Ladder::default();
        assert_eq!(ladder.meet(&dis_with(0b1101), &limited(7200, 12_000)), Some(Modulation::V17At12000));
        let mut down = Vec::new();
        while let Some(next) = ladder.fall_back() {
            down.push(next.to_string());
        }
        assert_eq!(down, ["V.17 9600", "V.29 9600", "V.29 7200"]);
        assert_eq!(Ladder::default().meet(&dis_with(0b0100), &limited(7200, u32::MAX)), None);
        for (max_rate, code) in
            [(14_400, 0b1101), (12_000, 0b1101), (9600, 0b1100), (4800, 0b0100), (2400, 0)]
        {
            assert_eq!(to_dis(&allowed(&limited(0, max_rate))), code, "{max_rate}");
        }
    }

    #[test]
    fn codes_go_both_ways() {
        for m in Modulation::ALL {
            let mut dcs = Fif::new();
            dcs.put_group(11, 4, to_dcs(m));
            assert_eq!(from_dcs(&dcs), Some(m));
            assert!(dis_takes(&dis_with(to_dis(&[m])), m));
        }
    }
}
