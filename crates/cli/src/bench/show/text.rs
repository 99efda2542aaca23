//! Results for people: what was measured, one table, and what it means.

use super::lines::{facts, wrapped};
use super::numbers::{
    figure, hundredths, percent, plural, ratio, share, size, spread, tenths, unit_name,
};
use crate::bench::figures::{
    Against, Direction, Input, Method, Queue, Results, Run, Skipped, SourceKind,
};
use crate::bench::host::Host;
use crate::table::{self, Align, Column};
use std::fmt::Write;

/// Lines of one kind before the rest is only counted.
const LINES: usize = 6;
/// Share of padding beyond which figures say little about the data.
const MUCH_PADDING: f64 = 0.01;

/// What the headings of the tables mean.
pub(super) const LEGEND: &str = "\
p50, p99: ns per page, each charged its batch's time divided by the batch's pages; pages/s, GB/s:
all threads, by the fastest pass of each repeat, the median of them; +-: their interquartile range
by it. s/GB: CPU seconds by GB of pages; ticks: of the TSC, per page, which are not the core's
cycles; p99.9: of whole batches, in us; raw: incompressible; zsm: the ratio by the size classes of
zsmalloc, zswap's allocator. pages/s, GB/s, s/GB and +- are of the fastest passes, all else of every
pass, disturbed ones too.
";

pub(super) fn render(results: &Results) -> String {
    let Results {
        host,
        input,
        method,
        runs,
        corunner,
        verdict,
        peers,
    } = results;
    let mut text = String::new();
    describe_input(&mut text, input);
    facts(&mut text, "host", &host_facts(host));
    facts(&mut text, "method", &method_facts(method));
    text.push('\n');
    text.push_str(&table::render(&run_columns(runs)));
    text.push_str("\nHow far repeats are apart, what it costs the CPU, and what is saved:\n");
    text.push_str(&table::render(&cost_columns(runs)));
    let sweep = runs.iter().any(|run| run.against_smallest_unit.is_some());
    if sweep {
        text.push_str(
            "\nPer 4 KiB of data, padding not counted; change against the smallest unit:\n",
        );
        text.push_str(&table::render(&sweep_columns(runs)));
    }
    text.push('\n');
    text.push_str(LEGEND);
    if sweep {
        text.push_str("In the first table, a page is one unit, and its ratio counts padding.\n");
    }
    text.push_str(&super::verdict::text(verdict));
    if runs.iter().all(|run| run.verified) {
        text.push_str("Every page of every pass came back as it was.\n");
    }
    for peer in peers {
        super::peer::render(&mut text, peer, runs);
    }
    for note in notes(results) {
        wrapped(&mut text, &note);
    }
    if let Some(corunner) = corunner {
        super::corunner::render(&mut text, corunner);
    }
    text
}

/// A line for stderr on something that should have been readable.
pub(crate) fn warning(skip: &Skipped) -> String {
    let mut line = format!("{}: skipped {}: {}", skip.what, skip.counted(), skip.why);
    if let Some(first) = &skip.first {
        let which = if skip.count == 1 { "" } else { "first: " };
        let _ = write!(line, " ({which}{first})");
    }
    line
}

fn describe_input(text: &mut String, input: &Input) {
    let size = format!(
        "{} of 4 KiB ({})",
        plural(input.pages, "page"),
        size(input.pages * 4096)
    );
    if input.sample {
        facts(
            text,
            "input",
            &[format!("{size}, a sample of this machine:")],
        );
        describe_sample(text, input);
    } else {
        let names = input.sources.iter().map(|source| match source.kind {
            SourceKind::Directory => format!("{} ({})", source.name, plural(source.files, "file")),
            SourceKind::Cgroup => match (source.processes.unwrap_or(0), source.of_pages) {
                (n, Some(all)) => format!(
                    "{} (processes: {n}), {} of its {all} pages",
                    source.name, source.pages
                ),
                (n, None) => format!("{} (processes: {n})", source.name),
            },
            SourceKind::Core => format!(
                "{} (core file: {}, {})",
                source.name,
                plural(source.segments.unwrap_or(0), "segment"),
                self::size(source.bytes)
            ),
            _ => match source.of_pages {
                Some(all) => format!("{}, {} of its {all} pages", source.name, source.pages),
                None => source.name.clone(),
            },
        });
        facts(
            text,
            "input",
            &[format!("{size} from {}", shortened(names.collect()))],
        );
    }
    let mut counts = vec![format!(
        "{} same-filled ({})",
        input.same_filled,
        percent(input.same_filled as f64 / input.pages as f64)
    )];
    if input.padded_pages > 0 {
        counts.push(format!("{} padded with zeroes", input.padded_pages));
    }
    counts.push(format!(
        "sha256 {}...",
        input.sha256.get(..16).unwrap_or("")
    ));
    facts(text, "", &counts);
    for (n, skip) in input.skipped.iter().take(LINES).enumerate() {
        let label = if n == 0 { "skipped" } else { "" };
        let skip = format!("{} of {}: {}", skip.counted(), skip.what, skip.why);
        facts(text, label, &[skip]);
    }
    if input.skipped.len() > LINES {
        let more = input.skipped.len() - LINES;
        facts(
            text,
            "",
            &[format!("and {more} more kinds; --format json has all")],
        );
    }
}

fn describe_sample(text: &mut String, input: &Input) {
    for (from, is_process) in [("memory of processes", true), ("files", false)] {
        let sources = input
            .sources
            .iter()
            .filter(|source| (source.kind == SourceKind::Process) == is_process);
        let pages: u64 = sources.clone().map(|source| source.pages).sum();
        if pages > 0 {
            let short = |name: &str| name.strip_prefix("process ").unwrap_or(name).to_owned();
            let names = sources.map(|source| short(&source.name)).collect();
            let line = format!("{pages} from {from}: {}", shortened(names));
            facts(text, "", &[line]);
        }
    }
}

/// The first few names, as many as fit a line.
fn shortened(names: Vec<String>) -> String {
    const WIDTH: usize = 52;
    let mut shown = String::new();
    for (n, name) in names.iter().enumerate() {
        if n > 0 && shown.len() + name.len() > WIDTH {
            let _ = write!(shown, " and {} more", names.len() - n);
            break;
        }
        if n > 0 {
            shown.push_str(", ");
        }
        shown.push_str(name);
    }
    shown
}

pub(super) fn host_facts(host: &Host) -> Vec<String> {
    let mut facts = vec![match &host.cpu_model {
        Some(model) => format!("{model} ({})", host.arch),
        None => host.arch.to_owned(),
    }];
    facts.push(if host.cpus_allowed == host.cpus_online {
        plural(host.cpus_online as u64, "CPU")
    } else {
        format!("{} of {} CPUs", host.cpus_allowed, host.cpus_online)
    });
    facts.extend(host.memory_bytes.map(size));
    facts.push(host.kernel.clone());
    facts.extend(host.microcode.as_ref().map(|it| format!("microcode {it}")));
    facts.extend(host.governor.as_ref().map(|it| format!("governor {it}")));
    facts.extend(
        host.turbo
            .map(|on| format!("turbo {}", if on { "on" } else { "off" })),
    );
    facts.extend(
        host.numa_nodes
            .filter(|&nodes| nodes > 1)
            .map(|n| format!("{n} NUMA nodes")),
    );
    if host.virtual_machine {
        facts.push("virtual machine".to_owned());
    }
    facts.push(match &host.devices[..] {
        [] => "no IAA device".to_owned(),
        devices => {
            let engines: usize = devices.iter().map(|device| device.engines).sum();
            let queues = devices.iter().flat_map(|device| &device.queues);
            let (all, usable) = (queues.clone().count(), queues.filter(|q| q.usable).count());
            let modelled = match devices.iter().filter(|device| device.modelled).count() {
                0 => String::new(),
                n if n == devices.len() => " (modelled)".to_owned(),
                n => format!(" ({n} modelled)"),
            };
            format!(
                "{}{modelled} with {} and {} ({usable} usable)",
                plural(devices.len() as u64, "IAA device"),
                plural(engines as u64, "engine"),
                plural(all as u64, "work queue")
            )
        }
    });
    facts.push(format!("pagepress {}", host.pagepress_version));
    facts
}

pub(super) fn method_facts(method: &Method) -> Vec<String> {
    let mut facts = vec![
        format!("{} repeats in turn", method.repeats),
        format!("{} s a run", method.seconds),
        format!("warm-up {} a thread", size(method.warm_up_bytes as u64)),
        format!(
            "a timestamp for each batch, {:.1} ns each",
            method.timestamp_ns
        ),
        match method.tsc_hz {
            Some(hz) => format!("TSC {:.2} GHz", hz / 1e9),
            None => "no TSC".to_owned(),
        },
    ];
    facts.extend(method.tables.as_ref().map(|tables| {
        let pages = plural(tables.trained_pages, "page");
        format!("canned by the tables {}, trained on {pages}", tables.id)
    }));
    facts
}

/// Makes a column of one cell per run.
fn column(
    runs: &[Run],
    group: &'static str,
    heading: &'static str,
    align: Align,
    cell: impl Fn(&Run) -> String,
) -> Column {
    Column {
        group,
        heading,
        align,
        cells: runs.iter().map(cell).collect(),
    }
}

/// One direction of a run.
type Of = fn(&Run) -> &Direction;

const DIRECTIONS: [(&str, Of); 2] = [
    ("compress", |run| &run.compress),
    ("decompress", |run| &run.decompress),
];

pub(super) fn run_columns(runs: &[Run]) -> Vec<Column> {
    use Align::{Left, Right};
    let mut columns = vec![
        column(runs, "", "backend", Left, Run::name),
        column(runs, "", "by", Left, |run| run.performed_by.to_owned()),
    ];
    if several(runs.iter().map(|run| run.unit_size)) {
        columns.push(column(runs, "", "unit", Right, unit));
    }
    columns.extend([
        column(runs, "", "batch", Right, |run| run.batch.to_string()),
        column(runs, "", "thr", Right, |run| run.threads.to_string()),
        column(runs, "", "ratio", Right, |run| ratio(run.ratio)),
        column(runs, "", "raw", Right, |run| {
            share(run.incompressible_pages as f64 / run.pages as f64)
        }),
    ]);
    if runs.iter().any(|run| !run.verified) {
        columns.push(column(runs, "", "ok", Left, |run| {
            if run.verified { "" } else { "NO" }.to_owned()
        }));
    }
    for (group, of) in DIRECTIONS {
        columns.extend([
            column(runs, group, "p50", Right, |run| {
                figure(of(run).ns_per_page.p50)
            }),
            column(runs, group, "p99", Right, |run| {
                figure(of(run).ns_per_page.p99)
            }),
            column(runs, group, "pages/s", Right, |run| {
                figure(of(run).pages_per_second)
            }),
        ]);
    }
    columns
}

/// What compression costs the CPU, and the tail of a batch.
pub(super) fn cost_columns(runs: &[Run]) -> Vec<Column> {
    use Align::{Left, Right};
    let mut columns = vec![column(runs, "", "backend", Left, Run::name)];
    if several(runs.iter().map(|run| run.unit_size)) {
        columns.push(column(runs, "", "unit", Right, unit));
    }
    columns.extend([
        column(runs, "", "batch", Right, |run| run.batch.to_string()),
        column(runs, "", "thr", Right, |run| run.threads.to_string()),
        column(runs, "", "zsm", Right, |run| {
            run.ratio_in_zsmalloc.map_or("-".to_owned(), ratio)
        }),
    ]);
    for (group, of) in DIRECTIONS {
        columns.extend([
            column(runs, group, "+-", Right, |run| {
                of(run).repeats.spread.map_or("-".to_owned(), spread)
            }),
            column(runs, group, "GB/s", Right, |run| {
                hundredths(of(run).gb_per_second)
            }),
            column(runs, group, "s/GB", Right, |run| {
                hundredths(of(run).cpu_seconds_per_gb)
            }),
            column(runs, group, "ticks", Right, |run| {
                of(run).tsc_ticks_per_page.map_or("-".to_owned(), figure)
            }),
            column(runs, group, "p99.9", Right, |run| {
                tenths(of(run).ns_per_batch.p999 / 1e3)
            }),
        ]);
    }
    columns
}

/// The sweep over unit sizes, on the same scale for all.
pub(super) fn sweep_columns(runs: &[Run]) -> Vec<Column> {
    use Align::{Left, Right};
    let change = |run: &Run, of: fn(&Against) -> f64| match &run.against_smallest_unit {
        Some(against) if run.unit_size != against.unit_size && of(against).is_finite() => {
            format!("{:+.1}%", of(against) * 100.0)
        }
        _ => "-".to_owned(),
    };
    vec![
        column(runs, "", "backend", Left, Run::name),
        column(runs, "", "batch", Right, |run| run.batch.to_string()),
        column(runs, "", "thr", Right, |run| run.threads.to_string()),
        column(runs, "", "unit", Right, unit),
        column(runs, "", "padding", Right, |run| percent(padding(run))),
        column(runs, "saved", "ratio", Right, |run| ratio(run.data.ratio)),
        column(runs, "saved", "change", Right, |run| {
            change(run, |against| against.ratio)
        }),
        column(runs, "compress", "mean ns", Right, |run| {
            figure(run.data.compress_ns_per_4k)
        }),
        column(runs, "compress", "change", Right, |run| {
            change(run, |against| against.compress_ns)
        }),
        column(runs, "decompress", "mean ns", Right, |run| {
            figure(run.data.decompress_ns_per_4k)
        }),
        column(runs, "decompress", "change", Right, |run| {
            change(run, |against| against.decompress_ns)
        }),
    ]
}

/// What a reader must know to read the tables right.
pub(super) fn notes(results: &Results) -> Vec<String> {
    let Results {
        host,
        input,
        method,
        runs,
        ..
    } = results;
    let mut notes = Vec::new();
    if method.interrupted {
        notes.push(format!(
            "note: interrupted: {} of {} measured, the last ones in fewer repeats",
            runs.len(),
            plural(method.runs_asked as u64, "run")
        ));
    }
    let taken_off = |run: &&Run| run.compress.timing_taken_off || run.decompress.timing_taken_off;
    if let Some(run) = runs.iter().find(taken_off) {
        let share = |of: &Direction| {
            if of.timing_taken_off {
                of.timing_share
            } else {
                0.0
            }
        };
        notes.push(format!(
            "note: timestamps were {} of {}'s time, and were taken off wherever they were above 4%",
            percent(share(&run.compress).max(share(&run.decompress))),
            full_name(run, runs)
        ));
    }
    if !host.optimised_build {
        notes.push(
            "note: a build without optimisation: its times mean nothing; build with --release"
                .to_owned(),
        );
    }
    if input.changed_files > 0 {
        notes.push(format!(
            "note: {} changed while being measured; the sha256 is of the first reading",
            plural(input.changed_files, "file")
        ));
    }
    let mut units: Vec<&Run> = Vec::new();
    for run in runs {
        if padding(run) > MUCH_PADDING && units.iter().all(|u| u.unit_size != run.unit_size) {
            units.push(run);
        }
    }
    for run in units {
        notes.push(format!(
            "note: {} of the bytes in units of {} are padding of short sources, \
             and the ratio counts them",
            percent(padding(run)),
            unit(run)
        ));
    }
    if let Some(run) = runs.iter().find(|run| run.dropped_same_filled > 0) {
        notes.push(format!(
            "note: --skip-same-filled left out {} of {}",
            plural(run.dropped_same_filled, "same-filled page"),
            unit(run)
        ));
    }
    if runs.iter().any(Run::is_modelled) {
        notes.push(
            "note: modelled: a software model of the device ran here; its times and ratio are not a \
             device's"
                .to_owned(),
        );
    }
    for run in runs {
        let sum = |of: fn(&Queue) -> u64| run.queues.iter().map(of).sum::<u64>();
        let trouble: Vec<String> = [
            (sum(|q| q.refused), "refused"),
            (sum(|q| q.page_faults), "page faults"),
            (sum(|q| q.timeouts), "timeouts"),
            (sum(|q| q.errors), "errors"),
            (sum(|q| q.mismatches), "mismatches"),
        ]
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, what)| format!("{count} {what}"))
        .collect();
        if !trouble.is_empty() {
            notes.push(format!(
                "note: {}: of {} descriptors in all passes, {}",
                full_name(run, runs),
                sum(|q| q.submitted),
                trouble.join(", ")
            ));
        }
        for (reason, pages) in &run.report.fallbacks {
            let why = run.report.unavailable.as_ref();
            let why =
                why.map(|why| format!(" ({}: {}; see pagepress doctor)", why.link, why.found));
            notes.push(format!(
                "fallback: {}: {} done by software: {reason}{}",
                full_name(run, runs),
                plural(*pages, "page"),
                why.unwrap_or_default()
            ));
        }
        // A run wholly in software has told above why.
        for (way, reason, pages) in run
            .calls
            .fallbacks()
            .filter(|_| run.performed_by == "mixed")
        {
            notes.push(format!(
                "fallback: {}: in all passes, {way}: {} done by software: {reason}",
                full_name(run, runs),
                plural(pages, "page")
            ));
        }
        if let Some(first) = &run.first_bad {
            notes.push(format!(
                "BAD: {}: {} of {} did not come back as they were; first: {first}",
                full_name(run, runs),
                run.bad_pages,
                plural(run.pages, "page")
            ));
        }
    }
    notes
}

fn padding(run: &Run) -> f64 {
    run.padding_bytes as f64 / (run.pages * run.unit_size as u64) as f64
}

/// The name, with whatever tells the run from the others.
pub(super) fn full_name(run: &Run, runs: &[Run]) -> String {
    let mut full = run.name();
    if several(runs.iter().map(|run| run.unit_size)) {
        let _ = write!(full, " unit {}", unit(run));
    }
    if several(runs.iter().map(|run| run.batch)) {
        let _ = write!(full, " batch {}", run.batch);
    }
    if several(runs.iter().map(|run| run.threads)) {
        let _ = write!(full, " threads {}", run.threads);
    }
    full
}

fn unit(run: &Run) -> String {
    unit_name(run.unit_size)
}

pub(super) fn several(mut values: impl Iterator<Item = usize>) -> bool {
    let first = values.next();
    values.any(|value| Some(value) != first)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_lists_are_cut() {
        let names = |n: usize| (0..n).map(|i| format!("/some/where/{i}")).collect();
        assert_eq!(shortened(names(2)), "/some/where/0, /some/where/1");
        assert!(shortened(names(500)).ends_with(" more"));
        assert!(shortened(names(500)).len() < 80);
    }
}
