//! Where a NAT shows us: the Binding request of STUN and its answers (RFC 8489 §5, §14). Octets only; who sends them, and
//! when, is the driver's.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// In every message (§5).
const MAGIC: u32 = 0x2112_A442;

const HEADER: usize = 20;
const BINDING_REQUEST: u16 = 0x0001;
const BINDING_SUCCESS: u16 = 0x0101;

const MAPPED_ADDRESS: u16 = 0x0001;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const FINGERPRINT: u16 = 0x8028;

/// What FINGERPRINT is combined with (§14.7).
const FINGERPRINT_XOR: u32 = 0x5354_554E;

/// Names a request; to be drawn by lot.
pub(crate) type TransactionId = [u8; 12];

/// Whether these octets are a STUN message rather than SIP (§6.3: the first two bits, the magic, the length).
pub(crate) fn is_stun(octets: &[u8]) -> bool {
    let length = word(octets, 2).map(|l| usize::from(l) + HEADER);
    octets.first().is_some_and(|o| o & 0xC0 == 0)
        && long(octets, 4) == Some(MAGIC)
        && length == Some(octets.len())
        && octets.len().is_multiple_of(4)
}

/// A Binding request, with FINGERPRINT so that nobody takes it for something else.
pub(crate) fn binding_request(id: &TransactionId) -> [u8; 28] {
    let mut octets = [0; 28];
    let (head, rest) = octets.split_at_mut(HEADER);
    head[..2].copy_from_slice(&BINDING_REQUEST.to_be_bytes());
    head[2..4].copy_from_slice(&8u16.to_be_bytes());
    head[4..8].copy_from_slice(&MAGIC.to_be_bytes());
    head[8..].copy_from_slice(id);
    let check = crc32(head) ^ FINGERPRINT_XOR;
    rest[..2].copy_from_slice(&FINGERPRINT.to_be_bytes());
    rest[2..4].copy_from_slice(&4u16.to_be_bytes());
    rest[4..].copy_from_slice(&check.to_be_bytes());
    octets
}

/// The address that the success response to this request names. `None` for everything else.
pub(crate) fn mapped_address(octets: &[u8], id: &TransactionId) -> Option<SocketAddr> {
    let ours = octets.get(8..HEADER).is_some_and(|i| i == id);
    if !is_stun(octets) || word(octets, 0) != Some(BINDING_SUCCESS) || !ours {
        return None;
    }
    let (mut plain, mut xored) = (None, None);
    let mut at = HEADER;
    while let (Some(kind), Some(length)) = (word(octets, at), word(octets, at + 2)) {
        let value = octets.get(at + 4..at + 4 + usize::from(length))?;
        match kind {
            MAPPED_ADDRESS => plain = plain.or(address(value, None)),
            XOR_MAPPED_ADDRESS => xored = xored.or(address(value, Some(id))),
            FINGERPRINT => {
                let want = crc32(octets.get(..at)?) ^ FINGERPRINT_XOR;
                // It is the last one (§14.7).
                return (long(value, 0) == Some(want)).then_some(xored.or(plain)?);
            }
            // USERNAME, integrity, errors, realms and nonces say nothing of the address; who must understand another
            // does not understand the answer (§14).
            0x0006 | 0x0008 | 0x0009 | 0x000A | 0x0014 | 0x0015 | 0x001C | 0x001D | 0x001E => {}
            kind if kind < 0x8000 => return None,
            _ => {}
        }
        at += 4 + usize::from(length).next_multiple_of(4);
    }
    xored.or(plain)
}

/// An address attribute, plain or combined with magic and transaction (§14.1, §14.2).
fn address(value: &[u8], id: Option<&TransactionId>) -> Option<SocketAddr> {
    let mut mask = [0u8; 16];
    if let Some(id) = id {
        let (magic, rest) = mask.split_at_mut(4);
        magic.copy_from_slice(&MAGIC.to_be_bytes());
        rest.copy_from_slice(id);
    }
    let port = word(value, 2)? ^ u16::from_be_bytes([mask[0], mask[1]]);
    let rest = value.get(4..)?;
    let ip: IpAddr = match (*value.get(1)?, rest.len()) {
        (1, 4) => {
            let bits = u32::from_be_bytes(rest.try_into().ok()?);
            let [a, b, c, d, ..] = mask;
            Ipv4Addr::from_bits(bits ^ u32::from_be_bytes([a, b, c, d])).into()
        }
        (2, 16) => {
            let bits = u128::from_be_bytes(rest.try_into().ok()?);
            Ipv6Addr::from_bits(bits ^ u128::from_be_bytes(mask)).into()
        }
        _ => return None,
    };
    Some(SocketAddr::new(ip, port))
}

fn word(octets: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(octets.get(at..at + 2)?.try_into().ok()?))
}

fn long(octets: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_be_bytes(octets.get(at..at + 4)?.try_into().ok()?))
}

/// The CRC of ITU-T V.42, as in Ethernet.
fn crc32(octets: &[u8]) -> u32 {
    let step = |mut crc: u32, octet: &u8| {
        crc ^= u32::from(*octet);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
        crc
    };
    !octets.iter().fold(u32::MAX, step)
}

/// What a request is named, as a server reads it.
#[cfg(test)]
pub(super) fn answer_to(request: &[u8]) -> Option<TransactionId> {
    let asked = is_stun(request) && word(request, 0) == Some(BINDING_REQUEST);
    request.get(8..HEADER).filter(|_| asked)?.try_into().ok()
}

/// A server's answer.
#[cfg(test)]
pub(super) fn binding_success(id: &TransactionId, seen: SocketAddr) -> Vec<u8> {
    let mut value = vec![0, if seen.is_ipv4() { 1 } else { 2 }];
    value.extend((seen.port() ^ (MAGIC >> 16) as u16).to_be_bytes());
    let mask = [&MAGIC.to_be_bytes()[..], id].concat();
    let ip = match seen.ip() {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    value.extend(ip.iter().zip(&mask).map(|(a, b)| a ^ b));
    let mut octets = BINDING_SUCCESS.to_be_bytes().to_vec();
    octets.extend((value.len() as u16 + 4).to_be_bytes());
    octets.extend(mask);
    octets.extend(XOR_MAPPED_ADDRESS.to_be_bytes());
    octets.extend((value.len() as u16).to_be_bytes());
    octets.extend(value);
    octets
}

#[cfg(test)]
mod tests;
