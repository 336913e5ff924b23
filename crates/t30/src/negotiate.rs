//! From DIS to DCS: what both ends can do and what the sender picks; and a DCS taken apart by the
//! receiver (T.30 §5.3.6.2 and Table 2).

use crate::api::Capabilities;
use crate::dis::Fif;
use crate::{ecm, rates, tones};
use core::time::Duration;
use fax_base::line::Modulation;
use fax_base::page::{Coding, Length, PageFormat, PageShape, Resolution, Width};

/// What a DCS fixed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Agreed {
    pub(crate) format: PageFormat,
    pub(crate) modulation: Modulation,
    /// ECM frames of 64 octets.
    pub(crate) small_frames: bool,
}

impl Agreed {
    /// Octets of coded data in an ECM frame.
    pub(crate) const fn frame_octets(&self) -> usize {
        if self.small_frames { ecm::SMALL_FRAME_OCTETS } else { ecm::FRAME_OCTETS }
    }
}

/// Our DIS: what `capabilities` allow, ready to receive, sub-addresses welcome.
pub(crate) fn dis(capabilities: &Capabilities) -> Fif {
    let mut fif = Fif::new();
    fif.put(7, capabilities.ecm && capabilities.small_frames);
    fif.put(10, true);
    fif.put_group(11, 4, rates::to_dis(&rates::allowed(capabilities)));
    let can = |r: Resolution| capabilities.resolutions.contains(&r);
    let fine_needed = can(Resolution::Superfine) || can(Resolution::R16);
    fif.put(15, can(Resolution::Fine) || fine_needed);
    fif.put(16, capabilities.codings.contains(&Coding::Mr));
    fif.put_group(
        17,
        2,
        match capabilities.max_width {
            Width::A4 => 0b00,
            Width::B4 => 0b10,
            Width::A3 => 0b01,
        },
    );
    fif.put_group(19, 2, length_code(capabilities.max_length));
    fif.put_group(21, 3, row_time_code(capabilities.min_row_time));
    fif.put(27, capabilities.ecm);
    fif.put(31, capabilities.ecm && capabilities.codings.contains(&Coding::Mmr));
    fif.put(41, can(Resolution::Superfine));
    fif.put(42, can(Resolution::Inch300));
    fif.put(43, can(Resolution::R16));
    fif.put(45, can(Resolution::Superfine) || can(Resolution::R16));
    let long = capabilities.max_length != Length::A4;
    fif.put(33, true);
    fif.put(49, true);
    tones::offer(capabilities, &mut fif);
    // Stripes of any length are the same to us.
    let t85 = capabilities.ecm && capabilities.codings.contains(&Coding::T85);
    fif.put(78, t85);
    fif.put(79, t85);
    fif.put(76, long);
    fif.put(77, long);
    fif
}

const fn length_code(length: Length) -> u8 {
    match length {
        Length::A4 => 0b00,
        Length::B4 => 0b10,
        Length::Unlimited => 0b01,
    }
}

/// The smallest minimum row time that is not below `time`: 0, 5, 10, 20 or 40 ms. Good for DIS and
/// DCS alike.
fn row_time_code(time: Duration) -> u8 {
    match time.as_millis() {
        0 if time.is_zero() => 0b111,
        0..=5 => 0b100,
        6..=10 => 0b010,
        11..=20 => 0b000,
        _ => 0b001,
    }
}

/// The minimum row time that a DIS demands at `resolution` (T.30 Table 2 bits 21–23 and 46).
fn row_time_demanded(dis: &Fif, resolution: Resolution) -> Duration {
    let (standard, fine) = match dis.group(21, 3) {
        0b100 => (5, 5),
        0b010 => (10, 10),
        0b110 => (20, 10),
        0b001 => (40, 40),
        0b101 => (40, 20),
        0b011 => (10, 5),
        0b111 => (0, 0),
        _ => (20, 20),
    };
    let millis = match resolution {
        Resolution::Standard => standard,
        Resolution::Fine => fine,
        Resolution::Superfine | Resolution::R16 | Resolution::Inch300 if dis.bit(46) => {
            u64::div_ceil(fine, 2)
        }
        Resolution::Superfine | Resolution::R16 | Resolution::Inch300 => fine,
    };
    Duration::from_millis(millis)
}

/// The row time that a DCS states; reserved codes are 20 ms.
fn row_time_stated(dcs: &Fif) -> Duration {
    Duration::from_millis(match dcs.group(21, 3) {
        0b100 => 5,
        0b010 => 10,
        0b001 => 40,
        0b111 => 0,
        _ => 20,
    })
}

fn dis_has(dis: &Fif, resolution: Resolution) -> bool {
    match resolution {
        Resolution::Standard => true,
        Resolution::Fine => dis.bit(15),
        Resolution::Superfine => dis.bit(41),
        Resolution::Inch300 => dis.bit(42),
        Resolution::R16 => dis.bit(43),
    }
}

/// What a page may be sent as, best first: its own resolution, then what it can be reduced to.
const fn reductions(resolution: Resolution) -> &'static [Resolution] {
    use Resolution::{Fine, Inch300, R16, Standard, Superfine};
    match resolution {
        R16 => &[R16, Inch300, Superfine, Fine, Standard],
        Inch300 => &[Inch300, Fine, Standard],
        Superfine => &[Superfine, Fine, Standard],
        Fine => &[Fine, Standard],
        Standard => &[Standard],
    }
}

/// How a page of this shape goes to a terminal with this DIS.
pub(crate) fn choose(ours: &Capabilities, dis: &Fif, shape: &PageShape) -> PageFormat {
    let ecm = ours.ecm && dis.bit(27);
    let mmr = ecm && dis.bit(31) && ours.codings.contains(&Coding::Mmr);
    let t85 = ecm && dis.bit(78) && ours.codings.contains(&Coding::T85);
    let coding = if t85 && (ours.prefer_t85 || !mmr) {
        Coding::T85
    } else if mmr {
        Coding::Mmr
    } else if dis.bit(16) && ours.codings.contains(&Coding::Mr) {
        Coding::Mr
    } else {
        Coding::Mh
    };
    let resolution = reductions(shape.resolution)
        .iter()
        .copied()
        .find(|r| dis_has(dis, *r) && (ours.resolutions.contains(r) || *r == Resolution::Standard))
        .unwrap_or(Resolution::Standard);
    let widest = match dis.group(17, 2) {
        0b00 => Width::A4,
        0b10 => Width::B4,
        _ => Width::A3,
    };
    let widest = widest.min(ours.max_width);
    if ecm && let Some(tones) = tones::choose(ours, dis, shape, widest) {
        return PageFormat {
            coding: Coding::T81(tones),
            resolution: Resolution::Fine,
            width: shape.width,
            ecm,
            min_row_time: Duration::ZERO,
        };
    }
    let width = shape.width.min(widest);
    let min_row_time = if ecm { Duration::ZERO } else { row_time_demanded(dis, resolution) };
    PageFormat { coding, resolution, width, ecm, min_row_time }
}

/// Whether ECM frames to a terminal with this DIS are of 64 octets.
pub(crate) fn small_frames(ours: &Capabilities, dis: &Fif, format: &PageFormat) -> bool {
    format.ecm && (ours.small_frames || dis.bit(7))
}

/// A page of A4, as long as scanners and headers make it, mm.
const A4_LENGTH: u32 = 312;

/// The DCS that says so, to a terminal with this DIS; the longest page that follows is of so many millimetres.
pub(crate) fn dcs(agreed: &Agreed, dis: &Fif, longest: u32) -> Fif {
    let mut fif = Fif::new();
    let format = &agreed.format;
    fif.put(10, true);
    fif.put_group(11, 4, rates::to_dcs(agreed.modulation));
    fif.put(15, format.resolution == Resolution::Fine);
    fif.put(16, format.coding == Coding::Mr);
    fif.put_group(
        17,
        2,
        match format.width {
            Width::A4 => 0b00,
            Width::B4 => 0b10,
            Width::A3 => 0b01,
        },
    );
    fif.put_group(
        19,
        2,
        match dis.group(19, 2) {
            0b00 => 0b00,
            0b10 => 0b10,
            _ => 0b01,
        },
    );
    fif.put_group(21, 3, row_time_code(format.min_row_time));
    // Legal is longer than A4, and shorter than B4. For a page of A4 it would have a machine look for other paper.
    fif.put(77, dis.bit(77) && dis.group(19, 2) == 0 && longest > A4_LENGTH);
    fif.put(27, format.ecm);
    fif.put(28, agreed.small_frames);
    fif.put(31, format.coding == Coding::Mmr);
    fif.put(41, format.resolution == Resolution::Superfine);
    fif.put(42, format.resolution == Resolution::Inch300);
    fif.put(43, format.resolution == Resolution::R16);
    fif.put(33, dis.bit(33));
    // Metric and inch resolutions are taken for one another; who wants inches only is told inches.
    let has_twin = match format.resolution {
        Resolution::Standard | Resolution::Fine | Resolution::Superfine | Resolution::R16 => true,
        Resolution::Inch300 => false,
    };
    fif.put(44, has_twin && dis.bit(44) && !dis.bit(45));
    tones::command(format, &mut fif);
    // Our stripes are the 128 lines that need no bit 79.
    fif.put(78, format.coding == Coding::T85);
    fif
}

/// Bits of a DCS that only go with ECM (T.30 Table 2, notes).
const NEED_ECM: [u32; 21] =
    [31, 36, 38, 51, 53, 54, 55, 57, 59, 60, 62, 65, 68, 78, 79, 92, 93, 94, 115, 116, 127];

/// Bits of a DCS that ask for a coding or resolution which we do not have.
const FOREIGN: [u32; 25] = [
    26, 36, 38, 53, 54, 55, 57, 60, 62, 65, 92, 93, 94, 105, 106, 107, 108, 109, 110, 111, 115, 116, 124,
    125, 127,
];

/// Takes a DCS apart. What we did not offer but can decode is accepted; `None` for what cannot be
/// received: a reserved modulation, a coding that is not ours, MMR or T.85 without ECM. Of several codings the
/// better one is meant.
pub(crate) fn read_dcs(dcs: &Fif) -> Option<Agreed> {
    let modulation = rates::from_dcs(dcs)?;
    let ecm = dcs.bit(27);
    if FOREIGN.iter().any(|n| dcs.bit(*n)) || dcs.bit(126) {
        return None;
    }
    if !ecm && NEED_ECM.iter().any(|n| dcs.bit(*n)) {
        return None;
    }
    let tones = tones::stated(dcs);
    if tones.is_some() && tones::FOREIGN.iter().any(|n| dcs.bit(*n)) {
        return None;
    }
    let coding = if let Some(tones) = tones {
        Coding::T81(tones)
    } else if dcs.bit(78) || dcs.bit(79) {
        Coding::T85
    } else if dcs.bit(31) {
        Coding::Mmr
    } else if dcs.bit(16) {
        Coding::Mr
    } else {
        Coding::Mh
    };
    let resolution = if dcs.bit(43) {
        Resolution::R16
    } else if dcs.bit(42) {
        Resolution::Inch300
    } else if dcs.bit(41) {
        Resolution::Superfine
    } else if dcs.bit(15) || tones.is_some() {
        Resolution::Fine
    } else {
        Resolution::Standard
    };
    let width = match dcs.group(17, 2) {
        0b00 => Width::A4,
        0b10 => Width::B4,
        _ => Width::A3,
    };
    let min_row_time = if ecm { Duration::ZERO } else { row_time_stated(dcs) };
    let format = PageFormat { coding, resolution, width, ecm, min_row_time };
    Some(Agreed { format, modulation, small_frames: ecm && dcs.bit(28) })
}

/// What a DCS fixes of the line alone: modulation and framing, whatever goes over them. The coding and measures are those
/// of the simplest page. `None`: a modulation that is reserved or not ours.
pub(crate) fn carried(dcs: &Fif) -> Option<Agreed> {
    let ecm = dcs.bit(27);
    let format = PageFormat {
        coding: Coding::Mh,
        resolution: Resolution::Standard,
        width: Width::A4,
        ecm,
        min_row_time: Duration::ZERO,
    };
    Some(Agreed { format, modulation: rates::from_dcs(dcs)?, small_frames: ecm && dcs.bit(28) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use fax_base::page::Tones;

    fn a4_fine() -> PageShape {
        PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 2200, tones: None }
    }

    fn dcs_for(dis: &[u8], modulation: Modulation) -> Vec<u8> {
        let dis = Fif::parse(dis);
        let format = choose(&Capabilities::default(), &dis, &a4_fine());
        let agreed = Agreed { format, modulation, small_frames: false };
        dcs(&agreed, &dis, a4_fine().millimetres()).to_octets().to_vec()
    }

    /// The frames of a live call, and the minimal ones.
    #[test]
    fn dcs_as_it_should_be() {
        let full = [0x00, 0x77, 0x1f, 0x23, 0x01, 0x89, 0x01, 0x01, 0x01, 0x18];
        assert_eq!(dcs_for(&full, Modulation::V17At14400), [0x00, 0x46, 0x1f, 0x22]);
        let no_ecm = [0x00, 0x77, 0x1e];
        assert_eq!(dcs_for(&no_ecm, Modulation::V17At14400), [0x00, 0x47, 0x1e]);
        let simplest = [0x00, 0x50, 0x00];
        assert_eq!(dcs_for(&simplest, Modulation::V27ter4800), [0x00, 0x50, 0x00]);
    }

    #[test]
    fn own_dis_offers_what_is_allowed() {
        let all = dis(&Capabilities::default());
        assert_eq!(all.group(11, 4), 0b1101);
        for n in [10, 15, 16, 18, 20, 27, 31, 33, 41, 42, 43, 45, 49, 68, 69, 73, 76, 77, 78, 79] {
            assert!(all.bit(n), "bit {n}");
        }
        for n in [6, 9, 26, 44] {
            assert!(!all.bit(n), "bit {n}");
        }
        let least = dis(&Capabilities {
            ecm: false,
            small_frames: true,
            modulations: vec![Modulation::V27ter2400],
            codings: vec![Coding::Mmr, Coding::T85],
            resolutions: Vec::new(),
            max_width: Width::A4,
            max_length: Length::A4,
            min_row_time: Duration::from_millis(20),
            ..Capabilities::default()
        });
        let ones: Vec<u32> = (1..=128).filter(|n| least.bit(*n)).collect();
        assert_eq!(ones, [10, 33, 49]);
    }

    /// Inches where the far end wants nothing else, FNV where it is understood.
    #[test]
    fn dcs_follows_the_far_ends_wishes() {
        let chosen = |ones: &[u32]| {
            let mut dis = Fif::parse(&[0x00, 0x77, 0x1f, 0x22]);
            dis.put_group(19, 2, 0);
            ones.iter().for_each(|n| dis.put(*n, true));
            Fif::parse(&dcs_for(&dis.to_octets(), Modulation::V17At14400))
        };
        for (ones, bit, want) in [
            (&[44][..], 44, true),
            (&[44, 45], 44, false),
            (&[45], 44, false),
            (&[33], 33, true),
            (&[], 33, false),
        ] {
            assert_eq!(chosen(ones).bit(bit), want, "{ones:?}: {bit}");
        }
    }

    /// Legal for pages longer than A4 where the far end takes nothing longer.
    #[test]
    fn dcs_says_legal_of_long_pages_alone() {
        for (rows, ones, want) in [
            (2_200, &[77][..], false),
            (2_400, &[77], false),
            (2_750, &[77], true),
            (2_750, &[76, 77, 20], false),
            (2_750, &[76, 77, 19], false),
            (2_750, &[76], false),
        ] {
            let shape = PageShape { rows, ..a4_fine() };
            let mut dis = Fif::parse(&[0x00, 0x77, 0x1f, 0x22]);
            dis.put_group(19, 2, 0);
            ones.iter().for_each(|n| dis.put(*n, true));
            let format = choose(&Capabilities::default(), &dis, &shape);
            let agreed = Agreed { format, modulation: Modulation::V17At14400, small_frames: false };
            let dcs = dcs(&agreed, &dis, shape.millimetres());
            assert_eq!(dcs.bit(77), want, "{rows} rows, {ones:?}");
        }
    }

    #[test]
    fn row_times_by_resolution() {
        let rows: [(u8, u64, u64); 8] = [
            (0b000, 20, 20),
            (0b100, 5, 5),
            (0b010, 10, 10),
            (0b110, 20, 10),
            (0b001, 40, 40),
            (0b101, 40, 20),
            (0b011, 10, 5),
            (0b111, 0, 0),
        ];
        for (code, standard, fine) in rows {
            let mut dis = Fif::new();
            dis.put_group(21, 3, code);
            let time = |r| row_time_demanded(&dis, r).as_millis();
            assert_eq!(time(Resolution::Standard), u128::from(standard));
            assert_eq!(time(Resolution::Fine), u128::from(fine));
            assert_eq!(time(Resolution::Superfine), u128::from(fine));
        }
        let mut dis = Fif::new();
        dis.put_group(21, 3, 0b010);
        dis.put(46, true);
        assert_eq!(row_time_demanded(&dis, Resolution::Superfine).as_millis(), 5);
        // What is sent is a value that DCS has, and is read back.
        for millis in [0, 3, 5, 10, 20, 40] {
            let mut dcs = Fif::new();
            dcs.put_group(21, 3, row_time_code(Duration::from_millis(millis)));
            assert!(row_time_stated(&dcs) >= Duration::from_millis(millis));
        }
        for reserved in [0b110, 0b101, 0b011] {
            let mut dcs = Fif::new();
            dcs.put_group(21, 3, reserved);
            assert_eq!(row_time_stated(&dcs).as_millis(), 20);
        }
    }

    #[test]
    fn dcs_that_cannot_be_received() {
        let read = |octets: &[u8]| read_dcs(&Fif::parse(octets));
        let good = read(&[0x00, 0x46, 0x1f, 0x22]).expect("MMR with ECM");
        assert_eq!(good.format.coding, Coding::Mmr);
        assert!(good.format.ecm);
        // MMR without ECM.
        assert_eq!(read(&[0x00, 0x46, 0x1f, 0x02]), None);
        // V.33, a reserved modulation.
        assert_eq!(read(&[0x00, 0x48, 0x00]), None);
        assert_eq!(read(&[0x00, 0x6C, 0x00]), None);
        // 600 × 600; JPEG with 12 bits, JPEG with 100 × 100.
        for bits in [&[105u32][..], &[68, 71], &[68, 98]] {
            let mut dcs = Fif::parse(&[0x00, 0x46, 0x1f, 0x20]);
            for n in bits {
                dcs.put(*n, true);
            }
            assert_eq!(read(&dcs.to_octets()), None, "bits {bits:?}");
        }
        // JPEG, grey and in colour; fine whether it says so or not; not without ECM.
        for (octets, coding) in [
            (&[0x00, 0x46, 0x1f, 0x21, 0x01, 0x11, 0x01, 0x01, 0x1C][..], Some(Coding::T81(Tones::Colour))),
            (&[0x00, 0x44, 0x1f, 0x21, 0x01, 0x01, 0x01, 0x01, 0x10], Some(Coding::T81(Tones::Grey))),
            (&[0x00, 0x46, 0x1f, 0x01, 0x01, 0x01, 0x01, 0x01, 0x10], None),
        ] {
            let format = read(octets).map(|a| a.format);
            assert_eq!(format.map(|f| f.coding), coding, "{octets:02x?}");
            assert!(format.is_none_or(|f| f.resolution == Resolution::Fine));
        }
        // Both width bits: the widest.
        let wide = read(&[0x00, 0x42, 0xC0]).expect("A3");
        assert_eq!(wide.format.width, Width::A3);
        // MR beside MMR: MMR wins.
        let both = read(&[0x00, 0x47, 0x1f, 0x22]).expect("MMR");
        assert_eq!(both.format.coding, Coding::Mmr);
        // T.85 beside MMR, or with stripes of its own: T.85; never without ECM.
        for bits in [&[31u32, 78][..], &[78], &[78, 79], &[79]] {
            let mut dcs = Fif::parse(&[0x00, 0x46, 0x1f, 0x20]);
            bits.iter().for_each(|n| dcs.put(*n, true));
            let agreed = read(&dcs.to_octets()).expect("T.85");
            assert_eq!(agreed.format.coding, Coding::T85, "{bits:?}");
            dcs.put(27, false);
            assert_eq!(read(&dcs.to_octets()), None, "{bits:?}");
        }
    }

    #[test]
    fn t85_where_it_is_common_to_both_and_wanted() {
        let pick = |prefer_t85: bool, codings: &[Coding], bits: &[u32]| {
            let ours = Capabilities { prefer_t85, codings: codings.to_vec(), ..Capabilities::default() };
            let mut dis = Fif::new();
            bits.iter().for_each(|n| dis.put(*n, true));
            let format = choose(&ours, &dis, &a4_fine());
            let agreed = Agreed { format, modulation: Modulation::V17At14400, small_frames: false };
            let dcs = dcs(&agreed, &dis, 297);
            assert_eq!(
                (dcs.bit(31), dcs.bit(78), dcs.bit(79)),
                match format.coding {
                    Coding::T85 => (false, true, false),
                    Coding::Mmr => (true, false, false),
                    Coding::Mh | Coding::Mr | Coding::T81(_) => (false, false, false),
                }
            );
            format.coding
        };
        let all = [Coding::Mr, Coding::Mmr, Coding::T85];
        assert_eq!(pick(true, &all, &[16, 27, 31, 78]), Coding::T85);
        assert_eq!(pick(true, &all, &[16, 27, 31, 78, 79]), Coding::T85);
        assert_eq!(pick(true, &all, &[16, 27, 31]), Coding::Mmr);
        // L0 of any length alone is no offer.
        assert_eq!(pick(true, &all, &[16, 27, 31, 79]), Coding::Mmr);
        assert_eq!(pick(true, &all, &[16, 78]), Coding::Mr);
        assert_eq!(pick(true, &[Coding::Mmr], &[16, 27, 31, 78]), Coding::Mmr);
        assert_eq!(pick(false, &all, &[16, 27, 31, 78]), Coding::Mmr);
        assert_eq!(pick(false, &all, &[16, 27, 78]), Coding::T85);
        assert_eq!(pick(false, &[Coding::Mr, Coding::T85], &[16, 27, 31, 78]), Coding::T85);
    }

    #[test]
    fn a_page_that_is_too_fine_or_too_wide() {
        let shape = PageShape { width: Width::A3, resolution: Resolution::R16, rows: 1, tones: None };
        let mut ours = Capabilities::default();
        ours.resolutions.push(Resolution::R16);
        let mut dis = Fif::new();
        let pick = |ours: &Capabilities, dis: &Fif| {
            let f = choose(ours, dis, &shape);
            (f.resolution, f.width)
        };
        assert_eq!(pick(&ours, &dis), (Resolution::Standard, Width::A4));
        dis.put(15, true);
        dis.put_group(17, 2, 0b10);
        assert_eq!(pick(&ours, &dis), (Resolution::Fine, Width::B4));
        dis.put(41, true);
        dis.put_group(17, 2, 0b11);
        assert_eq!(pick(&ours, &dis), (Resolution::Superfine, Width::A3));
        dis.put(43, true);
        assert_eq!(pick(&ours, &dis), (Resolution::R16, Width::A3));
        ours.resolutions = vec![Resolution::Fine];
        ours.max_width = Width::A4;
        assert_eq!(pick(&ours, &dis), (Resolution::Fine, Width::A4));
    }
}
