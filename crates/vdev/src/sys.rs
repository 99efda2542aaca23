//! System calls past libc's names, which the preloaded library takes for itself.

#![expect(unsafe_code, reason = "system calls")]

use core::ffi::{CStr, c_int, c_void};
use core::mem::MaybeUninit;
use libc::{c_long, off_t, stat};
use std::io;

/// What a system call returned, or the error it set.
fn checked(returned: c_long) -> io::Result<c_long> {
    if returned < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(returned)
    }
}

/// `fstatat(2)`.
///
/// # Errors
/// Those of the system.
pub fn stat_at(directory: c_int, path: &CStr, flags: c_int) -> io::Result<stat> {
    let mut found = MaybeUninit::<stat>::uninit();
    // SAFETY: the path ends, and there is room for the answer.
    let returned = unsafe {
        libc::syscall(
            libc::SYS_newfstatat,
            directory,
            path.as_ptr(),
            found.as_mut_ptr(),
            flags,
        )
    };
    checked(returned)?;
    // SAFETY: the kernel has filled all of it.
    Ok(unsafe { found.assume_init() })
}

/// `fstat(2)`.
///
/// # Errors
/// Those of the system.
pub fn stat_fd(fd: c_int) -> io::Result<stat> {
    stat_at(fd, c"", libc::AT_EMPTY_PATH)
}

/// `lseek(2)`.
///
/// # Errors
/// Those of the system.
pub fn seek(fd: c_int, to: off_t, whence: c_int) -> io::Result<off_t> {
    // SAFETY: it touches no memory.
    checked(unsafe { libc::syscall(libc::SYS_lseek, fd, to, whence) })
}

/// Takes a file for whoever shares this opening of it, or fails.
///
/// # Errors
/// Those of `flock(2)`: `EWOULDBLOCK` if another opening has it.
pub fn lock(fd: c_int) -> io::Result<()> {
    // SAFETY: it touches no memory.
    checked(unsafe { libc::syscall(libc::SYS_flock, fd, libc::LOCK_EX | libc::LOCK_NB) }).map(drop)
}

/// Another descriptor of the same opening, from `least` on, that `exec` closes.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn duplicate(fd: c_int, least: c_int) -> io::Result<c_int> {
    // SAFETY: it touches no memory.
    let copy = unsafe { libc::syscall(libc::SYS_fcntl, fd, libc::F_DUPFD_CLOEXEC, least) };
    checked(copy).map(|fd| fd as c_int)
}

/// `close(2)`.
pub fn close(fd: c_int) {
    // SAFETY: it touches no memory; the descriptor is this library's own.
    unsafe { libc::syscall(libc::SYS_close, fd) };
}

/// Opens a file to append to it, if it is there.
///
/// # Errors
/// Those of `open(2)`.
pub fn open_to_append(path: &CStr) -> io::Result<c_int> {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CLOEXEC;
    // SAFETY: the path ends.
    let fd = unsafe { libc::syscall(libc::SYS_openat, libc::AT_FDCWD, path.as_ptr(), flags, 0) };
    checked(fd).map(|fd| fd as c_int)
}

/// `write(2)`, once.
///
/// # Errors
/// Those of the system.
pub fn write(fd: c_int, bytes: &[u8]) -> io::Result<usize> {
    // SAFETY: the bytes are there to be read.
    let written = unsafe { libc::syscall(libc::SYS_write, fd, bytes.as_ptr(), bytes.len()) };
    checked(written).map(|written| written as usize)
}

/// `readlink(2)`; the bytes that fit.
///
/// # Errors
/// Those of the system.
pub fn read_link<'a>(path: &CStr, to: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // SAFETY: the path ends, and the kernel writes no more than there is room for.
    let read = unsafe {
        libc::syscall(
            libc::SYS_readlinkat,
            libc::AT_FDCWD,
            path.as_ptr(),
            to.as_mut_ptr(),
            to.len(),
        )
    };
    let read = checked(read)? as usize;
    Ok(&to[..read])
}

/// `getcwd(2)`, without the zero at its end.
///
/// # Errors
/// Those of the system.
pub fn working_directory(to: &mut [u8]) -> io::Result<&[u8]> {
    // SAFETY: the kernel writes no more than there is room for.
    let read = unsafe { libc::syscall(libc::SYS_getcwd, to.as_mut_ptr(), to.len()) };
    let read = checked(read)? as usize;
    Ok(&to[..read.saturating_sub(1)])
}

/// Copies from an address of this process, if that can be read.
///
/// # Errors
/// Those of `process_vm_readv(2)`; `EFAULT` too if only a part can be read.
pub fn read_memory(address: u64, to: &mut [u8]) -> io::Result<()> {
    let here = libc::iovec {
        iov_base: to.as_mut_ptr().cast(),
        iov_len: to.len(),
    };
    let there = libc::iovec {
        iov_base: core::ptr::without_provenance_mut::<c_void>(address as usize),
        iov_len: to.len(),
    };
    // SAFETY: the kernel writes to `to` alone, and checks the other address.
    let read = unsafe {
        libc::syscall(
            libc::SYS_process_vm_readv,
            std::process::id(),
            &raw const here,
            1,
            &raw const there,
            1,
            0,
        )
    };
    if checked(read)? as usize == to.len() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EFAULT))
    }
}

/// Sends a signal to this thread.
pub fn raise(signal: c_int) {
    // SAFETY: it touches no memory.
    let thread = unsafe { libc::syscall(libc::SYS_gettid) };
    // SAFETY: as above.
    unsafe { libc::syscall(libc::SYS_tgkill, std::process::id(), thread, signal) };
}

/// Maps memory of nobody's that cannot be touched: to hold an address. It is not
/// inherited by children.
///
/// # Errors
/// Those of `mmap(2)`.
///
/// # Safety
/// With `MAP_FIXED` in `flags`, nothing at that address may be in use any more.
pub unsafe fn reserve(address: *mut c_void, len: usize, flags: c_int) -> io::Result<*mut c_void> {
    let fixed = flags & (libc::MAP_FIXED | libc::MAP_FIXED_NOREPLACE | libc::MAP_32BIT);
    let flags = fixed | libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
    // SAFETY: the caller promises it.
    let mapped = unsafe {
        libc::syscall(
            libc::SYS_mmap,
            address,
            len,
            libc::PROT_NONE,
            flags,
            -1 as c_long,
            0 as c_long,
        )
    };
    // An address of the upper half is none of a program's.
    let mapped = core::ptr::with_exposed_provenance_mut::<c_void>(checked(mapped)? as usize);
    // SAFETY: what was just mapped; it only leaves it to no child.
    unsafe { libc::syscall(libc::SYS_madvise, mapped, len, libc::MADV_DONTFORK) };
    Ok(mapped)
}

/// A set of signals, as the kernel has it.
pub type SignalMask = u64;

/// The set that a signal alone is.
#[must_use]
pub const fn mask_of(signal: c_int) -> SignalMask {
    1 << (signal - 1)
}

/// Blocks exactly these signals in this thread; which were blocked before.
pub fn set_signal_mask(mask: SignalMask) -> SignalMask {
    let mut before: SignalMask = 0;
    // SAFETY: both sets are as long as said.
    unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const mask,
            &raw mut before,
            size_of::<SignalMask>(),
        )
    };
    before
}

/// Blocks all signals in this thread; which were blocked before.
pub fn block_signals() -> SignalMask {
    set_signal_mask(SignalMask::MAX)
}

/// What segment registers add to addresses: FS and GS.
#[must_use]
pub fn segment_bases() -> (u64, u64) {
    #[cfg(target_arch = "x86_64")]
    {
        const GET_FS: c_int = 0x1003;
        const GET_GS: c_int = 0x1004;
        let get = |code: c_int| {
            let mut base = 0u64;
            // SAFETY: the kernel writes the one number.
            unsafe { libc::syscall(libc::SYS_arch_prctl, code, &raw mut base) };
            base
        };
        (get(GET_FS), get(GET_GS))
    }
    #[cfg(not(target_arch = "x86_64"))]
    (0, 0)
}

/// Copies to an address of this process, if that can be written.
///
/// # Errors
/// Those of `process_vm_writev(2)`; `EFAULT` too if only a part can be written.
///
/// # Safety
/// Nobody else uses what is there meanwhile.
pub unsafe fn write_memory(address: u64, from: &[u8]) -> io::Result<()> {
    let here = libc::iovec {
        iov_base: from.as_ptr().cast_mut().cast(),
        iov_len: from.len(),
    };
    let there = libc::iovec {
        iov_base: core::ptr::without_provenance_mut::<c_void>(address as usize),
        iov_len: from.len(),
    };
    // SAFETY: the kernel only reads the local side, and checks the other address;
    // the caller promises the rest.
    let written = unsafe {
        libc::syscall(
            libc::SYS_process_vm_writev,
            std::process::id(),
            &raw const here,
            1,
            &raw const there,
            1,
            0,
        )
    };
    if checked(written)? as usize == from.len() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EFAULT))
    }
}
