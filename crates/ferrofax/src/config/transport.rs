//! How SIP travels: `[[listen]]`, `[tls]`, `[dns]` and the limits of connections (RFC 3261 §18, RFC 3263, RFC 5922).

use super::sections::{choice, parsed, seconds, size};
use super::written::Section;
use fax_net::{Identity, Listen, StreamLimits, Tls, TlsVersion, Transport};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

fn transport(word: &str) -> Option<Transport> {
    match word {
        "udp" => Some(Transport::Udp),
        "tcp" => Some(Transport::Tcp),
        "tls" => Some(Transport::Tls),
        _ => None,
    }
}

/// `transport` of a trunk: `auto` asks DNS.
pub(super) fn of_trunk(s: &Section<'_, '_>) -> Option<Transport> {
    transport(&choice(s, "transport", "auto", &["auto", "udp", "tcp", "tls"]))
}

/// A file that has to be there.
fn file(s: &Section<'_, '_>, base: &Path, line: usize, path: &str) -> PathBuf {
    let path = base.join(path);
    if let Err(error) = std::fs::File::open(&path) {
        s.fault(line, format!("{} cannot be read: {error}", path.display()), "put the PEM file there");
    }
    path
}

fn identity(s: &Section<'_, '_>, base: &Path) -> Option<Identity> {
    match (s.text("certificate"), s.text("key")) {
        (Some(certificate), Some(key)) => Some(Identity {
            certificate: file(s, base, certificate.line, &certificate.value),
            key: file(s, base, key.line, &key.value),
        }),
        (Some(certificate), None) => {
            s.fault(certificate.line, "a certificate without its key", "add key = \"sip.key.pem\"");
            None
        }
        (None, Some(key)) => {
            s.fault(key.line, "a key without its certificate", "add certificate = \"sip.pem\"");
            None
        }
        (None, None) => None,
    }
}

fn files(s: &Section<'_, '_>, base: &Path, key: &'static str) -> Vec<PathBuf> {
    s.texts(key).into_iter().map(|said| file(s, base, said.line, &said.value)).collect()
}

/// `[[listen]]`
pub(super) fn listen(root: &Section<'_, '_>, base: &Path) -> Vec<Listen> {
    root.sections("listen").into_iter().filter_map(|s| one(s, base)).collect()
}

fn one(s: Section<'_, '_>, base: &Path) -> Option<Listen> {
    if !s.has("transport") {
        s.fault(s.line, "listen.transport is missing", "add transport = \"udp\", \"tcp\" or \"tls\"");
    }
    let transport = transport(&choice(&s, "transport", "udp", &["udp", "tcp", "tls"])).unwrap_or_default();
    let example = if transport == Transport::Tls { "0.0.0.0:5061" } else { "0.0.0.0:5060" };
    let address = parsed::<SocketAddr>(&s, "address", example);
    if !s.has("address") {
        s.fault(s.line, "listen.address is missing", format!("add address = \"{example}\""));
    }
    let advertise = parsed::<IpAddr>(&s, "advertise", "203.0.113.5");
    let identity = identity(&s, base);
    let client_ca = files(&s, base, "client_ca");
    match (transport, &identity) {
        (Transport::Tls, None) => {
            s.fault(
                s.line,
                "a TLS listener without a certificate",
                "add certificate and key, both PEM files",
            );
        }
        (Transport::Udp | Transport::Tcp, Some(_)) => {
            s.fault(s.line, "a certificate where there is no TLS", "write transport = \"tls\"");
        }
        (Transport::Udp | Transport::Tcp, None) | (Transport::Tls, Some(_)) => {}
    }
    if transport != Transport::Tls && !client_ca.is_empty() {
        s.fault(s.line, "client_ca where there is no TLS", "write transport = \"tls\"");
    }
    s.finish();
    Some(Listen { transport, address: address?, advertise, identity, client_ca })
}

/// `[tls]`: towards peers.
pub(super) fn tls(root: &Section<'_, '_>, base: &Path) -> Tls {
    let s = root.section("tls");
    let ca = files(&s, base, "ca");
    let identity = identity(&s, base);
    let minimum = match choice(&s, "minimum", "1.2", &["1.2", "1.3"]).as_str() {
        "1.3" => TlsVersion::V1_3,
        _ => TlsVersion::V1_2,
    };
    s.finish();
    Tls { ca, identity, minimum }
}

/// `[connections]`
pub(super) fn streams(root: &Section<'_, '_>) -> StreamLimits {
    let s = root.section("connections");
    let usual = StreamLimits::default();
    let limits = StreamLimits {
        connections: size(&s, "max", 1_000, 100_000),
        per_source: size(&s, "max_per_source", 64, 100_000),
        idle: seconds(&s, "idle_s", 600, 86_400),
        patience: seconds(&s, "patience_s", 10, 120),
        queue: usual.queue,
        keep_alive: seconds(&s, "keep_alive_s", 25, 3_600),
    };
    s.finish();
    limits
}

/// `[dns]`
pub(super) fn dns(root: &Section<'_, '_>) -> Vec<SocketAddr> {
    let s = root.section("dns");
    let mut servers = Vec::new();
    for said in s.texts("servers") {
        let bare = said.value.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        match bare.or_else(|_| said.value.parse()) {
            Ok(server) => servers.push(server),
            Err(_) => s.fault(
                said.line,
                format!("{:?} is no address", said.value),
                "write addresses, as servers = [\"192.0.2.53\"]",
            ),
        }
    }
    s.finish();
    servers
}
