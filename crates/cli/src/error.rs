//! Why a command could not do what it was asked.

use std::io;

/// Why a command could not do what it was asked: one line for stderr each.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// Options that make no sense, alone or together.
    #[error("{0}")]
    Usage(String),
    /// The library refused the options.
    #[error(transparent)]
    Pool(#[from] pagepress::Error),
    /// There is no host to look at.
    #[error(transparent)]
    Host(pagepress_idxd::host::NoHost),
    /// A source could not be read.
    #[error("{what}: {}", describe(.source))]
    Read {
        /// The source, as the user knows it.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// A file lost bytes between two looks at it.
    #[error("{what}: the file was cut short while it was being measured; measure a copy")]
    Shrank {
        /// The file.
        what: String,
    },
    /// A source that is read into memory does not fit there.
    #[error("{what}: {why}")]
    TooBig {
        /// The source.
        what: String,
        /// How big, how much room there is, and what to do.
        why: String,
    },
    /// A process's memory could not be read.
    #[error("--pid {pid}: {why}")]
    Process {
        /// The process.
        pid: u32,
        /// Why, and what to do.
        why: crate::bench::input::ProcessError,
    },
    /// A cgroup's processes could not be found or read.
    #[error("--cgroup {path}: {why}")]
    Cgroup {
        /// The cgroup, as the user named it.
        path: String,
        /// Why.
        why: String,
    },
    /// A core file could not be taken apart.
    #[error("{what}: {why}")]
    Core {
        /// The file.
        what: String,
        /// Why.
        why: crate::bench::input::CoreError,
    },
    /// A file of tables holds none.
    #[error("{file}: {why}")]
    Tables {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: pagepress::BadTables,
    },
    /// The library did not compress a page.
    #[error(transparent)]
    Page(pagepress::PageError),
    /// A peer cannot be measured.
    #[error("--peer {peer}: {why}")]
    Peer {
        /// Its name.
        peer: &'static str,
        /// Why, and what to do.
        why: String,
    },
    /// The input is readable, and holds no page.
    #[error("{0}")]
    NoPages(String),
    /// A file to compare is none that `pagepress bench` wrote.
    #[error("{file}: no result of `pagepress bench --format json`: {why}")]
    NoResults {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: String,
    },
    /// Ctrl-C came before anything was measured.
    #[error("interrupted before the first turn was over: there is nothing to show")]
    Interrupted,
    /// A worker thread could not be started or pinned.
    #[error("worker thread {worker}: {}", describe(.source))]
    Worker {
        /// The worker, counted from 0.
        worker: usize,
        /// What the system said.
        source: io::Error,
    },
    /// The service of `--corunner`, or its load, could not be started or pinned.
    #[error("--corunner: {}", describe(.source))]
    Corunner {
        /// What the system said.
        source: io::Error,
    },
    /// A command is not there, or cannot be executed.
    #[error("{command}: {}", describe(.source))]
    #[cfg_attr(
        not(all(target_arch = "x86_64", target_os = "linux", target_env = "gnu")),
        expect(dead_code, reason = "only `vdev run` runs one")
    )]
    Command {
        /// As the user named it.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// The results could not be written.
    #[error("writing {what}: {}", describe(.source))]
    Write {
        /// Where to.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn exit_code(&self) -> u8 {
        match self {
            Self::Interrupted => crate::INTERRUPTED,
            Self::Command { source, .. } if source.kind() == io::ErrorKind::NotFound => {
                crate::NO_COMMAND
            }
            Self::Command { .. } => crate::NOT_EXECUTABLE,
            _ => crate::FAILED,
        }
    }
}

/// An I/O error as people say it, without its number.
pub(crate) fn describe(error: &io::Error) -> String {
    let told = error.to_string();
    match told.split_once(" (os error ") {
        Some((words, _)) => words.to_owned(),
        None => told,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn io_errors_lose_their_number() {
        let error = io::Error::from_raw_os_error(2);
        assert_eq!(describe(&error), "No such file or directory");
        assert_eq!(describe(&io::Error::other("no luck")), "no luck");
    }
}
