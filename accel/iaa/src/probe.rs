//! A bounded look whether a queue works: a NOOP there and back, then a page.

#![expect(unsafe_code, reason = "descriptors name memory that the device writes")]

use crate::clock::Clock;
use crate::recipe::Base;
pub use crate::single::Failure;
use crate::single::Single;
use crate::tables;
use pagepress_abi::Portal;
use std::time::Duration;

/// Bytes of the page that goes there and back.
const PAGE: usize = 4096;
// Where everything is in the region.
const AECS: usize = 64;
const SOURCE: usize = PAGE;
const PACKED: usize = 2 * PAGE;
const RESTORED: usize = 4 * PAGE;
const BYTES: usize = 5 * PAGE;

/// A NOOP there and back; how long that took.
///
/// # Errors
/// [`Failure`], after `patience` at the latest.
pub fn noop(
    portal: &dyn Portal,
    clock: &dyn Clock,
    patience: Duration,
) -> Result<Duration, Failure> {
    let probe = Single::new(portal, clock, patience, BYTES)?;
    let start = clock.now();
    probe.run(Base::plain().noop())?;
    Ok(Duration::from_nanos(clock.now() - start))
}

/// How a page went through the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RoundTrip {
    /// Time to compress it, submission and waiting included.
    pub compress: Duration,
    /// Time to decompress it, likewise.
    pub decompress: Duration,
    /// Bytes that it had between.
    pub packed: usize,
}

/// Compresses a page with the fixed tables, decompresses it, and compares.
///
/// # Errors
/// [`Failure`], after `patience` at the latest.
pub fn round_trip(
    portal: &dyn Portal,
    clock: &dyn Clock,
    base: Base,
    patience: Duration,
) -> Result<RoundTrip, Failure> {
    let page: [u8; PAGE] = core::array::from_fn(|i| (i % 61 + i / 512) as u8);
    let probe = Single::new(portal, clock, patience, BYTES)?;
    // SAFETY: nothing is in flight.
    unsafe { probe.region.put(SOURCE, &page) };
    // SAFETY: as above.
    unsafe { probe.region.put(AECS, &tables::fixed_aecs()) };
    let mut descriptor = base.compress();
    (descriptor.src1, descriptor.src1_len) = (probe.region.address(SOURCE), PAGE as u32);
    (descriptor.dst, descriptor.dst_max) = (probe.region.address(PACKED), 2 * PAGE as u32);
    descriptor.src2 = probe.region.address(AECS);
    let start = clock.now();
    let (probe, completion) = probe.run(descriptor)?;
    let compress = Duration::from_nanos(clock.now() - start);
    let packed = completion.output_size;

    let mut descriptor = base.decompress();
    (descriptor.src1, descriptor.src1_len) = (probe.region.address(PACKED), packed);
    (descriptor.dst, descriptor.dst_max) = (probe.region.address(RESTORED), PAGE as u32);
    let start = clock.now();
    let (probe, completion) = probe.run(descriptor)?;
    let decompress = Duration::from_nanos(clock.now() - start);
    let mut restored = [0; PAGE];
    // SAFETY: the last descriptor has completed.
    unsafe { probe.region.get(RESTORED, &mut restored) };
    if completion.output_size as usize != PAGE || restored != page {
        return Err(Failure::Wrong);
    }
    Ok(RoundTrip {
        compress,
        decompress,
        packed: packed as usize,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::clock::HostClock;
    use pagepress_model::device::Device;
    use pagepress_model::faults::{Faults, Faulty};
    use pagepress_model::memory::Trusting;
    use pagepress_model::profile::{Profile, QueueConfig};
    use pagepress_model::time::{Costs, Timeline};

    pub(crate) const PATIENCE: Duration = Duration::from_millis(50);

    pub(crate) fn faulty(plan: &str) -> Faulty {
        let queues = [QueueConfig::shared(4)];
        let device = Device::new(Profile::GEN1, Trusting, &queues).unwrap();
        let timeline = Timeline::in_virtual_time();
        let queue = timeline.device(device, Costs::NONE).queue(0);
        Faulty::new(queue, &Faults::new(plan.parse().unwrap()))
    }

    #[test]
    fn a_sound_device_passes() {
        let portal = faulty("");
        noop(&portal, &HostClock::new(false), PATIENCE).unwrap();
        for block_on_fault in [false, true] {
            let base = Base::new(Profile::GEN1.gen_cap, block_on_fault);
            let trip = round_trip(&portal, &HostClock::new(false), base, PATIENCE).unwrap();
            assert!((100..4000).contains(&trip.packed), "{trip:?}");
        }
    }

    #[test]
    fn failures_are_told_and_bounded() {
        let told = |plan: &str| {
            let start = std::time::Instant::now();
            let failure = round_trip(
                &faulty(plan),
                &HostClock::new(false),
                Base::plain(),
                PATIENCE,
            )
            .unwrap_err();
            assert!(start.elapsed() < Duration::from_secs(20));
            failure.to_string()
        };
        assert_eq!(told("never@#2"), "no completion in 50ms");
        assert!(told("retry").contains("took nothing"));
        assert!(told("read-fault").contains("page fault"));
        assert!(told("error:0x1d").contains("own check failed"));
        assert_eq!(
            told("flip/decompress"),
            "the page that came back is another one"
        );
        assert!(noop(&faulty("never"), &HostClock::new(false), PATIENCE).is_err());
    }
}
