//! A software model of Intel's In-Memory Analytics Accelerator (IAA; device name
//! `iax`).
//!
//! A [`Device`](device::Device) takes raw 64-byte descriptors whose addresses
//! are those of the calling program, and writes raw 64-byte completion records,
//! the status byte last, as silicon does. A client that works on the model works
//! on a device.
//!
//! | module | what |
//! |---|---|
//! | [`profile`] | generations, capabilities, queue configuration |
//! | [`device`] | devices, their queues, SWERROR |
//! | [`mod@write`] | queues reached by `write(2)` |
//! | [`work`] | one descriptor, from the queue to its completion |
//! | [`check`] | what is refused before any data is touched |
//! | [`memory`] | how addresses are reached: trusting, checked, registered |
//! | [`compress`], [`decompress`], [`crc64`] | the engines |
//! | [`time`] | devices that take time, virtual or real |
//! | [`faults`] | devices that fail on demand |
//! | [`observe`] | who wants to know of every descriptor's end |
//! | [`host`] | what Linux would show of a device |
//! | [`watch`] | who else touches what a descriptor has lent to the device |
//!
//! Whatever is measured on the model says how fast the host computes, and
//! nothing of a device.

pub mod check;
pub mod checksum;
pub mod compress;
pub mod crc64;
pub mod decompress;
pub mod device;
pub mod faults;
pub mod host;
pub mod memory;
pub mod observe;
pub mod op;
pub mod profile;
pub mod time;
pub mod watch;
pub mod work;
pub mod write;
