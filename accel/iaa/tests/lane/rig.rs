//! Lanes on modelled devices, and batches of pages for them.

use core::ops::ControlFlow;
use pagepress_abi::{GenCap, Portal};
use pagepress_fallback::tables::Tables;
use pagepress_iaa::clock::{Clock, Watched};
use pagepress_iaa::fleet::{Facts, Fleet};
use pagepress_iaa::lane::{
    Answer, Batch, Format, Input, Lane, MakeTables, Reason, Settings, Shared, Store, Verify,
};
use pagepress_iaa::recipe::Base;
use pagepress_iaa::tables::Codes;
use pagepress_model::device::Device;
use pagepress_model::faults::{Faults, Faulty};
use pagepress_model::memory::Trusting;
use pagepress_model::profile::{Mode, Profile, QueueConfig};
use pagepress_model::time::{Costs, Timeline};
use std::sync::Arc;
use std::time::Duration;

/// Virtual time.
#[derive(Debug)]
pub(crate) struct Virtual(pub(crate) Timeline);

impl Clock for Virtual {
    fn now(&self) -> u64 {
        self.0.now()
    }

    fn wait(&self, _round: u32, _status: Watched, until: u64) {
        self.0.step_until(until);
    }
}

/// What a rig is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    pub(crate) profile: Profile,
    pub(crate) queue: QueueConfig,
    pub(crate) devices: usize,
    pub(crate) costs: Costs,
    pub(crate) faults: String,
    pub(crate) settings: Settings,
}

impl Plan {
    pub(crate) fn new(profile: Profile, format: Format) -> Self {
        Self {
            profile,
            queue: QueueConfig::shared(16),
            devices: 1,
            costs: Costs::SAPPHIRE_RAPIDS,
            faults: String::new(),
            settings: Settings {
                slots: 8,
                unit: 4096,
                accept_limit: 4095,
                format,
                verify: Verify::Off,
                patience: Duration::from_millis(1),
                faults_most: 2,
            },
        }
    }
}

/// A lane, and the world around it.
pub(crate) struct Rig {
    pub(crate) lane: Lane,
    pub(crate) devices: Vec<Device>,
}

impl Rig {
    pub(crate) fn new(plan: &Plan) -> Self {
        let timeline = Timeline::in_virtual_time();
        let faults = Faults::new(plan.faults.parse().expect("a plan"));
        let devices: Vec<Device> = (0..plan.devices)
            .map(|_| Device::new(plan.profile, Trusting, &[plan.queue]).unwrap())
            .collect();
        let gen_cap: GenCap = plan.profile.gen_cap;
        let gen2 = plan.profile.iaa_cap.is_some();
        let queues = devices.iter().enumerate().map(|(i, device)| {
            let queue = timeline.device(device.clone(), plan.costs).queue(0);
            let facts = Facts {
                name: format!("iax{i}/wq{i}.0"),
                package: Some(0),
                credits: (plan.queue.mode == Mode::Dedicated).then_some(plan.queue.size.into()),
                base: Base::new(gen_cap, plan.queue.block_on_fault),
                gen2,
                header_gen: gen2,
                compresses: true,
                decompresses: true,
            };
            let portal: Box<dyn Portal> = Box::new(Faulty::new(queue, &faults));
            (facts, portal)
        });
        let clock = Arc::new(Virtual(timeline.clone()));
        let fleet = Arc::new(Fleet::new(queues.collect(), clock));
        let shared = match plan.settings.format {
            Format::Canned => Shared::canned(
                &any_codes(),
                &MakeTables {
                    fleet: &fleet,
                    patience: Duration::from_millis(1),
                },
            ),
            _ => Shared::fixed(),
        };
        let shared = Arc::new(shared.expect("a sound device"));
        let store = Arc::new(Store::new(1));
        let lane = Lane::new(&fleet, &shared, &store, plan.settings, 0, Some(0)).unwrap();
        Self { lane, devices }
    }

    /// Compresses pages; what became of each.
    pub(crate) fn compress(&mut self, pages: &[Vec<u8>]) -> Vec<Ended> {
        let mut list = List::new(pages, false);
        self.lane.compress(&mut list);
        list.ended()
    }

    /// Decompresses pages, canned ones or not.
    pub(crate) fn decompress(&mut self, pages: &[Vec<u8>], canned: bool) -> Vec<Ended> {
        let mut list = List::new(pages, canned);
        self.lane.decompress(&mut list);
        list.ended()
    }
}

/// Codes for any page.
pub(crate) fn any_codes() -> Codes {
    Tables::flat().codes().clone()
}

/// What became of a page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ended {
    Done(Vec<u8>),
    TooBig,
    Failed(Reason),
}

/// A list of pages, each told of once.
pub(crate) struct List<'p> {
    pages: &'p [Vec<u8>],
    canned: bool,
    next: usize,
    ended: Vec<Option<Ended>>,
}

impl<'p> List<'p> {
    pub(crate) fn new(pages: &'p [Vec<u8>], canned: bool) -> Self {
        Self {
            pages,
            canned,
            next: 0,
            ended: vec![None; pages.len()],
        }
    }

    fn ended(self) -> Vec<Ended> {
        let told = self.ended.into_iter();
        told.map(|ended| ended.expect("each page is told of"))
            .collect()
    }
}

impl<'p> Batch<'p> for List<'p> {
    fn left(&self) -> usize {
        self.pages.len() - self.next
    }

    fn next(&mut self, _room: &mut [u8]) -> Option<Input<'p>> {
        let index = self.next;
        let bytes = self.pages.get(index)?;
        self.next += 1;
        Some(Input {
            index,
            bytes,
            canned: self.canned,
        })
    }

    fn done(&mut self, index: usize, answer: Answer<'_>) -> ControlFlow<()> {
        let ended = match answer {
            Answer::Done(bytes) => Ended::Done(bytes.to_vec()),
            Answer::TooBig => Ended::TooBig,
            Answer::Failed(reason) => Ended::Failed(reason),
        };
        assert_eq!(self.ended[index].replace(ended), None, "page {index} twice");
        ControlFlow::Continue(())
    }
}

/// Pages of text, each another, and one of noise.
pub(crate) fn pages(count: usize) -> Vec<Vec<u8>> {
    let text = include_str!("rig.rs").as_bytes();
    let page = |i: usize| -> Vec<u8> {
        let from = text.iter().cycle().skip(i * 101 % text.len());
        from.take(4096).copied().collect()
    };
    let mut noise = 88_172_645_463_325_252u64;
    let random = |_: usize| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        noise as u8
    };
    let mut pages: Vec<Vec<u8>> = (0..count).map(page).collect();
    if let Some(last) = pages.last_mut() {
        *last = (0..4096).map(random).collect();
    }
    pages
}
