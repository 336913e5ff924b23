//! What every message must have before anyone looks closer (RFC 3261 §8.1.1, §8.2, §16.3; RFC 4475 §3.1.2).

use super::name_addr::NameAddr;
use super::scan::number;
use super::via::Via;
use super::{Message, Method, Start};

/// A fault in a message, as it is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Fault {
    pub(crate) code: u16,
    pub(crate) phrase: &'static str,
}

impl Fault {
    const fn bad(phrase: &'static str) -> Fault {
        Fault { code: 400, phrase }
    }

    pub(crate) const TOO_LARGE: Fault = Fault { code: 513, phrase: "Message Too Large" };
    pub(crate) const VERSION: Fault = Fault { code: 505, phrase: "Version Not Supported" };
    pub(crate) const BAD_LINE: Fault = Fault::bad("Bad Request Line");
    pub(crate) const BAD_URI: Fault = Fault::bad("Bad Request-URI");
    pub(crate) const BAD_HEADER: Fault = Fault::bad("Bad Header Field");
    pub(crate) const BAD_LENGTH: Fault = Fault::bad("Bad Content-Length");
    pub(crate) const SHORT_BODY: Fault = Fault::bad("Body Shorter Than Content-Length");
}

/// Checks Via, From, To, Call-ID, CSeq, Max-Forwards, Date and Contact.
pub(crate) fn check(message: &Message) -> Result<(), Fault> {
    let mut vias = 0usize;
    for header in message.all("Via") {
        vias += Via::read_list(header.value()).ok_or(Fault::bad("Bad Via"))?.len();
    }
    if vias == 0 {
        return Err(Fault::bad("Missing Via"));
    }
    let from = single(message, "From", "Missing From", "More Than One From")?;
    NameAddr::read(from).ok_or(Fault::bad("Bad From"))?;
    let to = single(message, "To", "Missing To", "More Than One To")?;
    NameAddr::read(to).ok_or(Fault::bad("Bad To"))?;
    if single(message, "Call-ID", "Missing Call-ID", "More Than One Call-ID")?.is_empty() {
        return Err(Fault::bad("Missing Call-ID"));
    }
    single(message, "CSeq", "Missing CSeq", "More Than One CSeq")?;
    let cseq = message.cseq().ok_or(Fault::bad("Bad CSeq"))?;
    match &message.start {
        Start::Request { method, .. } => check_request(message, method, &cseq.method),
        Start::Response { .. } => Ok(()),
    }
}

fn check_request(message: &Message, method: &Method, cseq_method: &Method) -> Result<(), Fault> {
    if cseq_method != method {
        return Err(Fault::bad("CSeq Method Mismatch"));
    }
    let mut hops = message.all("Max-Forwards");
    if let Some(first) = hops.next() {
        let fine = number(first.value()).is_some_and(|n| n <= 255);
        if !fine || hops.next().is_some() {
            return Err(Fault::bad("Bad Max-Forwards"));
        }
    }
    if let Some(date) = message.value("Date") {
        // RFC 3261 §20.17: the only zone is GMT.
        if !date.ends_with(b"GMT") {
            return Err(Fault::bad("Bad Date"));
        }
    }
    for header in message.all("Contact") {
        if &header.value()[..] != b"*" && NameAddr::read_list(header.value()).is_none() {
            return Err(Fault::bad("Bad Contact"));
        }
    }
    for name in ["Route", "Record-Route"] {
        for header in message.all(name) {
            NameAddr::read_list(header.value()).ok_or(Fault::bad("Bad Route"))?;
        }
    }
    Ok(())
}

fn single<'a>(
    message: &'a Message,
    name: &'static str,
    missing: &'static str,
    many: &'static str,
) -> Result<&'a bytes::Bytes, Fault> {
    let mut found = message.headers().iter().filter(|h| h.is(name));
    let first = found.next().ok_or(Fault::bad(missing))?;
    if found.next().is_some() {
        return Err(Fault::bad(many));
    }
    Ok(first.value())
}
