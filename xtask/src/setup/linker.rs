//! The linker of BPF programs, which has to suit the compiler.
//!
//! It does the code generation, from the compiler's LLVM bitcode: with an older LLVM than the
//! compiler's it misreads that. So it is built here, against the LLVM that the compiler is built
//! with.

use std::{fs, process::Command};

use anyhow::{Context as _, Result, bail};

use super::{
    apt,
    compiler::{Compiler, major_minor},
};
use crate::tools::{ask, cargo, find, say, step, target_directory};

/// What it is called.
pub const NAME: &str = "bpf-linker";
/// The version that xlb is tested with.
const VERSION: &str = "0.13.0";

/// What is wrong with the linker, if something is.
pub fn problem() -> Option<String> {
    let Some(linker) = find(NAME) else { return Some("not there".into()) };
    let Some(version) = ask(&linker, &["--version"]) else {
        return Some("does not run".into());
    };
    if version.trim() != format!("{NAME} {VERSION}") {
        return Some(format!("{VERSION} is needed, {} is there", version.trim()));
    }
    let compiler = Compiler::find()?;
    let libraries = ask("ldd", &[&linker.to_string_lossy()]).unwrap_or_default();
    // A linker that has its LLVM inside can only be tried out.
    let (major, minor) = linked_llvm(&libraries)?;
    ((major, minor) < compiler.llvm).then(|| {
        let (ours, point) = compiler.llvm;
        format!("its LLVM is {major}.{minor}, the compiler's is {ours}.{point}")
    })
}

/// Installs the linker if something is wrong with it, and tries it out.
pub fn ensure() -> Result<()> {
    let Some(problem) = problem() else { return Ok(()) };
    let compiler = Compiler::find().context("there is no compiler for BPF")?;
    let (llvm, _) = compiler.llvm;
    let prefix = format!("/usr/lib/llvm-{llvm}");
    let development = format!("llvm-{llvm}-dev");
    say(&format!("{NAME}: {problem}; it is built with {development}"));
    apt::install(&[&development])?;

    let mut install = cargo();
    install.env("LLVM_PREFIX", prefix).current_dir("/");
    install.args(["install", NAME, "--version", VERSION, "--locked", "--force"]);
    install.args(["--no-default-features", "--features", &format!("llvm-{llvm}")]);
    install.arg("--target-dir").arg(target_directory()?.join(NAME));
    step(&mut install)?;
    if let Some(problem) = self::problem() {
        bail!("{NAME} is installed, yet: {problem}");
    }
    if compiler.is_debian {
        try_out()?;
    }
    Ok(())
}

/// Compiles and links a program of one line.
fn try_out() -> Result<()> {
    let directory = target_directory()?.join(NAME);
    let source = directory.join("probe.rs");
    let linker = find(NAME).context("it is not there")?;
    let program = "#![no_std]\n#![no_main]\n#[unsafe(no_mangle)]\n#[unsafe(link_section = \
                   \"xdp\")]\npub extern \"C\" fn probe() -> u32 { 2 }\n#[panic_handler]\nfn \
                   panic(_: &core::panic::PanicInfo) -> ! { loop {} }\n";
    fs::write(&source, program).with_context(|| format!("cannot write {}", source.display()))?;
    let mut compile = Command::new("/usr/bin/rustc");
    compile.args(["--edition=2024", "--target=bpfel-unknown-none", "-Copt-level=2"]);
    compile.arg(format!("-Clinker={}", linker.display()));
    compile.arg(&source).arg("-o").arg(source.with_extension("o"));
    compile.env_remove("LD_LIBRARY_PATH");
    step(&mut compile).context("compiler and linker do not go together")
}

/// The LLVM that a program is linked with, from what `ldd` prints.
fn linked_llvm(libraries: &str) -> Option<(u32, u32)> {
    let library = libraries.lines().find_map(|line| line.trim().strip_prefix("libLLVM"))?;
    let version = library.trim_start_matches(['.', '-', 's', 'o']).split_whitespace().next()?;
    let version = version.trim_end_matches(".so");
    major_minor(version).or_else(|| Some((version.split('.').next()?.parse().ok()?, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_linked_llvm_is_read_from_what_ldd_prints() {
        let ldd = |name: &str| format!("\tlinux-vdso.so.1\n\t{name} => /usr/lib/{name} (0x7f)\n");
        assert_eq!(linked_llvm(&ldd("libLLVM.so.22.1")), Some((22, 1)));
        assert_eq!(linked_llvm(&ldd("libLLVM.so.19.1-rust")), Some((19, 0)));
        assert_eq!(linked_llvm(&ldd("libLLVM-14.so.1")), Some((14, 0)));
        assert_eq!(linked_llvm(&ldd("libc.so.6")), None);
    }
}
