//! Faxes that go by G.711 because T.38 is refused, lost, silent or not wanted: real sockets, real time.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::meddler::{Meddler, Meddling};
use bench::{Story, page, pels, request, side, story_within, terminal};
use fax_net::{CallEnd, T38Policy, Trunk};
use fax_t30::Role;
use std::time::Duration;

/// A short page by V.17 takes a third of this.
const BOUND: Duration = Duration::from_secs(120);

/// A fax through the meddler, as the caller and the called saw it. It must be delivered, pel for pel.
async fn fax(meddling: Meddling, change: impl Fn(&mut Trunk) + Send) -> (Story, Story) {
    let meddler = Meddler::start(meddling).await;
    let a = side(meddler.a, meddler.front_a, &change).await;
    let mut b = side(meddler.b, meddler.front_b, &change).await;
    let (bitmap, coded) = page(120);
    let call = a.endpoint.call(request(terminal(Role::Calling, vec![coded], true)));
    let sending = tokio::spawn(story_within(call, BOUND));
    let incoming = tokio::time::timeout(BOUND, b.incoming.recv()).await.unwrap().unwrap();
    let called = story_within(incoming.accept(terminal(Role::Called, Vec::new(), true)), BOUND).await;
    let caller = sending.await.unwrap();
    for story in [&caller, &called] {
        let outcome = story.report.outcome.as_ref().expect("a fax");
        assert_eq!(outcome.failure, None, "{meddling:?}: {:?}", story.report);
        assert_eq!(story.report.end, CallEnd::Fax, "{meddling:?}");
    }
    assert_eq!((caller.confirmed.as_slice(), called.pages.len()), (&[0][..], 1), "{meddling:?}");
    assert!(pels(&called.pages[0]) == bitmap, "{meddling:?}: the page differs");
    (caller, called)
}

/// The called side's T.38 does not come about; the fax goes by audio.
async fn by_audio(meddling: Meddling, code: Option<u16>) {
    let (caller, called) = fax(meddling, |_| {}).await;
    assert!(!caller.report.t38 && !called.report.t38, "{meddling:?}");
    assert_eq!((called.refused, called.report.t38_refused), (code, code), "{meddling:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_refused_with_any_status_goes_on_by_audio() {
    let refused = |status: &'static str, code| by_audio(Meddling::Refuse(status), Some(code));
    tokio::join!(
        refused("488 Not Acceptable Here", 488),
        refused("415 Unsupported Media Type", 415),
        refused("606 Not Acceptable", 606),
        refused("501 Not Implemented", 501),
        refused("403 Forbidden", 403),
        refused("400 Bad Request", 400),
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_answered_without_an_image_goes_on_by_audio() {
    tokio::join!(by_audio(Meddling::PortZero, Some(200)), by_audio(Meddling::AudioInstead, Some(200)));
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_that_is_never_answered_does_not_stop_the_fax() {
    let (caller, called) = fax(Meddling::Lose, |_| {}).await;
    assert!(!caller.report.t38 && !called.report.t38);
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_refused_to_the_calling_side_goes_on_by_audio() {
    let (caller, called) = fax(Meddling::Refuse("488 Not Acceptable Here"), |trunk| {
        trunk.t38.offer_as_called = None;
        trunk.t38.offer_as_caller = Some(Duration::from_secs(1));
    })
    .await;
    assert_eq!((caller.refused, called.refused), (Some(488), None));
    assert!(!caller.report.t38 && !called.report.t38);
}

#[tokio::test(flavor = "multi_thread")]
async fn t38_that_is_agreed_and_deaf_goes_back_to_audio() {
    let (caller, called) = fax(Meddling::Deafen, |_| {}).await;
    for story in [caller, called] {
        assert!(story.t38 && story.audio && !story.report.t38);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_without_t38_and_either_law() {
    let never = |trunk: &mut Trunk| trunk.t38 = T38Policy::NEVER;
    for (caller, called) in
        <[_; 2]>::from(tokio::join!(fax(Meddling::MuLaw, never), fax(Meddling::Lose, never)))
    {
        assert!(!caller.t38 && !called.t38);
        assert_eq!((caller.refused, called.refused), (None, None));
    }
}
