//! Sockets for the REST face: HTTP/1.1 (RFC 9112) with bounds on connections, header fields and waiting.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

/// Who is at the other end of a connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

/// The connection of a request whose answer does not end.
#[derive(Clone, Debug)]
pub struct Line {
    /// Ends the connection, whatever still waits to be written.
    pub hang_up: Arc<Notify>,
    /// Becomes true when the server stops.
    pub stopped: watch::Receiver<bool>,
}

/// Bounds of the listener.
#[derive(Clone, Debug)]
pub struct ServeConfig {
    /// Connections at a time; more wait to be accepted.
    pub connections: usize,
    /// How long the header of a request may take, and how long a connection may lie idle.
    pub header_patience: Duration,
    /// Most header fields of a request.
    pub header_fields: usize,
    /// Largest header of a request, octets.
    pub header_size: usize,
    /// How long requests in work may go on after shutdown was asked for.
    pub drain: Duration,
}

impl Default for ServeConfig {
    fn default() -> Self {
        ServeConfig {
            connections: 512,
            header_patience: Duration::from_secs(30),
            header_fields: 100,
            header_size: 64 * 1024,
            drain: Duration::from_secs(10),
        }
    }
}

/// Serves until `shutdown` is done, then finishes the requests in work.
pub async fn serve(listener: TcpListener, router: Router, shutdown: impl Future<Output = ()> + Send) {
    serve_with(listener, router, shutdown, ServeConfig::default()).await;
}

/// [`serve`] with bounds of one's own.
pub async fn serve_with(
    listener: TcpListener,
    router: Router,
    shutdown: impl Future<Output = ()> + Send,
    config: ServeConfig,
) {
    let places = Arc::new(Semaphore::new(config.connections));
    let (stop, stopped) = watch::channel(false);
    let mut connections = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accept = async {
            let place = Arc::clone(&places).acquire_owned().await;
            (place, listener.accept().await)
        };
        let (place, accepted) = tokio::select! {
            () = &mut shutdown => break,
            accepted = accept => accepted,
        };
        while connections.try_join_next().is_some() {}
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "cannot accept an HTTP connection");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let line = Line { hang_up: Arc::default(), stopped: stopped.clone() };
        let hang_up = line.hang_up.clone();
        let router = router.clone().layer(axum::Extension(Peer(peer))).layer(axum::Extension(line));
        let (config, stopped) = (config.clone(), stopped.clone());
        connections.spawn(async move {
            tokio::select! {
                () = converse(stream, router, &config, stopped) => {}
                () = hang_up.notified() => {}
            }
            drop(place);
        });
    }
    let _ = stop.send(true);
    let _ =
        tokio::time::timeout(config.drain, async { while connections.join_next().await.is_some() {} }).await;
}

async fn converse(
    stream: TcpStream,
    router: Router,
    config: &ServeConfig,
    mut stopped: watch::Receiver<bool>,
) {
    let _ = stream.set_nodelay(true);
    let service = TowerToHyperService::new(router);
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.header_patience)
        .max_headers(config.header_fields)
        .max_buf_size(config.header_size)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let stop = async {
        let _ = stopped.wait_for(|stop| *stop).await;
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    let ended: Result<(), hyper::Error> = ended;
    if let Err(error) = ended {
        tracing::debug!(%error, "HTTP connection lost");
    }
}
