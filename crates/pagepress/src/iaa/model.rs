//! Modelled devices: the whole descriptor path without hardware.

use super::Devices;
use crate::outcome::PerformedBy;
use core::fmt;
use pagepress_abi::Portal;
use pagepress_iaa::clock::{Clock, HostClock, Watched};
use pagepress_iaa::fleet::Facts;
use pagepress_iaa::recipe::Base;
use pagepress_model::device::Device;
use pagepress_model::faults::{Counts, Faults, Faulty, Plan};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::{Profile, QueueConfig};
use pagepress_model::time::{Costs, Timeline};
use pagepress_model::watch::{Violation, Watch};
use pagepress_model::write::ByWrite;
use std::sync::Arc;

/// Which generation of the device is modelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Generation {
    /// Sapphire and Emerald Rapids.
    #[default]
    One,
    /// Granite Rapids.
    Two,
}

/// How descriptors reach a modelled queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Submission {
    /// By an instruction to the mapped portal: ENQCMD or MOVDIR64B.
    #[default]
    Portal,
    /// By `write(2)`, a burst in one call, as where a process may not map
    /// portals.
    Write,
}

/// Whose time it is that modelled devices take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Time {
    /// One that passes when somebody waits: results do not depend on the host.
    #[default]
    Virtual,
    /// The host's: a thread completes descriptors when they are due.
    Real,
}

/// A software model of IAA devices, faithful to the descriptor and the
/// completion record. What is measured on it is *modelled*: it says how fast this
/// host computes, or what was assumed of a device, and nothing of a real one.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Model {
    /// The generation.
    pub generation: Generation,
    /// How many devices, each with one work queue.
    pub devices: usize,
    /// Entries of each queue.
    pub entries: u16,
    /// Whether queues are dedicated instead of shared.
    pub dedicated: bool,
    /// How descriptors reach the queues.
    pub submission: Submission,
    /// Whether queues let descriptors wait for page faults.
    pub block_on_fault: bool,
    /// Whether operations take the time that others have measured on devices,
    /// instead of none.
    pub timed: bool,
    /// Which time that is.
    pub time: Time,
    /// Whether somebody looks after the memory that descriptors lend to the
    /// devices: see `pagepress_model::watch`. Takes its time.
    pub watch: bool,
    /// What goes wrong: see `pagepress_model::faults::Plan`.
    pub faults: Plan,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            generation: Generation::One,
            devices: 1,
            entries: 128,
            dedicated: false,
            submission: Submission::Portal,
            block_on_fault: true,
            timed: false,
            time: Time::Virtual,
            watch: false,
            faults: Plan::default(),
        }
    }
}

/// What can be asked of modelled devices besides compressing.
#[derive(Clone)]
pub struct Modelled {
    timeline: Timeline,
    faults: Faults,
    devices: Arc<[Device]>,
    watch: Option<Watch>,
}

impl fmt::Debug for Modelled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Modelled")
            .field("timeline", &self.timeline)
            .finish_non_exhaustive()
    }
}

impl Modelled {
    /// Nanoseconds so far, in the devices' time.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.timeline.now()
    }

    /// Lets so much of the devices' time pass.
    pub fn advance(&self, nanoseconds: u64) {
        self.timeline.advance(nanoseconds);
    }

    /// What has gone wrong on demand.
    #[must_use]
    pub fn faults(&self) -> Counts {
        self.faults.counts()
    }

    /// What the pool did with memory that it had lent to a device, as far as it
    /// was kept; nothing if nobody [watched](Model::watch).
    #[must_use]
    pub fn violations(&self) -> Vec<Violation> {
        self.watch.as_ref().map_or_else(Vec::new, Watch::violations)
    }

    /// The watch over the devices, if there is one.
    #[must_use]
    pub fn watch(&self) -> Option<&Watch> {
        self.watch.as_ref()
    }

    /// The devices.
    #[must_use]
    pub fn devices(&self) -> &[Device] {
        &self.devices
    }
}

/// A virtual clock.
#[derive(Debug)]
struct Virtual(Timeline);

impl Clock for Virtual {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn wait(&self, _round: u32, _status: Watched, until: u64) {
        self.0.step_until(until);
    }
}

impl Devices {
    /// Modelled devices, and what is to be asked of them.
    ///
    /// # Panics
    /// If the model has no device, or queues that no device can have, or is to
    /// be watched where the kernel does not let a process copy its own memory.
    #[must_use]
    pub fn of_model(model: &Model) -> (Self, Modelled) {
        let profile = match model.generation {
            Generation::One => Profile::GEN1,
            Generation::Two => Profile::GEN2,
        };
        let queue = QueueConfig {
            block_on_fault: model.block_on_fault,
            ..if model.dedicated {
                QueueConfig::dedicated(model.entries)
            } else {
                QueueConfig::shared(model.entries)
            }
        };
        assert!(model.devices > 0, "a model without a device");
        let watch = model
            .watch
            .then(|| Watch::new().expect("a process may copy its own memory"));
        let device = |_| {
            // Who submits keeps the pages for as long as a call lasts, and
            // the model reads them when they are submitted.
            let device = Device::new(profile, Trusting, &[queue]);
            let device = device.expect("a queue that a device can have");
            match &watch {
                Some(watch) => device.watched_by(watch),
                None => device,
            }
        };
        let devices: Arc<[Device]> = (0..model.devices).map(device).collect();
        let timeline = match model.time {
            Time::Virtual => Timeline::in_virtual_time(),
            Time::Real => Timeline::in_real_time(),
        };
        let faults = Faults::new(model.faults.clone());
        let costs = if model.timed {
            Costs::SAPPHIRE_RAPIDS
        } else {
            Costs::NONE
        };
        let plain = !model.timed && model.faults.rules.is_empty();
        let gen2 = model.generation == Generation::Two;
        let queues = devices.iter().enumerate().map(|(i, device)| {
            let facts = Facts {
                name: format!("model{i}/wq{i}.0"),
                package: None,
                credits: model.dedicated.then_some(model.entries.into()),
                base: Base::new(profile.gen_cap, model.block_on_fault),
                gen2,
                header_gen: gen2,
                compresses: true,
                decompresses: true,
            };
            let portal: Box<dyn Portal> = if plain {
                Box::new(device.queue(0))
            } else {
                let queue = timeline.device(device.clone(), costs).queue(0);
                Box::new(Faulty::new(queue, &faults))
            };
            let portal = match model.submission {
                Submission::Portal => portal,
                Submission::Write => Box::new(ByWrite::new(portal)),
            };
            (facts, portal)
        });
        let queues: Vec<_> = queues.collect();
        let clock: Arc<dyn Clock> = if plain || model.time == Time::Real {
            Arc::new(HostClock::new(false))
        } else {
            Arc::new(Virtual(timeline.clone()))
        };
        let modelled = Modelled {
            timeline,
            faults,
            devices,
            watch,
        };
        (
            Self::of_portals(queues, clock, PerformedBy::Modelled),
            modelled,
        )
    }
}
