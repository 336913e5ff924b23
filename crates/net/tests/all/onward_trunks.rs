//! Calls that are passed on and the trunks they go by, over real sockets: lines, rates, health, callers, redirections and
//! silence count for them as for faxes of our own.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::carrier;

use bench::{free, page, request, story_within, terminal};
use carrier::{BOUND, Carrier};
use fax_net::{
    Assertion, CallEnd, CallRequest, Config, Endpoint, IdentityRules, IncomingCall, NumberFormat,
    NumberStyle, Onward, OnwardCaller, OnwardReport, OnwardTarget, Trunk, TrunkLimits, TrunkState,
};
use fax_t30::Role;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;
use tokio::task::JoinHandle;

/// A ferrofax between a trunk `from`, which calls, and trunks `t0`, `t1` …, to which calls are passed on.
struct Middle {
    endpoint: Endpoint,
    incoming: Receiver<IncomingCall>,
    at: SocketAddr,
    calls: u32,
}

/// A call under way: what its caller hears at last, and the report.
struct Passing {
    heard: JoinHandle<u16>,
    report: JoinHandle<OnwardReport>,
}

impl Passing {
    async fn end(self) -> (u16, OnwardReport) {
        let report = tokio::time::timeout(BOUND, self.report).await.expect("it does not end").unwrap();
        (self.heard.await.unwrap(), report)
    }
}

fn trunk(name: &str) -> OnwardTarget {
    OnwardTarget::Trunk { name: name.to_owned(), number: "+4930456".to_owned(), caller: None }
}

async fn middle(carriers: &[&Carrier], change: impl FnOnce(&mut [Trunk])) -> Middle {
    let mut config = Config::new(free());
    config.workers = 1;
    for (number, carrier) in carriers.iter().enumerate() {
        config.trunks.push(Trunk::new(&format!("t{number}"), &carrier.at.to_string()));
    }
    change(&mut config.trunks);
    // Calls come from an address of its own, so that no trunk's rules hold for it.
    let mut from = Trunk::new("from", "127.0.0.9");
    from.accept_from = vec!["127.0.0.9".parse().unwrap()];
    config.trunks.push(from);
    let (endpoint, incoming) = Endpoint::start(config).await.unwrap();
    let at = endpoint.local_address();
    Middle { endpoint, incoming, at, calls: 0 }
}

impl Middle {
    async fn pass(&mut self, targets: &[OnwardTarget]) -> Passing {
        self.calls += 1;
        let (at, number) = (self.at, self.calls);
        let heard = tokio::spawn(async move {
            let caller = Carrier::bind("127.0.0.9:0".parse().unwrap()).await;
            caller.invite(at, number).await
        });
        let incoming = tokio::time::timeout(BOUND, self.incoming.recv()).await.expect("no call").unwrap();
        assert_eq!(incoming.trunk, "from");
        let from = incoming.from.clone();
        let onward = Onward { targets: targets.to_vec(), from, from_name: String::new() };
        let passed = incoming.connect(onward);
        let report = tokio::spawn(async move { passed.ended().await.unwrap() });
        Passing { heard, report }
    }

    async fn until(&self, name: &str, what: &str, wanted: impl Fn(&TrunkState) -> bool) {
        let end = Instant::now() + BOUND;
        loop {
            let states = self.endpoint.trunks().await;
            if states.iter().any(|s| s.name == name && wanted(s)) {
                return;
            }
            assert!(Instant::now() < end, "{name} is never {what}: {states:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// A fax of our own by this trunk.
    fn fax(&self, trunk: &str) -> fax_net::Call {
        let fax = request(terminal(Role::Calling, vec![page(50).1], true));
        self.endpoint.call(CallRequest { trunk: trunk.to_owned(), ..fax })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_is_passed_on_takes_a_line_and_a_full_trunk_is_passed_over() {
    let (full, other) = (Carrier::start().await, Carrier::start().await);
    let one = TrunkLimits { calls_out: Some(1), ..TrunkLimits::default() };
    let mut middle = middle(&[&full, &other], |trunks| trunks[0].limits = one).await;
    let first = middle.pass(&[trunk("t0")]).await;
    let ringing = full.expect("INVITE").await;
    full.answer(&ringing, "180 Ringing", &[]).await;
    middle.until("t0", "in use", |s| s.calls_out == 1).await;
    // The next goes by the other trunk, or is told that no circuit is available.
    let second = middle.pass(&[trunk("t0"), trunk("t1")]).await;
    let invite = other.expect("INVITE").await;
    other.answer(&invite, "486 Busy Here", &[]).await;
    let (heard, report) = second.end().await;
    assert_eq!((heard, report.target, report.sip_status), (486, 1, Some(486)));
    let (heard, report) = middle.pass(&[trunk("t0")]).await.end().await;
    assert_eq!((heard, report.q850), (500, Some(34)), "{report:?}");
    assert_eq!(story_within(middle.fax("t0"), BOUND).await.report.end, CallEnd::TrunkFull);
    full.quiet(Duration::from_millis(200)).await;
    full.answer(&ringing, "486 Busy Here", &[]).await;
    assert_eq!(first.end().await.1.sip_status, Some(486));
    middle.until("t0", "free", |s| s.calls_out == 0).await;
    middle.until("t1", "free", |s| s.calls_out == 0).await;
    middle.until("from", "free", |s| s.calls_in == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_are_passed_on_are_begun_no_faster_than_the_trunk_takes_them() {
    let (slow, other) = (Carrier::start().await, Carrier::start().await);
    let rate = TrunkLimits { per_second_out: Some(1), ..TrunkLimits::default() };
    let mut middle = middle(&[&slow, &other], |trunks| trunks[0].limits = rate).await;
    for carrier in [&slow, &other] {
        let passing = middle.pass(&[trunk("t0"), trunk("t1")]).await;
        let invite = carrier.expect("INVITE").await;
        carrier.answer(&invite, "486 Busy Here", &[]).await;
        passing.end().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_passed_on_call_meets_tells_how_the_trunk_is() {
    let (broken, other) = (Carrier::start().await, Carrier::start().await);
    let mut middle = middle(&[&broken, &other], |_| {}).await;
    for status in ["503 Service Unavailable", ""] {
        let passing = middle.pass(&[trunk("t0"), trunk("t1")]).await;
        if !status.is_empty() {
            let invite = broken.expect("INVITE").await;
            broken.answer(&invite, status, &["Retry-After: 30"]).await;
        }
        // The second time the trunk is not even asked.
        let invite = other.expect("INVITE").await;
        other.answer(&invite, "486 Busy Here", &[]).await;
        assert_eq!(passing.end().await.1.target, 1);
    }
    middle.until("t0", "down", |s| !s.up && s.why.as_deref() == Some("503 with Retry-After")).await;
    assert_eq!(story_within(middle.fax("t0"), BOUND).await.report.end, CallEnd::TrunkDown);
    let (heard, report) = middle.pass(&[trunk("t0")]).await.end().await;
    assert_eq!((heard, report.q850), (500, Some(38)), "{report:?}");
    broken.quiet(Duration::from_millis(200)).await;
    middle.until("t1", "known to be up", |s| s.up && s.since.is_some()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_is_shown_the_caller_and_the_numbers_as_it_wants_them() {
    let carrier = Carrier::start().await;
    let rules = |trunks: &mut [Trunk]| {
        let style = NumberStyle::National;
        trunks[0].numbers = NumberFormat { style, country: "49".to_owned(), ..NumberFormat::default() };
        trunks[0].identity = IdentityRules { assertion: Assertion::Asserted, ..IdentityRules::default() };
    };
    let mut middle = middle(&[&carrier], rules).await;
    let caller = |number: &str, anonymous| OnwardTarget::Trunk {
        name: "t0".to_owned(),
        number: "+4930456".to_owned(),
        caller: Some(OnwardCaller { number: number.to_owned(), anonymous }),
    };
    for (target, shown, privacy) in [
        (trunk("t0"), "<sip:03099@", false),
        (caller("+4930100", false), "<sip:030100@", false),
        (caller("+4930100", true), "anonymous@anonymous.invalid", true),
    ] {
        let passing = middle.pass(&[target]).await;
        let invite = carrier.expect("INVITE").await;
        assert!(invite.uri().starts_with("sip:030456@"), "{}", invite.text);
        assert!(invite.header("From").contains(shown), "{}", invite.text);
        assert_eq!(invite.all("P-Asserted-Identity").len(), 1, "{}", invite.text);
        assert_eq!(invite.all("Privacy"), if privacy { vec!["id"] } else { Vec::new() });
        carrier.answer(&invite, "603 Decline", &[]).await;
        assert_eq!(passing.end().await.0, 603);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirected_call_that_is_passed_on_goes_where_the_trunk_may_send_it() {
    let (carrier, last) = (Carrier::start().await, Carrier::start().await);
    let edge = Carrier::bind("127.0.0.2:0".parse().unwrap()).await;
    let rules = |trunks: &mut [Trunk]| {
        trunks[0].redirects = vec!["127.0.0.2".to_owned()];
        trunks[0].limits = TrunkLimits { calls_out: Some(1), ..TrunkLimits::default() };
    };
    let mut middle = middle(&[&carrier, &last], rules).await;
    let passing = middle.pass(&[trunk("t0"), trunk("t1")]).await;
    let invite = carrier.expect("INVITE").await;
    let contacts = format!("Contact: <sip:evil@203.0.113.66>;q=1, <sip:+4930777@{}>;q=0.5", edge.at);
    carrier.answer(&invite, "302 Moved Temporarily", &[&contacts]).await;
    let moved = edge.expect("INVITE").await;
    assert_eq!(moved.uri(), format!("sip:+4930777@{}", edge.at));
    edge.answer(&moved, "180 Ringing", &[]).await;
    middle.until("t0", "in use by one call", |s| s.calls_out == 1).await;
    edge.answer(&moved, "486 Busy Here", &["Reason: Q.850;cause=17"]).await;
    let (heard, report) = passing.end().await;
    assert_eq!((heard, report.target, report.q850), (180, 0, Some(17)));
    assert_eq!(report.call_id_b, moved.header("Call-ID"), "the call that was made last");
    middle.until("t0", "free", |s| s.calls_out == 0).await;
    // Nowhere that is allowed: another trunk may do.
    let passing = middle.pass(&[trunk("t0"), trunk("t1")]).await;
    let invite = carrier.expect("INVITE").await;
    carrier.answer(&invite, "302 Moved Temporarily", &["Contact: <sip:a@203.0.113.66>"]).await;
    let invite = last.expect("INVITE").await;
    last.answer(&invite, "404 Not Found", &[]).await;
    assert_eq!(passing.end().await.1.sip_status, Some(404));
    middle.until("t0", "free", |s| s.calls_out == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_trunk_costs_its_time_and_is_cancelled_when_it_wakes() {
    let (silent, other) = (Carrier::start().await, Carrier::start().await);
    let both = [silent.at.to_string(), other.at.to_string()];
    let mut middle = middle(&[&silent, &other, &silent], |trunks| {
        trunks[0].reply_within = Duration::from_millis(1_500);
        trunks[2].peers = both.to_vec();
    })
    .await;
    let begun = Instant::now();
    let passing = middle.pass(&[trunk("t0"), trunk("t1")]).await;
    let asleep = silent.expect("INVITE").await;
    let invite = other.expect("INVITE").await;
    assert!((1_400..20_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    other.answer(&invite, "180 Ringing", &[]).await;
    silent.quiet(Duration::from_millis(500)).await;
    silent.answer(&asleep, "180 Ringing", &[]).await;
    let cancel = silent.expect("CANCEL").await;
    assert_eq!(cancel.header("Call-ID"), asleep.header("Call-ID"));
    silent.answer(&cancel, "200 OK", &[]).await;
    silent.answer(&asleep, "487 Request Terminated", &[]).await;
    other.answer(&invite, "603 Decline", &[]).await;
    assert_eq!(passing.end().await.1.sip_status, Some(603));
    middle.until("t0", "down", |s| !s.up && s.why.as_deref() == Some("no answer to INVITE")).await;
    // Whoever else has that place knows it, too: a fax of our own goes to the other one at once.
    let call = middle.fax("t2");
    let invite = other.expect("INVITE").await;
    other.answer(&invite, "486 Busy Here", &[]).await;
    assert_eq!(story_within(call, BOUND).await.report.sip_status, Some(486));
    silent.quiet(Duration::from_millis(100)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_of_our_own_leaves_a_silent_place_as_soon_and_hangs_up_what_answers_late() {
    let (silent, other) = (Carrier::start().await, Carrier::start().await);
    let middle = middle(&[&silent], |trunks| {
        trunks[0].reply_within = Duration::from_millis(1_000);
        trunks[0].peers.push(other.at.to_string());
    })
    .await;
    let begun = Instant::now();
    let call = middle.fax("t0");
    let asleep = silent.expect("INVITE").await;
    let invite = other.expect("INVITE").await;
    assert!(begun.elapsed() >= Duration::from_millis(950), "{:?}", begun.elapsed());
    other.answer(&invite, "480 Temporarily Unavailable", &[]).await;
    assert_eq!(story_within(call, BOUND).await.report.sip_status, Some(480));
    let contact = format!("Contact: <sip:{}>", silent.at);
    silent.answer(&asleep, "200 OK", &[&contact]).await;
    let bye = silent.expect("BYE").await;
    assert_eq!(bye.header("Call-ID"), asleep.header("Call-ID"));
    silent.answer(&bye, "200 OK", &[]).await;
    middle.until("t0", "free", |s| s.calls_out == 0 && s.places[0].failed && !s.places[1].failed).await;
}
