//! Results as one page to look at: it needs no network, no script and no other
//! file.
//!
//! To add a table, call [`table()`] in [`tables`] with its columns; to add a plot,
//! make a [`section`] with a [`chart::Chart`].

mod axis;
mod chart;
mod markup;
mod plots;

use super::{corunner, numbers, peer, text, verdict};
use crate::bench::figures::{Input, Results, Run};
use crate::table::{Align, Column};
use markup::Markup;
use plots::Plots;

const STYLE: &str = include_str!("style.css");
/// Nothing is fetched and nothing is run, whatever the page holds.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

pub(super) fn render(results: &Results) -> String {
    let mut to = Markup::default();
    to.nest("html", &[("lang", &"en")], |to| {
        to.nest("head", &[], |to| head(to, results));
        to.nest("body", &[], |to| body(to, results));
    });
    format!("<!DOCTYPE html>\n{}", to.finish())
}

fn head(to: &mut Markup, results: &Results) {
    to.empty("meta", &[("charset", &"utf-8")]);
    to.empty(
        "meta",
        &[
            ("http-equiv", &"Content-Security-Policy"),
            ("content", &POLICY),
        ],
    );
    to.empty(
        "meta",
        &[
            ("name", &"viewport"),
            ("content", &"width=device-width, initial-scale=1"),
        ],
    );
    to.element(
        "title",
        &[],
        format!("pagepress bench: {}", machine(results)),
    );
    to.style(STYLE);
}

fn body(to: &mut Markup, results: &Results) {
    let runs = &results.runs;
    header(to, results);
    if !results.verdict.sentences.is_empty() {
        to.nest("section", &[("class", &"verdict")], |to| {
            to.element("h2", &[], "Verdict");
            for sentence in &results.verdict.sentences {
                to.element("p", &[], sentence);
            }
        });
    }
    if runs.iter().any(Run::is_modelled) {
        to.nest("section", &[("class", &"banner")], |to| {
            to.element("b", &[], "Modelled. ");
            to.text(
                "Lines and rows marked so come from a software model of the device that ran on this \
                 CPU: their times and ratio are not a device's.",
            );
        });
    }
    let plots = Plots::new(runs);
    plots.ratio_and_speed(to);
    plots.break_even(to, &results.verdict.break_even);
    plots.scaling(to);
    plots.latency(to);
    beside(to, results);
    tables(to, results);
    notes(to, results);
}

/// What a service suffers beside compression, and what the kernel does.
fn beside(to: &mut Markup, results: &Results) {
    if let Some(of) = &results.corunner {
        let title = "A service on the same CPU";
        section(to, title, corunner::LEGEND, |to| {
            plots::corunner(to, of);
            let modelled = |row: usize| {
                let beside = row.checked_sub(1).and_then(|row| of.beside.get(row));
                beside.is_some_and(|beside| beside.report.modelled_pages > 0)
            };
            table(to, &corunner::title(of), &corunner::columns(of), modelled);
            list(to, corunner::notes(of).into_iter());
        });
    }
    for of in &results.peers {
        section(to, &peer::title(of), peer::LEGEND, |to| {
            let rows = peer::rows(of);
            table(to, "Ratio and speed", &peer::speed(&rows), |_| false);
            table(to, "Repeats and CPU", &peer::cost(&rows), |_| false);
            list(to, peer::notes(of, &results.runs).into_iter());
        });
    }
}

fn machine(results: &Results) -> &str {
    let host = &results.host;
    host.cpu_model.as_deref().unwrap_or(host.arch)
}

fn header(to: &mut Markup, results: &Results) {
    let Results {
        host,
        input,
        method,
        runs,
        ..
    } = results;
    to.nest("header", &[], |to| {
        to.element("h1", &[], "What compressing memory pages costs and saves");
        let mut measured = format!(
            "pagepress bench: {} of {} on {}.",
            numbers::plural(runs.len() as u64, "run"),
            numbers::plural(input.pages, "page"),
            machine(results)
        );
        if runs.iter().all(|run| run.verified) {
            measured.push_str(" Every page of every pass came back as it was.");
        }
        to.element("p", &[], measured);
        to.nest("dl", &[], |to| {
            for (label, facts) in [
                ("input", input_facts(input)),
                ("host", text::host_facts(host)),
                ("method", text::method_facts(method)),
            ] {
                to.element("dt", &[], label);
                to.element("dd", &[], facts.join(", "));
            }
        });
    });
}

fn input_facts(input: &Input) -> Vec<String> {
    const NAMES: usize = 4;
    let names = input
        .sources
        .iter()
        .take(NAMES)
        .map(|source| source.name.as_str());
    let mut names = names.collect::<Vec<_>>().join(", ");
    if input.sources.len() > NAMES {
        names.push_str(&format!(" and {} more", input.sources.len() - NAMES));
    }
    let sample = if input.sample {
        "a sample of this machine: "
    } else {
        ""
    };
    let mut facts = vec![
        format!("{sample}{names}"),
        format!(
            "{} of 4 KiB ({})",
            numbers::plural(input.pages, "page"),
            numbers::size(input.pages * 4096)
        ),
        format!(
            "{} same-filled ({})",
            input.same_filled,
            numbers::percent(input.same_filled as f64 / input.pages as f64)
        ),
    ];
    if input.padded_pages > 0 {
        facts.push(format!("{} padded with zeroes", input.padded_pages));
    }
    facts.push(format!("sha256 {}", input.sha256));
    facts
}

/// A part of the page, with a line on how to read it.
fn section(to: &mut Markup, title: &str, hint: &str, inside: impl FnOnce(&mut Markup)) {
    to.nest("section", &[], |to| {
        to.element("h2", &[], title);
        if !hint.is_empty() {
            to.element("p", &[("class", &"hint")], hint);
        }
        inside(to);
    });
}

fn tables(to: &mut Markup, results: &Results) {
    let (runs, even) = (&results.runs, &results.verdict.break_even);
    let of_run = |row: usize| runs.get(row).is_some_and(Run::is_modelled);
    section(to, "All figures", text::LEGEND, |to| {
        table(to, "Runs", &text::run_columns(runs), of_run);
        let title = "How far repeats are apart, what it costs the CPU, and what is saved";
        table(to, title, &text::cost_columns(runs), of_run);
        if runs.iter().any(|run| run.against_smallest_unit.is_some()) {
            let title = "Per 4 KiB of data, padding not counted; change against the smallest unit";
            table(to, title, &text::sweep_columns(runs), of_run);
        }
        if !even.is_empty() {
            let title = "Where a device is better than software";
            let columns = verdict::columns(even);
            let of_pair = |row: usize| columns[1].cells[row] == verdict::MODELLED;
            table(to, title, &columns, of_pair);
            to.element("p", &[("class", &"hint")], verdict::LEGEND);
        }
    });
    sources(to, &results.input);
}

/// A table; rows that a model had a part in are marked so.
fn table(to: &mut Markup, title: &str, columns: &[Column], is_modelled: impl Fn(usize) -> bool) {
    let class = |column: &Column| match column.align {
        Align::Left => "left",
        Align::Right => "right",
    };
    let rows = columns.iter().map(|column| column.cells.len()).max();
    to.nest("div", &[("class", &"wide")], |to| {
        to.nest("table", &[], |to| {
            to.element("caption", &[], title);
            to.nest("thead", &[], |to| {
                if columns.iter().any(|column| !column.group.is_empty()) {
                    to.nest("tr", &[], |to| {
                        for of in columns.chunk_by(|a, b| a.group == b.group) {
                            let span = of.len();
                            let attributes: [(&str, &dyn std::fmt::Display); 2] =
                                [("class", &"group"), ("colspan", &span)];
                            to.element("th", &attributes, of[0].group);
                        }
                    });
                }
                to.nest("tr", &[], |to| {
                    for column in columns {
                        to.element("th", &[("class", &class(column))], column.heading);
                    }
                });
            });
            to.nest("tbody", &[], |to| {
                for row in 0..rows.unwrap_or(0) {
                    let modelled = is_modelled(row);
                    let marked: &[(&'static str, &dyn std::fmt::Display)] =
                        &[("class", &"modelled")];
                    to.nest("tr", if modelled { marked } else { &[] }, |to| {
                        for (number, column) in columns.iter().enumerate() {
                            let cell = column.cells.get(row).map_or("", String::as_str);
                            let tag = if number == 0 { "th" } else { "td" };
                            to.nest(tag, &[("class", &class(column))], |to| {
                                to.text(cell);
                                if number == 0 && modelled {
                                    to.element("span", &[("class", &"badge")], "modelled");
                                }
                            });
                        }
                    });
                }
            });
        });
    });
}

/// Where pages came from, and what was left out.
fn sources(to: &mut Markup, input: &Input) {
    let column = |heading, align, cells: Vec<String>| Column {
        group: "",
        heading,
        align,
        cells,
    };
    use Align::{Left, Right};
    let all = &input.sources;
    section(to, "Input", "", |to| {
        to.nest("details", &[], |to| {
            to.element("summary", &[], numbers::plural(all.len() as u64, "source"));
            let kinds = all
                .iter()
                .map(|source| format!("{:?}", source.kind).to_lowercase());
            let columns = [
                column(
                    "name",
                    Left,
                    all.iter().map(|source| source.name.clone()).collect(),
                ),
                column("kind", Left, kinds.collect()),
                column(
                    "files",
                    Right,
                    all.iter().map(|source| source.files.to_string()).collect(),
                ),
                column(
                    "bytes",
                    Right,
                    all.iter().map(|source| source.bytes.to_string()).collect(),
                ),
                column(
                    "pages",
                    Right,
                    all.iter().map(|source| source.pages.to_string()).collect(),
                ),
            ];
            table(to, "Sources", &columns, |_| false);
        });
        if !input.skipped.is_empty() {
            to.element("p", &[], "Found and not measured:");
            list(to, input.skipped.iter().map(text::warning));
        }
    });
}

fn notes(to: &mut Markup, results: &Results) {
    let notes = text::notes(results);
    if !notes.is_empty() {
        section(to, "Notes", "", |to| list(to, notes.into_iter()));
    }
}

fn list(to: &mut Markup, lines: impl Iterator<Item = String>) {
    to.nest("ul", &[("class", &"notes")], |to| {
        for line in lines {
            let class = if line.starts_with("BAD") {
                "bad"
            } else {
                "note"
            };
            to.element("li", &[("class", &class)], line);
        }
    });
}

#[cfg(test)]
mod tests;
