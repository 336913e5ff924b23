//! Multipart bodies (RFC 2046 §5.1; form-data RFC 7578) as fax clients write them.
//!
//! Clients differ: form-data bodies under a `multipart/mixed` header, two CRLFs before a boundary, bare LF line ends, no
//! closing boundary. All of those are read; what cannot be read is an error, never a panic.

use std::collections::BTreeMap;

/// Most parts of one body.
const PART_LIMIT: usize = 64;
/// Longest boundary taken (RFC 2046 §5.1.1 allows 70 octets); it bounds the work of the search.
const BOUNDARY_LIMIT: usize = 200;
/// Largest header of one part, octets.
const HEADER_LIMIT: usize = 16 * 1024;

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part<'b> {
    /// Header fields, names in lower case; of a repeated field the last.
    pub headers: BTreeMap<String, String>,
    /// Its content, still in its transfer encoding.
    pub body: &'b [u8],
}

impl Part<'_> {
    /// Its media type in lower case without parameters, if it says one.
    #[must_use]
    pub fn media_type(&self) -> Option<String> {
        self.headers.get("content-type").map(|v| media_type(v)).filter(|t| !t.is_empty())
    }

    /// `filename` of Content-Disposition, or `name` of Content-Type; the last component only.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        let disposition = self.headers.get("content-disposition").and_then(|v| parameter(v, "filename"));
        let name =
            disposition.or_else(|| self.headers.get("content-type").and_then(|v| parameter(v, "name")))?;
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let name: String = last.chars().filter(|c| !c.is_control()).take(200).collect();
        let name = name.trim().trim_start_matches('.').to_owned();
        (!name.is_empty()).then_some(name)
    }

    /// `name` of Content-Disposition: the field of a form.
    #[must_use]
    pub fn field_name(&self) -> Option<String> {
        self.headers.get("content-disposition").and_then(|v| parameter(v, "name"))
    }

    /// Whether its Content-Transfer-Encoding is base64.
    #[must_use]
    pub fn is_base64(&self) -> bool {
        self.headers.get("content-transfer-encoding").is_some_and(|v| v.trim().eq_ignore_ascii_case("base64"))
    }
}

/// The media type of a Content-Type field: lower case, without parameters.
#[must_use]
pub fn media_type(field: &str) -> String {
    field.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// A parameter of a structured field, quotes undone.
#[must_use]
pub fn parameter(field: &str, wanted: &str) -> Option<String> {
    let mut rest = field.split_once(';')?.1;
    loop {
        let (name, after) = rest.split_once('=')?;
        let name = name.trim_matches(|c: char| c == ';' || c.is_whitespace());
        let after = after.trim_start();
        let (value, next) = match after.strip_prefix('"') {
            Some(quoted) => {
                let mut value = String::new();
                let mut escaped = false;
                let mut end = quoted.len();
                for (at, c) in quoted.char_indices() {
                    match c {
                        _ if escaped => {
                            value.push(c);
                            escaped = false;
                        }
                        '\\' => escaped = true,
                        '"' => {
                            end = at + 1;
                            break;
                        }
                        _ => value.push(c),
                    }
                }
                (value, quoted.get(end..).unwrap_or_default())
            }
            None => {
                let end = after.find(';').unwrap_or(after.len());
                let (value, next) = after.split_at(end);
                (value.trim().to_owned(), next)
            }
        };
        if name.eq_ignore_ascii_case(wanted) {
            return Some(value);
        }
        rest = next.split_once(';')?.1;
    }
}

/// The parts of a body.
///
/// # Errors
///
/// In a sentence: no boundary in the type, no part in the body, too many parts, a header without end.
pub fn parts<'b>(content_type: &str, body: &'b [u8]) -> Result<Vec<Part<'b>>, &'static str> {
    let boundary = parameter(content_type, "boundary").filter(|b| (1..=BOUNDARY_LIMIT).contains(&b.len()));
    let boundary = boundary.ok_or("no usable boundary in Content-Type")?;
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let mut parts = Vec::new();
    let mut open: Option<usize> = None;
    let mut at = 0;
    while let Some((line, content_end, next)) = next_delimiter(body, at, &delimiter) {
        if let Some(start) = open.take() {
            parts.push(part(body.get(start..content_end.max(start)).unwrap_or_default())?);
            if parts.len() > PART_LIMIT {
                return Err("too many parts");
            }
        }
        if line == Line::Closing {
            return if parts.is_empty() { Err("no part in the body") } else { Ok(parts) };
        }
        open = Some(next);
        at = next;
    }
    // No closing delimiter: the last part goes to the end.
    if let Some(start) = open {
        parts.push(part(body.get(start..).unwrap_or_default())?);
    }
    if parts.is_empty() { Err("no part in the body") } else { Ok(parts) }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Line {
    Opening,
    Closing,
}

/// The next delimiter line at or after `from`: its kind, where the content before it ends, where the next line begins.
fn next_delimiter(body: &[u8], from: usize, delimiter: &[u8]) -> Option<(Line, usize, usize)> {
    let mut at = from;
    loop {
        let rest = body.get(at..)?;
        let found = at + find(rest, delimiter)?;
        let after = found + delimiter.len();
        let before = body.get(..found)?;
        let at_line_start = before.is_empty() || before.ends_with(b"\n");
        let tail = body.get(after..)?;
        let (line, tail_start) = match tail.strip_prefix(b"--") {
            Some(_) => (Line::Closing, after + 2),
            None => (Line::Opening, after),
        };
        // Transport padding may follow, then the line ends.
        let tail = body.get(tail_start..)?;
        let padding = tail.iter().take_while(|o| matches!(o, b' ' | b'\t')).count();
        let end = tail.get(padding..)?;
        let line_end = if end.starts_with(b"\r\n") {
            Some(2)
        } else if end.starts_with(b"\n") {
            Some(1)
        } else if end.is_empty() || line == Line::Closing {
            Some(0)
        } else {
            None
        };
        if let (true, Some(line_end)) = (at_line_start, line_end) {
            let content_end = match before {
                [.., b'\r', b'\n'] => found - 2,
                [.., b'\n'] => found - 1,
                _ => found,
            };
            return Some((line, content_end, tail_start + padding + line_end));
        }
        at = found + 1;
    }
}

fn part(octets: &[u8]) -> Result<Part<'_>, &'static str> {
    let mut headers = BTreeMap::new();
    let mut last: Option<String> = None;
    let mut rest = octets;
    loop {
        if octets.len() - rest.len() > HEADER_LIMIT {
            return Err("the header of a part is too long");
        }
        let end = rest.iter().position(|&o| o == b'\n');
        let (line, next) = match end {
            Some(end) => (rest.get(..end).unwrap_or_default(), rest.get(end + 1..).unwrap_or_default()),
            None => (rest, &[][..]),
        };
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            return Ok(Part { headers, body: next });
        }
        let text = String::from_utf8_lossy(line);
        if let (true, Some(name)) = (text.starts_with([' ', '\t']), &last) {
            if let Some(value) = headers.get_mut(name) {
                *value = format!("{value} {}", text.trim());
            }
        } else if let Some((name, value)) = text.split_once(':') {
            let name = name.trim().to_ascii_lowercase();
            headers.insert(name.clone(), value.trim().to_owned());
            last = Some(name);
        } else {
            return Err("a part without header");
        }
        if end.is_none() {
            return Err("a part without body");
        }
        rest = next;
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut at = 0;
    loop {
        at += haystack.get(at..)?.iter().position(|&o| o == first)?;
        if haystack.get(at..)?.starts_with(needle) {
            return Some(at);
        }
        at += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_form_under_a_mixed_header_is_read_as_curl_writes_it() {
        let body = b"------------000000000000000\r\nContent-Disposition: form-data; name=\"data\"\r\nContent-Type: application/json\r\n\r\n{\"data\":{}}\r\n\
            ------------000000000000000\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a b.pdf\"\r\nContent-Type: application/pdf\r\n\r\n%PDF-\r\n--x\r\n\r\n\
            ------------000000000000000--\r\n";
        let parts = parts("multipart/mixed; boundary=----------000000000000000", body).unwrap();
        assert_eq!(parts.len(), 2);
        assert_eq!(parts[0].media_type().as_deref(), Some("application/json"));
        assert_eq!(parts[0].body, b"{\"data\":{}}");
        assert_eq!(parts[1].file_name().as_deref(), Some("a b.pdf"));
        assert_eq!(parts[1].body, b"%PDF-\r\n--x\r\n");
    }

    #[test]
    fn two_crlfs_before_the_boundary_leave_one_in_the_body() {
        let body = b"--multipart-message-boundary\r\nContent-Type: application/json\r\n\r\n{}\r\n\r\n--multipart-message-boundary\r\n\
            Content-Type: application/pdf\r\nContent-Transfer-Encoding: BASE64\r\n\r\nJVBERi0=\r\n\r\n--multipart-message-boundary--";
        let parts = parts("multipart/mixed; boundary=multipart-message-boundary", body).unwrap();
        assert_eq!(parts[0].body, b"{}\r\n");
        assert!(parts[1].is_base64());
        assert_eq!(parts[1].body, b"JVBERi0=\r\n");
    }

    #[test]
    fn bare_line_feeds_preambles_and_a_missing_end_are_survived() {
        let read = parts(
            "multipart/mixed; charset=x; boundary=\"a b\"",
            b"preamble\n--a b \nX: 1\n  2\n\nhello\n--a bc\n",
        )
        .unwrap();
        assert_eq!(read.len(), 1);
        assert_eq!(read[0].headers["x"], "1 2");
        assert_eq!(read[0].body, b"hello\n--a bc\n");
        assert!(parts("multipart/mixed; boundary=x", b"--x--\r\n").is_err());
        assert!(parts("multipart/mixed; boundary=x", b"").is_err());
        assert!(parts("multipart/mixed", b"--x\r\n\r\n").is_err());
        assert!(parts("multipart/mixed; boundary=x", b"--x\r\nno header\r\n\r\nx\r\n--x--").is_err());
        assert_eq!(parts("multipart/mixed; boundary=x", b"--x\r\n\r\n\r\n--x--").unwrap()[0].body, b"");
        assert!(parts("multipart/mixed; boundary=x", &b"--x\r\n\r\na\r\n".repeat(100)).is_err());
    }

    #[test]
    fn parameters_may_be_quoted() {
        let field = "form-data; name=\"a;b\\\"c\" ; filename=plain.pdf";
        assert_eq!(parameter(field, "NAME").as_deref(), Some("a;b\"c"));
        assert_eq!(parameter(field, "filename").as_deref(), Some("plain.pdf"));
        assert_eq!(parameter(field, "other"), None);
        assert_eq!(parameter("x; a=\"open", "a").as_deref(), Some("open"));
    }
}
