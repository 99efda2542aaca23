//! What is said of every state, in short; and the form of it in JSON.

use crate::Seen;
use crate::hosts::{STATES, Shape, Snapshot, State};
use pagepress_idxd::chain::LinkName;
use serde_json::Value;
use std::collections::BTreeSet;

/// Every state: the links by letter, and how many queues are usable.
const TABLE: &[(&str, &str, usize)] = &[
    ("healthy", "oooooooooooooss", 8),
    ("no-enqcmd", "bbsssssssssssss", 0),
    ("vm-without-enqcmd", "booooooooooooss", 8),
    ("no-device", "obsssssssssssss", 0),
    ("driver-not-loaded", "oobssssssssssss", 0),
    ("loaded-and-not-bound", "oobssssssssssss", 0),
    ("uio-bound", "oobssssssssssss", 0),
    ("vfio-bound", "oooooooooooooss", 7),
    ("container-without-bus", "oobssssssssssss", 0),
    ("sva-not-asked-for", "ooobbobooossoss", 0),
    ("sva-off", "ooobbobooossoss", 0),
    ("sva-off-with-five-levels", "oooboooodooooss", 0),
    ("sva-off-in-a-vm", "ooobbobooossoss", 0),
    ("never-configured", "oooobbbsssssoss", 0),
    ("device-disabled", "oooobobooossoss", 0),
    ("device-refused", "oooobbbsssssoss", 0),
    ("device-halted", "oooobooooooooss", 0),
    ("engines-ungrouped", "oooooboooooooss", 0),
    ("one-engine", "oooooooooooooss", 8),
    ("group-without-engines", "oooooooooooooss", 4),
    ("queue-disabled", "oooooobbbossoss", 0),
    ("queue-not-enabled-yet", "oooooobooossoss", 0),
    ("queue-without-name", "oooooobbbossoss", 0),
    ("queue-of-the-kernel", "oooooooboossoss", 0),
    ("queue-with-driver-of-the-kernel", "oooooooboossoss", 0),
    ("dedicated", "oooooooodooooss", 8),
    ("dedicated-and-held", "oooooooodooooss", 8),
    ("threshold-0", "oooooooobooooss", 0),
    ("threshold-below-size", "oooooooooooooss", 8),
    ("no-compress", "oooooooooboooss", 0),
    ("no-decompress-on-one", "oooooooooooooss", 8),
    ("split-work", "oooooooooooooss", 8),
    ("device-without-compress", "oooooooooboooss", 0),
    ("transfers-too-small", "oooooooooboooss", 0),
    ("block-on-fault-off", "oooooooooooooss", 8),
    ("page-requests-off", "oooooooooooooss", 8),
    ("ats-off", "oooooooooooooss", 8),
    ("container-without-node", "oooooooooobsoss", 0),
    ("node-removed", "oooooooooobsoss", 0),
    ("node-of-another-device", "oooooooooobsoss", 0),
    ("no-permission", "oooooooooooboss", 0),
    ("permission-by-group", "oooooooooooooss", 8),
    ("permission-by-capability", "oooooooooooooss", 8),
    ("permission-by-list", "ooooooooooouoss", 0),
    ("no-rawio", "oooooooooooooss", 8),
    ("rawio", "oooooooooooooss", 8),
    ("guard-of-a-vendor", "oooooooooooooss", 8),
    ("mixed-sockets", "oooooooooooooss", 4),
    ("mixed-failures", "oooooooooooooss", 2),
    ("no-node-numbers", "oooooooooooooss", 8),
    ("old-kernel", "oooooooooooooss", 7),
    ("generation-2", "oooooooooooooss", 8),
    ("software-error", "oooooooooooooss", 8),
    ("copied-by-tar", "oooooooooooooss", 8),
    ("taken-apart", "oooooooooooooss", 8),
];

/// Checked of every state: the table, what follows from it, and the JSON.
#[test]
fn every_state() {
    let known: BTreeSet<&str> = STATES.iter().map(|state| state.name).collect();
    let told: BTreeSet<&str> = TABLE.iter().map(|row| row.0).collect();
    assert_eq!(known, told);
    assert_eq!(STATES.len(), known.len(), "names are used once");
    for &(name, letters, usable) in TABLE {
        let seen = Seen::of(name);
        assert_eq!(seen.letters(), letters, "{name}");
        assert_eq!(seen.usable().len(), usable, "{name}");
        let bad = letters.contains('b') || letters.contains('u');
        assert_eq!(seen.diagnosis.is_usable(), !bad, "{name}");
        let first = letters.find('b').map(|at| LinkName::ALL[at]);
        let broken = seen.diagnosis.first_broken().map(|link| link.name);
        assert_eq!(broken, first, "{name}");
        let source = State::find(name).unwrap().source;
        assert!(source.contains("FACT ") || source.contains('#'), "{name}");
        texts(&seen, name);
        json(&seen, name);
    }
}

/// Every bad link says something, and what to do unless nothing can be done;
/// nothing is said twice, and no placeholder is left.
fn texts(seen: &Seen, name: &str) {
    let mut said = BTreeSet::new();
    for advice in &seen.diagnosis.advice {
        assert!(said.insert(advice), "{name}: twice: {advice}");
        assert!(!advice.contains("   # "), "{name}: {advice}");
    }
    for link in &seen.diagnosis.links {
        assert!(!link.found.is_empty() && !link.why.is_empty(), "{name}");
        if link.status.to_string() == "broken" {
            let hopeless = name == "device-without-compress";
            assert_eq!(link.fix.is_empty(), hopeless, "{name} {}", link.name);
        }
        for command in &link.fix {
            let loops = command.contains("for i in ") || !command.contains("$i");
            assert!(loops, "{name}: {command}");
            assert!(!command.contains("$d") || command.contains("for d in "));
        }
        if link.status.to_string() == "ok" {
            assert!(link.fix.is_empty(), "{name} {}", link.name);
        }
    }
}

fn json(seen: &Seen, name: &str) {
    let value = serde_json::to_value(&seen.diagnosis).unwrap();
    let mut keys: Vec<&String> = value.as_object().unwrap().keys().collect();
    // Their order is that of the struct or of the alphabet, as serde_json is built.
    keys.sort();
    assert_eq!(
        keys,
        [
            "advice",
            "first_broken",
            "links",
            "modelled",
            "schema",
            "usable"
        ]
    );
    assert_eq!(value["schema"], 1);
    assert_eq!(value["usable"], seen.diagnosis.is_usable());
    match seen.diagnosis.first_broken() {
        Some(link) => assert_eq!(value["first_broken"], link.name.name()),
        None => assert_eq!(value["first_broken"], Value::Null),
    }
    let links = value["links"].as_array().unwrap();
    let names: Vec<&Value> = links.iter().map(|link| &link["name"]).collect();
    let expected = [
        "cpu",
        "pci",
        "driver",
        "iommu",
        "device",
        "engines",
        "wq-enabled",
        "wq-type",
        "wq-mode",
        "wq-ops",
        "node",
        "permission",
        "submission",
        "noop",
        "roundtrip",
    ];
    assert_eq!(names, expected);
    for (link, said) in links.iter().zip(&seen.diagnosis.links) {
        let mut keys: Vec<&String> = link.as_object().unwrap().keys().collect();
        keys.sort();
        assert_eq!(keys, ["fix", "found", "name", "status", "why"], "{name}");
        assert_eq!(link["status"], said.status.to_string());
        assert_eq!(link["found"], said.found.as_str());
        assert!(link["fix"].as_array().is_some() && link["why"].is_string());
    }
    // The picture that the diagnosis is made of can be shown as well.
    let host = serde_json::to_value(&seen.host).unwrap();
    assert!(host["cpus"]["online"].is_array(), "{name}");
}

#[test]
fn a_healthy_host_needs_no_advice() {
    let seen = Seen::snapshot(&Snapshot::healthy(Shape::SERVER));
    assert!(seen.diagnosis.advice.is_empty());
    assert_eq!(
        seen.usable(),
        [
            "wq1.0", "wq3.0", "wq5.0", "wq7.0", "wq9.0", "wq11.0", "wq13.0", "wq15.0"
        ]
    );
    // Of the others it is known that nobody configured them.
    assert_eq!(seen.diagnosis.paths.len(), 64);
    assert!(seen.refused("wq1.1").contains(&LinkName::WqEnabled));
    let packages: Vec<Option<u32>> = seen
        .host
        .devices
        .iter()
        .flatten()
        .map(|d| d.package)
        .collect();
    assert_eq!(packages, [0, 0, 0, 0, 1, 1, 1, 1].map(Some));
    assert_eq!(seen.host.cpus.packages(), [0, 1]);
    let device = &seen.host.devices.as_ref().unwrap()[0];
    assert_eq!(device.pci.as_deref(), Some("0000:6a:02.0"));
    assert_eq!(
        (
            device.queues.len(),
            device.engines.len(),
            device.groups.len()
        ),
        (8, 8, 4)
    );
}

/// What others do not have is no failure of the link, and is not forgotten.
#[test]
fn one_way_suffices() {
    let seen = Seen::of("mixed-failures");
    assert_eq!(seen.usable(), ["wq9.0", "wq15.0"]);
    for (queue, link) in [
        ("wq1.0", LinkName::Iommu),
        ("wq3.0", LinkName::Device),
        ("wq5.0", LinkName::WqEnabled),
        ("wq7.0", LinkName::WqType),
        ("wq11.0", LinkName::WqOps),
        ("wq13.0", LinkName::Node),
    ] {
        assert_eq!(seen.refused(queue)[0], link, "{queue}");
    }
    for (who, what) in [
        ("iax1: ", "no shared virtual addressing"),
        (
            "iax3: ",
            "disabled, and no work queue is configured; mend it with: for e in",
        ),
        (
            "iax5/wq5.0: ",
            "disabled; mend it with: accel-config config-wq iax5/wq5.0 --group",
        ),
        (
            "iax7/wq7.0: ",
            "its driver is `crypto`; mend it with: accel-config disable-wq iax7",
        ),
        (
            "iax11/wq11.0: ",
            "op_config does not allow compress and decompress; mend it with: ",
        ),
        (
            "iax13/wq13.0: ",
            "its node in /dev/iax is not there; mend it with: ",
        ),
    ] {
        let advice = seen.advice(who);
        assert!(advice.starts_with(who) && advice.contains(what), "{advice}");
    }
    // Of a later link only those are judged that got there.
    assert_eq!(seen.found(LinkName::Permission).matches("/wq").count(), 2);
}

#[test]
fn sockets() {
    let seen = Seen::of("mixed-sockets");
    assert_eq!(seen.usable(), ["wq9.0", "wq11.0", "wq13.0", "wq15.0"]);
    seen.advice("package 0 has no usable device: its threads use another package's");
    seen.advice("iax1, iax3, iax5, iax7: disabled, and no work queue is configured");
    // Of a device that may be anywhere, nothing is said.
    let seen = Seen::of("no-node-numbers");
    assert!(seen.diagnosis.advice.is_empty());
    assert!(
        seen.diagnosis
            .paths
            .iter()
            .all(|path| path.package.is_none())
    );
    // Where there are no nodes, the CPUs next to a device tell its package.
    let seen = Seen::of("taken-apart");
    assert_eq!(seen.diagnosis.paths[0].package, Some(0));
    assert_eq!(seen.diagnosis.paths[15].package, Some(1));
}
