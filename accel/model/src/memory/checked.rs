//! Memory that may not be there: the kernel is asked to copy, and says where
//! it could not.

use super::{Fault, Memory, PAGE, pages};
use core::sync::atomic::{Ordering, fence};
use libc::{c_void, iovec};
use std::io;

/// Ranges in one call to the kernel: one per page, so that what was copied
/// before a fault is known to the page.
const RANGES: usize = 64;

/// Reaches any address safely: unmapped or read-only memory is a [`Fault`],
/// never a crash. Costs a system call for every 64 pages.
#[derive(Debug, Clone, Copy)]
pub struct Checked {
    pid: libc::pid_t,
}

impl Checked {
    /// Memory of this process.
    ///
    /// # Errors
    /// If the kernel does not let the process copy its own memory this way: a
    /// seccomp filter may forbid it.
    pub fn new() -> io::Result<Self> {
        let this = Self {
            pid: std::process::id() as libc::pid_t,
        };
        let probe = 7u8;
        let mut to = [0];
        this.copy(
            (&raw const probe).addr() as u64,
            to.as_mut_ptr(),
            1,
            libc::process_vm_readv,
        )
        .map_err(|_| io::Error::last_os_error())?;
        Ok(this)
    }

    /// Copies between `local` and `address` by one of the two system calls.
    fn copy(&self, address: u64, local: *mut u8, len: usize, call: VmCopy) -> Result<(), Fault> {
        let empty = iovec {
            iov_base: core::ptr::null_mut(),
            iov_len: 0,
        };
        let mut done = 0;
        let mut parts = pages(address, len).peekable();
        while parts.peek().is_some() {
            let mut ranges = [empty; RANGES];
            let (mut count, mut bytes) = (0, 0);
            for (range, (start, part)) in ranges.iter_mut().zip(parts.by_ref()) {
                *range = iovec {
                    iov_base: start as usize as *mut c_void,
                    iov_len: part,
                };
                count += 1;
                bytes += part;
            }
            let here = iovec {
                iov_base: local.wrapping_add(done).cast(),
                iov_len: bytes,
            };
            // SAFETY: `here` lies in the `len` bytes at `local`, which the
            // callers own (written for a read, read for a write). The remote
            // ranges are addresses that the kernel checks: it copies what is
            // mapped with the right protection and fails for the rest. Both
            // arrays outlive the call.
            let copied = unsafe { call(self.pid, &raw const here, 1, ranges.as_ptr(), count, 0) };
            let copied = usize::try_from(copied).unwrap_or(0);
            done += copied;
            if copied < bytes {
                let address = (address + done as u64) / PAGE * PAGE;
                return Err(Fault { address, done });
            }
        }
        if done < len {
            // The range runs over the end of the address space.
            return Err(Fault {
                address: u64::MAX / PAGE * PAGE,
                done,
            });
        }
        Ok(())
    }
}

type VmCopy = unsafe extern "C" fn(
    libc::pid_t,
    *const iovec,
    libc::c_ulong,
    *const iovec,
    libc::c_ulong,
    libc::c_ulong,
) -> isize;

// SAFETY: the kernel writes exactly the ranges it is given.
unsafe impl Memory for Checked {
    unsafe fn read(&self, address: u64, to: &mut [u8]) -> Result<(), Fault> {
        self.copy(address, to.as_mut_ptr(), to.len(), libc::process_vm_readv)
    }

    unsafe fn write(&self, address: u64, from: &[u8]) -> Result<(), Fault> {
        // The kernel only reads the local side of a write.
        self.copy(
            address,
            from.as_ptr().cast_mut(),
            from.len(),
            libc::process_vm_writev,
        )
    }

    unsafe fn complete(&self, address: u64, record: &[u8; 64]) -> Result<(), Fault> {
        // SAFETY: as for this function; any address will do.
        unsafe { self.write(address + 1, &record[1..]) }?;
        // The kernel's copy of the status comes after that of the rest: two
        // system calls in program order, with this fence for the compiler.
        fence(Ordering::Release);
        // SAFETY: as above.
        unsafe { self.write(address, &record[..1]) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Three pages: writable, read-only, unmapped.
    fn three_pages() -> u64 {
        // SAFETY: a fresh private mapping, nobody else's.
        let base = unsafe {
            libc::mmap(
                core::ptr::null_mut(),
                3 * 4096,
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_PRIVATE | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED);
        let at = |page: usize| base.wrapping_byte_add(page * 4096);
        // SAFETY: a page of the mapping made above.
        assert_eq!(unsafe { libc::mprotect(at(1), 4096, libc::PROT_READ) }, 0);
        // SAFETY: as above.
        assert_eq!(unsafe { libc::munmap(at(2), 4096) }, 0);
        base.addr() as u64
    }

    #[test]
    fn faults_are_told_to_the_page() {
        let memory = Checked::new().unwrap();
        let base = three_pages();
        let mut bytes = [0xAA; 8192];
        // SAFETY: `Checked` asks nothing of addresses.
        let read = |address, to: &mut [u8]| unsafe { memory.read(address, to) };
        // SAFETY: as above.
        let write = |address, from: &[u8]| unsafe { memory.write(address, from) };
        // SAFETY: as above.
        let complete = |address| unsafe { memory.complete(address, &[1; 64]) };
        assert_eq!(read(base, &mut bytes), Ok(()));
        assert_eq!(bytes, [0; 8192]);
        let fault = Fault {
            address: base + 8192,
            done: 8092,
        };
        assert_eq!(read(base + 100, &mut [0; 12_000]), Err(fault));
        let fault = Fault {
            address: base + 4096,
            done: 96,
        };
        assert_eq!(write(base + 4000, &[1; 200]), Err(fault));
        assert_eq!(write(base + 4000, &[1; 96]), Ok(()));
        let fault = Fault {
            address: base + 4096,
            done: 0,
        };
        assert_eq!(complete(base + 4096), Err(fault));
        assert!(read(0, &mut [0]).is_err());
        assert!(read(u64::MAX - 3, &mut [0; 64]).is_err());
    }

    #[test]
    fn long_copies_come_whole() {
        let memory = Checked::new().unwrap();
        let from: Vec<u8> = (0..600_000u32).map(|i| (i * 7) as u8).collect();
        let mut to = vec![0; from.len()];
        let address = from.as_ptr().addr() as u64;
        // SAFETY: `Checked` asks nothing of addresses.
        let read = unsafe { memory.read(address, &mut to) };
        assert_eq!(read, Ok(()));
        assert_eq!(from, to);
    }
}
