//! What `pagepress bench` prints for programs, against the schemas that say what it
//! is: JSON, CSV and comparisons.

use jsonschema::Validator;
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

/// Fields that may be missing; all others are required.
const OPTIONAL: [&str; 17] = [
    "/method/tables",
    "/runs/*/calls/compress/fallbacks/*",
    "/runs/*/calls/decompress/fallbacks/*",
    "/input/sources/*/of_pages",
    "/input/skipped/*/first",
    "/runs/*/huffman",
    "/runs/*/against_smallest_unit",
    "/runs/*/report/fallbacks/*",
    "/runs/*/report/unavailable",
    "/runs/*/first_bad",
    "/corunner",
    "/corunner/beside/*/huffman",
    "/corunner/beside/*/report/fallbacks/*",
    "/corunner/beside/*/report/unavailable",
    "/peers/*/algorithms/*/above_floor",
    "/peers/*/algorithms/*/first_bad",
    "/peers/*/floor/first_bad",
];

/// Fields that are null where something is not known, or was not counted.
const NULLABLE: [&str; 26] = [
    "/host/cpu_model",
    "/host/microcode",
    "/host/governor",
    "/host/turbo",
    "/host/numa_nodes",
    "/host/memory_bytes",
    "/host/devices/*/queues/*/mode",
    "/host/devices/*/queues/*/size",
    "/method/tsc_hz",
    "/runs/*/level",
    "/runs/*/ratio_without_same_filled",
    "/runs/*/ratio_in_zsmalloc",
    // Whatever is a floating-point number, or a string, in these.
    "/runs/*/compress/",
    "/runs/*/decompress/",
    "/runs/*/data/",
    "/runs/*/against_smallest_unit/",
    "/verdict/break_even/*/from_batch",
    "/verdict/break_even/*/points/*/larger_spread",
    "/corunner/alone/",
    "/corunner/beside/*/level",
    "/corunner/beside/*/service/",
    "/peers/*/floor",
    "/peers/*/floor/",
    "/peers/*/floor/mm_stat/huge_pages",
    "/peers/*/algorithms/",
    "/peers/*/algorithms/*/mm_stat/huge_pages",
];

/// Numbers that may be negative.
const SIGNED: [&str; 10] = [
    "/runs/*/level",
    "/host/devices/*/queues/*/size",
    "/runs/*/against_smallest_unit/ratio",
    "/runs/*/against_smallest_unit/compress_ns",
    "/runs/*/against_smallest_unit/decompress_ns",
    "/corunner/beside/*/level",
    "/peers/*/algorithms/*/above_floor/store_ns",
    "/peers/*/algorithms/*/above_floor/load_ns",
    "/peers/*/floor/above_floor/store_ns",
    "/peers/*/floor/above_floor/load_ns",
];

/// Strings of which there are a few.
const ENUMS: [&str; 17] = [
    "/method/tables/id",
    "/input/sources/*/kind",
    "/input/skipped/*/unit",
    "/input/sha256",
    "/runs/*/backend",
    "/runs/*/codec",
    "/runs/*/huffman",
    "/runs/*/performed_by",
    "/runs/*/report/unavailable/link",
    "/verdict/break_even/*/direction",
    "/verdict/break_even/*/measure",
    "/verdict/break_even/*/points/*/outcome",
    "/corunner/beside/*/backend",
    "/corunner/beside/*/huffman",
    "/corunner/beside/*/performed_by",
    "/corunner/beside/*/report/unavailable/link",
    "/peers/*/peer",
];

/// The same of comparisons.
const OPTIONAL_OF_ROWS: [&str; 0] = [];
const NULLABLE_OF_ROWS: [&str; 10] = [
    "/a/cpu_model",
    "/b/cpu_model",
    "/rows/*/level",
    "/rows/*/huffman",
    "/rows/*/performed_by/",
    "/rows/*/ratio/",
    "/rows/*/compress/",
    "/rows/*/decompress/",
    "/rows/*/compress/differs",
    "/rows/*/decompress/differs",
];
const SIGNED_OF_ROWS: [&str; 1] = ["/rows/*/level"];
const ENUMS_OF_ROWS: [&str; 6] = [
    "/a/sha256",
    "/rows/*/found_in",
    "/rows/*/backend",
    "/rows/*/huffman",
    "/rows/*/performed_by/a",
    "/rows/*/performed_by/b",
];

/// A schema, and what a document of it may do.
struct Rules {
    validator: Validator,
    optional: &'static [&'static str],
    nullable: &'static [&'static str],
    signed: &'static [&'static str],
    enums: &'static [&'static str],
}

impl Rules {
    fn of_results() -> Self {
        Self {
            validator: validator(include_str!("../bench.schema.json")),
            optional: &OPTIONAL,
            nullable: &NULLABLE,
            signed: &SIGNED,
            enums: &ENUMS,
        }
    }

    fn of_comparisons() -> Self {
        Self {
            validator: validator(include_str!("../compare.schema.json")),
            optional: &OPTIONAL_OF_ROWS,
            nullable: &NULLABLE_OF_ROWS,
            signed: &SIGNED_OF_ROWS,
            enums: &ENUMS_OF_ROWS,
        }
    }

    fn accepts(&self, document: &Value) {
        let errors: Vec<String> = self
            .validator
            .iter_errors(document)
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(errors.is_empty(), "{errors:?}");
    }

    fn may_be_null(&self, value: &Value, place: &str) -> bool {
        self.nullable.iter().any(|it| match it.ends_with('/') {
            true => (value.is_f64() || value.is_string()) && place.starts_with(it),
            false => *it == place,
        })
    }

    /// Damages a good document in every place in every way: none may pass.
    /// Returns how many ways there were.
    fn refuses_damage(&self, document: &Value) -> usize {
        self.accepts(document);
        let mut copy = document.clone();
        let mut tried = 0;
        for (pointer, place) in places(document) {
            let value = document.pointer(&pointer).unwrap();
            for other in self.others(value, &place) {
                *copy.pointer_mut(&pointer).unwrap() = other.clone();
                let passed = self.validator.is_valid(&copy);
                assert!(!passed, "{pointer}: {value} may be {other}");
                tried += 1;
            }
            *copy.pointer_mut(&pointer).unwrap() = value.clone();
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            if document.pointer(parent).unwrap().is_object() {
                let object = copy.pointer_mut(parent).unwrap().as_object_mut().unwrap();
                object.remove(&name.replace("~1", "/").replace("~0", "~"));
                let optional = self.optional.contains(&place.as_str());
                assert_eq!(
                    self.validator.is_valid(&copy),
                    optional,
                    "without {pointer}"
                );
                *copy.pointer_mut(parent).unwrap() = document.pointer(parent).unwrap().clone();
                tried += 1;
            }
        }
        assert_eq!(copy, *document);
        tried
    }

    /// What must not be in the place of a value.
    fn others(&self, value: &Value, place: &str) -> Vec<Value> {
        let mut others = vec![json!([{}]), json!({"": 0})];
        match value {
            // What it would be otherwise is not known here.
            Value::Null => return others,
            Value::Array(_) => others.remove(0),
            Value::Object(_) => others.remove(1),
            _ => Value::Null,
        };
        others.extend((!value.is_boolean()).then(|| json!(true)));
        others.extend((!value.is_string() || self.enums.contains(&place)).then(|| json!("?")));
        if !value.is_number() {
            others.extend([json!(7), json!(7.5)]);
        } else if !value.is_f64() {
            others.push(json!(7.5));
        }
        if !self.signed.contains(&place) {
            others.push(json!(-7));
        }
        if !self.may_be_null(value, place) {
            others.push(Value::Null);
        }
        others
    }
}

fn validator(schema: &str) -> Validator {
    let schema: Value = serde_json::from_str(schema).unwrap();
    assert_eq!(
        schema["$schema"],
        "https://json-schema.org/draft/2020-12/schema"
    );
    jsonschema::meta::validate(&schema).unwrap();
    jsonschema::validator_for(&schema).unwrap()
}

/// Pointers to everything in the document, each with its place: the pointer with
/// `*` for the number in a list and for the reason of a fallback.
fn places(document: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut open = vec![(String::new(), String::new())];
    while let Some((pointer, place)) = open.pop() {
        let children: Vec<_> = match document.pointer(&pointer).unwrap() {
            Value::Object(object) => {
                let any = place.ends_with("/fallbacks");
                let names = object.keys().map(|name| {
                    let name = name.replace('~', "~0").replace('/', "~1");
                    (name.clone(), if any { "*".to_owned() } else { name })
                });
                names.collect()
            }
            Value::Array(list) => (0..list.len())
                .map(|n| (n.to_string(), "*".to_owned()))
                .collect(),
            _ => Vec::new(),
        };
        for (name, general) in children {
            let child = (format!("{pointer}/{name}"), format!("{place}/{general}"));
            found.push(child.clone());
            open.push(child);
        }
    }
    found
}

/// The fields of a document that CSV has, by dotted names: lists count as one, and
/// lists of objects not at all.
fn leaves(value: &Value, name: &str, found: &mut BTreeSet<String>) {
    match value {
        Value::Object(object) => {
            for (child, value) in object {
                let dot = if name.is_empty() { "" } else { "." };
                leaves(value, &format!("{name}{dot}{child}"), found);
            }
        }
        Value::Array(list) if list.first().is_none_or(Value::is_object) => {}
        _ => {
            found.insert(name.to_owned());
        }
    }
}

fn bench(args: &[&str]) -> Vec<u8> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    let output = command.arg("bench").args(args).output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{args:?}: {told}");
    output.stdout
}

fn measured(args: &[&str]) -> Value {
    let quick = ["--seconds", "0", "--repeats", "3", "--format", "json"];
    serde_json::from_slice(&bench(&[args, &quick].concat())).unwrap()
}

/// `None` where the host does not allow it.
fn bench_or_refusal(args: &[&str]) -> Option<Value> {
    let quick = ["--seconds", "0", "--repeats", "3", "--format", "json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    let output = command
        .arg("bench")
        .args(args)
        .args(quick)
        .output()
        .unwrap();
    if output.status.success() {
        return Some(serde_json::from_slice(&output.stdout).unwrap());
    }
    assert_eq!(output.status.code(), Some(2));
    println!("skipped: {}", String::from_utf8_lossy(&output.stderr));
    None
}

/// Some text, some zeroes, a link; the directory's path.
fn filled() -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let lines = (0u64..).flat_map(|i| format!("line {i}: {}\n", i * i % 9973).into_bytes());
    let text: Vec<u8> = lines.take(40_000).collect();
    fs::write(dir.path().join("text"), text).unwrap();
    fs::write(dir.path().join("zeroes"), [0; 8192]).unwrap();
    std::os::unix::fs::symlink("text", dir.path().join("link")).unwrap();
    let path = dir.path().to_str().unwrap().to_owned();
    (dir, path)
}

/// A file of tables for these pages.
fn trained(path: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tables").to_str().unwrap().to_owned();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    let done = command.args(["train", path, "--output", &file]).output();
    assert!(done.unwrap().status.success());
    (dir, file)
}

/// Results of a command that Ctrl-C ended.
fn interrupted(path: &str) -> Value {
    for seconds in [3, 6, 12, 24] {
        let child = Command::new(env!("CARGO_BIN_EXE_pagepress"))
            .args(["bench", "--seconds", "1000", "--repeats", "1000", path])
            .args(["--backend", "lz4,zstd,deflate", "--format", "json"])
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        // Nothing, if it came before the first turn was over.
        if output.status.code() == Some(130) && !output.stdout.is_empty() {
            return serde_json::from_slice(&output.stdout).unwrap();
        }
    }
    panic!("nothing was measured in 24 s");
}

const BACKENDS: &str = "auto,lz4,zstd:-5,zstd,deflate,model,model:dynamic,model-gen2:dynamic";

#[test]
fn results_are_what_the_schema_says_and_nothing_else_is() {
    let (_dir, path) = filled();
    let rules = Rules::of_results();
    let (_tables_dir, tables) = trained(&path);
    let backends = format!("{BACKENDS},deflate:canned,model:canned");
    let everything = measured(&[
        &path,
        "--tables",
        &tables,
        "--backend",
        &backends,
        "--level",
        "1,3",
        "--unit-size",
        "4k,64k",
        "--threads",
        "1,2",
    ]);
    rules.accepts(&everything);
    assert_eq!(everything["runs"].as_array().unwrap().len(), 12 * 2 * 2);

    let pid = std::process::id().to_string();
    let of_process = measured(&["--pid", &pid, "--pid-pages", "16", "--backend", "lz4"]);
    let of_sample = measured(&["--backend", "lz4"]);
    let stopped = interrupted(&path);
    assert_eq!(stopped["method"]["interrupted"], true);
    // One run of each backend is enough for that.
    let mut smaller = everything.clone();
    let runs = smaller["runs"].as_array_mut().unwrap();
    runs.retain(|run| run["threads"] == 2 && run["unit_size"] == 65536);
    assert_eq!(runs.len(), 12);
    let verdict = &mut smaller["verdict"]["break_even"];
    verdict.as_array_mut().unwrap().truncate(5);
    let mut sample = of_sample.clone();
    for list in ["sources", "skipped"] {
        sample["input"][list].as_array_mut().unwrap().truncate(3);
    }
    rules.accepts(&of_sample);
    let mut beside = measured(&[&path, "--backend", "lz4,model", "--corunner"]);
    assert_eq!(beside["corunner"]["beside"].as_array().unwrap().len(), 2);
    // What has runs is tried above.
    beside["runs"].as_array_mut().unwrap().truncate(1);
    let peer = bench_or_refusal(&[&path, "--backend", "lz4", "--peer", "zram"]);
    let mut tried = 0;
    let documents = [smaller, of_process, sample, stopped, beside];
    for document in documents.into_iter().chain(peer) {
        tried += rules.refuses_damage(&document);
    }
    println!("{tried} damaged documents refused");
    assert!(tried > 5000, "{tried}");
}

#[test]
fn comparisons_are_what_the_schema_says_and_nothing_else_is() {
    let (dir, path) = filled();
    let written = |name: &str, document: &Value| -> String {
        let path: PathBuf = dir.path().join(name);
        fs::write(&path, document.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let backends = |names: &'static str| ["--backend", names];
    let a = measured(&[&[path.as_str()][..], &backends("lz4,zstd:1,model")].concat());
    let b = measured(
        &[
            &[path.as_str()][..],
            &backends("zstd:1,model,lz4,lz4,deflate"),
        ]
        .concat(),
    );
    let mut elsewhere = b.clone();
    elsewhere["host"]["cpu_model"] = "Another".into();
    let [a, b, elsewhere] =
        [("a", a), ("b", b), ("c", elsewhere)].map(|(name, it)| written(name, &it));
    let rules = Rules::of_comparisons();
    let compared = |b: &str| -> Value {
        let json = bench(&["--compare", &a, b, "--format", "json"]);
        serde_json::from_slice(&json).unwrap()
    };
    let comparison = compared(&elsewhere);
    let tried = rules.refuses_damage(&comparison);
    println!("{tried} damaged comparisons refused");
    assert!(tried > 500, "{tried}");
    assert_eq!(comparison["differences"][0]["field"], "host.cpu_model");
    assert_eq!(comparison["differences"].as_array().unwrap().len(), 1);
    let rows = comparison["rows"].as_array().unwrap();
    let told: Vec<_> = rows
        .iter()
        .map(|row| (row["backend"].as_str().unwrap(), &row["found_in"]))
        .map(|(name, found)| (name, found.as_str().unwrap()))
        .collect();
    let expected = ["lz4", "zstd", "model"].map(|name| (name, "both"));
    assert_eq!(told[..3], expected);
    assert_eq!(told[3..], [("lz4", "b"), ("deflate", "b")]);
    assert_eq!(compared(&b)["differences"], json!([]));

    // With itself, nothing is apart.
    let itself = compared(&a);
    assert_eq!(itself["summary"]["differ"], 0);
    assert_eq!(itself["summary"]["in_both"], 3);
    let text = String::from_utf8(bench(&["--compare", &a, &a])).unwrap();
    assert!(text.contains("0 of 3 rows differ by more"), "{text}");
    assert!(text.contains("modelled"), "{text}");

    let (header, lines) = csv(&bench(&["--compare", &a, &elsewhere, "--format", "csv"]));
    assert_eq!(lines.len(), rows.len());
    for (line, row) in lines.iter().zip(rows) {
        same(&header, line, row, &["summary", "a", "b", "schema"]);
    }
}

/// Every cell of a line is what JSON has, whatever is in the document.
fn same(header: &[String], line: &[String], json: &Value, of_the_document: &[&str]) {
    let mut seen = 0;
    for (name, cell) in header.iter().zip(line) {
        let found = name.split('.').try_fold(json, |at, name| at.get(name));
        let expected = match found {
            None if of_the_document.contains(&name.split('.').next().unwrap()) => continue,
            None | Some(Value::Null) => String::new(),
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
        };
        assert_eq!(*cell, expected, "{name}");
        seen += 1;
    }
    assert!(seen > 10);
    let mut names = BTreeSet::new();
    leaves(json, "", &mut names);
    let header: BTreeSet<_> = header.iter().cloned().collect();
    let missing: Vec<_> = names.difference(&header).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

fn csv(bytes: &[u8]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut reader = csv::Reader::from_reader(bytes);
    let strings = |record: &csv::StringRecord| record.iter().map(str::to_owned).collect();
    let header = strings(reader.headers().unwrap());
    // The reader refuses lines of another length than the header's.
    let lines = reader.records().map(|it| strings(&it.unwrap())).collect();
    (header, lines)
}

/// The fields that do not depend on when it was measured.
const STEADY: [&str; 16] = [
    "method.tables.id",
    "method.tables.trained_pages",
    "backend",
    "codec",
    "level",
    "huffman",
    "performed_by",
    "unit_size",
    "batch",
    "threads",
    "pages",
    "ratio",
    "report.software_pages",
    "report.fallbacks.no_device",
    "host.cpu_model",
    "input.sha256",
];

#[test]
fn csv_has_a_line_for_each_run_and_always_the_same_columns() {
    let (_dir, path) = filled();
    let (_tables_dir, tables) = trained(&path);
    let backends = format!("{BACKENDS},deflate:canned");
    let args = [
        &path,
        "--tables",
        &tables,
        "--backend",
        &backends,
        "--unit-size",
        "4k,8k",
    ];
    let json = measured(&args);
    let quick = ["--seconds", "0", "--repeats", "3", "--format", "csv"];
    let bytes = bench(&[&args[..], &quick].concat());
    let (header, lines) = csv(&bytes);
    let unique: BTreeSet<_> = header.iter().collect();
    assert_eq!(unique.len(), header.len());
    assert_eq!(header[0], "backend");
    for name in [
        "compress.ns_per_page.p50",
        "decompress.repeats.spread",
        "against_smallest_unit.ratio",
        "report.unavailable.link",
        "method.interrupted",
        "schema",
    ] {
        assert!(header.iter().any(|it| it == name), "{name}");
    }
    let runs = json["runs"].as_array().unwrap();
    assert_eq!(lines.len(), runs.len());
    let whole: Map<String, Value> = ["host", "input", "method", "schema"]
        .map(|part| (part.to_owned(), json[part].clone()))
        .into_iter()
        .collect();
    for (line, run) in lines.iter().zip(runs) {
        let mut row = run.clone();
        row.as_object_mut().unwrap().extend(whole.clone());
        let mut names = BTreeSet::new();
        leaves(&row, "", &mut names);
        for name in names {
            assert!(header.contains(&name), "{name}");
        }
        let steady = header
            .iter()
            .zip(line)
            .filter(|(name, _)| STEADY.contains(&name.as_str()));
        let (header, line): (Vec<_>, Vec<_>) = steady
            .map(|(name, cell)| (name.clone(), cell.clone()))
            .unzip();
        assert_eq!(header.len(), STEADY.len());
        for (name, cell) in header.iter().zip(line) {
            let found = name.split('.').try_fold(&row, |at, name| at.get(name));
            let expected = match found {
                None | Some(Value::Null) => String::new(),
                Some(Value::String(text)) => text.clone(),
                Some(other) => other.to_string(),
            };
            assert_eq!(cell, expected, "{name}");
        }
    }
    let other = bench(&[&[path.as_str(), "--backend", "lz4"][..], &quick].concat());
    assert_eq!(csv(&other).0, header);
    assert!(!bytes.contains(&b'\r') && bytes.ends_with(b"\n"));
}

#[test]
fn what_cannot_be_compared_is_refused_in_one_line() {
    let (dir, path) = filled();
    let good = dir.path().join("good");
    fs::write(&good, measured(&[&path, "--backend", "lz4"]).to_string()).unwrap();
    let good = good.to_str().unwrap();
    let whole = fs::read_to_string(good).unwrap();
    let file = |name: &str, content: &str| {
        let path = dir.path().join(name);
        fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let cut = file("cut", &whole[..whole.len() - 20]);
    let old = file("old", &whole.replacen("\"schema\":2", "\"schema\":1", 1));
    let empty = file("empty", "");
    let alien = file("alien", "{\"schema\":2,\"links\":[]}");
    let out = dir.path().join("out");
    let out = out.to_str().unwrap();
    let (none, is_dir) = (format!("{path}/none"), path.as_str());
    let cases: [(&[&str], &str); 14] = [
        (&[good, &none], "none: No such file or directory"),
        (&[is_dir, good], "Is a directory"),
        (
            &[good, &cut],
            "cut: no result of `pagepress bench --format json`: it is not JSON, or damaged",
        ),
        (&[&old, good], "of schema 1, and this pagepress reads 2"),
        (&[good, &empty], "it is empty"),
        (&[good, &alien], "it lacks one of host, input, method, runs"),
        (&[good], "2 values required"),
        (&[good, good, "more"], "cannot be used with '[INPUT]...'"),
        (
            &[good, good, "--pid", "1"],
            "cannot be used with '--pid <PID>'",
        ),
        (
            &[good, good, "--seconds", "2"],
            "cannot be used with '--seconds <S>'",
        ),
        (
            &[good, good, "--batch", "8"],
            "cannot be used with '--batch <N>'",
        ),
        (&[good, good, "--pin"], "cannot be used with '--pin'"),
        (
            &[good, good, "--backend", "lz4"],
            "cannot be used with '--backend",
        ),
        (&[good, good, "--format", "xml"], "possible values"),
    ];
    for (args, why) in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_pagepress"))
            .args(["bench", "--output", out, "--compare"])
            .args(args)
            .output()
            .unwrap();
        let told = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{args:?}: {told}");
        assert!(
            told.contains(why) && told.lines().count() == 1,
            "{why}: {told}"
        );
        assert!(
            output.stdout.is_empty() && !Path::new(out).exists(),
            "{args:?}"
        );
    }
    bench(&["--compare", good, good, "--output", out, "--format", "csv"]);
    assert_eq!(csv(&fs::read(out).unwrap()).1.len(), 1);
}
