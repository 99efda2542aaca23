//! Any page there and back.
//!
//! The input says how to make the page: see `Recipe`. Whatever it is,
//!
//! - a compressed page keeps to the accept limit, a same-filled one repeats
//!   one word, and no other outcome occurs;
//! - the same page compressed again comes to the same;
//! - it decompresses to itself, and nothing outside its room is written;
//! - a deflate page needs no more history than IAA keeps.
//!
//! One input in sixteen also tries a level of its own, and that limits change
//! nothing but whether the page is accepted: any limit, and the two on either
//! side of the page's compressed length.

use crate::input::Input;
use crate::pages::Noise;
use crate::reference;
use crate::rooms::Guarded;
use pagepress::{Backend, Codec, Outcome, PerformedBy, Pool, Stored, StoredBuf, UnitSize};
use std::sync::OnceLock;

/// All unit sizes that a pool can have.
const UNITS: [usize; 5] = [4096, 8192, 16384, 32768, 65536];

/// Which of them to use: mostly the smallest, which is the fastest to try.
const UNIT_CHOICES: [usize; 8] = [0, 0, 0, 0, 1, 2, 3, 4];

/// All codecs at the level that a pool has by itself, and deflate at that of another
/// writer too.
const CODECS: [(Codec, Option<i32>); 4] = [
    (Codec::Lz4, None),
    (Codec::Zstd, None),
    (Codec::Deflate, None),
    (Codec::Deflate, Some(2)),
];

/// The accept limits of the pools that are kept, for a unit size.
const fn limits(unit: usize) -> [usize; 4] {
    [unit - 1, unit / 2, unit / 8, 64]
}

/// A pool's settings and a page, as an input describes them.
///
/// The first five bytes choose: the codec, the unit size, the accept limit,
/// whether to try odd settings, and what fills the page's end (and the odd
/// level). Each further byte is a step whose lowest two bits say what comes
/// next in the page: a run, a copy, literal bytes from the input, or noise.
struct Recipe {
    codec: usize,
    unit: usize,
    limit: u8,
    odd_level: Option<u8>,
    page: Vec<u8>,
}

impl Recipe {
    /// The recipe that `data` describes: any bytes describe one.
    fn read(data: &[u8]) -> Self {
        let mut input = Input(data);
        let codec = input.index(CODECS.len());
        let unit = UNIT_CHOICES[input.index(UNIT_CHOICES.len())];
        let limit = input.byte();
        let odd = input.byte() % 16 == 15;
        let end = input.byte();
        let bytes = UNITS[unit];
        let mut page = Vec::with_capacity(2 * bytes);
        while page.len() < bytes && !input.0.is_empty() {
            step(&mut input, &mut page);
        }
        page.truncate(bytes);
        finish(&mut page, bytes, end);
        Self {
            codec,
            unit,
            limit,
            odd_level: odd.then_some(end / 4),
            page,
        }
    }
}

/// Adds the next piece to a page, which may then be longer than a unit.
fn step(input: &mut Input<'_>, page: &mut Vec<u8>) {
    let op = input.byte();
    let size = usize::from(op >> 2);
    // Up to 64 bytes from the input, up to 4 KiB made up.
    let (short, long) = (1 + size, 1 + size * size);
    let start = page.len();
    match op & 3 {
        0 => page.resize(start + long, input.byte()),
        1 if start > 0 => {
            let back = usize::from(u16::from_le_bytes([input.byte(), input.byte()]));
            let from = start - 1 - back % start;
            // A copy may overlap itself, as in the formats.
            for at in from..from + long {
                page.push(page[at]);
            }
        }
        3 => {
            page.resize(start + long, 0);
            Noise::new(u64::from(input.byte())).fill(&mut page[start..]);
        }
        _ => page.extend_from_slice(input.take(short)),
    }
}

/// Fills the rest of the page.
fn finish(page: &mut Vec<u8>, bytes: usize, end: u8) {
    let start = page.len();
    page.resize(bytes, 0);
    match end % 4 {
        // The page so far, over and over.
        1 if start > 0 => {
            for at in start..bytes {
                page[at] = page[at - start];
            }
        }
        // Its last word, over and over: with nothing else, a same-filled page.
        2 if start >= 8 => {
            for at in start..bytes {
                page[at] = page[at - 8];
            }
        }
        3 => Noise::new(u64::from(end)).fill(&mut page[start..]),
        _ => {}
    }
}

/// Settings of a pool that is made for one input.
fn pool_of(codec: Codec, unit: usize, limit: usize, level: Option<i32>) -> Pool {
    let builder = Pool::builder()
        .backend(Backend::Software)
        .codec(codec)
        .unit_size(UnitSize::new(unit).expect("a power of two"))
        .accept_limit(limit);
    match level {
        Some(level) => builder.level(level),
        None => builder,
    }
    .build()
    .expect("the pool's settings are sound")
}

/// The pools that are kept, by codec, unit size and limit.
static POOLS: [[[OnceLock<Pool>; 4]; 5]; CODECS.len()] =
    [const { [const { [const { OnceLock::new() }; 4] }; 5] }; CODECS.len()];

/// Makes the page that `data` describes and takes it through pools.
///
/// # Panics
/// If anything is not as the module says.
pub fn check(data: &[u8]) {
    let recipe = Recipe::read(data);
    let ((codec, level), unit) = (CODECS[recipe.codec], UNITS[recipe.unit]);
    let page = &recipe.page;

    let limits = limits(unit);
    let nth = usize::from(recipe.limit) % limits.len();
    let pool = POOLS[recipe.codec][recipe.unit][nth]
        .get_or_init(|| pool_of(codec, unit, limits[nth], level));
    there_and_back(pool, limits[nth], page);

    let Some(odd_level) = recipe.odd_level.map(i32::from) else {
        return;
    };
    let level = match codec {
        Codec::Zstd => odd_level % 27 - 7,
        Codec::Deflate => odd_level % 9 + 1,
        _ => 1,
    };
    let at_limit = |limit| pool_of(codec, unit, limit, Some(level));
    let widest = there_and_back(&at_limit(unit - 1), unit - 1, page);
    let Some(len) = compressed_len(&widest) else {
        return;
    };
    let any = 1 + (unit - 2) * usize::from(recipe.limit) / 255;
    for limit in [any, len, (len - 1).max(1)] {
        let stored = at_limit(limit).compress(page).expect("sound settings");
        let expected = if len <= limit {
            stored == widest
        } else {
            stored == StoredBuf::Raw(page[..].into())
        };
        assert!(expected, "{len} bytes at a limit of {limit}: {stored:?}");
    }
}

fn compressed_len(stored: &StoredBuf) -> Option<usize> {
    match stored {
        StoredBuf::Compressed { bytes, .. } => Some(bytes.len()),
        StoredBuf::SameFilled(_) | StoredBuf::Raw(_) => None,
    }
}

/// Compresses `page` twice, decompresses it, and returns it as stored.
fn there_and_back(pool: &Pool, limit: usize, page: &[u8]) -> StoredBuf {
    let mut both = [None, None];
    let report = pool.compress_batch(&[page, page], |index, outcome| {
        let outcome = outcome.unwrap_or_else(|error| panic!("page {index}: {error}"));
        check_outcome(&outcome, pool.codec(), limit, page);
        let before = both[index].replace(outcome.to_stored(page));
        assert_eq!(before, None, "page {index} was handed over twice");
    });
    let [first, second] = both.map(|stored| stored.expect("handed over"));
    assert!(
        first == second,
        "the same page compressed to something else"
    );
    assert_eq!(report.pages(), 2);
    assert_eq!(report.failed_pages(), 0);
    let len = compressed_len(&first);
    assert_eq!(report.compressed_bytes(), 2 * len.unwrap_or(0) as u64);

    let mut room = Guarded::new(page.len());
    let mut done = None;
    pool.decompress_batch_into(&[first.as_stored()], &mut [room.room_mut()], |_, result| {
        done = Some(result);
    });
    assert_eq!(done, Some(Ok(())));
    room.assert_intact();
    assert!(room.room() == page, "the page came back changed");
    let mut same = None;
    pool.decompress_batch(&[first.as_stored()], |_, shown| {
        same = Some(shown == Ok(page))
    });
    assert_eq!(same, Some(true), "the page was shown changed");

    if let Stored::Compressed(compressed) = first.as_stored()
        && compressed.codec() == Codec::Deflate
    {
        reference::assert_short_history(compressed.bytes(), page);
    }
    first
}

fn check_outcome(outcome: &Outcome<'_>, by: Codec, limit: usize, page: &[u8]) {
    let repeats = page.chunks(8).all(|word| word == &page[..8]);
    match outcome {
        Outcome::Compressed { page, performed_by } => {
            assert!(!repeats, "a same-filled page went to the codec");
            assert_eq!(page.codec(), by);
            assert_eq!(*performed_by, PerformedBy::Software);
            let len = page.bytes().len();
            assert!((1..=limit).contains(&len), "{len} bytes, limit {limit}");
        }
        Outcome::SameFilled(word) => {
            assert!(repeats && page.starts_with(&word.to_le_bytes()));
        }
        Outcome::Incompressible => assert!(!repeats, "a same-filled page went to the codec"),
    }
}
