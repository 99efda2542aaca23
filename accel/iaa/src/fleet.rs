//! The queues that a pool submits to: which is next, and which is put aside.

use crate::clock::Clock;
use crate::probe::Failure;
use crate::pulse::Pulse;
use crate::recipe::Base;
use crate::sync::{AtomicBool, AtomicU32, AtomicU64, Mutex};
use core::sync::atomic::Ordering;
use core::time::Duration;
use pagepress_abi::Portal;
use std::sync::{Arc, PoisonError};

/// Failures in a row after which a queue is put aside.
const STRIKES: u32 = 3;
/// Nanoseconds for which it is, the first time; twice as long each time that it
/// does not answer then.
const ASIDE: u64 = 10_000_000;
/// The longest, in nanoseconds.
const ASIDE_MOST: u64 = 10_000_000_000;
/// What a queue has to answer a NOOP in, to be taken up again.
const ANSWER_WITHIN: Duration = Duration::from_millis(1);

/// What is known of a queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Its name, for people: `iax1/wq1.0`.
    pub name: String,
    /// The package that its device is a part of.
    pub package: Option<u32>,
    /// Entries, if they are for whoever submits to count: of a dedicated queue.
    pub credits: Option<u32>,
    /// What every descriptor may ask for.
    pub base: Base,
    /// Whether the device is of generation 2, which has another AECS.
    pub gen2: bool,
    /// Whether it makes codes and headers itself.
    pub header_gen: bool,
    /// Whether the queue takes Compress.
    pub compresses: bool,
    /// Whether it takes Decompress.
    pub decompresses: bool,
}

/// A queue, and how it fares.
#[derive(Debug)]
pub struct Link {
    facts: Facts,
    portal: Box<dyn Portal + 'static>,
    in_flight: AtomicU32,
    /// Descriptors that did not complete in time, in the lower half; in the
    /// upper half, how often the queue was drained of such.
    lost: AtomicU64,
    pulse: Mutex<Pulse>,
    /// Failures since the last success.
    strikes: AtomicU32,
    /// Whether it is put aside; looked at for each page, so by itself.
    is_aside: AtomicBool,
    /// Until when, at least.
    aside_until: AtomicU64,
    aside_for: AtomicU64,
    /// Times that it was put aside, and taken up again.
    put_aside: AtomicU64,
    taken_up: AtomicU64,
}

impl Link {
    fn new(facts: Facts, portal: Box<dyn Portal>) -> Self {
        Self {
            facts,
            portal,
            in_flight: AtomicU32::new(0),
            lost: AtomicU64::new(0),
            pulse: Mutex::default(),
            strikes: AtomicU32::new(0),
            is_aside: AtomicBool::new(false),
            aside_until: AtomicU64::new(0),
            aside_for: AtomicU64::new(ASIDE),
            put_aside: AtomicU64::new(0),
            taken_up: AtomicU64::new(0),
        }
    }

    /// What is known of it.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    pub(crate) fn portal(&self) -> &dyn Portal {
        &*self.portal
    }

    /// Whether it is put aside.
    #[must_use]
    pub fn is_aside(&self) -> bool {
        self.is_aside.load(Ordering::Relaxed)
    }

    /// How often it was put aside, and taken up again.
    #[must_use]
    pub fn absences(&self) -> (u64, u64) {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        (get(&self.put_aside), get(&self.taken_up))
    }

    /// Takes up to this many entries of a queue whose entries we count; how
    /// many there were.
    #[inline]
    pub(crate) fn take_credits(&self, wanted: u32) -> u32 {
        let Some(entries) = self.facts.credits else {
            return wanted;
        };
        let mut got = 0;
        let take = |in_flight: u32| {
            got = wanted.min(entries.saturating_sub(in_flight));
            (got > 0).then_some(in_flight + got)
        };
        let _ = self
            .in_flight
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, take);
        got
    }

    #[inline]
    pub(crate) fn return_credits(&self, count: u32) {
        if self.facts.credits.is_some() {
            self.in_flight.fetch_sub(count, Ordering::Relaxed);
        }
    }

    /// A descriptor did not complete in time. A queue that has no entry left but
    /// those of such is put aside, so that it is asked for them. The number is
    /// for [`is_drained_since`](Self::is_drained_since) and
    /// [`found`](Self::found).
    pub(crate) fn lost(&self, clock: &dyn Clock) -> u32 {
        let lost = self.lost.fetch_add(1, Ordering::Relaxed) + 1;
        if self.is_spent(lost) {
            self.put_aside(clock);
        }
        (lost >> 32) as u32
    }

    /// Whether every entry is held by a descriptor that was lost.
    fn is_spent(&self, lost: u64) -> bool {
        let entries = self.facts.credits;
        entries.is_some_and(|entries| lost as u32 >= entries)
    }

    /// Whether all descriptors lost by then have completed, or never will.
    pub(crate) fn is_drained_since(&self, drained: u32) -> bool {
        (self.lost.load(Ordering::Acquire) >> 32) as u32 != drained
    }

    /// A descriptor that was lost has completed after all.
    pub(crate) fn found(&self, drained: u32) {
        // If the queue was drained in between, that is accounted for.
        let found =
            |lost: u64| ((lost >> 32) as u32 == drained && lost as u32 > 0).then(|| lost - 1);
        let update = self
            .lost
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, found);
        if update.is_ok() {
            self.return_credits(1);
        }
    }

    /// The queue was drained after these were lost. Whether no more was lost
    /// meanwhile.
    fn drained(&self, seen: u64) -> bool {
        let none_lost = ((seen >> 32) + 1) << 32;
        let swap = self
            .lost
            .compare_exchange(seen, none_lost, Ordering::AcqRel, Ordering::Relaxed);
        if swap.is_ok() {
            self.return_credits(seen as u32);
        }
        swap.is_ok()
    }

    #[inline]
    pub(crate) fn succeeded(&self) {
        if self.strikes.load(Ordering::Relaxed) != 0 {
            self.strikes.store(0, Ordering::Relaxed);
        }
    }

    /// Something went wrong that is the queue's fault.
    pub(crate) fn failed(&self, clock: &dyn Clock) {
        if self.strikes.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES {
            self.put_aside(clock);
        }
    }

    /// Takes it out of use for a while.
    pub(crate) fn put_aside(&self, clock: &dyn Clock) {
        let time = self.aside_for.load(Ordering::Relaxed);
        let until = clock.now().saturating_add(time);
        self.aside_until.store(until, Ordering::Relaxed);
        if !self.is_aside.swap(true, Ordering::Release) {
            self.put_aside.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Asks a queue that is aside, once its time has come, whether it answers.
    /// One caller asks; the others go on without it.
    #[cold]
    fn is_back(&self, clock: &dyn Clock) -> bool {
        let until = self.aside_until.load(Ordering::Relaxed);
        let now = clock.now();
        if now < until {
            return false;
        }
        let time = self.aside_for.load(Ordering::Relaxed);
        let later = now.saturating_add(time);
        let claim =
            self.aside_until
                .compare_exchange(until, later, Ordering::Relaxed, Ordering::Relaxed);
        if claim.is_err() {
            return false;
        }
        if !self.answers(clock) {
            let longer = (2 * time).min(ASIDE_MOST);
            self.aside_for.store(longer, Ordering::Relaxed);
            return false;
        }
        self.strikes.store(0, Ordering::Relaxed);
        self.aside_for.store(ASIDE, Ordering::Relaxed);
        self.taken_up.fetch_add(1, Ordering::Relaxed);
        // Whoever lost the last entry meanwhile may have put it aside just
        // before; nobody would ask for the entries if it was not.
        self.is_aside.swap(false, Ordering::Acquire);
        if self.is_spent(self.lost.load(Ordering::Relaxed)) {
            self.put_aside(clock);
            return false;
        }
        true
    }

    /// Asks the queue for a completion, and for what was lost.
    fn answers(&self, clock: &dyn Clock) -> bool {
        let mut pulse = self.pulse.lock().unwrap_or_else(PoisonError::into_inner);
        let mut ask = |descriptor| pulse.ask(self.portal(), clock, ANSWER_WITHIN, descriptor);
        let lost = self.lost.load(Ordering::Relaxed);
        if lost as u32 == 0 {
            return ask(self.facts.base.noop()).is_ok();
        }
        // Completes after all that the queue had taken before, and a queue that
        // was reset holds nothing.
        match ask(self.facts.base.drain()) {
            Ok(()) => self.drained(lost),
            // Queues may be configured to take no Drain.
            Err(Failure::Refused(_)) => ask(self.facts.base.noop()).is_ok(),
            Err(_) => false,
        }
    }

    /// Whether it may be submitted to.
    #[inline]
    pub(crate) fn is_usable(&self, clock: &dyn Clock) -> bool {
        !self.is_aside.load(Ordering::Relaxed) || self.is_back(clock)
    }
}

/// All queues that contexts share.
#[derive(Debug)]
pub struct Fleet {
    links: Box<[Link]>,
    clock: Arc<dyn Clock>,
}

impl Fleet {
    /// A fleet of these queues.
    #[must_use]
    pub fn new(queues: Vec<(Facts, Box<dyn Portal>)>, clock: Arc<dyn Clock>) -> Self {
        let link = |(facts, portal)| Link::new(facts, portal);
        Self {
            links: queues.into_iter().map(link).collect(),
            clock,
        }
    }

    /// The queues.
    #[must_use]
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &*self.clock
    }
}

/// The order in which one context asks queues.
#[derive(Debug)]
pub(crate) struct Routes {
    /// Of the own package, in turn.
    compress: Tiers,
    /// Of the own package, the own one first.
    decompress: Tiers,
    turn: u32,
    /// Where this context's own queue is.
    home: u32,
}

/// Queues in the order of their packages: near ones, then the others.
#[derive(Debug)]
struct Tiers {
    order: Box<[u16]>,
    near: u16,
}

impl Tiers {
    fn new(fleet: &Fleet, package: Option<u32>, of: impl Fn(&Facts) -> bool) -> Self {
        let is_near = |link: &Link| package.is_none() || link.facts.package == package;
        let tier = |near: bool| {
            let links = fleet.links.iter().zip(0..);
            let fits = |(link, _): &(&Link, u16)| of(&link.facts) && is_near(link) == near;
            links.filter(fits).map(|(_, i)| i).collect::<Vec<u16>>()
        };
        let (near, far) = (tier(true), tier(false));
        Self {
            near: near.len() as u16,
            order: [near, far].concat().into(),
        }
    }

    /// The first usable queue from place `turn` on, near ones first.
    #[inline]
    fn pick(&self, fleet: &Fleet, turn: usize) -> Option<u16> {
        let (near, far) = self.order.split_at(usize::from(self.near));
        [near, far].into_iter().find_map(|tier| {
            (0..tier.len())
                .map(|i| tier[(turn + i) % tier.len()])
                .find(|&link| fleet.links[usize::from(link)].is_usable(fleet.clock()))
        })
    }
}

impl Routes {
    pub(crate) fn new(fleet: &Fleet, package: Option<u32>, cpu: usize) -> Self {
        Self {
            compress: Tiers::new(fleet, package, |facts| facts.compresses),
            decompress: Tiers::new(fleet, package, |facts| facts.decompresses),
            turn: cpu as u32,
            home: cpu as u32,
        }
    }

    /// Whether any queue may be submitted to.
    pub(crate) fn is_any_usable(&self, fleet: &Fleet) -> bool {
        let mut tiers = [&self.compress, &self.decompress].into_iter();
        tiers.any(|tiers| tiers.pick(fleet, 0).is_some())
    }

    /// How many queues of the own package compress.
    pub(crate) fn near_compressors(&self) -> usize {
        usize::from(self.compress.near).max(1)
    }

    /// The next queue to compress on.
    #[inline]
    pub(crate) fn for_compress(&mut self, fleet: &Fleet) -> Option<u16> {
        self.turn = self.turn.wrapping_add(1);
        self.compress.pick(fleet, self.turn as usize)
    }

    /// The queue to decompress on: always the same, while it is usable and
    /// takes more.
    #[inline]
    pub(crate) fn for_decompress(&self, fleet: &Fleet, tried: u8) -> Option<u16> {
        let turn = self.home as usize + usize::from(tried);
        self.decompress.pick(fleet, turn)
    }
}
