//! The REST face of ferrofax: the paths, envelopes, fields and states of KAZOO's Crossbar (v1 and v2), over
//! [`fax_switch::Service`].
//!
//! [`router()`] is the whole face as an [`axum::Router`]; [`serve`] gives it sockets with limits; [`HttpFetcher`] is the
//! switch's port for documents by URL, which never goes to addresses that are not public.
//!
//! A request passes through: [`request`] (id, query, body, verb), [`route`] (what is meant, which verbs it knows, which right each needs), [`auth`]
//! (whose it is and what he may), then [`faxes`], `setup`, [`numbers`], [`attachment`] or [`destinations`], and leaves through
//! [`envelope`].

mod account_key;
pub mod attachment;
pub mod auth;
pub mod bans;
pub mod destinations;
pub mod document;
pub mod envelope;
pub mod faxes;
pub mod fetch;
pub mod filter;
pub mod health;
pub mod limits;
pub mod metrics;
pub mod multipart;
pub mod numbers;
pub mod openapi;
pub mod password;
mod patient;
pub mod present;
pub mod request;
pub mod restrictions;
pub mod route;
pub mod router;
pub mod schema;
pub mod server;
mod setup;
mod smtplog;
mod socket;
mod stream;
pub mod submit;
pub mod watch;
pub mod webhooks;

pub use fetch::{FetchConfig, HttpFetcher};
pub use router::{Config, router};
pub use server::{ServeConfig, serve, serve_with};
pub use webhooks::HttpHookCaller;
