//! What is changed of the host, and how it is put right again: by [`restore`],
//! once, from any thread. Nothing is changed after that.

use crate::cpus::{self, SYSFS};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{OnceLock, PoisonError, RwLock};

/// Whether the host may be changed. Changes hold it for reading.
static OPEN: RwLock<bool> = RwLock::new(true);
static CPU: OnceLock<PathBuf> = OnceLock::new();
static GROUP: OnceLock<Cpuset> = OnceLock::new();

/// Whether the host is to be changed: nobody who runs all tests as root expects it.
fn may_change() -> Result<(), String> {
    match std::env::var("PAGEPRESS_HOTPLUG_HOST") {
        Ok(yes) if yes == "1" => Ok(()),
        _ => Err("PAGEPRESS_HOTPLUG_HOST is not 1".into()),
    }
}

fn change<T>(how: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
    let open = OPEN.read().unwrap_or_else(PoisonError::into_inner);
    if *open {
        how()
    } else {
        Err(io::Error::other("the host is restored"))
    }
}

/// Brings the CPU back and removes the group; what could not be done.
pub(crate) fn restore() -> Vec<String> {
    let mut open = OPEN.write().unwrap_or_else(PoisonError::into_inner);
    let mut problems = Vec::new();
    if !core::mem::replace(&mut *open, false) {
        return problems;
    }
    if let Some(file) = CPU.get() {
        if let Err(error) = set_online(file, true) {
            problems.push(format!("{} stays offline: {error}", file.display()));
        }
    }
    if let Some(group) = GROUP.get() {
        if let Err(error) = group.remove() {
            problems.push(format!("{} stays: {error}", group.path.display()));
        }
    }
    problems
}

/// Restores the host when dropped, on a panic too.
pub(crate) struct Restored;

impl Drop for Restored {
    fn drop(&mut self) {
        for problem in restore() {
            eprintln!("hotplug: {problem}");
        }
    }
}

fn set_online(file: &Path, online: bool) -> io::Result<()> {
    let wanted = if online { "1" } else { "0" };
    if fs::read_to_string(file)?.trim() == wanted {
        return Ok(());
    }
    fs::write(file, wanted)
}

/// A CPU that can be taken offline.
#[derive(Debug)]
pub(crate) struct Hotplug {
    pub(crate) cpu: usize,
    file: PathBuf,
}

impl Hotplug {
    /// The highest of this process' CPUs that has an `online` file, if it can be
    /// taken offline without harm; otherwise why not.
    pub(crate) fn find() -> Result<Self, String> {
        may_change()?;
        let usable = cpus::allowed();
        let file = |cpu: usize| Path::new(SYSFS).join(format!("cpu{cpu}/online"));
        let cpu = usable.iter().rev().find(|&&cpu| file(cpu).exists());
        let &cpu = cpu.ok_or("no CPU of this process has an `online` file")?;
        if usable.len() < 2 {
            return Err("this process has only one CPU".into());
        }
        if let Some(group) = v1_group_with(cpu) {
            return Err(format!(
                "cpu{cpu} would be lost to the cpuset {}",
                group.display()
            ));
        }
        let found = Self {
            cpu,
            file: file(cpu),
        };
        CPU.set(found.file.clone()).expect("found once");
        for online in [false, true] {
            found
                .set(online)
                .map_err(|error| format!("{}: {error}", found.file.display()))?;
        }
        Ok(found)
    }

    /// Takes the CPU offline or brings it back.
    pub(crate) fn set(&self, online: bool) -> io::Result<()> {
        change(|| set_online(&self.file, online))
    }
}

/// Where cpusets of version 1 are mounted.
fn v1_mount() -> Option<PathBuf> {
    mount(|kind, options| kind == "cgroup" && options.split(',').any(|o| o == "cpuset"))
}

fn mount(is: impl Fn(&str, &str) -> bool) -> Option<PathBuf> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mounts.lines().find_map(|line| {
        let mut fields = line.split(' ').skip(1);
        let (point, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
        is(kind, options).then(|| PathBuf::from(point))
    })
}

/// A cpuset of version 1 below the topmost that has this CPU: it would lose it
/// for good, since Linux does not give it back when the CPU returns.
fn v1_group_with(cpu: usize) -> Option<PathBuf> {
    let mut below = subgroups(&v1_mount()?);
    while let Some(group) = below.pop() {
        if cpus::list(&group.join("cpuset.cpus")).contains(&cpu) {
            return Some(group);
        }
        below.extend(subgroups(&group));
    }
    None
}

fn subgroups(group: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(group).into_iter().flatten().flatten();
    let groups = entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir()));
    groups.map(|entry| entry.path()).collect()
}

/// A cpuset of this process' own.
#[derive(Debug, Clone)]
pub(crate) struct Cpuset {
    path: PathBuf,
    /// Where the process was before.
    home: PathBuf,
    pub(crate) version: u32,
}

impl Cpuset {
    /// Makes one and moves this process into it, or says why that cannot be.
    pub(crate) fn make() -> Result<Self, String> {
        may_change()?;
        let found = Self::find()?;
        GROUP.set(found.clone()).expect("made once");
        let made = change(|| {
            fs::create_dir(&found.path)?;
            if found.version == 1 {
                for file in ["cpuset.cpus", "cpuset.mems"] {
                    fs::write(found.path.join(file), fs::read(found.home.join(file))?)?;
                }
            }
            Ok(())
        });
        made.and_then(|()| found.join())
            .map_err(|error| format!("{}: {error}", found.path.display()))?;
        Ok(found)
    }

    fn find() -> Result<Self, String> {
        let name = std::env::var("PAGEPRESS_HOTPLUG_GROUP");
        let name = name.unwrap_or_else(|_| format!("pagepress-hotplug-{}", std::process::id()));
        if let Some(mount) = v1_mount() {
            let home = home(&mount, ":cpuset:")?;
            return Ok(Self {
                path: home.join(name),
                home,
                version: 1,
            });
        }
        let mount = mount(|kind, _| kind == "cgroup2").ok_or("no cgroups are mounted")?;
        let handed_down = mount.join("cgroup.subtree_control");
        let handed_down = fs::read_to_string(handed_down).unwrap_or_default();
        if !handed_down.split_whitespace().any(|one| one == "cpuset") {
            return Err("cpuset is not among the controllers of cgroup.subtree_control".into());
        }
        Ok(Self {
            home: home(&mount, "0::")?,
            path: mount.join(name),
            version: 2,
        })
    }

    /// Has the group use these CPUs alone.
    pub(crate) fn set(&self, cpus: &[usize]) -> io::Result<()> {
        let cpus: Vec<_> = cpus.iter().map(ToString::to_string).collect();
        change(|| fs::write(self.path.join("cpuset.cpus"), cpus.join(",")))
    }

    /// Moves this process into the group.
    pub(crate) fn join(&self) -> io::Result<()> {
        change(|| enter(&self.path))
    }

    /// Moves this process back to where it came from.
    pub(crate) fn leave(&self) -> io::Result<()> {
        change(|| enter(&self.home))
    }

    /// Whether this process is in the group. Linux moves it out of one of
    /// version 1 whose last CPU goes offline.
    pub(crate) fn is_joined(&self) -> bool {
        let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        let name = self.path.file_name().expect("a group has a name");
        let name = name.to_string_lossy();
        groups.lines().any(|line| line.ends_with(&*name))
    }

    fn remove(&self) -> io::Result<()> {
        if !self.path.exists() {
            return Ok(());
        }
        enter(&self.home)?;
        // Threads that were on their way out may still count.
        let mut tries = 0;
        loop {
            match fs::remove_dir(&self.path) {
                Err(error) if error.kind() == io::ErrorKind::ResourceBusy && tries < 100 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(10));
                }
                done => return done,
            }
        }
    }
}

fn enter(group: &Path) -> io::Result<()> {
    fs::write(group.join("cgroup.procs"), std::process::id().to_string())
}

/// The group of this process, by the line of its hierarchy.
fn home(mount: &Path, hierarchy: &str) -> Result<PathBuf, String> {
    let groups = fs::read_to_string("/proc/self/cgroup").map_err(|error| error.to_string())?;
    let path = groups.lines().find_map(|line| {
        let (before, path) = line.split_once(hierarchy)?;
        before.bytes().all(|b| b.is_ascii_digit()).then_some(path)
    });
    let path = path.ok_or("this process is in no cpuset")?;
    let home = mount.join(path.trim_start_matches('/'));
    if home.join("cgroup.procs").exists() {
        Ok(home)
    } else {
        Err(format!("{} is not to be seen", home.display()))
    }
}
