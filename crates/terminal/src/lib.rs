//! A fax terminal: T.30 bound to what carries it (T.38, or modems over audio), and the image
//! codecs bound to T.30; and [`tap`], which overhears a call. Without I/O.

pub mod api;
pub mod audio;
mod pages;
pub mod tap;
mod terminal;

pub use api::*;
pub use terminal::Terminal;
