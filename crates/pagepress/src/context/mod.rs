//! Contexts: one per CPU, made with the pool or on a late CPU's first use,
//! freed with the pool and never before.
//!
//! A CPU's slot is its context's lock, and the lock is all there is to a
//! context's life: whoever holds it makes the context, uses it, or finds that
//! there is none; only the pool's end takes it out again. The current CPU is a
//! hint for which slot to try. A task that migrates, or whose CPU goes offline,
//! keeps the lock it has.

#[cfg(test)]
mod rig;
#[cfg(all(test, not(loom)))]
mod tests;
#[cfg(all(test, loom))]
mod under_loom;

use crate::compressor::{Compressor, ContextMemory, Provider};
use crate::cpus::{self, CpuSet, Cpus};
use crate::error::Error;
use crate::report::{Report, Stats, Totals};
use crate::sync::{
    AtomicU64, AtomicUsize, HELD, Mutex, MutexGuard, Ordering, Wait, lock_soon, try_lock, yield_now,
};
use core::cell::Cell;
use core::ops::{Deref, DerefMut};
use core::time::Duration;
use crossbeam_utils::CachePadded;

/// Spare contexts to each CPU's that may be in use without anyone having waited,
/// and that are kept for the next time. Whoever finds all contexts of n CPUs busy
/// runs itself, so one of their holders does not: waiting for it is waiting for the
/// scheduler. With 64 threads on two CPUs, 16 spares do (`benches/README.md`).
const SPARES_PER_CPU: usize = if cfg!(loom) { 1 } else { 8 };

/// How long a call waits, yielding, while these are busy too, before it takes one
/// more.
const PATIENCE: Duration = Duration::from_millis(10);

type Boxed = Box<dyn Compressor>;

/// A possible CPU's place.
#[derive(Default)]
struct Slot {
    /// The CPU's context, once there is one.
    context: Mutex<Option<Boxed>>,
    totals: CallTotals,
    /// What the context holds, to be read while it is used.
    memory: [AtomicUsize; 3],
}

impl Slot {
    fn memory(&self) -> ContextMemory {
        let [dst_buffers, codec_state, rest] =
            core::array::from_fn(|part| self.memory[part].load(Ordering::Relaxed));
        ContextMemory {
            dst_buffers,
            codec_state,
            rest,
        }
    }

    fn set_memory(&self, memory: ContextMemory) {
        let parts = [memory.dst_buffers, memory.codec_state, memory.rest];
        for (part, bytes) in self.memory.iter().zip(parts) {
            part.store(bytes, Ordering::Relaxed);
        }
    }
}

/// What was done with one context, both ways.
#[derive(Debug, Default)]
pub(crate) struct CallTotals {
    pub(crate) compress: Totals,
    pub(crate) decompress: Totals,
}

/// All contexts of a pool.
pub(crate) struct Contexts {
    /// One slot per possible CPU, by Linux' number.
    slots: Box<[CachePadded<Slot>]>,
    /// The CPUs that have a context.
    made: CpuSet,
    /// Late CPUs whose context could not be made, and why.
    failed: CpuSet,
    failures: Mutex<Vec<Error>>,
    /// Contexts of no CPU, for calls that find all others busy; here are those
    /// that nobody uses just now. See [`Contexts::spare`].
    spares: Mutex<Vec<Boxed>>,
    /// The most that are kept, and that are used by calls that have not waited.
    spares_most: usize,
    spares_in_use: AtomicUsize,
    spare_totals: CallTotals,
    neighbour_calls: AtomicU64,
    spare_calls: AtomicU64,
    late_contexts: AtomicU64,
    waits: AtomicU64,
    /// In nanoseconds.
    waited: AtomicU64,
    /// Last, so that it outlives what it has made.
    provider: Box<dyn Provider>,
}

impl Contexts {
    /// Makes the contexts of all CPUs online.
    ///
    /// # Errors
    /// [`Error::Context`] for the first that cannot be made; those made before
    /// it are freed.
    pub(crate) fn new(provider: Box<dyn Provider>, cpus: &Cpus) -> Result<Self, Error> {
        let spares_most = SPARES_PER_CPU * cpus.online.len();
        let contexts = Self {
            slots: (0..cpus.possible).map(|_| CachePadded::default()).collect(),
            made: CpuSet::new(cpus.possible),
            failed: CpuSet::new(cpus.possible),
            failures: Mutex::default(),
            // With room for all, so that giving one back allocates nothing.
            spares: Mutex::new(Vec::with_capacity(spares_most)),
            spares_most,
            spares_in_use: AtomicUsize::new(0),
            spare_totals: CallTotals::default(),
            neighbour_calls: AtomicU64::new(0),
            spare_calls: AtomicU64::new(0),
            late_contexts: AtomicU64::new(0),
            waits: AtomicU64::new(0),
            waited: AtomicU64::new(0),
            provider,
        };
        for &cpu in &cpus.online {
            let mut place = try_lock(&contexts.slots[cpu].context).expect("nobody else has it yet");
            contexts.make(cpu, &mut place)?;
        }
        Ok(contexts)
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// Makes the context of a CPU whose slot the caller has locked.
    fn make(&self, cpu: usize, place: &mut Option<Boxed>) -> Result<(), Error> {
        let compressor = self
            .provider
            .make_context(cpu)
            .map_err(|reason| Error::Context { cpu, reason })?;
        self.slots[cpu].set_memory(compressor.memory());
        *place = Some(compressor);
        self.made.insert(cpu);
        Ok(())
    }

    /// A context for the calling thread's use alone. `None` only if every one
    /// stays busy and no spare one can be made.
    #[inline]
    pub(crate) fn take(&self) -> Option<Lease<'_>> {
        self.take_near(cpus::current())
    }

    /// As [`take`](Self::take), from this CPU, as far as it is known.
    #[inline]
    fn take_near(&self, cpu: Option<usize>) -> Option<Lease<'_>> {
        let home = match cpu {
            Some(cpu) if cpu < self.slots.len() => cpu,
            _ => self.stand_in(),
        };
        self.try_cpu(home).or_else(|| self.take_elsewhere(home))
    }

    /// A CPU that has a context, for a thread whose own is not known or was
    /// never said to be possible.
    #[cold]
    fn stand_in(&self) -> usize {
        let count = self.made.from(0).count().max(1);
        let cpu = self.made.from(0).nth(cpus::thread_number() % count);
        cpu.unwrap_or(0)
    }

    #[inline]
    fn try_cpu(&self, cpu: usize) -> Option<Lease<'_>> {
        let slot = &self.slots[cpu];
        let guard = try_lock(&slot.context)?;
        if guard.is_none() {
            return None;
        }
        Some(Lease::new(self, Held::Context(guard, &slot.totals)))
    }

    /// The home context is busy, or not there yet.
    #[cold]
    fn take_elsewhere(&self, home: usize) -> Option<Lease<'_>> {
        if !self.made.contains(home) {
            if let Some(lease) = self.make_late(home) {
                return Some(lease);
            }
        }
        // Home first: it may have just been made or freed up.
        let sweep = || {
            let mut cpus = self.made.from(home);
            cpus.find_map(|cpu| Some((cpu, self.try_cpu(cpu)?)))
        };
        let mut wait: Option<Wait> = None;
        let taken = loop {
            if let Some((cpu, lease)) = sweep() {
                if cpu != home {
                    self.neighbour_calls.fetch_add(1, Ordering::Relaxed);
                }
                break Some(lease);
            }
            // Inside a sink of this very thread, waiting could be for ourselves.
            let is_nested = HELD.with(Cell::get) > 0;
            let waited = wait.as_ref().map_or(Duration::ZERO, Wait::elapsed);
            let at_last = is_nested || waited > PATIENCE;
            let spare = self.spare(home, at_last);
            if spare.is_some() || at_last {
                break spare;
            }
            wait.get_or_insert_with(Wait::start);
            yield_now();
        };
        if let Some(wait) = wait {
            let waited = u64::try_from(wait.elapsed().as_nanos()).unwrap_or(u64::MAX);
            self.waits.fetch_add(1, Ordering::Relaxed);
            self.waited.fetch_add(waited, Ordering::Relaxed);
        }
        taken
    }

    /// Makes the context of a CPU that came online after the pool was made:
    /// once, by whoever comes first; others find the slot locked meanwhile and
    /// use a neighbour.
    fn make_late(&self, cpu: usize) -> Option<Lease<'_>> {
        if self.failed.contains(cpu) {
            return None;
        }
        let slot = &self.slots[cpu];
        let mut guard = try_lock(&slot.context)?;
        if guard.is_none() {
            if self.failed.contains(cpu) {
                return None;
            }
            if let Err(error) = self.make(cpu, &mut guard) {
                // Not tried again: a neighbour serves this CPU from now on.
                self.failed.insert(cpu);
                if let Some(mut failures) = lock_soon(&self.failures) {
                    failures.push(error);
                }
                return None;
            }
            self.late_contexts.fetch_add(1, Ordering::Relaxed);
        }
        Some(Lease::new(self, Held::Context(guard, &slot.totals)))
    }

    /// A context of no CPU, beyond the usual number of such only `at_last`. This
    /// is what keeps a sink that calls the pool again, or that waits for another
    /// thread which does, from a deadlock.
    fn spare(&self, home: usize, at_last: bool) -> Option<Lease<'_>> {
        let in_use = self.spares_in_use.fetch_add(1, Ordering::Relaxed);
        let spare = (at_last || in_use < self.spares_most).then(|| {
            let kept = lock_soon(&self.spares).and_then(|mut spares| spares.pop());
            kept.or_else(|| self.provider.make_context(home).ok())
        });
        let Some(compressor) = spare.flatten() else {
            self.spares_in_use.fetch_sub(1, Ordering::Relaxed);
            return None;
        };
        self.spare_calls.fetch_add(1, Ordering::Relaxed);
        Some(Lease::new(self, Held::Spare(Some(compressor))))
    }

    /// What all contexts did.
    pub(crate) fn stats(&self) -> Stats {
        let get = |count: &AtomicU64| count.load(Ordering::Relaxed);
        let mut stats = Stats {
            neighbour_calls: get(&self.neighbour_calls),
            spare_calls: get(&self.spare_calls),
            late_contexts: get(&self.late_contexts),
            failed_contexts: self.failed.from(0).count() as u64,
            waits: get(&self.waits),
            waited: Duration::from_nanos(get(&self.waited)),
            ..Stats::default()
        };
        let totals = self.made.from(0).map(|cpu| &self.slots[cpu].totals);
        for totals in totals.chain([&self.spare_totals]) {
            stats.compress += totals.compress.read();
            stats.decompress += totals.decompress.read();
        }
        stats
    }

    /// Why late CPUs have no context, for each that has none.
    pub(crate) fn failures(&self) -> Vec<Error> {
        lock_soon(&self.failures).map_or_else(Vec::new, |failures| failures.clone())
    }

    /// The memory of each CPU's context, by CPU, and of the spares.
    pub(crate) fn memory(&self) -> (Vec<(usize, ContextMemory)>, Vec<ContextMemory>) {
        let of_cpu = |cpu: usize| (cpu, self.slots[cpu].memory());
        let spares = lock_soon(&self.spares).map_or_else(Vec::new, |spares| {
            spares.iter().map(|spare| spare.memory()).collect()
        });
        (self.made.from(0).map(of_cpu).collect(), spares)
    }

    /// Bytes of the table that the contexts hang in, with their locks and
    /// counters: there is a slot for every possible CPU from the start.
    pub(crate) fn table_bytes(&self) -> usize {
        let spares = self.spares_most * size_of::<Boxed>();
        let sets = self.made.bytes() + self.failed.bytes();
        size_of::<Self>() + size_of_val(&*self.slots) + sets + spares
    }
}

enum Held<'a> {
    /// With a context in it for as long as the guard is held.
    Context(MutexGuard<'a, Option<Boxed>>, &'a CallTotals),
    /// `Some` until the lease ends.
    Spare(Option<Boxed>),
}

/// A context in use by one thread, given back on drop.
pub(crate) struct Lease<'a> {
    contexts: &'a Contexts,
    held: Held<'a>,
}

impl<'a> Lease<'a> {
    #[inline]
    fn new(contexts: &'a Contexts, held: Held<'a>) -> Self {
        HELD.with(|held| held.set(held.get() + 1));
        Self { contexts, held }
    }

    /// Adds a call's report to what `which` direction has done.
    #[inline]
    pub(crate) fn account(&self, which: impl Fn(&CallTotals) -> &Totals, report: &Report) {
        match &self.held {
            Held::Context(_, totals) => which(totals).add_locked(report),
            Held::Spare(_) => which(&self.contexts.spare_totals).add_shared(report),
        }
    }
}

impl Drop for Lease<'_> {
    #[inline]
    fn drop(&mut self) {
        HELD.with(|held| held.set(held.get() - 1));
        if let Held::Spare(compressor) = &mut self.held {
            let contexts = self.contexts;
            let spares = lock_soon(&contexts.spares);
            if let Some(mut spares) = spares.filter(|s| s.len() < contexts.spares_most) {
                spares.extend(compressor.take());
            }
            contexts.spares_in_use.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

const HELD_FOR_THE_LEASE: &str = "a lease has its context until it is dropped";

impl Deref for Lease<'_> {
    type Target = dyn Compressor;

    #[inline]
    fn deref(&self) -> &Self::Target {
        let context = match &self.held {
            Held::Context(guard, _) => guard.as_ref(),
            Held::Spare(compressor) => compressor.as_ref(),
        };
        &**context.expect(HELD_FOR_THE_LEASE)
    }
}

impl DerefMut for Lease<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        let context = match &mut self.held {
            Held::Context(guard, _) => guard.as_mut(),
            Held::Spare(compressor) => compressor.as_mut(),
        };
        &mut **context.expect(HELD_FOR_THE_LEASE)
    }
}
