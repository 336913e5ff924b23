//! Documents become fax pages in a child process of this very program.

use async_trait::async_trait;
use bytes::Bytes;
use fax_document::sandbox::Converter as Sandbox;
use fax_document::{FaxDocument, RenderOptions, sniff};
use fax_switch::port::{ConvertError, Converter};

/// The converter of the switch.
#[derive(Debug, Default)]
pub(crate) struct DocumentConverter {
    pub(crate) sandbox: Sandbox,
    pub(crate) options: RenderOptions,
}

#[async_trait]
impl Converter for DocumentConverter {
    async fn convert(
        &self,
        octets: Bytes,
        content_type: &str,
        file_name: Option<&str>,
        colour: bool,
    ) -> Result<FaxDocument, ConvertError> {
        let Some(format) = sniff(&octets, Some(content_type), file_name) else {
            let kind = if content_type.is_empty() { "unknown" } else { content_type };
            return Err(ConvertError::Document(format!(
                "Documents of the type {kind} cannot be faxed; send a PDF, TIFF, PNG or JPEG."
            )));
        };
        let options = RenderOptions { colour, ..self.options.clone() };
        self.sandbox.convert(octets, format, &options).await.map_err(|error| {
            if error.is_temporary() {
                ConvertError::House(error.to_string())
            } else {
                ConvertError::Document(error.to_string())
            }
        })
    }
}
