//! Times of calls, charged to their pages.

use super::clock::Ticks;
use super::figures::{Direction, Percentiles};
use super::spread::Repeated;
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time that is told from longer ones: a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// Three digits: percentiles are exact to 0.1 %.
const DIGITS: u8 = 3;
/// Units of the histograms in a nanosecond.
const PER_NS: f64 = 10.0;
/// Share of a batch's time that timing it may cost before it is taken off.
const NEGLIGIBLE: f64 = 0.04;

/// The times of one direction, by one worker or by all, in one repeat or in all.
///
/// Every page of a call is charged the call's time divided by its pages, for
/// every backend alike: what a device works on at once cannot be told apart.
#[derive(Debug)]
pub(crate) struct Timing {
    /// In tenths of a nanosecond.
    per_page: Histogram<u64>,
    per_batch: Histogram<u64>,
    longest_page: f64,
    longest_batch: f64,
    ticks: u64,
    ns: f64,
    cpu: Duration,
    batches: u64,
    pages: u64,
}

impl Timing {
    pub(crate) fn new() -> Self {
        let histogram = || {
            Histogram::new_with_bounds(1, LONGEST_NS * PER_NS as u64, DIGITS)
                .expect("these bounds are valid")
        };
        Self {
            per_page: histogram(),
            per_batch: histogram(),
            longest_page: 0.0,
            longest_batch: 0.0,
            ticks: 0,
            ns: 0.0,
            cpu: Duration::ZERO,
            batches: 0,
            pages: 0,
        }
    }

    /// Adds calls of so many pages, at least one each, that followed each other:
    /// between any two timestamps there was one. They took `cpu` time together.
    /// Allocates nothing.
    pub(crate) fn add_laps(
        &mut self,
        laps: &[u64],
        pages: impl Iterator<Item = usize>,
        cpu: Duration,
        ticks: &Ticks,
    ) {
        for (lap, pages) in laps.windows(2).zip(pages) {
            let took = lap[1].saturating_sub(lap[0]);
            self.add(took, ticks.ns(took), pages);
        }
        self.cpu += cpu;
    }

    fn add(&mut self, ticks: u64, ns: f64, pages: usize) {
        let per_page = ns / pages as f64;
        let units = |ns: f64| (ns * PER_NS).round() as u64;
        self.per_page
            .saturating_record_n(units(per_page), pages as u64);
        self.per_batch.saturating_record(units(ns));
        self.longest_page = self.longest_page.max(per_page);
        self.longest_batch = self.longest_batch.max(ns);
        self.ticks += ticks;
        self.ns += ns;
        self.batches += 1;
        self.pages += pages as u64;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (to, from) in [
            (&mut self.per_page, &other.per_page),
            (&mut self.per_batch, &other.per_batch),
        ] {
            to.add(from).expect("all histograms have the same bounds");
        }
        self.longest_page = self.longest_page.max(other.longest_page);
        self.longest_batch = self.longest_batch.max(other.longest_batch);
        self.ticks += other.ticks;
        self.ns += other.ns;
        self.cpu += other.cpu;
        self.batches += other.batches;
        self.pages += other.pages;
    }

    /// All of it, added up.
    pub(crate) fn sum(&self) -> Sum {
        Sum {
            ns: self.ns,
            cpu: self.cpu,
            batches: self.batches,
            pages: self.pages,
        }
    }
}

/// The times of some calls, added up.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Sum {
    ns: f64,
    cpu: Duration,
    batches: u64,
    pages: u64,
}

impl Sum {
    pub(crate) fn add(&mut self, other: Self) {
        self.ns += other.ns;
        self.cpu += other.cpu;
        self.batches += other.batches;
        self.pages += other.pages;
    }

    /// What came after an earlier sum.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self {
            ns: self.ns - earlier.ns,
            cpu: self.cpu - earlier.cpu,
            batches: self.batches - earlier.batches,
            pages: self.pages - earlier.pages,
        }
    }

    /// Keeps the one with less time per page; of nothing, the other.
    pub(crate) fn keep_faster(&mut self, other: Self) {
        if self.pages == 0
            || other.pages > 0 && other.ns * (self.pages as f64) < self.ns * other.pages as f64
        {
            *self = other;
        }
    }
}

/// How a run's times become figures.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scale<'a> {
    pub(crate) threads: usize,
    pub(crate) unit: usize,
    pub(crate) ticks: &'a Ticks,
    /// What a timestamp costs; there is one for each batch.
    pub(crate) timestamp_ns: f64,
}

/// The figures of all passes, and of the fastest of each repeat. Not numbers if there was no
/// page.
pub(crate) fn figures(all: &Timing, repeats: &[Sum], scale: Scale<'_>) -> Direction {
    let some = |figure: f64| if all.pages == 0 { f64::NAN } else { figure };
    let (pages, batches) = (all.pages as f64, all.batches as f64);
    // Its share of the average batch decides.
    let share = some(scale.timestamp_ns * batches / all.ns);
    let off = if share > NEGLIGIBLE {
        scale.timestamp_ns
    } else {
        0.0
    };
    let mean = |sum: &Sum| (sum.ns - off * sum.batches as f64).max(0.0) / sum.pages as f64;
    let repeats = repeats.iter().filter(|sum| sum.pages > 0);
    let cpu = |sum: &Sum| sum.cpu.as_secs_f64() * 1e9 / (sum.pages as f64 * scale.unit as f64);
    let cpu = Repeated::of(repeats.clone().map(cpu).collect());
    let repeats = Repeated::of(repeats.map(mean).collect());
    let per_page = off * batches / pages;
    let pages_per_second = scale.threads as f64 * 1e9 / repeats.median;
    let percentiles = |histogram: &Histogram<u64>, longest: f64, mean: f64, off: f64| {
        // A histogram rounds up, which must not pass the exact maximum.
        let at = |quantile| {
            let ns = histogram.value_at_quantile(quantile) as f64 / PER_NS;
            some((ns.min(longest) - off).max(0.0))
        };
        Percentiles {
            p50: at(0.5),
            p90: at(0.9),
            p99: at(0.99),
            p999: at(0.999),
            max: some((longest - off).max(0.0)),
            mean: some((mean - off).max(0.0)),
        }
    };
    Direction {
        ns_per_page: percentiles(&all.per_page, all.longest_page, all.ns / pages, per_page),
        ns_per_batch: percentiles(&all.per_batch, all.longest_batch, all.ns / batches, off),
        pages_per_second,
        gb_per_second: pages_per_second * scale.unit as f64 / 1e9,
        cpu_seconds_per_gb: some(cpu.median),
        tsc_ticks_per_page: scale
            .ticks
            .per_second()
            .map(|_| some(all.ticks as f64 / pages)),
        repeats,
        timing_share: share,
        timing_taken_off: off > 0.0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(ticks: &Ticks, timestamp_ns: f64) -> Scale<'_> {
        Scale {
            threads: 2,
            unit: 4096,
            ticks,
            timestamp_ns,
        }
    }

    #[test]
    fn a_call_is_charged_to_its_pages() {
        let ticks = Ticks::new();
        let mut one = Timing::new();
        one.add(1600, 800.0, 8);
        let mut other = Timing::new();
        other.add(2002, 1001.0, 2);
        other.cpu = Duration::from_nanos(4096);
        one.merge(&other);
        let figures = figures(&one, &[one.sum()], scale(&ticks, 1.0));
        let ns = &figures.ns_per_page;
        assert_eq!((ns.p50, ns.p99, ns.max), (100.0, 500.5, 500.5));
        assert!((ns.mean - 180.1).abs() < 1e-9);
        let batch = &figures.ns_per_batch;
        assert!((batch.p50 / 800.0 - 1.0).abs() <= 0.001);
        assert_eq!(batch.max, 1001.0);
        assert!((figures.pages_per_second - 2.0 * 10.0 / 1801e-9).abs() < 1.0);
        let gb = figures.pages_per_second * 4096.0 / 1e9;
        assert!((figures.gb_per_second - gb).abs() < 1e-9);
        assert!((figures.cpu_seconds_per_gb - 4096.0 / 40960.0).abs() < 1e-9);
        assert!(
            figures
                .tsc_ticks_per_page
                .is_none_or(|ticks| ticks == 360.2)
        );
        assert!(!figures.timing_taken_off);
    }

    #[test]
    fn timing_that_costs_much_is_taken_off() {
        let ticks = Ticks::new();
        let mut timing = Timing::new();
        for _ in 0..10 {
            timing.add(100, 100.0, 2);
        }
        let figures = figures(&timing, &[timing.sum()], scale(&ticks, 10.0));
        assert!(figures.timing_taken_off);
        assert!((figures.timing_share - 0.1).abs() < 1e-9);
        assert_eq!(
            (figures.ns_per_page.p50, figures.ns_per_batch.p50),
            (45.0, 90.0)
        );
        assert_eq!(figures.repeats.median, 45.0);
    }

    #[test]
    fn repeats_are_told_apart() {
        let ticks = Ticks::new();
        let repeat = |ns: f64| {
            let mut timing = Timing::new();
            timing.add(1, ns, 1);
            timing
        };
        let repeats = [1000.0, 3000.0, 2000.0].map(repeat);
        let mut all = Timing::new();
        repeats.iter().for_each(|repeat| all.merge(repeat));
        let sums = repeats.map(|repeat| repeat.sum());
        let figures = figures(&all, &sums, scale(&ticks, 0.0));
        assert_eq!(figures.repeats.values, [1000.0, 3000.0, 2000.0]);
        assert_eq!(figures.repeats.median, 2000.0);
        assert!((figures.pages_per_second - 1e6).abs() < 1e-6);
    }

    #[test]
    fn no_page_has_no_figures() {
        let ticks = Ticks::new();
        let figures = figures(&Timing::new(), &[], scale(&ticks, 1.0));
        assert!(figures.pages_per_second.is_nan() && figures.ns_per_page.p50.is_nan());
    }
}
