//! From words of the command line to values.
//!
//! Each parser's error says what was expected, with an example: clap puts the word and the option
//! before it. They accept exactly what the API accepts, or more; never less.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use xlb_common::toeplitz::{KEY_BYTES, Key};

use crate::api::types::{AttachMode, BackendSpec, InterfaceSpec, Protocol};

/// A Toeplitz key, as `--hash-key` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HashKey(pub Key);

/// A VIP with its port and protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Vip {
    /// The VIP and its port.
    pub address: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
}

/// `192.0.2.1:80` or `[2001:db8::1]:80`.
pub fn address(word: &str) -> Result<SocketAddr, String> {
    if let Ok(address) = word.parse::<SocketAddr>() {
        return Ok(address);
    }
    Err(match word.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => format!("the port is missing: {ip}:80"),
        Ok(IpAddr::V6(ip)) => format!("the port is missing: [{ip}]:80"),
        Err(_) => address_fault(word),
    })
}

/// Says which half of something like `ADDR:PORT` is wrong.
fn address_fault(word: &str) -> String {
    const EXPECTED: &str = "expected ADDR:PORT, as 192.0.2.1:80 or [2001:db8::1]:80";
    let Some((host, port)) = word.rsplit_once(':') else {
        return EXPECTED.to_owned();
    };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    match (bare.unwrap_or(host).parse::<IpAddr>(), port.parse::<u16>()) {
        (Ok(IpAddr::V6(ip)), Ok(port)) if bare.is_none() => {
            format!("an IPv6 address with a port needs brackets: [{ip}]:{port}")
        }
        (Ok(_), Err(_)) => format!("`{port}` is no port: {EXPECTED}"),
        (Err(_), _) if !host.is_empty() => {
            format!(
                "`{}` is no IP address (names are not looked up): {EXPECTED}",
                bare.unwrap_or(host)
            )
        }
        _ => EXPECTED.to_owned(),
    }
}

/// `192.0.2.1:80/tcp`.
pub fn vip(word: &str) -> Result<Vip, String> {
    const EXPECTED: &str = "expected ADDR:PORT/tcp or ADDR:PORT/udp, as 192.0.2.1:80/tcp";
    let Some((place, protocol)) = word.rsplit_once('/') else {
        return Err(match word.parse::<SocketAddr>() {
            Ok(_) => format!("the protocol is missing: {word}/tcp or {word}/udp"),
            Err(_) => EXPECTED.to_owned(),
        });
    };
    let protocol = match protocol.to_ascii_lowercase().as_str() {
        "tcp" => Protocol::Tcp,
        "udp" => Protocol::Udp,
        _ => return Err(format!("`{protocol}` is neither tcp nor udp: {EXPECTED}")),
    };
    Ok(Vip { address: address(place)?, protocol })
}

/// `10.0.0.11:8080` or `10.0.0.11:8080=3`.
pub fn backend(word: &str) -> Result<BackendSpec, String> {
    let (place, weight) = match word.split_once('=') {
        None => (word, 1),
        Some((place, weight)) => match weight.parse() {
            Ok(weight @ 0..=65_535) => (place, weight),
            _ => return Err(format!("`{weight}` is no weight: expected 0 to 65535")),
        },
    };
    Ok(BackendSpec { address: address(place)?, weight, interface: None })
}

/// `10.1.0.0/16`; an address alone is itself.
pub fn prefix(word: &str) -> Result<String, String> {
    const EXPECTED: &str = "expected ADDR/LENGTH, as 10.1.0.0/16 or 2001:db8::/32";
    let (ip, length) = word.split_once('/').unwrap_or((word, ""));
    let ip: IpAddr = ip.parse().map_err(|_| EXPECTED.to_owned())?;
    let longest = if ip.is_ipv4() { 32 } else { 128 };
    if !word.contains('/') {
        return Ok(format!("{ip}/{longest}"));
    }
    match length.parse::<u8>() {
        Ok(length) if length <= longest => Ok(format!("{ip}/{length}")),
        _ => Err(format!("`{length}` is no length from 0 to {longest}: {EXPECTED}")),
    }
}

/// 1 to 63 of `a-z A-Z 0-9 . _ -`, the first one a letter or a digit.
pub fn service_name(word: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let starts_well = word.starts_with(|c: char| c.is_ascii_alphanumeric());
    if starts_well && word.len() <= 63 && word.chars().all(good) {
        return Ok(word.to_owned());
    }
    Err("expected 1 to 63 of a-z A-Z 0-9 . _ - that start with a letter or a digit".to_owned())
}

/// What the kernel takes as the name of an interface.
pub fn interface_name(word: &str) -> Result<String, String> {
    let bad = |c: char| c == '/' || c == ':' || c == '\0' || c.is_whitespace();
    if word.is_empty() || word.len() > 15 || word == "." || word == ".." || word.contains(bad) {
        return Err("expected an interface's name, as eth0: 1 to 15 bytes, no `/`, no `:`".into());
    }
    Ok(word.to_owned())
}

/// `eth0` or `eth0:native`.
pub fn interface(word: &str) -> Result<InterfaceSpec, String> {
    let (name, mode) = match word.split_once(':') {
        None => (word, AttachMode::Auto),
        Some((name, "auto")) => (name, AttachMode::Auto),
        Some((name, "native")) => (name, AttachMode::Native),
        Some((name, "generic")) => (name, AttachMode::Generic),
        Some((_, mode)) => {
            return Err(format!("`{mode}` is no mode: expected auto, native or generic"));
        }
    };
    Ok(InterfaceSpec { name: interface_name(name)?, mode })
}

/// `2`, `0.5`, `500ms` or `2s`: from a tenth of a second to an hour.
pub fn interval(word: &str) -> Result<Duration, String> {
    let (number, scale) = match (word.strip_suffix("ms"), word.strip_suffix('s')) {
        (Some(number), _) => (number, 0.001),
        (None, Some(number)) => (number, 1.0),
        (None, None) => (word, 1.0),
    };
    match number.parse::<f64>().map(|number| number * scale) {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(Duration::from_secs_f64(seconds)),
        _ => Err("expected seconds, 0.1 to 3600, as 2 or 0.5 or 500ms".to_owned()),
    }
}

/// 80 hex digits; colons and dashes between bytes may stay.
pub fn hash_key(word: &str) -> Result<HashKey, String> {
    let digits: Vec<u8> = word
        .chars()
        .filter(|c| !":-".contains(*c))
        .map(|c| c.to_digit(16).map(|digit| digit as u8))
        .collect::<Option<_>>()
        .ok_or("expected hex digits only")?;
    if digits.len() != 2 * KEY_BYTES {
        return Err(format!("expected {} hex digits, not {}", 2 * KEY_BYTES, digits.len()));
    }
    let mut key = [0; KEY_BYTES];
    for (byte, pair) in key.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = pair[0] << 4 | pair[1];
    }
    Ok(HashKey(key))
}

#[cfg(test)]
mod tests;
