//! Queues after an outage, and what a Drain says of them.

#![expect(unsafe_code, reason = "descriptors name memory of the test")]

use crate::client::{Region, shared};
use pagepress_abi::flags::op;
use pagepress_abi::{Descriptor, Opcode, Portal, Submission};
use pagepress_model::device::Device;
use pagepress_model::faults::{Faults, Faulty};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::Profile;
use pagepress_model::time::{Costs, Timeline};

fn portal(plan: &str) -> (Faulty, Timeline) {
    let device = Device::new(Profile::GEN1, Trusting, &[shared(2)]).unwrap();
    let timeline = Timeline::in_virtual_time();
    let queue = timeline.device(device, Costs::SAPPHIRE_RAPIDS).queue(0);
    let faults = Faults::new(plan.parse().unwrap());
    (Faulty::new(queue, &faults), timeline)
}

fn submit(portal: &Faulty, opcode: Opcode, record: Option<u64>) -> Submission {
    let flags = record.map_or(0, |_| op::CRAV | op::RCR);
    let mut descriptor = Descriptor::new(opcode, flags);
    descriptor.completion = record.unwrap_or(0);
    // SAFETY: a descriptor names nothing but a record, of a region that
    // outlives the timeline.
    unsafe { portal.submit(&descriptor.to_bytes()) }
}

#[test]
fn a_queue_full_of_what_an_outage_ended_takes_more() {
    for outage in ["halt:10us", "disable:10us"] {
        let (portal, timeline) = portal(&format!("never,{outage}@#2"));
        for _ in 0..2 {
            assert_eq!(submit(&portal, Opcode::NOOP, None), Submission::Accepted);
        }
        assert_eq!(submit(&portal, Opcode::NOOP, None), Submission::Retry);
        timeline.advance(20_000);
        assert_eq!(portal.queue().queue().occupancy(), 0, "{outage}");
        assert_eq!(submit(&portal, Opcode::NOOP, None), Submission::Accepted);
    }
}

#[test]
fn a_drain_is_overtaken_by_nothing_that_came_before() {
    let records = Region::new(128);
    let (portal, timeline) = portal("reorder@#1");
    let (first, drain) = (records.address(), records.address() + 64);
    assert_eq!(
        submit(&portal, Opcode::NOOP, Some(first)),
        Submission::Accepted
    );
    assert_eq!(
        submit(&portal, Opcode::DRAIN, Some(drain)),
        Submission::Accepted
    );
    while records.get(64, 1) == [0] {
        assert!(timeline.step());
    }
    assert_eq!(records.get(0, 1), [1]);
}
