//! One TCP or TLS connection: messages cut out of what comes, messages written from a bounded queue, keep-alives
//! (RFC 3261 §18.3; RFC 5626 §3.5.1, §4.4.1).

use crate::guard::Flow;
use crate::guard::gate::Gate;
use crate::listen::StreamLimits;
use bytes::Bytes;
use fax_sip::Transport;
use fax_sip::message::Limits;
use fax_sip::message::stream::{Framer, Piece};
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A peer that takes nothing for so long is gone.
const WRITE: Duration = Duration::from_secs(20);

/// A keep-alive is answered within this (RFC 5626 §4.4.1).
const PONG: Duration = Duration::from_secs(10);

/// Octets that may wait to be written, beside the number of messages.
const QUEUED: usize = 1024 * 1024;

/// Which connection.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) struct ConnectionId(pub(crate) u64);

/// What connections tell the driver.
#[derive(Debug)]
pub(crate) enum Arrival {
    /// Somebody connected; TLS is done where there is any.
    Opened { remote: SocketAddr, connection: Connection },
    /// One that we made stands.
    Connected { id: ConnectionId, transport: Transport, remote: SocketAddr },
    /// A message.
    Message { transport: Transport, remote: SocketAddr, octets: Bytes },
    /// Nothing more can be read: what is still to be said is written, and the connection closed.
    Lost { id: ConnectionId, transport: Transport, remote: SocketAddr },
    /// It is gone, or was never made.
    Closed { id: ConnectionId, transport: Transport, remote: SocketAddr, reason: String },
}

/// What both sides of a connection's channel look at.
#[derive(Debug)]
pub(super) struct Shared {
    /// Octets that wait to be written.
    queued: AtomicUsize,
    /// Milliseconds from `began` to the last octet that came.
    heard: AtomicU64,
    /// A whole message has come.
    spoke: AtomicBool,
    /// It stands: what is queued is written.
    stands: AtomicBool,
    began: Instant,
}

impl Shared {
    fn new(stands: bool) -> Arc<Self> {
        let (queued, heard, spoke) = (AtomicUsize::new(0), AtomicU64::new(0), AtomicBool::new(false));
        let stands = AtomicBool::new(stands);
        Arc::new(Shared { queued, heard, spoke, stands, began: Instant::now() })
    }

    fn hear(&self) {
        let millis = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.heard.store(millis, Ordering::Relaxed);
    }

    fn last_heard(&self) -> Instant {
        self.began + Duration::from_millis(self.heard.load(Ordering::Relaxed))
    }
}

/// The driver's end of a connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnectionId,
    pub(crate) transport: Transport,
    /// We made it.
    pub(crate) ours: bool,
    /// Whose certificate was asked for.
    pub(crate) name: Option<String>,
    /// Somebody else made it, and proved to have this.
    pub(super) certificate: Option<rustls::pki_types::CertificateDer<'static>>,
    sender: mpsc::Sender<Bytes>,
    shared: Arc<Shared>,
    task: Option<AbortHandle>,
}

/// Why a message was not taken.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum NotTaken {
    /// The peer does not read: the queue is full.
    Full,
    /// The connection is gone.
    Gone,
}

impl Connection {
    pub(crate) fn send(&self, octets: Bytes) -> Result<(), NotTaken> {
        let size = octets.len();
        if self.shared.queued.fetch_add(size, Ordering::Relaxed) + size > QUEUED {
            return Err(NotTaken::Full);
        }
        self.sender.try_send(octets).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotTaken::Full,
            mpsc::error::TrySendError::Closed(_) => NotTaken::Gone,
        })
    }

    /// For how long nothing has come, and whether ever a whole message has. Whoever connected and has not said one was silent
    /// all the time: single octets do not keep a connection open.
    pub(crate) fn silence(&self) -> (Duration, bool) {
        let spoke = self.shared.spoke.load(Ordering::Relaxed);
        let since = if spoke || self.ours { self.shared.last_heard() } else { self.shared.began };
        (since.elapsed(), spoke)
    }

    /// Whether it is made.
    pub(crate) fn stands(&self) -> bool {
        self.shared.stands.load(Ordering::Relaxed)
    }

    pub(super) fn set_task(&mut self, task: AbortHandle) {
        self.task = Some(task);
    }

    /// Closes it at once, whatever waits.
    pub(crate) fn abort(self) {
        if let Some(task) = self.task {
            task.abort();
        }
    }
}

/// The task's end of a connection.
pub(super) struct Line {
    pub(super) id: ConnectionId,
    pub(super) transport: Transport,
    pub(super) remote: SocketAddr,
    pub(super) ours: bool,
    pub(super) limits: StreamLimits,
    pub(super) arrivals: mpsc::Sender<Arrival>,
    queue: mpsc::Receiver<Bytes>,
    shared: Arc<Shared>,
    gate: Gate,
}

/// Both ends of a connection that is to be.
#[allow(clippy::too_many_arguments)]
pub(super) fn pair(
    id: ConnectionId,
    transport: Transport,
    remote: SocketAddr,
    ours: bool,
    name: Option<String>,
    limits: StreamLimits,
    arrivals: mpsc::Sender<Arrival>,
    gate: Gate,
) -> (Connection, Line) {
    let (sender, queue) = mpsc::channel(limits.queue.max(1));
    let shared = Shared::new(!ours);
    let connection = Connection {
        id,
        transport,
        ours,
        name,
        certificate: None,
        sender,
        shared: Arc::clone(&shared),
        task: None,
    };
    (connection, Line { id, transport, remote, ours, limits, arrivals, queue, shared, gate })
}

impl Line {
    /// Carries messages both ways until either side ends it, and tells why.
    pub(super) async fn carry(mut self, stream: impl AsyncRead + AsyncWrite) {
        let (reader, writer) = tokio::io::split(stream);
        let (pong, pongs) = mpsc::channel(1);
        let reading = read(
            reader,
            Reading {
                id: self.id,
                transport: self.transport,
                remote: self.remote,
                arrivals: &self.arrivals,
                shared: &self.shared,
                gate: &self.gate,
                pong,
            },
        );
        let keep_alive = self.ours.then_some(self.limits.keep_alive);
        let writing = write(writer, &mut self.queue, pongs, &self.shared, keep_alive);
        let reason = tokio::select! {
            reason = reading => reason,
            reason = writing => reason,
        };
        self.closed(reason).await;
    }

    /// Tells that it stands.
    pub(super) async fn connected(&self) {
        self.shared.stands.store(true, Ordering::Relaxed);
        let (id, transport, remote) = (self.id, self.transport, self.remote);
        let _ = self.arrivals.send(Arrival::Connected { id, transport, remote }).await;
    }

    /// Tells that it is over.
    pub(super) async fn closed(self, reason: String) {
        let Line { id, transport, remote, arrivals, .. } = self;
        let _ = arrivals.send(Arrival::Closed { id, transport, remote, reason }).await;
    }
}

struct Reading<'a> {
    id: ConnectionId,
    transport: Transport,
    remote: SocketAddr,
    arrivals: &'a mpsc::Sender<Arrival>,
    shared: &'a Shared,
    gate: &'a Gate,
    pong: mpsc::Sender<()>,
}

async fn read(mut stream: impl AsyncRead + Unpin, to: Reading<'_>) -> String {
    let Reading { id, transport, remote, arrivals, shared, gate, pong } = to;
    let mut framer = Framer::new(Limits::default());
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let octets = match stream.read(&mut buffer).await {
            Ok(0) => return "closed by the peer".to_owned(),
            Ok(length) => buffer.get(..length).unwrap_or_default(),
            Err(error) => return error.to_string(),
        };
        shared.hear();
        framer.push(octets);
        let mut pieces = Vec::new();
        while let Some(piece) = framer.next_piece() {
            let lost = matches!(piece, Piece::Lost);
            pieces.push(piece);
            if lost {
                break;
            }
        }
        let messages: Vec<&[u8]> = pieces
            .iter()
            .map(|piece| match piece {
                Piece::Message(octets) => &octets[..],
                Piece::Ping | Piece::Lost => &[],
            })
            .collect();
        // TCP slows down whoever sends more than it may.
        let wait = match gate.stream(remote.ip(), octets.len(), &messages) {
            Flow::Go => Duration::ZERO,
            Flow::Wait(wait) => wait,
            Flow::Close => return "closed by us: a scanner, or banned".to_owned(),
        };
        for piece in pieces {
            let told = match piece {
                Piece::Message(octets) => {
                    shared.spoke.store(true, Ordering::Relaxed);
                    arrivals.send(Arrival::Message { transport, remote, octets }).await
                }
                // One answer does for all that are waiting.
                Piece::Ping => {
                    let _ = pong.try_send(());
                    Ok(())
                }
                Piece::Lost => {
                    let _ = arrivals.send(Arrival::Lost { id, transport, remote }).await;
                    // The driver closes the queue; the writing half ends when it is empty.
                    std::future::pending().await
                }
            };
            if told.is_err() {
                return "closed by us".to_owned();
            }
        }
        if !wait.is_zero() {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Writes what is queued; comes back when that cannot go on or is over.
async fn write(
    mut stream: impl AsyncWrite + Unpin,
    queue: &mut mpsc::Receiver<Bytes>,
    mut pongs: mpsc::Receiver<()>,
    shared: &Shared,
    keep_alive: Option<fax_base::time::Duration>,
) -> String {
    // Between 80 and 100 %, so that connections made together do not ping together (RFC 5626 §4.4.1).
    let interval = |every: fax_base::time::Duration| every * rand::random_range(80..=100) / 100;
    let mut next_ping = keep_alive.map(|every| Instant::now() + interval(every));
    let (mut pinged, mut answers) = (None::<Instant>, false);
    loop {
        let ping_at = next_ping.map(|at| pinged.map_or(at, |p: Instant| p + PONG));
        let octets = tokio::select! {
            message = queue.recv() => match message {
                Some(message) => message,
                None => {
                    let _ = tokio::time::timeout(WRITE, stream.shutdown()).await;
                    return "closed by us".to_owned();
                }
            },
            Some(()) = pongs.recv() => Bytes::from_static(b"\r\n"),
            () = at(ping_at) => {
                if let Some(then) = pinged.take() {
                    let heard = shared.last_heard() >= then;
                    // Not every peer knows these keep-alives: only one that has answered them is missed.
                    if answers && !heard {
                        return "the keep-alive was not answered".to_owned();
                    }
                    answers |= heard;
                    next_ping = keep_alive.map(|every| Instant::now() + interval(every));
                    continue;
                }
                pinged = Some(Instant::now());
                Bytes::from_static(b"\r\n\r\n")
            }
        };
        let size = octets.len();
        let written = tokio::time::timeout(WRITE, async {
            stream.write_all(&octets).await?;
            stream.flush().await
        });
        match written.await.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())) {
            Ok(()) if octets.iter().all(|b| b"\r\n".contains(b)) => {}
            Ok(()) => {
                shared.queued.fetch_sub(size, Ordering::Relaxed);
            }
            Err(error) => return format!("not written: {error}"),
        }
    }
}

async fn at(when: Option<Instant>) {
    match when {
        Some(when) => tokio::time::sleep_until(when).await,
        None => std::future::pending().await,
    }
}
