//! Connections that we make (RFC 3261 §18.1.1; RFC 5922 §7.3 for whose certificate counts).

use super::Peer;
use super::connection::{Arrival, Connection, ConnectionId, Line, pair};
use super::udp;
use crate::guard::gate::Gate;
use crate::listen::StreamLimits;
use fax_sip::Transport;
use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::mpsc;
use tokio_rustls::TlsConnector;

/// What it takes to connect.
pub(super) struct Dial {
    pub(super) id: ConnectionId,
    pub(super) peer: Peer,
    /// The name that the peer's certificate must hold; `None`: its address.
    pub(super) name: Option<String>,
    pub(super) from: Option<IpAddr>,
    pub(super) tls: Arc<ClientConfig>,
    pub(super) limits: StreamLimits,
    pub(super) gate: Gate,
}

impl Dial {
    /// Begins; messages wait in the connection's queue until it is made.
    pub(super) fn start(self, arrivals: mpsc::Sender<Arrival>) -> Connection {
        let Dial { id, peer: (transport, remote), name, from, tls, limits, gate } = self;
        let (mut connection, line) = pair(id, transport, remote, true, name.clone(), limits, arrivals, gate);
        let task = tokio::spawn(run(line, name, from, tls));
        connection.set_task(task.abort_handle());
        connection
    }
}

async fn run(line: Line, name: Option<String>, from: Option<IpAddr>, tls: Arc<ClientConfig>) {
    let patience = line.limits.patience;
    let remote = line.remote;
    let connected = tokio::time::timeout(patience, connect(remote, from)).await;
    let stream = match connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
        Ok(stream) => stream,
        Err(error) => return line.closed(format!("not connected: {error}")).await,
    };
    match line.transport {
        Transport::Udp | Transport::Tcp => {
            line.connected().await;
            line.carry(stream).await;
        }
        Transport::Tls => {
            let name = match name.map(ServerName::try_from) {
                Some(Ok(name)) => name,
                Some(Err(error)) => return line.closed(format!("no name for TLS: {error}")).await,
                None => ServerName::IpAddress(remote.ip().into()),
            };
            let secured = TlsConnector::from(tls).connect(name, stream);
            let secured = tokio::time::timeout(patience, secured).await;
            match secured.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
                Ok(stream) => {
                    line.connected().await;
                    line.carry(stream).await;
                }
                Err(error) => line.closed(format!("TLS: {error}")).await,
            }
        }
    }
}

async fn connect(remote: SocketAddr, from: Option<IpAddr>) -> io::Result<TcpStream> {
    let socket = if remote.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(from) = from {
        socket.bind(SocketAddr::new(from, 0))?;
    }
    let stream = socket.connect(remote).await?;
    let _ = stream.set_nodelay(true);
    udp::mark_stream(&stream, remote);
    Ok(stream)
}
