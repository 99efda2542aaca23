//! Progress on stderr, where a person is looking at it.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{IsTerminal, Write};

/// Steps of the bar per run.
const STEPS: u64 = 1000;

/// Shows progress on a terminal, and nothing anywhere else.
#[derive(Debug)]
pub(crate) struct Progress {
    shown: bool,
}

impl Progress {
    pub(crate) fn new(quiet: bool) -> Self {
        Self {
            shown: !quiet && std::io::stderr().is_terminal(),
        }
    }

    /// A bar for reading `bytes` bytes of input.
    pub(crate) fn reading(&self, bytes: u64) -> Bar {
        self.bar(
            bytes,
            "{prefix} [{wide_bar}] {bytes} of {total_bytes}, {eta} left",
            "reading the input",
        )
    }

    /// A bar for `runs` runs.
    pub(crate) fn runs(&self, runs: usize) -> Bar {
        self.bar(
            runs as u64 * STEPS,
            "{prefix} [{wide_bar}] {percent}%, {eta} left",
            "",
        )
    }

    fn bar(&self, len: u64, template: &str, prefix: &'static str) -> Bar {
        let target = if self.shown {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let style = ProgressStyle::with_template(template).expect("a template that is tested");
        let bar = ProgressBar::with_draw_target(Some(len), target);
        bar.set_style(style.progress_chars("=> "));
        bar.set_prefix(prefix);
        Bar { bar }
    }
}

/// A bar, gone when dropped.
#[derive(Debug)]
pub(crate) struct Bar {
    bar: ProgressBar,
}

impl Bar {
    pub(crate) fn add(&self, n: u64) {
        self.bar.inc(n);
    }

    /// Run number `n` is called `name`.
    pub(crate) fn run(&self, n: usize, name: String) {
        self.bar.set_prefix(name);
        self.set(n, 0.0);
    }

    /// What is under way.
    pub(crate) fn name(&self, name: String) {
        self.bar.set_prefix(name);
    }

    /// So many runs are done.
    pub(crate) fn at(&self, runs: f64) {
        self.bar.set_position((runs.max(0.0) * STEPS as f64) as u64);
    }

    /// `part` of run number `n` is done.
    pub(crate) fn set(&self, n: usize, part: f64) {
        let steps = (part.clamp(0.0, 1.0) * STEPS as f64) as u64;
        self.bar.set_position(n as u64 * STEPS + steps);
    }

    /// Writes a line to stderr without tearing the bar.
    pub(crate) fn complain(&self, line: &str) {
        self.bar.suspend(|| complain(line));
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}

/// One line on stderr.
pub(crate) fn complain(line: &str) {
    // Nothing more can be done if stderr is gone.
    let _ = writeln!(std::io::stderr(), "pagepress: {line}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_parse() {
        let progress = Progress { shown: false };
        progress.reading(10).add(3);
        let bar = progress.runs(2);
        bar.run(0, "lz4".to_owned());
        bar.set(1, 0.5);
    }
}
