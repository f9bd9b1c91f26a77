//! The Toeplitz hash that NICs use for receive-side scaling.
//!
//! The input is source address, destination address, source port, destination port, in network
//! order; each set bit adds (xor) a 32-bit window of the key, which starts at the bit's position
//! (Microsoft, "RSS Hashing Functions"). The hash is linear: the xor of what the input's bytes
//! contribute. So there is a table of 256 words for each of the 36 positions, the destination's
//! share is computed once for each service, and a packet pays for its client's bytes only.

use crate::layout::Address;

/// Bytes of a key: 36 of input and 4 for the last window.
pub const KEY_BYTES: usize = 40;
/// A key, in the order in which NICs take it.
pub type Key = [u8; KEY_BYTES];

/// The key of the published verification values, which many drivers use by default.
pub const STANDARD_KEY: Key = [
    0x6d, 0x5a, 0x56, 0xda, 0x25, 0x5b, 0x0e, 0xc2, 0x41, 0x67, 0x25, 0x3d, 0x43, 0xa3, 0x8f, 0xb0,
    0xd0, 0xca, 0x2b, 0xcb, 0xae, 0x7b, 0x30, 0xb4, 0x77, 0xcb, 0x2d, 0xa3, 0x80, 0x30, 0xf2, 0x0c,
    0x6a, 0x42, 0xb7, 0x3b, 0xbe, 0xac, 0x01, 0xfa,
];

/// Positions of the input: 16 + 16 bytes of addresses, 2 + 2 of ports.
pub const POSITIONS: usize = 36;
/// `tables[position][byte]` is that byte's share of the hash.
pub type Tables = [[u32; 256]; POSITIONS];

/// Where IPv4's fields begin in the input.
pub mod v4 {
    /// The client's address (the source).
    pub const CLIENT: usize = 0;
    /// The VIP (the destination).
    pub const VIP: usize = 4;
    /// The client's port.
    pub const CLIENT_PORT: usize = 8;
    /// The service's port.
    pub const VIP_PORT: usize = 10;
}

/// Where IPv6's fields begin in the input.
pub mod v6 {
    /// The client's address (the source).
    pub const CLIENT: usize = 0;
    /// The VIP (the destination).
    pub const VIP: usize = 16;
    /// The client's port.
    pub const CLIENT_PORT: usize = 32;
    /// The service's port.
    pub const VIP_PORT: usize = 34;
}

/// Fills `tables` for `key`.
pub fn fill_tables(key: &Key, tables: &mut Tables) {
    for (position, table) in tables.iter_mut().enumerate() {
        for (byte, entry) in table.iter_mut().enumerate() {
            *entry = (0..8)
                .filter(|bit| byte & (0x80 >> bit) != 0)
                .fold(0, |hash, bit| hash ^ window(key, position * 8 + bit));
        }
    }
}

/// The key's 32 bits from bit `start` on.
fn window(key: &Key, start: usize) -> u32 {
    let byte = start / 8;
    let bits = (0..5).fold(0u64, |bits, i| bits << 8 | u64::from(*key.get(byte + i).unwrap_or(&0)));
    (bits >> (8 - start % 8)) as u32
}

/// The share of `bytes`, the first of which is at `position` of the input.
#[inline(always)]
pub fn share<const N: usize>(tables: &Tables, position: usize, bytes: [u8; N]) -> u32 {
    let mut hash = 0;
    let mut i = 0;
    while i < N {
        hash ^= tables[position + i][bytes[i] as usize];
        i += 1;
    }
    hash
}

/// The client's share, IPv4. `address` and `port` are raw.
#[inline(always)]
pub fn client4(tables: &Tables, address: u32, port: u16) -> u32 {
    share(tables, v4::CLIENT, address.to_ne_bytes())
        ^ share(tables, v4::CLIENT_PORT, port.to_ne_bytes())
}

/// The service's share, IPv4. `address` and `port` are raw.
pub fn vip4(tables: &Tables, address: u32, port: u16) -> u32 {
    share(tables, v4::VIP, address.to_ne_bytes()) ^ share(tables, v4::VIP_PORT, port.to_ne_bytes())
}

/// The client's share, IPv6. `port` is raw.
#[inline(always)]
pub fn client6(tables: &Tables, address: Address, port: u16) -> u32 {
    share(tables, v6::CLIENT, address[0].to_ne_bytes())
        ^ share(tables, v6::CLIENT + 8, address[1].to_ne_bytes())
        ^ share(tables, v6::CLIENT_PORT, port.to_ne_bytes())
}

/// The service's share, IPv6. `port` is raw.
pub fn vip6(tables: &Tables, address: Address, port: u16) -> u32 {
    share(tables, v6::VIP, address[0].to_ne_bytes())
        ^ share(tables, v6::VIP + 8, address[1].to_ne_bytes())
        ^ share(tables, v6::VIP_PORT, port.to_ne_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::net::{Ipv4Addr, Ipv6Addr};

    fn tables(key: &Key) -> Box<Tables> {
        let mut tables = Box::new([[0; 256]; POSITIONS]);
        fill_tables(key, &mut tables);
        tables
    }

    /// The definition, bit by bit, with the key as a shift register.
    fn slow(key: &Key, input: &[u8]) -> u32 {
        let mut register = key.to_vec();
        let mut hash = 0;
        for byte in input {
            for bit in (0..8).rev() {
                if byte >> bit & 1 == 1 {
                    hash ^= u32::from_be_bytes(register[..4].try_into().unwrap());
                }
                let mut carry = 0;
                for byte in register.iter_mut().rev() {
                    let out = *byte >> 7;
                    *byte = *byte << 1 | carry;
                    carry = out;
                }
            }
        }
        hash
    }

    fn raw6(address: &str) -> Address {
        let octets = address.parse::<Ipv6Addr>().unwrap().octets();
        std::array::from_fn(|i| u64::from_ne_bytes(octets[8 * i..8 * i + 8].try_into().unwrap()))
    }

    fn raw4(address: &str) -> u32 {
        u32::from_ne_bytes(address.parse::<Ipv4Addr>().unwrap().octets())
    }

    #[test]
    fn the_published_verification_values_ipv4() {
        let t = tables(&STANDARD_KEY);
        for (vip, vip_port, client, client_port, hash) in [
            ("161.142.100.80", 1766, "66.9.149.187", 2794, 0x51cc_c178),
            ("65.69.140.83", 4739, "199.92.111.2", 14230, 0xc626_b0ea),
            ("12.22.207.184", 38024, "24.19.198.95", 12898, 0x5c2b_394a),
            ("209.142.163.6", 2217, "38.27.205.30", 48228, 0xafc7_327f),
            ("202.188.127.2", 1303, "153.39.163.191", 44251, 0x10e8_28a2),
        ] {
            let got = client4(&t, raw4(client), u16::to_be(client_port))
                ^ vip4(&t, raw4(vip), u16::to_be(vip_port));
            assert_eq!(got, hash, "{client} -> {vip}");
        }
    }

    #[test]
    fn the_published_verification_values_ipv6() {
        let t = tables(&STANDARD_KEY);
        for (vip, vip_port, client, client_port, hash) in [
            ("3ffe:2501:200:3::1", 1766, "3ffe:2501:200:1fff::7", 2794, 0x4020_7d3d),
            ("ff02::1", 4739, "3ffe:501:8::260:97ff:fe40:efab", 14230, 0xdde5_1bbf),
            (
                "fe80::200:f8ff:fe21:67cf",
                38024,
                "3ffe:1900:4545:3:200:f8ff:fe21:67cf",
                44251,
                0x02d1_feef,
            ),
        ] {
            let got = client6(&t, raw6(client), u16::to_be(client_port))
                ^ vip6(&t, raw6(vip), u16::to_be(vip_port));
            assert_eq!(got, hash, "{client} -> {vip}");
        }
    }

    proptest! {
        #[test]
        fn shares_add_up_to_the_definition(key in any::<[u8; 32]>(), rest: [u8; 8], src: u32, dst: u32, sp: u16, dp: u16) {
            let key: Key = [&key[..], &rest[..]].concat().try_into().unwrap();
            let t = tables(&key);
            let mut input = Vec::new();
            input.extend(src.to_ne_bytes());
            input.extend(dst.to_ne_bytes());
            input.extend(sp.to_ne_bytes());
            input.extend(dp.to_ne_bytes());
            prop_assert_eq!(client4(&t, src, sp) ^ vip4(&t, dst, dp), slow(&key, &input));
        }

        #[test]
        fn shares_add_up_to_the_definition_ipv6(src: Address, dst: Address, sp: u16, dp: u16) {
            let t = tables(&STANDARD_KEY);
            let mut input = Vec::new();
            for word in src.iter().chain(&dst) {
                input.extend(word.to_ne_bytes());
            }
            input.extend(sp.to_ne_bytes());
            input.extend(dp.to_ne_bytes());
            prop_assert_eq!(client6(&t, src, sp) ^ vip6(&t, dst, dp), slow(&STANDARD_KEY, &input));
        }
    }
}
