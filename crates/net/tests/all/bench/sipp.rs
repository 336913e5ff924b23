//! SIPp with one scenario of `testdata/sipp` and one call.

use super::free;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// No scenario takes longer.
pub const BOUND: Duration = Duration::from_secs(60);

/// A running SIPp.
pub struct Sipp {
    child: Child,
    messages: PathBuf,
}

impl Sipp {
    /// Starts one scenario for one call at `at`; `fill` says what stands for its place holders.
    pub fn start(scenario: &str, at: SocketAddr, fill: &[(&str, &str)], target: &[&str]) -> Sipp {
        Sipp::start_by("u1", scenario, at, fill, target)
    }

    /// The same by one of SIPp's transports: `u1` UDP, `t1` one TCP connection, `tn` one for each call. The scenarios are
    /// written for UDP.
    pub fn start_by(
        transport: &str,
        scenario: &str,
        at: SocketAddr,
        fill: &[(&str, &str)],
        target: &[&str],
    ) -> Sipp {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../testdata/sipp");
        let log = |what: &str| {
            PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("sipp-{scenario}-{}.{what}", at.port()))
        };
        let messages = log("messages");
        let mut text = std::fs::read_to_string(folder.join(format!("{scenario}.xml"))).unwrap();
        for (holder, value) in fill {
            text = text.replace(holder, value);
        }
        if transport.starts_with('t') {
            text = text.replace("SIP/2.0/UDP", "SIP/2.0/TCP");
            text = text.replace("[local_ip]:[local_port]>\n", "[local_ip]:[local_port];transport=tcp>\n");
        }
        std::fs::write(log("xml"), text).unwrap();
        let child = Command::new("sipp")
            .arg("-sf")
            .arg(log("xml"))
            .args(["-i", &at.ip().to_string(), "-p", &at.port().to_string()])
            .args([
                "-t",
                transport,
                "-max_socket",
                "100",
                "-m",
                "1",
                "-nostdin",
                "-timeout",
                "55s",
                "-timeout_error",
            ])
            .args(["-recv_timeout", "50000", "-trace_err", "-error_file"])
            .arg(log("errors"))
            .args(["-trace_msg", "-message_file"])
            .arg(&messages)
            .args(target)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        match child {
            Ok(child) => Sipp { child, messages },
            Err(error) => panic!("no sipp ({error}): install sip-tester (./tools/test does)"),
        }
    }

    /// Starts a scenario that is called, and waits until it listens.
    pub async fn listen(scenario: &str, fill: &[(&str, &str)]) -> (Sipp, SocketAddr) {
        Sipp::listen_by("u1", scenario, fill).await
    }

    /// The same by one of SIPp's transports.
    pub async fn listen_by(transport: &str, scenario: &str, fill: &[(&str, &str)]) -> (Sipp, SocketAddr) {
        let at = free();
        let sipp = Sipp::start_by(transport, scenario, at, fill, &[]);
        let end = Instant::now() + Duration::from_secs(30);
        while !is_bound(transport, at) {
            assert!(Instant::now() < end, "sipp does not listen");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        (sipp, at)
    }

    /// Waits for its end; every message must have come as scripted.
    pub async fn succeeds(mut self) {
        let end = Instant::now() + BOUND;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return self.judge(status);
            }
            assert!(Instant::now() < end, "sipp does not come to an end");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn judge(&self, status: ExitStatus) {
        if !status.success() {
            let errors = std::fs::read(self.messages.with_extension("errors")).unwrap_or_default();
            let messages = std::fs::read(&self.messages).unwrap_or_default();
            println!("{}", String::from_utf8_lossy(&messages));
            println!("{}", String::from_utf8_lossy(&errors));
        }
        assert!(status.success(), "sipp: {status}");
        for what in ["messages", "errors", "xml"] {
            let _ = std::fs::remove_file(self.messages.with_extension(what));
        }
    }
}

/// Whether somebody has this address. Who would find it out by binding it could be in the way at that moment.
fn is_bound(transport: &str, at: SocketAddr) -> bool {
    let SocketAddr::V4(v4) = at else { panic!("{at}") };
    let (table, state) = if transport == "u1" { ("udp", "07") } else { ("tcp", "0A") };
    let address = format!("{:08X}:{:04X}", u32::from_ne_bytes(v4.ip().octets()), v4.port());
    let rows = std::fs::read_to_string(format!("/proc/net/{table}")).unwrap();
    rows.lines().any(|row| {
        let mut fields = row.split_whitespace().skip(1);
        (fields.next(), fields.nth(1)) == (Some(address.as_str()), Some(state))
    })
}

impl Drop for Sipp {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
