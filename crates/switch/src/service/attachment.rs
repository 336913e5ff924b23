//! Documents of faxes in the format that is asked for.

use super::{Service, ServiceError};
use bytes::Bytes;
use fax_document::{FaxDocument, PdfInfo, to_pdf};
use fax_store::model::{AccountId, DocumentKey, FaxId, JobId, Source};

/// Of which fax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Which {
    /// One that is or was sent.
    Job(JobId),
    /// One that was received.
    Fax(FaxId),
}

/// In which format.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Format {
    /// PDF of the fax pages.
    Pdf,
    /// TIFF-F: the fax pages.
    Tiff,
    /// As it was handed in; of a received fax the TIFF-F.
    Original,
}

/// A document of a fax.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Attachment {
    /// Its type.
    pub content_type: String,
    /// A name for it.
    pub file_name: String,
    /// The document.
    pub octets: Bytes,
}

impl Service {
    /// The document of a fax of this account.
    ///
    /// # Errors
    ///
    /// [`ServiceError::NotFound`]; [`ServiceError::KeyDestroyed`]; [`ServiceError::NoDocument`] before conversion, of a reception
    /// without a page, or the original of a fax that has none: it was fetched and not kept, or removed since.
    pub async fn attachment(
        &self,
        account: &AccountId,
        which: &Which,
        format: Format,
    ) -> Result<Attachment, ServiceError> {
        let (id, tiff) = match which {
            Which::Job(id) => {
                let job = self.job(account, id).await?;
                if format == Format::Original {
                    return self.original(&job.source, id).await;
                }
                (id.as_str().to_owned(), job.document)
            }
            Which::Fax(id) => (id.as_str().to_owned(), self.fax(account, id).await?.document),
        };
        let octets = match (tiff, which) {
            (Some(key), _) => self.document(&key).await?,
            (None, Which::Job(id)) => self.pages_again(account, id).await?,
            (None, Which::Fax(_)) => return Err(ServiceError::NoDocument),
        };
        match format {
            Format::Tiff | Format::Original => {
                Ok(Attachment { content_type: "image/tiff".into(), file_name: format!("{id}.tiff"), octets })
            }
            Format::Pdf => {
                let made = tokio::task::spawn_blocking(move || {
                    FaxDocument::from_tiff(&octets).map(|d| to_pdf(&d, &PdfInfo::default()))
                });
                let pdf = made
                    .await
                    .map_err(|e| ServiceError::Unavailable(e.to_string()))?
                    .map_err(|e| ServiceError::Unavailable(e.to_string()))?;
                Ok(Attachment {
                    content_type: "application/pdf".into(),
                    file_name: format!("{id}.pdf"),
                    octets: pdf.into(),
                })
            }
        }
    }

    /// The fax pages of a job that is done with, made again from what was handed in: they were not to be kept.
    async fn pages_again(&self, account: &AccountId, id: &JobId) -> Result<Bytes, ServiceError> {
        let job = self.job(account, id).await?;
        let stored = job.source.stored().filter(|_| job.state.is_final() && job.pages > 0);
        let (original, content_type, file_name) = stored.ok_or(ServiceError::NoDocument)?;
        let octets = self.document(original).await?;
        let converter = &self.inner.ports.converter;
        let made = converter.convert(octets, content_type, file_name, job.colour).await;
        let document = made.map_err(|e| ServiceError::Unavailable(e.to_string()))?;
        let tiff = tokio::task::spawn_blocking(move || document.to_stored_tiff()).await;
        tiff.map(Bytes::from).map_err(|e| ServiceError::Unavailable(e.to_string()))
    }

    async fn original(&self, source: &Source, id: &JobId) -> Result<Attachment, ServiceError> {
        let (original, content_type, file_name) = source.stored().ok_or(ServiceError::NoDocument)?;
        Ok(Attachment {
            octets: self.document(original).await?,
            file_name: file_name.map_or_else(|| id.to_string(), str::to_owned),
            content_type: content_type.to_owned(),
        })
    }

    async fn document(&self, key: &DocumentKey) -> Result<Bytes, ServiceError> {
        let got = self.inner.ports.documents.get(key).await;
        got.map_err(|e| match e {
            fax_store::StoreError::NotFound => ServiceError::NoDocument,
            other => other.into(),
        })
    }
}
