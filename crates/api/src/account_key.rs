//! `GET`, `PUT …/api_key`: the one key that KAZOO's clients know of an account. Only its digest is kept; it is shown again because it
//! follows from the secret that signs tokens.

use axum::http::Method;
use fax_store::model::{AccountId, Entry, EntryKind};
use fax_switch::Service;
use fax_switch::directory::entries::hidden;
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::auth::Tokens;
use crate::envelope::{Fault, Success};

/// What was drawn for a key, in [`Entry::hidden`].
const NONCE: &str = "nonce";

/// Shows the key, or makes a new one in place of the old.
///
/// # Errors
///
/// 404 for an account that is not there or has none yet; 409 for one that cannot be shown any more; 503.
pub async fn act(service: &Service, tokens: &Tokens, account: &str, verb: &Method) -> Result<Success, Fault> {
    let directory = service.directory();
    let of = AccountId::new(account);
    if directory.account(&of).is_none() {
        return Err(Fault::bad_identifier(account));
    }
    let digest = |key: &str| hex::encode(Sha256::digest(key.as_bytes()));
    let id = digest(&format!("api_key of {account}")).chars().take(32).collect::<String>();
    let old = directory.entry(EntryKind::Key, &id);
    if *verb == Method::PUT {
        let now = service.now();
        let mut entry = old.map_or_else(
            || Entry::new(EntryKind::Key, id, of.clone(), now),
            |old| Entry { modified: now, ..old.as_ref().clone() },
        );
        let nonce = uuid::Uuid::new_v4().simple().to_string();
        let key = tokens.account_key(&of, &nonce);
        entry.document.insert("name".into(), "api_key".into());
        entry.hidden.insert(hidden::DIGEST.into(), digest(&key).into());
        entry.hidden.insert(NONCE.into(), nonce.into());
        service.put_entries(vec![entry]).await.map_err(|e| Fault::of_service(&e, account))?;
        return Ok(Success::created(json!({ "api_key": key }), account));
    }
    let Some(entry) = old else {
        let message = "this account has no key of this kind yet: PUT makes one";
        return Err(Fault::new(axum::http::StatusCode::NOT_FOUND, "not_found", message));
    };
    let text = |key: &str| entry.hidden.get(key).and_then(|v| v.as_str()).unwrap_or_default();
    let key = tokens.account_key(&of, text(NONCE));
    if digest(&key) != text(hidden::DIGEST) {
        let message = "this key is valid but cannot be shown any more, since token_secret has changed (without one it is drawn at each start): PUT makes a new one";
        return Err(Fault::new(axum::http::StatusCode::CONFLICT, "datastore_conflict", message));
    }
    Ok(Success::ok(json!({ "api_key": key })))
}
