//! `scripts/configure-iaa` and `scripts/collect-host`, on a root of files and,
//! the second, on the host that runs this.

#![cfg(target_os = "linux")]

mod collect;
mod configure;
mod root;
