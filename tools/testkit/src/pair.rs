//! Two terminals of ferrofax, one simulated network, one simulated clock.

use crate::network::{Impairments, Network};
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::Tone;
use fax_base::time::earliest;
use fax_t30 as t30;
use fax_t38 as t38;
use fax_terminal::{Input, Output, ReceivedPage, Terminal};

/// When the call goes to T.38.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Switch {
    /// At once: the call begins as T.38.
    AtStart,
    /// So long after the call is up.
    After(Duration),
    /// So long after one of the two has heard the other's tone in the audio: re-INVITE and answer.
    OnTone(Duration),
    /// Never.
    Never,
}

/// How a call is run.
#[derive(Clone, Debug)]
pub struct Plan {
    /// When T.38 is agreed.
    pub switch: Switch,
    /// What is agreed, as the calling end sees it.
    pub calling: t38::Config,
    /// What is agreed, as the called end sees it.
    pub called: t38::Config,
    /// From the calling to the called end.
    pub there: Impairments,
    /// From the called to the calling end.
    pub back: Impairments,
    /// For the network.
    pub seed: u64,
    /// The call is cut after this.
    pub limit: Duration,
    /// How many pages each end can keep, where it keeps them before it confirms.
    pub room: usize,
}

impl Default for Plan {
    fn default() -> Self {
        Plan {
            switch: Switch::AtStart,
            calling: t38::Config::default(),
            called: t38::Config::default(),
            there: Impairments::default(),
            back: Impairments::default(),
            seed: 1,
            limit: Duration::from_secs(3600),
            room: usize::MAX,
        }
    }
}

/// One end, and what came of it.
#[derive(Debug)]
pub struct End {
    /// The terminal.
    pub terminal: Terminal,
    /// Pages received.
    pub pages: Vec<ReceivedPage>,
    /// What was told.
    pub events: Vec<(Instant, t30::Event)>,
    /// How it ended and when.
    pub outcome: Option<(Instant, t30::Outcome)>,
    /// Counters of T.38 at the end of the call.
    pub statistics: Option<t38::Statistics>,
    tone: Option<Tone>,
    room: usize,
}

impl End {
    fn new(terminal: Terminal, room: usize) -> Self {
        let (pages, events) = (Vec::new(), Vec::new());
        End { terminal, pages, events, outcome: None, statistics: None, tone: None, room }
    }

    /// Why it failed, if it did; [`t30::Cause::CallDropped`] also when it never ended.
    #[must_use]
    pub fn cause(&self) -> Option<t30::Cause> {
        match &self.outcome {
            None => Some(t30::Cause::CallDropped),
            Some((_, outcome)) => outcome.failure.as_ref().map(|f| f.cause),
        }
    }

    fn handle(&mut self, now: Instant, input: Input<'_>, out: &mut Network) {
        self.terminal.handle(now, input);
        self.drain(now, out);
    }

    fn drain(&mut self, now: Instant, out: &mut Network) {
        while let Some(output) = self.terminal.poll() {
            match output {
                Output::Datagram(datagram) => out.send(now, datagram),
                Output::FaxToneHeard(tone) => self.tone = Some(tone),
                Output::Signal(_) => {}
                Output::KeepPage(_) => {
                    self.terminal.handle(now, Input::PageKept(self.room > 0));
                    self.room = self.room.saturating_sub(1);
                }
                Output::Page(page) => self.pages.push(page),
                Output::Event(event) => self.events.push((now, event)),
                Output::End(outcome) => {
                    self.outcome = Some((now, *outcome));
                    self.statistics = self.terminal.t38_statistics();
                }
            }
        }
    }
}

/// Runs a call to its end: the calling end and the called one. When one of them has ended, the other
/// is told a second later that it hung up.
#[must_use]
pub fn call(calling: Terminal, called: Terminal, plan: &Plan) -> (End, End) {
    const TICK: Duration = Duration::from_millis(20);
    let (mut a, mut b) = (End::new(calling, plan.room), End::new(called, plan.room));
    let mut there = Network::new(plan.there, plan.seed * 2);
    let mut back = Network::new(plan.back, plan.seed * 2 + 1);
    let mut now = Instant::ZERO;
    let mut switch_at = match plan.switch {
        Switch::AtStart => Some(Instant::ZERO),
        Switch::After(time) => Some(Instant::ZERO + time),
        Switch::OnTone(_) | Switch::Never => None,
    };
    let mut next_block = Instant::ZERO;
    if switch_at == Some(now) {
        a.handle(now, Input::SwitchToT38(plan.calling.clone()), &mut there);
        b.handle(now, Input::SwitchToT38(plan.called.clone()), &mut back);
    }
    a.handle(now, Input::Start, &mut there);
    b.handle(now, Input::Start, &mut back);
    while now < Instant::ZERO + plan.limit && (a.outcome.is_none() || b.outcome.is_none()) {
        let audio = !(a.terminal.is_t38() && b.terminal.is_t38());
        if audio && next_block <= now {
            next_block = now + TICK;
            let mut block = [0i16; 160];
            a.terminal.transmit_audio(now, &mut block);
            a.drain(now, &mut there);
            b.handle(now, Input::Audio(&block), &mut back);
            b.terminal.transmit_audio(now, &mut block);
            b.drain(now, &mut back);
            a.handle(now, Input::Audio(&block), &mut there);
        }
        if let Switch::OnTone(time) = plan.switch
            && switch_at.is_none()
            && (a.tone.is_some() || b.tone.is_some())
        {
            switch_at = Some(now + time);
        }
        if switch_at.is_some_and(|at| at <= now) && audio {
            // The offerer learns it one network delay later.
            let late = switch_at.is_some_and(|at| at + plan.there.latency <= now);
            if !b.terminal.is_t38() {
                b.handle(now, Input::SwitchToT38(plan.called.clone()), &mut back);
            }
            if late {
                a.handle(now, Input::SwitchToT38(plan.calling.clone()), &mut there);
            }
        }
        while let Some(datagram) = there.poll(now) {
            b.handle(now, Input::Datagram(&datagram), &mut back);
        }
        while let Some(datagram) = back.poll(now) {
            a.handle(now, Input::Datagram(&datagram), &mut there);
        }
        let hung_up =
            |end: &End| end.outcome.as_ref().is_some_and(|(at, _)| *at + Duration::from_secs(1) <= now);
        let (a_hung_up, b_hung_up) = (hung_up(&a), hung_up(&b));
        for (end, other_hung_up, out) in [(&mut a, b_hung_up, &mut there), (&mut b, a_hung_up, &mut back)] {
            if other_hung_up {
                end.handle(now, Input::HungUp, out);
            }
            if end.terminal.deadline().is_some_and(|at| at <= now) {
                end.handle(now, Input::Timeout, out);
            }
        }
        let hang_up = match (&a.outcome, &b.outcome) {
            (Some((at, _)), None) | (None, Some((at, _))) => Some(*at + Duration::from_secs(1)),
            _ => None,
        };
        let block = audio.then_some(next_block);
        let next =
            [a.terminal.deadline(), b.terminal.deadline(), there.deadline(), back.deadline(), hang_up, block]
                .into_iter()
                .fold(None, earliest);
        // Nothing will ever happen again: time jumps to the limit.
        now = next.map_or(Instant::ZERO + plan.limit, |at| at.max(now + Duration::from_micros(1)));
    }
    (a, b)
}
