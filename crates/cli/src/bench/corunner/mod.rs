//! What compression costs a neighbour: a small service and each backend's load on
//! the same CPU.
//!
//! The service (`probe`) follows pointers; the load (`load`) compresses bursts of
//! pages at the same rate for every backend. Service alone and beside each load take
//! turns in every repeat.

mod load;
mod probe;

use super::cpus;
use super::figures::{self, Beside, Corunner, Service};
use super::input::{Input, PAGE};
use super::plan::{Settings, Spec};
use super::progress::Bar;
use super::spread::Repeated;
use crate::error::Error;
use load::{Loaded, Stage};
use pagepress::Pool;
use probe::{Ring, Served};
use std::convert::Infallible;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

/// Bytes that the loads hold, for so many unit sizes.
pub(crate) fn bytes(specs: &[Spec]) -> u64 {
    units(specs).len() as u64 * load::bytes()
}

fn units(specs: &[Spec]) -> Vec<usize> {
    let mut units: Vec<usize> = specs.iter().map(|spec| spec.unit.bytes()).collect();
    units.sort_unstable();
    units.dedup();
    units
}

/// The runs to put beside the service: those that differ in more than their number
/// of threads, as the load has one.
pub(crate) fn beside(specs: &[Spec]) -> Vec<Spec> {
    let mut kept: Vec<Spec> = Vec::new();
    for spec in specs {
        let same = |other: &Spec| {
            (other.backend, other.unit, other.batch) == (spec.backend, spec.unit, spec.batch)
        };
        if !kept.iter().any(same) {
            kept.push(Spec {
                threads: 1,
                ..*spec
            });
        }
    }
    kept
}

/// Half of what the slowest run compresses on one thread, in pages of 4 KiB a second,
/// rounded down to one digit so that two commands choose alike. Models count only
/// where there is nothing else.
pub(crate) fn default_rate(runs: &[figures::Run]) -> f64 {
    half_of_the_slowest(runs.iter().map(|run| {
        let units = run.compress.pages_per_second / run.threads as f64;
        let rate = units * run.unit_size as f64 / PAGE as f64;
        (rate, run.report.modelled_pages > 0)
    }))
}

/// Of rates, and whether each is a model's.
fn half_of_the_slowest(rates: impl Iterator<Item = (f64, bool)> + Clone) -> f64 {
    let slowest = |of_models: bool| {
        let of_kind =
            move |&(rate, modelled): &(f64, bool)| modelled == of_models && rate.is_finite();
        rates
            .clone()
            .filter(of_kind)
            .map(|(rate, _)| rate)
            .min_by(f64::total_cmp)
    };
    let half = slowest(false).or_else(|| slowest(true)).unwrap_or(2.0) / 2.0;
    let digit = 10_f64.powf(half.log10().floor());
    ((half / digit).floor() * digit).max(1.0)
}

/// The service, alone or beside one backend, over all repeats.
struct Neighbour {
    /// What it is beside of; `None` for alone.
    load: Option<(Spec, Pool, Loaded)>,
    served: Served,
    p50: Vec<f64>,
    p99: Vec<f64>,
}

/// Measures, in turns; `None` if it was interrupted before each had one.
///
/// # Errors
/// If a pool cannot be made, the input cannot be read any more, or a thread cannot
/// be had or pinned.
pub(crate) fn measure(
    specs: &[Spec],
    settings: &Settings,
    pages_per_second: f64,
    input: &Input,
    bar: &Bar,
    interrupted: &AtomicBool,
    pool: impl Fn(&Spec) -> Result<Pool, pagepress::Error>,
) -> Result<Option<Corunner>, Error> {
    let on_thread = |source| Error::Corunner { source };
    let cpu = cpus::allowed().map_err(on_thread)?.pop().unwrap_or(0);
    let stages = units(specs).into_iter();
    let mut stages: Vec<Stage> = stages
        .map(|unit| Stage::new(&input.sources, unit, settings.skip_same_filled))
        .collect::<Result<_, _>>()?;
    let mut neighbours = vec![Neighbour::new(None)];
    for spec in specs {
        neighbours.push(Neighbour::new(Some((
            *spec,
            pool(spec)?,
            Loaded::default(),
        ))));
    }
    let time = settings.seconds.div_f64(settings.repeats as f64);
    let turns = neighbours.len() * settings.repeats;
    let mut ring = Ring::new();
    'all: for repeat in 0..settings.repeats {
        for number in 0..neighbours.len() {
            let turn = repeat * neighbours.len() + number;
            let neighbour = &mut neighbours[number];
            bar.run(
                turn,
                format!("{} ({} of {turns})", neighbour.name(), turn + 1),
            );
            let side_by_side = SideBySide {
                cpu,
                time,
                bytes_per_second: pages_per_second * PAGE as f64,
                interrupted,
            };
            match side_by_side.measure(neighbour, &mut ring, &mut stages, |part| {
                bar.set(turn, part)
            }) {
                Err(Error::Interrupted) => break 'all,
                result => result?,
            }
        }
    }
    let mut neighbours = neighbours.iter();
    let alone = neighbours.next().filter(|alone| !alone.p50.is_empty());
    let Some(alone) = alone else {
        return Ok(None);
    };
    Ok(Some(Corunner {
        cpu,
        working_set_bytes: probe::WORKING_SET,
        hops: probe::HOPS,
        interval_us: probe::INTERVAL.as_secs_f64() * 1e6,
        pages_per_second,
        burst_bytes: load::BURST_BYTES,
        alone: alone.service(),
        beside: neighbours.filter_map(Neighbour::figures).collect(),
    }))
}

/// One turn.
struct SideBySide<'a> {
    cpu: usize,
    time: Duration,
    bytes_per_second: f64,
    interrupted: &'a AtomicBool,
}

impl SideBySide<'_> {
    fn measure(
        self,
        neighbour: &mut Neighbour,
        ring: &mut Ring,
        stages: &mut [Stage],
        progress: impl FnMut(f64) + Send,
    ) -> Result<(), Error> {
        let refused = |source| Error::Corunner { source };
        let spawn = |name: &str| thread::Builder::new().name(name.to_owned());
        let stop = AtomicBool::new(false);
        let (served, loaded) = thread::scope(|scope| {
            // Nothing is sent: a load that is warm, or gone, drops its end.
            let (ready, warm) = crossbeam_channel::bounded::<Infallible>(0);
            let load = match &neighbour.load {
                Some((spec, pool, _)) => {
                    let unit = spec.unit.bytes();
                    let stage = stages.iter_mut().find(|stage| stage.unit() == unit);
                    let stage = stage.expect("there is one for each unit size");
                    let (stop, this, batch) = (&stop, &self, spec.batch);
                    let load = move || -> Result<Loaded, std::io::Error> {
                        cpus::pin_this_thread(this.cpu)?;
                        let warm = || drop(ready);
                        let mut loaded = stage.load(pool, batch, this.bytes_per_second, warm, stop);
                        loaded.bad_pages = stage.verify(pool);
                        Ok(loaded)
                    };
                    Some(spawn("load").spawn_scoped(scope, load).map_err(refused)?)
                }
                None => {
                    drop(ready);
                    None
                }
            };
            let stopped = StopAtEnd(&stop);
            let this = &self;
            let service = move || -> Result<Served, Error> {
                let _stopped = stopped;
                cpus::pin_this_thread(this.cpu).map_err(refused)?;
                let _ = warm.recv();
                probe::serve(ring, this.time, this.interrupted, progress)
            };
            // If it cannot be had, it is dropped here, and stops the load.
            let service = spawn("service")
                .spawn_scoped(scope, service)
                .map_err(refused)?;
            let served = join(service)?;
            let loaded = load.map(|load| join(load).map_err(refused)).transpose()?;
            Ok::<_, Error>((served, loaded))
        })?;
        neighbour.add(&served, loaded);
        Ok(())
    }
}

/// Ends the load when the service ends, however it does.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, T>) -> T {
    thread
        .join()
        .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

impl Neighbour {
    fn new(load: Option<(Spec, Pool, Loaded)>) -> Self {
        Self {
            load,
            served: Served::new(),
            p50: Vec::new(),
            p99: Vec::new(),
        }
    }

    fn name(&self) -> String {
        match &self.load {
            Some((spec, ..)) => format!("a service beside {}", spec.name()),
            None => "a service alone".to_owned(),
        }
    }

    fn add(&mut self, served: &Served, loaded: Option<Loaded>) {
        let percentiles = probe::percentiles(&served.latency);
        self.p50.push(percentiles.p50);
        self.p99.push(percentiles.p99);
        self.served.merge(served);
        if let (Some((_, _, all)), Some(loaded)) = (&mut self.load, loaded) {
            all.merge(loaded);
        }
    }

    fn service(&self) -> Service {
        Service {
            requests: self.served.latency.len(),
            latency_ns: probe::percentiles(&self.served.latency),
            work_ns: probe::percentiles(&self.served.work),
            p50_repeats: Repeated::of(self.p50.clone()),
            p99_repeats: Repeated::of(self.p99.clone()),
        }
    }

    fn figures(&self) -> Option<Beside> {
        let (spec, pool, loaded) = self.load.as_ref().filter(|_| !self.p50.is_empty())?;
        let report = figures::Report::new(&loaded.report, pool.unavailable());
        Some(Beside {
            backend: spec.backend.name(),
            level: spec.backend.level(),
            huffman: spec.backend.huffman(),
            performed_by: report.performed_by(),
            unit_size: spec.unit.bytes(),
            batch: spec.batch,
            pages_per_second: loaded.bytes as f64 / PAGE as f64 / loaded.wall.as_secs_f64(),
            cpu_share: loaded.cpu.as_secs_f64() / loaded.wall.as_secs_f64(),
            service: self.service(),
            report,
            bad_pages: loaded.bad_pages,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagepress::Codec;

    #[test]
    fn the_slowest_that_is_no_model_sets_the_rate() {
        let rate = |rates: &[(f64, bool)]| half_of_the_slowest(rates.iter().copied());
        assert_eq!(
            rate(&[(180_000.0, false), (52_345.0, false), (900.0, true)]),
            20_000.0
        );
        assert_eq!(rate(&[(900.0, true), (f64::NAN, false)]), 400.0);
        assert_eq!(rate(&[(f64::NAN, false)]), 1.0);
        assert_eq!(rate(&[(0.001, false)]), 1.0);
    }

    #[test]
    fn the_service_ends_the_load_and_what_it_did_is_verified() {
        let pages: Vec<u8> = (0..40 * PAGE).map(|n| (n / 7) as u8).collect();
        let input = [super::super::input::Source::in_memory("text", pages)];
        let pool = Pool::builder().codec(Codec::ALL[0]).build().unwrap();
        let mut stage = Stage::new(&input, PAGE, false).unwrap();
        for spoiled in [0, 1] {
            let stop = AtomicBool::new(false);
            let loaded = thread::scope(|scope| {
                let load = scope.spawn(|| stage.load(&pool, 3, 1e12, || {}, &stop));
                thread::sleep(Duration::from_millis(20));
                drop(StopAtEnd(&stop));
                load.join().unwrap()
            });
            assert!(loaded.bytes > 0 && loaded.wall >= loaded.cpu);
            assert_eq!(loaded.bytes % load::BURST_BYTES as u64, 0);
            if spoiled == 1 {
                stage.spoil(5);
            }
            assert_eq!(stage.verify(&pool), spoiled);
            // What was verified is not verified again.
            assert_eq!(stage.verify(&pool), 0);
        }
    }
}
