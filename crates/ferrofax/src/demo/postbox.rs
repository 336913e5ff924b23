//! A post office for the demo: takes every mail by SMTP and lays it into a folder.

use anyhow::{Context, Result};
use async_trait::async_trait;
use fax_mail::listener::{Ingress, ListenerConfig, serve};
use fax_mail::session::{Disposition, Envelope, Verdict};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

pub(super) struct Postbox {
    pub(super) address: SocketAddr,
    arrived: mpsc::UnboundedReceiver<PathBuf>,
}

struct Office {
    folder: PathBuf,
    arrived: mpsc::UnboundedSender<PathBuf>,
}

#[async_trait]
impl Ingress for Office {
    async fn recipient(&self, _sender: &str, _recipient: &str) -> Verdict {
        Verdict::Accept
    }

    async fn mail(&self, mail: Envelope) -> Disposition {
        let to = mail.recipients.first().map_or("nobody", |r| r.as_str());
        let name: String = to.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect();
        let path = (1..).map(|n| self.folder.join(format!("{name}-{n}.eml"))).find(|p| !p.exists());
        let Some(path) = path else { return Disposition::TryLater };
        match tokio::fs::write(&path, &mail.octets).await {
            Ok(()) => {
                let _ = self.arrived.send(path);
                Disposition::Queued(vec!["demo".to_owned()])
            }
            Err(_) => Disposition::TryLater,
        }
    }
}

impl Postbox {
    /// Opens the office; it stays open as long as the program runs.
    pub(super) async fn open(folder: &Path) -> Result<Postbox> {
        std::fs::create_dir_all(folder)?;
        let listener = TcpListener::bind("127.0.0.1:0").await.context("no port for mails")?;
        let address = listener.local_addr()?;
        let (sender, arrived) = mpsc::unbounded_channel();
        let office = Arc::new(Office { folder: folder.to_owned(), arrived: sender });
        tokio::spawn(serve(listener, ListenerConfig::default(), office, std::future::pending()));
        Ok(Postbox { address, arrived })
    }

    /// Waits for so many mails.
    pub(super) async fn wait_for(&mut self, count: usize, patience: Duration) -> Vec<PathBuf> {
        let mut mails = Vec::new();
        let deadline = tokio::time::Instant::now() + patience;
        while mails.len() < count {
            match tokio::time::timeout_at(deadline, self.arrived.recv()).await {
                Ok(Some(path)) => mails.push(path),
                Ok(None) | Err(_) => break,
            }
        }
        mails
    }
}
