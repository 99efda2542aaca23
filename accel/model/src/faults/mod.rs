//! Devices that fail on demand.
//!
//! [`Faulty`] stands around a queue's portal and is one itself. What it does to
//! which descriptor is a [`Plan`]'s rules and seed; whatever was done is counted.
//! The device behind it knows nothing of that.
//!
//! ```
//! use pagepress_model::device::Device;
//! use pagepress_model::faults::{Faults, Faulty};
//! use pagepress_model::memory::Trusting;
//! use pagepress_model::profile::{Profile, QueueConfig};
//! use pagepress_model::time::{Costs, Timeline};
//!
//! let device = Device::new(Profile::GEN1, Trusting, &[QueueConfig::shared(16)])?;
//! let timeline = Timeline::in_virtual_time();
//! let queue = timeline.device(device, Costs::SAPPHIRE_RAPIDS).queue(0);
//! // One descriptor in 50 meets a page fault, the 1000th halts the device.
//! let faults = Faults::new("read-fault@1/50,halt@#1000,seed:7".parse()?);
//! let portal = Faulty::new(queue, &faults);
//! # let _ = portal;
//! println!("{}", faults.counts());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![expect(unsafe_code, reason = "portals pass on the promise of who submits")]

mod dice;
mod plan;

pub use plan::{Fault, Plan, PlanError, Rule, When};

use crate::check::{reads_aecs, writes_dst};
use crate::memory::PAGE;
use crate::profile::Mode;
use crate::time::{Lateness, TimedQueue};
use crate::work::{Ending, Work};
use core::fmt;
use dice::Dice;
use pagepress_abi::flags::op;
use pagepress_abi::{Completion, Descriptor, ErrorCode, Opcode, Portal, Status, Submission};
use std::sync::{Arc, Mutex, PoisonError};

/// A plan at work, with what it has done so far. Clones share both.
#[derive(Debug, Clone)]
pub struct Faults {
    plan: Arc<Plan>,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    submitted: u64,
    accepted: u64,
    /// Retries that a rule has still to hand out.
    refusals: u32,
    counts: Counts,
}

/// What was done, in descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Accepted, with or without a fault.
    pub accepted: u64,
    /// Ended by a page fault on a source.
    pub read_faults: u64,
    /// Ended by a page fault on the destination.
    pub write_faults: u64,
    /// Delayed by a page fault that they asked to wait for.
    pub stalls: u64,
    /// Refused by ENQCMD.
    pub retries: u64,
    /// Completed late.
    pub late: u64,
    /// Never completed.
    pub never: u64,
    /// Completed after the one submitted next.
    pub reordered: u64,
    /// Accepted just before the device halted.
    pub halts: u64,
    /// Accepted just before the queue was disabled.
    pub disables: u64,
    /// Ended with a status of the plan's choice.
    pub statuses: u64,
    /// Ended with an error code of the plan's choice.
    pub errors: u64,
    /// Completed with a wrong bit.
    pub flips: u64,
    /// Given up early as not compressible.
    pub early_aborts: u64,
}

impl Counts {
    fn named(&self) -> [(&'static str, u64); 13] {
        [
            ("read faults", self.read_faults),
            ("write faults", self.write_faults),
            ("stalls", self.stalls),
            ("retries", self.retries),
            ("late", self.late),
            ("never", self.never),
            ("reordered", self.reordered),
            ("halts", self.halts),
            ("disables", self.disables),
            ("statuses", self.statuses),
            ("errors", self.errors),
            ("flips", self.flips),
            ("early aborts", self.early_aborts),
        ]
    }

    /// All that was done.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.named().iter().map(|(_, count)| count).sum()
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} descriptors", self.accepted)?;
        for (name, count) in self.named() {
            if count > 0 {
                write!(f, ", {name} {count}")?;
            }
        }
        Ok(())
    }
}

/// What becomes of the device with a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outage {
    /// It halts, for so many nanoseconds or for good.
    Halt(Option<u64>),
    /// The queue is disabled, likewise.
    Disable(Option<u64>),
}

/// What is to happen to a descriptor.
struct Fate {
    ending: Ending,
    lateness: Lateness,
    outage: Option<Outage>,
}

impl Faults {
    /// A plan of which nothing has happened yet.
    #[must_use]
    pub fn new(plan: Plan) -> Self {
        Self {
            plan: Arc::new(plan),
            state: Arc::default(),
        }
    }

    /// What has been done so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.with(|state| state.counts)
    }

    fn with<T>(&self, use_it: impl FnOnce(&mut State) -> T) -> T {
        use_it(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The rules that apply to the `n`-th of something, counted from 1, each
    /// with its dice.
    fn rules(&self, n: u64, opcode: Opcode) -> impl Iterator<Item = (Fault, Dice)> {
        let rules = self.plan.rules.iter().enumerate();
        rules.filter_map(move |(number, rule)| {
            let mut dice = Dice::new(self.plan.seed, number as u64, n);
            rule.applies(n, opcode, &mut dice)
                .then_some((rule.fault, dice))
        })
    }

    /// Whether this submission is refused.
    fn refuses(&self, opcode: Opcode) -> bool {
        self.with(|state| {
            state.submitted += 1;
            if state.refusals == 0 {
                let retries = self.rules(state.submitted, opcode);
                state.refusals = retries
                    .filter_map(|(fault, _)| match fault {
                        Fault::Retry(times) => Some(times),
                        _ => None,
                    })
                    .next()
                    .unwrap_or(0);
            }
            let refuses = state.refusals > 0;
            if refuses {
                state.refusals -= 1;
                state.counts.retries += 1;
            }
            refuses
        })
    }

    /// What is to happen to a descriptor that was accepted: at most one rule
    /// each says how it ends, when, and what becomes of the device.
    fn fate(&self, descriptor: &Descriptor) -> Fate {
        self.with(|state| {
            state.accepted += 1;
            let counts = &mut state.counts;
            counts.accepted += 1;
            let mut fate = Fate {
                ending: Ending::Sound,
                lateness: Lateness::default(),
                outage: None,
            };
            for (fault, mut dice) in self.rules(state.accepted, descriptor.opcode()) {
                fate.take(fault, descriptor, &mut dice, counts);
            }
            fate
        })
    }
}

impl Fate {
    /// Lets a rule say what it has to, if nothing has said that yet and it can
    /// happen to this descriptor.
    fn take(&mut self, fault: Fault, d: &Descriptor, dice: &mut Dice, counts: &mut Counts) {
        let waits = d.op_flags() & op::BLOCK_ON_FAULT != 0;
        let is_open = self.ending == Ending::Sound;
        let on_time = self.lateness == Lateness::default();
        let reads = d.src1_len > 0;
        let writes = writes_dst(d) && d.dst_max > 0;
        let mut end = |ending, counter: &mut u64| {
            self.ending = ending;
            *counter += 1;
        };
        match fault {
            // Asked for before there was anything to be told of.
            Fault::Retry(_) => {}
            Fault::ReadFault | Fault::WriteFault if waits && on_time && (reads || writes) => {
                self.lateness.stall = dice.page_request();
                counts.stalls += 1;
            }
            Fault::ReadFault if !waits && is_open && reads => {
                let completion = read_fault(d, Status::PAGE_FAULT, dice);
                end(Ending::Instead(completion), &mut counts.read_faults);
            }
            Fault::WriteFault if !waits && is_open && writes => {
                end(Ending::WriteFault(dice.roll()), &mut counts.write_faults);
            }
            Fault::Status(status) if is_open => {
                let completion = match status {
                    Status::PAGE_FAULT | Status::PAGE_FAULT_UNRESOLVED => {
                        read_fault(d, status, dice)
                    }
                    _ => ended_by(status, ErrorCode(0)),
                };
                end(Ending::Instead(completion), &mut counts.statuses);
            }
            Fault::Error(error) if is_open => {
                let completion = ended_by(Status::ANALYTICS_ERROR, error);
                end(Ending::Instead(completion), &mut counts.errors);
            }
            Fault::Flip if is_open && (writes || reads) => {
                end(Ending::Flipped(dice.roll()), &mut counts.flips);
            }
            Fault::EarlyAbort if is_open && d.opcode() == Opcode::COMPRESS => {
                let completion = ended_by(Status::ANALYTICS_ERROR, ErrorCode::EARLY_ABORT);
                end(Ending::Instead(completion), &mut counts.early_aborts);
            }
            Fault::Late { least, most } if on_time => {
                self.lateness.late = dice.between(least, most);
                counts.late += 1;
            }
            Fault::Never if on_time => {
                self.lateness.never = true;
                counts.never += 1;
            }
            Fault::Reorder if on_time => {
                self.lateness.overtaken = true;
                self.lateness.late = REORDER_NS;
                counts.reordered += 1;
            }
            Fault::Halt(time) if self.outage.is_none() => {
                self.outage = Some(Outage::Halt(time));
                counts.halts += 1;
            }
            Fault::Disable(time) if self.outage.is_none() => {
                self.outage = Some(Outage::Disable(time));
                counts.disables += 1;
            }
            _ => {}
        }
    }
}

/// How long a descriptor that is to be overtaken waits for another one.
const REORDER_NS: u64 = 100_000;

fn ended_by(status: Status, error: ErrorCode) -> Completion {
    Completion {
        status: status.0,
        error: error.0,
        ..Completion::default()
    }
}

/// A page fault on one of the pages that are read.
fn read_fault(d: &Descriptor, status: Status, dice: &mut Dice) -> Completion {
    let aecs = reads_aecs(d) && (d.src1_len == 0 || dice.roll() % 4 == 0);
    let (start, len) = if aecs {
        (crate::check::aecs_halves(d).0, d.src2_len)
    } else {
        (d.src1, d.src1_len)
    };
    let (first, last) = (start / PAGE, (start + u64::from(len.max(1)) - 1) / PAGE);
    Completion {
        fault_addr: dice.between(first, last) * PAGE,
        ..ended_by(status, ErrorCode(0))
    }
}

/// A portal where what is planned happens.
#[derive(Debug, Clone)]
pub struct Faulty {
    queue: TimedQueue,
    faults: Faults,
}

impl Faulty {
    /// A portal around this one. Several may share a plan: they draw from it in
    /// turn.
    #[must_use]
    pub fn new(queue: TimedQueue, faults: &Faults) -> Self {
        Self {
            queue,
            faults: faults.clone(),
        }
    }

    /// The portal inside.
    #[must_use]
    pub fn queue(&self) -> &TimedQueue {
        &self.queue
    }

    fn settle(&self, work: Work) {
        let fate = self.faults.fate(work.descriptor());
        let (queue, timeline) = (self.queue.queue(), self.queue.timeline());
        match fate.outage {
            None => {}
            Some(Outage::Halt(time)) => {
                queue.device().halt();
                if let Some(time) = time {
                    timeline.reset_later(queue.device(), time);
                }
            }
            Some(Outage::Disable(time)) => {
                queue.device().abort(queue.index());
                if let Some(time) = time {
                    timeline.enable_later(queue, time);
                }
            }
        }
        self.queue.settle(work, fate.ending, fate.lateness);
    }
}

impl Portal for Faulty {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        self.queue.pay();
        let queue = self.queue.queue();
        let opcode = Descriptor::from_bytes(descriptor).opcode();
        if queue.config().mode == Mode::Shared && self.faults.refuses(opcode) {
            return queue.refused(descriptor);
        }
        // SAFETY: the caller's promise is the same.
        match unsafe { queue.accept(descriptor) } {
            Ok(work) => {
                self.settle(work);
                Submission::Accepted
            }
            Err(_) => queue.refused(descriptor),
        }
    }
}
