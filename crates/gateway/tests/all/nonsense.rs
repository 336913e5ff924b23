//! Whatever comes on either side: no panic, no hang, and memory that stays where it is.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use fax_base::time::{Duration, Instant};
use fax_dsp::Law;
use fax_gateway::{Config, Gateway, Input, Output};
use fax_t38::ifp::{DataType, Field, FieldType, Ifp, Indicator, Syntax};
use fax_t38::udptl::Sender;
use proptest::prelude::*;
use testkit::network::Random;

/// Something that goes on for a while.
#[derive(Clone, Debug)]
enum Piece {
    Noise {
        level: u16,
    },
    Silence,
    Lost(usize),
    Octets,
    /// Any octets as datagrams.
    Datagrams {
        length: usize,
    },
    /// UDPTL of any IFPs, many at once.
    Ifps {
        at_once: usize,
    },
    Fetch,
}

fn piece() -> impl Strategy<Value = Piece> {
    prop_oneof![
        any::<u16>().prop_map(|level| Piece::Noise { level }),
        Just(Piece::Silence),
        (0..100_000usize).prop_map(Piece::Lost),
        Just(Piece::Octets),
        (0..300usize).prop_map(|length| Piece::Datagrams { length }),
        (1..40usize).prop_map(|at_once| Piece::Ifps { at_once }),
        Just(Piece::Fetch),
    ]
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn any_ifp(random: &mut Random) -> Vec<u8> {
    let octets: Vec<u8> = (0..1 + random.below(120)).map(|_| random.bits() as u8).collect();
    let of = |n: u64, count: usize| (n % count as u64) as u8;
    let ifp = if random.chance(0.2) {
        Ifp::Indicator(Indicator::from_index(of(random.bits(), 16)).unwrap())
    } else {
        let data_type = DataType::from_index(of(random.bits(), 9)).unwrap();
        let kind = FieldType::from_index(of(random.bits(), 8)).unwrap();
        let carries = matches!(kind, FieldType::HdlcData | FieldType::T4NonEcmData);
        let field = if carries { Field::new(kind, &octets) } else { Field::bare(kind) };
        // Most of it is such that something may come of it: frames of V.21.
        Ifp::Data {
            data_type: if random.chance(0.5) { DataType::V21 } else { data_type },
            fields: vec![field],
        }
    };
    ifp.to_octets(Syntax::V1998).unwrap()
}

fn suffer(pieces: &[(Piece, u64)], seed: u64) {
    let mut random = Random::new(seed);
    let config = Config::default();
    let mut sender = Sender::new(config.t38.far_max_datagram, config.t38.error_correction);
    let mut gateway = Gateway::new(config, Instant::ZERO);
    let mut now = Instant::ZERO;
    for (piece, blocks) in pieces {
        for _ in 0..*blocks {
            now += Duration::from_millis(20);
            let mut samples = [0i16; 160];
            match piece {
                Piece::Noise { level } => {
                    let level = i64::from(*level / 2).max(1);
                    samples = samples.map(|_| (random.below(2 * level as u64) as i64 - level) as i16);
                    gateway.handle(now, Input::Audio(&samples));
                }
                Piece::Silence => gateway.handle(now, Input::Audio(&samples)),
                Piece::Lost(count) => gateway.handle(now, Input::AudioLost(*count)),
                Piece::Octets => {
                    let octets = [0; 160].map(|_: u8| random.bits() as u8);
                    gateway.handle(now, Input::G711(Law::Mu, &octets));
                }
                Piece::Datagrams { length } => {
                    let octets: Vec<u8> = (0..*length).map(|_| random.bits() as u8).collect();
                    gateway.handle(now, Input::Datagram(&octets));
                }
                Piece::Ifps { at_once } => {
                    for _ in 0..*at_once {
                        let datagram = sender.packet(now, any_ifp(&mut random).into(), 3);
                        gateway.handle(now, Input::Datagram(&datagram));
                    }
                }
                Piece::Fetch => {}
            }
            gateway.transmit_audio(now, &mut samples);
            for turn in 0.. {
                assert!(turn < 1_000, "it spins");
                match gateway.deadline() {
                    Some(at) if at <= now => gateway.handle(now, Input::Timeout),
                    _ => break,
                }
            }
            let mut outputs = 0;
            while let Some(output) = gateway.poll() {
                outputs += 1;
                assert!(outputs < 5_000, "it babbles");
                if let Output::Datagram(datagram) = output {
                    assert!(datagram.len() <= 400);
                }
            }
        }
    }
    // In silence everything that waits comes to its end.
    let mut quiet = 0;
    for _ in 0..50 * 3_600 {
        now += Duration::from_millis(20);
        let mut samples = [0; 160];
        gateway.handle(now, Input::Audio(&[0; 160]));
        gateway.handle(now, Input::Timeout);
        gateway.transmit_audio(now, &mut samples);
        while gateway.poll().is_some() {}
        quiet = if samples.iter().all(|sample| *sample == 0) { quiet + 1 } else { 0 };
        if quiet > 50 * 20 {
            return;
        }
    }
    panic!("it never falls silent");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 60, ..ProptestConfig::default() })]

    #[test]
    fn anything_on_either_side_is_survived(
        pieces in prop::collection::vec((piece(), 1..300u64), 1..20),
        seed in any::<u64>(),
    ) {
        let before = resident();
        suffer(&pieces, seed);
        let grown = resident().saturating_sub(before);
        prop_assert!(grown < 24_000, "{grown} kB more");
    }
}

/// Hours of packets that nobody fetches as audio.
#[test]
fn what_waits_is_bounded() {
    let mut gateway = Gateway::new(Config::default(), Instant::ZERO);
    let mut sender = Sender::new(400, fax_t38::ErrorCorrection::Redundancy);
    let mut random = Random::new(3);
    let before = resident();
    for n in 0..400_000u64 {
        let now = Instant::from_millis(n * 5);
        let datagram = sender.packet(now, any_ifp(&mut random).into(), 3);
        gateway.handle(now, Input::Datagram(&datagram));
        while gateway.poll().is_some() {}
    }
    let grown = resident().saturating_sub(before);
    println!("{grown} kB more");
    assert!(grown < 40_000, "{grown} kB more");
}
