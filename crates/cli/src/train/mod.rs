//! `pagepress train`: canned tables for the user's pages, and what they save.

mod show;

use crate::bench::input::{Input, Reader};
use crate::bench::show::text::warning;
use crate::bench::{Progress, SourceArgs, complain, fits_in_memory, unit_size};
use crate::doctor::{Format, json};
use crate::error::Error;
use crate::output::Output;
use crate::tables;
use pagepress::page::same_filled;
use pagepress::{Backend, Builder, Codec, Outcome, Pool, Tables, UnitSize, Units};
use show::{HeldOut, LeftOut, Shown};
use std::path::PathBuf;

/// Pages taken if nobody says.
const SAMPLE: &str = "8192";

/// Of so many pages taken one is not trained on, but measured. Samples come in groups of
/// 8, of which it is another place in each.
const HELD_OUT: usize = 7;

const AFTER_HELP: &str = "\
Examples:
  pagepress train --pid 1234 -o service.tables   from a live process's memory
  pagepress train core.1234 dump.img -o db.tables
  pagepress train --show service.tables          what a file holds
  pagepress bench --pid 1234 --backend deflate,deflate:canned --tables service.tables

Pages that repeat one word, and those that look random, are not learnt from. The
file has 356 bytes and none of the pages' own. Whoever is to read pages that were
compressed with tables needs these tables: keep the file.

Exit codes: 0 done, 2 wrong use, unreadable input or nothing to learn from.";

/// Make canned tables: codes for pages like these, that are not stored with each
///
/// Inputs are as for `bench`: files, directories, core files or `-` for standard input.
/// With no input, --pid or --cgroup, a sample of this machine's pages is learnt from.
#[derive(Debug, clap::Args)]
#[command(after_help = AFTER_HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    sources: SourceArgs,

    /// Write the tables to this file, whole or not at all
    #[arg(long, short, value_name = "FILE", required_unless_present = "show")]
    output: Option<PathBuf>,

    /// Take at most this many pages, spread evenly over the input. Every seventh of
    /// them is held out: it is not learnt from, but compressed to see what is saved
    #[arg(long, value_name = "PAGES", default_value = SAMPLE, value_parser = clap::value_parser!(u32).range(1..))]
    sample: u32,

    /// Bytes per page: 4k, 8k, 16k, 32k or 64k
    #[arg(long, value_name = "SIZE", default_value = "4k", value_parser = unit_size)]
    unit_size: UnitSize,

    /// Make nothing, but say what the tables in this file are
    #[arg(
        long,
        value_name = "FILE",
        conflicts_with_all = ["inputs", "pid", "cgroup", "pid_pages", "output", "sample", "unit_size"],
    )]
    show: Option<PathBuf>,

    /// How to print what was done
    #[arg(long, value_enum, default_value_t = Format::Text)]
    format: Format,

    /// Show no progress
    #[arg(long, short)]
    quiet: bool,
}

/// Runs the command; its exit code.
///
/// # Errors
/// Wrong use, input that cannot be read, or that teaches nothing. No file is written
/// then.
pub(crate) fn main(args: &Args) -> Result<u8, Error> {
    let shown = match &args.show {
        Some(file) => Shown::new(&tables::load(file)?, file),
        None => train(args)?,
    };
    let shown = match args.format {
        Format::Json => json(&shown),
        Format::Text => show::text(&shown),
    };
    Output::Stdout.write(&shown)?;
    Ok(0)
}

fn train(args: &Args) -> Result<Shown, Error> {
    let Some(file) = &args.output else {
        return Err(Error::Usage("say where to with --output FILE".to_owned()));
    };
    // What the library refuses is refused before any work is done.
    plain(args.unit_size, 1).build()?;
    let output = Output::prepare(Some(file))?;
    let unit = args.unit_size.bytes();
    let input = Input::collect(&args.sources, unit, &Progress::new(args.quiet))?;
    for skip in input.figures.skipped.iter().filter(|skip| skip.warn) {
        complain(&warning(skip));
    }
    let taken = Taken::new(&input, unit, args.sample as usize)?;
    let tables = Tables::train(taken.learnt.chunks_exact(unit))?;
    let known = tables.trained_on();
    let learnt = (taken.learnt.len() / unit) as u64;
    let held_out = HeldOut::measure(&taken.held_out, args.unit_size, &tables)?;
    output.write(tables.to_bytes())?;
    let mut shown = Shown::new(&tables, file);
    shown.left_out = Some(LeftOut {
        same_filled: taken.same_filled,
        random: learnt - known.pages,
    });
    shown.held_out = Some(held_out);
    Ok(shown)
}

/// Pages of the input, one after the other.
struct Taken {
    learnt: Vec<u8>,
    held_out: Vec<u8>,
    same_filled: u64,
}

impl Taken {
    fn new(input: &Input, unit: usize, most: usize) -> Result<Self, Error> {
        let mut taken = Self {
            learnt: Vec::new(),
            held_out: Vec::new(),
            same_filled: 0,
        };
        let units = |len: u64| len.div_ceil(unit as u64);
        let all: u64 = input.sources.iter().map(|source| units(source.len())).sum();
        let most = all.min(most as u64);
        fits_in_memory("--sample", most * unit as u64, "ask for less")?;
        let mut reader = Reader::new(&input.sources);
        let mut page = vec![0; unit];
        let (mut source, mut before, mut plain) = (0, 0, 0);
        for number in 0..most {
            // No product of two pages' numbers is too large for it.
            let at = (u128::from(number) * u128::from(all) / u128::from(most)) as u64;
            while at - before >= units(input.sources[source].len()) {
                before += units(input.sources[source].len());
                source += 1;
            }
            reader.copy(source, (at - before) * unit as u64, &mut page)?;
            if same_filled(&page).is_some() {
                taken.same_filled += 1;
                continue;
            }
            plain += 1;
            if plain % HELD_OUT == 0 {
                taken.held_out.extend(&page);
            } else {
                taken.learnt.extend(&page);
            }
        }
        Ok(taken)
    }
}

/// Deflate in software.
fn plain(unit: UnitSize, level: i32) -> Builder {
    let builder = Pool::builder().backend(Backend::Software);
    builder.codec(Codec::Deflate).unit_size(unit).level(level)
}

impl HeldOut {
    /// What each way makes of these pages; of those that all keep as they are, nothing.
    fn measure(pages: &[u8], unit: UnitSize, tables: &Tables) -> Result<Self, Error> {
        let canned = Pool::builder().backend(Backend::Software).unit_size(unit);
        let pools = [
            plain(unit, 1).build()?,
            canned.tables(tables.clone()).build()?,
            plain(unit, 2).build()?,
        ];
        let mut sizes = vec![[unit.bytes(); 3]; pages.len() / unit.bytes()];
        for (way, pool) in pools.iter().enumerate() {
            let mut failed = None;
            pool.compress_batch(&Units::new(pages, unit), |i, outcome| match outcome {
                Ok(Outcome::Compressed { page, .. }) => sizes[i][way] = page.bytes().len(),
                Ok(_) => {}
                Err(error) => failed = Some(error),
            });
            if let Some(error) = failed {
                return Err(Error::Page(error));
            }
        }
        sizes.retain(|sizes| sizes.iter().any(|&size| size < unit.bytes()));
        let bytes = sizes.len() * unit.bytes();
        let ratio = |way: usize| {
            let sum: usize = sizes.iter().map(|sizes| sizes[way]).sum();
            (sum > 0).then(|| bytes as f64 / sum as f64)
        };
        Ok(Self {
            pages: sizes.len() as u64,
            ratio_fixed: ratio(0),
            ratio_canned: ratio(1),
            ratio_dynamic: ratio(2),
        })
    }
}
