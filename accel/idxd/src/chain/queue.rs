//! The links that are about a work queue.

use super::fix;
use super::path::Pair;
use super::verdict::Verdict;
use super::{Status, device};
use crate::host::{Host, IaxDevice, Mode};
use crate::root::{Unread, short};
use pagepress_abi::{OpCap, Opcode};
use std::fs::OpenOptions;

/// The judgement of a device that has no configured queue.
pub(super) fn none(device: &IaxDevice) -> Verdict {
    if device.queues.is_empty() {
        return Verdict::unknown("no work queue is listed");
    }
    Verdict::broken("no work queue is configured").with(fix::set_up(device))
}

pub(super) fn enabled(pair: &Pair<'_>) -> Verdict {
    match &pair.queue.state {
        Ok(state) if state == "enabled" => Verdict::ok("enabled"),
        Ok(state) if state == "disabled" => {
            let last = device::last_command(pair.device);
            Verdict::broken(format!("disabled{last}")).with(fix::enable_queue(pair))
        }
        Ok(state) => Verdict::unknown(format!("its state is `{}`", short(state))),
        Err(unread) => Verdict::unknown(format!("its state: {unread}")),
    }
}

/// Whether there is an engine that works for it: not if its group has none.
pub(super) fn engines(pair: &Pair<'_>) -> Verdict {
    let device = device::engines(pair.device);
    let Ok(group) = pair.queue.group else {
        return device;
    };
    let engines = &pair.device.engines;
    if device.status != Status::Ok || engines.iter().any(|e| e.group == Ok(group)) {
        return device;
    }
    if let Some(unread) = engines.iter().find_map(|e| e.group.as_ref().err()) {
        return Verdict::unknown(format!("the groups of its device's engines: {unread}"));
    }
    Verdict::broken("no engine is in its group, so what is submitted to it waits forever")
        .with(fix::set_up(pair.device))
}

pub(super) fn kind(pair: &Pair<'_>) -> Verdict {
    let kind = match &pair.queue.kind {
        Ok(kind) => kind.as_str(),
        Err(unread) => return Verdict::unknown(format!("its type: {unread}")),
    };
    // Before Linux 6.7 the type alone says which driver it is.
    let driver = match &pair.queue.driver {
        Ok(driver) => Some(driver.as_str()),
        Err(Unread::Missing) => None,
        Err(unread) => return Verdict::unknown(format!("its driver: {unread}")),
    };
    if pair.queue.is_for_programs() {
        return Verdict::ok("for user space");
    }
    let found = match (kind, driver) {
        ("kernel", Some("crypto")) => {
            "claimed by the kernel's crypto driver (iaa_crypto)".to_owned()
        }
        ("user", Some("")) => "for user space, but without a driver".to_owned(),
        ("user", Some(driver)) => format!("for user space, but its driver is `{}`", short(driver)),
        (kind, Some(driver)) if !driver.is_empty() => {
            format!("of type `{}`, driver `{}`", short(kind), short(driver))
        }
        (kind, _) => format!("of type `{}`", short(kind)),
    };
    Verdict::broken(found).with(fix::reconfigure(pair, None))
}

pub(super) fn mode(pair: &Pair<'_>) -> Verdict {
    let queue = pair.queue;
    let size = match &queue.size {
        Ok(..1) => return Verdict::broken("it has no entries"),
        Ok(size) => *size,
        Err(unread) => return Verdict::unknown(format!("its size: {unread}")),
    };
    match &queue.mode {
        Err(unread) => Verdict::unknown(format!("its mode: {unread}")),
        Ok(Mode::Dedicated) => {
            let held = match queue.clients {
                Ok(1..) => ", and a process holds it",
                _ => "",
            };
            Verdict::degraded(format!("dedicated, {size} entries{held}"))
                .with(fix::reconfigure(pair, None))
        }
        Ok(Mode::Shared) => match &queue.threshold {
            Ok(threshold @ 1..) => {
                Verdict::ok(format!("shared, {size} entries, threshold {threshold}"))
            }
            Ok(_) => Verdict::broken("shared with a threshold of 0, so it takes nothing")
                .with(fix::reconfigure(pair, None)),
            Err(unread) => Verdict::unknown(format!("its threshold: {unread}")),
        },
    }
}

/// The least transfer that is of use: a page.
const PAGE: i64 = 4096;

/// What at least one of these queues allows.
pub(super) fn served(pairs: &[Pair<'_>]) -> OpCap {
    let mut served = OpCap::NONE;
    for pair in pairs {
        let allowed = match (&pair.queue.op_config, &pair.device.op_cap) {
            (Ok(set), _) | (Err(Unread::Missing), Ok(set)) => *set,
            _ => continue,
        };
        for (opcode, _) in NEEDED.iter().filter(|(opcode, _)| allowed.has(*opcode)) {
            served = served.with(*opcode);
        }
    }
    served
}

/// What pages need.
const NEEDED: [(Opcode, &str); 2] = [
    (Opcode::COMPRESS, "compress"),
    (Opcode::DECOMPRESS, "decompress"),
];

/// Queues may share the work: one compresses and another decompresses, as long
/// as `served` has both.
pub(super) fn operations(pair: &Pair<'_>, served: OpCap) -> Verdict {
    let (device, queue) = (pair.device, pair.queue);
    let lacking = |set: &OpCap| -> Option<String> {
        let lacking: Vec<&str> = NEEDED
            .into_iter()
            .filter_map(|(opcode, name)| (!set.has(opcode)).then_some(name))
            .collect();
        (!lacking.is_empty()).then(|| lacking.join(" and "))
    };
    if let Some(lacks) = device.op_cap.as_ref().ok().and_then(lacking) {
        return Verdict::broken(format!("the device cannot {lacks} (op_cap)"));
    }
    match (&queue.op_config, &device.op_cap) {
        // Before Linux 6.0 there is no op_config, and all is allowed.
        (Err(Unread::Missing), Ok(_)) => {}
        (Err(Unread::Missing), Err(unread)) => {
            return Verdict::unknown(format!("op_cap of the device: {unread}"));
        }
        (Err(unread), _) => return Verdict::unknown(format!("op_config: {unread}")),
        (Ok(set), _) => {
            let has_one = NEEDED.iter().any(|(opcode, _)| set.has(*opcode));
            let shares = has_one && lacking(&served).is_none();
            if let Some(lacks) = lacking(set).filter(|_| !shares) {
                let all = format!(
                    "cat {}/iax$i/op_cap > {}/op_config",
                    fix::DEVICES,
                    fix::attributes(queue)
                );
                return Verdict::broken(format!("op_config does not allow {lacks}"))
                    .with(fix::reconfigure(pair, Some(all)));
            }
        }
    }
    match &queue.max_transfer_size {
        Ok(most) if *most < PAGE => Verdict::broken(format!(
            "transfers of {most} bytes at most, and a page has {PAGE}"
        ))
        .with(fix::reconfigure(pair, None)),
        Ok(most) => {
            let does = match &queue.op_config {
                Ok(set) if !set.has(Opcode::COMPRESS) => "decompress only",
                Ok(set) if !set.has(Opcode::DECOMPRESS) => "compress only",
                _ => "compress and decompress",
            };
            Verdict::ok(format!("{does}, up to {} a transfer", size(*most)))
        }
        Err(unread) => Verdict::unknown(format!("max_transfer_size: {unread}")),
    }
}

fn size(bytes: i64) -> String {
    match bytes {
        b if b % (1 << 30) == 0 => format!("{} GiB", b >> 30),
        b if b % (1 << 20) == 0 => format!("{} MiB", b >> 20),
        b if b % (1 << 10) == 0 => format!("{} KiB", b >> 10),
        b => format!("{b} bytes"),
    }
}

pub(super) fn node(host: &Host, pair: &Pair<'_>) -> Verdict {
    let name = &pair.queue.name;
    let path = format!("/dev/iax/{name}");
    let numbers = match (&pair.device.cdev_major, &pair.queue.cdev_minor) {
        (Ok(major), Ok(minor)) => Ok((*major, *minor)),
        (Err(unread), _) => Err(format!("cdev_major: {unread}")),
        (_, Err(unread)) => Err(format!("cdev_minor: {unread}")),
    };
    let missing = |found: &str| {
        let numbers = numbers.as_ref().ok();
        Verdict::broken(found)
            .with(["docker run --device /dev/iax ...   # in a container".to_owned()])
            .with(numbers.map(|_| "mkdir -p /dev/iax   # on a host, as root".to_owned()))
            .with(numbers.map(|(major, minor)| format!("mknod -m 0600 {path} c {major} {minor}")))
    };
    let nodes = match &host.nodes {
        Ok(nodes) => nodes,
        Err(Unread::Missing) => return missing("/dev/iax is not there"),
        Err(unread) => return Verdict::unknown(format!("/dev/iax: {unread}")),
    };
    let Some(node) = nodes.iter().find(|node| node.name == *name) else {
        return missing("its node in /dev/iax is not there");
    };
    let (major, minor) = match numbers {
        Ok(numbers) => numbers,
        Err(unread) => {
            return Verdict::ok(format!(
                "a node in /dev/iax (its device numbers could not be checked; {unread})"
            ));
        }
    };
    if (i64::from(node.major), i64::from(node.minor)) == (major, minor) {
        return Verdict::ok("a node in /dev/iax");
    }
    let found = format!(
        "{path} is device {}:{}, and the queue is {major}:{minor}",
        node.major, node.minor
    );
    Verdict::broken(found).with([
        format!("rm {path}"),
        format!("mknod -m {:04o} {path} c {major} {minor}", node.mode),
        format!("chown {}:{} {path}", node.uid, node.gid),
    ])
}

pub(super) fn permission(host: &Host, pair: &Pair<'_>) -> Verdict {
    let name = &pair.queue.name;
    let path = format!("/dev/iax/{name}");
    let nodes = match &host.nodes {
        Ok(nodes) => nodes,
        Err(Unread::Missing) => return Verdict::broken("there is no node"),
        Err(unread) => return Verdict::unknown(format!("/dev/iax: {unread}")),
    };
    let Some(node) = nodes.iter().find(|node| node.name == *name) else {
        return Verdict::broken("there is no node");
    };
    let user = match &host.user {
        Ok(user) => user,
        Err(unread) => {
            return Verdict::unknown(format!("who asks (/proc/self/status): {unread}"));
        }
    };
    let (uid, mode) = (user.uid, node.mode & 0o777);
    if user.may_use(node.uid, node.gid, mode) {
        let by = match user.ignores_modes() {
            true => "CAP_DAC_OVERRIDE".to_owned(),
            false => format!("mode {mode:04o}"),
        };
        return Verdict::ok(format!("user {uid} may use it ({by})"));
    }
    // An access control list may allow what the mode does not. Opening a
    // shared queue takes it from nobody.
    if host.live && pair.queue.mode == Ok(Mode::Shared) {
        let opened = OpenOptions::new().read(true).write(true).open(&path);
        if opened.is_ok() {
            return Verdict::ok(format!("user {uid} may use it, by an access control list"));
        }
    } else if node.acl {
        return Verdict::unknown(format!(
            "mode {mode:04o} does not allow it to user {uid}, and its access control list is not \
             in the listing"
        ))
        .with([format!("getfacl {}", fix::node(pair.queue))]);
    }
    let found = format!(
        "user {uid} may not use it: owner {}, group {}, mode {mode:04o}",
        node.uid, node.gid
    );
    // To udev the node is `iax/wq1.0`; a mere `wq*` is the queue in sysfs.
    Verdict::broken(found).with([
        format!(
            "setfacl -m u:{uid}:rw {}   # until the queue is disabled",
            fix::node(pair.queue)
        ),
        format!(
            "groupadd -f iax && usermod -aG iax $(id -un {uid})   # for good, this and the rest; \
             then log in again"
        ),
        "echo 'SUBSYSTEM==\"dsa\", KERNEL==\"iax*wq*\", GROUP=\"iax\", MODE=\"0660\"' > \
         /etc/udev/rules.d/90-iax.rules"
            .to_owned(),
        "udevadm control --reload && udevadm trigger --subsystem-match=dsa".to_owned(),
    ])
}
