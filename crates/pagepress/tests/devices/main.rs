//! What becomes of pages when a device fails, and of devices that have failed.

mod faults;
mod outages;
mod rig;
mod sinks;
