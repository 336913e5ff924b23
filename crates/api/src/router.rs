//! The whole face as a router: every request through the same gates in the same order.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::ws::WebSocketUpgrade;
use axum::extract::ws::rejection::WebSocketUpgradeRejection;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, Response, StatusCode};
use axum::routing::get;
use fax_store::model::{AccountId, Audit};
use fax_switch::{Format, Service};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

use crate::auth::{self, Caller, Tokens};
use crate::envelope::{Fault, Frame, Success};
use crate::limits::{Buckets, Turns, client, source};
use crate::request::{self, Envelope, Query};
use crate::route::{Folder, Resource, Right, Route};
use crate::server::Line;
use crate::server::Peer;
use crate::watch::{Places, Watched};
use crate::{
    account_key, attachment, bans, destinations, faxes, health, numbers, openapi, schema, setup, smtplog,
    socket, stream, submit, webhooks,
};

/// Settings of the REST face.
#[derive(Clone, Debug)]
pub struct Config {
    /// The node's name in envelopes.
    pub node: String,
    /// Largest body, octets.
    pub max_upload: usize,
    /// How long a piece of a body may take; a whole body may take ten times that.
    pub body_patience: Duration,
    /// Requests with a token in work at a time, a quarter of them of one account; more wait.
    pub max_requests: usize,
    /// Requests without one (their token may be in the body, or they want one) at a time, a quarter of them from one address;
    /// they have to come as a whole within `body_patience`, and wait for a place no longer than that, so that strangers keep
    /// nobody else waiting.
    pub max_strangers: usize,
    /// What an attachment is when the client does not say.
    pub attachment_format: Format,
    /// Secret that signs tokens; `None`: drawn at start, tokens end with the process.
    pub token_secret: Option<String>,
    /// Users may log in by name and password.
    pub user_auth: bool,
    /// Requests of an account at once, and in a second for long.
    pub requests: (f64, f64),
    /// Connections that watch faxes, of an account (WebSockets: of an address), and in all.
    pub watchers: (usize, usize),
    /// Guessed keys and passwords from one address at once, and in a second for long; log-ins are refused then.
    pub failures: (f64, f64),
    /// Proxies that are believed whom they ask for (`X-Forwarded-For`).
    pub trusted_proxies: Vec<IpAddr>,
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
            user_auth: false,
            requests: (1000.0, 100.0),
            watchers: (50, 400),
            failures: (20.0, 1.0 / 6.0),
            trusted_proxies: Vec::new(),
        }
    }
}

struct Face {
    service: Service,
    config: Config,
    tokens: Tokens,
    places: Semaphore,
    /// Those of them that one account has.
    turns: Turns,
    strangers: Semaphore,
    /// Those of them that one address has.
    stranger_turns: Turns,
    requests: Arc<Buckets>,
    failures: Arc<Buckets>,
    /// Who watches faxes, by account.
    watchers: Places,
    /// WebSockets, by address.
    sockets: Places,
}

/// The REST face over a service: `/v1`, `/v2`, `/health`, `/ready`, `/openapi.json`, `/docs`.
pub fn router(service: Service, config: Config) -> Router {
    let tokens = Tokens::new(config.token_secret.as_deref());
    let (places, strangers) = (Semaphore::new(config.max_requests), Semaphore::new(config.max_strangers));
    let turns = Turns::new((config.max_requests / 4).max(1));
    let stranger_turns = Turns::new((config.max_strangers / 4).max(1));
    let bucket = |(size, per_second)| Arc::new(Buckets::new(size, per_second));
    let (requests, failures) = (bucket(config.requests), bucket(config.failures));
    let watchers = Places::new(config.watchers.0, config.watchers.1);
    let sockets = Places::new(config.watchers.0, config.watchers.1);
    let health = health::router(service.clone());
    let face = Arc::new(Face {
        service,
        config,
        tokens,
        places,
        turns,
        strangers,
        stranger_turns,
        requests,
        failures,
        watchers,
        sockets,
    });
    let router = openapi::router().merge(health);
    router.route("/", get(connect)).route("/websocket", get(connect)).fallback(dispatch).with_state(face)
}

/// A WebSocket begins.
async fn connect(
    State(face): State<Arc<Face>>,
    peer: Option<axum::Extension<Peer>>,
    headers: HeaderMap,
    upgrade: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
) -> Response<Body> {
    let remote = face.remote(peer.map(|peer| peer.0), &headers);
    let frame = Frame { node: face.config.node.clone(), ..Frame::default() };
    // To whoever is no WebSocket there is nothing here.
    let Ok(upgrade) = upgrade else {
        return frame.answer(Err(Fault::not_found()));
    };
    let place = match face.sockets.take(&remote) {
        Ok(place) => place,
        Err(fault) => return frame.answer(Err(fault)),
    };
    let server = socket::Server {
        service: face.service.clone(),
        tokens: face.tokens.clone(),
        places: face.watchers.clone(),
        requests: face.requests.clone(),
        failures: face.failures.clone(),
        remote,
    };
    let upgrade = upgrade.max_message_size(socket::LONGEST).max_frame_size(socket::LONGEST);
    upgrade.on_upgrade(move |socket| socket::serve(socket, server, place))
}

/// A request that changes something is carried out and noted to its end, whether or not the client waits for the answer: a
/// connection that ends takes with it only what reads.
async fn dispatch(State(face): State<Arc<Face>>, request: Request) -> Response<Body> {
    if matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS) {
        return respond(face, request).await;
    }
    let frame = Frame { node: face.config.node.clone(), ..Frame::default() };
    tokio::spawn(respond(face, request)).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request was not carried out");
        frame.answer(Err(Fault::named("internal error")))
    })
}

async fn respond(face: Arc<Face>, request: Request) -> Response<Body> {
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

/// 503 for who found no place in time.
fn busy(wait: Duration) -> Fault {
    let message = "too many requests without a token in their header are in work: try again";
    let fault = Fault::new(StatusCode::SERVICE_UNAVAILABLE, "busy", message);
    Fault { retry_after: Some(wait.as_secs().max(1)), ..fault }
}

enum Answer {
    Enveloped(Success),
    Plain(Response<Body>),
}

impl Face {
    /// By what a client is counted and named.
    fn remote(&self, peer: Option<Peer>, headers: &HeaderMap) -> String {
        let address = peer.map(|peer| client(peer.0.ip(), headers, &self.config.trusted_proxies));
        address.map_or_else(|| "unknown".to_owned(), source)
    }

    /// A place to be in work; one account's, or one address's, waiting keeps nobody else waiting.
    async fn place(
        &self,
        caller: Option<&Caller>,
        remote: &str,
    ) -> Result<(Option<OwnedSemaphorePermit>, SemaphorePermit<'_>), Fault> {
        let (turns, name, places) = match caller {
            Some(caller) => (&self.turns, caller.account.as_str(), &self.places),
            None => (&self.stranger_turns, remote, &self.strangers),
        };
        let place = async { (turns.take(name).await, places.acquire().await) };
        let (turn, place) = match caller {
            Some(_) => place.await,
            None => {
                let patience = self.config.body_patience;
                tokio::time::timeout(patience, place).await.map_err(|_| busy(patience))?
            }
        };
        Ok((turn, place.map_err(|_| going_down())?))
    }

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
            && route.resource.right(&parts.method).is_none()
            && !matches!(parts.method, Method::POST | Method::HEAD)
        {
            return Err(wrong_verb(route));
        }
        let remote = self.remote(parts.extensions.get::<Peer>().copied(), &parts.headers);
        // A token outside the body is looked at before the body is taken in.
        let open =
            route.as_ref().is_some_and(|r| matches!(r.resource, Resource::ApiAuth | Resource::UserAuth));
        let outside = request::header_token(&parts.headers).or_else(|| query.get("auth_token").cloned());
        let mut caller = None;
        if let (false, Some(token)) = (open, &outside) {
            caller = Some(self.caller(token, &remote)?);
            frame.auth_token = outside.clone();
        }
        let takes_document = route.as_ref().is_some_and(|r| r.resource.takes_document());
        let most = self.config.max_upload;
        let limit = if takes_document { most } else { most.min(request::JSON_LIMIT) };
        let patience = self.config.body_patience;
        let _place = self.place(caller.as_ref(), &remote).await?;
        let whole = if caller.is_some() { patience.saturating_mul(10) } else { patience };
        let body = request::read_body(&parts.headers, body, limit, patience, whole).await?;
        let envelope = request::envelope(&parts.headers, &body, query, takes_document);
        drop(body);
        if let (false, None) = (open, &caller) {
            let token = envelope.as_ref().ok().and_then(|e| e.text("auth_token")).map(str::to_owned);
            let token = token.ok_or_else(Fault::invalid_credentials)?;
            caller = Some(self.caller(&token, &remote)?);
            frame.auth_token = Some(token);
        }
        let route = route.ok_or_else(Fault::not_found)?;
        let Some(caller) = caller else {
            let envelope = envelope?;
            if route.resource.right(&request::verb(&parts.method, &envelope, query)).is_none() {
                return Err(wrong_verb(&route));
            }
            return self.log_in(&route, &envelope, &remote, frame).await;
        };
        // The right is looked at first: who has none learns nothing of the path.
        let meant = envelope
            .as_ref()
            .map_or_else(|_| parts.method.clone(), |e| request::verb(&parts.method, e, query));
        let right = route.resource.right(&meant);
        let needed = right.or_else(|| route.resource.verbs().first().map(|(_, right)| *right));
        caller.may(&self.service.directory(), &route, needed.unwrap_or(Right::Access))?;
        if right.is_none() {
            return Err(wrong_verb(&route));
        }
        if !caller.only.allow(&meant, below) {
            return Err(Fault::forbidden());
        }
        self.requests.draw(caller.account.as_str(), 1.0, self.service.now())?;
        let mut envelope = envelope?;
        if meant == Method::PUT {
            envelope.once = request::once(&parts.headers, below, &envelope)?;
        }
        let noted = audit_of(&self.service, &caller, &route, &meant, &remote, &frame.request_id);
        let reading = meant == Method::GET;
        if let (true, Some(noted)) = (reading, &noted) {
            // What is not in the log is not handed out.
            self.service.note(vec![noted.clone()]).await.map_err(|e| Fault::of_service(&e, &route.id))?;
        }
        if route.resource == Resource::Events {
            return self.events(route, frame, parts).map(Answer::Plain);
        }
        let answer = self.act(route, meant, envelope, &caller, parts, query).await;
        if let (false, Some(mut noted)) = (reading, noted) {
            noted.status = Some(match &answer {
                Ok(Answer::Enveloped(Success { created: true, location, .. })) => {
                    if let Some(id) = location {
                        noted.subject = format!("{}/{id}", noted.subject);
                    }
                    201
                }
                Ok(_) => 200,
                Err(fault) => fault.status.as_u16(),
            });
            if let Err(error) = self.service.note(vec![noted]).await {
                tracing::error!(%error, "a change is missing in the audit log");
            }
        }
        answer
    }

    /// `GET …/faxes/events`.
    fn events(
        &self,
        route: Route,
        frame: &Frame,
        parts: &axum::http::request::Parts,
    ) -> Result<Response<Body>, Fault> {
        let place = self.watchers.take(&route.scope.account)?;
        let token = frame.auth_token.clone().unwrap_or_default();
        let watched = Watched { scope: route.scope, token };
        watched.check(&self.service, &self.tokens)?;
        let line = parts.extensions.get::<Line>().cloned();
        stream::answer(&self.service, &self.tokens, watched, place, line, &parts.headers)
    }

    /// Whose a token is. Who is wrong hears 401 at all times, since clients get a new token when they hear that.
    fn caller(&self, token: &str, remote: &str) -> Result<Caller, Fault> {
        let now = self.service.now();
        let caller = self.tokens.check(&self.service.directory(), token, now);
        if caller.is_err() && auth::is_guess(token) {
            // It counts where passwords are asked for; nothing more is refused to whoever has none left.
            let _ = self.failures.draw(remote, 1.0, now);
        }
        caller
    }

    async fn log_in(
        &self,
        route: &Route,
        envelope: &Envelope,
        remote: &str,
        frame: &mut Frame,
    ) -> Result<Answer, Fault> {
        let (service, now) = (&self.service, self.service.now());
        let directory = service.directory();
        let by_key = route.resource == Resource::ApiAuth;
        if !by_key && !self.config.user_auth {
            let message = "logging in by user name is off: set user_auth = true under [api]";
            return Err(Fault::new(StatusCode::FORBIDDEN, "disabled", message));
        }
        let done = if by_key {
            // A key is looked up in no time: a right one is taken whatever others behind the same address have tried.
            auth::api_auth(&self.tokens, &directory, &envelope.data, now)
        } else {
            // A password costs work, and can be guessed: after some that were wrong nothing is looked at for a while.
            self.failures.look(remote, 1.0, now)?;
            auth::user_auth(&self.tokens, &directory, &envelope.data, now).await
        };
        match done {
            Ok((success, token)) => {
                let caller = self.tokens.check(&directory, &token, now)?;
                let noted = audit_of(service, &caller, route, &Method::PUT, remote, &frame.request_id);
                let noted = noted.map(|n| Audit { status: Some(201), ..n });
                service.note(noted.into_iter().collect()).await.map_err(|e| Fault::of_service(&e, ""))?;
                frame.auth_token = Some(token);
                Ok(Answer::Enveloped(success))
            }
            Err(fault) => {
                if fault.status == StatusCode::UNAUTHORIZED {
                    self.failures.draw(remote, 1.0, now)?;
                    tracing::warn!(remote, "a log-in failed");
                }
                Err(fault)
            }
        }
    }

    async fn act(
        &self,
        route: Route,
        verb: Method,
        envelope: Envelope,
        caller: &Caller,
        parts: &axum::http::request::Parts,
        query: &Query,
    ) -> Result<Answer, Fault> {
        let service = &self.service;
        let Route { resource, scope, id } = &route;
        let account = scope.account.as_str();
        let success = match resource {
            // These are answered before it is asked who it is.
            Resource::ApiAuth | Resource::UserAuth => return Err(Fault::not_found()),
            Resource::Accounts
            | Resource::Account
            | Resource::Children
            | Resource::Descendants
            | Resource::Users
            | Resource::User
            | Resource::Faxboxes
            | Resource::Faxbox
            | Resource::Callflows
            | Resource::Callflow
            | Resource::Webhook => setup::act(service, caller, &route, &verb, envelope, query).await?,
            Resource::Numbers | Resource::Number => {
                numbers::numbers(service, caller, account, id, &verb, &envelope).await?
            }
            Resource::Keys | Resource::Key => {
                numbers::keys(service, account, id, &verb, &envelope, query).await?
            }
            Resource::Audit => numbers::audit(service, account, query).await?,
            Resource::Faxes => submit::submit(service, scope, envelope).await?,
            Resource::Folder(Folder::Outgoing) if verb == Method::PUT => {
                submit::submit(service, scope, envelope).await?
            }
            Resource::Folder(folder) => faxes::list(service, scope, *folder, query).await?,
            Resource::Fax(folder) => faxes::one(service, scope, *folder, id, &verb, envelope).await?,
            Resource::Destinations => destinations::list(service, account, query).await?,
            Resource::Destination => destinations::one(service, account, id, &verb, &envelope).await?,
            Resource::Trunks => destinations::trunks(service, account).await?,
            Resource::Trunk => destinations::trunk(service, account, id, &verb, &envelope).await?,
            Resource::Bans => bans::list(service, account)?,
            Resource::Ban => bans::lift(service, account, id)?,
            Resource::Reload => destinations::reload(service, account).await?,
            Resource::Attachment(folder) if verb == Method::DELETE => {
                faxes::delete_documents(service, scope, *folder, id).await?
            }
            Resource::Webhooks if verb == Method::PATCH => {
                webhooks::enable(service, account, &envelope).await?
            }
            Resource::Webhooks => setup::act(service, caller, &route, &verb, envelope, query).await?,
            Resource::WebhookAttempts => webhooks::attempts(service, account, Some(id)).await?,
            Resource::AllWebhookAttempts => webhooks::attempts(service, account, None).await?,
            Resource::CallbackAttempts => webhooks::callback_attempts(service, account, id).await?,
            Resource::Hooks => webhooks::kinds(),
            Resource::HookSamples => webhooks::samples(None)?,
            Resource::HookSample => webhooks::samples(Some(id))?,
            Resource::Schemas => schema::show(None)?,
            Resource::Schema => schema::show(Some(id))?,
            Resource::About => Success::ok(serde_json::json!({
                "product": "ferrofax", "version": env!("CARGO_PKG_VERSION"), "node": self.config.node,
            })),
            Resource::Attachment(folder) => {
                let format = self.config.attachment_format;
                let response = attachment::get(service, scope, *folder, id, &parts.headers, query, format);
                return Ok(Answer::Plain(response.await?));
            }
            Resource::SmtpLog => smtplog::list(service, scope, query).await?,
            Resource::SmtpLogEntry => smtplog::one(service, scope, id).await?,
            Resource::ApiKey => account_key::act(service, &self.tokens, account, &verb).await?,
            // It was answered before.
            Resource::Events => return Err(Fault::not_found()),
        };
        Ok(Answer::Enveloped(success))
    }
}

fn wrong_verb(route: &Route) -> Fault {
    let verbs: Vec<&str> = route.resource.verbs().iter().map(|(verb, _)| verb.as_str()).collect();
    Fault::invalid_method(&verbs.join(", "))
}

/// What the audit log says of a request; `None`: lists and looks at the queue, which tell nothing of a document.
fn audit_of(
    service: &Service,
    caller: &Caller,
    route: &Route,
    verb: &Method,
    remote: &str,
    request: &str,
) -> Option<Audit> {
    let action = match (route.resource, verb) {
        (Resource::ApiAuth | Resource::UserAuth, _) => "login",
        (Resource::Attachment(_), &Method::GET) => "download",
        (Resource::ApiKey, &Method::GET) => "view",
        (Resource::Fax(Folder::Inbox | Folder::Outbox), &Method::GET) => "view",
        (_, &Method::GET) => return None,
        (_, &Method::PUT) => "create",
        (_, &Method::DELETE) => "delete",
        (_, _) => "change",
    };
    let word = match route.resource {
        Resource::ApiAuth => "api_auth".to_owned(),
        Resource::UserAuth => "user_auth".to_owned(),
        Resource::Accounts => "accounts".to_owned(),
        Resource::Attachment(folder) => format!("faxes/{}/{}/attachment", folder.as_str(), route.id),
        Resource::Fax(folder) => format!("faxes/{}/{}", folder.as_str(), route.id),
        Resource::Folder(folder) => format!("faxes/{}", folder.as_str()),
        other => format!("{other:?}/{}", route.id).to_lowercase(),
    };
    let mut subject = word.trim_end_matches('/').to_owned();
    if let Some(faxbox) = &route.scope.faxbox {
        subject = format!("faxboxes/{faxbox}/{subject}");
    }
    let subject = subject.chars().take(200).collect();
    Some(Audit {
        id: uuid::Uuid::now_v7().simple().to_string(),
        account: route.account().map_or_else(|| caller.account.clone(), AccountId::new),
        at: service.now(),
        who: caller.who.clone(),
        of: caller.account.clone(),
        remote: remote.to_owned(),
        action: action.to_owned(),
        subject,
        request: request.to_owned(),
        status: None,
    })
}
