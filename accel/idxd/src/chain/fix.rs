//! Commands that mend.

use crate::host::{Host, IaxDevice};

/// Where the driver's devices are.
pub(super) const DEVICES: &str = "/sys/bus/dsa/devices";

/// Sets a device up from nothing: all engines in one group, one shared queue of
/// all entries.
pub(super) fn configure(device: &IaxDevice) -> Vec<String> {
    let name = &device.name;
    let id = name.trim_start_matches("iax");
    let size = device.max_work_queues_size.as_ref().copied().unwrap_or(128);
    let most = device
        .max_transfer_size
        .as_ref()
        .copied()
        .unwrap_or(1 << 31);
    vec![
        group_engines(device),
        format!(
            "accel-config config-wq {name}/wq{id}.0 --group-id=0 --mode=shared --wq-size={size} \
             --threshold={size} --priority=10 --block-on-fault=1 --type=user --driver-name=user \
             --name=pagepress --max-transfer-size={most}"
        ),
        enable_device(device),
        format!("accel-config enable-wq {name}/wq{id}.0"),
    ]
}

/// Puts all engines of a disabled device into one group.
pub(super) fn group_engines(device: &IaxDevice) -> String {
    let name = &device.name;
    let id = name.trim_start_matches("iax");
    let last = device.engines.len().max(1) - 1;
    format!(
        "for e in $(seq 0 {last}); do accel-config config-engine {name}/engine{id}.$e \
         --group-id=0; done"
    )
}

pub(super) fn enable_device(device: &IaxDevice) -> String {
    format!("accel-config enable-device {}", device.name)
}

/// Adds words to the kernel's command line.
pub(super) fn boot_with(words: &str) -> Vec<String> {
    vec![
        format!(
            "grubby --update-kernel=ALL --args=\"{words}\"   # or GRUB_CMDLINE_LINUX, then update-grub"
        ),
        "reboot".to_owned(),
    ]
}

/// Whether commands are to be those of a container's host.
pub(super) fn in_container(host: &Host) -> bool {
    // The driver is there, by what the bus says, and its tree is not.
    host.devices.is_err() && host.pci.iter().flatten().any(|pci| pci.driver.is_some())
}
