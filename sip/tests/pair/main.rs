//! Two user agents over a simulated network on simulated time (RFC 3261 §13 to §17).

mod calls;
mod lossy;
mod net;
mod offers;
