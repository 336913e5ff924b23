//! Every mode from our transmitter to our receiver: all data come, in order, whatever the clock's phase.

use fax_base::bits::OctetBits;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::modem::{Event, Mode};
use fax_dsp::{QamReceiver, QamTransmitter};

/// A burst with these octets, with silence around it.
pub(crate) fn burst(mode: Mode, training: Training, octets: &[u8]) -> Vec<i16> {
    let mut transmitter = QamTransmitter::new(mode, training, false, Dbm0(-15.0));
    let mut bits = OctetBits::new(octets);
    let mut samples = vec![0; 777];
    let mut block = [0; 160];
    loop {
        let made = transmitter.transmit(&mut bits, &mut block);
        samples.extend_from_slice(&block[..made]);
        if made < block.len() {
            break;
        }
    }
    samples.resize(samples.len() + 1600, 0);
    samples
}

pub(crate) fn octets(length: usize) -> Vec<u8> {
    let mut x = 0x1234_5678u32;
    std::iter::repeat_with(|| {
        x = x.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (x >> 24) as u8
    })
    .take(length)
    .collect()
}

/// What a receiver made of it.
#[derive(Default, Debug)]
struct Received {
    bits: Vec<bool>,
    trained: u32,
    failed: u32,
    down: u32,
    erased: u32,
}

impl Received {
    fn take(&mut self, events: &mut Vec<Event>) {
        for event in events.drain(..) {
            match event {
                Event::Bits { bits, count } => {
                    self.bits.extend((0..count).rev().map(|i| bits >> i & 1 == 1));
                }
                Event::Trained(_) => self.trained += 1,
                Event::TrainingFailed => self.failed += 1,
                Event::Erased { bits } => self.erased += bits,
                Event::CarrierUp => {}
                Event::CarrierDown => self.down += 1,
            }
        }
    }
}

pub(crate) fn bits(octets: &[u8]) -> Vec<bool> {
    octets.iter().flat_map(|o| (0..8).rev().map(move |i| o >> i & 1 == 1)).collect()
}

#[test]
fn all_data_come_in_every_mode() {
    let sent = octets(2_000);
    for mode in Mode::ALL {
        let samples = burst(mode, Training::Long, &sent);
        for block in [160, 1, 777] {
            let mut receiver = QamReceiver::new(mode, Training::Long);
            let (mut events, mut received) = (Vec::new(), Received::default());
            for samples in samples.chunks(block) {
                receiver.receive(samples, &mut events);
                received.take(&mut events);
            }
            assert_eq!((received.trained, received.failed, received.down), (1, 0, 1), "{mode:?}");
            assert!(received.bits.starts_with(&bits(&sent)), "{mode:?} in blocks of {block}");
        }
    }
}

#[test]
fn short_training_builds_on_a_long_one() {
    let sent = octets(1_000);
    for mode in [Mode::V17At7200, Mode::V17At9600, Mode::V17At12000, Mode::V17At14400] {
        let long = burst(mode, Training::Long, &sent);
        let short = burst(mode, Training::Short, &sent);
        let mut receiver = QamReceiver::new(mode, Training::Long);
        let (mut events, mut received) = (Vec::new(), Received::default());
        receiver.receive(&long, &mut events);
        received.take(&mut events);
        assert!(received.bits.starts_with(&bits(&sent)), "{mode:?} long");
        for odd in 0..24 {
            receiver.expect(Training::Short);
            // Any phase of the block and the symbol clock.
            receiver.receive(&vec![0; 37 * odd + 400], &mut events);
            received = Received::default();
            receiver.receive(&short, &mut events);
            received.take(&mut events);
            assert_eq!((received.trained, received.failed), (1, 0), "{mode:?} {odd}");
            assert!(received.bits.starts_with(&bits(&sent)), "{mode:?} short, {odd}");
        }
    }
}

#[test]
fn told_losses_are_erased_and_nothing_else_is_lost() {
    let sent = octets(4_000);
    for mode in Mode::ALL {
        let samples = burst(mode, Training::Long, &sent);
        let mut receiver = QamReceiver::new(mode, Training::Long);
        let (mut events, mut got) = (Vec::new(), Vec::new());
        // Three blocks are lost in the data: one, and two together.
        let data = samples.len() / 2 / 160;
        for (number, block) in samples.chunks(160).enumerate() {
            if [data, data + 20, data + 21].contains(&number) {
                receiver.receive_gap(block.len(), &mut events);
            } else {
                receiver.receive(block, &mut events);
            }
        }
        for event in events {
            match event {
                Event::Bits { bits, count } => {
                    got.extend((0..count).rev().map(|i| Some(bits >> i & 1 == 1)));
                }
                Event::Erased { bits } => got.extend((0..bits).map(|_| None)),
                Event::CarrierUp | Event::Trained(_) | Event::TrainingFailed | Event::CarrierDown => {}
            }
        }
        let want = bits(&sent);
        assert!(got.len() >= want.len(), "{mode:?}");
        let wrong = want.iter().zip(&got).filter(|(want, got)| got.is_some_and(|got| got != **want)).count();
        let erased = got.iter().take(want.len()).filter(|got| got.is_none()).count();
        // 60 ms, and the filters' and the descrambler's reach at two edges each.
        let lost = mode.bit_rate() as usize * 60 / 1000;
        assert_eq!(wrong, 0, "{mode:?}");
        assert!(
            erased >= lost && erased < lost + 4 * 12 * mode.bits_per_symbol() as usize + 60,
            "{mode:?} {erased} {lost}"
        );
    }
}
