//! Signals: the program's wishes for the two that its instructions raise.

#![expect(unsafe_code, reason = "libc's functions")]

use crate::real::{fail, real};
use core::ffi::c_int;
use libc::{sighandler_t, sigset_t};
use pagepress_vdev::signals::{self, Sigaction};
use pagepress_vdev::world::world;

// In all of this file: each function does what libc's of its name does, to whoever
// calls it with what that asks for, and the real one is called with what it asks for.
macro_rules! acts {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            signal: c_int,
            new: *const libc::sigaction,
            old: *mut libc::sigaction,
        ) -> c_int {
            // SAFETY: the caller's, or null.
            let wanted = unsafe { new.as_ref() };
            let Some(before) = signals::exchange(signal, wanted) else {
                let real = real!(sigaction: Sigaction);
                // A handler may submit, too.
                let unblocked = wanted.filter(|_| world().is_some()).map(|wanted| {
                    let mut unblocked = *wanted;
                    without_ours(&mut unblocked.sa_mask);
                    unblocked
                });
                let new = unblocked.as_ref().map_or(new, core::ptr::from_ref);
                // SAFETY: see above.
                return unsafe { real(signal, new, old) };
            };
            // SAFETY: the caller's, or null.
            if let Some(old) = unsafe { old.as_mut() } {
                *old = before;
            }
            0
        }
    )*};
}
acts! { sigaction __sigaction }

/// Takes the two signals out of a set.
fn without_ours(set: &mut sigset_t) {
    for signal in [libc::SIGSEGV, libc::SIGILL] {
        // SAFETY: a set, and a signal that there is.
        unsafe { libc::sigdelset(set, signal) };
    }
}

type Signal = unsafe extern "C" fn(c_int, sighandler_t) -> sighandler_t;

macro_rules! handles {
    ($flags:expr; $($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(signal: c_int, handler: sighandler_t) -> sighandler_t {
            if handler == libc::SIG_ERR {
                fail(libc::EINVAL);
                return libc::SIG_ERR;
            }
            // SAFETY: an action of zeros is one.
            let mut new: libc::sigaction = unsafe { core::mem::zeroed() };
            new.sa_sigaction = handler;
            new.sa_flags = $flags;
            match signals::exchange(signal, Some(&new)) {
                Some(before) => before.sa_sigaction,
                None => {
                    let real = real!($name: Signal);
                    // SAFETY: see above.
                    unsafe { real(signal, handler) }
                }
            }
        }
    )*};
}
handles! { libc::SA_RESTART; signal ssignal bsd_signal }
handles! { libc::SA_RESETHAND | libc::SA_NODEFER; sysv_signal __sysv_signal }

type Mask = unsafe extern "C" fn(c_int, *const sigset_t, *mut sigset_t) -> c_int;

macro_rules! masks {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            how: c_int,
            set: *const sigset_t,
            old: *mut sigset_t,
        ) -> c_int {
            let real = real!($name: Mask);
            // SAFETY: the caller's, or null.
            let asked = unsafe { set.as_ref() }.filter(|_| how != libc::SIG_UNBLOCK);
            let (Some(asked), Some(_)) = (asked, world()) else {
                // SAFETY: see above.
                return unsafe { real(how, set, old) };
            };
            let mut rest = *asked;
            without_ours(&mut rest);
            // SAFETY: see above.
            unsafe { real(how, &raw const rest, old) }
        }
    )*};
}
masks! { sigprocmask pthread_sigmask }
