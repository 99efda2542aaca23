//! What moves threads about, other than themselves.

use crate::cpus;
use crate::host::{Cpuset, Hotplug};
use crate::pages::Random;
use crate::run::Run;
use std::time::Duration;

fn pause(random: &mut Random, from: Duration, to: Duration) {
    let span = (to - from).as_micros() as usize;
    std::thread::sleep(from + Duration::from_micros(random.below(span) as u64));
}

/// Takes a CPU offline and brings it back.
pub(crate) fn toggle(run: &Run, hotplug: &Hotplug) {
    let mut random = Random(1);
    let (short, long) = (Duration::from_millis(5), Duration::from_millis(50));
    while !run.is_over() {
        for online in [false, true] {
            match run.change(|| hotplug.set(online)) {
                Ok(()) if online => run.counts.cycles.add(1),
                Ok(()) => {}
                Err(_) => run.counts.cycles_refused.add(1),
            }
            pause(&mut random, short, long);
        }
    }
    if run.change(|| hotplug.set(true)).is_err() {
        run.wrong(format!("cpu{} stays offline", hotplug.cpu));
    }
}

/// Changes the CPUs of the process' cpuset, and now and then takes the process
/// out of it.
pub(crate) fn flip(run: &Run, group: &Cpuset) {
    let mut random = Random(2);
    while !run.is_over() {
        let some = cpus::subset(&mut random, &run.online());
        // Refused for a CPU that has just gone, or is not back everywhere.
        if group.set(&some).is_ok() {
            run.counts.flips.add(1);
        }
        if !group.is_joined() {
            if group.version == 1 {
                run.counts.emptied.add(1);
            }
            // Refused as long as the group has no CPU.
            let _ = group.join();
        } else if random.below(16) == 0 && group.leave().is_ok() {
            pause(&mut random, Duration::ZERO, Duration::from_millis(5));
            let _ = group.join();
        }
        pause(
            &mut random,
            Duration::from_millis(1),
            Duration::from_millis(20),
        );
    }
}

/// Changes the affinity of threads that are in the middle of something.
pub(crate) fn shove(run: &Run) {
    let mut random = Random(3);
    while !run.is_over() {
        let some = cpus::subset(&mut random, &run.online());
        run.with_a_worker(&mut random, |thread| {
            if cpus::pin(Some(thread), &some) {
                run.counts.shoved.add(1);
            }
        });
        pause(
            &mut random,
            Duration::from_micros(100),
            Duration::from_millis(2),
        );
    }
}
