//! PCI functions, as the kernel's PCI core shows them.

use super::{Place, Tree};

/// Intel's.
const VENDOR: u16 = 0x8086;
/// System peripherals of no kind in particular: what DSA and IAA are.
const CLASS: u32 = 0x08_8000;
/// An address, or the flags, of a register block that is not there.
const NOWHERE: &str = "0x0000000000000000";

/// A PCI function of Intel's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pci {
    /// Domain, bus, device and function: `0000:6a:02.0`.
    pub address: String,
    /// Its device id.
    pub device: u16,
    /// Where it is.
    pub place: Place,
}

/// Where the kernel has the function of this address:
/// `sys/devices/pci0000:6a/0000:6a:02.0`.
#[must_use]
pub fn directory(address: &str) -> String {
    let bridge = address.rsplitn(2, ':').last().unwrap_or_default();
    format!("sys/devices/pci{bridge}/{address}")
}

/// Gives the function of this address to a driver.
pub fn bind(tree: &mut Tree, address: &str, driver: &str) {
    let at = directory(address);
    let target = format!("../../../bus/pci/drivers/{driver}");
    tree.link(&format!("{at}/driver"), &target);
    let driver = format!("sys/bus/pci/drivers/{driver}");
    tree.file_with_mode(&format!("{driver}/bind"), "", 0o644);
    tree.file_with_mode(&format!("{driver}/unbind"), "", 0o644);
    tree.link(&format!("{driver}/{address}"), &up(4, &at));
}

impl Pci {
    /// Adds it, without a driver.
    pub fn put(&self, tree: &mut Tree) {
        let at = directory(&self.address);
        let mut set = |name: &str, value: &str| tree.line(&format!("{at}/{name}"), value);
        set("vendor", &format!("{VENDOR:#06x}"));
        set("device", &format!("{:#06x}", self.device));
        set("subsystem_vendor", &format!("{VENDOR:#06x}"));
        set("subsystem_device", "0x0000");
        set("class", &format!("{CLASS:#08x}"));
        set("revision", "0x00");
        set("irq", "0");
        set("local_cpulist", &self.place.local_cpus);
        // None of its registers has an address.
        let no_resource = [NOWHERE; 3].join(" ");
        set("resource", &vec![no_resource; 13].join("\n"));
        tree.writable_line(&format!("{at}/enable"), "1");
        tree.writable_line(&format!("{at}/numa_node"), self.place.node_number());
        tree.file_with_mode(&format!("{at}/config"), self.header(), 0o644);
        tree.link(&format!("{at}/subsystem"), "../../../bus/pci");
        let link = format!("sys/bus/pci/devices/{}", self.address);
        tree.link(&link, &up(3, &at));
    }

    /// The part of its configuration space that every function has.
    fn header(&self) -> Vec<u8> {
        let mut header = vec![0; 64];
        let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
        put(0x00, &VENDOR.to_le_bytes());
        put(0x02, &self.device.to_le_bytes());
        // Memory decoding and bus mastering are on.
        put(0x04, &0x0006_u16.to_le_bytes());
        put(0x09, &CLASS.to_le_bytes()[..3]);
        put(0x2C, &VENDOR.to_le_bytes());
        header
    }
}

/// A link to what is in `sys`, from so many directories below it.
pub(super) fn up(levels: usize, path: &str) -> String {
    let below = path.strip_prefix("sys/").unwrap_or(path);
    "../".repeat(levels) + below
}
