//! IAX devices on the PCI bus, whether a driver has them or not.

use crate::host::cpu::parse_list;
use crate::root::{Reading, Root};
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

pub(super) fn look(root: &Root) -> Reading<Vec<PciDevice>> {
    let bus = "sys/bus/pci/devices";
    let device = |address: String| {
        let at = |name: &str| format!("{bus}/{address}/{name}");
        let number = |name| root.number(at(name)).ok();
        let model = IaxModel::of(number("vendor")?, number("device")?)?;
        let local = root.attribute(at("local_cpulist")).ok();
        let directory = root.resolve(at("")).ok();
        let driver = directory.and_then(|d| {
            let target = std::fs::read_link(d.join("driver")).ok()?;
            Some(target.file_name()?.to_str()?.to_owned())
        });
        Some(PciDevice {
            driver,
            numa_node: number("numa_node"),
            local_cpus: local.and_then(|list| parse_list(&list)),
            package: None,
            model,
            address,
        })
    };
    Ok(root.list(bus)?.into_iter().filter_map(device).collect())
}
