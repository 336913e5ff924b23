//! From audio to packets nothing is stored: what a modem has said leaves while it speaks on.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use bytes::Bytes;
use fax_base::hdlc::Framer;
use fax_base::time::Instant;
use fax_dsp::FskTransmitter;
use fax_dsp::tone::USUAL_LEVEL;
use fax_gateway::{Config, Gateway, Input, Output};
use fax_t38::ifp::{Decoder, FieldType, Ifp, Indicator};
use fax_t38::udptl::Packet;

/// What left and when, ms: indicators, and octets with the field behind them.
#[derive(Debug, PartialEq)]
enum Left {
    Indicator(Indicator),
    Octets(Vec<u8>),
    End(FieldType),
}

fn spoken(frames: Vec<Bytes>) -> Vec<(u64, Left)> {
    let mut gateway = Gateway::new(Config::default(), Instant::ZERO);
    let mut burst = Framer::new(38, frames, 1);
    let mut modem = FskTransmitter::v21_channel_2(USUAL_LEVEL);
    let (mut decoder, mut left, mut known) = (Decoder::new(0), Vec::new(), None);
    for block in 0..400u64 {
        let now = Instant::from_millis(block * 20);
        let mut samples = [0; 160];
        modem.transmit(&mut burst, &mut samples);
        gateway.handle(now, Input::Audio(&samples));
        while let Some(output) = gateway.poll() {
            let Output::Datagram(datagram) = output else { continue };
            let packet = Packet::decode(&datagram).unwrap();
            if known.replace(packet.sequence) == Some(packet.sequence) {
                continue;
            }
            match decoder.decode(packet.primary, false).unwrap() {
                Ifp::Indicator(indicator) => left.push((block * 20, Left::Indicator(indicator))),
                Ifp::Data { fields, .. } => {
                    for field in fields {
                        left.push((
                            block * 20,
                            match field.kind {
                                FieldType::HdlcData => Left::Octets(field.data.to_vec()),
                                kind => Left::End(kind),
                            },
                        ));
                    }
                }
            }
        }
    }
    left
}

#[test]
fn a_frame_leaves_while_it_comes() {
    let csi = Bytes::from([&[0xFF, 0xC0, 0x02][..], &[0x9C; 20]].concat());
    let dis = Bytes::from_static(&[0xFF, 0xC8, 0x01, 0x04, 0x77, 0x1F, 0x23]);
    let left = spoken(vec![csi.clone(), dis.clone()]);
    let when = |what: &Left| left.iter().find(|(_, l)| l == what).map(|(ms, _)| *ms).unwrap();
    // A second of flags; three of them are no accident.
    assert!((60..=160).contains(&when(&Left::Indicator(Indicator::V21Preamble))), "{left:?}");
    let octets: Vec<(u64, usize)> = left
        .iter()
        .filter_map(|(ms, l)| match l {
            Left::Octets(octets) => Some((*ms, octets.len())),
            _ => None,
        })
        .collect();
    // 25 octets last 0.7 s: the first ones leave a tenth of a second behind the line, and no packet has many.
    let (first, end) = (octets[0].0, when(&Left::End(FieldType::HdlcFcsOk)));
    assert!((1_013..=1_300).contains(&first) && end - first > 450, "{left:?}");
    assert!(octets.iter().all(|(_, count)| *count <= 7), "{left:?}");
    // All of both frames, but V.8 is taken out of DIS, octet 1 of its field.
    let all: Vec<u8> = left
        .iter()
        .filter_map(|(_, l)| match l {
            Left::Octets(octets) => Some(octets.as_slice()),
            _ => None,
        })
        .flatten()
        .copied()
        .collect();
    assert_eq!(all, [&csi[..], &[0xFF, 0xC8, 0x01, 0x00, 0x77, 0x1F, 0x23]].concat());
    // The end of the signal is told at once.
    let ends: Vec<_> = left.iter().filter(|(_, l)| matches!(l, Left::End(_))).collect();
    assert_eq!(ends.len(), 3, "{left:?}");
    assert_eq!(ends[2].1, Left::End(FieldType::HdlcSigEnd));
    assert!(ends[2].0 - ends[1].0 <= 120, "{left:?}");
    assert_eq!(left.last().unwrap().1, Left::Indicator(Indicator::NoSignal));
}
