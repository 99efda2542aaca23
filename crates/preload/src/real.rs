//! The functions behind the names that this library takes.

#![expect(unsafe_code, reason = "looks functions up")]

use core::ffi::{CStr, c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};

/// Where a function was found.
#[derive(Debug)]
pub(crate) struct Cache(AtomicPtr<c_void>);

impl Cache {
    pub(crate) const fn new() -> Self {
        Self(AtomicPtr::new(ptr::null_mut()))
    }

    /// The next function of that name behind this library.
    ///
    /// # Panics
    /// If there is none: then the program would not have started, or has asked for a
    /// function of another C library.
    pub(crate) fn find(&self, name: &CStr) -> *mut c_void {
        let found = self.0.load(Ordering::Relaxed);
        if !found.is_null() {
            return found;
        }
        // SAFETY: the name ends.
        let found = unsafe { libc::dlsym(libc::RTLD_NEXT, name.as_ptr()) };
        assert!(!found.is_null(), "the C library has no {name:?}");
        self.0.store(found, Ordering::Relaxed);
        found
    }
}

/// The real function of a name, as a pointer of the type given.
macro_rules! real {
    ($name:ident: $type:ty) => {{
        static CACHE: $crate::real::Cache = $crate::real::Cache::new();
        const NAME: &core::ffi::CStr = {
            let name = concat!(stringify!($name), "\0");
            match core::ffi::CStr::from_bytes_with_nul(name.as_bytes()) {
                Ok(name) => name,
                Err(_) => panic!("a name without zeros"),
            }
        };
        let found = CACHE.find(NAME);
        // SAFETY: libc's function of that name has that type, as its manual says.
        let real: $type = unsafe { core::mem::transmute(found) };
        real
    }};
}
pub(crate) use real;

/// Fails as system calls do.
pub(crate) fn fail(error: c_int) -> c_int {
    // SAFETY: any thread has one.
    let errno = unsafe { libc::__errno_location() };
    // SAFETY: it is this thread's own.
    unsafe { *errno = error };
    -1
}

/// The number of an error of ours.
pub(crate) fn number(error: &std::io::Error) -> c_int {
    error.raw_os_error().unwrap_or(libc::EIO)
}
