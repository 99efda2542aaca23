//! What a modelled device is: its generation, capabilities and queues.

use crate::op::Generation;
use pagepress_abi::{GenCap, IaaCap, OpCap, Opcode, Version};

/// The operations that the model performs.
const OPERATIONS: OpCap = OpCap::NONE
    .with(Opcode::NOOP)
    .with(Opcode::DRAIN)
    .with(Opcode::DECOMPRESS)
    .with(Opcode::COMPRESS)
    .with(Opcode::CRC64);

/// A device's registers, as far as they matter to who submits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Profile {
    /// The VERSION register.
    pub version: Version,
    /// The GENCAP register.
    pub gen_cap: GenCap,
    /// The IAACAP register; not there on generation 1.
    pub iaa_cap: Option<IaaCap>,
    /// The OPCAP register.
    pub op_cap: OpCap,
    /// Engines, all in the one group that all queues are in.
    pub engines: u32,
    /// Work queues that can be configured.
    pub queues: usize,
    /// Entries to divide among them.
    pub queue_entries: u16,
}

impl Profile {
    /// Sapphire and Emerald Rapids. The analytics operations that silicon also
    /// has are not modelled, so their bits are clear.
    pub const GEN1: Self = Self {
        version: Version::GEN1,
        gen_cap: GenCap::SAPPHIRE_RAPIDS,
        iaa_cap: None,
        op_cap: OPERATIONS,
        engines: 8,
        queues: 8,
        queue_entries: 128,
    };

    /// Granite Rapids with all that the model knows of generation 2.
    pub const GEN2: Self = Self::gen2(
        IaaCap::GEN2
            .with(IaaCap::CRC64_CHAINING)
            .with(IaaCap::LOAD_PARTIAL)
            .with(IaaCap::EARLY_ABORT)
            .with(IaaCap::DICTIONARY)
            .with(IaaCap::HEADER_GEN),
    );

    /// Granite Rapids with these capabilities. No dump of a real one's
    /// capability word is known.
    #[must_use]
    pub const fn gen2(iaa_cap: IaaCap) -> Self {
        Self {
            version: Version::GEN2,
            iaa_cap: Some(iaa_cap),
            ..Self::GEN1
        }
    }

    /// The generation, for the engines.
    #[must_use]
    pub fn generation(&self) -> Generation {
        self.iaa_cap.map_or(Generation::One, Generation::Two)
    }
}

/// How a queue takes descriptors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// From anyone, by ENQCMD, which says when the queue is full.
    Shared,
    /// From one client, by MOVDIR64B, which says nothing.
    Dedicated,
}

/// A work queue's configuration (WQCFG, DSA 9.2.24).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueConfig {
    /// Shared or dedicated.
    pub mode: Mode,
    /// Entries.
    pub size: u16,
    /// Entries that a limited portal of a shared queue may fill; user space
    /// gets no other portal.
    pub threshold: u16,
    /// The most bytes a transfer may have.
    pub max_transfer: u64,
    /// Whether descriptors may ask to wait for page faults.
    pub block_on_fault: bool,
    /// The operations allowed, among those the device has.
    pub op_config: OpCap,
}

impl QueueConfig {
    /// A shared queue of `size` entries, all of which user space may fill,
    /// that waits for page faults: what QPL's and QEMU's guides configure.
    #[must_use]
    pub const fn shared(size: u16) -> Self {
        Self {
            mode: Mode::Shared,
            size,
            threshold: size,
            max_transfer: 1 << 31,
            block_on_fault: true,
            op_config: OpCap([u64::MAX; 4]),
        }
    }

    /// A dedicated queue of `size` entries that waits for page faults.
    #[must_use]
    pub const fn dedicated(size: u16) -> Self {
        Self {
            mode: Mode::Dedicated,
            ..Self::shared(size)
        }
    }
}
