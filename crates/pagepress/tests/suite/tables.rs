//! Canned tables between software and devices.

use crate::pages::{Random, kinds};
use crate::subject::trained;
use pagepress::iaa::{Devices, Format, Generation, Model, Options};
use pagepress::{
    Backend, Builder, Codec, Compressed, Error, PageError, Pool, Stored, StoredBuf, Tables,
    UnitSize,
};

fn on_device(generation: Generation, format: Format) -> Builder {
    let mut model = Model::default();
    model.generation = generation;
    let mut options = Options::default();
    options.format = format;
    Pool::builder()
        .devices(Devices::of_model(&model).0)
        .iaa(options)
}

fn in_software() -> Builder {
    Pool::builder().backend(Backend::Software)
}

fn samples() -> Vec<Vec<u8>> {
    let pages = kinds(UnitSize::DEFAULT);
    pages.into_iter().map(|(_, page)| page).collect()
}

/// Records of one program, of which `seed` says which.
fn records(seed: u64, count: usize) -> Vec<Vec<u8>> {
    let mut random = Random::new(seed);
    let mut page = || {
        let mut page = Vec::new();
        while page.len() < 4096 {
            let (id, size) = (random.below(100_000), random.below(4096));
            page.extend(format!("{{\"id\": {id}, \"size\": {size}}}\n").into_bytes());
        }
        page.truncate(4096);
        page
    };
    (0..count).map(|_| page()).collect()
}

fn store(pool: &Pool, pages: &[Vec<u8>]) -> Vec<StoredBuf> {
    let mut kept = vec![None; pages.len()];
    let report = pool.compress_batch(pages, |i, outcome| {
        kept[i] = outcome.ok().map(|outcome| outcome.to_stored(&pages[i]));
    });
    assert_eq!(report.fallback_reasons().count(), 0);
    kept.into_iter().map(Option::unwrap).collect()
}

fn bytes(kept: &[StoredBuf]) -> usize {
    let sizes = kept.iter().map(|page| page.as_stored().stored_bytes());
    sizes.sum()
}

/// Whoever wrote a page, and whoever made the tables: all who have them read it.
#[test]
fn all_who_have_the_tables_read_the_page() {
    let pages = [samples(), records(1, 50)].concat();
    let some = || records(2, 50);
    let (devices, _) = Devices::of_model(&Model::default());
    let by_device = Tables::train_on(&devices, some().iter().map(Vec::as_slice)).unwrap();
    let by_software = Tables::train(some().iter().map(Vec::as_slice)).unwrap();
    for tables in [by_device, by_software, Tables::flat(), trained()] {
        let canned = || Format::Canned(tables.clone());
        let pools = [
            in_software().tables(tables.clone()).build().unwrap(),
            on_device(Generation::One, canned()).build().unwrap(),
            on_device(Generation::Two, Format::Fixed)
                .tables(tables.clone())
                .build()
                .unwrap(),
        ];
        for writer in &pools {
            assert_eq!(writer.codec(), Codec::Deflate);
            let kept = store(writer, &pages);
            let compressed = kept.iter().filter(|page| page.tables().is_some());
            assert!(compressed.clone().count() > 50);
            assert!(
                compressed
                    .clone()
                    .all(|page| page.tables() == Some(tables.id()))
            );
            let stored: Vec<Stored<'_>> = kept.iter().map(StoredBuf::as_stored).collect();
            for reader in &pools {
                let report = reader.decompress_batch(&stored, |i, page| {
                    assert_eq!(page, Ok(&pages[i][..]), "page {i}");
                });
                assert_eq!(report.fallback_reasons().count(), 0);
            }
            for other in [in_software(), in_software().tables(Tables::flat())] {
                let other = other.codec(Codec::Deflate).build().unwrap();
                if tables == Tables::flat() && other.decompress(stored[20]).is_ok() {
                    continue;
                }
                let actual = tables.id();
                let refused = other.decompress(stored[20]);
                assert_eq!(refused, Err(PageError::WrongTables { actual }));
            }
        }
    }
}

/// What tables are for: pages that they were not made of, and are like those.
#[test]
fn trained_tables_save_bytes() {
    let (known, pages) = (records(1, 50), records(2, 200));
    let fixed = bytes(&store(
        &in_software().codec(Codec::Deflate).build().unwrap(),
        &pages,
    ));
    let fixed_by_device = on_device(Generation::One, Format::Fixed).build().unwrap();
    let fixed_by_device = bytes(&store(&fixed_by_device, &pages));
    let (devices, _) = Devices::of_model(&Model::default());
    let by_software = Tables::train(known.iter().map(Vec::as_slice)).unwrap();
    let by_device = Tables::train_on(&devices, known.iter().map(Vec::as_slice)).unwrap();
    for tables in [by_software, by_device] {
        let trained_on = tables.trained_on();
        assert_eq!((trained_on.pages, trained_on.bytes), (50, 50 * 4096));
        // Each page has an end, so that its code is not one of the longest.
        let longest = tables.literal_bits().iter().max();
        assert!(Some(&tables.literal_bits()[256]) < longest);
        let canned = bytes(&store(
            &in_software().tables(tables.clone()).build().unwrap(),
            &pages,
        ));
        assert!(
            canned * 10 < fixed * 9,
            "{canned} bytes of {fixed} in software"
        );
        let canned = on_device(Generation::One, Format::Canned(tables))
            .build()
            .unwrap();
        let canned = bytes(&store(&canned, &pages));
        assert!(
            canned * 10 < fixed_by_device * 9,
            "{canned} bytes of {fixed_by_device} by a device"
        );
    }
}

/// Pages that no codec keeps teach nothing.
#[test]
fn only_plain_pages_are_learnt_from() {
    let mut random = Random::new(5);
    let useless = [vec![7; 4096], random.bytes(4096), records(1, 17).concat()];
    let useless = || useless.iter().map(Vec::as_slice);
    let (devices, _) = Devices::of_model(&Model::default());
    assert_eq!(Tables::train(useless()), Err(Error::NothingToLearn));
    assert_eq!(
        Tables::train_on(&devices, useless()),
        Err(Error::NothingToLearn)
    );
    let known = records(3, 8);
    let known = || known.iter().map(Vec::as_slice);
    let all = || useless().chain(known());
    assert_eq!(Tables::train(all()), Tables::train(known()));
    assert_eq!(Tables::train(all()).unwrap().trained_on().pages, 8);
    let on_device = |pages: Vec<&[u8]>| Tables::train_on(&devices, pages).unwrap();
    assert_eq!(on_device(all().collect()), on_device(known().collect()));
}

/// Deflate without tables is read too, and tables of others are not taken for one's
/// own.
#[test]
fn other_deflate_pages_are_read() {
    let pages = samples();
    let canned = in_software().tables(trained()).build().unwrap();
    let plain = in_software().codec(Codec::Deflate);
    for level in [1, 2, 6] {
        let kept = store(&plain.clone().level(level).build().unwrap(), &pages);
        for (page, kept) in pages.iter().zip(&kept) {
            assert_eq!(canned.decompress(kept.as_stored()).as_ref(), Ok(page));
        }
    }
    let kept = canned.compress(&records(1, 1)[0]).unwrap();
    let Stored::Compressed(page) = kept.as_stored() else {
        panic!("{kept:?}");
    };
    let id = Tables::flat().id();
    let other = Compressed::new(page.codec(), page.bytes()).with_tables(Some(id));
    let refused = canned.decompress(Stored::Compressed(other));
    assert_eq!(refused, Err(PageError::WrongTables { actual: id }));
    // As plain deflate it is nothing, or another page: its writer said canned.
    let bare = Stored::compressed(page.codec(), page.bytes());
    assert_ne!(canned.decompress(bare).ok(), Some(records(1, 1)[0].clone()));
}

#[test]
fn settings_that_contradict_tables_are_refused() {
    let with = |builder: Builder| builder.tables(trained()).build().map(|_| ());
    for codec in [Codec::Lz4, Codec::Zstd] {
        assert_eq!(
            with(in_software().codec(codec)),
            Err(Error::Tables { codec })
        );
    }
    for level in [1, 2] {
        let refused = with(in_software().level(level));
        assert!(matches!(refused, Err(Error::Level { level: l, .. }) if l == level));
    }
    for other in [Format::Dynamic, Format::Canned(Tables::flat())] {
        let refused = with(on_device(Generation::One, other));
        assert_eq!(refused, Err(Error::OtherCodes));
    }
    let same = Format::Canned(trained());
    assert_eq!(with(on_device(Generation::One, same)), Ok(()));
}

/// In the place of a device that is not there, software writes what that would.
#[test]
fn software_takes_the_place_of_a_canned_device() {
    if Devices::of_host().is_ok() {
        println!("this host has devices");
        return;
    }
    let mut options = Options::default();
    options.format = Format::Canned(trained());
    let auto = Pool::builder().iaa(options).codec(Codec::Deflate);
    let pool = auto.build().unwrap();
    let kept = pool.compress(&records(1, 1)[0]).unwrap();
    assert_eq!(kept.tables(), Some(trained().id()));
}

/// What software does in a device's place is in that device's format.
#[test]
fn fallbacks_keep_the_format() {
    const BLOCK_TYPE: u8 = 0b110;
    let (page, tables) = (&records(1, 1)[0], trained());
    let formats = [
        Format::Fixed,
        Format::Dynamic,
        Format::Canned(tables.clone()),
    ];
    for (format, kind) in formats.into_iter().zip([Some(0b010), Some(0b100), None]) {
        let mut model = Model::default();
        // Tables are loaded by other descriptors.
        model.faults = "status:0x20/compress@1/1".parse().expect("a plan");
        let (devices, _) = Devices::of_model(&model);
        let mut options = Options::default();
        options.format = format;
        let pool = Pool::builder()
            .devices(devices)
            .iaa(options)
            .build()
            .unwrap();
        let mut kept = None;
        let report = pool.compress_batch(&[page], |_, outcome| {
            kept = outcome.ok().map(|outcome| outcome.to_stored(page));
        });
        assert_eq!(report.software_pages(), 1);
        let Some(StoredBuf::Compressed {
            tables: id, bytes, ..
        }) = &kept
        else {
            panic!("{kept:?}");
        };
        match kind {
            Some(kind) => assert_eq!((bytes[0] & BLOCK_TYPE, *id), (kind, None)),
            None => assert_eq!(*id, Some(tables.id())),
        }
        let stored = kept.as_ref().unwrap().as_stored();
        assert_eq!(pool.decompress(stored).as_ref(), Ok(page));
    }
}
