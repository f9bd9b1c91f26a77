//! The system calls that need `unsafe`: hooks before exec, and `bpf(2)` for programs of a few
//! instructions, which are not worth a loader.
#![allow(unsafe_code)]

use std::{
    fs::File,
    io,
    os::fd::{AsRawFd as _, BorrowedFd, FromRawFd as _, OwnedFd},
    os::unix::process::CommandExt as _,
    process::Command,
};

use nix::{
    sched::{CloneFlags, setns},
    sys::{prctl, signal::Signal},
};

/// Makes the program start in a network namespace, if one is given, and die with the thread that
/// starts it.
pub fn before_exec(command: &mut Command, namespace: Option<File>) {
    // Of its own process group, so that Ctrl-C in a terminal reaches only the lab itself.
    command.process_group(0);
    // SAFETY: between fork and exec the hook makes two system calls; it allocates nothing and takes
    // no lock.
    unsafe {
        command.pre_exec(move || {
            prctl::set_pdeathsig(Signal::SIGKILL)?;
            if let Some(namespace) = &namespace {
                setns(namespace, CloneFlags::CLONE_NEWNET)?;
            }
            Ok(())
        });
    }
}

const BPF_PROG_LOAD: libc::c_long = 5;
const BPF_LINK_CREATE: libc::c_long = 28;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const BPF_XDP: u32 = 37;
const XDP_FLAGS_DRV_MODE: u32 = 1 << 2;

/// The head of the kernel's `union bpf_attr` for `BPF_PROG_LOAD`.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// The head of the kernel's `union bpf_attr` for `BPF_LINK_CREATE`.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// `exit`: `r0` is the verdict.
const EXIT: u64 = 0x95;

/// Attaches a program that gives every packet the same verdict, natively, to an interface of the
/// calling thread's namespace. It stays as long as the descriptor does.
pub fn attach_verdict(ifindex: u32, verdict: u32) -> io::Result<OwnedFd> {
    // r0 = verdict
    attach(ifindex, &[u64::from(verdict) << 32 | 0xb7, EXIT])
}

/// Attaches a program that redirects every packet to what `key` stands for in a device map.
pub fn attach_redirect(ifindex: u32, map: BorrowedFd<'_>, key: u32) -> io::Result<OwnedFd> {
    const BPF_FUNC_REDIRECT_MAP: u64 = 51;
    attach(
        ifindex,
        &[
            // r1 = the map, in two halves
            (map.as_raw_fd() as u64) << 32 | 0x1118,
            0,
            // r2 = key (of 32 bits)
            u64::from(key) << 32 | 0x02b4,
            // r3 = 0
            0x03b7,
            BPF_FUNC_REDIRECT_MAP << 32 | 0x85,
            EXIT,
        ],
    )
}

fn attach(ifindex: u32, instructions: &[u64]) -> io::Result<OwnedFd> {
    let license = c"GPL";
    let mut load = ProgLoad {
        prog_type: BPF_PROG_TYPE_XDP,
        insn_cnt: instructions.len() as u32,
        insns: instructions.as_ptr() as u64,
        license: license.as_ptr() as u64,
        prog_flags: BPF_F_XDP_HAS_FRAGS,
        expected_attach_type: BPF_XDP,
        ..ProgLoad::default()
    };
    load.prog_name[..3].copy_from_slice(b"lab");
    let program = bpf(BPF_PROG_LOAD, &load)?;
    bpf(
        BPF_LINK_CREATE,
        &LinkCreate {
            prog_fd: program.as_raw_fd() as u32,
            target_ifindex: ifindex,
            attach_type: BPF_XDP,
            flags: XDP_FLAGS_DRV_MODE,
        },
    )
}

fn bpf<T>(command: libc::c_long, attributes: &T) -> io::Result<OwnedFd> {
    // SAFETY: both structs are heads of the kernel's union, of the size that is told, zeroed but
    // for the fields that are set, and what they point to lives until the call returns.
    let fd = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            command,
            std::ptr::from_ref(attributes),
            std::mem::size_of::<T>(),
        )
    };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the kernel has just made this descriptor, and nobody else knows of it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as i32) })
}
