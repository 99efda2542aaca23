//! A device: queues in front, engines behind, and what only registers say.

#![expect(unsafe_code, reason = "descriptors name the client's memory")]

use crate::memory::Memory;
use crate::observe::{Observer, Refused};
use crate::op::Product;
use crate::profile::{Mode, Profile, QueueConfig};
use crate::watch::Watch;
use crate::work::{Engine, Work};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use pagepress_abi::{CompletionRecord, Descriptor, Opcode, Portal, Submission, SwError};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Why a device cannot be configured so.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// More queues than the device has.
    TooManyQueues,
    /// The queues' sizes add up to more entries than the device has.
    TooManyEntries,
    /// A queue without entries, or a shared one without a threshold.
    EmptyQueue,
    /// A transfer size that is no power of two, or above the device's.
    BadTransferSize,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooManyQueues => "more work queues than the device has",
            Self::TooManyEntries => "the queues' sizes exceed the device's entries",
            Self::EmptyQueue => "a work queue without entries",
            Self::BadTransferSize => "a maximum transfer size that the device cannot have",
        })
    }
}

impl core::error::Error for ConfigError {}

/// The SWERROR register: the first error that no completion record could say,
/// kept until it is cleared (DSA 9.2.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SoftwareError {
    /// What happened.
    pub error: SwError,
    /// The queue it happened on.
    pub queue: u8,
    /// The descriptor's operation.
    pub opcode: Opcode,
    /// The address it is about, 0 if about none.
    pub address: u64,
    /// Whether more errors came before this one was cleared.
    pub overflow: bool,
}

/// What a device has done since it was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counters {
    /// Descriptors taken by a queue.
    pub accepted: u64,
    /// Descriptors sent back by a shared queue.
    pub retried: u64,
    /// Descriptors lost by a full dedicated queue.
    pub dropped: u64,
    /// Descriptors posted to a dedicated queue that took nothing just then: it
    /// was disabled, or the device halted. Only this count says so.
    pub ignored: u64,
    /// Descriptors whose completion was written, or that asked for none.
    pub completed: u64,
    /// Descriptors that ended in SWERROR.
    pub software_errors: u64,
    /// Descriptors that were in flight when the device was halted or reset, or
    /// their queue aborted.
    pub abandoned: u64,
}

/// One modelled IAX device. Clones are handles to the same device.
#[derive(Clone, Debug)]
pub struct Device {
    shared: Arc<Shared>,
}

struct Shared {
    profile: Profile,
    memory: Box<dyn Memory>,
    queues: Box<[QueueState]>,
    watch: Option<Watch>,
    observer: Option<Arc<dyn Observer>>,
    halted: AtomicBool,
    resets: AtomicU32,
    /// Read while results are written, written by who forbids that.
    gate: RwLock<()>,
    /// Engines at rest. A thread that needs one and finds none makes it, so
    /// there are as many as ever worked at once.
    idle: Mutex<Vec<Box<Engine>>>,
    /// Buffers of work that has completed.
    spare: Mutex<Vec<Product>>,
    registers: Mutex<Registers>,
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Device")
            .field("profile", &self.profile)
            .field("memory", &self.memory)
            .finish_non_exhaustive()
    }
}

struct QueueState {
    config: QueueConfig,
    enabled: AtomicBool,
    aborts: AtomicU32,
    occupancy: AtomicU32,
}

/// When work was taken, as far as resets and aborts go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Taken {
    resets: u32,
    aborts: u32,
}

#[derive(Default)]
struct Registers {
    software_error: Option<SoftwareError>,
    counters: Counters,
}

impl Device {
    /// A device with these queues, all enabled.
    ///
    /// # Errors
    /// [`ConfigError`] if the device cannot be configured so.
    pub fn new(
        profile: Profile,
        memory: impl Memory + 'static,
        queues: &[QueueConfig],
    ) -> Result<Self, ConfigError> {
        if queues.len() > profile.queues {
            return Err(ConfigError::TooManyQueues);
        }
        let entries: u32 = queues.iter().map(|queue| u32::from(queue.size)).sum();
        if entries > u32::from(profile.queue_entries) {
            return Err(ConfigError::TooManyEntries);
        }
        for queue in queues {
            if queue.size == 0 || (queue.mode == Mode::Shared && queue.threshold == 0) {
                return Err(ConfigError::EmptyQueue);
            }
            let most = profile.gen_cap.max_transfer();
            if !queue.max_transfer.is_power_of_two() || queue.max_transfer > most {
                return Err(ConfigError::BadTransferSize);
            }
        }
        let queues = queues
            .iter()
            .map(|&config| QueueState {
                config,
                enabled: AtomicBool::new(true),
                aborts: AtomicU32::new(0),
                occupancy: AtomicU32::new(0),
            })
            .collect();
        let shared = Shared {
            profile,
            memory: Box::new(memory),
            queues,
            watch: None,
            observer: None,
            halted: AtomicBool::new(false),
            resets: AtomicU32::new(0),
            gate: RwLock::default(),
            idle: Mutex::default(),
            spare: Mutex::default(),
            registers: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The device with somebody who watches over what descriptors lend to it.
    ///
    /// # Panics
    /// If there is another handle to the device already.
    #[must_use]
    pub fn watched_by(mut self, watch: &Watch) -> Self {
        let shared = Arc::get_mut(&mut self.shared).expect("a device that nobody uses yet");
        shared.watch = Some(watch.clone());
        self
    }

    /// The device with somebody who is told of every descriptor, and of its end.
    ///
    /// # Panics
    /// If there is another handle to the device already.
    #[must_use]
    pub fn observed_by(mut self, observer: Arc<dyn Observer>) -> Self {
        let shared = Arc::get_mut(&mut self.shared).expect("a device that nobody uses yet");
        shared.observer = Some(observer);
        self
    }

    pub(crate) fn observer(&self) -> Option<&dyn Observer> {
        self.shared.observer.as_deref()
    }

    pub(crate) fn watch(&self) -> Option<&Watch> {
        self.shared.watch.as_ref()
    }

    /// The device's registers.
    #[must_use]
    pub fn profile(&self) -> &Profile {
        &self.shared.profile
    }

    /// How many queues are configured.
    #[must_use]
    pub fn queues(&self) -> usize {
        self.shared.queues.len()
    }

    /// The portal of queue `index`.
    ///
    /// # Panics
    /// If there is no such queue.
    #[must_use]
    pub fn queue(&self, index: usize) -> Queue {
        assert!(
            index < self.queues(),
            "the device has {} queues",
            self.queues()
        );
        Queue {
            device: self.clone(),
            index,
        }
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.registers().counters
    }

    /// The SWERROR register.
    #[must_use]
    pub fn software_error(&self) -> Option<SoftwareError> {
        self.registers().software_error
    }

    /// Clears SWERROR, so that the next error is kept.
    pub fn clear_software_error(&self) {
        self.registers().software_error = None;
    }

    /// Halts the device: queues take nothing more until [`reset`](Self::reset),
    /// and work in flight never completes. Nothing is written once this has
    /// returned.
    pub fn halt(&self) {
        let _gate = self.shut_gate();
        self.shared.halted.store(true, Ordering::SeqCst);
    }

    /// Whether the device is halted.
    #[must_use]
    pub fn is_halted(&self) -> bool {
        self.shared.halted.load(Ordering::SeqCst)
    }

    /// Forgets the work in flight, which never completes, and ends a halt. Once
    /// this has returned, nothing that was submitted before touches memory.
    pub fn reset(&self) {
        let _gate = self.shut_gate();
        self.shared.resets.fetch_add(1, Ordering::SeqCst);
        self.shared.halted.store(false, Ordering::SeqCst);
    }

    /// Enables or disables a queue. What a queue holds that is disabled still
    /// completes, as when the driver disables one.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn set_enabled(&self, queue: usize, enabled: bool) {
        self.shared.queues[queue]
            .enabled
            .store(enabled, Ordering::SeqCst);
    }

    /// Disables a queue and forgets what it holds: that never completes, and
    /// touches no memory once this has returned.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn abort(&self, queue: usize) {
        let _gate = self.shut_gate();
        self.set_enabled(queue, false);
        self.shared.queues[queue]
            .aborts
            .fetch_add(1, Ordering::SeqCst);
    }

    /// While this is held, results may be written.
    pub(crate) fn gate(&self) -> RwLockReadGuard<'_, ()> {
        self.shared
            .gate
            .read()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn shut_gate(&self) -> RwLockWriteGuard<'_, ()> {
        self.shared
            .gate
            .write()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn registers(&self) -> MutexGuard<'_, Registers> {
        locked(&self.shared.registers)
    }

    pub(crate) fn engine(&self) -> Box<Engine> {
        locked(&self.shared.idle).pop().unwrap_or_default()
    }

    pub(crate) fn rest(&self, engine: Box<Engine>) {
        locked(&self.shared.idle).push(engine);
    }

    pub(crate) fn product(&self) -> Product {
        locked(&self.shared.spare).pop().unwrap_or_default()
    }

    pub(crate) fn keep(&self, mut product: Product) {
        product.output.clear();
        product.aecs.clear();
        locked(&self.shared.spare).push(product);
    }

    pub(crate) fn count(&self, which: impl FnOnce(&mut Counters) -> &mut u64) {
        *which(&mut self.registers().counters) += 1;
    }

    pub(crate) fn record_error(&self, error: SwError, queue: usize, opcode: Opcode, address: u64) {
        let mut registers = self.registers();
        registers.counters.software_errors += 1;
        match &mut registers.software_error {
            Some(kept) => kept.overflow = true,
            empty => {
                let queue = queue as u8;
                *empty = Some(SoftwareError {
                    error,
                    queue,
                    opcode,
                    address,
                    overflow: false,
                });
            }
        }
    }
}

/// The lock, whoever panicked with it: what it guards is whole at any time.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A queue's portal, as user space has it.
#[derive(Clone, Debug)]
pub struct Queue {
    device: Device,
    index: usize,
}

/// Why [`Queue::accept`] took no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotTaken {
    /// The queue is full, disabled, halted, or not of this kind.
    Busy,
}

impl Queue {
    /// The queue's configuration.
    #[must_use]
    pub fn config(&self) -> &QueueConfig {
        &self.state().config
    }

    /// The device it belongs to.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// Descriptors taken and not completed yet.
    #[must_use]
    pub fn occupancy(&self) -> u32 {
        self.state().occupancy.load(Ordering::SeqCst)
    }

    /// Gives an entry back.
    pub(crate) fn free_entry(&self) {
        self.state().occupancy.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn memory(&self) -> &dyn Memory {
        &*self.device.shared.memory
    }

    /// Whether both are the same queue of the same device.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.index == other.index && Arc::ptr_eq(&self.device.shared, &other.device.shared)
    }

    fn taken(&self) -> Taken {
        Taken {
            resets: self.device.shared.resets.load(Ordering::SeqCst),
            aborts: self.state().aborts.load(Ordering::SeqCst),
        }
    }

    pub(crate) fn has_forgotten(&self, taken: Taken) -> bool {
        self.taken() != taken
    }

    /// Its number on the device.
    #[must_use]
    pub fn index(&self) -> usize {
        self.index
    }

    fn state(&self) -> &QueueState {
        &self.device.shared.queues[self.index]
    }

    /// Takes a descriptor off the client's hands if there is room, with a copy
    /// of its sources. What becomes of the work is the caller's to decide.
    ///
    /// # Errors
    /// [`NotTaken`] if there is no room, or the queue takes nothing.
    ///
    /// # Safety
    /// As for [`Portal::submit`], until the work has completed; of the sources,
    /// until this returns.
    pub unsafe fn accept(&self, descriptor: &[u8; 64]) -> Result<Work, NotTaken> {
        let state = self.state();
        let room = match state.config.mode {
            // User space gets a limited portal.
            Mode::Shared => state.config.threshold.min(state.config.size),
            Mode::Dedicated => state.config.size,
        };
        // Before looking whether the queue is open: work that is taken while
        // it closes belongs to the time before.
        let taken = self.taken();
        let open = state.enabled.load(Ordering::SeqCst) && !self.device.is_halted();
        let take = |occupied: u32| (open && occupied < u32::from(room)).then_some(occupied + 1);
        state
            .occupancy
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .map_err(|_| NotTaken::Busy)?;
        self.device.count(|counters| &mut counters.accepted);
        let descriptor = Descriptor::from_bytes(descriptor);
        if let Some(observer) = self.device.observer() {
            observer.taken(self.index, &descriptor);
        }
        // SAFETY: the caller promises valid sources until this returns.
        let work = unsafe { Work::take(self.clone(), taken, descriptor) };
        Ok(work)
    }

    /// ENQCMD: submits to a shared queue. A dedicated one does not take it.
    ///
    /// # Safety
    /// As for [`Portal::submit`].
    pub unsafe fn enqcmd(&self, descriptor: &[u8; 64]) -> Submission {
        match self.config().mode {
            // SAFETY: the caller's promise is the same.
            Mode::Shared => unsafe { self.submit(descriptor) },
            Mode::Dedicated => Submission::Retry,
        }
    }

    /// MOVDIR64B: posts to a dedicated queue. A full queue drops the
    /// descriptor, and only SWERROR says so; a shared or disabled queue, or a
    /// halted device, ignores it.
    ///
    /// # Safety
    /// As for [`Portal::submit`].
    pub unsafe fn movdir64b(&self, descriptor: &[u8; 64]) {
        if self.config().mode == Mode::Dedicated {
            // SAFETY: the caller's promise is the same.
            unsafe { self.submit(descriptor) };
        }
    }

    /// What a client learns of a descriptor that was not taken: from a shared
    /// queue, to retry; from a dedicated one nothing, it is recorded as dropped.
    pub fn refused(&self, descriptor: &[u8; 64]) -> Submission {
        match self.config().mode {
            Mode::Shared => {
                self.device.count(|counters| &mut counters.retried);
                self.tell(descriptor, Refused::Retry);
                Submission::Retry
            }
            Mode::Dedicated => {
                self.dropped(descriptor);
                Submission::Accepted
            }
        }
    }

    /// Records a descriptor that a full dedicated queue has dropped.
    fn dropped(&self, descriptor: &[u8; 64]) {
        let state = self.state();
        let full = self.occupancy() >= u32::from(state.config.size);
        if full && state.enabled.load(Ordering::SeqCst) {
            self.device.count(|counters| &mut counters.dropped);
            self.tell(descriptor, Refused::Dropped);
            let opcode = Descriptor::from_bytes(descriptor).opcode();
            self.device
                .record_error(SwError::QUEUE_FULL, self.index, opcode, 0);
        } else {
            self.device.count(|counters| &mut counters.ignored);
            self.tell(descriptor, Refused::Ignored);
        }
    }

    fn tell(&self, descriptor: &[u8; 64], why: Refused) {
        if let Some(observer) = self.device.observer() {
            observer.refused(self.index, &Descriptor::from_bytes(descriptor), why);
        }
    }

    /// `write(2)` on the queue's node, see [`write()`].
    ///
    /// # Errors
    /// As for [`write()`].
    ///
    /// # Safety
    /// As for [`Portal::submit`], for every descriptor accepted.
    pub unsafe fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        // SAFETY: the caller's promise is the same.
        unsafe { write(self, bytes) }
    }
}

/// `write(2)` on the node of the queue behind a portal: any number of
/// descriptors, as the idxd driver takes them. Returns the bytes accepted; a
/// dedicated queue takes them all, whether it has room or not.
///
/// # Errors
/// If not even the first descriptor was accepted: `EINVAL` for a length
/// that is not a multiple of 64, or a completion record address that is
/// not; `EAGAIN` for a full queue.
///
/// # Safety
/// As for [`Portal::submit`], for every descriptor accepted.
pub unsafe fn write(portal: &dyn Portal, bytes: &[u8]) -> io::Result<usize> {
    let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
    if bytes.is_empty() || bytes.len() % Descriptor::BYTES != 0 {
        return Err(invalid());
    }
    let mut accepted = 0;
    for chunk in bytes.chunks_exact(Descriptor::BYTES) {
        let descriptor = chunk.first_chunk().expect("a chunk of 64 bytes");
        let record = Descriptor::from_bytes(descriptor).completion;
        let result = if record % CompletionRecord::BYTES as u64 != 0 {
            Err(invalid())
        // SAFETY: the caller's promise is the same.
        } else if unsafe { portal.submit(descriptor) } == Submission::Accepted {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EAGAIN))
        };
        match result {
            Ok(()) => accepted += Descriptor::BYTES,
            Err(error) if accepted == 0 => return Err(error),
            Err(_) => break,
        }
    }
    Ok(accepted)
}

impl Portal for Queue {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        // SAFETY: the caller's promise is the same.
        match unsafe { self.accept(descriptor) } {
            Ok(work) => {
                work.complete();
                Submission::Accepted
            }
            Err(NotTaken::Busy) => self.refused(descriptor),
        }
    }
}
