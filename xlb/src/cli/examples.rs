//! Examples at the end of each command's help: lines that work as they stand.

pub(super) const XLB: &str = "\
Examples:
  xlb run --attach eth0                                 the agent, on eth0
  xlb service add web 192.0.2.10:80/tcp -b 10.0.0.11:8080 -b 10.0.0.12:8080
  xlb backend add web 10.0.0.13:8080 --weight 2
  xlb top                                               watch it work

Exit codes: 0 done, 1 failed, 2 wrong usage, 3 no agent.";

pub(super) const RUN: &str = "\
Examples:
  xlb run --attach eth0
  xlb run --attach eth0:native --attach eth1:generic
  xlb run --config ./lab.toml --socket /tmp/lab.sock --state-dir /tmp/lab --pins /sys/fs/bpf/lab

Killing the agent loses no packet: the program stays attached until `xlb detach`.";

pub(super) const ATTACH: &str = "\
Examples:
  xlb attach eth0
  xlb attach eth0 --mode native";

pub(super) const DETACH: &str = "\
Examples:
  xlb detach eth0";

pub(super) const SERVICE: &str = "\
Examples:
  xlb service add web 192.0.2.10:80/tcp --backend 10.0.0.11:8080 --backend 10.0.0.12:8080=2
  xlb service list
  xlb svc show web";

pub(super) const SERVICE_ADD: &str = "\
Examples:
  xlb service add web 192.0.2.10:80/tcp --backend 10.0.0.11:8080 --backend 10.0.0.12:8080=2
  xlb service add dns '[2001:db8::53]:53/udp' --backend '[2001:db8:1::11]:53'
  xlb service add web 192.0.2.10:80/tcp --announce none --direct 10.0.0.0/8";

pub(super) const SERVICE_LIST: &str = "\
Examples:
  xlb service list
  xlb svc ls --json";

pub(super) const SERVICE_SHOW: &str = "\
Examples:
  xlb service show web";

pub(super) const SERVICE_REMOVE: &str = "\
Examples:
  xlb service remove web";

pub(super) const BACKEND: &str = "\
Examples:
  xlb backend add web 10.0.0.13:8080 --weight 2
  xlb backend weight web 10.0.0.13:8080 5
  xlb be ls web";

pub(super) const BACKEND_ADD: &str = "\
Examples:
  xlb backend add web 10.0.0.13:8080
  xlb backend add web 10.0.0.13:8080 --weight 2 --interface eth1
  xlb backend add web6 '[2001:db8:1::13]:8080'";

pub(super) const BACKEND_WEIGHT: &str = "\
Examples:
  xlb backend weight web 10.0.0.13:8080 5";

pub(super) const BACKEND_REMOVE: &str = "\
Examples:
  xlb backend remove web 10.0.0.13:8080";

pub(super) const BACKEND_LIST: &str = "\
Examples:
  xlb backend list
  xlb backend list web --json";

pub(super) const STATUS: &str = "\
Examples:
  xlb status
  xlb status --json | jq .warnings";

pub(super) const STATS: &str = "\
Examples:
  xlb stats
  xlb stats web --exact
  xlb stats --watch 2
  xlb stats --json --watch | jq .total.request_packets

--help explains EXPECTED and ACTUAL.";

pub(super) const STATS_LONG: &str = "\
Examples:
  xlb stats
  xlb stats web --exact
  xlb stats --watch 2
  xlb stats --json --watch | jq .total.request_packets

EXPECTED is a backend's share of the service's slots: the share of new flows it should get.
ACTUAL is the share that it got: of the TCP connections asked for, or of the packets from clients
where there were none (UDP, or connections that were there before). Totals count from when the
program was first attached, so a pool that has changed since then differs; with --watch, ACTUAL is
about the last interval. Packets and bytes are counted from the IP header on.";

pub(super) const TOP: &str = "\
Examples:
  xlb top
  xlb top --interval 0.5
  xlb top --once > frame.txt

Keys: arrows or j/k select, Tab next pane, Enter one pane alone, s sort, / filter, p pause, ? help,
q quit. NO_COLOR is honoured; TERM=dumb, TERM=linux and locales without UTF-8 get ASCII.";

pub(super) const BENCH: &str = "\
Examples:
  xlb bench --quick
  xlb bench --case tcp4
  xlb bench --json > bench.json

--help says what the numbers are and are not.";

pub(super) const BENCH_LONG: &str = "\
Examples:
  xlb bench --quick
  xlb bench --case tcp4
  xlb bench --json > bench.json

What the number is: nanoseconds that the very program which would be attached spends on a packet,
on one core of this machine, measured by the kernel's BPF_PROG_TEST_RUN. Every round also measures
a floor, an empty program that sends the packet back, in the same way; NET is the difference, and
medians are shown with minimum and maximum.

What it is not: a NIC's rate. There is no driver, no DMA, no wire and no cache miss of a fresh
packet in it, and no second core. It says what xlb adds to what your NIC does with an empty XDP
program. Needs root; it touches no running agent and no interface.";
