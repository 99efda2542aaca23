//! `pagepress devices`: what there is, and what the library would use.

use crate::doctor::{Format, RootArg, json};
use crate::error::Error;
use crate::output::Output;
use crate::table::{Align, Column, render};
use pagepress_idxd::Host;
use pagepress_idxd::chain::{Diagnosis, Path};
use pagepress_idxd::host::{IaxDevice, Mode, WorkQueue};
use pagepress_idxd::root::Reading;
use serde::Serialize;
use std::fmt::{Display, Write};

const AFTER_HELP: &str = "\
Examples:
  pagepress devices                    this host
  pagepress devices --root snapshot/   a host that scripts/collect-host has seen
  pagepress devices --format json      all that is known of the host

A queue that is not configured (no entries, disabled) is not shown in text.
`pagepress doctor` says how to mend what keeps a queue from being used.

Exit codes: 0 done, whether there are devices or not; 2 wrong use, or no host.";

/// List IAA devices, engines and work queues, and which of them would be used
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    root: RootArg,

    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,
}

/// Runs the command; its exit code.
pub(crate) fn main(args: &Args) -> Result<u8, Error> {
    let (_, host) = args.root.look()?;
    let diagnosis = Diagnosis::of(&host);
    let shown = match args.format {
        Format::Json => json(&Shown::new(&host, &diagnosis.paths)),
        Format::Text => text(&host, &diagnosis),
    };
    Output::Stdout.write(&shown)?;
    Ok(0)
}

#[derive(Serialize)]
struct Shown<'a> {
    schema: u32,
    host: &'a Host,
    queues: Vec<ShownPath<'a>>,
}

#[derive(Serialize)]
struct ShownPath<'a> {
    device: &'a str,
    queue: &'a str,
    package: Option<u32>,
    usable: bool,
    refused: Vec<Refusal<'a>>,
}

#[derive(Serialize)]
struct Refusal<'a> {
    link: &'static str,
    found: &'a str,
}

impl<'a> Shown<'a> {
    fn new(host: &'a Host, paths: &'a [Path]) -> Self {
        let refusal = |(link, found): &'a (pagepress_idxd::chain::LinkName, String)| Refusal {
            link: link.name(),
            found,
        };
        let path = |path: &'a Path| ShownPath {
            device: &path.device,
            queue: &path.queue,
            package: path.package,
            usable: path.is_usable(),
            refused: path.refused.iter().map(refusal).collect(),
        };
        Self {
            schema: 1,
            host,
            queues: paths.iter().map(path).collect(),
        }
    }
}

fn text(host: &Host, diagnosis: &Diagnosis) -> String {
    let devices: Vec<&IaxDevice> = host.devices.iter().flatten().collect();
    if devices.is_empty() {
        let why = match (&host.devices, host.pci.iter().flatten().count()) {
            (_, 1..) => "the idxd driver has none of those on the PCI bus",
            (Err(_), 0) => "none on the PCI bus, and no idxd driver",
            (Ok(_), 0) => "none on the PCI bus",
        };
        return format!("No IAA device: {why}. `pagepress doctor` says more.\n");
    }
    let mut shown = devices_table(&devices);
    let queues: Vec<(&IaxDevice, &WorkQueue, &Path)> = devices
        .iter()
        .flat_map(|&device| device.queues.iter().map(move |queue| (device, queue)))
        .filter_map(|(device, queue)| {
            let is_it = |path: &&Path| path.device == device.name && path.queue == queue.name;
            let path = diagnosis.paths.iter().find(is_it)?;
            let blank = !path.is_usable() && queue.size == Ok(0);
            (!blank).then_some((device, queue, path))
        })
        .collect();
    shown.push('\n');
    if queues.is_empty() {
        shown.push_str("No work queue is configured. `pagepress doctor` says how to.\n");
        return shown;
    }
    shown.push_str(&queues_table(&queues));
    let used = queues.iter().filter(|(.., path)| path.is_usable()).count();
    let _ = writeln!(
        shown,
        "\n{used} of {} work queues would be used.",
        queues.len()
    );
    if !diagnosis.modelled.is_empty() {
        shown.push_str("Modelled: software stands in for the device, so no time is a device's.\n");
    }
    shown
}

fn column(heading: &'static str, align: Align, cells: Vec<String>) -> Column {
    Column {
        group: "",
        heading,
        align,
        cells,
    }
}

/// A device or queue by its name, and that software stands in for it if it does.
pub(crate) fn labelled(name: String, device: &IaxDevice) -> String {
    match device.modelled {
        true => name + " (modelled)",
        false => name,
    }
}

/// A value, or a question mark.
fn or_unknown<T: Display>(reading: &Reading<T>) -> String {
    reading
        .as_ref()
        .map_or_else(|_| "?".to_owned(), T::to_string)
}

fn devices_table(devices: &[&IaxDevice]) -> String {
    let cells = |cell: &dyn Fn(&IaxDevice) -> String| devices.iter().map(|d| cell(d)).collect();
    let optional = |value: Option<String>| value.unwrap_or_else(|| "?".to_owned());
    let generation = |d: &IaxDevice| match &d.version {
        Ok(_) if d.is_gen2() => "2".to_owned(),
        Ok(_) => "1".to_owned(),
        Err(_) => "?".to_owned(),
    };
    render(&[
        column(
            "device",
            Align::Left,
            cells(&|d| labelled(d.name.clone(), d)),
        ),
        column("PCI", Align::Left, cells(&|d| optional(d.pci.clone()))),
        column(
            "package",
            Align::Right,
            cells(&|d| optional(d.package.map(|p| p.to_string()))),
        ),
        column("node", Align::Right, cells(&|d| or_unknown(&d.numa_node))),
        column("generation", Align::Right, cells(&generation)),
        column("state", Align::Left, cells(&|d| or_unknown(&d.state))),
        column(
            "SVA",
            Align::Left,
            cells(&|d| {
                let yes = d
                    .pasid_enabled
                    .as_ref()
                    .map(|&on| if on == 1 { "on" } else { "off" });
                yes.unwrap_or("?").to_owned()
            }),
        ),
        column(
            "engines",
            Align::Right,
            cells(&|d| format!("{} of {}", d.grouped_engines(), d.engines.len())),
        ),
        column(
            "entries",
            Align::Right,
            cells(&|d| {
                let used: i64 = d.queues.iter().filter_map(|q| q.size.as_ref().ok()).sum();
                format!("{used} of {}", or_unknown(&d.max_work_queues_size))
            }),
        ),
    ])
}

/// As much as fits a table; `pagepress doctor` tells the rest.
fn first_clause(found: &str) -> &str {
    let end = found.find([',', ';', '(']).unwrap_or(found.len());
    found[..end].trim_end()
}

fn queues_table(queues: &[(&IaxDevice, &WorkQueue, &Path)]) -> String {
    let cells =
        |cell: &dyn Fn(&WorkQueue) -> String| queues.iter().map(|(_, q, _)| cell(q)).collect();
    let mode = |queue: &WorkQueue| match queue.mode {
        Ok(Mode::Shared) => "shared".to_owned(),
        Ok(Mode::Dedicated) => "dedicated".to_owned(),
        Err(_) => "?".to_owned(),
    };
    let kind = |queue: &WorkQueue| match (&queue.kind, &queue.driver) {
        (Ok(kind), Ok(driver)) if kind != driver && !driver.is_empty() => {
            format!("{kind}/{driver}")
        }
        (kind, _) => or_unknown(kind),
    };
    let waits = |queue: &WorkQueue| match queue.block_on_fault {
        Ok(0) => "no".to_owned(),
        Ok(_) => "yes".to_owned(),
        Err(_) => "?".to_owned(),
    };
    let used = |path: &Path| match path.refused.first() {
        None => "yes".to_owned(),
        Some((link, found)) => format!("no: {link}: {}", first_clause(found)),
    };
    render(&[
        column(
            "queue",
            Align::Left,
            queues
                .iter()
                .map(|(d, q, _)| labelled(format!("{}/{}", d.name, q.name), d))
                .collect(),
        ),
        column("state", Align::Left, cells(&|q| or_unknown(&q.state))),
        column("type", Align::Left, cells(&kind)),
        column("mode", Align::Left, cells(&mode)),
        column("size", Align::Right, cells(&|q| or_unknown(&q.size))),
        column("thr.", Align::Right, cells(&|q| or_unknown(&q.threshold))),
        column("faults", Align::Left, cells(&waits)),
        column("users", Align::Right, cells(&|q| or_unknown(&q.clients))),
        column(
            "used",
            Align::Left,
            queues.iter().map(|(.., path)| used(path)).collect(),
        ),
    ])
}
