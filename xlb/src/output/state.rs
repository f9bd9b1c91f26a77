//! Words for how services, backends and interfaces are, and how good that is.
//!
//! `status`, `service list` and `top` say the same words for the same thing.

use crate::api::types::{AttachMode, BackendStatus, InterfaceStatus, ServiceStatus};

use super::Tone;
use super::units;

/// A word and how good it is.
pub type Said = (String, Tone);

/// How a service is; the worst thing counts.
pub fn service(service: &ServiceStatus) -> Said {
    let unreachable = service.backends.iter().filter(|b| b.next_hop == "no route").count();
    if service.backends.is_empty() {
        return ("no backends".into(), Tone::Bad);
    }
    if service.backends.iter().all(|b| b.share <= 0.0) {
        return ("all weights 0".into(), Tone::Bad);
    }
    if unreachable == service.backends.len() {
        return ("no route".into(), Tone::Bad);
    }
    if unreachable > 0 {
        return (format!("{unreachable} no route"), Tone::Warn);
    }
    if service.slots_moving > 0 {
        let share = f64::from(service.slots_moving) / f64::from(service.slots.max(1));
        return (format!("moving {}", units::percent(share)), Tone::Warn);
    }
    if service.slots_settled > 0 {
        return ("settling".into(), Tone::Good);
    }
    ("ok".into(), Tone::Good)
}

/// How a backend is reached.
pub fn next_hop(backend: &BackendStatus) -> Said {
    let tone = match backend.next_hop.as_str() {
        "resolved" => Tone::Good,
        "no route" => Tone::Bad,
        _ => Tone::Warn,
    };
    (backend.next_hop.clone(), tone)
}

/// How an interface is attached.
pub fn attached(interface: &InterfaceStatus) -> Said {
    let tone = match (interface.attached.as_str(), interface.wanted) {
        ("native", _) => Tone::Good,
        ("generic", AttachMode::Generic) => Tone::Good,
        ("generic", _) => Tone::Warn,
        _ => Tone::Bad,
    };
    (interface.attached.clone(), tone)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::types::{Announce, Mode, Protocol};

    fn backend(share: f64, next_hop: &str) -> BackendStatus {
        BackendStatus {
            address: "10.0.0.1:80".parse().unwrap(),
            weight: 1,
            interface: None,
            share,
            next_hop: next_hop.into(),
            via: None,
        }
    }

    fn with(backends: Vec<BackendStatus>) -> ServiceStatus {
        ServiceStatus {
            name: "web".into(),
            vip: "192.0.2.1:80".parse().unwrap(),
            protocol: Protocol::Tcp,
            mode: Mode::Nat,
            announce: Announce::Arp,
            direct: vec![],
            slots: 1000,
            slots_moving: 0,
            slots_settled: 0,
            backends,
        }
    }

    #[test]
    fn the_worst_thing_counts() {
        let said = |s: &ServiceStatus| service(s).0;
        assert_eq!(said(&with(vec![])), "no backends");
        assert_eq!(said(&with(vec![backend(0.0, "resolved")])), "all weights 0");
        assert_eq!(said(&with(vec![backend(1.0, "no route")])), "no route");
        let mixed = with(vec![backend(0.5, "no route"), backend(0.5, "resolved")]);
        assert_eq!(said(&mixed), "1 no route");
        let mut moving = with(vec![backend(1.0, "resolved")]);
        assert_eq!(service(&moving), ("ok".into(), Tone::Good));
        moving.slots_settled = 10;
        assert_eq!(said(&moving), "settling");
        moving.slots_moving = 125;
        assert_eq!(said(&moving), "moving 12.5%");
    }

    #[test]
    fn generic_is_a_warning_unless_it_was_asked_for() {
        let mut interface = InterfaceStatus {
            name: "eth0".into(),
            ifindex: Some(2),
            wanted: AttachMode::Auto,
            attached: "generic".into(),
            mtu: Some(1500),
            problem: None,
        };
        assert_eq!(attached(&interface).1, Tone::Warn);
        interface.wanted = AttachMode::Generic;
        assert_eq!(attached(&interface).1, Tone::Good);
        interface.attached = "none".into();
        assert_eq!(attached(&interface).1, Tone::Bad);
    }
}
