//! Calls of our own machines, recorded: as samples, as WAV, and as captures written octet by octet (pcap, pcapng).

#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use crate::pipe::{BLOCK, Block, Come, Desk, Machine, TEN_MINUTES};
use etherparse::PacketBuilder;
use fax_base::Instant;
use fax_base::page::{PageShape, Resolution, Width};
use fax_terminal::{CodedPage, Config, Document, Input, Output, Terminal};
use spandsp_peer::tiff;
use std::path::Path;
use std::sync::Arc;

/// What each end sent.
pub struct Recorded {
    pub calling: Vec<i16>,
    pub called: Vec<i16>,
}

/// A call that sends a file, with these options at the calling end.
pub fn record(desk: &Desk, file: &str, options: &[&str]) -> Recorded {
    let dir = desk.arg("recorded");
    let ours = ["--call", "--send", file, "--id", "+1 555 0100"];
    let mut calling = Machine::start(ours.iter().chain(options));
    let mut called = Machine::start(["--answer", "--receive", &dir, "--id", "+1 555 0199"]);
    let mut record = Recorded { calling: Vec::new(), called: Vec::new() };
    let (mut from_calling, mut from_called): (Block, Block) = ([0; BLOCK], [0; BLOCK]);
    for _ in 0..TEN_MINUTES {
        record.calling.extend(from_calling);
        record.called.extend(from_called);
        let pair = (calling.step(&Come::Arrived(from_called)), called.step(&Come::Arrived(from_calling)));
        let (Some(a), Some(b)) = pair else {
            // Whichever cleared first: the other has heard all that there was.
            let codes = (calling.hang_up().code, called.hang_up().code);
            assert_eq!(codes, (Some(0), Some(0)));
            return record;
        };
        (from_calling, from_called) = (a, b);
    }
    panic!("a call without end");
}

/// A WAV file of these channels, every sample `times` times in a row smoothed by a straight line.
pub fn wav(path: &Path, channels: &[&[i16]], times: u32) {
    let spec = hound::WavSpec {
        channels: channels.len() as u16,
        sample_rate: 8000 * times,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let upsampled: Vec<Vec<i16>> = channels.iter().map(|c| upsample(c, times as usize)).collect();
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..upsampled[0].len() {
        upsampled.iter().for_each(|c| writer.write_sample(c[i]).unwrap());
    }
    writer.finalize().unwrap();
}

/// By a windowed sinc over eight samples on each side.
fn upsample(samples: &[i16], times: usize) -> Vec<i16> {
    if times == 1 {
        return samples.to_vec();
    }
    let kernel = |x: f64| {
        let sinc =
            if x.abs() < 1e-9 { 1.0 } else { (std::f64::consts::PI * x).sin() / (std::f64::consts::PI * x) };
        sinc * (0.5 + 0.5 * (std::f64::consts::PI * x / 9.0).cos())
    };
    let taps: Vec<Vec<f64>> = (0..times)
        .map(|p| (-8..=8).map(|i| kernel(p as f64 / times as f64 - f64::from(i))).collect())
        .collect();
    let at = |i: isize| usize::try_from(i).ok().and_then(|i| samples.get(i)).map_or(0.0, |s| f64::from(*s));
    (0..samples.len() * times)
        .map(|n| {
            let (base, phase) = ((n / times) as isize, n % times);
            let sum: f64 = (-8isize..=8).zip(&taps[phase]).map(|(i, t)| t * at(base + i)).sum();
            sum.round().clamp(-32_768.0, 32_767.0) as i16
        })
        .collect()
}

/// A T.38 call of two pages between two of our terminals, every datagram with its time, µs, and who sent it.
pub struct T38Call {
    pub datagrams: Vec<(u64, bool, Vec<u8>)>,
}

impl T38Call {
    pub fn new(sent: &Path) -> T38Call {
        let pages: Vec<tiff::Page> = (0..2).map(|i| spandsp_peer::pages::generated(60 + i, 300)).collect();
        tiff::write(sent, &pages).unwrap();
        let coded = |page: &tiff::Page| {
            let shape =
                PageShape { width: Width::A4, resolution: Resolution::Fine, rows: page.rows, tones: None };
            Arc::new(CodedPage { shape, t6: tiff::encode_t6(page).unwrap().into(), jpeg: None })
        };
        let mut ends = [
            Terminal::new(Config {
                role: fax_t30::Role::Calling,
                ident: "+1 555 0100".into(),
                documents: vec![Document::new(pages.iter().map(coded).collect())],
                ..Config::default()
            }),
            Terminal::new(Config { ident: "+1 555 0199".into(), ..Config::default() }),
        ];
        let mut now = Instant::ZERO;
        for end in &mut ends {
            end.handle(now, Input::Start);
            end.handle(now, Input::SwitchToT38(fax_t38::Config::default()));
        }
        let mut call = T38Call { datagrams: Vec::new() };
        let mut ended = [false; 2];
        while ended != [true; 2] {
            now += std::time::Duration::from_millis(5);
            assert!(now < Instant::from_millis(600_000), "a call without end");
            let mut sent = Vec::new();
            for (i, end) in ends.iter_mut().enumerate() {
                while end.deadline().is_some_and(|at| at <= now) {
                    end.handle(now, Input::Timeout);
                }
                while let Some(output) = end.poll() {
                    match output {
                        Output::Datagram(datagram) => sent.push((i, datagram)),
                        Output::End(outcome) => {
                            assert!(outcome.failure.is_none(), "{outcome:?}");
                            ended[i] = true;
                        }
                        Output::FaxToneHeard(_)
                        | Output::Page(_)
                        | Output::KeepPage(_)
                        | Output::Event(_)
                        | Output::Signal(_) => {}
                    }
                }
            }
            for (i, datagram) in sent {
                call.datagrams.push((now.as_micros(), i == 0, datagram.to_vec()));
                ends[1 - i].handle(now, Input::Datagram(&datagram));
            }
        }
        call
    }
}

const HOSTS: [([u8; 4], u16); 2] = [([192, 0, 2, 10], 4000), ([198, 51, 100, 7], 17_024)];
/// When captures begin, µs since 1970.
const BEGIN: u64 = 1_790_000_000_000_000;

/// A capture that is being written.
pub struct Capture {
    ng: bool,
    packets: Vec<(u64, Vec<u8>)>,
}

impl Capture {
    pub fn new(format: &str) -> Capture {
        Capture { ng: format == "pcapng", packets: Vec::new() }
    }

    fn udp(&mut self, at: u64, from: ([u8; 4], u16), to: ([u8; 4], u16), payload: &[u8]) {
        let builder = PacketBuilder::ethernet2([2, 0, 0, 0, 0, 1], [2, 0, 0, 0, 0, 2])
            .ipv4(from.0, to.0, 64)
            .udp(from.1, to.1);
        let mut frame = Vec::with_capacity(builder.size(payload.len()));
        builder.write(&mut frame, payload).unwrap();
        self.packets.push((at, frame));
    }

    /// SIP, DNS and nonsense.
    pub fn noise(&mut self) {
        let sip = b"OPTIONS sip:a@example.net SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.10\r\n\r\n";
        for i in 0..200u64 {
            self.udp(i * 100_000, (HOSTS[0].0, 5060), (HOSTS[1].0, 5060), sip);
            self.udp(i * 100_000 + 7, (HOSTS[0].0, 53), ([192, 0, 2, 1], 53), &[i as u8; 40]);
            self.udp(i * 100_000 + 9, (HOSTS[0].0, 9), (HOSTS[1].0, 9), &[]);
        }
        self.packets.push((3, vec![0xFF; 7]));
    }

    /// RTP both ways, µ-law there and A-law back; every `lost`th packet is not there, some come twice or in disorder.
    pub fn rtp(&mut self, call: &Recorded, lost: u32) {
        use fax_dsp::Law::{A, Mu};
        for (i, (samples, law)) in [(&call.calling, Mu), (&call.called, A)].into_iter().enumerate() {
            let payload_type = if law == Mu { 0 } else { 8 };
            for (n, block) in samples.chunks(BLOCK).enumerate() {
                if lost > 0 && n as u32 % lost == lost - 1 {
                    continue;
                }
                let sequence = (65_000 + n) as u16;
                let timestamp = u32::MAX - 50_000;
                let timestamp = timestamp.wrapping_add((n * BLOCK) as u32);
                let mut packet = vec![0x80, payload_type];
                packet.extend(sequence.to_be_bytes());
                packet.extend(timestamp.to_be_bytes());
                packet.extend((0xFEED_0000u32 + i as u32).to_be_bytes());
                packet.extend(block.iter().map(|s| law.encode(*s)));
                // Every 13th comes 45 ms late, every 17th twice.
                let late = if n % 13 == 5 { 45_000 } else { 0 };
                let at = n as u64 * 20_000 + late + i as u64;
                self.udp(at, HOSTS[i], HOSTS[1 - i], &packet);
                if n % 17 == 3 {
                    self.udp(at + 2, HOSTS[i], HOSTS[1 - i], &packet);
                }
            }
        }
    }

    pub fn udptl(&mut self, datagrams: &[(u64, bool, Vec<u8>)]) {
        for (at, calling, datagram) in datagrams {
            let i = usize::from(!calling);
            self.udp(*at, HOSTS[i], HOSTS[1 - i], datagram);
        }
    }

    /// The file.
    pub fn finish(mut self) -> Vec<u8> {
        self.packets.sort_by_key(|(at, _)| *at);
        let mut file = Vec::new();
        let words =
            |file: &mut Vec<u8>, words: &[u32]| words.iter().for_each(|w| file.extend(w.to_le_bytes()));
        if self.ng {
            words(&mut file, &[0x0A0D_0D0A, 28, 0x1A2B_3C4D, 1, u32::MAX, u32::MAX, 28]);
            words(&mut file, &[1, 20, 1, 0, 20]);
        } else {
            words(&mut file, &[0xA1B2_C3D4, 0x0004_0002, 0, 0, 65_535, 1]);
        }
        for (at, frame) in &self.packets {
            let (at, length) = (BEGIN + at, frame.len() as u32);
            if self.ng {
                let padded = frame.len().div_ceil(4) * 4;
                let total = padded as u32 + 32;
                words(&mut file, &[6, total, 0, (at >> 32) as u32, at as u32, length, length]);
                file.extend(frame);
                file.resize(file.len() + padded - frame.len(), 0);
                words(&mut file, &[total]);
            } else {
                words(&mut file, &[(at / 1_000_000) as u32, (at % 1_000_000) as u32, length, length]);
                file.extend(frame);
            }
        }
        file
    }
}
