//! Which transaction a request belongs to (RFC 3261 §17.2.3), and requests that came by two ways (§8.2.2.2).

use bytes::Bytes;

use crate::message::{Message, Method};

/// What a request is matched by.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum ServerKey {
    /// The branch of the topmost Via, who put it there, and the method (ACK counts as INVITE).
    Branch { branch: Bytes, sent_by: Vec<u8>, method: String },
    /// Peers of RFC 2543: everything that must be equal instead.
    Old { call_id: Bytes, cseq: u32, from_tag: Bytes, via: Bytes, method: String },
}

impl ServerKey {
    /// The key of a request, read as if its method were `method`.
    pub(crate) fn of(request: &Message, method: &Method) -> Option<ServerKey> {
        let via = request.top_via()?;
        let method = method.as_str().to_owned();
        Some(match via.unique_branch() {
            Some(branch) => {
                let mut sent_by = via.host().to_ascii_lowercase();
                sent_by.extend_from_slice(via.port().unwrap_or(5060).to_string().as_bytes());
                ServerKey::Branch { branch, sent_by, method }
            }
            None => ServerKey::Old {
                call_id: request.call_id(),
                cseq: request.cseq()?.number,
                from_tag: request.from_tag(),
                via: request.value("Via")?.clone(),
                method,
            },
        })
    }
}

/// What two copies of one request have in common whatever way they came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) struct MergeKey {
    call_id: Bytes,
    from_tag: Bytes,
    cseq: u32,
    method: String,
}

impl MergeKey {
    /// Of a request outside any dialog.
    pub(crate) fn of(request: &Message) -> Option<MergeKey> {
        let cseq = request.cseq()?;
        let method = cseq.method.as_str().to_owned();
        Some(MergeKey { call_id: request.call_id(), from_tag: request.from_tag(), cseq: cseq.number, method })
    }
}
