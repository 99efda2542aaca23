//! The device as a backend: 8 pages of a context in flight, each with its own
//! end, and software for those that the device did not do.
//!
//! This is the one place that knows both worlds.

mod context;
mod software;

use crate::codec::Codec;
use crate::compressor::{Compressor, Provider};
use crate::error::Error;
use crate::iaa::{DeviceStats, Devices, Format, Options, Verify};
use crate::page::UnitSize;
use crate::sync::{Mutex, lock_soon};
use crate::unavailable::Unavailable;
use context::Context;
use pagepress_iaa::lane::{self, Counts, Lane, MakeTables, Settings, Shared, Store};
use pagepress_iaa::tally::Totals;
use software::Share;
use std::sync::Arc;

/// Page faults after which a page is done in software.
const FAULTS_MOST: u8 = 2;

/// Makes contexts that a device fills.
#[derive(Debug)]
pub(crate) struct Iaa {
    devices: Devices,
    options: Options,
    unit: UnitSize,
    settings: Settings,
    shared: Arc<Shared>,
    store: Arc<Store>,
    software: Arc<Share>,
    counts: Mutex<Counted>,
}

/// What all contexts have counted, by queue.
#[derive(Debug, Default)]
struct Counted {
    /// Those that there are.
    here: Vec<Counts>,
    /// Spare contexts come and go: what those counted that went.
    gone: Vec<Totals>,
}

impl Counted {
    fn add(&mut self, counts: Counts, queues: usize) {
        self.gone.resize(queues, Totals::default());
        self.here.retain(|counts| {
            let is_final = counts.is_final();
            if is_final {
                counts.add_to(&mut self.gone);
            }
            !is_final
        });
        self.here.push(counts);
    }

    fn totals(&self, queues: usize) -> Vec<Totals> {
        let mut totals = self.gone.clone();
        totals.resize(queues, Totals::default());
        for counts in &self.here {
            counts.add_to(&mut totals);
        }
        totals
    }
}

impl Iaa {
    pub(crate) fn new(
        devices: Devices,
        options: Options,
        unit: UnitSize,
        accept_limit: usize,
        contexts: usize,
    ) -> Result<Self, Error> {
        options.check()?;
        let format = match &options.format {
            Format::Fixed => lane::Format::Fixed,
            Format::Dynamic => lane::Format::Dynamic,
            Format::Canned(_) => lane::Format::Canned,
        };
        let settings = Settings {
            slots: options.in_flight,
            unit: unit.bytes(),
            accept_limit,
            format,
            verify: match options.verify {
                Verify::ByDevice(pages) => lane::Verify::Every(pages.max(1)),
                _ => lane::Verify::Off,
            },
            patience: options.patience,
            faults_most: FAULTS_MOST,
        };
        let shared = match &options.format {
            Format::Fixed | Format::Dynamic => Shared::fixed(),
            Format::Canned(tables) => {
                let make = MakeTables {
                    fleet: &devices.fleet,
                    patience: options.patience,
                };
                Shared::canned(tables.codes(), &make)
            }
        };
        let failed = |why: String| Error::Unavailable(Unavailable::silent(&why));
        let shared = shared.map_err(|failure| failed(failure.to_string()))?;
        Ok(Self {
            devices,
            unit,
            settings,
            shared: Arc::new(shared),
            store: Arc::new(Store::new(contexts)),
            software: Arc::new(Share::new(unit, accept_limit, options.format.clone())),
            counts: Mutex::default(),
            options,
        })
    }
}

impl Provider for Iaa {
    fn name(&self) -> &str {
        match self.devices.performed_by {
            crate::outcome::PerformedBy::Modelled => "iaa (modelled)",
            _ => "iaa",
        }
    }

    fn codec(&self) -> Codec {
        Codec::Deflate
    }

    fn unit_size(&self) -> UnitSize {
        self.unit
    }

    fn batch_hint(&self) -> usize {
        self.options.in_flight
    }

    fn make_context(&self, cpu: usize) -> Result<Box<dyn Compressor>, String> {
        let lane = Lane::new(
            &self.devices.fleet,
            &self.shared,
            &self.store,
            self.settings,
            cpu,
            self.devices.package_of(cpu),
        );
        let lane = lane.map_err(|error| format!("memory for its dst buffers: {error}"))?;
        if let Some(mut counts) = lock_soon(&self.counts) {
            counts.add(lane.counts(), self.devices.fleet.links().len());
        }
        Ok(Box::new(Context::new(
            lane,
            Arc::clone(&self.software),
            &self.options,
            self.unit,
            self.devices.performed_by,
        )))
    }

    fn devices(&self) -> Vec<DeviceStats> {
        let links = self.devices.fleet.links();
        let counts = lock_soon(&self.counts);
        let totals = counts.map_or_else(Vec::new, |counts| counts.totals(links.len()));
        let pairs = links.iter().zip(&totals);
        pairs
            .map(|(link, totals)| DeviceStats::new(link, totals))
            .collect()
    }
}
