//! The verdict and its table.

use crate::bench::verdict::{BreakEven, Judgement, MEASURES, Measure, Outcome, Point, Way};
use crate::table::{self, Align, Column};

use super::lines::WIDTH;

/// In the second of [`columns`], if a software model did pages.
pub(super) const MODELLED: &str = "modelled";

/// Groups of [`columns`].
const COMPRESS: &str = "compress";
const DECOMPRESS: &str = "decompress";

/// What the cells of [`columns`] mean.
pub(super) const LEGEND: &str = "\
all, N+, some, no: at which batches the device is better by more than the spread (N+: from batch N
on); ?: no difference to be told; 2.00x: it is at best so many times better, below 1 it is worse.
saved: memory saved per CPU second of compressing.
";

/// Nothing if there is nothing to compare.
pub(super) fn text(verdict: &Judgement) -> String {
    let mut text = String::new();
    if !verdict.break_even.is_empty() {
        text.push_str("\nWhere a device is better than software:\n");
        // One after the other: side by side they may have more than 100 columns.
        for group in [COMPRESS, DECOMPRESS] {
            let mut columns = columns(&verdict.break_even);
            columns.retain(|column| column.group.is_empty() || column.group == group);
            text.push_str(&table::render(&columns));
        }
        text.push_str(LEGEND);
    }
    if !verdict.sentences.is_empty() {
        text.push('\n');
    }
    for sentence in &verdict.sentences {
        text.push_str(&wrapped(sentence));
    }
    text
}

/// Broken into lines of [`WIDTH`] columns.
fn wrapped(sentence: &str) -> String {
    let mut text = String::from("verdict:");
    let mut at = text.len();
    for word in sentence.split(' ') {
        let len = word.chars().count();
        if at + 1 + len > WIDTH {
            text.push_str("\n        ");
            at = 8;
        }
        text.push(' ');
        text.push_str(word);
        at += 1 + len;
    }
    text.push('\n');
    text
}

/// One row for each device, software, unit size and number of threads.
pub(super) fn columns(all: &[BreakEven]) -> Vec<Column> {
    let key = |it: &BreakEven| {
        (
            it.device.clone(),
            it.software.clone(),
            it.unit_size,
            it.threads,
        )
    };
    let mut rows: Vec<&BreakEven> = Vec::new();
    for it in all {
        if rows.iter().all(|row| key(row) != key(it)) {
            rows.push(it);
        }
    }
    let column = |group, heading, align, cell: &dyn Fn(&BreakEven) -> String| Column {
        group,
        heading,
        align,
        cells: rows.iter().map(|row| cell(row)).collect(),
    };
    use Align::{Left, Right};
    let mut columns = vec![
        column("", "device", Left, &|row| row.device.clone()),
        column("", "by", Left, &|row| by(row, all).to_owned()),
        column("", "against", Left, &|row| row.software.clone()),
        column("", "unit", Right, &|row| {
            format!("{}k", row.unit_size / 1024)
        }),
        column("", "thr", Right, &|row| row.threads.to_string()),
    ];
    for way in [Way::Compress, Way::Decompress] {
        for (measure, _) in MEASURES.iter().filter(|(_, of)| *of == way) {
            let group = match way {
                Way::Compress => COMPRESS,
                Way::Decompress => DECOMPRESS,
            };
            let heading = match measure {
                Measure::NsPerPage => "time",
                Measure::CpuSecondsPerGb => "CPU",
                Measure::BytesSavedPerCpuSecond => "saved",
            };
            columns.push(column(group, heading, Right, &|row| {
                let same = |it: &&BreakEven| {
                    key(it) == key(row) && (it.measure, it.direction) == (*measure, way)
                };
                all.iter().find(same).map_or("-".to_owned(), cell)
            }));
        }
    }
    columns
}

fn by(row: &BreakEven, all: &[BreakEven]) -> &'static str {
    let of_device = all.iter().filter(|it| it.device == row.device);
    let mut points = of_device.clone().flat_map(|it| &it.points);
    if of_device.clone().any(|it| it.modelled) {
        MODELLED
    } else if points.any(|point| point.software_pages > 0) {
        "mixed"
    } else {
        "hardware"
    }
}

fn cell(it: &BreakEven) -> String {
    let count = |outcome| {
        it.points
            .iter()
            .filter(|point| point.outcome == outcome)
            .count()
    };
    let (better, all) = (count(Outcome::Better), it.points.len());
    let word = match it.from_batch {
        _ if better == all => "all".to_owned(),
        Some(from) if it.points.iter().filter(|point| point.batch >= from).count() == better => {
            format!("{from}+")
        }
        _ if better > 0 => "some".to_owned(),
        _ if count(Outcome::Undecided) == all => "?".to_owned(),
        _ => "no".to_owned(),
    };
    format!("{word} {}", times(best(&it.points)))
}

fn best(points: &[Point]) -> f64 {
    let advantages = points.iter().map(|point| point.advantage);
    advantages.fold(f64::NEG_INFINITY, f64::max)
}

fn times(n: f64) -> String {
    match n {
        n if !n.is_finite() => "-".to_owned(),
        n if n.abs() < 9.995 => format!("{n:.2}x"),
        n if n.abs() < 999.5 => format!("{n:.0}x"),
        _ => ">999x".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sentences_fit_a_terminal() {
        let sentence = ["word"; 90].join(" ");
        let text = wrapped(&sentence);
        assert!(text.lines().count() > 3 && text.lines().all(|line| line.len() <= WIDTH));
        assert_eq!(text.matches("word").count(), 90);
        assert_eq!(
            [0.304, 2.0, 12.7, 1e6].map(times),
            ["0.30x", "2.00x", "13x", ">999x"]
        );
    }
}
