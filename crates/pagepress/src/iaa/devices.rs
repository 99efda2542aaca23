//! The devices of a pool.

use crate::outcome::PerformedBy;
use crate::unavailable::Unavailable;
use core::time::Duration;
use pagepress_abi::{GenCap, OpCap, Opcode, Portal};
use pagepress_iaa::clock::{Clock, HostClock};
use pagepress_iaa::fleet::{Facts, Fleet};
use pagepress_iaa::probe;
use pagepress_iaa::recipe::Base;
use pagepress_idxd::chain::Path;
use pagepress_idxd::host::{IaxDevice, Mode, WorkQueue};
use pagepress_idxd::queue::OpenQueue;
use pagepress_idxd::{Diagnosis, Host, Root};
use std::io;
use std::sync::Arc;

/// What a queue has to answer a NOOP in to be used.
const ANSWER_WITHIN: Duration = Duration::from_millis(100);

/// Work queues that are open and answer. Clones are handles to the same.
#[derive(Debug, Clone)]
pub struct Devices {
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) performed_by: PerformedBy,
    /// The package of each CPU.
    packages: Arc<[Option<u32>]>,
}

/// Handles to the same queues are equal.
impl PartialEq for Devices {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.fleet, &other.fleet)
    }
}

impl Eq for Devices {}

impl Devices {
    /// All usable queues of this host. If software stands in for one of the devices,
    /// as `pagepress vdev run` has it, the pool reports
    /// [`Modelled`](PerformedBy::Modelled) for all that is not done in software.
    ///
    /// # Errors
    /// The link that is missing.
    pub fn of_host() -> Result<Self, Unavailable> {
        let host =
            Host::look(&Root::new("/")).map_err(|error| Unavailable::unseen(&error.to_string()))?;
        Self::of(&host, |node, mode| {
            Ok(Box::new(OpenQueue::open(node, mode)?))
        })
    }

    /// All usable queues of a host, opened by their nodes.
    fn of(
        host: &Host,
        open: impl Fn(&std::path::Path, Mode) -> io::Result<Box<dyn Portal>>,
    ) -> Result<Self, Unavailable> {
        let diagnosis = Diagnosis::of(host);
        if let Some(link) = diagnosis.first_broken().or(diagnosis.first_unknown()) {
            return Err(Unavailable::of(link));
        }
        let instructions = host.cpus.instructions.as_ref();
        let umwait = instructions.is_ok_and(|cpu| cpu.waitpkg);
        let clock: Arc<dyn Clock> = Arc::new(HostClock::new(umwait));
        let mut queues: Vec<(Facts, Box<dyn Portal>)> = Vec::new();
        let mut performed_by = PerformedBy::Hardware;
        let mut why = String::from("no queue is left");
        for path in diagnosis.paths.iter().filter(|path| path.is_usable()) {
            match queue(host, path, &*clock, &open) {
                Ok(queue) => {
                    queues.push(queue);
                    if diagnosis.modelled.contains(&path.device) {
                        performed_by = PerformedBy::Modelled;
                    }
                }
                Err(error) => why = format!("{}/{}: {error}", path.device, path.queue),
            }
        }
        if queues.is_empty() {
            return Err(Unavailable::silent(&why));
        }
        let most = host.cpus.online.iter().map(|cpu| cpu.id).max().unwrap_or(0);
        let mut packages = vec![None; most as usize + 1];
        for cpu in &host.cpus.online {
            packages[cpu.id as usize] = cpu.package;
        }
        Ok(Self {
            fleet: Arc::new(Fleet::new(queues, clock)),
            performed_by,
            packages: packages.into(),
        })
    }

    /// Queues at portals of the caller's own making: another model, a decorator
    /// around a device, or one that measures what the host does. The pool goes by
    /// `clock` alone, and reports `performed_by` for every page that is not done
    /// in software. The queues' packages do not count: all of them are near.
    #[must_use]
    pub fn of_portals(
        queues: Vec<(Facts, Box<dyn Portal>)>,
        clock: Arc<dyn Clock>,
        performed_by: PerformedBy,
    ) -> Self {
        Self {
            fleet: Arc::new(Fleet::new(queues, clock)),
            performed_by,
            packages: [].into(),
        }
    }

    /// The package of a CPU; `None` if that is not known.
    pub(crate) fn package_of(&self, cpu: usize) -> Option<u32> {
        self.packages.get(cpu).copied().flatten()
    }

    /// The names of the queues: `iax1/wq1.0`, for instance.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        let links = self.fleet.links().iter();
        links.map(|link| link.facts().name.as_str())
    }
}

/// Opens a queue, and asks whether it answers.
fn queue(
    host: &Host,
    path: &Path,
    clock: &dyn Clock,
    open: impl Fn(&std::path::Path, Mode) -> io::Result<Box<dyn Portal>>,
) -> Result<(Facts, Box<dyn Portal>), String> {
    let devices = host.devices.iter().flatten();
    let device = devices
        .into_iter()
        .find(|device| device.name == path.device);
    let device = device.ok_or("the device is gone")?;
    let queue = device.queues.iter().find(|queue| queue.name == path.queue);
    let queue = queue.ok_or("the queue is gone")?;
    let mode = queue.mode.clone().map_err(|unread| unread.to_string())?;
    let node = std::path::Path::new("/dev/iax").join(&queue.name);
    let portal = open(&node, mode).map_err(|error| error.to_string())?;
    probe::noop(&*portal, clock, ANSWER_WITHIN).map_err(|failure| failure.to_string())?;
    Ok((facts(device, queue, mode), portal))
}

fn facts(device: &IaxDevice, queue: &WorkQueue, mode: Mode) -> Facts {
    let gen_cap = GenCap(device.gen_cap.as_ref().map_or(0, |&bits| bits));
    let waits = queue.block_on_fault == Ok(1) && queue.prs_disable != Ok(1);
    let allows = |opcode| {
        let has = |set: &OpCap| set.has(opcode);
        // Older kernels do not say, and allow all.
        device.op_cap.as_ref().map_or(true, has) && queue.op_config.as_ref().map_or(true, has)
    };
    let size = queue.size.as_ref().map_or(1, |&size| size);
    Facts {
        name: format!("{}/{}", device.name, queue.name),
        package: device.package,
        credits: (mode == Mode::Dedicated).then(|| u32::try_from(size).unwrap_or(1)),
        base: Base::new(gen_cap, waits),
        gen2: device.is_gen2(),
        header_gen: device.capabilities.contains(&"header-generation"),
        compresses: allows(Opcode::COMPRESS),
        decompresses: allows(Opcode::DECOMPRESS),
    }
}

#[cfg(all(test, feature = "model", not(loom)))]
#[path = "../../../../accel/idxd/tests/chain/hosts.rs"]
#[expect(dead_code, reason = "the chain's own tests use all of it")]
mod hosts;

#[cfg(all(test, feature = "model", not(loom)))]
mod tests {
    use super::hosts::{Shape, State};
    use super::*;
    use crate::Pool;
    use pagepress_model::device::Device;
    use pagepress_model::memory::Trusting;
    use pagepress_model::profile::{Profile, QueueConfig};

    /// Two devices, their attributes changed: what a pool on them says of two pages.
    fn modelled_pages(attributes: &[(&[u32], &str, &str)]) -> (u64, u64) {
        let dir = tempfile::tempdir().unwrap();
        let mut snapshot = State::find("healthy").unwrap().snapshot(Shape::PAIR);
        for (devices, attribute, value) in attributes {
            snapshot.set(devices, attribute, value);
        }
        snapshot.write(dir.path()).unwrap();
        let host = Host::look(&Root::new(dir.path())).unwrap();
        let devices = Devices::of(&host, |_, _| {
            let device = Device::new(Profile::GEN1, Trusting, &[QueueConfig::shared(16)]);
            Ok(Box::new(device.unwrap().queue(0)))
        });
        let pool = Pool::builder().devices(devices.unwrap()).build().unwrap();
        let pages = [1_u8, 2].map(|seed| (0..=255).map(|i: u8| i / seed).collect::<Vec<u8>>());
        let pages = pages.map(|part| part.repeat(16));
        let report = pool.compress_batch(&pages, |_, outcome| assert!(outcome.is_ok()));
        assert_eq!(report.hardware_pages(), 2, "as opposed to software");
        let is_said = pool.backend_name().contains("modelled");
        assert_eq!(report.modelled_pages() > 0, is_said);
        (report.hardware_pages(), report.modelled_pages())
    }

    /// A model behind the kernel's own interface is not taken for a device.
    #[test]
    fn virtual_devices_are_modelled() {
        assert_eq!(modelled_pages(&[]), (2, 0));
        let mark = "pagepress-model";
        assert_eq!(modelled_pages(&[(&[1, 9], "modelled", mark)]), (2, 2));
        // Nobody tells which of them did what, so one of two is enough.
        assert_eq!(modelled_pages(&[(&[9], "modelled", "")]), (2, 2));
        // Unless it is not used.
        let aside = [(&[9][..], "modelled", mark), (&[9], "state", "disabled")];
        assert_eq!(modelled_pages(&aside), (2, 0));
    }
}
