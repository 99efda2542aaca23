//! Damaged snapshots: never a panic, never a wait, and nothing invented.

use crate::hosts::{Shape, Snapshot};
use crate::{letters, scratch};
use pagepress_idxd::chain::LinkName;
use pagepress_idxd::{Diagnosis, Host, Root};
use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What may be in the place of a file or directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    Empty,
    Half,
    Garbage,
    Circle,
    Huge,
    /// A directory for a file, and a file for a directory.
    Other,
    Pipe,
    Gone,
}

impl Damage {
    const ALL: [Self; 8] = [
        Self::Empty,
        Self::Half,
        Self::Garbage,
        Self::Circle,
        Self::Huge,
        Self::Other,
        Self::Pipe,
        Self::Gone,
    ];

    /// Puts it at `path`, where nothing is any more; `before` was there, if it
    /// was a file.
    fn put(self, path: &Path, before: Option<&[u8]>) {
        match self {
            Self::Empty if before.is_none() => fs::create_dir(path).unwrap(),
            Self::Empty => fs::write(path, "").unwrap(),
            Self::Half => {
                let before = before.unwrap_or_default();
                fs::write(path, &before[..before.len() / 2]).unwrap();
            }
            Self::Garbage => fs::write(path, GARBAGE).unwrap(),
            Self::Circle => symlink(path.file_name().unwrap(), path).unwrap(),
            Self::Huge => File::create(path).unwrap().set_len(1 << 33).unwrap(),
            Self::Other if before.is_none() => fs::write(path, "x\n").unwrap(),
            Self::Other => fs::create_dir(path).unwrap(),
            Self::Pipe => {
                let made = Command::new("mkfifo").arg(path).status().unwrap();
                assert!(made.success());
            }
            Self::Gone => {}
        }
    }
}

const GARBAGE: &[u8] = b"\x7fELF\x02\x01\x01\x00\xff\xfe\x00\x9c,,\x00-\n\xc3(\x1b[2J";

/// A snapshot on a disk.
struct Written {
    dir: tempfile::TempDir,
}

impl Written {
    fn new() -> Self {
        Self::of(&Snapshot::healthy(Shape::PAIR))
    }

    fn of(snapshot: &Snapshot) -> Self {
        let dir = scratch();
        snapshot.write(&dir.path().join("host")).unwrap();
        Self { dir }
    }

    fn root(&self) -> PathBuf {
        self.dir.path().join("host")
    }

    /// Damages what is at a path, looks at the host, and restores it.
    fn damaged<T>(&self, path: &str, damage: Damage, look: impl FnOnce() -> T) -> T {
        let path = self.root().join(path);
        let aside = self.dir.path().join("aside");
        let before = fs::symlink_metadata(&path).unwrap().is_file();
        let before = before.then(|| fs::read(&path).unwrap());
        fs::rename(&path, &aside).unwrap();
        damage.put(&path, before.as_deref());
        let seen = look();
        match fs::symlink_metadata(&path) {
            Ok(there) if there.is_dir() => fs::remove_dir(&path).unwrap(),
            Ok(_) => fs::remove_file(&path).unwrap(),
            Err(_) => {}
        }
        fs::rename(&aside, &path).unwrap();
        seen
    }

    /// Damages what is at a path for good.
    fn spoil(&self, path: &str, damage: Damage) {
        let path = self.root().join(path);
        let before = fs::symlink_metadata(&path).unwrap().is_file();
        let before = before.then(|| fs::read(&path).unwrap());
        match before {
            Some(_) => fs::remove_file(&path).unwrap(),
            None => fs::remove_dir_all(&path).unwrap(),
        }
        damage.put(&path, before.as_deref());
    }

    fn diagnose(&self) -> Diagnosis {
        let host = Host::look(&Root::new(self.root())).unwrap();
        // All that is shown has to be showable.
        serde_json::to_string(&host).unwrap();
        Diagnosis::of(&host)
    }

    /// All files, links and directories, without the one that is everything.
    fn paths(&self) -> Vec<String> {
        let (root, mut found) = (self.root(), Vec::new());
        let mut left = vec![root.clone()];
        while let Some(directory) = left.pop() {
            for entry in fs::read_dir(directory).unwrap() {
                let path = entry.unwrap().path();
                if fs::symlink_metadata(&path).unwrap().is_dir() {
                    left.push(path.clone());
                }
                let inside = path.strip_prefix(&root).unwrap();
                found.push(inside.to_str().unwrap().to_owned());
            }
        }
        found.sort();
        found
    }
}

/// Text that may be shown: no control characters, not without end.
fn showable(diagnosis: &Diagnosis) {
    let of_links = diagnosis.links.iter();
    let texts = of_links.flat_map(|link| link.fix.iter().chain([&link.found]));
    for text in texts.chain(&diagnosis.advice) {
        assert!(!text.chars().any(char::is_control), "{text:?}");
        assert!(text.len() < 4000, "{text:?}");
    }
}

/// Whatever is damaged, there is an answer, and one device suffices for it,
/// unless both need what is damaged.
#[test]
fn anything_damaged() {
    let written = Written::new();
    let whole = letters(&written.diagnose());
    assert_eq!(whole, "oooooooooooooss");
    let paths = written.paths();
    assert!(paths.len() > 200, "{}", paths.len());
    for path in &paths {
        for damage in Damage::ALL {
            // A pipe takes a process to make; it is never opened, so it does
            // for some.
            if damage == Damage::Pipe && !path.ends_with("1.0/state") && !path.starts_with("proc") {
                continue;
            }
            let what = format!("{path} {damage:?}");
            let diagnosis = written.damaged(path, damage, || {
                if path == "proc" || path == "sys" {
                    // Without both there would be no host.
                    let host = Host::look(&Root::new(written.root()));
                    return host.map(|host| Diagnosis::of(&host)).ok();
                }
                Some(written.diagnose())
            });
            let Some(diagnosis) = diagnosis else { continue };
            showable(&diagnosis);
            assert_eq!(diagnosis.links.len(), 15, "{what}");
            let of_one = [
                "/iax1", "/iax9", "/wq1.", "/wq9.", "0000:6a", "0000:e7", "engine", "group",
            ];
            if of_one.iter().any(|one| path.contains(one)) {
                assert_eq!(letters(&diagnosis), whole, "{what}");
            }
        }
    }
    assert_eq!(letters(&written.diagnose()), whole, "all is as it was");
}

/// An attribute that cannot be read of any device is not made up.
#[test]
fn an_attribute_damaged_everywhere() {
    for (attribute, name, named) in [
        ("pasid_enabled", LinkName::Iommu, "pasid_enabled"),
        ("state", LinkName::Device, "state"),
        (
            "engine/group_id",
            LinkName::Engines,
            "groups of its engines",
        ),
        ("wq/state", LinkName::WqEnabled, "state"),
        ("wq/type", LinkName::WqType, "type"),
        ("wq/driver_name", LinkName::WqType, "driver"),
        ("wq/mode", LinkName::WqMode, "mode"),
        ("wq/size", LinkName::WqMode, "size"),
        ("wq/threshold", LinkName::WqMode, "threshold"),
        ("wq/op_config", LinkName::WqOps, "op_config"),
        ("wq/max_transfer_size", LinkName::WqOps, "max_transfer_size"),
    ] {
        for damage in [
            Damage::Empty,
            Damage::Garbage,
            Damage::Circle,
            Damage::Huge,
            Damage::Other,
        ] {
            let written = Written::new();
            for (bus, id) in [("6a", 1), ("e7", 9)] {
                let device = format!("sys/devices/pci0000:{bus}/0000:{bus}:02.0/iax{id}");
                for last in 0..2 {
                    let of = attribute.replace("wq/", &format!("wq{id}.{last}/"));
                    let of = of.replace("engine/", &format!("engine{id}.{last}/"));
                    if last == 0 || of != attribute {
                        written.spoil(&format!("{device}/{of}"), damage);
                    }
                }
            }
            let diagnosis = written.diagnose();
            let what = format!("{attribute} {damage:?}");
            let link = diagnosis.link(name).unwrap();
            // An empty driver is one that nobody has set.
            let unset = attribute == "wq/driver_name" && damage == Damage::Empty;
            let status = if unset { "broken" } else { "unknown" };
            assert_eq!(link.status.to_string(), status, "{what}: {}", link.found);
            assert!(link.found.contains(named), "{what}: {}", link.found);
            assert!(!diagnosis.is_usable(), "{what}");
            let mut paths = diagnosis.paths.iter();
            assert!(!paths.any(|path| path.is_usable()), "{what}");
            showable(&diagnosis);
        }
    }
}

/// What cannot be read of one device is advice, and the other one serves.
#[test]
fn one_device_damaged() {
    let written = Written::new();
    for (attribute, named) in [
        ("pasid_enabled", "iax1: pasid_enabled: "),
        ("state", "iax1: its state: "),
        ("wq1.0/state", "iax1/wq1.0: its state: "),
        ("wq1.0/type", "iax1/wq1.0: its type: "),
        ("wq1.0/mode", "iax1/wq1.0: its mode: "),
        ("wq1.0/size", "iax1/wq1.0: its size: "),
        ("wq1.0/threshold", "iax1/wq1.0: its threshold: "),
        ("wq1.0/op_config", "iax1/wq1.0: op_config: "),
        ("wq1.0/max_transfer_size", "iax1/wq1.0: max_transfer_size: "),
    ] {
        let path = format!("sys/devices/pci0000:6a/0000:6a:02.0/iax1/{attribute}");
        for damage in [Damage::Empty, Damage::Garbage, Damage::Circle, Damage::Huge] {
            let diagnosis = written.damaged(&path, damage, || written.diagnose());
            let what = format!("{attribute} {damage:?}: {:#?}", diagnosis.advice);
            assert_eq!(letters(&diagnosis), "oooooooooooooss", "{what}");
            let usable = diagnosis.paths.iter().filter(|path| path.is_usable());
            let usable: Vec<&str> = usable.map(|path| path.queue.as_str()).collect();
            assert_eq!(usable, ["wq9.0"], "{what}");
            let mut advice = diagnosis.advice.iter();
            assert!(advice.any(|advice| advice.starts_with(named)), "{what}");
            let other = "package 0 has no usable device";
            let mut advice = diagnosis.advice.iter();
            assert!(advice.any(|advice| advice.starts_with(other)), "{what}");
        }
    }
}

/// Files that there is one of: the link that needs one says that it could not
/// be read.
#[test]
fn a_single_file_damaged() {
    for (path, name, said) in [
        ("proc/cpuinfo", LinkName::Cpu, "/proc/cpuinfo: "),
        (
            "proc/sys/kernel/osrelease",
            LinkName::Submission,
            "the kernel's release: ",
        ),
        ("dev/iax/LISTING", LinkName::Node, "/dev/iax: "),
        (
            "proc/self/status",
            LinkName::Permission,
            "who asks (/proc/self/status): ",
        ),
    ] {
        for damage in Damage::ALL {
            // Half of these, or none, still says something.
            if damage == Damage::Gone || damage == Damage::Half && !path.ends_with("status") {
                continue;
            }
            let written = Written::new();
            written.spoil(path, damage);
            let diagnosis = written.diagnose();
            let link = diagnosis.link(name).unwrap();
            let what = format!("{path} {damage:?}: {}", link.found);
            assert_eq!(link.status.to_string(), "unknown", "{what}");
            assert!(link.found.contains(said), "{what}");
            assert!(diagnosis.first_broken().is_none(), "{what}");
            showable(&diagnosis);
        }
    }
    // Nodes that are plain files are none without a listing.
    let written = Written::new();
    written.spoil("dev/iax/LISTING", Damage::Gone);
    let diagnosis = written.diagnose();
    let node = diagnosis.link(LinkName::Node).unwrap();
    assert_eq!(node.status.to_string(), "unknown");
    assert!(node.found.contains("no LISTING of them"), "{}", node.found);
}

/// The command line only explains.
#[test]
fn no_command_line() {
    let mut snapshot = Snapshot::healthy(Shape::PAIR);
    snapshot.set(&[1, 9], "pasid_enabled", "0");
    let written = Written::of(&snapshot);
    written.spoil("proc/cmdline", Damage::Garbage);
    let diagnosis = written.diagnose();
    let link = diagnosis.link(LinkName::Iommu).unwrap();
    assert_eq!(link.status.to_string(), "broken");
    let found = "whether the kernel was started with intel_iommu=on,sm_on cannot be seen \
                 (/proc/cmdline: binary data";
    assert!(link.found.contains(found), "{}", link.found);
}

/// No value is pieced together from a truncated set of operations.
#[test]
fn half_of_the_operations() {
    let written = Written::new();
    for (bus, id) in [("6a", 1), ("e7", 9)] {
        let device = format!("sys/devices/pci0000:{bus}/0000:{bus}:02.0/iax{id}");
        written.spoil(&format!("{device}/wq{id}.0/op_config"), Damage::Half);
        written.spoil(&format!("{device}/op_cap"), Damage::Half);
    }
    let diagnosis = written.diagnose();
    assert_eq!(letters(&diagnosis), "ooooooooouoooss");
    let found = &diagnosis.link(LinkName::WqOps).unwrap().found;
    assert!(found.contains("op_config: `00000000,"), "{found}");
    assert!(
        found.contains("where a set of operations should be"),
        "{found}"
    );
}

/// Ids of PCI devices that cannot be read do not mean that there is no device.
#[test]
fn unreadable_ids() {
    let written = Written::new();
    for bus in ["6a", "e7"] {
        for function in ["01.0", "02.0"] {
            let at = format!("sys/devices/pci0000:{bus}/0000:{bus}:{function}");
            written.spoil(&format!("{at}/vendor"), Damage::Garbage);
        }
    }
    // The driver knows them.
    let diagnosis = written.diagnose();
    assert_eq!(letters(&diagnosis), "oooooooooooooss");
    let found = &diagnosis.link(LinkName::Pci).unwrap().found;
    assert_eq!(found, "2 IAX devices, by the driver's account");
    fs::remove_dir_all(written.root().join("sys/bus/dsa")).unwrap();
    let diagnosis = written.diagnose();
    assert_eq!(letters(&diagnosis), "ouussssssssssss");
    let found = &diagnosis.link(LinkName::Pci).unwrap().found;
    assert!(
        found.contains("ids of 0000:6a:01.0: binary data"),
        "{found}"
    );
}

/// A driver's tree that cannot be read is not one that a container lacks.
#[test]
fn a_bus_in_circles() {
    for (path, damage, why) in [
        ("sys/bus/dsa", Damage::Circle, "lead in circles"),
        (
            "sys/bus/dsa",
            Damage::Other,
            "a file where a directory should be",
        ),
        ("sys/bus/dsa/devices", Damage::Circle, "lead in circles"),
        (
            "sys/bus/dsa/devices",
            Damage::Pipe,
            "a file where a directory should be",
        ),
    ] {
        let written = Written::new();
        written.spoil(path, damage);
        let diagnosis = written.diagnose();
        let link = diagnosis.link(LinkName::Driver).unwrap();
        assert_eq!(link.status.to_string(), "unknown", "{path} {damage:?}");
        assert!(
            link.found.contains(why),
            "{path} {damage:?}: {}",
            link.found
        );
        assert!(diagnosis.first_broken().is_none());
    }
    let written = Written::new();
    written.spoil("sys/bus/dsa/devices", Damage::Empty);
    let diagnosis = written.diagnose();
    let link = diagnosis.link(LinkName::Driver).unwrap();
    assert!(link.found.contains("does not show it"), "{}", link.found);
}

/// What is not even the picture of a host.
#[test]
fn no_host_at_all() {
    let dir = scratch();
    let look = |name: &str| Host::look(&Root::new(dir.path().join(name))).map(|_| ());
    let error = |name: &str| look(name).unwrap_err().to_string();
    fs::create_dir(dir.path().join("empty")).unwrap();
    fs::write(dir.path().join("file"), "x").unwrap();
    symlink("circle", dir.path().join("circle")).unwrap();
    assert!(
        error("empty")
            .ends_with("neither proc nor sys is there, so this is no host and no snapshot of one")
    );
    assert!(error("nothing").ends_with(": not there"));
    assert!(error("file").contains("directory"));
    assert!(!error("circle").is_empty());
    // One of the two suffices to look, and not to be usable.
    let written = Written::new();
    fs::remove_dir_all(written.root().join("proc")).unwrap();
    assert_eq!(letters(&written.diagnose()), "uooooooooooouss");
    let written = Written::new();
    fs::remove_dir_all(written.root().join("sys")).unwrap();
    assert_eq!(letters(&written.diagnose()), "ouussssssssssss");
    for name in ["proc", "sys", "dev"] {
        let dir = scratch();
        fs::create_dir(dir.path().join("proc")).unwrap();
        let path = dir.path().join(name);
        let _ = fs::remove_dir(&path);
        symlink(name, path).unwrap();
        let host = Host::look(&Root::new(dir.path())).unwrap();
        let diagnosis = Diagnosis::of(&host);
        assert!(!diagnosis.is_usable(), "{name}");
        showable(&diagnosis);
    }
}

/// Names in a snapshot that would do harm in a command are not put into one.
#[test]
fn names_with_a_purpose() {
    let mut snapshot = Snapshot::healthy(Shape::PAIR);
    snapshot.without_driver();
    snapshot.bind("0000:6a:02.0", "$(reboot)");
    snapshot.pci("0000:6b:02.0;reboot", 0x0CFE, 0, 2);
    let diagnosis = Written::of(&snapshot).diagnose();
    let link = diagnosis.link(LinkName::Driver).unwrap();
    assert_eq!(link.status.to_string(), "broken");
    assert!(!link.fix.is_empty());
    let mut texts = link.fix.iter().chain(&diagnosis.advice);
    assert!(!texts.any(|text| text.contains("reboot")), "{link:#?}");

    let mut snapshot = Snapshot::healthy(Shape::PAIR);
    snapshot.set_queue(&[1, 9], "name", "x;reboot");
    snapshot.set_queue(&[1, 9], "threshold", "0");
    let diagnosis = Written::of(&snapshot).diagnose();
    let link = diagnosis.link(LinkName::WqMode).unwrap();
    assert!(
        link.fix
            .iter()
            .any(|command| command.contains("--name=pagepress "))
    );
    assert!(!link.fix.iter().any(|command| command.contains("reboot")));
}
