//! Frames for the benchmark: the least that a real stack would send, with right checksums.

use std::net::{IpAddr, SocketAddr};

/// A TCP or UDP frame with 40 bytes of payload, enough for the wrapper to restore.
pub fn frame(protocol: u8, flags: u8, from: SocketAddr, to: SocketAddr) -> Vec<u8> {
    let payload = [0x5a; 40];
    let transport = transport(protocol, flags, from, to, &payload);
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
    match (from.ip(), to.ip()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            frame.extend(0x0800u16.to_be_bytes());
            let length = 20 + transport.len() as u16;
            let mut header =
                [0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, protocol, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
            header[2..4].copy_from_slice(&length.to_be_bytes());
            header[12..16].copy_from_slice(&source.octets());
            header[16..20].copy_from_slice(&destination.octets());
            let checksum = !sum(&header, 0);
            header[10..12].copy_from_slice(&checksum.to_be_bytes());
            frame.extend(header);
        }
        (source, destination) => {
            frame.extend(0x86ddu16.to_be_bytes());
            frame.extend([0x60, 0, 0, 0]);
            frame.extend((transport.len() as u16).to_be_bytes());
            frame.extend([protocol, 64]);
            frame.extend(octets(source));
            frame.extend(octets(destination));
        }
    }
    frame.extend(transport);
    frame
}

fn transport(protocol: u8, flags: u8, from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let mut bytes = [from.port().to_be_bytes(), to.port().to_be_bytes()].concat();
    let checksum_at = if protocol == 6 {
        bytes.extend([0, 0, 0x10, 0, 0, 0, 0x20, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
        16
    } else {
        bytes.extend((8 + payload.len() as u16).to_be_bytes());
        bytes.extend([0, 0]);
        6
    };
    bytes.extend(payload);
    let pseudo = [octets(from.ip()), octets(to.ip())].concat();
    let checksum = !sum(&bytes, sum(&pseudo, u64::from(protocol) + bytes.len() as u64).into());
    bytes[checksum_at..checksum_at + 2].copy_from_slice(&checksum.to_be_bytes());
    bytes
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The Internet checksum's sum of big-endian words (RFC 1071), of an even number of bytes.
fn sum(bytes: &[u8], start: u64) -> u16 {
    let mut sum = start
        + bytes
            .chunks_exact(2)
            .map(|pair| u64::from(u16::from_be_bytes([pair[0], pair[1]])))
            .sum::<u64>();
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    sum as u16
}
