//! A peer's figures for people, below those of the runs.

use super::lines::wrapped;
use super::numbers::{figure, percent, plural, ratio, spread};
use crate::bench::figures::{Direction, Peer, PeerRun, Run};
use crate::table::{self, Align, Column};
use std::fmt::Write;

/// Ten times what a hundred size classes take if each has half a chain of 8 pages
/// unused: with less memory than that, this is more than a tenth of it.
const FEW_BYTES: u64 = 100 * 4 * 4096 * 10;

/// A line of a table.
pub(super) struct Row<'a> {
    name: &'a str,
    run: &'a PeerRun,
    /// Its pages are not the input's.
    is_floor: bool,
}

type Of = fn(&PeerRun) -> &Direction;

/// What the cells mean.
pub(super) const LEGEND: &str = "\
memory: the ratio by all memory taken; same: repeat one word; raw: kept as they are (huge); floor:
as many pages of one repeated word each, which make the same system calls and need no codec;
above: the median of the repeats less the floor's, in ns: the codec and zsmalloc.
";

/// What was measured.
pub(super) fn title(peer: &Peer) -> String {
    format!(
        "Beside the kernel ({}): the same pages by system calls of 4 KiB, one thread",
        peer.peer
    )
}

/// The floor first.
pub(super) fn rows(peer: &Peer) -> Vec<Row<'_>> {
    let floor = peer.floor.iter().map(|run| Row {
        name: "floor",
        run,
        is_floor: true,
    });
    let algorithms = peer.algorithms.iter().map(|run| Row {
        name: &run.algorithm,
        run,
        is_floor: false,
    });
    floor.chain(algorithms).collect()
}

pub(super) fn render(text: &mut String, peer: &Peer, runs: &[Run]) {
    let name = peer.peer;
    let _ = writeln!(text, "\n{}:", title(peer));
    let rows = rows(peer);
    if rows.is_empty() {
        text.push_str("nothing: the command was interrupted before\n");
        return;
    }
    text.push_str(&table::render(&speed(&rows)));
    let _ = writeln!(
        text,
        "\nHow far {name}'s repeats are apart, and what it costs the CPU:"
    );
    text.push_str(&table::render(&cost(&rows)));
    text.push('\n');
    text.push_str(LEGEND);
    for note in notes(peer, runs) {
        wrapped(text, &note);
    }
}

/// What a reader must know to read the tables right.
pub(super) fn notes(peer: &Peer, runs: &[Run]) -> Vec<String> {
    let name = peer.peer;
    let mut notes = Vec::new();
    if peer.runs().all(|run| run.verified) {
        notes.push(format!(
            "Every page of every pass came back from {name} as it was."
        ));
    }
    if runs.iter().any(|run| run.unit_size != peer.unit_size) {
        notes.push(format!(
            "note: {name} has pages of 4 KiB, whatever the units of the runs are"
        ));
    }
    let most = peer.algorithms.iter().map(|run| run.mm_stat.mem_used_total);
    if most.max().is_some_and(|most| most < FEW_BYTES) {
        notes.push(
            "note: the memory of so few pages is in good part that of size classes with partly \
             filled pages"
                .to_owned(),
        );
    }
    if peer.algorithms.len() < peer.algorithms_asked {
        let asked = plural(peer.algorithms_asked as u64, "algorithm");
        notes.push(format!(
            "note: interrupted: {} of {asked} of {name} measured",
            peer.algorithms.len()
        ));
    }
    for Row { name: row, run, .. } in rows(peer) {
        if let Some(first) = &run.first_bad {
            notes.push(format!(
                "BAD: {name} {row}: {} of {} did not come back as they were; first: {first}",
                run.bad_pages,
                plural(run.pages, "page")
            ));
        }
    }
    notes
}

/// Makes a column of one cell per row.
fn column(
    rows: &[Row<'_>],
    group: &'static str,
    heading: &'static str,
    cell: impl Fn(&Row<'_>) -> String,
) -> Column {
    Column {
        group,
        heading,
        align: Align::Right,
        cells: rows.iter().map(cell).collect(),
    }
}

fn names(rows: &[Row<'_>]) -> Column {
    Column {
        align: Align::Left,
        ..column(rows, "", "algorithm", |row| row.name.to_owned())
    }
}

const DIRECTIONS: [(&str, Of); 2] = [("store", |run| &run.store), ("load", |run| &run.load)];

pub(super) fn speed(rows: &[Row<'_>]) -> Vec<Column> {
    let of_input = |heading, cell: fn(&PeerRun) -> String| {
        column(rows, "", heading, move |row| match row.is_floor {
            true => "-".to_owned(),
            false => cell(row.run),
        })
    };
    let mut columns = vec![
        names(rows),
        of_input("ratio", |run| finite(run.ratio)),
        of_input("memory", |run| finite(run.effective_ratio)),
        of_input("same", |run| percent(run.same_filled_share)),
        of_input("raw", |run| {
            run.incompressible_share.map_or("-".to_owned(), percent)
        }),
    ];
    for (group, of) in DIRECTIONS {
        columns.extend([
            column(rows, group, "p50 ns", |row| {
                figure(of(row.run).ns_per_page.p50)
            }),
            column(rows, group, "p99 ns", |row| {
                figure(of(row.run).ns_per_page.p99)
            }),
            column(rows, group, "pages/s", |row| {
                figure(of(row.run).pages_per_second)
            }),
        ]);
    }
    columns
}

pub(super) fn cost(rows: &[Row<'_>]) -> Vec<Column> {
    let mut columns = vec![names(rows)];
    for (group, of) in DIRECTIONS {
        columns.extend([
            column(rows, group, "mean ns", |row| {
                figure(of(row.run).ns_per_page.mean)
            }),
            column(rows, group, "above", |row| match &row.run.above_floor {
                Some(above) if group == "store" => figure(above.store_ns),
                Some(above) => figure(above.load_ns),
                None => "-".to_owned(),
            }),
            column(rows, group, "+-", |row| {
                let apart = of(row.run).repeats.spread;
                apart.map_or("-".to_owned(), spread)
            }),
            column(rows, group, "GB/s", |row| {
                format!("{:.2}", of(row.run).gb_per_second)
            }),
            column(rows, group, "s/GB", |row| {
                format!("{:.2}", of(row.run).cpu_seconds_per_gb)
            }),
        ]);
    }
    columns
}

/// Where nothing had to be kept, there is no ratio.
fn finite(n: f64) -> String {
    if n.is_finite() {
        ratio(n)
    } else {
        "-".to_owned()
    }
}
