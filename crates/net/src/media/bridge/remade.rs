//! T.38 on both sides, agreed on differently: IFPs are read in the one syntax and written in the other, with the
//! redundancy that each side is to have (T.38 §7, §9.1).

use crate::onward::Side;
use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::earliest;
use fax_t38::ifp::{DataType, Decoder, Field, FieldType, Ifp, Syntax};
use fax_t38::port::{Outgoing, Port};
use fax_t38::udptl::Delivery;

/// What is on top of the data in an IFP at most.
const IFP_HEAD: usize = 7;

struct End {
    config: fax_t38::Config,
    port: Port,
    decoder: Decoder,
    /// Something that came here is missing from the present frame.
    hole: bool,
}

impl End {
    fn new(config: &fax_t38::Config, now: Instant) -> Self {
        let (port, decoder) = (Port::new(config.clone(), now), Decoder::new(config.version));
        End { config: config.clone(), port, decoder, hole: false }
    }

    /// Sends an IFP, in parts where the far end cannot take it whole.
    fn send(&mut self, now: Instant, ifp: &Ifp<'_>) {
        let most = self.port.limits().ifp.saturating_sub(IFP_HEAD).max(1);
        let Ifp::Data { data_type, fields } = ifp else {
            return self.send_one(now, ifp, false, true);
        };
        let image = *data_type != DataType::V21;
        let octets: usize = fields.iter().map(|field| field.data.len() + 3).sum();
        if octets <= most || fields.is_empty() {
            let key = fields.iter().any(|field| field.kind.ends_signal());
            return self.send_one(now, ifp, image, key);
        }
        for field in fields {
            let parts = field.data.chunks(most);
            let last = parts.len().saturating_sub(1);
            for (n, part) in parts.enumerate() {
                // Only the last part of a field is what it says; before it there are octets.
                let kind = match field.kind {
                    kind if n == last => kind,
                    FieldType::T4NonEcmData | FieldType::T4NonEcmSigEnd => FieldType::T4NonEcmData,
                    _ => FieldType::HdlcData,
                };
                self.send_field(now, *data_type, Field::new(kind, part));
            }
            if field.data.is_empty() {
                self.send_field(now, *data_type, *field);
            }
        }
    }

    fn send_field(&mut self, now: Instant, data_type: DataType, field: Field<'_>) {
        let (image, key) = (data_type != DataType::V21, field.kind.ends_signal());
        self.send_one(now, &Ifp::Data { data_type, fields: vec![field] }, image, key);
    }

    fn send_one(&mut self, now: Instant, ifp: &Ifp<'_>, image: bool, key: bool) {
        if let Ok(octets) = ifp.to_octets(Syntax::of_version(self.config.version)) {
            self.port.send(now, Outgoing { ifp: Bytes::from(octets), image, key });
        }
    }
}

/// Both sides.
pub(super) struct Remade {
    a: End,
    b: End,
}

impl Remade {
    pub(super) fn new([a, b]: [&fax_t38::Config; 2], now: Instant) -> Self {
        Remade { a: End::new(a, now), b: End::new(b, now) }
    }

    pub(super) fn configs(&self) -> [&fax_t38::Config; 2] {
        [&self.a.config, &self.b.config]
    }

    fn pair(&mut self, side: Side) -> (&mut End, &mut End) {
        match side {
            Side::A => (&mut self.a, &mut self.b),
            Side::B => (&mut self.b, &mut self.a),
        }
    }

    /// A datagram came at this side; whether it was one of UDPTL.
    pub(super) fn receive(&mut self, now: Instant, side: Side, datagram: &[u8]) -> bool {
        let valid = self.pair(side).0.port.receive(now, datagram);
        self.pass(now, side);
        valid
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        earliest(self.a.port.deadline(), self.b.port.deadline())
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        for side in [Side::A, Side::B] {
            let port = &mut self.pair(side).0.port;
            port.timeout(now);
            // The ends tell their states themselves: their packets keep the way open.
            let _ = port.is_silent(now);
            self.pass(now, side);
        }
    }

    /// The next datagram, and the side that it leaves by.
    pub(super) fn poll(&mut self) -> Option<(Side, Bytes)> {
        let a = self.a.port.poll().map(|datagram| (Side::A, datagram));
        a.or_else(|| self.b.port.poll().map(|datagram| (Side::B, datagram)))
    }

    fn pass(&mut self, now: Instant, side: Side) {
        let (here, there) = self.pair(side);
        while let Some(delivery) = here.port.delivery() {
            let Delivery::Ifp { octets, padded } = delivery else {
                here.hole = true;
                continue;
            };
            let Ok(mut ifp) = here.decoder.decode(&octets, padded) else {
                continue;
            };
            match &mut ifp {
                Ifp::Indicator(_) => here.hole = false,
                Ifp::Data { fields, .. } => {
                    fields.iter_mut().for_each(|field| mark(field, &mut here.hole));
                }
            }
            there.send(now, &ifp);
        }
    }
}

/// The numbers of what is sent here know nothing of what was lost there: the frame must say it.
fn mark(field: &mut Field<'_>, hole: &mut bool) {
    let (bad, ends) = match field.kind {
        FieldType::HdlcFcsOk => (FieldType::HdlcFcsBad, true),
        FieldType::HdlcFcsOkSigEnd => (FieldType::HdlcFcsBadSigEnd, true),
        FieldType::HdlcFcsBad | FieldType::HdlcFcsBadSigEnd | FieldType::HdlcSigEnd => (field.kind, true),
        other => (other, false),
    };
    if *hole {
        field.kind = bad;
    }
    *hole &= !ends;
}
