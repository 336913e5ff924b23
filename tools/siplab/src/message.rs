//! SIP messages as text, as plain as they can be: a peer that shares no code with the product's user agent.

use bytes::Bytes;

/// A request or a response.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) start: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Message {
    pub(crate) fn new(start: String) -> Message {
        Message { start, headers: Vec::new(), body: String::new() }
    }

    pub(crate) fn parse(octets: &[u8]) -> Option<Message> {
        let text = std::str::from_utf8(octets).ok()?;
        let (head, body) = text.split_once("\r\n\r\n")?;
        let mut lines = head.split("\r\n");
        let start = lines.next()?.to_owned();
        let headers = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.trim().to_owned(), value.trim().to_owned()))
            .collect();
        Some(Message { start, headers, body: body.to_owned() })
    }

    pub(crate) fn with(mut self, name: &str, value: impl ToString) -> Message {
        self.headers.push((name.to_owned(), value.to_string()));
        self
    }

    pub(crate) fn to_bytes(&self) -> Bytes {
        let mut text = format!("{}\r\n", self.start);
        for (name, value) in &self.headers {
            text.push_str(&format!("{name}: {value}\r\n"));
        }
        if !self.body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n{}", self.body.len(), self.body));
        Bytes::from(text)
    }

    pub(crate) fn get(&self, name: &str) -> &str {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v)
    }

    pub(crate) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a (String, String)> {
        self.headers.iter().filter(move |(n, _)| n.eq_ignore_ascii_case(name))
    }

    /// `None` for a request.
    pub(crate) fn code(&self) -> Option<u16> {
        self.start.strip_prefix("SIP/2.0 ")?.get(..3)?.parse().ok()
    }

    /// Of a request, or of the request that a response answers.
    pub(crate) fn method(&self) -> &str {
        match self.code() {
            None => self.start.split(' ').next().unwrap_or_default(),
            Some(_) => self.get("CSeq").split_whitespace().nth(1).unwrap_or_default(),
        }
    }

    pub(crate) fn sequence(&self) -> u32 {
        self.get("CSeq").split_whitespace().next().and_then(|n| n.parse().ok()).unwrap_or(0)
    }

    pub(crate) fn branch(&self) -> String {
        parameter(self.get("Via"), "branch")
    }

    /// The answer to this request, without Contact and body.
    pub(crate) fn answer(&self, code: u16, reason: &str, tag: &str) -> Message {
        let mut message = Message::new(format!("SIP/2.0 {code} {reason}"));
        for via in self.all("Via") {
            message.headers.push(via.clone());
        }
        let to = self.get("To");
        let to = if to.contains(";tag=") || code == 100 { to.to_owned() } else { format!("{to};tag={tag}") };
        message
            .with("From", self.get("From"))
            .with("To", to)
            .with("Call-ID", self.get("Call-ID"))
            .with("CSeq", self.get("CSeq"))
    }
}

/// `;name=value` of a header.
pub(crate) fn parameter(header: &str, name: &str) -> String {
    let found = header.split(';').find_map(|p| p.trim().strip_prefix(name)?.strip_prefix('='));
    found.unwrap_or_default().trim().to_owned()
}

/// The URI in `<…>`.
pub(crate) fn uri(header: &str) -> String {
    let inner = header.split_once('<').and_then(|(_, rest)| rest.split_once('>')).map(|(uri, _)| uri);
    inner.unwrap_or(header).to_owned()
}
