//! Whether a value is right by itself: names, addresses, weights, slots, prefixes.
//!
//! What needs the other services to be known (duplicates, loops, room) is checked where the change
//! is made. Every check says what is wrong with the value and what would be right.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use ipnet::IpNet;
use xlb_common::layout::SLOT_RANGE;

use super::{Backend, Part, Rejection};
use crate::api::types::{BackendSpec, ServiceSpec};

/// Largest weight of a backend.
pub const WEIGHT_MAX: u32 = 65_535;
/// Longest name of a service, in bytes.
pub const NAME_MAX: usize = 63;
/// Longest name of an interface, in bytes: the kernel's limit.
pub const INTERFACE_NAME_MAX: usize = 15;

const ENDPOINT_HELP: &str = "expected ADDRESS:PORT, as in 192.0.2.1:80 or [2001:db8::1]:80";

/// Reads an address and port as the command line and the API's paths have them.
pub fn parse_endpoint(what: &str, text: &str) -> Result<SocketAddr, Rejection> {
    text.parse().map_err(|_| {
        let help = match text.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => format!("the port is missing: {address}:80, for example"),
            Ok(IpAddr::V6(address)) => format!("the port is missing: [{address}]:80, for example"),
            Err(_) => ENDPOINT_HELP.to_owned(),
        };
        Rejection::invalid(format!("{what} {text:?} is not an address with a port"), help)
    })
}

/// Checks the name of a service.
pub(super) fn service_name(name: &str) -> Result<(), Rejection> {
    let good = (1..=NAME_MAX).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_alphanumeric())
        && name.chars().all(|c| c.is_ascii_alphanumeric() || "._-".contains(c));
    if good {
        return Ok(());
    }
    Err(Rejection::invalid(
        format!("{name:?} can't be the name of a service"),
        format!(
            "a name is 1 to {NAME_MAX} letters, digits, '.', '_' or '-' (ASCII) and begins with a \
             letter or a digit"
        ),
    ))
}

/// Checks the name of an interface by the kernel's own rules.
pub(super) fn interface_name(name: &str) -> Result<(), Rejection> {
    let good = (1..=INTERFACE_NAME_MAX).contains(&name.len())
        && name != "."
        && name != ".."
        && !name.contains(|c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control());
    if good {
        return Ok(());
    }
    Err(Rejection::invalid(
        format!("{name:?} can't be the name of an interface"),
        format!(
            "a name is 1 to {INTERFACE_NAME_MAX} bytes without '/', ':' or white space; \
             `ip link` lists the interfaces"
        ),
    ))
}

/// Checks a VIP or a backend's address, whichever `what` says.
fn endpoint(what: &str, endpoint: SocketAddr) -> Result<(), Rejection> {
    let refuse = |why: &str, help: &str| {
        Err(Rejection::invalid(format!("{what} {endpoint}: {why}"), help.to_owned()))
    };
    const OTHER: &str = "use the unicast address that the other machines reach it by";
    if endpoint.port() == 0 {
        return refuse("port 0 can't be balanced", "give the port, 1 to 65535");
    }
    match endpoint.ip() {
        IpAddr::V4(address) => match address {
            Ipv4Addr::BROADCAST => refuse("a broadcast address is no single machine", OTHER),
            _ if address.octets()[0] == 0 => {
                refuse("0.0.0.0/8 (unspecified) is not an address packets can be sent to", OTHER)
            }
            _ if address.is_loopback() => {
                refuse("a loopback address is not reachable from other machines", OTHER)
            }
            _ if address.is_multicast() => refuse("a multicast address is a group", OTHER),
            _ if address.is_link_local() => {
                refuse("a link-local address means something else on every link", OTHER)
            }
            _ => Ok(()),
        },
        IpAddr::V6(address) => {
            if let Some(inner) = address.to_ipv4_mapped() {
                let help =
                    format!("write it as {}", SocketAddr::new(inner.into(), endpoint.port()));
                return refuse("an IPv4-mapped address is never on the wire", &help);
            }
            if let SocketAddr::V6(v6) = endpoint
                && (v6.scope_id() != 0 || v6.flowinfo() != 0)
            {
                return refuse("an address with a scope is link-local", OTHER);
            }
            match address {
                _ if address.is_unspecified() => {
                    refuse("the unspecified address is not one packets can be sent to", OTHER)
                }
                _ if address.is_loopback() => {
                    refuse("a loopback address is not reachable from other machines", OTHER)
                }
                _ if address.is_multicast() => refuse("a multicast address is a group", OTHER),
                _ if address.is_unicast_link_local() => {
                    refuse("a link-local address means something else on every link", OTHER)
                }
                _ => Ok(()),
            }
        }
    }
}

/// Checks a weight.
pub(super) fn weight(weight: u32) -> Result<(), Rejection> {
    if weight <= WEIGHT_MAX {
        return Ok(());
    }
    Err(Rejection::invalid(
        format!("weight {weight} is out of range"),
        format!("a weight is 0 to {WEIGHT_MAX}; 0 takes no new flows"),
    ))
}

/// Checks a backend of a service with this VIP.
pub(super) fn backend(vip: SocketAddr, spec: &BackendSpec) -> Result<(), Rejection> {
    endpoint("backend", spec.address)?;
    if vip.is_ipv4() != spec.address.is_ipv4() {
        let family = if vip.is_ipv4() { "IPv4" } else { "IPv6" };
        return Err(Rejection::invalid(
            format!("backend {} is not of the VIP's family ({vip})", spec.address),
            format!(
                "an {family} VIP needs {family} backends: nat mode does not translate between \
                 families"
            ),
        ));
    }
    if vip == spec.address {
        return Err(Rejection::invalid(
            format!("backend {} is the VIP itself", spec.address),
            "give the address of the real server: packets to the VIP would come back for ever",
        ));
    }
    weight(spec.weight).map_err(|r| r.of(&format!("backend {}", spec.address)))?;
    match &spec.interface {
        Some(name) => interface_name(name).map_err(|r| r.of(&format!("backend {}", spec.address))),
        None => Ok(()),
    }
}

/// Reads the prefixes of `direct`.
fn direct(vip: SocketAddr, prefixes: &[String]) -> Result<Vec<IpNet>, Rejection> {
    let mut seen = HashSet::new();
    let read = |text: &String| {
        let wrong = |why: String, help: String| {
            Err(Rejection::invalid(format!("direct prefix {text:?} {why}"), help))
        };
        let example = if vip.is_ipv4() { "10.1.0.0/16" } else { "2001:db8:1::/48" };
        let Ok(net) = text.parse::<IpNet>() else {
            let help = format!("expected PREFIX/LENGTH, as in {example}");
            return wrong("is not a prefix".into(), help);
        };
        if net.addr().is_ipv4() != vip.is_ipv4() {
            let help = format!("clients of {vip} have addresses as in {example}");
            return wrong("is not of the VIP's family".into(), help);
        }
        if net != net.trunc() {
            return wrong("has bits set after its length".into(), format!("write {}", net.trunc()));
        }
        if net.prefix_len() == 0 {
            let help = "list only the clients that talk to the backends past the VIP".into();
            return wrong("would make every client a direct one".into(), help);
        }
        if !seen.insert(net) {
            return wrong("is there twice".into(), "remove one".into());
        }
        Ok(net)
    };
    prefixes.iter().map(read).collect()
}

/// What [`service`] has read.
pub(super) struct Checked {
    pub(super) direct: Vec<IpNet>,
    pub(super) warnings: Vec<String>,
}

/// Checks all of a service that can be checked without the others.
pub(super) fn service(spec: &ServiceSpec) -> Result<Checked, Rejection> {
    service_name(&spec.name).map_err(|r| r.part(Part::Name))?;
    checked(spec).map_err(|r| r.of(&format!("service {}", spec.name)))
}

fn checked(spec: &ServiceSpec) -> Result<Checked, Rejection> {
    let mut warnings = Vec::new();
    endpoint("VIP", spec.vip).map_err(|r| r.part(Part::Vip))?;
    if !SLOT_RANGE.contains(&spec.slots) {
        return Err(Rejection::invalid(
            format!("{} slots are out of range", spec.slots),
            format!(
                "{} to {} slots, best a prime of at least 100 times the backends",
                SLOT_RANGE.start(),
                SLOT_RANGE.end()
            ),
        )
        .part(Part::Slots));
    }
    if !is_prime(spec.slots) {
        // The range's end is a prime, so there is always one.
        let next = (spec.slots..=*SLOT_RANGE.end()).find(|&n| is_prime(n)).unwrap_or(spec.slots);
        warnings.push(format!(
            "service {}: {} slots are not a prime: spread and balance suffer; {next} is one",
            spec.name, spec.slots
        ));
    }
    let direct = direct(spec.vip, &spec.direct).map_err(|r| r.part(Part::Direct))?;
    let mut seen = HashSet::new();
    for backend_spec in &spec.backends {
        let part = Part::Backend(backend_spec.address);
        backend(spec.vip, backend_spec).map_err(|r| r.part(part))?;
        if !seen.insert(backend_spec.address) {
            return Err(Rejection::invalid(
                format!("backend {} is there twice", backend_spec.address),
                "list every backend once; a larger weight gives it a larger share",
            )
            .part(part));
        }
    }
    Ok(Checked { direct, warnings })
}

/// Things about a pool that work but that the operator should know of.
pub(super) fn pool_warnings(name: &str, slots: u32, backends: &[Backend]) -> Vec<String> {
    let weighted = backends.iter().filter(|backend| backend.weight > 0).count();
    if weighted == 0 && !backends.is_empty() {
        return vec![format!(
            "service {name}: every weight is 0, so no backend takes packets and they are dropped"
        )];
    }
    if weighted * 100 > slots as usize {
        return vec![format!(
            "service {name}: {slots} slots for {weighted} backends: shares will be off by more \
             than 1%; recreate it with at least {} slots",
            weighted * 100
        )];
    }
    Vec::new()
}

fn is_prime(n: u32) -> bool {
    n >= 2 && (2..).take_while(|d| d * d <= n).all(|d| !n.is_multiple_of(d))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn primes_are_told_apart() {
        let primes: Vec<u32> = (0..30).filter(|&n| is_prime(n)).collect();
        assert_eq!(primes, [2, 3, 5, 7, 11, 13, 17, 19, 23, 29]);
        assert!(is_prime(xlb_common::layout::DEFAULT_SLOTS));
        assert!(is_prime(*SLOT_RANGE.end()) && is_prime(*SLOT_RANGE.start()));
        assert!(!is_prime(65_536));
    }
}
