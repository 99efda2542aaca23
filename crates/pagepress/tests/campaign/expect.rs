//! What must come of a setting, derived from how the library answers each
//! fault.

use crate::kinds::{IN_FLIGHT, Leads, PATIENCE, Setting};
use crate::run::Seen;
use core::cmp::Ordering;
use pagepress::iaa::{Format, Modelled, Verify};
use pagepress::{FallbackReason as Reason, Pool};

/// Tries of a page before software does it: faults or refusals.
const TRIES: u64 = 3;
/// Nanoseconds that an operation takes at most, on 8 engines with 8 pages in
/// flight: its own 3.3 us, and 8 pages through the device's memory.
const OPERATION: u64 = 3_300 + 8 * 1_100;
/// Nanoseconds of one submission.
const SUBMISSION: u64 = 190;
/// Nanoseconds between two questions to a queue that is put aside, at least.
const BETWEEN_PROBES: u64 = 10_000_000;
/// Nanoseconds of such questions: a NOOP and a Drain, each within 1 ms, and up
/// to 1000 tries to submit it.
const PROBES: u64 = 2 * (1_000_000 + 1_001 * SUBMISSION);

/// Bytes of a question's memory.
const PAGE: u64 = 4096;
/// Bytes of a context that devices write, at most: pages, codes, records.
const CONTEXT: u64 = IN_FLIGHT as u64 * (4096 + 2048 + 64);

/// The virtual time of one call on a pool that nobody else uses.
pub(crate) struct Clock<'a> {
    setting: &'a Setting,
    pool: &'a Pool,
    modelled: &'a Modelled,
    start: u64,
    attempts: u64,
    timeouts: u64,
}

impl<'a> Clock<'a> {
    pub(crate) fn start(setting: &'a Setting, pool: &'a Pool, modelled: &'a Modelled) -> Self {
        let stats = &pool.device_stats()[0];
        Self {
            setting,
            pool,
            modelled,
            start: modelled.now(),
            attempts: stats.submitted + stats.refused,
            timeouts: stats.timeouts,
        }
    }

    /// Whether the call of so many pages took longer than it may.
    ///
    /// Time passes while somebody submits, while something flies, and while a
    /// queue that is put aside is asked whether it is back. What flies and
    /// completes does so within an operation and the fault's delay; what does
    /// not, is given up after the patience, and ends its page; so is what finds
    /// no room. So pages that are all under way at once share one patience, and
    /// other ones have one for each timeout at most.
    pub(crate) fn stop(self, pages: usize) -> Option<String> {
        let took = self.modelled.now() - self.start;
        let stats = &self.pool.device_stats()[0];
        let attempts = stats.submitted + stats.refused - self.attempts;
        let timeouts = stats.timeouts - self.timeouts;
        let patience = PATIENCE.as_nanos() as u64;
        let waits = match self.setting.kind.leads {
            // Some may wait for room first, in each of at most three passes.
            Leads::ToOutage | Leads::Anywhere if pages <= IN_FLIGHT => timeouts + 3,
            Leads::ToOutage | Leads::Anywhere => timeouts + 3 * pages as u64,
            // With no slot lost before, all are under way at once.
            _ if pages <= IN_FLIGHT && self.timeouts == 0 => timeouts.min(1),
            _ => timeouts,
        };
        let flight = OPERATION + self.setting.kind.delay;
        let busy = attempts * (SUBMISSION + flight.min(patience)) + waits * patience;
        let probes = (took / BETWEEN_PROBES + 1) * PROBES;
        let most = busy + probes;
        (took > most).then(|| format!("a call of {pages} pages took {took} ns of {most}"))
    }
}

/// What is wrong.
pub(crate) fn check(setting: &Setting, seen: &Seen) -> Vec<String> {
    let mut checks = Checks {
        wrong: seen.problems.clone(),
    };
    checks.sums(seen);
    checks.devices(setting, seen);
    if !setting.real_time {
        checks.reasons(setting, seen);
        checks.faults(setting, seen);
        checks.leftovers(setting, seen);
    }
    checks.wrong
}

struct Checks {
    wrong: Vec<String>,
}

impl Checks {
    fn that(&mut self, left: (&str, u64), is: &[Ordering], right: (&str, u64)) {
        if !is.contains(&left.1.cmp(&right.1)) {
            self.wrong.push(format!(
                "{} {} against {} {}",
                left.0, left.1, right.0, right.1
            ));
        }
    }

    fn same(&mut self, left: (&str, u64), right: (&str, u64)) {
        self.that(left, &[Ordering::Equal], right);
    }

    fn at_most(&mut self, left: (&str, u64), right: (&str, u64)) {
        self.that(left, &[Ordering::Less, Ordering::Equal], right);
    }

    /// Every page is counted once, and software's pages are those it stood in
    /// for (and those that needed nobody).
    fn sums(&mut self, seen: &Seen) {
        let (into, back) = (&seen.compress, &seen.decompress);
        self.same(("pages back", back.pages()), ("pages", into.pages()));
        self.same(
            ("failed", into.failed_pages() + back.failed_pages()),
            ("none", 0),
        );
        for report in [into, back] {
            self.same(
                ("modelled", report.modelled_pages()),
                ("hardware", report.hardware_pages()),
            );
        }
        let fallbacks = |report: &pagepress::Report| {
            Reason::ALL
                .iter()
                .map(|&reason| report.fallbacks(reason))
                .sum::<u64>()
        };
        self.same(
            ("software", into.software_pages()),
            ("fallbacks", fallbacks(into)),
        );
        self.same(
            ("software", back.software_pages()),
            (
                "fallbacks and raw",
                fallbacks(back) + back.incompressible_pages(),
            ),
        );
        self.same(
            ("raw pages", back.incompressible_pages()),
            ("incompressible ones", into.incompressible_pages()),
        );
        self.at_most(
            ("told as device's", seen.by_device),
            ("device's", into.hardware_pages()),
        );
    }

    /// Every descriptor completes or times out; one that does both, in that it
    /// comes too late, counts as both.
    fn devices(&mut self, setting: &Setting, seen: &Seen) {
        self.at_most(
            ("submitted", seen.submitted),
            ("completed and timed out", seen.completed + seen.timeouts),
        );
        self.at_most(("completed", seen.completed), ("submitted", seen.submitted));
        self.same(
            ("fallbacks for a timeout", seen.fallbacks(Reason::Timeout)),
            ("timeouts", seen.timeouts),
        );
        if setting.verify == Verify::ByDevice(1) {
            self.same(
                ("fallbacks for a mismatch", seen.fallbacks(Reason::Mismatch)),
                ("mismatches", seen.mismatches),
            );
        }
        self.same(("violations", seen.violations), ("none", 0));
        self.same(("dropped", seen.dropped), ("none", 0));
        self.same(("errors in SWERROR", seen.software_errors), ("none", 0));
        if !setting.dedicated {
            // The rest is questions to queues that were put aside.
            self.at_most(("submitted", seen.submitted), ("accepted", seen.accepted));
            if seen.put_aside == 0 {
                self.same(("submitted", seen.submitted), ("accepted", seen.accepted));
            }
        }
    }

    /// Nothing else happened than what this kind of fault leads to.
    fn reasons(&mut self, setting: &Setting, seen: &Seen) {
        let expected: &[Reason] = match setting.kind.leads {
            Leads::Nowhere => &[],
            Leads::ToPageFault => &[Reason::PageFault],
            Leads::ToBusy => &[Reason::Busy],
            Leads::ToTimeout => &[Reason::Timeout, Reason::DeviceGone, Reason::Busy],
            Leads::ToDeviceError | Leads::ToDeviceErrorInTheEnd => {
                &[Reason::DeviceError, Reason::DeviceGone]
            }
            // A wrong bit in a histogram makes codes that lack a symbol.
            Leads::ToMismatch => &[Reason::Mismatch, Reason::DeviceError, Reason::DeviceGone],
            Leads::ToOutage => &[Reason::Timeout, Reason::DeviceGone, Reason::Busy],
            Leads::Anywhere => return,
        };
        for reason in Reason::ALL {
            if !expected.contains(&reason) {
                self.same((reason.name(), seen.fallbacks(reason)), ("none", 0));
            }
        }
        // A queue is only put aside for what it did.
        if seen.put_aside == 0 && seen.timeouts < IN_FLIGHT as u64 {
            self.same(
                (
                    "fallbacks without a queue",
                    seen.fallbacks(Reason::DeviceGone),
                ),
                ("none", 0),
            );
        }
    }

    /// Fallbacks and faults, one against the other.
    fn faults(&mut self, setting: &Setting, seen: &Seen) {
        let fallbacks = |reason| seen.fallbacks(reason);
        let done = seen.compress.hardware_pages() + seen.decompress.hardware_pages();
        // A fault of a page that was tried again leaves a trace in the pool's
        // counts for the queue.
        if setting.kind.leads != Leads::Anywhere {
            self.same(
                ("page faults told", seen.told_page_faults),
                ("page faults", seen.page_faults),
            );
        }
        match setting.kind.leads {
            Leads::Nowhere | Leads::Anywhere => {}
            // The time until it is given up starts when somebody waits for it, and
            // other threads let time pass before that.
            Leads::ToTimeout if setting.kind.delay > 0 && setting.threads > 1 => {
                self.at_most(
                    ("timeouts", fallbacks(Reason::Timeout)),
                    ("faults", seen.faults),
                );
            }
            Leads::ToTimeout => {
                self.same(
                    ("timeouts", fallbacks(Reason::Timeout)),
                    ("faults", seen.faults),
                );
            }
            Leads::ToDeviceError => {
                self.same(
                    ("device errors", fallbacks(Reason::DeviceError)),
                    ("faults", seen.faults),
                );
            }
            Leads::ToPageFault | Leads::ToDeviceErrorInTheEnd => {
                let reason = if setting.kind.leads == Leads::ToPageFault {
                    Reason::PageFault
                } else {
                    self.same(("errors told", seen.errors), ("faults", seen.faults));
                    Reason::DeviceError
                };
                // A page that is given up has met three, any other at most two.
                let given_up = fallbacks(reason);
                self.at_most(
                    ("three for each given up", TRIES * given_up),
                    ("faults", seen.faults),
                );
                self.at_most(
                    ("faults", seen.faults),
                    ("what pages can meet", TRIES * given_up + (TRIES - 1) * done),
                );
            }
            Leads::ToBusy => {
                self.same(("refused", seen.refused), ("faults", seen.faults));
                // One refusal holds up a burst of all pages in flight.
                self.at_most(
                    ("three for each given up", TRIES * fallbacks(Reason::Busy)),
                    ("refusals of pages", seen.faults * IN_FLIGHT as u64),
                );
            }
            Leads::ToMismatch => {
                // A wrong bit need not change what comes out.
                let found = fallbacks(Reason::Mismatch) + fallbacks(Reason::DeviceError);
                self.at_most(("found", found), ("faults", seen.faults));
                // In a histogram it only makes other codes.
                let in_one_pass = !matches!(setting.format, Format::Dynamic);
                if in_one_pass && seen.faults > 20 {
                    self.at_most(("half of the faults", seen.faults / 2), ("found", found));
                }
            }
            Leads::ToOutage => {
                if !setting.dedicated {
                    // The rest of what was abandoned are questions.
                    let questions = seen.accepted - seen.submitted;
                    self.at_most(("timeouts", seen.timeouts), ("abandoned", seen.abandoned));
                    self.at_most(
                        ("abandoned", seen.abandoned),
                        ("timeouts and questions", seen.timeouts + questions),
                    );
                }
            }
        }
    }

    /// What is left when all is over.
    fn leftovers(&mut self, setting: &Setting, seen: &Seen) {
        // What queues were asked while they were put aside, and may not have
        // answered: a Drain waits for all that is stuck, and each question has
        // a page of memory, which is given up with it.
        // What was posted to a dedicated queue while it was closed was submitted
        // and not accepted.
        let questions = (seen.accepted + seen.ignored).saturating_sub(seen.submitted);
        let outage = matches!(setting.kind.leads, Leads::ToOutage | Leads::Anywhere);
        let most = seen.stuck + questions;
        self.at_most(("occupancy", seen.occupancy), ("stuck", most));
        if !outage {
            // What an outage ended holds nothing.
            self.at_most(("stuck", seen.stuck), ("occupancy", seen.occupancy));
        }
        self.same(("open", seen.open), ("occupancy", seen.occupancy));
        if !outage && seen.stuck == 0 {
            // Where more threads call than there are CPUs, contexts come and go,
            // and one may go while a slot of its is lost.
            let lanes = if setting.threads > 1 {
                seen.timeouts
            } else {
                0
            };
            let most = PAGE * questions + CONTEXT * lanes;
            self.at_most(("leaked", seen.leaked), ("what may be", most));
        }
        if seen.timeouts == 0 {
            self.same(("changed sources", seen.changed_sources), ("none", 0));
        }
    }
}
