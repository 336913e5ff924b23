//! A proxy between two endpoints that lets everything through but T.38: it refuses the offer in the place of
//! the far end, loses it, or sends the packets nowhere.

use super::free;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::UdpSocket;

/// What happens to an offer of T.38.
#[derive(Clone, Copy, Debug)]
pub enum Meddling {
    /// It is answered with this status line.
    Refuse(&'static str),
    /// It is answered with an image line that is off.
    PortZero,
    /// It is answered with an audio line.
    AudioInstead,
    /// It is lost, however often it is repeated.
    Lose,
    /// It is agreed, but the packets of both ends go nowhere.
    Deafen,
    /// Nothing happens to it. The audio lines are turned to µ-law first.
    MuLaw,
}

/// The proxy: `a` has `front_a` as its peer, `b` has `front_b`.
pub struct Meddler {
    pub a: SocketAddr,
    pub b: SocketAddr,
    pub front_a: SocketAddr,
    pub front_b: SocketAddr,
    /// Where packets go nowhere.
    _sinks: [std::net::UdpSocket; 2],
}

/// One direction.
struct Way {
    meddling: Meddling,
    from: Arc<UdpSocket>,
    to: Arc<UdpSocket>,
    target: SocketAddr,
    /// Addresses as the sender writes them, and as the receiver is to read them.
    renamed: [(String, String); 2],
    sink: u16,
    /// CSeq numbers that were answered here.
    answered: Vec<String>,
}

impl Meddler {
    pub async fn start(meddling: Meddling) -> Meddler {
        let (a, b) = (free(), free());
        let socket = async || Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let (at_a, at_b) = (socket().await, socket().await);
        let (front_a, front_b) = (at_a.local_addr().unwrap(), at_b.local_addr().unwrap());
        let sinks = [(); 2].map(|()| std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
        let names = |x: SocketAddr, y: SocketAddr| (x.to_string(), y.to_string());
        let way =
            |from: &Arc<UdpSocket>, to: &Arc<UdpSocket>, target, renamed, sink: &std::net::UdpSocket| Way {
                meddling,
                from: from.clone(),
                to: to.clone(),
                target,
                renamed,
                sink: sink.local_addr().unwrap().port(),
                answered: Vec::new(),
            };
        let [first, second] = &sinks;
        tokio::spawn(way(&at_a, &at_b, b, [names(a, front_b), names(front_a, b)], first).run());
        tokio::spawn(way(&at_b, &at_a, a, [names(b, front_a), names(front_b, a)], second).run());
        Meddler { a, b, front_a, front_b, _sinks: sinks }
    }
}

impl Way {
    async fn run(mut self) {
        let mut buffer = vec![0; 65_535];
        loop {
            // What is refused by ICMP says nothing of the next.
            let Ok((length, sender)) = self.from.recv_from(&mut buffer).await else {
                continue;
            };
            let text = String::from_utf8_lossy(&buffer[..length]).into_owned();
            match self.meddle(&text) {
                Some(answer) if answer.is_empty() => {}
                Some(answer) => drop(self.from.send_to(answer.as_bytes(), sender).await),
                None => {
                    let text = self.renamed.iter().fold(self.changed(text), |t, (x, y)| t.replace(x, y));
                    let _ = self.to.send_to(text.as_bytes(), self.target).await;
                }
            }
        }
    }

    /// What is answered here; `None` when the message goes on.
    fn meddle(&mut self, text: &str) -> Option<String> {
        let number = header(text, "CSeq").split_whitespace().next().unwrap_or_default().to_owned();
        if text.starts_with("ACK ") && self.answered.contains(&number) {
            return Some(String::new());
        }
        if !text.starts_with("INVITE ") || !text.contains("\r\nm=image ") {
            return None;
        }
        let (status, media) = match self.meddling {
            Meddling::Deafen | Meddling::MuLaw => return None,
            Meddling::Lose => return Some(String::new()),
            Meddling::Refuse(status) => (status, ""),
            Meddling::PortZero => ("200 OK", "m=image 0 udptl t38\r\n"),
            Meddling::AudioInstead => ("200 OK", "m=audio 9 RTP/AVP 8\r\n"),
        };
        self.answered.push(number);
        let mut answer = format!("SIP/2.0 {status}\r\n");
        for line in text.lines().take_while(|l| !l.is_empty()) {
            let name = line.split(':').next().unwrap_or_default();
            if ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|n| name.eq_ignore_ascii_case(n)) {
                answer.push_str(&format!("{line}\r\n"));
            }
        }
        let sdp = if media.is_empty() {
            String::new()
        } else {
            // Audio "instead" goes on where it was: its address is not the test's matter.
            let media = media.replace("audio 9", &format!("audio {}", self.sink));
            answer.push_str(&format!(
                "Contact: <sip:{}>\r\nContent-Type: application/sdp\r\n",
                self.from.local_addr().unwrap()
            ));
            format!("v=0\r\no=m 7 7 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}")
        };
        answer.push_str(&format!("Content-Length: {}\r\n\r\n{sdp}", sdp.len()));
        Some(answer)
    }

    fn changed(&self, text: String) -> String {
        match self.meddling {
            // The same number of octets, so that Content-Length holds.
            Meddling::MuLaw => text.replace("RTP/AVP 8 0 ", "RTP/AVP 0 8 "),
            Meddling::Deafen => match text.split_once("\r\nm=image ") {
                Some((head, tail)) if !tail.starts_with("0 ") => {
                    let (port, rest) = tail.split_once(' ').unwrap();
                    let sink = self.sink.to_string();
                    assert_eq!(port.len(), sink.len(), "ports of five digits");
                    format!("{head}\r\nm=image {sink} {rest}")
                }
                _ => text,
            },
            Meddling::Refuse(_) | Meddling::PortZero | Meddling::AudioInstead | Meddling::Lose => text,
        }
    }
}

fn header<'t>(text: &'t str, name: &str) -> &'t str {
    let mut values = text.lines().filter_map(|l| l.split_once(':'));
    values.find(|(n, _)| n.eq_ignore_ascii_case(name)).map_or("", |(_, v)| v.trim())
}
