//! A SIP peer whose lines are always engaged (RFC 3261 §21.4.21), the least of it.

use std::net::{SocketAddr, UdpSocket};

/// Answers as long as the test runs.
pub fn open() -> SocketAddr {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    std::thread::spawn(move || {
        let mut octets = [0; 65_536];
        loop {
            let Ok((n, from)) = socket.recv_from(&mut octets) else { continue };
            let request = String::from_utf8_lossy(&octets[..n]).into_owned();
            let status = match request.split(' ').next() {
                Some("INVITE") => "486 Busy Here",
                Some("ACK") | None => continue,
                Some(_) => "200 OK",
            };
            let mut answer = format!("SIP/2.0 {status}\r\n");
            for line in request.lines().take_while(|l| !l.is_empty()) {
                let name = line.split(':').next().unwrap_or_default().trim().to_ascii_lowercase();
                match name.as_str() {
                    "to" | "t" => answer += &format!("{line};tag=engaged\r\n"),
                    "via" | "v" | "from" | "f" | "call-id" | "i" | "cseq" => answer += &format!("{line}\r\n"),
                    _ => {}
                }
            }
            answer += "Content-Length: 0\r\n\r\n";
            let _ = socket.send_to(answer.as_bytes(), from);
        }
    });
    address
}
