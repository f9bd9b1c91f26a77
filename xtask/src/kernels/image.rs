//! Kernels to boot: unpacked from Debian's packages, never installed.
//!
//! What was unpacked once is used again, so that no later run depends on the network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use xlb_tests::command::run;

use super::packages;
use crate::tools::target_directory;

/// Modules that the tests need and Debian does not build in.
const MODULES: &[&str] = &["veth"];

/// A kernel to boot.
pub struct Image {
    /// The package it came from.
    pub name: String,
    /// The kernel itself.
    pub kernel: PathBuf,
    /// Modules, to be loaded in this order.
    pub modules: Vec<PathBuf>,
}

/// The newest kernel of a series.
pub fn get(series: &str) -> Result<Image> {
    let directory = target_directory()?.join("kernels").join(series);
    let complete = directory.join("name");
    if !complete.exists() {
        // What an interrupted run left behind is of no use.
        let _ = fs::remove_dir_all(&directory);
        fs::create_dir_all(&directory)
            .with_context(|| format!("cannot make {}", directory.display()))?;
        let package = packages::download(series, &directory)?;
        unpack(&directory)?;
        fs::write(&complete, package)?;
    }
    Ok(Image {
        name: fs::read_to_string(&complete)?,
        kernel: directory.join("vmlinuz"),
        modules: MODULES.iter().map(|module| directory.join(format!("{module}.ko"))).collect(),
    })
}

/// Takes the kernel and the modules out of a package.
fn unpack(directory: &Path) -> Result<()> {
    let whole = directory.join("package");
    let archive = find_file(directory, &|name| name.ends_with(".deb"))?;
    run(Command::new("dpkg-deb").arg("-x").arg(&archive).arg(&whole))?;
    let kernel = find_file(&whole.join("boot"), &|name| name.starts_with("vmlinuz"))?;
    fs::rename(kernel, directory.join("vmlinuz"))?;
    for module in MODULES {
        let plain = format!("{module}.ko");
        let packed = find_file(&whole, &|name| name.strip_suffix(".xz").unwrap_or(name) == plain)?;
        if packed.extension().is_some_and(|extension| extension == "xz") {
            run(Command::new("xz").arg("--decompress").arg(&packed))?;
        }
        fs::rename(packed.with_file_name(&plain), directory.join(&plain))?;
    }
    fs::remove_file(archive)?;
    fs::remove_dir_all(whole)?;
    // There only if the sources of another release were asked.
    let _ = fs::remove_dir_all(directory.join("apt"));
    Ok(())
}

/// The first file below a directory whose name is wanted.
fn find_file(directory: &Path, wanted: &dyn Fn(&str) -> bool) -> Result<PathBuf> {
    let mut directories = vec![directory.to_path_buf()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            } else if entry.file_name().to_str().is_some_and(wanted) {
                return Ok(entry.path());
            }
        }
    }
    anyhow::bail!("a file is missing in the package below {}", directory.display())
}
