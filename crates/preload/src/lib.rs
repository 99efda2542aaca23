//! The library that `pagepress vdev run` loads into programs: functions of libc's
//! under their own names, which do what [`pagepress_vdev`] says, or else what they
//! always do.
//!
//! Static programs and raw system calls never come by here.

#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod begin;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod files;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod memory;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod names;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod real;
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
mod signals;
