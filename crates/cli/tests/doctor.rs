//! `pagepress doctor` and `pagepress devices` as people and programs use them,
//! on snapshots of hosts.

#[path = "../../../accel/idxd/tests/chain/hosts.rs"]
#[expect(dead_code, reason = "the chain's own tests use all of it")]
mod hosts;

use hosts::{STATES, Shape, State};
use serde_json::Value;
use std::path::Path;
use std::process::{Command, Output};

fn pagepress(arguments: &[&str], root: &Path) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    let output = command.args(arguments).arg("--root").arg(root).output();
    output.expect("the command runs")
}

fn text(output: &Output) -> String {
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A snapshot of a host in this state.
fn snapshot(state: &State) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    state.snapshot(Shape::SHORT).write(dir.path()).unwrap();
    dir
}

fn named(name: &str) -> tempfile::TempDir {
    snapshot(State::find(name).expect("a state of that name"))
}

/// In every state the exit code says what the JSON does, and the text too.
#[test]
fn exit_code_text_and_json_agree() {
    for state in STATES {
        let dir = snapshot(state);
        let name = state.name;
        let output = pagepress(&["doctor", "--format", "json"], dir.path());
        let json: Value = serde_json::from_str(&text(&output)).expect(name);
        let broken = json["first_broken"].as_str();
        let usable = json["usable"].as_bool().unwrap();
        let expected = match (usable, broken) {
            (true, None) => 0,
            (false, Some(_)) => 1,
            (false, None) => 2,
            (true, Some(_)) => panic!("{name}: usable and broken"),
        };
        assert_eq!(output.status.code(), Some(expected), "{name}");
        assert_eq!(json["schema"], 1);
        assert_eq!(json["links"].as_array().unwrap().len(), 15);

        let output = pagepress(&["doctor"], dir.path());
        assert_eq!(output.status.code(), Some(expected), "{name}");
        let shown = text(&output);
        let verdict = match (usable, broken) {
            (true, _) => "\nUsable".to_owned(),
            (false, Some(link)) => format!("\nNot usable: {link} is broken"),
            (false, None) => "\nIt cannot be said whether IAA can be used".to_owned(),
        };
        assert!(shown.contains(&verdict), "{name}:\n{shown}");
        // Commands are whole lines, to be copied; all else fits a terminal.
        for line in shown
            .lines()
            .filter(|line| !line.trim_start().starts_with("$ "))
        {
            let word = line.split_whitespace().map(|w| w.chars().count()).max();
            let fits = line.chars().count() <= 100 || word > Some(70);
            assert!(fits, "{name}: {line}");
        }
        let output = pagepress(&["devices"], dir.path());
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(!text(&output).is_empty());
    }
}

#[test]
fn the_doctor_says_how_to_mend() {
    let dir = named("queue-disabled");
    let shown = text(&pagepress(&["doctor"], dir.path()));
    for part in [
        "broken    wq-enabled",
        "Why it matters: ",
        "$ ",
        "accel-config enable-wq",
    ] {
        assert!(shown.contains(part), "{part} in\n{shown}");
    }
    let dir = named("no-rawio");
    let shown = text(&pagepress(&["doctor"], dir.path()));
    assert!(shown.contains("ok        submission  write(2)"), "{shown}");
}

#[test]
fn devices_are_listed_with_why_not() {
    let dir = named("dedicated");
    let shown = text(&pagepress(&["devices"], dir.path()));
    assert!(shown.contains("dedicated"), "{shown}");
    let dir = named("mixed-failures");
    let output = pagepress(&["devices", "--format", "json"], dir.path());
    let json: Value = serde_json::from_str(&text(&output)).unwrap();
    assert_eq!(json["schema"], 1);
    let queues = json["queues"].as_array().unwrap();
    let refused = |link: &str| {
        let is_it = |queue: &&Value| queue["refused"][0]["link"] == link;
        queues.iter().filter(is_it).count()
    };
    assert!(refused("iommu") > 0, "{queues:?}");
    assert!(json["host"]["devices"][0]["capabilities"].is_array());
    let dir = named("no-device");
    let shown = text(&pagepress(&["devices"], dir.path()));
    assert!(shown.starts_with("No IAA device"), "{shown}");
}

/// What `vdev run` puts into sysfs and no kernel does.
#[test]
fn virtual_devices_are_called_modelled() {
    let healthy = State::find("healthy").expect("a state of that name");
    let seen = |marked: &[u32]| {
        let dir = tempfile::tempdir().unwrap();
        let mut snapshot = healthy.snapshot(Shape::PAIR);
        snapshot.set(marked, "modelled", "pagepress-model");
        snapshot.write(dir.path()).unwrap();
        let shown = |command: &str| text(&pagepress(&[command], dir.path()));
        let json = |command: &str| -> Value {
            let output = pagepress(&[command, "--format", "json"], dir.path());
            serde_json::from_str(&text(&output)).unwrap()
        };
        let doctor = (shown("doctor"), json("doctor"));
        (doctor, (shown("devices"), json("devices")))
    };
    let ((doctor, doctor_json), (devices, devices_json)) = seen(&[9]);
    for part in [
        ", modelled\n\n",
        "iax1: enabled; iax9: enabled, modelled in software",
        "Modelled: software stands in for iax9",
    ] {
        assert!(doctor.contains(part), "{part} in\n{doctor}");
    }
    assert_eq!(doctor_json["modelled"], serde_json::json!(["iax9"]));
    for part in ["iax9 (modelled) ", "iax9/wq9.0 (modelled) ", "\nModelled: "] {
        assert!(devices.contains(part), "{part} in\n{devices}");
    }
    assert!(!devices.contains("iax1 (m"), "{devices}");
    let of = |json: &Value, n: usize| json["host"]["devices"][n]["modelled"].as_bool();
    assert_eq!(of(&devices_json, 0), Some(false));
    assert_eq!(of(&devices_json, 1), Some(true));

    let ((doctor, doctor_json), (devices, _)) = seen(&[]);
    assert!(!format!("{doctor}{devices}").contains("odelled"));
    assert_eq!(doctor_json["modelled"], serde_json::json!([]));
}

#[test]
fn what_is_no_host_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for command in ["doctor", "devices"] {
        for root in [dir.path(), Path::new("/no/such/place")] {
            let output = pagepress(&[command], root);
            assert_eq!(output.status.code(), Some(2));
            assert!(output.stdout.is_empty());
            assert_eq!(String::from_utf8_lossy(&output.stderr).lines().count(), 1);
        }
    }
    let output = pagepress(&["doctor", "--probe"], dir.path());
    assert_eq!(
        output.status.code(),
        Some(2),
        "a snapshot has no device to ask"
    );
}
