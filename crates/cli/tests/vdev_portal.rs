//! `pagepress vdev run` with a C program that submits to a queue in every way there is,
//! and proves by each descriptor's result that none was lost and none done twice. What
//! it counts, the virtual devices have to count, too.
//!
//! `PAGEPRESS_VDEV_DESCRIPTORS` says how many it submits in each of the long runs.

#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

use serde_json::{Value, json};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// A program made of these sources, if they are no options; `None` if there is no compiler.
fn compiled(name: &str, sources: &[&str]) -> Option<PathBuf> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vdev");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    let mut compiler = Command::new("cc");
    compiler.args(["-O2", "-pthread", "-o"]).arg(&program);
    compiler.current_dir(directory).args(sources);
    match compiler.output() {
        Ok(output) => {
            let told = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success(), "{told}");
            Some(program)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("skipped: there is no C compiler (cc)");
            None
        }
        Err(error) => panic!("cc: {error}"),
    }
}

/// The program that submits.
fn portal() -> Option<&'static Path> {
    static PROGRAM: OnceLock<Option<PathBuf>> = OnceLock::new();
    let sources = ["portal.c", "manners.c", "ways.S"];
    let program = PROGRAM.get_or_init(|| compiled("vdev-portal", &sources));
    program.as_deref()
}

/// What is asked of the devices.
#[derive(Debug, Clone, Copy)]
struct Setting {
    profile: &'static str,
    wq: &'static str,
    more: &'static [&'static str],
}

/// Both generations with both kinds of queues, that complete at once and later.
fn settings() -> impl Iterator<Item = Setting> {
    ["gen1", "gen2"].into_iter().flat_map(|profile| {
        ["shared", "dedicated"].into_iter().flat_map(move |wq| {
            [&[][..], &["--device-thread"]].map(|more| Setting { profile, wq, more })
        })
    })
}

/// What the program and the devices have counted.
struct Counted {
    program: Value,
    devices: Value,
}

impl Counted {
    fn by_program(&self, name: &str) -> u64 {
        let count = self.program[name].as_u64();
        count.unwrap_or_else(|| panic!("{name} of {}", self.program))
    }

    fn by_devices(&self, name: &str) -> u64 {
        let count = self.devices["counts"][name].as_u64();
        count.unwrap_or_else(|| panic!("{name} of {}", self.devices))
    }
}

/// Entries of the queue.
const SIZE: u64 = 128;

/// Runs the program in one of its modes; `None` if there is none.
fn run(setting: Setting, mode: &str, threads: u32, descriptors: u64) -> Option<Counted> {
    let program = portal()?;
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(["vdev", "run", "--stats=json", "--profile", setting.profile]);
    command.args(["--wq", setting.wq]).args(setting.more);
    command.arg("--").arg(program);
    command.args([mode, "/dev/iax/wq1.0", setting.wq, &SIZE.to_string()]);
    command.args([threads.to_string(), descriptors.to_string()]);
    let output = command.output().unwrap();
    let what = format!("{mode} with {setting:?}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{what}: {stdout}{stderr}");
    let last = |text: &str| -> Value {
        let line = text.lines().last().unwrap_or_default();
        serde_json::from_str(line).unwrap_or_else(|error| panic!("{what}: {error}: {text}"))
    };
    let counted = Counted {
        program: last(&stdout),
        devices: last(&stderr),
    };
    let told = format!("{what}:\n{}\n{}", counted.program, counted.devices);
    assert_eq!(counted.program["mode"], mode, "{told}");
    let (ours, theirs) = (
        |name| counted.by_program(name),
        |name| counted.by_devices(name),
    );
    assert!(ours("accepted") > 0, "{told}");
    assert_eq!(ours("completed"), ours("accepted"), "{told}");
    for name in ["accepted", "completed", "retried", "own_faults"] {
        assert_eq!(theirs(name), ours(name), "{name}, {told}");
    }
    for name in ["dropped", "errors", "abandoned", "refused"] {
        assert_eq!(theirs(name), 0, "{name}, {told}");
    }
    assert_eq!(
        counted.devices["statuses"],
        json!({"0x01": ours("completed")}),
        "{told}"
    );
    // With a burst, the devices see those that it was too long for.
    if mode == "write" {
        assert_eq!(theirs("written"), ours("written"), "{told}");
        assert_eq!(theirs("trapped"), 0, "{told}");
    } else {
        let sent = theirs("trapped") + theirs("written");
        assert_eq!(sent, ours("accepted") + ours("retried"), "{told}");
    }
    Some(counted)
}

/// How many descriptors a long run has.
fn descriptors() -> u64 {
    match std::env::var("PAGEPRESS_VDEV_DESCRIPTORS") {
        Ok(number) => number.parse().expect("a number of descriptors"),
        // Each of 8 threads goes by each of some 1,100 ways.
        Err(_) => 10_000,
    }
}

fn all_kinds_of_operations(counted: &Counted) {
    let kinds = ["noop", "crc64", "compress", "decompress"].map(|name| counted.by_program(name));
    assert!(kinds.iter().all(|&count| count > 0), "{kinds:?}");
    assert_eq!(kinds.iter().sum::<u64>(), counted.by_program("completed"));
}

#[test]
fn no_descriptor_is_lost_or_done_twice() {
    for setting in settings() {
        let Some(counted) = run(setting, "submit", 8, descriptors()) else {
            return;
        };
        assert_eq!(counted.by_program("accepted"), descriptors(), "{setting:?}");
        let ways = counted.by_program("ways");
        assert_eq!(counted.by_program("ways_used"), ways, "{setting:?}");
        all_kinds_of_operations(&counted);
    }
}

#[test]
fn bursts_are_taken_as_far_as_there_is_room() {
    for setting in settings() {
        let Some(counted) = run(setting, "write", 8, descriptors()) else {
            return;
        };
        assert_eq!(counted.by_program("accepted"), descriptors(), "{setting:?}");
        assert_eq!(counted.by_program("mapped"), 1);
        all_kinds_of_operations(&counted);
    }
}

#[test]
fn without_a_portal_there_is_write() {
    for wq in ["shared", "dedicated"] {
        let setting = Setting {
            profile: "gen1",
            wq,
            more: &["--no-mmap"],
        };
        let Some(counted) = run(setting, "write", 4, 1000) else {
            return;
        };
        assert_eq!(counted.by_program("mapped"), 0);
        assert_eq!(counted.by_devices("not_mapped"), 1);
        assert_eq!(counted.by_devices("mapped"), 0);
    }
}

#[test]
fn programs_keep_their_signal_handlers() {
    for setting in settings() {
        let Some(counted) = run(setting, "handlers", 1, 200) else {
            return;
        };
        assert!(counted.by_program("own_faults") > 150, "{setting:?}");
    }
}

#[test]
fn children_open_for_themselves() {
    for setting in settings() {
        let Some(counted) = run(setting, "fork", 1, 1) else {
            return;
        };
        assert_eq!(counted.by_program("own_faults"), 2, "{setting:?}");
        // The program that inherits is one, too.
        assert_eq!(counted.by_devices("processes"), 2, "{setting:?}");
    }
}

#[test]
fn registers_flags_and_red_zone_are_left_alone() {
    for setting in settings() {
        for mode in ["flags", "redzone"] {
            let Some(_) = run(setting, mode, 1, 500) else {
                return;
            };
        }
    }
}

#[test]
fn a_shared_queue_is_full_at_its_threshold() {
    let setting = |more| Setting {
        profile: "gen1",
        wq: "shared",
        more,
    };
    // Nothing completes while the queue is filled.
    for (more, taken) in [
        (&["--fault", "late:3s"][..], SIZE),
        (&["--fault", "late:3s", "--threshold", "50"], 50),
    ] {
        let Some(counted) = run(setting(more), "full", 1, 1) else {
            return;
        };
        assert_eq!(counted.by_program("until_retry"), taken, "{more:?}");
        assert_eq!(counted.by_program("retried"), 1, "{more:?}");
    }
    // Where all completes at once it never is.
    let counted = run(setting(&[]), "full", 1, 1).unwrap();
    assert_eq!(counted.by_program("until_retry"), 4 * SIZE);
    assert_eq!(counted.by_program("retried"), 0);
}

#[test]
fn nodes_are_waited_for_and_refuse_what_drivers_refuse() {
    let Some(program) = compiled("vdev-waiting", &["waiting.c"]) else {
        return;
    };
    for options in [&[][..], &["--device-thread"], &["--wq", "dedicated"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
        command.args(["vdev", "run"]).args(options);
        command.arg("--").arg(&program).arg("/dev/iax/wq1.0");
        let output = command.output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{options:?}: {stderr}");
    }
}

#[test]
fn all_that_looks_at_files_sees_the_same() {
    let Some(program) = compiled("vdev-looking", &["-D_FORTIFY_SOURCE=2", "looking.c"]) else {
        return;
    };
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(["vdev", "run", "--"]).arg(&program);
    command.args(["/dev/iax/wq1.0", "/sys/bus/dsa/devices/iax1/state"]);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    assert_eq!(output.stdout, b"e\n", "enabled");
    // Said once, however often it is tried.
    assert_eq!(stderr.matches("cannot be changed").count(), 1, "{stderr}");
}
