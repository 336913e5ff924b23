//! Listeners that come, go and change while calls run: new ones are bound before anything is closed, and what goes on over
//! one that was taken away goes on (RFC 3261 §18).

use super::{Bound, Transports, listener};
use crate::config::Config;
use crate::listen::Listen;
use fax_sip::Transport;
use rustls::ServerConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};
use tokio::task::AbortHandle;

use super::tls::Certificates;

/// What a TLS listener shows to those who connect from now on.
pub(super) type Shown = Arc<RwLock<Arc<ServerConfig>>>;

/// One listener.
#[derive(Debug)]
pub(super) struct Listening {
    listen: Listen,
    local: SocketAddr,
    /// Of a stream: who accepts. Connections that are up are tasks of their own.
    accepting: Option<AbortHandle>,
    shown: Option<Shown>,
}

impl Listening {
    pub(super) fn close(&self) {
        self.accepting.iter().for_each(AbortHandle::abort);
    }

    fn bound(&self) -> Bound {
        Bound { transport: self.listen.transport, local: self.local, advertise: self.listen.advertise }
    }

    fn is_at(&self, one: &Listen) -> bool {
        self.listen.transport == one.transport && self.listen.address == one.address
    }
}

fn named(one: &Listen, error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{} {}: {error}", one.transport.via(), one.address))
}

impl Transports {
    /// Listens where this configuration says from now on, with its certificates. All of it is done, or nothing.
    pub(crate) fn reload(&mut self, config: &Config) -> io::Result<()> {
        let usual = [Listen::new(Transport::Udp, config.sip)];
        let wanted = if config.listen.is_empty() { &usual[..] } else { &config.listen };
        let mut certificates = Certificates::load(&config.tls)?;
        let mut shown = Vec::new();
        for one in wanted {
            shown.push(match one.transport {
                Transport::Udp | Transport::Tcp => None,
                Transport::Tls => Some(certificates.server(one).map_err(|e| named(one, &e))?),
            });
        }
        let mut new: Vec<Option<Listening>> = Vec::new();
        for (number, (one, shown)) in wanted.iter().zip(&shown).enumerate() {
            let again =
                wanted.iter().take(number).any(|o| o.transport == one.transport && o.address == one.address);
            let known = self.listening.iter().any(|l| l.is_at(one)) && !again;
            let opened = if known { Ok(None) } else { self.open(one, shown.clone()).map(Some) };
            match opened {
                Ok(listening) => new.push(listening),
                Err(error) => {
                    for opened in new.into_iter().flatten() {
                        opened.close();
                        if opened.listen.transport == Transport::Udp {
                            self.udp.remove(opened.local);
                        }
                    }
                    return Err(named(one, &error));
                }
            }
        }
        let mut old = std::mem::take(&mut self.listening);
        for ((one, shown), opened) in wanted.iter().zip(shown).zip(new) {
            let kept = || old.iter().position(|l| l.is_at(one)).map(|at| old.remove(at));
            let Some(mut listening) = opened.or_else(kept) else { continue };
            listening.listen = one.clone();
            if let (Some(now), Some(shown)) = (&listening.shown, shown) {
                *now.write().unwrap_or_else(PoisonError::into_inner) = shown;
            }
            self.listening.push(listening);
        }
        for gone in old {
            tracing::info!(transport = gone.listen.transport.via(), at = %gone.local, "no longer listened for SIP");
            gone.close();
            if gone.listen.transport == Transport::Udp {
                self.draining.push(gone.bound());
            }
        }
        self.bound = self.listening.iter().map(Listening::bound).collect();
        self.certificates = certificates;
        Ok(())
    }

    fn open(&mut self, one: &Listen, shown: Option<Arc<ServerConfig>>) -> io::Result<Listening> {
        let listen = one.clone();
        if one.transport == Transport::Udp {
            let drains = self.draining.iter().position(|b| b.local == one.address);
            let local = match drains {
                Some(at) => self.draining.remove(at).local,
                None => self.udp.add(one.address)?,
            };
            return Ok(Listening { listen, local, accepting: None, shown: None });
        }
        let shown = shown.map(|shown| Arc::new(RwLock::new(shown)));
        let listener = listener::Listener::bind(
            one.address,
            shown.clone(),
            self.doors.clone(),
            self.gate.clone(),
            self.limits,
        )?;
        let local = listener.local();
        let accepting = tokio::spawn(listener.run(self.sender.clone())).abort_handle();
        Ok(Listening { listen, local, accepting: Some(accepting), shown })
    }

    /// Sockets whose listener was taken away.
    pub(crate) fn draining(&self) -> &[Bound] {
        &self.draining
    }

    pub(crate) fn is_draining(&self, local: SocketAddr) -> bool {
        self.draining.iter().any(|b| b.local == local)
    }

    /// Nothing goes on there any more.
    pub(crate) fn drained(&mut self, local: SocketAddr) {
        if self.is_draining(local) {
            self.draining.retain(|b| b.local != local);
            self.udp.remove(local);
        }
    }

    /// Reads certificates again whose files have changed.
    pub(crate) fn renew(&self) {
        self.certificates.refresh();
    }
}
