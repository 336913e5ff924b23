//! The whole face as a router: every request through the same gates in the same order.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{Method, Response, StatusCode};
use axum::routing::any;
use fax_switch::{Format, Service};
use serde_json::Value;
use tokio::sync::Semaphore;

use crate::auth::{self, Tokens};
use crate::envelope::{Fault, Frame, Success};
use crate::request::{self, Envelope, Query};
use crate::route::{Folder, Route};
use crate::{attachment, bans, boxes, destinations, faxes, submit};

/// Settings of the REST face.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name in envelopes.
    pub node: String,
    /// Largest body, octets.
    pub max_upload: usize,
    /// How long a piece of a body may take; a whole body may take ten times that.
    pub body_patience: Duration,
    /// Requests with a token in work at a time; more wait.
    pub max_requests: usize,
    /// Requests without one (their token may be in the body, or they want one) at a time; they have to come as a whole within
    /// `body_patience`, so that strangers keep nobody else waiting.
    pub max_strangers: usize,
    /// What an attachment is when the client does not say.
    pub attachment_format: Format,
    /// Secret that signs tokens; `None`: drawn at start, tokens end with the process.
    pub token_secret: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            node: "ferrofax".into(),
            max_upload: 8_000_000,
            body_patience: Duration::from_secs(30),
            max_requests: 128,
            max_strangers: 32,
            attachment_format: Format::Pdf,
            token_secret: None,
        }
    }
}

struct Face {
    service: Service,
    config: Config,
    tokens: Tokens,
    places: Semaphore,
    strangers: Semaphore,
}

/// The REST face over a service: `/v1`, `/v2`, `/healthz`.
pub fn router(service: Service, config: Config) -> Router {
    let tokens = Tokens::new(config.token_secret.as_deref());
    let (places, strangers) = (Semaphore::new(config.max_requests), Semaphore::new(config.max_strangers));
    let face = Arc::new(Face { service, config, tokens, places, strangers });
    Router::new().route("/healthz", any(health)).fallback(dispatch).with_state(face)
}

async fn health() -> &'static str {
    "ok\n"
}

async fn dispatch(State(face): State<Arc<Face>>, request: Request) -> Response<Body> {
    let (parts, body) = request.into_parts();
    let query = request::query(&parts.uri);
    let mut frame = Frame {
        request_id: request::request_id(&parts.headers),
        auth_token: None,
        node: face.config.node.clone(),
        pretty: query.get("pretty_print").is_some_and(|v| v == "true")
            || parts.headers.get("x-pretty-print").is_some_and(|v| v == "true"),
    };
    if parts.method == Method::OPTIONS {
        return frame.mark(Response::new(Body::empty()));
    }
    match face.answer(&parts, body, &query, &mut frame).await {
        Ok(Answer::Enveloped(success)) => frame.answer(Ok(success)),
        Ok(Answer::Plain(response)) => frame.mark(response),
        Err(fault) => frame.answer(Err(fault)),
    }
}

fn going_down() -> Fault {
    let status = StatusCode::SERVICE_UNAVAILABLE;
    Fault::new(status, "going down", "the server is going down")
}

enum Answer {
    Enveloped(Success),
    Plain(Response<Body>),
}

impl Face {
    async fn answer(
        &self,
        parts: &axum::http::request::Parts,
        body: Body,
        query: &Query,
        frame: &mut Frame,
    ) -> Result<Answer, Fault> {
        let path = parts.uri.path();
        let below =
            path.strip_prefix("/v2/").or_else(|| path.strip_prefix("/v1/")).ok_or_else(Fault::not_found)?;
        let route = Route::of_path(below);
        if let Some(route) = &route
            && !route.verbs().contains(&parts.method)
            && !matches!(parts.method, Method::POST | Method::HEAD)
        {
            return Err(self.wrong_verb(route));
        }
        // A token outside the body is looked at before the body is taken in.
        let directory = self.service.directory();
        let now = self.service.now();
        let open = matches!(route, Some(Route::ApiAuth | Route::UserAuth));
        let outside = request::header_token(&parts.headers).or_else(|| query.get("auth_token").cloned());
        let mut caller = None;
        if let (false, Some(token)) = (open, &outside) {
            caller = Some(self.tokens.check(&directory, token, now)?);
            frame.auth_token = outside.clone();
        }
        let limit = self.config.max_upload;
        let patience = self.config.body_patience;
        let (places, whole) = match &caller {
            Some(_) => (&self.places, patience.saturating_mul(10)),
            None => (&self.strangers, patience),
        };
        let _place = places.acquire().await.map_err(|_| going_down())?;
        let body = request::read_body(&parts.headers, body, limit, patience, whole).await?;
        let takes_document = route.as_ref().is_some_and(Route::takes_document);
        let envelope = request::envelope(&parts.headers, &body, query, takes_document);
        drop(body);
        if let (false, None) = (open, &caller) {
            let token = envelope.as_ref().ok().and_then(|e| e.text("auth_token")).map(str::to_owned);
            let token = token.ok_or_else(Fault::invalid_credentials)?;
            caller = Some(self.tokens.check(&directory, &token, now)?);
            frame.auth_token = Some(token);
        }
        let route = route.ok_or_else(Fault::not_found)?;
        if let (Some(account), Some((of, user))) = (route.account(), &caller) {
            let admin = match user {
                None => true,
                Some(user) => {
                    directory.account(of).is_some_and(|a| a.users.iter().any(|u| u.id == *user && u.admin))
                }
            };
            if of.as_str() != account || !(admin || own_path(&route, user.as_deref())) {
                return Err(Fault::forbidden());
            }
        }
        let envelope = envelope?;
        let verb = request::verb(&parts.method, &envelope, query);
        if !route.verbs().contains(&verb) {
            return Err(self.wrong_verb(&route));
        }
        self.act(route, verb, envelope, parts, query, frame).await
    }

    fn wrong_verb(&self, route: &Route) -> Fault {
        let verbs: Vec<&str> = route.verbs().iter().map(Method::as_str).collect();
        Fault::invalid_method(&verbs.join(", "))
    }

    async fn act(
        &self,
        route: Route,
        verb: Method,
        envelope: Envelope,
        parts: &axum::http::request::Parts,
        query: &Query,
        frame: &mut Frame,
    ) -> Result<Answer, Fault> {
        let service = &self.service;
        let success = match route {
            Route::ApiAuth | Route::UserAuth => {
                let login = if route == Route::ApiAuth { auth::api_auth } else { auth::user_auth };
                let (success, token) =
                    login(&self.tokens, &service.directory(), &envelope.data, service.now())?;
                frame.auth_token = Some(token);
                success
            }
            Route::Account(id) => boxes::account(service, &id)?,
            Route::Faxboxes(scope) => boxes::list(service, &scope),
            Route::Faxbox(scope, id) => boxes::one(service, &scope, &id)?,
            Route::Faxes(scope) => submit::submit(service, &scope, envelope).await?,
            Route::Folder(scope, Folder::Outgoing) if verb == Method::PUT => {
                submit::submit(service, &scope, envelope).await?
            }
            Route::Folder(scope, folder) => faxes::list(service, &scope, folder, query).await?,
            Route::Fax(scope, folder, id) => {
                faxes::one(service, &scope, folder, &id, &verb, envelope).await?
            }
            Route::Destinations(account) => destinations::list(service, &account, query).await?,
            Route::Destination(account, number) => {
                destinations::one(service, &account, &number, &verb, &envelope).await?
            }
            Route::Trunks(account) => destinations::trunks(service, &account).await?,
            Route::Bans(account) => bans::list(service, &account)?,
            Route::Ban(account, address) => bans::lift(service, &account, &address)?,
            Route::Reload(account) => destinations::reload(service, &account).await?,
            Route::Trunk(account, name) => {
                destinations::trunk(service, &account, &name, &verb, &envelope).await?
            }
            Route::Attachment(scope, folder, id) => {
                let format = self.config.attachment_format;
                let response = attachment::get(service, &scope, folder, &id, &parts.headers, query, format);
                return Ok(Answer::Plain(response.await?));
            }
            // Mails that were refused are told to their senders at once and not kept.
            Route::SmtpLog(_) => Success::ok(Value::Array(Vec::new())),
            Route::SmtpLogEntry(_, id) => return Err(Fault::bad_identifier(&id)),
        };
        Ok(Answer::Enveloped(success))
    }
}

/// Whether a path lies below the user's own.
fn own_path(route: &Route, user: Option<&str>) -> bool {
    match route {
        Route::Account(_) => true,
        Route::Folder(scope, _) | Route::Faxboxes(scope) => {
            scope.user.is_some() && scope.user.as_deref() == user
        }
        _ => false,
    }
}
