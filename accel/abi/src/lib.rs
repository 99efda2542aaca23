//! The programming interface of Intel's In-Memory Analytics Accelerator.
//!
//! What a program writes to a device and reads from it, byte for byte: the
//! 64-byte [`Descriptor`], the 64-byte [`CompletionRecord`], the layout of the
//! [AECS](aecs), status and error [codes](mod@status), and the
//! [capability](caps) words. No code here talks to a device.
//!
//! Section and table numbers are those of the *Intel In-Memory Analytics
//! Accelerator Architecture Specification*, revision 2.1 (IAA), and of the
//! *Intel Data Streaming Accelerator Architecture Specification*, revision 3.0
//! (DSA), on which it builds. `idxd.h` is Linux' `include/uapi/linux/idxd.h`.

pub mod aecs;
pub mod caps;
pub mod completion;
pub mod descriptor;
pub mod flags;
pub mod opcode;
pub mod portal;
pub mod status;

pub use caps::{GenCap, IaaCap, OpCap, Version};
pub use completion::{Completion, CompletionRecord};
pub use descriptor::Descriptor;
pub use opcode::Opcode;
pub use portal::{Portal, Submission};
pub use status::{ErrorCode, Status, SwError};
