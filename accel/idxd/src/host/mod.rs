//! A host as it can be seen without touching a device.

mod cpu;
mod kernel;
mod node;
mod pci;
mod tree;
mod user;

pub use cpu::{Cpu, Cpus, Instructions};
pub use kernel::{Kernel, Release};
pub use node::Node;
pub use pci::{IaxModel, PciDevice};
pub use tree::{Engine, Group, IaxDevice, Mode, SoftwareError, WorkQueue};
pub use user::User;

use crate::root::{Reading, Root, Unread};
use core::fmt;
use serde::{Serialize, Serializer};

/// All that is known of a host. What could not be read says why.
#[derive(Debug, Clone, Serialize)]
pub struct Host {
    /// Whether this is the running host, as opposed to a snapshot.
    pub live: bool,
    /// Processors.
    pub cpus: Cpus,
    /// The kernel.
    pub kernel: Kernel,
    /// Who is asking.
    #[serde(serialize_with = "reading")]
    pub user: Reading<User>,
    /// IAX devices on the PCI bus.
    #[serde(serialize_with = "reading")]
    pub pci: Reading<Vec<PciDevice>>,
    /// IAX devices that the idxd driver has.
    #[serde(serialize_with = "reading")]
    pub devices: Reading<Vec<IaxDevice>>,
    /// Device nodes below `/dev/iax`.
    #[serde(serialize_with = "reading")]
    pub nodes: Reading<Vec<Node>>,
}

/// Why there is no picture of a host at all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoHost {
    root: String,
    why: String,
}

impl fmt::Display for NoHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.root, self.why)
    }
}

impl core::error::Error for NoHost {}

impl Host {
    /// Looks at what is below a root.
    ///
    /// # Errors
    /// If there is neither `proc` nor `sys` there: no host, and no snapshot of
    /// one.
    pub fn look(root: &Root) -> Result<Self, NoHost> {
        let no_host = |why: String| NoHost {
            root: root.path().display().to_string(),
            why,
        };
        let entries = root.list("").map_err(|e| no_host(e.to_string()))?;
        let has = |name: &str| entries.iter().any(|entry| entry == name);
        if !has("proc") && !has("sys") {
            let why = "neither proc nor sys is there, so this is no host and no snapshot of one";
            return Err(no_host(why.to_owned()));
        }
        let cpus = Cpus::look(root);
        let mut devices = tree::look(root);
        let mut pci = pci::look(root);
        for device in pci.iter_mut().flatten() {
            device.package = cpus.package_of(device.numa_node, device.local_cpus.as_deref());
        }
        for device in devices.iter_mut().flatten() {
            let of_pci = pci
                .iter()
                .flatten()
                .find(|p| Some(&p.address) == device.pci.as_ref());
            let of_node = || cpus.package_of(device.numa_node.as_ref().ok().copied(), None);
            device.package = of_pci.and_then(|pci| pci.package).or_else(of_node);
        }
        Ok(Self {
            live: root.is_live(),
            cpus,
            kernel: Kernel::look(root),
            user: User::look(root),
            pci,
            devices,
            nodes: node::look(root),
        })
    }
}

/// A value, or an object that says why there is none.
pub(crate) fn reading<T: Serialize, S: Serializer>(
    reading: &Reading<T>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Shown<'a, T> {
        Value(&'a T),
        None { unread: &'a Unread },
    }
    match reading {
        Ok(value) => Shown::Value(value),
        Err(unread) => Shown::None { unread },
    }
    .serialize(serializer)
}
