//! What goes over the API: the JSON shapes of requests and answers.
//!
//! The same shapes are what `--json` prints, so they only ever grow. Every answer carries
//! `SCHEMA`. Counters are totals since the program was first attached; who wants rates asks twice
//! and divides by the difference of `Stats::at_ns`. Packets and bytes are counted from the IP
//! header on. Addresses are text: `192.0.2.1:80`, `[2001:db8::1]:80`.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

/// Version of the shapes in this file.
pub const SCHEMA: u32 = 1;

/// A transport protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// TCP, protocol 6.
    Tcp,
    /// UDP, protocol 17.
    Udp,
}

/// How packets reach the backends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// The destination is rewritten; replies come back through xlb.
    #[default]
    Nat,
}

/// Who makes the VIP known to the network.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Announce {
    /// The agent: it adds the VIP to an interface, after a look for a duplicate, and announces it
    /// (gratuitous ARP, unsolicited neighbour advertisement).
    #[default]
    Arp,
    /// Somebody else: the operator routes the VIP to this node.
    None,
}

/// How a program is attached to an interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AttachMode {
    /// Native if the driver can, else generic, said loudly.
    #[default]
    Auto,
    /// In the driver, or not at all.
    Native,
    /// After the driver has built a socket buffer: works everywhere, slowly.
    Generic,
}

/// A backend, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BackendSpec {
    /// Address and port of the real server.
    pub address: SocketAddr,
    /// Its share of new flows is its weight over the sum of the pool's weights. 0 to 65535.
    #[serde(default = "one")]
    pub weight: u32,
    /// The interface that its replies must come from; without it, any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interface: Option<String>,
}

fn one() -> u32 {
    1
}

/// A service, as it is asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServiceSpec {
    /// 1 to 63 of `a-z A-Z 0-9 . _ -`, the first one a letter or a digit.
    pub name: String,
    /// The VIP and its port.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How packets reach the backends.
    #[serde(default)]
    pub mode: Mode,
    /// Size of the consistent-hash table; fixed while the service lives. Default 65537.
    #[serde(default = "default_slots")]
    pub slots: u32,
    /// Who makes the VIP known to the network.
    #[serde(default)]
    pub announce: Announce,
    /// Clients that talk to the backends directly, through this node: `10.1.0.0/16`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub direct: Vec<String>,
    /// The pool.
    #[serde(default)]
    pub backends: Vec<BackendSpec>,
}

fn default_slots() -> u32 {
    xlb_common::layout::DEFAULT_SLOTS
}

/// `POST /v1/interfaces`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InterfaceSpec {
    /// Interface name.
    pub name: String,
    /// How to attach.
    #[serde(default)]
    pub mode: AttachMode,
}

/// `PATCH /v1/services/NAME/backends/ADDRESS`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WeightChange {
    /// The new weight. 0 to 65535.
    pub weight: u32,
}

/// The answer to every change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// [`SCHEMA`].
    pub schema: u32,
    /// One line: what was changed.
    pub message: String,
    /// Things that work but that the operator should know of.
    #[serde(default)]
    pub warnings: Vec<String>,
}

/// The answer when something is wrong; its HTTP status says what kind.
///
/// 400: the request is wrong. 404: no such thing. 409: it clashes with what is there.
/// 500: the agent or the kernel failed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// [`SCHEMA`].
    pub schema: u32,
    /// What was wrong.
    pub error: String,
    /// What was expected and what to do.
    #[serde(default)]
    pub help: Option<String>,
}

/// `GET /v1/status`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// [`SCHEMA`].
    pub schema: u32,
    /// xlb's version.
    pub version: String,
    /// The agent's process id.
    pub pid: u32,
    /// Seconds since the agent started.
    pub uptime_seconds: u64,
    /// Whether the agent found a running program and took it over.
    pub adopted: bool,
    /// The program in the kernel.
    pub program: ProgramStatus,
    /// Interfaces, attached or wanted.
    pub interfaces: Vec<InterfaceStatus>,
    /// Services and how they are.
    pub services: Vec<ServiceStatus>,
    /// Slots used and there.
    pub slots_used: u64,
    /// Slots that there is room for.
    pub slots_capacity: u64,
    /// Everything that is not as it should be, each with what to do.
    pub warnings: Vec<String>,
}

/// The program in the kernel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramStatus {
    /// The kernel's id of it.
    pub id: u32,
    /// The entry point: `xlb_frags` takes multi-buffer (jumbo) frames, `xlb` does not.
    pub entry: String,
    /// How many instructions the verifier walked through.
    pub verified_instructions: u32,
}

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct InterfaceStatus {
    /// Its name.
    pub name: String,
    /// Its index, if it exists.
    pub ifindex: Option<u32>,
    /// What was asked for.
    pub wanted: AttachMode,
    /// What it is: `native`, `generic`, or `none` while the interface is missing.
    pub attached: String,
    /// Its MTU.
    pub mtu: Option<u32>,
    /// Why it is not what was asked for, if so.
    #[serde(default)]
    pub problem: Option<String>,
}

/// A service with its backends.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStatus {
    /// What was asked for, without the backends.
    pub name: String,
    /// The VIP and its port.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// How packets reach the backends.
    pub mode: Mode,
    /// Who makes the VIP known.
    pub announce: Announce,
    /// Clients that talk to the backends directly.
    pub direct: Vec<String>,
    /// Size of the consistent-hash table.
    pub slots: u32,
    /// Slots whose old flows are still being noted down after a change.
    pub slots_moving: u32,
    /// Slots whose move is over but which still remember flows.
    pub slots_settled: u32,
    /// The pool.
    pub backends: Vec<BackendStatus>,
}

/// A backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendStatus {
    /// Address and port.
    pub address: SocketAddr,
    /// Its weight.
    pub weight: u32,
    /// The interface that its replies must come from.
    #[serde(default)]
    pub interface: Option<String>,
    /// Its share of the service's slots, 0 to 1: the share of new flows to expect.
    pub share: f64,
    /// `resolved` (XDP sends), `kernel` (the kernel is asked for each new destination, or
    /// forwards), `no route`.
    pub next_hop: String,
    /// Where packets leave: interface and MAC, if resolved.
    #[serde(default)]
    pub via: Option<String>,
}

/// `GET /v1/services`: `xlb service list`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceList {
    /// [`SCHEMA`].
    pub schema: u32,
    /// In the order of their names.
    pub services: Vec<ServiceStatus>,
}

/// `GET /v1/stats`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Stats {
    /// [`SCHEMA`].
    pub schema: u32,
    /// When it was read: nanoseconds of the monotonic clock.
    pub at_ns: u64,
    /// Sums over all services.
    pub total: Counters,
    /// Each service.
    pub services: Vec<ServiceStats>,
    /// Each reason why packets were passed, handed up or dropped; all of them, zero or not.
    pub reasons: Vec<ReasonCount>,
    /// Each CPU.
    pub cpus: Vec<CpuStats>,
}

/// What one backend, service or all of them did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Packets from clients.
    pub request_packets: u64,
    /// Bytes from clients.
    pub request_bytes: u64,
    /// Packets from backends.
    pub reply_packets: u64,
    /// Bytes from backends.
    pub reply_bytes: u64,
    /// TCP connections asked for (SYN).
    pub opened: u64,
    /// TCP segments with FIN or RST from clients.
    pub closed: u64,
}

/// Counters of a service.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ServiceStats {
    /// Its name.
    pub name: String,
    /// The VIP and its port.
    pub vip: SocketAddr,
    /// TCP or UDP.
    pub protocol: Protocol,
    /// Sum over its backends, the removed ones of this agent's time included.
    pub counters: Counters,
    /// Each backend.
    pub backends: Vec<BackendStats>,
}

/// Counters of a backend.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct BackendStats {
    /// Address and port.
    pub address: SocketAddr,
    /// Its weight.
    pub weight: u32,
    /// Its expected share of new flows, 0 to 1.
    pub share: f64,
    /// What it did.
    pub counters: Counters,
}

/// Packets under a reason.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReasonCount {
    /// The reason's name.
    pub reason: String,
    /// `pass`, `hand-up` or `drop`.
    pub action: String,
    /// What it means.
    pub description: String,
    /// Packets.
    pub packets: u64,
}

/// What one CPU did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CpuStats {
    /// Its number.
    pub cpu: u32,
    /// Packets forwarded, both directions.
    pub packets: u64,
    /// Bytes forwarded, both directions.
    pub bytes: u64,
    /// Nanoseconds this CPU spent in soft interrupts, where XDP runs, from `/proc/stat`.
    pub softirq_ns: u64,
    /// Nanoseconds this CPU was not idle, from `/proc/stat`.
    pub busy_ns: u64,
}
