//! Which runs to make: the cross product of the options.

use super::args::{Args, BackendArg, Huffman};
use crate::error::Error;
use pagepress::iaa::{Devices, Format, Generation, Model, Options};
use pagepress::{Backend, Builder, Codec, Pool, Tables, UnitSize};
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
        let backend = self.backend;
        backend_name(backend.name(), backend.level(), backend.huffman())
    }
}

/// A backend as users name it.
pub(crate) fn backend_name(name: &str, level: Option<i32>, huffman: Option<&str>) -> String {
    match (level, huffman) {
        (Some(level), _) => format!("{name}:{level}"),
        (None, Some(huffman)) => format!("{name}:{huffman}"),
        (None, None) => name.to_owned(),
    }
}

/// What a run compresses with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Choice {
    /// A device where there is one.
    Auto,
    /// A device.
    Iaa(Huffman),
    /// A model of one.
    Model {
        /// Of the second generation.
        gen2: bool,
        /// Its codes.
        huffman: Huffman,
    },
    /// A software codec; the level is `None` where the codec has only one.
    Software(Codec, Option<i32>),
    /// Deflate in software, with canned codes.
    Canned,
}

impl Choice {
    /// The name without the level.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Iaa(_) => "iaa",
            Self::Model { gen2: false, .. } => "model",
            Self::Model { gen2: true, .. } => "model-gen2",
            Self::Software(codec, _) => codec.name(),
            Self::Canned => Codec::Deflate.name(),
        }
    }

    pub(crate) fn level(self) -> Option<i32> {
        match self {
            Self::Software(_, level) => level,
            _ => None,
        }
    }

    /// The codes that a device uses, if there is one, or that software is to use in
    /// the place of its own.
    pub(crate) fn huffman(self) -> Option<&'static str> {
        match self {
            Self::Iaa(huffman) | Self::Model { huffman, .. } => Some(huffman.name()),
            Self::Canned => Some(Huffman::Canned.name()),
            Self::Auto | Self::Software(..) => None,
        }
    }

    /// Whether it takes tables.
    fn is_canned(self) -> bool {
        self.huffman() == Some(Huffman::Canned.name())
    }
}

/// What all runs have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Settings {
    /// Of all repeats of a run together.
    pub(crate) seconds: Duration,
    pub(crate) repeats: usize,
    pub(crate) skip_same_filled: bool,
    pub(crate) pin: bool,
}

/// The longest turn of a run. What disturbs a host for seconds, such as a neighbour
/// on the same core, then meets all repeats of all runs alike.
const TURN: Duration = Duration::from_millis(50);

impl Settings {
    /// What each repeat is to take, all its turns together.
    pub(crate) fn repeat_time(&self) -> Duration {
        self.seconds.div_f64(self.repeats as f64)
    }

    /// What a turn is to take.
    pub(crate) fn turn_time(&self) -> Duration {
        self.repeat_time().min(TURN)
    }
}

/// All runs that `args` ask for.
///
/// # Errors
/// [`Error::Usage`] if the options contradict each other.
pub(crate) fn specs(args: &Args) -> Result<Vec<Spec>, Error> {
    let choices = choices(args)?;
    check_tables(args, &choices)?;
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

/// Tables are for canned codes, and canned codes need tables.
fn check_tables(args: &Args, choices: &[Choice]) -> Result<(), Error> {
    let canned = choices.iter().find(|choice| choice.is_canned());
    let why = match (canned, &args.tables) {
        (Some(choice), None) => format!(
            "{}:canned needs --tables FILE, as `pagepress train` makes it",
            choice.name()
        ),
        (None, Some(_)) => {
            "--tables applies to canned codes, as of deflate:canned, and there are none".to_owned()
        }
        _ => return Ok(()),
    };
    Err(Error::Usage(why))
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
    let mut level_used = args.level.is_empty();
    let choices = asked
        .into_iter()
        .flat_map(|asked| match asked {
            BackendArg::Auto => vec![Choice::Auto],
            BackendArg::Canned => vec![Choice::Canned],
            BackendArg::Iaa(huffman) => vec![Choice::Iaa(huffman)],
            BackendArg::Model { gen2, huffman } => vec![Choice::Model { gen2, huffman }],
            BackendArg::Software(Codec::Lz4, _) => vec![Choice::Software(Codec::Lz4, None)],
            BackendArg::Software(codec, Some(level)) => vec![Choice::Software(codec, Some(level))],
            BackendArg::Software(codec, None) => {
                level_used = true;
                let levels = if args.level.is_empty() {
                    &[DEFAULT_LEVEL]
                } else {
                    &args.level[..]
                };
                let choice = |&level| Choice::Software(codec, Some(level));
                levels.iter().map(choice).collect()
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

/// Makes a run's pool; tables are there if it takes any.
///
/// # Errors
/// The library's, if it refuses the options.
pub(crate) fn pool(
    spec: &Spec,
    accept_limit: Option<usize>,
    tables: Option<&Tables>,
) -> Result<Pool, pagepress::Error> {
    let mut builder = Pool::builder().unit_size(spec.unit);
    builder = match spec.backend {
        Choice::Auto => builder.backend(Backend::Auto),
        Choice::Iaa(huffman) => device(builder.backend(Backend::Iaa), huffman),
        Choice::Model { gen2, huffman } => {
            let mut model = Model::default();
            if gen2 {
                model.generation = Generation::Two;
            }
            device(builder.devices(Devices::of_model(&model).0), huffman)
        }
        Choice::Software(codec, _) => builder.backend(Backend::Software).codec(codec),
        Choice::Canned => builder.backend(Backend::Software).codec(Codec::Deflate),
    };
    if let Some(tables) = tables.filter(|_| spec.backend.is_canned()) {
        builder = builder.tables(tables.clone());
    }
    if let Some(level) = spec.backend.level() {
        builder = builder.level(level);
    }
    if let Some(limit) = accept_limit {
        builder = builder.accept_limit(limit);
    }
    builder.build()
}

fn device(builder: Builder, huffman: Huffman) -> Builder {
    let mut options = Options::default();
    options.format = match huffman {
        // Tables make the fixed ones canned.
        Huffman::Fixed | Huffman::Canned => Format::Fixed,
        Huffman::Dynamic => Format::Dynamic,
    };
    builder.iaa(options)
}
