//! What stands between a program and a device, link by link.
//!
//! A link is [`Ok`](Status::Ok) while at least one device, or one of its work
//! queues, survives it; the links after it look at the survivors only, and what
//! failed elsewhere is advice. The first link that is [`Broken`](Status::Broken)
//! does not end the walk: the others are judged as if it were whole, as far as
//! there is something to judge.

mod advice;
mod device;
mod fix;
mod path;
mod platform;
mod queue;
mod verdict;

pub use path::Path;

use crate::host::{Host, IaxDevice};
use core::fmt;
use serde::{Serialize, Serializer};
use verdict::Verdict;

/// The links, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum LinkName {
    /// The processor has the instructions that submit.
    Cpu,
    /// There is an IAX device on the PCI bus.
    Pci,
    /// The idxd driver has it.
    Driver,
    /// The device can use a process' addresses.
    Iommu,
    /// The device is enabled.
    Device,
    /// One of its engines, at least, is in a group.
    Engines,
    /// A work queue is enabled.
    WqEnabled,
    /// The queue is for user space.
    WqType,
    /// The queue is shared.
    WqMode,
    /// The queue allows what pages need.
    WqOps,
    /// The queue has a node.
    Node,
    /// This user may open it.
    Permission,
    /// There is a way to submit.
    Submission,
    /// A NOOP comes back; only if asked for.
    Noop,
    /// A page comes back; only if asked for.
    Roundtrip,
}

impl LinkName {
    /// All links, in their order.
    pub const ALL: [Self; 15] = [
        Self::Cpu,
        Self::Pci,
        Self::Driver,
        Self::Iommu,
        Self::Device,
        Self::Engines,
        Self::WqEnabled,
        Self::WqType,
        Self::WqMode,
        Self::WqOps,
        Self::Node,
        Self::Permission,
        Self::Submission,
        Self::Noop,
        Self::Roundtrip,
    ];

    /// Its name, as it is written in JSON.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Pci => "pci",
            Self::Driver => "driver",
            Self::Iommu => "iommu",
            Self::Device => "device",
            Self::Engines => "engines",
            Self::WqEnabled => "wq-enabled",
            Self::WqType => "wq-type",
            Self::WqMode => "wq-mode",
            Self::WqOps => "wq-ops",
            Self::Node => "node",
            Self::Permission => "permission",
            Self::Submission => "submission",
            Self::Noop => "noop",
            Self::Roundtrip => "roundtrip",
        }
    }

    /// Why it matters.
    #[must_use]
    pub const fn why(self) -> &'static str {
        match self {
            Self::Cpu => "descriptors are submitted by ENQCMD or MOVDIR64B",
            Self::Pci => "an IAX device is an integrated PCI device of the processor",
            Self::Driver => "the idxd driver configures the device and makes its nodes",
            Self::Iommu => {
                "the device reads and writes this process' memory by its own addresses, \
                 which takes an IOMMU with shared virtual addressing (PASID)"
            }
            Self::Device => "a device that is not enabled executes nothing",
            Self::Engines => {
                "an engine works for the queues of its group, and one in no group idles"
            }
            Self::WqEnabled => "descriptors go to an enabled work queue",
            Self::WqType => "a queue of another type or driver has no node for programs",
            Self::WqMode => "a dedicated queue has one opener at a time, a shared one any number",
            Self::WqOps => {
                "a queue refuses operations that it is not configured for, and longer transfers"
            }
            Self::Node => "programs reach a queue through its node in /dev/iax",
            Self::Permission => "the node must be open for reading and writing",
            Self::Submission => {
                "descriptors go through a mapped portal, or, where mapping is refused, through write(2)"
            }
            Self::Noop => {
                "a descriptor that does nothing shows that submission and completion work"
            }
            Self::Roundtrip => {
                "a page that the device compresses and restores shows that all of it works"
            }
        }
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How a link is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// Whole.
    Ok,
    /// Nothing gets past it.
    Broken,
    /// It holds, with a drawback.
    Degraded,
    /// It could not be seen.
    Unknown,
    /// There was nothing to look at, or nobody asked.
    Skipped,
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Broken => "broken",
            Self::Degraded => "degraded",
            Self::Unknown => "unknown",
            Self::Skipped => "skipped",
        })
    }
}

/// One link, judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Link {
    /// Which one.
    pub name: LinkName,
    /// How it is.
    pub status: Status,
    /// What was found.
    pub found: String,
    /// Why it matters.
    pub why: &'static str,
    /// Commands that mend it, or, after `#`, what no command does.
    pub fix: Vec<String>,
}

impl Link {
    /// A link that a test on the device itself has judged.
    #[must_use]
    pub fn probed(name: LinkName, status: Status, found: String, fix: Vec<String>) -> Self {
        Self {
            name,
            status,
            found,
            why: name.why(),
            fix,
        }
    }

    fn skipped(name: LinkName, found: &str) -> Self {
        Self::probed(name, Status::Skipped, found.to_owned(), Vec::new())
    }
}

/// The whole chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnosis {
    /// The links, in their order.
    pub links: Vec<Link>,
    /// What is not broken and could be better, or is broken for some only.
    pub advice: Vec<String>,
    /// Every queue there is, and whether it would be used.
    pub paths: Vec<Path>,
    /// The devices that software stands in for: `iax1`.
    pub modelled: Vec<String>,
}

impl Diagnosis {
    /// Judges a host.
    #[must_use]
    pub fn of(host: &Host) -> Self {
        let mut walk = Walk {
            host,
            links: Vec::new(),
            advice: Vec::new(),
        };
        walk.run();
        let paths = path::all(host);
        advice::add(host, &paths, &mut walk.advice);
        let devices = host.devices.iter().flatten();
        let modelled = devices.filter(|device| device.modelled);
        Self {
            links: walk.links,
            advice: walk.advice,
            paths,
            modelled: modelled.map(|device| device.name.clone()).collect(),
        }
    }

    /// The link of that name.
    #[must_use]
    pub fn link(&self, name: LinkName) -> Option<&Link> {
        self.links.iter().find(|link| link.name == name)
    }

    /// Puts what a probe found in the place of a link.
    pub fn put(&mut self, link: Link) {
        if let Some(place) = self.links.iter_mut().find(|l| l.name == link.name) {
            *place = link;
        }
    }

    /// Whether the device can be used: no link is broken, and none that was
    /// looked for could not be seen.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        let bad = |link: &Link| matches!(link.status, Status::Broken | Status::Unknown);
        !self.links.iter().any(bad)
    }

    /// The first broken link.
    #[must_use]
    pub fn first_broken(&self) -> Option<&Link> {
        self.links.iter().find(|link| link.status == Status::Broken)
    }

    /// The first link that could not be seen.
    #[must_use]
    pub fn first_unknown(&self) -> Option<&Link> {
        self.links
            .iter()
            .find(|link| link.status == Status::Unknown)
    }
}

impl Serialize for Diagnosis {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Shown<'a> {
            schema: u32,
            usable: bool,
            first_broken: Option<LinkName>,
            links: &'a [Link],
            advice: &'a [String],
            modelled: &'a [String],
        }
        Shown {
            schema: 1,
            usable: self.is_usable(),
            first_broken: self.first_broken().map(|link| link.name),
            links: &self.links,
            advice: &self.advice,
            modelled: &self.modelled,
        }
        .serialize(serializer)
    }
}

/// A diagnosis under way.
struct Walk<'a> {
    host: &'a Host,
    links: Vec<Link>,
    advice: Vec<String>,
}

impl<'a> Walk<'a> {
    fn run(&mut self) {
        let host = self.host;
        self.one(LinkName::Cpu, platform::cpu(host));
        self.one(LinkName::Pci, platform::pci(host));
        let driver = platform::driver(host, &mut self.advice);
        self.one(LinkName::Driver, driver);
        let devices: Vec<&IaxDevice> = host.devices.iter().flatten().collect();
        if devices.is_empty() {
            for name in &LinkName::ALL[3..13] {
                self.links
                    .push(Link::skipped(*name, "there is no device to look at"));
            }
        } else {
            self.devices(devices);
        }
        for name in [LinkName::Noop, LinkName::Roundtrip] {
            self.links.push(Link::skipped(name, "not asked for"));
        }
    }

    fn devices(&mut self, mut devices: Vec<&'a IaxDevice>) {
        let host = self.host;
        self.sieve(
            LinkName::Iommu,
            &mut devices,
            |d| device::iommu(host, d),
            named,
        );
        self.sieve(
            LinkName::Device,
            &mut devices,
            |d| device::enabled(d),
            named,
        );
        self.sieve(
            LinkName::Engines,
            &mut devices,
            |d| device::engines(d),
            named,
        );

        // A slot that nobody configured is no defect while another is.
        let mut queues = path::pairs(&devices);
        queues.retain(|pair| pair.queue.is_configured());
        if queues.is_empty() {
            self.sieve(LinkName::WqEnabled, &mut devices, |d| queue::none(d), named);
        } else {
            self.sieve(
                LinkName::WqEnabled,
                &mut queues,
                |q| queue::enabled(q),
                |q| q.to_string(),
            );
        }
        if queues.is_empty() {
            for name in [LinkName::WqType, LinkName::WqMode, LinkName::WqOps] {
                self.links
                    .push(Link::skipped(name, "there is no work queue to look at"));
            }
        } else {
            self.sieve(
                LinkName::WqType,
                &mut queues,
                |q| queue::kind(q),
                |q| q.to_string(),
            );
            self.sieve(
                LinkName::WqMode,
                &mut queues,
                |q| queue::mode(q),
                |q| q.to_string(),
            );
            let served = queue::served(&queues);
            self.sieve(
                LinkName::WqOps,
                &mut queues,
                |q| queue::operations(q, served),
                |q| q.to_string(),
            );
        }
        let without_node = self.is_broken(LinkName::WqEnabled)
            || self.is_broken(LinkName::WqType)
            || queues.is_empty();
        if without_node {
            for name in [LinkName::Node, LinkName::Permission] {
                self.links.push(Link::skipped(
                    name,
                    "only an enabled queue for user space has a node",
                ));
            }
        } else {
            self.sieve(
                LinkName::Node,
                &mut queues,
                |q| queue::node(host, q),
                |q| q.to_string(),
            );
            if self.is_broken(LinkName::Node) {
                self.links
                    .push(Link::skipped(LinkName::Permission, "there is no node"));
            } else {
                let permission = |q: &path::Pair<'_>| queue::permission(host, q);
                self.sieve(LinkName::Permission, &mut queues, permission, |q| {
                    q.to_string()
                });
            }
        }
        let submission = platform::submission(host, &mut self.advice);
        self.one(LinkName::Submission, submission);
    }

    fn is_broken(&self, name: LinkName) -> bool {
        let link = self.links.iter().find(|link| link.name == name);
        link.is_some_and(|link| link.status == Status::Broken)
    }

    fn one(&mut self, name: LinkName, verdict: Verdict) {
        let Verdict { status, found, fix } = verdict;
        self.links.push(Link::probed(name, status, found, fix));
    }

    /// Judges all candidates, and leaves the survivors; all, if there are none.
    fn sieve<T: Clone>(
        &mut self,
        name: LinkName,
        candidates: &mut Vec<T>,
        judge: impl Fn(&T) -> Verdict,
        label: impl Fn(&T) -> String,
    ) {
        let judged: Vec<(String, Verdict)> =
            candidates.iter().map(|c| (label(c), judge(c))).collect();
        let (link, advice) = verdict::together(name, &judged);
        if matches!(link.status, Status::Ok | Status::Degraded) {
            let mut survives = judged.iter().map(|(_, verdict)| verdict.is_good());
            candidates.retain(|_| survives.next().unwrap_or(false));
        }
        self.links.push(link);
        self.advice.extend(advice);
    }
}

fn named(device: &&IaxDevice) -> String {
    device.name.clone()
}
