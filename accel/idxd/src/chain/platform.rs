//! The links that are about the host as a whole.

use super::fix;
use super::verdict::Verdict;
use crate::host::Host;

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
        // The kernel clears the flag without CONFIG_INTEL_IOMMU_SVM.
        return Verdict::broken(format!("{lacks}: CPUID has it, the kernel hides it"))
            .with(fix::boot_with("intel_iommu=on,sm_on"))
            .with([
                "# if that does not help: a kernel built with CONFIG_INTEL_IOMMU_SVM=y".to_owned(),
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
        "# takes a 4th generation Xeon (Sapphire Rapids) or later; pagepress runs in software here"
            .to_owned(),
    ])
}

pub(super) fn pci(host: &Host) -> Verdict {
    let driven = host.devices.iter().flatten().count();
    match &host.pci {
        Ok(pci) if !pci.is_empty() => {
            let addresses: Vec<&str> = pci.iter().map(|pci| pci.address.as_str()).collect();
            Verdict::ok(format!(
                "{} IAX devices: {}",
                pci.len(),
                addresses.join(" ")
            ))
        }
        _ if driven > 0 => Verdict::ok(format!("{driven} IAX devices, by the driver's account")),
        Ok(_) => Verdict::broken("no IAX device on the PCI bus").with([
            "lspci -nn | grep -iE '8086:(0cfe|1216|b02d|fd2d)'".to_owned(),
            "# not every Xeon has one, and some need it switched on in the firmware setup (IAX, \
             or In-Memory Analytics Accelerator, under IOAT or accelerators)"
                .to_owned(),
        ]),
        Err(unread) => Verdict::unknown(format!("/sys/bus/pci/devices: {unread}")),
    }
}

pub(super) fn driver(host: &Host, advice: &mut Vec<String>) -> Verdict {
    let pci: Vec<_> = host.pci.iter().flatten().collect();
    let devices: Vec<_> = host.devices.iter().flatten().collect();
    if !devices.is_empty() {
        let names: Vec<&str> = devices.iter().map(|device| device.name.as_str()).collect();
        let has = |address: &String| devices.iter().any(|d| d.pci.as_ref() == Some(address));
        for pci in pci
            .iter()
            .filter(|_| devices.iter().all(|d| d.pci.is_some()))
        {
            if !has(&pci.address) {
                advice.push(format!("{}: the idxd driver does not have it", pci.address));
            }
        }
        return Verdict::ok(format!("idxd has {}", names.join(" ")));
    }
    if pci.is_empty() {
        return match &host.pci {
            Ok(_) => super::verdict::Verdict {
                status: super::Status::Skipped,
                ..Verdict::ok("there is no device to drive")
            },
            Err(_) => Verdict::unknown("neither the PCI bus nor the driver's tree can be seen"),
        };
    }
    let addresses: Vec<&str> = pci.iter().map(|pci| pci.address.as_str()).collect();
    if fix::in_container(host) && pci.iter().any(|pci| pci.driver.as_deref() == Some("idxd")) {
        return Verdict::broken("idxd has the devices, but /sys/bus/dsa is not visible here: a container?")
            .with(["docker run -v /sys/bus/dsa:/sys/bus/dsa -v /sys/devices:/sys/devices --device /dev/iax/wq1.0 ...".to_owned()]);
    }
    if let Some(other) = pci
        .iter()
        .find(|pci| pci.driver.as_deref().is_some_and(|d| d != "idxd"))
    {
        let driver = other.driver.as_deref().unwrap_or_default();
        let address = &other.address;
        return Verdict::broken(format!("{address} belongs to {driver}, not to idxd")).with([
            format!("echo {address} > /sys/bus/pci/drivers/{driver}/unbind"),
            format!("echo {address} > /sys/bus/pci/drivers/idxd/bind"),
        ]);
    }
    if host.kernel.idxd {
        return Verdict::broken(format!(
            "idxd is loaded and has none of {}",
            addresses.join(" ")
        ))
        .with(
            addresses
                .iter()
                .map(|a| format!("echo {a} > /sys/bus/pci/drivers/idxd/bind")),
        )
        .with(["dmesg | grep -i idxd".to_owned()]);
    }
    Verdict::broken("the idxd driver is not loaded").with([
        "modprobe idxd".to_owned(),
        "echo idxd > /etc/modules-load.d/idxd.conf".to_owned(),
    ])
}

pub(super) fn submission(host: &Host, advice: &mut Vec<String>) -> Verdict {
    let release = match &host.kernel.release {
        Ok(release) => release,
        Err(unread) => return Verdict::unknown(format!("the kernel's release: {unread}")),
    };
    let safe = |address: &str| {
        let pci = host.pci.iter().flatten().find(|pci| pci.address == address);
        pci.is_some_and(|pci| pci.model.is_user_submission_safe())
    };
    let devices: Vec<_> = host.devices.iter().flatten().collect();
    let all_safe =
        !devices.is_empty() && devices.iter().all(|d| d.pci.as_deref().is_some_and(safe));
    if all_safe {
        return Verdict::ok("mmap of the portal: any process may map those of these devices");
    }
    if !release.guards_portals() {
        return Verdict::ok(format!(
            "mmap of the portal: kernel {release} lets any process map it (write(2), if its vendor \
             brought the guard of 6.10 to it)"
        ));
    }
    if host.user.has_rawio() {
        return Verdict::ok(format!(
            "mmap of the portal: this user has CAP_SYS_RAWIO, as kernel {release} demands"
        ));
    }
    advice.push(format!(
        "portals may be mapped with CAP_SYS_RAWIO only on this kernel ({release}, INTEL-SA-01084), \
         which saves a system call for every burst: setcap cap_sys_rawio+ep PROGRAM"
    ));
    Verdict::ok(format!(
        "write(2): kernel {release} keeps portals of these devices from processes without \
         CAP_SYS_RAWIO, and takes descriptors by write(2) instead"
    ))
}
