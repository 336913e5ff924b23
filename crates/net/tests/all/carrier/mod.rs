//! A carrier played by hand: a UDP socket that takes requests one by one and answers as the test says.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::time::timeout;

/// Nothing that is due takes longer, also on a busy machine.
pub const BOUND: Duration = Duration::from_secs(40);

pub struct Carrier {
    socket: UdpSocket,
    pub at: SocketAddr,
    tags: AtomicU32,
    /// What was seen already, by branch and method: repetitions are passed over.
    seen: Mutex<Vec<String>>,
}

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    pub text: String,
    pub from: SocketAddr,
}

impl Request {
    pub fn line(&self) -> &str {
        self.text.lines().next().unwrap_or_default()
    }

    pub fn method(&self) -> &str {
        self.line().split(' ').next().unwrap_or_default()
    }

    pub fn uri(&self) -> &str {
        self.line().split(' ').nth(1).unwrap_or_default()
    }

    /// The values of a header, in order.
    pub fn all(&self, name: &str) -> Vec<&str> {
        let head = self.text.split("\r\n\r\n").next().unwrap_or_default();
        let lines = head.split("\r\n").skip(1).filter_map(|l| l.split_once(':'));
        lines.filter(|(n, _)| n.trim().eq_ignore_ascii_case(name)).map(|(_, v)| v.trim()).collect()
    }

    pub fn header(&self, name: &str) -> &str {
        let all = self.all(name);
        assert_eq!(all.len(), 1, "{name} in {}", self.text);
        all[0]
    }

    fn key(&self) -> String {
        format!("{} {}", self.method(), self.all("Via").first().copied().unwrap_or_default())
    }
}

impl Carrier {
    pub async fn start() -> Carrier {
        Self::bind("127.0.0.1:0".parse().unwrap()).await
    }

    pub async fn bind(at: SocketAddr) -> Carrier {
        let socket = UdpSocket::bind(at).await.unwrap();
        let at = socket.local_addr().unwrap();
        Carrier { socket, at, tags: AtomicU32::new(0), seen: Mutex::default() }
    }

    /// The next request that is no ACK and was not seen before.
    pub async fn request(&self) -> Request {
        timeout(BOUND, self.any()).await.unwrap_or_else(|_| panic!("nothing comes to {}", self.at))
    }

    async fn any(&self) -> Request {
        let mut buffer = vec![0; 65_536];
        loop {
            let (length, from) = self.socket.recv_from(&mut buffer).await.unwrap();
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            let request = Request { text, from };
            let response = request.text.starts_with("SIP/2.0");
            let seen = self.seen.lock().unwrap().contains(&request.key());
            if !response && !seen && request.method() != "ACK" {
                self.seen.lock().unwrap().push(request.key());
                return request;
            }
        }
    }

    pub async fn expect(&self, method: &str) -> Request {
        let request = self.request().await;
        assert_eq!(request.method(), method, "{}", request.text);
        request
    }

    /// Nothing new comes for so long.
    pub async fn quiet(&self, wait: Duration) {
        if let Ok(request) = timeout(wait, self.any()).await {
            panic!("came: {}", request.text);
        }
    }

    /// Answers a request; headers are whole lines.
    pub async fn answer(&self, request: &Request, status: &str, headers: &[&str]) {
        let tag_number = self.tags.fetch_add(1, Ordering::Relaxed) + 1;
        let mut lines = vec![format!("SIP/2.0 {status}")];
        for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
            for value in request.all(name) {
                let tag = if name == "To" && !value.contains(";tag=") {
                    format!(";tag=carrier{tag_number}")
                } else {
                    String::new()
                };
                lines.push(format!("{name}: {value}{tag}"));
            }
        }
        lines.extend(headers.iter().map(|h| (*h).to_owned()));
        lines.push("Content-Length: 0".to_owned());
        let text = lines.join("\r\n") + "\r\n\r\n";
        self.socket.send_to(text.as_bytes(), request.from).await.unwrap();
    }

    /// Grants a REGISTER for a minute.
    pub async fn grant(&self, request: &Request, headers: &[&str]) {
        let contact = format!("Contact: {};expires=60", request.header("Contact"));
        let all: Vec<&str> = std::iter::once(contact.as_str()).chain(headers.iter().copied()).collect();
        self.answer(request, "200 OK", &all).await;
    }

    /// Calls `to` with an INVITE that has a G.711 offer; what it is answered with at last.
    pub async fn invite(&self, to: SocketAddr, number: u32) -> u16 {
        self.invite_with(to, number, "X-Test: 1").await
    }

    /// The same with one more header, a whole line.
    pub async fn invite_with(&self, to: SocketAddr, number: u32, header: &str) -> u16 {
        self.invite_user("+4930456", to, number, header).await
    }

    /// The same to another user.
    pub async fn invite_user(&self, user: &str, to: SocketAddr, number: u32, header: &str) -> u16 {
        let at = self.at;
        let sdp = format!(
            "v=0\r\no=- 1 1 IN IP4 {ip}\r\ns=-\r\nc=IN IP4 {ip}\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8\r\n",
            ip = at.ip()
        );
        let text = format!(
            "INVITE sip:{user}@{to} SIP/2.0\r\nVia: SIP/2.0/UDP {at};branch=z9hG4bKc{number};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:+493099@{at}>;tag=f{number}\r\nTo: <sip:+4930456@{to}>\r\n\
             Call-ID: call{number}@{at}\r\nCSeq: 1 INVITE\r\nContact: <sip:gw@{at}>\r\n\
             {header}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
            sdp.len()
        );
        self.socket.send_to(text.as_bytes(), to).await.unwrap();
        let mut buffer = vec![0; 65_536];
        let answered = async {
            loop {
                let (length, _) = self.socket.recv_from(&mut buffer).await.unwrap();
                let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
                let code = text.split(' ').nth(1).and_then(|c| c.parse().ok()).unwrap_or(0);
                if text.starts_with("SIP/2.0") && text.contains(&format!("call{number}@")) && code != 100 {
                    return code;
                }
            }
        };
        timeout(BOUND, answered).await.unwrap_or(0)
    }
}
