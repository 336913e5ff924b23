//! Passwords: what is kept of them is Argon2id (RFC 9106) over the digests that clients send in their place.
//!
//! Clients send MD5 or SHA-1 of `name:password` and do not say the name, so that the salt is the account's: what was sent is
//! hashed once and looked for among its users. Equal passwords of two users differ by the name that is in the digest.

use argon2::Argon2;
use fax_store::model::AccountId;
use fax_switch::Password;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::envelope::Fault;

/// Hashes at a time: each takes 19 MiB and a core for a while.
static PLACES: Semaphore = Semaphore::const_new(2);

/// What is kept of a password.
///
/// # Errors
///
/// 500 when it cannot be hashed.
pub async fn keep(account: &AccountId, name: &str, password: &str) -> Result<Password, Fault> {
    let text = format!("{}:{password}", name.to_lowercase());
    let md5 = stretch(account, &hex::encode(Md5::digest(&text))).await?;
    let sha1 = stretch(account, &hex::encode(Sha1::digest(&text))).await?;
    Ok(Password { md5, sha1 })
}

/// What a client sent in place of a password, as it would be kept.
///
/// # Errors
///
/// 500 when it cannot be hashed.
pub async fn stretch(account: &AccountId, credentials: &str) -> Result<String, Fault> {
    let failed = || Fault::named("the password could not be hashed");
    let salt = Sha256::digest(format!("ferrofax password of {account}"));
    let given = credentials.to_ascii_lowercase();
    let _place = PLACES.acquire().await.map_err(|_| failed())?;
    let hashed = tokio::task::spawn_blocking(move || {
        let mut out = [0; 32];
        Argon2::default().hash_password_into(given.as_bytes(), &salt[..16], &mut out).ok()?;
        Some(hex::encode(out))
    });
    hashed.await.ok().flatten().ok_or_else(failed)
}

/// Whether a stretched digest is that of this password; `sha`: it was SHA-1.
#[must_use]
pub fn fits(kept: Option<&Password>, stretched: &str, sha: bool) -> bool {
    let own = kept.map_or("", |kept| if sha { &kept.sha1 } else { &kept.md5 });
    bool::from(own.as_bytes().ct_eq(stretched.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_clients_send_fits_what_is_kept_and_nothing_else_does() {
        let (a, b) = (AccountId::new("a"), AccountId::new("b"));
        let kept = keep(&a, "Jo", "secret").await.unwrap();
        let (md5, sha1) = (hex::encode(Md5::digest("jo:secret")), hex::encode(Sha1::digest("jo:secret")));
        assert!(kept.md5.len() == 64 && !kept.md5.contains(&md5));
        assert!(fits(Some(&kept), &stretch(&a, &md5.to_uppercase()).await.unwrap(), false));
        assert!(fits(Some(&kept), &stretch(&a, &sha1).await.unwrap(), true));
        assert!(!fits(Some(&kept), &stretch(&a, &sha1).await.unwrap(), false));
        assert!(!fits(Some(&kept), &stretch(&b, &md5).await.unwrap(), false), "the salt is the account's");
        assert!(!fits(Some(&kept), "", false) && !fits(None, &kept.md5, false));
    }
}
