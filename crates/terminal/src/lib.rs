//! A fax terminal: T.30 bound to what carries it (T.38, or modems over audio), and the image
//! codecs bound to T.30; [`tap`], which overhears a call; and [`recording`], which keeps one. Without I/O.

pub mod api;
pub mod audio;
mod inbox;
pub mod ladder;
mod outbox;
pub mod recording;
pub mod tap;
mod terminal;

pub use api::*;
pub use terminal::Terminal;
