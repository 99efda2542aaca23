//! One run: in each turn, workers share the input's units until the time is up.

use super::clock::Ticks;
use super::cpus;
use super::figures;
use super::input::{Input, PAGE, Source};
use super::plan::{Settings, Spec};
use super::timing::{self, Scale, Sum};
use super::worker::{Gear, Pass, Place, Tally, Worker};
use super::zsmalloc::Classes;
use crate::error::Error;
use crossbeam_channel::{Receiver, Sender, bounded};
use pagepress::Pool;
use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

/// Bytes of input per piece of work: what a core's cache holds.
const WORK_BYTES: usize = 256 << 10;
/// Bytes that every worker starts a turn with, untimed: 256 pages of 4 KiB.
pub(crate) const WARM_UP_BYTES: usize = 1 << 20;

/// Neighbouring units, counted over all sources.
#[derive(Debug, Clone, Copy)]
struct Work {
    pass: u64,
    first: u64,
    units: u64,
}

/// A run under way: what all its turns have found so far.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    spec: Spec,
    settings: &'a Settings,
    input: &'a Input,
    tools: &'a Tools,
    pool: Pool,
    units: Units,
    cpus: Vec<usize>,
    all: Tally,
    /// The fastest pass of each repeat.
    compress: Vec<Sum>,
    decompress: Vec<Sum>,
    seconds: Vec<f64>,
    passes: u64,
}

/// What all runs of a command measure with.
#[derive(Debug)]
pub(crate) struct Tools {
    pub(crate) ticks: Ticks,
    /// What a timestamp costs.
    pub(crate) timestamp_ns: f64,
    pub(crate) classes: Classes,
}

impl Tools {
    pub(crate) fn new() -> Self {
        let ticks = Ticks::new();
        Self {
            timestamp_ns: ticks.cost_ns(),
            ticks,
            classes: Classes::new(),
        }
    }
}

impl<'a> Session<'a> {
    /// # Errors
    /// If there are not the CPUs to pin to.
    pub(crate) fn new(
        spec: Spec,
        settings: &'a Settings,
        input: &'a Input,
        tools: &'a Tools,
        pool: Pool,
    ) -> Result<Self, Error> {
        Ok(Self {
            units: Units::new(&input.sources, spec.unit.bytes()),
            cpus: pinning(&spec, settings)?,
            spec,
            settings,
            input,
            tools,
            pool,
            all: Tally::new(),
            compress: vec![Sum::default(); settings.repeats],
            decompress: vec![Sum::default(); settings.repeats],
            seconds: vec![0.0; settings.repeats],
            passes: 0,
        })
    }

    /// How much of its time a repeat has had, at most 1.
    pub(crate) fn done(&self, repeat: usize) -> f64 {
        match self.settings.repeat_time().as_secs_f64() {
            _ if self.seconds[repeat] == 0.0 => 0.0,
            time if time > 0.0 => (self.seconds[repeat] / time).min(1.0),
            _ => 1.0,
        }
    }

    /// The same of all repeats together, at most as many as there are.
    pub(crate) fn all_done(&self) -> f64 {
        (0..self.settings.repeats)
            .map(|repeat| self.done(repeat))
            .sum()
    }

    /// Makes one turn of a repeat, and tells `progress` how far it is, from 0 to 1.
    /// One that `interrupted` ends is forgotten.
    ///
    /// # Errors
    /// If a source cannot be read any more, a thread cannot be had, or every page
    /// is left out.
    pub(crate) fn turn(
        &mut self,
        repeat: usize,
        interrupted: &AtomicBool,
        progress: impl FnMut(f64),
    ) -> Result<(), Error> {
        let (spec, settings) = (&self.spec, self.settings);
        let gear = Gear {
            pool: &self.pool,
            sources: &self.input.sources,
            batch: spec.batch,
            skip_same_filled: settings.skip_same_filled,
            ticks: &self.tools.ticks,
            classes: &self.tools.classes,
        };
        let stop = AtomicBool::new(false);
        let (work, works) = bounded(2 * spec.threads);
        // Nothing is sent: a worker that is warm drops its end.
        let (ready, warm) = bounded::<Infallible>(0);

        let (result, passes, seconds) = thread::scope(|scope| {
            let mut workers = Vec::with_capacity(spec.threads);
            for number in 0..spec.threads {
                let (works, ready) = (works.clone(), ready.clone());
                let (units, stop, gear) = (&self.units, &stop, &gear);
                let cpu = self.cpus.get(number).copied();
                let body = move || {
                    let result = work_until_done(gear, units, cpu, works, ready);
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
                        return (Err(Failed::Thread(error).of_worker(number)), None, 0.0);
                    }
                }
            }
            // Only the workers hold these ends now: when they are gone, it shows.
            drop((works, ready));
            let _ = warm.recv();
            let feeder = Feeder {
                units: &self.units,
                time: settings.turn_time(),
                // The first of all passes is the one whose pages are counted.
                first_pass: self.passes,
                to: work,
                stops: [&stop, interrupted],
            };
            let start = Instant::now();
            let passes = feeder.feed(start, progress);
            let result = join(workers);
            (result, passes, start.elapsed().as_secs_f64())
        });
        let mut tally = result?;
        let Some(passes) = passes else {
            return Ok(());
        };
        if self.passes == 0 && tally.first.pages == 0 {
            return Err(Error::NoPages(format!(
                "--skip-same-filled leaves no page: all {} repeat one word",
                tally.first.dropped
            )));
        }
        for [compress, decompress] in tally.passes.values() {
            self.compress[repeat].keep_faster(*compress);
            self.decompress[repeat].keep_faster(*decompress);
        }
        tally.passes.clear();
        self.seconds[repeat] += seconds;
        self.all.merge(tally);
        self.passes += passes;
        Ok(())
    }

    /// Bad pages so far, in words for who waits.
    pub(crate) fn complaint(&self) -> Option<String> {
        let first = self.first_bad()?;
        let (name, bad) = (self.spec.name(), self.all.bad.len());
        let pages = self.all.first.pages;
        Some(format!(
            "{name}: {bad} of {pages} pages bad; first: {first}"
        ))
    }

    fn first_bad(&self) -> Option<String> {
        let (place, fault) = self.all.bad.first_key_value()?;
        let label = self.input.sources[place.source].label();
        let offset = place.unit * self.spec.unit.bytes() as u64;
        Some(format!(
            "page {} of {label} (at byte {offset}) {fault}",
            place.unit
        ))
    }
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

/// Hands out the whole input, again and again until the time is up.
struct Feeder<'a> {
    units: &'a Units,
    time: Duration,
    first_pass: u64,
    to: Sender<Work>,
    stops: [&'a AtomicBool; 2],
}

impl Feeder<'_> {
    /// How often it did; `None` if it was stopped.
    fn feed(self, start: Instant, mut progress: impl FnMut(f64)) -> Option<u64> {
        let all = self.units.count();
        let step = self.units.per(WORK_BYTES);
        let mut passes = 0;
        loop {
            let mut first = 0;
            while first < all {
                let units = step.min(all - first);
                let pass = self.first_pass + passes;
                let work = Work { pass, first, units };
                let stopped = self.stops.iter().any(|stop| stop.load(Ordering::Relaxed));
                if stopped || self.to.send(work).is_err() {
                    return None;
                }
                first += units;
                let of_pass = if passes == 0 {
                    first as f64 / all as f64
                } else {
                    1.0
                };
                let of_time = start.elapsed().as_secs_f64() / self.time.as_secs_f64();
                // The later of the two ends it. Without time it is the pass.
                progress(of_pass.min(if of_time.is_nan() { 1.0 } else { of_time }));
            }
            passes += 1;
            if start.elapsed() >= self.time {
                return Some(passes);
            }
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
fn work_until_done(
    gear: &Gear<'_>,
    units: &Units,
    cpu: Option<usize>,
    works: Receiver<Work>,
    ready: Sender<Infallible>,
) -> Result<Tally, Failed> {
    if let Some(cpu) = cpu {
        cpus::pin_this_thread(cpu).map_err(Failed::Thread)?;
    }
    let mut worker = Worker::new(gear);
    let warm_up = units.per(WARM_UP_BYTES).min(units.count());
    for place in units.places(0, warm_up) {
        worker.push(place, Pass::WarmUp).map_err(Failed::Input)?;
    }
    worker.flush(Pass::WarmUp);
    drop(ready);

    let mut pass = None;
    let kind = |pass| if pass == 0 { Pass::First } else { Pass::Later };
    for work in works {
        // The last pages of a pass may be less than a load.
        if let Some(last) = pass.filter(|&last| last != work.pass) {
            worker.end_pass(last, kind(last));
        }
        pass = Some(work.pass);
        for place in units.places(work.first, work.units) {
            let kind = kind(work.pass);
            worker.push(place, kind).map_err(Failed::Input)?;
        }
    }
    if let Some(last) = pass {
        worker.end_pass(last, kind(last));
    }
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

impl Session<'_> {
    /// What was found; `None` before the first turn is over.
    pub(crate) fn figures(&self) -> Option<figures::Run> {
        if self.passes == 0 {
            return None;
        }
        let (spec, pool, tally) = (&self.spec, &self.pool, &self.all);
        let unit = spec.unit.bytes();
        let first = &tally.first;
        let bytes = first.pages * unit as u64;
        let ratio = |pages: u64, stored: u64| (pages * unit as u64) as f64 / stored as f64;
        let others = first.pages - first.same_filled;
        let same_filled_bytes = first.same_filled * size_of::<u64>() as u64;
        let report = figures::Report::new(&first.report, pool.unavailable());
        let calls = figures::Calls::from(pool.stats());
        let scale = Scale {
            threads: spec.threads,
            unit,
            ticks: &self.tools.ticks,
            timestamp_ns: self.tools.timestamp_ns,
        };
        let compress = timing::figures(&tally.compress, &self.compress, scale);
        let decompress = timing::figures(&tally.decompress, &self.decompress, scale);
        let data_bytes = (bytes - first.padding_bytes) as f64;
        let ns_per_4k = |direction: &figures::Direction| {
            direction.repeats.median * first.pages as f64 / data_bytes * PAGE as f64
        };
        let data = figures::Data {
            ratio: data_bytes / first.stored_bytes as f64,
            compress_ns_per_4k: ns_per_4k(&compress),
            decompress_ns_per_4k: ns_per_4k(&decompress),
        };
        let contexts = pool.memory().contexts;
        let memory = contexts.first().map(|(_, context)| figures::Memory {
            dst_buffers: context.dst_buffers,
            codec_state: context.codec_state,
            rest: context.rest,
        });
        let zsmalloc = first.zsmalloc_bytes;
        Some(figures::Run {
            backend: spec.backend.name(),
            codec: pool.codec().name(),
            level: spec.backend.level(),
            huffman: spec.backend.huffman(),
            performed_by: calls.performed_by(&report),
            unit_size: unit,
            batch: spec.batch,
            threads: spec.threads,
            pages: first.pages,
            compressed_bytes: first.stored_bytes,
            ratio: ratio(first.pages, first.stored_bytes),
            ratio_without_same_filled: (others > 0)
                .then(|| ratio(others, first.stored_bytes - same_filled_bytes)),
            ratio_in_zsmalloc: (unit == PAGE && zsmalloc > 0.0).then(|| bytes as f64 / zsmalloc),
            incompressible_pages: first.incompressible,
            padded_pages: first.padded,
            padding_bytes: first.padding_bytes,
            dropped_same_filled: first.dropped,
            passes: self.passes,
            seconds: self.seconds.iter().sum(),
            compress,
            decompress,
            data,
            against_smallest_unit: None,
            report,
            queues: pool
                .device_stats()
                .into_iter()
                .map(figures::Queue::from)
                .collect(),
            calls,
            memory: memory.unwrap_or_default(),
            verified: tally.bad.is_empty(),
            bad_pages: tally.bad.len() as u64,
            first_bad: self.first_bad(),
        })
    }
}

#[cfg(test)]
mod tests;
