//! The wiring: the switch's ports over the drivers.

mod answer;
mod convert;
mod dial;
pub(crate) mod end;
mod guard_state;
pub(crate) mod ladder;
mod observe;
mod spool;
mod trunk_state;

use fax_t30 as t30;

/// A terminal that answers: it can do everything, sends nothing, and confirms no page before it is laid down.
pub(crate) fn called(ident: String, colour: bool) -> fax_terminal::Config {
    let mut capabilities = t30::Capabilities::default();
    if !colour {
        capabilities.codings.retain(|coding| coding.tones().is_none());
    }
    fax_terminal::Config {
        role: t30::Role::Called,
        ident,
        capabilities,
        keeps_pages: true,
        ..fax_terminal::Config::default()
    }
}

pub(crate) use answer::answer_calls;
pub(crate) use convert::DocumentConverter;
pub(crate) use dial::{NetDialler, Ways};
pub(crate) use spool::Spool;
