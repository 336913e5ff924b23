//! Whose a request is: API keys, and tokens that stand for them for a while (JWT, RFC 7519, HS256 by RFC 2104).
//!
//! An API key itself is a valid token. `PUT /v2/api_auth` and `PUT /v2/user_auth` answer a signed token with a life of
//! [`TOKEN_LIFE`]; nothing is kept in memory for it, and it ends early when its key is taken from the account. The signing
//! secret is drawn at start unless it is configured; nodes that share it accept each other's tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fax_store::model::{AccountId, Timestamp};
use fax_switch::{Account, Directory, User};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::envelope::{Fault, Success, Validation};

/// How long a token is valid.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Signs and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    /// HMAC-SHA-256 that has taken in the secret and nothing else yet.
    keyed: Hmac<Sha256>,
}

impl Tokens {
    /// Tokens signed with this secret, or with one drawn now.
    #[must_use]
    pub fn new(secret: Option<&str>) -> Self {
        let mut hash = Sha512::new();
        match secret.filter(|s| !s.is_empty()) {
            Some(secret) => hash.update(secret.as_bytes()),
            None => (0..3).for_each(|_| hash.update(uuid::Uuid::new_v4().as_bytes())),
        }
        // Its 64 octets are the block of SHA-256, HMAC's key.
        Tokens { keyed: KeyInit::new(&hash.finalize()) }
    }

    /// A token for `account`, bound to the credential with this digest.
    #[must_use]
    pub fn issue(
        &self,
        account: &AccountId,
        credential: &[u8; 32],
        owner: Option<&str>,
        now: Timestamp,
    ) -> String {
        let claims = json!({
            "iss": "ferrofax",
            "account_id": account.as_str(),
            "owner_id": owner,
            "iat": now.unix_seconds(),
            "exp": now.plus(TOKEN_LIFE).unix_seconds(),
            "jti": uuid::Uuid::new_v4().simple().to_string(),
            "crd": hex(&credential[..8]),
        });
        let head = URL_SAFE_NO_PAD.encode(br#"{"alg":"HS256","typ":"JWT"}"#);
        let signed = format!("{head}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// The account of a token or API key, and the user if the token is one's.
    ///
    /// # Errors
    ///
    /// 401 for what is neither, or has ended.
    pub fn check(
        &self,
        directory: &Directory,
        token: &str,
        now: Timestamp,
    ) -> Result<(AccountId, Option<String>), Fault> {
        if token.len() > 4096 {
            return Err(Fault::invalid_credentials());
        }
        if let Some(account) = account_of_key(directory, token) {
            return Ok((account.id.clone(), None));
        }
        self.claims(directory, token, now).ok_or_else(Fault::invalid_credentials)
    }

    /// HMAC-SHA-256 over what is signed.
    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(signed.as_bytes())
    }

    fn claims(
        &self,
        directory: &Directory,
        token: &str,
        now: Timestamp,
    ) -> Option<(AccountId, Option<String>)> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(signed).verify_slice(&signature).ok()?;
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?).ok()?;
        if claims["exp"].as_i64()? <= now.unix_seconds() {
            return None;
        }
        let id = AccountId::new(claims["account_id"].as_str()?);
        let account = directory.account(&id)?;
        let credential = claims["crd"].as_str()?;
        let owner = claims["owner_id"].as_str();
        let stands = match owner {
            None => account.api_keys_sha256.iter().any(|k| hex(&k[..8]) == credential),
            Some(owner) => {
                account.users.iter().any(|u| u.id == owner && hex(&user_digest(u)[..8]) == credential)
            }
        };
        stands.then(|| (id, owner.map(str::to_owned)))
    }
}

/// The account whose key this is. Only digests are compared, in constant time.
fn account_of_key<'d>(directory: &'d Directory, key: &str) -> Option<&'d Account> {
    let account = directory.account_by_key(key)?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    account.api_keys_sha256.iter().any(|k| bool::from(k.ct_eq(&digest))).then_some(account)
}

/// `PUT /api_auth`.
///
/// # Errors
///
/// 400 without `api_key`, 401 for a wrong one.
pub fn api_auth(
    tokens: &Tokens,
    directory: &Directory,
    data: &Value,
    now: Timestamp,
) -> Result<(Success, String), Fault> {
    let Some(key) = data["api_key"].as_str().filter(|k| !k.is_empty()) else {
        return Err(required(&["api_key"]));
    };
    let account = account_of_key(directory, key).ok_or_else(Fault::invalid_credentials)?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let token = tokens.issue(&account.id, &digest, None, now);
    Ok((Success::created(identity(account, None), token.clone()), token))
}

/// `PUT /user_auth`: hexadecimal MD5 or SHA-1 of `name:password`, with the account's name or realm.
///
/// # Errors
///
/// 400 without what is needed, 401 for what is wrong.
pub fn user_auth(
    tokens: &Tokens,
    directory: &Directory,
    data: &Value,
    now: Timestamp,
) -> Result<(Success, String), Fault> {
    let text = |key: &str| data[key].as_str().map(str::trim).filter(|s| !s.is_empty());
    let Some(credentials) = text("credentials") else {
        return Err(required(&["credentials"]));
    };
    let realm = text("account_realm").or_else(|| text("realm"));
    let name = text("account_name");
    if realm.is_none() && name.is_none() {
        return Err(required(&["account_name", "account_realm"]));
    }
    let plain =
        |s: &str| s.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect::<String>();
    let account = match realm {
        Some(realm) => directory.account_by_realm(realm),
        None => name.and_then(|name| directory.accounts().iter().find(|a| plain(&a.name) == plain(name))),
    };
    let account = account.ok_or_else(Fault::invalid_credentials)?;
    let sha = text("method").is_some_and(|m| m.eq_ignore_ascii_case("sha"));
    let given = Sha256::digest(credentials.to_ascii_lowercase().as_bytes());
    let user = account.users.iter().find(|user| {
        let stored = if sha { &user.credentials_sha1 } else { &user.credentials_md5 };
        stored
            .as_deref()
            .is_some_and(|s| Sha256::digest(s.to_ascii_lowercase().as_bytes()).ct_eq(&given).into())
    });
    let user = user.ok_or_else(Fault::invalid_credentials)?;
    let token = tokens.issue(&account.id, &user_digest(user), Some(&user.id), now);
    Ok((Success::created(identity(account, Some(user)), token.clone()), token))
}

fn user_digest(user: &User) -> [u8; 32] {
    let text = format!("{:?}{:?}{:?}", user.id, user.credentials_md5, user.credentials_sha1);
    Sha256::digest(text.as_bytes()).into()
}

fn identity(account: &Account, user: Option<&User>) -> Value {
    json!({
        "account_id": account.id.as_str(),
        "account_name": account.name,
        "owner_id": user.map(|u| u.id.as_str()),
        "apps": [],
        "language": "en-US",
        "is_reseller": false,
        "reseller_id": account.id.as_str(),
        "is_master_account": false,
        "cluster_id": "ferrofax",
        "capabilities": {},
    })
}

fn required(fields: &[&str]) -> Fault {
    let mut v = Validation::default();
    for field in fields {
        v.add(field, "required", json!({ "message": "Field is required but missing" }));
    }
    v.fault()
}

/// Lower-case hexadecimal.
#[must_use]
pub fn hex(octets: &[u8]) -> String {
    octets.iter().map(|o| format!("{o:02x}")).collect()
}
