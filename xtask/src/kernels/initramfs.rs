//! The file system that a guest boots with: busybox, the program under test with its libraries, and
//! the kernel's modules.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context as _, Result, bail};
use xlb_tests::command::run;

use super::image::Image;
use crate::tools::target_directory;

/// The program that the guest runs.
pub struct Program {
    /// Its file.
    pub file: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
}

/// The line that the guest writes when the program has ended, before its exit status.
pub const ENDED: &str = "xlb-guest: the program ended with status";

/// A packed file system.
pub struct Initramfs(pub PathBuf);

impl Initramfs {
    /// Packs it.
    pub fn build(image: &Image, program: &Program) -> Result<Self> {
        let directory = target_directory()?.join("kernels").join("initramfs");
        let root = directory.join("root");
        // Of the last run; there may be none.
        let _ = fs::remove_dir_all(&root);
        for place in ["bin", "dev", "modules", "proc", "run", "sys", "tmp"] {
            let place = root.join(place);
            fs::create_dir_all(&place)
                .with_context(|| format!("cannot make {}", place.display()))?;
        }
        copy(Path::new("/bin/busybox"), &root.join("bin/busybox"))?;
        copy(&program.file, &root.join("bin/program"))?;
        for library in libraries(&program.file)? {
            copy(&library, &root.join(library.strip_prefix("/").unwrap_or(&library)))?;
        }
        let mut load = String::new();
        for module in &image.modules {
            let name = module.file_name().context("a module has no name")?;
            copy(module, &root.join("modules").join(name))?;
            load.push_str(&format!("insmod /modules/{}\n", name.to_string_lossy()));
        }
        let init = root.join("init");
        fs::write(&init, script(&load, &program.arguments))?;
        fs::set_permissions(&init, fs::Permissions::from_mode(0o755))?;

        let packed = directory.join("initramfs.cpio");
        pack(&root, &packed)?;
        Ok(Self(packed))
    }
}

/// The guest's first process.
fn script(load_modules: &str, arguments: &[String]) -> String {
    let arguments: String =
        arguments.iter().map(|a| format!(" '{}'", a.replace('\'', r"'\''"))).collect();
    format!(
        "#!/bin/busybox sh\n\
         /bin/busybox --install -s /bin\n\
         export PATH=/bin HOME=/ RUST_BACKTRACE=1 XLB_TEST_LIGHT=1\n\
         mount -t devtmpfs devtmpfs /dev\n\
         mount -t proc proc /proc\n\
         mount -t sysfs sysfs /sys\n\
         mount -t bpf bpf /sys/fs/bpf\n\
         mount -t tmpfs tmpfs /tmp\n\
         mount -t tmpfs tmpfs /run\n\
         ip link set lo up\n\
         {load_modules}\
         cd /tmp\n\
         /bin/program{arguments} < /dev/null\n\
         echo {ENDED} $?\n\
         poweroff -f\n"
    )
}

/// The shared libraries and the loader that a program needs; none if it is static.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = Command::new("ldd")
        .arg(program)
        .output()
        .with_context(|| format!("cannot run ldd {}", program.display()))?;
    let listing = String::from_utf8_lossy(&output.stdout);
    // "name => /path (address)" or "/path (address)"
    let path =
        |line: &str| line.split_whitespace().find(|word| word.starts_with('/')).map(Into::into);
    Ok(listing.lines().filter_map(path).collect())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let place = to.parent().context("no directory")?;
    fs::create_dir_all(place).with_context(|| format!("cannot make {}", place.display()))?;
    fs::copy(from, to)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    Ok(())
}

/// Strips debug information, which no guest needs, and packs a directory.
fn pack(root: &Path, packed: &Path) -> Result<()> {
    run(Command::new("strip").arg("--strip-debug").arg(root.join("bin/program")))?;
    let archive =
        fs::File::create(packed).with_context(|| format!("cannot write {}", packed.display()))?;
    let mut find = Command::new("find")
        .args([".", "-print0"])
        .current_dir(root)
        .stdout(Stdio::piped())
        .spawn()
        .context("cannot run find")?;
    let status = Command::new("cpio")
        .args(["--null", "--create", "--quiet", "--format=newc"])
        .current_dir(root)
        .stdin(find.stdout.take().context("no pipe")?)
        .stdout(archive)
        .status()
        .context("cannot run cpio")?;
    if !find.wait()?.success() || !status.success() {
        bail!("the file system could not be packed");
    }
    Ok(())
}
