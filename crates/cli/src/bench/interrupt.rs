//! Ctrl-C ends the measuring, and what was measured is printed.

use std::sync::atomic::{AtomicBool, Ordering};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// Set by the first Ctrl-C from now on; the second ends the command as usual.
pub(crate) fn flag() -> &'static AtomicBool {
    // Without a handler, the first one ends the command.
    let _ = ctrlc::set_handler(|| {
        if INTERRUPTED.swap(true, Ordering::Relaxed) {
            std::process::exit(i32::from(crate::INTERRUPTED));
        }
    });
    &INTERRUPTED
}
