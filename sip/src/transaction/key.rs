//! Which transaction a request belongs to (RFC 3261 §17.2.3), and requests that came by two ways (§8.2.2.2).

use crate::message::{Message, Method};

/// Parts one behind the other, each behind its length: octets of their own, which keep no datagram alive.
fn joined(parts: &[&[u8]]) -> Box<[u8]> {
    let size = parts.iter().map(|p| p.len() + 4).sum();
    let mut whole = Vec::with_capacity(size);
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        whole.extend_from_slice(&length.to_be_bytes());
        whole.extend_from_slice(part);
    }
    whole.into_boxed_slice()
}

/// What a request is matched by: the branch of the topmost Via, who put it there, and the method (ACK counts as
/// INVITE); for peers of RFC 2543 everything that must be equal instead.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct ServerKey(Box<[u8]>);

impl ServerKey {
    /// The key of a request, read as if its method were `method`.
    pub(crate) fn of(request: &Message, method: &Method) -> Option<ServerKey> {
        let via = request.top_via()?;
        let method = method.as_str().as_bytes();
        Some(ServerKey(match via.unique_branch() {
            Some(branch) => {
                let host = via.host().to_ascii_lowercase();
                let port = via.port().unwrap_or(5060).to_be_bytes();
                joined(&[&branch, &host, &port, method])
            }
            None => {
                let cseq = request.cseq()?.number.to_be_bytes();
                let via = request.value("Via")?;
                joined(&[&request.call_id(), &cseq, &request.from_tag(), via, method])
            }
        }))
    }
}

/// What two copies of one request have in common whatever way they came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct MergeKey(Box<[u8]>);

impl MergeKey {
    /// Of a request outside any dialog.
    pub(crate) fn of(request: &Message) -> Option<MergeKey> {
        let cseq = request.cseq()?;
        let (number, method) = (cseq.number.to_be_bytes(), cseq.method.as_str().as_bytes());
        Some(MergeKey(joined(&[&request.call_id(), &request.from_tag(), &number, method])))
    }
}
