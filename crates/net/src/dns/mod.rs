//! Where a SIP name is: transports, servers and addresses in the order in which they are tried (RFC 3263 §4, §5).
//!
//! The rules and the order are ours ([`order`]); records and their times to live come from `hickory-resolver`.

pub(crate) mod dead;
pub(crate) mod order;

use fax_sip::{Hop, Transport};
use hickory_resolver::config::{ConnectionConfig, NameServerConfig, ResolverConfig};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{RData, RecordType};
use hickory_resolver::{Resolver, TokioResolver};
use order::Service;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

/// What literal addresses and the answers of hosts files are good for.
const LONG: Duration = Duration::from_secs(3_600);

/// Answers are asked for again at least so often, and not more often than this.
const SHORTEST: Duration = Duration::from_secs(5);

/// Servers of one name that are looked at, beyond which nobody goes on failing over.
const MOST: usize = 32;

/// One place where a name can be reached.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Place {
    /// How.
    pub transport: Transport,
    /// Where.
    pub address: SocketAddr,
}

/// What a name comes to.
#[derive(Clone, Debug, Default)]
pub struct Places {
    /// The places, best first.
    pub places: Vec<Place>,
    /// How long that holds.
    pub valid: Duration,
    /// What was asked and answered, a line each.
    pub steps: Vec<String>,
    /// Something could not be asked: no answer, or a server's failure.
    pub troubled: bool,
}

/// Looks names up.
#[derive(Clone, Debug)]
pub struct Locator {
    resolver: Option<TokioResolver>,
    ipv4: bool,
    ipv6: bool,
}

/// The port where none is said (RFC 3261 §19.1.2).
fn default_port(transport: Transport) -> u16 {
    match transport {
        Transport::Udp | Transport::Tcp => 5060,
        Transport::Tls => 5061,
    }
}

/// The label of SRV for a transport (RFC 3263 §4.1).
fn service(transport: Transport) -> &'static str {
    match transport {
        Transport::Udp => "_sip._udp",
        Transport::Tcp => "_sip._tcp",
        Transport::Tls => "_sips._tcp",
    }
}

/// The transport that is said: by a parameter, or by `sips:`, which makes TLS of TCP (RFC 3261 §26.2.2).
fn said(hop: &Hop) -> Option<Transport> {
    match (hop.secure, hop.transport) {
        (true, _) => Some(Transport::Tls),
        (false, transport) => transport,
    }
}

impl Locator {
    /// Asks these servers; none: those of the system.
    ///
    /// # Errors
    ///
    /// When no resolver can be made of the servers given.
    pub fn new(servers: &[SocketAddr]) -> io::Result<Self> {
        let builder = if servers.is_empty() {
            TokioResolver::builder_tokio()
        } else {
            let by = |server: &SocketAddr| {
                let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()].map(|mut connection| {
                    connection.port = server.port();
                    connection
                });
                NameServerConfig::new(server.ip(), true, connections.into())
            };
            let config = ResolverConfig::from_name_servers(servers.iter().map(by).collect());
            Ok(Resolver::builder_with_config(config, TokioRuntimeProvider::default()))
        };
        let built = builder.and_then(|mut builder| {
            builder.options_mut().timeout = Duration::from_secs(2);
            builder.options_mut().attempts = 2;
            builder.options_mut().ip_strategy = hickory_resolver::config::LookupIpStrategy::Ipv4AndIpv6;
            builder.build()
        });
        match built {
            Ok(resolver) => Ok(Locator { resolver: Some(resolver), ipv4: true, ipv6: true }),
            // A machine without DNS still has its hosts file and addresses.
            Err(error) if servers.is_empty() => {
                tracing::warn!(%error, "no DNS servers are known to the system");
                Ok(Locator { resolver: None, ipv4: true, ipv6: true })
            }
            Err(error) => Err(io::Error::new(io::ErrorKind::InvalidInput, error.to_string())),
        }
    }

    /// The same for addresses of these families only.
    #[must_use]
    pub fn with_families(mut self, ipv4: bool, ipv6: bool) -> Self {
        (self.ipv4, self.ipv6) = (ipv4, ipv6);
        self
    }

    /// Finds the places of a hop.
    pub async fn locate(&self, hop: &Hop) -> Places {
        let mut found = Places { valid: LONG, ..Places::default() };
        if let Ok(ip) = hop.host.parse::<IpAddr>() {
            let transport = said(hop).unwrap_or_default();
            let address = SocketAddr::new(ip, hop.port.unwrap_or(default_port(transport)));
            found.steps.push(format!("{ip} is an address"));
            found.places.push(Place { transport, address });
            return found;
        }
        match (hop.port, said(hop)) {
            (Some(port), transport) => {
                let transport = transport.unwrap_or_default();
                self.addresses(&hop.host, port, transport, &mut found).await;
            }
            (None, Some(transport)) => {
                if !self
                    .services(&format!("{}.{}", service(transport), hop.host), transport, &mut found)
                    .await
                {
                    self.addresses(&hop.host, default_port(transport), transport, &mut found).await;
                }
            }
            (None, None) => self.pointers(&hop.host, &mut found).await,
        }
        found.places.truncate(MOST);
        found.valid = found.valid.max(SHORTEST);
        found
    }

    /// NAPTR first, then SRV of each transport, then addresses (RFC 3263 §4.1).
    async fn pointers(&self, host: &str, found: &mut Places) {
        let mut pointed = Vec::new();
        for record in self.records(host, RecordType::NAPTR, found).await {
            let RData::NAPTR(naptr) = record else { continue };
            let transport = match naptr.services.to_ascii_uppercase().as_slice() {
                b"SIP+D2U" => Transport::Udp,
                b"SIP+D2T" => Transport::Tcp,
                b"SIPS+D2T" => Transport::Tls,
                _ => continue,
            };
            if naptr.flags.eq_ignore_ascii_case(b"s") {
                pointed.push((naptr.order, naptr.preference, transport, naptr.replacement.to_utf8()));
            }
        }
        pointed.sort_by_key(|(order, preference, ..)| (*order, *preference));
        let mut any = false;
        for (order, preference, transport, name) in pointed {
            found.steps.push(format!("  {order} {preference} {} → {name}", transport.via()));
            any |= self.services(&name, transport, found).await;
        }
        if any {
            return;
        }
        for transport in [Transport::Udp, Transport::Tcp, Transport::Tls] {
            any |= self.services(&format!("{}.{host}", service(transport)), transport, found).await;
        }
        if !any {
            self.addresses(host, default_port(Transport::Udp), Transport::Udp, found).await;
        }
    }

    /// The servers of a service and their addresses; false where there is no such service.
    async fn services(&self, name: &str, transport: Transport, found: &mut Places) -> bool {
        let mut services = Vec::new();
        for record in self.records(name, RecordType::SRV, found).await {
            if let RData::SRV(srv) = record {
                services.push(Service {
                    priority: srv.priority,
                    weight: srv.weight,
                    port: srv.port,
                    host: srv.target.to_utf8(),
                });
            }
        }
        let there = !services.is_empty();
        let random = |most: u64| rand::random_range(0..=most);
        for one in order::by_priority_and_weight(services, random).into_iter().take(MOST) {
            found.steps.push(format!("  {} {} {} port {}", one.priority, one.weight, one.host, one.port));
            // A single dot: decidedly not available (RFC 2782).
            if one.host != "." {
                self.addresses(&one.host, one.port, transport, found).await;
            }
        }
        there
    }

    async fn addresses(&self, host: &str, port: u16, transport: Transport, found: &mut Places) {
        let looked = match &self.resolver {
            Some(resolver) => match resolver.lookup_ip(host).await {
                Ok(lookup) => {
                    shorten(found, lookup.valid_until());
                    Ok(lookup.iter().map(|ip| SocketAddr::new(ip, port)).collect::<Vec<_>>())
                }
                Err(error) => Err(failure(found, &error)),
            },
            None => match tokio::net::lookup_host((host, port)).await {
                Ok(addresses) => Ok(addresses.collect()),
                Err(error) => Err(error.to_string()),
            },
        };
        match looked {
            Ok(addresses) => {
                for address in order::of_our_families(addresses, self.ipv4, self.ipv6) {
                    found.steps.push(format!("{host} is {}", address.ip()));
                    let place = Place { transport, address };
                    if !found.places.contains(&place) {
                        found.places.push(place);
                    }
                }
            }
            Err(error) => found.steps.push(format!("{host} has no address: {error}")),
        }
    }

    async fn records(&self, name: &str, kind: RecordType, found: &mut Places) -> Vec<RData> {
        let Some(resolver) = &self.resolver else {
            return Vec::new();
        };
        // Whole names only: a search list is for hosts.
        let whole = format!("{}.", name.trim_end_matches('.'));
        match resolver.lookup(whole, kind).await {
            Ok(lookup) => {
                shorten(found, lookup.valid_until());
                let answers: Vec<RData> = lookup.answers().iter().map(|r| r.data.clone()).collect();
                found.steps.push(format!("{kind} of {name}:"));
                answers
            }
            Err(error) => {
                let error = failure(found, &error);
                found.steps.push(format!("{kind} of {name}: {error}"));
                Vec::new()
            }
        }
    }
}

fn shorten(found: &mut Places, until: Instant) {
    found.valid = found.valid.min(until.saturating_duration_since(Instant::now()));
}

/// What a failed look-up says; that there is nothing is an answer, too.
fn failure(found: &mut Places, error: &NetError) -> String {
    if error.is_no_records_found() {
        found.valid = found.valid.min(Duration::from_secs(60));
        "none".to_owned()
    } else {
        found.troubled = true;
        found.valid = SHORTEST;
        error.to_string()
    }
}
