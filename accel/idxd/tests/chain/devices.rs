//! Devices and their engines.

use crate::hosts::{Shape, State};
use crate::{EACH, Seen, set_up};
use pagepress_idxd::chain::LinkName::{Device, Engines, WqEnabled};

/// What one has after `modprobe idxd`.
#[test]
fn never_configured() {
    let seen = Seen::of("never-configured");
    let found = "all 8 devices: disabled, and no work queue is configured";
    assert_eq!(seen.found(Device), found);
    // All three links are mended by the same commands.
    for link in [Device, Engines, WqEnabled] {
        assert_eq!(seen.fix(link), set_up(), "{link}");
    }
    assert_eq!(
        seen.found(WqEnabled),
        "all 8 devices: no work queue is configured"
    );
    assert!(seen.diagnosis.advice.is_empty());
    let seen = Seen::of("device-refused");
    assert!(
        seen.found(Device)
            .ends_with("the last command failed: the device refused to be enabled")
    );
}

#[test]
fn configured_and_disabled() {
    let seen = Seen::of("device-disabled");
    assert_eq!(seen.found(Device), "all 8 devices: disabled");
    assert_eq!(
        seen.fix(Device),
        [
            format!("{EACH}accel-config enable-device iax$i; done"),
            format!("{EACH}accel-config enable-wq iax$i/wq$i.0; done"),
        ]
    );
    let seen = Seen::of("sva-off");
    assert!(
        seen.found(Device)
            .ends_with("the last command failed: shared work queues are not supported")
    );
}

/// A reset leaves nothing of what was configured.
#[test]
fn halted() {
    let seen = Seen::of("device-halted");
    assert_eq!(seen.found(Device), "all 8 devices: halted by an error");
    let commands = seen.fix(Device);
    assert_eq!(commands.len(), 8 * 8);
    assert_eq!(
        commands[..5],
        [
            "cat /sys/bus/dsa/devices/iax1/errors",
            "echo 0000:6a:02.0 > /sys/bus/pci/drivers/idxd/unbind",
            "echo 1 > /sys/bus/pci/devices/0000:6a:02.0/reset",
            "echo 0000:6a:02.0 > /sys/bus/pci/drivers/idxd/bind",
            "for e in $(seq 0 7); do accel-config config-engine iax1/engine1.$e --group-id=0; done",
        ]
    );
    assert!(commands[5].starts_with("accel-config config-wq iax1/wq1.0 --wq-size=128 "));
    assert_eq!(
        commands[6..8],
        [
            "accel-config enable-device iax1",
            "accel-config enable-wq iax1/wq1.0"
        ]
    );
    seen.advice("it has recorded software error 0x51");
}

#[test]
fn software_errors() {
    let seen = Seen::of("software-error");
    assert!(seen.advice("software error 0x53").starts_with("iax1: "));
    let error = seen.host.devices.as_ref().unwrap()[0].error.clone();
    let error = error.unwrap().unwrap();
    assert_eq!((error.operation, error.queue), (Some(0x43), Some(0)));
}

/// Disabling a device wipes what is configured, so more than engines is to be
/// done.
#[test]
fn engines() {
    let disable = format!(
        "{EACH}accel-config disable-device iax$i; done   # ends all use of it, wipes its settings"
    );
    let mut commands = vec![disable];
    commands.extend(set_up());
    let seen = Seen::of("engines-ungrouped");
    assert_eq!(
        seen.found(Engines),
        "all 8 devices: none of 8 engines is in a group"
    );
    assert_eq!(seen.fix(Engines), commands);
    assert!(seen.diagnosis.advice.is_empty());

    let seen = Seen::of("one-engine");
    assert_eq!(
        seen.found(Engines),
        "all 8 devices: 1 of 8 engines in groups"
    );
    let advice = seen.advice("only 1 of 8 engines in groups, so 7/8 of what it could do is idle");
    let (_, mend) = advice.split_once("; mend it with: ").unwrap();
    assert!(mend.starts_with(&format!(
        "{EACH}accel-config disable-device iax$i; done; {EACH}for e"
    )));
    assert!(mend.ends_with("accel-config enable-wq iax$i/wq$i.0; done"));
}

/// A device that is disabled keeps what is configured, so only engines lack.
#[test]
fn engines_of_a_disabled_device() {
    let mut snapshot = State::find("device-disabled")
        .unwrap()
        .snapshot(Shape::SHORT);
    snapshot.ungroup(&[1, 3, 5, 7, 9, 11, 13, 15], 0);
    let seen = Seen::snapshot(&snapshot);
    let mut commands = set_up();
    commands.remove(1);
    assert_eq!(seen.fix(Device), commands);
    assert_eq!(seen.fix(Engines), commands);
}

/// The link is judged by the device alone, the way by its queue's group.
#[test]
fn a_group_without_engines() {
    let seen = Seen::of("group-without-engines");
    assert!(seen.diagnosis.is_usable());
    assert_eq!(seen.refused("wq1.0"), [Engines]);
    assert_eq!(seen.usable(), ["wq9.0", "wq11.0", "wq13.0", "wq15.0"]);
    seen.advice("no engine is in its group");
}
