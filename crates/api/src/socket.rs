//! Live status by WebSocket (RFC 6455) as KAZOO's blackhole speaks it: JSON messages that subscribe and unsubscribe, a reply to
//! each, and events.
//!
//! `{"action":"subscribe","auth_token":T,"request_id":R,"data":{"account_id":A,"binding":"fax.status.*"}}`

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::ws::{Message, WebSocket};
use fax_switch::{JobEvent, Service};
use serde_json::{Value, json};
use tokio::sync::broadcast::error::RecvError;

use crate::auth::{self, Tokens};
use crate::envelope::Fault;
use crate::limits::Buckets;
use crate::route::Scope;
use crate::watch::{Place, Places, Watched, fax_of, shown};

/// Longest message of a client, octets.
pub const LONGEST: usize = 16 * 1024;

/// Most subscriptions of a connection.
const SUBSCRIPTIONS: usize = 64;

/// Whoever has subscribed to nothing by then goes.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a write may wait for the client.
const SLOW: Duration = Duration::from_secs(10);

/// A sign of life (ping), and the rights are looked at again.
const BEAT: Duration = Duration::from_secs(20);

/// What a connection asks its server.
pub struct Server {
    /// The switch.
    pub service: Service,
    /// Who is who.
    pub tokens: Tokens,
    /// Places of accounts.
    pub places: Places,
    /// Requests of accounts; each message is one.
    pub requests: std::sync::Arc<Buckets>,
    /// Guessed tokens by address.
    pub failures: std::sync::Arc<Buckets>,
    /// The address.
    pub remote: String,
}

struct Subscription {
    watched: Watched,
    /// The fax, or all.
    fax: Option<String>,
}

/// What a connection has subscribed to.
#[derive(Default)]
struct Subscriptions {
    /// By account and binding.
    all: BTreeMap<(String, String), Subscription>,
    /// One for each account, whatever the number of its subscriptions.
    places: BTreeMap<String, Place>,
}

impl Subscriptions {
    fn retain(&mut self, keep: impl Fn(&(String, String), &Subscription) -> bool) {
        self.all.retain(|key, subscription| keep(key, subscription));
        let all = &self.all;
        self.places.retain(|account, _| all.keys().any(|(of, _)| of == account));
    }
}

/// Serves a connection to its end.
pub async fn serve(mut socket: WebSocket, server: Server, _connection: Place) {
    let mut events = server.service.subscribe();
    let mut subscriptions = Subscriptions::default();
    let mut beat = tokio::time::interval(BEAT);
    beat.tick().await;
    let patience = tokio::time::sleep(PATIENCE);
    let mut patience = std::pin::pin!(patience);
    let mut idle = true;
    loop {
        let outgoing: Vec<Message> = tokio::select! {
            message = socket.recv() => match message {
                Some(Ok(Message::Text(text))) => {
                    let reply = server.asked(&text, &mut subscriptions);
                    idle &= subscriptions.all.is_empty();
                    vec![Message::Text(reply.to_string().into())]
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => Vec::new(),
                Some(Ok(Message::Binary(_) | Message::Close(_)) | Err(_)) | None => return,
            },
            event = events.recv() => match event {
                Ok(event) => server.told(&event, &subscriptions),
                // Lost events are not hidden: the client comes back and reads the state.
                Err(RecvError::Lagged(_) | RecvError::Closed) => return,
            },
            _ = beat.tick() => {
                subscriptions.retain(|_, s| s.watched.check(&server.service, &server.tokens).is_ok());
                if subscriptions.all.is_empty() && !idle {
                    return;
                }
                vec![Message::Ping(Default::default())]
            }
            () = &mut patience, if idle => return,
        };
        for message in outgoing {
            match tokio::time::timeout(SLOW, socket.send(message)).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) | Err(_) => return,
            }
        }
    }
}

impl Server {
    /// What is answered to a message.
    fn asked(&self, text: &str, subscriptions: &mut Subscriptions) -> Value {
        let message: Value = serde_json::from_str(text).unwrap_or_default();
        let request = message["request_id"].as_str().unwrap_or_default().to_owned();
        let reply = |status: &str, data: Value| json!({ "action": "reply", "request_id": request, "status": status, "data": data });
        match self.carry_out(&message, subscriptions) {
            Ok(data) => reply("success", data),
            Err(fault) => {
                let why = fault.data["message"].as_str().unwrap_or(&fault.name).to_owned();
                reply("error", json!({ "errors": [why], "code": fault.status.as_u16() }))
            }
        }
    }

    fn carry_out(&self, message: &Value, subscriptions: &mut Subscriptions) -> Result<Value, Fault> {
        let wrong = |why: &str| Fault::new(axum::http::StatusCode::BAD_REQUEST, "invalid", why);
        let action =
            message["action"].as_str().ok_or_else(|| wrong("a message is an object with an action"))?;
        if action == "ping" {
            return Ok(json!({ "response": "pong" }));
        }
        let now = self.service.now();
        let token = message["auth_token"].as_str().or(message["data"]["auth_token"].as_str());
        let token = token.ok_or_else(Fault::invalid_credentials)?;
        let caller = match self.tokens.check(&self.service.directory(), token, now) {
            Ok(caller) => caller,
            Err(fault) => {
                if auth::is_guess(token) {
                    self.failures.draw(&self.remote, 1.0, now)?;
                }
                return Err(fault);
            }
        };
        self.requests.draw(caller.account.as_str(), 1.0, now)?;
        let data = &message["data"];
        let account = data["account_id"].as_str().unwrap_or(caller.account.as_str()).to_owned();
        // A user who is no administrator watches what is his.
        let user = caller.user.clone().filter(|_| !caller.admin);
        let scope = Scope { account: account.clone(), user, faxbox: None };
        let watched = Watched { scope, token: token.to_owned() };
        watched.check(&self.service, &self.tokens)?;
        let single = data["binding"].as_str().into_iter();
        let many = data["bindings"].as_array().into_iter().flatten().filter_map(Value::as_str);
        let bindings: Vec<&str> = single.chain(many).collect();
        if bindings.is_empty() {
            return Err(wrong("name a binding: fax.status.* or fax.status. and the id of a fax"));
        }
        let name = match action {
            "subscribe" => "subscribed",
            "unsubscribe" => "unsubscribed",
            _ => return Err(wrong("actions are subscribe, unsubscribe and ping")),
        };
        for binding in &bindings {
            let fax = binding.strip_prefix("fax.status.").filter(|f| !f.is_empty() && !f.contains('.'));
            let Some(fax) = fax else {
                return Err(wrong("known bindings are fax.status.* and fax.status. with the id of a fax"));
            };
            let key = (account.clone(), (*binding).to_owned());
            if name == "unsubscribed" {
                subscriptions.retain(|other, _| *other != key);
                continue;
            }
            if subscriptions.all.len() >= SUBSCRIPTIONS && !subscriptions.all.contains_key(&key) {
                return Err(wrong("a connection has at most 64 subscriptions"));
            }
            if !subscriptions.places.contains_key(&account) {
                subscriptions.places.insert(account.clone(), self.places.take(&account)?);
            }
            let fax = Some(fax).filter(|f| !matches!(*f, "*" | "#"));
            let fax = fax.map(|f| fax_store::model::unfiled_id(f).to_owned());
            subscriptions.all.insert(key, Subscription { watched: watched.clone(), fax });
        }
        let all: Vec<&str> = subscriptions.all.keys().map(|(_, binding)| binding.as_str()).collect();
        Ok(json!({ name: bindings, "subscriptions": all }))
    }

    /// The messages that an event is for.
    fn told(&self, event: &JobEvent, subscriptions: &Subscriptions) -> Vec<Message> {
        let id = fax_of(event);
        let for_it = subscriptions.all.iter().filter(|(_, s)| {
            s.fax.as_deref().is_none_or(|fax| fax == id) && s.watched.sees(&self.service, event)
        });
        for_it
            .map(|((account, binding), _)| {
                let message = json!({
                    "action": "event",
                    "subscribed_key": binding,
                    "subscription_key": format!("fax.status.{account}.{id}"),
                    "routing_key": format!("fax.status.{account}.{id}"),
                    "name": "fax_status",
                    "data": shown(event),
                });
                Message::Text(message.to_string().into())
            })
            .collect()
    }
}
