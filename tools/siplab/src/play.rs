//! A case played: the product, the far end, the network between them and one clock.

use crate::Datagram;
use crate::media::Media;
use crate::peer::Peer;
use crate::script::{Case, Nat};
use fax_base::Instant;
use fax_base::page::{Coding, Resolution, Width};
use fax_base::time::{Duration, earliest};
use fax_image::{Bitmap, Decoder, Limits};
use fax_net::lab::{Driver, Input, Output, Setup};
use fax_net::{CallEvent, CallReport};
use fax_t30::Role;
use fax_terminal::{Config, Document, ReceivedPage, Terminal};
use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use testkit::network::Network;

/// No case may last longer, unless it says so.
const BOUND: u64 = 200;

/// After the end, transactions must come to rest within 64 × T1.
const REST: Duration = Duration::from_secs(40);

/// What came of it.
#[derive(Clone, Debug)]
pub struct Played {
    /// The product's own report; none of a call that was refused before it had an owner.
    pub report: Option<CallReport>,
    /// How long it all took, from the call's beginning.
    pub took: Duration,
}

/// Addresses rewritten on the way, ports too: inside to outside and back, for flows that the inside began.
struct Translator {
    inside: IpAddr,
    outside: IpAddr,
    open: HashSet<u16>,
}

/// Added to every port.
const SHIFT: u16 = 20_000;

impl Translator {
    fn out(&mut self, mut datagram: Datagram) -> Datagram {
        self.open.insert(datagram.from.port());
        datagram.from = SocketAddr::new(self.outside, datagram.from.port() + SHIFT);
        datagram
    }

    /// `None`: there is no way in.
    fn into(&self, mut datagram: Datagram) -> Option<Datagram> {
        let port = datagram.to.port().checked_sub(SHIFT)?;
        let known = datagram.to.ip() == self.outside && (self.open.contains(&port) || port == 5060);
        datagram.to = SocketAddr::new(self.inside, port);
        known.then_some(datagram)
    }
}

struct Lab<'a> {
    case: &'a Case,
    product: Driver,
    product_sip: SocketAddr,
    product_media: SocketAddr,
    peer: Peer,
    translator: Option<Translator>,
    there: Network<Datagram>,
    back: Network<Datagram>,
    now: Instant,
    given_up: bool,
    pages: Vec<ReceivedPage>,
    t38: bool,
    refused: Option<u16>,
    report: Option<(Instant, CallReport)>,
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap_or(IpAddr::V4(std::net::Ipv4Addr::LOCALHOST))
}

/// Plays a case to its end.
///
/// # Errors
/// With everything that was not as the case says.
pub fn play(case: &Case) -> Result<Played, String> {
    let bitmap = testkit::pages::text(1728, case.rows, 7);
    let mut lab = Lab::new(case, &bitmap);
    lab.run();
    let faults = lab.faults(&bitmap);
    let took = lab.report.as_ref().map_or(lab.now, |(at, _)| *at).since(Instant::ZERO);
    let report = lab.report.map(|(_, report)| report);
    if faults.is_empty() {
        return Ok(Played { report, took });
    }
    Err(format!("{}\nafter {took:?}: {report:?}", faults.join("\n")))
}

impl<'a> Lab<'a> {
    fn new(case: &'a Case, bitmap: &Bitmap) -> Lab<'a> {
        let (product_ip, peer_ip) = match (case.ipv6, case.nat) {
            (true, _) => (ip("2001:db8::1"), ip("2001:db8::9")),
            (false, Nat::Nobody) => (ip("192.0.2.1"), ip("192.0.2.9")),
            (false, Nat::Peer) => (ip("192.0.2.1"), ip("10.0.0.9")),
            (false, Nat::Product) => (ip("10.0.0.1"), ip("192.0.2.9")),
        };
        let translator = |inside| Translator { inside, outside: ip("203.0.113.5"), open: HashSet::new() };
        let translator = match case.nat {
            Nat::Nobody => None,
            Nat::Peer => Some(translator(peer_ip)),
            Nat::Product => Some(translator(product_ip)),
        };
        let seen = |behind: Nat, ip: IpAddr| match &translator {
            Some(t) if case.nat == behind => SocketAddr::new(t.outside, 5060 + SHIFT),
            _ => SocketAddr::new(ip, 5060),
        };
        let (product_sip, product_media) =
            (SocketAddr::new(product_ip, 5060), SocketAddr::new(product_ip, 4000));
        let page = Arc::new(testkit::pages::coded(bitmap, Resolution::Fine, Width::A4));
        let terminal = |role| Config {
            role,
            ident: "+4930123".to_owned(),
            documents: if role == Role::Calling {
                vec![Document::new(vec![page.clone()])]
            } else {
                Vec::new()
            },
            ..Config::default()
        };
        let product = Driver::new(Setup {
            sip: product_sip,
            media: product_media,
            peer: seen(Nat::Peer, peer_ip),
            t38: case.policy,
            terminal: terminal(case.role),
            thinks: case.thinks,
            ring_timeout: case.ring_timeout,
            seed: case.seed,
        });
        let peer_role = if case.role == Role::Calling { Role::Called } else { Role::Calling };
        let mut media = Media::new(peer_ip, Terminal::new(terminal(peer_role)), case.packet_time);
        media.latches = case.nat == Nat::Product;
        let peer = Peer::new(case, SocketAddr::new(peer_ip, 5060), seen(Nat::Product, product_ip), media);
        Lab {
            case,
            product,
            product_sip,
            product_media,
            peer,
            translator,
            there: Network::new(case.network, case.seed * 2),
            back: Network::new(case.network, case.seed * 2 + 1),
            now: Instant::ZERO,
            given_up: false,
            pages: Vec::new(),
            t38: false,
            refused: None,
            report: None,
        }
    }

    fn run(&mut self) {
        let bound = Instant::ZERO + Duration::from_secs(self.case.expect.within.unwrap_or(BOUND) + 60);
        self.peer.start(self.now);
        while self.now < bound {
            self.turn();
            if let (Some((at, _)), Some(over)) = (&self.report, self.peer.over)
                && (*at).max(over) + REST <= self.now
            {
                return;
            }
            let give_up = self.case.give_up.filter(|_| !self.given_up).map(|at| Instant::ZERO + at);
            let next = [
                self.product.deadline(),
                self.peer.deadline(),
                self.there.deadline(),
                self.back.deadline(),
                give_up,
            ];
            let Some(next) = next.into_iter().fold(None, earliest) else {
                return;
            };
            self.now = next.max(self.now + Duration::from_micros(1));
        }
    }

    fn turn(&mut self) {
        let now = self.now;
        while let Some(datagram) = self.there.poll(now) {
            let datagram = match (&self.translator, self.case.nat) {
                (Some(t), Nat::Peer) => t.into(datagram),
                _ => Some(datagram),
            };
            if let Some(datagram) =
                datagram.filter(|d| self.peer.sip.ip() == d.to.ip() || d.to.ip() == self.peer.media.ip)
            {
                self.peer.receive(now, &datagram);
            }
        }
        while let Some(datagram) = self.back.poll(now) {
            let datagram = match (&self.translator, self.case.nat) {
                (Some(t), Nat::Product) => t.into(datagram),
                _ => Some(datagram),
            };
            let Some(Datagram { from, to, octets }) = datagram else {
                continue;
            };
            if to == self.product_sip {
                self.product.handle(now, Input::Sip { from, octets: &octets });
            } else if to == self.product_media {
                self.product.handle(now, Input::Media { from, octets: &octets });
            }
        }
        if self.product.deadline().is_some_and(|at| at <= now) {
            self.product.handle(now, Input::Timeout);
        }
        if self.case.give_up.is_some_and(|at| !self.given_up && Instant::ZERO + at <= now) {
            self.given_up = true;
            self.product.handle(now, Input::GiveUp);
        }
        self.peer.turn(now);
        while let Some(output) = self.product.poll() {
            let (from, to, octets) = match output {
                Output::Sip { to, octets } => (self.product_sip, to, octets),
                Output::Media { to, octets } => (self.product_media, to, octets),
                Output::Call(event) => {
                    self.told(event);
                    continue;
                }
            };
            let mut datagram = Datagram { from, to, octets };
            if let (Some(t), Nat::Product) = (&mut self.translator, self.case.nat) {
                datagram = t.out(datagram);
            }
            self.there.send(now, datagram);
        }
        while let Some(mut datagram) = self.peer.sent.pop_front() {
            if let (Some(t), Nat::Peer) = (&mut self.translator, self.case.nat) {
                datagram = t.out(datagram);
            }
            self.back.send(now, datagram);
        }
    }

    fn told(&mut self, event: CallEvent) {
        match event {
            CallEvent::Page(page) => self.pages.push(page),
            CallEvent::T38 => self.t38 = true,
            CallEvent::T38Refused { code, .. } => self.refused = Some(code),
            CallEvent::Ended(report) => self.report = Some((self.now, *report)),
            CallEvent::Ringing
            | CallEvent::Answered
            | CallEvent::Audio
            | CallEvent::KeepPage(_)
            | CallEvent::Fax(_)
            | CallEvent::Signal(_) => {}
        }
    }

    /// What is not as the case says.
    fn faults(&self, bitmap: &Bitmap) -> Vec<String> {
        let (mut faults, expect) = (self.peer.media.faults.clone(), &self.case.expect);
        let mut check = |good: bool, fault: String| {
            if !good {
                faults.push(fault);
            }
        };
        let Some((at, report)) = &self.report else {
            // A call that was refused before anybody owned it has no report.
            let refused = self.peer.heard.iter().rev().find_map(|m| m.code().filter(|c| *c >= 300));
            let expected = expect.end.as_deref() == Some("Refused") && refused == expect.status;
            return if expected { faults } else { vec![format!("no end; the last refusal: {refused:?}")] };
        };
        let within = expect.within.unwrap_or(BOUND);
        check(at.as_millis() <= within * 1000, format!("it took {} ms", at.as_millis()));
        check(
            self.peer.over.is_some() || self.peer.up.is_none(),
            "the far end was never told of the end".to_owned(),
        );
        let failure =
            report.outcome.as_ref().and_then(|o| o.failure.as_ref()).map(|f| format!("{:?}", f.cause));
        if let Some(t38) = expect.delivered {
            let far = self.peer.media.outcome.as_ref().map(|(_, o)| o.failure.as_ref().map(|f| f.cause));
            check(format!("{:?}", report.end) == "Fax", format!("end {:?}", report.end));
            check(failure.is_none() && report.outcome.is_some(), format!("our fax failed: {failure:?}"));
            check(far == Some(None), format!("their fax: {far:?}"));
            check(report.t38 == t38, format!("T.38 at the end: {}", report.t38));
            let pages = if self.case.role == Role::Calling { &self.peer.media.pages } else { &self.pages };
            check(pages.len() == 1, format!("{} pages", pages.len()));
            check(pages.iter().all(|p| pels(p) == *bitmap), "the page differs".to_owned());
        }
        if let Some(end) = &expect.end {
            check(format!("{:?}", report.end) == *end, format!("end {:?}", report.end));
            let mut pages = self.pages.iter().chain(&self.peer.media.pages);
            check(pages.all(|p| !p.confirmed), "a page is said to be there".to_owned());
        }
        let refused = report.t38_refused.or(self.refused);
        check(refused == expect.refused, format!("refused {refused:?}"));
        if expect.status.is_some() {
            check(report.sip_status == expect.status, format!("status {:?}", report.sip_status));
        }
        if expect.cause.is_some() {
            check(failure == expect.cause, format!("cause {failure:?}"));
        }
        check(!expect.via_t38 || self.t38, "T.38 was never in use".to_owned());
        if let Some(most) = expect.max_rate {
            let used = report.outcome.as_ref().and_then(|o| o.modulation).map(|m| m.bit_rate());
            check(used.is_some_and(|rate| rate <= most), format!("bit rate {used:?}"));
        }
        if let Some(most) = expect.max_datagram {
            let largest = self.peer.media.largest;
            check(largest <= most, format!("a datagram of {largest} octets"));
        }
        let said = |text: &String| {
            let inside = |m: &crate::message::Message| {
                String::from_utf8_lossy(&m.to_bytes())
                    .to_ascii_lowercase()
                    .contains(&text.to_ascii_lowercase())
            };
            self.peer.heard.iter().any(inside)
        };
        for text in &self.case.says {
            check(said(text), format!("it never said {text}"));
        }
        for text in &self.case.never {
            check(!said(text), format!("it said {text}"));
        }
        faults
    }
}

fn pels(page: &ReceivedPage) -> Bitmap {
    let mut decoder = Decoder::new(Coding::Mmr, 1728, Limits::default());
    decoder.push(&page.t6);
    decoder.finish().bitmap
}
