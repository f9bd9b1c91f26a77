//! Interfaces: attached, missing, taken over.

use std::collections::BTreeSet;

use anyhow::{Context, Result, anyhow};

use super::actor::Actor;
use super::change::failed;
use crate::api::request::{Problem, ProblemKind};
use crate::api::types::{AttachMode, Changed, InterfaceSpec, InterfaceStatus};
use crate::dataplane::attach::{self, Attached, Link, is_busy};
use crate::net::interface::XdpMode;
use crate::net::{self, ethtool, sysctl};
use crate::state::{State, SysctlChange};

/// Stands for all interfaces in the notes of changed settings; no interface can have this name.
const SHARED: &str = "*/*";

/// An interface that the program should be attached to.
pub struct Interface {
    ifindex: u32,
    link: Link,
    attached: Attached,
}

impl Actor {
    /// `xlb attach`: attaches, prepares the kernel, and only then takes it down as wanted.
    pub(super) async fn attach(&mut self, spec: &InterfaceSpec) -> Result<Changed, Problem> {
        let mut model = self.state.model.clone();
        let effect = model.add_interface(spec)?;
        let Some(link) = self.view.link_named(&spec.name) else {
            return Err(self.no_interface(&spec.name));
        };
        let ifindex = link.index;
        let warnings = self.attach_now(&spec.name, ifindex, spec.mode).await?;
        let saved = self.save(State { model, ..self.state.clone() });
        if let Err(error) = saved {
            self.detach_now(&spec.name);
            return Err(failed(&error));
        }
        let mut changed = Changed::from(effect);
        if let Some(interface) = self.interfaces.get(&spec.name) {
            changed.message =
                format!("attached to {} in {} mode", spec.name, interface.attached.name());
        }
        changed.warnings.extend(warnings);
        tracing::info!("{}", changed.message);
        changed.warnings.extend(self.update_vips().await);
        Ok(changed)
    }

    /// `xlb detach`.
    pub(super) async fn detach(&mut self, name: &str) -> Result<Changed, Problem> {
        let mut model = self.state.model.clone();
        let effect = model.remove_interface(name)?;
        self.save(State { model, ..self.state.clone() }).map_err(|error| failed(&error))?;
        self.detach_now(name);
        let mut changed = Changed::from(effect);
        changed.warnings.extend(self.restore_kernel().map_err(|error| failed(&error))?);
        changed.warnings.extend(self.update_vips().await);
        tracing::info!("{}", changed.message);
        Ok(changed)
    }

    fn no_interface(&self, name: &str) -> Problem {
        let mut names: Vec<&str> = self.view.links.iter().map(|link| link.name.as_str()).collect();
        names.sort_unstable();
        Problem {
            kind: ProblemKind::NotFound,
            error: format!("there is no interface {name}"),
            help: Some(format!("interfaces here: {}", names.join(", "))),
        }
    }

    /// Attaches, or takes over, and prepares the kernel. Returns warnings.
    async fn attach_now(
        &mut self,
        name: &str,
        ifindex: u32,
        mode: AttachMode,
    ) -> Result<Vec<String>, Problem> {
        let mut warnings = self.prepare_offloads(name);
        let adopted =
            self.datapath.adopt_link(&self.pins, name, ifindex).map_err(|e| failed(&e))?;
        let (link, attached) = match adopted {
            Some(link) => (link, self.found_mode(ifindex).await),
            None => match self.datapath.attach(&self.pins, name, ifindex, mode) {
                Ok(attached) => attached,
                Err(error) => return Err(self.explain(name, ifindex, mode, &error).await),
            },
        };
        if attached == Attached::Generic && mode == AttachMode::Auto {
            warnings.push(format!(
                "{name}: the driver has no native XDP; attached in generic mode, which is several times slower"
            ));
        }
        self.interfaces.insert(name.to_owned(), Interface { ifindex, link, attached });
        match self.prepare_kernel(name) {
            Ok(()) => {}
            Err(error) => warnings.push(format!("{error:#}")),
        }
        Ok(warnings)
    }

    /// How a link that was taken over is attached: the kernel knows.
    async fn found_mode(&self, ifindex: u32) -> Attached {
        let programs = net::interface::xdp_programs(&self.handle, ifindex).await;
        let generic = programs
            .is_ok_and(|programs| programs.iter().any(|p| matches!(p.mode, XdpMode::Generic)));
        if generic { Attached::Generic } else { Attached::Native }
    }

    /// The tag must be in the frame, and segments must not be merged.
    fn prepare_offloads(&self, name: &str) -> Vec<String> {
        let mut warnings = Vec::new();
        match ethtool::set_rx_vlan(name, false) {
            Ok(ethtool::Set::Already) | Err(_) => {}
            Ok(ethtool::Set::Now) => {
                tracing::info!("{name}: switched receive VLAN offload off, for the program to see tags");
            }
            Ok(ethtool::Set::Fixed) => warnings.push(format!(
                "{name}: receive VLAN offload can't be switched off, so VLAN tags are not in the frames; packets with a tag are not balanced"
            )),
        }
        if ethtool::offloads(name).is_ok_and(|offloads| offloads.lro) {
            warnings.push(format!(
                "{name}: large receive offload is on and merges packets; switch it off: ethtool -K {name} lro off"
            ));
        }
        warnings
    }

    /// Sets what the kernel needs to forward packets that are handed up, and notes what was there.
    fn prepare_kernel(&mut self, name: &str) -> Result<()> {
        let mut names = vec![name.to_owned()];
        if let Some(link) = self.view.link_named(name) {
            names.extend(self.view.vlans_on(link.index).iter().map(|vlan| vlan.name.clone()));
        }
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (changes, failure) = match sysctl::prepare(&names) {
            Ok(changes) => (changes, None),
            Err(mut error) => (std::mem::take(&mut error.changed), Some(error)),
        };
        for change in &changes {
            tracing::info!("{}: {} before, now {}", change.path, change.old, change.new);
        }
        if !changes.is_empty() {
            let changes = changes.into_iter().map(|sysctl::Change { path, old, new }| {
                let own = names.iter().any(|own| path.contains(&format!("/{own}/")));
                let interface = if own { name } else { SHARED };
                SysctlChange { interface: interface.to_owned(), path, old, new }
            });
            let mut state = self.state.clone();
            state.sysctls.extend(changes);
            self.save(state)?;
        }
        failure.map_or(Ok(()), |error| Err(error.into()))
    }

    /// Takes back the settings of interfaces that are no longer wanted, and those that all share when
    /// none is. Returns warnings.
    fn restore_kernel(&mut self) -> Result<Vec<String>> {
        let wanted: BTreeSet<&str> = self.state.model.interfaces().map(|(name, _)| name).collect();
        let (kept, over): (Vec<_>, Vec<_>) =
            self.state.sysctls.iter().cloned().partition(|change| {
                if change.interface == SHARED {
                    !wanted.is_empty()
                } else {
                    wanted.contains(change.interface.as_str())
                }
            });
        if over.is_empty() {
            return Ok(Vec::new());
        }
        let over: Vec<sysctl::Change> = over
            .into_iter()
            .map(|SysctlChange { interface: _, path, old, new }| sysctl::Change { path, old, new })
            .collect();
        let warnings = sysctl::restore(&over).iter().map(ToString::to_string).collect();
        self.save(State { sysctls: kept, ..self.state.clone() })?;
        Ok(warnings)
    }

    fn detach_now(&mut self, name: &str) {
        if let Some(interface) = self.interfaces.remove(name)
            && let Err(error) = interface.link.detach()
        {
            tracing::error!("{name}: {error:#}");
        }
    }

    /// Says why a program can't be attached, and whose program is in the way.
    async fn explain(
        &self,
        name: &str,
        ifindex: u32,
        mode: AttachMode,
        error: &anyhow::Error,
    ) -> Problem {
        if !is_busy(error) {
            let help = match mode {
                AttachMode::Native => format!(
                    "the driver may have no native XDP, or not with this MTU or number of queues; `xlb attach {name} --mode generic` works everywhere, slowly"
                ),
                _ => "needed: root, or the capabilities CAP_BPF, CAP_NET_ADMIN and CAP_PERFMON"
                    .to_owned(),
            };
            return Problem {
                kind: ProblemKind::Failed,
                error: format!("cannot attach to {name}: {error:#}"),
                help: Some(help),
            };
        }
        let programs =
            net::interface::xdp_programs(&self.handle, ifindex).await.unwrap_or_default();
        let whose: Vec<String> = programs
            .iter()
            .map(|program| {
                let mode = match program.mode {
                    XdpMode::Native => "native",
                    XdpMode::Generic => "generic",
                    XdpMode::Hardware => "hardware",
                };
                let program_name = program.name.as_deref().unwrap_or("without a name");
                format!("id {} \"{program_name}\", {mode}", program.id)
            })
            .collect();
        Problem {
            kind: ProblemKind::Conflict,
            error: format!(
                "cannot attach to {name}: another XDP program is attached ({})",
                if whose.is_empty() { "it did not say which".to_owned() } else { whose.join("; ") }
            ),
            help: Some(format!(
                "detach it first: with the tool that attached it, or `ip link set dev {name} xdp off`"
            )),
        }
    }

    /// Saves a state and makes it the present one.
    pub(super) fn save(&mut self, state: State) -> Result<()> {
        self.directory.save(&state).map_err(|error| anyhow!("{error}; {}", error.help()))?;
        self.state = state;
        Ok(())
    }

    /// Attaches to wanted interfaces that have come, and lets go of those that have gone.
    pub(super) async fn follow_interfaces(&mut self) {
        let wanted: Vec<(String, AttachMode)> =
            self.state.model.interfaces().map(|(name, mode)| (name.to_owned(), mode)).collect();
        for (name, mode) in wanted {
            let now = self.view.link_named(&name).map(|link| link.index);
            let known = self.interfaces.get(&name).map(|interface| interface.ifindex);
            if known.is_some() && known != now {
                tracing::warn!(
                    "the interface {name} is gone; it is attached to again when it comes back"
                );
                self.detach_now(&name);
            }
            if let Some(ifindex) = now.filter(|_| known != now) {
                match self.attach_now(&name, ifindex, mode).await {
                    Ok(warnings) => {
                        tracing::info!("attached to {name}");
                        for warning in warnings {
                            tracing::warn!("{warning}");
                        }
                    }
                    Err(problem) => tracing::error!("{problem}"),
                }
            }
        }
    }

    /// Takes over or attaches all wanted interfaces, at start.
    pub(super) async fn start_interfaces(&mut self) -> Result<()> {
        let wanted: Vec<(String, u32)> = self
            .state
            .model
            .interfaces()
            .filter_map(|(name, _)| Some((name.to_owned(), self.view.link_named(name)?.index)))
            .collect();
        attach::remove_stale_links(&self.pins, &wanted).context("cannot tidy up the pins")?;
        for warning in self.restore_kernel()? {
            tracing::warn!("{warning}");
        }
        self.follow_interfaces().await;
        Ok(())
    }

    /// What status says of the interfaces.
    pub(super) fn interface_status(&self) -> Vec<InterfaceStatus> {
        self.state
            .model
            .interfaces()
            .map(|(name, wanted)| {
                let link = self.view.link_named(name);
                let interface = self.interfaces.get(name);
                let problem = match (link, interface) {
                    (None, _) => Some("there is no such interface now".to_owned()),
                    (Some(_), None) => Some("not attached; the log says why".to_owned()),
                    (Some(link), Some(_)) if !link.up => Some("the interface is down".to_owned()),
                    (Some(_), Some(interface))
                        if interface.attached == Attached::Generic
                            && wanted == AttachMode::Auto =>
                    {
                        Some(
                            "the driver has no native XDP: generic mode is several times slower"
                                .to_owned(),
                        )
                    }
                    _ => None,
                };
                InterfaceStatus {
                    name: name.to_owned(),
                    ifindex: link.map(|link| link.index),
                    wanted,
                    attached: interface.map_or("none", |i| i.attached.name()).to_owned(),
                    mtu: link.map(|link| link.mtu),
                    problem,
                }
            })
            .collect()
    }

    /// The indexes of the attached interfaces.
    pub(super) fn attached(&self) -> Vec<u32> {
        self.interfaces.values().map(|interface| interface.ifindex).collect()
    }
}
