//! One descriptor at a time, waited for: probes, and what is set up once.

#![expect(unsafe_code, reason = "descriptors name memory that the device writes")]

use crate::clock::{Clock, nanoseconds};
use crate::dma::Region;
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
    pub(crate) fn run(self, mut descriptor: Descriptor) -> Result<(Self, Completion), Failure> {
        descriptor.completion = self.region.address(0);
        // SAFETY: no descriptor is in flight: each is waited for here.
        unsafe { self.region.clear(0) };
        let bytes = descriptor.to_bytes();
        let mut tries = 0;
        loop {
            // SAFETY: all that these descriptors name lies in the region or
            // is only read,
            // which stays mapped until they have completed, or for good.
            match unsafe { self.portal.submit(&bytes) } {
                Submission::Accepted => break,
                Submission::Gone => return Err(Failure::Gone),
                Submission::Retry if tries < TRIES => tries += 1,
                Submission::Retry => return Err(Failure::Busy),
            }
            std::thread::yield_now();
        }
        let mut round = 0;
        while self.region.poll(0).is_none() {
            if self.clock.now() >= self.deadline {
                let patience = self.patience;
                self.region.leak();
                return Err(Failure::Silent(patience));
            }
            self.clock
                .wait(round, self.region.watched(0), self.deadline);
            round += 1;
        }
        // SAFETY: the status was seen, and nothing else names the record.
        let completion = unsafe { self.region.record(0) };
        if completion.status() == Status::SUCCESS {
            Ok((self, completion))
        } else {
            Err(Failure::Refused(completion))
        }
    }
}
