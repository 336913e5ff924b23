use super::*;
use crate::frames::build;

const M: Modulation = Modulation::V29At9600;

struct Bench {
    observer: Observer,
    seen: Vec<Observation>,
}

impl Bench {
    fn new() -> Self {
        Self::of(false)
    }

    fn of(mixed: bool) -> Self {
        Bench { observer: Observer::new(mixed), seen: Vec::new() }
    }

    fn hear(&mut self, side: Side, heard: Heard) {
        self.observer.hear(side, heard);
        self.seen.extend(core::iter::from_fn(|| self.observer.poll()));
    }

    fn frame(&mut self, side: Side, fcf: Fcf, fif: &[u8]) {
        let octets = build(fcf, side == Side::First, true, fif);
        self.hear(side, Heard::Frame { channel: Channel::Control, octets, good: true });
    }

    fn bits(&mut self, octets: Vec<u8>) {
        self.hear(Side::First, Heard::Bits { modulation: M, octets: octets.into() });
    }

    fn image(&mut self, frames: &[Bytes]) {
        let channel = Channel::Image(M);
        for octets in frames {
            self.hear(Side::First, Heard::Frame { channel, octets: octets.clone(), good: true });
        }
        self.hear(Side::First, Heard::CarrierDown(channel));
    }

    /// Everything but frames and what to listen for.
    fn pages(&self) -> Vec<&Observation> {
        let beside = |o: &&Observation| !matches!(o, Observation::Frame { .. } | Observation::Listen(..));
        self.seen.iter().filter(beside).collect()
    }

    fn data(&self) -> Vec<u8> {
        let of = |o: &Observation| match o {
            Observation::PageData(octets) => octets.to_vec(),
            _ => Vec::new(),
        };
        self.seen.iter().flat_map(of).collect()
    }
}

/// Data frames of 256 octets, numbered from 0 in every block.
fn cut(data: &[u8]) -> Vec<Bytes> {
    let frame = |(number, data): (usize, &[u8])| {
        let mut fif = vec![(number % 256) as u8];
        fif[0] = fif[0].reverse_bits();
        fif.extend_from_slice(data);
        fif.resize(257, 0);
        build(Fcf::Fcd, false, false, &fif)
    };
    data.chunks(256).enumerate().map(frame).collect()
}

/// V.29 9600, fine, MH without ECM or MMR with it.
fn dcs(ecm: bool) -> Vec<u8> {
    if ecm { vec![0x00, 0x62, 0x1F, 0x22] } else { vec![0x00, 0x62, 0x1E] }
}

#[test]
fn a_page_without_ecm_from_dcs_to_its_answer() {
    for (answer, want) in [
        (Fcf::Mcf, Answer::Confirmed),
        (Fcf::RetrainPositive, Answer::Poor),
        (Fcf::Rtn, Answer::Refused),
        (Fcf::Dcn, Answer::Missing),
    ] {
        let mut bench = Bench::new();
        bench.frame(Side::Second, Fcf::Dis, &[0x00, 0xEE, 0xF8]);
        bench.frame(Side::First, Fcf::Dcs, &dcs(false));
        bench.bits(vec![0; 1800]);
        bench.hear(Side::First, Heard::CarrierDown(Channel::Image(M)));
        bench.frame(Side::Second, Fcf::Cfr, &[]);
        bench.bits(vec![1, 2, 3]);
        bench.hear(Side::First, Heard::Lost { octets: 7 });
        bench.bits(vec![4]);
        bench.hear(Side::First, Heard::CarrierDown(Channel::Image(M)));
        bench.frame(Side::First, Fcf::Eop, &[]);
        bench.frame(Side::First, Fcf::Eop, &[]);
        bench.frame(Side::Second, answer, &[]);
        let pages = bench.pages();
        assert!(matches!(pages[0], Observation::TrainingCheck { modulation: M, good: true }), "{pages:?}");
        assert!(
            matches!(pages[1], Observation::PageStart { index: 0, format, .. } if !format.ecm),
            "{pages:?}"
        );
        assert!(matches!(pages[3], Observation::PageLost { octets: 7 }), "{pages:?}");
        assert_eq!(pages.last(), Some(&&Observation::PageDone(want)));
        assert_eq!(bench.data(), [1, 2, 3, 4]);
        let senders: Vec<Role> = bench
            .seen
            .iter()
            .filter_map(|o| match o {
                Observation::Frame { sender, .. } => Some(*sender),
                _ => None,
            })
            .collect();
        use Role::{Called, Calling};
        assert_eq!(senders, [Called, Calling, Called, Calling, Calling, Called]);
        let listens: Vec<(Training, Framing)> = bench
            .seen
            .iter()
            .filter_map(|o| match o {
                Observation::Listen(Side::First, Listen::Image { training, framing, .. }) => {
                    Some((*training, *framing))
                }
                _ => None,
            })
            .collect();
        assert_eq!(listens[..2], [(Training::Long, Framing::Raw), (Training::Short, Framing::Raw)]);
    }
}

#[test]
fn ecm_blocks_are_put_together_over_requests_and_lost_answers() {
    let page: Vec<u8> = (0..70_000u32).map(|i| (i % 253) as u8).collect();
    let frames = cut(&page);
    let first = &frames[..256];
    let second = cut(&page[65_536..]);
    assert_eq!(frames.len() - first.len(), second.len());
    for answer_heard in [true, false] {
        let mut bench = Bench::new();
        bench.frame(Side::First, Fcf::Dcs, &dcs(true));
        bench.frame(Side::Second, Fcf::Cfr, &[]);
        // One frame does not come through and is asked for again.
        let without: Vec<Bytes> =
            first.iter().enumerate().filter(|(i, _)| *i != 9).map(|(_, f)| f.clone()).collect();
        bench.image(&without);
        bench.frame(Side::First, Fcf::Pps, &[0, 0, 0, 0xFF]);
        bench.frame(Side::Second, Fcf::Ppr, &[0; 32]);
        bench.image(&first[9..10]);
        bench.frame(Side::First, Fcf::Pps, &[0, 0, 0, 0]);
        if answer_heard {
            bench.frame(Side::Second, Fcf::Mcf, &[]);
        }
        bench.image(&second);
        let count = u8::try_from(second.len() - 1).unwrap().reverse_bits();
        bench.frame(Side::First, Fcf::Pps, &[Fcf::Eop.octet(true), 0, 0x80, count]);
        bench.frame(Side::Second, Fcf::Mcf, &[]);
        let data = bench.data();
        assert_eq!(data[..page.len()], page[..]);
        assert!(data[page.len()..].iter().all(|o| *o == 0));
        let pages = bench.pages();
        assert!(matches!(pages[0], Observation::PageStart { index: 0, format, .. } if format.ecm));
        assert_eq!(pages.last(), Some(&&Observation::PageDone(Answer::Confirmed)));
        assert_eq!(pages.iter().filter(|o| matches!(o, Observation::PageDone(_))).count(), 1);
    }
}

#[test]
fn a_recording_that_ends_in_a_page_still_has_it() {
    let mut bench = Bench::new();
    bench.frame(Side::First, Fcf::Dcs, &dcs(true));
    bench.frame(Side::Second, Fcf::Cfr, &[]);
    bench.image(&cut(&[5; 1000])[..2]);
    bench.observer.finish();
    bench.seen.extend(core::iter::from_fn(|| bench.observer.poll()));
    assert_eq!(bench.data(), [5; 512]);
    assert_eq!(bench.pages().last(), Some(&&Observation::PageDone(Answer::Missing)));
}

#[test]
fn both_ends_on_one_wire_are_told_apart_by_their_frames() {
    let mut bench = Bench::of(true);
    let frames =
        [(Fcf::Dis, false), (Fcf::Dcs, true), (Fcf::Cfr, false), (Fcf::Eop, true), (Fcf::Mcf, false)];
    for (fcf, calling) in frames {
        let octets = build(fcf, calling, true, &dcs(false));
        bench.hear(Side::First, Heard::Frame { channel: Channel::Control, octets, good: true });
    }
    let senders: Vec<bool> = bench
        .seen
        .iter()
        .filter_map(|o| match o {
            Observation::Frame { sender, .. } => Some(*sender == Role::Calling),
            _ => None,
        })
        .collect();
    assert_eq!(senders, frames.map(|(_, calling)| calling));
}

/// JBIG in colour (T.43) with error correction, 600 × 600, and MMR without error correction: two terminals may agree on it.
#[test]
fn what_cannot_be_decoded_here_is_listened_to_all_the_same() {
    let with = |ones: &[u32], ecm: bool| {
        let mut fif = Fif::parse(&dcs(ecm));
        ones.iter().for_each(|n| fif.put(*n, true));
        fif.to_octets()
    };
    for (fif, framing) in [
        (with(&[36], true), Framing::Hdlc),
        (with(&[105], true), Framing::Hdlc),
        (with(&[31], false), Framing::Raw),
    ] {
        let mut bench = Bench::new();
        bench.frame(Side::First, Fcf::Dcs, &fif);
        bench.bits(vec![0; 1800]);
        bench.hear(Side::First, Heard::CarrierDown(Channel::Image(M)));
        bench.frame(Side::Second, Fcf::Cfr, &[]);
        let listens = |o: &&Observation| matches!(o, Observation::Listen(Side::First, Listen::Image { .. }));
        let listen = Listen::Image { modulation: M, training: Training::Short, framing };
        let heard = bench.seen.iter().rfind(listens);
        assert_eq!(heard, Some(&Observation::Listen(Side::First, listen)));
        match framing {
            Framing::Hdlc => bench.image(&cut(&[5; 1000])),
            Framing::Raw => bench.bits(vec![5; 1000]),
        }
        let pps = [Fcf::Eop.octet(true), 0, 0, 3u8.reverse_bits()];
        match framing {
            Framing::Hdlc => bench.frame(Side::First, Fcf::Pps, &pps),
            Framing::Raw => bench.frame(Side::First, Fcf::Eop, &[]),
        }
        bench.frame(Side::Second, Fcf::Mcf, &[]);
        bench.observer.finish();
        bench.seen.extend(core::iter::from_fn(|| bench.observer.poll()));
        let pages = bench.pages();
        assert!(matches!(pages[..], [Observation::TrainingCheck { good: true, .. }]), "{pages:?}");
    }
}
