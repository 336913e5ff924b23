//! T.30: frames and their fields, the session, the observer of other people's calls, HDLC.

use crate::input::Choices;
use bytes::Bytes;
use core::time::Duration;
use fax_base::Instant;
use fax_base::bits::BitSource;
use fax_base::hdlc::{Deframed, Deframer, Framer, fcs};
use fax_base::line::{Channel, Heard, Modulation, Tone};
use fax_base::page::{PageShape, Resolution, Width};
use fax_t30::frames::{Fcf, Fcf2, Frame, build, ident_from_fif, ident_to_fif, name_of};
use fax_t30::observer::{Observer, Side};
use fax_t30::{Capabilities, Config, Document, Event, Input, Output, Poll, Role, Rules, Session, Verdict};

/// A frame and everything that is read out of its fields.
pub fn frame(octets: &[u8]) {
    let octets = Bytes::copy_from_slice(octets);
    let _ = (name_of(&octets), fax_t30::describe(&octets));
    let Some(frame) = Frame::parse(&octets) else {
        return;
    };
    let _ = (frame.name(), frame.fcf2());
    let fif = &frame.fif;
    for fcf in
        [Fcf::Dis, Fcf::Dcs, Fcf::Dtc, Fcf::Nsf, Fcf::Csi, Fcf::Pps, Fcf::Ppr, Fcf::Eor, Fcf::Ctc, Fcf::Sub]
    {
        let built = build(fcf, false, true, fif);
        let again = Frame::parse(&built).expect("what is built is a frame");
        assert_eq!((again.fcf, &again.fif), (fcf, fif));
        let _ = fax_t30::describe(&built);
    }
    // Bits behind the last octet that T.30 knows are not kept.
    let written = fax_t30::dis::Fif::parse(fif).to_octets();
    assert_eq!(fax_t30::dis::Fif::parse(&written).to_octets(), written);
    let _ = (fax_t30::nsf::describe(fif), fax_t30::nsf::maker(fif));
    if let Some(ident) = ident_from_fif(fif) {
        assert!(ident.chars().count() <= 20);
        assert_eq!(ident_from_fif(&ident_to_fif(&ident)).as_deref(), Some(ident.as_str()));
    }
    if let Some(&octet) = fif.first() {
        let _ = (Fcf::parse(octet), Fcf2::parse(octet));
    }
}

fn channel(c: &mut Choices<'_>) -> Channel {
    if c.flag() { Channel::Image(c.pick(&Modulation::ALL)) } else { Channel::Control }
}

fn heard(c: &mut Choices<'_>) -> Heard {
    match c.below(9) {
        0 => Heard::Tone(c.pick(&[Tone::Cng, Tone::Ced])),
        1 => Heard::CarrierUp(channel(c)),
        2 => Heard::CarrierDown(channel(c)),
        3 => Heard::Lost { octets: c.pick(&[0, 1, 100, 70_000, usize::MAX]) },
        4 => {
            let octets = if c.flag() { vec![0; 3_000] } else { c.piece().to_vec() };
            Heard::Bits { modulation: c.pick(&Modulation::ALL), octets: octets.into() }
        }
        5 => {
            let mut data = vec![0xFF, 0xC0, 0x60, (c.octet() & 7).reverse_bits()];
            data.extend(vec![c.octet(); 256]);
            Heard::Frame { channel: channel(c), octets: data.into(), good: !c.flag() }
        }
        6 => {
            let (channel, octets) = (channel(c), Bytes::copy_from_slice(c.piece()));
            Heard::Frame { channel, octets, good: !c.flag() }
        }
        _ => {
            let (fcf, x, last) = (c.pick(Fcf::ALL), c.flag(), !c.flag());
            let octets = build(fcf, x, last, c.piece());
            Heard::Frame { channel: Channel::Control, octets, good: true }
        }
    }
}

/// What a session may say and when.
#[derive(Default)]
struct Watch {
    begun: bool,
    ended: bool,
    kept: usize,
    confirmed: usize,
    over: bool,
    transmitting: bool,
}

impl Watch {
    fn take(&mut self, session: &mut Session) {
        for _ in 0..3_000 {
            let Some(output) = session.poll() else { return };
            assert!(!self.over, "after the end: {output:?}");
            match output {
                Output::Transmit(_) => self.transmitting = true,
                Output::StopTransmit => self.transmitting = false,
                Output::PageStart { index, .. } => {
                    assert_eq!(index, self.kept);
                    (self.begun, self.ended) = (true, false);
                }
                Output::PageData(_) | Output::PageLost { .. } => assert!(self.begun && !self.ended),
                Output::PageEnd => {
                    assert!(self.begun && !self.ended);
                    self.ended = true;
                }
                Output::PageDone { kept, confirmed, .. } => {
                    assert!(self.begun && (kept || !confirmed) && (!kept || self.ended));
                    self.kept += usize::from(kept);
                    (self.begun, self.ended) = (false, false);
                }
                Output::Event(Event::PageConfirmed { index, .. }) => {
                    assert_eq!(index, self.confirmed);
                    self.confirmed += 1;
                }
                Output::End(outcome) => {
                    self.over = true;
                    assert_eq!(
                        (outcome.pages_confirmed, outcome.pages_received),
                        (self.confirmed, self.kept)
                    );
                    assert!(!self.begun, "a page is left unsettled");
                }
                Output::Listen(_) | Output::WantPage { .. } | Output::Event(_) => {}
            }
        }
        panic!("outputs without end");
    }
}

/// A session, in either role, that gets any inputs in any order, and then silence, in which it must end.
pub fn session(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows: 10, tones: None };
    let mut session = Session::new(Config {
        role: if c.flag() { Role::Calling } else { Role::Called },
        ident: "\u{1F4E0} 123".into(),
        capabilities: Capabilities { ecm: !c.flag(), ..Capabilities::default() },
        send: (0..c.below(3)).map(|_| Document::new(vec![shape; c.below(4)])).collect(),
        receive: !c.flag(),
        poll: vec![Poll::default(); c.below(3)],
        sub_address: c.flag().then(String::new),
        password: c.flag().then(|| "17".into()),
        rules: Rules { page_retries: u32::from(c.octet() % 3), ..Rules::default() },
        ..Config::default()
    });
    let mut watch = Watch::default();
    let mut now = Instant::ZERO;
    session.handle(now, Input::Start);
    watch.take(&mut session);
    let mut steps = 0;
    while !c.is_empty() && steps < 600 {
        steps += 1;
        now += c.wait();
        let input = match c.below(20) {
            0 => Input::LineChanged,
            1 => {
                let rows = u32::from(c.octet());
                Input::Verdict(Verdict {
                    rows,
                    bad_rows: u32::from(c.octet()).min(rows),
                    longest_bad_run: 1,
                    cut: false,
                })
            }
            2 => Input::Page(vec![c.octet(); c.pick(&[0, 1, 300, 5_000, 70_000])].into()),
            3 | 4 => Input::Timeout,
            5..=8 => {
                watch.transmitting = false;
                Input::Sent
            }
            9 if c.octet() == 7 => Input::Cancel,
            10 if c.octet() == 7 => Input::HungUp,
            _ => Input::Heard(heard(c)),
        };
        session.handle(now, input);
        watch.take(&mut session);
    }
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
        assert!(now.since(silence) < Duration::from_secs(400), "no end");
    }
    assert_eq!((session.poll(), session.deadline()), (None, None));
}

/// Two wires overheard.
pub fn observer(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut observer = Observer::new(c.flag());
    let mut seen = 0u32;
    while !c.is_empty() && seen < 2_000 {
        seen += 1;
        let side = c.pick(&Side::ALL);
        observer.hear(side, heard(c));
        while observer.poll().is_some() {}
    }
    observer.finish();
    while observer.poll().is_some() {}
}

/// Any bits and losses into frames; and frames that are made come back.
pub fn hdlc(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut deframer = Deframer::new(c.below(4));
    let first = Bytes::copy_from_slice(c.piece());
    if !first.is_empty() {
        deframer.know(&first);
    }
    while !c.is_empty() {
        match c.below(8) {
            0 => deframer.lose(u32::from(c.short())),
            1 => deframer.end(),
            2 | 3 => {
                let frames = vec![Bytes::copy_from_slice(c.piece())];
                send(&mut Framer::new(u32::from(c.octet() % 8), frames, 1), &mut deframer);
            }
            _ => deframer
                .put(u32::from_be_bytes([c.octet(), c.octet(), c.octet(), c.octet()]), c.octet().into()),
        }
        while let Some(found) = deframer.poll() {
            if let Deframed::Frame { octets, .. } = found {
                assert!(octets.len() >= 2 && octets.len() < 400, "{} octets", octets.len());
            }
        }
    }
    // After an end and flags anything comes through unharmed.
    let frame = Bytes::copy_from_slice(octets.get(..octets.len().min(260)).unwrap_or(&[]));
    if frame.len() >= 2 {
        let _ = fcs(&frame);
        let mut deframer = Deframer::new(0);
        send(&mut Framer::new(4, vec![frame.clone(), frame.clone()], 2), &mut deframer);
        let found: Vec<Deframed> = core::iter::from_fn(|| deframer.poll()).collect();
        let whole = |d: &&Deframed| matches!(d, Deframed::Frame { octets, repaired: 0 } if *octets == frame);
        assert_eq!(found.iter().filter(whole).count(), 2, "{found:?}");
    }
}

fn send(framer: &mut Framer, deframer: &mut Deframer) {
    while let Some(bit) = framer.next_bit() {
        deframer.put(u32::from(bit), 1);
    }
}
