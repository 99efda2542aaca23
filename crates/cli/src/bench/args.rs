//! The options of `pagepress bench`, each checked for itself.

use crate::error::Error;
use clap::ArgGroup;
use pagepress::{Codec, UnitSize};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Batches beyond this measure memory, not compression.
const MAX_BATCH: usize = 4096;
/// As many worker threads as any host needs, and a typing error does not get.
const MAX_THREADS: usize = 1024;
const MAX_REPEATS: usize = 1000;
/// A day.
const MAX_SECONDS: f64 = 86_400.0;

const AFTER_HELP: &str = "\
Examples:
  pagepress bench                        a sample of this machine's own pages
  pagepress bench /var/lib/db            every file below a directory
  pagepress bench --pid 1234             a live process's anonymous memory
  pagepress bench --cgroup /system.slice/db.service
                                         that of all processes of a cgroup
  pagepress bench core.1234              the memory in a core file
  pagepress bench dump.img --backend lz4,zstd:1,zstd:3 --threads 1,8
  pagepress bench dump.img --corunner    and what a service on that CPU suffers
  pagepress bench dump.img --unit-size 4k,16k,64k --format json
  pagepress bench dump.img --backend deflate:canned,model:canned --tables db.tables
  pagepress bench --compare before.json after.json
  pagepress bench dump.img --batch 1,8,32 --output r.html --output r.json

A source is cut into pages of the unit size; its last page is padded with
zeroes. Every page is compressed, decompressed and compared. Time per page is
its batch's time divided by the pages in the batch, for every backend alike;
copying pages in and comparing them is not timed.

A file that is cut short while it is measured ends the command, with an error
or in the worst case by the signal SIGBUS; measure a copy of such a file.

Holes of a file are not read, but counted as skipped. A file named that is an
ELF core file (64-bit little-endian) has as its pages what is memory in it.

Ctrl-C prints what was measured so far, and so does SIGTERM. Only SIGKILL and
SIGBUS leave a device of --peer zram behind: see zramctl, and remove the device
N by: echo N > /sys/class/zram-control/hot_remove

CSV has the fields of JSON by the same names, those of compress and decompress
as in compress.ns_per_page.p50; lists of objects are only in JSON.

Exit codes: 0 done, 1 a page did not come back as it was, 2 wrong use or
unreadable input, 130 interrupted.";

/// Measure ratio, latency and throughput on your own pages
///
/// Inputs are files, directories (read recursively; symbolic links in them are
/// not followed) or `-` for standard input. With no input, --pid or --cgroup, a
/// sample of up to 4096 pages of this machine is measured: half from the
/// memory of processes that may be read, half from programs, libraries and
/// text files.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    pub(crate) sources: SourceArgs,

    /// What to compress with: auto, iaa, lz4, zstd, deflate or model; zstd and
    /// deflate also with a level as in zstd:3, iaa and model with fixed, dynamic
    /// or canned Huffman codes as in iaa:dynamic, deflate with canned ones as
    /// deflate:canned. All software that this build has if not given
    ///
    /// `iaa` uses devices, and fails without; `auto` uses them where there are
    /// any. `model` is a software model of the device (model-gen2 of the second
    /// generation): it runs the whole descriptor path on this CPU, and its times
    /// are modelled, not a device's.
    #[arg(long, value_name = "NAME[:LEVEL]", value_delimiter = ',', value_parser = backend)]
    pub(crate) backend: Vec<BackendArg>,

    /// The levels of zstd and deflate runs that name none [default: 1]
    #[arg(
        long,
        value_name = "N",
        value_delimiter = ',',
        allow_negative_numbers = true
    )]
    pub(crate) level: Vec<i32>,

    /// The tables of canned codes, as `pagepress train` makes them
    #[arg(long, value_name = "FILE")]
    pub(crate) tables: Option<PathBuf>,

    /// Pages per call
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "8", value_parser = batch)]
    pub(crate) batch: Vec<usize>,

    /// Worker threads, each with its own calls into one pool
    #[arg(long, value_name = "N", value_delimiter = ',', default_value = "1", value_parser = threads)]
    pub(crate) threads: Vec<usize>,

    /// Bytes per page: 4k, 8k, 16k, 32k or 64k
    #[arg(long, value_name = "SIZE", value_delimiter = ',', default_value = "4k", value_parser = unit_size)]
    pub(crate) unit_size: Vec<UnitSize>,

    /// Most bytes a compressed page may have; one that needs more counts as
    /// incompressible [default: the unit size less one]
    #[arg(long, value_name = "BYTES")]
    pub(crate) accept_limit: Option<usize>,

    /// Least time per run, all its repeats together. A repeat always makes at
    /// least one full pass over the input, and only full passes
    #[arg(long, value_name = "S", default_value = "2", value_parser = seconds)]
    pub(crate) seconds: Duration,

    /// Times that each run is made: all runs take turns, the fastest pass of each
    /// repeat tells its speed, and how far they are apart is the run's spread
    #[arg(long, value_name = "N", default_value = "7", value_parser = repeats)]
    pub(crate) repeats: usize,

    /// Leave out pages that repeat one 8-byte word, such as zero pages
    #[arg(long)]
    pub(crate) skip_same_filled: bool,

    /// Measure these beside the runs: zram, the kernel's compressed RAM disk, with
    /// each algorithm that it offers
    ///
    /// The same pages are written to a zram device and read back, each by a system
    /// call of 4 KiB past the page cache, by one thread. The device is one that this
    /// command adds and removes again; those that are there are not touched. It
    /// needs root, and memory for the input once more. Units are 4 KiB, whatever
    /// --unit-size says.
    #[arg(long, value_name = "PEER", value_enum, value_delimiter = ',')]
    pub(crate) peer: Vec<PeerArg>,

    /// Pin worker thread i to the i-th CPU that this process may use
    #[arg(long)]
    pub(crate) pin: bool,

    /// Also measure what a small service suffers that shares a CPU with the
    /// compression: its latency alone, and beside each backend
    ///
    /// The service follows 1024 pointers through 256 KiB about every 250 us. Beside
    /// it, on the same CPU (the last one that this process may use), each backend
    /// compresses bursts of 32 pages at the same rate.
    #[arg(long)]
    pub(crate) corunner: bool,

    /// Pages of 4 KiB a second that each backend compresses beside the service
    /// [default: half of what the slowest can]
    #[arg(long, value_name = "PAGES", requires = "corunner", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) corunner_rate: Option<u32>,

    /// Measure nothing, but compare two results of --format json, run by run:
    /// which of them are further apart than their repeats are
    #[arg(
        long,
        num_args = 2,
        value_names = ["A.json", "B.json"],
        conflicts_with_all = [
            "inputs", "pid", "cgroup", "pid_pages", "backend", "level", "tables", "batch", "threads", "unit_size",
            "peer", "accept_limit", "seconds", "repeats", "skip_same_filled", "pin", "corunner",
            "corunner_rate",
        ],
    )]
    pub(crate) compare: Vec<PathBuf>,

    /// How to print the results [default: text, or what the name of --output says]
    #[arg(long, value_enum)]
    pub(crate) format: Option<Format>,

    /// Write the results to this file, whole or not at all, instead of standard
    /// output; .json, .csv and .html are known by their names. Repeat it for the
    /// same results in several formats
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Vec<PathBuf>,

    /// Show no progress
    #[arg(long, short)]
    pub(crate) quiet: bool,
}

// Where pages come from. With a doc comment here, commands would have it as theirs.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("live").args(["pid", "cgroup"]).multiple(true)))]
pub(crate) struct SourceArgs {
    /// Files or directories to take pages from, or `-` for standard input
    #[arg(value_name = "INPUT")]
    pub(crate) inputs: Vec<PathBuf>,

    /// Take the anonymous pages of this live process, read-only (repeatable)
    #[arg(long, value_name = "PID", value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) pid: Vec<u32>,

    /// Take the anonymous pages of all processes of this cgroup (v1 or v2) and
    /// its subgroups (repeatable): its directory below /sys/fs/cgroup, or its
    /// path as /proc/PID/cgroup shows it. Processes that end meanwhile, or may
    /// not be read, are skipped
    #[arg(long, value_name = "PATH")]
    pub(crate) cgroup: Vec<PathBuf>,

    /// Take at most this many pages of 4 KiB of each --pid and of each process
    /// of a --cgroup, spread evenly over its memory; all if not given
    #[arg(long, value_name = "PAGES", requires = "live", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) pid_pages: Option<u64>,
}

/// How to print the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// Tables for people
    Text,
    /// The stable schema of JSON.md and bench.schema.json
    Json,
    /// A line for each run, under a header of the schema's names joined by dots
    Csv,
    /// One page with plots and all tables, that needs no network
    Html,
}

impl Args {
    /// Where results go, in which format: to standard output if to no file.
    ///
    /// # Errors
    /// [`Error::Usage`] if --format is to be that of several files.
    pub(crate) fn outputs(&self) -> Result<Vec<(Format, Option<&Path>)>, Error> {
        let of_name = |path: &Path| match path.extension().and_then(OsStr::to_str) {
            Some("json") => Format::Json,
            Some("csv") => Format::Csv,
            Some("html" | "htm") => Format::Html,
            _ => Format::Text,
        };
        match (&self.output[..], self.format) {
            ([], format) => Ok(vec![(format.unwrap_or(Format::Text), None)]),
            ([path], Some(format)) => Ok(vec![(format, Some(path))]),
            (paths, None) => Ok(paths
                .iter()
                .map(|path| (of_name(path), Some(path.as_path())))
                .collect()),
            (_, Some(_)) => Err(Error::Usage(
                "with several --output, the format of each is what its name says: leave out --format"
                    .to_owned(),
            )),
        }
    }
}

/// A value of `--peer`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum PeerArg {
    /// The kernel's compressed RAM disk
    Zram,
}

impl PeerArg {
    /// The name that users type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Zram => "zram",
        }
    }
}

/// A value of `--backend`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BackendArg {
    /// A device where there is one.
    Auto,
    /// A device.
    Iaa(Huffman),
    /// A model of one, of the second generation or the first.
    Model {
        /// Of the second.
        gen2: bool,
        /// Its codes.
        huffman: Huffman,
    },
    /// Software, with a level if one was named.
    Software(Codec, Option<i32>),
    /// Deflate in software, with canned codes.
    Canned,
}

/// Which codes a device uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Huffman {
    /// Those of deflate.
    #[default]
    Fixed,
    /// Some made for each page.
    Dynamic,
    /// Those of tables.
    Canned,
}

impl Huffman {
    /// The name that users type.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fixed => "fixed",
            Self::Dynamic => "dynamic",
            Self::Canned => "canned",
        }
    }

    fn parse(text: Option<&str>) -> Result<Self, String> {
        match text {
            None | Some("fixed") => Ok(Self::Fixed),
            Some("dynamic") => Ok(Self::Dynamic),
            Some("canned") => Ok(Self::Canned),
            Some(_) => Err("a device has fixed, dynamic or canned codes".to_owned()),
        }
    }
}

fn backend(text: &str) -> Result<BackendArg, String> {
    let (name, level) = match text.split_once(':') {
        Some((name, level)) => (name, Some(level)),
        None => (text, None),
    };
    if name == "auto" {
        return match level {
            None => Ok(BackendArg::Auto),
            Some(_) => Err("auto takes no level".to_owned()),
        };
    }
    match name {
        "iaa" => return Ok(BackendArg::Iaa(Huffman::parse(level)?)),
        "model" | "model-gen2" => {
            return Ok(BackendArg::Model {
                gen2: name == "model-gen2",
                huffman: Huffman::parse(level)?,
            });
        }
        _ => {}
    }
    let codec: Codec = name
        .parse()
        .map_err(|_| "there are auto, iaa, lz4, zstd, deflate, model and model-gen2".to_owned())?;
    if (codec, level) == (Codec::Deflate, Some(Huffman::Canned.name())) {
        return Ok(BackendArg::Canned);
    }
    let level = level
        .map(|level| {
            level
                .parse()
                .map_err(|_| format!("the level {level:?} is no whole number"))
        })
        .transpose()?;
    if level.is_some() && codec == Codec::Lz4 {
        return Err("lz4 takes no level".to_owned());
    }
    Ok(BackendArg::Software(codec, level))
}

fn batch(text: &str) -> Result<usize, String> {
    count(text, MAX_BATCH)
}

fn threads(text: &str) -> Result<usize, String> {
    count(text, MAX_THREADS)
}

fn repeats(text: &str) -> Result<usize, String> {
    count(text, MAX_REPEATS)
}

fn count(text: &str, max: usize) -> Result<usize, String> {
    match text.parse() {
        Ok(n) if (1..=max).contains(&n) => Ok(n),
        _ => Err(format!("it must be a whole number from 1 to {max}")),
    }
}

pub(crate) fn unit_size(text: &str) -> Result<UnitSize, String> {
    let kib = ["KiB", "kib", "K", "k"]
        .iter()
        .find_map(|suffix| text.strip_suffix(suffix));
    let bytes = match kib {
        Some(number) => number.parse().ok().and_then(|n: usize| n.checked_mul(1024)),
        None => text.parse().ok(),
    };
    bytes
        .and_then(|bytes| UnitSize::new(bytes).ok())
        .ok_or_else(|| "there are 4k, 8k, 16k, 32k and 64k".to_owned())
}

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(s) if (0.0..=MAX_SECONDS).contains(&s) => Ok(Duration::from_secs_f64(s)),
        _ => Err(format!("it must be from 0 to {MAX_SECONDS}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unit_sizes_in_every_spelling() {
        for text in ["16384", "16k", "16K", "16KiB"] {
            assert_eq!(unit_size(text).unwrap().bytes(), 16384, "{text}");
        }
        for text in [
            "",
            "k",
            "12k",
            "128k",
            "4m",
            "-4k",
            "4kb",
            "99999999999999999999k",
        ] {
            assert!(unit_size(text).is_err(), "{text}");
        }
    }

    #[test]
    fn backends_and_levels() {
        let software = |codec, level| Ok(BackendArg::Software(codec, level));
        assert_eq!(backend("auto"), Ok(BackendArg::Auto));
        assert_eq!(backend("lz4"), software(Codec::Lz4, None));
        assert_eq!(backend("zstd:-3"), software(Codec::Zstd, Some(-3)));
        assert_eq!(backend("deflate:6"), software(Codec::Deflate, Some(6)));
        assert_eq!(backend("iaa"), Ok(BackendArg::Iaa(Huffman::Fixed)));
        let (gen2, huffman) = (true, Huffman::Dynamic);
        let model = BackendArg::Model { gen2, huffman };
        assert_eq!(backend("model-gen2:dynamic"), Ok(model));
        assert_eq!(backend("iaa:canned"), Ok(BackendArg::Iaa(Huffman::Canned)));
        assert_eq!(backend("deflate:canned"), Ok(BackendArg::Canned));
        for bad in [
            "iaa:1",
            "model:gen2",
            "",
            "LZ4",
            "lz4:1",
            "auto:1",
            "zstd:",
            "zstd:x",
            "zstd:canned",
            "deflate:fixed",
            "gzip",
        ] {
            assert!(backend(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_and_seconds_have_bounds() {
        assert_eq!(batch("8"), Ok(8));
        assert!(batch("0").is_err() && batch("4097").is_err() && threads("x").is_err());
        assert_eq!(seconds("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["-1", "nan", "inf", "1e9", ""] {
            assert!(seconds(bad).is_err(), "{bad}");
        }
    }

    /// Whatever says what and how to measure contradicts `--compare`.
    #[test]
    fn nothing_is_measured_where_results_are_compared() {
        let mut command = <Args as clap::Args>::augment_args(clap::Command::new("bench"));
        command.build();
        let compare = command
            .get_arguments()
            .find(|arg| arg.get_id() == "compare")
            .unwrap();
        let conflicts = command.get_arg_conflicts_with(compare);
        for arg in command.get_arguments() {
            let about_showing = ["compare", "format", "output", "quiet", "help", "version"];
            let allowed = about_showing.iter().any(|name| arg.get_id() == name);
            let refused = conflicts.iter().any(|other| other.get_id() == arg.get_id());
            assert!(allowed != refused, "{}", arg.get_id());
        }
    }
}
