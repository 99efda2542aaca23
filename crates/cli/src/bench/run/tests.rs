use super::*;
use crate::bench::figures;
use crate::bench::plan::Choice;
use pagepress::compressor::{
    CompressDelivery, Compressor, ContextMemory, DecompressDelivery, Decompressed, Provider,
    Screened, screen,
};
use pagepress::{Codec, Compressed, Pages, PerformedBy, Stored, UnitSize};
use std::time::Duration;

/// What the faulty compressor does to pages that begin with a mark.
#[derive(Debug, Clone, Copy)]
enum Fault {
    None,
    /// A byte comes back changed.
    Corrupt,
    /// Compressing hands nothing over.
    Forget,
    /// Decompressing says it is done and writes nothing.
    WriteNothing,
}

const MARK: u8 = 0xEE;

/// Stores a page as all its bytes but the last, which must be zero.
#[derive(Debug, Clone, Copy)]
struct Faulty(Fault);

impl Provider for Faulty {
    fn name(&self) -> &str {
        "faulty"
    }

    fn codec(&self) -> Codec {
        Codec::Lz4
    }

    fn unit_size(&self) -> UnitSize {
        UnitSize::DEFAULT
    }

    fn make_context(&self, _cpu: usize) -> Result<Box<dyn Compressor>, String> {
        Ok(Box::new(*self))
    }
}

impl Compressor for Faulty {
    fn compress(&mut self, pages: &dyn Pages, delivery: &mut CompressDelivery<'_>) {
        for index in 0..pages.len() {
            let page = pages.page(index);
            if let Ok(Screened::SameFilled(word)) = screen(page, UnitSize::DEFAULT) {
                let _ = delivery.same_filled(index, word);
                continue;
            }
            let mut bytes = page[..page.len() - 1].to_vec();
            match self.0 {
                Fault::Forget if page[0] == MARK => continue,
                Fault::Corrupt if page[0] == MARK => bytes[100] ^= 1,
                _ => {}
            }
            let page = Compressed::new(Codec::Lz4, &bytes);
            let _ = delivery.compressed(index, page, PerformedBy::Software);
        }
    }

    fn decompress(&mut self, pages: &[Stored<'_>], delivery: &mut DecompressDelivery<'_>) {
        for (index, page) in pages.iter().enumerate() {
            let room = delivery.room(index).expect("the worker gives room");
            let _ = match page {
                Stored::SameFilled(word) => {
                    pagepress::page::fill(room, *word);
                    delivery.same_filled(index, Decompressed::InRoom)
                }
                Stored::Compressed(page) => {
                    let bytes = page.bytes();
                    if !(matches!(self.0, Fault::WriteNothing) && bytes[0] == MARK) {
                        room[..bytes.len()].copy_from_slice(bytes);
                        room[bytes.len()..].fill(0);
                    }
                    let by = PerformedBy::Software;
                    delivery.decompressed(index, Decompressed::InRoom, bytes.len(), by)
                }
                _ => unreachable!("this compressor makes no others"),
            };
        }
    }

    fn memory(&self) -> ContextMemory {
        ContextMemory::default()
    }
}

/// 21 pages: 3 same-filled ones, 5 marked ones, 13 others.
fn input() -> Input {
    let mut bytes = Vec::new();
    for page in 0..21u8 {
        let mut page: Vec<u8> = match page {
            2 | 9 | 20 => vec![7; 4096],
            3 | 4 | 11 | 17 | 19 => {
                let mut page: Vec<u8> = (0..4096).map(|i| i as u8 ^ page).collect();
                page[0] = MARK;
                page[4095] = 0;
                page
            }
            _ => (0..4096)
                .map(|i| (i as u8).wrapping_mul(page + 1))
                .collect(),
        };
        if page[0] != 7 {
            page[4095] = 0;
        }
        bytes.extend(page);
    }
    // Two sources, so that batches cross from one to the other.
    let second = bytes.split_off(4 * 4096);
    Input {
        sources: vec![
            Source::in_memory("first", bytes),
            Source::in_memory("second", second),
        ],
        figures: figures::Input::default(),
    }
}

fn measure(fault: Fault, batch: usize, threads: usize, settings: Settings) -> figures::Run {
    let spec = Spec {
        backend: Choice::Software(Codec::Lz4, None),
        unit: UnitSize::DEFAULT,
        batch,
        threads,
    };
    let pool = Pool::with_provider(Faulty(fault)).unwrap();
    let (input, tools) = (input(), Tools::new());
    let mut session = Session::new(spec, &settings, &input, &tools, pool).unwrap();
    assert!(session.figures().is_none());
    let go_on = AtomicBool::new(false);
    for repeat in 0..settings.repeats {
        while session.done(repeat) < 1.0 {
            let (before, mut last) = (session.done(repeat), 0.0);
            session.turn(repeat, &go_on, |part| last = part).unwrap();
            assert!(last > 0.0 && session.done(repeat) > before);
        }
        assert_eq!(session.all_done(), (repeat + 1) as f64);
    }
    session.figures().unwrap()
}

fn once() -> Settings {
    Settings {
        seconds: Duration::ZERO,
        repeats: 1,
        skip_same_filled: false,
        pin: false,
    }
}

#[test]
fn bad_pages_are_found_counted_and_named() {
    for batch in [1, 4, 100] {
        for threads in [1, 2] {
            let run = |fault| measure(fault, batch, threads, once());
            let good = run(Fault::None);
            assert!(good.verified && good.bad_pages == 0 && good.first_bad.is_none());
            assert_eq!(good.pages, 21);
            assert_eq!(good.compressed_bytes, 18 * 4095 + 3 * 8);
            assert_eq!(good.report.software_pages, 18);
            assert_eq!(good.report.same_filled_pages, 3);

            let corrupt = run(Fault::Corrupt);
            assert!(!corrupt.verified);
            assert_eq!(corrupt.bad_pages, 5);
            assert_eq!(
                corrupt.first_bad.as_deref(),
                Some("page 3 of first (at byte 12288) came back with byte 100 changed")
            );

            let forgotten = run(Fault::Forget);
            assert_eq!((forgotten.verified, forgotten.bad_pages), (false, 5));
            assert_eq!(forgotten.pages, 21);
            let told = forgotten.first_bad.unwrap();
            assert!(told.ends_with("had no result from compressing"), "{told}");

            let unwritten = run(Fault::WriteNothing);
            assert_eq!((unwritten.verified, unwritten.bad_pages), (false, 5));
        }
    }
}

#[test]
fn passes_are_whole_and_counts_are_of_one() {
    let settings = Settings {
        // Several turns.
        seconds: Duration::from_millis(200),
        ..once()
    };
    let run = measure(Fault::Corrupt, 8, 2, settings);
    assert!(run.passes > 1);
    assert!(run.seconds >= 0.2);
    assert_eq!((run.pages, run.bad_pages), (21, 5));
    assert_eq!(run.report.software_pages, 18);
}

#[test]
fn repeats_count_pages_once_and_times_each() {
    let settings = Settings {
        repeats: 3,
        ..once()
    };
    let run = measure(Fault::Corrupt, 8, 2, settings);
    assert_eq!((run.passes, run.pages, run.bad_pages), (3, 21, 5));
    for direction in [&run.compress, &run.decompress] {
        assert_eq!(direction.repeats.values.len(), 3);
        assert!(direction.repeats.spread.is_some());
    }
}

/// What was not finished is not told.
#[test]
fn an_interrupted_turn_is_forgotten() {
    let spec = Spec {
        backend: Choice::Software(Codec::Lz4, None),
        unit: UnitSize::DEFAULT,
        batch: 2,
        threads: 2,
    };
    let (input, tools, settings) = (input(), Tools::new(), once());
    let pool = Pool::with_provider(Faulty(Fault::None)).unwrap();
    let mut session = Session::new(spec, &settings, &input, &tools, pool).unwrap();
    session.turn(0, &AtomicBool::new(true), |_| {}).unwrap();
    assert!(session.figures().is_none());
    session.turn(0, &AtomicBool::new(false), |_| {}).unwrap();
    let run = session.figures().unwrap();
    assert_eq!((run.pages, run.passes), (21, 1));
    session.turn(0, &AtomicBool::new(true), |_| {}).unwrap();
    assert_eq!(session.figures().unwrap().passes, 1);
}

#[test]
fn same_filled_pages_can_be_left_out() {
    let settings = Settings {
        skip_same_filled: true,
        ..once()
    };
    let run = measure(Fault::None, 8, 1, settings);
    assert_eq!((run.pages, run.dropped_same_filled), (18, 3));
    assert_eq!(run.report.same_filled_pages, 0);
    assert_eq!(run.ratio_without_same_filled, Some(run.ratio));
}

#[test]
fn units_are_found_across_sources() {
    let sources: Vec<_> = [5000, 4096, 1, 20_000]
        .map(|len| Source::in_memory("x", vec![1; len]))
        .into();
    let units = Units::new(&sources, 4096);
    assert_eq!(units.count(), 2 + 1 + 1 + 5);
    let places: Vec<_> = units
        .places(1, 4)
        .map(|place| (place.source, place.unit))
        .collect();
    assert_eq!(places, [(0, 1), (1, 0), (2, 0), (3, 0)]);
}
