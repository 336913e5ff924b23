//! Calls that come in: asked of the switch, answered with a fax terminal, handed over when they end.

use super::NetDialler;
use super::called;
use super::ladder::LiveLadder;
use super::spool::{Spool, cut_off};
use fax_base::redact::Redacted;
use fax_net::{CallEvent, IncomingCall, OnwardCaller, OnwardTarget};
use fax_store::model::AccountId;
use fax_switch::policy::TollRefusal;
use fax_switch::routing::{Onward, Source};
use fax_switch::{Decision, ReceivedFax, Service, TollPass};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinSet;

/// Lines of the ladder kept with a reception.
const LADDER: usize = 2_000;

/// A received fax that cannot be stored is tried again: it exists nowhere else.
const STORE_AGAIN: Duration = Duration::from_secs(5);

/// Answers calls until the driver is gone. From the stop on new ones are refused, and `quiet` is told when
/// those that run have ended and are stored.
pub(crate) async fn answer_calls(
    service: Service,
    spool: Spool,
    colour: Arc<AtomicBool>,
    dialler: Arc<NetDialler>,
    mut calls: mpsc::Receiver<IncomingCall>,
    mut stop: watch::Receiver<bool>,
    quiet: oneshot::Sender<()>,
) {
    let mut running = JoinSet::new();
    let mut stopping = false;
    let mut quiet = Some(quiet);
    loop {
        if stopping
            && running.is_empty()
            && let Some(quiet) = quiet.take()
        {
            // Nobody may be waiting any more.
            let _ = quiet.send(());
        }
        tokio::select! {
            call = calls.recv() => match call {
                Some(call) if stopping => call.reject(503, "Service Unavailable"),
                Some(call) => {
                    running.spawn(answer(service.clone(), spool.clone(), colour.clone(), dialler.clone(), call));
                }
                None => break,
            },
            Some(_) = running.join_next(), if !running.is_empty() => {}
            () = told(&mut stop), if !stopping => stopping = true,
        }
    }
    while running.join_next().await.is_some() {}
}

/// Comes back at the stop, or when nobody can tell it any more.
async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|s| *s).await;
}

/// Who calls, where the call is passed on.
struct Passed {
    account: Option<AccountId>,
    from: String,
    from_name: String,
    /// What the budgets gave it.
    pass: Option<TollPass>,
}

async fn answer(
    service: Service,
    spool: Spool,
    colour: Arc<AtomicBool>,
    dialler: Arc<NetDialler>,
    incoming: IncomingCall,
) {
    let source = match &incoming.terminal {
        Some(user) => Source::Terminal(user.clone()),
        None => Source::Trunk(incoming.trunk.clone()),
    };
    let mut asked = fax_switch::IncomingCall {
        to_number: incoming.to.clone(),
        from_number: incoming.from.clone(),
        from_name: incoming.from_name.clone(),
        diverted_from: incoming.diverted_from.clone(),
        call_id: incoming.call_id.clone(),
        remote: incoming.remote.to_string(),
        source: Some(source),
        headers: incoming.headers.clone(),
    };
    let routed = service.route(&asked);
    tracing::info!(call_id = asked.call_id, rule = routed.rule, "routed");
    let (account, faxbox, ident) = match routed.decision {
        Decision::Receive { account, faxbox, ident } => (account, faxbox, ident),
        Decision::Onward { targets } => {
            let pass = match service.admit_onward(&asked, &targets, routed.rule) {
                Ok(pass) => pass,
                Err(refusal) => return refuse(&service, incoming, &refusal),
            };
            let (account, from, from_name) = (routed.account, routed.from_number, routed.from_name);
            return pass_on(incoming, targets, Passed { account, from, from_name, pass }, &dialler).await;
        }
        Decision::Reject { code, reason } => return incoming.reject(code, &reason),
    };
    asked.from_number = routed.from_number;
    let audio_only = service.directory().faxbox(&faxbox).is_some_and(|f| f.audio_only);
    let terminal = called(ident, colour.load(Ordering::Relaxed));
    let mut call = if audio_only { incoming.accept_audio_only(terminal) } else { incoming.accept(terminal) };
    let receiving = service.begin_reception(&asked, &account, &faxbox);
    let mut kept = spool.begin(receiving.id(), &asked, &account, &faxbox);
    let mut pages = Vec::new();
    let mut trace = Vec::new();
    let mut t38 = false;
    let mut ladder = LiveLadder::new(fax_t30::Role::Called, 0);
    let report = loop {
        let event = call.next().await;
        if let Some(event) = event.as_ref().filter(|_| trace.len() < LADDER) {
            trace.extend(ladder.lines(event));
        }
        match event {
            Some(CallEvent::KeepPage(page)) => call.page_kept(kept.keep(&page, t38).await),
            Some(CallEvent::Page(page)) => {
                pages.push(page);
                receiving.page(u32::try_from(pages.len()).unwrap_or(u32::MAX));
            }
            Some(event @ (CallEvent::T38 | CallEvent::T38Refused { .. } | CallEvent::Audio)) => {
                t38 = matches!(event, CallEvent::T38) || (t38 && !matches!(event, CallEvent::Audio));
            }
            Some(CallEvent::Fax(fax_t30::Event::Negotiated { modulation, .. })) => {
                receiving.negotiated(modulation.bit_rate());
            }
            Some(CallEvent::Ringing | CallEvent::Answered | CallEvent::Fax(_) | CallEvent::Signal(_)) => {}
            Some(CallEvent::Ended(report)) => break report,
            // The driver is gone: what was kept is filed at the next start.
            None => return,
        }
    };
    if let Some(recording) = &report.trace {
        tracing::info!(call_id = report.call_id, %recording, "the call was recorded");
    }
    // A call without a fax (a wrong number, a scanner) is the log's business, not a mail's.
    let outcome = match report.outcome {
        Some(outcome) => outcome,
        None if pages.is_empty() => {
            tracing::info!(end = ?report.end, "a call came without a fax");
            return;
        }
        // Our own machines failed, but what was confirmed is a fax.
        None => cut_off(pages.len()),
    };
    let fax = ReceivedFax {
        id: receiving.id().clone(),
        call: asked,
        account,
        faxbox,
        pages,
        outcome,
        t38: report.t38,
        duration: report.duration,
        trace,
        interrupted: false,
    };
    while let Err(error) = service.received(fax.clone()).await {
        tracing::error!(%error, "a received fax cannot be stored; trying again");
        tokio::time::sleep(STORE_AGAIN).await;
    }
    kept.done().await;
    drop(receiving);
}

/// A call that may not be passed on: for good with 403, or until a budget has room with 503 (RFC 3261 §21.4.4, §21.5.4).
fn refuse(service: &Service, incoming: IncomingCall, refusal: &TollRefusal) {
    let source = incoming.terminal.as_ref().map_or(&incoming.trunk, |user| user);
    let to = Redacted(&incoming.to);
    tracing::warn!(from = source, %to, call_id = incoming.call_id, why = %refusal, "a call is not passed on");
    match refusal {
        TollRefusal::Barred { .. } => incoming.reject(403, "Destination Not Allowed"),
        TollRefusal::Over { free_at, .. } => {
            let wait = free_at.since(service.now()).max(Duration::from_secs(1));
            incoming.reject_for_now("Budget Used Up", wait);
        }
    }
}

/// Whether a call that this target answered costs nothing: it never left by a trunk.
fn is_free(target: &str) -> bool {
    target.starts_with("terminal:")
}

/// Passes a call on and leaves a line of how it ended.
async fn pass_on(incoming: IncomingCall, targets: Vec<Onward>, routed: Passed, dialler: &NetDialler) {
    let names: Vec<String> = targets
        .iter()
        .map(|target| match target {
            Onward::Trunk { name, .. } => format!("trunk:{name}"),
            Onward::Terminal { user } => format!("terminal:{user}"),
        })
        .collect();
    let Passed { account, from, from_name, pass } = routed;
    let mut unshown = false;
    let mut shown = Vec::new();
    for (target, name) in targets.into_iter().zip(names) {
        let target = match target {
            Onward::Terminal { user } => OnwardTarget::Terminal { user },
            Onward::Trunk { name: trunk, number } => {
                let Some((caller, anonymous)) = dialler.caller_onward(account.as_ref(), &trunk, &from) else {
                    unshown = true;
                    continue;
                };
                let caller = Some(OnwardCaller { number: caller, anonymous });
                OnwardTarget::Trunk { name: trunk, number, caller }
            }
        };
        shown.push((target, name));
    }
    if shown.is_empty() && unshown {
        tracing::warn!(from = %Redacted(&from), "no trunk takes this caller's number; see caller_ids");
        return incoming.reject(403, "Caller Not Allowed");
    }
    let (targets, names): (Vec<_>, Vec<String>) = shown.into_iter().unzip();
    let source = incoming.terminal.as_ref().map_or(&incoming.trunk, |user| user).clone();
    let call = incoming.connect(fax_net::Onward { targets, from, from_name });
    let Some(report) = call.ended().await else {
        return;
    };
    let answered_by = names.get(report.target).map_or("", String::as_str);
    if let Some(pass) = pass.filter(|_| report.answered && !is_free(answered_by)) {
        pass.end(report.talked, answered_by.strip_prefix("trunk:"));
    }
    let [t38_a, t38_b] = report.t38;
    tracing::info!(
        from = source,
        to = answered_by,
        call_id_a = report.call_id_a,
        call_id_b = report.call_id_b,
        answered = report.answered,
        ended_by = ?report.ended_by,
        sip_status = report.sip_status,
        q850 = report.q850,
        reason = report.reason,
        t38_a,
        t38_b,
        duration_s = report.duration.as_secs(),
        talked_s = report.talked.as_secs(),
        "a call was passed on"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_of_ours_answers_costs_nothing() {
        assert!(is_free("terminal:ata"));
        // Where it is not known who answered, the cheapest trunk's price counts.
        assert!(!is_free("trunk:carrier") && !is_free(""));
    }
}
