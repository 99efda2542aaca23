//! Where a device breaks even with software, and what to make of it.
//!
//! A device's run is compared with the software runs of its unit size and number
//! of threads: with the one of its batch, or else with the best. Only what
//! exceeds the larger spread of the two is a difference.

mod sentences;

use super::figures::{Direction, Run};
use serde::Serialize;

const PAGE: usize = 4096;

/// What the runs say together.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Judgement {
    /// For people; none if there is nothing to compare.
    pub(crate) sentences: Vec<String>,
    pub(crate) break_even: Vec<BreakEven>,
}

/// A device against one software codec, by one measure, over all batches.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct BreakEven {
    /// With its codes, as users name it.
    pub(crate) device: String,
    /// A software model of the device did pages of it.
    pub(crate) modelled: bool,
    /// With its level.
    pub(crate) software: String,
    pub(crate) unit_size: usize,
    pub(crate) threads: usize,
    pub(crate) direction: Way,
    pub(crate) measure: Measure,
    /// The device is better at this batch and at all larger ones measured.
    pub(crate) from_batch: Option<usize>,
    /// In the order of their batches.
    pub(crate) points: Vec<Point>,
}

/// A device against a software codec at one batch.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Point {
    pub(crate) batch: usize,
    pub(crate) software_batch: usize,
    pub(crate) device: f64,
    pub(crate) software: f64,
    /// How many times better the device is; below 1 it is worse.
    pub(crate) advantage: f64,
    /// What the difference must exceed, in the measure's unit; `None` if there
    /// were too few repeats for a spread.
    pub(crate) larger_spread: Option<f64>,
    pub(crate) outcome: Outcome,
    /// Of the device's pages this way, in all passes, those that software did.
    pub(crate) software_pages: u64,
    pub(crate) pages: u64,
}

/// Which of the two a point speaks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Outcome {
    /// The device.
    Better,
    /// Software.
    Worse,
    /// They are closer than their spread, or it is not known.
    Undecided,
}

/// What is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub(crate) enum Measure {
    NsPerPage,
    CpuSecondsPerGb,
    BytesSavedPerCpuSecond,
}

/// Which way pages go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Compress,
    Decompress,
}

/// All that is compared. Memory is saved by compressing.
pub(crate) const MEASURES: [(Measure, Way); 5] = [
    (Measure::NsPerPage, Way::Compress),
    (Measure::NsPerPage, Way::Decompress),
    (Measure::CpuSecondsPerGb, Way::Compress),
    (Measure::CpuSecondsPerGb, Way::Decompress),
    (Measure::BytesSavedPerCpuSecond, Way::Compress),
];

impl Way {
    fn of(self, run: &Run) -> &Direction {
        match self {
            Self::Compress => &run.compress,
            Self::Decompress => &run.decompress,
        }
    }
}

impl Measure {
    fn more_is_better(self) -> bool {
        self == Self::BytesSavedPerCpuSecond
    }

    fn of(self, run: &Run, way: Way) -> f64 {
        let direction = way.of(run);
        match self {
            Self::NsPerPage => direction.repeats.median,
            Self::CpuSecondsPerGb => direction.cpu_seconds_per_gb,
            Self::BytesSavedPerCpuSecond => saved_share(run) / direction.cpu_seconds_per_gb * 1e9,
        }
    }

    /// How many times better `one` is than `other`.
    fn advantage(self, one: f64, other: f64) -> f64 {
        if self.more_is_better() {
            one / other
        } else {
            other / one
        }
    }
}

/// The share of the pages' memory that need not be kept.
fn saved_share(run: &Run) -> f64 {
    match run.ratio_in_zsmalloc {
        Some(ratio) => 1.0 - 1.0 / ratio,
        // All were same-filled, of which zsmalloc keeps nothing.
        None if run.unit_size == PAGE => 1.0,
        None => 1.0 - 1.0 / run.ratio,
    }
}

/// A run that a device or a model did pages of, and that can be believed.
fn is_device(run: &Run) -> bool {
    let calls = &run.calls;
    calls.compress.hardware_pages + calls.decompress.hardware_pages > 0 && run.verified
}

/// A run of a codec that was asked for as such.
fn is_software(run: &Run) -> bool {
    run.backend == run.codec && run.verified
}

/// Judges all runs of a command.
pub(crate) fn judge(runs: &[Run]) -> Judgement {
    let break_even = break_even(runs);
    Judgement {
        sentences: sentences::all(runs, &break_even),
        break_even,
    }
}

/// Each value once, in the order of the first.
pub(crate) fn distinct<T: PartialEq>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut all = Vec::new();
    for value in values {
        if !all.contains(&value) {
            all.push(value);
        }
    }
    all
}

fn break_even(runs: &[Run]) -> Vec<BreakEven> {
    let places = |run: &Run| (run.name(), run.unit_size, run.threads);
    let devices = distinct(runs.iter().filter(|run| is_device(run)).map(places));
    let mut all = Vec::new();
    for (device, unit_size, threads) in devices {
        let here = |run: &&Run| (run.unit_size, run.threads) == (unit_size, threads);
        let rivals = runs.iter().filter(|run| is_software(run)).filter(here);
        for software in distinct(rivals.map(Run::name)) {
            let named = |name: &str| {
                let is = |run: &&Run| run.name() == name;
                runs.iter().filter(here).filter(is).collect::<Vec<&Run>>()
            };
            let (mut ours, mut theirs) = (named(&device), named(&software));
            ours.retain(|run| is_device(run));
            theirs.retain(|run| is_software(run));
            for (measure, direction) in MEASURES {
                let points = points(&ours, &theirs, measure, direction);
                if points.is_empty() {
                    continue;
                }
                all.push(BreakEven {
                    device: device.clone(),
                    modelled: ours.iter().any(|run| run.is_modelled()),
                    software: software.clone(),
                    unit_size,
                    threads,
                    direction,
                    measure,
                    from_batch: from_batch(&points),
                    points,
                });
            }
        }
    }
    all
}

fn points(ours: &[&Run], theirs: &[&Run], measure: Measure, way: Way) -> Vec<Point> {
    let mut points: Vec<Point> = ours
        .iter()
        .filter(|run| measure.of(run, way).is_finite())
        .filter_map(|device| {
            let same = theirs
                .iter()
                .copied()
                .filter(|run| run.batch == device.batch);
            let same: Vec<&Run> = same.collect();
            let software = best(&same, measure, way).or_else(|| best(theirs, measure, way))?;
            Some(point(device, software, measure, way))
        })
        .collect();
    points.sort_by_key(|point| point.batch);
    points
}

/// The best of these runs, if any has a figure.
fn best<'a>(runs: &[&'a Run], measure: Measure, way: Way) -> Option<&'a Run> {
    let known = runs
        .iter()
        .copied()
        .filter(|run| measure.of(run, way).is_finite());
    known.min_by(|a, b| {
        let (a, b) = (measure.of(a, way), measure.of(b, way));
        if measure.more_is_better() {
            b.total_cmp(&a)
        } else {
            a.total_cmp(&b)
        }
    })
}

fn point(device: &Run, software: &Run, measure: Measure, way: Way) -> Point {
    let (ours, theirs) = (measure.of(device, way), measure.of(software, way));
    // CPU time is that of the same calls: it is as far apart as their time is.
    let spread = |run: &Run, figure: f64| {
        way.of(run)
            .repeats
            .spread
            .map(|spread| spread * figure.abs())
    };
    let larger_spread = spread(device, ours)
        .zip(spread(software, theirs))
        .map(|(ours, theirs)| ours.max(theirs));
    let outcome = match larger_spread {
        Some(spread) if (ours - theirs).abs() > spread => {
            if (ours > theirs) == measure.more_is_better() {
                Outcome::Better
            } else {
                Outcome::Worse
            }
        }
        _ => Outcome::Undecided,
    };
    let done = match way {
        Way::Compress => &device.calls.compress,
        Way::Decompress => &device.calls.decompress,
    };
    Point {
        batch: device.batch,
        software_batch: software.batch,
        device: ours,
        software: theirs,
        advantage: measure.advantage(ours, theirs),
        larger_spread,
        outcome,
        software_pages: done.software_pages,
        pages: done.pages,
    }
}

fn from_batch(points: &[Point]) -> Option<usize> {
    let won = points
        .iter()
        .rev()
        .take_while(|point| point.outcome == Outcome::Better);
    won.last().map(|point| point.batch)
}

#[cfg(test)]
mod tests;
