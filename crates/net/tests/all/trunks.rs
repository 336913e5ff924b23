//! Trunks as carriers want them, over real sockets: registrations and their routes, identities and numbers, limits, health,
//! redirections, and another configuration in mid-call. What is a rule only has its table beside the rule.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;
use crate::carrier;

use bench::{free, page, request, story_within, terminal};
use carrier::{BOUND, Carrier};
use fax_net::{
    Advertise, Assertion, Call, CallEnd, CallRequest, Config, Endpoint, FaxPreference, IdentityRules,
    IncomingCall, NumberFormat, NumberStyle, Trunk, TrunkLimits, TrunkState,
};
use fax_t30::Role;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::Receiver;

struct Ours {
    endpoint: Endpoint,
    incoming: Receiver<IncomingCall>,
    config: Config,
}

async fn ours(carriers: &[SocketAddr], change: impl FnOnce(&mut Trunk)) -> Ours {
    let mut trunk = Trunk::new("peer", &carriers[0].to_string());
    trunk.peers = carriers.iter().map(SocketAddr::to_string).collect();
    trunk.domain = "carrier.example".to_owned();
    change(&mut trunk);
    let mut config = Config::new(free());
    config.workers = 1;
    config.trunks.push(trunk);
    let (endpoint, incoming) = Endpoint::start(config.clone()).await.unwrap();
    Ours { endpoint, incoming, config }
}

fn registers(trunk: &mut Trunk) {
    trunk.credentials = Some(("fax".to_owned(), "secret".to_owned()));
    trunk.register = Some(Duration::from_secs(60));
}

fn fax() -> CallRequest {
    request(terminal(Role::Calling, vec![page(50).1], true))
}

async fn ended(call: Call) -> Box<fax_net::CallReport> {
    story_within(call, BOUND).await.report
}

/// Waits until the first trunk is as wanted.
async fn until(endpoint: &Endpoint, what: &str, wanted: impl Fn(&TrunkState) -> bool) -> TrunkState {
    let end = Instant::now() + BOUND;
    loop {
        let states = endpoint.trunks().await;
        if let Some(state) = states.first().filter(|s| wanted(s)) {
            return state.clone();
        }
        assert!(Instant::now() < end, "never {what}: {states:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_asks_for_longer_gives_calls_its_route_and_tells_its_state() {
    let (registrar, edge) = (Carrier::start().await, Carrier::start().await);
    let ours = ours(&[registrar.at], registers).await;
    let first = registrar.expect("REGISTER").await;
    assert_eq!(first.uri(), "sip:carrier.example");
    assert!(first.header("To").contains("<sip:fax@carrier.example>"));
    assert!(first.header("Supported").contains("path"));
    registrar.answer(&first, "423 Interval Too Brief", &["Min-Expires: 90"]).await;
    let second = registrar.expect("REGISTER").await;
    assert_eq!(second.header("Expires"), "90");
    let (a, b) = (format!("<sip:{};lr>", edge.at), "<sip:core.example;lr>");
    let route = format!("Service-Route: {a}, {b}");
    registrar.grant(&second, &[&route]).await;
    let state = until(&ours.endpoint, "registered", |s| s.registrations[0].since.is_some()).await;
    let registration = &state.registrations[0];
    assert_eq!(registration.at.unwrap().address, registrar.at);
    assert_eq!(registration.service_route, [a.as_str(), b]);
    let left = registration.until.unwrap().duration_since(std::time::SystemTime::now()).unwrap();
    assert!((Duration::from_secs(20)..=Duration::from_secs(60)).contains(&left), "{left:?}");
    assert!(state.up && registration.last_failure.is_none());

    // The call goes to the first hop of the route, with the whole of it.
    let call = ours.endpoint.call(fax());
    let invite = edge.expect("INVITE").await;
    assert_eq!(invite.uri(), "sip:+4930456@carrier.example");
    assert_eq!(invite.all("Route"), [a.as_str(), b]);
    edge.answer(&invite, "486 Busy Here", &[]).await;
    let report = ended(call).await;
    assert_eq!((report.sip_status, report.reached), (Some(486), true));
    registrar.quiet(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_registration_is_told_and_tried_when_the_registrar_wants() {
    let registrar = Carrier::start().await;
    let ours = ours(&[registrar.at], registers).await;
    let first = registrar.expect("REGISTER").await;
    registrar.answer(&first, "500 Server Error", &["Retry-After: 60"]).await;
    let state = until(&ours.endpoint, "refused", |s| !s.up).await;
    assert_eq!(state.why.as_deref(), Some("not registered: 500 Server Error"));
    let registration = &state.registrations[0];
    assert_eq!(registration.last_failure.as_ref().unwrap().1, "500 Server Error");
    let wait = registration.tried_again.unwrap().duration_since(std::time::SystemTime::now()).unwrap();
    assert!(wait > Duration::from_secs(50), "{wait:?}");
    // It is passed over now.
    let report = ended(ours.endpoint.call(fax())).await;
    assert_eq!(report.end, CallEnd::TrunkDown);
    assert!(report.retry_after.is_some_and(|r| r <= Duration::from_secs(5)), "{report:?}");
    registrar.quiet(Duration::from_millis(300)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_second_point_of_presence_serves_and_keeps_the_registration_and_the_calls() {
    let (first, second) = (Carrier::start().await, Carrier::start().await);
    let ours = ours(&[first.at, second.at], registers).await;
    let asked = first.expect("REGISTER").await;
    first.answer(&asked, "503 Service Unavailable", &[]).await;
    let asked = second.expect("REGISTER").await;
    second.grant(&asked, &[]).await;
    let state = until(&ours.endpoint, "registered", |s| s.registrations[0].since.is_some()).await;
    assert_eq!(state.registrations[0].at.unwrap().address, second.at);
    assert!(state.places[0].failed && !state.places[1].failed, "{state:?}");
    let call = ours.endpoint.call(fax());
    let invite = second.expect("INVITE").await;
    second.answer(&invite, "503 Service Unavailable", &[]).await;
    // Where that fails, too, the first is tried after all.
    let invite = first.expect("INVITE").await;
    first.answer(&invite, "404 Not Found", &["Reason: Q.850;cause=1"]).await;
    let report = ended(call).await;
    assert_eq!((report.sip_status, report.q850), (Some(404), Some(1)));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_instance_registers_at_every_point_of_presence_with_a_way_of_its_own() {
    let pops = [Carrier::start().await, Carrier::start().await];
    let instance = "urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6";
    let ours = ours(&[pops[0].at, pops[1].at], |t| {
        registers(t);
        t.outbound = Some(instance.to_owned());
    })
    .await;
    for (pop, number) in pops.iter().zip(1..) {
        let asked = pop.expect("REGISTER").await;
        let contact = asked.header("Contact").to_owned();
        assert!(contact.contains(&format!("+sip.instance=\"<{instance}>\";reg-id={number}")), "{contact}");
        assert!(asked.header("Supported").contains("outbound"));
        pop.grant(&asked, &["Require: outbound"]).await;
    }
    let all = |s: &TrunkState| s.registrations.len() == 2 && s.registrations.iter().all(|r| r.outbound);
    until(&ours.endpoint, "both registered", all).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_and_the_number_are_written_as_the_trunk_wants() {
    let carrier = Carrier::start().await;
    let ours = ours(&[carrier.at], |t| {
        t.numbers = NumberFormat {
            style: NumberStyle::National,
            country: "49".to_owned(),
            tech_prefix: "77#".to_owned(),
            user_phone: true,
            ..NumberFormat::default()
        };
        t.identity = IdentityRules {
            from_user: "account7".to_owned(),
            assertion: Assertion::Asserted,
            ..IdentityRules::default()
        };
        t.fax_preference = Some(FaxPreference::T38);
    })
    .await;
    let call = ours.endpoint.call(CallRequest { from_name: "Clinic".to_owned(), ..fax() });
    let invite = carrier.expect("INVITE").await;
    assert_eq!(invite.uri(), "sip:77%23030456@carrier.example;user=phone");
    assert_eq!(invite.header("To"), "<sip:77%23030456@carrier.example;user=phone>");
    assert!(invite.header("From").starts_with("\"Clinic\" <sip:account7@carrier.example>;tag="));
    let asserted = "\"Clinic\" <sip:030123@carrier.example;user=phone>";
    assert_eq!(invite.header("P-Asserted-Identity"), asserted);
    assert_eq!(invite.header("Accept-Contact"), "*;+sip.fax=\"t38\"");
    assert!(invite.all("Privacy").is_empty());
    carrier.answer(&invite, "486 Busy Here", &[]).await;
    ended(call).await;

    let call = ours.endpoint.call(CallRequest { anonymous: true, ..fax() });
    let invite = carrier.expect("INVITE").await;
    assert_eq!(invite.header("Privacy"), "id");
    assert_eq!(invite.header("P-Asserted-Identity"), "<sip:030123@carrier.example;user=phone>");
    carrier.answer(&invite, "603 Decline", &[]).await;
    ended(call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_trunk_says_so_or_lets_calls_wait_for_a_line() {
    let carrier = Carrier::start().await;
    let ours = ours(&[carrier.at], |t| {
        t.limits = TrunkLimits { calls_out: Some(1), ..TrunkLimits::default() };
    })
    .await;
    let first = ours.endpoint.call(fax());
    let ringing = carrier.expect("INVITE").await;
    carrier.answer(&ringing, "180 Ringing", &[]).await;
    let refused = ended(ours.endpoint.call(fax())).await;
    assert_eq!(refused.end, CallEnd::TrunkFull, "{refused:?}");
    let patient = |s| CallRequest { wait: Duration::from_secs(s), ..fax() };
    let waits = ours.endpoint.call(patient(30));
    let gives_up = ours.endpoint.call(patient(30));
    gives_up.give_up();
    assert_eq!(ended(gives_up).await.end, CallEnd::NotAnswered);
    let begun = Instant::now();
    let in_vain = ended(ours.endpoint.call(patient(1))).await;
    assert_eq!(in_vain.end, CallEnd::TrunkFull);
    assert!((900..10_000).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    let state = until(&ours.endpoint, "one waits", |s| s.waiting == 1).await;
    assert_eq!((state.calls_out, state.limits.calls_out), (1, Some(1)));
    carrier.quiet(Duration::from_millis(200)).await;
    // The line becomes free, and who waited has it.
    carrier.answer(&ringing, "486 Busy Here", &[]).await;
    ended(first).await;
    let next = carrier.expect("INVITE").await;
    carrier.answer(&next, "486 Busy Here", &[]).await;
    assert_eq!(ended(waits).await.sip_status, Some(486));
    until(&ours.endpoint, "free", |s| s.calls_out == 0 && s.waiting == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_begun_no_faster_than_the_trunk_takes_them() {
    let carrier = Carrier::start().await;
    let ours = ours(&[carrier.at], |t| {
        t.limits = TrunkLimits { per_second_out: Some(4), ..TrunkLimits::default() };
    })
    .await;
    let request = || CallRequest { wait: Duration::from_secs(30), ..fax() };
    let calls: Vec<Call> = (0..12).map(|_| ours.endpoint.call(request())).collect();
    let begun = Instant::now();
    let mut came = Vec::new();
    for _ in 0..12 {
        let invite = carrier.expect("INVITE").await;
        came.push(begun.elapsed());
        carrier.answer(&invite, "486 Busy Here", &[]).await;
    }
    // Four at once, and the other eight by one each quarter of a second.
    assert!(came[3] < Duration::from_millis(1_500), "{came:?}");
    assert!(came[11] >= Duration::from_millis(1_900), "{came:?}");
    for call in calls {
        assert_eq!(ended(call).await.sip_status, Some(486));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_that_come_in_are_counted_too() {
    let carrier = Carrier::start().await;
    let mut ours = ours(&[carrier.at], |t| {
        t.limits = TrunkLimits { calls_in: Some(1), ..TrunkLimits::default() };
    })
    .await;
    let at = ours.endpoint.local_address();
    let (first, second) = tokio::join!(carrier.invite(at, 1), async {
        let incoming = tokio::time::timeout(BOUND, ours.incoming.recv()).await.unwrap().unwrap();
        let other = Carrier::start().await;
        let refused = other.invite(at, 2).await;
        incoming.reject(603, "");
        refused
    });
    assert_eq!((first, second), (603, 486));
    until(&ours.endpoint, "free", |s| s.calls_in == 0).await;

    let mut config = ours.config.clone();
    config.trunks[0].limits = TrunkLimits { per_second_in: Some(1), ..TrunkLimits::default() };
    assert!(ours.endpoint.reload(config).await.is_empty());
    tokio::spawn(async move {
        while let Some(call) = ours.incoming.recv().await {
            call.reject(603, "");
        }
    });
    let carriers = [Carrier::start().await, Carrier::start().await];
    let both = tokio::join!(carriers[0].invite(at, 3), carriers[1].invite(at, 4));
    assert!(matches!(both, (603, 503) | (503, 603)), "{both:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn redirections_are_followed_where_that_is_allowed_and_not_for_ever() {
    let (carrier, edge) = (Carrier::start().await, Carrier::bind("127.0.0.2:0".parse().unwrap()).await);
    let allows = |t: &mut Trunk| t.redirects = vec!["127.0.0.2".to_owned()];
    let ours = ours(&[carrier.at], allows).await;
    let call = ours.endpoint.call(fax());
    let invite = carrier.expect("INVITE").await;
    let contacts = format!("Contact: <sip:evil@203.0.113.66>;q=1, <sip:+4930777@{}>;q=0.5", edge.at);
    carrier.answer(&invite, "302 Moved Temporarily", &[&contacts]).await;
    let moved = edge.expect("INVITE").await;
    assert_eq!(moved.uri(), format!("sip:+4930777@{}", edge.at));
    assert!(moved.header("To").contains("+4930456"), "To stays: {}", moved.text);
    // From here it goes in circles, with a number that is new each time.
    let mut invite = moved;
    let mut hops = 1;
    let last = loop {
        let contact = format!("Contact: <sip:{hops}@{}>", edge.at);
        edge.answer(&invite, "301 Moved Permanently", &[&contact]).await;
        match tokio::time::timeout(Duration::from_secs(3), edge.request()).await {
            Ok(next) => invite = next,
            Err(_) => break hops,
        }
        hops += 1;
        assert!(hops < 20, "for ever");
    };
    assert_eq!(last, 5);
    let report = ended(call).await;
    assert_eq!((report.end, report.sip_status), (CallEnd::NotAnswered, Some(301)));
    // Nowhere that is allowed.
    let call = ours.endpoint.call(fax());
    let invite = carrier.expect("INVITE").await;
    carrier.answer(&invite, "302 Moved Temporarily", &["Contact: <sip:a@203.0.113.66>"]).await;
    assert_eq!(ended(call).await.sip_status, Some(302));
    until(&ours.endpoint, "free", |s| s.calls_out == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_503_with_retry_after_keeps_calls_away_until_a_sign_of_life() {
    let carrier = Carrier::start().await;
    let ours = ours(&[carrier.at], |_| {}).await;
    let call = ours.endpoint.call(fax());
    let invite = carrier.expect("INVITE").await;
    carrier.answer(&invite, "503 Service Unavailable", &["Retry-After: 30"]).await;
    let report = ended(call).await;
    assert_eq!((report.sip_status, report.retry_after), (Some(503), Some(Duration::from_secs(30))));
    let report = ended(ours.endpoint.call(fax())).await;
    assert_eq!(report.end, CallEnd::TrunkDown);
    assert!(report.retry_after.is_some_and(|r| r > Duration::from_secs(15)), "{report:?}");
    carrier.quiet(Duration::from_millis(200)).await;
    // Asked for a sign of life, it gives one.
    let mut config = ours.config.clone();
    config.trunks[0].ping = Some(Duration::from_millis(400));
    ours.endpoint.reload(config).await;
    let ping = carrier.expect("OPTIONS").await;
    carrier.answer(&ping, "200 OK", &[]).await;
    until(&ours.endpoint, "up again", |s| s.up && s.places[0].round_trip.is_some()).await;
    // And when it says by OPTIONS that it wants nothing, it is left alone, too.
    let ping = carrier.expect("OPTIONS").await;
    carrier.answer(&ping, "503 Service Unavailable", &[]).await;
    let state = until(&ours.endpoint, "down", |s| !s.up).await;
    assert_eq!(state.why.as_deref(), Some("503 to OPTIONS"));
    assert!(state.places[0].failed);
    let ping = carrier.expect("OPTIONS").await;
    carrier.answer(&ping, "405 Method Not Allowed", &[]).await;
    until(&ours.endpoint, "up, for any answer is one", |s| s.up).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_registrar_says_how_it_sees_us_and_is_told_that() {
    let carrier = Carrier::start().await;
    let ours = ours(&[carrier.at], |t| {
        registers(t);
        t.advertise = Advertise::AsSeen;
    })
    .await;
    let first = carrier.expect("REGISTER").await;
    let seen = first.header("Via").replace(";rport", ";rport=4711;received=203.0.113.5");
    let translated =
        carrier::Request { text: first.text.replace(first.header("Via"), &seen), from: first.from };
    carrier.grant(&translated, &[]).await;
    let second = carrier.expect("REGISTER").await;
    assert!(second.header("Contact").contains("@203.0.113.5:4711"), "{}", second.text);
    assert_eq!(second.header("Call-ID"), first.header("Call-ID"));
    carrier.grant(&second, &[]).await;
    let call = ours.endpoint.call(fax());
    let invite = carrier.expect("INVITE").await;
    assert!(invite.header("Contact").contains("@203.0.113.5:4711"), "{}", invite.text);
    assert!(invite.text.contains("c=IN IP4 203.0.113.5"), "{}", invite.text);
    carrier.answer(&invite, "486 Busy Here", &[]).await;
    ended(call).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_accounts_at_a_carrier_a_call_is_by_the_one_that_is_called() {
    let carrier = Carrier::start().await;
    let mut config = Config::new(free());
    config.workers = 1;
    for (name, user) in [("one", "acme"), ("two", "fax"), ("three", "")] {
        let mut trunk = Trunk::new(name, &carrier.at.to_string());
        user.clone_into(&mut trunk.register_user);
        config.trunks.push(trunk);
    }
    let (endpoint, mut incoming) = Endpoint::start(config.clone()).await.unwrap();
    for (number, (user, trunk)) in (1..).zip([("fax", "two"), ("acme", "one"), ("+4930456", "one")]) {
        let called = carrier.invite_user(user, config.sip, number, "X-Test: 1");
        let (code, by) = tokio::join!(called, async {
            let call = tokio::time::timeout(BOUND, incoming.recv()).await.unwrap().unwrap();
            let by = call.trunk.clone();
            call.reject(486, "");
            by
        });
        assert_eq!((code, by.as_str()), (486, trunk), "{user}");
    }
    endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn trunks_come_go_and_change_while_a_call_runs() {
    let (old, new) = (Carrier::start().await, Carrier::start().await);
    let ours = ours(&[old.at], registers).await;
    let asked = old.expect("REGISTER").await;
    old.grant(&asked, &[]).await;
    until(&ours.endpoint, "registered", |s| s.registrations[0].since.is_some()).await;
    let call = ours.endpoint.call(fax());
    let invite = old.expect("INVITE").await;
    old.answer(&invite, "180 Ringing", &[]).await;

    // The trunk goes, another comes.
    let mut config = ours.config.clone();
    config.trunks[0] = Trunk::new("other", &new.at.to_string());
    config.max_calls = 1;
    assert!(ours.endpoint.reload(config.clone()).await.is_empty());
    let back = old.expect("REGISTER").await;
    assert_eq!(back.header("Expires"), "0");
    old.answer(&back, "200 OK", &[]).await;
    let states = ours.endpoint.trunks().await;
    assert_eq!(states.iter().map(|s| s.name.as_str()).collect::<Vec<_>>(), ["other"]);
    assert_eq!(ended(ours.endpoint.call(fax())).await.end, CallEnd::NoRoute, "it is gone");
    let other = || CallRequest { trunk: "other".to_owned(), ..fax() };
    assert_eq!(ended(ours.endpoint.call(other())).await.end, CallEnd::NoRoute, "one call at a time now");

    // The call that runs goes on to its end.
    old.answer(&invite, "486 Busy Here", &[]).await;
    assert_eq!(ended(call).await.sip_status, Some(486));
    let call = ours.endpoint.call(other());
    let invite = new.expect("INVITE").await;
    new.answer(&invite, "486 Busy Here", &[]).await;
    ended(call).await;

    // What cannot change is told and left.
    config.workers = 2;
    assert_eq!(ours.endpoint.reload(config).await, ["media ports and workers change with the next start"]);
}
