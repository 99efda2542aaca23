//! The links that are about a device.

use super::fix;
use super::verdict::Verdict;
use crate::host::{Host, IaxDevice};
use crate::root::Unread;

pub(super) fn iommu(host: &Host, device: &IaxDevice) -> Verdict {
    match &device.pasid_enabled {
        Ok(1) => return Verdict::ok("shared virtual addressing is on"),
        Ok(_) => {}
        Err(Unread::Missing) => {
            return Verdict::unknown(
                "pasid_enabled is not there: a kernel before 5.11, or not idxd's tree",
            );
        }
        Err(unread) => return Verdict::unknown(format!("pasid_enabled: {unread}")),
    }
    let kernel = &host.kernel;
    if !kernel.wants_scalable_iommu() {
        let why = match &kernel.command_line {
            Ok(_) => "the kernel was not started with intel_iommu=on,sm_on".to_owned(),
            Err(unread) => format!("and the kernel's command line: {unread}"),
        };
        return Verdict::broken(format!(
            "no shared virtual addressing (pasid_enabled is 0): {why}"
        ))
        .with(fix::boot_with("intel_iommu=on,sm_on"));
    }
    let found =
        "no shared virtual addressing (pasid_enabled is 0), though intel_iommu=on,sm_on was given";
    if host.cpus.five_levels && !kernel.was_told("no5lvl") {
        return Verdict::broken(format!(
            "{found}: pages have five levels, which some kernels cannot share"
        ))
        .with(fix::boot_with("no5lvl"))
        .with(firmware());
    }
    Verdict::broken(found).with(firmware())
}

/// What remains when the kernel was told all it needs.
fn firmware() -> Vec<String> {
    vec![
        "dmesg | grep -iE 'dmar|iommu|idxd'".to_owned(),
        "# firmware setup: VT-d on, and ENQCMD/ENQCMDS for PCIe on".to_owned(),
        "grep CONFIG_INTEL_IOMMU_SVM /boot/config-$(uname -r)   # must be y".to_owned(),
    ]
}

pub(super) fn enabled(device: &IaxDevice) -> Verdict {
    let state = match &device.state {
        Ok(state) => state.as_str(),
        Err(unread) => return Verdict::unknown(format!("its state: {unread}")),
    };
    let meaning = match (&device.cmd_status, device.cmd_status_meaning) {
        (Ok(0) | Err(_), _) => String::new(),
        (Ok(status), None) => format!(", last command status {status:#x}"),
        (Ok(_), Some(meaning)) => format!(", after the last command: {meaning}"),
    };
    match state {
        "enabled" => Verdict::ok("enabled"),
        "halted" => {
            let reset = device
                .pci
                .as_ref()
                .map(|pci| format!("echo 1 > /sys/bus/pci/devices/{pci}/reset"));
            Verdict::broken(format!("halted by an error{meaning}"))
                .with([format!("cat {}/{}/errors", fix::DEVICES, device.name)])
                .with(reset)
                .with([fix::enable_device(device)])
        }
        "disabled" => {
            let unconfigured = device
                .queues
                .iter()
                .all(|queue| !matches!(queue.size, Ok(1..)));
            let found = if unconfigured {
                format!("disabled, and no work queue is configured{meaning}")
            } else {
                format!("disabled{meaning}")
            };
            let commands = if unconfigured {
                fix::configure(device)
            } else {
                vec![fix::enable_device(device)]
            };
            Verdict::broken(found).with(commands)
        }
        "" => Verdict::unknown("its state is empty"),
        other => Verdict::unknown(format!("its state is `{}`", crate::root::short(other))),
    }
}

pub(super) fn engines(device: &IaxDevice) -> Verdict {
    let all = device.engines.len();
    let grouped = device.grouped_engines();
    let unread = device
        .engines
        .iter()
        .find_map(|engine| engine.group.as_ref().err());
    match (grouped, unread) {
        (0, _) if all == 0 => Verdict::unknown("no engine is listed"),
        (0, Some(unread)) => Verdict::unknown(format!("groups of its engines: {unread}")),
        (0, None) => Verdict::broken(format!("none of {all} engines is in a group")).with([
            format!("accel-config disable-device {}", device.name),
            fix::group_engines(device),
            fix::enable_device(device),
        ]),
        (some, _) => Verdict::ok(format!("{some} of {all} engines in groups")),
    }
}
