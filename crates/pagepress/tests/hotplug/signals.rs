//! A process that is told to end puts the host right first.

#![expect(unsafe_code, reason = "signals are unsafe")]

use crate::host;
use core::mem::MaybeUninit;
use core::ptr::null_mut;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

const ENDING: [i32; 3] = [libc::SIGINT, libc::SIGTERM, libc::SIGHUP];

/// Waits for signals until dropped.
pub(crate) struct Signals {
    ended: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The signals that end a process.
fn ending() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given room for, and
    // does not fail for valid room.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the call above.
    let mut set = unsafe { set.assume_init() };
    for signal in ENDING {
        // SAFETY: an initialised set, and a signal that exists.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

impl Signals {
    /// To be called before any other thread is there: they inherit the mask.
    pub(crate) fn catch() -> Self {
        let set = ending();
        // SAFETY: blocks signals for this thread; the old mask is not asked for.
        unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, null_mut()) };
        let ended = Arc::new(AtomicBool::new(false));
        let thread = {
            let ended = Arc::clone(&ended);
            std::thread::spawn(move || wait(&set, &ended))
        };
        Self {
            ended,
            thread: Some(thread),
        }
    }
}

fn wait(set: &libc::sigset_t, ended: &AtomicBool) {
    let tick = libc::timespec {
        tv_sec: 0,
        tv_nsec: 50_000_000,
    };
    while !ended.load(Ordering::Relaxed) {
        // SAFETY: an initialised set and time; who sent the signal is not asked.
        let signal = unsafe { libc::sigtimedwait(set, null_mut(), &raw const tick) };
        if signal > 0 {
            for problem in host::restore() {
                eprintln!("hotplug: {problem}");
            }
            eprintln!("hotplug: ended by signal {signal}; CPUs and cpusets are restored");
            // SAFETY: ends the process at once. Other threads are at work, so
            // that nothing may be torn down below them.
            unsafe { libc::_exit(128 + signal) };
        }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().expect("the thread only waits");
        }
    }
}
