//! What is refused and in which words, and what each change does to the model.

use xlb_common::layout::DEFAULT_SLOT_CAPACITY;

use super::*;
use crate::api::types::InterfaceSpec;

pub(super) fn backend(address: &str) -> BackendSpec {
    BackendSpec { address: address.parse().unwrap(), weight: 1, interface: None }
}

pub(super) fn service(name: &str, vip: &str, backends: &[&str]) -> ServiceSpec {
    ServiceSpec {
        name: name.into(),
        vip: vip.parse().unwrap(),
        protocol: Protocol::Tcp,
        mode: Mode::Nat,
        slots: 251,
        announce: Announce::Arp,
        direct: Vec::new(),
        backends: backends.iter().map(|address| backend(address)).collect(),
    }
}

fn model() -> Model {
    let mut model = Model::new(DEFAULT_SLOT_CAPACITY);
    model
        .add_service(&service("web", "192.0.2.1:80", &["10.0.0.1:8080", "10.0.0.2:8080"]))
        .unwrap();
    model.add_service(&service("web6", "[2001:db8::1]:80", &["[2001:db8:1::1]:80"])).unwrap();
    let udp = service("dns", "192.0.2.1:53", &["10.0.0.1:53"]);
    model.add_service(&ServiceSpec { protocol: Protocol::Udp, ..udp }).unwrap();
    let interface = InterfaceSpec { name: "eth0".into(), mode: AttachMode::Auto };
    model.add_interface(&interface).unwrap();
    model
}

use RejectionKind::{Conflict, Invalid, NotFound};

/// Makes a change that must be refused with these words in the error and the help.
#[track_caller]
fn refused(
    change: impl FnOnce(&mut Model) -> Result<Effect, Rejection>,
    kind: RejectionKind,
    error: &str,
    help: &str,
) {
    let before = model();
    let mut after = before.clone();
    let rejection = change(&mut after).unwrap_err();
    assert_eq!(after, before, "a refused change must change nothing");
    assert_eq!(rejection.kind, kind, "{rejection:?}");
    assert!(rejection.error.contains(error), "{rejection:?}");
    assert!(rejection.help.contains(help), "{rejection:?}");
}

#[track_caller]
fn service_refused(spec: ServiceSpec, kind: RejectionKind, error: &str, help: &str) {
    refused(|model| model.add_service(&spec), kind, error, help);
    // A whole list is refused for the same reasons.
    let all: Vec<ServiceSpec> = model().services().map(|s| s.spec()).chain([spec]).collect();
    if kind == Invalid {
        refused(|model| model.apply_services(&all), kind, error, help);
    }
}

#[test]
fn a_bad_vip_is_refused() {
    for (vip, error) in [
        ("192.0.2.9:0", "port 0"),
        ("[2001:db8::9]:0", "port 0"),
        ("0.0.0.0:80", "unspecified"),
        ("0.1.2.3:80", "unspecified"),
        ("[::]:80", "unspecified"),
        ("127.0.0.1:80", "loopback"),
        ("[::1]:80", "loopback"),
        ("224.0.0.1:80", "multicast"),
        ("[ff02::1]:80", "multicast"),
        ("255.255.255.255:80", "broadcast"),
        ("169.254.1.1:80", "link-local"),
        ("[fe80::1]:80", "link-local"),
        ("[2001:db8::1%2]:80", "scope"),
        ("[::ffff:192.0.2.9]:80", "IPv4-mapped"),
    ] {
        service_refused(service("new", vip, &[]), Invalid, error, "");
        let vip: SocketAddr = vip.parse().unwrap();
        if vip.port() > 0 {
            let address = BackendSpec { address: vip, ..backend("10.0.0.9:1") };
            let name = if vip.is_ipv4() { "web" } else { "web6" };
            refused(|model| model.add_backend(name, &address), Invalid, error, "");
        }
    }
    service_refused(service("new", "[::ffff:192.0.2.9]:80", &[]), Invalid, "", "192.0.2.9:80");
}

#[test]
fn a_bad_name_is_refused() {
    for name in ["", "-web", ".web", "we b", "we/b", "wéb", "web\n", &"x".repeat(64)] {
        service_refused(service(name, "192.0.2.9:80", &[]), Invalid, "name", "1 to 63");
    }
    model().add_service(&service(&"x".repeat(63), "192.0.2.9:80", &[])).unwrap();
    for name in ["", ".", "..", "eth 0", "a/b", "eth0:1", "sixteen-bytes-xx", "eth0\0"] {
        let spec = InterfaceSpec { name: name.into(), mode: AttachMode::Auto };
        refused(|model| model.add_interface(&spec), Invalid, "interface", "1 to 15");
        let spec = BackendSpec { interface: Some(name.into()), ..backend("10.0.0.9:80") };
        refused(|model| model.add_backend("web", &spec), Invalid, "interface", "1 to 15");
    }
}

#[test]
fn a_pool_that_does_not_fit_its_vip_is_refused() {
    let new = |backends: &[&str]| service("new", "192.0.2.9:80", backends);
    service_refused(new(&["[2001:db8::9]:80"]), Invalid, "family", "IPv4 backends");
    service_refused(
        service("new", "[2001:db8::9]:80", &["10.0.0.9:80"]),
        Invalid,
        "family",
        "IPv6",
    );
    service_refused(new(&["10.0.0.9:0"]), Invalid, "port 0", "1 to 65535");
    service_refused(new(&["10.0.0.9:80", "10.0.0.9:80"]), Invalid, "twice", "once");
    service_refused(new(&["192.0.2.9:80"]), Invalid, "VIP itself", "real server");
    service_refused(new(&["192.0.2.9:81"]), Conflict, "address of the VIP", "this node");
    let mut heavy = new(&["10.0.0.9:80"]);
    heavy.backends[0].weight = 65_536;
    service_refused(heavy.clone(), Invalid, "weight 65536", "0 to 65535");
    refused(|model| model.add_backend("web", &heavy.backends[0]), Invalid, "65536", "0 to 65535");
    let first = "10.0.0.1:8080".parse().unwrap();
    refused(|model| model.set_weight("web", first, 65_536), Invalid, "65536", "0 to 65535");
}

#[test]
fn what_clashes_with_another_service_is_refused() {
    service_refused(service("web", "192.0.2.9:80", &[]), Conflict, "already", "another name");
    service_refused(service("new", "192.0.2.1:80", &[]), Conflict, "VIP of service web", "one");
    service_refused(service("new", "10.0.0.1:8080", &[]), Conflict, "of service web: a loop", "");
    service_refused(service("new", "10.0.0.1:99", &[]), Conflict, "of backend", "announce");
    let taken = service("new", "192.0.2.9:80", &["10.0.0.1:8080"]);
    service_refused(taken, Conflict, "already a backend of service web", "replies");
    let looped = service("new", "192.0.2.9:80", &["192.0.2.1:80"]);
    service_refused(looped, Conflict, "VIP of service web: a loop", "real server");
    let own = service("new", "192.0.2.9:80", &["192.0.2.1:9999"]);
    service_refused(own, Conflict, "address of the VIP", "this node");

    let add = |address: &'static str| move |m: &mut Model| m.add_backend("web", &backend(address));
    refused(add("10.0.0.1:8080"), Conflict, "already a backend of service web", "");
    refused(add("192.0.2.1:80"), Invalid, "VIP itself", "");
    refused(add("192.0.2.1:81"), Conflict, "address of the VIP", "");

    // The other protocol is another service, and a routed VIP is nobody's own address.
    let mut model = model();
    let udp = service("udp", "192.0.2.1:80", &["10.0.0.1:8080"]);
    model.add_service(&ServiceSpec { protocol: Protocol::Udp, ..udp }).unwrap();
    let routed = service("routed", "10.0.0.1:80", &["10.0.0.1:81"]);
    model.add_service(&ServiceSpec { announce: Announce::None, ..routed }).unwrap();
}

#[test]
fn bad_slots_and_prefixes_are_refused() {
    for slots in [0, 6, 1_048_574, u32::MAX] {
        let spec = ServiceSpec { slots, ..service("new", "192.0.2.9:80", &[]) };
        service_refused(spec, Invalid, "slots", "7 to 1048573");
    }
    for (prefix, error, help) in [
        ("10.0.0.1", "not a prefix", "10.1.0.0/16"),
        ("10.0.0.0/33", "not a prefix", ""),
        ("somewhere", "not a prefix", ""),
        ("2001:db8::/32", "family", "10.1.0.0/16"),
        ("10.1.2.3/16", "bits", "write 10.1.0.0/16"),
        ("0.0.0.0/0", "every client", ""),
    ] {
        let mut spec = service("new", "192.0.2.9:80", &[]);
        spec.direct = vec![prefix.into()];
        service_refused(spec.clone(), Invalid, error, help);
    }
    let mut spec = service("new", "192.0.2.9:80", &[]);
    spec.direct = vec!["10.1.0.0/16".into(), "10.1.0.0/16".into()];
    service_refused(spec, Invalid, "twice", "");
}

#[test]
fn unknown_names_suggest_the_near_one() {
    let first: SocketAddr = "10.0.0.1:8080".parse().unwrap();
    let dns: SocketAddr = "10.0.0.1:53".parse().unwrap();
    refused(|m| m.remove_service("wbe"), NotFound, "\"wbe\"", "did you mean web?");
    refused(|m| m.remove_service("mail"), NotFound, "mail", "xlb service list");
    refused(|m| m.add_backend("wbe", &backend("10.0.0.9:80")), NotFound, "wbe", "web?");
    refused(|m| m.set_weight("wbe", first, 1), NotFound, "wbe", "web?");
    refused(|m| m.set_weight("web", dns, 1), NotFound, "10.0.0.1:53", "backend list web");
    let near = "10.0.0.1:8081".parse().unwrap();
    refused(|m| m.remove_backend("web", near), NotFound, "8081", "did you mean 10.0.0.1:8080?");
    refused(|m| m.remove_interface("eth1"), NotFound, "eth1", "did you mean eth0?");
    refused(|m| m.remove_interface("wlan9"), NotFound, "wlan9", "attached to: eth0");
    let again = InterfaceSpec { name: "eth0".into(), mode: AttachMode::Native };
    refused(|m| m.add_interface(&again), Conflict, "already", "xlb detach");

    let mut other = model();
    other.add_service(&service("api", "192.0.2.1:81", &["10.0.0.7:81"])).unwrap();
    let moved = other.remove_backend("web", "10.0.0.7:81".parse().unwrap()).unwrap_err();
    assert_eq!(moved.help, "it is a backend of service api");
}

#[test]
fn too_many_of_anything_is_refused() {
    let mut small = Model::new(512);
    small.add_service(&service("a", "192.0.2.1:1", &[])).unwrap();
    small.add_service(&service("b", "192.0.2.1:2", &[])).unwrap();
    let before = small.clone();
    let full = small.add_service(&service("c", "192.0.2.1:3", &[])).unwrap_err();
    assert_eq!((full.kind, &small), (Conflict, &before));
    assert!(full.error.contains("512 of 512") && !full.help.contains("try again"), "{full:?}");
    small.remove_service("a").unwrap();
    let waits = small.add_service(&service("c", "192.0.2.1:3", &[])).unwrap_err();
    assert!(waits.help.contains("try again"), "{waits:?}");
    small.release_retired();
    small.add_service(&service("c", "192.0.2.1:3", &[])).unwrap();

    let mut model = Model::new(u32::MAX);
    let vip = |i: usize| format!("192.0.2.1:{}", i + 1);
    for i in 0..SERVICES {
        model.add_service(&service(&format!("s{i}"), &vip(i), &[])).unwrap();
    }
    let full = model.add_service(&service("one-more", &vip(SERVICES), &[])).unwrap_err();
    assert!(full.kind == Conflict && full.error.contains("4096 services"), "{full:?}");

    let addresses: Vec<String> = (1..TARGETS).map(|port| format!("10.0.0.1:{port}")).collect();
    let addresses: Vec<&str> = addresses.iter().map(String::as_str).collect();
    let mut model = Model::new(DEFAULT_SLOT_CAPACITY);
    model.add_service(&service("big", "192.0.2.1:1", &addresses)).unwrap();
    let before = model.clone();
    let full = model.add_backend("big", &backend("10.0.0.2:1")).unwrap_err();
    assert!(full.kind == Conflict && full.error.contains("0 of 32767"), "{full:?}");
    let full = model.add_service(&service("b", "192.0.2.2:1", &["10.0.0.2:1"])).unwrap_err();
    assert!(full.error.contains("no room for 1 more backends"), "{full:?}");
    assert_eq!(model, before);
}

#[test]
fn things_that_work_but_should_be_known_are_said() {
    let mut model = model();
    let warned = |effect: Effect, text: &str| {
        assert!(effect.warnings.iter().any(|w| w.contains(text)), "{text}: {effect:?}");
    };
    let spec = ServiceSpec { slots: 65_536, ..service("new", "192.0.2.9:80", &[]) };
    warned(model.add_service(&spec).unwrap(), "65537 is one");
    warned(model.set_weight("web6", "[2001:db8:1::1]:80".parse().unwrap(), 0).unwrap(), "is 0");
    warned(model.remove_backend("dns", "10.0.0.1:53".parse().unwrap()).unwrap(), "no backend left");
    warned(model.add_backend("web", &backend("10.0.0.3:8080")).unwrap(), "more than 1%");
    let quiet = model.add_service(&service("quiet", "192.0.2.10:80", &["10.0.0.4:80"])).unwrap();
    assert_eq!(quiet.warnings, Vec::<String>::new());
    assert_eq!(quiet.changes, ["added service quiet: 192.0.2.10:80/tcp, 1 backend"]);
    let same = model.set_weight("web", "10.0.0.1:8080".parse().unwrap(), 1).unwrap();
    assert_eq!(Changed::from(same).message, "nothing to change");
}

#[test]
fn applying_a_list_keeps_the_numbers_of_what_stays() {
    let mut model = model();
    let before = model.clone();
    let mut web = before.service("web").unwrap().spec();
    web.backends[0].weight = 7;
    web.backends[0].interface = Some("eth1".into());
    web.direct = vec!["10.9.0.0/16".into()];
    web.announce = Announce::None;
    let moved = web.backends.remove(1);
    let api = ServiceSpec { backends: vec![moved], ..service("api", "192.0.2.7:80", &[]) };
    let effect = model.apply_services(&[web.clone(), api.clone()]).unwrap();
    assert_eq!(
        effect.changes,
        [
            "removed service dns: 192.0.2.1:53/udp",
            "no longer announcing service web",
            "removed backend 10.0.0.2:8080 from service web, 1 left",
            "removed service web6: [2001:db8::1]:80/tcp",
            "added service api: 192.0.2.7:80/tcp, 1 backend",
            "changed the direct clients of service web",
            "weight of backend 10.0.0.1:8080 in service web: 1 before, now 7",
            "changed the interface of backend 10.0.0.1:8080 of service web",
        ]
    );
    let (old, new) = (before.service("web").unwrap(), model.service("web").unwrap());
    assert_eq!((old.id, old.region), (new.id, new.region));
    assert_eq!(old.backends[0].target, new.backends[0].target);
    assert_eq!(new.spec(), web);
    let targets: Vec<u16> =
        before.services().flat_map(|s| s.backends.iter().map(|b| b.target)).collect();
    assert!(!targets.contains(&model.service("api").unwrap().backends[0].target));

    let again = model.apply_services(&[web.clone(), api]).unwrap();
    assert_eq!(again, Effect { changes: vec![], warnings: vec![] });

    let before = model.clone();
    let bigger = ServiceSpec { slots: 509, ..web.clone() };
    let fixed = model.apply_services(&[bigger]).unwrap_err();
    assert!(fixed.kind == Conflict && fixed.help.contains("remove web"), "{fixed:?}");
    let twice = model.apply_services(&[web.clone(), web.clone()]).unwrap_err();
    assert!(twice.kind == Invalid && twice.error.contains("twice"), "{twice:?}");
    assert_eq!(model, before);

    // Another VIP is another service, even under the same name.
    let elsewhere = ServiceSpec { vip: "192.0.2.8:80".parse().unwrap(), ..web };
    let old = model.service("web").unwrap().id;
    model.apply_services(&[elsewhere]).unwrap();
    assert_ne!(model.service("web").unwrap().id, old);
}

#[test]
fn addresses_can_move_between_vips_and_backends() {
    let mut model = Model::new(DEFAULT_SLOT_CAPACITY);
    let x = service("x", "192.0.2.1:80", &["192.0.2.2:80"]);
    let a = service("a", "192.0.2.3:80", &[]);
    model.apply_services(&[x.clone(), a.clone()]).unwrap();
    // A backend's address becomes a VIP, and a VIP's, given up, a backend's.
    let swapped = [
        ServiceSpec { announce: Announce::None, backends: vec![], ..x.clone() },
        ServiceSpec { backends: vec![backend("192.0.2.1:81")], ..a.clone() },
        service("new", "192.0.2.2:80", &[]),
    ];
    model.apply_services(&swapped).unwrap();
    let before = model.clone();
    let back = model.apply_services(&[x, swapped[1].clone()]).unwrap_err();
    assert!(back.kind == Conflict && back.error.contains("192.0.2.1"), "{back:?}");
    assert_eq!(model, before);
}

#[test]
fn applying_interfaces_makes_them_those_that_are_listed() {
    let mut model = model();
    let interface = |name: &str, mode| InterfaceSpec { name: name.into(), mode };
    let eth1 = interface("eth1", AttachMode::Native);
    let effect = model.apply_interfaces(std::slice::from_ref(&eth1)).unwrap();
    assert_eq!(effect.changes, ["removed interface eth0", "added interface eth1"]);
    let list = [interface("eth2", AttachMode::Auto), interface("eth1", AttachMode::Generic)];
    let effect = model.apply_interfaces(&list).unwrap();
    assert_eq!(effect.changes, ["added interface eth2", "changed the mode of interface eth1"]);
    assert_eq!(model.apply_interfaces(&list).unwrap(), Effect::default());
    let before = model.clone();
    let twice = model.apply_interfaces(&[eth1.clone(), eth1]).unwrap_err();
    assert!(twice.kind == Invalid && twice.error.contains("twice"), "{twice:?}");
    let bad = [interface("eth1", AttachMode::Auto), interface("a/b", AttachMode::Auto)];
    assert_eq!(model.apply_interfaces(&bad).unwrap_err().kind, Invalid);
    assert_eq!(model, before);
}

#[test]
fn endpoints_are_read_with_help() {
    let read = |text| parse_endpoint("backend", text).unwrap_err();
    assert!(parse_endpoint("VIP", "[2001:db8::1]:80").is_ok());
    assert!(read("10.0.0.1").help.contains("10.0.0.1:80"));
    assert!(read("2001:db8::1").help.contains("[2001:db8::1]:80"));
    assert!(read("web:80").help.contains("192.0.2.1:80"));
    assert_eq!(read("web:80").error, "backend \"web:80\" is not an address with a port");
}
