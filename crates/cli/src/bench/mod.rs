//! `pagepress bench`: what compression costs and saves on the user's pages.
//!
//! | module | what |
//! |---|---|
//! | [`args`] | the options |
//! | [`plan`] | which runs to make |
//! | [`input`] | where pages come from |
//! | [`run`] | one run: its threads |
//! | [`worker`] | one thread: what is timed, and what is checked |
//! | [`timing`] | times of calls, charged to their pages |
//! | [`figures`] | the results |
//! | [`show`] | the results, as text or JSON |

mod args;
mod cpus;
mod figures;
mod host;
pub(crate) mod input;
mod memory;
mod plan;
mod progress;
mod run;
mod show;
mod timing;
mod worker;

pub(crate) use args::Args;

use crate::error::Error;
use crate::output::Output;
use figures::Results;
use host::Host;
use input::Input;
use plan::{Settings, Spec};
use progress::{Progress, complain};

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every page came back as it was.
    AllVerified,
    /// At least one did not.
    BadPages,
}

impl Verdict {
    /// The command's exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::AllVerified => 0,
            Self::BadPages => 1,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Wrong use, or input that cannot be read. Nothing was printed then.
pub(crate) fn main(args: &Args) -> Result<Verdict, Error> {
    let specs = plan::specs(args)?;
    // What the library refuses is refused before any work is done.
    for spec in &specs {
        plan::pool(spec, args.accept_limit)?;
        let what = format!("--threads {} --batch {}", spec.threads, spec.batch);
        host::fits_in_memory(&what, worker::bytes(spec), "ask for less")?;
    }
    let output = Output::prepare(args.output.as_deref())?;
    let settings = Settings {
        seconds: args.seconds,
        skip_same_filled: args.skip_same_filled,
        pin: args.pin,
    };
    let progress = Progress::new(args.quiet);
    let largest_unit = specs.iter().map(|spec| spec.unit.bytes()).max();
    let input = Input::collect(args, largest_unit.unwrap_or(0), &progress)?;
    for skip in input.figures.skipped.iter().filter(|skip| skip.warn) {
        complain(&show::text::warning(skip));
    }
    let results = measure(&specs, &settings, input, &progress, |spec| {
        plan::pool(spec, args.accept_limit)
    })?;
    output.write(&show::render(args.format, &results))?;
    if results.runs.iter().all(|run| run.verified) {
        Ok(Verdict::AllVerified)
    } else {
        Ok(Verdict::BadPages)
    }
}

/// Makes all runs, each with a pool of its own from `pool`.
fn measure(
    specs: &[Spec],
    settings: &Settings,
    input: Input,
    progress: &Progress,
    pool: impl Fn(&Spec) -> Result<pagepress::Pool, pagepress::Error>,
) -> Result<Results, Error> {
    let host = Host::of_this_command();
    let bar = progress.runs(specs.len());
    let mut runs = Vec::with_capacity(specs.len());
    for (number, spec) in specs.iter().enumerate() {
        let name = spec.name();
        bar.run(
            number,
            format!("{name} ({} of {})", number + 1, specs.len()),
        );
        let pool = pool(spec)?;
        let run = run::run(spec, settings, &input, &pool, |part| bar.set(number, part))?;
        if let Some(first) = &run.first_bad {
            bar.complain(&format!(
                "{name}: {} of {} pages bad; first: {first}",
                run.bad_pages, run.pages
            ));
        }
        runs.push(run);
    }
    figures::compare_unit_sizes(&mut runs);
    let changed_files = input.changed_files();
    let mut input = input.figures;
    input.changed_files = changed_files;
    Ok(Results { host, input, runs })
}
