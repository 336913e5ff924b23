//! The wiring: the switch's ports over the drivers.

mod answer;
mod convert;
mod dial;
pub(crate) mod end;
pub(crate) mod ladder;
mod spool;

pub(crate) use answer::answer_calls;
pub(crate) use convert::DocumentConverter;
pub(crate) use dial::NetDialler;
pub(crate) use spool::Spool;
