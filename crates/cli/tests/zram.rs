//! `pagepress bench --peer zram` from the outside, where zram devices may be added.

use serde_json::Value;
use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

const PAGE: usize = 4096;
const TEXT: usize = 200;
const WORDS: usize = 9;
const RANDOM: usize = 5;
const ALL: usize = TEXT + WORDS + RANDOM;

/// Tests look at which devices there are, and so take turns.
static TURN: Mutex<()> = Mutex::new(());

fn pagepress(input: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(["bench", "--backend", "lz4", "--peer", "zram"]);
    command.arg(input);
    command
}

/// Why devices cannot be added here, if they cannot.
fn forbidden() -> Option<String> {
    let control = Path::new("/sys/class/zram-control");
    let remove = OpenOptions::new()
        .write(true)
        .open(control.join("hot_remove"));
    let both = remove.and_then(|_| File::open(control.join("hot_add")));
    both.err().map(|error| error.to_string())
}

fn devices() -> BTreeSet<String> {
    fs::read_dir("/sys/block")
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.starts_with("zram"))
        .collect()
}

/// Pages of text, of one word each, and of noise, in a file.
fn input(path: &Path) {
    let lines = (0u64..).flat_map(|i| format!("line {i}: {}\n", i * i % 9973).into_bytes());
    let mut bytes: Vec<u8> = lines.take(TEXT * PAGE).collect();
    for word in 0..WORDS as u64 {
        bytes.extend((word * 3).to_le_bytes().repeat(PAGE / 8));
    }
    let mut state = 1u64;
    bytes.extend((0..RANDOM * PAGE).map(|_| {
        // xorshift64
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state as u8
    }));
    assert_eq!(bytes.len(), ALL * PAGE);
    fs::write(path, bytes).unwrap();
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn every_algorithm_beside_a_floor() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pages");
    input(&file);
    let mut command = pagepress(&file);
    command.args(["--seconds", "0", "--repeats", "3", "--unit-size", "16k"]);
    command.args(["--format", "json"]);
    let before = devices();
    if let Some(why) = forbidden() {
        let output = command.output().unwrap();
        let told = stderr(&output);
        assert_eq!(output.status.code(), Some(2), "{told}");
        assert_eq!(
            (told.lines().count(), output.stdout.len()),
            (1, 0),
            "{told}"
        );
        assert!(told.starts_with("pagepress: --peer zram: "), "{told}");
        println!("only the refusal was tested, no device can be added here: {why}");
        return;
    }
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!((stderr(&output).as_str(), devices()), ("", before));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let peer = &json["peers"][0];
    assert_eq!(
        (&peer["peer"], &peer["unit_size"]),
        (&"zram".into(), &PAGE.into())
    );
    let algorithms = peer["algorithms"].as_array().unwrap();
    assert!(!algorithms.is_empty());
    assert_eq!(peer["algorithms_asked"], algorithms.len());
    let x = |value: &Value| {
        value
            .as_f64()
            .unwrap_or_else(|| panic!("{value} in {peer}"))
    };
    let median = |row: &Value, way: &str| x(&row[way]["repeats"]["median"]);
    let floor = &peer["floor"];
    for row in algorithms.iter().chain([floor]) {
        assert_eq!(
            (&row["verified"], &row["passes"]),
            (&true.into(), &3.into())
        );
        assert_eq!(row["pages"], ALL);
        assert_eq!(row["mm_stat"]["orig_data_size"], ALL * PAGE);
        for way in ["store", "load"] {
            let ns = &row[way]["ns_per_page"];
            assert!(
                x(&ns["p50"]) > 0.0 && x(&ns["p50"]) <= x(&ns["p99"]),
                "{ns}"
            );
            assert_eq!(row[way]["repeats"]["values"].as_array().unwrap().len(), 3);
            assert!(x(&row[way]["cpu_seconds_per_gb"]) > 0.0);
        }
    }
    for row in algorithms {
        let stat = &row["mm_stat"];
        assert_eq!(
            (&stat["same_pages"], &stat["huge_pages"]),
            (&WORDS.into(), &RANDOM.into())
        );
        assert_eq!(x(&row["incompressible_share"]), RANDOM as f64 / ALL as f64);
        let orig = (ALL * PAGE) as f64;
        assert_eq!(x(&row["ratio"]), orig / x(&stat["compr_data_size"]));
        assert_eq!(
            x(&row["effective_ratio"]),
            orig / x(&stat["mem_used_total"])
        );
        // Text shrinks, and memory is not taken in bytes.
        assert!(x(&row["ratio"]) > x(&row["effective_ratio"]) && x(&row["effective_ratio"]) > 1.0);
        let above = x(&row["above_floor"]["store_ns"]);
        assert!((above - (median(row, "store") - median(floor, "store"))).abs() < 1e-6);
    }
    // Its pages need no codec and no memory.
    assert_eq!(floor["mm_stat"]["same_pages"], ALL);
    assert_eq!(
        (&floor["ratio"], &floor["above_floor"]),
        (&Value::Null, &Value::Null)
    );

    let mut command = pagepress(&file);
    command.args(["--seconds", "0", "--repeats", "1", "--unit-size", "16k"]);
    command.arg("--skip-same-filled");
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let section = text.split("\nBeside the kernel (zram): ").nth(1).unwrap();
    for row in algorithms
        .iter()
        .map(|row| row["algorithm"].as_str().unwrap())
        .chain(["floor"])
    {
        let lines = section
            .lines()
            .filter(|line| line.split(' ').next() == Some(row));
        assert_eq!(lines.count(), 2, "{text}");
    }
    assert!(
        section.contains("note: zram has pages of 4 KiB, whatever"),
        "{text}"
    );
    assert!(
        text.lines()
            .all(|line| line.starts_with("input") || line.len() <= 100),
        "{text}"
    );
}

/// A device is taken away again when the command is told to end, and told twice.
#[test]
fn signals_leave_no_device() {
    let _turn = TURN.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(why) = forbidden() {
        println!("skipped: no device can be added here: {why}");
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pages");
    input(&file);
    let size = (ALL * PAGE).to_string();
    for signal in ["-TERM", "-INT"] {
        let before = devices();
        let mut command = pagepress(&file);
        // The run is short: its one repeat is as long as the floor's.
        command.args(["--seconds", "2", "--repeats", "1", "--format", "json"]);
        let child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let since = Instant::now();
        // Until the device has the input's size: before, it is being tried out.
        let is_set_up = |name: &String| {
            let told = fs::read_to_string(format!("/sys/block/{name}/disksize"));
            told.is_ok_and(|told| told.trim() == size)
        };
        while !devices().difference(&before).any(is_set_up) {
            assert!(
                since.elapsed() < Duration::from_secs(120),
                "no device in all this time"
            );
            std::thread::sleep(Duration::from_millis(10));
        }
        let kill = || {
            Command::new("kill")
                .args([signal, &child.id().to_string()])
                .status()
        };
        assert!(kill().unwrap().success());
        // It may have ended already.
        let _ = kill();
        let output = child.wait_with_output().unwrap();
        assert_eq!(
            output.status.code(),
            Some(130),
            "{signal}: {}",
            stderr(&output)
        );
        assert_eq!(
            (stderr(&output).as_str(), devices()),
            ("", before),
            "{signal}"
        );
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(json["runs"].as_array().unwrap().len(), 1);
        assert_eq!(json["method"]["interrupted"], true);
        assert_eq!(json["peers"][0]["floor"], Value::Null);
    }
}
