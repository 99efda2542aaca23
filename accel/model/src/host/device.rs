//! A device that the driver has, with its groups, engines, queues and nodes.

use super::pci::{self, Pci, up};
use super::{Place, Tree};
use crate::profile::{Mode, Profile, QueueConfig};
use pagepress_abi::OpCap;

/// What a queue may transfer at a time if nobody has configured it.
const TRANSFER_UNLESS_SET: u64 = 2 << 20;

/// A device, set up.
///
/// All engines and all configured queues are in group 0, as [`Profile`] has it.
#[derive(Debug, Clone)]
pub struct Device {
    /// The number in its name; odd, as DSA devices have the even ones.
    pub id: u32,
    /// Its PCI address.
    pub address: String,
    /// Where it is.
    pub place: Place,
    /// Its registers.
    pub profile: Profile,
    /// Groups that can be configured.
    pub groups: u32,
    /// The queues that are configured, from number 0 on. The others are as the
    /// driver begins with them.
    pub queues: Vec<Queue>,
    /// The major number of its nodes.
    pub major: u32,
    /// Whether it says that it is a model, in an attribute that no kernel has.
    pub modelled: bool,
}

/// An enabled queue for programs.
#[derive(Debug, Clone)]
pub struct Queue {
    /// The name that an administrator would give it.
    pub label: String,
    /// Its configuration.
    pub config: QueueConfig,
    /// The minor number of its node.
    pub minor: u32,
    /// The mode of its node.
    pub node_mode: u32,
}

/// The PCI id of devices of this generation.
#[must_use]
pub fn pci_id(profile: &Profile) -> u16 {
    match profile.iaa_cap {
        None => 0x0CFE,
        Some(_) => 0x1216,
    }
}

/// A bitmap as kernels since 6.1 write it: words of 32 bits, the highest first.
fn bitmap(OpCap(words): OpCap) -> String {
    let halves = words
        .iter()
        .rev()
        .flat_map(|word| [word >> 32, word & 0xFFFF_FFFF]);
    let halves: Vec<String> = halves.map(|half| format!("{half:08x}")).collect();
    halves.join(",")
}

impl Device {
    /// Where the driver has it: `sys/devices/pci0000:6a/0000:6a:02.0/iax1`.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("{}/iax{}", pci::directory(&self.address), self.id)
    }

    /// Adds it, bound to the driver, with the nodes of its queues.
    pub fn put(&self, tree: &mut Tree) {
        let function = Pci {
            address: self.address.clone(),
            device: pci_id(&self.profile),
            place: self.place.clone(),
        };
        function.put(tree);
        pci::bind(tree, &self.address, "idxd");
        self.attributes(tree);
        self.engines(tree);
        self.groups(tree);
        for number in 0..self.profile.queues {
            self.queue(tree, number, self.queues.get(number));
        }
        self.on_the_bus(tree, &self.directory(), Some("idxd"));
    }

    fn attributes(&self, tree: &mut Tree) {
        let (at, profile) = (self.directory(), &self.profile);
        let mut set = |name: &str, value: &str| tree.line(&format!("{at}/{name}"), value);
        set("version", &format!("{:#x}", profile.version.0));
        set("state", "enabled");
        set("max_groups", &self.groups.to_string());
        set("max_engines", &profile.engines.to_string());
        set("max_work_queues", &profile.queues.to_string());
        set("max_work_queues_size", &profile.queue_entries.to_string());
        set(
            "max_transfer_size",
            &profile.gen_cap.max_transfer().to_string(),
        );
        set("op_cap", &bitmap(profile.op_cap));
        set("gen_cap", &format!("{:#x}", profile.gen_cap.0));
        // The driver hides it on generation 1, and on both what is about batches.
        if let Some(cap) = profile.iaa_cap {
            set("iaa_cap", &format!("{:#x}", cap.0));
        }
        set("configurable", &(profile.gen_cap.0 >> 31 & 1).to_string());
        set("pasid_enabled", "1");
        set("numa_node", &self.place.node_number());
        set("clients", "0");
        set("errors", &["00000000"; 8].join(","));
        set("cdev_major", &self.major.to_string());
        if self.modelled {
            set("modelled", "pagepress-model");
        }
        tree.writable_line(&format!("{at}/cmd_status"), "0");
    }

    fn engines(&self, tree: &mut Tree) {
        for engine in self.engine_names() {
            let at = format!("{}/{engine}", self.directory());
            tree.writable_line(&format!("{at}/group_id"), "0");
            self.on_the_bus(tree, &at, None);
        }
    }

    fn engine_names(&self) -> Vec<String> {
        let number = |number| format!("engine{}.{number}", self.id);
        (0..self.profile.engines).map(number).collect()
    }

    fn groups(&self, tree: &mut Tree) {
        for group in 0..self.groups {
            let at = format!("{}/group{}.{group}", self.directory(), self.id);
            let queues = (0..self.queues.len()).map(|q| format!("wq{}.{q}", self.id));
            // Of nothing, the driver writes not even a line.
            let list = |names: Vec<String>| match names.is_empty() || group > 0 {
                true => String::new(),
                false => names.join(" ") + "\n",
            };
            tree.file(&format!("{at}/engines"), list(self.engine_names()));
            tree.file(&format!("{at}/work_queues"), list(queues.collect()));
            tree.writable_line(&format!("{at}/traffic_class_a"), "1");
            tree.writable_line(&format!("{at}/traffic_class_b"), "1");
            self.on_the_bus(tree, &at, None);
        }
    }

    fn queue(&self, tree: &mut Tree, number: usize, queue: Option<&Queue>) {
        let name = format!("wq{}.{number}", self.id);
        let at = format!("{}/{name}", self.directory());
        let config = queue.map(|queue| queue.config);
        let dedicated = config.is_some_and(|config| config.mode == Mode::Dedicated);
        let threshold = config.filter(|_| !dedicated).map_or(0, |c| c.threshold);
        let transfer = config.map_or(TRANSFER_UNLESS_SET, |config| config.max_transfer);
        let allowed = config.map_or(self.profile.op_cap, |c| {
            c.op_config.and(self.profile.op_cap)
        });
        let if_set = |set, unset| if queue.is_some() { set } else { unset };

        let mut set = |name: &str, value: &str| tree.writable_line(&format!("{at}/{name}"), value);
        set("group_id", if_set("0", "-1"));
        set("mode", if dedicated { "dedicated" } else { "shared" });
        set("size", &config.map_or(0, |config| config.size).to_string());
        set("threshold", &threshold.to_string());
        set("priority", if_set("10", "0"));
        let waits = config.is_some_and(|config| config.block_on_fault);
        set("block_on_fault", if waits { "1" } else { "0" });
        set("type", if_set("user", "none"));
        set("driver_name", if_set("user", ""));
        set("name", queue.map_or("", |queue| &queue.label));
        set("max_transfer_size", &transfer.to_string());
        set("ats_disable", "0");
        set("prs_disable", "0");
        set("op_config", &bitmap(allowed));
        // The kernel retries for its own users, of shared queues only.
        if !dedicated {
            set("enqcmds_retries", "32");
        }
        let mut set = |name: &str, value: &str| tree.line(&format!("{at}/{name}"), value);
        set("state", if_set("enabled", "disabled"));
        set("clients", "0");
        set("occupancy", "0");
        if let Some(queue) = queue {
            // As long as the queue is disabled, reading it fails.
            set("cdev_minor", &queue.minor.to_string());
            let cdev = format!("{at}/iax!{name}");
            tree.line(
                &format!("{cdev}/dev"),
                format!("{}:{}", self.major, queue.minor),
            );
            self.on_the_bus(tree, &cdev, None);
            tree.file_with_mode(&format!("dev/iax/{name}"), "", queue.node_mode);
        }
        self.on_the_bus(tree, &at, queue.map(|_| "user"));
    }

    /// Links a directory into the bus, and to it and to a driver.
    fn on_the_bus(&self, tree: &mut Tree, at: &str, driver: Option<&str>) {
        let bus = "sys/bus/dsa";
        let levels = at.matches('/').count();
        let name = at.rsplit('/').next().unwrap_or_default();
        tree.link(&format!("{bus}/devices/{name}"), &up(3, at));
        tree.link(&format!("{at}/subsystem"), &up(levels, bus));
        if let Some(driver) = driver {
            let driver = format!("{bus}/drivers/{driver}");
            tree.link(&format!("{at}/driver"), &up(levels, &driver));
            tree.link(&format!("{driver}/{name}"), &up(4, at));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn device(profile: Profile, config: QueueConfig) -> Tree {
        let device = Device {
            id: 3,
            address: "0000:6f:02.0".to_owned(),
            place: Place {
                node: None,
                local_cpus: "0-1".to_owned(),
            },
            profile,
            groups: 2,
            queues: vec![Queue {
                label: "app".to_owned(),
                config,
                minor: 7,
                node_mode: 0o660,
            }],
            major: 235,
            modelled: true,
        };
        let mut tree = Tree::default();
        device.put(&mut tree);
        tree
    }

    const AT: &str = "sys/devices/pci0000:6f/0000:6f:02.0";

    fn text(tree: &Tree, path: &str) -> Option<String> {
        let content = tree.content(&format!("{AT}/{path}"))?;
        Some(String::from_utf8(content.to_owned()).unwrap())
    }

    /// What the kernel writes of these registers, down to the last character.
    #[test]
    fn registers_are_written_as_the_driver_does() {
        let one = device(Profile::GEN1, QueueConfig::shared(128));
        let two = device(Profile::GEN2, QueueConfig::shared(128));
        let operations =
            "00000000,00000000,00000000,00000000,00000000,0000001c,00000000,00000005\n";
        for (path, gen1, gen2) in [
            ("device", "0x0cfe\n", "0x1216\n"),
            ("class", "0x088000\n", "0x088000\n"),
            ("numa_node", "-1\n", "-1\n"),
            ("iax3/version", "0x100\n", "0x200\n"),
            ("iax3/gen_cap", "0x71f10901f0105\n", "0x71f10901f0105\n"),
            ("iax3/op_cap", operations, operations),
            ("iax3/max_transfer_size", "2147483648\n", "2147483648\n"),
            ("iax3/configurable", "1\n", "1\n"),
            ("iax3/wq3.0/op_config", operations, operations),
            ("iax3/wq3.1/op_config", operations, operations),
            ("iax3/group3.0/work_queues", "wq3.0\n", "wq3.0\n"),
            ("iax3/group3.1/engines", "", ""),
        ] {
            assert_eq!(text(&one, path).as_deref(), Some(gen1), "{path}");
            assert_eq!(text(&two, path).as_deref(), Some(gen2), "{path}");
        }
        assert_eq!(text(&one, "iax3/iaa_cap"), None);
        assert_eq!(text(&two, "iax3/iaa_cap").as_deref(), Some("0x1b5\n"));
        let engines = text(&one, "iax3/group3.0/engines").unwrap();
        assert!(engines.starts_with("engine3.0 engine3.1 ") && engines.ends_with(" engine3.7\n"));
    }

    #[test]
    fn queues_are_as_they_are_configured() {
        let config = QueueConfig {
            threshold: 32,
            op_config: OpCap::NONE.with(pagepress_abi::Opcode::COMPRESS),
            block_on_fault: false,
            ..QueueConfig::shared(64)
        };
        let dedicated = QueueConfig {
            mode: Mode::Dedicated,
            ..config
        };
        let (shared, dedicated) = (
            device(Profile::GEN1, config),
            device(Profile::GEN1, dedicated),
        );
        let compress = "00000000,00000000,00000000,00000000,00000000,00000008,00000000,00000000\n";
        for (attribute, in_shared, in_dedicated, unset) in [
            (
                "mode",
                Some("shared\n"),
                Some("dedicated\n"),
                Some("shared\n"),
            ),
            ("size", Some("64\n"), Some("64\n"), Some("0\n")),
            ("threshold", Some("32\n"), Some("0\n"), Some("0\n")),
            ("block_on_fault", Some("0\n"), Some("0\n"), Some("0\n")),
            (
                "max_transfer_size",
                Some("2147483648\n"),
                Some("2147483648\n"),
                Some("2097152\n"),
            ),
            ("enqcmds_retries", Some("32\n"), None, Some("32\n")),
            ("type", Some("user\n"), Some("user\n"), Some("none\n")),
            ("name", Some("app\n"), Some("app\n"), Some("\n")),
            (
                "state",
                Some("enabled\n"),
                Some("enabled\n"),
                Some("disabled\n"),
            ),
            ("group_id", Some("0\n"), Some("0\n"), Some("-1\n")),
            ("cdev_minor", Some("7\n"), Some("7\n"), None),
        ] {
            let of = |tree: &Tree, queue: u32| text(tree, &format!("iax3/wq3.{queue}/{attribute}"));
            assert_eq!(of(&shared, 0).as_deref(), in_shared, "{attribute}");
            assert_eq!(of(&dedicated, 0).as_deref(), in_dedicated, "{attribute}");
            assert_eq!(of(&shared, 7).as_deref(), unset, "{attribute}");
        }
        assert_eq!(
            text(&shared, "iax3/wq3.0/op_config").as_deref(),
            Some(compress)
        );
        assert_eq!(
            text(&shared, "iax3/wq3.0/iax!wq3.0/dev").as_deref(),
            Some("235:7\n")
        );
        assert_eq!(shared.content("dev/iax/wq3.0"), Some(&b""[..]));
        assert_eq!(shared.content("dev/iax/wq3.1"), None);
    }
}
