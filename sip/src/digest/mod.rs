//! Digest authentication: the algorithms both sides share (RFC 7616 §3.3, RFC 8760 §2).

mod client;
mod server;

pub(crate) use client::Authentication;
pub(crate) use server::{Challenger, Verdict};
pub use server::{Claim, Denial, Secret};

use md5::{Digest as _, Md5};
use sha2::{Sha256, Sha512_256};

/// The algorithms we can do, weakest first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Algorithm {
    /// `MD5`: the only one older peers know.
    Md5,
    /// `MD5-sess`.
    Md5Sess,
    /// `SHA-256`.
    Sha256,
    /// `SHA-256-sess`.
    Sha256Sess,
    /// `SHA-512-256`.
    Sha512T256,
    /// `SHA-512-256-sess`.
    Sha512T256Sess,
}

impl Algorithm {
    /// The algorithm of that name; none named is MD5.
    pub(crate) fn read(name: Option<&str>) -> Option<Algorithm> {
        let Some(name) = name else { return Some(Algorithm::Md5) };
        [
            Algorithm::Md5,
            Algorithm::Md5Sess,
            Algorithm::Sha256,
            Algorithm::Sha256Sess,
            Algorithm::Sha512T256,
            Algorithm::Sha512T256Sess,
        ]
        .into_iter()
        .find(|a| a.name().eq_ignore_ascii_case(name))
    }

    /// Its name on the wire.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Algorithm::Md5 => "MD5",
            Algorithm::Md5Sess => "MD5-sess",
            Algorithm::Sha256 => "SHA-256",
            Algorithm::Sha256Sess => "SHA-256-sess",
            Algorithm::Sha512T256 => "SHA-512-256",
            Algorithm::Sha512T256Sess => "SHA-512-256-sess",
        }
    }

    pub(crate) const fn is_session(self) -> bool {
        matches!(self, Algorithm::Md5Sess | Algorithm::Sha256Sess | Algorithm::Sha512T256Sess)
    }

    /// The hash of a text in lower-case hexadecimal.
    pub(crate) fn hash(self, text: &str) -> String {
        match self {
            Algorithm::Md5 | Algorithm::Md5Sess => hex::encode(Md5::digest(text.as_bytes())),
            Algorithm::Sha256 | Algorithm::Sha256Sess => hex::encode(Sha256::digest(text.as_bytes())),
            Algorithm::Sha512T256 | Algorithm::Sha512T256Sess => {
                hex::encode(Sha512_256::digest(text.as_bytes()))
            }
        }
    }
}
