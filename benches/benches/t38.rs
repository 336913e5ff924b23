//! T.38 packets a second: IFP and UDPTL with three earlier packets in each, out and in again
//! (T.38 §7, §9.1). Run with `cargo bench -p benches --bench t38`.

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use fax_base::Instant;
use fax_base::line::{Modulation, Training, Transmit};
use fax_t38::ifp::{DataType, Decoder, Field, FieldType, Ifp, Syntax};
use fax_t38::udptl::{Delivery, Receiver, Sender};
use fax_t38::{Config, Endpoint, ErrorCorrection, Input, Output};
use std::hint::black_box;

const PACKETS: u64 = 10_000;

/// 30 ms of V.17 at 14400 bit/s in each packet.
fn ifp(n: u64) -> Vec<u8> {
    let mut data = [0x5A; 54];
    data[..8].copy_from_slice(&n.to_be_bytes());
    let fields = vec![Field::new(FieldType::HdlcData, &data)];
    Ifp::Data { data_type: DataType::V17At14400, fields }.to_octets(Syntax::V1998).unwrap_or_default()
}

fn send(correction: ErrorCorrection) -> Vec<Bytes> {
    let mut sender = Sender::new(1400, correction);
    (0..PACKETS).map(|n| sender.packet(Instant::from_millis(n * 30), Bytes::from(ifp(n)), 3)).collect()
}

fn receive(datagrams: &[Bytes], lose_every: usize) -> u64 {
    let mut receiver = Receiver::new(0);
    let mut decoder = Decoder::new(0);
    let mut fields = 0;
    for (i, datagram) in datagrams.iter().enumerate() {
        if i % lose_every == lose_every - 1 {
            continue;
        }
        let _ = receiver.receive(Instant::from_millis(i as u64 * 30), datagram);
        while let Some(delivery) = receiver.poll() {
            if let Delivery::Ifp { octets, padded } = delivery
                && let Ok(Ifp::Data { fields: f, .. }) = decoder.decode(&octets, padded)
            {
                fields += f.len() as u64;
            }
        }
    }
    fields
}

fn packets(c: &mut Criterion) {
    let mut group = c.benchmark_group("t38");
    group.throughput(Throughput::Elements(PACKETS));
    for (name, correction) in
        [("redundancy 3", ErrorCorrection::Redundancy), ("fec 3×3", ErrorCorrection::Fec)]
    {
        group.bench_function(format!("encode, {name}"), |b| b.iter(|| black_box(send(correction))));
        let datagrams = send(correction);
        group.bench_function(format!("decode, {name}"), |b| {
            b.iter(|| black_box(receive(&datagrams, usize::MAX)));
        });
        group.bench_function(format!("decode, {name}, 5 % lost"), |b| {
            b.iter(|| black_box(receive(&datagrams, 20)));
        });
    }
    group.finish();
}

/// A page's worth of ECM frames through two endpoints with all their timing.
fn endpoints(c: &mut Criterion) {
    let frames: Vec<Bytes> = (0..256u32).map(|n| Bytes::from(vec![n as u8; 260])).collect();
    let octets: u64 = frames.iter().map(|f| f.len() as u64).sum();
    let mut group = c.benchmark_group("t38 endpoints");
    group.throughput(Throughput::Bytes(octets));
    group.bench_function("64 kB of ECM frames, V.17 14400", |b| {
        b.iter(|| {
            let mut now = Instant::ZERO;
            let mut out = Endpoint::new(Config::default(), now);
            let mut back = Endpoint::new(Config::default(), now);
            out.handle(
                now,
                Input::Transmit(Transmit::Frames {
                    modulation: Modulation::V17At14400,
                    training: Training::Short,
                    frames: frames.clone(),
                }),
            );
            let mut heard = 0u64;
            loop {
                while let Some(output) = out.poll() {
                    match output {
                        Output::Datagram(d) => back.handle(now, Input::Datagram(&d)),
                        Output::Sent => return heard,
                        Output::Heard(_) => {}
                    }
                }
                while let Some(output) = back.poll() {
                    heard += u64::from(matches!(output, Output::Heard(_)));
                }
                let Some(next) = out.deadline() else {
                    return heard;
                };
                now = now.max(next);
                out.handle(now, Input::Timeout);
            }
        });
    });
    group.finish();
}

criterion_group!(benches, packets, endpoints);
criterion_main!(benches);
