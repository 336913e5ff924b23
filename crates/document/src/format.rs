//! What a file is: by its first octets, then by media type (RFC 2046, RFC 3302), then by name.

/// The formats that can be told apart and turned into fax pages.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// PDF (ISO 32000).
    Pdf,
    /// TIFF, fax or other (TIFF 6.0, RFC 2301).
    Tiff,
    /// PNG (ISO/IEC 15948).
    Png,
    /// JPEG (T.81).
    Jpeg,
    /// Plain text.
    Text,
}

impl Format {
    /// The media type, as a `Content-Type` states it.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Format::Pdf => "application/pdf",
            Format::Tiff => "image/tiff",
            Format::Png => "image/png",
            Format::Jpeg => "image/jpeg",
            Format::Text => "text/plain",
        }
    }

    /// The usual file name extension, without the dot.
    #[must_use]
    pub const fn extension(self) -> &'static str {
        match self {
            Format::Pdf => "pdf",
            Format::Tiff => "tiff",
            Format::Png => "png",
            Format::Jpeg => "jpg",
            Format::Text => "txt",
        }
    }

    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Format::Pdf => "PDF",
            Format::Tiff => "TIFF",
            Format::Png => "PNG",
            Format::Jpeg => "JPEG",
            Format::Text => "text",
        }
    }
}

/// How far into a file `%PDF-` may stand (ISO 32000-1 annex H.3 note 13).
const PDF_HEADER_WITHIN: usize = 1024;

/// What `octets` are. The octets themselves decide; `content_type` and `file_name` are asked only
/// where the octets say nothing. `None`: not something that can be faxed.
#[must_use]
pub fn sniff(octets: &[u8], content_type: Option<&str>, file_name: Option<&str>) -> Option<Format> {
    by_octets(octets).or_else(|| {
        if octets.is_empty() || is_known_other(octets) {
            return None;
        }
        let claimed = content_type.and_then(by_media_type).or_else(|| file_name.and_then(by_name));
        match claimed {
            // Only text has no mark of its own; anything else that lacks it is damaged, and the
            // reader of that format says so better than "unknown" would.
            Some(Format::Text) if !looks_like_text(octets) => None,
            Some(f) => Some(f),
            None if content_type.is_none() && file_name.is_none() && looks_like_text(octets) => {
                Some(Format::Text)
            }
            None => None,
        }
    })
}

fn by_octets(octets: &[u8]) -> Option<Format> {
    if octets.starts_with(b"\x89PNG\r\n\x1a\n") {
        return Some(Format::Png);
    }
    if octets.starts_with(&[0xFF, 0xD8, 0xFF]) {
        return Some(Format::Jpeg);
    }
    if octets.starts_with(b"II\x2A\0")
        || octets.starts_with(b"MM\0\x2A")
        || octets.starts_with(b"II\x2B\0")
        || octets.starts_with(b"MM\0\x2B")
    {
        return Some(Format::Tiff);
    }
    let head = octets.get(..PDF_HEADER_WITHIN).unwrap_or(octets);
    if head.windows(5).any(|w| w == b"%PDF-") {
        return Some(Format::Pdf);
    }
    None
}

/// Formats with a mark of their own that cannot be faxed here, whatever their label claims.
fn is_known_other(octets: &[u8]) -> bool {
    const MARKS: [&[u8]; 9] = [
        b"PK\x03\x04",
        b"\xD0\xCF\x11\xE0\xA1\xB1\x1A\xE1",
        b"GIF8",
        b"BM",
        b"%!PS",
        b"{\\rtf",
        b"\x7FELF",
        b"\x1F\x8B",
        b"RIFF",
    ];
    MARKS.iter().any(|m| octets.starts_with(m))
}

fn by_media_type(content_type: &str) -> Option<Format> {
    let essence = content_type.split(';').next().unwrap_or("").trim();
    let is = |s: &str| essence.eq_ignore_ascii_case(s);
    if is("application/pdf") || is("application/x-pdf") {
        Some(Format::Pdf)
    } else if is("image/tiff") || is("image/tiff-fx") || is("image/tif") || is("image/x-tiff") {
        Some(Format::Tiff)
    } else if is("image/png") {
        Some(Format::Png)
    } else if is("image/jpeg") || is("image/jpg") || is("image/pjpeg") {
        Some(Format::Jpeg)
    } else if is("text/plain") {
        Some(Format::Text)
    } else {
        None
    }
}

fn by_name(name: &str) -> Option<Format> {
    let (_, extension) = name.rsplit_once('.')?;
    match extension.trim().to_ascii_lowercase().as_str() {
        "pdf" => Some(Format::Pdf),
        "tif" | "tiff" | "g3" => Some(Format::Tiff),
        "png" => Some(Format::Png),
        "jpg" | "jpeg" | "jpe" => Some(Format::Jpeg),
        "txt" | "text" => Some(Format::Text),
        _ => None,
    }
}

fn looks_like_text(octets: &[u8]) -> bool {
    let head = octets.get(..4096).unwrap_or(octets);
    !head.iter().any(|&o| o < 0x20 && !matches!(o, b'\t' | b'\n' | b'\r' | 0x0C | 0x1B))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_octets_decide_over_label_and_name() {
        let pdf = b"junk\n%PDF-1.4\n";
        assert_eq!(sniff(pdf, Some("image/png"), Some("x.tif")), Some(Format::Pdf));
        assert_eq!(sniff(b"II\x2A\0....", Some("application/pdf"), None), Some(Format::Tiff));
        assert_eq!(sniff(b"\xFF\xD8\xFF\xE0", None, None), Some(Format::Jpeg));
        assert_eq!(sniff(b"\x89PNG\r\n\x1a\n", None, Some("a.jpg")), Some(Format::Png));
    }

    #[test]
    fn labels_serve_where_the_octets_say_nothing() {
        assert_eq!(sniff(b"hello", Some("Text/Plain; charset=utf-8"), None), Some(Format::Text));
        assert_eq!(sniff(b"hello", None, Some("NOTE.TXT")), Some(Format::Text));
        assert_eq!(sniff(b"trunc", Some("application/pdf"), None), Some(Format::Pdf));
        assert_eq!(sniff(b"hello\0\x01", Some("text/plain"), None), None);
        assert_eq!(sniff(b"hello", Some("application/msword"), None), None);
        assert_eq!(sniff(b"PK\x03\x04...", Some("application/pdf"), None), None);
        assert_eq!(sniff(b"", Some("application/pdf"), None), None);
    }
}
