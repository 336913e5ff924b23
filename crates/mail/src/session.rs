//! One SMTP session of the receiving side as a machine without I/O (RFC 5321; SIZE RFC 1870, 8BITMIME RFC 6152,
//! PIPELINING RFC 2920, SMTPUTF8 RFC 6531).
//!
//! Octets, answers to its questions and time go in by [`Session::handle`]; replies, questions and mails come out of
//! [`Session::poll`] in order. While a question is open ([`Output::Recipient`], [`Output::Mail`]) pipelined octets wait
//! inside the session, and [`Session::wants_octets`] tells the driver to stop reading; so a session never holds more
//! than one mail of the permitted size and [`WAITING_LIMIT`] octets.

use std::collections::VecDeque;
use std::time::Duration;

use fax_base::Instant;
use smtp_proto::{Error as SyntaxFault, MailFrom, RcptTo, Request};

use crate::data::{DataReader, Mail};

/// Most octets that may wait while a question to the driver is open.
pub const WAITING_LIMIT: usize = 256 * 1024;

/// Bounds of one session.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Largest mail in octets, announced by SIZE.
    pub message: usize,
    /// Longest command line in octets with its CRLF (RFC 5321 §4.5.3.1.4 asks for 512 at least).
    pub line: usize,
    /// Most recipients of one mail (RFC 5321 §4.5.3.1.8 asks for 100 at least).
    pub recipients: usize,
    /// Most commands of one session.
    pub commands: usize,
    /// Most refused or unreadable commands before the session is closed.
    pub errors: usize,
    /// Longest silence of the client.
    pub idle: Duration,
    /// Longest session in all.
    pub session: Duration,
    /// A first line `PROXY …` (PROXY protocol v1, sent by a balancer) is passed over in silence.
    pub proxy_line: bool,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message: 10 * 1024 * 1024,
            line: 2048,
            recipients: 100,
            commands: 1000,
            errors: 20,
            idle: Duration::from_secs(180),
            session: Duration::from_secs(3600),
            proxy_line: false,
        }
    }
}

/// What comes into a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// The connection stands. Comes first and once.
    Connected,
    /// Octets of the client.
    Octets(&'a [u8]),
    /// The answer to [`Output::Recipient`].
    Recipient(Verdict),
    /// The answer to [`Output::Mail`].
    Mail(Disposition),
    /// [`Session::deadline`] has come.
    Timeout,
    /// The server is going down.
    Shutdown,
}

/// What comes out of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Octets for the client.
    Send(Vec<u8>),
    /// May this sender send to this recipient? Wants [`Input::Recipient`].
    Recipient {
        /// Envelope sender; empty is the null reverse-path.
        sender: String,
        /// Envelope recipient.
        recipient: String,
    },
    /// A whole mail. Wants [`Input::Mail`].
    Mail(Envelope),
    /// Nothing follows: close the connection once everything is sent.
    Close,
}

/// One mail with its envelope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// Name the client gave itself.
    pub helo: String,
    /// Envelope sender; empty is the null reverse-path.
    pub sender: String,
    /// Accepted recipients in order, each once.
    pub recipients: Vec<String>,
    /// The mail data, transparency undone.
    pub octets: Vec<u8>,
}

/// Whether a recipient is taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Accept,
    /// No faxbox or no number there: `554 Not Found`.
    NotFound,
    /// This sender may not: `554 not allowed`.
    NotAllowed,
    /// Cannot be told now: `451`.
    TryLater,
}

/// What became of a mail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Disposition {
    /// Every recipient's job is on disk; their ids.
    Queued(Vec<String>),
    /// Refused for good, with a plain reason: `554`.
    Refused(String),
    /// Not taken now: `451`.
    TryLater,
}

#[derive(Debug)]
enum State {
    /// Before HELO or EHLO.
    Start,
    /// Greeted, no mail begun.
    Ready,
    /// After MAIL.
    Mail(Transaction),
    /// A recipient is being asked about.
    AskingRecipient(Transaction, String),
    /// After DATA's 354.
    Data(Transaction, DataReader),
    /// A mail is being delivered.
    Delivering,
    /// Closed.
    Closed,
}

#[derive(Debug)]
struct Transaction {
    sender: String,
    recipients: Vec<String>,
}

/// The session.
#[derive(Debug)]
pub struct Session {
    host: String,
    limits: Limits,
    state: State,
    helo: String,
    waiting: Vec<u8>,
    /// A command line has outgrown its limit: octets are dropped up to its end.
    overlong: bool,
    commands: usize,
    errors: usize,
    started: Instant,
    heard: Instant,
    output: VecDeque<Output>,
}

impl Session {
    /// A session of the server `host` (its name in greeting and replies).
    pub fn new(host: &str, limits: Limits) -> Self {
        Self {
            host: host.to_owned(),
            limits,
            state: State::Start,
            helo: String::new(),
            waiting: Vec::new(),
            overlong: false,
            commands: 0,
            errors: 0,
            started: Instant::default(),
            heard: Instant::default(),
            output: VecDeque::new(),
        }
    }

    /// Takes one input at `now`.
    pub fn handle(&mut self, now: Instant, input: Input<'_>) {
        match input {
            Input::Connected => {
                (self.started, self.heard) = (now, now);
                let greeting = format!("220 {} ESMTP ferrofax", self.host);
                self.reply(&greeting);
            }
            Input::Octets(octets) => {
                self.heard = now;
                self.octets(octets);
            }
            Input::Recipient(verdict) => {
                self.heard = now;
                self.verdict(verdict);
                self.octets(&[]);
            }
            Input::Mail(disposition) => {
                self.heard = now;
                self.disposition(&disposition);
                self.octets(&[]);
            }
            Input::Timeout => {
                let due = self.deadline().is_some_and(|deadline| deadline <= now);
                if due {
                    self.close("421 Error: timeout exceeded");
                }
            }
            Input::Shutdown => {
                let text = format!("421 {} service going down, try again later", self.host);
                self.close(&text);
            }
        }
    }

    /// The next output, if any.
    pub fn poll(&mut self) -> Option<Output> {
        self.output.pop_front()
    }

    /// When [`Input::Timeout`] is due. None while a question is open or after the end.
    pub fn deadline(&self) -> Option<Instant> {
        match self.state {
            State::Closed | State::AskingRecipient(..) | State::Delivering => None,
            _ => Some((self.heard + self.limits.idle).min(self.started + self.limits.session)),
        }
    }

    /// Whether the driver should read from the client now.
    pub fn wants_octets(&self) -> bool {
        !matches!(self.state, State::Closed | State::AskingRecipient(..) | State::Delivering)
    }

    fn octets(&mut self, octets: &[u8]) {
        if matches!(self.state, State::Closed) {
            return;
        }
        let mut input = std::mem::take(&mut self.waiting);
        input.extend_from_slice(octets);
        let mut rest = &input[..];
        while !rest.is_empty() && self.wants_octets() {
            let used = if matches!(self.state, State::Data(..)) { self.data(rest) } else { self.line(rest) };
            let Some(used) = used else { break };
            rest = rest.get(used..).unwrap_or_default();
        }
        if matches!(self.state, State::Closed) {
            return;
        }
        if rest.len() > WAITING_LIMIT {
            self.close("421 Error: too much input");
            return;
        }
        self.waiting = rest.to_vec();
    }

    /// Mail data: takes what it can.
    fn data(&mut self, input: &[u8]) -> Option<usize> {
        let State::Data(_, reader) = &mut self.state else {
            return None;
        };
        let (used, mail) = reader.take(input);
        // RFC 1870 §6: the data of a mail that is too large is read and refused at its end, but not for ever.
        if mail.is_none() && reader.seen() > self.limits.message.saturating_mul(4) {
            self.close("552 Message too large");
            return Some(used);
        }
        let Some(mail) = mail else { return Some(used) };
        let State::Data(transaction, _) = std::mem::replace(&mut self.state, State::Ready) else {
            return Some(used);
        };
        match mail {
            Mail::TooLarge => self.reply("552 Message too large"),
            Mail::Whole(octets) if octets.iter().all(u8::is_ascii_whitespace) => {
                self.reply("552 Message too small")
            }
            Mail::Whole(octets) => {
                self.state = State::Delivering;
                self.output.push_back(Output::Mail(Envelope {
                    helo: self.helo.clone(),
                    sender: transaction.sender,
                    recipients: transaction.recipients,
                    octets,
                }));
            }
        }
        Some(used)
    }

    /// One command line, if it is complete.
    fn line(&mut self, input: &[u8]) -> Option<usize> {
        let Some(end) = input.iter().position(|&octet| octet == b'\n') else {
            if input.len() >= self.limits.line || self.overlong {
                self.overlong = true;
                return Some(input.len());
            }
            return None;
        };
        let line = &input[..=end];
        if std::mem::take(&mut self.overlong) || line.len() > self.limits.line {
            self.refuse("500 Error: line too long");
        } else if let Some(command) = line.strip_suffix(b"\r\n").filter(|c| !c.contains(&b'\r')) {
            self.command(command, line);
        } else {
            // RFC 5321 §2.3.8: only CRLF ends a line.
            self.refuse("500 Error: bare CR or LF");
        }
        Some(end + 1)
    }

    fn command(&mut self, command: &[u8], line: &[u8]) {
        let first = self.commands == 0;
        self.commands = self.commands.saturating_add(1);
        if self.commands > self.limits.commands {
            self.close("421 Error: too many commands");
            return;
        }
        let split = command.iter().position(|&o| o == b' ' || o == b'\t').unwrap_or(command.len());
        let (verb, argument) = command.split_at(split);
        let argument = String::from_utf8_lossy(argument.trim_ascii()).into_owned();
        let verb = verb.to_ascii_uppercase();
        match (verb.as_slice(), argument.is_empty()) {
            (b"HELO", true) => self.refuse("501 Syntax: HELO hostname"),
            (b"EHLO", true) => self.refuse("501 Syntax: EHLO hostname"),
            (b"HELO", false) => self.greet(argument, false),
            (b"EHLO", false) => self.greet(argument, true),
            (b"PROXY", _) if first && self.limits.proxy_line => {}
            (b"NOOP", _) => self.reply("250 Ok"),
            (b"QUIT", true) => self.close("221 Bye"),
            (b"RSET", true) => {
                if !matches!(self.state, State::Start) {
                    self.state = State::Ready;
                }
                self.reply("250 Ok");
            }
            (b"QUIT" | b"RSET" | b"DATA", false) => self.refuse("501 Error: no argument allowed"),
            (b"VRFY", true) => self.refuse("501 Syntax: VRFY address"),
            (b"VRFY", false) => self.reply("252 VRFY disabled by policy, just send some mail"),
            (b"EXPN", _) => self.refuse("502 Error: EXPN not implemented"),
            (b"HELP", _) => self
                .reply("214 EHLO HELO MAIL RCPT DATA RSET NOOP VRFY HELP QUIT; mail a PDF to number@domain"),
            (b"AUTH", _) => self.refuse("502 Error: AUTH not implemented"),
            (b"STARTTLS", _) => self.refuse("502 Error: STARTTLS not implemented"),
            (b"MAIL", _) => self.mail(line),
            (b"RCPT", _) => self.rcpt(line),
            (b"DATA", true) => self.start_data(),
            _ => {
                let shown: String =
                    String::from_utf8_lossy(&verb).chars().filter(|c| !c.is_control()).take(40).collect();
                self.refuse(&format!("500 Error: command not recognized : '{shown}'"));
            }
        }
    }

    fn greet(&mut self, name: String, extended: bool) {
        self.helo = name.chars().take(255).collect();
        // RFC 5321 §4.1.4: EHLO in mid-session resets like RSET.
        self.state = State::Ready;
        if extended {
            let text = format!(
                "250-{}\r\n250-8BITMIME\r\n250-PIPELINING\r\n250-SMTPUTF8\r\n250 SIZE {}",
                self.host, self.limits.message
            );
            self.reply(&text);
        } else {
            let text = format!("250 {}", self.host);
            self.reply(&text);
        }
    }

    fn mail(&mut self, line: &[u8]) {
        match self.state {
            State::Start => return self.refuse("503 Error: send HELO/EHLO first"),
            State::Ready => {}
            _ => return self.refuse("503 Error: Nested MAIL command"),
        }
        match Request::parse(&mut line.iter()) {
            Ok(Request::Mail { from: MailFrom { address, size, .. } }) => {
                if size > self.limits.message {
                    let limit = self.limits.message;
                    return self
                        .refuse(&format!("552 Estimated message length {size} exceeds limit of {limit}"));
                }
                self.state =
                    State::Mail(Transaction { sender: address.into_owned(), recipients: Vec::new() });
                self.reply("250 sender Ok");
            }
            Err(SyntaxFault::InvalidSenderAddress) => self.refuse("501 Bad sender address syntax"),
            Err(fault) => self.parameter_fault(&fault, "501 Syntax: MAIL FROM:<address>"),
            Ok(_) => self.refuse("501 Syntax: MAIL FROM:<address>"),
        }
    }

    fn rcpt(&mut self, line: &[u8]) {
        let full = match &self.state {
            State::Start => return self.refuse("503 Error: send HELO/EHLO first"),
            State::Mail(transaction) => transaction.recipients.len() >= self.limits.recipients,
            _ => return self.refuse("503 Error: need MAIL command"),
        };
        match Request::parse(&mut line.iter()) {
            Ok(Request::Rcpt { .. }) if full => self.refuse("452 Error: too many recipients"),
            Ok(Request::Rcpt { to: RcptTo { address, .. } }) => {
                let address = address.into_owned();
                let State::Mail(transaction) = std::mem::replace(&mut self.state, State::Ready) else {
                    return;
                };
                self.output.push_back(Output::Recipient {
                    sender: transaction.sender.clone(),
                    recipient: address.clone(),
                });
                self.state = State::AskingRecipient(transaction, address);
            }
            Err(SyntaxFault::InvalidRecipientAddress) => self.refuse("501 Bad recipient address syntax"),
            Err(fault) => self.parameter_fault(&fault, "501 Syntax: RCPT TO:<address>"),
            Ok(_) => self.refuse("501 Syntax: RCPT TO:<address>"),
        }
    }

    fn parameter_fault(&mut self, fault: &SyntaxFault, syntax: &str) {
        match fault {
            SyntaxFault::UnsupportedParameter { param } => {
                let shown: String = param.chars().filter(|c| c.is_ascii_graphic()).take(40).collect();
                self.refuse(&format!("555 Unsupported option: {shown}"));
            }
            SyntaxFault::InvalidParameter { param } => {
                self.refuse(&format!("501 Bad value of option: {param}"))
            }
            _ => self.refuse(syntax),
        }
    }

    fn start_data(&mut self) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::Start => {
                self.state = State::Start;
                self.refuse("503 Error: send HELO/EHLO first");
            }
            State::Mail(transaction) if !transaction.recipients.is_empty() => {
                self.state = State::Data(transaction, DataReader::new(self.limits.message));
                self.reply("354 enter mail, end with line containing only '.'");
            }
            other => {
                self.state = other;
                self.refuse("503 Error: need RCPT command");
            }
        }
    }

    fn verdict(&mut self, verdict: Verdict) {
        match std::mem::replace(&mut self.state, State::Ready) {
            State::AskingRecipient(mut transaction, recipient) => {
                if verdict == Verdict::Accept && !transaction.recipients.contains(&recipient) {
                    transaction.recipients.push(recipient);
                }
                self.state = State::Mail(transaction);
                match verdict {
                    Verdict::Accept => self.reply("250 recipient Ok"),
                    Verdict::NotFound => self.refuse("554 Not Found"),
                    Verdict::NotAllowed => self.refuse("554 not allowed"),
                    Verdict::TryLater => self.reply("451 try again later"),
                }
            }
            other => self.state = other,
        }
    }

    fn disposition(&mut self, disposition: &Disposition) {
        if !matches!(self.state, State::Delivering) {
            return;
        }
        self.state = State::Ready;
        match disposition {
            Disposition::Queued(ids) => self.reply(&queued(ids)),
            Disposition::Refused(reason) => {
                let reason: String =
                    reason.chars().map(|c| if c.is_ascii_graphic() { c } else { ' ' }).take(400).collect();
                self.refuse(&format!("554 {reason}"));
            }
            Disposition::TryLater => self.reply("451 could not be queued, try again later"),
        }
    }

    fn reply(&mut self, text: &str) {
        self.output.push_back(Output::Send([text.as_bytes(), b"\r\n"].concat()));
    }

    /// A negative reply; too many of them end the session.
    fn refuse(&mut self, text: &str) {
        self.errors = self.errors.saturating_add(1);
        self.reply(text);
        if self.errors > self.limits.errors {
            self.close("421 Error: too many errors");
        }
    }

    fn close(&mut self, text: &str) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.reply(text);
        self.output.push_back(Output::Close);
        self.state = State::Closed;
        self.waiting = Vec::new();
    }
}

/// Most ids in a reply, whose line has 512 octets with its CRLF at most (RFC 5321 §4.5.3.1.5).
const IDS_TOLD: usize = 12;

/// The reply to a mail that is in the queue.
fn queued(ids: &[String]) -> String {
    let told: Vec<&str> = ids.iter().take(IDS_TOLD).map(String::as_str).collect();
    let told = told.join(" ");
    match ids.len().saturating_sub(IDS_TOLD) {
        0 => format!("250 queued as {told}"),
        more => format!("250 queued as {told} and {more} more"),
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
