//! The kernel settings that handing packets up needs, on each attached interface.
//!
//! A packet that is handed up is already rewritten, and the kernel must forward it. A rewritten reply
//! carries the VIP as its source, an address of this node, which the kernel distrusts by default.
//! So, for each interface that packets are handed up from:
//!
//! - `forwarding=1`, both families; the kernel's route lookup for XDP refuses without it, too.
//!   Before Linux 6.17 IPv6 forwards packets only if `conf/all/forwarding` is on, for all interfaces.
//! - `accept_local=1`: a source that is this node's own address is no martian.
//! - `rp_filter` 0 or 2: the check of the source's route must not want it on this very interface. The
//!   higher of the interface's and `all`'s counts, so 2 (loose) on the interface beats 1 (strict).
//! - `send_redirects=0`, on the interface and on `all` (either one turns redirects on): clients and
//!   backends must not be told to talk to each other directly.
//! - `accept_ra=2` where it was 1: else forwarding would turn router advertisements off.
//!
//! What was changed is given back, to be stored and restored.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A setting that was changed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Where it is, below `/proc/sys`: `net/ipv4/conf/eth0/forwarding`.
    pub path: String,
    /// What it was.
    pub old: String,
    /// What it was set to.
    pub new: String,
}

/// A setting that could not be read or written.
#[derive(Debug, thiserror::Error)]
#[error("can't {verb} the kernel setting {path}: {source}; {advice}")]
pub struct Error {
    verb: &'static str,
    path: String,
    source: io::Error,
    advice: &'static str,
    /// What was changed before that.
    pub changed: Vec<Change>,
}

const V4: &str = "net/ipv4/conf";
const V6: &str = "net/ipv6/conf";

/// Changes what must be changed for packets to be handed up from `interfaces`.
///
/// Name VLAN devices and bridges on top of an attached interface too: that is where its packets
/// enter the kernel. Settings that are right already are left alone and not in the answer.
///
/// # Errors
///
/// If a setting can't be written (not root, read-only `/proc/sys`); the error holds what was changed.
pub fn prepare(interfaces: &[&str]) -> Result<Vec<Change>, Error> {
    let mut settings = Settings::new(Path::new("/proc/sys"));
    match settings.prepare(interfaces) {
        Ok(()) => Ok(settings.changes),
        Err(error) => Err(Error { changed: settings.changes, ..error }),
    }
}

/// Takes changes back, the last one first. What somebody else has changed since is left alone.
///
/// Returns what could not be taken back; an interface that is gone needs nothing.
pub fn restore(changes: &[Change]) -> Vec<Error> {
    Settings::new(Path::new("/proc/sys")).restore(changes)
}

struct Settings {
    root: PathBuf,
    changes: Vec<Change>,
}

impl Settings {
    fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), changes: Vec::new() }
    }

    fn prepare(&mut self, interfaces: &[&str]) -> Result<(), Error> {
        self.set(&format!("{V4}/all/send_redirects"), "0")?;
        for name in interfaces {
            let v4 = format!("{V4}/{name}");
            self.set(&format!("{v4}/forwarding"), "1")?;
            self.set(&format!("{v4}/accept_local"), "1")?;
            self.set(&format!("{v4}/send_redirects"), "0")?;
            let own = self.get(&format!("{v4}/rp_filter"))?;
            if own.max(self.get(&format!("{V4}/all/rp_filter"))?) == "1" {
                self.set(&format!("{v4}/rp_filter"), "2")?;
            }
        }
        self.prepare6(interfaces)
    }

    fn prepare6(&mut self, interfaces: &[&str]) -> Result<(), Error> {
        let all = self.interfaces6();
        // An interface with an MTU below 1280 has no IPv6.
        let ours: Vec<&str> =
            all.iter().map(String::as_str).filter(|name| interfaces.contains(name)).collect();
        let mut forward = Vec::new();
        if ours.iter().all(|name| self.exists(&format!("{V6}/{name}/force_forwarding"))) {
            for name in &ours {
                self.set(&format!("{V6}/{name}/force_forwarding"), "1")?;
                forward.push(*name);
            }
        } else {
            // Writing `all` also writes the others: one by one before it, so that each is noted.
            forward.extend(all.iter().map(String::as_str).filter(|name| *name != "all"));
            forward.push("all");
        }
        let path = |name: &str| format!("{V6}/{name}/forwarding");
        let mut off = Vec::new();
        for name in forward {
            if self.get(&path(name))? == "0" {
                off.push(name);
            }
        }
        if off.is_empty() {
            return Ok(());
        }
        // Turning forwarding on anywhere drops the default routes that were learned from router
        // advertisements on every interface where accept_ra is 1.
        let mut for_a_moment = Vec::new();
        for name in &all {
            let accept_ra = format!("{V6}/{name}/accept_ra");
            if self.get(&accept_ra).is_ok_and(|value| value == "1") {
                if off.contains(&name.as_str()) {
                    self.set(&accept_ra, "2")?;
                } else {
                    self.write(&accept_ra, "2")?;
                    for_a_moment.push(accept_ra);
                }
            }
        }
        let mut done = off.iter().try_for_each(|name| self.set(&path(name), "1"));
        for accept_ra in for_a_moment {
            done = done.and(self.write(&accept_ra, "1"));
        }
        done
    }

    fn restore(&mut self, changes: &[Change]) -> Vec<Error> {
        let mut failed = Vec::new();
        for change in changes.iter().rev() {
            let Change { path, old, new } = change;
            if !self.exists(path) {
                continue;
            }
            let result = match self.get(path) {
                Ok(now) if now != *new => continue,
                Ok(_) if path == &format!("{V6}/all/forwarding") => self.forward_all6(old),
                Ok(_) => self.write(path, old),
                Err(error) => Err(error),
            };
            failed.extend(result.err());
        }
        failed
    }

    /// Writing IPv6's `all/forwarding` overwrites that of every interface: they are put back.
    fn forward_all6(&self, value: &str) -> Result<(), Error> {
        let mut before = Vec::new();
        for name in self.interfaces6().into_iter().filter(|name| name != "all") {
            let path = format!("{V6}/{name}/forwarding");
            let value = self.get(&path)?;
            before.push((path, value));
        }
        self.write(&format!("{V6}/all/forwarding"), value)?;
        before
            .iter()
            .filter(|(_, old)| old != value)
            .try_for_each(|(path, old)| self.write(path, old))
    }

    /// Sets a value and notes it, if it isn't set already.
    fn set(&mut self, path: &str, new: &str) -> Result<(), Error> {
        let old = self.get(path)?;
        if old != new {
            self.write(path, new)?;
            self.changes.push(Change { path: path.to_owned(), old, new: new.to_owned() });
        }
        Ok(())
    }

    fn interfaces6(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root.join(V6)) else { return Vec::new() };
        entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok()).collect()
    }

    fn exists(&self, path: &str) -> bool {
        self.root.join(path).exists()
    }

    fn get(&self, path: &str) -> Result<String, Error> {
        let text = fs::read_to_string(self.root.join(path));
        text.map(|text| text.trim().to_owned()).map_err(|source| error("read", path, source))
    }

    fn write(&self, path: &str, value: &str) -> Result<(), Error> {
        fs::write(self.root.join(path), value).map_err(|source| error("write", path, source))
    }
}

fn error(verb: &'static str, path: &str, source: io::Error) -> Error {
    let advice = match source.kind() {
        io::ErrorKind::NotFound => "is the interface still there?",
        io::ErrorKind::PermissionDenied => "the agent must run as root",
        io::ErrorKind::ReadOnlyFilesystem => {
            "/proc/sys must be writable (see ProtectKernelTunables)"
        }
        _ => "try to write it by hand",
    };
    Error { verb, path: format!("/proc/sys/{path}"), source, advice, changed: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A directory with settings as the kernel has them, but plain files.
    struct Fake(PathBuf);

    impl Fake {
        fn new(test: &str, values: &[(&str, &str)]) -> Self {
            let root =
                std::env::temp_dir().join(format!("xlb-sysctl-{}-{test}", std::process::id()));
            let fake = Self(root);
            for (path, value) in values {
                let path = fake.0.join(path);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("{value}\n")).unwrap();
            }
            fake
        }

        fn get(&self, path: &str) -> String {
            fs::read_to_string(self.0.join(path)).unwrap().trim().to_owned()
        }
    }

    impl Drop for Fake {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    const PLAIN4: [(&str, &str); 6] = [
        ("net/ipv4/conf/all/send_redirects", "1"),
        ("net/ipv4/conf/all/rp_filter", "0"),
        ("net/ipv4/conf/a/forwarding", "0"),
        ("net/ipv4/conf/a/accept_local", "0"),
        ("net/ipv4/conf/a/send_redirects", "1"),
        ("net/ipv4/conf/a/rp_filter", "0"),
    ];

    #[test]
    fn a_strict_source_check_is_made_loose_whoever_asks_for_it() {
        for (all, own, after) in
            [("0", "1", "2"), ("1", "0", "2"), ("0", "0", "0"), ("2", "1", "1")]
        {
            let mut values = PLAIN4;
            (values[1].1, values[5].1) = (all, own);
            let fake = Fake::new(&format!("rp{all}{own}"), &values);
            Settings::new(&fake.0).prepare(&["a"]).unwrap();
            assert_eq!(fake.get("net/ipv4/conf/a/rp_filter"), after, "all {all}, own {own}");
        }
    }

    #[test]
    fn changes_are_told_once_and_taken_back() {
        let fake = Fake::new("once", &PLAIN4);
        let mut settings = Settings::new(&fake.0);
        settings.prepare(&["a"]).unwrap();
        let paths: Vec<&str> = settings.changes.iter().map(|change| &change.path[14..]).collect();
        let expected = ["all/send_redirects", "a/forwarding", "a/accept_local", "a/send_redirects"];
        assert_eq!(paths, expected);
        let mut again = Settings::new(&fake.0);
        again.prepare(&["a"]).unwrap();
        assert_eq!(again.changes, []);

        // Somebody else's change stays.
        fs::write(fake.0.join("net/ipv4/conf/a/forwarding"), "7").unwrap();
        assert!(again.restore(&settings.changes).is_empty());
        assert_eq!(fake.get("net/ipv4/conf/a/forwarding"), "7");
        assert_eq!(fake.get("net/ipv4/conf/a/accept_local"), "0");
        assert_eq!(fake.get("net/ipv4/conf/all/send_redirects"), "1");
    }

    #[test]
    fn an_older_kernel_forwards_ipv6_everywhere_or_not_at_all() {
        let v6 = [
            ("net/ipv6/conf/all/forwarding", "0"),
            ("net/ipv6/conf/all/accept_ra", "0"),
            ("net/ipv6/conf/a/forwarding", "0"),
            ("net/ipv6/conf/a/accept_ra", "1"),
            ("net/ipv6/conf/b/forwarding", "0"),
            ("net/ipv6/conf/b/accept_ra", "1"),
        ];
        let fake = Fake::new("old", &[&PLAIN4[..], &v6].concat());
        let mut settings = Settings::new(&fake.0);
        settings.prepare(&["a"]).unwrap();
        assert_eq!(fake.get("net/ipv6/conf/all/forwarding"), "1");
        assert_eq!(fake.get("net/ipv6/conf/a/accept_ra"), "2");
        assert_eq!(fake.get("net/ipv6/conf/b/accept_ra"), "2");
        assert_eq!(fake.get("net/ipv6/conf/b/forwarding"), "1");
        assert!(settings.restore(&settings.changes.clone()).is_empty());
        assert_eq!(fake.get("net/ipv6/conf/all/forwarding"), "0");
        assert_eq!(fake.get("net/ipv6/conf/a/forwarding"), "0");
        assert_eq!(fake.get("net/ipv6/conf/b/forwarding"), "0");
        assert_eq!(fake.get("net/ipv6/conf/b/accept_ra"), "1");
    }

    #[test]
    fn what_can_not_be_written_is_named() {
        let fake = Fake::new("missing", &PLAIN4[..2]);
        let error = Settings::new(&fake.0).prepare(&["a"]).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("/proc/sys/net/ipv4/conf/a/forwarding"), "{text}");
        assert!(text.contains("still there"), "{text}");
    }
}
