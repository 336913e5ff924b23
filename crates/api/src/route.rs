//! Paths: pairs of resource and id, as Crossbar nests them, and the verbs each knows.

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
    /// Shown as the inbox.
    Incoming,
}

impl Folder {
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

/// Faxes of what: the nesting of a fax path.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Scope {
    /// `/accounts/{A}`.
    pub account: String,
    /// `/faxboxes/{F}` below it.
    pub faxbox: Option<String>,
    /// `/users/{U}` below it.
    pub user: Option<String>,
}

/// What a path means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Route {
    /// `/api_auth`.
    ApiAuth,
    /// `/user_auth`.
    UserAuth,
    /// `/accounts/{A}`.
    Account(String),
    /// `…/faxboxes`.
    Faxboxes(Scope),
    /// `…/faxboxes/{F}`.
    Faxbox(Scope, String),
    /// `…/faxes`.
    Faxes(Scope),
    /// `…/faxes/{folder}`.
    Folder(Scope, Folder),
    /// `…/faxes/{folder}/{id}`.
    Fax(Scope, Folder, String),
    /// `…/faxes/{folder}/{id}/attachment`.
    Attachment(Scope, Folder, String),
    /// `…/faxes/smtplog`.
    SmtpLog(Scope),
    /// `…/faxes/smtplog/{id}`.
    SmtpLogEntry(Scope, String),
    /// `/accounts/{A}/destinations`: what was learnt of numbers.
    Destinations(String),
    /// `/accounts/{A}/destinations/{number}`.
    Destination(String, String),
    /// `/accounts/{A}/trunks`: what was learnt of trunks.
    Trunks(String),
    /// `/accounts/{A}/trunks/{name}`.
    Trunk(String, String),
    /// `/accounts/{A}/bans`: who is banned from the SIP side.
    Bans(String),
    /// `/accounts/{A}/bans/{address}`.
    Ban(String, String),
    /// `/accounts/{A}/reload`: the configuration is read again.
    Reload(String),
}

impl Route {
    /// The meaning of the path behind `/v2/`. Empty segments are passed over.
    #[must_use]
    pub fn of_path(path: &str) -> Option<Route> {
        let segments: Vec<&str> = path.split('/').filter(|s| !s.is_empty()).collect();
        match segments.as_slice() {
            ["api_auth"] => Some(Route::ApiAuth),
            ["user_auth"] => Some(Route::UserAuth),
            ["accounts", account, rest @ ..] => {
                let scope = Scope { account: (*account).to_owned(), ..Scope::default() };
                Self::below_account(scope, rest)
            }
            _ => None,
        }
    }

    fn below_account(scope: Scope, rest: &[&str]) -> Option<Route> {
        Some(match rest {
            [] if scope.user.is_none() => Route::Account(scope.account),
            ["users", user, rest @ ..] if scope.user.is_none() && !rest.is_empty() => {
                return Self::below_account(Scope { user: Some((*user).to_owned()), ..scope }, rest);
            }
            ["destinations"] if scope.user.is_none() => Route::Destinations(scope.account),
            ["destinations", number] if scope.user.is_none() => {
                Route::Destination(scope.account, (*number).to_owned())
            }
            ["bans"] if scope.user.is_none() => Route::Bans(scope.account),
            ["bans", address] if scope.user.is_none() => Route::Ban(scope.account, (*address).to_owned()),
            ["reload"] if scope.user.is_none() => Route::Reload(scope.account),
            ["trunks"] if scope.user.is_none() => Route::Trunks(scope.account),
            ["trunks", name] if scope.user.is_none() => Route::Trunk(scope.account, (*name).to_owned()),
            ["faxboxes"] => Route::Faxboxes(scope),
            ["faxboxes", id] => Route::Faxbox(scope, (*id).to_owned()),
            ["faxboxes", id, "faxes", rest @ ..] => {
                return Self::below_faxes(Scope { faxbox: Some((*id).to_owned()), ..scope }, rest);
            }
            ["faxes", rest @ ..] => return Self::below_faxes(scope, rest),
            _ => return None,
        })
    }

    fn below_faxes(scope: Scope, rest: &[&str]) -> Option<Route> {
        match rest {
            [] => return Some(Route::Faxes(scope)),
            ["smtplog"] => return Some(Route::SmtpLog(scope)),
            ["smtplog", id] => return Some(Route::SmtpLogEntry(scope, (*id).to_owned())),
            _ => {}
        }
        let (folder, rest) = rest.split_first()?;
        let folder = [Folder::Outgoing, Folder::Outbox, Folder::Inbox, Folder::Incoming]
            .into_iter()
            .find(|f| f.as_str() == *folder)?;
        match rest {
            [] => Some(Route::Folder(scope, folder)),
            [id] => Some(Route::Fax(scope, folder, (*id).to_owned())),
            [id, "attachment"] => Some(Route::Attachment(scope, folder, (*id).to_owned())),
            _ => None,
        }
    }

    /// The verbs that the path knows.
    #[must_use]
    pub fn verbs(&self) -> &'static [Method] {
        match self {
            Route::ApiAuth | Route::UserAuth | Route::Faxes(_) | Route::Reload(_) => &[Method::PUT],
            Route::Folder(_, Folder::Outgoing) => &[Method::GET, Method::PUT],
            Route::Fax(_, Folder::Outgoing, _) => &[Method::GET, Method::DELETE],
            Route::Fax(..) => &[Method::GET, Method::PUT, Method::DELETE],
            Route::Destination(..) | Route::Trunk(..) => &[Method::GET, Method::PATCH, Method::DELETE],
            Route::Ban(..) => &[Method::DELETE],
            Route::Account(_)
            | Route::Bans(_)
            | Route::Destinations(_)
            | Route::Trunks(_)
            | Route::Faxboxes(_)
            | Route::Faxbox(..)
            | Route::Folder(..)
            | Route::Attachment(..)
            | Route::SmtpLog(_)
            | Route::SmtpLogEntry(..) => &[Method::GET],
        }
    }

    /// Whose resource it is.
    #[must_use]
    pub fn account(&self) -> Option<&str> {
        match self {
            Route::ApiAuth | Route::UserAuth => None,
            Route::Account(account)
            | Route::Destinations(account)
            | Route::Destination(account, _)
            | Route::Trunks(account)
            | Route::Trunk(account, _)
            | Route::Bans(account)
            | Route::Ban(account, _)
            | Route::Reload(account) => Some(account),
            Route::Faxboxes(scope)
            | Route::Faxbox(scope, _)
            | Route::Faxes(scope)
            | Route::Folder(scope, _)
            | Route::Fax(scope, ..)
            | Route::Attachment(scope, ..)
            | Route::SmtpLog(scope)
            | Route::SmtpLogEntry(scope, _) => Some(&scope.account),
        }
    }

    /// Whether a document may come as the body.
    #[must_use]
    pub fn takes_document(&self) -> bool {
        matches!(self, Route::Faxes(_) | Route::Folder(_, Folder::Outgoing))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_pairs_below_accounts() {
        let scope = Scope { account: "A".into(), ..Scope::default() };
        assert_eq!(Route::of_path("accounts/A/faxes"), Some(Route::Faxes(scope.clone())));
        assert_eq!(
            Route::of_path("accounts/A/faxes/outgoing/"),
            Some(Route::Folder(scope.clone(), Folder::Outgoing))
        );
        assert_eq!(
            Route::of_path("accounts/A/faxboxes/F/faxes/outbox/202611-x/attachment"),
            Some(Route::Attachment(
                Scope { faxbox: Some("F".into()), ..scope.clone() },
                Folder::Outbox,
                "202611-x".into()
            ))
        );
        assert_eq!(
            Route::of_path("accounts/A/users/U/faxes/inbox"),
            Some(Route::Folder(Scope { user: Some("U".into()), ..scope }, Folder::Inbox))
        );
        let number = Route::Destination("A".into(), "%2B1415".into());
        assert_eq!(Route::of_path("accounts/A/destinations/%2B1415"), Some(number));
        assert_eq!(Route::of_path("accounts/A/trunks"), Some(Route::Trunks("A".into())));
        assert_eq!(Route::of_path("accounts/A/reload"), Some(Route::Reload("A".into())));
        let ban = Route::Ban("A".into(), "192.0.2.1".into());
        assert_eq!(Route::of_path("accounts/A/bans/192.0.2.1"), Some(ban));
        assert_eq!(Route::of_path("accounts/A/users/u/bans"), None);
        assert_eq!(Route::of_path("accounts/A/users/u/reload"), None);
        for nowhere in [
            "accounts/A/users/U/destinations",
            "accounts/A/destinations/1/2",
            "",
            "accounts",
            "accounts/A/nope",
            "accounts/A/faxes/nope",
            "accounts/A/faxes/inbox/x/y",
            "accounts/A/users/U",
        ] {
            assert_eq!(Route::of_path(nowhere), None, "{nowhere}");
        }
    }
}
