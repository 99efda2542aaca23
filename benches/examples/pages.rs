//! Writes a corpus for the benchmarks: pages of files, directories and processes.
//!
//! `cargo run --release -p pagepress-benches --example pages -- OUT PAGES SOURCE...`
//!
//! A source is a path, or `pid:NUMBER` for the private memory of a process, but for
//! parts that are files. Same-filled pages are left out, and each page is written once;
//! of more than PAGES, runs of 8 neighbours from all over are. What they hold is
//! whatever the process had in memory, secrets included.

use pagepress_benches::walk::{self, Distinct};
use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

fn main() -> ExitCode {
    match run() {
        Ok(said) => {
            println!("{said}");
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("pages: {why}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Result<String, String> {
    let mut args = env::args().skip(1);
    let usage = "usage: pages OUT PAGES SOURCE...";
    let out = args.next().ok_or(usage)?;
    let most = args
        .next()
        .and_then(|most| most.parse().ok())
        .ok_or(usage)?;
    let mut distinct = Distinct::default();
    let mut sources = 0;
    for source in args {
        let mut take = |page: &[u8]| {
            distinct.take(page);
            true
        };
        match source.strip_prefix("pid:") {
            Some(pid) => {
                walk::of_process(&PathBuf::from("/proc").join(pid), &mut take)
                    .ok_or_else(|| format!("the memory of process {pid} may not be read"))?;
            }
            None => {
                let path = PathBuf::from(&source);
                fs::metadata(&path).map_err(|error| format!("{source}: {error}"))?;
                walk::of_files(vec![path], &mut take);
            }
        }
        sources += 1;
    }
    if sources == 0 {
        return Err(usage.to_owned());
    }
    let found = distinct.count();
    let pages = distinct.spread(most);
    if pages.is_empty() {
        return Err("there are no pages".to_owned());
    }
    fs::write(&out, pages.concat()).map_err(|error| format!("{out}: {error}"))?;
    Ok(format!("{out}: {} of {found} distinct pages", pages.len()))
}
