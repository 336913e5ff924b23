//! Building messages: requests, and responses that mirror a request (RFC 3261 §8.1.1, §8.2.6).

use core::net::SocketAddr;

use bytes::Bytes;

use super::header::Header;
use super::scan::text;
use super::uri::Uri;
use super::via::Via;
use super::{Message, Method, Start};

/// Puts a message together; Content-Length comes by itself.
#[derive(Clone, Debug)]
pub struct Builder {
    message: Message,
}

impl Builder {
    /// A request.
    #[must_use]
    pub fn request(method: Method, uri: Uri) -> Builder {
        let line = [method.as_str().as_bytes(), b" ", uri.as_bytes(), b" SIP/2.0\r\n"].concat();
        Builder::start(Start::Request { method, uri }, Bytes::from(line))
    }

    /// A response; an empty phrase is replaced by the standard's.
    #[must_use]
    pub fn response(code: u16, phrase: &str) -> Builder {
        let phrase: String = if phrase.is_empty() { reason_phrase(code).into() } else { phrase.into() };
        let phrase: String =
            phrase.chars().map(|c| if matches!(c, '\r' | '\n' | '\0') { ' ' } else { c }).collect();
        let line = format!("SIP/2.0 {code} {phrase}\r\n");
        Builder::start(Start::Response { code, reason: Bytes::from(phrase) }, Bytes::from(line))
    }

    /// The same request once more, as a new transaction: other Via and CSeq, no credentials yet.
    #[must_use]
    pub fn again(request: &Message, via: &str, cseq: u32) -> Builder {
        let mut message = request.clone();
        message.headers.clear();
        for header in &request.headers {
            if header.is("Via") {
                message.headers.push(Header::new("Via", via.as_bytes()));
            } else if header.is("CSeq") {
                let method = request.method().map_or("", Method::as_str);
                message.headers.push(Header::new("CSeq", format!("{cseq} {method}").as_bytes()));
            } else if !["Authorization", "Proxy-Authorization", "Content-Length"].iter().any(|n| header.is(n))
            {
                message.headers.push(header.clone());
            }
        }
        Builder { message }
    }

    /// The ACK of a failed INVITE, within its transaction (§17.1.1.3).
    #[must_use]
    pub fn ack_of_failure(invite: &Message, response: &Message) -> Message {
        let builder = Builder::companion(invite, Method::Ack);
        let builder = match response.value("To") {
            Some(to) => builder.header("To", to),
            None => builder.copy(invite, "To"),
        };
        builder.companion_rest(invite, "ACK")
    }

    /// The CANCEL of an INVITE (§9.1).
    #[must_use]
    pub fn cancel_of(invite: &Message, reason: Option<String>) -> Message {
        let builder = Builder::companion(invite, Method::Cancel).copy(invite, "To");
        builder.maybe("Reason", reason).companion_rest(invite, "CANCEL")
    }

    fn companion(invite: &Message, method: Method) -> Builder {
        let uri = invite.uri().cloned().or_else(|| Uri::read(Bytes::from_static(b"sip:invalid")));
        let Some(uri) = uri else {
            return Builder::response(500, "");
        };
        let builder = Builder::request(method, uri).copy(invite, "Via").header("Max-Forwards", "70");
        builder.copy(invite, "Route").copy(invite, "From")
    }

    fn companion_rest(self, invite: &Message, method: &str) -> Message {
        let number = invite.cseq().map_or(1, |c| c.number);
        self.copy(invite, "Call-ID")
            .header("CSeq", format!("{number} {method}"))
            .copy(invite, "User-Agent")
            .finish()
    }

    fn start(start: Start, start_raw: Bytes) -> Builder {
        let blank_raw = Bytes::from_static(b"\r\n");
        Builder { message: Message { start, start_raw, headers: Vec::new(), blank_raw, body: Bytes::new() } }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: &str, value: impl AsRef<[u8]>) -> Builder {
        self.message.headers.push(Header::new(name, value.as_ref()));
        self
    }

    /// Adds a header when there is a value.
    #[must_use]
    pub fn maybe(self, name: &str, value: Option<impl AsRef<[u8]>>) -> Builder {
        match value {
            Some(value) => self.header(name, value),
            None => self,
        }
    }

    /// Adds headers.
    #[must_use]
    pub fn headers(mut self, more: &[(String, String)]) -> Builder {
        for (name, value) in more.iter().filter(|(n, _)| super::scan::is_token(n.as_bytes())) {
            self.message.headers.push(Header::new(name, value.as_bytes()));
        }
        self
    }

    /// Takes all headers of this name out.
    #[must_use]
    pub fn without(mut self, name: &str) -> Builder {
        self.message.headers.retain(|h| !h.is(name));
        self
    }

    /// Copies all headers of this name.
    #[must_use]
    pub fn copy(mut self, from: &Message, name: &str) -> Builder {
        self.message
            .headers
            .extend(from.headers.iter().filter(|h| h.is(name)).map(|h| Header::repeating(name, h.value())));
        self
    }

    /// Ends with Content-Length and no body.
    #[must_use]
    pub fn finish(self) -> Message {
        let Builder { mut message } = self;
        let length = message.body.len().to_string();
        message.headers.push(Header::new("Content-Length", length.as_bytes()));
        message
    }

    /// Ends with an SDP body.
    #[must_use]
    pub fn finish_with_sdp(mut self, sdp: Bytes) -> Message {
        self = self.header("Content-Type", "application/sdp");
        self.message.body = sdp;
        self.finish()
    }
}

impl Message {
    /// The same with another Via.
    pub(crate) fn with_via(&self, via: &[u8]) -> Message {
        let mut message = self.clone();
        for header in message.headers.iter_mut().filter(|h| h.is("Via")) {
            *header = Header::new("Via", via);
        }
        message
    }
}

/// A response to `request`, which came from `source`: Via with `received` and `rport`, From, To with `tag` where it had
/// none, Call-ID, CSeq; Record-Route where a dialog may come of it. Works on requests that were found faulty.
#[must_use]
pub fn response_to(
    request: &Message,
    source: SocketAddr,
    code: u16,
    phrase: &str,
    tag: Option<&str>,
) -> Builder {
    let mut builder = Builder::response(code, phrase);
    let mut first = true;
    for via in request.all("Via") {
        let value = if first { mark_source(via.value(), source) } else { via.value().clone() };
        builder.message.headers.push(Header::repeating("Via", &value));
        first = false;
    }
    builder = builder.copy(request, "From");
    for to in request.all("To") {
        let mut value = to.value().to_vec();
        if let Some(tag) = tag.filter(|_| request.to_tag().is_none()) {
            value.extend_from_slice(b";tag=");
            value.extend_from_slice(tag.as_bytes());
        }
        builder.message.headers.push(Header::repeating("To", &value));
    }
    builder = builder.copy(request, "Call-ID").copy(request, "CSeq");
    if code == 100 {
        builder = builder.copy(request, "Timestamp");
    }
    if (101..300).contains(&code) && request.method() == Some(&Method::Invite) {
        builder = builder.copy(request, "Record-Route");
    }
    builder
}

/// Adds `received` and fills in `rport` in the topmost Via (§18.2.1, RFC 3581 §4).
fn mark_source(value: &Bytes, source: SocketAddr) -> Bytes {
    let end = super::scan::find_outside(value, b",").ok().flatten().unwrap_or(value.len());
    let Some(via) = Via::read(&value.slice(..end)) else {
        return value.clone();
    };
    let rport = via.params().has("rport");
    let mut top = value[..end].trim_ascii_end().to_vec();
    if let Some(at) = find_rport(&top).filter(|_| rport) {
        let close = top[at..].iter().position(|&b| b == b';').map_or(top.len(), |i| at + i);
        top.splice(at..close, format!("rport={}", source.port()).into_bytes());
    }
    if (rport || via.differs_from(source.ip())) && !via.params().has("received") {
        top.extend_from_slice(format!(";received={}", source.ip()).as_bytes());
    }
    top.extend_from_slice(&value[end..]);
    Bytes::from(top)
}

/// Where the `rport` parameter begins.
fn find_rport(via: &[u8]) -> Option<usize> {
    (0..via.len())
        .find(|&i| {
            via[i] == b';' && {
                let rest = via[i + 1..].trim_ascii_start();
                rest.get(..5).is_some_and(|w| w.eq_ignore_ascii_case(b"rport"))
                    && rest.get(5).is_none_or(|b| b";= \t".contains(b))
            }
        })
        .map(|i| i + 1)
}

/// The standard's phrase for a status code (RFC 3261 §21 and its extensions).
#[must_use]
pub fn reason_phrase(code: u16) -> &'static str {
    match code {
        100 => "Trying",
        180 => "Ringing",
        181 => "Call Is Being Forwarded",
        182 => "Queued",
        183 => "Session Progress",
        200 => "OK",
        202 => "Accepted",
        300 => "Multiple Choices",
        301 => "Moved Permanently",
        302 => "Moved Temporarily",
        305 => "Use Proxy",
        380 => "Alternative Service",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        406 => "Not Acceptable",
        407 => "Proxy Authentication Required",
        408 => "Request Timeout",
        410 => "Gone",
        413 => "Request Entity Too Large",
        414 => "Request-URI Too Long",
        415 => "Unsupported Media Type",
        416 => "Unsupported URI Scheme",
        420 => "Bad Extension",
        421 => "Extension Required",
        422 => "Session Interval Too Small",
        423 => "Interval Too Brief",
        480 => "Temporarily Unavailable",
        481 => "Call/Transaction Does Not Exist",
        482 => "Loop Detected",
        483 => "Too Many Hops",
        484 => "Address Incomplete",
        485 => "Ambiguous",
        486 => "Busy Here",
        487 => "Request Terminated",
        488 => "Not Acceptable Here",
        489 => "Bad Event",
        491 => "Request Pending",
        493 => "Undecipherable",
        500 => "Server Internal Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Server Time-out",
        505 => "Version Not Supported",
        513 => "Message Too Large",
        600 => "Busy Everywhere",
        603 => "Decline",
        604 => "Does Not Exist Anywhere",
        606 => "Not Acceptable",
        _ => match code / 100 {
            1 => "Progress",
            2 => "Success",
            3 => "Redirection",
            4 => "Request Failure",
            5 => "Server Failure",
            _ => "Global Failure",
        },
    }
}

impl Message {
    /// The To header with a tag, as text, for logs.
    #[must_use]
    pub fn describe(&self) -> String {
        let line = self.start_raw.trim_ascii();
        text(line)
    }
}
