//! Typed readings of headers: CSeq, tags, routes, option tags, Session-Expires, Reason, Warning, challenges.

use bytes::Bytes;
use fax_base::time::Duration;

use super::name_addr::NameAddr;
use super::scan::{Params, find_outside, is_token, number, split, text, unquote};
use super::uri::Uri;
use super::via::Via;
use super::{Message, Method};

/// CSeq (RFC 3261 §20.16).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct CSeq {
    /// Below 2³¹.
    pub number: u32,
    /// The method.
    pub method: Method,
}

/// Session-Expires (RFC 4028 §4).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionExpires {
    /// Seconds.
    pub seconds: u32,
    /// Who refreshes, where said: `Some(true)` for `refresher=uac`.
    pub refresher_is_uac: Option<bool>,
}

/// One challenge of WWW-Authenticate or Proxy-Authenticate (RFC 3261 §20.44, RFC 7616 §3.3).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Challenge {
    /// `Digest`, as written.
    pub scheme: String,
    pairs: Vec<(String, String)>,
}

impl Challenge {
    /// A parameter, quotes removed.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// Reads the challenges of one header; several may follow each other with commas.
    #[must_use]
    pub fn read_list(value: &Bytes) -> Vec<Challenge> {
        let mut list: Vec<Challenge> = Vec::new();
        let Ok(parts) = split(value, b',') else {
            return list;
        };
        for part in parts {
            let equals = find_outside(part, b"=").ok().flatten();
            let gap = part.iter().position(u8::is_ascii_whitespace);
            let (scheme, pair) = match (gap, equals) {
                (Some(g), Some(e)) if g < e && !part[g..e].trim_ascii().is_empty() => {
                    (Some(&part[..g]), part[g..].trim_ascii())
                }
                (_, None) if !part.is_empty() => (Some(part), &part[..0]),
                _ => (None, part),
            };
            if let Some(scheme) = scheme {
                list.push(Challenge { scheme: text(scheme.trim_ascii()), pairs: Vec::new() });
            }
            if let (Some(last), Some(e)) = (list.last_mut(), pair.iter().position(|&b| b == b'=')) {
                last.pairs.push((text(pair[..e].trim_ascii()), text(&unquote(&pair[e + 1..]))));
            }
        }
        list
    }
}

/// `q=0.7` in thousandths (§20.10).
pub(crate) fn qvalue(value: Option<Bytes>) -> u16 {
    let Some(value) = value else { return 1_000 };
    let value = text(&value);
    let (whole, part) = value.split_once('.').unwrap_or((&value, ""));
    let digits: String = part.chars().chain("000".chars()).take(3).collect();
    match (whole.parse::<u16>(), digits.parse::<u16>()) {
        (Ok(0), Ok(part)) => part,
        (Ok(_), _) => 1_000,
        (Err(_), _) => 0,
    }
}

impl Message {
    /// CSeq; `None` when it is missing or not within 31 bits.
    #[must_use]
    pub fn cseq(&self) -> Option<CSeq> {
        let value = self.value("CSeq")?;
        let gap = value.iter().position(u8::is_ascii_whitespace)?;
        let method = value[gap..].trim_ascii();
        let number = number(&value[..gap]).filter(|n| *n < 1 << 31)?;
        is_token(method)
            .then(|| CSeq { number: u32::try_from(number).unwrap_or(0), method: Method::new(&text(method)) })
    }

    /// RSeq of a reliable provisional response (RFC 3262 §7.1).
    #[must_use]
    pub fn rseq(&self) -> Option<u32> {
        number(self.value("RSeq")?).and_then(|n| u32::try_from(n).ok()).filter(|n| *n > 0)
    }

    /// RAck of a PRACK: RSeq and CSeq of what it acknowledges, an INVITE's answer (RFC 3262 §7.2).
    #[must_use]
    pub fn rack(&self) -> Option<(u32, u32)> {
        let value = text(self.value("RAck")?);
        let mut words = value.split_ascii_whitespace();
        let mut next = || words.next().and_then(|w| number(w.as_bytes())).and_then(|n| u32::try_from(n).ok());
        let (rseq, cseq) = (next()?, next()?);
        (words.next() == Some("INVITE")).then_some((rseq, cseq))
    }

    /// Call-ID as written.
    #[must_use]
    pub fn call_id(&self) -> Bytes {
        self.value("Call-ID").cloned().unwrap_or_default()
    }

    /// From.
    #[must_use]
    pub fn from(&self) -> Option<NameAddr> {
        NameAddr::read(self.value("From")?)
    }

    /// To.
    #[must_use]
    pub fn to(&self) -> Option<NameAddr> {
        NameAddr::read(self.value("To")?)
    }

    /// The tag of From, empty when there is none (RFC 2543 peers).
    #[must_use]
    pub fn from_tag(&self) -> Bytes {
        self.from().and_then(|f| f.tag()).unwrap_or_default()
    }

    /// The tag of To.
    #[must_use]
    pub fn to_tag(&self) -> Option<Bytes> {
        self.to().and_then(|t| t.tag())
    }

    /// The topmost Via.
    #[must_use]
    pub fn top_via(&self) -> Option<Via> {
        Via::read_list(self.value("Via")?)?.into_iter().next()
    }

    /// How many hops are in Via.
    #[must_use]
    pub fn via_count(&self) -> usize {
        self.all("Via").map(|h| Via::read_list(h.value()).map_or(1, |l| l.len())).sum()
    }

    /// The address of the first Contact.
    #[must_use]
    pub fn contact(&self) -> Option<Uri> {
        NameAddr::read_list(self.value("Contact")?)?.first().map(|c| c.uri().clone())
    }

    /// All Record-Route entries in order, as written.
    #[must_use]
    pub fn record_route(&self) -> Vec<NameAddr> {
        self.addresses("Record-Route")
    }

    /// All addresses of a header that is a list of them, in order, as written; what is none is left out.
    #[must_use]
    pub fn addresses(&self, name: &str) -> Vec<NameAddr> {
        self.all(name).filter_map(|h| NameAddr::read_list(h.value())).flatten().collect()
    }

    /// All words of a header with comma-separated tokens: Require, Supported, Allow …
    #[must_use]
    pub fn tokens(&self, name: &str) -> Vec<String> {
        self.all(name)
            .flat_map(|h| h.value().split(|&b| b == b',').map(|p| text(p.trim_ascii())).collect::<Vec<_>>())
            .filter(|t| !t.is_empty())
            .collect()
    }

    /// Whether a comma-separated header holds this word.
    #[must_use]
    pub fn has_token(&self, name: &str, token: &str) -> bool {
        self.tokens(name).iter().any(|t| t.eq_ignore_ascii_case(token))
    }

    /// A header that is a number with perhaps a comment or parameters behind: Expires, Min-Expires, Retry-After.
    /// Too large is the largest.
    #[must_use]
    pub fn seconds(&self, name: &str) -> Option<u32> {
        let value = self.value(name)?;
        let end = value.iter().position(|b| !b.is_ascii_digit()).unwrap_or(value.len());
        (end > 0).then(|| number(&value[..end]).and_then(|n| u32::try_from(n).ok()).unwrap_or(u32::MAX))
    }

    /// Retry-After as a time.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.seconds("Retry-After").map(|s| Duration::from_secs(u64::from(s)))
    }

    /// Session-Expires.
    #[must_use]
    pub fn session_expires(&self) -> Option<SessionExpires> {
        let seconds = self.seconds("Session-Expires")?;
        let value = self.value("Session-Expires")?;
        let refresher = value
            .iter()
            .position(|&b| b == b';')
            .and_then(|i| Params::read(value, &value[i + 1..]).ok())
            .and_then(|p| p.get("refresher"));
        Some(SessionExpires { seconds, refresher_is_uac: refresher.map(|r| r.eq_ignore_ascii_case(b"uac")) })
    }

    /// The cause of `Reason: Q.850;cause=N` (RFC 3326).
    #[must_use]
    pub fn q850(&self) -> Option<u16> {
        self.reason_cause(b"Q.850")
    }

    /// The cause of `Reason: SIP;cause=N` (RFC 3326).
    #[must_use]
    pub fn sip_cause(&self) -> Option<u16> {
        self.reason_cause(b"SIP")
    }

    fn reason_cause(&self, protocol: &[u8]) -> Option<u16> {
        self.all("Reason").find_map(|h| {
            let value = h.value();
            split(value, b',').ok()?.into_iter().find_map(|part| {
                let end = part.iter().position(|&b| b == b';')?;
                if !part[..end].trim_ascii().eq_ignore_ascii_case(protocol) {
                    return None;
                }
                let params = Params::read(value, &part[end + 1..]).ok()?;
                number(&params.get("cause")?).and_then(|n| u16::try_from(n).ok())
            })
        })
    }

    /// All Contacts with their `q` (0 to 1000; 1000 when not said), best first (§8.1.3.4).
    #[must_use]
    pub fn contacts_by_preference(&self) -> Vec<(Uri, u16)> {
        let contacts = self.all("Contact").filter_map(|h| NameAddr::read_list(h.value())).flatten();
        let mut list: Vec<(Uri, u16)> =
            contacts.take(32).map(|c| (c.uri().clone(), qvalue(c.params().get("q")))).collect();
        list.sort_by_key(|(_, q)| core::cmp::Reverse(*q));
        list
    }

    /// The text of `Reason`, where it has one.
    #[must_use]
    pub fn reason_text(&self) -> Option<String> {
        let value = self.value("Reason")?;
        let start = value.iter().position(|&b| b == b';')?;
        let params = Params::read(value, &value[start + 1..]).ok()?;
        params.get("text").map(|t| text(&t))
    }

    /// The text of the first Warning.
    #[must_use]
    pub fn warning(&self) -> Option<String> {
        let value = self.value("Warning")?;
        let from = value.iter().position(|&b| b == b'"')?;
        Some(text(&unquote(&value[from..])))
    }

    /// The media type of the body, lower case, without parameters.
    #[must_use]
    pub fn content_type(&self) -> Option<String> {
        let value = self.value("Content-Type")?;
        let end = value.iter().position(|&b| b == b';').unwrap_or(value.len());
        let kind: String = text(&value[..end]).chars().filter(|c| !c.is_whitespace()).collect();
        Some(kind.to_ascii_lowercase())
    }

    /// The SDP in the body: the body itself, or the first `application/sdp` part of a multipart one.
    #[must_use]
    pub fn sdp(&self) -> Option<Bytes> {
        if self.body.is_empty() {
            return None;
        }
        match self.content_type().as_deref() {
            // Old peers leave the type out.
            None if self.body.starts_with(b"v=0") => Some(self.body.clone()),
            Some("application/sdp") => Some(self.body.clone()),
            Some(kind) if kind.starts_with("multipart/") => self.sdp_part(),
            _ => None,
        }
    }

    fn sdp_part(&self) -> Option<Bytes> {
        let value = self.value("Content-Type")?;
        let start = value.iter().position(|&b| b == b';')?;
        let boundary = Params::read(value, &value[start + 1..]).ok()?.get("boundary")?;
        let mark = [b"--", &boundary[..]].concat();
        let mut at = 0;
        let mut part_start = None;
        // Boundaries stand at line starts (RFC 2046 §5.1.1); the line end before one belongs to it.
        while at < self.body.len() {
            let line =
                at + self.body[at..].iter().position(|&b| b == b'\n').map_or(self.body.len() - at, |i| i + 1);
            if self.body[at..line].starts_with(&mark) {
                if let Some(found) = part_start.and_then(|s| self.read_part(s, at)) {
                    return Some(found);
                }
                part_start = Some(line);
            }
            at = line;
        }
        None
    }

    fn read_part(&self, start: usize, end: usize) -> Option<Bytes> {
        let part = self.body.slice(start..end);
        let (mut at, mut is_sdp) = (0, false);
        while at < part.len() {
            let line = part[at..].iter().position(|&b| b == b'\n').map(|i| at + i + 1)?;
            let text = text(part[at..line].trim_ascii()).to_ascii_lowercase();
            at = line;
            if text.is_empty() {
                break;
            }
            if let Some(kind) = text.strip_prefix("content-type:") {
                is_sdp = kind.trim_start().starts_with("application/sdp");
            }
        }
        let body = part.slice(at..);
        let body = body.strip_suffix(b"\n").map_or(&body[..], |b| b.strip_suffix(b"\r").unwrap_or(b));
        is_sdp.then(|| part.slice_ref(body))
    }
}
