//! fax-store: durable jobs, received faxes, notices and documents.
//!
//! [`model`] holds the words, [`port`] the traits that the service works against. [`redb`] keeps rows in
//! one embedded file, `postgres` in a database that several nodes share, [`folder`] keeps documents as files, `bucket` as
//! objects of an S3-compatible server, and [`sealed`] encrypts them. Whatever is answered `Ok` is on disk.

pub mod archive;
#[cfg(feature = "s3")]
pub mod bucket;
pub mod folder;
pub mod model;
pub mod port;
#[cfg(feature = "postgres")]
pub mod postgres;
pub mod private;
pub mod redb;
pub mod sealed;
#[cfg(any(test, feature = "suite"))]
pub mod suite;

pub use port::{Documents, Store, StoreError};
