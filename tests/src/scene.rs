//! A whole scene: a network, servers on all backends, an agent, and services that balance them.
//!
//! The drop order is that of the fields: the agent and the servers end before their namespaces, and
//! those before the lab's directory.

use std::net::{IpAddr, SocketAddr};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use crate::{
    agent::Agent,
    echo,
    lab::Lab,
    load::{
        self, Kind, Load,
        http::{Connection, Ending},
        udp,
    },
    nginx,
    process::Process,
    topology::{Backend, Plan, Topology, VIP4, VIP6},
    wait::{LIMIT, wait_for},
};

/// A service.
#[derive(Clone, Debug)]
pub struct Service {
    /// Its name.
    pub name: &'static str,
    /// What its clients speak.
    pub kind: Kind,
    /// Where they send to.
    pub vip: SocketAddr,
}

impl Service {
    /// The port that its backends listen on.
    const fn backend_port(&self) -> u16 {
        match self.kind {
            Kind::Udp => 5353,
            Kind::Http | Kind::HttpKeepAlive => 8080,
        }
    }

    /// Where a backend serves it.
    pub fn at(&self, backend: &Backend) -> SocketAddr {
        let ip = if self.vip.is_ipv4() { backend.ip4 } else { backend.ip6 };
        SocketAddr::new(ip, self.backend_port())
    }

    /// The VIP, its port and its protocol, as the command line has them.
    pub fn endpoint(&self) -> String {
        let protocol = if self.kind == Kind::Udp { "udp" } else { "tcp" };
        format!("{}/{protocol}", self.vip)
    }
}

/// Everything that stands.
#[derive(Debug)]
pub struct Scene {
    /// The agent and its command line.
    pub agent: Agent,
    /// The servers of all backends.
    servers: Vec<Process>,
    /// The network.
    pub topology: Topology,
    /// Its name and its directory.
    pub lab: Lab,
    /// The services.
    pub services: Vec<Service>,
}

impl Scene {
    /// Builds the network and starts the servers, with no agent yet: `web4`, `web6`, `udp4` and
    /// `udp6` are what [`Scene::serve`] makes of them.
    pub fn new(plan: Plan) -> Result<Self> {
        let lab = Lab::new()?;
        let topology = Topology::new(&lab, plan)?;
        let service =
            |name, kind, ip: IpAddr, port| Service { name, kind, vip: SocketAddr::new(ip, port) };
        let services = vec![
            service("web4", Kind::Http, VIP4, 80),
            service("web6", Kind::Http, VIP6, 80),
            service("udp4", Kind::Udp, VIP4, 53),
            service("udp6", Kind::Udp, VIP6, 53),
        ];
        let mut servers = Vec::new();
        for backend in &topology.backends {
            let listen = |udp: bool| -> Vec<SocketAddr> {
                let of_kind = services.iter().filter(|service| (service.kind == Kind::Udp) == udp);
                of_kind.map(|service| service.at(backend)).collect()
            };
            servers.push(nginx::start(&backend.namespace, &backend.name, &listen(false))?);
            servers.push(echo::start(&backend.namespace, &backend.name, &listen(true))?);
        }
        let agent = Agent::new(&lab, &topology.lb, "agent")?;
        Ok(Self { agent, servers, topology, lab, services })
    }

    /// Builds everything and serves with all backends; returns when every service answers and all
    /// next hops are precomputed.
    pub fn serving(plan: Plan) -> Result<Self> {
        let mut this = Self::new(plan)?;
        this.serve(plan.backends.into(), |_| {})?;
        this.wait_resolved()?;
        Ok(this)
    }

    /// Starts the agent and gives it the services, each with the first backends; returns when every
    /// service answers.
    pub fn serve(&mut self, backends: usize, mut tell: impl FnMut(&str)) -> Result<()> {
        let (first, rest) = self.topology.interfaces.split_first().context("no interface")?;
        tell(&format!("xlb run --attach {first}"));
        self.agent.start(&[first])?;
        for interface in rest {
            self.xlb(&["attach", interface], &mut tell)?;
        }
        for service in &self.services {
            self.xlb(&["service", "add", service.name, &service.endpoint()], &mut tell)?;
        }
        for number in 0..backends {
            self.add_backend(number, &mut tell)?;
        }
        self.wait_answers()
    }

    /// Waits until every service answers.
    pub fn wait_answers(&self) -> Result<()> {
        for service in &self.services {
            wait_for(&format!("{} to answer", service.name), LIMIT, || {
                self.request(service).map(Some)
            })?;
        }
        Ok(())
    }

    /// Waits until the next hops of all backends are precomputed.
    pub fn wait_resolved(&self) -> Result<()> {
        wait_for("all next hops", LIMIT, || {
            let status = self.status()?;
            let services = status["services"].as_array().into_iter().flatten();
            let mut backends =
                services.flat_map(|s| s["backends"].as_array().into_iter().flatten());
            match backends.find(|backend| backend["next_hop"] != "resolved") {
                None => Ok(Some(())),
                Some(backend) => bail!("not resolved yet: {backend}"),
            }
        })
    }

    /// Sends a service one request; the name of the backend that answered.
    pub fn request(&self, service: &Service) -> Result<String> {
        self.topology.client.within(|| match service.kind {
            Kind::Udp => udp::request(service.vip),
            Kind::Http | Kind::HttpKeepAlive => {
                Connection::open(service.vip)?.request(Ending::Close)
            }
        })
    }

    /// The service of this name.
    pub fn service(&self, name: &str) -> Result<&Service> {
        let mut services = self.services.iter();
        services.find(|service| service.name == name).with_context(|| format!("service {name}"))
    }

    /// Starts clients of a service that send nothing twice: what fails has failed.
    pub fn load(&self, name: &str, kind: Kind, workers: u16, rate: u32) -> Result<Load> {
        let target = self.service(name)?.vip;
        let plan = load::Plan { kind, target, workers, rate, retries: 0 };
        Load::start(&self.topology.client, &format!("{name}-{}", kind.name()), plan)
    }

    /// Adds a backend to every service.
    pub fn add_backend(&self, number: usize, mut tell: impl FnMut(&str)) -> Result<()> {
        for service in &self.services {
            let address = service.at(&self.topology.backends[number]).to_string();
            self.xlb(&["backend", "add", service.name, &address], &mut tell)?;
        }
        Ok(())
    }

    /// Changes a backend's weight in every service.
    pub fn set_weight(&self, number: usize, weight: u32, mut tell: impl FnMut(&str)) -> Result<()> {
        for service in &self.services {
            let address = service.at(&self.topology.backends[number]).to_string();
            let weight = weight.to_string();
            self.xlb(&["backend", "weight", service.name, &address, &weight], &mut tell)?;
        }
        Ok(())
    }

    /// How many slots of a service are between an old and a new backend.
    pub fn slots_moving(&self, service: &str) -> Result<u64> {
        let status = self.agent.json(&["status"])?;
        let mut services = status["services"].as_array().into_iter().flatten();
        let service = services.find(|candidate| candidate["name"] == service);
        service
            .and_then(|service| service["slots_moving"].as_u64())
            .context("xlb status --json does not show the service's slots_moving")
    }

    /// Removes a backend from every service.
    pub fn remove_backend(&self, number: usize, mut tell: impl FnMut(&str)) -> Result<()> {
        for service in &self.services {
            let address = service.at(&self.topology.backends[number]).to_string();
            self.xlb(&["backend", "remove", service.name, &address], &mut tell)?;
        }
        Ok(())
    }

    /// What `xlb stats --json` says.
    pub fn stats(&self) -> Result<Value> {
        self.agent.json(&["stats"])
    }

    /// What `xlb status --json` says.
    pub fn status(&self) -> Result<Value> {
        self.agent.json(&["status"])
    }

    /// Fails if the agent or a server has ended.
    pub fn check(&mut self) -> Result<()> {
        self.agent.check()?;
        self.servers.iter_mut().try_for_each(Process::check)
    }

    /// The name of the backend that serves at an address.
    pub fn backend_name(&self, address: &str) -> Option<&str> {
        let ip = address.parse::<SocketAddr>().ok()?.ip();
        let backends = &self.topology.backends;
        let backend = backends.iter().find(|backend| backend.ip4 == ip || backend.ip6 == ip)?;
        Some(&backend.name)
    }

    fn xlb(&self, args: &[&str], tell: &mut impl FnMut(&str)) -> Result<()> {
        tell(&format!("xlb {}", args.join(" ")));
        self.agent.xlb(args).map(drop)
    }
}
