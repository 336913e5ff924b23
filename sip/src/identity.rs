//! Who calls and for whom, as trunks say it: From, P-Asserted-Identity, P-Preferred-Identity, Privacy, Diversion, History-Info (RFC 3323, 3325, 5806, 7044), and `sip.fax` (RFC 6913).

use bytes::Bytes;

use crate::message::{Message, NameAddr, Uri, quote};

/// What a caller wishes to be kept (RFC 3323 §4.2, RFC 3325 §9.3).
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Privacy {
    /// `id`: P-Asserted-Identity is not to be shown to the called.
    pub id: bool,
    /// `user`: nor anything else of the caller.
    pub user: bool,
    /// `header`.
    pub header: bool,
    /// `session`.
    pub session: bool,
    /// `history`: nor who diverted the call.
    pub history: bool,
    /// `critical`: rather no call than no privacy.
    pub critical: bool,
}

impl Privacy {
    fn read(request: &Message) -> Privacy {
        let mut privacy = Privacy::default();
        for value in request.all("Privacy").map(|h| h.value().clone()) {
            // §4.2: words apart by semicolons; some peers write commas.
            for word in value.split(|b| b";, ".contains(b)) {
                match word.trim_ascii().to_ascii_lowercase().as_slice() {
                    b"id" => privacy.id = true,
                    b"user" => privacy.user = true,
                    b"header" => privacy.header = true,
                    b"session" => privacy.session = true,
                    b"history" => privacy.history = true,
                    b"critical" => privacy.critical = true,
                    b"none" => return Privacy::default(),
                    _ => {}
                }
            }
        }
        privacy
    }

    fn header(self) -> Option<String> {
        let words: Vec<&str> = [
            (self.user, "user"),
            (self.header, "header"),
            (self.session, "session"),
            (self.id, "id"),
            (self.history, "history"),
            (self.critical, "critical"),
        ]
        .into_iter()
        .filter_map(|(wanted, word)| wanted.then_some(word))
        .collect();
        (!words.is_empty()).then(|| words.join(";"))
    }

    /// Whether the caller's number must not be shown.
    #[must_use]
    pub const fn hides_caller(self) -> bool {
        self.id || self.user
    }
}

/// One diversion (RFC 5806 §5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Diversion {
    /// Who diverted.
    pub party: NameAddr,
    /// `unconditional`, `user-busy`, `no-answer` …, lower case; empty when not said.
    pub reason: String,
    /// How many diversions this entry stands for.
    pub counter: Option<u32>,
    /// It must not be shown (`privacy` other than `off`).
    pub private: bool,
}

/// One entry of History-Info (RFC 7044 §5).
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct HistoryEntry {
    /// Where the request was sent.
    pub target: NameAddr,
    /// `1.1.2`; empty when not said.
    pub index: String,
    /// The cause in the URI (RFC 4458): 302 unconditional, 486 busy, 408 no answer …
    pub cause: Option<u16>,
    /// The index of the entry that was retargeted (`mp`) or rerouted (`rc`).
    pub changed: Option<String>,
    /// It must not be shown (`Privacy=history` in the URI).
    pub private: bool,
}

/// What a caller or called side says of fax (RFC 6913 §3).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum FaxPreference {
    /// `sip.fax="t38"`, or no value.
    T38,
    /// `sip.fax="passthrough"`.
    Passthrough,
}

/// Everything a request says of who calls. How far to believe it is for the service to say, by where it came from.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Identity {
    /// P-Asserted-Identity: one `sip:` and one `tel:` at most, as a rule.
    pub asserted: Vec<NameAddr>,
    /// P-Preferred-Identity: what the caller would like to be asserted.
    pub preferred: Vec<NameAddr>,
    /// Remote-Party-ID, which old peers send instead.
    pub remote_party: Option<NameAddr>,
    /// Privacy; with `privacy=full` of Remote-Party-ID counted as `id`.
    pub privacy: Privacy,
    /// Diversion, the latest first.
    pub diversion: Vec<Diversion>,
    /// History-Info, the earliest first.
    pub history: Vec<HistoryEntry>,
    /// What Accept-Contact or Contact say of fax.
    pub fax: Option<FaxPreference>,
}

impl Identity {
    /// Reads a request; entries that are no addresses are left out.
    #[must_use]
    pub fn read(request: &Message) -> Identity {
        let remote_party = addresses(request, "Remote-Party-ID").into_iter().next();
        let mut privacy = Privacy::read(request);
        if let Some(party) = &remote_party {
            let word = party.params().get("privacy").unwrap_or_default();
            privacy.id |= !word.is_empty() && !word.eq_ignore_ascii_case(b"off");
        }
        Identity {
            asserted: addresses(request, "P-Asserted-Identity"),
            preferred: addresses(request, "P-Preferred-Identity"),
            remote_party,
            privacy,
            diversion: addresses(request, "Diversion").into_iter().map(diversion).collect(),
            history: addresses(request, "History-Info").into_iter().map(history).collect(),
            fax: fax_preference(request),
        }
    }

    /// Who calls, as the network vouches for it: P-Asserted-Identity, else Remote-Party-ID.
    #[must_use]
    pub fn network_caller(&self) -> Option<&NameAddr> {
        self.asserted.first().or(self.remote_party.as_ref())
    }

    /// The number that was called first, before any diversion: the earliest Diversion, else the first entry of
    /// History-Info where there is more than one.
    #[must_use]
    pub fn called_first(&self) -> Option<&Uri> {
        let diverted = self.diversion.last().map(|d| d.party.uri());
        diverted.or_else(|| self.history.first().filter(|_| self.history.len() > 1).map(|h| h.target.uri()))
    }
}

impl Identity {
    /// The same, where it may be shown (RFC 5806 §5; RFC 7044 §10.1.2).
    #[must_use]
    pub fn diverted_from(&self) -> Option<&Uri> {
        let hidden = self.privacy.history || self.privacy.header;
        let private = match (self.diversion.last(), self.history.first()) {
            (Some(diversion), _) => diversion.private,
            (None, Some(entry)) => entry.private,
            (None, None) => false,
        };
        self.called_first().filter(|_| !hidden && !private)
    }
}

fn addresses(request: &Message, name: &str) -> Vec<NameAddr> {
    request.addresses(name).into_iter().take(32).collect()
}

fn word(value: Option<Bytes>) -> String {
    crate::message::text(&value.unwrap_or_default()).to_ascii_lowercase()
}

fn diversion(party: NameAddr) -> Diversion {
    let params = party.params();
    let privacy = word(params.get("privacy"));
    Diversion {
        reason: word(params.get("reason")),
        counter: word(params.get("counter")).parse().ok(),
        private: !privacy.is_empty() && privacy != "off",
        party,
    }
}

fn history(target: NameAddr) -> HistoryEntry {
    let params = target.params();
    let changed = ["rc", "mp"].into_iter().find_map(|n| params.get(n)).map(|v| crate::message::text(&v));
    HistoryEntry {
        index: word(params.get("index")),
        cause: target.uri().parameter("cause").and_then(|c| c.parse().ok()),
        private: target.uri().to_string().to_ascii_lowercase().contains("privacy=history"),
        changed,
        target,
    }
}

fn fax_preference(request: &Message) -> Option<FaxPreference> {
    ["Accept-Contact", "Contact"].into_iter().find_map(|name| {
        request.all(name).find_map(|header| {
            let value = crate::message::text(header.value()).to_ascii_lowercase();
            // Within angle brackets it would be a parameter of the URI.
            let params = value.rsplit('>').next().unwrap_or_default();
            let found = params
                .split(';')
                .map(str::trim)
                .find(|p| p.split('=').next().unwrap_or_default().trim() == "+sip.fax")?;
            Some(if found.contains("passthrough") { FaxPreference::Passthrough } else { FaxPreference::T38 })
        })
    })
}

/// How we say who calls, as a trunk wants it: data for [`crate::Invite`].
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct OutgoingIdentity {
    /// The display name in From and P-Asserted-Identity; empty: none.
    pub display: String,
    /// The address in From, as `sip:+4930456@trunk.example`.
    pub address: String,
    /// Addresses in P-Asserted-Identity; trunks that trust us take the caller from here.
    pub asserted: Vec<String>,
    /// The address in P-Preferred-Identity; trunks that assert themselves pick by it.
    pub preferred: Option<String>,
    /// The caller is not to be shown: Privacy says so, and From is anonymous where `anonymous_from` is set.
    pub privacy: Privacy,
    /// From is `"Anonymous" <sip:anonymous@anonymous.invalid>` (RFC 3323 §4.1.1.3).
    pub anonymous_from: bool,
}

impl OutgoingIdentity {
    /// The value of From.
    #[must_use]
    pub fn from_header(&self) -> String {
        if self.anonymous_from {
            return String::from("\"Anonymous\" <sip:anonymous@anonymous.invalid>");
        }
        self.named(&self.address)
    }

    /// The other headers.
    #[must_use]
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut list = Vec::new();
        for address in &self.asserted {
            list.push((String::from("P-Asserted-Identity"), self.named(address)));
        }
        if let Some(address) = &self.preferred {
            list.push((String::from("P-Preferred-Identity"), self.named(address)));
        }
        if let Some(privacy) = self.privacy.header() {
            list.push((String::from("Privacy"), privacy));
        }
        list
    }

    fn named(&self, address: &str) -> String {
        let clean: String = self.display.chars().filter(|c| !c.is_control()).collect();
        if clean.is_empty() { format!("<{address}>") } else { format!("{} <{address}>", quote(&clean)) }
    }
}
