//! What the pool costs: the same pages through `Pool` and through the bare
//! codec loop, in turn, in the same run.
//!
//! `cargo bench --bench overhead -- CORPUS`

use pagepress::{Backend, Codec, Outcome, Pool, Stored};
use pagepress_benches::rivals::{self, Rival};
use pagepress_benches::{
    Maker, PAGE, corpus, median, pin, random_pages, ratios, rounds, touch, verdict,
};
use std::hint::black_box;

fn main() {
    pin(1);
    let (name, pages) = corpus();
    println!(
        "{name}: {} pages; medians of paired rounds (quartiles)",
        pages.len()
    );
    for (codec, bare) in [
        (Codec::Lz4, rivals::lz4_pair as fn() -> Rival),
        (Codec::Zstd, || rivals::zstd(1)),
        (Codec::Deflate, || rivals::deflate_pair(1)),
    ] {
        compress(codec, bare, &pages);
        decompress(codec, bare, &pages);
        reject(codec, &pages);
    }
}

fn pool(codec: Codec) -> Pool {
    Pool::builder()
        .backend(Backend::Software)
        .codec(codec)
        .build()
        .expect("codec is built")
}

/// The bare loop over a codec's encoder.
fn bare_compress<'a>(make: fn() -> Rival, pages: &'a [Vec<u8>]) -> Maker<'a> {
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

fn pool_compress<'a>(codec: Codec, batch: usize, pages: &'a [Vec<u8>]) -> Maker<'a> {
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

fn compress(codec: Codec, bare: fn() -> Rival, pages: &[Vec<u8>]) {
    let makers = [
        bare_compress(bare, pages),
        pool_compress(codec, 1, pages),
        pool_compress(codec, 8, pages),
    ];
    let times = rounds(pages.len(), |range| touch(&pages[range]), &makers);
    println!(
        "\n{codec} compress: {} {:.0} ns/page",
        bare().name,
        median(&times[0])
    );
    println!(
        "  pool, batch 1 / bare      {}",
        verdict(&ratios(&times[1], &times[0]), 1.02)
    );
    println!(
        "  pool, batch 8 / bare      {}",
        verdict(&ratios(&times[2], &times[0]), 1.02)
    );
    println!(
        "  batch 8 / 8 singles       {}",
        verdict(&ratios(&times[2], &times[1]), 1.01)
    );
}

/// The bare loop over a codec's decoder.
fn bare_decompress<'a>(make: fn() -> Rival, packed: &'a [Vec<u8>]) -> Maker<'a> {
    Box::new(move || {
        let mut rival = make();
        let mut page = vec![0; PAGE];
        Box::new(move |range| {
            for bytes in &packed[range] {
                assert!((rival.decompress)(bytes, &mut page));
                black_box(&page);
            }
        })
    })
}

fn pool_decompress<'a>(codec: Codec, batch: usize, stored: &'a [Stored<'a>]) -> Maker<'a> {
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

fn pool_decompress_into<'a>(codec: Codec, stored: &'a [Stored<'a>]) -> Maker<'a> {
    Box::new(move || {
        let pool = pool(codec);
        let mut rooms = vec![vec![0u8; PAGE]; 8];
        Box::new(move |range| {
            for batch in stored[range].chunks(8) {
                pool.decompress_batch_into(batch, &mut rooms, |_, done| {
                    done.expect("our own page");
                });
                black_box(&rooms);
            }
        })
    })
}

fn decompress(codec: Codec, bare: fn() -> Rival, pages: &[Vec<u8>]) {
    let mut encoder = bare().compress;
    let mut dst = vec![0; 2 * PAGE];
    let packed: Vec<Vec<u8>> = pages
        .iter()
        .filter_map(|page| encoder(page, &mut dst).map(|len| dst[..len].to_vec()))
        .collect();
    let stored: Vec<_> = packed
        .iter()
        .map(|bytes| Stored::compressed(codec, bytes))
        .collect();
    let makers = [
        bare_decompress(bare, &packed),
        pool_decompress(codec, 1, &stored),
        pool_decompress(codec, 8, &stored),
        pool_decompress_into(codec, &stored),
    ];
    let times = rounds(packed.len(), |range| touch(&packed[range]), &makers);
    println!(
        "{codec} decompress: {} {:.0} ns/page",
        bare().name,
        median(&times[0])
    );
    println!(
        "  pool, batch 1 / bare      {}",
        verdict(&ratios(&times[1], &times[0]), 1.04)
    );
    println!(
        "  pool, batch 8 / bare      {}",
        verdict(&ratios(&times[2], &times[0]), 1.04)
    );
    println!(
        "  into 8 rooms / bare       {:.3}",
        median(&ratios(&times[3], &times[0]))
    );
    println!(
        "  batch 8 / 8 singles       {}",
        verdict(&ratios(&times[2], &times[1]), 1.01)
    );
}

/// What a random page costs, against lz4's mean over the corpus.
fn reject(codec: Codec, pages: &[Vec<u8>]) {
    let random = random_pages(pages.len());
    let makers = [
        pool_compress(Codec::Lz4, 1, pages),
        pool_compress(codec, 1, &random),
    ];
    let warm = |range: std::ops::Range<usize>| {
        touch(&pages[range.clone()]);
        touch(&random[range]);
    };
    let times = rounds(pages.len(), warm, &makers);
    let rejected = pool(codec)
        .compress_batch(&random, |_, _| {})
        .incompressible_pages();
    println!(
        "{codec} random page: {:.0} ns, {rejected} of {} rejected\n  / mean lz4 page           {}",
        median(&times[1]),
        random.len(),
        verdict(&ratios(&times[1], &times[0]), 0.25)
    );
}
