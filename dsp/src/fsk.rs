//! V.21: 300 bit/s by two tones (V.21 §2 to §5; T.30 §5.3.1).
//!
//! T.30's binary coded signals use channel 2 in both directions.

mod front;
mod receiver;
mod transmitter;

pub use receiver::FskReceiver;
pub use transmitter::FskTransmitter;

/// Bits a second.
pub const BIT_RATE: u32 = 300;

/// The tones of a channel, Hz.
#[derive(Clone, Copy, Debug)]
struct Tones {
    /// Z, binary 1.
    mark: u32,
    /// A, binary 0; always the higher.
    space: u32,
}

const CHANNEL_1: Tones = Tones { mark: 980, space: 1180 };
const CHANNEL_2: Tones = Tones { mark: 1650, space: 1850 };

/// Real and imaginary part.
type Complex = [f32; 2];
