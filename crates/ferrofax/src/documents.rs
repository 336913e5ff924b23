//! Where documents are, as the configuration says, sealed or not.

use crate::config::{DocumentPlace, Place};
use anyhow::{Context, Result};
use fax_store::bucket::BucketDocuments;
use fax_store::folder::FolderDocuments;
use fax_store::sealed::{SealedDocuments, Seals};
use fax_store::{Documents, Store};
use std::sync::Arc;

/// The place as it is, without encryption.
pub(crate) async fn place(config: &DocumentPlace) -> Result<Arc<dyn Documents>> {
    Ok(match &config.place {
        Place::Folder(folder) => {
            let opened = FolderDocuments::open(folder);
            Arc::new(opened.with_context(|| format!("{} cannot hold documents", folder.display()))?)
        }
        Place::Bucket(bucket) => {
            let opened = BucketDocuments::open(bucket).context("[documents.s3] cannot be used")?;
            // A wrong key or bucket is told now and not with the first fax.
            let probed = opened.probe().await;
            probed
                .with_context(|| format!("the bucket {} of [documents.s3] cannot be used", bucket.bucket))?;
            Arc::new(opened)
        }
    })
}

/// Opens the place and the keys of the accounts: a master key that is missing or wrong is told here.
pub(crate) async fn open(config: &DocumentPlace, store: &Arc<dyn Store>) -> Result<Arc<dyn Documents>> {
    let place = place(config).await?;
    let seals = Seals::new(store.clone(), config.masters.clone());
    let renewed = seals.rewrap().await.context("encrypted documents cannot be read")?;
    if renewed > 0 {
        tracing::info!(accounts = renewed, "the keys of documents are wrapped by the new master key");
    }
    if config.masters.len() > 1 {
        tracing::info!("documents.old_master_key_files is not needed any more");
    }
    Ok(Arc::new(SealedDocuments::new(place, seals, config.encrypt)))
}
