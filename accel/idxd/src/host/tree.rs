//! The idxd driver's tree in sysfs (`Documentation/ABI/stable/
//! sysfs-driver-dma-idxd`).

use crate::host::reading;
use crate::root::{Reading, Root, Unread};
use pagepress_abi::{GenCap, IaaCap, OpCap, Opcode, SwError, Version};
use serde::{Serialize, Serializer};

/// Where the driver's devices are, below the root.
const DEVICES: &str = "sys/bus/dsa/devices";

/// A device, `iaxN`.
#[derive(Debug, Clone, Serialize)]
pub struct IaxDevice {
    /// Its name: `iax1`.
    pub name: String,
    /// Its PCI address.
    pub pci: Option<String>,
    /// Whether software stands in for it, as `pagepress vdev run` has it: there is an
    /// attribute `modelled`, which no kernel has. What is measured on it is no device's.
    pub modelled: bool,
    /// `enabled`, `disabled`, `halted` or `unknown`.
    #[serde(serialize_with = "reading")]
    pub state: Reading<String>,
    /// The VERSION register.
    #[serde(serialize_with = "hex")]
    pub version: Reading<u64>,
    /// The GENCAP register.
    #[serde(serialize_with = "hex")]
    pub gen_cap: Reading<u64>,
    /// The IAACAP register, on generation 2.
    #[serde(serialize_with = "hex")]
    pub iaa_cap: Reading<u64>,
    /// The operations it has.
    #[serde(serialize_with = "operations")]
    pub op_cap: Reading<OpCap>,
    /// Capabilities by name.
    pub capabilities: Vec<&'static str>,
    /// Groups that can be configured.
    #[serde(serialize_with = "reading")]
    pub max_groups: Reading<i64>,
    /// Engines.
    #[serde(serialize_with = "reading")]
    pub max_engines: Reading<i64>,
    /// Work queues that can be configured.
    #[serde(serialize_with = "reading")]
    pub max_work_queues: Reading<i64>,
    /// Entries to divide among them.
    #[serde(serialize_with = "reading")]
    pub max_work_queues_size: Reading<i64>,
    /// The most bytes of a transfer.
    #[serde(serialize_with = "reading")]
    pub max_transfer_size: Reading<i64>,
    /// Its NUMA node, -1 if it has none.
    #[serde(serialize_with = "reading")]
    pub numa_node: Reading<i64>,
    /// The package that it is a part of.
    pub package: Option<u32>,
    /// Whether its WQs can be configured.
    #[serde(serialize_with = "reading")]
    pub configurable: Reading<i64>,
    /// Whether processes can submit with their own addresses.
    #[serde(serialize_with = "reading")]
    pub pasid_enabled: Reading<i64>,
    /// Openers of all its queues.
    #[serde(serialize_with = "reading")]
    pub clients: Reading<i64>,
    /// Major number of its nodes.
    #[serde(serialize_with = "reading")]
    pub cdev_major: Reading<i64>,
    /// SWERROR, if it has one.
    #[serde(serialize_with = "reading")]
    pub error: Reading<Option<SoftwareError>>,
    /// How the last command ended, 0 for well.
    #[serde(serialize_with = "hex")]
    pub cmd_status: Reading<u64>,
    /// What that means.
    pub cmd_status_meaning: Option<&'static str>,
    /// Its groups.
    pub groups: Vec<Group>,
    /// Its engines.
    pub engines: Vec<Engine>,
    /// Its work queues.
    pub queues: Vec<WorkQueue>,
}

/// A group, `groupN.G`.
#[derive(Debug, Clone, Serialize)]
pub struct Group {
    /// Its name: `group1.0`.
    pub name: String,
    /// Names of its engines.
    pub engines: Vec<String>,
    /// Names of its queues.
    pub queues: Vec<String>,
    /// Traffic class A.
    #[serde(serialize_with = "reading")]
    pub traffic_class_a: Reading<i64>,
    /// Traffic class B.
    #[serde(serialize_with = "reading")]
    pub traffic_class_b: Reading<i64>,
}

/// An engine, `engineN.E`.
#[derive(Debug, Clone, Serialize)]
pub struct Engine {
    /// Its name: `engine1.0`.
    pub name: String,
    /// Its group, -1 if it is in none and does nothing.
    #[serde(serialize_with = "reading")]
    pub group: Reading<i64>,
}

/// Who may submit to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Anyone.
    Shared,
    /// One opener at a time.
    Dedicated,
}

/// A work queue, `wqN.M`.
#[derive(Debug, Clone, Serialize)]
pub struct WorkQueue {
    /// Its name: `wq1.0`.
    pub name: String,
    /// `enabled` or `disabled`.
    #[serde(serialize_with = "reading")]
    pub state: Reading<String>,
    /// Its group, -1 if it is in none.
    #[serde(serialize_with = "reading")]
    pub group: Reading<i64>,
    /// Who may submit.
    #[serde(serialize_with = "reading")]
    pub mode: Reading<Mode>,
    /// `none`, `kernel` or `user`.
    #[serde(serialize_with = "reading")]
    pub kind: Reading<String>,
    /// The driver that is to have it; not there before Linux 6.7.
    #[serde(serialize_with = "reading")]
    pub driver: Reading<String>,
    /// The name that the administrator gave it.
    #[serde(serialize_with = "reading")]
    pub label: Reading<String>,
    /// Entries.
    #[serde(serialize_with = "reading")]
    pub size: Reading<i64>,
    /// Entries that user space may fill, of a shared queue.
    #[serde(serialize_with = "reading")]
    pub threshold: Reading<i64>,
    /// Its priority.
    #[serde(serialize_with = "reading")]
    pub priority: Reading<i64>,
    /// Whether descriptors may ask to wait for page faults.
    #[serde(serialize_with = "reading")]
    pub block_on_fault: Reading<i64>,
    /// The most bytes of a transfer.
    #[serde(serialize_with = "reading")]
    pub max_transfer_size: Reading<i64>,
    /// Whether address translations are not cached.
    #[serde(serialize_with = "reading")]
    pub ats_disable: Reading<i64>,
    /// Whether page requests are off, which overrides waiting.
    #[serde(serialize_with = "reading")]
    pub prs_disable: Reading<i64>,
    /// The operations allowed; not there before Linux 6.0.
    #[serde(serialize_with = "operations")]
    pub op_config: Reading<OpCap>,
    /// Openers.
    #[serde(serialize_with = "reading")]
    pub clients: Reading<i64>,
    /// Minor number of its node.
    #[serde(serialize_with = "reading")]
    pub cdev_minor: Reading<i64>,
    /// Descriptors in it.
    #[serde(serialize_with = "reading")]
    pub occupancy: Reading<i64>,
}

/// What the SWERROR register holds (DSA 9.2.17).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SoftwareError {
    /// The error code.
    pub code: u8,
    /// What it means.
    pub meaning: Option<&'static str>,
    /// The queue, if it is about one.
    pub queue: Option<u8>,
    /// The operation, if it is about a descriptor.
    pub operation: Option<u8>,
    /// The address, 0 if it is about none.
    pub address: u64,
    /// Whether there were more.
    pub overflow: bool,
}

/// All devices of the driver that are called `iax` and a number.
pub(super) fn look(root: &Root) -> Reading<Vec<IaxDevice>> {
    let names = root.list(DEVICES)?;
    let mut devices: Vec<(u32, String)> = names
        .into_iter()
        .filter_map(|name| Some((name.strip_prefix("iax")?.parse().ok()?, name)))
        .collect();
    devices.sort();
    Ok(devices
        .into_iter()
        .map(|(id, name)| IaxDevice::look(root, id, name))
        .collect())
}

impl IaxDevice {
    fn look(root: &Root, id: u32, name: String) -> Self {
        let at = |attribute: &str| format!("{DEVICES}/{name}/{attribute}");
        let number = |attribute: &str| root.number(at(attribute));
        let register = |attribute: &str| number(attribute).map(|value| value as u64);
        let (gen_cap, iaa_cap) = (register("gen_cap"), register("iaa_cap"));
        let cmd_status = register("cmd_status");
        let children = root.list(at("")).unwrap_or_default();
        let of = |kind: &str| {
            let prefix = format!("{kind}{id}.");
            let number = |child: &String| child.strip_prefix(&prefix)?.parse::<u32>().ok();
            let mut found: Vec<(u32, String)> = children
                .iter()
                .filter_map(|child| Some((number(child)?, child.clone())))
                .collect();
            found.sort();
            found
                .into_iter()
                .map(|(_, child)| child)
                .collect::<Vec<_>>()
        };
        let child = |child: &str| at(child);
        Self {
            pci: pci_address(root, &at("")),
            // Whatever it says, or if it cannot be read: hardware has none.
            modelled: root.exists(at("modelled")),
            state: root.word(at("state")),
            version: register("version"),
            op_cap: root
                .attribute(at("op_cap"))
                .and_then(|text| parse_op_cap(&text)),
            capabilities: capabilities(gen_cap.as_ref().ok(), iaa_cap.as_ref().ok()),
            gen_cap,
            iaa_cap,
            max_groups: number("max_groups"),
            max_engines: number("max_engines"),
            max_work_queues: number("max_work_queues"),
            max_work_queues_size: number("max_work_queues_size"),
            max_transfer_size: number("max_transfer_size"),
            numa_node: number("numa_node"),
            package: None,
            configurable: number("configurable"),
            pasid_enabled: number("pasid_enabled"),
            clients: number("clients"),
            cdev_major: number("cdev_major"),
            error: root
                .attribute(at("errors"))
                .and_then(|text| SoftwareError::parse(&text)),
            cmd_status_meaning: cmd_status
                .as_ref()
                .ok()
                .and_then(|&status| command_status(status)),
            cmd_status,
            groups: of("group")
                .into_iter()
                .map(|g| Group::look(root, &child(&g), g))
                .collect(),
            engines: of("engine")
                .into_iter()
                .map(|e| Engine {
                    group: root.number(format!("{}/group_id", child(&e))),
                    name: e,
                })
                .collect(),
            queues: of("wq")
                .into_iter()
                .map(|q| WorkQueue::look(root, &child(&q), q))
                .collect(),
            name,
        }
    }

    /// Whether it is of generation 2 or later.
    #[must_use]
    pub fn is_gen2(&self) -> bool {
        self.version
            .as_ref()
            .is_ok_and(|&version| version >= u64::from(Version::GEN2.0))
    }

    /// Whether somebody has configured one of its queues.
    #[must_use]
    pub fn has_configured_queue(&self) -> bool {
        self.queues.iter().any(WorkQueue::is_configured)
    }

    /// Its engines that are in a group.
    #[must_use]
    pub fn grouped_engines(&self) -> usize {
        let grouped = |engine: &&Engine| engine.group.as_ref().is_ok_and(|&group| group >= 0);
        self.engines.iter().filter(grouped).count()
    }
}

impl Group {
    fn look(root: &Root, at: &str, name: String) -> Self {
        let names = |attribute: &str| {
            let text = root
                .attribute(format!("{at}/{attribute}"))
                .unwrap_or_default();
            text.split_whitespace().map(str::to_owned).collect()
        };
        Self {
            engines: names("engines"),
            queues: names("work_queues"),
            traffic_class_a: root.number(format!("{at}/traffic_class_a")),
            traffic_class_b: root.number(format!("{at}/traffic_class_b")),
            name,
        }
    }
}

impl WorkQueue {
    /// Whether somebody has configured it: unless it has no entries.
    #[must_use]
    pub fn is_configured(&self) -> bool {
        !matches!(self.size, Ok(..1))
    }

    /// Whether programs may have it. Before Linux 6.7 the type alone says so.
    #[must_use]
    pub fn is_for_programs(&self) -> bool {
        let driver = match &self.driver {
            Ok(driver) => driver == "user",
            Err(unread) => *unread == Unread::Missing,
        };
        driver && self.kind.as_ref().is_ok_and(|kind| kind == "user")
    }

    fn look(root: &Root, at: &str, name: String) -> Self {
        let attribute = |name: &str| root.attribute(format!("{at}/{name}"));
        let word = |name: &str| root.word(format!("{at}/{name}"));
        let number = |name: &str| root.number(format!("{at}/{name}"));
        let mode = attribute("mode").and_then(|mode| match mode.as_str() {
            "shared" => Ok(Mode::Shared),
            "dedicated" => Ok(Mode::Dedicated),
            _ => Err(Unread::instead_of(&mode, "a mode")),
        });
        Self {
            state: word("state"),
            group: number("group_id"),
            mode,
            kind: word("type"),
            driver: attribute("driver_name"),
            label: attribute("name"),
            size: number("size"),
            threshold: number("threshold"),
            priority: number("priority"),
            block_on_fault: number("block_on_fault"),
            max_transfer_size: number("max_transfer_size"),
            ats_disable: number("ats_disable"),
            prs_disable: number("prs_disable"),
            op_config: attribute("op_config").and_then(|text| parse_op_cap(&text)),
            clients: number("clients"),
            cdev_minor: number("cdev_minor"),
            occupancy: number("occupancy"),
            name,
        }
    }
}

impl SoftwareError {
    /// Reads the four words of the `errors` attribute.
    fn parse(text: &str) -> Reading<Option<Self>> {
        let words = parse_words(text).ok_or_else(|| Unread::instead_of(text, "error words"))?;
        let [first, _, address, _] = words;
        let bit = |n: u32| first >> n & 1 != 0;
        if !bit(0) {
            return Ok(None);
        }
        let code = (first >> 8) as u8;
        Ok(Some(Self {
            code,
            meaning: SwError(code).meaning(),
            queue: bit(3).then_some((first >> 16) as u8),
            operation: bit(2).then_some((first >> 32) as u8),
            address,
            overflow: bit(1),
        }))
    }
}

/// The PCI device that a device of the driver is part of: the directory above
/// it.
fn pci_address(root: &Root, device: &str) -> Option<String> {
    let directory = root.resolve(device).ok()?;
    let name = directory.parent()?.file_name()?.to_str()?;
    super::pci::is_address(name).then(|| name.to_owned())
}

fn parse_op_cap(text: &str) -> Reading<OpCap> {
    let words = parse_words(text).map(OpCap);
    words.ok_or_else(|| Unread::instead_of(text, "a set of operations"))
}

/// 256 bits in either of the driver's forms: eight words of 32 bits with
/// commas, the most significant first, or, from older kernels, four of 64 bits
/// with spaces, the least significant first.
fn parse_words(text: &str) -> Option<[u64; 4]> {
    let word = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    if text.contains(',') {
        // Each is written in full, so a shorter one is part of a truncated file.
        let full = |text: &str| (text.len() == 8).then(|| word(text)).flatten();
        let words: Vec<u64> = text.split(',').map(full).collect::<Option<_>>()?;
        if words.len() != 8 {
            return None;
        }
        let mut set = [0; 4];
        for (i, word) in words.into_iter().rev().enumerate() {
            set[i / 2] |= word << (32 * (i % 2));
        }
        return Some(set);
    }
    let words: Vec<u64> = text.split_whitespace().map(word).collect::<Option<_>>()?;
    words.try_into().ok()
}

/// What the capability words say, by name.
fn capabilities(gen_cap: Option<&u64>, iaa_cap: Option<&u64>) -> Vec<&'static str> {
    let general = gen_cap.map_or(GenCap(0), |&bits| GenCap(bits));
    let of_iaa = |cap: IaaCap| iaa_cap.is_some_and(|&bits| IaaCap(bits).has(cap));
    [
        (general.block_on_fault(), "block-on-fault"),
        (general.cache_control(), "cache-control"),
        (general.destination_readback(), "destination-readback"),
        (general.decompress(), "decompress"),
        (general.indexing(), "indexing"),
        (of_iaa(IaaCap::GEN2), "gen2"),
        (of_iaa(IaaCap::DROP_BITS), "drop-initial-bits"),
        (of_iaa(IaaCap::CRC64_CHAINING), "crc64-chaining"),
        (of_iaa(IaaCap::FORCE_ARRAY), "force-array"),
        (of_iaa(IaaCap::LOAD_PARTIAL), "load-partial-aecs"),
        (of_iaa(IaaCap::EARLY_ABORT), "early-abort"),
        (of_iaa(IaaCap::DICTIONARY), "dictionary"),
        (of_iaa(IaaCap::HEADER_GEN), "header-generation"),
    ]
    .into_iter()
    .filter_map(|(has, name)| has.then_some(name))
    .collect()
}

/// What the driver means by a command status (`idxd.h`, `enum
/// idxd_scmd_stat`), or the device (DSA table 5-8).
fn command_status(status: u64) -> Option<&'static str> {
    Some(match status {
        0x8000_0010 => "the device is enabled already",
        0x8000_0020 => "the device is not enabled",
        0x8000_0021 => "the work queue is enabled already",
        0x8002_0000 => "the DMA device could not be registered",
        0x8003_0000 => "the work queue is in no group",
        0x8004_0000 => "the work queue has no name",
        0x8005_0000 => "no shared virtual memory for the work queue",
        0x8006_0000 => "the shared work queue has no threshold",
        0x8007_0000 => "the portal could not be mapped",
        0x8008_0000 => "resources could not be allocated",
        0x8009_0000 => "a per-CPU counter could not be set up",
        0x800A_0000 => "the DMA channel could not be registered",
        0x800B_0000 => "the device node could not be made",
        0x800C_0000 => "shared work queues are not supported",
        0x800D_0000 => "nothing is configured",
        0x800E_0000 => "the work queue has no size",
        0x800F_0000 => "a privileged work queue cannot be enabled",
        0x8010_0000 => "interrupts could not be set up",
        0x8011_0000 => "user work queues need the IOMMU with shared virtual memory",
        0x8012_0000 => "the event log could not be set up",
        0x8020_0000 => "the work queue has no driver name",
        0x10..=0x1B => "the device refused to be enabled",
        0x22 => "the device refused the work queue: no size",
        0x23 => "the device refused the work queue: priority 0",
        0x25 => "the device refused the work queue: block-on-fault without page requests",
        0x26 => "the device refused the work queue: PASID",
        0x28 => "the device refused the work queue: maximum transfer size",
        0x2D => "the device refused the work queue: operations",
        0x20..=0x2E => "the device refused the work queue",
        _ => return None,
    })
}

fn hex<S: Serializer>(register: &Reading<u64>, serializer: S) -> Result<S::Ok, S::Error> {
    reading(
        &register.clone().map(|value| format!("{value:#x}")),
        serializer,
    )
}

fn operations<S: Serializer>(set: &Reading<OpCap>, serializer: S) -> Result<S::Ok, S::Error> {
    let names = set.clone().map(|set| {
        let name = |code: u8| {
            let opcode = Opcode(code);
            opcode
                .name()
                .map_or_else(|| format!("{code:#04x}"), str::to_owned)
        };
        let has = |&code: &u8| set.has(Opcode(code));
        (0..=u8::MAX).filter(has).map(name).collect::<Vec<_>>()
    });
    reading(&names, serializer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_op_cap() {
        let new = "00000000,00000000,00000000,00000000,00000000,007f331c,00000000,0000000d";
        assert_eq!(parse_op_cap(new), Ok(OpCap::SAPPHIRE_RAPIDS));
        assert_eq!(parse_op_cap("0xd 0x7f331c 0 0"), Ok(OpCap::SAPPHIRE_RAPIDS));
        // Half of it is none of it: the upper half alone would say "nothing".
        let half = &new[..36];
        for wrong in ["", "x", "1,2,3,4,5,6,7,8,9", "100000000,0", "0x1 0x2", half] {
            assert!(parse_op_cap(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn errors_are_taken_apart() {
        let none = "0x0000000000000000 0x0000000000000000 0x0000000000000000 0x0000000000000000";
        assert_eq!(SoftwareError::parse(none), Ok(None));
        let error = "0x000000430002530d 0x0000000000000000 0x0000000000000000 0x0000000000000000";
        assert_eq!(
            SoftwareError::parse(error),
            Ok(Some(SoftwareError {
                code: 0x53,
                meaning: SwError::QUEUE_FULL.meaning(),
                queue: Some(2),
                operation: Some(0x43),
                address: 0,
                overflow: false,
            }))
        );
        // Kernels that write op_cap with commas write this so, too.
        let error = "00000000,00000000,00000000,00000000,00000000,00000000,00000043,0002530d";
        let error = SoftwareError::parse(error).unwrap().unwrap();
        assert_eq!((error.code, error.queue), (0x53, Some(2)));
        assert!(SoftwareError::parse("1 2").is_err());
    }
}
