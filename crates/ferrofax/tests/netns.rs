//! Two hosts and a router in network namespaces, a bad line between them, and the program as anyone runs it on both:
//! `ferrofax receive` here, `ferrofax send --peer` there, by T.38 and by G.711, directly and from behind a translator
//! of addresses.
//!
//! The line is a pair of TUN devices with `testkit`'s network between them, so that it is the same on every kernel:
//! 40 ms, up to 30 ms more, 1 % lost, packets out of order and twice. It needs root, iproute2, nftables and socat;
//! without them it fails. `FERROFAX_NETNS_CALLS` says how many calls each carrier makes (4), `FERROFAX_NETNS_AT_ONCE` how
//! many run at a time (8).

#![allow(clippy::unwrap_used, clippy::panic, missing_docs)]

use bytes::Bytes;
use fax_base::Instant;
use fax_base::page::{Resolution, Width};
use fax_document::{FaxDocument, Page};
use fax_image::Bitmap;
use serde_json::Value;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::Duration;
use testkit::network::{Impairments, Network};

const RECEIVER: &str = "198.51.100.1";

const BAD_LINE: Impairments = Impairments {
    latency: Duration::from_millis(40),
    jitter: Duration::from_millis(30),
    loss: 0.01,
    burst: 1.0,
    longest_burst: u32::MAX,
    duplicates: 0.01,
    reorder: 0.01,
    reorder_delay: Duration::from_millis(20),
};

/// Runs a command that must go well.
fn run(program: &str, arguments: &[&str]) {
    let needs = "This test needs root, iproute2, nftables, socat and /dev/net/tun (./tools/test installs them); \
        leave it out with: cargo nextest run -E 'not binary(netns)'";
    let ran = Command::new(program)
        .args(arguments)
        .output()
        .unwrap_or_else(|error| panic!("{program} does not start: {error}. {needs}"));
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success(), "{program} {}: {said}\n{needs}", arguments.join(" "));
}

/// A command inside a namespace.
fn inside(namespace: &str, program: &str) -> Command {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", namespace, program]).stdin(Stdio::null());
    command
}

/// One direction of the line: packets from one device's socket to the other's. What comes is read at once, whatever
/// becomes of it, so that no device ever waits for the line; both threads end when `stop` is set.
fn carry(
    from: UnixDatagram,
    out: UnixDatagram,
    to: PathBuf,
    seed: u64,
    stop: Arc<AtomicBool>,
) -> [JoinHandle<()>; 2] {
    let (came, packets) = channel();
    let reader = std::thread::spawn(move || {
        from.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut buffer = [0; 4_096];
        while !stop.load(Ordering::Relaxed) {
            if let Ok(length) = from.recv(&mut buffer) {
                let _ = came.send((std::time::Instant::now(), Bytes::copy_from_slice(&buffer[..length])));
            }
        }
    });
    let sender = std::thread::spawn(move || {
        let (mut network, clock) = (Network::<Bytes>::new(BAD_LINE, seed), std::time::Instant::now());
        let at = |time: std::time::Instant| {
            Instant::from_micros(u64::try_from(time.saturating_duration_since(clock).as_micros()).unwrap())
        };
        loop {
            let now = at(std::time::Instant::now());
            while let Some(packet) = network.poll(now) {
                let _ = out.send_to(&packet, &to);
            }
            let wait = network.deadline().map_or(Duration::from_millis(100), |due| due.since(now));
            match packets.recv_timeout(wait) {
                Ok((time, packet)) => network.send(at(time), packet),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    });
    [reader, sender]
}

/// The namespaces: the receiver's host, the router, and a caller's host behind it.
struct World {
    receiver: String,
    router: String,
    caller: String,
    devices: Vec<Child>,
    stop: Arc<AtomicBool>,
    line: Vec<JoinHandle<()>>,
}

impl World {
    fn new(folder: &Path) -> World {
        let name = |role: &str| format!("ferrofax-{role}-{}", std::process::id());
        let mut world = World {
            receiver: name("receiver"),
            router: name("router"),
            caller: name("caller"),
            devices: Vec::new(),
            stop: Arc::default(),
            line: Vec::new(),
        };
        for namespace in [&world.receiver, &world.router, &world.caller] {
            run("ip", &["netns", "add", namespace]);
            run("ip", &["-n", namespace, "link", "set", "lo", "up"]);
        }
        world.lay_the_line(folder);
        world.translate();
        world
    }

    /// The line between the receiver and the router: 198.51.100.0/24.
    fn lay_the_line(&mut self, folder: &Path) {
        let path = |name: &str| folder.join(name);
        let ends = [path("hub-a"), path("hub-b")].map(|p| UnixDatagram::bind(p).unwrap());
        for (namespace, side) in [(self.receiver.clone(), "a"), (self.router.clone(), "b")] {
            let (hub, device) = (path(&format!("hub-{side}")), path(&format!("device-{side}")));
            let tun = "TUN,tun-type=tun,iff-no-pi,iff-up,tun-name=wire";
            let socket = format!("UNIX-SENDTO:{},bind={}", hub.display(), device.display());
            self.devices.push(inside(&namespace, "socat").args([tun, &socket]).spawn().unwrap());
            wait_for("a device of socat", || {
                let shown =
                    Command::new("ip").args(["-n", &namespace, "link", "show", "wire"]).output().unwrap();
                shown.status.success() && device.exists()
            });
        }
        run("ip", &["-n", &self.receiver, "address", "add", "198.51.100.1/24", "dev", "wire"]);
        run("ip", &["-n", &self.router, "address", "add", "198.51.100.2/24", "dev", "wire"]);
        let [a, b] = ends;
        let (out_a, out_b) = (a.try_clone().unwrap(), b.try_clone().unwrap());
        let stop = || self.stop.clone();
        let line =
            [carry(a, out_b, path("device-b"), 1, stop()), carry(b, out_a, path("device-a"), 2, stop())];
        self.line.extend(line.into_iter().flatten());
    }

    /// The caller's host with a private address, and the router before it that hides it.
    fn translate(&self) {
        let (router, caller) = (&self.router, &self.caller);
        run(
            "ip",
            &["-n", router, "link", "add", "inside", "type", "veth", "peer", "name", "out", "netns", caller],
        );
        run("ip", &["-n", router, "address", "add", "10.77.0.1/24", "dev", "inside"]);
        run("ip", &["-n", router, "link", "set", "inside", "up"]);
        run("ip", &["-n", caller, "address", "add", "10.77.0.2/24", "dev", "out"]);
        run("ip", &["-n", caller, "link", "set", "out", "up"]);
        run("ip", &["-n", caller, "route", "add", "default", "via", "10.77.0.1"]);
        let exec = |words: &str| {
            let words: Vec<&str> = ["netns", "exec", router].into_iter().chain(words.split(' ')).collect();
            run("ip", &words);
        };
        exec("sysctl -q -w net.ipv4.ip_forward=1");
        exec("nft add table ip nat");
        exec("nft add chain ip nat out { type nat hook postrouting priority 100 ; }");
        exec("nft add rule ip nat out oifname wire ip saddr 10.77.0.0/24 masquerade");
        // Nobody gets in who was not asked.
        exec("nft add chain ip nat guard { type filter hook forward priority 0 ; policy drop ; }");
        exec("nft add rule ip nat guard iifname inside accept");
        exec("nft add rule ip nat guard ct state established,related accept");
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        for device in &mut self.devices {
            let _ = device.kill();
            let _ = device.wait();
        }
        for direction in self.line.drain(..) {
            let _ = direction.join();
        }
        for namespace in [&self.receiver, &self.router, &self.caller] {
            let _ = Command::new("ip").args(["netns", "delete", namespace]).output();
        }
    }
}

fn wait_for(what: &str, mut there: impl FnMut() -> bool) {
    for _ in 0..200 {
        if there() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("{what} does not come");
}

/// A running `ferrofax receive`, ended with the test.
struct Receiver(Child);

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Receiver {
    fn start(world: &World, folder: &Path) -> Receiver {
        let mut child = inside(&world.receiver, env!("CARGO_BIN_EXE_ferrofax"))
            .args(["receive", "--json", "--from", "0.0.0.0/0", "--ident", "+4930987", "--listen"])
            .arg(format!("{RECEIVER}:5060"))
            .arg("--dir")
            .arg(folder)
            .env_remove("RUST_LOG")
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut said = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        said.read_line(&mut line).unwrap();
        assert!(line.contains("listening"), "{line}");
        // What it says from now on must not fill its pipe.
        std::thread::spawn(move || said.lines().map_while(Result::ok).for_each(|line| println!("{line}")));
        Receiver(child)
    }
}

/// One call as its sender told it.
struct Call {
    audio: bool,
    behind: bool,
    output: Output,
}

impl Call {
    fn told(&self) -> Value {
        let last = self.output.stdout.split(|b| *b == b'\n').rfind(|l| !l.is_empty()).unwrap_or_default();
        serde_json::from_slice(last).unwrap_or_default()
    }

    /// Delivered, and by the carrier that was meant.
    fn good(&self) -> bool {
        let told = self.told();
        self.output.status.success() && told["delivered"] == true && told["t38"] != self.audio
    }
}

fn number(name: &str, default: usize) -> usize {
    std::env::var(name).ok().and_then(|n| n.parse().ok()).unwrap_or(default)
}

/// All calls, so many at a time.
fn calls(world: &World, file: &Path, each: usize, at_once: usize) -> Vec<Call> {
    let waiting: Mutex<VecDeque<(usize, bool)>> =
        Mutex::new((0..each).flat_map(|n| [(n, false), (n, true)]).collect());
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for place in 0..at_once {
            let (waiting, done) = (&waiting, &done);
            scope.spawn(move || {
                // Calls that begin at the same instant would all do everything at the same instant.
                std::thread::sleep(Duration::from_millis(place as u64 * 300));
                loop {
                    let Some((n, audio)) = waiting.lock().unwrap().pop_front() else {
                        return;
                    };
                    let behind = n % 2 == 1;
                    let host = if behind { &world.caller } else { &world.router };
                    let mut command = inside(host, env!("CARGO_BIN_EXE_ferrofax"));
                    command.args(["send", "+4930987"]).arg(file).args([
                        "--json",
                        "--no-header",
                        "--peer",
                        RECEIVER,
                    ]);
                    command.args(["--from", &format!("+49228{n}")]).args(audio.then_some("--audio"));
                    let output = command.env_remove("RUST_LOG").output().unwrap();
                    done.lock().unwrap().push(Call { audio, behind, output });
                }
            });
        }
    });
    done.into_inner().unwrap()
}

#[test]
fn faxes_get_through_a_bad_line_and_a_translator() {
    let each = number("FERROFAX_NETNS_CALLS", 4);
    let at_once = number("FERROFAX_NETNS_AT_ONCE", 8);
    let folder = tempfile::tempdir().unwrap();
    let world = World::new(folder.path());
    let inbox = folder.path().join("inbox");
    std::fs::create_dir(&inbox).unwrap();
    let bitmap = testkit::pages::text(1728, 500, 7);
    let shape = testkit::pages::coded(&bitmap, Resolution::Fine, Width::A4).shape;
    let document = FaxDocument { pages: vec![Page::from_bitmap(&bitmap, shape)], ..FaxDocument::default() };
    let file = folder.path().join("page.tif");
    std::fs::write(&file, document.to_tiff()).unwrap();

    let receiver = Receiver::start(&world, &inbox);
    let began = std::time::Instant::now();
    let calls = calls(&world, &file, each, at_once);
    let took = began.elapsed();
    let mut received: Vec<Bitmap> = Vec::new();
    // The last file is written a moment after its sender knows that the fax arrived.
    wait_for("the last received page", || {
        let files = std::fs::read_dir(&inbox).unwrap().map(|e| e.unwrap().path());
        let whole = files.filter(|f| f.extension().is_some_and(|e| e == "tif"));
        let documents = whole.filter_map(|f| FaxDocument::from_tiff(&std::fs::read(f).unwrap()).ok());
        received = documents.flat_map(|d| d.pages).map(|p| p.to_bitmap()).collect();
        received.iter().filter(|b| **b == bitmap).count() >= calls.iter().filter(|c| c.good()).count()
    });
    drop(receiver);
    drop(world);

    for call in calls.iter().filter(|c| !c.good()) {
        let errors = String::from_utf8_lossy(&call.output.stderr);
        println!("audio {}, behind the router {}: {}\n{errors}", call.audio, call.behind, call.told());
    }
    let delivered = |audio| calls.iter().filter(|c| c.audio == audio && c.good()).count();
    let (t38, audio) = (delivered(false), delivered(true));
    println!("{t38} of {each} by T.38, {audio} of {each} by G.711, in {took:?}, {at_once} at a time");
    assert_eq!(t38, each, "by T.38");
    assert!(audio * 100 >= each * 98, "by G.711: {audio} of {each}");
}
