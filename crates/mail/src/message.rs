//! The documents inside a mail: MIME (RFC 2045 to 2049) walked depth first for the parts that can be faxed.
//!
//! Every usable part is faxed, in the mail's order; text bodies never are. A mail whose only body is the document counts
//! too, and so does a mail forwarded as an attachment.

use bytes::Bytes;
use mail_parser::{Message, MessageParser, MessagePart, MimeHeaders, PartType};

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
    /// More documents than one mail may hold.
    #[error("too many attachments: at most {ATTACHMENT_LIMIT}")]
    TooMany,
    /// So many Received fields that it must be going round (RFC 5321 §6.3).
    #[error("too many hops")]
    Loop,
}

/// Nested mails are looked into this deep.
const DEPTH_LIMIT: usize = 4;
/// More documents than this are refused: each becomes a fax of its own.
const ATTACHMENT_LIMIT: usize = 20;
/// More Received fields than this are a loop.
const HOP_LIMIT: usize = 100;

/// Finds the documents of a mail.
///
/// # Errors
/// [`MailFault`] if there is none, or one cannot be decoded: nobody would be told that it was left out.
pub fn fax_mail(octets: &[u8]) -> Result<FaxMail, MailFault> {
    let message = MessageParser::new().parse(octets).ok_or(MailFault::Undecodable)?;
    let subject =
        message.subject().map(|s| s.trim().chars().take(250).collect::<String>()).filter(|s| !s.is_empty());
    if message.header_values("Received").count() > HOP_LIMIT {
        return Err(MailFault::Loop);
    }
    let submitted = message.header_raw("Auto-Submitted").map(|v| v.trim().to_ascii_lowercase());
    let automatic = submitted.is_some_and(|v| v.split(';').next().unwrap_or_default().trim() != "no");
    let mut attachments = Vec::new();
    let mut broken = false;
    walk(&message, DEPTH_LIMIT, &mut |part| match usable(part) {
        Some(Ok(attachment)) => attachments.push(attachment),
        Some(Err(())) => broken = true,
        None => {}
    });
    match attachments.len() {
        _ if broken => Err(MailFault::Undecodable),
        0 => Err(MailFault::NoAttachment),
        1..=ATTACHMENT_LIMIT => Ok(FaxMail { subject, attachments, automatic }),
        _ => Err(MailFault::TooMany),
    }
}

/// Visits every leaf part in the order of the mail, nested mails included.
fn walk<'m>(message: &'m Message<'m>, depth: usize, visit: &mut dyn FnMut(&'m MessagePart<'m>)) {
    // mail-parser lists parts depth first, so the list's order is the mail's order.
    for part in &message.parts {
        match &part.body {
            PartType::Message(inner) if depth > 0 => walk(inner, depth - 1, visit),
            PartType::Message(_) | PartType::Multipart(_) => {}
            _ => visit(part),
        }
    }
}

/// The part as an attachment, an error if it should be one but is broken, None if it is none.
fn usable(part: &MessagePart<'_>) -> Option<Result<Attachment, ()>> {
    let declared = part.content_type().map(|t| match t.subtype() {
        Some(subtype) => format!("{}/{}", t.ctype(), subtype).to_ascii_lowercase(),
        None => t.ctype().to_ascii_lowercase(),
    });
    let file_name = part.attachment_name().and_then(base_name);
    let content_type = match declared.as_deref() {
        Some(
            "application/octet-stream"
            | "application/x-download"
            | "application/force-download"
            | "binary/octet-stream",
        )
        | None => type_of_name(file_name.as_deref()?)?,
        Some(declared) => known_type(declared)?,
    };
    let octets = part.contents();
    if octets.is_empty() || (part.is_encoding_problem && !looks_like(content_type, octets)) {
        return Some(Err(()));
    }
    Some(Ok(Attachment {
        content_type: content_type.to_owned(),
        file_name,
        octets: Bytes::copy_from_slice(octets),
    }))
}

const OFFICE: [(&str, &str); 9] = [
    ("docx", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
    ("xlsx", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
    ("pptx", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
    ("odt", "application/vnd.oasis.opendocument.text"),
    ("ods", "application/vnd.oasis.opendocument.spreadsheet"),
    ("odp", "application/vnd.oasis.opendocument.presentation"),
    ("doc", "application/msword"),
    ("xls", "application/vnd.ms-excel"),
    ("ppt", "application/vnd.ms-powerpoint"),
];

/// The type under its usual name if documents of that type are faxed. Pictures other than TIFF are not: most are
/// logos in signatures.
fn known_type(declared: &str) -> Option<&'static str> {
    match declared {
        "application/pdf" | "application/x-pdf" | "text/pdf" | "application/acrobat" => {
            Some("application/pdf")
        }
        "image/tiff" | "image/tif" | "image/x-tif" | "image/x-tiff" | "application/tiff" => {
            Some("image/tiff")
        }
        _ => OFFICE.iter().find(|(_, t)| *t == declared).map(|(_, t)| *t),
    }
}

fn type_of_name(name: &str) -> Option<&'static str> {
    let (_, extension) = name.rsplit_once('.')?;
    let extension = extension.trim().to_ascii_lowercase();
    match extension.as_str() {
        "pdf" => Some("application/pdf"),
        "tif" | "tiff" => Some("image/tiff"),
        _ => OFFICE.iter().find(|(e, _)| *e == extension).map(|(_, t)| *t),
    }
}

/// Whether octets begin as their type must (PDF's header may stand within the first 1024 octets).
fn looks_like(content_type: &str, octets: &[u8]) -> bool {
    match content_type {
        "application/pdf" => octets.get(..1024).unwrap_or(octets).windows(5).any(|w| w == b"%PDF-"),
        "image/tiff" => octets.starts_with(b"II*\0") || octets.starts_with(b"MM\0*"),
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
mod tests {
    use super::*;

    const PDF: &str = "JVBERi0xLjQKJSVFT0YK"; // "%PDF-1.4\n%%EOF\n"

    fn multipart(parts: &[&str]) -> Vec<u8> {
        let mut mail = "From: a@b\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=XX\r\n\r\n".to_owned();
        for part in parts {
            mail += &format!("--XX\r\n{part}\r\n");
        }
        (mail + "--XX--\r\n").into_bytes()
    }

    fn pdf_part(kind: &str, name: &str) -> String {
        format!(
            "Content-Type: {kind}\r\nContent-Transfer-Encoding: base64\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n{PDF}\r\n"
        )
    }

    #[test]
    fn every_usable_part_is_faxed_in_order() {
        let text = "Content-Type: text/plain\r\n\r\nhello\r\n";
        let logo =
            "Content-Type: image/png; name=logo.png\r\nContent-Transfer-Encoding: base64\r\n\r\niVBORw0K\r\n";
        let mail = multipart(&[
            text,
            &pdf_part("application/pdf", "one.pdf"),
            &pdf_part("application/x-pdf", "C:\\\\x\\\\two.pdf"),
            logo,
        ]);
        let fax = fax_mail(&mail).unwrap();
        assert_eq!(fax.subject.as_deref(), Some("Grüße"));
        let names: Vec<_> = fax.attachments.iter().map(|a| a.file_name.as_deref()).collect();
        assert_eq!(names, [Some("one.pdf"), Some("two.pdf")]);
        for attachment in &fax.attachments {
            assert_eq!(attachment.content_type, "application/pdf");
            assert_eq!(&attachment.octets[..], b"%PDF-1.4\n%%EOF\n");
        }
    }

    #[test]
    fn octet_stream_goes_by_its_name() {
        let named = |name: &str| fax_mail(&multipart(&[&pdf_part("application/octet-stream", name)]));
        assert_eq!(named("Letter.PDF").unwrap().attachments[0].content_type, "application/pdf");
        assert_eq!(named("scan.tif").unwrap().attachments[0].content_type, "image/tiff");
        assert_eq!(named("letter.docx").unwrap().attachments[0].content_type, OFFICE[0].1);
        assert_eq!(named("virus.exe"), Err(MailFault::NoAttachment));
        assert_eq!(named("noextension"), Err(MailFault::NoAttachment));
    }

    #[test]
    fn a_mail_that_is_nothing_but_a_pdf_is_taken() {
        let mail = format!(
            "From: a@b\r\nMIME-Version: 1.0\r\nContent-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n{PDF}\r\n"
        );
        let fax = fax_mail(mail.as_bytes()).unwrap();
        assert_eq!((&fax.attachments[0].octets[..], fax.subject), (&b"%PDF-1.4\n%%EOF\n"[..], None));
    }

    #[test]
    fn nested_multiparts_and_forwarded_mails_are_looked_into() {
        let inner = format!(
            "Content-Type: multipart/alternative; boundary=YY\r\n\r\n--YY\r\nContent-Type: text/plain\r\n\r\nx\r\n--YY\r\n{}\r\n--YY--\r\n",
            pdf_part("application/pdf", "in.pdf")
        );
        assert!(fax_mail(&multipart(&[&inner])).is_ok());
        let forwarded = format!(
            "Content-Type: message/rfc822\r\n\r\nFrom: c@d\r\nContent-Type: multipart/mixed; boundary=YY\r\n\r\n--YY\r\n{}\r\n--YY--\r\n",
            pdf_part("application/pdf", "fw.pdf")
        );
        assert_eq!(
            fax_mail(&multipart(&[&forwarded])).unwrap().attachments[0].file_name.as_deref(),
            Some("fw.pdf")
        );
    }

    #[test]
    fn mails_of_programs_and_mails_that_go_round_are_known() {
        let part = pdf_part("application/pdf", "a.pdf");
        let with = |field: &str| fax_mail(&[field.as_bytes(), &multipart(&[&part])].concat());
        assert!(!with("").unwrap().automatic);
        assert!(!with("Auto-Submitted: no\r\n").unwrap().automatic);
        assert!(with("Auto-Submitted: auto-generated; x=y\r\n").unwrap().automatic);
        let hops = "Received: from a by b; Sat, 21 Nov 2026 00:00:00 +0000\r\n";
        assert!(with(&hops.repeat(20)).is_ok());
        assert_eq!(with(&hops.repeat(101)), Err(MailFault::Loop));
    }

    #[test]
    fn nothing_to_fax_is_said() {
        assert_eq!(fax_mail(b"Subject: hi\r\n\r\njust text\r\n"), Err(MailFault::NoAttachment));
        assert_eq!(fax_mail(&multipart(&[])), Err(MailFault::NoAttachment));
        assert!(fax_mail(b"").is_err());
        assert!(fax_mail(b"\0\xff\r\n").is_err());
        let broken = "Content-Type: application/pdf\r\nContent-Transfer-Encoding: base64\r\n\r\n%%%%not base64%%%%\r\n";
        assert!(fax_mail(&multipart(&[broken])).is_err());
        // One that would be lost beside a good one, and more than anybody means.
        let good = pdf_part("application/pdf", "a.pdf");
        assert_eq!(fax_mail(&multipart(&[&good, broken])), Err(MailFault::Undecodable));
        assert!(fax_mail(&multipart(&[good.as_str(); 20])).is_ok());
        assert_eq!(fax_mail(&multipart(&[good.as_str(); 21])), Err(MailFault::TooMany));
    }
}
