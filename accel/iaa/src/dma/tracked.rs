//! A mapping whose accesses loom orders: the CPU's, and those of a device that
//! reaches it by address. It stays when it is unmapped, so that a late write is
//! told from a lawful one.

#![expect(
    unsafe_code,
    reason = "memory with a second writer is reached by address"
)]

use crate::sync::AtomicU8;
use core::cell::UnsafeCell;
use core::ops::Range;
use core::sync::atomic::{AtomicBool, Ordering};
use pagepress_abi::CompletionRecord;
use std::io;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// Bytes that are tracked as one: those of a completion record.
const LINE: usize = CompletionRecord::BYTES;

thread_local! {
    /// All that an execution has mapped, which is one thread of the system's.
    static MAPPED: Mutex<Vec<Arc<Memory>>> = const { Mutex::new(Vec::new()) };
}

#[derive(Debug)]
pub(super) struct Mapping {
    /// Loom's objects end with their execution, however the region was leaked.
    memory: Weak<Memory>,
    base: *const u8,
    len: usize,
}

#[derive(Debug)]
struct Memory {
    bytes: Box<[Bytes]>,
    lines: Box<[Line]>,
    is_kept: AtomicBool,
    is_unmapped: AtomicBool,
}

#[derive(Debug)]
#[repr(C, align(64))]
struct Bytes(UnsafeCell<[u8; LINE]>);

#[derive(Debug)]
struct Line {
    accesses: loom::cell::UnsafeCell<()>,
    /// The first byte, once it is the status of a record.
    status: Mutex<Option<Arc<AtomicU8>>>,
}

// SAFETY: the pointer is only handed out; loom finds two threads that follow it
// at once.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}
// SAFETY: bytes are reached by raw pointers only, and every access is told to a
// line first. Loom has all threads of an execution take turns on one of the
// system's.
unsafe impl Send for Memory {}
// SAFETY: as above.
unsafe impl Sync for Memory {}

impl Memory {
    fn new(lines: usize) -> Self {
        let line = |_| Line {
            accesses: loom::cell::UnsafeCell::new(()),
            status: Mutex::default(),
        };
        Self {
            bytes: (0..lines)
                .map(|_| Bytes(UnsafeCell::new([0; LINE])))
                .collect(),
            lines: (0..lines).map(line).collect(),
            is_kept: AtomicBool::new(false),
            is_unmapped: AtomicBool::new(false),
        }
    }

    fn len(&self) -> usize {
        LINE * self.lines.len()
    }

    fn base(&self) -> *mut u8 {
        self.bytes.as_ptr().cast_mut().cast()
    }

    fn range(&self, at: usize, len: usize) -> Range<usize> {
        let fits = at.checked_add(len).is_some_and(|end| end <= self.len());
        assert!(fits, "{len} bytes from {at} of {}", self.len());
        assert!(!self.is_unmapped(), "an access to memory that is unmapped");
        at / LINE..(at + len).div_ceil(LINE)
    }

    fn is_unmapped(&self) -> bool {
        self.is_unmapped.load(Ordering::Relaxed)
    }

    fn status(&self, line: usize) -> Option<Arc<AtomicU8>> {
        assert!(!self.is_unmapped(), "a status in memory that is unmapped");
        let status = self.lines[line].status.lock();
        status.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn read(&self, at: usize, len: usize) -> *const u8 {
        for line in self.range(at, len) {
            self.lines[line].accesses.with(|_| ());
            if let Some(status) = self.status(line) {
                // SAFETY: loom finds a store that it is not ordered after.
                let status = unsafe { status.unsync_load() };
                let first = self.base().wrapping_add(LINE * line);
                // SAFETY: a byte of this line, which nobody writes just now.
                unsafe { first.write(status) };
            }
        }
        self.base().wrapping_add(at)
    }

    fn written(&self, at: usize, len: usize) -> *mut u8 {
        for line in self.range(at, len) {
            self.lines[line].accesses.with_mut(|_| ());
        }
        self.base().wrapping_add(at)
    }
}

impl Mapping {
    pub(super) fn new(len: usize) -> io::Result<Self> {
        let memory = Arc::new(Memory::new(len.max(1).div_ceil(LINE)));
        let mapping = Self {
            memory: Arc::downgrade(&memory),
            base: memory.base(),
            len: memory.len(),
        };
        mapped(|mapped| mapped.push(memory));
        Ok(mapping)
    }

    fn memory(&self) -> Arc<Memory> {
        self.memory.upgrade().expect("a region of this execution")
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn base(&self) -> *const u8 {
        self.base
    }

    pub(super) fn is_here(&self) -> bool {
        true
    }

    pub(super) fn read(&self, at: usize, len: usize) -> *const u8 {
        self.memory().read(at, len)
    }

    pub(super) fn written(&self, at: usize, len: usize) -> *mut u8 {
        self.memory().written(at, len)
    }

    pub(super) fn status(&self, record: usize) -> Arc<AtomicU8> {
        let status = self.memory().status(record / LINE);
        status.expect("a record that was made ready")
    }

    pub(super) fn own_status(&self, record: usize) -> Arc<AtomicU8> {
        assert!(record % LINE == 0, "a record at {record}");
        let memory = self.memory();
        // Whoever clears a record has all of it.
        memory.written(record, LINE);
        let status = memory.lines[record / LINE].status.lock();
        let mut status = status.unwrap_or_else(PoisonError::into_inner);
        Arc::clone(status.get_or_insert_with(|| Arc::new(AtomicU8::new(0))))
    }

    /// Never unmaps it.
    pub(super) fn keep(&self) {
        self.memory().is_kept.store(true, Ordering::Relaxed);
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        let Some(memory) = self.memory.upgrade() else {
            return;
        };
        // What fails a check is told once.
        let is_kept = std::thread::panicking() || memory.is_kept.load(Ordering::Relaxed);
        if !is_kept {
            // As a write of all of it: loom finds accesses that are not
            // ordered before.
            memory.written(0, memory.len());
            memory.is_unmapped.store(true, Ordering::Relaxed);
        }
    }
}

fn mapped<T>(act: impl FnOnce(&mut Vec<Arc<Memory>>) -> T) -> T {
    MAPPED.with(|mapped| act(&mut mapped.lock().unwrap_or_else(PoisonError::into_inner)))
}

/// Memory as a device sees it: by address, mapped or not.
#[cfg(test)]
pub(crate) mod device {
    use super::{Arc, LINE, Memory, Ordering, mapped};
    use core::ptr;
    use pagepress_abi::Completion;

    fn find(address: u64) -> Option<(Arc<Memory>, usize)> {
        mapped(|mapped| {
            mapped.iter().find_map(|memory| {
                let at = (address as usize).checked_sub(memory.base().addr())?;
                (at < memory.len()).then(|| (Arc::clone(memory), at))
            })
        })
    }

    fn at(address: u64) -> (Arc<Memory>, usize) {
        find(address).unwrap_or_else(|| panic!("{address:#x} was never mapped"))
    }

    /// Whether an address lies in a region, of now or before.
    pub(crate) fn knows(address: u64) -> bool {
        find(address).is_some()
    }

    pub(crate) fn read(address: u64, bytes: &mut [u8]) {
        let (memory, at) = at(address);
        let from = memory.read(at, bytes.len());
        // SAFETY: inside the mapping; loom knows of the access.
        unsafe { ptr::copy_nonoverlapping(from, bytes.as_mut_ptr(), bytes.len()) };
    }

    pub(crate) fn write(address: u64, bytes: &[u8]) {
        let (memory, at) = at(address);
        let to = memory.written(at, bytes.len());
        // SAFETY: inside the mapping; loom knows of the access.
        unsafe { ptr::copy_nonoverlapping(bytes.as_ptr(), to, bytes.len()) };
    }

    /// Writes a completion record, the status last.
    pub(crate) fn complete(record: u64, completion: &Completion) {
        write(record + 1, &completion.to_bytes()[1..]);
        let (memory, at) = at(record);
        let status = memory.status(at / LINE).expect("a record made ready");
        status.store(completion.status, Ordering::Release);
    }

    /// Bytes that are mapped, or never will be unmapped.
    pub(crate) fn bytes_mapped() -> usize {
        mapped(|mapped| {
            let there = mapped.iter().filter(|memory| !memory.is_unmapped());
            there.map(|memory| memory.len()).sum()
        })
    }

    /// Forgets the regions of an execution that has ended.
    pub(crate) fn start_anew() {
        let before = mapped(core::mem::take);
        drop(before);
    }
}
