use super::*;
use crate::bench::figures::Skipped;
use crate::bench::made_up;
use roxmltree::{Document, Node, ParsingOptions};

fn parse(page: &str) -> Document<'_> {
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    Document::parse_with_options(page, options).unwrap_or_else(|error| panic!("{error}\n{page}"))
}

fn all<'a, 'b>(
    node: Node<'a, 'b>,
    tag: &'static str,
) -> impl Iterator<Item = Node<'a, 'b>> + Clone {
    node.descendants()
        .filter(move |node| node.has_tag_name(tag))
}

fn text_of(node: Node<'_, '_>) -> String {
    node.descendants()
        .filter_map(|node| node.is_text().then(|| node.text())?)
        .collect()
}

fn class<'a>(node: Node<'a, '_>) -> &'a str {
    node.attribute("class").unwrap_or("")
}

/// Backends, batches and threads in every combination.
fn sweep(backends: &[&'static str], batches: &[usize], threads: &[usize]) -> Vec<Run> {
    let mut runs = Vec::new();
    for (n, &backend) in backends.iter().enumerate() {
        for &batch in batches {
            for &threads in threads {
                let ns = 700.0 * (n + 1) as f64 + 3000.0 / batch as f64;
                let mut run = made_up::run(backend, batch, ns);
                run.threads = threads;
                runs.push(run);
            }
        }
    }
    runs
}

#[test]
fn pages_of_all_sizes_are_well_formed_and_whole() {
    let backends = ["lz4", "zstd", "deflate", "iaa", "model"];
    for (runs, plots) in [
        (sweep(&["lz4"], &[8], &[1]), 6),
        (sweep(&["lz4", "model"], &[8], &[1]), 6 + 5),
        // 4 numbers of threads with 2 + 2 + 5 plots, 12 with batches with 2.
        (sweep(&backends, &[1, 8, 32], &[1, 2, 4, 8]), 4 * 9 + 12 * 2),
    ] {
        let results = made_up::results(runs);
        let page = render(&results);
        let document = parse(&page);
        let root = document.root();
        let figures = all(root, "figure");
        assert_eq!(figures.clone().count(), plots);
        for figure in figures {
            let marks =
                all(figure, "path").filter(|path| matches!(class(*path), "full" | "hollow"));
            assert!(marks.count() > 0, "{}", text_of(figure));
            let ticks = all(figure, "text").filter(|text| matches!(class(*text), "middle" | "end"));
            assert!(ticks.count() >= 3, "{}", text_of(figure));
            let labels = all(figure, "text").filter(|text| class(*text) == "label");
            assert_eq!(labels.count(), 2);
            for path in all(figure, "path") {
                let d = path.attribute("d").unwrap();
                assert!(!d.contains("NaN") && !d.contains("inf"), "{d}");
            }
        }
        let tables: Vec<_> = all(root, "table").collect();
        for table in &tables[..2] {
            let rows: Vec<_> = all(*table, "tr")
                .filter(|row| row.parent_element().unwrap().has_tag_name("tbody"))
                .collect();
            assert_eq!(rows.len(), results.runs.len());
            for (row, run) in rows.iter().zip(&results.runs) {
                let told = text_of(*row);
                assert!(told.starts_with(&run.name()), "{told}");
                assert_eq!(told.contains("modelled"), run.is_modelled(), "{told}");
                let cells = all(*row, "td").filter(|cell| class(*cell) == "right");
                assert!(cells.clone().count() >= 9);
                // Numbers stand on the right, and nothing else does.
                for cell in all(*row, "td") {
                    let is_number =
                        text_of(cell).starts_with(|c: char| c.is_ascii_digit() || c == '-');
                    assert_eq!(is_number, class(cell) == "right", "{told}");
                }
            }
        }
        let sentences = &results.verdict.sentences;
        assert!(
            sentences
                .iter()
                .all(|sentence| root.descendants().any(|node| node.text() == Some(sentence)))
        );
    }
}

#[test]
fn nothing_is_fetched_or_run() {
    let page = render(&made_up::results(sweep(&["lz4", "iaa"], &[1, 8], &[1]))).to_lowercase();
    for reference in [
        "http:", "https:", "//", "src=", "href", "@import", "url(", "<script", "<link", " on",
    ] {
        // A blank and `on` may only be in text.
        let found = page.match_indices(reference).filter(|(at, found)| {
            *found != " on"
                || page[at + 3..]
                    .trim_start_matches(|c: char| c.is_ascii_lowercase())
                    .starts_with('=')
        });
        assert_eq!(found.count(), 0, "{reference}");
    }
}

#[test]
fn what_others_named_stays_text() {
    let hostile = "<script>alert(1)</script>\"&'\u{1}\u{202e}</svg>";
    let shown = hostile.replace(['\u{1}', '\u{202e}'], "\u{fffd}");
    let mut results = made_up::results(sweep(&["lz4"], &[8], &[1]));
    results.input.sources[0].name = hostile.to_owned();
    results.input.skipped.push(Skipped {
        what: hostile.to_owned(),
        why: hostile.to_owned(),
        count: 1,
        unit: "files",
        first: Some(hostile.to_owned()),
        warn: true,
    });
    results.host.cpu_model = Some(hostile.to_owned());
    results.host.kernel = hostile.to_owned();
    results.runs[0].first_bad = Some(hostile.to_owned());
    results.verdict.sentences.push(hostile.to_owned());
    let page = render(&results);
    assert!(!page.contains("<script") && !page.contains('\u{1}') && !page.contains('\u{202e}'));
    let document = parse(&page);
    assert_eq!(all(document.root(), "script").count(), 0);
    let told = text_of(document.root());
    // Title, header thrice, verdict, source, thrice for what was skipped, note.
    assert!(
        told.matches(&shown).count() >= 10,
        "{}",
        told.matches(&shown).count()
    );
}

/// Where the marks are of the n-th plot with this title.
fn places(document: &Document<'_>, title: &str, n: usize) -> Vec<(f64, f64)> {
    let titles = all(document.root(), "figcaption").filter(|it| it.text() == Some(title));
    let figure = titles.map(|it| it.parent().unwrap()).nth(n).unwrap();
    let marks = all(figure, "path").filter(|path| matches!(class(*path), "full" | "hollow"));
    marks
        .map(|mark| {
            let d = mark.attribute("d").unwrap();
            let (x, rest) = d[1..].split_once(' ').unwrap();
            let (y, _) = rest.split_once('m').unwrap();
            (x.parse().unwrap(), y.parse().unwrap())
        })
        .collect()
}

#[test]
fn marks_are_where_their_values_are() {
    let mut runs = vec![
        made_up::run("lz4", 1, 1000.0),
        made_up::run("lz4", 4, 500.0),
    ];
    runs.push(made_up::run("iaa", 1, 2000.0));
    runs.push(made_up::run("iaa", 4, 250.0));
    runs[2].ratio = 3.0;
    let page = render(&made_up::results(runs));
    let document = parse(&page);
    let close = |a: f64, b: f64| assert!((a - b).abs() < 0.25, "{a} {b}");

    let scaling = places(&document, "Compress: time per page against batch", 0);
    let [(x1, y1000), (x4, y500), (again, y2000), (_, y250)] = scaling[..] else {
        panic!("{scaling:?}")
    };
    assert!(x1 < x4 && x1 == again);
    // A logarithmic axis: equal factors are equally far apart, and less is lower.
    assert!(y250 > y500);
    close(y250 - y500, y500 - y1000);
    close(y500 - y1000, y1000 - y2000);

    let speed = places(&document, "Compress: ratio against speed", 0);
    assert!(speed[0].0 < speed[1].0 && speed[2].1 < speed[0].1 && speed[0].1 == speed[1].1);

    // Half as good and twice as good are equally far from the line between.
    let even = places(&document, "Compress: time per page", 0);
    let figure = all(document.root(), "path")
        .find(|path| class(*path) == "level")
        .unwrap();
    let level = figure.attribute("d").unwrap();
    let (_, level) = level[1..].split_once(' ').unwrap();
    let level: f64 = level.split_once('H').unwrap().0.parse().unwrap();
    close(even[0].1 - level, level - even[1].1);
    assert!(even[0].1 > level);

    // One line each for lz4 and iaa at batch 1, from the median to the longest.
    let latency = places(&document, "Compress: time per page", 1);
    assert_eq!(latency.len(), 2 * PERCENTILES);
    for line in latency.chunks(PERCENTILES) {
        assert!(
            line.windows(2)
                .all(|two| two[0].0 < two[1].0 && two[0].1 > two[1].1)
        );
    }
    let above = latency[0].1 - latency[PERCENTILES].1;
    close(above, latency[1].1 - latency[PERCENTILES + 1].1);
    assert!(above > 10.0);
}

const PERCENTILES: usize = 5;

#[test]
fn a_service_and_a_peer_have_their_parts() {
    let mut results = made_up::results(sweep(&["lz4", "model"], &[8], &[1]));
    let before = render(&results);
    results.corunner = Some(made_up::corunner());
    results.peers.push(made_up::peer());
    let page = render(&results);
    let (before, document) = (parse(&before), parse(&page));
    let count = |document: &Document<'_>, tag| all(document.root(), tag).count();
    assert_eq!(count(&document, "figure"), count(&before, "figure") + 1);
    assert_eq!(count(&document, "table"), count(&before, "table") + 3);
    let row = |name: &str| {
        let rows = all(document.root(), "tr").map(text_of);
        let found: Vec<String> = rows.filter(|row| row.starts_with(name)).collect();
        assert!(!found.is_empty(), "{name}");
        found
    };
    assert!(row("nothing")[0].contains("40.0"), "{:?}", row("nothing"));
    let beside = row("model");
    assert!(
        beside
            .iter()
            .any(|row| row.contains("modelled") && row.contains("25.0%"))
    );
    assert_eq!((row("floor").len(), row("lzo-rle").len()), (2, 2));
    let figure = all(document.root(), "figure").last().unwrap();
    let lines = all(figure, "path").filter(|path| class(*path) == "line");
    assert_eq!(lines.count(), 3);
}
