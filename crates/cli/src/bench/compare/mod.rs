//! `pagepress bench --compare`: two results side by side, and which of them are
//! further apart than the repeats of each are.

mod read;
mod text;

use super::args::Format;
use super::show::{csv, json};
use crate::error::Error;
use read::{Direction, Document, Run};
use serde::Serialize;
use std::path::Path;

/// Goes up when a field changes its meaning or goes away; not when one is added.
pub(crate) const SCHEMA: u32 = 1;
/// The spread up to which a run is called steady.
const STEADY: f64 = 0.05;

/// Reads both files and compares them, in this format.
///
/// # Errors
/// If one of them is no result of this command.
pub(crate) fn main(a: &Path, b: &Path, format: Format) -> Result<String, Error> {
    let comparison = Comparison::of(&read::document(a)?, &read::document(b)?);
    Ok(match format {
        Format::Text => text::render(&comparison),
        Format::Json => json::render(&comparison),
        Format::Csv => csv::render(&csv::ROWS, &comparison),
        Format::Html => {
            return Err(Error::Usage(
                "--compare prints text, json or csv, and no html".to_owned(),
            ));
        }
    })
}

/// Two results, run by run.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(crate) struct Comparison {
    schema: u32,
    a: Side,
    b: Side,
    /// What else than the runs is not the same in both.
    differences: Vec<Difference>,
    rows: Vec<Row>,
    summary: Summary,
}

/// One of the two files.
#[derive(Debug, Clone, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Side {
    file: String,
    pagepress_version: String,
    cpu_model: Option<String>,
    kernel: String,
    sha256: String,
    runs: usize,
    interrupted: bool,
}

/// A fact about the host, the input or the method, as each file has it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Difference {
    /// Its name in the schema of the results, such as `host.kernel`.
    field: String,
    a: String,
    b: String,
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
enum Found {
    Both,
    A,
    B,
}

/// A run that is in both files, or in one of them.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Row {
    found_in: Found,
    backend: String,
    level: Option<i32>,
    huffman: Option<String>,
    unit_size: usize,
    batch: usize,
    threads: usize,
    /// Counts runs of one file that are the same in all of that, from 1.
    occurrence: usize,
    /// A software model of a device did pages in one of the two.
    modelled: bool,
    performed_by: Both<String>,
    /// The compression ratio.
    ratio: Both<f64>,
    compress: Change,
    decompress: Change,
}

/// A value of each file; null where the run is not there.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[cfg_attr(test, schemars(rename = "Both_{T}"))]
struct Both<T> {
    a: Option<T>,
    b: Option<T>,
}

/// One direction of a row.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Change {
    /// The median of the repeats.
    ns_per_page: Both<f64>,
    spread: Both<f64>,
    gb_per_second: Both<f64>,
    /// The time of B by that of A.
    b_by_a: Option<f64>,
    /// The larger of the two, null if one is not known.
    larger_spread: Option<f64>,
    /// B and A are further apart than that; null if it cannot be told.
    differs: Option<bool>,
}

/// Counts of the rows that are in both files.
#[derive(Debug, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
struct Summary {
    in_both: usize,
    only_in_a: usize,
    only_in_b: usize,
    /// Rows that differ in one direction, or both.
    differ: usize,
    compress_differ: usize,
    decompress_differ: usize,
    /// Rows of which it cannot be told.
    unclear: usize,
    /// Rows whose four spreads are known, and at most 0.05.
    steady: usize,
}

impl Comparison {
    fn of(a: &Document, b: &Document) -> Self {
        let rows = rows(&a.runs, &b.runs);
        Self {
            schema: SCHEMA,
            differences: differences(a, b),
            summary: Summary::of(&rows),
            rows,
            a: Side::of(a),
            b: Side::of(b),
        }
    }
}

impl Side {
    fn of(document: &Document) -> Self {
        Self {
            file: document.file.clone(),
            pagepress_version: document.host.pagepress_version.clone(),
            cpu_model: document.host.cpu_model.clone(),
            kernel: document.host.kernel.clone(),
            sha256: document.input.sha256.clone(),
            runs: document.runs.len(),
            interrupted: document.method.interrupted,
        }
    }
}

/// What is not the same in both, the names in the order of the first file.
fn differences(a: &Document, b: &Document) -> Vec<Difference> {
    let told = |value: Option<&serde_json::Value>| match value {
        None | Some(serde_json::Value::Null) => "unknown".to_owned(),
        Some(serde_json::Value::String(text)) => text.clone(),
        Some(other) => other.to_string(),
    };
    let mut names: Vec<&String> = a.facts.keys().collect();
    names.extend(b.facts.keys().filter(|name| !a.facts.contains_key(*name)));
    names
        .into_iter()
        .filter(|name| a.facts.get(*name) != b.facts.get(*name))
        .map(|name| Difference {
            field: name.clone(),
            a: told(a.facts.get(name)),
            b: told(b.facts.get(name)),
        })
        .collect()
}

/// All runs of the first file in its order, then what only the second has.
fn rows(a: &[Run], b: &[Run]) -> Vec<Row> {
    let nth = |runs: &[Run], at: usize| {
        let before = runs[..at].iter();
        1 + before.filter(|run| run.key() == runs[at].key()).count()
    };
    let mut taken = vec![false; b.len()];
    let mut rows = Vec::with_capacity(a.len());
    for (at, run) in a.iter().enumerate() {
        let same = (0..b.len()).find(|&other| !taken[other] && b[other].key() == run.key());
        if let Some(same) = same {
            taken[same] = true;
        }
        rows.push(Row::of(Some(run), same.map(|same| &b[same]), nth(a, at)));
    }
    for (at, run) in b.iter().enumerate().filter(|(at, _)| !taken[*at]) {
        rows.push(Row::of(None, Some(run), nth(b, at)));
    }
    rows
}

impl Row {
    /// One of the two, at least, is there.
    fn of(a: Option<&Run>, b: Option<&Run>, occurrence: usize) -> Self {
        let run = a.or(b).expect("a row has a run");
        let both = [a, b];
        let change = |of: fn(&Run) -> &Direction| Change::of(a.map(of), b.map(of));
        Self {
            found_in: match both {
                [Some(_), Some(_)] => Found::Both,
                [_, None] => Found::A,
                [None, _] => Found::B,
            },
            backend: run.backend.clone(),
            level: run.level,
            huffman: run.huffman.clone(),
            unit_size: run.unit_size,
            batch: run.batch,
            threads: run.threads,
            occurrence,
            modelled: both
                .iter()
                .flatten()
                .any(|run| run.report.modelled_pages > 0),
            performed_by: Both {
                a: a.map(|run| run.performed_by.clone()),
                b: b.map(|run| run.performed_by.clone()),
            },
            ratio: Both {
                a: a.map(|run| run.ratio),
                b: b.map(|run| run.ratio),
            },
            compress: change(|run| &run.compress),
            decompress: change(|run| &run.decompress),
        }
    }

    fn changes(&self) -> [&Change; 2] {
        [&self.compress, &self.decompress]
    }

    fn is_in_both(&self) -> bool {
        self.found_in == Found::Both
    }

    /// It does so in one direction, or both.
    fn differs(&self) -> bool {
        self.changes()
            .iter()
            .any(|change| change.differs == Some(true))
    }
}

impl Change {
    fn of(a: Option<&Direction>, b: Option<&Direction>) -> Self {
        let both = |of: fn(&Direction) -> Option<f64>| Both {
            a: a.and_then(of),
            b: b.and_then(of),
        };
        let ns_per_page = both(|it| it.repeats.median);
        let spread = both(|it| it.repeats.spread);
        let b_by_a = match (ns_per_page.a, ns_per_page.b) {
            (Some(a), Some(b)) if a > 0.0 => Some(b / a),
            _ => None,
        };
        let larger_spread = spread.a.zip(spread.b).map(|(a, b)| a.max(b));
        Self {
            differs: b_by_a
                .zip(larger_spread)
                .map(|(b_by_a, spread)| (b_by_a - 1.0).abs() > spread),
            b_by_a,
            larger_spread,
            ns_per_page,
            spread,
            gb_per_second: both(|it| it.gb_per_second),
        }
    }
}

impl Summary {
    fn of(rows: &[Row]) -> Self {
        let only = |found| rows.iter().filter(|row| row.found_in == found).count();
        let both: Vec<&Row> = rows.iter().filter(|row| row.is_in_both()).collect();
        let count = |is: &dyn Fn(&Row) -> bool| both.iter().filter(|row| is(row)).count();
        let steady = |change: &Change| change.larger_spread.is_some_and(|it| it <= STEADY);
        Self {
            in_both: both.len(),
            only_in_a: only(Found::A),
            only_in_b: only(Found::B),
            differ: count(&Row::differs),
            compress_differ: count(&|row| row.compress.differs == Some(true)),
            decompress_differ: count(&|row| row.decompress.differs == Some(true)),
            unclear: count(&|row| {
                !row.differs() && row.changes().iter().any(|change| change.differs.is_none())
            }),
            steady: count(&|row| row.changes().into_iter().all(steady)),
        }
    }
}

#[cfg(test)]
mod tests;
