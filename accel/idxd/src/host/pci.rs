//! IAX devices on the PCI bus, whether a driver has them or not.

use crate::host::cpu::parse_list;
use crate::root::{Reading, Root, Unread};
use serde::Serialize;

/// Which IAX device a PCI id stands for (`registers.h` of the idxd driver).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum IaxModel {
    /// Sapphire, Emerald and Granite Rapids: 0x0cfe.
    #[serde(rename = "SPR/EMR/GNR")]
    SapphireRapids,
    /// Diamond Rapids: 0x1216.
    #[serde(rename = "DMR")]
    DiamondRapids,
    /// Panther Lake: 0xb02d.
    #[serde(rename = "PTL")]
    PantherLake,
    /// Wildcat Lake: 0xfd2d.
    #[serde(rename = "WCL")]
    WildcatLake,
}

impl IaxModel {
    fn of(vendor: i64, device: i64) -> Option<Self> {
        match (vendor, device) {
            (0x8086, 0x0CFE) => Some(Self::SapphireRapids),
            (0x8086, 0x1216) => Some(Self::DiamondRapids),
            (0x8086, 0xB02D) => Some(Self::PantherLake),
            (0x8086, 0xFD2D) => Some(Self::WildcatLake),
            _ => None,
        }
    }

    /// Whether any process may map portals: not on the devices that
    /// INTEL-SA-01084 is about.
    #[must_use]
    pub fn is_user_submission_safe(self) -> bool {
        self != Self::SapphireRapids
    }
}

/// An IAX device on the PCI bus.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PciDevice {
    /// Domain, bus, device and function: `0000:6a:02.0`.
    pub address: String,
    /// Which one it is.
    pub model: IaxModel,
    /// The driver that has it.
    pub driver: Option<String>,
    /// Its NUMA node, -1 if it has none.
    pub numa_node: Option<i64>,
    /// The CPUs next to it.
    pub local_cpus: Option<Vec<u32>>,
    /// The package that it is a part of.
    pub package: Option<u32>,
}

/// Whether a name is a domain, bus, device and function.
pub(super) fn is_address(name: &str) -> bool {
    let parts: Vec<&str> = name.split([':', '.']).collect();
    let hex = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_hexdigit());
    parts.len() == 4 && parts.iter().all(hex)
}

/// Whether a name may be that of a driver, and be shown in a command.
fn is_driver(name: &str) -> bool {
    let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    !name.is_empty() && name.bytes().all(fits)
}

/// The devices, or why not even one could be told from others.
pub(super) fn look(root: &Root) -> Reading<Vec<PciDevice>> {
    let bus = "sys/bus/pci/devices";
    let (mut found, mut unread) = (Vec::new(), None);
    for address in root.list(bus)? {
        if !is_address(&address) {
            continue;
        }
        let at = |name: &str| format!("{bus}/{address}/{name}");
        let id = |name| root.number(at(name));
        let model = match (id("vendor"), id("device")) {
            (Ok(vendor), Ok(device)) => IaxModel::of(vendor, device),
            (Err(why), _) | (_, Err(why)) => {
                unread = unread.or(Some(format!("ids of {address}: {why}")));
                None
            }
        };
        let Some(model) = model else { continue };
        let local = root.attribute(at("local_cpulist")).ok();
        found.push(PciDevice {
            driver: root.link_name(at("driver")).filter(|name| is_driver(name)),
            numa_node: id("numa_node").ok(),
            local_cpus: local.and_then(|list| parse_list(&list)),
            package: None,
            model,
            address,
        });
    }
    match unread {
        Some(why) if found.is_empty() => Err(Unread::Failed(why)),
        _ => Ok(found),
    }
}
