//! What works and could work better.

use super::fix;
use super::path::{Pair, Path};
use super::queue;
use super::verdict::{Judged, Verdict, advise};
use crate::host::{Host, IaxDevice, Mode};

/// Adds what is to be said of devices and queues that are in use, or would be.
pub(super) fn add(host: &Host, paths: &[Path], advice: &mut Vec<String>) {
    let mut said: Vec<Judged> = Vec::new();
    for device in host.devices.iter().flatten() {
        let mut say = |verdict: Verdict| said.push((device.name.clone(), verdict));
        of_device(host, device, &mut say);
        for queue in &device.queues {
            let pair = Pair { device, queue };
            if fix::is_enabled(&queue.state) && queue.is_for_programs() {
                let mut say = |verdict: Verdict| said.push((pair.to_string(), verdict));
                of_queue(host, &pair, &mut say);
            }
        }
    }
    advice.extend(advise(&said.iter().collect::<Vec<_>>()));
    let spins = |i: &crate::host::Instructions| i.enqcmd && !i.waitpkg;
    if host.cpus.instructions.as_ref().is_ok_and(spins) {
        advice.push("the CPU has no UMWAIT: waiting for completions spins".to_owned());
    }
    sockets(host, paths, advice);
}

fn of_device(host: &Host, device: &IaxDevice, say: &mut impl FnMut(Verdict)) {
    let (all, grouped) = (device.engines.len(), device.grouped_engines());
    let seen = device.engines.iter().all(|engine| engine.group.is_ok());
    if seen && grouped > 0 && grouped < all {
        let idle = all - grouped;
        say(Verdict::broken(format!(
            "only {grouped} of {all} engines in groups, so {idle}/{all} of what it could do is idle"
        ))
        .with(fix::set_up(device)));
    }
    // If no device has a configured queue, the link says so.
    if fix::is_enabled(&device.state)
        && !device.has_configured_queue()
        && host
            .devices
            .iter()
            .flatten()
            .any(IaxDevice::has_configured_queue)
    {
        say(queue::none(device));
    }
    if let Ok(Some(error)) = &device.error {
        let meaning = error.meaning.unwrap_or("of unknown meaning");
        say(Verdict::broken(format!(
            "it has recorded software error {:#04x}, {meaning}",
            error.code
        )));
    }
}

fn of_queue(host: &Host, pair: &Pair<'_>, say: &mut impl FnMut(Verdict)) {
    let queue = pair.queue;
    if queue.group.is_ok() && pair.device.grouped_engines() > 0 {
        let engines = queue::engines(pair);
        if !engines.is_good() {
            say(engines);
        }
    }
    let no_requests = queue.prs_disable == Ok(1);
    if no_requests || queue.block_on_fault == Ok(0) {
        let cause = match no_requests {
            true => "page requests are off",
            false => "block-on-fault is off",
        };
        let requests =
            no_requests.then(|| format!("echo 0 > {}/prs_disable", fix::attributes(queue)));
        say(Verdict::broken(format!(
            "{cause}, so a page that is not in memory ends its descriptor instead of delaying it"
        ))
        .with(fix::reconfigure(pair, requests)));
        if host.kernel.numa_balancing == Some(true) {
            say(Verdict::broken(
                "NUMA balancing takes pages away for moments, locked ones too, and without \
                 block-on-fault each such moment ends a descriptor",
            )
            .with(["sysctl kernel.numa_balancing=0".to_owned()]));
        }
    }
    if queue.ats_disable == Ok(1) {
        let on = format!("echo 0 > {}/ats_disable", fix::attributes(queue));
        say(Verdict::broken(
            "ATS is off: a fault of a write may go unnoticed, and data be lost, so do not use it \
             like this",
        )
        .with(fix::reconfigure(pair, Some(on))));
    }
    if queue.mode == Ok(Mode::Dedicated) && matches!(queue.clients, Ok(1..)) {
        say(Verdict::broken(
            "dedicated, and another process holds it, so opening it fails until that one ends",
        ));
    }
    if let (Ok(Mode::Shared), Ok(threshold @ 1..), Ok(size)) =
        (&queue.mode, &queue.threshold, &queue.size)
    {
        if threshold < size {
            say(Verdict::broken(format!(
                "programs may fill only {threshold} of its {size} entries (threshold)"
            ))
            .with(fix::reconfigure(pair, None)));
        }
    }
}

/// Packages whose threads have to cross to another one.
fn sockets(host: &Host, paths: &[Path], advice: &mut Vec<String>) {
    let usable: Option<Vec<u32>> = paths
        .iter()
        .filter(|path| path.is_usable())
        .map(|path| path.package)
        .collect();
    // A device of unknown place may be anywhere.
    let Some(usable) = usable.filter(|usable| !usable.is_empty()) else {
        return;
    };
    for package in host.cpus.packages() {
        if !usable.contains(&package) {
            advice.push(format!(
                "package {package} has no usable device: its threads use another package's, across \
                 the interconnect"
            ));
        }
    }
}
