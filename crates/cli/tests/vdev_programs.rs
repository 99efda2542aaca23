//! `pagepress vdev run` with programs that know nothing of it: accel-config, a shell
//! and what it calls, and this command on the way that it takes to real devices.

#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::process::{Command, Output};

/// A command below `vdev run` with these options.
fn run(options: &[&str], command: &[&str]) -> Output {
    let mut vdev = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    vdev.args(["vdev", "run"]).args(options);
    vdev.arg("--").args(command);
    vdev.output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// What a script below `vdev run` prints.
fn script(options: &[&str], script: &str) -> String {
    let output = run(options, &["sh", "-c", script]);
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{script}: {stderr}");
    assert_eq!(stderr, "", "{script}");
    text(&output.stdout)
}

/// Whether accel-config is there; if not, that is said.
fn has_accel_config() -> bool {
    match Command::new("accel-config").arg("--version").output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: accel-config is not installed");
            false
        }
        _ => true,
    }
}

#[test]
fn accel_config_lists_and_does_not_configure() {
    if !has_accel_config() {
        return;
    }
    for (profile, version) in [("gen1", "0x100"), ("gen2", "0x200")] {
        for (mode, threshold) in [("shared", json!(20)), ("dedicated", json!(0))] {
            let mut options = vec!["--profile", profile, "--wq", mode, "--devices", "3"];
            options.extend(["--size", "40"]);
            if mode == "shared" {
                options.extend(["--threshold", "20"]);
            }
            let output = run(&options, &["accel-config", "list"]);
            assert_eq!(text(&output.stderr), "", "{options:?}");
            let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
            let devices = listed.as_array().unwrap();
            let names: Vec<&Value> = devices.iter().map(|device| &device["dev"]).collect();
            assert_eq!(names, ["iax1", "iax3", "iax5"]);
            for device in devices {
                let id = device["dev"].as_str().unwrap().strip_prefix("iax").unwrap();
                assert_eq!(device["version"], version);
                assert_eq!(device["state"], "enabled");
                assert_eq!(device["pasid_enabled"], 1);
                let group = &device["groups"][0];
                assert_eq!(group["grouped_engines"].as_array().unwrap().len(), 8);
                let queue = &group["grouped_workqueues"][0];
                for (attribute, value) in [
                    ("dev", json!(format!("wq{id}.0"))),
                    ("mode", json!(mode)),
                    ("size", json!(40)),
                    ("threshold", threshold.clone()),
                    ("block_on_fault", json!(1)),
                    ("type", json!("user")),
                    ("driver_name", json!("user")),
                    ("state", json!("enabled")),
                    ("max_transfer_size", json!(1u64 << 31)),
                ] {
                    assert_eq!(queue[attribute], value, "{attribute} of {queue}");
                }
            }
        }
    }
    for change in [
        &["disable-wq", "iax1/wq1.0"][..],
        &["config-wq", "iax1/wq1.1", "--group-id=0", "--wq-size=8"],
        &["disable-device", "iax1"],
    ] {
        let output = run(&[], &[&["accel-config"], change].concat());
        let told = text(&output.stderr);
        assert!(!output.status.success(), "{change:?}: {told}");
        let why = "cannot be changed: virtual devices are what the options of `vdev run` say";
        assert_eq!(told.matches(why).count(), 1, "{change:?}: {told}");
    }
}

#[test]
fn shells_and_their_tools_see_the_devices() {
    let shown = script(
        &["--devices", "2"],
        "ls /dev/iax; test -c /dev/iax/wq1.0; stat -c '%F' /dev/iax/wq3.0; \
         cat /sys/bus/dsa/devices/iax3/version; cd /sys/bus/dsa/devices/iax1; pwd -P; readlink /proc/self/cwd",
    );
    let lines: Vec<&str> = shown.lines().collect();
    let [node1, node3, kind, version, place, directory] = lines[..] else {
        panic!("{shown}");
    };
    assert_eq!([node1, node3], ["wq1.0", "wq3.0"]);
    assert_eq!(kind, "character special file");
    assert!(place.starts_with("/sys/devices/pci") && place.ends_with("/iax1"));
    assert_eq!(version, "0x100");
    assert_eq!(directory, place);
    // From elsewhere, by relative and by roundabout ways, and not what is not served.
    let shown = script(
        &[],
        "cd /; cat sys/bus/dsa/devices/iax1/state; cd /sys/bus; cat dsa/devices/iax1/state; \
         cat /dev/../sys//bus/./dsa/devices/wq1.0/../state; grep -c enqcmd /proc/cpuinfo; \
         readlink -f /sys/bus/dsa/devices/wq1.0 | tail -c 11; \
         ls /sys/bus/dsa2 2>/dev/null || echo none; echo written > /dev/null",
    );
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap();
    let cpus = cpus.lines().filter(|line| line.starts_with("flags"));
    let expected = ["enabled"; 3]
        .map(str::to_owned)
        .into_iter()
        .chain([cpus.count().to_string()])
        .chain(["iax1/wq1.0", "none"].map(str::to_owned));
    assert_eq!(
        shown.lines().collect::<Vec<_>>(),
        expected.collect::<Vec<_>>()
    );
    // Nothing of that is left to the host, nor to be changed.
    let output = run(
        &[],
        &["sh", "-c", "echo 0 > /sys/bus/dsa/devices/iax1/state"],
    );
    assert!(!output.status.success());
    let told = text(&output.stderr);
    assert!(
        told.contains("/sys/bus/dsa/devices/iax1/state cannot be changed"),
        "{told}"
    );
    assert!(told.contains("Permission denied"), "{told}");
}

/// What this command finds out by `bench`, and what the devices count meanwhile.
fn bench(options: &[&str], backend: &str, input: &str) -> (Value, Value) {
    let pagepress = env!("CARGO_BIN_EXE_pagepress");
    let command = [
        pagepress,
        "bench",
        input,
        "--backend",
        backend,
        "--format",
        "json",
    ];
    let brief = ["--seconds", "0", "--repeats", "2"];
    let options = [&["--stats=json"], options].concat();
    let output = run(&options, &[&command[..], &brief].concat());
    let stderr = text(&output.stderr);
    assert!(output.status.success(), "{options:?}: {stderr}");
    let stats = serde_json::from_str(stderr.lines().last().unwrap()).unwrap();
    (serde_json::from_slice(&output.stdout).unwrap(), stats)
}

/// Pages that compress, of each its own.
fn pages(dir: &tempfile::TempDir) -> String {
    let path = dir.path().join("pages");
    let words = (0..200 * 1024u32).flat_map(|n| (n / 7 * 0x9E37).to_le_bytes());
    std::fs::write(&path, words.collect::<Vec<u8>>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Every page comes back by the way to a real device, whatever becomes of the device;
/// what this command says of descriptors, the devices say, too.
#[test]
fn all_pages_come_back_by_all_routes_and_with_faults() {
    let dir = tempfile::tempdir().unwrap();
    let input = pages(&dir);
    const FAULTS: &str = "read-fault@1/20,write-fault@1/25,late:20us-2ms@1/50,retry:3@1/30,\
                          status:0x20@1/50,seed:3";
    const LOST: &str = "never@1/100,reorder@1/9,seed:5";
    let routes: [&[&str]; 4] = [
        &[],
        &["--no-mmap"],
        &["--wq", "dedicated"],
        &["--wq", "dedicated", "--no-mmap"],
    ];
    for route in routes {
        for (profile, huffman) in [("gen1", "fixed"), ("gen2", "dynamic")] {
            for fault in [None, Some(FAULTS), Some(LOST)] {
                let mut options = [route, &["--profile", profile, "--devices", "2"]].concat();
                options.extend(fault.map(|fault| ["--fault", fault]).into_iter().flatten());
                let (results, stats) = bench(&options, &format!("iaa:{huffman}"), &input);
                let what = format!("{options:?}: {results}\n{stats}");
                let run = &results["runs"][0];
                assert_eq!(
                    (&run["verified"], &run["bad_pages"]),
                    (&json!(true), &json!(0))
                );
                assert_eq!(run["backend"], "iaa");
                assert_eq!(run["huffman"], huffman, "{what}");
                let number = |value: &Value| value.as_u64().unwrap_or_else(|| panic!("{what}"));
                let counted = |name: &str| number(&stats["counts"][name]);
                let calls = ["compress", "decompress"].map(|way| &run["calls"][way]);
                let by_devices: u64 = calls.iter().map(|c| number(&c["modelled_pages"])).sum();
                let by_software: u64 = calls.iter().map(|c| number(&c["software_pages"])).sum();
                assert!(by_devices > 0, "{what}");
                assert_eq!(by_software > 0, fault.is_some(), "{what}");
                let queues = run["queues"].as_array().unwrap().iter();
                let submitted: u64 = queues.map(|queue| number(&queue["submitted"])).sum();
                let accepted = counted("accepted");
                // Besides those of pages, NOOPs, one for each thread and a probe, and
                // Drains, by which queues are asked whether they live.
                let of = |opcode: &str| stats["opcodes"][opcode].as_u64().unwrap_or(0);
                let noops = of("noop") + of("drain");
                assert!(
                    accepted >= submitted && accepted - noops <= submitted,
                    "{what}"
                );
                let ended = counted("completed") + counted("abandoned");
                assert_eq!(accepted, ended, "{what}");
                assert_eq!(counted("abandoned") > 0, fault == Some(LOST), "{what}");
                let written = counted("written");
                assert_eq!(route.contains(&"--no-mmap"), written > 0, "{what}");
                assert_eq!(counted("trapped") > 0, written == 0, "{what}");
            }
        }
    }
}

#[test]
fn a_probe_goes_by_every_route() {
    let pagepress = env!("CARGO_BIN_EXE_pagepress");
    for (options, route) in [
        (&[][..], "enqcmd"),
        (&["--wq", "dedicated"], "movdir64b"),
        (&["--no-mmap"], "write"),
        (&["--no-mmap", "--wq", "dedicated"], "write"),
        (&["--device-thread", "--profile", "gen2"], "enqcmd"),
    ] {
        let output = run(options, &[pagepress, "doctor", "--probe"]);
        let words = text(&output.stdout)
            .split_whitespace()
            .collect::<Vec<_>>()
            .join(" ");
        assert!(output.status.success(), "{options:?}: {words}");
        assert!(
            words.contains(&format!("answers by {route} in")),
            "{options:?}: {words}"
        );
        assert!(
            words.contains("a page of 4096 bytes to"),
            "{options:?}: {words}"
        );
    }
    // A device that never answers is a finding.
    let output = run(&["--fault", "never"], &[pagepress, "doctor", "--probe"]);
    assert_eq!(output.status.code(), Some(1));
    let told = text(&output.stdout);
    assert!(told.contains("noop"), "{told}");
}

#[test]
fn the_trace_has_a_line_for_each_descriptor() {
    let dir = tempfile::tempdir().unwrap();
    let (input, trace) = (pages(&dir), dir.path().join("trace"));
    let path = trace.to_str().unwrap();
    for fault in ["late:1us@1/2", "never@#7,seed:1"] {
        let options = ["--trace", path, "--fault", fault];
        let (results, stats) = bench(&options, "iaa", &input);
        assert_eq!(results["runs"][0]["verified"], true);
        let text = std::fs::read_to_string(&trace).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        let accepted = stats["counts"]["accepted"].as_u64().unwrap();
        assert_eq!(lines.len() as u64, accepted);
        for line in &lines {
            let [time, pid, queue, opcode] =
                [0, 1, 2, 3].map(|n| line.split_whitespace().nth(n).unwrap());
            assert!(time.parse::<f64>().is_ok_and(|time| time < 600.0), "{line}");
            assert!(pid.starts_with("pid="), "{line}");
            assert_eq!(queue, "wq1.0");
            assert!(
                ["noop", "compress", "decompress"].contains(&opcode),
                "{line}"
            );
            assert!(line.contains(" -> "), "{line}");
        }
        let lost = lines
            .iter()
            .filter(|line| line.ends_with("-> never completed"));
        assert_eq!(lost.count(), usize::from(fault.starts_with("never")));
    }
}
