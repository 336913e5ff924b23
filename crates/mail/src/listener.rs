//! Sockets for SMTP sessions: a tokio listener that gives each connection a [`Session`] and a policy.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use fax_base::Instant;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use crate::session::{Disposition, Envelope, Input, Limits, Output, Session, Verdict};

/// Who may send what: asked at RCPT and at the end of the data.
#[async_trait]
pub trait Ingress: Send + Sync + 'static {
    /// May `sender` send to `recipient`?
    async fn recipient(&self, sender: &str, recipient: &str) -> Verdict;
    /// Takes over a mail. The answer comes only after it is durable.
    async fn mail(&self, mail: Envelope) -> Disposition;
}

/// How the listener is run.
#[derive(Clone, Debug)]
pub struct ListenerConfig {
    /// Our name in greeting and replies.
    pub host: String,
    /// Bounds of one session.
    pub limits: Limits,
    /// Most sessions at once; the next is told 421.
    pub sessions: usize,
    /// How long a write may wait for the client, and how long sessions may finish at shutdown.
    pub patience: Duration,
}

impl Default for ListenerConfig {
    fn default() -> Self {
        Self {
            host: "localhost".into(),
            limits: Limits::default(),
            sessions: 50,
            patience: Duration::from_secs(30),
        }
    }
}

/// Serves until `shutdown` is done; open sessions are told 421, deliveries under way are finished.
pub async fn serve(
    listener: TcpListener,
    config: ListenerConfig,
    ingress: Arc<dyn Ingress>,
    shutdown: impl Future<Output = ()> + Send,
) {
    let places = Arc::new(Semaphore::new(config.sessions));
    let (stop, stopped) = watch::channel(false);
    let mut sessions = JoinSet::new();
    let mut shutdown = std::pin::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            () = &mut shutdown => break,
            accepted = listener.accept() => accepted,
            Some(_) = sessions.join_next(), if !sessions.is_empty() => continue,
        };
        let (stream, peer) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                // Mostly "too many open files": wait for some to close instead of spinning.
                tracing::warn!(%error, "cannot accept an SMTP connection");
                tokio::time::sleep(Duration::from_millis(200)).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
            // Busy connections are bounded as well: this write never waits.
            let text = format!("421 {} is too busy to accept mail right now\r\n", config.host);
            let _ = stream.try_write(text.as_bytes());
            continue;
        };
        let (config, ingress, stopped) = (config.clone(), Arc::clone(&ingress), stopped.clone());
        sessions.spawn(async move {
            if let Err(error) = converse(stream, peer, &config, &*ingress, stopped).await {
                tracing::debug!(%peer, %error, "SMTP connection lost");
            }
            drop(place);
        });
    }
    let _ = stop.send(true);
    let _ =
        tokio::time::timeout(config.patience, async { while sessions.join_next().await.is_some() {} }).await;
}

/// Drives one session to its end.
async fn converse(
    mut stream: TcpStream,
    peer: SocketAddr,
    config: &ListenerConfig,
    ingress: &dyn Ingress,
    mut stopped: watch::Receiver<bool>,
) -> std::io::Result<()> {
    let began = tokio::time::Instant::now();
    let now = || Instant::default() + began.elapsed();
    let mut session = Session::new(&config.host, config.limits.clone());
    let mut buffer = vec![0; 16 * 1024];
    tracing::debug!(%peer, "SMTP session begins");
    session.handle(now(), Input::Connected);
    loop {
        while let Some(output) = session.poll() {
            match output {
                Output::Send(octets) => {
                    match tokio::time::timeout(config.patience, stream.write_all(&octets)).await {
                        Ok(written) => written?,
                        Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
                    }
                }
                Output::Recipient { sender, recipient } => {
                    let verdict = ingress.recipient(&sender, &recipient).await;
                    session.handle(now(), Input::Recipient(verdict));
                }
                Output::Mail(mail) => {
                    let disposition = ingress.mail(mail).await;
                    session.handle(now(), Input::Mail(disposition));
                }
                Output::Close => {
                    let _ = tokio::time::timeout(config.patience, stream.shutdown()).await;
                    return Ok(());
                }
            }
        }
        let deadline = session.deadline().map(|due| began + due.since(Instant::default()));
        let silence = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            read = stream.read(&mut buffer), if session.wants_octets() => match read? {
                0 => return Ok(()),
                count => session.handle(now(), Input::Octets(buffer.get(..count).unwrap_or_default())),
            },
            () = silence => session.handle(now(), Input::Timeout),
            _ = stopped.wait_for(|stop| *stop) => session.handle(now(), Input::Shutdown),
        }
    }
}
