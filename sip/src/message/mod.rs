//! A SIP message: a start line, a list of raw headers, a body; typed views read it, bytes are never changed (RFC 3261 §7).

mod build;
mod check;
mod header;
mod name_addr;
mod parse;
mod scan;
pub mod stream;
mod uri;
mod via;
mod views;

pub use build::{Builder, reason_phrase, response_to};
pub use header::{Header, canonical_name};
pub use name_addr::NameAddr;
pub use parse::{Limits, ParseError};
pub use scan::{Params, text};
pub(crate) use scan::{number, quote};
pub use uri::Uri;
pub use via::Via;
pub(crate) use views::qvalue;
pub use views::{CSeq, Challenge, SessionExpires};

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

/// A request method (RFC 3261 §7.1); any token is one, and letter case counts.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
#[allow(missing_docs)] // the names are the standards'
pub enum Method {
    Invite,
    Ack,
    Cancel,
    Bye,
    Options,
    Register,
    Update,
    Info,
    Prack,
    Refer,
    Notify,
    Subscribe,
    Message,
    Publish,
    /// Anything else.
    Other(String),
}

impl Method {
    /// The method of this name.
    #[must_use]
    pub fn new(name: &str) -> Method {
        match name {
            "INVITE" => Method::Invite,
            "ACK" => Method::Ack,
            "CANCEL" => Method::Cancel,
            "BYE" => Method::Bye,
            "OPTIONS" => Method::Options,
            "REGISTER" => Method::Register,
            "UPDATE" => Method::Update,
            "INFO" => Method::Info,
            "PRACK" => Method::Prack,
            "REFER" => Method::Refer,
            "NOTIFY" => Method::Notify,
            "SUBSCRIBE" => Method::Subscribe,
            "MESSAGE" => Method::Message,
            "PUBLISH" => Method::Publish,
            other => Method::Other(other.to_owned()),
        }
    }

    /// Its name on the wire.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Method::Invite => "INVITE",
            Method::Ack => "ACK",
            Method::Cancel => "CANCEL",
            Method::Bye => "BYE",
            Method::Options => "OPTIONS",
            Method::Register => "REGISTER",
            Method::Update => "UPDATE",
            Method::Info => "INFO",
            Method::Prack => "PRACK",
            Method::Refer => "REFER",
            Method::Notify => "NOTIFY",
            Method::Subscribe => "SUBSCRIBE",
            Method::Message => "MESSAGE",
            Method::Publish => "PUBLISH",
            Method::Other(name) => name,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What the first line says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Start {
    /// A request line.
    Request {
        /// The method.
        method: Method,
        /// The Request-URI.
        uri: Uri,
    },
    /// A status line.
    Response {
        /// 100 to 699.
        code: u16,
        /// The reason phrase, any octets.
        reason: Bytes,
    },
}

/// One SIP message. Writing an unchanged message gives back the octets it was read from.
#[derive(Clone, PartialEq, Debug)]
pub struct Message {
    /// What the first line says.
    pub start: Start,
    pub(crate) start_raw: Bytes,
    pub(crate) headers: Vec<Header>,
    pub(crate) blank_raw: Bytes,
    /// The body, cut to Content-Length.
    pub body: Bytes,
}

impl Message {
    /// Nothing: no request, no headers.
    pub(crate) const fn empty() -> Message {
        Message {
            start: Start::Response { code: 100, reason: Bytes::new() },
            start_raw: Bytes::new(),
            headers: Vec::new(),
            blank_raw: Bytes::new(),
            body: Bytes::new(),
        }
    }

    /// The method of a request.
    #[must_use]
    pub fn method(&self) -> Option<&Method> {
        match &self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The Request-URI of a request.
    #[must_use]
    pub fn uri(&self) -> Option<&Uri> {
        match &self.start {
            Start::Request { uri, .. } => Some(uri),
            Start::Response { .. } => None,
        }
    }

    /// The status code of a response.
    #[must_use]
    pub fn code(&self) -> Option<u16> {
        match &self.start {
            Start::Request { .. } => None,
            Start::Response { code, .. } => Some(*code),
        }
    }

    /// The reason phrase of a response.
    #[must_use]
    pub fn reason(&self) -> String {
        match &self.start {
            Start::Request { .. } => String::new(),
            Start::Response { reason, .. } => text(reason),
        }
    }

    /// All headers in order.
    #[must_use]
    pub fn headers(&self) -> &[Header] {
        &self.headers
    }

    /// The headers of this (long) name, whichever way they were written.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Header> + 'a {
        self.headers.iter().filter(move |h| h.is(name))
    }

    /// The value of the first header of this (long) name.
    #[must_use]
    pub fn value(&self, name: &str) -> Option<&Bytes> {
        self.headers.iter().find(|h| h.is(name)).map(Header::value)
    }

    /// The value of the first header of this name as text; Latin-1 where it is not UTF-8.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        self.value(name).map(|v| text(v))
    }

    /// The message as it goes on the wire.
    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let size = self.headers.iter().map(|h| h.raw().len()).sum::<usize>();
        let mut out =
            BytesMut::with_capacity(self.start_raw.len() + size + self.blank_raw.len() + self.body.len());
        out.put_slice(&self.start_raw);
        for header in &self.headers {
            out.put_slice(header.raw());
        }
        out.put_slice(&self.blank_raw);
        out.put_slice(&self.body);
        out.freeze()
    }
}
