//! `pagepress bench --corunner` from the outside.

use serde_json::Value;
use std::process::Command;

#[test]
fn a_service_beside_each_backend() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pages");
    let pages: Vec<u8> = (0..300 * 4096_u32).map(|n| (n / 5 % 251) as u8).collect();
    std::fs::write(&file, pages).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command
        .args(["bench", "--seconds", "0", "--repeats", "3", "--corunner"])
        .args(["--corunner-rate", "2000", "--backend", "lz4,model"])
        .args(["--batch", "1,8", "--threads", "1,2", "--format", "json"])
        .arg(&file);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["runs"].as_array().unwrap().len(), 8);
    let corunner = &json["corunner"];
    assert_eq!(corunner["pages_per_second"], 2000.0);
    let beside = corunner["beside"].as_array().unwrap();
    let named = |it: &Value| (it["backend"].clone(), it["batch"].clone());
    let all: Vec<_> = beside.iter().map(named).collect();
    assert_eq!(
        all,
        [("lz4", 1), ("lz4", 8), ("model", 1), ("model", 8)]
            .map(|(backend, batch)| (backend.into(), batch.into()))
    );
    let services = beside.iter().map(|beside| &beside["service"]);
    for service in services.chain([&corunner["alone"]]) {
        assert!(service["requests"].as_u64().unwrap() >= 300, "{service}");
        let at = |of: &str, what: &str| service[of][what].as_f64().unwrap();
        for of in ["latency_ns", "work_ns"] {
            let order = ["p50", "p90", "p99", "p999", "max"].map(|what| at(of, what));
            assert!(order.is_sorted() && order[0] > 0.0, "{service}");
        }
        assert!(at("latency_ns", "p50") >= at("work_ns", "p50"), "{service}");
        for of in ["p50_repeats", "p99_repeats"] {
            assert_eq!(service[of]["values"].as_array().unwrap().len(), 3);
        }
    }
    for beside in beside {
        assert_eq!(beside["bad_pages"], 0);
        let share = beside["cpu_share"].as_f64().unwrap();
        assert!(share > 0.0 && share <= 1.01, "{beside}");
        let modelled = beside["report"]["modelled_pages"].as_u64().unwrap() > 0;
        assert_eq!(modelled, beside["backend"] == "model");
        assert_eq!(modelled, beside["performed_by"] == "modelled");
    }

    let mut command = Command::new(env!("CARGO_BIN_EXE_pagepress"));
    command.args(["bench", "--corunner-rate", "5"]);
    let refused = command.output().unwrap();
    assert_eq!(refused.status.code(), Some(2));
}
