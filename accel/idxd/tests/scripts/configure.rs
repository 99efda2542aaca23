//! What configure-iaa prints, refuses, does and undoes.

use crate::root::{DEVICES, Fake, OP_CAP, has_bash, run, script};
use std::fs;

/// As the commands for two sockets are documented, devices in their order.
const TWO_SOCKETS: &str = include_str!("two-sockets.txt");

#[test]
fn a_dry_run_prints_the_documented_commands() {
    if !has_bash() {
        return;
    }
    let fake = Fake::new();
    let before = fake.tree();
    let printed = fake.configure(&[]);
    assert_eq!(printed.err, "");
    assert_eq!(printed.out, TWO_SOCKETS);
    assert_eq!(printed.code, 0);
    assert_eq!(fake.tree(), before, "a dry run changes nothing");

    // The sequence of accel-config's and the driver's documentation.
    let mut expected = Vec::new();
    for i in DEVICES {
        expected.extend(
            (0..8).map(|e| format!("accel-config config-engine iax{i}/engine{i}.{e} --group-id=0")),
        );
        expected.push(format!(
            "accel-config config-wq iax{i}/wq{i}.0 --group-id=0 --mode=shared --wq-size=128 \
             --threshold=128 --priority=10 --block-on-fault=1 --type=user --driver-name=user \
             --name=app1 --max-transfer-size=2147483648"
        ));
        expected.push(format!("accel-config enable-device iax{i}"));
        expected.push(format!("accel-config enable-wq iax{i}/wq{i}.0"));
    }
    let printed = fake.configure(&["--dry-run", "--no-udev", "--name", "app1"]);
    assert_eq!(printed.commands(), expected);
}

#[test]
fn a_dry_run_of_plain_sysfs() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&[1, 3, 9], false);
    let printed = fake.configure(&["--method=sysfs", "--device=iax9", "--no-udev"]);
    let at = "/sys/bus/dsa/devices/iax9";
    let mut expected: Vec<String> = (0..8)
        .map(|e| format!("echo 0 > {at}/engine9.{e}/group_id"))
        .collect();
    for (value, attribute) in [
        ("128", "size"),
        ("0", "group_id"),
        ("shared", "mode"),
        ("128", "threshold"),
        ("10", "priority"),
        ("1", "block_on_fault"),
        ("user", "type"),
        ("user", "driver_name"),
        ("pagepress", "name"),
        ("2147483648", "max_transfer_size"),
    ] {
        expected.push(format!("echo {value} > {at}/wq9.0/{attribute}"));
    }
    expected.push("echo iax9 > /sys/bus/dsa/drivers/idxd/bind".to_owned());
    expected.push("echo wq9.0 > /sys/bus/dsa/drivers/user/bind".to_owned());
    assert_eq!(printed.commands(), expected);
}

#[test]
fn older_kernels_have_no_driver_name() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&[1, 3, 9], false);
    for n in 0..8 {
        let path = format!("sys/bus/dsa/devices/iax1/wq1.{n}/driver_name");
        fs::remove_file(fake.path.join(path)).unwrap();
    }
    for method in ["accel-config", "sysfs"] {
        let printed = fake.configure(&["--method", method, "--device", "iax1"]);
        let commands = printed.commands().join("\n");
        assert!(!commands.contains("driver-name"), "{commands}");
        assert!(!commands.contains("driver_name"), "{commands}");
    }
}

#[test]
fn queues_split() {
    if !has_bash() {
        return;
    }
    let queues = |fake: &Fake, arguments: &[&str]| {
        let arguments = [&["--split", "--device=iax3"], arguments].concat();
        let commands = fake.configure(&arguments).commands();
        let lines = commands.into_iter().filter(|line| line.contains("wq"));
        lines.collect::<Vec<_>>()
    };
    let of = |n: u32, name: &str, ops: &str| {
        format!(
            "accel-config config-wq iax3/wq3.{n} --group-id=0 --mode=shared --wq-size=64 \
             --threshold=64 --priority=10 --block-on-fault=1 --type=user --driver-name=user \
             --name=pagepress-{name} --max-transfer-size=2147483648{ops}"
        )
    };
    let enable = |n: u32| format!("accel-config enable-wq iax3/wq3.{n}");
    let rule = |commands: &mut Vec<String>| assert!(commands.remove(0).contains("iax?wq*"));

    let mut printed = queues(&Fake::with(&[1, 3, 9], false), &[]);
    rule(&mut printed);
    let expected = [
        of(0, "compress", ""),
        of(1, "decompress", ""),
        enable(0),
        enable(1),
    ];
    assert_eq!(printed, expected);

    let mut printed = queues(&Fake::with(&[1, 3, 9], true), &[]);
    rule(&mut printed);
    let ops = |word: &str| format!(" --op-config={}", OP_CAP.replace("007f331c", word));
    let expected = [
        of(0, "compress", &ops("00000008")),
        of(1, "decompress", &ops("00000004")),
        enable(0),
        enable(1),
    ];
    assert_eq!(printed, expected);

    let printed = queues(
        &Fake::with(&[1, 3, 9], false),
        &["--size=32", "--threshold=30"],
    );
    assert!(
        printed[1].contains("--wq-size=32 --threshold=30 "),
        "{printed:?}"
    );
    let error = Fake::with(&[1, 3, 9], false)
        .configure(&["--split", "--size", "65"])
        .error(1);
    assert!(
        error.contains("iax1 has 128 entries, not 2 times 65"),
        "{error}"
    );
}

#[test]
fn what_is_in_use_is_left_alone() {
    if !has_bash() {
        return;
    }
    let enabled = [
        ("state", "enabled"),
        ("type", "user"),
        ("size", "16"),
        ("name", "other"),
    ];
    let refused = |part: &str, attributes: &[(&str, &str)], arguments: &[&str], why: &[&str]| {
        let fake = Fake::with(&USED, false);
        fake.set(part, attributes);
        let before = fake.tree();
        for method in ["accel-config", "sysfs"] {
            let ran = fake.apply(&[&["--method", method], arguments].concat());
            assert_eq!(ran.out, "");
            let error = ran.error(1);
            for why in [why, &["nothing was changed"]].concat() {
                assert!(error.contains(why), "{error}");
            }
            assert_eq!(fake.tree(), before);
        }
    };
    refused(
        "iax5/wq5.2",
        &[
            enabled[0],
            enabled[1],
            ("clients", "3"),
            ("name", "pagepress"),
        ],
        &[],
        &["iax5/wq5.2 is in use: 3 clients", "fuser -v /dev/iax/wq5.2"],
    );
    refused(
        "iax5/wq5.0",
        &enabled,
        &[],
        &[
            "iax5/wq5.0 is enabled and somebody else's, by its name 'other'",
            "accel-config disable-wq iax5/wq5.0",
            "echo wq5.0 > /sys/bus/dsa/drivers/user/unbind",
        ],
    );
    let kernel = [
        enabled[0],
        ("type", "kernel"),
        ("driver_name", "crypto"),
        ("size", "128"),
        ("clients", "1"),
    ];
    refused(
        "iax13/wq13.0",
        &kernel,
        &[],
        &[
            "iax13/wq13.0 belongs to the kernel (crypto)",
            "--take-kernel",
        ],
    );
    // Taken only if nothing uses the driver, and nobody knows.
    refused(
        "iax13/wq13.0",
        &kernel,
        &["--take-kernel"],
        &["iax13/wq13.0 is in use: 1 clients"],
    );
    refused(
        "iax1",
        &[("pasid_enabled", "0")],
        &[],
        &["no shared virtual addressing", "intel_iommu=on,sm_on"],
    );
    refused(
        "iax1",
        &[("configurable", "0")],
        &[],
        &["cannot be configured"],
    );
    refused("iax1", &[("state", "halted")], &[], &["iax1 is halted"]);

    let fake = Fake::with(&USED, false);
    fake.set("iax13/wq13.0", &kernel);
    // Another device is free.
    fake.apply(&["--device=iax7", "--method=sysfs"]).ok();
    fake.put("sys/module/iaa_crypto/refcnt", "2");
    let error = fake.configure(&["--take-kernel"]).error(1);
    assert!(error.contains("2 users of iaa_crypto"), "{error}");
}

/// Devices enough for what is not about all of them.
const USED: [u32; 5] = [1, 3, 5, 7, 13];

/// A host with a history: leftovers, a dedicated queue of ours, a kernel's.
fn used() -> Fake {
    let fake = Fake::with(&USED, true);
    fake.set("iax1/engine1.3", &[("group_id", "1")]);
    let queue = [
        ("size", "100"),
        ("group_id", "1"),
        ("type", "user"),
        ("driver_name", "user"),
        ("name", "left over's"),
        ("threshold", "90"),
        ("priority", "3"),
        ("ats_disable", "1"),
    ];
    fake.set("iax1/wq1.0", &queue);
    fake.set("iax1/wq1.4", &[("size", "28"), ("group_id", "2")]);

    fake.set("iax3", &[("state", "enabled")]);
    fake.set("iax3/engine3.0", &[("group_id", "0")]);
    fake.set("iax3/group3.0", &[("traffic_class_b", "4")]);
    let queue = [
        ("mode", "dedicated"),
        ("size", "16"),
        ("group_id", "0"),
        ("type", "user"),
        ("driver_name", "user"),
        ("name", "pagepress"),
        ("priority", "1"),
    ];
    fake.set("iax3/wq3.5", &queue);
    fake.set(
        "iax3/wq3.5",
        &[("op_config", &OP_CAP.replace("007f331c", "0000000c"))],
    );
    fake.bind("iax3/wq3.5", "user");

    fake.set("iax5", &[("state", "enabled")]);
    fake.set("iax5/engine5.0", &[("group_id", "0")]);
    let queue = [
        ("size", "128"),
        ("threshold", "128"),
        ("group_id", "0"),
        ("type", "kernel"),
        ("driver_name", "crypto"),
        ("name", "iaa_crypto"),
        ("priority", "10"),
        ("block_on_fault", "1"),
    ];
    fake.set("iax5/wq5.0", &queue);
    fake.bind("iax5/wq5.0", "crypto");
    fake.put("sys/module/iaa_crypto/refcnt", "0");
    fake
}

#[test]
fn a_run_can_be_undone() {
    if !has_bash() {
        return;
    }
    for (method, split) in [("sysfs", false), ("accel-config", true)] {
        let fake = used();
        let before = fake.tree();
        let mut arguments = vec!["--method", method, "--take-kernel"];
        if split {
            arguments.push("--split");
        }
        fake.apply(&arguments).ok();
        for i in USED {
            let get = |attribute: &str| fake.get(&format!("iax{i}/wq{i}.0/{attribute}"));
            assert_eq!(fake.get(&format!("iax{i}/state")), "enabled");
            assert_eq!(fake.get(&format!("iax{i}/engine{i}.7/group_id")), "0");
            assert_eq!(get("state"), "enabled");
            assert_eq!(
                get("name"),
                if split {
                    "pagepress-compress"
                } else {
                    "pagepress"
                }
            );
            assert_eq!(get("size"), if split { "64" } else { "128" });
            assert_eq!(
                (get("mode"), get("block_on_fault")),
                ("shared".into(), "1".into())
            );
            assert_eq!(get("ats_disable"), "0");
            assert_eq!(get("op_config") == OP_CAP, !split);
            assert_eq!(fake.get(&format!("iax{i}/wq{i}.4/size")), "0");
        }
        let rule = fs::read_to_string(fake.path.join("etc/udev/rules.d/90-iax.rules")).unwrap();
        let shipped = fs::read_to_string(script("90-iax.rules")).unwrap();
        assert_eq!(shipped.lines().last(), Some(rule.trim_end()));

        // A second time there is nothing to do, by either method.
        let after = fake.tree();
        for method in ["sysfs", "accel-config"] {
            let mut again = arguments.clone();
            again[1] = method;
            let printed = fake.apply(&again).ok();
            assert!(
                printed.contains("# iax13: is as it should be, left alone"),
                "{printed}"
            );
            assert!(printed.contains("# nothing to do"), "{printed}");
            assert_eq!(fake.tree(), after);
        }

        // Another configuration, without forgetting the first.
        fake.apply(&["--size=60", "--group=others"]).ok();
        assert_eq!(fake.get("iax1/wq1.0/threshold"), "60");

        let dry = fake
            .configure(&["--undo", "--method=sysfs"])
            .commands()
            .join("\n");
        for command in [
            "echo 'left over'\\''s' > /sys/bus/dsa/devices/iax1/wq1.0/name",
            "echo wq5.0 > /sys/bus/dsa/drivers/user/unbind",
            "echo wq5.0 > /sys/bus/dsa/drivers/crypto/bind",
            "rm -f /etc/udev/rules.d/90-iax.rules",
        ] {
            assert!(
                dry.lines().any(|line| line == command),
                "{command} in\n{dry}"
            );
        }
        fake.set("iax5/wq5.0", &[("clients", "1")]);
        let error = fake.apply(&["--undo", "--method=sysfs"]).error(1);
        assert!(error.contains("iax5/wq5.0 is in use"), "{error}");
        fake.set("iax5/wq5.0", &[("clients", "0")]);

        // One device, and then the others.
        fake.apply(&["--undo", "--method", method, "--device=iax5"])
            .ok();
        assert_eq!(fake.get("iax5/wq5.0/type"), "kernel");
        fake.apply(&["--undo", "--method", method]).ok();
        let mut restored = fake.tree();
        let made = |path: &std::path::Path| path.starts_with("var") || path.starts_with("etc");
        restored.retain(|path, text| !made(path) || text != "directory");
        assert_eq!(restored, before);
        let error = fake.apply(&["--undo"]).error(1);
        assert!(error.contains("nothing to undo"), "{error}");
    }
}

#[test]
fn a_failure_is_explained_and_can_be_undone() {
    if !has_bash() {
        return;
    }
    for method in ["sysfs", "accel-config"] {
        let fake = Fake::with(&USED, false);
        fake.put("refuses-wq5.0", "0x80110000");
        let before = fake.tree();
        let ran = fake.apply(&["--method", method, "--no-udev"]);
        assert!(!ran.out.contains("iax7"), "{}", ran.out);
        let error = ran.error(1);
        for part in [
            "command status of iax5: 0x80110000, user WQs need the IOMMU",
            "to go back: ",
            " --undo --state ",
        ] {
            assert!(error.contains(part), "{error}");
        }
        fake.apply(&["--undo"]).ok();
        let mut restored = fake.tree();
        restored.retain(|path, _| !path.starts_with("var"));
        let status = std::path::Path::new("sys/devices/pci0000:74/0000:74:02.0/iax5/cmd_status");
        restored.insert(status.to_owned(), before[status].clone());
        assert_eq!(restored, before);
    }
}

#[test]
fn a_restart_ends_what_can_be_undone() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&USED, false);
    fake.apply(&["--device=iax1"]).ok();
    let boot_id = "5f6a7b01-0000-4000-8000-000000000002";
    fake.put("proc/sys/kernel/random/boot_id", boot_id);
    let error = fake.apply(&["--undo"]).error(1);
    assert!(error.contains("from before a restart"), "{error}");
    fake.apply(&["--device=iax3"]).ok();
    let state = fs::read_to_string(fake.path.join("var/lib/pagepress/iaa-config")).unwrap();
    assert!(
        state.contains("device iax3 disabled") && !state.contains("iax1"),
        "{state}"
    );
    fs::write(
        fake.beside("state"),
        format!("boot {boot_id}\nset ../../etc/passwd x\n"),
    )
    .unwrap();
    let own = fake.beside("state");
    let error = fake
        .apply(&["--undo", "--state", own.to_str().unwrap()])
        .error(1);
    assert!(error.contains("is not what this script wrote"), "{error}");
}

#[test]
fn page_requests_that_were_off_are_on() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&USED, false);
    fake.set("iax1/wq1.0", &[("prs_disable", "1")]);
    let commands = fake.configure(&["--device=iax1"]).commands();
    let clear = "accel-config config-wq iax1/wq1.0 --prs-disable=0";
    let clear = commands.iter().position(|line| line == clear).unwrap();
    assert!(commands[clear + 1].contains("--block-on-fault=1"));
}

#[test]
fn rules_of_others_stay() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&USED, false);
    let rules = "etc/udev/rules.d/90-iax.rules";
    fake.put(rules, "KERNEL==\"other\", GROUP=\"iax\"");
    let before = fake.tree();
    let error = fake.apply(&[]).error(1);
    assert!(error.contains("not this script's"), "{error}");
    assert_eq!(fake.tree(), before);
    fake.apply(&["--no-udev", "--device=iax1"]).ok();

    // The one that is shipped, comments and all, is.
    let fake = Fake::with(&USED, false);
    fake.put(
        rules,
        fs::read_to_string(script("90-iax.rules"))
            .unwrap()
            .trim_end(),
    );
    let printed = fake.configure(&["--device=iax1"]).ok();
    assert!(printed.contains("# group iax: has its rule"), "{printed}");
}

#[test]
fn wrong_words_are_refused() {
    if !has_bash() {
        return;
    }
    for arguments in [
        &["--wrong"][..],
        &["--size"],
        &["--size=0"],
        &["--size=1x"],
        &["--size=8", "--threshold=9"],
        &["--name=a b"],
        &["--name=-n"],
        &["--device=dsa0"],
        &["--group=a;b"],
        &["--method=other"],
        &["--root=/nowhere/at/all"],
        &["--apply=/bin/true"],
        &["more"],
    ] {
        let error = run("configure-iaa", arguments).error(2);
        assert!(error.starts_with("configure-iaa: "), "{error}");
    }
    let fake = Fake::with(&USED, false);
    let error = fake.configure(&["--device=iax2"]).error(1);
    assert!(
        error.contains("there is no iax2; there are: iax1 iax3"),
        "{error}"
    );
    fs::remove_dir_all(fake.path.join("sys/bus/dsa")).unwrap();
    let error = fake.configure(&[]).error(1);
    assert!(error.contains("modprobe idxd"), "{error}");
    let help = run("configure-iaa", &["--help"]).ok();
    assert!(help.contains("--take-kernel"), "{help}");
}
