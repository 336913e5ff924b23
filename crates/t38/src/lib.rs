//! T.38 over UDPTL without I/O: the IFP codec, UDPTL with redundancy and FEC, and an [`Endpoint`] that
//! carries the words of [`fax_base::line`] as paced packets (ITU-T T.38). What an endpoint and a gateway share is a
//! [`Port`], UDPTL both ways, and [`reception`], which reads the IFPs.

pub mod api;
mod endpoint;
pub mod ifp;
pub mod port;
pub mod reception;
pub mod udptl;

pub use api::*;
pub use endpoint::Endpoint;
pub use port::Port;
