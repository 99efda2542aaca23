//! What Linux shows of Intel IAA devices, and what stands between a program and
//! using one.
//!
//! [`Host::look`] reads the picture of a host: processors, PCI
//! devices, the `idxd` driver's tree in sysfs, device nodes, the kernel, the
//! user. [`Diagnosis`] walks from the processor's instructions
//! to the way a descriptor is submitted and says which link is broken, why that
//! matters, and what mends it.
//!
//! Everything is read below one [`Root`], so that a snapshot of a
//! host is diagnosed as the host itself is. Nothing here needs libaccel-config.
//!
//! [`OpenQueue`](queue::OpenQueue) is the portal of a queue that was found so, and
//! [`forks`](fork::forks) tells a child from its parent; only these two are unsafe.

pub mod chain;
pub mod fork;
pub mod host;
pub mod queue;
pub mod root;

pub use chain::Diagnosis;
pub use host::Host;
pub use root::Root;
