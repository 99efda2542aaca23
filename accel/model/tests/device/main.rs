//! The device as its clients meet it: what it checks, and how its queues take
//! descriptors.

mod checks;
mod client;
mod codes;
mod crc64;
mod errors;
mod faults;
mod missing;
mod outages;
mod queues;
mod time;
mod watch;
