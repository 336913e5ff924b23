//! Sockets for the REST face: HTTP/1.1 (RFC 9112) with bounds on connections, header fields and waiting.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, Semaphore, watch};
use tokio::task::JoinSet;

use crate::limits::source;
use crate::patient::Patient;
use crate::watch::Places;

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
    /// Connections of one source at a time (IPv6: of a /64); more are closed at once.
    pub each: usize,
    /// Addresses that are no source of their own and not counted: this machine, and proxies.
    pub uncounted: Vec<IpAddr>,
    /// How long the header of a request may take, and how long a connection may lie idle.
    pub header_patience: Duration,
    /// How long the other end may read nothing of what it is sent.
    pub write_patience: Duration,
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
            each: 64,
            uncounted: vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()],
            header_patience: Duration::from_secs(30),
            write_patience: Duration::from_secs(30),
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
    let sources = Places::new(config.each, config.connections);
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
        let address = peer.ip().to_canonical();
        let own = if config.uncounted.contains(&address) {
            None
        } else {
            let Ok(own) = sources.take(&source(address)) else { continue };
            Some(own)
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
            drop((place, own));
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
    let stream = Patient::new(stream, config.write_patience);
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

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpSocket;

    const PATIENCE: Duration = Duration::from_secs(20);

    /// Answers everything with more than lies on the way.
    async fn started(config: ServeConfig) -> SocketAddr {
        let router = Router::new().fallback(async || vec![b'x'; 32 << 20]);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(serve_with(listener, router, std::future::pending(), config));
        address
    }

    async fn asks(server: SocketAddr, from: &str) -> TcpStream {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(format!("{from}:0").parse().unwrap()).unwrap();
        let mut stream = socket.connect(server).await.unwrap();
        let _ = stream.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await;
        stream
    }

    async fn is_answered(mut stream: TcpStream) -> bool {
        let read = tokio::time::timeout(PATIENCE, stream.read_u8()).await.expect("an answer or an end");
        read.is_ok()
    }

    #[tokio::test]
    async fn who_does_not_read_is_hung_up_on() {
        let config = ServeConfig {
            connections: 4,
            write_patience: Duration::from_millis(300),
            ..ServeConfig::default()
        };
        let server = started(config).await;
        let mut idle = Vec::new();
        for _ in 0..4 {
            idle.push(asks(server, "127.0.0.1").await);
        }
        assert!(is_answered(asks(server, "127.0.0.1").await).await);
    }

    #[tokio::test]
    async fn a_source_has_so_many_connections_and_leaves_the_rest_to_others() {
        let server = started(ServeConfig { each: 3, ..ServeConfig::default() }).await;
        let mut own = Vec::new();
        for _ in 0..3 {
            own.push(asks(server, "127.0.0.2").await);
        }
        assert!(!is_answered(asks(server, "127.0.0.2").await).await);
        assert!(is_answered(asks(server, "127.0.0.3").await).await);
        drop(own);
        let again = async {
            while !is_answered(asks(server, "127.0.0.2").await).await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        tokio::time::timeout(PATIENCE, again).await.expect("a place is given back");
    }
}
