//! The snapshot of a host on which all is well, and ways to change it.
//!
//! Names, places and formats are those of the idxd driver (`sysfs.c`, `init.c`,
//! `cdev.c`) and of `Documentation/ABI/stable/sysfs-driver-dma-idxd`: devices
//! are directories below their PCI device, and links in `bus/dsa/devices`.

use super::tree::Tree;
use std::io;
use std::path::Path;

/// The operations of Sapphire Rapids, as kernels since 6.1 write them.
pub(crate) const ALL_OPERATIONS: &str =
    "00000000,00000000,00000000,00000000,00000000,007f331c,00000000,0000000d";
/// The IAX devices of two Sapphire Rapids: number, PCI bus, socket.
const DEVICES: [(u32, &str, u32); 8] = [
    (1, "6a", 0),
    (3, "6f", 0),
    (5, "74", 0),
    (7, "79", 0),
    (9, "e7", 1),
    (11, "ec", 1),
    (13, "f1", 1),
    (15, "f6", 1),
];
/// What `flags` says of Sapphire Rapids, shortened where nobody looks.
const FLAGS: &str = "fpu vme de pse tsc msr pae mce cx8 apic sep mtrr pge mca cmov pat clflush mmx \
                     fxsr sse sse2 ht syscall nx pdpe1gb rdtscp lm constant_tsc avx2 bmi2 erms \
                     avx512f avx512bw la57 rdpid bus_lock_detect cldemote movdiri movdir64b enqcmd \
                     fsrm serialize waitpkg amx_tile";

/// How much of it there is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape {
    /// How many devices of each socket.
    pub(crate) devices: usize,
    /// How many CPUs of each socket.
    pub(crate) cpus: u32,
    pub(crate) engines: u32,
    pub(crate) groups: u32,
    pub(crate) queues: u32,
}

impl Shape {
    /// That of a server, but for most of its CPUs.
    pub(crate) const SERVER: Self = Self {
        devices: 4,
        cpus: 8,
        engines: 8,
        groups: 4,
        queues: 8,
    };
    /// As many devices and engines, and less of what does not matter.
    pub(crate) const SHORT: Self = Self {
        cpus: 2,
        groups: 2,
        queues: 2,
        ..Self::SERVER
    };
    /// A device of each socket.
    pub(crate) const PAIR: Self = Self {
        devices: 1,
        engines: 2,
        groups: 1,
        ..Self::SHORT
    };
}

/// A snapshot to be written.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) tree: Tree,
    /// Its devices: number, PCI address, socket.
    pub(crate) devices: Vec<(u32, String, u32)>,
}

impl Snapshot {
    /// A host on which all is well: two sockets, one shared queue of all entries
    /// on each device, root with all capabilities, Linux 6.12.
    pub(crate) fn healthy(shape: Shape) -> Self {
        let devices = DEVICES
            .iter()
            .filter(|(id, ..)| (*id as usize % 8) < shape.devices * 2)
            .map(|&(id, bus, socket)| (id, format!("0000:{bus}:02.0"), socket))
            .collect();
        let mut snapshot = Self {
            tree: Tree::default(),
            devices,
        };
        snapshot.kernel();
        snapshot.processors(shape.cpus);
        for (minor, (id, address, socket)) in snapshot.devices.clone().into_iter().enumerate() {
            snapshot.pci(&address, "0x0cfe", socket, shape.cpus);
            let dsa = address.replace("02.0", "01.0");
            snapshot.pci(&dsa, "0x0b25", socket, shape.cpus);
            snapshot.bind(&address, "idxd");
            snapshot.bind(&dsa, "idxd");
            snapshot.device(id, &address, socket, shape);
            snapshot.cdev(id, &address, minor);
        }
        for driver in ["idxd", "user", "dmaengine", "crypto"] {
            let at = format!("sys/bus/dsa/drivers/{driver}");
            snapshot.tree.file(&format!("{at}/bind"), "");
            snapshot.tree.file(&format!("{at}/unbind"), "");
        }
        snapshot.nodes("crw-rw----", 0, 1001);
        snapshot.user(0, &[0], u64::MAX >> 23);
        snapshot
    }

    fn kernel(&mut self) {
        let tree = &mut self.tree;
        tree.line("proc/sys/kernel/osrelease", "6.12.41-amd64");
        tree.line("proc/sys/kernel/numa_balancing", "0");
        tree.line(
            "proc/cmdline",
            "BOOT_IMAGE=/vmlinuz-6.12.41-amd64 root=/dev/sda2 ro intel_iommu=on,sm_on quiet",
        );
        tree.file(
            "proc/modules",
            "idxd 147456 8 - Live 0x0000000000000000\n\
             idxd_bus 20480 1 idxd, Live 0x0000000000000000\n\
             ixgbe 544768 0 - Live 0x0000000000000000\n",
        );
        for module in ["idxd", "idxd_bus", "ixgbe"] {
            tree.line(&format!("sys/module/{module}/initstate"), "live");
        }
    }

    fn processors(&mut self, each: u32) {
        let mut info = String::new();
        for id in 0..2 * each {
            let socket = id / each;
            let model = "Intel(R) Xeon(R) Platinum 8480+";
            info += &format!(
                "processor\t: {id}\nvendor_id\t: GenuineIntel\ncpu family\t: 6\nmodel\t\t: 143\n\
                 model name\t: {model}\nstepping\t: 8\nmicrocode\t: 0x2b0005d1\n\
                 physical id\t: {socket}\nsiblings\t: {each}\ncore id\t\t: {}\n\
                 cpu cores\t: {each}\nflags\t\t: {FLAGS}\n\n",
                id % each
            );
            let cpu = format!("sys/devices/system/cpu/cpu{id}");
            let package = format!("{cpu}/topology/physical_package_id");
            self.tree.line(&package, socket.to_string());
        }
        self.tree.file("proc/cpuinfo", info);
        let all = format!("0-{}", 2 * each - 1);
        self.tree.line("sys/devices/system/cpu/online", all);
        for node in 0..2 {
            let list = cpus_of(node, each);
            let path = format!("sys/devices/system/node/node{node}/cpulist");
            self.tree.line(&path, list);
        }
    }

    /// Adds a PCI device that no driver has.
    pub(crate) fn pci(&mut self, address: &str, device: &str, socket: u32, cpus: u32) {
        let at = pci_directory(address);
        let mut set = |name: &str, value: &str| self.tree.line(&format!("{at}/{name}"), value);
        set("vendor", "0x8086");
        set("device", device);
        set("class", "0x088000");
        set("numa_node", &socket.to_string());
        set("local_cpulist", &cpus_of(socket, cpus));
        let target = format!("../../../{}", at.strip_prefix("sys/").expect("in sys"));
        let link = format!("sys/bus/pci/devices/{address}");
        self.tree.link(&link, &target);
    }

    /// Gives a PCI device to a driver.
    pub(crate) fn bind(&mut self, address: &str, driver: &str) {
        let link = format!("{}/driver", pci_directory(address));
        let target = format!("../../../bus/pci/drivers/{driver}");
        self.tree.link(&link, &target);
        let driver = format!("sys/bus/pci/drivers/{driver}");
        self.tree.file(&format!("{driver}/bind"), "");
        let back = format!("../../../../{}", &pci_directory(address)[4..]);
        self.tree.link(&format!("{driver}/{address}"), &back);
    }

    fn device(&mut self, id: u32, address: &str, socket: u32, shape: Shape) {
        let at = format!("{}/iax{id}", pci_directory(address));
        let mut engines = Vec::new();
        let mut set = |name: &str, value: &str| self.tree.line(&format!("{at}/{name}"), value);
        for (name, value) in [
            ("version", "0x100"),
            ("state", "enabled"),
            ("max_work_queues_size", "128"),
            ("max_transfer_size", "2147483648"),
            ("op_cap", ALL_OPERATIONS),
            ("gen_cap", "0x71f10901f0105"),
            ("configurable", "1"),
            ("pasid_enabled", "1"),
            ("clients", "0"),
            ("cdev_major", "235"),
            ("cmd_status", "0"),
        ] {
            set(name, value);
        }
        set("errors", &["00000000"; 8].join(","));
        set("max_groups", &shape.groups.to_string());
        set("max_engines", &shape.engines.to_string());
        set("max_work_queues", &shape.queues.to_string());
        set("numa_node", &socket.to_string());
        for engine in 0..shape.engines {
            set(&format!("engine{id}.{engine}/group_id"), "0");
            engines.push(format!("engine{id}.{engine}"));
        }
        for queue in 0..shape.queues {
            let name = |attribute: &str| format!("wq{id}.{queue}/{attribute}");
            // What nobody configured is as the driver begins with it.
            for (attribute, unused, used) in [
                ("state", "disabled", "enabled"),
                ("group_id", "-1", "0"),
                ("mode", "shared", "shared"),
                ("type", "none", "user"),
                ("driver_name", "", "user"),
                ("name", "", "app1"),
                ("size", "0", "128"),
                ("threshold", "0", "128"),
                ("priority", "0", "10"),
                ("block_on_fault", "0", "1"),
                ("max_transfer_size", "2097152", "2147483648"),
                ("ats_disable", "0", "0"),
                ("prs_disable", "0", "0"),
                ("op_config", ALL_OPERATIONS, ALL_OPERATIONS),
                ("clients", "0", "0"),
                ("occupancy", "0", "0"),
                ("enqcmds_retries", "32", "32"),
            ] {
                set(&name(attribute), if queue == 0 { used } else { unused });
            }
        }
        for group in 0..shape.groups {
            let name = |attribute: &str| format!("group{id}.{group}/{attribute}");
            set(&name("traffic_class_a"), "1");
            set(&name("traffic_class_b"), "1");
        }
        for group in 0..shape.groups {
            let (members, queue) = match group {
                0 => (engines.join(" ") + "\n", format!("wq{id}.0\n")),
                _ => (String::new(), String::new()),
            };
            let group = format!("{at}/group{id}.{group}");
            self.tree.file(&format!("{group}/engines"), members);
            self.tree.file(&format!("{group}/work_queues"), queue);
        }
        let bus = "sys/bus/dsa/devices";
        let real = format!("../../../{}", &at[4..]);
        self.tree.link(&format!("{bus}/iax{id}"), &real);
        let children = (0..shape.engines)
            .map(|e| format!("engine{id}.{e}"))
            .chain((0..shape.queues).map(|q| format!("wq{id}.{q}")))
            .chain((0..shape.groups).map(|g| format!("group{id}.{g}")));
        for child in children {
            let real = format!("{real}/{child}");
            self.tree.link(&format!("{bus}/{child}"), &real);
        }
    }

    /// Adds the character device of the first queue, as enabling it does.
    fn cdev(&mut self, id: u32, address: &str, minor: usize) {
        let queue = format!("{}/iax{id}/wq{id}.0", pci_directory(address));
        let minor = minor.to_string();
        self.tree.line(&format!("{queue}/cdev_minor"), &minor);
        let cdev = format!("iax!wq{id}.0");
        let dev = format!("{queue}/{cdev}/dev");
        self.tree.line(&dev, format!("235:{minor}"));
        let real = format!("../../../{}/{cdev}", &queue[4..]);
        let link = format!("sys/bus/dsa/devices/{cdev}");
        self.tree.link(&link, &real);
        self.tree.file(&format!("dev/iax/wq{id}.0"), "");
    }

    /// Writes the listing of the nodes there are.
    pub(crate) fn nodes(&mut self, mode: &str, uid: u32, gid: u32) {
        let mut listing = "total 0\n".to_owned();
        for (minor, (id, ..)) in self.devices.iter().enumerate() {
            listing += &format!("{mode} 1 {uid} {gid} 235, {minor} Nov 22 10:00 wq{id}.0\n");
        }
        self.tree.file("dev/iax/LISTING", listing);
    }

    /// Lets this user ask.
    pub(crate) fn user(&mut self, uid: u32, groups: &[u32], capabilities: u64) {
        let gid = groups[0];
        let all: Vec<String> = groups.iter().map(u32::to_string).collect();
        let all = all.join(" ");
        let status = format!(
            "Name:\tcat\nUmask:\t0022\nState:\tR (running)\nPid:\t4711\nPPid:\t4700\n\
             Uid:\t{uid}\t{uid}\t{uid}\t{uid}\nGid:\t{gid}\t{gid}\t{gid}\t{gid}\nFDSize:\t256\n\
             Groups:\t{all} \nVmPeak:\t    3232 kB\nThreads:\t1\n\
             CapInh:\t0000000000000000\nCapPrm:\t{capabilities:016x}\n\
             CapEff:\t{capabilities:016x}\nCapBnd:\t000001ffffffffff\nSeccomp:\t0\n"
        );
        self.tree.file("proc/self/status", status);
    }

    /// The directory of a device.
    pub(crate) fn directory_of(&self, id: u32) -> String {
        let (_, address, _) = self.devices.iter().find(|d| d.0 == id).expect("a device");
        format!("{}/iax{id}", pci_directory(address))
    }

    /// Sets an attribute of some devices.
    pub(crate) fn set(&mut self, ids: &[u32], attribute: &str, value: &str) {
        for &id in ids {
            let path = format!("{}/{attribute}", self.directory_of(id));
            self.tree.line(&path, value);
        }
    }

    /// Sets an attribute of the first queue of some devices.
    pub(crate) fn set_queue(&mut self, ids: &[u32], attribute: &str, value: &str) {
        for &id in ids {
            self.set(&[id], &format!("wq{id}.0/{attribute}"), value);
        }
    }

    /// Takes an attribute from every queue of every device.
    pub(crate) fn without_queue_attribute(&mut self, attribute: &str) {
        self.tree
            .remove_all(|path| path.contains("/wq") && path.ends_with(&format!("/{attribute}")));
    }

    /// Puts the engines of some devices from `first` on into no group.
    pub(crate) fn ungroup(&mut self, ids: &[u32], first: u32) {
        for &id in ids {
            for engine in first..8 {
                self.set(&[id], &format!("engine{id}.{engine}/group_id"), "-1");
            }
            let members: Vec<String> = (0..first).map(|e| format!("engine{id}.{e}")).collect();
            self.set(&[id], &format!("group{id}.0/engines"), &members.join(" "));
        }
    }

    /// Disables the first queue of some devices, which has the driver forget all
    /// but its size and group.
    pub(crate) fn disable_queue(&mut self, ids: &[u32]) {
        for &id in ids {
            for (attribute, value) in [
                ("state", "disabled"),
                ("type", "none"),
                ("driver_name", ""),
                ("name", ""),
                ("threshold", "0"),
                ("priority", "0"),
                ("block_on_fault", "0"),
                ("max_transfer_size", "2097152"),
            ] {
                self.set_queue(&[id], attribute, value);
            }
            self.without_node(id);
        }
    }

    /// Takes the node of a device away, in sysfs and below `dev`.
    pub(crate) fn without_node(&mut self, id: u32) {
        let queue = format!("{}/wq{id}.0", self.directory_of(id));
        self.tree.remove(&format!("{queue}/cdev_minor"));
        self.tree.remove(&format!("{queue}/iax!wq{id}.0"));
        self.tree
            .remove(&format!("sys/bus/dsa/devices/iax!wq{id}.0"));
        self.tree.remove(&format!("dev/iax/wq{id}.0"));
        let listing = self.tree.text("dev/iax/LISTING");
        let line = format!(" wq{id}.0");
        let rest = listing.lines().filter(|l| !l.ends_with(&line));
        let rest: String = rest.map(|line| format!("{line}\n")).collect();
        self.tree.file("dev/iax/LISTING", rest);
    }

    /// Disables some devices, which has the driver forget all.
    pub(crate) fn disable(&mut self, ids: &[u32]) {
        self.disable_queue(ids);
        self.ungroup(ids, 0);
        self.set(ids, "state", "disabled");
        self.set_queue(ids, "size", "0");
        self.set_queue(ids, "group_id", "-1");
    }

    /// As idxd finds it when it is not loaded.
    pub(crate) fn without_driver(&mut self) {
        for (id, address, _) in self.devices.clone() {
            self.tree
                .remove(&format!("{}/iax{id}", pci_directory(&address)));
            self.tree
                .remove(&format!("{}/driver", pci_directory(&address)));
        }
        self.tree.remove("sys/bus/dsa");
        self.tree.remove("sys/bus/pci/drivers/idxd");
        self.tree.remove("dev/iax");
    }

    /// Has the kernel not know of idxd.
    pub(crate) fn without_module(&mut self) {
        self.tree.remove("sys/module/idxd");
        let modules = self.tree.text("proc/modules");
        let rest = modules.lines().filter(|line| !line.starts_with("idxd "));
        let rest: String = rest.map(|line| format!("{line}\n")).collect();
        self.tree.file("proc/modules", rest);
    }

    /// Changes a file by replacing text that has to be there.
    pub(crate) fn replace(&mut self, path: &str, from: &str, to: &str) {
        let text = self.tree.text(path);
        assert!(text.contains(from), "{path} has no `{from}`");
        self.tree.file(path, text.replace(from, to));
    }

    /// Starts another kernel.
    pub(crate) fn release(&mut self, release: &str) {
        self.replace("proc/cmdline", "6.12.41-amd64", release);
        self.tree.line("proc/sys/kernel/osrelease", release);
    }

    /// Starts the kernel with other options.
    pub(crate) fn options(&mut self, options: &str) {
        self.replace("proc/cmdline", "intel_iommu=on,sm_on quiet", options);
    }

    /// Writes it below a directory.
    pub(crate) fn write(&self, to: &Path) -> io::Result<()> {
        self.tree.write(to)
    }
}

/// Where a PCI device is: `sys/devices/pci0000:6a/0000:6a:02.0`.
pub(crate) fn pci_directory(address: &str) -> String {
    let bridge = address.rsplitn(2, ':').last().unwrap_or_default();
    format!("sys/devices/pci{bridge}/{address}")
}

fn cpus_of(socket: u32, each: u32) -> String {
    format!("{}-{}", socket * each, (socket + 1) * each - 1)
}
