//! T.38: IFP, UDPTL, the endpoint, a terminal that takes a fax over it, and recordings of calls.

use crate::input::Choices;
use fax_base::Instant;
use fax_t38::ifp::{Decoder, Packing, Syntax, decode_as};
use fax_t38::udptl::{Packet, Receiver};
use fax_t38::{Config, Endpoint, Input, Output};
use fax_terminal::recording::Replay;
use fax_terminal::recording::file::{self, Kind, State};
use fax_terminal::{self as terminal, Terminal};

/// An IFP in every syntax; what was read is written and read again.
pub fn ifp(octets: &[u8]) {
    for syntax in [Syntax::V1998, Syntax::V2002] {
        for packing in [Packing::Strict, Packing::Aligned] {
            let Ok((ifp, used)) = decode_as(octets, syntax, packing) else { continue };
            assert!(used <= octets.len());
            if let Ok(written) = ifp.to_octets(syntax)
                && let Ok((again, _)) = decode_as(&written, syntax, Packing::Strict)
                && packing == Packing::Strict
            {
                assert_eq!(again, ifp);
            }
        }
    }
    let c = &mut Choices::new(octets);
    let mut decoder = Decoder::new(c.octet() % 4);
    while !c.is_empty() {
        let padded = c.flag();
        let _ = decoder.decode(c.piece(), padded);
    }
}

/// A UDPTL datagram; what was read is written and read again. Then a row of them.
pub fn udptl(octets: &[u8]) {
    let mut written = Vec::new();
    // A span above 127 can be read and is never written.
    if let Ok(packet) = Packet::decode(octets)
        && packet.sound
        && packet.encode(&mut written).is_ok()
    {
        assert_eq!(Packet::decode(&written).as_ref(), Ok(&packet));
    }
    let c = &mut Choices::new(octets);
    let mut receiver = Receiver::new(c.octet() % 4);
    let mut now = Instant::ZERO;
    while !c.is_empty() {
        now += c.wait();
        if receiver.deadline().is_some_and(|d| d <= now) {
            receiver.timeout(now);
        }
        let _ = receiver.receive(now, c.piece());
        for _ in 0..100_000 {
            if receiver.poll().is_none() {
                break;
            }
        }
        assert_eq!(receiver.poll(), None, "deliveries without end");
    }
}

/// Datagrams into an endpoint that sends nothing.
pub fn endpoint(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut now = Instant::ZERO;
    let mut endpoint = Endpoint::new(Config { version: c.octet() % 4, ..Config::default() }, now);
    while !c.is_empty() {
        now += c.wait();
        while let Some(due) = endpoint.deadline().filter(|d| *d <= now) {
            endpoint.handle(due, Input::Timeout);
            assert!(endpoint.deadline().is_none_or(|d| d > due), "a timer stays due");
            drain(&mut endpoint);
        }
        endpoint.handle(now, Input::Datagram(c.piece()));
        drain(&mut endpoint);
    }
}

fn drain(endpoint: &mut Endpoint) {
    for _ in 0..100_000 {
        match endpoint.poll() {
            Some(Output::Datagram(_) | Output::Heard(_) | Output::Sent) => {}
            None => return,
        }
    }
    panic!("outputs without end");
}

/// Datagrams in order, their sequence numbers made right, into a terminal that was called; then silence, in which
/// it must end.
pub fn terminal(octets: &[u8]) {
    let c = &mut Choices::new(octets);
    let mut now = Instant::ZERO;
    let mut terminal = Terminal::new(terminal::Config::default());
    terminal.handle(now, terminal::Input::Start);
    terminal
        .handle(now, terminal::Input::SwitchToT38(Config { version: c.octet() % 4, ..Config::default() }));
    let mut over = false;
    let mut sequence = 0u16;
    let mut steps = 0;
    while !over && steps < 4_000 {
        steps += 1;
        let until = if c.is_empty() { terminal.deadline().unwrap_or(now).max(now) } else { now + c.wait() };
        while let Some(due) = terminal.deadline().filter(|d| *d <= until) {
            now = now.max(due);
            terminal.handle(now, terminal::Input::Timeout);
            over |= ended(&mut terminal);
            if over {
                return;
            }
        }
        now = until;
        if c.is_empty() {
            continue;
        }
        let ifp = c.piece();
        let mut datagram = sequence.to_be_bytes().to_vec();
        sequence = sequence.wrapping_add(1);
        datagram.push((ifp.len() as u8).min(127));
        datagram.extend_from_slice(&ifp[..ifp.len().min(127)]);
        datagram.extend_from_slice(&[0, 0]);
        terminal.handle(now, terminal::Input::Datagram(&datagram));
        over |= ended(&mut terminal);
    }
}

fn ended(terminal: &mut Terminal) -> bool {
    let mut over = false;
    while let Some(output) = terminal.poll() {
        over |= matches!(output, terminal::Output::End(_));
    }
    over
}

/// A recording of a call: the file as it is, and one put together from pieces so that its checks hold.
pub fn recording(octets: &[u8]) {
    play(octets);
    let c = &mut Choices::new(octets);
    let mut whole = file::head(c.pick(&[State::Open, State::Good, State::Failed])).to_vec();
    let n = usize::from(c.short());
    file::chunk(&mut whole, Kind::Setup, c.octets(n));
    while !c.is_empty() {
        let n = usize::from(c.short());
        file::chunk(&mut whole, Kind::Records, c.octets(n));
    }
    play(&whole);
}

fn play(octets: &[u8]) {
    let Ok(mut replay) = Replay::open(octets, &[]) else {
        return;
    };
    for _ in 0..20_000 {
        match replay.step() {
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => break,
        }
    }
    let _ = (replay.setup(), replay.state(), replay.report());
}
