//! Writing tables into the maps in an order in which no packet sees half a change.

use std::collections::HashMap;
use std::net::IpAddr;

use anyhow::{Context, Result};
use xlb_common::layout::*;
use xlb_common::slot::SlotWord;
use xlb_common::toeplitz::{self, Key, POSITIONS, Tables};

use super::load::Datapath;
use super::shared::field;
use super::tables::{Index, Indexes, PlannedService};

impl Datapath {
    /// Sets the hash key. Only before the first service: it decides every flow's slot.
    pub fn set_hash_key(&self, key: &Key) {
        let mut tables: Tables = [[0; 256]; POSITIONS];
        toeplitz::fill_tables(key, &mut tables);
        self.maps.hot.write(0, field!(Hot, toeplitz), tables);
    }

    /// The hash tables in force.
    pub fn hash_tables(&self) -> Tables {
        self.maps.hot.read(0, field!(Hot, toeplitz))
    }

    /// Writes the target of each backend. Those that packets can reach already hold the same.
    pub fn write_targets(&self, services: &[PlannedService]) {
        for service in services {
            for backend in &service.backends {
                let id = usize::from(backend.target);
                let wanted = service.target(backend);
                let found = self.maps.targets.read(id, field!(Target));
                if (Target { hop: wanted.hop, ..found }) != wanted {
                    self.maps.targets.write(id, field!(Target), wanted);
                } else if found.hop != wanted.hop {
                    self.maps.targets.live(id, field!(Target, hop), wanted.hop);
                }
            }
        }
    }

    /// Forgets a target that no packet can reach any more.
    pub fn clear_target(&self, id: u16) {
        self.maps.targets.write(usize::from(id), field!(Target), Target::default());
    }

    /// Writes indexes into the half that is not in force, and then puts it in force.
    pub fn write_indexes(&self, indexes: &Indexes) {
        let word = self.maps.hot.read(0, field!(Hot, control.word));
        let half = usize::from(word & control::INDEX_HALF == 0);
        let hot = &self.maps.hot;

        write_displacements(&indexes.services4, |i, d| {
            hot.write(0, field!(Hot, service4_displacements[half][i]), d);
        });
        write_displacements(&indexes.services6, |i, d| {
            hot.write(0, field!(Hot, service6_displacements[half][i]), d);
        });
        write_displacements(&indexes.replies4, |i, d| {
            hot.write(0, field!(Hot, reply4_displacements[half][i]), d);
        });
        write_displacements(&indexes.replies6, |i, d| {
            hot.write(0, field!(Hot, reply6_displacements[half][i]), d);
        });
        write_entries(&indexes.services4, SERVICE_ENTRIES, |i, entry| {
            hot.write(0, field!(Hot, services4[half][i]), entry);
        });
        write_entries(&indexes.services6, SERVICE_ENTRIES, |i, entry| {
            hot.write(0, field!(Hot, services6[half][i]), entry);
        });
        write_entries(&indexes.replies4, REPLY_ENTRIES, |i, entry| {
            self.maps.replies4.write(0, move |r: *mut Replies4| place(r, half, i), entry);
        });
        write_entries(&indexes.replies6, REPLY_ENTRIES, |i, entry| {
            self.maps.replies6.write(0, move |r: *mut Replies6| place(r, half, i), entry);
        });

        let kept = word & control::ROUTES6_HALF;
        let word = kept | u64::from(indexes.seed) << control::SEED_SHIFT | half as u64;
        self.maps.hot.live(0, field!(Hot, control.word), word);
    }

    /// Reads a slot.
    pub fn slot(&self, slot: u32) -> SlotWord {
        SlotWord(match Place::of(slot) {
            Place::Near(i) => self.maps.near_slots.read(i, field!(u32)),
            Place::Far(line, i) => self.maps.far_slots.read(line, field!(SlotLine, words[i])),
        })
    }

    /// Writes a slot, live.
    pub fn set_slot(&self, slot: u32, word: SlotWord) {
        match Place::of(slot) {
            Place::Near(i) => self.maps.near_slots.live(i, field!(u32), word.0),
            Place::Far(line, i) => {
                self.maps.far_slots.live(line, field!(SlotLine, words[i]), word.0);
            }
        }
    }

    /// Sets all four: whole tables for services that no packet has reached yet.
    ///
    /// # Errors
    ///
    /// Two services, or two backends, have the same address, port and protocol.
    pub fn write_fresh(&self, services: &[PlannedService]) -> Result<()> {
        let indexes = Indexes::build(services, &self.hash_tables())
            .context("two services or two backends have the same address, port and protocol")?;
        self.write_targets(services);
        for service in services {
            for (i, target) in service.slot_targets().into_iter().enumerate() {
                self.set_slot(service.first_slot + i as u32, SlotWord::stable(target));
            }
        }
        self.write_indexes(&indexes);
        Ok(())
    }

    /// Writes a next hop that nothing refers to yet.
    pub fn write_hop(&self, id: u16, hop: Hop) {
        self.maps.hot.write(0, field!(Hot, hops[usize::from(id)]), hop);
    }

    /// Reads a next hop.
    pub fn hop(&self, id: u16) -> Hop {
        self.maps.hot.read(0, field!(Hot, hops[usize::from(id)]))
    }

    /// Sets the next hops of IPv4 destinations by their first two bytes, raw: `routes` says which
    /// hop, `number` its number. Returns how many changed.
    pub fn write_routes4<H: Copy>(&self, routes: &[H], number: impl Fn(H) -> u16) -> usize {
        let mut changed = 0;
        for (place, hop) in routes.iter().enumerate() {
            let number = number(*hop);
            if self.maps.hot.read(0, field!(Hot, routes4[place])) != number {
                self.maps.hot.live(0, field!(Hot, routes4[place]), number);
                changed += 1;
            }
        }
        changed
    }

    /// The numbers of all next hops that targets and routes refer to.
    pub fn hops_in_use(&self) -> std::collections::BTreeSet<u16> {
        let targets = (0..TARGETS).map(|i| self.maps.targets.read(i, field!(Target, hop)) as u16);
        let routes4 = (0..1usize << 16).map(|i| self.maps.hot.read(0, field!(Hot, routes4[i])));
        let routes6 = self.maps.hot.read(0, field!(Hot, routes6)).into_iter().flatten();
        targets
            .chain(routes4)
            .chain(routes6.map(|route| route.hop as u16))
            .filter(|number| (1..HOPS as u16).contains(number))
            .collect()
    }

    /// Sets the list of IPv6 routes and puts it in force. Returns whether it changed.
    pub fn write_routes6(&self, routes: &[Route6; ROUTES6]) -> bool {
        let word = self.maps.hot.read(0, field!(Hot, control.word));
        let half = usize::from(word & control::ROUTES6_HALF != 0);
        if self.maps.hot.read(0, field!(Hot, routes6[half])) == *routes {
            return false;
        }
        let other = 1 - half;
        self.maps.hot.write(0, field!(Hot, routes6[other]), *routes);
        self.maps.hot.live(0, field!(Hot, control.word), word ^ control::ROUTES6_HALF);
        true
    }

    /// Makes all entries of the cache of next hops stale.
    pub fn forget_cache(&self) {
        let generation = self.maps.hot.read(0, field!(Hot, control.generation));
        self.maps.hot.live(0, field!(Hot, control.generation), generation.wrapping_add(1));
    }

    /// Sets the time in jiffies until which precomputed next hops are trusted.
    pub fn set_deadline(&self, jiffies: u64) {
        self.maps.hot.live(0, field!(Hot, control.deadline), jiffies);
    }

    /// Sets how long the cache keeps a next hop: two seconds' jiffies.
    pub fn set_cache_jiffies(&self, jiffies: u64) {
        self.maps.hot.live(0, field!(Hot, control.cache_jiffies), jiffies);
    }

    /// The time in jiffies, as the program sees it.
    ///
    /// # Errors
    ///
    /// What the kernel says to a test run.
    pub fn jiffies(&self) -> Result<u64> {
        let outcome = super::test_run::once(&self.clock, &[0; 64])?;
        let bytes = outcome.frame.first_chunk().context("the clock program gave no time")?;
        Ok(u64::from_ne_bytes(*bytes))
    }

    /// Sets the interfaces that packets can be sent from.
    ///
    /// # Errors
    ///
    /// What the kernel says; an interface that is gone meanwhile is left out.
    pub fn write_egress(&mut self, wanted: &[(u32, Egress)]) -> Result<()> {
        let wanted: HashMap<u32, Egress> = wanted.iter().copied().collect();
        let present: Vec<u32> = self.maps.egress.keys().filter_map(Result::ok).collect();
        for index in present.iter().filter(|index| !wanted.contains_key(index)) {
            // Gone already is as good.
            let _ = self.maps.egress.remove(index);
            let _ = self.maps.devices.remove(*index);
        }
        for (index, egress) in wanted {
            if egress.ifindex == index
                && let Err(error) = self.maps.devices.insert(index, index, None, 0)
            {
                tracing::warn!("interface {index} cannot be sent from: {error}");
                continue;
            }
            self.maps
                .egress
                .insert(index, super::pod::Raw(egress), 0)
                .with_context(|| format!("cannot note interface {index} as an egress"))?;
        }
        Ok(())
    }

    /// Notes the prefixes of clients that talk to backends directly.
    ///
    /// # Errors
    ///
    /// There is no room for them.
    pub fn add_direct(&mut self, services: &[PlannedService]) -> Result<()> {
        for (target, address, length) in direct_of(services) {
            self.maps
                .direct
                .insert(&direct_key(target, address, length), 1, 0)
                .context("no room for more prefixes of direct clients")?;
        }
        Ok(())
    }

    /// Forgets all prefixes but those of these services. What is gone already is as good.
    pub fn trim_direct(&mut self, services: &[PlannedService]) {
        let wanted: Vec<_> = direct_of(services)
            .map(|(target, address, length)| direct_key(target, address, length))
            .collect();
        let same = |a: &DirectPrefix, b: &DirectPrefix| {
            a.prefix_len() == b.prefix_len() && a.data().0 == b.data().0
        };
        let present: Vec<DirectPrefix> =
            self.maps.direct.keys().filter_map(std::result::Result::ok).collect();
        for stale in present.iter().filter(|p| !wanted.iter().any(|w| same(w, p))) {
            let _ = self.maps.direct.remove(stale);
        }
    }
}

type DirectPrefix = aya::maps::lpm_trie::Key<super::pod::Raw<DirectKey>>;

/// Every backend's target with every prefix of its service.
fn direct_of(services: &[PlannedService]) -> impl Iterator<Item = (u16, IpAddr, u8)> {
    services.iter().flat_map(|service| {
        service.backends.iter().flat_map(|backend| {
            service.direct.iter().map(|(address, length)| (backend.target, *address, *length))
        })
    })
}

fn direct_key(target: u16, address: IpAddr, length: u8) -> DirectPrefix {
    let [high, low] = super::tables::raw_address(address);
    let address = [high as u32, (high >> 32) as u32, low as u32, (low >> 32) as u32];
    let data = DirectKey { target: u32::from(target), address };
    aya::maps::lpm_trie::Key::new(32 + u32::from(length), super::pod::Raw(data))
}

/// Where a slot is: in the section, or in a line of the map.
enum Place {
    Near(usize),
    Far(usize, usize),
}

impl Place {
    fn of(slot: u32) -> Self {
        match slot.checked_sub(NEAR_SLOTS) {
            None => Self::Near(slot as usize),
            Some(far) => Self::Far(far as usize / SLOTS_PER_LINE, far as usize % SLOTS_PER_LINE),
        }
    }
}

fn place<E, const N: usize>(replies: *mut [[E; N]; 2], half: usize, i: usize) -> *mut E {
    assert!(half < 2 && i < N, "entry {i} of {N}");
    replies.cast::<E>().wrapping_add(half * N + i)
}

fn write_displacements<E>(index: &Index<E>, write: impl Fn(usize, u16)) {
    for (bucket, &displacement) in index.displacements.iter().enumerate() {
        write(bucket, displacement);
    }
}

/// Writes all entries of a half: those in use, and zeroes over the others.
fn write_entries<E: Copy + Default>(index: &Index<E>, size: usize, write: impl Fn(usize, E)) {
    let mut image = vec![E::default(); size];
    for &(place, entry) in &index.entries {
        image[place] = entry;
    }
    for (place, entry) in image.into_iter().enumerate() {
        write(place, entry);
    }
}
