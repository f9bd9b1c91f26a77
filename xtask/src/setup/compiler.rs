//! The compiler of the eBPF programs: which one xlb's build script will take.

use std::path::Path;

use crate::tools::ask;

/// The oldest Rust that xlb is written for.
const OLDEST: (u32, u32) = (1, 95);

/// A compiler with `core` for BPF.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Compiler {
    /// Debian's, else rustup's nightly.
    pub is_debian: bool,
    /// Major and minor version of its LLVM.
    pub llvm: (u32, u32),
}

impl Compiler {
    /// The one that xlb's build script takes.
    pub fn find() -> Option<Self> {
        Self::debian().or_else(Self::nightly)
    }

    fn debian() -> Option<Self> {
        let core = Path::new("/usr/lib/rustlib/bpfel-unknown-none/lib");
        if !core.is_dir() || !Path::new("/usr/bin/cargo").exists() {
            return None;
        }
        Self::from_version(&ask("/usr/bin/rustc", &["-vV"])?, true)
    }

    fn nightly() -> Option<Self> {
        let said = ask("rustup", &["run", "nightly", "rustc", "-vV", "--print", "sysroot"])?;
        let sysroot = said.lines().last()?;
        if !Path::new(sysroot).join("lib/rustlib/src/rust/library/core").is_dir() {
            return None;
        }
        Self::from_version(&said, false)
    }

    /// From what `rustc -vV` prints.
    fn from_version(said: &str, is_debian: bool) -> Option<Self> {
        let field =
            |name: &str| said.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
        let release = major_minor(field("release")?)?;
        let llvm = major_minor(field("LLVM version")?)?;
        (release >= OLDEST).then_some(Self { is_debian, llvm })
    }
}

/// The first two numbers of a version.
pub fn major_minor(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.trim().split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_what_rustc_prints() {
        let said = "rustc 1.96.0 (ac68faa20 2026-05-25)\nrelease: 1.96.0\nLLVM version: 22.1.8\n";
        let compiler = Compiler { is_debian: true, llvm: (22, 1) };
        assert_eq!(Compiler::from_version(said, true), Some(compiler));
        assert_eq!(Compiler::from_version(&said.replace("1.96", "1.85"), true), None);
        assert_eq!(Compiler::from_version("", true), None);
    }
}
