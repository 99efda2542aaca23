//! Commands that mend.
//!
//! Those about a device are written for `iax$i`, so that the same commands for
//! several devices become loops: see [`for_all`].
//!
//! What the driver forgets decides what they are. Disabling a queue wipes its
//! type, driver, name, mode, threshold, priority, block-on-fault and operations;
//! disabling a device wipes also the sizes and groups of all its queues and
//! engines (`idxd_wq_disable_cleanup` and `idxd_device_clear_state` in
//! `drivers/dma/idxd/device.c`). Therefore nothing is disabled here without
//! being configured in full again. The order is the driver's: engines and sizes
//! on a disabled device, the rest on a disabled queue.

use super::path::Pair;
use crate::host::{IaxDevice, Mode, WorkQueue};
use crate::root::{Reading, Unread};
use pagepress_abi::GenCap;

/// Where the driver's devices are.
pub(super) const DEVICES: &str = "/sys/bus/dsa/devices";
/// What stands in front of a remark behind a command.
const REMARK: &str = "   # ";

/// A command for the devices of these numbers.
pub(super) fn for_all(command: &str, ids: &[&str]) -> String {
    match ids {
        _ if !command.contains("$i") => command.to_owned(),
        [id] => command.replace("$i", id),
        _ => {
            let (command, remark) = match command.split_once(REMARK) {
                Some((command, remark)) => (command, format!("{REMARK}{remark}")),
                None => (command, String::new()),
            };
            let ids = ids.join(" ");
            format!("for i in {ids}; do {command}; done{remark}")
        }
    }
}

/// A command alone.
pub(super) fn without_remark(command: &str) -> &str {
    command
        .split_once(REMARK)
        .map_or(command, |(command, _)| command)
}

/// Sets a device up from nothing: all engines in one group, one shared queue of
/// all entries.
pub(super) fn set_up(device: &IaxDevice) -> Vec<String> {
    let size = device.max_work_queues_size.as_ref().copied().unwrap_or(128);
    let disable = is_enabled(&device.state).then(|| {
        format!("accel-config disable-device iax$i{REMARK}ends all use of it, wipes its settings")
    });
    let settings = settings(device, None, size);
    disable
        .into_iter()
        .chain([
            group_engines(device),
            format!("accel-config config-wq iax$i/wq$i.0 --wq-size={size} {settings}"),
            "accel-config enable-device iax$i".into(),
            "accel-config enable-wq iax$i/wq$i.0".into(),
        ])
        .collect()
}

/// Starts a device that is disabled, with what is configured.
pub(super) fn start(device: &IaxDevice) -> Vec<String> {
    if !device.has_configured_queue() {
        return set_up(device);
    }
    let (mut before, mut after) = (Vec::new(), Vec::new());
    if device.grouped_engines() == 0 {
        before.push(group_engines(device));
    }
    for queue in device.queues.iter().filter(|q| q.is_configured()) {
        let commands = enable_queue(&Pair { device, queue });
        let (enable, configure) = commands.split_last().expect("a queue is enabled at last");
        before.extend_from_slice(configure);
        after.push(enable.clone());
    }
    before.push("accel-config enable-device iax$i".into());
    before.extend(after);
    before
}

/// Enables a queue that is disabled and has a size.
pub(super) fn enable_queue(pair: &Pair<'_>) -> Vec<String> {
    let queue = pair.queue;
    let name = template(queue);
    let threshold = queue.mode == Ok(Mode::Dedicated) || matches!(queue.threshold, Ok(1..));
    let ready = queue.is_for_programs()
        && threshold
        && queue.label.as_ref().is_ok_and(|label| !label.is_empty())
        && matches!(queue.group, Ok(0..));
    let configure = (!ready).then(|| configure_queue(pair));
    configure
        .into_iter()
        .chain([format!("accel-config enable-wq {name}")])
        .collect()
}

/// Gives a queue the settings that serve best, and does something more before
/// it is enabled again.
pub(super) fn reconfigure(pair: &Pair<'_>, more: Option<String>) -> Vec<String> {
    let name = template(pair.queue);
    let disable = is_enabled(&pair.queue.state)
        .then(|| format!("accel-config disable-wq {name}{REMARK}ends all use of it"));
    disable
        .into_iter()
        .chain(more)
        .chain([
            configure_queue(pair),
            format!("accel-config enable-wq {name}"),
        ])
        .collect()
}

/// Where a queue's attributes are.
pub(super) fn attributes(queue: &WorkQueue) -> String {
    format!("{DEVICES}/{}", template(queue))
}

/// Where a queue's node is.
pub(super) fn node(queue: &WorkQueue) -> String {
    format!("/dev/iax/wq$i.{}", number(queue))
}

fn configure_queue(pair: &Pair<'_>) -> String {
    let size = pair.queue.size.as_ref().copied().unwrap_or(128);
    let settings = settings(pair.device, Some(pair.queue), size);
    format!("accel-config config-wq {} {settings}", template(pair.queue))
}

/// All settings of a queue but its size, which takes a disabled device.
fn settings(device: &IaxDevice, queue: Option<&WorkQueue>, size: i64) -> String {
    let group = match queue.map(|queue| &queue.group) {
        Some(Ok(group @ 0..)) => *group,
        _ => 0,
    };
    // Before Linux 6.7 there is no driver to choose.
    let old = |queue: &WorkQueue| queue.driver == Err(Unread::Missing);
    let driver = match device.queues.iter().all(old) {
        true => "",
        false => " --driver-name=user",
    };
    let waits = device
        .gen_cap
        .as_ref()
        .is_ok_and(|&bits| !GenCap(bits).block_on_fault());
    let wait = if waits { "" } else { " --block-on-fault=1" };
    let most = device
        .max_transfer_size
        .as_ref()
        .copied()
        .unwrap_or(1 << 31);
    // A user's queue keeps its name: programs may look for it.
    let plain = |label: &&str| {
        let fits = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        !label.is_empty() && label.bytes().all(fits)
    };
    let name = queue
        .filter(|queue| queue.is_for_programs())
        .and_then(|queue| queue.label.as_deref().ok().filter(plain))
        .unwrap_or("pagepress");
    format!(
        "--group-id={group} --mode=shared --threshold={size} --priority=10{wait} \
         --type=user{driver} --name={name} --max-transfer-size={most}"
    )
}

/// Puts all engines of a disabled device into one group.
pub(super) fn group_engines(device: &IaxDevice) -> String {
    let last = device.engines.len().max(1) - 1;
    format!(
        "for e in $(seq 0 {last}); do accel-config config-engine iax$i/engine$i.$e \
         --group-id=0; done"
    )
}

/// Adds words to the kernel's command line.
pub(super) fn boot_with(words: &str) -> [String; 2] {
    [
        format!(
            "grubby --update-kernel=ALL --args=\"{words}\"{REMARK}without grubby: \
             GRUB_CMDLINE_LINUX in /etc/default/grub, then update-grub"
        ),
        "reboot".to_owned(),
    ]
}

/// Whether a device or queue is enabled, as far as can be seen.
pub(super) fn is_enabled(state: &Reading<String>) -> bool {
    state.as_ref().is_ok_and(|state| state == "enabled")
}

/// The queue of `iax$i` that has the number of this one.
fn template(queue: &WorkQueue) -> String {
    format!("iax$i/wq$i.{}", number(queue))
}

fn number(queue: &WorkQueue) -> &str {
    queue.name.rsplit('.').next().unwrap_or_default()
}
