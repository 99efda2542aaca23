//! Ctrl-C ends the measuring, and what was measured is printed. So does SIGTERM,
//! and SIGHUP unless it is ignored, as below nohup.

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// How much there is that must be put back before this process may end.
static HELD: Mutex<usize> = Mutex::new(0);

/// Set by the first signal from now on; the second ends the command, unless there
/// is a [`Hold`].
pub(crate) fn flag() -> &'static AtomicBool {
    static ONCE: Once = Once::new();
    // Without a handler, the first one ends the command.
    ONCE.call_once(|| {
        let _ = listen();
    });
    &INTERRUPTED
}

fn listen() -> std::io::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM])?;
    if !is_ignored(SIGHUP) {
        signals.add_signal(SIGHUP)?;
    }
    let body = move || {
        for _ in signals.forever() {
            if INTERRUPTED.swap(true, Ordering::Relaxed) {
                let held = held();
                if *held == 0 {
                    // Still locked: nothing can be taken hold of on the way out.
                    std::process::exit(i32::from(crate::INTERRUPTED));
                }
            }
        }
    };
    let signals = std::thread::Builder::new().name("signals".to_owned());
    signals.spawn(body).map(|_| ())
}

/// Keeps the second signal from ending the command while it lives.
#[derive(Debug)]
pub(crate) struct Hold(());

pub(crate) fn hold() -> Hold {
    *held() += 1;
    Hold(())
}

impl Drop for Hold {
    fn drop(&mut self) {
        *held() -= 1;
    }
}

fn held() -> MutexGuard<'static, usize> {
    HELD.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether whoever started this process had it ignore a signal.
pub(crate) fn is_ignored(signal: i32) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let mask = mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask >> (signal - 1) & 1 == 1)
}
