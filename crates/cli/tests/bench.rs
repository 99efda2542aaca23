//! `pagepress bench` from the outside: the real binary, its output, its exit
//! codes.

use serde_json::Value;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};

const PAGE: usize = 4096;

fn pagepress() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(["bench", "--seconds", "0", "--repeats", "3"]);
    command
}

/// Runs to a good end and returns the JSON.
fn json(command: &mut Command) -> Value {
    let output = command.args(["--format", "json"]).output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["schema"], 2);
    for run in json["runs"].as_array().unwrap() {
        check_run(run);
    }
    json
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Checks what holds for every good run.
fn check_run(run: &Value) {
    let n = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{value} in {run}"));
    let x = |value: &Value| value.as_f64().unwrap_or_else(|| panic!("{value} in {run}"));
    assert_eq!(run["verified"], true);
    assert_eq!(n(&run["bad_pages"]), 0);
    let input_bytes = n(&run["pages"]) * n(&run["unit_size"]);
    let ratio = input_bytes as f64 / n(&run["compressed_bytes"]) as f64;
    assert_eq!(x(&run["ratio"]), ratio);
    let report = &run["report"];
    let done = ["hardware", "software", "same_filled", "failed"];
    let done: u64 = done
        .iter()
        .map(|name| n(&report[format!("{name}_pages")]))
        .sum();
    assert_eq!(done, n(&run["pages"]));
    for direction in ["compress", "decompress"] {
        let direction = &run[direction];
        let ns = &direction["ns_per_page"];
        let order = ["p50", "p90", "p99", "p999"].map(|name| x(&ns[name]));
        assert!(order.is_sorted() && order[0] > 0.0, "{ns}");
        assert!(x(&ns["mean"]) <= x(&ns["max"]));
        let threads = x(&run["threads"]);
        let repeats = &direction["repeats"];
        let means: Vec<f64> = repeats["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(x)
            .collect();
        assert_eq!(means.len(), 3);
        let median = x(&repeats["median"]);
        let below = means.iter().filter(|&&mean| mean < median).count();
        assert!(means.contains(&median) && below <= 1, "{repeats}");
        assert!(x(&repeats["spread"]) >= 0.0);
        let expected = threads * 1e9 / median;
        assert!((x(&direction["pages_per_second"]) / expected - 1.0).abs() < 1e-6);
        let batch = &direction["ns_per_batch"];
        assert!(x(&batch["max"]) >= x(&ns["max"]) * 0.999, "{direction}");
        assert!(x(&direction["cpu_seconds_per_gb"]) > 0.0);
        assert!(
            (0.0..1.0).contains(&x(&direction["timing_share"])),
            "{direction}"
        );
    }
    for part in ["dst_buffers", "codec_state", "rest"] {
        assert!(n(&run["memory"][part]) > 0, "{part}");
    }
    assert!(n(&run["passes"]) >= 1);
}

/// A line on stderr, none on stdout, exit code 2.
fn refused(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let told = stderr(&output);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert_eq!(output.stdout, b"");
    assert_eq!(told.lines().count(), 1, "{told}");
    assert!(told.starts_with("pagepress: "), "{told}");
    told
}

/// Bytes that no codec can shrink.
fn random(pages: usize, seed: u64) -> Vec<u8> {
    let mut state = seed;
    let words = std::iter::repeat_with(|| {
        // splitmix64
        state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)).to_le_bytes()
    });
    words.flatten().take(pages * PAGE).collect()
}

fn text(bytes: usize) -> Vec<u8> {
    let lines = (0u64..).flat_map(|i| format!("line {i}: {}\n", i * i % 9973).into_bytes());
    lines.take(bytes).collect()
}

/// A directory's content by name: text, zeroes, one word, random pages, partial
/// pages, an empty file.
fn contents() -> Vec<(&'static str, Vec<u8>)> {
    let mut partial = text(10 * PAGE + 100);
    partial[0] = b'L';
    vec![
        ("a/empty", Vec::new()),
        ("a/text", text(32 * PAGE)),
        ("a/zeroes", vec![0; 5 * PAGE]),
        ("b/partial", partial),
        ("b/random", random(7, 1)),
        ("b/words", b"8 bytes.".repeat(3 * PAGE / 8)),
        ("tail", vec![9; 1]),
    ]
}

fn fill(dir: &Path) {
    for (name, bytes) in contents() {
        let path = dir.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }
    std::os::unix::fs::symlink(dir, dir.join("b/loop")).unwrap();
}

#[test]
fn a_directory_in_every_figure() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let json = json(pagepress().arg(dir.path()).args(["--threads", "1,2"]));

    let input = &json["input"];
    // 32 + 5 + 11 + 7 + 3 + 1, two of them padded.
    assert_eq!(input["pages"], 59);
    assert_eq!(input["padded_pages"], 2);
    assert_eq!(input["same_filled"], 5 + 3);
    assert_eq!(input["sources"][0]["files"], 6);
    assert_eq!(input["sources"][0]["kind"], "directory");
    assert_eq!(input["skipped"][0]["count"], 1);
    assert_eq!(input["skipped"][0]["why"], "symbolic link, not followed");
    let mut hash = Sha256::new();
    for (_, mut bytes) in contents() {
        bytes.resize(bytes.len().next_multiple_of(PAGE), 0);
        hash.update(&bytes);
    }
    let hash: String = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(input["sha256"], hash);

    let runs = json["runs"].as_array().unwrap();
    let names: Vec<_> = runs
        .iter()
        .map(|run| run["backend"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["lz4", "lz4", "zstd", "zstd", "deflate", "deflate"]);
    for run in runs {
        assert_eq!(run["pages"], 59);
        assert_eq!(run["incompressible_pages"], 7);
        assert_eq!(run["report"]["same_filled_pages"], 8);
        assert_eq!(run["performed_by"], "software");
        assert_eq!(run["passes"], 3);
        assert_eq!(run["padding_bytes"], 2 * PAGE - 101);
        let others = 51 * PAGE;
        let stored = run["compressed_bytes"].as_u64().unwrap() - 8 * 8;
        let ratio = others as f64 / stored as f64;
        assert_eq!(run["ratio_without_same_filled"], ratio);
    }
    // The number of threads changes no result.
    for two in runs.chunks(2) {
        assert_eq!(two[0]["compressed_bytes"], two[1]["compressed_bytes"]);
    }
}

#[test]
fn unit_sizes_side_by_side() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, [text(80 * PAGE), random(16, 2)].concat()).unwrap();
    let sweep = |command: &mut Command| {
        command.arg(&file);
        command.args(["--unit-size", "4k,64KiB", "--backend", "zstd:1,zstd:3"]);
        command.args(["--batch", "3"]);
    };
    let mut command = pagepress();
    sweep(&mut command);
    let json = json(&mut command);
    let runs = json["runs"].as_array().unwrap();
    let told: Vec<_> = runs
        .iter()
        .map(|run| (&run["level"], &run["unit_size"], &run["pages"]))
        .map(|(level, unit, pages)| [level, unit, pages].map(|n| n.as_u64().unwrap()))
        .collect();
    assert_eq!(
        told,
        [[1, 4096, 96], [1, 65536, 6], [3, 4096, 96], [3, 65536, 6]]
    );
    let change = &runs[1]["against_smallest_unit"];
    assert_eq!(change["unit_size"], 4096);
    let ratio = |run: usize| runs[run]["ratio"].as_f64().unwrap();
    let change = change["ratio"].as_f64().unwrap();
    assert!((change - (ratio(1) / ratio(0) - 1.0)).abs() < 1e-12);

    let mut command = pagepress();
    sweep(&mut command);
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let change = format!(" {:+.1}% ", change * 100.0);
    assert!(
        text.contains("Per 4 KiB") && text.contains(&change),
        "{text}"
    );
    for row in ["zstd:1", "zstd:3"] {
        let lines = text.lines().filter(|line| line.starts_with(row));
        assert_eq!(lines.count(), 6, "{text}");
    }
    assert!(
        text.contains("Every page of every pass came back"),
        "{text}"
    );
    for line in text.lines() {
        let is_input = line.contains(file.to_str().unwrap());
        assert!(is_input || line.len() <= 100, "{line}");
    }
    assert_eq!(output.stderr, b"", "no progress in a pipe");
}

/// The widest rows that there are, with all notes.
#[test]
fn text_has_at_most_100_columns() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let output = pagepress()
        .current_dir(dir.path())
        .args([".", "--skip-same-filled"])
        .args([
            "--backend",
            "auto,lz4,zstd:-7,deflate:9,model,model-gen2:dynamic",
        ])
        .args([
            "--unit-size",
            "4k,64k",
            "--batch",
            "1,1024",
            "--threads",
            "1,12",
        ])
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    let rows = text
        .lines()
        .take_while(|line| !line.starts_with("Where a device"))
        .filter(|line| line.starts_with("model-gen2:dynamic "));
    assert_eq!(rows.count(), 3 * 8, "{text}");
    assert!(text.contains("\nverdict: "), "{text}");
    assert!(
        text.contains("\nnote: ") && text.contains("modelled"),
        "{text}"
    );
    for line in text.lines() {
        assert!(line.chars().count() <= 100, "{line}");
    }
}

/// Ctrl-C: what was measured so far, in whole turns, and the exit code that
/// shells know.
#[test]
fn an_interrupted_command_shows_what_it_has() {
    let dir = tempfile::tempdir().unwrap();
    let [small, large] = ["small", "large"].map(|name| dir.path().join(name));
    fs::write(&small, text(64 * PAGE)).unwrap();
    // The best of zstd takes longer for one pass over it than anyone waits.
    fs::write(&large, text(64 * PAGE).repeat(512)).unwrap();
    let interrupted = |file: &Path, backend: &str, after: u64| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
        command
            .args(["bench", "--seconds", "1000", "--repeats", "1000"])
            .args(["--backend", backend, "--format", "json"])
            .arg(file)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let child = command.spawn().unwrap();
        std::thread::sleep(std::time::Duration::from_secs(after));
        let kill = Command::new("kill")
            .args(["-INT", &child.id().to_string()])
            .status();
        assert!(kill.unwrap().success());
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(130));
        output
    };
    let nothing = interrupted(&large, "zstd:19", 3);
    assert!(nothing.stdout.is_empty());
    assert!(stderr(&nothing).contains("nothing to show"));

    let output = interrupted(&small, "lz4,zstd", 4);
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["method"]["interrupted"], true);
    assert_eq!(json["method"]["runs_asked"], 2);
    let runs = json["runs"].as_array().unwrap();
    assert!(!runs.is_empty());
    let repeats = |run: &Value| {
        run["compress"]["repeats"]["values"]
            .as_array()
            .unwrap()
            .len()
    };
    assert!(runs.iter().all(|run| (1..1000).contains(&repeats(run))));
}

#[test]
fn same_filled_pages_can_be_dropped() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let json = json(pagepress().arg(dir.path()).arg("--skip-same-filled"));
    let run = &json["runs"][0];
    assert_eq!(
        (&run["pages"], &run["dropped_same_filled"]),
        (&51.into(), &8.into())
    );
    assert_eq!(run["ratio"], run["ratio_without_same_filled"]);
    // They are still part of the input.
    assert_eq!(json["input"]["pages"], 59);

    let zeroes = dir.path().join("a/zeroes");
    let told = refused(pagepress().arg(zeroes).arg("--skip-same-filled"));
    assert!(told.contains("leaves no page"), "{told}");
}

#[test]
fn auto_says_why_software_did_it() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let auto = ["--backend", "auto"];
    let json = json(pagepress().arg(dir.path()).args(auto));
    let run = &json["runs"][0];
    assert_eq!(run["backend"], "auto");
    let software = run["report"]["software_pages"].as_u64().unwrap();
    let fallbacks = run["report"]["fallbacks"].as_object().unwrap();
    let fallen: u64 = fallbacks.values().map(|n| n.as_u64().unwrap()).sum();
    // Here or where there is a device: what software did, it did for a reason.
    assert_eq!(fallen, software);
    // And which link is missing is the doctor's to say.
    let doctor = Command::new(env!("CARGO_BIN_EXE_pagepress"))
        .args(["doctor", "--format", "json"])
        .output()
        .unwrap();
    let doctor: Value = serde_json::from_slice(&doctor.stdout).unwrap();
    let missing = &run["report"]["unavailable"]["link"];
    if doctor["usable"] == false {
        assert_eq!(*missing, doctor["first_broken"]);
    }

    let output = pagepress().arg(dir.path()).args(auto).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(text.contains("fallback: auto: "), fallen > 0, "{text}");
}

#[test]
fn standard_input_and_files_without_a_length() {
    let mut child = pagepress()
        .args(["-", "/proc/self/maps", "--format", "json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(&text(3 * PAGE + 1))
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success());
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let sources = &json["input"]["sources"];
    assert_eq!(sources[0]["kind"], "stream");
    assert_eq!(sources[0]["pages"], 4);
    assert!(sources[1]["pages"].as_u64().unwrap() >= 1);
}

/// A process with known memory, killed when dropped.
struct Holder(Child);

impl Drop for Holder {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Holder {
    /// This test program again, as `holds_memory`.
    fn start() -> Self {
        let child = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "holds_memory", "--nocapture"])
            .env("PAGEPRESS_TEST_HOLDER", "1")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut holder = Self(child);
        let stdin = holder.0.stdin.as_mut().unwrap();
        stdin.write_all(b"begin\n").unwrap();
        let mut lines = BufReader::new(holder.0.stdout.take().unwrap()).lines();
        assert!(lines.any(|line| line.unwrap().contains("holding")));
        assert!(lines.any(|line| line.unwrap().contains("reading")));
        holder
    }
}

const HELD: usize = 600;

/// Not a test of its own: what `Holder::start` runs.
#[test]
fn holds_memory() {
    if std::env::var_os("PAGEPRESS_TEST_HOLDER").is_none() {
        return;
    }
    let random = random(HELD, 3);
    let never_touched = Vec::<u8>::with_capacity(64 << 20);
    // Once before, so that waiting for the end touches no further page.
    let mut line = String::with_capacity(64);
    for _ in 0..2 {
        println!("reading");
        std::io::stdin().read_line(&mut line).unwrap();
        println!("holding");
    }
    assert_eq!((random.len(), never_touched.len()), (HELD * PAGE, 0));
}

#[test]
fn a_process_is_read_and_not_touched() {
    let holder = Holder::start();
    let pid = holder.0.id().to_string();
    // Exact, unlike the sums in its status.
    let anonymous = || {
        let smaps = fs::read_to_string(format!("/proc/{pid}/smaps_rollup")).unwrap();
        let line = smaps.lines().find(|line| line.starts_with("Anonymous:"));
        let kib = line.unwrap().split_whitespace().nth(1).unwrap();
        kib.parse::<u64>().unwrap() / 4
    };
    let before = anonymous();
    let output = pagepress()
        .args(["--pid", &pid, "--format", "json"])
        .output()
        .unwrap();
    if output.status.code() == Some(2) && stderr(&output).contains("permission denied") {
        println!("skipped: this system forbids reading a child's memory");
        return;
    }
    assert!(output.status.success(), "{}", stderr(&output));
    assert_eq!(anonymous(), before, "nothing was faulted in");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    let input = &json["input"];
    assert_eq!(input["sources"][0]["kind"], "process");
    let pages = input["pages"].as_u64().unwrap();
    assert!(pages >= HELD as u64);
    // Every anonymous page in memory, and no more.
    assert_eq!(pages, before);
    let run = &json["runs"][0];
    let random = run["incompressible_pages"].as_u64().unwrap();
    // The first and last page of the held bytes may be partly something else.
    assert!(random.abs_diff(HELD as u64) <= 2, "{random}");

    let json = self::json(pagepress().args(["--pid", &pid, "--pid-pages", "64"]));
    assert_eq!(json["input"]["pages"], 64);
    assert!(json["input"]["sources"][0]["of_pages"].as_u64().unwrap() >= HELD as u64);
}

#[test]
fn what_cannot_be_read_is_refused_in_one_line() {
    let dir = tempfile::tempdir().unwrap();
    let told = refused(pagepress().arg(dir.path().join("none")));
    assert!(told.contains("none: No such file or directory"), "{told}");
    // Beyond any pid that Linux gives (4194304).
    let told = refused(pagepress().args(["--pid", "4194305"]));
    assert!(told.contains("--pid 4194305: no such process"), "{told}");
    let told = refused(pagepress().arg(dir.path()));
    assert!(told.contains("no page"), "{told}");
    let empty = dir.path().join("empty");
    fs::write(&empty, "").unwrap();
    refused(pagepress().arg(empty));
}

#[test]
fn wrong_options_are_refused_in_one_line() {
    let file = env!("CARGO_MANIFEST_PATH");
    let vast = ["--threads=1024", "--batch=4096", "--unit-size=64k"];
    let cases: [(&[&str], &str); 11] = [
        (&["--frmat", "json"], "--frmat"),
        (
            &["--backend", "gzip"],
            "there are auto, iaa, lz4, zstd, deflate, model and model-gen2",
        ),
        (&["--backend", "zstd:99"], "zstd has no level 99"),
        (&["--backend", "lz4", "--level", "3"], "--level applies to"),
        (&["--unit-size", "5k"], "4k, 8k, 16k, 32k and 64k"),
        (&["--batch", "0"], "from 1 to"),
        (&["--accept-limit", "4096"], "accept limit"),
        (&["--threads", "1000", "--pin"], "--pin with 1000 threads"),
        (&["--pid-pages", "5"], "--pid"),
        (&vast, "would have to be held in memory"),
        (
            &["--output", "/no/such/dir/file"],
            "No such file or directory",
        ),
    ];
    for (options, told) in cases {
        let line = refused(pagepress().arg(file).args(options));
        assert!(line.contains(told), "{options:?}: {line}");
    }
    let mut negative = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    let line = refused(negative.args(["bench", "--seconds=-1"]));
    assert!(line.contains("from 0 to"), "{line}");
}

/// The verdict's own words and figures, in all formats.
#[test]
fn a_model_is_judged_and_shown() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("<b>&\"");
    fs::write(&file, text(40 * PAGE)).unwrap();
    let sweep = |format: &str| {
        let mut command = pagepress();
        command
            .arg(&file)
            .args(["--backend", "lz4,model", "--batch", "1,8"]);
        let output = command.args(["--format", format]).output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        String::from_utf8(output.stdout).unwrap()
    };
    let json: Value = serde_json::from_str(&sweep("json")).unwrap();
    let verdict = &json["verdict"];
    let told = verdict["sentences"].as_array().unwrap();
    assert!(told.len() > 1);
    assert!(
        told.iter()
            .all(|it| it.as_str().unwrap().contains("modelled"))
    );
    let even = verdict["break_even"].as_array().unwrap();
    assert_eq!(even.len(), 5);
    for it in even {
        let batches: Vec<_> = it["points"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| &p["batch"])
            .collect();
        assert_eq!(batches, [1, 8]);
        assert_eq!(it["modelled"], true);
    }
    for run in json["runs"].as_array().unwrap() {
        let done = &run["calls"]["compress"];
        let (pages, software) = (&done["pages"], &done["software_pages"]);
        assert_eq!(software == pages, run["backend"] == "lz4", "{done}");
        // One warm-up and one pass in each repeat at least.
        assert!(pages.as_u64().unwrap() >= 3 * 40);
    }

    let text = sweep("text");
    assert!(
        text.contains("verdict: Time per page, compressing: model:fixed (modelled) "),
        "{text}"
    );
    let is_input = |line: &&str| line.contains("<b>&");
    assert!(
        text.lines()
            .filter(|line| !is_input(line))
            .all(|line| line.len() <= 100),
        "{text}"
    );

    let page = sweep("html");
    let document =
        roxmltree::Document::parse(page.strip_prefix("<!DOCTYPE html>").unwrap()).unwrap();
    let count = |tag| {
        document
            .descendants()
            .filter(|node| node.has_tag_name(tag))
            .count()
    };
    // 2 each on ratio, scaling and each batch's latency, 5 on the verdict.
    assert_eq!((count("figure"), count("b")), (2 + 2 + 2 * 2 + 5, 1));
    assert!(page.contains("&lt;b&gt;&amp;&quot;") && !page.contains("http:"));
}

/// One command, all formats: the same results.
#[test]
fn several_files_have_the_same_results() {
    let dir = tempfile::tempdir().unwrap();
    fill(dir.path());
    let named = |name: &str| dir.path().join(name);
    let mut command = pagepress();
    command.args(["--backend", "lz4"]).arg(dir.path());
    for name in ["r.json", "r.csv", "r.html", "r.txt"] {
        command.arg("--output").arg(named(name));
    }
    let output = command.output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let read = |name| fs::read_to_string(named(name)).unwrap();
    let json: Value = serde_json::from_str(&read("r.json")).unwrap();
    let sha256 = json["input"]["sha256"].as_str().unwrap();
    for (name, start) in [("r.csv", "backend,"), ("r.html", "<!DOCTYPE html>")] {
        let text = read(name);
        assert!(text.starts_with(start) && text.contains(sha256), "{name}");
    }
    let text = read("r.txt");
    assert!(
        text.starts_with("input ") && text.contains(&sha256[..16]),
        "{text}"
    );
    let told = refused(command.args(["--format", "json"]));
    assert!(told.contains("leave out --format"), "{told}");
}

#[test]
fn an_output_file_is_whole_or_not_there() {
    let dir = tempfile::tempdir().unwrap();
    let (results, input) = (dir.path().join("results"), dir.path().join("input"));
    let names = || fs::read_dir(dir.path()).unwrap().count();
    refused(pagepress().arg(&input).arg("--output").arg(&results));
    assert_eq!(names(), 0);

    fs::write(&input, text(PAGE)).unwrap();
    let mut command = pagepress();
    command.arg(&input).arg("--output").arg(&results);
    let output = command.args(["--format", "json"]).output().unwrap();
    assert!(output.status.success() && output.stdout.is_empty());
    let json: Value = serde_json::from_slice(&fs::read(&results).unwrap()).unwrap();
    assert_eq!(json["input"]["pages"], 1);
    assert_eq!(names(), 2);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = pagepress()
        .arg(env!("CARGO_MANIFEST_PATH"))
        .stdout(writer)
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(stderr(&output), "");
}
