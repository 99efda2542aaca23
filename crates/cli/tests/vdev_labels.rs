//! What is measured on the devices of `pagepress vdev run` is called modelled, in every
//! format and by every command that tells a time.

#![cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]

use serde_json::Value;
use std::process::Command;

/// This command below `vdev run` with these options; what it prints.
fn shown(options: &[&str], arguments: &[&str]) -> String {
    let pagepress = env!("CARGO_BIN_EXE_pagepress");
    let mut command = Command::new(pagepress);
    command.args(["vdev", "run"]).args(options);
    command.args(["--", pagepress]).args(arguments);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn bench_says_so_in_all_formats() {
    let dir = tempfile::tempdir().unwrap();
    let input = dir.path().join("pages");
    let text: Vec<u8> = (0..40_000_u32)
        .flat_map(|n| (n / 9).to_le_bytes())
        .collect();
    std::fs::write(&input, text).unwrap();
    let input = input.to_str().unwrap();
    for options in [&[][..], &["--wq", "dedicated"], &["--no-mmap"]] {
        let bench = |format: &str| {
            let arguments = [
                "bench",
                input,
                "--seconds",
                "0",
                "--repeats",
                "3",
                "--backend",
                "iaa",
                "--format",
                format,
            ];
            shown(options, &arguments)
        };
        let json: Value = serde_json::from_str(&bench("json")).unwrap();
        let run = &json["runs"][0];
        assert_eq!(run["backend"], "iaa");
        assert_eq!(run["performed_by"], "modelled", "{run}");
        assert_eq!(run["verified"], true);
        assert_eq!(json["host"]["devices"][0]["modelled"], true);
        let csv = bench("csv");
        assert!(csv.contains("\niaa,deflate,,fixed,modelled,"), "{csv}");
        let text = bench("text");
        for part in ["IAA device (modelled)", "note: modelled: "] {
            assert!(text.contains(part), "{part} in\n{text}");
        }
        assert!(!text.contains("hardware"), "{text}");
        let html = bench("html");
        assert!(html.contains("<b>Modelled. </b>"), "{html}");
        assert!(html.contains("class=\"badge\">modelled<"), "{html}");
    }
}

#[test]
fn doctor_and_devices_say_so() {
    let doctor = shown(&["--devices", "2"], &["doctor", "--probe"]);
    // Lines are wrapped.
    let words = doctor.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        words.contains("(modelled) answers by enqcmd in "),
        "{doctor}"
    );
    assert!(words.contains(" us (modelled)"), "{doctor}");
    assert!(
        words.contains("Modelled: software stands in for iax1, iax3"),
        "{doctor}"
    );
    let json: Value = serde_json::from_str(&shown(&[], &["doctor", "--format", "json"])).unwrap();
    assert_eq!(json["modelled"], serde_json::json!(["iax1"]));
    let devices = shown(&["--profile", "gen2"], &["devices"]);
    assert!(devices.contains("iax1 (modelled)"), "{devices}");
}
