//! Coding and training beside vectors worked out independently from the Recommendations (V.17, V.29,
//! V.27ter): the short ones in full, the long ones by their frame check sequence.

use fax_base::hdlc::fcs;
use fax_base::line::Training;
use fax_dsp::modem::Mode;
use fax_dsp::scrambler::{Descrambler, GuardedDescrambler, GuardedScrambler, Scrambler};
use fax_dsp::{v17, v27ter, v29};

/// 48 symbols of ones and 16 of zeros.
fn ones_then_zeros(mode: Mode) -> impl Iterator<Item = u32> {
    let ones = (1 << mode.bits_per_symbol()) - 1;
    core::iter::repeat_n(ones, 48).chain(core::iter::repeat_n(0, 16))
}

/// Random bits, the same in every run.
fn random_bits() -> impl Iterator<Item = u32> {
    core::iter::successors(Some(1u32), |x| Some(x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223)))
        .skip(1)
        .map(|x| x >> 31)
}

#[test]
fn v17_training_states() {
    let long: Vec<u8> = v17::TrainingStates::new(Training::Long).collect();
    assert_eq!(long.len(), v17::TrainingStates::count(Training::Long));
    assert_eq!(fcs(&long), [0x6D, 0x9B]);
    let letters = |states: &[u8]| states.iter().map(|s| char::from(b'A' + s)).collect::<String>();
    assert_eq!(letters(&long[256..294]), "CDCDCDCDCDCDBDBDBDBDBABBBBBBBBCBCBCCCC");
    assert_eq!(letters(&long[3232..]), "BBCDDADBACADACDBCAACDADCBCBCBBACBDCCADCBCDDCACCCADCADCCBCAAADDAA");
    let short: Vec<u8> = v17::TrainingStates::new(Training::Short).collect();
    assert_eq!(short, long[..294]);
}

/// Segment 4 and 16 symbols of zeros.
#[test]
fn v17_labels() {
    let vectors: [(Mode, Training, [usize; 64]); 8] = [
        (
            Mode::V17At7200,
            Training::Long,
            [
                2, 0, 9, 2, 2, 2, 13, 0, 13, 10, 5, 11, 7, 0, 6, 0, 2, 8, 3, 13, 6, 3, 0, 8, 5, 15, 2, 0, 8,
                12, 13, 4, 4, 9, 13, 4, 7, 14, 8, 3, 5, 12, 15, 12, 0, 0, 0, 14, 9, 2, 10, 0, 3, 9, 3, 15, 2,
                0, 14, 3, 13, 6, 3, 2,
            ],
        ),
        (
            Mode::V17At7200,
            Training::Short,
            [
                10, 2, 1, 13, 14, 13, 2, 9, 12, 15, 4, 10, 6, 12, 13, 6, 4, 8, 1, 6, 11, 12, 1, 10, 14, 13,
                15, 4, 1, 0, 8, 5, 15, 4, 3, 15, 3, 12, 4, 7, 3, 11, 11, 5, 1, 9, 2, 1, 10, 0, 8, 8, 0, 10,
                4, 8, 5, 15, 2, 8, 10, 2, 7, 11,
            ],
        ),
        (
            Mode::V17At9600,
            Training::Long,
            [
                18, 4, 2, 3, 10, 12, 25, 15, 27, 22, 30, 2, 20, 10, 23, 1, 26, 19, 23, 19, 14, 14, 4, 7, 7,
                20, 7, 0, 13, 2, 5, 9, 30, 2, 3, 30, 3, 24, 16, 13, 13, 13, 14, 3, 22, 25, 17, 25, 20, 10,
                30, 14, 29, 21, 13, 4, 17, 18, 12, 15, 19, 15, 20, 23,
            ],
        ),
        (
            Mode::V17At9600,
            Training::Short,
            [
                10, 26, 27, 28, 27, 31, 27, 30, 26, 23, 5, 3, 0, 7, 11, 31, 18, 22, 27, 9, 15, 2, 2, 12, 30,
                24, 24, 20, 1, 5, 0, 4, 2, 7, 11, 15, 2, 30, 11, 9, 11, 11, 13, 15, 1, 11, 19, 3, 25, 28, 22,
                7, 22, 4, 4, 30, 14, 27, 27, 12, 18, 24, 3, 3,
            ],
        ),
        (
            Mode::V17At12000,
            Training::Long,
            [
                50, 50, 3, 18, 12, 59, 52, 47, 30, 16, 61, 45, 39, 11, 22, 40, 13, 49, 8, 1, 55, 23, 55, 11,
                4, 50, 16, 1, 28, 55, 4, 30, 15, 18, 21, 45, 31, 15, 45, 36, 39, 8, 7, 43, 57, 20, 40, 36,
                17, 11, 8, 3, 62, 37, 36, 54, 29, 51, 19, 39, 8, 58, 43, 62,
            ],
        ),
        (
            Mode::V17At12000,
            Training::Short,
            [
                10, 14, 44, 59, 30, 45, 50, 45, 35, 53, 29, 28, 25, 42, 54, 29, 11, 5, 45, 48, 26, 47, 19,
                11, 7, 48, 16, 25, 12, 39, 52, 24, 10, 22, 40, 4, 15, 15, 6, 3, 46, 61, 24, 63, 35, 45, 35,
                32, 55, 33, 2, 3, 39, 3, 26, 35, 11, 42, 1, 14, 9, 57, 11, 37,
            ],
        ),
        (
            Mode::V17At14400,
            Training::Long,
            [
                50, 26, 3, 44, 121, 114, 22, 21, 119, 80, 34, 65, 85, 48, 104, 9, 96, 12, 70, 24, 66, 124, 0,
                113, 100, 67, 15, 33, 75, 83, 29, 97, 11, 15, 20, 3, 113, 47, 48, 74, 45, 30, 106, 51, 50,
                24, 120, 86, 69, 115, 45, 41, 21, 85, 60, 7, 88, 17, 95, 25, 61, 19, 118, 54,
            ],
        ),
        (
            Mode::V17At14400,
            Training::Short,
            [
                10, 96, 123, 113, 93, 115, 118, 30, 100, 53, 88, 85, 120, 59, 6, 47, 57, 102, 82, 19, 70, 31,
                67, 53, 65, 55, 44, 39, 40, 11, 12, 1, 32, 48, 127, 90, 89, 88, 28, 74, 11, 72, 126, 86, 115,
                97, 17, 34, 31, 32, 107, 14, 107, 60, 61, 111, 74, 38, 53, 125, 7, 99, 100, 122,
            ],
        ),
    ];
    for (mode, training, want) in vectors {
        let mut states = v17::TrainingStates::new(training);
        states.by_ref().for_each(drop);
        let mut scrambler = states.scrambler();
        let mut descrambler = Descrambler::new();
        let mut encoder = v17::Encoder::new(mode, training);
        let mut last = None;
        for (n, (bits, want)) in ones_then_zeros(mode).zip(want).enumerate() {
            let line = scrambler.scramble(bits, mode.bits_per_symbol());
            let label = encoder.encode(line);
            assert_eq!(label, want, "{mode:?} {training:?} {n}");
            if let Some(last) = last.replace(label) {
                assert_eq!(v17::decode(mode, last, label), line, "{mode:?} {training:?} {n}");
                let back = descrambler.descramble(line, mode.bits_per_symbol());
                assert!(n < 10 || back == bits, "{mode:?} {training:?} {n}");
            }
        }
    }
}

/// Every label is a point of its own, the subsets lie as set partition wants them, and the training's
/// states are points at 7200 bit/s.
#[test]
fn v17_constellations() {
    for (mode, count, power, nearest) in [
        (Mode::V17At7200, 16, 40.0, 16.0),
        (Mode::V17At9600, 32, 40.0, 8.0),
        (Mode::V17At12000, 64, 42.0, 4.0),
        (Mode::V17At14400, 128, 41.0, 2.0),
    ] {
        let points = v17::constellation(mode);
        assert_eq!(points.len(), count);
        let sum: f32 = points.iter().map(|p| p[0] * p[0] + p[1] * p[1]).sum();
        assert!((sum / count as f32 - power).abs() < 1e-3, "{mode:?}");
        for (i, a) in points.iter().enumerate() {
            for (j, b) in points.iter().enumerate().skip(i + 1) {
                let d2 = (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
                let least = if i % 8 == j % 8 { 8.0 * nearest } else { nearest };
                assert!(d2 >= least, "{mode:?} {i} {j}");
            }
        }
    }
    for state in v17::STATES {
        assert!(v17::constellation(Mode::V17At7200).contains(&state));
        assert!((state[0] * state[0] + state[1] * state[1] - v17::TRAINING_POWER).abs() < 1e-6);
    }
}

/// Segments 2 to 4 and 16 symbols of zeros.
#[test]
fn v29_symbols() {
    for (mode, want) in
        [(Mode::V29At4800, [0xCA, 0xDD]), (Mode::V29At7200, [0x93, 0x03]), (Mode::V29At9600, [0x33, 0xB3])]
    {
        let [a, b, c, d] = v29::states(mode);
        let mut symbols: Vec<[f32; 2]> = [a, b].into_iter().cycle().take(v29::SEGMENT_2).collect();
        symbols.extend(v29::Segment3::new().take(v29::SEGMENT_3).map(|one| if one { d } else { c }));
        let mut scrambler = Scrambler::new(0);
        let mut descrambler = Descrambler::new();
        let mut encoder = v29::Encoder::new(mode);
        let mut last = 0;
        for bits in ones_then_zeros(mode) {
            let line = scrambler.scramble(bits, mode.bits_per_symbol());
            let label = encoder.encode(line);
            assert_eq!(v29::decode(mode, last, label), line);
            assert_eq!(descrambler.descramble(line, mode.bits_per_symbol()), bits);
            last = label;
            symbols.push(v29::constellation(mode)[label]);
        }
        let octets: Vec<u8> = symbols.iter().flatten().map(|x| *x as i8 as u8).collect();
        assert_eq!(fcs(&octets), want, "{mode:?}");
        let points = v29::constellation(mode);
        let sum: f32 = points.iter().map(|p| p[0] * p[0] + p[1] * p[1]).sum();
        assert!((sum / points.len() as f32 - v29::power(mode)).abs() < 1e-6);
    }
}

/// Segments 3 to 5 and 16 symbols of zeros, as phases in eighths of a turn.
#[test]
fn v27ter_phases() {
    for (mode, training, want) in [
        (Mode::V27ter4800, Training::Long, [0x1C, 0x6B]),
        (Mode::V27ter4800, Training::Short, [0x3A, 0xEB]),
        (Mode::V27ter2400, Training::Long, [0xE1, 0x7C]),
        (Mode::V27ter2400, Training::Short, [0xC7, 0xFC]),
    ] {
        let mut training = v27ter::TrainingPhases::new(training);
        let mut phases: Vec<u8> = training.by_ref().map(|turned| if turned { 4 } else { 0 }).collect();
        let mut scrambler = training.scrambler();
        let mut encoder = training.encoder(mode);
        let eighths = if mode == Mode::V27ter2400 { 2 } else { 1 };
        let mut last = usize::from(phases[phases.len() - 1]) / eighths;
        for bits in ones_then_zeros(mode).skip(48 - v27ter::SEGMENT_5) {
            let line = scrambler.scramble(bits, mode.bits_per_symbol());
            let label = encoder.encode(line);
            assert_eq!(v27ter::decode(mode, last, label), line);
            last = label;
            phases.push((label * eighths) as u8);
        }
        assert_eq!(fcs(&phases), want, "{mode:?} {training:?}");
    }
    for (mode, step) in [(Mode::V27ter4800, 1.0), (Mode::V27ter2400, 2.0)] {
        for (i, p) in v27ter::constellation(mode).iter().enumerate() {
            let (sin, cos) = (i as f32 * step * core::f32::consts::FRAC_PI_4).sin_cos();
            assert!((p[0] - cos).abs() < 1e-6 && (p[1] - sin).abs() < 1e-6);
        }
    }
}

/// 32,000 random bits, in which the guard inverts 39.
#[test]
fn v27ter_guard() {
    let mut scrambler = GuardedScrambler::new(0b011_1100);
    let mut descrambler = GuardedDescrambler::after(0b011_1100);
    let mut late = GuardedDescrambler::new();
    let mut octets = vec![0u8; 4000];
    let mut wrong = 0;
    for (i, bit) in random_bits().take(32_000).enumerate() {
        let line = scrambler.scramble(bit, 1);
        octets[i / 8] |= (line as u8) << (7 - i % 8);
        assert_eq!(descrambler.descramble(line, 1), bit, "{i}");
        wrong += usize::from(late.descramble(line, 1) != bit);
    }
    assert_eq!(fcs(&octets), [0xCA, 0x3B]);
    assert!(wrong < 8, "{wrong}");
}
