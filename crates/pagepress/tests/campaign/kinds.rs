//! What goes wrong, how often, and for whom.

use crate::run::TABLES;
use core::fmt;
use pagepress::iaa::{Format, Generation, Model, Options, Time, Verify};
use std::time::Duration;

/// How long a page may take, if the setting does not say otherwise. Longer than
/// 16 page requests of the slowest kind one after the other, which is what the
/// last of 128 descriptors may have to wait for on 8 engines.
pub(crate) const PATIENCE: Duration = Duration::from_millis(10);
/// Pages of a context in flight.
pub(crate) const IN_FLIGHT: usize = 8;
/// Entries of the one queue: more than 16 contexts use.
pub(crate) const ENTRIES: u16 = 128;

/// What a fault leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Leads {
    /// To nothing: the page is done, if late.
    Nowhere,
    /// To another try, and after three to software.
    ToPageFault,
    /// To another submission, and after three to software.
    ToBusy,
    /// To a timeout, each.
    ToTimeout,
    /// To a device error, each.
    ToDeviceError,
    /// To another try, and after three to a device error.
    ToDeviceErrorInTheEnd,
    /// To a mismatch, unless it makes no difference.
    ToMismatch,
    /// To a timeout of what is in flight, and to no room after that.
    ToOutage,
    /// To anything.
    Anywhere,
}

/// A kind of fault.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Kind {
    pub(crate) name: &'static str,
    /// As a plan has it.
    pub(crate) faults: &'static [&'static str],
    pub(crate) leads: Leads,
    pub(crate) block_on_fault: bool,
    /// Nanoseconds by which a fault delays what completes.
    pub(crate) delay: u64,
    /// Whether faults also meet what is decompressed. A wrong bit there goes
    /// unseen: nothing says what a stored page was.
    pub(crate) both_ways: bool,
}

const fn kind(name: &'static str, faults: &'static [&'static str], leads: Leads) -> Kind {
    Kind {
        name,
        faults,
        leads,
        block_on_fault: false,
        delay: 0,
        both_ways: true,
    }
}

const fn stall(name: &'static str, faults: &'static [&'static str]) -> Kind {
    Kind {
        block_on_fault: true,
        delay: 556_000,
        ..kind(name, faults, Leads::Nowhere)
    }
}

const fn flip(name: &'static str) -> Kind {
    Kind {
        both_ways: false,
        ..kind(name, &["flip"], Leads::ToMismatch)
    }
}

pub(crate) const FLIP_BY_DEVICE: &str = "flip, verified by the device";

const KINDS: [Kind; 26] = [
    kind("read fault", &["read-fault"], Leads::ToPageFault),
    kind("write fault", &["write-fault"], Leads::ToPageFault),
    stall("read stall", &["read-fault"]),
    stall("write stall", &["write-fault"]),
    kind("retry", &["retry"], Leads::ToBusy),
    kind("retry burst", &["retry:7"], Leads::ToBusy),
    Kind {
        delay: 5_000_000,
        ..kind("late", &["late:20us-5ms"], Leads::Nowhere)
    },
    Kind {
        delay: 40_000_000,
        ..kind("too late", &["late:15ms-40ms"], Leads::ToTimeout)
    },
    kind("never", &["never"], Leads::ToTimeout),
    Kind {
        delay: 200_000,
        ..kind("reorder", &["reorder"], Leads::Nowhere)
    },
    kind("halt", &["halt:3ms"], Leads::ToOutage),
    kind("disable", &["disable:3ms"], Leads::ToOutage),
    kind("long halt", &["halt:30ms"], Leads::ToOutage),
    kind("status 0x20", &["status:0x20"], Leads::ToDeviceError),
    kind("status 0x21", &["status:0x21"], Leads::ToDeviceError),
    kind("status 0x22", &["status:0x22"], Leads::ToDeviceError),
    kind("status 0x23", &["status:0x23"], Leads::ToDeviceError),
    kind("status 0x24", &["status:0x24"], Leads::ToDeviceError),
    kind("error 0x25", &["error:0x25"], Leads::ToDeviceErrorInTheEnd),
    kind("error 0x13", &["error:0x13"], Leads::ToDeviceError),
    kind("error 0x1d", &["error:0x1d"], Leads::ToDeviceError),
    flip(FLIP_BY_DEVICE),
    flip("flip, verified in software"),
    Kind {
        both_ways: false,
        ..kind("early abort", &["early-abort"], Leads::ToDeviceError)
    },
    Kind {
        delay: 5_000_000,
        ..kind(
            "all at once",
            &["read-fault", "retry:2", "late:20us-5ms", "error:0x25"],
            Leads::Anywhere,
        )
    },
    Kind {
        delay: 40_000_000,
        ..kind(
            "outages at once",
            &[
                "never",
                "late:15ms-40ms",
                "halt:3ms",
                "disable:3ms",
                "status:0x20",
            ],
            Leads::Anywhere,
        )
    },
];

/// One of so many descriptors.
const RATES: [u64; 4] = [1000, 100, 10, 2];
const THREADS: [usize; 4] = [2, 4, 8, 16];

/// One run.
#[derive(Debug, Clone)]
pub(crate) struct Setting {
    pub(crate) kind: Kind,
    pub(crate) rate: u64,
    pub(crate) threads: usize,
    pub(crate) generation: Generation,
    pub(crate) format: Format,
    pub(crate) dedicated: bool,
    pub(crate) verify: Verify,
    pub(crate) real_time: bool,
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gen2 = if self.generation == Generation::Two {
            2
        } else {
            1
        };
        let format = match self.format {
            Format::Fixed => "fixed",
            Format::Dynamic => "dynamic",
            _ => "canned",
        };
        let queue = if self.dedicated {
            "dedicated"
        } else {
            "shared"
        };
        let time = if self.real_time { ", real time" } else { "" };
        write!(
            f,
            "{} at 1/{}, {} threads, generation {gen2}, {format}, {queue}{time}",
            self.kind.name, self.rate, self.threads
        )
    }
}

impl Setting {
    pub(crate) fn is_canned(&self) -> bool {
        matches!(self.format, Format::Canned(_))
    }

    pub(crate) fn patience(&self) -> Duration {
        if self.real_time {
            // This thread may not run for a while.
            Duration::from_millis(20)
        } else {
            PATIENCE
        }
    }

    pub(crate) fn model(&self, seed: u64) -> Model {
        let mut plan = format!("seed:{seed}");
        for fault in self.kind.faults {
            plan += &format!(",{fault}/compress@1/{}", self.rate);
            if self.kind.both_ways {
                plan += &format!(",{fault}/decompress@1/{}", self.rate);
            }
        }
        let mut model = Model::default();
        model.generation = self.generation;
        model.entries = ENTRIES;
        model.dedicated = self.dedicated;
        model.block_on_fault = self.kind.block_on_fault;
        model.timed = true;
        model.faults = plan.parse().expect("a plan");
        model.watch = true;
        if self.real_time {
            model.time = Time::Real;
        }
        model
    }

    pub(crate) fn options(&self) -> Options {
        let mut options = Options::default();
        options.format = self.format.clone();
        options.verify = self.verify;
        options.in_flight = IN_FLIGHT;
        options.patience = self.patience();
        options
    }
}

/// All runs: every kind at every rate, by one thread and by several; what is
/// left to choose goes round.
pub(crate) fn settings() -> Vec<Setting> {
    let mut settings = Vec::new();
    let mut turn = 0;
    let mut add = |kind: Kind, rate, threads, real_time| {
        turn += 1;
        let format = match turn % 3 {
            0 => Format::Fixed,
            1 => Format::Dynamic,
            _ => Format::Canned(TABLES.clone()),
        };
        // ENQCMD is refused on shared queues only.
        let can_be_dedicated = kind.leads != Leads::ToBusy;
        settings.push(Setting {
            kind,
            rate,
            threads,
            generation: if turn / 3 % 2 == 0 {
                Generation::One
            } else {
                Generation::Two
            },
            format,
            dedicated: can_be_dedicated && turn / 2 % 2 == 0,
            verify: match (kind.leads, kind.name) {
                (Leads::ToMismatch, FLIP_BY_DEVICE) => Verify::ByDevice(1),
                (Leads::ToMismatch, _) => Verify::InSoftware(1),
                (Leads::Anywhere, _) => Verify::ByDevice(3),
                _ => Verify::Off,
            },
            real_time,
        });
    };
    for (k, kind) in KINDS.into_iter().enumerate() {
        for (r, rate) in RATES.into_iter().enumerate() {
            add(kind, rate, 1, false);
            add(kind, rate, THREADS[(k + r) % THREADS.len()], false);
        }
    }
    for (k, kind) in KINDS.into_iter().enumerate() {
        add(kind, RATES[1 + k % 2], THREADS[k % 3], true);
    }
    settings
}
