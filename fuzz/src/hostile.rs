//! Any bytes as a compressed page.
//!
//! Every input is decoded at the smallest and the largest unit size. Whatever
//! it is,
//!
//! - the pool reports a page or that the bytes are corrupt, never another
//!   error, and counts it as such;
//! - a page it reports was written from end to end;
//! - nothing outside the room is written;
//! - decoding again comes to the same;
//! - a sound page before, between and after is not affected.
//!
//! A page accepted as deflate must be one for zlib-rs too, and the other way
//! round, see [`compare_deflate`](reference::compare_deflate). A page accepted
//! as zstd must be a single frame.

use crate::pages;
use crate::reference;
use crate::rooms::Guarded;
use pagepress::{Backend, Codec, Corrupt, PageError, Pool, Stored, StoredBuf, UnitSize};
use std::sync::{LazyLock, Mutex};

/// A pool with everything a check needs, made once.
struct Bench {
    pool: Pool,
    sound_page: Vec<u8>,
    sound: StoredBuf,
    first: Guarded,
    /// A room of its own allocation, which ends where the sanitizer's redzone
    /// begins.
    second: Box<[u8]>,
    between: Guarded,
}

impl Bench {
    fn new(codec: Codec, unit: UnitSize) -> Self {
        let pool = Pool::builder()
            .backend(Backend::Software)
            .codec(codec)
            .unit_size(unit)
            .build()
            .expect("the pool's settings are sound");
        // Text, and then a run: quick to decode, as it is for every input.
        let mut sound_page = pages::sample(0, 512);
        sound_page.resize(unit.bytes(), b'.');
        let sound = pool.compress(&sound_page).expect("the codec works");
        assert!(matches!(sound, StoredBuf::Compressed { .. }));
        Self {
            pool,
            sound_page,
            sound,
            first: Guarded::new(unit.bytes()),
            second: vec![0; unit.bytes()].into(),
            between: Guarded::new(unit.bytes()),
        }
    }

    fn check(&mut self, data: &[u8]) {
        let codec = self.pool.codec();
        let unit = self.pool.unit_size().bytes();
        let hostile = Stored::compressed(codec, data);
        let sound = self.sound.as_stored();

        // Two rooms with nothing in common: a byte that decoding leaves alone
        // differs between them.
        self.first.room_mut().fill(0x00);
        self.second.fill(0xFF);
        self.between.room_mut().fill(0x00);
        let mut results = [None; 3];
        let report = self.pool.decompress_batch_into(
            &[hostile, sound, hostile],
            &mut [
                self.first.room_mut(),
                self.between.room_mut(),
                &mut self.second,
            ],
            |index, result| {
                let before = results[index].replace(result);
                assert_eq!(before, None, "page {index} was handed over twice");
            },
        );
        self.first.assert_intact();
        self.between.assert_intact();
        let [first, between, second] = results.map(|result| result.expect("handed over"));
        assert_eq!(first, second, "the second decoding came to something else");
        assert_eq!(between, Ok(()), "a sound page between hostile ones");
        assert!(self.between.room() == self.sound_page);
        assert_eq!(report.pages(), 3);
        assert_eq!(report.failed_pages(), 2 * u64::from(first.is_err()));
        let into_rooms = verdict(codec, first);
        if into_rooms.is_ok() {
            assert!(
                self.first.room() == &self.second[..],
                "the page differs with what was in its room before"
            );
        }

        // The same into the context's own memory.
        let mut seen = 0;
        self.pool
            .decompress_batch(&[hostile, sound], |index, result| {
                seen += 1;
                if index == 1 {
                    assert!(result == Ok(&self.sound_page), "a sound page afterwards");
                    return;
                }
                if let Ok(page) = result {
                    assert_eq!(page.len(), unit);
                    assert!(page == self.first.room(), "shown and written pages differ");
                }
                assert_eq!(verdict(codec, result.map(|_| ())), into_rooms);
            });
        assert_eq!(seen, 2);

        match codec {
            Codec::Deflate => {
                reference::compare_deflate(data, unit, into_rooms.map(|()| self.first.room()));
            }
            Codec::Zstd if into_rooms.is_ok() => assert_eq!(
                reference::first_zstd_frame(data),
                Some(data.len()),
                "a page followed by stray bytes was accepted"
            ),
            _ => {}
        }
    }
}

/// The result as the codec's own verdict on the bytes.
fn verdict(codec: Codec, result: Result<(), PageError>) -> Result<(), Corrupt> {
    result.map_err(|error| match error {
        PageError::Corrupt { codec: by, cause } if by == codec => cause,
        error => panic!("hostile bytes led to another error: {error:?}"),
    })
}

type Benches = LazyLock<Mutex<[Bench; 2]>>;

fn benches(codec: Codec) -> Mutex<[Bench; 2]> {
    Mutex::new([UnitSize::DEFAULT, UnitSize::MAX].map(|unit| Bench::new(codec, unit)))
}

static LZ4: Benches = LazyLock::new(|| benches(Codec::Lz4));
static ZSTD: Benches = LazyLock::new(|| benches(Codec::Zstd));
static DEFLATE: Benches = LazyLock::new(|| benches(Codec::Deflate));

/// Decodes `data` as a page compressed with `codec`.
///
/// # Panics
/// If anything is not as the module says.
pub fn check(codec: Codec, data: &[u8]) {
    let benches = match codec {
        Codec::Lz4 => &LZ4,
        Codec::Zstd => &ZSTD,
        Codec::Deflate => &DEFLATE,
        codec => panic!("{codec} has no bench"),
    };
    let mut benches = benches.lock().expect("a failed check ends the process");
    for bench in &mut *benches {
        bench.check(data);
    }
}
