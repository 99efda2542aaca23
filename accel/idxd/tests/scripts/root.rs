//! A small root for the scripts: two sockets with four IAX devices each, as
//! they are after a start, on Linux 6.8.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

pub(crate) const DEVICES: [u32; 8] = [1, 3, 5, 7, 9, 11, 13, 15];
const BUSES: [&str; 8] = ["6a", "6f", "74", "79", "e7", "ec", "f1", "f6"];
pub(crate) const OP_CAP: &str =
    "00000000,00000000,00000000,00000000,00000000,007f331c,00000000,0000000d";

/// A root in a directory that goes away with it.
pub(crate) struct Fake {
    dir: TempDir,
    pub(crate) path: PathBuf,
}

impl Fake {
    /// With all devices.
    pub(crate) fn new() -> Self {
        Self::with(&DEVICES, false)
    }

    /// With some devices, whose queues can restrict operations or not.
    pub(crate) fn with(devices: &[u32], op_config: bool) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fake = Self {
            path: dir.path().join("root"),
            dir,
        };
        fake.host();
        for (id, bus) in DEVICES.into_iter().zip(BUSES) {
            if devices.contains(&id) {
                fake.device(id, bus, op_config);
            }
        }
        for driver in ["idxd", "user", "crypto", "dmaengine"] {
            fs::create_dir_all(fake.path.join("sys/bus/dsa/drivers").join(driver)).unwrap();
        }
        fake
    }

    /// A place for other things than the root.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.path.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, format!("{text}\n")).unwrap();
    }

    /// Sets attributes of a part of a device: `iax1/wq1.0`.
    pub(crate) fn set(&self, part: &str, attributes: &[(&str, &str)]) {
        for (name, value) in attributes {
            self.put(&format!("sys/bus/dsa/devices/{part}/{name}"), value);
        }
    }

    pub(crate) fn get(&self, attribute: &str) -> String {
        let path = self.path.join("sys/bus/dsa/devices").join(attribute);
        let text = fs::read_to_string(path).unwrap();
        text.strip_suffix('\n').unwrap().to_owned()
    }

    /// Gives an enabled queue to its driver.
    pub(crate) fn bind(&self, queue: &str, driver: &str) {
        self.set(queue, &[("state", "enabled")]);
        let link = self.path.join("sys/bus/dsa/devices").join(queue);
        let link = link.join("driver");
        symlink(format!("../../../../../bus/dsa/drivers/{driver}"), link).unwrap();
    }

    fn host(&self) {
        let mut cpuinfo = String::new();
        for cpu in 0..4 {
            cpuinfo += &format!(
                "processor\t: {cpu}\nphysical id\t: {}\nmodel name\t: Intel(R) Xeon(R) Platinum 8480+\n\
                 microcode\t: 0x2b000590\nflags\t\t: la57 waitpkg movdir64b enqcmd\n\n",
                cpu / 2
            );
            self.put(
                &format!("sys/devices/system/cpu/cpu{cpu}/topology/physical_package_id"),
                &(cpu / 2).to_string(),
            );
        }
        self.put("proc/cpuinfo", cpuinfo.trim_end());
        self.put("sys/devices/system/cpu/online", "0-3");
        self.put("sys/devices/system/node/node0/cpulist", "0-1");
        self.put("sys/devices/system/node/node1/cpulist", "2-3");
        self.put("proc/sys/kernel/osrelease", "6.8.0-45-generic");
        self.put("proc/sys/kernel/numa_balancing", "1");
        self.put(
            "proc/sys/kernel/random/boot_id",
            "5f6a7b01-0000-4000-8000-000000000001",
        );
        self.put(
            "proc/cmdline",
            "BOOT_IMAGE=/vmlinuz root=UUID=secret intel_iommu=on,sm_on no5lvl password=secret",
        );
        self.put(
            "proc/modules",
            "idxd 200000 1 iaa_crypto, Live 0xffffffffc0a00000\nsecret_driver 1 0 - Live 0x0",
        );
        self.put(
            "proc/self/status",
            "Name:\tsecret\nUid:\t1000\t1000\t1000\t1000\nGid:\t1000\t1000\t1000\t1000\n\
             Groups:\t4 1000 \nCapEff:\t0000000000000000",
        );
        fs::create_dir_all(self.path.join("sys/bus/dsa/devices")).unwrap();
        fs::create_dir_all(self.path.join("sys/bus/pci/devices")).unwrap();
        fs::create_dir_all(self.path.join("sys/module/idxd")).unwrap();
    }

    fn device(&self, id: u32, bus: &str, op_config: bool) {
        let address = format!("0000:{bus}:02.0");
        let pci = format!("sys/devices/pci0000:{bus}/{address}");
        let node = u32::from(id > 7).to_string();
        for (name, value) in [
            ("vendor", "0x8086"),
            ("device", "0x0cfe"),
            ("numa_node", &node),
        ] {
            self.put(&format!("{pci}/{name}"), value);
        }
        let link = |target: String, at: String| symlink(target, self.path.join(at)).unwrap();
        link(
            "../../../bus/pci/drivers/idxd".to_owned(),
            format!("{pci}/driver"),
        );
        link(
            format!("../../../devices/pci0000:{bus}/{address}"),
            format!("sys/bus/pci/devices/{address}"),
        );
        let flat = |part: &str| {
            let name = part.rsplit('/').next().unwrap();
            link(
                format!("../../../devices/pci0000:{bus}/{address}/{part}"),
                format!("sys/bus/dsa/devices/{name}"),
            );
        };
        let device = format!("iax{id}");
        fs::create_dir_all(self.path.join(&pci).join(&device)).unwrap();
        flat(&device);
        let mut attributes = vec![
            ("version", "0x100"),
            ("state", "disabled"),
            ("gen_cap", "0x71f10901f0105"),
            ("op_cap", OP_CAP),
            ("max_groups", "4"),
            ("max_engines", "8"),
            ("max_work_queues", "8"),
            ("max_work_queues_size", "128"),
            ("max_transfer_size", "2147483648"),
            ("configurable", "1"),
            ("pasid_enabled", "1"),
            ("clients", "0"),
            ("cmd_status", "0x0"),
        ];
        attributes.push(("numa_node", &node));
        self.set(&device, &attributes);
        for n in 0..8 {
            let engine = format!("{device}/engine{id}.{n}");
            self.set(&engine, &[("group_id", "-1")]);
            flat(&engine);
            let queue = format!("{device}/wq{id}.{n}");
            self.set(
                &queue,
                &[
                    ("state", "disabled"),
                    ("group_id", "-1"),
                    ("mode", "shared"),
                    ("size", "0"),
                    ("type", "none"),
                    ("driver_name", ""),
                    ("name", ""),
                    ("threshold", "0"),
                    ("priority", "0"),
                    ("block_on_fault", "0"),
                    ("max_transfer_size", "2097152"),
                    ("ats_disable", "0"),
                    ("enqcmds_retries", "32"),
                    ("clients", "0"),
                ],
            );
            if op_config {
                self.set(&queue, &[("op_config", OP_CAP)]);
            }
            flat(&queue);
        }
        for n in 0..4 {
            let group = format!("{device}/group{id}.{n}");
            self.set(
                &group,
                &[("traffic_class_a", "1"), ("traffic_class_b", "1")],
            );
            flat(&group);
        }
    }

    /// Writes a program beside the root. A copy of it, by another process: a child
    /// that another test starts just then would hold what this one has written open
    /// for writing, and nobody could run it.
    pub(crate) fn program(&self, name: &str, text: &str) -> PathBuf {
        let path = self.beside(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        let text_only = path.with_extension("text");
        fs::write(&text_only, text).unwrap();
        fs::set_permissions(&text_only, fs::Permissions::from_mode(0o755)).unwrap();
        let copied = Command::new("cp").arg(&text_only).arg(&path).status();
        assert!(copied.unwrap().success());
        path
    }

    /// The script that configures, about this root.
    pub(crate) fn configure(&self, arguments: &[&str]) -> Ran {
        let root = self.path.to_str().unwrap();
        run("configure-iaa", &[&["--root", root], arguments].concat())
    }

    /// The same, for real, with stand-ins for the driver and accel-config.
    pub(crate) fn apply(&self, arguments: &[&str]) -> Ran {
        let driver = self.program("driver", include_str!("driver.bash"));
        self.program("bin/accel-config", include_str!("accel-config.bash"));
        let path = std::env::var("PATH").unwrap();
        let output = Command::new("bash")
            .arg(script("configure-iaa"))
            .arg("--root")
            .arg(&self.path)
            .arg("--apply")
            .arg(&driver)
            .args(arguments)
            .env(
                "PATH",
                format!("{}:{path}", self.beside("bin").to_str().unwrap()),
            )
            .env("FAKE_ROOT", &self.path)
            .env("FAKE_DRIVER", &driver)
            .output();
        Ran::of(output.unwrap())
    }

    pub(crate) fn tree(&self) -> BTreeMap<PathBuf, String> {
        tree(&self.path)
    }
}

/// What a script printed.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Ran {
    fn of(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            err: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// What it printed, having succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> String {
        assert_eq!(self.code, 0, "{self:?}");
        self.out
    }

    /// The lines it printed that are commands.
    #[track_caller]
    pub(crate) fn commands(self) -> Vec<String> {
        let out = self.ok();
        let lines = out.lines().filter(|line| !line.starts_with('#'));
        lines.map(str::to_owned).collect()
    }

    /// What it complained of, having failed with that code.
    #[track_caller]
    pub(crate) fn error(self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        self.err
    }
}

pub(crate) fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../scripts")
        .join(name)
}

pub(crate) fn run(name: &str, arguments: &[&str]) -> Ran {
    let output = Command::new("bash")
        .arg(script(name))
        .args(arguments)
        .output();
    Ran::of(output.unwrap())
}

/// Whether scripts can be run here; says so if not.
pub(crate) fn has_bash() -> bool {
    let has = Command::new("bash").arg("--version").output().is_ok();
    if !has {
        println!("skipped: there is no bash");
    }
    has
}

/// All files and links below a directory, with what is in them.
pub(crate) fn tree(top: &Path) -> BTreeMap<PathBuf, String> {
    fn walk(top: &Path, at: &Path, all: &mut BTreeMap<PathBuf, String>) {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(top).unwrap().to_owned();
            if path.is_symlink() {
                all.insert(
                    name,
                    format!("-> {}", fs::read_link(&path).unwrap().display()),
                );
            } else if path.is_dir() {
                all.insert(name, "directory".to_owned());
                walk(top, &path, all);
            } else {
                all.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut all = BTreeMap::new();
    walk(top, top, &mut all);
    all
}
