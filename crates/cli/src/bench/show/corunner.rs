//! What a service suffers beside compression, for people.

use super::lines::wrapped;
use super::numbers::{figure, ratio, spread, unit_name};
use super::text::several;
use crate::bench::figures::{Beside, Corunner, Service};
use crate::bench::plan::backend_name;
use crate::table::{self, Align, Column};
use std::fmt::Write;

/// Below this share of what was asked, a load could not keep up.
const KEPT_UP: f64 = 0.95;

/// What the cells of [`columns`] mean.
pub(super) const LEGEND: &str = "\
latency: of requests, in us, from when they are due to their end; work: without the wait for the
CPU; x: by that alone; +-: of p99; CPU: the load's share of it.
";

/// What was measured.
pub(super) fn title(corunner: &Corunner) -> String {
    format!(
        "A service on CPU {} follows {} pointers every {} us, beside {} pages/s in bursts of {}",
        corunner.cpu,
        corunner.hops,
        corunner.interval_us,
        figure(corunner.pages_per_second),
        corunner.burst_bytes >> 12,
    )
}

pub(super) fn render(text: &mut String, corunner: &Corunner) {
    let _ = writeln!(text, "\n{}:", title(corunner));
    text.push_str(&table::render(&columns(corunner)));
    text.push('\n');
    text.push_str(LEGEND);
    for note in notes(corunner) {
        wrapped(text, &note);
    }
}

/// What a reader must know to read the table right.
pub(super) fn notes(corunner: &Corunner) -> Vec<String> {
    let (all, alone) = (&corunner.beside, &corunner.alone.latency_ns);
    let mut notes = Vec::new();
    if all.iter().any(|it| it.service.latency_ns.p99 < alone.p99) {
        notes.push(
            "note: beside some loads the service was faster than alone: an idle CPU takes its time to \
             wake, above all a virtual one on a busy host, and a load keeps it awake"
                .to_owned(),
        );
    }
    let behind = |beside: &&Beside| beside.pages_per_second < KEPT_UP * corunner.pages_per_second;
    for beside in corunner.beside.iter().filter(behind) {
        notes.push(format!(
            "note: {} did not keep up: {} of {} pages/s",
            full_name(beside, all),
            figure(beside.pages_per_second),
            figure(corunner.pages_per_second)
        ));
    }
    if corunner
        .beside
        .iter()
        .any(|beside| beside.report.modelled_pages > 0)
    {
        notes.push(
            "note: modelled: the model of the device works on this CPU, which a device leaves alone"
                .to_owned(),
        );
    }
    for beside in &corunner.beside {
        for (reason, pages) in &beside.report.fallbacks {
            notes.push(format!(
                "fallback: beside the service, {}: {pages} pages done by software: {reason}",
                full_name(beside, all)
            ));
        }
        if beside.bad_pages > 0 {
            notes.push(format!(
                "BAD: beside the service, {}: {} pages did not come back as they were",
                full_name(beside, all),
                beside.bad_pages
            ));
        }
    }
    notes
}

/// The load's backend.
pub(super) fn name(beside: &Beside) -> String {
    backend_name(beside.backend, beside.level, beside.huffman)
}

/// The load's backend, with whatever tells it from the others.
fn full_name(beside: &Beside, all: &[Beside]) -> String {
    let mut full = name(beside);
    if several(all.iter().map(|it| it.unit_size)) {
        let _ = write!(full, " unit {}", unit_name(beside.unit_size));
    }
    if several(all.iter().map(|it| it.batch)) {
        let _ = write!(full, " batch {}", beside.batch);
    }
    full
}

/// The service alone first, then one row per load.
pub(super) fn columns(corunner: &Corunner) -> Vec<Column> {
    use Align::{Left, Right};
    let alone = &corunner.alone;
    // The service alone has a row of its own, which lacks what loads have.
    let load = |heading, align, of: &dyn Fn(&Beside) -> String| Column {
        group: "",
        heading,
        align,
        cells: std::iter::once("-".to_owned())
            .chain(corunner.beside.iter().map(of))
            .collect(),
    };
    let service = |group, heading, of: &dyn Fn(&Service) -> String| Column {
        group,
        heading,
        align: Right,
        cells: std::iter::once(alone)
            .chain(corunner.beside.iter().map(|beside| &beside.service))
            .map(of)
            .collect(),
    };
    let us = |ns: f64| format!("{:.1}", ns / 1e3);
    let times = |ns: f64, alone: f64| ratio(ns / alone);
    let mut backend = load("beside", Left, &name);
    backend.cells[0] = "nothing".to_owned();
    let mut columns = vec![
        backend,
        load("by", Left, &|beside| beside.performed_by.to_owned()),
    ];
    if several(corunner.beside.iter().map(|beside| beside.unit_size)) {
        columns.push(load("unit", Right, &|beside| unit_name(beside.unit_size)));
    }
    columns.extend([
        load("batch", Right, &|beside| beside.batch.to_string()),
        load("pages/s", Right, &|beside| figure(beside.pages_per_second)),
        load("CPU", Right, &|beside| {
            format!("{:.1}%", beside.cpu_share * 100.0)
        }),
        service("latency us", "p50", &|it| us(it.latency_ns.p50)),
        service("latency us", "p99", &|it| us(it.latency_ns.p99)),
        service("latency us", "p99.9", &|it| us(it.latency_ns.p999)),
        service("latency us", "+-", &|it| {
            it.p99_repeats.spread.map_or("-".to_owned(), spread)
        }),
        service("latency us", "x p99", &|it| {
            times(it.latency_ns.p99, alone.latency_ns.p99)
        }),
        service("work us", "p50", &|it| us(it.work_ns.p50)),
        service("work us", "p99", &|it| us(it.work_ns.p99)),
    ]);
    columns
}
