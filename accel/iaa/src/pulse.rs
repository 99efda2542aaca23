//! Whether a queue that misbehaved answers again.

use crate::clock::{Clock, nanoseconds};
use crate::dma::Region;
use crate::single::{Failure, exchange};
use core::time::Duration;
use pagepress_abi::{CompletionRecord, Descriptor, Portal};

/// Bytes of the memory for questions.
const PAGE: usize = 4096;
/// Records in a page of memory.
const RECORDS: usize = PAGE / CompletionRecord::BYTES;

/// Asks a queue time and again whether it answers. A question that is given up
/// costs its record; a page has [`RECORDS`].
#[derive(Debug, Default)]
pub(crate) struct Pulse {
    region: Option<Region>,
    /// Records whose questions were given up: the device may still write them.
    open: usize,
}

impl Pulse {
    /// Submits a descriptor that names no memory and waits for its completion,
    /// not for that of any before it.
    pub(crate) fn ask(
        &mut self,
        portal: &dyn Portal,
        clock: &dyn Clock,
        patience: Duration,
        descriptor: Descriptor,
    ) -> Result<(), Failure> {
        let region = match self.region.take() {
            Some(region) if region.is_here() && self.open < RECORDS => region,
            old => {
                if let (Some(old), true) = (old, self.open > 0) {
                    old.leak();
                }
                self.open = 0;
                Region::new(PAGE).map_err(Failure::Memory)?
            }
        };
        let region = self.region.insert(region);
        let record = self.open * CompletionRecord::BYTES;
        let deadline = clock.now().saturating_add(nanoseconds(patience));
        let answer = exchange(portal, (region, record), clock, deadline, descriptor);
        self.open += usize::from(matches!(answer, Err(Failure::Silent(_))));
        answer.map(|_| ())
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        if let (true, Some(region)) = (self.open > 0, self.region.take()) {
            region.leak();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::HostClock;
    use crate::probe::tests::{PATIENCE, faulty};
    use crate::recipe::Base;

    /// A queue that never answers costs one page however often it is asked, and
    /// an answer that comes too late is none to the next question.
    #[test]
    fn a_pulse_asks_anew_each_time() {
        let mut pulse = Pulse::default();
        let portal = faulty("late:60ms@#1,never@#2,never@#3");
        let clock = HostClock::new(false);
        let mut ask = || pulse.ask(&portal, &clock, PATIENCE, Base::plain().drain());
        for _ in 0..3 {
            assert!(matches!(ask(), Err(Failure::Silent(_))));
        }
        portal.queue().timeline().advance(100_000_000);
        // A Drain waits for what never completes.
        assert!(matches!(ask(), Err(Failure::Silent(_))));
        portal.queue().queue().device().reset();
        portal.queue().timeline().advance(1);
        assert!(ask().is_ok() && ask().is_ok());
        assert_eq!(pulse.open, 4);
        assert_eq!(pulse.region.as_ref().map(Region::len), Some(PAGE));
    }
}
