//! A mail taken apart within bounds (RFC 5322 §2.1, RFC 2045, RFC 2046): every leaf in the order of the mail, as a slice of it.
//!
//! No tree is built, and a parser sees nothing but the few short fields that say what a part is: so neither nesting nor the
//! number of parts or fields of a hostile mail becomes stack or memory. What is beyond a bound is refused, not skipped.

use mail_parser::parsers::MessageStream;
use mail_parser::{ContentType, HeaderName, Message, MessageParser, MimeHeaders};
use std::borrow::Cow;

/// Multiparts and mails inside each other. A chain of five forwarded mails has about fifteen.
const DEPTH_LIMIT: usize = 20;
/// Mails inside each other that are encoded, each of which is a copy. RFC 2046 §5.2.1 knows none at all.
const ENCODED_LIMIT: usize = 2;
/// Parts of all kinds.
const PART_LIMIT: usize = 1000;
/// Longest field that says what a part is, octets.
const FIELD_LIMIT: usize = 8 * 1024;

/// Why a mail is not taken apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Bound {
    /// Parts inside parts inside parts.
    Depth,
    /// Too many parts.
    Parts,
    /// A field of MIME has no end, or an encoded mail cannot be decoded.
    Unreadable,
}

/// A part that holds no others.
pub(crate) struct Leaf<'a> {
    head: Option<&'a Message<'a>>,
    /// As it is in the mail, still encoded.
    body: &'a [u8],
    /// It stands in a multipart/related: it belongs to a text.
    pub(crate) related: bool,
}

impl<'a> Leaf<'a> {
    /// Type and subtype in lower case, if it has them.
    pub(crate) fn content_type(&self) -> Option<String> {
        content_type(self.head).map(|t| match t.subtype() {
            Some(subtype) => format!("{}/{subtype}", t.ctype()).to_ascii_lowercase(),
            None => t.ctype().to_ascii_lowercase(),
        })
    }

    /// The file name that was given to it.
    pub(crate) fn name(&self) -> Option<&'a str> {
        self.head.and_then(|head| head.attachment_name())
    }

    /// Content-Disposition (RFC 2183 §2.2) says that it stands on its own.
    pub(crate) fn is_attached(&self) -> bool {
        self.head.and_then(|head| head.content_disposition()).is_some_and(ContentType::is_attachment)
    }

    /// Its octets. An error with those of the mail: they are not encoded as was said.
    pub(crate) fn octets(&self) -> Result<Cow<'a, [u8]>, &'a [u8]> {
        decoded(&encoding(self.head), self.body).ok_or(self.body)
    }
}

/// Shows every leaf to `visit`, which may end it.
pub(crate) fn walk<E: From<Bound>>(
    mail: &[u8],
    visit: &mut dyn FnMut(&Leaf<'_>) -> Result<(), E>,
) -> Result<(), E> {
    Walk { parts: 0, visit }.entity(mail, Place::default())
}

/// Where a part stands.
#[derive(Clone, Copy, Default)]
struct Place {
    depth: usize,
    encoded: usize,
    /// In a multipart/digest, whose parts are mails if they do not say otherwise (RFC 2046 §5.1.5).
    digest: bool,
    related: bool,
}

struct Walk<'v, E> {
    parts: usize,
    visit: &'v mut dyn FnMut(&Leaf<'_>) -> Result<(), E>,
}

impl<E: From<Bound>> Walk<'_, E> {
    /// A whole mail, or a part with its fields.
    fn entity(&mut self, octets: &[u8], place: Place) -> Result<(), E> {
        self.parts += 1;
        if self.parts > PART_LIMIT {
            return Err(Bound::Parts.into());
        }
        if place.depth > DEPTH_LIMIT {
            return Err(Bound::Depth.into());
        }
        let (fields, body) = split(octets);
        let said = description(fields).ok_or(Bound::Unreadable)?;
        let head = MessageParser::new().parse_headers(&said);
        let head = head.as_ref();
        let (kind, subtype) = match content_type(head) {
            Some(t) => (t.ctype().to_ascii_lowercase(), t.subtype().unwrap_or_default().to_ascii_lowercase()),
            None if place.digest => ("message".to_owned(), "rfc822".to_owned()),
            None => ("text".to_owned(), "plain".to_owned()),
        };
        let below = Place { depth: place.depth + 1, encoded: place.encoded, ..Place::default() };
        match (kind.as_str(), subtype.as_str()) {
            ("multipart", subtype) => {
                let below = Place { digest: subtype == "digest", related: subtype == "related", ..below };
                let boundary = content_type(head).and_then(|t| t.attribute("boundary")).unwrap_or_default();
                for part in parts(body, boundary.trim_end().as_bytes()) {
                    self.entity(part, below)?;
                }
                Ok(())
            }
            ("message", "rfc822" | "global") => match decoded(&encoding(head), body) {
                Some(Cow::Borrowed(inner)) => self.entity(inner, below),
                Some(Cow::Owned(_)) if place.encoded == ENCODED_LIMIT => Err(Bound::Depth.into()),
                Some(Cow::Owned(inner)) => self.entity(&inner, Place { encoded: below.encoded + 1, ..below }),
                None => Err(Bound::Unreadable.into()),
            },
            _ => (self.visit)(&Leaf { head, body, related: place.related }),
        }
    }
}

fn content_type<'a>(head: Option<&'a Message<'a>>) -> Option<&'a ContentType<'a>> {
    head.and_then(|head| head.content_type())
}

/// The word of Content-Transfer-Encoding in lower case.
fn encoding(head: Option<&Message<'_>>) -> String {
    let said = head.and_then(|head| head.content_transfer_encoding()).unwrap_or_default();
    said.split([' ', '\t', '(', ';']).next().unwrap_or_default().to_ascii_lowercase()
}

/// A body without its encoding (RFC 2045 §6); `None` if it is not encoded so, or nobody knows how.
fn decoded<'a>(encoding: &str, body: &'a [u8]) -> Option<Cow<'a, [u8]>> {
    let mut stream = MessageStream::new(body);
    let (end, octets) = match encoding {
        "" | "7bit" | "8bit" | "binary" => return Some(Cow::Borrowed(body)),
        "base64" => stream.decode_base64_mime(b""),
        "quoted-printable" => stream.decode_quoted_printable_mime(b""),
        _ => return None,
    };
    // What was decoded is owned, also where there is nothing of it.
    (end != usize::MAX).then(|| Cow::Owned(octets.into_owned()))
}

/// Fields and body: what stands before and after the first empty line.
pub(crate) fn split(octets: &[u8]) -> (&[u8], &[u8]) {
    let mut at = 0;
    for line in octets.split_inclusive(|&o| o == b'\n') {
        let end = at + line.len();
        if matches!(line, b"\n" | b"\r\n") {
            return (octets.get(..at).unwrap_or_default(), octets.get(end..).unwrap_or_default());
        }
        at = end;
    }
    (octets, &[])
}

/// The fields of a mail or part one by one, each with the lines it is folded into: name and value.
pub(crate) fn fields(block: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    let mut rest = block;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        for line in rest.split_inclusive(|&o| o == b'\n') {
            if end > 0 && !line.starts_with(b" ") && !line.starts_with(b"\t") {
                break;
            }
            end += line.len();
        }
        let (field, then) = rest.split_at_checked(end).unwrap_or((rest, &[]));
        rest = then;
        Some(field)
    })
    .filter_map(|field| {
        let colon = field.iter().position(|&o| o == b':')?;
        let (name, value) = field.split_at_checked(colon)?;
        Some((name.trim_ascii(), value.get(1..)?))
    })
}

/// The value of the last field with this name: the same that the parser would take.
pub(crate) fn field<'a>(block: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(block).filter(|(n, _)| n.eq_ignore_ascii_case(name.as_bytes())).last().map(|(_, value)| value)
}

/// The fields that say what a part is, and nothing else. `None`: one of them is too long to be true.
fn description(block: &[u8]) -> Option<Vec<u8>> {
    let mut said: [(HeaderName<'_>, Option<&[u8]>); 3] = [
        (HeaderName::ContentType, None),
        (HeaderName::ContentTransferEncoding, None),
        (HeaderName::ContentDisposition, None),
    ];
    for (name, value) in fields(block) {
        let known = said.iter_mut().find(|(n, _)| name.eq_ignore_ascii_case(n.as_str().as_bytes()));
        if let Some((_, kept)) = known {
            *kept = Some(value);
        }
    }
    let mut octets = Vec::new();
    for (name, value) in said {
        let Some(value) = value else { continue };
        if value.len() > FIELD_LIMIT {
            return None;
        }
        octets.extend_from_slice(name.as_str().as_bytes());
        octets.extend_from_slice(b":");
        octets.extend_from_slice(value.trim_ascii_end());
        octets.extend_from_slice(b"\r\n");
    }
    octets.extend_from_slice(b"\r\n");
    Some(octets)
}

/// The parts of a multipart's body (RFC 2046 §5.1.1), one more than are permitted at most. The last may lack its end.
fn parts<'m>(body: &'m [u8], boundary: &[u8]) -> Vec<&'m [u8]> {
    let mut found = Vec::new();
    let mut began: Option<usize> = None;
    let mut at = 0;
    if boundary.is_empty() {
        return found;
    }
    for line in body.split_inclusive(|&o| o == b'\n') {
        let end = at + line.len();
        if let Some(last) = delimiter(line, boundary) {
            if let Some(began) = began {
                found.push(whole_lines(body.get(began..at).unwrap_or_default()));
            }
            if found.len() > PART_LIMIT {
                return found;
            }
            // More may follow the end, where an inner multipart was given the same boundary.
            began = (!last).then_some(end);
        }
        at = end;
    }
    if let Some(began) = began {
        found.push(body.get(began..).unwrap_or_default());
    }
    found
}

/// Whether a line is a delimiter, and the last.
fn delimiter(line: &[u8], boundary: &[u8]) -> Option<bool> {
    let rest = line.strip_prefix(b"--")?.strip_prefix(boundary)?;
    let (rest, last) = rest.strip_prefix(b"--").map_or((rest, false), |rest| (rest, true));
    rest.trim_ascii().is_empty().then_some(last)
}

/// Without the line's end that belongs to the delimiter behind it.
fn whole_lines(part: &[u8]) -> &[u8] {
    let part = part.strip_suffix(b"\n").unwrap_or(part);
    part.strip_suffix(b"\r").unwrap_or(part)
}
