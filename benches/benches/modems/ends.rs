//! One face for our modems and spandsp's.

use fax_base::bits::BitSource;
use fax_base::level::Dbm0;
use fax_base::line::Training;
use fax_dsp::modem::{Event, Mode};
use fax_dsp::{FskReceiver, FskTransmitter, QamReceiver, QamTransmitter};
use spandsp_peer::modem as spandsp;
use std::fmt;

/// Whose modem it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Who {
    Ours,
    Spandsp,
}

impl Who {
    pub const BOTH: [Who; 2] = [Who::Ours, Who::Spandsp];
}

/// A modem and its rate.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Modem {
    V21,
    Qam(Mode),
}

impl Modem {
    pub fn bit_rate(self) -> u32 {
        match self {
            Modem::V21 => 300,
            Modem::Qam(mode) => mode.bit_rate(),
        }
    }

    pub fn baud(self) -> u32 {
        match self {
            Modem::V21 => 300,
            Modem::Qam(mode) => mode.baud(),
        }
    }

    fn spandsp(self) -> spandsp::Modem {
        match self {
            Modem::V21 => spandsp::Modem::V21Channel2,
            Modem::Qam(Mode::V27ter2400) => spandsp::Modem::V27ter2400,
            Modem::Qam(Mode::V27ter4800) => spandsp::Modem::V27ter4800,
            Modem::Qam(Mode::V29At4800) => spandsp::Modem::V29At4800,
            Modem::Qam(Mode::V29At7200) => spandsp::Modem::V29At7200,
            Modem::Qam(Mode::V29At9600) => spandsp::Modem::V29At9600,
            Modem::Qam(Mode::V17At7200) => spandsp::Modem::V17At7200,
            Modem::Qam(Mode::V17At9600) => spandsp::Modem::V17At9600,
            Modem::Qam(Mode::V17At12000) => spandsp::Modem::V17At12000,
            Modem::Qam(Mode::V17At14400) => spandsp::Modem::V17At14400,
        }
    }
}

impl fmt::Display for Modem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Modem::V21 => "V.21",
            Modem::Qam(Mode::V27ter2400 | Mode::V27ter4800) => "V.27ter",
            Modem::Qam(Mode::V29At4800 | Mode::V29At7200 | Mode::V29At9600) => "V.29",
            Modem::Qam(Mode::V17At7200 | Mode::V17At9600 | Mode::V17At12000 | Mode::V17At14400) => "V.17",
        };
        f.pad(&format!("{name} {}", self.bit_rate()))
    }
}

/// What a receiver told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Told {
    Up,
    Trained,
    Failed,
    Down,
    Bit(bool),
    /// A bit that is known to be missing.
    Erased,
}

pub trait Receiver {
    fn receive(&mut self, samples: &[i16]);
    fn gap(&mut self, samples: usize);
    /// What was told since the last time.
    fn take(&mut self) -> Vec<Told>;
}

pub trait Transmitter {
    fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize;
}

/// A receiver that waits for a long training.
pub fn receiver(who: Who, modem: Modem) -> Box<dyn Receiver> {
    match (who, modem) {
        (Who::Ours, Modem::Qam(mode)) => {
            let rx = OurRx::Qam(Box::new(QamReceiver::new(mode, Training::Long)));
            Box::new(Ours(rx, Vec::with_capacity(1 << 17)))
        }
        (Who::Ours, Modem::V21) => {
            let rx = OurRx::Fsk(Box::new(FskReceiver::v21_channel_2()));
            Box::new(Ours(rx, Vec::with_capacity(1 << 17)))
        }
        (Who::Spandsp, _) => {
            let mut rx = spandsp::Rx::new(modem.spandsp());
            if modem == Modem::V21 {
                // As its fax machine does.
                rx.set_signal_cutoff(-39.09);
            }
            Box::new(Spandsp(rx, Vec::with_capacity(1 << 19)))
        }
    }
}

pub fn transmitter(who: Who, modem: Modem, training: Training, level: Dbm0) -> Box<dyn Transmitter> {
    match (who, modem) {
        (Who::Ours, Modem::Qam(mode)) => Box::new(QamTransmitter::new(mode, training, false, level)),
        (Who::Ours, Modem::V21) => Box::new(FskTransmitter::v21_channel_2(level)),
        (Who::Spandsp, _) => {
            let mut tx = spandsp::Tx::new(modem.spandsp(), false, training == Training::Short);
            tx.set_power(level.0);
            Box::new(tx)
        }
    }
}

/// Whose transmitter sends: ours, or spandsp's with `FERROFAX_MODEM_SENDER=spandsp`.
pub fn sender() -> Who {
    match std::env::var("FERROFAX_MODEM_SENDER").as_deref() {
        Ok("spandsp") => Who::Spandsp,
        _ => Who::Ours,
    }
}

enum OurRx {
    Qam(Box<QamReceiver>),
    Fsk(Box<FskReceiver>),
}

struct Ours(OurRx, Vec<Event>);

impl Receiver for Ours {
    fn receive(&mut self, samples: &[i16]) {
        match &mut self.0 {
            OurRx::Qam(rx) => rx.receive(samples, &mut self.1),
            OurRx::Fsk(rx) => rx.receive(samples, &mut self.1),
        }
    }

    fn gap(&mut self, samples: usize) {
        match &mut self.0 {
            OurRx::Qam(rx) => rx.receive_gap(samples, &mut self.1),
            OurRx::Fsk(rx) => rx.receive_gap(samples, &mut self.1),
        }
    }

    fn take(&mut self) -> Vec<Told> {
        let mut told = Vec::new();
        for event in self.1.drain(..) {
            match event {
                Event::CarrierUp => told.push(Told::Up),
                Event::Trained(_) => told.push(Told::Trained),
                Event::TrainingFailed => told.push(Told::Failed),
                Event::CarrierDown => told.push(Told::Down),
                Event::Bits { bits, count } => {
                    told.extend((0..count).rev().map(|i| Told::Bit(bits >> i & 1 != 0)));
                }
                Event::Erased { bits } => told.extend((0..bits).map(|_| Told::Erased)),
            }
        }
        told
    }
}

struct Spandsp(spandsp::Rx, Vec<spandsp::Event>);

impl Receiver for Spandsp {
    fn receive(&mut self, samples: &[i16]) {
        self.0.receive(samples, &mut self.1);
    }

    fn gap(&mut self, samples: usize) {
        self.0.receive_lost(samples, &mut self.1);
    }

    fn take(&mut self) -> Vec<Told> {
        self.1
            .drain(..)
            .filter_map(|event| match event {
                spandsp::Event::Bit(bit) => Some(Told::Bit(bit)),
                spandsp::Event::CarrierUp => Some(Told::Up),
                spandsp::Event::TrainingSucceeded => Some(Told::Trained),
                spandsp::Event::TrainingFailed => Some(Told::Failed),
                spandsp::Event::CarrierDown => Some(Told::Down),
                spandsp::Event::TrainingInProgress | spandsp::Event::Other(_) => None,
            })
            .collect()
    }
}

impl Transmitter for spandsp::Tx {
    fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize {
        spandsp::Tx::transmit(self, bits, out)
    }
}

impl Transmitter for FskTransmitter {
    fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize {
        FskTransmitter::transmit(self, bits, out)
    }
}

impl Transmitter for QamTransmitter {
    fn transmit(&mut self, bits: &mut dyn BitSource, out: &mut [i16]) -> usize {
        QamTransmitter::transmit(self, bits, out)
    }
}
