//! Queues, each with its device.

use super::verdict::Verdict;
use super::{LinkName, device, queue};
use crate::host::{Host, IaxDevice, WorkQueue};
use core::fmt;
use pagepress_abi::OpCap;

/// A queue, and whether the library would use it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Path {
    /// The device: `iax1`.
    pub device: String,
    /// The queue: `wq1.0`.
    pub queue: String,
    /// The package that the device is a part of.
    pub package: Option<u32>,
    /// The links that keep it from being used, with what was found.
    pub refused: Vec<(LinkName, String)>,
}

impl Path {
    /// Whether nothing keeps it from being used.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        self.refused.is_empty()
    }
}

/// A queue on the way through the chain.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pair<'a> {
    pub(super) device: &'a IaxDevice,
    pub(super) queue: &'a WorkQueue,
}

impl fmt::Display for Pair<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.device.name, self.queue.name)
    }
}

pub(super) fn pairs<'a>(devices: &[&'a IaxDevice]) -> Vec<Pair<'a>> {
    let pairs = |device: &&'a IaxDevice| {
        let device: &'a IaxDevice = device;
        device
            .queues
            .iter()
            .map(move |queue| Pair { device, queue })
    };
    devices.iter().flat_map(pairs).collect()
}

/// Every queue by itself, whatever becomes of the others.
pub(super) fn all(host: &Host) -> Vec<Path> {
    let devices: Vec<&IaxDevice> = host.devices.iter().flatten().collect();
    let pairs = pairs(&devices);
    // Those that may share the work are fit for it in all other ways.
    let fit = |pair: &&Pair<'_>| verdicts(host, pair, None).all(|(_, verdict)| verdict.is_good());
    let fit: Vec<Pair<'_>> = pairs.iter().filter(fit).copied().collect();
    let served = queue::served(&fit);
    let judge = |pair: &Pair<'_>| Path {
        device: pair.device.name.clone(),
        queue: pair.queue.name.clone(),
        package: pair.device.package,
        refused: verdicts(host, pair, Some(served))
            .filter(|(_, verdict)| !verdict.is_good())
            .map(|(name, verdict)| (name, verdict.found))
            .collect(),
    };
    pairs.iter().map(judge).collect()
}

/// What all links say of a queue; of its operations only if it is known what
/// the others do.
fn verdicts<'a>(
    host: &'a Host,
    pair: &'a Pair<'a>,
    served: Option<OpCap>,
) -> impl Iterator<Item = (LinkName, Verdict)> + 'a {
    let verdicts: [(LinkName, Option<Verdict>); 9] = [
        (LinkName::Iommu, Some(device::iommu(host, pair.device))),
        (LinkName::Device, Some(device::enabled(pair.device))),
        (LinkName::Engines, Some(queue::engines(pair))),
        (LinkName::WqEnabled, Some(queue::enabled(pair))),
        (LinkName::WqType, Some(queue::kind(pair))),
        (LinkName::WqMode, Some(queue::mode(pair))),
        (
            LinkName::WqOps,
            served.map(|served| queue::operations(pair, served)),
        ),
        (LinkName::Node, Some(queue::node(host, pair))),
        (LinkName::Permission, Some(queue::permission(host, pair))),
    ];
    let told = verdicts.into_iter();
    told.filter_map(|(name, verdict)| Some((name, verdict?)))
}
