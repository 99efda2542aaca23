//! Times of calls, charged to their pages.

use super::figures::{Direction, NsPerPage};
use hdrhistogram::Histogram;
use std::time::Duration;

/// The longest time per page that is told from longer ones: a minute.
const LONGEST_NS: u64 = 60_000_000_000;
/// Three digits: percentiles are exact to 0.1 %.
const DIGITS: u8 = 3;

/// The times of one direction, by one worker or by all.
///
/// Every page of a call is charged the call's time divided by its pages, for
/// every backend alike: what a device works on at once cannot be told apart.
#[derive(Debug)]
pub(crate) struct Timing {
    per_page: Histogram<u64>,
    longest: f64,
    ns: u128,
    pages: u64,
}

impl Timing {
    pub(crate) fn new() -> Self {
        Self {
            per_page: Histogram::new_with_bounds(1, LONGEST_NS, DIGITS)
                .expect("these bounds are valid"),
            longest: 0.0,
            ns: 0,
            pages: 0,
        }
    }

    /// Adds a call of `pages` pages, at least one. Allocates nothing.
    pub(crate) fn add(&mut self, took: Duration, pages: usize) {
        let ns = took.as_nanos();
        let per_page = ns as f64 / pages as f64;
        self.per_page
            .saturating_record_n(per_page.round() as u64, pages as u64);
        self.longest = self.longest.max(per_page);
        self.ns += ns;
        self.pages += pages as u64;
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.per_page
            .add(&other.per_page)
            .expect("all histograms have the same bounds");
        self.longest = self.longest.max(other.longest);
        self.ns += other.ns;
        self.pages += other.pages;
    }

    /// The figures of `threads` workers, merged. Not numbers if there was no
    /// page.
    pub(crate) fn figures(&self, threads: usize, unit: usize) -> Direction {
        let some = |figure: f64| if self.pages == 0 { f64::NAN } else { figure };
        // A histogram rounds up, which must not pass the exact maximum.
        let at = |quantile| {
            let ns = self.per_page.value_at_quantile(quantile) as f64;
            some(ns.min(self.longest))
        };
        let (ns, pages) = (self.ns as f64, self.pages as f64);
        let pages_per_second = some(threads as f64 * pages / (ns / 1e9));
        Direction {
            ns_per_page: NsPerPage {
                p50: at(0.5),
                p90: at(0.9),
                p99: at(0.99),
                p999: at(0.999),
                max: some(self.longest),
                mean: some(ns / pages),
            },
            pages_per_second,
            mib_per_second: pages_per_second * unit as f64 / f64::from(1 << 20),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_charged_to_its_pages() {
        let mut one = Timing::new();
        one.add(Duration::from_nanos(800), 8);
        let mut other = Timing::new();
        other.add(Duration::from_nanos(1001), 2);
        one.merge(&other);
        let figures = one.figures(2, 4096);
        let ns = &figures.ns_per_page;
        assert_eq!((ns.p50, ns.p99, ns.max), (100.0, 500.5, 500.5));
        assert!((ns.mean - 180.1).abs() < 1e-9);
        assert!((figures.pages_per_second - 2.0 * 10.0 / 1801e-9).abs() < 1.0);
        let mib = figures.pages_per_second / 256.0;
        assert!((figures.mib_per_second - mib).abs() < 1e-3);
    }

    #[test]
    fn no_page_has_no_figures() {
        let figures = Timing::new().figures(1, 4096);
        assert!(figures.pages_per_second.is_nan() && figures.ns_per_page.p50.is_nan());
    }
}
