//! The tape on which a call is written as it goes.

use super::Options;
use super::octets::{Hash, number, octets, signed};
use super::setup;
use crate::api::{AudioOptions, Config, Input, Output, Signal};
use core::fmt::Write;
use fax_base::Instant;
use fax_dsp::g711::Law;
use fax_t30::Event;

/// The first octet of a record: an input (with the time since the one before it), or an output.
pub(super) mod tag {
    pub(in super::super) const START: u8 = 0;
    pub(in super::super) const T38: u8 = 1;
    pub(in super::super) const AUDIO: u8 = 2;
    pub(in super::super) const DATAGRAM: u8 = 3;
    pub(in super::super) const A_LAW: u8 = 4;
    pub(in super::super) const MU_LAW: u8 = 5;
    pub(in super::super) const LINEAR: u8 = 6;
    pub(in super::super) const LOST: u8 = 7;
    pub(in super::super) const TIMEOUT: u8 = 8;
    pub(in super::super) const HUNG_UP: u8 = 9;
    pub(in super::super) const CANCEL: u8 = 10;
    /// Samples were fetched.
    pub(in super::super) const FETCH: u8 = 11;
    /// 160 samples were fetched.
    pub(in super::super) const FETCH_BLOCK: u8 = 12;
    /// As [`T38`], with the far end's limit of the bit rate before it.
    pub(in super::super) const T38_LIMITED: u8 = 13;
    /// A page was kept, or could not be.
    pub(in super::super) const KEPT: u8 = 14;
    pub(in super::super) const NOT_KEPT: u8 = 15;
    /// What was fetched: silence (or something that is not compared), or a digest of it.
    pub(in super::super) const SILENCE: u8 = 32;
    pub(in super::super) const SAMPLES: u8 = 33;
    /// The terminal's outputs, in the order of [`crate::Output`], each with its digest.
    pub(in super::super) const OUTPUT: u8 = 34;
    /// The recording ends here though the call goes on.
    pub(in super::super) const CUT: u8 = 62;
}

/// Samples that are fetched together as a rule: 20 ms.
pub(super) const BLOCK: usize = 160;

/// A tape. The driver takes what is on it with [`Tape::swap`].
#[derive(Debug)]
pub struct Tape {
    setup: Vec<u8>,
    records: Vec<u8>,
    written: u64,
    limit: u64,
    last: Instant,
    /// Our numbers are hidden, so that what is sent differs.
    pub(super) masked: bool,
    cut: bool,
    secret: bool,
}

impl Tape {
    /// A tape for a call; none for one with a password.
    pub(crate) fn new(config: &Config, audio: AudioOptions, options: &Options) -> Option<Tape> {
        if config.password.is_some() {
            return None;
        }
        Some(Tape {
            setup: setup::encode(config, audio, options),
            records: Vec::new(),
            written: 0,
            limit: options.limit,
            last: Instant::ZERO,
            masked: !options.numbers,
            cut: false,
            secret: false,
        })
    }

    /// The setup, to be written before the records; it is there once.
    pub fn take_setup(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.setup)
    }

    /// Octets of records that wait to be taken.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.records.len()
    }

    /// Takes the records, whole ones, and leaves `spare` for those to come.
    pub fn swap(&mut self, mut spare: Vec<u8>) -> Vec<u8> {
        spare.clear();
        core::mem::replace(&mut self.records, spare)
    }

    /// A password has passed: everything that was recorded of the call is to be thrown away.
    #[must_use]
    pub fn is_secret(&self) -> bool {
        self.secret
    }

    /// Records no more, and says so on the tape.
    pub fn cut(&mut self) {
        if !self.cut {
            self.cut = true;
            self.records.push(tag::CUT);
        }
    }

    /// Whether it was cut.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut
    }

    fn begin(&mut self, now: Instant, tag: u8, size: usize) -> bool {
        if !self.cut && self.written + size as u64 > self.limit {
            self.cut();
        }
        if self.cut || self.secret {
            return false;
        }
        let micros = |at: Instant| at.as_micros().cast_signed();
        self.records.push(tag);
        signed(&mut self.records, micros(now).wrapping_sub(micros(self.last)));
        self.last = now;
        self.written += size as u64 + 4;
        true
    }

    pub(crate) fn input(&mut self, now: Instant, input: &Input<'_>) {
        let (tag, size) = match input {
            Input::Start => (tag::START, 0),
            Input::SwitchToT38(config) if config.far_max_bit_rate < u32::MAX => (tag::T38_LIMITED, 12),
            Input::SwitchToT38(_) => (tag::T38, 8),
            Input::SwitchToAudio => (tag::AUDIO, 0),
            Input::Datagram(datagram) => (tag::DATAGRAM, datagram.len()),
            Input::Audio(samples) => (tag::LINEAR, 2 * samples.len()),
            Input::G711(Law::A, octets) => (tag::A_LAW, octets.len()),
            Input::G711(Law::Mu, octets) => (tag::MU_LAW, octets.len()),
            Input::AudioLost(_) => (tag::LOST, 2),
            Input::Timeout => (tag::TIMEOUT, 0),
            Input::HungUp => (tag::HUNG_UP, 0),
            Input::Cancel => (tag::CANCEL, 0),
            Input::PageKept(true) => (tag::KEPT, 0),
            Input::PageKept(false) => (tag::NOT_KEPT, 0),
        };
        if !self.begin(now, tag, size) {
            return;
        }
        let out = &mut self.records;
        match input {
            Input::SwitchToT38(config) => {
                if tag == tag::T38_LIMITED {
                    number(out, config.far_max_bit_rate.into());
                }
                setup::put_t38(out, config);
            }
            Input::Datagram(content) | Input::G711(_, content) => octets(out, content),
            Input::Audio(samples) => {
                number(out, samples.len() as u64);
                samples.iter().for_each(|s| out.extend_from_slice(&s.to_le_bytes()));
            }
            Input::AudioLost(samples) => number(out, *samples as u64),
            Input::Start
            | Input::SwitchToAudio
            | Input::PageKept(_)
            | Input::Timeout
            | Input::HungUp
            | Input::Cancel => {}
        }
    }

    pub(crate) fn fetch(&mut self, now: Instant, samples: usize) {
        if samples == BLOCK {
            self.begin(now, tag::FETCH_BLOCK, 3);
        } else if self.begin(now, tag::FETCH, 5) {
            number(&mut self.records, samples as u64);
        }
    }

    pub(crate) fn fetched(&mut self, samples: &[i16]) {
        if !self.cut && !self.secret {
            match digest_of_samples(samples, self.masked) {
                None => self.records.push(tag::SILENCE),
                Some(digest) => {
                    self.records.push(tag::SAMPLES);
                    self.records.extend_from_slice(&digest.to_le_bytes());
                }
            }
        }
    }

    pub(crate) fn output(&mut self, output: &Output) {
        if let Output::Event(Event::FrameSent { name, .. } | Event::FrameReceived { name, .. }) = output
            && matches!(*name, "PWD" | "SID")
        {
            self.secret = true;
            self.records.clear();
        }
        if !self.cut && !self.secret {
            self.records.push(tag::OUTPUT + kind(output));
            self.records.extend_from_slice(&digest(output, self.masked).to_le_bytes());
        }
    }
}

/// The place of an output in [`Output`].
pub(super) const fn kind(output: &Output) -> u8 {
    match output {
        Output::Datagram(_) => 0,
        Output::FaxToneHeard(_) => 1,
        Output::Page(_) => 2,
        Output::Event(_) => 3,
        Output::Signal(_) => 4,
        Output::End(_) => 5,
        Output::KeepPage(_) => 6,
    }
}

/// The kinds of outputs in words.
pub(super) const KINDS: [&str; 7] =
    ["a datagram", "a tone", "a page", "an event", "a signal", "the end", "a page to keep"];

/// What was sent; `None`: silence, or, `masked`, whatever it was: another number may take some milliseconds more.
pub(super) fn digest_of_samples(samples: &[i16], masked: bool) -> Option<u16> {
    if masked || samples.iter().all(|s| *s == 0) {
        return None;
    }
    Some(samples.iter().fold(Hash::new(), |hash, s| hash.feed(&s.to_le_bytes())).short())
}

/// A digest of an output. `masked`: without what our own number changes. The figures of a signal's quality are left
/// out: their last digits may differ between processors.
pub(super) fn digest(output: &Output, masked: bool) -> u16 {
    let mut hash = Hash::new();
    // Writing to a hash cannot fail.
    let _ = match output {
        Output::Datagram(octets) if masked => write!(hash, "{}", octets.len()),
        Output::Datagram(octets) => {
            hash = hash.feed(octets);
            Ok(())
        }
        Output::FaxToneHeard(tone) => write!(hash, "{tone:?}"),
        Output::Page(page) | Output::KeepPage(page) => write!(hash, "{page:?}"),
        Output::Event(Event::FrameSent { name, .. })
            if masked && matches!(*name, "TSI" | "CSI" | "CIG" | "SUB" | "SEP" | "PSA") =>
        {
            hash.write_str(name)
        }
        Output::Event(event) => write!(hash, "{event:?}"),
        Output::Signal(signal) => match signal {
            Signal::Trained { modulation, .. } => write!(hash, "trained {modulation}"),
            Signal::NotTrained { modulation } => write!(hash, "not trained {modulation}"),
            Signal::Over { modulation, .. } => write!(hash, "over {modulation}"),
        },
        Output::End(outcome) => write!(hash, "{outcome:?}"),
    };
    hash.short()
}
