//! Whatever comes out of the line, the terminal does not fall over, does not grow, and ends by its own timers.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use core::time::Duration;
use fax_base::Instant;
use fax_base::page::{Resolution, Width};
use fax_t30::{Capabilities, Role};
use fax_terminal::{Config, Document, Input, Output, Terminal};
use proptest::prelude::*;
use std::sync::{Arc, OnceLock};
use testkit::audio::{BLOCK, Block, Machine, Ours, Path, call};
use testkit::network::Random;
use testkit::pages;

/// A piece of nonsense.
#[derive(Clone, Debug)]
enum Piece {
    Noise {
        level: u16,
    },
    Extremes,
    Constant(i16),
    Square {
        half: u8,
        level: i16,
    },
    Silence,
    /// From a fax call, from whichever end, from wherever in it.
    Spliced {
        from_calling: bool,
        at: u32,
    },
    Lost(usize),
}

fn piece() -> impl Strategy<Value = (Piece, u16)> {
    let piece = prop_oneof![
        1 => any::<u16>().prop_map(|level| Piece::Noise { level }),
        1 => Just(Piece::Extremes),
        1 => any::<i16>().prop_map(Piece::Constant),
        1 => (1u8.., any::<i16>()).prop_map(|(half, level)| Piece::Square { half, level }),
        1 => Just(Piece::Silence),
        4 => (any::<bool>(), any::<u32>()).prop_map(|(from_calling, at)| Piece::Spliced { from_calling, at }),
        2 => prop_oneof![0usize..5_000, Just(usize::MAX)].prop_map(Piece::Lost),
    ];
    (piece, 1u16..16_000)
}

fn terminal(role: Role) -> Terminal {
    let page = pages::coded(&pages::text(1728, 300, 3), Resolution::Fine, Width::A4);
    Terminal::new(Config {
        role,
        ident: "1".into(),
        capabilities: Capabilities::default(),
        documents: if role == Role::Calling { vec![Document::new(vec![Arc::new(page)])] } else { vec![] },
        ..Config::default()
    })
}

/// A machine with what it said.
struct Recorded(Ours, Vec<i16>);

impl Machine for Recorded {
    fn transmit(&mut self, now: Instant, block: &mut Block) {
        self.0.transmit(now, block);
        self.1.extend_from_slice(block);
    }
    fn receive(&mut self, now: Instant, block: &Block) {
        self.0.receive(now, block);
    }
    fn lost(&mut self, now: Instant) {
        self.0.lost(now);
    }
    fn hung_up(&mut self, now: Instant) {
        self.0.hung_up(now);
    }
    fn over(&self) -> bool {
        self.0.over()
    }
}

/// A whole call, both directions.
fn recording() -> &'static [Vec<i16>; 2] {
    static CALL: OnceLock<[Vec<i16>; 2]> = OnceLock::new();
    CALL.get_or_init(|| {
        let mut a = Recorded(Ours::new(terminal(Role::Calling)), vec![]);
        let mut b = Recorded(Ours::new(terminal(Role::Called)), vec![]);
        let path = Path::default();
        let held = call(&mut a, &mut b, path, path, 1, Duration::from_secs(600));
        assert!(held.ended && a.0.cause().is_none(), "{}", a.0.ladder());
        [a.1, b.1]
    })
}

fn sample(piece: &Piece, random: &mut Random, at: usize) -> i16 {
    match *piece {
        Piece::Noise { level } => {
            let most = i64::from(level) + 1;
            (random.below(2 * most as u64) as i64 - most).clamp(-32_768, 32_767) as i16
        }
        Piece::Extremes => [i16::MIN, i16::MAX][random.below(2) as usize],
        Piece::Constant(value) => value,
        Piece::Square { half, level } => {
            if (at / usize::from(half)).is_multiple_of(2) {
                level
            } else {
                -(level.max(-32_767))
            }
        }
        Piece::Silence | Piece::Lost(_) => 0,
        Piece::Spliced { from_calling, at: from } => {
            let call = &recording()[usize::from(!from_calling)];
            call[(from as usize + at) % call.len()]
        }
    }
}

/// The pieces again and again until the terminal ends; how long that took.
fn suffer(role: Role, pieces: &[(Piece, u16)], seed: u64, limit: Duration) -> Option<Duration> {
    let mut terminal = terminal(role);
    let mut random = Random::new(seed);
    let mut now = Instant::ZERO;
    let mut out = [0; BLOCK];
    let mut over = false;
    terminal.handle(now, Input::Start);
    for (piece, length) in pieces.iter().cycle() {
        let mut samples: Vec<i16> =
            (0..usize::from(*length)).map(|at| sample(piece, &mut random, at)).collect();
        if let Piece::Lost(count) = piece {
            terminal.handle(now, Input::AudioLost(*count));
            samples.truncate(BLOCK);
        }
        // Blocks of any size, once 20 ms of them have come the same is sent.
        let mut since = 0;
        while !samples.is_empty() {
            let size = (1 + random.below(400) as usize).min(samples.len());
            let block: Vec<i16> = samples.drain(..size).collect();
            terminal.handle(now, Input::Audio(&block));
            since += size;
            while since >= BLOCK {
                since -= BLOCK;
                now += Duration::from_millis(20);
                terminal.transmit_audio(now, &mut out);
            }
            while terminal.deadline().is_some_and(|at| at <= now) {
                terminal.handle(now, Input::Timeout);
                while let Some(output) = terminal.poll() {
                    over |= matches!(output, Output::End(_));
                }
            }
            while let Some(output) = terminal.poll() {
                over |= matches!(output, Output::End(_));
            }
            if over {
                return Some(now.since(Instant::ZERO));
            }
        }
        if now.since(Instant::ZERO) >= limit {
            return None;
        }
        now += Duration::from_micros(125);
    }
    None
}

/// Resident memory, kB.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, ..ProptestConfig::default() })]

    #[test]
    fn any_audio_comes_to_an_end(
        calling in any::<bool>(),
        pieces in prop::collection::vec(piece(), 1..40),
        seed in any::<u64>(),
    ) {
        recording();
        let before = resident();
        let role = if calling { Role::Calling } else { Role::Called };
        // The time of a page is the longest that anything may go on without getting further.
        let longest = fax_t30::Rules::default().longest_page + Duration::from_secs(600);
        let took = suffer(role, &pieces, seed, longest);
        prop_assert!(took.is_some(), "it never ends");
        let grown = resident().saturating_sub(before);
        prop_assert!(grown < 16_000, "{grown} kB more");
    }
}

/// The plainest kinds, each by itself, end within T1 and what goes before it.
#[test]
fn each_kind_of_nonsense_ends_within_t1() {
    for role in [Role::Calling, Role::Called] {
        for piece in [
            Piece::Silence,
            Piece::Noise { level: 300 },
            Piece::Noise { level: u16::MAX },
            Piece::Extremes,
            Piece::Constant(i16::MAX),
            Piece::Square { half: 2, level: 8000 },
            Piece::Square { half: 13, level: 20_000 },
            Piece::Lost(usize::MAX),
            Piece::Lost(160),
        ] {
            let took = suffer(role, &[(piece.clone(), 8000)], 1, Duration::from_secs(200));
            assert!(took.is_some_and(|t| t < Duration::from_secs(120)), "{role:?} {piece:?} {took:?}");
        }
    }
}
