//! A received fax.

use super::{AccountId, DocumentKey, FaxId, FaxboxId, Timestamp};
use serde::{Deserialize, Serialize};

/// A received fax, whole or in part.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Received {
    /// Its id.
    pub id: FaxId,
    /// Whose it is.
    pub account: AccountId,
    /// The faxbox it came to.
    #[serde(default)]
    pub faxbox: Option<FaxboxId>,
    /// When the call ended.
    pub created: Timestamp,
    /// Caller's number.
    #[serde(default)]
    pub from_number: String,
    /// Caller's name.
    #[serde(default)]
    pub from_name: String,
    /// The number that was called.
    #[serde(default)]
    pub to_number: String,
    /// The number that was called first, where the call was diverted to ours; else empty.
    #[serde(default)]
    pub diverted_from: String,
    /// The far end's subscriber number (TSI).
    #[serde(default)]
    pub remote_ident: Option<String>,
    /// TIFF-F; nothing when not even one page came.
    #[serde(default)]
    pub document: Option<DocumentKey>,
    /// Pages in it.
    pub pages: u32,
    /// Whether everything came that the sender meant to send.
    pub success: bool,
    /// The class: `ok`, or the key of a failure such as `r.t2`.
    #[serde(default)]
    pub class: String,
    /// The result in a plain sentence.
    pub result_text: String,
    /// The last rate, bit/s.
    #[serde(default)]
    pub bit_rate: Option<u32>,
    /// The last modem: `V.17`, `V.29`, `V.27ter`.
    #[serde(default)]
    pub modem: Option<String>,
    /// Whether error correction was used.
    #[serde(default)]
    pub ecm: bool,
    /// The coding on the line: `MH`, `MR`, `MMR`.
    #[serde(default)]
    pub coding: Option<String>,
    /// The last resolution, such as `204 × 196`.
    #[serde(default)]
    pub resolution: Option<String>,
    /// Whether it came by T.38.
    #[serde(default)]
    pub t38: bool,
    /// Rows that could not be decoded.
    #[serde(default)]
    pub bad_rows: u32,
    /// The longest run of them.
    #[serde(default)]
    pub longest_bad_run: u32,
    /// The SIP Call-ID.
    #[serde(default)]
    pub call_id: String,
    /// Length of the call, ms.
    #[serde(default)]
    pub duration_ms: u64,
    /// E-mail addresses that are told.
    #[serde(default)]
    pub notify: Vec<String>,
    /// Octets of the TIFF-F.
    #[serde(default)]
    pub size: u64,
    /// Fields of the client that are kept and given back.
    #[serde(default)]
    pub client: serde_json::Map<String, serde_json::Value>,
    /// The ladder of frames, a line of text each; bounded.
    #[serde(default)]
    pub trace: Vec<String>,
}
