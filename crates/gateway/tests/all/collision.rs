//! Both ends speak at once, as when a called terminal says DIS again while the caller answers it.

#![allow(clippy::unwrap_used, clippy::panic)] // the exemption for tests does not reach the functions beside them

use bytes::Bytes;
use fax_base::hdlc::Framer;
use fax_base::time::Instant;
use fax_dsp::FskTransmitter;
use fax_dsp::tone::USUAL_LEVEL;
use fax_gateway::{Config, Event, Gateway, Input, Output, Side};
use fax_t38::ifp::{DataType, Field, FieldType, Ifp, Indicator, Syntax};
use fax_t38::udptl::Sender;

/// When the frame that came by T.38 is sent, and whether the one from audio is read: audio speaks from 1 s on
/// for two seconds, T.38 begins at `from`, ms.
fn both_speak(from: u64) -> (Option<u64>, bool) {
    let config = Config::default();
    let mut sender = Sender::new(400, config.t38.error_correction);
    let mut gateway = Gateway::new(config, Instant::ZERO);
    let tsi = Bytes::from([&[0xFF, 0xC0, 0x42][..], &[0x04; 20]].concat());
    let dcs = Bytes::from_static(&[0xFF, 0xC8, 0x41, 0x00, 0x46, 0x78]);
    let mut burst = Framer::new(33, vec![tsi, dcs], 1);
    let mut modem = FskTransmitter::v21_channel_2(USUAL_LEVEL);
    let (mut sent, mut read) = (None, false);
    let dis = [0xFF, 0xC8, 0x01, 0x00, 0x77, 0x1F, 0x23];
    let data = |kind| Ifp::Data { data_type: DataType::V21, fields: vec![kind] };
    let packets = [
        (from, Ifp::Indicator(Indicator::V21Preamble)),
        (from + 1_000, data(Field::new(FieldType::HdlcData, &dis))),
        (from + 1_200, data(Field::bare(FieldType::HdlcFcsOkSigEnd))),
        (from + 1_250, Ifp::Indicator(Indicator::NoSignal)),
    ];
    for block in 0..400u64 {
        let (ms, now) = (block * 20, Instant::from_millis(block * 20));
        for (at, ifp) in &packets {
            if at / 20 * 20 == ms {
                let ifp = Bytes::from(ifp.to_octets(Syntax::V1998).unwrap());
                gateway.handle(now, Input::Datagram(&sender.packet(now, ifp, 3)));
            }
        }
        let mut samples = [0; 160];
        if ms >= 1_000 {
            modem.transmit(&mut burst, &mut samples);
        }
        gateway.handle(now, Input::Audio(&samples));
        gateway.transmit_audio(now, &mut samples);
        if samples.iter().any(|sample| *sample != 0) {
            sent.get_or_insert(ms);
        }
        while let Some(output) = gateway.poll() {
            if let Output::Event(Event::Frame { side: Side::Audio, name, .. }) = output {
                read |= name == "DCS";
            }
        }
    }
    (sent, read)
}

#[test]
fn who_speaks_first_is_heard() {
    // Long before, and long after.
    assert!(matches!(both_speak(5_000), (Some(5_540..=5_580), true)), "{:?}", both_speak(5_000));
    // While the caller speaks nothing is sent, and all of it is read.
    for from in [700, 1_000, 1_600, 2_000] {
        assert_eq!(both_speak(from), (None, true), "{from}");
    }
    // What was begun before is sent to its end.
    assert!(both_speak(300).0.is_some());
}
