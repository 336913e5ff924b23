//! A TCP or TLS listener: it takes connections as far as the limits allow (RFC 3261 §18.2.1, §26.3.2).

use super::connection::{Arrival, ConnectionId, pair};
use super::doors::{Doors, Pass};
use super::reload::Shown;
use super::udp;
use crate::guard::gate::Gate;
use crate::listen::StreamLimits;
use fax_sip::Transport;
use rustls::ServerConfig;
use socket2::Type;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;

/// Connections that the system keeps until they are accepted.
const BACKLOG: i32 = 1024;

/// The first number of connections that others made; ours are counted from 1.
static NEXT: AtomicU64 = AtomicU64::new(1 << 63);

/// One listening socket.
pub(super) struct Listener {
    socket: TcpListener,
    local: SocketAddr,
    tls: Option<Shown>,
    doors: Doors,
    gate: Gate,
    limits: StreamLimits,
}

/// What lets a connection in.
struct Admitted {
    pass: Pass,
    /// It is nobody's that we know.
    stranger: bool,
    doors: Doors,
    gate: Gate,
}

impl Listener {
    pub(super) fn bind(
        address: SocketAddr,
        tls: Option<Shown>,
        doors: Doors,
        gate: Gate,
        limits: StreamLimits,
    ) -> io::Result<Self> {
        let socket = udp::bind(address, Type::STREAM)?;
        socket.listen(BACKLOG)?;
        let socket = TcpListener::from_std(socket.into())?;
        let local = socket.local_addr()?;
        Ok(Listener { socket, local, tls, doors, gate, limits })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Accepts for ever.
    pub(super) async fn run(self, arrivals: mpsc::Sender<Arrival>) {
        loop {
            let (stream, remote) = match self.socket.accept().await {
                Ok(accepted) => accepted,
                Err(error) => {
                    // No descriptors left, as a rule: those in use come back.
                    tracing::warn!(%error, "SIP connection not accepted");
                    tokio::time::sleep(Duration::from_millis(100)).await;
                    continue;
                }
            };
            // Too many, too fast, or banned: the stream is closed as it is dropped.
            let Some(stranger) = self.gate.connection(remote.ip()) else { continue };
            let (doors, gate) = (self.doors.clone(), self.gate.clone());
            match doors.enter(remote.ip(), stranger) {
                Some(pass) => {
                    let now = |shown: &Shown| shown.read().unwrap_or_else(PoisonError::into_inner).clone();
                    let (tls, limits) = (self.tls.as_ref().map(now), self.limits);
                    let admitted = Admitted { pass, stranger, doors, gate };
                    tokio::spawn(serve(stream, remote, tls, limits, admitted, arrivals.clone()));
                }
                None => {
                    gate.turned_away();
                    tracing::debug!(%remote, "too many SIP connections: this one is closed");
                }
            }
        }
    }
}

/// One accepted connection, with TLS first where there is any.
async fn serve(
    stream: TcpStream,
    remote: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    limits: StreamLimits,
    admitted: Admitted,
    arrivals: mpsc::Sender<Arrival>,
) {
    let Admitted { pass, stranger, doors, gate } = admitted;
    let Ok(local) = stream.local_addr() else { return };
    let _ = stream.set_nodelay(true);
    udp::mark_stream(&stream, local);
    let id = ConnectionId(NEXT.fetch_add(1, Ordering::Relaxed));
    let transport = if tls.is_some() { Transport::Tls } else { Transport::Tcp };
    let (mut connection, line) =
        pair(id, transport, remote, false, None, limits, arrivals.clone(), gate.clone());
    // The driver knows of the connection before it gets the first message.
    let (begin, began) = tokio::sync::oneshot::channel::<()>();
    let task = match tls {
        None => tokio::spawn(async move {
            let _pass = pass;
            if began.await.is_ok() {
                line.carry(stream).await;
            }
        }),
        Some(config) => {
            let shaking = stranger.then(|| doors.shake(remote.ip()));
            if matches!(shaking, Some(None)) {
                gate.turned_away();
                return tracing::debug!(%remote, "too many TLS handshakes: this one is not begun");
            }
            let accepted = tokio::time::timeout(limits.patience, TlsAcceptor::from(config).accept(stream));
            let stream = match accepted.await {
                Ok(Ok(stream)) => stream,
                Ok(Err(error)) => return tls_refused(&gate, remote, &error),
                Err(_) => return tracing::debug!(%remote, "TLS took too long"),
            };
            // There is none that was not verified.
            let shown = stream.get_ref().1.peer_certificates();
            connection.certificate =
                shown.and_then(|chain| chain.first()).map(|own| own.clone().into_owned());
            drop(shaking);
            tokio::spawn(async move {
                let _pass = pass;
                if began.await.is_ok() {
                    line.carry(stream).await;
                }
            })
        }
    };
    connection.set_task(task.abort_handle());
    if arrivals.send(Arrival::Opened { remote, connection }).await.is_ok() {
        let _ = begin.send(());
    }
}

/// Strangers try what they like; the log has room for some of it.
fn tls_refused(gate: &Gate, remote: SocketAddr, error: &io::Error) {
    if let Some(unsaid) = gate.may_say() {
        tracing::info!(%remote, %error, unsaid, "TLS refused");
    }
}
