//! VIPs on interfaces: those of services that are announced, and no others.

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::actor::Actor;
use crate::api::types::Announce;
use crate::net::{self, Changes, announce, view::Link};
use crate::state::AddedVip;

impl Actor {
    /// Adds, moves and removes VIPs so that they are where they should be. Returns warnings.
    pub(super) async fn update_vips(&mut self) -> Vec<String> {
        let wanted = self.announced_vips();
        let mut warnings = Vec::new();
        // What was put somewhere a moment ago may not have been reported yet.
        let addresses = Changes { addresses: true, ..Changes::default() };
        if let Err(error) = net::refresh(&self.handle, &mut self.view, addresses).await {
            warnings.push(error.to_string());
        }
        for vip in self.state.vips.clone() {
            if !wanted.contains(&vip.address) {
                self.remove_vip(&vip, &mut warnings).await;
            }
        }
        for vip in wanted {
            match self.put_vip(vip).await {
                Ok(()) => drop(self.vip_warnings.remove(&vip)),
                Err(warning) => {
                    tracing::warn!("{warning}");
                    self.vip_warnings.insert(vip, warning.clone());
                    warnings.push(warning);
                }
            }
        }
        warnings
    }

    /// Puts VIPs back that were lost with their interface, and moves those that the agent had put on
    /// loopback for want of a better place.
    pub(super) async fn restore_vips(&mut self) {
        let attached = self.attached();
        let astray = |vip: &IpAddr| {
            let place = announce::place_for(&self.view, &attached, *vip);
            place.is_some_and(|place| {
                !place.loopback
                    && (!self.view.is_own(*vip) || self.misplaced(*vip, place).is_some())
            })
        };
        if self.announced_vips().iter().any(astray) {
            for warning in self.update_vips().await {
                tracing::debug!("{warning}");
            }
        }
    }

    fn announced_vips(&self) -> BTreeSet<IpAddr> {
        let services = self.state.model.services();
        services.filter(|s| s.announce == Announce::Arp).map(|s| s.vip.ip()).collect()
    }

    /// Where the agent has put a VIP that now belongs elsewhere.
    fn misplaced(&self, vip: IpAddr, place: &Link) -> Option<AddedVip> {
        let mut added = self.state.vips.iter();
        added.find(|note| note.address == vip && note.interface != place.name).cloned()
    }

    async fn remove_vip(&mut self, vip: &AddedVip, warnings: &mut Vec<String>) {
        if let Some(link) = self.view.link_named(&vip.interface)
            && let Err(error) = announce::remove(&self.handle, link.index, vip.address).await
        {
            warnings.push(error.to_string());
            return;
        }
        tracing::info!("took {} off {}", vip.address, vip.interface);
        let mut state = self.state.clone();
        state.vips.retain(|other| other != vip);
        if let Err(error) = self.save(state) {
            warnings.push(format!("{error:#}"));
        }
    }

    /// Puts a VIP where it belongs and announces it, unless another node has it.
    async fn put_vip(&mut self, vip: IpAddr) -> Result<(), String> {
        let attached = self.attached();
        let Some(link) = announce::place_for(&self.view, &attached, vip) else {
            return Err(format!("{vip} can't be put on any interface: not even loopback is there"));
        };
        let link = link.clone();
        match self.misplaced(vip, &link).filter(|_| !link.loopback) {
            Some(elsewhere) => {
                let mut warnings = Vec::new();
                self.remove_vip(&elsewhere, &mut warnings).await;
                if let Some(warning) = warnings.pop() {
                    return Err(warning);
                }
            }
            None if self.view.is_own(vip) => return Ok(()),
            None => {}
        }
        let own = announce::own_macs(&self.view);
        match announce::duplicate(&link, &own, vip).await {
            Ok(None) => {}
            Ok(Some(mac)) => {
                let mac: Vec<String> = mac.iter().map(|byte| format!("{byte:02x}")).collect();
                return Err(format!(
                    "{vip} is already in use on {} by {}: it was not added; take it away there, then remove the service and add it again",
                    link.name,
                    mac.join(":")
                ));
            }
            Err(error) => tracing::warn!("no look for a duplicate of {vip}: {error}"),
        }
        // First the note, so that what was added is removed again whatever happens.
        let note = AddedVip { address: vip, interface: link.name.clone() };
        if !self.state.vips.contains(&note) {
            let mut state = self.state.clone();
            state.vips.push(note);
            self.save(state).map_err(|error| format!("{error:#}"))?;
        }
        announce::add(&self.handle, &link, vip).await.map_err(|error| error.to_string())?;
        tracing::info!("put {vip} on {}", link.name);
        // Takes a while, for any one announcement may be lost; nothing waits for it.
        tokio::spawn(async move {
            if let Err(error) = announce::announce(&link, vip).await {
                tracing::warn!("{error}");
            }
        });
        Ok(())
    }
}
