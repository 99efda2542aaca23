//! `pagepress train` from the outside, and what `bench` does with its tables.

use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const PAGE: usize = 4096;
/// Of a file of tables.
const BYTES: usize = 356;

fn pagepress(args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(args).output().unwrap()
}

fn good(args: &[&str]) -> String {
    let done = pagepress(args);
    let told = String::from_utf8(done.stderr).unwrap();
    assert!(done.status.success(), "{args:?}: {told}");
    String::from_utf8(done.stdout).unwrap()
}

fn json(args: &[&str]) -> Value {
    serde_json::from_str(&good(args)).unwrap()
}

/// A directory with records of a program, and some pages that teach nothing.
struct Place(tempfile::TempDir);

impl Place {
    fn new() -> Self {
        let place = Self(tempfile::tempdir().unwrap());
        let record = |i: u64| format!("{{\"id\": {i}, \"name\": \"n{}\"}}\n", i * i % 7919);
        let mut bytes: Vec<u8> = (0..20_000).flat_map(|i| record(i).into_bytes()).collect();
        bytes.truncate(100 * PAGE);
        bytes.extend([0; 5 * PAGE]);
        let mut state = 7u64;
        bytes.extend((0..3 * PAGE).map(|_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            (state >> 40) as u8
        }));
        fs::write(place.path("input"), bytes).unwrap();
        place
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn at(&self, name: &str) -> String {
        self.path(name).to_str().unwrap().to_owned()
    }
}

fn names(dir: &Path) -> Vec<String> {
    let entries = fs::read_dir(dir).unwrap();
    let mut names: Vec<_> = entries
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn tables_are_made_shown_and_used() {
    let place = Place::new();
    let (input, file) = (place.at("input"), place.at("out.tables"));
    let made = json(&["train", &input, "-o", &file, "--format", "json"]);
    assert_eq!(fs::metadata(&file).unwrap().len(), BYTES as u64);
    let n = |value: &Value| value.as_u64().unwrap();
    let x = |value: &Value| value.as_f64().unwrap();
    assert_eq!(n(&made["left_out"]["same_filled"]), 5);
    let random = n(&made["left_out"]["random"]);
    assert!((2..=3).contains(&random), "one may be among those held out");
    // Of 103 others each seventh is held out, and the random ones do not count.
    let held_out = &made["held_out"];
    let trained = n(&made["trained_on"]["pages"]);
    assert_eq!(trained + n(&held_out["pages"]), 100);
    assert_eq!(trained + random, 103 - 103 / 7);
    assert_eq!(n(&made["trained_on"]["bytes"]), trained * PAGE as u64);
    let (fixed, canned) = (x(&held_out["ratio_fixed"]), x(&held_out["ratio_canned"]));
    assert!(canned > 1.1 * fixed, "{held_out}");
    assert!(x(&held_out["ratio_dynamic"]) > 1.1 * fixed, "{held_out}");
    let lengths = made["code_lengths"]["all"].as_array().unwrap();
    assert_eq!(lengths.len(), 286 + 30);
    assert_eq!(
        made["code_lengths"]["literals"][1],
        lengths[..256].iter().max_by_key(|v| n(v)).unwrap().clone()
    );

    // The same pages make the same file, whatever was there.
    let bytes = fs::read(&file).unwrap();
    fs::write(&file, "old").unwrap();
    let told = good(&["train", &input, "--output", &file]);
    assert_eq!(fs::read(&file).unwrap(), bytes);
    assert_eq!(names(place.0.path()), ["input", "out.tables"]);
    let id = made["id"].as_str().unwrap();
    for expected in [id, "held out", "fixed", "canned", "dynamic"] {
        assert!(told.contains(expected), "{told}");
    }
    let shown = json(&["train", "--show", &file, "--format", "json"]);
    for field in ["id", "version", "trained_on", "code_lengths"] {
        assert_eq!(shown[field], made[field]);
    }
    assert!(good(&["train", "--show", &file]).contains(id));

    let backends = "deflate,deflate:canned,model,model:canned,model-gen2:canned";
    let quick = [
        "--seconds",
        "0",
        "--repeats",
        "3",
        "--corunner",
        "--tables",
        &file,
    ];
    let bench = ["bench", &input, "--backend", backends];
    let bench = [&bench[..], &quick].concat();
    let results = json(&[&bench[..], &["--format", "json"]].concat());
    let used = &results["method"]["tables"];
    assert_eq!(used["id"], id);
    assert_eq!(n(&used["trained_pages"]), trained);
    let runs = results["runs"].as_array().unwrap();
    assert_eq!(runs.len(), 5);
    for run in runs {
        assert_eq!(run["verified"], true, "{run}");
        assert_eq!(n(&run["bad_pages"]), 0);
    }
    let ratio = |number: usize| x(&runs[number]["ratio"]);
    assert!(ratio(1) > 1.1 * ratio(0) && ratio(3) > 1.1 * ratio(2));
    let huffman: Vec<_> = runs.iter().map(|run| run["huffman"].as_str()).collect();
    let canned = Some("canned");
    assert_eq!(huffman, [None, canned, Some("fixed"), canned, canned]);
    assert!(runs[1]["level"].is_null());
    let beside = results["corunner"]["beside"].as_array().unwrap();
    assert!(beside.iter().all(|beside| n(&beside["bad_pages"]) == 0));
    for format in ["text", "csv", "html"] {
        let told = good(&[&bench[..], &["--format", format]].concat());
        assert!(told.contains(id), "{format}");
        assert!(told.contains("deflate:canned") || format == "csv");
    }
}

/// One line, exit code 2, and no file, or the one that was there.
#[test]
fn wrong_use_is_one_line_and_no_file() {
    let place = Place::new();
    let (input, out) = (place.at("input"), place.at("out"));
    fs::write(place.path("kept"), "kept").unwrap();
    fs::write(place.path("zeroes"), [0; 3 * PAGE]).unwrap();
    fs::write(place.path("empty"), "").unwrap();
    let good_tables = {
        let file = place.at("good");
        good(&["train", &input, "-o", &file]);
        fs::read(&file).unwrap()
    };
    let mut newer = good_tables.clone();
    newer[8] = 2;
    fs::write(place.path("newer"), newer).unwrap();
    let mut damaged = good_tables.clone();
    damaged[100] ^= 1;
    fs::write(place.path("damaged"), damaged).unwrap();
    fs::write(place.path("cut"), &good_tables[..BYTES - 1]).unwrap();
    let before = names(place.0.path());
    let at = |name: &str| place.at(name);
    let (kept, zeroes, empty) = (at("kept"), at("zeroes"), at("empty"));
    let cases: [(&[&str], &str); 15] = [
        (&[&input], "required arguments were not provided: --output"),
        (&[&zeroes, "-o", &kept], "no page to learn from"),
        (&[&empty, "-o", &kept], "holds no page"),
        (&["none", "-o", &kept], "none: No such file or directory"),
        (&[&input, "-o", "/none/x"], "writing /none/x: No such file"),
        (&[&input, "-o", &out, "--sample", "0"], "0 is not in 1.."),
        (
            &[&input, "-o", &out, "--unit-size", "5k"],
            "there are 4k, 8k",
        ),
        (&[&input, "-o", &out, "--pid-pages", "5"], "--pid"),
        (&["--show", &at("newer")], "newer: tables of version 2"),
        (
            &["--show", &at("damaged")],
            "damaged: the tables are damaged",
        ),
        (&["--show", &at("cut")], "cut: the tables are damaged"),
        (&["--show", &input], "input: these are no tables"),
        (&["--show", "none"], "none: No such file"),
        (&["--show", &at("good"), "-o", &out], "cannot be used with"),
        (&["--show", &at("good"), &input], "cannot be used with"),
    ];
    for (args, why) in cases {
        let done = pagepress(&[&["train"], args].concat());
        let told = String::from_utf8(done.stderr).unwrap();
        assert_eq!(done.status.code(), Some(2), "{args:?}: {told}");
        assert_eq!(done.stdout, b"", "{args:?}");
        let one_line = told.lines().count() == 1 && told.starts_with("pagepress: ");
        assert!(one_line && told.contains(why), "{args:?}: {told}");
        assert_eq!(names(place.0.path()), before, "{args:?}");
    }
    assert_eq!(fs::read(place.path("kept")).unwrap(), b"kept");
}

/// Few pages of a large input, and none to hold out.
#[test]
fn samples_are_spread_over_the_input() {
    let place = Place::new();
    let file = place.at("few");
    let input = place.at("input");
    let made = json(&[
        "train", &input, "-o", &file, "--sample", "27", "--format", "json",
    ]);
    // Each fourth of 108: of the last eight one is same-filled, or two, and the rest.
    let n = |value: &Value| value.as_u64().unwrap();
    let left_out = &made["left_out"];
    assert_eq!(n(&left_out["same_filled"]) + n(&left_out["random"]), 2);
    let few = json(&[
        "train", &input, "-o", &file, "--sample", "5", "--format", "json",
    ]);
    assert_eq!(n(&few["held_out"]["pages"]), 0);
    assert!(few["held_out"]["ratio_canned"].is_null());
    assert_eq!(n(&few["trained_on"]["pages"]), 5);
    // Padded with zeroes to whole pages.
    let large = [
        "train",
        &input,
        "-o",
        &file,
        "--unit-size",
        "64k",
        "--format",
        "json",
    ];
    let large = json(&large);
    assert_eq!(
        n(&large["trained_on"]["bytes"]),
        n(&large["trained_on"]["pages"]) << 16
    );
}
