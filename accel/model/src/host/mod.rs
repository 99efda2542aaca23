//! What Linux shows of a device: the files of sysfs that the idxd driver and the PCI
//! core would have if the device were one.
//!
//! Names, places and formats are those of the driver (`sysfs.c`, `init.c`,
//! `cdev.c`) and of `Documentation/ABI/stable/sysfs-driver-dma-idxd`: devices are
//! directories below their PCI function, and links in `bus/dsa/devices`. Nothing in
//! these files changes by itself.

mod device;
pub mod pci;
mod tree;

pub use device::{Device, Queue, pci_id};
pub use pci::Pci;
pub use tree::Tree;

/// Lines of `/proc/modules` that the driver adds.
pub const MODULES: &str = "idxd 147456 8 - Live 0x0000000000000000\n\
                           idxd_bus 20480 1 idxd, Live 0x0000000000000000\n";

/// Where a device is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its NUMA node, if the host has such.
    pub node: Option<u32>,
    /// The CPUs next to it, as the kernel lists them: `0-7,16-23`.
    pub local_cpus: String,
}

impl Place {
    /// What `numa_node` says.
    fn node_number(&self) -> String {
        self.node.map_or("-1".to_owned(), |node| node.to_string())
    }
}

/// Loads a module.
pub fn load(tree: &mut Tree, module: &str) {
    let at = format!("sys/module/{module}");
    tree.line(&format!("{at}/initstate"), "live");
}

/// Adds the drivers of the bus that devices and queues are on.
pub fn drivers(tree: &mut Tree) {
    for driver in ["idxd", "user", "dmaengine", "crypto"] {
        let at = format!("sys/bus/dsa/drivers/{driver}");
        tree.file_with_mode(&format!("{at}/bind"), "", 0o644);
        tree.file_with_mode(&format!("{at}/unbind"), "", 0o644);
    }
}
