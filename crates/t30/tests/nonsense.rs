//! Any sequence of inputs whatever: no panic, no endless loop, no growing memory, outputs that keep
//! their grammar, and an end when nothing more comes.

use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Heard, Modulation, Tone};
use fax_base::page::{PageShape, Resolution, Width};
use fax_t30::frames::{Fcf, build};
use fax_t30::{Capabilities, Config, Document, Event, Input, Output, Poll, Role, Rules, Session, Verdict};
use testkit::line::rng::Rng;

fn octets(rng: &mut Rng, most: u64) -> Vec<u8> {
    (0..rng.below(most)).map(|_| rng.draw() as u8).collect()
}

fn fif(rng: &mut Rng, fcf: Fcf) -> Vec<u8> {
    if rng.below(4) == 0 {
        return octets(rng, 40);
    }
    match fcf {
        Fcf::Dis | Fcf::Dtc => vec![0x00, rng.pick(&[0x77, 0xF7]), 0x1F, 0x23, rng.pick(&[0x00, 0x41, 0x21])],
        Fcf::Pwd | Fcf::Sid | Fcf::Sep => fax_t30::frames::ident_to_fif("17").to_vec(),
        Fcf::Dcs => vec![0x00, 0x46, 0x1F, if rng.below(2) == 0 { 0x22 } else { 0x00 }],
        Fcf::Ctc => vec![0x00, rng.draw() as u8],
        Fcf::Pps => {
            let second = rng.pick(&[0x00, 0xF1, 0xF2, 0xF4]);
            let small = |rng: &mut Rng| (rng.below(3) as u8).reverse_bits();
            vec![second, small(rng), small(rng), small(rng)]
        }
        Fcf::Eor => vec![rng.pick(&[0x00, 0xF1, 0xF2, 0xF4])],
        Fcf::Ppr => vec![rng.draw() as u8; 32],
        _ => Vec::new(),
    }
}

fn frame(rng: &mut Rng) -> Bytes {
    if rng.below(12) == 0 {
        return octets(rng, 400).into();
    }
    // DCN less often: it ends everything.
    let mut fcf = rng.pick(Fcf::ALL);
    if fcf == Fcf::Dcn && rng.below(8) > 0 {
        fcf = Fcf::Mcf;
    }
    let fif = fif(rng, fcf);
    build(fcf, rng.below(2) == 0, rng.below(5) > 0, &fif)
}

fn channel(rng: &mut Rng) -> Channel {
    if rng.below(2) == 0 { Channel::Control } else { Channel::Image(rng.pick(&Modulation::ALL)) }
}

fn heard(rng: &mut Rng) -> Heard {
    match rng.below(10) {
        0 => Heard::Tone(rng.pick(&[Tone::Cng, Tone::Ced])),
        1 | 2 => Heard::CarrierUp(channel(rng)),
        3 | 4 => Heard::CarrierDown(channel(rng)),
        5 => Heard::Lost { octets: rng.pick(&[0, 1, 100, usize::MAX]) },
        6 => {
            let octets = if rng.below(2) == 0 { vec![0; 4000] } else { octets(rng, 3000) };
            Heard::Bits { modulation: rng.pick(&Modulation::ALL), octets: octets.into() }
        }
        7 => {
            let mut data = vec![0xFF, 0xC0, 0x60, (rng.below(4) as u8).reverse_bits()];
            data.extend(vec![rng.draw() as u8; 256]);
            let channel = Channel::Image(Modulation::V17At14400);
            Heard::Frame { channel, octets: data.into(), good: rng.below(4) > 0 }
        }
        _ => Heard::Frame {
            channel: if rng.below(8) == 0 { channel(rng) } else { Channel::Control },
            octets: frame(rng),
            good: rng.below(8) > 0,
        },
    }
}

#[derive(Default)]
struct Watch {
    begun: bool,
    ended: bool,
    kept: usize,
    confirmed: usize,
    over: bool,
    transmitting: bool,
    wants_page: bool,
    wants_verdict: bool,
}

impl Watch {
    fn take(&mut self, session: &mut Session) {
        let mut count = 0;
        while let Some(output) = session.poll() {
            count += 1;
            assert!(count < 3000, "outputs without end");
            assert!(!self.over, "after the end: {output:?}");
            match output {
                Output::Transmit(_) => self.transmitting = true,
                Output::StopTransmit => self.transmitting = false,
                Output::Listen(_) => {}
                Output::WantPage { .. } => self.wants_page = true,
                Output::PageStart { index, .. } => {
                    assert_eq!(index, self.kept);
                    (self.begun, self.ended) = (true, false);
                }
                Output::PageData(_) | Output::PageLost { .. } => {
                    assert!(self.begun && !self.ended);
                }
                Output::PageEnd => {
                    assert!(self.begun && !self.ended);
                    self.ended = true;
                    self.wants_verdict = true;
                }
                Output::PageDone { kept, confirmed, .. } => {
                    assert!(self.begun);
                    assert!(kept || !confirmed);
                    assert!(!kept || self.ended);
                    self.kept += usize::from(kept);
                    (self.begun, self.ended) = (false, false);
                }
                Output::Event(Event::PageConfirmed { index, .. }) => {
                    assert_eq!(index, self.confirmed);
                    self.confirmed += 1;
                }
                Output::Event(_) => {}
                Output::End(outcome) => {
                    self.over = true;
                    assert_eq!(outcome.pages_confirmed, self.confirmed);
                    assert_eq!(outcome.pages_received, self.kept);
                    assert!(!self.begun, "a page is left unsettled");
                }
            }
        }
    }
}

fn run(seed: u64) {
    let mut rng = Rng::new(seed);
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 10, tones: None };
    let mut session = Session::new(Config {
        role: if rng.below(2) == 0 { Role::Calling } else { Role::Called },
        ident: "\u{1F4E0} 123".into(),
        capabilities: Capabilities { ecm: rng.below(3) > 0, ..Capabilities::default() },
        send: (0..rng.below(3)).map(|_| Document::new(vec![shape; rng.below(4) as usize])).collect(),
        receive: rng.below(8) > 0,
        poll: vec![Poll::default(); rng.below(3) as usize],
        sub_address: (rng.below(5) == 0).then(String::new),
        password: (rng.below(5) == 0).then(|| "17".into()),
        sub_addresses: Vec::new(),
        rules: Rules { page_retries: rng.below(3) as u32, ..Rules::default() },
    });
    let mut watch = Watch::default();
    let mut now = Instant::ZERO;
    if rng.below(10) > 0 {
        session.handle(now, Input::Start);
        watch.take(&mut session);
    }
    for _ in 0..rng.below(300) {
        now += Duration::from_millis(rng.pick(&[0, 1, 20, 75, 500, 3000]));
        let input = match rng.below(40) {
            0 => Input::Start,
            1 => Input::LineChanged,
            2 => Input::Verdict(Verdict {
                rows: 10,
                bad_rows: rng.below(20) as u32,
                longest_bad_run: 1,
                cut: false,
            }),
            3 => Input::Page(vec![0; rng.pick(&[0, 1, 70_000])].into()),
            4..=6 => Input::Timeout,
            7..=15 => Input::Sent,
            16 if rng.below(20) == 0 => Input::Cancel,
            17 if rng.below(20) == 0 => Input::HungUp,
            _ => Input::Heard(heard(&mut rng)),
        };
        session.handle(now, input);
        watch.take(&mut session);
        if watch.wants_page && rng.below(3) > 0 {
            watch.wants_page = false;
            session.handle(now, Input::Page(vec![1; 5000].into()));
            watch.take(&mut session);
        }
        if watch.wants_verdict && rng.below(5) > 0 {
            watch.wants_verdict = false;
            session.handle(now, Input::Verdict(Verdict { rows: 9, ..Verdict::default() }));
            watch.take(&mut session);
        }
    }
    assert!(format!("{session:?}").len() < 3_000_000, "memory");
    // From here on there is silence.
    session.handle(now, Input::Start);
    watch.take(&mut session);
    let silence = now;
    while !watch.over {
        let due = session.deadline().expect("a session that lives has a timer");
        let sent = now + Duration::from_secs(2);
        if watch.transmitting && sent < due {
            watch.transmitting = false;
            now = sent;
            session.handle(now, Input::Sent);
        } else {
            now = now.max(due);
            session.handle(now, Input::Timeout);
            assert!(session.deadline().is_none_or(|d| d > now), "a timer stays due");
        }
        watch.take(&mut session);
        assert!(now.since(silence) < Duration::from_secs(300), "seed {seed}: {session:?}");
    }
    session.handle(now, Input::Timeout);
    session.handle(now, Input::Heard(Heard::CarrierUp(Channel::Control)));
    session.handle(now, Input::LineChanged);
    session.handle(now, Input::Cancel);
    assert_eq!(session.poll(), None);
    assert_eq!(session.deadline(), None);
}

#[test]
fn arbitrary_inputs() {
    for seed in 0..20_000 {
        run(seed);
    }
}
