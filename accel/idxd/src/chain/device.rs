//! The links that are about a device.

use super::fix;
use super::verdict::Verdict;
use crate::host::{Host, IaxDevice};
use crate::root::Unread;

pub(super) fn iommu(host: &Host, device: &IaxDevice) -> Verdict {
    match &device.pasid_enabled {
        Ok(1) => return Verdict::ok("shared virtual addressing is on"),
        Ok(0) => {}
        Ok(other) => {
            return Verdict::unknown(format!("pasid_enabled is {other}, neither 0 nor 1"));
        }
        Err(Unread::Missing) => {
            return Verdict::unknown(
                "pasid_enabled is not there: the kernel is older than 5.11, or its tree is not whole",
            );
        }
        Err(unread) => return Verdict::unknown(format!("pasid_enabled: {unread}")),
    }
    let kernel = &host.kernel;
    let found = "no shared virtual addressing (pasid_enabled is 0)";
    let words = "intel_iommu=on,sm_on";
    match &kernel.command_line {
        Err(unread) => {
            return Verdict::broken(format!(
                "{found}; whether the kernel was started with {words} cannot be seen \
                 (/proc/cmdline: {unread})"
            ))
            .with(fix::boot_with(words))
            .with(firmware(host));
        }
        Ok(_) if !kernel.wants_scalable_iommu() => {
            return Verdict::broken(format!("{found}: the kernel was not started with {words}"))
                .with(fix::boot_with(words));
        }
        Ok(_) => {}
    }
    let found = format!("{found}, though the kernel was started with {words}");
    if host.cpus.five_levels && !kernel.was_told("no5lvl") {
        return Verdict::broken(format!(
            "{found}; page tables have five levels, which some kernels cannot share with a device"
        ))
        .with(firmware(host))
        .with(fix::boot_with("no5lvl"));
    }
    Verdict::broken(found).with(firmware(host))
}

/// What remains when the kernel was told all it needs.
fn firmware(host: &Host) -> Vec<String> {
    let platform = if host.cpus.virtual_machine {
        "# on the host: give the guest an IOMMU in scalable mode (qemu: -device intel-iommu)"
    } else {
        "# in the firmware setup: VT-d on, and ENQCMD (or ENQCMDS) for PCIe on"
    };
    vec![
        "dmesg | grep -iE 'dmar|iommu|idxd'".to_owned(),
        platform.to_owned(),
        "grep CONFIG_INTEL_IOMMU_SVM /boot/config-$(uname -r)   # must be y".to_owned(),
    ]
}

/// How the driver's last command ended, if it did not end well.
pub(super) fn last_command(device: &IaxDevice) -> String {
    match (&device.cmd_status, device.cmd_status_meaning) {
        (Ok(0) | Err(_), _) => String::new(),
        (Ok(status), None) => format!("; the last command ended with {status:#x}"),
        (Ok(_), Some(meaning)) => format!("; the last command failed: {meaning}"),
    }
}

pub(super) fn enabled(device: &IaxDevice) -> Verdict {
    let state = match &device.state {
        Ok(state) => state.as_str(),
        Err(unread) => return Verdict::unknown(format!("its state: {unread}")),
    };
    let last = last_command(device);
    match state {
        "enabled" if device.modelled => Verdict::ok("enabled, modelled in software"),
        "enabled" => Verdict::ok("enabled"),
        "halted" => Verdict::broken(format!("halted by an error{last}"))
            .with([format!("cat {}/iax$i/errors", fix::DEVICES)])
            .with(device.pci.iter().flat_map(|pci| {
                // A driver that has the device would be left with its old state.
                [
                    format!("echo {pci} > /sys/bus/pci/drivers/idxd/unbind"),
                    format!("echo 1 > /sys/bus/pci/devices/{pci}/reset"),
                    format!("echo {pci} > /sys/bus/pci/drivers/idxd/bind"),
                ]
            }))
            .with(fix::set_up(device)),
        "disabled" => {
            let unconfigured = match device.has_configured_queue() {
                true => "",
                false => ", and no work queue is configured",
            };
            Verdict::broken(format!("disabled{unconfigured}{last}")).with(fix::start(device))
        }
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
        (0, Some(unread)) => Verdict::unknown(format!("the groups of its engines: {unread}")),
        (0, None) => {
            let commands = match fix::is_enabled(&device.state) {
                true => fix::set_up(device),
                false => fix::start(device),
            };
            Verdict::broken(format!("none of {all} engines is in a group")).with(commands)
        }
        (some, _) => Verdict::ok(format!("{some} of {all} engines in groups")),
    }
}
