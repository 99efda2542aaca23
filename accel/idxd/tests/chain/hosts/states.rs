//! The states, as edits of a host on which all is well.

use super::State;
use super::snapshot::Snapshot;
use pagepress_model::host::pci;

/// The devices of the first socket, and all.
const SOCKET_0: [u32; 4] = [1, 3, 5, 7];
const ALL: [u32; 8] = [1, 3, 5, 7, 9, 11, 13, 15];
/// `CAP_DAC_OVERRIDE` and `CAP_SYS_RAWIO`.
const DAC_OVERRIDE: u64 = 1 << 1;
const SYS_RAWIO: u64 = 1 << 17;

/// The operations of Sapphire Rapids without those of opcodes 0x42 and 0x43.
const NO_DECOMPRESS: &str =
    "00000000,00000000,00000000,00000000,00000000,007f3318,00000000,0000000d";
const NEITHER: &str = "00000000,00000000,00000000,00000000,00000000,007f3310,00000000,0000000d";
const NO_COMPRESS: &str = "00000000,00000000,00000000,00000000,00000000,007f3314,00000000,0000000d";

const fn state(name: &'static str, source: &'static str, edit: fn(&mut Snapshot)) -> State {
    State { name, source, edit }
}

/// All of them.
pub(crate) const STATES: &[State] = &[
    state(
        "healthy",
        "FACT QPL tools/configs 2n4d8e1w-s; addresses: QEMU qpl-compression.rst",
        |_| {},
    ),
    // The processor, the bus, the driver.
    state(
        "no-enqcmd",
        "FACT SDM CPUID.(7,0).ECX bits 28 and 29: an Ice Lake has MOVDIR64B at most",
        |host| {
            host.replace("proc/cpuinfo", "Platinum 8480+", "Platinum 8380");
            host.replace("proc/cpuinfo", " movdiri movdir64b enqcmd", "");
            host.replace("proc/cpuinfo", " serialize waitpkg amx_tile", "");
            host.without_driver();
            for (_, address, _) in host.devices.clone() {
                forget_pci(host, &address);
            }
        },
    ),
    state(
        "vm-without-enqcmd",
        "FACT Linux hides ENQCMD unless CONFIG_INTEL_IOMMU_SVM; intel/qpl#1 for use in a VM",
        |host| {
            host.replace("proc/cpuinfo", " enqcmd", "");
            host.replace("proc/cpuinfo", " cldemote", " cldemote hypervisor");
        },
    ),
    state(
        "no-device",
        "FACT some SKUs have DSA and no IAA; intel/qpl#26, where only dsa0 was configured",
        |host| {
            host.without_driver();
            for (_, address, _) in host.devices.clone() {
                forget_pci(host, &address);
            }
        },
    ),
    state(
        "driver-not-loaded",
        "intel/intel-device-plugins-for-kubernetes#919",
        |host| {
            host.without_driver();
            host.without_module();
        },
    ),
    state(
        "loaded-and-not-bound",
        "FACT idxd_pci_probe may fail for every device (idxd init.c)",
        Snapshot::without_driver,
    ),
    state(
        "uio-bound",
        "intel/dsa-perf-micros#6 (its devices are given to UIO, as VFIO refuses them)",
        |host| {
            host.without_driver();
            for (_, address, _) in host.devices.clone() {
                host.bind(&address, "uio_pci_generic");
            }
        },
    ),
    state(
        "vfio-bound",
        "FACT VFIO had no denylist for these devices before 95feb3160eef (Linux 6.10)",
        |host| {
            host.release("6.5.0-35-generic");
            let (_, address, _) = host.devices[0].clone();
            host.remove(&format!("{}/iax1", pci::directory(&address)));
            host.tree
                .retain(|p| !(p.starts_with("sys/bus/dsa/devices/") && is_of(p, 1)));
            host.bind(&address, "vfio-pci");
        },
    ),
    state(
        "container-without-bus",
        "intel/intel-device-plugins-for-kubernetes#1019; intel/qpl#20",
        |host| host.remove("sys/bus/dsa"),
    ),
    // The IOMMU.
    state(
        "sva-not-asked-for",
        "intel/intel-technology-enabling-for-openshift#307",
        |host| {
            no_sva(host);
            host.options("intel_iommu=on modules_load=vfio-pci");
        },
    ),
    state(
        "sva-off",
        "intel/idxd-config#46 (firmware), with its command line; intel/idxd-config#78",
        |host| {
            no_sva(host);
            host.release("6.2.0-34-generic");
            host.options("intel_iommu=on,sm_on iommu=pt no5lvl");
            host.replace("proc/cpuinfo", " la57", "");
        },
    ),
    state(
        "sva-off-with-five-levels",
        "intel/qpl#50: enabled, pasid_enabled 0, dedicated queues; no5lvl mended it",
        |host| {
            host.release("6.11.0-21-generic");
            host.set(&ALL, "pasid_enabled", "0");
            host.set_queue(&ALL, "mode", "dedicated");
            host.set_queue(&ALL, "threshold", "0");
        },
    ),
    state(
        "sva-off-in-a-vm",
        "intel/qpl#1; FACT a guest needs an IOMMU in scalable mode (QEMU intel-iommu)",
        |host| {
            no_sva(host);
            host.replace("proc/cpuinfo", " cldemote", " cldemote hypervisor");
        },
    ),
    // Devices and their engines.
    state(
        "never-configured",
        "FACT idxd sysfs.c, init.c: what modprobe leaves, but for a default configuration",
        |host| host.disable(&ALL),
    ),
    state(
        "device-disabled",
        "FACT accel-config enable-device is the last step but one (QPL, kernel documentation)",
        |host| {
            for id in ALL {
                host.without_node(id);
            }
            host.set(&ALL, "state", "disabled");
            host.set_queue(&ALL, "state", "disabled");
        },
    ),
    state(
        "device-refused",
        "intel/DML#40: enabling ended with 0x14, the sizes of the queues are too large",
        |host| {
            host.disable(&ALL);
            host.set(&ALL, "cmd_status", "0x14");
        },
    ),
    state(
        "device-halted",
        "FACT idxd irq.c: a hardware error halts a device; ABI errors, state",
        |host| {
            host.set(&ALL, "state", "halted");
            let error = "00000000,00000000,00000000,00000000,00000000,00000000,00000000,00005103";
            host.set(&ALL, "errors", error);
        },
    ),
    state(
        "engines-ungrouped",
        "FACT idxd sysfs.c: group_id of an engine is taken at any time",
        |host| host.ungroup(&ALL, 0),
    ),
    state(
        "one-engine",
        "FACT idxd defaults.c puts engine 0 alone into a group (patch of July 2026)",
        |host| host.ungroup(&ALL, 1),
    ),
    state(
        "group-without-engines",
        "FACT DSA specification: engines work for the queues of their group",
        |host| {
            host.set_queue(&SOCKET_0, "group_id", "1");
        },
    ),
    // Queues.
    state(
        "queue-disabled",
        "intel/qpl#28; FACT idxd device.c: idxd_wq_disable_cleanup wipes its settings",
        |host| host.disable_queue(&ALL),
    ),
    state(
        "queue-not-enabled-yet",
        "FACT accel-config enable-wq is the last step (QPL, kernel documentation)",
        |host| {
            for id in ALL {
                host.without_node(id);
            }
            host.set_queue(&ALL, "state", "disabled");
        },
    ),
    state(
        "queue-without-name",
        "FACT UAPI idxd.h IDXD_SCMD_WQ_NO_NAME, 0x80040000",
        |host| {
            host.disable_queue(&ALL);
            host.set_queue(&ALL, "type", "user");
            host.set(&ALL, "cmd_status", "0x80040000");
        },
    ),
    state(
        "queue-of-the-kernel",
        "FACT iaa-crypto.rst: IAA queues have type kernel and driver crypto",
        |host| {
            for id in ALL {
                host.without_node(id);
            }
            host.set_queue(&ALL, "type", "kernel");
            host.set_queue(&ALL, "driver_name", "crypto");
            host.set_queue(&ALL, "name", "iaa_crypto");
            let modules = host.text("proc/modules");
            let crypto = "iaa_crypto 69632 0 - Live 0x0000000000000000\n";
            host.tree.file("proc/modules", crypto.to_owned() + &modules);
        },
    ),
    state(
        "queue-with-driver-of-the-kernel",
        "FACT idxd bus.c: driver_name decides which driver binds since Linux 6.7",
        |host| host.set_queue(&ALL, "driver_name", "crypto"),
    ),
    state(
        "dedicated",
        "intel/qpl#50: QPL supports shared queues only",
        |host| {
            host.set_queue(&ALL, "mode", "dedicated");
            host.set_queue(&ALL, "threshold", "0");
        },
    ),
    state(
        "dedicated-and-held",
        "FACT idxd cdev.c: a dedicated queue that has a client is busy",
        |host| {
            host.set_queue(&ALL, "mode", "dedicated");
            host.set_queue(&ALL, "threshold", "0");
            host.set_queue(&[1], "clients", "1");
        },
    ),
    state(
        "threshold-0",
        "FACT UAPI idxd.h IDXD_SCMD_WQ_NO_THRESH; mode_store zeroes it (idxd sysfs.c)",
        |host| host.set_queue(&ALL, "threshold", "0"),
    ),
    state(
        "threshold-below-size",
        "FACT accel-config's documentation recommends less than the size; QPL and QEMU the size",
        |host| host.set_queue(&[1], "threshold", "64"),
    ),
    state(
        "no-compress",
        "FACT ABI op_config: an administrator may take operations from a queue",
        |host| host.set_queue(&ALL, "op_config", NO_COMPRESS),
    ),
    state(
        "no-decompress-on-one",
        "FACT ABI op_config; intel iaa_crypto series: separate queues to compress and decompress",
        |host| host.set_queue(&[3], "op_config", NO_DECOMPRESS),
    ),
    state(
        "split-work",
        "FACT intel iaa_crypto series: separate queues to compress and decompress",
        |host| {
            host.set_queue(&[1, 3, 9, 11], "op_config", NO_DECOMPRESS);
            host.set_queue(&[5, 7, 13, 15], "op_config", NO_COMPRESS);
        },
    ),
    state(
        "device-without-compress",
        "FACT OPCAP bit 0x43; QPL looks for it in every device",
        |host| {
            host.set(&ALL, "op_cap", NO_COMPRESS);
            host.set_queue(&ALL, "op_config", NO_COMPRESS);
        },
    ),
    state(
        "transfers-too-small",
        "FACT ABI max_transfer_size: any power of two is taken",
        |host| host.set_queue(&ALL, "max_transfer_size", "2048"),
    ),
    state(
        "block-on-fault-off",
        "intel/qpl#19; ClickHouse/ClickHouse#57291; FACT NUMA balancing faults locked pages",
        |host| {
            host.set_queue(&ALL, "block_on_fault", "0");
            host.tree.line("proc/sys/kernel/numa_balancing", "1");
        },
    ),
    state(
        "page-requests-off",
        "FACT ABI prs_disable: overrides block_on_fault",
        |host| {
            host.set_queue(&ALL, "block_on_fault", "0");
            host.set_queue(&ALL, "prs_disable", "1");
        },
    ),
    state(
        "ats-off",
        "FACT DSA specification 3.13.1: write faults may go unnoticed",
        |host| host.set_queue(&ALL, "ats_disable", "1"),
    ),
    // Nodes and users.
    state("container-without-node", "intel/qpl#20", |host| {
        host.remove("dev/iax")
    }),
    state(
        "node-removed",
        "intel/idxd-config#8: no nodes although queues are enabled",
        |host| host.tree.file("dev/iax/LISTING", "total 0\n"),
    ),
    state(
        "node-of-another-device",
        "FACT a container's node keeps its numbers when the driver is loaded anew",
        |host| host.replace("dev/iax/LISTING", "235, ", "238, "),
    ),
    state(
        "no-permission",
        "intel/qpl#33; intel/idxd-config#16",
        |host| {
            host.nodes("crw-------", 0, 0);
            host.user(1000, &[1000, 4, 27], 0);
        },
    ),
    state(
        "permission-by-group",
        "FACT accel-config's package and QEMU's documentation give nodes to a group",
        |host| host.user(1000, &[1000, 1001], 0),
    ),
    state(
        "permission-by-capability",
        "FACT capabilities(7): CAP_DAC_OVERRIDE",
        |host| {
            host.nodes("crw-------", 0, 0);
            host.user(1000, &[1000], DAC_OVERRIDE);
        },
    ),
    state(
        "permission-by-list",
        "FACT QEMU qpl-compression.rst and ixl-go's FAQ advise setfacl",
        |host| {
            host.nodes("crw-rw----+", 0, 0);
            host.user(1000, &[1000], 0);
        },
    ),
    // The way to submit.
    state(
        "no-rawio",
        "intel/intel-device-plugins-for-kubernetes#1779 (Linux 6.9.3)",
        |host| {
            host.release("6.9.3");
            host.user(0, &[0], DAC_OVERRIDE);
        },
    ),
    state("rawio", "intel/idxd-config#73", |host| {
        host.release("6.9.3");
        host.user(1000, &[1000, 1001], SYS_RAWIO);
    }),
    state(
        "guard-of-a-vendor",
        "intel/intel-device-plugins-for-kubernetes#1779 (Ubuntu 6.5.0-41)",
        |host| {
            host.release("6.5.0-41-generic");
            host.user(1000, &[1000, 1001], 0);
        },
    ),
    // Parts that work and parts that do not; other hosts.
    state(
        "mixed-sockets",
        "intel/qpl#17: the device of the other socket only",
        |host| {
            host.disable(&SOCKET_0);
        },
    ),
    state(
        "mixed-failures",
        "FACT each queue is configured by itself (accel-config)",
        |host| {
            host.set(&[1], "pasid_enabled", "0");
            host.disable(&[3]);
            host.disable_queue(&[5]);
            host.set_queue(&[7], "driver_name", "crypto");
            host.set_queue(&[9], "mode", "dedicated");
            host.set_queue(&[11], "op_config", NEITHER);
            host.remove("dev/iax/wq13.0");
            host.tree.file(
                "dev/iax/LISTING",
                "total 0\ncrw-rw---- 1 0 1001 235, 4 Nov 22 10:00 wq9.0\n\
                 crw-rw---- 1 0 1001 235, 7 Nov 22 10:00 wq15.0\n",
            );
        },
    ),
    state(
        "no-node-numbers",
        "intel/qpl#1: numa_node is -1 in virtual machines",
        |host| {
            host.set(&ALL, "numa_node", "-1");
            for (_, address, _) in host.devices.clone() {
                let at = pci::directory(&address);
                host.tree.line(&format!("{at}/numa_node"), "-1");
                host.tree.line(&format!("{at}/local_cpulist"), "0-3");
            }
        },
    ),
    state(
        "old-kernel",
        "intel/qpl#28 (Linux 5.18); FACT driver_name, op_config, iaa_cap and commas came later",
        |host| {
            host.release("5.18.0");
            for absent in ["driver_name", "op_config", "prs_disable"] {
                host.without_queue_attribute(absent);
            }
            host.set(&ALL, "op_cap", "0xd 0x7f331c 0 0");
            let none = ["0x0000000000000000"; 4].join(" ");
            host.set(&ALL, "errors", &format!("{none} "));
            host.disable_queue_of_old_kernel(1);
        },
    ),
    state(
        "generation-2",
        "FACT idxd registers.h: 0x1216, version 0x200; user_submission_safe, iaa_cap",
        |host| {
            for (_, address, _) in host.devices.clone() {
                let at = pci::directory(&address);
                host.tree.line(&format!("{at}/device"), "0x1216");
            }
            host.set(&ALL, "version", "0x200");
            host.set(&ALL, "iaa_cap", "0x19f");
            host.set(&ALL, "event_log_size", "64");
            host.user(1000, &[1000, 1001], 0);
        },
    ),
    state(
        "software-error",
        "FACT ABI errors; DSA specification, SWERROR 0x53: a queue was full",
        |host| {
            let error = "00000000,00000000,00000000,00000000,00000000,00000000,00000043,0000530d";
            host.set(&[1], "errors", error);
        },
    ),
    state(
        "copied-by-tar",
        "FACT GNU tar fills up files that are shorter than stat says, as those of sysfs",
        |host| {
            host.tree.each_file(|path, content| {
                if path.starts_with("sys/") && content.len() < 4096 {
                    content.resize(4096, 0);
                }
            });
        },
    ),
    state(
        "taken-apart",
        "FACT --root: who asks is root where proc/self/status is absent",
        |host| {
            host.remove("proc/self/status");
            host.remove("proc/modules");
            host.remove("sys/devices/system/node");
        },
    ),
];

/// Without shared addressing, devices with shared queues are refused.
fn no_sva(host: &mut Snapshot) {
    host.set(&ALL, "pasid_enabled", "0");
    host.set(&ALL, "state", "disabled");
    host.set(&ALL, "cmd_status", "0x800c0000");
    host.set_queue(&ALL, "state", "disabled");
    for id in ALL {
        host.without_node(id);
    }
}

fn forget_pci(host: &mut Snapshot, address: &str) {
    host.remove(&pci::directory(address));
    host.remove(&format!("sys/bus/pci/devices/{address}"));
}

/// Whether a link in the bus is of a device: `iax1`, `wq1.0`, `iax!wq1.0`.
fn is_of(path: &str, id: u32) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    name == format!("iax{id}")
        || ["wq", "engine", "group", "iax!wq"]
            .iter()
            .any(|kind| name.starts_with(&format!("{kind}{id}.")))
}

impl Snapshot {
    /// As [`disable_queue`](Self::disable_queue), before Linux 6.7.
    fn disable_queue_of_old_kernel(&mut self, id: u32) {
        self.disable_queue(&[id]);
        let directory = self.directory_of(id);
        self.remove(&format!("{directory}/wq{id}.0/driver_name"));
    }
}
