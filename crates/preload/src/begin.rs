//! The beginning and the end of a process.

#![expect(unsafe_code, reason = "is called by the loader")]

use crate::real::real;
use core::ffi::c_int;
use pagepress_vdev::config::VARIABLE;
use pagepress_vdev::signals::{self, Sigaction};
use pagepress_vdev::world::{World, world};
use std::io::Write;
use std::path::Path;

/// Called before the program's `main`.
#[used]
// SAFETY: functions in this section are called once each, with C's convention.
#[unsafe(link_section = ".init_array")]
static BEGIN: extern "C" fn() = begin;

/// Called when the program exits.
#[used]
// SAFETY: as above.
#[unsafe(link_section = ".fini_array")]
static END: extern "C" fn() = end;

extern "C" fn begin() {
    // Without the variable, nobody has asked for anything.
    let Some(directory) = std::env::var_os(VARIABLE) else {
        return;
    };
    let world = match World::new(Path::new(&directory)) {
        Ok(world) => world,
        Err(error) => {
            // A process may outlive the run that began it.
            let _ = writeln!(
                std::io::stderr(),
                "pagepress vdev: {}: {error}: there is no virtual device for process {}",
                Path::new(&directory).display(),
                std::process::id(),
            );
            return;
        }
    };
    world.establish();
    let sigaction = real!(sigaction: Sigaction);
    // SAFETY: it is, and this is called once.
    unsafe { signals::install(sigaction) };
    // SAFETY: the functions live as long as the program and do what may be done there.
    let registered = unsafe {
        libc::pthread_atfork(
            Some(signals::before_fork),
            Some(signals::after_fork),
            Some(in_child),
        )
    };
    // Without memory for that, children keep what their parent has.
    debug_assert_eq!(registered, 0 as c_int);
}

extern "C" fn in_child() {
    signals::after_fork();
    if let Some(world) = world() {
        world.forked();
    }
}

extern "C" fn end() {
    if let Some(world) = world() {
        world.end();
    }
}
