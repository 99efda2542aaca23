//! What one process has of the virtual devices.

#![expect(unsafe_code, reason = "one for the whole process; maps portals")]

use crate::config::{Config, Node, ROOT};
use crate::counters::{Count, Counters};
use crate::devices::Devices;
use crate::paths::Paths;
use crate::portals::{PORTAL, Portals};
use crate::sys;
use core::ffi::{c_int, c_void};
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicPtr, Ordering};
use libc::{off_t, stat, statx};
use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// What one process has of the virtual devices.
#[derive(Debug)]
pub struct World {
    /// What was configured.
    pub config: Config,
    /// Where paths lead.
    pub paths: Paths,
    /// What happened.
    pub counters: Arc<Counters>,
    /// The portals mapped here.
    pub portals: Portals,
    /// Device and inode of each node's file: whatever number it is open as, in
    /// whatever process, a file is known by these.
    files: Vec<(u64, u64)>,
    begin: Instant,
    /// What tells this program from the one that `exec` replaced.
    salt: off_t,
    /// Made when they are first needed, and anew by a child.
    devices: AtomicPtr<Devices>,
    has_complained: AtomicBool,
}

static WORLD: AtomicPtr<World> = AtomicPtr::new(ptr::null_mut());

/// That of this process, if there is one.
#[must_use]
pub fn world() -> Option<&'static World> {
    // SAFETY: what was put there was leaked and is never changed.
    unsafe { WORLD.load(Ordering::Acquire).as_ref() }
}

/// Bits of an opening's offset that say which program of a process opened it, below
/// those of the process. Both together are below what file systems let an offset be.
const SALT: u32 = 20;
const PID: off_t = (1 << 22) - 1;

fn error(number: c_int) -> io::Error {
    io::Error::from_raw_os_error(number)
}

impl World {
    /// The world that a directory describes.
    ///
    /// # Errors
    /// If it does not.
    pub fn new(directory: &Path) -> io::Result<Self> {
        let config = Config::read(directory)?;
        let root = directory.join(ROOT);
        let file = |node: &Node| {
            let path = root.join(node.path.trim_start_matches('/'));
            let path = CString::new(path.as_os_str().as_bytes())?;
            let stat = sys::stat_at(libc::AT_FDCWD, &path, 0)?;
            Ok((stat.st_dev, stat.st_ino))
        };
        let files: io::Result<Vec<_>> = config.nodes.iter().map(file).collect();
        let (now, age) = (Instant::now(), age(directory));
        let salt = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let salt = salt.map_or(0, |since| since.subsec_nanos()) as off_t;
        Ok(Self {
            paths: Paths::new(&root, &config.served),
            counters: Arc::new(Counters::open(directory)?),
            portals: Portals::new(),
            files: files?,
            begin: age.and_then(|age| now.checked_sub(age)).unwrap_or(now),
            salt: salt & ((1 << SALT) - 1) | 1,
            devices: AtomicPtr::new(ptr::null_mut()),
            has_complained: AtomicBool::new(false),
            config,
        })
    }

    /// Makes it the process' own, for as long as the process lives.
    pub fn establish(self) -> &'static Self {
        self.counters.add(Count::Processes);
        let world = Box::leak(Box::new(self));
        WORLD.store(world, Ordering::Release);
        world
    }

    /// The devices of this process.
    ///
    /// # Errors
    /// If there can be none.
    pub fn devices(&self) -> io::Result<&Devices> {
        let there = self.devices.load(Ordering::Acquire);
        // SAFETY: what was put there was leaked. A child leaks those of its parent,
        // whose locks other threads may have held, too.
        if let Some(devices) = unsafe { there.as_ref() }.filter(|devices| devices.are_ours()) {
            return Ok(devices);
        }
        let made = without_signals(|| Devices::new(&self.config, &self.counters, self.begin))?;
        let made = Box::into_raw(Box::new(made));
        let put = self
            .devices
            .compare_exchange(there, made, Ordering::AcqRel, Ordering::Acquire);
        let devices = match put {
            Ok(_) => made,
            Err(others) => {
                // SAFETY: nobody else has seen it.
                drop(unsafe { Box::from_raw(made) });
                others
            }
        };
        // SAFETY: as above; neither is null.
        Ok(unsafe { &*devices })
    }

    /// The process is about to end.
    pub fn end(&self) {
        let devices = self.devices.load(Ordering::Acquire);
        // SAFETY: as in `devices`.
        if let Some(devices) = unsafe { devices.as_ref() }.filter(|devices| devices.are_ours()) {
            devices.end();
        }
    }

    /// The node that a file is.
    #[must_use]
    pub fn node_of(&self, device: u64, inode: u64) -> Option<usize> {
        self.files.iter().position(|&file| file == (device, inode))
    }

    /// The node that is open as `fd`.
    #[must_use]
    pub fn node_of_fd(&self, fd: c_int) -> Option<usize> {
        let stat = sys::stat_fd(fd).ok()?;
        self.node_of(stat.st_dev, stat.st_ino)
    }

    /// Whether an entry of a directory is a node, by its inode and name: of which
    /// directory it is, its reader does not say.
    #[must_use]
    pub fn is_entry(&self, inode: u64, name: &[u8]) -> bool {
        let mut nodes = self.files.iter().zip(&self.config.nodes);
        nodes.any(|(file, node)| {
            file.1 == inode && node.path.as_bytes().rsplit(|&b| b == b'/').next() == Some(name)
        })
    }

    /// Has a node look like the device that it stands for.
    pub fn show(&self, stat: &mut stat) {
        if let Some(node) = self.node_of(stat.st_dev, stat.st_ino) {
            let node = &self.config.nodes[node];
            stat.st_mode = stat.st_mode & !libc::S_IFMT | libc::S_IFCHR;
            stat.st_rdev = libc::makedev(node.major, node.minor);
        }
    }

    /// As [`show`](Self::show), for `statx`.
    pub fn show_x(&self, stat: &mut statx) {
        let device = libc::makedev(stat.stx_dev_major, stat.stx_dev_minor);
        if let Some(node) = self.node_of(device, stat.stx_ino) {
            let node = &self.config.nodes[node];
            stat.stx_mode = stat.stx_mode & !(libc::S_IFMT as u16) | libc::S_IFCHR as u16;
            (stat.stx_rdev_major, stat.stx_rdev_minor) = (node.major, node.minor);
        }
    }

    /// What the offset of an opening says: that this program opened it.
    fn token(&self) -> off_t {
        (off_t::from(std::process::id()) & PID) << SALT | self.salt
    }

    /// A node was opened. Openings have an offset that nothing else needs: in it,
    /// the kernel keeps for whoever shares the opening which program it is of.
    ///
    /// # Errors
    /// `EBUSY` if the queue is dedicated and somebody has it open, or why there are
    /// no devices.
    pub fn opened(&self, fd: c_int) -> io::Result<()> {
        if self.config.dedicated {
            sys::lock(fd).map_err(|_| error(libc::EBUSY))?;
        }
        if let Err(error) = self.devices() {
            self.complain(&[b"there is no device: ", error.to_string().as_bytes()]);
            return Err(error);
        }
        sys::seek(fd, self.token(), libc::SEEK_SET)?;
        self.counters.add(Count::Opened);
        Ok(())
    }

    /// Whether this program opened it: another one, a child for instance, has
    /// another address space than the device was bound to (idxd `cdev.c`).
    #[must_use]
    pub fn is_opener(&self, fd: c_int) -> bool {
        sys::seek(fd, 0, libc::SEEK_CUR).is_ok_and(|offset| offset == self.token())
    }

    /// Maps the portal of a node that is open as `fd`.
    ///
    /// # Errors
    /// `EPERM` if the node was opened by another program, or portals are not to be
    /// mapped; `EINVAL` for more than a page; and those of `mmap(2)`.
    ///
    /// # Safety
    /// With `MAP_FIXED` in `flags`, nothing at that address may be in use any more.
    pub unsafe fn map(
        &self,
        node: usize,
        fd: c_int,
        address: *mut c_void,
        len: usize,
        flags: c_int,
    ) -> io::Result<*mut c_void> {
        if !self.is_opener(fd) {
            return Err(error(libc::EPERM));
        }
        if !self.config.mmap {
            self.counters.add(Count::NotMapped);
            return Err(error(libc::EPERM));
        }
        if len == 0 || len as u64 > PORTAL {
            return Err(error(libc::EINVAL));
        }
        // SAFETY: the caller promises it.
        let portal = unsafe { sys::reserve(address, PORTAL as usize, flags) }?;
        let kept = sys::duplicate(fd).unwrap_or(-1);
        let page = portal.expose_provenance() as u64;
        if !self.portals.add(page, node, kept) {
            if kept >= 0 {
                sys::close(kept);
            }
            // SAFETY: mapped just now, and nobody knows of it.
            unsafe { sys::unmap(portal, PORTAL as usize) };
            return Err(error(libc::ENOMEM));
        }
        self.counters.add(Count::Mapped);
        Ok(portal)
    }

    /// A range of addresses is unmapped, or something else mapped there.
    pub fn unmap(&self, address: *mut c_void, len: usize) {
        if self.portals.any() {
            self.portals.remove(address.addr() as u64, len, |fd| {
                if fd >= 0 {
                    sys::close(fd);
                }
            });
        }
    }

    /// The protection of a range of addresses has changed: portals stay what nothing
    /// can touch.
    pub fn protect(&self, address: *mut c_void, len: usize) {
        if self.portals.any() {
            let address = address.addr() as u64;
            self.portals.each_touched_by(address, len, |portal| {
                // SAFETY: a page that was mapped as a portal and that nobody touches.
                unsafe { sys::protect(portal, PORTAL as usize) };
            });
        }
    }

    /// This is the child of a fork, which has no portal and no device.
    pub fn forked(&self) {
        self.unmap(ptr::null_mut(), usize::MAX);
    }

    /// `write(2)` on a node that is open as `fd`; how many bytes were taken.
    ///
    /// # Errors
    /// As the idxd driver tells them: `EPERM` if another program opened it, `EINVAL`
    /// for what is no descriptors, `EAGAIN` if the queue is full; `EFAULT`.
    pub fn write(&self, node: usize, fd: c_int, address: u64, len: usize) -> io::Result<usize> {
        /// Descriptors that are copied at a time.
        const BURST: usize = 64 * 64;
        if !self.is_opener(fd) {
            return Err(error(libc::EPERM));
        }
        if len == 0 || !len.is_multiple_of(64) {
            return Err(error(libc::EINVAL));
        }
        let device = self.config.nodes[node].device;
        let devices = self.devices()?;
        let mut taken = 0;
        let mut copy = [0; BURST];
        while taken < len {
            let burst = &mut copy[..BURST.min(len - taken)];
            let result =
                sys::read_memory(address.wrapping_add(taken as u64), burst).and_then(|()| {
                    // SAFETY: what the program submits, it lends to the device, as it
                    // would to a real one.
                    unsafe { devices.write(device, burst) }
                });
            match result {
                Ok(bytes) => {
                    taken += bytes;
                    if bytes < burst.len() {
                        break;
                    }
                }
                Err(error) if taken == 0 => return Err(error),
                Err(_) => break,
            }
        }
        Ok(taken)
    }

    /// Somebody tries to change what is served. Said once, and counted.
    pub fn refuse(&self, path: &[u8]) {
        self.counters.add(Count::Refused);
        if !self.has_complained.swap(true, Ordering::Relaxed) {
            self.complain(&[
                path,
                b" cannot be changed: virtual devices are what the options of `vdev run` say",
            ]);
        }
    }

    /// A line on stderr.
    pub fn complain(&self, parts: &[&[u8]]) {
        let mut line = [0; 512];
        let mut len = 0;
        for part in [b"pagepress vdev: ".as_slice()].iter().chain(parts) {
            let part = &part[..part.len().min(line.len() - 1 - len)];
            line[len..][..part.len()].copy_from_slice(part);
            len += part.len();
        }
        line[len] = b'\n';
        // Without a stderr there is nobody to tell.
        let _ = sys::write(2, &line[..=len]);
    }
}

/// How long ago the directory was written, which is when the run began.
fn age(directory: &Path) -> Option<std::time::Duration> {
    let config = std::fs::metadata(directory.join(crate::config::CONFIG)).ok()?;
    config.modified().ok()?.elapsed().ok()
}

/// Does something with all signals blocked, so that threads made meanwhile get none
/// of the program's.
fn without_signals<R>(work: impl FnOnce() -> R) -> R {
    let before = sys::block_signals();
    let result = work();
    sys::set_signal_mask(before);
    result
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::config::Generation;
    use pagepress_abi::{Descriptor, Opcode};
    use std::fs::{self, File};
    use std::os::fd::AsRawFd;

    /// A world of one device, and its directory.
    pub(crate) fn made(edit: impl FnOnce(&mut Config)) -> (tempfile::TempDir, World) {
        let dir = tempfile::tempdir().unwrap();
        let mut config = Config {
            generation: Generation::Gen1,
            devices: 1,
            dedicated: false,
            size: 4,
            threshold: 4,
            faults: String::new(),
            mmap: true,
            device_thread: false,
            trace: None,
            served: vec!["/dev/iax".to_owned()],
            nodes: vec![Node {
                path: "/dev/iax/wq1.0".to_owned(),
                device: 0,
                major: 235,
                minor: 7,
            }],
        };
        edit(&mut config);
        config.write(dir.path()).unwrap();
        fs::create_dir_all(dir.path().join("root/dev/iax")).unwrap();
        fs::write(dir.path().join("root/dev/iax/wq1.0"), []).unwrap();
        Counters::create(dir.path()).unwrap();
        let world = World::new(dir.path()).unwrap();
        (dir, world)
    }

    fn open(dir: &tempfile::TempDir) -> File {
        let path = dir.path().join("root/dev/iax/wq1.0");
        File::options().read(true).write(true).open(path).unwrap()
    }

    #[test]
    fn a_node_is_what_it_stands_for() {
        let (dir, world) = made(|_| {});
        let file = open(&dir);
        let mut stat = sys::stat_fd(file.as_raw_fd()).unwrap();
        world.show(&mut stat);
        assert_eq!(stat.st_mode & libc::S_IFMT, libc::S_IFCHR);
        assert_eq!(libc::major(stat.st_rdev), 235);
        assert_eq!(libc::minor(stat.st_rdev), 7);
        assert_eq!(world.node_of_fd(file.as_raw_fd()), Some(0));
        assert_eq!(world.node_of_fd(-1), None);
        let other = File::open(dir.path().join("config.json")).unwrap();
        assert_eq!(world.node_of_fd(other.as_raw_fd()), None);
    }

    #[test]
    fn only_the_opener_submits() {
        let (dir, world) = made(|_| {});
        let file = open(&dir);
        let fd = file.as_raw_fd();
        let noop = Descriptor::new(Opcode::NOOP, 0).to_bytes();
        let address = noop.as_ptr().expose_provenance() as u64;
        let number = |error: io::Error| error.raw_os_error();
        let denied = world.write(0, fd, address, 64).unwrap_err();
        assert_eq!(number(denied), Some(libc::EPERM));
        world.opened(fd).unwrap();
        assert_eq!(world.write(0, fd, address, 64).unwrap(), 64);
        let copy = file.try_clone().unwrap();
        assert_eq!(world.write(0, copy.as_raw_fd(), address, 64).unwrap(), 64);
        for (len, wrong) in [(0, libc::EINVAL), (65, libc::EINVAL)] {
            let error = world.write(0, fd, address, len).unwrap_err();
            assert_eq!(number(error), Some(wrong));
        }
        let nowhere = world.write(0, fd, 64, 64).unwrap_err();
        assert_eq!(number(nowhere), Some(libc::EFAULT));
        // What `exec` begins is another program.
        let other = World::new(dir.path()).unwrap();
        assert!(!other.is_opener(fd) || other.salt == world.salt);
        assert_eq!(world.counters.get(Count::Completed), 2);
    }

    #[test]
    fn a_dedicated_queue_is_opened_once() {
        let (dir, world) = made(|config| config.dedicated = true);
        let first = open(&dir);
        world.opened(first.as_raw_fd()).unwrap();
        let second = open(&dir);
        let busy = world.opened(second.as_raw_fd()).unwrap_err();
        assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
        // A mapping keeps it.
        let fd = first.as_raw_fd();
        // SAFETY: the system chooses the address.
        let portal = unsafe { world.map(0, fd, ptr::null_mut(), 4096, 0) }.unwrap();
        drop(first);
        world.opened(second.as_raw_fd()).unwrap_err();
        world.unmap(portal, 4096);
        world.opened(second.as_raw_fd()).unwrap();
    }

    #[test]
    fn too_many_portals_leave_nothing_behind() {
        let (dir, world) = made(|_| {});
        let file = open(&dir);
        world.opened(file.as_raw_fd()).unwrap();
        for page in 1..=crate::portals::MOST as u64 {
            assert!(world.portals.add(page * PORTAL, 0, -1));
        }
        // SAFETY: the system chooses the address.
        let refused = unsafe { world.map(0, file.as_raw_fd(), ptr::null_mut(), 4096, 0) };
        assert_eq!(refused.unwrap_err().raw_os_error(), Some(libc::ENOMEM));
        // Other tests have such files open meanwhile, but none of this world's.
        let kept = (sys::OWN..sys::OWN + 64).filter(|&fd| world.node_of_fd(fd).is_some());
        assert_eq!(kept.count(), 0);
        assert_eq!(world.counters.get(Count::Mapped), 0);
    }

    #[test]
    fn portals_are_mapped_or_not() {
        let (dir, world) = made(|_| {});
        let file = open(&dir);
        let fd = file.as_raw_fd();
        // SAFETY: the system chooses the address.
        let map = |world: &World, len| unsafe { world.map(0, fd, ptr::null_mut(), len, 0) };
        let number = |result: io::Result<*mut c_void>| result.unwrap_err().raw_os_error();
        assert_eq!(number(map(&world, 4096)), Some(libc::EPERM));
        world.opened(fd).unwrap();
        assert_eq!(number(map(&world, 4097)), Some(libc::EINVAL));
        assert_eq!(number(map(&world, 0)), Some(libc::EINVAL));
        let portal = map(&world, 64).unwrap().addr() as u64;
        assert_eq!(world.portals.node_at(portal + 4095), Some(0));
        world.forked();
        assert_eq!(world.portals.node_at(portal), None);

        let (dir, world) = made(|config| config.mmap = false);
        let file = open(&dir);
        world.opened(file.as_raw_fd()).unwrap();
        // SAFETY: as above.
        let refused = unsafe { world.map(0, file.as_raw_fd(), ptr::null_mut(), 4096, 0) };
        assert_eq!(number(refused), Some(libc::EPERM));
        assert_eq!(world.counters.get(Count::NotMapped), 1);
    }
}
