//! Writes the snapshot of a host in one of the states that the tests know, to
//! be looked at with `pagepress doctor --root DIR`.
//!
//! `host` lists the states with their sources; `host NAME DIR` writes one into
//! a directory that is not there yet.

#[path = "../tests/chain/hosts.rs"]
#[expect(dead_code, reason = "the tests use the rest")]
mod hosts;

use hosts::{STATES, Shape, State};
use std::path::Path;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match arguments[..] {
        [] => {
            for state in STATES {
                println!("{:32} {}", state.name, state.source);
            }
            ExitCode::SUCCESS
        }
        [name, directory] => match write(name, Path::new(directory)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(why) => {
                eprintln!("host: {why}");
                ExitCode::FAILURE
            }
        },
        _ => {
            eprintln!("usage: host [NAME DIR]");
            ExitCode::from(2)
        }
    }
}

fn write(name: &str, directory: &Path) -> Result<(), String> {
    let state = State::find(name).ok_or_else(|| format!("no state is called `{name}`"))?;
    if directory.exists() {
        return Err(format!("{} is there already", directory.display()));
    }
    let written = state.snapshot(Shape::SERVER).write(directory);
    written.map_err(|why| format!("{}: {why}", directory.display()))
}
