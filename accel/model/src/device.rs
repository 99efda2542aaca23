//! A device: queues in front, engines behind, and what only registers say.

#![expect(unsafe_code, reason = "descriptors name the client's memory")]

use crate::memory::Memory;
use crate::profile::{Mode, Profile, QueueConfig};
use crate::work::{Engine, Work};
use core::fmt;
use core::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use pagepress_abi::{CompletionRecord, Descriptor, Opcode, Portal, Submission, SwError};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

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
    /// Descriptors whose completion was written, or that asked for none.
    pub completed: u64,
    /// Descriptors that ended in SWERROR.
    pub software_errors: u64,
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
    halted: AtomicBool,
    /// Engines at rest. A thread that needs one and finds none makes it, so
    /// there are as many as ever worked at once.
    idle: Mutex<Vec<Box<Engine>>>,
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
    occupancy: AtomicU32,
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
                occupancy: AtomicU32::new(0),
            })
            .collect();
        let shared = Shared {
            profile,
            memory: Box::new(memory),
            queues,
            halted: AtomicBool::new(false),
            idle: Mutex::default(),
            registers: Mutex::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
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

    /// Halts the device: queues take nothing more until [`reset`](Self::reset).
    /// Work already taken is for its holder to complete or to abandon.
    pub fn halt(&self) {
        self.shared.halted.store(true, Ordering::SeqCst);
    }

    /// Ends a halt.
    pub fn reset(&self) {
        self.shared.halted.store(false, Ordering::SeqCst);
    }

    /// Enables or disables a queue.
    ///
    /// # Panics
    /// If there is no such queue.
    pub fn set_enabled(&self, queue: usize, enabled: bool) {
        self.shared.queues[queue]
            .enabled
            .store(enabled, Ordering::SeqCst);
    }

    fn registers(&self) -> MutexGuard<'_, Registers> {
        self.shared
            .registers
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn engine(&self) -> Box<Engine> {
        let mut idle = self
            .shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        idle.pop().unwrap_or_default()
    }

    pub(crate) fn rest(&self, engine: Box<Engine>) {
        self.shared
            .idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(engine);
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
        let open = state.enabled.load(Ordering::SeqCst)
            && !self.device.shared.halted.load(Ordering::SeqCst);
        let take = |occupied: u32| (open && occupied < u32::from(room)).then_some(occupied + 1);
        state
            .occupancy
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, take)
            .map_err(|_| NotTaken::Busy)?;
        self.device.count(|counters| &mut counters.accepted);
        // SAFETY: the caller promises valid sources until this returns.
        let work = unsafe { Work::take(self.clone(), Descriptor::from_bytes(descriptor)) };
        Ok(work)
    }

    /// ENQCMD: submits to a shared queue.
    ///
    /// # Safety
    /// As for [`Portal::submit`].
    pub unsafe fn enqcmd(&self, descriptor: &[u8; 64]) -> Submission {
        if self.config().mode != Mode::Shared {
            return Submission::Retry;
        }
        // SAFETY: the caller's promise is the same.
        match unsafe { self.accept(descriptor) } {
            Ok(work) => {
                work.complete();
                Submission::Accepted
            }
            Err(NotTaken::Busy) => {
                self.device.count(|counters| &mut counters.retried);
                Submission::Retry
            }
        }
    }

    /// MOVDIR64B: posts to a dedicated queue. A full queue drops the
    /// descriptor, and only SWERROR says so; a shared or disabled queue, or a
    /// halted device, ignores it.
    ///
    /// # Safety
    /// As for [`Portal::submit`].
    pub unsafe fn movdir64b(&self, descriptor: &[u8; 64]) {
        let state = self.state();
        if state.config.mode != Mode::Dedicated {
            return;
        }
        // SAFETY: the caller's promise is the same.
        match unsafe { self.accept(descriptor) } {
            Ok(work) => work.complete(),
            Err(NotTaken::Busy) => self.dropped(descriptor),
        }
    }

    /// Records a descriptor that a full dedicated queue has dropped.
    pub fn dropped(&self, descriptor: &[u8; 64]) {
        let state = self.state();
        let full = self.occupancy() >= u32::from(state.config.size);
        if full && state.enabled.load(Ordering::SeqCst) {
            self.device.count(|counters| &mut counters.dropped);
            let opcode = Descriptor::from_bytes(descriptor).opcode();
            self.device
                .record_error(SwError::QUEUE_FULL, self.index, opcode, 0);
        }
    }

    /// `write(2)` on the queue's node: any number of descriptors, as the idxd
    /// driver takes them. Returns the bytes accepted.
    ///
    /// # Errors
    /// If not even the first descriptor was accepted: `EINVAL` for a length
    /// that is not a multiple of 64, or a completion record address that is
    /// not; `EAGAIN` for a full queue.
    ///
    /// # Safety
    /// As for [`Portal::submit`], for every descriptor accepted.
    pub unsafe fn write(&self, bytes: &[u8]) -> io::Result<usize> {
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
            } else if self.config().mode == Mode::Dedicated {
                // SAFETY: the caller's promise is the same. The driver does
                // not look whether there is room.
                unsafe { self.movdir64b(descriptor) };
                Ok(())
            // SAFETY: the caller's promise is the same.
            } else if unsafe { self.enqcmd(descriptor) } == Submission::Accepted {
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
}

impl Portal for Queue {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        match self.config().mode {
            // SAFETY: the caller's promise is the same.
            Mode::Shared => unsafe { self.enqcmd(descriptor) },
            Mode::Dedicated => {
                // SAFETY: the caller's promise is the same.
                unsafe { self.movdir64b(descriptor) };
                Submission::Accepted
            }
        }
    }
}
