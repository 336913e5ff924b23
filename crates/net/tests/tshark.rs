//! What Wireshark's dissectors, which no one here wrote, make of a fax between two endpoints: SIP, SDP,
//! T.38 and T.30 are read in full, every T.30 frame that belongs there is seen, nothing is malformed.
#![allow(clippy::unwrap_used, clippy::panic)]

mod bench;

use bench::{page, pels, request, side, story, terminal};
use fax_t30 as t30;
use std::collections::HashSet;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Octets before the first packet of a pcap file, and before each packet.
const FILE_HEADER: usize = 24;
const PACKET_HEADER: usize = 16;

/// Octets of Ethernet, IPv4 and UDP before the payload.
const HEADERS: usize = 14 + 20 + 8;

/// A capture that runs.
struct Capture {
    child: Child,
    file: PathBuf,
}

impl Capture {
    /// Records everything between the two addresses on the loopback interface.
    fn start(name: &str, filter: &str) -> Capture {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcap"));
        let child = Command::new("tshark")
            .args(["-i", "lo", "-q", "-F", "pcap", "-f", filter, "-w"])
            .arg(&file)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn();
        let mut child = match child {
            Ok(child) => child,
            Err(error) => panic!("no tshark ({error}): install tshark (./tools/test does)"),
        };
        let mut said = String::new();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        while !said.contains("Capturing on") {
            match lines.next() {
                Some(line) => said = said + &line.unwrap() + "\n",
                None => panic!(
                    "tshark may not capture on lo; run the tests as root or give dumpcap cap_net_raw:\n{said}"
                ),
            }
        }
        // The rest must be read, or tshark is stopped by a broken pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Capture { child, file }
    }

    /// Waits until packets are recorded: what is sent to `probe` must be seen.
    fn settle(&self, from: &UdpSocket, probe: SocketAddr) {
        let end = Instant::now() + Duration::from_secs(20);
        loop {
            from.send_to(b"probe", probe).unwrap();
            std::thread::sleep(Duration::from_millis(200));
            if std::fs::metadata(&self.file).is_ok_and(|m| m.len() > FILE_HEADER as u64) {
                return;
            }
            assert!(Instant::now() < end, "nothing is recorded");
        }
    }

    fn stop(mut self) -> PathBuf {
        std::thread::sleep(Duration::from_millis(1_500));
        let pid = self.child.id().to_string();
        let _ = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status();
        let end = Instant::now() + Duration::from_secs(20);
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "tshark does not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
        self.file.clone()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same recording without repeated datagrams: a UDPTL packet may be sent again as it is, its sequence
/// number says so, but tshark puts HDLC frames together without looking at it.
fn without_repeats(file: &Path) -> PathBuf {
    let octets = std::fs::read(file).unwrap();
    let (head, mut rest) = octets.split_at(FILE_HEADER);
    let mut kept = head.to_vec();
    let mut seen = HashSet::new();
    while rest.len() >= PACKET_HEADER {
        let captured = u32::from_ne_bytes(rest[8..12].try_into().unwrap());
        let length = PACKET_HEADER + usize::try_from(captured).unwrap();
        let Some((packet, after)) = rest.split_at_checked(length) else {
            break;
        };
        let frame = &packet[PACKET_HEADER..];
        // Addresses and ports, then the payload: TTL, checksums and identification do not count.
        let key = (frame[26..38].to_vec(), frame[HEADERS..].to_vec());
        if seen.insert(key) {
            kept.extend_from_slice(packet);
        }
        rest = after;
    }
    let file = file.with_extension("once.pcap");
    std::fs::write(&file, kept).unwrap();
    file
}

/// The chosen fields of each packet that passes the display filter.
fn fields(file: &Path, filter: &str, fields: &[&str]) -> Vec<Vec<String>> {
    let mut command = Command::new("tshark");
    command.arg("-n").arg("-r").arg(file);
    command.args(["-Y", filter, "-T", "fields", "-E", "separator=|"]);
    for field in fields {
        command.args(["-e", field]);
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| line.split('|').map(str::to_owned).collect())
        .collect()
}

/// A fax of two pages by T.38, recorded and dissected.
async fn dissected(name: &str, number: u8, ecm: bool) {
    // Addresses of their own keep the recording apart from other tests' packets.
    let at = |last: u8| SocketAddr::new([127, 0, number, last].into(), 0);
    let free = |last: u8| UdpSocket::bind(at(last)).unwrap().local_addr().unwrap();
    let (a, b) = (free(1), free(2));
    let capture = Capture::start(name, &format!("udp and net 127.0.{number}.0/24"));
    let probe = UdpSocket::bind(at(9)).unwrap();
    capture.settle(&probe, probe.local_addr().unwrap());
    let calling = side(a, b, |_| {}).await;
    let mut called = side(b, a, |_| {}).await;
    let (bitmap, coded) = page(150);
    let sending =
        calling.endpoint.call(request(terminal(t30::Role::Calling, vec![coded.clone(), coded], ecm)));
    let sending = tokio::spawn(story(sending));
    let incoming = called.incoming.recv().await.unwrap();
    let receiving = incoming.accept(terminal(t30::Role::Called, Vec::new(), ecm));
    let received = story(receiving).await;
    let sent = sending.await.unwrap();
    let file = capture.stop();
    assert!(sent.t38 && received.t38);
    assert_eq!(sent.report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 2);
    for page in &received.pages {
        assert!(pels(page) == bitmap, "the page differs");
    }
    let frames = fields(&file, "t38 && t30", &["t30.FacsimileControl"]).concat();
    let dcn = frames.iter().filter(|f| *f == "95").count();
    assert!(dcn >= 2, "BYE overtook what guards DCN against loss");
    let once = without_repeats(&file);
    judge(&once, ecm);
    let _ = std::fs::remove_file(file);
    let _ = std::fs::remove_file(once);
}

/// Facsimile control fields as tshark numbers them: the octet of T.30 Table 2 without its X bit.
const FRAMES: [(&str, &str); 6] =
    [("DIS", "1"), ("CFR", "33"), ("MCF", "49"), ("DCS", "65"), ("TSI", "66"), ("DCN", "95")];

fn judge(file: &Path, ecm: bool) {
    let bad = fields(
        file,
        "_ws.malformed || (_ws.expert.severity == error) \
         || ((t30 || t38) && _ws.expert.severity == warning)",
        &["frame.number", "_ws.col.Info", "_ws.expert.message"],
    );
    assert!(bad.is_empty(), "{bad:#?}");

    let methods = fields(file, "sip.Request-Line", &["sip.Method"]).concat();
    for method in ["INVITE", "ACK", "BYE"] {
        assert!(methods.iter().any(|m| m == method), "{method}: {methods:?}");
    }
    let media = fields(file, "sip && sdp", &["sdp.media"]).concat();
    let count = |what: &str| media.iter().filter(|m| m.starts_with(what)).count();
    assert_eq!((count("audio "), count("image ")), (2, 2), "{media:?}");
    let versions = fields(file, "sdp.media_attr contains \"T38FaxVersion:0\"", &["frame.number"]);
    assert_eq!(versions.len(), 2);

    let frames = fields(file, "t38 && t30", &["t30.FacsimileControl"]).concat();
    let seen = |code: &str| frames.iter().filter(|f| *f == code).count();
    for (name, code) in FRAMES {
        assert!(seen(code) > 0, "no {name}: {frames:?}");
    }
    assert_eq!(seen("49"), 2, "MCF for two pages");
    if ecm {
        assert_eq!(seen("125"), 2, "PPS for two pages");
        assert!(seen("96") > 1 && seen("97") == 6, "FCD and three RCP a page");
    } else {
        assert_eq!((seen("114"), seen("116")), (1, 1), "MPS, then EOP");
        let data = fields(file, "t38", &["_ws.col.Info"]).concat();
        assert!(data.iter().any(|i| i.contains("t4-non-ecm-data")), "{data:?}");
        assert!(data.iter().any(|i| i.contains("t4-non-ecm-sig-end")));
    }
    // Nothing on the media ports is unknown to the dissectors, but for what woke the recording up.
    let strange = fields(file, "udp && !sip && !rtp && !t38", &["data.data"]).concat();
    let probe: String = b"probe".iter().map(|b| format!("{b:02x}")).collect();
    assert!(strange.iter().all(|d| *d == probe), "{strange:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_with_error_correction_is_dissected() {
    dissected("tshark-ecm", 81, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_without_error_correction_is_dissected() {
    dissected("tshark-non-ecm", 82, false).await;
}
