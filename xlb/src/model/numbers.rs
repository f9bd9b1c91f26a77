//! Taking numbers for something new, or saying that there is no room.

use xlb_common::layout::{SERVICES, SLOTS_PER_LINE, TARGETS};

use super::{Numbers, Region, Rejection};

impl Numbers {
    pub(super) fn take_service(&mut self, slots: u32) -> Result<(u16, Region), Rejection> {
        let Some(id) = self.services.take() else {
            return Err(no_room(
                format!("all {SERVICES} services that there is room for are taken"),
                "remove a service",
                self.services.retired() > 0,
            ));
        };
        let length = slots.next_multiple_of(SLOTS_PER_LINE as u32);
        let Some(region) = self.regions.take(length) else {
            return Err(no_room(
                format!(
                    "no room for {slots} slots: {} of {} are taken, and no gap is long enough",
                    self.regions.used(),
                    self.regions.capacity()
                ),
                "use fewer slots, remove a service, or raise `slots` in the agent's configuration",
                self.regions.waiting() > 0,
            ));
        };
        Ok((id, region))
    }

    pub(super) fn take_targets(&mut self, count: usize) -> Result<Vec<u16>, Rejection> {
        let available = self.targets.available();
        let taken: Vec<u16> = std::iter::from_fn(|| self.targets.take()).take(count).collect();
        if taken.len() == count {
            return Ok(taken);
        }
        Err(no_room(
            format!("no room for {count} more backends: {available} of {} are left", TARGETS - 1),
            "remove backends that are not needed",
            self.targets.retired() > 0,
        ))
    }
}

fn no_room(error: String, help: &str, waiting: bool) -> Rejection {
    let wait = match waiting {
        true => "; what was removed just now is free in a moment: try again",
        false => "",
    };
    Rejection::conflict(error, format!("{help}{wait}"))
}
