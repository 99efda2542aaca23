//! Files and directories.

#![expect(unsafe_code, reason = "libc's functions")]

use crate::names::{Led, lead};
use crate::real::{fail, number, real};
use core::ffi::{CStr, c_char, c_int, c_uint, c_void};
use core::ptr;
use libc::{AT_FDCWD, DIR, FILE, dirent, mode_t, size_t, ssize_t, statx};
use pagepress_vdev::paths::LONGEST;
use pagepress_vdev::sys;
use pagepress_vdev::world::world;

type Open = unsafe extern "C" fn(*const c_char, c_int, mode_t) -> c_int;
type OpenAt = unsafe extern "C" fn(c_int, *const c_char, c_int, mode_t) -> c_int;
type Fopen = unsafe extern "C" fn(*const c_char, *const c_char) -> *mut FILE;
type Freopen = unsafe extern "C" fn(*const c_char, *const c_char, *mut FILE) -> *mut FILE;

/// Opens what a path leads to by `open`.
fn opened(led: &Led, flags: c_int, open: impl FnOnce(*const c_char) -> c_int) -> c_int {
    let Some((world, _)) = &led.served else {
        return open(led.as_ptr());
    };
    let changes = flags & libc::O_ACCMODE != libc::O_RDONLY
        || flags & (libc::O_CREAT | libc::O_TRUNC) != 0
        || flags & libc::O_TMPFILE == libc::O_TMPFILE;
    if changes && led.is_written_to() {
        return open(c"/dev/null".as_ptr());
    }
    if changes && led.refuse(flags & libc::O_CREAT != 0) {
        return fail(libc::EACCES);
    }
    let fd = open(led.as_ptr());
    if fd < 0 || flags & libc::O_PATH != 0 || world.node_of_fd(fd).is_none() {
        return fd;
    }
    if let Err(error) = world.opened(fd) {
        sys::close(fd);
        return fail(number(&error));
    }
    fd
}

// In all of this file: each function does what libc's of its name does, to whoever
// calls it with what that asks for, and the real one is called with what it asks for.
// A variadic `mode` comes in the same register as one that is not.
macro_rules! opens {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, flags: c_int, mode: mode_t) -> c_int {
            // SAFETY: the caller's path.
            let led = unsafe { lead(AT_FDCWD, path) };
            opened(&led, flags, |path| {
                let real = real!($name: Open);
                // SAFETY: see above.
                unsafe { real(path, flags, mode) }
            })
        }
    )*};
}
opens! { open open64 }

macro_rules! opens_at {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            directory: c_int,
            path: *const c_char,
            flags: c_int,
            mode: mode_t,
        ) -> c_int {
            // SAFETY: the caller's path.
            let led = unsafe { lead(directory, path) };
            opened(&led, flags, |path| {
                let real = real!($name: OpenAt);
                // SAFETY: see above.
                unsafe { real(directory, path, flags, mode) }
            })
        }
    )*};
}
opens_at! { openat openat64 }

/// What programs call that were built with checks.
macro_rules! opens_checked {
    ($($name:ident $plain:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, flags: c_int) -> c_int {
            // SAFETY: without a mode, as these flags have it.
            unsafe { $plain(path, flags, 0) }
        }
    )*};
}
opens_checked! { __open_2 open __open64_2 open64 }

macro_rules! opens_at_checked {
    ($($name:ident $plain:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(directory: c_int, path: *const c_char, flags: c_int) -> c_int {
            // SAFETY: as above.
            unsafe { $plain(directory, path, flags, 0) }
        }
    )*};
}
opens_at_checked! { __openat_2 openat __openat64_2 openat64 }

macro_rules! creates {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, mode: mode_t) -> c_int {
            // SAFETY: what `creat` stands for.
            unsafe { open(path, libc::O_CREAT | libc::O_WRONLY | libc::O_TRUNC, mode) }
        }
    )*};
}
creates! { creat creat64 }

/// Whether a stream of this mode is refused, as it changes what is served.
///
/// # Safety
/// The mode ends with a zero.
unsafe fn is_refused(led: &Led, mode: *const c_char) -> bool {
    // SAFETY: as the caller promises.
    let mode = unsafe { CStr::from_ptr(mode) }.to_bytes();
    // What follows a comma is the name of a character set.
    let mode = mode.split(|&byte| byte == b',').next().unwrap_or_default();
    let creates = mode.first() != Some(&b'r');
    (creates || mode.contains(&b'+')) && led.refuse(creates)
}

/// A stream that was opened, unless it is of a node that is not to be had.
fn streamed(led: &Led, stream: *mut FILE) -> *mut FILE {
    let Some((world, _)) = led.served.as_ref().filter(|_| !stream.is_null()) else {
        return stream;
    };
    // SAFETY: a stream that is open.
    let fd = unsafe { libc::fileno(stream) };
    if world.node_of_fd(fd).is_some()
        && let Err(error) = world.opened(fd)
    {
        // SAFETY: as above; nobody else has it.
        unsafe { libc::fclose(stream) };
        fail(number(&error));
        return ptr::null_mut();
    }
    stream
}

macro_rules! streams {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, mode: *const c_char) -> *mut FILE {
            // SAFETY: the caller's path.
            let led = unsafe { lead(AT_FDCWD, path) };
            // SAFETY: the caller's mode.
            if led.served.is_some() && unsafe { is_refused(&led, mode) } {
                fail(libc::EACCES);
                return ptr::null_mut();
            }
            let real = real!($name: Fopen);
            // SAFETY: see above.
            let stream = unsafe { real(led.as_ptr(), mode) };
            streamed(&led, stream)
        }
    )*};
}
streams! { fopen fopen64 }

macro_rules! streams_anew {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            path: *const c_char,
            mode: *const c_char,
            stream: *mut FILE,
        ) -> *mut FILE {
            // SAFETY: the caller's path.
            let led = unsafe { lead(AT_FDCWD, path) };
            // SAFETY: the caller's mode.
            if led.served.is_some() && unsafe { is_refused(&led, mode) } {
                fail(libc::EACCES);
                return ptr::null_mut();
            }
            let real = real!($name: Freopen);
            // SAFETY: see above.
            let stream = unsafe { real(led.as_ptr(), mode, stream) };
            streamed(&led, stream)
        }
    )*};
}
streams_anew! { freopen freopen64 }

/// Functions whose first argument is a path: the real one gets where it leads.
macro_rules! by_path {
    ($($name:ident($($argument:ident: $type:ty),*) -> $result:ty;)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char $(, $argument: $type)*) -> $result {
            // SAFETY: the caller's path.
            let led = unsafe { lead(AT_FDCWD, path) };
            let real = real!($name: unsafe extern "C" fn(*const c_char $(, $type)*) -> $result);
            // SAFETY: see above.
            unsafe { real(
                    led.as_ptr() $(, $argument)*
                )
            }
        }
    )*};
}
type Filter = Option<unsafe extern "C" fn(*const dirent) -> c_int>;
type Compare = Option<unsafe extern "C" fn(*mut *const dirent, *mut *const dirent) -> c_int>;
by_path! {
    access(mode: c_int) -> c_int;
    euidaccess(mode: c_int) -> c_int;
    eaccess(mode: c_int) -> c_int;
    opendir() -> *mut DIR;
    scandir(list: *mut *mut *mut dirent, filter: Filter, compare: Compare) -> c_int;
    scandir64(list: *mut *mut *mut dirent, filter: Filter, compare: Compare) -> c_int;
    chdir() -> c_int;
    statfs(found: *mut c_void) -> c_int;
    statfs64(found: *mut c_void) -> c_int;
    statvfs(found: *mut c_void) -> c_int;
    statvfs64(found: *mut c_void) -> c_int;
    getxattr(name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    lgetxattr(name: *const c_char, value: *mut c_void, size: size_t) -> ssize_t;
    listxattr(list: *mut c_char, size: size_t) -> ssize_t;
    llistxattr(list: *mut c_char, size: size_t) -> ssize_t;
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn faccessat(
    directory: c_int,
    path: *const c_char,
    mode: c_int,
    flags: c_int,
) -> c_int {
    // SAFETY: the caller's path.
    let led = unsafe { lead(directory, path) };
    type Real = unsafe extern "C" fn(c_int, *const c_char, c_int, c_int) -> c_int;
    let real = real!(faccessat: Real);
    // SAFETY: see above.
    unsafe { real(directory, led.as_ptr(), mode, flags) }
}

/// `fstatat` for all functions that tell the same.
///
/// # Safety
/// The path is null or ends, and there is room for what is told.
unsafe fn tell(directory: c_int, path: *const c_char, to: *mut libc::stat, flags: c_int) -> c_int {
    // SAFETY: the caller's path.
    let led = unsafe { lead(directory, path) };
    // SAFETY: the path ends, and there is room. In glibc before 2.33 there is no
    // function of that name to be called.
    let told = unsafe { sys::tell(directory, led.as_ptr(), to, flags) };
    if let Err(error) = told {
        return fail(number(&error));
    }
    if let Some(world) = world() {
        // SAFETY: the kernel has filled it.
        world.show(unsafe { &mut *to });
    }
    0
}

macro_rules! tells_path {
    ($flags:expr; $($name:ident $versioned:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(path: *const c_char, to: *mut libc::stat) -> c_int {
            // SAFETY: see above.
            unsafe { tell(AT_FDCWD, path, to, $flags) }
        }

        // SAFETY: of libc's name and type, see above; there is one version only.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $versioned(_: c_int, path: *const c_char, to: *mut libc::stat) -> c_int {
            // SAFETY: see above.
            unsafe { tell(AT_FDCWD, path, to, $flags) }
        }
    )*};
}
tells_path! { 0; stat __xstat stat64 __xstat64 }
tells_path! { libc::AT_SYMLINK_NOFOLLOW; lstat __lxstat lstat64 __lxstat64 }

macro_rules! tells_fd {
    ($($name:ident $versioned:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(fd: c_int, to: *mut libc::stat) -> c_int {
            // SAFETY: see above.
            unsafe { tell(fd, c"".as_ptr(), to, libc::AT_EMPTY_PATH) }
        }

        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $versioned(_: c_int, fd: c_int, to: *mut libc::stat) -> c_int {
            // SAFETY: see above.
            unsafe { tell(fd, c"".as_ptr(), to, libc::AT_EMPTY_PATH) }
        }
    )*};
}
tells_fd! { fstat __fxstat fstat64 __fxstat64 }

macro_rules! tells_at {
    ($($name:ident $versioned:ident)*) => {$(
        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            directory: c_int,
            path: *const c_char,
            to: *mut libc::stat,
            flags: c_int,
        ) -> c_int {
            // SAFETY: see above.
            unsafe { tell(directory, path, to, flags) }
        }

        // SAFETY: of libc's name and type, see above.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $versioned(
            _: c_int,
            directory: c_int,
            path: *const c_char,
            to: *mut libc::stat,
            flags: c_int,
        ) -> c_int {
            // SAFETY: see above.
            unsafe { tell(directory, path, to, flags) }
        }
    )*};
}
tells_at! { fstatat __fxstatat fstatat64 __fxstatat64 }

/// `statx`.
// SAFETY: of libc's name and type, see above.
#[unsafe(export_name = "statx")]
unsafe extern "C" fn tell_x(
    directory: c_int,
    path: *const c_char,
    flags: c_int,
    mask: c_uint,
    to: *mut statx,
) -> c_int {
    // SAFETY: the caller's path.
    let led = unsafe { lead(directory, path) };
    // SAFETY: see above; with arguments that are not there, it fails as it should.
    let told = unsafe { sys::tell_x(directory, led.as_ptr(), flags, mask, to) };
    if let Err(error) = told {
        return fail(number(&error));
    }
    if let Some(world) = world() {
        // SAFETY: the kernel has filled it.
        world.show_x(unsafe { &mut *to });
    }
    0
}

/// What a program is to take a path for that the system told, in place: how long it
/// is then.
fn shown(told: &mut [u8]) -> usize {
    let len = told.len();
    let Some(world) = world() else { return len };
    let Some(shown) = world.paths.shown(told) else {
        return len;
    };
    let shown = shown.len();
    // The root itself is shown as a slash, which it ends with nowhere.
    if shown == 1 {
        told[0] = b'/';
    } else {
        told.copy_within(len - shown.., 0);
    }
    shown
}

/// # Safety
/// As for `readlinkat`.
unsafe fn read_link(
    directory: c_int,
    path: *const c_char,
    to: *mut c_char,
    size: size_t,
) -> ssize_t {
    // SAFETY: the caller's path.
    let led = unsafe { lead(directory, path) };
    // SAFETY: see above.
    let len = match unsafe { sys::tell_link(directory, led.as_ptr(), to, size) } {
        Ok(len) => len,
        Err(error) => return fail(number(&error)) as ssize_t,
    };
    // SAFETY: the kernel has filled that much of it.
    let told = unsafe { core::slice::from_raw_parts_mut(to.cast::<u8>(), len) };
    let Some(world) = world() else {
        return len as ssize_t;
    };
    if len < size {
        return shown(told) as ssize_t;
    }
    // Cut short, it may be whole without the root.
    let mut whole = [0u8; LONGEST];
    // SAFETY: the path ends, and there is that much room.
    let again = unsafe {
        sys::tell_link(
            directory,
            led.as_ptr(),
            whole.as_mut_ptr().cast(),
            whole.len(),
        )
    };
    match again.ok().and_then(|len| world.paths.shown(&whole[..len])) {
        Some(shown) => {
            let len = shown.len().min(size);
            told[..len].copy_from_slice(&shown[..len]);
            len as ssize_t
        }
        None => len as ssize_t,
    }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn readlink(path: *const c_char, to: *mut c_char, size: size_t) -> ssize_t {
    // SAFETY: see above.
    unsafe { read_link(AT_FDCWD, path, to, size) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn __readlink_chk(
    path: *const c_char,
    to: *mut c_char,
    size: size_t,
    room: size_t,
) -> ssize_t {
    // SAFETY: see above.
    unsafe { read_link(AT_FDCWD, path, to, size.min(room)) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn readlinkat(
    directory: c_int,
    path: *const c_char,
    to: *mut c_char,
    size: size_t,
) -> ssize_t {
    // SAFETY: see above.
    unsafe { read_link(directory, path, to, size) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn __readlinkat_chk(
    directory: c_int,
    path: *const c_char,
    to: *mut c_char,
    size: size_t,
    room: size_t,
) -> ssize_t {
    // SAFETY: see above.
    unsafe { read_link(directory, path, to, size.min(room)) }
}

/// A string of C's that the system told, shown as the program is to see it.
///
/// # Safety
/// It is null, or nobody else's and ends with a zero.
unsafe fn shown_string(told: *mut c_char) -> *mut c_char {
    if told.is_null() {
        return told;
    }
    // SAFETY: it ends with a zero.
    let len = unsafe { CStr::from_ptr(told) }.to_bytes().len();
    // SAFETY: so many bytes and the zero; nobody else's.
    let bytes = unsafe { core::slice::from_raw_parts_mut(told.cast::<u8>(), len + 1) };
    let len = shown(&mut bytes[..len]);
    bytes[len] = 0;
    told
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn realpath(path: *const c_char, to: *mut c_char) -> *mut c_char {
    // SAFETY: the caller's path.
    let led = unsafe { lead(AT_FDCWD, path) };
    type Real = unsafe extern "C" fn(*const c_char, *mut c_char) -> *mut c_char;
    let real = real!(realpath: Real);
    // SAFETY: see above.
    let told = unsafe { real(led.as_ptr(), to) };
    // SAFETY: the caller's, or made for the caller.
    unsafe { shown_string(told) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn __realpath_chk(
    path: *const c_char,
    to: *mut c_char,
    _room: size_t,
) -> *mut c_char {
    // SAFETY: what is checked is that there is the room that `realpath` asks for.
    unsafe { realpath(path, to) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn canonicalize_file_name(path: *const c_char) -> *mut c_char {
    // SAFETY: what it stands for.
    unsafe { realpath(path, ptr::null_mut()) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn getcwd(to: *mut c_char, size: size_t) -> *mut c_char {
    type Real = unsafe extern "C" fn(*mut c_char, size_t) -> *mut c_char;
    let real = real!(getcwd: Real);
    // SAFETY: see above.
    let told = unsafe { real(to, size) };
    // SAFETY: the caller's, or made for the caller.
    unsafe { shown_string(told) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn __getcwd_chk(to: *mut c_char, size: size_t, room: size_t) -> *mut c_char {
    // SAFETY: no more than there is room for.
    unsafe { getcwd(to, size.min(room)) }
}

macro_rules! reads_entries {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above; both are the same here.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(directory: *mut DIR) -> *mut dirent {
            type Real = unsafe extern "C" fn(*mut DIR) -> *mut dirent;
            let real = real!($name: Real);
            // SAFETY: see above.
            let entry = unsafe { real(directory) };
            // SAFETY: the caller's until the next call.
            if let (Some(world), Some(entry)) = (world(), unsafe { entry.as_mut() }) {
                // SAFETY: the name ends with a zero.
                let name = unsafe { CStr::from_ptr(entry.d_name.as_ptr()) };
                if world.is_entry(entry.d_ino, name.to_bytes()) {
                    entry.d_type = libc::DT_CHR;
                }
            }
            entry
        }
    )*};
}
reads_entries! { readdir readdir64 }
