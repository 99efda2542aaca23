//! Contexts: one per CPU, made with the pool or on a late CPU's first use,
//! freed with the pool and never before.
//!
//! The current CPU is only a hint for which context to take. What makes a call
//! safe is the context's lock: a task that migrates, or whose CPU goes
//! offline, keeps the context it took, and nobody frees it.

use crate::compressor::{Compressor, ContextMemory, Provider};
use crate::cpus::{self, Cpus};
use crate::error::Error;
use crate::report::{Report, Stats, Totals};
use core::cell::Cell;
use core::ops::{Deref, DerefMut};
use core::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use core::time::Duration;
use crossbeam_utils::CachePadded;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};
use std::time::Instant;

/// How long a call waits, yielding, while every context is busy, before it
/// takes a spare one. Far longer than any batch, so only a holder that was
/// preempted or whose sink blocks is given up on.
const PATIENCE: Duration = Duration::from_millis(10);

thread_local! {
    /// Contexts that this thread holds: more than none inside a sink.
    static HELD: Cell<usize> = const { Cell::new(0) };
}

type Boxed = Box<dyn Compressor>;

/// A context and what it has done.
struct Context {
    compressor: Mutex<Boxed>,
    memory: ContextMemory,
    totals: CallTotals,
}

impl Context {
    fn new(compressor: Boxed) -> Self {
        let memory = compressor.memory();
        Self {
            compressor: Mutex::new(compressor),
            memory,
            totals: CallTotals::default(),
        }
    }

    /// The context, unless someone holds it.
    ///
    /// A caller's sink may panic while it holds the lock. Codec contexts start
    /// every page afresh, so the poison means nothing.
    #[inline]
    fn try_lock(&self) -> Option<MutexGuard<'_, Boxed>> {
        match self.compressor.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => None,
        }
    }
}

/// What was done with one context, both ways.
#[derive(Debug, Default)]
pub(crate) struct CallTotals {
    pub(crate) compress: Totals,
    pub(crate) decompress: Totals,
}

/// Where a possible CPU's context is or will be.
#[derive(Default)]
struct Slot {
    context: OnceLock<Context>,
    /// Someone is making the context, or failed to.
    claimed: AtomicBool,
}

/// All contexts of a pool.
pub(crate) struct Contexts {
    provider: Box<dyn Provider>,
    /// One slot per possible CPU, by Linux' number.
    slots: Box<[CachePadded<Slot>]>,
    /// Contexts of no CPU, for calls that find all others busy. Kept for the
    /// next such call; see [`Contexts::spare`].
    spares: Mutex<Vec<Boxed>>,
    spare_totals: CallTotals,
    neighbour_calls: AtomicU64,
    spare_calls: AtomicU64,
    late_contexts: AtomicU64,
    failed_contexts: AtomicU64,
}

impl Contexts {
    /// Makes the contexts of all CPUs online.
    ///
    /// # Errors
    /// [`Error::Context`] for the first that cannot be made; those made before
    /// it are freed.
    pub(crate) fn new(provider: Box<dyn Provider>, cpus: &Cpus) -> Result<Self, Error> {
        let slots: Box<[CachePadded<Slot>]> =
            (0..cpus.possible).map(|_| CachePadded::default()).collect();
        for &cpu in &cpus.online {
            let compressor = provider
                .make_context(cpu)
                .map_err(|reason| Error::Context { cpu, reason })?;
            let slot = &slots[cpu];
            slot.claimed.store(true, Ordering::Relaxed);
            slot.context.get_or_init(|| Context::new(compressor));
        }
        Ok(Self {
            provider,
            slots,
            spares: Mutex::default(),
            spare_totals: CallTotals::default(),
            neighbour_calls: AtomicU64::new(0),
            spare_calls: AtomicU64::new(0),
            late_contexts: AtomicU64::new(0),
            failed_contexts: AtomicU64::new(0),
        })
    }

    pub(crate) fn provider(&self) -> &dyn Provider {
        &*self.provider
    }

    /// A context for the calling thread's use alone. `None` only if every one
    /// stays busy and no spare one can be made.
    #[inline]
    pub(crate) fn take(&self) -> Option<Lease<'_>> {
        let home = cpus::current();
        self.try_cpu(home).or_else(|| self.take_elsewhere(home))
    }

    #[inline]
    fn try_cpu(&self, cpu: usize) -> Option<Lease<'_>> {
        let context = self.slots.get(cpu)?.context.get()?;
        let guard = context.try_lock()?;
        Some(Lease::new(self, Held::Context(guard, &context.totals)))
    }

    /// The home context is busy, or not there yet.
    #[cold]
    fn take_elsewhere(&self, home: usize) -> Option<Lease<'_>> {
        self.make_late(home);
        // Home first: it may have just been made or freed up.
        let sweep = || {
            let count = self.slots.len();
            (0..count)
                .map(|i| (home + i) % count)
                .find_map(|cpu| Some((cpu, self.try_cpu(cpu)?)))
        };
        let asked = Instant::now();
        loop {
            if let Some((cpu, lease)) = sweep() {
                if cpu != home {
                    self.neighbour_calls.fetch_add(1, Ordering::Relaxed);
                }
                return Some(lease);
            }
            // Inside a sink of this very thread, waiting could be for
            // ourselves.
            if HELD.get() > 0 || asked.elapsed() > PATIENCE {
                return self.spare(home);
            }
            std::thread::yield_now();
        }
    }

    /// Makes the context of a CPU that came online after the pool was made:
    /// once, by whoever comes first; others use a neighbour meanwhile.
    fn make_late(&self, cpu: usize) {
        let Some(slot) = self.slots.get(cpu) else {
            return;
        };
        if slot.context.get().is_some() || slot.claimed.swap(true, Ordering::Relaxed) {
            return;
        }
        match self.provider.make_context(cpu) {
            Ok(compressor) => {
                slot.context.get_or_init(|| Context::new(compressor));
                self.late_contexts.fetch_add(1, Ordering::Relaxed);
            }
            // Not tried again: a neighbour serves this CPU from now on.
            Err(_) => {
                self.failed_contexts.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// A context of no CPU. This is what keeps a sink that calls the pool
    /// again, or that waits for another thread which does, from a deadlock.
    fn spare(&self, home: usize) -> Option<Lease<'_>> {
        self.spare_calls.fetch_add(1, Ordering::Relaxed);
        let kept = lock(&self.spares).pop();
        let compressor = match kept {
            Some(compressor) => compressor,
            None => self.provider.make_context(home).ok()?,
        };
        Some(Lease::new(self, Held::Spare(Some(compressor))))
    }

    /// What all contexts did.
    pub(crate) fn stats(&self) -> Stats {
        let mut stats = Stats {
            neighbour_calls: self.neighbour_calls.load(Ordering::Relaxed),
            spare_calls: self.spare_calls.load(Ordering::Relaxed),
            late_contexts: self.late_contexts.load(Ordering::Relaxed),
            failed_contexts: self.failed_contexts.load(Ordering::Relaxed),
            ..Stats::default()
        };
        let totals = self.made().map(|context| &context.totals);
        for totals in totals.chain([&self.spare_totals]) {
            stats.compress += totals.compress.read();
            stats.decompress += totals.decompress.read();
        }
        stats
    }

    /// The memory of each CPU's context, by CPU, and of the spares.
    pub(crate) fn memory(&self) -> (Vec<(usize, ContextMemory)>, Vec<ContextMemory>) {
        let contexts = self
            .slots
            .iter()
            .enumerate()
            .filter_map(|(cpu, slot)| Some((cpu, slot.context.get()?.memory)))
            .collect();
        let spares = lock(&self.spares)
            .iter()
            .map(|spare| spare.memory())
            .collect();
        (contexts, spares)
    }

    /// Bytes of the table that the contexts hang in, with their locks and
    /// counters: there is a slot for every possible CPU from the start.
    pub(crate) fn table_bytes(&self) -> usize {
        size_of::<Self>() + size_of_val(&*self.slots)
    }

    fn made(&self) -> impl Iterator<Item = &Context> {
        self.slots.iter().filter_map(|slot| slot.context.get())
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

enum Held<'a> {
    Context(MutexGuard<'a, Boxed>, &'a CallTotals),
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
        HELD.set(HELD.get() + 1);
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
        HELD.set(HELD.get() - 1);
        if let Held::Spare(compressor) = &mut self.held {
            let mut spares = lock(&self.contexts.spares);
            // As many spares are kept as there are CPUs to use them at once.
            if spares.len() < self.contexts.slots.len() {
                spares.extend(compressor.take());
            }
        }
    }
}

impl Deref for Lease<'_> {
    type Target = dyn Compressor;

    #[inline]
    fn deref(&self) -> &Self::Target {
        match &self.held {
            Held::Context(guard, _) => &***guard,
            Held::Spare(compressor) => &**compressor
                .as_ref()
                .expect("a spare leaves its lease only on drop"),
        }
    }
}

impl DerefMut for Lease<'_> {
    #[inline]
    fn deref_mut(&mut self) -> &mut Self::Target {
        match &mut self.held {
            Held::Context(guard, _) => &mut ***guard,
            Held::Spare(compressor) => &mut **compressor
                .as_mut()
                .expect("a spare leaves its lease only on drop"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Codec;
    use crate::compressor::{CompressDelivery, DecompressDelivery};
    use crate::outcome::Stored;
    use crate::page::{Pages, UnitSize};
    use std::sync::Arc;

    /// Counts its contexts, and fails for the CPUs it is told to.
    #[derive(Debug, Default)]
    struct Counted {
        alive: Arc<AtomicU64>,
        made: Arc<AtomicU64>,
        fails_for: Vec<usize>,
    }

    struct Idle(Arc<AtomicU64>);

    impl Drop for Idle {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }

    impl Compressor for Idle {
        fn compress(&mut self, _: &dyn Pages, _: &mut CompressDelivery<'_>) {}
        fn decompress(&mut self, _: &[Stored<'_>], _: &mut DecompressDelivery<'_>) {}
        fn memory(&self) -> ContextMemory {
            ContextMemory::default()
        }
    }

    impl Provider for Counted {
        fn name(&self) -> &str {
            "idle"
        }
        fn codec(&self) -> Codec {
            Codec::Lz4
        }
        fn unit_size(&self) -> UnitSize {
            UnitSize::DEFAULT
        }
        fn make_context(&self, cpu: usize) -> Result<Boxed, String> {
            if self.fails_for.contains(&cpu) {
                return Err("no memory, says the test".into());
            }
            self.made.fetch_add(1, Ordering::Relaxed);
            self.alive.fetch_add(1, Ordering::Relaxed);
            Ok(Box::new(Idle(self.alive.clone())))
        }
    }

    fn cpus(possible: usize, online: impl Into<Vec<usize>>) -> Cpus {
        Cpus {
            possible,
            online: online.into(),
        }
    }

    /// CPUs of a host where the one this thread runs on, and any it might move
    /// to, came online only after the pool was made.
    fn all_late() -> (Cpus, usize) {
        let here = Cpus::of_this_host().possible;
        (cpus(here + 1, [here]), here)
    }

    #[test]
    fn a_context_that_cannot_be_made_leaves_none_behind() {
        let provider = Counted {
            fails_for: vec![5],
            ..Counted::default()
        };
        let (alive, made) = (provider.alive.clone(), provider.made.clone());
        let error = Contexts::new(Box::new(provider), &cpus(8, [0, 1, 5, 7])).err();
        let reason = "no memory, says the test".into();
        assert_eq!(error, Some(Error::Context { cpu: 5, reason }));
        assert_eq!(
            (made.load(Ordering::Relaxed), alive.load(Ordering::Relaxed)),
            (2, 0)
        );
    }

    #[test]
    fn all_contexts_go_with_the_pool_and_none_before() {
        let provider = Counted::default();
        let alive = provider.alive.clone();
        let contexts = Contexts::new(Box::new(provider), &cpus(3000, [0, 1, 2, 2999])).unwrap();
        assert_eq!(alive.load(Ordering::Relaxed), 4);
        let on: Vec<_> = contexts.memory().0.iter().map(|&(cpu, _)| cpu).collect();
        assert_eq!(on, [0, 1, 2, 2999]);
        drop(contexts);
        assert_eq!(alive.load(Ordering::Relaxed), 0);
    }

    #[test]
    fn a_late_cpu_gets_its_own_context_once() {
        let provider = Counted::default();
        let made = provider.made.clone();
        let (cpus, _) = all_late();
        let contexts = Contexts::new(Box::new(provider), &cpus).unwrap();
        for _ in 0..100 {
            contexts.take().unwrap();
        }
        let stats = contexts.stats();
        assert!((1..cpus.possible as u64).contains(&stats.late_contexts));
        assert_eq!(made.load(Ordering::Relaxed), 1 + stats.late_contexts);
        assert_eq!((stats.neighbour_calls, stats.spare_calls), (0, 0));
    }

    #[test]
    fn a_late_cpu_without_a_context_is_served_by_a_neighbour() {
        let (cpus, neighbour) = all_late();
        let provider = Counted {
            fails_for: (0..neighbour).collect(),
            ..Counted::default()
        };
        let made = provider.made.clone();
        let contexts = Contexts::new(Box::new(provider), &cpus).unwrap();
        for _ in 0..100 {
            contexts.take().unwrap();
        }
        let stats = contexts.stats();
        assert_eq!((stats.neighbour_calls, stats.late_contexts), (100, 0));
        // Tried once for each CPU this thread was on, not once a call.
        assert!((1..cpus.possible as u64).contains(&stats.failed_contexts));
        assert_eq!(made.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_busy_context_sends_the_caller_to_a_neighbour_and_then_to_a_spare() {
        let provider = Counted::default();
        let made = provider.made.clone();
        let online = Cpus::of_this_host().online;
        let count = online.len() as u64;
        let possible = Cpus::of_this_host().possible;
        let contexts = Contexts::new(Box::new(provider), &cpus(possible, online)).unwrap();
        for round in 1..=3 {
            let held: Vec<_> = (0..=count).map(|_| contexts.take().unwrap()).collect();
            let stats = contexts.stats();
            assert!(stats.neighbour_calls >= round * (count - 1));
            assert_eq!(stats.spare_calls, round);
            drop(held);
        }
        assert_eq!(
            made.load(Ordering::Relaxed),
            count + 1,
            "the spare is kept for the next call"
        );
        assert_eq!(contexts.memory().1.len(), 1);
        assert_eq!(HELD.get(), 0);
    }
}
