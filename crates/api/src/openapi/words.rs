//! What each row of the table is called, in a few words.

use axum::http::Method;

use crate::route::{Folder, Resource};

/// The groups of paths.
pub(super) const TAGS: &[(&str, &str)] = &[
    ("login", "Keys and passwords become tokens."),
    ("faxes", "Send, watch, fetch, send again."),
    ("accounts", "Accounts, users, faxboxes, numbers, call flows and keys."),
    ("web hooks", "URLs that are told what happens to faxes, signed, until they have heard it."),
    (
        "operation",
        "What the server learnt, its trunks, bans, and its configuration: for the operator's account.",
    ),
    ("description", "What documents have to look like, and what this server is."),
];

/// What comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Shape {
    /// One document.
    One,
    /// A list in pages.
    Page,
    /// A list as a whole.
    List,
    /// A file.
    File,
    /// Events, until somebody has heard enough.
    Stream,
}

/// What a verb gives back.
pub(super) fn shape(resource: Resource, verb: &Method) -> Shape {
    if *verb != Method::GET {
        return Shape::One;
    }
    match resource {
        Resource::Children
        | Resource::Descendants
        | Resource::Users
        | Resource::Faxboxes
        | Resource::Callflows
        | Resource::Keys
        | Resource::Audit
        | Resource::Webhooks
        | Resource::Destinations
        | Resource::SmtpLog
        | Resource::Folder(_) => Shape::Page,
        Resource::Trunks
        | Resource::Schemas
        | Resource::Hooks
        | Resource::HookSamples
        | Resource::WebhookAttempts
        | Resource::AllWebhookAttempts
        | Resource::CallbackAttempts => Shape::List,
        Resource::Attachment(_) => Shape::File,
        Resource::Events => Shape::Stream,
        _ => Shape::One,
    }
}

/// The group of a resource.
pub(super) fn tag(resource: Resource) -> &'static str {
    match resource {
        Resource::ApiAuth | Resource::UserAuth => "login",
        Resource::Faxes
        | Resource::Folder(_)
        | Resource::Fax(_)
        | Resource::Attachment(_)
        | Resource::SmtpLog
        | Resource::SmtpLogEntry
        | Resource::Events => "faxes",
        Resource::Destinations
        | Resource::Destination
        | Resource::Trunks
        | Resource::Trunk
        | Resource::Bans
        | Resource::Ban
        | Resource::Reload => "operation",
        Resource::Webhooks
        | Resource::Webhook
        | Resource::WebhookAttempts
        | Resource::AllWebhookAttempts
        | Resource::CallbackAttempts
        | Resource::Hooks
        | Resource::HookSamples
        | Resource::HookSample => "web hooks",
        Resource::Schemas | Resource::Schema | Resource::About => "description",
        Resource::Accounts
        | Resource::Account
        | Resource::Children
        | Resource::Descendants
        | Resource::Users
        | Resource::User
        | Resource::Faxboxes
        | Resource::Faxbox
        | Resource::Numbers
        | Resource::Number
        | Resource::Callflows
        | Resource::Callflow
        | Resource::Keys
        | Resource::Key
        | Resource::ApiKey
        | Resource::Audit => "accounts",
    }
}

/// What a verb does.
pub(super) fn summary(resource: Resource, verb: &Method) -> String {
    let (one, many) = noun(resource);
    match (resource, verb.as_str()) {
        (Resource::ApiAuth, _) => "Log in with an API key".into(),
        (Resource::UserAuth, _) => "Log in with user name and password".into(),
        (Resource::Faxes | Resource::Folder(_), "PUT") => "Send a fax".into(),
        (Resource::Fax(Folder::Outbox), "PUT") => "Send it again (`action: resubmit`)".into(),
        (Resource::Fax(Folder::Outgoing), "PUT") => "Send it again, now (`action: restart`)".into(),
        (Resource::Fax(_), "POST") => "Change a fax: what is given counts over what was".into(),
        (Resource::Fax(_), "PUT") => "Send it on to another number (`action: forward`)".into(),
        (Resource::Fax(Folder::Outgoing), "DELETE") => "Call a fax off".into(),
        (Resource::Account, "PUT") => "Make an account below this one".into(),
        (Resource::Number, "PUT") => "Give a number to the account".into(),
        (Resource::Attachment(_), "GET") => "The document as PDF or TIFF".into(),
        (Resource::Attachment(_), "DELETE") => "Remove the document; what is known of the fax stays".into(),
        (Resource::Events, _) => {
            "What happens to faxes on this node as it happens (server-sent events)".into()
        }
        (Resource::ApiKey, "PUT") => "Make the account's own key anew".into(),
        (Resource::Reload, _) => "Read the configuration again".into(),
        (Resource::About, _) => "What this server is".into(),
        (Resource::Ban, _) => "Lift a ban".into(),
        (Resource::Webhooks, "PUT") => {
            "Make a web hook; its secret is in this answer and never shown again".into()
        }
        (Resource::Webhooks, "PATCH") => "Switch on all that were switched off (`re-enable: true`)".into(),
        (_, "GET") if shape(resource, verb) == Shape::One => format!("See {one}"),
        (_, "GET") => format!("List {many}"),
        (_, "PUT") => format!("Make {one}"),
        (_, "POST") => format!("Replace {one}"),
        (_, "PATCH") => format!("Change {one}: what is given is merged, what is null is removed"),
        _ => format!("Remove {one}"),
    }
}

fn noun(resource: Resource) -> (&'static str, &'static str) {
    match resource {
        Resource::ApiAuth | Resource::UserAuth => ("a token", "tokens"),
        Resource::Accounts | Resource::Account => ("an account", "accounts"),
        Resource::Children => ("an account", "the accounts right below"),
        Resource::Descendants => ("an account", "all accounts below"),
        Resource::Users | Resource::User => ("a user", "users"),
        Resource::Faxboxes | Resource::Faxbox => ("a faxbox", "faxboxes"),
        Resource::Numbers => ("the numbers of the account", "numbers"),
        Resource::Number => ("a number", "numbers"),
        Resource::Callflows | Resource::Callflow => ("a call flow", "call flows"),
        Resource::Keys | Resource::Key => ("an API key", "API keys"),
        Resource::ApiKey => ("the account's own key", "keys"),
        Resource::Events => ("an event", "events"),
        Resource::Audit => ("a record", "who looked at what and changed what"),
        Resource::Destinations => ("a number", "what was learnt of numbers"),
        Resource::Destination => ("what was learnt of a number", "numbers"),
        Resource::Trunks => ("a trunk", "trunks and what was learnt of them"),
        Resource::Trunk => ("a trunk and what was learnt of it", "trunks"),
        Resource::Bans => ("who is banned, and what was turned away", "bans"),
        Resource::Ban => ("a ban", "bans"),
        Resource::Reload => ("the configuration", "configurations"),
        Resource::Faxes | Resource::Attachment(_) => ("a fax", "faxes"),
        Resource::Folder(Folder::Outgoing) => ("a fax", "faxes that are waiting or under way"),
        Resource::Folder(Folder::Outbox) => ("a fax", "faxes that were sent or given up"),
        Resource::Folder(Folder::Inbox) => ("a fax", "faxes that were received"),
        Resource::Folder(Folder::Incoming) => ("a fax", "faxes that are coming in on this node"),
        Resource::Fax(_) => ("a fax", "faxes"),
        Resource::SmtpLog | Resource::SmtpLogEntry => ("a mail that was refused", "mails that were refused"),
        Resource::Webhooks | Resource::Webhook => ("a web hook", "web hooks"),
        Resource::WebhookAttempts => ("an attempt", "what came of calling it, the newest first"),
        Resource::CallbackAttempts => ("an attempt", "what came of calling its callbacks, the newest first"),
        Resource::AllWebhookAttempts => ("an attempt", "what came of calling web hooks, the newest first"),
        Resource::Hooks => ("a kind of hook", "the kinds of web hooks there are"),
        Resource::HookSamples => ("a sample", "what hooks are told, by example"),
        Resource::HookSample => ("what one kind of hook is told, by example", "samples"),
        Resource::Schemas => ("a schema", "the names of all schemas"),
        Resource::Schema => ("what a kind of document has to look like (JSON Schema)", "schemas"),
        Resource::About => ("what this server is", "servers"),
    }
}

/// What a part of a path stands for.
pub(super) fn placeholder(name: &str) -> &'static str {
    match name {
        "account" => "The account's id.",
        "user" => "The user's id: what is the user's own.",
        "faxbox" => "The faxbox's id: what is in it.",
        _ => "The id.",
    }
}
