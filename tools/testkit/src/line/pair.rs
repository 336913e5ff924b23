//! Two T.30 sessions on one simulated line, with seeded impairments.

use super::air::{self, Sound};
use super::page;
use super::rng::Rng;
use bytes::{Bytes, BytesMut};
use core::time::Duration;
use fax_base::Instant;
use fax_base::line::{Channel, Heard, Listen, Transmit};
use fax_t30::{Event, Input, Outcome, Output, Session, Verdict};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

/// What the line does to what is sent over it; chances in a thousand.
#[derive(Clone, Copy, Debug, Default)]
pub struct Impairments {
    /// One way.
    pub latency: Duration,
    /// A control frame has a wrong FCS.
    pub control_bad: u32,
    /// A control frame is not heard at all.
    pub control_lost: u32,
    /// A control frame is heard twice.
    pub control_twice: u32,
    /// A whole transmission (burst, image) is not heard.
    pub silent: u32,
    /// A frame of the image channel has a wrong FCS.
    pub image_bad: u32,
    /// A portion of raw bits is lost, and told so.
    pub bits_lost: u32,
    /// A portion of raw bits has wrong bits.
    pub bits_bad: u32,
    /// The end of a carrier is not noticed.
    pub drop_unseen: u32,
    /// The far end hears its own signal so long after.
    pub echo: Option<Duration>,
    /// Whether an end hears while it sends.
    pub duplex: bool,
    /// An end takes up to so long to judge a page with error correction, and up to three seconds for one without.
    pub judging: Duration,
}

/// A page as an end received it.
#[derive(Clone, Debug)]
pub struct Received {
    /// The octets, holes left away.
    pub octets: Bytes,
    /// Octets that were lost on the way.
    pub lost: usize,
    /// Whether the far end was told that we have it.
    pub confirmed: bool,
    /// How it came.
    pub format: fax_base::page::PageFormat,
    /// Whether a document ends with it.
    pub ends_document: bool,
}

/// One end.
#[derive(Debug)]
pub struct End {
    session: Session,
    /// Octets of each page to be sent.
    page_octets: usize,
    queue: VecDeque<Transmit>,
    on_air: bool,
    /// What is on the air is silence.
    quiet: bool,
    epoch: u64,
    listen: Listen,
    /// Control or image: what of the signal now arriving is heard.
    deaf: bool,
    building: Option<(fax_base::page::PageFormat, BytesMut, usize)>,
    ended: Option<(fax_base::page::PageFormat, Bytes, usize)>,
    /// The verdict on it, and when it is given.
    verdict: Option<(Instant, Verdict)>,
    /// The pages kept, in order.
    pub pages: Vec<Received>,
    /// All events with their time.
    pub events: Vec<(Instant, Event)>,
    /// The end.
    pub outcome: Option<Outcome>,
    /// Outputs after [`Output::End`], and other breaches of the contract.
    pub breaches: Vec<String>,
}

impl End {
    fn new(session: Session, page_octets: usize) -> Self {
        End {
            session,
            page_octets,
            queue: VecDeque::new(),
            on_air: false,
            quiet: false,
            epoch: 0,
            listen: Listen::Control,
            deaf: false,
            building: None,
            ended: None,
            verdict: None,
            pages: Vec::new(),
            events: Vec::new(),
            outcome: None,
            breaches: Vec::new(),
        }
    }

    /// Names of the frames sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<&'static str> {
        self.events
            .iter()
            .filter_map(|(_, e)| match e {
                Event::FrameSent { name, .. } => Some(*name),
                _ => None,
            })
            .collect()
    }

    /// Indices of the pages that were reported as confirmed, in order.
    #[must_use]
    pub fn confirmed(&self) -> Vec<usize> {
        self.events
            .iter()
            .filter_map(|(_, e)| match e {
                Event::PageConfirmed { index, .. } => Some(*index),
                _ => None,
            })
            .collect()
    }
}

#[derive(Debug)]
enum Due {
    /// The transmission that began last is over.
    Over { end: usize, epoch: u64 },
    /// A sound arrives; it left at this moment.
    Arrives { end: usize, from: usize, epoch: u64, left: Instant, sound: Sound },
}

/// Two ends and the line between.
#[derive(Debug)]
pub struct Pair {
    /// The calling and the called end.
    pub ends: [End; 2],
    /// The present.
    pub now: Instant,
    impairments: Impairments,
    rng: Rng,
    heap: BinaryHeap<Reverse<(Instant, u64)>>,
    due: std::collections::HashMap<u64, Due>,
    serial: u64,
    /// At these moments the carrier below both ends changes.
    pub line_changes: Vec<Instant>,
    /// Signals that are not heard: the end that sends them, and their number from 0, silence not
    /// counted.
    pub unheard: Vec<(usize, usize)>,
    /// How many signals each end has sent.
    pub count: [usize; 2],
}

impl Pair {
    /// A calling and a called session; pages of `page_octets` octets.
    #[must_use]
    pub fn new(
        calling: Session,
        called: Session,
        page_octets: usize,
        impairments: Impairments,
        seed: u64,
    ) -> Self {
        Pair {
            ends: [End::new(calling, page_octets), End::new(called, page_octets)],
            now: Instant::ZERO,
            impairments,
            rng: Rng::new(seed),
            heap: BinaryHeap::new(),
            due: std::collections::HashMap::new(),
            serial: 0,
            line_changes: Vec::new(),
            unheard: Vec::new(),
            count: [0, 0],
        }
    }

    /// Runs both ends until both have ended, at most so long. Answers whether they have.
    pub fn run(&mut self, limit: Duration) -> bool {
        for end in 0..2 {
            self.input(end, Input::Start);
        }
        let limit = self.now + limit;
        while self.ends.iter().any(|e| e.outcome.is_none()) {
            if !self.step(limit) {
                return false;
            }
        }
        true
    }

    fn step(&mut self, limit: Instant) -> bool {
        let mut next = self.heap.peek().map(|Reverse((at, _))| *at);
        for end in &self.ends {
            next = fax_base::time::earliest(next, end.session.deadline());
            next = fax_base::time::earliest(next, end.verdict.map(|(at, _)| at));
        }
        let change = self.line_changes.iter().copied().min();
        next = fax_base::time::earliest(next, change);
        let Some(at) = next else {
            return false;
        };
        if at > limit {
            return false;
        }
        self.now = self.now.max(at);
        if change.is_some_and(|c| c <= self.now) {
            self.line_changes.retain(|c| *c > self.now);
            self.due.clear();
            self.heap.clear();
            for end in 0..2 {
                self.ends[end].epoch += 1;
                self.ends[end].queue.clear();
                self.ends[end].on_air = false;
            }
            for end in 0..2 {
                self.input(end, Input::LineChanged);
            }
            return true;
        }
        if self.heap.peek().is_some_and(|Reverse((at, _))| *at <= self.now) {
            let Some(Reverse((_, serial))) = self.heap.pop() else {
                return false;
            };
            if let Some(due) = self.due.remove(&serial) {
                self.happen(due);
            }
            return true;
        }
        for end in 0..2 {
            if let Some((_, verdict)) = self.ends[end].verdict.take_if(|(at, _)| *at <= self.now) {
                self.input(end, Input::Verdict(verdict));
                return true;
            }
        }
        for end in 0..2 {
            if self.ends[end].session.deadline().is_some_and(|d| d <= self.now) {
                self.input(end, Input::Timeout);
                if self.ends[end].session.deadline().is_some_and(|d| d <= self.now) {
                    self.ends[end].breaches.push("a timer stays due".into());
                    return false;
                }
            }
        }
        true
    }

    fn schedule(&mut self, at: Instant, due: Due) {
        self.serial += 1;
        self.heap.push(Reverse((at, self.serial)));
        self.due.insert(self.serial, due);
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Over { end, epoch } => {
                if self.ends[end].epoch != epoch {
                    return;
                }
                self.ends[end].on_air = false;
                if self.ends[end].queue.is_empty() {
                    self.input(end, Input::Sent);
                } else {
                    self.transmit_next(end);
                }
            }
            Due::Arrives { end, from, epoch, left, sound } => {
                let sender = &self.ends[from];
                // Stopped before it left.
                if sender.epoch != epoch && left > self.now - self.impairments.latency {
                    return;
                }
                let speaks = self.ends[end].on_air && !self.ends[end].quiet;
                if !self.impairments.duplex && speaks && from != end {
                    return;
                }
                if let Some(armed) = sound.armed {
                    let up = matches!(sound.heard, Heard::CarrierUp(_));
                    if up {
                        self.ends[end].deaf = self.ends[end].listen != armed;
                    }
                    if self.ends[end].deaf {
                        return;
                    }
                }
                self.input(end, Input::Heard(sound.heard));
            }
        }
    }

    fn input(&mut self, end: usize, input: Input) {
        self.ends[end].session.handle(self.now, input);
        while let Some(output) = self.ends[end].session.poll() {
            self.output(end, output);
        }
    }

    fn output(&mut self, at: usize, output: Output) {
        let end = &mut self.ends[at];
        if end.outcome.is_some() {
            end.breaches.push(format!("after the end: {output:?}"));
        }
        match output {
            Output::Transmit(transmit) => {
                end.queue.push_back(transmit);
                if !end.on_air {
                    self.transmit_next(at);
                }
            }
            Output::StopTransmit => {
                end.epoch += 1;
                end.queue.clear();
                end.on_air = false;
            }
            Output::Listen(listen) => end.listen = listen,
            Output::WantPage { index, .. } => {
                let page = page::made_up(index, end.page_octets);
                end.session.handle(self.now, Input::Page(page));
            }
            Output::PageStart { format, index } => {
                if index != end.pages.len() {
                    end.breaches.push(format!("page {index} begins, {} kept", end.pages.len()));
                }
                end.building = Some((format, BytesMut::new(), 0));
            }
            Output::PageData(octets) => match &mut end.building {
                Some((_, page, _)) => page.extend_from_slice(&octets),
                None => end.breaches.push("data without a page".into()),
            },
            Output::PageLost { octets } => match &mut end.building {
                Some((_, _, lost)) => *lost += octets,
                None => end.breaches.push("loss without a page".into()),
            },
            Output::PageEnd => {
                let Some((format, page, lost)) = end.building.take() else {
                    end.breaches.push("end without a page".into());
                    return;
                };
                let bad = count_bad(&page) + lost;
                let rows = u32::try_from((page.len() + lost).div_ceil(16)).unwrap_or(u32::MAX);
                let bad_rows = u32::try_from(bad.div_ceil(16)).unwrap_or(u32::MAX).min(rows);
                end.ended = Some((format, page.freeze(), lost));
                let verdict = Verdict { rows, bad_rows, longest_bad_run: bad_rows, cut: false };
                let most = if format.ecm { self.impairments.judging } else { Duration::from_secs(3) };
                let most = most.min(self.impairments.judging).as_millis() as u64;
                if most == 0 {
                    end.session.handle(self.now, Input::Verdict(verdict));
                } else {
                    let at = self.now + Duration::from_millis(self.rng.below(most));
                    end.verdict = Some((at, verdict));
                }
            }
            Output::PageDone { kept, confirmed, ends_document } => {
                end.verdict = None;
                let built = end.building.take().map(|(f, p, l)| (f, p.freeze(), l));
                match (end.ended.take().or(built), kept) {
                    (Some((format, octets, lost)), true) => {
                        end.pages.push(Received { octets, lost, confirmed, format, ends_document });
                    }
                    (Some(_), false) => {}
                    (None, _) => end.breaches.push("done without a page".into()),
                }
            }
            Output::Event(event) => end.events.push((self.now, event)),
            Output::End(outcome) => end.outcome = Some(*outcome),
        }
    }

    fn transmit_next(&mut self, end: usize) {
        let Some(transmit) = self.ends[end].queue.pop_front() else {
            return;
        };
        let (length, _) = air::play(&transmit);
        let epoch = self.ends[end].epoch;
        self.ends[end].on_air = true;
        self.ends[end].quiet = matches!(transmit, Transmit::Silence(_));
        self.schedule(self.now + length, Due::Over { end, epoch });
        if self.ends[end].quiet {
            return;
        }
        let number = self.count[end];
        self.count[end] += 1;
        if self.unheard.contains(&(end, number)) {
            return;
        }
        let (_, sounds) = air::play(&transmit);
        let i = self.impairments;
        if self.rng.per_mille(i.silent) {
            return;
        }
        for sound in sounds {
            for mut heard in self.impair(sound.heard.clone()) {
                let left = self.now + sound.at;
                if let Some(delay) = i.echo
                    && sound.armed.is_none()
                {
                    let sound = Sound { heard: heard.clone(), ..sound.clone() };
                    let at = left + delay;
                    self.schedule(at, Due::Arrives { end, from: end, epoch, left, sound });
                }
                if let Heard::Frame { octets, good: false, .. } = &mut heard {
                    *octets = air::damaged(octets, self.rng.below(256) as usize);
                }
                let sound = Sound { heard, ..sound.clone() };
                let at = left + i.latency;
                self.schedule(at, Due::Arrives { end: 1 - end, from: end, epoch, left, sound });
            }
        }
    }

    fn impair(&mut self, heard: Heard) -> Vec<Heard> {
        let i = self.impairments;
        match heard {
            Heard::Frame { channel: Channel::Control, octets, good } => {
                let channel = Channel::Control;
                if self.rng.per_mille(i.control_lost) {
                    return Vec::new();
                }
                let good = good && !self.rng.per_mille(i.control_bad);
                let frame = Heard::Frame { channel, octets, good };
                if self.rng.per_mille(i.control_twice) {
                    return vec![frame.clone(), frame];
                }
                vec![frame]
            }
            Heard::Frame { channel: Channel::Image(m), octets, good } => {
                let good = good && !self.rng.per_mille(i.image_bad);
                vec![Heard::Frame { channel: Channel::Image(m), octets, good }]
            }
            Heard::Bits { modulation, octets } => {
                if self.rng.per_mille(i.bits_lost) {
                    return vec![Heard::Lost { octets: octets.len() }];
                }
                if self.rng.per_mille(i.bits_bad) {
                    let mut copy = octets.to_vec();
                    for octet in &mut copy {
                        *octet ^= (self.rng.draw() >> 20) as u8;
                    }
                    return vec![Heard::Bits { modulation, octets: copy.into() }];
                }
                vec![Heard::Bits { modulation, octets }]
            }
            Heard::CarrierDown(channel) => {
                if self.rng.per_mille(i.drop_unseen) {
                    return Vec::new();
                }
                vec![Heard::CarrierDown(channel)]
            }
            other @ (Heard::Tone(_) | Heard::CarrierUp(_) | Heard::Lost { .. }) => vec![other],
        }
    }
}

/// Octets of a made-up page that are not as made, as well as its tags tell.
fn count_bad(octets: &[u8]) -> usize {
    let Some(index) = page::recognise(octets) else {
        return octets.len();
    };
    let tag = [b"PAGE".as_slice(), &(index as u32).to_be_bytes()].concat();
    let good = octets.windows(8).filter(|w| *w == tag).count() * 16;
    octets.len().saturating_sub(good)
}
