//! Devices that take time.
//!
//! [`Queue`] by itself is a portal at which everything is
//! done when `submit` returns. A [`Timeline`] gives its devices engines that are
//! busy for as long as an operation costs, and completes what it holds when it
//! is due. Its clock is either *virtual*, and moves when the client says so, or
//! *real*, and then a thread completes the work behind the client's back.
//!
//! | who waits | virtual | real |
//! |---|---|---|
//! | for the next completion | [`Timeline::step`] | polls the record |
//! | for some time | [`Timeline::advance`] | sleeps |
//!
//! In virtual time a client's own work costs nothing unless it says so, results
//! do not depend on the host's speed, and a deadline of a minute passes at once.
//! All times are nanoseconds, and all of them are modelled: the defaults are
//! what others have measured on devices and published.

mod costs;
mod lanes;
mod portal;
mod thread;

pub use costs::{Cost, Costs};
pub use portal::{TimedDevice, TimedQueue};

use crate::device::{Device, Queue};
use crate::work::{Done, Ending, Work};
use core::fmt;
use lanes::Lanes;
use pagepress_abi::Opcode;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// What is due when; of what is due at the same time, the first entered first.
type Key = (u64, u64);

/// A clock, and what devices will have done when. Clones are handles to the
/// same timeline; with the last one goes what has not completed.
#[derive(Clone)]
pub struct Timeline {
    agenda: Arc<Agenda>,
    /// Ends with the last handle, which is why it is not in `Agenda`.
    thread: Option<Arc<thread::Thread>>,
}

#[derive(Default)]
struct Agenda {
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    now: u64,
    entered: u64,
    due: BTreeMap<Key, Event>,
    /// What will never complete, kept because it holds its queue's entry.
    stuck: Vec<Done>,
    lanes: Vec<Lanes>,
}

enum Event {
    Complete(Box<Done>, Booking),
    /// The device leaves its halt.
    Reset(Device),
    /// The queue takes descriptors again.
    Enable(Queue),
}

impl Event {
    fn happen(self) {
        match self {
            Self::Complete(done, booking) => done.publish(&booking.ending),
            Self::Reset(device) => device.reset(),
            Self::Enable(queue) => queue.device().set_enabled(queue.index(), true),
        }
    }
}

/// When work completes, other than when its engine is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lateness {
    /// Nanoseconds that the engine waits, for a page for instance.
    pub stall: u64,
    /// Nanoseconds from the engine's end to the completion.
    pub late: u64,
    /// Not at all.
    pub never: bool,
    /// Right after the next one that the queue takes; if none is taken while
    /// `late` lasts, then.
    pub overtaken: bool,
}

impl Timeline {
    /// A clock that stands at 0 and moves when it is told to.
    #[must_use]
    pub fn in_virtual_time() -> Self {
        Self {
            agenda: Arc::default(),
            thread: None,
        }
    }

    /// A clock that goes, with a thread that completes what is due. What the
    /// thread computes takes the host's time: work is completed when it is due
    /// or when the thread gets to it, whichever is later.
    #[must_use]
    pub fn in_real_time() -> Self {
        let agenda = Arc::default();
        Self {
            thread: Some(Arc::new(thread::Thread::start(&agenda))),
            agenda,
        }
    }

    /// Puts a device on the timeline.
    #[must_use]
    pub fn device(&self, device: Device, costs: Costs) -> TimedDevice {
        let mut state = self.agenda.locked();
        let lane = state.lanes.len();
        state.lanes.push(Lanes::new(device.profile().engines));
        drop(state);
        TimedDevice::new(self.clone(), device, costs, lane)
    }

    /// Nanoseconds since the timeline was made.
    #[must_use]
    pub fn now(&self) -> u64 {
        match &self.thread {
            Some(thread) => thread.now(),
            None => self.agenda.locked().now,
        }
    }

    /// Completions and other things to come. What never completes is not among
    /// them.
    #[must_use]
    pub fn pending(&self) -> usize {
        let waiting = self.thread.as_ref().map_or(0, |thread| thread.waiting());
        self.agenda.locked().due.len() + waiting
    }

    /// Waits for what is due next, which has happened when this returns; returns
    /// whether there was anything. In real time the thread does that: this only
    /// lets it run.
    pub fn step(&self) -> bool {
        if self.thread.is_some() {
            std::thread::yield_now();
            return self.pending() > 0;
        }
        let mut state = self.agenda.locked();
        let Some((&(due, _), _)) = state.due.first_key_value() else {
            return false;
        };
        state.happen_until(due);
        true
    }

    /// Waits for what is due next, but not beyond a time.
    pub fn step_until(&self, until: u64) {
        if self.thread.is_some() {
            std::thread::yield_now();
            return;
        }
        let mut state = self.agenda.locked();
        let due = state.due.first_key_value().map(|(&(due, _), _)| due);
        let stop = due.map_or(until, |due| due.min(until));
        state.happen_until(stop);
        state.now = state.now.max(stop);
    }

    /// Lets this many nanoseconds pass, with all that is due in them.
    pub fn advance(&self, nanoseconds: u64) {
        if self.thread.is_some() {
            std::thread::sleep(Duration::from_nanos(nanoseconds));
            return;
        }
        let mut state = self.agenda.locked();
        let until = state.now.saturating_add(nanoseconds);
        state.happen_until(until);
        state.now = until;
    }

    /// Resets the device after this time.
    pub fn reset_later(&self, device: &Device, nanoseconds: u64) {
        self.enter_later(nanoseconds, Event::Reset(device.clone()));
    }

    /// Enables the queue after this time.
    pub fn enable_later(&self, queue: &Queue, nanoseconds: u64) {
        self.enter_later(nanoseconds, Event::Enable(queue.clone()));
    }

    /// Takes work off a queue's hands.
    fn book(&self, work: Work, booking: Booking) {
        if let Some(thread) = &self.thread {
            thread.send(work, booking);
            return;
        }
        let done = Box::new(work.run());
        let mut state = self.agenda.locked();
        state.schedule(done, booking);
        // What costs nothing is done at once.
        let now = state.now;
        state.happen_until(now);
    }

    fn is_virtual(&self) -> bool {
        self.thread.is_none()
    }

    fn enter_later(&self, nanoseconds: u64, event: Event) {
        let due = self.now().saturating_add(nanoseconds);
        self.agenda.locked().enter(due, event);
        self.wake();
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.wake();
        }
    }
}

impl Agenda {
    fn locked(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, due: u64, event: Event) {
        self.due.insert((due, self.entered), event);
        self.entered += 1;
    }

    /// All that is due until then. The lock is held meanwhile, so that two
    /// threads that wait see things happen in their order.
    fn happen_until(&mut self, until: u64) {
        // What a reset has made a queue forget holds its entry no longer.
        self.stuck.retain(|stuck| !stuck.work().is_gone());
        while let Some(entry) = self.due.first_entry() {
            let (due, _) = *entry.key();
            if due > until {
                break;
            }
            let event = entry.remove();
            self.now = self.now.max(due);
            let ends_an_outage = !matches!(event, Event::Complete(..));
            event.happen();
            if ends_an_outage {
                // Forgotten work holds no entries: a queue that was full of it
                // takes descriptors again.
                self.stuck.retain(|stuck| !stuck.work().is_gone());
            }
        }
    }

    /// Enters work that is done when its engine would have completed it. A
    /// Drain waits for all that its queue took before it.
    fn schedule(&mut self, done: Box<Done>, booking: Booking) {
        self.stuck.retain(|stuck| !stuck.work().is_gone());
        let opcode = done.work().descriptor().opcode();
        let queue = done.work().queue().clone();
        let is_same = |other: &Done| other.work().queue().is(&queue);
        let drain = opcode == Opcode::DRAIN;
        let lateness = booking.lateness;
        if lateness.never || (drain && self.stuck.iter().any(is_same)) {
            self.stuck.push(*done);
            return;
        }
        let lanes = &mut self.lanes[booking.lane];
        let bytes = done.bytes();
        let end = lanes.run(booking.at, &booking.costs, opcode, bytes, lateness.stall);
        let mut due = end.saturating_add(lateness.late);
        let of_queue = |event: &Event| matches!(event, Event::Complete(other, _) if is_same(other));
        if drain {
            let last = self.due.iter().rev().find(|(_, event)| of_queue(event));
            due = due.max(last.map_or(0, |(key, _)| key.0));
            // Nothing waits for a later one to overtake it any more.
            for event in self.due.values_mut() {
                match event {
                    Event::Complete(other, booking) if is_same(other) => {
                        booking.lateness.overtaken = false;
                    }
                    _ => {}
                }
            }
        }
        self.enter(due, Event::Complete(done, booking));
        self.overtake(due, &queue);
    }

    /// Has what was to be overtaken complete after this queue's latest work,
    /// which is due then.
    fn overtake(&mut self, due: u64, queue: &Queue) {
        let latest = self.entered - 1;
        let waits = |key: &Key, event: &Event| match event {
            Event::Complete(done, booking) => {
                key.1 != latest && booking.lateness.overtaken && done.work().queue().is(queue)
            }
            _ => false,
        };
        let waiting: Vec<Key> = self
            .due
            .iter()
            .filter_map(|(key, event)| waits(key, event).then_some(*key))
            .collect();
        for key in waiting {
            if let Some(Event::Complete(done, mut booking)) = self.due.remove(&key) {
                booking.lateness.overtaken = false;
                self.enter(due.saturating_add(1), Event::Complete(done, booking));
            }
        }
    }
}

/// What an agenda needs to know of work, besides the work.
#[derive(Debug, Clone, Copy)]
struct Booking {
    /// When the queue took it.
    at: u64,
    costs: Costs,
    lane: usize,
    ending: Ending,
    lateness: Lateness,
}

impl fmt::Debug for Timeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timeline")
            .field("now", &self.now())
            .field("pending", &self.pending())
            .finish_non_exhaustive()
    }
}
