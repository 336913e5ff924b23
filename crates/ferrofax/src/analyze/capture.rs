//! Captures of network traffic, packet by packet: pcap and pcapng over Ethernet, Linux cooked, loopback and raw IP.

use anyhow::{Context, Result, bail};
use etherparse::{EtherType, LaxSlicedPacket, TransportSlice};
use pcap_parser::traits::{PcapNGPacketBlock, PcapReaderIterator};
use pcap_parser::{Block, Linktype, PcapBlockOwned, PcapError, create_reader};
use std::fs::File;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;

/// No packet and no block of a capture is larger.
const LARGEST: usize = 1 << 20;
/// Interfaces of a pcapng section; a file with more is damaged.
const MAX_INTERFACES: usize = 1024;

/// Linux cooked, second version.
const LINUX_SLL2: Linktype = Linktype(276);

/// One UDP datagram.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Datagram {
    /// When, µs since 1970.
    pub(super) at: u64,
    pub(super) from: SocketAddr,
    pub(super) to: SocketAddr,
    pub(super) payload: Vec<u8>,
}

/// How time is counted on an interface, and what its packets begin with.
#[derive(Clone, Copy, Debug)]
struct Interface {
    link: Linktype,
    /// Ticks a second.
    resolution: u64,
    /// Seconds.
    offset: i64,
}

/// A capture that is read from its beginning to its end.
pub(super) struct Capture {
    reader: Box<dyn PcapReaderIterator + Send>,
    interfaces: Vec<Interface>,
    /// What stopped the reading before the end.
    pub(super) damage: Option<String>,
    /// Pieces of datagrams that were sent in several packets: they are not put together.
    pub(super) fragments: u64,
}

impl Capture {
    pub(super) fn open(path: &Path) -> Result<Capture> {
        let file = File::open(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let reader = match create_reader(LARGEST, file) {
            Ok(reader) => reader,
            Err(_) => bail!("{} is no pcap or pcapng file, or is cut short in its header", path.display()),
        };
        Ok(Capture { reader, interfaces: Vec::new(), damage: None, fragments: 0 })
    }

    /// The next UDP datagram; `None` at the end, also where the file is damaged.
    pub(super) fn next(&mut self) -> Option<Datagram> {
        loop {
            let (length, datagram) = match self.reader.next() {
                Ok((length, block)) => (length, take(&mut self.interfaces, &mut self.fragments, &block)),
                Err(PcapError::Eof) => return None,
                Err(PcapError::Incomplete(_)) => match self.reader.refill() {
                    Ok(()) => continue,
                    Err(_) => return self.stop("it is cut short"),
                },
                Err(PcapError::UnexpectedEof) => return self.stop("it is cut short"),
                Err(PcapError::BufferTooSmall) => return self.stop("a packet states an impossible size"),
                Err(PcapError::ReadError) => return self.stop("it cannot be read any further"),
                Err(
                    PcapError::HeaderNotRecognized | PcapError::NomError(..) | PcapError::OwnedNomError(..),
                ) => {
                    return self.stop("it is damaged");
                }
            };
            self.reader.consume(length);
            if datagram.is_some() {
                return datagram;
            }
        }
    }

    fn stop(&mut self, why: &str) -> Option<Datagram> {
        self.damage = Some(why.to_owned());
        None
    }
}

/// The datagram of a block, if it has one; what it says about interfaces is remembered.
fn take(
    interfaces: &mut Vec<Interface>,
    fragments: &mut u64,
    block: &PcapBlockOwned<'_>,
) -> Option<Datagram> {
    match block {
        PcapBlockOwned::LegacyHeader(header) => {
            let resolution = if header.is_nanosecond_precision() { 1_000_000_000 } else { 1_000_000 };
            *interfaces = vec![Interface { link: header.network, resolution, offset: 0 }];
            None
        }
        PcapBlockOwned::Legacy(packet) => {
            let interface = *interfaces.first()?;
            let fraction = u64::from(packet.ts_usec).saturating_mul(1_000_000) / interface.resolution;
            let at = u64::from(packet.ts_sec) * 1_000_000 + fraction;
            udp(at, interface.link, packet.data, fragments)
        }
        PcapBlockOwned::NG(Block::SectionHeader(_)) => {
            interfaces.clear();
            None
        }
        PcapBlockOwned::NG(Block::InterfaceDescription(described)) => {
            if interfaces.len() < MAX_INTERFACES {
                interfaces.push(Interface {
                    link: described.linktype,
                    resolution: described.ts_resolution().unwrap_or(1_000_000).max(1),
                    offset: described.ts_offset(),
                });
            }
            None
        }
        PcapBlockOwned::NG(Block::EnhancedPacket(packet)) => {
            let interface = *interfaces.get(usize::try_from(packet.if_id).ok()?)?;
            let ticks = u64::from(packet.ts_high) << 32 | u64::from(packet.ts_low);
            let micros = u128::from(ticks) * 1_000_000 / u128::from(interface.resolution);
            let offset = interface.offset.saturating_mul(1_000_000);
            let at = u64::try_from(micros).unwrap_or(u64::MAX).saturating_add_signed(offset);
            udp(at, interface.link, packet.packet_data(), fragments)
        }
        // Without a time a packet says nothing about a call; the rest is not about packets.
        PcapBlockOwned::NG(_) => None,
    }
}

/// The UDP datagram in a packet of this link type.
fn udp(at: u64, link: Linktype, octets: &[u8], fragments: &mut u64) -> Option<Datagram> {
    let sliced = packet(link, octets)?;
    let (from, to, fragmented) = match sliced.net.as_ref()? {
        etherparse::LaxNetSlice::Ipv4(ip) => {
            let header = ip.header();
            let (from, to) = (IpAddr::V4(header.source_addr()), IpAddr::V4(header.destination_addr()));
            (from, to, header.is_fragmenting_payload())
        }
        etherparse::LaxNetSlice::Ipv6(ip) => {
            let header = ip.header();
            let (from, to) = (IpAddr::V6(header.source_addr()), IpAddr::V6(header.destination_addr()));
            (from, to, ip.payload().fragmented)
        }
        etherparse::LaxNetSlice::Arp(_) => return None,
    };
    if fragmented {
        *fragments += 1;
        return None;
    }
    match sliced.transport? {
        TransportSlice::Udp(udp) => Some(Datagram {
            at,
            from: SocketAddr::new(from, udp.source_port()),
            to: SocketAddr::new(to, udp.destination_port()),
            payload: udp.payload().to_vec(),
        }),
        TransportSlice::Tcp(_)
        | TransportSlice::Icmpv4(_)
        | TransportSlice::Icmpv6(_)
        | TransportSlice::Igmp(_) => None,
    }
}

/// The layers of a packet of this link type (tcpdump.org/linktypes.html).
fn packet(link: Linktype, octets: &[u8]) -> Option<LaxSlicedPacket<'_>> {
    let ether_type = |at: usize, header: usize| {
        let [high, low] = octets.get(at..at + 2)?.try_into().ok()?;
        let rest = octets.get(header..)?;
        Some(LaxSlicedPacket::from_ether_type(EtherType(u16::from_be_bytes([high, low])), rest))
    };
    match link {
        Linktype::ETHERNET => LaxSlicedPacket::from_ethernet(octets).ok(),
        Linktype::RAW | Linktype::IPV4 | Linktype::IPV6 => LaxSlicedPacket::from_ip(octets).ok(),
        // The address family in four octets, in whatever order.
        Linktype::NULL | Linktype::LOOP => LaxSlicedPacket::from_ip(octets.get(4..)?).ok(),
        Linktype::LINUX_SLL => ether_type(14, 16),
        LINUX_SLL2 => ether_type(0, 20),
        _ => None,
    }
}
