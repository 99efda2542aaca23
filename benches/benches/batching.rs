//! What batching brings on modelled devices that take time: virtual
//! nanoseconds, in which the host's own work but for submitting costs nothing.
//!
//! `cargo bench --bench batching -- CORPUS`

use pagepress::Pool;
use pagepress::iaa::{Devices, Model};
use pagepress_benches::{PAGE, corpus};
use pagepress_model::time::Costs;

/// Pages of a call; 1 first, which the others are compared with.
const BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 256];
const DEVICES: [usize; 3] = [1, 2, 4];
/// Pages of each measurement, at least.
const MEASURED: usize = 512;
/// What the devices cost.
const COSTS: Costs = Costs::SAPPHIRE_RAPIDS;

fn main() {
    let (name, pages) = corpus();
    let pages: Vec<_> = pages.iter().cycle().take(MEASURED).collect();
    println!("MODELLED: virtual time of assumed devices, nothing of a real one");
    println!("{COSTS:?}");
    println!("fixed tables, shared queues, {name}");
    let mut figures = Vec::new();
    for devices in DEVICES {
        println!("\nmodelled, {devices} device(s), 8 engines each:");
        println!("pages/call  ns/page  / one by one  engines used  of the devices' most");
        for batch in BATCHES {
            let figure = Figure::of(devices, batch, &pages);
            let alone = *figures
                .iter()
                .rfind(|f: &&Figure| f.batch == 1)
                .unwrap_or(&figure);
            println!(
                "{batch:>10} {:>8.1} {:>12.2}x {:>12.1}% {:>20.1}%",
                figure.ns,
                alone.ns / figure.ns,
                100.0 * figure.engines,
                100.0 * figure.device,
            );
            figures.push(figure);
        }
    }
    println!("\nmodelled, against the bars:");
    let ns = |devices, batch| {
        let of = |f: &&Figure| f.devices == devices && f.batch == batch;
        figures.iter().find(of).expect("measured above").ns
    };
    verdict(
        "8 in a call / one by one, 1 device",
        ns(1, 1) / ns(1, 8),
        2.45,
        true,
    );
    verdict(
        "8 in a call, 4 devices, us/page",
        ns(4, 8) / 1e3,
        0.66,
        false,
    );
    verdict(
        "256 in a call, 1 device, us/page",
        ns(1, 256) / 1e3,
        1.10,
        false,
    );
    verdict(
        "256 in a call, 4 devices, us/page",
        ns(4, 256) / 1e3,
        0.45,
        false,
    );
}

fn verdict(what: &str, value: f64, bar: f64, at_least: bool) {
    let met = if at_least { value >= bar } else { value <= bar };
    let (sign, word) = (
        if at_least { ">=" } else { "<=" },
        if met { "met" } else { "MISSED" },
    );
    println!("{what}: {value:.3}, bar {sign} {bar:.2} {word}");
}

#[derive(Debug, Clone, Copy)]
struct Figure {
    devices: usize,
    batch: usize,
    /// Virtual nanoseconds per page.
    ns: f64,
    /// Share of all engines' time in which one had a page's work to do.
    engines: f64,
    /// Share of what the devices could move.
    device: f64,
}

impl Figure {
    fn of(devices: usize, batch: usize, pages: &[&Vec<u8>]) -> Self {
        let model = model(devices);
        let (of_model, modelled) = Devices::of_model(&model);
        let pool = Pool::builder().devices(of_model).build();
        let pool = pool.expect("plain settings");
        let began = modelled.now();
        for batch in pages.chunks(batch) {
            let report = pool.compress_batch(batch, |_, page| {
                page.expect("a sound device");
            });
            assert_eq!(report.modelled_pages(), batch.len() as u64);
        }
        let time = (modelled.now() - began) as f64;
        let count = pages.len() as f64;
        let busy = count * COSTS.compress.of(PAGE as u64) as f64;
        let engines: u32 = modelled
            .devices()
            .iter()
            .map(|device| device.profile().engines)
            .sum();
        let moved = count * PAGE as f64 * 1e3 / COSTS.device_bytes_per_us as f64;
        Self {
            devices,
            batch,
            ns: time / count,
            engines: busy / (time * f64::from(engines)),
            device: moved / (time * devices as f64),
        }
    }
}

fn model(devices: usize) -> Model {
    let mut model = Model::default();
    model.devices = devices;
    model.timed = true;
    model
}
