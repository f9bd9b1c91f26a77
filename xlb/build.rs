//! Builds the eBPF programs of `xlb-ebpf`, which need another target and so another cargo.
//!
//! The result is `$OUT_DIR/xlb-ebpf`, an ELF object that the crate includes. `XLB_EBPF_OBJECT=path`
//! takes a finished object instead. Otherwise two toolchains are tried: Debian's `rustc-web` with
//! `core` precompiled for BPF, then rustup's nightly, which builds `core` from `rust-src`. Both need
//! `bpf-linker`, linked against an LLVM at least as new as the compiler's. The inner cargo has a
//! target directory of its own (the outer one is locked) and sees nothing of the outer cargo's
//! settings but the job server and where the registry is.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

const OBJECT: &str = "XLB_EBPF_OBJECT";
/// A tested linker, and how to get it.
const GET_LINKER: &str = "LLVM_PREFIX=/usr/lib/llvm-22 cargo install bpf-linker --version 0.13.0 \
                          --locked --no-default-features --features llvm-22";
/// The crates that use inline assembly for BPF, which rustc counts as unstable.
const UNSTABLE_CRATES: &str = "aya_ebpf,xlb_ebpf";

fn main() -> ExitCode {
    match build() {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            for line in message.lines() {
                println!("cargo::error={line}");
            }
            ExitCode::FAILURE
        }
    }
}

fn build() -> Result<(), String> {
    let package = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = package.parent().ok_or("this package is not in its workspace")?;
    for input in ["xlb-ebpf", "xlb-common", "Cargo.toml"] {
        println!("cargo::rerun-if-changed={}", root.join(input).display());
    }
    println!("cargo::rerun-if-env-changed={OBJECT}");
    let out_dir = PathBuf::from(variable("OUT_DIR")?);

    let built = match env::var_os(OBJECT) {
        Some(object) => {
            println!("cargo::rerun-if-changed={}", object.display());
            PathBuf::from(object)
        }
        None => compile(root, &out_dir.join("ebpf-target"))?,
    };
    let wanted = out_dir.join("xlb-ebpf");
    fs::copy(&built, &wanted)
        .map_err(|e| format!("cannot copy {} to {}: {e}", built.display(), wanted.display()))?;
    Ok(())
}

/// Runs the inner cargo and says where the object is.
fn compile(root: &Path, target_dir: &Path) -> Result<PathBuf, String> {
    let target = match variable("CARGO_CFG_TARGET_ENDIAN")?.as_os_str() {
        endian if endian == "big" => "bpfeb-unknown-none",
        _ => "bpfel-unknown-none",
    };
    let arch = variable("CARGO_CFG_TARGET_ARCH")?;
    let linker = find_linker()?;
    let Toolchain { mut cargo, builds_core } = Toolchain::find(target)?;

    cargo.current_dir(root.join("xlb-ebpf"));
    cargo.args(["build", "--quiet", "--release", "--locked", "--package", "xlb-ebpf"]);
    cargo.args(["--bin", "xlb-ebpf", "--target", target, "--target-dir"]).arg(target_dir);
    if builds_core {
        cargo.args(["-Z", "build-std=core"]);
    }
    if env::var_os("CARGO_FEATURE_EBPF_LOG").is_some() {
        cargo.args(["--features", "log"]);
    }
    let mut arch_cfg = OsString::from("--cfg=bpf_target_arch=\"");
    arch_cfg.push(arch);
    arch_cfg.push("\"");
    let mut linker_flag = OsString::from("-Clinker=");
    linker_flag.push(linker);
    let flags = [
        arch_cfg.as_os_str(),
        OsStr::new("-Cdebuginfo=2"),
        OsStr::new("-Clink-arg=--btf"),
        // 32-bit instructions, which every kernel since 5.1 takes, save many extensions to 64 bits.
        OsStr::new("-Ctarget-cpu=v3"),
        // Linux loads unaligned words on x86 and arm64; without this they go byte by byte.
        OsStr::new("-Clink-arg=--cpu-features=+allows-misaligned-mem-access"),
        linker_flag.as_os_str(),
    ];
    cargo.env("CARGO_ENCODED_RUSTFLAGS", flags.join(OsStr::new("\x1f")));

    let output = cargo.output().map_err(|e| format!("cannot run {cargo:?}: {e}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        // Cargo shows what a failed build script wrote here as it is.
        eprint!("{said}");
        return Err("the eBPF program does not build: see the compiler's messages below\n\
             (if the linker speaks of bitcode or LLVM it is older than the compiler: run \
             `cargo xtask setup`)"
            .into());
    }
    for line in said.lines() {
        println!("cargo::warning={line}");
    }
    Ok(target_dir.join(target).join("release/xlb-ebpf"))
}

/// A compiler for BPF.
struct Toolchain {
    /// Its cargo, with a clean environment.
    cargo: Command,
    /// Whether `core` has to be compiled, too.
    builds_core: bool,
}

impl Toolchain {
    fn find(target: &str) -> Result<Self, String> {
        let precompiled = Path::new("/usr/lib/rustlib").join(target).join("lib");
        let (rustc, cargo) = (Path::new("/usr/bin/rustc"), Path::new("/usr/bin/cargo"));
        if precompiled.is_dir() && rustc.exists() && cargo.exists() {
            let mut cargo = clean(cargo);
            cargo.env("RUSTC", rustc).env("RUSTC_BOOTSTRAP", UNSTABLE_CRATES);
            return Ok(Self { cargo, builds_core: false });
        }

        let nightly = clean("rustup")
            .args(["run", "nightly", "rustc", "--print", "sysroot"])
            .output()
            .ok()
            .filter(|output| output.status.success())
            .map(|output| PathBuf::from(String::from_utf8_lossy(&output.stdout).trim()));
        let source = "lib/rustlib/src/rust/library/core";
        if nightly.is_some_and(|sysroot| sysroot.join(source).is_dir()) {
            let mut cargo = clean("rustup");
            cargo.args(["run", "nightly", "cargo"]);
            return Ok(Self { cargo, builds_core: true });
        }
        Err("no Rust compiler for eBPF found; either of these is needed:\n\
             - Debian's packages, installed by: cargo xtask setup\n\
             - rustup's nightly, installed by: rustup toolchain install nightly -c rust-src\n\
             or set XLB_EBPF_OBJECT to the path of an object that was built elsewhere"
            .into())
    }
}

fn find_linker() -> Result<PathBuf, String> {
    let path = env::var_os("PATH").unwrap_or_default();
    let installed = env::var_os("CARGO_HOME")
        .map(PathBuf::from)
        .or_else(|| env::home_dir().map(|home| home.join(".cargo")))
        .map(|home| home.join("bin"));
    env::split_paths(&path)
        .chain(installed)
        .map(|dir| dir.join("bpf-linker"))
        .find(|candidate| candidate.is_file())
        .ok_or_else(|| {
            format!(
                "bpf-linker not found in PATH; install it by: cargo xtask setup\n\
                 or, with LLVM 22's development files in /usr/lib/llvm-22: {GET_LINKER}"
            )
        })
}

/// A command that inherits nothing that the outer cargo or rustup set for itself.
fn clean(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    for (key, _) in env::vars_os() {
        let Some(name) = key.to_str() else { continue };
        let ours = ["RUSTC", "RUSTDOC", "RUSTFLAGS", "RUSTDOCFLAGS", "RUSTUP_TOOLCHAIN", "CLIPPY_"];
        let kept = ["CARGO_HOME", "CARGO_NET_", "CARGO_HTTP_", "CARGO_REGISTR", "CARGO_MAKEFLAGS"];
        let outer = ours.iter().any(|prefix| name.starts_with(prefix))
            || (name.starts_with("CARGO") && !kept.iter().any(|prefix| name.starts_with(prefix)))
            // Points to the outer compiler's own libraries.
            || name == "LD_LIBRARY_PATH";
        if outer {
            command.env_remove(&key);
        }
    }
    command
}

fn variable(name: &str) -> Result<OsString, String> {
    env::var_os(name).ok_or_else(|| format!("{name} is not set: this must be run by cargo"))
}
