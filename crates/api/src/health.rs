//! `/health`: the program is there. `/ready`: it can do its work. Both for whoever keeps it running, without a token.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use fax_switch::Service;
use fax_switch::metrics::Readiness;
use serde_json::{Value, json};
use tokio::sync::Mutex;

/// An answer counts for so long: who asks often does not keep the store busy.
const FRESH: Duration = Duration::from_secs(1);

struct Looked {
    service: Service,
    last: Mutex<Option<(Instant, Readiness)>>,
}

/// `/health` (and `/healthz`, its older name) and `/ready`.
pub fn router<S: Clone + Send + Sync + 'static>(service: Service) -> Router<S> {
    let looked = Arc::new(Looked { service, last: Mutex::default() });
    let alive = || async { "ok\n" };
    Router::new()
        .route("/health", get(alive))
        .route("/healthz", get(alive))
        .route("/ready", get(ready))
        .with_state(looked)
}

/// 200 when all is well, else 503 and what is not.
async fn ready(State(looked): State<Arc<Looked>>) -> (StatusCode, Json<Value>) {
    let mut last = looked.last.lock().await;
    let fresh = last.as_ref().filter(|(at, _)| at.elapsed() < FRESH).map(|(_, readiness)| readiness.clone());
    let readiness = match fresh {
        Some(readiness) => readiness,
        None => {
            let readiness = looked.service.readiness().await;
            *last = Some((Instant::now(), readiness.clone()));
            readiness
        }
    };
    drop(last);
    let status = if readiness.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    let told = json!({
        "ready": readiness.is_ready(),
        "store": readiness.store,
        "sip": readiness.listening,
        "trunk": readiness.trunk,
    });
    (status, Json(told))
}
