//! What the tests are about: every backend, and devices of all kinds.

use crate::pages::{kinds, units};
use core::fmt;
use pagepress::iaa::{Devices, Format, Generation, Model, Options, Submission, Tables};
use pagepress::{Backend, Builder, Codec, PerformedBy, Pool, Report, Stored, UnitSize};

/// A backend with everything that tests must know of it.
#[derive(Clone)]
pub(crate) struct Subject {
    /// For who reads a failure.
    pub(crate) name: String,
    pub(crate) codec: Codec,
    /// Who does the pages that need a codec.
    pub(crate) performed_by: PerformedBy,
    /// Whether bytes behind a stream's end are noticed. A device stops at the
    /// end of the final block and does not tell what follows, so that a page
    /// with stray bytes decodes right there.
    pub(crate) notices_strays: bool,
    /// Whether results come in the batch's order, and not in that in which
    /// pages complete.
    pub(crate) keeps_order: bool,
    /// Whether software may have to step in when several calls are under way:
    /// queues too small for all of them.
    pub(crate) may_be_busy: bool,
    device: Option<Device>,
    /// What software compresses with, if it has canned tables.
    tables: Option<Tables>,
}

#[derive(Clone)]
struct Device {
    model: Model,
    options: Options,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)
    }
}

impl Subject {
    /// A software codec.
    pub(crate) fn software(codec: Codec) -> Self {
        Self {
            name: codec.to_string(),
            codec,
            performed_by: PerformedBy::Software,
            notices_strays: true,
            keeps_order: true,
            may_be_busy: false,
            device: None,
            tables: None,
        }
    }

    /// Canned pages in software.
    pub(crate) fn canned_in_software() -> Self {
        Self {
            name: "deflate, canned".to_owned(),
            tables: Some(trained()),
            ..Self::software(Codec::Deflate)
        }
    }

    /// Modelled devices, as these closures say.
    pub(crate) fn iaa(
        name: &str,
        model: impl FnOnce(&mut Model),
        options: impl FnOnce(&mut Options),
    ) -> Self {
        let mut device = Device {
            model: Model::default(),
            options: Options::default(),
        };
        model(&mut device.model);
        options(&mut device.options);
        let slots = device.options.in_flight;
        Self {
            name: name.to_owned(),
            codec: Codec::Deflate,
            performed_by: PerformedBy::Modelled,
            notices_strays: false,
            keeps_order: false,
            may_be_busy: usize::from(device.model.entries) < 8 * slots && device.model.timed,
            device: Some(device),
            tables: None,
        }
    }

    /// Settings for a pool of it, with everything else at its default.
    pub(crate) fn builder(&self) -> Builder {
        let builder = Pool::builder();
        match &self.device {
            None => {
                let builder = builder.backend(Backend::Software).codec(self.codec);
                match &self.tables {
                    Some(tables) => builder.tables(tables.clone()),
                    None => builder,
                }
            }
            Some(device) => builder
                .devices(Devices::of_model(&device.model).0)
                .iaa(device.options.clone()),
        }
    }

    pub(crate) fn pool(&self) -> Pool {
        self.builder().build().expect("the codec is built")
    }

    /// As [`pool`](Self::pool), for pages of `unit` bytes.
    pub(crate) fn pool_of(&self, unit: UnitSize) -> Pool {
        let pool = self.builder().unit_size(unit).build();
        pool.expect("the codec is built")
    }

    /// The device's format; `None` in software.
    pub(crate) fn format(&self) -> Option<&Format> {
        self.device.as_ref().map(|device| &device.options.format)
    }

    pub(crate) fn is_device(&self) -> bool {
        self.device.is_some()
    }

    pub(crate) fn is_canned(&self) -> bool {
        self.tables.is_some() || matches!(self.format(), Some(Format::Canned(_)))
    }

    /// Pages that the backend itself did, by a report.
    pub(crate) fn done(&self, report: &Report) -> u64 {
        if self.device.is_some() {
            assert_eq!(report.hardware_pages(), report.modelled_pages());
            report.modelled_pages()
        } else {
            assert_eq!(report.hardware_pages(), 0);
            report.software_pages()
        }
    }

    /// Other bytes in the place of a page's own.
    pub(crate) fn altered<'a>(&self, page: &Stored<'_>, bytes: &'a [u8]) -> Stored<'a> {
        let Stored::Compressed(page) = page else {
            panic!("{page:?} is not compressed");
        };
        assert_eq!(page.tables().is_some(), self.is_canned());
        Stored::Compressed(
            pagepress::Compressed::new(page.codec(), bytes).with_tables(page.tables()),
        )
    }

    /// Whether a kind of page may come out as incompressible.
    pub(crate) fn may_be_raw(&self, kind: &str) -> bool {
        // Counting words have no match and few skewed bytes; tables that are
        // the same for all bytes are no better than none, and matches are few
        // where nothing repeats.
        kind.starts_with("random")
            || kind == "counting words"
            || self.is_canned() && kind == "this program's code"
    }
}

/// Tables for the pages of these tests.
pub(crate) fn trained() -> Tables {
    let pages = kinds(UnitSize::DEFAULT);
    Tables::train(pages.iter().map(|(_, page)| &page[..])).expect("some are plain")
}

/// How descriptors reach a queue.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Route {
    Shared,
    Dedicated,
    Write,
}

/// Devices of one generation and route with all formats, with and without
/// waiting for page faults. What else there is to choose changes from one to
/// the next: devices, slots, and whether operations take time.
pub(crate) fn all_of(generation: Generation, route: Route) -> Vec<Subject> {
    let formats = [
        Format::Fixed,
        Format::Dynamic,
        Format::Canned(Tables::flat()),
    ];
    let mut subjects = Vec::new();
    for format in formats {
        for block_on_fault in [true, false] {
            let number = subjects.len();
            let slots = [8, 1, 32][number % 3];
            let name = format!(
                "{generation:?} {route:?} {}, block on fault {block_on_fault}, {slots} slots",
                name_of(&format)
            );
            let model = |model: &mut Model| {
                model.generation = generation;
                model.dedicated = matches!(route, Route::Dedicated);
                if matches!(route, Route::Write) {
                    model.submission = Submission::Write;
                    // Both kinds of queues have a node to write to.
                    model.dedicated = number % 2 == 1;
                }
                model.block_on_fault = block_on_fault;
                model.devices = 1 + number % 2;
                model.timed = number % 4 > 1;
            };
            let format = format.clone();
            subjects.push(Subject::iaa(&name, model, |options| {
                options.format = format;
                options.in_flight = slots;
            }));
        }
    }
    subjects
}

fn name_of(format: &Format) -> &'static str {
    match format {
        Format::Fixed => "fixed",
        Format::Dynamic => "dynamic",
        _ => "canned",
    }
}

/// One device, as most hosts have it.
pub(crate) fn fixed() -> Subject {
    Subject::iaa("iaa, fixed", |_| {}, |_| {})
}

/// Two passes for each page; dedicated queues with fewer entries than slots.
pub(crate) fn dynamic() -> Subject {
    Subject::iaa(
        "iaa, dynamic in two passes",
        |model| {
            model.dedicated = true;
            model.devices = 3;
            model.entries = 2;
            model.timed = true;
        },
        |options| options.format = Format::Dynamic,
    )
}

/// One pass by generation 2, many slots, and by write(2) bursts for which a
/// shared queue has too few entries.
pub(crate) fn dynamic_gen2() -> Subject {
    Subject::iaa(
        "iaa, dynamic in one pass, by write(2)",
        |model| {
            model.generation = Generation::Two;
            model.submission = Submission::Write;
            model.entries = 5;
            model.timed = true;
        },
        |options| {
            options.format = Format::Dynamic;
            options.in_flight = 32;
        },
    )
}

/// One page at a time.
pub(crate) fn canned() -> Subject {
    Subject::iaa(
        "iaa, canned, one slot",
        |model| model.block_on_fault = false,
        |options| {
            options.format = Format::Canned(Tables::flat());
            options.in_flight = 1;
        },
    )
}

/// Completions out of order, and page faults to be cured.
pub(crate) fn canned_gen2() -> Subject {
    Subject::iaa(
        "iaa, canned, out of order",
        |model| {
            model.generation = Generation::Two;
            model.block_on_fault = false;
            model.devices = 2;
            model.timed = true;
            // The first descriptors load the tables.
            model.faults = "reorder@1/3,read-fault@#40,write-fault@#50"
                .parse()
                .expect("a plan");
        },
        |options| options.format = Format::Canned(Tables::flat()),
    )
}

/// All software codecs, and a device of each kind.
pub(crate) fn software() -> Vec<Subject> {
    let codecs = Codec::ALL.into_iter().map(Subject::software);
    codecs.chain([Subject::canned_in_software()]).collect()
}

pub(crate) fn devices() -> Vec<Subject> {
    vec![fixed(), dynamic(), dynamic_gen2(), canned(), canned_gen2()]
}

/// A pool for each unit size.
pub(crate) fn pools(subject: &Subject) -> Vec<Pool> {
    units().map(|unit| subject.pool_of(unit)).collect()
}
