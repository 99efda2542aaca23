//! Contexts keep to the memory that was promised.

use crate::subject::{self, Subject};
use pagepress::Codec;
use pagepress::iaa::{Format, Generation, Tables};

#[test]
fn of_software() {
    for subject in subject::software() {
        let memory = subject.pool().memory();
        assert!(!memory.contexts.is_empty());
        // The worst case of lz4 and zlib-rs; zstd is told its limit.
        let most = if subject.codec == Codec::Zstd {
            4300
        } else {
            4710
        };
        for (cpu, context) in &memory.contexts {
            assert!(
                (4096..=most).contains(&context.dst_buffers),
                "CPU {cpu}: {context:?}"
            );
            assert!(context.rest <= 1024, "CPU {cpu}: {context:?}");
        }
    }
}

/// 8 pages in flight: buffers, records, descriptors, bookkeeping, and tables if
/// each page has its own.
#[test]
fn of_devices() {
    for generation in [Generation::One, Generation::Two] {
        for format in [
            Format::Fixed,
            Format::Canned(Tables::flat()),
            Format::Dynamic,
        ] {
            let tables = matches!(format, Format::Dynamic) && generation == Generation::One;
            let name = format!("{generation:?}, tables of each page: {tables}");
            let subject = Subject::iaa(
                &name,
                |model| {
                    model.generation = generation;
                    // As many as a package has.
                    model.devices = 4;
                },
                |options| options.format = format,
            );
            let memory = subject.pool().memory();
            assert!(!memory.contexts.is_empty());
            let most = if tables { 48_128 } else { 34_816 };
            for (cpu, context) in &memory.contexts {
                assert_eq!(context.dst_buffers, 8 * 4096);
                let total = context.total();
                assert!(total <= most, "{name}, CPU {cpu}: {context:?}");
                println!("{name}, CPU {cpu}: {total} bytes, {context:?}");
            }
        }
    }
}
