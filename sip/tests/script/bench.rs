//! One user agent and a peer played by hand, on simulated time.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::Bytes;
use fax_base::Instant;
use fax_base::time::Duration;
use fax_sip::message::{Builder, Limits, Message, Method, Uri, response_to};
use fax_sip::{
    CallKey, Command, Config, Credentials, Event, Input, Invite, Output, RegKey, Register, Transport,
    UserAgent,
};

pub const OURS: &str = "192.0.2.1:5060";
pub const PEER: &str = "198.51.100.7:5060";

pub fn addr(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

pub fn uri(text: &str) -> Uri {
    Uri::read(Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// A registration with the peer for so long.
pub fn registration(seconds: u64) -> Register {
    Register {
        registration: RegKey(1),
        transport: Transport::Udp,
        registrar: addr(PEER),
        request_uri: "sip:trunk.example".into(),
        aor: "sip:office@trunk.example".into(),
        contact: addr(OURS),
        headers: vec![],
        credentials: Bench::credentials(),
        expires: Duration::from_secs(seconds),
        outbound: None,
    }
}

pub fn sdp(version: u32) -> Bytes {
    let text = format!(
        "v=0\r\no=- 1 {version} IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\nm=audio {} RTP/AVP 8\r\n",
        4000 + 2 * version
    );
    Bytes::from(text)
}

pub struct Bench {
    pub agent: UserAgent,
    pub now: Instant,
    /// Sent and not looked at: where to, and what.
    pub sent: VecDeque<(SocketAddr, Message)>,
    pub events: VecDeque<Event>,
    /// Connections that are not waited for any more.
    pub stopped: Vec<(Transport, SocketAddr)>,
    branch: u32,
    /// The INVITE that made the call, either way.
    pub invite: Option<Message>,
    /// Our tag (the peer's) in the dialog.
    pub cseq: u32,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(Config::default())
    }

    pub fn with(config: Config) -> Bench {
        Bench {
            agent: UserAgent::new(config),
            now: Instant::ZERO,
            sent: VecDeque::new(),
            events: VecDeque::new(),
            stopped: Vec::new(),
            branch: 0,
            invite: None,
            cseq: 100,
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.agent.poll() {
            match output {
                Output::Event(event) => self.events.push_back(event),
                Output::StopConnecting { transport, remote } => self.stopped.push((transport, remote)),
                Output::Send { octets, remote, .. } => {
                    self.sent.push_back((remote, Message::parse(&octets, &Limits::default()).unwrap()));
                }
            }
        }
    }

    pub fn handle(&mut self, input: Input<'_>) {
        self.agent.handle(self.now, input);
        self.drain();
    }

    pub fn command(&mut self, command: Command) {
        self.agent.handle(self.now, Input::Command(command));
        self.drain();
    }

    /// The peer sends this.
    pub fn receive(&mut self, message: &Message) {
        self.receive_from(message, PEER);
    }

    pub fn receive_from(&mut self, message: &Message, source: &str) {
        self.receive_by(Transport::Udp, message, source);
    }

    pub fn receive_by(&mut self, transport: Transport, message: &Message, source: &str) {
        let octets = message.to_bytes();
        let (local, remote) = (addr(OURS), addr(source));
        self.agent.handle(self.now, Input::Datagram { transport, local, remote, octets: &octets });
        self.drain();
    }

    /// Time goes by; timers run.
    pub fn wait(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.agent.deadline().filter(|d| *d <= end) {
            self.now = self.now.max(at);
            self.agent.handle(self.now, Input::Timeout);
            self.drain();
        }
        self.now = end;
    }

    /// Time goes by until something is sent, at most so long.
    pub fn until_sent(&mut self, millis: u64) {
        let end = self.now + Duration::from_millis(millis);
        while let Some(at) = self.agent.deadline().filter(|d| *d <= end && self.sent.is_empty()) {
            self.wait(at.since(self.now).as_micros().div_ceil(1000) as u64);
        }
    }

    /// The next message sent, with its destination.
    pub fn next_to(&mut self) -> (SocketAddr, Message) {
        self.sent.pop_front().expect("something was sent")
    }

    pub fn next(&mut self) -> Message {
        self.next_to().1
    }

    /// The next message sent, which has this code.
    pub fn code(&mut self, code: u16) -> Message {
        let message = self.next();
        assert_eq!(message.code(), Some(code), "{}", message.describe());
        message
    }

    /// The next message sent, which is this request.
    pub fn request(&mut self, method: &Method) -> Message {
        let message = self.next();
        assert_eq!(message.method(), Some(method), "{}", message.describe());
        message
    }

    pub fn event(&mut self) -> Event {
        self.events.pop_front().expect("something happened")
    }

    pub fn quiet(&self) {
        assert!(self.sent.is_empty() && self.events.is_empty(), "{:?} {:?}", self.sent, self.events);
    }

    pub fn credentials() -> Option<Credentials> {
        Some(Credentials { username: "office".into(), password: "secret".into() })
    }

    /// Starts a call to the peer and takes its INVITE.
    pub fn call(&mut self) -> Message {
        let invitation = self.invitation();
        self.command(invitation);
        self.request(&Method::Invite)
    }

    /// The command for a call to the peer.
    pub fn invitation(&self) -> Command {
        Command::Invite(Box::new(Invite {
            call: CallKey(1),
            transport: Transport::Udp,
            destination: addr(PEER),
            contact: addr(OURS),
            request_uri: "sip:+4930123@trunk.example".into(),
            from: "<sip:+4930456@trunk.example>".into(),
            to: "<sip:+4930123@trunk.example>".into(),
            headers: vec![],
            credentials: Bench::credentials(),
            offer: sdp(1),
            ring_timeout: Duration::from_secs(90),
            reply_within: Duration::from_secs(32),
        }))
    }

    /// A response of the peer.
    pub fn response(&self, request: &Message, code: u16, tag: &str) -> Builder {
        response_to(request, addr(OURS), code, "", Some(tag))
    }

    /// A call to the peer that is up; its 200 has these Record-Route headers.
    pub fn answered(&mut self, record_route: &[&str]) -> Message {
        let invite = self.call();
        let mut ok = self
            .response(&invite, 200, "peer")
            .header("Contact", format!("<sip:gw@{PEER}>"))
            .header("Allow", "INVITE, BYE");
        for route in record_route {
            ok = ok.header("Record-Route", route);
        }
        self.receive(&ok.finish_with_sdp(sdp(9)));
        assert!(matches!(self.event(), Event::Answered { .. }));
        self.invite = Some(invite);
        self.request(&Method::Ack)
    }

    /// A request of the peer outside a dialog.
    pub fn outside(&mut self, method: Method) -> Builder {
        self.branch += 1;
        let n = self.branch;
        Builder::request(method.clone(), uri("sip:+4930123@192.0.2.1"))
            .header("Via", format!("SIP/2.0/UDP {PEER};rport;branch=z9hG4bKpeer{n}"))
            .header("Max-Forwards", "70")
            .header("From", "<sip:caller@198.51.100.7>;tag=peer")
            .header("To", "<sip:+4930123@192.0.2.1>")
            .header("Call-ID", format!("call{n}"))
            .header("CSeq", format!("{} {method}", self.cseq))
            .header("Contact", format!("<sip:gw@{PEER}>"))
    }

    /// A request of the peer within the dialog of `self.invite`.
    pub fn inside(&mut self, method: Method, our_tag: &str) -> Builder {
        self.branch += 1;
        self.cseq += 1;
        let n = self.branch;
        let invite = self.invite.clone().unwrap();
        let outgoing = invite.text("Via").unwrap().contains(OURS);
        let (from, to) = if outgoing {
            ("<sip:+4930123@trunk.example>;tag=peer".to_owned(), invite.text("From").unwrap())
        } else {
            (invite.text("From").unwrap(), format!("{};tag={our_tag}", invite.text("To").unwrap()))
        };
        Builder::request(method.clone(), uri(&format!("sip:x@{OURS}")))
            .header("Via", format!("SIP/2.0/UDP {PEER};rport;branch=z9hG4bKpeer{n}"))
            .header("From", from)
            .header("To", to)
            .header("Call-ID", invite.call_id())
            .header("CSeq", format!("{} {method}", self.cseq))
            .header("Contact", format!("<sip:gw@{PEER}>"))
    }

    /// The ACK of the peer to our 2xx.
    pub fn ack(&mut self, ok: &Message, sdp: Option<Bytes>) {
        self.branch += 1;
        let n = self.branch;
        let builder = Builder::request(Method::Ack, uri(&format!("sip:x@{OURS}")))
            .header("Via", format!("SIP/2.0/UDP {PEER};rport;branch=z9hG4bKpeer{n}"))
            .copy(ok, "From")
            .copy(ok, "To")
            .copy(ok, "Call-ID")
            .header("CSeq", format!("{} ACK", ok.cseq().unwrap().number));
        let ack = match sdp {
            Some(sdp) => builder.finish_with_sdp(sdp),
            None => builder.finish(),
        };
        self.receive(&ack);
    }

    /// A call of the peer that is up: its key and our tag.
    pub fn taken(&mut self) -> (CallKey, String) {
        let invite = self.outside(Method::Invite).header("Supported", "timer").finish_with_sdp(sdp(1));
        self.receive(&invite);
        self.code(100);
        let Event::Incoming(incoming) = self.event() else { panic!() };
        self.command(Command::Answer { call: incoming.call, sdp: sdp(5) });
        let ok = self.code(200);
        self.ack(&ok, None);
        assert!(matches!(self.event(), Event::Confirmed { .. }));
        self.invite = Some(invite);
        (incoming.call, String::from_utf8(ok.to_tag().unwrap().to_vec()).unwrap())
    }
}
