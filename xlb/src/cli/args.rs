//! Options of each command, with the help that is shown for them.
//!
//! Doc comments here are what users read in `--help`: imperative, no full stop at the end. Options
//! of `run` that the configuration file also has are `Option`s, so that one given here wins.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use xlb_common::layout::{DEFAULT_SLOTS, SLOT_RANGE};

use super::{examples, parse};
use crate::api::types::{Announce, AttachMode, BackendSpec, InterfaceSpec, Mode};

/// `xlb run`.
#[derive(Clone, Debug, Default, Args)]
pub struct RunArgs {
    /// Configuration file [default: /etc/xlb/xlb.toml, if there is one]
    #[arg(short, long, value_name = "FILE", env = "XLB_CONFIG", hide_env_values = true)]
    pub config: Option<PathBuf>,

    /// Attach to this interface at start, `IFACE[:auto|native|generic]`; repeatable
    #[arg(short, long, value_name = "IFACE[:MODE]", value_parser = parse::interface)]
    pub attach: Vec<InterfaceSpec>,

    /// Set from the global option.
    #[arg(skip)]
    pub socket: Option<PathBuf>,

    /// Where the state file is kept [default: /var/lib/xlb]
    #[arg(long, value_name = "DIR", env = "XLB_STATE_DIR", hide_env_values = true)]
    pub state_dir: Option<PathBuf>,

    /// Directory on the bpffs for programs, links and maps [default: /sys/fs/bpf/xlb]
    #[arg(long, value_name = "DIR", env = "XLB_PINS", hide_env_values = true)]
    pub pins: Option<PathBuf>,

    /// Room for this many slots, of all services together; fixed while the maps are pinned
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(7..))]
    pub slots: Option<u32>,

    /// How the log is written
    #[arg(long, value_name = "FORMAT", value_enum)]
    pub log_format: Option<LogFormat>,

    /// Toeplitz key, 80 hex digits, the same on every node [default: the key of NICs' RSS]
    #[arg(long, value_name = "HEX", value_parser = parse::hash_key)]
    pub hash_key: Option<parse::HashKey>,
}

/// How the agent's log is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// `xlb attach`.
#[derive(Clone, Debug, Args)]
pub struct AttachArgs {
    /// The interface
    #[arg(value_name = "IFACE", value_parser = parse::interface_name)]
    pub interface: String,

    /// `native`: in the driver or not at all; `generic`: slow, everywhere; `auto`: whichever works
    #[arg(long, value_name = "MODE", default_value = "auto", value_parser = attach_mode())]
    pub mode: AttachMode,
}

/// `xlb detach`.
#[derive(Clone, Debug, Args)]
pub struct DetachArgs {
    /// The interface
    #[arg(value_name = "IFACE", value_parser = parse::interface_name)]
    pub interface: String,
}

/// `xlb service`.
#[derive(Debug, Subcommand)]
pub enum ServiceCommand {
    /// Add a service
    #[command(after_help = examples::SERVICE_ADD)]
    Add(ServiceAdd),
    /// List the services
    #[command(visible_alias = "ls", after_help = examples::SERVICE_LIST)]
    List,
    /// Show a service and its backends
    #[command(after_help = examples::SERVICE_SHOW)]
    Show(ServiceRef),
    /// Remove a service; its established connections end
    #[command(visible_alias = "rm", after_help = examples::SERVICE_REMOVE)]
    Remove(ServiceRef),
}

/// `xlb service add`.
#[derive(Clone, Debug, Args)]
pub struct ServiceAdd {
    /// A name for it: letters, digits and `. _ -`
    #[arg(value_parser = parse::service_name)]
    pub name: String,

    /// The VIP, its port and the protocol: `192.0.2.1:80/tcp`, `[2001:db8::1]:53/udp`
    #[arg(value_name = "ADDR:PORT/tcp|udp", value_parser = parse::vip)]
    pub vip: parse::Vip,

    /// How packets reach the backends
    #[arg(long, value_name = "MODE", default_value = "nat", value_parser = service_mode())]
    pub mode: Mode,

    /// Size of the consistent-hash table, best a prime; fixed while the service lives
    #[arg(long, value_name = "N", default_value_t = DEFAULT_SLOTS, value_parser = slots())]
    pub slots: u32,

    /// Who makes the VIP known: the agent by ARP and neighbour discovery, or somebody else
    #[arg(long, value_name = "HOW", default_value = "arp", value_parser = announce())]
    pub announce: Announce,

    /// Clients that talk to the backends directly, through this node: `10.1.0.0/16`; repeatable
    #[arg(long, value_name = "PREFIX", value_parser = parse::prefix)]
    pub direct: Vec<String>,

    /// A backend, with its weight if that is not 1; repeatable
    #[arg(short, long, value_name = "ADDR:PORT[=WEIGHT]", value_parser = parse::backend)]
    pub backend: Vec<BackendSpec>,
}

/// A service by its name.
#[derive(Clone, Debug, Args)]
pub struct ServiceRef {
    /// Name of the service
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub name: String,
}

/// `xlb backend`.
#[derive(Debug, Subcommand)]
pub enum BackendCommand {
    /// Add a backend to a service
    #[command(after_help = examples::BACKEND_ADD)]
    Add(BackendAdd),
    /// Change a backend's weight
    #[command(after_help = examples::BACKEND_WEIGHT)]
    Weight(BackendWeight),
    /// Remove a backend at once; its connections end
    #[command(visible_alias = "rm", after_help = examples::BACKEND_REMOVE)]
    Remove(BackendRef),
    /// List the backends of one service, or of all
    #[command(visible_alias = "ls", after_help = examples::BACKEND_LIST)]
    List(BackendList),
}

/// `xlb backend add`.
#[derive(Clone, Debug, Args)]
pub struct BackendAdd {
    /// Which backend of which service.
    #[command(flatten)]
    pub backend: BackendRef,

    /// Its share of new flows is its weight over the sum of the pool's weights
    #[arg(short, long, value_name = "N", default_value_t = 1, value_parser = weight())]
    pub weight: u32,

    /// Accept its replies from this interface only
    #[arg(short, long, value_name = "IFACE", value_parser = parse::interface_name)]
    pub interface: Option<String>,
}

/// A backend of a service.
#[derive(Clone, Debug, Args)]
pub struct BackendRef {
    /// Name of the service
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub service: String,
    /// The backend's address and port
    #[arg(value_name = "ADDR:PORT", value_parser = parse::address)]
    pub address: SocketAddr,
}

/// `xlb backend weight`.
#[derive(Clone, Debug, Args)]
pub struct BackendWeight {
    /// Which backend of which service.
    #[command(flatten)]
    pub backend: BackendRef,
    /// The new weight, 0 to 65535; 0 takes it out of the choice
    #[arg(value_name = "N", value_parser = weight())]
    pub weight: u32,
}

/// `xlb backend list`.
#[derive(Clone, Debug, Args)]
pub struct BackendList {
    /// Only this service's
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub service: Option<String>,
}

/// `xlb stats`.
#[derive(Clone, Debug, Default, Args)]
pub struct StatsArgs {
    /// Only this service's
    #[arg(value_parser = NonEmptyStringValueParser::new())]
    pub service: Option<String>,

    /// Repeat, every so many seconds, and add rates
    #[arg(
        short, long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "1",
        value_parser = parse::interval
    )]
    pub watch: Option<Duration>,

    /// Show the reasons that counted nothing, too
    #[arg(short, long)]
    pub all: bool,

    /// Show numbers in full
    #[arg(short, long)]
    pub exact: bool,
}

/// `xlb top`.
#[derive(Clone, Debug, Args)]
pub struct TopArgs {
    /// Seconds between two samples
    #[arg(short, long, value_name = "SECONDS", default_value = "1", value_parser = parse::interval)]
    pub interval: Duration,

    /// Print one frame as plain text, after one interval, and end
    #[arg(long)]
    pub once: bool,
}

/// `xlb bench`.
#[derive(Clone, Debug, Default, Args)]
pub struct BenchArgs {
    /// How often each case is measured, its floor beside it; medians are over these [default: 31]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rounds: Option<u32>,

    /// Packets in each measurement [default: 1000000]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub packets: Option<u32>,

    /// Only cases whose name contains this, such as `tcp4` or `udp6-request`; repeatable
    #[arg(long = "case", value_name = "NAME")]
    pub cases: Vec<String>,

    /// Fewer rounds and packets: a rough number in seconds
    #[arg(long)]
    pub quick: bool,

    /// Set from the global option.
    #[arg(skip)]
    pub json: bool,
}

fn attach_mode() -> impl TypedValueParser<Value = AttachMode> {
    PossibleValuesParser::new(["auto", "native", "generic"]).map(|word| match word.as_str() {
        "native" => AttachMode::Native,
        "generic" => AttachMode::Generic,
        _ => AttachMode::Auto,
    })
}

fn service_mode() -> impl TypedValueParser<Value = Mode> {
    PossibleValuesParser::new(["nat"]).map(|_| Mode::Nat)
}

fn announce() -> impl TypedValueParser<Value = Announce> {
    PossibleValuesParser::new(["arp", "none"]).map(|word| match word.as_str() {
        "none" => Announce::None,
        _ => Announce::Arp,
    })
}

fn slots() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(i64::from(*SLOT_RANGE.start())..=i64::from(*SLOT_RANGE.end()))
}

fn weight() -> impl TypedValueParser<Value = u32> {
    clap::value_parser!(u32).range(0..=65_535)
}
