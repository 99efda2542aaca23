//! The snapshot of a host on which all is well, and ways to change it.

use pagepress_abi::OpCap;
use pagepress_model::host::{self, Device, Pci, Place, Queue, Tree, pci};
use pagepress_model::profile::{Profile, QueueConfig};
use std::io;
use std::path::Path;

/// What DSA devices, of which there is one beside each IAX device, have as PCI id.
const DSA: u16 = 0x0B25;
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
    pub(crate) queues: usize,
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
        for (minor, (id, address, socket)) in (0..).zip(snapshot.devices.clone()) {
            let dsa = address.replace("02.0", "01.0");
            snapshot.pci(&dsa, DSA, socket, shape.cpus);
            snapshot.bind(&dsa, "idxd");
            snapshot.device(id, address, socket, shape, minor);
        }
        host::drivers(&mut snapshot.tree);
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
        let other = "ixgbe 544768 0 - Live 0x0000000000000000\n";
        tree.file("proc/modules", host::MODULES.to_owned() + other);
        for module in ["idxd", "idxd_bus", "ixgbe"] {
            host::load(tree, module);
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
    pub(crate) fn pci(&mut self, address: &str, device: u16, socket: u32, cpus: u32) {
        let function = Pci {
            address: address.to_owned(),
            device,
            place: place(socket, cpus),
        };
        function.put(&mut self.tree);
    }

    /// Gives a PCI device to a driver.
    pub(crate) fn bind(&mut self, address: &str, driver: &str) {
        pci::bind(&mut self.tree, address, driver);
    }

    fn device(&mut self, id: u32, address: String, socket: u32, shape: Shape, minor: u32) {
        let device = Device {
            id,
            address,
            place: place(socket, shape.cpus),
            profile: Profile {
                op_cap: OpCap::SAPPHIRE_RAPIDS,
                engines: shape.engines,
                queues: shape.queues,
                ..Profile::GEN1
            },
            groups: shape.groups,
            queues: vec![Queue {
                label: "app1".to_owned(),
                config: QueueConfig::shared(128),
                minor,
                node_mode: 0o644,
            }],
            major: 235,
            modelled: false,
        };
        device.put(&mut self.tree);
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
        format!("{}/iax{id}", pci::directory(address))
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
        let is_it = |path: &str| path.contains("/wq") && path.ends_with(&format!("/{attribute}"));
        self.tree.retain(|path| !is_it(path));
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
        self.remove(&format!("{queue}/cdev_minor"));
        self.remove(&format!("{queue}/iax!wq{id}.0"));
        self.remove(&format!("sys/bus/dsa/devices/iax!wq{id}.0"));
        self.remove(&format!("dev/iax/wq{id}.0"));
        let listing = self.text("dev/iax/LISTING");
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
            self.remove(&format!("{}/iax{id}", pci::directory(&address)));
            self.remove(&format!("{}/driver", pci::directory(&address)));
        }
        self.remove("sys/bus/dsa");
        self.remove("sys/bus/pci/drivers/idxd");
        self.remove("dev/iax");
    }

    /// Has the kernel not know of idxd.
    pub(crate) fn without_module(&mut self) {
        self.remove("sys/module/idxd");
        let modules = self.text("proc/modules");
        let rest = modules.lines().filter(|line| !line.starts_with("idxd "));
        let rest: String = rest.map(|line| format!("{line}\n")).collect();
        self.tree.file("proc/modules", rest);
    }

    /// Takes away what is at a path and below it, which has to be there.
    pub(crate) fn remove(&mut self, path: &str) {
        assert!(self.tree.remove(path), "{path} is not there");
    }

    /// The content of a file, which has to be there.
    pub(crate) fn text(&self, path: &str) -> String {
        let content = self.tree.content(path).expect(path);
        String::from_utf8(content.to_owned()).expect("text")
    }

    /// Changes a file by replacing text that has to be there.
    pub(crate) fn replace(&mut self, path: &str, from: &str, to: &str) {
        let text = self.text(path);
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

fn place(socket: u32, cpus: u32) -> Place {
    Place {
        node: Some(socket),
        local_cpus: cpus_of(socket, cpus),
    }
}

fn cpus_of(socket: u32, each: u32) -> String {
    format!("{}-{}", socket * each, (socket + 1) * each - 1)
}
