//! A T.38 gateway without I/O: fax over modems on one side, T.38 on the other, whichever side calls (T.38 §7, §8).
//!
//! What comes in audio is demodulated and leaves as IFPs while it comes; what comes by T.38 is kept until enough of
//! it is there and then modulated, with the times that T.30 demands of a modem (`playing`). Training checks go
//! through as data (data rate management method 2). Frames pass unchanged but for what this path cannot carry
//! (`edit`). Which modem comes next is read from the frames themselves ([`fax_t30::observer`]).

pub mod api;
mod edit;
mod gateway;
mod packing;
mod playing;

pub use api::*;
pub use gateway::Gateway;
