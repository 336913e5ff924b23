//! `/metrics` for Prometheus, on a listener of its own, with a token if one is set.

use axum::Router;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use fax_switch::Service;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::{health, request};

/// What the text is (OpenMetrics 1.0).
const KIND: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `/metrics`, `/health` and `/ready`. With a token, `/metrics` is for who has it, as a bearer token.
pub fn router(service: Service, token: Option<&str>) -> Router {
    let digest = token.map(|token| <[u8; 32]>::from(Sha256::digest(token.as_bytes())));
    let counted = service.clone();
    let metrics = move |headers: HeaderMap| {
        let service = counted.clone();
        async move {
            if digest.is_some_and(|digest| !is_known(&headers, &digest)) {
                let ask = [(header::WWW_AUTHENTICATE, "Bearer")];
                return (StatusCode::UNAUTHORIZED, ask, "a bearer token is needed\n").into_response();
            }
            let text: Response = ([(header::CONTENT_TYPE, KIND)], service.metrics().await).into_response();
            text
        }
    };
    health::router(service).route("/metrics", get(metrics))
}

fn is_known(headers: &HeaderMap, digest: &[u8; 32]) -> bool {
    let given = request::header_token(headers).unwrap_or_default();
    bool::from(<[u8; 32]>::from(Sha256::digest(given.as_bytes())).ct_eq(digest))
}
