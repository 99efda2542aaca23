//! The loops that are timed: a library's or the pool's, over a range of pages.

use crate::rivals::Rival;
use crate::{Maker, PAGE};
use pagepress::{Backend, Codec, Outcome, Pool, Stored};
use std::hint::black_box;

/// A software pool of this codec.
///
/// # Panics
/// If this build lacks it.
#[must_use]
pub fn pool(codec: Codec) -> Pool {
    Pool::builder()
        .backend(Backend::Software)
        .codec(codec)
        .build()
        .expect("codec is built")
}

/// The bare loop over a library's encoder.
#[must_use]
pub fn bare_compress<'a>(make: impl Fn() -> Rival + 'a, pages: &'a [Vec<u8>]) -> Maker<'a> {
    Box::new(move || {
        let mut rival = make();
        let mut dst = vec![0; 2 * PAGE];
        Box::new(move |range| {
            for page in &pages[range] {
                if let Some(len) = (rival.compress)(page, &mut dst) {
                    black_box(&dst[..len]);
                }
            }
        })
    })
}

/// The bare loop over a library's decoder.
#[must_use]
pub fn bare_decompress<'a, P: AsRef<[u8]>>(
    make: impl Fn() -> Rival + 'a,
    packed: &'a [P],
) -> Maker<'a> {
    Box::new(move || {
        let mut rival = make();
        let mut page = vec![0; PAGE];
        Box::new(move |range| {
            for bytes in &packed[range] {
                assert!((rival.decompress)(bytes.as_ref(), &mut page));
                black_box(&page);
            }
        })
    })
}

/// The pool compressing, so many pages a call.
#[must_use]
pub fn pool_compress(codec: Codec, batch: usize, pages: &[Vec<u8>]) -> Maker<'_> {
    Box::new(move || {
        let pool = pool(codec);
        Box::new(move |range| {
            for batch in pages[range].chunks(batch) {
                pool.compress_batch(batch, |_, outcome| {
                    if let Ok(Outcome::Compressed { page, .. }) = outcome {
                        black_box(page.bytes());
                    }
                });
            }
        })
    })
}

/// The pool decompressing, so many pages a call.
#[must_use]
pub fn pool_decompress<'a>(codec: Codec, batch: usize, stored: &'a [Stored<'a>]) -> Maker<'a> {
    Box::new(move || {
        let pool = pool(codec);
        Box::new(move |range| {
            for batch in stored[range].chunks(batch) {
                pool.decompress_batch(batch, |_, page| {
                    black_box(page.expect("our own page"));
                });
            }
        })
    })
}

/// The pages that a library can shorten, compressed by it.
#[must_use]
pub fn pack(make: impl Fn() -> Rival, pages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut rival = make();
    let mut dst = vec![0; 2 * PAGE];
    pages
        .iter()
        .filter_map(|page| (rival.compress)(page, &mut dst).map(|len| dst[..len].to_vec()))
        .collect()
}

/// What a pool makes of those pages that it can compress.
#[must_use]
pub fn pack_with(pool: &Pool, pages: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let mut packed = Vec::new();
    pool.compress_batch(pages, |_, outcome| {
        if let Ok(Outcome::Compressed { page, .. }) = outcome {
            packed.push(page.bytes().to_vec());
        }
    });
    packed
}
