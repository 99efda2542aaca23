//! The processor, the bus, the driver, the IOMMU, and the way to submit.

use crate::Seen;
use pagepress_idxd::chain::LinkName::{Cpu, Driver, Iommu, Node, Pci, Submission};
use pagepress_idxd::host::Instructions;

#[test]
fn processors() {
    let seen = Seen::of("no-enqcmd");
    assert!(
        seen.found(Cpu)
            .ends_with("Platinum 8380 without ENQCMD and MOVDIR64B")
    );
    assert!(seen.fix(Cpu)[0].contains("4th generation Xeon"));
    let seen = Seen::of("vm-without-enqcmd");
    assert!(
        seen.found(Cpu)
            .ends_with("without ENQCMD, in a virtual machine")
    );
    assert!(seen.fix(Cpu)[0].starts_with("# on the host: give the guest the CPU as it is"));
    assert!(
        Seen::of("healthy")
            .found(Cpu)
            .ends_with("with ENQCMD, MOVDIR64B, UMWAIT")
    );
}

/// Only the running host can be asked by CPUID.
#[test]
fn a_kernel_that_hides_the_instruction() {
    let hidden = |cpuid| {
        let seen = Seen::of("vm-without-enqcmd");
        seen.with(|host| host.cpus.cpuid = Some(cpuid))
    };
    let all = Instructions {
        enqcmd: true,
        movdir64b: true,
        waitpkg: true,
    };
    let seen = hidden(all);
    assert!(
        seen.found(Cpu)
            .ends_with("CPUID has it, and the kernel hides it")
    );
    assert_eq!(
        seen.fix(Cpu),
        [
            "uname -r   # must be 5.18 or later",
            "grep CONFIG_INTEL_IOMMU_SVM /boot/config-$(uname -r)   # must be y",
        ]
    );
    let seen = hidden(Instructions {
        enqcmd: false,
        ..all
    });
    assert!(seen.found(Cpu).ends_with("in a virtual machine"));
}

#[test]
fn no_umwait() {
    let seen = Seen::of("healthy").with(|host| {
        host.cpus.instructions.as_mut().unwrap().waitpkg = false;
    });
    assert!(seen.found(Cpu).ends_with("with ENQCMD, MOVDIR64B"));
    seen.advice("no UMWAIT");
}

#[test]
fn the_bus() {
    let seen = Seen::of("no-device");
    assert_eq!(seen.found(Pci), "no IAX device on the PCI bus");
    assert_eq!(
        seen.fix(Pci)[0],
        "lspci -nn | grep -iE '8086:(0cfe|1216|b02d|fd2d)'"
    );
    assert_eq!(seen.found(Driver), "there is no device to drive");
    assert!(
        Seen::of("healthy")
            .found(Pci)
            .starts_with("8 IAX devices: 0000:6a:02.0 ")
    );
}

#[test]
fn the_driver() {
    let seen = Seen::of("driver-not-loaded");
    assert_eq!(seen.found(Driver), "the idxd driver is not loaded");
    assert_eq!(
        seen.fix(Driver),
        [
            "modprobe idxd",
            "echo idxd > /etc/modules-load.d/idxd.conf   # at every start",
        ]
    );
    let seen = Seen::of("loaded-and-not-bound");
    assert_eq!(
        seen.found(Driver),
        "idxd is loaded, and no device is bound to it"
    );
    let all = "for d in 0000:6a:02.0 0000:6f:02.0 0000:74:02.0 0000:79:02.0 0000:e7:02.0 \
               0000:ec:02.0 0000:f1:02.0 0000:f6:02.0; do ";
    let probe = format!("{all}echo $d > /sys/bus/pci/drivers_probe; done");
    assert_eq!(
        seen.fix(Driver),
        [&probe, "dmesg | grep -i idxd   # why it refused one"]
    );
    let seen = Seen::of("uio-bound");
    assert!(
        seen.found(Driver)
            .ends_with("have the driver uio_pci_generic, and not idxd")
    );
    assert_eq!(
        seen.fix(Driver),
        [
            "modprobe idxd",
            &format!(
                "{all}echo $d > /sys/bus/pci/drivers/uio_pci_generic/unbind; done   # ends all use \
                 by uio_pci_generic"
            ),
            &format!("{all}echo > /sys/bus/pci/devices/$d/driver_override; done"),
            &probe,
        ]
    );
    let seen = Seen::of("vfio-bound");
    let mend = "echo 0000:6a:02.0 > /sys/bus/pci/drivers/vfio-pci/unbind; \
                echo > /sys/bus/pci/devices/0000:6a:02.0/driver_override; \
                echo 0000:6a:02.0 > /sys/bus/pci/drivers_probe";
    assert_eq!(
        seen.advice("0000:6a:02.0"),
        format!("0000:6a:02.0: it belongs to vfio-pci, not to idxd; mend it with: {mend}")
    );
}

#[test]
fn containers() {
    let seen = Seen::of("container-without-bus");
    assert!(
        seen.found(Driver)
            .ends_with("does not show it: a container?")
    );
    assert_eq!(
        seen.fix(Driver),
        [
            "docker run -v /sys/bus/dsa:/sys/bus/dsa -v /sys/devices:/sys/devices --device \
             /dev/iax ..."
        ]
    );
    let seen = Seen::of("container-without-node");
    assert_eq!(
        seen.fix(Node)[0],
        "docker run --device /dev/iax ...   # in a container"
    );
}

#[test]
fn the_iommu() {
    let boot = |words: &str| {
        format!(
            "grubby --update-kernel=ALL --args=\"{words}\"   # without grubby: GRUB_CMDLINE_LINUX \
             in /etc/default/grub, then update-grub"
        )
    };
    let firmware = [
        "dmesg | grep -iE 'dmar|iommu|idxd'",
        "# in the firmware setup: VT-d on, and ENQCMD (or ENQCMDS) for PCIe on",
        "grep CONFIG_INTEL_IOMMU_SVM /boot/config-$(uname -r)   # must be y",
    ];
    let seen = Seen::of("sva-not-asked-for");
    assert!(
        seen.found(Iommu)
            .ends_with("not started with intel_iommu=on,sm_on")
    );
    assert_eq!(seen.fix(Iommu), [&boot("intel_iommu=on,sm_on"), "reboot"]);

    // It was asked for, and no5lvl was given: only the firmware is left.
    let seen = Seen::of("sva-off");
    assert!(
        seen.found(Iommu)
            .ends_with("though the kernel was started with intel_iommu=on,sm_on")
    );
    assert_eq!(seen.fix(Iommu), firmware);

    let seen = Seen::of("sva-off-with-five-levels");
    assert!(seen.found(Iommu).contains("page tables have five levels"));
    assert_eq!(seen.fix(Iommu)[..3], firmware);
    assert_eq!(seen.fix(Iommu)[3..], [&boot("no5lvl"), "reboot"]);

    let seen = Seen::of("sva-off-in-a-vm");
    assert!(seen.fix(Iommu)[1].starts_with("# on the host: give the guest an IOMMU"));
    // Five levels alone are no break: a healthy host has them.
    assert!(Seen::of("healthy").host.cpus.five_levels);
}

#[test]
fn the_way_to_submit() {
    let seen = Seen::of("no-rawio");
    assert_eq!(
        seen.found(Submission),
        "write(2): kernel 6.9.3 keeps the portals of these devices from processes without \
         CAP_SYS_RAWIO, and takes descriptors by write(2) instead"
    );
    seen.advice("setcap cap_sys_rawio+ep PROGRAM");
    let seen = Seen::of("rawio");
    assert!(
        seen.found(Submission)
            .starts_with("mmap of the portal: this user has CAP_SYS_RAWIO")
    );
    assert!(seen.diagnosis.advice.is_empty());
    let seen = Seen::of("guard-of-a-vendor");
    assert!(
        seen.found(Submission)
            .starts_with("mmap of the portal: kernel 6.5.0-41-generic lets")
    );
    assert!(seen.found(Submission).ends_with("then write(2)"));
    // The guard is for the first generation only.
    let seen = Seen::of("generation-2");
    assert!(
        seen.found(Submission)
            .starts_with("mmap of the portal: any process may")
    );
    let devices = seen.host.devices.as_ref().unwrap();
    assert!(devices.iter().all(|device| device.is_gen2()));
    assert!(devices[0].capabilities.contains(&"header-generation"));
}

#[test]
fn kernels_around_the_guard() {
    use crate::hosts::{Shape, State};
    for (release, writes) in [
        ("6.1.90", false),
        ("6.1.91", true),
        ("6.6.30", false),
        ("6.6.31", true),
        ("6.8.9", false),
        ("6.8.10", true),
        ("6.9.0", false),
        ("6.9.1", true),
        ("6.10.0-rc1", true),
        ("6.18.2", true),
    ] {
        let mut snapshot = State::find("permission-by-group")
            .unwrap()
            .snapshot(Shape::SHORT);
        snapshot.release(release);
        let seen = Seen::snapshot(&snapshot);
        assert_eq!(
            seen.found(Submission).starts_with("write(2)"),
            writes,
            "{release}"
        );
        assert!(seen.diagnosis.is_usable(), "{release}");
    }
}
