//! The `pagepress` command.

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    pagepress_cli::run(std::env::args_os())
}
