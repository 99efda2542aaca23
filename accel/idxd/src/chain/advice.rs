//! What works and could work better.

use super::fix;
use super::path::Path;
use crate::host::{Host, Mode, WorkQueue};

/// Adds what is to be said of devices and queues that are in use, or would be.
pub(super) fn add(host: &Host, paths: &[Path], advice: &mut Vec<String>) {
    for device in host.devices.iter().flatten() {
        let (all, grouped) = (device.engines.len(), device.grouped_engines());
        if grouped > 0 && grouped < all {
            advice.push(format!(
                "{}: {grouped} of {all} engines in groups, the others idle; two already carry twice \
                 what one does: disable the device, then {}",
                device.name,
                fix::group_engines(device)
            ));
        }
        if let Ok(Some(error)) = &device.error {
            let meaning = error.meaning.unwrap_or("of unknown meaning");
            advice.push(format!(
                "{}: software error {:#04x} recorded, {meaning}",
                device.name, error.code
            ));
        }
        for queue in device.queues.iter().filter(|queue| is_enabled(queue)) {
            let name = format!("{}/{}", device.name, queue.name);
            of_queue(host, queue, &name, advice);
            let members = device.engines.iter().filter(|e| e.group == queue.group);
            if members.count() == 0 && grouped > 0 {
                advice.push(format!(
                    "{name}: no engine is in its group, so what is submitted to it waits forever"
                ));
            }
        }
    }
    if host.kernel.idxd
        && host
            .cpus
            .instructions
            .as_ref()
            .is_ok_and(|i| i.enqcmd && !i.waitpkg)
    {
        advice.push("the CPU has no UMWAIT: waiting for completions spins".to_owned());
    }
    sockets(host, paths, advice);
}

fn is_enabled(queue: &WorkQueue) -> bool {
    queue.state.as_ref().is_ok_and(|state| state == "enabled")
        && queue.kind.as_ref().is_ok_and(|kind| kind == "user")
}

fn of_queue(host: &Host, queue: &WorkQueue, name: &str, advice: &mut Vec<String>) {
    let off = queue.block_on_fault == Ok(0) || queue.prs_disable == Ok(1);
    if off {
        let cause = if queue.prs_disable == Ok(1) {
            "page requests are off"
        } else {
            "block-on-fault is off"
        };
        advice.push(format!(
            "{name}: {cause}, so a page that is not there ends its descriptor instead of delaying \
             it: accel-config config-wq {name} --block-on-fault=1, while it is disabled"
        ));
        if host.kernel.numa_balancing == Some(true) {
            advice.push(format!(
                "{name}: NUMA balancing takes pages away for a moment, locked ones too, and \
                 block-on-fault is off: echo 0 > /proc/sys/kernel/numa_balancing"
            ));
        }
    }
    if queue.ats_disable == Ok(1) {
        advice.push(format!(
            "{name}: ATS is off; a write fault may then go unnoticed, so do not use it with \
             shared virtual addressing: echo 0 > ats_disable of the queue, while it is disabled"
        ));
    }
    if queue.mode == Ok(Mode::Dedicated) && matches!(queue.clients, Ok(1..)) {
        advice.push(format!("{name}: dedicated, and held by another process"));
    }
    if let (Ok(Mode::Shared), Ok(threshold), Ok(size)) =
        (&queue.mode, &queue.threshold, &queue.size)
    {
        if threshold < size {
            advice.push(format!(
                "{name}: user space may fill {threshold} of {size} entries: accel-config config-wq \
                 {name} --threshold={size}, while it is disabled"
            ));
        }
    }
}

/// Packages whose threads have to cross to another one.
fn sockets(host: &Host, paths: &[Path], advice: &mut Vec<String>) {
    let usable: Vec<u32> = paths
        .iter()
        .filter(|p| p.is_usable())
        .filter_map(|p| p.package)
        .collect();
    if usable.is_empty() {
        return;
    }
    for package in host.cpus.packages() {
        if !usable.contains(&package) {
            advice.push(format!(
                "package {package} has no usable device: its threads use another package's, across \
                 the interconnect"
            ));
        }
    }
}
