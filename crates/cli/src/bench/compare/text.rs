//! A comparison for people: what else is not the same, two tables, and what they
//! come to.

use super::{Both, Change, Comparison, Found, Row, Side, Summary};
use crate::bench::show::lines::{facts, wrapped};
use crate::bench::show::numbers::{figure, hundredths, plural, ratio, spread};
use crate::table::{self, Align, Column};
use std::fmt::Write;

pub(super) fn render(comparison: &Comparison) -> String {
    let Comparison {
        a,
        b,
        rows,
        summary,
        ..
    } = comparison;
    let mut text = String::new();
    side(&mut text, "A", a);
    side(&mut text, "B", b);
    if comparison.differences.is_empty() {
        facts(&mut text, "same", &["host, input and method".to_owned()]);
    }
    for (n, it) in comparison.differences.iter().enumerate() {
        let label = if n == 0 { "differs" } else { "" };
        let told = format!("{}: {} in A, {} in B", it.field, cut(&it.a), cut(&it.b));
        facts(&mut text, label, &[told]);
    }
    let both: Vec<&Row> = rows.iter().filter(|row| row.is_in_both()).collect();
    if !both.is_empty() {
        for (name, of) in DIRECTIONS {
            let _ = writeln!(text, "\n{name}:");
            text.push_str(&table::render(&columns(&both, of)));
        }
        text.push_str(
            "\nns: per page, the median of the repeats; +-: their interquartile range by it. A row differs if\n\
             B/A is further from 1 than the larger of its two +-; ? if there were fewer than 3 repeats.\n",
        );
    }
    for (found, file) in [(Found::A, "A"), (Found::B, "B")] {
        for row in rows.iter().filter(|row| row.found_in == found) {
            wrapped(&mut text, &format!("only in {file}: {}", full_name(row)));
        }
    }
    for note in notes(comparison) {
        wrapped(&mut text, &note);
    }
    come_to(&mut text, summary);
    text
}

/// One direction of a row.
type Of = fn(&Row) -> &Change;

/// Names of the tables, and what is in them.
const DIRECTIONS: [(&str, Of); 2] = [
    ("Compress", |row| &row.compress),
    ("Decompress", |row| &row.decompress),
];

fn side(text: &mut String, label: &str, side: &Side) {
    let mut told = vec![side.file.clone(), plural(side.runs as u64, "run")];
    if side.interrupted {
        told.push("interrupted".to_owned());
    }
    told.extend(side.cpu_model.clone());
    told.push(side.kernel.clone());
    told.push(format!("pagepress {}", side.pagepress_version));
    told.push(format!("sha256 {}...", side.sha256.get(..16).unwrap_or("")));
    facts(text, label, &told);
}

/// The beginning of a value, for hashes and lists are long.
fn cut(value: &str) -> String {
    const CHARS: usize = 28;
    match value.char_indices().nth(CHARS) {
        Some((end, _)) => format!("{}...", &value[..end]),
        None => value.to_owned(),
    }
}

fn columns(rows: &[&Row], of: Of) -> Vec<Column> {
    use Align::{Left, Right};
    let column = |group, heading, align, cell: &dyn Fn(&Row) -> String| Column {
        group,
        heading,
        align,
        cells: rows.iter().map(|row| cell(row)).collect(),
    };
    let or_none =
        |value: Option<f64>, show: fn(f64) -> String| value.map_or_else(|| "-".to_owned(), show);
    let each = |group, of: &dyn Fn(&Row) -> Both<f64>, show: fn(f64) -> String| {
        [
            column(group, "A", Right, &|row| or_none(of(row).a, show)),
            column(group, "B", Right, &|row| or_none(of(row).b, show)),
        ]
    };
    let mut columns = vec![
        column("", "backend", Left, &name),
        column("", "by", Left, &by),
        column("", "unit", Right, &|row| {
            format!("{}k", row.unit_size / 1024)
        }),
        column("", "batch", Right, &|row| row.batch.to_string()),
        column("", "thr", Right, &|row| row.threads.to_string()),
    ];
    columns.extend(each("ns", &|row| of(row).ns_per_page.clone(), figure));
    columns.push(column("", "B/A", Right, &|row| {
        or_none(of(row).b_by_a, ratio)
    }));
    columns.extend(each("+-", &|row| of(row).spread.clone(), spread));
    columns.extend(each(
        "GB/s",
        &|row| of(row).gb_per_second.clone(),
        hundredths,
    ));
    columns.push(column("", "differs", Left, &|row| {
        match (of(row).differs, of(row).b_by_a) {
            (Some(true), Some(by)) if by < 1.0 => "faster",
            (Some(true), _) => "slower",
            (Some(false), _) => "no",
            (None, _) => "?",
        }
        .to_owned()
    }));
    columns
}

fn name(row: &Row) -> String {
    match (row.level, &row.huffman) {
        (Some(level), _) => format!("{}:{level}", row.backend),
        (None, Some(huffman)) => format!("{}:{huffman}", row.backend),
        (None, None) => row.backend.clone(),
    }
}

/// Who did it; a note says so if that is not the same in both.
fn by(row: &Row) -> String {
    if row.modelled {
        return "modelled".to_owned();
    }
    let Both { a, b } = &row.performed_by;
    let name = if a == b { a.as_deref() } else { None };
    name.unwrap_or("(note)").to_owned()
}

/// All that tells a row from the others.
fn full_name(row: &Row) -> String {
    let mut full = format!(
        "{} unit {}k batch {} threads {}",
        name(row),
        row.unit_size / 1024,
        row.batch,
        row.threads
    );
    if row.occurrence > 1 {
        let _ = write!(full, " (number {})", row.occurrence);
    }
    if row.modelled {
        full.push_str(" (modelled)");
    }
    full
}

fn notes(comparison: &Comparison) -> Vec<String> {
    let Comparison {
        a,
        b,
        rows,
        summary,
        ..
    } = comparison;
    let mut notes = Vec::new();
    if a.sha256 != b.sha256 {
        notes.push("note: the inputs are not the same: other pages take other times".to_owned());
    }
    for row in rows.iter().filter(|row| row.is_in_both()) {
        if let Both {
            a: Some(a),
            b: Some(b),
        } = &row.performed_by
            && a != b
        {
            notes.push(format!(
                "note: {}: by {a} in A, by {b} in B",
                full_name(row)
            ));
        }
        if let (Some(a), Some(b)) = (row.ratio.a, row.ratio.b)
            && a != b
        {
            notes.push(format!(
                "note: {}: the compression ratio is {} in A, {} in B",
                full_name(row),
                ratio(a),
                ratio(b)
            ));
        }
    }
    if rows.iter().any(|row| row.modelled) {
        notes.push(
            "note: modelled: a software model of the device ran; its times and ratio are not a \
             device's"
                .to_owned(),
        );
    }
    if summary.in_both == 0 {
        notes.push("note: no run is in both files: there is nothing to compare".to_owned());
    }
    notes
}

fn come_to(text: &mut String, summary: &Summary) {
    let rows = plural(summary.in_both as u64, "row");
    let mut told = format!(
        "{} of {rows} differ by more than their spread: {} in compress, {} in decompress",
        summary.differ, summary.compress_differ, summary.decompress_differ
    );
    if summary.unclear > 0 {
        let _ = write!(told, "; of {} it cannot be told", summary.unclear);
    }
    wrapped(text, &format!("{told}."));
    let steady = summary.steady;
    wrapped(
        text,
        &format!("{steady} of {rows} have a spread of at most 5%."),
    );
}
