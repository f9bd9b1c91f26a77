//! What is needed for what, and how to see whether it is there.

use std::path::Path;

use super::compiler::Compiler;
use crate::tools::{ask, find};

/// What something is needed for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Building the eBPF programs.
    Build,
    /// Looking for mistakes in them.
    Lint,
    /// Networks with real servers: the demo and the tests.
    Lab,
    /// Booting other kernels.
    Kernels,
}

/// All of them.
pub const EVERYTHING: &[Purpose] = &[Purpose::Build, Purpose::Lint, Purpose::Lab, Purpose::Kernels];

/// Something that has to be there.
pub struct Need {
    /// What for.
    pub purpose: Purpose,
    /// Debian's packages that bring it.
    pub packages: &'static [&'static str],
    /// How to see that it is there.
    pub test: Test,
    /// Why it is needed, for the user.
    pub why: &'static str,
}

/// How to see that something is there.
pub enum Test {
    /// A program of this name.
    Program(&'static str),
    /// What it is and a function that looks for it.
    Other(&'static str, fn() -> bool),
}

impl Need {
    /// Whether it is there.
    pub fn is_met(&self) -> bool {
        match self.test {
            Test::Program(name) => find(name).is_some(),
            Test::Other(_, there) => there(),
        }
    }

    /// What it is.
    pub fn what(&self) -> &'static str {
        match self.test {
            Test::Program(name) | Test::Other(name, _) => name,
        }
    }
}

/// Everything but the linker, which is not one of Debian's packages.
pub const NEEDS: &[Need] = &[
    Need {
        purpose: Purpose::Build,
        packages: &["rustc-web", "cargo-web", "libstd-rust-web-dev-bpf"],
        test: Test::Other("a Rust compiler for BPF", || Compiler::find().is_some()),
        why: "compile the eBPF programs (called by path; rustup's cargo stays yours)",
    },
    Need {
        purpose: Purpose::Lint,
        packages: &["rust-web-clippy"],
        test: Test::Other("clippy for that compiler", || {
            let debian = Compiler::find().is_none_or(|compiler| compiler.is_debian);
            !debian || Path::new("/usr/bin/clippy-driver").exists()
        }),
        why: "look for mistakes in the eBPF programs",
    },
    Need {
        purpose: Purpose::Lab,
        packages: &["iproute2"],
        test: Test::Program("ip"),
        why: "make network namespaces and their cables",
    },
    Need {
        purpose: Purpose::Lab,
        packages: &["ethtool"],
        test: Test::Program("ethtool"),
        why: "turn off offloads that do not go with XDP on veth",
    },
    Need {
        purpose: Purpose::Lab,
        packages: &["nginx-light"],
        test: Test::Program("nginx"),
        why: "be the real servers behind the load balancer",
    },
    Need {
        purpose: Purpose::Lab,
        packages: &["curl"],
        test: Test::Program("curl"),
        why: "be a real client",
    },
    Need {
        purpose: Purpose::Lab,
        packages: &["iperf3"],
        test: Test::Program("iperf3"),
        why: "be real bulk traffic",
    },
    Need {
        purpose: Purpose::Kernels,
        packages: &["qemu-system-x86"],
        test: Test::Program("qemu-system-x86_64"),
        why: "boot other kernels than this machine's",
    },
    Need {
        purpose: Purpose::Kernels,
        packages: &["cpio"],
        test: Test::Program("cpio"),
        why: "pack the file system that they boot with",
    },
    Need {
        purpose: Purpose::Kernels,
        packages: &["busybox-static"],
        test: Test::Other("a static busybox", || {
            let status = ask("dpkg-query", &["-W", "-f=${db:Status-Status}", "busybox-static"]);
            status.as_deref() == Some("installed")
        }),
        why: "be the shell inside that file system",
    },
];
