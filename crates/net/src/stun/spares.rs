//! Media sockets that know their address outside before a call needs one: so no call waits for an answer.

use super::asking::{Asked, Asking};
use crate::media::{MediaPorts, MediaSocket};
use fax_base::Instant;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::task::AbortHandle;

/// Sockets in hand for each family of addresses.
const READY: usize = 4;

/// How often answers are looked for while a question is out, and whether sockets were taken.
const LOOK: Duration = Duration::from_millis(20);
const IDLE: Duration = Duration::from_millis(500);

struct Spare {
    socket: MediaSocket,
    asking: Asking,
}

struct Inside {
    spares: Vec<Spare>,
    servers: Vec<SocketAddr>,
    ports: MediaPorts,
    began: tokio::time::Instant,
}

/// The sockets in hand, and the task that keeps them fresh.
pub(crate) struct Spares {
    inside: Arc<Mutex<Inside>>,
    task: AbortHandle,
}

impl Spares {
    /// Begins without servers.
    pub(crate) fn start(ports: MediaPorts) -> Spares {
        let (spares, servers, began) = (Vec::new(), Vec::new(), tokio::time::Instant::now());
        let inside = Arc::new(Mutex::new(Inside { spares, servers, ports, began }));
        let kept = inside.clone();
        let task = tokio::spawn(async move {
            loop {
                let wait = enter(&kept).turn();
                tokio::time::sleep(wait).await;
            }
        });
        Spares { inside, task: task.abort_handle() }
    }

    /// Where the servers are.
    pub(crate) fn ask(&self, servers: Vec<SocketAddr>) {
        enter(&self.inside).servers = servers;
    }

    /// A socket for media with somebody at `remote`, where there is one that knows its address.
    pub(crate) fn take(&self, remote: IpAddr) -> Option<MediaSocket> {
        let mut inside = enter(&self.inside);
        let good = |s: &Spare| s.socket.local.is_ipv4() == remote.is_ipv4() && s.asking.known().is_some();
        let at = inside.spares.iter().position(good)?;
        let Spare { mut socket, asking } = inside.spares.swap_remove(at);
        socket.outside = asking.known();
        Some(socket)
    }

    /// Gives all ports back that are only in hand: they are needed.
    pub(crate) fn release(&self) {
        enter(&self.inside).spares.clear();
    }
}

impl Drop for Spares {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn enter(inside: &Mutex<Inside>) -> MutexGuard<'_, Inside> {
    inside.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Inside {
    /// Does what is due; how long there is nothing more to do.
    fn turn(&mut self) -> Duration {
        let micros = self.began.elapsed().as_micros();
        let now = Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        for ipv4 in [true, false] {
            let server = self.servers.iter().find(|s| s.is_ipv4() == ipv4).map(SocketAddr::ip);
            let ready = self.spares.iter().filter(|s| s.socket.local.is_ipv4() == ipv4).count();
            // One at a time: others may be after the same ports.
            if let Some(server) = server.filter(|_| ready < READY)
                && let Ok(socket) = self.ports.bind(server)
            {
                self.spares.push(Spare { socket, asking: Asking::new(now) });
            }
        }
        let mut waits = false;
        for Spare { socket, asking } in &mut self.spares {
            let family = |s: &&SocketAddr| s.is_ipv4() == socket.local.is_ipv4();
            let servers: Vec<SocketAddr> = self.servers.iter().filter(family).copied().collect();
            let mut buffer = [0; 1_500];
            // A flood leaves the others their time.
            for _ in 0..32 {
                let Ok((length, from)) = socket.socket.recv_from(&mut buffer) else { break };
                asking.came(now, from, buffer.get(..length).unwrap_or_default(), &servers);
            }
            if let Asked::Send(to, request) = asking.turn(now, &servers, rand::random()) {
                // A lost question is asked again.
                let _ = socket.socket.send_to(&request, to);
            }
            waits |= asking.waits();
        }
        if waits { LOOK } else { IDLE }
    }
}

#[cfg(test)]
mod tests {
    use super::super::message::{answer_to, binding_success};
    use super::*;
    use std::net::UdpSocket;

    #[tokio::test(flavor = "multi_thread")]
    async fn sockets_know_their_address_before_they_are_needed() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = server.local_addr().unwrap();
        std::thread::spawn(move || {
            let mut buffer = [0; 100];
            while let Ok((length, from)) = server.recv_from(&mut buffer) {
                let id = answer_to(&buffer[..length]).unwrap();
                let seen = SocketAddr::new("203.0.113.5".parse().unwrap(), from.port() ^ 1);
                let _ = server.send_to(&binding_success(&id, seen), from);
            }
        });
        let spares = Spares::start(MediaPorts::new(vec!["127.0.0.1".parse().unwrap()], None));
        assert!(spares.take(at.ip()).is_none());
        spares.ask(vec![at]);
        for _ in 0..6 {
            let taken = async {
                loop {
                    if let Some(socket) = spares.take(at.ip()) {
                        return socket;
                    }
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
            };
            let socket = tokio::time::timeout(Duration::from_secs(20), taken).await.unwrap();
            let (seen, by) = socket.outside.unwrap();
            assert_eq!((seen.port(), by), (socket.local.port() ^ 1, at));
        }
    }
}
