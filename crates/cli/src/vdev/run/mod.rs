//! The command, from its options to its exit code.
//!
//! | module | what |
//! |---|---|
//! | [`program`] | whether a library can be preloaded into COMMAND |
//! | [`library`] | where that library is |
//! | [`stats`] | what the devices did |

mod library;
mod program;
mod stats;

use super::{Mode, Profile, RunArgs};
use crate::bench::interrupt::is_ignored;
use crate::complain;
use crate::doctor::Format;
use crate::error::{Error, describe};
use pagepress_vdev::config::{Generation, VARIABLE};
use pagepress_vdev::{Config, Count, Counters, overlay};
use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::signal_name;
use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus};

/// What is added to the number of a signal that ended a command, as shells do.
const BY_SIGNAL: i32 = 128;

/// Runs COMMAND; its exit code.
pub(super) fn main(args: &RunArgs) -> Result<u8, Error> {
    if env::var_os(VARIABLE).is_some_and(|set| !set.is_empty()) {
        return Err(Error::Usage(format!(
            "vdev run: there are virtual devices here already ({VARIABLE} is set)"
        )));
    }
    let mut config = config(args)?;
    let library = library::find(args.library.as_deref())?;
    let name = args.command[0].display().to_string();
    let path = program::find(&args.command[0])?;
    if let Some(why) = program::hindrance(&path) {
        return Err(Error::Usage(format!(
            "{name}: {why}, so it would see nothing virtual"
        )));
    }
    if let Some(trace) = &config.trace {
        File::create(trace).map_err(|source| write_error(trace, source))?;
    }

    // From here on no signal ends this process before its directory is removed.
    let mut signals = Signals::new(heard()).map_err(|source| Error::Read {
        what: "signals".to_owned(),
        source,
    })?;
    let directory = tempfile::Builder::new().prefix("pagepress-vdev-").tempdir();
    let directory = directory.map_err(|source| write_error(&env::temp_dir(), source))?;
    let lay = |config: &mut Config| {
        overlay::write(directory.path(), Path::new("/"), config)?;
        config.write(directory.path())?;
        Counters::create(directory.path())
    };
    let counters = lay(&mut config).map_err(|source| write_error(directory.path(), source))?;
    if let Some(signal) = signals.pending().find(|&signal| signal != SIGCHLD) {
        return Ok(exit_code(BY_SIGNAL + signal));
    }

    let mut command = Command::new(path);
    command.arg0(&args.command[0]).args(&args.command[1..]);
    command.env(VARIABLE, directory.path());
    let preloaded = library::before(library, env::var_os(library::VARIABLE));
    command.env(library::VARIABLE, preloaded);
    let executed = command
        .spawn()
        .and_then(|mut child| wait(&mut child, &mut signals));
    let status = executed.map_err(|source| Error::Command {
        command: name.clone(),
        source,
    })?;

    let code = match (status.code(), status.signal()) {
        (Some(code), _) => code,
        (None, signal) => {
            let signal = signal.unwrap_or_default();
            let called = signal_name(signal).unwrap_or("no name");
            complain(&format!("{name}: ended by signal {signal} ({called})"));
            BY_SIGNAL + signal
        }
    };
    if counters.get(Count::Processes) == 0 {
        complain(&format!(
            "{name}: no process of it loaded the library; what is static, set-uid or not linked \
             with glibc saw nothing virtual"
        ));
    }
    let shown = match args.stats {
        Some(Format::Text) => stats::text(&counters),
        Some(Format::Json) => stats::json(&counters),
        None => String::new(),
    };
    // Nothing can be said of stderr being gone.
    let _ = io::stderr().write_all(shown.as_bytes());
    let at = directory.path().display().to_string();
    if let Err(error) = directory.close() {
        complain(&format!("{at} could not be removed: {}", describe(&error)));
    }
    Ok(exit_code(code))
}

/// The configuration, but for what depends on the host.
fn config(args: &RunArgs) -> Result<Config, Error> {
    let dedicated = args.wq == Mode::Dedicated;
    let threshold = args.threshold.unwrap_or(args.size);
    if dedicated && args.threshold.is_some() {
        let why = "--threshold is for shared queues: a dedicated one has none";
        return Err(Error::Usage(why.to_owned()));
    }
    if threshold > args.size {
        return Err(Error::Usage(format!(
            "--threshold {threshold} is more than the {} entries of a queue (--size)",
            args.size
        )));
    }
    let trace = args.trace.as_deref().map(|path| {
        let absolute = std::path::absolute(path);
        absolute.map_err(|source| write_error(path, source))
    });
    Ok(Config {
        generation: match args.profile {
            Profile::Gen1 => Generation::Gen1,
            Profile::Gen2 => Generation::Gen2,
        },
        devices: usize::from(args.devices),
        dedicated,
        size: args.size,
        threshold,
        faults: args.fault.clone().unwrap_or_default(),
        mmap: !args.no_mmap,
        device_thread: args.device_thread || args.fault.is_some(),
        trace: trace.transpose()?,
        served: Vec::new(),
        nodes: Vec::new(),
    })
}

/// The signals that are heard: those that would end this process and are not ignored,
/// as below nohup, where COMMAND has to ignore them too.
fn heard() -> Vec<i32> {
    let ending = [SIGINT, SIGQUIT, SIGTERM, SIGHUP].into_iter();
    let ending = ending.filter(|&signal| !is_ignored(signal));
    ending.chain([SIGCHLD]).collect()
}

/// Waits for the end of COMMAND. SIGINT and SIGQUIT are a terminal's, which sends them
/// to COMMAND as well; the others are sent to this process alone, and passed on.
fn wait(child: &mut Child, signals: &mut Signals) -> io::Result<ExitStatus> {
    let pid = Pid::from_child(child);
    for signal in signals.forever() {
        let passed_on = match signal {
            // Until then its number is nobody else's.
            SIGCHLD => match child.try_wait()? {
                Some(status) => return Ok(status),
                None => continue,
            },
            SIGTERM => Signal::TERM,
            SIGHUP => Signal::HUP,
            _ => continue,
        };
        // It may have another user by now, or be about to end.
        let _ = kill_process(pid, passed_on);
    }
    child.wait()
}

fn exit_code(code: i32) -> u8 {
    u8::try_from(code).unwrap_or(u8::MAX)
}

fn write_error(path: &Path, source: io::Error) -> Error {
    Error::Write {
        what: path.display().to_string(),
        source,
    }
}
