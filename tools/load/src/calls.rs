//! Calls made one after another in many places at once, and calls answered.

use crate::page::Page;
use fax_net::{Call, CallEvent, CallRequest, Endpoint, IncomingCall, T38Policy};
use fax_t30::{Capabilities, Role};
use fax_terminal::{Document, ReceivedPage};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// A call that was made.
pub(crate) struct Made {
    pub(crate) length: Duration,
    pub(crate) arrived: Result<(), String>,
}

/// What calls are to be made.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) pages: usize,
    pub(crate) ecm: bool,
    pub(crate) audio: bool,
    pub(crate) page: Arc<Page>,
    /// So many at a time.
    pub(crate) calls: usize,
    /// The first ones begin spread over this time, so that they are in all their phases at once.
    pub(crate) ramp: Duration,
    /// None begins after this.
    pub(crate) until: Instant,
}

/// Makes calls as planned.
pub(crate) async fn keep_up(endpoint: Endpoint, plan: Plan) -> Vec<Made> {
    let mut places = JoinSet::new();
    for place in 0..plan.calls {
        let (endpoint, plan) = (endpoint.clone(), plan.clone());
        places.spawn(async move {
            let share = place as f64 / plan.calls as f64;
            tokio::time::sleep(plan.ramp.mul_f64(share)).await;
            let mut made = Vec::new();
            while Instant::now() < plan.until {
                made.push(make(&endpoint, &plan.page, plan.pages, plan.ecm, plan.audio).await);
            }
            made
        });
    }
    places.join_all().await.into_iter().flatten().collect()
}

/// Makes one call and sees it through.
pub(crate) async fn make(endpoint: &Endpoint, page: &Page, pages: usize, ecm: bool, audio: bool) -> Made {
    let begin = Instant::now();
    let terminal = fax_terminal::Config {
        documents: vec![Document::new(vec![page.coded.clone(); pages])],
        ..terminal(Role::Calling, ecm)
    };
    let mut call = endpoint.call(CallRequest {
        trunk: "peer".to_owned(),
        to: "+4930456".to_owned(),
        from: "+4930123".to_owned(),
        from_name: String::new(),
        anonymous: false,
        headers: Vec::new(),
        terminal,
        t38: audio.then_some(T38Policy::NEVER),
        wait: Duration::ZERO,
    });
    let mut arrived = Err("the driver is gone".to_owned());
    while let Some(event) = call.next().await {
        if let CallEvent::Ended(report) = event {
            let good =
                report.outcome.as_ref().is_some_and(|o| o.failure.is_none() && o.pages_confirmed == pages);
            arrived = match (good, report.t38 == audio) {
                (true, false) => Ok(()),
                (true, true) => Err("delivered, but by the other carrier".to_owned()),
                (false, _) => Err(format!(
                    "sender: {:?} {:?} {}: {:?}",
                    report.end,
                    report.sip_status,
                    report.reason,
                    report.outcome.and_then(|o| o.failure)
                )),
            };
        }
    }
    Made { length: begin.elapsed(), arrived }
}

fn terminal(role: Role, ecm: bool) -> fax_terminal::Config {
    fax_terminal::Config {
        role,
        ident: "+4930123".to_owned(),
        capabilities: Capabilities { ecm, ..Capabilities::default() },
        ..fax_terminal::Config::default()
    }
}

/// Answers calls until the endpoint stops; what was wrong with what came.
pub(crate) async fn answer(
    mut incoming: mpsc::Receiver<IncomingCall>,
    page: Arc<Page>,
    ecm: bool,
) -> Vec<String> {
    let mut running = JoinSet::new();
    let mut faults = Vec::new();
    loop {
        tokio::select! {
            call = incoming.recv() => match call {
                Some(call) => {
                    let call = call.accept(terminal(Role::Called, ecm));
                    running.spawn(receive(call, page.clone()));
                }
                None => break,
            },
            Some(ended) = running.join_next(), if !running.is_empty() => {
                faults.extend(ended.map_err(|e| e.to_string()).and_then(|r| r).err());
            }
        }
    }
    for ended in running.join_all().await {
        faults.extend(ended.err());
    }
    faults
}

async fn receive(mut call: Call, page: Arc<Page>) -> Result<(), String> {
    while let Some(event) = call.next().await {
        match event {
            CallEvent::KeepPage(_) => call.page_kept(true),
            CallEvent::Page(received) => same(&received, &page)?,
            CallEvent::Ended(report) => {
                let failure = report.outcome.as_ref().and_then(|o| o.failure.as_ref());
                if let Some(failure) = failure {
                    return Err(format!("receiver: {failure:?}"));
                }
            }
            CallEvent::Ringing
            | CallEvent::Answered
            | CallEvent::T38
            | CallEvent::T38Refused { .. }
            | CallEvent::Audio
            | CallEvent::Fax(_)
            | CallEvent::Signal(_) => {}
        }
    }
    Ok(())
}

fn same(received: &ReceivedPage, page: &Page) -> Result<(), String> {
    if received.t6 == page.coded.t6 {
        Ok(())
    } else {
        Err(format!("the page differs: {} rows, {} bad", received.rows, received.bad_rows))
    }
}
