//! `pagepress doctor`: which link between a program and an IAA device is broken.

mod text;

use crate::error::Error;
use crate::output::Output;
use pagepress_idxd::{Diagnosis, Host, Root};
use std::io::IsTerminal;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  pagepress doctor                     this host
  pagepress doctor --probe             this host, with a page through the device
  pagepress doctor --root snapshot/    a host that scripts/collect-host has seen
  pagepress doctor --format json       for programs

Links, in their order: cpu, pci, driver, iommu, device, engines, wq-enabled,
wq-type, wq-mode, wq-ops, node, permission, submission, noop, roundtrip. A link
is ok while one device with one queue survives it; what fails for the others is
advice. Lines that start with $ are commands that mend a broken link, most of
them for root; lines that start with # are what no command does.

JSON: {\"schema\":1, \"usable\":bool, \"first_broken\":name or null,
\"links\":[{\"name\",\"status\",\"found\",\"why\",\"fix\":[]}], \"advice\":[],
\"modelled\":[]}; a status is ok, broken, degraded, unknown or skipped; modelled are
the devices that software stands in for, whose times are not a device's.

Exit codes: 0 a device can be used, 1 none can, 2 wrong use, or what had to be
seen could not be.";

/// A device can be used.
const USABLE: u8 = 0;
/// A link is broken.
const BROKEN: u8 = 1;
/// What decides could not be seen.
const UNSEEN: u8 = 2;

/// Say whether an IAA device can be used here, and what mends it if not
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) root: RootArg,

    /// How to print the result
    #[arg(long, value_enum, default_value_t = Format::Text)]
    pub(crate) format: Format,

    /// Send a NOOP to the device, then compress and decompress a page
    ///
    /// Only on the running host, and only if no link before is broken. Gives
    /// up after a second.
    #[arg(long, conflicts_with = "root")]
    pub(crate) probe: bool,
}

/// Which host to look at.
#[derive(Debug, clap::Args)]
pub(crate) struct RootArg {
    /// Look at the snapshot of a host in this directory instead of this host
    #[arg(
        long,
        value_name = "DIR",
        default_value = "/",
        hide_default_value = true
    )]
    pub(crate) root: PathBuf,
}

impl RootArg {
    /// Looks at the host.
    pub(crate) fn look(&self) -> Result<(Root, Host), Error> {
        let root = Root::new(&self.root);
        let host = Host::look(&root).map_err(Error::Host)?;
        Ok((root, host))
    }
}

/// How results are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs
    Json,
}

/// Runs the command; its exit code.
pub(crate) fn main(args: &Args) -> Result<u8, Error> {
    let (root, host) = args.root.look()?;
    let mut diagnosis = Diagnosis::of(&host);
    if args.probe {
        crate::probe::run(&host, &mut diagnosis);
    }
    let shown = match args.format {
        Format::Json => json(&diagnosis),
        Format::Text => text::show(&root, &diagnosis, wants_colour()),
    };
    Output::Stdout.write(&shown)?;
    Ok(if diagnosis.is_usable() {
        USABLE
    } else if diagnosis.first_broken().is_some() {
        BROKEN
    } else {
        UNSEEN
    })
}

/// JSON with a line for each value.
pub(crate) fn json(value: &impl serde::Serialize) -> String {
    let text = serde_json::to_string_pretty(value);
    text.expect("strings, numbers and lists of them") + "\n"
}

/// On a terminal, unless somebody said no (no-color.org).
fn wants_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}
