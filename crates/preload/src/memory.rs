//! Portals and nodes: mapping, writing, waiting.

#![expect(unsafe_code, reason = "libc's functions")]

use crate::real::{fail, number, real};
use core::ffi::{c_int, c_ulong, c_void};
use core::time::Duration;
use libc::{off_t, pollfd, sigset_t, size_t, ssize_t, timespec};
use pagepress_vdev::world::{World, world};
use std::time::Instant;

type Mmap = unsafe extern "C" fn(*mut c_void, size_t, c_int, c_int, c_int, off_t) -> *mut c_void;

// In all of this file: each function does what libc's of its name does, to whoever
// calls it with what that asks for, and the real one is called with what it asks for.
macro_rules! maps {
    ($($name:ident)*) => {$(
        // SAFETY: of libc's name and type, see above; both are the same here.
        #[unsafe(no_mangle)]
        unsafe extern "C" fn $name(
            address: *mut c_void,
            len: size_t,
            protection: c_int,
            flags: c_int,
            fd: c_int,
            offset: off_t,
        ) -> *mut c_void {
            if let Some(world) = world() {
                if flags & libc::MAP_FIXED != 0 {
                    world.unmap(address, len);
                }
                let is_file = fd >= 0 && flags & libc::MAP_ANONYMOUS == 0;
                if let Some(node) = is_file.then(|| world.node_of_fd(fd)).flatten() {
                    // SAFETY: the caller knows what it maps over.
                    return match unsafe { world.map(node, fd, address, len, flags) } {
                        Ok(portal) => portal,
                        Err(error) => {
                            fail(number(&error));
                            libc::MAP_FAILED
                        }
                    };
                }
            }
            let real = real!($name: Mmap);
            // SAFETY: see above.
            let mapped = unsafe { real(address, len, protection, flags, fd, offset) };
            if mapped != libc::MAP_FAILED && let Some(world) = world() {
                // A child that was made behind the C library's back still knows the
                // portals that it has not inherited.
                world.unmap(mapped, len);
            }
            mapped
        }
    )*};
}
maps! { mmap mmap64 }

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn munmap(address: *mut c_void, len: size_t) -> c_int {
    if let Some(world) = world() {
        world.unmap(address, len);
    }
    type Real = unsafe extern "C" fn(*mut c_void, size_t) -> c_int;
    let real = real!(munmap: Real);
    // SAFETY: see above.
    unsafe { real(address, len) }
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn mprotect(address: *mut c_void, len: size_t, protection: c_int) -> c_int {
    type Real = unsafe extern "C" fn(*mut c_void, size_t, c_int) -> c_int;
    let real = real!(mprotect: Real);
    let portals = world().map(|world| &world.portals);
    if portals.is_some_and(|portals| portals.is_within(address.addr() as u64, len)) {
        return 0;
    }
    // SAFETY: see above.
    let done = unsafe { real(address, len, protection) };
    if let Some(world) = world() {
        world.protect(address, len);
    }
    done
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn write(fd: c_int, from: *const c_void, len: size_t) -> ssize_t {
    if let Some(world) = world()
        && let Some(node) = world.node_of_fd(fd)
    {
        return match world.write(node, fd, from.expose_provenance() as u64, len) {
            Ok(bytes) => bytes as ssize_t,
            Err(error) => fail(number(&error)) as ssize_t,
        };
    }
    type Real = unsafe extern "C" fn(c_int, *const c_void, size_t) -> ssize_t;
    let real = real!(write: Real);
    // SAFETY: see above.
    unsafe { real(fd, from, len) }
}

/// How often devices are looked at while somebody waits for them and for others.
const TURN: Duration = Duration::from_millis(10);

/// Waits for some files of which one may be a node, until then or for ever. `real`
/// waits for the others for so long.
fn wait(
    world: &World,
    files: &mut [pollfd],
    until: Option<Instant>,
    real: impl Fn(&mut [pollfd], Duration) -> c_int,
) -> c_int {
    let nodes: Vec<Option<usize>> = files.iter().map(|f| world.node_of_fd(f.fd)).collect();
    let mut others: Vec<pollfd> = files.to_vec();
    for (other, node) in others.iter_mut().zip(&nodes) {
        if node.is_some() {
            // Which `poll` takes for none.
            other.fd = -1;
        }
    }
    loop {
        let mut ready = 0;
        for (file, node) in files.iter_mut().zip(&nodes) {
            let Some(node) = *node else { continue };
            file.revents = if !world.is_opener(file.fd) {
                libc::POLLNVAL
            } else if has_error(world, node) {
                file.events & (libc::POLLIN | libc::POLLRDNORM)
            } else {
                0
            };
            ready += c_int::from(file.revents != 0);
        }
        let left = until.map(|until| until.saturating_duration_since(Instant::now()));
        let turn = match ready {
            0 => left.map_or(TURN, |left| left.min(TURN)),
            _ => Duration::ZERO,
        };
        let polled = real(&mut others, turn);
        if polled < 0 {
            return polled;
        }
        let is_over = left.is_some_and(|left| left.is_zero());
        if ready + polled > 0 || is_over {
            for ((file, other), node) in files.iter_mut().zip(&others).zip(&nodes) {
                if node.is_none() {
                    file.revents = other.revents;
                }
            }
            return ready + polled;
        }
    }
}

fn has_error(world: &World, node: usize) -> bool {
    let device = world.config.nodes[node].device;
    world
        .devices()
        .is_ok_and(|devices| devices.has_error(device))
}

/// The files, if one of them is a node.
///
/// # Safety
/// There are as many, and they are the caller's.
unsafe fn with_node<'a>(
    files: *mut pollfd,
    count: c_ulong,
) -> Option<(&'a World, &'a mut [pollfd])> {
    let world = world().filter(|_| !files.is_null() && count > 0)?;
    // SAFETY: as the caller promises.
    let files = unsafe { core::slice::from_raw_parts_mut(files, count as usize) };
    let any = files.iter().any(|file| world.node_of_fd(file.fd).is_some());
    any.then_some((world, files))
}

type Poll = unsafe extern "C" fn(*mut pollfd, c_ulong, c_int) -> c_int;

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn poll(files: *mut pollfd, count: c_ulong, timeout: c_int) -> c_int {
    // SAFETY: the caller's files.
    let Some((world, files)) = (unsafe { with_node(files, count) }) else {
        let real = real!(poll: Poll);
        // SAFETY: see above.
        return unsafe { real(files, count, timeout) };
    };
    let left = u64::try_from(timeout).ok().map(Duration::from_millis);
    wait(
        world,
        files,
        left.map(|left| Instant::now() + left),
        |files, turn| {
            let turn = turn.as_nanos().div_ceil(1_000_000) as c_int;
            let real = real!(poll: Poll);
            // SAFETY: they are there.
            unsafe { real(files.as_mut_ptr(), files.len() as c_ulong, turn) }
        },
    )
}

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn __poll_chk(
    files: *mut pollfd,
    count: c_ulong,
    timeout: c_int,
    _room: size_t,
) -> c_int {
    // SAFETY: what is checked is that there are as many.
    unsafe { poll(files, count, timeout) }
}

type Ppoll = unsafe extern "C" fn(*mut pollfd, c_ulong, *const timespec, *const sigset_t) -> c_int;

// SAFETY: of libc's name and type, see above.
#[unsafe(no_mangle)]
unsafe extern "C" fn ppoll(
    files: *mut pollfd,
    count: c_ulong,
    timeout: *const timespec,
    mask: *const sigset_t,
) -> c_int {
    // SAFETY: the caller's files.
    let Some((world, files)) = (unsafe { with_node(files, count) }) else {
        let real = real!(ppoll: Ppoll);
        // SAFETY: see above.
        return unsafe { real(files, count, timeout, mask) };
    };
    // SAFETY: the caller's, or null.
    let left = unsafe { timeout.as_ref() }.map(|t| {
        Duration::new(
            t.tv_sec.max(0) as u64,
            t.tv_nsec.clamp(0, 999_999_999) as u32,
        )
    });
    let until = left.and_then(|left| Instant::now().checked_add(left));
    wait(world, files, until, |files, turn| {
        let turn = timespec {
            tv_sec: 0,
            tv_nsec: turn.subsec_nanos().into(),
        };
        let real = real!(ppoll: Ppoll);
        // SAFETY: they are there, and so is the time.
        unsafe {
            real(
                files.as_mut_ptr(),
                files.len() as c_ulong,
                &raw const turn,
                mask,
            )
        }
    })
}
