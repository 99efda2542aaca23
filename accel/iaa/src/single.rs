//! One descriptor at a time, waited for: probes, and what is set up once.

#![expect(unsafe_code, reason = "descriptors name memory that the device writes")]

use crate::clock::{Clock, nanoseconds};
use crate::dma::Region;
use crate::sync::yield_now;
use core::fmt;
use core::time::Duration;
use pagepress_abi::{Completion, Descriptor, Portal, Status, Submission};
use std::io;

/// Tries to submit before a queue counts as busy.
const TRIES: u32 = 1000;

/// What went wrong.
#[derive(Debug)]
pub enum Failure {
    /// There is no memory for the probe.
    Memory(io::Error),
    /// The queue took nothing.
    Busy,
    /// The portal leads nowhere.
    Gone,
    /// Nothing came back in this time. The memory of the probe is given up,
    /// since the device may still write it.
    Silent(Duration),
    /// The device said no.
    Refused(Completion),
    /// The page that came back is another one.
    Wrong,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(error) => write!(f, "no memory to probe with: {error}"),
            Self::Busy => write!(
                f,
                "the queue took nothing in {TRIES} tries: full, or disabled"
            ),
            Self::Gone => f.write_str("the queue is gone"),
            Self::Silent(time) => write!(f, "no completion in {time:?}"),
            Self::Refused(completion) if completion.status() == Status::ANALYTICS_ERROR => {
                write!(f, "{}", completion.error())
            }
            Self::Refused(completion) => write!(f, "{}", completion.status()),
            Self::Wrong => f.write_str("the page that came back is another one"),
        }
    }
}

impl core::error::Error for Failure {}

/// A portal, and memory for what is asked of it. The first 64 bytes of the
/// memory are the completion record.
pub(crate) struct Single<'a> {
    portal: &'a dyn Portal,
    pub(crate) region: Region,
    clock: &'a dyn Clock,
    deadline: u64,
    patience: Duration,
}

impl<'a> Single<'a> {
    /// With `bytes` of memory; all that is asked is to be done within
    /// `patience`.
    pub(crate) fn new(
        portal: &'a dyn Portal,
        clock: &'a dyn Clock,
        patience: Duration,
        bytes: usize,
    ) -> Result<Self, Failure> {
        Ok(Self {
            portal,
            region: Region::new(bytes).map_err(Failure::Memory)?,
            clock,
            deadline: clock.now().saturating_add(nanoseconds(patience)),
            patience,
        })
    }

    /// Submits and waits. On a failure after which the device may still write,
    /// the region is leaked.
    pub(crate) fn run(self, descriptor: Descriptor) -> Result<(Self, Completion), Failure> {
        let answer = exchange(
            self.portal,
            (&self.region, 0),
            self.clock,
            self.deadline,
            descriptor,
        );
        match answer {
            Ok(completion) => Ok((self, completion)),
            Err(Failure::Silent(_)) => {
                let patience = self.patience;
                self.region.leak();
                Err(Failure::Silent(patience))
            }
            Err(failure) => Err(failure),
        }
    }
}

/// Submits a descriptor with its record at this place, and waits. All else that
/// it names lies in the region too, which stays mapped until it has completed:
/// after [`Failure::Silent`], for good.
pub(crate) fn exchange(
    portal: &dyn Portal,
    (region, record): (&Region, usize),
    clock: &dyn Clock,
    deadline: u64,
    mut descriptor: Descriptor,
) -> Result<Completion, Failure> {
    descriptor.completion = region.address(record);
    // SAFETY: no descriptor in flight names the record: each is waited for
    // here, and one that was given up keeps its record.
    unsafe { region.clear(record) };
    let bytes = descriptor.to_bytes();
    let start = clock.now();
    let mut tries = 0;
    loop {
        // SAFETY: as the caller sees to, all that it names lies in the region,
        // which stays mapped, or is only read.
        match unsafe { portal.submit(&bytes) } {
            Submission::Accepted => break,
            Submission::Gone => return Err(Failure::Gone),
            Submission::Retry if tries < TRIES => tries += 1,
            Submission::Retry => return Err(Failure::Busy),
        }
        yield_now();
    }
    let mut round = 0;
    while region.poll(record).is_none() {
        let now = clock.now();
        if now >= deadline {
            return Err(Failure::Silent(Duration::from_nanos(now - start)));
        }
        clock.wait(round, region.watched(record), deadline);
        round += 1;
    }
    // SAFETY: the status was seen, and nothing else names the record.
    let completion = unsafe { region.record(record) };
    if completion.status() == Status::SUCCESS {
        Ok(completion)
    } else {
        Err(Failure::Refused(completion))
    }
}
