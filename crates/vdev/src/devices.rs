//! The devices of one process.

#![expect(unsafe_code, reason = "descriptors name the program's memory")]

use crate::config::Config;
use crate::counters::{Count, Counters};
use crate::trace::Trace;
use pagepress_abi::{Completion, Descriptor, Portal, Submission};
use pagepress_model::device::{Device, Queue, write};
use pagepress_model::faults::{Faults, Faulty, Plan};
use pagepress_model::memory::Checked;
use pagepress_model::observe::{End, Observer, Refused};
use pagepress_model::profile::Mode;
use pagepress_model::time::{Costs, Timeline};
use std::io;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Instant;

/// The instruction that brings a descriptor to a portal.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Only a shared queue takes it.
    Enqcmd,
    /// Only a dedicated queue takes it.
    Movdir64b,
}

/// The devices as this process has them. Another process has others: they share the
/// configuration, the counters and the trace, and no queue's entries.
#[derive(Debug)]
pub struct Devices {
    pid: u32,
    counters: Arc<Counters>,
    /// The first queue of each, `None` once the process is about to end.
    doors: RwLock<Option<Vec<Door>>>,
}

/// The portal of a device's queue.
#[derive(Debug)]
struct Door {
    queue: Queue,
    /// If the device takes time.
    timed: Option<Faulty>,
}

impl Door {
    fn portal(&self) -> &dyn Portal {
        match &self.timed {
            Some(timed) => timed,
            None => &self.queue,
        }
    }
}

/// Counts what a device does, and writes it down.
#[derive(Debug)]
struct Ledger {
    name: String,
    counters: Arc<Counters>,
    trace: Option<Arc<Trace>>,
    begin: Instant,
}

impl Observer for Ledger {
    fn taken(&self, _: usize, descriptor: &Descriptor) {
        self.counters.add(Count::Accepted);
        self.counters.add_opcode(descriptor.opcode());
    }

    fn refused(&self, _: usize, descriptor: &Descriptor, why: Refused) {
        let count = match why {
            Refused::Retry => Count::Retried,
            Refused::Dropped | Refused::Ignored => Count::Dropped,
        };
        self.counters.add(count);
        // Whoever is sent back comes again.
        if why != Refused::Retry {
            self.traced(|trace| trace.lost(self.begin.elapsed(), &self.name, descriptor, why));
        }
    }

    fn ended(&self, _: usize, descriptor: &Descriptor, end: End) {
        match end {
            End::Completed(Completion { status, .. }) => {
                self.counters.add(Count::Completed);
                self.counters.add_status(pagepress_abi::Status(status));
            }
            End::Untold(_) => self.counters.add(Count::Errors),
            End::Abandoned => self.counters.add(Count::Abandoned),
        }
        self.traced(|trace| trace.ended(self.begin.elapsed(), &self.name, descriptor, end));
    }
}

impl Ledger {
    fn traced(&self, write: impl FnOnce(&Trace)) {
        if let Some(trace) = &self.trace {
            write(trace);
        }
    }
}

impl Devices {
    /// Those that a configuration asks for. Times in the trace are since `begin`.
    ///
    /// # Errors
    /// If there can be no such devices, or the system does not let a process copy
    /// its own memory, as the model does.
    pub fn new(config: &Config, counters: &Arc<Counters>, begin: Instant) -> io::Result<Self> {
        let invalid = |error: String| io::Error::new(io::ErrorKind::InvalidInput, error);
        let plan: Plan = config
            .faults
            .parse()
            .map_err(|error| invalid(format!("{error}")))?;
        let trace = config.trace.as_deref().and_then(Trace::open).map(Arc::new);
        let timed = config.device_thread || !plan.rules.is_empty();
        let faults = Faults::new(plan);
        let timeline = timed.then(Timeline::in_real_time);
        let mut doors = Vec::new();
        for number in 0..config.devices {
            let node = config.nodes.iter().find(|node| node.device == number);
            let name = node.map_or("", |node| node.path.rsplit('/').next().unwrap_or(""));
            let ledger = Ledger {
                name: name.to_owned(),
                counters: Arc::clone(counters),
                trace: trace.clone(),
                begin,
            };
            let memory = Checked::new()?;
            let device = Device::new(config.generation.profile(), memory, &[config.queue()])
                .map_err(|error| invalid(error.to_string()))?
                .observed_by(Arc::new(ledger));
            let queue = device.queue(0);
            let timed = timeline.as_ref().map(|timeline| {
                let device = timeline.device(device.clone(), Costs::SAPPHIRE_RAPIDS);
                Faulty::new(device.queue(0), &faults)
            });
            doors.push(Door { queue, timed });
        }
        Ok(Self {
            pid: std::process::id(),
            counters: Arc::clone(counters),
            doors: RwLock::new(Some(doors)),
        })
    }

    /// Whether they are those of the running process, as opposed to one that it was
    /// forked from.
    #[must_use]
    pub fn are_ours(&self) -> bool {
        self.pid == std::process::id()
    }

    fn with<R>(&self, device: usize, gone: R, visit: impl FnOnce(&Door) -> R) -> R {
        let doors = self.doors.read().unwrap_or_else(PoisonError::into_inner);
        match doors.as_ref().and_then(|doors| doors.get(device)) {
            Some(door) => visit(door),
            None => gone,
        }
    }

    /// Takes a descriptor that was stored to the portal of a device's queue. What
    /// [`Submission::Retry`] says of a MOVDIR64B, the program does not learn.
    ///
    /// # Safety
    /// As for [`Portal::submit`], but that no address need be valid: a wrong one is
    /// a page fault of the device's.
    pub unsafe fn store(&self, device: usize, store: Store, descriptor: &[u8; 64]) -> Submission {
        self.counters.add(Count::Trapped);
        self.with(device, Submission::Retry, |door| {
            match (store, door.queue.config().mode) {
                (Store::Enqcmd, Mode::Shared) | (Store::Movdir64b, Mode::Dedicated) => {
                    // SAFETY: the caller's promise; the device's memory is checked.
                    unsafe { door.portal().submit(descriptor) }
                }
                (Store::Enqcmd, Mode::Dedicated) => {
                    self.counters.add(Count::Retried);
                    Submission::Retry
                }
                (Store::Movdir64b, Mode::Shared) => {
                    self.counters.add(Count::Dropped);
                    Submission::Retry
                }
            }
        })
    }

    /// Takes descriptors that were written to the node of a device's queue.
    ///
    /// # Errors
    /// As [`write()`] tells them.
    ///
    /// # Safety
    /// As for [`store`](Self::store), for each that was taken.
    pub unsafe fn write(&self, device: usize, descriptors: &[u8]) -> io::Result<usize> {
        for _ in 0..descriptors.len() / Descriptor::BYTES {
            self.counters.add(Count::Written);
        }
        let gone = Err(io::Error::from_raw_os_error(libc::ENXIO));
        self.with(device, gone, |door| {
            // SAFETY: the caller's promise is the same.
            unsafe { write(door.portal(), descriptors) }
        })
    }

    /// Whether the device's SWERROR says something, which is what `poll` waits for.
    #[must_use]
    pub fn has_error(&self, device: usize) -> bool {
        self.with(device, false, |door| {
            door.queue.device().software_error().is_some()
        })
    }

    /// The process is about to end: what is in flight never completes.
    pub fn end(&self) {
        let mut doors = self.doors.write().unwrap_or_else(PoisonError::into_inner);
        let doors = doors.take();
        // Halted first, so that nothing is written to a program that is going.
        for door in doors.iter().flatten() {
            door.queue.device().halt();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Generation, Node};
    use pagepress_abi::flags::op;
    use pagepress_abi::{CompletionRecord, Opcode, Status};
    use std::time::Duration;

    fn config(dedicated: bool) -> Config {
        Config {
            generation: Generation::Gen1,
            devices: 2,
            dedicated,
            size: 8,
            threshold: 4,
            faults: String::new(),
            mmap: true,
            device_thread: false,
            trace: None,
            served: Vec::new(),
            nodes: (0..2)
                .map(|device| Node {
                    path: format!("/dev/iax/wq{}.0", 2 * device + 1),
                    device,
                    major: 235,
                    minor: device as u32,
                })
                .collect(),
        }
    }

    fn made(config: &Config) -> (tempfile::TempDir, Arc<Counters>, Devices) {
        let dir = tempfile::tempdir().unwrap();
        let counters = Arc::new(Counters::create(dir.path()).unwrap());
        let devices = Devices::new(config, &counters, Instant::now()).unwrap();
        (dir, counters, devices)
    }

    fn noop(record: &CompletionRecord) -> [u8; 64] {
        Descriptor {
            completion: record.as_ptr().expose_provenance() as u64,
            ..Descriptor::new(Opcode::NOOP, op::CRAV | op::RCR)
        }
        .to_bytes()
    }

    #[test]
    fn each_kind_of_queue_takes_its_own_instruction() {
        for dedicated in [false, true] {
            let (_dir, counters, devices) = made(&config(dedicated));
            for store in [Store::Enqcmd, Store::Movdir64b] {
                let record = CompletionRecord::new();
                // SAFETY: the record outlives the descriptor, which completes now or
                // is not taken.
                let taken = unsafe { devices.store(1, store, &noop(&record)) };
                let fits = dedicated == (store == Store::Movdir64b);
                let status = fits.then_some(Status::SUCCESS.0);
                assert_eq!(record.poll(), status, "{dedicated} {store:?}");
                assert_eq!(taken == Submission::Accepted, fits);
            }
            assert_eq!(counters.get(Count::Trapped), 2);
            assert_eq!(counters.get(Count::Accepted), 1);
            assert_eq!(counters.get(Count::Completed), 1);
            assert_eq!(counters.get(Count::Retried), u64::from(dedicated));
            assert_eq!(counters.get(Count::Dropped), u64::from(!dedicated));
            let statuses: Vec<_> = counters.statuses().collect();
            assert_eq!(statuses, [(Status::SUCCESS, 1)]);
        }
    }

    #[test]
    fn a_queue_is_full_at_its_threshold() {
        let faults = "never".to_owned();
        let (_dir, counters, devices) = made(&Config {
            faults,
            ..config(false)
        });
        let records: [CompletionRecord; 5] = Default::default();
        let burst: Vec<u8> = records.iter().flat_map(noop).collect();
        // SAFETY: nothing completes.
        let written = unsafe { devices.write(0, &burst) };
        assert_eq!(written.unwrap(), 4 * 64);
        // SAFETY: as above.
        let again = unsafe { devices.write(0, &burst[..64]) };
        assert_eq!(again.unwrap_err().raw_os_error(), Some(libc::EAGAIN));
        assert_eq!(counters.get(Count::Written), 6);
        assert_eq!(counters.get(Count::Retried), 2);
        // SAFETY: as above.
        let other = unsafe { devices.write(1, &burst[..64]) };
        assert_eq!(other.unwrap(), 64);
        devices.end();
        assert_eq!(counters.get(Count::Abandoned), 5);
        assert_eq!(counters.get(Count::Completed), 0);
        // SAFETY: it is not taken.
        let late = unsafe { devices.store(0, Store::Enqcmd, &noop(&records[0])) };
        assert_eq!(late, Submission::Retry);
    }

    #[test]
    fn wrong_addresses_are_the_devices_faults() {
        let (_dir, counters, devices) = made(&config(false));
        let record = CompletionRecord::new();
        let bad = Descriptor {
            src1: 64,
            src1_len: 64,
            completion: record.as_ptr().expose_provenance() as u64,
            ..Descriptor::new(Opcode::CRC64, op::CRAV | op::RCR)
        };
        assert!(!devices.has_error(0));
        let lost = Descriptor {
            completion: 4096,
            ..Descriptor::new(Opcode::NOOP, op::CRAV | op::RCR)
        };
        // SAFETY: the record outlives what completes at once.
        let taken = unsafe { devices.write(0, &bad.to_bytes()) };
        assert_eq!(taken.unwrap(), 64);
        assert_eq!(record.poll(), Some(Status::PAGE_FAULT.0));
        assert!(!devices.has_error(0));
        // SAFETY: there is no memory to be written.
        let taken = unsafe { devices.write(0, &lost.to_bytes()) };
        assert_eq!(taken.unwrap(), 64);
        assert!(devices.has_error(0) && !devices.has_error(1));
        assert_eq!(counters.get(Count::Errors), 1);
    }

    #[test]
    fn a_device_with_a_thread_completes_later() {
        let (_dir, counters, devices) = made(&Config {
            device_thread: true,
            ..config(true)
        });
        let record = CompletionRecord::new();
        // SAFETY: the record outlives the loop below, which waits for it.
        unsafe { devices.store(0, Store::Movdir64b, &noop(&record)) };
        let begin = Instant::now();
        while record.poll().is_none() && begin.elapsed() < Duration::from_secs(10) {
            std::thread::yield_now();
        }
        assert_eq!(record.poll(), Some(Status::SUCCESS.0));
        assert_eq!(counters.get(Count::Completed), 1);
    }

    #[test]
    fn what_cannot_be_is_said() {
        let (_dir, counters, _) = made(&config(false));
        let error = |config: Config| {
            let made = Devices::new(&config, &counters, Instant::now());
            made.unwrap_err().to_string()
        };
        let faults = "flop".to_owned();
        assert!(
            error(Config {
                faults,
                ..config(false)
            })
            .contains("no such fault")
        );
        let size = 200;
        assert!(
            error(Config {
                size,
                ..config(false)
            })
            .contains("entries")
        );
    }
}
