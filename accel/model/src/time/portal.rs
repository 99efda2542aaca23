//! Portals of devices that take time.

#![expect(unsafe_code, reason = "portals pass on the promise of who submits")]

use super::{Booking, Costs, Lateness, Timeline};
use crate::device::{Device, NotTaken, Queue};
use crate::profile::Mode;
use crate::work::{Ending, Work};
use pagepress_abi::{Portal, Submission};

/// A device on a timeline.
#[derive(Debug, Clone)]
pub struct TimedDevice {
    timeline: Timeline,
    device: Device,
    costs: Costs,
    lane: usize,
}

impl TimedDevice {
    pub(super) fn new(timeline: Timeline, device: Device, costs: Costs, lane: usize) -> Self {
        Self {
            timeline,
            device,
            costs,
            lane,
        }
    }

    /// The device.
    #[must_use]
    pub fn device(&self) -> &Device {
        &self.device
    }

    /// The portal of queue `index`.
    ///
    /// # Panics
    /// If there is no such queue.
    #[must_use]
    pub fn queue(&self, index: usize) -> TimedQueue {
        TimedQueue {
            queue: self.device.queue(index),
            device: self.clone(),
        }
    }
}

/// The portal of a queue whose device takes time.
#[derive(Debug, Clone)]
pub struct TimedQueue {
    queue: Queue,
    device: TimedDevice,
}

impl TimedQueue {
    /// The queue.
    #[must_use]
    pub fn queue(&self) -> &Queue {
        &self.queue
    }

    /// The timeline that its device is on.
    #[must_use]
    pub fn timeline(&self) -> &Timeline {
        &self.device.timeline
    }

    /// What operations cost here.
    #[must_use]
    pub fn costs(&self) -> &Costs {
        &self.device.costs
    }

    /// What a submission costs whoever submits, in virtual time; that it takes
    /// the host's own time is left as it is.
    pub fn pay(&self) {
        let cost = match self.queue.config().mode {
            Mode::Shared => self.device.costs.enqcmd,
            Mode::Dedicated => self.device.costs.movdir64b,
        };
        if self.device.timeline.is_virtual() {
            self.device.timeline.advance(cost);
        }
    }

    /// Has work that the queue took complete in its time, in this way.
    pub fn settle(&self, work: Work, ending: Ending, lateness: Lateness) {
        let timeline = &self.device.timeline;
        let booking = Booking {
            at: timeline.now(),
            costs: self.device.costs,
            lane: self.device.lane,
            ending,
            lateness,
        };
        timeline.book(work, booking);
    }
}

impl Portal for TimedQueue {
    unsafe fn submit(&self, descriptor: &[u8; 64]) -> Submission {
        self.pay();
        // SAFETY: the caller's promise is the same.
        match unsafe { self.queue.accept(descriptor) } {
            Ok(work) => {
                self.settle(work, Ending::Sound, Lateness::default());
                Submission::Accepted
            }
            Err(NotTaken::Busy) => self.queue.refused(descriptor),
        }
    }
}
