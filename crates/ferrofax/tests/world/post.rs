//! A post office that takes every mail (RFC 5321, the least of it) and keeps them.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A mail as it came.
#[derive(Clone, Debug)]
pub struct Mail {
    pub to: Vec<String>,
    pub text: String,
}

/// The post office; it takes mails as long as the test runs.
pub struct Post {
    pub address: SocketAddr,
    mails: Arc<Mutex<Vec<Mail>>>,
}

impl Post {
    pub fn open() -> Post {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let mails = Arc::new(Mutex::new(Vec::new()));
        let kept = mails.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (Ok(stream), kept) = (stream, kept.clone()) else { return };
                std::thread::spawn(move || session(stream, &kept));
            }
        });
        Post { address, mails }
    }

    /// Waits for a mail to `to`.
    pub fn mail_to(&self, to: &str, patience: Duration) -> Mail {
        let deadline = Instant::now() + patience;
        loop {
            let mails = self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(mail) = mails.iter().find(|m| m.to.iter().any(|t| t == to)) {
                return mail.clone();
            }
            let others: Vec<_> = mails.iter().flat_map(|m| &m.to).collect();
            assert!(Instant::now() < deadline, "no mail to {to} came, only to {others:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// All that came.
    pub fn mails(&self) -> Vec<Mail> {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How many came.
    pub fn count(&self) -> usize {
        self.mails.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

fn session(mut stream: TcpStream, kept: &Mutex<Vec<Mail>>) -> Option<()> {
    let mut lines = BufReader::new(stream.try_clone().ok()?).split(b'\n');
    let mut line = move || {
        let line = lines.next()?.ok()?;
        Some(String::from_utf8_lossy(&line).trim_end_matches('\r').to_owned())
    };
    let mut to = Vec::new();
    stream.write_all(b"220 post.test\r\n").ok()?;
    loop {
        let said = line()?;
        let verb = said.get(..4).unwrap_or_default().to_ascii_uppercase();
        let answer: &[u8] = match verb.as_str() {
            "QUIT" => {
                let _ = stream.write_all(b"221 bye\r\n");
                return None;
            }
            "RCPT" => {
                let path = said.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                to.push(path.map(|(address, _)| address.to_owned()).unwrap_or_default());
                b"250 ok\r\n"
            }
            "DATA" => {
                stream.write_all(b"354 go on\r\n").ok()?;
                let mut text = String::new();
                loop {
                    let said = line()?;
                    if said == "." {
                        break;
                    }
                    text.push_str(said.strip_prefix('.').unwrap_or(&said));
                    text.push('\n');
                }
                let mail = Mail { to: std::mem::take(&mut to), text };
                kept.lock().unwrap_or_else(PoisonError::into_inner).push(mail);
                b"250 kept\r\n"
            }
            _ => b"250 ok\r\n",
        };
        stream.write_all(answer).ok()?;
    }
}
