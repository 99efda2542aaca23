//! A virtual IAA for unmodified programs: the device model behind the interface
//! that Linux has for a real one.
//!
//! Two sides meet in a directory. `pagepress vdev run` writes it: a [`Config`], the
//! files of sysfs and procfs that a program looks at, and [`Counters`]. The library
//! that it preloads into the program reads the configuration, shows the program
//! those files in the places they belong to, and is the device to it.
//!
//! What is in the program is for x86-64 alone.
//!
//! | module | what |
//! |---|---|
//! | [`config`] | what both sides agree on |
//! | [`counters`] | what happened, in all processes together |
//! | [`overlay`] | the files that programs are shown |
//! | [`world`] | what one process has of all this |
//! | [`paths`] | where a path of the program's leads |
//! | [`portals`], [`decode`] | which addresses are portals; the instructions that submit |
//! | [`signals`] | the handler in which they are executed, and the program's own |
//! | [`devices`], [`trace`] | the devices of one process; a line for each descriptor |
//! | [`stack`], [`sys`] | what handlers and libc's functions stand on here |

pub mod config;
pub mod counters;
pub mod decode;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod devices;
pub mod overlay;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod paths;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod portals;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod signals;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod stack;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod sys;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod trace;
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
pub mod world;

pub use config::Config;
pub use counters::{Count, Counters};
