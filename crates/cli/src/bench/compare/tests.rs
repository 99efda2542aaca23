use super::*;
use serde_json::{Value, json};

fn direction(median: Option<f64>, spread: Option<f64>) -> Value {
    json!({"gb_per_second": 1.5, "repeats": {"values": [], "median": median, "spread": spread}})
}

fn run(backend: &str, batch: usize, median: f64, spread: Option<f64>) -> Value {
    json!({
        "backend": backend, "level": null, "performed_by": "software",
        "unit_size": 4096, "batch": batch, "threads": 1, "ratio": 2.0,
        "compress": direction(Some(median), spread),
        "decompress": direction(Some(100.0), spread),
        "report": {"modelled_pages": 0},
    })
}

fn document(name: &str, runs: &[Value]) -> Value {
    json!({
        "schema": 2,
        "host": {"pagepress_version": "1", "cpu_model": name, "kernel": "Linux 6"},
        "input": {"sha256": "00", "pages": 1},
        "method": {"interrupted": false, "repeats": 3, "timestamp_ns": 1.0, "tsc_hz": null},
        "runs": runs,
    })
}

fn write(dir: &Path, name: &str, content: &str) -> std::path::PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, content).unwrap();
    path
}

fn compared(a: &Value, b: &Value) -> Comparison {
    let dir = tempfile::tempdir().unwrap();
    let [a, b] = [("a", a), ("b", b)]
        .map(|(name, it)| read::document(&write(dir.path(), name, &it.to_string())).unwrap());
    Comparison::of(&a, &b)
}

#[test]
fn a_difference_is_one_beyond_the_larger_spread() {
    let a = [
        run("lz4", 1, 1000.0, Some(0.01)),
        run("lz4", 2, 1000.0, Some(0.01)),
        run("lz4", 3, 1000.0, Some(0.2)),
        run("lz4", 4, 1000.0, None),
        run("lz4", 5, 1000.0, Some(0.0)),
    ];
    let b = [
        run("lz4", 5, 900.0, Some(0.0)),
        run("lz4", 1, 1100.0, Some(0.09)),
        run("lz4", 2, 1100.0, Some(0.11)),
        run("lz4", 3, 1100.0, Some(0.01)),
        run("lz4", 4, 1100.0, Some(0.01)),
    ];
    let comparison = compared(&document("x", &a), &document("x", &b));
    let told: Vec<_> = comparison
        .rows
        .iter()
        .map(|row| row.compress.differs)
        .collect();
    assert_eq!(
        told,
        [Some(true), Some(false), Some(false), None, Some(true)]
    );
    let by: Vec<_> = comparison
        .rows
        .iter()
        .map(|row| row.compress.b_by_a)
        .collect();
    assert_eq!(by, [1.1, 1.1, 1.1, 1.1, 0.9].map(Some));
    assert_eq!(comparison.rows[1].compress.larger_spread, Some(0.11));
    assert_eq!(comparison.differences, []);
    let summary = &comparison.summary;
    assert_eq!(
        (summary.in_both, summary.differ, summary.unclear),
        (5, 2, 1)
    );
    assert_eq!((summary.compress_differ, summary.decompress_differ), (2, 0));
    // Only batch 5: all others have one of 0.09 and more, or none.
    assert_eq!(summary.steady, 1);
    let text = text::render(&comparison);
    assert!(
        text.contains("2 of 5 rows differ by more than their spread: 2 in compress, 0"),
        "{text}"
    );
    assert!(
        text.contains("1 of 5 rows have a spread of at most 5%"),
        "{text}"
    );
    let ends: Vec<_> = text
        .lines()
        .filter(|line| line.starts_with("lz4 "))
        .take(5)
        .collect();
    for (line, end) in ends.iter().zip(["slower", "no", "no", "?", "faster"]) {
        assert!(line.ends_with(end), "{line}");
    }
}

#[test]
fn runs_are_matched_by_what_they_are() {
    let zstd = |level: i32| {
        let mut run = run("zstd", 8, 1000.0, Some(0.0));
        run["level"] = level.into();
        run
    };
    let model = |huffman: &str| {
        let mut run = run("model", 8, 1000.0, Some(0.0));
        run["huffman"] = huffman.into();
        run["performed_by"] = "modelled".into();
        run["report"]["modelled_pages"] = 5.into();
        run
    };
    let at = |key: &str, value: usize| {
        let mut run = run("lz4", 8, 1000.0, Some(0.0));
        run[key] = value.into();
        run
    };
    let lz4 = |ns: f64| run("lz4", 8, ns, Some(0.0));
    let a = [
        zstd(1),
        model("fixed"),
        lz4(1.0),
        lz4(2.0),
        at("threads", 2),
        at("batch", 9),
    ];
    let b = [
        lz4(2.0),
        lz4(8.0),
        lz4(7.0),
        at("unit_size", 8192),
        model("dynamic"),
        zstd(3),
        zstd(1),
    ];
    let comparison = compared(&document("x", &a), &document("x", &b));
    let told: Vec<_> = comparison
        .rows
        .iter()
        .map(|row| {
            (
                row.backend.as_str(),
                row.found_in,
                row.occurrence,
                row.compress.b_by_a,
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("zstd", Found::Both, 1, Some(1.0)),
            ("model", Found::A, 1, None),
            ("lz4", Found::Both, 1, Some(2.0)),
            ("lz4", Found::Both, 2, Some(4.0)),
            ("lz4", Found::A, 1, None),
            ("lz4", Found::A, 1, None),
            ("lz4", Found::B, 3, None),
            ("lz4", Found::B, 1, None),
            ("model", Found::B, 1, None),
            ("zstd", Found::B, 1, None),
        ]
    );
    let summary = &comparison.summary;
    assert_eq!(
        (summary.in_both, summary.only_in_a, summary.only_in_b),
        (3, 3, 4)
    );
    let text = text::render(&comparison);
    let only = "only in B: model:dynamic unit 4k batch 8 threads 1 (modelled)\n";
    assert!(
        text.contains(only) && text.contains("note: modelled: "),
        "{text}"
    );
    assert!(
        text.contains("only in B: lz4 unit 4k batch 8 threads 1 (number 3)\n"),
        "{text}"
    );
}

#[test]
fn what_else_differs_is_said_first() {
    let runs = [run("lz4", 8, 1.0, Some(0.0))];
    let a = document("x", &runs);
    let mut b = document("y", &runs);
    b["input"]["sha256"] = "11".into();
    b["method"]["repeats"] = 4.into();
    b["method"]["timestamp_ns"] = 9.0.into();
    b["method"]["new"] = true.into();
    let comparison = compared(&a, &b);
    let fields: Vec<_> = comparison
        .differences
        .iter()
        .map(|it| it.field.as_str())
        .collect();
    assert_eq!(
        fields,
        [
            "host.cpu_model",
            "input.sha256",
            "method.repeats",
            "method.new"
        ]
    );
    assert_eq!(comparison.differences[3].a, "unknown");
    let text = text::render(&comparison);
    let first = text.find("host.cpu_model: x in A, y in B").unwrap();
    assert!(first < text.find("Compress").unwrap(), "{text}");
    assert!(text.contains("the inputs are not the same"), "{text}");
}

/// However wide the cells are.
#[test]
fn lines_have_at_most_100_columns() {
    let mut wide = run("model-gen2", 4096, 1.2e12, Some(20.0));
    wide["huffman"] = "dynamic".into();
    wide["unit_size"] = 65536.into();
    wide["threads"] = 1024.into();
    wide["performed_by"] = "modelled".into();
    wide["report"]["modelled_pages"] = 1.into();
    wide["compress"]["gb_per_second"] = 123_456.7.into();
    let mut other = wide.clone();
    other["compress"]["repeats"]["median"] = 0.001.into();
    other["performed_by"] = "software".into();
    other["ratio"] = 8192.0.into();
    let runs = [wide, run("lz4", 8, 1.0, None)];
    let comparison = compared(
        &document("x", &runs),
        &document("y", &[other, runs[1].clone()]),
    );
    let text = text::render(&comparison);
    let unbroken = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        unbroken.contains("by modelled in A, by software in B"),
        "{text}"
    );
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

#[test]
fn what_is_no_result_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let good = document("x", &[run("lz4", 8, 1.0, Some(0.0))]);
    let refused = |content: &str| {
        let path = write(dir.path(), "file", content);
        let told = read::document(&path).unwrap_err().to_string();
        assert_eq!(told.lines().count(), 1, "{told}");
        told
    };
    let changed = |pointer: &str, to: Value| {
        let mut document = good.clone();
        *document.pointer_mut(pointer).unwrap() = to;
        document.to_string()
    };
    let whole = good.to_string();
    for (content, why) in [
        (String::new(), "it is empty"),
        ("lz4 8 1".to_owned(), "not JSON, or damaged"),
        (
            whole[..whole.len() / 2].to_owned(),
            "not JSON, or damaged: EOF",
        ),
        ("[1]".to_owned(), "lacks one of host"),
        (
            r#"{"schema":1,"usable":true}"#.to_owned(),
            "lacks one of host",
        ),
        (
            changed("/schema", 1.into()),
            "schema 1, and this pagepress reads 2",
        ),
        (changed("/schema", "2".into()), "schema \"2\""),
        (changed("/runs", json!([])), "it has no runs"),
        (changed("/host/kernel", 6.into()), "in host: "),
        (
            changed("/runs/0/compress/repeats", json!({"median": "1"})),
            "in runs[0]: ",
        ),
        (changed("/runs/0/batch", (-1).into()), "in runs[0]: "),
    ] {
        let told = refused(&content);
        assert!(told.contains(why), "{why}: {told}");
    }
}
