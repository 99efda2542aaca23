//! The plots: which figures, on which axes.

use super::axis::{self, Axis};
use super::chart::{Chart, Line, Look, Mark};
use super::markup::Markup;
use super::section;
use crate::bench::figures::{Beside, Corunner, Direction, Run, Service};
use crate::bench::verdict::{BreakEven, MEASURES, Measure, Outcome, Way, distinct};

/// Groups of plots that are open at first.
const OPEN: usize = 2;

const PERCENTILES: [&str; 5] = ["p50", "p90", "p99", "p99.9", "max"];

type Of = fn(&Run) -> &Direction;

const DIRECTIONS: [(&str, Of); 2] = [
    ("Compress", |run| &run.compress),
    ("Decompress", |run| &run.decompress),
];

/// All runs, and how each backend looks in every plot.
pub(super) struct Plots<'a> {
    runs: &'a [Run],
    names: Vec<String>,
}

/// What the plots beside each other have in common. Batch 0 is all of them.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Group {
    unit: usize,
    threads: usize,
    batch: usize,
}

impl Group {
    fn has(self, run: &Run) -> bool {
        (self.unit, self.threads) == (run.unit_size, run.threads)
            && (self.batch == 0 || self.batch == run.batch)
    }

    fn name(self) -> String {
        let s = if self.threads == 1 { "" } else { "s" };
        let mut name = format!("{} KiB pages, {} thread{s}", self.unit / 1024, self.threads);
        if self.batch > 0 {
            name.push_str(&format!(", batch {}", self.batch));
        }
        name
    }
}

impl<'a> Plots<'a> {
    pub(super) fn new(runs: &'a [Run]) -> Self {
        let names = distinct(runs.iter().map(Run::name));
        Self { runs, names }
    }

    /// The times that pages took, from the median to the longest.
    pub(super) fn latency(&self, to: &mut Markup) {
        let hint = "How long a page takes, lower is better: half of all pages take no longer than p50, \
            999 of 1000 no longer than p99.9. Each page is charged its batch's time divided by the \
            batch's pages.";
        section(to, "Latency", hint, |to| {
            self.legend(to);
            let groups = distinct(self.runs.iter().map(|run| Group {
                batch: run.batch,
                ..group(run)
            }));
            self.grouped(to, &groups, |to, runs| {
                for (way, of) in DIRECTIONS {
                    let figures = |run: &Run| {
                        let ns = &of(run).ns_per_page;
                        [ns.p50, ns.p90, ns.p99, ns.p999, ns.max]
                    };
                    let lines = runs.iter().map(|&run| {
                        let marks = figures(run).into_iter().enumerate().map(|(at, ns)| Mark {
                            x: at as f64,
                            y: ns,
                            hollow: run.is_modelled(),
                            tip: tip(run, &format!("{} {}", PERCENTILES[at], axis::time(ns))),
                        });
                        self.line(run, marks.collect())
                    });
                    let chart = Chart {
                        title: format!("{way}: time per page"),
                        x: Axis::names("share of pages that took no longer", &PERCENTILES),
                        y: Axis::log(
                            "time per page",
                            runs.iter().flat_map(|run| figures(run)),
                            axis::time,
                        ),
                        level: None,
                        lines: lines.collect(),
                    };
                    chart.render(to);
                }
            });
        });
    }

    /// What is saved, against how fast.
    pub(super) fn ratio_and_speed(&self, to: &mut Markup) {
        let hint = "Up is more memory saved, right is faster. One mark per run; a line joins the batch \
            sizes of a backend, which change its speed and not its ratio.";
        section(to, "Ratio against speed", hint, |to| {
            self.legend(to);
            self.grouped(to, &self.groups(), |to, runs| {
                for (way, of) in DIRECTIONS {
                    let speed = |run: &Run| of(run).gb_per_second;
                    let chart = Chart {
                        title: format!("{way}: ratio against speed"),
                        x: Axis::log(
                            "speed of all threads together, GB/s",
                            runs.iter().map(|run| speed(run)),
                            axis::gigabytes,
                        ),
                        y: Axis::linear("compression ratio", runs.iter().map(|run| run.ratio)),
                        level: None,
                        lines: self.lines(runs, |run| {
                            let told = format!("ratio {:.3}, {:.3} GB/s", run.ratio, speed(run));
                            (speed(run), run.ratio, told)
                        }),
                    };
                    chart.render(to);
                }
            });
        });
    }

    /// What larger batches gain.
    pub(super) fn scaling(&self, to: &mut Markup) {
        let batches = distinct(self.runs.iter().map(|run| run.batch));
        let hint = if batches.len() > 1 {
            "Median time per page of the repeats, lower is better."
        } else {
            "One batch size was measured; with several (--batch 1,8,32) lines show what batching gains."
        };
        section(to, "Batch scaling", hint, |to| {
            self.legend(to);
            self.grouped(to, &self.groups(), |to, runs| {
                for (way, of) in DIRECTIONS {
                    let time = |run: &Run| of(run).repeats.median;
                    let chart = Chart {
                        title: format!("{way}: time per page against batch"),
                        x: Axis::log2("pages per batch", &batches),
                        y: Axis::log(
                            "time per page",
                            runs.iter().map(|run| time(run)),
                            axis::time,
                        ),
                        level: None,
                        lines: self.lines(runs, |run| {
                            (run.batch as f64, time(run), axis::time(time(run)))
                        }),
                    };
                    chart.render(to);
                }
            });
        });
    }

    /// Where a device beats software; nothing if there is no device.
    pub(super) fn break_even(&self, to: &mut Markup, all: &[BreakEven]) {
        if all.is_empty() {
            return;
        }
        let hint = "How many times better the device is than software at each batch. Above the heavy \
            line the device is better, below it software is. A hollow mark is a difference that the \
            spread of the repeats may explain. A dashed line is of a modelled device.";
        let pair = |it: &BreakEven| (it.device.clone(), it.software.clone());
        let pairs = distinct(all.iter().map(pair));
        let devices = distinct(all.iter().map(|it| &it.device)).len();
        let look = |it: &BreakEven| Look {
            number: if devices == 1 {
                self.number(&it.software)
            } else {
                pairs
                    .iter()
                    .position(|known| *known == pair(it))
                    .unwrap_or(0)
            },
            modelled: it.modelled,
        };
        section(to, "Break-even", hint, |to| {
            let names = pairs.iter().filter_map(|known| {
                let it = all.iter().find(|it| pair(it) == *known)?;
                let by = if it.modelled { " (modelled)" } else { "" };
                Some((
                    look(it),
                    format!("{}{by} against {}", it.device, it.software),
                ))
            });
            legend(to, false, names);
            self.grouped(to, &self.groups(), |to, runs| {
                let Some(here) = runs.first().map(|run| group(run)) else {
                    return;
                };
                for (measure, way) in MEASURES {
                    let is_here = |it: &&BreakEven| {
                        (it.unit_size, it.threads) == (here.unit, here.threads)
                            && (it.measure, it.direction) == (measure, way)
                    };
                    let these: Vec<&BreakEven> = all.iter().filter(is_here).collect();
                    if !these.is_empty() {
                        comparison(measure, way, &these, look).render(to);
                    }
                }
            });
        });
    }

    fn groups(&self) -> Vec<Group> {
        distinct(self.runs.iter().map(group))
    }

    /// The plots of each group, the first ones open.
    fn grouped(&self, to: &mut Markup, groups: &[Group], draw: impl Fn(&mut Markup, &[&Run])) {
        for (number, group) in groups.iter().enumerate() {
            let runs: Vec<&Run> = self.runs.iter().filter(|run| group.has(run)).collect();
            let plots =
                |to: &mut Markup| to.nest("div", &[("class", &"plots")], |to| draw(to, &runs));
            if groups.len() == 1 {
                plots(to);
                continue;
            }
            let open: &[(&'static str, &dyn std::fmt::Display)] = &[("open", &"open")];
            to.nest("details", if number < OPEN { open } else { &[] }, |to| {
                to.element("summary", &[], group.name());
                plots(to);
            });
        }
    }

    fn number(&self, name: &str) -> usize {
        self.names
            .iter()
            .position(|known| known == name)
            .unwrap_or(0)
    }

    fn look(&self, run: &Run) -> Look {
        Look {
            number: self.number(&run.name()),
            modelled: run.is_modelled(),
        }
    }

    fn line(&self, run: &Run, marks: Vec<Mark>) -> Line {
        Line {
            look: self.look(run),
            marks,
        }
    }

    /// One line per backend, in the order of batches.
    fn lines(&self, runs: &[&Run], point: impl Fn(&Run) -> (f64, f64, String)) -> Vec<Line> {
        let mut lines = Vec::new();
        for name in &self.names {
            let mut of: Vec<&Run> = runs
                .iter()
                .copied()
                .filter(|run| run.name() == *name)
                .collect();
            of.sort_by_key(|run| run.batch);
            let Some(&first) = of.first() else { continue };
            let marks = of.iter().map(|run| {
                let (x, y, told) = point(run);
                Mark {
                    x,
                    y,
                    hollow: run.is_modelled(),
                    tip: tip(run, &told),
                }
            });
            lines.push(self.line(first, marks.collect()));
        }
        lines
    }

    fn legend(&self, to: &mut Markup) {
        let names = self.names.iter().filter_map(|name| {
            let run = self.runs.iter().find(|run| run.name() == *name)?;
            Some((self.look(run), label(run)))
        });
        legend(to, true, names);
    }
}

/// The latency of a service alone and beside each backend, with its largest batch and
/// smallest unit.
pub(super) fn corunner(to: &mut Markup, of: &Corunner) {
    let figures = |service: &Service| {
        let ns = &service.latency_ns;
        [ns.p50, ns.p90, ns.p99, ns.p999, ns.max]
    };
    let unit = of.beside.iter().map(|it| it.unit_size).min();
    let batch = of.beside.iter().map(|it| it.batch).max();
    let is_shown = |it: &&Beside| (Some(it.unit_size), Some(it.batch)) == (unit, batch);
    let mut all = vec![("alone".to_owned(), &of.alone, false)];
    for it in of.beside.iter().filter(is_shown) {
        let modelled = it.report.modelled_pages > 0;
        let by = if modelled { " (modelled)" } else { "" };
        let name = format!("beside {}{by}", super::corunner::name(it));
        all.push((name, &it.service, modelled));
    }
    let look = |number: usize| Look {
        number,
        modelled: all[number].2,
    };
    let names = all.iter().enumerate();
    legend(
        to,
        false,
        names.map(|(number, (name, ..))| (look(number), name.clone())),
    );
    let lines = all
        .iter()
        .enumerate()
        .map(|(number, (name, service, modelled))| {
            let marks = figures(service)
                .into_iter()
                .enumerate()
                .map(|(at, ns)| Mark {
                    x: at as f64,
                    y: ns,
                    hollow: *modelled,
                    tip: format!("{name}: {} {}", PERCENTILES[at], axis::time(ns)),
                });
            Line {
                look: look(number),
                marks: marks.collect(),
            }
        });
    let mut title = "Latency of the service".to_owned();
    if let (Some(unit), Some(batch)) = (unit, batch) {
        title.push_str(&format!(
            ", loads of {} KiB pages in batches of {batch}",
            unit / 1024
        ));
    }
    let chart = Chart {
        title,
        x: Axis::names("share of requests that took no longer", &PERCENTILES),
        y: Axis::log(
            "from when a request is due to its end",
            all.iter().flat_map(|(_, service, _)| figures(service)),
            axis::time,
        ),
        level: None,
        lines: lines.collect(),
    };
    to.nest("div", &[("class", &"plots")], |to| chart.render(to));
}

/// A group of all batches.
fn group(run: &Run) -> Group {
    Group {
        unit: run.unit_size,
        threads: run.threads,
        batch: 0,
    }
}

fn comparison(
    measure: Measure,
    way: Way,
    these: &[&BreakEven],
    look: impl Fn(&BreakEven) -> Look,
) -> Chart {
    let points = || these.iter().flat_map(|it| &it.points);
    let batches: Vec<usize> = distinct(points().map(|point| point.batch));
    let way = match way {
        Way::Compress => "Compress",
        Way::Decompress => "Decompress",
    };
    let what = match measure {
        Measure::NsPerPage => "time per page",
        Measure::CpuSecondsPerGb => "CPU seconds per GB",
        Measure::BytesSavedPerCpuSecond => "memory saved per CPU second",
    };
    let lines = these.iter().map(|it| {
        let marks = it.points.iter().map(|point| Mark {
            x: point.batch as f64,
            y: point.advantage,
            hollow: point.outcome == Outcome::Undecided,
            tip: format!(
                "{}{} against {}, batch {}: {}",
                it.device,
                if it.modelled { " (modelled)" } else { "" },
                it.software,
                point.batch,
                axis::times(point.advantage)
            ),
        });
        Line {
            look: look(it),
            marks: marks.collect(),
        }
    });
    Chart {
        title: format!("{way}: {what}"),
        x: Axis::log2("pages per batch", &batches),
        y: Axis::log(
            "times better than software",
            points().map(|point| point.advantage).chain([1.0]),
            axis::times,
        ),
        level: Some(1.0),
        lines: lines.collect(),
    }
}

/// `hollow`: that is how a modelled mark looks in these plots.
fn legend(to: &mut Markup, hollow: bool, names: impl Iterator<Item = (Look, String)>) {
    to.nest("ul", &[("class", &"legend")], |to| {
        for (look, name) in names {
            to.nest("li", &[], |to| {
                look.sample(hollow && look.modelled, to);
                to.element("span", &[], name);
            });
        }
    });
}

/// The name in legends.
fn label(run: &Run) -> String {
    let by = if run.is_modelled() { " (modelled)" } else { "" };
    format!("{}{by}", run.name())
}

/// What is told under the pointer.
fn tip(run: &Run, told: &str) -> String {
    format!("{}, batch {}: {told}", label(run), run.batch)
}
