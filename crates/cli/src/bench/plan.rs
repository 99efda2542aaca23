//! Which runs to make: the cross product of the options.

use super::args::{Args, BackendArg};
use crate::error::Error;
use pagepress::{Backend, Codec, Pool, UnitSize};
use std::time::Duration;

/// The library's own default, named in every pool so that what is printed is
/// what was used.
const DEFAULT_LEVEL: i32 = 1;

/// One run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spec {
    pub(crate) backend: Choice,
    pub(crate) unit: UnitSize,
    pub(crate) batch: usize,
    pub(crate) threads: usize,
}

impl Spec {
    /// The backend as users name it.
    pub(crate) fn name(&self) -> String {
        match self.backend.level() {
            Some(level) => format!("{}:{level}", self.backend.name()),
            None => self.backend.name().to_owned(),
        }
    }
}

/// What a run compresses with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A device where there is one.
    Auto,
    /// A software codec; the level is `None` where the codec has only one.
    Software(Codec, Option<i32>),
}

impl Choice {
    /// The name without the level.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Software(codec, _) => codec.name(),
        }
    }

    pub(crate) fn level(self) -> Option<i32> {
        match self {
            Self::Auto => None,
            Self::Software(_, level) => level,
        }
    }
}

/// What all runs have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    pub(crate) seconds: Duration,
    pub(crate) skip_same_filled: bool,
    pub(crate) pin: bool,
}

/// All runs that `args` ask for.
///
/// # Errors
/// [`Error::Usage`] if the options contradict each other.
pub(crate) fn specs(args: &Args) -> Result<Vec<Spec>, Error> {
    let choices = choices(args)?;
    let mut specs = Vec::new();
    for &backend in &choices {
        for &unit in &args.unit_size {
            for &batch in &args.batch {
                for &threads in &args.threads {
                    specs.push(Spec {
                        backend,
                        unit,
                        batch,
                        threads,
                    });
                }
            }
        }
    }
    Ok(specs)
}

fn choices(args: &Args) -> Result<Vec<Choice>, Error> {
    let mut asked = args.backend.clone();
    if asked.is_empty() {
        let built = Codec::ALL.into_iter().filter(|codec| codec.is_built());
        asked = built
            .map(|codec| BackendArg::Software(codec, None))
            .collect();
    }
    if asked.is_empty() {
        return Err(Error::Usage(
            "this build has no codec: enable the cargo feature lz4, zstd or deflate".to_owned(),
        ));
    }
    let mut level_used = args.level.is_none();
    let choices = asked
        .into_iter()
        .map(|asked| match asked {
            BackendArg::Auto => Choice::Auto,
            BackendArg::Software(Codec::Lz4, _) => Choice::Software(Codec::Lz4, None),
            BackendArg::Software(codec, level) => {
                level_used |= level.is_none();
                let level = level.or(args.level).unwrap_or(DEFAULT_LEVEL);
                Choice::Software(codec, Some(level))
            }
        })
        .collect();
    if !level_used {
        return Err(Error::Usage(
            "--level applies to zstd and deflate runs that name no level, and there is none"
                .to_owned(),
        ));
    }
    Ok(choices)
}

/// Makes a run's pool.
///
/// # Errors
/// The library's, if it refuses the options.
pub(crate) fn pool(spec: &Spec, accept_limit: Option<usize>) -> Result<Pool, pagepress::Error> {
    let mut builder = Pool::builder().unit_size(spec.unit);
    builder = match spec.backend {
        Choice::Auto => builder.backend(Backend::Auto),
        Choice::Software(codec, _) => builder.backend(Backend::Software).codec(codec),
    };
    if let Some(level) = spec.backend.level() {
        builder = builder.level(level);
    }
    if let Some(limit) = accept_limit {
        builder = builder.accept_limit(limit);
    }
    builder.build()
}
