//! The gateway between modems and T.38: packets and audio in any mixture.

use crate::input::Choices;
use fax_base::Instant;
use fax_dsp::g711::Law;
use fax_gateway::{Config, Gateway, Input, Output};
use fax_t38::ErrorCorrection;
use fax_t38::ifp::{DataType, Field, FieldType, Ifp, Indicator, Syntax};
use fax_t38::udptl::Sender;

fn any_ifp(c: &mut Choices<'_>) -> Vec<u8> {
    let ifp = if c.below(4) == 0 {
        Ifp::Indicator(Indicator::from_index(c.octet() % 16).expect("an indicator"))
    } else {
        let kind = FieldType::from_index(c.octet() % 8).expect("a field type");
        // Most of it is such that something may come of it: frames of V.21.
        let data_type =
            if c.flag() { DataType::V21 } else { DataType::from_index(c.octet() % 9).expect("a data type") };
        let carries = matches!(kind, FieldType::HdlcData | FieldType::T4NonEcmData);
        let octets = if carries { c.piece() } else { &[] };
        let field = if carries { Field::new(kind, octets) } else { Field::bare(kind) };
        Ifp::Data { data_type, fields: vec![field] }
    };
    ifp.to_octets(Syntax::V1998).unwrap_or_default()
}

/// Seconds of both sides: it neither spins nor babbles, and sends no more than the far end takes.
pub fn both(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut config = Config::default();
    config.ecm = c.flag();
    config.t38.error_correction =
        c.pick(&[ErrorCorrection::Redundancy, ErrorCorrection::Fec, ErrorCorrection::None]);
    let most = usize::from(config.t38.far_max_datagram);
    let mut sender = Sender::new(config.t38.far_max_datagram, config.t38.error_correction);
    let mut gateway = Gateway::new(config, Instant::ZERO);
    let mut now = Instant::ZERO;
    // A packet's time is 20 ms of modems at work; so many are enough.
    for _ in 0..300 {
        if c.is_empty() {
            break;
        }
        now += core::time::Duration::from_millis(20);
        let mut samples = [0i16; 160];
        match c.below(7) {
            0 => {
                let (step, level) = (i32::from(c.octet()) + 1, i32::from(c.short() / 2));
                for (n, sample) in (0i32..).zip(&mut samples) {
                    *sample = (level * ((n * step % 128) - 64) / 64) as i16;
                }
                gateway.handle(now, Input::Audio(&samples));
            }
            1 => gateway.handle(now, Input::AudioLost(usize::from(c.short()))),
            2 => {
                let octets = c.piece();
                gateway.handle(now, Input::G711(if c.flag() { Law::Mu } else { Law::A }, octets));
            }
            3 => gateway.handle(now, Input::Datagram(c.piece())),
            4 | 5 => {
                for _ in 0..1 + c.below(8) {
                    let datagram = sender.packet(now, any_ifp(c).into(), 3);
                    gateway.handle(now, Input::Datagram(&datagram));
                }
            }
            _ => now += c.wait(),
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
                assert!(datagram.len() <= most, "{} octets", datagram.len());
            }
        }
    }
}
