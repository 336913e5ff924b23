//! Documents encrypted with a key per account.
//!
//! A random key of 256 bits per account (an [`EntryKind::Seal`] of the store) encrypts its documents; a master key, which
//! never lies beside them, wraps it. Without its entry an account's documents are noise, wherever copies of them are.
//!
//! A sealed document is the 16 octets of [`MAGIC`], the 16 of its key's id, the 19 of a random nonce, and then pieces of
//! 64 KiB, each with its tag, by XChaCha20-Poly1305 in the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár,
//! 2015): pieces cannot be changed, exchanged, left out or cut off. What is authenticated beside each piece is this head
//! and the document's key, so that one document cannot stand for another.

use crate::model::{AccountId, DocumentKey, Entry, EntryKind, Timestamp};
use crate::port::{Documents, Store, StoreError};
use aead_stream::{DecryptorBE32, EncryptorBE32};
use async_trait::async_trait;
use bytes::Bytes;
use chacha20poly1305::aead::{Aead as _, Generate as _, Payload};
use chacha20poly1305::{Key, KeyInit as _, XChaCha20Poly1305, XNonce};
use core::fmt;
use core::time::Duration;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::HashMap;
use std::sync::Arc;

/// What a sealed document begins with; the last octet counts the form.
pub const MAGIC: &[u8; 16] = b"ferrofax sealed\x01";
/// Octets of plain text in a piece.
const PIECE: usize = 64 << 10;
/// Octets of a piece's tag.
const TAG: usize = 16;
/// Octets of a nonce without the counter and the mark of the last piece.
const NONCE: usize = 19;
/// Magic, id of the key, nonce.
const HEAD: usize = 16 + 16 + NONCE;
/// Entries read in one request.
const BATCH: usize = 500;

/// A key that wraps the keys of accounts.
#[derive(Clone)]
pub struct MasterKey {
    id: String,
    cipher: XChaCha20Poly1305,
}

/// By their ids, which are digests of the keys.
impl PartialEq for MasterKey {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for MasterKey {}

impl fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MasterKey").field("id", &self.id).finish_non_exhaustive()
    }
}

impl MasterKey {
    /// The key that 64 hexadecimal characters are, as `openssl rand -hex 32` makes them; `None` for anything else.
    #[must_use]
    pub fn from_hex(text: &str) -> Option<Self> {
        let octets = hex::decode(text.trim()).ok().filter(|o| o.len() == 32)?;
        let digest = Sha256::new().chain_update(b"ferrofax master key").chain_update(&octets).finalize();
        let key = Key::try_from(octets.as_slice()).ok()?;
        let id = hex::encode(digest.get(..8)?);
        Some(MasterKey { id, cipher: XChaCha20Poly1305::new(&key) })
    }

    /// A name for it that may be shown.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// The keys of the accounts, as the store has them.
#[derive(Clone)]
pub struct Seals {
    store: Arc<dyn Store>,
    /// The first wraps; the others were used before.
    masters: Arc<Vec<MasterKey>>,
    known: Arc<tokio::sync::Mutex<Known>>,
}

impl fmt::Debug for Seals {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seals").field("masters", &self.masters).finish_non_exhaustive()
    }
}

#[derive(Default)]
struct Known {
    /// The last change of an entry that was looked at.
    change: u64,
    /// By id.
    seals: HashMap<String, Seal>,
}

struct Seal {
    entry: Entry,
    /// Unwrapped when it is needed first.
    cipher: Option<XChaCha20Poly1305>,
}

fn damaged(why: impl Into<String>) -> StoreError {
    StoreError::Damaged(why.into())
}

/// What is authenticated beside a wrapped key.
fn wrapping(entry_id: &str, account: &AccountId) -> Vec<u8> {
    format!("ferrofax account key\0{entry_id}\0{account}").into_bytes()
}

impl Seals {
    /// The keys in this store, wrapped by the first of these masters; those that others of them wrapped can be read, too.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, masters: Vec<MasterKey>) -> Self {
        Seals { store, masters: Arc::new(masters), known: Arc::default() }
    }

    fn hidden<'e>(entry: &'e Entry, key: &str) -> &'e str {
        entry.hidden.get(key).and_then(Value::as_str).unwrap_or_default()
    }

    /// The octets of the key of this entry.
    fn unwrap_key(&self, entry: &Entry) -> Result<Vec<u8>, StoreError> {
        let id = Self::hidden(entry, "master");
        let master = self.masters.iter().find(|m| m.id == id).ok_or_else(|| {
            StoreError::Unavailable(format!(
                "documents of account {} are encrypted under master key {id}, which is not there: give it as \
                 documents.master_key or among documents.old_master_key_files",
                entry.account
            ))
        })?;
        let wrapped = hex::decode(Self::hidden(entry, "wrapped")).unwrap_or_default();
        let split = wrapped.split_at_checked(24);
        let (nonce, sealed) = split.ok_or_else(|| damaged(format!("the key {} is cut off", entry.id)))?;
        let nonce = XNonce::try_from(nonce).map_err(|_| damaged("a nonce"))?;
        let aad = wrapping(&entry.id, &entry.account);
        let opened = master.cipher.decrypt(&nonce, Payload { msg: sealed, aad: &aad });
        opened.map_err(|_| damaged(format!("the key {} of account {} was changed", entry.id, entry.account)))
    }

    fn wrap(&self, entry: &mut Entry, key: &[u8]) -> Result<(), StoreError> {
        let master = self.masters.first().ok_or_else(|| {
            StoreError::Unavailable("documents are to be encrypted, and there is no master key".into())
        })?;
        let nonce = XNonce::generate();
        let aad = wrapping(&entry.id, &entry.account);
        let sealed = master.cipher.encrypt(&nonce, Payload { msg: key, aad: &aad });
        let mut wrapped = nonce.to_vec();
        wrapped.extend(sealed.map_err(|_| damaged("a key could not be wrapped"))?);
        entry.hidden.insert("wrapped".into(), hex::encode(&wrapped).into());
        entry.hidden.insert("master".into(), master.id.clone().into());
        Ok(())
    }

    /// Reads what changed since the last time: another node may have made or destroyed a key.
    async fn refresh(&self, known: &mut Known) -> Result<(), StoreError> {
        loop {
            let news = self.store.entries(known.change, BATCH).await?;
            let Some(last) = news.last().map(|e| e.change) else { return Ok(()) };
            known.change = last;
            for entry in news.into_iter().filter(|e| e.kind == EntryKind::Seal) {
                let id = entry.id.clone();
                if entry.deleted {
                    known.seals.remove(&id);
                } else {
                    known.seals.insert(id, Seal { entry, cipher: None });
                }
            }
        }
    }

    fn open(&self, seal: &mut Seal) -> Result<XChaCha20Poly1305, StoreError> {
        if let Some(cipher) = &seal.cipher {
            return Ok(cipher.clone());
        }
        let key = self.unwrap_key(&seal.entry)?;
        let key = Key::try_from(key.as_slice()).map_err(|_| damaged("a key of another length"))?;
        let cipher = XChaCha20Poly1305::new(&key);
        seal.cipher = Some(cipher.clone());
        Ok(cipher)
    }

    /// The key for new documents of an account, made if need be.
    async fn of_account(&self, account: &AccountId) -> Result<(String, XChaCha20Poly1305), StoreError> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known).await?;
        // Two nodes may have made one each at the same time: the older one serves.
        let own = known.seals.values().filter(|s| s.entry.account == *account);
        let first = own.min_by_key(|s| s.entry.change).map(|s| s.entry.id.clone());
        let id = match first {
            Some(id) => id,
            None => {
                let id = DocumentKey::generate().to_string();
                let mut entry = Entry::new(EntryKind::Seal, id.clone(), account.clone(), Timestamp::now());
                self.wrap(&mut entry, &Key::generate())?;
                self.store.put_entries(vec![entry]).await?;
                self.refresh(&mut known).await?;
                id
            }
        };
        let seal = known.seals.get_mut(&id).ok_or(StoreError::NotFound)?;
        Ok((id, self.open(seal)?))
    }

    /// The key with this id; `KeyDestroyed` for one that was.
    async fn by_id(&self, id: &str) -> Result<XChaCha20Poly1305, StoreError> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known).await?;
        let seal = known.seals.get_mut(id).ok_or(StoreError::KeyDestroyed)?;
        self.open(seal)
    }

    /// Wraps every key by the first master that another one wrapped, and says how many. To be called when the service
    /// starts: a master that is not there is told then, and not with the first document.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] that names the master that is not there, or of the store; [`StoreError::Damaged`].
    pub async fn rewrap(&self) -> Result<usize, StoreError> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known).await?;
        let mut changed = Vec::new();
        for seal in known.seals.values() {
            let key = self.unwrap_key(&seal.entry)?;
            if self.masters.first().is_some_and(|m| m.id != Self::hidden(&seal.entry, "master")) {
                let mut entry = seal.entry.clone();
                self.wrap(&mut entry, &key)?;
                changed.push(entry);
            }
        }
        let mut done = 0;
        for entry in changed {
            match self.store.put_entries(vec![entry]).await {
                Ok(_) => done += 1,
                // Another node was first.
                Err(StoreError::Refused(_)) => {}
                Err(e) => return Err(e),
            }
        }
        self.refresh(&mut known).await?;
        Ok(done)
    }

    /// Destroys the keys of an account: its documents cannot be read any more, by nobody and nowhere. Says how many there
    /// were. New documents get a new key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`].
    pub async fn destroy(&self, account: &AccountId) -> Result<usize, StoreError> {
        let mut known = self.known.lock().await;
        self.refresh(&mut known).await?;
        let own = known.seals.values().filter(|s| s.entry.account == *account);
        let marks: Vec<Entry> = own.map(|s| s.entry.removed(Timestamp::now())).collect();
        let count = marks.len();
        if count > 0 {
            self.store.put_entries(marks).await?;
        }
        self.refresh(&mut known).await?;
        Ok(count)
    }
}

/// Documents that are sealed before they go to another place. What lies there unsealed stays readable.
#[derive(Clone)]
pub struct SealedDocuments {
    inner: Arc<dyn Documents>,
    seals: Seals,
    /// New documents are sealed.
    sealing: bool,
}

impl fmt::Debug for SealedDocuments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedDocuments").field("sealing", &self.sealing).finish_non_exhaustive()
    }
}

/// What is authenticated beside every piece.
fn beside(head: &[u8], key: &DocumentKey) -> Vec<u8> {
    let mut aad = head.to_vec();
    aad.extend_from_slice(key.as_str().as_bytes());
    aad
}

fn seal(
    cipher: XChaCha20Poly1305,
    seal_id: &str,
    key: &DocumentKey,
    octets: &[u8],
) -> Result<Vec<u8>, StoreError> {
    let failed = || damaged("a document could not be sealed");
    let nonce: [u8; NONCE] = <[u8; NONCE]>::generate();
    let mut sealed = Vec::with_capacity(HEAD + octets.len() + (octets.len() / PIECE + 1) * TAG);
    sealed.extend_from_slice(MAGIC);
    sealed.extend(hex::decode(seal_id).ok().filter(|id| id.len() == 16).ok_or_else(failed)?);
    sealed.extend_from_slice(&nonce);
    let aad = beside(&sealed, key);
    let mut stream = EncryptorBE32::from_aead(cipher, &nonce.into());
    let mut rest = octets;
    while let Some((piece, after)) = rest.split_at_checked(PIECE).filter(|(_, after)| !after.is_empty()) {
        sealed.extend(stream.encrypt_next(Payload { msg: piece, aad: &aad }).map_err(|_| failed())?);
        rest = after;
    }
    sealed.extend(stream.encrypt_last(Payload { msg: rest, aad: &aad }).map_err(|_| failed())?);
    Ok(sealed)
}

fn unseal(cipher: XChaCha20Poly1305, key: &DocumentKey, sealed: &[u8]) -> Result<Vec<u8>, StoreError> {
    let changed = || damaged(format!("the document {key} was changed or cut off"));
    let (head, mut rest) = sealed.split_at_checked(HEAD).ok_or_else(changed)?;
    let aad = beside(head, key);
    let nonce: [u8; NONCE] = head.get(32..).and_then(|n| n.try_into().ok()).ok_or_else(changed)?;
    let mut stream = DecryptorBE32::from_aead(cipher, &nonce.into());
    let mut octets = Vec::with_capacity(rest.len());
    while let Some((piece, after)) = rest.split_at_checked(PIECE + TAG).filter(|(_, after)| !after.is_empty())
    {
        octets.extend(stream.decrypt_next(Payload { msg: piece, aad: &aad }).map_err(|_| changed())?);
        rest = after;
    }
    octets.extend(stream.decrypt_last(Payload { msg: rest, aad: &aad }).map_err(|_| changed())?);
    Ok(octets)
}

async fn blocking<T: Send + 'static>(
    f: impl FnOnce() -> Result<T, StoreError> + Send + 'static,
) -> Result<T, StoreError> {
    let done = tokio::task::spawn_blocking(f).await;
    done.map_err(|e| StoreError::Unavailable(e.to_string()))?
}

impl SealedDocuments {
    /// Documents in `inner`; new ones are sealed if `sealing` is true.
    #[must_use]
    pub fn new(inner: Arc<dyn Documents>, seals: Seals, sealing: bool) -> Self {
        SealedDocuments { inner, seals, sealing }
    }
}

#[async_trait]
impl Documents for SealedDocuments {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        // Nobody's documents have a key as well.
        self.put_for(&AccountId::default(), octets).await
    }

    async fn put_for(&self, account: &AccountId, octets: Bytes) -> Result<DocumentKey, StoreError> {
        if !self.sealing {
            return self.inner.put(octets).await;
        }
        let (id, cipher) = self.seals.of_account(account).await?;
        let key = DocumentKey::generate();
        let named = key.clone();
        let sealed = blocking(move || seal(cipher, &id, &named, &octets)).await?;
        self.inner.put_as(&key, sealed.into()).await?;
        Ok(key)
    }

    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        self.inner.put_as(key, octets).await
    }

    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError> {
        let octets = self.inner.get(key).await?;
        if !octets.starts_with(MAGIC) {
            return Ok(octets);
        }
        let id = octets.get(16..32).ok_or_else(|| damaged(format!("the document {key} is cut off")))?;
        let cipher = self.seals.by_id(&hex::encode(id)).await?;
        let key = key.clone();
        blocking(move || unseal(cipher, &key, &octets)).await.map(Bytes::from)
    }

    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        self.inner.delete(key).await
    }

    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        self.inner.older_than(age, shelf).await
    }
}
