//! System calls past libc's names, which the preloaded library takes for itself.

#![expect(unsafe_code, reason = "system calls")]

use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::mem::MaybeUninit;
use libc::{c_long, off_t, stat, statx};
use std::io;

/// A system call. All arguments are whole registers: as a variadic function,
/// `syscall` would leave what is above an `int` to chance.
///
/// # Errors
/// Those of the call.
///
/// # Safety
/// What the call does with its arguments is the caller's to answer for.
unsafe fn call(number: c_long, arguments: [usize; 6]) -> io::Result<usize> {
    let [a, b, c, d, e, f] = arguments;
    // SAFETY: the caller answers for it.
    let returned = unsafe { libc::syscall(number, a, b, c, d, e, f) };
    usize::try_from(returned).map_err(|_| io::Error::last_os_error())
}

/// An address for the kernel to use.
fn at<T: ?Sized>(pointer: *const T) -> usize {
    pointer.cast::<c_void>().expose_provenance()
}

/// `fstatat(2)`.
///
/// # Errors
/// Those of the system.
pub fn stat_at(directory: c_int, path: &CStr, flags: c_int) -> io::Result<stat> {
    let mut found = MaybeUninit::<stat>::uninit();
    // SAFETY: the path ends, and there is room for the answer.
    unsafe { tell(directory, path.as_ptr(), found.as_mut_ptr(), flags) }?;
    // SAFETY: the kernel has filled all of it.
    Ok(unsafe { found.assume_init() })
}

/// `fstatat(2)` for a program that asks.
///
/// # Errors
/// Those of the system.
///
/// # Safety
/// The path is null or ends, and `to` is null or has room.
pub unsafe fn tell(
    directory: c_int,
    path: *const c_char,
    to: *mut stat,
    flags: c_int,
) -> io::Result<()> {
    let arguments = [directory as usize, at(path), at(to), flags as usize, 0, 0];
    // SAFETY: as the caller promises.
    unsafe { call(libc::SYS_newfstatat, arguments) }.map(drop)
}

/// `statx(2)` for a program that asks.
///
/// # Errors
/// Those of the system.
///
/// # Safety
/// The path is null or ends, and `to` is null or has room.
pub unsafe fn tell_x(
    directory: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    to: *mut statx,
) -> io::Result<()> {
    let (flags, mask) = (flags as usize, mask as usize);
    let arguments = [directory as usize, at(path), flags, mask, at(to), 0];
    // SAFETY: as the caller promises.
    unsafe { call(libc::SYS_statx, arguments) }.map(drop)
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
    let arguments = [fd as usize, to as usize, whence as usize, 0, 0, 0];
    // SAFETY: it touches no memory.
    unsafe { call(libc::SYS_lseek, arguments) }.map(|at| at as off_t)
}

/// Takes a file for whoever shares this opening of it, or fails.
///
/// # Errors
/// Those of `flock(2)`: `EWOULDBLOCK` if another opening has it.
pub fn lock(fd: c_int) -> io::Result<()> {
    let how = libc::LOCK_EX | libc::LOCK_NB;
    // SAFETY: it touches no memory.
    unsafe { call(libc::SYS_flock, [fd as usize, how as usize, 0, 0, 0, 0]) }.map(drop)
}

/// File descriptors of this library's own begin here, if they may: programs close
/// what they do not know, and reuse small numbers.
pub const OWN: c_int = 700;

/// Another descriptor of the same opening, from [`OWN`] on, that `exec` closes.
///
/// # Errors
/// Those of `fcntl(2)`.
pub fn duplicate(fd: c_int) -> io::Result<c_int> {
    let (command, least) = (libc::F_DUPFD_CLOEXEC as usize, OWN as usize);
    // SAFETY: it touches no memory.
    let copy = unsafe { call(libc::SYS_fcntl, [fd as usize, command, least, 0, 0, 0]) };
    copy.map(|fd| fd as c_int)
}

/// `close(2)`.
pub fn close(fd: c_int) {
    // SAFETY: it touches no memory; the descriptor is this library's own.
    let _ = unsafe { call(libc::SYS_close, [fd as usize, 0, 0, 0, 0, 0]) };
}

/// Opens a file to append to it, if it is there.
///
/// # Errors
/// Those of `open(2)`.
pub fn open_to_append(path: &CStr) -> io::Result<c_int> {
    let flags = libc::O_WRONLY | libc::O_APPEND | libc::O_CLOEXEC;
    let arguments = [
        libc::AT_FDCWD as usize,
        at(path.as_ptr()),
        flags as usize,
        0,
        0,
        0,
    ];
    // SAFETY: the path ends.
    unsafe { call(libc::SYS_openat, arguments) }.map(|fd| fd as c_int)
}

/// `write(2)`, once.
///
/// # Errors
/// Those of the system.
pub fn write(fd: c_int, bytes: &[u8]) -> io::Result<usize> {
    let arguments = [fd as usize, at(bytes.as_ptr()), bytes.len(), 0, 0, 0];
    // SAFETY: the bytes are there to be read.
    unsafe { call(libc::SYS_write, arguments) }
}

/// `readlink(2)`; the bytes that fit.
///
/// # Errors
/// Those of the system.
pub fn read_link<'a>(path: &CStr, to: &'a mut [u8]) -> io::Result<&'a [u8]> {
    // SAFETY: the path ends, and there is room for as much as is said.
    let read = unsafe {
        tell_link(
            libc::AT_FDCWD,
            path.as_ptr(),
            to.as_mut_ptr().cast(),
            to.len(),
        )
    }?;
    Ok(&to[..read])
}

/// `readlinkat(2)` for a program that asks; how many bytes there are.
///
/// # Errors
/// Those of the system.
///
/// # Safety
/// The path is null or ends, and `to` is null or has room for `size` bytes.
pub unsafe fn tell_link(
    directory: c_int,
    path: *const c_char,
    to: *mut c_char,
    size: usize,
) -> io::Result<usize> {
    let arguments = [directory as usize, at(path), at(to), size, 0, 0];
    // SAFETY: as the caller promises.
    unsafe { call(libc::SYS_readlinkat, arguments) }
}

/// `getcwd(2)`, without the zero at its end.
///
/// # Errors
/// Those of the system.
pub fn working_directory(to: &mut [u8]) -> io::Result<&[u8]> {
    let arguments = [at(to.as_mut_ptr()), to.len(), 0, 0, 0, 0];
    // SAFETY: the kernel writes no more than there is room for.
    let read = unsafe { call(libc::SYS_getcwd, arguments) }?;
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
    let process = std::process::id() as usize;
    let arguments = [process, at(&raw const here), 1, at(&raw const there), 1, 0];
    // SAFETY: the kernel writes to `to` alone, and checks the other address.
    let read = unsafe { call(libc::SYS_process_vm_readv, arguments) }?;
    if read == to.len() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EFAULT))
    }
}

/// Sends a signal to this thread.
pub fn raise(signal: c_int) {
    // SAFETY: it touches no memory.
    let thread = unsafe { call(libc::SYS_gettid, [0; 6]) }.unwrap_or(0);
    let process = std::process::id() as usize;
    // SAFETY: as above.
    let _ = unsafe {
        call(
            libc::SYS_tgkill,
            [process, thread, signal as usize, 0, 0, 0],
        )
    };
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
    let protection = libc::PROT_NONE as usize;
    let arguments = [at(address), len, protection, flags as usize, usize::MAX, 0];
    // SAFETY: the caller promises it.
    let mapped = unsafe { call(libc::SYS_mmap, arguments) }?;
    let arguments = [mapped, len, libc::MADV_DONTFORK as usize, 0, 0, 0];
    // SAFETY: what was just mapped; it only leaves it to no child.
    let _ = unsafe { call(libc::SYS_madvise, arguments) };
    let mapped = core::ptr::with_exposed_provenance_mut::<c_void>(mapped);
    Ok(mapped)
}

/// `munmap(2)`.
///
/// # Safety
/// Nobody uses what is there.
pub unsafe fn unmap(address: *mut c_void, len: usize) {
    // SAFETY: as the caller promises.
    let _ = unsafe { call(libc::SYS_munmap, [at(address), len, 0, 0, 0, 0]) };
}

/// Whether something is mapped at an address, be it of any use or not.
#[must_use]
pub fn is_mapped(address: u64) -> bool {
    let page = address as usize & !0xFFF;
    let mut resident = 0u8;
    let arguments = [page, 1, at(&raw mut resident), 0, 0, 0];
    // SAFETY: the kernel writes one byte, for the one page.
    unsafe { call(libc::SYS_mincore, arguments) }.is_ok()
}

/// Has nothing touch the memory at an address.
///
/// # Safety
/// Nobody does.
pub unsafe fn protect(address: u64, len: usize) {
    let arguments = [address as usize, len, libc::PROT_NONE as usize, 0, 0, 0];
    // SAFETY: as the caller promises. What is unmapped already stays so.
    let _ = unsafe { call(libc::SYS_mprotect, arguments) };
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
    let (how, size) = (libc::SIG_SETMASK as usize, size_of::<SignalMask>());
    let arguments = [how, at(&raw const mask), at(&raw mut before), size, 0, 0];
    // SAFETY: both sets are as long as said.
    let _ = unsafe { call(libc::SYS_rt_sigprocmask, arguments) };
    before
}

/// Blocks all signals in this thread; which were blocked before.
pub fn block_signals() -> SignalMask {
    set_signal_mask(SignalMask::MAX)
}

/// What segment registers add to addresses: FS and GS.
#[must_use]
pub fn segment_bases() -> (u64, u64) {
    const GET_FS: usize = 0x1003;
    const GET_GS: usize = 0x1004;
    let get = |code: usize| {
        let mut base = 0u64;
        // SAFETY: the kernel writes the one number.
        let _ = unsafe { call(libc::SYS_arch_prctl, [code, at(&raw mut base), 0, 0, 0, 0]) };
        base
    };
    (get(GET_FS), get(GET_GS))
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
    let process = std::process::id() as usize;
    let arguments = [process, at(&raw const here), 1, at(&raw const there), 1, 0];
    // SAFETY: the kernel only reads the local side, and checks the other address;
    // the caller promises the rest.
    let written = unsafe { call(libc::SYS_process_vm_writev, arguments) }?;
    if written == from.len() {
        Ok(())
    } else {
        Err(io::Error::from_raw_os_error(libc::EFAULT))
    }
}
