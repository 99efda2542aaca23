//! One run: workers share the input's units until the time is up.

use super::cpus;
use super::figures;
use super::input::{Input, PAGE, Source};
use super::plan::{Settings, Spec};
use super::worker::{Pass, Place, Tally, Worker};
use crate::error::Error;
use crossbeam_channel::{Receiver, Sender, bounded};
use pagepress::Pool;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::Instant;

/// Bytes of input per piece of work: what a core's cache holds.
const WORK_BYTES: usize = 256 << 10;
/// Bytes that every worker starts with, untimed: 256 pages of 4 KiB.
const WARM_UP_BYTES: usize = 1 << 20;

/// Neighbouring units, counted over all sources.
#[derive(Debug, Clone, Copy)]
struct Work {
    pass: u64,
    first: u64,
    units: u64,
}

/// Makes a run with `pool` and tells `progress` how far it is, from 0 to 1.
///
/// # Errors
/// If a source cannot be read any more, a thread cannot be had, or every page
/// is left out.
pub(crate) fn run(
    spec: &Spec,
    settings: &Settings,
    input: &Input,
    pool: &Pool,
    progress: impl FnMut(f64),
) -> Result<figures::Run, Error> {
    let units = Units::new(&input.sources, spec.unit.bytes());
    let cpus = pinning(spec, settings)?;
    let stop = AtomicBool::new(false);
    let (work, works) = bounded(2 * spec.threads);
    // Nothing is sent: a worker that is warm drops its end.
    let (ready, warm) = bounded::<Infallible>(0);

    let (result, passes, seconds) = thread::scope(|scope| {
        let mut workers = Vec::with_capacity(spec.threads);
        for number in 0..spec.threads {
            let (works, ready) = (works.clone(), ready.clone());
            let (units, stop) = (&units, &stop);
            let cpu = cpus.get(number).copied();
            let body = move || {
                let result = work_until_done(spec, settings, input, pool, units, cpu, works, ready);
                if result.is_err() {
                    stop.store(true, Ordering::Relaxed);
                }
                result.map_err(|error| error.of_worker(number))
            };
            let spawned = thread::Builder::new()
                .name(format!("worker {number}"))
                .spawn_scoped(scope, body);
            match spawned {
                Ok(worker) => workers.push(worker),
                Err(error) => {
                    // The others end when the channel does.
                    drop(work);
                    return (Err(Failed::Thread(error).of_worker(number)), 0, 0.0);
                }
            }
        }
        // Only the workers hold these ends now: when they are gone, it shows.
        drop((works, ready));
        let _ = warm.recv();
        let start = Instant::now();
        let passes = feed(&units, settings, &work, &stop, start, progress);
        drop(work);
        let result = join(workers);
        (result, passes, start.elapsed().as_secs_f64())
    });
    let tally = result?;
    if tally.first.pages == 0 {
        return Err(Error::NoPages(format!(
            "--skip-same-filled leaves no page: all {} repeat one word",
            tally.first.dropped
        )));
    }
    Ok(figures(spec, input, pool, &tally, passes, seconds))
}

/// The CPU of each worker, if they are to be pinned.
fn pinning(spec: &Spec, settings: &Settings) -> Result<Vec<usize>, Error> {
    if !settings.pin {
        return Ok(Vec::new());
    }
    let cpus = cpus::allowed().map_err(|error| Failed::Thread(error).of_worker(0))?;
    if cpus.len() < spec.threads {
        return Err(Error::Usage(format!(
            "--pin with {} threads: this process may use {} CPUs only",
            spec.threads,
            cpus.len()
        )));
    }
    Ok(cpus)
}

/// Hands out the whole input, again and again until the time is up. Returns
/// how often.
fn feed(
    units: &Units,
    settings: &Settings,
    to: &Sender<Work>,
    stop: &AtomicBool,
    start: Instant,
    mut progress: impl FnMut(f64),
) -> u64 {
    let all = units.count();
    let step = units.per(WORK_BYTES);
    let mut pass = 0;
    loop {
        let mut first = 0;
        while first < all {
            let units = step.min(all - first);
            let work = Work { pass, first, units };
            if stop.load(Ordering::Relaxed) || to.send(work).is_err() {
                return pass;
            }
            first += units;
            let of_pass = if pass == 0 {
                first as f64 / all as f64
            } else {
                1.0
            };
            let of_time = start.elapsed().as_secs_f64() / settings.seconds.as_secs_f64();
            // The later of the two ends the run. Without time it is the pass.
            progress(of_pass.min(if of_time.is_nan() { 1.0 } else { of_time }));
        }
        pass += 1;
        if start.elapsed() >= settings.seconds {
            return pass;
        }
    }
}

/// Why a worker gave up.
enum Failed {
    Thread(io::Error),
    Input(Error),
}

impl Failed {
    fn of_worker(self, worker: usize) -> Error {
        match self {
            Self::Thread(source) => Error::Worker { worker, source },
            Self::Input(error) => error,
        }
    }
}

/// A worker's life: warm up, say so, and work until there is no more.
#[expect(clippy::too_many_arguments, reason = "one thread's whole surroundings")]
fn work_until_done(
    spec: &Spec,
    settings: &Settings,
    input: &Input,
    pool: &Pool,
    units: &Units,
    cpu: Option<usize>,
    works: Receiver<Work>,
    ready: Sender<Infallible>,
) -> Result<Tally, Failed> {
    if let Some(cpu) = cpu {
        cpus::pin_this_thread(cpu).map_err(Failed::Thread)?;
    }
    let mut worker = Worker::new(pool, &input.sources, spec.batch, settings.skip_same_filled);
    let warm_up = units.per(WARM_UP_BYTES).min(units.count());
    for place in units.places(0, warm_up) {
        worker.push(place, Pass::WarmUp).map_err(Failed::Input)?;
    }
    worker.flush(Pass::WarmUp);
    drop(ready);

    let mut pass = 0;
    let kind = |pass| if pass == 0 { Pass::First } else { Pass::Later };
    for work in works {
        // The last pages of a pass may be less than a batch.
        if work.pass != pass {
            worker.flush(kind(pass));
            pass = work.pass;
        }
        for place in units.places(work.first, work.units) {
            worker.push(place, kind(pass)).map_err(Failed::Input)?;
        }
    }
    worker.flush(kind(pass));
    Ok(worker.tally())
}

fn join(workers: Vec<ScopedJoinHandle<'_, Result<Tally, Error>>>) -> Result<Tally, Error> {
    let mut all = Tally::new();
    let mut failed = None;
    for worker in workers {
        match worker.join() {
            Ok(Ok(tally)) => all.merge(tally),
            Ok(Err(error)) => failed = failed.or(Some(error)),
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
    failed.map_or(Ok(all), Err)
}

/// The units of all sources, counted through.
#[derive(Debug)]
struct Units {
    bytes: usize,
    /// The number of each source's first unit; the count of all at the end.
    starts: Vec<u64>,
}

impl Units {
    fn new(sources: &[Source], bytes: usize) -> Self {
        let mut starts = Vec::with_capacity(sources.len() + 1);
        let mut count = 0;
        for source in sources {
            starts.push(count);
            count += source.len().div_ceil(bytes as u64);
        }
        starts.push(count);
        Self { bytes, starts }
    }

    fn count(&self) -> u64 {
        self.starts.last().copied().unwrap_or(0)
    }

    /// The units in so many bytes, at least one.
    fn per(&self, bytes: usize) -> u64 {
        (bytes / self.bytes).max(1) as u64
    }

    fn places(&self, first: u64, units: u64) -> impl Iterator<Item = Place> {
        let mut source = self.starts.partition_point(|&start| start <= first) - 1;
        (first..first + units).map(move |unit| {
            while self.starts[source + 1] <= unit {
                source += 1;
            }
            Place {
                source,
                unit: unit - self.starts[source],
            }
        })
    }
}

fn figures(
    spec: &Spec,
    input: &Input,
    pool: &Pool,
    tally: &Tally,
    passes: u64,
    seconds: f64,
) -> figures::Run {
    let unit = spec.unit.bytes();
    let first = &tally.first;
    let ratio = |pages: u64, stored: u64| (pages * unit as u64) as f64 / stored as f64;
    let others = first.pages - first.same_filled;
    let same_filled_bytes = first.same_filled * size_of::<u64>() as u64;
    let report = figures::Report::new(&first.report, pool.unavailable());
    let compress = tally.compress.figures(spec.threads, unit);
    let decompress = tally.decompress.figures(spec.threads, unit);
    let data_bytes = (first.pages * unit as u64 - first.padding_bytes) as f64;
    let ns_per_4k = |direction: &figures::Direction| {
        direction.ns_per_page.mean * first.pages as f64 / data_bytes * PAGE as f64
    };
    let data = figures::Data {
        ratio: data_bytes / first.stored_bytes as f64,
        compress_ns_per_4k: ns_per_4k(&compress),
        decompress_ns_per_4k: ns_per_4k(&decompress),
    };
    let memory = pool
        .memory()
        .contexts
        .first()
        .map(|(_, context)| figures::Memory {
            dst_buffers: context.dst_buffers,
            codec_state: context.codec_state,
            rest: context.rest,
        });
    figures::Run {
        backend: spec.backend.name(),
        codec: pool.codec().name(),
        level: spec.backend.level(),
        huffman: spec.backend.huffman(),
        performed_by: report.performed_by(),
        unit_size: unit,
        batch: spec.batch,
        threads: spec.threads,
        pages: first.pages,
        compressed_bytes: first.stored_bytes,
        ratio: ratio(first.pages, first.stored_bytes),
        ratio_without_same_filled: (others > 0)
            .then(|| ratio(others, first.stored_bytes - same_filled_bytes)),
        incompressible_pages: first.incompressible,
        padded_pages: first.padded,
        padding_bytes: first.padding_bytes,
        dropped_same_filled: first.dropped,
        passes,
        seconds,
        compress,
        decompress,
        data,
        against_smallest_unit: None,
        report,
        memory: memory.unwrap_or_default(),
        verified: tally.bad.is_empty(),
        bad_pages: tally.bad.len() as u64,
        first_bad: tally.bad.first_key_value().map(|(place, fault)| {
            let label = input.sources[place.source].label();
            let offset = place.unit * unit as u64;
            format!("page {} of {label} (at byte {offset}) {fault}", place.unit)
        }),
    }
}

#[cfg(test)]
mod tests;
