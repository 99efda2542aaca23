//! What collect-host takes, and what it leaves.

use crate::root::{Fake, has_bash, run, script, tree};
use pagepress_idxd::{Host, Root};
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

/// What pagepress makes of a root.
fn seen(root: &Path) -> String {
    format!("{:#?}", Host::look(&Root::new(root)).unwrap())
}

#[test]
fn a_snapshot_shows_what_the_host_showed() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&[1, 3, 9], true);
    fake.apply(&["--method=sysfs"]).ok();
    fs::remove_dir_all(fake.path.join("var")).unwrap();
    fake.put("sys/module/idxd/parameters/tc_override", "N");
    let listing = "total 0\ncrw-rw---- 1 0 1001 235, 0 Nov 22 10:00 wq1.0\n\
                   crw------- 1 0 0 235, 1 Nov 22 10:00 wq3.0";
    fake.put("dev/iax/LISTING", listing);
    fake.put("dev/iax/wq1.0", "");
    fake.put("dev/iax/wq3.0", "");
    // Somebody's open file, and the device that /dev has it by.
    let node = "sys/devices/pci0000:6a/0000:6a:02.0/iax1/wq1.0/iax!wq1.0";
    fake.put(&format!("{node}/file0/cr_faults"), "7");
    fake.put(&format!("{node}/file0/pid"), "4242");
    symlink(
        "../../../devices/pci0000:6a/0000:6a:02.0/iax1/wq1.0/iax!wq1.0",
        fake.path.join("sys/bus/dsa/devices/iax!wq1.0"),
    )
    .unwrap();
    // Neither a DSA device nor another PCI device is of interest.
    fake.put("sys/bus/dsa/devices/dsa0/state", "enabled");
    fake.put("sys/bus/pci/devices/0000:00:00.0/vendor", "0x8086");
    fake.put("sys/bus/pci/devices/0000:00:00.0/device", "0x09a2");

    let root = fake.path.to_str().unwrap();
    let first = fake.beside("first");
    let ran = run("collect-host", &["--root", root, first.to_str().unwrap()]);
    assert_eq!(ran.err, "");
    ran.ok();
    let mut taken = tree(&first);
    assert_eq!(seen(&first), seen_without_secrets(&fake));
    let has = |path: &str| taken.contains_key(Path::new(path));
    assert!(has(&format!("{node}/file0/cr_faults")) && !has(&format!("{node}/file0/pid")));
    assert!(has("sys/module/idxd/parameters/tc_override"));
    assert!(has("etc/udev/rules.d/90-iax.rules"));
    assert!(has("sys/bus/dsa/drivers/crypto"));
    assert!(!has("sys/bus/dsa/devices/dsa0") && !has("sys/bus/pci/devices/0000:00:00.0"));
    let link = &taken[Path::new("sys/bus/pci/devices/0000:6a:02.0")];
    assert_eq!(link, "-> ../../../devices/pci0000:6a/0000:6a:02.0");
    assert_eq!(taken[Path::new("about/unread")], "");
    assert!(!format!("{taken:?}").contains("secret"), "{taken:?}");

    // A snapshot of it is the same.
    let second = fake.beside("second");
    let arguments = ["--root", first.to_str().unwrap(), second.to_str().unwrap()];
    run("collect-host", &arguments).ok();
    assert_eq!(tree(&second), taken);

    // And so is one that was packed.
    let packed = fake.beside("bug-1.tar.gz");
    run("collect-host", &["--root", root, packed.to_str().unwrap()]).ok();
    assert!(unpack(&packed, &fake.beside("unpacked")));
    let unpacked = tree(&fake.beside("unpacked/bug-1"));
    taken.retain(|path, _| unpacked.contains_key(path) || !path.as_os_str().is_empty());
    assert_eq!(unpacked, taken);
}

/// What is seen of the root itself, but for what snapshots leave out.
fn seen_without_secrets(fake: &Fake) -> String {
    let line = fs::read_to_string(fake.path.join("proc/cmdline")).unwrap();
    fake.put("proc/cmdline", "intel_iommu=on,sm_on no5lvl");
    let seen = seen(&fake.path);
    fs::write(fake.path.join("proc/cmdline"), line).unwrap();
    seen
}

fn unpack(archive: &Path, into: &Path) -> bool {
    fs::create_dir_all(into).unwrap();
    let tar = Command::new("tar")
        .arg("-xzf")
        .arg(archive)
        .arg("-C")
        .arg(into)
        .status();
    tar.unwrap().success()
}

#[test]
fn gaps_are_listed_and_nothing_hangs() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&[1], false);
    let at = |path: &str| fake.path.join(path);
    fs::remove_file(at("proc/sys/kernel/osrelease")).unwrap();
    let pipe = Command::new("mkfifo")
        .arg(at("proc/sys/kernel/osrelease"))
        .arg(at("sys/bus/dsa/devices/iax1/wq1.0/occupancy"))
        .status();
    assert!(pipe.unwrap().success());
    fs::remove_file(at("proc/cpuinfo")).unwrap();
    symlink("../../../../../../../../../etc/passwd", at("proc/cpuinfo")).unwrap();
    symlink("/etc", at("sys/bus/dsa/devices/iax99")).unwrap();
    symlink("nowhere", at("sys/bus/dsa/devices/wq99.0")).unwrap();
    let goal = fake.beside("goal");
    let root = fake.path.to_str().unwrap();
    let ran = run("collect-host", &["--root", root, goal.to_str().unwrap()]);
    let unread = fs::read_to_string(goal.join("about/unread")).unwrap();
    for gap in [
        "proc/sys/kernel/osrelease: not a file",
        "sys/devices/pci0000:6a/0000:6a:02.0/iax1/wq1.0/occupancy: not a file",
        "proc/cpuinfo: a link out of ",
        "sys/bus/dsa/devices/iax99: leads nowhere",
        "sys/bus/dsa/devices/wq99.0: leads nowhere",
        "dev/iax: not there",
    ] {
        assert!(
            unread.lines().any(|line| line.starts_with(gap)),
            "{gap} in\n{unread}"
        );
        assert!(ran.err.contains(&format!("not read: {gap}")), "{}", ran.err);
    }
    ran.ok();
    assert!(!goal.join("proc/cpuinfo").exists());
}

#[test]
fn this_host_can_be_collected() {
    if !has_bash() {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let packed = dir.path().join("host.tar.gz");
    run("collect-host", &[packed.to_str().unwrap()]).ok();
    assert!(unpack(&packed, dir.path()));
    let root = dir.path().join("host");
    let there = Host::look(&Root::new("/")).unwrap();
    let taken = Host::look(&Root::new(&root)).unwrap();
    assert!(!taken.live);
    assert_eq!(taken.cpus.model, there.cpus.model);
    assert_eq!(taken.cpus.online, there.cpus.online);
    assert_eq!(taken.kernel.release, there.kernel.release);
    assert_eq!(taken.kernel.idxd, there.kernel.idxd);
    assert_eq!(taken.user, there.user);
    assert_eq!(taken.pci, there.pci);
    assert!(root.join("about/uname").is_file());
    let error = run("collect-host", &[packed.to_str().unwrap()]).error(2);
    assert!(error.contains("is there already"), "{error}");
}

#[test]
fn nothing_is_overwritten() {
    if !has_bash() {
        return;
    }
    let fake = Fake::with(&[1], false);
    let root = fake.path.to_str().unwrap();
    let full = fake.beside("full");
    fs::create_dir_all(full.join("x")).unwrap();
    let empty = fake.beside("empty");
    fs::create_dir_all(&empty).unwrap();
    for (arguments, why) in [
        (
            &["--root", root, full.to_str().unwrap()][..],
            "is not empty",
        ),
        (
            &["--root", empty.to_str().unwrap(), "x"],
            "neither proc nor sys",
        ),
        (&["--root", "/nowhere/at/all"], "is no directory"),
        (&["--root"], "needs a directory"),
        (&["--wrong"], "there is no option"),
        (&["a", "b"], "one place"),
    ] {
        let error = run("collect-host", arguments).error(2);
        assert!(error.contains(why), "{error}");
    }
    let help = run("collect-host", &["--help"]).ok();
    assert!(help.contains("--root DIR"), "{help}");
    assert!(script("collect-host").is_file());
}
