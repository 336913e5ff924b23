//! Calls between two drivers over loopback, in real time.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::{Side, free, page, pels, request, side, story, terminal};
use fax_net::{CallEnd, Config, Endpoint, Trunk};
use fax_t30::{Cause, Role};
use std::time::Duration;

/// Two endpoints that are each other's trunk `peer`.
async fn pair(change: impl Fn(&mut Trunk)) -> (Side, Side) {
    let (a, b) = (free(), free());
    (side(a, b, &change).await, side(b, a, &change).await)
}

/// The calling and the called terminal.
fn caller(rows: u32) -> fax_net::CallRequest {
    request(terminal(Role::Calling, vec![page(rows).1], true))
}

fn answerer() -> fax_terminal::Config {
    terminal(Role::Called, Vec::new(), true)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_by_t38_and_is_the_same() {
    let (a, mut b) = pair(|_| {}).await;
    let (bitmap, coded) = page(200);
    let mut two = request(terminal(Role::Calling, vec![coded.clone(), coded], true));
    two.from_name = "Clinic \"A\"".to_owned();
    let sending = tokio::spawn(story(a.endpoint.call(two)));
    let incoming = b.incoming.recv().await.unwrap();
    assert_eq!((incoming.to.as_str(), incoming.from.as_str()), ("+4930456", "+4930123"));
    assert_eq!(incoming.from_name, "Clinic A");
    let received = story(incoming.accept(answerer())).await;
    let sent = sending.await.unwrap();
    assert!(sent.t38 && received.t38);
    assert_eq!(sent.report.end, CallEnd::Fax);
    let outcome = sent.report.outcome.unwrap();
    assert_eq!(outcome.failure, None);
    assert_eq!(outcome.pages_confirmed, 2);
    assert_eq!(sent.confirmed, [0, 1]);
    assert_eq!(outcome.remote_ident.as_deref(), Some("+4930123"));
    assert_eq!(received.report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 2);
    for page in received.pages {
        assert!(page.confirmed);
        assert!(pels(&page) == bitmap, "the page differs");
    }
    a.endpoint.stop().await;
    b.endpoint.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_caller_offers_t38_where_the_called_side_does_not() {
    let (a, mut b) = pair(|t| {
        t.t38.offer_as_called = None;
        t.t38.offer_as_caller = Some(Duration::from_millis(500));
    })
    .await;
    let sending = tokio::spawn(story(a.endpoint.call(caller(50))));
    let incoming = b.incoming.recv().await.unwrap();
    let received = story(incoming.accept(answerer())).await;
    let sent = sending.await.unwrap();
    assert_eq!(sent.report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_its_code() {
    let (a, mut b) = pair(|_| {}).await;
    let sending = tokio::spawn(story(a.endpoint.call(caller(50))));
    b.incoming.recv().await.unwrap().reject(486, "Busy Here");
    let sent = sending.await.unwrap();
    assert_eq!((sent.report.end, sent.report.sip_status), (CallEnd::NotAnswered, Some(486)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_settles_is_refused() {
    let (a, mut b) = pair(|_| {}).await;
    let sending = tokio::spawn(story(a.endpoint.call(caller(50))));
    drop(b.incoming.recv().await.unwrap());
    assert_eq!(sending.await.unwrap().report.sip_status, Some(480));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused() {
    let (a, _) = pair(|_| {}).await;
    let mut config = Config::new("127.0.0.1:0".parse().unwrap());
    config.trunks.push(Trunk::new("peer", &a.endpoint.local_address().to_string()));
    config.media_ip = Some("127.0.0.1".parse().unwrap());
    // The stranger comes from 127.0.0.2, which is no trunk's address.
    config.sip = "127.0.0.2:0".parse().unwrap();
    let (stranger, _calls) = Endpoint::start(config).await.unwrap();
    let story = story(stranger.call(caller(50))).await;
    assert_eq!(story.report.sip_status, Some(403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_can_be_given_up_at_any_time() {
    let (a, mut b) = pair(|_| {}).await;
    // While it rings.
    let call = a.endpoint.call(caller(50));
    let incoming = b.incoming.recv().await.unwrap();
    call.give_up();
    assert_eq!(story(call).await.report.end, CallEnd::NotAnswered);
    drop(incoming);
    // In mid-fax.
    let call = a.endpoint.call(caller(2_000));
    let received = b.incoming.recv().await.unwrap().accept(answerer());
    let receiving = tokio::spawn(story(received));
    tokio::time::sleep(Duration::from_secs(3)).await;
    call.give_up();
    let sent = story(call).await;
    let cause = sent.report.outcome.unwrap().failure.unwrap().cause;
    assert_eq!(cause, Cause::Cancelled);
    assert!(receiving.await.unwrap().report.outcome.unwrap().failure.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_trunk_and_a_dead_peer_are_told() {
    let (a, b) = pair(|t| t.ring_timeout = Duration::from_secs(2)).await;
    let mut wrong = caller(50);
    wrong.trunk = "nobody".to_owned();
    assert_eq!(story(a.endpoint.call(wrong)).await.report.end, CallEnd::NoRoute);
    b.endpoint.stop().await;
    let sent = story(a.endpoint.call(caller(50))).await;
    assert_eq!(sent.report.end, CallEnd::NotAnswered);
}
