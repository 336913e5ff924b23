//! Many short calls of every kind, one after the other: nothing is left behind, memory and descriptors stay as they are.
//!
//! `FERROFAX_SOAK_CALLS` says how many; a release build (`cargo nextest run --release`) does 20 000 in some minutes.
#![allow(clippy::unwrap_used, clippy::panic)]

use crate::bench;

use bench::{page, terminal};
use fax_net::{
    CallEnd, CallEvent, CallReport, CallRequest, Config, Endpoint, Holdings, IncomingCall, Listen, Transport,
    Trunk,
};
use fax_t30::Role;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Calls in a run, where nothing else is asked for.
const CALLS: usize = 300;

/// Calls at a time.
const PLACES: usize = 60;

/// No call takes longer, also on a busy machine.
const BOUND: Duration = Duration::from_secs(90);

/// The last transaction is forgotten 32 s after its end, the last dialog after 40 s.
const FORGOTTEN: Duration = Duration::from_secs(90);

/// Memory may grow so much between the middle of the calls and their end.
const GROWTH: usize = 48 << 20;

/// What becomes of a call; the last digit of the number called.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    /// Answered, and released at once.
    Brief,
    Cancelled,
    Refused,
    /// Some audio.
    Audio,
    /// T.38 is agreed, and the call released.
    T38,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Brief,
        Kind::Brief,
        Kind::Cancelled,
        Kind::Refused,
        Kind::Brief,
        Kind::T38,
        Kind::Cancelled,
        Kind::Refused,
        Kind::Brief,
        Kind::Audio,
    ];
}

/// What the process holds.
#[derive(Clone, Copy, Debug)]
struct Cost {
    memory: usize,
    descriptors: usize,
    tasks: usize,
}

impl Cost {
    fn now() -> Cost {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find(|l| l.starts_with("VmRSS:")).unwrap();
        let kilobytes: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        Cost {
            memory: kilobytes << 10,
            descriptors: std::fs::read_dir("/proc/self/fd").unwrap().count(),
            tasks: tokio::runtime::Handle::current().metrics().num_alive_tasks(),
        }
    }
}

/// Two endpoints that are each other's trunk.
async fn pair(transport: Transport) -> [(Endpoint, mpsc::Receiver<IncomingCall>); 2] {
    let start = async |own: SocketAddr, other: SocketAddr| {
        let mut config = Config::new(own);
        config.workers = 1;
        config.max_calls = 4 * PLACES;
        config.listen = vec![Listen::new(transport, own)];
        let mut trunk = Trunk::new("peer", &other.to_string());
        trunk.transport = Some(transport);
        trunk.t38.offer_as_called = Some(Duration::from_millis(200));
        config.trunks.push(trunk);
        Endpoint::start(config).await.unwrap()
    };
    let (a, b) = (bench::free(), bench::free());
    [start(a, b).await, start(b, a).await]
}

/// Answers each call as its number says.
async fn answer(mut incoming: mpsc::Receiver<IncomingCall>) {
    let mut running = JoinSet::new();
    while let Some(call) = incoming.recv().await {
        let digit = usize::try_from(call.to.chars().last().unwrap().to_digit(10).unwrap()).unwrap();
        running.spawn(async move {
            match Kind::ALL[digit] {
                Kind::Refused => call.reject(486, ""),
                Kind::Cancelled => {
                    // Its end shows in the call that is made of it.
                    sleep(Duration::from_millis(700)).await;
                    drop(call);
                }
                Kind::Brief | Kind::Audio | Kind::T38 => {
                    let mut call = call.accept(terminal(Role::Called, Vec::new(), true));
                    while call.next().await.is_some() {}
                }
            }
        });
        while running.try_join_next().is_some() {}
    }
}

/// Makes a call and releases it as its kind says; how it ended.
async fn make(endpoint: &Endpoint, digit: usize, page: Arc<fax_terminal::CodedPage>) -> (Kind, CallReport) {
    let kind = Kind::ALL[digit];
    let terminal = terminal(Role::Calling, vec![page], true);
    let mut call = endpoint.call(CallRequest::new("peer", &format!("+493045{digit}"), "+4930123", terminal));
    if kind == Kind::Cancelled {
        sleep(Duration::from_millis(250)).await;
        call.give_up();
    }
    loop {
        match timeout(BOUND, call.next()).await.expect("the call does not go on").expect("no end is told") {
            CallEvent::Answered => match kind {
                Kind::Brief => call.give_up(),
                Kind::Audio => {
                    sleep(Duration::from_millis(1_500)).await;
                    call.give_up();
                }
                Kind::Cancelled | Kind::Refused | Kind::T38 => {}
            },
            CallEvent::T38 if kind == Kind::T38 => call.give_up(),
            CallEvent::Ended(report) => return (kind, *report),
            _ => {}
        }
    }
}

fn as_planned(kind: Kind, report: &CallReport) {
    let end = (report.end, report.sip_status);
    match kind {
        Kind::Refused => assert_eq!(end, (CallEnd::NotAnswered, Some(486)), "{report:?}"),
        Kind::Cancelled => assert_eq!(report.end, CallEnd::NotAnswered, "{report:?}"),
        Kind::Brief | Kind::Audio | Kind::T38 => assert_eq!(report.end, CallEnd::Fax, "{report:?}"),
    }
}

/// What is left of a run: neither calls nor what is kept for late messages; connections are kept for others.
async fn left(endpoints: [&Endpoint; 2]) -> [Holdings; 2] {
    let end = Instant::now() + FORGOTTEN;
    loop {
        let held = [endpoints[0].holdings().await, endpoints[1].holdings().await];
        let none = held.map(|h| Holdings { connections: 0, ..h }) == [Holdings::default(); 2];
        if none || Instant::now() > end {
            return held;
        }
        sleep(Duration::from_millis(200)).await;
    }
}

async fn soak(transport: Transport) {
    let calls = std::env::var("FERROFAX_SOAK_CALLS").map_or(CALLS, |n| n.parse().unwrap());
    let [(a, _ours), (b, incoming)] = pair(transport).await;
    let page = page(40).1;
    // One of each kind first: buffers and connections are made.
    tokio::spawn(answer(incoming));
    for digit in 0..10 {
        make(&a, digit, page.clone()).await;
    }
    let before = Cost::now();
    let next = Arc::new(AtomicUsize::new(0));
    let begun = Instant::now();
    let mut places = JoinSet::new();
    for _ in 0..PLACES {
        let (a, page, next) = (a.clone(), page.clone(), next.clone());
        places.spawn(async move {
            let mut middle = None;
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= calls {
                    return middle;
                }
                if number == calls / 2 {
                    middle = Some(Cost::now());
                }
                let (kind, report) = make(&a, number % 10, page.clone()).await;
                as_planned(kind, &report);
            }
        });
    }
    let middle = places.join_all().await.into_iter().flatten().next().unwrap();
    let took = begun.elapsed();
    let end = Cost::now();
    let left = left([&a, &b]).await;
    let after = Cost::now();
    println!("{calls} calls over {transport:?} in {took:?}");
    println!("before {before:?}\nmiddle {middle:?}\nend {end:?}\nforgotten {after:?}");
    let connections = left.map(|h| h.connections).iter().sum::<usize>();
    assert_eq!(left.map(|h| Holdings { connections: 0, ..h }), [Holdings::default(); 2]);
    assert!(connections <= 4, "{connections} connections");
    // An answering task may be at its last words; the runtime's own come and go.
    assert!(after.tasks <= before.tasks + 4, "tasks: {before:?} {after:?}");
    assert!(after.descriptors <= before.descriptors + 4, "descriptors: {before:?} {after:?}");
    let growth = end.memory.saturating_sub(middle.memory);
    assert!(growth < GROWTH, "memory grew by {} kB in the second half", growth >> 10);
    a.stop().await;
    b.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_calls_leave_nothing_behind_over_udp() {
    soak(Transport::Udp).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_short_calls_leave_nothing_behind_over_tcp() {
    soak(Transport::Tcp).await;
}
