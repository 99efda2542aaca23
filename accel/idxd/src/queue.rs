//! An opened work queue: the portal of a real device.

#![expect(
    unsafe_code,
    reason = "submitting makes the device write this process' memory"
)]

use core::cell::Cell;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};
use memmap2::{MmapOptions, MmapRaw};
use pagepress_abi::{Descriptor, Opcode, Portal, Submission};
use std::fs::{File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::path::Path;

use crate::fork::forks;
use crate::host::Mode;

/// Bytes of a portal.
const PORTAL: usize = 4096;

/// How descriptors reach a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// ENQCMD to the mapped portal of a shared queue.
    Enqcmd,
    /// MOVDIR64B to the mapped portal of a dedicated queue, which says nothing
    /// of what it drops: whoever submits counts entries.
    Movdir64b,
    /// `write(2)`, where the kernel does not let this process map portals.
    Write,
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Enqcmd => "enqcmd",
            Self::Movdir64b => "movdir64b",
            Self::Write => "write",
        })
    }
}

/// A work queue that this process has opened.
///
/// Opening binds the device to the address space of the process, so a child
/// must open for itself: to it, this portal is [gone](Submission::Gone).
#[derive(Debug)]
pub struct OpenQueue {
    file: File,
    portal: Option<MmapRaw>,
    route: Route,
    /// Where in the portal the next descriptor goes. All places are alike;
    /// taking them in turn keeps stores from waiting for one another.
    slot: AtomicUsize,
    opened_in: u32,
}

impl OpenQueue {
    /// Opens the node of a queue, and maps its portal, or, where that is
    /// refused, goes by `write(2)`.
    ///
    /// # Errors
    /// What opening says: `EACCES` without permission, `EBUSY` if a dedicated
    /// queue is open already, `EOPNOTSUPP` without shared virtual addressing;
    /// or what mapping says, unless it is `EPERM`.
    pub fn open(node: &Path, mode: Mode) -> io::Result<Self> {
        Self::open_by(node, mode, true)
    }

    /// As [`open`](Self::open), and without even trying to map the portal if
    /// `map` is not set.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub fn open_by(node: &Path, mode: Mode, map: bool) -> io::Result<Self> {
        let file = OpenOptions::new().read(true).write(true).open(node)?;
        // Elsewhere there is no instruction to submit with.
        let map = map && cfg!(target_arch = "x86_64");
        let mapped = map.then(|| MmapOptions::new().len(PORTAL).populate().map_raw(&file));
        let portal = match mapped.transpose() {
            Ok(portal) => portal,
            Err(error) if error.kind() == ErrorKind::PermissionDenied => None,
            Err(error) => return Err(error),
        };
        let route = match (&portal, mode) {
            (None, _) => Route::Write,
            (Some(_), Mode::Shared) => Route::Enqcmd,
            (Some(_), Mode::Dedicated) => Route::Movdir64b,
        };
        Ok(Self {
            file,
            portal,
            route,
            slot: AtomicUsize::new(0),
            opened_in: forks(),
        })
    }

    /// How descriptors reach the queue.
    #[must_use]
    pub fn route(&self) -> Route {
        self.route
    }

    fn is_gone(&self) -> bool {
        self.opened_in != forks()
    }

    /// The next place in the portal.
    fn place(&self, portal: &MmapRaw) -> *mut u8 {
        let slot = self.slot.fetch_add(Descriptor::BYTES, Ordering::Relaxed);
        portal.as_mut_ptr().wrapping_add(slot % PORTAL)
    }

    /// Has this thread's first ENQCMD be one that nobody waits for: the kernel
    /// gives a thread its address space's number (PASID) when that faults, which
    /// takes far longer than a submission.
    #[inline]
    fn warm(&self, portal: &MmapRaw) {
        thread_local! {
            static IS_WARM: Cell<bool> = const { Cell::new(false) };
        }
        if self.route == Route::Enqcmd && !IS_WARM.get() {
            IS_WARM.set(true);
            // It names no memory, a completion record neither.
            let noop = Descriptor::new(Opcode::NOOP, 0).to_bytes();
            instruction::fence();
            // SAFETY: a place in the mapped portal of a shared queue.
            let _ = unsafe { instruction::enqcmd(self.place(portal), &noop) };
        }
    }

    /// By `write(2)`; how many were taken.
    ///
    /// # Safety
    /// As for [`Portal::submit`], for each that was taken.
    unsafe fn write(&self, descriptors: &[[u8; 64]]) -> (usize, Submission) {
        let written = (&self.file).write(descriptors.as_flattened());
        Submission::of_write(written, descriptors.len())
    }
}

impl Portal for OpenQueue {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        if self.is_gone() {
            return Submission::Gone;
        }
        if let Some(portal) = &self.portal {
            self.warm(portal);
            instruction::fence();
            let place = self.place(portal);
            return match self.route {
                // SAFETY: a place in the mapped portal of a shared queue; the
                // caller promises the rest.
                Route::Enqcmd => unsafe { instruction::enqcmd(place, descriptor) },
                // SAFETY: as above, of a dedicated queue.
                _ => unsafe { instruction::movdir64b(place, descriptor) },
            };
        }
        // SAFETY: the caller's promise is the same.
        unsafe { self.write(core::slice::from_ref(descriptor)) }.1
    }

    unsafe fn submit_burst(&self, descriptors: &[[u8; 64]]) -> (usize, Submission) {
        if self.is_gone() {
            return (0, Submission::Gone);
        }
        if let Some(portal) = &self.portal {
            self.warm(portal);
            // One for all: each instruction reads its descriptor itself, and
            // what was stored before the fence is what it finds.
            instruction::fence();
            for (taken, descriptor) in descriptors.iter().enumerate() {
                let place = self.place(portal);
                let submission = match self.route {
                    // SAFETY: as in `submit`.
                    Route::Enqcmd => unsafe { instruction::enqcmd(place, descriptor) },
                    // SAFETY: as in `submit`.
                    _ => unsafe { instruction::movdir64b(place, descriptor) },
                };
                if submission != Submission::Accepted {
                    return (taken, submission);
                }
            }
            return (descriptors.len(), Submission::Accepted);
        }
        // SAFETY: the caller's promise is the same.
        unsafe { self.write(descriptors) }
    }
}

/// The instructions that submit, for which Rust has no name.
#[cfg(target_arch = "x86_64")]
mod instruction {
    use core::arch::asm;
    use pagepress_abi::Submission;

    /// Orders all stores before what is submitted: descriptors, sources, and
    /// cleared records reach memory first.
    pub(super) fn fence() {
        // SAFETY: SFENCE is part of x86-64.
        unsafe { core::arch::x86_64::_mm_sfence() };
    }

    /// `enqcmd rax, [rdx]`.
    ///
    /// # Safety
    /// `place` lies in the mapped portal of a shared queue, on a CPU with
    /// ENQCMD; what the descriptor names is as
    /// [`Portal::submit`](pagepress_abi::Portal::submit) asks.
    pub(super) unsafe fn enqcmd(place: *mut u8, descriptor: &[u8; 64]) -> Submission {
        let refused: u8;
        // SAFETY: the instruction reads 64 bytes at `descriptor` and sends
        // them to `place`, as promised by the caller; it changes flags only.
        unsafe {
            asm!(
                ".byte 0xf2, 0x0f, 0x38, 0xf8, 0x02",
                "setz {refused}",
                refused = out(reg_byte) refused,
                in("rax") place,
                in("rdx") descriptor.as_ptr(),
                options(nostack),
            );
        }
        if refused == 0 {
            Submission::Accepted
        } else {
            Submission::Retry
        }
    }

    /// `movdir64b rax, [rdx]`.
    ///
    /// # Safety
    /// As for [`enqcmd`], of a dedicated queue, on a CPU with MOVDIR64B.
    pub(super) unsafe fn movdir64b(place: *mut u8, descriptor: &[u8; 64]) -> Submission {
        // SAFETY: as for `enqcmd`; it changes no flags.
        unsafe {
            asm!(
                ".byte 0x66, 0x0f, 0x38, 0xf8, 0x02",
                in("rax") place,
                in("rdx") descriptor.as_ptr(),
                options(nostack, preserves_flags),
            );
        }
        Submission::Accepted
    }
}

/// No other processor has such instructions, nor maps portals here.
#[cfg(not(target_arch = "x86_64"))]
mod instruction {
    use pagepress_abi::Submission;

    pub(super) fn fence() {}

    pub(super) unsafe fn enqcmd(_: *mut u8, _: &[u8; 64]) -> Submission {
        Submission::Gone
    }

    pub(super) unsafe fn movdir64b(_: *mut u8, _: &[u8; 64]) -> Submission {
        Submission::Gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file is no queue: it cannot be mapped as one, and `write` reaches it
    /// with whole descriptors.
    #[test]
    fn write_takes_bursts() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("wq1.0");
        std::fs::write(&path, []).unwrap();
        let queue = OpenQueue::open_by(&path, Mode::Shared, false).unwrap();
        assert_eq!(queue.route(), Route::Write);
        // SAFETY: nothing reads the descriptors.
        let burst = unsafe { queue.submit_burst(&[[7; 64]; 3]) };
        assert_eq!(burst, (3, Submission::Accepted));
        // SAFETY: as above.
        let one = unsafe { queue.submit(&[8; 64]) };
        assert_eq!(one, Submission::Accepted);
        let written = std::fs::read(&path).unwrap();
        assert_eq!(written.len(), 4 * 64);
        assert!(written[..192].iter().all(|&byte| byte == 7));
        let missing = OpenQueue::open(&dir.path().join("no"), Mode::Shared);
        assert_eq!(missing.unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn movdir64b_copies_to_any_memory() {
        if !crate::host::Instructions::of_cpuid().is_some_and(|cpu| cpu.movdir64b) {
            println!("skipped: this CPU has no MOVDIR64B");
            return;
        }
        let mut place = MmapOptions::new().len(PORTAL).map_anon().unwrap();
        // SAFETY: the instruction copies to the place, which is mapped.
        unsafe { instruction::movdir64b(place.as_mut_ptr(), &[9; 64]) };
        instruction::fence();
        assert_eq!(place[..65], [[9; 64].as_slice(), &[0]].concat());
    }
}
