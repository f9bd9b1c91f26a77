//! Where kernels come from: Debian's packages, downloaded and unpacked, never installed.
//!
//! What was unpacked once is used again, so that no later run depends on the network.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use xlb_tests::command::run;

use crate::{
    setup::apt,
    tools::{say, target_directory},
};

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
        let package = newest(series)?;
        say(&format!("downloading {package}"));
        unpack(&package, &directory)?;
        fs::write(&complete, package)?;
    }
    Ok(Image {
        name: fs::read_to_string(&complete)?,
        kernel: directory.join("vmlinuz"),
        modules: MODULES.iter().map(|module| directory.join(format!("{module}.ko"))).collect(),
    })
}

/// The newest package of a series, signed or not.
fn newest(series: &str) -> Result<String> {
    let expression = format!(
        r"^linux-image-{}\.[0-9]+(-[0-9]+)?(\+deb[0-9]+)?-cloud-amd64(-unsigned)?$",
        series.replace('.', r"\.")
    );
    let find = || -> Result<_> {
        Ok(apt::names(&expression)?.into_iter().max_by_key(|name| numbers(name)))
    };
    if let Some(name) = find()? {
        return Ok(name);
    }
    apt::update()?;
    find()?.with_context(|| {
        format!(
            "the package sources of this machine have no kernel {series} \
             (linux-image-{series}*-cloud-amd64; Debian 12 with its security updates has it)"
        )
    })
}

/// The numbers in a name, to compare versions by.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
}

/// Takes the kernel and the modules out of a package.
fn unpack(package: &str, directory: &Path) -> Result<()> {
    // What an interrupted run left behind is of no use.
    let _ = fs::remove_dir_all(directory);
    let whole = directory.join("package");
    fs::create_dir_all(&whole).with_context(|| format!("cannot make {}", whole.display()))?;
    apt::download(package, directory)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_numbers() {
        let older = numbers("linux-image-6.12.99+deb12-cloud-amd64");
        let newer = numbers("linux-image-6.12.117+deb12-cloud-amd64");
        assert!(older < newer);
        assert!(numbers("linux-image-6.1.0-9-cloud-amd64") < numbers("linux-image-6.1.0-10-c"));
    }
}
