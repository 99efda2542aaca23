//! The files that programs are shown: those of the virtual devices, among what they
//! would see of the host anyway.

use crate::config::{Config, Node, ROOT};
use pagepress_model::host::{self, Device, Place, Queue, Tree, pci};
use std::collections::BTreeSet;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

/// The most devices.
pub const DEVICES_MAX: usize = 16;
/// Groups that can be configured, on hardware as well.
const GROUPS: u32 = 4;
/// The major number of all nodes. Nothing is registered with the kernel, and that
/// number may be another device's there.
const MAJOR: u32 = 235;
/// The bus of the first device, and how far those of the others are apart: as on
/// Sapphire Rapids.
const FIRST_BUS: usize = 0x6A;
const BUSES_APART: usize = 5;
/// Who runs the command may use the nodes, as if udev had given them to their group.
const NODE_MODE: u32 = 0o660;
/// What a processor needs to submit. UMWAIT is not among it: nothing stands in for
/// that one.
const FLAGS: [&str; 3] = ["movdiri", "movdir64b", "enqcmd"];
/// What the kernel needs to be told for shared virtual addressing.
const OPTION: &str = "intel_iommu=on,sm_on";
/// PCI ids of IAX devices.
const IAX: [&str; 4] = ["0x0cfe", "0x1216", "0xb02d", "0xfd2d"];
/// What is served besides the devices' own directories.
const SERVED: [&str; 9] = [
    "/dev/iax",
    "/proc/cmdline",
    "/proc/cpuinfo",
    "/proc/modules",
    "/sys/bus/dsa",
    "/sys/bus/pci/devices",
    "/sys/bus/pci/drivers/idxd",
    "/sys/module/idxd",
    "/sys/module/idxd_bus",
];

/// Writes the root into a directory, and into `config` what is served and which
/// nodes there are. `host` is where the running host's files are: `/`.
///
/// # Errors
/// If the host's processors cannot be read, or the files not be written.
pub fn write(directory: &Path, host: &Path, config: &mut Config) -> io::Result<()> {
    let host = &fs::canonicalize(host)?;
    let mut tree = Tree::default();
    kernel(&mut tree, host)?;
    pci_devices(&mut tree, host);
    host::drivers(&mut tree);
    host::load(&mut tree, "idxd");
    host::load(&mut tree, "idxd_bus");

    let devices = devices(config, host);
    config.served = SERVED.map(str::to_owned).to_vec();
    config.nodes.clear();
    for (number, device) in devices.iter().enumerate() {
        device.put(&mut tree);
        let function = pci::directory(&device.address);
        let bridge = function.rsplit_once('/').map_or("", |(bridge, _)| bridge);
        config.served.push(format!("/{bridge}"));
        let nodes = device.queues.iter().enumerate();
        config.nodes.extend(nodes.map(|(queue, of)| Node {
            path: format!("/dev/iax/wq{}.{queue}", device.id),
            device: number,
            major: device.major,
            minor: of.minor,
        }));
    }
    tree.write(&directory.join(ROOT))
}

/// The devices, in turn on the host's NUMA nodes.
fn devices(config: &Config, host: &Path) -> Vec<Device> {
    let places = places(host);
    let buses: Vec<usize> = (0..config.devices)
        .map(|number| FIRST_BUS + number * BUSES_APART)
        .collect();
    // Those of the host that are no IAX device stay, so their buses are left alone.
    let is_free = |domain: &u32| {
        let bridge = |bus: &usize| host.join(format!("sys/devices/pci{domain:04x}:{bus:02x}"));
        !buses.iter().any(|bus| bridge(bus).exists())
    };
    let domain = (0..).find(is_free).unwrap_or_default();
    let device = |(number, bus): (usize, &usize)| Device {
        id: 2 * number as u32 + 1,
        address: format!("{domain:04x}:{bus:02x}:02.0"),
        place: places[number % places.len()].clone(),
        profile: config.generation.profile(),
        groups: GROUPS,
        queues: vec![Queue {
            label: "vdev".to_owned(),
            config: config.queue(),
            minor: number as u32,
            node_mode: NODE_MODE,
        }],
        major: MAJOR,
        modelled: true,
    };
    buses.iter().enumerate().map(device).collect()
}

/// The host's NUMA nodes that have CPUs; all CPUs as one place if there are none.
fn places(host: &Path) -> Vec<Place> {
    let list = |path: &Path| fs::read_to_string(path).map(|list| list.trim().to_owned());
    let mut nodes: Vec<u32> = names(&host.join("sys/devices/system/node"))
        .iter()
        .filter_map(|name| name.strip_prefix("node")?.parse().ok())
        .collect();
    nodes.sort_unstable();
    let place = |node: u32| {
        let path = host.join(format!("sys/devices/system/node/node{node}/cpulist"));
        let local_cpus = list(&path).ok().filter(|cpus| !cpus.is_empty())?;
        let node = Some(node);
        Some(Place { node, local_cpus })
    };
    let places: Vec<Place> = nodes.into_iter().filter_map(place).collect();
    if !places.is_empty() {
        return places;
    }
    let all = list(&host.join("sys/devices/system/cpu/online"));
    vec![Place {
        node: None,
        local_cpus: all.unwrap_or_default(),
    }]
}

/// What is in a directory; nothing if there is none.
fn names(directory: &Path) -> BTreeSet<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .filter_map(|entry| entry.file_name().into_string().ok())
        .collect()
}

/// What the kernel says of the processors, of how it was started and of modules.
fn kernel(tree: &mut Tree, host: &Path) -> io::Result<()> {
    let read = |path: &str| {
        let text = fs::read_to_string(host.join(path));
        text.map_err(|error| io::Error::new(error.kind(), format!("/{path}: {error}")))
    };
    let or_none = |text: io::Result<String>| match text {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(String::new()),
        text => text,
    };
    tree.file("proc/cpuinfo", with_flags(&read("proc/cpuinfo")?));
    let told = or_none(read("proc/cmdline"))?;
    tree.line("proc/cmdline", with_option(told.trim_end_matches('\n')));
    // A kernel without modules has no list of them.
    let modules = or_none(read("proc/modules"))?;
    tree.file("proc/modules", with_modules(&modules));
    Ok(())
}

fn with_flags(info: &str) -> String {
    let line = |line: &str| {
        let (text, end) = line.strip_suffix('\n').map_or((line, ""), |l| (l, "\n"));
        let Some((key, flags)) = text.split_once(':') else {
            return line.to_owned();
        };
        if key.trim() != "flags" {
            return line.to_owned();
        }
        let lacks = |flag: &&&str| !flags.split_whitespace().any(|has| has == **flag);
        let lacking = FLAGS.iter().filter(lacks);
        let added: String = lacking.map(|flag| format!(" {flag}")).collect();
        format!("{text}{added}{end}")
    };
    info.split_inclusive('\n').map(line).collect()
}

fn with_option(line: &str) -> String {
    // What comes after two dashes is for init.
    let (kernel, init) = match line.find(" -- ") {
        Some(end) => line.split_at(end),
        None => (line, ""),
    };
    if kernel.split_whitespace().any(|word| word == OPTION) {
        line.to_owned()
    } else if kernel.is_empty() {
        format!("{OPTION}{init}")
    } else {
        format!("{kernel} {OPTION}{init}")
    }
}

fn with_modules(modules: &str) -> String {
    let name = |line: &str| line.split(' ').next().map(str::to_owned);
    let there: BTreeSet<_> = modules.lines().filter_map(name).collect();
    let lacking = host::MODULES.split_inclusive('\n');
    let lacking = lacking.filter(|line| name(line).is_some_and(|name| !there.contains(&name)));
    lacking.collect::<String>() + modules
}

/// Links to the host's PCI devices where they really are, but for IAX devices.
fn pci_devices(tree: &mut Tree, host: &Path) {
    let bus = host.join("sys/bus/pci/devices");
    for address in names(&bus) {
        let at = bus.join(&address);
        let id = |name: &str| fs::read_to_string(at.join(name)).unwrap_or_default();
        if id("vendor").trim() == "0x8086" && IAX.contains(&id("device").trim()) {
            continue;
        }
        let real = fs::canonicalize(&at).ok();
        let inside = real
            .as_deref()
            .and_then(|real| real.strip_prefix(host).ok());
        if let Some(inside) = inside.and_then(Path::to_str) {
            let link = format!("sys/bus/pci/devices/{address}");
            tree.link(&link, &format!("/{inside}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Generation;
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::PathBuf;
    use tempfile::TempDir;

    fn config(devices: usize) -> Config {
        Config {
            generation: Generation::Gen2,
            devices,
            dedicated: false,
            size: 64,
            threshold: 48,
            faults: String::new(),
            mmap: true,
            device_thread: false,
            trace: None,
            served: Vec::new(),
            nodes: Vec::new(),
        }
    }

    /// A host and what is written of it.
    struct Hosts {
        dir: TempDir,
        config: Config,
    }

    impl Hosts {
        fn new(devices: usize) -> Self {
            let hosts = Self {
                dir: tempfile::tempdir().unwrap(),
                config: config(devices),
            };
            hosts.put("proc/cpuinfo", "processor\t: 0\nflags\t\t: fpu movdiri\n");
            hosts
        }

        fn put(&self, path: &str, content: &str) {
            let path = self.dir.path().join("host").join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }

        fn pci(&self, address: &str, vendor: &str, device: &str) {
            let at = pci::directory(address);
            self.put(&format!("{at}/vendor"), &format!("{vendor}\n"));
            self.put(&format!("{at}/device"), &format!("{device}\n"));
            let bus = self.dir.path().join("host/sys/bus/pci/devices");
            fs::create_dir_all(&bus).unwrap();
            let target = format!("../../../{}", &at[4..]);
            symlink(target, bus.join(address)).unwrap();
        }

        fn write(&mut self) -> PathBuf {
            let host = self.dir.path().join("host");
            write(self.dir.path(), &host, &mut self.config).unwrap();
            self.dir.path().join(ROOT)
        }
    }

    fn read(path: impl AsRef<Path>) -> String {
        fs::read_to_string(path).unwrap()
    }

    #[test]
    fn what_the_kernel_says_is_added_to_and_no_more() {
        let info = "processor\t: 0\nflags\t\t: fpu movdiri sse\nvmx flags\t: ept\nbugs\t\t:\n\n\
                    processor\t: 1\nflags\t\t:\n";
        let expected = "processor\t: 0\nflags\t\t: fpu movdiri sse movdir64b enqcmd\n\
                        vmx flags\t: ept\nbugs\t\t:\n\nprocessor\t: 1\n\
                        flags\t\t: movdiri movdir64b enqcmd\n";
        assert_eq!(with_flags(info), expected);
        assert_eq!(with_flags(expected), expected);

        for (line, told) in [
            ("ro quiet", "ro quiet intel_iommu=on,sm_on"),
            ("", "intel_iommu=on,sm_on"),
            (
                "ro -- intel_iommu=on,sm_on",
                "ro intel_iommu=on,sm_on -- intel_iommu=on,sm_on",
            ),
            ("intel_iommu=on,sm_on ro", "intel_iommu=on,sm_on ro"),
        ] {
            assert_eq!(with_option(line), told);
        }

        let other = "idxd_bus 1 2 idxd, Live 0x0\nfat 1 0 - Live 0x0\n";
        let all = with_modules(other);
        assert!(all.starts_with("idxd 147456 "), "{all}");
        assert!(all.ends_with(other) && all.lines().count() == 3, "{all}");
        assert_eq!(with_modules(&all), all);
    }

    #[test]
    fn devices_take_turns_on_the_nodes_with_cpus() {
        let mut hosts = Hosts::new(DEVICES_MAX);
        hosts.put("sys/devices/system/node/node0/cpulist", "0-3,8\n");
        hosts.put("sys/devices/system/node/node1/cpulist", "4-7\n");
        hosts.put("sys/devices/system/node/node2/cpulist", "\n");
        let root = hosts.write();
        let bus = root.join("sys/bus/dsa/devices");
        for number in 0..DEVICES_MAX {
            let device = bus.join(format!("iax{}", 2 * number + 1));
            assert_eq!(read(device.join("numa_node")), format!("{}\n", number % 2));
            let function = device.join("../local_cpulist");
            // The kernel takes `..` of where a link leads to.
            assert_eq!(read(function), ["0-3,8\n", "4-7\n"][number % 2]);
            assert_eq!(read(device.join("modelled")), "pagepress-model\n");
        }
        let functions = fs::read_dir(root.join("sys/bus/pci/devices")).unwrap();
        assert_eq!(functions.count(), DEVICES_MAX);
        let bridges: BTreeSet<&String> = hosts.config.served[SERVED.len()..].iter().collect();
        assert_eq!(bridges.len(), DEVICES_MAX);
        let nodes: BTreeSet<(u32, u32)> = hosts
            .config
            .nodes
            .iter()
            .map(|n| (n.major, n.minor))
            .collect();
        assert_eq!(nodes.len(), DEVICES_MAX);
        for node in &hosts.config.nodes {
            let metadata = fs::metadata(root.join(&node.path[1..])).unwrap();
            assert_eq!(
                (metadata.len(), metadata.permissions().mode() & 0o7777),
                (0, 0o660)
            );
            let minor = bus
                .join(node.path.rsplit('/').next().unwrap())
                .join("cdev_minor");
            assert_eq!(read(minor), format!("{}\n", node.minor));
        }
    }

    #[test]
    fn the_hosts_own_devices_stay_where_they_are_and_iax_devices_go() {
        let mut hosts = Hosts::new(2);
        hosts.put("sys/devices/system/cpu/online", "0-1\n");
        hosts.pci("0000:6f:01.0", "0x8086", "0x0b25");
        hosts.pci("0000:6f:02.0", "0x8086", "0x0cfe");
        hosts.pci("0000:00:02.0", "0x1af4", "0x0cfe");
        let root = hosts.write();
        let bus = root.join("sys/bus/pci/devices");
        let links: Vec<(String, PathBuf)> = names(&bus)
            .into_iter()
            .map(|name| (name.clone(), fs::read_link(bus.join(name)).unwrap()))
            .collect();
        let expected = [
            ("0000:00:02.0", "/sys/devices/pci0000:00/0000:00:02.0"),
            ("0000:6f:01.0", "/sys/devices/pci0000:6f/0000:6f:01.0"),
            ("0001:6a:02.0", "../../../devices/pci0001:6a/0001:6a:02.0"),
            ("0001:6f:02.0", "../../../devices/pci0001:6f/0001:6f:02.0"),
        ];
        let expected = expected.map(|(name, link)| (name.to_owned(), link.into()));
        assert_eq!(links, expected);
        assert_eq!(read(bus.join("0001:6a:02.0/numa_node")), "-1\n");
        assert_eq!(read(bus.join("0001:6a:02.0/local_cpulist")), "0-1\n");
        assert_eq!(
            hosts.config.served[SERVED.len()..],
            ["/sys/devices/pci0001:6a", "/sys/devices/pci0001:6f",]
        );
        // All that is there is served, or on the way to what is.
        let mut left = vec![PathBuf::from("/")];
        while let Some(path) = left.pop() {
            let inside = root.join(path.strip_prefix("/").unwrap());
            if hosts
                .config
                .served
                .iter()
                .any(|served| path == Path::new(served))
            {
                continue;
            }
            assert!(inside.is_dir(), "{}", path.display());
            left.extend(names(&inside).iter().map(|name| path.join(name)));
        }
        for served in &hosts.config.served {
            assert!(root.join(&served[1..]).exists(), "{served}");
        }
    }

    #[test]
    fn a_host_without_processors_is_none() {
        let hosts = Hosts::new(1);
        let error = write(
            hosts.dir.path(),
            &hosts.dir.path().join("host/proc"),
            &mut config(1),
        );
        let error = error.unwrap_err().to_string();
        assert!(error.starts_with("/proc/cpuinfo: "), "{error}");
    }
}
