//! `pagepress vdev run`: a command that finds virtual IAA devices.
//!
//! What the command is shown, and the library that shows it, are of `pagepress-vdev`
//! and `pagepress-preload`; here is what the user sees.

#[cfg(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu"))]
mod run;
#[cfg(not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")))]
#[path = "elsewhere.rs"]
mod run;

use crate::error::Error;
use pagepress_model::faults::Plan;
use std::ffi::OsString;
use std::path::PathBuf;

const AFTER_HELP: &str = "\
Examples:
  pagepress vdev run -- accel-config list
  pagepress vdev run -- pagepress doctor --probe
  pagepress vdev run --profile gen2 --devices 4 --stats -- ./my-test
  pagepress vdev run --wq dedicated --no-mmap --trace trace.txt -- ./my-test
  pagepress vdev run --fault 'never@#5,late:1ms@1/10' -- ./my-test

Rules of --fault, separated by commas, are FAULT[:VALUE][/OPERATION][@WHEN]:
  read-fault, write-fault   a page fault; a stall if the descriptor waits
  retry[:TIMES]             ENQCMD refused, once or so many times in a row
  late:TIME[-TIME]          a late completion
  never                     no completion
  reorder                   completed after the next one
  halt[:TIME]               the device halts, for so long or for good
  disable[:TIME]            the queue is disabled, likewise
  status:CODE, error:CODE   this status, or this error code with status 0x0a
  flip                      a wrong bit in the output
  early-abort               a Compress given up early
TIME has ns, us, ms or s. OPERATION is compress, decompress, crc64, noop or drain.
WHEN is 1/50 for a chance, #7 for the seventh descriptor, #7+ for it and all after
it; always, if not said. seed:N is where the chances begin.

--stats=json is one line: {\"schema\":1, \"modelled\":true, \"counts\":{}, \"opcodes\":{},
\"statuses\":{}}; a status's name is its number, as 0x01.

Exit codes: that of COMMAND; 128 + N if signal N ended it; 126 COMMAND cannot be
executed, 127 it is not there; 2 wrong use, or COMMAND is nothing that a library
can be preloaded into.";

/// Try programs for IAA without a device
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(crate) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Run(Box<RunArgs>),
}

/// Run a command that finds virtual IAA devices, and all else as it is
///
/// COMMAND and all that it starts find /dev/iax, the driver's tree in /sys/bus/dsa, the
/// devices on the PCI bus, and a kernel and processors to match. Behind them is the
/// device model: descriptors that a program writes to a portal, by ENQCMD, MOVDIR64B or
/// write(2), are carried out in software as a device would. Everything is modelled, and
/// no time that is measured this way is a device's.
///
/// A preloaded library does this, without privileges and without a trace on the host.
/// It takes x86-64 Linux with glibc. These see the host as it is: static programs,
/// programs that call the kernel themselves (Go's do), set-uid programs. Programs that
/// ask CPUID themselves are told of the host's processor. accel-config can list devices
/// here, and not configure them.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct RunArgs {
    /// What the devices are: gen1 as in Sapphire and Emerald Rapids, gen2 with all that
    /// the model knows of the next generation
    #[arg(long, value_enum, default_value_t = Profile::Gen1)]
    profile: Profile,

    /// How many devices there are, each with one work queue, 1 to 16
    #[arg(long, value_name = "N", default_value = "1", value_parser = clap::value_parser!(u8).range(1..=16))]
    devices: u8,

    /// Whether the queues take descriptors from any process or from one
    #[arg(long, value_enum, default_value_t = Mode::Shared)]
    wq: Mode,

    /// Entries of each queue, 1 to 128
    #[arg(long, value_name = "N", default_value = "128", value_parser = clap::value_parser!(u16).range(1..=128))]
    size: u16,

    /// Entries of each shared queue that programs may fill [default: all]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=128))]
    threshold: Option<u16>,

    /// What goes wrong, see below; implies --device-thread
    #[arg(long, value_name = "SPEC", value_parser = fault)]
    fault: Option<String>,

    /// Refuse to map portals, as kernels do that guard them: write(2) remains
    #[arg(long)]
    no_mmap: bool,

    /// Complete descriptors behind COMMAND's back, in the time that a device takes,
    /// instead of at once
    #[arg(long)]
    device_thread: bool,

    /// Write a line for each descriptor to this file
    #[arg(long, value_name = "FILE")]
    trace: Option<PathBuf>,

    /// Say on stderr what the devices did, when COMMAND has ended
    #[arg(
        long,
        value_enum,
        value_name = "FORMAT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "text"
    )]
    stats: Option<crate::doctor::Format>,

    /// The library to preload, instead of the one that was built with this command
    #[arg(long, value_name = "FILE")]
    library: Option<PathBuf>,

    /// The command, and what it is told
    #[arg(required = true, value_name = "COMMAND", trailing_var_arg = true)]
    command: Vec<OsString>,
}

/// A generation of devices.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Profile {
    Gen1,
    Gen2,
}

/// Who may submit to a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Mode {
    Shared,
    Dedicated,
}

/// A plan, which stays text: the library reads it again.
fn fault(text: &str) -> Result<String, String> {
    let plan: Plan = text.parse().map_err(|error| format!("{error}"))?;
    match plan.rules.is_empty() {
        true => Err("it has no rule".to_owned()),
        false => Ok(text.to_owned()),
    }
}

/// Runs the command; its exit code.
pub(crate) fn main(args: &Args) -> Result<u8, Error> {
    let Command::Run(args) = &args.command;
    run::main(args)
}
