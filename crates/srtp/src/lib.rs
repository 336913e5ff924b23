//! SRTP and SRTCP (RFC 3711, RFC 6188): packets are encrypted by AES in counter mode and authenticated by HMAC-SHA1.
//! Keys come from outside; nothing here draws them, keeps them longer than the call, or prints them.

mod inbound;
mod key;
mod keystream;
mod outbound;
mod packet;
mod session;
#[cfg(test)]
mod tests;
mod window;

pub use inbound::Inbound;
pub use key::{MasterKey, Profile};
pub use outbound::Outbound;

/// The most octets that protection adds to a packet: SRTCP's index and the longest tag.
pub const OVERHEAD: usize = 14;

/// Sources in one direction of one call; more are refused, since what is known of the old ones keeps replays out.
const SOURCES: usize = 128;
