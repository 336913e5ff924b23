//! Live status as server-sent events (WHATWG HTML §9.2): `GET …/faxes/events`.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, HttpBody};
use axum::http::{HeaderMap, HeaderValue, Response, header};
use bytes::Bytes;
use fax_switch::Service;
use hyper::body::Frame;
use tokio::sync::mpsc;

use crate::auth::Tokens;
use crate::envelope::Fault;
use crate::server::Line;
use crate::watch::{Place, Watched, shown};

/// Events that may wait for a slow reader; then he is hung up on, and reads the state anew when he comes back.
const WAITING: usize = 256;

/// A sign of life for what lies between, and the right is looked at again.
const BEAT: Duration = Duration::from_secs(15);

/// The answer; it ends with the right to see it.
///
/// # Errors
///
/// 406 for a client that takes something else only.
pub fn answer(
    service: &Service,
    tokens: &Tokens,
    watched: Watched,
    place: Place,
    line: Option<Line>,
    headers: &HeaderMap,
) -> Result<Response<Body>, Fault> {
    let accept = headers.get(header::ACCEPT).and_then(|v| v.to_str().ok()).unwrap_or("*/*");
    if !["text/event-stream", "text/*", "*/*"].iter().any(|kind| accept.contains(kind)) {
        return Err(Fault::not_acceptable());
    }
    let (lines, waiting) = mpsc::channel(WAITING);
    let _ = lines.try_send(Bytes::from_static(b"retry: 3000\n: what happens from now on\n\n"));
    tokio::spawn(pump(service.clone(), tokens.clone(), watched, place, line, lines));
    let mut response = Response::new(Body::new(Feed(waiting)));
    let fields = response.headers_mut();
    fields.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    fields.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    // What lies between must not gather it.
    fields.insert("x-accel-buffering", HeaderValue::from_static("no"));
    Ok(response)
}

async fn pump(
    service: Service,
    tokens: Tokens,
    watched: Watched,
    place: Place,
    line: Option<Line>,
    lines: mpsc::Sender<Bytes>,
) {
    let mut events = service.subscribe();
    let mut stopped = line.as_ref().map(|line| line.stopped.clone());
    let stop = async {
        match &mut stopped {
            Some(stopped) => drop(stopped.wait_for(|stop| *stop).await),
            None => std::future::pending().await,
        }
    };
    let mut stop = std::pin::pin!(stop);
    let mut beat = tokio::time::interval(BEAT);
    beat.tick().await;
    loop {
        let text = tokio::select! {
            () = &mut stop => return,
            () = lines.closed() => return,
            _ = beat.tick() => match watched.check(&service, &tokens) {
                Ok(_) => ": still here\n\n".to_owned(),
                Err(_) => return,
            },
            event = events.recv() => match event {
                Ok(event) if watched.sees(&service, &event) => {
                    format!("event: fax.status\ndata: {}\n\n", shown(&event))
                }
                Ok(_) => continue,
                // Too slow, or the service is gone.
                Err(_) => break,
            },
        };
        if lines.try_send(text.into()).is_err() {
            break;
        }
    }
    tracing::info!(account = watched.scope.account, "one who watched faxes was too slow");
    drop(place);
    if let Some(line) = line {
        line.hang_up.notify_one();
    }
}

/// The body: what the pump writes.
struct Feed(mpsc::Receiver<Bytes>);

impl HttpBody for Feed {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.get_mut().0.poll_recv(cx).map(|octets| octets.map(|octets| Ok(Frame::data(octets))))
    }
}
