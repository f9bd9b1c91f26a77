//! Random histories of changes, checked against a naive model after every step.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::tests::{backend, service};
use super::*;

/// Few enough slots that they run out.
const CAPACITY: u32 = 160;
const SLOTS: [u32; 4] = [7, 17, 31, 61];

#[derive(Clone, Debug)]
enum Step {
    AddService { name: u8, vip: u8, udp: bool, slots: u8, backends: Vec<u8> },
    RemoveService(u8),
    AddBackend(u8, u8),
    SetWeight(u8, u8, u32),
    RemoveBackend(u8, u8),
    Apply(Vec<(u8, u8, Vec<u8>)>),
    Release,
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    let backends = || prop::collection::vec(0u8..12, 0..4);
    prop_oneof![
        4 => (0u8..6, 0u8..6, any::<bool>(), 0u8..4, backends()).prop_map(
            |(name, vip, udp, slots, backends)| Step::AddService { name, vip, udp, slots, backends }
        ),
        2 => (0u8..6).prop_map(Step::RemoveService),
        4 => (0u8..6, 0u8..12).prop_map(|(s, b)| Step::AddBackend(s, b)),
        2 => (0u8..6, 0u8..12, 0u32..70_000).prop_map(|(s, b, w)| Step::SetWeight(s, b, w)),
        4 => (0u8..6, 0u8..12).prop_map(|(s, b)| Step::RemoveBackend(s, b)),
        1 => prop::collection::vec((0u8..6, 0u8..6, backends()), 0..4).prop_map(Step::Apply),
        2 => Just(Step::Release),
        1 => Just(Step::Restart),
    ]
}

/// The even ones are IPv4, the odd ones IPv6; the last ones of the backends are VIPs.
fn vip(i: u8) -> String {
    if i.is_multiple_of(2) {
        format!("192.0.2.{}:80", i / 4 + 1)
    } else {
        format!("[2001:db8::{i}]:80")
    }
}

fn address(i: u8) -> String {
    match i {
        10.. => vip(i - 10),
        _ if i.is_multiple_of(2) => format!("10.0.0.{i}:80"),
        _ => format!("[2001:db8:1::{i}]:80"),
    }
}

fn name(i: u8) -> String {
    format!("s{i}")
}

fn spec(n: u8, v: u8, udp: bool, slots: u8, backends: &[u8]) -> ServiceSpec {
    let backends: Vec<String> = backends.iter().map(|&b| address(b)).collect();
    let backends: Vec<&str> = backends.iter().map(String::as_str).collect();
    let protocol = if udp { Protocol::Udp } else { Protocol::Tcp };
    let slots = SLOTS[usize::from(slots)];
    ServiceSpec { protocol, slots, ..service(&name(n), &vip(v), &backends) }
}

/// What the operator sees, and rules written down without any care for speed.
#[derive(Clone, Debug, Default, PartialEq)]
struct Naive(BTreeMap<String, ServiceSpec>);

impl Naive {
    fn good(&self) -> bool {
        let services: Vec<&ServiceSpec> = self.0.values().collect();
        let mut vips = BTreeSet::new();
        let mut backends = BTreeSet::new();
        services.iter().all(|s| {
            vips.insert((s.vip, s.protocol))
                && s.backends.iter().all(|b| {
                    b.weight <= WEIGHT_MAX
                        && b.address.is_ipv4() == s.vip.is_ipv4()
                        && backends.insert((b.address, s.protocol))
                        && services.iter().all(|s| s.vip.ip() != b.address.ip())
                })
        })
    }

    fn after(&self, step: &Step) -> Option<Self> {
        let mut next = self.clone();
        match step {
            Step::AddService { name: n, vip, udp, slots, backends } => {
                let new = spec(*n, *vip, *udp, *slots, backends);
                if next.0.insert(name(*n), new).is_some() {
                    return None;
                }
            }
            Step::RemoveService(s) => drop(next.0.remove(&name(*s))?),
            Step::AddBackend(s, b) => {
                next.0.get_mut(&name(*s))?.backends.push(backend(&address(*b)));
            }
            Step::SetWeight(s, b, weight) => {
                let address: SocketAddr = address(*b).parse().unwrap();
                let backends = &mut next.0.get_mut(&name(*s))?.backends;
                backends.iter_mut().find(|b| b.address == address)?.weight = *weight;
            }
            Step::RemoveBackend(s, b) => {
                let address: SocketAddr = address(*b).parse().unwrap();
                let backends = &mut next.0.get_mut(&name(*s))?.backends;
                let place = backends.iter().position(|b| b.address == address)?;
                backends.remove(place);
            }
            Step::Apply(list) => {
                let old = std::mem::take(&mut next.0);
                for (n, v, backends) in list {
                    let new = spec(*n, *v, false, 0, backends);
                    let slots = old
                        .get(&name(*n))
                        .filter(|old| (old.vip, old.protocol) == (new.vip, new.protocol));
                    let fixed = slots.is_some_and(|old| old.slots != new.slots);
                    if fixed || next.0.insert(name(*n), new).is_some() {
                        return None;
                    }
                }
            }
            Step::Release | Step::Restart => {}
        }
        next.good().then_some(next)
    }
}

fn perform(model: &mut Model, step: &Step) -> Result<(), Rejection> {
    let address = |b: u8| address(b).parse::<SocketAddr>().unwrap();
    let effect = match step {
        Step::AddService { name, vip, udp, slots, backends } => {
            model.add_service(&spec(*name, *vip, *udp, *slots, backends))
        }
        Step::RemoveService(s) => model.remove_service(&name(*s)),
        Step::AddBackend(s, b) => model
            .add_backend(&name(*s), &BackendSpec { address: address(*b), ..backend("1.1.1.1:1") }),
        Step::SetWeight(s, b, weight) => model.set_weight(&name(*s), address(*b), *weight),
        Step::RemoveBackend(s, b) => model.remove_backend(&name(*s), address(*b)),
        Step::Apply(list) => {
            let list: Vec<_> = list.iter().map(|(n, v, b)| spec(*n, *v, false, 0, b)).collect();
            model.apply_services(&list)
        }
        Step::Release => {
            model.release_retired();
            Ok(Effect::default())
        }
        Step::Restart => {
            let json = serde_json::to_vec(&model.save()).unwrap();
            let saved = serde_json::from_slice(&json).unwrap();
            *model = Model::restore(saved, CAPACITY).unwrap();
            Ok(Effect::default())
        }
    };
    effect.map(drop)
}

/// The numbers that are in use: service ids, targets, lines of slots.
fn in_use(model: &Model) -> [BTreeSet<u32>; 3] {
    let mut sets = [const { BTreeSet::new() }; 3];
    for service in model.services() {
        assert!(sets[0].insert(service.id.into()), "service id {} twice", service.id);
        for backend in &service.backends {
            let target = backend.target;
            assert!(target > 0 && usize::from(target) < TARGETS, "target {target}");
            assert!(sets[1].insert(target.into()), "target {target} twice");
        }
        let Region { first_slot, length } = service.region;
        assert!(length >= service.slots && length < service.slots + 16);
        assert!(first_slot % 16 == 0 && length % 16 == 0 && first_slot + length <= CAPACITY);
        for line in first_slot / 16..(first_slot + length) / 16 {
            assert!(sets[2].insert(line), "line {line} twice");
        }
    }
    sets
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn histories_keep_the_invariants(steps in prop::collection::vec(step(), 1..60)) {
        let mut model = Model::new(CAPACITY);
        let mut naive = Naive::default();
        let mut retired = [const { BTreeSet::<u32>::new() }; 3];
        for step in steps {
            let before = model.clone();
            let expected = naive.after(&step);
            match (perform(&mut model, &step), expected) {
                (Ok(()), Some(next)) => naive = next,
                (Err(rejection), expected) => {
                    prop_assert_eq!(&model, &before);
                    if expected.is_some() {
                        let room = rejection.error.contains("no room");
                        prop_assert!(room, "{:?}: {:?}", step, rejection);
                    }
                }
                (Ok(()), None) => prop_assert!(false, "{:?} was taken by {:?}", step, before),
            }
            let seen: BTreeMap<_, _> = model.services().map(|s| (s.name.clone(), s.spec())).collect();
            let sorted = |specs: &BTreeMap<String, ServiceSpec>| {
                let mut specs = specs.clone();
                specs.values_mut().for_each(|s| s.backends.sort_by_key(|b| b.address));
                specs
            };
            prop_assert_eq!(sorted(&seen), sorted(&naive.0));

            let (old, new) = (in_use(&before), in_use(&model));
            for kind in 0..3 {
                prop_assert!(new[kind].is_disjoint(&retired[kind]), "{:?} reused what waits", step);
                retired[kind].extend(old[kind].difference(&new[kind]));
                // A target of one backend must not become another's within a change, either.
                if matches!(step, Step::Release) {
                    retired[kind].clear();
                }
            }
            let waiting = retired.iter().any(|set| !set.is_empty());
            prop_assert_eq!(model.has_retired(), waiting);
            prop_assert_eq!(model.slots_used() as usize, new[2].len() * 16);
            prop_assert_eq!(model.vips.len(), model.services.len());
            prop_assert_eq!(model.backends.len(), new[1].len());
        }
    }
}
