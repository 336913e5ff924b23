//! Where the messages are: our own in testdata/sip, the torture messages beside the repository.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use fax_base::Instant;
use fax_sip::message::{Limits, Message};
use fax_sip::{Config, Event, Input, Output, Transport, UserAgent};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_path_buf()
}

/// The torture messages with their names; empty where they are not there.
pub fn torture() -> Vec<(String, Bytes)> {
    let data = std::env::var_os("FERROFAX_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    let found = read(&data.join("rfc4475"), "dat");
    if found.is_empty() {
        println!("skipped: no charts");
    }
    found
}

/// Messages of our own.
pub fn own() -> Vec<(String, Bytes)> {
    let found = read(&root().join("testdata/sip"), "sip");
    assert!(found.len() >= 10, "testdata/sip belongs to the repository");
    found
}

fn read(folder: &Path, extension: &str) -> Vec<(String, Bytes)> {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut list: Vec<(String, Bytes)> = entries
        .filter_map(|e| Some(e.ok()?.path()))
        .filter(|p| p.extension().is_some_and(|e| e == extension))
        .map(|p| {
            (p.file_stem().unwrap().to_string_lossy().into_owned(), Bytes::from(std::fs::read(&p).unwrap()))
        })
        .collect();
    list.sort();
    list
}

pub fn parse(octets: &Bytes) -> Result<Message, fax_sip::message::ParseError> {
    Message::parse(octets, &Limits::default())
}

pub const SOURCE: &str = "203.0.113.9:40000";

/// What a fresh user agent sends and says when this comes from [`SOURCE`].
pub fn react(octets: &[u8]) -> (Vec<Message>, Vec<Event>) {
    let mut agent = UserAgent::new(Config::default());
    let (local, remote): (SocketAddr, SocketAddr) =
        ("192.0.2.99:5060".parse().unwrap(), SOURCE.parse().unwrap());
    agent.handle(Instant::ZERO, Input::Datagram { transport: Transport::Udp, local, remote, octets });
    let (mut sent, mut events) = (Vec::new(), Vec::new());
    while let Some(output) = agent.poll() {
        match output {
            // An answer to a request that lacks what every message must have lacks it too.
            Output::Send { octets, .. } => {
                sent.push(parse(&octets).unwrap_or_else(|e| *e.partial.expect("a message")))
            }
            Output::Event(event) => events.push(event),
            Output::StopConnecting { .. } => {}
        }
    }
    (sent, events)
}
