//! One setting: pages through a pool whose devices fail, there and back.

use crate::expect;
use crate::kinds::{IN_FLIGHT, Setting};
use crate::pages::{Random, pages};
use core::fmt;
use pagepress::iaa::{DeviceStats, Devices, Modelled, leaked_bytes};
use pagepress::{
    Backend, FallbackReason, Outcome, PerformedBy, Pool, Report, Stored, StoredBuf, Tables,
};
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

static PAGES: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| pages(512));

/// Tables for some of the pages.
pub(crate) static TABLES: LazyLock<Tables> = LazyLock::new(|| {
    let some = PAGES.iter().step_by(3).map(Vec::as_slice);
    Tables::train(some).expect("pages of pieces")
});

/// Reads what was compressed, whoever did it.
static READER: LazyLock<Pool> = LazyLock::new(|| {
    let builder = Pool::builder().backend(Backend::Software);
    builder
        .tables(TABLES.clone())
        .build()
        .expect("deflate is built")
});

/// What a setting came to.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    pub(crate) compress: Report,
    pub(crate) decompress: Report,
    /// What the injector did, without what it did while the pool was made.
    pub(crate) accepted: u64,
    /// Posts that a closed dedicated queue did not take.
    pub(crate) ignored: u64,
    pub(crate) faults: u64,
    pub(crate) page_faults: u64,
    /// As the pool counts.
    pub(crate) submitted: u64,
    pub(crate) completed: u64,
    pub(crate) refused: u64,
    pub(crate) told_page_faults: u64,
    pub(crate) timeouts: u64,
    pub(crate) errors: u64,
    pub(crate) mismatches: u64,
    pub(crate) put_aside: u64,
    /// As the devices count.
    pub(crate) retried: u64,
    pub(crate) dropped: u64,
    pub(crate) software_errors: u64,
    pub(crate) abandoned: u64,
    /// Of queues, when all was over; and what may be left.
    pub(crate) occupancy: u64,
    pub(crate) stuck: u64,
    pub(crate) open: u64,
    pub(crate) violations: u64,
    pub(crate) changed_sources: u64,
    pub(crate) leaked: u64,
    /// Pages told as done by the device, compressed ones.
    pub(crate) by_device: u64,
    /// What was wrong with single calls.
    pub(crate) problems: Vec<String>,
}

impl Seen {
    /// Fallbacks both ways.
    pub(crate) fn fallbacks(&self, reason: FallbackReason) -> u64 {
        self.compress.fallbacks(reason) + self.decompress.fallbacks(reason)
    }

    pub(crate) fn add(&mut self, other: &Self) {
        self.compress += other.compress;
        self.decompress += other.decompress;
        for (sum, n) in [
            (&mut self.accepted, other.accepted),
            (&mut self.faults, other.faults),
            (&mut self.submitted, other.submitted),
            (&mut self.violations, other.violations),
            (&mut self.put_aside, other.put_aside),
            (&mut self.leaked, other.leaked),
        ] {
            *sum += n;
        }
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} pages, {} back, {} descriptors, {} faults, fallbacks",
            self.compress.pages(),
            self.decompress.pages(),
            self.submitted,
            self.faults,
        )?;
        let mut none = true;
        for reason in FallbackReason::ALL {
            let count = self.fallbacks(reason);
            if count > 0 {
                write!(f, " {} {count}", reason.name())?;
                none = false;
            }
        }
        if none {
            f.write_str(" none")?;
        }
        write!(
            f,
            ", put aside {}, leaked {} KiB, violations {}",
            self.put_aside,
            self.leaked / 1024,
            self.violations
        )
    }
}

/// A pool on devices with these faults. One may hit what the pool asks of a
/// device while it is made, so that there is none: then with other luck.
fn pool(setting: &Setting) -> (Pool, Modelled) {
    for seed in 1..100 {
        let (devices, modelled) = Devices::of_model(&setting.model(seed));
        let builder = Pool::builder().devices(devices).iaa(setting.options());
        if let Ok(pool) = builder.build() {
            return (pool, modelled);
        }
    }
    panic!("{setting}: no pool in 100 tries");
}

/// Pushes so many pages through.
pub(crate) fn run(setting: &Setting, count: usize) -> Seen {
    let leaked = leaked_bytes();
    let (pool, modelled) = pool(setting);
    let before = modelled.faults();
    let given = AtomicUsize::new(0);
    let mut seen = Seen::default();
    let results: Vec<(Report, Report, u64, Vec<String>)> = std::thread::scope(|scope| {
        let worker = |number: usize| {
            let (pool, modelled, given) = (&pool, &modelled, &given);
            scope.spawn(move || work(setting, number, pool, modelled, given, count))
        };
        let workers: Vec<_> = (0..setting.threads).map(worker).collect();
        let join =
            |worker: std::thread::ScopedJoinHandle<'_, _>| worker.join().expect("a sound worker");
        workers.into_iter().map(join).collect()
    });
    for (compress, decompress, by_device, problems) in results {
        seen.compress += compress;
        seen.decompress += decompress;
        seen.by_device += by_device;
        seen.problems.extend(problems);
    }
    // What is late comes, and what is out of order recovers.
    modelled.advance(100_000_000);
    let stats = pool.device_stats();
    let sum = |of: fn(&DeviceStats) -> u64| stats.iter().map(of).sum();
    seen.submitted = sum(|s| s.submitted);
    seen.completed = sum(|s| s.completed);
    seen.refused = sum(|s| s.refused);
    seen.told_page_faults = sum(|s| s.page_faults);
    seen.timeouts = sum(|s| s.timeouts);
    seen.errors = sum(|s| s.errors);
    seen.mismatches = sum(|s| s.mismatches);
    seen.put_aside = sum(|s| s.put_aside);
    let faults = modelled.faults();
    seen.accepted = faults.accepted - before.accepted;
    let devices = modelled.devices().iter();
    seen.ignored = devices.map(|device| device.counters().ignored).sum();
    seen.faults = faults.total() - before.total();
    seen.page_faults =
        faults.read_faults + faults.write_faults - before.read_faults - before.write_faults;
    seen.stuck = faults.never;
    for device in modelled.devices() {
        let counters = device.counters();
        seen.retried += counters.retried;
        seen.dropped += counters.dropped;
        seen.software_errors += counters.software_errors;
        seen.abandoned += counters.abandoned;
        seen.occupancy += u64::from(device.queue(0).occupancy());
    }
    let totals = pool.stats();
    if totals.compress != seen.compress || totals.decompress != seen.decompress {
        seen.problems
            .push("the pool's totals are not those of its calls".into());
    }
    drop(pool);
    let watch = modelled.watch().expect("the model is watched");
    seen.open = watch.open() as u64;
    seen.violations = watch.count();
    seen.changed_sources = watch.changed_sources();
    seen.problems.extend(
        modelled
            .violations()
            .iter()
            .take(3)
            .map(ToString::to_string),
    );
    seen.leaked = leaked_bytes() - leaked;
    seen
}

/// What one thread does until enough pages are given out.
fn work(
    setting: &Setting,
    number: usize,
    pool: &Pool,
    modelled: &Modelled,
    given: &AtomicUsize,
    count: usize,
) -> (Report, Report, u64, Vec<String>) {
    let mut random = Random(number as u64);
    let (mut compress, mut decompress) = (Report::default(), Report::default());
    let (mut by_device, mut problems) = (0, Vec::new());
    let mut round = 0;
    let alone = setting.threads == 1 && !setting.real_time;
    while given.load(Ordering::Relaxed) < count {
        let size = [1, IN_FLIGHT, 3, 64, 20, IN_FLIGHT][round % 6];
        round += 1;
        given.fetch_add(size, Ordering::Relaxed);
        let batch: Vec<&[u8]> = (0..size)
            .map(|_| &PAGES[random.below(PAGES.len())][..])
            .collect();
        let mut kept: Vec<Option<StoredBuf>> = vec![None; size];
        let clock = alone.then(|| expect::Clock::start(setting, pool, modelled));
        compress += pool.compress_batch(&batch, |i, outcome| {
            let outcome = outcome.expect("software does what the device does not");
            if let Outcome::Compressed {
                performed_by: PerformedBy::Modelled,
                ..
            } = outcome
            {
                by_device += 1;
            }
            let stored = outcome.to_stored(batch[i]);
            assert!(kept[i].replace(stored).is_none(), "page {i} twice");
        });
        problems.extend(clock.and_then(|clock| clock.stop(size)));
        let stored: Vec<_> = kept
            .iter()
            .map(|page| page.as_ref().expect("each page").as_stored())
            .collect();

        let mut back = vec![false; size];
        let clock = alone.then(|| expect::Clock::start(setting, pool, modelled));
        decompress += pool.decompress_batch(&stored, |i, page| {
            assert_eq!(
                page,
                Ok(batch[i]),
                "{setting}: page {i} came back as another"
            );
            assert!(!core::mem::replace(&mut back[i], true), "page {i} twice");
        });
        problems.extend(clock.and_then(|clock| clock.stop(size)));
        assert!(
            back.iter().all(|&back| back),
            "{setting}: pages are missing"
        );
        for page in &stored {
            if let Stored::Compressed(page) = page {
                assert_eq!(page.tables().is_some(), setting.is_canned(), "{setting}");
            }
        }
        READER.decompress_batch(&stored, |i, page| {
            assert_eq!(
                page,
                Ok(batch[i]),
                "{setting}: software reads another page {i}"
            );
        });
        if round % 2 == 0 {
            // Longer than a queue is put aside the first time.
            modelled.advance(15_000_000);
        }
    }
    (compress, decompress, by_device, problems)
}
