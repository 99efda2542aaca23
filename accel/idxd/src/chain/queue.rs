//! The links that are about a work queue.

use super::fix;
use super::path::Pair;
use super::verdict::Verdict;
use crate::host::{Host, Mode};
use crate::root::{Unread, short};
use pagepress_abi::Opcode;
use std::fs::OpenOptions;

/// Whether somebody has configured it.
pub(super) fn is_configured(pair: &Pair<'_>) -> bool {
    matches!(pair.queue.size, Ok(1..))
}

pub(super) fn enabled(pair: &Pair<'_>) -> Verdict {
    match &pair.queue.state {
        Ok(state) if state == "enabled" => Verdict::ok("enabled"),
        Ok(state) if state == "disabled" && is_configured(pair) => {
            Verdict::broken("disabled").with([format!("accel-config enable-wq {pair}")])
        }
        Ok(state) if state == "disabled" => {
            let verdict = Verdict::broken("disabled, and not configured");
            // One of a device's queues is enough.
            if pair.device.queues.iter().any(|q| matches!(q.size, Ok(1..)))
                || !pair.queue.name.ends_with(".0")
            {
                verdict
            } else {
                verdict
                    .with([format!("accel-config disable-device {}", pair.device.name)])
                    .with(fix::configure(pair.device))
            }
        }
        Ok(state) => Verdict::unknown(format!("its state is `{}`", short(state))),
        Err(unread) => Verdict::unknown(format!("its state: {unread}")),
    }
}

pub(super) fn kind(pair: &Pair<'_>) -> Verdict {
    let kind = match &pair.queue.kind {
        Ok(kind) => kind.as_str(),
        Err(unread) => return Verdict::unknown(format!("its type: {unread}")),
    };
    // Before Linux 6.7 the type says which driver it is.
    let driver = match &pair.queue.driver {
        Ok(driver) => Some(driver.as_str()),
        Err(Unread::Missing) => None,
        Err(unread) => return Verdict::unknown(format!("its driver: {unread}")),
    };
    if kind == "user" && driver.is_none_or(|driver| driver == "user") {
        return Verdict::ok("for user space");
    }
    let found = match (kind, driver) {
        ("kernel", Some("crypto")) => {
            "claimed by the kernel's crypto driver (iaa_crypto)".to_owned()
        }
        ("user", Some(driver)) => format!("for user space, but its driver is `{}`", short(driver)),
        (kind, Some(driver)) if !driver.is_empty() => {
            format!("of type `{}`, driver `{}`", short(kind), short(driver))
        }
        (kind, _) => format!("of type `{}`", short(kind)),
    };
    Verdict::broken(found).with([
        format!("accel-config disable-wq {pair}"),
        format!("accel-config config-wq {pair} --type=user --driver-name=user --name=pagepress"),
        format!("accel-config enable-wq {pair}"),
    ])
}

pub(super) fn mode(pair: &Pair<'_>) -> Verdict {
    let queue = pair.queue;
    let reconfigure = |arguments: &str| {
        [
            format!("accel-config disable-wq {pair}"),
            format!("accel-config config-wq {pair} {arguments}"),
            format!("accel-config enable-wq {pair}"),
        ]
    };
    let size = match &queue.size {
        Ok(size) => *size,
        Err(unread) => return Verdict::unknown(format!("its size: {unread}")),
    };
    if size < 1 {
        return Verdict::broken("it has no entries").with(fix::configure(pair.device));
    }
    match &queue.mode {
        Err(unread) => Verdict::unknown(format!("its mode: {unread}")),
        Ok(Mode::Dedicated) => {
            let held = match queue.clients {
                Ok(1..) => ", and another process holds it",
                _ => "",
            };
            Verdict::degraded(format!("dedicated, {size} entries{held}"))
                .with(reconfigure(&format!("--mode=shared --threshold={size}")))
        }
        Ok(Mode::Shared) => match &queue.threshold {
            Ok(1..) | Err(Unread::Missing) => {
                let threshold = queue.threshold.as_ref().copied().unwrap_or(size);
                Verdict::ok(format!("shared, {size} entries, threshold {threshold}"))
            }
            Ok(_) => Verdict::broken("shared with a threshold of 0, which takes nothing")
                .with(reconfigure(&format!("--threshold={size}"))),
            Err(unread) => Verdict::unknown(format!("its threshold: {unread}")),
        },
    }
}

/// The least transfer that is of use: a page.
const PAGE: i64 = 4096;

pub(super) fn operations(pair: &Pair<'_>) -> Verdict {
    let (device, queue) = (pair.device, pair.queue);
    let lacking = |set: &pagepress_abi::OpCap| -> Vec<&'static str> {
        [
            (Opcode::COMPRESS, "compress"),
            (Opcode::DECOMPRESS, "decompress"),
        ]
        .into_iter()
        .filter_map(|(opcode, name)| (!set.has(opcode)).then_some(name))
        .collect()
    };
    match &device.op_cap {
        Ok(set) if !lacking(set).is_empty() => {
            let lacks = lacking(set).join(" and ");
            return Verdict::broken(format!("the device has no {lacks}"));
        }
        Err(Unread::Missing) | Ok(_) => {}
        Err(unread) => return Verdict::unknown(format!("op_cap of the device: {unread}")),
    }
    let at = format!("{}/{}/{}", fix::DEVICES, device.name, queue.name);
    let rewrite = |command: String| {
        [
            format!("accel-config disable-wq {pair}"),
            command,
            format!("accel-config enable-wq {pair}"),
        ]
    };
    match &queue.op_config {
        Ok(set) if !lacking(set).is_empty() => {
            let lacks = lacking(set).join(" and ");
            let all = format!(
                "cat {}/{}/op_cap > {at}/op_config",
                fix::DEVICES,
                device.name
            );
            return Verdict::broken(format!("op_config does not allow {lacks}")).with(rewrite(all));
        }
        // Before Linux 6.0 there is none, and all is allowed.
        Err(Unread::Missing) | Ok(_) => {}
        Err(unread) => return Verdict::unknown(format!("op_config: {unread}")),
    }
    match &queue.max_transfer_size {
        Ok(most) if *most < PAGE => {
            let raise = format!("echo 2147483648 > {at}/max_transfer_size");
            Verdict::broken(format!("transfers of {most} bytes at most")).with(rewrite(raise))
        }
        Ok(most) => Verdict::ok(format!(
            "compress and decompress, up to {} a transfer",
            size(*most)
        )),
        Err(Unread::Missing) => Verdict::ok("compress and decompress"),
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
    let missing = |found: String| {
        Verdict::broken(found).with([
            format!("ls -l /dev/iax/{name}"),
            format!("docker run --device /dev/iax/{name} ...   # in a container"),
            "udevadm trigger --subsystem-match=dsa --action=add   # on the host itself".to_owned(),
        ])
    };
    let nodes = match &host.nodes {
        Ok(nodes) => nodes,
        Err(Unread::Missing) => return missing("/dev/iax is not there".to_owned()),
        Err(unread) => return Verdict::unknown(format!("/dev/iax: {unread}")),
    };
    let Some(node) = nodes.iter().find(|node| node.name == *name) else {
        return missing(format!("/dev/iax/{name} is not there"));
    };
    let numbers = (i64::from(node.major), i64::from(node.minor));
    match (&pair.device.cdev_major, &pair.queue.cdev_minor) {
        (Ok(major), Ok(minor)) if (*major, *minor) != numbers => {
            let found = format!(
                "/dev/iax/{name} is device {}:{}, the queue is {major}:{minor}",
                numbers.0, numbers.1
            );
            Verdict::broken(found).with([
                format!("rm /dev/iax/{name}"),
                format!("mknod /dev/iax/{name} c {major} {minor}"),
            ])
        }
        _ => Verdict::ok(format!("/dev/iax/{name}")),
    }
}

pub(super) fn permission(host: &Host, pair: &Pair<'_>) -> Verdict {
    let name = &pair.queue.name;
    let nodes = host.nodes.iter().flatten();
    let Some(node) = nodes.into_iter().find(|node| node.name == *name) else {
        return Verdict::broken("there is no node");
    };
    let user = &host.user;
    let mode = node.mode & 0o777;
    if user.may_use(node.uid, node.gid, mode) {
        return Verdict::ok(format!("user {} may use it (mode {mode:04o})", user.uid));
    }
    // An access control list may allow what the mode does not. Opening a
    // shared queue takes it from nobody.
    let shared = matches!(pair.queue.mode, Ok(Mode::Shared));
    let path = format!("/dev/iax/{name}");
    if host.live
        && shared
        && OpenOptions::new()
            .read(true)
            .write(true)
            .open(&path)
            .is_ok()
    {
        return Verdict::ok(format!(
            "user {} may use it, by an access control list",
            user.uid
        ));
    }
    let found = format!(
        "user {} may not use it: owner {}, group {}, mode {mode:04o}",
        user.uid, node.uid, node.gid
    );
    Verdict::broken(found).with([
        format!(
            "setfacl -m u:{}:rw {path}   # until the queue is disabled",
            user.uid
        ),
        format!(
            "echo 'SUBSYSTEM==\"dsa\", KERNEL==\"wq*\", GROUP=\"iax\", MODE=\"0660\"' > \
             /etc/udev/rules.d/90-iax.rules; groupadd -f iax; usermod -aG iax $(id -un {}); \
             udevadm control --reload; udevadm trigger --subsystem-match=dsa   # for good",
            user.uid
        ),
    ])
}
