//! Documents as objects in a bucket of an S3-compatible server: several nodes share them without a common folder.

use crate::model::DocumentKey;
use crate::port::{Documents, StoreError};
use async_trait::async_trait;
use bytes::Bytes;
use core::fmt;
use core::time::Duration;
use futures_util::TryStreamExt as _;
use object_store::aws::{AmazonS3, AmazonS3Builder, Checksum};
use object_store::path::Path;
use object_store::{BackoffConfig, ClientOptions, ObjectStore as _, ObjectStoreExt as _, RetryConfig};
use std::sync::Arc;
use std::time::SystemTime;

/// Where the bucket is and who we are there.
#[derive(Clone, PartialEq, Eq)]
pub struct BucketConfig {
    /// The bucket.
    pub bucket: String,
    /// `https://s3.example.net`; `None`: Amazon's in the region.
    pub endpoint: Option<String>,
    /// The region that requests are signed for.
    pub region: String,
    /// What names of objects begin with, without a slash at the end; may be empty.
    pub prefix: String,
    /// The key's id.
    pub access_key: String,
    /// The key.
    pub secret_key: String,
    /// The bucket is the first part of the path instead of the host.
    pub path_style: bool,
    /// Plain HTTP is allowed.
    pub allow_http: bool,
    /// How long one request may take.
    pub timeout: Duration,
    /// How long a request is repeated that failed for a passing reason: status 5xx, no answer, no connection.
    pub patience: Duration,
}

impl BucketConfig {
    /// A bucket of Amazon's.
    #[must_use]
    pub fn new(bucket: &str, region: &str, access_key: &str, secret_key: &str) -> Self {
        BucketConfig {
            bucket: bucket.into(),
            endpoint: None,
            region: region.into(),
            prefix: String::new(),
            access_key: access_key.into(),
            secret_key: secret_key.into(),
            path_style: false,
            allow_http: false,
            timeout: Duration::from_secs(30),
            patience: Duration::from_secs(60),
        }
    }
}

impl fmt::Debug for BucketConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BucketConfig")
            .field("bucket", &self.bucket)
            .field("endpoint", &self.endpoint)
            .field("region", &self.region)
            .field("prefix", &self.prefix)
            .field("access_key", &"…")
            .field("secret_key", &"…")
            .finish_non_exhaustive()
    }
}

/// Objects named `prefix/ef/…cdef`: the last two characters of the key come first, since servers divide a bucket by
/// the beginnings of names.
#[derive(Clone, Debug)]
pub struct BucketDocuments {
    store: Arc<AmazonS3>,
    prefix: Path,
}

/// What went wrong, with its innermost reason; a server's answer holds no secret of ours.
fn failed(error: object_store::Error) -> StoreError {
    match error {
        object_store::Error::NotFound { .. } => StoreError::NotFound,
        other => StoreError::Unavailable(format!("documents: {other}")),
    }
}

impl BucketDocuments {
    /// Documents in this bucket. Nothing is asked of the server yet: see [`BucketDocuments::probe`].
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`]: the settings do not fit together.
    pub fn open(config: &BucketConfig) -> Result<Self, StoreError> {
        let options = ClientOptions::new()
            .with_timeout(config.timeout)
            .with_connect_timeout(config.timeout.min(Duration::from_secs(5)))
            .with_allow_http(config.allow_http);
        let retry = RetryConfig {
            backoff: BackoffConfig {
                init_backoff: Duration::from_millis(200),
                max_backoff: Duration::from_secs(10),
                base: 2.0,
            },
            // Time is the limit.
            max_retries: 1000,
            retry_timeout: config.patience,
        };
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(&config.bucket)
            .with_region(&config.region)
            .with_access_key_id(&config.access_key)
            .with_secret_access_key(&config.secret_key)
            .with_virtual_hosted_style_request(!config.path_style)
            .with_allow_http(config.allow_http)
            // The server compares what it stored with what we sent.
            .with_checksum_algorithm(Checksum::SHA256)
            .with_disable_bulk_delete(true)
            .with_client_options(options)
            .with_retry(retry);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store = builder.build().map_err(failed)?;
        let prefix = Path::parse(&config.prefix)
            .map_err(|e| StoreError::Unavailable(format!("documents: prefix {:?}: {e}", config.prefix)))?;
        Ok(BucketDocuments { store: Arc::new(store), prefix })
    }

    /// Asks the server for the first object: whether it is there and takes our key.
    ///
    /// # Errors
    ///
    /// [`StoreError::Unavailable`] with what the server said.
    pub async fn probe(&self) -> Result<(), StoreError> {
        let mut first = self.store.list(Some(&self.prefix));
        first.try_next().await.map(|_| ()).map_err(failed)
    }

    fn name(&self, key: &DocumentKey) -> Result<Path, StoreError> {
        let text = key.as_str();
        let ours = text.len() == 32 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let shelf = text.get(30..).filter(|_| ours).ok_or(StoreError::NotFound)?;
        Ok(self.prefix.clone().join(shelf).join(text))
    }
}

#[async_trait]
impl Documents for BucketDocuments {
    async fn put(&self, octets: Bytes) -> Result<DocumentKey, StoreError> {
        let key = DocumentKey::generate();
        self.put_as(&key, octets).await?;
        Ok(key)
    }

    async fn put_as(&self, key: &DocumentKey, octets: Bytes) -> Result<(), StoreError> {
        // One request: an object is there whole or not at all, and a repetition does no harm.
        self.store.put(&self.name(key)?, octets.into()).await.map(|_| ()).map_err(failed)
    }

    async fn get(&self, key: &DocumentKey) -> Result<Bytes, StoreError> {
        self.store.get(&self.name(key)?).await.map_err(failed)?.bytes().await.map_err(failed)
    }

    async fn delete(&self, key: &DocumentKey) -> Result<(), StoreError> {
        match self.store.delete(&self.name(key)?).await.map_err(failed) {
            Err(StoreError::NotFound) => Ok(()),
            other => other,
        }
    }

    async fn older_than(&self, age: Duration, shelf: u8) -> Result<Vec<DocumentKey>, StoreError> {
        let mut objects = self.store.list(Some(&self.prefix.clone().join(format!("{shelf:02x}"))));
        let now = SystemTime::now();
        let mut found = Vec::new();
        while let Some(object) = objects.try_next().await.map_err(failed)? {
            let key = DocumentKey::new(object.location.filename().unwrap_or_default());
            let stored = SystemTime::from(object.last_modified);
            // The server's clock may be ahead of ours.
            let is_old = now.duration_since(stored).map_or(age.is_zero(), |passed| passed >= age);
            if is_old && self.name(&key).is_ok_and(|name| name == object.location) {
                found.push(key);
            }
        }
        Ok(found)
    }
}
