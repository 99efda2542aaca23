//! `pagepress bench`: what compression costs and saves on the user's pages.
//!
//! | module | what |
//! |---|---|
//! | [`args`] | the options |
//! | [`plan`] | which runs to make |
//! | [`input`] | where pages come from |
//! | [`run`] | one run: its threads |
//! | [`worker`] | one thread: what is timed, and what is checked |
//! | [`corunner`] | a service on the same CPU, and what it suffers |
//! | [`clock`] | timestamps, and what they cost |
//! | [`timing`] | times of calls, charged to their pages |
//! | [`peer`] | what others do with the same pages |
//! | [`spread`] | how far repeats are apart |
//! | [`zsmalloc`] | what a compressed page costs in the kernel's allocator |
//! | [`figures`] | the results |
//! | [`verdict`] | where a device breaks even with software |
//! | [`show`] | the results, as text, JSON, CSV or a page to look at |
//! | [`compare`] | two results side by side |

mod args;
mod clock;
mod compare;
mod corunner;
mod cpus;
mod figures;
mod host;
pub(crate) mod input;
pub(crate) mod interrupt;
#[cfg(test)]
mod made_up;
mod memory;
mod peer;
mod plan;
mod progress;
mod run;
#[cfg(test)]
mod schema;
pub(crate) mod show;
mod spread;
mod timing;
mod verdict;
mod worker;
mod zsmalloc;

pub(crate) use args::{Args, SourceArgs, unit_size};
pub(crate) use host::fits_in_memory;
pub(crate) use progress::{Progress, complain};

use crate::error::Error;
use crate::output::Output;
use crate::tables;
use figures::{Method, Results};
use host::Host;
use input::Input;
use peer::Zram;
use plan::{Settings, Spec};
use run::{Session, Tools};
use std::sync::atomic::Ordering;

/// What came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Every page came back as it was.
    AllVerified,
    /// At least one did not.
    BadPages,
    /// Every page did, as far as the command came.
    Interrupted,
}

impl Verdict {
    /// The command's exit code.
    pub(crate) fn exit_code(self) -> u8 {
        match self {
            Self::AllVerified => 0,
            Self::BadPages => 1,
            Self::Interrupted => crate::INTERRUPTED,
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Wrong use, or input that cannot be read. Nothing was printed then.
pub(crate) fn main(args: &Args) -> Result<Verdict, Error> {
    if let [a, b] = &args.compare[..] {
        for (format, path) in args.outputs()? {
            let output = Output::prepare(path)?;
            output.write(&compare::main(a, b, format)?)?;
        }
        return Ok(Verdict::AllVerified);
    }
    let specs = plan::specs(args)?;
    let tables = args.tables.as_deref().map(tables::load).transpose()?;
    // What the library refuses is refused before any work is done.
    for spec in &specs {
        plan::pool(spec, args.accept_limit, tables.as_ref())?;
        let what = format!("--threads {} --batch {}", spec.threads, spec.batch);
        host::fits_in_memory(&what, worker::bytes(spec), "ask for less")?;
    }
    let beside = if args.corunner {
        corunner::beside(&specs)
    } else {
        Vec::new()
    };
    host::fits_in_memory("--corunner", corunner::bytes(&beside), "leave it out")?;
    peer::check(args)?;
    let mut outputs = Vec::new();
    for (format, path) in args.outputs()? {
        outputs.push((format, Output::prepare(path)?));
    }
    let settings = Settings {
        seconds: args.seconds,
        repeats: args.repeats,
        skip_same_filled: args.skip_same_filled,
        pin: args.pin,
    };
    let progress = Progress::new(args.quiet);
    let largest_unit = specs.iter().map(|spec| spec.unit.bytes()).max();
    let input = Input::collect(&args.sources, largest_unit.unwrap_or(0), &progress)?;
    for skip in input.figures.skipped.iter().filter(|skip| skip.warn) {
        complain(&show::text::warning(skip));
    }
    let zram = Zram::prepare(args, &input)?;
    let pool = |spec: &Spec| plan::pool(spec, args.accept_limit, tables.as_ref());
    let tools = Tools::new();
    let interrupted = interrupt::flag();
    let mut results = measure(&specs, &settings, &input, &tools, &progress, pool)?;
    if let Some(zram) = zram.filter(|_| !results.method.interrupted) {
        let peer = zram.measure(&settings, &input, &tools, &progress, interrupted)?;
        results.peers.push(peer);
        results.method.interrupted = interrupted.load(Ordering::Relaxed);
    }
    if args.corunner && !results.method.interrupted {
        let runs = &results.runs;
        let rate = args
            .corunner_rate
            .map_or_else(|| corunner::default_rate(runs), |rate| rate as f64);
        let turns = (beside.len() + 1) * settings.repeats;
        let bar = progress.runs(turns);
        results.corunner =
            corunner::measure(&beside, &settings, rate, &input, &bar, interrupted, pool)?;
        results.method.interrupted = interrupted.load(Ordering::Relaxed);
    }
    results.input.changed_files = input.changed_files();
    results.method.tables = tables.as_ref().map(figures::Canned::from);
    for (format, output) in outputs {
        output.write(show::render(format, &results))?;
    }
    let beside = results
        .corunner
        .iter()
        .flat_map(|corunner| &corunner.beside);
    let mut peers = results.peers.iter().flat_map(figures::Peer::runs);
    let bad = results.runs.iter().any(|run| !run.verified)
        || peers.any(|run| !run.verified)
        || beside.into_iter().any(|beside| beside.bad_pages > 0);
    Ok(if bad {
        Verdict::BadPages
    } else if results.method.interrupted {
        Verdict::Interrupted
    } else {
        Verdict::AllVerified
    })
}

/// Makes all runs, each with a pool of its own from `pool`. They take turns, so
/// that what changes about the host meets all of them.
fn measure(
    specs: &[Spec],
    settings: &Settings,
    input: &Input,
    tools: &Tools,
    progress: &Progress,
    pool: impl Fn(&Spec) -> Result<pagepress::Pool, pagepress::Error>,
) -> Result<Results, Error> {
    let host = Host::of_this_command();
    let interrupted = interrupt::flag();
    let session = |spec: &Spec| Session::new(*spec, settings, input, tools, pool(spec)?);
    let mut sessions: Vec<Session<'_>> = specs.iter().map(session).collect::<Result<_, Error>>()?;
    let bar = progress.runs(specs.len() * settings.repeats);
    let share = settings.turn_time().as_secs_f64() / settings.repeat_time().as_secs_f64();
    let mut go_on = true;
    'all: while go_on {
        go_on = false;
        for repeat in 0..settings.repeats {
            for (number, spec) in specs.iter().enumerate() {
                if sessions[number].done(repeat) == 1.0 {
                    continue;
                }
                go_on = true;
                let done = sessions.iter().map(Session::all_done).sum();
                bar.name(spec.name());
                bar.at(done);
                let session = &mut sessions[number];
                let was_good = session.complaint().is_none();
                session.turn(repeat, interrupted, |part| bar.at(done + part * share))?;
                if let Some(complaint) = session.complaint().filter(|_| was_good) {
                    bar.complain(&complaint);
                }
                if interrupted.load(Ordering::Relaxed) {
                    break 'all;
                }
            }
        }
    }
    drop(bar);
    let mut runs: Vec<figures::Run> = sessions.iter().filter_map(Session::figures).collect();
    drop(sessions);
    if runs.is_empty() {
        return Err(Error::Interrupted);
    }
    figures::compare_unit_sizes(&mut runs);
    let method = Method {
        seconds: settings.seconds.as_secs_f64(),
        repeats: settings.repeats,
        turn_seconds: settings.turn_time().as_secs_f64(),
        warm_up_bytes: run::WARM_UP_BYTES,
        timestamp_ns: tools.timestamp_ns,
        tsc_hz: tools.ticks.per_second(),
        interrupted: interrupted.load(Ordering::Relaxed),
        runs_asked: specs.len(),
        tables: None,
    };
    Ok(Results {
        host,
        input: input.figures.clone(),
        method,
        verdict: verdict::judge(&runs),
        runs,
        corunner: None,
        peers: Vec::new(),
    })
}
