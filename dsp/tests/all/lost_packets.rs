//! V.21 bursts of which packets of 20 ms are lost: modem and HDLC together (T.30 §5.3).

use bytes::Bytes;
use fax_base::hdlc::{Deframed, Deframer, Framer};
use fax_base::level::Dbm0;
use fax_dsp::modem::Event;
use fax_dsp::{FskReceiver, FskTransmitter};
use sounds::{Random, add_noise};

use crate::sounds;

const PACKET: usize = 160;

/// A digital identification signal as a burst of two frames: CSI and DIS.
fn frames(random: &mut Random) -> Vec<Bytes> {
    let mut csi = vec![0xFF, 0xC0, 0x02];
    csi.extend((0..20).map(|_| random.one_of(&[0x0C, 0x8C, 0x4C, 0xCC, 0x2C, 0xAC, 0x04, 0xD4])));
    let mut dis = vec![0xFF, 0xC8, 0x01];
    dis.extend((0..8).map(|_| random.next() as u8));
    vec![csi.into(), dis.into()]
}

/// The good frames of a burst without the packets from `lost` on.
fn received(samples: &[i16], lost: core::ops::Range<usize>) -> Vec<Bytes> {
    let mut modem = FskReceiver::v21_channel_2();
    let mut deframer = Deframer::new(0);
    let (mut events, mut good) = (Vec::new(), Vec::new());
    for (n, packet) in samples.chunks(PACKET).enumerate() {
        if lost.contains(&n) {
            modem.receive_gap(packet.len(), &mut events);
        } else {
            modem.receive(packet, &mut events);
        }
        for event in events.drain(..) {
            match event {
                Event::Bits { bits, count } => deframer.put(bits, count.into()),
                Event::Erased { bits } => deframer.lose(bits),
                Event::CarrierDown => deframer.end(),
                Event::CarrierUp | Event::Trained(_) | Event::TrainingFailed => {}
            }
        }
    }
    while let Some(out) = deframer.poll() {
        match out {
            Deframed::Frame { octets, .. } => good.push(octets),
            Deframed::Flags | Deframed::Damaged | Deframed::Piece(_) => {}
        }
    }
    good
}

#[test]
fn frames_survive_lost_packets() {
    for (snr, packets, least) in
        [(30.0, 0, 1.0), (6.0, 0, 1.0), (30.0, 1, 0.99), (6.0, 1, 0.99), (30.0, 2, 0.95), (6.0, 2, 0.95)]
    {
        let mut random = Random(3);
        let (mut whole, mut all) = (0, 0);
        for round in 0..150 {
            let sent = frames(&mut random);
            let mut bits = Framer::new(38, sent.clone(), 1);
            let mut modem = FskTransmitter::v21_channel_2(Dbm0(-15.0));
            let mut samples = vec![0; 800 + random.next() as usize % PACKET];
            let start = samples.len();
            samples.resize(start + 8000 * 3, 0);
            let made = modem.transmit(&mut bits, &mut samples[start..]);
            samples.truncate(start + made);
            samples.resize(samples.len() + 800, 0);
            add_noise(&mut samples, -15.0 - snr, round);
            // Somewhere in the frames.
            let first = (start + 38 * 8 * 80 / 3) / PACKET;
            let last = (start + made) / PACKET - packets;
            let at = first + random.next() as usize % (last - first);
            let good = received(&samples, at..at + packets);
            assert!(good.iter().all(|frame| sent.contains(frame)), "{snr} {packets} {round}");
            whole += good.len();
            all += sent.len();
        }
        println!("{packets} packets of 20 ms lost, {snr} dB: {whole} of {all} frames good");
        assert!(whole as f32 >= least * all as f32);
    }
}
