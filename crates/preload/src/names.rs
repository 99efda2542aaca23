//! Where the paths lead that a program names.

#![expect(unsafe_code, reason = "reads the program's strings")]

use core::ffi::{CStr, c_char, c_int};
use core::fmt::Write;
use pagepress_vdev::paths::Buffer;
use pagepress_vdev::sys;
use pagepress_vdev::world::{World, world};

/// A path that a program has named.
pub(crate) struct Led {
    asked: *const c_char,
    /// Where it leads, if it is served.
    pub(crate) served: Option<(&'static World, Buffer)>,
}

impl Led {
    /// The path to give to the system.
    pub(crate) fn as_ptr(&self) -> *const c_char {
        match &self.served {
            Some((_, path)) => path.as_c_str().as_ptr(),
            None => self.asked,
        }
    }

    /// Whether it takes what is written to it and stays as it is: any write clears
    /// `cmd_status`, as accel-config does before it lists.
    pub(crate) fn is_written_to(&self) -> bool {
        let path = self.served.as_ref().map(|(_, path)| path.as_bytes());
        path.is_some_and(|path| path.ends_with(b"/cmd_status"))
    }

    /// Refuses to change what is served, or to make it if `creates` is set: whether it
    /// does. A node is there to be written to.
    pub(crate) fn refuse(&self, creates: bool) -> bool {
        let Some((world, path)) = &self.served else {
            return false;
        };
        let refused = match sys::stat_at(libc::AT_FDCWD, path.as_c_str(), 0) {
            Ok(stat) => world.node_of(stat.st_dev, stat.st_ino).is_none(),
            // What is not there, the system says.
            Err(_) => creates,
        };
        if refused {
            world.refuse(world.paths.shown(path.as_bytes()).unwrap_or_default());
        }
        refused
    }
}

/// A few characters on the stack.
struct Short {
    bytes: [u8; 40],
    len: usize,
}

impl Write for Short {
    fn write_str(&mut self, text: &str) -> core::fmt::Result {
        let end = self.len + text.len();
        let to = self.bytes.get_mut(self.len..end).ok_or(core::fmt::Error)?;
        to.copy_from_slice(text.as_bytes());
        self.len = end;
        Ok(())
    }
}

/// Where a path leads that begins in a directory, if it is relative.
///
/// # Safety
/// It is null, or ends with a zero.
pub(crate) unsafe fn lead(directory: c_int, asked: *const c_char) -> Led {
    let mut led = Led {
        asked,
        served: None,
    };
    let Some(world) = world().filter(|_| !asked.is_null()) else {
        return led;
    };
    // SAFETY: it ends with a zero.
    let path = unsafe { CStr::from_ptr(asked) };
    let base = |base: &mut Buffer| {
        let mut bytes = [0; pagepress_vdev::paths::LONGEST];
        let found = if directory == libc::AT_FDCWD {
            sys::working_directory(&mut bytes)
        } else {
            let mut name = Short {
                bytes: [0; 40],
                len: 0,
            };
            // It is shorter than that.
            let _ = write!(name, "/proc/self/fd/{directory}\0");
            match CStr::from_bytes_until_nul(&name.bytes) {
                Ok(name) => sys::read_link(name, &mut bytes),
                Err(_) => return,
            }
        };
        if let Ok(found) = found {
            base.set(found);
        }
    };
    let served = world.paths.translate(path.to_bytes(), base);
    led.served = served.map(|path| (world, path));
    led
}
