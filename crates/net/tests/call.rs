//! Calls between two drivers over loopback, in real time.
#![allow(clippy::unwrap_used, clippy::panic)]

use fax_base::page::{Coding, PageShape, Resolution, Width};
use fax_image::{Bitmap, EncodeOptions, encode};
use fax_net::{
    Call, CallEnd, CallEvent, CallReport, CallRequest, Config, Endpoint, IncomingCall, T38Policy, Trunk,
};
use fax_t30 as t30;
use fax_terminal::{CodedPage, ReceivedPage};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc::Receiver;

struct Side {
    endpoint: Endpoint,
    incoming: Receiver<IncomingCall>,
}

/// Two endpoints that are each other's trunk `peer`.
async fn pair(change: impl Fn(&mut Trunk)) -> (Side, Side) {
    let free = || std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (a, b) = (free(), free());
    let side = async |own: SocketAddr, other: SocketAddr| {
        let mut config = Config::new(own);
        config.workers = 1;
        let mut trunk = Trunk::new("peer", &other.to_string());
        change(&mut trunk);
        config.trunks.push(trunk);
        let (endpoint, incoming) = Endpoint::start(config).await.unwrap();
        Side { endpoint, incoming }
    };
    (side(a, b).await, side(b, a).await)
}

fn page(rows: u32) -> (Bitmap, Arc<CodedPage>) {
    let mut bitmap = Bitmap::new(1728);
    for y in 0..rows {
        let row: Vec<u8> = (0..216u32).map(|x| if (x / 9 + y / 7) % 5 == 0 { 0xF3 } else { 0 }).collect();
        bitmap.push_row(&row);
    }
    let t6 = encode(&bitmap, Coding::Mmr, &EncodeOptions::default()).into();
    let shape = PageShape { width: Width::A4, resolution: Resolution::Fine, rows };
    (bitmap, Arc::new(CodedPage { shape, t6 }))
}

fn terminal(role: t30::Role, pages: Vec<Arc<CodedPage>>) -> fax_terminal::Config {
    let capabilities = t30::Capabilities::default();
    fax_terminal::Config { role, ident: "+4930123".to_owned(), capabilities, pages, sub_address: None }
}

fn request(pages: Vec<Arc<CodedPage>>) -> CallRequest {
    CallRequest {
        trunk: "peer".to_owned(),
        to: "+4930456".to_owned(),
        from: "+4930123".to_owned(),
        from_name: "Clinic \"A\"".to_owned(),
        headers: Vec::new(),
        terminal: terminal(t30::Role::Calling, pages),
    }
}

struct Story {
    report: Box<CallReport>,
    pages: Vec<ReceivedPage>,
    confirmed: Vec<usize>,
    t38: bool,
}

async fn story(mut call: Call) -> Story {
    let (mut pages, mut confirmed, mut t38) = (Vec::new(), Vec::new(), false);
    loop {
        let event = tokio::time::timeout(Duration::from_secs(120), call.next()).await;
        match event.expect("the call hangs").expect("the driver is gone") {
            CallEvent::Page(page) => pages.push(page),
            CallEvent::Fax(t30::Event::PageConfirmed { index, .. }) => confirmed.push(index),
            CallEvent::T38 => t38 = true,
            CallEvent::Ended(report) => {
                return Story { report, pages, confirmed, t38 };
            }
            CallEvent::Ringing | CallEvent::Answered | CallEvent::Fax(_) => {}
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_fax_goes_by_t38_and_is_the_same() {
    let (a, mut b) = pair(|_| {}).await;
    let (bitmap, coded) = page(200);
    let sending = tokio::spawn(story(a.endpoint.call(request(vec![coded.clone(), coded]))));
    let incoming = b.incoming.recv().await.unwrap();
    assert_eq!((incoming.to.as_str(), incoming.from.as_str()), ("+4930456", "+4930123"));
    assert_eq!(incoming.from_name, "Clinic A");
    let received = story(incoming.accept(terminal(t30::Role::Called, Vec::new()))).await;
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
        let mut decoder = fax_image::Decoder::new(Coding::Mmr, 1728, fax_image::Limits::default());
        decoder.push(&page.t6);
        assert!(decoder.finish().bitmap == bitmap, "the page differs");
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
    let sending = tokio::spawn(story(a.endpoint.call(request(vec![page(50).1]))));
    let incoming = b.incoming.recv().await.unwrap();
    let received = story(incoming.accept(terminal(t30::Role::Called, Vec::new()))).await;
    let sent = sending.await.unwrap();
    assert_eq!(sent.report.outcome.unwrap().failure, None);
    assert_eq!(received.pages.len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn refused_t38_ends_with_its_cause() {
    let (a, mut b) = pair(|t| {
        t.t38 = T38Policy {
            accept: false,
            offer_as_caller: None,
            offer_as_called: Some(Duration::from_millis(200)),
        };
    })
    .await;
    let sending = tokio::spawn(story(a.endpoint.call(request(vec![page(50).1]))));
    let incoming = b.incoming.recv().await.unwrap();
    let received = story(incoming.accept(terminal(t30::Role::Called, Vec::new()))).await;
    assert_eq!(received.report.end, CallEnd::T38Refused);
    assert_eq!(received.report.sip_status, Some(488));
    let sent = sending.await.unwrap();
    assert!(sent.confirmed.is_empty() && !sent.t38);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_is_told_with_its_code() {
    let (a, mut b) = pair(|_| {}).await;
    let sending = tokio::spawn(story(a.endpoint.call(request(vec![page(50).1]))));
    b.incoming.recv().await.unwrap().reject(486, "Busy Here");
    let sent = sending.await.unwrap();
    assert_eq!((sent.report.end, sent.report.sip_status), (CallEnd::NotAnswered, Some(486)));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_that_nobody_settles_is_refused() {
    let (a, mut b) = pair(|_| {}).await;
    let sending = tokio::spawn(story(a.endpoint.call(request(vec![page(50).1]))));
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
    let story = story(stranger.call(request(vec![page(50).1]))).await;
    assert_eq!(story.report.sip_status, Some(403));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_can_be_given_up_at_any_time() {
    let (a, mut b) = pair(|_| {}).await;
    // While it rings.
    let call = a.endpoint.call(request(vec![page(50).1]));
    let incoming = b.incoming.recv().await.unwrap();
    call.give_up();
    assert_eq!(story(call).await.report.end, CallEnd::NotAnswered);
    drop(incoming);
    // In mid-fax.
    let call = a.endpoint.call(request(vec![page(2_000).1]));
    let received = b.incoming.recv().await.unwrap().accept(terminal(t30::Role::Called, Vec::new()));
    let receiving = tokio::spawn(story(received));
    tokio::time::sleep(Duration::from_secs(3)).await;
    call.give_up();
    let sent = story(call).await;
    let cause = sent.report.outcome.unwrap().failure.unwrap().cause;
    assert_eq!(cause, t30::Cause::Cancelled);
    assert!(receiving.await.unwrap().report.outcome.unwrap().failure.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_trunk_and_a_dead_peer_are_told() {
    let (a, b) = pair(|t| t.ring_timeout = Duration::from_secs(2)).await;
    let mut wrong = request(vec![page(50).1]);
    wrong.trunk = "nobody".to_owned();
    assert_eq!(story(a.endpoint.call(wrong)).await.report.end, CallEnd::NoRoute);
    b.endpoint.stop().await;
    let sent = story(a.endpoint.call(request(vec![page(50).1]))).await;
    assert_eq!(sent.report.end, CallEnd::NotAnswered);
}
