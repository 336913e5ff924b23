//! T.38 over UDPTL without I/O: the IFP codec, UDPTL with redundancy and FEC, and an [`Endpoint`] that
//! carries the words of [`fax_base::line`] as paced packets (ITU-T T.38).

pub mod api;
mod endpoint;
pub mod ifp;
pub mod udptl;

pub use api::*;
pub use endpoint::Endpoint;
