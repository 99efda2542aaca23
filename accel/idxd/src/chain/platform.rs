//! The links that are about the host as a whole.

use super::fix;
use super::verdict::Verdict;
use crate::host::{Host, PciDevice};
use crate::root::Unread;
use std::collections::BTreeMap;

pub(super) fn cpu(host: &Host) -> Verdict {
    let cpus = &host.cpus;
    let model = cpus.model.as_deref().unwrap_or("an unnamed processor");
    let instructions = match &cpus.instructions {
        Ok(instructions) => instructions,
        Err(unread) => return Verdict::unknown(format!("/proc/cpuinfo: {unread}")),
    };
    let missing: Vec<&str> = [
        (instructions.enqcmd, "ENQCMD"),
        (instructions.movdir64b, "MOVDIR64B"),
    ]
    .into_iter()
    .filter_map(|(has, name)| (!has).then_some(name))
    .collect();
    if missing.is_empty() {
        let wait = if instructions.waitpkg { ", UMWAIT" } else { "" };
        return Verdict::ok(format!("{model} with ENQCMD, MOVDIR64B{wait}"));
    }
    let lacks = format!("{model} without {}", missing.join(" and "));
    let hidden = cpus
        .cpuid
        .is_some_and(|cpuid| cpuid.enqcmd && cpuid.movdir64b);
    if hidden {
        return Verdict::broken(format!("{lacks}: CPUID has it, and the kernel hides it")).with([
            "uname -r   # must be 5.18 or later".to_owned(),
            "grep CONFIG_INTEL_IOMMU_SVM /boot/config-$(uname -r)   # must be y".to_owned(),
        ]);
    }
    if cpus.virtual_machine {
        return Verdict::broken(format!("{lacks}, in a virtual machine")).with([
            "# on the host: give the guest the CPU as it is (qemu: -cpu host) and an IAX device \
             with a virtual IOMMU"
                .to_owned(),
        ]);
    }
    Verdict::broken(lacks).with([
        "# nothing does: it takes a 4th generation Xeon (Sapphire Rapids) or later; pagepress runs \
         in software here"
            .to_owned(),
    ])
}

pub(super) fn pci(host: &Host) -> Verdict {
    let driven = host.devices.iter().flatten().count();
    match &host.pci {
        Ok(pci) if !pci.is_empty() => {
            let addresses: Vec<&str> = pci.iter().map(|pci| pci.address.as_str()).collect();
            Verdict::ok(format!("{}: {}", counted(pci.len()), addresses.join(" ")))
        }
        _ if driven > 0 => Verdict::ok(format!("{}, by the driver's account", counted(driven))),
        Ok(_) => Verdict::broken("no IAX device on the PCI bus").with([
            "lspci -nn | grep -iE '8086:(0cfe|1216|b02d|fd2d)'".to_owned(),
            "# not every Xeon has one, and some need it switched on in the firmware setup (IAX, \
             or In-Memory Analytics Accelerator, under IOAT or accelerators)"
                .to_owned(),
        ]),
        Err(unread) => Verdict::unknown(format!("/sys/bus/pci/devices: {unread}")),
    }
}

fn counted(devices: usize) -> String {
    match devices {
        1 => "1 IAX device".to_owned(),
        many => format!("{many} IAX devices"),
    }
}

pub(super) fn driver(host: &Host, advice: &mut Vec<String>) -> Verdict {
    let pci: Vec<&PciDevice> = host.pci.iter().flatten().collect();
    let devices: Vec<_> = host.devices.iter().flatten().collect();
    let foreign: Vec<&&PciDevice> = pci
        .iter()
        .filter(|pci| pci.driver.as_deref() != Some("idxd"))
        .collect();
    if !devices.is_empty() {
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        let has = |pci: &&&&PciDevice| devices.iter().any(|d| d.pci.as_ref() == Some(&pci.address));
        for pci in foreign.iter().filter(|pci| !has(pci)) {
            let other = pci.driver.as_deref().map_or_else(
                || "no driver has it".to_owned(),
                |driver| format!("it belongs to {driver}, not to idxd"),
            );
            let commands = give_to_idxd(&[pci]);
            let commands: Vec<&str> = commands.iter().map(|c| fix::without_remark(c)).collect();
            let mend = commands.join("; ");
            advice.push(format!("{}: {other}; mend it with: {mend}", pci.address));
        }
        return Verdict::ok(format!("idxd has {}", names.join(" ")));
    }
    match (&host.pci, &host.devices) {
        (Ok(pci), _) if pci.is_empty() => return Verdict::skipped("there is no device to drive"),
        (Err(unread), _) => {
            return Verdict::unknown(format!(
                "neither the PCI bus nor the driver's devices can be seen (/sys/bus/pci/devices: \
                 {unread})"
            ));
        }
        (_, Err(unread)) if *unread != Unread::Missing => {
            return Verdict::unknown(format!("{}: {unread}", fix::DEVICES));
        }
        _ => {}
    }
    if foreign.len() < pci.len() {
        return Verdict::broken(format!(
            "idxd has a device, and {} does not show it: a container?",
            fix::DEVICES
        ))
        .with([
            "docker run -v /sys/bus/dsa:/sys/bus/dsa -v /sys/devices:/sys/devices --device \
             /dev/iax ..."
                .to_owned(),
        ]);
    }
    if pci.iter().any(|pci| pci.driver.is_some()) {
        let found: Vec<String> = by_driver(&pci)
            .into_iter()
            .map(|(driver, pci)| {
                let have = if pci.len() == 1 { "has" } else { "have" };
                match driver {
                    Some(driver) => format!("{} {have} the driver {driver}", addresses(&pci)),
                    None => format!("{} {have} no driver", addresses(&pci)),
                }
            })
            .collect();
        return Verdict::broken(format!("{}, and not idxd", found.join(", ")))
            .with(["modprobe idxd".to_owned()])
            .with(give_to_idxd(&pci));
    }
    match &host.kernel.idxd {
        Ok(true) => Verdict::broken("idxd is loaded, and no device is bound to it")
            .with(give_to_idxd(&pci))
            .with(["dmesg | grep -i idxd   # why it refused one".to_owned()]),
        Ok(false) => Verdict::broken("the idxd driver is not loaded").with(load()),
        Err(unread) => Verdict::broken(format!(
            "no driver has a device (whether idxd is loaded cannot be seen: {unread})"
        ))
        .with(load()),
    }
}

fn load() -> [String; 2] {
    [
        "modprobe idxd".to_owned(),
        "echo idxd > /etc/modules-load.d/idxd.conf   # at every start".to_owned(),
    ]
}

fn addresses(pci: &[&PciDevice]) -> String {
    let addresses: Vec<&str> = pci.iter().map(|pci| pci.address.as_str()).collect();
    addresses.join(" ")
}

/// Devices by the driver that has them.
fn by_driver<'a>(pci: &[&'a PciDevice]) -> BTreeMap<Option<&'a str>, Vec<&'a PciDevice>> {
    let mut drivers: BTreeMap<_, Vec<&PciDevice>> = BTreeMap::new();
    for &pci in pci {
        drivers.entry(pci.driver.as_deref()).or_default().push(pci);
    }
    drivers
}

/// Takes devices from other drivers, which may be set to have them.
fn give_to_idxd(pci: &[&PciDevice]) -> Vec<String> {
    let each = |pci: &[&PciDevice], command: &str| match pci {
        [one] => command.replace("$d", &one.address),
        many => format!("for d in {}; do {command}; done", addresses(many)),
    };
    let mut commands = Vec::new();
    for (driver, pci) in by_driver(pci) {
        if let Some(driver) = driver {
            let unbind = each(
                &pci,
                &format!("echo $d > /sys/bus/pci/drivers/{driver}/unbind"),
            );
            commands.push(format!("{unbind}   # ends all use by {driver}"));
            let forget = "echo > /sys/bus/pci/devices/$d/driver_override";
            commands.push(each(&pci, forget));
        }
    }
    commands.push(each(pci, "echo $d > /sys/bus/pci/drivers_probe"));
    commands
}

pub(super) fn submission(host: &Host, advice: &mut Vec<String>) -> Verdict {
    let safe = |address: &str| {
        let pci = host.pci.iter().flatten().find(|pci| pci.address == address);
        pci.is_some_and(|pci| pci.model.is_user_submission_safe())
    };
    let devices: Vec<_> = host.devices.iter().flatten().collect();
    if !devices.is_empty() && devices.iter().all(|d| d.pci.as_deref().is_some_and(safe)) {
        return Verdict::ok("mmap of the portal: any process may map those of these devices");
    }
    let release = match &host.kernel.release {
        Ok(release) => release,
        Err(unread) => return Verdict::unknown(format!("the kernel's release: {unread}")),
    };
    if !release.guards_portals() {
        return Verdict::ok(format!(
            "mmap of the portal: kernel {release} lets any process map it, unless its vendor \
             brought the guard of 6.10 to it; then write(2)"
        ));
    }
    match &host.user {
        Err(unread) => Verdict::unknown(format!(
            "whether this user has CAP_SYS_RAWIO (/proc/self/status): {unread}"
        )),
        Ok(user) if user.has_rawio() => Verdict::ok(format!(
            "mmap of the portal: this user has CAP_SYS_RAWIO, as kernel {release} demands"
        )),
        Ok(_) => {
            advice.push(format!(
                "kernel {release} lets only processes with CAP_SYS_RAWIO map portals \
                 (INTEL-SA-01084); having it saves a system call for every burst: setcap \
                 cap_sys_rawio+ep PROGRAM"
            ));
            Verdict::ok(format!(
                "write(2): kernel {release} keeps the portals of these devices from processes \
                 without CAP_SYS_RAWIO, and takes descriptors by write(2) instead"
            ))
        }
    }
}
