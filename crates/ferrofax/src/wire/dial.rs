//! The switch's calls, made by the network driver: by the trunks that routing names, one after the other where one
//! fails before the call is answered.

use super::end;
use super::guard_state;
use super::ladder::LiveLadder;
use super::observe::Watch;
use super::trunk_state;
use crate::config::Compressions;
use crate::heading::{Heading, headed};
use async_trait::async_trait;
use fax_base::line::Modulation;
use fax_base::page::Coding;
use fax_net::{CallEnd, CallReport, CallRequest, Endpoint, T38Policy};
use fax_store::model::{Ability, AccountId};
use fax_switch::policy::{self, Course, Plan, TrunkRouting};
use fax_switch::port::{CallEvent, CallOrder, CallResult, Dialler, MediaTimes, TrunkStatus};
use fax_t30 as t30;
use fax_terminal::CodedPage;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

/// How long a call waits for a line where every trunk is full.
const WAIT: Duration = Duration::from_secs(20);

/// How long a job waits before it tries full trunks again.
const FULL: Duration = Duration::from_secs(5);

/// By which trunks calls are made, until there is another configuration.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    pub(crate) routing: TrunkRouting,
    /// Who offers T.38 by each trunk, by name.
    pub(crate) t38_policies: HashMap<String, T38Policy>,
    /// The codings of each trunk that does not use all, by name.
    pub(crate) compressions: HashMap<String, Compressions>,
}

/// Makes the switch's calls through trunks.
pub(crate) struct NetDialler {
    endpoint: Endpoint,
    ways: RwLock<Arc<Ways>>,
}

/// What one trunk made of a call.
enum Tried {
    /// The call was answered, or no trunk would do better.
    Over(CallResult),
    /// The trunk failed; the next may do.
    Failed(CallResult),
    /// It made no call; when it may, if that is known.
    NotMade(CallEnd, String, Option<Duration>),
}

/// What stays the same whatever the trunk.
struct Errand {
    order: CallOrder,
    documents: Vec<fax_terminal::Document>,
}

#[async_trait]
impl Dialler for NetDialler {
    async fn call(&self, order: CallOrder, events: mpsc::Sender<CallEvent>) -> CallResult {
        let ways = self.ways.read().unwrap_or_else(PoisonError::into_inner).clone();
        if ways.routing.trunks.is_empty() {
            return failed("call.failed", "No trunk is configured; add a [[trunk]] section.");
        }
        let lot = |most| rand::random_range(0..=most);
        let mut trunks = Vec::new();
        let mut unshown = false;
        let written = [order.to_e164.as_str(), order.to_number.as_str()];
        for trunk in ways.routing.order(&order.account, &written, lot) {
            match ways.routing.caller(&order.account, trunk, &order.from_number) {
                Some((from, anonymous)) => trunks.push((trunk.name.clone(), from, anonymous)),
                None => unshown = true,
            }
        }
        if trunks.is_empty() {
            let text = if unshown {
                "No trunk takes this caller's number; see caller_ids of the account and of the trunks."
            } else {
                "No trunk is used for this number; see prefixes of the trunks."
            };
            return failed("l.notrunk", text);
        }
        let heading = Heading::new(&order.header, &order.ident, &order.timezone);
        let document = |pages: &[Arc<CodedPage>], first: usize, all: usize| {
            let headless = order.header.is_empty();
            fax_terminal::Document::new(match headless {
                true => pages.to_vec(),
                false => headed(pages, &heading, first, all),
            })
        };
        let further = order.further.iter().map(|f| document(&f.pages, f.first_page, f.pages_in_all));
        let documents = core::iter::once(document(&order.pages, order.first_page, order.pages_in_all))
            .chain(further)
            .collect();
        let errand = Errand { order, documents };
        self.by_turns(&ways, &errand, &trunks, &events).await
    }

    async fn trunks(&self) -> Vec<TrunkStatus> {
        self.endpoint.trunks().await.iter().map(trunk_state::status).collect()
    }

    fn protection(&self) -> serde_json::Map<String, serde_json::Value> {
        guard_state::status(&self.endpoint.protection())
    }

    fn lift_ban(&self, source: IpAddr) -> bool {
        self.endpoint.lift_ban(source)
    }

    fn is_listening(&self) -> bool {
        !self.endpoint.local_addresses().is_empty()
    }

    fn media_times(&self) -> MediaTimes {
        let times = self.endpoint.punctuality();
        let turns = times.turns();
        let later = |ms: usize| turns.saturating_sub(times.within(ms));
        let late = [(5, later(5)), (10, later(10)), (20, later(20)), (50, later(50)), (100, later(100))];
        MediaTimes { turns, late: late.to_vec() }
    }
}

fn failed(class: &str, text: &str) -> CallResult {
    CallResult { class: class.to_owned(), text: Some(text.to_owned()), ..CallResult::default() }
}

impl NetDialler {
    pub(crate) fn new(endpoint: Endpoint, ways: Ways) -> Self {
        NetDialler { endpoint, ways: RwLock::new(Arc::new(ways)) }
    }

    /// Calls that are begun from now on go by these ways.
    pub(crate) fn change(&self, ways: Ways) {
        *self.ways.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ways);
    }

    /// The caller that a trunk is shown in a call that is passed on to it, and whether that is hidden from the called side;
    /// `None`: it takes none of what may be shown.
    pub(crate) fn caller_onward(
        &self,
        account: Option<&AccountId>,
        trunk: &str,
        number: &str,
    ) -> Option<(String, bool)> {
        let ways = self.ways.read().unwrap_or_else(PoisonError::into_inner).clone();
        ways.routing.caller_onward(account, trunk, number)
    }

    /// Tries the trunks in their order: those that are full or down are passed over, then the first full one is waited for.
    async fn by_turns(
        &self,
        ways: &Ways,
        errand: &Errand,
        trunks: &[(String, String, bool)],
        events: &mpsc::Sender<CallEvent>,
    ) -> CallResult {
        let mut last: Option<CallResult> = None;
        let mut words = Vec::new();
        let mut full = None;
        let mut soonest: Option<Duration> = None;
        let turns = trunks.iter().map(Some).chain([None]);
        for turn in turns {
            // At the end the first full one is waited for, unless another was tried and failed.
            let waits = turn.is_none();
            let Some(trunk) = turn.or(full.filter(|_| last.is_none())) else { break };
            if *errand.order.cancel.borrow() {
                break;
            }
            let wait = if waits { WAIT } else { Duration::ZERO };
            match self.by_trunk(ways, errand, trunk, wait, events).await {
                Tried::Over(result) if words.is_empty() || policy::is_success(&result.class) => {
                    return result;
                }
                Tried::Over(result) => return told(result, &words),
                Tried::Failed(result) => {
                    let text = result.text.clone().unwrap_or_default();
                    words.push(format!("{}: {text}", trunk.0));
                    let line = format!("{:>12} trunk {} failed before the call was answered", "", trunk.0);
                    let _ = events.send(CallEvent::Ladder(line)).await;
                    last = Some(result);
                }
                Tried::NotMade(end, why, again) => {
                    if end == CallEnd::TrunkFull && full.is_none() {
                        full = Some(trunk);
                    }
                    let again = again.unwrap_or(FULL);
                    soonest = Some(soonest.map_or(again, |s| s.min(again)));
                    if !waits {
                        let _ = events.send(CallEvent::Ladder(format!("{:>12} {why}", ""))).await;
                        words.push(why);
                    }
                }
            }
        }
        match (last, soonest) {
            (Some(result), _) => told(result, &words),
            (None, Some(wait)) => {
                CallResult { not_made: Some(wait), ..failed("l.notrunk", &words.join("; ")) }
            }
            (None, None) => failed("call.cancelled", "The fax was called off."),
        }
    }

    /// Makes the call by one trunk.
    async fn by_trunk(
        &self,
        ways: &Ways,
        errand: &Errand,
        (trunk, from, anonymous): &(String, String, bool),
        wait: Duration,
        events: &mpsc::Sender<CallEvent>,
    ) -> Tried {
        let order = &errand.order;
        let first = order.first_page;
        let plan = order.plan(trunk);
        let mut words: Vec<String> = plan.words().map(str::to_owned).collect();
        let mut ladder = LiveLadder::new(t30::Role::Calling, first);
        let terminal = fax_terminal::Config {
            role: t30::Role::Calling,
            ident: order.ident.clone(),
            capabilities: capabilities(&plan, ways.compressions.get(trunk)),
            documents: errand.documents.clone(),
            sub_address: order.sub_address.clone(),
            ..fax_terminal::Config::default()
        };
        let request = CallRequest {
            from_name: order.from_name.clone(),
            t38: t38(ways, trunk, &plan),
            anonymous: *anonymous,
            wait,
            ..CallRequest::new(trunk, &order.to_number, from, terminal)
        };
        let mut call = self.endpoint.call(request);
        let mut cancel = order.cancel.clone();
        let mut given_up = false;
        let mut watch = Watch::default();
        let report = loop {
            let event = tokio::select! {
                event = call.next() => event,
                asked = asked_to_stop(&mut cancel), if !given_up => {
                    given_up = true;
                    if asked {
                        call.give_up();
                    }
                    continue;
                }
            };
            let made = !matches!(&event, Some(fax_net::CallEvent::Ended(report)) if is_not_made(report.end));
            for line in words.drain(..).filter(|_| made) {
                let _ = events.send(CallEvent::Ladder(format!("{:>12} {line}", ""))).await;
            }
            for line in event.as_ref().filter(|_| made).map(|event| ladder.lines(event)).unwrap_or_default() {
                let _ = events.send(CallEvent::Ladder(line)).await;
            }
            match event {
                Some(fax_net::CallEvent::Ended(report)) => break *report,
                Some(event) => {
                    watch.see(&event);
                    for told in tell(event, first) {
                        // The switch is gone only when everything stops.
                        let _ = events.send(told).await;
                    }
                }
                None => return Tried::Over(failed("call.failed", "ferrofax stopped during the call.")),
            }
        };
        if is_not_made(report.end) {
            return Tried::NotMade(report.end, report.reason, report.retry_after);
        }
        let observed = watch.end(&report);
        let course = end::course(&report);
        let result = CallResult { plan: Some(plan), observed, ..result(report, first, trunk.clone()) };
        match course {
            Course::NextTrunk if !*order.cancel.borrow() => Tried::Failed(result),
            Course::NextTrunk | Course::GiveUp | Course::LaterHere => Tried::Over(result),
        }
    }
}

/// Whether the trunk did not even try.
fn is_not_made(end: CallEnd) -> bool {
    matches!(end, CallEnd::TrunkFull | CallEnd::TrunkDown)
}

/// A result with what the other trunks said.
fn told(result: CallResult, words: &[String]) -> CallResult {
    if words.len() < 2 {
        return result;
    }
    CallResult { text: Some(words.join("; ")), ..result }
}

/// Comes back when the call is to be given up (true), or when nobody can ask for that any more.
async fn asked_to_stop(cancel: &mut watch::Receiver<bool>) -> bool {
    cancel.wait_for(|c| *c).await.is_ok()
}

/// Who offers T.38 in this call, where that is not as the trunk says.
fn t38(ways: &Ways, trunk: &str, plan: &Plan) -> Option<T38Policy> {
    match plan.step(Ability::T38) {
        0 => None,
        1 => {
            let policy = ways.t38_policies.get(trunk).copied().unwrap_or_default();
            Some(T38Policy { offer_as_called: None, offer_as_caller: None, ..policy })
        }
        _ => Some(T38Policy::NEVER),
    }
}

/// What may be used in this call.
fn capabilities(plan: &Plan, compressions: Option<&Compressions>) -> t30::Capabilities {
    let mut capabilities = t30::Capabilities::default();
    if let Some(wanted) = compressions {
        capabilities.codings.retain(|c| c.tones().is_some() || wanted.codings.contains(c));
        capabilities.prefer_t85 = wanted.prefer_t85;
    }
    if let Some(most) = plan.max_bit_rate() {
        capabilities.max_rate = most;
    }
    if !plan.v17() {
        capabilities.modulations.retain(|m| m.recommendation() != "V.17");
    }
    capabilities.ecm &= plan.step(Ability::Ecm) == 0;
    let step = plan.step(Ability::Coding);
    capabilities.codings.retain(|coding| match coding {
        Coding::Mh => true,
        Coding::Mr => step < 3,
        Coding::Mmr => step < 2,
        Coding::T85 => step < 1,
        // Pages in tones go without them where there is no error correction.
        Coding::T81(_) => true,
    });
    capabilities
}

/// A driver's event in the switch's words; pages are counted in the whole document there.
fn tell(event: fax_net::CallEvent, first: usize) -> Vec<CallEvent> {
    let mut told = Vec::new();
    match event {
        fax_net::CallEvent::Ringing => told.push(CallEvent::Ringing),
        fax_net::CallEvent::Answered => told.push(CallEvent::Answered),
        fax_net::CallEvent::T38 => told.push(CallEvent::T38),
        fax_net::CallEvent::T38Refused { .. }
        | fax_net::CallEvent::Audio
        | fax_net::CallEvent::Signal(_)
        | fax_net::CallEvent::KeepPage(_)
        | fax_net::CallEvent::Page(_)
        | fax_net::CallEvent::Ended(_) => {}
        fax_net::CallEvent::Fax(event) => match event {
            t30::Event::Negotiated { format, modulation } => told.push(CallEvent::Negotiated {
                bit_rate: modulation.bit_rate(),
                modem: modulation.recommendation().to_owned(),
                coding: format.coding.to_string(),
                ecm: format.ecm,
            }),
            t30::Event::RemoteIdent(ident) => told.push(CallEvent::RemoteIdent(ident)),
            t30::Event::PageSending { index, .. } => {
                told.push(CallEvent::PageSending { page: first + index });
            }
            t30::Event::PageSent { index } => told.push(CallEvent::PageSent { page: first + index }),
            t30::Event::PageConfirmed { index, poor } => {
                told.push(CallEvent::PageConfirmed { page: first + index, poor });
            }
            t30::Event::Resend { index, frames } => {
                told.push(CallEvent::Resend { page: first + index, frames });
            }
            t30::Event::Phase(_)
            | t30::Event::FrameSent { .. }
            | t30::Event::FrameReceived { .. }
            | t30::Event::FrameBad
            | t30::Event::FrameRepaired { .. }
            | t30::Event::SubAddress(_)
            | t30::Event::Training { .. }
            | t30::Event::TimerExpired(_) => {}
        },
    }
    told
}

fn result(report: CallReport, first: usize, trunk: String) -> CallResult {
    let mut result = CallResult {
        class: end::class(&report).to_owned(),
        sip_status: report.sip_status,
        q850: report.q850,
        t38: report.t38,
        trunk: Some(trunk),
        call_id: Some(report.call_id.clone()).filter(|c| !c.is_empty()),
        duration: report.duration,
        recording: report.trace.clone(),
        ..CallResult::default()
    };
    if !policy::is_success(&result.class) {
        result.text = Some(end::sentence(&report));
    }
    if let Some(outcome) = report.outcome {
        result.pages_confirmed = u32::try_from(outcome.pages_confirmed).unwrap_or(u32::MAX);
        result.uncertain_page = outcome.page_uncertain.map(|p| first + p);
        result.session_told = true;
        result.bit_rate = outcome.modulation.map(Modulation::bit_rate);
        result.modem = outcome.modulation.map(|m| m.recommendation().to_owned());
        result.coding = outcome.format.map(|f| f.coding.to_string());
        result.resolution = outcome.format.map(|f| f.resolution.to_string());
        result.ecm = outcome.format.is_some_and(|f| f.ecm);
        result.remote_ident = outcome.remote_ident;
        result.resends = outcome.resends;
    }
    result
}
