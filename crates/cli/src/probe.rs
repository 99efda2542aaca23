//! `pagepress doctor --probe`: what only the device itself can say.

use crate::devices::labelled;
use pagepress_abi::{GenCap, Portal};
use pagepress_iaa::clock::HostClock;
use pagepress_iaa::probe::{self, Failure};
use pagepress_iaa::recipe::Base;
use pagepress_idxd::Host;
use pagepress_idxd::chain::{Diagnosis, Link, LinkName, Status};
use pagepress_idxd::host::{IaxDevice, WorkQueue};
use pagepress_idxd::queue::{OpenQueue, Route};
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Duration;

/// What a probe may take before the device counts as hanging: some 100,000
/// times what it takes.
const PATIENCE: Duration = Duration::from_secs(1);

/// Puts what the first usable queue answers into the diagnosis.
pub(crate) fn run(host: &Host, diagnosis: &mut Diagnosis) {
    let why_not = if !host.live {
        Some("a snapshot has no device to ask".to_owned())
    } else {
        let bad = diagnosis.first_broken().or(diagnosis.first_unknown());
        bad.map(|link| format!("{} comes first", link.name))
    };
    if let Some(why) = why_not {
        skip(diagnosis, &why);
        return;
    }
    let Some((device, queue)) = first_usable(host, diagnosis) else {
        skip(diagnosis, "there is no queue to ask");
        return;
    };
    let who = labelled(format!("{}/{}", device.name, queue.name), device);
    let opened = queue
        .mode
        .clone()
        .map_err(|unread| unread.to_string())
        .and_then(|mode| {
            let node = PathBuf::from("/dev/iax").join(&queue.name);
            OpenQueue::open(&node, mode).map_err(|error| match error.kind() {
                ErrorKind::ResourceBusy => "another process has it open".to_owned(),
                ErrorKind::Unsupported => {
                    "no shared virtual addressing for this process".to_owned()
                }
                _ => crate::error::describe(&error),
            })
        });
    let open = match opened {
        Ok(open) => open,
        Err(why) => {
            let found = format!("{who} cannot be opened: {why}");
            let fix = vec!["dmesg | grep -i idxd".to_owned()];
            diagnosis.put(Link::probed(LinkName::Noop, Status::Broken, found, fix));
            return;
        }
    };
    ask(&open, open.route(), (device, queue), diagnosis);
}

/// Sends a NOOP and then a page to an open queue.
fn ask(
    portal: &dyn Portal,
    route: Route,
    (device, queue): (&IaxDevice, &WorkQueue),
    diagnosis: &mut Diagnosis,
) {
    let who = labelled(format!("{}/{}", device.name, queue.name), device);
    let clock = HostClock::new(false);
    let noop = probe::noop(portal, &clock, PATIENCE).map(|time| {
        let us = time.as_secs_f64() * 1e6;
        format!("{who} answers by {route} in {us:.1} us")
    });
    let answers = noop.is_ok();
    put(
        diagnosis,
        LinkName::Noop,
        device,
        noop.map_err(|failure| (who.clone(), failure)),
    );
    if !answers {
        return;
    }
    let gen_cap = device.gen_cap.as_ref().map_or(0, |&bits| bits);
    let base = Base::new(GenCap(gen_cap), queue.block_on_fault == Ok(1));
    let trip = probe::round_trip(portal, &clock, base, PATIENCE).map(|trip| {
        let times = format!(
            "a page of 4096 bytes to {} in {:.1} us and back in {:.1} us",
            trip.packed,
            trip.compress.as_secs_f64() * 1e6,
            trip.decompress.as_secs_f64() * 1e6
        );
        labelled(times, device)
    });
    put(
        diagnosis,
        LinkName::Roundtrip,
        device,
        trip.map_err(|failure| (who, failure)),
    );
}

fn first_usable<'a>(
    host: &'a Host,
    diagnosis: &Diagnosis,
) -> Option<(&'a IaxDevice, &'a WorkQueue)> {
    let path = diagnosis.paths.iter().find(|path| path.is_usable())?;
    let device = host
        .devices
        .iter()
        .flatten()
        .find(|d| d.name == path.device)?;
    let queue = device
        .queues
        .iter()
        .find(|queue| queue.name == path.queue)?;
    Some((device, queue))
}

fn skip(diagnosis: &mut Diagnosis, why: &str) {
    for name in [LinkName::Noop, LinkName::Roundtrip] {
        let link = Link::probed(name, Status::Skipped, why.to_owned(), Vec::new());
        diagnosis.put(link);
    }
}

fn put(
    diagnosis: &mut Diagnosis,
    name: LinkName,
    device: &IaxDevice,
    result: Result<String, (String, Failure)>,
) {
    let link = match result {
        Ok(found) => Link::probed(name, Status::Ok, found, Vec::new()),
        Err((who, failure)) => {
            let fix = vec![
                format!("cat /sys/bus/dsa/devices/{}/errors", device.name),
                "dmesg | grep -iE 'idxd|dmar'".to_owned(),
                format!(
                    "accel-config disable-device {0} && accel-config enable-device {0}",
                    device.name
                ),
            ];
            Link::probed(name, Status::Broken, format!("{who}: {failure}"), fix)
        }
    };
    diagnosis.put(link);
}

#[cfg(test)]
mod tests {
    use super::*;
    use pagepress_idxd::Root;
    use pagepress_model::device::Device;
    use pagepress_model::memory::Trusting;
    use pagepress_model::profile::{Profile, QueueConfig};
    use std::fs;

    /// No time of a model's without the word.
    #[test]
    fn times_of_a_model_say_so() {
        let dir = tempfile::tempdir().unwrap();
        let at = |path: &str| dir.path().join("sys/bus/dsa/devices/iax1").join(path);
        fs::create_dir_all(at("wq1.0")).unwrap();
        let model = Device::new(Profile::GEN1, Trusting, &[QueueConfig::shared(16)]).unwrap();
        for modelled in [false, true] {
            if modelled {
                fs::write(at("modelled"), "pagepress-model\n").unwrap();
            }
            let host = Host::look(&Root::new(dir.path())).unwrap();
            let device = &host.devices.as_ref().unwrap()[0];
            let mut diagnosis = Diagnosis::of(&host);
            let asked = (device, &device.queues[0]);
            ask(&model.queue(0), Route::Enqcmd, asked, &mut diagnosis);
            for name in [LinkName::Noop, LinkName::Roundtrip] {
                let link = diagnosis.link(name).unwrap();
                assert_eq!(link.status, Status::Ok, "{link:?}");
                assert!(link.found.contains(" us"), "{link:?}");
                assert_eq!(link.found.contains("(modelled)"), modelled, "{link:?}");
            }
        }
    }
}
