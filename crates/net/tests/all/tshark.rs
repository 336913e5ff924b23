//! What Wireshark's dissectors, which no one here wrote, make of a fax between two endpoints: SIP, SDP,
//! T.38 and T.30 are read in full, every T.30 frame that belongs there is seen, nothing is malformed.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::{page, pels, request, side, story_within, terminal};
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

/// Octets of an RTP packet with 20 ms of audio.
const RTP: usize = 12 + 160;

/// What wakes a recording up, and what its end is known by.
const PROBE: &[u8] = b"probe";
const LAST: &[u8] = b"probe: the last";

/// A busy machine takes its time.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a turn of the media came later than this, timers of T.30 and of the switch to T.38 may have been late, too:
/// frames are sent again, offers cross.
const PUNCTUAL_MS: usize = 60;

/// So many calls are made until one is punctual.
const ATTEMPTS: usize = 3;

/// A capture that runs.
struct Capture {
    child: Child,
    file: PathBuf,
    /// What tshark says: at its end, whether it missed packets.
    said: Option<std::thread::JoinHandle<String>>,
}

impl Capture {
    /// Records everything between the two addresses on the loopback interface.
    fn start(name: &str, filter: &str) -> Capture {
        let file = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("{name}.pcap"));
        // One of before would be taken for this one.
        let _ = std::fs::remove_file(&file);
        let child = Command::new("tshark")
            .args(["-i", "lo", "-q", "-B", "64", "-F", "pcap", "-f", filter, "-w"])
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
        let said = std::thread::spawn(move || lines.map_while(Result::ok).collect::<Vec<_>>().join("\n"));
        Capture { child, file, said: Some(said) }
    }

    /// Sends `what` to `probe` until it is recorded; all that was sent before is, then.
    fn settle(&self, from: &UdpSocket, probe: SocketAddr, what: &[u8]) {
        let end = Instant::now() + PATIENCE;
        loop {
            from.send_to(what, probe).unwrap();
            std::thread::sleep(Duration::from_millis(200));
            let recorded = std::fs::read(&self.file).unwrap_or_default();
            if recorded.windows(what.len()).any(|w| w == what) {
                return;
            }
            assert!(Instant::now() < end, "nothing is recorded");
        }
    }

    /// Ends it; `None` when packets were missed.
    fn stop(mut self) -> Option<PathBuf> {
        let pid = self.child.id().to_string();
        let _ = Command::new("sh").args(["-c", &format!("kill -INT {pid}")]).status();
        let end = Instant::now() + PATIENCE;
        while self.child.try_wait().unwrap().is_none() {
            assert!(Instant::now() < end, "tshark does not stop");
            std::thread::sleep(Duration::from_millis(50));
        }
        let said = self.said.take().map(|s| s.join().unwrap()).unwrap_or_default();
        let missed = said.lines().any(|l| l.contains("dropped") && !l.trim_start().starts_with("0 "));
        (!missed).then(|| self.file.clone())
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The same recording as tshark can make sense of it.
///
/// Without repeated datagrams: a UDPTL packet may be sent again as it is, its sequence number says so, but tshark puts
/// HDLC frames together without looking at it. And without the audio that is still under way when T.38 is offered: both
/// have the same port, and from the agreement on tshark takes all that comes there for UDPTL.
fn readable(file: &Path) -> PathBuf {
    let octets = std::fs::read(file).unwrap();
    let (head, mut rest) = octets.split_at(FILE_HEADER);
    let mut kept = head.to_vec();
    let mut seen = HashSet::new();
    let mut offered = false;
    while rest.len() >= PACKET_HEADER {
        let captured = u32::from_ne_bytes(rest[8..12].try_into().unwrap());
        let length = PACKET_HEADER + usize::try_from(captured).unwrap();
        let Some((packet, after)) = rest.split_at_checked(length) else {
            break;
        };
        let frame = &packet[PACKET_HEADER..];
        // Addresses and ports, then the payload: TTL, checksums and identification do not count.
        let key = (frame[26..38].to_vec(), frame[HEADERS..].to_vec());
        let payload = &frame[HEADERS..];
        offered |= payload.starts_with(b"INVITE ") && payload.windows(8).any(|w| w == b"m=image ");
        let late_audio = offered && payload.len() == RTP && payload.first() == Some(&0x80);
        if !late_audio && seen.insert(key) {
            kept.extend_from_slice(packet);
        }
        rest = after;
    }
    let file = file.with_extension("once.pcap");
    std::fs::write(&file, kept).unwrap();
    file
}

/// What tshark says of one packet: these fields, in this order.
const FIELDS: [&str; 7] = [
    "frame.protocols",
    "sip.Method",
    "sdp.media",
    "sdp.media_attr",
    "t30.FacsimileControl",
    "data.data",
    "_ws.col.Info",
];

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
        .map(|line| line.splitn(fields.len(), '|').map(str::to_owned).collect())
        .collect()
}

/// A recording as tshark reads it.
struct Dissection(Vec<Vec<String>>);

impl Dissection {
    fn of(file: &Path) -> Dissection {
        Dissection(fields(file, "udp", &FIELDS))
    }

    /// The values of a field in packets with these protocols, one a packet, where there are any.
    fn values<'d>(&'d self, protocols: &'d [&str], field: &str) -> impl Iterator<Item = &'d str> {
        let at = FIELDS.iter().position(|f| *f == field).unwrap();
        let has = |packet: &Vec<String>| protocols.iter().all(|p| packet[0].split(':').any(|q| q == *p));
        self.0.iter().filter(move |p| has(p)).map(move |p| p[at].as_str()).filter(|v| !v.is_empty())
    }
}

/// A fax of two pages by T.38, recorded and dissected.
async fn dissected(name: &str, number: u8, ecm: bool) {
    for attempt in 1..=ATTEMPTS {
        if call(name, number, ecm, attempt == ATTEMPTS).await {
            return;
        }
    }
}

/// Makes one call and judges it; false, when it was not punctual. The last one is judged anyway, as far as frames that are
/// sent again allow.
async fn call(name: &str, number: u8, ecm: bool, last: bool) -> bool {
    // Addresses of their own keep the recording apart from other tests' packets.
    let at = |last: u8| SocketAddr::new([127, 0, number, last].into(), 0);
    let free = |last: u8| UdpSocket::bind(at(last)).unwrap().local_addr().unwrap();
    let (a, b) = (free(1), free(2));
    let capture = Capture::start(name, &format!("udp and net 127.0.{number}.0/24"));
    let probe = UdpSocket::bind(at(9)).unwrap();
    capture.settle(&probe, probe.local_addr().unwrap(), PROBE);
    let calling = side(a, b, |_| {}).await;
    let mut called = side(b, a, |_| {}).await;
    let (bitmap, coded) = page(150);
    let sending =
        calling.endpoint.call(request(terminal(t30::Role::Calling, vec![coded.clone(), coded], ecm)));
    let bound = Duration::from_secs(240);
    let sending = tokio::spawn(story_within(sending, bound));
    let incoming = called.incoming.recv().await.unwrap();
    let receiving = incoming.accept(terminal(t30::Role::Called, Vec::new(), ecm));
    let received = story_within(receiving, bound).await;
    let sent = sending.await.unwrap();
    let times = calling.endpoint.punctuality().and(&called.endpoint.punctuality());
    let punctual = times.quantile(1.0) <= PUNCTUAL_MS;
    // BYE and its answer may still be on their way.
    calling.endpoint.stop().await;
    called.endpoint.stop().await;
    capture.settle(&probe, probe.local_addr().unwrap(), LAST);
    let Some(file) = capture.stop() else {
        assert!(!last, "tshark misses packets in every attempt");
        return false;
    };
    assert_eq!(sent.report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 2);
    for page in &received.pages {
        assert!(pels(page) == bitmap, "the page differs");
    }
    if !punctual && !last {
        println!("a turn of the media was {} ms late: once more", times.quantile(1.0));
        return false;
    }
    assert!(sent.t38 && received.t38);
    let all = Dissection::of(&file);
    let dcn = all.values(&["t38", "t30"], "t30.FacsimileControl").filter(|f| *f == "95").count();
    assert!(dcn >= 2 || !punctual, "BYE overtook what guards DCN against loss");
    let once = readable(&file);
    judge(&once, ecm, punctual);
    let _ = std::fs::remove_file(file);
    let _ = std::fs::remove_file(once);
    true
}

/// Facsimile control fields as tshark numbers them: the octet of T.30 Table 2 without its X bit.
const FRAMES: [(&str, &str); 6] =
    [("DIS", "1"), ("CFR", "33"), ("MCF", "49"), ("DCS", "65"), ("TSI", "66"), ("DCN", "95")];

/// What has to be in a recording; how often, where the call was punctual.
fn judge(file: &Path, ecm: bool, punctual: bool) {
    let bad = fields(
        file,
        "_ws.malformed || (_ws.expert.severity == error) \
         || ((t30 || t38) && _ws.expert.severity == warning)",
        &["frame.number", "_ws.col.Info", "_ws.expert.message"],
    );
    assert!(bad.is_empty(), "{bad:#?}");

    let all = Dissection::of(file);
    let times = |is: usize, due: usize| if punctual { is == due } else { is >= due };
    let methods: Vec<_> = all.values(&["sip"], "sip.Method").collect();
    for method in ["INVITE", "ACK", "BYE"] {
        assert!(methods.contains(&method), "{method}: {methods:?}");
    }
    let media: Vec<_> = all.values(&["sip", "sdp"], "sdp.media").collect();
    let count = |what: &str| media.iter().filter(|m| m.starts_with(what)).count();
    assert!(times(count("audio "), 2) && times(count("image "), 2), "{media:?}");
    let attributes = all.values(&["sip", "sdp"], "sdp.media_attr");
    let versions = attributes.filter(|a| a.split(',').any(|a| a == "T38FaxVersion:0")).count();
    assert!(times(versions, 2), "{versions}");

    let frames: Vec<_> = all.values(&["t38", "t30"], "t30.FacsimileControl").collect();
    let seen = |code: &str| frames.iter().filter(|f| **f == code).count();
    for (name, code) in FRAMES {
        assert!(seen(code) > 0, "no {name}: {frames:?}");
    }
    assert!(times(seen("49"), 2), "MCF for two pages: {frames:?}");
    if ecm {
        assert!(times(seen("125"), 2), "PPS for two pages: {frames:?}");
        assert!(seen("96") > 1 && times(seen("97"), 6), "FCD and three RCP a page: {frames:?}");
    } else {
        assert!(times(seen("114"), 1) && times(seen("116"), 1), "MPS, then EOP: {frames:?}");
        let data: Vec<_> = all.values(&["t38"], "_ws.col.Info").collect();
        assert!(data.iter().any(|i| i.contains("t4-non-ecm-data")), "{data:?}");
        assert!(data.iter().any(|i| i.contains("t4-non-ecm-sig-end")));
    }
    // Nothing on the media ports is unknown to the dissectors, but for what woke the recording up.
    let hexadecimal = |octets: &[u8]| octets.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let probes = [hexadecimal(PROBE), hexadecimal(LAST)];
    let known = |p: &Vec<String>| p[0].split(':').any(|p| ["sip", "rtp", "t38"].contains(&p));
    let strange: Vec<_> = all.0.iter().filter(|p| !known(p) && !probes.contains(&p[5])).collect();
    assert!(strange.is_empty(), "{strange:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_with_error_correction_is_dissected() {
    dissected("tshark-ecm", 81, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_without_error_correction_is_dissected() {
    dissected("tshark-non-ecm", 82, false).await;
}
