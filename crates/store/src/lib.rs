//! fax-store: durable jobs, received faxes, notices and documents.
//!
//! [`model`] holds the words, [`port`] the traits that the service works against. [`redb`] keeps rows in
//! one embedded file, `postgres` in a database that several nodes share, [`folder`] keeps documents as files. Whatever is answered `Ok` is on disk.

pub mod folder;
pub mod model;
pub mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod redb;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use port::{Documents, Store, StoreError};
