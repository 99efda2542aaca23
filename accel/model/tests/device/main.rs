//! The device as its clients meet it: what it checks, and how its queues take
//! descriptors.

mod checks;
mod client;
mod crc64;
mod faults;
mod queues;
mod time;
