//! The document of a request: a multipart part or the body itself, base64 undone.

use base64::Engine;
use base64::alphabet;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use bytes::Bytes;

use crate::envelope::Fault;
use crate::multipart::{self, Part};
use crate::request::{Envelope, Query, json_envelope};

/// Base64 with or without padding at its end.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &alphabet::STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A document that came with a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its octets.
    pub octets: Bytes,
    /// What it is said to be.
    pub content_type: String,
    /// Its name.
    pub file_name: Option<String>,
}

/// Whether a body of this type is a document by itself.
#[must_use]
pub fn is_document(media_type: &str) -> bool {
    matches!(
        media_type,
        "application/pdf"
            | "application/x-pdf"
            | "image/tiff"
            | "image/tif"
            | "image/x-tiff"
            | "image/x-tif"
            | "application/octet-stream"
    )
}

/// The body itself as the document.
#[must_use]
pub fn from_body(media_type: &str, body: &Bytes, query: &Query) -> Upload {
    let file_name = query.get("filename").filter(|n| !n.is_empty()).cloned();
    Upload { octets: body.clone(), content_type: plain_type(media_type), file_name }
}

/// Envelope and document of a multipart body: one JSON part, and of the other parts the last.
///
/// # Errors
///
/// 400 for a body that cannot be read, 413 for base64 that cannot.
pub fn from_multipart(content_type: &str, body: &Bytes, query: &Query) -> Result<Envelope, Fault> {
    let parts = multipart::parts(content_type, body).map_err(Fault::bad_json)?;
    let mut envelope: Option<Envelope> = None;
    let mut upload = None;
    for part in &parts {
        match part.media_type().as_deref() {
            Some("application/json" | "application/x-json" | "text/json") => {
                envelope = Some(json_envelope(&json(part)?)?)
            }
            // A field of a form without a type: JSON by its look, else a plain value that means nothing here.
            None | Some("text/plain") if part.file_name().is_none() && part.field_name().is_some() => {
                if part.body.trim_ascii_start().starts_with(b"{") {
                    envelope = Some(json_envelope(part.body)?);
                }
            }
            kind => upload = Some(decode(part, kind, body)?),
        }
    }
    let mut envelope = envelope.unwrap_or_default();
    if let Some(upload) = &mut upload {
        let named = query.get("filename").cloned().or_else(|| envelope.text("filename").map(str::to_owned));
        upload.file_name = named.filter(|n| !n.is_empty()).or(upload.file_name.take());
    }
    envelope.upload = upload;
    Ok(envelope)
}

fn json(part: &Part<'_>) -> Result<Vec<u8>, Fault> {
    if part.is_base64() { base64(part.body) } else { Ok(part.body.to_vec()) }
}

fn decode(part: &Part<'_>, kind: Option<&str>, body: &Bytes) -> Result<Upload, Fault> {
    let file_name = part.file_name();
    let said = kind.unwrap_or("application/octet-stream");
    // `data:<type>;base64,…` gives the true type (Content-Type application/base64).
    if let Some((meta, content)) = data_url(part.body) {
        let true_type = multipart::media_type(&meta);
        let content_type = plain_type(if true_type.is_empty() { said } else { &true_type });
        return Ok(Upload { octets: base64(content)?.into(), content_type, file_name });
    }
    if part.is_base64() || matches!(said, "application/base64" | "application/x-base64") {
        let content_type =
            plain_type(if said.ends_with("base64") { "application/octet-stream" } else { said });
        return Ok(Upload { octets: base64(part.body)?.into(), content_type, file_name });
    }
    Ok(Upload { octets: body.slice_ref(part.body), content_type: plain_type(said), file_name })
}

/// The parts of a `data:` URL with base64 (RFC 2397): what stands before `;base64`, and the content.
fn data_url(octets: &[u8]) -> Option<(String, &[u8])> {
    let rest = octets.trim_ascii_start().strip_prefix(b"data:")?;
    let comma = rest.iter().take(300).position(|&o| o == b',')?;
    let (meta, content) = rest.split_at(comma);
    let meta = std::str::from_utf8(meta).ok()?;
    let meta = meta.strip_suffix(";base64")?;
    Some((meta.to_owned(), content.get(1..)?))
}

fn base64(octets: &[u8]) -> Result<Vec<u8>, Fault> {
    let kept: Vec<u8> = octets.iter().copied().filter(|o| !o.is_ascii_whitespace()).collect();
    BASE64.decode(kept).map_err(|_| Fault::bad_encoding())
}

/// The usual name of a type.
fn plain_type(said: &str) -> String {
    match said {
        "application/x-pdf" | "text/pdf" => "application/pdf",
        "image/tif" | "image/x-tif" | "image/x-tiff" => "image/tiff",
        other => other,
    }
    .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(document: &str) -> Result<Envelope, Fault> {
        let body = format!(
            "--b\r\nContent-Type: application/json\r\n\r\n{{\"data\":{{\"to_number\":\"1\"}}}}\r\n\r\n--b\r\n{document}\r\n\r\n--b--\r\n"
        );
        from_multipart("multipart/mixed; boundary=b", &Bytes::from(body), &Query::new())
    }

    #[test]
    fn every_way_to_write_base64_gives_the_document() {
        for document in [
            "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\nJVBE\r\nRi0=",
            "Content-Type: application/base64\r\n\r\ndata:application/pdf;base64,JVBERi0=",
            "Content-Type: application/x-base64\r\n\r\ndata:application/pdf;base64,JVBERi0",
            "Content-Type: application/x-pdf\r\nContent-Transfer-Encoding: base64\r\n\r\ndata:application/pdf;base64,JVBERi0=",
        ] {
            let envelope = read(document).unwrap();
            let upload = envelope.upload.unwrap();
            assert_eq!(
                (&upload.octets[..], upload.content_type.as_str()),
                (&b"%PDF-"[..], "application/pdf"),
                "{document}"
            );
            assert_eq!(envelope.data["to_number"], "1");
        }
        let fault = read("Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n*****")
            .unwrap_err();
        assert_eq!(fault.status.as_u16(), 413);
        assert!(fault.data["file"]["encoding"].is_object());
    }

    #[test]
    fn the_last_of_several_documents_wins() {
        let two = "Content-Type: application/pdf\r\n\r\none\r\n--b\r\nContent-Type: image/tiff\r\nContent-Disposition: attachment; filename=\"x/two.tif\"\r\n\r\ntwo";
        let upload = read(two).unwrap().upload.unwrap();
        assert_eq!(
            (upload.content_type.as_str(), upload.file_name.as_deref()),
            ("image/tiff", Some("two.tif"))
        );
        assert_eq!(&upload.octets[..], b"two\r\n");
    }
}
