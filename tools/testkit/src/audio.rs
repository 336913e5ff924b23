//! Calls over audio: two fax machines, blocks of 20 ms, and a line that delays, codes, distorts and
//! loses them, all on simulated time and from one seed.

use core::time::Duration;
use fax_base::Instant;
use fax_base::level::Dbm0;
use fax_dsp::Law;
pub use fax_line::Gap;
use fax_line::{Block as Carried, Line, Loss, Packets};
use fax_t30 as t30;
use fax_terminal::{Input, Output, ReceivedPage, Terminal};
use spandsp_peer::AudioPeer;
use std::collections::VecDeque;

pub use fax_line::BLOCK;
const TICK: Duration = Duration::from_millis(20);

/// One block of the line.
pub type Block = [i16; BLOCK];

/// One direction of the line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Path {
    /// How many blocks of 20 ms it takes; at least one.
    pub latency: usize,
    /// The part of all blocks that is lost.
    pub loss: f32,
    /// The mean number of blocks lost in a row (Gilbert's model); 1 loses each by itself.
    pub burst: f32,
    /// What comes instead.
    pub gap: Gap,
    /// White noise on the line, level in 0 to 4 kHz.
    pub noise: Option<Dbm0>,
    /// The G.711 law that it is coded with.
    pub law: Option<Law>,
    /// All blocks are lost from the first of these moments on up to the second.
    pub outage: Option<(Instant, Instant)>,
    /// What goes into this direction comes back to its own sender so many blocks later, as a part of its
    /// amplitude.
    pub echo: Option<(usize, f64)>,
}

impl Default for Path {
    /// 40 ms, µ-law, and nothing else.
    fn default() -> Self {
        Path {
            latency: 2,
            loss: 0.0,
            burst: 1.0,
            gap: Gap::Told,
            noise: None,
            law: Some(Law::Mu),
            outage: None,
            echo: None,
        }
    }
}

/// A direction with what is on its way.
pub struct Wire {
    path: Path,
    line: Line,
    packets: Packets,
    /// Takes the packets of an outage.
    gone: Packets,
    in_flight: VecDeque<Option<Block>>,
    /// What was sent and comes back.
    echoes: VecDeque<Block>,
    now: Instant,
}

impl Wire {
    /// With nothing but silence on its way.
    #[must_use]
    pub fn new(path: Path, seed: u64) -> Self {
        let mut line = Line::new(seed);
        if let Some(level) = path.noise {
            line = line.noise(level);
        }
        if let Some(law) = path.law {
            line = line.law(law);
        }
        let loss =
            if path.burst > 1.0 { Loss::bursts(path.loss, path.burst) } else { Loss::random(path.loss) };
        Wire {
            path,
            line,
            packets: Packets::new(loss, path.gap, seed),
            gone: Packets::new(Loss::random(1.0), path.gap, seed),
            in_flight: (0..path.latency.max(1)).map(|_| Some([0; BLOCK])).collect(),
            echoes: (0..path.echo.map_or(0, |(delay, _)| delay)).map(|_| [0; BLOCK]).collect(),
            now: Instant::ZERO,
        }
    }

    /// A block goes in, another one comes out: nothing when it was lost and the receiver is told so.
    pub fn carry(&mut self, block: &Block) -> Option<Block> {
        let out = self.path.outage.is_some_and(|(from, to)| (from..to).contains(&self.now));
        self.now += TICK;
        let block = self.line.pass(block);
        let sent = match if out { self.gone.carry(&block) } else { self.packets.carry(&block) } {
            Carried::Arrived(samples) => samples.first_chunk().copied(),
            Carried::Lost(_) => None,
        };
        self.in_flight.push_back(sent);
        self.in_flight.pop_front().flatten()
    }

    /// Blocks lost so far.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.packets.lost().0 + self.gone.lost().0
    }

    /// What comes back of what goes in.
    pub fn echo(&mut self, block: &Block) -> Block {
        let Some((_, part)) = self.path.echo else {
            return [0; BLOCK];
        };
        self.echoes.push_back(block.map(|sample| (f64::from(sample) * part) as i16));
        self.echoes.pop_front().unwrap_or([0; BLOCK])
    }
}

/// A fax machine on audio.
pub trait Machine {
    /// The next 20 ms for the line.
    fn transmit(&mut self, now: Instant, block: &mut Block);
    /// 20 ms came.
    fn receive(&mut self, now: Instant, block: &Block);
    /// 20 ms were lost.
    fn lost(&mut self, now: Instant);
    /// The far end cleared the call.
    fn hung_up(&mut self, now: Instant);
    /// Whether the call is over for it.
    fn over(&self) -> bool;
}

/// Our terminal, and what came of it.
#[derive(Debug)]
pub struct Ours {
    /// The terminal.
    pub terminal: Terminal,
    /// Pages received.
    pub pages: Vec<ReceivedPage>,
    /// What was told.
    pub events: Vec<(Instant, t30::Event)>,
    /// How it ended and when.
    pub outcome: Option<(Instant, t30::Outcome)>,
}

impl Ours {
    /// A terminal whose call begins now.
    #[must_use]
    pub fn new(mut terminal: Terminal) -> Self {
        terminal.handle(Instant::ZERO, Input::Start);
        Ours { terminal, pages: Vec::new(), events: Vec::new(), outcome: None }
    }

    /// Why it failed, if it did; [`t30::Cause::CallDropped`] also when it never ended.
    #[must_use]
    pub fn cause(&self) -> Option<t30::Cause> {
        match &self.outcome {
            None => Some(t30::Cause::CallDropped),
            Some((_, outcome)) => outcome.failure.as_ref().map(|f| f.cause),
        }
    }

    /// What was told, a line each.
    #[must_use]
    pub fn ladder(&self) -> String {
        let mut lines: Vec<String> = self
            .events
            .iter()
            .map(|(at, event)| match event {
                t30::Event::FrameSent { name, octets } => format!("{at} -> {name} {octets:02x?}"),
                t30::Event::FrameReceived { name, octets } => format!("{at} <- {name} {octets:02x?}"),
                event => format!("{at}    {event:?}"),
            })
            .collect();
        lines.extend(self.outcome.iter().map(|(at, outcome)| format!("{at} {outcome:?}")));
        lines.join("\n")
    }

    fn turn(&mut self, now: Instant) {
        loop {
            while let Some(output) = self.terminal.poll() {
                match output {
                    Output::Datagram(_) | Output::FaxToneHeard(_) | Output::Signal(_) => {}
                    Output::KeepPage(_) => self.terminal.handle(now, Input::PageKept(true)),
                    Output::Page(page) => self.pages.push(page),
                    Output::Event(event) => self.events.push((now, event)),
                    Output::End(outcome) => self.outcome = Some((now, *outcome)),
                }
            }
            match self.terminal.deadline() {
                Some(at) if at <= now => self.terminal.handle(at, Input::Timeout),
                _ => return,
            }
        }
    }
}

impl Machine for Ours {
    fn transmit(&mut self, now: Instant, block: &mut Block) {
        self.turn(now);
        self.terminal.transmit_audio(now, block);
        self.turn(now);
    }

    fn receive(&mut self, now: Instant, block: &Block) {
        self.terminal.handle(now, Input::Audio(block));
        self.turn(now);
    }

    fn lost(&mut self, now: Instant) {
        self.terminal.handle(now, Input::AudioLost(BLOCK));
        self.turn(now);
    }

    fn hung_up(&mut self, now: Instant) {
        self.terminal.handle(now, Input::HungUp);
        self.turn(now);
    }

    fn over(&self) -> bool {
        self.outcome.is_some()
    }
}

impl Machine for AudioPeer {
    fn transmit(&mut self, _: Instant, block: &mut Block) {
        AudioPeer::transmit(self, block);
    }

    fn receive(&mut self, _: Instant, block: &Block) {
        AudioPeer::receive(self, block);
    }

    fn lost(&mut self, _: Instant) {
        self.receive_lost(BLOCK);
    }

    fn hung_up(&mut self, _: Instant) {}

    fn over(&self) -> bool {
        self.code().is_some()
    }
}

/// How a call went.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Held {
    /// How long the line was held.
    pub time: Duration,
    /// Both ends came to an end by themselves, or one did and the other learnt that it hung up.
    pub ended: bool,
    /// Blocks lost on the way there and back.
    pub lost: (u64, u64),
}

fn add(block: &mut Block, echo: &Block) {
    for (sample, echo) in block.iter_mut().zip(echo) {
        *sample = sample.saturating_add(*echo);
    }
}

/// When one end is over, the other hears of it so much later.
const CLEARING: Duration = Duration::from_secs(5);
/// And is given up so much later.
const AFTERWARDS: Duration = Duration::from_secs(60);

/// Runs a call until both ends are over, or until `limit`. When one is over the other one hears silence, and
/// after some seconds that the call was cleared.
pub fn call<A: Machine + ?Sized, B: Machine + ?Sized>(
    calling: &mut A,
    called: &mut B,
    there: Path,
    back: Path,
    seed: u64,
    limit: Duration,
) -> Held {
    let (mut there, mut back) = (Wire::new(there, seed * 2), Wire::new(back, seed * 2 + 1));
    let mut now = Instant::ZERO;
    let mut one_over = None;
    while now < Instant::ZERO + limit {
        let (mut a, mut b) = ([0; BLOCK], [0; BLOCK]);
        calling.transmit(now, &mut a);
        called.transmit(now, &mut b);
        let (echo_of_a, echo_of_b) = (there.echo(&a), back.echo(&b));
        add(&mut a, &echo_of_b);
        add(&mut b, &echo_of_a);
        match there.carry(&a) {
            Some(block) => called.receive(now, &block),
            None => called.lost(now),
        }
        match back.carry(&b) {
            Some(block) => calling.receive(now, &block),
            None => calling.lost(now),
        }
        now += TICK;
        let (calling_over, called_over) = (calling.over(), called.over());
        if !calling_over && !called_over {
            continue;
        }
        let since = *one_over.get_or_insert(now);
        let ended = calling_over && called_over;
        if ended || now >= since + AFTERWARDS {
            return Held { time: now.since(Instant::ZERO), ended, lost: (there.lost(), back.lost()) };
        }
        if now == since + CLEARING {
            calling.hung_up(now);
            called.hung_up(now);
        }
    }
    Held { time: limit, ended: false, lost: (there.lost(), back.lost()) }
}
