//! Work queues.

use crate::{EACH, SETTINGS, Seen, reconfigured};
use pagepress_idxd::chain::LinkName::{Permission, WqEnabled, WqMode, WqOps, WqType};

#[test]
fn disabled() {
    let enable = format!("{EACH}accel-config enable-wq iax$i/wq$i.0; done");
    // Disabling has wiped its settings: enabling alone would fail.
    let configure = format!("{EACH}accel-config config-wq iax$i/wq$i.0 {SETTINGS}; done");
    let seen = Seen::of("queue-disabled");
    assert_eq!(seen.found(WqEnabled), "all 8 work queues: disabled");
    assert_eq!(seen.fix(WqEnabled), [&configure, &enable]);
    assert_eq!(seen.found(WqType), "all 8 work queues: of type `none`");
    assert_eq!(seen.fix(WqType), [&configure, &enable]);
    assert_eq!(
        seen.found(Permission),
        "only an enabled queue for user space has a node"
    );

    let seen = Seen::of("queue-not-enabled-yet");
    assert_eq!(seen.fix(WqEnabled), [&enable]);

    let seen = Seen::of("queue-without-name");
    assert!(
        seen.found(WqEnabled)
            .ends_with("the last command failed: the work queue has no name")
    );
    assert_eq!(seen.fix(WqEnabled), [&configure, &enable]);
    assert!(
        seen.found(WqType)
            .ends_with("for user space, but without a driver")
    );
}

#[test]
fn of_the_kernel() {
    let seen = Seen::of("queue-of-the-kernel");
    assert_eq!(
        seen.found(WqType),
        "all 8 work queues: claimed by the kernel's crypto driver (iaa_crypto)"
    );
    assert_eq!(seen.fix(WqType), reconfigured("pagepress"));
    assert_eq!(seen.host.kernel.iaa_crypto, Ok(true));
    let seen = Seen::of("queue-with-driver-of-the-kernel");
    assert!(
        seen.found(WqType)
            .ends_with("for user space, but its driver is `crypto`")
    );
    assert_eq!(seen.fix(WqType), reconfigured("pagepress"));
}

/// A queue of programs keeps its name.
#[test]
fn modes() {
    let seen = Seen::of("dedicated");
    assert_eq!(
        seen.found(WqMode),
        "all 8 work queues: dedicated, 128 entries"
    );
    assert_eq!(seen.fix(WqMode), reconfigured("app1"));
    assert!(seen.diagnosis.advice.is_empty());
    let seen = Seen::of("dedicated-and-held");
    assert!(
        seen.found(WqMode)
            .starts_with("iax1/wq1.0: dedicated, 128 entries, and a process")
    );
    let advice = "iax1/wq1.0: dedicated, and another process holds it, so opening it fails until \
                  that one ends";
    assert_eq!(seen.diagnosis.advice, [advice]);
    let seen = Seen::of("threshold-0");
    assert!(
        seen.found(WqMode)
            .ends_with("shared with a threshold of 0, so it takes nothing")
    );
    assert_eq!(seen.fix(WqMode), reconfigured("app1"));
    let seen = Seen::of("threshold-below-size");
    let advice = seen.advice("programs may fill only 64 of its 128 entries");
    assert!(advice.starts_with("iax1/wq1.0: ") && advice.contains("; mend it with: accel-config"));
}

#[test]
fn operations() {
    let seen = Seen::of("no-compress");
    assert!(
        seen.found(WqOps)
            .ends_with("op_config does not allow compress")
    );
    let mut commands = reconfigured("app1");
    let devices = "/sys/bus/dsa/devices";
    let all = format!("{EACH}cat {devices}/iax$i/op_cap > {devices}/iax$i/wq$i.0/op_config; done");
    commands.insert(1, all);
    assert_eq!(seen.fix(WqOps), commands);
    let seen = Seen::of("no-decompress-on-one");
    assert_eq!(seen.refused("wq3.0"), [], "the others decompress");
    assert!(seen.found(WqOps).contains("iax3/wq3.0: compress only"));
    let split = Seen::of("split-work").found(WqOps).to_owned();
    for part in [
        "iax11/wq11.0: compress only",
        "iax15/wq15.0: decompress only",
    ] {
        assert!(split.contains(part), "{split}");
    }
    let seen = Seen::of("device-without-compress");
    assert!(
        seen.found(WqOps)
            .ends_with("the device cannot compress (op_cap)")
    );
    let seen = Seen::of("transfers-too-small");
    assert!(
        seen.found(WqOps)
            .ends_with("transfers of 2048 bytes at most, and a page has 4096")
    );
    assert_eq!(seen.fix(WqOps), reconfigured("app1"));
}

#[test]
fn faults() {
    let seen = Seen::of("block-on-fault-off");
    let advice = seen.advice("block-on-fault is off, so a page that is not in memory");
    let mend = reconfigured("app1")
        .join("; ")
        .replace("   # ends all use of it", "");
    assert!(
        advice.ends_with(&format!("; mend it with: {mend}")),
        "{advice}"
    );
    let advice = seen.advice("NUMA balancing");
    assert!(advice.ends_with("; mend it with: sysctl kernel.numa_balancing=0"));
    assert_eq!(seen.diagnosis.advice.len(), 2);
    let seen = Seen::of("page-requests-off");
    let advice = seen.advice("page requests are off");
    let on = "echo 0 > /sys/bus/dsa/devices/iax$i/wq$i.0/prs_disable; done; ";
    assert!(advice.contains(on), "{advice}");
    let seen = Seen::of("ats-off");
    let advice = seen.advice("ATS is off: a fault of a write may go unnoticed");
    let on = "echo 0 > /sys/bus/dsa/devices/iax$i/wq$i.0/ats_disable; done; ";
    assert!(advice.contains(on), "{advice}");
}

/// Before Linux 6.0 and 6.7 there is no `op_config` and no `driver_name`, and
/// words of capabilities are in another order.
#[test]
fn old_kernels() {
    let seen = Seen::of("old-kernel");
    assert!(
        seen.found(WqOps)
            .ends_with("compress and decompress, up to 2 GiB a transfer")
    );
    let advice = seen.advice("iax1/wq1.0: disabled");
    assert!(
        advice.contains(" --type=user --name=pagepress "),
        "{advice}"
    );
    let device = &seen.host.devices.as_ref().unwrap()[1];
    assert_eq!(device.op_cap, Ok(pagepress_abi::OpCap::SAPPHIRE_RAPIDS));
    assert_eq!(device.error, Ok(None));
}
