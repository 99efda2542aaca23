//! Pools of every backend, and what must hold of their contexts.

use crate::cpus;
use crate::run::Run;
use crate::watched::{self, Handle, Ledger};
use pagepress::compressor::ContextMemory;
use pagepress::iaa::{
    Devices, Format, Generation, Model, Modelled, Options, Submission, Time, leaked_bytes,
};
use pagepress::{Backend, Codec, Outcome, Pool, Report};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// What pools are made of.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Recipe {
    Software(Codec),
    /// Contexts of the test's own.
    Watched,
    /// Devices whose completions come from another thread, when they are due.
    Fixed,
    Dynamic,
    DynamicGen2ByWrite,
}

pub(crate) const RECIPES: [Recipe; 7] = [
    Recipe::Software(Codec::Lz4),
    Recipe::Software(Codec::Zstd),
    Recipe::Software(Codec::Deflate),
    Recipe::Watched,
    Recipe::Fixed,
    Recipe::Dynamic,
    Recipe::DynamicGen2ByWrite,
];

/// Longer than a device's thread may have to wait for a CPU: without faults
/// nothing is given up.
const PATIENCE: Duration = Duration::from_secs(120);

impl Recipe {
    fn name(self) -> &'static str {
        match self {
            Self::Software(codec) => codec.name(),
            Self::Watched => "watched",
            Self::Fixed => "iaa, fixed",
            Self::Dynamic => "iaa, dynamic",
            Self::DynamicGen2ByWrite => "iaa, dynamic on generation 2, by write(2)",
        }
    }

    fn is_device(self) -> bool {
        !matches!(self, Self::Software(_) | Self::Watched)
    }

    /// Makes a pool, and sees that it has the contexts of the CPUs online.
    pub(crate) fn make(self, run: &Run, note: &str) -> Subject {
        let before = (run.changes(), cpus::online());
        let (pool, ledger, modelled) = self.build();
        let after = (run.changes(), cpus::online());
        let about = Arc::new(About {
            name: format!("{}{note}", self.name()),
            recipe: self,
            modelled,
            ledger: ledger.clone(),
            known: Mutex::default(),
            addresses: Mutex::default(),
            calls: AtomicUsize::new(0),
            calls_most: AtomicUsize::new(0),
            sums: Mutex::default(),
            interrupted: AtomicBool::new(false),
        });
        let subject = Subject {
            handle: Handle::new(pool, ledger),
            about,
        };
        let made = subject.look(run);
        // An odd count is a change under way.
        if before == after && before.0 % 2 == 0 {
            if made != before.1 {
                subject.wrong(
                    run,
                    &format!("contexts of CPUs {made:?}, online {:?}", before.1),
                );
            }
        } else {
            let sure = |cpu: &&usize| Some(**cpu) != run.toggled;
            if !run.cpus.iter().filter(sure).all(|cpu| made.contains(cpu)) {
                subject.wrong(run, &format!("contexts of CPUs {made:?} alone"));
            }
        }
        subject
    }

    fn build(self) -> (Pool, Option<Arc<Ledger>>, Option<Modelled>) {
        let model = |generation, submission| {
            let mut model = Model::default();
            model.generation = generation;
            model.submission = submission;
            model.devices = 2;
            model.timed = true;
            model.time = Time::Real;
            model.watch = true;
            model
        };
        let (model, format) = match self {
            Self::Software(codec) => {
                let builder = Pool::builder().backend(Backend::Software).codec(codec);
                return (builder.build().expect("the codec is built"), None, None);
            }
            Self::Watched => {
                let (pool, ledger) = watched::pool().expect("memory for contexts");
                return (pool, Some(ledger), None);
            }
            Self::Fixed => (model(Generation::One, Submission::Portal), Format::Fixed),
            Self::Dynamic => (model(Generation::One, Submission::Portal), Format::Dynamic),
            Self::DynamicGen2ByWrite => {
                (model(Generation::Two, Submission::Write), Format::Dynamic)
            }
        };
        let mut options = Options::default();
        options.format = format;
        // Few enough for all contexts that there may be to fit the queues.
        options.in_flight = 4;
        options.patience = PATIENCE;
        let (devices, modelled) = Devices::of_model(&model);
        let builder = Pool::builder().devices(devices).iaa(options);
        (
            builder.build().expect("a sound device"),
            None,
            Some(modelled),
        )
    }
}

/// A pool, and what is known of it. Clones are handles.
#[derive(Debug, Clone)]
pub(crate) struct Subject {
    pub(crate) handle: Handle,
    pub(crate) about: Arc<About>,
}

#[derive(Debug)]
pub(crate) struct About {
    pub(crate) name: String,
    recipe: Recipe,
    modelled: Option<Modelled>,
    ledger: Option<Arc<Ledger>>,
    /// The contexts seen so far, by CPU.
    known: Mutex<BTreeMap<usize, ContextMemory>>,
    /// The dst buffers that sinks were shown.
    addresses: Mutex<BTreeSet<usize>>,
    /// Calls under way, and the most there were at once.
    calls: AtomicUsize,
    calls_most: AtomicUsize,
    /// What the calls reported, both ways.
    sums: Mutex<(Report, Report)>,
    /// Calls ended before their reports came.
    interrupted: AtomicBool,
}

impl Subject {
    pub(crate) fn wrong(&self, run: &Run, what: &str) {
        run.wrong(format!("{}: {what}", self.about.name));
    }

    pub(crate) fn codec(&self) -> Codec {
        self.handle.codec()
    }

    /// Whether a context has one dst buffer, which shows in the results.
    pub(crate) fn has_one_dst(&self) -> bool {
        !self.about.recipe.is_device()
    }

    pub(crate) fn began(&self) {
        let calls = self.about.calls.fetch_add(1, Ordering::SeqCst) + 1;
        self.about.calls_most.fetch_max(calls, Ordering::SeqCst);
    }

    pub(crate) fn ended(&self) {
        self.about.calls.fetch_sub(1, Ordering::SeqCst);
    }

    pub(crate) fn add(&self, compress: Option<Report>, decompress: Option<Report>) {
        let mut sums = self.about.sums.lock().unwrap();
        sums.0 += compress.unwrap_or_default();
        sums.1 += decompress.unwrap_or_default();
    }

    pub(crate) fn interrupted(&self) {
        self.about.interrupted.store(true, Ordering::Relaxed);
    }

    pub(crate) fn saw(&self, address: usize) {
        self.about.addresses.lock().unwrap().insert(address);
    }

    /// Sees that no context went or changed since last time; the CPUs that have
    /// one.
    pub(crate) fn look(&self, run: &Run) -> Vec<usize> {
        let mut known = self.about.known.lock().unwrap();
        let now: BTreeMap<_, _> = self.handle.memory().contexts.into_iter().collect();
        for (cpu, before) in &*known {
            if now.get(cpu) != Some(before) {
                let what = format!("cpu{cpu} had {before:?}, has {:?}", now.get(cpu));
                self.wrong(run, &what);
            }
        }
        let cpus = now.keys().copied().collect();
        *known = now;
        cpus
    }

    /// Where each CPU's context has its dst buffer, if it has one; each CPU gets
    /// a context by this. Nobody else may be using the pool. CPUs that this
    /// thread cannot be on are left out.
    pub(crate) fn homes(&self, run: &Run) -> BTreeMap<usize, usize> {
        let mut homes = BTreeMap::new();
        let page: Vec<u8> = (0..4096).map(|at| (at / 9) as u8).collect();
        for &cpu in &run.cpus {
            if !cpus::pin(None, &[cpu]) || cpus::current() != cpu {
                continue;
            }
            let mut shown = None;
            let report = self.handle.compress_batch(&[&page], |_, outcome| {
                if let Ok(Outcome::Compressed { page, .. }) = outcome {
                    shown = Some(page.bytes().as_ptr().addr());
                }
            });
            self.add(Some(report), None);
            if !self.look(run).contains(&cpu) {
                self.wrong(run, &format!("cpu{cpu} was used and has no context"));
            }
            match shown {
                Some(address) if self.has_one_dst() => drop(homes.insert(cpu, address)),
                Some(_) => {}
                None => self.wrong(run, "a page that compresses did not"),
            }
        }
        cpus::pin(None, &run.cpus);
        homes
    }

    /// What must hold when no call is under way, while the pool still lives.
    pub(crate) fn settle(&self, run: &Run, made_with: usize) {
        let cpus = self.look(run);
        let stats = self.handle.stats();
        if stats.failed_contexts != 0 {
            self.wrong(run, "a context could not be made");
        }
        if cpus.len() as u64 != made_with as u64 + stats.late_contexts {
            self.wrong(
                run,
                &format!(
                    "contexts of CPUs {cpus:?}, {made_with} at first and {} late",
                    stats.late_contexts
                ),
            );
        }
        let sums = *self.about.sums.lock().unwrap();
        if !self.about.interrupted.load(Ordering::Relaxed)
            && sums != (stats.compress, stats.decompress)
        {
            self.wrong(run, "the pool's totals are not those of its calls");
        }
        for (reason, pages) in [stats.compress, stats.decompress]
            .iter()
            .flat_map(Report::fallback_reasons)
        {
            self.wrong(run, &format!("{pages} pages fell back: {reason}"));
        }
        let spares = self.handle.memory().spares.len();
        if self.has_one_dst() {
            // So many spares are kept. With more calls at once some may have been
            // freed, and others made later.
            let kept_most = 8 * made_with;
            let most = if self.about.calls_most.load(Ordering::SeqCst) <= kept_most {
                spares
            } else {
                stats.spare_calls as usize
            };
            let seen = self.about.addresses.lock().unwrap().len();
            if seen > cpus.len() + most {
                self.wrong(
                    run,
                    &format!(
                        "{seen} dst buffers for {} contexts and {most} spares",
                        cpus.len()
                    ),
                );
            }
        }
        if let Some(ledger) = &self.about.ledger {
            self.settle_ledger(run, ledger, stats.spare_calls as usize, spares);
        }
        run.counts.late.add(stats.late_contexts);
        run.counts.neighbour.add(stats.neighbour_calls);
        run.counts.spare.add(stats.spare_calls);
    }

    fn settle_ledger(&self, run: &Run, ledger: &Ledger, spare_calls: usize, spares: usize) {
        let records = ledger.records();
        let known = self.about.known.lock().unwrap();
        for (&cpu, memory) in &*known {
            // `look` has seen that it is the same context all along.
            let record = &records[memory.rest - 1];
            if record.cpu != cpu {
                self.wrong(run, &format!("cpu{cpu} has a context of cpu{}", record.cpu));
            }
            if record.freed.load(Ordering::SeqCst) {
                self.wrong(
                    run,
                    &format!("cpu{cpu}'s context was freed before its pool"),
                );
            }
        }
        let freed = records
            .iter()
            .filter(|record| record.freed_early.load(Ordering::SeqCst))
            .count();
        let made = records.len() - known.len();
        if made > spare_calls || made != spares + freed {
            self.wrong(
                run,
                &format!(
                    "{} contexts made for {} CPUs and {spare_calls} calls that needed a spare one; \
                     {spares} kept, {freed} freed",
                    records.len(),
                    known.len()
                ),
            );
        }
        for problem in ledger.take_problems() {
            self.wrong(run, &problem);
        }
    }
}

impl About {
    /// What must hold once the last handle is dropped.
    pub(crate) fn gone(&self, run: &Run) {
        let mut problems = Vec::new();
        if let Some(ledger) = &self.ledger {
            problems = ledger.take_problems();
            for record in ledger.records() {
                if !record.freed.load(Ordering::SeqCst) {
                    problems.push(format!("context {} outlives its pool", record.id));
                }
            }
        }
        if let Some(modelled) = &self.modelled {
            let watch = modelled.watch().expect("the model is watched");
            if watch.count() > 0 || watch.open() > 0 {
                let first = modelled.violations().first().map(ToString::to_string);
                problems.push(format!(
                    "{} violations, {} descriptors open: {first:?}",
                    watch.count(),
                    watch.open()
                ));
            }
        }
        if leaked_bytes() > 0 {
            problems.push(format!("{} bytes leaked so far", leaked_bytes()));
        }
        for problem in problems {
            run.wrong(format!("{}, dropped: {problem}", self.name));
        }
    }
}
