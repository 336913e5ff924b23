//! The codecs and TIFF: beside other implementations, damaged, hostile.
//!
//! One program: what each of these tests would link again takes longer than to run them.

#![allow(clippy::unwrap_used, clippy::panic)]

mod damage;
mod hostile;
mod jbigkit;
mod libtiff;
mod own_pages;
mod profile_c;
mod profiles;
mod round_trip;
mod t42;
mod t85;
mod tables;
