//! The `pagepress` command: what compressing memory pages costs and saves, on
//! the user's own data.
//!
//! `pagepress doctor` says which link between a program and an IAA device is
//! broken, `pagepress devices` what devices there are.
//!
//! `pagepress vdev run` runs a command that finds virtual IAA devices.
//!
//! `pagepress train` makes canned tables: Huffman codes for pages like the user's,
//! that are not stored with each.
//!
//! `pagepress bench` reads files, directories or the memory of processes,
//! compresses and decompresses all of it page by page in every way asked for,
//! checks that each page comes back as it was, and prints ratio, latency and
//! throughput as text or JSON (`JSON.md` beside this crate).

mod bench;
mod devices;
mod doctor;
mod error;
mod output;
mod probe;
mod table;
mod tables;
mod train;
mod vdev;

use clap::Parser;
use clap::error::ErrorKind;
use std::ffi::OsString;
use std::io::Write;
use std::process::ExitCode;

/// Wrong use, or input that cannot be read.
const FAILED: u8 = 2;
/// Those of a command that cannot be run, as shells show them.
const NOT_EXECUTABLE: u8 = 126;
const NO_COMMAND: u8 = 127;
/// That of a command that SIGINT ended, likewise.
const INTERRUPTED: u8 = 130;

/// Compress memory pages in batches, on Intel IAA or in software
#[derive(Debug, Parser)]
#[command(name = "pagepress", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Bench(Box<bench::Args>),
    Devices(devices::Args),
    Doctor(doctor::Args),
    Train(train::Args),
    Vdev(vdev::Args),
}

/// Runs the command line `args`, the program's name first, as `main` does.
///
/// Exit codes: 0 done; 1 a page did not come back as it was, or no device can
/// be used; 2 wrong use or unreadable input; 130 interrupted. `vdev run` has those of
/// the command that it runs.
pub fn run<I>(args: I) -> ExitCode
where
    I: IntoIterator,
    I::Item: Into<OsString> + Clone,
{
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => return explain(&error),
    };
    let result = match cli.command {
        Command::Bench(args) => bench::main(&args).map(bench::Verdict::exit_code),
        Command::Devices(args) => devices::main(&args),
        Command::Doctor(args) => doctor::main(&args),
        Command::Train(args) => train::main(&args),
        Command::Vdev(args) => vdev::main(&args),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            complain(&error);
            ExitCode::from(error.exit_code())
        }
    }
}

/// Prints help where it was asked for, and wrong use as one line.
fn explain(error: &clap::Error) -> ExitCode {
    match error.kind() {
        ErrorKind::DisplayHelp
        | ErrorKind::DisplayVersion
        | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            // A reader that has gone away is no fault of ours.
            let _ = error.print();
        }
        _ => complain(&format!("{}; see --help", one_line(&error.to_string()))),
    }
    ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(FAILED))
}

/// clap's message with its tips but without its `error:` and usage, as one
/// line.
fn one_line(message: &str) -> String {
    let mut told = String::new();
    for line in message.lines().map(str::trim) {
        if line.starts_with("Usage:") || line.starts_with("For more") {
            break;
        }
        let (gap, line) = match line.strip_prefix("tip: ") {
            Some(tip) => ("; ", tip),
            None => (" ", line.strip_prefix("error: ").unwrap_or(line)),
        };
        if !told.is_empty() && !line.is_empty() {
            told.push_str(gap);
        }
        told.push_str(line);
    }
    told
}

/// One line on stderr. Nothing more can be done if stderr is gone too.
fn complain(what: &dyn std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "pagepress: {what}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_use_is_one_line() {
        let error = Cli::try_parse_from(["pagepress", "bench", "--format", "yaml"]).unwrap_err();
        let line = one_line(&error.to_string());
        assert_eq!(
            line,
            "invalid value 'yaml' for '--format <FORMAT>' [possible values: text, json, csv, html]"
        );
        let error = Cli::try_parse_from(["pagepress", "bench", "--unit", "4k"]).unwrap_err();
        assert_eq!(
            one_line(&error.to_string()),
            "unexpected argument '--unit' found; a similar argument exists: '--unit-size'"
        );
    }
}
