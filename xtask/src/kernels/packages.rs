//! Where kernels come from: the package sources of this machine, else those of Debian 12.
//!
//! Debian 12 has all of them, with its security updates. On a later Debian its sources are asked on
//! the side, from the same mirrors, with package lists of their own: the machine's stay as they are.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use xlb_tests::{command::run, interrupt};

use crate::{
    setup::apt::apt_get,
    tools::{say, step},
};

/// The release that has all the kernels.
const RELEASE: &str = "bookworm";

/// Downloads the newest kernel of a series into a directory; the name of the package.
pub fn download(series: &str, directory: &Path) -> Result<String> {
    let machine = Sources(Vec::new());
    let from_machine = machine.newest(series)?.map(|package| (machine, package));
    let (sources, package) = match from_machine {
        Some(found) => found,
        None => {
            let sources = Sources::of_release(directory)?;
            let package = sources.newest(series)?.with_context(|| {
                format!(
                    "no package source has a kernel {series} (linux-image-{series}*-cloud-amd64)"
                )
            })?;
            (sources, package)
        }
    };
    say(&format!("downloading {package}"));
    let get = || step(sources.apt_get().args(["download", &package]).current_dir(directory));
    if get().is_err() {
        // The package lists may be older than the package.
        interrupt::check()?;
        step(sources.apt_get().arg("update"))?;
        get()?;
    }
    Ok(package)
}

/// Package sources, as options of apt's programs; none stands for the machine's own.
struct Sources(Vec<String>);

impl Sources {
    /// Those of the release, from the mirrors that this machine uses.
    fn of_release(directory: &Path) -> Result<Self> {
        let mut ask = Command::new("apt-get");
        ask.args(["indextargets", "--format", "$(REPO_URI) $(RELEASE)", "Origin: Debian"]);
        let targets = run(&mut ask)?;
        let mirror = |security: bool| {
            let mut targets = targets.lines().filter_map(|line| line.split_once(' '));
            targets.find(|(_, release)| release.ends_with("-security") == security)
        };
        let mut list = String::new();
        for (security, suffix) in [(false, ""), (true, "-security")] {
            let Some((mirror, _)) = mirror(security) else { continue };
            let keys = "/usr/share/keyrings/debian-archive-keyring.gpg";
            list.push_str(&format!("deb [signed-by={keys}] {mirror} {RELEASE}{suffix} main\n"));
        }
        if list.is_empty() {
            bail!("this machine has no package sources of Debian's");
        }
        let place = directory.join("apt");
        fs::create_dir_all(place.join("lists/partial"))?;
        let file = place.join("sources.list");
        fs::write(&file, list).with_context(|| format!("cannot write {}", file.display()))?;
        let sources = Self(vec![
            "-o".into(),
            format!("Dir::Etc::SourceList={}", file.display()),
            "-o".into(),
            "Dir::Etc::SourceParts=/dev/null".into(),
            "-o".into(),
            format!("Dir::State::Lists={}", place.join("lists").display()),
            "-o".into(),
            format!("Dir::Cache={}", place.display()),
        ]);
        step(sources.apt_get().arg("update"))?;
        Ok(sources)
    }

    fn apt_get(&self) -> Command {
        let mut command = apt_get();
        // The directory may be closed to the user that apt downloads as.
        command.args(["-o", "APT::Sandbox::User=root"]).args(&self.0);
        command
    }

    /// The newest package of a series, signed or not.
    fn newest(&self, series: &str) -> Result<Option<String>> {
        let expression = format!(
            r"^linux-image-{}\.[0-9]+(-[0-9]+)?(\+deb[0-9]+)?-cloud-amd64(-unsigned)?$",
            series.replace('.', r"\.")
        );
        let mut search = Command::new("apt-cache");
        search.args(&self.0).args(["search", "--names-only", &expression]);
        let found = run(search.stderr(Stdio::null()))?;
        let names = found.lines().filter_map(|line| line.split_whitespace().next());
        Ok(names.max_by_key(|name| numbers(name)).map(Into::into))
    }
}

/// The numbers in a name, to compare versions by.
fn numbers(name: &str) -> Vec<u64> {
    name.split(|c: char| !c.is_ascii_digit()).filter_map(|number| number.parse().ok()).collect()
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
