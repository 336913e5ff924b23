//! The switch's calls, made by the network driver.

use super::end;
use super::ladder::LiveLadder;
use super::observe::Watch;
use crate::config::Compressions;
use crate::heading::{Heading, headed};
use async_trait::async_trait;
use fax_base::line::Modulation;
use fax_base::page::Coding;
use fax_net::{CallReport, CallRequest, Endpoint, T38Policy};
use fax_store::model::Ability;
use fax_switch::policy::{self, Plan};
use fax_switch::port::{CallEvent, CallOrder, CallResult, Dialler};
use fax_t30 as t30;
use std::collections::HashMap;
use tokio::sync::{mpsc, watch};

/// Makes the switch's calls through trunks.
pub(crate) struct NetDialler {
    pub(crate) endpoint: Endpoint,
    /// The trunk of each account, by account id.
    pub(crate) routes: HashMap<String, String>,
    /// Who offers T.38 by each trunk, by name.
    pub(crate) t38_policies: HashMap<String, T38Policy>,
    /// The codings of each trunk that does not use all, by name.
    pub(crate) compressions: HashMap<String, Compressions>,
    /// The trunk of all others.
    pub(crate) default_trunk: Option<String>,
}

#[async_trait]
impl Dialler for NetDialler {
    async fn call(&self, order: CallOrder, events: mpsc::Sender<CallEvent>) -> CallResult {
        let trunk = self.routes.get(order.account.as_str()).or(self.default_trunk.as_ref());
        let Some(trunk) = trunk.cloned() else {
            return CallResult {
                class: "call.failed".to_owned(),
                text: Some("No trunk is configured; add a [[trunk]] section.".to_owned()),
                ..CallResult::default()
            };
        };
        let first = order.first_page;
        let plan = order.plan(&trunk);
        for words in plan.words() {
            let _ = events.send(CallEvent::Ladder(format!("{:>12} {words}", ""))).await;
        }
        let pages = if order.header.is_empty() {
            order.pages
        } else {
            let heading = Heading::new(&order.header, &order.ident, &order.timezone);
            headed(&order.pages, &heading, first, order.pages_in_all)
        };
        let mut ladder = LiveLadder::new(t30::Role::Calling, first);
        let request = CallRequest {
            trunk: trunk.clone(),
            to: order.to_number,
            from: order.from_number,
            from_name: order.from_name,
            headers: Vec::new(),
            terminal: fax_terminal::Config {
                role: t30::Role::Calling,
                ident: order.ident,
                capabilities: capabilities(&plan, self.compressions.get(&trunk)),
                documents: vec![fax_terminal::Document::new(pages)],
                sub_address: order.sub_address,
                ..fax_terminal::Config::default()
            },
            t38: self.t38(&trunk, &plan),
        };
        let mut call = self.endpoint.call(request);
        let mut cancel = order.cancel;
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
            for line in event.as_ref().map(|event| ladder.lines(event)).unwrap_or_default() {
                let _ = events.send(CallEvent::Ladder(line)).await;
            }
            match event {
                Some(fax_net::CallEvent::Ended(report)) => break Some(*report),
                Some(event) => {
                    watch.see(&event);
                    for told in tell(event, first) {
                        // The switch is gone only when everything stops.
                        let _ = events.send(told).await;
                    }
                }
                None => break None,
            }
        };
        report.map_or_else(
            || CallResult {
                class: "call.failed".to_owned(),
                text: Some("ferrofax stopped during the call.".to_owned()),
                ..CallResult::default()
            },
            |report| {
                let observed = watch.end(&report);
                CallResult { plan: Some(plan), observed, ..result(report, first, trunk) }
            },
        )
    }
}

/// Comes back when the call is to be given up (true), or when nobody can ask for that any more.
async fn asked_to_stop(cancel: &mut watch::Receiver<bool>) -> bool {
    cancel.wait_for(|c| *c).await.is_ok()
}

impl NetDialler {
    /// Who offers T.38 in this call, where that is not as the trunk says.
    fn t38(&self, trunk: &str, plan: &Plan) -> Option<T38Policy> {
        match plan.step(Ability::T38) {
            0 => None,
            1 => {
                let policy = self.t38_policies.get(trunk).copied().unwrap_or_default();
                Some(T38Policy { offer_as_called: None, offer_as_caller: None, ..policy })
            }
            _ => Some(T38Policy::NEVER),
        }
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
