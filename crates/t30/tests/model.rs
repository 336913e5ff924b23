//! Thousands of seeded calls over bad lines. Whatever the line does: every call ends, and no page is
//! claimed that was not received.

use core::time::Duration;
use fax_base::Instant;
use fax_base::line::Modulation;
use fax_base::page::{PageShape, Resolution, Width};
use fax_t30::{Capabilities, Config, Document, Event, Role, Rules, Session};
use testkit::line::page::{made_up, recognise};
use testkit::line::pair::{Impairments, Pair};
use testkit::line::rng::Rng;

/// No call of a few short pages lasts longer: every state has its timer.
const LIMIT: Duration = Duration::from_secs(2 * 3600);

fn impairments(rng: &mut Rng) -> Impairments {
    let mut chance = |most: u64| {
        if rng.below(2) == 0 { 0 } else { rng.below(most) as u32 }
    };
    Impairments {
        control_bad: chance(300),
        control_lost: chance(300),
        control_twice: chance(200),
        silent: chance(200),
        image_bad: chance(500),
        bits_lost: chance(200),
        bits_bad: chance(60),
        drop_unseen: chance(200),
        latency: Duration::from_millis(u64::from(chance(600))),
        echo: None,
        duplex: false,
    }
}

/// One call; what is wrong with it.
fn call(seed: u64) -> (Pair, usize, Vec<String>) {
    let mut rng = Rng::new(seed);
    let mut i = impairments(&mut rng);
    i.duplex = rng.below(2) == 0;
    i.echo = (rng.below(3) == 0).then(|| Duration::from_millis(rng.below(500)));
    // Shorter pages than five seconds cannot be told from a repeated command without counters.
    let octets = 9_000 + rng.below(12_000) as usize * rng.pick(&[1, 1, 8]);
    let shapes: Vec<PageShape> = (0..1 + rng.below(5))
        .map(|_| PageShape {
            width: rng.pick(&[Width::A4, Width::A4, Width::A4, Width::B4]),
            resolution: rng.pick(&[Resolution::Fine, Resolution::Fine, Resolution::Standard]),
            rows: 1000,
        })
        .collect();
    let mut config = |role: Role, send: Vec<PageShape>| Config {
        role,
        ident: if rng.below(2) == 0 { "123".into() } else { String::new() },
        capabilities: Capabilities {
            ecm: rng.below(4) != 0,
            modulations: match rng.below(3) {
                0 => Modulation::ALL.to_vec(),
                1 => Modulation::ALL[..4].to_vec(),
                _ => Modulation::ALL[..2].to_vec(),
            },
            ..Capabilities::default()
        },
        send: vec![Document::new(send)],
        sub_address: (role == Role::Calling && rng.below(4) == 0).then(|| "17".into()),
        rules: Rules {
            page_retries: rng.below(4) as u32,
            refuse_at_percent: if rng.below(2) == 0 { None } else { Some(15) },
            ..Rules::default()
        },
        ..Config::default()
    };
    let (calling, called) = (config(Role::Calling, shapes), config(Role::Called, Vec::new()));
    let mut pair = Pair::new(Session::new(calling), Session::new(called), octets, i, seed);
    if rng.below(3) == 0 {
        for _ in 0..1 + rng.below(3) {
            pair.line_changes.push(Instant::from_millis(rng.below(120_000)));
        }
    }
    let mut wrong = Vec::new();
    if !pair.run(LIMIT) {
        wrong.push("the call does not end".into());
    }
    wrong.extend(judge(&pair, octets));
    (pair, octets, wrong)
}

fn judge(pair: &Pair, octets: usize) -> Vec<String> {
    let mut wrong = Vec::new();
    let [caller, called] = &pair.ends;
    for end in &pair.ends {
        wrong.extend(end.breaches.iter().cloned());
    }
    let confirmed = caller.confirmed();
    let in_order: Vec<usize> = (0..confirmed.len()).collect();
    if confirmed != in_order {
        wrong.push(format!("confirmed out of order or twice: {confirmed:?}"));
    }
    for index in &confirmed {
        let has = called.pages.iter().any(|page| {
            recognise(&page.octets) == Some(*index)
                && (!page.format.ecm || page.octets.get(..octets) == Some(made_up(*index, octets).as_ref()))
        });
        if !has {
            wrong.push(format!("page {index} was claimed and not received"));
        }
    }
    if let Some(outcome) = &caller.outcome {
        if outcome.pages_confirmed != confirmed.len() {
            wrong.push("the outcome counts other pages than the events".into());
        }
        if outcome.failure.is_none() && outcome.page_uncertain.is_some() {
            wrong.push("success with an uncertain page".into());
        }
    }
    if let Some(outcome) = &called.outcome
        && outcome.pages_received != called.pages.len()
    {
        wrong.push(format!("{} pages counted, {} kept", outcome.pages_received, called.pages.len()));
    }
    // A page that was confirmed, and whose confirmation arrived, is not kept twice.
    let kept = |index: usize| {
        called.pages.iter().filter(|p| p.confirmed && recognise(&p.octets) == Some(index)).count()
    };
    for index in &confirmed {
        let refused = caller
            .events
            .iter()
            .filter(|(_, e)| matches!(e, Event::Resend { index: i, frames: 0 } if i == index))
            .count();
        if kept(*index) > 1 + refused {
            wrong.push(format!("page {index} is kept {} times", kept(*index)));
        }
    }
    wrong
}

fn run(seeds: core::ops::Range<u64>) {
    let (mut delivered, mut failed) = (0, 0);
    for seed in seeds {
        let (pair, octets, wrong) = call(seed);
        if !wrong.is_empty() {
            for end in &pair.ends {
                for (at, event) in &end.events {
                    println!("{at} {event:?}");
                }
                println!("{:?}\n", end.outcome);
            }
        }
        assert_eq!(wrong, Vec::<String>::new(), "seed {seed} ({octets} octets)");
        let ok = pair.ends[0].outcome.as_ref().is_some_and(|o| o.failure.is_none());
        if ok { delivered += 1 } else { failed += 1 }
    }
    println!("{delivered} delivered, {failed} failed");
    assert!(delivered > 0 && failed > 0);
}

#[test]
fn bad_lines_a() {
    run(0..1000);
}

#[test]
fn bad_lines_b() {
    run(1000..2000);
}

#[test]
fn bad_lines_c() {
    run(2000..3000);
}

/// Pages that are not heard at all, without error correction: only time tells a command repeated from
/// the command of a page that was missed.
#[test]
fn unheard_pages_are_not_confirmed() {
    let mut missed = 0;
    for seed in 0..600 {
        let mut rng = Rng::new(seed);
        let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 1000 };
        let config = |role: Role, pages: usize| Config {
            role,
            ident: String::new(),
            capabilities: Capabilities { ecm: false, ..Capabilities::default() },
            send: vec![Document::new(vec![shape; pages])],
            rules: Rules { page_retries: 3, ..Rules::default() },
            ..Config::default()
        };
        let octets = 9_000 + rng.below(2_500) as usize;
        let i = Impairments { silent: 120, duplex: true, ..Impairments::default() };
        let (calling, called) = (config(Role::Calling, 4), config(Role::Called, 0));
        let mut pair = Pair::new(Session::new(calling), Session::new(called), octets, i, seed);
        assert!(pair.run(LIMIT));
        assert_eq!(judge(&pair, octets), Vec::<String>::new(), "seed {seed}");
        missed += usize::from(pair.ends[1].sent().contains(&"RTN"));
    }
    assert!(missed > 20, "{missed}");
}
