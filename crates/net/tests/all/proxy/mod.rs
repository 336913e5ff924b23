//! Kamailio as registrar and record-routing proxy, with the configuration of `testdata/kamailio`.
#![allow(dead_code, clippy::unwrap_used, clippy::panic)]

use super::streams::Authority;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// How long a proxy may take to begin; a busy machine takes its time.
const BEGIN: Duration = Duration::from_secs(60);

/// Ports are taken between being found free and being bound: then others are.
const ATTEMPTS: usize = 3;

/// A running proxy in a folder of its own.
pub struct Kamailio {
    child: Child,
    /// UDP and TCP.
    pub at: SocketAddr,
    pub tls: SocketAddr,
    folder: tempfile::TempDir,
}

/// An address at which neither UDP nor TCP is bound.
fn free() -> SocketAddr {
    loop {
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let at = udp.local_addr().unwrap();
        if TcpListener::bind(at).is_ok() {
            return at;
        }
    }
}

/// Whether a Kamailio answers at a TCP address, and not whoever else has the port.
fn answers(at: SocketAddr) -> bool {
    let asked = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(at)?;
        stream.set_read_timeout(Some(Duration::from_secs(5)))?;
        let own = stream.local_addr()?;
        let options = format!(
            "OPTIONS sip:{at} SIP/2.0\r\nVia: SIP/2.0/TCP {own};branch=z9hG4bKready\r\nMax-Forwards: 70\r\n\
             From: <sip:test@{own}>;tag=1\r\nTo: <sip:{at}>\r\nCall-ID: ready@{own}\r\nCSeq: 1 OPTIONS\r\n\
             Content-Length: 0\r\n\r\n"
        );
        stream.write_all(options.as_bytes())?;
        let mut answer = [0; 2_048];
        let length = stream.read(&mut answer)?;
        Ok(String::from_utf8_lossy(&answer[..length]).into_owned())
    };
    asked().is_ok_and(|answer| answer.starts_with("SIP/2.0 200") && answer.contains("kamailio"))
}

impl Kamailio {
    /// Starts one, at free addresses.
    pub fn start(ca: &Authority) -> Kamailio {
        Kamailio::start_with(ca, &[])
    }

    /// Starts one; `fill` says what stands for more place holders of its configuration.
    pub fn start_with(ca: &Authority, fill: &[(&str, &str)]) -> Kamailio {
        let mut faults = String::new();
        for _ in 0..ATTEMPTS {
            match Kamailio::start_at(ca, free(), free(), fill) {
                Ok(proxy) => return proxy,
                Err(why) => faults = faults + &why + "\n",
            }
        }
        panic!("kamailio does not start:\n{faults}");
    }

    /// Starts one at these addresses; why not.
    fn start_at(
        ca: &Authority,
        at: SocketAddr,
        tls: SocketAddr,
        more: &[(&str, &str)],
    ) -> Result<Kamailio, String> {
        let folder = tempfile::tempdir().unwrap();
        let ours = ca.identity("proxy.example");
        let fill = |name: &str| {
            let from = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/kamailio").join(name);
            let to = folder.path().join(name);
            let mut text = std::fs::read_to_string(from).unwrap();
            for (holder, value) in more {
                text = text.replace(holder, value);
            }
            let load = format!(
                "loadmodule \"tls.so\"\nmodparam(\"tls\", \"config\", \"{}\")",
                folder.path().join("tls.cfg").display()
            );
            let text = text
                .replace("{asked}", "")
                .replace("{proved}", "")
                .replace("{port}", &at.port().to_string())
                .replace("{enable_tls}", "enable_tls=yes")
                .replace("{listen_tls}", &format!("listen=tls:{tls}"))
                .replace("{load_tls}", &load)
                .replace("{certificate}", &ours.certificate.display().to_string())
                .replace("{key}", &ours.key.display().to_string())
                .replace("{ca}", &ca.file().display().to_string());
            std::fs::write(&to, text).unwrap();
            to
        };
        fill("tls.cfg");
        let configuration = fill("kamailio.cfg");
        let log = std::fs::File::create(folder.path().join("log")).unwrap();
        let child = Command::new("kamailio")
            .args(["-DD", "-E", "-m", "32", "-M", "4", "-f"])
            .arg(&configuration)
            .arg("-Y")
            .arg(folder.path())
            .arg("-w")
            .arg(folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("no kamailio ({error}): install it (./tools/test does)"));
        let mut proxy = Kamailio { child, at, tls, folder };
        let end = Instant::now() + BEGIN;
        loop {
            if let Some(status) = proxy.child.try_wait().unwrap() {
                return Err(format!("it ended ({status}): {}", proxy.log()));
            }
            if answers(at) && TcpStream::connect(tls).is_ok() {
                return Ok(proxy);
            }
            if Instant::now() > end {
                return Err(format!("it does not answer within {BEGIN:?}: {}", proxy.log()));
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until its log says so.
    pub async fn says(&self, words: &str) {
        let end = Instant::now() + BEGIN;
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "kamailio does not say {words}: {}", self.log());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends all processes of the proxy with this id.
    pub fn kill_group(pid: u32) {
        let _ = Command::new("kill").args(["-KILL", "--", &format!("-{pid}")]).status();
    }

    /// All its processes end at once, as by a power cut; ports answer no more.
    pub fn kill(&mut self) {
        Kamailio::kill_group(self.pid());
        let _ = self.child.wait();
    }
}

impl Drop for Kamailio {
    fn drop(&mut self) {
        self.kill();
        if std::thread::panicking() {
            println!("{}", self.log());
        }
    }
}
