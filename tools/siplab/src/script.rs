//! Cases as they are written: what the far end does, what the network does, how it must end.

use fax_base::line::Tone;
use fax_base::time::Duration;
use fax_net::T38Policy;
use fax_t30::{Phase, Role};
use std::collections::BTreeMap;
use testkit::network::Impairments;

/// When a rule holds.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) enum Trigger {
    /// The peer calls: its INVITE is out.
    Begin,
    /// A request of this method; of INVITEs the first.
    Request(Method),
    /// So long after the call was up.
    At(Duration),
    /// The peer's terminal has heard this in audio.
    Heard(Tone),
    /// The peer's terminal enters a phase.
    Phase(Phase),
    /// The peer's own re-INVITE was taken (true) or refused.
    Answered(bool),
}

/// Requests that rules are about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Method {
    Invite,
    /// `None`: any, `Some(true)`: with an image line that is on.
    Reinvite(Option<bool>),
    Ack,
    Bye,
    Cancel,
}

/// What the peer does.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum Action {
    /// Answers the request, with this description.
    Answer {
        code: u16,
        sdp: Option<String>,
        reliable: bool,
        headers: Vec<(String, String)>,
    },
    /// Answers nothing, ever.
    Ignore,
    Wait(Duration),
    /// Offers this; nothing: the product is to offer.
    Reinvite(Option<String>),
    Update(String),
    Bye,
    Cancel,
    /// Sends no media (true) or does again.
    Mute(bool),
    /// Uses this carrier from now on, whatever was agreed.
    Carrier {
        t38: bool,
    },
    /// Its port for this medium is another from now on, in descriptions too.
    Port {
        image: bool,
        port: u16,
    },
    /// It sends this medium from another port than it says.
    Source {
        image: bool,
        port: u16,
    },
    /// Its media are at another address from now on.
    Host(String),
    /// RTP goes on after the switch to T.38.
    KeepRtp,
    /// A second 200 of another branch of a forked call.
    Fork(String),
}

/// One rule.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Rule {
    pub(crate) once: bool,
    pub(crate) trigger: Trigger,
    pub(crate) actions: Vec<Action>,
}

/// Who sits behind a translator of addresses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Nat {
    Nobody,
    Peer,
    Product,
}

/// How it must end.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) struct Expectation {
    /// The page is there, and by T.38 (true) at the end.
    pub(crate) delivered: Option<bool>,
    /// The name of the [`fax_net::CallEnd`] otherwise.
    pub(crate) end: Option<String>,
    pub(crate) refused: Option<u16>,
    pub(crate) status: Option<u16>,
    pub(crate) cause: Option<String>,
    /// T.38 was in use at some time.
    pub(crate) via_t38: bool,
    pub(crate) max_rate: Option<u32>,
    pub(crate) max_datagram: Option<usize>,
    pub(crate) within: Option<u64>,
}

/// One case: a name, a sentence, and everything it needs.
#[derive(Clone, Debug)]
pub struct Case {
    /// Its name, unique; a case for both roles comes twice, as `name_calling` and `name_called`.
    pub name: String,
    /// What it shows.
    pub about: String,
    /// The product's role.
    pub role: Role,
    pub(crate) policy: T38Policy,
    pub(crate) thinks: Duration,
    pub(crate) ring_timeout: Duration,
    pub(crate) give_up: Option<Duration>,
    pub(crate) network: Impairments,
    pub(crate) seed: u64,
    pub(crate) nat: Nat,
    pub(crate) ipv6: bool,
    /// The called peer offers no T.38 by itself.
    pub(crate) passive: bool,
    pub(crate) rows: u32,
    pub(crate) packet_time: usize,
    /// The offer of the peer's INVITE, and headers of it.
    pub(crate) invite: Option<String>,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) descriptions: BTreeMap<String, Vec<String>>,
    pub(crate) says: Vec<String>,
    pub(crate) never: Vec<String>,
    pub(crate) expect: Expectation,
}

const AUDIO: &str = "m=audio {audio} RTP/AVP 8 0 101 | a=rtpmap:8 PCMA/8000 | a=rtpmap:0 PCMU/8000 | \
    a=rtpmap:101 telephone-event/8000 | a=fmtp:101 0-15 | a=sendrecv";

const IMAGE: &str = "m=image {image} udptl t38 | a=T38FaxVersion:0 | a=T38MaxBitRate:14400 | \
    a=T38FaxRateManagement:transferredTCF | a=T38FaxMaxBuffer:2000 | a=T38FaxMaxDatagram:400 | \
    a=T38FaxUdpEC:t38UDPRedundancy";

fn lines(text: &str) -> Vec<String> {
    text.split('|').map(|l| l.trim().to_owned()).filter(|l| !l.is_empty()).collect()
}

fn seconds(text: &str) -> Result<Duration, String> {
    text.parse().map(Duration::from_secs_f64).map_err(|_| format!("{text} is no time in seconds"))
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// All cases of a file.
///
/// # Errors
/// With the name of the case and the line that is not understood.
pub fn cases(text: &str) -> Result<Vec<Case>, String> {
    let mut all = Vec::new();
    for block in text.split("\n== ").skip(1) {
        let (name, rest) = block.split_once('\n').unwrap_or((block, ""));
        let roles = rest.lines().find(|l| ["calling", "called", "both"].contains(&l.trim()));
        let roles = match roles.map(str::trim) {
            Some("calling") => vec![Role::Calling],
            Some("called") => vec![Role::Called],
            Some("both") => vec![Role::Calling, Role::Called],
            _ => return Err(format!("{name}: neither calling nor called nor both")),
        };
        for role in &roles {
            let suffix = match role {
                _ if roles.len() == 1 => "",
                Role::Calling => "_calling",
                Role::Called => "_called",
            };
            let case = Case::parse(&format!("{}{suffix}", name.trim()), *role, rest);
            all.push(case.map_err(|e| format!("{name}: {e}"))?);
        }
    }
    Ok(all)
}

impl Case {
    fn parse(name: &str, role: Role, text: &str) -> Result<Case, String> {
        let mut case = Case {
            name: name.to_owned(),
            about: String::new(),
            role,
            policy: T38Policy::default(),
            thinks: Duration::from_millis(50),
            ring_timeout: Duration::from_secs(60),
            give_up: None,
            network: Impairments { latency: Duration::from_millis(15), ..Impairments::default() },
            seed: 1,
            nat: Nat::Nobody,
            ipv6: false,
            passive: false,
            rows: 60,
            packet_time: 20,
            invite: Some("audio".to_owned()),
            headers: Vec::new(),
            rules: Vec::new(),
            descriptions: BTreeMap::from([
                ("audio".to_owned(), lines(AUDIO)),
                ("image".to_owned(), lines(IMAGE)),
            ]),
            says: Vec::new(),
            never: Vec::new(),
            expect: Expectation::default(),
        };
        for line in text.lines().map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
            case.line(line).map_err(|e| format!("{line}: {e}"))?;
        }
        if case.expect.delivered.is_none() && case.expect.end.is_none() {
            return Err("it does not say how it ends".to_owned());
        }
        Ok(case)
    }

    fn line(&mut self, line: &str) -> Result<(), String> {
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim();
        match word {
            "calling" | "called" | "both" => {}
            "about" => rest.clone_into(&mut self.about),
            "policy" => self.policy = policy(rest)?,
            "thinks" => self.thinks = seconds(rest)?,
            "ring-timeout" => self.ring_timeout = seconds(rest)?,
            "give-up" => self.give_up = Some(seconds(rest)?),
            "network" => self.impair(rest)?,
            "nat" => {
                self.nat = match rest {
                    "peer" => Nat::Peer,
                    "product" => Nat::Product,
                    _ => return Err("peer or product".to_owned()),
                }
            }
            "ipv6" => self.ipv6 = true,
            "passive" => self.passive = true,
            "rows" => self.rows = number(rest)?,
            "ptime" => self.packet_time = number(rest)?,
            "invite" => {
                let (sdp, headers) = rest.split_once(' ').unwrap_or((rest, ""));
                self.invite = (sdp != "-").then(|| sdp.to_owned());
                if let Some((name, value)) = headers.split_once(':') {
                    self.headers.push((name.trim().to_owned(), value.trim().to_owned()));
                }
            }
            "sdp" => {
                let (name, body) = rest.split_once('=').ok_or("sdp NAME = lines")?;
                self.descriptions.insert(name.trim().to_owned(), lines(body));
            }
            "edit" => self.edit(rest)?,
            "says" => self.says.push(rest.to_owned()),
            "never" => self.never.push(rest.to_owned()),
            "=" => self.expectation(rest)?,
            "on" | "once" | "at" => {
                let (trigger, actions) = rest.split_once(": ").ok_or("TRIGGER: ACTIONS")?;
                let (once, trigger) = match word {
                    "at" => (true, Trigger::At(seconds(trigger)?)),
                    once => (once == "once", trigger_of(trigger)?),
                };
                let actions = actions.split(';').map(|a| action(a.trim())).collect::<Result<_, _>>()?;
                self.rules.push(Rule { once, trigger, actions });
            }
            _ => return Err("not understood".to_owned()),
        }
        Ok(())
    }

    fn impair(&mut self, text: &str) -> Result<(), String> {
        for (key, value) in text.split_whitespace().filter_map(|w| w.split_once('=')) {
            let part = || number::<f64>(value).map(|percent| percent / 100.0);
            let network = &mut self.network;
            match key {
                "delay" => network.latency = Duration::from_millis(number(value)?),
                "jitter" => network.jitter = Duration::from_millis(number(value)?),
                "loss" => network.loss = part()?,
                "duplicates" => network.duplicates = part()?,
                "reorder" => network.reorder = part()?,
                "seed" => self.seed = number(value)?,
                _ => return Err(format!("{key}?")),
            }
        }
        Ok(())
    }

    /// `edit NAME -attribute` or `edit NAME attribute:value`: the line of that name is left out or put in its place.
    fn edit(&mut self, text: &str) -> Result<(), String> {
        let (name, change) = text.split_once(' ').ok_or("edit NAME CHANGE")?;
        let lines = self.descriptions.get_mut(name).ok_or("no such sdp")?;
        let key = |attribute: &str| attribute.split(':').next().unwrap_or_default().to_ascii_lowercase();
        let named = |line: &String, wanted: &str| line.strip_prefix("a=").is_some_and(|a| key(a) == wanted);
        match change.strip_prefix('-') {
            Some(gone) => lines.retain(|l| !named(l, &key(gone))),
            None => {
                let fresh = format!("a={change}");
                match lines.iter_mut().find(|l| named(l, &key(change))) {
                    Some(line) => *line = fresh,
                    None => lines.push(fresh),
                }
            }
        }
        Ok(())
    }

    fn expectation(&mut self, text: &str) -> Result<(), String> {
        let mut words = text.split_whitespace();
        match (words.next(), words.next()) {
            (Some("delivered"), Some(carrier @ ("t38" | "audio"))) => {
                self.expect.delivered = Some(carrier == "t38");
            }
            (Some("failed"), Some(end)) => self.expect.end = Some(end.to_owned()),
            _ => return Err("delivered t38|audio or failed END".to_owned()),
        }
        for word in words {
            let (key, value) = word.split_once('=').unwrap_or((word, ""));
            let e = &mut self.expect;
            match key {
                "refused" => e.refused = Some(number(value)?),
                "status" => e.status = Some(number(value)?),
                "cause" => e.cause = Some(value.to_owned()),
                "via-t38" => e.via_t38 = true,
                "max-rate" => e.max_rate = Some(number(value)?),
                "max-datagram" => e.max_datagram = Some(number(value)?),
                "within" => e.within = Some(number(value)?),
                _ => return Err(format!("{key}?")),
            }
        }
        Ok(())
    }
}

/// `never`, or any of `called=MS`, `caller=MS`, `called=no`, `caller=no`.
fn policy(text: &str) -> Result<T38Policy, String> {
    if text == "never" {
        return Ok(T38Policy::NEVER);
    }
    let mut policy = T38Policy::default();
    for (key, value) in text.split_whitespace().filter_map(|w| w.split_once('=')) {
        let time = match value {
            "no" => None,
            ms => Some(Duration::from_millis(number(ms)?)),
        };
        match key {
            "called" => policy.offer_as_called = time,
            "caller" => policy.offer_as_caller = time,
            _ => return Err(format!("{key}?")),
        }
    }
    Ok(policy)
}

fn trigger_of(text: &str) -> Result<Trigger, String> {
    Ok(match text {
        "begin" => Trigger::Begin,
        "INVITE" => Trigger::Request(Method::Invite),
        "re-INVITE" => Trigger::Request(Method::Reinvite(None)),
        "re-INVITE image" => Trigger::Request(Method::Reinvite(Some(true))),
        "re-INVITE audio" => Trigger::Request(Method::Reinvite(Some(false))),
        "ACK" => Trigger::Request(Method::Ack),
        "BYE" => Trigger::Request(Method::Bye),
        "CANCEL" => Trigger::Request(Method::Cancel),
        "CNG" => Trigger::Heard(Tone::Cng),
        "CED" => Trigger::Heard(Tone::Ced),
        "phase B" => Trigger::Phase(Phase::B),
        "phase C" => Trigger::Phase(Phase::C),
        "phase D" => Trigger::Phase(Phase::D),
        "taken" => Trigger::Answered(true),
        "refused" => Trigger::Answered(false),
        _ => return Err(format!("{text} is no trigger")),
    })
}

fn action(text: &str) -> Result<Action, String> {
    let mut words = text.split_whitespace();
    let first = words.next().unwrap_or_default();
    let rest: Vec<&str> = words.collect();
    let argument = rest.first().copied();
    let sdp = argument.filter(|a| *a != "-").map(str::to_owned);
    let medium = || match rest.as_slice() {
        [kind @ ("audio" | "image"), port] => Ok((*kind == "image", number::<u16>(port)?)),
        _ => Err("audio|image PORT".to_owned()),
    };
    Ok(match first {
        "ignore" => Action::Ignore,
        "wait" => Action::Wait(seconds(argument.unwrap_or_default())?),
        "reinvite" => Action::Reinvite(sdp),
        "update" => Action::Update(sdp.ok_or("update SDP")?),
        "bye" => Action::Bye,
        "cancel" => Action::Cancel,
        "mute" => Action::Mute(true),
        "unmute" => Action::Mute(false),
        "t38" => Action::Carrier { t38: true },
        "audio" => Action::Carrier { t38: false },
        "port" => medium().map(|(image, port)| Action::Port { image, port })?,
        "source" => medium().map(|(image, port)| Action::Source { image, port })?,
        "host" => Action::Host(argument.ok_or("host ADDRESS")?.to_owned()),
        "keep-rtp" => Action::KeepRtp,
        "fork" => Action::Fork(sdp.ok_or("fork SDP")?),
        code => {
            let headers = rest.iter().filter_map(|w| w.split_once(':'));
            Action::Answer {
                code: number(code)?,
                sdp: sdp.filter(|s| !s.contains(':') && s != "reliable"),
                reliable: rest.contains(&"reliable"),
                headers: headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(),
            }
        }
    })
}
