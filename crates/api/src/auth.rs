//! Whose a request is: API keys, and tokens that stand for them for a while (JWT, RFC 7519, HS256 by RFC 2104).
//!
//! An API key itself is a valid token. `PUT /v2/api_auth` and `PUT /v2/user_auth` answer a signed token with a life of
//! [`TOKEN_LIFE`]; nothing is kept in memory for it, and it ends early when its key is taken from the account. The signing
//! secret is drawn at start unless it is configured; nodes that share it accept each other's tokens.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use fax_store::model::{AccountId, FaxboxId, Timestamp};
use fax_switch::{Account, Directory, Key, User};
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;

use crate::envelope::{Fault, Success, Validation};
use crate::password;
use crate::restrictions::Restrictions;
use crate::route::{Resource, Right, Route, Scope};

/// How long a token is valid.
pub const TOKEN_LIFE: Duration = Duration::from_secs(3600);

/// Longest token, octets: one with the longest restrictions is not as long.
const LONGEST: usize = 8192;

/// The first part of each token: `{"alg":"HS256","typ":"JWT"}`.
const HEAD: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";

/// Whether a credential that opens nothing may be somebody's guess. Tokens are not guessed, since nobody hits their signature: one
/// that opens nothing has ended, or is from before a restart that drew another secret.
#[must_use]
pub fn is_guess(token: &str) -> bool {
    token.strip_prefix(HEAD).is_none_or(|rest| !rest.starts_with('.'))
}

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
        self.issue_for(account, credential, owner, &Restrictions::default(), now)
    }

    /// The same for what `only` allows.
    #[must_use]
    pub fn issue_for(
        &self,
        account: &AccountId,
        credential: &[u8; 32],
        owner: Option<&str>,
        only: &Restrictions,
        now: Timestamp,
    ) -> String {
        let claims = json!({
            "rst": only.as_json(),
            "iss": "ferrofax",
            "account_id": account.as_str(),
            "owner_id": owner,
            "iat": now.unix_seconds(),
            "exp": now.plus(TOKEN_LIFE).unix_seconds(),
            "jti": uuid::Uuid::new_v4().simple().to_string(),
            "crd": hex::encode(&credential[..8]),
        });
        let signed = format!("{HEAD}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let signature = URL_SAFE_NO_PAD.encode(self.mac(&signed).finalize().into_bytes());
        format!("{signed}.{signature}")
    }

    /// Whose a token or API key is.
    ///
    /// # Errors
    ///
    /// 401 for what is neither, or has ended.
    pub fn check(&self, directory: &Directory, token: &str, now: Timestamp) -> Result<Caller, Fault> {
        if token.len() > LONGEST {
            return Err(Fault::invalid_credentials());
        }
        let caller = match valid_key(directory, token, now) {
            Some(key) => Some(Caller::of_key(key)),
            None => self.claims(directory, token, now),
        };
        let caller = caller.ok_or_else(Fault::invalid_credentials)?;
        // An account that is shut, or lies below one that is, lets nobody in.
        let shut = directory.line_of(&caller.account).any(|a| a.disabled);
        if shut { Err(Fault::invalid_credentials()) } else { Ok(caller) }
    }

    /// The key of an account that follows from the secret and `nonce`, which is drawn for it: so it can be shown again without
    /// being kept.
    #[must_use]
    pub fn account_key(&self, account: &AccountId, nonce: &str) -> String {
        // No token begins so: a JWT's first octet is `e`.
        hex::encode(self.mac(&format!("api_key\0{account}\0{nonce}")).finalize().into_bytes())
    }

    /// HMAC-SHA-256 over what is signed.
    fn mac(&self, signed: &str) -> Hmac<Sha256> {
        self.keyed.clone().chain_update(signed.as_bytes())
    }

    fn claims(&self, directory: &Directory, token: &str, now: Timestamp) -> Option<Caller> {
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(signed).verify_slice(&signature).ok()?;
        let claims: Value =
            serde_json::from_slice(&URL_SAFE_NO_PAD.decode(signed.split_once('.')?.1).ok()?).ok()?;
        if claims["exp"].as_i64()? <= now.unix_seconds() {
            return None;
        }
        let id = AccountId::new(claims["account_id"].as_str()?);
        directory.account(&id)?;
        let credential = claims["crd"].as_str()?;
        let only = Restrictions::of_claim(&claims["rst"])?;
        let caller = match claims["owner_id"].as_str() {
            None => {
                let mut keys = directory.keys_of(&id).filter(|k| is_valid(k, now));
                keys.find(|k| hex::encode(&k.digest[..8]) == credential).map(Caller::of_key)
            }
            Some(owner) => {
                let user = directory.user(&id, owner).filter(|u| !u.disabled)?;
                (hex::encode(&user_digest(user)[..8]) == credential).then(|| Caller {
                    account: id,
                    who: format!("user:{}", user.id),
                    user: Some(user.id.clone()),
                    admin: user.admin,
                    scopes: Vec::new(),
                    only: Restrictions::default(),
                })
            }
        };
        caller.map(|caller| Caller { only, ..caller })
    }
}

/// Who asks, and what he may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Caller {
    /// His account.
    pub account: AccountId,
    /// His key or himself, for the audit log: `key:…`, `user:…`.
    pub who: String,
    /// The user, if he is one.
    pub user: Option<String>,
    /// He may do everything in his account, as far as the scopes go.
    pub admin: bool,
    /// What his key is for; empty: everything.
    pub scopes: Vec<String>,
    /// What his token is for.
    pub only: Restrictions,
}

impl Caller {
    fn of_key(key: &Key) -> Self {
        Caller {
            account: key.account.clone(),
            who: format!("key:{}", key.id),
            user: None,
            admin: true,
            scopes: key.scopes.clone(),
            only: Restrictions::default(),
        }
    }

    /// Whether this may be done there: the account is the caller's or lies below it, the key is for it, and a user
    /// who is no administrator stays with what is his own.
    ///
    /// # Errors
    ///
    /// 403.
    pub fn may(&self, directory: &Directory, route: &Route, right: Right) -> Result<(), Fault> {
        if right == Right::Token {
            return Ok(());
        }
        let in_scope = self.scopes.is_empty()
            || right.scope().is_none_or(|scope| self.scopes.iter().any(|own| own == scope));
        let account = route.account().map_or_else(|| self.account.clone(), AccountId::new);
        // Faxes are seen from the account and from above only, never by an operator who is not above.
        let set_up = matches!(right, Right::ReadSetup | Right::WriteSetup | Right::Access | Right::ReadAudit);
        let reaches = directory.is_within(&account, &self.account) || (set_up && self.operates(directory));
        if in_scope && reaches && (self.admin || self.owns(directory, route, right)) {
            Ok(())
        } else {
            Err(Fault::forbidden())
        }
    }

    /// Whether what a user without further rights asks for is his own.
    fn owns(&self, directory: &Directory, route: &Route, right: Right) -> bool {
        if route.account() != Some(self.account.as_str()) {
            return false;
        }
        let myself = |user: &Option<String>| user.is_some() && *user == self.user;
        let box_of_mine = |id: &str| {
            let found = directory.faxbox(&FaxboxId::new(id)).filter(|f| f.account == self.account);
            found.is_some_and(|f| myself(&f.owner))
        };
        let Scope { faxbox, user, .. } = &route.scope;
        let below_me = user.is_none() || myself(user);
        match (right, route.resource) {
            (Right::ReadSetup, Resource::Account) => true,
            (Right::ReadSetup, Resource::User) => myself(&Some(route.id.clone())),
            (Right::ReadSetup, Resource::Faxboxes) => myself(user),
            (Right::ReadSetup, Resource::Faxbox) => below_me && box_of_mine(&route.id),
            (Right::ReadFaxes | Right::WriteFaxes, _) => match faxbox {
                Some(id) => below_me && box_of_mine(id),
                None => right == Right::ReadFaxes && myself(user),
            },
            _ => false,
        }
    }

    /// Whether his account is the operator's.
    #[must_use]
    pub fn operates(&self, directory: &Directory) -> bool {
        directory.account(&self.account).is_some_and(|a| a.operator)
    }

    /// Whether he comes from above an account, or is the operator.
    #[must_use]
    pub fn is_above(&self, directory: &Directory, account: &AccountId) -> bool {
        let above = self.account != *account && directory.is_within(account, &self.account);
        above || self.operates(directory)
    }
}

fn is_valid(key: &Key, now: Timestamp) -> bool {
    key.expires.is_none_or(|end| end > now)
}

/// The key that this is. Only digests are compared, in constant time.
fn valid_key<'d>(directory: &'d Directory, key: &str, now: Timestamp) -> Option<&'d Key> {
    let found = directory.key(key)?;
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    (bool::from(found.digest.ct_eq(&digest)) && is_valid(found, now)).then_some(found)
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
    let only = Restrictions::of_request(&data["restrictions"])?;
    let known = valid_key(directory, key, now).ok_or_else(Fault::invalid_credentials)?;
    let account = directory.account(&known.account).ok_or_else(Fault::invalid_credentials)?;
    if directory.line_of(&account.id).any(|a| a.disabled) {
        return Err(disabled());
    }
    let digest: [u8; 32] = Sha256::digest(key.as_bytes()).into();
    let token = tokens.issue_for(&account.id, &digest, None, &only, now);
    Ok((Success::created(identity(account, None), token.clone()), token))
}

/// `PUT /user_auth`: hexadecimal MD5 or SHA-1 of `name:password`, with the account's name or realm.
///
/// # Errors
///
/// 400 without what is needed, 401 for what is wrong.
pub async fn user_auth(
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
    let account = match (realm, name) {
        (Some(realm), _) => directory.account_by_realm(realm),
        (None, Some(name)) => directory.account_by_name(name),
        (None, None) => None,
    };
    let only = Restrictions::of_request(&data["restrictions"])?;
    let sha = text("method").is_some_and(|m| m.eq_ignore_ascii_case("sha"));
    // Without an account it takes as long as with one.
    let salt = account.map_or_else(AccountId::default, |a| a.id.clone());
    let given = password::stretch(&salt, credentials).await?;
    let user = account
        .and_then(|a| directory.users_of(&a.id).find(|u| password::fits(u.password.as_ref(), &given, sha)));
    let (Some(account), Some(user)) = (account, user) else {
        return Err(Fault::invalid_credentials());
    };
    if user.disabled || directory.line_of(&account.id).any(|a| a.disabled) {
        return Err(disabled());
    }
    let token = tokens.issue_for(&account.id, &user_digest(user), Some(&user.id), &only, now);
    Ok((Success::created(identity(account, Some(user)), token.clone()), token))
}

fn disabled() -> Fault {
    let mut v = Validation::default();
    v.add("account", "disabled", json!({ "message": "account is disabled" }));
    v.fault()
}

fn user_digest(user: &User) -> [u8; 32] {
    let kept = user.password.as_ref().map(|p| (p.md5.as_str(), p.sha1.as_str()));
    Sha256::digest(format!("{:?}{kept:?}", user.id).as_bytes()).into()
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
