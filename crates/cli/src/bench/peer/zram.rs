//! A zram device of our own: added, set up, read out, and removed again.

use crate::bench::figures::MmStat;
use crate::bench::interrupt::{self, Hold};
use crate::bench::progress::complain;
use crate::error::{Error, describe};
use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// How long others, such as udev, may look at a device before it counts as busy.
const PATIENCE: Duration = Duration::from_secs(5);

/// Where the kernel shows zram.
#[derive(Debug, Clone)]
pub(super) struct Places {
    control: PathBuf,
    block: PathBuf,
    dev: PathBuf,
    patience: Duration,
}

impl Places {
    pub(super) fn of_this_machine() -> Self {
        Self::below(Path::new("/"), PATIENCE)
    }

    fn below(root: &Path, patience: Duration) -> Self {
        Self {
            control: root.join("sys/class/zram-control"),
            block: root.join("sys/block"),
            dev: root.join("dev"),
            patience,
        }
    }

    /// Finds out whether a device could be added and removed, and does neither.
    ///
    /// # Errors
    /// [`Error::Peer`] if not.
    pub(super) fn check(&self) -> Result<(), Error> {
        self.open_control().map(|_| ())
    }

    /// The files that add and remove, opened: what cannot be removed must not be
    /// added, and where /sys is read-only the first would work alone.
    fn open_control(&self) -> Result<(File, File), Error> {
        let opened = OpenOptions::new()
            .write(true)
            .open(self.control.join("hot_remove"))
            .and_then(|remove| Ok((File::open(self.control.join("hot_add"))?, remove)));
        opened.map_err(|error| {
            failed(match error.kind() {
                ErrorKind::NotFound if self.control.is_dir() => {
                    "zram cannot add devices in this kernel".to_owned()
                }
                ErrorKind::NotFound => {
                    "there is no zram here: not in this kernel, or its module is not loaded \
                     (modprobe zram)"
                        .to_owned()
                }
                ErrorKind::PermissionDenied => "adding a device needs root".to_owned(),
                _ => format!("adding a device: {}", describe(&error)),
            })
        })
    }
}

fn failed(why: String) -> Error {
    Error::Peer { peer: "zram", why }
}

/// A device that this command added, and that is removed when dropped.
#[derive(Debug)]
pub(super) struct Device {
    places: Places,
    name: String,
    remove: File,
    /// It has a size, given by us: what is in it is ours to throw away.
    set_up: bool,
    _hold: Hold,
}

impl Device {
    /// # Errors
    /// [`Error::Peer`] if the kernel does not give one.
    pub(super) fn add(places: &Places) -> Result<Self, Error> {
        let (add, remove) = places.open_control()?;
        let hold = interrupt::hold();
        // Reading it is what adds the device.
        let told = io::read_to_string(add)
            .map_err(|error| failed(format!("adding a device: {}", describe(&error))))?;
        let id: u32 = told
            .trim()
            .parse()
            .map_err(|_| failed(format!("adding a device gave {:?}, no number", told.trim())))?;
        Ok(Self {
            places: places.clone(),
            name: format!("zram{id}"),
            remove,
            set_up: false,
            _hold: hold,
        })
    }

    fn attribute(&self, name: &str) -> PathBuf {
        self.places.block.join(&self.name).join(name)
    }

    fn read(&self, name: &str) -> Result<String, Error> {
        fs::read_to_string(self.attribute(name))
            .map_err(|error| self.failed(&format!("reading {name}"), &error))
    }

    fn write(&self, name: &str, value: &str) -> io::Result<()> {
        let mut file = OpenOptions::new().write(true).open(self.attribute(name))?;
        file.write_all(value.as_bytes())
    }

    fn failed(&self, doing: &str, error: &io::Error) -> Error {
        failed(format!("{}: {doing}: {}", self.name, describe(error)))
    }

    /// The algorithms that it offers.
    ///
    /// # Errors
    /// [`Error::Peer`] if it does not tell.
    pub(super) fn algorithms(&self) -> Result<Vec<String>, Error> {
        let told = self.read("comp_algorithm")?;
        let algorithms = parse_algorithms(&told);
        if algorithms.is_empty() {
            return Err(failed(format!("{} offers no algorithm", self.name)));
        }
        Ok(algorithms)
    }

    /// Gives it an algorithm and a size.
    ///
    /// # Errors
    /// [`Error::Peer`] if it refuses.
    pub(super) fn set_up(&mut self, algorithm: &str, bytes: u64) -> Result<(), Error> {
        self.write("comp_algorithm", algorithm)
            .map_err(|error| self.failed(&format!("algorithm {algorithm}"), &error))?;
        self.write("disksize", &bytes.to_string())
            .map_err(|error| self.failed(&format!("{bytes} bytes with {algorithm}"), &error))?;
        self.set_up = true;
        Ok(())
    }

    /// Opens it for this command alone, past the page cache.
    ///
    /// # Errors
    /// [`Error::Peer`] if that cannot be done, or what is there is not the device.
    pub(super) fn open(&self) -> Result<Disk, Error> {
        let path = self.places.dev.join(&self.name);
        let fail = |error: &io::Error| match error.kind() {
            ErrorKind::NotFound => failed(format!(
                "the kernel added {} but there is no {}: this is a container's /dev?",
                self.name,
                path.display()
            )),
            _ => self.failed("opening it", error),
        };
        let file = open_direct(&path).map_err(|error| fail(&error))?;
        let found = file.metadata().map_err(|error| fail(&error))?;
        let number = self.read("dev")?;
        // Its pages are about to be overwritten: it must be the right one.
        if !found.file_type().is_block_device() || device_number(found.rdev()) != number.trim() {
            return Err(failed(format!("{} is another device", path.display())));
        }
        Ok(Disk { file })
    }

    /// # Errors
    /// [`Error::Peer`] if it does not tell.
    pub(super) fn mm_stat(&self) -> Result<MmStat, Error> {
        let told = self.read("mm_stat")?;
        parse_mm_stat(&told)
            .ok_or_else(|| failed(format!("{}: mm_stat is {:?}", self.name, told.trim())))
    }

    /// Throws away all that is in it, and its size.
    ///
    /// # Errors
    /// [`Error::Peer`] if it stays busy.
    pub(super) fn reset(&mut self, disk: Disk) -> Result<(), Error> {
        drop(disk);
        self.reset_closed()
            .map_err(|error| self.failed("resetting it", &error))
    }

    fn reset_closed(&mut self) -> io::Result<()> {
        patiently(self.places.patience, || self.write("reset", "1"))?;
        self.set_up = false;
        Ok(())
    }

    fn remove(&mut self) -> Result<(), String> {
        if self.set_up {
            self.reset_closed()
                .map_err(|error| format!("resetting: {}", describe(&error)))?;
        }
        // Removing would reset it: some programs take any device without a size.
        match fs::read_to_string(self.attribute("disksize")) {
            Ok(size) if size.trim() != "0" => {
                return Err("another program has set it up".to_owned());
            }
            _ => {}
        }
        let id = self.name.trim_start_matches("zram");
        let mut file = &self.remove;
        patiently(self.places.patience, || file.write_all(id.as_bytes()))
            .map_err(|error| describe(&error))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if let Err(why) = self.remove() {
            let (name, control) = (&self.name, self.places.control.display());
            complain(&format!(
                "{name} could not be removed: {why}; once it is free: echo {} > {control}/hot_remove",
                name.trim_start_matches("zram")
            ));
        }
    }
}

/// Tries until it is no longer busy, or patience is over.
fn patiently(patience: Duration, mut action: impl FnMut() -> io::Result<()>) -> io::Result<()> {
    let start = Instant::now();
    loop {
        match action() {
            Err(error) if error.kind() == ErrorKind::ResourceBusy && start.elapsed() < patience => {
                std::thread::sleep(Duration::from_millis(10));
            }
            done => return done,
        }
    }
}

/// A device that is open.
#[derive(Debug)]
pub(super) struct Disk {
    pub(super) file: File,
}

impl Disk {
    /// Throws away all that is in it: what is written next goes to memory that is
    /// newly taken, as the first time.
    ///
    /// # Errors
    /// [`Error::Peer`] if the kernel refuses.
    pub(super) fn clear(&self, bytes: u64) -> Result<(), Error> {
        punch_hole(&self.file, bytes)
            .map_err(|error| failed(format!("discarding pages: {}", describe(&error))))
    }
}

#[cfg(target_os = "linux")]
fn open_direct(path: &Path) -> io::Result<File> {
    use rustix::fs::{Mode, OFlags, open};
    let flags = OFlags::RDWR | OFlags::DIRECT | OFlags::EXCL | OFlags::CLOEXEC;
    Ok(open(path, flags, Mode::empty())?.into())
}

#[cfg(target_os = "linux")]
fn punch_hole(file: &File, bytes: u64) -> io::Result<()> {
    use rustix::fs::{FallocateFlags, fallocate};
    let flags = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
    Ok(fallocate(file, flags, 0, bytes)?)
}

/// As sysfs writes it.
#[cfg(target_os = "linux")]
fn device_number(rdev: u64) -> String {
    use rustix::fs::{major, minor};
    format!("{}:{}", major(rdev), minor(rdev))
}

/// Only Linux has zram.
#[cfg(not(target_os = "linux"))]
fn open_direct(_path: &Path) -> io::Result<File> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn punch_hole(_file: &File, _bytes: u64) -> io::Result<()> {
    Err(ErrorKind::Unsupported.into())
}

#[cfg(not(target_os = "linux"))]
fn device_number(_rdev: u64) -> String {
    String::new()
}

/// Names, the one in use in brackets.
fn parse_algorithms(told: &str) -> Vec<String> {
    let name = |word: &str| word.trim_matches(['[', ']']).to_owned();
    told.split_whitespace().map(name).collect()
}

/// A line of numbers; kernels before 4.20 do not have the eighth.
fn parse_mm_stat(told: &str) -> Option<MmStat> {
    let numbers: Result<Vec<u64>, _> = told.split_whitespace().map(str::parse).collect();
    let numbers = numbers.ok()?;
    let at = |index: usize| numbers.get(index).copied();
    Some(MmStat {
        orig_data_size: at(0)?,
        compr_data_size: at(1)?,
        mem_used_total: at(2)?,
        same_pages: at(5)?,
        huge_pages: at(7),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use tempfile::TempDir;

    #[test]
    fn what_sysfs_writes() {
        for told in ["lzo-rle lzo [lz4] zstd \n", "[lzo-rle] lzo lz4 zstd"] {
            assert_eq!(parse_algorithms(told), ["lzo-rle", "lzo", "lz4", "zstd"]);
        }
        assert_eq!(parse_algorithms("\n"), Vec::<String>::new());
        let stat = "33554432 13834005 15396864        0 15400000        3        4      58  60\n";
        let stat = parse_mm_stat(stat).unwrap();
        assert_eq!(
            (
                stat.orig_data_size,
                stat.compr_data_size,
                stat.mem_used_total
            ),
            (33_554_432, 13_834_005, 15_396_864)
        );
        assert_eq!((stat.same_pages, stat.huge_pages), (3, Some(58)));
        assert_eq!(parse_mm_stat("1 2 3 4 5 6 7").unwrap().huge_pages, None);
        for bad in ["", "1 2 3 4 5", "1 2 x 4 5 6 7 8"] {
            assert_eq!(parse_mm_stat(bad), None, "{bad}");
        }
    }

    /// A tree of plain files in place of sysfs, whose next device is zram7.
    fn fake() -> (TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path(), Duration::ZERO);
        let device = places.block.join("zram7");
        fs::create_dir_all(&places.control).unwrap();
        fs::create_dir_all(&device).unwrap();
        fs::create_dir_all(&places.dev).unwrap();
        fs::write(places.control.join("hot_add"), "7\n").unwrap();
        fs::write(places.control.join("hot_remove"), "").unwrap();
        fs::write(device.join("comp_algorithm"), "[lzo-rle] lz4 \n").unwrap();
        fs::write(device.join("disksize"), "0\n").unwrap();
        fs::write(device.join("dev"), "253:7\n").unwrap();
        fs::write(device.join("reset"), "").unwrap();
        (dir, places)
    }

    fn told(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn a_device_is_removed_whatever_happens() {
        let (_dir, places) = fake();
        let removed = || told(places.control.join("hot_remove"));
        let reset = || told(places.block.join("zram7/reset"));
        let device = Device::add(&places).unwrap();
        assert_eq!(device.algorithms().unwrap(), ["lzo-rle", "lz4"]);
        assert_eq!(removed(), "");
        drop(device);
        // It never had a size of ours, so nothing in it was ours to reset.
        assert_eq!((removed().as_str(), reset().as_str()), ("7", ""));

        let (_dir, places) = fake();
        let removed = || told(places.control.join("hot_remove"));
        let reset = places.block.join("zram7/reset");
        let size = places.block.join("zram7/disksize");
        let panic = std::panic::catch_unwind(|| {
            let mut device = Device::add(&places).unwrap();
            device.set_up("lz4", 40_960).unwrap();
            assert_eq!(told(places.block.join("zram7/comp_algorithm"))[..3], *"lz4");
            assert_eq!(told(size.clone()), "40960");
            // What a reset does.
            fs::write(&size, "0\n").unwrap();
            panic!("in the middle of it");
        });
        assert!(panic.is_err());
        assert_eq!((removed().as_str(), told(reset).as_str()), ("7", "1"));
    }

    #[test]
    fn what_another_program_took_is_left_to_it() {
        let (_dir, places) = fake();
        let mut device = Device::add(&places).unwrap();
        fs::write(places.block.join("zram7/disksize"), "4096\n").unwrap();
        assert_eq!(
            device.remove(),
            Err("another program has set it up".to_owned())
        );
        drop(device);
        assert_eq!(told(places.control.join("hot_remove")), "");
        assert_eq!(told(places.block.join("zram7/reset")), "");
    }

    #[test]
    fn a_file_that_is_not_the_device_is_not_written_to() {
        let (_dir, places) = fake();
        let device = Device::add(&places).unwrap();
        let node = places.dev.join("zram7");
        let why = device.open().unwrap_err().to_string();
        assert!(
            why.contains("zram7") && why.contains("there is no"),
            "{why}"
        );
        fs::write(&node, [1; 4096]).unwrap();
        // Such as a file has.
        fs::write(places.block.join("zram7/dev"), "0:0\n").unwrap();
        let refused = device.open();
        assert!(refused.is_err(), "{refused:?}");
        assert_eq!(fs::read(&node).unwrap(), [1; 4096]);
    }

    #[test]
    fn what_cannot_be_removed_is_not_added() {
        let (_dir, places) = fake();
        fs::remove_file(places.control.join("hot_remove")).unwrap();
        let why = Device::add(&places).unwrap_err().to_string();
        assert_eq!(why, "--peer zram: zram cannot add devices in this kernel");
        fs::remove_dir_all(&places.control).unwrap();
        let why = Device::add(&places).unwrap_err().to_string();
        assert!(why.contains("there is no zram here"), "{why}");
    }

    #[test]
    fn patience_ends() {
        let mut tries = 0;
        let done = patiently(Duration::from_secs(3600), || {
            tries += 1;
            if tries < 3 {
                return Err(ErrorKind::ResourceBusy.into());
            }
            Ok(())
        });
        assert!(done.is_ok() && tries == 3);
        let busy = || Err(ErrorKind::ResourceBusy.into());
        assert!(patiently(Duration::ZERO, busy).is_err());
        let other = patiently(Duration::MAX, || Err(ErrorKind::NotFound.into()));
        assert_eq!(other.unwrap_err().kind(), ErrorKind::NotFound);
    }
}
