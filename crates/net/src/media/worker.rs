//! The worker threads: one a core, each with its own calls, one epoll and one heap of deadlines. A turn takes no
//! memory from the system.
//!
//! A worker wakes at the beats of its own clock, every [`BEAT`], does what is due and reads what has come for all its
//! calls. Waking for each packet would cost more than all that is done with it. All that happens in one beat happens at
//! one [`Instant`], so that what a call wants some milliseconds later falls on a beat as well.
//!
//! What has to be sent goes first: the far end misses a packet that is late, and does not notice what waits unread in
//! our sockets. So reading stops when the next beat begins and goes on, after what is due then, where it stopped.

use super::bridge::Bridge;
use super::leg::Leg;
use super::punctuality::Times;
use super::{BridgeStart, MediaCommand, MediaEvent, MediaKey, Start};
use crate::onward::Side;
use fax_base::Instant;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::io;
use std::net::UdpSocket;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

/// The token of a worker's own wake-up.
const WAKE: u64 = u64::MAX;

/// In the token of a call that is passed on: its side B.
const SIDE_B: u64 = 1 << 63;

/// Events fetched from the kernel at a time.
const EVENTS: usize = 1_024;

/// How often a worker looks: a quarter of a packet, so that calls are spread and none waits noticeably.
const BEAT: Duration = Duration::from_millis(5);

/// Datagrams taken from one socket in one beat, so that a flood on one call leaves the others their time.
const BATCH: usize = 32;

/// The nice value of a worker where the system allows it: a packet that waits for a conversion comes too late, a
/// conversion that waits for a packet does not.
const NICE: i32 = -10;

/// Where a call's media events go.
#[derive(Clone)]
pub(crate) struct MediaSink {
    key: MediaKey,
    sender: tokio::sync::mpsc::UnboundedSender<(MediaKey, MediaEvent)>,
}

impl MediaSink {
    pub(crate) fn new(
        key: MediaKey,
        sender: tokio::sync::mpsc::UnboundedSender<(MediaKey, MediaEvent)>,
    ) -> Self {
        MediaSink { key, sender }
    }

    pub(super) fn send(&self, event: MediaEvent) {
        // Signalling is gone only when the whole program stops.
        let _ = self.sender.send((self.key, event));
    }
}

/// The pool of workers.
pub(crate) struct Media {
    workers: Vec<Worker>,
}

struct Worker {
    commands: Sender<(MediaKey, Option<MediaCommand>)>,
    wake: Arc<OwnedFd>,
    calls: Arc<AtomicU64>,
    times: Arc<Times>,
    thread: Option<JoinHandle<()>>,
}

/// A call's place at its worker.
#[derive(Clone)]
pub(crate) struct MediaHandle {
    key: MediaKey,
    commands: Sender<(MediaKey, Option<MediaCommand>)>,
    wake: Arc<OwnedFd>,
}

impl MediaHandle {
    pub(crate) fn send(&self, command: MediaCommand) {
        if self.commands.send((self.key, Some(command))).is_ok() {
            let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        }
    }
}

impl Media {
    /// Starts `count` workers.
    pub(crate) fn start(count: usize) -> io::Result<Self> {
        let workers = (0..count.max(1)).map(Worker::start).collect::<io::Result<_>>()?;
        Ok(Media { workers })
    }

    /// How many calls have media.
    pub(crate) fn calls(&self) -> usize {
        let calls = self.workers.iter().map(|w| w.calls.load(Ordering::Relaxed)).sum::<u64>();
        usize::try_from(calls).unwrap_or(usize::MAX)
    }

    /// What counts how punctual each worker is.
    pub(crate) fn times(&self) -> Vec<Arc<Times>> {
        self.workers.iter().map(|w| w.times.clone()).collect()
    }

    /// Begins a call's media at the worker that has the fewest calls.
    pub(crate) fn begin(&self, key: MediaKey, start: Start) -> Option<MediaHandle> {
        let worker = self.workers.iter().min_by_key(|w| w.calls.load(Ordering::Relaxed))?;
        Some(worker.begin(key, MediaCommand::Start(Box::new(start))))
    }

    /// Begins the media of a call that is passed on.
    pub(crate) fn bridge(&self, key: MediaKey, start: BridgeStart) -> Option<MediaHandle> {
        let worker = self.workers.iter().min_by_key(|w| w.calls.load(Ordering::Relaxed))?;
        Some(worker.begin(key, MediaCommand::Bridge(Box::new(start))))
    }
}

impl Drop for Media {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            let _ = worker.commands.send((MediaKey(WAKE), None));
            let _ = rustix::io::write(&*worker.wake, &1u64.to_ne_bytes());
        }
        for worker in &mut self.workers {
            if let Some(thread) = worker.thread.take() {
                let _ = thread.join();
            }
        }
    }
}

impl Worker {
    fn begin(&self, key: MediaKey, command: MediaCommand) -> MediaHandle {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let handle = MediaHandle { key, commands: self.commands.clone(), wake: self.wake.clone() };
        handle.send(command);
        handle
    }

    fn start(number: usize) -> io::Result<Worker> {
        let (commands, inbox) = channel();
        let wake = Arc::new(eventfd(0, EventfdFlags::NONBLOCK | EventfdFlags::CLOEXEC)?);
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let calls = Arc::new(AtomicU64::new(0));
        let times = Arc::new(Times::default());
        let mut state = State {
            inbox,
            wake: wake.clone(),
            epoll,
            calls: calls.clone(),
            times: times.clone(),
            legs: HashMap::new(),
            wheel: BinaryHeap::new(),
            clock: std::time::Instant::now(),
            beat: Duration::ZERO,
        };
        let thread =
            std::thread::Builder::new().name(format!("media-{number}")).spawn(move || state.run())?;
        Ok(Worker { commands, wake, calls, times, thread: Some(thread) })
    }
}

/// What a call's media are.
enum Unit {
    /// A fax of ours.
    Leg(Box<Leg>),
    /// A call that is passed on.
    Bridge(Box<Bridge>),
}

impl Unit {
    fn deadline(&self) -> Option<Instant> {
        match self {
            Unit::Leg(leg) => leg.deadline(),
            Unit::Bridge(bridge) => bridge.deadline(),
        }
    }

    fn turn(&mut self, now: Instant) {
        match self {
            Unit::Leg(leg) => leg.turn(now),
            Unit::Bridge(bridge) => bridge.turn(now),
        }
    }

    fn command(&mut self, now: Instant, command: MediaCommand) -> bool {
        match self {
            Unit::Leg(leg) => leg.command(now, command),
            Unit::Bridge(bridge) => bridge.command(now, command),
        }
    }

    fn read(&mut self, now: Instant, side: Side) -> bool {
        match self {
            Unit::Leg(leg) => leg.read(now),
            Unit::Bridge(bridge) => bridge.read(now, side),
        }
    }

    /// Hands over what was recorded in this turn.
    fn keep(&mut self, now: Instant) {
        match self {
            Unit::Leg(leg) => leg.keep(now),
            Unit::Bridge(_) => {}
        }
    }

    fn fail(&mut self) {
        match self {
            Unit::Leg(leg) => leg.fail(),
            Unit::Bridge(bridge) => bridge.fail(),
        }
    }

    fn close(self, now: Instant) {
        match self {
            Unit::Leg(leg) => leg.close(now),
            Unit::Bridge(_) => {}
        }
    }

    /// Its sockets with what their tokens have besides the call's key.
    fn sockets(&self) -> impl Iterator<Item = (&UdpSocket, u64)> {
        let (first, second) = match self {
            Unit::Leg(leg) => (&leg.socket, None),
            Unit::Bridge(bridge) => {
                let [a, b] = bridge.sockets();
                (a, Some(b))
            }
        };
        core::iter::once((first, 0)).chain(second.map(|second| (second, SIDE_B)))
    }
}
type Events = Vec<epoll::Event>;

struct Owned {
    unit: Unit,
    /// When the call began, on the worker's clock.
    began: Duration,
    /// When its next turn is due.
    due: Option<Duration>,
}

struct State {
    inbox: Receiver<(MediaKey, Option<MediaCommand>)>,
    wake: Arc<OwnedFd>,
    epoll: OwnedFd,
    calls: Arc<AtomicU64>,
    times: Arc<Times>,
    legs: HashMap<u64, Owned>,
    /// When a turn may be due; true of those that a call still has as [`Owned::due`].
    wheel: BinaryHeap<Reverse<(Duration, u64)>>,
    clock: std::time::Instant,
    /// The present beat.
    beat: Duration,
}

impl State {
    fn run(&mut self) {
        // Linux takes "no process" as the thread that asks.
        if let Err(error) = rustix::process::setpriority_process(None, NICE) {
            tracing::debug!(%error, "media has no priority over other work; allow it with LimitNICE=-10");
        }
        let mut events = Vec::with_capacity(EVENTS);
        loop {
            self.wait();
            let elapsed = self.clock.elapsed();
            let past = u64::try_from(elapsed.as_nanos() % BEAT.as_nanos()).unwrap_or(0);
            let beat = elapsed.saturating_sub(Duration::from_nanos(past));
            let next = beat > self.beat;
            self.beat = beat;
            if !self.obey() {
                return;
            }
            if next {
                self.turn_due();
                self.read(&mut events);
                // What was read may want an answer now.
                self.turn_due();
            }
        }
    }

    /// Waits for the next beat, or for a command.
    fn wait(&mut self) {
        let rest = (self.beat + BEAT).saturating_sub(self.clock.elapsed());
        // Without calls there is nothing to do until somebody calls.
        let timeout = if self.legs.is_empty() { None } else { Timespec::try_from(rest).ok() };
        let mut wake = [PollFd::new(&self.wake, PollFlags::IN)];
        if poll(&mut wake, timeout.as_ref()).is_ok_and(|woken| woken > 0) {
            let _ = rustix::io::read(&self.wake, &mut [0; 8]);
        }
    }

    /// Reads what has come, from each socket in turn, until the next beat; `events` has what is left over from the
    /// last one.
    fn read(&mut self, events: &mut Events) {
        for _ in 0..BATCH * (1 + self.legs.len() / EVENTS) {
            while let Some(event) = events.pop() {
                let token = event.data.u64();
                let side = if token & SIDE_B == 0 { Side::A } else { Side::B };
                self.with(token & !SIDE_B, |unit, now| {
                    unit.read(now, side);
                    true
                });
                if self.clock.elapsed() >= self.beat + BEAT {
                    return;
                }
            }
            let now = Some(&Timespec { tv_sec: 0, tv_nsec: 0 });
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(events), now) {
                Ok(0) | Err(rustix::io::Errno::INTR) => return,
                Ok(_) => {}
                Err(error) => return tracing::error!(%error, "the media worker's epoll failed"),
            }
        }
    }

    /// Carries out what is asked; false when the pool is dropped.
    fn obey(&mut self) -> bool {
        while let Ok((key, command)) = self.inbox.try_recv() {
            match command {
                None => return false,
                Some(MediaCommand::Start(start)) => self.add(key.0, Unit::Leg(Box::new(Leg::start(*start)))),
                Some(MediaCommand::Bridge(start)) => {
                    self.add(key.0, Unit::Bridge(Box::new(Bridge::start(*start))));
                }
                Some(command) => self.with(key.0, |unit, now| unit.command(now, command)),
            }
        }
        true
    }

    fn add(&mut self, key: u64, unit: Unit) {
        let began = self.beat;
        for (socket, side) in unit.sockets() {
            let data = epoll::EventData::new_u64(key | side);
            if let Err(error) = epoll::add(&self.epoll, socket, data, epoll::EventFlags::IN) {
                tracing::error!(%error, "a media socket cannot be watched");
            }
        }
        self.legs.insert(key, Owned { unit, began, due: None });
        self.with(key, |_, _| true);
    }

    fn turn_due(&mut self) {
        while let Some(&Reverse((at, key))) = self.wheel.peek().filter(|Reverse((at, _))| *at <= self.beat) {
            self.wheel.pop();
            if let Some(owned) = self.legs.get_mut(&key).filter(|o| o.due == Some(at)) {
                owned.due = None;
                self.times.count(self.clock.elapsed().saturating_sub(at));
                self.with(key, |unit, now| {
                    unit.turn(now);
                    true
                });
            }
        }
    }

    /// Gives a call its turn and puts it back into the wheel; false from the turn ends the call. A
    /// panic in one call's machines ends that call and no other.
    fn with(&mut self, key: u64, turn: impl FnOnce(&mut Unit, Instant) -> bool) {
        let Some(owned) = self.legs.get_mut(&key) else {
            return;
        };
        let micros = self.beat.saturating_sub(owned.began).as_micros();
        let now = Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX));
        let unit = &mut owned.unit;
        let turn = || {
            let goes_on = turn(unit, now);
            unit.keep(now);
            goes_on
        };
        let goes_on = std::panic::catch_unwind(std::panic::AssertUnwindSafe(turn)).unwrap_or_else(|_| {
            tracing::error!("a call's media failed; the call is given up");
            owned.unit.fail();
            false
        });
        if !goes_on {
            for (socket, _) in owned.unit.sockets() {
                let _ = epoll::delete(&self.epoll, socket);
            }
            if let Some(owned) = self.legs.remove(&key) {
                owned.unit.close(now);
            }
            self.calls.fetch_sub(1, Ordering::Relaxed);
            return;
        }
        let due = owned.unit.deadline().map(|at| owned.began + Duration::from_micros(at.as_micros()));
        if due != owned.due {
            owned.due = due;
            self.wheel.extend(due.map(|at| Reverse((at, key))));
            if self.wheel.len() > 64 + 4 * self.legs.len() {
                let legs = &self.legs;
                self.wheel.retain(|Reverse((at, key))| legs.get(key).is_some_and(|o| o.due == Some(*at)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Codec, MediaPorts, SideCarrier};
    use super::*;

    const CALLS: u64 = 40;
    const PACKETS: usize = 100;
    const LATE: Duration = Duration::from_millis(100);

    #[test]
    fn many_calls_on_one_worker_keep_their_time() {
        // A busy machine is late, but not so late, and not every time.
        let late: Vec<Duration> =
            std::iter::repeat_with(lateness).take(3).take_while(|l| *l >= LATE).collect();
        assert!(late.len() < 3, "{late:?}");
    }

    /// How late 99 % of the packets are at most.
    fn lateness() -> Duration {
        let media = Media::start(1).unwrap();
        let ip = "127.0.0.1".parse().unwrap();
        let ports = MediaPorts::new(vec![ip], None);
        let far_end = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket2::SockRef::from(&far_end).set_recv_buffer_size(4 << 20).unwrap();
        far_end.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let remote = far_end.local_addr().unwrap();
        let (sender, _events) = tokio::sync::mpsc::unbounded_channel();
        let handles: Vec<_> = (0..CALLS)
            .map(|n| {
                let key = MediaKey(n);
                let config = fax_terminal::Config { role: fax_t30::Role::Called, ..Default::default() };
                let terminal = fax_terminal::Terminal::new(config);
                let sink = MediaSink::new(key, sender.clone());
                let socket = ports.bind(ip).unwrap().socket;
                media
                    .begin(
                        key,
                        Start {
                            socket,
                            terminal,
                            remote,
                            signalling: Vec::new(),
                            codec: Codec::PCMA,
                            keys: None,
                            sink,
                            recording: None,
                        },
                    )
                    .unwrap()
            })
            .collect();
        let mut arrivals: HashMap<std::net::SocketAddr, Vec<std::time::Instant>> = HashMap::new();
        let mut buffer = [0; 2_048];
        while arrivals.len() < CALLS as usize || arrivals.values().any(|a| a.len() < PACKETS) {
            let (length, from) = far_end.recv_from(&mut buffer).unwrap();
            assert_eq!(length, 172);
            arrivals.entry(from).or_default().push(std::time::Instant::now());
        }
        // How far a packet is behind the 20 ms clock that the earliest packets make.
        let mut late: Vec<Duration> = Vec::new();
        for times in arrivals.values() {
            let on_clock = |n: usize| Duration::from_millis(20) * u32::try_from(n).unwrap();
            let begin = (0..times.len()).map(|n| times[n] - on_clock(n)).min().unwrap();
            late.extend((0..times.len()).map(|n| times[n] - on_clock(n) - begin));
        }
        late.sort();
        let at = |percent: usize| late[(late.len() - 1) * percent / 100];
        println!(
            "{CALLS} calls: half within {:?}, 99 % within {:?}, all within {:?}",
            at(50),
            at(99),
            at(100)
        );
        handles.iter().for_each(|h| h.send(MediaCommand::Stop));
        at(99)
    }

    #[test]
    fn both_sockets_of_a_bridge_are_read_and_its_end_ends_it() {
        let media = Media::start(1).unwrap();
        let ip = "127.0.0.1".parse().unwrap();
        let ports = MediaPorts::new(vec![ip], None);
        let far_ends = [0, 1].map(|_| UdpSocket::bind("127.0.0.1:0").unwrap());
        far_ends.iter().for_each(|end| end.set_read_timeout(Some(Duration::from_secs(10))).unwrap());
        let sides = [0, 1].map(|_| ports.bind(ip).unwrap());
        let at = sides.each_ref().map(|side| side.local);
        let (sender, _events) = tokio::sync::mpsc::unbounded_channel();
        let key = MediaKey(5);
        let (signalling, sink) = (Default::default(), MediaSink::new(key, sender));
        let handle = media.bridge(key, BridgeStart { sides, signalling, sink }).unwrap();
        for (side, end) in [Side::A, Side::B].into_iter().zip(&far_ends) {
            let carrier = SideCarrier::Relay { remote: end.local_addr().unwrap() };
            handle.send(MediaCommand::Side { side, carrier });
        }
        let mut buffer = [0; 64];
        for (from, to) in [(0, 1), (1, 0)] {
            let got = loop {
                // The commands may not have been obeyed yet.
                far_ends[from].send_to(b"passed on", at[from]).unwrap();
                far_ends[to].set_read_timeout(Some(Duration::from_millis(100))).unwrap();
                if let Ok((length, sender)) = far_ends[to].recv_from(&mut buffer) {
                    break (buffer[..length].to_vec(), sender);
                }
            };
            assert_eq!(got, (b"passed on".to_vec(), at[to]));
        }
        handle.send(MediaCommand::Stop);
        let gone = (0..100).any(|_| {
            std::thread::sleep(Duration::from_millis(50));
            UdpSocket::bind(at[0]).is_ok()
        });
        assert!(gone, "its sockets are closed");
    }
}
