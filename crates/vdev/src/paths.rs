//! Where a path of the program's leads.

use core::ffi::CStr;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The longest path that the system takes, with the zero at its end.
pub const LONGEST: usize = libc::PATH_MAX as usize;

/// A path with a zero at its end, on the stack: programs open files where nothing
/// can be allocated, in signal handlers and between `vfork` and `exec`.
#[derive(Clone)]
pub struct Buffer {
    bytes: [u8; LONGEST],
    len: usize,
}

impl core::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        OsStr::from_bytes(self.as_bytes()).fmt(f)
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self {
            bytes: [0; LONGEST],
            len: 0,
        }
    }
}

impl Buffer {
    /// Makes it this path; too long a one is none.
    pub fn set(&mut self, path: &[u8]) {
        self.len = 0;
        self.bytes[0] = 0;
        self.push(path);
    }

    /// Appends, unless it would be too long: then it says false.
    fn push(&mut self, bytes: &[u8]) -> bool {
        let end = self.len + bytes.len();
        if end >= LONGEST {
            return false;
        }
        self.bytes[self.len..end].copy_from_slice(bytes);
        self.bytes[end] = 0;
        self.len = end;
        true
    }

    /// Takes the beginning away.
    fn cut(&mut self, start: usize) {
        self.bytes.copy_within(start..self.len, 0);
        self.len -= start;
        self.bytes[self.len] = 0;
    }

    /// Takes the last name away.
    fn pop(&mut self) {
        let slash = self.as_bytes().iter().rposition(|&byte| byte == b'/');
        self.len = slash.unwrap_or(0);
        self.bytes[self.len] = 0;
    }

    /// The path.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    /// The path for the system.
    #[must_use]
    pub fn as_c_str(&self) -> &CStr {
        CStr::from_bytes_until_nul(&self.bytes).expect("a zero follows the path")
    }
}

/// The paths that are served, and where they really are.
#[derive(Debug)]
pub struct Paths {
    /// Without a slash at the end.
    root: Vec<u8>,
    served: Vec<Vec<u8>>,
}

impl Paths {
    /// These paths, below this root.
    #[must_use]
    pub fn new(root: &Path, served: &[String]) -> Self {
        Self {
            root: root.as_os_str().as_bytes().to_vec(),
            served: served.iter().map(|path| path.clone().into()).collect(),
        }
    }

    /// Where a path leads, if it is one of those served. `base` says where a
    /// relative one begins, which is asked only for such.
    ///
    /// What comes before a served directory is taken as it is written, `..` too,
    /// without a look at links.
    pub fn translate(&self, path: &[u8], base: impl FnOnce(&mut Buffer)) -> Option<Buffer> {
        let mut plain = Buffer::default();
        if path.first() != Some(&b'/') {
            if path.is_empty() {
                return None;
            }
            base(&mut plain);
            if plain.len == 0 {
                return None;
            }
            // Who is below the root is where it seems to be.
            if let Some(shown) = self.shown(plain.as_bytes()) {
                let start = plain.len - shown.len();
                if shown.len() == 1 {
                    plain.set(b"/");
                } else {
                    plain.cut(start);
                }
            }
            if plain.as_bytes() == b"/" {
                plain.len = 0;
            }
            if self.leads(plain.as_bytes()) {
                return self.below(plain.as_bytes(), path);
            }
        }
        let mut rest = path;
        while !rest.is_empty() {
            let end = rest.iter().position(|&byte| byte == b'/');
            let (name, after) = match end {
                Some(end) => (&rest[..end], &rest[end + 1..]),
                None => (rest, &rest[rest.len()..]),
            };
            rest = after;
            match name {
                b"" | b"." => continue,
                b".." => plain.pop(),
                name => {
                    if !plain.push(b"/") || !plain.push(name) {
                        return None;
                    }
                }
            }
            if self.leads(plain.as_bytes()) {
                return self.below(plain.as_bytes(), rest);
            }
            if !self.may_lead(plain.as_bytes()) && !has_dots(rest) {
                return None;
            }
        }
        None
    }

    /// Whether this is a served path or lies below one.
    fn leads(&self, path: &[u8]) -> bool {
        self.served.iter().any(|served| {
            path.strip_prefix(&served[..])
                .is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
        })
    }

    /// Whether something below this path is served.
    fn may_lead(&self, path: &[u8]) -> bool {
        let below = |served: &Vec<u8>| {
            served
                .strip_prefix(path)
                .is_some_and(|rest| rest.first() == Some(&b'/'))
        };
        self.served.iter().any(below)
    }

    fn below(&self, served: &[u8], rest: &[u8]) -> Option<Buffer> {
        let mut buffer = Buffer::default();
        let fits = buffer.push(&self.root)
            && buffer.push(served)
            && (rest.is_empty() || buffer.push(b"/") && buffer.push(rest));
        fits.then_some(buffer)
    }

    /// What the program takes a path for that lies below the root.
    #[must_use]
    pub fn shown<'a>(&self, path: &'a [u8]) -> Option<&'a [u8]> {
        let rest = path.strip_prefix(&self.root[..])?;
        match rest {
            b"" => Some(b"/"),
            [b'/', ..] => Some(rest),
            _ => None,
        }
    }
}

/// Whether a path goes up somewhere.
fn has_dots(path: &[u8]) -> bool {
    path.split(|&byte| byte == b'/').any(|name| name == b"..")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths() -> Paths {
        let served = ["/sys/bus/dsa", "/dev/iax", "/proc/cpuinfo"].map(str::to_owned);
        Paths::new(Path::new("/tmp/x/root"), &served)
    }

    /// A path in a working directory, and where it leads.
    fn at(directory: &str, path: &str) -> Option<String> {
        let led = paths().translate(path.as_bytes(), |base| {
            assert!(!path.starts_with('/'), "asked for no reason");
            assert!(base.push(directory.as_bytes()));
        });
        led.map(|buffer| {
            assert_eq!(buffer.as_c_str().to_bytes(), buffer.as_bytes());
            String::from_utf8(buffer.as_bytes().to_vec()).unwrap()
        })
    }

    #[test]
    fn served_paths_lead_below_the_root() {
        for (path, to) in [
            ("/sys/bus/dsa", "/sys/bus/dsa"),
            ("/sys/bus/dsa/", "/sys/bus/dsa"),
            ("//sys/./bus///dsa/devices", "/sys/bus/dsa/devices"),
            ("/sys/class/../bus/dsa/x/../y", "/sys/bus/dsa/x/../y"),
            ("/home/../sys/bus/dsa", "/sys/bus/dsa"),
            ("/../dev/iax/wq1.0", "/dev/iax/wq1.0"),
            ("/proc/cpuinfo", "/proc/cpuinfo"),
        ] {
            let to = format!("/tmp/x/root{to}");
            assert_eq!(at("", path).as_deref(), Some(&*to), "{path}");
        }
        for path in [
            "/",
            "/sys/bus",
            "/sys/bus/dsa2",
            "/sys/bus/ds",
            "/dev/iaxx",
            "/proc/cpuinfo2",
            "/tmp/x/root/sys/bus/dsa",
            "/home/x/../y",
            "",
        ] {
            assert_eq!(at("", path), None, "{path}");
        }
    }

    #[test]
    fn relative_paths_lead_from_where_they_begin() {
        for (directory, path, to) in [
            ("/", "sys/bus/dsa/devices", Some("/sys/bus/dsa/devices")),
            ("/sys", "bus/dsa", Some("/sys/bus/dsa")),
            ("/sys/class", "../bus/dsa/x", Some("/sys/bus/dsa/x")),
            ("/dev", "iax", Some("/dev/iax")),
            ("/dev", "./iax/..", Some("/dev/iax/..")),
            // Somebody got there without us.
            ("/sys/bus/dsa", "devices", Some("/sys/bus/dsa/devices")),
            ("/home", "sys/bus/dsa", None),
            // We have brought it there.
            (
                "/tmp/x/root/sys/bus/dsa",
                "devices/../x",
                Some("/sys/bus/dsa/devices/../x"),
            ),
            ("/tmp/x/root/sys", "bus/dsa", Some("/sys/bus/dsa")),
            ("/tmp/x/root/sys", "../home", None),
            ("/tmp/x/root", "dev/iax", Some("/dev/iax")),
        ] {
            let to = to.map(|to| format!("/tmp/x/root{to}"));
            assert_eq!(at(directory, path), to, "{directory} {path}");
        }
    }

    #[test]
    fn what_is_below_the_root_is_shown_without_it() {
        let paths = paths();
        let shown = |path: &'static str| paths.shown(path.as_bytes());
        assert_eq!(shown("/tmp/x/root/sys/bus"), Some(&b"/sys/bus"[..]));
        assert_eq!(shown("/tmp/x/root"), Some(&b"/"[..]));
        assert_eq!(shown("/tmp/x/rooted"), None);
        assert_eq!(shown("/sys/bus"), None);
    }

    #[test]
    fn what_is_too_long_leads_nowhere() {
        let long = format!("/dev/iax/{}", "x".repeat(LONGEST));
        assert_eq!(at("", &long), None);
        let long = format!("/{}", "x".repeat(LONGEST));
        assert_eq!(at("", &long), None);
    }
}
