//! Interworking with SIPp on loopback, in both roles; `skipped: no sipp` where it is not installed.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant as Clock};

use bytes::Bytes;
use fax_base::Instant;
use fax_sip::{
    Algorithm, Asker, CallKey, Command, Config, Event, Input, Invite, Output, Secret, Transport, UserAgent,
};

/// The user agent on a socket, with a policy for events.
struct Driver {
    agent: UserAgent,
    socket: UdpSocket,
    start: Clock,
    events: Vec<Event>,
    policy: Policy,
}

/// What the service does.
#[derive(Clone, Copy, PartialEq)]
enum Policy {
    /// Takes everything.
    Takes,
    /// Rings, and leaves it at that.
    Rings,
    /// Takes calls, and thinks about offers for ever.
    Hesitates,
    /// Takes calls of those who prove who they are.
    Challenges,
}

fn sdp(kind: &str) -> Bytes {
    let media = match kind {
        "image" => "m=image 7002 udptl t38\r\na=T38FaxVersion:0\r\na=T38FaxRateManagement:transferredTCF\r\n",
        _ => "m=audio 7000 RTP/AVP 8\r\n",
    };
    Bytes::from(format!("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n{media}"))
}

impl Driver {
    fn new() -> Driver {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        // SIPp knows MD5 alone.
        let algorithms = vec![Algorithm::Md5];
        let agent = UserAgent::new(Config { seed: [7; 32], algorithms, ..Config::default() });
        Driver { agent, socket, start: Clock::now(), events: Vec::new(), policy: Policy::Takes }
    }

    fn now(&self) -> Instant {
        Instant::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap())
    }

    fn local(&self) -> SocketAddr {
        self.socket.local_addr().unwrap()
    }

    fn command(&mut self, command: Command) {
        self.agent.handle(self.now(), Input::Command(command));
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Send { remote, octets, .. } => drop(self.socket.send_to(&octets, remote)),
                Output::Event(event) => self.event(event),
                Output::StopConnecting { .. } => {}
            }
        }
    }

    fn event(&mut self, event: Event) {
        let now = self.now();
        match &event {
            Event::Incoming(incoming) if self.policy == Policy::Challenges => {
                let secret = incoming.claim.as_ref().map(|_| Secret::Password("secret".into()));
                let (asker, realm) = (Asker::Call(incoming.call), "fax.example".into());
                let challenge = Command::Authenticate { asker, realm, proxy: true, secret };
                self.agent.handle(now, Input::Command(challenge));
            }
            Event::Incoming(incoming) => self.take(now, incoming.call),
            Event::Authenticated { asker: Asker::Call(call), .. } => self.take(now, *call),
            Event::ReinviteOffered { call, .. } if self.policy != Policy::Hesitates => {
                let accept = Command::AcceptReinvite { call: *call, answer: sdp("image") };
                self.agent.handle(now, Input::Command(accept));
            }
            _ => {}
        }
        self.events.push(event);
    }

    fn take(&mut self, now: Instant, call: CallKey) {
        self.agent.handle(now, Input::Command(Command::Ring { call, code: 180, sdp: None }));
        if self.policy != Policy::Rings {
            self.agent.handle(now, Input::Command(Command::Answer { call, sdp: sdp("audio") }));
        }
    }

    /// One look at the socket and the timers.
    fn turn(&mut self) {
        let mut buffer = [0u8; 65_536];
        if let Ok((n, remote)) = self.socket.recv_from(&mut buffer) {
            let (now, local) = (self.now(), self.local());
            let octets = &buffer[..n];
            self.agent.handle(now, Input::Datagram { transport: Transport::Udp, local, remote, octets });
        } else if self.agent.deadline().is_some_and(|d| d <= self.now()) {
            self.agent.handle(self.now(), Input::Timeout);
        }
        self.drain();
    }

    /// Runs until SIPp is done; its exit status says whether every call went as scripted.
    fn run(&mut self, mut sipp: Child) {
        let end = Clock::now() + Duration::from_secs(60);
        loop {
            self.turn();
            if let Some(status) = sipp.try_wait().unwrap() {
                assert!(status.success(), "SIPp: {status}");
                return;
            }
            if Clock::now() > end {
                let _ = sipp.kill();
                panic!("SIPp did not come to an end: {:?}", self.events);
            }
        }
    }

    fn count(&self, wanted: impl Fn(&Event) -> bool) -> usize {
        self.events.iter().filter(|e| wanted(e)).count()
    }
}

fn scenario(name: &str) -> Vec<String> {
    if name.starts_with("-") {
        return name.split(' ').map(str::to_owned).collect();
    }
    let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join("testdata/sip");
    vec!["-sf".into(), root.join(name).to_string_lossy().into_owned()]
}

/// Starts SIPp; `None` where there is none.
fn sipp(name: &str, more: &[&str]) -> Option<Child> {
    let found = Process::new("sipp")
        .args(scenario(name))
        .args(["-i", "127.0.0.1", "-timeout", "50s", "-nostdin", "-trace_err", "-error_file", "/dev/stderr"])
        .args(more)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn();
    if found.is_err() {
        println!("skipped: no sipp");
    }
    found.ok()
}

fn free_port() -> String {
    UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port().to_string()
}

/// SIPp calls us.
fn called_by(name: &str, calls: usize) -> Option<Driver> {
    called_as(name, calls, Policy::Takes)
}

fn called_as(name: &str, calls: usize, policy: Policy) -> Option<Driver> {
    let mut driver = Driver { policy, ..Driver::new() };
    let target = driver.local().to_string();
    let (port, calls) = (free_port(), calls.to_string());
    let child = sipp(name, &[&target, "-s", "4930123", "-p", &port, "-m", &calls, "-r", "50", "-d", "200"])?;
    driver.run(child);
    Some(driver)
}

#[test]
fn sipp_calls_us() {
    let Some(driver) = called_by("-sn uac", 100) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::Confirmed { .. })), 100);
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { .. })), 100);
    assert_eq!(driver.agent.calls(), 0);
}

#[test]
fn sipp_calls_us_and_switches_to_t38_and_renews() {
    let Some(driver) = called_by("uac-t38.xml", 20) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::ReinviteOffered { .. })), 20);
    assert_eq!(driver.count(|e| matches!(e, Event::Refreshed { .. })), 20);
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { .. })), 20);
}

#[test]
fn sipp_cancels() {
    let mut driver = Driver::new();
    let target = driver.local().to_string();
    let port = free_port();
    // Nobody answers these: the events are looked at here alone.
    let Some(mut child) = sipp("uac-cancel.xml", &[&target, "-s", "1", "-p", &port, "-m", "10"]) else {
        return;
    };
    let mut ended = 0;
    let end = Clock::now() + Duration::from_secs(30);
    while child.try_wait().unwrap().is_none() && Clock::now() < end {
        let mut buffer = [0u8; 65_536];
        if let Ok((n, remote)) = driver.socket.recv_from(&mut buffer) {
            let (now, local) = (driver.now(), driver.local());
            let octets = &buffer[..n];
            driver.agent.handle(now, Input::Datagram { transport: Transport::Udp, local, remote, octets });
        }
        while let Some(output) = driver.agent.poll() {
            match output {
                Output::Send { remote, octets, .. } => drop(driver.socket.send_to(&octets, remote)),
                Output::Event(Event::Incoming(i)) => {
                    driver.agent.handle(
                        driver.now(),
                        Input::Command(Command::Ring { call: i.call, code: 180, sdp: None }),
                    );
                }
                Output::Event(Event::Ended { .. }) => ended += 1,
                Output::Event(_) | Output::StopConnecting { .. } => {}
            }
        }
    }
    assert!(child.wait().unwrap().success());
    assert_eq!(ended, 10);
}

/// We call SIPp.
fn calling(name: &str, calls: u64, hangup: bool) -> Option<Driver> {
    let mut driver = Driver::new();
    let port = free_port();
    let child = sipp(name, &["-p", &port, "-m", &calls.to_string()])?;
    let destination: SocketAddr = format!("127.0.0.1:{port}").parse().unwrap();
    std::thread::sleep(Duration::from_millis(500));
    for n in 0..calls {
        let contact = driver.local();
        driver.command(Command::Invite(Box::new(Invite {
            call: CallKey(n),
            transport: Transport::Udp,
            destination,
            contact,
            request_uri: format!("sip:4930123@{destination}"),
            from: format!("\"Office\" <sip:4930456@{contact}>"),
            to: format!("<sip:4930123@{destination}>"),
            headers: vec![],
            credentials: None,
            offer: sdp("audio"),
            ring_timeout: Duration::from_secs(30),
            reply_within: Duration::from_secs(32),
        })));
    }
    let end = Clock::now() + Duration::from_secs(40);
    let mut hung = 0;
    while hung < calls && hangup && Clock::now() < end {
        driver.turn();
        let answered: Vec<CallKey> = driver
            .events
            .iter()
            .filter_map(|e| match e {
                Event::Answered { call, .. } => Some(*call),
                _ => None,
            })
            .skip(usize::try_from(hung).unwrap())
            .collect();
        for call in answered {
            hung += 1;
            driver.command(Command::Hangup { call, reason: None });
        }
    }
    driver.run(child);
    Some(driver)
}

#[test]
fn we_call_sipp() {
    let Some(driver) = calling("-sn uas", 50, true) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::Answered { .. })), 50);
}

#[test]
fn we_call_sipp_and_it_switches_to_t38() {
    let Some(driver) = calling("uas-t38.xml", 20, false) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::ReinviteOffered { .. })), 20);
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { .. })), 20);
}

#[test]
fn sipp_requires_prack_and_updates() {
    let Some(driver) = called_by("uac-prack.xml", 10) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::Confirmed { .. })), 10);
    assert_eq!(driver.count(|e| matches!(e, Event::ReinviteOffered { .. })), 10);
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { .. })), 10);
}

#[test]
fn sipp_never_sends_prack_and_cancels() {
    let Some(driver) = called_as("uac-prack-never.xml", 5, Policy::Rings) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { cause, .. } if cause.code == Some(487))), 5);
}

#[test]
fn sipp_rings_reliably_and_updates() {
    let Some(driver) = calling("uas-prack.xml", 10, false) else {
        return;
    };
    let early = sdp_of_sipp(&driver);
    assert_eq!(early, 10, "the answer came in the 183");
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { cause, .. } if cause.q850 == Some(16))), 10);
}

/// Calls whose answer is an audio session of SIPp's.
fn sdp_of_sipp(driver: &Driver) -> usize {
    driver.count(|e| match e {
        Event::Answered { answer: Some(answer), .. } => answer.windows(12).any(|w| w == b"m=audio 6000"),
        _ => false,
    })
}

#[test]
fn sipp_answers_twice() {
    let Some(driver) = calling("uas-forks.xml", 5, false) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::Answered { .. })), 5);
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { .. })), 5);
}

#[test]
fn sipp_is_challenged() {
    let Some(driver) = called_as("uac-proves.xml", 10, Policy::Challenges) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::Authenticated { .. })), 10);
    assert_eq!(driver.count(|e| matches!(e, Event::Confirmed { .. })), 10);
    let Some(driver) = called_as("uac-proves-wrongly.xml", 3, Policy::Challenges) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::AuthenticationFailed { .. })), 3);
    assert_eq!(driver.count(|e| matches!(e, Event::Confirmed { .. })), 0);
}

#[test]
fn sipp_overlaps_its_offers_and_hangs_up_in_the_middle() {
    let Some(driver) = called_as("uac-overlaps.xml", 5, Policy::Hesitates) else {
        return;
    };
    assert_eq!(driver.count(|e| matches!(e, Event::ReinviteOffered { .. })), 5);
    assert_eq!(driver.count(|e| matches!(e, Event::Ended { .. })), 5);
}
