//! Judges what became of any frame whatever: it passed as it was, it was dropped, or it was
//! translated right.
//!
//! A translation is right if the packet is the line's, nothing but its addresses, ports, TTL and
//! checksums changed, and the checksums are off by exactly as much as they were.

use std::net::{IpAddr, SocketAddr};

use etherparse::checksum::Sum16BitWords;
use xlb::dataplane::test_run::Outcome;

use crate::expect::{DROP, PASS, REDIRECT, TRANSMIT};
use crate::world::{Line, OTHER_INTERFACE, POOLS, all_lines};

/// What became of the frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    Passed,
    Dropped,
    HandedUp,
    Sent,
}

/// Says what became of the frame, or what is wrong with it.
pub fn judge(given: &[u8], outcome: &Outcome) -> Result<Fate, String> {
    match outcome.verdict {
        PASS if outcome.frame == given => Ok(Fate::Passed),
        DROP => Ok(Fate::Dropped),
        PASS | TRANSMIT | REDIRECT => translated(given, outcome),
        other => Err(format!("verdict {other}")),
    }
}

fn translated(given: &[u8], outcome: &Outcome) -> Result<Fate, String> {
    let (link, ip) = split(given)?;
    let (new_link, new_ip) = split(&outcome.frame)?;
    if ip.len() != new_ip.len() {
        return Err("the packet's length changed".into());
    }
    let place = Place::find(ip)?;
    let (source, destination) = place.addresses(ip);
    let (lines, protocol) = (all_lines(), place.protocol);
    let of = |line: &&Line, address, end| line.protocol() == protocol && address == end;
    let (at, address, hop) = if let Some(line) = lines.iter().find(|l| of(l, l.vip, destination)) {
        (&place.destination, line.backend, line.pool.hop())
    } else if let Some(line) = lines.iter().find(|l| of(l, l.backend, source)) {
        let on_way = |pool: &&crate::world::Pool| {
            let network = pool.client(destination.is_ipv4(), 0);
            first_bytes(network) == first_bytes(destination.ip())
        };
        let pool = POOLS.iter().find(on_way).unwrap_or(&crate::world::Pool::HandUp);
        (&place.source, line.vip, pool.hop())
    } else {
        return Err("a foreign packet was translated".into());
    };
    let mut wanted = ip.to_vec();
    at.write(&mut wanted, address);
    let handed_up = outcome.verdict == PASS;
    if handed_up {
        if link != new_link {
            return Err("handed up with another link header".into());
        }
    } else {
        wanted[place.ttl] -= 1;
        let expected = if hop.ifindex == OTHER_INTERFACE { REDIRECT } else { TRANSMIT };
        let mut header = [&hop.mac_low.to_ne_bytes()[..], &hop.mac_high.to_ne_bytes()].concat();
        for tag in &hop.tags[..hop.tag_bytes as usize / 4] {
            header.extend(tag.to_ne_bytes());
        }
        header.extend(&link[link.len() - 2..]);
        if outcome.verdict != expected || header != new_link {
            return Err("sent over another next hop".into());
        }
    }
    for checksum in [place.ip_checksum, Some(place.checksum)].into_iter().flatten() {
        wanted[checksum..checksum + 2].copy_from_slice(&new_ip[checksum..checksum + 2]);
    }
    if wanted != new_ip {
        return Err("something else in the packet changed".into());
    }
    place.compare_checksums(ip, new_ip)?;
    Ok(if handed_up { Fate::HandedUp } else { Fate::Sent })
}

/// The part of an address that routes are chosen by.
fn first_bytes(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets()[..2].to_vec(),
        IpAddr::V6(address) => address.octets()[..8].to_vec(),
    }
}

/// Takes a frame apart: the link header with its tags, and the rest.
fn split(frame: &[u8]) -> Result<(&[u8], &[u8]), String> {
    let mut end = 14;
    while end < frame.len()
        && end < 22
        && [[0x81, 0], [0x88, 0xa8]].iter().any(|t| frame[end - 2..end] == *t)
    {
        end += 4;
    }
    frame.split_at_checked(end).ok_or_else(|| "a frame too short to touch".into())
}

/// Where an address and its port are.
struct End {
    address: usize,
    length: usize,
    port: usize,
}

impl End {
    fn read(&self, ip: &[u8]) -> SocketAddr {
        let bytes = &ip[self.address..self.address + self.length];
        let address: IpAddr = match <[u8; 4]>::try_from(bytes) {
            Ok(octets) => octets.into(),
            Err(_) => <[u8; 16]>::try_from(bytes).unwrap().into(),
        };
        SocketAddr::new(address, u16::from_be_bytes([ip[self.port], ip[self.port + 1]]))
    }

    fn write(&self, ip: &mut [u8], address: SocketAddr) {
        let octets = match address.ip() {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        ip[self.address..self.address + self.length].copy_from_slice(&octets);
        ip[self.port..self.port + 2].copy_from_slice(&address.port().to_be_bytes());
    }
}

/// Where things are in a packet.
struct Place {
    protocol: u8,
    source: End,
    destination: End,
    ttl: usize,
    ip_checksum: Option<usize>,
    transport: usize,
    checksum: usize,
    end: usize,
}

impl Place {
    fn find(ip: &[u8]) -> Result<Self, String> {
        let short = || "a packet too short to touch".to_owned();
        let byte = |at: usize| ip.get(at).copied().map(usize::from).ok_or_else(short);
        let (protocol, transport, length, addresses, size);
        if byte(0)? >> 4 == 4 {
            (protocol, transport) = (byte(9)?, 4 * (byte(0)? & 15));
            length = byte(2)? << 8 | byte(3)?;
            (addresses, size) = (12, 4);
        } else {
            let (mut next, mut at) = (byte(6)?, 40);
            while [0, 43, 44, 60].contains(&next) {
                let units = if next == 44 { 0 } else { byte(at + 1)? };
                (next, at) = (byte(at)?, at + 8 * (units + 1));
            }
            (protocol, transport) = (next, at);
            length = 40 + (byte(4)? << 8 | byte(5)?);
            (addresses, size) = (8, 16);
        }
        let header = match protocol {
            6 => 20,
            17 => 8,
            other => return Err(format!("protocol {other} was translated")),
        };
        if length > ip.len() || transport + header > length {
            return Err("a packet that is not all there was translated".into());
        }
        Ok(Self {
            protocol: protocol as u8,
            source: End { address: addresses, length: size, port: transport },
            destination: End { address: addresses + size, length: size, port: transport + 2 },
            ttl: if size == 4 { 8 } else { 7 },
            ip_checksum: (size == 4).then_some(10),
            transport,
            checksum: transport + if protocol == 6 { 16 } else { 6 },
            end: length,
        })
    }

    fn addresses(&self, ip: &[u8]) -> (SocketAddr, SocketAddr) {
        (self.source.read(ip), self.destination.read(ip))
    }

    /// Checksums that were right are right, and those that were wrong are wrong by as much.
    fn compare_checksums(&self, old: &[u8], new: &[u8]) -> Result<(), String> {
        // A sum of 0 is the same as one of 0xffff, in one's complement.
        let sum = |bytes: &[&[u8]]| {
            let sum = bytes.iter().fold(Sum16BitWords::new(), |sum, part| sum.add_slice(part));
            sum.ones_complement() % 0xffff
        };
        if self.ip_checksum.is_some()
            && sum(&[&old[..self.transport]]) != sum(&[&new[..self.transport]])
        {
            return Err("the IP header's checksum is wrong".into());
        }
        let field = |ip: &[u8]| [ip[self.checksum], ip[self.checksum + 1]];
        if self.protocol == 17 {
            match (field(old), field(new)) {
                ([0, 0], [0, 0]) => return Ok(()),
                ([0, 0], _) => return Err("a checksum was made where there was none".into()),
                (_, [0, 0]) => return Err("the checksum was taken away".into()),
                _ => {}
            }
        }
        let addresses = self.source.address..self.destination.address + self.destination.length;
        let all = |ip: &[u8]| sum(&[&ip[addresses.clone()], &ip[self.transport..self.end]]);
        if all(old) != all(new) {
            return Err("the transport header's checksum is wrong".into());
        }
        Ok(())
    }
}
