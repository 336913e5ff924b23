//! The documents inside a mail: MIME (RFC 2045 to 2049) walked depth first for the parts that can be faxed.
//!
//! Every usable part is faxed, in the mail's order; text bodies never are. A mail whose only body is the document counts
//! too, and so does a mail forwarded as an attachment.

#[path = "mime.rs"]
mod mime;

use bytes::Bytes;
use mail_parser::MessageParser;
use mime::{Bound, Leaf};

/// A document found in a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its type, as one of the known names.
    pub content_type: String,
    /// Its file name without folders, if it had one.
    pub file_name: Option<String>,
    /// The decoded document.
    pub octets: Bytes,
}

/// What a mail holds for a fax.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FaxMail {
    /// The Subject, decoded, at most 250 characters.
    pub subject: Option<String>,
    /// The Message-ID as it stands in the mail: who sends the mail again sends the same. Behind it what makes it another
    /// sending all the same (Resent-Message-ID or Resent-Date, RFC 5322 §3.6.6).
    pub message_id: Option<String>,
    /// The documents in the order of the mail, at least one.
    pub attachments: Vec<Attachment>,
    /// A program sent it (Auto-Submitted, RFC 3834 §5): it gets no answers.
    pub automatic: bool,
}

/// Why a mail holds nothing to fax. Displays as the text of the 554 reply.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MailFault {
    /// Not a readable MIME mail, or a document of it could not be decoded.
    #[error("Message decode failed")]
    Undecodable,
    /// No part of a type that can be faxed.
    #[error("no valid attachment")]
    NoAttachment,
    /// An Office document, which nobody here can draw.
    #[error("Office documents cannot be faxed; send a PDF")]
    Office,
    /// More documents than one mail may hold.
    #[error("too many attachments: at most {ATTACHMENT_LIMIT}")]
    TooMany,
    /// More parts than anybody means, text and pictures included.
    #[error("too many parts")]
    TooManyParts,
    /// Mails in mails in mails, or the same with multiparts.
    #[error("too deeply nested")]
    TooDeep,
    /// So many Received fields that it must be going round (RFC 5321 §6.3).
    #[error("too many hops")]
    Loop,
}

impl From<Bound> for MailFault {
    fn from(bound: Bound) -> Self {
        match bound {
            Bound::Depth => MailFault::TooDeep,
            Bound::Parts => MailFault::TooManyParts,
            Bound::Unreadable => MailFault::Undecodable,
        }
    }
}

/// More documents than this are refused: each becomes a fax of its own.
const ATTACHMENT_LIMIT: usize = 20;
/// More Received fields than this are a loop.
const HOP_LIMIT: usize = 100;
/// Longest Message-ID (RFC 5322 §2.1.1: a line), octets.
const ID_LIMIT: usize = 998;
/// So much of a Subject is looked at, octets.
const SUBJECT_LIMIT: usize = 4096;

/// Finds the documents of a mail.
///
/// # Errors
/// [`MailFault`] if there is none, or one cannot be decoded: nobody would be told that it was left out.
pub fn fax_mail(octets: &[u8]) -> Result<FaxMail, MailFault> {
    let (fields, _) = mime::split(octets);
    let hops = mime::fields(fields).filter(|(name, _)| name.eq_ignore_ascii_case(b"Received")).count();
    if hops > HOP_LIMIT {
        return Err(MailFault::Loop);
    }
    let text = |name| {
        let value = mime::field(fields, name).map(|v| String::from_utf8_lossy(v).trim().to_owned());
        value.filter(|v| !v.is_empty())
    };
    let automatic = text("Auto-Submitted")
        .is_some_and(|v| !v.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("no"));
    let message_id = text("Message-ID").filter(|id| id.len() <= ID_LIMIT).map(|id| {
        let resent = text("Resent-Message-ID").or_else(|| text("Resent-Date")).unwrap_or_default();
        format!("{id}{resent}")
    });
    let mut attachments = Vec::new();
    mime::walk(octets, &mut |leaf| {
        attachments.extend(usable(leaf)?);
        if attachments.len() > ATTACHMENT_LIMIT { Err(MailFault::TooMany) } else { Ok(()) }
    })?;
    if attachments.is_empty() {
        return Err(MailFault::NoAttachment);
    }
    Ok(FaxMail { subject: subject(fields), message_id, attachments, automatic })
}

/// The Subject, decoded (RFC 2047).
fn subject(fields: &[u8]) -> Option<String> {
    let value = mime::field(fields, "Subject")?;
    let value = value.get(..SUBJECT_LIMIT).unwrap_or(value).trim_ascii_end();
    let alone = [b"Subject:", value, b"\r\n\r\n"].concat();
    let alone = MessageParser::new().parse_headers(&alone)?;
    let subject: String = alone.subject()?.trim().chars().take(250).collect();
    (!subject.is_empty()).then_some(subject)
}

/// The part as a document, None if it is none.
fn usable(leaf: &Leaf<'_>) -> Result<Option<Attachment>, MailFault> {
    let file_name = leaf.name().and_then(base_name);
    let declared = leaf.content_type();
    let content_type = match declared.as_deref() {
        Some(
            "application/octet-stream"
            | "application/x-download"
            | "application/force-download"
            | "binary/octet-stream",
        )
        | None => file_name.as_deref().and_then(type_of_name),
        Some(declared) => known_type(declared),
    };
    let content_type = match content_type {
        Some(OFFICE) => return Err(MailFault::Office),
        // Without a mark that they stand on their own they are logos in signatures.
        Some("image/jpeg" | "image/png") if leaf.related || !leaf.is_attached() => return Ok(None),
        Some(content_type) => content_type,
        None => return Ok(None),
    };
    let octets = match leaf.octets() {
        Ok(octets) => octets.into_owned(),
        Err(octets) if looks_like(content_type, octets) => octets.to_vec(),
        Err(_) => return Err(MailFault::Undecodable),
    };
    if octets.is_empty() {
        return Err(MailFault::Undecodable);
    }
    Ok(Some(Attachment { content_type: content_type.to_owned(), file_name, octets: octets.into() }))
}

/// In the place of a type: one of Office, refused since nobody would be told that it was left out.
const OFFICE: &str = "office";

/// The type under its usual name if documents of that type are faxed.
fn known_type(declared: &str) -> Option<&'static str> {
    match declared {
        "application/pdf" | "application/x-pdf" | "text/pdf" | "application/acrobat" => {
            Some("application/pdf")
        }
        "image/tiff" | "image/tif" | "image/x-tif" | "image/x-tiff" | "application/tiff" => {
            Some("image/tiff")
        }
        "image/jpeg" | "image/jpg" | "image/pjpeg" => Some("image/jpeg"),
        "image/png" | "image/x-png" => Some("image/png"),
        "application/msword" | "application/vnd.ms-excel" | "application/vnd.ms-powerpoint" => Some(OFFICE),
        other => ["application/vnd.openxmlformats-officedocument.", "application/vnd.oasis.opendocument."]
            .iter()
            .any(|family| other.starts_with(family))
            .then_some(OFFICE),
    }
}

fn type_of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.trim().to_ascii_lowercase().as_str() {
        "pdf" => Some("application/pdf"),
        "tif" | "tiff" => Some("image/tiff"),
        "jpg" | "jpeg" => Some("image/jpeg"),
        "png" => Some("image/png"),
        "docx" | "xlsx" | "pptx" | "odt" | "ods" | "odp" | "doc" | "xls" | "ppt" => Some(OFFICE),
        _ => None,
    }
}

/// Whether octets begin as their type must (PDF's header may stand within the first 1024 octets).
fn looks_like(content_type: &str, octets: &[u8]) -> bool {
    match content_type {
        "application/pdf" => octets.get(..1024).unwrap_or(octets).windows(5).any(|w| w == b"%PDF-"),
        "image/tiff" => octets.starts_with(b"II*\0") || octets.starts_with(b"MM\0*"),
        "image/jpeg" => octets.starts_with(b"\xff\xd8\xff"),
        "image/png" => octets.starts_with(b"\x89PNG\r\n\x1a\n"),
        _ => false,
    }
}

/// The last component of a name, printable, at most 200 characters.
fn base_name(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let name: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
    let name = name.trim().trim_start_matches('.').to_owned();
    (!name.is_empty()).then_some(name)
}

#[cfg(test)]
#[path = "message_tests.rs"]
mod tests;
