//! Paths: pairs of resource and id, as Crossbar nests them; the verbs each knows, and the right each verb needs.
//!
//! [`paths`] is the whole face as a table: what is not in it is not there, and tests go through it row by row.

use std::sync::LazyLock;

use axum::http::Method;

/// The folders of faxes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Folder {
    /// The live queue.
    Outgoing,
    /// Sent or given up.
    Outbox,
    /// Received.
    Inbox,
    /// Being received.
    Incoming,
}

impl Folder {
    /// All of them.
    pub const ALL: [Folder; 4] = [Folder::Outgoing, Folder::Outbox, Folder::Inbox, Folder::Incoming];

    /// As it stands in paths.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Folder::Outgoing => "outgoing",
            Folder::Outbox => "outbox",
            Folder::Inbox => "inbox",
            Folder::Incoming => "incoming",
        }
    }
}

/// What a request needs beyond a token of the account or one above it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Right {
    /// Nothing, not even a token.
    Open,
    /// Nothing more: what is the same for everybody, and tells nothing of an account.
    Token,
    /// To see faxes.
    ReadFaxes,
    /// To send, change and delete faxes.
    WriteFaxes,
    /// To see accounts, faxboxes, numbers.
    ReadSetup,
    /// To change them.
    WriteSetup,
    /// To see and change users and keys: who gets in. Whoever has it can give himself every other right.
    Access,
    /// To see who looked at what.
    ReadAudit,
    /// To see and change what was learnt, trunks, and to reload.
    Operate,
}

impl Right {
    /// The scope of a key that gives it; `None`: none is needed.
    #[must_use]
    pub const fn scope(self) -> Option<&'static str> {
        match self {
            Right::Open | Right::Token => None,
            Right::ReadFaxes => Some("faxes.read"),
            Right::WriteFaxes => Some("faxes.write"),
            Right::ReadSetup => Some("setup.read"),
            Right::WriteSetup => Some("setup.write"),
            Right::Access => Some("access"),
            Right::ReadAudit => Some("audit.read"),
            Right::Operate => Some("operate"),
        }
    }

    /// All scopes.
    pub const SCOPES: [&'static str; 7] =
        ["faxes.read", "faxes.write", "setup.read", "setup.write", "access", "audit.read", "operate"];
}

/// What a path means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resource {
    /// Log in by key.
    ApiAuth,
    /// Log in by user name and password.
    UserAuth,
    /// Accounts below the caller's.
    Accounts,
    /// An account.
    Account,
    /// The accounts right below one.
    Children,
    /// All accounts below one.
    Descendants,
    /// Users of an account.
    Users,
    /// A user.
    User,
    /// Faxboxes.
    Faxboxes,
    /// A faxbox.
    Faxbox,
    /// Numbers of an account.
    Numbers,
    /// A number.
    Number,
    /// Where calls to numbers go.
    Callflows,
    /// One of these.
    Callflow,
    /// API keys.
    Keys,
    /// An API key.
    Key,
    /// Who looked at what.
    Audit,
    /// What was learnt of numbers.
    Destinations,
    /// What was learnt of a number.
    Destination,
    /// Trunks, and what was learnt of them.
    Trunks,
    /// A trunk.
    Trunk,
    /// Who is banned from the SIP side.
    Bans,
    /// One of the bans.
    Ban,
    /// The configuration is read again.
    Reload,
    /// Faxes: a new one.
    Faxes,
    /// A list of faxes.
    Folder(Folder),
    /// One of them.
    Fax(Folder),
    /// Its document.
    Attachment(Folder),
    /// Mails that were refused.
    SmtpLog,
    /// One of them.
    SmtpLogEntry,
    /// What happens to faxes, as it happens.
    Events,
    /// The account's own key, as KAZOO has it: one, shown again.
    ApiKey,
    /// What documents have to look like.
    Schemas,
    /// One kind of them.
    Schema,
    /// What this server is.
    About,
    /// URLs that are told what happens.
    Webhooks,
    /// One of them.
    Webhook,
    /// What came of calling it.
    WebhookAttempts,
    /// What came of calling all of them.
    AllWebhookAttempts,
    /// What came of calling a faxbox's callbacks.
    CallbackAttempts,
    /// The kinds of hooks there are.
    Hooks,
    /// What they are told, by example.
    HookSamples,
    /// What one kind is told.
    HookSample,
}

impl Resource {
    /// The verbs that it knows and the right that each needs.
    #[must_use]
    pub fn verbs(self) -> &'static [(Method, Right)] {
        const COLLECTION: &[(Method, Right)] =
            &[(Method::GET, Right::ReadSetup), (Method::PUT, Right::WriteSetup)];
        const MEMBER: &[(Method, Right)] = &[
            (Method::GET, Right::ReadSetup),
            (Method::POST, Right::WriteSetup),
            (Method::PATCH, Right::WriteSetup),
            (Method::DELETE, Right::WriteSetup),
        ];
        match self {
            Resource::ApiAuth | Resource::UserAuth => &[(Method::PUT, Right::Open)],
            Resource::Accounts => &[(Method::PUT, Right::WriteSetup)],
            Resource::Account => &[
                (Method::GET, Right::ReadSetup),
                (Method::PUT, Right::WriteSetup),
                (Method::POST, Right::WriteSetup),
                (Method::PATCH, Right::WriteSetup),
                (Method::DELETE, Right::WriteSetup),
            ],
            Resource::Webhooks => &[
                (Method::GET, Right::ReadSetup),
                (Method::PUT, Right::WriteSetup),
                (Method::PATCH, Right::WriteSetup),
            ],
            Resource::Webhook => MEMBER,
            Resource::Children
            | Resource::Descendants
            | Resource::WebhookAttempts
            | Resource::AllWebhookAttempts
            | Resource::CallbackAttempts => &[(Method::GET, Right::ReadSetup)],
            Resource::Hooks
            | Resource::HookSamples
            | Resource::HookSample
            | Resource::Schemas
            | Resource::Schema
            | Resource::About => &[(Method::GET, Right::Token)],
            Resource::Faxboxes | Resource::Callflows => COLLECTION,
            Resource::Faxbox | Resource::Callflow => MEMBER,
            Resource::Users => &[(Method::GET, Right::ReadSetup), (Method::PUT, Right::Access)],
            Resource::User => &[
                (Method::GET, Right::ReadSetup),
                (Method::POST, Right::Access),
                (Method::PATCH, Right::Access),
                (Method::DELETE, Right::Access),
            ],
            Resource::Numbers => &[(Method::GET, Right::ReadSetup)],
            Resource::Number => &[
                (Method::GET, Right::ReadSetup),
                (Method::PUT, Right::WriteSetup),
                (Method::DELETE, Right::WriteSetup),
            ],
            Resource::Keys => &[(Method::GET, Right::Access), (Method::PUT, Right::Access)],
            Resource::Key => &[(Method::GET, Right::Access), (Method::DELETE, Right::Access)],
            Resource::Audit => &[(Method::GET, Right::ReadAudit)],
            Resource::Ban => &[(Method::DELETE, Right::Operate)],
            Resource::Destinations | Resource::Trunks | Resource::Bans => &[(Method::GET, Right::Operate)],
            Resource::Destination | Resource::Trunk => &[
                (Method::GET, Right::Operate),
                (Method::PATCH, Right::Operate),
                (Method::DELETE, Right::Operate),
            ],
            Resource::Reload => &[(Method::PUT, Right::Operate)],
            Resource::Faxes => &[(Method::PUT, Right::WriteFaxes)],
            Resource::Folder(Folder::Outgoing) => {
                &[(Method::GET, Right::ReadFaxes), (Method::PUT, Right::WriteFaxes)]
            }
            Resource::Fax(Folder::Outgoing) => &[
                (Method::GET, Right::ReadFaxes),
                (Method::PUT, Right::WriteFaxes),
                (Method::POST, Right::WriteFaxes),
                (Method::PATCH, Right::WriteFaxes),
                (Method::DELETE, Right::WriteFaxes),
            ],
            Resource::Attachment(Folder::Outbox | Folder::Inbox) => {
                &[(Method::GET, Right::ReadFaxes), (Method::DELETE, Right::WriteFaxes)]
            }
            Resource::ApiKey => &[(Method::GET, Right::Access), (Method::PUT, Right::Access)],
            Resource::Fax(Folder::Outbox | Folder::Inbox) => &[
                (Method::GET, Right::ReadFaxes),
                (Method::PUT, Right::WriteFaxes),
                (Method::DELETE, Right::WriteFaxes),
            ],
            Resource::Folder(_)
            | Resource::Fax(Folder::Incoming)
            | Resource::Attachment(_)
            | Resource::SmtpLog
            | Resource::SmtpLogEntry
            | Resource::Events => &[(Method::GET, Right::ReadFaxes)],
        }
    }

    /// The right that a verb needs; `None`: it is not known here.
    #[must_use]
    pub fn right(self, verb: &Method) -> Option<Right> {
        self.verbs().iter().find(|(known, _)| known == verb).map(|(_, right)| *right)
    }

    /// Whether its list has a range of time.
    #[must_use]
    pub fn is_dated(self) -> bool {
        matches!(self, Resource::Audit | Resource::SmtpLog | Resource::Folder(Folder::Outbox | Folder::Inbox))
    }

    /// Whether a document may come as the body.
    #[must_use]
    pub fn takes_document(self) -> bool {
        matches!(self, Resource::Faxes | Resource::Folder(Folder::Outgoing))
    }
}

/// A row of the table: a pattern such as `accounts/{account}/faxboxes/{id}`, and what it means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Path {
    /// Segments; those in braces stand for any one.
    pub pattern: String,
    /// What it means.
    pub resource: Resource,
}

static PATHS: LazyLock<Vec<Path>> = LazyLock::new(|| {
    let mut all = vec![
        ("api_auth".to_owned(), Resource::ApiAuth),
        ("user_auth".to_owned(), Resource::UserAuth),
        ("accounts".to_owned(), Resource::Accounts),
        ("schemas".to_owned(), Resource::Schemas),
        ("schemas/{id}".to_owned(), Resource::Schema),
        ("about".to_owned(), Resource::About),
        ("webhooks".to_owned(), Resource::Hooks),
        ("webhooks/samples".to_owned(), Resource::HookSamples),
        ("webhooks/samples/{id}".to_owned(), Resource::HookSample),
    ];
    let account = "accounts/{account}";
    all.extend(
        [
            ("", Resource::Account),
            ("/children", Resource::Children),
            ("/descendants", Resource::Descendants),
            ("/users", Resource::Users),
            ("/users/{id}", Resource::User),
            ("/faxboxes", Resource::Faxboxes),
            ("/faxboxes/{id}", Resource::Faxbox),
            ("/faxboxes/{id}/attempts", Resource::CallbackAttempts),
            ("/users/{user}/faxboxes", Resource::Faxboxes),
            ("/users/{user}/faxboxes/{id}", Resource::Faxbox),
            ("/phone_numbers", Resource::Numbers),
            ("/phone_numbers/{id}", Resource::Number),
            ("/callflows", Resource::Callflows),
            ("/callflows/{id}", Resource::Callflow),
            ("/api_keys", Resource::Keys),
            ("/api_keys/{id}", Resource::Key),
            ("/api_key", Resource::ApiKey),
            ("/webhooks", Resource::Webhooks),
            ("/webhooks/attempts", Resource::AllWebhookAttempts),
            ("/webhooks/{id}", Resource::Webhook),
            ("/webhooks/{id}/attempts", Resource::WebhookAttempts),
            ("/audit", Resource::Audit),
            ("/destinations", Resource::Destinations),
            ("/destinations/{id}", Resource::Destination),
            ("/trunks", Resource::Trunks),
            ("/trunks/{id}", Resource::Trunk),
            ("/bans", Resource::Bans),
            ("/bans/{id}", Resource::Ban),
            ("/reload", Resource::Reload),
        ]
        .map(|(rest, resource)| (format!("{account}{rest}"), resource)),
    );
    for nest in ["", "/users/{user}", "/faxboxes/{faxbox}", "/users/{user}/faxboxes/{faxbox}"] {
        let faxes = format!("{account}{nest}/faxes");
        all.push((faxes.clone(), Resource::Faxes));
        all.push((format!("{faxes}/smtplog"), Resource::SmtpLog));
        all.push((format!("{faxes}/smtplog/{{id}}"), Resource::SmtpLogEntry));
        all.push((format!("{faxes}/events"), Resource::Events));
        for folder in Folder::ALL {
            let list = format!("{faxes}/{}", folder.as_str());
            all.push((list.clone(), Resource::Folder(folder)));
            all.push((format!("{list}/{{id}}"), Resource::Fax(folder)));
            all.push((format!("{list}/{{id}}/attachment"), Resource::Attachment(folder)));
        }
    }
    all.into_iter().map(|(pattern, resource)| Path { pattern, resource }).collect()
});

/// Every path there is, behind `/v2/`.
#[must_use]
pub fn paths() -> &'static [Path] {
    &PATHS
}

/// Of what: the nesting of a path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    /// `/accounts/{A}`; empty where there is none.
    pub account: String,
    /// `/faxboxes/{F}` above faxes.
    pub faxbox: Option<String>,
    /// `/users/{U}` above faxboxes and faxes.
    pub user: Option<String>,
}

/// A path that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// What it means.
    pub resource: Resource,
    /// Of what.
    pub scope: Scope,
    /// Which one, escapes undone.
    pub id: String,
}

impl Route {
    /// The meaning of the path behind `/v2/`. Empty segments are passed over; where one has U+0000, which no id has, it is none.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Route> {
        let segments: Vec<String> = path.split('/').filter(|s| !s.is_empty()).map(decoded).collect();
        if segments.iter().any(|segment| segment.contains('\0')) {
            return None;
        }
        PATHS.iter().find_map(|path| {
            let mut route = Route { resource: path.resource, scope: Scope::default(), id: String::new() };
            let mut segments = segments.iter();
            for wanted in path.pattern.split('/') {
                let found = segments.next()?;
                match wanted {
                    "{account}" => route.scope.account.clone_from(found),
                    "{user}" => route.scope.user = Some(found.clone()),
                    "{faxbox}" => route.scope.faxbox = Some(found.clone()),
                    "{id}" => route.id.clone_from(found),
                    word if word == found => {}
                    _ => return None,
                }
            }
            segments.next().is_none().then_some(route)
        })
    }

    /// Whose resource it is.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        Some(self.scope.account.as_str()).filter(|a| !a.is_empty())
    }
}

/// A path segment with its `%XX` resolved (RFC 3986 §2.1); what is not UTF-8 then stays as it was.
fn decoded(segment: &str) -> String {
    let mut octets = Vec::new();
    let mut rest = segment.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let digits = |h: &&[u8]| first == b'%' && h.iter().all(u8::is_ascii_hexdigit);
        let hex = after.get(..2).filter(digits).and_then(|h| core::str::from_utf8(h).ok());
        match hex.and_then(|h| u8::from_str_radix(h, 16).ok()) {
            Some(octet) => {
                octets.push(octet);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                octets.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8(octets).unwrap_or_else(|_| segment.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(resource: Resource, id: &str, scope: Scope) -> Option<Route> {
        Some(Route { resource, scope, id: id.to_owned() })
    }

    #[test]
    fn paths_are_pairs_below_accounts() {
        let scope = Scope { account: "A".into(), ..Scope::default() };
        assert_eq!(Route::of_path("accounts/A/faxes"), route(Resource::Faxes, "", scope.clone()));
        assert_eq!(
            Route::of_path("accounts/A/faxes/outgoing/"),
            route(Resource::Folder(Folder::Outgoing), "", scope.clone())
        );
        let below = Scope { faxbox: Some("F".into()), ..scope.clone() };
        assert_eq!(
            Route::of_path("accounts/A/faxboxes/F/faxes/outbox/202611-x/attachment"),
            route(Resource::Attachment(Folder::Outbox), "202611-x", below)
        );
        let of_user = Scope { user: Some("U".into()), ..scope.clone() };
        assert_eq!(
            Route::of_path("accounts/A/users/U/faxes/inbox"),
            route(Resource::Folder(Folder::Inbox), "", of_user)
        );
        assert_eq!(
            Route::of_path("accounts/A/destinations/%2B1415"),
            route(Resource::Destination, "+1415", scope.clone())
        );
        assert_eq!(Route::of_path("accounts/A/users/U"), route(Resource::User, "U", scope));
        for nowhere in [
            "accounts/A/users/U/destinations",
            "accounts/A/users/U/reload",
            "accounts/A/destinations/1/2",
            "",
            "accounts/A/nope",
            "accounts/A/faxes/nope",
            "accounts/A/faxes/inbox/x/y",
            "accounts/A/faxes/inbox/a%00b",
            "accounts/A%00/faxes",
        ] {
            assert_eq!(Route::of_path(nowhere), None, "{nowhere}");
        }
    }

    #[test]
    fn every_path_of_the_table_is_found_as_itself() {
        for path in paths() {
            let concrete = path.pattern.replace(['{', '}'], "");
            let found = Route::of_path(&concrete).unwrap();
            assert_eq!(found.resource, path.resource, "{concrete}");
            assert!(!path.resource.verbs().is_empty(), "{concrete}");
        }
    }

    #[test]
    fn escapes_of_paths_are_resolved_and_others_left() {
        for (escaped, plain) in [
            ("%2B1415", "+1415"),
            ("+1415", "+1415"),
            ("a%20%c3%a4", "a ä"),
            ("%", "%"),
            ("%zz%f%+1", "%zz%f%+1"),
        ] {
            assert_eq!(decoded(escaped), plain);
        }
        assert_eq!(decoded("%ff"), "%ff");
    }
}
